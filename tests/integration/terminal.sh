#!/bin/sh
# -t: a terminal for run and exec, by way of script(1), which gives box one.
. "$BOX_SRC/tests/integration/common.sh"
setup

status_is "-it without a terminal is refused" 1 box run --rm -it busybox true
like "in Docker's words" "$ERR" 'the input device is not a TTY'
is "-t alone gives the program a terminal" "$(box run --rm -t busybox sh -c 'test -t 0 && test -t 1 && echo tty' | tr -d '\r')" tty
is "TERM is set" "$(box run --rm -t busybox sh -c 'echo $TERM' | tr -d '\r')" xterm
is "the terminal is the container's own" "$(box run --rm -t busybox tty | tr -d '\r')" /dev/pts/0
status_is "exit codes come through" 6 box run --rm -t busybox sh -c 'exit 6'
is "all that was written is shown" "$(box run --rm -t busybox seq 1 2000 | tr -d '\r' | cksum)" "$(seq 1 2000 | cksum)"
box run -d --name web busybox sleep 1000 >/dev/null
is "exec -t" "$(box exec -t web sh -c 'test -t 0 && echo tty' | tr -d '\r')" tty
ok "run -dt" box run -dt --name term busybox sh -c 'test -t 1 && echo tty; exec sleep 1000'
ok "its output is kept" eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs term | grep -q tty' "$BOX" "$BOX_TMP"
box rm -f web term >/dev/null
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    in_terminal() { script -qec "stty rows 33 cols 77; $BOX --root $BOX_TMP/root --runroot $BOX_TMP/run $1" /dev/null; }
    like "what is typed arrives" "$({ sleep 1; echo 'echo $((40+2))'; sleep 1; echo exit; } | in_terminal 'run --rm -it busybox sh' | tr -d '\r')" '^42$'
    is "with the terminal's size" "$(sleep 2 | in_terminal 'run --rm -it busybox stty size' | tr -d '\r' | grep -c '33 77')" 1
else
    skip "what is typed arrives" "no script(1) that takes a command"
    skip "with the terminal's size" "no script(1) that takes a command"
fi
no_containers "nothing is left"
done_testing
