/* Trying namespaces and mounts in a child.
 *
 * The child runs on the caller's memory while the caller waits (kernel/vclone.h), makes raw system calls
 * only, and writes nothing but its results. All it makes belongs to its own mount namespace, whose mounts are
 * made private before the first is added, and is gone when it ends. */
#include "kernel/host_try.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/rawsys.h"
#include "kernel/spawn.h"
#include "kernel/vclone.h"

/* <sys/mount.h> and <linux/mount.h> clash in Debian 12. */
#define TRY_MS_REC         16384
#define TRY_MS_PRIVATE     (1 << 18)
#define TRY_WAIT_ALL       0x40000000 /* __WALL */
#define TRY_P_PIDFD        3
#define TRY_EMPTY_PATH     0x1000 /* AT_EMPTY_PATH */
#define TRY_RECURSIVE      0x8000 /* AT_RECURSIVE */
#define TRY_ATTR_RDONLY    0x00000001
#define TRY_OVERLAY        "lowerdir=l1:l2,upperdir=u,workdir=w"
#define TRY_OVERLAY_NESTED TRY_OVERLAY ",userxattr"

struct try_mount_attr {
    uint64_t set, clear, propagation, userns_fd;
};

BOX_VCHILD static int write_file(const char *path, const char *text)
{
    int fd = (int)box_sys(openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    long n = 0;

    if (fd < 0)
        return fd;
    while (text[n])
        n++;
    long r = box_sys(write, fd, text, n);
    box_sys(close, fd);
    return r < 0 ? (int)r : 0;
}

BOX_VCHILD static int map_ids(const struct box_try *t)
{
    int r = write_file("/proc/self/setgroups", "deny");

    if (r == 0 || r == -ENOENT)
        r = write_file("/proc/self/uid_map", t->uid_map);
    if (r == 0)
        r = write_file("/proc/self/gid_map", t->gid_map);
    return r;
}

/* A tmpfs over whichever of these directories there is, and directories in it; the child's working directory
 * then. */
BOX_VCHILD static int make_tmpfs(void)
{
    static const char *const places[] = {"/tmp", "/run", "/mnt", "/dev", "/proc"};
    static const char *const dirs[] = {"l1", "l2", "u", "w", "m", "p"};
    long r = -ENOENT;

    for (unsigned i = 0; i < BOX_ARRAY(places) && r < 0; i++) {
        r = box_sys(mount, "tmpfs", places[i], "tmpfs", 0, "size=1m,mode=700");
        if (r == 0)
            r = box_sys(chdir, places[i]);
        else if (r != -ENOENT && r != -ENOTDIR)
            break;
    }
    for (unsigned i = 0; i < BOX_ARRAY(dirs) && r >= 0; i++)
        r = box_sys(mkdirat, AT_FDCWD, dirs[i], 0700);
    return (int)r;
}

BOX_VCHILD static int overlay_by_layers(bool nested)
{
    int fs = (int)box_sys(fsopen, "overlay", FSOPEN_CLOEXEC);
    long r = 0;

    if (fs < 0)
        return fs;
    r = box_sys(fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", "l1", 0);
    if (r >= 0)
        r = box_sys(fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", "l2", 0);
    if (r >= 0 && nested)
        r = box_sys(fsconfig, fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
    if (r >= 0)
        r = box_sys(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    box_sys(close, fs);
    return (int)r;
}

BOX_VCHILD static int readonly_tree(void)
{
    struct try_mount_attr attr = {.set = TRY_ATTR_RDONLY};

    return (int)box_sys(mount_setattr, AT_FDCWD, ".", TRY_RECURSIVE, &attr, sizeof(attr));
}

/* In a chroot(2) "/" is no mount, and has no propagation: joining the own mount namespace leads out of it. */
BOX_VCHILD static int make_private(void)
{
    long r = box_sys(mount, NULL, "/", NULL, TRY_MS_REC | TRY_MS_PRIVATE, NULL);

    if (r != -EINVAL)
        return (int)r;
    long pid = box_sys(getpid), self = box_sys(pidfd_open, pid, 0);
    if (self < 0)
        return (int)r;
    r = box_sys(setns, self, CLONE_NEWNS);
    box_sys(close, self);
    return r < 0 ? (int)r : (int)box_sys(mount, NULL, "/", NULL, TRY_MS_REC | TRY_MS_PRIVATE, NULL);
}

BOX_VCHILD static int child(void *arg)
{
    struct box_try *t = arg;

    t->result[BOX_TRY_CLONE] = 0;
    t->result[BOX_TRY_ID_MAP] = t->map ? map_ids(t) : 0;
    t->result[BOX_TRY_PRIVATE] = make_private();
    if (t->result[BOX_TRY_PRIVATE] < 0)
        return 0; /* a mount might be seen outside otherwise */
    t->result[BOX_TRY_TMPFS] = make_tmpfs();
    if (t->result[BOX_TRY_TMPFS] < 0)
        return 0;
    if (t->overlay) {
        t->result[BOX_TRY_OVERLAY] =
            (int)box_sys(mount, "overlay", "m", "overlay", 0, t->map ? TRY_OVERLAY_NESTED : TRY_OVERLAY);
        t->result[BOX_TRY_LAYERS] = overlay_by_layers(t->map);
    }
    t->result[BOX_TRY_PROC] = (int)box_sys(mount, "proc", "p", "proc", 0, NULL);
    t->result[BOX_TRY_ATTRIBUTES] = readonly_tree();
    return 0;
}

void box_try_run(struct box_try *t, bool user_namespace, bool overlay)
{
    uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | (user_namespace ? CLONE_NEWUSER : 0);
    _close_ int pidfd = -1;
    siginfo_t info;

    for (unsigned i = 0; i < BOX_TRY_STEPS; i++)
        t->result[i] = BOX_TRY_NOT_TRIED;
    t->map = user_namespace;
    t->overlay = overlay;
    snprintf(t->uid_map, sizeof(t->uid_map), "0 %u 1\n", (unsigned)geteuid());
    snprintf(t->gid_map, sizeof(t->gid_map), "0 %u 1\n", (unsigned)getegid());

    int pid = box_vclone(flags, -1, child, t, &pidfd);
    if (pid < 0) {
        t->result[BOX_TRY_CLONE] = pid;
        return;
    }
    while (box_sys(waitid, TRY_P_PIDFD, pidfd, &info, WEXITED | TRY_WAIT_ALL, NULL) == -EINTR)
        ;
}

bool box_try_ok(const struct box_try *t, enum box_try_step step)
{
    return t->result[step] == 0;
}

int box_try_failure(const struct box_try *t, enum box_try_step last)
{
    for (int i = 0; i <= (int)last; i++)
        if (t->result[i] < 0)
            return t->result[i];
    return 0;
}
