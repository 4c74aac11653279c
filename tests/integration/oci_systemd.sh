#!/bin/sh
# box-oci --systemd-cgroup: containers in units that systemd makes. Needs systemd as the machine's init; the guest of
# tests/vm/run-systemd has it, with cgroup v2 alone and with the hybrid arrangement.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -d /run/systemd/system ] || skip_all "systemd is not this machine's init"
oci=$BOX_BUILD/examples/box-oci/box-oci json=$BOX_BUILD/tests/integration/helper-json
[ -x "$oci" ] && [ -x "$json" ] || skip_all "box-oci or helper-json is not built"
bundle=$BOX_TMP/bundle root=$BOX_TMP/state
mkdir -p "$bundle" && fixture_rootfs "$bundle/rootfs" || skip_all "no static busybox to make a root of"
o() { "$oci" --root "$root" --systemd-cgroup "$@"; }

clear_all() {
    for id in $(o list -q 2>/dev/null); do o delete -f "$id"; done
    systemctl stop pre-taken.scope 2>/dev/null
}
trap clear_all EXIT

config() { # [KEY.KEY=JSON]...
    rm -f "$bundle/config.json"
    (cd "$bundle" && "$oci" spec) || return 1
    "$json" edit "$bundle/config.json" process.terminal=false 'process.args=["sleep", "1000"]' root.readonly=false "$@"
}
member() { o state "$1" | "$json" get "$2"; }
show() { systemctl show --value -p "$2" "$1"; }
gone() { # UNIT: not known any more, within a moment. (A slice's name alone is enough for systemd to know it.)
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        case $1:$(systemctl show --value -p ActiveState,LoadState "$1" | sort | tr '\n' ' ') in
        *.slice:*'inactive '* | *:'inactive not-found ') return 0 ;;
        esac
        sleep 0.2
    done
    return 1
}
nothing_left() { # UNIT
    gone "$1" && [ -z "$(o list -q)" ] && [ -z "$(find /sys/fs/cgroup -name "$1" 2>/dev/null)" ]
}

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    v2=1 line='^0::'
    at() { echo "/sys/fs/cgroup/$1/$3"; }
else
    v2='' line='^1:name=systemd:'
    at() { echo "/sys/fs/cgroup/$2/$1/$4"; }
fi
# file UNIT-PATH V1-CONTROLLER V2-FILE V1-FILE
file() { cat "$(at "$@")"; }

# ---- a life, with limits
resources='{"memory": {"limit": 67108864, "swap": 134217728}, "cpu": {"shares": 512, "quota": 50500, "period": 100000, "cpus": "0"},
 "pids": {"limit": 20}, "devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}]}'
config 'linux.cgroupsPath="system.slice:box:one"' "linux.resources=$resources" \
    'process.capabilities.bounding=["CAP_MKNOD"]' 'process.capabilities.effective=["CAP_MKNOD"]' 'process.capabilities.permitted=["CAP_MKNOD"]' \
    'annotations={"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.Documentation": "['"'man:box'"']"}'
unit=box-one.scope path=system.slice/box-one.scope
ok "create" o create -b "$bundle" one
is "is created" "$(member one status)" created
is "the scope is active" "$(show $unit ActiveState)" active
is "in its slice" "$(show $unit Slice)" system.slice
is "handed over" "$(show $unit Delegate)" yes
is "with a description" "$(show $unit Description)" "libbox container one"
is "collected when it fails" "$(show $unit CollectMode)" inactive-or-failed
is "an annotation in seconds is a property" "$(show $unit TimeoutStopUSec)" 7s
is "an annotation that is a list is one" "$(show $unit Documentation)" man:box
pid=$(member one pid)
like "the process is in its cgroup" "$(cat "/proc/$pid/cgroup")" "$line/$path\$"
is "and alone there" "$(file $path systemd cgroup.procs cgroup.procs)" "$pid"

limits_are() { # TEXT MEMORY TASKS QUOTA-IN-SYSTEMD QUOTA
    is "$1: memory, as systemd has it" "$(show $unit "$([ "$v2" ] && echo MemoryMax || echo MemoryLimit)")" "$2"
    is "$1: memory" "$(file $path memory memory.max memory.limit_in_bytes)" "$2"
    is "$1: processes, as systemd has it" "$(show $unit TasksMax)" "$3"
    is "$1: processes" "$(file $path pids pids.max pids.max)" "$3"
    is "$1: CPU, as systemd has it, in whole percents" "$(show $unit CPUQuotaPerSecUSec)" "$4"
}
devices_hold() { # TEXT
    not_ok "$1: a device that no rule allows" o exec one sh -c 'rm -f /tmp/d; mknod /tmp/d c 1 11 && head -c 1 /tmp/d'
    like "$1: is refused" "$ERR" 'Operation not permitted'
    ok "$1: a default device" o exec one sh -c 'rm -f /tmp/d; mknod /tmp/d c 1 3 && echo >/tmp/d'
}
limits_are create 67108864 20 510ms
is "CPU quota, exactly" "$([ "$v2" ] && file $path cpu cpu.max || cat /sys/fs/cgroup/cpu/$path/cpu.cfs_quota_us)" \
    "$([ "$v2" ] && echo "50500 100000" || echo 50500)"
if [ "$v2" ]; then
    is "swap, as systemd has it" "$(show $unit MemorySwapMax)" 67108864
    is "swap" "$(file $path memory memory.swap.max)" 67108864
    is "CPU weight, as systemd has it" "$(show $unit CPUWeight)" 20
    is "CPU weight" "$(file $path cpu cpu.weight)" 20
    is "CPUs, as systemd has it" "$(show $unit AllowedCPUs)" 0
else
    is "swap" "$(cat /sys/fs/cgroup/memory/$path/memory.memsw.limit_in_bytes 2>/dev/null || echo 134217728)" 134217728
    is "CPU shares, as systemd has it" "$(show $unit CPUShares)" 512
    is "CPU shares" "$(cat /sys/fs/cgroup/cpu/$path/cpu.shares)" 512
fi
is "CPUs" "$(file $path cpuset cpuset.cpus cpuset.cpus)" 0
is "devices are restricted" "$(show $unit DevicePolicy)" strict
like "by the rules" "$(show $unit DeviceAllow)" '/dev/char/10:229 rw'
like "and the default devices" "$(show $unit DeviceAllow)" '/dev/char/1:3 rwm'
ok "start" o start one
status_is "exec" 7 o exec one sh -c 'exit 7'
is "exec goes into the same cgroup" "$(o exec one sh -c "cat /proc/self/cgroup" | grep -E "$line")" "$(o exec one cat /proc/1/cgroup | grep -E "$line")"
devices_hold "in force"
ok "daemon-reload" systemctl daemon-reload
limits_are "after a reload" 67108864 20 510ms
devices_hold "after a reload"
ok "pause" o pause one
is "is paused" "$(member one status)" paused
ok "resume" o resume one
ok "update" o update --memory 100663296 --memory-swap 201326592 --pids-limit 30 --cpu-quota 20000 one
limits_are updated 100663296 30 200ms
[ -z "$v2" ] || is "swap, updated" "$(show $unit MemorySwapMax) $(file $path memory memory.swap.max)" "100663296 100663296"
is "what was not said stays" "$(file $path cpuset cpuset.cpus cpuset.cpus)" 0
printf '{"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"}, {"allow": true, "access": "m"}]}' >"$BOX_TMP/r.json"
ok "update of device rules" o update -r "$BOX_TMP/r.json" one
is "replaces those that were" "$(show $unit DeviceAllow | grep -c 10:229)" 0
ok "another reload" systemctl daemon-reload
limits_are "after another" 100663296 30 200ms
devices_hold "after another"
like "list knows it" "$(o list)" '^one +[0-9]+ +running'
is "ps" "$(o ps -f json one)" "[$pid]"
ok "kill" o kill one KILL
for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(member one status)" = stopped ] && break; sleep 0.2; done
ok "delete" o delete one
ok "leaves nothing" nothing_left $unit

# ---- places
place() { # TEXT CGROUPSPATH UNIT PATH
    config "linux.cgroupsPath=\"$2\""
    ok "$1" o create -b "$bundle" p
    like "$1: where" "$(cat "/proc/$(member p pid)/cgroup")" "$line$4\$"
    ok "$1: delete" o delete -f p
    ok "$1: leaves nothing" nothing_left "$3"
}
place "podman's" machine.slice:libpod:0123abc libpod-0123abc.scope /machine.slice/libpod-0123abc.scope
place "a slice that is not there" my-new.slice:pre:name pre-name.scope /my.slice/my-new.slice/pre-name.scope
place "no slice" :docker:x docker-x.scope /system.slice/docker-x.scope
place "no prefix" system.slice::alone alone.scope /system.slice/alone.scope
place "a slice of its own" machine.slice:any:boxes-web.slice boxes-web.slice /boxes.slice/boxes-web.slice
config
ok "without a place" o create -b "$bundle" 'p+1'
like "it has the id's" "$(cat "/proc/$(member 'p+1' pid)/cgroup")" "$line"'/system.slice/box-p\\x2b1.scope$'
ok "delete" o delete -f 'p+1'
bad() { # PLACE
    config "linux.cgroupsPath=\"$1\""
    not_ok "bad place \"$1\"" o create -b "$bundle" bad
    like "bad place \"$1\": is told" "$ERR" 'cgroupsPath|not a place'
}
for place in /a/b nothing system.slice:two a:b:c:d system:x:y 'a/b.slice:x:y' 'a--b.slice:x:y' system.slice:x:a/b system.slice:x:; do bad "$place"; done
is "bad places leave nothing" "$(o list -q)" ""

# ---- a name that is taken
systemd-run --scope --unit=pre-taken sleep 500 >/dev/null 2>&1 &
for _ in 1 2 3 4 5 6 7 8 9 10; do [ "$(show pre-taken.scope ActiveState)" = active ] && break; sleep 0.3; done
config 'linux.cgroupsPath="system.slice:pre:taken"'
not_ok "a unit that somebody has" o create -b "$bundle" taken
is "goes on" "$(show pre-taken.scope ActiveState)" active
systemctl stop pre-taken.scope

# ---- annotations that are wrong
config 'annotations={"org.systemd.property.NoSuchThing": "true"}'
not_ok "a property that systemd does not know" o create -b "$bundle" bad
like "is told in its words" "$ERR" 'systemd: .*NoSuchThing'
config 'annotations={"org.systemd.property.CollectMode": "[1,"}'
not_ok "a value that is malformed" o create -b "$bundle" bad
like "is told" "$ERR" 'org.systemd.property.CollectMode'
ok "and nothing is left" nothing_left box-bad.scope

config 'process.args=["/no/such/program"]'
not_ok "a program that is not there" o create -b "$bundle" bad
ok "ends the unit too" nothing_left box-bad.scope
config 'linux.resources={"cpu": {"realtimeRuntime": 950000, "realtimePeriod": 1000000}}'
not_ok "a limit that the kernel has not" o create -b "$bundle" bad
ok "ends it as well" nothing_left box-bad.scope

# ---- run
config 'process.args=["sh", "-c", "exit 3"]'
status_is "run ends as its program did" 3 o run -b "$bundle" r
ok "and leaves nothing" nothing_left box-r.scope
config 'process.args=["true"]' 'linux.resources={"pids": {"limit": 1}}'
ok "one process alone" o run -b "$bundle" r
# What is process 1 of its namespace hears no SIGTERM: systemd waits for this long before it kills.
config 'annotations={"org.systemd.property.TimeoutStopSec": "1"}'
o run -d -b "$bundle" s1 >/dev/null
ok "systemctl stop" systemctl stop box-s1.scope
is "ends the container" "$(member s1 status)" stopped
ok "whose delete finds no unit" o delete s1
config
many=$(for i in 1 2 3 4 5 6; do (o run -d -b "$bundle" "m$i" >"$BOX_TMP/m$i.out" 2>&1 || cat "$BOX_TMP/m$i.out") & done; wait)
is "six at once" "$many" ""
is "all are there" "$(systemctl list-units --plain --no-legend 'box-m?.scope' | wc -l)" 6
for i in 1 2 3 4 5 6; do o delete -f "m$i" & done
wait
is "and then none" "$(systemctl list-units --all --plain --no-legend 'box-m?.scope'; o list -q; find /sys/fs/cgroup -name 'box-m?.scope')" ""

# ---- a create that is killed
config 'hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $$ >'"$BOX_TMP/in-hook"'; exec sleep 30"]}]}'
# By its own name: what is killed is not to be a shell around it.
"$oci" --root "$root" --systemd-cgroup create -b "$bundle" k &
maker=$!
for _ in $(seq 100); do [ -s "$BOX_TMP/in-hook" ] && break; sleep 0.1; done
is "while a hook runs the scope is active" "$(show box-k.scope ActiveState)" active
kill -KILL $maker
wait $maker 2>/dev/null
kill "$(cat "$BOX_TMP/in-hook")" # the hook is nobody's now
ok "delete after a kill" o delete -f k
ok "leaves no unit" nothing_left box-k.scope
config
for delay in 0.02 0.06 0.1 0.15 0.2 0.3; do
    timeout -s KILL $delay "$oci" --root "$root" --systemd-cgroup create -b "$bundle" k >/dev/null 2>&1
    o delete -f k 2>"$BOX_TMP/err" || diag "delete after $delay: $(cat "$BOX_TMP/err")"
done
ok "kills at other moments leave none either" nothing_left box-k.scope

# ---- an ordinary user, by the bus of the user's own manager
if [ -z "${BOX_VM:-}" ]; then
    skip "an ordinary user" "only in the guest, which has one"
elif [ -z "$v2" ]; then
    skip "an ordinary user" "v1 controllers cannot be given to one"
else
    systemctl start user@1000.service
    mkdir -p "$BOX_TMP/user" && mv "$bundle" "$BOX_TMP/user/bundle" && chown -R 1000:1000 "$BOX_TMP/user"
    as_user() {
        setpriv --reuid 1000 --regid 1000 --clear-groups env XDG_RUNTIME_DIR=/run/user/1000 HOME=/home/tester "$@"
    }
    in_scope() { as_user systemd-run --user --scope -q "$@"; }
    u() { in_scope "$oci" --root "$BOX_TMP/user/state" --systemd-cgroup "$@"; }
    as_user sh -c 'cd "$1/bundle" && rm -f config.json && "$2" spec --rootless' - "$BOX_TMP/user" "$oci"
    "$json" edit "$BOX_TMP/user/bundle/config.json" process.terminal=false 'process.args=["sleep", "1000"]' \
        'linux.uidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}]' 'linux.gidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}]' \
        'linux.resources={"memory": {"limit": 67108864}, "pids": {"limit": 20}}'
    ok "an ordinary user's container" u create -b "$BOX_TMP/user/bundle" u1
    own=/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/user.slice/box-u1.scope
    is "is in the user's slice" "$(as_user systemctl --user show --value -p ActiveState box-u1.scope)" active
    is "its memory" "$(cat $own/memory.max) $(as_user systemctl --user show --value -p MemoryMax box-u1.scope)" "67108864 67108864"
    is "its processes" "$(cat $own/pids.max)" 20
    ok "start" u start u1
    status_is "exec" 4 u exec u1 sh -c 'exit 4'
    ok "update" u update --pids-limit 25 u1
    is "is in force" "$(cat $own/pids.max) $(as_user systemctl --user show --value -p TasksMax box-u1.scope)" "25 25"
    ok "delete" u delete -f u1
    is "leaves nothing" "$(ls -d $own 2>/dev/null; u list -q)" ""
    not_ok "without a bus" as_user env -u XDG_RUNTIME_DIR "$oci" --root "$BOX_TMP/user/state" --systemd-cgroup create -b "$BOX_TMP/user/bundle" u2
    like "is told how to have one" "$ERR" "no bus of the user's.*DBUS_SESSION_BUS_ADDRESS"
fi

# ---- a machine without a bus, but with systemd's own socket
if [ -n "${BOX_VM:-}" ]; then
    bundle=$BOX_TMP/second && mkdir -p "$bundle" && fixture_rootfs "$bundle/rootfs"
    config 'process.args=["sh", "-c", "exit 5"]' 'linux.resources={"pids": {"limit": 9}}'
    systemctl stop dbus.socket dbus.service 2>/dev/null
    status_is "without a bus" 5 o run -b "$bundle" nobus
    ok "leaves nothing" nothing_left box-nobus.scope
else
    skip "without a bus" "only in the guest, whose bus can be stopped"
fi

done_testing
