/* A stream whose bytes are kept on the way, in a file: as they are, or as zstd.
 *
 * The zstd file begins with a frame that readers skip (RFC 8878, 3.1.2), in which the number of bytes stands
 * that the rest decompresses to.
 *
 * Level 1: what is kept so is the tar stream of a layer whose files lie beside it, read again only when the
 * image is pushed or saved. One thread, the one that reads: it inflates nothing, since what is compressed
 * already is kept as it is. */
#include "image/source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "image/zstd.h"

#define CHUNK (256u << 10)
#define LEVEL 1

struct header {
    unsigned char magic[4], length[4], size[8]; /* the lowest byte first */
};
static const struct header empty_header = {{0x50, 0x2a, 0x4d, 0x18}, {8}, {0}};

struct copy_source {
    struct box_source base;
    struct box_source *from;
    int fd;
    uint64_t size;
    const struct box_zstd *zstd; /* NULL: as they are */
    void *context;
    char *room;
};

static int put(struct copy_source *s, const void *data, size_t length, box_error **err)
{
    if (length > 0 && box_write_all(s->fd, data, length) < 0)
        return box_fail_sys(err, "write", NULL, "cannot keep a layer's blob");
    return 0;
}

static int compress(struct copy_source *s, const void *data, size_t length, int end, box_error **err)
{
    struct box_zstd_in in = {data, length, 0};
    size_t left = 0;

    do {
        struct box_zstd_out out = {s->room, CHUNK, 0};
        left = s->zstd->compressStream2(s->context, &out, &in, end);
        if (s->zstd->isError(left))
            return box_fail(err, BOX_ESYSTEM, "zstd: %s", s->zstd->getErrorName(left));
        int r = put(s, s->room, out.at, err);
        if (r < 0)
            return r;
    } while (end == BOX_ZSTD_E_END ? left > 0 : in.at < in.size);
    return 0;
}

static int copy_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct copy_source *s = (struct copy_source *)base;
    int r = box_source_read(s->from, data, length, err);

    if (r < 0 || *length == 0)
        return r;
    s->size += *length;
    return s->zstd ? compress(s, *data, *length, BOX_ZSTD_E_CONTINUE, err) : put(s, *data, *length, err);
}

static void copy_free(struct box_source *base)
{
    struct copy_source *s = (struct copy_source *)base;

    if (s->context)
        s->zstd->freeCCtx(s->context);
    box_source_free(s->from);
    free(s->room);
    free(s);
}

static int start_zstd(struct copy_source *s, box_error **err)
{
    s->zstd = box_zstd(err);
    if (!s->zstd)
        return BOX_ELIBRARY;
    s->context = s->zstd->createCCtx();
    s->room = malloc(CHUNK);
    if (!s->context || !s->room)
        return box_fail_nomem(err);
    s->zstd->CCtx_setParameter(s->context, BOX_ZSTD_C_LEVEL, LEVEL);
    return put(s, &empty_header, sizeof(empty_header), err);
}

struct box_source *box_source_copy(struct box_source *from, int fd, bool zstd, box_error **err)
{
    struct copy_source *s = calloc(1, sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = copy_read, .free = copy_free};
    s->from = from;
    s->fd = fd;
    if (zstd && start_zstd(s, err) < 0) {
        copy_free(&s->base);
        return NULL;
    }
    return &s->base;
}

int box_source_copy_finish(struct box_source *base, box_error **err)
{
    struct copy_source *s = (struct copy_source *)base;
    struct header header = empty_header;

    if (!s->zstd)
        return 0;
    int r = compress(s, "", 0, BOX_ZSTD_E_END, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(header.size); i++)
        header.size[i] = (unsigned char)(s->size >> (8 * i));
    if (pwrite(s->fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header))
        return box_fail_sys(err, "pwrite", NULL, "cannot keep a layer's blob");
    return 0;
}

int box_source_copy_size(int fd, uint64_t *size, box_error **err)
{
    struct header header;

    if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        memcmp(&header, &empty_header, sizeof(header.magic) + sizeof(header.length)) != 0)
        return box_fail(err, BOX_ECORRUPT, "a kept blob does not tell its size");
    *size = 0;
    for (size_t i = 0; i < sizeof(header.size); i++)
        *size |= (uint64_t)header.size[i] << (8 * i);
    return 0;
}
