/* What is still needed, taking away the rest, and checking that all of it is sound.
 *
 * The roots are the index, the containers' pins and the leases of living operations. With the store's lock
 * held exclusively everything that they reach is written down; layers that are not among it are renamed into
 * a workplace, which is quick, and deleted after the lock was let go. A kill in between leaves a workplace
 * for the next sweep. */
#include "image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/image.h"
#include "image/store_collect.h"

/* ---- A set of digests ---- */

struct set {
    char (*items)[BOX_LAYER_NAME];
    size_t n, capacity;
};

static int set_add(struct set *set, const char *name, box_error **err)
{
    if (strlen(name) >= BOX_LAYER_NAME)
        return 0; /* nothing of the store's has such a name */
    char(*slot)[BOX_LAYER_NAME] = box_array_add(&set->items, &set->n, &set->capacity);
    if (!slot)
        return box_fail_nomem(err);
    memcpy(*slot, name, strlen(name) + 1);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void set_sort(struct set *set)
{
    if (set->n)
        qsort(set->items, set->n, sizeof(*set->items), compare);
}

static bool set_has(const struct set *set, const char *name)
{
    return set->n && bsearch(name, set->items, set->n, sizeof(*set->items), compare);
}

struct needed {
    const box_store *store;
    struct set blobs, layers; /* names */
    struct set diff_ids;      /* of layers that a living operation wants, in whatever form */
};

static void needed_clear(struct needed *needed)
{
    free(needed->blobs.items);
    free(needed->layers.items);
    free(needed->diff_ids.items);
}

/* ---- What is reached ---- */

static int need_layers(struct needed *needed, const struct box_digest *diff_ids, size_t n, box_error **err)
{
    _free_ struct box_layer_id *ids = NULL;
    char name[BOX_LAYER_NAME];
    int r = box_layer_ids(diff_ids, n, &ids, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = set_add(&needed->layers, box_layer_name(&ids[i], false, name), err);
        if (r == 0)
            r = set_add(&needed->layers, box_layer_name(&ids[i], true, name), err);
    }
    return r;
}

static int need_manifest(struct needed *needed, const struct box_digest *manifest, box_error **err)
{
    _free_ struct box_digest *diff_ids = NULL;
    struct box_digest config;
    char hex[BOX_DIGEST_TEXT];
    size_t n = 0;
    int r = box_image_references(needed->store, manifest, &config, &diff_ids, &n, err);

    if (r == 0)
        r = set_add(&needed->blobs, box_digest_hex(manifest, hex), err);
    if (r == 0)
        r = set_add(&needed->blobs, box_digest_hex(&config, hex), err);
    return r < 0 ? r : need_layers(needed, diff_ids, n, err);
}

static int need_pin(const char *container, const struct box_digest *manifest, void *data, box_error **err)
{
    int r = need_manifest(data, manifest, err);

    return r < 0 ? box_fail_wrap(err, r, "container %s", container) : 0;
}

static int need_lease(const char *kind, const char *hex, void *data, box_error **err)
{
    struct needed *needed = data;

    return set_add(strcmp(kind, "layer") == 0 ? &needed->diff_ids : &needed->blobs, hex, err);
}

static int find_needed(const box_store *store, struct needed *needed, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(store, &index, err);

    needed->store = store;
    for (size_t i = 0; r == 0 && i < index.n; i++)
        if (box_index_find_manifest(&index, &index.entries[i].manifest) == &index.entries[i])
            r = need_manifest(needed, &index.entries[i].manifest, err);
    if (r == 0)
        r = box_store_each_pin(store, need_pin, needed, err);
    if (r == 0)
        r = box_store_each_need(store, need_lease, needed, err);
    if (r < 0)
        return r;
    set_sort(&needed->blobs);
    set_sort(&needed->layers);
    set_sort(&needed->diff_ids);
    return 0;
}

/* ---- Taking away ---- */

static DIR *open_dir(int dirfd)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir)
        box_cleanup_close(&fd);
    return dir;
}

static int collect_blobs(const box_store *store, const struct needed *needed, box_store_freed *freed,
                         box_error **err)
{
    _closedir_ DIR *dir = open_dir(store->blobsfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct stat st;
        bool is_blob = strlen(e->d_name) == BOX_STORE_HEX - 1;
        /* A blob is renamed into place under the lock that we hold, so a temporary name here is a dead one.
         */
        if (is_blob ? set_has(&needed->blobs, e->d_name) : !box_file_is_temporary(e->d_name))
            continue;
        if (fstatat(store->blobsfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (unlinkat(store->blobsfd, e->d_name, 0) < 0)
            return box_fail_sys(err, "unlink", e->d_name, "cannot remove a blob");
        freed->blobs += is_blob;
        freed->bytes += (uint64_t)st.st_size;
    }
    return 0;
}

static bool is_needed(const struct needed *needed, const char *layer)
{
    char hex[BOX_STORE_HEX];

    snprintf(hex, sizeof(hex), "%.64s", layer);
    return set_has(&needed->layers, layer) || set_has(&needed->diff_ids, hex);
}

/* Renames into the workplace what is not needed. A layer that is being made has a lease, and so is needed. */
static int collect_layers(struct box_store_work *work, const struct needed *needed,
                          struct box_layers_removed *removed, box_store_freed *freed, box_error **err)
{
    const box_store *store = work->store;
    _closedir_ DIR *dir = open_dir(store->layersfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's layers");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct box_layer_record record = {0};
        struct box_digest diff_id, *slot;
        if (!box_layer_name_parse(e->d_name, &diff_id) || is_needed(needed, e->d_name))
            continue;
        box_store_look_at_layer(store, e->d_name, &record, NULL);
        if (renameat(store->layersfd, e->d_name, work->fd, e->d_name) < 0)
            return box_fail_sys(err, "rename", e->d_name, "cannot remove a layer");
        freed->layers++;
        freed->bytes += record.bytes;
        slot = removed ? box_array_add(&removed->diff_ids, &removed->n, &removed->capacity) : NULL;
        if (removed && !slot)
            return box_fail_nomem(err);
        if (slot)
            *slot = diff_id;
    }
    return 0;
}

/* Locks of layers that nobody is making: their makers were killed. */
static void collect_locks(const box_store *store)
{
    _closedir_ DIR *dir = open_dir(store->layersfd);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        int fd =
            box_ends_with(e->d_name, ".lock")
                ? box_lock_take(store->layersfd, e->d_name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ns(0), NULL)
                : -1;
        if (fd >= 0)
            box_lock_remove(store->layersfd, e->d_name, fd);
    }
}

int box_store_collect_locked(struct box_store_work *work, struct box_layers_removed *removed,
                             box_store_freed *freed, box_error **err)
{
    struct needed needed = {0};
    int r = find_needed(work->store, &needed, err);

    if (r == 0)
        r = collect_layers(work, &needed, removed, freed, err);
    if (r == 0)
        r = collect_blobs(work->store, &needed, freed, err);
    if (r == 0)
        collect_locks(work->store);
    needed_clear(&needed);
    return r;
}

int box_store_collect(box_store *store, box_store_freed *freed, box_error **err)
{
    box_store_freed own = {0};

    if (!store)
        return box_fail(err, BOX_EINVAL, "box_store_collect: store must not be NULL");
    int r = box_store_sweep(store, &own.leftovers, err);
    if (r < 0)
        return r;
    _store_work_ struct box_store_work work = BOX_STORE_WORK_NONE;
    r = box_store_work_begin(store, &work, err);
    if (r < 0)
        return r;
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    r = box_store_collect_locked(&work, NULL, &own, err);
    box_store_unlock(&lock);
    box_store_work_end(&work);
    if (freed)
        *freed = own;
    return r;
}

/* ---- Verifying ---- */

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

static int check_blobs(struct check *check, box_error **err)
{
    _closedir_ DIR *dir = open_dir(check->store->blobsfd);

    if (!dir)
        return box_fail_sys(err, "opendir", check->store->root, "cannot read the store's blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        _cleanup_(box_error) box_error *why = NULL;
        _free_ char *data = NULL, *path = box_strf("blobs/sha256/%s", e->d_name);
        struct box_digest digest;
        size_t length;
        if (!path)
            return box_fail_nomem(err);
        if (strlen(e->d_name) == BOX_STORE_HEX - 1 && box_layer_name_parse(e->d_name, &digest) &&
            box_store_read_blob(check->store, &digest, &data, &length, &why) < 0)
            damage(check, path, box_error_message(why));
    }
    return 0;
}

/* Counts what lies below a directory, links not followed. */
static int count_tree(int dirfd, uint64_t *entries, unsigned depth)
{
    _closedir_ DIR *dir = open_dir(dirfd);

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
    _close_ int fd = openat(check->store->layersfd, diff, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || count_tree(fd, &entries, 4096) < 0)
        damage(check, path, "the layer's files cannot be read");
    else if (entries != record.entries)
        damage(check, path, "the layer does not hold as many files as were unpacked");
    return 0;
}

static int check_layers(struct check *check, box_error **err)
{
    _closedir_ DIR *dir = open_dir(check->store->layersfd);
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
