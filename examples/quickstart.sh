#!/bin/sh
# The quick start: builds libbox, makes a Debian root file system, and runs a process of it in a container, from C and
# from the command line.
#
#   sh examples/quickstart.sh
#
# Installs what is missing (compiler, Meson, the libraries' headers, debootstrap). The root file system comes from the
# package mirror that this machine is set up with. Everything made is in build/, the root file system and the
# containers' state below build/quickstart; a second run makes neither again. Needs root for debootstrap and for the
# containers: run it as root, or where sudo or doas is.
set -eu
src=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$src/build
work=$build/quickstart
rootfs=$work/rootfs

started=$(cut -d ' ' -f 1 /proc/uptime)
step() {
    awk -v a="$started" -v text="$*" '{ printf "\n[%5.1f s] %s\n", $1 - a, text }' /proc/uptime
}

# Runs a command as root and shows its line as well, with the script that the container runs left out: a quick start is
# there to be copied from.
show() {
    line=''
    for word; do
        [ "$word" != "$inside" ] || word="'...'"
        line="$line ${word#"$src/"}"
    done
    echo "  \$$line"
    as_root "$@"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    elif command -v doas >/dev/null 2>&1; then
        doas "$@"
    else
        echo "quickstart: need root, sudo or doas for: $*" >&2
        exit 1
    fi
}

# Says what it runs when it fails, and shows what that had said.
quietly() { # LOG COMMAND...
    log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null || {
        tail -n 30 "$log" >&2
        echo "quickstart: failed: $* (all of its output: $log)" >&2
        exit 1
    }
}

# "MIRROR RELEASE" of the machine's own package sources; nothing where there is no apt.
own_mirror() {
    command -v apt-get >/dev/null 2>&1 || return 0
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
        awk '$3 == "main" && ($4 == "Debian" || $4 == "Ubuntu") && $2 !~ /-/ { print $1, $2; exit }'
}

make_rootfs() {
    PATH=$PATH:/usr/sbin:/sbin
    # shellcheck disable=SC2046  # two words
    set -- $(own_mirror)
    if [ $# -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        quietly "$work/apt.log" as_root apt-get update
        # shellcheck disable=SC2046
        set -- $(own_mirror)
    fi
    # Without an apt of its own the machine has no mirror to name, and debootstrap knows Debian's.
    mirror=${1:-} release=${2:-stable}
    echo "  debootstrap --variant=minbase $release, from ${mirror:-its own default mirror} (about a minute)"
    # The mirror's proxy is apt's, and debootstrap does not ask apt for it.
    if [ -z "${http_proxy:-}" ] && command -v apt-config >/dev/null 2>&1; then
        eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
        [ -z "${http_proxy:-}" ] || export http_proxy
    fi
    as_root rm -rf "$rootfs.new" # of a run that was interrupted
    # shellcheck disable=SC2086  # no mirror is no argument
    quietly "$work/debootstrap.log" as_root env ${http_proxy:+http_proxy="$http_proxy"} \
        debootstrap --variant=minbase "$release" "$rootfs.new" $mirror
    as_root mv "$rootfs.new" "$rootfs"
}

step "Installing what is missing"
sh "$src/tests/install-deps.sh" build quickstart

step "Building libbox in build/"
mkdir -p "$work"
if [ ! -f "$build/build.ninja" ]; then
    # The tests need a test framework that the quick start does not.
    quietly "$work/setup.log" meson setup "$build" "$src" -Dtests=false
fi
quietly "$work/build.log" ninja -C "$build"
echo "  build/lib/libbox.so, $(wc -c <"$build/lib/libbox.so") bytes"

step "A Debian root file system in build/quickstart/rootfs"
if [ -d "$rootfs" ]; then echo "  there from an earlier run"; else make_rootfs; fi

# What the process in the container tells about itself; it fails where it is not confined.
# shellcheck disable=SC2016  # expanded inside
inside='. /etc/os-release
echo "  $PRETTY_NAME, bash $BASH_VERSION"
echo "  process $$ of $(ls -d /proc/[0-9]* | wc -l), host name $(hostname), $(ls /sys/class/net | wc -l) network interface"
grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/self/status | sed "s/^/  /"
limits=0
for limit in memory.max memory/memory.limit_in_bytes pids.max pids/pids.max; do
    [ ! -f "/sys/fs/cgroup/$limit" ] || { echo "  $limit: $(cat "/sys/fs/cgroup/$limit")"; limits=$((limits + 1)); }
done
[ $$ -lt 10 ] && [ $limits -ge 2 ] && grep -q "^Seccomp:.*2" /proc/self/status'

step "A container from C: examples/run.c"
show "$build/examples/run" "$rootfs" bash -c "$inside"

step "An image of it, and a container from the command line: examples/box"
box() { show "$build/examples/box/box" --root "$work/store" --runroot "$work/run" "$@"; }
box import "$rootfs" debian
box run --rm -m 256m --cpus 1 --pids-limit 64 --network none debian bash -c "$inside"

step "Done. The program is examples/run.c; the library's headers are in include/libbox."
