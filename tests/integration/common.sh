# To be sourced first by every test here: `box` with a store of the test's own that holds the usual image, busybox.
# Whatever the test leaves behind is removed at its end.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"

[ -x "${BOX:-}" ] || skip_all "box is not built"

box() { "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/run" "$@"; }

clear_store() {
    # shellcheck disable=SC2046
    box rm -f $(box ps -aq) >/dev/null 2>&1
}

setup() {
    fixture_image "$BOX_TMP/image" || skip_all "no static busybox to make an image of"
    trap clear_store EXIT
    box load -q -i "$BOX_TMP/image" >/dev/null || { fail "the usual image is loaded"; done_testing; }
    # A user who may not have namespaces cannot run anything; root has no such excuse.
    [ "$(id -u)" = 0 ] || box run --rm busybox true >"$BOX_TMP/.first" 2>&1 || {
        unshare -Um true 2>/dev/null || skip_all "$(cat "$BOX_TMP/.first")"
        fail "an ordinary user runs a program: $(cat "$BOX_TMP/.first")"
        done_testing
    }
}

# Whether limits can be set: root always can, a user where a cgroup was delegated.
limits_work() { [ "$(id -u)" = 0 ] || box run --rm --pids-limit 50 busybox true >/dev/null 2>&1; }

# Repeats a command until it succeeds, for 20 seconds at most.
eventually() {
    eventually_left=200
    until "$@" >/dev/null 2>&1; do
        eventually_left=$((eventually_left - 1))
        [ "$eventually_left" -gt 0 ] || return 1
        sleep 0.1
    done
}

# What the last command of ok, not_ok or status_is wrote on standard error is one line that matches.
says() { # TEXT PATTERN
    is "$1: one line" "$(printf '%s\n' "$ERR" | grep -c .)" 1
    like "$1" "$ERR" "$2"
}

no_containers() { is "$1" "$(box ps -aq; ls "$BOX_TMP/root/containers" "$BOX_TMP/run/containers" 2>/dev/null | grep -E '^[0-9a-f]{64}')" ""; }
state() { box ps -a -f "name=$1" | tail -n +2; }
