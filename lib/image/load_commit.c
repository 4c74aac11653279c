/* The moment at which images become visible: everything that they need is on disk and synced, then one rename
 * of the index gives them their names. Or, late, everything is there, and gets synced afterwards: store_late.h. */
#include "image/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/store_late.h"

int box_load_need_all(struct load *load, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < load->n_layers; i++)
        r = box_store_work_need(&load->work, "layer", &load->layers[i].id.diff_id, err);
    for (size_t i = 0; r == 0 && i < load->n_images; i++) {
        r = box_store_work_need(&load->work, "blob", &load->images[i].manifest, err);
        if (r == 0)
            r = box_store_work_need(&load->work, "blob", &load->images[i].config, err);
        for (size_t j = 0; r == 0 && j < load->images[i].n_layers; j++)
            r = box_store_work_need(&load->work, "blob", &load->images[i].blobs[j], err);
    }
    return r;
}

/* What is to last: layers and their blobs. */
struct lasting {
    char (*names)[BOX_LAYER_NAME];
    size_t n_names, names_capacity;
    struct box_digest *blobs;
    size_t n_blobs, blobs_capacity;
};

static void lasting_clear(struct lasting *lasting)
{
    free(lasting->names);
    free(lasting->blobs);
}
#define _lasting_ __attribute__((cleanup(lasting_clear)))

static int add_blob(struct lasting *lasting, const struct box_digest *digest, box_error **err)
{
    struct box_digest *blob = box_array_add(&lasting->blobs, &lasting->n_blobs, &lasting->blobs_capacity);

    if (!blob)
        return box_fail_nomem(err);
    *blob = *digest;
    return 0;
}

static int add_lasting(struct load *load, const struct load_image *image, struct lasting *lasting, box_error **err)
{
    int r = add_blob(lasting, &image->config, err); /* a pull fetches it as a blob */

    for (size_t i = 0; r >= 0 && i < image->n_layers; i++) {
        char(*name)[BOX_LAYER_NAME] = box_array_add(&lasting->names, &lasting->n_names, &lasting->names_capacity);
        if (!name)
            return box_fail_nomem(err);
        r = box_store_find_layer(load->store, &image->layers[i], *name, NULL, err);
        if (r == 0)
            r = box_fail(err, BOX_ECORRUPT, "a layer has vanished from the store");
        if (r > 0 && load->keeps_blobs)
            r = add_blob(lasting, &image->blobs[i], err);
    }
    return r < 0 ? r : 0;
}

static int make_durable(struct load *load, box_error **err)
{
    const box_image_progress progress = {.stage = BOX_IMAGE_STAGE_SYNC, .object = ""};
    _lasting_ struct lasting lasting = {0};
    int r = box_load_tell(load, &progress, err);

    for (size_t i = 0; r == 0 && i < load->n_images; i++)
        r = add_lasting(load, &load->images[i], &lasting, err);
    if (r == 0)
        r = box_store_settle(load->store, lasting.names, lasting.n_names, lasting.blobs, lasting.n_blobs, err);
    return r;
}

static int stage_blobs(struct load *load, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < load->n_images; i++) {
        const struct load_image *image = &load->images[i];
        r = box_store_stage_blob(&load->work, &image->manifest, image->manifest_json, image->manifest_length,
                                 load->late, err);
        if (r == 0)
            r = box_store_stage_blob(&load->work, &image->config, image->config_json, image->config_length,
                                     load->late, err);
    }
    return r;
}

static bool staged_before(const struct load *load, size_t image, const struct box_digest *blob)
{
    for (size_t i = 0; i < image; i++)
        if (box_digest_equal(&load->images[i].manifest, blob) ||
            box_digest_equal(&load->images[i].config, blob))
            return true;
    return false;
}

/* Two images of an archive may share a config; a blob that was renamed is not in the workplace any more. */
static int publish_blobs(struct load *load, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < load->n_images; i++) {
        const struct load_image *image = &load->images[i];
        if (!staged_before(load, i, &image->config))
            r = box_store_publish_blob(&load->work, &image->config, load->late, err);
        if (r == 0 && !staged_before(load, i, &image->manifest))
            r = box_store_publish_blob(&load->work, &image->manifest, load->late, err);
    }
    return r;
}

static int add_to_index(struct load *load, struct box_index *index, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < load->n_images; i++) {
        const struct load_image *image = &load->images[i];
        const struct box_index_entry entry = {.media_type = image->media_type,
                                              .manifest = image->manifest,
                                              .id = image->config,
                                              .size = image->manifest_length};
        r = box_index_add(index, &entry, image->names ? image->names[0] : NULL, err);
        for (size_t j = 1; r == 0 && image->names && image->names[0] && image->names[j]; j++)
            r = box_index_add(index, &entry, image->names[j], err);
    }
    return r;
}

/* The images as they are now, for the caller. */
static int read_back(struct load *load, const struct box_index *index, box_image_list *list, box_error **err)
{
    for (size_t i = 0; i < load->n_images; i++) {
        const struct box_index_entry *entry = box_index_find_id(index, &load->images[i].config);
        struct box_index_entry own = {.manifest = load->images[i].manifest};
        box_image **slot = box_array_add(&list->images, &list->n, &list->capacity);
        if (!slot)
            return box_fail_nomem(err);
        if (box_index_find_manifest(index, &own.manifest))
            entry = box_index_find_manifest(index, &own.manifest);
        int r = box_image_read(load->store, index, entry, slot, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int tell_finished(struct load *load, const box_image_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        const box_image_progress progress = {.stage = BOX_IMAGE_STAGE_FINISHED,
                                             .object = list->images[i]->id};
        box_load_tell(load, &progress, NULL); /* too late to cancel */
    }
    return 0;
}

int box_load_commit(struct load *load, box_image_list **out, box_error **err)
{
    _cleanup_(box_image_list) box_image_list *list = calloc(1, sizeof(*list));
    _index_ struct box_index index = {0};

    load->late = load->late && load->keeps_blobs && box_late_possible(load->store);
    int r = list ? stage_blobs(load, err) : box_fail_nomem(err);
    if (r == 0 && !load->late)
        r = make_durable(load, err);
    if (r < 0)
        return r;
    _store_unlock_ int lock = box_store_lock(load->store, BOX_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    r = publish_blobs(load, err);
    if (r == 0)
        r = box_index_read(load->store, &index, err);
    if (r == 0)
        r = add_to_index(load, &index, err);
    if (r == 0)
        r = load->late ? box_late_write(load->store, &index, err) : box_index_write(load->store, &index, err);
    if (r == 0)
        r = read_back(load, &index, list, err);
    box_store_unlock(&lock);
    if (r < 0)
        return r;
    tell_finished(load, list);
    if (out)
        *out = box_take(list);
    return 0;
}
