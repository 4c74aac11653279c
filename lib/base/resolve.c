/* The in-root path resolver: the calls, and the way through openat2(2). The other way is in resolve_walk.c.
 *
 * openat2 comes first, since the kernel does in one call, without a race, what the walk does in many. The
 * walk takes over when openat2 cannot be had: -ENOSYS (a kernel before 5.6, or a filter that says so), -EPERM
 * (a seccomp filter of the program around us; should the refusal be about the file itself, the walk gets the
 * same answer), and -EAGAIN that does not go away (the kernel gives up on ".." whenever anything in the
 * system is renamed or mounted meanwhile). Objects are made by the walk alone: only it knows the parent's fd
 * of each missing component. */
#include "base/resolve_walk.h"

#include <asm/stat.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>

#include "base/rawsys.h"

/* How often a resolution starts anew when the tree changes under it. */
#define TRIES 32

#define ALL_FLAGS (BOX_RESOLVE_NO_SYMLINKS | BOX_RESOLVE_NO_XDEV | BOX_RESOLVE_BENEATH | BOX_RESOLVE_WALK)

static int by_openat2(int rootfd, const char *path, int open_flags, unsigned flags)
{
    struct open_how how;
    long fd = -EAGAIN;

    how.flags = (unsigned)open_flags;
    how.mode = 0;
    how.resolve = RESOLVE_NO_MAGICLINKS;
    how.resolve |= flags & BOX_RESOLVE_BENEATH ? RESOLVE_BENEATH : RESOLVE_IN_ROOT;
    if (flags & BOX_RESOLVE_NO_SYMLINKS)
        how.resolve |= RESOLVE_NO_SYMLINKS;
    if (flags & BOX_RESOLVE_NO_XDEV)
        how.resolve |= RESOLVE_NO_XDEV;
    for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
        fd = box_sys(openat2, rootfd, path, &how, sizeof(how));
    return (int)fd;
}

static int by_walk(int rootfd, const char *path, int open_flags, unsigned flags)
{
    int fd = -EAGAIN;

    for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
        fd = box_walk(rootfd, path, open_flags, flags, BOX_WALK_FIND, 0, 0);
    return fd;
}

int box_resolve(int rootfd, const char *path, int open_flags, unsigned flags)
{
    /* __O_TMPFILE is what O_TMPFILE adds to O_DIRECTORY. */
    if (!path || open_flags & (O_CREAT | __O_TMPFILE) || flags & ~ALL_FLAGS)
        return -EINVAL;
    if (rootfd < 0)
        return -EBADF;
    open_flags = box_walk_open_flags(open_flags);
    if (!(flags & BOX_RESOLVE_WALK)) {
        int fd = by_openat2(rootfd, path, open_flags, flags);
        if (fd != -ENOSYS && fd != -EPERM && fd != -EAGAIN)
            return fd;
    }
    return by_walk(rootfd, path, open_flags, flags);
}

/* Where the last component starts in path, and its length; trailing slashes are not part of it. */
static unsigned last_component(const char *path, unsigned *length)
{
    unsigned end = box_walk_length(path), start;

    while (end > 0 && path[end - 1] == '/')
        end--;
    start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    *length = end - start;
    return start;
}

int box_resolve_parent(int rootfd, const char *path, char last[BOX_RESOLVE_NAME], unsigned flags)
{
    char parent[BOX_RESOLVE_PATH];
    unsigned length, start;

    if (!path)
        return -EINVAL;
    if (!path[0])
        return -ENOENT;
    start = last_component(path, &length);
    if (length == 0 || (path[start] == '.' && (length == 1 || (length == 2 && path[start + 1] == '.'))))
        return -EINVAL;
    if (length >= BOX_RESOLVE_NAME || start >= sizeof(parent))
        return -ENAMETOOLONG;
    box_walk_copy(last, path + start, length);
    last[length] = '\0';

    /* "." for a path of one component: the root itself, also for BENEATH. */
    box_walk_copy(parent, path, start);
    if (start == 0)
        parent[start++] = '.';
    if (start >= sizeof(parent))
        return -ENAMETOOLONG;
    parent[start] = '\0';
    return box_resolve(rootfd, parent, O_PATH | O_DIRECTORY, flags);
}

static int make_by_walk(int rootfd, const char *path, enum box_walk_make make,
                        const struct box_resolve_make *how, unsigned flags, struct box_resolve_made *made)
{
    static const struct box_resolve_make defaults = {0755, 0644, (unsigned)-1, (unsigned)-1};
    struct box_resolve_made unasked;
    int fd = -EAGAIN;

    if (!made) {
        unasked.path = 0;
        unasked.path_size = 0;
        made = &unasked;
    }
    for (int i = 0; i < TRIES && fd == -EAGAIN; i++)
        fd = box_walk(rootfd, path, O_PATH | O_CLOEXEC, flags, make, how ? how : &defaults, made);
    return fd;
}

static void nothing_made(struct box_resolve_made *made)
{
    if (!made)
        return;
    made->count = 0;
    made->is_dir = 0;
    if (made->path && made->path_size > 0)
        made->path[0] = '\0';
}

int box_resolve_mkdirs(int rootfd, const char *path, const struct box_resolve_make *how, unsigned flags,
                       struct box_resolve_made *made)
{
    int fd = box_resolve(rootfd, path, O_PATH | O_DIRECTORY, flags);

    nothing_made(made);
    if (fd != -ENOENT)
        return fd;
    return make_by_walk(rootfd, path, BOX_WALK_MAKE_DIR, how, flags, made);
}

int box_resolve_target(int rootfd, const char *path, int want_dir, const struct box_resolve_make *how,
                       unsigned flags, struct box_resolve_made *made)
{
    struct stat st;
    int fd;

    if (want_dir)
        return box_resolve_mkdirs(rootfd, path, how, flags, made);
    nothing_made(made);
    fd = box_resolve(rootfd, path, O_PATH, flags);
    if (fd == -ENOENT)
        return make_by_walk(rootfd, path, BOX_WALK_MAKE_FILE, how, flags, made);
    if (fd < 0)
        return fd;
    long r = box_sys(newfstatat, fd, "", &st, AT_EMPTY_PATH);
    if (r == 0 && S_ISDIR(st.st_mode))
        r = -EISDIR;
    if (r < 0) {
        box_sys(close, fd);
        return (int)r;
    }
    return fd;
}

/* Removes path's last component if it is still the object of that identity. 1: it was not, and nothing was
 * done. */
static int unmake_one(int rootfd, const char *path, int is_dir, unsigned long long dev,
                      unsigned long long ino)
{
    const unsigned flags = BOX_RESOLVE_NO_SYMLINKS | BOX_RESOLVE_BENEATH;
    char name[BOX_RESOLVE_NAME];
    struct stat st;
    int parent = box_resolve_parent(rootfd, path, name, flags);
    long r;

    if (parent < 0)
        return parent == -ENOENT || parent == -ENOTDIR || parent == -ELOOP ? 1 : parent;
    r = box_sys(newfstatat, parent, name, &st, AT_SYMLINK_NOFOLLOW);
    if (r == 0 && (st.st_dev != dev || st.st_ino != ino))
        r = 1;
    if (r == 0)
        r = box_sys(unlinkat, parent, name, is_dir ? AT_REMOVEDIR : 0);
    if (r == -ENOTEMPTY || r == -EEXIST || r == -ENOENT || r == -ENOTDIR || r == -EISDIR)
        r = 1;
    box_sys(close, parent);
    return (int)r;
}

int box_resolve_unmake(int rootfd, const struct box_resolve_made *made)
{
    char path[BOX_RESOLVE_PATH];
    unsigned length;

    if (made->count == 0)
        return 0;
    if (!made->path || made->count > BOX_RESOLVE_MADE)
        return -EINVAL;
    length = box_walk_length(made->path);
    if (length >= sizeof(path))
        return -ENAMETOOLONG;
    box_walk_copy(path, made->path, length + 1);
    for (unsigned left = made->count; left > 0; left--) {
        int is_dir = left < made->count || made->is_dir;
        int r = unmake_one(rootfd, path, is_dir, made->id[left - 1].dev, made->id[left - 1].ino);
        if (r != 0)
            return r < 0 ? r : 0;
        path[last_component(path, &length)] = '\0';
    }
    return 0;
}
