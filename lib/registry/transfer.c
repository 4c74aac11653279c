/* Blobs on their way into a repository, several at once. A blob that a manifest names twice is sent once. */
#include "registry/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/workqueue.h"

#define REPORT_EVERY (1u << 20)

struct job {
    struct box_transfer_blob *blob;
    struct box_workqueue *queue;
    uint64_t reported;
};

int box_transfer_tell(struct box_transfer *transfer, const box_image_progress *progress, box_error **err)
{
    if (!transfer->options.progress)
        return 0;
    pthread_mutex_lock(&transfer->mutex);
    if (!transfer->cancelled)
        transfer->cancelled = transfer->options.progress(progress, transfer->options.progress_data) != 0;
    bool cancelled = transfer->cancelled;
    pthread_mutex_unlock(&transfer->mutex);
    return cancelled ? box_fail(err, BOX_ECANCELLED, "cancelled") : 0;
}

static int tell(struct job *job, enum box_image_stage stage, uint64_t done, box_error **err)
{
    struct box_transfer *transfer = job->blob->transfer;
    const box_image_progress progress = {stage, job->blob->object, job->blob->number, transfer->blobs, done,
                                         job->blob->link->size};

    return box_transfer_tell(transfer, &progress, err);
}

/* The upload's callbacks have the job; the blob's own have the blob. */
static int open_blob(void *data, box_error **err)
{
    struct box_transfer_blob *blob = ((struct job *)data)->blob;

    return blob->transfer->open ? blob->transfer->open(blob, err) : 0;
}

static ssize_t read_blob(void *data, uint64_t offset, void *buffer, size_t n, box_error **err)
{
    struct box_transfer_blob *blob = ((struct job *)data)->blob;

    return blob->transfer->read(blob, offset, buffer, n, err);
}

static int tick(void *data, uint64_t sent, box_error **err)
{
    struct job *job = data;

    if (box_workqueue_stopping(job->queue))
        return box_fail(err, BOX_ECANCELLED, "another blob has failed");
    if (sent > job->reported && sent < job->reported + REPORT_EVERY && sent < job->blob->link->size)
        return 0;
    job->reported = sent;
    return tell(job, BOX_IMAGE_STAGE_LAYER, sent, err);
}

static int send_blob(void *data, struct box_workqueue *queue, box_error **err)
{
    struct job *job = data;
    struct box_transfer_blob *blob = job->blob;
    struct box_target target = blob->transfer->target; /* `reached` is each thread's own */
    const struct box_upload upload = {.repository = blob->transfer->repository,
                                      .digest = &blob->link->digest,
                                      .size = blob->link->size,
                                      .mounts = blob->mounts,
                                      .open = open_blob,
                                      .read = read_blob,
                                      .tick = tick,
                                      .data = job};

    job->queue = queue;
    int r = tell(job, BOX_IMAGE_STAGE_LAYER, 0, err);
    if (r == 0)
        r = box_upload_blob(&blob->transfer->call, &target, &upload, err);
    if (blob->transfer->close)
        blob->transfer->close(blob);
    if (r < 0)
        return box_fail_wrap(err, r, "blob %s", blob->object);
    return tell(job, r == BOX_UPLOAD_SENT ? BOX_IMAGE_STAGE_LAYER : BOX_IMAGE_STAGE_KEPT, blob->link->size, err);
}

static bool came_before(const struct box_transfer_blob *blobs, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (box_digest_equal(&blobs[j].link->digest, &blobs[i].link->digest))
            return true;
    return false;
}

int box_transfer_blobs(struct box_transfer *transfer, struct box_transfer_blob *blobs, size_t n, box_error **err)
{
    _cleanup_(box_workqueue) struct box_workqueue *queue =
        box_workqueue_new(transfer->call.registry->parallel, 16, err);
    int r = queue ? 0 : BOX_ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        if (blobs[i].link->foreign || came_before(blobs, i))
            continue;
        struct job *job = calloc(1, sizeof(*job));
        if (!job)
            return box_fail_nomem(err);
        job->blob = &blobs[i];
        if (box_workqueue_submit(queue, send_blob, job, free, NULL) < 0)
            break; /* something has failed: waiting tells what */
    }
    return r < 0 ? r : box_workqueue_wait(queue, err);
}
