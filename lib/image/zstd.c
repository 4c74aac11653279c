/* zstd by libzstd, opened at most once in the life of the process and never closed.
 *
 * A stream is any number of frames. Frames that are to be skipped (zstd:chunked keeps its table of contents in
 * one) are skipped by the library. A frame says how large a window it needs; one that wants more than the 128
 * MiB that every reader must be able to give is refused, so that a few bytes cannot ask for gigabytes. */
#include "image/zstd.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME     "libzstd.so.1"
#define CHUNK      (256u << 10)
#define WINDOW_MAX 27 /* 128 MiB */

BOX_DLOPEN_NOTE(libzstd, "image layers that are compressed with zstd", "suggested", SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct box_zstd table;
static bool usable;

#define FUNCTION(name)              \
    {                               \
        "ZSTD_" #name, &table.name  \
    }

static void open_once(void)
{
    const struct {
        const char *name;
        void *slot; /* of a pointer to a function, all of which have the same size */
    } functions[] = {
        FUNCTION(createCCtx),
        FUNCTION(freeCCtx),
        FUNCTION(CCtx_setParameter),
        FUNCTION(compressStream2),
        FUNCTION(createDCtx),
        FUNCTION(freeDCtx),
        FUNCTION(DCtx_setParameter),
        FUNCTION(decompressStream),
        FUNCTION(isError),
        FUNCTION(getErrorName),
    };
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < BOX_ARRAY(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return;
        memcpy(functions[i].slot, &found, sizeof(found));
    }
    usable = library != NULL;
}

const struct box_zstd *box_zstd(box_error **err)
{
    if (pthread_once(&once, open_once) == 0 && usable)
        return &table;
    struct box_fail_info info = {.code = BOX_ELIBRARY,
                                 .call = "dlopen",
                                 .subject = SONAME,
                                 .remedy = "install zstd: the package libzstd1 of Debian, libzstd of others"};
    box_fail_with(err, &info, "zstd cannot be read, since libzstd is not installed");
    return NULL;
}

/* ---- A stream ---- */

struct zstd_source {
    struct box_source base;
    struct box_source *from;
    const struct box_zstd *zstd;
    void *context;
    struct box_zstd_in in;
    bool at_end; /* of the stream below */
    bool inside; /* a frame has begun and not ended */
    char data[CHUNK];
};

static int refill(struct zstd_source *s, box_error **err)
{
    if (s->in.at < s->in.size || s->at_end)
        return 0;
    s->in.at = 0;
    int r = box_source_read(s->from, &s->in.data, &s->in.size, err);
    if (r < 0)
        s->in.size = 0;
    s->at_end = r == 0 && s->in.size == 0;
    return r;
}

static int zstd_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct zstd_source *s = (struct zstd_source *)base;
    struct box_zstd_out out = {s->data, CHUNK, 0};

    *data = s->data;
    *length = 0;
    while (out.at < CHUNK) {
        int r = refill(s, err);
        if (r < 0)
            return r;
        if (s->at_end && !s->inside)
            break;
        size_t before = out.at;
        size_t left = s->zstd->decompressStream(s->context, &out, &s->in);
        if (s->zstd->isError(left))
            return box_fail(err, BOX_EPARSE, "the zstd stream is damaged: %s", s->zstd->getErrorName(left));
        s->inside = left > 0;
        if (s->at_end && s->inside && out.at == before)
            return box_fail(err, BOX_EPARSE, "the zstd stream is cut short");
    }
    *length = out.at;
    return 0;
}

static void zstd_free(struct box_source *base)
{
    struct zstd_source *s = (struct zstd_source *)base;

    if (s->context)
        s->zstd->freeDCtx(s->context);
    box_source_free(s->from);
    free(s);
}

struct box_source *box_source_zstd(struct box_source *from, box_error **err)
{
    const struct box_zstd *zstd = box_zstd(err);
    struct zstd_source *s = zstd ? malloc(sizeof(*s)) : NULL;

    if (!s) {
        box_source_free(from);
        if (zstd)
            box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = zstd_read, .free = zstd_free};
    s->from = from;
    s->zstd = zstd;
    s->in = (struct box_zstd_in){NULL, 0, 0};
    s->at_end = s->inside = false;
    s->context = zstd->createDCtx();
    if (!s->context || zstd->isError(zstd->DCtx_setParameter(s->context, BOX_ZSTD_D_WINDOW_MAX, WINDOW_MAX))) {
        zstd_free(&s->base);
        box_fail_nomem(err);
        return NULL;
    }
    return &s->base;
}
