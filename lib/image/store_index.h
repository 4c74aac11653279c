/* images.json: which names there are, and which manifest each stands for.
 *
 * It is an OCI image index, one descriptor a name. A descriptor without a name is an image that has none;
 * there is one only for an image id that nothing else in the index has. It is read without a lock, since it
 * is replaced as a whole, and changed with the store's lock held exclusively.
 *
 * While there are images that are not on disk yet, images.late stands in front of it: store_late.h. */
#ifndef BOX_IMAGE_STORE_INDEX_H
#define BOX_IMAGE_STORE_INDEX_H

#include "image/store.h"

struct box_index_entry {
    char *name; /* full, "docker.io/library/debian:latest"; NULL: none */
    char *media_type;
    struct box_digest manifest;
    struct box_digest id; /* the config's digest */
    uint64_t size;        /* of the manifest, bytes */
};

struct box_index {
    struct box_index_entry *entries;
    size_t n, capacity;
};

int box_index_read(const box_store *store, struct box_index *index, box_error **err);
/* For good: what was committed late before is written to disk first. */
int box_index_write(const box_store *store, const struct box_index *index, box_error **err);
void box_index_clear(struct box_index *index);
#define _index_ __attribute__((cleanup(box_index_clear)))

/* For store_late.c: the documents themselves. boot: of an index of late images; NULL: of images.json. */
#define BOX_INDEX_MAX (64u << 20)
int box_index_parse(const char *text, size_t length, struct box_index *index, char boot[40], box_error **err);
int box_index_format(const struct box_index *index, const char *boot, char **text, box_error **err);
/* Replaces images.json, whatever stands in front of it. */
int box_index_replace(const box_store *store, const struct box_index *index, box_error **err);

/* The entry of a full name, or NULL. */
struct box_index_entry *box_index_find(const struct box_index *index, const char *name);
/* The first entry of an image id, or of a manifest; NULL. */
struct box_index_entry *box_index_find_id(const struct box_index *index, const struct box_digest *id);
struct box_index_entry *box_index_find_manifest(const struct box_index *index,
                                                const struct box_digest *manifest);
/* How many names an image has. */
size_t box_index_count_names(const struct box_index *index, const struct box_digest *id);

/* Gives an image a name (NULL: just makes sure that the image is there). Whoever had the name loses it, and
 * stays as an image without one. */
int box_index_add(struct box_index *index, const struct box_index_entry *image, const char *name,
                  box_error **err);
/* Takes a name away; with keep, an image whose last it was stays without one. */
void box_index_remove(struct box_index *index, const char *name, bool keep);
/* Takes an entry away. */
void box_index_drop(struct box_index *index, size_t i);
/* Takes an image away with all its names. */
void box_index_remove_id(struct box_index *index, const struct box_digest *id);

#endif
