/* Making a layer. Its files come to be in the workplace, under a name that nobody looks at, while the blob
 * and the tar stream in it are digested; only when both digests are right is it renamed into place. */
#include "image/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/layer_erofs.h"
#include "image/unpack.h"
#include "image/zstd.h"

/* How long a thread waits for another one's layer before it asks whether to go on. */
#define PATIENCE (200 * BOX_MS)

/* ---- The streams ---- */

/*     file -> (copy) -> digest of the blob -> inflate -> (copy) -> thread -> digest of the tar
 *
 * The copy is what is kept of the blob: of what comes in, or, when the blob is to be the tar stream itself, of
 * what that is. What is not compressed is kept as zstd. */
struct streams {
    struct box_source *copy, *blob; /* borrowed: they are below the last one; copy may be NULL */
    struct box_source *tar;
    const struct box_layer_input *input;
    int copyfd; /* -1: none */
    bool zstd;
};
#define STREAMS(input) ((struct streams){NULL, NULL, NULL, input, -1, false})

static void close_streams(struct streams *s)
{
    box_source_free(s->tar);
    box_cleanup_close(&s->copyfd);
}
#define _streams_ __attribute__((cleanup(close_streams)))

#define COPY_NAME "blob.%s"

static struct box_source *add_copy(struct box_store_work *work, const char *name, struct box_source *from,
                                   enum box_compression compression, struct streams *s, box_error **err)
{
    char copy[BOX_LAYER_NAME + sizeof(COPY_NAME)];

    snprintf(copy, sizeof(copy), COPY_NAME, name);
    s->copyfd = openat(work->fd, copy, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (s->copyfd < 0) {
        box_source_free(from);
        box_fail_sys(err, "open", copy, "cannot make a file for a blob");
        return NULL;
    }
    s->zstd = compression == BOX_PLAIN && box_zstd(NULL);
    s->copy = box_source_copy(from, s->copyfd, s->zstd, err);
    return s->copy;
}

/* The stream of the blob. */
static struct box_source *open_blob(struct box_store_work *work, const char *name, bool of_tar, struct streams *s,
                                    enum box_compression *compression, box_error **err)
{
    const struct box_layer_input *input = s->input;
    struct box_source *from =
        input->open ? input->open(input->open_data, err) : box_source_range(input->fd, input->offset, input->size, err);

    if (from)
        from = box_source_look(from, compression, err);
    if (from && input->keep && !of_tar && (!input->open || (*compression == BOX_PLAIN && box_zstd(NULL))))
        from = add_copy(work, name, from, *compression, s, err);
    s->blob = from ? box_source_digest_as(from, input->blob ? input->blob->algorithm : BOX_SHA256, err) : NULL;
    return s->blob;
}

/* of_tar: what is kept is the tar stream. */
static int open_streams(struct box_store_work *work, const char *name, bool of_tar, struct streams *s, box_error **err)
{
    enum box_compression compression;
    struct box_source *tar = open_blob(work, name, of_tar, s, &compression, err);

    if (tar)
        tar = box_source_inflate_as(tar, compression, err);
    if (tar && s->input->keep && of_tar)
        tar = add_copy(work, name, tar, BOX_PLAIN, s, err);
    if (tar)
        tar = box_source_ahead(tar, err);
    if (tar)
        tar = box_source_digest(tar, err);
    s->tar = tar;
    if (tar)
        return 0;
    return err && *err ? box_error_code(*err) : BOX_ENOMEM;
}

static int tick(void *data, box_error **err)
{
    const struct streams *s = data;

    return s->input->tick ? s->input->tick(s->input->tick_data, box_source_digest_count(s->blob), err) : 0;
}

/* What came in is held against its digest, then what is kept of it gets its name. */
static int finish_blob(struct box_store_work *work, const char *name, const struct box_digest *kept_as,
                       struct streams *s, box_error **err)
{
    char copy[BOX_LAYER_NAME + sizeof(COPY_NAME)];
    struct box_digest blob;
    int r = box_source_digest_finish(s->blob, &blob, NULL, err);

    if (r == 0 && s->input->blob)
        r = box_digest_check(s->input->blob, &blob, "blob", err);
    if (r == 0 && s->copy)
        r = box_source_copy_finish(s->copy, err);
    snprintf(copy, sizeof(copy), COPY_NAME, name);
    if (r == 0 && s->copy)
        r = box_store_keep_blob(work, copy, kept_as ? kept_as : &blob, s->zstd, err);
    if (r == 0 && s->input->right)
        r = s->input->right(s->input->open_data, s->copy != NULL, err);
    return r;
}

/* The digest of the blob can be finished only when nobody reads it any more: the thread that reads ahead has
 * ended when the tar stream is at its end. */
static int check_digests(struct box_store_work *work, const char *name, struct streams *s,
                         const struct box_digest *diff_id, struct box_digest *found, uint64_t *size,
                         box_error **err)
{
    int r = box_source_digest_finish(s->tar, found, size, err);

    if (r == 0 && diff_id)
        r = box_digest_check(diff_id, found, "diff id", err);
    return r < 0 ? r : finish_blob(work, name, diff_id ? NULL : found, s, err);
}

/* Unpacks into work/NAME/diff. diff_id NULL: whatever it is. */
static int unpack_as(struct box_store_work *work, const char *name, const struct box_layer_input *input,
                     const struct box_digest *diff_id, struct box_digest *found, uint64_t *size,
                     struct box_layer_record *record, bool *inherits, box_error **err)
{
    const bool image = box_layer_wants_image(work);
    _streams_ struct streams streams = STREAMS(input);
    char path[BOX_LAYER_NAME + sizeof("/" BOX_LAYER_IMAGE)]; /* the longest of these */
    int r = open_streams(work, name, !diff_id, &streams, err);
    struct box_unpack how = {.privileged = work->store->privileged,
                             .limits = input->limits,
                             .compressed = input->size,
                             .tick = tick,
                             .tick_data = &streams};

    if (r < 0) {
        if (input->stop)
            input->stop(input->open_data);
        return r;
    }
    snprintf(path, sizeof(path), "%s/%s", name, image ? BOX_LAYER_IMAGE : BOX_LAYER_DIFF);
    if (mkdirat(work->fd, name, 0700) < 0 || (!image && mkdirat(work->fd, path, 0700) < 0))
        return box_fail_sys(err, "mkdir", name, "cannot make a directory for a layer");
    _close_ int dirfd = image ? openat(work->fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                              : openat(work->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/" BOX_LAYER_IMPLICIT, name);
    _close_ int implicitfd = openat(work->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (dirfd < 0 || implicitfd < 0)
        return box_fail_sys(err, "open", name, "cannot open the directory of a layer");
    how.implicitfd = implicitfd;
    r = image ? box_layer_unpack_image(streams.tar, dirfd, &how, record, err) : box_unpack(streams.tar, dirfd, &how, record, err);
    *inherits = r == 0 && lseek(implicitfd, 0, SEEK_END) > 0;
    if (!*inherits)
        unlinkat(work->fd, path, 0);
    if (r == 0)
        r = check_digests(work, name, &streams, diff_id, found, size, err);
    if (r == 0 && image)
        r = box_layer_seal_image(dirfd, found, record, err);
    if (r < 0 && input->stop)
        input->stop(input->open_data);
    return r;
}

int box_layer_clear(struct box_store_work *work, const struct box_layer_id *id, box_error **err)
{
    char name[BOX_LAYER_NAME], copy[BOX_LAYER_NAME + sizeof(COPY_NAME)];

    snprintf(copy, sizeof(copy), COPY_NAME, box_layer_name(id, true, name));
    unlinkat(work->fd, copy, 0);
    return box_remove_tree(work->fd, name, err);
}

/* The layer is there, and perhaps its blob is not. */
static int keep_only(struct box_store_work *work, const char *name, const struct box_layer_input *input, box_error **err)
{
    _streams_ struct streams streams = STREAMS(input);
    enum box_compression compression;
    int r = input->blob ? box_store_find_blob(work->store, input->blob, NULL, err) : 1;

    if (r)
        return r < 0 ? r : 0;
    streams.tar = open_blob(work, name, false, &streams, &compression, err);
    if (!streams.tar)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    return finish_blob(work, name, NULL, &streams, err);
}

/* ---- Who makes it ---- */

/* Waits for a layer that somebody else may be making, but not so that it could not be cancelled. */
static int lock_layer(const box_store *store, const struct box_digest *diff_id,
                      const struct box_layer_input *input, box_error **err)
{
    for (;;) {
        box_error *why = NULL;
        int fd = box_store_lock_layer(store, diff_id, box_deadline_in_ns(PATIENCE), &why);
        int r = fd == BOX_EBUSY && input->tick ? input->tick(input->tick_data, 0, err) : 0;
        if (fd != BOX_EBUSY) {
            if (err)
                *err = why;
            else
                box_error_free(why);
            return fd;
        }
        box_error_free(why);
        if (r < 0)
            return r;
    }
}

int box_layer_make(struct box_store_work *work, const struct box_layer_input *input,
                   const struct box_layer_id *id, box_error **err)
{
    const box_store *store = work->store;
    struct box_layer_record record;
    struct box_digest found;
    char name[BOX_LAYER_NAME], final[BOX_LAYER_NAME];
    bool inherits = false, pending = false;
    uint64_t size;
    int lock = lock_layer(store, &id->diff_id, input, err);

    if (lock < 0)
        return lock;
    int r = box_store_find_layer(store, id, NULL, NULL, err);
    box_layer_name(id, true, name);
    if (r == 1 && input->keep && !input->open) {
        r = keep_only(work, name, input, err);
        r = r < 0 ? r : 1;
    } else if (r == 0) {
        r = unpack_as(work, name, input, &id->diff_id, &found, &size, &record, &inherits, err);
        pending = inherits && id->parent.algorithm; /* a lowest layer has nothing to inherit from */
        if (r == 0 && pending)
            r = box_store_write_record(work, name, &record, err);
        else if (r == 0)
            r = box_store_publish_layer(work, name, box_layer_name(id, inherits, final), &record, err);
        r = r == 0 && pending ? BOX_LAYER_PENDING : r;
    }
    box_store_unlock_layer(store, &id->diff_id, lock);
    return r;
}

int box_layer_make_unknown(struct box_store_work *work, const struct box_layer_input *input,
                           struct box_digest *diff_id, uint64_t *size, box_error **err)
{
    const box_store *store = work->store;
    struct box_layer_record record;
    char name[BOX_LAYER_NAME];
    bool inherits;
    int r = unpack_as(work, "unknown", input, NULL, diff_id, size, &record, &inherits, err);

    if (r == 0)
        r = box_store_work_need(work, "layer", diff_id, err);
    if (r < 0)
        return r;
    const struct box_layer_id id = {.diff_id = *diff_id};
    int lock = lock_layer(store, diff_id, input, err);
    if (lock < 0)
        return lock;
    r = box_store_find_layer(store, &id, NULL, NULL, err);
    if (r == 0)
        r = box_store_publish_layer(work, "unknown", box_layer_name(&id, inherits, name), &record, err);
    box_store_unlock_layer(store, diff_id, lock);
    return r < 0 ? r : 0;
}
