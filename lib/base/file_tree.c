/* Copying a file's content. Removing a tree is in file_remove.c. */
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "base/file.h"

#define COPY_CHUNK (64 * 1024)

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
