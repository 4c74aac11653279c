#!/bin/sh
# Layers as EROFS images: a store that is set to them, containers on both forms, damage, removing. Where no image can be
# mounted, layers are trees, and everything else is the same.
. "$BOX_SRC/tests/integration/common.sh"
setup

image_files() { find "$BOX_TMP/root/layers" -name layer.erofs | wc -l | tr -d ' '; }

is "the form of layers is libbox's choice at first" "$(box system setting layers)" auto
is "which is trees" "$(image_files)" 0
not_ok "a form that there is not is refused" box system setting layers ext4
says "with those that there are" 'auto, tree, erofs'
ok "images are chosen" box system setting layers erofs
is "and that is kept" "$(box system setting layers)" erofs

fixture_rootfs "$BOX_TMP/r" && fixture_layer "$BOX_TMP/r" "$BOX_TMP/lower.tar"
mkdir -p "$BOX_TMP/over/bin" "$BOX_TMP/over/data" && echo two >"$BOX_TMP/over/data/two"
: >"$BOX_TMP/over/bin/.wh.vi" && : >"$BOX_TMP/over/.wh.tmp"
fixture_layer "$BOX_TMP/over" "$BOX_TMP/over.tar.gz"
fixture_oci "$BOX_TMP/two" layered '{"Cmd":["cat","/data/two"]}' "$BOX_TMP/lower.tar" "$BOX_TMP/over.tar.gz"
ok "an image of two layers" box load -i "$BOX_TMP/two"
if [ "$(image_files)" = 0 ]; then
    is "no EROFS image can be mounted here: its layers are trees" "$(box run --rm layered)" two
    done_testing
    exit 0
fi
mounts=$(cat /proc/self/mountinfo)
is "runs" "$(box run --rm layered)" two
status_is "whiteouts hide a file" 1 box run --rm layered test -e /bin/vi
status_is "and a directory" 1 box run --rm layered test -e /tmp
is "what it writes is there" "$(box run --rm layered sh -c 'echo x >>/data/two; cat /data/two' | tr '\n' ' ')" "two x "
is "and gone with it" "$(box run --rm layered)" two
box run -d --name one layered sleep 1000 >/dev/null
is "exec" "$(box exec one cat /data/two)" two
is "nothing is mounted on the host" "$(cat /proc/self/mountinfo)" "$mounts"
box rm -f one >/dev/null
ok "the store is sound" box system check

file=$(find "$BOX_TMP/root/layers" -name layer.erofs | head -n 1)
cp "$file" "$BOX_TMP/good"
printf X | dd of="$file" bs=1 seek=4100 conv=notrunc 2>/dev/null
not_ok "a changed byte is found" box system check
like "and told" "$OUT" 'layers/.*(changed|image|content)'
cat "$BOX_TMP/good" >"$file"
ok "the store is sound again" box system check

if command -v fsck.erofs >/dev/null 2>&1; then
    for file in "$BOX_TMP"/root/layers/*/layer.erofs; do ok "fsck.erofs finds nothing" fsck.erofs "$file"; done
else
    skip "fsck.erofs" "it is not installed"
fi
ok "rmi" box rmi layered
is "takes the images away" "$(image_files)" 0
ok "trees are chosen again" box system setting layers tree
ok "the image is loaded" box load -i "$BOX_TMP/two"
is "as trees" "$(image_files) $(box run --rm layered)" "0 two"
done_testing
