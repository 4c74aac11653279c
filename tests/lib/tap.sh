# Helpers for tests written in shell: `. "$BOX_SRC/tests/lib/tap.sh"`.
#
#   ok "text" COMMAND [ARGUMENT...]     passes when the command succeeds; its output is shown when it does not
#   not_ok "text" COMMAND...            passes when the command fails (but not when it is killed by a signal)
#   is "text" GOT WANTED                passes when the two strings are equal
#   like "text" GOT PATTERN             passes when GOT matches the extended regular expression
#   status_is "text" N COMMAND...       passes when the command exits with N
#   pass "text"; fail "text"
#   skip "text" "why"                   counts as skipped
#   skip_all "why"                      ends the script: nothing of it can run here
#   diag "text"                         a remark in the log
#   done_testing                        must be the last line: announces how many results there were
#
# What the command of ok, not_ok or status_is wrote is afterwards in $OUT (standard output) and $ERR (standard error).

tap_count=0
tap_failed=0
: "${BOX_TMP:?run tests with: sh tests/run.sh --match NAME}"

pass() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1"
}

fail() {
    tap_count=$((tap_count + 1))
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_count - $1"
}

skip() {
    tap_count=$((tap_count + 1))
    echo "ok $tap_count - $1 # SKIP ${2:-}"
}

skip_all() {
    echo "1..0 # SKIP $1"
    exit 0
}

diag() {
    printf '%s\n' "$*" | sed 's/^/# /'
}

tap_run() {
    "$@" >"$BOX_TMP/.out" 2>"$BOX_TMP/.err"
    tap_status=$?
    OUT=$(tr -d '\000' <"$BOX_TMP/.out")
    ERR=$(tr -d '\000' <"$BOX_TMP/.err")
}

tap_explain() {
    diag "command: $*"
    diag "exit status $tap_status"
    [ -z "$OUT" ] || diag "stdout: $OUT"
    [ -z "$ERR" ] || diag "stderr: $ERR"
}

status_is() {
    tap_text=$1
    tap_wanted=$2
    shift 2
    tap_run "$@"
    if [ "$tap_status" -eq "$tap_wanted" ]; then
        pass "$tap_text"
    else
        fail "$tap_text"
        diag "wanted exit status $tap_wanted"
        tap_explain "$@"
        return 1
    fi
}

ok() {
    tap_text=$1
    shift
    status_is "$tap_text" 0 "$@"
}

not_ok() {
    tap_text=$1
    shift
    tap_run "$@"
    # An exit status above 128 is a crash (of the sanitizers' kind too), not a refusal.
    if [ "$tap_status" -gt 0 ] && [ "$tap_status" -le 128 ]; then
        pass "$tap_text"
    else
        fail "$tap_text"
        tap_explain "$@"
        return 1
    fi
}

is() {
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1"
        diag "got:    $2"
        diag "wanted: $3"
        return 1
    fi
}

like() {
    if printf '%s\n' "$2" | grep -Eq -- "$3"; then
        pass "$1"
    else
        fail "$1"
        diag "got:            $2"
        diag "does not match: $3"
        return 1
    fi
}

done_testing() {
    echo "1..$tap_count"
    [ "$tap_failed" -eq 0 ]
    exit
}
