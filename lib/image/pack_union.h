/* The union of layers, read without mounting it: a directory at a time, by overlay's own rules. So an image's
 * files can be had by an ordinary user, on any kernel, and with nothing left behind by a kill.
 *
 * A directory of the union is a stack of directories, the topmost first. What is read belongs to nobody else (the
 * store's layers, a container that does not run), or is a single directory that somebody may be changing
 * meanwhile: names are opened below a descriptor and never followed. */
#ifndef BOX_IMAGE_PACK_UNION_H
#define BOX_IMAGE_PACK_UNION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <libbox/image.h>
#include "base/fail.h"

#define BOX_PACK_DEPTH 256 /* directories below each other */

/* Descriptors of directories, the topmost first. */
struct box_layer_fds {
    int *fds;
    size_t n;
};
void box_layer_fds_close(struct box_layer_fds *layers);
#define _layer_fds_ __attribute__((cleanup(box_layer_fds_close)))
int box_layer_fds_add(struct box_layer_fds *layers, int fd, box_error **err); /* takes fd over */
/* Paths, the topmost first. */
int box_layer_fds_open(char *const *paths, struct box_layer_fds *layers, box_error **err);
/* All layers of an image that count in its union. */
int box_image_open_layers(const box_image *image, struct box_layer_fds *layers, box_error **err);
/* The tree of one layer by itself, number `index` from the lowest: its descriptor, or an error. */
int box_image_open_layer(const box_image *image, size_t index, box_error **err);

struct box_union_dir {
    int *fds; /* open for reading */
    size_t n;
};
#define BOX_UNION_DIR_NONE ((struct box_union_dir){0})
void box_union_dir_close(struct box_union_dir *dir);
#define _union_dir_ __attribute__((cleanup(box_union_dir_close)))

struct box_union_name {
    char *name;
    size_t part; /* dir->fds[part] has it */
    struct stat st;
};
struct box_union_names {
    struct box_union_name *items; /* sorted by name */
    size_t n, capacity;
};
void box_union_names_clear(struct box_union_names *names);
#define _union_names_ __attribute__((cleanup(box_union_names_clear)))

static inline bool box_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}
/* Whether a directory hides those below it. */
bool box_is_opaque(int fd);

/* The root of a union. */
int box_union_root(const int *layers, size_t n, struct box_union_dir *dir, box_error **err);
/* What is in a directory; whiteouts are left out unless they are asked for, and what is gone meanwhile. `path`
 * names the directory in errors. */
int box_union_list(const struct box_union_dir *dir, const char *path, bool whiteouts,
                   struct box_union_names *names, box_error **err);
/* The directory of a name. 1; 0 when it is none (any more); or an error. */
int box_union_enter(const struct box_union_dir *dir, const char *name, size_t part, struct box_union_dir *child,
                    box_error **err);
/* One name: 1 with its part and what it is, 0 when the union has none, or an error. */
int box_union_look(const struct box_union_dir *dir, const char *name, size_t *part, struct stat *st,
                   box_error **err);
/* The directory of a path without links in it ("" is the root): 1, 0, or an error. */
int box_union_walk(const int *layers, size_t n, const char *path, struct box_union_dir *dir, box_error **err);

/* Follows the links of a path, which mean what they mean with the union as the root: the path without links, and
 * what is there. `last`: also one at its end. BOX_ENOTFOUND (then *out is the parent's path and the name, when
 * only the last component is missing; "" otherwise); BOX_ELIMIT for more than 40 links. */
int box_union_resolve(const int *layers, size_t n, const char *path, bool last, char out[PATH_MAX],
                      struct stat *st, box_error **err);

#endif
