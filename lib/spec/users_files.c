/* Opening a file of a hostile root: as a regular file, inside the root, of bounded size.
 *
 * For a root in one piece the in-root resolver does it. Layers that are not mounted are walked by hand, a
 * component at a time: links are read and followed in the union, never by the kernel, so none leads out. */
#include "spec/users_files.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/resolve.h"
#include "spec/layers.h"
#include "spec/users.h"

#define LINKS_MAX 40

/* Takes the last component off a path such as "etc/ssl"; that of "" is "" again. */
static void climb(char *path)
{
    char *slash = strrchr(path, '/');
    *(slash ? slash : path) = '\0';
}

/* Adds one component; -ENAMETOOLONG when it does not fit. */
static int descend(char path[PATH_MAX], const char *name, size_t n)
{
    size_t at = strlen(path);

    if (n > NAME_MAX || at + n + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    if (at)
        path[at++] = '/';
    memcpy(path + at, name, n);
    path[at + n] = '\0';
    return 0;
}

/* Puts a link's target in front of what is still to be walked, and leaves in `path` the directory that the
 * target starts from. */
static int follow(const struct box_layers_found *link, char path[PATH_MAX], char rest[PATH_MAX],
                  const char *left)
{
    char target[PATH_MAX], joined[PATH_MAX];
    const char *slash = strrchr(path, '/');
    ssize_t n = readlinkat(link->dirfd, slash ? slash + 1 : path, target, sizeof(target) - 1);

    if (n < 0)
        return -errno;
    target[n] = '\0';
    int length = snprintf(joined, sizeof(joined), "%s/%s", target, left);
    if (length >= (int)sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(rest, joined, (size_t)length + 1);
    if (target[0] == '/')
        path[0] = '\0';
    else
        climb(path);
    return 0;
}

/* Opens a regular file, or whatever stands there, in the union of the layers. */
static int open_in_layers(const struct users_root *root, const char *wanted)
{
    char path[PATH_MAX] = "", rest[PATH_MAX];
    const char *at = rest;
    int links = 0;

    if (snprintf(rest, sizeof(rest), "%s", wanted) >= (int)sizeof(rest))
        return -ENAMETOOLONG;
    for (;;) {
        at += strspn(at, "/");
        size_t n = strcspn(at, "/");
        if (n == 0)
            return -EISDIR;
        if ((n == 1 && at[0] == '.') || (n == 2 && at[0] == '.' && at[1] == '.')) {
            if (n == 2)
                climb(path);
            at += n;
            continue;
        }
        int r = descend(path, at, n);
        if (r < 0)
            return r;
        at += n;

        struct box_layers_found found = {.dirfd = -1};
        r = box_layers_find(root->layers, root->n_layers, path, &found);
        _close_ int dirfd = found.dirfd;
        if (r < 0)
            return r;
        if (S_ISLNK(found.st.st_mode)) {
            if (++links > LINKS_MAX)
                return -ELOOP;
            r = follow(&found, path, rest, at);
            if (r < 0)
                return r;
            at = rest;
        } else if (!S_ISDIR(found.st.st_mode)) {
            if (at[strspn(at, "/")])
                return -ENOTDIR;
            const char *slash = strrchr(path, '/');
            int fd = openat(dirfd, slash ? slash + 1 : path,
                            O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
            return fd < 0 ? -errno : fd;
        }
    }
}

static int read_all(int fd, struct box_buffer *content)
{
    for (;;) {
        char *room = box_buffer_reserve(content, 64u << 10);
        if (!room)
            return -ENOMEM;
        ssize_t n = read(fd, room, 64u << 10);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        content->length += (size_t)n;
        if (content->length > BOX_USERS_FILE_MAX)
            return -EFBIG;
    }
}

static int too_long(const char *path, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ELIMIT, .subject = path};

    return box_fail_with(err, &info, "the image's %s is longer than %u MiB", path, BOX_USERS_FILE_MAX >> 20);
}

int box_users_read_file(const struct users_root *root, const char *path, struct box_buffer *content,
                        box_error **err)
{
    _close_ int fd = root->rootfd >= 0 ? box_resolve(root->rootfd, path, O_RDONLY | O_NONBLOCK, 0)
                                       : open_in_layers(root, path);
    struct stat st;

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0) {
        errno = -fd;
        return box_fail_sys(err, "open", path, "cannot open the image's %s", path);
    }
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", path, "cannot open the image's %s", path);
    if (!S_ISREG(st.st_mode)) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = path};
        return box_fail_with(err, &info, "the image's %s is not a regular file", path);
    }
    if (st.st_size > (off_t)BOX_USERS_FILE_MAX)
        return too_long(path, err);
    int r = read_all(fd, content);
    if (r == -ENOMEM)
        return box_fail_nomem(err);
    if (r == -EFBIG)
        return too_long(path, err);
    if (r < 0) {
        errno = -r;
        return box_fail_sys(err, "read", path, "cannot read the image's %s", path);
    }
    return 0;
}
