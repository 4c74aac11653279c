/* Trying things that cannot be known otherwise, in a child with namespaces of its own that ends at once. */
#ifndef BOX_KERNEL_HOST_TRY_H
#define BOX_KERNEL_HOST_TRY_H

#include <stdbool.h>
#include <stdint.h>

/* The steps, in the order in which they are made. */
enum box_try_step {
    BOX_TRY_CLONE,      /* the child itself, in new namespaces */
    BOX_TRY_ID_MAP,     /* a map of one id, in a user namespace */
    BOX_TRY_PRIVATE,    /* all mounts made private to the child */
    BOX_TRY_TMPFS,      /* a tmpfs */
    BOX_TRY_OVERLAY,    /* an overlay with two lower layers and an upper one on it, by mount(2) */
    BOX_TRY_LAYERS,     /* an overlay by fsconfig(2) with a "lowerdir+" for each layer */
    BOX_TRY_PROC,       /* a new proc of the child's own pid namespace */
    BOX_TRY_ATTRIBUTES, /* mount_setattr(2), recursively read-only */
    BOX_TRY_STEPS
};

#define BOX_TRY_NOT_TRIED 1

struct box_try {
    int result[BOX_TRY_STEPS]; /* 0, a negative errno, or BOX_TRY_NOT_TRIED */
    /* for the child */
    bool map;
    bool overlay;
    char uid_map[32], gid_map[32];
};

/* Tries all steps; overlay: whether those with an overlay too, which may load a kernel module. Never fails:
 * the results tell. The child is reaped by its pidfd. */
void box_try_run(struct box_try *t, bool user_namespace, bool overlay);
/* The step's result is 0. */
bool box_try_ok(const struct box_try *t, enum box_try_step step);
/* The first step up to this one that failed, as a negative errno; 0 when all went well. */
int box_try_failure(const struct box_try *t, enum box_try_step last);

#endif
