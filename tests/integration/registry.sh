#!/bin/sh
# Images to and from a real registry (Debian's docker-registry on loopback), plain, and with TLS and a password; what
# skopeo pushes is pulled, and what is pushed skopeo reads, byte for byte.
. "$BOX_SRC/tests/integration/common.sh"

command -v docker-registry >/dev/null 2>&1 || skip_all "docker-registry is not installed"
helper="$BOX_BUILD/tests/integration/helper-registry"
setup
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy DOCKER_CONFIG
HOME="$BOX_TMP/home" && export HOME && mkdir -p "$HOME"
cd "$BOX_TMP" || exit 1

# A port that nobody has now; another one is tried when somebody was faster.
registry() { # NAME [TLS]: sets $address
    registry_try=0
    while [ "$registry_try" -lt 5 ]; do
        registry_try=$((registry_try + 1))
        registry_port=$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 20000)))
        address=127.0.0.1:$registry_port
        {
            printf 'version: 0.1\nlog: {level: warn}\nstorage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}\n' "$BOX_TMP/$1.data"
            printf 'http:\n  addr: %s\n  secret: tests\n' "$address"
            [ -z "${2:-}" ] || printf '  tls: {certificate: %s, key: %s}\nauth: {htpasswd: {realm: tests, path: %s}}\n' \
                "$BOX_TMP/server.pem" "$BOX_TMP/server.key" "$BOX_TMP/htpasswd"
        } >"$1.yml"
        docker-registry serve "$1.yml" >"$1.log" 2>&1 &
        registry_pid=$!
        registry_left=100
        while [ "$registry_left" -gt 0 ] && kill -0 "$registry_pid" 2>/dev/null; do
            if "$helper" --http "$address" --untrusted "$address" catalog "$address" >/dev/null 2>"$1.err" || grep -q BOX_EPERMISSION "$1.err"; then
                servers="${servers:-} $registry_pid"
                return 0
            fi
            registry_left=$((registry_left - 1))
            sleep 0.1
        done
        kill "$registry_pid" 2>/dev/null
    done
    return 1
}
# shellcheck disable=SC2086
trap 'clear_store; kill $servers 2>/dev/null; wait' EXIT
registry plain || skip_all "docker-registry does not start: $(cat plain.log)"
plain=$address

h() { "$helper" --http "$plain" "$@"; }
other() { "$BOX" --root "$BOX_TMP/root2" --runroot "$BOX_TMP/run2" "$@"; }

# ---- Push and pull ----
mkdir -p over/bin && echo two >over/two && fixture_layer over over.tar.gz
fixture_rootfs rootfs && fixture_layer rootfs base.tar.gz
fixture_oci two "$plain/team/app:1" '{"Cmd":["cat","/two"]}' base.tar.gz over.tar.gz
ok "an image is loaded" box load -i two
name=$plain/team/app:1
ok "it is pushed" box push "$name"
like "which is shown" "$OUT" '^The push refers to repository \['"$plain"'/team/app\]$'
is "layer by layer" "$(printf '%s\n' "$OUT" | grep -c ': Pushed$')" 3
like "with its digest" "$OUT" '^1: digest: sha256:[0-9a-f]{64} size: [0-9]+$'
digest=$(printf '%s\n' "$OUT" | sed -n 's/.*digest: \(sha256:[0-9a-f]*\).*/\1/p')
ok "it is pushed again" box push "$name"
is "and nothing is sent" "$(printf '%s\n' "$OUT" | grep -c 'Layer already exists$')" 3
is "the registry has the tag" "$(h tags "$plain/team/app")" 1
is "and the repository" "$(h catalog "$plain")" team/app

ok "another store pulls it" other pull "$name"
like "as Docker shows it" "$OUT" '^1: Pulling from team/app$'
is "each layer" "$(printf '%s\n' "$OUT" | grep -c ': Pull complete$')" 2
like "with its digest" "$OUT" "^Digest: $digest\$"
like "and its state" "$OUT" "^Status: Downloaded newer image for $name\$"
like "and its name" "$OUT" "^$name\$"
ok "it is pulled again" other pull "$name"
like "and is up to date" "$OUT" "^Status: Image is up to date for $name\$"
is "and runs" "$(other run --rm "$name")" two
is "quietly only the name is shown" "$(other pull -q "$name")" "$name"
is "an image that is not there is pulled to be run" "$("$BOX" --root root3 --runroot run3 run --rm "$name" 2>/dev/null)" two
status_is "unless it must not be" 125 "$BOX" --root root4 --runroot run4 run --pull never --rm "$name"
ok "a pull by digest" "$BOX" --root root4 --runroot run4 pull "$plain/team/app@$digest"
ok "manifest inspect" box manifest inspect "$name"
is "shows the manifest byte for byte" "$(printf '%s' "$OUT" | sha256sum | cut -d' ' -f1)" "${digest#sha256:}"
status_is "a tag that is not there" 1 box pull "$plain/team/app:none"
like "is told by the registry" "$ERR" 'manifest unknown'
status_is "so is a push of nothing" 1 box push "$plain/team/none"
like "and told" "$ERR" 'An image does not exist locally with the tag'
status_is "a registry that is not there" 1 box pull 127.0.0.1:1/team/app

# ---- Copy, mount, delete, platforms ----
is "an image is copied within the registry" "$(h copy "$name" "$plain/team/copy:2")" "$digest"
is "byte for byte" "$(h manifest "$plain/team/copy:2" | sha256sum | cut -d' ' -f1)" "${digest#sha256:}"
not_ok "what has a digest is not copied to another" h copy "$name" "$plain/team/copy@sha256:$(printf x | sha256sum | cut -d' ' -f1)"
dd if=/dev/urandom of=rootfs/large bs=1M count=70 2>/dev/null
fixture_layer rootfs large.tar && fixture_oci large "$plain/large:1" '' large.tar
ok "a large image is loaded" box load -q -i large
ok "and pushed, in chunks" box push "$plain/large:1"
ok "and pulled" other pull -q "$plain/large:1"
rm -rf rootfs/large large.tar large

ok "a tag is deleted" h delete "$plain/team/copy:2"
not_ok "a tag that was deleted is gone" h manifest "$plain/team/copy:2"
like "as the registry says" "$ERR" 'BOX_ENOTFOUND.*manifest unknown'
not_ok "once" h delete "$plain/team/copy:2"

if command -v python3 >/dev/null 2>&1; then
    # An index for two platforms, and an artifact that refers to the image.
    cat >make.py <<'PYTHON'
import hashlib, json, sys, urllib.request
base, digest = "http://" + sys.argv[1] + "/v2/team/app/", sys.argv[2]
def put(path, body, kind):
    urllib.request.urlopen(urllib.request.Request(base + path, body, {"Content-Type": kind}, method="PUT")).read()
def blob(data):
    d = "sha256:" + hashlib.sha256(data).hexdigest()
    r = urllib.request.urlopen(urllib.request.Request(base + "blobs/uploads/", b"", method="POST"))
    where = r.headers["Location"]
    urllib.request.urlopen(urllib.request.Request(where + ("&" if "?" in where else "?") + "digest=" + d, data, {"Content-Type": "application/octet-stream"}, method="PUT")).read()
    return {"digest": d, "size": len(data)}
image = urllib.request.Request(base + "manifests/" + digest, headers={"Accept": "application/vnd.oci.image.manifest.v1+json"})
text = urllib.request.urlopen(image).read()
old = json.loads(text)
old.setdefault("annotations", {})["arm"] = "yes"
arm = json.dumps(old).encode()
put("manifests/sha256:" + hashlib.sha256(arm).hexdigest(), arm, old.get("mediaType", "application/vnd.oci.image.manifest.v1+json"))
M = old.get("mediaType", "application/vnd.oci.image.manifest.v1+json")
index = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [
    {"mediaType": M, "digest": "sha256:" + hashlib.sha256(arm).hexdigest(), "size": len(arm), "platform": {"os": "linux", "architecture": "s390x"}},
    {"mediaType": M, "digest": digest, "size": len(text), "platform": {"os": "linux", "architecture": "amd64"}},
    {"mediaType": M, "digest": digest, "size": len(text), "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}}]}).encode()
put("manifests/multi", index, "application/vnd.oci.image.index.v1+json")
empty = blob(b"{}")
sig = blob(b"signature")
artifact = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "artifactType": "application/x.signature", "annotations": {"by": "me"},
    "config": {"mediaType": "application/vnd.oci.empty.v1+json", **empty}, "layers": [{"mediaType": "application/x.bytes", **sig}],
    "subject": {"mediaType": M, "digest": digest, "size": len(text)}}).encode()
put("manifests/signature", artifact, "application/vnd.oci.image.manifest.v1+json")
PYTHON
    ok "an index and an artifact are made" python3 make.py "$plain" "$digest"
    ok "an index is pulled for this machine" other pull "$plain/team/app:multi"
    like "and shown by the digest of the index, to which the tag leads" "$OUT" "^Digest: sha256:$(h manifest "$plain/team/app:multi" | sha256sum | cut -d ' ' -f 1)\$"
    ok "pulled again" other pull "$plain/team/app:multi"
    like "it is up to date" "$OUT" '^Status: Image is up to date for '
    ok "one platform of it is copied" h copy "$plain/team/app:multi" "$plain/one:1"
    is "which is this machine's" "$OUT" "$digest"
    ok "all of it is copied" h --all copy "$plain/team/app:multi" "$plain/all:1"
    ok "with what it names" h manifest "$plain/all:1" linux/s390x
    like "for each platform" "$OUT" '"arm"'
    not_ok "a platform that it has not is told" h manifest "$plain/all:1" linux/riscv64
    like "by name" "$ERR" 'BOX_EUNSUPPORTED.*linux/riscv64'
    ok "nothing refers to the image yet" h referrers "$plain/team/app@$digest"
    like "as an empty index says" "$OUT" '"manifests":\[\]'
    ok "an artifact is copied" h copy "$plain/team/app:signature" "$plain/team/app:sig2"
    ok "and refers to its subject then, by the tag that stands in" h referrers "$plain/team/app@$digest"
    like "with its type" "$OUT" '"artifactType":"application/x.signature"'
    ok "others are left out" h referrers "$plain/team/app@$digest" application/x.other
    like "by type" "$OUT" '"manifests":\[\]'
else
    skip "indexes and artifacts" "python3 is not installed"
fi

# ---- skopeo on the other side ----
if command -v skopeo >/dev/null 2>&1; then
    ok "skopeo pushes" skopeo copy -q --insecure-policy --dest-tls-verify=false oci:two:"$plain/team/app:1" "docker://$plain/by/skopeo:1"
    ok "which is pulled" other pull -q "$plain/by/skopeo:1"
    is "and runs" "$(other run --rm "$plain/by/skopeo:1")" two
    ok "Docker's older format too" skopeo copy -q --insecure-policy --dest-tls-verify=false --format v2s2 oci:two:"$plain/team/app:1" "docker://$plain/by/skopeo:2"
    ok "is pulled" other pull -q "$plain/by/skopeo:2"
    ok "skopeo reads what was pushed" skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$name" dir:back
    is "byte for byte" "$(sha256sum <back/manifest.json | cut -d' ' -f1)" "${digest#sha256:}"
    ok "each blob of it" sh -c 'cd back && for f in ????????????????????????????????????????????????????????????????; do echo "$f  $f" | sha256sum -c --quiet || exit 1; done'
else
    skip "skopeo on the other side" "skopeo is not installed"
fi

# ---- TLS and a password ----
if command -v openssl >/dev/null 2>&1 && command -v htpasswd >/dev/null 2>&1; then
    {
        openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=testca
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=registry
        printf 'subjectAltName=IP:127.0.0.1\n' >ext
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem
    } >openssl.log 2>&1
    htpasswd -Bbn -C 5 me secret >htpasswd 2>/dev/null
    registry secure tls || fail "docker-registry starts with TLS"
    secure=$address
    mkdir -p "certs/$secure" && cp ca.pem "certs/$secure/ca.crt"
    s() { "$helper" --ca "$secure" ca.pem "$@"; }
    b() { "$BOX" --root "$BOX_TMP/root2" --runroot "$BOX_TMP/run2" --cert-dir certs --config docker "$@"; }
    mkdir docker
    not_ok "without a login nothing is pushed" b push "$secure/none"
    not_ok "the catalog wants a login" s catalog "$secure"
    like "as is told" "$ERR" 'BOX_EPERMISSION.*log in'
    status_is "a wrong password is refused" 1 sh -c 'echo wrong | "$0" --cert-dir certs --config docker login -u me --password-stdin "$1"' "$BOX" "$secure"
    [ ! -e docker/config.json ] && pass "and not kept" || fail "and not kept"
    ok "the right one is kept" sh -c 'echo secret | "$0" --cert-dir certs --config docker login -u me --password-stdin "$1"' "$BOX" "$secure"
    like "with success" "$OUT" '^Login Succeeded$'
    ok "an image is copied there" s --config docker/config.json --http "$plain" copy "$name" "$secure/app:1"
    ok "and pulled" b pull -q "$secure/app:1"
    ok "and pushed under another tag" s --config docker/config.json copy "$secure/app:1" "$secure/app:2"
    is "tags need the login too" "$(s --config docker/config.json tags "$secure/app" | tr '\n' ' ')" "1 2 "
    ok "logout" b logout "$secure"
    like "says so" "$OUT" "^Removing login credentials for $secure\$"
    not_ok "and nothing is pulled then" b pull "$secure/app:2"
    ok "a second logout is no failure" b logout "$secure"
    like "but told" "$OUT" "^Not logged in to $secure\$"
else
    skip "TLS and a password" "openssl or htpasswd is not installed"
fi
done_testing
