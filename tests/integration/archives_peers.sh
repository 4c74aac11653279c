#!/bin/sh
# Saved archives in the hands of other tools, and back: the same image, the same digests.
. "$BOX_SRC/tests/integration/common.sh"
setup

box create --name it busybox sh -c 'mkdir -p /opt/x && echo 1 >/opt/x/f && rm /bin/wget && ln /opt/x/f /opt/hard && ln -s x /opt/l' >/dev/null
box start it >/dev/null && box wait it >/dev/null
ok "commit" box commit it made:1
box tag made:1 example.org/made:1
id=$(box inspect made:1 | sed -n 's/.*"Id": "\(sha256:[0-9a-f]*\)".*/\1/p' | head -n 1)
for format in docker-archive docker-archive-old oci-archive oci-dir; do
    box save --format "$format" -o "$BOX_TMP/$format" example.org/made:1 || fail "save $format"
done
second() { "$BOX" --root "$BOX_TMP/second/root" --runroot "$BOX_TMP/second/run" "$@"; }
comes_back() { # TEXT FILE: what a tool wrote is the same image
    rm -rf "$BOX_TMP/second" && mkdir "$BOX_TMP/second"
    second load -q -i "$2" >"$BOX_TMP/.names" 2>&1 || { fail "$1: $(cat "$BOX_TMP/.names")"; return; }
    is "$1" "$(second inspect "$(second images -q | head -n 1)" | sed -n 's/.*"Id": "\(sha256:[0-9a-f]*\)".*/\1/p' | head -n 1)" "$id"
}

if command -v skopeo >/dev/null 2>&1; then
    for from in "docker-archive:$BOX_TMP/docker-archive" "docker-archive:$BOX_TMP/docker-archive-old" \
        "oci-archive:$BOX_TMP/oci-archive" "oci:$BOX_TMP/oci-dir:example.org/made:1"; do
        name=${from#*:} && name=${name##*/}
        is "skopeo reads $name: the config is the id" "$(skopeo inspect --raw "$from" | grep -o '"config":{[^}]*}' | grep -o 'sha256:[0-9a-f]*')" "$id"
        ok "skopeo checks all digests of $name" skopeo copy -q --insecure-policy "$from" "dir:$BOX_TMP/dir"
        rm -rf "$BOX_TMP/dir"
    done
    digest=$(skopeo inspect --raw "oci-archive:$BOX_TMP/oci-archive" | sha256sum | cut -d ' ' -f 1)
    is "the manifest is the store's, byte for byte" "sha256:$digest" "$(tar xOf "$BOX_TMP/docker-archive" index.json | grep -o '"digest":"sha256:[0-9a-f]*' | head -n 1 | cut -d '"' -f 4)"
    skopeo copy -q --insecure-policy "oci-archive:$BOX_TMP/oci-archive" "oci-archive:$BOX_TMP/back.tar:example.org/made:1"
    comes_back "what skopeo writes of it is the same image" "$BOX_TMP/back.tar"
else
    skip "skopeo" "not installed"
fi

if command -v umoci >/dev/null 2>&1; then
    root=$([ "$(id -u)" = 0 ] || echo --rootless)
    box save --format oci-dir -o "$BOX_TMP/plain" made:1
    sed -i 's#docker.io/library/made:1#made#g' "$BOX_TMP/plain/index.json"
    # shellcheck disable=SC2086
    ok "umoci unpacks a layout" umoci unpack $root --image "$BOX_TMP/plain:made" "$BOX_TMP/bundle"
    is "with hard links and whiteouts" "$(cat "$BOX_TMP/bundle/rootfs/opt/hard"; stat -c %h "$BOX_TMP/bundle/rootfs/opt/x/f"; ls "$BOX_TMP/bundle/rootfs/bin/wget" 2>/dev/null)" "$(printf '1\n2')"
else
    skip "umoci" "not installed"
fi

if command -v podman >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    pod() { podman --root "$BOX_TMP/podman" --runroot "$BOX_TMP/podman-run" --storage-driver vfs "$@"; }
    for name in docker-archive docker-archive-old oci-archive; do
        ok "podman loads $name" pod load -q -i "$BOX_TMP/$name"
        is "as the same image ($name)" "$(pod images -q --no-trunc | head -n 1)" "$id"
        like "by its name ($name)" "$(pod images)" 'example.org/made'
        # Between the two kinds podman writes the config anew.
        pod save -q --format "${name%-old}" -o "$BOX_TMP/pod.tar" example.org/made:1 2>/dev/null
        comes_back "what podman saves of it ($name)" "$BOX_TMP/pod.tar"
        rm -f "$BOX_TMP/pod.tar"
        pod rmi -fa >/dev/null 2>&1
    done
else
    skip "podman" "not installed, or not root"
fi

if command -v dockerd >/dev/null 2>&1 && command -v docker >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
    dockerd --data-root "$BOX_TMP/docker" --exec-root "$BOX_TMP/docker-run" -H "unix://$BOX_TMP/docker.sock" \
        --pidfile "$BOX_TMP/docker.pid" --iptables=false --ip6tables=false --bridge=none --storage-driver vfs >"$BOX_TMP/docker.log" 2>&1 &
    daemon=$!
    dock() { docker -H "unix://$BOX_TMP/docker.sock" "$@"; }
    if eventually dock version; then
        for name in docker-archive docker-archive-old; do
            ok "docker loads $name" dock load -q -i "$BOX_TMP/$name"
            is "as the same image ($name)" "$(dock images -q --no-trunc | head -n 1)" "$id"
            dock save -o "$BOX_TMP/dock.tar" example.org/made:1
            comes_back "what docker saves of it ($name)" "$BOX_TMP/dock.tar"
            dock rmi -f example.org/made:1 >/dev/null 2>&1
        done
    else
        skip "docker" "dockerd does not start here"
    fi
    kill "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
else
    skip "docker" "not installed, or not root"
fi
done_testing
