/* One entry of an archive, put on disk below the directory at hand, by descriptors alone. */
#include "image/unpack_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/resolve.h"
#include "base/strings.h"

/* ---- What all kinds have ---- */

static int set_xattrs(struct unpack *u, int fd, box_error **err)
{
    const char *name;
    const void *value;
    size_t size;

    while (box_tar_xattr(u->tar, &name, &value, &size)) {
        if (!name || !unpack_keeps_xattr(u, name) || fsetxattr(fd, name, value, size, 0) == 0)
            continue;
        /* A file system without such attributes is no reason to fail; one that loses a capability is. */
        if (errno == EOPNOTSUPP && box_after_prefix(name, "user."))
            continue;
        if (errno == ERANGE || errno == E2BIG)
            return unpack_fail(u, BOX_ELIMIT, err, "the extended attribute \"%s\" is too long", name);
        return unpack_fail_sys(u, "fsetxattr", err, "cannot set the extended attribute \"%s\"", name);
    }
    return 0;
}

/* Whether what was just made in the directory at hand belongs to another than the archive says. A new file's group
 * is the process's, or, by set-group-id or a mount option, the directory's: where both are root's, and the archive
 * says root as well, as it mostly does, there is nothing to change. */
static bool is_others(const struct unpack *u)
{
    return u->how->privileged && !(u->as_root && u->parent_gid == 0 && u->entry.uid == 0 && u->entry.gid == 0);
}

/* Owner, attributes, mode and time, in this order: a change of owner takes set-uid bits and capabilities
 * away. */
static int set_file_metadata(struct unpack *u, int fd, box_error **err)
{
    const struct timespec times[2] = {unpack_mtime(u), unpack_mtime(u)};
    int r;

    if (is_others(u) && fchown(fd, (uid_t)u->entry.uid, (gid_t)u->entry.gid) < 0)
        return unpack_fail_sys(u, "fchown", err, "cannot set the owner");
    if ((r = set_xattrs(u, fd, err)) < 0)
        return r;
    if (fchmod(fd, u->entry.mode) < 0)
        return unpack_fail_sys(u, "fchmod", err, "cannot set the mode");
    return futimens(fd, times) < 0 ? unpack_fail_sys(u, "futimens", err, "cannot set the time") : 0;
}

/* The same for what cannot be opened. Nobody but us is in this directory, so its names mean what we made. */
static int set_node_metadata(struct unpack *u, const char *leaf, box_error **err)
{
    const struct timespec times[2] = {unpack_mtime(u), unpack_mtime(u)};

    if (is_others(u) &&
        fchownat(u->parentfd, leaf, (uid_t)u->entry.uid, (gid_t)u->entry.gid, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_fail_sys(u, "fchownat", err, "cannot set the owner");
    if (u->entry.type != BOX_TAR_SYMLINK && fchmodat(u->parentfd, leaf, u->entry.mode, 0) < 0)
        return unpack_fail_sys(u, "fchmodat", err, "cannot set the mode");
    if (utimensat(u->parentfd, leaf, times, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_fail_sys(u, "utimensat", err, "cannot set the time");
    return 0;
}

/* ---- What stood there before ---- */

static void count_tree(int dirfd, const char *name, uint64_t *count, unsigned depth)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    ++*count;
    if (!dir)
        box_cleanup_close(&fd);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (e->d_type == DT_DIR && depth > 0)
            count_tree(fd, e->d_name, count, depth - 1);
        else
            ++*count;
    }
    if (dir)
        closedir(dir);
}

int unpack_clear(struct unpack *u, int dirfd, const char *leaf, bool *whiteout, box_error **err)
{
    struct stat st;
    uint64_t count = 1;

    *whiteout = false;
    if (fstatat(dirfd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0
                               : unpack_fail_sys(u, "fstatat", err, "cannot look at what is there already");
    *whiteout = unpack_is_whiteout(&st);
    u->stale = true;
    if (S_ISDIR(st.st_mode)) {
        count = 0;
        count_tree(dirfd, leaf, &count, u->how->limits->path_depth);
        int r = box_remove_tree(dirfd, leaf, err);
        if (r < 0)
            return unpack_about(u, r, err);
    } else if (unlinkat(dirfd, leaf, 0) < 0) {
        return unpack_fail_sys(u, "unlinkat", err, "cannot replace what is there already");
    }
    u->record->entries -= count < u->record->entries ? count : u->record->entries;
    return 0;
}

/* Tries again once after what is in the way was taken away. */
static bool in_the_way(struct unpack *u, const char *leaf, int *r, box_error **err)
{
    bool whiteout;

    if (errno != EEXIST)
        return false;
    *r = unpack_clear(u, u->parentfd, leaf, &whiteout, err);
    return *r == 0;
}

/* ---- Files ---- */

static int write_piece(struct unpack *u, int fd, const char *data, size_t length, uint64_t at,
                       box_error **err)
{
    int r = unpack_count_piece(u, at, length, err);

    if (r < 0)
        return r;
    while (length > 0) {
        ssize_t n = pwrite(fd, data, length, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return unpack_fail_sys(u, "pwrite", err, "cannot write the file");
        data += n;
        length -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

static int write_data(struct unpack *u, int fd, box_error **err)
{
    uint64_t end = 0, at = 0;
    const void *data = NULL;
    size_t length = 0;
    int r;

    while ((r = box_tar_data(u->tar, &data, &length, &at, err)) > 0) {
        r = unpack_tick(u, err);
        if (r == 0)
            r = write_piece(u, fd, data, length, at, err);
        if (r < 0)
            return r;
        end = at + length > end ? at + length : end;
    }
    if (r < 0)
        return unpack_about(u, r, err);
    if (end < u->entry.size && ftruncate(fd, (off_t)u->entry.size) < 0)
        return unpack_fail_sys(u, "ftruncate", err, "cannot make a file of %llu bytes",
                               (unsigned long long)u->entry.size);
    return 0;
}

static int make_file(struct unpack *u, const char *leaf, box_error **err)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int r = unpack_check_size(u, err);

    if (r < 0)
        return r;
    _close_ int fd = openat(u->parentfd, leaf, flags, 0600);
    if (fd < 0 && in_the_way(u, leaf, &r, err))
        fd = openat(u->parentfd, leaf, flags, 0600);
    if (r < 0)
        return r;
    if (fd < 0)
        return unpack_fail_sys(u, "openat", err, "cannot make the file");
    u->record->entries++;
    r = write_data(u, fd, err);
    return r < 0 ? r : set_file_metadata(u, fd, err);
}

/* ---- Directories ---- */

int unpack_set_opaque(struct unpack *u, int dirfd, box_error **err)
{
    /* Only the one that overlay will look at. In a trusted overlay the other is an attribute like all others: seen in
     * the container, and copied up with a directory that nobody made opaque. */
    if (fsetxattr(dirfd, u->how->privileged ? "trusted.overlay.opaque" : "user.overlay.opaque", "y", 1, 0) == 0)
        return 0;
    return unpack_fail_sys(u, "fsetxattr", err,
                           u->how->privileged ? "cannot make a directory opaque"
                                              : "the store's file system has no user attributes, which opaque "
                                                "directories need");
}

static mode_t directory_mode(const struct unpack *u)
{
    /* Whoever cannot override modes could neither fill nor remove a directory without these. */
    return u->entry.mode | (u->how->privileged ? 0 : 0700);
}

static int set_directory_metadata(struct unpack *u, int fd, box_error **err)
{
    if (u->how->privileged && fchown(fd, (uid_t)u->entry.uid, (gid_t)u->entry.gid) < 0)
        return unpack_fail_sys(u, "fchown", err, "cannot set the owner");
    return set_xattrs(u, fd, err);
}

static int make_directory(struct unpack *u, const char *leaf, box_error **err)
{
    bool whiteout = false, existed = false;
    struct stat st;
    int r = 0;

    if (mkdirat(u->parentfd, leaf, 0700) < 0) {
        if (errno != EEXIST || fstatat(u->parentfd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return unpack_fail_sys(u, "mkdirat", err, "cannot make the directory");
        existed = S_ISDIR(st.st_mode);
        if (!existed) {
            r = unpack_clear(u, u->parentfd, leaf, &whiteout, err);
            if (r < 0)
                return r;
            if (mkdirat(u->parentfd, leaf, 0700) < 0)
                return unpack_fail_sys(u, "mkdirat", err, "cannot make the directory");
            u->record->entries++;
        }
    } else {
        u->record->entries++;
    }
    int fd = openat(u->parentfd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return unpack_fail_sys(u, "openat", err, "cannot open the directory");
    r = whiteout ? unpack_set_opaque(u, fd, err) : 0;
    if (r == 0 && existed)
        r = unpack_note_implicit(u, st.st_ino, NULL, err);
    if (r == 0)
        r = set_directory_metadata(u, fd, err);
    if (r == 0)
        return unpack_enter(u, u->name, fd, directory_mode(u), unpack_mtime(u), err);
    close(fd);
    return r;
}

/* "." or "/": the layer's own directory. */
static int make_root(struct unpack *u, box_error **err)
{
    if (u->entry.type != BOX_TAR_DIRECTORY)
        return unpack_fail(u, BOX_EPARSE, err, "the entry for the root is no directory");
    int fd = openat(u->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return unpack_fail_sys(u, "openat", err, "cannot open the layer's directory");
    int r = set_directory_metadata(u, fd, err);
    if (r == 0)
        return unpack_enter(u, "", fd, directory_mode(u), unpack_mtime(u), err);
    close(fd);
    return r;
}

/* ---- Links and nodes ---- */

static int make_symlink(struct unpack *u, const char *leaf, box_error **err)
{
    int r = 0;

    if ((r = unpack_check_target(u, err)) < 0)
        return r;
    int made = symlinkat(u->entry.link, u->parentfd, leaf);
    if (made < 0 && in_the_way(u, leaf, &r, err))
        made = symlinkat(u->entry.link, u->parentfd, leaf);
    if (r < 0)
        return r;
    if (made < 0)
        return unpack_fail_sys(u, "symlinkat", err, "cannot make the symbolic link");
    u->record->entries++;
    return set_node_metadata(u, leaf, err);
}

static int make_hardlink(struct unpack *u, const char *leaf, box_error **err)
{
    char source[BOX_RESOLVE_NAME];
    struct stat st, old;

    int checked = unpack_check_source(u, err);

    if (checked < 0)
        return checked;
    _close_ int dirfd = box_resolve_parent(u->rootfd, u->entry.link, source, 0);
    if (dirfd < 0)
        return unpack_fail_source(u, dirfd, err);
    if (fstatat(dirfd, source, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_fail_source(u, -errno, err);
    if (S_ISDIR(st.st_mode) || unpack_is_whiteout(&st))
        return unpack_fail(u, BOX_EPARSE, err, "the hard link's source \"%s\" is a %s", u->entry.link,
                           S_ISDIR(st.st_mode) ? "directory" : "whiteout");
    int made = linkat(dirfd, source, u->parentfd, leaf, 0);
    if (made < 0 && errno == EEXIST) {
        bool whiteout;
        if (fstatat(u->parentfd, leaf, &old, AT_SYMLINK_NOFOLLOW) == 0 && old.st_dev == st.st_dev &&
            old.st_ino == st.st_ino)
            return 0; /* a link to itself */
        int r = unpack_clear(u, u->parentfd, leaf, &whiteout, err);
        if (r < 0)
            return r;
        made = linkat(dirfd, source, u->parentfd, leaf, 0);
    }
    if (made < 0)
        return unpack_fail_sys(u, "linkat", err, "cannot make the hard link to \"%s\"", u->entry.link);
    u->record->entries++;
    return 0;
}

static int make_node(struct unpack *u, const char *leaf, box_error **err)
{
    const bool device = u->entry.type != BOX_TAR_FIFO;
    const mode_t type = u->entry.type == BOX_TAR_CHAR    ? S_IFCHR
                        : u->entry.type == BOX_TAR_BLOCK ? S_IFBLK
                                                         : S_IFIFO;
    int r = 0;

    if ((r = unpack_check_node(u, err)) < 0)
        return r;
    if (device && !u->how->privileged)
        return 0;
    int made = mknodat(u->parentfd, leaf, type | 0600, device ? u->entry.rdev : 0);
    if (made < 0 && in_the_way(u, leaf, &r, err))
        made = mknodat(u->parentfd, leaf, type | 0600, device ? u->entry.rdev : 0);
    if (r < 0)
        return r;
    if (made < 0)
        return unpack_fail_sys(u, "mknodat", err, "cannot make the %s", device ? "device node" : "FIFO");
    u->record->entries++;
    return set_node_metadata(u, leaf, err);
}

/* ---- Whiteouts ---- */

static int make_opaque(struct unpack *u, box_error **err)
{
    if (u->parent[0])
        return unpack_set_opaque(u, u->parentfd, err);
    u->record->opaque = true; /* overlay knows no opaque roots: whoever mounts leaves out what lies below */
    return 0;
}

static int make_whiteout(struct unpack *u, const char *name, box_error **err)
{
    struct stat st;

    int r = unpack_check_hidden(u, name, err);

    if (r < 0)
        return r;
    if (mknodat(u->parentfd, name, S_IFCHR, 0) == 0) {
        u->record->entries++;
        return 0;
    }
    if (errno != EEXIST || fstatat(u->parentfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return unpack_fail_sys(u, "mknodat", err, "cannot make a whiteout");
    if (!S_ISDIR(st.st_mode))
        return 0; /* what this layer has hides what lies below by itself */
    _close_ int fd = openat(u->parentfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? unpack_fail_sys(u, "openat", err, "cannot open a directory")
                  : unpack_set_opaque(u, fd, err);
}

/* Where this layer has no directory in the place of the whiteout's, there is nothing below for it to hide:
 * tools that compare trees write such marks beside a file that took the place of a directory. */
static bool is_moot(const struct unpack *u)
{
    char above[PATH_MAX];
    const char *slash = strrchr(u->name, '/');

    if (!slash)
        return false;
    snprintf(above, sizeof(above), "%.*s", (int)(slash - u->name), u->name);
    int fd = box_resolve(u->rootfd, above, O_PATH | O_DIRECTORY, 0);
    if (fd >= 0)
        close(fd);
    return fd == -ENOTDIR;
}

static int hide(struct unpack *u, const char *hidden, box_error **err)
{
    const char *leaf;

    if (is_moot(u))
        return 0;
    int r = unpack_enter_parent(u, &leaf, err);
    if (r < 0)
        return r;
    if (strcmp(leaf, UNPACK_OPAQUE_MARKER) == 0)
        return make_opaque(u, err);
    /* Other names of this kind are the marks of a file system that is no more. */
    return box_after_prefix(hidden, UNPACK_WHITEOUT_PREFIX) ? 0 : make_whiteout(u, hidden, err);
}

/* ---- All of it ---- */

int unpack_entry(struct unpack *u, box_error **err)
{
    const char *leaf, *hidden = unpack_hidden_name(u);
    int r = unpack_check_owner(u, err);

    if (r < 0)
        return r;
    if (!*u->name)
        return make_root(u, err);
    if (hidden)
        return hide(u, hidden, err);
    r = unpack_enter_parent(u, &leaf, err);
    if (r < 0)
        return r;
    switch (u->entry.type) {
    case BOX_TAR_FILE:
        return make_file(u, leaf, err);
    case BOX_TAR_DIRECTORY:
        return make_directory(u, leaf, err);
    case BOX_TAR_SYMLINK:
        return make_symlink(u, leaf, err);
    case BOX_TAR_HARDLINK:
        return make_hardlink(u, leaf, err);
    case BOX_TAR_CHAR:
    case BOX_TAR_BLOCK:
    case BOX_TAR_FIFO:
        return make_node(u, leaf, err);
    case BOX_TAR_OTHER:
        break;
    }
    return unpack_fail(u, BOX_EUNSUPPORTED, err, "an entry of a kind that layers do not have");
}
