/* Removing images that nobody uses.
 *
 * All of it happens with the store's lock held exclusively: what is used is looked at, the index without the others
 * replaces the one before, and what only they had is put aside; it is deleted, and told of, when the lock is let go. */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/store_collect.h"

struct pruned {
    struct box_digest *used; /* ids of images that containers hold */
    size_t n_used, used_capacity;
    char **names, **ids; /* of what went */
    struct box_layers_removed layers;
    const struct box_index *index;
};

static void pruned_clear(struct pruned *pruned)
{
    free(pruned->used);
    free(pruned->layers.diff_ids);
    box_strv_free(pruned->names);
    box_strv_free(pruned->ids);
}

static int note_used(const char *container, const struct box_digest *manifest, void *data, box_error **err)
{
    struct pruned *pruned = data;
    const struct box_index_entry *entry = box_index_find_manifest(pruned->index, manifest);

    (void)container;
    if (!entry) /* it lost its last name already, by force: its container's pin keeps what it needs */
        return 0;
    struct box_digest *slot = box_array_add(&pruned->used, &pruned->n_used, &pruned->used_capacity);
    if (!slot)
        return box_fail_nomem(err);
    *slot = entry->id;
    return 0;
}

static bool is_used(const struct pruned *pruned, const struct box_digest *id)
{
    for (size_t i = 0; i < pruned->n_used; i++)
        if (box_digest_equal(&pruned->used[i], id))
            return true;
    return false;
}

static bool has_label(const box_image *image, const char *wanted)
{
    _free_ char *key = strndup(wanted, strcspn(wanted, "="));
    const char *equals = strchr(wanted, '='), *value = key ? box_image_label(image, key) : NULL;

    return value && (!equals || strcmp(value, equals + 1) == 0);
}

/* Whether time and labels let it go: 1 or 0. An image that cannot be read is damaged and stays for verify to tell. */
static bool matches(const box_store *store, const struct box_index *index, const struct box_index_entry *entry,
                    const box_image_prune_options *options)
{
    _cleanup_(box_image) box_image *image = NULL;

    if (!options->before && !options->labels)
        return true;
    if (box_image_read(store, index, entry, &image, NULL) < 0)
        return false;
    if (options->before && image->created >= options->before)
        return false;
    for (const char *const *label = options->labels; label && *label; label++)
        if (!has_label(image, *label))
            return false;
    return true;
}

static int choose(const box_store *store, const struct box_index *index, const box_image_prune_options *options,
                  struct pruned *pruned, struct box_digest **ids, size_t *n, box_error **err)
{
    size_t capacity = 0;

    for (size_t i = 0; i < index->n; i++) {
        const struct box_index_entry *entry = &index->entries[i];
        if (box_index_find_id(index, &entry->id) != entry || is_used(pruned, &entry->id) ||
            (!options->all && box_index_count_names(index, &entry->id) > 0) || !matches(store, index, entry, options))
            continue;
        struct box_digest *slot = box_array_add(ids, n, &capacity);
        if (!slot)
            return box_fail_nomem(err);
        *slot = entry->id;
    }
    return 0;
}

static int take_out(struct box_index *index, const struct box_digest *id, struct pruned *pruned, box_error **err)
{
    char text[BOX_DIGEST_TEXT];

    for (size_t i = 0; i < index->n; i++)
        if (index->entries[i].name && box_digest_equal(&index->entries[i].id, id) &&
            box_strv_append(&pruned->names, index->entries[i].name) < 0)
            return box_fail_nomem(err);
    if (box_strv_append(&pruned->ids, box_digest_format(id, text)) < 0)
        return box_fail_nomem(err);
    box_index_remove_id(index, id);
    return 0;
}

static int prune_locked(struct box_store_work *work, const box_image_prune_options *options, struct pruned *pruned,
                        box_store_freed *freed, box_error **err)
{
    const box_store *store = work->store;
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    _index_ struct box_index index = {0};
    _free_ struct box_digest *ids = NULL;
    size_t n = 0;

    if (lock < 0)
        return lock;
    int r = box_index_read(store, &index, err);
    pruned->index = &index;
    if (r == 0)
        r = box_store_each_pin(store, note_used, pruned, err);
    if (r == 0)
        r = choose(store, &index, options, pruned, &ids, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = take_out(&index, &ids[i], pruned, err);
    if (r == 0 && n > 0)
        r = box_index_write(store, &index, err);
    return r < 0 ? r : box_store_collect_locked(work, 0, &pruned->layers, freed, err);
}

static void tell(const struct pruned *pruned, box_image_removed_fn *report, void *data)
{
    char text[BOX_DIGEST_TEXT];

    for (char **name = pruned->names; name && *name; name++)
        report(BOX_IMAGE_REMOVED_NAME, *name, data);
    for (char **id = pruned->ids; id && *id; id++)
        report(BOX_IMAGE_REMOVED_IMAGE, *id, data);
    for (size_t i = 0; i < pruned->layers.n; i++)
        report(BOX_IMAGE_REMOVED_LAYER, box_digest_format(&pruned->layers.diff_ids[i], text), data);
}

int box_image_prune(box_store *store, const box_image_prune_options *options, box_image_removed_fn *report, void *data,
                    box_store_freed *freed, box_error **err)
{
    const box_image_prune_options defaults = BOX_IMAGE_PRUNE_INIT;
    struct pruned pruned = {0};
    box_store_freed own = {0};

    if (!store || (options && options->version != 1))
        return box_fail(err, BOX_EINVAL, "box_image_prune: a store is needed, and options of version 1");
    int r = box_store_sweep(store, &own.leftovers, err);
    if (r < 0)
        return r;
    _store_work_ struct box_store_work work = BOX_STORE_WORK_NONE;
    r = box_store_work_begin(store, &work, err);
    if (r == 0)
        r = prune_locked(&work, options ? options : &defaults, &pruned, &own, err);
    if (r == 0 && report)
        tell(&pruned, report, data);
    if (r == 0 && freed)
        *freed = own;
    pruned_clear(&pruned);
    return r;
}
