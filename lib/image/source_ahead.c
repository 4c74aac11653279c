/* A thread that reads ahead, so that inflating and digesting one piece of a layer and writing the files of
 * another go on at the same time. A ring of buffers between the two; the thread fills, the reader empties. */
#include "image/source.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define SLOTS     8
#define SLOT_SIZE (256u << 10)

struct slot {
    size_t length;
    char *data;
};

struct ahead_source {
    struct box_source base;
    struct box_source *from; /* the thread's while it runs */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t filled, emptied;
    /* under the mutex */
    size_t first, count; /* of the filled slots */
    bool ended;          /* the thread will fill no more */
    bool stop;           /* the reader wants no more */
    int code;            /* why it ended */
    box_error *why;
    /* the reader's */
    bool lent; /* the first filled slot is what read() gave last */
    struct slot slots[SLOTS];
    char room[SLOTS * SLOT_SIZE];
};

/* Waits for an empty slot; NULL when the reader wants no more. */
static struct slot *empty_slot(struct ahead_source *s)
{
    struct slot *slot = NULL;

    pthread_mutex_lock(&s->mutex);
    while (s->count == SLOTS && !s->stop)
        pthread_cond_wait(&s->emptied, &s->mutex);
    if (!s->stop)
        slot = &s->slots[(s->first + s->count) % SLOTS];
    pthread_mutex_unlock(&s->mutex);
    return slot;
}

static bool is_stopped(struct ahead_source *s)
{
    pthread_mutex_lock(&s->mutex);
    bool stopped = s->stop;
    pthread_mutex_unlock(&s->mutex);
    return stopped;
}

static void hand_over(struct ahead_source *s)
{
    pthread_mutex_lock(&s->mutex);
    s->count++;
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->mutex);
}

static void end(struct ahead_source *s, int code, box_error *why)
{
    pthread_mutex_lock(&s->mutex);
    s->ended = true;
    s->code = code;
    s->why = why;
    pthread_cond_signal(&s->filled);
    pthread_mutex_unlock(&s->mutex);
}

/* What read() gave of the stream below and is not in a slot yet. */
struct rest {
    const char *data;
    size_t length;
};

/* Fills a slot, which stays short only at the end of the stream, when it fails, or when nobody wants more. */
static int fill_slot(struct ahead_source *s, struct slot *slot, struct rest *rest, box_error **why)
{
    slot->length = 0;
    while (slot->length < SLOT_SIZE) {
        size_t room = SLOT_SIZE - slot->length, n;
        int r = 0;
        if (rest->length == 0 && is_stopped(s))
            return 0;
        if (s->from->fill) {
            r = s->from->fill(s->from, slot->data + slot->length, room, &n, why);
        } else {
            if (rest->length == 0)
                r = box_source_read(s->from, (const void **)&rest->data, &rest->length, why);
            n = r < 0 ? 0 : rest->length < room ? rest->length : room;
            if (n > 0)
                memcpy(slot->data + slot->length, rest->data, n);
            rest->data += n;
            rest->length -= n;
        }
        if (r < 0 || n == 0)
            return r;
        slot->length += n;
    }
    return 0;
}

static void *read_ahead(void *data)
{
    struct ahead_source *s = data;
    struct rest rest = {"", 0};
    box_error *why = NULL;
    bool full = true;
    int r = 0;

    while (full && r == 0) {
        struct slot *slot = empty_slot(s);
        if (!slot)
            break;
        r = fill_slot(s, slot, &rest, &why);
        full = slot->length == SLOT_SIZE;
        if (slot->length > 0)
            hand_over(s);
    }
    end(s, r, why);
    return NULL;
}

static int ahead_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct ahead_source *s = (struct ahead_source *)base;
    int r = 0;

    *length = 0;
    pthread_mutex_lock(&s->mutex);
    if (s->lent) {
        s->lent = false;
        s->first = (s->first + 1) % SLOTS;
        s->count--;
        pthread_cond_signal(&s->emptied);
    }
    while (s->count == 0 && !s->ended)
        pthread_cond_wait(&s->filled, &s->mutex);
    if (s->count > 0) {
        s->lent = true;
        *data = s->slots[s->first].data;
        *length = s->slots[s->first].length;
    } else if (s->code < 0) {
        r = s->code;
        if (err)
            *err = box_take(s->why);
    }
    pthread_mutex_unlock(&s->mutex);
    return r;
}

static void destroy(struct ahead_source *s)
{
    pthread_cond_destroy(&s->filled);
    pthread_cond_destroy(&s->emptied);
    pthread_mutex_destroy(&s->mutex);
    box_error_free(s->why);
    free(s);
}

static void ahead_free(struct box_source *base)
{
    struct ahead_source *s = (struct ahead_source *)base;

    pthread_mutex_lock(&s->mutex);
    s->stop = true;
    pthread_cond_signal(&s->emptied);
    pthread_mutex_unlock(&s->mutex);
    pthread_join(s->thread, NULL);
    box_source_free(s->from);
    destroy(s);
}

/* The host's signals are none of the thread's business. */
static int start(struct ahead_source *s)
{
    sigset_t all, before;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return -1;
    int r = pthread_create(&s->thread, NULL, read_ahead, s);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r == 0 ? 0 : -1;
}

struct box_source *box_source_ahead(struct box_source *from, box_error **err)
{
    struct ahead_source *s = calloc(1, sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = ahead_read, .free = ahead_free};
    s->from = from;
    for (size_t i = 0; i < SLOTS; i++)
        s->slots[i].data = s->room + i * SLOT_SIZE;
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->filled, NULL);
    pthread_cond_init(&s->emptied, NULL);
    if (start(s) < 0) {
        destroy(s);
        return from;
    }
    return &s->base;
}
