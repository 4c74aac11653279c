/* A new image out of an old one and a layer on top: for commits, and for builds. */
#ifndef BOX_IMAGE_PACK_COMMIT_H
#define BOX_IMAGE_PACK_COMMIT_H

#include <json-c/json.h>

#include <libbox/archive.h>
#include "image/image.h"
#include "image/pack_out.h"

struct box_layer_on_top {
    const box_image *base; /* NULL: the layer is the lowest */
    box_pack_fn *pack;     /* writes the layer's tar stream */
    void *data;
    const char *name; /* of the image, or NULL */
    const char *author, *message, *created_by; /* of the history; NULL: none */
    int64_t created;                           /* seconds since 1970; 0: now */
    /* Changes the "config" object of the image's config; NULL: as the base has it. */
    int (*change)(json_object *config, void *data, box_error **err);
    const char *const *changes;         /* Dockerfile instructions, after that; NULL: none */
    const box_archive_options *options; /* compression of the layer, and the rest; NULL: the usual */
};

/* Either the image is in the store with all that belongs to it, or nothing. image may be NULL. */
int box_image_put_on_top(box_store *store, const struct box_layer_on_top *what, box_image **image,
                         box_error **err);

#endif
