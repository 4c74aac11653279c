/* Namespaces by descriptor: kinds, opening, looking, joining. Public face: libbox/namespace.h. Making and
 * keeping them is in namespace_create.c.
 *
 * Whatever the way in, one function (adopt) makes a handle, and only of a file of nsfs of the right kind. */
#include <libbox/namespace.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fail.h"
#include "kernel/namespace.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

/* PIDFD_GET_*_NAMESPACE of Linux 6.11: _IO(0xFF, number). */
#define PIDFD_NAMESPACE(number) _IO(0xFF, number)

static const struct {
    const char *name, *oci;
    int flag;
    unsigned long pidfd_ioctl;
} kinds[BOX_NAMESPACE_KINDS] = {
    [BOX_NAMESPACE_MOUNT] = {"mnt", "mount", CLONE_NEWNS, PIDFD_NAMESPACE(3)},
    [BOX_NAMESPACE_PID] = {"pid", "pid", CLONE_NEWPID, PIDFD_NAMESPACE(5)},
    [BOX_NAMESPACE_NETWORK] = {"net", "network", CLONE_NEWNET, PIDFD_NAMESPACE(4)},
    [BOX_NAMESPACE_IPC] = {"ipc", "ipc", CLONE_NEWIPC, PIDFD_NAMESPACE(2)},
    [BOX_NAMESPACE_UTS] = {"uts", "uts", CLONE_NEWUTS, PIDFD_NAMESPACE(10)},
    [BOX_NAMESPACE_USER] = {"user", "user", CLONE_NEWUSER, PIDFD_NAMESPACE(9)},
    [BOX_NAMESPACE_CGROUP] = {"cgroup", "cgroup", CLONE_NEWCGROUP, PIDFD_NAMESPACE(1)},
    [BOX_NAMESPACE_TIME] = {"time", "time", CLONE_NEWTIME, PIDFD_NAMESPACE(7)},
};

struct box_namespace {
    enum box_namespace_kind kind;
    int fd;
    uint64_t device, inode;
};

static bool is_kind(enum box_namespace_kind kind)
{
    return (unsigned)kind < BOX_NAMESPACE_KINDS;
}

const char *box_namespace_kind_name(enum box_namespace_kind kind)
{
    return is_kind(kind) ? kinds[kind].name : NULL;
}

const char *box_namespace_kind_oci_name(enum box_namespace_kind kind)
{
    return is_kind(kind) ? kinds[kind].oci : NULL;
}

int box_namespace_kind_flag(enum box_namespace_kind kind)
{
    return is_kind(kind) ? kinds[kind].flag : 0;
}

int box_namespace_kind_parse(const char *name, enum box_namespace_kind *kind, box_error **err)
{
    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++)
        if (strcmp(name, kinds[k].name) == 0 || strcmp(name, kinds[k].oci) == 0) {
            *kind = (enum box_namespace_kind)k;
            return 0;
        }
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                         "not a kind of namespace (mount, pid, network, ipc, uts, user, cgroup, time)");
}

unsigned box_namespace_supported(void)
{
    unsigned set = 0;
    char path[64];

    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++) {
        snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[k].name);
        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            set |= BOX_NAMESPACE_BIT(k);
    }
    return set;
}

/* ---- Opening
 * ------------------------------------------------------------------------------------------------ */

static int check_kind(enum box_namespace_kind kind, box_error **err)
{
    if (is_kind(kind))
        return 0;
    return box_fail(err, BOX_EINVAL, "%d is no kind of namespace", (int)kind);
}

/* Takes the descriptor, also on failure. */
static int adopt(enum box_namespace_kind kind, int taken, const char *subject, box_namespace **ns,
                 box_error **err)
{
    _close_ int fd = taken;
    struct statfs fs;
    struct stat st;

    if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", subject, "look at a namespace");
    int flag = fs.f_type == NSFS_MAGIC ? ioctl(fd, NS_GET_NSTYPE) : -1;
    if (flag != kinds[kind].flag)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = subject},
                             flag < 0 ? "not a namespace" : "not a %s namespace but one of another kind",
                             kinds[kind].oci);
    box_namespace *made = malloc(sizeof(*made));
    if (!made)
        return box_fail_nomem(err);
    *made = (box_namespace){kind, box_take_fd(&fd), st.st_dev, st.st_ino};
    *ns = made;
    return 0;
}

static int fail_open(enum box_namespace_kind kind, const char *path, box_error **err)
{
    bool missing = errno == ENOENT && !(box_namespace_supported() & BOX_NAMESPACE_BIT(kind));

    return box_fail_with(
        err,
        &(struct box_fail_info){
            .code = missing ? BOX_EUNSUPPORTED : 0, .errnum = errno, .call = "open", .subject = path},
        missing ? "this kernel has no %s namespaces" : "cannot open a %s namespace", kinds[kind].oci);
}

int box_namespace_open_path(enum box_namespace_kind kind, const char *path, box_namespace **ns,
                            box_error **err)
{
    char link[64];
    struct statfs fs;
    int r = check_kind(kind, err);

    if (r < 0)
        return r;
    /* Opening a FIFO would hang and opening a device may do anything, so it is looked at first, and then what
     * was looked at is opened. */
    _close_ int path_fd = open(path, O_PATH | O_CLOEXEC);
    if (path_fd < 0 || fstatfs(path_fd, &fs) < 0)
        return fail_open(kind, path, err);
    if (fs.f_type != NSFS_MAGIC)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "not a namespace");
    snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", path_fd);
    int fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_open(kind, path, err);
    return adopt(kind, fd, path, ns, err);
}

int box_namespace_open_fd(enum box_namespace_kind kind, int fd, box_namespace **ns, box_error **err)
{
    int r = check_kind(kind, err);

    if (r < 0)
        return r;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (copy < 0)
        return box_fail_sys(err, "fcntl", NULL, "copy descriptor %d of a namespace", fd);
    return adopt(kind, copy, NULL, ns, err);
}

/* By way of /proc, for kernels before 6.11. The number belongs to the process for as long as it has not been
 * reaped, so when it still answers afterwards, what was opened was its own. */
static int open_by_number(enum box_namespace_kind kind, int pidfd, box_namespace **ns, box_error **err)
{
    char path[64];
    pid_t pid;
    int r = box_pidfd_pid(pidfd, &pid, err);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kinds[kind].name);
    _close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    int open_errno = errno;
    if (fd < 0 && open_errno != ENOENT && open_errno != ESRCH) {
        return fail_open(kind, path, err);
    }
    r = box_pidfd_signal(pidfd, 0, fd < 0 ? err : NULL);
    if (r == BOX_ENOTFOUND)
        return fd < 0 ? r : box_fail(err, r, "the process ended while its namespace was opened");
    if (fd < 0) {
        errno = open_errno;
        return fail_open(kind, path, err);
    }
    return adopt(kind, box_take_fd(&fd), path, ns, err);
}

int box_namespace_open_pidfd(enum box_namespace_kind kind, int pidfd, box_namespace **ns, box_error **err)
{
    int r = check_kind(kind, err);

    if (r < 0)
        return r;
    int fd = ioctl(pidfd, kinds[kind].pidfd_ioctl, 0);
    if (fd >= 0)
        return adopt(kind, fd, NULL, ns, err);
    if (errno == ESRCH)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = ESRCH, .call = "ioctl(pidfd)"},
            "the process has ended");
    /* Older kernels know no such call; other failures read better from the other way. */
    return open_by_number(kind, pidfd, ns, err);
}

int box_namespace_open_pid(enum box_namespace_kind kind, pid_t pid, box_namespace **ns, box_error **err)
{
    _close_ int pidfd = box_pidfd_open(pid, err);

    return pidfd < 0 ? pidfd : box_namespace_open_pidfd(kind, pidfd, ns, err);
}

int box_namespace_open_self(enum box_namespace_kind kind, box_namespace **ns, box_error **err)
{
    char path[64];
    int r = check_kind(kind, err);

    if (r < 0)
        return r;
    snprintf(path, sizeof(path), "/proc/thread-self/ns/%s", kinds[kind].name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_open(kind, path, err);
    return adopt(kind, fd, path, ns, err);
}

void box_namespace_free(box_namespace *ns)
{
    if (!ns)
        return;
    close(ns->fd);
    free(ns);
}

int box_namespace_adopt(enum box_namespace_kind kind, int fd, const char *subject, box_namespace **ns,
                        box_error **err)
{
    return adopt(kind, fd, subject, ns, err);
}

/* ---- Looking
 * ------------------------------------------------------------------------------------------------ */

enum box_namespace_kind box_namespace_get_kind(const box_namespace *ns)
{
    return ns->kind;
}

int box_namespace_fd(const box_namespace *ns)
{
    return ns->fd;
}

void box_namespace_id(const box_namespace *ns, uint64_t *device, uint64_t *inode)
{
    if (device)
        *device = ns->device;
    if (inode)
        *inode = ns->inode;
}

bool box_namespace_same(const box_namespace *a, const box_namespace *b)
{
    return a->device == b->device && a->inode == b->inode;
}

int box_namespace_owner(const box_namespace *ns, box_namespace **owner, box_error **err)
{
    int fd = ioctl(ns->fd, NS_GET_USERNS);

    if (fd < 0)
        return box_fail_sys(err, "ioctl(NS_GET_USERNS)", NULL, "find the owner of a %s namespace",
                            kinds[ns->kind].oci);
    return adopt(BOX_NAMESPACE_USER, fd, NULL, owner, err);
}

int box_namespace_owner_uid(const box_namespace *ns, uid_t *uid, box_error **err)
{
    _cleanup_(box_namespace) box_namespace *owner = NULL;
    int r = ns->kind == BOX_NAMESPACE_USER ? 0 : box_namespace_owner(ns, &owner, err);

    if (r < 0)
        return r;
    if (ioctl(owner ? owner->fd : ns->fd, NS_GET_OWNER_UID, uid) < 0)
        return box_fail_sys(err, "ioctl(NS_GET_OWNER_UID)", NULL, "find who made a user namespace");
    return 0;
}

int box_namespace_verify_owner(const box_namespace *ns, uid_t uid, box_error **err)
{
    _cleanup_(box_namespace) box_namespace *owner = NULL, *mine = NULL;
    uid_t maker;
    int r = ns->kind == BOX_NAMESPACE_USER ? 0 : box_namespace_owner(ns, &owner, err);

    if (r < 0)
        return r;
    const box_namespace *governs = owner ? owner : ns;
    if ((r = box_namespace_open_self(BOX_NAMESPACE_USER, &mine, err)) < 0)
        return r;
    if (box_namespace_same(governs, mine))
        return 0;
    if ((r = box_namespace_owner_uid(governs, &maker, err)) < 0)
        return r;
    if (maker == uid)
        return 0;
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EPERMISSION,
                                                 .subject = kinds[ns->kind].oci,
                                                 .remedy = "join only what the expected user has made"},
                         "the namespace belongs to uid %u and not to uid %u", maker, uid);
}

/* ---- Joining
 * ------------------------------------------------------------------------------------------------ */

static const char *enter_remedy(enum box_namespace_kind kind, int errnum)
{
    if (errnum == EINVAL && kind == BOX_NAMESPACE_MOUNT)
        return "the thread shares its working directory with others: unshare(CLONE_FS) first";
    if (errnum == EINVAL && kind == BOX_NAMESPACE_USER)
        return "a user namespace can be joined by a single-threaded process only, and not by one that is in "
               "it";
    if (errnum == EUSERS && kind == BOX_NAMESPACE_TIME)
        return "a time namespace can be joined by a single-threaded process only";
    if (errnum == EPERM)
        return "needs CAP_SYS_ADMIN over the user namespace that owns it";
    return NULL;
}

int box_namespace_enter(const box_namespace *ns, box_error **err)
{
    if (setns(ns->fd, kinds[ns->kind].flag) == 0)
        return 0;
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = errno, .call = "setns", .remedy = enter_remedy(ns->kind, errno)},
        "cannot join the %s namespace", kinds[ns->kind].oci);
}
