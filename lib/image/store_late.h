/* Images that can be used before they are on disk.
 *
 * Writing an image to disk takes about as long again as fetching and unpacking it, and whoever pulled it to run it
 * waits for nothing of that. So an image may be committed late: its name goes into ROOT/images.late, an index of all
 * images with this boot's id in it, which counts in place of images.json as long as the machine is up. A kill costs
 * nothing: what a process wrote is the kernel's. What a power cut can cost is told in store_recover.c.
 *
 *     images.late    written without a sync by a late commit; removed when
 *     images.json    has been written with the same images in it, after all that they need was synced
 *
 * Every other change of the index settles what is late first, so that images.json is never newer than an images.late of
 * this boot beside it; and takes out of one of an earlier boot, which is not recovered yet, what it decides anew. */
#ifndef BOX_IMAGE_STORE_LATE_H
#define BOX_IMAGE_STORE_LATE_H

#include "image/store_index.h"

#define BOX_LATE_FILE "images.late"
#define BOX_LATE_LOCK "images.late.lock" /* held by who recovers */

/* Reads images.late: 1 when it is there and of this boot, 0, or an error. */
int box_late_read(const box_store *store, struct box_index *index, box_error **err);
/* The same of another boot, with its id: what is yet to be recovered. */
int box_late_read_of_before(const box_store *store, struct box_index *index, char boot[40]);
/* Fails where images.late is there and the process cannot tell whether it counts, as it may not read which boot this
 * is: it must neither change the index, which would be older than images.late then, nor collect. */
int box_late_check_boot(const box_store *store, box_error **err);
/* Whether an image can be committed late here: this boot has an id, blobs are kept (they are what is recovered from),
 * and no images of another boot wait to be recovered. */
bool box_late_possible(const box_store *store);
/* Writes images.late. Like settling, with the store's lock held exclusively. */
int box_late_write(const box_store *store, const struct box_index *index, box_error **err);
/* Before `index` becomes images.json: a name that it changes is decided, whatever an earlier boot's images.late, which
 * is not recovered yet, says of it. */
int box_late_give_way(const box_store *store, const struct box_index *index, box_error **err);
/* Makes the late images of this boot last; nothing to do is cheap. */
int box_late_settle(const box_store *store, box_error **err);
/* box_store_sync(): without a lock held. */
int box_late_sync(const box_store *store, box_error **err);
/* Syncs, marks what is whole as synced, then makes `index` images.json and removes images.late. */
int box_late_settle_as(const box_store *store, const struct box_index *index, box_error **err);

/* store_recover.c, when a store is opened: takes over late images that an earlier boot left. Cheap when there are none.
 * After a failure others leave it for a while, but for those who want it `anyway`. */
int box_store_recover(box_store *store, bool anyway, box_error **err);

#endif
