/* What a store holds that is whole but not marked as synced: for store_late.c alone. */
#ifndef BOX_IMAGE_STORE_PENDING_H
#define BOX_IMAGE_STORE_PENDING_H

#include <sys/types.h>

#include "image/store.h"

struct box_pending_layer {
    char name[BOX_LAYER_NAME];
    ino_t ino; /* a layer may be replaced by a repaired one of the same name, which is not this */
};

struct box_pending_layers {
    struct box_pending_layer *items;
    size_t n, capacity;
};
void box_pending_layers_clear(struct box_pending_layers *layers);
#define _pending_layers_ __attribute__((cleanup(box_pending_layers_clear)))

/* Layers of this boot without `durable`; and marks them, those that are still there. */
int box_store_pending_layers(const box_store *store, struct box_pending_layers *layers, box_error **err);
int box_store_mark_pending(const box_store *store, const struct box_pending_layers *layers, box_error **err);
/* Whole blobs of this boot below blobs/partial, by their names there; and gives them their lasting names. */
int box_store_pending_blobs(const box_store *store, char ***names, box_error **err);
int box_store_place_pending(const box_store *store, char **names, box_error **err);

#endif
