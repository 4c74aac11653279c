/* The half of settling a store that is about blobs: for store_content.c and store_recover.c alone. */
#ifndef BOX_IMAGE_STORE_BLOB_H
#define BOX_IMAGE_STORE_BLOB_H

#include "image/store.h"

/* Whether one of these is kept and has not got its lasting name yet. */
bool box_store_blobs_wait(const box_store *store, const struct box_digest *blobs, size_t n);
/* After the file system was synced: gives them their lasting names. */
int box_store_place_blobs(const box_store *store, const struct box_digest *blobs, size_t n, box_error **err);

/* Takes over what was whole in an earlier boot, whose bytes are yet to be held against the digest. Whether there was
 * such a blob. */
bool box_store_adopt_blob(const box_store *store, const struct box_digest *digest, const char *boot);
/* Throws it away. */
void box_store_drop_of_boot(const box_store *store, const struct box_digest *digest, const char *boot);

#endif
