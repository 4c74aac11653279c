/* Copying into a container and out of it. copy.c resolves paths and packs, copy_place.c puts entries of a tar stream
 * in place, copy_dest.c finds where they go, copy_host.c has the rules of `docker cp`. */
#ifndef BOX_CONTAINER_COPY_H
#define BOX_CONTAINER_COPY_H

#include <libbox/archive.h>

#include "base/resolve.h"
#include "container/root.h"
#include "image/pack_out.h"
#include "image/source.h"

/* A tree that is read from or written to: a container's, or a part of the host's. */
struct copy_tree {
    struct container_root root; /* of a container; its layers[0] is what is written to */
    bool host;                  /* the host's: owners are the caller's, and nothing privileged is made */
};
#define COPY_TREE_NONE ((struct copy_tree){.root = CONTAINER_ROOT_NONE})
/* Opens the tree that a path of the container is in. When the container does not run and something of the host's is
 * to be mounted there, the tree is that, and *rest what is left of the path. The caller frees *rest. */
int copy_tree_open(box_container *c, const char *path, struct copy_tree *tree, char **rest, box_error **err);
/* A directory of the host's. Takes fd over. */
int copy_tree_open_host(int fd, struct copy_tree *tree, box_error **err);
void copy_tree_close(struct copy_tree *tree);
#define _copy_tree_ __attribute__((cleanup(copy_tree_close)))

/* What a path is. */
struct copy_spot {
    struct stat st;
    char path[PATH_MAX];         /* not live: without links in it, "" is the root */
    int dirfd;                   /* live: the directory that holds it, … */
    char name[BOX_RESOLVE_NAME]; /* … and its name there; "" is the root itself */
};
#define COPY_SPOT_NONE ((struct copy_spot){.dirfd = -1})
/* follow: a link at the end means what it leads to. BOX_ENOTFOUND. */
int copy_find(const struct copy_tree *tree, const char *path, bool follow, struct copy_spot *spot, box_error **err);
void copy_spot_close(struct copy_spot *spot);
#define _copy_spot_ __attribute__((cleanup(copy_spot_close)))
int copy_not_found(const char *path, box_error **err);

/* What was named with a slash or "/." behind it. */
struct copy_name {
    char base[BOX_RESOLVE_NAME]; /* the last component; "" when there is none */
    bool contents;               /* what is in it is meant: "DIR/.", "/" */
    bool directory;              /* it must be a directory: "DIR/" */
};
int copy_name_read(const char *path, struct copy_name *name, box_error **err);

/* Writes what a spot is as a tar stream, named `prefix` (NULL: its contents, under "."). */
struct copy_packing {
    const struct copy_tree *tree;
    const struct copy_spot *spot;
    const char *prefix;
};
int copy_pack(box_tar_sink *sink, void *context, void *data, box_error **err); /* data: struct copy_packing */

/* Reads from fd, with the caller's deadline and way to cancel. */
struct box_source *copy_source(int fd, struct box_watch *watch, box_error **err);

/* Unpacks a tar stream into the directory `path` of a tree, which must be there. */
int copy_place(const struct copy_tree *tree, const char *path, struct box_source *stream, unsigned flags,
               box_error **err);

/* ---- copy_dest.c ---- */

/* Where an entry goes. */
struct copy_dest {
    int dirfd;                   /* the directory to write in, O_PATH */
    char name[BOX_RESOLVE_NAME]; /* in it */
    bool exists;                 /* something is there in the tree as it is seen, … */
    struct stat st;              /* … namely this */
    bool here;                   /* it is in dirfd itself, and not in a layer below */
    bool hidden;                 /* a whiteout is in dirfd: a directory in its place has to be opaque */
    char path[PATH_MAX];         /* in a union: without links */
};
#define COPY_DEST_NONE ((struct copy_dest){.dirfd = -1})
/* The directories on the way are made when they are missing, and brought into the writable layer. */
int copy_dest_find(const struct copy_tree *tree, const char *path, struct copy_dest *dest, box_error **err);
void copy_dest_close(struct copy_dest *dest);
#define _copy_dest_ __attribute__((cleanup(copy_dest_close)))
/* A directory that is in a layer below only, in the writable layer: a descriptor (O_PATH) or an error. */
int copy_dest_directory(const struct copy_tree *tree, const char *path, box_error **err);
/* The ids of the container's root, as they are written here. */
void copy_root_ids(const struct copy_tree *tree, uid_t *uid, gid_t *gid);

#endif
