/* Unpacking a layer: a tar stream of an unknown origin becomes a directory that overlay can use as a lower
 * layer.
 *
 * The rules, each of which a test holds:
 * - A name is relative to the layer, whatever it begins with; "." and empty components mean nothing, ".." is
 * refused.
 * - What stands in a parent position may be a link: it is resolved inside the layer. What stands in the place
 * of the entry itself is replaced, never followed, unless both are directories.
 * - A hard link's source is found in the same way, inside the layer; it must be there, and be no directory or
 * whiteout.
 * - ".wh.NAME" becomes overlay's whiteout, a character device 0/0; where this layer has a directory NAME,
 * that one becomes opaque instead. ".wh..wh..opq" makes its directory opaque. An archive's own device 0/0 is
 * refused.
 * - Directories that the archive does not list are made, 0755 and root's, and written down, so that they can
 * be given what the layers below have for them (layer_inherit.c).
 * - Kept are mode with set-uid, set-gid and sticky bits, time of modification, and the extended attributes
 * "user.*" without "user.overlay.*". A privileged caller keeps owners, device nodes and "security.capability"
 * too. All other attributes are left out: trusted.*, system.*, security.* say something about the host that
 * the archive cannot know.
 * - An unprivileged caller owns all files, gets no device nodes, and can read and write every directory. */
#ifndef BOX_IMAGE_UNPACK_H
#define BOX_IMAGE_UNPACK_H

#include <libbox/image.h>

#include "image/source.h"
#include "image/store.h"

struct box_unpack {
    bool privileged;
    const box_image_limits *limits; /* no field is 0 */
    uint64_t compressed;            /* bytes that the stream was compressed to, for the ratio */
    /* Gets a record for each directory that is made without being listed: "+", its inode's number, a space,
     * its path, a NUL; and "-", the number, " ", NUL for one that is listed later after all. -1: none is
     * wanted. */
    int implicitfd;
    int (*tick)(void *data, box_error **err); /* called at each entry and piece of data; may be NULL */
    void *tick_data;
};

/* The same into an image (erofs_image.h) in place of a directory: the empty file imagefd, for a privileged caller
 * alone. implicitfd gets, once the image is written, a "+" record for each directory that was made and not
 * listed, its number being the image's own. *data_end is for box_erofs_digest(). BOX_ELIMIT, besides the reasons
 * that a directory knows: the layer has more names than are kept in memory, or an attribute is too long. */
int box_unpack_erofs(struct box_source *stream, int imagefd, const struct box_unpack *how,
                     struct box_layer_record *record, uint64_t *data_end, box_error **err);

/* Unpacks a whole stream, which must be one of box_source_digest(), into the empty directory dirfd. */
int box_unpack(struct box_source *stream, int dirfd, const struct box_unpack *how,
               struct box_layer_record *record, box_error **err);

/* limits with each 0 replaced by its default; NULL: all defaults. */
box_image_limits box_image_limits_or_default(const box_image_limits *limits);

#endif
