#!/bin/sh
# What box-oci says to systemd over a container's life, where there is none: to a made-up one, whose cgroups box-oci makes
# itself. What a real one does with it: oci_systemd.sh.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
bin=$BOX_BUILD/tests/integration oci=$BOX_BUILD/examples/box-oci/box-oci
[ -x "$bin/helper-systemd" ] && [ -x "$bin/helper-json" ] && [ -x "$oci" ] || skip_all "box-oci or a helper is not built"
bundle=$BOX_TMP/bundle root=$BOX_TMP/state group=/libbox-test-$$-oci
mkdir -p "$bundle" && fixture_rootfs "$bundle/rootfs" || skip_all "no static busybox to make a root of"

# systemd DESCRIPTION: a new one; o talks to it until said ends it and has what it was asked.
systemd() {
    rm -f "$BOX_TMP/end" "$BOX_TMP/said" && mkfifo "$BOX_TMP/end"
    "$bin/helper-systemd" "$group/box-x.scope" "$1" <"$BOX_TMP/end" >"$BOX_TMP/said" &
    helper=$!
    exec 9>"$BOX_TMP/end"
    for _ in $(seq 100); do [ -s "$BOX_TMP/said" ] && break; sleep 0.1; done
    read -r address <"$BOX_TMP/said"
    [ "$address" != none ] || skip_all "libsystemd is not installed"
}
said() {
    exec 9>&-
    wait $helper
}
o() { DBUS_SYSTEM_BUS_ADDRESS=$address "$oci" --root "$root" --cgroup-manager systemd "$@" 9>&-; }
config() {
    rm -f "$bundle/config.json"
    (cd "$bundle" && "$oci" spec) && "$bin/helper-json" edit "$bundle/config.json" process.terminal=false 'process.args=["sleep", "1000"]' "$@"
}
in_group() { find /sys/fs/cgroup -path "*$group*" -name box-x.scope 2>/dev/null; }
clear_all() {
    o delete -f x 2>/dev/null
    for dir in $(find /sys/fs/cgroup -depth -type d -path "*$group*" 2>/dev/null); do rmdir "$dir"; done
}
trap clear_all EXIT

config 'linux.cgroupsPath="machine.slice:box:x"' 'linux.resources={"pids": {"limit": 20}}' \
    'annotations={"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.IgnoreOnIsolate": "true", "other": "x"}'
systemd "libbox container x"
ok "create" o create -b "$bundle" x
ok "start" o start x
status_is "exec" 3 o exec x sh -c 'exit 3'
pid=$(o ps -f json x | tr -d '[]')
is "it is in the cgroup that it was told, alone" "$pid" "$(o state x | "$bin/helper-json" get pid)"
like "which is what /proc says" "$(cat "/proc/$pid/cgroup")" ":$group/box-x.scope\$"
ok "update" o update --pids-limit 30 x
ok "delete" o delete -f x
is "no cgroup is left" "$(in_group)" ""
said
like "the start" "$(cat "$BOX_TMP/said")" '^StartTransientUnit box-x\.scope replace \[\(Description,<s:libbox container x>\).*\(Slice,<s:machine\.slice>\),\(Delegate,<b:true>\),\(PIDs,<au:\[[0-9]+\]>\),\(TasksMax,<t:20>\)'
like "with the annotations" "$(cat "$BOX_TMP/said")" '\(TimeoutStopUSec,<t:7000000>\),\(IgnoreOnIsolate,<b:true>\)\] \[\]$'
like "the update" "$(cat "$BOX_TMP/said")" '^SetUnitProperties box-x\.scope true \[\(TasksMax,<t:30>\)\]$'
like "the stop" "$(cat "$BOX_TMP/said")" '^StopUnit box-x\.scope replace$'
is "and nothing else" "$(grep -vc '^unix:' "$BOX_TMP/said")" 4

systemd "libbox container x"
config 'linux.cgroupsPath="machine.slice:box:x"' 'process.args=["/no/such"]'
not_ok "a create that fails" o create -b "$bundle" x
is "leaves no cgroup" "$(in_group)" ""
config 'linux.cgroupsPath="machine.slice:box:x"' 'hooks={"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $$ >'"$BOX_TMP/in-hook"'; exec sleep 30"]}]}'
# By its own name: what is killed is not to be a shell around it.
DBUS_SYSTEM_BUS_ADDRESS=$address "$oci" --root "$root" --systemd-cgroup create -b "$bundle" x 9>&- &
maker=$!
for _ in $(seq 100); do [ -s "$BOX_TMP/in-hook" ] && break; sleep 0.1; done
kill -KILL $maker
wait $maker 2>/dev/null
kill "$(cat "$BOX_TMP/in-hook")" # the hook is nobody's now
ok "delete after a create that was killed" o delete -f x
is "leaves no cgroup either" "$(in_group)" ""
said
is "both stop their unit" "$(grep -c '^StopUnit' "$BOX_TMP/said")" 2

# Of a killed create it may be that somebody else's unit has the name.
systemd "somebody else's"
config 'linux.cgroupsPath="machine.slice:box:x"'
ok "create" o create -b "$bundle" x
ok "delete" o delete -f x
said
is "a unit of another description is not stopped" "$(grep -c '^StopUnit' "$BOX_TMP/said")" 0

done_testing
