#!/bin/sh
# box-oci as an engine calls it: the life of a container in steps, exec, limits, hooks, bad input, kills.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

oci=$BOX_BUILD/examples/box-oci/box-oci
[ -x "$oci" ] || skip_all "box-oci is not built"
[ "$(id -u)" = 0 ] || skip_all "needs root"
json=$BOX_BUILD/tests/integration/helper-json
[ -x "$json" ] || skip_all "helper-json is not built"
bundle=$BOX_TMP/bundle root=$BOX_TMP/state
mkdir -p "$bundle" && fixture_rootfs "$bundle/rootfs" || skip_all "no static busybox to make a root of"
o() { "$oci" --root "$root" --log "$BOX_TMP/log" --log-format json "$@"; }

clear_all() { for id in $(o list -q); do o delete -f "$id"; done; }
trap clear_all EXIT

# config [KEY.KEY=JSON | KEY.KEY-]...: the usual document, changed.
config() {
    rm -f "$bundle/config.json"
    (cd "$bundle" && "$oci" spec) || return 1
    "$json" edit "$bundle/config.json" process.terminal=false 'process.args=["sleep", "1000"]' "$@"
}
args() { config "process.args=$1"; }
member() { o state "$1" | "$json" get "$2"; }
state() { member "$1" status; }
eventually_state() { # ID STATE
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        [ "$(state "$1")" = "$2" ] && return 0
        sleep 0.1
    done
    return 1
}

# ---- a life, step by step
config 'process.args=["sh", "-c", "echo started >/tmp/out; exec sleep 1000"]' root.readonly=false
ok "create" o create -b "$bundle" --pid-file "$BOX_TMP/pid" one
is "is created" "$(state one)" created
is "the program has not begun" "$(ls "$bundle/rootfs/tmp" 2>/dev/null)" ""
is "the pid file has its process" "$(cat "$BOX_TMP/pid")" "$(member one pid)"
not_ok "a second one of that id" o create -b "$bundle" one
like "is refused" "$ERR" 'exists: one'
ok "start" o start one
ok "runs" eventually_state one running
not_ok "start twice" o start one
like "is refused" "$ERR" 'not created'
not_ok "delete while running" o delete one
like "is refused" "$ERR" 'not stopped'
is "list" "$(o list -q)" one
like "list as a table" "$(o list)" '^ID +PID +STATUS +BUNDLE'
like "ps" "$(o ps -f json one)" '^\[[0-9,]+\]$'
status_is "exec ends as its program did" 7 o exec one sh -c 'exit 7'
is "exec has the container's root" "$(o exec one cat /tmp/out)" started
is "exec by a process document" "$(printf '{"args": ["sh", "-c", "echo $A; pwd"], "cwd": "/tmp", "env": ["A=b", "PATH=/bin"], "user": {"uid": 5, "gid": 5}}' >"$BOX_TMP/p.json"; o exec -p "$BOX_TMP/p.json" one | tr '\n' ' ')" "b /tmp "
is "exec with further groups" "$(o exec -g 1000 --additional-gids 1001 one sh -c 'id -G')" "0 1000 1001"
status_is "exec with what is no group" 255 o exec -g x one true
like "is refused" "$ERR" 'not the number of a group'
# The hierarchy that has the container's memory limit, and where the container is in it.
line=$(grep -E '^[0-9]+:([^:]*,)?memory(,[^:]*)?:' /proc/"$(member one pid)"/cgroup || grep '^0::' /proc/"$(member one pid)"/cgroup)
case $line in
0::*) where=$(awk '$(NF-2) == "cgroup2" {print $5; exit}' /proc/self/mountinfo) prefix='' ;;
*) where=$(awk '/ - cgroup / && $NF ~ /(^|,)memory(,|$)/ {print $5; exit}' /proc/self/mountinfo) prefix=memory: ;;
esac
group=$where${line##*:}
is "it has a cgroup in every hierarchy, where engines read" "$(grep -c '/one$' /proc/"$(member one pid)"/cgroup)" \
    "$(awk '/ - cgroup2? / { print $3 }' /proc/self/mountinfo | sort -u | wc -l)"
mkdir "$group/below" "$group/below/deep"
like "exec in a cgroup below" "$(o exec --cgroup "${prefix}below/deep" one cat /proc/self/cgroup)" '/below/deep$'
like "the container's own is where others go" "$(o exec one cat /proc/self/cgroup | grep -c below)" '^0$'
status_is "exec in a cgroup that is not there" 255 o exec --cgroup "${prefix}nowhere" one true
like "is told" "$ERR" 'no such cgroup below'
for away in .. below/../.. ./. a//b; do
    status_is "exec in a cgroup elsewhere ($away)" 255 o exec --cgroup "$prefix$away" one true
    like "is refused" "$ERR" 'cgroup path must be made of names'
done
status_is "exec in a cgroup of no controller" 255 o exec --cgroup colour:below one true
like "is refused" "$ERR" 'no such controller'
status_is "exec in two, of which one does not say where" 255 o exec --cgroup below --cgroup "memory:below" one true
rmdir "$group/below/deep" "$group/below"
ok "exec that stays behind" o exec -d --pid-file "$BOX_TMP/pid2" one sleep 500
like "has a pid file" "$(cat "$BOX_TMP/pid2")" '^[0-9]+$'
status_is "exec of what is not there" 255 o exec one nothing-like-it
like "is told as engines know it" "$ERR" 'executable file not found in \$PATH'
ok "pause" o pause one
is "is paused" "$(state one)" paused
status_is "exec in a paused one" 255 o exec one true
o exec --ignore-paused one sh -c 'echo woken >/tmp/woken' &
sleep 0.2
is "exec that ignores it waits" "$(cat "$bundle/rootfs/tmp/woken" 2>/dev/null)" ""
ok "resume" o resume one
is "runs again" "$(state one)" running
wait $!
is "and so does what waited" "$(cat "$bundle/rootfs/tmp/woken")" woken
status_is "exec with a terminal that nobody takes" 255 o exec -d -t one true
like "is refused" "$ERR" 'no console socket'
ok "signal 0 asks whether it lives" o kill one 0
ok "update" o update --pids-limit 50 --memory 64m one
like "events --stats" "$(o events --stats one)" '"type":"stats","id":"one".*"limit":67108864.*"pids":\{"current":[0-9]+,"limit":50'
printf '{"pids": {"limit": 40}}' >"$BOX_TMP/r.json"
ok "update by a document" o update -r "$BOX_TMP/r.json" one
like "counts" "$(o events --stats one)" '"limit":40\}'
ok "kill" o kill one KILL
ok "is stopped" eventually_state one stopped
is "ps of a stopped one shows none" "$(o ps -f json one)" "[]"
not_ok "kill of a stopped one" o kill one KILL
ok "delete" o delete one
not_ok "state of a deleted one" o state one
like "says so" "$ERR" 'does not exist: one'
ok "delete -f of nothing" o delete -f one
is "nothing is left" "$(ls -A "$root")" ""

# ---- run
args '["sh", "-c", "cat; exit 3"]'
is "run passes input on" "$(echo through | o run -b "$bundle" r1)" through
status_is "run ends as its program did" 3 o run -b "$bundle" r1
is "and leaves nothing" "$(ls -A "$root")" ""
ok "run -d" o run -d -b "$bundle" r2
ok "delete -f" o delete -f r2
args '["sh", "-c", "test -e /proc/self/fd/4 && cat <&3"]'
is "descriptors are handed over" "$(echo three | sh -c '"$@" 3<&0 4</dev/null </dev/null' - "$oci" --root "$root" run -b "$bundle" --preserve-fds 2 r3)" three
args '["sh", "-c", "echo $LISTEN_FDS $LISTEN_PID"]'
is "and sockets to listen on" "$(LISTEN_FDS=1 sh -c '"$@" 3</dev/null' - "$oci" --root "$root" run -b "$bundle" r4)" "1 1"

args '["sleep", "1000"]'
sh -c '"$@" <&- >&- 2>&-' - "$oci" --root "$root" create -b "$bundle" r5
ok "with its streams closed" o start r5
is "the container has empty ones" "$(o exec r5 sh -c 'ls -l /proc/1/fd | sed -n "s/.* -> //p" | sort -u')" /dev/null
ok "and no other" test "$(o exec r5 sh -c 'ls /proc/1/fd | wc -l')" -eq 3
o delete -f r5

# ---- a cgroup that is there already, as "buildah --cgroup-parent" gives it
group=libbox-test-oci-$$
hierarchies=$(awk '/ - cgroup2? / { print $5 }' /proc/self/mountinfo | sort -u)
# shellcheck disable=SC2086
set -- $(for where in $hierarchies; do echo "$where/$group"; done)
mkdir "$@"
for where in $hierarchies; do # of v1's, an empty CPU set takes nobody
    [ ! -f "$where/$group/cpuset.mems" ] || [ "$where" = /sys/fs/cgroup ] || for file in cpuset.cpus cpuset.mems; do cat "$where/$file" >"$where/$group/$file"; done
done
config "linux.cgroupsPath=\"/$group\"" 'process.args=["sh", "-c", "exit 5"]'
status_is "a cgroup that is there and empty is taken" 5 o run -b "$bundle" g1
status_is "and stays for the next" 5 o run -b "$bundle" g2
ok "in every hierarchy" ls -d "$@"
config "linux.cgroupsPath=\"/$group\""
ok "while a container is in it" o run -d -b "$bundle" g3
like "it is there" "$(cat "/proc/$(member g3 pid)/cgroup")" "/$group\$"
not_ok "another is refused" o create -b "$bundle" g4
like "is told" "$ERR" 'there already, and not empty'
for below in "$@"; do [ ! -f "$below/cgroup.freeze" ] || break; done # where the runtime kills: v2, if there is one
mkdir "$below/below"
sleep 100 & beside=$!
echo "$beside" >"$below/below/cgroup.procs"
ok "what came into it below" o delete -f g3
ok "outlives the container" kill -0 "$beside"
kill "$beside"
wait "$beside" 2>/dev/null
rmdir "$below/below" "$@"

# ---- as root of a user namespace, which is what an ordinary user's engine is
mkdir "$BOX_TMP/xdg"
if unshare -U -r true 2>/dev/null; then
    config 'linux.namespaces=[{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}]' linux.resources- \
        'process.args=["sh", "-c", "stat -c %t:%T /dev/null; ls -d /sys/fs/cgroup/*/ >/dev/null && echo cgroups"]'
    sed -i 's/, *"gid=5"//; s/"gid=5",//' "$bundle/config.json" # not mapped
    is "root of a user namespace" "$(XDG_RUNTIME_DIR=$BOX_TMP/xdg unshare -U -r "$oci" run -b "$bundle" u1 | tr '\n' ' ')" "1:3 cgroups "
    ok "has its containers where the user's are" test -d "$BOX_TMP/xdg/box-oci"
else
    skip "root of a user namespace" "unshare makes none here"
fi

# ---- hooks
hook() { echo "[{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"cat >>$BOX_TMP/hooks; echo ' $1' >>$BOX_TMP/hooks\"]}]"; }
config 'process.args=["true"]' "hooks.prestart=$(hook prestart)" "hooks.createRuntime=$(hook createRuntime)" \
    "hooks.poststart=$(hook poststart)" "hooks.poststop=$(hook poststop)"
rm -f "$BOX_TMP/hooks"
ok "hooks" o run -b "$bundle" h1
is "run in their order" "$(sed 's/.*} //' "$BOX_TMP/hooks" | tr '\n' ' ')" "prestart createRuntime poststart poststop "
like "with the state on their input" "$(grep ' createRuntime$' "$BOX_TMP/hooks")" '"id":"h1","status":"creating"'
like "to the oldest kind it is created" "$(grep ' prestart$' "$BOX_TMP/hooks")" '"id":"h1","status":"created"'
config 'hooks.createRuntime=[{"path": "/bin/false"}]' \
    "hooks.poststop=[{\"path\": \"/bin/sh\", \"args\": [\"sh\", \"-c\", \"echo after >$BOX_TMP/after\"]}]"
not_ok "a hook that fails ends the creation" o create -b "$bundle" h2
like "and is named" "$ERR" 'hooks.createRuntime\[0\]'
is "hooks for the end run" "$(cat "$BOX_TMP/after")" after
config 'hooks.createRuntime=[{"path": "/no/such/hook"}]'
not_ok "one that is not there as well" o create -b "$bundle" h4
like "and is not taken for the container's program" "$ERR" '^hooks.createRuntime\[0\]'
config 'hooks.createRuntime=[{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]'
not_ok "so does one that hangs" o create -b "$bundle" h3
is "and nothing is left" "$(ls -A "$root")" ""

# ---- another's pid namespace
args '["sleep", "1000"]'
o run -d -b "$bundle" --pid-file "$BOX_TMP/pid" peer >/dev/null 2>&1
rm -f "$BOX_TMP/hooks"
config 'process.args=["sh", "-c", "exit 7"]' "hooks.prestart=$(hook prestart)" \
    "linux.namespaces=[{\"type\": \"mount\"}, {\"type\": \"uts\"}, {\"type\": \"pid\", \"path\": \"/proc/$(cat "$BOX_TMP/pid")/ns/pid\"}]"
for i in 1 2 3; do
    status_is "in another's pid namespace the process is its maker's child" 7 o run -b "$bundle" --pid-file "$BOX_TMP/pid$i" "in$i"
done
is "hooks have the pid of the pid file" "$(grep -o '"pid":[0-9]*' "$BOX_TMP/hooks" | cut -d: -f2 | tr '\n' ' ')" \
    "$(for i in 1 2 3; do cat "$BOX_TMP/pid$i"; echo; done | tr '\n' ' ')"
o delete -f peer

# ---- a user namespace
config process.oomScoreAdj=300 'linux.namespaces=[{"type": "user"}, {"type": "mount"}, {"type": "pid"}, {"type": "uts"}]' \
    'linux.uidMappings=[{"containerID": 0, "hostID": 300000, "size": 65536}]' \
    'linux.gidMappings=[{"containerID": 0, "hostID": 300000, "size": 65536}]'
ok "a user namespace" o run -d -b "$bundle" --pid-file "$BOX_TMP/pid" mapped
is "exec is in it, with the killer's score" "$(o exec mapped sh -c 'cat /proc/self/oom_score_adj /proc/self/uid_map' | tr -s ' \n' ' ')" "300 0 300000 65536 "
o delete -f mapped

# ---- bad input
for id in a/b . .. '' a:b a@b 'a b' "$(printf %0256d 1)"; do
    not_ok "an id that is none ($(echo "$id" | cut -c1-5))" o create -b "$bundle" "$id"
    like "is refused" "$ERR" 'invalid container ID'
done
not_ok "a bundle without a document" o create -b "$BOX_TMP" bad
like "is named" "$ERR" 'config.json'
echo '{' >"$bundle/config.json"
not_ok "JSON that is none" o create -b "$bundle" bad
config 'ociVersion="2.0.0"'
not_ok "another version" o create -b "$bundle" bad
like "is named" "$ERR" '2\.0\.0'
args '["/no/such/program"]'
not_ok "a program that is not there" o create -b "$bundle" bad
like "is told by create" "$ERR" '/no/such/program'
config process.terminal=true
not_ok "a terminal without a socket" o create -b "$bundle" bad
like "is refused" "$ERR" 'console socket'
not_ok "a console socket that is none" o create -b "$bundle" --console-socket "$bundle/config.json" bad
like "is named" "$ERR" 'no socket'
not_ok "an unknown flag" o create --colour red bad
if [ -d /run/systemd/system ]; then
    skip "systemd where there is none" "it is here: oci_systemd.sh"
else
    config
    not_ok "systemd where there is none" "$oci" --root "$root" --systemd-cgroup create -b "$bundle" bad
    like "is refused with a remedy" "$ERR" 'use the cgroupfs manager'
fi
is "nothing is left of any" "$(ls -A "$root")" ""
ok "the log is JSON, one line an error" "$json" each-line msg "$BOX_TMP/log"
config process-
ok "without a process it can be created" o create -b "$bundle" p1
not_ok "and not started" o start p1
like "is told" "$ERR" 'without a process'
ok "which ends it" eventually_state p1 stopped
ok "and deleted" o delete p1

# ---- capabilities that are not known, or not to be had
config 'process.args=["grep", "CapBnd", "/proc/self/status"]' 'process.capabilities.bounding=["CAP_KILL", "CAP_OF_TOMORROW"]'
is "a capability that nobody knows is passed over" "$(o run -b "$bundle" c1 | tr -d '\t')" "CapBnd:0000000000000020"
like "and told in the log" "$(grep '"level":"warning"' "$BOX_TMP/log")" 'not known here, and not granted: CAP_OF_TOMORROW'
"$json" edit "$bundle/config.json" 'ociVersion="1.0.2"'
not_ok "to a document of 1.0 it is an error" o run -b "$bundle" c2
like "that names it" "$ERR" 'process.capabilities: not known here: CAP_OF_TOMORROW|CAP_OF_TOMORROW.*1\.0\.2'
config 'process.args=["grep", "CapBnd", "/proc/self/status"]' 'process.capabilities.bounding=["CAP_KILL", "CAP_SYS_TIME"]' \
    'process.capabilities.permitted=["CAP_KILL", "CAP_SYS_TIME"]' 'process.capabilities.effective=["CAP_KILL"]' \
    'process.capabilities.inheritable=[]' 'process.capabilities.ambient=[]'
if command -v setpriv >/dev/null && setpriv --bounding-set -sys_time true 2>/dev/null; then
    is "a capability that this program has not is left out" \
        "$(setpriv --bounding-set -sys_time "$oci" --root "$root" --log "$BOX_TMP/log" run -b "$bundle" c3 | tr -d '\t')" "CapBnd:0000000000000020"
    like "and told" "$(cat "$BOX_TMP/log")" 'cannot be granted here, and are not: CAP_SYS_TIME'
else
    skip "a capability that this program has not is left out" "no setpriv, or no right to it"
fi

# Makers that were killed before the first rename leave what a delete takes once it is old.
sweep() {
    mkdir -p "$root/new:0123456789abcdef"
    touch -d '2020-01-01 00:00' "$root"/new:*
    o delete -f nothing
}

# ---- a root without a mount namespace
without='[{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}, {"type": "cgroup"}]'
mounts() { grep -c " $bundle" /proc/self/mountinfo; }
config "linux.namespaces=$without" root.readonly=false
ok "a root without a mount namespace" o create -b "$bundle" m1
ok "starts" o start m1
is "in the mount namespace of its maker" "$(readlink /proc/"$(member m1 pid)"/ns/mnt)" "$(readlink /proc/self/ns/mnt)"
ok "with the root of the bundle" sh -c 'test "$1" -ef "$2"' - "/proc/$(member m1 pid)/root/tmp/." "$bundle/rootfs/tmp"
is "which exec is in too" "$(o exec m1 sh -c 'ls -a / | wc -l')" "$(ls -a "$bundle/rootfs" | wc -l)"
not_ok "and sees nothing of the host's" o exec m1 ls "$bundle"
like "its mounts are there to be seen" "$(mounts)" '^[1-9]'
ok "delete -f" o delete -f m1
is "takes them all away" "$(mounts)" 0
config "linux.namespaces=$(echo "$without" | sed "s|^\[|[{\"type\": \"mount\", \"path\": \"/proc/$$/ns/mnt\"}, |")"
is "so does the end of one that names the host's by path" "$(o run -b "$bundle" m2 >/dev/null 2>&1 & p=$!; eventually_state m2 running; o delete -f m2; wait $p; mounts)" 0
config "linux.namespaces=$without" 'hooks.createRuntime=[{"path": "/bin/false"}]'
not_ok "a creation that fails after the mounts" o create -b "$bundle" m3
is "leaves none" "$(mounts)" 0
mkdir -p "$bundle/rootfs/mnt" && mount -t tmpfs mine "$bundle/rootfs/mnt"
config "linux.namespaces=$without"
for i in 1 2 3 4 5; do
    "$oci" --root "$root" create -b "$bundle" "n$$-$i" >/dev/null 2>&1 &
    sleep "0.0$((i * 2))"
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    o delete -f "n$$-$i" 2>/dev/null
done
is "killed ones leave none, and what was mounted before stays" "$(grep " $bundle" /proc/self/mountinfo | cut -d' ' -f5)" "$bundle/rootfs/mnt"
umount "$bundle/rootfs/mnt"
sweep
config "linux.namespaces=$without" 'linux.rootfsPropagation="rshared"'
not_ok "a propagation for it" o create -b "$bundle" m4
like "is refused by name" "$ERR" 'linux.rootfsPropagation'
config "linux.namespaces=$(echo "$without" | sed 's|^\[|[{"type": "user"}, |')" 'linux.uidMappings=[{"containerID": 0, "hostID": 0, "size": 1}]' \
    'linux.gidMappings=[{"containerID": 0, "hostID": 0, "size": 1}]'
not_ok "as is a user namespace" o create -b "$bundle" m5
is "nothing is left" "$(ls -A "$root")" ""

# ---- what is not there
not_ok "checkpoint" o checkpoint x
like "says that it is not there" "$ERR" 'checkpoint is not supported'
not_ok "which its help says as well, as Podman asks" o checkpoint --help
ok "other commands have help" o create --help
is "features agrees" "$("$oci" features | grep -c '"org.opencontainers.runc.checkpoint.enabled":"false"')" 1

# ---- kills
config
for i in 1 2 3 4 5 6; do
    "$oci" --root "$root" create -b "$bundle" "k$$-$i" >/dev/null 2>&1 &
    sleep "0.00$((i * 2))"
    kill -9 $! 2>/dev/null
    wait $! 2>/dev/null
    o delete -f "k$$-$i" 2>/dev/null
done
is "a killed create leaves nothing that delete does not take" "$(o list -q)" ""
is "nor a cgroup" "$(find /sys/fs/cgroup -maxdepth 3 -path "*/box-oci/k$$-*")" ""
mkdir "$root/half" && touch "$root/half/config.json"
not_ok "half a container" o state half
ok "goes when it is deleted by force" o delete -f half
not_ok "and is gone" test -e "$root/half"
sweep
is "nor what its maker never finished, once that is old" "$(ls -A "$root")" ""
rm -f "$bundle/config.json"
ok "spec --rootless writes a document" sh -c 'cd "$1" && "$2" spec --rootless' - "$bundle" "$oci"
"$json" edit "$bundle/config.json" process.terminal=false 'process.args=["cat", "/proc/self/uid_map"]'
like "that runs in a user namespace" "$(o run -b "$bundle" u1)" '^ *0 +[0-9]+ +1$'
ok "features is JSON" sh -c '"$1" features | "$2" get ""' - "$oci" "$json"
is "features tells of what 1.3 has" "$("$oci" features | "$json" get linux.netDevices.enabled)" true
config 'linux.intelRdt={"closID": "libbox-test"}'
if grep -q ' - resctrl ' /proc/self/mountinfo; then
    skip "a machine without resctrl says so" "this one has it"
else
    not_ok "a machine without resctrl says so" o create -b "$bundle" rdt
    like "by the field's name" "$ERR" 'linux\.intelRdt'
fi
is "and nothing is left" "$(ls -A "$root")" ""
done_testing
