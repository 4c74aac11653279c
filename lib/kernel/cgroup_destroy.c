/* Removing a cgroup, in all its hierarchies.
 *
 * Children first, since the container may have made cgroups of its own, to any depth: no recursion and one
 * fd, going down by name without following links and back up by "..", which in a cgroup file system always is
 * the parent. The kernel refuses with EBUSY for a moment after the last process died, so each refusal is
 * tried again until the deadline. */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The name of the first child. 1 found, 0 none, -errno. */
static int first_child(int dirfd, char name[256])
{
    int fd = cgroup_open_at(dirfd, ".", O_RDONLY | O_DIRECTORY);
    _closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        int r = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, 256, "%s", entry->d_name);
        return 1;
    }
    return 0;
}

/* Removes an empty directory, waiting while the kernel says that it is busy. */
static int remove_one(int dirfd, const char *name, struct cgroup_wait *wait)
{
    while (unlinkat(dirfd, name, AT_REMOVEDIR) < 0) {
        if (errno == ENOENT || errno == ENODEV)
            return 0;
        if (errno != EBUSY)
            return -errno;
        if (!cgroup_nap(wait))
            return -EBUSY;
    }
    return 0;
}

/* Goes up and removes what it came from: it has no children any more. */
static int go_up(int *at, struct cgroup_wait *wait)
{
    int parent = openat(*at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char name[256];
    int r;

    if (parent < 0)
        return -errno;
    close(*at);
    *at = parent;
    r = first_child(parent, name);
    return r == 1 ? remove_one(parent, name, wait) : r;
}

/* Removes everything below a cgroup. */
static int remove_children(int topfd, struct cgroup_wait *wait)
{
    _close_ int at = cgroup_open_at(topfd, ".", O_PATH | O_DIRECTORY);
    int depth = 0, r = at < 0 ? at : 0;

    while (r == 0) {
        char name[256];
        int found = first_child(at, name);

        /* Short of memory or descriptors: most cgroups have no children, and the kernel says if this one has. */
        if (depth == 0 && (found == -ENOMEM || found == -EMFILE || found == -ENFILE))
            return 0;
        if (found < 0 && found != -ENOENT)
            return found;
        if (found == 1) {
            if (unlinkat(at, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
                continue;
            if (errno != EBUSY)
                return -errno;

            int child = cgroup_open_at(at, name, O_PATH | O_DIRECTORY);

            if (child == -ENOENT)
                continue;
            if (child < 0)
                return child;
            close(at);
            at = child;
            depth++;
        } else if (depth == 0) {
            return 0;
        } else {
            r = go_up(&at, wait);
            depth--;
        }
    }
    return r;
}

/* Whether the name still means our directory, and not one that was made after ours was removed. */
static bool is_same(int parent, const char *name, int fd)
{
    struct stat now, ours;

    return fstatat(parent, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &ours) == 0 &&
           now.st_ino == ours.st_ino && now.st_dev == ours.st_dev;
}

static int remove_dir(const struct cgroup_dir *dir, struct cgroup_wait *wait)
{
    int r = remove_children(dir->fd, wait);
    const char *name = strrchr(dir->directory, '/') + 1;
    _close_ int parent = -1;

    if (r < 0)
        return r == -ENOENT || r == -ENODEV ? 0 : r;
    parent = openat(dir->fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == ENOENT ? 0 : -errno;
    return is_same(parent, name, dir->fd) ? remove_one(parent, name, wait) : 0;
}

static int fail_busy(box_cgroup *cgroup, const struct cgroup_dir *dir, box_error **err)
{
    _free_ pid_t *pids = NULL;
    size_t count = 0;
    struct box_fail_info info = {.code = BOX_EBUSY,
                                 .errnum = EBUSY,
                                 .call = "rmdir",
                                 .subject = dir->directory,
                                 .remedy = "end its processes first: box_cgroup_kill()"};

    if (box_cgroup_pids(cgroup, &pids, &count, NULL) == 0 && count > 0)
        return box_fail_with(err, &info, "the cgroup still holds %zu processes, such as %d", count,
                             (int)pids[0]);
    return box_fail_with(err, &info, "the kernel still holds the cgroup");
}

int box_cgroup_destroy(box_cgroup *cgroup, int timeout_ms, box_error **err)
{
    struct cgroup_wait wait = cgroup_wait_for(timeout_ms);
    int first = 0;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    /* A failure in one hierarchy does not keep the others. */
    for (int i = 0; i < cgroup->count; i++) {
        const struct cgroup_dir *dir = &cgroup->dir[i];
        bool root = strchr(dir->directory + 1, '/') == NULL || dir->path[1] == '\0';
        int r = root ? -EBUSY : remove_dir(dir, &wait);

        wait.nap_ns = CGROUP_NAP_FIRST;
        if (r == 0 || first)
            continue;
        if (r == -EBUSY)
            first = fail_busy(cgroup, dir, err);
        else
            first = cgroup_fail(err, dir, "", r, NULL, "remove the cgroup");
    }
    return first;
}
