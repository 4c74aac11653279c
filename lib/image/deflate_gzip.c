/* gzip on several threads. The stream is cut into blocks of one size. A ring of them is filled in turn; each full
 * one is compressed by whichever thread is free, and what comes out is given on in the order of the stream, by the
 * thread that writes. So neither the cut nor the order depends on chance. RFC 1951, RFC 1952. */
#include "image/deflate.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/workqueue.h"

#define BLOCK      (512u << 10)
#define ROOM       (BLOCK + BLOCK / 8 + 1024) /* stored blocks and headers, when nothing can be compressed */
#define DICTIONARY (32u << 10)
#define SLOTS_MAX  32

struct gzip;

struct slot {
    struct gzip *gzip;
    bool busy; /* under the mutex; a worker has it */
    bool full; /* what came out is still to be given on */
    bool last;
    uint8_t *in, *out;
    size_t length, written, dictionary;
    uint8_t before[DICTIONARY];
};

struct gzip {
    struct box_deflate base;
    const struct box_block_codec *codec;
    int level;
    struct box_workqueue *queue;
    pthread_mutex_t mutex;
    pthread_cond_t done;
    struct slot *slots;
    unsigned n_slots, at;
    uint32_t crc, length;
    bool begun, failed;
};

/* ---- In the workers ---- */

static int compress(void *data, struct box_workqueue *queue, box_error **err)
{
    struct slot *slot = data;
    struct gzip *g = slot->gzip;
    void *state = g->codec->open(g->level);
    size_t n = 0;

    (void)queue;
    (void)err;
    if (state)
        n = g->codec->block(state, slot->before, slot->dictionary, slot->in, slot->length, slot->last, slot->out, ROOM);
    if (state)
        g->codec->close(state);
    pthread_mutex_lock(&g->mutex);
    slot->written = n;
    slot->busy = false;
    pthread_cond_broadcast(&g->done);
    pthread_mutex_unlock(&g->mutex);
    return 0; /* the writer looks at what was written */
}

/* ---- In the thread that writes ---- */

static int begin(struct gzip *g, box_error **err)
{
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}; /* no time, no name, no system */

    if (g->begun)
        return 0;
    g->begun = true;
    return g->base.sink(header, sizeof(header), g->base.context, err);
}

/* Waits for a block and gives it on. */
static int give(struct gzip *g, struct slot *slot, box_error **err)
{
    if (!slot->full)
        return 0;
    pthread_mutex_lock(&g->mutex);
    while (slot->busy)
        pthread_cond_wait(&g->done, &g->mutex);
    pthread_mutex_unlock(&g->mutex);
    slot->full = false;
    if (slot->written == 0)
        return box_fail(err, BOX_ENOMEM, "a block could not be compressed");
    int r = begin(g, err);
    return r < 0 ? r : g->base.sink(slot->out, slot->written, g->base.context, err);
}

/* Hands the block at hand to the workers, and makes the next one free. */
static int submit(struct gzip *g, bool last, box_error **err)
{
    struct slot *slot = &g->slots[g->at];
    struct slot *next = &g->slots[(g->at + 1) % g->n_slots];

    slot->last = last;
    slot->full = slot->busy = true;
    g->crc = g->codec->crc(g->crc, slot->in, slot->length);
    g->length += (uint32_t)slot->length;
    int r = box_workqueue_submit(g->queue, compress, slot, NULL, err);
    if (r < 0) {
        slot->busy = slot->full = false;
        return r;
    }
    if (last)
        return 0;
    r = give(g, next, err);
    if (r < 0)
        return r;
    next->dictionary = slot->length < DICTIONARY ? slot->length : DICTIONARY;
    memcpy(next->before, slot->in + slot->length - next->dictionary, next->dictionary);
    next->length = 0;
    g->at = (g->at + 1) % g->n_slots;
    return 0;
}

static int gzip_write(struct box_deflate *base, const void *data, size_t length, box_error **err)
{
    struct gzip *g = (struct gzip *)base;
    const uint8_t *from = data;
    int r = g->failed ? box_fail(err, BOX_EINVAL, "the stream has failed before") : 0;

    while (r == 0 && length > 0) {
        struct slot *slot = &g->slots[g->at];
        size_t n = BLOCK - slot->length < length ? BLOCK - slot->length : length;
        memcpy(slot->in + slot->length, from, n);
        slot->length += n;
        from += n;
        length -= n;
        if (slot->length == BLOCK)
            r = submit(g, false, err);
    }
    g->failed = r < 0;
    return r;
}

static int gzip_finish(struct box_deflate *base, box_error **err)
{
    struct gzip *g = (struct gzip *)base;
    int r = g->failed ? box_fail(err, BOX_EINVAL, "the stream has failed before") : submit(g, true, err);

    for (unsigned i = 1; r == 0 && i <= g->n_slots; i++) /* the oldest first */
        r = give(g, &g->slots[(g->at + i) % g->n_slots], err);
    uint8_t trailer[8];
    for (int i = 0; i < 4; i++) {
        trailer[i] = (uint8_t)(g->crc >> (8 * i));
        trailer[4 + i] = (uint8_t)(g->length >> (8 * i));
    }
    return r < 0 ? r : g->base.sink(trailer, sizeof(trailer), g->base.context, err);
}

static void gzip_free(struct box_deflate *base)
{
    struct gzip *g = (struct gzip *)base;

    box_workqueue_free(g->queue);
    for (unsigned i = 0; g->slots && i < g->n_slots; i++) {
        free(g->slots[i].in);
        free(g->slots[i].out);
    }
    free(g->slots);
    pthread_cond_destroy(&g->done);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

static bool make_slots(struct gzip *g, unsigned n)
{
    g->slots = calloc(n, sizeof(*g->slots));
    g->n_slots = g->slots ? n : 0;
    for (unsigned i = 0; i < g->n_slots; i++) {
        g->slots[i].gzip = g;
        g->slots[i].in = malloc(BLOCK);
        g->slots[i].out = malloc(ROOM);
        if (!g->slots[i].in || !g->slots[i].out)
            return false;
    }
    return g->slots != NULL;
}

/* ISA-L's levels end at 3; it is several times as fast, and packs somewhat less. */
static const struct box_block_codec *choose(int *level)
{
    const struct box_block_codec *isal = *level <= 3 ? box_codec_isal() : NULL;

    if (isal) {
        *level = *level ? *level : 1;
        return isal;
    }
    *level = *level ? *level : 6;
    const struct box_block_codec *zlib = box_codec_zlib();
    if (zlib)
        return zlib;
    *level = 3;
    return box_codec_isal();
}

static unsigned processors(unsigned threads)
{
    cpu_set_t set;

    if (threads == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
        threads = (unsigned)CPU_COUNT(&set);
    return threads == 0 ? 1 : threads > SLOTS_MAX / 2 ? SLOTS_MAX / 2 : threads;
}

int box_deflate_gzip_new(int level, unsigned threads, struct box_deflate **deflate, box_error **err)
{
    const struct box_block_codec *codec = choose(&level);

    if (!codec) {
        struct box_fail_info info = {.code = BOX_ELIBRARY,
                                     .call = "dlopen",
                                     .subject = "libz.so.1",
                                     .remedy = "install zlib or ISA-L: the packages zlib1g, libisal2 of Debian"};
        return box_fail_with(err, &info, "gzip cannot be written, since no library for it is installed");
    }
    struct gzip *g = calloc(1, sizeof(*g));
    if (!g)
        return box_fail_nomem(err);
    g->base = (struct box_deflate){.write = gzip_write, .finish = gzip_finish, .free = gzip_free};
    g->codec = codec;
    g->level = level;
    g->mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    g->done = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    threads = processors(threads);
    g->queue = box_workqueue_new(threads, 2 * threads + 2, err);
    if (!g->queue || !make_slots(g, 2 * threads + 1)) {
        bool had = g->queue != NULL;
        gzip_free(&g->base);
        return had ? box_fail_nomem(err) : BOX_ENOMEM;
    }
    *deflate = &g->base;
    return 0;
}
