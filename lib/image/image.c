/* Opening images: by name or id, all of them, and what can be read from one. */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/reference.h"

/* ---- Reading one from the store ---- */

static int read_documents(const box_store *store, const struct box_digest *manifest_digest,
                          char **manifest_json, size_t *manifest_length, struct box_manifest *manifest,
                          char **config_json, size_t *config_length, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    int r = box_store_read_blob(store, manifest_digest, manifest_json, manifest_length, err);

    if (r == 0)
        r = box_manifest_parse(*manifest_json, *manifest_length, NULL,
                               box_digest_format(manifest_digest, text), UINT32_MAX, manifest, err);
    return r < 0 ? r : box_store_read_blob(store, &manifest->config.digest, config_json, config_length, err);
}

/* Errors in what the store itself keeps are damage, whatever they would be in what comes in. */
static int damaged(const struct box_digest *manifest, box_error *why, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    int code = box_error_code(why);

    if (code == BOX_ENOMEM || code == BOX_EPERMISSION || code == BOX_ESYSTEM) {
        if (err)
            *err = why;
        else
            box_error_free(why);
        return code;
    }
    struct box_fail_info info = {.code = BOX_ECORRUPT,
                                 .subject = box_digest_format(manifest, text),
                                 .remedy = "remove the image and load it again"};
    int r =
        box_fail_with(err, &info, "the image with manifest %s is damaged: %s", text, box_error_message(why));
    box_error_free(why);
    return r;
}

static int find_layers(const box_store *store, struct box_image *image, box_error **err)
{
    size_t n = image->config.n_diff_ids;
    _free_ struct box_layer_id *ids = NULL;
    int r = box_layer_ids(image->config.diff_ids, n, &ids, err);

    image->layers = calloc(n ? n : 1, sizeof(*image->layers));
    image->layer_names = calloc(n ? n : 1, sizeof(*image->layer_names));
    image->diff_ids = calloc(n ? n : 1, sizeof(*image->diff_ids));
    if (r < 0 || !image->layers || !image->layer_names || !image->diff_ids)
        return r < 0 ? r : box_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        box_digest_format(&ids[i].diff_id, image->diff_ids[i]);
        r = box_store_find_layer(store, &ids[i], image->layer_names[i], &image->layers[i], err);
        if (r < 0)
            return r;
        if (r == 0)
            return box_fail(err, BOX_ECORRUPT, "layer %s is not in the store", image->diff_ids[i]);
        image->size += image->layers[i].bytes;
    }
    return 0;
}

static int fill(const box_store *store, const struct box_index_entry *entry, struct box_image *image,
                box_error **err)
{
    _manifest_ struct box_manifest manifest = {0};
    int r = read_documents(store, &entry->manifest, &image->manifest_json, &image->manifest_length, &manifest,
                           &image->config_json, &image->config_length, err);

    if (r < 0)
        return r;
    image->n_annotations = manifest.n_annotations;
    image->annotations = box_take(manifest.annotations);
    manifest.n_annotations = 0;
    image->id_digest = manifest.config.digest;
    image->manifest_digest = entry->manifest;
    box_digest_format(&image->manifest_digest, image->digest);
    box_digest_format(&image->id_digest, image->id);
    r = box_config_parse(image->config_json, image->config_length, image->id, &image->config, err);
    if (r < 0)
        return r;
    image->created = box_time_parse(image->config.created);
    return find_layers(store, image, err);
}

static int collect_names(const struct box_index *index, struct box_image *image, box_error **err)
{
    image->names = box_strv_dup(NULL);
    int r = image->names ? 0 : BOX_ENOMEM;

    for (size_t i = 0; r == 0 && i < index->n; i++)
        if (index->entries[i].name && box_digest_equal(&index->entries[i].id, &image->id_digest))
            r = box_strv_append(&image->names, index->entries[i].name);
    return r < 0 ? box_fail_nomem(err) : 0;
}

int box_image_read(const box_store *store, const struct box_index *index, const struct box_index_entry *entry,
                   box_image **out, box_error **err)
{
    _cleanup_(box_image) box_image *image = calloc(1, sizeof(*image));
    box_error *why = NULL;

    if (!image)
        return box_fail_nomem(err);
    image->root = strdup(store->root);
    if (!image->root)
        return box_fail_nomem(err);
    if (fill(store, entry, image, &why) < 0)
        return damaged(&entry->manifest, why, err);
    int r = collect_names(index, image, err);
    if (r == 0)
        *out = box_take(image);
    return r;
}

static int take_blobs(const struct box_manifest *manifest, struct box_image_references *references, box_error **err)
{
    references->blobs = calloc(manifest->n_layers ? manifest->n_layers : 1, sizeof(*references->blobs));
    if (!references->blobs)
        return box_fail_nomem(err);
    for (size_t i = 0; i < manifest->n_layers; i++)
        references->blobs[references->n_blobs++] = manifest->layers[i].digest;
    return 0;
}

int box_image_references(const box_store *store, const struct box_digest *manifest_digest,
                         struct box_image_references *references, box_error **err)
{
    _free_ char *manifest_json = NULL, *config_json = NULL;
    _manifest_ struct box_manifest manifest = {0};
    _config_ struct box_config config = {0};
    char text[BOX_DIGEST_TEXT];
    size_t manifest_length = 0, config_length = 0;
    box_error *why = NULL;
    int r = read_documents(store, manifest_digest, &manifest_json, &manifest_length, &manifest, &config_json,
                           &config_length, &why);

    *references = (struct box_image_references){.config = manifest.config.digest};
    if (r == 0)
        r = box_config_parse(config_json, config_length, box_digest_format(&manifest.config.digest, text), &config,
                             &why);
    if (r == 0)
        r = take_blobs(&manifest, references, &why);
    if (r < 0)
        return damaged(manifest_digest, why, err);
    references->diff_ids = box_take(config.diff_ids);
    references->n_diff_ids = config.n_diff_ids;
    return 0;
}

void box_image_references_clear(struct box_image_references *references)
{
    free(references->diff_ids);
    free(references->blobs);
}

void box_image_free(box_image *image)
{
    if (!image)
        return;
    free(image->root);
    free(image->manifest_json);
    free(image->config_json);
    box_config_clear(&image->config);
    for (size_t i = 0; i < image->n_annotations; i++) {
        free((char *)image->annotations[i].key);
        free((char *)image->annotations[i].value);
    }
    free(image->annotations);
    free(image->layers);
    free(image->diff_ids);
    free(image->layer_names);
    box_strv_free(image->names);
    free(image);
}

/* ---- Finding ---- */

static int not_found(const char *text, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = text, .remedy = "load or import it"};

    return box_fail_with(err, &info, "no image \"%s\" in the store", text);
}

static int by_name(const struct box_index *index, const struct box_reference *reference,
                   struct box_index_entry **entry)
{
    struct box_digest digest;
    _free_ char *repository = box_reference_repository(reference);
    _free_ char *full = box_reference_full(reference);

    if (!repository || !full)
        return BOX_ENOMEM;
    if (!reference->digest) {
        *entry = box_index_find(index, full);
        return 0;
    }
    /* name@digest: the manifest, or, as Docker has it, the id, under any tag of this repository. */
    if (box_digest_parse(reference->digest, &digest, NULL) < 0)
        return 0;
    for (size_t i = 0; i < index->n && !*entry; i++) {
        struct box_index_entry *e = &index->entries[i];
        const char *rest = e->name ? box_after_prefix(e->name, repository) : NULL;
        if (rest && (*rest == '@' || (*rest == ':' && (!reference->tag || strcmp(rest + 1, reference->tag) == 0))) &&
            (box_digest_equal(&e->manifest, &digest) || box_digest_equal(&e->id, &digest)))
            *entry = e;
    }
    return 0;
}

/* The digits of an id, with or without what goes before them; NULL when it cannot be one. */
static const char *id_digits(const char *text)
{
    const char *hex = box_after_prefix(text, "sha256:");

    hex = hex ? hex : text;
    size_t n = strlen(hex);
    return n > 0 && n <= 64 && strspn(hex, "0123456789abcdef") == n ? hex : NULL;
}

static int by_id_prefix(const struct box_index *index, const char *text, const char *hex,
                        struct box_index_entry **entry, box_error **err)
{
    for (size_t i = 0; i < index->n; i++) {
        char own[BOX_DIGEST_TEXT];
        box_digest_hex(&index->entries[i].id, own);
        if (strncmp(own, hex, strlen(hex)) != 0)
            continue;
        if (*entry && !box_digest_equal(&(*entry)->id, &index->entries[i].id)) {
            struct box_fail_info info = {.code = BOX_EINVAL, .subject = text, .remedy = "give more digits"};
            return box_fail_with(err, &info, "the ids of several images begin with \"%s\"", text);
        }
        if (!*entry)
            *entry = &index->entries[i];
    }
    return 0;
}

int box_image_resolve(const struct box_index *index, const char *text, struct box_index_entry **entry,
                      bool *by_id, box_error **err)
{
    _reference_ struct box_reference reference = {0};
    const char *hex = id_digits(text);
    box_error *why = NULL;
    int r = box_reference_read(text, &reference, &why);

    *entry = NULL;
    if (by_id)
        *by_id = false;
    if (r == BOX_ENOMEM || (r < 0 && !hex)) {
        if (err)
            *err = why;
        else
            box_error_free(why);
        return r;
    }
    box_error_free(why);
    if (r == 0 && by_name(index, &reference, entry) < 0)
        return box_fail_nomem(err);
    if (!*entry && hex) {
        r = by_id_prefix(index, text, hex, entry, err);
        if (r < 0)
            return r;
        if (by_id)
            *by_id = *entry != NULL;
    }
    return *entry ? 0 : not_found(text, err);
}

int box_image_open(box_store *store, const char *name, box_image **image, box_error **err)
{
    struct box_index_entry *entry = NULL;

    if (!store || !name || !image)
        return box_fail(err, BOX_EINVAL, "box_image_open: store, name and image must not be NULL");
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    _index_ struct box_index index = {0};
    int r = box_index_read(store, &index, err);
    if (r == 0)
        r = box_image_resolve(&index, name, &entry, NULL, err);
    return r < 0 ? r : box_image_read(store, &index, entry, image, err);
}

/* ---- Lists ---- */

static int newest_first(const void *a, const void *b)
{
    const box_image *x = *(box_image *const *)a, *y = *(box_image *const *)b;

    return x->created != y->created ? (x->created < y->created ? 1 : -1) : strcmp(x->id, y->id);
}

int box_image_list_new(box_store *store, box_image_list **list, box_error **err)
{
    if (!store || !list)
        return box_fail(err, BOX_EINVAL, "box_image_list_new: store and list must not be NULL");
    _cleanup_(box_image_list) box_image_list *made = calloc(1, sizeof(*made));
    if (!made)
        return box_fail_nomem(err);
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    _index_ struct box_index index = {0};
    int r = box_index_read(store, &index, err);
    for (size_t i = 0; r == 0 && i < index.n; i++) {
        if (box_index_find_id(&index, &index.entries[i].id) != &index.entries[i])
            continue; /* another name of one that is there */
        box_image **slot = box_array_add(&made->images, &made->n, &made->capacity);
        r = slot ? box_image_read(store, &index, &index.entries[i], slot, err) : box_fail_nomem(err);
    }
    if (r < 0)
        return r;
    if (made->n)
        qsort(made->images, made->n, sizeof(*made->images), newest_first);
    *list = box_take(made);
    return 0;
}

void box_image_list_free(box_image_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        box_image_free(list->images[i]);
    free(list->images);
    free(list);
}

size_t box_image_list_count(const box_image_list *list)
{
    return list->n;
}

const box_image *box_image_list_get(const box_image_list *list, size_t index)
{
    return index < list->n ? list->images[index] : NULL;
}

box_image *box_image_list_take(box_image_list *list, size_t index)
{
    return index < list->n ? box_take(list->images[index]) : NULL;
}
