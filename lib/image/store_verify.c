/* Whether the store is sound: each thing is held against what it is named by. Nothing is changed. */
#include "image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "image/image.h"
#include "image/layer_erofs.h"
#include "image/source.h"

struct check {
    const box_store *store;
    box_store_damage_fn *report;
    void *data;
    size_t found;
};

static void damage(struct check *check, const char *what, const char *why)
{
    check->found++;
    if (check->report)
        check->report(what, why, check->data);
}

static int read_through(const box_store *store, const struct box_digest *digest, box_error **err)
{
    _cleanup_(box_source) box_source *source = box_store_blob_source(store, digest, NULL, err);
    const void *data;
    size_t length = 0;
    int r = source ? 0 : BOX_ECORRUPT;

    do
        r = r < 0 ? r : box_source_read(source, &data, &length, err);
    while (r == 0 && length > 0);
    return r;
}

/* What is kept as zstd cannot be looked at without libzstd, which is no damage. */
static int check_blobs(struct check *check, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(check->store->blobsfd);

    if (!dir)
        return box_fail_sys(err, "opendir", check->store->root, "cannot read the store's blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        _cleanup_(box_error) box_error *why = NULL;
        _free_ char *path = box_strf("blobs/sha256/%s", e->d_name);
        char hex[BOX_STORE_HEX];
        struct box_digest digest;
        snprintf(hex, sizeof(hex), "%.64s", e->d_name);
        if (!path)
            return box_fail_nomem(err);
        if (box_layer_name_parse(hex, &digest) && (!e->d_name[64] || strcmp(e->d_name + 64, ".zst") == 0) &&
            read_through(check->store, &digest, &why) < 0 && box_error_code(why) != BOX_ELIBRARY)
            damage(check, path, box_error_message(why));
    }
    return 0;
}

/* Counts what lies below a directory, links not followed. */
static int count_tree(int dirfd, uint64_t *entries, unsigned depth)
{
    _closedir_ DIR *dir = box_store_read_dir(dirfd);

    if (!dir)
        return -1;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        ++*entries;
        _close_ int below = openat(dirfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0 && (depth == 0 || count_tree(below, entries, depth - 1) < 0))
            return -1;
    }
    return 0;
}

static int check_layer(struct check *check, const char *name, box_error **err)
{
    struct box_layer_record record;
    uint64_t entries = 0;
    int r = box_store_look_at_layer(check->store, name, &record, err);
    _free_ char *path = box_strf("layers/%s", name);
    _free_ char *diff = box_strf("%s/diff", name);

    if (r < 0)
        return r;
    if (!path || !diff)
        return box_fail_nomem(err);
    if (r == 0) {
        damage(check, path,
               "the layer has no record, or was not written to disk before the machine went down");
        return 0;
    }
    if (record.image) {
        _cleanup_(box_error) box_error *why = NULL;
        if (box_layer_check_image(check->store, name, &record, &why) < 0)
            damage(check, path, box_error_message(why));
        return 0;
    }
    _close_ int fd = openat(check->store->layersfd, diff, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || count_tree(fd, &entries, 4096) < 0)
        damage(check, path, "the layer's files cannot be read");
    else if (entries != record.entries)
        damage(check, path, "the layer does not hold as many files as were unpacked");
    return 0;
}

static int check_layers(struct check *check, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(check->store->layersfd);
    int r = 0;

    if (!dir)
        return box_fail_sys(err, "opendir", check->store->root, "cannot read the store's layers");
    for (struct dirent *e = readdir(dir); r == 0 && e; e = readdir(dir))
        if (box_layer_name_parse(e->d_name, NULL))
            r = check_layer(check, e->d_name, err);
    return r;
}

static int check_images(struct check *check, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(check->store, &index, err);

    for (size_t i = 0; r == 0 && i < index.n; i++) {
        _cleanup_(box_error) box_error *why = NULL;
        _cleanup_(box_image) box_image *image = NULL;
        char id[BOX_DIGEST_TEXT];
        if (box_image_read(check->store, &index, &index.entries[i], &image, &why) < 0)
            damage(check,
                   index.entries[i].name ? index.entries[i].name
                                         : box_digest_format(&index.entries[i].id, id),
                   box_error_message(why));
    }
    return r;
}

int box_store_verify(box_store *store, box_store_damage_fn *report, void *data, box_error **err)
{
    struct check check = {store, report, data, 0};

    if (!store)
        return box_fail(err, BOX_EINVAL, "box_store_verify: store must not be NULL");
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    int r = check_images(&check, err);
    if (r == 0)
        r = check_blobs(&check, err);
    if (r == 0)
        r = check_layers(&check, err);
    if (r < 0 || check.found == 0)
        return r;
    struct box_fail_info info = {.code = BOX_ECORRUPT,
                                 .subject = store->root,
                                 .remedy = "remove the images concerned and load them again"};
    return box_fail_with(err, &info, "%zu things in the store %s are damaged", check.found, store->root);
}
