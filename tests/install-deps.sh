#!/bin/sh
# Installs what is missing for building libbox, for its tests or for its examples; says what it does.
#
#   sh tests/install-deps.sh GROUP...          build | test | vm | quickstart
#   sh tests/install-deps.sh --list GROUP...   only names the packages that are missing
#
# Knows apt, dnf and apk. Needs root, sudo or doas, but only when something is missing. Packages in a group's
# `optional` list make something faster or more tests run; a release that does not have one of them is not an error. (Criterion is in
# Debian and its like; elsewhere it depends on the release.)
set -eu

list_only=
[ "${1:-}" != --list ] || { list_only=1; shift; }

for manager in apt-get dnf apk none; do
    command -v "$manager" >/dev/null 2>&1 && break
done

packages() { # GROUP required|optional
    case $manager:$1:$2 in
    apt-get:build:required) echo gcc libc6-dev meson ninja-build pkg-config libmount-dev libseccomp-dev \
        libcap-ng-dev libjson-c-dev libarchive-dev ;;
    apt-get:build:optional) echo libisal-dev ;;
    apt-get:test:required) echo g++ libcriterion-dev binutils busybox-static ;;
    apt-get:test:optional) echo uidmap skopeo umoci clang libclang-rt-dev erofs-utils libcurl4 docker-registry apache2-utils podman buildah netavark runc \
        docker.io containerd iptables iproute2 openssl python3 debootstrap libsystemd0 ;;
    apt-get:vm:required) echo qemu-system-x86 e2fsprogs busybox-static ;;
    apt-get:vm:optional) echo uidmap debootstrap ;;
    apt-get:quickstart:required) echo debootstrap ;;

    dnf:build:required) echo gcc glibc-devel meson ninja-build pkgconf-pkg-config libmount-devel libseccomp-devel \
        libcap-ng-devel json-c-devel libarchive-devel ;;
    dnf:build:optional) echo isa-l-devel ;;
    dnf:test:required) echo gcc-c++ binutils busybox libasan libubsan libtsan ;;
    dnf:test:optional) echo criterion-devel shadow-utils-subid skopeo umoci clang compiler-rt erofs-utils libcurl httpd-tools \
        openssl python3 ;;
    dnf:vm:required) echo qemu-system-x86-core e2fsprogs busybox ;;
    dnf:quickstart:required) echo debootstrap ;;

    apk:build:required) echo gcc musl-dev linux-headers meson samurai pkgconf util-linux-dev libseccomp-dev \
        libcap-ng-dev json-c-dev libarchive-dev ;;
    apk:build:optional) echo isa-l-dev ;;
    apk:test:required) echo g++ binutils busybox-static ;;
    apk:test:optional) echo criterion-dev shadow-subids skopeo umoci clang compiler-rt erofs-utils libcurl apache2-utils \
        openssl python3 docker-registry ;;
    apk:vm:required) echo qemu-system-x86_64 e2fsprogs busybox-static ;;
    apk:quickstart:required) echo debootstrap ;;
    esac
}

installed() {
    case $manager in
    apt-get) dpkg-query -W -f='${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed ;;
    dnf) rpm -q --quiet --whatprovides "$1" ;;
    apk) apk info -q -e "$1" ;;
    *) false ;;
    esac
}

missing() { # GROUP KIND
    for package in $(packages "$1" "$2"); do
        installed "$package" || echo "$package"
    done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    elif command -v doas >/dev/null 2>&1; then
        doas "$@"
    else
        echo "install-deps: need root, sudo or doas for: $*" >&2
        return 1
    fi
}

refresh() { # once a run: the package lists of a fresh machine or image are empty or old
    [ -z "${refreshed:-}" ] || return 0
    refreshed=1
    [ "$manager" != apt-get ] || as_root apt-get update -q
}

install() {
    case $manager in
    apt-get) as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "$@" ;;
    dnf) as_root dnf install -q -y --setopt=install_weak_deps=False "$@" ;;
    apk) as_root apk add --no-progress "$@" ;;
    esac
}

# Package managers lock; another run of this script, or the machine's own upgrade, may hold the lock for a while.
install_logged() {
    log=$(mktemp)
    if install "$@" >"$log" 2>&1 </dev/null || { refresh >>"$log" 2>&1 && install "$@" >>"$log" 2>&1 </dev/null; }; then
        rm -f "$log"
    else
        tail -n 30 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

required='' optional=''
for group; do
    case $group in
    build | test | vm | quickstart) ;;
    *) echo "install-deps: no group \"$group\" (build, test, vm, quickstart)" >&2; exit 2 ;;
    esac
    required="$required $(missing "$group" required | tr '\n' ' ')"
    optional="$optional $(missing "$group" optional | tr '\n' ' ')"
done
# shellcheck disable=SC2086  # word splitting is wanted: lists of package names
required=$(printf '%s\n' $required | sort -u | tr '\n' ' ') optional=$(printf '%s\n' $optional | sort -u | tr '\n' ' ')
required=${required# } optional=${optional# }

if [ -n "$list_only" ]; then
    echo "$required$optional"
    exit 0
fi
if [ "$manager" = none ]; then
    echo "install-deps: no apt-get, dnf or apk here; going on with what is installed" >&2
    exit 0
fi
if [ -n "${required# }" ]; then
    echo "installing with $manager: $required"
    # shellcheck disable=SC2086
    install_logged $required || { echo "install-deps: could not install: $required" >&2; exit 1; }
fi
for package in $optional; do
    echo "installing with $manager: $package (optional)"
    install_logged "$package" 2>/dev/null || echo "  $package: not available here"
done
