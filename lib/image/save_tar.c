/* The archives that are tars. All entries have no time and belong to nobody, so that the same images give the same
 * bytes.
 *
 *     oci-layout, index.json, blobs/sha256/HEX …, and manifest.json over the same blobs      new
 *     HEX.json, CHAIN/{VERSION,json,layer.tar}, manifest.json, repositories                  old */
#include "image/save.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/strings.h"

#define OCI_LAYOUT "{\"imageLayoutVersion\":\"1.0.0\"}"

struct save_out {
    struct save *save;
    struct box_tar_writer *tar;
    char **done; /* names of entries that are there */
};

/* ---- Blobs ---- */

char *box_save_blob_name(const struct box_digest *digest, char out[BOX_DIGEST_TEXT + 16])
{
    char hex[BOX_DIGEST_TEXT];

    snprintf(out, BOX_DIGEST_TEXT + 16, "blobs/sha256/%s", box_digest_hex(digest, hex));
    return out;
}

static int to_tar(const void *data, size_t length, void *context, box_error **err)
{
    return box_tar_writer_data(context, data, length, err);
}

static int put_blob(struct save_out *out, const char *name, const struct save_blob *blob, box_error **err)
{
    int r = box_tar_writer_begin(out->tar, name, blob->size, 0, err);

    if (r == 0)
        r = box_save_copy(out->save, blob, to_tar, out->tar, err);
    return r < 0 ? r : box_tar_writer_pad(out->tar, blob->size, err);
}

static int put_text(struct save_out *out, const char *name, const char *text, box_error **err)
{
    return box_tar_writer_put_data(out->tar, name, text, strlen(text), 0, err);
}

static int put_json(struct save_out *out, const char *name, json_object *doc, box_error **err)
{
    _free_ char *text = NULL;
    int r = doc ? box_save_text(doc, &text, err) : box_fail_nomem(err);

    return r < 0 ? r : put_text(out, name, text, err);
}

/* Whether an entry of this name is still to be written. */
static int is_new(struct save_out *out, const char *name, box_error **err)
{
    if (box_strv_contains(out->done, name))
        return 0;
    return box_strv_append(&out->done, name) < 0 ? box_fail_nomem(err) : 1;
}

struct visiting {
    char **seen;
    box_save_visit *visit;
    void *data;
};

static int visit_once(struct save *save, struct visiting *v, const struct save_blob *blob, box_error **err)
{
    char hex[BOX_DIGEST_TEXT];

    box_digest_hex(&blob->digest, hex);
    if (box_strv_contains(v->seen, hex))
        return 0;
    if (box_strv_append(&v->seen, hex) < 0)
        return box_fail_nomem(err);
    return v->visit(save, blob, v->data, err);
}

int box_save_each_blob(struct save *save, box_save_visit *visit, void *data, box_error **err)
{
    struct visiting v = {.visit = visit, .data = data};
    int r = 0;

    for (size_t i = 0; r == 0 && i < save->n_images; i++) {
        const struct save_image *image = &save->images[i];
        for (size_t j = 0; r == 0 && j < image->manifest.n_layers; j++)
            r = visit_once(save, &v, &image->layers[j].blob, err);
        if (r == 0)
            r = visit_once(save, &v, &image->config_blob, err);
        if (r == 0)
            r = visit_once(save, &v, &image->manifest_blob, err);
    }
    box_strv_free(v.seen);
    return r;
}

/* ---- index.json ---- */

static int describe(const struct save_image *image, enum box_archive_format format, const char *name,
                    json_object *manifests, box_error **err)
{
    json_object *at = json_object_new_object(), *notes;
    char text[BOX_DIGEST_TEXT];
    int r = box_json_append(manifests, at, err);

    if (r < 0 || (r = box_json_put_string(at, "mediaType", image->media_type, err)) < 0 ||
        (r = box_json_put_string(at, "digest", box_digest_format(&image->manifest_blob.digest, text), err)) < 0 ||
        (r = box_json_put_u64(at, "size", image->manifest_blob.size, err)) < 0 || !name)
        return r;
    notes = json_object_new_object();
    if ((r = box_json_put(at, "annotations", notes, err)) < 0 ||
        (r = box_json_put_string(notes, "io.containerd.image.name", name, err)) < 0)
        return r;
    /* Docker writes the tag; skopeo and podman take the whole for the name. */
    const char *tag = format == BOX_ARCHIVE_DOCKER ? strrchr(name, ':') : NULL;
    return box_json_put_string(notes, "org.opencontainers.image.ref.name", tag ? tag + 1 : name, err);
}

int box_save_describe(const struct save *save, enum box_archive_format format, json_object *manifests,
                      box_error **err)
{
    int r = manifests ? 0 : box_fail_nomem(err);

    for (size_t i = 0; r == 0 && i < save->n_images; i++) {
        const struct save_image *image = &save->images[i];
        size_t n = box_strv_length(image->names);
        if (n == 0)
            r = describe(image, format, NULL, manifests, err);
        for (size_t j = 0; r == 0 && j < n; j++)
            r = describe(image, format, image->names[j], manifests, err);
    }
    return r;
}

static int put_index(struct save_out *out, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    json_object *manifests = json_object_new_array();
    int r = box_save_describe(out->save, out->save->watch.options.format, manifests, err);

    if (r < 0) {
        json_object_put(manifests);
        return r;
    }
    if (!doc) {
        json_object_put(manifests);
        return box_fail_nomem(err);
    }
    if ((r = box_json_put_u64(doc, "schemaVersion", 2, err)) == 0)
        r = box_json_put_string(doc, "mediaType", BOX_MEDIA_OCI_INDEX, err);
    if (r < 0) {
        json_object_put(manifests);
        return r;
    }
    r = box_json_put(doc, "manifests", manifests, err);
    return r < 0 ? r : put_json(out, "index.json", doc, err);
}

/* ---- manifest.json ---- */

static int chain_of(const struct save_image *image, size_t index, char hex[BOX_DIGEST_TEXT], box_error **err)
{
    struct box_digest chain = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i <= index; i++) {
        struct box_digest next;
        r = box_layer_chain(&chain, &image->layers[i].diff_id, &next, err);
        chain = next;
    }
    box_digest_hex(&chain, hex);
    return r;
}

static int docker_layers(const struct save_image *image, bool old, json_object *layers, box_error **err)
{
    char name[BOX_DIGEST_TEXT + 16], hex[BOX_DIGEST_TEXT];
    int r = 0;

    for (size_t i = 0; r == 0 && i < image->manifest.n_layers; i++) {
        if (!old)
            box_save_blob_name(&image->layers[i].blob.digest, name);
        else if ((r = chain_of(image, i, hex, err)) == 0)
            snprintf(name, sizeof(name), "%.64s/layer.tar", hex);
        if (r == 0)
            r = box_json_append(layers, json_object_new_string(name), err);
    }
    return r;
}

static int docker_image(const struct save_image *image, bool old, json_object *list, box_error **err)
{
    json_object *at = json_object_new_object(), *tags = json_object_new_array(), *layers = json_object_new_array();
    char name[BOX_DIGEST_TEXT + 16], hex[BOX_DIGEST_TEXT];
    int r = box_json_append(list, at, err);

    if (r < 0) {
        json_object_put(tags);
        json_object_put(layers);
        return r;
    }
    if (old)
        snprintf(name, sizeof(name), "%.64s.json", box_digest_hex(&image->config_blob.digest, hex));
    else
        box_save_blob_name(&image->config_blob.digest, name);
    r = box_json_put_string(at, "Config", name, err);
    if (box_json_put(at, "RepoTags", tags, err) < 0 || box_json_put(at, "Layers", layers, err) < 0 || r < 0)
        return BOX_ENOMEM;
    /* Whole names: Docker takes them for the short ones, podman would take the short ones for others. */
    for (size_t i = 0; r == 0 && i < box_strv_length(image->names); i++)
        r = box_json_append(tags, json_object_new_string(image->names[i]), err);
    return r < 0 ? r : docker_layers(image, old, layers, err);
}

static int put_docker_manifest(struct save_out *out, bool old, box_error **err)
{
    _cleanup_(json_object) json_object *list = json_object_new_array();
    int r = list ? 0 : box_fail_nomem(err);

    for (size_t i = 0; r == 0 && i < out->save->n_images; i++)
        r = docker_image(&out->save->images[i], old, list, err);
    return r < 0 ? r : put_json(out, "manifest.json", list, err);
}

/* ---- The new kind ---- */

static int put_each(struct save *save, const struct save_blob *blob, void *data, box_error **err)
{
    char name[BOX_DIGEST_TEXT + 16];

    (void)save;
    return put_blob(data, box_save_blob_name(&blob->digest, name), blob, err);
}

static int put_new(struct save_out *out, box_error **err)
{
    static const char *const directories[] = {"blobs/", "blobs/sha256/"};
    int r = 0;

    for (size_t i = 0; r == 0 && i < BOX_ARRAY(directories); i++)
        r = box_tar_writer_directory(out->tar, directories[i], 0, err);
    if (r == 0)
        r = box_save_each_blob(out->save, put_each, out, err);
    if (r == 0)
        r = put_index(out, err);
    if (r == 0 && out->save->watch.options.format == BOX_ARCHIVE_DOCKER)
        r = put_docker_manifest(out, false, err);
    return r < 0 ? r : put_text(out, "oci-layout", OCI_LAYOUT, err);
}

/* ---- The old kind ---- */

/* What Docker 1.9 and before wanted to know of a layer. */
static int put_layer_json(struct save_out *out, const struct save_image *image, size_t index, const char *hex,
                          box_error **err)
{
    char below[BOX_DIGEST_TEXT] = "", name[BOX_DIGEST_TEXT + 16];
    int r = index ? chain_of(image, index - 1, below, err) : 0;
    _free_ char *text = box_strf("{\"id\":\"%s\"%s%s%s,\"created\":\"1970-01-01T00:00:00Z\",\"os\":\"linux\"}", hex,
                                 index ? ",\"parent\":\"" : "", below, index ? "\"" : "");

    if (r < 0 || !text)
        return r < 0 ? r : box_fail_nomem(err);
    snprintf(name, sizeof(name), "%.64s/json", hex);
    return put_text(out, name, text, err);
}

static int put_old_layer(struct save_out *out, const struct save_image *image, size_t index, box_error **err)
{
    char hex[BOX_DIGEST_TEXT], name[BOX_DIGEST_TEXT + 16];
    int r = chain_of(image, index, hex, err);

    if (r == 0)
        r = is_new(out, hex, err);
    if (r <= 0)
        return r;
    snprintf(name, sizeof(name), "%.64s/", hex);
    r = box_tar_writer_directory(out->tar, name, 0, err);
    snprintf(name, sizeof(name), "%.64s/VERSION", hex);
    if (r == 0)
        r = put_text(out, name, "1.0", err);
    if (r == 0)
        r = put_layer_json(out, image, index, hex, err);
    snprintf(name, sizeof(name), "%.64s/layer.tar", hex);
    return r < 0 ? r : put_blob(out, name, &image->layers[index].blob, err);
}

/* {"repository": {"tag": "the topmost layer"}} */
static int put_repositories(struct save_out *out, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    char hex[BOX_DIGEST_TEXT];
    int r = doc ? 0 : box_fail_nomem(err);

    for (size_t i = 0; r == 0 && i < out->save->n_images; i++) {
        const struct save_image *image = &out->save->images[i];
        for (size_t j = 0; r == 0 && image->manifest.n_layers && j < box_strv_length(image->names); j++) {
            _free_ char *name = strdup(image->names[j]);
            json_object *tags = NULL;
            char *tag = name ? strrchr(name, ':') : NULL;
            if (!tag)
                return box_fail_nomem(err);
            *tag++ = '\0';
            if (!json_object_object_get_ex(doc, name, &tags)) {
                tags = json_object_new_object();
                r = box_json_put(doc, name, tags, err);
            }
            if (r == 0)
                r = chain_of(image, image->manifest.n_layers - 1, hex, err);
            if (r == 0)
                r = box_json_put_string(tags, tag, hex, err);
        }
    }
    return r < 0 || json_object_object_length(doc) == 0 ? r : put_json(out, "repositories", doc, err);
}

static int put_old(struct save_out *out, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < out->save->n_images; i++) {
        const struct save_image *image = &out->save->images[i];
        char hex[BOX_DIGEST_TEXT], name[BOX_DIGEST_TEXT + 16];
        for (size_t j = 0; r == 0 && j < image->manifest.n_layers; j++)
            r = put_old_layer(out, image, j, err);
        snprintf(name, sizeof(name), "%.64s.json", box_digest_hex(&image->config_blob.digest, hex));
        if (r == 0)
            r = is_new(out, name, err);
        if (r == 1)
            r = put_blob(out, name, &image->config_blob, err);
    }
    if (r == 0)
        r = put_docker_manifest(out, true, err);
    return r < 0 ? r : put_repositories(out, err);
}

int box_save_tar(struct save *save, box_tar_sink *sink, void *context, box_error **err)
{
    const struct box_tar_how how = {.sink = sink, .context = context};
    _cleanup_(box_tar_writer) struct box_tar_writer *writer = NULL;
    struct save_out out = {.save = save};
    int r = box_tar_writer_new(&how, &writer, err);

    if (r < 0)
        return r;
    out.tar = writer;
    r = save->watch.options.format == BOX_ARCHIVE_DOCKER_OLD ? put_old(&out, err) : put_new(&out, err);
    box_strv_free(out.done);
    return r < 0 ? r : box_tar_writer_end(writer, err);
}
