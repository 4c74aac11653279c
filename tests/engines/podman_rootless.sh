#!/bin/sh
# box-oci under Podman as an ordinary user: a user of the test's own, with subordinate ids, in the test's own mount namespace.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start podman setpriv newuidmap
user=libboxtest id=54321 home=$BOX_TMP/user
mkdir "$home" "$BOX_TMP/etc"
for file in passwd group subuid subgid; do cp "/etc/$file" "$BOX_TMP/etc/$file" 2>/dev/null || skip_all "/etc/$file is not there"; done
echo "$user:x:$id:$id::$home:/bin/sh" >>"$BOX_TMP/etc/passwd"
echo "$user:x:$id:" >>"$BOX_TMP/etc/group"
echo "$user:3000000:65536" >>"$BOX_TMP/etc/subuid"
echo "$user:3000000:65536" >>"$BOX_TMP/etc/subgid"
for file in passwd group subuid subgid; do engine_bind "$BOX_TMP/etc/$file" "/etc/$file"; done

fixture_rootfs "$BOX_TMP/rootfs" || skip_all "no static busybox to make an image of"
tar -C "$BOX_TMP/rootfs" -cf "$home/image.tar" .
mkdir "$home/run" "$home/tmp" "$home/net"
chmod 700 "$home/run"
# The build may be where others cannot go; the program finds its library from where it is.
mkdir -p "$home/build/lib" "$home/build/examples/box-oci" && cp "$oci" "$home/build/examples/box-oci/runtime" || exit 1
for file in "$BOX_BUILD/lib/libbox.so".*; do [ ! -f "$file" ] || cp -L "$file" "$home/build/lib"; done
sed -e "s|$BOX_TMP/tmp|$home/tmp|; s|$BOX_TMP/net|$home/net|; /static_dir/d; /tmp_dir/d; /volume_path/d; s|under-test = .*|under-test = [\"$home/build/examples/box-oci/runtime\"]|" \
    "$BOX_TMP/containers.conf" >"$home/containers.conf"
printf '[storage]\ndriver = "vfs"\n' >"$home/storage.conf"
chown -R "$id:$id" "$home"
cd "$home" || exit 1
as_user() {
    timeout 60 setpriv --reuid "$id" --regid "$id" --clear-groups --bounding-set -all,+setuid,+setgid,+dac_override,+chown,+fowner,+sys_admin \
        env -i PATH="$PATH" HOME="$home" USER="$user" LOGNAME="$user" XDG_RUNTIME_DIR="$home/run" TMPDIR="$home/tmp" \
        CONTAINERS_CONF="$home/containers.conf" CONTAINERS_STORAGE_CONF="$home/storage.conf" CONTAINERS_REGISTRIES_CONF="$BOX_TMP/registries.conf" "$@"
}
up() { as_user podman "$@"; }
run_up() { up run --rm --network none "$@"; }
clear_user() {
    up rm -af -t 0 >/dev/null 2>&1
    up system migrate >/dev/null 2>&1 # ends the process that keeps the user's namespaces
    engine_clear
}
trap clear_user EXIT
up import -q -c 'ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin' image.tar bb:1 >/dev/null 2>"$BOX_TMP/why" ||
    skip_all "Podman cannot keep an ordinary user's images here: $(tail -n 1 "$BOX_TMP/why" | cut -c1-150)"

is "run" "$(run_up bb:1 sh -c 'id -u; echo hello' | tr '\n' ' ')" "0 hello "
like "in the user's ids" "$(run_up bb:1 cat /proc/self/uid_map)" '^ *0 +54321 +1$'
status_is "ends as its program did" 3 run_up bb:1 sh -c 'exit 3'
status_is "a program that is not there is 127" 127 run_up bb:1 /no/such
is "another user" "$(run_up -u app bb:1 sh -c 'id -u; id -G' | tr '\n' ' ')" "1000 1000 29 1001 "
is "input" "$(echo in | run_up -i bb:1 cat)" in
like "a terminal" "$(run_up -t bb:1 sh -c 'test -t 0 && tty' </dev/null)" '/dev/(pts/[0-9]|console)'
is "devices are the machine's" "$(run_up bb:1 sh -c 'head -c 2 /dev/zero | wc -c; echo x >/dev/null && stat -c %t:%T /dev/null' | tr '\n' ' ')" "2 1:3 "
mkdir "$home/volume" && echo data >"$home/volume/file" && chown -R "$id:$id" "$home/volume"
is "a volume" "$(run_up -v "$home/volume:/v" bb:1 sh -c 'cat /v/file; echo more >/v/new')" data
is "whose new files are the user's" "$(stat -c %u "$home/volume/new")" "$id"
is "system calls are filtered" "$(run_up bb:1 sed -n 's/^Seccomp:.//p' /proc/self/status)" 2
is "kept ids" "$(run_up --userns keep-id bb:1 id -u)" "$id"
ok "detached" up run -d --name web --network none bb:1 sh -c 'trap "exit 0" TERM; echo log; while :; do sleep 0.1; done'
status_is "exec" 5 up exec web sh -c 'exit 5'
like "exec with a terminal" "$(up exec -t web tty </dev/null)" '/dev/pts/[0-9]'
is "logs" "$(up logs web)" log
ok "restart" up restart -t 5 web
ok "kill" up kill web
ok "start" up start web
ok "stop" up stop -t 20 web
is "so that it ends well" "$(up inspect -f '{{.State.ExitCode}}' web)" 0
printf 'FROM bb:1\nRUN id -u >/made\n' >"$home/Dockerfile"
ok "a build with RUN" up build -q --network none -t built:1 -f "$home/Dockerfile" "$home/volume"
is "has what was run" "$(run_up built:1 cat /made)" 0
ok "rm" up rm -af -t 0
is "no container is left to the runtime" "$(ls "$home/run/box-oci" 2>/dev/null)" ""
done_testing
