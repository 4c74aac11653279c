#!/bin/sh
# Runs one libFuzzer target for a while, from its corpus (tests/fuzz/corpus/NAME) when it has one.
#
#   sh tests/lib/fuzz-one.sh TARGET SECONDS RESULTS
#
# An input that breaks the target is kept in the directory RESULTS, and shown.
target=$1 seconds=$2 results=$3
name=${target##*/}
corpus=${BOX_SRC:?}/tests/fuzz/corpus/$name
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
[ -d "$corpus" ] || corpus=''
# New inputs go to the first directory: the scratch one, never the source tree.
"$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="$results/$name-" "$scratch" ${corpus:+"$corpus"} || {
    status=$?
    for input in "$results/$name"-*; do
        [ ! -f "$input" ] || { echo "input $input:"; head -c 4096 "$input" | od -A d -c | head -n 60; }
    done
    exit "$status"
}
