/* Making namespaces without a process in them, and keeping them by a file. Public face: libbox/namespace.h.
 *
 * A namespace is made by a process that is born into it; here that is a child that shares the host's memory,
 * has a descriptor table of its own with nothing but one socket in it, and waits there. Order: the child is
 * started; it does what only a process inside can (propagation, the time namespace), and reports; the parent
 * writes the id map and the clock offsets and opens the namespaces; the child is killed and reaped. Should
 * the host be killed in between, the socket closes and the child exits: nothing stays. */
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fail.h"
#include "base/rawsys.h"
#include "kernel/idmap.h"
#include "kernel/namespace.h"
#include "kernel/spawn.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

#define HAS(set, kind) (((set)&BOX_NAMESPACE_BIT(BOX_NAMESPACE_##kind)) != 0)

struct holder {
    int socket;
    bool slave, time;
};

struct report {
    const char *step; /* a constant of the host's own memory, which the child shares */
    int error;
};

BOX_VCHILD static int hold(void *arg)
{
    const struct holder *h = arg;
    struct report report = {0};
    char byte;
    long r = 0;

    box_vchild_close_all_but(h->socket);
    if (h->slave && (r = box_sys(mount, NULL, "/", NULL, MS_REC | MS_SLAVE, NULL)) < 0)
        report.step = "mount";
    if (r >= 0 && h->time && (r = box_sys(unshare, CLONE_NEWTIME)) < 0)
        report.step = "unshare";
    report.error = (int)-r;
    box_sys(write, h->socket, &report, sizeof(report));
    box_sys(read, h->socket, &byte, 1);
    return 0;
}

static int check_config(const box_namespace_config *c, box_error **err)
{
    if (c->kinds & ~((1u << BOX_NAMESPACE_KINDS) - 1))
        return box_fail(err, BOX_EINVAL, "kinds of namespaces: %#x", c->kinds);
    if (HAS(c->kinds, PID))
        return box_fail_with(
            err,
            &(struct box_fail_info){
                .code = BOX_EINVAL, .subject = "pid", .remedy = "start a process in a new one instead"},
            "a pid namespace lives and ends with its first process, so none can be made without");
    if (c->idmap && !HAS(c->kinds, USER))
        return box_fail(err, BOX_EINVAL, "an id map without a new user namespace");
    if (c->has_time_offsets && !HAS(c->kinds, TIME))
        return box_fail(err, BOX_EINVAL, "clock offsets without a new time namespace");
    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++)
        if ((c->kinds & BOX_NAMESPACE_BIT(k)) && !(box_namespace_supported() & BOX_NAMESPACE_BIT(k)))
            return box_fail(err, BOX_EUNSUPPORTED, "this kernel has no %s namespaces",
                            box_namespace_kind_oci_name((enum box_namespace_kind)k));
    return 0;
}

static uint64_t clone_flags(unsigned set)
{
    uint64_t flags = 0;

    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++)
        if ((set & BOX_NAMESPACE_BIT(k)) && k != BOX_NAMESPACE_TIME)
            flags |= (uint64_t)box_namespace_kind_flag((enum box_namespace_kind)k);
    return flags;
}

static int start_holder(unsigned set, struct holder *h, int ends[2], struct box_vchild *child,
                        box_error **err)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return box_fail_sys(err, "socketpair", NULL, "make namespaces");
    *h = (struct holder){.socket = ends[1], .slave = HAS(set, MOUNT), .time = HAS(set, TIME)};
    int r = box_vchild_start(child, clone_flags(set), hold, h);
    if (r < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.errnum = -r,
                                                     .call = "clone3",
                                                     .remedy = HAS(set, USER) ? box_userns_remedy(-r)
                                                               : r == -EPERM
                                                                   ? "needs CAP_SYS_ADMIN, or a new user "
                                                                     "namespace along with the others"
                                                                   : NULL},
                             "cannot make namespaces");
    return 0;
}

static int read_report(int socket, box_error **err)
{
    struct report report;
    ssize_t n;

    do
        n = read(socket, &report, sizeof(report));
    while (n < 0 && errno == EINTR);
    if (n != sizeof(report))
        return box_fail(err, BOX_ESTART, "the child that makes namespaces died");
    if (report.error == 0)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.errnum = report.error, .call = report.step},
                         "cannot make namespaces");
}

static int write_offsets(const box_namespace_config *c, pid_t pid, box_error **err)
{
    char path[64], text[128];

    if (!c->has_time_offsets)
        return 0;
    snprintf(path, sizeof(path), "/proc/%d/timens_offsets", (int)pid);
    int n =
        snprintf(text, sizeof(text), "monotonic %lld %u\nboottime %lld %u\n", (long long)c->monotonic_seconds,
                 c->monotonic_nanoseconds, (long long)c->boottime_seconds, c->boottime_nanoseconds);
    _close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, (size_t)n) < 0)
        return box_fail_sys(err, "write", path, "set the clock offsets");
    return 0;
}

static int open_all(unsigned set, pid_t pid, box_namespace *made[BOX_NAMESPACE_KINDS], box_error **err)
{
    char path[64];
    int r = 0;

    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS && r == 0; k++) {
        if (!(set & BOX_NAMESPACE_BIT(k)))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid,
                 k == BOX_NAMESPACE_TIME ? "time_for_children"
                                         : box_namespace_kind_name((enum box_namespace_kind)k));
        int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        r = fd < 0 ? box_fail_sys(err, "open", path, "open a new namespace")
                   : box_namespace_adopt((enum box_namespace_kind)k, fd, path, &made[k], err);
    }
    return r;
}

int box_namespace_create(const box_namespace_config *config, box_namespace *made[BOX_NAMESPACE_KINDS],
                         box_error **err)
{
    int ends[2] = {-1, -1};
    struct holder holder;

    memset(made, 0, sizeof(*made) * BOX_NAMESPACE_KINDS);
    int r = check_config(config, err);
    if (r < 0 || config->kinds == 0)
        return r;
    /* Declared in the order in which they must end: the child uses the holder and its socket. */
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;
    r = start_holder(config->kinds, &holder, ends, &child, err);
    _close_ int mine = ends[0];
    box_cleanup_close(&ends[1]);
    if (r == 0)
        r = read_report(mine, err);
    if (r == 0 && config->idmap)
        r = box_idmap_apply(config->idmap, child.pid, err);
    if (r == 0)
        r = write_offsets(config, child.pid, err);
    if (r == 0)
        r = open_all(config->kinds, child.pid, made, err);
    for (unsigned k = 0; r < 0 && k < BOX_NAMESPACE_KINDS; k++) {
        box_namespace_free(made[k]);
        made[k] = NULL;
    }
    return r;
}

int box_idmap_userns(const box_idmap *map, box_error **err)
{
    const box_namespace_config config = {.kinds = BOX_NAMESPACE_BIT(BOX_NAMESPACE_USER), .idmap = map};
    box_namespace *made[BOX_NAMESPACE_KINDS];
    int r = box_namespace_create(&config, made, err);

    if (r < 0)
        return r;
    _cleanup_(box_namespace) box_namespace *user = made[BOX_NAMESPACE_USER];
    int fd = fcntl(box_namespace_fd(user), F_DUPFD_CLOEXEC, 3);
    return fd >= 0 ? fd : box_fail_sys(err, "fcntl", NULL, "hand over a user namespace");
}

/* ---- Keeping
 * ------------------------------------------------------------------------------------------------ */

static int bind_namespace(const box_namespace *ns, int target, const char *path, box_error **err)
{
    char from[64], to[64];

    snprintf(from, sizeof(from), "/proc/thread-self/fd/%d", box_namespace_fd(ns));
    snprintf(to, sizeof(to), "/proc/thread-self/fd/%d", target);
    if (mount(from, to, NULL, MS_BIND, NULL) == 0)
        return 0;
    bool mnt = errno == EINVAL && box_namespace_get_kind(ns) == BOX_NAMESPACE_MOUNT;
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = errno,
                                .call = "mount",
                                .subject = path,
                                .remedy = mnt ? "keep it from an older mount namespace, on a private mount"
                                              : "needs CAP_SYS_ADMIN in the caller's mount namespace"},
        "cannot keep the namespace");
}

int box_namespace_keep(const box_namespace *ns, const char *path, box_error **err)
{
    _close_ int fd = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

    if (fd < 0)
        return box_fail_sys(err, "open", path, "keep a namespace");
    int r = bind_namespace(ns, fd, path, err);
    if (r < 0)
        unlink(path);
    return r;
}

int box_namespace_unkeep(const char *path, box_error **err)
{
    struct statfs fs;
    _close_ int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return box_fail_sys(err, "open", path, "forget a namespace");
    if (fs.f_type != NSFS_MAGIC)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "not a kept namespace");
    if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
        return box_fail_sys(err, "umount2", path, "forget a namespace");
    if (unlink(path) < 0)
        return box_fail_sys(err, "unlink", path, "forget a namespace");
    return 0;
}
