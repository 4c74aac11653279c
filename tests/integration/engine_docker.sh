#!/bin/sh
# box-oci under Docker Engine (and so containerd): a daemon of the test's own drives it.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

oci=$BOX_BUILD/examples/box-oci/box-oci
[ -x "$oci" ] || skip_all "box-oci is not built"
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -z "${BOX_VM:-}" ] || skip_all "the guest has no Docker Engine"
case $BOX_BUILD in *-asan | *-tsan) skip_all "the engine's time limits are not for sanitizers" ;; esac
if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then skip_all "Docker Engine is not installed"; fi
socket=unix://$BOX_TMP/d.sock
printf '{"runtimes": {"box-oci": {"path": "%s"}}}' "$oci" >"$BOX_TMP/daemon.json"
dockerd --config-file "$BOX_TMP/daemon.json" --data-root "$BOX_TMP/data" --exec-root "$BOX_TMP/exec" -H "$socket" \
    -p "$BOX_TMP/pid" --iptables=false --bridge=none --storage-driver vfs >"$BOX_TMP/dockerd.log" 2>&1 &
daemon=$!
d() { timeout 100 docker -H "$socket" "$@"; }
end() {
    # shellcheck disable=SC2046
    d rm -f $(d ps -aq) >/dev/null 2>&1
    kill "$daemon" 2>/dev/null
    wait "$daemon" 2>/dev/null
}
trap end EXIT
tries=60
until d version >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] && kill -0 "$daemon" 2>/dev/null || skip_all "dockerd does not start here: $(tail -n 1 "$BOX_TMP/dockerd.log" | cut -c1-150)"
    sleep 0.5
done
run() { d run --rm --runtime box-oci --network none "$@"; }

fixture_rootfs "$BOX_TMP/rootfs" || skip_all "no static busybox to make an image of"
ok "an image" sh -c 'tar -C "$1" -c . | docker -H "$2" import - bb:1' - "$BOX_TMP/rootfs" "$socket"
is "run" "$(run bb:1 echo hello)" hello
status_is "ends as its program did" 3 run bb:1 sh -c 'exit 3'
# The command line tool gives 125 or 127 by the engine's own reading of the message.
status_is "a program that is not there" 127 run bb:1 /no/such
is "input" "$(echo in | run -i bb:1 cat)" in
ok "detached" d run -d --name web --runtime box-oci --network none bb:1 sh -c 'trap "exit 0" TERM; echo log; while :; do sleep 0.1; done'
is "logs" "$(d logs web)" log
status_is "exec" 5 d exec web sh -c 'exit 5'
is "exec's output" "$(d exec web echo out)" out
ok "pause" d pause web
ok "unpause" d unpause web
ok "update" d update --pids-limit 50 web
like "stats" "$(d stats --no-stream web)" 'web'
like "top" "$(d top web)" 'sh -c'
ok "restart" d restart -t 3 web
ok "kill" d kill web
ok "start" d start web
ok "stop" d stop -t 3 web
ok "rm" d rm web
like "a terminal" "$(run -t bb:1 sh -c 'ls -l /proc/self/fd/1')" '/dev/pts/0'
[ ! -d /sys/fs/cgroup/memory ] || is "a limit is seen inside" "$(run -m 64m bb:1 cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 67108864
mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a volume" "$(run -v "$BOX_TMP/volume:/v:ro" bb:1 cat /v/file)" data
is "nothing is left" "$(d ps -aq)" ""
done_testing
