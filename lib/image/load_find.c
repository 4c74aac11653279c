/* What images an archive has.
 *
 * An OCI layout is known by its file oci-layout; index.json leads to manifests, which lead to configs and
 * layers, each by digest and size, which are checked before a byte is believed. `docker save` of old has a
 * manifest.json with names of files; newer ones have both, and the first is used. Such an archive has no
 * manifest in OCI's sense, so one is made: the same archive always gives the same. */
#include "image/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "base/strings.h"
#include "image/reference.h"
#include "image/source.h"

#define INDEX_DEPTH 4
#define IMAGES_MAX  1024

/* ---- Documents and blobs ---- */

static int missing(const char *what, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = what};

    return box_fail_with(err, &info, "%s is not in the archive", what);
}

static void blob_name(const struct box_digest *digest, char out[BOX_DIGEST_TEXT + 16])
{
    char hex[BOX_DIGEST_TEXT];

    snprintf(out, BOX_DIGEST_TEXT + 16, "blobs/%s/%s", box_digest_algorithm_name(digest->algorithm),
             box_digest_hex(digest, hex));
}

/* A document by its descriptor: of the size and digest that it says. */
static int read_document(const struct load *load, const struct box_descriptor *d, char **text, size_t *length,
                         box_error **err)
{
    char name[BOX_DIGEST_TEXT + 16];
    struct box_digest found;

    blob_name(&d->digest, name);
    int r = box_bundle_read(load->bundle, name, text, length, err);
    if (r <= 0)
        return r < 0 ? r : missing(name, err);
    if (*length != d->size) {
        struct box_fail_info info = {.code = BOX_EDIGEST, .subject = name};
        return box_fail_with(err, &info, "%s has %zu bytes, not the %llu that its descriptor says", name,
                             *length, (unsigned long long)d->size);
    }
    r = box_digest_data(d->digest.algorithm, *text, *length, &found, err);
    return r < 0 ? r : box_digest_check(&d->digest, &found, name, err);
}

static int find_blob(const struct load *load, const struct box_descriptor *d, struct box_piece *piece,
                     box_error **err)
{
    char name[BOX_DIGEST_TEXT + 16];

    blob_name(&d->digest, name);
    int r = box_bundle_find(load->bundle, name, piece, err);
    if (r <= 0)
        return r < 0 ? r : missing(name, err);
    if (piece->size == d->size)
        return 0;
    struct box_fail_info info = {.code = BOX_EDIGEST, .subject = name};
    return box_fail_with(err, &info, "%s has %llu bytes, not the %llu that its descriptor says", name,
                         (unsigned long long)piece->size, (unsigned long long)d->size);
}

/* ---- Images ---- */

struct load_image *box_load_add_image(struct load *load, box_error **err)
{
    if (load->n_images >= IMAGES_MAX) {
        box_fail(err, BOX_ELIMIT, "the archive has more than %d images", IMAGES_MAX);
        return NULL;
    }
    struct load_image *image = box_array_add(&load->images, &load->n_images, &load->images_capacity);
    if (!image)
        box_fail_nomem(err);
    return image;
}

int box_load_add_layer(struct load *load, struct load_image *image, size_t at, const struct box_digest *blob,
                       struct box_piece *piece, box_error **err)
{
    const struct box_layer_id *id = &image->layers[at];

    image->blobs[at] = *blob;
    for (size_t i = 0; i < load->n_layers; i++)
        if (box_layer_id_equal(&load->layers[i].id, id)) {
            box_piece_close(piece);
            return 0;
        }
    struct load_layer *layer = box_array_add(&load->layers, &load->n_layers, &load->layers_capacity);
    if (!layer)
        return box_fail_nomem(err);
    layer->id = *id;
    layer->blob = *blob;
    layer->piece = *piece;
    *piece = BOX_PIECE_NONE;
    return 0;
}

int box_load_take_config(struct load_image *image, size_t layers, box_error **err)
{
    _config_ struct box_config config = {0};
    char id[BOX_DIGEST_TEXT];

    box_digest_format(&image->config, id);
    int r = box_config_parse(image->config_json, image->config_length, id, &config, err);
    if (r < 0)
        return r;
    if (*config.os && strcmp(config.os, "linux") != 0) {
        struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = config.os};
        return box_fail_with(err, &info, "the image is for %s, not for linux", config.os);
    }
    if (config.n_diff_ids != layers) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = id};
        return box_fail_with(err, &info, "the image has %zu layers, but its config lists %zu diff ids",
                             layers, config.n_diff_ids);
    }
    image->n_layers = layers;
    image->blobs = calloc(layers ? layers : 1, sizeof(*image->blobs));
    if (!image->blobs)
        return box_fail_nomem(err);
    return box_layer_ids(config.diff_ids, layers, &image->layers, err);
}

/* A name that cannot be one, such as a bare version with a plus sign, is as good as none. */
static int add_name(struct load_image *image, const char *name, box_error **err)
{
    _reference_ struct box_reference reference = {0};

    if (!name || box_reference_read(name, &reference, NULL) < 0 || reference.digest)
        return 0;
    _free_ char *full = box_reference_full(&reference);
    if (!full || (!box_strv_contains(image->names, full) && box_strv_append(&image->names, full) < 0))
        return box_fail_nomem(err);
    return 0;
}

/* ---- OCI layout ---- */

static int read_manifest(struct load *load, const struct box_descriptor *d, struct load_image *image,
                         box_error **err)
{
    _manifest_ struct box_manifest manifest = {0};
    char text[BOX_DIGEST_TEXT];
    int r = read_document(load, d, &image->manifest_json, &image->manifest_length, err);

    if (r == 0)
        r = box_manifest_parse(image->manifest_json, image->manifest_length, d->media_type,
                               box_digest_format(&d->digest, text), load->limits.layers, &manifest, err);
    if (r == 0)
        r = read_document(load, &manifest.config, &image->config_json, &image->config_length, err);
    if (r < 0)
        return r;
    image->manifest = d->digest;
    image->config = manifest.config.digest;
    image->media_type = box_take(manifest.media_type);
    r = box_load_take_config(image, manifest.n_layers, err);
    for (size_t i = 0; r == 0 && i < manifest.n_layers; i++) {
        _piece_ struct box_piece piece = BOX_PIECE_NONE;
        r = find_blob(load, &manifest.layers[i], &piece, err);
        if (r == 0)
            r = box_load_add_layer(load, image, i, &manifest.layers[i].digest, &piece, err);
    }
    return r;
}

static struct load_image *find_manifest(const struct load *load, const struct box_digest *digest)
{
    for (size_t i = 0; i < load->n_images; i++)
        if (box_digest_equal(&load->images[i].manifest, digest))
            return &load->images[i];
    return NULL;
}

/* A descriptor leads to an image, directly or through an index of platforms. */
static int add_descriptor(struct load *load, const struct box_descriptor *d,
                          const struct box_descriptor *named, unsigned depth, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    int r;

    if (box_media_kind(d->media_type) == BOX_MEDIA_MANIFEST) {
        struct load_image *image = find_manifest(load, &d->digest);
        if (!image) {
            image = box_load_add_image(load, err);
            if (!image)
                return BOX_ELIMIT;
            r = read_manifest(load, d, image, err);
            if (r < 0)
                return box_fail_wrap(err, r, "image %s",
                                     named->name       ? named->name
                                     : named->ref_name ? named->ref_name
                                                       : box_digest_format(&d->digest, text));
        }
        return add_name(image, named->name ? named->name : named->ref_name, err);
    }
    _manifest_index_ struct box_manifest_index index = {0};
    _free_ char *json = NULL;
    size_t length = 0;
    if (depth == 0)
        return box_fail(err, BOX_EPARSE, "indexes are nested more than %d deep", INDEX_DEPTH);
    box_digest_format(&d->digest, text);
    r = read_document(load, d, &json, &length, err);
    if (r == 0)
        r = box_manifest_index_parse(json, length, d->media_type, text, &index, err);
    if (r < 0)
        return r;
    const struct box_descriptor *chosen = box_manifest_index_choose(&index, load->options.platform);
    if (!chosen) {
        const char *platform = load->options.platform ? load->options.platform : box_platform_host();
        struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = platform};
        return box_fail_with(err, &info, "the image %s is not there for %s", named->name ? named->name : text,
                             platform);
    }
    return add_descriptor(load, chosen, named, depth - 1, err);
}

static bool same_name(const struct box_descriptor *a, const struct box_descriptor *b)
{
    return box_streq(a->name, b->name) && box_streq(a->ref_name, b->ref_name);
}

/* Whether an entry of index.json is an image of its own. Several of one name are the platforms of one image,
 * of which one is taken; attestations and artifacts are none. */
static bool is_wanted(const struct load *load, const struct box_manifest_index *index,
                      const struct box_descriptor *d)
{
    struct box_descriptor same[64];
    struct box_manifest_index platforms = {same, 0};
    enum box_media kind = box_media_kind(d->media_type);

    if (kind != BOX_MEDIA_MANIFEST && kind != BOX_MEDIA_INDEX)
        return false;
    if (!d->os)
        return true;
    for (size_t i = 0; i < index->n_entries && platforms.n_entries < BOX_ARRAY(same); i++)
        if (index->entries[i].os && same_name(d, &index->entries[i]))
            same[platforms.n_entries++] = index->entries[i];
    if (platforms.n_entries == 1)
        return strcmp(d->os, "unknown") != 0;
    const struct box_descriptor *chosen = box_manifest_index_choose(&platforms, load->options.platform);
    return chosen && box_digest_equal(&chosen->digest, &d->digest);
}

static int find_oci(struct load *load, const char *json, size_t length, box_error **err)
{
    _manifest_index_ struct box_manifest_index index = {0};
    int r = box_manifest_index_parse(json, length, NULL, "index.json", &index, err);

    for (size_t i = 0; r == 0 && i < index.n_entries; i++)
        if (is_wanted(load, &index, &index.entries[i]))
            r = add_descriptor(load, &index.entries[i], &index.entries[i], INDEX_DEPTH, err);
    return r;
}

/* ---- docker save ---- */

/* What a layer of such an archive is as a descriptor. */
static int append_layer(json_object *list, const struct box_piece *piece, const struct box_digest *diff_id,
                        struct box_digest *blob, box_error **err)
{
    char first[8];
    int r = 0;
    ssize_t n = pread(piece->fd, first, piece->size < sizeof(first) ? (size_t)piece->size : sizeof(first),
                      (off_t)piece->offset);
    enum box_compression compression = n > 0 ? box_compression_of(first, (size_t)n) : BOX_PLAIN;
    const char *type = compression == BOX_GZIP   ? BOX_MEDIA_OCI_LAYER "+gzip"
                       : compression == BOX_ZSTD ? BOX_MEDIA_OCI_LAYER "+zstd"
                                                 : BOX_MEDIA_OCI_LAYER;

    *blob = *diff_id;
    if (compression != BOX_PLAIN) {
        struct box_source *source = box_source_range(piece->fd, piece->offset, piece->size, err);
        _cleanup_(box_source) box_source *digested = source ? box_source_digest(source, err) : NULL;
        r = digested ? box_source_digest_finish(digested, blob, NULL, err) : BOX_ENOMEM;
    }
    return r < 0 ? r : box_load_describe_layer(list, type, blob, piece->size, err);
}

static int add_docker_layers(struct load *load, struct load_image *image, const struct box_json_at *list,
                             json_object *layers, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
        struct box_json_at element = box_json_element(list, i);
        _piece_ struct box_piece piece = BOX_PIECE_NONE;
        struct box_digest blob;
        const char *name = NULL;
        if ((r = box_json_as_string(&element, &name, err)) < 0 ||
            (r = box_bundle_find(load->bundle, name, &piece, err)) < 0)
            return r;
        if (r == 0)
            return missing(name, err);
        r = append_layer(layers, &piece, &image->layers[i].diff_id, &blob, err);
        if (r == 0)
            r = box_load_add_layer(load, image, i, &blob, &piece, err);
    }
    return r;
}

static int add_docker_names(struct load_image *image, const struct box_json_at *at, box_error **err)
{
    _strv_ char **names = NULL;
    int r = box_json_get_strings(at, "RepoTags", BOX_JSON_OPTIONAL, &names, err);

    for (size_t i = 0; r == 0 && names && names[i]; i++)
        r = add_name(image, names[i], err);
    return r;
}

static int add_docker_image(struct load *load, const struct box_json_at *at, box_error **err)
{
    struct load_image *image = box_load_add_image(load, err);
    _cleanup_(json_object) json_object *layers = json_object_new_array();
    struct box_json_at list;
    const char *config = NULL;
    size_t n = 0;
    int r = image ? box_json_as_object(at, err) : BOX_ELIMIT;

    if (r < 0 || (r = box_json_get_string(at, "Config", BOX_JSON_REQUIRED, &config, err)) < 0 ||
        (r = box_json_get_array(at, "Layers", BOX_JSON_OPTIONAL, &list, &n, err)) < 0)
        return r;
    if (!layers)
        return box_fail_nomem(err);
    if (n > load->limits.layers)
        return box_fail(err, BOX_ELIMIT, "the image has %zu layers, of which %u are allowed", n,
                        load->limits.layers);
    r = box_bundle_read(load->bundle, config, &image->config_json, &image->config_length, err);
    if (r <= 0)
        return r < 0 ? r : missing(config, err);
    if ((r = box_digest_data(BOX_SHA256, image->config_json, image->config_length, &image->config, err)) <
            0 ||
        (r = box_load_take_config(image, n, err)) < 0 ||
        (r = add_docker_layers(load, image, &list, layers, err)) < 0 ||
        (r = box_load_make_manifest(image, layers, err)) < 0)
        return r;
    return add_docker_names(image, at, err);
}

static int find_docker(struct load *load, const char *json, size_t length, box_error **err)
{
    struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 16};
    _cleanup_(json_object) json_object *doc = box_json_parse(json, length, &limits, "manifest.json", err);
    struct box_json_at root = BOX_JSON_ROOT(doc);
    size_t n = 0;

    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_EPARSE;
    int r = box_json_as_array(&root, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&root, i);
        r = add_docker_image(load, &element, err);
        if (r < 0)
            r = box_fail_wrap(err, r, "image %zu of manifest.json", i + 1);
    }
    return r;
}

/* ---- Which kind it is ---- */

static int not_an_archive(const struct load *load, box_error **err)
{
    struct box_piece piece = BOX_PIECE_NONE;
    const char *why = "it has neither an index.json nor a manifest.json";
    const char *remedy = "to make an image of a root file system, import it";

    if (box_bundle_find(load->bundle, "repositories", &piece, NULL) == 1) {
        why = "it was written by a Docker before 1.10";
        remedy = "load and save it with a newer Docker";
    }
    box_piece_close(&piece);
    struct box_fail_info info = {.code = BOX_EPARSE, .remedy = remedy};
    return box_fail_with(err, &info, "this is no archive of images: %s", why);
}

int box_load_find(struct load *load, box_error **err)
{
    _free_ char *json = NULL, *layout = NULL;
    size_t length = 0, layout_length = 0;
    int r = box_bundle_read(load->bundle, "oci-layout", &layout, &layout_length, err);

    if (r > 0)
        r = box_bundle_read(load->bundle, "index.json", &json, &length, err);
    if (r < 0)
        return r;
    if (r > 0) {
        r = find_oci(load, json, length, err);
    } else {
        r = box_bundle_read(load->bundle, "manifest.json", &json, &length, err);
        if (r <= 0)
            return r < 0 ? r : not_an_archive(load, err);
        r = find_docker(load, json, length, err);
    }
    if (r == 0 && load->n_images == 0)
        return box_fail(err, BOX_EPARSE, "there is no image in the archive");
    return r;
}
