#!/bin/sh
# Every public header compiles alone, twice over, as C11 and as C++17 with every warning an error; box.h has them all.
. "$BOX_SRC/tests/lib/tap.sh"
include=$BOX_SRC/include
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror'

compilers=''
for pair in gcc:g++ clang:clang++; do
    if command -v "${pair%:*}" >/dev/null; then
        compilers="$compilers $pair"
    else
        skip "headers with ${pair%:*}" "${pair%:*} is not installed"
    fi
done

check() { # COMPILER STANDARD LANGUAGE HEADER
    printf '#include <libbox/%s>\n#include <libbox/%s>\nextern int here;\nint here;\n' "$4" "$4" >"$BOX_TMP/one.$3"
    # shellcheck disable=SC2086
    ok "$4 alone with $1 -std=$2" "$1" -std="$2" $warnings -fsyntax-only -I"$include" "$BOX_TMP/one.$3"
}

for path in "$include"/libbox/*.h; do
    header=${path##*/}
    for pair in $compilers; do
        check "${pair%:*}" c11 c "$header"
        ! command -v "${pair#*:}" >/dev/null || check "${pair#*:}" c++17 cc "$header"
    done
    [ "$header" = box.h ] || ok "box.h includes $header" grep -qx "#include <libbox/$header>" "$include/libbox/box.h"
    ok "$header is installed" grep -q "'$header'" "$include/libbox/meson.build"
    ok "$header has extern \"C\" guards" grep -Eq '__cplusplus|include <libbox/' "$path"
    # A declaration without BOX_API is one that nobody can link to.
    is "every function of $header is exported" "$(grep -nE '^[a-z].*[ *]box_[a-z0-9_]+\(' "$path" |
        grep -vE 'BOX_API|^[0-9]+:(typedef|static inline)' || :)" ''
done
done_testing
