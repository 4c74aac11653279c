/* Lock files, and opening trusted directories that may have to be made first. */
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/file.h"

#define FIRST_PAUSE   (BOX_MS / 2)
#define LONGEST_PAUSE (20 * BOX_MS)

/* Whether fd is open on the file that has the name now. */
static bool is_current(int dirfd, const char *name, int fd)
{
    struct stat held, named;

    return fstat(fd, &held) == 0 && fstatat(dirfd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_dev == named.st_dev && held.st_ino == named.st_ino;
}

/* 0 with the lock, -1 with errno; EWOULDBLOCK when the deadline passed. flock(2) knows no deadline, so a wait
 * that has one looks again and again; one that has none sleeps in the kernel. */
static int lock_until(int fd, enum box_lock kind, struct box_deadline deadline)
{
    int operation = kind == BOX_LOCK_EXCLUSIVE ? LOCK_EX : LOCK_SH;
    int64_t pause = FIRST_PAUSE;

    if (!box_deadline_is_never(deadline))
        operation |= LOCK_NB;
    for (;;) {
        if (flock(fd, operation) == 0)
            return 0;
        if (errno != EINTR && errno != EWOULDBLOCK)
            return -1;
        if (errno == EWOULDBLOCK) {
            if (box_deadline_passed(deadline)) {
                errno = EWOULDBLOCK;
                return -1;
            }
            box_deadline_sleep(deadline, pause);
            pause = pause * 2 < LONGEST_PAUSE ? pause * 2 : LONGEST_PAUSE;
        }
    }
}

static int take(int dirfd, const char *name, int make, enum box_lock kind, struct box_deadline deadline, box_error **err)
{
    /* For reading is enough for flock(2), except on NFS; so a shared lock can be had on a read-only file
     * system. */
    int access_mode = kind == BOX_LOCK_EXCLUSIVE ? O_RDWR : O_RDONLY;

    for (;;) {
        _close_ int fd = openat(dirfd, name, access_mode | make | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
        if (fd < 0)
            return box_fail_sys(err, "open", name, "open the lock file");
        if (lock_until(fd, kind, deadline) < 0) {
            struct box_fail_info info = {.errnum = errno, .call = "flock", .subject = name};
            if (errno != EWOULDBLOCK)
                return box_fail_with(err, &info, "take the lock");
            info = (struct box_fail_info){.code = BOX_EBUSY, .subject = name};
            return box_fail_with(err, &info, "somebody else holds the lock");
        }
        /* Whoever held it may have removed the file before letting go: then this lock excludes nobody. */
        if (is_current(dirfd, name, fd))
            return box_take_fd(&fd);
    }
}

int box_lock_take(int dirfd, const char *name, enum box_lock kind, struct box_deadline deadline,
                  box_error **err)
{
    return take(dirfd, name, O_CREAT, kind, deadline, err);
}

int box_lock_take_existing(int dirfd, const char *name, enum box_lock kind, struct box_deadline deadline,
                           box_error **err)
{
    return take(dirfd, name, 0, kind, deadline, err);
}

void box_lock_remove(int dirfd, const char *name, int fd)
{
    if (fd < 0)
        return;
    if (is_current(dirfd, name, fd))
        unlinkat(dirfd, name, 0);
    close(fd);
}

/* Opens the directory name under dirfd (O_PATH: what leads to it need not be readable), making it if it is
 * missing. */
static int open_or_make(int dirfd, const char *name, mode_t mode)
{
    int fd = openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    if (mkdirat(dirfd, name, mode) < 0)
        return errno == EEXIST ? openat(dirfd, name, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, mode) < 0) {
        box_cleanup_close(&fd);
        return -1;
    }
    return fd;
}

int box_dir_open(int dirfd, const char *path, mode_t mode, box_error **err)
{
    _free_ char *copy = strdup(path);
    _close_ int at = -1;
    char *rest = copy, *name;
    int fd;

    if (!copy)
        return box_fail_nomem(err);
    if (!*path) {
        struct box_fail_info info = {.errnum = ENOENT};
        return box_fail_with(err, &info, "open a directory: the path is empty");
    }
    fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* as a rule it is there */
    if (fd >= 0)
        return fd;
    at = openat(dirfd, *path == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (at >= 0 && (name = strsep(&rest, "/"))) {
        int next = *name ? open_or_make(at, name, mode) : box_take_fd(&at);
        box_cleanup_close(&at);
        at = next;
    }
    fd = at < 0 ? -1 : openat(at, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? box_fail_sys(err, "mkdir", path, "open the directory, or make it") : fd;
}
