/* A bounded queue of work and the threads that do it: unpacking layers, reading and digesting blobs.
 *
 *     _cleanup_(box_workqueue) struct box_workqueue *q = box_workqueue_new(0, 16, &err);
 *     for each layer:
 *         r = box_workqueue_submit(q, unpack, layer, layer_free, &err);        waits while the queue is full
 *         if (r < 0) break;                                                    cancelled, or something
 * failed: stop r = box_workqueue_wait(q, &err);                                         the first failure, if
 * any
 *
 * The threads live as long as the queue and are joined when it is freed. All signals are blocked in them, so
 * the host's handlers never run there; the caller's own mask is as before. The first work that fails stops
 * the rest: what waits is not started, what runs may look at box_workqueue_stopping(). Where not a single
 * thread can be had (a limit on processes), the work is done in the thread that submits it. */
#ifndef BOX_BASE_WORKQUEUE_H
#define BOX_BASE_WORKQUEUE_H

#include <stdbool.h>

#include "base/fail.h"

typedef struct box_workqueue box_workqueue;

/* 0, or a negative code with *err set: the code that box_workqueue_wait() returns. Called from a thread of
 * the queue. */
typedef int box_work(void *data, struct box_workqueue *queue, box_error **err);

/* threads: 0 for as many as the caller may run on at once; at most 64. capacity: how much work may wait, at
 * least 1. */
struct box_workqueue *box_workqueue_new(unsigned threads, unsigned capacity, box_error **err);

/* Hands work over and, once, always, also when this fails: calls release(data) when it is no longer needed,
 * after the work or instead of it (release may be NULL). Any thread may call this, work itself only if it can
 * bear to wait for a place (a queue full of work that submits work does not move). BOX_ECANCELLED when the
 * queue is stopping. */
int box_workqueue_submit(struct box_workqueue *queue, box_work *work, void *data, void (*release)(void *),
                         box_error **err);

/* Waits until nothing is queued or running; not from work of this queue. 0; or the code and error of the
 * first work that failed; or BOX_ECANCELLED after box_workqueue_cancel(). After a failure has been returned
 * the queue can be used again.
 */
int box_workqueue_wait(struct box_workqueue *queue, box_error **err);

/* From any thread, not from a signal handler: nothing more is started; what runs goes on to its end. */
void box_workqueue_cancel(struct box_workqueue *queue);
/* Whether work has failed or was cancelled: long work looks at it now and then. */
bool box_workqueue_stopping(struct box_workqueue *queue);
/* Cancels, waits for what runs, joins the threads. NULL is allowed. */
void box_workqueue_free(struct box_workqueue *queue);
BOX_CLEANUP(box_workqueue, box_workqueue_free);

#endif
