#!/bin/sh
# Capabilities, filters, privileges, devices: Docker's defaults or tighter, and the flags that change them.
. "$BOX_SRC/tests/integration/common.sh"
setup

status_of() { sed -n "s/^$1:[^0-9a-f]*//p"; }
is "the usual capabilities" "$(box run --rm busybox cat /proc/self/status | status_of CapEff)" 00000000a80425fb
is "--cap-drop ALL" "$(box run --rm --cap-drop ALL busybox cat /proc/self/status | status_of CapBnd)" 0000000000000000
is "--cap-drop ALL --cap-add one" \
    "$(box run --rm --cap-drop ALL --cap-add NET_BIND_SERVICE busybox cat /proc/self/status | status_of CapEff)" 0000000000000400
is "a user has none in effect" "$(box run --rm -u app busybox cat /proc/self/status | status_of CapEff)" 0000000000000000
is "no new privileges" "$(box run --rm busybox cat /proc/self/status | status_of NoNewPrivs)" 1
is "a filter" "$(box run --rm busybox cat /proc/self/status | status_of Seccomp)" 2
is "--security-opt seccomp=unconfined" \
    "$(box run --rm --security-opt seccomp=unconfined busybox cat /proc/self/status | status_of Seccomp)" 0
echo '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}' >"$BOX_TMP/profile"
not_ok "--security-opt seccomp=FILE" box run --rm --security-opt "seccomp=$BOX_TMP/profile" busybox mkdir /tmp/x
like "says no" "$ERR" 'not permitted'
not_ok "nothing is mounted from within" box run --rm busybox mount -t tmpfs none /mnt
not_ok "no namespaces are made" box run --rm busybox unshare -U true
like "no clock is set" "$(box run --rm busybox date -s 2000-01-01 2>&1)" "not permitted"
not_ok "proc is not written to" box run --rm busybox sh -c 'echo 1 >/proc/sys/kernel/panic'
is "masked files are empty" "$(box run --rm busybox sh -c 'cat /proc/kcore /proc/keys 2>/dev/null | wc -c' | tr -d ' ')" 0
not_ok "sys is read only" box run --rm busybox sh -c 'mkdir /sys/fs/cgroup/x || echo 1 >/sys/kernel/profiling'
not_ok "no other device can be made and opened" box run --rm busybox sh -c 'mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg'
ok "--device gives one" box run --rm --device /dev/null:/dev/other busybox sh -c 'echo x >/dev/other'
if [ "$(id -u)" = 0 ]; then
    ok "--privileged may mount" box run --rm --privileged busybox mount -t tmpfs none /tmp
    is "and has no filter" "$(box run --rm --privileged busybox cat /proc/self/status | status_of Seccomp)" 0
fi
no_containers "nothing is left"
done_testing
