#!/bin/sh
# box-oci under Podman: what an engine does with a runtime, from run to remove.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

oci=$BOX_BUILD/examples/box-oci/box-oci
[ -x "$oci" ] || skip_all "box-oci is not built"
[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -z "${BOX_VM:-}" ] || skip_all "the guest has no Podman"
command -v podman >/dev/null || skip_all "podman is not installed"
case $BOX_BUILD in *-asan | *-tsan) skip_all "the engine's time limits are not for sanitizers" ;; esac
backend=netavark
command -v netavark >/dev/null || [ -x /usr/lib/podman/netavark ] || backend=cni
cat >"$BOX_TMP/containers.conf" <<CONF
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
box-oci = ["$oci"]
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[network]
network_backend = "$backend"
CONF
CONTAINERS_CONF=$BOX_TMP/containers.conf
export CONTAINERS_CONF
p() { timeout 100 podman --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" --storage-driver vfs --runtime box-oci "$@"; }
run() { p run --rm --network none "$@"; }
clear_all() {
    p rm -af >/dev/null 2>&1
    p rmi -af >/dev/null 2>&1
}

fixture_rootfs "$BOX_TMP/rootfs" || skip_all "no static busybox to make an image of"
tar -C "$BOX_TMP/rootfs" -cf "$BOX_TMP/image.tar" .
p import -q "$BOX_TMP/image.tar" bb:1 >/dev/null 2>"$BOX_TMP/why" || skip_all "podman cannot keep images here: $(tail -n 1 "$BOX_TMP/why")"
trap clear_all EXIT

is "run" "$(run bb:1 echo hello)" hello
status_is "ends as its program did" 3 run bb:1 sh -c 'exit 3'
status_is "a program that is not there is 127" 127 run bb:1 /no/such
status_is "one that cannot be run is 126" 126 run bb:1 /etc/passwd
is "input" "$(echo in | run -i bb:1 cat)" in
ok "detached" p run -d --name web --network none bb:1 sh -c 'trap "exit 0" TERM; echo log; while :; do sleep 0.1; done'
is "logs" "$(p logs web)" log
status_is "exec" 5 p exec web sh -c 'exit 5'
is "exec's output" "$(p exec web echo out)" out
is "exec as another user" "$(p exec -u 7:8 web id -u)" 7
ok "pause" p pause web
ok "unpause" p unpause web
like "stats" "$(p stats --no-stream web 2>&1)" 'web'
like "top" "$(p top web 2>&1)" 'sleep|sh'
ok "restart" p restart -t 3 web
ok "kill" p kill web
ok "stop" p stop -t 1 web
ok "start" p start web
ok "rm -f" p rm -f -t 1 web
like "a terminal" "$(p run --rm -t --network none bb:1 tty </dev/null)" '/dev/(pts/[0-9]|console)'
if [ -d /sys/fs/cgroup/memory ]; then
    is "a limit is seen inside" "$(run -m 64m bb:1 cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 67108864
else
    is "a limit is seen inside" "$(run -m 64m bb:1 cat /sys/fs/cgroup/memory.max)" 67108864
fi
mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a volume" "$(run -v "$BOX_TMP/volume:/v:ro" bb:1 cat /v/file)" data
status_is "is read-only" 1 run -v "$BOX_TMP/volume:/v:ro" bb:1 touch /v/new
like "a user namespace" "$(run --uidmap 0:100000:5000 bb:1 cat /proc/self/uid_map)" '0 +100000 +5000'
is "fewer capabilities" "$(run --cap-drop all bb:1 sed -n 's/^CapEff:.//p' /proc/self/status)" 0000000000000000
is "its own host name" "$(run --hostname here bb:1 hostname)" here
ids=''
for i in 1 2 3 4 5 6; do run bb:1 echo "$i" >"$BOX_TMP/out$i" & ids="$ids $!"; done
# shellcheck disable=SC2086
wait $ids
is "six at once" "$(cat "$BOX_TMP"/out[1-6] | sort | tr '\n' ' ')" "1 2 3 4 5 6 "
is "nothing is left" "$(p ps -aq)" ""
done_testing
