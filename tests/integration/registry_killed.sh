#!/bin/sh
# Pulls over HTTP that are killed at any moment: the next one succeeds, the store is sound, nothing is left, and no
# byte that came is fetched again. And many pulls of one image at once: each blob is fetched once.
# BOX_SEED=N repeats the moments of a run.
. "$BOX_SRC/tests/integration/common.sh"

helper="$BOX_BUILD/tests/integration/helper-registry"
[ -x "$helper" ] || skip_all "helper-registry is not built"
command -v python3 >/dev/null 2>&1 || skip_all "python3 is not installed"
unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY no_proxy DOCKER_CONFIG
HOME="$BOX_TMP/home" && export HOME && mkdir -p "$HOME"
cd "$BOX_TMP" || exit 1
seed=${BOX_SEED:-$(($(od -An -N4 -tu4 /dev/urandom) % 1000000))}
diag "seed $seed"

mkfifo hold && exec 9<>hold # the server ends when nobody holds this any more
python3 "$BOX_SRC/tests/lib/fault_registry.py" port log <hold 9<&- >server.out 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null; wait' EXIT
eventually test -s port || { fail "the server starts"; diag "$(cat server.out)"; done_testing; }
read -r port _ <port
host=127.0.0.1:$port
name=$host/killed/app:1

# Three layers, of which the large one does not compress.
mkdir first second third
fixture_rootfs first || skip_all "no static busybox to make an image of"
dd if=/dev/urandom of=second/large bs=1024 count=1500 2>/dev/null
mkdir -p third/a/b && seq 1 20000 >third/a/b/numbers && ln third/a/b/numbers third/again
for layer in first second third; do fixture_layer "$layer" "$layer.tar.gz"; done
fixture_oci made 1 '' first.tar.gz second.tar.gz third.tar.gz
"$BOX" --root from --runroot from.run load -q -i made >/dev/null
"$BOX" --root from --runroot from.run tag "$("$BOX" --root from --runroot from.run images -q)" "$name"
ok "the image is pushed" "$BOX" --root from --runroot from.run push -q "$name"
blobs=$(ls made/blobs/sha256)

fetched() { grep "^GET /v2/killed/app/blobs/sha256:$1 " log | sed 's/.* range=\([^ ]*\) .*/\1/'; }
quiet() { "$helper" --http "$host" tags "$host/idle/a" >/dev/null; } # every request that was made is in the log
# What of the blobs is there: "HEX BYTES", and all bytes of one that is whole.
present() {
    for hex in $blobs; do
        for file in "root/blobs/sha256/$hex"* "root/blobs/partial/$hex+"*; do
            [ ! -e "$file" ] || { echo "$hex whole"; continue 2; }
        done
        [ -s "root/blobs/partial/$hex" ] || continue
        here=$(stat -c %s "root/blobs/partial/$hex")
        if [ "$here" -lt "$(stat -c %s "made/blobs/sha256/$hex")" ]; then echo "$hex $here"; else echo "$hex whole"; fi
    done
}
# What was pulled is written to disk by another process, which must not find its store half removed.
forget() { [ ! -d root ] || box system sync; rm -rf root run; }
whole_image() { [ "$(box images -q | grep -c .)" = 1 ]; }

touch port.slow
begin=$(date +%s%N)
ok "it is pulled" box pull -q "$name"
whole=$((($(date +%s%N) - begin) / 1000000))
quiet
for hex in $blobs; do
    case $(fixture_size "made/blobs/sha256/$hex") in ???|????) ;; *) is "each large blob once" "$(fetched "$hex")" - ;; esac
done

# ---- Killed, fifty times ----
rounds=50 killed=0 partly=0 sound=0 again=0 clean=0 spared=0
awk -v seed="$seed" -v n="$rounds" -v whole="$whole" 'BEGIN { srand(seed); while (n--) printf "%.4f\n", rand() * whole / 1000 }' >moments
while read -r moment; do
    forget
    touch port.slow
    "$BOX" --root root --runroot run pull -q "$name" >/dev/null 2>&1 & # not the function: its shell would be killed
    pull=$!
    sleep "$moment"
    kill -9 "$pull" 2>/dev/null
    wait "$pull" 2>/dev/null
    [ $? -ne 137 ] || killed=$((killed + 1))
    # Not visible, or there with all that it names.
    if box system check >check 2>&1 && { ! whole_image || box history "$name" >/dev/null; }; then sound=$((sound + 1)); else diag "after $moment: $(cat check)"; fi
    present >there
    ! grep -qv whole there || partly=$((partly + 1))
    quiet
    : >log # opened for appending
    rm port.slow
    if box pull -q "$name" >second.out 2>&1; then again=$((again + 1)); else diag "after $moment: $(cat second.out)"; fi
    quiet
    bad=''
    while read -r hex size; do
        asked=$(fetched "$hex")
        case $size in whole) [ -z "$asked" ] || bad="$bad $hex:$asked" ;;
        *) case $asked in "bytes=$size-"*) ;; *) bad="$bad $hex:$size:$asked" ;; esac ;; esac
    done <there
    if [ -z "$bad" ]; then spared=$((spared + 1)); else diag "after $moment: fetched again:$bad"; fi
    box system sync
    # The lock of a blob that needed no second look stays until the next collection.
    left=$(ls root/tmp root/blobs/partial | grep -v -e : -e '^$' -e '\.lock$')
    if [ -z "$left" ] && [ ! -e root/images.late ] && box system check >check 2>&1 && whole_image; then clean=$((clean + 1)); else diag "after $moment: left: $left; $(cat check)"; fi
done <moments
diag "of $rounds pulls $killed were killed before the end, $partly of them in the middle of a blob; a whole one takes $whole ms"
[ "$partly" -gt 5 ] && pass "pulls were killed in the middle of blobs" || fail "pulls were killed in the middle of blobs"
is "after each kill the store is sound, and the image there whole or not at all" "$sound" "$rounds"
is "after each the next pull succeeds" "$again" "$rounds"
is "and fetches no byte that was there" "$spared" "$rounds"
is "and leaves a store without damage or remains" "$clean" "$rounds"
is "the files are right" "$(box run --rm "$name" sh -c 'tar -C / -cf - large' | tar -xOf - large | sha256sum)" "$(sha256sum <second/large)"

# ---- Eight at once ----
forget
touch port.slow
: >log
failed=0 pulls=''
for i in 1 2 3 4 5 6 7 8; do
    box pull "$name" >"pull$i" 2>&1 &
    pulls="$pulls $!"
done
for pull in $pulls; do wait "$pull" || failed=$((failed + 1)); done
is "eight pulls at once succeed" "$failed" 0
[ "$failed" = 0 ] || diag "$(cat pull[1-8])"
quiet
grep '^GET /v2/killed/app/blobs/' log | cut -d ' ' -f 2 | sort | uniq -c >fetches
is "and each blob is fetched once" "$(awk '{ print $1 }' fetches | tr '\n' ' ')" "1 1 1 1 "
ok "all of it is on disk in the end" box system sync
ok "the store is sound" box system check
is "and nothing is left" "$(ls root/tmp root/blobs/partial | grep -v -e : -e '^$')" ""
exec 9>&-
done_testing
