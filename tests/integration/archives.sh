#!/bin/sh
# Containers and images as files and streams: diff, commit, export, save and load again, cp in both directions.
. "$BOX_SRC/tests/integration/common.sh"
setup

root() { [ "$(id -u)" = 0 ]; }
made() { # NAME SCRIPT: a container that has run it
    box create --name "$1" busybox sh -c "$2" >/dev/null && box start "$1" >/dev/null && box wait "$1" >/dev/null
}

# ---- diff ----
made changed 'mkdir -p /new/dir && echo 1 >/new/dir/file && echo more >>/etc/group && rm -r /home && rm /bin/wget &&
    rm -r /usr && mkdir /usr && echo 2 >/usr/again && ln -s /new /link && ln /new/dir/file /new/hard && chmod 700 /root'
is "diff tells what was added, changed and deleted" "$(box diff changed)" "$(printf '%s\n' 'A /link' 'A /new' 'A /new/dir' \
    'A /new/dir/file' 'A /new/hard' 'C /bin' 'C /etc' 'C /etc/group' 'C /usr' 'D /bin/wget' 'D /home' 'A /usr/again' \
    'D /usr/bin' 'D /usr/sbin' | sort -k 2)"
made still 'cat /etc/hosts >/dev/null; ls /proc /dev >/dev/null'
is "a container that only looked changed nothing, mounts notwithstanding" "$(box diff still)" ""
status_is "diff of nothing fails" 1 box diff nobody
like "and says so" "$ERR" 'No such container: nobody'
status_is "diff needs its argument" 1 box diff

# ---- commit ----
ok "commit" box commit -a 'Me <me@example.org>' -m 'a message' -c 'CMD ["cat", "/new/dir/file"]' -c 'ENV A=1' changed made:1
like "prints the id" "$OUT" '^sha256:[0-9a-f]{64}$'
is "the image runs" "$(box run --rm made:1)" 1
is "and has what was changed" "$(box run --rm made:1 sh -c 'echo $A; ls -d /home /usr/bin /bin/wget 2>/dev/null; cat /link/hard /usr/again; stat -c %h /new/hard; stat -c %a /root')" \
    "$(printf '1\n1\n2\n2\n700')"
like "history has the step, newest first" "$(box history made:1 | sed -n 2p)" 'sh -c mkdir -p /new/dir.*a message'
is "history -q" "$(box history -q --no-trunc made:1 | wc -l | tr -d ' ')" 2
is "two commits of the same have the same layer" "$(for i in 1 2; do box commit changed "same:$i" >/dev/null; box inspect "same:$i" | grep -o 'sha256:[0-9a-f]*"' | tail -n 1; done | sort -u | wc -l | tr -d ' ')" 1
# A new directory that was renamed, as dpkg makes them, is opaque in its layer; the next one adds to it, and must not hide what
# it had.
box run --name first busybox sh -c 'mkdir /etc/new && echo 1 >/etc/new/one && mv /etc/new /etc/both' && box commit first grown:1 >/dev/null
box run --name next grown:1 sh -c 'echo 2 >/etc/both/two' && box commit next grown:2 >/dev/null
is "a layer adds to a directory of the layer below" "$(box run --rm grown:2 sh -c 'cat /etc/both/*' | tr '\n' ' ')" "1 2 "
is "and no more" "$(box diff next | tr '\n' ' ')" "C /etc C /etc/both A /etc/both/two "
box rm first next >/dev/null && box rmi grown:1 grown:2 >/dev/null
status_is "a change that is none is refused" 1 box commit -c 'FROM x' changed bad:1
not_ok "and nothing is made" box run --rm bad:1 true
box run -d --name live busybox sh -c 'echo x >/x; sleep 600' >/dev/null
eventually box exec live test -e /x
ok "a running container is committed" box commit live made:live
is "with what it had" "$(box run --rm made:live cat /x)" x
like "and goes on" "$(box ps -f name=live)" 'Up '
ok "without a name" box commit live

# ---- export ----
box export changed >"$BOX_TMP/export.tar"
like "export has the whole tree" "$(tar tf "$BOX_TMP/export.tar" | tr '\n' ' ')" 'bin/busybox .*etc/passwd .*new/dir/file .*usr/again'
not_ok "and not what is deleted" sh -c "tar tf '$BOX_TMP/export.tar' | grep -q -e '^home' -e bin/wget"
ok "which makes the same image wherever" box import "$BOX_TMP/export.tar" imported:1
is "imported" "$(box run --rm imported:1 cat /usr/again)" 2
box export live >"$BOX_TMP/live.tar"
like "of a running one" "$(tar tf "$BOX_TMP/live.tar" | tr '\n' ' ')" ' proc/ .*x '
not_ok "without what is mounted" sh -c "tar tf '$BOX_TMP/live.tar' | grep -q -e '^proc/.' -e '^sys/.'"
box export changed >"$BOX_TMP/export2.tar"
ok "an export is the same each time" cmp "$BOX_TMP/export.tar" "$BOX_TMP/export2.tar"
status_is "export of nothing" 1 box export nobody

# ---- save ----
box tag made:1 made:again
id=$(box inspect made:1 | grep -m 1 '"Id"')
for format in docker-archive docker-archive-old oci-archive oci-dir; do
    ok "save as $format" box save --format "$format" -o "$BOX_TMP/$format" made:1 made:again busybox
    rm -rf "$BOX_TMP/second" && mkdir "$BOX_TMP/second"
    second() { "$BOX" --root "$BOX_TMP/second/root" --runroot "$BOX_TMP/second/run" "$@"; }
    ok "which is loaded into another store" second load -q -i "$BOX_TMP/$format"
    is "as the same image ($format)" "$(second inspect made:again | grep -m 1 '"Id"')" "$id"
    like "with all names ($format)" "$(second images)" 'made +1 '
    [ "$format" = docker-archive-old ] || is "and the same manifest ($format)" "$(second inspect made:1 | grep -m 1 @sha256)" \
        "$(box inspect made:1 | grep -m 1 @sha256)"
    ok "saved from there" second save --format "$format" -o "$BOX_TMP/$format.again" made:1 made:again busybox
    [ "$format" = oci-dir ] && continue
    ok "it is the same archive, byte for byte" cmp "$BOX_TMP/$format" "$BOX_TMP/$format.again"
done
ok "to a pipe" sh -c "'$BOX' --root '$BOX_TMP/root' --runroot '$BOX_TMP/run' save made:1 made:again busybox | cmp - '$BOX_TMP/docker-archive'"
status_is "an image that is not there" 1 box save -o "$BOX_TMP/none.tar" nothing:here
ok "leaves no file" test ! -e "$BOX_TMP/none.tar"
status_is "a reader that goes away is an error and no signal" 1 sh -c "('$BOX' --root '$BOX_TMP/root' --runroot '$BOX_TMP/run' save busybox; echo \$? >'$BOX_TMP/code') | true; exit \$(cat '$BOX_TMP/code')"
ok "a second image is added to a layout" box save --format oci-dir -o "$BOX_TMP/oci-dir" made:live
is "which keeps the others" "$(grep -o '"org.opencontainers.image.ref.name":"[^"]*"' "$BOX_TMP/oci-dir/index.json" | wc -l | tr -d ' ')" 4
mkdir "$BOX_TMP/foreign" && touch "$BOX_TMP/foreign/mine"
status_is "a directory of something else is left alone" 1 box save --format oci-dir -o "$BOX_TMP/foreign" busybox
is "untouched" "$(ls "$BOX_TMP/foreign")" mine
status_is "tag of nothing" 1 box tag nothing:here other

# ---- cp ----
src=$BOX_TMP/src
mkdir -p "$src/sub" && echo one >"$src/a" && echo two >"$src/sub/b" && ln -s a "$src/l" && chmod 640 "$src/a"
touch -d '2001-02-03 04:05:06' "$src/a"
made dead 'rm -r /home; ln -s ../var/log /usr/logs; ln -s /etc/passwd /etc/pw'
box exec live sh -c 'ln -s ../var/log /usr/logs; ln -s /etc/passwd /etc/pw'
listing() { # CONTAINER PATH: from a copy, since one of them does not run
    box cp "$1:$2" - | tar tf - | sort | tr '\n' ' '
}
for c in live dead; do
    ok "$c: a directory into a directory" box cp "$src" "$c:/tmp"
    is "$c: goes by its name" "$(listing "$c" /tmp/src)" "src/ src/a src/l src/sub/ src/sub/b "
    ok "$c: to what is not there" box cp "$src" "$c:/tmp/new"
    is "$c: gets the new name" "$(listing "$c" /tmp/new)" "new/ new/a new/l new/sub/ new/sub/b "
    ok "$c: what is in a directory" box cp "$src/." "$c:/root"
    is "$c: without it" "$(listing "$c" /root)" "root/ root/a root/l root/sub/ root/sub/b "
    ok "$c: a file under another name" box cp "$src/a" "$c:/tmp/other"
    ok "$c: over a file" box cp "$src/sub/b" "$c:/tmp/other"
    ok "$c: out to a name" box cp "$c:/tmp/other" "$BOX_TMP/other"
    is "$c: with its content" "$(cat "$BOX_TMP/other")" two
    ok "$c: out into a directory" box cp "$c:/tmp/new" "$BOX_TMP"
    is "$c: mode and time are kept" "$(stat -c '%a %Y' "$BOX_TMP/new/a")" "$(stat -c '%a %Y' "$src/a")"
    is "$c: links stay links" "$(readlink "$BOX_TMP/new/l")" a
    rm -r "$BOX_TMP/new"
    ok "$c: a link of the container's on the way" box cp "$src/a" "$c:/usr/logs/a"
    is "$c: leads where it leads inside" "$(listing "$c" /var/log/a)" "a "
    ok "$c: -L" box cp -L "$c:/etc/pw" "$BOX_TMP/pw"
    like "$c: follows the link" "$(cat "$BOX_TMP/pw")" '^root:x:0:0'
    rm "$BOX_TMP/pw"
    ok "$c: without it" box cp "$c:/etc/pw" "$BOX_TMP/pw"
    is "$c: the link itself" "$(readlink "$BOX_TMP/pw")" /etc/passwd
    rm "$BOX_TMP/pw"
    ok "$c: a tar stream in" sh -c "tar -C '$src' -cf - . | '$BOX' --root '$BOX_TMP/root' --runroot '$BOX_TMP/run' cp - $c:/var/tmp"
    is "$c: unpacked" "$(listing "$c" /var/tmp/sub)" "sub/ sub/b "
    status_is "$c: not into what is no directory" 1 sh -c "tar -C '$src' -cf - . | '$BOX' --root '$BOX_TMP/root' --runroot '$BOX_TMP/run' cp - $c:/etc/passwd"
    status_is "$c: no such source" 1 box cp "$c:/no/such" "$BOX_TMP"
    like "$c: says which" "$ERR" 'could not find the file /no/such'
    status_is "$c: no such directory" 1 box cp "$src/a" "$c:/no/such/a"
    status_is "$c: a slash wants a directory" 1 box cp "$src/a" "$c:/tmp/nodir/"
    status_is "$c: no directory over a file" 1 box cp "$src" "$c:/tmp/other"
    status_is "$c: no file over a directory" 1 box cp "$src/a" "$c:/tmp/../tmp/../var/../tmp/src/../.././tmp/../usr/../nowhere/x"
    status_is "$c: a name that goes up" 1 sh -c "cd '$src/sub' && tar -P -cf - ../a 2>/dev/null | '$BOX' --root '$BOX_TMP/root' --runroot '$BOX_TMP/run' cp - $c:/tmp"
done
is "what was copied is owned by the container's root" "$(box exec live stat -c %u:%g /tmp/src/a)" 0:0
ok "/etc/hosts, which is mounted, is written in place" box cp "$src/a" live:/etc/hosts
is "and seen inside" "$(box exec live cat /etc/hosts)" one
ok "the dead one starts with it all" box start dead
box wait dead >/dev/null
is "its changes are listed" "$(box diff dead | grep -c /tmp/src)" 5
status_is "nothing between containers" 1 box cp live:/etc/passwd dead:/tmp
status_is "nothing without a container" 1 box cp "$src/a" "$BOX_TMP/elsewhere"
if root; then
    chown 33:44 "$src/sub/b"
    ok "-a keeps owners, in" box cp -a "$src" live:/tmp/owned
    is "seen inside" "$(box exec live stat -c %u:%g /tmp/owned/sub/b)" 33:44
    ok "and out" box cp -a live:/tmp/owned "$BOX_TMP/owned"
    is "seen outside" "$(stat -c %u:%g "$BOX_TMP/owned/sub/b")" 33:44
    box exec live sh -c 'cp /bin/busybox /tmp/suid; chmod 4755 /tmp/suid'
    ok "a set-uid program comes out" box cp live:/tmp/suid "$BOX_TMP/suid"
    is "as an ordinary one" "$(stat -c %a "$BOX_TMP/suid")" 755
fi
mkdir "$BOX_TMP/vol" && echo v >"$BOX_TMP/vol/v"
box create --name withvol -v "$BOX_TMP/vol:/data" -v "$BOX_TMP/vol:/ro:ro" busybox true >/dev/null
is "a volume of a container that does not run" "$(box cp withvol:/data/v - | tar xO)" v
ok "is written to" box cp "$src/a" withvol:/data/new
is "itself" "$(cat "$BOX_TMP/vol/new")" one
status_is "unless it is read-only" 1 box cp "$src/a" withvol:/ro/new
box rm -f live >/dev/null
is "no mount is left" "$(grep -c " $BOX_TMP" /proc/self/mountinfo)" 0
done_testing
