#!/bin/sh
# Standard input and output of attached and detached containers.
. "$BOX_SRC/tests/integration/common.sh"
setup

is "-i hands standard input over" "$(echo hello | box run -i --rm busybox cat)" hello
is "without -i there is none" "$(echo hello | box run --rm busybox cat)" ""
is "the two outputs are kept apart" "$(box run --rm busybox sh -c 'echo out; echo err >&2' 2>/dev/null)" out
is "and the second" "$(box run --rm busybox sh -c 'echo out; echo err >&2' 2>&1 >/dev/null)" err
is "a megabyte goes through" "$(dd if=/dev/zero bs=1024 count=1024 2>/dev/null | box run -i --rm busybox cat | wc -c | tr -d ' ')" 1048576
is "binary data as it is" "$(printf 'a\000b\377' | box run -i --rm busybox cat | od -An -tx1 | tr -d ' \n')" 610062ff
is "the end of a pipe's reader ends it" "$(box run --rm busybox yes | head -n 1)" y
box run -d --name logged busybox sh -c 'echo one; sleep 0.3; echo two' >/dev/null
is "logs -f follows to the end" "$(box logs -f logged | tr '\n' ' ')" "one two "
is "logs afterwards" "$(box logs logged | tr '\n' ' ')" "one two "
no_fds=$(box run --rm busybox sh -c 'ls /proc/self/fd | tr "\n" " "')
like "it has no descriptor but the three (and ls's own)" "$no_fds" '^0 1 2 3 $'
is "not even when box has more" "$(box run --rm busybox sh -c 'ls /proc/self/fd | tr "\n" " "' 7</dev/null 8</dev/null)" "$no_fds"
box rm logged >/dev/null
no_containers "nothing is left"
done_testing
