/* Writing an EROFS image, in one pass from front to end: the content of files as it comes, then what a tree
 * says about them, then the superblock. And what is done to an image that was written: taking its digest,
 * changing directories that inherit.
 *
 * The same tree gives the same bytes. */
#ifndef BOX_IMAGE_EROFS_IMAGE_H
#define BOX_IMAGE_EROFS_IMAGE_H

#include "base/digest.h"
#include "image/erofs_tree.h"

struct erofs_image;

/* Into the empty file fd, which is borrowed. */
struct erofs_image *box_erofs_image_new(int fd, box_error **err);
void box_erofs_image_free(struct erofs_image *image);

/* A file's data, from its start to its end: begin, pieces that lie in order, end. What lies in no piece is
 * zeros. BOX_ELIMIT when the image would be too large, BOX_EPARSE when pieces are not in order. */
int box_erofs_data_begin(struct erofs_image *image, struct erofs_inode *inode, uint64_t size, box_error **err);
int box_erofs_data_put(struct erofs_image *image, const void *data, size_t length, uint64_t at, box_error **err);
int box_erofs_data_end(struct erofs_image *image, box_error **err);
/* The inode lost its last name: its inline data no longer count. */
void box_erofs_data_forget(struct erofs_image *image, struct erofs_inode *inode);

/* Writes the rest. *data_end gets where the data end and the sums begin. */
int box_erofs_image_finish(struct erofs_image *image, struct erofs_tree *tree, uint64_t *data_end, box_error **err);

/* ---- A finished image: erofs_patch.c ---- */

/* The digest of what the kernel takes apart (superblock, inodes, directories) and of the sums of the data; the
 * data themselves are read and held against the sums if `thorough`: BOX_EDIGEST when they are not right. */
int box_erofs_digest(int fd, uint64_t data_end, bool thorough, struct box_digest *digest, box_error **err);
/* Puts an image's name into it, whose diff id was not known while it was written. */
int box_erofs_set_uuid(int fd, const struct box_digest *diff_id, box_error **err);

/* What a directory that was not listed takes over: see box_erofs_inherit(). */
struct erofs_attributes {
    mode_t mode; /* 07777 */
    uint32_t uid, gid;
    struct timespec mtime;
    struct erofs_xattr *xattrs;
};
#define EROFS_INHERIT_MAX 109 /* attributes of one directory */
/* Gives these to the directory of number nid, which was written as an implicit one. */
int box_erofs_inherit(int fd, uint64_t nid, const struct erofs_attributes *attributes, box_error **err);

/* ---- Parts of the writer, for erofs_*.c alone ---- */

int box_erofs_write(struct erofs_image *image, const void *data, size_t length, box_error **err);
/* Zeros up to a multiple of `to`. */
int box_erofs_align(struct erofs_image *image, uint64_t to, box_error **err);
int box_erofs_zeros(struct erofs_image *image, uint64_t length, box_error **err);
uint64_t box_erofs_position(const struct erofs_image *image);
/* Ends the data: writes the sums of all before, block-aligned. */
int box_erofs_write_sums(struct erofs_image *image, uint64_t *data_end, box_error **err);
/* Writes out what is buffered. */
int box_erofs_flush(struct erofs_image *image, box_error **err);
/* Writes the tree: erofs_layout.c. */
int box_erofs_write_tree(struct erofs_image *image, struct erofs_tree *tree, uint64_t *inodes, uint32_t *meta,
                         uint64_t *root, box_error **err);

#endif
