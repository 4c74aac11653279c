/* Unpacking the missing layers of an image again. */
#ifndef BOX_IMAGE_STORE_MEND_H
#define BOX_IMAGE_STORE_MEND_H

#include "image/store.h"

enum {
    BOX_MEND_STOP = 1, /* an error of the system's, which says nothing about the image, ends it; else it goes on */
};

/* The layers of the image that are missing are unpacked from their blobs and synced; `report` (may be NULL) is told of
 * each. What cannot be had again stays missing, which is no error. */
int box_store_mend(struct box_store_work *work, const struct box_digest *manifest, unsigned flags, box_store_damage_fn *report,
                   void *data, box_error **err);
/* Whether an error is about what the store holds, and would come again: what it was met with is lost. */
bool box_store_is_lost(int code);

#endif
