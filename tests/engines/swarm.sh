#!/bin/sh
# box-oci under Docker Swarm: a swarm of one node, with box-oci as its daemon's default runtime.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/docker_common.sh"

engine_begin dockerd docker containerd iptables
docker_start s || skip_all "dockerd does not start here: $docker_why"
docker_image >/dev/null || skip_all "dockerd cannot keep images here"
# A second version, for the update.
d run --name v2 --network none bb:1 sh -c 'echo 2 >/version' >/dev/null && d commit v2 bb:2 >/dev/null && d rm v2 >/dev/null
ok "a swarm" d swarm init --advertise-addr 127.0.0.1 --listen-addr 127.0.0.1:2377 || { done_testing; }
trap 'd swarm leave -f >/dev/null 2>&1; engine_end' EXIT
like "of one node" "$(d node ls --format '{{.Status}} {{.ManagerStatus}}')" '^Ready Leader'

# Containers of a service, as many as run.
running() { [ "$(d ps -q --filter "label=com.docker.swarm.service.name=$2" | wc -l)" -eq "$1" ]; }
one_of() { d ps -q --filter "label=com.docker.swarm.service.name=$1" | head -n 1; }
create() { # NAME OPTION...
    create_name=$1
    shift
    d service create -q -d --no-resolve-image --name "$create_name" --stop-grace-period 1s "$@"
}
waits='trap "exit 0" TERM; trap "exit 9" USR2; echo "log of $(cat /version 2>/dev/null || echo 1)"; while :; do sleep 0.1; done'

# ---- replicas on the network of the host, and on none
ok "a service" create web --replicas 3 --network host --update-delay 0s --update-monitor 1s --rollback-monitor 1s --restart-delay 0s \
    --limit-memory 32M --limit-cpu 0.5 --env WORD=here --mount type=tmpfs,dst=/t --user app bb:1 sh -c "$waits"
ok "its replicas run" eventually 30 running 3 web
is "are counted" "$(d service ls --format '{{.Name}} {{.Replicas}}')" "web 3/3"
one=$(one_of web)
is "by box-oci" "$(d inspect -f '{{.HostConfig.Runtime}}' "$one")" box-oci
is "exec" "$(d exec "$one" sh -c 'id -un; echo $WORD; grep -c " /t tmpfs" /proc/self/mounts' | tr '\n' ' ')" "app here 1 "
is "limits" "$(d inspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}}' "$one")" "33554432 500000000"
[ ! -d /sys/fs/cgroup/memory ] || is "are kept" "$(d exec "$one" cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 33554432
logs_are() { [ "$(timeout -k 1 20 docker service logs --raw "$2" 2>/dev/null | sort | uniq -c | tr -s ' \n' ' ')" = "$1" ]; }
ok "service logs" eventually 10 logs_are " 3 log of 1 " web

# ---- a replica that dies
pid=$(d inspect -f '{{.State.Pid}}' "$one")
kill -9 "$pid"
gone() { ! d ps -q --no-trunc --filter "label=com.docker.swarm.service.name=$2" | grep -q "^$1"; }
ok "a replica that is killed goes" eventually 30 gone "$one" web
ok "another comes in its place" eventually 30 running 3 web
like "the swarm knows" "$(d service ps web --format '{{.CurrentState}} {{.Error}}')" 'Failed.*137'
one=$(one_of web)
d exec -u 0 "$one" kill -USR2 1
ok "one that fails goes too" eventually 30 gone "$one" web
ok "and another comes" eventually 30 running 3 web

# ---- scale, update, roll back
ok "scale up" d service scale -d web=5
ok "five run" eventually 30 running 5 web
ok "scale down" d service scale -d web=2
ok "two run" eventually 30 running 2 web
ok "update" d service update -q -d --no-resolve-image --image bb:2 web
updated() { [ "$(d service inspect -f '{{.UpdateStatus.State}}' web)" = "$1" ]; }
ok "is done, one after the other" eventually 60 updated completed
is "all are the new one" "$(for id in $(d ps -q --filter "label=com.docker.swarm.service.name=web"); do d exec "$id" cat /version; done | tr '\n' ' ')" "2 2 "
ok "roll back" d service rollback -q -d web
ok "is done" eventually 60 updated rollback_completed
is "all are the old one" "$(for id in $(d ps -q --filter "label=com.docker.swarm.service.name=web"); do d exec "$id" ls / | grep -c version; done | tr '\n' ' ')" "0 0 "
ok "rm" d service rm web
ok "nothing runs" eventually 30 running 0 web

# ---- secrets, configuration, a global service, health
ok "a secret" sh -c 'echo hidden | docker secret create word -'
ok "a configuration" sh -c 'echo shown | docker config create text -'
ok "a global service" create all --mode global --network host --secret word --config source=text,target=/etc/text --hostname 'h-{{.Node.Hostname}}' \
    --read-only --health-cmd 'test -e /etc/text' --health-interval 300ms bb:1 sh -c 'cat /run/secrets/word /etc/text; exec sleep 1000'
ok "runs" eventually 30 running 1 all
ok "has both" eventually 10 sh -c '[ "$(docker service logs --raw all 2>/dev/null | sort | tr "\n" " ")" = "hidden shown " ]'
healthy() { [ "$(d inspect -f '{{.State.Health.Status}}' "$(one_of all)")" = healthy ]; }
ok "healthy" eventually 20 healthy
ok "rm" d service rm all
ok "nothing runs" eventually 30 running 0 all

# ---- a port that the node itself publishes
serve='while :; do echo "$0" | nc -l -p 80; done'
gets() { [ "$(busybox nc "$2" "$3" </dev/null 2>/dev/null)" = "$1" ]; }
ok "a port of the node" create port --publish mode=host,target=80,published=8080 --endpoint-mode dnsrr bb:1 sh -c "$serve" served
ok "runs" eventually 30 running 1 port
ok "answers" eventually 20 gets served 127.0.0.1 8080
ok "rm" d service rm port
ok "nothing runs" eventually 30 running 0 port

# ---- overlay networks: the kernel has to have VXLAN, and for one address a service and for the mesh of ports, IPVS
overlay() { ip link add box-vx type vxlan id 7 dstport 4790 2>/dev/null && ip link del box-vx; }
if overlay; then
    ok "an overlay network" d network create -d overlay --attachable over
    ok "a service in it" create named --network over --endpoint-mode dnsrr --replicas 2 bb:1 sh -c "$serve" named
    ok "runs" eventually 30 running 2 named
    ok "another" create asks --network over --endpoint-mode dnsrr bb:1 sh -c "$waits"
    ok "runs" eventually 30 running 1 asks
    asks() { [ "$(d exec "$(one_of asks)" nc named 80 2>/dev/null)" = named ]; }
    ok "finds the first by name" eventually 20 asks
    d service rm named asks >/dev/null
    ok "nothing runs" eventually 30 running 0 named
    eventually 30 running 0 asks
    ok "the network goes" eventually 20 d network rm over
else
    skip "an overlay network" "the kernel has no VXLAN"
fi
if [ -e /proc/net/ip_vs ]; then
    ok "a port of the swarm" create mesh --publish 8081:80 bb:1 sh -c "$serve" meshed
    ok "answers" eventually 30 gets meshed 127.0.0.1 8081
    d service rm mesh >/dev/null
    eventually 30 running 0 mesh
else
    skip "a port of the swarm" "the kernel has no IPVS, of which the mesh is made"
fi

ok "leave" d swarm leave -f
ok "no container is left" eventually 20 sh -c '[ -z "$(docker ps -aq)" ]'
done_testing
