/* The names of all blobs and layers that something refers to. */
#ifndef BOX_IMAGE_STORE_NEEDED_H
#define BOX_IMAGE_STORE_NEEDED_H

#include "image/store.h"

struct box_store_names {
    char (*items)[BOX_LAYER_NAME]; /* sorted */
    size_t n, capacity;
};

struct box_store_needed {
    const box_store *store;
    bool keeps_blobs; /* those of layers */
    struct box_store_names blobs, layers; /* as they are called below blobs/sha256/ and layers/ */
    struct box_store_names diff_ids;      /* of layers that a living operation wants, in whatever form */
};

/* By the index, by pins and by leases. The store's lock must be held exclusively. What cannot be read is an error,
 * after which nothing may be taken away. Clear it in any case. */
int box_store_find_needed(const box_store *store, struct box_store_needed *needed, box_error **err);
/* By pins alone. The lock must be held. */
int box_store_find_pinned(const box_store *store, struct box_store_needed *needed, box_error **err);
bool box_store_needs_blob(const struct box_store_needed *needed, const char *hex);
bool box_store_needs_layer(const struct box_store_needed *needed, const char *name);
void box_store_needed_clear(struct box_store_needed *needed);
#define _needed_ __attribute__((cleanup(box_store_needed_clear)))

#endif
