#!/bin/sh
# The registry client against a registry that misbehaves: what is tried again, what is refused, what goes where.
. "$BOX_SRC/tests/lib/tap.sh"

helper="$BOX_BUILD/tests/integration/helper-registry"
[ -x "$helper" ] || skip_all "helper-registry is not built"
command -v python3 >/dev/null 2>&1 || skip_all "python3 is not installed"
ldconfig -p 2>/dev/null | grep -q libcurl || "$helper" tags 127.0.0.1:1/x 2>&1 | grep -vq BOX_ELIBRARY || skip_all "libcurl is not installed"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy DOCKER_CONFIG
HOME="$BOX_TMP" && export HOME

cd "$BOX_TMP" || exit 1
mkfifo hold && exec 9<>hold # the servers end when nobody holds this any more
serve() { # NAME [CERT KEY]
    serve_name=$1
    shift
    python3 "$BOX_SRC/tests/lib/fault_registry.py" "$serve_name.port" "$serve_name.log" "$@" <hold 9<&- >"$serve_name.out" 2>&1 &
    servers="${servers:-} $!"
    serve_left=200
    until [ -s "$serve_name.port" ]; do
        serve_left=$((serve_left - 1))
        [ "$serve_left" -gt 0 ] || { fail "the server starts"; diag "$(cat "$serve_name.out")"; done_testing; }
        sleep 0.1
    done
}
# shellcheck disable=SC2086
trap 'kill $servers 2>/dev/null; wait' EXIT
serve plain
read -r port digest manifest size <plain.port
host="127.0.0.1:$port"

r() { "$helper" --http "$host" "$@"; }
blob() { # REPOSITORY [FLAG...]: a fresh file
    blob_name=$1
    shift
    rm -f blob
    "$helper" --http "$host" "$@" blob "$host/$blob_name" "$digest" "$size" blob
}
seen() { grep -c -- "$1" plain.log; } # how many requests were like this
says() { like "$1" "$ERR" "$2"; }

# ---- Reading ----
ok "a manifest is got" r manifest "$host/plain/a:latest"
like "with its type and digest" "$ERR" "application/vnd.oci.image.manifest.v1\\+json $manifest"
ok "and by its digest" r manifest "$host/plain/a@$manifest"
ok "a blob is got" blob plain/a
not_ok "nothing goes out in the clear to a host that was not named" "$helper" manifest "$host/plain/a"
not_ok "an unknown tag is an error" r manifest "$host/plain/a:none"
says "with the registry's own message" "BOX_ENOTFOUND.*manifest unknown \\(MANIFEST_UNKNOWN\\)"
not_ok "a refusal is one" r manifest "$host/denied/a"
says "whose text cannot move the cursor" "BOX_EPERMISSION.*not \\[31m for you  reversed \\(DENIED\\)"
not_ok "a manifest that is another than its digest is refused" r manifest "$host/lying/a"
says "by the digest" "BOX_EDIGEST"
ok "a document of whatever kind is handed on with its type" r manifest "$host/xml/a"
not_ok "headers have a limit" r manifest "$host/headers/a"
says "that is told" "BOX_ELIMIT.*headers"
not_ok "documents have one" r manifest "$host/huge/a"
says "that is told" "BOX_ELIMIT"

# ---- Trying again ----
ok "a registry that is busy is asked again" r manifest "$host/busy/a"
is "as often as it took" "$(seen 'GET /v2/busy/a/manifests')" 3
not_ok "but not for ever" r --tries 3 manifest "$host/always-busy/a"
says "and says so itself" "BOX_EBUSY.*slow down"
is "after as many attempts as were set" "$(seen 'GET /v2/always-busy/a/manifests')" 3
ok "so is one with an error of its own" r manifest "$host/broken/a"
ok "a blob whose connection drops is gone on with" blob drop/a
is "by range" "$(seen 'GET /v2/drop/a/.*range=bytes')" 3
ok "also where the registry ignores ranges" blob norange/a
ok "or answers with another range" blob badrange/a
ok "a blob that ends early without a fault is gone on with" blob short/a
ok "a connection that stalls is given up, and the blob gone on with" blob stall/a --stall 300
is "by range" "$(seen 'GET /v2/stall/a/.*range=bytes')" 1
not_ok "a connection that always drops is an error" blob always-drop/a --tries 3
is "after as many attempts" "$(seen 'GET /v2/always-drop/a/blobs')" 3
blob plain/a && head -c 1000000 blob >part
ok "a blob that is there in part is gone on with" r blob "$host/plain/b" "$digest" "$size" part 1000000
is "from there" "$(seen 'GET /v2/plain/b/.*range=bytes=1000000-2999999')" 1

# ---- Blobs that are not what they should be ----
not_ok "more bytes than the manifest says are refused" blob extra/a
says "as such" "BOX_EDIGEST.*size"
not_ok "a blob that is smaller from the start is" blob shrunk/a
says "as such" "BOX_EDIGEST.*size"
not_ok "other bytes are seen by the digest" blob corrupt/a
not_ok "a blob that is not there" blob empty/a
says "is told by the registry" "BOX_ENOTFOUND.*blob unknown"

# ---- Redirects ----
ok "storage elsewhere is followed" blob elsewhere/a --http "localhost:$port" --user "$host" user secret
ok "also behind a login" blob tokenaway/a --http "localhost:$port"
is "which the registry gets" "$(seen 'GET /v2/tokenaway/a/blobs.*auth=Bearer.*status=307')" 1
is "and the other host does not" "$(seen 'GET /storage.*host=localhost.*auth=- ')" 2
not_ok "but not in the clear to a host that was not named" blob elsewhere/b
says "which is named" "BOX_EPERMISSION.*localhost"
not_ok "nor to another network" blob clear/a
says "which is named" "BOX_EPERMISSION.*169.254.0.1"
not_ok "nor to a file" blob file/a
not_ok "nor in a circle" blob loop/a
says "for ever" "BOX_ELIMIT.*redirects"

# ---- Deadlines ----
not_ok "the deadline of the whole operation holds" blob slow/a --timeout 300
says "and is told" "BOX_ETIMEOUT"
not_ok "so does cancelling" blob slow/b --cancel 200
says "which is told" "BOX_ECANCELLED"

# ---- Logging in ----
ok "a token is got where none is needed to know one" r manifest "$host/token/a"
is "without a login" "$(seen 'GET /token.*token%2Fa%3A.*auth=- ')" 1
ok "with a login the token server gets it" r --user "$host" user secret manifest "$host/token/private/a"
is "by Basic" "$(seen 'GET /token.*account=user.*auth=Basic')" 1
is "and the registry never does" "$(seen 'GET /v2/token.*auth=Basic')" 0
not_ok "a wrong password is refused" r --user "$host" user wrong manifest "$host/token/private/a"
says "with the server's message" "BOX_EPERMISSION.*incorrect username or password"
not_ok "a token that is of no use is not tried for ever" r manifest "$host/token/private/b"
says "and the registry's message is told" "BOX_EPERMISSION.*authentication required.*log in"
ok "an identity token is traded" r --identity "$host" refresh-me manifest "$host/token/private/a"
not_ok "a token that would split a header is refused" r --user "$host" user secret manifest "$host/token/splitting"
says "as none" "BOX_EPARSE.*token"
not_ok "a token server in the clear gets nothing" r manifest "$host/unsafe/a"
says "unless it was named" "BOX_EPERMISSION.*169.254.0.1"
ok "Basic is answered" r --user "$host" user secret manifest "$host/basic/a"
not_ok "but not without a login" r manifest "$host/basic/a"
says "which is asked for" "BOX_EPERMISSION.*who are you.*log in"
: >plain.port.login
ok "a login is tried at once" r login "$host" user secret
is "and gives an identity token" "$OUT" "identity=refresh-me"
not_ok "a wrong one shows at once" r login "$host" user wrong
rm plain.port.login

# ---- Lists ----
is "tags come in pages, sorted" "$(r tags "$host/pages/a" | tr '\n' ' ')" "t6 t6-b t7 t7-b t8 t8-b t9 t9-b "
not_ok "a list that goes in a circle is refused" r tags "$host/endless/a"
not_ok "one that goes to another host is" r tags "$host/otherhost/a"
says "as such" "BOX_EPARSE.*another host"
not_ok "names that are none are" r tags "$host/manytags/a"
is "the catalog is read" "$(r catalog "$host" | tr '\n' ' ')" "a b "
not_ok "a registry that deletes nothing says so" r delete "$host/plain/a:latest"
says "by the code" "BOX_EUNSUPPORTED"

# ---- Writing ----
ok "an image is copied" r copy "$host/plain/a" "$host/copied/a"
is "byte for byte" "$OUT" "$manifest"
ok "and is there" blob copied/a
is "in one request" "$(seen 'PUT /v2/copied/a/blobs')" 2
ok "again nothing is sent" r copy "$host/plain/a" "$host/copied/a"
is "as HEAD tells" "$(seen 'POST /v2/copied/a/blobs')" 2
ok "an upload that breaks is gone on with" r --chunk 600000 copy "$host/plain/a" "$host/flaky/a"
ok "and is whole" blob flaky/a
is "in chunks" "$(seen 'PATCH /v2/flaky/a/.*status=202')" 5
is "with what was lost asked for" "$(seen 'GET /v2/flaky/a/blobs/uploads/')" 2
is "in one upload" "$(seen 'POST /v2/flaky/a/blobs/uploads/')" 2
is "whose end is asked for again" "$(seen 'PUT /v2/flaky/a/blobs.*status=201')" 2
ok "an upload that the registry forgets begins anew" r --chunk 600000 copy "$host/plain/a" "$host/forgetful/a"
ok "and is whole" blob forgetful/a
ok "a blob is mounted from where it may be" r --user "$host" user secret copy "$host/token/private/m" "$host/token/n"
is "and not sent" "$(seen 'PUT /v2/token/n/blobs')" 0

# ---- Mirrors ----
ok "a mirror is asked first" "$helper" --mirror registry.invalid "http://$host/plain" manifest registry.invalid/m
is "below its prefix" "$(seen 'GET /v2/plain/m/manifests/latest')" 1
ok "where it has nothing, the registry is" r --mirror "$host" "http://$host/empty" blob "$host/plain/c" "$digest" "$size" blob.mirrored
ok "a mirror that is not there is passed over" r --mirror "$host" "http://127.0.0.1:1" manifest "$host/plain/a"

# ---- Proxies ----
ok "a proxy is asked for what it is to fetch" r --proxy "http://$host" --mirror far.invalid "http://registry.invalid" manifest far.invalid/plain/p
is "with the host that is meant" "$(seen 'GET http://registry.invalid/v2/plain/p/.*host=registry.invalid')" 1
not_ok "and nobody is asked past it" r --proxy http://127.0.0.1:1 manifest "$host/plain/a"
ok "the environment's is not for this machine" env http_proxy=http://127.0.0.1:1 https_proxy=http://127.0.0.1:1 "$helper" --http "$host" manifest "$host/plain/a"
not_ok "but for all others" env http_proxy="http://$host" https_proxy="http://$host" "$helper" manifest registry.invalid/plain/q
ok "by CONNECT" grep -q 'CONNECT registry.invalid:443' plain.log

# ---- TLS ----
if command -v openssl >/dev/null 2>&1; then
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost \
        -addext subjectAltName=IP:127.0.0.1,DNS:localhost >/dev/null 2>&1
    serve tls cert.pem key.pem
    read -r tlsport _ <tls.port
    tls="127.0.0.1:$tlsport"
    not_ok "a certificate that nobody signed is refused" "$helper" manifest "$tls/plain/a"
    says "with what to do" "BOX_EPERMISSION.*CA"
    ok "unless its CA is named" "$helper" --ca "$tls" cert.pem manifest "$tls/plain/a"
    ok "or it was said that any will do" "$helper" --untrusted "$tls" manifest "$tls/plain/a"
    not_ok "allowing plain HTTP does not allow that" "$helper" --http "$tls" manifest "$tls/plain/a"
    mkdir -p "certs/$tls" && cp cert.pem "certs/$tls/ca.crt"
    ok "Docker's directory of certificates is read" "$helper" --certs certs manifest "$tls/plain/a"
    not_ok "TLS does not lead to plain HTTP" "$helper" --ca "$tls" cert.pem blob "$tls/clear/a" "$digest" "$size" out
    says "by no redirect" "BOX_EPERMISSION.*plain HTTP"
    status_is "a connection that breaks while TLS writes raises no SIGPIPE" 0 "$helper" --ca "$tls" cert.pem --chunk 600000 copy "$tls/plain/a" "$tls/flaky/a"
    ok "a login goes over TLS" "$helper" --ca "$tls" cert.pem --user "$tls" user secret manifest "$tls/token/private/a"
else
    skip "TLS" "openssl is not installed"
fi

# ---- Docker's configuration ----
auth=$(printf user:secret | base64)
printf '{"auths":{"%s":{"auth":"%s"}},"other":{"kept":[1,2]}}' "$host" "$auth" >config.json
ok "a login of config.json is used" r --config config.json manifest "$host/token/private/c"
ok "another one is put in" "$helper" store config.json other.example:5000 me pass:word
like "beside what was there" "$(tr -d '\n\t ' <config.json)" "\"kept\":\\[1,2\\]"
like "as Docker writes it" "$(tr -d '\n\t ' <config.json)" "\"other.example:5000\":\\{\"auth\":\"$(printf me:pass:word | base64)\"\\}"
is "for its owner alone" "$(stat -c %a config.json)" 600
ok "Docker Hub has a key of its own" "$helper" store config.json docker.io hub secret
like "which is Docker's" "$(cat config.json)" "https://index.docker.io/v1/"
ok "a login is taken out" "$helper" erase config.json other.example:5000
not_ok "once" "$helper" erase config.json other.example:5000
says "as not there" "BOX_ENOTFOUND"
echo '{"auths":[' >broken.json
not_ok "a broken file is an error" r --config broken.json tags "$host/plain/a"
says "with its place" "BOX_EPARSE.*broken.json"
echo '{"credsStore":"../evil"}' >evil.json
not_ok "a helper's name is not a path" r --config evil.json tags "$host/plain/a"
says "as is told" "BOX_EPARSE.*credsStore"

mkdir -p bin && cat >bin/docker-credential-fake <<'HELPER'
#!/bin/sh
read -r key
case $1 in
get) [ -s "$HOME/kept" ] || { echo "credentials not found in native keychain"; exit 1; }; cat "$HOME/kept" ;;
store) echo "$key" >"$HOME/kept" ;;
erase) rm "$HOME/kept" ;;
esac
HELPER
chmod +x bin/docker-credential-fake
PATH="$BOX_TMP/bin:$PATH"
echo '{"credsStore":"fake"}' >helper.json
ok "a helper stores" "$helper" store helper.json "$host" user secret
is "and the file has no login" "$(cat helper.json)" '{"credsStore":"fake"}'
ok "a helper gets" r --config helper.json manifest "$host/token/private/d"
ok "a helper erases" "$helper" erase helper.json "$host"
ok "a helper that has none is no error" r --config helper.json manifest "$host/plain/a"
not_ok "where a login is wanted there is none then" r --config helper.json manifest "$host/basic/e"
echo '{"credHelpers":{"'"$host"'":"missing"}}' >missing.json
not_ok "a helper that is not there is named" r --config missing.json manifest "$host/basic/f"
says "with its program" "docker-credential-missing"

exec 9>&-
done_testing
