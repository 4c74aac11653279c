#!/bin/sh
# box exec: another program in a running container.
. "$BOX_SRC/tests/integration/common.sh"
setup

box run -d --name web -e FROM_RUN=run -w /var --hostname hal busybox sleep 1000 >/dev/null
ok "a program runs in it" box exec web hostname
is "in its namespaces" "$OUT" hal
is "it sees the container's processes" "$(box exec web cat /proc/1/cmdline | tr '\000' ' ')" "sleep 1000 "
is "it has the container's environment" "$(box exec web sh -c 'echo $FROM_RUN')" run
is "and working directory" "$(box exec web pwd)" /var
is "-e adds to it" "$(box exec -e A=1 -e FROM_RUN=exec web sh -c 'echo $A $FROM_RUN')" "1 exec"
printf 'A=file\n' >"$BOX_TMP/env"
is "--env-file" "$(box exec --env-file "$BOX_TMP/env" web sh -c 'echo $A')" file
is "-w" "$(box exec -w /etc web pwd)" /etc
is "-u by name" "$(box exec -u app web id -u)" 1000
is "-u by name and group" "$(box exec -u app:extra web id -g)" 1001
is "supplementary groups are the image's" "$(box exec -u app web id -G | tr ' ' '\n' | sort | tr '\n' ' ')" "1000 1001 29 "
is "a user has a HOME" "$(box exec -u app web sh -c 'echo $HOME')" /home/app
is "-i hands standard input over" "$(echo hello | box exec -i web cat)" hello
is "without -i there is none" "$(echo hello | box exec web cat)" ""
status_is "its exit code is box's" 5 box exec web sh -c 'exit 5'
status_is "a signal is 128 and its number" 143 box exec web sh -c 'kill $$'
status_is "a program that is not there is 127" 127 box exec web no-such-program
says "and is named" no-such-program
status_is "one that cannot be executed is 126" 126 box exec web /etc/passwd
status_is "a container that is not there is 1" 1 box exec no-such true
says "and is named" 'No such container: no-such'
not_ok "a user that is not there is refused" box exec -u nobody-here web true
not_ok "a directory that is not there is refused" box exec -w /no/such web true
is "it has no more capabilities than the container" \
    "$(box exec web grep CapBnd /proc/self/status)" "$(box exec web grep CapBnd /proc/1/status)"
is "and the same filter" "$(box exec web grep '^Seccomp:' /proc/self/status)" "$(box exec web grep '^Seccomp:' /proc/1/status)"
is "--privileged has all of them" "$(box exec --privileged web grep '^Seccomp:' /proc/self/status | tr -d '\t')" "Seccomp:0"
if limits_work; then
    is "it is in the container's cgroup" "$(box exec web cat /proc/self/cgroup)" "$(box exec web cat /proc/1/cgroup)"
else
    skip "it is in the container's cgroup" "no cgroup was delegated"
fi
ok "-d does not wait" box exec -d web sh -c 'sleep 0.2; echo done >/tmp/done; sleep 1000'
ok "and the program goes on" eventually box exec web test -s /tmp/done
ok "several at once" sh -c 'for i in 1 2 3 4 5; do "$0" --root "$1/root" --runroot "$1/run" exec web true || exit 1 & done; wait' "$BOX" "$BOX_TMP"
ok "it is stopped" box stop -t 0 web
status_is "nothing runs in a container that has ended" 1 box exec web true
says "and it is said" 'not running'
done_testing
