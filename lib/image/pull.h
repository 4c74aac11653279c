/* Pulling, in three steps: what the reference leads to (pull.c), its layers side by side (pull_layer.c), and the
 * moment at which the image becomes visible, which loading shares (load_commit.c). */
#ifndef BOX_IMAGE_PULL_H
#define BOX_IMAGE_PULL_H

#include <pthread.h>

#include "base/clock.h"
#include "base/workqueue.h"
#include "image/load.h"
#include "image/remote.h"

struct box_pull {
    struct load load;
    struct box_remote *remote;
    int cancel_fd; /* -1: none */
    struct box_deadline deadline;
    struct box_workqueue *queue; /* the layers'; NULL before and after */
    /* How many layers are unpacked at once: fewer than are fetched at once, since unpacking takes processors. */
    pthread_mutex_t gate;
    pthread_cond_t opened;
    unsigned unpacking, unpacking_max;
};

/* Whether to go on: 0; or BOX_ECANCELLED, BOX_ETIMEOUT. From any thread. */
int box_pull_check(struct box_pull *pull, box_error **err);
/* The lock of a blob, waited for as long as the pull goes on: the fd that holds it, or an error. */
int box_pull_lock_blob(struct box_pull *pull, const struct box_digest *digest, box_error **err);
/* Has all layers of the load in the store. */
int box_pull_layers(struct box_pull *pull, box_error **err);

#endif
