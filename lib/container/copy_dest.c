/* Where an entry of an archive goes.
 *
 * In a tree that is there (a container that runs, a directory of the host's) the resolver gives the directory. In a
 * union that is not mounted, a path is looked up through the layers, and what is on the way is brought into the
 * writable layer as overlay would have done: a directory with the owner, mode, time and attributes that it has
 * below. */
#include "container/copy.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include "base/file.h"
#include "base/strings.h"

void copy_dest_close(struct copy_dest *dest)
{
    box_cleanup_close(&dest->dirfd);
    dest->dirfd = -1;
}

void copy_root_ids(const struct copy_tree *tree, uid_t *uid, gid_t *gid)
{
    uint32_t u = 0, g = 0;

    *uid = (uid_t)-1;
    *gid = (gid_t)-1;
    if (geteuid() != 0 || tree->host)
        return; /* what an ordinary user makes is theirs, which is what the container's root is too */
    if (tree->root.idmap && (!box_idmap_to_outside(tree->root.idmap, BOX_IDMAP_UID, 0, &u) ||
                             !box_idmap_to_outside(tree->root.idmap, BOX_IDMAP_GID, 0, &g)))
        return;
    *uid = u;
    *gid = g;
}

/* ---- Into the writable layer ---- */

static int copy_attributes(int from, int to, box_error **err)
{
    ssize_t size = flistxattr(from, NULL, 0);
    _free_ char *names = size > 0 ? malloc((size_t)size) : NULL;

    if (size <= 0)
        return 0;
    if (!names)
        return box_fail_nomem(err);
    size = flistxattr(from, names, (size_t)size);
    for (const char *name = names; size > 0 && name < names + size; name += strlen(name) + 1) {
        char value[4096];
        if (!box_after_prefix(name, "user.") || box_after_prefix(name, "user.overlay."))
            continue;
        ssize_t n = fgetxattr(from, name, value, sizeof(value));
        if (n >= 0)
            (void)fsetxattr(to, name, value, (size_t)n, 0);
    }
    return 0;
}

/* Makes the directory `name` in `parent`, of the writable layer, as it is in `from`, of a layer below. */
static int bring_up(int parent, const char *name, int from, box_error **err)
{
    struct stat st;

    if (fstat(from, &st) < 0)
        return box_fail_sys(err, "fstat", name, "cannot look at \"%s\"", name);
    if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
        return box_fail_sys(err, "mkdirat", name, "cannot make \"%s\" in the writable layer", name);
    _close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (fd < 0)
        return box_fail_sys(err, "openat", name, "cannot open \"%s\" in the writable layer", name);
    int r = copy_attributes(from, fd, err);
    if (r == 0 && ((geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) < 0) || fchmod(fd, st.st_mode & 07777) < 0 ||
                   futimens(fd, times) < 0))
        r = box_fail_sys(err, "fchmod", name, "cannot dress \"%s\" in the writable layer", name);
    return r;
}

int copy_dest_directory(const struct copy_tree *tree, const char *path, box_error **err)
{
    const struct box_layer_fds *layers = &tree->root.layers;
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    _strv_ char **names = box_strv_split(path, '/');
    _close_ int at = openat(layers->fds[0], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = names ? box_union_root(layers->fds, layers->n, &dir, err) : box_fail_nomem(err);

    if (r == 0 && at < 0)
        r = box_fail_sys(err, "open", NULL, "cannot open the writable layer");
    for (size_t i = 0; r >= 0 && names[i]; i++) {
        struct box_union_dir child = BOX_UNION_DIR_NONE;
        struct stat st;
        size_t part;
        if (!*names[i])
            continue;
        r = box_union_look(&dir, names[i], &part, &st, err);
        if (r == 1)
            r = box_union_enter(&dir, names[i], part, &child, err);
        if (r != 1)
            return r < 0 ? r : copy_not_found(path, err);
        if (fstatat(at, names[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
            r = bring_up(at, names[i], child.fds[0], err);
        box_union_dir_close(&dir);
        dir = child;
        int next = r < 0 ? -1 : openat(at, names[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (r >= 0 && next < 0)
            r = box_fail_sys(err, "openat", names[i], "cannot open \"%s\" in the writable layer", names[i]);
        if (next >= 0) {
            close(at);
            at = next;
        }
    }
    return r < 0 ? r : box_take_fd(&at);
}

/* ---- Finding ---- */

static int split(const char *path, char above[PATH_MAX], char name[BOX_RESOLVE_NAME], box_error **err)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;

    if (strlen(last) >= BOX_RESOLVE_NAME || strlen(path) >= PATH_MAX)
        return box_fail(err, BOX_ELIMIT, "the name is too long: \"%s\"", path);
    snprintf(above, PATH_MAX, "%.*s", (int)(slash ? slash - path : 0), path);
    box_text_copy(name, BOX_RESOLVE_NAME, last);
    return 0;
}

static int find_live(const struct copy_tree *tree, const char *path, struct copy_dest *dest, box_error **err)
{
    char above[PATH_MAX];
    uid_t uid;
    gid_t gid;
    int rootfd = tree->root.layers.fds[0];
    int r = split(path, above, dest->name, err);

    if (r < 0)
        return r;
    dest->dirfd = box_resolve(rootfd, *above ? above : ".", O_PATH | O_DIRECTORY, 0);
    if (dest->dirfd == -ENOENT) {
        copy_root_ids(tree, &uid, &gid);
        const struct box_resolve_make how = {0755, 0644, uid, gid};
        dest->dirfd = box_resolve_mkdirs(rootfd, above, &how, 0, NULL);
    }
    if (dest->dirfd < 0) {
        int result = dest->dirfd;
        dest->dirfd = -1;
        return box_fail_resolve(err, result, above, "cannot open the directory \"%s\"", above);
    }
    dest->exists = fstatat(dest->dirfd, dest->name, &dest->st, AT_SYMLINK_NOFOLLOW) == 0;
    dest->here = dest->exists;
    return dest->exists || errno == ENOENT ? 0
                                           : box_fail_sys(err, "fstatat", path, "cannot look at \"%s\"", path);
}

/* Makes a directory that is nowhere in the union. */
static int make_missing(const struct copy_tree *tree, const char *path, box_error **err)
{
    _copy_dest_ struct copy_dest dest = COPY_DEST_NONE;
    uid_t uid;
    gid_t gid;
    int r = copy_dest_find(tree, path, &dest, err);

    if (r < 0 || (dest.exists && S_ISDIR(dest.st.st_mode)))
        return r;
    if (dest.exists)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "\"/%s\" is no directory", path);
    copy_root_ids(tree, &uid, &gid);
    if (dest.hidden && unlinkat(dest.dirfd, dest.name, 0) < 0)
        return box_fail_sys(err, "unlinkat", path, "cannot take a whiteout away");
    if (mkdirat(dest.dirfd, dest.name, 0700) < 0)
        return box_fail_sys(err, "mkdirat", path, "cannot make \"/%s\"", path);
    _close_ int fd = openat(dest.dirfd, dest.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchown(fd, uid, gid) < 0 || fchmod(fd, 0755) < 0)
        return box_fail_sys(err, "fchmod", path, "cannot make \"/%s\"", path);
    if (dest.hidden)
        (void)(fsetxattr(fd, "trusted.overlay.opaque", "y", 1, 0) < 0 &&
               fsetxattr(fd, "user.overlay.opaque", "y", 1, 0) < 0);
    return 0;
}

/* From the top down, so that each has a parent. */
static int make_all_missing(const struct copy_tree *tree, const char *path, box_error **err)
{
    const struct box_layer_fds *layers = &tree->root.layers;
    int r = 0;

    for (size_t i = 1; r == 0 && path[i - 1]; i++) {
        char prefix[PATH_MAX], real[PATH_MAX];
        struct stat st;
        if (path[i] != '/' && path[i] != '\0')
            continue;
        snprintf(prefix, sizeof(prefix), "%.*s", (int)i, path);
        if (box_union_resolve(layers->fds, layers->n, prefix, true, real, &st, NULL) == BOX_ENOTFOUND)
            r = make_missing(tree, *real ? real : prefix, err);
    }
    return r;
}

static int find_union(const struct copy_tree *tree, const char *path, struct copy_dest *dest, box_error **err)
{
    const struct box_layer_fds *layers = &tree->root.layers;
    char above[PATH_MAX], real[PATH_MAX];
    struct stat st;
    box_error *why = NULL;
    int r = split(path, above, dest->name, err);

    if (r < 0)
        return r;
    r = box_union_resolve(layers->fds, layers->n, above, true, real, &st, &why);
    if (r == BOX_ENOTFOUND && *above) {
        box_error_free(why);
        why = NULL;
        r = make_all_missing(tree, above, err);
        if (r < 0)
            return r;
        r = box_union_resolve(layers->fds, layers->n, above, true, real, &st, &why);
    }
    if (r < 0) {
        if (err)
            *err = why;
        else
            box_error_free(why);
        return r;
    }
    if (!S_ISDIR(st.st_mode))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = above},
                             "\"/%s\" is no directory", real);
    dest->dirfd = copy_dest_directory(tree, real, err);
    if (dest->dirfd < 0)
        return dest->dirfd;
    if (snprintf(dest->path, sizeof(dest->path), "%s%s%s", real, *real ? "/" : "", dest->name) >= (int)sizeof(dest->path))
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    dest->here = fstatat(dest->dirfd, dest->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    dest->hidden = dest->here && box_is_whiteout(&st);
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    size_t part;
    r = box_union_walk(layers->fds, layers->n, real, &dir, err);
    if (r == 1)
        r = box_union_look(&dir, dest->name, &part, &dest->st, err);
    dest->exists = r == 1;
    return r < 0 ? r : 0;
}

int copy_dest_find(const struct copy_tree *tree, const char *path, struct copy_dest *dest, box_error **err)
{
    *dest = COPY_DEST_NONE;
    return tree->root.live ? find_live(tree, path, dest, err) : find_union(tree, path, dest, err);
}
