#!/bin/sh
# -v, --mount, --tmpfs, --read-only: what is mounted where, and what is refused.
. "$BOX_SRC/tests/integration/common.sh"
setup
[ "$(id -u)" = 0 ] || chmod 777 "$BOX_TMP"

data=$BOX_TMP/data
mkdir -p "$data/sub" && echo host >"$data/file"
is "-v shows a directory of the host's" "$(box run --rm -v "$data:/data" busybox cat /data/file)" host
ok "and is written through" box run --rm -v "$data:/data" busybox sh -c 'echo in >/data/new'
is "to the host" "$(cat "$data/new")" in
not_ok "ro is read only" box run --rm -v "$data:/data:ro" busybox sh -c 'echo x >/data/no'
is "a single file" "$(box run --rm -v "$data/file:/etc/one" busybox cat /etc/one)" host
not_ok "ro of a file" box run --rm -v "$data/file:/etc/one:ro" busybox sh -c 'echo x >/etc/one'
is "--mount type=bind" "$(box run --rm --mount "type=bind,source=$data,target=/data" busybox cat /data/file)" host
not_ok "--mount readonly" box run --rm --mount "type=bind,src=$data,dst=/data,readonly" busybox touch /data/no
status_is "--mount of what is not there" 125 box run --rm --mount "type=bind,src=/no/such,dst=/data" busybox true
says "is said" 'bind source path does not exist: /no/such'
status_is "--mount without a place" 125 box run --rm --mount "type=bind,src=$data" busybox true
status_is "--mount of an unknown kind" 125 box run --rm --mount "type=frob,dst=/x" busybox true
ok "a named volume is made" box run --rm -v keep:/keep busybox sh -c 'echo kept >/keep/file'
is "and kept" "$(box run --rm -v keep:/other busybox cat /other/file)" kept
is "--mount type=volume is the same" "$(box run --rm --mount type=volume,src=keep,dst=/v busybox cat /v/file)" kept
is "--tmpfs" "$(box run --rm --tmpfs /scratch busybox sh -c 'echo x >/scratch/f && stat -f -c %T /scratch')" tmpfs
is "--tmpfs with a size" "$(box run --rm --tmpfs /scratch:size=8m busybox df -m /scratch | awk 'END { print $2 }')" 8
is "--mount type=tmpfs" "$(box run --rm --mount type=tmpfs,dst=/scratch,tmpfs-size=4m busybox df -m /scratch | awk 'END { print $2 }')" 4
ok "a new named volume begins as what the image has there" box run --rm -v filled:/etc busybox grep -q root /etc/passwd
box run --rm -v filled:/etc busybox sh -c 'echo changed >/etc/passwd'
is "and is not filled a second time" "$(box run --rm -v filled:/etc busybox cat /etc/passwd)" changed
is "unless it is asked not to be" "$(box run --rm -v bare:/etc:nocopy busybox ls -A /etc | grep passwd)" ""
not_ok "--read-only" box run --rm --read-only busybox touch /no
ok "with room where a tmpfs is" box run --rm --read-only --tmpfs /tmp busybox touch /tmp/yes
ok "the root is writable otherwise" box run --rm busybox touch /yes
status_is "and each container has its own" 1 box run --rm busybox test -e /yes
status_is "a relative place is refused" 125 box run --rm -v "$data:data" busybox true

# A place that leaves the root by a link of the image's.
fixture_rootfs "$BOX_TMP/evil"
ln -s "$BOX_TMP/outside" "$BOX_TMP/evil/escape" && ln -s /../../../../tmp "$BOX_TMP/evil/up"
mkdir "$BOX_TMP/outside"
box import "$BOX_TMP/evil" evil >/dev/null
box run --rm -v "$data:/escape/in" evil true >/dev/null 2>&1
is "nothing is made outside of the root by a link of the image's" "$(ls "$BOX_TMP/outside")" ""
no_containers "nothing is left"
done_testing
