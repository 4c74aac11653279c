#!/bin/sh
# Limits: set at the start, read back in the kernel's files, changed while it runs, and what happens at them.
. "$BOX_SRC/tests/integration/common.sh"
setup
limits_work || skip_all "no cgroup was delegated to this user"

# The value of a limit as the kernel has it, whatever hierarchy it is in: NAME V2-FILE V1-CONTROLLER V1-FILE
limit() {
    limit_pid=$(box inspect "$1" | sed -n 's/.*"Pid": *\([0-9]*\).*/\1/p' | head -n 1)
    for limit_dir in "/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$limit_pid/cgroup")" \
        "/sys/fs/cgroup/$3$(sed -n "s/^[0-9]*:[^:]*\\b$3\\b[^:]*://p" "/proc/$limit_pid/cgroup" | head -n 1)"; do
        for limit_file in "$2" "$4"; do
            [ ! -f "$limit_dir/$limit_file" ] || { cat "$limit_dir/$limit_file"; return; }
        done
    done
}

ok "it starts with limits" box run -d --name lim -m 64m --cpus 0.5 --pids-limit 40 busybox sleep 1000
is "-m" "$(limit lim memory.max memory memory.limit_in_bytes)" 67108864
is "--pids-limit" "$(limit lim pids.max pids pids.max)" 40
like "--cpus" "$(limit lim cpu.max cpu cpu.cfs_quota_us)" '^50000( 100000)?$'
like "stats shows the limit" "$(box stats --no-stream lim)" '/ 64MiB'
ok "update while it runs" box update -m 96m --pids-limit 50 --cpus 1 lim
is "its memory" "$(limit lim memory.max memory memory.limit_in_bytes)" 100663296
is "its processes" "$(limit lim pids.max pids pids.max)" 50
like "its processor time" "$(limit lim cpu.max cpu cpu.cfs_quota_us)" '^100000( 100000)?$'
ok "restarted" sh -c '"$0" --root "$1/root" --runroot "$1/run" stop -t 0 lim && "$0" --root "$1/root" --runroot "$1/run" start lim' "$BOX" "$BOX_TMP"
is "it keeps what was changed" "$(limit lim pids.max pids pids.max)" 50
box rm -f lim >/dev/null
not_ok "a limit on processes is kept" box run --rm --pids-limit 5 busybox sh -c \
    'for i in 1 2 3 4 5 6 7 8; do sleep 1 & done 2>/dev/null; wait; exit 0 || exit 1'
status_is "out of memory is 137" 137 box run --name oom -m 16m --memory-swap 16m busybox dd if=/dev/zero of=/dev/shm/big bs=1M count=60
like "and told by inspect" "$(box inspect oom)" '"OOMKilled": *true'
box rm oom >/dev/null
status_is "a limit below the least is refused" 125 box run --rm -m 1k busybox true
says "and said so" 'memory'
status_is "so is a negative number of processors" 125 box run --rm --cpus -1 busybox true
status_is "and processors that are not there" 125 box run --rm --cpuset-cpus 4000 busybox true
is "--cpuset-cpus" "$(box run --rm --cpuset-cpus 0 busybox nproc)" 1
not_ok "update refuses nonsense" box update -m lots lim

# A hierarchy that the container has no cgroup in is not shown: what the host has there is not its business.
mark=/sys/fs/cgroup/cpuset/libbox-mark-$$
if [ "$(id -u)" = 0 ] && [ -d /sys/fs/cgroup/cpuset ] && mkdir "$mark" 2>/dev/null; then
    like "its own cgroup is shown" "$(box run --rm -m 64m busybox cat /sys/fs/cgroup/memory/memory.limit_in_bytes)" '^67108864$'
    is "and no cgroup of the host's" "$(box run --rm -m 64m busybox find /sys/fs/cgroup -maxdepth 2 -name 'libbox-mark-*')" ""
    rmdir "$mark"
else
    skip "its own cgroup is shown" "there is no v1 cpuset hierarchy to mark"
    skip "and no cgroup of the host's" "there is no v1 cpuset hierarchy to mark"
fi
no_containers "nothing is left"
done_testing
