#!/bin/sh
# What runs in a child on the host's own memory (kernel/vclone.h) must be marked BOX_VCHILD, so that no sanitizer puts
# its variables into the frames of the thread that goes on beside it. The functions that are handed over to such a child,
# and those of the same file that they call, are looked up in the source.
. "$BOX_SRC/tests/lib/tap.sh"
[ -d "$BOX_SRC/lib" ] || skip_all "the sources are not here"

# Each function's name, whether it is marked, and the names that it calls. A definition begins in the first column.
functions() { # FILE
    awk '
        /^[A-Za-z_].*\(.*[^;]$/ {
            name = $0
            sub(/\(\(?(no_sanitize|visibility|format).*/, "", name)
            sub(/\(.*/, "", name)
            sub(/.*[ *]/, "", name)
            marked = $0 ~ /^(static )?BOX_VCHILD / ? "marked" : "plain"
            next
        }
        /^}/ { name = "" }
        name != "" {
            line = $0
            while (match(line, /[A-Za-z_][A-Za-z_0-9]* *\(/)) {
                called = substr(line, RSTART, RLENGTH)
                sub(/ *\(/, "", called)
                print name, marked, called
                line = substr(line, RSTART + RLENGTH)
            }
            print name, marked, "-"
        }' "$1"
}

# The third argument of box_vclone() and box_vchild_start(), the fifth of box_vclone_nowait().
handed_over() { # FILE
    sed -n -e 's/.*box_vclone([^,]*, [^,]*, \([a-z_]*\),.*/\1/p' -e 's/.*box_vchild_start([^,]*, [^,]*, \([a-z_]*\),.*/\1/p' \
        -e 's/.*box_vclone_nowait([^,]*, [^,]*, [^,]*, [^,]*, \([a-z_]*\),.*/\1/p' "$1"
}

entries=0 unmarked=''
for file in $(grep -rlE 'box_(vclone|vclone_nowait|vchild_start)\(' "$BOX_SRC/lib" --include='*.c'); do
    functions "$file" >"$BOX_TMP/functions"
    todo=$(handed_over "$file" | grep -vx fn)
    seen=' '
    entries=$((entries + $(printf '%s\n' $todo | grep -c .)))
    while [ -n "$todo" ]; do
        next=''
        for name in $todo; do
            case $seen in *" $name "*) continue ;; esac
            seen="$seen$name "
            grep -q "^$name marked " "$BOX_TMP/functions" || unmarked="$unmarked ${file#"$BOX_SRC"/}:$name"
            for called in $(awk -v n="$name" '$1 == n { print $3 }' "$BOX_TMP/functions" | sort -u); do
                ! grep -q "^$called " "$BOX_TMP/functions" || next="$next $called"
            done
        done
        todo=$next
    done
done
ok "there are such children" test "$entries" -ge 5
is "each function that runs in one is BOX_VCHILD" "$unmarked" ''
done_testing
