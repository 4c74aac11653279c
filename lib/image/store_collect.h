/* Collecting with the lock held, for whoever has just changed the index and wants to know what went. */
#ifndef BOX_IMAGE_STORE_COLLECT_H
#define BOX_IMAGE_STORE_COLLECT_H

#include "image/store.h"

struct box_layers_removed {
    struct box_digest *diff_ids;
    size_t n, capacity;
};

enum {
    BOX_COLLECT_KEEP_PARTIAL = 1, /* what pulls have fetched so far stays, if it is young: the next goes on from it */
};

/* As box_store_collect(). */
int box_store_collect_with(const box_store *store, unsigned flags, box_store_freed *freed, box_error **err);
/* The lock must be held exclusively, work be begun before that, and ended after the lock was let go: ending
 * it deletes the files. removed may be NULL. */
int box_store_collect_locked(struct box_store_work *work, unsigned flags, struct box_layers_removed *removed,
                             box_store_freed *freed, box_error **err);

#endif
