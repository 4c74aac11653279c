#!/bin/sh
# box-oci under Podman: what holds a container in: limits, namespaces, mounts, capabilities, seccomp, devices.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start podman
# For --userns=auto Podman takes ids of the user "containers".
for file in /etc/subuid /etc/subgid; do
    [ -f "$file" ] || continue
    echo containers:1000000:1000000 >"$BOX_TMP/subids"
    engine_bind "$BOX_TMP/subids" "$file"
done
engine_image

# ---- limits --------------------------------------------------------------------------------------------------------

group_file() { # V1 V2: how the container names a limit's file
    if [ -d /sys/fs/cgroup/memory ]; then echo "/sys/fs/cgroup/$1"; else echo "/sys/fs/cgroup/$2"; fi
}
is "memory" "$(run -m 64m bb:1 cat "$(group_file memory/memory.limit_in_bytes memory.max)")" 67108864
is "processes" "$(run --pids-limit 33 bb:1 cat "$(group_file pids/pids.max pids.max)")" 33
like "which holds" "$(run --pids-limit 5 bb:1 sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 2 & done' 2>&1)" "can't fork"
like "processor time" "$(run --cpus 0.5 bb:1 cat "$(group_file cpu/cpu.cfs_quota_us cpu.max)")" '^50000( 100000)?$'
is "processors" "$(run --cpuset-cpus 0 bb:1 sed -n 's/^Cpus_allowed_list:.//p' /proc/self/status)" 0
# Podman looks for the monitor's note in the bundle; Debian 12's monitor leaves it in its working directory, which is ours.
told_oom() { [ -e oom ] || [ "$(p inspect -f '{{.State.OOMKilled}}' "$1")" = true ]; }
status_is "out of memory" 137 run -m 16m --memory-swap 16m bb:1 tail /dev/zero
rm -f oom
p run --name oom --network none -m 16m --memory-swap 16m bb:1 sh -c 'tail /dev/zero; sleep 0.5; exit 9' >/dev/null 2>&1
is "a process of several is killed alone" "$(p inspect -f '{{.State.ExitCode}}' oom)" 9
ok "and that is told as such" told_oom oom
like "open files" "$(run --ulimit nofile=99:100 --ulimit nproc=1024:1024 bb:1 sh -c 'ulimit -n; ulimit -Hn' | tr '\n' ' ')" '^99 100 $'
p run -d --name web --network none -m 256m bb:1 sh -c 'sleep 1000 & dd if=/dev/zero of=/dev/null' >/dev/null
until_true sh -c 'podman top web pid comm | grep -q dd'
like "statistics" "$(p stats --no-stream --format '{{.PIDs}}|{{.MemUsage}}|{{.CPU}}' web)" \
    '^2\|[0-9.]+[kM]B / 268.4MB\|[1-9][0-9]*\.[0-9]+$'
if p update --help >/dev/null 2>&1; then
    ok "update" p update -m 128m --cpus 0.25 web
    is "memory is less now" "$(p exec web cat "$(group_file memory/memory.limit_in_bytes memory.max)")" 134217728
    like "processor time too" "$(p exec web cat "$(group_file cpu/cpu.cfs_quota_us cpu.max)")" '^25000( 100000)?$'
else
    skip "update" "this Podman does not know it"
fi
p rm -f -t 0 web >/dev/null

# ---- mounts ----------------------------------------------------------------------------------------------------------

mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a volume" "$(run -v "$BOX_TMP/volume:/v:ro" bb:1 cat /v/file)" data
status_is "is read-only" 1 run -v "$BOX_TMP/volume:/v:ro" bb:1 touch /v/new
is "a volume by name keeps what is written" "$(run -v kept:/k bb:1 sh -c 'echo here >/k/f' && run -v kept:/k bb:1 cat /k/f)" here
like "mount options" "$(run -v "$BOX_TMP/volume:/v:noexec,nosuid,nodev,ro" bb:1 grep ' /v ' /proc/mounts)" ' ro,nosuid,nodev,noexec,'
like "a tmpfs" "$(run --tmpfs /t:size=1m,mode=1777 bb:1 sh -c 'stat -c %a /t; df -k /t | tail -n 1' | tr '\n' ' ')" '^1777 tmpfs +1024 '
is "the rest of /sys and /proc/sys is read-only" "$(run bb:1 sh -c 'for d in /sys /proc/sys; do touch $d/new 2>/dev/null || echo ro; done' | tr '\n' ' ')" "ro ro "
is "what is hidden is empty" "$(run bb:1 sh -c 'cat /proc/kcore /proc/keys /proc/timer_list; ls -A /sys/firmware' 2>/dev/null)" ""
status_is "a read-only root" 1 run --read-only bb:1 touch /new
ok "has a /tmp to write to" run --read-only bb:1 touch /tmp/new
echo word | p secret create secret - >/dev/null
is "a secret" "$(run --secret secret,mode=0400 bb:1 sh -c 'stat -c %a /run/secrets/secret; cat /run/secrets/secret' | tr '\n' ' ')" "400 word "
is "shared memory" "$(run --shm-size 2m bb:1 df -k /dev/shm | awk 'END { print $2 }')" 2048
mkdir "$BOX_TMP/over" "$BOX_TMP/volume/sub"
is "propagation" "$(run --privileged -v "$BOX_TMP/volume:/v:rslave" bb:1 grep -c ' /v .* master:' /proc/self/mountinfo)" 1

# ---- rights ----------------------------------------------------------------------------------------------------------

is "no capabilities" "$(run --cap-drop all bb:1 sed -n 's/^CapEff:.//p' /proc/self/status)" 0000000000000000
is "one" "$(run --cap-drop all --cap-add net_bind_service bb:1 sed -n 's/^CapEff:.//p' /proc/self/status)" 0000000000000400
is "no new privileges" "$(run --security-opt no-new-privileges bb:1 sed -n 's/^NoNewPrivs:.//p' /proc/self/status)" 1
is "system calls are filtered" "$(run bb:1 sed -n 's/^Seccomp:.//p' /proc/self/status)" 2
is "or not" "$(run --security-opt seccomp=unconfined bb:1 sed -n 's/^Seccomp:.//p' /proc/self/status)" 0
cat >"$BOX_TMP/seccomp.json" <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
  {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
  {"names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13, "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]}
JSON
like "by a policy in a file" "$(run --security-opt "seccomp=$BOX_TMP/seccomp.json" bb:1 mkdir /new 2>&1)" 'No space left'
like "whose conditions count" "$(run --security-opt "seccomp=$BOX_TMP/seccomp.json" bb:1 sh -c 'kill -12 $$; kill -10 $$' 2>&1)" 'Permission denied'
is "a sysctl" "$(run --sysctl net.ipv4.ip_unprivileged_port_start=80 bb:1 cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" 80
device=''
for candidate in fuse loop-control; do [ ! -c "/dev/$candidate" ] || device=/dev/$candidate; done
if [ -n "$device" ]; then
    is "a device, to be read alone" \
        "$(run --device "$device:/dev/mine:r" bb:1 sh -c '(: </dev/mine) && echo read; (: >/dev/mine) || echo no' 2>/dev/null | tr '\n' ' ')" "read no "
else
    skip "a device, to be read alone" "the machine has none that is not everybody's"
fi
like "none other" "$(run --cap-add mknod bb:1 sh -c 'mknod /dev/x c 1 11 && : >/dev/x' 2>&1)" 'not permitted'
like "nor a disk" "$(run --cap-add mknod bb:1 sh -c 'mknod /dev/x b 254 0 && : </dev/x' 2>&1)" 'not permitted'
is "all of them" "$(run --privileged bb:1 sh -c 'test -e /dev/kmsg && sed -n "s/^Seccomp:.//p" /proc/self/status')" 0

# ---- namespaces ------------------------------------------------------------------------------------------------------

like "a user namespace" "$(run --uidmap 0:100000:5000 bb:1 cat /proc/self/uid_map)" '^ *0 +100000 +5000$'
like "one that Podman chooses" "$(run --userns auto:size=2000 bb:1 cat /proc/self/uid_map)" '^ *0 +1[0-9]{6} +2000$'
mkdir -m 777 "$BOX_TMP/mapped"
ok "with a volume, given over to it" run --uidmap 0:100000:5000 -v "$BOX_TMP/mapped:/v:U" bb:1 sh -c 'echo mine >/v/file'
is "whose files are the outer user's" "$(stat -c %u "$BOX_TMP/mapped" "$BOX_TMP/mapped/file" | tr '\n' ' ')" "100000 100000 "
is "as another user" "$(run --uidmap 0:100000:5000 -u app bb:1 sh -c 'id -u; id -G' | tr '\n' ' ')" "1000 1000 29 1001 "
is "with a terminal" "$(run -t --uidmap 0:100000:5000 bb:1 sh -c 'test -t 0 && stat -c %u $(tty)' </dev/null | tr -d '\r')" 0
is "the host's processes" "$(run --pid host bb:1 readlink /proc/self/ns/pid)" "$(readlink /proc/self/ns/pid)"
is "the host's network" "$(p run --rm --network host bb:1 readlink /proc/self/ns/net)" "$(readlink /proc/self/ns/net)"
is "its name and IPC" "$(run --uts host --ipc host bb:1 sh -c 'readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc')" "$(readlink /proc/self/ns/uts /proc/self/ns/ipc)"
p run -d --name first --network none bb:1 sleep 1000 >/dev/null
is "another container's" "$(p run --rm --network container:first --pid container:first --ipc container:first bb:1 cat /proc/1/cmdline | tr '\000' ' ')" "sleep 1000 "
engine_end
done_testing
