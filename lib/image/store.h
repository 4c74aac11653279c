/* The store from within: its directories, its lock, the workplaces of operations, its layers and blobs, and
 * the pins by which containers hold images.
 *
 *     ROOT/layout                     {"libboxStore":1}: another number is another layout
 *     ROOT/lock                       held shared by whoever reads several of these, exclusive by whoever changes them
 *     ROOT/images.json                an OCI index: a descriptor of a manifest for each name
 *     ROOT/images.late                the same, of this boot alone, while some are not on disk yet: store_late.h
 *     ROOT/blobs/sha256/HEX           manifests, configs, and layers' blobs as they came, by digest
 *     ROOT/blobs/sha256/HEX.zst       the blob of a layer that is not compressed, which this decompresses to
 *     ROOT/blobs/partial/             blobs on their way here: store_blob.c
 *     ROOT/settings.json              what box_store_set() changed
 *     ROOT/layers/HEX/diff            a layer unpacked, by diff id, or its image layer.erofs; layer.json beside it, and
 *                                     `durable` once synced
 *     ROOT/layers/HEX.lock            held while the layer is unpacked
 *     ROOT/containers/ID/image        the digest of the manifest that a container holds: a pin; of one that is thrown
 *                                     away at its end a second line has the boot's id
 *     ROOT/volumes/                   the volume code's
 *     ROOT/tmp/RANDOM/lease           held as long as the operation lives that works in …
 *     ROOT/tmp/RANDOM/data/           … this directory; its lines say what the operation needs
 *     RUNROOT/                        the container code's
 *
 * Order of locks: a layer's lock comes before a blob's, both before the store's, which is held shortly; the
 * store's before a lease; no thread holds two layers' or two blobs' locks. docs/design/store.md tells why nothing is lost at any instant. */
#ifndef BOX_IMAGE_STORE_H
#define BOX_IMAGE_STORE_H

#include <libbox/store.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/fail.h"
#include "base/file.h"

BOX_CLEANUP(box_store, box_store_free);

#define BOX_STORE_HEX 65 /* the digits of a sha256 and a NUL */

struct box_store {
    char *root, *runroot; /* absolute */
    int rootfd;           /* all directories are O_PATH or O_RDONLY | O_DIRECTORY */
    int runfd;
    int blobsfd;   /* blobs/sha256 */
    int partialfd; /* blobs/partial; -1 where a read-only store has none */
    int layersfd;
    int containersfd;
    int volumesfd;
    int tmpfd;
    bool readonly;   /* the file system is: nothing is locked, and nothing can be changed */
    bool privileged; /* user 0 of the initial user namespace: owners, devices and trusted xattrs are kept */
    char boot[40];   /* this boot's id */
};

/* Absolute paths below the root, for the container and the volume code. The caller frees them; NULL: out of
 * memory. */
char *box_store_containers_dir(const box_store *store);
char *box_store_volumes_dir(const box_store *store);

/* A stream over a directory of the store's, with a descriptor of its own; NULL with errno. */
DIR *box_store_read_dir(int dirfd);

/* ---- Lock: store_work.c ---- */

/* Waits for the store's lock; the fd that holds it, or a BOX_E* code. Close it with box_store_unlock(), which
 * also lets go of it in a child that a host forked meanwhile. Each call is a lock of its own, also within one
 * process. */
int box_store_lock(const box_store *store, enum box_lock kind, box_error **err);
void box_store_unlock(int *fd);
#define _store_unlock_ __attribute__((cleanup(box_store_unlock)))

/* ---- Workplaces: store_work.c ---- */

struct box_store_work {
    const box_store *store;
    char name[33]; /* below tmp/ */
    int leasefd;   /* -1: none */
    int fd;        /* its data directory */
};
#define BOX_STORE_WORK_NONE ((struct box_store_work){.leasefd = -1, .fd = -1})
/* A directory of the operation's own, taken away with all in it when it ends, be it by box_store_work_end()
 * or, after a kill, by the next box_store_open(). */
int box_store_work_begin(const box_store *store, struct box_store_work *work, box_error **err);
/* Says that the operation needs a "layer" or a "blob", whether it is there or not: from now on a collection
 * leaves it. Look whether it is there after this, not before. For one thread at a time. */
int box_store_work_need(struct box_store_work *work, const char *kind, const struct box_digest *digest,
                        box_error **err);
void box_store_work_end(struct box_store_work *work);
#define _store_work_ __attribute__((cleanup(box_store_work_end)))

/* Takes away what operations that no longer live left below tmp/. No lock may be held. */
int box_store_sweep(const box_store *store, size_t *count, box_error **err);
/* Calls back for each need of each living operation: kind is "layer" or "blob". The lock must be held
 * exclusively. */
typedef int box_store_need_fn(const char *kind, const char *hex, void *data, box_error **err);
int box_store_each_need(const box_store *store, box_store_need_fn *visit, void *data, box_error **err);

/* ---- Blobs and layers: store_content.c ---- */

/* The content of a blob, held against its digest, with a NUL behind it; the caller frees *data. */
int box_store_read_blob(const box_store *store, const struct box_digest *digest, char **data, size_t *length,
                        box_error **err);
/* Puts a blob into the workplace; box_store_publish_blob() makes it visible, with the lock held exclusively.
 * late: neither is synced (store_late.h).
 */
int box_store_stage_blob(struct box_store_work *work, const struct box_digest *digest, const void *data,
                         size_t length, bool late, box_error **err);
int box_store_publish_blob(struct box_store_work *work, const struct box_digest *digest, bool late, box_error **err);

/* A layer, and what it lies on. Mostly the latter makes no difference. But a layer that has files in
 * directories that it does not list takes these directories' owner and mode over from the layers below, so it
 * is unpacked once for each stack that it lies on, under another name. */
struct box_layer_id {
    struct box_digest diff_id;
    struct box_digest parent; /* the chain id of all below; algorithm 0: nothing is below */
};
#define BOX_LAYER_NAME (64 + 1 + 16 + 1)

/* OCI's ChainID (image-spec, config.md) of a layer on `parent`. */
int box_layer_chain(const struct box_digest *parent, const struct box_digest *diff_id,
                    struct box_digest *chain, box_error **err);
/* The ids of a whole image, the lowest layer first. The caller frees *ids. */
int box_layer_ids(const struct box_digest *diff_ids, size_t n, struct box_layer_id **ids, box_error **err);
bool box_layer_id_equal(const struct box_layer_id *a, const struct box_layer_id *b);
/* Its name below layers/, of the form that depends on what is below or of the other one; returns out. */
char *box_layer_name(const struct box_layer_id *id, bool inherits, char out[BOX_LAYER_NAME]);
/* Whether a name has one of these forms; *diff_id (may be NULL) is what it begins with. */
bool box_layer_name_parse(const char *name, struct box_digest *diff_id);

struct box_layer_record {
    uint64_t bytes;   /* data of all files */
    uint64_t entries; /* files and directories below diff/ */
    bool opaque;      /* the layer hides all that are below it */
    bool image;       /* it is the EROFS image layer.erofs in place of the directory diff/ … */
    uint64_t data_end; /* … with these two for box_erofs_digest() */
    struct box_digest digest;
};
/* Whether a layer is there and can be trusted: 1 with its name and its record (each may be NULL), 0, or an
 * error. A layer that an earlier boot left without syncing it is as good as not there. */
int box_store_find_layer(const box_store *store, const struct box_layer_id *id, char name[BOX_LAYER_NAME],
                         struct box_layer_record *record, box_error **err);
/* The same by name. */
int box_store_look_at_layer(const box_store *store, const char *name, struct box_layer_record *record,
                            box_error **err);
/* Waits for the right to make layers of this diff id; the fd that holds it, or a BOX_E* code, BOX_EBUSY when
 * the deadline passed. */
int box_store_lock_layer(const box_store *store, const struct box_digest *diff_id,
                         struct box_deadline deadline, box_error **err);
void box_store_unlock_layer(const box_store *store, const struct box_digest *diff_id, int fd);
/* Keeps the record of a layer that is not to become visible yet, in work's directory `from`; and reads it. */
int box_store_write_record(struct box_store_work *work, const char *from,
                           const struct box_layer_record *record, box_error **err);
int box_store_read_record(struct box_store_work *work, const char *from, struct box_layer_record *record,
                          box_error **err);
/* Makes work's directory `from`, with diff/ in it, the layer `name`: it is visible afterwards, but not yet
 * synced. The layer's lock must be held, and the layer not be there. */
int box_store_publish_layer(struct box_store_work *work, const char *from, const char *name,
                            const struct box_layer_record *record, box_error **err);
/* Whether a layer is marked as synced; and marks it, which is synced itself. ino: only the directory of this number, and
 * nothing when there is another one or none by now; 0: whichever has the name. */
bool box_store_layer_is_marked(const box_store *store, const char *name);
int box_store_mark_layer(const box_store *store, const char *name, ino_t ino, box_error **err);
/* Syncs the file system, then marks these layers as synced. */
int box_store_make_durable(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n, box_error **err);
/* The same for layers and for kept blobs (box_store_keep_blob()), which get their lasting names; a blob that
 * is not there is passed over. The caller's lease must say that it needs them. */
int box_store_settle(const box_store *store, char (*names)[BOX_LAYER_NAME], size_t n,
                     const struct box_digest *blobs, size_t n_blobs, box_error **err);

/* ---- Blobs of layers: store_blob.c ---- */

/* Whether such blobs are kept after their layers were unpacked: the setting `blobs`. */
bool box_store_keeps_blobs(const box_store *store);
/* Whether a blob is there, whole: 1 with its size (may be NULL), 0, or an error. */
int box_store_find_blob(const box_store *store, const struct box_digest *digest, uint64_t *size,
                        box_error **err);
/* Its bytes, size (may be NULL) of them, held against the digest on the way: where the end would come after
 * other bytes, read() fails with BOX_ECORRUPT. The stream stays good when the blob is removed meanwhile.
 * BOX_ENOTFOUND when it is not kept: its layer was made by something else than this blob, or the store was
 * set to drop blobs. Then it can be had only where it came from; the error says so. */
struct box_source *box_store_blob_source(const box_store *store, const struct box_digest *digest,
                                         uint64_t *size, box_error **err);
/* Makes work's file `from` the blob. It must be right, and can be found from now on, but it has not been
 * synced: box_store_settle() gives it its lasting name. zstd: `from` decompresses to the blob. */
int box_store_keep_blob(struct box_store_work *work, const char *from, const struct box_digest *digest,
                        bool zstd, box_error **err);
/* Takes a damaged blob out of the way. */
void box_store_discard_blob(const box_store *store, const struct box_digest *digest);

/* Waits for the right to bring a blob here; the fd that holds it, or a BOX_E* code, BOX_EBUSY when the
 * deadline passed. */
int box_store_lock_blob(const box_store *store, const struct box_digest *digest, struct box_deadline deadline,
                        box_error **err);
void box_store_unlock_blob(const box_store *store, const struct box_digest *digest, int fd);
/* With that lock held: opens (for reading and writing; made when missing) what has come so far; and, once it is
 * whole and right, makes it the blob, as box_store_keep_blob() does. */
int box_store_open_partial(const box_store *store, const struct box_digest *digest, box_error **err);
int box_store_finish_partial(const box_store *store, const struct box_digest *digest, box_error **err);
int box_store_drop_partial(const box_store *store, const struct box_digest *digest, box_error **err);
/* Removes from blobs/partial what nobody needs: `needed` tells of the digits of a digest. What is half
 * there stays for the next pull, unless it is older than a day, or more than 8 GiB, or `all` is set. The
 * store's lock must be held exclusively. */
int box_store_collect_partials(const box_store *store, bool (*needed)(const void *data, const char *hex),
                               const void *data, bool all, box_store_freed *freed, box_error **err);

/* ---- Settings: store_settings.c ---- */

/* box_store_get(), of a key that there is, into value; the default when it cannot be read. */
void box_store_setting(const box_store *store, const char *key, char value[16]);

/* ---- Pins: store_pins.c ---- */

/* Makes a container hold an image: writes the file `image` into the container's directory dirfd, which must
 * lie directly below containers/ and stay there. From then on neither the image's blobs nor its layers go
 * away before that file or its directory does, whatever becomes of the image's names. BOX_ENOTFOUND when the
 * image was removed meanwhile. To let go, remove the directory; then call box_store_collect() if
 * box_store_has_image() says 0. flags: of box_file_replace(). A file that a power cut left incomplete holds nothing in
 * a directory whose sticky bit says that it is thrown away. */
int box_store_pin(const box_store *store, int dirfd, const char *manifest_digest, unsigned flags, box_error **err);
/* Whether the index still holds this manifest: 1, 0, or an error. */
int box_store_has_image(const box_store *store, const char *manifest_digest, box_error **err);
/* Whether a container that was to be thrown away is of another boot: it does not run, and its image may have been lost
 * with the machine, which is no damage. */
bool box_store_pin_is_over(const box_store *store, const char *container);
/* Calls back for each container that holds an image. The lock must be held. */
typedef int box_store_pin_fn(const char *container, const struct box_digest *manifest, void *data,
                             box_error **err);
int box_store_each_pin(const box_store *store, box_store_pin_fn *visit, void *data, box_error **err);

#endif
