/* A registry and its mirrors as the engine of pulls sees them (image/remote.h). */
#ifndef BOX_REGISTRY_REMOTE_H
#define BOX_REGISTRY_REMOTE_H

#include "image/remote.h"
#include "registry/api.h"

struct box_http_remote {
    struct box_remote base; /* the first member */
    struct box_call call;
    struct box_target *targets; /* the mirrors, then the registry itself, which is opened when it is needed */
    size_t n_targets;
    char *domain, *repository;
    box_image_progress_fn *progress; /* told once what the first document is, BOX_IMAGE_STAGE_RESOLVED; may be NULL */
    void *progress_data;
};

/* The remote for the repository of a reference; mirrors only when reading. The call's registry must live longer. */
int box_http_remote_open(const struct box_call *call, const struct box_reference *reference,
                         struct box_http_remote *remote, box_error **err);
/* What a reference leads to. choose: where that is an index, the manifest in it for `platform` (NULL: this machine's). */
int box_http_remote_document(struct box_http_remote *remote, const struct box_reference *reference,
                             const char *platform, bool choose, box_registry_document *document, box_error **err);
void box_http_remote_close(struct box_http_remote *remote);
#define _http_remote_ __attribute__((cleanup(box_http_remote_close)))

#endif
