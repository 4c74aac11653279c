# To be sourced by images_PEER.sh, which sets `peer`: one image with all that a layer can hold (whiteouts, opaque directories, hard links, extended attributes, devices,
# capabilities), with layers as gzip and as zstd, there and back. What the peer (skopeo, buildah, podman, Docker Engine)
# pushes to a registry or writes to a file libbox reads, what libbox pushes and saves the peer reads; digests are compared
# byte for byte, and the trees that each of them unpacks.
. "$BOX_SRC/tests/integration/common.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root: devices and owners are compared"
[ -z "${BOX_VM:-}" ] || skip_all "the guest has none of the peers"
case $BOX_BUILD in *-asan | *-tsan) skip_all "the engine's time limits are not for sanitizers" ;; esac
for tool in docker-registry skopeo zstd python3; do
    command -v "$tool" >/dev/null 2>&1 || skip_all "$tool is not installed"
done
helper=$BOX_BUILD/tests/integration/helper-registry
[ -x "$helper" ] || skip_all "helper-registry is not built"
setup
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy DOCKER_CONFIG
HOME=$BOX_TMP/home && export HOME && mkdir -p "$HOME"
cd "$BOX_TMP" || exit 1

# ---- The image, and the tree that it must become ----

fixture_rootfs first && mkdir -p first/opt/old/deep first/opt/keep first/srv &&
    echo one >first/opt/old/deep/file && echo two >first/opt/keep/file && echo gone >first/srv/gone
mkdir -p second/odd/dir second/opt/keep
long=$(printf 'n%.0s' $(seq 1 120))
echo long >"second/odd/$long" && ln -s "../$long" second/odd/dir/link && ln -s nowhere "second/odd/$long.link"
echo linked >second/opt/keep/hard && ln second/opt/keep/hard second/odd/again && ln second/opt/keep/hard "second/odd/dir/third"
mknod second/odd/null c 1 3 && mknod second/odd/disk b 7 200 && mkfifo second/odd/pipe || skip_all "no devices can be made here"
printf '\000\377' >second/odd/bin && chmod 4755 second/odd/bin && chown 33:44 second/odd/bin && chmod 2775 second/odd/dir
# Its holes are written out: what GNU tar has for them the three peers cannot put together again for their own pushes.
truncate -s 5M second/odd/sparse && printf x | dd of=second/odd/sparse bs=1 seek=3000000 conv=notrunc 2>/dev/null
touch -d 2001-02-03T04:05:06Z second/odd/bin && touch -d 1970-01-01T00:00:00Z second/odd/again
python3 - <<'PYTHON' || skip_all "no extended attributes here"
import os
os.setxattr("second/odd/again", "user.note", b"a\0b")
os.setxattr("second/odd/sparse", "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
PYTHON
mkdir -p third/opt/old third/srv third/odd third/bin
echo new >third/opt/old/new && : >third/opt/old/.wh..wh..opq && : >third/srv/.wh.gone && : >third/bin/.wh.wget
: >"third/odd/.wh.$long.link" && echo file >third/opt/added && : >third/opt/.wh.keep

pack() { tar -C "$1" --xattrs --xattrs-include='*' --numeric-owner --sort=name --format=pax \
    --pax-option=delete=atime,delete=ctime -cf - .; }
pack first >first.tar && pack second | gzip -n >second.tar.gz && pack third | gzip -n >third.tar.gz && gzip -n first.tar
unpack() { tar -C expected --xattrs --xattrs-include='*' --numeric-owner -xpf - "$@"; }
mkdir expected && gzip -dc first.tar.gz | unpack && gzip -dc second.tar.gz | unpack
rm -rf expected/opt/old expected/srv/gone expected/bin/wget "expected/odd/$long.link" expected/opt/keep
gzip -dc third.tar.gz | unpack --exclude='.wh.*'

fixture_oci gzip app '{"Cmd":["/bin/sh"],"Env":["PATH=/bin","A=1"],"Labels":{"x":"y"},"User":"1000:1000","WorkingDir":"/opt"}' \
    first.tar.gz second.tar.gz third.tar.gz
skopeo copy -q --insecure-policy --dest-compress --dest-compress-format zstd oci:gzip:app oci:zstd:app

# Each path with kind, mode, owner, device, links, and a file's size, time, content and attributes. Files that the
# engines put in themselves are left out, and times of directories, which change with what is taken out of them.
cat >describe.py <<'PYTHON'
import hashlib, os, stat, sys
root = sys.argv[1]
skip = {"dev", "proc", "sys", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv", "etc/mtab"}
lines = []
for at, dirs, files in os.walk(root):
    for name in dirs + files:
        path = os.path.join(at, name)
        short = os.path.relpath(path, root)
        if short.split("/")[0] in skip or short in skip:
            continue
        st = os.lstat(path)
        line = "%s %o %d:%d" % (short, st.st_mode, st.st_uid, st.st_gid)
        if not stat.S_ISDIR(st.st_mode):
            line += " links=%d time=%d" % (st.st_nlink, st.st_mtime)
        if stat.S_ISLNK(st.st_mode):
            line += " -> " + os.readlink(path)
        elif stat.S_ISREG(st.st_mode):
            line += " %d %s" % (st.st_size, hashlib.sha256(open(path, "rb").read()).hexdigest())
        elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
            line += " %d,%d" % (os.major(st.st_rdev), os.minor(st.st_rdev))
        for key in sorted(os.listxattr(path, follow_symlinks=False)):
            line += " %s=%s" % (key, os.getxattr(path, key, follow_symlinks=False).hex())
        lines.append(line)
print("\n".join(sorted(lines)))
PYTHON
same_tree() { # DIRECTORY [ALMOST]
    python3 describe.py "$1" >found.txt && diff "expected${2:+.$2}.txt" found.txt
}
python3 describe.py expected >expected.txt
sed 's/ user[.][^ ]*//' expected.txt >expected.docker.txt # which its vfs driver does not copy
ok "there is something to compare with" test "$(grep -cE 'security.capability|user.note| 1,3| 7,200|links=2' expected.txt)" -ge 4

# ---- A registry ----

# A port that nobody has now; another one is tried when somebody was faster.
registry() {
    registry_try=0
    while [ "$registry_try" -lt 5 ]; do
        registry_try=$((registry_try + 1))
        host=127.0.0.1:$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 12000)))
        printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp:\n  addr: %s\n  secret: tests\n' \
            "$BOX_TMP/data" "$host" >registry.yml
        docker-registry serve registry.yml >registry.log 2>&1 &
        registry_pid=$!
        registry_left=200
        while [ "$registry_left" -gt 0 ] && kill -0 "$registry_pid" 2>/dev/null; do
            ! "$helper" --http "$host" catalog "$host" >/dev/null 2>&1 || return 0
            registry_left=$((registry_left - 1))
            sleep 0.1
        done
        kill "$registry_pid" 2>/dev/null
    done
    return 1
}
sha() { sha256sum | cut -d ' ' -f 1; }
digest_of() { "$helper" --http "$host" manifest "$1" | sha; }

# ---- The peers: pull and push of a registry's, read and write of a file, the id, and the tree of an image ----

buildah_() { buildah --root "$BOX_TMP/b" --runroot "$BOX_TMP/b.run" --storage-driver vfs "$@"; }
podman_() { podman --root "$BOX_TMP/p" --runroot "$BOX_TMP/p.run" --storage-driver vfs "$@"; }
docker_() { timeout 100 docker -H "unix://$BOX_TMP/d.sock" "$@"; }

can_buildah() { command -v buildah >/dev/null; }
pull_buildah() { buildah_ pull -q --tls-verify=false "$1" >/dev/null; }
push_buildah() { buildah_ push -q --tls-verify=false "$1" "docker://$1"; }
tag_buildah() { buildah_ tag "$1" "$2"; }
id_buildah() { buildah_ inspect --type image --format '{{.FromImageID}}' "$1"; }
# Of a layout it makes a name out of the path, which it then finds to be none.
read_buildah() {
    case $1 in
    oci) working=$(buildah_ pull -q "$1:file:$name") && buildah_ tag "$working" "$name" ;;
    *) buildah_ pull -q "$1:$2" >/dev/null ;;
    esac
}
write_buildah() { buildah_ push -q "$3" "$1:$2:$3"; }
tree_buildah() {
    working=$(buildah_ from "$1") && same_tree "$(buildah_ mount "$working")"
    tree_status=$?
    buildah_ rm "$working" >/dev/null
    return "$tree_status"
}
clear_buildah() { buildah_ rmi -af >/dev/null 2>&1; }

can_podman() { command -v podman >/dev/null; }
pull_podman() { podman_ pull -q --tls-verify=false "$1" >/dev/null; }
push_podman() { podman_ push -q --tls-verify=false "$1"; }
tag_podman() { podman_ tag "$1" "$2"; }
id_podman() { podman_ image inspect --format '{{.Id}}' "$1"; }
read_podman() { podman_ load -q -i "$2" >/dev/null; }
write_podman() { podman_ save -q --format "$(echo "$1" | sed 's/^oci$/oci-dir/')" -o "$2" "$3"; }
tree_podman() {
    same_tree "$(podman_ image mount "$1")"
    tree_status=$?
    podman_ image umount "$1" >/dev/null
    return "$tree_status"
}
clear_podman() { podman_ rmi -af >/dev/null 2>&1; }

can_docker() {
    command -v dockerd >/dev/null && command -v docker >/dev/null || return 1
    [ -z "${daemon:-}" ] || return 0
    dockerd --data-root "$BOX_TMP/d" --exec-root "$BOX_TMP/d.exec" -H "unix://$BOX_TMP/d.sock" -p "$BOX_TMP/d.pid" \
        --iptables=false --ip6tables=false --bridge=none --storage-driver vfs >"$BOX_TMP/d.log" 2>&1 &
    daemon=$!
    eventually docker_ version
}
pull_docker() { docker_ pull -q "$1" >/dev/null; }
push_docker() { docker_ push -q "$1" >/dev/null; }
tag_docker() { docker_ tag "$1" "$2"; }
id_docker() { docker_ image inspect --format '{{.Id}}' "$1"; }
read_docker() { docker_ load -q -i "$2" >/dev/null; }
write_docker() { docker_ save -o "$2" "$3"; }
tree_docker() {
    working=$(docker_ create --network none "$1") &&
        same_tree "$BOX_TMP/d/vfs/dir/$(cat "$BOX_TMP/d/image/vfs/layerdb/mounts/$working/mount-id")" docker
    tree_status=$?
    docker_ rm "$working" >/dev/null
    return "$tree_status"
}
clear_docker() {
    # shellcheck disable=SC2046
    docker_ rmi -f $(docker_ images -aq) >/dev/null 2>&1
}
bare() { sed 's/^sha256://'; }

end() {
    clear_store
    [ "$peer" = skopeo ] || "clear_$peer"
    # shellcheck disable=SC2086
    kill ${registry_pid:-} ${daemon:-} 2>/dev/null
    wait
}
trap end EXIT
[ "$peer" = skopeo ] || "can_$peer" || skip_all "$peer is not installed, or does not start here"
registry || skip_all "docker-registry does not start: $(cat registry.log)"

# ---- libbox's side ----

other() { "$BOX" --root "$BOX_TMP/other" --runroot "$BOX_TMP/other.run" "$@"; }
id_box() { other inspect "$1" | sed -n 's/.*"Id": "sha256:\([0-9a-f]*\)".*/\1/p' | head -n 1; }
layers_box() { other inspect --format '{{json .RootFS.Layers}}' "$1"; }
tree_box() { # NAME
    rm -rf tree && mkdir tree && other create --name tree "$1" true >/dev/null && other export tree |
        tar -C tree --xattrs --xattrs-include='*' --numeric-owner -xpf - && same_tree tree
    tree_status=$?
    other rm tree >/dev/null
    return "$tree_status"
}
forget() { rm -rf "$BOX_TMP/other" "$BOX_TMP/other.run"; }

# Which archives a peer writes, and what it reads: libbox's format and the peer's name for it.
kinds_buildah() { echo 'oci oci-archive docker-archive'; }
pairs_buildah() { echo 'oci-dir=oci oci-archive=oci-archive docker-archive=docker-archive docker-archive-old=docker-archive'; }
kinds_podman() { echo 'oci-archive docker-archive'; }
pairs_podman() { echo 'oci-archive=- docker-archive=- docker-archive-old=-'; }
kinds_docker() { echo docker-save; }
pairs_docker() { echo 'docker-archive=- docker-archive-old=-'; }

# What a peer pushed: libbox's pull, and its push of that, are the peer's bytes.
pushed() { # PEER NAME WHAT
    forget
    ok "libbox pulls that ($3)" other pull -q "$2"
    is "the same image ($1, $3)" "$(id_box "$2")" "$id"
    ok "with the same tree ($1, $3)" tree_box "$2"
    other tag "$2" "$host/again/$1:$3" && ok "and pushes it ($1, $3)" other push -q "$host/again/$1:$3"
    is "byte for byte ($1, $3)" "$(digest_of "$host/again/$1:$3")" "$(digest_of "$2")"
}

written() { # PEER KIND WHAT NAME
    forget && rm -rf "$BOX_TMP/file"
    ok "$1 writes $2 ($3)" "write_$1" "$2" "$BOX_TMP/file" "$4"
    ok "libbox loads that ($1, $2, $3)" other load -q -i "$BOX_TMP/file"
    found=$(other images -q --no-trunc | head -n 1 | bare)
    case $1-$2 in
    *-docker-archive) is "the same layers ($1, $2, $3)" "$(layers_box "$found")" "$diff_ids" ;; # some write the config anew
    *) is "the same image ($1, $2, $3)" "$found" "$id" ;;
    esac
    ok "with the same tree ($1, $2, $3)" tree_box "$found"
}

saved() { # PEER FORMAT TRANSPORT WHAT
    rm -rf "$BOX_TMP/file"
    box save --format "$2" -o "$BOX_TMP/file" "$name" || fail "libbox saves $2"
    "clear_$1"
    ok "$1 reads libbox's $2 ($4)" "read_$1" "$3" "$BOX_TMP/file"
    is "as the same image ($1, $2, $4)" "$(id_"$1" "$name" | bare)" "$id"
    ok "with the same tree ($1, $2, $4)" "tree_$1" "$name"
}

for what in gzip zstd; do
    name=$host/box/app:$what
    box load -q -i "$what" >/dev/null && box tag app "$name" || fail "the image is loaded ($what)"
    id=$(box inspect "$name" | sed -n 's/.*"Id": "sha256:\([0-9a-f]*\)".*/\1/p' | head -n 1)
    diff_ids=$(box inspect --format '{{json .RootFS.Layers}}' "$name")
    manifest=$(grep -o '"digest":"sha256:[0-9a-f]*' "$what/index.json" | cut -d : -f 3)
    ok "libbox pushes ($what)" box push -q "$name"
    is "the manifest as it was loaded ($what)" "$(digest_of "$name")" "$manifest"
    rm -rf dir && ok "skopeo checks all of it ($what)" skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$name" dir:dir
    is "the layers are those that were loaded ($what)" "$(cd dir && ls | grep -E '^[0-9a-f]{64}$' | tr '\n' ' ')" \
        "$(ls "$what/blobs/sha256" | grep -vx "$manifest" | tr '\n' ' ')"
    if [ "$peer" = skopeo ]; then
        ok "skopeo pushes ($what)" skopeo copy -q --insecure-policy --dest-tls-verify=false dir:dir "docker://$host/skopeo/app:$what"
        pushed skopeo "$host/skopeo/app:$what" "$what"
        continue
    fi
    # What it cannot have is no failure of libbox's: an engine before 23 knows no zstd, Docker's archives have none.
    kinds=$(kinds_"$peer") pairs=$(pairs_"$peer")
    if [ "$what" = zstd ] && [ "$peer" = docker ] && [ "$(docker_ version --format '{{.Server.Version}}' | cut -d . -f 1)" -lt 23 ]; then
        skip "docker (zstd)" "this engine is older than 23"
        continue
    fi
    [ "$what" != zstd ] || [ "$peer" = docker ] || kinds=$(echo "$kinds" | sed 's/ *docker-archive//')
    "clear_$peer"
    ok "$peer pulls what libbox pushed ($what)" "pull_$peer" "$name"
    is "as the same image ($peer, $what)" "$("id_$peer" "$name" | bare)" "$id"
    ok "with the same tree ($peer, $what)" "tree_$peer" "$name"
    "tag_$peer" "$name" "$host/$peer/app:$what"
    ok "$peer pushes ($what)" "push_$peer" "$host/$peer/app:$what"
    pushed "$peer" "$host/$peer/app:$what" "$what"
    for kind in $kinds; do written "$peer" "$kind" "$what" "$name"; done
    for pair in $pairs; do saved "$peer" "${pair%=*}" "${pair#*=}" "$what"; done
done
no_containers "nothing is left"
done_testing
