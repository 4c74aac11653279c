/* The store from within: its directories, its locks, and the pins by which containers hold images.
 *
 *     ROOT/layout                     {"libboxStore":1}: another number is another layout
 *     ROOT/lock                       flock(2)ed by whoever reads (shared) or changes (exclusive) what
 * follows ROOT/blobs/sha256/HEX           manifests and configs, by digest ROOT/layers/HEX/diff            a
 * layer unpacked, by diff id; /layer.json beside it, and /durable once synced ROOT/images.json an OCI index:
 * a descriptor of a manifest for each name ROOT/containers/ID/image        the digest of the manifest that a
 * container holds: a pin ROOT/volumes/                   the volume code's ROOT/tmp/RANDOM/ one operation's
 * workplace; /lease in it is flocked while the operation lives RUNROOT/                        the container
 * code's
 *
 * Order of locks: the store's lock is taken last and held shortly; a layer's lock (layers/HEX.lock) is held
 * while the layer is unpacked, one by one thread. docs/design/store.md tells why nothing is lost at any
 * instant. */
#ifndef BOX_IMAGE_STORE_H
#define BOX_IMAGE_STORE_H

#include <libbox/store.h>

#include <stdbool.h>
#include <stdint.h>

#include "base/fail.h"

BOX_CLEANUP(box_store, box_store_free);

struct box_store {
    char *root, *runroot; /* absolute */
    int rootfd, runfd;
    bool privileged; /* effective user 0 with the capabilities to give files away */
    bool readonly;   /* the file system is */
};

/* Absolute paths below the root, for the container and the volume code; owned by the caller. NULL: out of
 * memory. The directories are there. */
char *box_store_containers_dir(const box_store *store);
char *box_store_volumes_dir(const box_store *store);
/* The same as descriptors, O_PATH | O_DIRECTORY; negative errno. */
int box_store_open_containers(const box_store *store);
int box_store_open_volumes(const box_store *store);

/* ---- The lock ---- */

enum store_lock_kind { STORE_LOCK_SHARED, STORE_LOCK_EXCLUSIVE };
struct store_lock {
    int fd; /* -1: not held */
};
#define STORE_LOCK_NONE ((struct store_lock){-1})
/* Waits for the store's lock. Each call is a lock of its own, also within one process. On a read-only file
 * system a shared lock is nothing. */
int store_lock(const box_store *store, enum store_lock_kind kind, struct store_lock *lock, box_error **err);
void store_unlock(struct store_lock *lock);
#define _store_unlock_ __attribute__((cleanup(store_unlock)))

/* ---- Workplaces ---- */

/* A directory below tmp/ that lives as long as the operation: what is made there is taken away when it ends,
 * by its own end or, after a kill, by whoever opens the store next. Its lease file lists what the operation
 * is going to need, so that a collection leaves that alone. */
struct store_work {
    const box_store *store;
    char name[32]; /* below tmp/ */
    int fd;        /* -1: none */
    int lease;
};
#define STORE_WORK_NONE ((struct store_work){.fd = -1, .lease = -1})
int store_work_begin(const box_store *store, struct store_work *work, box_error **err);
/* Says that the operation needs "layer" or "blob" HEX, whether it is there or not. From then on a collection
 * does not take it. Look whether it is there after this, not before. */
int store_work_need(struct store_work *work, const char *kind, const char *hex, box_error **err);
void store_work_end(struct store_work *work);
#define _store_work_end_ __attribute__((cleanup(store_work_end)))

/* Takes away what operations that no longer live left below tmp/; called with no lock held. Counts into
 * freed. */
int store_sweep(const box_store *store, box_store_freed *freed, box_error **err);

/* ---- Pins ---- */

/* Makes a container hold an image: writes the file `image` into the container's directory, which is dirfd,
 * and lies directly below containers/ under its last name. From then on neither the image's blobs nor its
 * layers go away before that file or its directory does. BOX_ENOTFOUND when the image was removed meanwhile.
 * To let go: remove the container's directory, then call box_store_collect() when the image has no name any
 * more (box_store_has_image). */
int box_store_pin(const box_store *store, int container_dirfd, const char *manifest_digest, box_error **err);
/* Whether the index still holds this manifest: 1, 0, or an error. */
int box_store_has_image(const box_store *store, const char *manifest_digest, box_error **err);

#endif
