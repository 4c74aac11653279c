/* images.json: reading, changing, writing. What was committed late (store_late.c) is in front of it. */
#include "image/store_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "base/strings.h"
#include "image/store_late.h"

#define INDEX_FILE "images.json"
#define INDEX_MAX  BOX_INDEX_MAX
#define NAME_KEY   "org.opencontainers.image.ref.name"
#define ID_KEY     "org.libbox.image.id"
#define BOOT_KEY   "org.libbox.boot"

static void entry_clear(struct box_index_entry *entry)
{
    free(entry->name);
    free(entry->media_type);
    *entry = (struct box_index_entry){0};
}

void box_index_clear(struct box_index *index)
{
    for (size_t i = 0; i < index->n; i++)
        entry_clear(&index->entries[i]);
    free(index->entries);
    *index = (struct box_index){0};
}

/* ---- Reading ---- */

static int read_digest(const struct box_json_at *at, const char *key, struct box_digest *out, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(at, key, BOX_JSON_REQUIRED, &text, err);

    return r < 0 ? r : box_digest_parse(text, out, err);
}

static int read_entry(const struct box_json_at *at, struct box_index_entry *entry, box_error **err)
{
    struct box_json_at annotations;
    const char *name = NULL, *media_type = NULL;
    int r = box_json_as_object(at, err);

    if (r < 0 || (r = read_digest(at, "digest", &entry->manifest, err)) < 0 ||
        (r = box_json_get_u64(at, "size", BOX_JSON_REQUIRED, 0, INT64_MAX, &entry->size, err)) < 0 ||
        (r = box_json_get_string(at, "mediaType", BOX_JSON_REQUIRED, &media_type, err)) < 0 ||
        (r = box_json_get_object(at, "annotations", BOX_JSON_REQUIRED, &annotations, err)) < 0 ||
        (r = read_digest(&annotations, ID_KEY, &entry->id, err)) < 0 ||
        (r = box_json_get_string(&annotations, NAME_KEY, BOX_JSON_OPTIONAL, &name, err)) < 0)
        return r;
    entry->media_type = strdup(media_type);
    entry->name = name ? strdup(name) : NULL;
    return entry->media_type && (!name || entry->name) ? 0 : box_fail_nomem(err);
}

/* The boot that an index of late images belongs to. */
static int read_boot(const struct box_json_at *root, char boot[40], box_error **err)
{
    struct box_json_at annotations;
    const char *id = NULL;
    int r = box_json_get_object(root, "annotations", BOX_JSON_REQUIRED, &annotations, err);

    if (r == 0)
        r = box_json_get_string(&annotations, BOOT_KEY, BOX_JSON_REQUIRED, &id, err);
    if (r == 0)
        snprintf(boot, 40, "%s", id);
    return r;
}

int box_index_parse(const char *text, size_t length, struct box_index *index, char boot[40], box_error **err)
{
    struct box_json_limits limits = {.size = INDEX_MAX, .depth = 16};
    _cleanup_(json_object) json_object *doc = box_json_parse(text, length, &limits, INDEX_FILE, err);
    struct box_json_at root = BOX_JSON_ROOT(doc), list;
    size_t n = 0;

    *index = (struct box_index){0};
    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_EPARSE;
    int r = boot ? read_boot(&root, boot, err) : 0;
    if (r == 0)
        r = box_json_get_array(&root, "manifests", BOX_JSON_REQUIRED, &list, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at at = box_json_element(&list, i);
        struct box_index_entry *entry = box_array_add(&index->entries, &index->n, &index->capacity);
        r = entry ? read_entry(&at, entry, err) : box_fail_nomem(err);
    }
    if (r < 0)
        box_index_clear(index);
    return r;
}

int box_index_read(const box_store *store, struct box_index *index, box_error **err)
{
    _free_ char *text = NULL;
    box_error *own = NULL;
    size_t length = 0;

    int r = box_late_read(store, index, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = box_file_read(store->rootfd, INDEX_FILE, INDEX_MAX, &text, &length, &own);
    if (r == 0)
        r = box_index_parse(text, length, index, NULL, &own);
    if (r == 0)
        return 0;
    if (r == BOX_ENOTFOUND) {
        box_error_free(own);
        return 0;
    }
    if (r == BOX_EPARSE || r == BOX_EUNSUPPORTED) {
        struct box_fail_info info = {.code = BOX_ECORRUPT, .subject = INDEX_FILE};
        r = box_fail_with(err, &info, "the list of images of the store %s is damaged: %s", store->root,
                          box_error_message(own));
        box_error_free(own);
        return r;
    }
    if (err)
        *err = own;
    else
        box_error_free(own);
    return box_fail_wrap(err, r, "store %s", store->root);
}

/* ---- Writing ---- */

static int append_entry(json_object *list, const struct box_index_entry *entry, box_error **err)
{
    char digest[BOX_DIGEST_TEXT];
    json_object *annotations = json_object_new_object();
    json_object *at = json_object_new_object();
    int r = box_json_append(list, at, err);

    if (r == 0)
        r = box_json_put_string(at, "mediaType", entry->media_type, err);
    if (r == 0)
        r = box_json_put_string(at, "digest", box_digest_format(&entry->manifest, digest), err);
    if (r == 0)
        r = box_json_put_u64(at, "size", entry->size, err);
    if (r < 0) {
        json_object_put(annotations);
        return r;
    }
    r = box_json_put(at, "annotations", annotations, err);
    if (r == 0)
        r = box_json_put_string(annotations, ID_KEY, box_digest_format(&entry->id, digest), err);
    if (r == 0 && entry->name)
        r = box_json_put_string(annotations, NAME_KEY, entry->name, err);
    return r;
}

static int put_boot(json_object *doc, const char *boot, box_error **err)
{
    json_object *annotations = json_object_new_object();
    int r = box_json_put(doc, "annotations", annotations, err);

    return r < 0 ? r : box_json_put_string(annotations, BOOT_KEY, boot, err);
}

int box_index_format(const struct box_index *index, const char *boot, char **text, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    json_object *list = json_object_new_array();
    int r;

    if (!doc) {
        json_object_put(list);
        return box_fail_nomem(err);
    }
    r = box_json_put_u64(doc, "schemaVersion", 2, err);
    if (r < 0) {
        json_object_put(list);
        return r;
    }
    r = box_json_put(doc, "manifests", list, err);
    if (r == 0 && boot)
        r = put_boot(doc, boot, err);
    for (size_t i = 0; r == 0 && i < index->n; i++)
        r = append_entry(list, &index->entries[i], err);
    if (r < 0)
        return r;
    const char *own =
        json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
    *text = own ? strdup(own) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}

int box_index_replace(const box_store *store, const struct box_index *index, box_error **err)
{
    _free_ char *text = NULL;
    int r = box_index_format(index, NULL, &text, err);

    if (r == 0)
        r = box_file_replace(store->rootfd, INDEX_FILE, text, strlen(text), 0600, 0, err);
    return r < 0 ? box_fail_wrap(err, r, "store %s", store->root) : 0;
}

int box_index_write(const box_store *store, const struct box_index *index, box_error **err)
{
    int r = box_late_settle(store, err);

    if (r == 0)
        r = box_late_give_way(store, index, err);
    return r < 0 ? r : box_index_replace(store, index, err);
}

/* ---- Looking and changing ---- */

struct box_index_entry *box_index_find(const struct box_index *index, const char *name)
{
    for (size_t i = 0; i < index->n; i++)
        if (index->entries[i].name && strcmp(index->entries[i].name, name) == 0)
            return &index->entries[i];
    return NULL;
}

struct box_index_entry *box_index_find_id(const struct box_index *index, const struct box_digest *id)
{
    for (size_t i = 0; i < index->n; i++)
        if (box_digest_equal(&index->entries[i].id, id))
            return &index->entries[i];
    return NULL;
}

struct box_index_entry *box_index_find_manifest(const struct box_index *index,
                                                const struct box_digest *manifest)
{
    for (size_t i = 0; i < index->n; i++)
        if (box_digest_equal(&index->entries[i].manifest, manifest))
            return &index->entries[i];
    return NULL;
}

size_t box_index_count_names(const struct box_index *index, const struct box_digest *id)
{
    size_t n = 0;

    for (size_t i = 0; i < index->n; i++)
        n += index->entries[i].name && box_digest_equal(&index->entries[i].id, id);
    return n;
}

void box_index_drop(struct box_index *index, size_t i)
{
    entry_clear(&index->entries[i]);
    memmove(&index->entries[i], &index->entries[i + 1], (index->n - i - 1) * sizeof(*index->entries));
    index->n--;
}

/* An entry without a name goes when its image has another entry. */
static void drop_nameless(struct box_index *index, const struct box_digest *id)
{
    for (size_t i = 0; i < index->n; i++) {
        const struct box_index_entry *entry = &index->entries[i];
        if (!entry->name && box_digest_equal(&entry->id, id) && box_index_count_names(index, id) > 0)
            box_index_drop(index, i--);
    }
}

static int append(struct box_index *index, const struct box_index_entry *image, const char *name,
                  box_error **err)
{
    struct box_index_entry copy = *image; /* may lie in the array that grows */
    struct box_index_entry *entry = box_array_add(&index->entries, &index->n, &index->capacity);

    if (!entry)
        return box_fail_nomem(err);
    *entry = copy;
    entry->media_type = strdup(copy.media_type);
    entry->name = name ? strdup(name) : NULL;
    if (!entry->media_type || (name && !entry->name)) {
        box_index_drop(index, index->n - 1);
        return box_fail_nomem(err);
    }
    return 0;
}

void box_index_remove(struct box_index *index, const char *name, bool keep)
{
    struct box_index_entry *entry = box_index_find(index, name);

    if (!entry)
        return;
    struct box_digest id = entry->id;
    if (keep && box_index_count_names(index, &id) == 1) {
        free(entry->name);
        entry->name = NULL;
        return;
    }
    box_index_drop(index, (size_t)(entry - index->entries));
}

int box_index_add(struct box_index *index, const struct box_index_entry *image, const char *name,
                  box_error **err)
{
    struct box_digest id = image->id;
    struct box_index_entry *had = name ? box_index_find(index, name) : NULL;

    if (!name && box_index_find_id(index, &id))
        return 0;
    if (had && box_digest_equal(&had->manifest, &image->manifest))
        return 0;
    int r = append(index, image, name, err);
    if (r < 0)
        return r;
    /* The first of that name is the old one: the new one stands at the end. */
    if (had)
        box_index_remove(index, name, true);
    drop_nameless(index, &id);
    return 0;
}

void box_index_remove_id(struct box_index *index, const struct box_digest *id)
{
    for (size_t i = 0; i < index->n; i++)
        if (box_digest_equal(&index->entries[i].id, id))
            box_index_drop(index, i--);
}
