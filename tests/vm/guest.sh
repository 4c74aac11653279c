# The guest of tests/vm: its kernel, its file system, its machine. Sourced by `run` and `shell`.
#
# What is made, all below $build/vm:
#   kernel/VERSION/    Debian's cloud kernel, unpacked from its package (never installed)       kept until a new version
#   boot.cpio          busybox and the few modules that it takes to mount the disk
#   root.ext4          busybox, the build's programs with the libraries that they need, tests/, newuidmap
#   *.key              what the two were made from; they are made again when that changes
#
# The disk is attached as a snapshot: nothing that a guest does is kept.

vm=$build/vm
guest_kind=cloud-amd64

# What the guest loads or may want: directories and files below kernel/ in the modules' tree.
guest_modules='fs/overlayfs fs/erofs fs/fuse fs/squashfs fs/nls drivers/virtio drivers/block/virtio_blk.ko drivers/block/loop.ko
drivers/net/veth.ko drivers/net/dummy.ko drivers/net/tun.ko drivers/net/macvlan.ko drivers/net/ipvlan
drivers/net/vxlan drivers/char/hw_random block net/bridge net/802 net/llc net/netfilter net/ipv4 net/ipv6 lib crypto'
boot_modules='virtio_pci virtio_blk'

# Why no guest can run here; nothing when one can.
guest_obstacle() {
    if [ "$(uname -m)" != x86_64 ]; then
        echo "the guest is for x86_64 only"
    elif ! command -v qemu-system-x86_64 >/dev/null; then
        echo "qemu-system-x86_64 is not installed"
    elif ! command -v apt-get >/dev/null && [ -z "${BOX_VM_KERNEL:-}" ]; then
        echo "no apt-get here to fetch Debian's kernel with; BOX_VM_KERNEL may name an unpacked kernel package"
    fi
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# The exact package behind the meta package, e.g. linux-image-6.1.0-40-cloud-amd64.
kernel_package() {
    apt-cache depends "linux-image-$guest_kind" 2>/dev/null | sed -n 's/^ *Depends: *\(linux-image-[^ ]*\)/\1/p' | head -n 1
}

# Sets $kernel, a directory with boot/vmlinuz-* and lib/modules/*, and $version.
get_kernel() {
    kernel=${BOX_VM_KERNEL:-}
    if [ -z "$kernel" ]; then
        package=$(kernel_package)
        [ -n "$package" ] || { as_root apt-get update -q >/dev/null 2>&1; package=$(kernel_package); }
        [ -n "$package" ] || { echo "guest: apt knows no linux-image-$guest_kind" >&2; return 1; }
        kernel=$vm/kernel/$package
        [ -f "$kernel/complete" ] || fetch_kernel "$package" "$kernel" || return 1
    fi
    version=$(ls "$kernel/lib/modules") && [ -f "$kernel/boot/vmlinuz-$version" ] ||
        { echo "guest: $kernel holds no kernel" >&2; return 1; }
}

fetch_kernel() { # PACKAGE DIR
    rm -rf "$vm/kernel"
    mkdir -p "$2" || return 1
    (
        cd "$2" || exit 1
        # apt's own user may not write here, which apt only remarks on.
        apt-get download -q "$1" >apt.log 2>&1 ||
            { as_root apt-get update -q && apt-get download -q "$1"; } >>apt.log 2>&1 || { cat apt.log >&2; exit 1; }
        dpkg-deb -x "$1"_*.deb . && rm -f "$1"_*.deb &&
            busybox depmod -b "$PWD" "$(ls lib/modules)" && : >complete
    )
}

# A module's file and, before it, those that it needs; relative to the modules' directory.
module_closure() { # NAME...
    awk -v wanted="$*" '
        { file = $1; sub(/:$/, "", file); name = file; sub(/.*\//, "", name); sub(/\.ko.*/, "", name)
          gsub(/-/, "_", name); path[name] = file; needs[file] = ""
          for (i = 2; i <= NF; i++) needs[file] = needs[file] " " $i }
        function put(file, n, i, list) {
            if (file == "" || done[file]++) return
            n = split(needs[file], list, " ")
            for (i = n; i >= 1; i--) put(list[i])
            print file
        }
        END { n = split(wanted, want, " "); for (w = 1; w <= n; w++) put(path[want[w]]) }
    ' "$kernel/lib/modules/$version/modules.dep"
}

make_boot() { # the initial file system: mounts the disk and hands over
    key="$version $(cksum <"$here/guest.sh") $(cksum <"$here/boot-init")"
    [ "$(cat "$vm/boot.key" 2>/dev/null)" != "$key" ] || return 0
    stage=$vm/boot.d
    rm -rf "$stage" "$vm/boot.key"
    mkdir -p "$stage/bin" "$stage/modules" "$stage/proc" "$stage/dev" "$stage/disk" || return 1
    cp "$(busybox_path)" "$stage/bin/busybox" && cp "$here/boot-init" "$stage/init" && chmod 755 "$stage/init" || return 1
    # shellcheck disable=SC2086
    for file in $(module_closure $boot_modules); do
        cp "$kernel/lib/modules/$version/$file" "$stage/modules/" && echo "${file##*/}" >>"$stage/modules/order" || return 1
    done
    (cd "$stage" && find . | busybox cpio -o -H newc -R 0:0) >"$vm/boot.cpio" 2>/dev/null || return 1
    rm -rf "$stage"
    echo "$key" >"$vm/boot.key"
}

busybox_path() {
    # shellcheck source=tests/lib/fixture.sh
    (. "$src/tests/lib/fixture.sh" && fixture_busybox)
}

# The programs of the build that go into the guest, relative to $build.
built_programs() {
    (cd "$build" && find lib examples tests -type f -perm -u+x ! -name '*.o' ! -path 'lib/*.p/*' ! -path 'tests/fuzz/*')
}

extra_programs() {
    # The runtimes are there to be measured against, by hand: tests/vm/shell, then tests/bench/run.
    for program in newuidmap newgidmap crun runc; do
        command -v "$program" || :
    done
    # Opened at run time, so no program names them.
    for library in libarchive libcrypto libisal libz libzstd; do
        PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | sed -n "s/^[[:space:]]*$library\\.so\\.[0-9]* .*=> //p" | head -n 1
    done
}

# The libraries that the files named on standard input need, and the loader.
library_closure() {
    xargs -r ldd 2>/dev/null | sed -n -e 's/.*=> \(\/[^ ]*\) (.*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' |
        grep -v "^$build/" | sort -u
}

make_root() {
    key=$({
        echo "$version"
        cd "$build" && built_programs | xargs stat -c '%n %s %y'
        find "$src/tests" -type f -print0 | xargs -0 stat -c '%n %s %y'
    } | cksum)
    [ "$(cat "$vm/root.key" 2>/dev/null)" != "$key" ] || return 0
    stage=$vm/root.d
    rm -rf "$stage" "$vm/root.key"
    mkdir -p "$stage" || return 1
    stage_base "$stage" && stage_modules "$stage" && stage_programs "$stage" || return 1
    rm -f "$vm/root.ext4"
    PATH=$PATH:/usr/sbin:/sbin mke2fs -q -t ext4 -d "$stage" -E root_owner=0:0 -O ^has_journal "$vm/root.ext4" 2G \
        >"$vm/mke2fs.log" 2>&1 || { cat "$vm/mke2fs.log" >&2; return 1; }
    rm -rf "$stage"
    echo "$key" >"$vm/root.key"
}

stage_base() { # DIR: busybox, users, directories, init
    (
        umask 022
        cd "$1" || exit 1
        mkdir -p usr/bin usr/sbin usr/lib usr/lib64 etc dev proc sys run var/tmp var/lib tmp root box/src home/tester mnt
        # The merged /usr of today's distributions: libraries are found by either name.
        ln -s usr/bin bin && ln -s usr/sbin sbin && ln -s usr/lib lib && ln -s usr/lib64 lib64
        chmod 1777 tmp var/tmp && chmod 700 root
        cp "$(busybox_path)" usr/bin/busybox || exit 1
        busybox --list | while read -r applet; do
            [ "$applet" = busybox ] || echo "usr/bin/$applet"
        done | xargs -n 1 ln -s busybox
        ln -s ../bin/busybox usr/sbin/modprobe
        printf '%s\n' root:x:0:0:root:/root:/bin/sh daemon:x:1:1:daemon:/:/bin/false \
            tester:x:1000:1000:tester:/home/tester:/bin/sh nobody:x:65534:65534:nobody:/:/bin/false >etc/passwd
        printf '%s\n' root:x:0: daemon:x:1: tty:x:5: tester:x:1000: nogroup:x:65534: >etc/group
        printf '%s\n' root::19000:::::: tester::19000:::::: >etc/shadow
        chmod 640 etc/shadow
        for file in subuid subgid; do echo tester:100000:65536 >"etc/$file"; done
        printf '%s\n' 'passwd: files' 'group: files' 'shadow: files' >etc/nsswitch.conf
        echo guest >etc/hostname
        printf '%s\n' '127.0.0.1 localhost guest' >etc/hosts
        cp "$here/guest-init" usr/sbin/init && chmod 755 usr/sbin/init
        # mke2fs keeps the owner that a file has here; made by an ordinary user, the guest has to put that right.
        [ "$(id -u)" -eq 0 ] || : >etc/fix-owners
    )
}

stage_modules() { # DIR
    target=$1/usr/lib/modules/$version
    mkdir -p "$target" || return 1
    (
        cd "$kernel/lib/modules/$version" || exit 1
        for what in $guest_modules; do
            [ ! -e "kernel/$what" ] || echo "kernel/$what"
        done | tar -cf - -T - modules.builtin modules.order
    ) | tar -C "$target" -xf - && busybox depmod -b "$1/usr" "$version"
}

stage_programs() { # DIR
    mkdir -p "$1/box/build" && (cd "$build" && { built_programs; find lib -name 'libbox.so*'; } | sort -u |
        tar -cf - -T -) | tar -C "$1/box/build" -xf - || return 1
    (cd "$src" && tar -cf - tests) | tar -C "$1/box/src" -xf - || return 1
    (. "$src/tests/lib/fixture.sh" && fixture_cache "$1/box/fixtures" "$src/tests/lib/fixture.sh") || return 1
    extra_programs >"$vm/extra"
    { (cd "$build" && built_programs | sed "s|^|$build/|"); cat "$vm/extra"; } | library_closure >"$vm/libraries"
    # By name as the loader asks for it: a symbolic link becomes the file.
    cat "$vm/extra" "$vm/libraries" | while read -r file; do
        mkdir -p "$1/${file%/*}" && cp -L "$file" "$1/$file" || exit 1
    done || return 1
    for program in newuidmap newgidmap; do
        [ ! -f "$1/usr/bin/$program" ] || chmod 4755 "$1/usr/bin/$program"
    done
}

make_guest() {
    mkdir -p "$vm" && get_kernel && make_boot && make_root
}

# Runs the machine in the foreground. KVM is not counted on: where it half works, a guest hangs.
machine() { # SECONDS KERNEL-ARGUMENTS QEMU-ARGUMENT...
    seconds=$1 arguments=$2
    shift 2
    timeout -k 5 "$seconds" qemu-system-x86_64 \
        -accel "${BOX_VM_ACCEL:-tcg,thread=multi}" -cpu max -smp "${BOX_VM_CPUS:-2}" -m "${BOX_VM_MEMORY:-2G}" \
        -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$kernel/boot/vmlinuz-$version" -initrd "$vm/boot.cpio" \
        -append "console=ttyS0 panic=-1 mitigations=off hugepages=32 $arguments" \
        -drive "file=${disk:-$vm/root.ext4},format=raw,if=virtio,snapshot=on,cache=unsafe" "$@"
}
