#!/bin/sh
# box-oci under containerd by itself: a daemon of the test's own, and ctr.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/docker_common.sh"

engine_begin containerd ctr script
socket=$BOX_TMP/c.sock
cat >"$BOX_TMP/config.toml" <<TOML
version = 2
root = "$BOX_TMP/root"
state = "/run/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$socket"
[ttrpc]
address = "$socket.ttrpc"
TOML
c() { timeout -k 1 15 ctr -a "$socket" -n test "$@"; }
containerd_start() {
    containerd -c "$BOX_TMP/config.toml" >>"$BOX_TMP/log" 2>&1 &
    ctrd=$!
    eventually 20 c version >/dev/null 2>&1
}
containerd_start || skip_all "containerd does not start here: $(tail -n 1 "$BOX_TMP/log" | cut -c1-200)"
fixture_image "$BOX_TMP/layout" 1 || skip_all "no static busybox to make an image of"
tar -C "$BOX_TMP/layout" -cf "$BOX_TMP/image.tar" .
c image import --base-name box/bb "$BOX_TMP/image.tar" >/dev/null 2>"$BOX_TMP/why" || skip_all "containerd cannot keep images here: $(cat "$BOX_TMP/why")"
bb=$(c image ls -q | head -n 1)
n=0
# Containers of one command have names of their own, from numbers.
create() { # ID OPTION...
    create_id=$1
    shift
    c run --runc-binary "$oci" --runc-root /run/runc --cgroup "$group/$create_id" "$@"
}
run() { # [OPTION...] -- COMMAND...
    n=$((n + 1))
    options=''
    while [ "$1" != -- ]; do options="$options $1"; shift; done
    shift
    # shellcheck disable=SC2086
    create "r$n" --rm $options "$bb" "r$n" "$@"
}
status() { c task ls | awk -v id="$1" '$1 == id { print $3 }'; }
status_is_now() { [ "$(status "$2")" = "$1" ]; }
limit() { # CONTROLLER FILE-OF-V1 FILE-OF-V2 CONTAINER
    if [ -d /sys/fs/cgroup/memory ]; then cat "/sys/fs/cgroup/$1$group/$4/$2"; else cat "/sys/fs/cgroup$group/$4/$3"; fi
}
waits='trap "exit 0" TERM; trap "echo usr1" USR1; echo log; while :; do sleep 0.1; done'

# ---- run
is "run" "$(run -- echo hello)" hello
n=100
status_is "ends as its program did" 3 run -- sh -c 'exit 3'
n=101
not_ok "a program that is not there" run -- /no/such
like "is told" "$ERR" '/no/such.*[Nn]o such file'
c container rm r102 >/dev/null 2>&1
n=110
# ctr does not pass the end of its input on.
is "input" "$(echo in | run -- head -n 1)" in
n=120
is "somewhere, with a variable" "$(run --cwd /var/log --env WORD=here -- sh -c 'pwd; echo $WORD' | tr '\n' ' ')" "/var/log here "
n=130
not_ok "read-only" run --read-only -- touch /x
n=140
mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a mount" "$(run --mount "type=bind,src=$BOX_TMP/volume,dst=/v,options=rbind:ro" -- cat /v/file)" data
n=150
is "the engine's filter" "$(run --seccomp -- sed -n 's/^Seccomp:.//p' /proc/self/status)" 2
n=160
is "no new privileges" "$(run -- sed -n 's/^NoNewPrivs:.//p' /proc/self/status)" 1
n=170
is "capabilities" "$(run --cap-drop CAP_KILL --cap-add CAP_SYSLOG -- sed -n 's/^CapEff:.//p' /proc/self/status)" 00000004a80425db
n=180
is "a device" "$(run --device /dev/kmsg -- sh -c 'test -c /dev/kmsg && echo there')" there
n=190
is "the network's own" "$(run -- ls /sys/class/net)" lo
n=200
is "the machine's network" "$(run --net-host -- readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
n=210
is "a file system that is nobody's layer" "$(fixture_rootfs "$BOX_TMP/rootfs" && create bare --rm --rootfs "$BOX_TMP/rootfs" bare echo bare)" bare

# ---- a terminal
on_terminal ctr -a "$socket" -n test run --rm -t --runc-binary "$oci" --runc-root /run/runc --cgroup "$group/tty" "$bb" tty \
    sh -c 'echo on "$(tty)"; exit 4' </dev/null >"$BOX_TMP/tty" 2>&1
is "with a terminal, ends as its program did" $? 4
like "and shows what it said" "$(cat "$BOX_TMP/tty")" 'on /dev/pts/0'
like "of the same size" "$(on_terminal sh -c 'stty rows 33 cols 99; ctr -a "$0" -n test run --rm -t --runc-binary "$1" --cgroup "$2/size" \
    "$3" size sh -c "sleep 1; stty size"' "$socket" "$oci" "$group" "$bb" </dev/null)" '33 99'

# ---- a task
ok "detached" create web -d --memory-limit 33554432 --cpus 0.5 --cpu-shares 256 --log-uri "file://$BOX_TMP/web.log" --pid-file "$BOX_TMP/pid" \
    "$bb" web sh -c "$waits"
ok "its log" eventually 10 grep -q log "$BOX_TMP/web.log"
is "its pid" "$(cat "$BOX_TMP/pid")" "$(c task ls | awk '$1 == "web" { print $2 }')"
is "runs" "$(status web)" RUNNING
is "memory" "$(limit memory memory.limit_in_bytes memory.max web)" 33554432
like "time" "$(limit cpu cpu.cfs_quota_us cpu.max web)" '^50000'
status_is "exec" 5 c task exec --exec-id e1 web sh -c 'exit 5'
is "exec's output" "$(c task exec --exec-id e2 web echo out)" out
is "exec's input" "$(echo in | c task exec --exec-id e3 web head -n 1)" in
is "exec as a user" "$(c task exec --exec-id e4 --user 7:8 web sh -c 'id -u; id -g' | tr '\n' ' ')" "7 8 "
is "exec somewhere else" "$(c task exec --exec-id e5 --cwd /var/log web pwd)" /var/log
not_ok "exec of what is not there" c task exec --exec-id e6 web /no/such
like "exec on a terminal" "$(on_terminal ctr -a "$socket" -n test task exec -t --exec-id e7 web tty </dev/null)" '/dev/pts/[0-9]'
ok "exec detached" c task exec -d --exec-id e8 web sh -c 'echo done >/detached'
ok "runs" eventually 10 c task exec --exec-id "t$$" web test -e /detached
like "ps" "$(c task ps web)" '^[0-9]+'
ok "pause" c task pause web
is "is seen" "$(status web)" PAUSED
ok "resume" c task resume web
is "is seen too" "$(status web)" RUNNING
like "metrics" "$(c task metrics web)" 'memory'
ok "a signal" c task kill -s SIGUSR1 web
ok "arrives" eventually 10 grep -q usr1 "$BOX_TMP/web.log"
not_ok "delete while it runs" c task rm web
skip "checkpoint" "box-oci has none"

# ---- the daemon dies, the task lives
end_pid "$ctrd" KILL
ok "runs without the daemon" kill -0 "$(cat "$BOX_TMP/pid")"
# With --uidmap ctr drops --runc-binary again: what is called runc is box-oci from here on.
mkdir "$BOX_TMP/bin" && ln -s "$oci" "$BOX_TMP/bin/runc"
PATH=$BOX_TMP/bin:$PATH
ok "the daemon comes back" containerd_start
is "and finds it" "$(status web)" RUNNING
is "exec" "$(c task exec --exec-id f1 web echo in)" in
ok "stop" c task kill web
ok "ends" eventually 10 status_is_now STOPPED web
ok "delete" c task rm web
ok "and the container" c container rm web
ok "a task that is killed" create dies -d --null-io "$bb" dies sleep 1000
ok "kill" c task kill -s SIGKILL dies
ok "ends" eventually 10 status_is_now STOPPED dies
ok "delete" c task rm dies
like "tells 137" "$ERR" 'exit code 137'
ok "a second task of the same container" c task start -d --null-io dies
is "runs" "$(status dies)" RUNNING
ok "delete by force" c task rm -f dies
ok "and the container" c container rm dies

# ---- a user namespace, joined namespaces
n=300
is "a user namespace" "$(run --uidmap 0:300000:65536 --gidmap 0:300000:65536 -- cat /proc/self/uid_map | tr -s ' ')" " 0 300000 65536"
n=310
is "whose root owns the files" "$(run --uidmap 0:300000:65536 --gidmap 0:300000:65536 -- stat -c %u /bin/busybox)" 0
ok "one to share with" create peer -d --null-io --pid-file "$BOX_TMP/peer" "$bb" peer sleep 1000
peer=$(cat "$BOX_TMP/peer")
n=320
is "another's network" "$(run --with-ns "network:/proc/$peer/ns/net" -- readlink /proc/self/ns/net)" "$(readlink "/proc/$peer/ns/net")"
n=330
like "another's processes" "$(run --with-ns "pid:/proc/$peer/ns/pid" -- cat /proc/1/cmdline | tr '\0' ' ')" 'sleep 1000'
c task rm -f peer >/dev/null
c container rm peer

# ---- twenty at once
ids=''
for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20; do
    create "many$i" --rm "$bb" "many$i" echo "$i" >"$BOX_TMP/out$i" 2>&1 &
    ids="$ids $!"
done
# shellcheck disable=SC2086
wait $ids
is "twenty at once" "$(cat "$BOX_TMP"/out[0-9]* | tr '\n' ' ')" "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 "

is "no task is left" "$(c task ls -q)" ""
is "no container" "$(c container ls -q)" ""
is "no state" "$(find /run/runc/test -mindepth 1 2>/dev/null)" ""
is "no group" "$(find /sys/fs/cgroup/*"$group"/* /sys/fs/cgroup"$group"/* -maxdepth 0 -type d 2>/dev/null)" ""
done_testing
