/* Looking for a name through layers that are not mounted, by overlay's own rules: the first layer that has it
 * decides; a whiteout (a character device 0/0) or anything that is no directory hides what lies below, and so
 * does an opaque directory on the way. kernel.org, filesystems/overlayfs. */
#ifndef BOX_SPEC_LAYERS_H
#define BOX_SPEC_LAYERS_H

#include <stddef.h>
#include <sys/stat.h>

struct box_layers_found {
    int dirfd; /* the directory, in the layer that decides, that holds it; the caller closes it */
    struct stat st;
};

/* layers: descriptors (O_PATH will do), the topmost first. path: relative, with no links on the way. 0, or a
 * negative errno, -ENOENT when the union has no such name. Uses a few descriptors, whatever the number of
 * layers. */
int box_layers_find(const int *layers, size_t n_layers, const char *path, struct box_layers_found *found);

#endif
