#!/bin/sh
# The program that the README shows compiles as it stands, and does what the README says.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
sed -n '/^```c$/,/^```$/{/^```/!p;}' "$BOX_SRC/README.md" >readme.c
ok "compiles without a warning" cc -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$BOX_SRC/include" readme.c -o readme \
    -L"$BOX_BUILD/lib" -lbox
[ "$(id -u)" -eq 0 ] || { skip "runs a process of a root file system" "needs root"; done_testing; }
fixture_rootfs rootfs || skip_all "no static busybox"
sed "s|/srv/debian|$BOX_TMP/rootfs|" readme.c >here.c
cc -I"$BOX_SRC/include" here.c -o here -L"$BOX_BUILD/lib" -lbox 2>here.log
ok "runs a process of a root file system" env LD_LIBRARY_PATH="$BOX_BUILD/lib" ./here
like "shows its output" "$OUT" 'NAME=fixture'
like "tells how it ended" "$OUT" '^cat exited with status 0'
is "has no error to show" "$ERR" ''
done_testing
