/* Copying a file's content, and removing a tree.
 *
 * Removing is built against what a container leaves behind or still does in its tree: links are removed and
 * never followed (each name is opened under its parent's fd with no links and no mount crossed), a tree that
 * is deeper than the fds at hand is flattened (what lies too deep is moved up to the top of the tree and
 * removed from there), names that keep being added end in an error and not in a loop without end. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/resolve.h"

#define COPY_CHUNK (64 * 1024)
#define MAX_DEPTH  16
#define MAX_PASSES 100000
#define MAX_FILLED 100 /* times that a directory may have been filled again when it is to go */

/* Copies [*at, end) by hand, or as far as from goes. */
static int copy_by_hand(int from, int to, off_t *at, off_t end)
{
    _free_ char *chunk = malloc(COPY_CHUNK);

    if (!chunk)
        return -1;
    while (*at < end) {
        size_t want = end - *at < COPY_CHUNK ? (size_t)(end - *at) : COPY_CHUNK;
        ssize_t n = pread(from, chunk, want, *at);
        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        for (ssize_t done = 0; n > 0 && done < n;) {
            ssize_t written = pwrite(to, chunk + done, (size_t)(n - done), *at + done);
            if (written < 0 && errno != EINTR)
                return -1;
            done += written > 0 ? written : 0;
        }
        if (n < 0)
            return -1;
        *at += n;
    }
    return 0;
}

/* What copy_file_range(2) says when this pair of files is not for it. */
static bool not_in_kernel(int error)
{
    return error == EXDEV || error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM ||
           error == EBADF || error == EIO;
}

static int copy_range(int from, int to, off_t at, off_t end)
{
    while (at < end) {
        off_t in = at, out = at;
        ssize_t n = copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && !not_in_kernel(errno))
            return -1;
        /* 0 before the end: a file that has become shorter, or a kernel that cannot copy this one and does
         * not say so. */
        if (n <= 0)
            return copy_by_hand(from, to, &at, end);
        at += n;
    }
    return 0;
}

/* The next stretch of data from *start on; false when only a hole is left. */
static bool next_data(int fd, off_t size, off_t *start, off_t *end)
{
    off_t data = lseek(fd, *start, SEEK_DATA), hole;

    if (data < 0 && errno == ENXIO)
        return false;
    if (data < 0) { /* it cannot tell: all is data */
        *end = size;
        return *start < size;
    }
    hole = lseek(fd, data, SEEK_HOLE);
    *start = data;
    *end = hole < 0 || hole > size ? size : hole;
    return *start < size;
}

int box_file_copy(int from, int to, box_error **err)
{
    off_t start = 0, end = 0;
    struct stat st;

    if (fstat(from, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "copy a file");
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    /* Files of /proc and /sys have no size and yet content. */
    if (st.st_size == 0) {
        if (copy_by_hand(from, to, &start, INT64_MAX) < 0)
            return box_fail_sys(err, "write", NULL, "copy a file");
        return 0;
    }
    for (; next_data(from, st.st_size, &start, &end); start = end)
        if (copy_range(from, to, start, end) < 0)
            return box_fail_sys(err, "copy_file_range", NULL, "copy a file");
    if (ftruncate(to, st.st_size) < 0)
        return box_fail_sys(err, "ftruncate", NULL, "copy a file");
    return 0;
}

/* Removing */

struct removal {
    int top; /* the tree's own directory: too deep ones are moved here */
    unsigned long moved;
    unsigned long progress; /* objects removed or moved so far */
    int result;             /* of the first failure */
    box_error **err;
};

static void note(struct removal *r, int errnum, const char *call, const char *name, const char *why)
{
    struct box_fail_info info = {.errnum = errnum, .call = call, .subject = name};

    if (r->result == 0)
        r->result = box_fail_with(r->err, &info, "%s", why);
}

/* A directory of an ordinary user's can lack the bits that its owner needs to empty it. */
static bool make_accessible(int dirfd, const char *name)
{
    char path[32];
    struct stat st;
    _close_ int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 0700) == 0700)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, 0700) == 0;
}

static int open_dir(int dirfd, const char *name)
{
    const unsigned flags = BOX_RESOLVE_NO_XDEV | BOX_RESOLVE_BENEATH | BOX_RESOLVE_NO_SYMLINKS;
    const int open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int fd = box_resolve(dirfd, name, open_flags, flags);

    if (fd == -EACCES && make_accessible(dirfd, name))
        fd = box_resolve(dirfd, name, open_flags, flags);
    return fd;
}

/* unlinkat(2); a refusal for want of write permission on the directory is met with a change of its mode. */
static int unlink_one(struct removal *r, int dirfd, const char *name, int flags)
{
    int result = unlinkat(dirfd, name, flags);

    if (result < 0 && errno == EACCES && make_accessible(dirfd, "."))
        result = unlinkat(dirfd, name, flags);
    r->progress += result == 0;
    return result == 0 || errno == ENOENT ? 0 : -errno;
}

static void remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth);

/* Moves a directory that is too deep to the top, where a later pass finds it. */
static void move_up(struct removal *r, int dirfd, const char *name)
{
    char to[64];
    int result;

    do {
        snprintf(to, sizeof(to), ".libbox-removed-%lu", r->moved++);
        result = renameat2(dirfd, name, r->top, to, RENAME_NOREPLACE);
        /* The parent of what is moved changes, for which it must be writable. */
        if (result < 0 && errno == EACCES && make_accessible(dirfd, name))
            result = renameat2(dirfd, name, r->top, to, RENAME_NOREPLACE);
    } while (result < 0 && errno == EEXIST);
    if (result < 0)
        note(r, errno, "rename", name, "remove a directory");
    r->progress += result == 0;
}

/* One look at all entries; how many there were. */
static unsigned long empty_once(struct removal *r, DIR *dir, unsigned depth)
{
    unsigned long seen = 0;

    rewinddir(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        seen++;
        remove_entry(r, dirfd(dir), e->d_name, depth + 1);
    }
    return seen;
}

/* Empties the directory that fd is open on, and takes fd over. Entries can be skipped by readdir(3) while
 * others are removed, and come in from below (move_up), so it looks until there is nothing, or nothing that
 * goes away. */
static void empty_dir(struct removal *r, int fd, const char *name, unsigned depth)
{
    _closedir_ DIR *dir = fdopendir(fd);
    unsigned long before;
    unsigned pass = 0;

    if (!dir) {
        note(r, errno, "opendir", name, "remove a directory");
        close(fd);
        return;
    }
    do {
        if (pass++ == MAX_PASSES) {
            note(r, EBUSY, "unlink", name, "files keep being added to a directory that is being removed");
            break;
        }
        before = r->progress;
    } while (empty_once(r, dir, depth) > 0 && r->progress != before);
}

static void remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth)
{
    int fd, result = unlink_one(r, dirfd, name, 0);

    if (result == 0)
        return;
    fd = open_dir(dirfd, name);
    if (fd == -ENOTDIR || fd == -ELOOP || fd == -ENOENT) {
        if (fd != -ENOENT)
            note(r, -result, "unlink", name, "remove a file");
        return;
    }
    if (fd < 0) {
        note(r, fd == -EXDEV ? EBUSY : -fd, "open", name,
             fd == -EXDEV ? "something is mounted in the directory to be removed" : "remove a directory");
        return;
    }
    if (depth == MAX_DEPTH) {
        close(fd);
        move_up(r, dirfd, name);
        return;
    }
    if (depth == 0)
        r->top = fd;
    empty_dir(r, fd, name, depth);
    result = unlink_one(r, dirfd, name, AT_REMOVEDIR);
    /* Something came in after the last look. */
    for (unsigned filled = 0; result == -ENOTEMPTY && r->result == 0 && filled < MAX_FILLED; filled++) {
        if ((fd = open_dir(dirfd, name)) < 0)
            break;
        r->top = depth == 0 ? fd : r->top;
        empty_dir(r, fd, name, depth);
        result = unlink_one(r, dirfd, name, AT_REMOVEDIR);
    }
    if (result < 0)
        note(r, -result, "rmdir", name, "remove a directory");
}

int box_remove_tree(int dirfd, const char *name, box_error **err)
{
    struct removal r = {.top = -1, .err = err};

    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return box_fail(err, BOX_EINVAL, "remove \"%s\": not the name of an entry of a directory", name);
    remove_entry(&r, dirfd, name, 0);
    return r.result;
}
