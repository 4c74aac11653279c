#!/bin/sh
# system df, prune and check: what is kept on disk, and giving it back.
. "$BOX_SRC/tests/integration/common.sh"
setup

like "df has Docker's columns" "$(box system df | head -n 1)" '^TYPE +TOTAL +ACTIVE +SIZE +RECLAIMABLE$'
like "an image that nobody uses" "$(box system df | grep Images)" '^Images +1 +0 +[0-9.]+[kM]B +[0-9.]+[kM]B \(100%\)$'
box run --name done busybox sh -c 'head -c 300000 /dev/zero >/big' >/dev/null
box run -d --name lives busybox sleep 1000 >/dev/null
like "is used by a container" "$(box system df | grep Images)" '^Images +1 +1 +[0-9.]+[kM]B +[0-9.]+k?B \([01]%\)$'
like "what containers have written counts" "$(box system df | grep Containers)" '^Containers +2 +1 +3[0-9.]+kB +30[0-9.]+kB'
like "df -v names each image" "$(box system df -v)" '^busybox:latest +[0-9a-f]{12} .* 2$'
like "and each container" "$(box system df -v)" '^[0-9a-f]{12} +busybox(:latest)? .* exited +done$'

fixture_rootfs "$BOX_TMP/r"
box import "$BOX_TMP/r" other:1 >/dev/null
is "without a yes nothing goes" "$(echo n | box system prune | tail -n 1 | grep -c sure)" 1
like "container prune asks nothing when forced" "$(box container prune -f --filter until=1h)" '^Total reclaimed space: 0B$'
ok "prune takes containers that do not run" box system prune -f
like "and names them" "$OUT" '^Deleted Containers:$'
like "and what they gave back" "$OUT" '^Total reclaimed space: 3[0-9.]+kB$'
is "the running one stays" "$(box ps -a | tail -n +2 | grep -c lives)" 1
is "and so do images with a name" "$(box images -q | wc -l | tr -d ' ')" 2
ok "image prune -a" box image prune -a -f
like "takes those too" "$OUT" '^untagged: other:1$'
like "but none that is in use" "$(box images)" '^busybox'
not_ok "a filter that is none is refused" box image prune -f --filter colour=red
says "and named" "invalid filter 'colour=red'"

ok "check finds nothing wrong" box system check
layer=$(find "$BOX_TMP/root/layers" -path '*/diff/bin/busybox')
rm "$layer"
not_ok "and notices a file that is gone" box system check
like "whose layer it names" "$OUT" '^layers/[0-9a-f]+.*: '
not_ok "what a container uses is not mended under it" box system check --repair
like "and that is said" "$OUT" 'a container uses it'
box rm -f lives >/dev/null
ok "repair unpacks the layer again" box system check --repair
like "and says so" "$OUT" 'unpacked again from its blob'
is "the file is back" "$(box run --rm busybox echo back)" back
layer=$(find "$BOX_TMP/root/layers" -path '*/diff/bin/busybox') && rm "$layer" && find "$BOX_TMP/root/blobs/sha256" -size +100k -delete
ok "without the blob the image goes" box system check --repair
like "which is said" "$OUT" 'pull or load it again'
is "and it is gone" "$(box images -q)" ""
ok "and the store is whole" box system check
not_ok "system alone is not a command" box system
done_testing
