#!/bin/sh
# An installed libbox, found by pkg-config, as an outside program sees it: shared and static, from C and from C++.
. "$BOX_SRC/tests/lib/tap.sh"
prefix=$(meson introspect --buildoptions "$BOX_BUILD" 2>/dev/null | tr '{' '\n' |
    sed -n 's/.*"name": "prefix", "value": "\([^"]*\)".*/\1/p')
[ -n "$prefix" ] || prefix=/usr/local
dest=$BOX_TMP/dest
ok "installs into DESTDIR" env DESTDIR="$dest" meson install -C "$BOX_BUILD" --no-rebuild

pc=$(find "$dest" -name libbox.pc)
[ -n "$pc" ] || { fail "libbox.pc is installed"; done_testing; }
PKG_CONFIG_PATH=${pc%/*}
export PKG_CONFIG_PATH
# The one variable that a staged install differs in.
pkg() { pkg-config --define-variable=prefix="$dest$prefix" "$@" libbox; }

is "its version is the library's" "$(pkg --modversion)" "$(sed -n "s/^ *version: '\(.*\)',/\1/p" "$BOX_SRC/meson.build" | head -n 1)"
main=$BOX_SRC/tests/package/outside/main.c
libdir=${pc%/pkgconfig/libbox.pc}
strict='-Wall -Wextra -Wpedantic -Werror'
# shellcheck disable=SC2046,SC2086  # compiler flags are words
{
    ok "a C program compiles and links" cc -std=c11 $strict $(pkg --cflags) "$main" -o outside $(pkg --libs)
    ok "and runs" env LD_LIBRARY_PATH="$libdir" ./outside
    like "and is what is installed" "$OUT" '^libbox [0-9.]+ BOX_ENOTFOUND$'
    ok "a C++ program compiles and links" c++ -x c++ -std=c++17 $strict $(pkg --cflags) "$main" -o outside++ $(pkg --libs)
    ok "and runs" env LD_LIBRARY_PATH="$libdir" ./outside++
    is "programs need no other library for it" "$(pkg --libs | tr ' ' '\n' | grep '^-l')" "-lbox"
    ok "the archive links, with what pkg-config --static names" cc -std=c11 $strict $(pkg --cflags) "$main" -o outside-a \
        "$libdir/libbox.a" $(pkg --static --libs | tr ' ' '\n' | grep -v '^-lbox$')
    ok "and runs without libbox.so" ./outside-a
}
is "every public header is installed" "$(cd "$dest$prefix/include/libbox" && ls)" "$(cd "$BOX_SRC/include/libbox" && ls ./*.h | sed 's|^./||')"
ok "the shared library has its soname's name" test -e "$libdir/libbox.so.0"
is "nothing of the tests is installed" "$(find "$dest" -type f | grep -E 'guard|unit-|criterion')" ''
done_testing
