/* A layer as a tree in memory: what an EROFS image will hold, without the content of files. Names mean here what
 * they mean to the unpacker on disk: links are resolved inside the layer, whiteouts are devices 0/0.
 *
 * Its memory is counted and limited, and what is replaced counts on, so that an archive cannot make it grow
 * without end. For one thread at a time. */
#ifndef BOX_IMAGE_EROFS_TREE_H
#define BOX_IMAGE_EROFS_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/fail.h"

struct erofs_xattr {
    struct erofs_xattr *next;
    uint8_t index; /* XATTR_USER, ... */
    uint8_t name_length;
    uint16_t size;
    unsigned char text[]; /* the name without its prefix, then the value */
};

struct erofs_entry; /* a name in a directory */

struct erofs_inode {
    mode_t mode;
    uint32_t uid, gid;
    struct timespec mtime;
    uint64_t size;
    uint32_t nlink; /* names; of a directory what stat(2) is to say is worked out at the end */
    uint32_t rdev;  /* as EROFS has it */
    bool implicit;  /* a directory that the archive has not listed so far */
    bool held;      /* an inline tail is counted */
    uint32_t start; /* the first block of its data */
    uint16_t tail_length;
    unsigned char *tail; /* the end of the data, or a link's target (whole, with a NUL behind it); malloc'ed */
    struct erofs_xattr *xattrs;
    struct erofs_entry *children; /* of a directory */
    uint32_t n_children;
    struct erofs_inode *parent; /* of a directory; the root's is itself */
    struct erofs_entry *name;   /* of a directory: the one that it has; NULL: the root */
    struct erofs_inode *next;   /* in the order of the image (erofs_layout.c) */
    uint64_t nid;
};

struct erofs_entry {
    struct erofs_entry *next, *before; /* in the directory */
    struct erofs_entry *chain;         /* in the hash table */
    struct erofs_inode *dir, *inode;
    uint8_t length;
    char name[];
};

struct erofs_tree;

struct erofs_tree *box_erofs_tree_new(uint64_t memory, box_error **err);
void box_erofs_tree_free(struct erofs_tree *tree);
struct erofs_inode *box_erofs_tree_root(struct erofs_tree *tree);

/* Memory that lives as long as the tree; NULL when there is none or the limit is reached. */
void *box_erofs_tree_alloc(struct erofs_tree *tree, size_t size);
bool box_erofs_tree_full(const struct erofs_tree *tree);

/* The entry, or NULL. */
struct erofs_entry *box_erofs_find(const struct erofs_tree *tree, const struct erofs_inode *dir, const char *name,
                                   size_t length);
/* A new inode under a name that is free; NULL: no memory. A directory gets its parent. */
struct erofs_inode *box_erofs_add(struct erofs_tree *tree, struct erofs_inode *dir, const char *name, mode_t mode);
/* Another name for an inode that is no directory. */
bool box_erofs_link(struct erofs_tree *tree, struct erofs_inode *dir, const char *name, struct erofs_inode *inode);
/* Takes a name away, with all below it; how many names went. */
uint64_t box_erofs_remove(struct erofs_tree *tree, struct erofs_entry *entry);
/* Sets an attribute: its name is a prefix that EROFS knows (index) and the rest. */
bool box_erofs_set_xattr(struct erofs_tree *tree, struct erofs_inode *inode, unsigned index, const char *name,
                         const void *value, size_t size);
/* Hides what the layers below have in a directory. Such an image is root's, whose overlays look at "trusted." marks. */
bool box_erofs_set_opaque(struct erofs_tree *tree, struct erofs_inode *dir);
/* The index and the rest of a whole name; 0: no prefix that we keep. */
unsigned box_erofs_xattr_index(const char *name, const char **rest);

static inline bool box_erofs_is_whiteout(const struct erofs_inode *inode)
{
    return (inode->mode & 0170000) == 0020000 && inode->rdev == 0;
}

/* The directory `path` leads to, with links resolved inside the tree: 0, or -ENOENT, -ENOTDIR, -ELOOP,
 * -ENAMETOOLONG, -ENOMEM. With `made`, what is missing is made, 0755 and implicit, also where a dangling link
 * leads, and *made counts it; a whiteout that is itself a component of the path becomes a directory and is
 * counted in *replaced. */
struct erofs_walk {
    bool make;
    uint64_t made, replaced;
};
int box_erofs_walk(struct erofs_tree *tree, const char *path, struct erofs_walk *walk, struct erofs_inode **dir);

#endif
