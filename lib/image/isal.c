/* gzip by ISA-L (igzip), opened at most once in the life of the process. */
#include "image/source_inflate.h"

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME "libisal.so.2"
#define CHUNK  (256u << 10)

BOX_DLOPEN_NOTE(libisal, "fast decompression of image layers", "suggested", SONAME);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;
static struct {
    void (*init)(struct inflate_state *state);
    void (*reset)(struct inflate_state *state);
    int (*inflate)(struct inflate_state *state);
} table;

static void open_once(void)
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    void *init = library ? dlsym(library, "isal_inflate_init") : NULL;
    void *reset = library ? dlsym(library, "isal_inflate_reset") : NULL;
    void *inflate = library ? dlsym(library, "isal_inflate") : NULL;

    memcpy(&table.init, &init, sizeof(init));
    memcpy(&table.reset, &reset, sizeof(reset));
    memcpy(&table.inflate, &inflate, sizeof(inflate));
    usable = init && reset && inflate;
}

bool box_isal_usable(void)
{
    return pthread_once(&once, open_once) == 0 && usable;
}

struct isal_source {
    struct box_source base;
    struct box_source *from;
    bool at_end;  /* of the stream below */
    bool between; /* a member has ended, and nothing of another has been seen */
    bool garbage; /* what follows the last member is none */
    struct inflate_state state;
    uint8_t data[CHUNK];
};

/* More input, when there is none. */
static int refill(struct isal_source *s, box_error **err)
{
    const void *data = NULL;
    size_t length = 0;

    if (s->state.avail_in > 0 || s->at_end)
        return 0;
    int r = box_source_read(s->from, &data, &length, err);
    if (r < 0)
        return r;
    s->at_end = length == 0;
    s->state.next_in = (uint8_t *)data;
    s->state.avail_in = (uint32_t)length;
    return 0;
}

/* After a member comes another one, the end, or something that gzip(1) would call trailing garbage: it is
 * read to its end, since the digest of the blob is over all of it. */
static int next_member(struct isal_source *s, bool *more, box_error **err)
{
    int r;

    while ((r = refill(s, err)) == 0 && !s->at_end && (s->garbage || s->state.next_in[0] != 0x1f)) {
        s->garbage = true;
        s->state.avail_in = 0;
    }
    *more = r == 0 && !s->at_end;
    if (*more) {
        table.reset(&s->state);
        s->state.crc_flag = ISAL_GZIP;
        s->between = false;
    }
    return r;
}

static int damaged(int result, box_error **err)
{
    return box_fail(err, BOX_EPARSE, "the gzip stream is damaged (igzip error %d)", result);
}

static int isal_fill(struct box_source *base, void *room, size_t size, size_t *length, box_error **err)
{
    struct isal_source *s = (struct isal_source *)base;
    bool more = true;
    int r = 0;

    s->state.next_out = room;
    s->state.avail_out = (uint32_t)size;
    while (s->state.avail_out == size && more) {
        if (s->between)
            r = next_member(s, &more, err);
        else
            r = refill(s, err);
        if (r < 0)
            return r;
        if (!more)
            break;
        bool starved = s->at_end;
        int result = table.inflate(&s->state);
        if (result != ISAL_DECOMP_OK && result != ISAL_END_INPUT)
            return damaged(result, err);
        s->between = s->state.block_state == ISAL_BLOCK_FINISH;
        if (starved && !s->between && s->state.avail_out == size)
            return box_fail(err, BOX_EPARSE, "the gzip stream is cut short");
    }
    *length = size - s->state.avail_out;
    return 0;
}

static int isal_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct isal_source *s = (struct isal_source *)base;

    *data = s->data;
    return isal_fill(base, s->data, CHUNK, length, err);
}

static void isal_free(struct box_source *base)
{
    struct isal_source *s = (struct isal_source *)base;

    box_source_free(s->from);
    free(s);
}

struct box_source *box_source_isal(struct box_source *from, box_error **err)
{
    struct isal_source *s = malloc(sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = isal_read, .free = isal_free, .fill = isal_fill};
    s->from = from;
    s->at_end = s->between = s->garbage = false;
    table.init(&s->state);
    s->state.crc_flag = ISAL_GZIP;
    return &s->base;
}
