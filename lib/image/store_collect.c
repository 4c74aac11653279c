/* Taking away what is no longer needed.
 *
 * With the store's lock held exclusively everything that is needed is written down (store_needed.c); layers that are not
 * among it are renamed into a workplace, which is quick, and deleted after the lock was let go. A kill in between leaves
 * a workplace for the next sweep. */
#include "image/store_collect.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/store_late.h"
#include "image/store_needed.h"

static int collect_blobs(const box_store *store, const struct box_store_needed *needed, box_store_freed *freed,
                         box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(store->blobsfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct stat st;
        char hex[BOX_STORE_HEX];
        size_t digits = strspn(e->d_name, "0123456789abcdef");
        bool is_blob = digits == BOX_STORE_HEX - 1 && (!e->d_name[digits] || strcmp(e->d_name + digits, ".zst") == 0);
        snprintf(hex, sizeof(hex), "%.64s", e->d_name);
        /* Documents are renamed into place under the lock that we hold, so a temporary name here is a dead one.
         */
        if (is_blob ? box_store_needs_blob(needed, hex) : !box_file_is_temporary(e->d_name))
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

/* Renames into the workplace what is not needed. A layer that is being made has a lease, and so is needed. */
static int collect_layers(struct box_store_work *work, const struct box_store_needed *needed,
                          struct box_layers_removed *removed, box_store_freed *freed, box_error **err)
{
    const box_store *store = work->store;
    _closedir_ DIR *dir = box_store_read_dir(store->layersfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's layers");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct box_layer_record record = {0};
        struct box_digest diff_id, *slot;
        if (!box_layer_name_parse(e->d_name, &diff_id) || box_store_needs_layer(needed, e->d_name))
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

/* What processes left that were killed while they replaced a file of the root directory: all do so with the lock that we
 * hold. And the lock of a recovery. */
static void collect_root(const box_store *store)
{
    _closedir_ DIR *dir = box_store_read_dir(store->rootfd);
    int fd = -1;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        if (box_file_is_temporary(e->d_name))
            unlinkat(store->rootfd, e->d_name, 0);
    if (faccessat(store->rootfd, BOX_LATE_LOCK, F_OK, AT_SYMLINK_NOFOLLOW) == 0 &&
        faccessat(store->rootfd, BOX_LATE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        fd = box_lock_take(store->rootfd, BOX_LATE_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ns(0), NULL);
    if (fd >= 0)
        box_lock_remove(store->rootfd, BOX_LATE_LOCK, fd);
}

/* Locks of layers that nobody is making: their makers were killed. */
static void collect_locks(const box_store *store)
{
    _closedir_ DIR *dir = box_store_read_dir(store->layersfd);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        int fd =
            box_ends_with(e->d_name, ".lock")
                ? box_lock_take(store->layersfd, e->d_name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ns(0), NULL)
                : -1;
        if (fd >= 0)
            box_lock_remove(store->layersfd, e->d_name, fd);
    }
}

static bool is_needed(const void *data, const char *hex)
{
    return box_store_needs_blob(data, hex);
}

int box_store_collect_locked(struct box_store_work *work, unsigned flags, struct box_layers_removed *removed,
                             box_store_freed *freed, box_error **err)
{
    _needed_ struct box_store_needed needed = {0};
    int r = box_late_check_boot(work->store, err);

    if (r == 0)
        r = box_store_find_needed(work->store, &needed, err);
    if (r == 0)
        r = collect_layers(work, &needed, removed, freed, err);
    if (r == 0)
        r = collect_blobs(work->store, &needed, freed, err);
    if (r == 0)
        r = box_store_collect_partials(work->store, is_needed, &needed, !(flags & BOX_COLLECT_KEEP_PARTIAL), freed,
                                       err);
    if (r == 0) {
        collect_locks(work->store);
        collect_root(work->store);
    }
    return r;
}

int box_store_collect_with(const box_store *store, unsigned flags, box_store_freed *freed, box_error **err)
{
    box_store_freed own = {0};
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
    r = box_store_collect_locked(&work, flags, NULL, &own, err);
    box_store_unlock(&lock);
    box_store_work_end(&work);
    if (freed)
        *freed = own;
    return r;
}

int box_store_collect(box_store *store, box_store_freed *freed, box_error **err)
{
    if (!store)
        return box_fail(err, BOX_EINVAL, "box_store_collect: store must not be NULL");
    return box_store_collect_with(store, 0, freed, err);
}
