/* From a blob to a layer of the store: digests, decompression, unpacking, and the moment it becomes visible.
 */
#ifndef BOX_IMAGE_LAYER_H
#define BOX_IMAGE_LAYER_H

#include <libbox/image.h>

#include <stdbool.h>

#include "base/digest.h"
#include "image/store.h"

/* Called now and then with the bytes of the blob that were read; anything but 0 cancels, with *err set. */
typedef int box_layer_tick(void *data, uint64_t read, box_error **err);

struct box_layer_input {
    int fd; /* a file that holds the blob, at …; -1: it comes by `open` */
    uint64_t offset, size;
    /* Opens the blob's stream, once it is known that the layer is not there; with the layer's lock held. */
    struct box_source *(*open)(void *data, box_error **err);
    /* Nothing more will be read, since something failed: a read that waits is to end. May be NULL. */
    void (*stop)(void *data);
    /* Blob and layer are right; the layer is not visible yet. copied: the blob was kept already. */
    int (*right)(void *data, bool copied, box_error **err);
    void *open_data; /* of the three */
    const struct box_digest *blob; /* what the blob must be; NULL: only the diff id counts */
    bool keep;                     /* the blob is to be in the store as well: box_store_keep_blob(). Of what
                                      comes by `open` that is done only when it is not compressed, and can be
                                      kept in less room; otherwise it is for right() to do */
    const box_image_limits *limits;
    box_layer_tick *tick; /* may be NULL */
    void *tick_data;
};

enum box_layer_outcome {
    BOX_LAYER_MADE = 0,
    BOX_LAYER_KEPT = 1,    /* it was there already */
    BOX_LAYER_PENDING = 2, /* unpacked, but it is still to inherit: box_layer_inherit() */
};

/* Makes sure that a layer is in the store: an outcome, or an error, which leaves nothing visible. Several
 * threads and processes may want the same layer: one unpacks it, the others wait. */
int box_layer_make(struct box_store_work *work, const struct box_layer_input *input,
                   const struct box_layer_id *id, box_error **err);
/* Throws away what a failed box_layer_make() of this work left, so that it can be called again. */
int box_layer_clear(struct box_store_work *work, const struct box_layer_id *id, box_error **err);
/* The same for a lowest layer whose diff id is not known before. *size gets the length of its tar stream, which is
 * also the blob that is kept, however it is compressed where it comes from. */
int box_layer_make_unknown(struct box_store_work *work, const struct box_layer_input *input,
                           struct box_digest *diff_id, uint64_t *size, box_error **err);

/* Finishes stack[top], which is pending, once all below it are in the store: gives the directories that it
 * does not list what they have there, and makes it visible. */
int box_layer_inherit(struct box_store_work *work, const struct box_layer_id *stack, size_t top,
                      box_error **err);

/* The file beside diff/ that says which directories a layer does not list; see unpack.h. */
#define BOX_LAYER_IMPLICIT "implicit"

#endif
