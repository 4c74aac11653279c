/* Packing: trees of files as tar streams, and as layers. lib/image/pack.c, pack_diff.c. */
#ifndef BOX_IMAGE_PACK_H
#define BOX_IMAGE_PACK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/fail.h"
#include "image/tar_write.h"

struct box_pack {
    struct box_tar_how tar;
    bool one_filesystem; /* what is mounted in the tree is left out, but for the directory it is mounted on */
    const char *prefix;  /* stands before all names; NULL: nothing. The tree itself has this name then */
    bool as_dot;         /* the tree itself is ".", what is in it "./NAME" */
    /* Sorted paths that are left out of a layer, or NULL. */
    char *const *leave_out;
};

/* The union of layers (descriptors, the topmost first), or the part of it at `sub`, a path without links in it
 * that may be a single file. BOX_ELIMIT for a tree more than 256 deep. */
int box_pack_tree(const int *layers, size_t n, const char *sub, const struct box_pack *how, box_error **err);
/* A directory as overlay keeps changes in it, as a layer: whiteouts become ".wh.NAME", opaque directories have
 * ".wh..wh..opq". BOX_EUNSUPPORTED for a name that begins with ".wh.", and for what a layer cannot say (a
 * directory that overlay has redirected). */
int box_pack_layer(int dirfd, const struct box_pack *how, box_error **err);
/* What leads from one union to another, as a layer. */
int box_pack_diff(const int *from, size_t n_from, const int *to, size_t n_to, const struct box_pack *how,
                  box_error **err);

/* ---- What the two files share ---- */

struct pack_walk {
    const struct box_pack *how;
    struct box_tar_writer *writer;
    bool layer; /* names that begin with ".wh." are refused */
    bool raw;   /* whiteouts are written, not obeyed */
    bool plain; /* no overlay's directory: a device 0/0 is one */
    unsigned depth;
    dev_t dev;            /* of the top, and … */
    unsigned long long mount; /* … the mount that it is on; 0: not known */
    char path[4096];      /* in the tree */
    char name[4096 + 4096]; /* in the archive */
};
int pack_walk_begin(struct pack_walk *w, const struct box_pack *how, box_error **err);
/* Appends a name to the path; the length before it, for pack_walk_leave(), or an error. */
int pack_walk_enter(struct pack_walk *w, const char *name, box_error **err);
void pack_walk_leave(struct pack_walk *w, int length);
/* Writes what is at the path. fd: a directory's own, or -1. */
int pack_walk_put(struct pack_walk *w, int dirfd, const char *name, const struct stat *st, int fd,
                  box_error **err);
/* Writes ".wh.NAME" for the last component of the path. */
int pack_walk_whiteout(struct pack_walk *w, box_error **err);
struct box_union_dir;
/* What is in a directory, whose own entry has been written. */
int pack_walk_directory(struct pack_walk *w, const struct box_union_dir *dir, box_error **err);

#endif
