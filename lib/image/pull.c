/* Pulling an image: from a reference to an index, a manifest, a config; then its layers; then its name.
 *
 * Everything that comes is held against a digest before it is believed: a manifest against the reference or the
 * descriptor that led to it, and where a tag led to it against nothing but itself. What the operation needs is
 * written into its lease before it is looked for, and nothing has a name before all of it is there. */
#include "image/pull.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "image/reference.h"

#define INDEX_DEPTH 4

/* ---- Going on or not ---- */

int box_pull_check(struct box_pull *pull, box_error **err)
{
    struct pollfd cancel = {pull->cancel_fd, POLLIN, 0};

    if (pull->queue && box_workqueue_stopping(pull->queue))
        return box_fail(err, BOX_ECANCELLED, "another layer has failed");
    if (pull->cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
        return box_fail(err, BOX_ECANCELLED, "cancelled");
    if (box_deadline_passed(pull->deadline))
        return box_fail(err, BOX_ETIMEOUT, "the time for the pull is over");
    return 0;
}

/* ---- Documents ---- */

struct document {
    char *text, *media_type;
    size_t length;
    struct box_digest digest;
};

static void document_clear(struct document *document)
{
    free(document->text);
    free(document->media_type);
    *document = (struct document){0};
}
#define _document_ __attribute__((cleanup(document_clear)))

/* A manifest or an index: by tag or digest; with a descriptor also of the size that it says. */
static int get_manifest(struct box_pull *pull, const char *reference, const struct box_descriptor *d,
                        struct document *document, box_error **err)
{
    struct box_digest expected;
    bool by_digest = box_digest_parse(reference, &expected, NULL) == 0;
    int r = box_pull_check(pull, err);

    if (r == 0)
        r = pull->remote->manifest(pull->remote, reference, &document->text, &document->length,
                                   &document->media_type, err);
    if (r < 0)
        return r;
    if (document->length > BOX_DOCUMENT_MAX)
        return box_fail(err, BOX_ELIMIT, "the manifest %s has %zu bytes, of which %u are allowed", reference,
                        document->length, BOX_DOCUMENT_MAX);
    if (d && d->size != document->length) {
        struct box_fail_info info = {.code = BOX_EDIGEST, .subject = reference};
        return box_fail_with(err, &info, "the manifest %s has %zu bytes, not the %llu that its descriptor says",
                             reference, document->length, (unsigned long long)d->size);
    }
    r = box_digest_data(by_digest ? expected.algorithm : BOX_SHA256, document->text, document->length,
                        &document->digest, err);
    return r == 0 && by_digest ? box_digest_check(&expected, &document->digest, "manifest", err) : r;
}

static int fail_platform(const struct box_pull *pull, const char *name, box_error **err)
{
    const char *platform = pull->load.options.platform ? pull->load.options.platform : box_platform_host();
    struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = platform};

    return box_fail_with(err, &info, "the image %s is not there for %s", name, platform);
}

/* Follows indexes to the manifest of an image for the platform. */
static int find_manifest(struct box_pull *pull, const char *reference, struct document *document, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    int r = get_manifest(pull, reference, NULL, document, err);

    for (unsigned depth = 0; r == 0 && box_media_kind(document->media_type) == BOX_MEDIA_INDEX; depth++) {
        _manifest_index_ struct box_manifest_index index = {0};
        _document_ struct document next = {0};
        if (depth == INDEX_DEPTH)
            return box_fail(err, BOX_EPARSE, "indexes are nested more than %d deep", INDEX_DEPTH);
        box_digest_format(&document->digest, text);
        r = box_manifest_index_parse(document->text, document->length, document->media_type, text, &index, err);
        if (r < 0)
            return r;
        const struct box_descriptor *chosen = box_manifest_index_choose(&index, pull->load.options.platform);
        if (!chosen)
            return fail_platform(pull, reference, err);
        r = get_manifest(pull, box_digest_format(&chosen->digest, text), chosen, &next, err);
        /* The registry's word for the type does not count against the descriptor's. */
        free(next.media_type);
        next.media_type = r == 0 ? strdup(chosen->media_type) : NULL;
        if (r == 0 && !next.media_type)
            return box_fail_nomem(err);
        document_clear(document);
        *document = next;
        next = (struct document){0};
    }
    return r;
}

/* Fetches the config, with the lock of its blob held, from its first byte: it is small. */
static int fetch_config(struct box_pull *pull, const struct box_descriptor *d, char **text, size_t *length,
                        box_error **err)
{
    struct box_digest found;
    _close_ int fd = box_store_open_partial(pull->load.store, &d->digest, err);
    int r = fd < 0 ? fd : 0;

    if (r == 0 && ftruncate(fd, 0) < 0)
        r = box_fail_sys(err, "ftruncate", "config", "cannot begin the config anew");
    if (r == 0)
        r = pull->remote->blob(pull->remote, &d->digest, d->size, fd, 0, NULL, NULL, err);
    if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
        r = box_fail_sys(err, "lseek", "config", "cannot read the config");
    if (r == 0)
        r = box_fd_read(fd, BOX_DOCUMENT_MAX, text, length, err);
    if (r == 0)
        r = box_digest_data(d->digest.algorithm, *text, *length, &found, err);
    if (r == 0)
        r = box_digest_check(&d->digest, &found, "config", err);
    if (r == 0)
        return box_store_finish_partial(pull->load.store, &d->digest, err);
    box_store_drop_partial(pull->load.store, &d->digest, NULL);
    return r;
}

/* A small blob, from the store or from the remote; like a layer's it is fetched by one process on the machine. */
static int get_config(struct box_pull *pull, const struct box_descriptor *d, char **text, size_t *length,
                      box_error **err)
{
    if (d->size > BOX_DOCUMENT_MAX)
        return box_fail(err, BOX_ELIMIT, "the config has %llu bytes, of which %u are allowed",
                        (unsigned long long)d->size, BOX_DOCUMENT_MAX);
    if (box_store_read_blob(pull->load.store, &d->digest, text, length, NULL) == 0)
        return 0;
    int lock = box_pull_lock_blob(pull, &d->digest, err);
    if (lock < 0)
        return lock;
    int r = box_store_read_blob(pull->load.store, &d->digest, text, length, NULL) == 0 ? 0 : fetch_config(pull, d, text, length, err);
    box_store_unlock_blob(pull->load.store, &d->digest, lock);
    return r;
}

/* ---- The image ---- */

static int check_platform(const struct box_pull *pull, const struct load_image *image, const char *reference,
                          box_error **err)
{
    const char *wanted = pull->load.options.platform;
    _config_ struct box_config config = {0};
    char id[BOX_DIGEST_TEXT];
    int r = box_config_parse(image->config_json, image->config_length, box_digest_format(&image->config, id), &config,
                             err);

    if (r < 0 || !wanted || !*config.os || !*config.architecture)
        return r;
    /* Where there was an index to choose from this holds already; where there was none, whoever names a platform
     * wants no other. The variant of a config is too often missing to be asked for. */
    _strv_ char **parts = box_strv_split(wanted, '/');
    if (!parts)
        return box_fail_nomem(err);
    if (box_strv_length(parts) < 2 || strcmp(parts[0], config.os) != 0 || strcmp(parts[1], config.architecture) != 0)
        return fail_platform(pull, reference, err);
    return 0;
}

static int take_layers(struct box_pull *pull, struct load_image *image, const struct box_manifest *manifest,
                       box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < manifest->n_layers; i++) {
        struct box_piece piece = BOX_PIECE_NONE;
        piece.size = manifest->layers[i].size;
        r = box_load_add_layer(&pull->load, image, i, &manifest->layers[i].digest, &piece, err);
    }
    return r;
}

/* Gets what the reference leads to, up to the layers, which are noted down. */
static int find_image(struct box_pull *pull, const char *reference, box_error **err)
{
    struct load *load = &pull->load;
    _document_ struct document document = {0};
    _manifest_ struct box_manifest manifest = {0};
    char text[BOX_DIGEST_TEXT];
    struct load_image *image = box_load_add_image(load, err);
    int r = image ? find_manifest(pull, reference, &document, err) : BOX_ENOMEM;

    if (r == 0)
        r = box_manifest_parse(document.text, document.length, document.media_type,
                               box_digest_format(&document.digest, text), load->limits.layers, &manifest, err);
    if (r == 0)
        r = box_store_work_need(&load->work, "blob", &manifest.config.digest, err);
    if (r == 0)
        r = get_config(pull, &manifest.config, &image->config_json, &image->config_length, err);
    if (r < 0)
        return r;
    image->manifest = document.digest;
    image->manifest_length = document.length;
    image->manifest_json = box_take(document.text);
    image->config = manifest.config.digest;
    image->media_type = box_take(manifest.media_type);
    r = box_load_take_config(image, manifest.n_layers, err);
    if (r == 0)
        r = check_platform(pull, image, reference, err);
    return r < 0 ? r : take_layers(pull, image, &manifest, err);
}

/* "repository:tag"; or "repository@digest", which Docker too keeps without the tag. */
static int take_name(struct box_pull *pull, const char *name, box_error **err)
{
    _reference_ struct box_reference reference = {0};
    int r = box_reference_read(name, &reference, err);

    if (r < 0)
        return r;
    if (reference.digest) {
        free(reference.tag);
        reference.tag = NULL;
    }
    return box_strv_append_take(&pull->load.images[0].names, box_reference_full(&reference)) < 0 ? box_fail_nomem(err)
                                                                                                 : 0;
}

/* ---- Pulling ---- */

static unsigned processors(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) < 0 ? 2 : (unsigned)CPU_COUNT(&set);
}

/* Where blobs are not kept, those of this image have done their service. Whoever else reads one holds it open, or
 * fetches it again. */
static void drop_blobs(const struct box_pull *pull)
{
    const struct load_image *image = &pull->load.images[0];

    for (size_t i = 0; !pull->load.keeps_blobs && i < image->n_layers; i++)
        box_store_discard_blob(pull->load.store, &image->blobs[i]);
}

static int pull_image(struct box_pull *pull, const char *name, const char *reference, box_image **image,
                      box_error **err)
{
    _cleanup_(box_image_list) box_image_list *list = NULL;
    int r = find_image(pull, reference, err);

    if (r == 0)
        r = take_name(pull, name, err);
    if (r == 0)
        r = box_load_need_all(&pull->load, err);
    if (r == 0)
        r = box_pull_layers(pull, err);
    if (r == 0)
        r = box_load_inherit_all(&pull->load, err);
    if (r == 0)
        r = box_pull_check(pull, err);
    if (r == 0)
        r = box_load_commit(&pull->load, &list, err);
    if (r == 0)
        drop_blobs(pull);
    if (r == 0 && image)
        *image = box_image_list_take(list, 0);
    return r;
}

int box_image_pull_from(box_store *store, struct box_remote *remote, const char *name, const char *reference,
                        const box_transfer_options *options, box_image **image, box_error **err)
{
    const box_transfer_options defaults = BOX_TRANSFER_OPTIONS_INIT;
    const box_transfer_options *o = options ? options : &defaults;
    box_image_options load_options = BOX_IMAGE_OPTIONS_INIT;
    struct box_pull pull = {.remote = remote,
                            .cancel_fd = o->cancel_fd,
                            .deadline = box_deadline_in_ms(o->timeout_ms),
                            .gate = PTHREAD_MUTEX_INITIALIZER,
                            .opened = PTHREAD_COND_INITIALIZER};

    if (!store || !name || !reference || o->version != 1)
        return box_fail(err, BOX_EINVAL, "pull: a store, a name and options of version 1 are needed");
    load_options.platform = o->platform;
    load_options.limits = o->limits;
    load_options.threads = o->threads;
    load_options.progress = o->progress;
    load_options.progress_data = o->progress_data;
    pull.unpacking_max = o->threads ? o->threads : processors();
    int r = box_load_init(&pull.load, store, &load_options, err);
    pull.load.late = o->late;
    if (r == 0)
        r = pull_image(&pull, name, reference, image, err);
    r = box_load_finish(&pull.load, r);
    pthread_cond_destroy(&pull.opened);
    pthread_mutex_destroy(&pull.gate);
    return r < 0 ? box_fail_wrap(err, r, "pull %s", name) : 0;
}
