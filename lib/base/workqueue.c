/* The work queue: a ring of waiting work under one mutex, two conditions (there is work or the end; there is
 * room or rest), and the first failure, kept until somebody waits for it. */
#include "base/workqueue.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#define MAX_THREADS 64
#define STACK_SIZE  ((size_t)512 * 1024) /* the resolver needs 35 kB, decompressors less than 100 */

struct item {
    box_work *work;
    void *data;
    void (*release)(void *);
};

struct box_workqueue {
    pthread_mutex_t mutex;
    pthread_cond_t wake;    /* workers: something is queued, or closing */
    pthread_cond_t settled; /* submitters and waiters: something was taken off or finished */
    pthread_t threads[MAX_THREADS];
    unsigned thread_count;

    struct item *ring;
    unsigned capacity, first, waiting; /* of the ring */
    unsigned running;
    bool cancelled, closing;
    int result; /* of the first work that failed, with its error */
    box_error *error;
};

static void release(const struct item *item)
{
    if (item->release)
        item->release(item->data);
}

static bool stopping(const struct box_workqueue *q)
{
    return q->cancelled || q->closing || q->result < 0;
}

/* Does one piece of work. Called with the mutex held, which is let go meanwhile. */
static void do_item(struct box_workqueue *q, const struct item *item)
{
    bool skip = stopping(q);
    box_error *error = NULL;
    int result = 0;

    q->running++;
    pthread_mutex_unlock(&q->mutex);
    if (!skip)
        result = item->work(item->data, q, &error);
    release(item);
    pthread_mutex_lock(&q->mutex);
    q->running--;
    if (result < 0 && q->result == 0) {
        q->result = result;
        q->error = error;
    } else {
        box_error_free(error);
    }
    pthread_cond_broadcast(&q->settled);
}

static void *work_loop(void *data)
{
    struct box_workqueue *q = data;

    pthread_mutex_lock(&q->mutex);
    for (;;) {
        while (q->waiting == 0 && !q->closing)
            pthread_cond_wait(&q->wake, &q->mutex);
        if (q->waiting == 0)
            break;
        struct item item = q->ring[q->first];
        q->first = (q->first + 1) % q->capacity;
        q->waiting--;
        do_item(q, &item);
    }
    pthread_mutex_unlock(&q->mutex);
    return NULL;
}

static unsigned usable_cpus(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) < 0)
        return 2; /* more processors than a cpu_set_t has, or a filter */
    return (unsigned)CPU_COUNT(&set);
}

/* Threads start with the signal mask of their maker, so that is where all signals are blocked, for that long.
 */
static void start_threads(struct box_workqueue *q, unsigned wanted)
{
    sigset_t all, before;
    pthread_attr_t attributes;

    if (pthread_attr_init(&attributes) != 0)
        return;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (q->thread_count < wanted &&
           pthread_create(&q->threads[q->thread_count], &attributes, work_loop, q) == 0)
        q->thread_count++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

struct box_workqueue *box_workqueue_new(unsigned threads, unsigned capacity, box_error **err)
{
    struct box_workqueue *q;

    if (threads > MAX_THREADS || capacity < 1 || capacity > INT_MAX) {
        box_fail(err, BOX_EINVAL, "a work queue has at most %d threads and at least one place", MAX_THREADS);
        return NULL;
    }
    if (threads == 0)
        threads = usable_cpus();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    q = calloc(1, sizeof(*q));
    if (!q || !(q->ring = calloc(capacity, sizeof(*q->ring)))) {
        free(q);
        box_fail_nomem(err);
        return NULL;
    }
    q->capacity = capacity;
    /* None of the three can fail with default attributes on Linux. */
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->wake, NULL);
    pthread_cond_init(&q->settled, NULL);
    start_threads(q, threads);
    return q;
}

int box_workqueue_submit(struct box_workqueue *q, box_work *work, void *data, void (*release_data)(void *),
                         box_error **err)
{
    struct item item = {work, data, release_data};

    pthread_mutex_lock(&q->mutex);
    while (q->waiting == q->capacity && !stopping(q))
        pthread_cond_wait(&q->settled, &q->mutex);
    if (stopping(q)) {
        pthread_mutex_unlock(&q->mutex);
        release(&item);
        return box_fail(err, BOX_ECANCELLED, "the work was cancelled, or other work before it failed");
    }
    if (q->thread_count == 0) {
        do_item(q, &item);
    } else {
        q->ring[(q->first + q->waiting) % q->capacity] = item;
        q->waiting++;
        pthread_cond_signal(&q->wake);
    }
    pthread_mutex_unlock(&q->mutex);
    return 0;
}

int box_workqueue_wait(struct box_workqueue *q, box_error **err)
{
    box_error *error;
    int result;

    pthread_mutex_lock(&q->mutex);
    while (q->waiting > 0 || q->running > 0)
        pthread_cond_wait(&q->settled, &q->mutex);
    result = q->result;
    error = q->error;
    q->result = 0;
    q->error = NULL;
    if (result == 0 && q->cancelled)
        result = box_fail(&error, BOX_ECANCELLED, "the work was cancelled");
    pthread_mutex_unlock(&q->mutex);
    if (err && error)
        *err = error;
    else
        box_error_free(error);
    return result;
}

void box_workqueue_cancel(struct box_workqueue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->cancelled = true;
    pthread_cond_broadcast(&q->settled);
    pthread_mutex_unlock(&q->mutex);
}

bool box_workqueue_stopping(struct box_workqueue *q)
{
    bool stop;

    pthread_mutex_lock(&q->mutex);
    stop = stopping(q);
    pthread_mutex_unlock(&q->mutex);
    return stop;
}

void box_workqueue_free(struct box_workqueue *q)
{
    if (!q)
        return;
    pthread_mutex_lock(&q->mutex);
    q->closing = true;
    pthread_cond_broadcast(&q->wake);
    pthread_cond_broadcast(&q->settled);
    pthread_mutex_unlock(&q->mutex);
    for (unsigned i = 0; i < q->thread_count; i++)
        pthread_join(q->threads[i], NULL);
    box_error_free(q->error);
    pthread_cond_destroy(&q->settled);
    pthread_cond_destroy(&q->wake);
    pthread_mutex_destroy(&q->mutex);
    free(q->ring);
    free(q);
}
