# What the tests under Podman and buildah share: `. "$BOX_SRC/tests/engines/common.sh"` after tap.sh and fixture.sh.
#
#   engine_start PROGRAM...       skips what cannot be run here, and begins the test anew in a mount and a network namespace of
#                                 its own: an engine's bridge, rules, locks and run directories end with the test
#   engine_image                  the busybox image, imported as bb:1
#   p ARGUMENT...                 podman on box-oci, with storage and configuration below $BOX_TMP
#   run ARGUMENT...               p run --rm without a network
#   until_true COMMAND...         waits for it, 10 seconds at most
#   engine_end                    removes everything, and tells what the engine and the runtime left behind
#
# BOX_ENGINE_RUNTIME names another runtime (runc, say), for finding out whether a failure is box-oci's or the machine's.

engine_start() { # PROGRAM...
    oci=${BOX_ENGINE_RUNTIME:-$BOX_BUILD/examples/box-oci/box-oci}
    [ -x "$oci" ] || oci=$(command -v "$oci") || skip_all "box-oci is not built"
    [ "$(id -u)" = 0 ] || skip_all "needs root"
    [ -z "${BOX_VM:-}" ] || skip_all "the guest has no engines"
    case $BOX_BUILD in *-asan | *-tsan) skip_all "the engine's time limits are not for sanitizers" ;; esac
    for engine_program in unshare ip "$@"; do
        command -v "$engine_program" >/dev/null || skip_all "$engine_program is not installed"
    done
    if [ "${ENGINE_INSIDE:-}" != "$$" ]; then
        unshare --mount --net true 2>/dev/null || skip_all "no namespaces of its own here"
        ENGINE_INSIDE=$$
        export ENGINE_INSIDE
        exec unshare --mount --net -- "$0"
    fi
    engine_private || skip_all "no namespaces of its own here"
    engine_configure
    trap engine_clear EXIT
}

# Podman has paths of its own in /run and /dev/shm, and reads what the machine has in /etc: here all of these are the test's.
engine_private() {
    mount -t tmpfs -o mode=755 tmpfs /run && mount -t tmpfs -o mode=1777 tmpfs /dev/shm || return 1
    mount -t tmpfs -o mode=755 tmpfs /etc/containers && echo '{"default": [{"type": "insecureAcceptAnything"}]}' >/etc/containers/policy.json &&
        mount --make-rshared / && ip link set lo up
}

# What stands for a file of the machine's, for the test alone.
engine_bind() { mount --bind "$1" "$2" || skip_all "no namespaces of its own here"; }

engine_configure() {
    engine_group=libbox-engine-$$
    mkdir -p "$BOX_TMP/home" "$BOX_TMP/tmp" "$BOX_TMP/net"
    engine_backend=netavark engine_driver=vfs
    mkdir "$BOX_TMP/net/u" "$BOX_TMP/net/w" "$BOX_TMP/net/m"
    if mount -t overlay -o "lowerdir=$BOX_TMP/home,upperdir=$BOX_TMP/net/u,workdir=$BOX_TMP/net/w" overlay "$BOX_TMP/net/m" 2>/dev/null; then
        umount "$BOX_TMP/net/m"
        engine_driver=overlay
    fi
    rm -rf "$BOX_TMP"/net/[uwm]
    command -v netavark >/dev/null || [ -x /usr/lib/podman/netavark ] || engine_backend=cni
    cat >"$BOX_TMP/containers.conf" <<CONF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "under-test"
image_copy_tmp_dir = "$BOX_TMP/tmp"
static_dir = "$BOX_TMP/root/libpod"
tmp_dir = "$BOX_TMP/tmp/libpod"
volume_path = "$BOX_TMP/root/volumes"
[engine.runtimes]
under-test = ["$oci"]
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[network]
network_backend = "$engine_backend"
network_config_dir = "$BOX_TMP/net"
CONF
    cat >"$BOX_TMP/storage.conf" <<CONF
[storage]
driver = "$engine_driver"
graphroot = "$BOX_TMP/root"
runroot = "$BOX_TMP/run"
CONF
    echo 'unqualified-search-registries = []' >"$BOX_TMP/registries.conf"
    CONTAINERS_CONF=$BOX_TMP/containers.conf
    CONTAINERS_STORAGE_CONF=$BOX_TMP/storage.conf
    CONTAINERS_REGISTRIES_CONF=$BOX_TMP/registries.conf
    HOME=$BOX_TMP/home
    TMPDIR=$BOX_TMP/tmp
    export CONTAINERS_CONF CONTAINERS_STORAGE_CONF CONTAINERS_REGISTRIES_CONF HOME TMPDIR
}

# The containers' cgroups are below one of the test's own. (A pod's containers are in the pod's.)
p() {
    case $1 in
    run | create)
        engine_verb=$1
        shift
        set -- "$engine_verb" --cgroup-parent "/$engine_group" "$@" ;;
    esac
    timeout 60 podman "$@"
}
run() { p run --rm --network none "$@"; }

engine_image() {
    fixture_rootfs "$BOX_TMP/rootfs" || skip_all "no static busybox to make an image of"
    tar -C "$BOX_TMP/rootfs" -cf "$BOX_TMP/image.tar" .
    p import -q -c 'CMD ["/bin/sh"]' -c 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' "$BOX_TMP/image.tar" bb:1 >/dev/null 2>"$BOX_TMP/why" ||
        skip_all "no images can be kept here: $(tail -n 1 "$BOX_TMP/why" | cut -c1-150)"
}

until_true() {
    engine_tries=100
    until "$@" >/dev/null 2>&1; do
        engine_tries=$((engine_tries - 1))
        [ "$engine_tries" -gt 0 ] || return 1
        sleep 0.1
    done
}

# Groups of containers; its own, for monitors and pods, Podman leaves behind itself.
engine_groups() { find /sys/fs/cgroup -mindepth 2 -path "*/$engine_group/*" -type d -name 'libpod-*' ! -name 'libpod-conmon-*' 2>/dev/null; }

engine_clear() {
    podman pod rm -af -t 0 >/dev/null 2>&1
    podman rm -af -t 0 >/dev/null 2>&1
    find /sys/fs/cgroup -depth -type d \( -path "*/$engine_group" -o -path "*/$engine_group-build" -o -path "*/$engine_group/*" \) -exec rmdir {} + 2>/dev/null
}

engine_end() {
    ok "everything can be removed" p pod rm -af -t 0 && ok "and containers" p rm -af -t 0
    is "no container is left to the runtime" "$(ls /run/box-oci 2>/dev/null)" ""
    is "nor a cgroup" "$(engine_groups)" ""
    # (The directory of overlays Podman mounts onto itself.)
    is "nor a mount" "$(awk -v dir="$BOX_TMP/" 'index($5, dir) == 1 && $5 != dir "root/overlay" { print $5 }' /proc/self/mountinfo)" ""
}
