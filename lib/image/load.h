/* Loading, in three steps: what images an archive has (load_find.c), their layers (load.c), and the moment at
 * which all of them become visible (load_commit.c), which importing shares. */
#ifndef BOX_IMAGE_LOAD_H
#define BOX_IMAGE_LOAD_H

#include <json-c/json.h>
#include <pthread.h>

#include "image/bundle.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/store.h"

/* A layer that is to be had: once, however many images use it on the same layers. */
struct load_layer {
    struct box_layer_id id;
    bool pending;           /* it is still to inherit */
    struct box_digest blob;
    struct box_piece piece;
};

struct load_image {
    char **names; /* full */
    char *manifest_json, *config_json;
    size_t manifest_length, config_length;
    char *media_type;
    struct box_digest manifest, config;
    struct box_layer_id *layers; /* the lowest first */
    struct box_digest *blobs;    /* of them */
    size_t n_layers;
};

struct load {
    box_store *store;
    struct box_store_work work;
    struct box_bundle *bundle;
    box_image_options options;
    box_image_limits limits;
    struct load_image *images;
    size_t n_images, images_capacity;
    struct load_layer *layers;
    size_t n_layers, layers_capacity;
    /* The caller is told, and may cancel, from one thread at a time. */
    pthread_mutex_t mutex;
    bool cancelled;
    bool keeps_blobs; /* the store does */
    bool late;        /* the images may become visible before they are on disk: store_late.h */
};

int box_load_init(struct load *load, box_store *store, const box_image_options *options, box_error **err);
void box_load_clear(struct load *load);

/* Tells the caller; BOX_ECANCELLED when it wants no more. */
int box_load_tell(struct load *load, const box_image_progress *progress, box_error **err);
/* A tick of the reading of the archive. */
int box_load_tick(void *data, uint64_t read, box_error **err);

/* Ends the work, whatever its result, and gives the result back. */
int box_load_finish(struct load *load, int result);

/* Finds the images of load->bundle. */
int box_load_find(struct load *load, box_error **err);
struct load_image *box_load_add_image(struct load *load, box_error **err);
/* Adds the layer number `at` of an image to those to be had, unless it is there; takes piece over. */
int box_load_add_layer(struct load *load, struct load_image *image, size_t at, const struct box_digest *blob,
                       struct box_piece *piece, box_error **err);
/* Parses the config, takes its diff ids, and checks that there are as many as layers. */
int box_load_take_config(struct load_image *image, size_t layers, box_error **err);

/* Makes a manifest for an image whose config and diff ids are known, of the layers described; the same for
 * the same image. `layers` is borrowed. */
int box_load_describe_layer(json_object *layers, const char *media_type, const struct box_digest *digest,
                            uint64_t size, box_error **err);
int box_load_make_manifest(struct load_image *image, json_object *layers, box_error **err);

/* Finishes the layers that are to inherit, of all images. */
int box_load_inherit_all(struct load *load, box_error **err);
/* Says in the lease what is going to be needed: before anything is looked for in the store. */
int box_load_need_all(struct load *load, box_error **err);
/* Puts all images into the store at once. Their layers must be there. list (may be NULL) gets them. */
int box_load_commit(struct load *load, box_image_list **list, box_error **err);

#endif
