/* Entries of a tar stream, put into a tree that somebody hostile may be changing at the same time.
 *
 * Each entry's directory is resolved anew inside the root, to a descriptor. What is made there is made with O_EXCL or
 * its like, opened without following, and dressed by its own descriptor: should it have been replaced in between,
 * what gets owner and mode is still what was made, or nothing. A plain file that is something mounted (/etc/hosts) is
 * written in place: taking it away would take the mount away. */
#include "container/copy.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include "base/array.h"
#include "base/file.h"
#include "base/strings.h"
#include "image/tar.h"
#include "image/unpack.h"

/* A directory whose time is set when nothing more is put into it. */
struct made {
    int fd;
    struct timespec mtime;
    mode_t mode;
};

struct place {
    const struct copy_tree *tree;
    unsigned flags;
    const char *directory;
    struct box_tar *tar;
    struct box_tar_entry entry;
    box_image_limits limits;
    uint64_t entries, bytes;
    struct made *made;
    size_t n_made, made_capacity;
    char name[PATH_MAX]; /* the entry's, clean */
    char path[PATH_MAX]; /* with the directory in front */
};

#define MADE_MAX 64 /* directories whose time is still to be set: the ones on the way to where it stands, mostly */

static int fail_entry(const struct place *p, int code, box_error **err, const char *why)
{
    struct box_fail_info info = {.code = code, .subject = p->name};

    return box_fail_with(err, &info, "\"%s\": %s", p->name, why);
}

static int fail_sys(const struct place *p, const char *call, box_error **err)
{
    return box_fail_sys(err, call, p->name, "cannot make \"%s\"", p->name);
}

/* ---- Names ---- */

/* Without what means nothing. ".." is refused, wherever it stands. */
static int clean_name(struct place *p, const char *from, char out[PATH_MAX], box_error **err)
{
    size_t at = 0;
    unsigned depth = 0;

    out[0] = '\0';
    while (*from) {
        size_t n = strcspn(from, "/");
        if (n == 2 && strncmp(from, "..", 2) == 0) {
            struct box_fail_info info = {.code = BOX_EESCAPE, .subject = from};
            return box_fail_with(err, &info, "a name in the archive goes up: \"%s\"", p->entry.path);
        }
        if (n > 0 && !(n == 1 && *from == '.')) {
            if (at + n + 2 > PATH_MAX || ++depth > p->limits.path_depth)
                return box_fail(err, BOX_ELIMIT, "a name in the archive is too long or too deep");
            if (at)
                out[at++] = '/';
            memcpy(out + at, from, n);
            out[at += n] = '\0';
        }
        from += n;
        from += strspn(from, "/");
    }
    return 0;
}

static int full_path(const struct place *p, const char *name, char out[PATH_MAX], box_error **err)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", p->directory, name);

    return n < PATH_MAX ? 0 : box_fail(err, BOX_ELIMIT, "a path in the archive is too long");
}

/* ---- Dressing ---- */

static void owner(const struct place *p, uid_t *uid, gid_t *gid)
{
    const struct box_idmap *map = p->tree->root.idmap;
    uint32_t u = (uint32_t)p->entry.uid, g = (uint32_t)p->entry.gid;

    copy_root_ids(p->tree, uid, gid);
    if (!(p->flags & BOX_COPY_ARCHIVE) || geteuid() != 0)
        return;
    if (map && (!box_idmap_to_outside(map, BOX_IDMAP_UID, u, &u) || !box_idmap_to_outside(map, BOX_IDMAP_GID, g, &g)))
        return;
    *uid = u;
    *gid = g;
}

/* What comes out of a container does not become a program with rights of its caller's, unless all is to be kept. */
static mode_t mode_of(const struct place *p)
{
    bool keeps = !p->tree->host || (p->flags & BOX_COPY_ARCHIVE);

    return p->entry.mode & (keeps ? 07777 : 01777);
}

static bool keeps_xattr(const struct place *p, const char *name)
{
    if (box_after_prefix(name, "user."))
        return !box_after_prefix(name, "user.overlay.");
    return strcmp(name, "security.capability") == 0 && geteuid() == 0 &&
           (!p->tree->host || (p->flags & BOX_COPY_ARCHIVE));
}

static int set_xattrs(struct place *p, int fd, box_error **err)
{
    const char *name;
    const void *value;
    size_t size;

    while (box_tar_xattr(p->tar, &name, &value, &size))
        if (name && keeps_xattr(p, name) && fsetxattr(fd, name, value, size, 0) < 0 && errno != EOPNOTSUPP &&
            errno != EPERM)
            return fail_sys(p, "fsetxattr", err);
    return 0;
}

/* By a descriptor that is open for reading or writing. */
static int dress(struct place *p, int fd, box_error **err)
{
    const struct timespec times[2] = {p->entry.mtime, p->entry.mtime};
    uid_t uid;
    gid_t gid;

    owner(p, &uid, &gid);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchown(fd, uid, gid) < 0)
        return fail_sys(p, "fchown", err);
    int r = set_xattrs(p, fd, err);
    if (r == 0 && fchmod(fd, mode_of(p)) < 0)
        r = fail_sys(p, "fchmod", err);
    return r == 0 && futimens(fd, times) < 0 ? fail_sys(p, "futimens", err) : r;
}

/* The same for what cannot be opened: held by an O_PATH descriptor, and only if it is of the kind that was made. */
static int dress_node(struct place *p, const struct copy_dest *dest, mode_t type, box_error **err)
{
    const struct timespec times[2] = {p->entry.mtime, p->entry.mtime};
    _close_ int fd = openat(dest->dirfd, dest->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char path[48];
    struct stat st;
    uid_t uid;
    gid_t gid;

    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & S_IFMT) != type)
        return 0; /* somebody took it away again */
    snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", fd);
    owner(p, &uid, &gid);
    if ((uid != (uid_t)-1 || gid != (gid_t)-1) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
        return fail_sys(p, "fchownat", err);
    if (type != S_IFLNK && chmod(path, mode_of(p)) < 0)
        return fail_sys(p, "chmod", err);
    /* The name of a link, since its descriptor has no times to set: a time is all that could go wrong. */
    if (type == S_IFLNK)
        (void)utimensat(dest->dirfd, dest->name, times, AT_SYMLINK_NOFOLLOW);
    else
        (void)utimensat(AT_FDCWD, path, times, 0);
    return 0;
}

/* ---- Directories ---- */

static int settle(struct place *p, size_t down_to, box_error **err)
{
    int r = 0;

    while (p->n_made > down_to) {
        struct made *m = &p->made[--p->n_made];
        const struct timespec times[2] = {m->mtime, m->mtime};
        if (r == 0 && (fchmod(m->fd, m->mode) < 0 || futimens(m->fd, times) < 0))
            r = fail_sys(p, "futimens", err);
        close(m->fd);
    }
    return r;
}

static int remember(struct place *p, int fd, box_error **err)
{
    if (p->n_made >= MADE_MAX) { /* the oldest first: it is the least likely to get more */
        const struct timespec times[2] = {p->made[0].mtime, p->made[0].mtime};
        (void)(fchmod(p->made[0].fd, p->made[0].mode) < 0 || futimens(p->made[0].fd, times) < 0);
        close(p->made[0].fd);
        memmove(p->made, p->made + 1, --p->n_made * sizeof(*p->made));
    }
    struct made *slot = box_array_add(&p->made, &p->n_made, &p->made_capacity);
    if (!slot) {
        close(fd);
        return box_fail_nomem(err);
    }
    *slot = (struct made){fd, p->entry.mtime, mode_of(p)};
    return 0;
}

static int put_directory(struct place *p, struct copy_dest *dest, box_error **err)
{
    if (dest->exists && !S_ISDIR(dest->st.st_mode))
        return fail_entry(p, BOX_EINVAL, err, "cannot overwrite non-directory with directory");
    if (dest->exists) { /* what is there stays as it is, and gets the new names */
        int fd = p->tree->root.live ? 0 : copy_dest_directory(p->tree, dest->path, err);
        if (fd > 0)
            close(fd);
        return fd < 0 ? fd : 0;
    }
    if (dest->hidden && unlinkat(dest->dirfd, dest->name, 0) < 0)
        return fail_sys(p, "unlinkat", err);
    if (mkdirat(dest->dirfd, dest->name, 0700) < 0)
        return fail_sys(p, "mkdirat", err);
    int fd = openat(dest->dirfd, dest->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fail_sys(p, "openat", err);
    if (dest->hidden)
        (void)(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 &&
               fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0);
    mode_t mode = p->entry.mode;
    p->entry.mode |= 0700; /* until all is in it */
    int r = dress(p, fd, err);
    p->entry.mode = mode;
    if (r < 0) {
        close(fd);
        return r;
    }
    return remember(p, fd, err);
}

/* ---- Everything else ---- */

static unsigned long long mount_id(int dirfd, const char *name)
{
    struct statx x = {0};

    if (syscall(SYS_statx, dirfd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &x) < 0 ||
        !(x.stx_mask & STATX_MNT_ID))
        return 0;
    return x.stx_mnt_id;
}

/* A plain file that something is mounted on: open for writing, and emptied; -1 with errno. */
static int open_mounted(const struct copy_dest *dest)
{
    _close_ int seen = openat(dest->dirfd, dest->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char path[48];
    struct stat st;

    if (seen < 0 || fstat(seen, &st) < 0 || !S_ISREG(st.st_mode)) {
        errno = seen < 0 ? errno : EBUSY;
        return -1;
    }
    snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", seen);
    return open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC);
}

static bool is_mounted_on(const struct place *p, const struct copy_dest *dest)
{
    return p->tree->root.live && dest->exists && mount_id(dest->dirfd, dest->name) != mount_id(dest->dirfd, "");
}

static int clear(const struct place *p, const struct copy_dest *dest, box_error **err)
{
    if (dest->exists && S_ISDIR(dest->st.st_mode))
        return fail_entry(p, BOX_EINVAL, err, "cannot overwrite directory with non-directory");
    if (is_mounted_on(p, dest))
        return fail_entry(p, BOX_EBUSY, err, "something is mounted there");
    if (dest->here && unlinkat(dest->dirfd, dest->name, 0) < 0 && errno != ENOENT)
        return fail_sys(p, "unlinkat", err);
    return 0;
}

static int put_data(struct place *p, int fd, box_error **err)
{
    const void *data;
    size_t length;
    uint64_t at;
    int r;

    while ((r = box_tar_data(p->tar, &data, &length, &at, err)) == 1) {
        const char *from = data;
        if (at > p->entry.size || length > p->entry.size - at)
            return fail_entry(p, BOX_EPARSE, err, "its data do not fit into its size");
        p->bytes += length;
        if (p->bytes > p->limits.layer_bytes)
            return fail_entry(p, BOX_ELIMIT, err, "the archive holds too much");
        while (length > 0) {
            ssize_t n = pwrite(fd, from, length, (off_t)at);
            if (n < 0 && errno == EINTR)
                continue;
            if (n < 0)
                return fail_sys(p, "pwrite", err);
            from += n;
            at += (uint64_t)n;
            length -= (size_t)n;
        }
    }
    if (r == 0 && ftruncate(fd, (off_t)p->entry.size) < 0)
        r = fail_sys(p, "ftruncate", err);
    return r;
}

static int put_file(struct place *p, const struct copy_dest *dest, box_error **err)
{
    if (p->entry.size > p->limits.file_bytes)
        return fail_entry(p, BOX_ELIMIT, err, "the file is too large");
    bool mounted = is_mounted_on(p, dest) && S_ISREG(dest->st.st_mode);
    int r = mounted ? 0 : clear(p, dest, err);
    if (r < 0)
        return r;
    _close_ int fd = mounted ? open_mounted(dest)
                             : openat(dest->dirfd, dest->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail_sys(p, "openat", err);
    r = put_data(p, fd, err);
    return r < 0 ? r : dress(p, fd, err);
}

static int put_link(struct place *p, const struct copy_dest *dest, box_error **err)
{
    int r = clear(p, dest, err);

    if (r < 0)
        return r;
    if (symlinkat(p->entry.link, dest->dirfd, dest->name) < 0)
        return fail_sys(p, "symlinkat", err);
    return dress_node(p, dest, S_IFLNK, err);
}

/* The source is another entry of the archive, and so below the directory. */
static int put_hard_link(struct place *p, const struct copy_dest *dest, box_error **err)
{
    _copy_dest_ struct copy_dest from = COPY_DEST_NONE;
    char name[PATH_MAX], path[PATH_MAX], fd_path[48];
    struct stat st;
    int r = clean_name(p, p->entry.link, name, err);

    if (r == 0)
        r = full_path(p, name, path, err);
    if (r == 0)
        r = copy_dest_find(p->tree, path, &from, err);
    if (r < 0)
        return r;
    _close_ int fd = from.here ? openat(from.dirfd, from.name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
        return fail_entry(p, BOX_EPARSE, err, "the file that it is a hard link to is not there");
    if (dest->here && dest->st.st_ino == st.st_ino && dest->st.st_dev == st.st_dev)
        return 0;
    if ((r = clear(p, dest, err)) < 0)
        return r;
    snprintf(fd_path, sizeof(fd_path), "/proc/thread-self/fd/%d", fd);
    return linkat(AT_FDCWD, fd_path, dest->dirfd, dest->name, AT_SYMLINK_FOLLOW) < 0 ? fail_sys(p, "linkat", err) : 0;
}

static int put_node(struct place *p, const struct copy_dest *dest, box_error **err)
{
    const mode_t type = p->entry.type == BOX_TAR_FIFO ? S_IFIFO : p->entry.type == BOX_TAR_CHAR ? S_IFCHR : S_IFBLK;
    int r;

    if (type != S_IFIFO && (geteuid() != 0 || (p->tree->host && !(p->flags & BOX_COPY_ARCHIVE))))
        return 0; /* a device that only root may make, and nobody asked for */
    if (type == S_IFCHR && p->entry.rdev == 0)
        return fail_entry(p, BOX_EPARSE, err, "the device 0/0 would be a whiteout");
    if ((r = clear(p, dest, err)) < 0)
        return r;
    if (mknodat(dest->dirfd, dest->name, type | 0600, p->entry.rdev) < 0)
        return fail_sys(p, "mknodat", err);
    return dress_node(p, dest, type, err);
}

static int put_entry(struct place *p, box_error **err)
{
    _copy_dest_ struct copy_dest dest = COPY_DEST_NONE;
    int r = full_path(p, p->name, p->path, err);

    if (r == 0)
        r = copy_dest_find(p->tree, p->path, &dest, err);
    if (r < 0)
        return r;
    switch (p->entry.type) {
    case BOX_TAR_DIRECTORY:
        return put_directory(p, &dest, err);
    case BOX_TAR_FILE:
        return put_file(p, &dest, err);
    case BOX_TAR_SYMLINK:
        return put_link(p, &dest, err);
    case BOX_TAR_HARDLINK:
        return put_hard_link(p, &dest, err);
    case BOX_TAR_CHAR:
    case BOX_TAR_BLOCK:
    case BOX_TAR_FIFO:
        return put_node(p, &dest, err);
    default:
        return 0;
    }
}

/* ---- The stream ---- */

static int put_all(struct place *p, box_error **err)
{
    int r;

    while ((r = box_tar_next(p->tar, &p->entry, err)) == 1) {
        if (++p->entries > p->limits.entries)
            return box_fail(err, BOX_ELIMIT, "the archive has more than %llu entries",
                            (unsigned long long)p->limits.entries);
        if (p->entry.mtime.tv_nsec < 0 || p->entry.mtime.tv_nsec > 999999999)
            p->entry.mtime.tv_nsec = 0;
        snprintf(p->name, sizeof(p->name), "%s", p->entry.path);
        r = clean_name(p, p->entry.path, p->name, err);
        if (r == 0 && (p->entry.uid < 0 || p->entry.uid > 4294967294 || p->entry.gid < 0 || p->entry.gid > 4294967294))
            r = fail_entry(p, BOX_EPARSE, err, "its owner is no pair of ids");
        if (r == 0 && *p->name) /* the directory itself stays as it is */
            r = put_entry(p, err);
        if (r < 0)
            return r;
    }
    return r;
}

static int check_directory(struct place *p, box_error **err)
{
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    int r = copy_find(p->tree, p->directory, true, &spot, err);

    if (r == 0 && !S_ISDIR(spot.st.st_mode))
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = p->directory}, "%s is no directory",
                          p->directory);
    if (r == 0 && p->tree->root.readonly)
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EPERMISSION, .subject = p->directory},
                          p->tree->root.overlay ? "container rootfs is marked read-only"
                                                : "mounted volume is marked read-only");
    return r;
}

int copy_place(const struct copy_tree *tree, const char *path, struct box_source *stream, unsigned flags,
               box_error **err)
{
    struct place *p = calloc(1, sizeof(*p));

    if (!p)
        return box_fail_nomem(err);
    p->tree = tree;
    p->flags = flags;
    p->directory = path;
    p->limits = box_image_limits_or_default(NULL);
    int r = check_directory(p, err);
    if (r == 0)
        r = box_tar_open(stream, p->limits.header_bytes, &p->tar, err);
    if (r == 0)
        r = put_all(p, err);
    int settled = settle(p, 0, r < 0 ? NULL : err);
    box_tar_free(p->tar);
    free(p->made);
    free(p);
    return r < 0 ? r : settled;
}
