/* Layers that are kept as EROFS images: whether they can be, and reading them. */
#ifndef BOX_IMAGE_LAYER_EROFS_H
#define BOX_IMAGE_LAYER_EROFS_H

#include "image/store.h"

/* The file in a layer's directory, in the place of diff/. */
#define BOX_LAYER_IMAGE "layer.erofs"

/* Whether an image in a file of this directory's file system can be mounted here: tried with an empty one. */
bool box_erofs_probe(int dirfd);

#endif
