#!/bin/sh
# Runs test programs one after the other and writes what they say, framed, to standard output; tap.awk counts it.
# The same script runs on the host and in the guest of tests/vm.
#
#   sh tests/lib/run-tests.sh GUARD TEST...
#
# Environment: BOX_BUILD and BOX_SRC must be set; BOX_FIXTURES (fixture.sh); TEST_TIMEOUT (seconds for one program, 300); BOX_SCRATCH (where
# scratch directories are made, /tmp); BOX_KEEP (not empty: scratch directories stay).
guard=$1
shift
: "${BOX_BUILD:?}" "${BOX_SRC:?}" "${BOX_FIXTURES:=}" "${TEST_TIMEOUT:=300}" "${BOX_SCRATCH:=${TMPDIR:-/tmp}}"
BOX=$BOX_BUILD/examples/box/box
export BOX_BUILD BOX_SRC BOX BOX_FIXTURES

for test; do
    name=${test##*/}
    BOX_TMP=$(mktemp -d "$BOX_SCRATCH/box-test.XXXXXX") || exit 1
    # A container's user, who is not this one, has to be able to pass through.
    chmod 711 "$BOX_TMP"
    export BOX_TMP
    echo "@@ run $name"
    # Straight to standard output: when a guest hangs, what the program had said until then is there to read.
    case $name in
    unit-*) # a Criterion program
        "$guard" "$TEST_TIMEOUT" "$test" --tap="$BOX_TMP.tap" -j2 -q 2>&1
        status=$?
        [ ! -f "$BOX_TMP.tap" ] || cat "$BOX_TMP.tap"
        rm -f "$BOX_TMP.tap" ;;
    *)
        (cd "$BOX_TMP" && exec "$guard" "$TEST_TIMEOUT" "$test") 2>&1
        status=$? ;;
    esac
    # What is still mounted below the scratch directory would be entered by rm -rf: detach it, innermost first.
    awk -v dir="$BOX_TMP/" 'index($5 "/", dir) == 1 { line[++n] = $5 } END { while (n) print line[n--] }' \
        /proc/self/mountinfo >"$BOX_TMP.mounts"
    while read -r mount; do
        printf '\nnot ok - left mounted: %s\n' "$mount"
        umount -l "$mount"
    done <"$BOX_TMP.mounts"
    printf '\n@@ end %s\n' "$status"
    rm -f "$BOX_TMP.mounts"
    [ -n "${BOX_KEEP:-}" ] || rm -rf --one-file-system "$BOX_TMP" 2>/dev/null || rm -rf "$BOX_TMP"
done
