/* zstd by libzstd (zstd.c). It has threads of its own, which must not take the host's signals: they are blocked in
 * the moment at which the threads are made, and as before afterwards. */
#include "image/deflate.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>

#include "image/zstd.h"

#define ROOM    (256u << 10)
#define THREADS 16

/* zstd.h: the numbers are part of its binary interface. */
#define C_CHECKSUM 201
#define C_WORKERS  400

struct zstd {
    struct box_deflate base;
    const struct box_zstd *lib;
    void *context;
    bool begun;
    char out[ROOM];
};

/* One call; *left: what is still to be written out at the end. */
static int step(struct zstd *z, struct box_zstd_in *in, int end, size_t *left, box_error **err)
{
    struct box_zstd_out out = {z->out, sizeof(z->out), 0};
    sigset_t all, before;

    if (!z->begun) {
        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
    }
    *left = z->lib->compressStream2(z->context, &out, in, end);
    if (!z->begun)
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    z->begun = true;
    if (z->lib->isError(*left))
        return box_fail(err, BOX_ESYSTEM, "zstd: %s", z->lib->getErrorName(*left));
    return out.at ? z->base.sink(z->out, out.at, z->base.context, err) : 0;
}

static int zstd_write(struct box_deflate *base, const void *data, size_t length, box_error **err)
{
    struct box_zstd_in in = {data, length, 0};
    size_t left;
    int r = 0;

    while (r == 0 && in.at < in.size)
        r = step((struct zstd *)base, &in, BOX_ZSTD_E_CONTINUE, &left, err);
    return r;
}

static int zstd_finish(struct box_deflate *base, box_error **err)
{
    struct box_zstd_in in = {"", 0, 0};
    size_t left = 1;
    int r = 0;

    while (r == 0 && left > 0)
        r = step((struct zstd *)base, &in, BOX_ZSTD_E_END, &left, err);
    return r;
}

static void zstd_free(struct box_deflate *base)
{
    struct zstd *z = (struct zstd *)base;

    if (z->context)
        z->lib->freeCCtx(z->context);
    free(z);
}

int box_deflate_zstd_new(int level, unsigned threads, struct box_deflate **deflate, box_error **err)
{
    cpu_set_t set;

    const struct box_zstd *lib = box_zstd(err);

    if (!lib)
        return BOX_ELIBRARY;
    if (threads == 0 && sched_getaffinity(0, sizeof(set), &set) == 0)
        threads = (unsigned)CPU_COUNT(&set);
    threads = threads == 0 ? 1 : threads > THREADS ? THREADS : threads;
    struct zstd *z = calloc(1, sizeof(*z));
    if (!z)
        return box_fail_nomem(err);
    z->base = (struct box_deflate){.write = zstd_write, .finish = zstd_finish, .free = zstd_free};
    z->lib = lib;
    z->context = lib->createCCtx();
    if (!z->context) {
        free(z);
        return box_fail_nomem(err);
    }
    lib->CCtx_setParameter(z->context, BOX_ZSTD_C_LEVEL, level ? level : 3);
    lib->CCtx_setParameter(z->context, C_CHECKSUM, 1);
    /* Always with workers, be it one: without, the bytes would be others. A library without threads refuses. */
    lib->CCtx_setParameter(z->context, C_WORKERS, (int)threads);
    *deflate = &z->base;
    return 0;
}
