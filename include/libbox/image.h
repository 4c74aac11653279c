/* Images: a root file system in layers, with a config that says what to run in it.
 *
 *     box_image_list *loaded = NULL;
 *     if (box_image_load(store, "debian.tar", NULL, &loaded, &err) < 0)
 *         …box_error_message(err)…
 *     const box_image *image = box_image_list_get(loaded, 0);
 *     printf("%s\n", box_image_id(image));
 *     box_image_apply_to_spec(image, spec, NULL, &err);
 *     box_image_list_free(loaded);
 *
 * What comes in is not trusted. Every blob is held against its digest while it is read, every layer against
 * its diff id as well, and nothing becomes visible before all of them agree; limits bound what a small file
 * can blow up to. Layers are unpacked through the in-root resolver: no name, link or marker in an archive
 * reaches out of its layer.
 *
 * Names are Docker's: "debian" is docker.io/library/debian:latest, "host:5000/a/b:tag" and "name@sha256:…"
 * are what they look like. An image's id is the digest of its config, as Docker's is.
 *
 * Thread rules: a box_image and a box_image_list never change, so that several threads may read one. What a
 * getter gives belongs to the image. They do not depend on the store object after they were made; the files
 * behind an image stay as long as it has a name or a container.
 *
 * Specification: https://github.com/opencontainers/image-spec (1.1), and Docker's image spec 1.2.
 */
#ifndef LIBBOX_IMAGE_H
#define LIBBOX_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>
#include <libbox/spec.h>
#include <libbox/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_image box_image;
typedef struct box_image_list box_image_list;

/* ---- Bringing images in -------------------------------------------------------------------------------- */

/* What an image may unpack to. Zero in a field: the default, in brackets. Each limit that is passed is a
 * BOX_ELIMIT error that names the layer and the entry. */
typedef struct box_image_limits {
    uint64_t layer_bytes;  /* data of all files of one layer [64 GiB] */
    uint64_t file_bytes;   /* apparent size of one file, holes included [1 TiB] */
    uint64_t entries;      /* entries of one layer [4,000,000] */
    uint64_t free_bytes;   /* a layer may unpack to this much, however small it is [1 GiB]; … */
    unsigned ratio;        /* … beyond that, to so many times its compressed size [250] */
    unsigned path_bytes;   /* length of a name in the archive [4095, also the most] */
    unsigned path_depth;   /* components of a name [256] */
    unsigned header_bytes; /* an entry's headers together, PAX and sparse maps among them [1 MiB] */
    unsigned layers;       /* layers of one image [512] */
} box_image_limits;

enum box_image_stage {
    BOX_IMAGE_STAGE_READ = 0,    /* the archive is looked through, or spooled when it cannot be sought in */
    BOX_IMAGE_STAGE_LAYER = 1,   /* a layer is being unpacked */
    BOX_IMAGE_STAGE_KEPT = 2,    /* a layer was in the store already */
    BOX_IMAGE_STAGE_SYNC = 3,    /* everything is being written to disk */
    BOX_IMAGE_STAGE_FINISHED = 4, /* an image has become visible */
    BOX_IMAGE_STAGE_DOWNLOAD = 5, /* pull: a layer's blob is coming; it is unpacked at the same time, so reports
                                     of this stage and of BOX_IMAGE_STAGE_LAYER come in turns */
    BOX_IMAGE_STAGE_RESOLVED = 6  /* pull, once, before all others: what the name led to in the registry. The object
                                     is its digest: that of the index where the image is there for several
                                     platforms, and not of the one manifest in it that is taken */
};

typedef struct box_image_progress {
    enum box_image_stage stage;
    const char *object; /* the layer's diff id, also while it is downloaded; the image's id; the digest that was
                           resolved; "" when there is none */
    unsigned layer;     /* number of the layer in its image, from 0, … */
    unsigned layers;    /* … of so many */
    uint64_t done;      /* bytes of the archive or blob read for this object */
    uint64_t total;     /* of so many; 0: not known */
} box_image_progress;

/* Called now and then, from the thread that called, or from one of its helpers, never from two at once. A
 * value other than 0 cancels the operation: BOX_ECANCELLED, and the store is as it was. */
typedef int box_image_progress_fn(const box_image_progress *progress, void *data);

/* Options of the calls below; start from BOX_IMAGE_OPTIONS_INIT. NULL in place of options is the same. */
typedef struct box_image_options {
    unsigned version;     /* 1 */
    const char *name;     /* load: the name for the image, in place of those in the archive, which must then
                             hold one image. import: the name, or NULL for an image with none */
    const char *platform; /* "os/architecture[/variant]" of the image to take out of an index, or for an
                             import to be marked as; NULL: this machine's */
    const char *const *changes; /* import: Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK,
                                   LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR */
    const char *message;        /* import: the comment of the history; NULL: none */
    const box_image_limits *limits; /* NULL: the defaults */
    unsigned threads;               /* layers unpacked side by side; 0: one a processor */
    box_image_progress_fn *progress;
    void *progress_data;
} box_image_options;
#define BOX_IMAGE_OPTIONS_INIT                         \
    {                                                  \
        1, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL \
    }

/* Loads every image of an archive into the store: an OCI image layout (a directory, or a tar of one, as
 * `skopeo copy … oci-archive:` writes it) or what `docker save` writes, of either kind. The tar may be
 * compressed with gzip, zstd or xz, and so may the layers in it. A layer that the store has is not unpacked
 * again. `*images` (may be NULL) is what was loaded, with its names, to be freed by the caller.
 *
 * Either all images become visible or none. Errors: BOX_ENOTFOUND; BOX_EPARSE when it is no such archive or a
 * document in it is malformed; BOX_EDIGEST when a blob is not what it is named by; BOX_EESCAPE for an entry
 * that reaches out of its layer; BOX_ELIMIT; BOX_ENOSPACE; BOX_EUNSUPPORTED for a media type that is not
 * known or an image without this platform; BOX_ELIBRARY when libarchive, or the library of a compression, is
 * not installed; BOX_ECANCELLED. The error's stage names image and layer, its subject the entry. */
BOX_API int box_image_load(box_store *store, const char *path, const box_image_options *options,
                           box_image_list **images, box_error **err);
/* The same from a descriptor: a file, or a pipe, which is copied into the store first. The caller keeps fd;
 * its position is undefined afterwards. */
BOX_API int box_image_load_fd(box_store *store, int fd, const box_image_options *options,
                              box_image_list **images, box_error **err);

/* Makes an image with one layer out of a root file system: a directory, or a tarball with any of the
 * compressions above. The caller frees *image, which may be NULL. A directory is read without following any
 * link and without crossing into other file systems; sockets are left out. Errors as above, and BOX_EPARSE
 * for a change that is none. */
BOX_API int box_image_import(box_store *store, const char *path, const box_image_options *options,
                             box_image **image, box_error **err);
/* The same for a tarball from a descriptor; the caller keeps fd. */
BOX_API int box_image_import_fd(box_store *store, int fd, const box_image_options *options, box_image **image,
                                box_error **err);

/* ---- Finding and naming -------------------------------------------------------------------------------- */

/* Opens an image by name, by "name@sha256:…", or by its id, whole or the first digits of it, with or without
 * "sha256:". A name comes before an id of the same look. The caller frees *image. BOX_ENOTFOUND; BOX_EINVAL
 * for first digits that several images have; BOX_EPARSE for what can be neither; BOX_ECORRUPT. */
BOX_API int box_image_open(box_store *store, const char *name, box_image **image, box_error **err);
/* NULL is allowed. */
BOX_API void box_image_free(box_image *image);

/* All images of the store, the newest first. The caller frees *list. */
BOX_API int box_image_list_new(box_store *store, box_image_list **list, box_error **err);
BOX_API void box_image_list_free(box_image_list *list);
BOX_API size_t box_image_list_count(const box_image_list *list);
/* The image number `index`, owned by the list; NULL past the end. */
BOX_API const box_image *box_image_list_get(const box_image_list *list, size_t index);
/* The same, handed to the caller, who frees it; a later get of this index gives NULL. */
BOX_API box_image *box_image_list_take(box_image_list *list, size_t index);

/* Gives an image, found as by box_image_open(), one more name; an image that had the name loses it. The name
 * must not have a digest. */
BOX_API int box_image_tag(box_store *store, const char *image, const char *name, box_error **err);

enum box_image_remove_flags {
    BOX_IMAGE_REMOVE_FORCE = 1 << 0 /* even when containers use it (they keep its layers) or it has several
                                       names and was given by id */
};
enum box_image_removed {
    BOX_IMAGE_REMOVED_NAME = 0,  /* `what` is the full name */
    BOX_IMAGE_REMOVED_IMAGE = 1, /* an image's id */
    BOX_IMAGE_REMOVED_LAYER = 2  /* a diff id */
};
typedef void box_image_removed_fn(enum box_image_removed kind, const char *what, void *data);

/* Removes a name, and with the last name the image, and with the last image each of its layers. Given by id,
 * the image loses all its names. BOX_EBUSY, naming the container, when the last name goes while containers
 * use the image, and when an image given by id has several names, unless forced. `report` may be NULL. */
BOX_API int box_image_remove(box_store *store, const char *image, unsigned flags,
                             box_image_removed_fn *report, void *data, box_error **err);

/* Which images go; start from BOX_IMAGE_PRUNE_INIT. */
typedef struct box_image_prune_options {
    unsigned version;          /* 1 */
    bool all;                  /* also those that have names; none that a container uses goes in any case */
    int64_t before;            /* only those created before this time, seconds since 1970; 0: any */
    const char *const *labels; /* only those with all of these labels, "key" or "key=value"; NULL: any */
} box_image_prune_options;
#define BOX_IMAGE_PRUNE_INIT \
    {                        \
        1, false, 0, NULL    \
    }

/* Removes all images that no container uses and that have no name, or any with `all`, and then what nothing
 * refers to any more, as box_store_collect() does. One step: another process sees all of them or none.
 * options NULL: as BOX_IMAGE_PRUNE_INIT. `report` and `freed` may be NULL. */
BOX_API int box_image_prune(box_store *store, const box_image_prune_options *options,
                            box_image_removed_fn *report, void *data, box_store_freed *freed,
                            box_error **err);

/* How many images there are, and what their layers and documents take, unpacked and as blobs. */
BOX_API int box_image_usage(box_store *store, box_store_usage *usage, box_error **err);

/* ---- Looking at one ------------------------------------------------------------------------------------ */

typedef struct box_image_pair {
    const char *key, *value;
} box_image_pair;

typedef struct box_image_history {
    const char *created;    /* RFC 3339, or "" */
    const char *created_by; /* the instruction, or "" */
    const char *author;
    const char *comment;
    bool empty_layer;
} box_image_history;

/* Strings are "" and vectors empty where the image says nothing; vectors end in NULL. */
BOX_API const char *box_image_id(const box_image *image);     /* "sha256:…", the digest of the config */
BOX_API const char *box_image_digest(const box_image *image); /* "sha256:…", the digest of the manifest */
/* Full names ("docker.io/library/debian:latest"), as they were when the image was opened. */
BOX_API char *const *box_image_names(const box_image *image);
/* A name as people write it: "debian:latest" for docker.io/library/debian:latest. The caller frees *text. */
BOX_API int box_image_familiar_name(const char *name, char **text, box_error **err);

BOX_API char *const *box_image_entrypoint(const box_image *image);
BOX_API char *const *box_image_cmd(const box_image *image);
BOX_API char *const *box_image_env(const box_image *image); /* "NAME=value" */
BOX_API char *const *box_image_shell(const box_image *image);
BOX_API const char *box_image_user(const box_image *image); /* "user[:group]" */
BOX_API const char *box_image_workdir(const box_image *image);
BOX_API const char *box_image_stop_signal(const box_image *image); /* "SIGTERM", "15" */
BOX_API char *const *box_image_volumes(const box_image *image);
BOX_API char *const *box_image_exposed_ports(const box_image *image); /* "80/tcp" */
BOX_API char *const *box_image_onbuild(const box_image *image);
BOX_API const box_image_pair *box_image_labels(const box_image *image, size_t *count);
BOX_API const char *box_image_label(const box_image *image, const char *key); /* NULL: no such label */
/* Of the manifest: OCI image-spec, annotations.md. Not to be taken for labels, which are the config's. */
BOX_API const box_image_pair *box_image_annotations(const box_image *image, size_t *count);
BOX_API const char *box_image_annotation(const box_image *image, const char *key); /* NULL: no such annotation */
BOX_API const char *box_image_healthcheck(const box_image *image);            /* its JSON object */

BOX_API const char *box_image_created(const box_image *image);  /* RFC 3339 */
BOX_API int64_t box_image_created_time(const box_image *image); /* seconds since 1970; 0: not known */
BOX_API const char *box_image_author(const box_image *image);
BOX_API const char *box_image_os(const box_image *image);
BOX_API const char *box_image_architecture(const box_image *image); /* "amd64", "arm64" */
BOX_API const char *box_image_variant(const box_image *image);
BOX_API uint64_t box_image_size(const box_image *image); /* bytes of the files of all layers */

BOX_API size_t box_image_history_count(const box_image *image);
/* The step number `index`, from 0, the oldest. BOX_EINVAL past the end. */
BOX_API int box_image_history_get(const box_image *image, size_t index, box_image_history *step,
                                  box_error **err);
BOX_API size_t box_image_layer_count(const box_image *image);
/* The diff id of a layer, the lowest is 0; NULL past the end. */
BOX_API const char *box_image_layer_diff_id(const box_image *image, size_t index);

/* Bytes of the files of a layer, unpacked; 0 past the end. */
BOX_API uint64_t box_image_layer_size(const box_image *image, size_t index);

/* The documents as they came, byte for byte; `length` may be NULL. They end in NUL beyond their length. */
BOX_API const char *box_image_config_json(const box_image *image, size_t *length);
BOX_API const char *box_image_manifest_json(const box_image *image, size_t *length);

/* The unpacked layers as directories of the host, the topmost first: the lower layers of an overlay, for
 * box_spec_set_root_overlay(). They must not be written to. A layer that the store keeps as an EROFS image
 * (box_store_set(), "layers") is the path of that file, which box_spec_set_root_overlay() takes as well; whoever
 * wants to read it otherwise mounts it. The caller frees the vector and its strings: box_strings_free(). */
BOX_API int box_image_layer_dirs(const box_image *image, char ***dirs, box_error **err);
/* Frees a vector of strings and the strings in it; NULL is allowed. */
BOX_API void box_strings_free(char **strings);

/* ---- Running one --------------------------------------------------------------------------------------- */

/* What a caller wants otherwise than the image has it. NULL: as the image says. */
typedef struct box_image_run {
    char *const *entrypoint; /* takes the place of the image's, whose cmd is then left out; an empty vector,
                                or one that holds "": none */
    char *const *args;       /* takes the place of the image's cmd; an empty vector is the same as NULL */
    char *const *env;        /* "NAME=value" over the image's; "NAME" alone takes a variable away */
    const char *user;
    const char *workdir;
} box_image_run;

/* Puts what the image says about its process into a spec: arguments (entrypoint, then cmd or args),
 * environment (the spec's own below, then the image's, then the caller's, and a PATH where none of them has
 * one), user and working directory. The user stays a name, which is looked up at the start in the image's own
 * passwd and group files. Root, volumes and stop signal are left to the caller, who decides where changes go.
 * `run` may be NULL. BOX_ESPEC when nothing says what to run. */
BOX_API int box_image_apply_to_spec(const box_image *image, box_spec *spec, const box_image_run *run,
                                    box_error **err);

#ifdef __cplusplus
}
#endif

#endif
