/* The mount object, by the new API. Public face: libbox/mount.h.
 *
 * Order: made detached (mount_fs.c, mount_overlay.c, or a clone of a tree here); attributes and id map set
 * while nobody can see it; moved onto the target's descriptor; propagation last, because moving a mount below
 * a shared one makes it shared too. */
#include "kernel/mount.h"

#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "base/resolve.h"
#include "kernel/mount_sys.h"

#define ATTRIBUTES                                                                                  \
    (BOX_MOUNT_ATTR_RDONLY | BOX_MOUNT_ATTR_NOSUID | BOX_MOUNT_ATTR_NODEV | BOX_MOUNT_ATTR_NOEXEC | \
     BOX_MOUNT_ATTR_ATIME | BOX_MOUNT_ATTR_NODIRATIME | BOX_MOUNT_ATTR_NOSYMFOLLOW)

box_mount *box_mount_alloc(box_error **err)
{
    box_mount *mount = calloc(1, sizeof(*mount));

    if (!mount) {
        box_fail_nomem(err);
        return NULL;
    }
    mount->fd = mount->source_fd = -1;
    mount->is_dir = true;
    return mount;
}

void box_mount_free(box_mount *mount)
{
    if (!mount)
        return;
    box_cleanup_close(&mount->fd);
    box_cleanup_close(&mount->source_fd);
    box_overlay_fds_free(mount->overlay);
    free(mount->changes);
    free(mount->type);
    free(mount->source);
    free(mount->data);
    free(mount);
}

int box_mount_fd(const box_mount *mount)
{
    return mount->fd;
}

bool box_mount_have_new_api(void)
{
    /* A size below the first version's is EINVAL, before any look at privileges. The newest of the calls
     * stands for all. */
    return k_mount_setattr(-1, "", 0, NULL, 0) < 0 && errno == EINVAL;
}

/* ---- Making
 * ------------------------------------------------------------------------------------------------- */

static int fail_clone(box_error **err)
{
    const char *remedy = NULL;

    if (errno == EINVAL)
        remedy = "the source may be in another mount namespace, unbindable, or (in a user namespace) hold "
                 "mounts that "
                 "only BOX_MOUNT_RECURSIVE can take along";
    else if (errno == EPERM)
        remedy = "needs CAP_SYS_ADMIN in the mount namespace's user namespace";
    return box_fail_with(err, &(struct box_fail_info){.errnum = errno, .call = "open_tree", .remedy = remedy},
                         "cannot make a bind mount");
}

static int clone_old(int source_fd, unsigned flags, box_mount *m, box_error **err)
{
    m->old_api = true;
    m->kind = BOX_OLD_BIND;
    m->recursive = flags & BOX_MOUNT_RECURSIVE;
    m->source_fd = fcntl(source_fd, F_DUPFD_CLOEXEC, 3);
    return m->source_fd < 0 ? box_fail_sys(err, "fcntl", NULL, "make a bind mount") : 0;
}

int box_mount_clone(int source_fd, unsigned flags, box_mount **mount, box_error **err)
{
    _cleanup_(box_mount) box_mount *m = box_mount_alloc(err);
    unsigned recursive = flags & BOX_MOUNT_RECURSIVE ? K_AT_RECURSIVE : 0;
    struct stat st;
    int r = 0;

    if (!m)
        return BOX_ENOMEM;
    if (fstat(source_fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "make a bind mount of descriptor %d", source_fd);
    if (S_ISLNK(st.st_mode))
        return box_fail(err, BOX_EINVAL, "a symbolic link cannot be mounted");
    m->is_dir = S_ISDIR(st.st_mode);
    if ((flags & BOX_MOUNT_OLD_API) || !box_mount_have_new_api()) {
        r = clone_old(source_fd, flags, m, err);
    } else {
        m->fd =
            k_open_tree(source_fd, "", K_OPEN_TREE_CLONE | K_OPEN_TREE_CLOEXEC | K_AT_EMPTY_PATH | recursive);
        if (m->fd < 0)
            r = fail_clone(err);
    }
    if (r == 0)
        *mount = box_take(m);
    return r;
}

/* ---- Dressing
 * ----------------------------------------------------------------------------------------------- */

int box_mount_keep_change(box_mount *mount, struct box_mount_change change, box_error **err)
{
    struct box_mount_change *grown =
        reallocarray(mount->changes, mount->n_changes + 1, sizeof(*mount->changes));

    if (!grown)
        return box_fail_nomem(err);
    mount->changes = grown;
    grown[mount->n_changes++] = change;
    return 0;
}

static int new_change(int fd, const struct box_mount_change *c, box_error **err)
{
    const struct k_mount_attr attr = {
        .attr_set = c->set, .attr_clr = c->clear, .propagation = c->propagation};

    if (k_mount_setattr(fd, "", K_AT_EMPTY_PATH | (c->recursive ? K_AT_RECURSIVE : 0), &attr, sizeof(attr)) ==
        0)
        return 0;
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = errno,
                                .call = "mount_setattr",
                                .remedy = errno == EPERM
                                              ? "in a user namespace, attributes that came with the mount "
                                                "cannot be taken off"
                                          : errno == EBUSY ? "files below are open for writing"
                                                           : NULL},
        c->propagation ? "cannot set a mount's propagation" : "cannot set a mount's attributes");
}

static int change(box_mount *mount, struct box_mount_change c, box_error **err)
{
    if (!mount->attached && (mount->old_api || c.propagation))
        return box_mount_keep_change(mount, c, err);
    return mount->old_api ? box_mount_old_change(mount->fd, &c, err) : new_change(mount->fd, &c, err);
}

int box_mount_set_attr(box_mount *mount, uint64_t set, uint64_t clear, bool recursive, box_error **err)
{
    if ((set | clear) & ~ATTRIBUTES)
        return box_fail(err, BOX_EINVAL, "mount attributes: %#llx",
                        (unsigned long long)((set | clear) & ~ATTRIBUTES));
    if ((set & BOX_MOUNT_ATTR_ATIME) == BOX_MOUNT_ATTR_ATIME)
        return box_fail(err, BOX_EINVAL, "more than one way of keeping access times");
    /* They are one value in three bits: the kernel takes all or none. */
    if ((set | clear) & BOX_MOUNT_ATTR_ATIME)
        clear |= BOX_MOUNT_ATTR_ATIME;
    if (set == 0 && clear == 0)
        return 0;
    return change(mount, (struct box_mount_change){.recursive = recursive, .set = set, .clear = clear}, err);
}

int box_mount_set_propagation(box_mount *mount, enum box_mount_propagation propagation, bool recursive,
                              box_error **err)
{
    static const unsigned long flags[] = {
        [BOX_MOUNT_PRIVATE] = MS_PRIVATE,
        [BOX_MOUNT_SLAVE] = MS_SLAVE,
        [BOX_MOUNT_SHARED] = MS_SHARED,
        [BOX_MOUNT_UNBINDABLE] = MS_UNBINDABLE,
    };

    if (propagation < BOX_MOUNT_PRIVATE || propagation > BOX_MOUNT_UNBINDABLE)
        return box_fail(err, BOX_EINVAL, "%d is no kind of propagation", (int)propagation);
    return change(mount, (struct box_mount_change){.recursive = recursive, .propagation = flags[propagation]},
                  err);
}

static int fail_idmap(box_error **err)
{
    if (errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                    .errnum = errno,
                                    .call = "mount_setattr",
                                    .remedy = "ext4, XFS and btrfs can since Linux 5.15, tmpfs since "
                                              "6.3; or change the owners of the files"},
            "this file system cannot be mounted with an id map");
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = errno,
                                .call = "mount_setattr",
                                .remedy = "needs CAP_SYS_ADMIN over the file system's user namespace, "
                                          "a mount without an id map, and a user namespace with one"},
        "cannot set a mount's id map");
}

int box_mount_set_idmap(box_mount *mount, int userns_fd, bool recursive, box_error **err)
{
    const struct k_mount_attr attr = {.attr_set = BOX_ATTR_IDMAP, .userns_fd = (uint64_t)userns_fd};

    if (mount->old_api)
        return box_fail(err, BOX_EUNSUPPORTED, "mount(2) cannot set an id map");
    if (mount->attached)
        return box_fail(err, BOX_ESTATE, "a mount that is in place cannot be given an id map");
    if (userns_fd < 0)
        return box_fail(err, BOX_EINVAL, "descriptor %d of a user namespace", userns_fd);
    if (k_mount_setattr(mount->fd, "", K_AT_EMPTY_PATH | (recursive ? K_AT_RECURSIVE : 0), &attr,
                        sizeof(attr)) < 0)
        return fail_idmap(err);
    return 0;
}

static enum box_mount_propagation propagation_of(unsigned long ms)
{
    return ms == MS_SHARED    ? BOX_MOUNT_SHARED
           : ms == MS_SLAVE   ? BOX_MOUNT_SLAVE
           : ms == MS_PRIVATE ? BOX_MOUNT_PRIVATE
                              : BOX_MOUNT_UNBINDABLE;
}

int box_mount_apply_options(box_mount *mount, const struct box_mount_options *o, bool fresh, box_error **err)
{
    int r = 0;

    /* The tree first, so that the mount's own attributes may differ. */
    if (o->rec_attr_set | o->rec_attr_clear)
        r = box_mount_set_attr(mount, o->rec_attr_set, o->rec_attr_clear, true, err);
    if (r == 0 && !fresh)
        r = box_mount_set_attr(mount, o->attr_set, o->attr_clear, false, err);
    if (r == 0 && o->propagation)
        r = box_mount_set_propagation(mount, propagation_of(o->propagation), o->propagation_rec, err);
    if (r == 0 && o->propagation_then)
        r = box_mount_set_propagation(mount, propagation_of(o->propagation_then), o->propagation_then_rec,
                                      err);
    return r;
}

static int check_not_for_dressing(const struct box_mount_options *o, box_error **err)
{
    const char *name = o->n_params    ? o->params[0].key
                       : o->remount   ? "remount"
                       : o->tmpcopyup ? "tmpcopyup"
                       : o->idmap     ? "idmap"
                                      : NULL;

    if (!name)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = name},
                         "not an option of a mount that exists");
}

int box_mount_set_options(box_mount *mount, const char *options, box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options o;
    int r = box_mount_options_parse(options, &o, err);

    if (r == 0)
        r = check_not_for_dressing(&o, err);
    return r < 0 ? r : box_mount_apply_options(mount, &o, false, err);
}

/* ---- Putting in place
 * --------------------------------------------------------------------------------------- */

static int check_target(const box_mount *mount, int target_fd, box_error **err)
{
    struct stat st;

    if (mount->attached)
        return box_fail(err, BOX_ESTATE, "the mount is in place already");
    if (fstat(target_fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "mount on descriptor %d", target_fd);
    /* The kernel would mount a file over the link itself, and whoever follows it would miss the mount. */
    if (S_ISLNK(st.st_mode))
        return box_fail(err, BOX_EESCAPE, "the target of a mount is a symbolic link");
    if (S_ISDIR(st.st_mode) != mount->is_dir)
        return box_fail_with(err, &(struct box_fail_info){.errnum = mount->is_dir ? ENOTDIR : EISDIR},
                             mount->is_dir ? "a directory cannot be mounted on a file"
                                           : "a file cannot be mounted on a directory");
    return 0;
}

static int new_attach(box_mount *mount, int target_fd, box_error **err)
{
    if (k_move_mount(mount->fd, "", target_fd, "", K_MOVE_MOUNT_F_EMPTY | K_MOVE_MOUNT_T_EMPTY) == 0)
        return 0;
    return box_fail_with(err,
                         &(struct box_fail_info){.errnum = errno,
                                                 .call = "move_mount",
                                                 .remedy = errno == EINVAL
                                                               ? "the target must be in the caller's mount "
                                                                 "namespace"
                                                               : NULL},
                         "cannot put a mount in place");
}

int box_mount_attach(box_mount *mount, int target_fd, box_error **err)
{
    int r = check_target(mount, target_fd, err);

    if (r < 0)
        return r;
    r = mount->old_api ? box_mount_old_attach(mount, target_fd, err) : new_attach(mount, target_fd, err);
    if (r < 0)
        return r;
    mount->attached = true;
    for (size_t i = 0; i < mount->n_changes && r == 0; i++)
        r = change(mount, mount->changes[i], err);
    /* Half dressed (writable, say) is worse than not there. */
    if (r < 0 && box_mount_detach(mount->fd, NULL) == 0)
        mount->attached = false;
    return r;
}

static int fail_resolve(int r, const char *path, box_error **err)
{
    return box_fail_with(err,
                         &(struct box_fail_info){.code = r == -EXDEV || r == -ELOOP ? BOX_EESCAPE : 0,
                                                 .errnum = -r,
                                                 .subject = path},
                         "cannot reach the target of a mount");
}

int box_mount_attach_in(box_mount *mount, int root_fd, const char *path, box_error **err)
{
    char resolved[BOX_RESOLVE_PATH];
    struct box_resolve_made made = {.path = resolved, .path_size = sizeof(resolved)};
    _close_ int target = box_resolve_target(root_fd, path, mount->is_dir, NULL, 0, &made);

    if (target < 0)
        return fail_resolve(target, path, err);
    int r = box_mount_attach(mount, target, err);
    if (r < 0) {
        box_resolve_unmake(root_fd, &made);
        return box_fail_wrap(err, r, "mount %s", path);
    }
    return 0;
}

int box_mount_detach(int fd, box_error **err)
{
    char path[BOX_FD_PATH_SIZE];

    if (umount2(box_mount_fd_path(fd, path), MNT_DETACH) == 0)
        return 0;
    return box_fail_with(
        err,
        &(struct box_fail_info){.code = errno == EINVAL ? BOX_EINVAL : 0, .errnum = errno, .call = "umount2"},
        errno == EINVAL ? "the descriptor is not the root of a mount of this mount namespace, or that "
                          "mount is locked to the one above it"
                        : "cannot unmount");
}
