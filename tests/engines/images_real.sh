#!/bin/sh
# Real images: a Debian root file system by debootstrap with Python, nginx and PostgreSQL installed on top, layer by layer,
# some of them by box, some by buildah and podman. What box makes of them is held against what podman and umoci make of
# them, entry by entry; they are carried through a registry and archives; and what is installed in them is run.
#
# The root file system and the packages are kept in the build directory: the first run needs the network, later ones none.
. "$BOX_SRC/tests/lib/tap.sh"

[ "$(id -u)" = 0 ] || skip_all "needs root"
[ -z "${BOX_VM:-}" ] || skip_all "the guest has no network"
case $BOX_BUILD in *-asan | *-tsan) skip_all "too much for sanitizers" ;; esac
PATH=$PATH:/usr/sbin:/sbin
for tool in debootstrap docker-registry skopeo podman buildah umoci python3 unshare; do
    command -v "$tool" >/dev/null 2>&1 || skip_all "$tool is not installed"
done
began=$(cut -d . -f 1 /proc/uptime)
elapsed() { echo $(($(cut -d . -f 1 /proc/uptime) - began)); }
step() { diag "[$(elapsed) s] $*"; }
# On a machine that is busy with something else, the rest is better left out than cut off in the middle.
limit=${TEST_TIMEOUT:-300}
busy() { # WHAT [PERCENT]: whether that is skipped, since so much of the time has passed
    [ "$(elapsed)" -ge $((limit * ${2:-60} / 100)) ] && skip "$1" "the machine is busy: $(elapsed) of $limit s have passed"
}

cache=$BOX_BUILD/real-images
tree=$BOX_SRC/tests/engines/helper-tree.py
box() { store root "$@"; }
store() { # NAME ARGUMENT...: another store
    store_name=$1
    shift
    "$BOX" --root "$BOX_TMP/$store_name" --runroot "$BOX_TMP/$store_name.run" "$@"
}
pod() { podman --root "$BOX_TMP/pod" --runroot "$BOX_TMP/pod.run" --storage-driver overlay "$@"; }
bud() { buildah --root "$BOX_TMP/pod" --runroot "$BOX_TMP/pod.run" --storage-driver overlay "$@"; }
cd "$BOX_TMP" || exit 1
umask 022

# What package managers say names the mirror, which may be somebody's own.
hushed() { # COMMAND...
    "$@" >hushed.log 2>&1 </dev/null || {
        tail -n 15 hushed.log | sed -E 's#[a-z]+://[^ ]*#URL#g'
        return 1
    }
}

clear_all() {
    # shellcheck disable=SC2046
    box rm -f $(box ps -aq) >/dev/null 2>&1
    store erofs rm -f $(store erofs ps -aq) >/dev/null 2>&1
    pod umount -fa >/dev/null 2>&1
    pod image umount -fa >/dev/null 2>&1
    pod rm -fa -t 0 >/dev/null 2>&1
    bud rm -a >/dev/null 2>&1
    # shellcheck disable=SC2086
    kill ${background:-} 2>/dev/null
    wait
    umount "$BOX_TMP/pod/overlay" 2>/dev/null
}
trap clear_all EXIT
# Tests take no part in what the user has set up for himself.
unset DOCKER_CONFIG REGISTRY_AUTH_FILE CONTAINERS_CONF STORAGE_DRIVER
HOME=$BOX_TMP/home && export HOME && mkdir -p "$HOME"
cat >containers.conf <<CONF
[engine]
runtime = "box-oci"
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
box-oci = ["$BOX_BUILD/examples/box-oci/box-oci"]
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
CONF
CONTAINERS_CONF=$BOX_TMP/containers.conf && export CONTAINERS_CONF

# ---- The root file system and the packages ----
python='python3 iputils-ping libcap2-bin less'
nginx='nginx-light locales'
postgresql=postgresql

# "MIRROR RELEASE" of the machine's own package sources.
own_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT) $(ORIGIN)' 'Created-By: Packages' 2>/dev/null |
        awk '$3 == "main" && ($4 == "Debian" || $4 == "Ubuntu") && $2 !~ /-/ { print $1, $2; exit }'
}
make_cache() {
    # shellcheck disable=SC2046
    set -- $(own_mirror)
    mirror=${1:-} release=${2:-stable}
    if [ -z "${http_proxy:-}" ] && command -v apt-config >/dev/null 2>&1; then
        eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
        [ -z "${http_proxy:-}" ] || export http_proxy
    fi
    case $mirror in http:* | https:*)
        timeout 20 wget -q -T 10 -t 1 -O /dev/null "${mirror%/}/dists/$release/Release" 2>/dev/null ||
            skip_all "the mirror of packages cannot be reached" ;;
    esac
    rm -rf --one-file-system "$cache" && mkdir -p "$cache/packages" || skip_all "nothing can be kept in the build directory"
    # shellcheck disable=SC2086
    timeout 200 debootstrap --variant=minbase "$release" "$cache/root.new" $mirror >debootstrap.log 2>&1 </dev/null || {
        [ $? != 124 ] || skip_all "debootstrap takes more than 200 s here"
        skip_all "debootstrap does not work here: $(tail -n 1 debootstrap.log | sed -E 's#[a-z]+://[^ ]*#URL#g')"
    }
    box import "$cache/root.new" fetch >/dev/null
    # shellcheck disable=SC2086
    timeout 100 "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/root.run" run --rm --network host ${http_proxy:+-e http_proxy} \
        -v "$cache/packages:/var/cache/apt/archives" fetch \
        apt-get install -y --no-install-recommends --download-only $python $nginx $postgresql >fetch.log 2>&1 </dev/null ||
        skip_all "the packages cannot be had"
    box rmi fetch >/dev/null
    mv "$cache/root.new" "$cache/root"
}
[ -d "$cache/root" ] || make_cache
[ "$(elapsed)" -lt $((limit / 2)) ] || skip_all "getting a root file system took $(elapsed) s; it is kept for the next run"
limit=$((limit - $(elapsed))) began=$(cut -d . -f 1 /proc/uptime)

# The packages are shared with other runs, which need not wait for each other's lock.
install="apt-get install -y --no-download --no-install-recommends -o Debug::NoLocking=1 -o Dpkg::Options::=--force-unsafe-io"
box_layer() { # FROM TO PACKAGES
    hushed box run --name layer --network none -e DEBIAN_FRONTEND=noninteractive \
        -v "$cache/packages:/var/cache/apt/archives" "$1" sh -ec "$3" &&
        box commit --compression gzip layer "$2" >/dev/null && box rm layer >/dev/null
}

# ---- A registry ----
registry() {
    registry_try=0
    while [ "$registry_try" -lt 5 ]; do
        registry_try=$((registry_try + 1))
        address=127.0.0.1:$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 20000)))
        printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "%s", secret: tests}\n' \
            "$BOX_TMP/registry" "$address" >registry.yml
        docker-registry serve registry.yml >registry.log 2>&1 &
        registry_pid=$!
        registry_left=100
        while [ "$registry_left" -gt 0 ] && kill -0 "$registry_pid" 2>/dev/null; do
            if python3 -c 'import sys, urllib.request; urllib.request.urlopen("http://" + sys.argv[1] + "/v2/")' "$address" 2>/dev/null; then
                background="${background:-} $registry_pid"
                return 0
            fi
            registry_left=$((registry_left - 1))
            sleep 0.1
        done
        kill "$registry_pid" 2>/dev/null
    done
    return 1
}
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy NO_PROXY
registry || skip_all "docker-registry does not start"
push() { box tag "$1" "$2" && box push "$2"; } # and shows "digest: …"
digest_in() { sed -n 's/.*[dD]igest: \(sha256:[0-9a-f]*\).*/\1/p' | tail -n 1; }

# ---- Layers of box, buildah and podman ----
ok "the root file system is an image" box import "$cache/root" debian:base
ok "Python, a layer by box" box_layer debian:base debian:python "$install $python"
ok "which is pushed" push debian:python "$address/python:1"
step "two layers"
! busy "all with more layers" 20 || done_testing
buildah_layer() {
    container=$(bud from -q --tls-verify=false "$address/python:1") &&
        hushed bud run --isolation chroot -e DEBIAN_FRONTEND=noninteractive -v "$cache/packages:/var/cache/apt/archives" \
            "$container" sh -ec "$install $nginx; rm /etc/motd; mkdir /etc/motd; echo in >/etc/motd/file" && bud commit -q "$container" "$address/nginx:1" >/dev/null 2>&1 &&
        bud push -q --tls-verify=false "$address/nginx:1" && bud rm "$container" >/dev/null
}
ok "nginx, a layer by buildah" buildah_layer
ok "which box pulls" box pull -q "$address/nginx:1"
step "three layers"
! busy "all with more layers" 35 || done_testing
ok "PostgreSQL, a layer by box" box_layer "$address/nginx:1" debian:postgresql "mkdir -p /etc/postgresql-common
echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
$install -o Dpkg::Options::=--force-confold $postgresql"
ok "which is pushed, too" push debian:postgresql "$address/postgresql:1"
ok "podman pulls it" pod pull -q --tls-verify=false "$address/postgresql:1"
step "four layers"
! busy "all with more layers" 50 || done_testing

# All that layers have a hard time with. Times that are not set are those of the run, and do not count.
cat >odd.sh <<'ODD'
set -e
dpkg --purge less >/dev/null
rm -rf /var/lib/apt/lists/* /usr/share/doc/* /var/log/dpkg.log /var/log/alternatives.log /var/log/apt /var/cache/ldconfig/aux-cache
mkdir /opt/odd && cd /opt/odd
cp /bin/ping ping && setcap cap_net_raw+ep ping
cp /bin/su su && chmod 4755 su && cp /bin/su sg && chmod 2755 sg && mkdir -m 1777 sticky && mkdir -m 0 closed
echo linked >one && ln one two && mkdir deep && ln one deep/three
ln /usr/bin/perl perl
truncate -s 96M sparse && printf end | dd of=sparse bs=1 seek=50000000 conv=notrunc 2>/dev/null
mkfifo fifo && mknod null c 1 3 && mknod loop b 7 200
ln -s "$(printf 'x%.0s' $(seq 1 200))" long && ln -s /nowhere/at/all dangling
name=$(printf 'n%.0s' $(seq 1 250)) && mkdir "$name" && echo 1 >"$name/$name"
echo 1 >'a name with  spaces' && echo 1 >"$(printf 'umlaut-\303\244')" && echo 1 >"$(printf 'bytes-\377\376')"
echo 1 >owned && chown 3000000:4000000 owned && echo 1 >.hidden
touch -d 1971-02-03T04:05:06.789Z one && touch -d 2099-12-31T23:59:59Z owned && touch -hd 2001-01-01 dangling
python3 -c 'import os; os.setxattr("owned", "user.note", b"kept")'
rm -r /usr/share/common-licenses && echo file >/usr/share/common-licenses
mv /usr/share/nginx /usr/share/nginx.moved && mkdir -p /usr/share/nginx/html && cp /usr/share/nginx.moved/html/* /usr/share/nginx/html
rm -r /usr/share/zoneinfo/America && mkdir /usr/share/zoneinfo/America && echo new >/usr/share/zoneinfo/America/New
chmod 711 /usr/share/perl5 && chown 5:6 /usr/share/perl5
ODD
odd_by_box() {
    hushed box run --name odd --network none -v "$BOX_TMP/odd.sh:/odd.sh:ro" debian:postgresql sh /odd.sh
}
odd_by_podman() {
    hushed pod run --name odd --network none --cap-add mknod --cap-add setfcap \
        -v "$BOX_TMP/odd.sh:/odd.sh:ro" "$address/postgresql:1" sh /odd.sh
}
ok "odd things are made by box" odd_by_box
ok "and by podman" odd_by_podman
# Lists of packages go by their mirror's name, which is nobody's business. Podman takes a directory in the place of another for
# deleted, and leaves out some that merely changed; a directory in the place of a file it cannot list, which is why that has been
# left to buildah.
changes() {
    "$@" | grep -a '^[AD]' | sort |
        grep -avE '^. (/odd\.sh|/etc|/run|/run/\.containerenv|/var/lib/apt/lists/.*|/usr/share/(zoneinfo/America|nginx)(/.*)?|/)$'
}
box diff odd >whole.diff
changes cat whole.diff >box.diff
changes pod diff odd >pod.diff
ok "box diff lists what podman does" sh -c 'diff box.diff pod.diff >differ || { head -n 20 differ; exit 1; }'
ok "and what was replaced" sh -c 'for line in "C /usr/bin/perl" "C /usr/share/common-licenses" "A /usr/share/zoneinfo/America/New" \
    "D /usr/share/zoneinfo/America/Lima"; do grep -qxF "$line" whole.diff || { echo "no $line"; exit 1; }; done'
ok "podman commits a layer of it" hushed pod commit -q odd "$address/odd:podman"
ok "and pushes it" hushed pod push -q --tls-verify=false --digestfile digest "$address/odd:podman"
digest=$(cat digest)
ok "box commits one, too" box commit --compression gzip odd debian:odd
box rm odd >/dev/null
pod rm odd >/dev/null
step "five layers"
! busy "comparisons and programs" || done_testing
ok "box pulls podman's" box pull "$address/odd:podman"
is "by the digest it was pushed with" "$(printf '%s\n' "$OUT" | digest_in)" "$digest"
is "history has each layer, newest first" "$(box history --no-trunc "$address/odd:podman" | sed 1d | grep -cE 'sh /odd.sh|create_main_cluster|buildah|/bin/sh|iputils-ping|import')" \
    "$(box history -q "$address/odd:podman" | wc -l | tr -d ' ')"

# ---- The same tree for everybody ----
(
    skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$address/odd:podman" oci:layout:odd &&
        umoci unpack --image layout:odd bundle >umoci.log 2>&1 && python3 "$tree" list bundle/rootfs >umoci.tree
) &
umoci_pid=$!
seen_by_box() { # STORE IMAGE FILE: as a container sees it, from outside, with root's eyes
    store "$1" run -d --name seen --network none --userns host "$2" sleep 1000 >/dev/null &&
        pid=$(store "$1" inspect -f '{{.State.Pid}}' seen) && python3 "$tree" list "/proc/$pid/root/" >"$3"
    seen_status=$?
    store "$1" rm -f seen >/dev/null
    return "$seen_status"
}
ok "podman's image, as a container of box's sees it" seen_by_box root "$address/odd:podman" box.tree
ok "box's image, likewise" seen_by_box root debian:odd own.tree
mounted=$(pod image mount "$address/odd:podman")
ok "as podman mounts it" sh -c 'python3 "$0" list "$1" >pod.tree' "$tree" "$mounted"
pod image umount "$address/odd:podman" >/dev/null
wait "$umoci_pid"
is "umoci unpacks it" "$?" 0
ok "there is something to compare" test "$(wc -l <box.tree)" -gt 9000
has() { grep -qP "$1" umoci.tree || { echo "nothing is $1"; return 1; }; }
ok "file capabilities, links, devices and odd owners among it" eval "has '^opt/odd/ping\\t.*security.capability=' &&
    has '\\tfifo\\t' && has '^opt/odd/null\\tchar\\t.*\\t1:3\\t' && has '^opt/odd/su\\tfile\\t4755' && has '\\t3000000:4000000\\t' &&
    has 'user.note=' && has '^opt/odd/one\\t.*opt/odd/deep/three\$' && has '^usr/bin/perl\\t.*opt/odd/perl\$' &&
    has '^usr/share/common-licenses\\tfile' && has '^etc/motd\\tdir'"
not_ok "and what was deleted is gone" grep -E '^(var/lib/apt/lists/.|usr/bin/less	|usr/share/zoneinfo/America/Lima|usr/share/doc/.)' umoci.tree
ok "box and umoci have the same tree" python3 "$tree" compare box.tree umoci.tree
ok "box and podman have the same tree" python3 "$tree" compare box.tree pod.tree
# Podman leaves the place that the script was mounted on in its layer.
grep -av '^odd\.sh	' box.tree >less.tree
ok "a layer of box's holds what podman's does" python3 "$tree" compare own.tree less.tree mtime
rm -rf bundle layout
step "the trees are compared"

# ---- There and back ----
if ! busy "there and back"; then
    name=$address/odd:podman
    id=$(box inspect -f '{{.Id}}' "$name")
    is "what was pulled is pushed as the same" "$(push "$name" "$address/again:1" | digest_in)" "$digest"
    is "as skopeo says, too" "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$address/again:1")" "$digest"
    for form in oci-archive oci-dir docker-archive; do
        ok "it is saved: $form" box save --format "$form" -o "saved" "$name"
        case $form in oci-dir) from=oci:saved:$name ;; *) from=$form:saved ;; esac
        is "skopeo finds its config" "$(skopeo inspect --raw "$from" | grep -o '"config":{[^}]*}' | grep -o 'sha256:[0-9a-f]*')" "$id"
        ok "another store loads it" store second load -q -i saved
        is "and pushes the same" "$(store second tag "$name" "$address/$form:1" && store second push "$address/$form:1" | digest_in)" "$digest"
        rm -rf saved second second.run
    done
    step "there and back"
fi

# ---- What is installed in them runs ----
cat >database.sh <<'DATABASE'
PATH=$PATH:/usr/lib/postgresql/15/bin:$(echo /usr/lib/postgresql/*/bin)
initdb -D /tmp/db -A trust >/tmp/initdb.log 2>&1 || { tail -n 5 /tmp/initdb.log; exit 1; }
pg_ctl -D /tmp/db -o '-k /tmp -c listen_addresses=127.0.0.1' -w -l /tmp/db.log start >/dev/null || { tail -n 5 /tmp/db.log; exit 1; }
psql -h 127.0.0.1 -Atqc "create table t as select i from generate_series(1, 1000) i; select sum(i), current_user from t" postgres
pg_ctl -D /tmp/db -m fast stop >/dev/null
DATABASE
cat >python.py <<'PYTHON'
import ctypes, hashlib, json, multiprocessing, os, sqlite3, ssl, subprocess, tempfile, threading
threading.Thread(target=lambda: tempfile.TemporaryFile().close()).start()
rows = sqlite3.connect(":memory:").execute("select 40 + 2").fetchone()[0]
who = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
with multiprocessing.Pool(2) as pool:
    print(json.dumps([rows, who, sum(pool.map(abs, [-1, -2])), ssl.OPENSSL_VERSION.split()[0]]))
PYTHON
cat >page.sh <<'PAGE'
nginx || exit 1
python3 -c 'import urllib.request as u; r = u.urlopen("http://127.0.0.1/"); print(r.status, b"Welcome to nginx" in r.read())'
nginx -s quit 2>/dev/null
PAGE
programs() { # TEXT COMMAND...: what runs the image, up to its name's place
    programs_text=$1
    shift
    is "$programs_text: Python" "$("$@" python3 /mnt/python.py 2>&1)" '[42, "root", 3, "OpenSSL"]'
    is "$programs_text: nginx serves a page" "$("$@" sh /mnt/page.sh 2>&1)" '200 True'
    is "$programs_text: PostgreSQL answers its own user" "$("$@" su postgres -s /bin/sh /mnt/database.sh 2>&1)" '500500|postgres'
    is "$programs_text: dpkg finds all files as they were installed" "$("$@" dpkg --verify 2>&1 | grep -v ' /var/lib/apt/lists')" ""
    like "$programs_text: apt knows its packages" "$("$@" apt-cache policy postgresql 2>&1)" 'Installed: [0-9]'
    is "$programs_text: a locale is made and used" "$("$@" sh -c 'localedef -i de_DE -f UTF-8 /tmp/de && LOCPATH=/tmp LC_ALL=de date -d 2024-03-01 +%B' 2>&1)" 'März'
    is "$programs_text: Perl" "$("$@" perl -MPOSIX -MSocket -e 'print POSIX::floor(4.2), " ", inet_ntoa(INADDR_LOOPBACK), "\n"' 2>&1)" '4 127.0.0.1'
}
in_image() { # STORE OPTIONS COMMAND...
    in_store=$1 in_options=$2
    shift 2
    # shellcheck disable=SC2086
    store "$in_store" run --rm --network none -v "$BOX_TMP:/mnt:ro" $in_options "$address/postgresql:1" "$@"
}
ping_as_nobody="su nobody -s /bin/sh -c"
if ! busy "programs"; then
    programs "as root" in_image root ""
    is "as root: a file's capability, where new privileges are allowed" "$(in_image root '--security-opt no-new-privileges=false' \
        $ping_as_nobody 'ping -c 1 127.0.0.1' 2>&1 | grep -c '1 received')" 1
    step "programs have run"
fi
# Root has no subordinate ids on most machines; here it has, for whoever looks from this mount namespace.
echo "root:1000000:65536" >subids
with_ids() {
    # shellcheck disable=SC2016
    unshare -m --propagation private sh -c 'mount --bind "$1" /etc/subuid && mount --bind "$1" /etc/subgid && shift && exec "$@"' \
        sh "$BOX_TMP/subids" "$@"
}
in_userns() {
    with_ids "$BOX" --root "$BOX_TMP/root" --runroot "$BOX_TMP/root.run" run --rm --network none --userns auto -v "$BOX_TMP:/mnt:ro" \
        "$address/postgresql:1" "$@"
}
if [ ! -e /etc/subuid ] || [ ! -e /etc/subgid ]; then
    skip "programs in a user namespace" "there is no /etc/subuid to put one in the place of"
elif ! busy "programs in a user namespace"; then
    like "a user namespace" "$(in_userns cat /proc/self/uid_map)" '0 +1000000 +65536'
    programs "in a user namespace" in_userns
    step "programs have run in a user namespace"
fi

# ---- Layers as EROFS images ----
# What a store has of images and containers.
left_in() { { find "$1/blobs" -type f; find "$1/layers" "$1/containers" -mindepth 1 ! -name .lock ! -name .names; } | head -n 3; }
if ! busy "layers as EROFS images"; then
    if ! store erofs system setting layers erofs >/dev/null 2>&1; then
        skip "layers as EROFS images" "there is no EROFS here"
    else
        ok "layers as EROFS images are pulled" store erofs pull -q "$address/odd:podman"
        is "each an image" "$(find erofs/layers -name layer.erofs | wc -l | tr -d ' ')" "$(find erofs/layers -mindepth 1 -maxdepth 1 -type d | wc -l | tr -d ' ')"
        ok "with the same tree" seen_by_box erofs "$address/odd:podman" erofs.tree
        ok "as the tree form has" python3 "$tree" compare box.tree erofs.tree
        store erofs pull -q "$address/postgresql:1" >/dev/null
        programs "from EROFS" in_image erofs ""
        ok "the store is sound" store erofs system check
        ok "all of it is removed" sh -c '"$0" --root erofs --runroot erofs.run rmi -f $("$0" --root erofs --runroot erofs.run images -q)' "$BOX"
        is "and gone" "$(left_in erofs)" ""
        step "EROFS"
    fi
fi

# ---- The account, and the end ----
like "system df counts the images" "$(box system df)" '^Images +[0-9]+ +0 +[0-9.]+MB|^Images +[0-9]+ +0 +[0-9.]+GB'
ok "the store is sound" box system check
is "no container is left" "$(box ps -aq)" ""
ok "the images are removed" sh -c '"$0" --root root --runroot root.run rmi -f $("$0" --root root --runroot root.run images -q | sort -u)' "$BOX"
is "none is left" "$(box images -q)" ""
is "and nothing of them" "$(left_in root)" ""
step "the end"
done_testing
