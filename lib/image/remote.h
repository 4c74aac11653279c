/* Where a pull gets an image from: what lib/registry gives to the engine that knows layers and the store.
 *
 * The engine (pull.c) decides what is needed and in which order; it asks for documents, and for bytes of
 * blobs, from several threads at once. It holds everything against its digest itself. */
#ifndef BOX_IMAGE_REMOTE_H
#define BOX_IMAGE_REMOTE_H

#include <libbox/registry.h>

#include "base/digest.h"
#include "base/fail.h"

/* Told after each piece of a blob how many of its bytes are in the file now; anything but 0 ends the
 * transfer, with *err set. */
typedef int box_remote_tick(void *data, uint64_t present, box_error **err);

struct box_remote {
    /* The manifest or index that `reference` ("tag" or "sha256:…") leads to, *text with a NUL behind it; both
     * strings are the caller's to free. At most BOX_DOCUMENT_MAX bytes. */
    int (*manifest)(struct box_remote *remote, const char *reference, char **text, size_t *length,
                    char **media_type, box_error **err);
    /* Writes bytes [from, size) of a blob to fd, at their offsets, in order. Retries, and goes on where a
     * connection broke, by itself. A registry that sends more than `size` is an error. The tick (may be NULL) is
     * called at least ten times a second, also while nothing comes, so that it can end the transfer. */
    int (*blob)(struct box_remote *remote, const struct box_digest *digest, uint64_t size, int fd, uint64_t from,
                box_remote_tick *tick, void *data, box_error **err);
    unsigned parallel; /* blobs to be fetched side by side */
};

/* Pulls what `reference` leads to, and gives it the full name `name`. Options as for box_image_pull(). */
int box_image_pull_from(box_store *store, struct box_remote *remote, const char *name, const char *reference,
                        const box_transfer_options *options, box_image **image, box_error **err);

#endif
