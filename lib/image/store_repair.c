/* Mending a store.
 *
 * In order: what is damaged is found, as box_store_verify() finds it; damaged layers and blobs are put aside, so that
 * they count as missing; layers are unpacked again from the blobs that are kept; an image that is still not whole loses
 * its place in the index, and everything that only it needed goes. A kill between any two of these leaves a store that
 * the next repair goes on with: what is put aside is missing, and what is missing is looked for.
 *
 * What a container holds is left as it is and told of: half of its files are worth more to it than none. */
#include "image/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "image/store_collect.h"
#include "image/store_mend.h"
#include "image/store_needed.h"

#define LAYERS "layers/"
#define BLOBS  "blobs/sha256/"

struct repair {
    box_store *store;
    struct box_store_work work;
    box_store_damage_fn *report;
    void *data;
    char **damaged; /* paths below the root */
    bool failed;    /* to note one of them: memory */
    size_t left;    /* what could not be mended */
};

static void tell(struct repair *repair, const char *what, const char *why)
{
    if (repair->report)
        repair->report(what, why, repair->data);
}

static void note(const char *what, const char *why, void *data)
{
    struct repair *repair = data;

    tell(repair, what, why);
    repair->failed |= box_strv_append(&repair->damaged, what) < 0;
}

/* ---- Putting aside ---- */

static int put_layer_aside(struct repair *repair, const struct box_store_needed *pinned, const char *path, box_error **err)
{
    const char *name = path + strlen(LAYERS);

    if (box_store_needs_layer(pinned, name)) {
        repair->left++;
        tell(repair, path, "a container uses it: remove the container, and repair again");
        return 0;
    }
    if (renameat(repair->store->layersfd, name, repair->work.fd, name) < 0 && errno != ENOENT)
        return box_fail_sys(err, "rename", name, "cannot put a damaged layer aside");
    return 0;
}

static int put_aside(struct repair *repair, box_error **err)
{
    _needed_ struct box_store_needed pinned = {0};
    _store_unlock_ int lock = box_store_lock(repair->store, BOX_LOCK_EXCLUSIVE, err);
    int r = lock < 0 ? lock : box_store_find_pinned(repair->store, &pinned, NULL);

    /* A pin whose own documents are damaged cannot say what it holds: then no layer is touched. */
    bool unknown = r < 0 && lock >= 0;
    for (char **path = repair->damaged; lock >= 0 && path && *path; path++) {
        if (strncmp(*path, BLOBS, strlen(BLOBS)) == 0)
            unlinkat(repair->store->blobsfd, *path + strlen(BLOBS), 0);
        else if (strncmp(*path, LAYERS, strlen(LAYERS)) == 0 && !unknown &&
                 (r = put_layer_aside(repair, &pinned, *path, err)) < 0)
            return r;
    }
    return lock < 0 ? lock : 0;
}

/* ---- Unpacking again ---- */

static int mend_images(struct repair *repair, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(repair->store, &index, err);

    for (size_t i = 0; r == 0 && i < index.n; i++)
        if (box_index_find_manifest(&index, &index.entries[i].manifest) == &index.entries[i])
            r = box_store_mend(&repair->work, &index.entries[i].manifest, 0, repair->report, repair->data, err);
    return r;
}

/* ---- What is beyond that ---- */

static int drop_broken(struct repair *repair, box_error **err)
{
    _index_ struct box_index index = {0};
    box_store_freed freed = {0};
    bool changed = false;
    _store_unlock_ int lock = box_store_lock(repair->store, BOX_LOCK_EXCLUSIVE, err);
    int r = lock < 0 ? lock : box_index_read(repair->store, &index, err);

    for (size_t i = 0; r == 0 && i < index.n;) {
        _cleanup_(box_image) box_image *image = NULL;
        const struct box_digest id = index.entries[i].id;
        char text[BOX_DIGEST_TEXT];
        int whole = box_image_read(repair->store, &index, &index.entries[i], &image, NULL);
        if (whole != BOX_ECORRUPT) {
            r = whole < 0 ? box_fail(err, whole, "an image cannot be read") : 0;
            i++;
            continue;
        }
        tell(repair, index.entries[i].name ? index.entries[i].name : box_digest_format(&id, text),
             "the image is gone from the store: pull or load it again");
        box_index_remove_id(&index, &id);
        changed = true;
        i = 0;
    }
    if (r == 0 && changed)
        r = box_index_write(repair->store, &index, err);
    if (r == 0) /* pins that cannot be read stop a collection, and are what is left */
        box_store_collect_locked(&repair->work, BOX_COLLECT_KEEP_PARTIAL, NULL, &freed, NULL);
    return r;
}

int box_store_repair(box_store *store, box_store_damage_fn *report, void *data, box_error **err)
{
    struct repair repair = {store, BOX_STORE_WORK_NONE, report, data, NULL, false, 0};

    if (!store)
        return box_fail(err, BOX_EINVAL, "box_store_repair: store must not be NULL");
    int r = box_store_verify(store, note, &repair, NULL);
    _strv_ char **damaged = repair.damaged;
    if (r == 0 || repair.failed)
        return repair.failed ? box_fail_nomem(err) : 0;
    if ((r = box_store_work_begin(store, &repair.work, err)) < 0)
        return r;
    if ((r = put_aside(&repair, err)) == 0 && (r = mend_images(&repair, err)) == 0)
        r = drop_broken(&repair, err);
    box_store_work_end(&repair.work);
    return r < 0 ? r : box_store_verify(store, NULL, NULL, err);
}
