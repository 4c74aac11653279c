/* Handing a cgroup to an ordinary user, and using one that was handed to us. See cgroups(7), "Delegating a
 * hierarchy". */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* What a kernel without /sys/kernel/cgroup/delegate (before 4.15) has. */
static const char first_delegate[] = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

static int give(int dirfd, const char *file, uid_t uid, gid_t gid)
{
    if (fchownat(dirfd, file, uid, gid, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    /* The list names the files of every controller; those that are not enabled here have none. */
    return errno == ENOENT ? 0 : -errno;
}

static int give_files(const struct cgroup_dir *dir, char *list, uid_t uid, gid_t gid, box_error **err)
{
    for (char *file; (file = cgroup_next_line(&list));) {
        int r = strchr(file, '/') ? 0 : give(dir->fd, file, uid, gid);

        if (r < 0)
            return cgroup_fail(err, dir, file, r, NULL, "hand the cgroup to the user");
    }
    if (fchown(dir->fd, uid, gid) < 0)
        return cgroup_fail(err, dir, "", -errno, NULL, "hand the cgroup to the user");
    return 0;
}

int box_cgroup_delegate(box_cgroup *cgroup, uid_t uid, gid_t gid, box_error **err)
{
    bool any = false;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    for (int i = 0; i < cgroup->count; i++) {
        const struct cgroup_dir *dir = &cgroup->dir[i];
        bool named = !dir->v2 && dir->controllers == BOX_CONTROLLER_SYSTEMD;
        _free_ char *list = NULL;

        if (!dir->v2 && !named)
            continue;
        if (named)
            list = strdup("cgroup.procs\ntasks\n");
        else if (cgroup_read(AT_FDCWD, "/sys/kernel/cgroup/delegate", &list) < 0)
            list = strdup(first_delegate);
        if (!list)
            return box_fail_nomem(err);

        int r = give_files(dir, list, uid, gid, err);

        if (r < 0)
            return r;
        any = true;
    }
    if (any)
        return 0;
    return box_fail_with(
        err,
        &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                .remedy = "boot with cgroup v2: systemd.unified_cgroup_hierarchy=1"},
        "v1 controllers cannot be delegated safely, and the cgroup is in no v2 hierarchy");
}

/* ---- room in our own ---- */

static const struct cgroup_mount *v2_mount(const box_cgroup_host *host)
{
    for (int i = 0; i < host->count; i++) {
        if (host->mount[i].v2)
            return &host->mount[i];
    }
    return NULL;
}

/* Moves all that is there. Children of a process that was moved before are born in the new place. */
static int move_processes(int fromfd, int leaf)
{
    for (int round = 0; round < 64; round++) {
        _free_ char *text = NULL;
        int r = cgroup_read(fromfd, "cgroup.procs", &text);

        if (r < 0 || text[0] == '\0')
            return r;
        for (char *cursor = text, *pid; (pid = cgroup_next_line(&cursor));) {
            r = cgroup_write(leaf, "cgroup.procs", pid);
            if (r < 0 && r != -ESRCH)
                return r;
        }
    }
    return -EBUSY;
}

static int fail_room(box_error **err, const char *base, int r)
{
    bool refused = r == -EACCES || r == -EPERM || r == -EROFS;

    return box_fail_with(
        err,
        &(struct box_fail_info){.code = refused ? BOX_EPERMISSION : 0,
                                .errnum = -r,
                                .subject = *base ? base : "/",
                                .remedy = refused ? "run the program in a cgroup that is handed over "
                                                    "to it: systemd-run --user --scope -p "
                                                    "Delegate=yes PROGRAM"
                                                  : NULL},
        "make room in our own cgroup");
}

int box_cgroup_host_make_room(const box_cgroup_host *given, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *own = given ? NULL : box_cgroup_host_new(err);
    const box_cgroup_host *host = given ? given : own;
    const struct cgroup_mount *mount = host ? v2_mount(host) : NULL;
    _close_ int mountfd = -1, base = -1, leaf = -1;
    _free_ char *path = NULL;

    if (!host)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    if (!mount || !mount->own)
        return box_fail(err, BOX_EUNSUPPORTED, "we are in no cgroup v2 hierarchy that is mounted here");

    int r = cgroup_mount_path(mount, "", &path, err);

    if (r < 0)
        return r;
    mountfd = cgroup_mount_open(mount);
    base = mountfd < 0 ? mountfd : cgroup_walk(mountfd, path, O_RDONLY | O_DIRECTORY);
    if (base < 0)
        return fail_room(err, path, base);
    if (!cgroup_v2_has_processes(base))
        return 0;
    if (mkdirat(base, CGROUP_HOST_LEAF, 0755) < 0 && errno != EEXIST)
        return fail_room(err, path, -errno);
    leaf = cgroup_open_at(base, CGROUP_HOST_LEAF, O_PATH | O_DIRECTORY);
    r = leaf < 0 ? leaf : move_processes(base, leaf);
    return r < 0 ? fail_room(err, path, r) : 0;
}
