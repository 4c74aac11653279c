# Root file systems and images for tests, made from the static busybox alone: no network, no privilege.
# `. "$BOX_SRC/tests/lib/fixture.sh"` after tap.sh.
#
#   fixture_rootfs DIR                            a busybox root file system (users root, nobody and app, uid 1000)
#   fixture_layer DIR FILE[.gz]                   DIR as a layer tar, gzip when the name says so; owned by root
#   fixture_oci DIR TAG CONFIG LAYER...           an OCI image layout; CONFIG is the "config" object's JSON, or ""
#   fixture_docker FILE NAME:TAG CONFIG LAYER...  a `docker save` archive; the layers uncompressed
#   fixture_image DIR [TAG]                       the usual one: a layout with a gzip busybox layer, Cmd /bin/sh
#
# Each returns non-zero when it could not be made. The root file system and the usual image are copied from
# $BOX_FIXTURES where that is set: making them takes seconds where the processor is emulated.

# By hand: busybox's own shell answers `command -v busybox` with no path.
fixture_busybox() {
    for fixture_bb in busybox.static busybox; do
        for fixture_at in /bin /usr/bin /sbin /usr/sbin /usr/local/bin; do
            if [ -x "$fixture_at/$fixture_bb" ]; then
                echo "$fixture_at/$fixture_bb"
                return 0
            fi
        done
    done
    return 1
}

fixture_rootfs() {
    if [ -d "${BOX_FIXTURES:-/nowhere}/rootfs" ]; then
        mkdir -p "$1" && cp -a "$BOX_FIXTURES/rootfs/." "$1/"
        return
    fi
    fixture_bb=$(fixture_busybox) || return 1
    mkdir -p "$1" || return 1
    # Modes by name: a caller's umask does not reach into the image.
    (
        cd "$1" && umask 022 &&
            mkdir -p bin sbin etc dev proc sys run usr/bin usr/sbin var/log var/tmp home/app root tmp &&
            chmod 1777 tmp var/tmp && chmod 700 root &&
            cp "$fixture_bb" bin/busybox && chmod 755 bin/busybox || exit 1
        for applet in '[' ash awk basename cat chgrp chmod chown chroot cp cut date dd df dirname dmesg du echo env \
            expr false find free getopt grep groups gzip head hostname id ifconfig ip ipcs kill killall ln ls md5sum \
            mkdir mkfifo mknod mktemp more mount mountpoint mv nc nice nohup nproc od pgrep pidof ping pkill printenv \
            printf ps pwd readlink realpath rm rmdir sed seq setsid sh sha256sum sleep sort stat stty su sync sysctl \
            tail tar tee test time timeout top touch tr true tty ulimit umount uname uniq unshare uptime vi wc wget \
            which whoami xargs yes; do
            [ -e "bin/$applet" ] || ln -s busybox "bin/$applet" || exit 1
        done
        printf '%s\n' 'root:x:0:0:root:/root:/bin/sh' 'app:x:1000:1000:app:/home/app:/bin/sh' \
            'nobody:x:65534:65534:nobody:/:/bin/false' >etc/passwd
        printf '%s\n' 'root:x:0:' 'tty:x:5:' 'audio:x:29:app' 'app:x:1000:' 'extra:x:1001:app' \
            'nogroup:x:65534:' >etc/group
        printf 'root:*:19000:0:99999:7:::\n' >etc/shadow && chmod 640 etc/shadow
        echo 'NAME=fixture' >etc/os-release
        printf '#!/bin/sh\necho "args: $*"\n' >bin/show-args && chmod 755 bin/show-args
    )
}

fixture_layer() {
    # GNU tar needs to be told who owns the files; busybox's cannot, and leaves them the caller's.
    fixture_owner=''
    ! tar --version 2>/dev/null | grep -q GNU || fixture_owner='--numeric-owner --owner=0 --group=0'
    # shellcheck disable=SC2086
    case $2 in
    *.gz) tar -C "$1" $fixture_owner -cf - . | gzip -c >"$2" ;;
    *) tar -C "$1" $fixture_owner -cf "$2" . ;;
    esac
}

fixture_sha() { sha256sum <"$1" | cut -d ' ' -f 1; }
fixture_size() { wc -c <"$1" | tr -d ' '; }
fixture_arch() {
    case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64) echo arm64 ;;
    *) uname -m ;;
    esac
}

# The image configuration, given the diff ids as a JSON list's inside.
fixture_config() { # CONFIG DIFFIDS
    printf '{"created":"2024-01-01T00:00:00Z","architecture":"%s","os":"linux","config":%s,' "$(fixture_arch)" \
        "${1:-{\"Env\":[\"PATH=/usr/sbin:/usr/bin:/sbin:/bin\"],\"Cmd\":[\"/bin/sh\"]\}}"
    printf '"rootfs":{"type":"layers","diff_ids":[%s]},"history":[{"created_by":"fixture"}]}' "$2"
}

# Puts a file into the layout by its digest, which it prints.
fixture_blob() { # DIR FILE
    fixture_digest=$(fixture_sha "$2")
    cp "$2" "$1/blobs/sha256/$fixture_digest" && echo "$fixture_digest"
}

fixture_oci() {
    fixture_dir=$1 fixture_tag=$2 fixture_json=$3
    shift 3
    mkdir -p "$fixture_dir/blobs/sha256" || return 1
    fixture_diffs='' fixture_layers=''
    for fixture_tar; do
        fixture_type=application/vnd.oci.image.layer.v1.tar fixture_diff=$(fixture_sha "$fixture_tar")
        case $fixture_tar in
        *.gz)
            fixture_type=$fixture_type+gzip
            fixture_diff=$(gzip -dc "$fixture_tar" | sha256sum | cut -d ' ' -f 1) ;;
        esac
        fixture_diffs="$fixture_diffs${fixture_diffs:+,}\"sha256:$fixture_diff\""
        fixture_digest=$(fixture_blob "$fixture_dir" "$fixture_tar") || return 1
        fixture_layers="$fixture_layers${fixture_layers:+,}$(printf \
            '{"mediaType":"%s","digest":"sha256:%s","size":%s}' "$fixture_type" "$fixture_digest" \
            "$(fixture_size "$fixture_tar")")"
    done
    fixture_part=$fixture_dir/.part
    fixture_config "$fixture_json" "$fixture_diffs" >"$fixture_part"
    fixture_config_size=$(fixture_size "$fixture_part")
    fixture_config_digest=$(fixture_blob "$fixture_dir" "$fixture_part") || return 1
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"%s","digest":"sha256:%s","size":%s},"layers":[%s]}' \
        application/vnd.oci.image.config.v1+json "$fixture_config_digest" "$fixture_config_size" \
        "$fixture_layers" >"$fixture_part"
    fixture_manifest_size=$(fixture_size "$fixture_part")
    fixture_manifest=$(fixture_blob "$fixture_dir" "$fixture_part") || return 1
    rm -f "$fixture_part"
    printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
        "$fixture_manifest" "$fixture_manifest_size" "$fixture_tag" >"$fixture_dir/index.json"
    echo '{"imageLayoutVersion":"1.0.0"}' >"$fixture_dir/oci-layout"
}

fixture_docker() {
    fixture_file=$1 fixture_tag=$2 fixture_json=$3
    shift 3
    fixture_dir=$fixture_file.d
    mkdir -p "$fixture_dir" || return 1
    fixture_diffs='' fixture_layers=''
    for fixture_tar; do
        fixture_diff=$(fixture_sha "$fixture_tar")
        mkdir -p "$fixture_dir/$fixture_diff" && cp "$fixture_tar" "$fixture_dir/$fixture_diff/layer.tar" || return 1
        fixture_diffs="$fixture_diffs${fixture_diffs:+,}\"sha256:$fixture_diff\""
        fixture_layers="$fixture_layers${fixture_layers:+,}\"$fixture_diff/layer.tar\""
    done
    fixture_config "$fixture_json" "$fixture_diffs" >"$fixture_dir/config"
    fixture_config_digest=$(fixture_sha "$fixture_dir/config")
    mv "$fixture_dir/config" "$fixture_dir/$fixture_config_digest.json"
    printf '[{"Config":"%s.json","RepoTags":["%s"],"Layers":[%s]}]' "$fixture_config_digest" "$fixture_tag" \
        "$fixture_layers" >"$fixture_dir/manifest.json"
    (cd "$fixture_dir" && tar -cf - *) >"$fixture_file" && rm -rf "$fixture_dir"
}

fixture_image() {
    if [ "${2:-busybox}" = busybox ] && [ -d "${BOX_FIXTURES:-/nowhere}/image" ]; then
        mkdir -p "$1" && cp -a "$BOX_FIXTURES/image/." "$1/"
        return
    fi
    fixture_rootfs "$1.rootfs" && fixture_layer "$1.rootfs" "$1.layer.tar.gz" &&
        fixture_oci "$1" "${2:-busybox}" "" "$1.layer.tar.gz" && rm -rf "$1.rootfs" "$1.layer.tar.gz"
}

# Makes what $BOX_FIXTURES is to hold, in DIR, unless it is there from this very script.
fixture_cache() { # DIR SCRIPT
    fixture_key=$(cksum <"$2")
    [ "$(cat "$1/key" 2>/dev/null)" != "$fixture_key" ] || return 0
    rm -rf "$1" && mkdir -p "$1" && (BOX_FIXTURES='' && fixture_rootfs "$1/rootfs" && fixture_image "$1/image") &&
        echo "$fixture_key" >"$1/key"
}
