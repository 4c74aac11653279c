#!/bin/sh
# What becomes of a container: detached, followed, stopped, killed, paused, started again, removed; and swept after kills.
. "$BOX_SRC/tests/integration/common.sh"
setup

# ---- detached
ok "run -d prints the id" box run -d --name web busybox sh -c 'echo out; echo err >&2; exec sleep 1000'
like "of 64 digits" "$OUT" '^[0-9a-f]{64}$'
id=$OUT
like "ps has Docker's columns" "$(box ps | head -n 1)" \
    '^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$'
like "and shows it" "$(state web)" '^[0-9a-f]{12} +busybox(:latest)? +"sh -c .*…" .* ago +Up .* web$'
is "ps -q shows the short id" "$(box ps -q)" "$(echo "$id" | cut -c 1-12)"
is "ps -q --no-trunc the long one" "$(box ps -q --no-trunc)" "$id"
ok "its output is kept" eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs web 2>&1 | grep -q err' "$BOX" "$BOX_TMP"
is "whole and in order" "$(box logs web 2>&1 | tr '\n' ' ')" "out err "
ok "top shows its processes" box top web
like "under ps's heads" "$OUT" '^ *(UID|PID|USER)'
like "by their command lines" "$OUT" 'sleep 1000'
ok "stats shows what it uses" box stats --no-stream web
like "in Docker's columns" "$(echo "$OUT" | head -n 1)" \
    '^CONTAINER ID +NAME +CPU % +MEM USAGE / LIMIT +MEM % +NET I/O +BLOCK I/O +PIDS$'
ok "inspect is JSON" box inspect web
like "that says that it runs" "$OUT" '"Status": *"running"'
like "of this image" "$OUT" '"Image": *"sha256:'
is "by id too, and by its start" "$(box inspect "$(echo "$id" | cut -c 1-5)" | grep -c '"Running": *true')" 1
status_is "inspect of nothing is 1" 1 box inspect no-such

# ---- pause
ok "pause" box pause web
like "is shown" "$(state web)" 'Up .*\(Paused\)'
status_is "a paused one is not paused again" 1 box pause web
status_is "and nothing is executed in it" 1 box exec web true
ok "unpause" box unpause web
status_is "one that runs is not unpaused" 1 box unpause web
ok "and it goes on" box exec web true

# ---- rm, stop, kill, wait, start
status_is "one that runs is not removed" 1 box rm web
says "and it is said" "web is running"
box wait web >"$BOX_TMP/waited" &
waiter=$!
ok "kill" box kill web
wait "$waiter"
is "wait prints the exit code" "$(cat "$BOX_TMP/waited")" 137
like "ps -a shows it" "$(state web)" 'Exited \(137\) .* ago'
is "ps does not" "$(box ps -q)" ""
status_is "one that has ended is not killed" 1 box kill web
ok "stop of one that has ended is nothing" box stop web
ok "start runs it again" box start web
is "and prints its name" "$OUT" web
like "it is up" "$(state web)" ' Up '
ok "kill by another signal" box kill -s KILL web
is "wait of one that has ended answers at once" "$(box wait web)" 137
status_is "a signal that does not exist" 1 box kill -s FROB web
ok "rm" box rm web
status_is "what is removed is gone" 1 box start web
says "and it is said" 'No such container: web'
box run -d --name term busybox sh -c 'trap "exit 3" TERM; echo ready; while :; do sleep 0.1; done' >/dev/null
eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs term | grep -q ready' "$BOX" "$BOX_TMP"
ok "stop asks by SIGTERM" box stop term
is "and the program may end as it likes" "$(box wait term)" 3
box run -d --name deaf busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
ok "stop kills what does not listen" box stop -t 1 deaf
is "which is 137" "$(box wait deaf)" 137
ok "rm takes several" box rm term deaf
ok "a made container does not run" box create --name made busybox sh -c 'echo started; exit 4'
like "ps -a says Created" "$(state made)" ' Created '
status_is "start -a follows it" 4 box start -a made
is "and shows its output" "$OUT" started
ok "what it wrote is kept for the next start" sh -c '
    b="$0 --root $1/root --runroot $1/run"
    $b create --name kept busybox sh -c "cat /kept 2>/dev/null; echo x >>/kept" &&
    $b start -a kept && [ "$($b start -a kept)" = x ]' "$BOX" "$BOX_TMP"
ok "rm -f of several" box rm -f made kept
no_containers "nothing is left"

# ---- --rm and others' ends
ok "run -d --rm" box run -d --rm --name short busybox sleep 0.3
ok "is removed when it ends" eventually sh -c '[ -z "$("$0" --root "$1/root" --runroot "$1/run" ps -aq)" ]' "$BOX" "$BOX_TMP"
"$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" run --name attached --rm busybox sleep 1000 &
attached=$!
eventually box exec attached true
ok "another process finds an attached one" box exec attached true
kill -9 "$attached"
wait "$attached" 2>/dev/null
ok "one whose box was killed dies with it, and is swept" eventually sh -c \
    '[ -z "$("$0" --root "$1/root" --runroot "$1/run" ps -aq)" ]' "$BOX" "$BOX_TMP"
"$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" run --name attached busybox sleep 1000 &
attached=$!
eventually box exec attached true
kill -TERM "$attached" && box kill attached >/dev/null
wait "$attached"
is "the attached box tells the end" $? 137
ok "and it can be removed" box rm attached
box run -d --name watched busybox sleep 1000 >/dev/null
pid=$(box inspect watched | sed -n 's/.*"Pid": *\([0-9]*\).*/\1/p' | head -n 1)
monitor=$(sed -n 's/^PPid:[^0-9]*//p' "/proc/$pid/status")
if [ "$monitor" -gt 1 ]; then
    kill -9 "$monitor"
    ok "a container whose monitor was killed is still found" box ps -a
    ok "and removed" box rm -f watched
else
    skip "a container whose monitor was killed is still found" "its parent cannot be seen"
    ok "and removed" box rm -f watched
fi

# ---- many
ok "20 at once" sh -c '
    b="$0 --root $1/root --runroot $1/run"
    i=0
    while [ $i -lt 20 ]; do $b run --rm busybox sh -c "echo $i" >"$1/many.$i" 2>&1 & i=$((i + 1)); done
    wait
    [ "$(cat "$1"/many.* | sort -n | tr "\n" " ")" = "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 " ]' "$BOX" "$BOX_TMP"
[ "$tap_failed" -eq 0 ] || cat "$BOX_TMP"/many.*
# ---- what a power cut leaves
torn=0000000000000000000000000000000000000000000000000000000000000000 whole=1111111111111111111111111111111111111111111111111111111111111111
mkdir -m 1700 "$BOX_TMP/root/containers/$torn" && : >"$BOX_TMP/root/containers/$torn/meta.json" && : >"$BOX_TMP/root/containers/$torn/image"
mkdir -m 700 "$BOX_TMP/root/containers/$whole" && : >"$BOX_TMP/root/containers/$whole/meta.json"
ok "containers are listed" box ps -a
ok "one that was to be thrown away and is not whole is taken away" [ ! -e "$BOX_TMP/root/containers/$torn" ]
ok "one that was to be kept is left to people" [ -d "$BOX_TMP/root/containers/$whole" ]
rm -rf "$BOX_TMP/root/containers/$whole"
sticky=$(box create --rm --name sticky busybox true)
like "--rm is known by its directory" "$(stat -c %a "$BOX_TMP/root/containers/$sticky")" '^1700$'
box rm sticky >/dev/null

no_containers "and nothing is left"
done_testing
