/* After the machine went down: images that were committed late and never settled.
 *
 * Of such an image nothing was synced, though mostly all of it was written: after a clean shutdown, or when the kernel
 * had the half minute that it takes. So everything is looked at: the documents and the blobs are held against their
 * digests, and layers, whose files cannot be, are unpacked again from the blobs. An image that is whole then gets its
 * name for good. One that is not is as if it had never been pulled, and what it took goes.
 *
 * What was on disk already is in no danger: a blob takes the place of another one only when it is right and the other is
 * not. An error of the system's, a full disk for one, says nothing about an image: it ends the recovery, and images.late
 * stays as it is, as it does after a kill.
 *
 * Whoever opens the store first does this, and others wait for it. After an error the next try is made by who opens the
 * store a while later, in proportion to how long this one took: the lock file stays, and its time says when. */
#include "image/store_late.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strings.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/source.h"
#include "image/store_blob.h"
#include "image/store_collect.h"
#include "image/store_mend.h"

#define PATIENCE    (120 * 1000) /* ms that others wait */
#define RETRY_LEAST 30           /* seconds until the next try, … */
#define RETRY_MOST  3600
#define RETRY_TIMES 10           /* … or so many times as long as this one took */

struct recovery {
    box_store *store;
    struct box_store_work work;
    char boot[40]; /* the one that the images are of */
    struct box_index late, whole;
    size_t lost;
};

/* 1: images of another boot are there. Where nothing can be read of them, late stays empty. */
static int read_late(struct recovery *recovery)
{
    const box_store *store = recovery->store;
    _free_ char *text = NULL;
    size_t length = 0;
    int r = box_file_read(store->rootfd, BOX_LATE_FILE, BOX_INDEX_MAX, &text, &length, NULL);

    box_index_clear(&recovery->late);
    if (r < 0)
        return r == BOX_ELIMIT;
    if (box_index_parse(text, length, &recovery->late, recovery->boot, NULL) < 0)
        return 1;
    if (strspn(recovery->boot, "0123456789abcdef-") != strlen(recovery->boot))
        box_index_clear(&recovery->late); /* no boot has such an id */
    return strcmp(recovery->boot, store->boot) != 0;
}

/* 0 when the image is lost for this: the error is thrown away. */
static int unless_lost(int r, box_error *why, box_error **err)
{
    if (r >= 0 || box_store_is_lost(r) || !err) {
        box_error_free(why);
        return r < 0 && !box_store_is_lost(r) ? r : 0;
    }
    *err = why;
    return r;
}

/* ---- One image ---- */

/* 1: the blob is kept, and right; 0; or an error. */
static int reads_right(const box_store *store, const struct box_digest *blob, box_error **err)
{
    box_error *why = NULL;
    _cleanup_(box_source) box_source *source = box_store_blob_source(store, blob, NULL, &why);

    return source ? box_store_reads_right(source, err) : unless_lost(box_error_code(why), why, err);
}

/* A blob that was whole before the machine went down is believed again if its bytes are right; but not where there is
 * a right one, whose place it would take. */
static int take_blob(struct recovery *recovery, const struct box_digest *blob, box_error **err)
{
    const box_store *store = recovery->store;
    int r = box_store_work_need(&recovery->work, "blob", blob, err);

    if (r == 0)
        r = reads_right(store, blob, err);
    if (r == 1)
        box_store_drop_of_boot(store, blob, recovery->boot);
    return r == 0 ? box_store_take_of_boot(store, blob, recovery->boot, err) : r < 0 ? r : 0;
}

/* The config lies with the blobs, where it was fetched, and with the documents, where the image got it. */
static int take_config(struct recovery *recovery, const struct box_digest *digest, box_error **err)
{
    _manifest_ struct box_manifest manifest = {0};
    _free_ char *json = NULL;
    char text[BOX_DIGEST_TEXT];
    box_error *why = NULL;
    size_t length;
    int r = box_store_read_blob(recovery->store, digest, &json, &length, &why);

    if (r == 0)
        r = box_manifest_parse(json, length, NULL, box_digest_format(digest, text), UINT32_MAX, &manifest, &why);
    return r < 0 ? unless_lost(r, why, err) : take_blob(recovery, &manifest.config.digest, err);
}

/* 1: whole; 0: lost. */
static int make_whole(struct recovery *recovery, const struct box_digest *manifest, const struct box_image_references *refs,
                      box_error **err)
{
    _free_ struct box_layer_id *ids = NULL;
    int r = 0, there = 1;

    for (size_t i = 0; r == 0 && i < refs->n_blobs; i++)
        r = take_blob(recovery, &refs->blobs[i], err);
    if (r == 0)
        r = box_store_mend(&recovery->work, manifest, BOX_MEND_STOP, NULL, NULL, err);
    if (r == 0)
        r = box_layer_ids(refs->diff_ids, refs->n_diff_ids, &ids, err);
    for (size_t i = 0; r == 0 && there == 1 && i < refs->n_diff_ids; i++)
        there = box_store_find_layer(recovery->store, &ids[i], NULL, NULL, err);
    return r < 0 ? r : there;
}

/* Says what it will need, so that nobody's collection takes it away while another image is worked at. */
static int prepare(struct recovery *recovery, const struct box_index_entry *entry, box_error **err)
{
    struct box_image_references refs = {0};
    int r = box_store_work_need(&recovery->work, "blob", &entry->manifest, err);

    if (r == 0)
        r = take_config(recovery, &entry->manifest, err);
    if (r == 0)
        box_image_references(recovery->store, &entry->manifest, &refs, NULL); /* it is asked again */
    for (size_t i = 0; r == 0 && i < refs.n_blobs; i++)
        r = box_store_work_need(&recovery->work, "blob", &refs.blobs[i], err);
    for (size_t i = 0; r == 0 && i < refs.n_diff_ids; i++)
        r = box_store_work_need(&recovery->work, "layer", &refs.diff_ids[i], err);
    box_image_references_clear(&refs);
    return r;
}

static int recover_image(struct recovery *recovery, const struct box_index_entry *entry, box_error **err)
{
    struct box_image_references refs = {0};
    box_error *why = NULL;
    int whole = 0, r = box_image_references(recovery->store, &entry->manifest, &refs, &why);

    if (r < 0)
        r = unless_lost(r, why, err);
    else
        r = whole = make_whole(recovery, &entry->manifest, &refs, err);
    box_image_references_clear(&refs);
    recovery->lost += r == 0;
    return whole == 1 ? box_index_add(&recovery->whole, entry, entry->name, err) : r;
}

/* ---- All of them ---- */

static bool has_entry(const struct box_index *index, const struct box_index_entry *entry)
{
    const struct box_index_entry *had = entry->name ? box_index_find(index, entry->name) : NULL;

    return had ? box_digest_equal(&had->manifest, &entry->manifest)
               : !entry->name && box_index_find_id(index, &entry->id) != NULL;
}

/* What images.json has is on disk already. */
static int recover_images(struct recovery *recovery, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(recovery->store, &index, err);

    for (size_t i = 0; r == 0 && i < recovery->late.n; i++)
        if (!has_entry(&index, &recovery->late.entries[i]))
            r = prepare(recovery, &recovery->late.entries[i], err);
    for (size_t i = 0; r == 0 && i < recovery->late.n; i++)
        if (!has_entry(&index, &recovery->late.entries[i]))
            r = recover_image(recovery, &recovery->late.entries[i], err);
    return r;
}

/* Who did not wait any longer may have decided about a name meanwhile: images.late tells no more of it then. */
static int finish(struct recovery *recovery, box_error **err)
{
    _index_ struct box_index index = {0};
    _store_unlock_ int lock = box_store_lock(recovery->store, BOX_LOCK_EXCLUSIVE, err);
    int r = lock < 0 ? lock : box_index_read(recovery->store, &index, err);

    if (r < 0 || !read_late(recovery))
        return r;
    for (size_t i = 0; r == 0 && i < recovery->whole.n; i++)
        if (has_entry(&recovery->late, &recovery->whole.entries[i]))
            r = box_index_add(&index, &recovery->whole.entries[i], recovery->whole.entries[i].name, err);
    return r < 0 ? r : box_late_settle_as(recovery->store, &index, err);
}

static int recover(struct recovery *recovery, box_error **err)
{
    int r = box_store_work_begin(recovery->store, &recovery->work, err);

    if (r == 0)
        r = recover_images(recovery, err);
    if (r == 0)
        r = finish(recovery, err);
    box_store_work_end(&recovery->work);
    if (r == 0 && recovery->lost) /* half an image is nothing to be told of as damage */
        box_store_collect_with(recovery->store, BOX_COLLECT_KEEP_PARTIAL, NULL, NULL);
    return r;
}

/* ---- Who does it, and when ---- */

/* Whether somebody has just tried in vain. A lock file that is held has the time at which it was made, which may be a
 * second that the coarser clock has not begun yet. */
static bool is_put_off(const box_store *store)
{
    time_t now = time(NULL);
    struct stat st;

    return fstatat(store->rootfd, BOX_LATE_LOCK, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_mtime > now + 1 &&
           st.st_mtime <= now + RETRY_MOST;
}

static void put_off(int lock, int64_t began)
{
    int64_t seconds = (box_clock_ns() - began) / BOX_S * RETRY_TIMES;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL)}};

    seconds = seconds < RETRY_LEAST ? RETRY_LEAST : seconds > RETRY_MOST ? RETRY_MOST : seconds;
    times[1].tv_sec += (time_t)seconds;
    futimens(lock, times);
}

static int recover_locked(struct recovery *recovery, bool anyway, box_error **err)
{
    const box_store *store = recovery->store;
    int64_t began = box_clock_ns();
    int r = 0;
    _store_unlock_ int lock =
        box_lock_take(store->rootfd, BOX_LATE_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(PATIENCE), err);

    if (lock < 0)
        return lock;
    if (!anyway && is_put_off(store)) /* by the one that was waited for */
        return 0;
    if (read_late(recovery)) { /* nobody else was quicker */
        const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
        futimens(lock, times);
        began = box_clock_ns();
        r = recover(recovery, err);
    }
    if (r < 0) {
        put_off(lock, began);
        return r;
    }
    box_lock_remove(store->rootfd, BOX_LATE_LOCK, box_take_fd(&lock));
    return 0;
}

int box_store_recover(box_store *store, bool anyway, box_error **err)
{
    struct recovery recovery = {.store = store, .work = BOX_STORE_WORK_NONE};
    int r = 0;

    if (store->boot[0] && faccessat(store->rootfd, BOX_LATE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0 && read_late(&recovery) &&
        (anyway || !is_put_off(store)))
        r = recover_locked(&recovery, anyway, err);
    box_index_clear(&recovery.late);
    box_index_clear(&recovery.whole);
    return r < 0 ? box_fail_wrap(err, r, "images that were not on disk when the machine went down") : 0;
}
