#!/bin/sh
# attach and the keeper: containers with an open standard input or a terminal that one can leave and come back to; and
# the verbs restart, rename, port.
. "$BOX_SRC/tests/integration/common.sh"
setup

# ---- pipes
ok "run -di" box run -di --name talk busybox sh -c 'while read -r line; do echo "got $line"; done; echo bye; exit 4'
is "it waits for its input" "$(box ps --format '{{.Names}}')" talk
(echo one; sleep 0.5) | "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" attach talk >"$BOX_TMP/said" 2>&1
is "attach hands input over, whose end is the program's; the exit code comes back" "$?" 4
is "and shows output" "$(tr '\n' '|' <"$BOX_TMP/said")" "got one|bye|"
is "which is in the log as well" "$(box logs talk | tr '\n' '|')" "got one|bye|"
is "logs --tail" "$(box logs --tail 1 talk)" bye
is "logs -n 0" "$(box logs -n 0 talk)" ""
status_is "attach to one that has ended is 1" 1 box attach talk
says "and said" 'cannot attach to a stopped container, start it first'
ok "it starts again" box start talk
is "with its input open" "$(echo two | "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" attach talk | head -n 1)" "got two"
box wait talk >/dev/null # who was attached may be gone before the container is
is "start -ai attaches at once" "$(echo three | "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" start -ai talk | tr '\n' '|')" "got three|bye|"
box rm -f talk >/dev/null

# ---- two who are attached, input that nobody reads, a killed keeper
# It says something all the time, by which one sees who is attached.
box run -di --name two busybox sh -c '(while :; do echo tick; sleep 0.1; done) & read -r x; echo "both $x"; exit 0' >/dev/null
"$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" attach --no-stdin two >"$BOX_TMP/second" 2>&1 &
second=$!
eventually test -s "$BOX_TMP/second"
(eventually test -s "$BOX_TMP/first"; echo yes) | "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" attach two >"$BOX_TMP/first" 2>&1
wait "$second"
is "everybody who is attached sees it" "$(cat "$BOX_TMP/first" "$BOX_TMP/second" | grep -v tick | tr '\n' '|')" "both yes|both yes|"
box rm -f two >/dev/null
box run -di --name deaf busybox sleep 1000 >/dev/null
head -c 300000 /dev/zero | timeout -s KILL 2 "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" attach deaf >/dev/null 2>&1
ok "input that nobody reads holds up nobody else" box exec deaf true
ok "nor the end" box rm -f deaf
# ---- detached, without input
box run -d --name quiet busybox sh -c 'trap "echo asked; exit 6" INT; echo before; while :; do sleep 0.1; echo tick; done' >/dev/null
eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs quiet | grep -q before' "$BOX" "$BOX_TMP"
: >"$BOX_TMP/said" # of which the shell behind makes a new one only when it comes to it
(eventually test -s "$BOX_TMP/said"; kill -INT "$(cat "$BOX_TMP/pid")") &
sh -c 'echo $$ >"$1"; exec "$0" --root "$2/root" --runroot "$2/run" attach quiet' "$BOX" "$BOX_TMP/pid" "$BOX_TMP" >"$BOX_TMP/said" 2>&1
is "attach follows one that has no input, passes signals on" "$?" 6
is "and shows what comes from then on" "$(grep -v tick "$BOX_TMP/said")" asked
box rm -f quiet >/dev/null

# ---- a terminal
if script -qec true /dev/null >/dev/null 2>&1 </dev/null; then
    # Keys are typed when the screen shows what they answer to: before it has taken the terminal over, box would not see
    # them as keys.
    B="$BOX --root $BOX_TMP/root --runroot $BOX_TMP/run"
    in_terminal() { script -qec "stty rows 33 cols 77; $1; echo code=\$?" /dev/null >>"$BOX_TMP/screen"; }
    shows() { eventually grep -q -- "$1" "$BOX_TMP/screen"; }
    blank() { : >"$BOX_TMP/screen"; }
    seen() { tr -d '\r' <"$BOX_TMP/screen"; }
    blank
    { shows '#'; printf 'echo $((40+2))\n'; shows 42; printf '\020\021'; shows code=; } | in_terminal "$B run -it --name tty busybox sh"
    like "ctrl-p ctrl-q leaves a container" "$(seen)" 'code=0$'
    is "which goes on" "$(box ps --format '{{.Names}} {{.State}}')" "tty running"
    blank
    { shows '#'; printf 'stty size\n'; shows '33 77'; printf '\020x\020\021'; shows code=; } | in_terminal "$B attach tty"
    like "attach has the terminal's size" "$(seen)" '33 77'
    like "being left is said, and 1" "$(seen)" 'read escape sequence'
    like "by its exit code too" "$(seen)" '^code=1$'
    blank
    { shows '#'; printf '\001b'; shows code=; } | in_terminal "$B attach --detach-keys ctrl-a,b tty"
    like "--detach-keys" "$(seen)" '^code=1$'
    blank
    { shows '#'; printf '\025exit 5\n'; shows code=; } | in_terminal "$B attach tty"
    like "the end comes with the exit code" "$(seen)" '^code=5$'
    blank
    { shows '#'; printf 'echo ru''n; sleep 1000\n'; shows '^run'; printf '\003'; printf 'echo after $?\nexit 0\n'; shows code=; } |
        in_terminal "$B start -ai tty"
    like "ctrl-c is the terminal's" "$(seen)" '^after 130'
    before=$(script -qec 'stty -g' /dev/null | tr -d '\r')
    blank
    { shows '#'; printf 'exit\n'; shows code=; } | in_terminal "$B run --rm -it busybox sh; stty -g"
    is "the terminal is as it was" "$(seen | grep -c "$before")" 1
    box rm -f tty >/dev/null
else
    for what in "ctrl-p ctrl-q leaves a container" "attach has the terminal's size" "ctrl-c is the terminal's" "the terminal is as it was"; do
        skip "$what" "no script(1) that takes a command"
    done
fi
status_is "keys that are none are 125" 125 box run -it --detach-keys frob busybox true
says "and named" 'invalid detach keys: frob'

# ---- restart, rename, port
box run -d --name old busybox sh -c 'trap "exit 0" TERM; echo up; while :; do sleep 0.1; done' >/dev/null
eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs old | grep -q up' "$BOX" "$BOX_TMP"
ok "rename" box rename old new
is "it has the new name" "$(box ps --format '{{.Names}}')" new
status_is "and the old one leads nowhere" 1 box inspect old
is "its end keeps the name" "$(box stop -t 5 new; box ps -a --format '{{.Names}} {{.Status}}' | cut -c 1-14)" "$(printf 'new\nnew Exited (0)')"
ok "the old name is free" box create --name old busybox true
status_is "a name that is taken is 1" 1 box rename old new
says "and said" 'in use by container'
status_is "its own name is 1" 1 box rename new new
status_is "one that is none is 1" 1 box rename new 'a b'
ok "restart starts one that had ended" box restart new
pid=$(box inspect -f '{{.State.Pid}}' new)
ok "and one that runs" box restart -t 5 new
not_ok "with another process" [ "$pid" = "$(box inspect -f '{{.State.Pid}}' new)" ]
status_is "-t must be a number" 125 box restart -t soon new
ok "port shows none" box port new
status_is "and 1 for one that is asked for" 1 box port new 80
says "in Docker's words" "No public port '80/tcp' published for new"
ok "rm -f of what is not there is no error" box rm -f nobody new old

# ---- how it is stopped
ok "--stop-signal" box run -d --name s1 --stop-signal QUIT busybox sh -c 'trap "exit 9" QUIT; echo up; while :; do sleep 0.1; done'
eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs s1 | grep -q up' "$BOX" "$BOX_TMP"
is "is what it is stopped by" "$(box stop s1 >/dev/null; box wait s1)" 9
status_is "one that is none is 125" 125 box run --stop-signal FROB busybox true
says "and named" 'invalid signal: FROB'
box run -d --name s2 --stop-timeout 0 busybox sh -c 'trap "" TERM; while :; do sleep 0.1; done' >/dev/null
is "--stop-timeout is all that it is given" "$(box stop s2 >/dev/null; box wait s2)" 137
box rm -f s1 s2 >/dev/null
no_containers "nothing is left"
is "no socket either" "$(ls "$BOX_TMP/run/attach")" ""
done_testing
