#!/bin/sh
# libbox as a Meson subproject of a program that has only its source tree.
. "$BOX_SRC/tests/lib/tap.sh"
mkdir outside outside/subprojects && cp "$BOX_SRC/tests/package/outside/"* outside/ && ln -s "$BOX_SRC" outside/subprojects/libbox
# An installed libbox must not be what is tested.
PKG_CONFIG_PATH='' ok "sets up" meson setup --wrap-mode=forcefallback -Dwerror=false outside outside/build
ok "builds" ninja -C outside/build
ok "its own tests pass" meson test -C outside/build --no-rebuild outside
ok "links the subproject's library" sh -c 'ldd outside/build/outside | grep -q "outside/build/subprojects/libbox/lib/libbox.so"'
is "the subproject built no tests" "$(find outside/build -name 'unit-*' -o -name guard)" ''
done_testing
