/* Before an exec joins a container: whose process it is that the run file names (CVE-2022-31214).
 *
 * The payload is hostile and may have made namespaces of its own; a run file may name a process that has nothing to do
 * with the container. So the user namespace of the process must be the one that the spec asks for: our own, the one
 * that the spec names, or a child of ours that our user owns. It is looked at here, and by the stage once more after it
 * has joined: who has left a user namespace cannot come back, so what is right after the join was right during it. */
#include "container/container.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libbox/namespace.h>

BOX_CLEANUP(box_namespace, box_namespace_free);

static int refuse(const box_container *c, const char *why, box_error **err)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EESCAPE, .subject = c->name},
                         "container %s cannot be joined: its first process is in %s", c->name, why);
}

/* One that was made for the container: a child of ours, and nobody else's. */
static int check_made(const box_container *c, const box_namespace *its, const box_namespace *own, box_error **err)
{
    _cleanup_(box_namespace) box_namespace *parent = NULL;
    uid_t uid = 0;

    if (box_namespace_same(its, own))
        return refuse(c, "the host's user namespace", err);
    if (box_namespace_owner(its, &parent, NULL) < 0 || !box_namespace_same(parent, own))
        return refuse(c, "a user namespace that the container was not given", err);
    if (box_namespace_owner_uid(its, &uid, NULL) < 0 || uid != geteuid())
        return refuse(c, "a user namespace of another user's", err);
    return 0;
}

static int check(const box_container *c, const box_namespace *its, box_error **err)
{
    const struct spec_namespace *wanted = &c->spec->namespaces[SPEC_NS_USER];
    _cleanup_(box_namespace) box_namespace *own = NULL, *named = NULL;
    int r;

    if (wanted->present && wanted->fd >= 0) /* a descriptor of the caller's: its number says nothing to others */
        return 0;
    if (wanted->present && wanted->path) {
        r = box_namespace_open_path(BOX_NAMESPACE_USER, wanted->path, &named, err);
        if (r < 0)
            return r;
        return box_namespace_same(its, named) ? 0 : refuse(c, "another user namespace than the one that the spec names", err);
    }
    if ((r = box_namespace_open_self(BOX_NAMESPACE_USER, &own, err)) < 0)
        return r;
    if (wanted->present)
        return check_made(c, its, own, err);
    return box_namespace_same(its, own) ? 0 : refuse(c, "a user namespace that the container was not given", err);
}

/* Whatever namespaces were made for the container: a process that shares one of them with us is not of it. */
static int check_apart(const box_container *c, box_error **err)
{
    static const char *const files[SPEC_NS_KINDS] = {
        [SPEC_NS_MOUNT] = "mnt", [SPEC_NS_PID] = "pid",   [SPEC_NS_NETWORK] = "net",   [SPEC_NS_IPC] = "ipc",
        [SPEC_NS_UTS] = "uts",   [SPEC_NS_USER] = "user", [SPEC_NS_CGROUP] = "cgroup", [SPEC_NS_TIME] = "time",
    };
    char path[48], its[64], own[64];

    for (int kind = 0; kind < SPEC_NS_KINDS; kind++) {
        const struct spec_namespace *ns = &c->spec->namespaces[kind];
        if (!ns->present || ns->path || ns->fd >= 0)
            continue;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)c->run.pid, files[kind]);
        ssize_t n = readlink(path, its, sizeof(its));
        snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", files[kind]);
        ssize_t m = readlink(path, own, sizeof(own));
        if (n < 0 || m < 0)
            return box_fail_sys(err, "readlink", path, "look at the container's namespaces");
        if (n == m && memcmp(its, own, (size_t)n) == 0)
            return refuse(c, "the host's namespaces", err);
    }
    return 0;
}

int container_check_join(box_container *c, char *expected, size_t size, int *link, box_error **err)
{
    _cleanup_(box_namespace) box_namespace *its = NULL;
    uint64_t device, inode;
    char path[40];
    int r;

    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)c->run.pid);
    /* The link itself: what it says is asked of the process each time, and it leads to no directory. */
    _close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || (r = check_apart(c, err)) < 0 || (r = box_namespace_open_path(BOX_NAMESPACE_USER, path, &its, err)) < 0)
        return fd < 0 ? box_fail_sys(err, "open", path, "look at the container's user namespace") : r;
    if (!container_alive(c)) /* it was this process that was looked at, and not a later one of the same number */
        return box_fail(err, BOX_ESTATE, "container %s has ended", c->name);
    if ((r = check(c, its, err)) < 0)
        return r;
    box_namespace_id(its, &device, &inode);
    snprintf(expected, size, "user:[%llu]", (unsigned long long)inode);
    *link = box_take_fd(&fd);
    return 0;
}
