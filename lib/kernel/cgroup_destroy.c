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

#define STEPS_FREE 100000 /* before the deadline is looked at */
#define DOTS(name) ((name)[0] == '.' && ((name)[1] == '\0' || ((name)[1] == '.' && (name)[2] == '\0')))

/* The name of the first child. 1 found, 0 none, -errno. By getdents64(2) itself, since opendir(3) takes
 * memory: removing has to work when there is none. */
static int first_child(int dirfd, char name[256])
{
    _close_ int fd = cgroup_open_at(dirfd, ".", O_RDONLY | O_DIRECTORY);
    _Alignas(struct dirent64) char entries[4096];
    ssize_t n;

    if (fd < 0)
        return fd;
    while ((n = getdents64(fd, entries, sizeof(entries))) > 0) {
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const struct dirent64 *)(entries + at);

            at += entry->d_reclen;
            if (entry->d_type != DT_DIR || DOTS(entry->d_name))
                continue;
            snprintf(name, 256, "%s", entry->d_name);
            return 1;
        }
    }
    return n < 0 ? -errno : 0;
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

/* Goes up and removes what it came from, which has no children any more: when the kernel says that it is
 * busy, that is a process that is still dying. Whatever is left is met again on the way down. */
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
    if (r == 1)
        r = unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno == EBUSY && !cgroup_nap(wait) ? -EBUSY : 0;
    return r;
}

/* Removes everything below a cgroup. A process that goes on making new ones does not keep us past the
 * deadline, but however short that is, what was there is removed. */
static int remove_children(int topfd, struct cgroup_wait *wait)
{
    _close_ int at = cgroup_open_at(topfd, ".", O_PATH | O_DIRECTORY);
    int depth = 0, r = at < 0 ? at : 0;

    for (unsigned steps = 0; r == 0; steps++) {
        char name[256];
        int found = first_child(at, name);

        if (steps >= STEPS_FREE && steps % 64 == 0 && box_deadline_passed(wait->deadline))
            return -EBUSY;
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
static bool is_same(int fd, const char *name)
{
    struct stat now, ours;

    return fstatat(fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && fstat(fd, &ours) == 0 &&
           now.st_ino == ours.st_ino && now.st_dev == ours.st_dev;
}

/* By "../NAME": takes no fd, so that a host that has none left can still remove what it made. */
static int remove_dir(const struct cgroup_dir *dir, struct cgroup_wait *wait)
{
    char name[264];
    int r;

    snprintf(name, sizeof(name), "..%s", strrchr(dir->directory, '/'));
    if (!is_same(dir->fd, name) || unlinkat(dir->fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
        return 0;
    if (errno != EBUSY)
        return -errno;
    r = remove_children(dir->fd, wait);
    if (r < 0)
        return r == -ENOENT || r == -ENODEV ? 0 : r;
    return remove_one(dir->fd, name, wait);
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
