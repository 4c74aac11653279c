/* Reading a file while it is being written: a layer is unpacked while it still comes. */
#include "image/source_arriving.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define CHUNK    (256u << 10)
#define PATIENCE (100 * BOX_MS)

void box_arrival_init(struct box_arrival *arrival, int fd, uint64_t size, uint64_t present)
{
    pthread_condattr_t attributes;

    *arrival = (struct box_arrival){.fd = fd, .size = size, .present = present};
    pthread_mutex_init(&arrival->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&arrival->more, &attributes);
    pthread_condattr_destroy(&attributes);
}

void box_arrival_clear(struct box_arrival *arrival)
{
    pthread_cond_destroy(&arrival->more);
    pthread_mutex_destroy(&arrival->mutex);
    box_error_free(arrival->why);
    arrival->why = NULL;
}

bool box_arrival_advance(struct box_arrival *arrival, uint64_t present)
{
    pthread_mutex_lock(&arrival->mutex);
    arrival->present = present < arrival->size ? present : arrival->size;
    bool wanted = !arrival->unwanted;
    pthread_cond_signal(&arrival->more);
    pthread_mutex_unlock(&arrival->mutex);
    return wanted;
}

void box_arrival_end(struct box_arrival *arrival, int code, box_error *why)
{
    pthread_mutex_lock(&arrival->mutex);
    arrival->over = true;
    arrival->code = code;
    arrival->why = why;
    pthread_cond_signal(&arrival->more);
    pthread_mutex_unlock(&arrival->mutex);
}

void box_arrival_abandon(struct box_arrival *arrival)
{
    pthread_mutex_lock(&arrival->mutex);
    arrival->unwanted = true;
    pthread_cond_signal(&arrival->more);
    pthread_mutex_unlock(&arrival->mutex);
}

/* ---- The stream ---- */

struct arriving_source {
    struct box_source base;
    struct box_arrival *arrival;
    box_arrival_wait *wait;
    void *data;
    uint64_t at;
    char room[CHUNK];
};

static int fail_over(struct arriving_source *s, box_error **err)
{
    struct box_arrival *arrival = s->arrival;

    if (arrival->unwanted)
        return box_fail(err, BOX_ECANCELLED, "nobody wants the blob any more");
    if (arrival->code == 0)
        return box_fail(err, BOX_EPARSE, "the blob is cut short: %llu bytes are missing",
                        (unsigned long long)(arrival->size - s->at));
    if (err)
        *err = arrival->why;
    else
        box_error_free(arrival->why);
    arrival->why = NULL;
    return arrival->code;
}

/* Waits until there is something to read behind what was read: how much, or an error. The mutex is held. */
static int await(struct arriving_source *s, uint64_t *ready, box_error **err)
{
    struct box_arrival *arrival = s->arrival;

    while (arrival->present <= s->at || arrival->unwanted) {
        if (arrival->over || arrival->unwanted)
            return fail_over(s, err);
        int64_t until = box_clock_ns() + PATIENCE;
        const struct timespec at = {(time_t)(until / BOX_S), (long)(until % BOX_S)};
        if (pthread_cond_timedwait(&arrival->more, &arrival->mutex, &at) != ETIMEDOUT || !s->wait)
            continue;
        pthread_mutex_unlock(&arrival->mutex);
        int r = s->wait(s->data, err);
        pthread_mutex_lock(&arrival->mutex);
        if (r < 0)
            return r;
    }
    *ready = arrival->present - s->at;
    return 0;
}

static int arriving_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct arriving_source *s = (struct arriving_source *)base;
    uint64_t ready = 0;
    ssize_t n;

    *length = 0;
    if (s->at == s->arrival->size)
        return 0;
    pthread_mutex_lock(&s->arrival->mutex);
    int r = await(s, &ready, err);
    pthread_mutex_unlock(&s->arrival->mutex);
    if (r < 0)
        return r;
    do
        n = pread(s->arrival->fd, s->room, ready < CHUNK ? (size_t)ready : CHUNK, (off_t)s->at);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n < 0 ? box_fail_sys(err, "pread", NULL, "cannot read a partial blob")
                     : box_fail(err, BOX_ESYSTEM, "a partial blob has shrunk while it was read");
    s->at += (uint64_t)n;
    *data = s->room;
    *length = (size_t)n;
    return 0;
}

static void arriving_free(struct box_source *base)
{
    free(base);
}

struct box_source *box_source_arriving(struct box_arrival *arrival, box_arrival_wait *wait, void *data, box_error **err)
{
    struct arriving_source *s = malloc(sizeof(*s));

    if (!s) {
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = arriving_read, .free = arriving_free};
    s->arrival = arrival;
    s->wait = wait;
    s->data = data;
    s->at = 0;
    return &s->base;
}
