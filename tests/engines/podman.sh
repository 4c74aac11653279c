#!/bin/sh
# box-oci under Podman: the life of a container, from run to remove, and what is asked of it meanwhile.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start podman
engine_image

# ---- run -----------------------------------------------------------------------------------------------------------

is "run" "$(run bb:1 echo hello)" hello
status_is "ends as its program did" 3 run bb:1 sh -c 'exit 3'
status_is "a program that is not there is 127" 127 run bb:1 /no/such
status_is "one that cannot be run is 126" 126 run bb:1 /etc/passwd
status_is "a working directory that is a file is refused" 126 run -w /etc/passwd bb:1 true
is "input" "$(echo in | run -i bb:1 cat)" in
is "what it says and what it complains of are two" "$(run bb:1 sh -c 'echo out; echo err >&2' 2>/dev/null)" out
is "environment, directory and user" "$(run -e A=b -w /tmp -u app bb:1 sh -c 'echo $A $PWD $(id -u):$(id -G)')" "b /tmp 1000:1000 29 1001"
is "groups that are added" "$(run -u 7:8 --group-add 9 --group-add 10 bb:1 id -G)" "8 9 10"
is "a host name" "$(run --hostname here bb:1 hostname)" here
echo data >"$BOX_TMP/three"
is "a descriptor" "$(run --preserve-fds 1 bb:1 sh -c 'cat <&3' 3<"$BOX_TMP/three")" data
like "a terminal" "$(run -t bb:1 tty </dev/null)" '/dev/(pts/[0-9]|console)'
if command -v catatonit >/dev/null; then
    is "an init" "$(run --init bb:1 cat /proc/1/comm)" podman-init
else
    skip "an init" "catatonit is not installed"
fi

# ---- a container that stays ----------------------------------------------------------------------------------------

ok "detached" p run -d --name web --network none bb:1 sh -c 'trap "exit 0" TERM; echo log; while :; do sleep 0.1; done'
is "state" "$(p inspect -f '{{.State.Status}} {{.State.Running}}' web)" "running true"
until_true sh -c '[ "$(podman logs web)" ]'
is "logs" "$(p logs web)" log
status_is "exec" 5 p exec web sh -c 'exit 5'
is "exec's output" "$(p exec web echo out)" out
is "exec's input" "$(echo in | p exec -i web cat)" in
is "exec as another user" "$(p exec -u 7:8 web id -u)" 7
is "exec's environment and directory" "$(p exec -e A=b -w /tmp web sh -c 'echo $A $PWD')" "b /tmp"
is "exec with a descriptor" "$(p exec --preserve-fds 1 web sh -c 'cat <&3' 3<"$BOX_TMP/three")" data
status_is "exec of a program that is not there" 127 p exec web /no/such
like "exec, detached" "$(p exec -d web sh -c 'echo deep >/deep')" '^[0-9a-f]{64}$'
until_true p exec web grep -q deep /deep
is "and it was done" "$(p exec web cat /deep)" deep
like "exec with a terminal" "$(p exec -t web tty </dev/null)" '/dev/pts/[0-9]'
if command -v script >/dev/null; then
    like "whose size is the caller's" \
        "$(script -qec 'stty rows 33 cols 77; podman exec -it web sh -c "sleep 0.5; stty size"' /dev/null | tr -d '\r')" '33 77$'
else
    skip "whose size is the caller's" "script is not installed"
fi
like "top" "$(p top web 2>&1)" 'sleep|sh'
like "top by ps" "$(p top web -o pid,comm 2>&1)" 'sh'
ok "cp into it" p cp "$BOX_TMP/three" web:/tmp/three
is "it is there" "$(p exec web cat /tmp/three)" data
is "cp out of it" "$(p cp web:/etc/os-release - | tar -xO)" NAME=fixture
like "diff" "$(p diff web)" 'A /deep'
ok "pause" p pause web
is "is told" "$(p inspect -f '{{.State.Status}}' web)" paused
status_is "exec is refused meanwhile" 255 p exec web true
ok "unpause" p unpause web
ok "restart" p restart -t 3 web
is "a new process, the same files" "$(p exec web cat /deep)" deep
ok "a signal" p kill -s WINCH web
is "which it outlives" "$(p inspect -f '{{.State.Running}}' web)" true
ok "kill" p kill web
is "wait" "$(p wait web)" 137
ok "start" p start web
ok "stop, for which it has a handler" p stop -t 20 web
is "so that it ends well" "$(p inspect -f '{{.State.ExitCode}}' web)" 0
ok "start once more" p start web
ok "commit" p commit -q web committed:1
is "holds its files" "$(run committed:1 cat /deep)" deep
ok "rm -f" p rm -f -t 1 web

# ---- others ----------------------------------------------------------------------------------------------------------

ok "created only" p create -i --name wait --network none bb:1 sh -c 'read -r x; echo "got $x"'
is "init, without start" "$(p init wait >/dev/null && p inspect -f '{{.State.Status}}' wait)" initialized
is "start, attached" "$(echo in | p start -ai wait)" "got in"
p run -di --name tied --network none bb:1 sh -c 'read -r x; echo "got $x"; exit 6' >/dev/null
is "attach" "$(echo line | p attach tied)" "got line"
is "and how it ended" "$(p wait tied)" 6
ok "a health check" p run -d --name health --network none --health-cmd 'test -e /well' --health-interval disable --health-retries 1 \
    bb:1 sleep 1000
not_ok "that fails" p healthcheck run health
p exec health touch /well
ok "and then does not" p healthcheck run health
is "is told" "$(p inspect -f '{{.State.Health.Status}}' health)" healthy
mkdir "$BOX_TMP/count"
ok "restart on failure" p run -d --name again --restart on-failure:2 --network none -v "$BOX_TMP/count:/count" bb:1 \
    sh -c 'echo x >>/count/runs; exit 1'
until_true sh -c '[ "$(podman inspect -f "{{.State.Status}} {{.RestartCount}}" again)" = "exited 2" ]'
is "as often as was said" "$(wc -l <"$BOX_TMP/count/runs") $(p inspect -f '{{.RestartCount}}' again)" "3 2"
like "events" "$(p events --stream=false --since 10m --filter container=again --format '{{.Status}}' | tr '\n' ' ')" \
    'create .*start .*died .*start .*died'
p rm -af -t 0 >/dev/null

# ---- twenty ----------------------------------------------------------------------------------------------------------

ids=''
for i in $(seq 20); do p run -d --name "n$i" --network none bb:1 sh -c 'trap "exit 0" TERM; sleep 1000 & wait' >/dev/null & ids="$ids $!"; done
# shellcheck disable=SC2086
wait $ids
is "twenty at once" "$(p ps -q --filter status=running | wc -l)" 20
ids=''
for i in $(seq 20); do p exec "n$i" echo "$i" >"$BOX_TMP/out$i" & ids="$ids $!"; done
# shellcheck disable=SC2086
wait $ids
is "an exec in each" "$(cat "$BOX_TMP"/out* | sort -n | tr '\n' ' ')" "$(seq 20 | tr '\n' ' ')"
ok "all stop" p stop -t 20 -a
is "by themselves" "$(p ps -aq --filter exited=0 | wc -l)" 20
engine_end
done_testing
