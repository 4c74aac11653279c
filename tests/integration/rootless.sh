#!/bin/sh
# An ordinary user with a store of his own: what runs without any privilege.
. "$BOX_SRC/tests/lib/tap.sh"
if [ "$(id -u)" = 0 ]; then
    command -v setpriv >/dev/null 2>&1 && setpriv --clear-groups true 2>/dev/null || skip_all "no setpriv(1) to become an ordinary user with"
    mkdir -p "$BOX_TMP/home" && chown 65534:65534 "$BOX_TMP/home" && chmod 711 "$BOX_TMP"
    # A clone below a home directory that is closed to others is read from a copy.
    if ! setpriv --reuid 65534 --regid 65534 --clear-groups test -r "$0" -a -x "$BOX" -a -r "$BOX_BUILD/lib/libbox.so"; then
        mkdir -p "$BOX_TMP/home/build/lib" "$BOX_TMP/home/src"
        cp -R "$BOX_SRC/tests" "$BOX_TMP/home/src/"
        cp -P "$BOX_BUILD"/lib/libbox.so* "$BOX_TMP/home/build/lib/" 2>/dev/null
        cp "$BOX" "$BOX_TMP/home/build/box"
        BOX_SRC=$BOX_TMP/home/src BOX_BUILD=$BOX_TMP/home/build BOX=$BOX_TMP/home/build/box BOX_FIXTURES=''
        LD_LIBRARY_PATH=$BOX_BUILD/lib
        export BOX_SRC BOX_BUILD BOX BOX_FIXTURES LD_LIBRARY_PATH
        set -- "$BOX_SRC/tests/integration/rootless.sh"
    fi
    exec setpriv --reuid 65534 --regid 65534 --clear-groups env BOX_TMP="$BOX_TMP/home" HOME="$BOX_TMP/home" sh "${1:-$0}"
fi
. "$BOX_SRC/tests/integration/common.sh"
setup

is "a program runs" "$(box run --rm busybox echo hello)" hello
is "as root of its own namespace" "$(box run --rm busybox id -u)" 0
like "who is this user outside" "$(box run --rm busybox cat /proc/self/uid_map)" "^ *0 +$(id -u) +"
status_is "exit codes are the same" 9 box run --rm busybox sh -c 'exit 9'
status_is "127 too" 127 box run --rm busybox no-such-program
ok "detached" box run -d --name web busybox sleep 1000
is "exec" "$(box exec web id -u)" 0
like "ps" "$(box ps)" 'sleep 1000.*Up .* web$'
ok "stop" box stop -t 0 web
ok "start again" box start web
ok "rm -f" box rm -f web
ok "files of the root may be written" box run --rm busybox sh -c 'echo x >/etc/passwd && rm /bin/vi'
not_ok "nothing of the host's beyond this user's rights" box run --rm -v /etc:/host busybox sh -c 'echo x >>/host/hostname'
status_is "doctor says that it works" 0 box doctor
no_containers "nothing is left"
done_testing
