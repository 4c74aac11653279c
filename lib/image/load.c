/* Loading images from an archive: find them, have their layers side by side, make them visible all at once.
 */
#include "image/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "base/workqueue.h"
#include "image/reference.h"
#include "image/store_collect.h"
#include "image/unpack.h"

/* Bytes of an archive between two reports. */
#define REPORT_EVERY (1u << 20)

int box_load_init(struct load *load, box_store *store, const box_image_options *options, box_error **err)
{
    *load = (struct load){.store = store, .work = BOX_STORE_WORK_NONE, .mutex = PTHREAD_MUTEX_INITIALIZER};
    if (options)
        load->options = *options;
    if (!store || (options && options->version != 1))
        return box_fail(err, BOX_EINVAL, "a store is needed, and options of version 1");
    load->limits = box_image_limits_or_default(load->options.limits);
    load->keeps_blobs = box_store_keeps_blobs(store);
    return box_store_work_begin(store, &load->work, err);
}

static void image_clear(struct load_image *image)
{
    box_strv_free(image->names);
    free(image->manifest_json);
    free(image->config_json);
    free(image->media_type);
    free(image->layers);
    free(image->blobs);
}

void box_load_clear(struct load *load)
{
    for (size_t i = 0; i < load->n_images; i++)
        image_clear(&load->images[i]);
    for (size_t i = 0; i < load->n_layers; i++)
        box_piece_close(&load->layers[i].piece);
    free(load->images);
    free(load->layers);
    box_bundle_free(load->bundle);
    box_store_work_end(&load->work);
    pthread_mutex_destroy(&load->mutex);
}

/* ---- Progress ---- */

int box_load_tell(struct load *load, const box_image_progress *progress, box_error **err)
{
    if (!load->options.progress)
        return 0;
    pthread_mutex_lock(&load->mutex);
    if (!load->cancelled)
        load->cancelled = load->options.progress(progress, load->options.progress_data) != 0;
    bool cancelled = load->cancelled;
    pthread_mutex_unlock(&load->mutex);
    return cancelled ? box_fail(err, BOX_ECANCELLED, "cancelled") : 0;
}

int box_load_tick(void *data, uint64_t read, box_error **err)
{
    const box_image_progress progress = {.stage = BOX_IMAGE_STAGE_READ, .object = "", .done = read};

    return box_load_tell(data, &progress, err);
}

/* ---- Layers ---- */

struct job {
    struct load *load;
    struct load_layer *layer;
    unsigned number; /* of the layer, from 0 */
    char id[BOX_DIGEST_TEXT];
    uint64_t reported;
    struct box_workqueue *queue;
};

static int tell_layer(struct job *job, enum box_image_stage stage, uint64_t done, box_error **err)
{
    const box_image_progress progress = {
        stage, job->id, job->number, (unsigned)job->load->n_layers, done, job->layer->piece.size};

    return box_load_tell(job->load, &progress, err);
}

static int layer_tick(void *data, uint64_t read, box_error **err)
{
    struct job *job = data;

    if (box_workqueue_stopping(job->queue))
        return box_fail(err, BOX_ECANCELLED, "another layer has failed");
    if (read < job->reported + REPORT_EVERY && read > 0)
        return 0;
    job->reported = read;
    return tell_layer(job, BOX_IMAGE_STAGE_LAYER, read, err);
}

static int make_layer(void *data, struct box_workqueue *queue, box_error **err)
{
    struct job *job = data;
    struct load_layer *layer = job->layer;
    const struct box_layer_input input = {.fd = layer->piece.fd,
                                          .offset = layer->piece.offset,
                                          .size = layer->piece.size,
                                          .blob = &layer->blob,
                                          .keep = job->load->keeps_blobs,
                                          .limits = &job->load->limits,
                                          .tick = layer_tick,
                                          .tick_data = job};

    job->queue = queue;
    int r = box_layer_make(&job->load->work, &input, &layer->id, err);
    layer->pending = r == BOX_LAYER_PENDING;
    if (r >= 0)
        r = tell_layer(job, r == BOX_LAYER_KEPT ? BOX_IMAGE_STAGE_KEPT : BOX_IMAGE_STAGE_LAYER,
                       layer->piece.size, err);
    return r < 0 ? box_fail_wrap(err, r, "layer %s", job->id) : 0;
}

static int make_layers(struct load *load, box_error **err)
{
    _cleanup_(box_workqueue) struct box_workqueue *queue = box_workqueue_new(load->options.threads, 16, err);
    int r = queue ? 0 : BOX_ENOMEM;

    for (size_t i = 0; r == 0 && i < load->n_layers; i++) {
        struct job *job = calloc(1, sizeof(*job));
        if (!job)
            return box_fail_nomem(err);
        job->load = load;
        job->layer = &load->layers[i];
        job->number = (unsigned)i;
        box_digest_format(&load->layers[i].id.diff_id, job->id);
        if (box_workqueue_submit(queue, make_layer, job, free, NULL) < 0)
            break; /* something has failed: waiting tells what */
    }
    return r < 0 ? r : box_workqueue_wait(queue, err);
}

static struct load_layer *find_layer(const struct load *load, const struct box_layer_id *id)
{
    for (size_t i = 0; i < load->n_layers; i++)
        if (box_layer_id_equal(&load->layers[i].id, id))
            return &load->layers[i];
    return NULL;
}

/* From the bottom up, since a layer may take over what the one below it has just taken over. */
int box_load_inherit_all(struct load *load, box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < load->n_images; i++)
        for (size_t j = 0; r == 0 && j < load->images[i].n_layers; j++) {
            struct load_layer *layer = find_layer(load, &load->images[i].layers[j]);
            if (!layer || !layer->pending)
                continue;
            r = box_layer_inherit(&load->work, load->images[i].layers, j, err);
            layer->pending = false;
        }
    return r;
}

/* ---- Loading ---- */

static int rename_only_image(struct load *load, box_error **err)
{
    _reference_ struct box_reference reference = {0};

    if (!load->options.name)
        return 0;
    if (load->n_images != 1)
        return box_fail(err, BOX_EINVAL, "the archive has %zu images, which cannot all be given the name %s",
                        load->n_images, load->options.name);
    int r = box_reference_read(load->options.name, &reference, err);
    if (r == 0 && reference.digest)
        r = box_fail(err, BOX_EINVAL, "an image cannot be given a name with a digest: %s",
                     load->options.name);
    if (r < 0)
        return r;
    box_strv_free(load->images[0].names);
    load->images[0].names = NULL;
    return box_strv_append_take(&load->images[0].names, box_reference_full(&reference)) < 0
               ? box_fail_nomem(err)
               : 0;
}

static int load_bundle(struct load *load, box_image_list **images, box_error **err)
{
    int r = box_load_find(load, err);

    if (r == 0)
        r = rename_only_image(load, err);
    if (r == 0)
        r = box_load_need_all(load, err);
    if (r == 0)
        r = make_layers(load, err);
    if (r == 0)
        r = box_load_inherit_all(load, err);
    return r < 0 ? r : box_load_commit(load, images, err);
}

/* What a failed load has unpacked is of no use to anybody. What a failed pull has fetched is, to the next one; but not
 * on a full disk. */
int box_load_finish(struct load *load, int r)
{
    box_store *store = load->store;
    bool begun = load->work.store;

    box_load_clear(load);
    if (r < 0 && begun)
        box_store_collect_with(store, r == BOX_ENOSPACE ? 0 : BOX_COLLECT_KEEP_PARTIAL, NULL, NULL);
    return r;
}

int box_image_load(box_store *store, const char *path, const box_image_options *options,
                   box_image_list **images, box_error **err)
{
    struct load load;
    int r = box_load_init(&load, store, options, err);

    if (r == 0 && !path)
        r = box_fail(err, BOX_EINVAL, "box_image_load: path must not be NULL");
    if (r == 0)
        r = box_bundle_open(&load.work, path, &load.limits, box_load_tick, &load, &load.bundle, err);
    if (r == 0)
        r = load_bundle(&load, images, err);
    r = box_load_finish(&load, r);
    return r < 0 ? box_fail_wrap(err, r, "load") : 0;
}

int box_image_load_fd(box_store *store, int fd, const box_image_options *options, box_image_list **images,
                      box_error **err)
{
    struct load load;
    int r = box_load_init(&load, store, options, err);

    if (r == 0)
        r = box_bundle_open_fd(&load.work, fd, &load.limits, box_load_tick, &load, &load.bundle, err);
    if (r == 0)
        r = load_bundle(&load, images, err);
    r = box_load_finish(&load, r);
    return r < 0 ? box_fail_wrap(err, r, "load") : 0;
}
