#!/bin/sh
# box run: its flags, Docker's exit codes, and what is said when something is wrong.
. "$BOX_SRC/tests/integration/common.sh"
setup

# ---- how it ends
ok "a program runs" box run --rm busybox echo hello world
is "its output is handed through" "$OUT" "hello world"
is "and nothing else is said" "$ERR" ""
status_is "its exit code is box's" 7 box run --rm busybox sh -c 'exit 7'
status_is "exit codes reach to 255" 255 box run --rm busybox sh -c 'exit 255'
status_is "death by a signal is 128 and its number" 137 box run --rm --init busybox sh -c 'kill -9 $$'
status_is "an aborted program is 134" 134 box run --rm --init busybox sh -c 'kill -6 $$'
status_is "a program that is not there is 127" 127 box run --rm busybox no-such-program
says "and is named" 'no-such-program'
status_is "one that cannot be executed is 126" 126 box run --rm busybox /etc/passwd
says "and is named as well" '/etc/passwd'
status_is "a directory is 126" 126 box run --rm busybox /etc
status_is "an image that is not there is 125" 125 box run --pull never --rm no-such-image true
says "and is named" "No such image: no-such-image"
status_is "an unknown flag is 125" 125 box run --no-such-flag busybox
like "and is named" "$ERR" 'unknown flag: --no-such-flag'
status_is "a flag without its value is 125" 125 box run --name
status_is "a value that is no size is 125" 125 box run --rm -m lots busybox true
says "and its flag is named" '"lots" for "--memory"|invalid.*-m'
status_is "a value that is no number is 125" 125 box run --rm --pids-limit many busybox true
status_is "a network that is not there is 125" 125 box run --rm --network no-such-net busybox true
says "and is named" 'network no-such-net not found'
status_is "a user that is not in the image is 125" 125 box run --rm -u nobody-here busybox true
says "and is named" 'nobody-here'
status_is "an unknown capability is 125" 125 box run --rm --cap-add FROBNICATE busybox true
says "and is named" 'FROBNICATE'
status_is "an unknown ulimit is 125" 125 box run --rm --ulimit frob=1 busybox true
says "and is named" 'frob'
status_is "a device that is not there is 125" 125 box run --rm --device /dev/no-such-device busybox true
says "and is named" '/dev/no-such-device'
status_is "an unknown security option is 125" 125 box run --rm --security-opt frob=1 busybox true
status_is "a seccomp profile that is not there is 125" 125 box run --rm --security-opt seccomp=/no/such/file busybox true
status_is "an environment file that is not there is 125" 125 box run --rm --env-file /no/such/file busybox true
says "and is named" '/no/such/file'
echo '{' >"$BOX_TMP/bad.json"
status_is "a malformed seccomp profile is 125" 125 box run --rm --security-opt seccomp="$BOX_TMP/bad.json" busybox true
no_containers "none of these left a container"

# ---- names
ok "a container may be named" box run --name first busybox true
status_is "a name is taken once" 125 box run --name first busybox true
says "and said to be taken" 'first.*(in use|taken|exists)|exists.*first'
status_is "a name has no odd characters" 125 box run --name 'a/b' busybox true
ok "it is removed" box rm first
ok "with --cidfile its id is written" box run --rm --cidfile "$BOX_TMP/cid" busybox true
like "of 64 digits" "$(cat "$BOX_TMP/cid")" '^[0-9a-f]{64}$'
status_is "a cidfile is not written over" 125 box run --rm --cidfile "$BOX_TMP/cid" busybox true
no_containers "and leaves nothing"

# ---- environment, directory, hostname
ok "-e sets a variable" box run --rm -e A=1 -e B='2 3' busybox sh -c 'echo "$A|$B"'
is "as given" "$OUT" "1|2 3"
FROM_HERE=yes && export FROM_HERE
is "-e NAME takes it from here" "$(box run --rm -e FROM_HERE busybox sh -c 'echo $FROM_HERE')" yes
is "nothing else comes from here" "$(box run --rm busybox sh -c 'echo $FROM_HERE')" ""
printf '# remark\nA=file\nB=file\n\nFROM_HERE\n' >"$BOX_TMP/env"
is "--env-file is read, -e goes over it" \
    "$(box run --rm --env-file "$BOX_TMP/env" -e B=flag busybox sh -c 'echo $A $B $FROM_HERE')" "file flag yes"
is "PATH, HOSTNAME and HOME are set" \
    "$(box run --rm --hostname hal busybox sh -c 'echo "$PATH $HOSTNAME $HOME"')" "/usr/sbin:/usr/bin:/sbin:/bin hal /root"
is "-w is the working directory" "$(box run --rm -w /var/log busybox pwd)" /var/log
is "which is made where it is missing" "$(box run --rm -w /new/dir busybox pwd)" /new/dir
is "--hostname" "$(box run --rm --hostname hal busybox hostname)" hal
like "the hostname is the id's start otherwise" "$(box run --rm busybox hostname)" '^[0-9a-f]{12}$'
is "the hostname is in /etc/hosts" "$(box run --rm --hostname hal busybox grep -c hal /etc/hosts)" 1
is "--entrypoint takes the place of the image's, whose cmd is left out" \
    "$(box run --rm --entrypoint /bin/show-args busybox a 'b c')" "args: a b c"
is "flags of the program are not box's" "$(box run --rm busybox echo --rm -it)" "--rm -it"

# ---- isolation in a few words
is "its first process is number 1" "$(box run --rm busybox sh -c 'echo $$')" 1
is "it sees its own processes only" "$(box run --rm busybox sh -c 'set -- /proc/[0-9]*; echo $#')" 1
is "without a network there is loopback" "$(box run --rm --network none busybox ls /sys/class/net)" lo
is "--network host is the host's" "$(box run --rm --network host busybox readlink /proc/self/ns/net)" \
    "$(readlink /proc/self/ns/net)"
is "--pid host sees the host's processes" "$(box run --rm --pid host busybox readlink /proc/self/ns/pid)" \
    "$(readlink /proc/self/ns/pid)"
is "--uts host has the host's name" "$(box run --rm --uts host busybox hostname)" "$(hostname)"
is "its own shm, of 64 MB" "$(box run --rm busybox df -m /dev/shm | awk 'END { print $2 }')" 64
is "--shm-size" "$(box run --rm --shm-size 16m busybox df -m /dev/shm | awk 'END { print $2 }')" 16
is "--sysctl of its namespaces" "$(box run --rm --sysctl net.ipv4.ip_forward=1 busybox cat /proc/sys/net/ipv4/ip_forward)" 1
status_is "a sysctl of the host's is refused" 125 box run --rm --sysctl vm.swappiness=1 busybox true
is "--ulimit" "$(box run --rm --ulimit nofile=77:88 busybox sh -c 'ulimit -Sn; ulimit -Hn' | tr '\n' ' ')" "77 88 "
is "--oom-score-adj" "$(box run --rm --oom-score-adj 321 busybox cat /proc/self/oom_score_adj)" 321
is "devices are the usual few" \
    "$(box run --rm busybox sh -c 'cd /dev && ls -1 | grep -vE "^(pts|shm|mqueue|fd|std.*|core|ptmx|console)$"' | sort | tr '\n' ' ')" \
    "full null random tty urandom zero "

# ---- --init
is "with --init the program is not number 1" "$(box run --rm --init busybox sh -c 'echo $$')" 2
is "an orphan that ended is reaped by --init" \
    "$(box run --rm --init busybox sh -c '(true &) ; sleep 0.3; grep -l "^State:.*Z" /proc/[0-9]*/status 2>/dev/null | wc -l' | tr -d ' ')" 0
status_is "--init hands the exit code on" 9 box run --rm --init busybox sh -c 'exit 9'
no_containers "--rm left nothing"
done_testing
