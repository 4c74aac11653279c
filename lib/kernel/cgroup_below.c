/* From a cgroup to one below it: where a process that joins a container later shall be, and whose path comes from
 * whoever starts that process. Built against a path that leads out: it is walked by descriptor from the cgroup that it
 * is below, one name at a time, without "..", and without following a link. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"

/* Beside v1 the unified hierarchy holds no limits, and few who make groups below a container's make one there. */
static bool may_stay(const struct cgroup_dir *dir, unsigned controllers)
{
    return !controllers && dir->v2 && !(dir->controllers & ~(unsigned)BOX_CONTROLLER_UNIFIED);
}

static int descend_in(struct cgroup_dir *dir, const char *path, unsigned controllers, box_error **err)
{
    _close_ int fd = cgroup_walk(dir->fd, path, O_RDONLY | O_DIRECTORY);

    if (fd == -ENOENT && may_stay(dir, controllers))
        return 0;
    if (fd < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = fd == -ENOENT ? BOX_ENOTFOUND : 0, .errnum = -fd, .call = "openat",
                                                     .subject = path, .remedy = "make it below the container's cgroup first"},
                             "no such cgroup below %s", dir->directory);
    char *below = box_strf("%s/%s", strcmp(dir->path, "/") == 0 ? "" : dir->path, path);
    char *directory = box_strf("%s/%s", dir->directory, path);
    if (!below || !directory) {
        free(below);
        free(directory);
        return box_fail_nomem(err);
    }
    free(dir->path);
    free(dir->directory);
    close(dir->fd);
    dir->path = below;
    dir->directory = directory;
    dir->fd = box_take_fd(&fd);
    return 0;
}

int cgroup_descend(box_cgroup *cgroup, const char *path, unsigned controllers, box_error **err)
{
    bool any = false;
    int r = 0;

    path += strspn(path, "/");
    if (*path && (r = cgroup_check_path(path, err)) < 0)
        return r;
    for (int i = 0; i < cgroup->count && r >= 0; i++) {
        struct cgroup_dir *dir = &cgroup->dir[i];
        if (controllers && !(dir->controllers & controllers))
            continue;
        any = true;
        r = *path ? descend_in(dir, path, controllers, err) : 0;
    }
    if (r >= 0 && !any)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = path},
                             "the container has no cgroup of this controller");
    return r;
}
