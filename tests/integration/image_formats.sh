#!/bin/sh
# Images as other tools write them: one image with whiteouts, links and odd modes, carried by skopeo from form to form,
# must unpack to the tree that umoci makes of it, whatever the form.
. "$BOX_SRC/tests/integration/common.sh"
for tool in skopeo umoci; do
    command -v "$tool" >/dev/null 2>&1 || skip_all "$tool is not installed"
done
[ "$(id -u)" = 0 ] || skip_all "needs root: owners are compared"
setup

# An image of three layers, the later ones made by umoci from what changed in the tree.
layout=$BOX_TMP/layout
umoci init --layout "$layout" >/dev/null && umoci new --image "$layout:app" >/dev/null || skip_all "umoci does not work here"
umoci unpack --image "$layout:app" "$BOX_TMP/b" >/dev/null 2>&1
fixture_rootfs "$BOX_TMP/b/rootfs"
tree=$BOX_TMP/b/rootfs
mkdir -p "$tree/opt/old/deep" "$tree/opt/keep" "$tree/srv"
echo one >"$tree/opt/old/deep/file" && echo two >"$tree/opt/keep/file" && echo gone >"$tree/srv/gone"
chmod 4755 "$tree/bin/busybox" && chmod 2775 "$tree/srv" && chown 33:44 "$tree/srv/gone"
long=$(printf 'n%.0s' $(seq 1 120))
mkdir -p "$tree/opt/$long" && echo long >"$tree/opt/$long/$long"
ln "$tree/opt/keep/file" "$tree/opt/keep/hard" && ln -s /opt/keep/../keep/file "$tree/opt/link"
touch -d 2001-02-03T04:05:06Z "$tree/opt/keep/file"
ok "umoci makes the first layer" umoci repack --refresh-bundle --image "$layout:app" "$BOX_TMP/b"
rm -rf "$tree/opt/old" "$tree/srv/gone" && mkdir "$tree/opt/old" && echo new >"$tree/opt/old/new"
umoci repack --refresh-bundle --image "$layout:app" "$BOX_TMP/b" >/dev/null 2>&1
rm "$tree/opt/link" && mkdir "$tree/opt/link" && echo dir >"$tree/opt/link/file" && rm -r "$tree/opt/keep" && echo file >"$tree/opt/keep"
umoci repack --refresh-bundle --image "$layout:app" "$BOX_TMP/b" >/dev/null 2>&1
ok "umoci sets the config" umoci config --image "$layout:app" --config.cmd /bin/sh --config.env A=1 --config.user app --config.workingdir /opt

# Each path with its kind, mode, owner, size, time and target or content.
cat >"$BOX_TMP/describe" <<'EOF'
cd "$1" && find . -xdev | sort | while read -r path; do
    case $path in ./dev*|./proc*|./sys*|./etc/hosts|./etc/hostname|./etc/resolv.conf|.) continue ;; esac
    if [ -h "$path" ]; then
        echo "$path link $(readlink "$path")"
    elif [ -f "$path" ]; then
        echo "$path $(stat -c '%a %u:%g %s %Y %h' "$path") $(sha256sum <"$path")"
    else
        echo "$path $(stat -c '%f %a %u:%g' "$path")"
    fi
done
EOF
umoci unpack --image "$layout:app" "$BOX_TMP/expected" >/dev/null 2>&1
sh "$BOX_TMP/describe" "$BOX_TMP/expected/rootfs" >"$BOX_TMP/expected.txt"
is "the image has three layers" "$(box load -q -i "$layout" >/dev/null && ls "$BOX_TMP/root/layers" | grep -c .)" 4
like "one of them with whiteouts" "$(find "$BOX_TMP"/root/layers/*/diff -type c -exec stat -c '%t:%T %n' {} +)" '^0:0 .*/srv/gone$'
ok "there is something to compare with" test "$(wc -l <"$BOX_TMP/expected.txt")" -gt 50

# The tree as a container sees it; the user of the image is not root, so one is asked for. A run that fails says why:
# an empty tree alone does not tell what went wrong.
same_tree() { # NAME
    status=0
    box run --rm -u 0 -v "$BOX_TMP:/mnt:ro" "$1" sh /mnt/describe / >"$BOX_TMP/found.txt" 2>"$BOX_TMP/found.err" || status=$?
    if [ "$status" != 0 ]; then
        echo "box run ended with $status:"
        cat "$BOX_TMP/found.err"
        return 1
    fi
    grep -v '^\./mnt' "$BOX_TMP/found.txt" >"$BOX_TMP/found2.txt"
    diff "$BOX_TMP/expected.txt" "$BOX_TMP/found2.txt"
}
config_of() { box inspect "$1" | grep '"Id"' | head -n 1; }

ok "a layout of umoci's" box load -i "$layout"
ok "unpacks to umoci's tree" same_tree app
is "its config is used" "$(box run --rm app sh -c 'echo $A $(pwd) $(id -un)')" "1 /opt app"
id=$(config_of app)
box rmi app >/dev/null

for form in oci oci-archive docker-archive; do
    target=$form:$BOX_TMP/$form:example.org/app:$form
    [ "$form" != oci ] || target=oci:$BOX_TMP/oci:example.org/app:oci
    ok "skopeo writes $form" skopeo copy -q --insecure-policy "oci:$layout:app" "$target"
    ok "$form is loaded" box load -i "$BOX_TMP/$form"
    ok "$form unpacks to the same tree" same_tree "example.org/app:$form"
    if [ "$form" = docker-archive ]; then
        like "$form has an id" "$(config_of "example.org/app:$form")" 'sha256:'
    else
        is "$form has the same id" "$(config_of "example.org/app:$form")" "$id"
    fi
    box rmi "example.org/app:$form" >/dev/null
done

for format in gzip zstd; do
    ok "skopeo compresses with $format" skopeo copy -q --insecure-policy --dest-compress-format "$format" \
        --dest-compress "oci:$layout:app" "oci-archive:$BOX_TMP/$format.tar:app:$format"
    ok "which is loaded" box load -i "$BOX_TMP/$format.tar"
    ok "and unpacks to the same tree" same_tree "app:$format"
done
is "however compressed, the layers are there once" "$(ls "$BOX_TMP/root/layers" | grep -c .)" 4
box rmi app:gzip app:zstd >/dev/null

ok "several images in one archive of docker's" skopeo copy -q --insecure-policy \
    --additional-tag two:1 --additional-tag three:1 "oci:$layout:app" "docker-archive:$BOX_TMP/many.tar:one:1"
ok "are loaded" box load -i "$BOX_TMP/many.tar"
for name in one two three; do
    is "$name is there" "$(box run --rm -u 0 "$name:1" cat /opt/old/new)" new
done
no_containers "nothing is left"
done_testing
