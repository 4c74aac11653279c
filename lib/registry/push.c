/* Pushing: the blobs as the store keeps them, side by side, then the manifest, byte for byte and last, so that nobody
 * ever sees an image there that lacks a layer.
 *
 * The image is held by a lease meanwhile: whatever becomes of its name, its blobs stay until the push is over. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "image/image.h"
#include "image/source.h"
#include "registry/transfer.h"

#define MOUNTS_MAX 4 /* repositories that are tried for a blob */

struct pushing {
    box_store *store;
    struct box_store_work work;
    box_image *image;
    struct box_reference to;
    struct box_links links;
    struct box_transfer transfer;
    struct box_transfer_blob *blobs;
    char ***mounts; /* for each blob */
};

/* ---- Reading a blob of the store ---- */

struct reading {
    struct box_source *source;
    const char *piece; /* of the source, not given out yet */
    size_t left;
    uint64_t at; /* offset of piece */
};

static int open_blob(void *data, box_error **err)
{
    struct box_transfer_blob *blob = data;
    struct pushing *pushing = (struct pushing *)((char *)blob->transfer - offsetof(struct pushing, transfer));
    struct reading *reading = calloc(1, sizeof(*reading));
    uint64_t size = 0;

    if (!reading)
        return box_fail_nomem(err);
    blob->source = reading;
    reading->source = box_store_blob_source(pushing->store, &blob->link->digest, &size, err);
    if (!reading->source)
        return err && *err ? box_error_code(*err) : BOX_ENOTFOUND;
    if (size != blob->link->size)
        return box_fail(err, BOX_EDIGEST, "the blob has %llu bytes, and %llu by the manifest", (unsigned long long)size,
                        (unsigned long long)blob->link->size);
    return 0;
}

static void close_blob(struct box_transfer_blob *blob)
{
    struct reading *reading = blob->source;

    if (reading)
        box_source_free(reading->source);
    free(reading);
    blob->source = NULL;
}

/* A blob can only be read from its beginning: to go back is to begin anew. */
static int seek(struct box_transfer_blob *blob, uint64_t offset, box_error **err)
{
    struct reading *reading = blob->source;
    int r = 0;

    if (offset < reading->at) {
        close_blob(blob);
        r = open_blob(blob, err);
        reading = blob->source;
    }
    while (r == 0 && reading->at + reading->left <= offset) {
        const void *piece = NULL;
        reading->at += reading->left;
        reading->left = 0;
        r = box_source_read(reading->source, &piece, &reading->left, err);
        reading->piece = piece;
        if (r < 0 || reading->left == 0)
            break;
    }
    if (r < 0)
        return r;
    size_t skip = (size_t)(offset - reading->at);
    if (skip > reading->left)
        return 0;
    reading->piece += skip;
    reading->left -= skip;
    reading->at = offset;
    return 0;
}

static ssize_t read_blob(void *data, uint64_t offset, void *buffer, size_t n, box_error **err)
{
    struct box_transfer_blob *blob = data;
    int r = seek(blob, offset, err);
    struct reading *reading = blob->source;

    if (r < 0)
        return r;
    if (n > reading->left)
        n = reading->left;
    memcpy(buffer, reading->piece, n);
    reading->piece += n;
    reading->left -= n;
    reading->at += n;
    return (ssize_t)n;
}

/* ---- What is pushed, and where ---- */

/* A name that the image has, or the text that it was found by. */
static int name_of(const box_image *image, const char *text, const char *name, struct box_reference *to,
                   box_error **err)
{
    if (!name) {
        _reference_ struct box_reference asked = {0};
        _free_ char *full = box_reference_read(text, &asked, NULL) == 0 ? box_reference_full(&asked) : NULL;
        char *const *names = box_image_names(image);
        name = full && box_strv_contains(names, full) ? text : names ? names[0] : NULL;
        if (!name)
            return box_fail(err, BOX_EINVAL, "the image %s has no name to be pushed under", text);
        return box_reference_read(name, to, err);
    }
    int r = box_reference_read(name, to, err);
    if (r == 0 && to->digest && strcmp(to->digest, box_image_digest(image)) != 0)
        r = box_fail(err, BOX_EINVAL, "the image's digest is %s: it cannot be pushed as %s", box_image_digest(image), name);
    return r;
}

/* Looks the image up and takes its blobs into the lease at once, so that nothing comes between. */
static int hold_image(struct pushing *p, const char *text, box_error **err)
{
    if (!p->store->readonly) {
        int r = box_store_work_begin(p->store, &p->work, err);
        if (r < 0)
            return r;
    }
    int r = box_image_open(p->store, text, &p->image, err);
    if (r == 0)
        r = box_links_read(p->image->manifest_json, p->image->manifest_length, &p->links, err);
    if (r == 0 && !p->store->readonly)
        r = box_store_work_need(&p->work, "blob", &p->image->manifest_digest, err);
    for (size_t i = 0; r == 0 && !p->store->readonly && i < p->links.n; i++)
        r = box_store_work_need(&p->work, "blob", &p->links.items[i].digest, err);
    return r;
}

/* ---- Repositories that may have a blob ---- */

static int add_mounts(struct pushing *p, const char *path, const struct box_image_references *references,
                      box_error **err)
{
    for (size_t i = 0; i < p->links.n; i++)
        for (size_t j = 0; j < references->n_blobs; j++) {
            if (!box_digest_equal(&p->links.items[i].digest, &references->blobs[j]) ||
                box_strv_contains(p->mounts[i], path) || box_strv_length(p->mounts[i]) >= MOUNTS_MAX)
                continue;
            if (box_strv_append(&p->mounts[i], path) < 0)
                return box_fail_nomem(err);
        }
    return 0;
}

/* The other names of the store on the same registry, and what is below them. */
static int find_mounts(struct pushing *p, box_error **err)
{
    _index_ struct box_index index = {0};
    _store_unlock_ int lock = box_store_lock(p->store, BOX_LOCK_SHARED, err);
    int r = lock < 0 ? lock : box_index_read(p->store, &index, err);

    p->mounts = calloc(p->links.n + 1, sizeof(*p->mounts));
    if (!p->mounts)
        return box_fail_nomem(err);
    for (size_t i = 0; r == 0 && i < index.n; i++) {
        _reference_ struct box_reference other = {0};
        struct box_image_references references = {0};
        if (!index.entries[i].name || box_reference_read(index.entries[i].name, &other, NULL) < 0 ||
            strcmp(other.domain, p->to.domain) != 0 || strcmp(other.path, p->to.path) == 0)
            continue;
        if (box_image_references(p->store, &index.entries[i].manifest, &references, NULL) == 0)
            r = add_mounts(p, other.path, &references, err);
        box_image_references_clear(&references);
    }
    return r;
}

/* ---- The push ---- */

/* Layers are called by their diff ids, as everywhere; the config, which comes last, by its digest. */
static int make_blobs(struct pushing *p, box_error **err)
{
    size_t config = p->links.n && p->image->config.n_diff_ids + 1 == p->links.n ? 0 : SIZE_MAX;

    p->blobs = calloc(p->links.n + 1, sizeof(*p->blobs));
    if (!p->blobs)
        return box_fail_nomem(err);
    for (size_t i = 0; i < p->links.n; i++) {
        struct box_transfer_blob *blob = &p->blobs[i];
        blob->transfer = &p->transfer;
        blob->link = &p->links.items[i];
        blob->mounts = p->mounts[i];
        blob->number = (unsigned)i;
        if (config == 0 && i > 0) {
            box_digest_format(&p->image->config.diff_ids[i - 1], blob->object);
            blob->number = (unsigned)i - 1;
        } else {
            box_digest_format(&blob->link->digest, blob->object);
            blob->number = (unsigned)p->links.n - 1;
        }
    }
    p->transfer.blobs = (unsigned)p->links.n;
    return 0;
}

static int put_manifest(struct pushing *p, char **digest, box_error **err)
{
    struct box_manifest manifest = {0};
    int r = box_manifest_parse(p->image->manifest_json, p->image->manifest_length, NULL, p->image->digest, 4096,
                               &manifest, err);
    if (r < 0)
        return r;
    const box_registry_document document = {p->image->manifest_json, p->image->manifest_length, manifest.media_type,
                                            p->image->digest};
    const box_image_progress finished = {.stage = BOX_IMAGE_STAGE_FINISHED, .object = p->image->id};
    r = box_api_put_manifest(&p->transfer.call, &p->transfer.target, p->to.path, p->to.tag ? p->to.tag : p->to.digest,
                             &document, err);
    box_manifest_clear(&manifest);
    if (r == 0 && digest && !(*digest = strdup(p->image->digest)))
        r = box_fail_nomem(err);
    if (r == 0)
        box_transfer_tell(&p->transfer, &finished, NULL); /* it is too late to cancel */
    return r;
}

static int push(struct pushing *p, const char *image, const char *name, char **digest, box_error **err)
{
    int r = hold_image(p, image, err);

    if (r == 0)
        r = name_of(p->image, image, name, &p->to, err);
    if (r == 0)
        r = find_mounts(p, err);
    if (r == 0)
        r = box_target_open(&p->transfer.call, p->to.domain, &p->transfer.target, err);
    if (r == 0)
        r = make_blobs(p, err);
    p->transfer.repository = p->to.path;
    if (r == 0)
        r = box_transfer_blobs(&p->transfer, p->blobs, p->links.n, err);
    return r < 0 ? r : put_manifest(p, digest, err);
}

static void clear(struct pushing *p)
{
    for (size_t i = 0; p->mounts && i < p->links.n; i++)
        box_strv_free(p->mounts[i]);
    free(p->mounts);
    free(p->blobs);
    box_links_clear(&p->links);
    box_target_clear(&p->transfer.target);
    box_reference_clear(&p->to);
    box_image_free(p->image);
    box_store_work_end(&p->work);
    pthread_mutex_destroy(&p->transfer.mutex);
}

int box_image_push(box_store *store, box_registry *registry, const char *image, const char *name,
                   const box_transfer_options *options, char **digest, box_error **err)
{
    struct pushing p = {.store = store,
                        .work = BOX_STORE_WORK_NONE,
                        .transfer = {.open = open_blob, .read = read_blob, .close = close_blob,
                                     .mutex = PTHREAD_MUTEX_INITIALIZER}};
    int r = box_call_init(&p.transfer.call, registry, options, err);

    if (r == 0 && (!store || !image))
        r = box_fail(err, BOX_EINVAL, "box_image_push: store and image must not be NULL");
    if (r == 0 && options)
        p.transfer.options = *options;
    if (r == 0)
        r = push(&p, image, name, digest, err);
    clear(&p);
    return r < 0 ? box_fail_wrap(err, r, "push") : 0;
}
