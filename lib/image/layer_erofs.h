/* Layers that are kept as EROFS images: whether they can be, making them, reading them. */
#ifndef BOX_IMAGE_LAYER_EROFS_H
#define BOX_IMAGE_LAYER_EROFS_H

#include "image/store.h"
#include "image/unpack.h"

/* What a layer's directory has of these two. */
#define BOX_LAYER_DIFF  "diff"
#define BOX_LAYER_IMAGE "layer.erofs"

/* Whether an image in a file of this directory's file system can be mounted here: tried with an empty one. */
bool box_erofs_probe(int dirfd);
/* Whether a layer that is made in this workplace is to be an image: the setting `layers`, and what is possible. */
bool box_layer_wants_image(const struct box_store_work *work);

/* box_unpack_erofs(), with all that the record says of the image but its digest. */
int box_layer_unpack_image(struct box_source *tar, int imagefd, const struct box_unpack *how,
                           struct box_layer_record *record, box_error **err);
/* Gives an image that is written its name, and its digest to the record; again after it was changed. */
int box_layer_seal_image(int imagefd, const struct box_digest *diff_id, struct box_layer_record *record,
                         box_error **err);
/* Whether the layer's image is what was written, content included. */
int box_layer_check_image(const box_store *store, const char *name, const struct box_layer_record *record,
                          box_error **err);

/* A layer's tree, to be read, whatever its form: a descriptor (O_RDONLY | O_DIRECTORY) of its top directory, or a
 * BOX_E* code. An image is mounted for it, attached nowhere: what is opened below keeps it alive. */
int box_layer_open_tree(const box_store *store, const char *name, const struct box_layer_record *record,
                        box_error **err);

/* Gives a directory of the image that was not listed what `from` has: box_erofs_inherit(). */
int box_layer_inherit_in_image(int imagefd, uint64_t nid, int from, const char *path, box_error **err);

#endif
