/* An image as the library sees it: its documents, parsed, and where its layers lie. It does not change once
 * made. */
#ifndef BOX_IMAGE_IMAGE_H
#define BOX_IMAGE_IMAGE_H

#include <libbox/image.h>

#include "base/digest.h"
#include "base/fail.h"
#include "image/manifest.h"
#include "image/store.h"
#include "image/store_index.h"

struct box_image {
    char *root; /* the store's */
    struct box_digest manifest_digest, id_digest;
    char digest[BOX_DIGEST_TEXT], id[BOX_DIGEST_TEXT];
    char *manifest_json, *config_json;
    size_t manifest_length, config_length;
    struct box_config config;
    box_image_pair *annotations; /* keys and values are malloc'ed */
    size_t n_annotations;
    struct box_layer_record *layers; /* as many as config.n_diff_ids */
    char (*layer_names)[BOX_LAYER_NAME];
    char (*diff_ids)[BOX_DIGEST_TEXT];
    char **names;
    int64_t created;
    uint64_t size;
};
BOX_CLEANUP(box_image, box_image_free);

struct box_image_list {
    box_image **images;
    size_t n, capacity;
};
BOX_CLEANUP(box_image_list, box_image_list_free);

/* Reads manifest and config of an entry of the index, and finds its layers. The store's lock must be held, or
 * the image be held by a lease. BOX_ECORRUPT when something is missing. */
int box_image_read(const box_store *store, const struct box_index *index, const struct box_index_entry *entry,
                   box_image **image, box_error **err);

/* What a manifest refers to: its config, the diff ids in that, and the layers' blobs. Clear it in any case. */
struct box_image_references {
    struct box_digest config;
    struct box_digest *diff_ids, *blobs;
    size_t n_diff_ids, n_blobs;
};
int box_image_references(const box_store *store, const struct box_digest *manifest,
                         struct box_image_references *references, box_error **err);
void box_image_references_clear(struct box_image_references *references);

/* The entry that a text names, a name or the first digits of an id. *by_id (may be NULL): it was an id.
 * BOX_ENOTFOUND, BOX_EINVAL (ambiguous), BOX_EPARSE. */
int box_image_resolve(const struct box_index *index, const char *text, struct box_index_entry **entry,
                      bool *by_id, box_error **err);

#endif
