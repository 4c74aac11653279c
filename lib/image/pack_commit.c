/* A layer on top of an image. Its stream is packed into the workplace, digested on the way, and then goes the way
 * of every layer that comes from outside: unpacked, held against its digests, renamed into place. What a container
 * left in its writable layer is as hostile as an archive, and so passes the same checks; and a layer is in the same
 * form whoever made it. The image becomes visible at one instant (load_commit.c). */
#include "image/pack_commit.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"
#include "image/import_changes.h"
#include "image/layer.h"
#include "image/load.h"
#include "image/reference.h"
#include "image/unpack.h"

struct commit {
    const struct box_layer_on_top *what;
    struct load load;
    struct box_watch watch;
    struct box_out out;
    int fd; /* of the spool */
    uint64_t plain_size;
    struct box_digest diff_id, blob;
    uint64_t size;
    char created[32];
};

/* ---- The layer ---- */

/* A few bytes of a container's can stand for terabytes of zeros. */
static int to_spool(const void *data, size_t length, void *context, box_error **err)
{
    struct commit *c = context;

    return box_out_sink(data, length, &c->out, err);
}

static int limited(const void *data, size_t length, void *context, box_error **err)
{
    struct box_tee *tee = context;

    if (tee->count + length > box_image_limits_or_default(NULL).layer_bytes)
        return box_fail(err, BOX_ELIMIT, "the layer is larger than %llu bytes",
                        (unsigned long long)box_image_limits_or_default(NULL).layer_bytes);
    return box_tee_sink(data, length, tee, err);
}

static int pack_plain(struct commit *c, box_tar_sink *sink, void *context, box_error **err)
{
    _tee_ struct box_tee tee = {0};
    int r = box_tee_open(&tee, sink, context, err);

    if (r == 0)
        r = c->what->pack(limited, &tee, c->what->data, err);
    return r < 0 ? r : box_tee_finish(&tee, &c->diff_id, err);
}

static int pack_compressed(struct commit *c, struct box_tee *blob, box_error **err)
{
    const box_archive_options *o = &c->watch.options;
    _cleanup_(box_deflate) struct box_deflate *deflate = NULL;
    int r = box_deflate_new(o->compression, o->level, o->threads, box_tee_sink, blob, &deflate, err);

    if (r == 0)
        r = pack_plain(c, box_deflate_sink, deflate, err);
    return r < 0 ? r : box_deflate_finish(deflate, err);
}

static int pack(struct commit *c, box_error **err)
{
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    _tee_ struct box_tee blob = {0};
    int r = box_file_begin(&file, c->load.work.fd, 0600, err);

    if (r < 0)
        return r;
    c->fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 3);
    if (c->fd < 0)
        return box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor");
    r = box_out_open(&c->out, &c->watch, c->fd, NULL, NULL, err);
    if (r == 0 && c->watch.options.compression == BOX_ARCHIVE_PLAIN) {
        r = pack_plain(c, to_spool, c, err);
        c->blob = c->diff_id;
    } else if (r == 0) {
        r = box_tee_open(&blob, to_spool, c, err);
        if (r == 0)
            r = pack_compressed(c, &blob, err);
        if (r == 0)
            r = box_tee_finish(&blob, &c->blob, err);
    }
    if (r == 0)
        r = box_out_flush(&c->out, err);
    off_t end = r == 0 ? lseek(c->fd, 0, SEEK_END) : 0;
    c->size = end > 0 ? (uint64_t)end : 0;
    return r;
}

static int tick(void *data, uint64_t read, box_error **err)
{
    struct commit *c = data;

    (void)read;
    return box_watch_look(&c->watch, err);
}

static int unpack(struct commit *c, box_error **err)
{
    struct load_image *image = &c->load.images[0];
    const size_t top = image->n_layers - 1;
    const struct box_layer_input input = {.fd = c->fd,
                                          .size = c->size,
                                          .blob = &c->blob,
                                          .keep = c->load.keeps_blobs,
                                          .limits = &c->load.limits,
                                          .tick = tick,
                                          .tick_data = c};
    int r = 0;

    /* What it needs, before it is looked for. */
    for (size_t i = 0; r == 0 && i <= top; i++)
        r = box_store_work_need(&c->load.work, "layer", &image->layers[i].diff_id, err);
    for (size_t i = 0; r == 0 && i <= top; i++)
        r = box_store_work_need(&c->load.work, "blob", &image->blobs[i], err);
    if (r == 0)
        r = box_layer_make(&c->load.work, &input, &image->layers[top], err);
    if (r == BOX_LAYER_PENDING)
        r = box_layer_inherit(&c->load.work, image->layers, top, err);
    return r < 0 ? r : 0;
}

/* ---- The config ---- */

static json_object *member(json_object *doc, const char *key, json_type type, json_object *(*make)(void),
                           box_error **err)
{
    json_object *found = NULL;

    if (json_object_object_get_ex(doc, key, &found) && json_object_is_type(found, type))
        return found;
    found = make();
    return box_json_put(doc, key, found, err) < 0 ? NULL : found;
}

static int put_step(const struct commit *c, json_object *doc, box_error **err)
{
    const struct box_layer_on_top *what = c->what;
    json_object *history = member(doc, "history", json_type_array, json_object_new_array, err);
    json_object *step = json_object_new_object();
    int r = history ? box_json_append(history, step, err) : BOX_ENOMEM;

    if (!history)
        json_object_put(step);
    if (r == 0)
        r = box_json_put_string(step, "created", c->created, err);
    if (r == 0 && what->created_by)
        r = box_json_put_string(step, "created_by", what->created_by, err);
    if (r == 0 && what->author)
        r = box_json_put_string(step, "author", what->author, err);
    return r == 0 && what->message ? box_json_put_string(step, "comment", what->message, err) : r;
}

static int put_diff_id(const struct commit *c, json_object *doc, box_error **err)
{
    json_object *rootfs = member(doc, "rootfs", json_type_object, json_object_new_object, err);
    json_object *list = rootfs ? member(rootfs, "diff_ids", json_type_array, json_object_new_array, err) : NULL;
    char text[BOX_DIGEST_TEXT];

    if (!list)
        return BOX_ENOMEM;
    int r = box_json_append(list, json_object_new_string(box_digest_format(&c->diff_id, text)), err);
    return r < 0 ? r : box_json_put_string(rootfs, "type", "layers", err);
}

static json_object *base_config(const struct commit *c, box_error **err)
{
    const box_image *base = c->what->base;
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};

    if (base)
        return box_json_parse(base->config_json, base->config_length, &limits, base->id, err);
    json_object *doc = json_object_new_object();
    const char *slash = strchr(box_platform_host(), '/');
    if (!doc || box_json_put_string(doc, "os", "linux", err) < 0 ||
        box_json_put_string(doc, "architecture", slash + 1, err) < 0) {
        json_object_put(doc);
        return NULL;
    }
    return doc;
}

/* Fields that say something about the container which an older image was made in, and are wrong from now on. */
static void drop_stale(json_object *doc)
{
    static const char *const stale[] = {"container", "container_config", "parent", "id"};

    for (size_t i = 0; i < BOX_ARRAY(stale); i++)
        json_object_object_del(doc, stale[i]);
}

static int make_config(const struct commit *c, char **text, box_error **err)
{
    const struct box_layer_on_top *what = c->what;
    _cleanup_(json_object) json_object *doc = base_config(c, err);
    int r = doc ? box_json_put_string(doc, "created", c->created, err) : err && *err ? box_error_code(*err) : BOX_ENOMEM;

    if (r < 0)
        return r;
    drop_stale(doc);
    if (what->author)
        r = box_json_put_string(doc, "author", what->author, err);
    json_object *config = r == 0 ? member(doc, "config", json_type_object, json_object_new_object, err) : NULL;
    if (!config)
        return r < 0 ? r : BOX_ENOMEM;
    if (what->change)
        r = what->change(config, what->data, err);
    for (size_t i = 0; r == 0 && what->changes && what->changes[i]; i++)
        r = box_import_change(config, what->changes[i], err);
    if (r == 0)
        r = put_diff_id(c, doc, err);
    if (r == 0)
        r = put_step(c, doc, err);
    const char *json = r == 0 ? json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN |
                                                                        JSON_C_TO_STRING_NOSLASHESCAPE)
                              : NULL;
    if (r < 0)
        return r;
    *text = json ? strdup(json) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}

/* ---- The manifest ---- */

/* Docker's name for the media type of a layer in OCI's words. */
static const char *oci_type(const char *media_type)
{
    bool plain = box_ends_with(media_type, ".tar"), zstd = box_ends_with(media_type, "zstd");

    if (box_after_prefix(media_type, BOX_MEDIA_OCI_LAYER))
        return media_type;
    return plain ? BOX_MEDIA_OCI_LAYER : zstd ? BOX_MEDIA_OCI_LAYER "+zstd" : BOX_MEDIA_OCI_LAYER "+gzip";
}

static int make_manifest(struct commit *c, box_error **err)
{
    static const char *const types[] = {BOX_MEDIA_OCI_LAYER, BOX_MEDIA_OCI_LAYER "+gzip",
                                        BOX_MEDIA_OCI_LAYER "+zstd"};
    const box_image *base = c->what->base;
    _cleanup_(json_object) json_object *layers = json_object_new_array();
    _manifest_ struct box_manifest manifest = {0};
    int r = layers ? 0 : box_fail_nomem(err);

    if (r == 0 && base)
        r = box_manifest_parse(base->manifest_json, base->manifest_length, NULL, base->digest, UINT32_MAX, &manifest,
                               err);
    if (r == 0 && manifest.n_layers + 1 != c->load.images[0].n_layers)
        r = box_fail(err, BOX_ECORRUPT, "the manifest and the config of the image below do not have the same layers");
    for (size_t i = 0; r == 0 && i < manifest.n_layers; i++) {
        const struct box_descriptor *d = &manifest.layers[i];
        c->load.images[0].blobs[i] = d->digest;
        r = box_load_describe_layer(layers, oci_type(d->media_type), &d->digest, d->size, err);
    }
    if (r == 0)
        c->load.images[0].blobs[manifest.n_layers] = c->blob;
    if (r == 0)
        r = box_load_describe_layer(layers, types[c->watch.options.compression], &c->blob, c->size, err);
    return r < 0 ? r : box_load_make_manifest(&c->load.images[0], layers, err);
}

/* ---- The image ---- */

static void format_time(int64_t seconds, char out[32])
{
    struct timespec now;
    struct tm tm;
    time_t t = (time_t)seconds;

    if (!seconds) {
        clock_gettime(CLOCK_REALTIME, &now);
        t = now.tv_sec;
    }
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int set_name(struct load_image *image, const char *name, box_error **err)
{
    _reference_ struct box_reference reference = {0};

    if (!name)
        return 0;
    int r = box_reference_read(name, &reference, err);
    if (r == 0 && reference.digest)
        r = box_fail(err, BOX_EINVAL, "an image cannot be given a name with a digest: %s", name);
    if (r == 0 && box_strv_append_take(&image->names, box_reference_full(&reference)) < 0)
        r = box_fail_nomem(err);
    return r;
}

static int make_documents(struct commit *c, box_error **err)
{
    struct load_image *image = &c->load.images[0];
    const size_t n = c->what->base ? c->what->base->config.n_diff_ids : 0;
    int r = make_config(c, &image->config_json, err);

    if (r < 0)
        return r;
    image->config_length = strlen(image->config_json);
    r = box_digest_data(BOX_SHA256, image->config_json, image->config_length, &image->config, err);
    if (r == 0)
        r = box_load_take_config(image, n + 1, err);
    return r < 0 ? r : make_manifest(c, err);
}

/* What can be wrong in the caller's words is found before anything is packed. */
static int check(struct commit *c, box_error **err)
{
    _free_ char *text = NULL;
    struct load_image *image = box_load_add_image(&c->load, err);

    if (!image)
        return BOX_ENOMEM;
    c->diff_id.algorithm = BOX_SHA256;
    format_time(c->what->created, c->created);
    int r = set_name(image, c->what->name, err);
    return r < 0 ? r : make_config(c, &text, err);
}

static int commit(struct commit *c, box_image **image, box_error **err)
{
    _cleanup_(box_image_list) box_image_list *list = NULL;
    int r = check(c, err);

    if (r == 0)
        r = pack(c, err);
    if (r == 0)
        r = make_documents(c, err);
    if (r == 0)
        r = unpack(c, err);
    if (r == 0)
        r = box_load_need_all(&c->load, err);
    if (r == 0)
        r = box_watch_look(&c->watch, err);
    if (r == 0)
        r = box_load_commit(&c->load, &list, err);
    if (r == 0 && image)
        *image = box_image_list_take(list, 0);
    return r;
}

int box_image_put_on_top(box_store *store, const struct box_layer_on_top *what, box_image **image, box_error **err)
{
    struct commit c = {.what = what, .fd = -1};
    int r = box_watch_begin(&c.watch, what->options, err);

    if (r < 0)
        return r;
    r = box_load_init(&c.load, store, NULL, err);
    c.load.limits.ratio = 1000000; /* the stream is our own: what it may grow to was looked at while it was packed */
    if (r == 0)
        r = commit(&c, image, err);
    box_out_close(&c.out);
    box_cleanup_close(&c.fd);
    return box_load_finish(&c.load, r);
}
