#!/bin/sh
# box-oci under Podman: networks and published ports, pods, and what is written for Kubernetes.
# The bridge and its rules are in the test's own network namespace, which has nothing else but a loopback interface.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start podman
engine_image
busybox=$(fixture_busybox)
ask() { timeout "${3:-5}" "$busybox" nc "$1" "$2" </dev/null; }
answers() { [ "$(ask "$1" "$2")" = "$3" ]; }
server='trap "exit 0" TERM; while :; do echo "$ANSWER" | nc -l -p "$PORT" >/dev/null & wait; done'

# ---- networks --------------------------------------------------------------------------------------------------------

if p run --rm bb:1 true >/dev/null 2>"$BOX_TMP/why"; then
    like "an interface with an address" "$(p run --rm bb:1 ip -o -4 addr show eth0)" 'inet 10\.'
    ok "a published port" p run -d --name web -p 127.0.0.1:8080:80 -e PORT=80 -e ANSWER=hello bb:1 sh -c "$server"
    ok "answers" until_true answers 127.0.0.1 8080 hello
    is "port tells it" "$(p port web)" "80/tcp -> 127.0.0.1:8080"
    ok "restart" p restart -t 0 web
    ok "it answers again" until_true answers 127.0.0.1 8080 hello
    p pause web >/dev/null
    is "not while it is paused" "$(ask 127.0.0.1 8080 1)" ""
    p unpause web >/dev/null
    ok "but afterwards" until_true answers 127.0.0.1 8080 hello
    like "name files" "$(p exec web sh -c 'cat /etc/hosts /etc/resolv.conf /etc/hostname' | tr '\n' ' ')" "$(p inspect -f '{{.Config.Hostname}}' web)"
    ok "rm" p rm -f -t 0 web
    is "the port is closed" "$(ask 127.0.0.1 8080 2>/dev/null)" ""
    ok "a network of its own" p network create --subnet 10.99.0.0/24 lan
    p run -d --name one --network lan --ip 10.99.0.10 -e PORT=81 -e ANSWER=one bb:1 sh -c "$server" >/dev/null
    is "one container reaches another" "$(p run --rm --network lan bb:1 sh -c 'for i in 1 2 3 4 5 6; do nc -w 5 10.99.0.10 81 </dev/null && break; sleep 0.5; done')" one
    if [ -x /usr/lib/podman/aardvark-dns ] || command -v aardvark-dns >/dev/null; then
        like "by its name" "$(p run --rm --network lan bb:1 sh -c 'getent hosts one 2>/dev/null || ping -c 1 -w 5 one' 2>&1)" '10\.99\.0\.10'
    else
        skip "by its name" "aardvark-dns is not installed"
    fi
    ok "disconnect" p network disconnect lan one
    not_ok "takes the interface away" p exec one ip addr show eth0
    ok "connect" p network connect --ip 10.99.0.11 lan one
    like "brings one" "$(p exec one ip -o -4 addr)" '10\.99\.0\.11'
    p rm -f -t 0 one >/dev/null
    ok "network rm" p network rm lan
else
    skip "networks" "Podman makes none here: $(tail -n 1 "$BOX_TMP/why" | cut -c1-150)"
fi

# ---- pods ------------------------------------------------------------------------------------------------------------

pod() { p pod create --cgroup-parent "/$engine_group" "$@"; }
if pod --name trial --network none >/dev/null 2>"$BOX_TMP/why" && p pod start trial >/dev/null 2>"$BOX_TMP/why"; then
    p pod rm -f -t 0 trial >/dev/null
    pod --name pair --network none --hostname pair >/dev/null
    ok "a pod's containers" p run -d --pod pair --name left -e PORT=82 -e ANSWER=left bb:1 sh -c "$server"
    is "share the loopback" "$(p run --rm --pod pair bb:1 sh -c 'for i in 1 2 3 4 5 6; do nc -w 5 127.0.0.1 82 </dev/null && break; sleep 0.5; done')" left
    is "the host name" "$(p run --rm --pod pair bb:1 hostname)" pair
    is "network and IPC" "$(p run --rm --pod pair bb:1 sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc')" \
        "$(p exec left sh -c 'readlink /proc/self/ns/net; readlink /proc/self/ns/ipc')"
    is "not processes" "$(p run --rm --pod pair bb:1 sh -c 'echo $$')" 1
    is "two are there" "$(p pod inspect -f '{{.State}} {{.NumContainers}}' pair)" "Running 2"
    ok "pause the pod" p pod pause pair
    is "each is" "$(p ps -a --filter pod=pair --format '{{.State}}' | sort -u)" Paused
    ok "unpause the pod" p pod unpause pair
    like "its processes" "$(p pod top pair 2>&1)" 'sh'
    like "its statistics" "$(p pod stats --no-stream --format '{{.Name}} {{.PIDS}}' pair)" 'left [12]'
    ok "stop the pod" p pod stop -t 1 pair
    ok "start it" p pod start pair
    ok "restart it" p pod restart pair
    ok "kube, from what runs" p generate kube -f "$BOX_TMP/pod.yaml" pair
    ok "rm" p pod rm -f -t 0 pair
    ok "play kube" timeout 60 podman play kube --network none "$BOX_TMP/pod.yaml"
    is "is running again" "$(p pod inspect -f '{{.State}} {{.NumContainers}}' pair)" "Running 2"
    kube=$(p pod inspect -f '{{.Id}}' pair)
    is "and answers" "$(p exec pair-left sh -c 'for i in 1 2 3 4 5 6; do nc -w 5 127.0.0.1 82 </dev/null && break; sleep 0.5; done')" left
    ok "play kube --down" timeout 60 podman play kube --down "$BOX_TMP/pod.yaml"
    find /sys/fs/cgroup -depth -path "*/libpod_parent/$kube*" -type d -exec rmdir {} + 2>/dev/null # Podman leaves a pod's
    if pod --name shared --share pid,uts --network none >/dev/null; then
        p run -d --pod shared --name first bb:1 sleep 999 >/dev/null
        like "a pod that shares processes" "$(p run --rm --pod shared bb:1 ps)" 'sleep 999'
    fi
else
    skip "pods" "Podman makes none here: $(tail -n 1 "$BOX_TMP/why" | cut -c1-150)"
fi
engine_end
done_testing
