/* Files of the library's own: reading, replacing so that a kill leaves old or new, copying, removing,
 * locking.
 *
 * All of it works relative to a directory fd and on names that libbox chose itself. A name that comes from an
 * image or a container goes through base/resolve.h first, and what that gives (an fd) may then be used here.
 */
#ifndef BOX_BASE_FILE_H
#define BOX_BASE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/fail.h"

/* Fails with what box_resolve() and its kin answered (a negative errno) for path: -EXDEV and -ELOOP become
 * BOX_EESCAPE, -ENAMETOOLONG BOX_ELIMIT, -EAGAIN BOX_EBUSY, the rest as box_code_from_errno() has it. */
int box_fail_resolve(box_error **err, int result, const char *path, const char *fmt, ...) BOX_PRINTF(4, 5);

/* --- whole reads and writes; EINTR and short counts are dealt with; errno is set --- */

/* Reads until length bytes or the end: how many, or -1. */
ssize_t box_read_all(int fd, void *data, size_t length);
/* 0, or -1. Writing to a pipe or socket whose reader is gone raises SIGPIPE as always: use sockets with
 * MSG_NOSIGNAL. */
int box_write_all(int fd, const void *data, size_t length);

/* The whole of a file, from where fd stands, as malloc'ed bytes with a NUL behind them. BOX_ELIMIT when there
 * are more than limit. */
int box_fd_read(int fd, size_t limit, char **data, size_t *length, box_error **err);
/* The same by name: a regular file (BOX_EINVAL otherwise; a FIFO does not block). path may hold directories;
 * links in it are followed. length may be NULL. */
int box_file_read(int dirfd, const char *path, size_t limit, char **data, size_t *length, box_error **err);

/* --- replacing a file --- */

enum {
    BOX_FILE_EXCLUSIVE = 1, /* BOX_EEXISTS when the name is taken, instead of replacing it */
    BOX_FILE_NO_SYNC = 2,   /* no fsync: for files that do not outlive the boot, under /run */
    BOX_FILE_IN_PLACE = 8, /* box_file_replace(): a new file, written under its name, in a directory that is put in
                            * place as a whole when it is complete. BOX_EEXISTS when the name is taken */
    BOX_FILE_NO_DIR_SYNC = 4, /* the file is synced, its name is not: after a power cut the old file or the new, whole */
};

/* A file that is being written and does not have its name yet. A kill at any instant leaves under the name
 * what was there before, or the new file, complete; what can be left beside it is one nameless file (gone by
 * itself) or one whose name box_file_is_temporary() tells, and which a clean-up may remove once it is old.
 *
 *     _file_new_ struct box_file_new f = BOX_FILE_NEW;
 *     r = box_file_begin(&f, dirfd, 0644, &err);
 *     write to f.fd, chown it, ...
 *     r = box_file_commit(&f, "name", 0, &err);
 */
struct box_file_new {
    int fd;    /* open for reading and writing; -1: not begun, or over */
    int dirfd; /* borrowed */
    bool synced;
    char temporary[32]; /* "": it has no name at all */
};
#define BOX_FILE_NEW ((struct box_file_new){.fd = -1, .dirfd = -1})

/* mode is exact, whatever the umask. dirfd must stay open until the end, and may be O_PATH. */
int box_file_begin(struct box_file_new *file, int dirfd, mode_t mode, box_error **err);
/* Syncs the file, gives it its name (one component) and syncs the directory. The file is closed then, also on
 * failure, when it is gone. */
int box_file_commit(struct box_file_new *file, const char *name, unsigned flags, box_error **err);
/* Throws it away; harmless when there is nothing. */
void box_file_abandon(struct box_file_new *file);
#define _file_new_ __attribute__((cleanup(box_file_abandon)))

/* All of the above in one: name gets this content. */
int box_file_replace(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
                     unsigned flags, box_error **err);
/* Whether a name is one of box_file_begin()'s. */
bool box_file_is_temporary(const char *name);
/* fsync of a directory, which may be open with O_PATH. */
int box_dir_sync(int dirfd, box_error **err);

/* --- copying and removing --- */

/* Copies a regular file's content from the start of one fd to the start of another, empty one: shares the
 * blocks where the file system can, keeps holes, copies in the kernel otherwise, and by hand where that
 * cannot be had. */
int box_file_copy(int from, int to, box_error **err);

/* Removes name (one component) under dirfd, with all that is below it if it is a directory: never follows a
 * link, never leaves the mount that name is on (a mount below is BOX_EBUSY), needs few fds however deep it
 * is. Removes all that can be removed before it reports the first failure. A name that is not there is
 * success. */
int box_remove_tree(int dirfd, const char *name, box_error **err);

/* --- directories, locks, names --- */

/* Opens (O_RDONLY | O_DIRECTORY) the directory path, a trusted one, making what is missing with this exact
 * mode. dirfd may be AT_FDCWD for an absolute path. Returns the fd or a BOX_E* code. */
int box_dir_open(int dirfd, const char *path, mode_t mode, box_error **err);

enum box_lock { BOX_LOCK_SHARED, BOX_LOCK_EXCLUSIVE };

/* Takes a lock on the file name under dirfd, which is made when missing (0600), waiting until the deadline:
 * the fd that holds the lock, or a BOX_E* code, BOX_EBUSY when the deadline passed. Closing the fd lets go.
 * The lock is flock(2)'s: it belongs to the open file, so it excludes other threads of this process too, and
 * ends with the process however it ends. A lock file that is removed or replaced while it is waited for is
 * noticed: a lock that is held is always on the file that has the name. */
int box_lock_take(int dirfd, const char *name, enum box_lock kind, struct box_deadline deadline,
                  box_error **err);
/* The same for a lock file that goes when what it guards goes: a missing one is not made, which would be in the
 * way of whoever is removing, but BOX_ENOTFOUND. */
int box_lock_take_existing(int dirfd, const char *name, enum box_lock kind, struct box_deadline deadline,
                           box_error **err);
/* Removes the lock file and lets go; for the exclusive holder. */
void box_lock_remove(int dirfd, const char *name, int fd);

/* So many random lower-case hexadecimal digits and a NUL (64: a container's id). */
int box_random_hex(char *out, size_t digits, box_error **err);

#endif
