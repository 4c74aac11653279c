# What the tests of Docker Engine, Docker Swarm and containerd share; to be sourced after tap.sh and fixture.sh.
#
#   engine_begin PROGRAM...      skips the test where it cannot run; else it goes on in namespaces of its own
#   docker_start NAME [OPTION]   a dockerd of the test's own, with box-oci as its only runtime; `d` talks to it
#   docker_stop [SIGNAL]         ends it; containers stay as they are
#   engine_end                   ends what is still there, by process id, and removes the cgroups
#   on_terminal COMMAND...       runs it on a terminal, with what it reads from standard input typed there
#   eventually SECONDS COMMAND   until it succeeds
#
# The test is started anew in a network namespace and a mount namespace: bridges, iptables' rules and traffic do not
# touch the machine's network, and nothing that an engine writes to /run, /etc/docker or /opt, or mounts, does either.
# The machine's own runc cannot be run in there, so that whatever works has been done by box-oci. With
# ENGINE_RUNTIME=/usr/sbin/runc the same tests run on runc, for comparison.
#
# Containers go below a cgroup of the test's own, $group.
# shellcheck shell=sh disable=SC2034,SC2046

engine_begin() {
    [ "$(id -u)" = 0 ] || skip_all "needs root"
    [ -z "${BOX_VM:-}" ] || skip_all "the guest has no engines"
    case $BOX_BUILD in *-asan | *-tsan) skip_all "the engine's time limits are not for sanitizers" ;; esac
    oci=${ENGINE_RUNTIME:-$BOX_BUILD/examples/box-oci/box-oci}
    [ -x "$oci" ] || skip_all "box-oci is not built"
    for program in ip unshare "$@"; do
        command -v "$program" >/dev/null || skip_all "$program is not installed"
    done
    if [ -z "${ENGINE_INSIDE:-}" ]; then
        unshare -n -m true 2>"$BOX_TMP/why" || skip_all "no namespaces of its own: $(cat "$BOX_TMP/why")"
        ENGINE_INSIDE=1
        export ENGINE_INSIDE
        exec unshare -n -m --propagation private "$0"
    fi
    group=/box-engine-$$
    HOME=$BOX_TMP/home
    export HOME
    mkdir "$HOME"
    ip link set lo up
    for dir in /run /etc/docker /opt; do
        [ ! -d "$dir" ] || mount -t tmpfs none "$dir" || skip_all "cannot mount here"
    done
    printf '#!/bin/sh\necho "box-oci is to be used" >&2; exit 1\n' >/run/no-runc
    chmod 755 /run/no-runc
    runc=$(command -v runc) && [ "$oci" != "$runc" ] && mount --bind /run/no-runc "$(realpath "$runc")"
    trap engine_end EXIT
}

# The cgroups that docker or containerd made, and the group itself, in every hierarchy.
remove_cgroups() {
    remove_tries=30 # what has been killed is in its group until it is gone
    while [ "$remove_tries" -gt 0 ]; do
        remove_left=''
        for remove_dir in "/sys/fs/cgroup$group" /sys/fs/cgroup/*"$group"; do
            [ -d "$remove_dir" ] || continue
            find "$remove_dir" -depth -type d -exec rmdir {} \; 2>/dev/null
            [ ! -d "$remove_dir" ] || remove_left=1
        done
        [ -n "$remove_left" ] || return 0
        remove_tries=$((remove_tries - 1))
        sleep 0.1
    done
}

# A daemon takes its pid file away last.
end_pid() { # PID [SIGNAL]
    kill "-${2:-TERM}" "$1" 2>/dev/null
    end_tries=100
    while [ -d "/proc/$1" ] && [ "$end_tries" -gt 0 ] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; do
        sleep 0.1
        end_tries=$((end_tries - 1))
    done
    [ "$end_tries" -gt 0 ] || kill -KILL "$1" 2>/dev/null
}

engine_end() {
    if [ -n "${daemon:-}" ]; then
        # shellcheck disable=SC2046
        [ -z "$(d ps -aq)" ] || d rm -f $(d ps -aq) >/dev/null 2>&1
        docker_stop
    fi
    [ -z "${ctrd:-}" ] || end_pid "$ctrd"
    wait
    # Layers that a daemon left mounted are in this mount namespace alone, but in the way of the directory's removal.
    awk -v dir="$BOX_TMP/" 'index($5 "/", dir) == 1 { line[++n] = $5 } END { while (n) print line[n--] }' \
        /proc/self/mountinfo | while read -r mount; do umount -l "$mount"; done
    remove_cgroups
}

d() { timeout -k 5 60 docker "$@"; }

docker_start() { # NAME [OPTION...]
    docker_name=$1
    DOCKER_HOST=unix://$BOX_TMP/$1.sock
    export DOCKER_HOST
    shift
    cat >"$BOX_TMP/$docker_name.json" <<JSON
{"runtimes": {"box-oci": {"path": "$oci"}}, "default-runtime": "box-oci", "cgroup-parent": "$group",
 "storage-driver": "overlay2", "default-shm-size": "8M", "shutdown-timeout": 5}
JSON
    dockerd --config-file "$BOX_TMP/$docker_name.json" --data-root "$BOX_TMP/$docker_name" --exec-root "/run/$docker_name" \
        -H "$DOCKER_HOST" -p "$BOX_TMP/$docker_name.pid" "$@" >>"$BOX_TMP/$docker_name.log" 2>&1 &
    daemon=$!
    docker_tries=150
    until d version >/dev/null 2>&1; do
        docker_tries=$((docker_tries - 1))
        if [ "$docker_tries" -eq 0 ] || ! kill -0 "$daemon" 2>/dev/null; then
            docker_why=$(tail -n 1 "$BOX_TMP/$docker_name.log" | cut -c1-300)
            daemon=''
            return 1
        fi
        sleep 0.2
    done
}

docker_stop() {
    end_pid "$daemon" "${1:-TERM}"
    wait "$daemon" 2>/dev/null
    daemon=''
}

# An image of the fixture's files, named bb:1.
docker_image() {
    [ -d "$BOX_TMP/rootfs" ] || fixture_rootfs "$BOX_TMP/rootfs" || skip_all "no static busybox to make an image of"
    tar -C "$BOX_TMP/rootfs" -c . | d import -c 'CMD ["sh"]' - bb:1
}

on_terminal() { # COMMAND...
    on_words=''
    for word; do on_words="$on_words '$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'"; done
    script -qec "$on_words" /dev/null
}

eventually() { # SECONDS COMMAND...
    eventually_tries=$(($1 * 5))
    shift
    until "$@"; do
        eventually_tries=$((eventually_tries - 1))
        [ "$eventually_tries" -gt 0 ] || return 1
        sleep 0.2
    done
}
