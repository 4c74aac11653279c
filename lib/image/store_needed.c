/* What of the store is still needed: everything that the index, the containers' pins and the leases of living
 * operations reach. */
#include "image/store_needed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "image/image.h"

/* ---- A set of digests ---- */

static int set_add(struct box_store_names *set, const char *name, box_error **err)
{
    if (strlen(name) >= BOX_LAYER_NAME)
        return 0; /* nothing of the store's has such a name */
    char(*slot)[BOX_LAYER_NAME] = box_array_add(&set->items, &set->n, &set->capacity);
    if (!slot)
        return box_fail_nomem(err);
    memcpy(*slot, name, strlen(name) + 1);
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void set_sort(struct box_store_names *set)
{
    if (set->n)
        qsort(set->items, set->n, sizeof(*set->items), compare);
}

static bool set_has(const struct box_store_names *set, const char *name)
{
    return set->n && bsearch(name, set->items, set->n, sizeof(*set->items), compare);
}

void box_store_needed_clear(struct box_store_needed *needed)
{
    free(needed->blobs.items);
    free(needed->layers.items);
    free(needed->diff_ids.items);
}

bool box_store_needs_blob(const struct box_store_needed *needed, const char *hex)
{
    return set_has(&needed->blobs, hex);
}

bool box_store_needs_layer(const struct box_store_needed *needed, const char *name)
{
    char hex[BOX_STORE_HEX];

    snprintf(hex, sizeof(hex), "%.64s", name);
    return set_has(&needed->layers, name) || set_has(&needed->diff_ids, hex);
}

/* ---- What is reached ---- */

static int need_layers(struct box_store_needed *needed, const struct box_digest *diff_ids, size_t n, box_error **err)
{
    _free_ struct box_layer_id *ids = NULL;
    char name[BOX_LAYER_NAME];
    int r = box_layer_ids(diff_ids, n, &ids, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        r = set_add(&needed->layers, box_layer_name(&ids[i], false, name), err);
        if (r == 0)
            r = set_add(&needed->layers, box_layer_name(&ids[i], true, name), err);
    }
    return r;
}

static int need_blobs(struct box_store_needed *needed, const struct box_digest *manifest,
                      const struct box_image_references *references, box_error **err)
{
    char hex[BOX_DIGEST_TEXT];
    int r = set_add(&needed->blobs, box_digest_hex(manifest, hex), err);

    if (r == 0)
        r = set_add(&needed->blobs, box_digest_hex(&references->config, hex), err);
    for (size_t i = 0; r == 0 && needed->keeps_blobs && i < references->n_blobs; i++)
        r = set_add(&needed->blobs, box_digest_hex(&references->blobs[i], hex), err);
    return r;
}

static int need_manifest(struct box_store_needed *needed, const struct box_digest *manifest, box_error **err)
{
    struct box_image_references references = {0};
    int r = box_image_references(needed->store, manifest, &references, err);

    if (r == 0)
        r = need_blobs(needed, manifest, &references, err);
    if (r == 0)
        r = need_layers(needed, references.diff_ids, references.n_diff_ids, err);
    box_image_references_clear(&references);
    return r;
}

static int need_pin(const char *container, const struct box_digest *manifest, void *data, box_error **err)
{
    struct box_store_needed *needed = data;
    box_error *why = NULL;
    int r = need_manifest(needed, manifest, &why);

    if (r == BOX_ECORRUPT && box_store_pin_is_over(needed->store, container)) {
        box_error_free(why);
        return 0;
    }
    if (err)
        *err = why;
    else
        box_error_free(why);
    return r < 0 ? box_fail_wrap(err, r, "container %s", container) : 0;
}

static int need_lease(const char *kind, const char *hex, void *data, box_error **err)
{
    struct box_store_needed *needed = data;

    return set_add(strcmp(kind, "layer") == 0 ? &needed->diff_ids : &needed->blobs, hex, err);
}

static void sort_all(struct box_store_needed *needed)
{
    set_sort(&needed->blobs);
    set_sort(&needed->layers);
    set_sort(&needed->diff_ids);
}

int box_store_find_needed(const box_store *store, struct box_store_needed *needed, box_error **err)
{
    _index_ struct box_index index = {0};
    int r = box_index_read(store, &index, err);

    *needed = (struct box_store_needed){.store = store, .keeps_blobs = box_store_keeps_blobs(store)};
    for (size_t i = 0; r == 0 && i < index.n; i++)
        if (box_index_find_manifest(&index, &index.entries[i].manifest) == &index.entries[i])
            r = need_manifest(needed, &index.entries[i].manifest, err);
    if (r == 0)
        r = box_store_each_pin(store, need_pin, needed, err);
    if (r == 0)
        r = box_store_each_need(store, need_lease, needed, err);
    sort_all(needed);
    return r;
}

int box_store_find_pinned(const box_store *store, struct box_store_needed *needed, box_error **err)
{
    *needed = (struct box_store_needed){.store = store, .keeps_blobs = box_store_keeps_blobs(store)};
    int r = box_store_each_pin(store, need_pin, needed, err);
    sort_all(needed);
    return r;
}
