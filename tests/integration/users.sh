#!/bin/sh
# -u in every form, looked up in the image's own files; what the image says of its process.
. "$BOX_SRC/tests/integration/common.sh"
setup

who='echo $(id -u):$(id -g) $(id -G | tr " " "\n" | sort -n) $HOME'
is "root otherwise" "$(box run --rm busybox sh -c "$who" | cut -d ' ' -f 1)" 0:0
is "a name, with its groups and home" "$(box run --rm -u app busybox sh -c "$who")" "1000:1000 29 1000 1001 /home/app"
is "a name and a group" "$(box run --rm -u app:extra busybox sh -c "$who" | cut -d ' ' -f 1)" 1000:1001
is "a number that is in passwd" "$(box run --rm -u 1000 busybox sh -c "$who" | cut -d ' ' -f 1)" 1000:1000
is "numbers that are not" "$(box run --rm -u 4321:1234 busybox sh -c "$who" | cut -d ' ' -f 1)" 4321:1234
is "--group-add" "$(box run --rm -u 4321:1234 --group-add 77 busybox id -G | tr ' ' '\n' | sort -n | tr '\n' ' ')" "77 1234 "
status_is "a group that is not there" 125 box run --rm -u app:nogroup-here busybox true
says "is named" nogroup-here

fixture_rootfs "$BOX_TMP/r"
ok "import of a directory with changes" box import -c 'USER app' -c 'WORKDIR /srv' -c 'ENV A=image B=image' \
    -c 'ENTRYPOINT ["/bin/show-args"]' -c 'CMD ["one","two"]' -c 'STOPSIGNAL SIGUSR1' "$BOX_TMP/r" tuned:1
is "entrypoint and cmd" "$(box run --rm tuned:1)" "args: one two"
is "arguments take the place of cmd" "$(box run --rm tuned:1 three)" "args: three"
is "--entrypoint leaves the image's cmd out" "$(box run --rm --entrypoint /bin/echo tuned:1)" ""
is "an empty --entrypoint is none" "$(box run --rm --entrypoint '' tuned:1 id -u)" 1000
is "user and directory" "$(box run --rm --entrypoint sh tuned:1 -c 'echo $(id -u) $(pwd)')" "1000 /srv"
is "flags go over them" "$(box run --rm -u root -w / --entrypoint sh tuned:1 -c 'echo $(id -u) $(pwd)')" "0 /"
is "env: flags over the image's" "$(box run --rm -e B=flag --entrypoint sh tuned:1 -c 'echo $A $B')" "image flag"
box run -d --name sig --entrypoint sh tuned:1 -c 'trap "exit 44" USR1; echo ready; while :; do sleep 0.1; done' >/dev/null
eventually sh -c '"$0" --root "$1/root" --runroot "$1/run" logs sig | grep -q ready' "$BOX" "$BOX_TMP"
box stop sig >/dev/null
is "stop sends the image's signal" "$(box wait sig)" 44
box rm sig >/dev/null
no_containers "nothing is left"
done_testing
