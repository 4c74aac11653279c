/* What the files of the unpacker share; for unpack*.c alone. */
#ifndef BOX_IMAGE_UNPACK_PARTS_H
#define BOX_IMAGE_UNPACK_PARTS_H

#include <limits.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "image/tar.h"
#include "image/unpack.h"

/* A directory whose mode and time are to be set when nothing more is put into it. */
struct unpack_pending {
    char *path;
    dev_t dev;
    ino_t ino;
    mode_t mode;
    struct timespec mtime;
};

struct unpack {
    const struct box_unpack *how;
    int rootfd;
    struct box_source *stream;
    struct box_tar *tar;
    struct box_layer_record *record;
    struct box_tar_entry entry;
    uint64_t seen;       /* entries of the archive */
    char name[PATH_MAX]; /* the entry's, without what means nothing; "" is the layer itself */

    /* The directory that entries are put into at the moment. */
    int parentfd; /* -1: none */
    gid_t parent_gid;
    bool as_root; /* what is made belongs to user 0, and to group 0 or the directory's */
    bool stale;   /* something was taken away, so that `parent` may mean another directory by now */
    char parent[PATH_MAX];
    /* From the outside in, each below the one before it. */
    struct unpack_pending *pending;
    size_t n_pending, pending_capacity;

    /* Of an image in place of a directory (unpack_erofs.c). */
    int imagefd;
    struct erofs_tree *tree;
    struct erofs_image *image;

    struct box_buffer implicit; /* records that are still to be written */
    bool has_implicit;
};

/* Errors about the entry at hand, which becomes the subject. */
int unpack_fail(const struct unpack *u, int code, box_error **err, const char *fmt, ...) BOX_PRINTF(4, 5);
int unpack_fail_sys(const struct unpack *u, const char *call, box_error **err, const char *fmt, ...)
    BOX_PRINTF(4, 5);

/* Makes an error of somebody else's one about the entry at hand. */
int unpack_about(const struct unpack *u, int code, box_error **err);

/* Looks at the limits and lets the caller know; to be called now and then. */
int unpack_tick(struct unpack *u, box_error **err);

static inline bool unpack_is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

/* Makes u->parentfd the directory that holds u->name, making what is missing; *leaf is the last component. */
int unpack_enter_parent(struct unpack *u, const char **leaf, box_error **err);
/* Makes the directory `name`, just made or found and open as fd, the one that entries are put into; takes fd
 * over. */
int unpack_enter(struct unpack *u, const char *name, int fd, mode_t mode, struct timespec mtime,
                 box_error **err);
/* Sets what is pending outside of the directory `path`, or everything when it is NULL. */
int unpack_settle(struct unpack *u, const char *path, box_error **err);
void unpack_forget(struct unpack *u);

/* Writes down that a directory was not listed, or (path NULL) that it was after all. */
int unpack_note_implicit(struct unpack *u, ino_t ino, const char *path, box_error **err);
int unpack_flush_implicit(struct unpack *u, box_error **err);

/* Takes away what stands in the place of the entry. *whiteout: it was one. */
int unpack_clear(struct unpack *u, int dirfd, const char *leaf, bool *whiteout, box_error **err);
int unpack_set_opaque(struct unpack *u, int dirfd, box_error **err);

/* Puts the entry at hand on disk. */
int unpack_entry(struct unpack *u, box_error **err);

/* The same for an image: what comes first, an entry, and the end. unpack_erofs.c */
int unpack_erofs_begin(struct unpack *u, box_error **err);
int unpack_erofs_entry(struct unpack *u, box_error **err);
int unpack_erofs_end(struct unpack *u, uint64_t *data_end, box_error **err);

/* ---- What an entry may be, whatever it becomes: unpack_rules.c ---- */

#define UNPACK_WHITEOUT_PREFIX ".wh."
#define UNPACK_OPAQUE_MARKER   ".wh..wh..opq"

bool unpack_keeps_xattr(const struct unpack *u, const char *name);
int unpack_check_owner(const struct unpack *u, box_error **err);
struct timespec unpack_mtime(const struct unpack *u);
int unpack_check_size(const struct unpack *u, box_error **err);
/* Counts a piece of the entry's data. */
int unpack_count_piece(struct unpack *u, uint64_t at, size_t length, box_error **err);
int unpack_check_target(const struct unpack *u, box_error **err); /* of a symbolic link */
int unpack_check_source(const struct unpack *u, box_error **err); /* of a hard link */
int unpack_fail_source(const struct unpack *u, int result, box_error **err);
int unpack_check_node(const struct unpack *u, box_error **err);
/* What a whiteout's name hides: the name behind the prefix, or NULL. */
const char *unpack_hidden_name(const struct unpack *u);
int unpack_check_hidden(const struct unpack *u, const char *name, box_error **err);
/* A parent that cannot be entered. */
int unpack_fail_walk(const struct unpack *u, int result, const char *path, box_error **err);

#endif
