/* Bringing blobs and then a manifest into a repository: what pushing and copying share. */
#ifndef BOX_REGISTRY_TRANSFER_H
#define BOX_REGISTRY_TRANSFER_H

#include <pthread.h>

#include "registry/api.h"

struct box_transfer;

struct box_transfer_blob {
    struct box_transfer *transfer;
    const struct box_link *link;
    char *const *mounts;          /* repositories that may have it; NULL: none */
    char object[BOX_DIGEST_TEXT]; /* what progress calls it */
    unsigned number;
    void *source; /* for open, read and close */
};

struct box_transfer {
    struct box_call call;
    struct box_target target;
    const char *repository;
    box_transfer_options options;
    /* Called from several threads, each for a blob of its own. data is the struct box_transfer_blob. */
    int (*open)(void *data, box_error **err);
    box_http_read *read;
    void (*close)(struct box_transfer_blob *blob);
    pthread_mutex_t mutex; /* around the caller's progress */
    bool cancelled;
    unsigned blobs; /* how many there are, for progress */
};

/* Sends each blob, side by side, unless the repository has it already. The blobs are the caller's; those of a kind
 * that registries do not keep are passed over. */
int box_transfer_blobs(struct box_transfer *transfer, struct box_transfer_blob *blobs, size_t n, box_error **err);
int box_transfer_tell(struct box_transfer *transfer, const box_image_progress *progress, box_error **err);

#endif
