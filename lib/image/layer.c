/* Making a layer. Its files come to be in the workplace, under a name that nobody looks at, while the blob
 * and the tar stream in it are digested; only when both digests are right is it renamed into place. */
#include "image/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/unpack.h"

#define DIFF "diff"
/* How long a thread waits for another one's layer before it asks whether to go on. */
#define PATIENCE (200 * BOX_MS)

/* ---- The streams ---- */

struct streams {
    struct box_source *blob; /* borrowed: it is below the other one */
    struct box_source *tar;
    const struct box_layer_input *input;
};

static int open_streams(const struct box_layer_input *input, struct streams *s, box_error **err)
{
    s->input = input;
    s->blob = box_source_range(input->fd, input->offset, input->size, err);
    if (s->blob)
        s->blob = box_source_digest(s->blob, err);
    s->tar = s->blob ? box_source_inflate(s->blob, err) : NULL;
    if (s->tar)
        s->tar = box_source_ahead(s->tar, err);
    if (s->tar)
        s->tar = box_source_digest(s->tar, err);
    if (s->tar)
        return 0;
    return err && *err ? box_error_code(*err) : BOX_ENOMEM;
}

static int tick(void *data, box_error **err)
{
    const struct streams *s = data;

    return s->input->tick ? s->input->tick(s->input->tick_data, box_source_digest_count(s->blob), err) : 0;
}

/* The digest of the blob can be finished only when nobody reads it any more: the thread that reads ahead has
 * ended when the tar stream is at its end. */
static int check_digests(struct streams *s, const struct box_digest *diff_id, struct box_digest *found,
                         uint64_t *size, box_error **err)
{
    struct box_digest blob;
    int r = box_source_digest_finish(s->tar, found, size, err);

    if (r == 0 && diff_id)
        r = box_digest_check(diff_id, found, "diff id", err);
    if (r == 0)
        r = box_source_digest_finish(s->blob, &blob, NULL, err);
    if (r == 0 && s->input->blob)
        r = box_digest_check(s->input->blob, &blob, "blob", err);
    return r;
}

/* Unpacks into work/NAME/diff. diff_id NULL: whatever it is. */
static int unpack_as(struct box_store_work *work, const char *name, const struct box_layer_input *input,
                     const struct box_digest *diff_id, struct box_digest *found, uint64_t *size,
                     struct box_layer_record *record, bool *inherits, box_error **err)
{
    struct streams streams = {0};
    char path[BOX_LAYER_NAME + sizeof("/" BOX_LAYER_IMPLICIT)];
    int r = open_streams(input, &streams, err);
    _cleanup_(box_source) box_source *tar = streams.tar;
    struct box_unpack how = {.privileged = work->store->privileged,
                             .limits = input->limits,
                             .compressed = input->size,
                             .tick = tick,
                             .tick_data = &streams};

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "%s/" DIFF, name);
    if (mkdirat(work->fd, name, 0700) < 0 || mkdirat(work->fd, path, 0700) < 0)
        return box_fail_sys(err, "mkdir", name, "cannot make a directory for a layer");
    _close_ int dirfd = openat(work->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(path, sizeof(path), "%s/" BOX_LAYER_IMPLICIT, name);
    _close_ int implicitfd = openat(work->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (dirfd < 0 || implicitfd < 0)
        return box_fail_sys(err, "open", name, "cannot open the directory of a layer");
    how.implicitfd = implicitfd;
    r = box_unpack(tar, dirfd, &how, record, err);
    *inherits = r == 0 && lseek(implicitfd, 0, SEEK_END) > 0;
    if (!*inherits)
        unlinkat(work->fd, path, 0);
    return r < 0 ? r : check_digests(&streams, diff_id, found, size, err);
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
    if (r == 0) {
        box_layer_name(id, true, name);
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
