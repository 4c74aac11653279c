/* What an archive of images holds, by name: a directory, or a tar that can be sought in. */
#ifndef BOX_IMAGE_BUNDLE_H
#define BOX_IMAGE_BUNDLE_H

#include <libbox/image.h>

#include "image/layer.h"
#include "image/store.h"

/* A file of the bundle: bytes [offset, offset + size) of fd. */
struct box_piece {
    int fd;
    bool owned; /* fd is this piece's own; close it with box_piece_close() */
    uint64_t offset, size;
};
#define BOX_PIECE_NONE ((struct box_piece){.fd = -1})
void box_piece_close(struct box_piece *piece);
#define _piece_ __attribute__((cleanup(box_piece_close)))

typedef struct box_bundle box_bundle;
/* An archive by path, which is a directory or a file, or by descriptor, which is borrowed. A file that is
 * compressed, or that cannot be sought in, is copied into the workplace first. The tick is called with the
 * bytes read so far. */
int box_bundle_open(struct box_store_work *work, const char *path, const box_image_limits *limits,
                    box_layer_tick *tick, void *tick_data, struct box_bundle **bundle, box_error **err);
int box_bundle_open_fd(struct box_store_work *work, int fd, const box_image_limits *limits,
                       box_layer_tick *tick, void *tick_data, struct box_bundle **bundle, box_error **err);
void box_bundle_free(struct box_bundle *bundle);
BOX_CLEANUP(box_bundle, box_bundle_free);

/* 1 and the file of a name, 0 when there is none, or an error. Links in a tar are followed in it, in a
 * directory within it. */
int box_bundle_find(const struct box_bundle *bundle, const char *name, struct box_piece *piece,
                    box_error **err);
/* The content of a small one, with a NUL behind it: 1, 0 or an error. */
int box_bundle_read(const struct box_bundle *bundle, const char *name, char **data, size_t *length,
                    box_error **err);

/* Copies what fd gives, decompressed, into a nameless file of the workplace: its descriptor, or an error. */
int box_spool(struct box_store_work *work, int fd, bool inflate, const box_image_limits *limits,
              box_layer_tick *tick, void *tick_data, uint64_t *size, box_error **err);
/* Whether fd is a plain file that can be read at any offset. */
bool box_is_seekable(int fd);

#endif
