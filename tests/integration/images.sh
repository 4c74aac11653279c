#!/bin/sh
# load, import, images, rmi: archives of each form, those written by other tools where these are here.
. "$BOX_SRC/tests/integration/common.sh"
setup

like "images has Docker's columns" "$(box images | head -n 1)" '^REPOSITORY +TAG +IMAGE ID +CREATED +SIZE$'
like "and shows the image" "$(box images | tail -n +2)" '^busybox +latest +[0-9a-f]{12} +.* ago +[0-9.]+[kM]B$'
ok "inspect of an image is JSON" box inspect busybox
like "with its id" "$OUT" '"Id": *"sha256:'

(cd "$BOX_TMP/image" && tar -cf ../oci.tar ./*)
ok "an OCI layout in a tarball" box load -i "$BOX_TMP/oci.tar"
like "is loaded" "$OUT" '^Loaded image'
fixture_rootfs "$BOX_TMP/r" && fixture_layer "$BOX_TMP/r" "$BOX_TMP/layer.tar"
fixture_docker "$BOX_TMP/docker.tar" saved:2 '{"Cmd":["echo","saved"]}' "$BOX_TMP/layer.tar"
ok "a docker save archive" box load -i "$BOX_TMP/docker.tar"
is "is named" "$OUT" "Loaded image: saved:2"
is "and runs" "$(box run --rm saved:2)" saved
gzip -c "$BOX_TMP/docker.tar" >"$BOX_TMP/docker.tar.gz"
ok "compressed, from standard input" sh -c '"$0" --root "$1/root" --runroot "$1/run" load <"$1/docker.tar.gz"' "$BOX" "$BOX_TMP"
mkdir -p "$BOX_TMP/over/bin" && echo two >"$BOX_TMP/over/two" && : >"$BOX_TMP/over/bin/.wh.vi" && fixture_layer "$BOX_TMP/over" "$BOX_TMP/over.tar.gz"
fixture_oci "$BOX_TMP/two" layered '{"Cmd":["cat","/two"]}' "$BOX_TMP/layer.tar" "$BOX_TMP/over.tar.gz"
ok "an image of two layers" box load -i "$BOX_TMP/two"
is "shows the upper one" "$(box run --rm layered)" two
status_is "and hides what it took away" 1 box run --rm layered test -e /bin/vi
is "a path may be run as it is" "$(box run --rm "$BOX_TMP/two")" two
ok "import of a directory" box import "$BOX_TMP/r" imported
ok "import of a tarball" box import "$BOX_TMP/layer.tar" imported:tar
is "and it runs" "$(box run --rm imported:tar echo yes)" yes

echo rubbish >"$BOX_TMP/rubbish"
not_ok "rubbish is not loaded" box load -i "$BOX_TMP/rubbish"
says "and it is said" 'rubbish|archive|layout'
not_ok "nor what is not there" box load -i /no/such/file
head -c 100000 "$BOX_TMP/docker.tar" >"$BOX_TMP/short.tar"
not_ok "nor half an archive" box load -i "$BOX_TMP/short.tar"
cp -r "$BOX_TMP/two" "$BOX_TMP/bad" && for f in "$BOX_TMP"/bad/blobs/sha256/*; do [ "$(wc -c <"$f")" -lt 2000 ] || echo x >>"$f"; done
not_ok "nor blobs that are not what their digest says" sh -c '"$0" --root "$1/other" --runroot "$1/run2" load -i "$1/bad"' "$BOX" "$BOX_TMP"

box run -d --name user saved:2 sleep 1000 >/dev/null
not_ok "an image in use is not removed" box rmi saved:2
box rm -f user >/dev/null
ok "rmi" box rmi saved:2
like "says so" "$OUT" '^Untagged: saved:2'
status_is "and it is gone" 125 box run --pull never --rm saved:2
not_ok "rmi of nothing" box rmi no-such
says "says so" 'No such image: no-such'

if command -v skopeo >/dev/null 2>&1; then
    for form in oci-archive docker-archive; do
        ok "skopeo writes an $form" skopeo copy -q --insecure-policy "oci:$BOX_TMP/two:layered" "$form:$BOX_TMP/$form.tar:example.org/sk:$form"
        ok "which is loaded" box load -i "$BOX_TMP/$form.tar"
        is "and runs" "$(box run --rm "example.org/sk:$form" cat /two)" two
    done
else
    skip "archives written by skopeo" "skopeo is not installed"
fi
if command -v umoci >/dev/null 2>&1; then
    ok "umoci changes an image" umoci config --image "$BOX_TMP/two:layered" --config.cmd echo --config.cmd umoci
    ok "which is loaded" box load -i "$BOX_TMP/two"
    is "and runs" "$(box run --rm layered)" umoci
else
    skip "a layout written by umoci" "umoci is not installed"
fi
no_containers "nothing is left"
done_testing
