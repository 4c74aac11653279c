#!/bin/sh
# box-oci under Docker Engine (and so containerd): a daemon of the test's own drives it, in a network of its own.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/docker_common.sh"

engine_begin dockerd docker containerd iptables script
docker_start a --live-restore || skip_all "dockerd does not start here: $docker_why"
docker_image >/dev/null || skip_all "dockerd cannot keep images here"

run() { d run --rm --network none "$@"; }
state() { d inspect -f "{{.State.$1}}" "$2"; }
state_is() { [ "$(state "$2" "$3")" = "$1" ]; }
v1=/sys/fs/cgroup
[ -d $v1/memory ] || v1=''
# A file of the container's cgroup, seen from outside: CONTROLLER FILE-OF-V1 FILE-OF-V2 CONTAINER
limit() {
    if [ -n "$v1" ]; then
        cat "/sys/fs/cgroup/$1$group/$(d inspect -f '{{.Id}}' "$4")/$2"
    else
        cat "/sys/fs/cgroup$group/$(d inspect -f '{{.Id}}' "$4")/$3"
    fi
}
waits='trap "exit 0" TERM; trap "echo usr1" USR1; trap "exit 9" USR2; echo log; while :; do sleep 0.1; done'

# ---- run ------------------------------------------------------------------------------------------------------------

is "run" "$(run bb:1 echo hello)" hello
status_is "ends as its program did" 3 run bb:1 sh -c 'exit 3'
# The command line tool gives 125, 126 or 127 by the engine's own reading of the message.
status_is "a program that is not there is 127" 127 run bb:1 /no/such
status_is "one that cannot be run is 126" 126 run bb:1 /etc/passwd
status_is "a working directory that is not there is made" 0 run -w /made/here bb:1 test /made/here -ef .
is "input" "$(echo in | run -i bb:1 cat)" in
is "standard error apart" "$(run bb:1 sh -c 'echo out; echo err >&2' 2>/dev/null)" out
is "a megabyte and more" "$(run bb:1 sh -c 'head -c 3000000 /dev/zero' | wc -c)" 3000000

# ---- a container that stays -----------------------------------------------------------------------------------------

ok "detached" d run -d --name web bb:1 sh -c "$waits"
eventually 10 sh -c 'docker logs web 2>&1 | grep -q log'
is "logs" "$(d logs web)" log
like "logs with times" "$(d logs -t --tail 1 web)" '^20.*T.*Z log$'
ok "a signal" d kill -s USR1 web
ok "arrives" eventually 10 sh -c 'docker logs web 2>&1 | grep -q usr1'
status_is "exec" 5 d exec web sh -c 'exit 5'
is "exec's output" "$(d exec web echo out)" out
is "exec's input" "$(echo in | d exec -i web cat)" in
is "exec as a user" "$(d exec -u app web sh -c 'id -u; id -g' | tr '\n' ' ')" "1000 1000 "
is "exec as numbers" "$(d exec -u 7:8 web sh -c 'id -u; id -g' | tr '\n' ' ')" "7 8 "
is "exec somewhere else" "$(d exec -w /var/log web pwd)" /var/log
is "exec with a variable" "$(d exec -e WORD=here web sh -c 'echo $WORD')" here
ok "exec detached" d exec -d web sh -c 'echo done >/detached'
ok "runs" eventually 10 docker exec web test -e /detached
full=$(sed -n 's/^CapEff:.//p' /proc/self/status)
whole=$(printf %016x $(((2 << $(cat /proc/sys/kernel/cap_last_cap)) - 1)))
# Privileges are all that the kernel knows. What the machine withholds box-oci leaves out; runc fails.
privileged() { # TEXT COMMAND...
    if [ "$full" = "$whole" ] || [ -z "${ENGINE_RUNTIME:-}" ]; then ok "$@"; else skip "$1" "this machine withholds a capability"; fi
}
# Docker 20.10 knows none after CAP_AUDIT_READ.
known=$(printf %016x $((0x$full & 0x3fffffffff)))
has_all() { case $("$@" sed -n 's/^CapEff:.//p' /proc/self/status) in "$full" | "$known") ;; *) false ;; esac; }
is "exec is confined as the container is" "$(d exec web sed -n 's/^CapEff:.//p' /proc/self/status)" 00000000a80425fb
privileged "exec with privileges" has_all d exec --privileged web
# This release gives 126 for both.
status_is "exec of what is not there" 126 d exec web /no/such
like "is told so" "$OUT$ERR" '/no/such.*[Nn]o such file'
status_is "exec of what cannot be run" 126 d exec web /etc/passwd
like "exec on a terminal" "$(echo 'tty; exit' | on_terminal docker exec -it web sh)" '/dev/pts/[0-9]'
ok "pause" d pause web
is "is seen" "$(state Paused web)" true
not_ok "exec in a paused one" d exec web true
ok "unpause" d unpause web
is "goes on" "$(d exec web echo on)" on
ok "update" d update --pids-limit 50 -m 48m --memory-swap 48m --cpu-shares 300 --cpus 0.7 --cpuset-cpus 0 web
is "of processes" "$(limit pids pids.max pids.max web)" 50
is "of memory" "$(limit memory memory.limit_in_bytes memory.max web)" 50331648
like "of time" "$(limit cpu cpu.cfs_quota_us cpu.max web)" '^70000'
is "of processors" "$(limit cpuset cpuset.cpus cpuset.cpus web)" 0
like "stats" "$(d stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' web)" '^web .* / 48MiB [1-9]'
like "top" "$(d top web)" 'sh -c'
like "top as ps has it" "$(d top web -o pid,comm)" 'sh'
echo data >"$BOX_TMP/file"
ok "cp in" d cp "$BOX_TMP/file" web:/tmp/there
is "is there" "$(d exec web cat /tmp/there)" data
ok "cp out" d cp web:/tmp/there "$BOX_TMP/back"
is "is the same" "$(cat "$BOX_TMP/back")" data
like "diff" "$(d diff web)" '^A /tmp/there'
ok "restart" d restart -t 3 web
ok "runs again" eventually 10 state_is true Running web
ok "rename" d rename web web2
ok "kill" d kill web2
is "137" "$(state ExitCode web2)" 137
ok "start" d start web2
ok "stop" d stop -t 10 web2
is "ended by itself" "$(state ExitCode web2)" 0
ok "rm" d rm web2
ok "a stop that is not heeded" d run -d --name deaf --network none bb:1 sh -c 'trap "" TERM; while :; do sleep 0.1; done'
ok "ends in a kill" d stop -t 0 deaf
is "told so" "$(state ExitCode deaf)" 137
d rm deaf >/dev/null
ok "a signal to stop by" d run -d --name usr2 --network none --stop-signal USR2 bb:1 sh -c "$waits"
eventually 10 sh -c 'docker logs usr2 2>&1 | grep -q log'
d stop -t 10 usr2 >/dev/null
is "is what is sent" "$(state ExitCode usr2)" 9
is "wait tells the code" "$(d wait usr2)" 9
d rm usr2 >/dev/null
d run -di --name asks --network none bb:1 sh -c 'read -r word; echo "got $word"' >/dev/null
# The engine stops the output when the input ends.
mkfifo "$BOX_TMP/fifo"
d attach asks <"$BOX_TMP/fifo" >"$BOX_TMP/attached" &
attached=$!
exec 9>"$BOX_TMP/fifo"
echo word >&9
wait "$attached"
exec 9>&-
is "attach" "$(cat "$BOX_TMP/attached")" "got word"
d rm asks >/dev/null

# ---- terminals ------------------------------------------------------------------------------------------------------

like "a terminal" "$(run -t bb:1 tty)" '/dev/pts/0'
echo 'echo on "$(tty)"; exit 4' | on_terminal docker run --rm -it --network none bb:1 sh >"$BOX_TMP/tty" 2>&1
is "run -it ends as its program did" $? 4
like "and shows what it said" "$(cat "$BOX_TMP/tty")" 'on /dev/pts/0'
# The tool tells the size once the container runs.
size='i=0; while [ "$(stty size)" != "33 99" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i + 1)); done; stty size'
like "of the same size" "$(on_terminal sh -c 'stty rows 33 cols 99; docker run --rm -it --network none bb:1 sh -c "$1"' - "$size" </dev/null)" '33 99'
like "with the console in /dev" "$(run -t bb:1 sh -c 'echo to the console >/dev/console')" 'to the console'

# ---- who and what it may ----------------------------------------------------------------------------------------------

is "a user and groups" "$(run -u app --group-add 77 bb:1 id -G)" "1000 29 77 1001"
is "capabilities" "$(run --cap-drop all --cap-add chown bb:1 sed -n 's/^CapEff:.//p' /proc/self/status)" 0000000000000001
privileged "privileged" has_all run --privileged bb:1
privileged "and may mount" run --privileged bb:1 mount -t tmpfs none /tmp
not_ok "others may not" run bb:1 mount -t tmpfs none /tmp
is "no new privileges" "$(run --security-opt no-new-privileges bb:1 sed -n 's/^NoNewPrivs:.//p' /proc/self/status)" 1
is "the engine's filter" "$(run bb:1 sed -n 's/^Seccomp:.//p' /proc/self/status)" 2
is "no filter" "$(run --security-opt seccomp=unconfined bb:1 sed -n 's/^Seccomp:.//p' /proc/self/status)" 0
cat >"$BOX_TMP/filter.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"],
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18}]}
JSON
like "a filter of one's own" "$(run --security-opt "seccomp=$BOX_TMP/filter.json" bb:1 mkdir /x 2>&1)" 'cross-device link|Cross-device link'
is "limits of files" "$(run --ulimit nofile=100:200 bb:1 sh -c 'ulimit -Sn; ulimit -Hn' | tr '\n' ' ')" "100 200 "
is "a sysctl" "$(run --sysctl net.ipv4.ip_default_ttl=33 bb:1 cat /proc/sys/net/ipv4/ip_default_ttl)" 33
is "the killer's score" "$(run --oom-score-adj 500 bb:1 cat /proc/self/oom_score_adj)" 500
is "a host name" "$(run -h here bb:1 hostname)" here
is "a device" "$(run --device /dev/zero:/dev/mine bb:1 sh -c 'head -c 3 /dev/mine | wc -c')" 3
kmsg='mknod /k c 1 11; : </k'
not_ok "no other devices" run --cap-add SYSLOG bb:1 sh -c "$kmsg"
ok "but by a rule" run --cap-add SYSLOG --device-cgroup-rule 'c 1:11 r' bb:1 sh -c "$kmsg"
is "its own init" "$(run --init bb:1 cat /proc/1/comm)" docker-init
status_is "that passes its child's code on" 6 run --init bb:1 sh -c 'exit 6'

# ---- limits -----------------------------------------------------------------------------------------------------------

ok "limits" d run -d --name small --network none -m 32m --memory-swap 32m --memory-reservation 24m --cpus 0.5 --cpu-shares 256 \
    --cpuset-cpus 0 --pids-limit 20 --shm-size 2m bb:1 sh -c "$waits"
is "memory" "$(limit memory memory.limit_in_bytes memory.max small)" 33554432
is "memory to aim at" "$(limit memory memory.soft_limit_in_bytes memory.low small)" 25165824
like "time" "$(limit cpu cpu.cfs_quota_us cpu.max small)" '^50000'
is "processors" "$(limit cpuset cpuset.cpus cpuset.cpus small)" 0
is "processes" "$(limit pids pids.max pids.max small)" 20
[ -z "$v1" ] || is "are seen inside" "$(d exec small cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" 33554432
like "shared memory" "$(d exec small df -k /dev/shm)" ' 2048 '
d rm -f small >/dev/null
d run --name oom --network none -m 16m --memory-swap 16m bb:1 sh -c 'tail /dev/zero; sleep 1; exit 7' >/dev/null 2>&1
is "out of memory: the rest goes on" "$(state ExitCode oom)" 7
is "and it is told" "$(state OOMKilled oom)" true
d rm oom >/dev/null

# ---- namespaces that are shared ---------------------------------------------------------------------------------------

ok "one to share with" d run -d --name peer --ipc shareable --network none -h peer bb:1 sh -c "$waits"
ns() { run "$@" bb:1 readlink "/proc/self/ns/$ns"; }
ns=pid
is "--pid host" "$(ns --pid host)" "$(readlink /proc/self/ns/pid)"
is "--pid container:" "$(ns --pid container:peer)" "$(d exec peer readlink /proc/self/ns/pid)"
like "sees its processes" "$(run --pid container:peer bb:1 cat /proc/1/cmdline | tr '\0' ' ')" 'trap'
ns=ipc
is "--ipc host" "$(ns --ipc host)" "$(readlink /proc/self/ns/ipc)"
is "--ipc container:" "$(ns --ipc container:peer)" "$(d exec peer readlink /proc/self/ns/ipc)"
ns=uts
is "--uts host" "$(ns --uts host)" "$(readlink /proc/self/ns/uts)"
ns=cgroup
is "--cgroupns host" "$(ns --cgroupns host)" "$(readlink /proc/self/ns/cgroup)"
not_ok "--cgroupns private" [ "$(ns --cgroupns private)" = "$(readlink /proc/self/ns/cgroup)" ]
like "shows the container's group as all there is" "$(run --cgroupns private bb:1 cat /proc/self/cgroup)" '(pids|0:):/$'
ns=net
is "--network container:" "$(d run --rm --network container:peer bb:1 readlink /proc/self/ns/net)" "$(d exec peer readlink /proc/self/ns/net)"
is "--network host" "$(d run --rm --network host bb:1 readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
d rm -f peer >/dev/null

# ---- files --------------------------------------------------------------------------------------------------------------

mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a volume" "$(run -v "$BOX_TMP/volume:/v:ro" bb:1 cat /v/file)" data
not_ok "is read-only" run -v "$BOX_TMP/volume:/v:ro" bb:1 touch /v/new
is "--mount of a file" "$(run --mount "type=bind,src=$BOX_TMP/volume/file,dst=/f,ro" bb:1 cat /f)" data
ok "a named volume" run --mount type=volume,src=named,dst=/n bb:1 sh -c 'echo kept >/n/file'
is "keeps" "$(run -v named:/n bb:1 cat /n/file)" kept
is "has what the image has there" "$(run -v filled:/etc bb:1 sed -n 's/^NAME=//p' /etc/os-release)" fixture
like "--tmpfs" "$(run --tmpfs /t:size=1m,mode=1700 bb:1 sh -c 'stat -c %a /t; df -k /t')" ' 1024 '
like "--mount of memory" "$(run --mount type=tmpfs,dst=/t,tmpfs-size=2097152 bb:1 df -k /t)" ' 2048 '
not_ok "--read-only" run --read-only bb:1 touch /x
ok "but for its tmpfs" run --read-only --tmpfs /t bb:1 touch /t/x
mkdir "$BOX_TMP/shared"
mount -t tmpfs --make-shared none "$BOX_TMP/shared" && mkdir "$BOX_TMP/shared/d"
ok "a mount that is to be seen outside" run --cap-add SYS_ADMIN \
    --mount "type=bind,src=$BOX_TMP/shared,dst=/s,bind-propagation=rshared" bb:1 mount -t tmpfs none /s/d
ok "is" mountpoint -q "$BOX_TMP/shared/d"
umount -R "$BOX_TMP/shared"
not_ok "nothing of the host's below /proc/sys" run bb:1 sh -c 'echo 1 >/proc/sys/kernel/sysrq'
is "what is masked in /proc is empty" "$(run bb:1 sh -c 'cd /proc && cat $(ls -d kcore keys timer_list 2>/dev/null); ls acpi scsi 2>/dev/null' | grep -v : | tr -d '\n')" ""

# ---- networks -----------------------------------------------------------------------------------------------------------

serve='while :; do echo "$0" | nc -l -p 80; done'
get() { busybox nc "$@" </dev/null; }
gets() { [ "$(get "$2" "$3" 2>/dev/null)" = "$1" ]; }
ok "a published port" d run -d --name web -p 127.0.0.1:8080:80 bb:1 sh -c "$serve" served
ok "answers" eventually 10 gets served 127.0.0.1 8080
ok "by its own address too" eventually 10 gets served "$(d inspect -f '{{.NetworkSettings.IPAddress}}' web)" 80
is "is listed" "$(d port web)" "80/tcp -> 127.0.0.1:8080"
d rm -f web >/dev/null
ok "and is closed with it" eventually 10 sh -c '! busybox nc 127.0.0.1 8080 </dev/null 2>/dev/null'
ok "a network" d network create --subnet 10.99.0.0/24 inner
ok "one in it" d run -d --name one --network inner --network-alias alias --ip 10.99.0.7 bb:1 sh -c "$serve" one
ok "another" d run -d --name two --network inner bb:1 sh -c "$waits"
ok "reaches it by name" eventually 10 sh -c '[ "$(docker exec two nc one 80)" = one ]'
ok "by its other name" eventually 10 sh -c '[ "$(docker exec two nc alias 80)" = one ]'
ok "by address" eventually 10 sh -c '[ "$(docker exec two nc 10.99.0.7 80)" = one ]'
ok "a third, in another" d run -d --name three bb:1 sh -c "$waits"
not_ok "does not" d exec three nc -w 1 10.99.0.7 80
ok "until it is connected" d network connect inner three
ok "while it runs" eventually 10 sh -c '[ "$(docker exec three nc one 80)" = one ]'
ok "and disconnected" d network disconnect inner three
not_ok "does not any more" d exec three nc -w 1 10.99.0.7 80
is "lines of its own in /etc/hosts" "$(run --add-host other:10.1.2.3 bb:1 awk '$2 == "other" { print $1 }' /etc/hosts)" 10.1.2.3
d rm -f one two three >/dev/null
ok "the network goes" d network rm inner

# ---- twenty at once -------------------------------------------------------------------------------------------------------

ids=''
for i in 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20; do
    d run --rm bb:1 echo "$i" >"$BOX_TMP/out$i" 2>&1 &
    ids="$ids $!"
done
# shellcheck disable=SC2086
wait $ids
is "twenty at once" "$(cat "$BOX_TMP"/out[0-9]* | tr '\n' ' ')" "01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16 17 18 19 20 "

# ---- build ------------------------------------------------------------------------------------------------------------------

mkdir "$BOX_TMP/build" && echo copied >"$BOX_TMP/build/in"
cat >"$BOX_TMP/build/Dockerfile" <<'DOCKERFILE'
FROM bb:1 AS first
ARG WORD=none
RUN echo "built $WORD" >/made && ! mount -t tmpfs none /tmp
FROM bb:1
COPY --from=first /made /made
COPY in /in
WORKDIR /home/app
RUN chown app .
USER app
RUN id -un >who && pwd >where
ENV GREETING=hi
ENTRYPOINT ["sh", "-c"]
CMD ["cat /made /in who where; echo $GREETING"]
DOCKERFILE
DOCKER_BUILDKIT=0
export DOCKER_BUILDKIT
ok "build" d build --force-rm -t made:1 --build-arg WORD=here "$BOX_TMP/build"
is "is what was asked for" "$(run made:1 | tr '\n' ' ')" "built here copied app /home/app hi "
printf 'FROM bb:1\nRUN exit 8\n' >"$BOX_TMP/build/Dockerfile"
not_ok "a step that fails" d build --force-rm -t made:2 "$BOX_TMP/build"
like "is told with its code" "$OUT$ERR" 'returned a non-zero code: 8'
printf 'FROM bb:1\nRUN ip -o addr | grep -c . >/n\nCMD cat /n\n' >"$BOX_TMP/build/Dockerfile"
ok "build without a network" d build -t made:3 --network none "$BOX_TMP/build"
is "had loopback alone" "$(run made:3)" 1
ok "commit" sh -c 'docker run --name changed --network none bb:1 sh -c "echo mine >/mine" && docker commit changed made:4 && docker rm changed'
is "has what was changed" "$(run made:4 cat /mine)" mine

# ---- health and restarts ------------------------------------------------------------------------------------------------------

d run -d --name sick --network none --health-cmd 'test ! -e /sick' --health-interval 300ms --health-retries 1 bb:1 sh -c "$waits" >/dev/null
ok "healthy" eventually 15 state_is healthy Health.Status sick
d exec sick touch /sick
ok "unhealthy" eventually 15 state_is unhealthy Health.Status sick
d rm -f sick >/dev/null
ok "restarts when it fails" d run -d --name fails --network none --restart on-failure:2 bb:1 sh -c 'exit 5'
restarts() { [ "$(d inspect -f '{{.RestartCount}} {{.State.Running}} {{.State.ExitCode}}' fails)" = "2 false 5" ]; }
ok "twice" eventually 20 restarts
d rm -f fails >/dev/null
ok "always restarts" d run -d --name always --network none --restart always bb:1 sh -c "$waits"
eventually 10 sh -c 'docker logs always 2>&1 | grep -q log'
before=$(state Pid always)
d exec always kill -USR2 1
comes_back() { [ "$(d inspect -f '{{.RestartCount}} {{.State.Running}}' always)" = "1 true" ] && [ "$(state Pid always)" != "$before" ]; }
ok "comes back" eventually 15 comes_back

# ---- the daemon dies, the containers live -----------------------------------------------------------------------------------

ok "one more" d run -d --name lives --network none bb:1 sh -c 'while :; do echo tick; sleep 0.1; done'
pid=$(state Pid lives)
docker_stop KILL
ok "runs without the daemon" kill -0 "$pid"
ok "the daemon comes back" docker_start a --live-restore
is "and finds it" "$(state Pid lives)" "$pid"
is "exec" "$(d exec lives echo in)" in
like "its log goes on" "$(d logs --since 1s --tail 1 lives)" tick
ok "pause" d pause lives
ok "unpause" d unpause lives
ok "stop" d stop -t 0 lives
is "ends" "$(state Status lives)" exited
ok "start" d start lives
d rm -f always lives >/dev/null
is "no container is left" "$(d ps -aq)" ""
no_groups() { [ -z "$(find /sys/fs/cgroup/*"$group"/* /sys/fs/cgroup"$group"/* -maxdepth 0 -type d 2>/dev/null)" ]; }
ok "no group" eventually 10 no_groups
is "no state" "$(find /run/a -path '*/runtime-*/moby/*' 2>/dev/null)" ""
docker_stop
like "no mount" "$(grep -c "$BOX_TMP/a/overlay2/" /proc/self/mountinfo)" '^0$'

# ---- a user namespace -------------------------------------------------------------------------------------------------------

cp /etc/subuid "$BOX_TMP/subuid" 2>/dev/null
echo 'nobody:300000:65536' >>"$BOX_TMP/subuid"
cp /etc/subgid "$BOX_TMP/subgid" 2>/dev/null
printf 'nobody:300000:65536\nnogroup:300000:65536\n' >>"$BOX_TMP/subgid"
mount --bind "$BOX_TMP/subuid" /etc/subuid && mount --bind "$BOX_TMP/subgid" /etc/subgid
if docker_start remap --userns-remap nobody:nogroup; then
    pass "a daemon with a user namespace"
    docker_image >/dev/null
    like "is what containers have" "$(run bb:1 cat /proc/self/uid_map)" '^ +0 +300000 +65536$'
    mkdir -m 777 "$BOX_TMP/theirs"
    ok "root makes a file" run -v "$BOX_TMP/theirs:/v" bb:1 touch /v/new
    is "that is not root's" "$(stat -c %u "$BOX_TMP/theirs/new")" 300000
    ok "one that stays" d run -d --name web -p 127.0.0.1:8080:80 -m 32m bb:1 sh -c "$serve" mapped
    ok "answers" eventually 10 gets mapped 127.0.0.1 8080
    is "exec" "$(d exec web cat /proc/self/uid_map | tr -s ' ')" " 0 300000 65536"
    is "exec as a user" "$(d exec -u app web id -u)" 1000
    ok "pause" d pause web
    ok "unpause" d unpause web
    ok "restart" d restart -t 0 web
    ok "rm" d rm -f web
    like "a terminal" "$(run -t bb:1 tty)" '/dev/pts/0'
    is "--userns host" "$(run --userns host bb:1 cat /proc/self/uid_map | tr -s ' ')" " 0 0 4294967295"
    printf 'FROM bb:1\nRUN cat /proc/self/uid_map >/map && chown app /map\nCMD stat -c %%u /map; cat /map\n' >"$BOX_TMP/build/Dockerfile"
    ok "build" d build -t made:5 "$BOX_TMP/build"
    is "was in it too" "$(run made:5 | tr -s ' \n' ' ')" "1000 0 300000 65536 "
    is "no container is left" "$(d ps -aq)" ""
    docker_stop
else
    skip "a daemon with a user namespace" "$docker_why"
fi
umount /etc/subuid /etc/subgid
done_testing
