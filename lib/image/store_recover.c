/* After the machine went down: images that were committed late and never settled.
 *
 * Of such an image nothing was synced, though mostly all of it was written: after a clean shutdown, or when the kernel
 * had the half minute that it takes. So everything is looked at: the documents and the blobs are held against their
 * digests, and layers, whose files cannot be, are unpacked again from the blobs. An image that is whole then gets its
 * name for good. One that is not is as if it had never been pulled; what it took goes with the next collection.
 *
 * Whoever opens the store first does this, and others wait for it. A kill leaves images.late as it is, and so does an
 * error of the system's, a full disk for one: the next to open the store tries again. */
#include "image/store_late.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strings.h"
#include "image/image.h"
#include "image/source.h"
#include "image/store_blob.h"
#include "image/store_mend.h"

#define LOCK     "images.late.lock"
#define PATIENCE (120 * 1000) /* ms that others wait */

struct recovery {
    box_store *store;
    struct box_store_work work;
    char boot[40]; /* the one that the images are of */
    struct box_index late, whole;
};

/* 1: images of another boot are there. Where nothing can be read of them, late stays empty. */
static int read_late(struct recovery *recovery)
{
    const box_store *store = recovery->store;
    _free_ char *text = NULL;
    size_t length = 0;
    int r = box_file_read(store->rootfd, BOX_LATE_FILE, BOX_INDEX_MAX, &text, &length, NULL);

    if (r == BOX_ELIMIT)
        return 1;
    if (r < 0)
        return 0;
    box_index_clear(&recovery->late);
    if (box_index_parse(text, length, &recovery->late, recovery->boot, NULL) < 0)
        return 1;
    if (strspn(recovery->boot, "0123456789abcdef-") != strlen(recovery->boot))
        box_index_clear(&recovery->late); /* no boot has such an id */
    return strcmp(recovery->boot, store->boot) != 0;
}

/* ---- One image ---- */

static bool reads_right(const box_store *store, const struct box_digest *blob)
{
    struct box_source *source = box_store_blob_source(store, blob, NULL, NULL);
    const void *data;
    size_t length = 1;
    int r = source ? 0 : BOX_ENOTFOUND;

    while (r == 0 && length > 0)
        r = box_source_read(source, &data, &length, NULL);
    if (source)
        box_source_free(source);
    return r == 0;
}

/* A blob that was whole before the machine went down is believed again if its bytes are right; but not where there is
 * a right one, whose place it would take. */
static int take_blob(struct recovery *recovery, const struct box_digest *blob, box_error **err)
{
    const box_store *store = recovery->store;
    int r = box_store_work_need(&recovery->work, "blob", blob, err);

    if (r < 0)
        return r;
    if (reads_right(store, blob))
        box_store_drop_of_boot(store, blob, recovery->boot);
    else if (box_store_adopt_blob(store, blob, recovery->boot) && !reads_right(store, blob))
        box_store_discard_blob(store, blob);
    return 0;
}

static bool has_layers(const box_store *store, const struct box_image_references *refs)
{
    _free_ struct box_layer_id *ids = NULL;
    bool all = box_layer_ids(refs->diff_ids, refs->n_diff_ids, &ids, NULL) == 0;

    for (size_t i = 0; all && i < refs->n_diff_ids; i++)
        all = box_store_find_layer(store, &ids[i], NULL, NULL, NULL) == 1;
    return all;
}

static int recover_image(struct recovery *recovery, const struct box_index_entry *entry, box_error **err)
{
    struct box_image_references refs = {0};
    int r = box_store_work_need(&recovery->work, "blob", &entry->manifest, err);

    if (r == 0 && box_image_references(recovery->store, &entry->manifest, &refs, NULL) == 0) {
        r = take_blob(recovery, &refs.config, err);
        for (size_t i = 0; r == 0 && i < refs.n_blobs; i++)
            r = take_blob(recovery, &refs.blobs[i], err);
        if (r == 0)
            r = box_store_mend(&recovery->work, &entry->manifest, NULL, NULL, err);
        if (r == 0 && has_layers(recovery->store, &refs))
            r = box_index_add(&recovery->whole, entry, entry->name, err);
    }
    box_image_references_clear(&refs);
    return r;
}

/* ---- All of them ---- */

/* What images.json has is on disk already. */
static int recover_images(struct recovery *recovery, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(recovery->store, &index, err);

    for (size_t i = 0; r == 0 && i < recovery->late.n; i++) {
        const struct box_index_entry *entry = &recovery->late.entries[i];
        const struct box_index_entry *had = entry->name ? box_index_find(&index, entry->name) : NULL;
        if (had ? box_digest_equal(&had->manifest, &entry->manifest)
                : !entry->name && box_index_find_id(&index, &entry->id) != NULL)
            continue;
        r = recover_image(recovery, entry, err);
    }
    return r;
}

static int finish(struct recovery *recovery, box_error **err)
{
    _index_ struct box_index index = {0};
    _store_unlock_ int lock = box_store_lock(recovery->store, BOX_LOCK_EXCLUSIVE, err);
    int r = lock < 0 ? lock : box_index_read(recovery->store, &index, err);

    for (size_t i = 0; r == 0 && i < recovery->whole.n; i++)
        r = box_index_add(&index, &recovery->whole.entries[i], recovery->whole.entries[i].name, err);
    return r < 0 ? r : box_late_settle_as(recovery->store, &index, err);
}

void box_store_recover(box_store *store)
{
    struct recovery recovery = {.store = store, .work = BOX_STORE_WORK_NONE};

    if (!store->boot[0] || faccessat(store->rootfd, BOX_LATE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0 || !read_late(&recovery)) {
        box_index_clear(&recovery.late);
        return;
    }
    int lock = box_lock_take(store->rootfd, LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(PATIENCE), NULL);
    if (lock >= 0 && read_late(&recovery)) { /* nobody else was quicker */
        int r = box_store_work_begin(store, &recovery.work, NULL);
        if (r == 0)
            r = recover_images(&recovery, NULL);
        if (r == 0)
            finish(&recovery, NULL);
        box_store_work_end(&recovery.work);
    }
    if (lock >= 0)
        box_lock_remove(store->rootfd, LOCK, lock);
    box_index_clear(&recovery.late);
    box_index_clear(&recovery.whole);
}
