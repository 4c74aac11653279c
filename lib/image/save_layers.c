/* The blobs of the images to be saved. What the store keeps is taken as it is. Everything else is packed from the
 * layer's files into the workplace: when the tar stream has the layer's diff id the image stays the same image, be
 * it with another manifest; when it has not, because another tool had written it in another way, only a new image
 * can be made, and that is done only for a caller who wants it. */
#include "image/save.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"
#include "base/workqueue.h"
#include "image/pack.h"
#include "image/pack_union.h"

/* ---- What the store keeps ---- */

/* Whether the store keeps a blob: 1, 0, or an error. */
static int is_kept(const box_store *store, const struct save_blob *blob, box_error **err)
{
    uint64_t size = 0;
    int r = box_store_find_blob(store, &blob->digest, &size, err);

    return r == 1 ? size == blob->size : r;
}

/* Not more than there should be: the header that says how much is written already. */
static int copy_stream(struct box_source *source, const struct save_blob *blob, box_tar_sink *sink, void *context,
                       box_error **err)
{
    uint64_t count = 0;
    int r = 0;

    for (size_t n = 1; r == 0 && n > 0;) {
        const void *data;
        r = box_source_read(source, &data, &n, err);
        count += n;
        if (r == 0 && count > blob->size)
            r = box_fail(err, BOX_ECORRUPT, "a blob is larger than it should be");
        else if (r == 0 && n > 0)
            r = sink(data, n, context, err);
    }
    if (r == 0 && count < blob->size)
        r = box_fail(err, BOX_ECORRUPT, "a blob is smaller than it should be");
    return r;
}

/* What passes is held against the digest that it is saved under, once: a damaged file does not get into an archive. The
 * store's own stream does that. Nameless files were written by this very call, and nobody else can reach them. Reading
 * and digesting goes on in a thread of its own, beside the writing. */
int box_save_copy(struct save *save, const struct save_blob *blob, box_tar_sink *sink, void *context, box_error **err)
{
    if (blob->data)
        return sink(blob->data, blob->size, context, err);
    struct box_source *source = blob->fd >= 0 ? box_source_range(blob->fd, 0, blob->size, err)
                                              : box_store_blob_source(save->store, &blob->digest, NULL, err);
    if (source)
        source = box_source_ahead(source, err);
    if (!source)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    int r = copy_stream(source, blob, sink, context, err);
    box_source_free(source);
    return r;
}

/* ---- Packing ---- */

struct spool {
    struct save *save;
    struct box_workqueue *queue;
    const box_image *image;
    size_t index; /* of the layer */
    struct save_layer *layer;
    enum box_archive_compression compression;
    unsigned threads;
    int fd;
    struct box_watch watch; /* of this thread: it tells nobody of progress */
    struct box_out out;
};

static int to_file(const void *data, size_t length, void *context, box_error **err)
{
    struct spool *spool = context;

    if (spool->queue && box_workqueue_stopping(spool->queue))
        return box_fail(err, BOX_ECANCELLED, "another layer has failed");
    return box_out_sink(data, length, &spool->out, err);
}

static int open_spool(struct spool *spool, box_error **err)
{
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    int r = box_file_begin(&file, spool->save->work.fd, 0600, err);

    if (r < 0)
        return r;
    spool->fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 3);
    if (spool->fd < 0)
        return box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor");
    spool->watch = spool->save->watch;
    spool->watch.options.progress = NULL;
    return box_out_open(&spool->out, &spool->watch, spool->fd, NULL, NULL, err);
}

static int pack_into(struct spool *spool, box_tar_sink *sink, void *context, struct box_digest *diff_id,
                     box_error **err)
{
    _tee_ struct box_tee plain = {0};
    _close_ int tree = box_image_open_layer(spool->image, spool->index, err);
    const struct box_pack how = {.tar = {.sink = box_tee_sink, .context = &plain}};
    int r = tree < 0 ? tree : box_tee_open(&plain, sink, context, err);

    if (r == 0)
        r = box_pack_layer(tree, &how, err);
    return r < 0 ? r : box_tee_finish(&plain, diff_id, err);
}

static int pack_compressed(struct spool *spool, struct box_tee *blob, struct box_digest *diff_id, box_error **err)
{
    _cleanup_(box_deflate) struct box_deflate *deflate = NULL;
    const box_archive_options *o = &spool->save->watch.options;
    int r = box_deflate_new(spool->compression, o->level, spool->threads, box_tee_sink, blob, &deflate, err);

    if (r == 0)
        r = pack_into(spool, box_deflate_sink, deflate, diff_id, err);
    return r < 0 ? r : box_deflate_finish(deflate, err);
}

static int refuse(const struct spool *spool, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    struct box_fail_info info = {
        .code = BOX_EUNSUPPORTED,
        .subject = box_digest_format(&spool->layer->diff_id, text),
        .remedy = "pull or load the image again with its layers kept, or allow layers to be rebuilt"};

    return box_fail_with(err, &info,
                         "layer %s cannot be saved as it was: the store does not keep its blob, and its files do not "
                         "give the same tar stream",
                         text);
}

/* Packs a layer from its files. */
static int pack(struct spool *spool, box_error **err)
{
    _tee_ struct box_tee blob = {0};
    struct box_digest diff_id;
    int r = open_spool(spool, err);

    if (r == 0)
        r = box_tee_open(&blob, to_file, spool, err);
    if (r == 0)
        r = spool->compression == BOX_ARCHIVE_PLAIN ? pack_into(spool, box_tee_sink, &blob, &diff_id, err)
                                                    : pack_compressed(spool, &blob, &diff_id, err);
    struct box_digest digest;
    if (r == 0)
        r = box_tee_finish(&blob, &digest, err);
    if (r == 0)
        r = box_out_flush(&spool->out, err);
    if (r < 0)
        return r;
    if (!box_digest_equal(&diff_id, &spool->layer->diff_id) && !spool->save->watch.options.rebuild)
        return refuse(spool, err);
    spool->layer->diff_id = diff_id;
    spool->layer->remade = !box_digest_equal(&digest, &spool->layer->blob.digest);
    spool->layer->blob = (struct save_blob){digest, blob.count, NULL, box_take_fd(&spool->fd)};
    return 0;
}

/* The plain tar stream of a blob that is kept: what `docker save` of old wrote. */
static int unpack_kept(struct spool *spool, box_error **err)
{
    struct box_source *blob = box_store_blob_source(spool->save->store, &spool->layer->blob.digest, NULL, err);
    _cleanup_(box_source) struct box_source *plain = blob ? box_source_inflate(blob, err) : NULL;
    _tee_ struct box_tee tee = {0};
    struct box_digest digest;
    int r = plain ? open_spool(spool, err) : err && *err ? box_error_code(*err) : BOX_ENOMEM;

    if (r == 0)
        r = box_tee_open(&tee, to_file, spool, err);
    for (size_t n = 1; r == 0 && n > 0;) {
        const void *data;
        r = box_source_read(plain, &data, &n, err);
        if (r == 0 && n > 0)
            r = box_tee_sink(data, n, &tee, err);
    }
    if (r == 0)
        r = box_tee_finish(&tee, &digest, err);
    if (r == 0)
        r = box_digest_check(&spool->layer->diff_id, &digest, "diff id", err);
    if (r == 0)
        r = box_out_flush(&spool->out, err);
    if (r == 0)
        spool->layer->blob = (struct save_blob){digest, tee.count, NULL, box_take_fd(&spool->fd)};
    return r;
}

static int have_layer(void *data, struct box_workqueue *queue, box_error **err)
{
    struct spool *spool = data;
    struct save_layer *layer = spool->layer;
    char text[BOX_DIGEST_TEXT];

    spool->queue = queue;
    int r = is_kept(spool->save->store, &layer->blob, err);
    if (r == 0)
        r = pack(spool, err);
    else if (r == 1 && spool->save->watch.options.format == BOX_ARCHIVE_DOCKER_OLD &&
             !box_digest_equal(&layer->diff_id, &layer->blob.digest))
        r = unpack_kept(spool, err);
    return r < 0 ? box_fail_wrap(err, r, "layer %s", box_digest_format(&layer->diff_id, text)) : 0;
}

static void spool_free(void *data)
{
    struct spool *spool = data;

    box_out_close(&spool->out);
    box_cleanup_close(&spool->fd);
    free(spool);
}

/* The same layer of another image, which has its blob already. */
static const struct save_layer *made_before(const struct save *save, const struct save_image *image, size_t index)
{
    const struct box_digest *wanted = &image->manifest.layers[index].digest;

    for (const struct save_image *other = save->images; other <= image; other++)
        for (size_t i = 0; i < (other == image ? index : other->manifest.n_layers); i++)
            if (box_digest_equal(&other->manifest.layers[i].digest, wanted))
                return &other->layers[i];
    return NULL;
}

static int submit(struct save *save, struct box_workqueue *queue, struct save_image *image, size_t index, bool alone,
                  box_error **err)
{
    const box_archive_options *o = &save->watch.options;
    struct spool *spool = calloc(1, sizeof(*spool));

    if (!spool)
        return box_fail_nomem(err);
    *spool = (struct spool){.save = save,
                            .image = image->image,
                            .index = index,
                            .layer = &image->layers[index],
                            .compression = o->format == BOX_ARCHIVE_DOCKER_OLD ? BOX_ARCHIVE_PLAIN : o->compression,
                            .threads = alone ? o->threads : 1,
                            .fd = -1};
    return box_workqueue_submit(queue, have_layer, spool, spool_free, err);
}

static int make_layers(struct save *save, box_error **err)
{
    _cleanup_(box_workqueue) struct box_workqueue *queue = box_workqueue_new(save->watch.options.threads, 16, err);
    const bool alone = save->n_images == 1 && save->images[0].manifest.n_layers == 1;
    int r = queue ? 0 : BOX_ENOMEM;

    for (size_t i = 0; r == 0 && i < save->n_images; i++)
        for (size_t j = 0; r == 0 && j < save->images[i].manifest.n_layers; j++) {
            if (made_before(save, &save->images[i], j))
                continue;
            r = box_watch_look(&save->watch, err);
            if (r == 0 && submit(save, queue, &save->images[i], j, alone, NULL) < 0)
                return box_workqueue_wait(queue, err);
        }
    if (r < 0) {
        box_workqueue_cancel(queue);
        return r;
    }
    return box_workqueue_wait(queue, err);
}

/* Layers that several images have, or one has twice. */
static int share_layers(struct save *save, box_error **err)
{
    for (size_t i = 0; i < save->n_images; i++)
        for (size_t j = 0; j < save->images[i].manifest.n_layers; j++) {
            const struct save_layer *from = made_before(save, &save->images[i], j);
            struct save_layer *to = &save->images[i].layers[j];
            if (!from)
                continue;
            *to = *from;
            to->blob.fd = from->blob.fd < 0 ? -1 : fcntl(from->blob.fd, F_DUPFD_CLOEXEC, 3);
            if (from->blob.fd >= 0 && to->blob.fd < 0)
                return box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor");
        }
    return 0;
}

/* ---- Documents ---- */

int box_save_text(json_object *doc, char **text, box_error **err)
{
    const char *json = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

    *text = json ? strdup(json) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}

static int blob_of(const char *text, size_t length, struct save_blob *blob, box_error **err)
{
    *blob = (struct save_blob){.size = length, .data = text, .fd = -1};
    return box_digest_data(BOX_SHA256, text, length, &blob->digest, err);
}

/* The config with the diff ids of the layers as they are now, all else as it was. */
static int remake_config(struct save_image *image, box_error **err)
{
    _cleanup_(json_object) json_object *doc = box_json_parse(
        image->image->config_json, image->image->config_length,
        &(struct box_json_limits){.size = BOX_DOCUMENT_MAX, .depth = 64}, image->image->id, err);
    json_object *rootfs = NULL, *list = json_object_new_array();
    char text[BOX_DIGEST_TEXT];
    int r = doc && list && json_object_object_get_ex(doc, "rootfs", &rootfs) ? 0 : BOX_ECORRUPT;

    for (size_t i = 0; r == 0 && i < image->manifest.n_layers; i++)
        r = box_json_append(list, json_object_new_string(box_digest_format(&image->layers[i].diff_id, text)), err);
    if (r < 0) {
        json_object_put(list);
        return r;
    }
    r = box_json_put(rootfs, "diff_ids", list, err);
    return r < 0 ? r : box_save_text(doc, &image->config_json, err);
}

static const char *layer_type(const struct save_image *image, enum box_archive_compression compression)
{
    static const char *const oci[] = {BOX_MEDIA_OCI_LAYER, BOX_MEDIA_OCI_LAYER "+gzip", BOX_MEDIA_OCI_LAYER "+zstd"};
    static const char *const docker[] = {"application/vnd.docker.image.rootfs.diff.tar",
                                         "application/vnd.docker.image.rootfs.diff.tar.gzip",
                                         "application/vnd.docker.image.rootfs.diff.tar.zstd"};

    return (strcmp(image->manifest.media_type, BOX_MEDIA_DOCKER_MANIFEST) == 0 ? docker : oci)[compression];
}

static int put_descriptor(json_object *at, const char *media_type, const struct save_blob *blob, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    int r = box_json_put_string(at, "mediaType", media_type, err);

    if (r == 0)
        r = box_json_put_string(at, "digest", box_digest_format(&blob->digest, text), err);
    return r < 0 ? r : box_json_put_u64(at, "size", blob->size, err);
}

/* The manifest with other blobs, all else as it was. */
static int remake_manifest(const struct save *save, struct save_image *image, box_error **err)
{
    _cleanup_(json_object) json_object *doc = box_json_parse(
        image->image->manifest_json, image->image->manifest_length,
        &(struct box_json_limits){.size = BOX_DOCUMENT_MAX, .depth = 64}, image->image->digest, err);
    json_object *config = NULL, *layers = NULL;
    int r = doc && json_object_object_get_ex(doc, "config", &config) &&
                    json_object_object_get_ex(doc, "layers", &layers)
                ? put_descriptor(config, image->manifest.config.media_type, &image->config_blob, err)
                : BOX_ECORRUPT;

    for (size_t i = 0; r == 0 && i < image->manifest.n_layers; i++) {
        if (!image->layers[i].remade)
            continue;
        r = put_descriptor(json_object_array_get_idx(layers, i), layer_type(image, save->watch.options.compression),
                           &image->layers[i].blob, err);
    }
    return r < 0 ? r : box_save_text(doc, &image->manifest_json, err);
}

static int make_documents(const struct save *save, struct save_image *image, box_error **err)
{
    bool remade = false, rebuilt = false;
    int r = 0;

    for (size_t i = 0; i < image->manifest.n_layers; i++) {
        remade = remade || image->layers[i].remade;
        rebuilt = rebuilt || !box_digest_equal(&image->layers[i].diff_id, &image->image->config.diff_ids[i]);
    }
    image->media_type = image->manifest.media_type;
    if (rebuilt)
        r = remake_config(image, err);
    if (r == 0)
        r = image->config_json ? blob_of(image->config_json, strlen(image->config_json), &image->config_blob, err)
                               : blob_of(image->image->config_json, image->image->config_length, &image->config_blob, err);
    if (r == 0 && remade)
        r = remake_manifest(save, image, err);
    if (r < 0)
        return r;
    return image->manifest_json
               ? blob_of(image->manifest_json, strlen(image->manifest_json), &image->manifest_blob, err)
               : blob_of(image->image->manifest_json, image->image->manifest_length, &image->manifest_blob, err);
}

int box_save_layers(struct save *save, box_error **err)
{
    int r = make_layers(save, err);

    if (r == 0)
        r = share_layers(save, err);
    for (size_t i = 0; r == 0 && i < save->n_images; i++)
        r = make_documents(save, &save->images[i], err);
    return r;
}
