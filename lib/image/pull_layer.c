/* One layer after the other, several at once: fetched into a file and unpacked from it while it comes.
 *
 * For each layer a thread of the queue
 *     takes the layer's lock, and is done when the layer is there;
 *     takes the blob's lock, so that one process on the machine fetches it;
 *     begins with what the store has: the blob, whole, or what an earlier pull got of it;
 *     starts a second thread, which fetches the rest into that file;
 *     reads the file from its beginning, waiting for what is not there yet, and unpacks it;
 *     and when both digests are right keeps the file as the blob, and makes the layer visible.
 *
 * Bytes that an earlier pull left may be damaged: a power cut leaves holes. When what began with such bytes turns
 * out wrong, they are thrown away and the blob is fetched once more, from its start. When a blob that was fetched
 * whole is wrong, the registry has it wrong, and that is the end of it.
 *
 * A thread that holds a layer's lock waits for nothing but bytes, a turn to unpack and a blob's lock; and who holds
 * a blob's lock for nothing but bytes and a turn: so two pulls never wait for each other. */
#include "image/pull.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/source_arriving.h"

#define REPORT_EVERY (1u << 20)       /* bytes between two reports */
#define CHECK_EVERY  (256u << 10)     /* bytes between two looks whether to go on */
#define CHECK_AFTER  (50 * BOX_MS)    /* time between them */
#define PATIENCE     (100 * BOX_MS)

struct job {
    struct box_pull *pull;
    struct load_layer *layer;
    unsigned number;
    char id[BOX_DIGEST_TEXT];
    uint64_t reported; /* of unpacking */
    /* While the blob is open: */
    int lock, fd; /* -1: not held */
    bool opened;  /* the arrival is set up */
    bool fetching, has_turn;
    bool suspect; /* not all of it was fetched now */
    pthread_t thread;
    struct box_arrival arrival;
    /* The fetching thread's: */
    uint64_t checked, told;
    int64_t checked_at;
};

static int tell(struct job *job, enum box_image_stage stage, uint64_t done, box_error **err)
{
    struct load *load = &job->pull->load;
    const box_image_progress progress = {stage, job->id, job->number, (unsigned)load->n_layers, done,
                                         job->layer->piece.size};

    return box_load_tell(load, &progress, err);
}

static int check(void *data, box_error **err)
{
    struct job *job = data;

    return box_pull_check(job->pull, err);
}

static int layer_tick(void *data, uint64_t read, box_error **err)
{
    struct job *job = data;

    if (read < job->reported + REPORT_EVERY && read > 0)
        return 0;
    int r = box_pull_check(job->pull, err);
    if (r < 0 || read == 0)
        return r;
    job->reported = read;
    return tell(job, BOX_IMAGE_STAGE_LAYER, read, err);
}

/* ---- Fetching ---- */

static int fetch_tick(void *data, uint64_t present, box_error **err)
{
    struct job *job = data;
    int64_t now = box_clock_ns();

    if (!box_arrival_advance(&job->arrival, present))
        return box_fail(err, BOX_ECANCELLED, "nobody wants the blob any more");
    if (present < job->checked + CHECK_EVERY && now < job->checked_at + CHECK_AFTER)
        return 0;
    job->checked = present;
    job->checked_at = now;
    int r = box_pull_check(job->pull, err);
    if (r < 0 || (present < job->told + REPORT_EVERY && present < job->arrival.size))
        return r;
    job->told = present;
    return tell(job, BOX_IMAGE_STAGE_DOWNLOAD, present, err);
}

static void *fetch(void *data)
{
    struct job *job = data;
    struct box_remote *remote = job->pull->remote;
    box_error *why = NULL;
    struct stat st;
    int r = remote->blob(remote, &job->layer->blob, job->arrival.size, job->fd, job->arrival.present, fetch_tick, job,
                         &why);

    if (r == 0 && fstat(job->fd, &st) == 0 && (uint64_t)st.st_size >= job->arrival.size)
        box_arrival_advance(&job->arrival, job->arrival.size);
    if (r == 0)
        r = tell(job, BOX_IMAGE_STAGE_DOWNLOAD, job->arrival.present, &why);
    box_arrival_end(&job->arrival, r, why);
    return NULL;
}

/* The host's signals are none of the thread's business. Without a thread to be had the blob is fetched first, and
 * unpacked afterwards. */
static void start_fetching(struct job *job)
{
    sigset_t all, before;

    job->told = job->checked = job->arrival.present;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    job->fetching = pthread_create(&job->thread, NULL, fetch, job) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!job->fetching)
        fetch(job);
}

/* ---- A turn to unpack ---- */

static int take_turn(struct job *job, box_error **err)
{
    struct box_pull *pull = job->pull;
    int r = 0;

    pthread_mutex_lock(&pull->gate);
    while (r == 0 && pull->unpacking >= pull->unpacking_max) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += PATIENCE;
        until.tv_sec += until.tv_nsec / BOX_S;
        until.tv_nsec %= BOX_S;
        pthread_cond_timedwait(&pull->opened, &pull->gate, &until);
        r = box_pull_check(pull, err);
    }
    job->has_turn = r == 0;
    pull->unpacking += job->has_turn;
    pthread_mutex_unlock(&pull->gate);
    return r;
}

static void give_turn(struct job *job)
{
    struct box_pull *pull = job->pull;

    if (!job->has_turn)
        return;
    pthread_mutex_lock(&pull->gate);
    pull->unpacking--;
    pthread_cond_signal(&pull->opened);
    pthread_mutex_unlock(&pull->gate);
    job->has_turn = false;
}

/* ---- The blob ---- */

int box_pull_lock_blob(struct box_pull *pull, const struct box_digest *digest, box_error **err)
{
    for (;;) {
        box_error *why = NULL;
        int fd = box_store_lock_blob(pull->load.store, digest, box_deadline_in_ns(PATIENCE), &why);
        if (fd != BOX_EBUSY) {
            if (err)
                *err = why;
            else
                box_error_free(why);
            return fd;
        }
        box_error_free(why);
        int r = box_pull_check(pull, err);
        if (r < 0)
            return r;
    }
}

/* More than the manifest says cannot be a part of it. */
static int open_partial(struct job *job, uint64_t *present, box_error **err)
{
    struct stat st;

    job->fd = box_store_open_partial(job->pull->load.store, &job->layer->blob, err);
    if (job->fd < 0)
        return job->fd;
    if (fstat(job->fd, &st) < 0)
        return box_fail_sys(err, "fstat", job->id, "cannot look at a partial blob");
    if ((uint64_t)st.st_size > job->layer->piece.size) {
        if (ftruncate(job->fd, 0) < 0)
            return box_fail_sys(err, "ftruncate", job->id, "cannot throw a partial blob away");
        st.st_size = 0;
    }
    *present = (uint64_t)st.st_size;
    return 0;
}

/* 1: the store has the blob; 0: it is on its way, or failed already, which the reader will see. */
static int arrange(struct job *job, box_error **err)
{
    uint64_t present = 0, kept = 0;
    int r = job->lock = box_pull_lock_blob(job->pull, &job->layer->blob, err);

    if (r < 0)
        return r;
    r = box_store_find_blob(job->pull->load.store, &job->layer->blob, &kept, NULL);
    if (r == 1 && kept == job->layer->piece.size)
        return 1;
    r = open_partial(job, &present, err);
    if (r < 0)
        return r;
    job->suspect = present > 0;
    box_arrival_init(&job->arrival, job->fd, job->layer->piece.size, present);
    job->opened = true;
    if (present < job->layer->piece.size)
        start_fetching(job);
    else
        box_arrival_end(&job->arrival, 0, NULL);
    return 0;
}

static struct box_source *open_blob(void *data, box_error **err)
{
    struct job *job = data;
    int kept = arrange(job, err);

    if (kept < 0 || take_turn(job, err) < 0)
        return NULL;
    job->suspect |= kept > 0;
    return kept ? box_store_blob_source(job->pull->load.store, &job->layer->blob, NULL, err)
                : box_source_arriving(&job->arrival, check, job, err);
}

static void stop_blob(void *data)
{
    struct job *job = data;

    if (job->opened)
        box_arrival_abandon(&job->arrival);
}

/* What was copied in less room takes the place of the file that was fetched. */
static int blob_is_right(void *data, bool copied, box_error **err)
{
    struct job *job = data;
    const box_store *store = job->pull->load.store;

    if (!job->opened) /* it was in the store */
        return 0;
    if (copied)
        return box_store_drop_partial(store, &job->layer->blob, err);
    return box_store_finish_partial(store, &job->layer->blob, err);
}

static void close_blob(struct job *job)
{
    stop_blob(job);
    if (job->fetching)
        pthread_join(job->thread, NULL);
    if (job->opened)
        box_arrival_clear(&job->arrival);
    box_cleanup_close(&job->fd);
    if (job->lock >= 0)
        box_store_unlock_blob(job->pull->load.store, &job->layer->blob, job->lock);
    give_turn(job);
    job->lock = job->fd = -1;
    job->opened = job->fetching = false;
}

/* ---- The layer ---- */

static bool is_about_content(int code)
{
    return code == BOX_EPARSE || code == BOX_EDIGEST || code == BOX_EESCAPE || code == BOX_ELIMIT ||
           code == BOX_EUNSUPPORTED || code == BOX_ECORRUPT || code == BOX_EINVAL;
}

/* With the blob's lock held: whatever the store has of the blob is wrong. */
static void discard(struct job *job)
{
    if (job->lock < 0)
        return;
    box_store_drop_partial(job->pull->load.store, &job->layer->blob, NULL);
    box_store_discard_blob(job->pull->load.store, &job->layer->blob);
}

static int attempt(struct job *job, box_error **err)
{
    struct load *load = &job->pull->load;
    const struct box_layer_input input = {.fd = -1,
                                          .open = open_blob,
                                          .stop = stop_blob,
                                          .right = blob_is_right,
                                          .open_data = job,
                                          .size = job->layer->piece.size,
                                          .blob = &job->layer->blob,
                                          .keep = load->keeps_blobs,
                                          .limits = &load->limits,
                                          .tick = layer_tick,
                                          .tick_data = job};
    int r = box_layer_make(&load->work, &input, &job->layer->id, err);

    if (r < 0 && is_about_content(r))
        discard(job);
    close_blob(job);
    return r;
}

static int make_layer(void *data, struct box_workqueue *queue, box_error **err)
{
    struct job *job = data;
    struct load_layer *layer = job->layer;
    box_error *why = NULL;
    int r = attempt(job, &why);

    (void)queue;
    if (r < 0 && is_about_content(r) && job->suspect) {
        box_error_free(why);
        why = NULL;
        job->suspect = false;
        job->reported = 0;
        r = box_layer_clear(&job->pull->load.work, &layer->id, &why);
        r = r < 0 ? r : attempt(job, &why);
    }
    layer->pending = r == BOX_LAYER_PENDING;
    if (r >= 0)
        r = tell(job, r == BOX_LAYER_KEPT ? BOX_IMAGE_STAGE_KEPT : BOX_IMAGE_STAGE_LAYER, layer->piece.size, &why);
    if (err)
        *err = why;
    else
        box_error_free(why);
    return r < 0 ? box_fail_wrap(err, r, "layer %s", job->id) : 0;
}

static struct job *new_job(struct box_pull *pull, size_t number)
{
    struct job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->pull = pull;
    job->layer = &pull->load.layers[number];
    job->number = (unsigned)number;
    job->lock = job->fd = -1;
    box_digest_format(&job->layer->id.diff_id, job->id);
    return job;
}

int box_pull_layers(struct box_pull *pull, box_error **err)
{
    unsigned parallel = pull->remote->parallel ? pull->remote->parallel : 1;
    size_t n = pull->load.n_layers;

    parallel = parallel > 16 ? 16 : parallel;
    parallel = n < parallel ? (unsigned)n : parallel;
    _cleanup_(box_workqueue) struct box_workqueue *queue = box_workqueue_new(parallel ? parallel : 1, 16, err);
    int r = queue ? 0 : BOX_ENOMEM;
    pull->queue = queue;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct job *job = new_job(pull, i);
        if (!job)
            r = box_fail_nomem(err);
        else if (box_workqueue_submit(queue, make_layer, job, free, NULL) < 0)
            break; /* something has failed: waiting tells what */
    }
    if (r < 0 && queue)
        box_workqueue_cancel(queue);
    int waited = queue ? box_workqueue_wait(queue, r < 0 ? NULL : err) : 0;
    pull->queue = NULL;
    return r < 0 ? r : waited;
}
