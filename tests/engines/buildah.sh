#!/bin/sh
# box-oci under buildah: working containers, run in again and again, and builds.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start buildah podman
engine_image
b() { timeout 100 buildah "$@"; }
run_in() { b run --runtime "$oci" --isolation oci --network none "$@"; }
clear_buildah() {
    b rm -a >/dev/null 2>&1
    engine_clear
}
trap clear_buildah EXIT

is "from" "$(b from --cgroup-parent "/$engine_group-build" --name work --pull-never bb:1)" work
is "run" "$(run_in work -- echo hello)" hello
status_is "ends as its program did" 3 run_in work -- sh -c 'exit 3'
not_ok "a program that is not there" run_in work -- /no/such
is "input" "$(echo in | run_in work -- cat)" in
ok "what is written" run_in work -- sh -c 'echo kept >/kept'
is "stays" "$(run_in work -- cat /kept)" kept
is "user and directory" "$(run_in --user app --workingdir /tmp work -- sh -c 'echo $(id -u):$(id -g) $PWD')" "1000:1000 /tmp"
is "environment" "$(run_in --env A=b work -- sh -c 'echo $A')" b
mkdir "$BOX_TMP/volume" && echo data >"$BOX_TMP/volume/file"
is "a volume" "$(run_in -v "$BOX_TMP/volume:/v:ro" work -- sh -c 'cat /v/file; touch /v/new 2>/dev/null || echo ro' | tr '\n' ' ')" "data ro "
is "a tmpfs" "$(run_in --mount type=tmpfs,destination=/t work -- grep -c ' /t tmpfs' /proc/mounts)" 1
is "a host name" "$(run_in --hostname here work -- hostname)" here
is "no capabilities" "$(run_in --user app work -- sed -n 's/^CapEff:.//p' /proc/self/status)" 0000000000000000
is "one more" "$(run_in --cap-add CAP_SYS_NICE work -- sh -c 'echo $((0x$(sed -n "s/^CapBnd:.//p" /proc/self/status) >> 23 & 1))')" 1
if command -v script >/dev/null; then
    like "a terminal" "$(script -qec "buildah run --runtime '$oci' --isolation oci --network none -t work -- sh -c 'tty; test -t 0 && echo terminal'" /dev/null | tr '\r\n' '  ')" \
        '/dev/pts/[0-9].*terminal'
else
    skip "a terminal" "script is not installed"
fi
like "its own processes and network" "$(run_in work -- sh -c 'echo $$; ls /sys/class/net' | tr '\n' ' ')" '^1 lo '
ok "config" b config --cmd 'cat /kept' --env SET=yes work
ok "commit" b commit -q work committed:1
is "what was made runs under Podman" "$(run committed:1 sh -c 'echo $SET; cat /kept' | tr '\n' ' ')" "yes kept "
like "a user namespace" "$(b from --userns-uid-map 0:100000:70000 --userns-gid-map 0:100000:70000 --name mapped bb:1 >/dev/null &&
    run_in mapped -- cat /proc/self/uid_map)" '^ *0 +100000 +70000$'

mkdir "$BOX_TMP/context" && echo copied >"$BOX_TMP/context/file" && echo hidden >"$BOX_TMP/word"
cat >"$BOX_TMP/context/Dockerfile" <<'DOCKERFILE'
FROM bb:1 AS first
RUN echo made >/made
FROM bb:1
COPY file /file
COPY --from=first /made /made
RUN --mount=type=cache,target=/cache echo cached >/cache/file
RUN --mount=type=cache,target=/cache cat /cache/file >/from-cache
RUN --mount=type=bind,from=first,source=/made,target=/bound cat /bound >/from-bind
RUN --mount=type=secret,id=word cat /run/secrets/word >/from-secret
RUN adduser -D someone 2>/dev/null; chown 7:8 /file
USER 7
RUN id -u >/tmp/uid
DOCKERFILE
ok "bud" b bud -q --runtime "$oci" --isolation oci --network none --cgroup-parent "/$engine_group-build" --layers --pull-never \
    --secret "id=word,src=$BOX_TMP/word" -t built:1 "$BOX_TMP/context"
is "made all of it" "$(run built:1 sh -c 'cat /file /made /from-cache /from-bind /from-secret /tmp/uid; stat -c %u:%g /file' | tr '\n' ' ')" \
    "copied made cached made hidden 7 7:8 "
ids=''
for i in 1 2 3 4 5 6; do
    (b from --name "n$i" bb:1 && run_in "n$i" -- echo "$i") >"$BOX_TMP/out$i" 2>&1 &
    ids="$ids $!"
done
# shellcheck disable=SC2086
wait $ids
is "six at once" "$(cat "$BOX_TMP"/out[1-6] | grep '^[1-6]$' | sort | tr '\n' ' ')" "1 2 3 4 5 6 "
ok "rm" b rm -a
is "no working container is left" "$(b containers -q)" ""
engine_end
done_testing
