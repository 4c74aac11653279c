/* The store: where images, their layers and everything made from them are kept on disk.
 *
 *     box_store *store = NULL;
 *     if (box_store_open(NULL, NULL, 0, &store, &err) < 0)
 *         …box_error_message(err)…
 *     …images, containers…
 *     box_store_free(store);
 *
 * A store is a directory tree that any number of processes share with no daemon: file locks keep them apart,
 * and each change is made under a temporary name, synced, and renamed into place, so that a kill or a power
 * cut at any instant leaves the old state or the new one. What a killed process left half-made is cleared by
 * the next one that opens the store; what living processes are making is left alone. docs/design/store.md
 * tells the layout.
 *
 * Thread rules: a box_store does not change after it was opened; any number of threads may use one at once.
 */
#ifndef LIBBOX_STORE_H
#define LIBBOX_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_store box_store;

enum box_store_flags {
    BOX_STORE_EXISTING = 1 << 0 /* fail with BOX_ENOTFOUND where there is none, instead of making one */
};

/* Opens a store, and makes it where there is none.
 *
 * `root` holds what lasts: NULL is /var/lib/libbox for root and $XDG_DATA_HOME/libbox (~/.local/share/libbox)
 * for an ordinary user. `runroot` holds what lasts as long as the machine is up: NULL is /run/libbox, and
 * $XDG_RUNTIME_DIR/libbox or else /tmp/libbox-UID. Both may be relative to the working directory; the store
 * keeps the absolute names. Directories on the way are made with mode 0755, the two themselves with 0700.
 *
 * Both directories must belong to the caller's effective user and be writable by nobody else: BOX_EPERMISSION
 * otherwise. BOX_EUNSUPPORTED: the store was written by a newer libbox. BOX_EINVAL: no root can be worked
 * out, since the environment names no home. Other errors are those of the file system; a store on a read-only
 * file system opens, and fails when it is to be changed.
 *
 * The first to open a store after the machine went down in front of images that had been pulled `late` (box_store_sync())
 * takes them over, which may take as long as unpacking them did; others who open it meanwhile wait for that, two minutes
 * at most. That it cannot be done is no error here: box_store_sync() tells why. */
BOX_API int box_store_open(const char *root, const char *runroot, unsigned flags, box_store **store,
                           box_error **err);
/* NULL is allowed. Objects that were opened through the store stay valid. */
BOX_API void box_store_free(box_store *store);

/* The absolute paths; owned by the store. */
BOX_API const char *box_store_root(const box_store *store);
BOX_API const char *box_store_runroot(const box_store *store);

/* Settings of the store, which last and hold for every process that uses it. Each key has a default, which
 * stands first:
 *
 *     blobs   keep | drop    whether the compressed layers stay beside the unpacked ones. They are what is
 *                            pushed and saved, byte for byte, and what a damaged layer is repaired from; a
 *                            store that only ever runs images can do without, and takes a third less room.
 *                            Changing it does not bring dropped ones back; kept ones go with the next
 *                            collection.
 *     layers  auto | tree | erofs   how an unpacked layer is kept: as a directory tree, or as one EROFS image,
 *                            which is made and removed faster and is mounted when a container starts. A store
 *                            takes images only where it can: for root, on a kernel with EROFS, and in a file
 *                            system from which it can be mounted; elsewhere every layer is a tree, whatever is
 *                            set. auto is what libbox takes for the better one (docs/design/erofs.md). Layers
 *                            that are there stay as they are: any store may hold both.
 *
 * *value is what holds, to be freed by the caller. BOX_EINVAL, naming what there is, for a key or a value that
 * there is not. */
BOX_API int box_store_get(box_store *store, const char *key, char **value, box_error **err);
/* value NULL: the default again. Operations that run already may go on with what they found. */
BOX_API int box_store_set(box_store *store, const char *key, const char *value, box_error **err);

/* Waits until every image of the store is on disk (syncfs(2) of its file system). All operations do so by themselves
 * before they return, but for a pull with the option `late`, which returns as soon as its image can be used: writing
 * the image takes about as long again as fetching and unpacking it. Whoever pulls so calls this soon afterwards, in
 * another thread or process if it likes: others can use the store meanwhile, and wait for a moment at its end only.
 *
 * Until it was called a kill of any process costs nothing. After a power cut the next box_store_open() looks for such
 * images: one whose blobs were written is unpacked again from them, and stays; another is gone, and is to be pulled
 * again. Everything that changes names or makes a container that lasts does the same as this call first. Where that
 * failed for lack of room or the like, this call tries again and says what is wrong.
 *
 * May be called by several threads and processes at once. Without such images it does nothing. BOX_ESYSTEM, BOX_ENOSPACE;
 * BOX_EPERMISSION: the file system is read-only. BOX_ESYSTEM also where /proc/sys/kernel/random/boot_id cannot be read,
 * so that what is of this boot cannot be told from what a power cut left: then names cannot be changed nor anything be
 * collected either, until a process that can read it has made this call. */
BOX_API int box_store_sync(box_store *store, box_error **err);

/* What a call took away. */
typedef struct box_store_freed {
    size_t blobs;
    size_t layers;
    size_t leftovers; /* of processes that were killed */
    uint64_t bytes;   /* on disk, about */
} box_store_freed;

/* Room that things of one kind take, as `docker system df` tells it. */
typedef struct box_store_usage {
    size_t count;
    size_t active;        /* images that a container uses, containers that run */
    uint64_t bytes;       /* what several share counts once */
    uint64_t reclaimable; /* of these, what removing all that is not active gives back */
} box_store_usage;

/* Takes away every layer and blob that no image, no container and no load in progress refers to, what killed
 * processes left behind, and what pulls that failed had fetched for the next one to go on from. Cheap when
 * there is nothing to do. `freed` may be NULL. */
BOX_API int box_store_collect(box_store *store, box_store_freed *freed, box_error **err);

/* Called for each thing that is wrong: `what` is a path below the root, `why` one sentence. */
typedef void box_store_damage_fn(const char *what, const char *why, void *data);

/* Checks the store: each blob has the digest that names it, each image's manifest, config and layers are
 * there, each layer holds as many files as were unpacked, or is the image that was written. Changes nothing. BOX_ECORRUPT, after `report` (may
 * be NULL) was called for each thing found, when something is wrong. */
BOX_API int box_store_verify(box_store *store, box_store_damage_fn *report, void *data, box_error **err);

/* Mends what box_store_verify() finds: damaged layers are unpacked again from the blobs that are kept, damaged
 * blobs go, and an image that cannot be made whole is taken out of the store, as are layers that nothing needs.
 * What a container uses is left and told of. `report` (may be NULL) is called for each thing found and for
 * what was done about it. BOX_ECORRUPT when something is left. Images that are pulled or loaded again
 * afterwards are whole. */
BOX_API int box_store_repair(box_store *store, box_store_damage_fn *report, void *data, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
