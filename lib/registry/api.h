/* The distribution protocol's calls, each on one target. OCI distribution-spec 1.1. */
#ifndef BOX_REGISTRY_API_H
#define BOX_REGISTRY_API_H

#include "base/digest.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "registry/request.h"

/* The scope for actions ("pull", "pull,push") on a repository of a target. NULL: out of memory. */
char *box_api_scope(const struct box_target *target, const char *repository, const char *actions);
/* "/v2/PREFIX/REPOSITORY/REST". NULL: out of memory. */
char *box_api_path(const struct box_target *target, const char *repository, const char *fmt, ...) BOX_PRINTF(3, 4);

/* ---- Manifests: api_manifest.c ---- */

/* `reference` is a tag or a digest. The document is held against its digest. */
int box_api_get_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *reference, box_registry_document *document, box_error **err);
/* The digest of what a tag leads to now. BOX_ENOTFOUND. The caller frees *digest. */
int box_api_head_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                          const char *reference, char **digest, box_error **err);
int box_api_put_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *reference, const box_registry_document *document, box_error **err);
int box_api_delete_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                            const char *digest, box_error **err);

/* ---- Referrers: api_referrers.c ---- */

int box_api_get_referrers(const struct box_call *call, struct box_target *target, const char *repository,
                          const char *digest, const char *artifact_type, box_registry_document *document,
                          box_error **err);
/* After a manifest with a subject went to a registry that keeps no referrers: adds it to the tag that stands in. */
int box_api_add_referrer(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *subject, const box_registry_document *manifest, box_error **err);

/* ---- Blobs: api_blob.c ---- */

/* Whether the repository has it: 1, 0, or an error. */
int box_api_has_blob(const struct box_call *call, struct box_target *target, const char *repository,
                     const struct box_digest *digest, box_error **err);
/* As box_remote's `blob`. */
int box_api_get_blob(const struct box_call *call, struct box_target *target, const char *repository,
                     const struct box_digest *digest, uint64_t size, int fd, uint64_t from, box_remote_tick *tick,
                     void *data, box_error **err);

/* ---- Uploads: upload.c ---- */

struct box_upload {
    const char *repository;
    const struct box_digest *digest;
    uint64_t size;
    char *const *mounts; /* other repositories of the same registry that may have it; NULL: none is known */
    /* Called once, if it must be sent, before the first read; NULL: nothing is to be done for that. */
    int (*open)(void *data, box_error **err);
    box_http_read *read;
    box_remote_tick *tick; /* told how many bytes went out; may be NULL */
    void *data;            /* of the three */
};
enum { BOX_UPLOAD_SENT, BOX_UPLOAD_THERE, BOX_UPLOAD_MOUNTED };
/* Makes the repository have a blob: how it came to, or a BOX_E* code. */
int box_upload_blob(const struct box_call *call, struct box_target *target, const struct box_upload *upload,
                    box_error **err);

/* ---- What a document refers to: links.c ---- */

struct box_link {
    char *media_type;
    struct box_digest digest;
    uint64_t size;
    bool manifest; /* or else a blob */
    bool foreign;  /* not kept by registries: it has URLs of its own */
};
struct box_links {
    struct box_link *items;
    size_t n, capacity;
    char *subject; /* digest, or NULL */
    char *artifact_type;
};
/* Of a manifest, index or artifact of whatever type. BOX_EPARSE, BOX_ELIMIT. */
int box_links_read(const char *text, size_t length, struct box_links *links, box_error **err);
void box_links_clear(struct box_links *links);
#define _links_ __attribute__((cleanup(box_links_clear)))

#endif
