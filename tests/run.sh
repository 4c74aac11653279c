#!/bin/sh
# Builds libbox and runs every test. What it needs and is missing it installs (install-deps.sh).
#
#   sh tests/run.sh [--only PART,...] [--match TEXT] [--build DIR] [--keep] [--verbose] [--no-install] [--list]
#
# tests/README.md tells what the parts are and how to add a test. The last line is the sum over all parts:
# "N passed, N failed", and ", N skipped" when there are any. Exit status 0: none failed; 1: some did; 2: usage.
set -u
src=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd) || exit 2
build=$src/build
only='' match='' keep='' verbose='' install=1
all_parts='unit headers package integration threaded hostile engines asan tsan fuzz vm-root vm-user vm-systemd'

usage() {
    sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p;}' "$0"
}

while [ $# -gt 0 ]; do
    case $1 in
    --only) only=${2:?--only needs a list of parts}; shift ;;
    --match) match=${2:?--match needs a text}; shift ;;
    --build) build=${2:?--build needs a directory}; shift ;;
    --keep) keep=1 ;;
    --verbose | -v) verbose=1 ;;
    --no-install) install='' ;;
    --list) echo "$all_parts" | tr ' ' '\n'; exit 0 ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
    esac
    shift
done
case $build in /*) ;; *) build=$PWD/$build ;; esac

parts=''
for part in $(echo "${only:-$all_parts}" | tr ',' ' '); do
    case " $all_parts " in
    *" $part "*) parts="$parts $part" ;;
    *) [ "$part" = vm ] || { echo "run.sh: no part \"$part\"; there are: $all_parts" >&2; exit 2; }
       parts="$parts vm-root vm-user vm-systemd" ;;
    esac
done

BOX_SRC=$src BOX_KEEP=$keep
: "${TEST_TIMEOUT:=300}" "${FUZZ_SECONDS:=20}" "${BOX_SCRATCH:=${TMPDIR:-/tmp}}"
export BOX_SRC BOX_KEEP TEST_TIMEOUT FUZZ_SECONDS BOX_SCRATCH
LC_ALL=C.UTF-8
export LC_ALL
results=$build/test-results
exec </dev/null

# ---- building ----------------------------------------------------------------------------------------------------

# build_in DIR OPTION...: sets up and builds once a run; what was said is in DIR.log under the results.
build_in() {
    dir=$1
    shift
    case " ${built:-} " in *" $dir "*) return 0 ;; esac
    log=$results/build-${dir##*/}.log
    {
        if [ -f "$dir/build.ninja" ]; then
            meson setup --reconfigure "$dir" "$src" -Dtests=true -Dexamples=true "$@"
        else
            # A directory that an earlier, interrupted run left half set up is no obstacle.
            meson setup "$dir" "$src" "$@"
        fi && ninja -C "$dir"
    } >"$log" 2>&1 || {
        grep -E '(error|ERROR|FAILED|undefined reference)' "$log" | head -n 30
        echo "not ok - building $dir (all of it: $log)"
        return 1
    }
    built="${built:-} $dir"
}

# A clang for the fuzz targets; gcc, or whatever CC says, for everything else.
build_main() { build_in "$build"; }
build_asan() { build_in "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false; }
build_tsan() { build_in "$build-tsan" -Db_sanitize=thread -Db_lundef=false; }
build_fuzz() { CC=clang build_in "$build-fuzz" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false; }

# ---- running -----------------------------------------------------------------------------------------------------

# Test programs of a kind: executable files directly in tests/KIND (scripts) and DIR/tests/KIND (built), in order.
tests_of() { # KIND DIR
    for file in "$src/tests/$1"/* "$2/tests/$1"/*; do
        case ${file##*/} in
        helper-* | *.so | *.a | *.p) continue ;;
        *"$match"*) [ ! -f "$file" ] || [ ! -x "$file" ] || echo "$file" ;;
        esac
    done
}

# Needs nothing but busybox; without it the tests that want a root file system say so themselves.
make_fixtures() {
    BOX_FIXTURES=$build/test-fixtures
    export BOX_FIXTURES
    (. "$src/tests/lib/fixture.sh" && fixture_cache "$BOX_FIXTURES" "$src/tests/lib/fixture.sh") || BOX_FIXTURES=''
}

run_tests() { # DIR TEST...
    dir=$1
    shift
    BOX_BUILD=$dir sh "$src/tests/lib/run-tests.sh" "$dir/tests/lib/guard" "$@"
}

run_kinds() { # DIR KIND...
    kinds_dir=$1
    shift
    for kind; do
        for file in $(tests_of "$kind" "$kinds_dir"); do
            run_tests "$kinds_dir" "$file"
        done
    done
}

# A step that is one result by itself: framed as a test program of one result.
one() { # NAME COMMAND...
    one_name=$1
    shift
    echo "@@ run $one_name"
    if "$@" 2>&1; then echo "ok 1 - $one_name"; else echo "not ok 1 - $one_name"; fi
    echo "1..1"
    echo "@@ end 0"
}

sanitizer_env() {
    ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=199:detect_stack_use_after_return=1
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=199
    TSAN_OPTIONS=halt_on_error=1:exitcode=199:second_deadlock_stack=1
    export ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS
}

# ---- parts: each writes a framed stream; nothing written means that there is nothing of the kind --------------------

part_unit() {
    build_main || return 1
    run_kinds "$build" unit
    [ -n "$(tests_of unit "$build")$match" ] || printf '@@ run unit\n1..0 # SKIP Criterion is not installed\n@@ end 0\n'
}

part_headers() { build_main && run_kinds "$build" headers; }
part_package() { build_main && run_kinds "$build" package; }
part_integration() { build_main && run_kinds "$build" integration; }
part_threaded() { build_main && run_kinds "$build" threaded; }
part_hostile() { build_main && run_kinds "$build" hostile; }
part_engines() { build_main && run_kinds "$build" engines; }
part_asan() { build_asan && (sanitizer_env; run_kinds "$build-asan" unit integration hostile); }

part_tsan() {
    [ -n "$(tests_of threaded "$build")" ] || return 0
    # The base floor, whose code is what runs in several threads at once. The hosts that start containers count
    # descriptors and threads, of which TSan has its own, and are for the plain build.
    build_tsan && (sanitizer_env; match=base; run_kinds "$build-tsan" threaded)
}

part_fuzz() {
    [ -d "$src/tests/fuzz" ] || return 0
    if ! command -v clang >/dev/null 2>&1; then
        printf '@@ run fuzz\n1..0 # SKIP clang is not installed\n@@ end 0\n'
        return 0
    fi
    build_fuzz || return 1
    for target in $(tests_of fuzz "$build-fuzz"); do
        one "${target##*/}" sh "$src/tests/lib/fuzz-one.sh" "$target" "$FUZZ_SECONDS" "$results"
    done
}

part_vm_root() { [ ! -x "$src/tests/vm/run" ] || { build_main && "$src/tests/vm/run" --build "$build" --as root --match "$match"; }; }
part_vm_user() { [ ! -x "$src/tests/vm/run" ] || { build_main && "$src/tests/vm/run" --build "$build" --as user --match "$match"; }; }

part_vm_systemd() {
    [ -x "$src/tests/vm/run-systemd" ] || return 0
    build_main || return 1
    for hierarchy in unified hybrid; do
        "$src/tests/vm/run-systemd" --build "$build" --hierarchy $hierarchy --match "$match" || return 1
    done
}

# ---- the account --------------------------------------------------------------------------------------------------

seconds() { cut -d ' ' -f 1 /proc/uptime; }

run_part() {
    part=$1
    stream=$results/$part.stream
    begin=$(seconds)
    # Appended to, since test programs hold the same file open, each with a position of its own if it likes.
    : >"$stream"
    "part_$(echo "$part" | tr - _)" >>"$stream" 2>"$results/$part.stderr"
    status=$?
    # A build that fails, or a runner that breaks, is one failure of the part.
    [ "$status" -eq 0 ] || {
        echo "@@ run $part"
        grep -v '^@@' "$stream" | tail -n 40
        cat "$results/$part.stderr"
        echo "not ok - the part did not run to its end (status $status)"
        echo "1..1"
        echo "@@ end 0"
    } >"$stream.broken"
    [ ! -f "$stream.broken" ] || { cat "$stream.broken" >>"$stream"; rm -f "$stream.broken"; }
    awk -v counts="$results/$part.counts" -v failures="$results/$part.failures" -f "$src/tests/lib/tap.awk" \
        "$stream" >"$results/$part.tap"
    read -r p f s <"$results/$part.counts"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    verdict=ok
    [ "$p$s" != 00 ] || verdict=none
    [ "$f" -eq 0 ] || verdict=FAILED
    awk -v a="$begin" -v b="$(seconds)" -v part="$part" -v v="$verdict" -v p="$p" -v f="$f" -v s="$s" \
        'BEGIN { printf "%-12s %-7s %6d %6d %6d %9.1f\n", part, v, p, f, s, b - a }'
    if [ -n "$verbose" ]; then cat "$stream"; elif [ "$f" -gt 0 ]; then cat "$results/$part.failures"; fi
}

if [ -n "$install" ]; then
    groups='build test'
    case $parts in *vm*) [ ! -d "$src/tests/vm" ] || groups="$groups vm" ;; esac
    # shellcheck disable=SC2086
    sh "$src/tests/install-deps.sh" $groups || exit 2
fi
mkdir -p "$results" || exit 2
rm -f "$results"/*
passed=0 failed=0 skipped=0 started=$(seconds)
make_fixtures
echo "libbox tests: build in $build, results in $results"
printf '%-12s %-7s %6s %6s %6s %9s\n' part result pass fail skip seconds
for part in $parts; do
    run_part "$part"
done
awk -v a="$started" -v b="$(seconds)" 'BEGIN { printf "%-12s %37.1f\n", "all", b - a }'
cat "$results"/*.tap 2>/dev/null | sed -n 's/.*# *[Ss][Kk][Ii][Pp] */skipped: /p' | sort | uniq -c | sort -rn | head -n 20
# Nothing run at all is no success.
[ $((passed + failed)) -gt 0 ] || failed=1
echo "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ]
