/* Whole reads and writes, and replacing a file safely.
 *
 * The order that keeps old or new at any instant: write to a file without a name (O_TMPFILE; a unique name
 * where that cannot be had), fsync it, give it a temporary name, rename that over the old one, fsync the
 * directory. An fsync that fails is an error and the name is not given: the kernel may have dropped the
 * pages, so there is no trying again. */
#include "base/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define TEMPORARY_PREFIX ".libbox-new-"
#define TRIES            16

int box_fail_resolve(box_error **err, int result, const char *path, const char *fmt, ...)
{
    struct box_fail_info info = {.errnum = -result, .subject = path};
    char sentence[256];
    va_list args;

    if (result == -EXDEV || result == -ELOOP) {
        info.code = BOX_EESCAPE;
        info.remedy = "the path, or a link in it, leads where it must not";
    } else if (result == -ENAMETOOLONG) {
        info.code = BOX_ELIMIT;
    } else if (result == -EAGAIN) {
        info.code = BOX_EBUSY;
    }
    va_start(args, fmt);
    vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    return box_fail_with(err, &info, "%s", sentence);
}

ssize_t box_read_all(int fd, void *data, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = read(fd, (char *)data + done, length - done);
        if (n == 0)
            break;
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return (ssize_t)done;
}

int box_write_all(int fd, const void *data, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = write(fd, (const char *)data + done, length - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            return -1;
    }
    return 0;
}

static int fd_read(int fd, const char *name, size_t limit, char **data, size_t *length, box_error **err)
{
    size_t size = 0, capacity = 4096;
    _free_ char *content = NULL;
    struct stat st;

    if (limit > SIZE_MAX / 4)
        limit = SIZE_MAX / 4;
    /* One more than the file says, to see its end in the same read; files of /proc say 0. */
    if (fstat(fd, &st) == 0 && st.st_size >= 4096)
        capacity = (size_t)st.st_size + 1;
    for (;;) {
        /* One more than the limit, to see that it is passed. */
        if (capacity > limit)
            capacity = limit + 1;
        char *grown = realloc(content, capacity + 1);
        if (!grown)
            return box_fail_nomem(err);
        content = grown;
        ssize_t n = box_read_all(fd, content + size, capacity - size);
        if (n < 0)
            return box_fail_sys(err, "read", name, "read the file");
        size += (size_t)n;
        if (size < capacity)
            break;
        if (size > limit) {
            struct box_fail_info info = {.code = BOX_ELIMIT, .subject = name};
            return box_fail_with(err, &info, "the file has more than %zu bytes", limit);
        }
        capacity *= 2;
    }
    content[size] = '\0';
    *data = box_take(content);
    if (length)
        *length = size;
    return 0;
}

int box_fd_read(int fd, size_t limit, char **data, size_t *length, box_error **err)
{
    return fd_read(fd, NULL, limit, data, length, err);
}

int box_file_read(int dirfd, const char *path, size_t limit, char **data, size_t *length, box_error **err)
{
    _close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return box_fail_sys(err, "open", path, "open the file");
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", path, "look at the file");
    if (!S_ISREG(st.st_mode)) {
        struct box_fail_info info = {.code = BOX_EINVAL, .subject = path};
        return box_fail_with(err, &info, "not a regular file");
    }
    return fd_read(fd, path, limit, data, length, err);
}

int box_random_hex(char *out, size_t digits, box_error **err)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[64];

    for (size_t done = 0; done < digits;) {
        ssize_t n = getrandom(bytes, sizeof(bytes), 0);
        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "getrandom", NULL, "make a random name");
        for (ssize_t i = 0; i < n && done < digits; i++)
            out[done++] = hex[bytes[i] & 15];
    }
    out[digits] = '\0';
    return 0;
}

bool box_file_is_temporary(const char *name)
{
    return strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
}

static int temporary_name(char name[32], box_error **err)
{
    memcpy(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX));
    return box_random_hex(name + strlen(TEMPORARY_PREFIX), 16, err);
}

/* What stands for "the file this fd is open on" in linkat(2). */
static void fd_path(int fd, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", fd);
}

/* A file without a name can be given one through /proc, or, by root, directly: without either it would stay
 * nameless. */
static int open_nameless(int dirfd)
{
    char path[32];
    int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        return -1;
    fd_path(fd, path);
    if (geteuid() != 0 && access(path, F_OK) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int open_named(struct box_file_new *file, int dirfd, box_error **err)
{
    int r;

    for (int i = 0; i < TRIES; i++) {
        r = temporary_name(file->temporary, err);
        if (r < 0)
            break;
        file->fd = openat(dirfd, file->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (file->fd >= 0)
            return 0;
        if (errno != EEXIST) {
            r = box_fail_sys(err, "open", file->temporary, "make a new file");
            break;
        }
        r = BOX_EEXISTS;
    }
    file->temporary[0] = '\0';
    return r == BOX_EEXISTS ? box_fail(err, r, "no free name for a new file") : r;
}

int box_file_begin(struct box_file_new *file, int dirfd, mode_t mode, box_error **err)
{
    *file = BOX_FILE_NEW;
    file->dirfd = dirfd;
    file->fd = open_nameless(dirfd);
    if (file->fd < 0) {
        int r = open_named(file, dirfd, err);
        if (r < 0)
            return r;
    }
    if (fchmod(file->fd, mode) < 0) {
        int r = box_fail_sys(err, "fchmod", NULL, "give a new file its mode");
        box_file_abandon(file);
        return r;
    }
    return 0;
}

void box_file_abandon(struct box_file_new *file)
{
    int saved = errno;

    if (file->fd < 0)
        return;
    if (file->temporary[0])
        unlinkat(file->dirfd, file->temporary, 0);
    close(file->fd);
    *file = BOX_FILE_NEW;
    errno = saved;
}

/* Gives the open file a name that must be free. */
static int link_fd(int fd, int dirfd, const char *name)
{
    char path[32];

    if (linkat(fd, "", dirfd, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno == EEXIST)
        return -1;
    /* Without CAP_DAC_READ_SEARCH the kernel before 6.10 says ENOENT: open(2), "O_TMPFILE". */
    fd_path(fd, path);
    return linkat(AT_FDCWD, path, dirfd, name, AT_SYMLINK_FOLLOW);
}

static int commit_exclusive(struct box_file_new *file, const char *name)
{
    int r;

    if (!file->temporary[0])
        return link_fd(file->fd, file->dirfd, name);
    r = linkat(file->dirfd, file->temporary, file->dirfd, name, 0);
    if (r < 0 && (errno == EPERM || errno == EOPNOTSUPP)) /* a file system without hard links */
        r = renameat2(file->dirfd, file->temporary, file->dirfd, name, RENAME_NOREPLACE);
    return r;
}

static int commit_replacing(struct box_file_new *file, const char *name, box_error **err)
{
    for (int i = 0; i < TRIES && !file->temporary[0]; i++) {
        char temporary[32];
        int r = temporary_name(temporary, err);
        if (r < 0)
            return r;
        if (link_fd(file->fd, file->dirfd, temporary) == 0)
            memcpy(file->temporary, temporary, sizeof(temporary));
        else if (errno != EEXIST)
            return box_fail_sys(err, "linkat", name, "name the new file");
    }
    if (renameat(file->dirfd, file->temporary, file->dirfd, name) < 0)
        return box_fail_sys(err, "rename", name, "put the new file in place");
    file->temporary[0] = '\0';
    return 0;
}

int box_file_commit(struct box_file_new *file, const char *name, unsigned flags, box_error **err)
{
    int r = 0;

    if (!(flags & BOX_FILE_NO_SYNC) && fsync(file->fd) < 0)
        r = box_fail_sys(err, "fsync", name, "write the new file to disk");
    else if (!(flags & BOX_FILE_EXCLUSIVE))
        r = commit_replacing(file, name, err);
    else if (commit_exclusive(file, name) < 0)
        r = box_fail_sys(err, "linkat", name, "put the new file in place");
    if (r == 0 && !(flags & (BOX_FILE_NO_SYNC | BOX_FILE_NO_DIR_SYNC)))
        r = box_dir_sync(file->dirfd, err);
    box_file_abandon(file);
    return r;
}

int box_dir_sync(int dirfd, box_error **err)
{
    _close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return box_fail_sys(err, "open", ".", "open a directory to sync it");
    /* EINVAL: a file system that has nothing to sync. */
    if (fsync(fd) < 0 && errno != EINVAL)
        return box_fail_sys(err, "fsync", ".", "write a directory to disk");
    return 0;
}

static int write_in_place(int dirfd, const char *name, const void *data, size_t length, mode_t mode, unsigned flags,
                          box_error **err)
{
    _close_ int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return box_fail_sys(err, "open", name, "make a new file");
    if (fchmod(fd, mode) < 0 || box_write_all(fd, data, length) < 0 || (!(flags & BOX_FILE_NO_SYNC) && fsync(fd) < 0)) {
        int r = box_fail_sys(err, "write", name, "write the new file");
        unlinkat(dirfd, name, 0);
        return r;
    }
    return flags & (BOX_FILE_NO_SYNC | BOX_FILE_NO_DIR_SYNC) ? 0 : box_dir_sync(dirfd, err);
}

int box_file_replace(int dirfd, const char *name, const void *data, size_t length, mode_t mode,
                     unsigned flags, box_error **err)
{
    if (flags & BOX_FILE_IN_PLACE)
        return write_in_place(dirfd, name, data, length, mode, flags, err);
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    int r = box_file_begin(&file, dirfd, mode, err);

    if (r < 0)
        return r;
    if (box_write_all(file.fd, data, length) < 0)
        return box_fail_sys(err, "write", name, "write the new file");
    return box_file_commit(&file, name, flags, err);
}
