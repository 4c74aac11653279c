/* Saving, in three steps: which images it is about (save.c), the blobs that they need (save_layers.c), and the
 * archive in the form that is wanted (save_tar.c, save_dir.c). */
#ifndef BOX_IMAGE_SAVE_H
#define BOX_IMAGE_SAVE_H

#include <json-c/json.h>

#include <libbox/archive.h>
#include "image/image.h"
#include "image/pack_out.h"
#include "image/source.h"
#include "image/store.h"

/* A file of the archive that is named by its digest. */
struct save_blob {
    struct box_digest digest;
    uint64_t size;
    const char *data; /* at hand, borrowed; or … */
    int fd;           /* … a nameless file of the workplace, owned; or, when both are missing, kept by the store */
};

struct save_layer {
    const char *media_type; /* static, or the manifest's */
    struct box_digest diff_id;
    struct save_blob blob;
    bool remade; /* the blob is not the manifest's */
};

struct save_image {
    box_image *image;
    char **names; /* full */
    struct box_manifest manifest;
    struct save_layer *layers; /* as many as manifest.n_layers */
    char *manifest_json, *config_json; /* as they are saved */
    const char *media_type;
    struct save_blob manifest_blob, config_blob;
};

struct save {
    box_store *store;
    struct box_store_work work;
    struct box_watch watch;
    struct save_image *images;
    size_t n_images, capacity;
};

/* Makes blobs for all layers, and the documents that go with them. */
int box_save_layers(struct save *save, box_error **err);

/* A blob's bytes, held against its digest. */
int box_save_copy(struct save *save, const struct save_blob *blob, box_tar_sink *sink, void *context, box_error **err);
/* "blobs/sha256/HEX". */
char *box_save_blob_name(const struct box_digest *digest, char out[BOX_DIGEST_TEXT + 16]);
/* Calls back for each blob of all images, once. */
typedef int box_save_visit(struct save *save, const struct save_blob *blob, void *data, box_error **err);
int box_save_each_blob(struct save *save, box_save_visit *visit, void *data, box_error **err);

/* Adds a descriptor for each name of each image to the "manifests" of an index. */
int box_save_describe(const struct save *save, enum box_archive_format format, json_object *manifests,
                      box_error **err);
int box_save_text(json_object *doc, char **text, box_error **err);

int box_save_tar(struct save *save, box_tar_sink *sink, void *context, box_error **err);
int box_save_dir(struct save *save, const char *path, box_error **err);

#endif
