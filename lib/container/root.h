/* The files of a container, whether it runs or not.
 *
 * One that runs: its root as its first process sees it, mounts included, by a descriptor of /proc/PID/root that is
 * checked afterwards to be of that process. Whoever is inside may change anything at any moment.
 * One that does not: its writable layer and its image's layers, merged without a mount; its lock is held, so that it
 * does not start meanwhile. */
#ifndef BOX_CONTAINER_ROOT_H
#define BOX_CONTAINER_ROOT_H

#include "container/container.h"
#include "image/pack_union.h"

struct container_root {
    bool live;
    struct box_layer_fds layers;    /* live: the root alone */
    bool overlay;                   /* not live: layers.fds[0] is the writable layer */
    const struct box_idmap *idmap;  /* owners are found outside of it; NULL: they are as the container has them */
    bool readonly;                  /* not live: the spec says so */
    int lock;
};
#define CONTAINER_ROOT_NONE ((struct container_root){.lock = -1})
int container_root_open(box_container *c, struct container_root *root, box_error **err);
void container_root_close(struct container_root *root);
#define _container_root_ __attribute__((cleanup(container_root_close)))

/* The writable layer, and those below it; BOX_EUNSUPPORTED for a container whose root is no image. Of a container
 * that runs as well: whoever is inside may change the upper one, but only by its own rules. */
struct container_layers {
    int upper;
    struct box_layer_fds lower; /* the topmost first */
    const struct box_idmap *idmap;
    int lock;
};
#define CONTAINER_LAYERS_NONE ((struct container_layers){.upper = -1, .lock = -1})
int container_layers_open(box_container *c, struct container_layers *layers, box_error **err);
void container_layers_close(struct container_layers *layers);
#define _container_layers_ __attribute__((cleanup(container_layers_close)))

/* Paths in the writable layer that say nothing about the container's changes: what was made only to mount on, and
 * directories that are there for nothing else. Sorted; to be freed with box_strv_free(). */
int container_stubs(const box_container *c, const struct container_layers *layers, char ***paths, box_error **err);

#endif
