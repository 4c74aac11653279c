/* Committing late, and making it last: store_late.h tells why.
 *
 * Settling goes by what is there, not by what an image needs: everything in blobs/partial that is whole, and every
 * layer of this boot without `durable`, is listed; then the file system is synced; then what was listed is marked.
 * What comes meanwhile is not on the list and waits for the next time. */
#include "image/store_late.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "image/store_pending.h"

/* ---- The file ---- */

static bool is_there(const box_store *store)
{
    return faccessat(store->rootfd, BOX_LATE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* 1: images.late is there, and of some boot. */
static int read_any(const box_store *store, struct box_index *index, char boot[40], box_error **err)
{
    _free_ char *text = NULL;
    size_t length = 0;
    box_error *own = NULL;

    *index = (struct box_index){0};
    boot[0] = '\0';
    int r = box_file_read(store->rootfd, BOX_LATE_FILE, BOX_INDEX_MAX, &text, &length, &own);
    if (r < 0) {
        if (r != BOX_ENOTFOUND && err)
            *err = own;
        else
            box_error_free(own);
        return r == BOX_ENOTFOUND ? 0 : r;
    }
    /* What a power cut left of another boot's may be anything. This boot's is replaced as a whole. */
    return box_index_parse(text, length, index, boot, NULL) == 0;
}

int box_late_read(const box_store *store, struct box_index *index, box_error **err)
{
    char boot[40];
    int r = read_any(store, index, boot, err);

    if (r == 1 && store->boot[0] && strcmp(boot, store->boot) == 0)
        return 1;
    box_index_clear(index);
    return r < 0 ? r : 0;
}

int box_late_read_of_before(const box_store *store, struct box_index *index, char boot[40])
{
    int r = read_any(store, index, boot, NULL);

    if (r == 1 && strcmp(boot, store->boot) != 0)
        return 1;
    box_index_clear(index);
    return 0;
}

bool box_late_possible(const box_store *store)
{
    _index_ struct box_index index = {0};

    return store->boot[0] && box_store_keeps_blobs(store) &&
           (!is_there(store) || box_late_read(store, &index, NULL) == 1);
}

static int write_as(const box_store *store, const struct box_index *index, const char *boot, unsigned flags, box_error **err)
{
    _free_ char *text = NULL;
    int r = box_index_format(index, boot, &text, err);

    if (r == 0)
        r = box_file_replace(store->rootfd, BOX_LATE_FILE, text, strlen(text), 0600, flags, err);
    return r < 0 ? box_fail_wrap(err, r, "store %s", store->root) : 0;
}

int box_late_write(const box_store *store, const struct box_index *index, box_error **err)
{
    return write_as(store, index, store->boot, BOX_FILE_NO_SYNC, err);
}

int box_late_check_boot(const box_store *store, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ESYSTEM,
                                 .subject = store->root,
                                 .remedy = "make /proc/sys/kernel/random/boot_id readable, or call box_store_sync() where it is"};

    if (store->boot[0] || !is_there(store))
        return 0;
    return box_fail_with(err, &info,
                         "the store %s has images that are not on disk yet, which this process cannot tell from what a power cut "
                         "left: it does not know which boot this is",
                         store->root);
}

/* ---- Of an earlier boot, not recovered yet ---- */

static bool same_manifest(const struct box_index_entry *a, const struct box_index_entry *b)
{
    return !a || !b ? a == b : box_digest_equal(&a->manifest, &b->manifest);
}

/* Whether what is going to be written has made up its mind about the entry. */
static bool is_decided(const struct box_index *before, const struct box_index *after, const struct box_index_entry *entry)
{
    if (entry->name)
        return !same_manifest(box_index_find(before, entry->name), box_index_find(after, entry->name));
    return box_index_find_id(before, &entry->id) && !box_index_find_id(after, &entry->id);
}

int box_late_give_way(const box_store *store, const struct box_index *index, box_error **err)
{
    _index_ struct box_index late = {0};
    _index_ struct box_index before = {0};
    char boot[40];
    size_t n;

    if (!box_late_read_of_before(store, &late, boot))
        return 0;
    int r = box_index_read(store, &before, err);
    n = late.n;
    for (size_t i = 0; r == 0 && i < late.n;)
        if (is_decided(&before, index, &late.entries[i]))
            box_index_drop(&late, i);
        else
            i++;
    return r == 0 && late.n < n ? write_as(store, &late, boot, 0, err) : r;
}

/* ---- Settling ---- */

static int sync_all(const box_store *store, box_error **err)
{
    return syncfs(store->rootfd) < 0
               ? box_fail_sys(err, "syncfs", store->root, "cannot write the store to disk")
               : 0;
}

int box_late_settle_as(const box_store *store, const struct box_index *index, box_error **err)
{
    _pending_layers_ struct box_pending_layers layers = {0};
    _strv_ char **blobs = NULL;
    int r = box_store_pending_blobs(store, &blobs, err);

    if (r == 0)
        r = box_store_pending_layers(store, &layers, err);
    if (r == 0)
        r = sync_all(store, err);
    if (r == 0)
        r = box_store_place_pending(store, blobs, err);
    if (r == 0)
        r = box_store_mark_pending(store, &layers, err);
    if (r == 0)
        r = box_index_replace(store, index, err);
    if (r < 0)
        return r;
    if (unlinkat(store->rootfd, BOX_LATE_FILE, 0) < 0 && errno != ENOENT)
        return box_fail_sys(err, "unlink", BOX_LATE_FILE, "cannot remove a file of the store %s", store->root);
    /* From here on images.json may change; an older images.late must not come back after that. */
    return box_dir_sync(store->rootfd, err);
}

int box_late_settle(const box_store *store, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_late_check_boot(store, err);

    if (r == 0)
        r = box_late_read(store, &index, err);
    return r <= 0 ? r : box_late_settle_as(store, &index, err);
}

int box_late_sync(const box_store *store, box_error **err)
{
    int r = box_late_check_boot(store, err);

    if (r < 0 || !is_there(store))
        return r;
    /* The long part without the lock, so that others go on; with the lock there is little left to write. */
    if (!store->readonly && (r = sync_all(store, err)) < 0)
        return r;
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    return lock < 0 ? lock : box_late_settle(store, err);
}

int box_store_sync(box_store *store, box_error **err)
{
    if (!store)
        return box_fail(err, BOX_EINVAL, "box_store_sync: store must not be NULL");
    /* What an earlier boot left, and box_store_open() could not take over, is tried again: the caller is told why not. */
    int r = store->readonly ? 0 : box_store_recover(store, true, err);
    return r < 0 ? r : box_late_sync(store, err);
}
