#!/bin/sh
# A pull returns before its image is on disk, and leaves the rest to a process in the background: which holds nothing of
# whoever called, is done soon however the caller ends, and is not needed where it could not go on.
. "$BOX_SRC/tests/integration/common.sh"

helper="$BOX_BUILD/tests/integration/helper-registry"
[ -x "$helper" ] || skip_all "helper-registry is not built"
command -v python3 >/dev/null 2>&1 || skip_all "python3 is not installed"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy DOCKER_CONFIG
HOME="$BOX_TMP/home" && export HOME && mkdir -p "$HOME"
cd "$BOX_TMP" || exit 1

mkfifo hold && exec 9<>hold # the server ends when nobody holds this any more
python3 "$BOX_SRC/tests/lib/fault_registry.py" port log <hold 9<&- >server.out 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait' EXIT
eventually test -s port || { fail "the server starts"; diag "$(cat server.out)"; done_testing; }
read -r port _ <port
host=127.0.0.1:$port
name=$host/late/app:1

mkdir tree
fixture_rootfs tree || skip_all "no static busybox to make an image of"
fixture_layer tree tree.tar.gz
fixture_oci made 1 '' tree.tar.gz
"$BOX" --root from --runroot from.run load -q -i made >/dev/null
"$BOX" --root from --runroot from.run tag "$("$BOX" --root from --runroot from.run images -q)" "$name"
ok "the image is pushed" "$BOX" --root from --runroot from.run push -q "$name"

forget() { [ ! -d root ] || box system sync; rm -rf root run; }
lasts() { [ -e root/images.json ] && [ ! -e root/images.late ]; }
# The image is there and whole at once, and on disk soon.
all_well() { # TEXT
    ok "$1: the image is there" box history "$name"
    ok "$1: it is on disk soon" eventually lasts
    ok "$1: the store is sound" box system check
    forget
}

# ---- However the caller ends ----
is "into a pipe it tells the name, and the pipe ends" "$(timeout 60 "$BOX" --root root --runroot run pull -q "$name" | cat)" "$name"
all_well "into a pipe"

is "no other descriptor is held" "$( (box pull -q "$name" >/dev/null; echo pulled) 8>&1 | cat)" pulled
all_well "with a descriptor of the caller's"

timeout -s KILL 60 "$BOX" --root root --runroot run pull -q "$name" >/dev/null
all_well "under timeout"

if command -v script >/dev/null 2>&1; then
    script -qec "'$BOX' --root root --runroot run pull -q $name" /dev/null </dev/null >terminal 2>&1
    all_well "on a terminal that is closed at once"
fi

(mkdir -p deep && cd deep && "$BOX" --root ../root --runroot ../run pull -q "$name" >/dev/null)
all_well "with relative paths"

(LD_LIBRARY_PATH=none:$LD_LIBRARY_PATH PATH='' "$BOX" --root root --runroot run pull -q "$name" >/dev/null)
all_well "without a PATH"

# ---- Where the background does not go on ----
if unshare -fp true 2>/dev/null; then
    unshare -fp "$BOX" --root root --runroot run pull -q "$name" >/dev/null
    ok "the first process of a container waits for the disk itself" lasts
    all_well "as the first process"
else
    skip "the first process of a container waits" "no pid namespace here"
fi
if unshare -m mount -t tmpfs none /proc/sys 2>/dev/null; then
    unshare -m sh -c 'mount -t tmpfs none /proc/sys && exec "$@"' - "$BOX" --root root --runroot run pull -q "$name" >/dev/null
    ok "who cannot tell which boot this is waits for the disk" lasts
    all_well "without /proc/sys"

    box pull -q "$name" >/dev/null
    box system sync
    box tag "$name" "$host/late/app:2"
    for i in 1 2 3; do # whether a sync came in between or not: names are neither lost nor come back
        box rmi "$host/late/app:2" >/dev/null
        box pull -q "$name" >/dev/null
        unshare -m sh -c 'mount -t tmpfs none /proc/sys && exec "$@"' - "$BOX" --root root --runroot run tag "$name" "$host/late/app:2" 2>err ||
            { eventually lasts && box tag "$name" "$host/late/app:2"; grep -q boot_id err || diag "$(cat err)"; }
        box system sync
    done
    is "both have their names" "$(box images | grep -c late/app)" 2
    all_well "beside who cannot tell"
else
    skip "who cannot tell which boot this is" "no mount namespace here"
fi

# ---- Many, one after the other ----
for i in 1 2 3 4 5 6 7 8 9 10; do box pull -q "$name" >/dev/null || echo "$i"; done >failed
is "ten pulls, each with its process behind it" "$(cat failed)" ""
ok "a sync waits for all" box system sync
ok "and nothing is late then" lasts
all_well "after ten"

box pull -q "$name" >/dev/null && box rmi "$name" >/dev/null
ok "an image that is removed at once is gone" sh -c '! "$1" --root root --runroot run history "$2" 2>/dev/null' - "$BOX" "$name"
ok "and comes back with no sync" eventually lasts
is "nor does anything of it stay" "$(ls root/blobs/sha256 root/layers | grep -v : | grep .)" ""
exec 9>&-
done_testing
