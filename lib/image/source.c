/* Streams: a range of a file, a pipe, and the digest of another stream. */
#include "image/source.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CHUNK (256u << 10)

void box_source_free(struct box_source *source)
{
    if (source)
        source->free(source);
}

/* ---- Files ---- */

struct file_source {
    struct box_source base;
    int fd;
    bool range;
    uint64_t offset, left;
    char data[CHUNK];
};

static int file_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct file_source *s = (struct file_source *)base;
    size_t want = s->range && s->left < CHUNK ? (size_t)s->left : CHUNK;
    ssize_t n;

    *length = 0;
    if (want == 0)
        return 0;
    do
        n = s->range ? pread(s->fd, s->data, want, (off_t)s->offset) : read(s->fd, s->data, want);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return box_fail_sys(err, s->range ? "pread" : "read", NULL, "cannot read the archive");
    if (n == 0 && s->range)
        return box_fail(err, BOX_EPARSE, "the archive is cut short: %llu bytes are missing",
                        (unsigned long long)s->left);
    s->offset += (uint64_t)n;
    s->left -= s->range ? (uint64_t)n : 0;
    *data = s->data;
    *length = (size_t)n;
    return 0;
}

static uint64_t file_skip(struct box_source *base, uint64_t bytes)
{
    struct file_source *s = (struct file_source *)base;

    if (!s->range)
        return 0;
    bytes = bytes < s->left ? bytes : s->left;
    s->offset += bytes;
    s->left -= bytes;
    return bytes;
}

static void file_free(struct box_source *base)
{
    free(base);
}

static struct box_source *file_new(int fd, bool range, uint64_t offset, uint64_t size, box_error **err)
{
    struct file_source *s = malloc(sizeof(*s));

    if (!s) {
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){file_read, file_free, file_skip};
    s->fd = fd;
    s->range = range;
    s->offset = offset;
    s->left = size;
    return &s->base;
}

struct box_source *box_source_range(int fd, uint64_t offset, uint64_t size, box_error **err)
{
    return file_new(fd, true, offset, size, err);
}

struct box_source *box_source_fd(int fd, box_error **err)
{
    return file_new(fd, false, 0, 0, err);
}

/* ---- Digests ---- */

struct digest_source {
    struct box_source base;
    struct box_source *from;
    struct box_digester *digester;
    uint64_t count;
};

static int digest_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct digest_source *s = (struct digest_source *)base;
    int r = box_source_read(s->from, data, length, err);

    if (r < 0)
        return r;
    box_digester_update(s->digester, *data, *length);
    __atomic_add_fetch(&s->count, *length, __ATOMIC_RELAXED);
    return 0;
}

static void digest_free(struct box_source *base)
{
    struct digest_source *s = (struct digest_source *)base;

    box_source_free(s->from);
    box_digester_free(s->digester);
    free(s);
}

struct box_source *box_source_digest_as(struct box_source *from, enum box_digest_algorithm algorithm,
                                        box_error **err)
{
    struct digest_source *s = calloc(1, sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = digest_read, .free = digest_free};
    s->from = from;
    s->digester = box_digester_new(algorithm, err);
    if (!s->digester) {
        digest_free(&s->base);
        return NULL;
    }
    return &s->base;
}

struct box_source *box_source_digest(struct box_source *from, box_error **err)
{
    return box_source_digest_as(from, BOX_SHA256, err);
}

int box_source_digest_finish(struct box_source *base, struct box_digest *digest, uint64_t *size,
                             box_error **err)
{
    struct digest_source *s = (struct digest_source *)base;
    const void *data;
    size_t length;
    int r;

    do
        r = box_source_read(base, &data, &length, err);
    while (r == 0 && length > 0);
    if (r < 0)
        return r;
    if (size)
        *size = s->count;
    return box_digester_finish(s->digester, digest, err);
}

uint64_t box_source_digest_count(const struct box_source *base)
{
    return __atomic_load_n(&((const struct digest_source *)base)->count, __ATOMIC_RELAXED);
}
