/* The documents of an image: index, manifest, config. OCI image-spec 1.1 and Docker's schema 2.
 *
 * All of them came from outside. They are parsed with limits, and one that could be read as two things (a
 * manifest with a list of manifests in it, a body whose media type is not the one it was announced with) is
 * refused, since two readers of the same digest could see different images in it (CVE-2021-41190). */
#ifndef BOX_IMAGE_MANIFEST_H
#define BOX_IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/image.h>

#include "base/digest.h"
#include "base/fail.h"
#include "image/platform.h"

#define BOX_MEDIA_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define BOX_MEDIA_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define BOX_MEDIA_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define BOX_MEDIA_OCI_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define BOX_MEDIA_DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define BOX_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define BOX_MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

/* The most bytes of an index, manifest or config. */
#define BOX_DOCUMENT_MAX (8u << 20)

enum box_media { BOX_MEDIA_OTHER, BOX_MEDIA_INDEX, BOX_MEDIA_MANIFEST, BOX_MEDIA_CONFIG, BOX_MEDIA_LAYER };
enum box_media box_media_kind(const char *media_type);

struct box_descriptor {
    char *media_type;
    struct box_digest digest;
    uint64_t size;
    char *name;                        /* annotation io.containerd.image.name, or NULL */
    char *ref_name;                    /* annotation org.opencontainers.image.ref.name, or NULL */
    char *os, *architecture, *variant; /* of the platform; NULL where nothing is said */
    char *artifact_type;               /* NULL: none */
    bool is_artifact;                  /* no image: something that is said about one */
};

struct box_manifest {
    char *media_type;
    struct box_descriptor config;
    struct box_descriptor *layers;
    size_t n_layers;
    char *artifact_type;           /* NULL: none */
    struct box_descriptor subject; /* media_type NULL: none */
    box_image_pair *annotations;   /* keys and values are malloc'ed */
    size_t n_annotations;
};

struct box_manifest_index {
    struct box_descriptor *entries;
    size_t n_entries;
};

/* media_type is what the document was announced as; NULL: it may say so itself. source names it in errors. */
int box_manifest_parse(const char *text, size_t length, const char *media_type, const char *source,
                       unsigned max_layers, struct box_manifest *manifest, box_error **err);
void box_manifest_clear(struct box_manifest *manifest);
#define _manifest_ __attribute__((cleanup(box_manifest_clear)))
int box_manifest_index_parse(const char *text, size_t length, const char *media_type, const char *source,
                             struct box_manifest_index *index, box_error **err);
void box_manifest_index_clear(struct box_manifest_index *index);
#define _manifest_index_ __attribute__((cleanup(box_manifest_index_clear)))

/* The entry of an index that fits a platform best: "os/architecture[/variant]", NULL for this machine's; see
 * platform.h. Entries that are no images (attestations, artifacts) are passed over. NULL: none fits. */
const struct box_descriptor *box_manifest_index_choose(const struct box_manifest_index *index,
                                                       const char *platform);

/* ---- Config ---- */

struct box_config_step {
    char *created, *created_by, *author, *comment;
    bool empty_layer;
};

struct box_config {
    char *os, *architecture, *variant, *created, *author;
    char *user, *workdir, *stop_signal, *healthcheck;
    char **entrypoint, **cmd, **env, **shell, **volumes, **ports, **onbuild;
    box_image_pair *labels; /* keys and values are malloc'ed */
    size_t n_labels;
    struct box_config_step *history;
    size_t n_history;
    struct box_digest *diff_ids; /* the lowest layer first */
    size_t n_diff_ids;
};

int box_config_parse(const char *text, size_t length, const char *source, struct box_config *config,
                     box_error **err);
void box_config_clear(struct box_config *config);
#define _config_ __attribute__((cleanup(box_config_clear)))

/* Seconds since 1970 of an RFC 3339 time; 0 for what is none. */
int64_t box_time_parse(const char *text);

#endif
