/* Making the directory of a cgroup in one hierarchy.
 *
 * Mostly the parents are there and one mkdirat(2) does it; otherwise the path is gone down step by step,
 * making what is missing, on v1 cpuset also filling in the CPUs that the kernel leaves empty. On v2 the
 * controllers come afterwards: when those of the new cgroup are not all that is wanted, each directory above
 * it is told to hand them down. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

void cgroup_blame(struct cgroup_blame *b, int errnum, const struct cgroup_mount *mount, const char *path,
                  size_t length)
{
    if (b->errnum)
        return;
    b->errnum = errnum;
    if (asprintf(&b->directory, "%s%.*s", mount->mountpoint, (int)length, path) < 0)
        b->directory = NULL;
}

/* ---- directories ---- */

void cgroup_unmake(int mountfd, char *path, int made)
{
    for (; made > 0; made--) {
        unlinkat(mountfd, path + 1, AT_REMOVEDIR);
        *strrchr(path, '/') = '\0';
    }
}

/* A new v1 cpuset is empty, and no process can enter one that is. */
static int fill_cpuset(int parent, int child)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};

    for (size_t i = 0; i < BOX_ARRAY(files); i++) {
        _free_ char *own = NULL, *inherited = NULL;
        int r = cgroup_read(child, files[i], &own);

        if (r == 0 && own[strspn(own, " \n")] != '\0')
            continue;
        if (r == 0)
            r = cgroup_read(parent, files[i], &inherited);
        if (r == 0 && inherited[strspn(inherited, " \n")] != '\0')
            r = cgroup_write(child, files[i], inherited);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool is_v1_cpuset(const struct cgroup_mount *mount)
{
    return !mount->v2 && mount->controllers & BOX_CONTROLLER_CPUSET;
}

/* One step down: makes the directory when it is missing and readies it. Returns its fd or -errno. */
static int step_down(const struct cgroup_mount *mount, int at, const char *name, bool last, bool *made)
{
    int r = mkdirat(at, name, 0755) < 0 ? -errno : 0;

    *made = r == 0;
    /* Being refused to make what is there already is no failure, unless it has to be new. */
    if (r < 0 && (last || (r != -EEXIST && faccessat(at, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)))
        return r;

    _close_ int next = cgroup_open_at(at, name, O_DIRECTORY | (last ? O_RDONLY : O_PATH));

    r = next < 0 ? next : is_v1_cpuset(mount) ? fill_cpuset(at, next) : 0;
    return r < 0 ? r : box_take_fd(&next);
}

/* Goes down the path, making what is missing. *made counts the components that are new, also on failure,
 * where *end is the length of the path up to the last of them. */
static int make_steps(const struct cgroup_mount *mount, int mountfd, const char *path, int *made, size_t *end)
{
    _close_ int at = cgroup_open_at(mountfd, ".", O_PATH | O_DIRECTORY);
    const char *s = path;

    while (at >= 0) {
        size_t length = strcspn(++s, "/");
        bool last = s[length] == '\0', is_new;
        char name[256];
        int next;

        memcpy(name, s, length);
        name[length] = '\0';
        next = step_down(mount, at, name, last, &is_new);
        if (is_new) {
            (*made)++;
            *end = (size_t)(s - path) + length;
        }
        if (next < 0 || last)
            return next;
        close(at);
        at = next;
        s += length;
    }
    return at;
}

static int make_path(const struct cgroup_mount *mount, int mountfd, const char *path, int *made)
{
    _free_ char *copy = strdup(path);
    size_t end = 0;
    int fd;

    *made = 0;
    if (!copy)
        return -ENOMEM;
    fd = make_steps(mount, mountfd, path, made, &end);
    if (fd < 0) {
        copy[end] = '\0';
        cgroup_unmake(mountfd, copy, *made);
        *made = 0;
    }
    return fd;
}

/* The parents are there: a cgroup file system has no links, so the path can be given as a whole. -ENOENT
 * otherwise. */
static int make_last(int mountfd, const char *path, int *made)
{
    int fd;

    *made = 0;
    if (mkdirat(mountfd, path + 1, 0755) < 0)
        return -errno;
    fd = cgroup_open_at(mountfd, path + 1, O_RDONLY | O_DIRECTORY);
    if (fd < 0)
        unlinkat(mountfd, path + 1, AT_REMOVEDIR);
    *made = fd >= 0;
    return fd;
}

int cgroup_make(const struct cgroup_mount *mount, int mountfd, const char *path, int *made)
{
    int fd = is_v1_cpuset(mount) ? -ENOENT : make_last(mountfd, path, made);

    /* Again when a parent vanished under us: another thread took back what it had made. */
    for (int try = 0; try < 8 && (fd == -ENOENT || fd == -ENODEV); try++)
        fd = make_path(mount, mountfd, path, made);
    return fd;
}

/* ---- v2's controllers ---- */

/* Lets a directory hand controllers down to its children, as far as that can be. Returns 0 or the -errno of
 * the first that could not be. */
static int hand_down_one(int dirfd, unsigned wanted)
{
    unsigned missing =
        wanted & ~(unsigned)CGROUP_V2_ALWAYS & ~cgroup_v2_read_mask(dirfd, "cgroup.subtree_control");
    char all[256] = "";
    size_t used = 0;
    int first = 0;

    missing &= missing ? cgroup_v2_read_mask(dirfd, "cgroup.controllers") : 0;
    if (!missing)
        return 0;
    /* The kernel takes some controllers even so, and then no process can enter the children. */
    if (cgroup_v2_has_processes(dirfd))
        return -EBUSY;
    for (unsigned bit = 1; bit <= BOX_CONTROLLER_UNIFIED; bit <<= 1) {
        if (missing & bit)
            used += (size_t)snprintf(all + used, sizeof(all) - used, "+%s ", box_controller_name(bit));
    }
    if (cgroup_write(dirfd, "cgroup.subtree_control", all) == 0)
        return 0;
    for (unsigned bit = 1; bit <= BOX_CONTROLLER_UNIFIED; bit <<= 1) {
        char one[32];

        if (!(missing & bit))
            continue;
        snprintf(one, sizeof(one), "+%s", box_controller_name(bit));
        int r = cgroup_write(dirfd, "cgroup.subtree_control", one);
        first = first ? first : r;
    }
    return first;
}

void cgroup_hand_down(const struct cgroup_mount *mount, int mountfd, const char *path, unsigned wanted,
                      struct cgroup_blame *why)
{
    _close_ int at = cgroup_open_at(mountfd, ".", O_PATH | O_DIRECTORY);

    for (const char *s = path; at >= 0 && *s;) {
        size_t length = strcspn(++s, "/");
        int r = hand_down_one(at, wanted), next;
        char name[256];

        if (r < 0)
            cgroup_blame(why, -r, mount, path, (size_t)(s - path) - 1);
        memcpy(name, s, length);
        name[length] = '\0';
        next = cgroup_open_at(at, name, O_PATH | O_DIRECTORY);
        close(at);
        at = next;
        s += length;
    }
}
