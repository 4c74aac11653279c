/* Where an entry goes: the directory that holds it, and what is still to be done to directories.
 *
 * An archive lists a directory and then what is in it, mostly. The directory at hand stays open, so that most
 * entries need no walk. Writing into a directory changes its time, and a read-only one could not be written
 * into at all, so mode and time are set when the archive goes on elsewhere: those directories are a chain
 * from the outside in, as long as the path is deep, whatever the archive holds. A directory that is found
 * again later is put back as it was. */
#include "image/unpack_parts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/resolve.h"

/* ---- What is pending ---- */

static bool is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return n == 0 || (strncmp(path, dir, n) == 0 && (path[n] == '/' || path[n] == '\0'));
}

static int open_dir(const struct unpack *u, const char *path)
{
    if (*path)
        return box_resolve(u->rootfd, path, O_RDONLY | O_DIRECTORY, 0);
    int fd = openat(u->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* A directory that was replaced meanwhile is another one, and left alone. */
static int settle_one(struct unpack *u, const struct unpack_pending *p, box_error **err)
{
    const struct timespec times[2] = {p->mtime, p->mtime};
    _close_ int fd = open_dir(u, p->path);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != p->dev || st.st_ino != p->ino)
        return 0;
    if (fchmod(fd, p->mode) < 0)
        return unpack_fail_sys(u, "fchmod", err, "cannot set the mode of directory \"%s\"", p->path);
    if (futimens(fd, times) < 0)
        return unpack_fail_sys(u, "futimens", err, "cannot set the time of directory \"%s\"", p->path);
    return 0;
}

int unpack_settle(struct unpack *u, const char *path, box_error **err)
{
    int r = 0;

    while (r == 0 && u->n_pending > 0) {
        struct unpack_pending *last = &u->pending[u->n_pending - 1];
        if (path && is_below(path, last->path))
            break;
        r = settle_one(u, last, err);
        free(last->path);
        u->n_pending--;
    }
    return r;
}

void unpack_forget(struct unpack *u)
{
    for (size_t i = 0; i < u->n_pending; i++)
        free(u->pending[i].path);
    free(u->pending);
    box_buffer_free(&u->implicit);
    box_cleanup_close(&u->parentfd);
}

static int put_pending(struct unpack *u, const char *path, const struct stat *st, mode_t mode,
                       struct timespec mtime, box_error **err)
{
    struct unpack_pending *last = u->n_pending ? &u->pending[u->n_pending - 1] : NULL;

    if (!last || strcmp(last->path, path) != 0) {
        char *copy = strdup(path);
        last = copy ? box_array_add(&u->pending, &u->n_pending, &u->pending_capacity) : NULL;
        if (!last) {
            free(copy);
            return box_fail_nomem(err);
        }
        last->path = copy;
    }
    last->dev = st->st_dev;
    last->ino = st->st_ino;
    last->mode = mode;
    last->mtime = mtime;
    return 0;
}

/* ---- The directory at hand ---- */

static int take(struct unpack *u, const char *name, int fd, gid_t gid)
{
    u->parent_gid = gid;
    box_cleanup_close(&u->parentfd);
    u->parentfd = fd;
    u->stale = false;
    snprintf(u->parent, sizeof(u->parent), "%s", name);
    return 0;
}

int unpack_enter(struct unpack *u, const char *name, int fd, mode_t mode, struct timespec mtime,
                 box_error **err)
{
    struct stat st;
    int r = unpack_settle(u, name, err);

    if (r == 0 && fstat(fd, &st) < 0)
        r = unpack_fail_sys(u, "fstat", err, "cannot look at a directory");
    if (r == 0)
        r = put_pending(u, name, &st, mode, mtime, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    return take(u, name, fd, st.st_gid);
}

int unpack_flush_implicit(struct unpack *u, box_error **err)
{
    if (!box_buffer_ok(&u->implicit))
        return box_fail_nomem(err);
    if (u->implicit.length && box_write_all(u->how->implicitfd, u->implicit.data, u->implicit.length) < 0)
        return unpack_fail_sys(u, "write", err, "cannot write down a directory that is not listed");
    box_buffer_clear(&u->implicit);
    return 0;
}

int unpack_note_implicit(struct unpack *u, ino_t ino, const char *path, box_error **err)
{
    if (u->how->implicitfd < 0 || (!path && !u->has_implicit))
        return 0;
    u->has_implicit = true;
    box_buffer_printf(&u->implicit, "%c%llu %s", path ? '+' : '-', (unsigned long long)ino, path ? path : "");
    box_buffer_append(&u->implicit, "", 1);
    return u->implicit.length < (64u << 10) ? 0 : unpack_flush_implicit(u, err);
}

/* Makes a directory that the archive did not list, in the one at hand. */
static int make_missing(struct unpack *u, const char *path, box_error **err)
{
    const struct box_resolve_make how = {0755, 0644, u->how->privileged ? 0 : (unsigned)-1,
                                         u->how->privileged ? 0 : (unsigned)-1};
    struct box_resolve_made made = {0};
    char room[BOX_RESOLVE_PATH];
    const char *slash = strrchr(path, '/');
    const char *leaf = slash ? slash + 1 : path;
    bool whiteout = false;
    struct stat st;
    int r;

    if (fstatat(u->parentfd, leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 && unpack_is_whiteout(&st) &&
        (r = unpack_clear(u, u->parentfd, leaf, &whiteout, err)) < 0)
        return r;
    made.path = room;
    made.path_size = sizeof(room);
    int fd = box_resolve_mkdirs(u->rootfd, path, &how, 0, &made); /* a dangling link's target is made */
    if (fd < 0)
        return unpack_fail_walk(u, fd, path, err);
    close(fd);
    u->record->entries += made.count;
    _close_ int dir = open_dir(u, path);
    if (dir < 0)
        return unpack_fail_walk(u, dir, path, err);
    if (whiteout)
        return unpack_set_opaque(u, dir, err);
    if (made.count == 0)
        return 0;
    return fstat(dir, &st) < 0 ? unpack_fail_sys(u, "fstat", err, "cannot look at a directory")
                               : unpack_note_implicit(u, st.st_ino, room, err);
}

/* Makes a directory that is there the one at hand; fd, of it, is the callee's. */
static int enter_open(struct unpack *u, const char *path, int fd, box_error **err)
{
    struct stat st;
    int r;

    if ((r = unpack_settle(u, path, err)) < 0 || fstat(fd, &st) < 0) {
        close(fd);
        return r < 0 ? r : unpack_fail_sys(u, "fstat", err, "cannot look at directory \"%s\"", path);
    }
    /* If it is not pending, it has its final mode and time now: they are put back afterwards. */
    const struct unpack_pending *last = u->n_pending ? &u->pending[u->n_pending - 1] : NULL;
    if (!last || strcmp(last->path, path) != 0 || last->ino != st.st_ino || last->dev != st.st_dev)
        r = put_pending(u, path, &st, st.st_mode & 07777, st.st_mtim, err);
    if (r < 0) {
        close(fd);
        return r;
    }
    return take(u, path, fd, st.st_gid);
}

static bool is_at_hand(const struct unpack *u, const char *path)
{
    return u->parentfd >= 0 && !u->stale && strcmp(u->parent, path) == 0;
}

/* Makes a directory the one at hand, and makes those on the way that are missing, each from its parent, so that the
 * parent's time is kept. A loop: the archive decides how many there are, and a thread's stack is small. */
static int enter(struct unpack *u, const char *path, box_error **err)
{
    char at[PATH_MAX];
    int fd, r = 0;

    if (is_at_hand(u, path))
        return 0;
    snprintf(at, sizeof(at), "%s", path);
    while (((fd = open_dir(u, at)) == -ENOENT || fd == -ENOTDIR) && *at) {
        char *slash = strrchr(at, '/');
        at[slash ? slash - at : 0] = '\0';
    }
    for (;;) {
        if (fd < 0)
            return unpack_fail_walk(u, fd, at, err);
        if (is_at_hand(u, at))
            close(fd);
        else
            r = enter_open(u, at, fd, err);
        size_t length = strlen(at);
        if (r < 0 || !path[length])
            return r;
        length += length > 0; /* the slash */
        length += strcspn(path + length, "/");
        snprintf(at, sizeof(at), "%.*s", (int)length, path);
        if ((r = make_missing(u, at, err)) < 0)
            return r;
        fd = open_dir(u, at);
    }
}

int unpack_enter_parent(struct unpack *u, const char **leaf, box_error **err)
{
    char above[PATH_MAX];
    const char *slash = strrchr(u->name, '/');

    snprintf(above, sizeof(above), "%.*s", (int)(slash ? slash - u->name : 0), u->name);
    *leaf = slash ? slash + 1 : u->name;
    return enter(u, above, err);
}
