/* The half of settling a store that is about blobs: for store_content.c and store_recover.c alone. */
#ifndef BOX_IMAGE_STORE_BLOB_H
#define BOX_IMAGE_STORE_BLOB_H

#include "image/store.h"

/* Whether one of these is kept and has not got its lasting name yet. */
bool box_store_blobs_wait(const box_store *store, const struct box_digest *blobs, size_t n);
/* After the file system was synced: gives them their lasting names. */
int box_store_place_blobs(const box_store *store, const struct box_digest *blobs, size_t n, box_error **err);

/* Takes over what was whole in an earlier boot, when it is right, in place of whatever has its lasting name. What is
 * wrong goes. An error is one of the system's, and changes nothing. */
int box_store_take_of_boot(const box_store *store, const struct box_digest *digest, const char *boot, box_error **err);
/* Reads a blob to its end: 1, 0 when its bytes cannot be had or are not the right ones, or an error. */
int box_store_reads_right(struct box_source *source, box_error **err);
/* Throws it away. */
void box_store_drop_of_boot(const box_store *store, const struct box_digest *digest, const char *boot);

#endif
