/* Archives: images and containers as files and streams, and back.
 *
 *     const char *names[] = {"debian", "nginx:1.27", NULL};
 *     if (box_image_save(store, names, "images.tar", NULL, &err) < 0)      what `docker load` and others read
 *         …box_error_message(err)…
 *     box_container_export(container, STDOUT_FILENO, NULL, &err);          its root file system, as a tar
 *     box_container_commit(store, container, NULL, &image, &err);          what it changed, as a new image
 *     box_container_copy_from(container, "/etc/nginx", "conf", 0, NULL, &err);      `docker cp`
 *
 * What is written is reproducible: the same files give the same bytes, whatever the locale, the number of
 * threads, and the order in which a file system lists names. Compressed bytes depend on the compressing library
 * and its level as well.
 *
 * A container is hostile, also while it runs. Its paths are resolved inside its root, by descriptor, and
 * everything is done by descriptor afterwards: no link that it makes or swaps meanwhile leads out of it, nothing
 * of it is executed, and no device or FIFO of its is ever opened (CVE-2018-15664, CVE-2019-14271).
 *
 * Thread rules: a store may be used by any number of threads at once, a container handle by one at a time. The
 * calls return when they have finished; helper threads that they use end with them.
 */
#ifndef LIBBOX_ARCHIVE_H
#define LIBBOX_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <libbox/container.h>
#include <libbox/error.h>
#include <libbox/image.h>
#include <libbox/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an archive of images looks like. box_image_load() reads all of them. */
enum box_archive_format {
    /* A tar that is both: an OCI image layout, and what `docker load` reads (index.json and manifest.json over
     * the same blobs). What Docker 25 and later write. */
    BOX_ARCHIVE_DOCKER = 0,
    BOX_ARCHIVE_DOCKER_OLD = 1, /* what Docker before 25 wrote: no manifests; each layer an uncompressed tar */
    BOX_ARCHIVE_OCI = 2,        /* an OCI image layout as a tar: "oci-archive:" of skopeo and podman */
    BOX_ARCHIVE_OCI_DIR = 3     /* an OCI image layout as a directory: "oci:". Where there is one already, the
                                   images are added to it */
};

enum box_archive_compression {
    BOX_ARCHIVE_PLAIN = 0,
    BOX_ARCHIVE_GZIP = 1, /* one gzip member that every reader takes, made on all threads */
    BOX_ARCHIVE_ZSTD = 2
};

/* Called with the next bytes of a stream, from the thread that called. A value other than 0 ends the operation
 * with BOX_ECANCELLED. */
typedef int box_archive_write_fn(const void *data, size_t length, void *context);

/* Options of what follows; start from BOX_ARCHIVE_OPTIONS_INIT. NULL in place of options is the same. */
typedef struct box_archive_options {
    unsigned version;                         /* 1 */
    enum box_archive_format format;           /* of box_image_save() */
    enum box_archive_compression compression; /* flatten, diff, export: of the stream. save: of layers that
                                                 have to be packed anew. commit: of the new layer */
    int level;                                /* 0: the usual; otherwise as gzip(1) and zstd(1) have them */
    unsigned threads;                         /* 0: one a processor */
    bool rebuild; /* save: a layer of which neither the blob is kept nor the tar stream can be made again from
                     its files, byte for byte, is written as a new layer, in an image with a new id. Without
                     it: BOX_EUNSUPPORTED */
    int timeout_ms; /* for the whole operation; -1: none. BOX_ETIMEOUT */
    int cancel_fd;  /* an eventfd(2), pipe or the like; the operation ends with BOX_ECANCELLED when it becomes
                       readable, which it is not read for. -1: none */
    box_image_progress_fn *progress; /* stage BOX_IMAGE_STAGE_READ, and the bytes written so far in `done`; as
                                        for loading otherwise: another value than 0 cancels */
    void *progress_data;
} box_archive_options;
#define BOX_ARCHIVE_OPTIONS_INIT                                                              \
    {                                                                                         \
        1, BOX_ARCHIVE_DOCKER, BOX_ARCHIVE_PLAIN, 0, 0, false, -1, -1, (box_image_progress_fn *)0, \
            (void *)0                                                                         \
    }

/* ---- Images ---------------------------------------------------------------------------------------------- */

/* Writes images, found as by box_image_open() (`names` ends in NULL), into one archive. Given by name, an image
 * keeps this name in the archive; given by id, it has none there. The path is replaced as a whole; a kill leaves
 * what was there before (for BOX_ARCHIVE_OCI_DIR: the images that it had before).
 *
 * Blobs are written as the store keeps them, byte for byte, so that digests are the same wherever the archive
 * goes. A layer whose blob the store does not keep is packed from its files; that is taken when the tar stream
 * has the layer's diff id, so that the image's id stays. See `rebuild` for what happens otherwise.
 *
 * Errors: BOX_ENOTFOUND; BOX_EUNSUPPORTED as said; BOX_ENOSPACE; BOX_ELIBRARY when the library of a compression
 * is not installed; BOX_ETIMEOUT; BOX_ECANCELLED; BOX_ESYSTEM. */
BOX_API int box_image_save(box_store *store, const char *const *names, const char *path,
                           const box_archive_options *options, box_error **err);
/* The same to a descriptor, which may be a pipe; the caller keeps it. Not for BOX_ARCHIVE_OCI_DIR. A pipe
 * without a reader is an error, not a signal. */
BOX_API int box_image_save_fd(box_store *store, const char *const *names, int fd,
                              const box_archive_options *options, box_error **err);

/* The files of an image, as a container would see them, as one tar stream: layers are merged, and what they hide
 * is left out. */
BOX_API int box_image_flatten(const box_image *image, int fd, const box_archive_options *options,
                              box_error **err);
BOX_API int box_image_flatten_to(const box_image *image, box_archive_write_fn *write, void *context,
                                 const box_archive_options *options, box_error **err);

/* What leads from the files of one image to those of another, as a layer: a tar stream with whiteouts. `from`
 * NULL: from nothing. Files are compared by what they are, owner, mode, time, attributes and content. */
BOX_API int box_image_diff(const box_image *from, const box_image *to, int fd,
                           const box_archive_options *options, box_error **err);
BOX_API int box_image_diff_to(const box_image *from, const box_image *to, box_archive_write_fn *write,
                              void *context, const box_archive_options *options, box_error **err);

/* ---- What a container changed ---------------------------------------------------------------------------- */

enum box_change_kind {
    BOX_CHANGE_MODIFIED = 0, /* "C" of `docker diff` */
    BOX_CHANGE_ADDED = 1,    /* "A" */
    BOX_CHANGE_DELETED = 2   /* "D" */
};
typedef struct box_change {
    enum box_change_kind kind;
    const char *path; /* absolute in the container */
} box_change;
typedef struct box_change_list box_change_list;

/* What the container's writable layer changes of its image, sorted by path; a directory in which something
 * changed is modified itself. Files and directories that were made only to mount on are left out. BOX_EUNSUPPORTED
 * for a container whose root is no image. The caller frees *list. */
BOX_API int box_container_changes(box_container *container, box_change_list **list, box_error **err);
BOX_API size_t box_change_list_count(const box_change_list *list);
/* Owned by the list; NULL past the end. */
BOX_API const box_change *box_change_list_get(const box_change_list *list, size_t index);
BOX_API void box_change_list_free(box_change_list *list);

/* Options of a commit; start from BOX_COMMIT_OPTIONS_INIT. NULL in place of options is the same. */
typedef struct box_commit_options {
    unsigned version;           /* 1 */
    const char *name;           /* of the image, or NULL for an image without one */
    const char *author;         /* or NULL */
    const char *message;        /* the comment of the history, or NULL */
    const char *const *changes; /* Dockerfile instructions, as for box_image_import(); NULL: none */
    bool no_pause;              /* let a running container go on while it is read */
    int64_t created;            /* seconds since 1970, for reproducible images; 0: now */
    const box_archive_options *archive; /* compression, threads, deadline, …; NULL: the usual */
} box_commit_options;
#define BOX_COMMIT_OPTIONS_INIT                                                                             \
    {                                                                                                       \
        1, (const char *)0, (const char *)0, (const char *)0, (const char *const *)0, false, 0,             \
            (const box_archive_options *)0                                                                  \
    }

/* Makes an image of a container: its image's layers, and one on top with what it changed. The config is the
 * image's, with the command, environment, user and working directory that the container was made with, and then
 * the changes. Volumes, and files that are mounted, are no part of it. A running container is paused meanwhile,
 * unless that is not wanted or it has no cgroup to be paused by. The caller frees *image (which may be NULL).
 * Either the image is there with all that belongs to it, or nothing of it.
 *
 * Errors: those of box_image_import(); BOX_EUNSUPPORTED for a container whose root is no image. */
BOX_API int box_container_commit(box_store *store, box_container *container, const box_commit_options *options,
                                 box_image **image, box_error **err);

/* ---- Files out of a container and into it ---------------------------------------------------------------- */

/* The whole root file system as one tar stream: what `docker export` gives. Other file systems that are mounted
 * in it (/proc, volumes) are left out, but for the directories that they are mounted on. */
BOX_API int box_container_export(box_container *container, int fd, const box_archive_options *options,
                                 box_error **err);
BOX_API int box_container_export_to(box_container *container, box_archive_write_fn *write, void *context,
                                    const box_archive_options *options, box_error **err);

enum box_copy_flags {
    BOX_COPY_ARCHIVE = 1 << 0, /* keep owners (`docker cp -a`); otherwise what comes into a container is its
                                  root's, and what comes out of it the caller's, without set-uid and set-gid
                                  bits, capabilities and devices */
    BOX_COPY_FOLLOW = 1 << 1   /* a link that is named as the source means what it leads to (-L) */
};

typedef struct box_copy_stat {
    mode_t mode; /* type and permissions */
    uint64_t size;
    struct timespec mtime;
    char *link; /* what a symbolic link leads to, as it stands there; NULL for anything else */
} box_copy_stat;

/* Looks at a path in the container, without following a link at its end unless BOX_COPY_FOLLOW says so. Clear
 * *out with box_copy_stat_clear(). BOX_ENOTFOUND. */
BOX_API int box_container_stat(box_container *container, const char *path, unsigned flags, box_copy_stat *out,
                               box_error **err);
BOX_API void box_copy_stat_clear(box_copy_stat *stat);

/* A file, or a directory with all in it, as a tar stream whose entries begin with the last component of `path`.
 * "DIR/." gives what is in a directory, under ".". What is mounted below is part of it. */
BOX_API int box_container_copy_out(box_container *container, const char *path, int fd, unsigned flags,
                                   const box_archive_options *options, box_error **err);
BOX_API int box_container_copy_out_to(box_container *container, const char *path, box_archive_write_fn *write,
                                      void *context, unsigned flags, const box_archive_options *options,
                                      box_error **err);
/* Unpacks a tar stream (of any compression that libbox reads) from fd into a directory of the container, which
 * must be there. Links on the way are followed inside the container only; a name in the archive that goes up is an
 * error. A directory that is there stays as it is and gets the new names. A directory does not replace what is none, nor the other way (BOX_EINVAL). Sockets do not come
 * along; device nodes only where the caller may make them. BOX_EPARSE; BOX_EESCAPE; BOX_ELIMIT. */
BOX_API int box_container_copy_in(box_container *container, const char *directory, int fd, unsigned flags,
                                  const box_archive_options *options, box_error **err);

/* `docker cp`, with its rules about what the destination is: a directory that is there takes the source into it;
 * "SOURCE/." means what is in the source; a destination that ends in "/" must be a directory that is there;
 * otherwise the source gets the destination's name. Host paths are the caller's own and trusted; what comes out
 * of the container is not: no name or link in it leads out of the destination. */
BOX_API int box_container_copy_from(box_container *container, const char *path, const char *host_path,
                                    unsigned flags, const box_archive_options *options, box_error **err);
BOX_API int box_container_copy_to(box_container *container, const char *host_path, const char *path,
                                  unsigned flags, const box_archive_options *options, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
