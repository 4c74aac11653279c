/* Names given and taken, and images removed. */
#include "image/image.h"

#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "image/reference.h"
#include "image/store_collect.h"

/* ---- Tagging ---- */

static int full_tag(const char *name, char **full, box_error **err)
{
    _reference_ struct box_reference reference = {0};
    int r = box_reference_read(name, &reference, err);

    if (r < 0)
        return r;
    if (reference.digest) {
        struct box_fail_info info = {.code = BOX_EINVAL, .subject = name};
        return box_fail_with(err, &info, "an image cannot be given a name with a digest: %s", name);
    }
    *full = box_reference_full(&reference);
    return *full ? 0 : box_fail_nomem(err);
}

int box_image_tag(box_store *store, const char *image, const char *name, box_error **err)
{
    struct box_index_entry *entry = NULL;
    _free_ char *full = NULL;

    if (!store || !image || !name)
        return box_fail(err, BOX_EINVAL, "box_image_tag: store, image and name must not be NULL");
    int r = full_tag(name, &full, err);
    if (r < 0)
        return r;
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    if (lock < 0)
        return lock;
    _index_ struct box_index index = {0};
    r = box_index_read(store, &index, err);
    if (r == 0)
        r = box_image_resolve(&index, image, &entry, NULL, err);
    if (r == 0)
        r = box_index_add(&index, entry, full, err);
    return r < 0 ? r : box_index_write(store, &index, err);
}

/* ---- Removing ---- */

struct user {
    const struct box_index *index;
    const struct box_digest *id;
    char *container;
};

/* A container holds an image by a manifest; several manifests may be the same image. */
static int find_user(const char *container, const struct box_digest *manifest, void *data, box_error **err)
{
    struct user *user = data;
    const struct box_index_entry *entry = box_index_find_manifest(user->index, manifest);

    if (user->container || !entry || !box_digest_equal(&entry->id, user->id))
        return 0;
    user->container = strdup(container);
    return user->container ? 0 : box_fail_nomem(err);
}

static int check_unused(const box_store *store, const struct box_index *index, const struct box_digest *id,
                        const char *image, box_error **err)
{
    struct user user = {index, id, NULL};
    int r = box_store_each_pin(store, find_user, &user, err);
    _free_ char *container = user.container;

    if (r < 0 || !container)
        return r;
    struct box_fail_info info = {.code = BOX_EBUSY,
                                 .subject = container,
                                 .remedy = "remove the container first, or force the removal"};
    return box_fail_with(err, &info, "the image %s is in use by container %s", image, container);
}

/* What is going to be taken out of the index, and what is told afterwards. */
struct removal {
    char **names;
    char id[BOX_DIGEST_TEXT]; /* "": the image stays */
    struct box_layers_removed layers;
};

static void removal_clear(struct removal *removal)
{
    box_strv_free(removal->names);
    free(removal->layers.diff_ids);
}

static int take_out(const box_store *store, struct box_index *index, const char *text, unsigned flags,
                    struct removal *removal, box_error **err)
{
    struct box_index_entry *entry = NULL;
    bool by_id = false, force = flags & BOX_IMAGE_REMOVE_FORCE;
    int r = box_image_resolve(index, text, &entry, &by_id, err);

    if (r < 0)
        return r;
    struct box_digest id = entry->id;
    size_t names = box_index_count_names(index, &id);
    if (by_id && names > 1 && !force) {
        struct box_fail_info info = {
            .code = BOX_EBUSY, .subject = text, .remedy = "remove it by name, or force the removal"};
        return box_fail_with(err, &info, "the image %s has %zu names", text, names);
    }
    bool all = by_id || names <= 1;
    if (all && !force && (r = check_unused(store, index, &id, text, err)) < 0)
        return r;
    for (size_t i = 0; i < index->n; i++) {
        const struct box_index_entry *e = &index->entries[i];
        if (e->name && box_digest_equal(&e->id, &id) && (all || e == entry) &&
            box_strv_append(&removal->names, e->name) < 0)
            return box_fail_nomem(err);
    }
    if (all) {
        box_digest_format(&id, removal->id);
        box_index_remove_id(index, &id);
    } else {
        box_index_remove(index, removal->names[0], false);
    }
    return 0;
}

static void tell(const struct removal *removal, box_image_removed_fn *report, void *data)
{
    char text[BOX_DIGEST_TEXT];

    for (size_t i = 0; removal->names && removal->names[i]; i++)
        report(BOX_IMAGE_REMOVED_NAME, removal->names[i], data);
    if (removal->id[0])
        report(BOX_IMAGE_REMOVED_IMAGE, removal->id, data);
    for (size_t i = 0; i < removal->layers.n; i++)
        report(BOX_IMAGE_REMOVED_LAYER, box_digest_format(&removal->layers.diff_ids[i], text), data);
}

static int remove_locked(struct box_store_work *work, const char *image, unsigned flags,
                         struct removal *removal, box_error **err)
{
    const box_store *store = work->store;
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    _index_ struct box_index index = {0};
    box_store_freed freed = {0};

    if (lock < 0)
        return lock;
    int r = box_index_read(store, &index, err);
    if (r == 0)
        r = take_out(store, &index, image, flags, removal, err);
    if (r == 0)
        r = box_index_write(store, &index, err);
    if (r < 0 || !removal->id[0])
        return r;
    /* The image is gone. Whether its layers could be taken away at once is another matter: damage elsewhere
     * in the store keeps them until box_store_collect() can tell what is needed. */
    box_store_collect_locked(work, BOX_COLLECT_KEEP_PARTIAL, &removal->layers, &freed, NULL);
    return 0;
}

int box_image_remove(box_store *store, const char *image, unsigned flags, box_image_removed_fn *report,
                     void *data, box_error **err)
{
    struct removal removal = {0};

    if (!store || !image || (flags & ~(unsigned)BOX_IMAGE_REMOVE_FORCE))
        return box_fail(err, BOX_EINVAL, "box_image_remove: a wrong argument");
    _store_work_ struct box_store_work work = BOX_STORE_WORK_NONE;
    int r = box_store_work_begin(store, &work, err);
    if (r == 0)
        r = remove_locked(&work, image, flags, &removal, err);
    if (r == 0 && report)
        tell(&removal, report, data);
    removal_clear(&removal);
    return r;
}
