#!/bin/sh
# box in a chroot(2), as in a build chroot: one that is no mount, which has no propagation and cannot be pivoted away, and
# one that is a mount, above which the payload must not get.
. "$BOX_SRC/tests/integration/common.sh"
[ "$(id -u)" = 0 ] || skip_all "only root may chroot"
unshare -m true 2>/dev/null || skip_all "no unshare(1)"
command -v chroot >/dev/null || skip_all "no chroot(1)"
setup

# Everything of the host's, bound below a directory: the directory itself is no mount. That of its own parent is left out.
cat >"$BOX_TMP/enter" <<'SCRIPT'
set -e
kind=$1 new=$2 inside=$3
mount -t tmpfs tmpfs "$new"
[ "$kind" = mount ] || { mkdir "$new/root"; new=$new/root; }
for dir in /*; do
    case $dir in /lost+found | /proc) continue ;; esac
    if [ -L "$dir" ]; then
        ln -s "$(readlink "$dir")" "$new$dir"
    elif [ -d "$dir" ]; then
        mkdir "$new$dir" && mount --rbind "$dir" "$new$dir"
    fi
done
mkdir "$new/proc" && mount -t proc proc "$new/proc"
exec chroot "$new" sh "$inside"
SCRIPT
payload=$BOX_BUILD/tests/hostile/helper-payload
echo marker >"$BOX_TMP/marker"
cat >"$BOX_TMP/inside" <<SCRIPT
b() { "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" "\$@"; }
grep -q ' / / ' /proc/self/mountinfo && echo "root is a mount" || echo "root is no mount"
echo "run: \$(b run --rm busybox echo works)"
echo "read only: \$(b run --rm --read-only busybox sh -c 'touch /no 2>/dev/null || echo kept')"
b run -d --name web busybox sleep 1000 >/dev/null && echo "exec: \$(b exec web echo works)"
b rm -f web >/dev/null
[ ! -x "$payload" ] || b run --rm --cap-add SYS_ADMIN -v "$payload:/bin/payload:ro" busybox /bin/payload escape "$BOX_TMP/marker"
b doctor | tail -n 1
SCRIPT
mkdir "$BOX_TMP/top"
for kind in directory mount; do
    out=$(unshare -m sh -c 'mount --make-rprivate / && exec sh "$@"' sh "$BOX_TMP/enter" "$kind" "$BOX_TMP/top" "$BOX_TMP/inside" 2>&1)
    like "a chroot to a $kind is entered" "$out" 'root is'
    like "$kind: containers run" "$out" '^run: works$'
    like "$kind: with a root that is only read" "$out" '^read only: kept$'
    like "$kind: exec" "$out" '^exec: works$'
    if [ -x "$payload" ]; then
        is "$kind: chroot(2) in the container leads nowhere" "$(echo "$out" | grep -E '^(marker|payload)' | tr '\n' '|')" \
            "marker: ENOENT|payload: OK|marker from above: ENOENT|marker from below: ENOENT|payload still: OK|"
    else
        skip "$kind: chroot(2) in the container leads nowhere" "the program for it is not built"
    fi
    like "$kind: doctor knows" "$out" 'Containers can be started here'
done
no_containers "nothing is left"
done_testing
