#!/bin/sh
# box-oci under podman build: each RUN is a container of its own.
. "$BOX_SRC/tests/lib/tap.sh"
. "$BOX_SRC/tests/lib/fixture.sh"
. "$BOX_SRC/tests/engines/common.sh"
engine_start podman
engine_image
mkdir "$BOX_TMP/context" "$BOX_TMP/context/dir" && cd "$BOX_TMP/context" || exit 1
echo copied >dir/file
build() { timeout 100 podman build -q --network none --cgroup-parent "/$engine_group-build" "$@"; }

cat >Dockerfile <<'DOCKERFILE'
FROM bb:1
ARG WORD=none
ENV GREETING=hello
WORKDIR /work
COPY dir/file .
RUN echo "$GREETING $WORD" >greeting && id -u >uid && cat file >>greeting
RUN ["/bin/sh", "-c", "echo $0 >form"]
USER app
RUN id -un >/tmp/user && ! touch /etc/new
RUN test ! -w /sys && grep -q "^Seccomp:.*2" /proc/self/status && sed -n "s/^CapEff:.//p" /proc/self/status >/tmp/caps
CMD ["sh", "-c", "cat /work/greeting /work/uid /work/form /tmp/user /tmp/caps"]
DOCKERFILE
ok "a build with RUN" build -t built:1 --build-arg WORD=there .
is "has what was run" "$(run built:1 | tr '\n' ' ')" "hello there copied 0 /bin/sh app 0000000000000000 "
ok "again, from the cache" build --layers -t built:2 --build-arg WORD=there .

cat >Dockerfile.fails <<'DOCKERFILE'
FROM bb:1
RUN exit 7
DOCKERFILE
not_ok "a RUN that fails ends the build" timeout 60 podman build --network none -f Dockerfile.fails .
like "with its status" "$OUT$ERR" 'exit status 7'

cat >Dockerfile.stages <<'DOCKERFILE'
FROM bb:1 AS first
RUN echo made >/made && chown 1000:1000 /made
FROM bb:1
COPY --from=first /made /kept
RUN --mount=type=cache,target=/cache echo cached >/cache/file
RUN --mount=type=cache,target=/cache cat /cache/file >/from-cache
RUN --mount=type=bind,from=first,source=/made,target=/bound cat /bound >/from-bind
RUN --mount=type=tmpfs,target=/fs touch /fs/x && grep -q " /fs tmpfs" /proc/mounts
RUN --mount=type=secret,id=word cat /run/secrets/word >/from-secret
DOCKERFILE
echo hidden >"$BOX_TMP/word"
ok "several stages, mounts of every kind" build -t stages:1 --secret "id=word,src=$BOX_TMP/word" -f Dockerfile.stages .
is "each was there" "$(run stages:1 sh -c 'stat -c %u /kept; cat /kept /from-cache /from-bind /from-secret; cat /cache/file /run/secrets/word 2>/dev/null' | tr '\n' ' ')" \
    "1000 made cached made hidden "

cat >Dockerfile.limits <<'DOCKERFILE'
FROM bb:1
RUN ulimit -n >/files && cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null >/memory; hostname >/name
RUN cat /v/file >/from-volume
DOCKERFILE
ok "limits, a volume" build -t limits:1 -m 64m --memory-swap 64m --ulimit nofile=77:77 --ulimit nproc=1024:1024 \
    -v "$BOX_TMP/context/dir:/v:ro" -f Dockerfile.limits .
is "are there" "$(run limits:1 cat /files /memory /from-volume | tr '\n' ' ')" "77 67108864 copied "
is "a build leaves no container" "$(p ps -a --external -q)" ""
engine_end
done_testing
