/* What images take on disk, and how much of it no container needs. */
#include "image/image.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "image/store_needed.h"

struct tally {
    const box_store *store;
    const struct box_store_needed *pinned;
    box_store_usage *usage;
};

static void count(struct tally *tally, uint64_t bytes, bool pinned)
{
    tally->usage->bytes += bytes;
    tally->usage->reclaimable += pinned ? 0 : bytes;
}

static int add_layers(struct tally *tally, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(tally->store->layersfd);

    if (!dir)
        return box_fail_sys(err, "opendir", tally->store->root, "cannot read the store's layers");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct box_layer_record record;
        if (box_layer_name_parse(e->d_name, NULL) && box_store_look_at_layer(tally->store, e->d_name, &record, NULL) == 1)
            count(tally, record.bytes, box_store_needs_layer(tally->pinned, e->d_name));
    }
    return 0;
}

/* Partial ones are nobody's until their pull has ended. */
static int add_blobs(struct tally *tally, int dirfd, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(dirfd);

    if (!dir)
        return box_fail_sys(err, "opendir", tally->store->root, "cannot read the store's blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char hex[BOX_STORE_HEX];
        struct stat st;
        if (strlen(e->d_name) < BOX_STORE_HEX - 1 || fstatat(dirfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        snprintf(hex, sizeof(hex), "%.64s", e->d_name);
        count(tally, (uint64_t)st.st_blocks * 512, box_store_needs_blob(tally->pinned, hex));
    }
    return 0;
}

/* Images whose manifest's blob is pinned are in use. */
static void add_images(struct tally *tally, const struct box_index *index)
{
    for (size_t i = 0; i < index->n; i++) {
        char hex[BOX_DIGEST_TEXT];
        if (box_index_find_id(index, &index->entries[i].id) != &index->entries[i])
            continue;
        tally->usage->count++;
        tally->usage->active += box_store_needs_blob(tally->pinned, box_digest_hex(&index->entries[i].id, hex));
    }
}

int box_image_usage(box_store *store, box_store_usage *usage, box_error **err)
{
    _needed_ struct box_store_needed pinned = {0};
    _index_ struct box_index index = {0};

    if (!store || !usage)
        return box_fail(err, BOX_EINVAL, "box_image_usage: arguments must not be NULL");
    *usage = (box_store_usage){0};
    struct tally tally = {store, &pinned, usage};
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int r = box_index_read(store, &index, err);
    if (r == 0)
        r = box_store_find_pinned(store, &pinned, err);
    if (r == 0)
        r = add_layers(&tally, err);
    if (r == 0)
        r = add_blobs(&tally, store->blobsfd, err);
    if (r == 0 && store->partialfd >= 0)
        r = add_blobs(&tally, store->partialfd, err);
    if (r == 0)
        add_images(&tally, &index);
    return r;
}
