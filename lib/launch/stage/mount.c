/* Mounts: making them detached, finding their targets inside the new root, attaching them.
 *
 * A target is resolved once, inside the root, to an O_PATH descriptor, and the mount is attached to that descriptor:
 * nothing walks the path a second time, so a link that is swapped in meanwhile decides nothing (CVE-2021-30465). */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/stat.h>

#include "base/resolve.h"

#define MS_PRIVATE_REC (0x4000 | (1 << 18))
#define MS_SLAVE_REC   (0x4000 | (1 << 19))
#define MNT_DETACH_    2
#define S_IFMT_        0170000
#define S_IFDIR_       0040000
#define S_IFCHR_       0020000

int stage_open_tree(struct stage *s, int dir, const char *path, unsigned flags)
{
    return (int)STAGE_TRY(s, open_tree, dir, path, flags | OPEN_TREE_CLOEXEC);
}

int stage_move_mount(struct stage *s, int fd, int target)
{
    return (int)STAGE_TRY(s, move_mount, fd, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

/* The kernel says in the file system context what it did not like. */
void stage_read_log(struct stage *s, int fs)
{
    s->text[0] = 0;
    long n = box_sys(read, fs, s->text, sizeof(s->text) - 1);
    if (n <= 2)
        return;
    s->text[n] = 0;
    if (s->text[n - 1] == '\n')
        s->text[n - 1] = 0;
    s->subject = s->text + 2; /* past "e " */
}

static int configure(struct stage *s, int fs, const char *source, const char *pairs, uint32_t size, unsigned command)
{
    if (source)
        STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, "source", source, 0);
    for (const char *at = pairs; at < pairs + size;) {
        const char *key = at, *value = at + stage_strlen(key) + 1;
        int flag = !*value;

        STAGE_TRY(s, fsconfig, fs, flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key, flag ? NULL : value, 0);
        at = value + stage_strlen(value) + 1;
    }
    STAGE_TRY(s, fsconfig, fs, command, NULL, NULL, 0);
    return 0;
}

int stage_new_fs(struct stage *s, const char *type, const char *source, const char *pairs, uint32_t size,
                 uint64_t attrs)
{
    int fs = (int)STAGE_TRY(s, fsopen, type, FSOPEN_CLOEXEC);
    int r = configure(s, fs, source, pairs, size, FSCONFIG_CMD_CREATE);

    if (r < 0) {
        stage_read_log(s, fs);
        box_sys(close, fs);
        return r;
    }
    long mount = box_sys(fsmount, fs, FSMOUNT_CLOEXEC, attrs);
    s->call = "fsmount";
    if (mount < 0)
        stage_read_log(s, fs);
    box_sys(close, fs);
    return (int)mount;
}

int stage_setattr(struct stage *s, int fd, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                  uint64_t propagation, int userns)
{
    struct mount_attr attr = {
        .attr_set = set, .attr_clr = clear, .propagation = propagation, .userns_fd = userns >= 0 ? (uint64_t)userns : 0};

    return (int)STAGE_TRY(s, mount_setattr, fd, path, flags, &attr, sizeof(attr));
}

/* Joining the mount namespace that one is in leads to its top, out of any chroot(2). */
static int leave_chroot(struct stage *s)
{
    long pid = box_sys(getpid), self = STAGE_TRY(s, pidfd_open, pid, 0);
    long r = box_sys(setns, self, CLONE_NEWNS);

    box_sys(close, self);
    s->call = "setns";
    return (int)r;
}

/* Whether both are one place: the same file on the same mount. */
static int is_same(struct stage *s, int a, int b, const char *path)
{
    struct statx x, y;

    STAGE_TRY(s, statx, a, "", AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &x);
    STAGE_TRY(s, statx, b, path, AT_EMPTY_PATH, STATX_INO | STATX_MNT_ID, &y);
    return x.stx_mnt_id == y.stx_mnt_id && x.stx_ino == y.stx_ino;
}

/* num: the propagation. flags: the host program may be in a chroot(2). Its root is then no mount, which has neither a
 * propagation nor can be pivoted away; or it is one and can, and all that lies above it would stay within reach of a
 * payload that may chroot(2) itself. So the chroot is left here, and entered again for the sources, whose paths begin
 * at it; it is left for good before the pivot. */
STAGE_OP(PROPAGATION)
{
    long root = -1, here = -1;

    if (op->flags) {
        root = STAGE_TRY(s, openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        here = STAGE_TRY(s, openat, AT_FDCWD, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        int left = leave_chroot(s);
        if (left < 0 && left != -EPERM) /* without CAP_SYS_CHROOT one can neither get in nor out */
            return left;
    }
    STAGE_TRY(s, mount, NULL, "/", NULL, op->num, NULL);
    if (!op->flags)
        return 0;
    s->in_chroot = !STAGE_DO(is_same(s, (int)root, AT_FDCWD, "/"));
    if (s->in_chroot) {
        STAGE_TRY(s, fchdir, root);
        STAGE_TRY(s, chroot, ".");
    }
    STAGE_TRY(s, fchdir, here);
    box_sys(close, root);
    box_sys(close, here);
    return 0;
}

/* A file system's type, to be sure that what is called /proc is one. */
static int is_fs(struct stage *s, int fd, long magic)
{
    struct statfs fs;

    STAGE_TRY(s, fstatfs, fd, &fs);
    return (long)fs.f_type == magic;
}

void stage_fd_path(char *buffer, size_t size, int fd, const char *below)
{
    buffer[0] = 0;
    stage_append(buffer, size, "/proc/self/fd/");
    stage_append_number(buffer, size, fd);
    stage_append(buffer, size, below);
}

/* A descriptor of the host's mount namespace cannot be cloned in another. What lies under its name in this one, a copy of
 * that, can; it has to be the same file, so that nothing which was put under that name meanwhile is taken for it. */
static int open_by_name(struct stage *s, const struct plan_op *op)
{
    static char name[4096];
    char link[48];
    struct stat given, found;
    int dir = stage_slot(s, op->slot2);

    stage_fd_path(link, sizeof(link), dir, "");
    long n = STAGE_TRY(s, readlinkat, AT_FDCWD, link, name, sizeof(name) - 1);
    name[n] = 0;
    s->subject = name;
    int fd = STAGE_DO(stage_open_tree(s, AT_FDCWD, name, (unsigned)op->num & ~(unsigned)AT_EMPTY_PATH));
    STAGE_TRY(s, newfstatat, dir, "", &given, AT_EMPTY_PATH);
    STAGE_TRY(s, newfstatat, fd, "", &found, AT_EMPTY_PATH);
    s->call = "the same file";
    return given.st_dev == found.st_dev && given.st_ino == found.st_ino ? fd : -EXDEV;
}

STAGE_OP(OPEN_SOURCE)
{
    if (op->flags & SOURCE_BY_NAME)
        return stage_set_slot(s, op->slot, STAGE_DO(open_by_name(s, op)));
    int dir = op->slot2 ? stage_slot(s, op->slot2) : AT_FDCWD;
    const char *path = op->str ? stage_string(s, op->str) : "";

    int fd = STAGE_DO(stage_open_tree(s, dir, path, (unsigned)op->num));
    return stage_set_slot(s, op->slot, fd);
}

STAGE_OP(NEW_FS)
{
    const char *pairs = (const char *)s->plan + op->data;
    int fd = stage_new_fs(s, stage_string(s, op->str), stage_string(s, op->str2), pairs, op->data_size, op->num);

    if (fd < 0)
        return fd;
    return stage_set_slot(s, op->slot, fd);
}

/* ---- attributes, targets, attaching ---------------------------------------------------------------------------- */

STAGE_OP(SETATTR)
{
    unsigned flags = AT_EMPTY_PATH | (op->flags & SETATTR_RECURSIVE ? AT_RECURSIVE : 0);

    STAGE_DO(stage_setattr(s, stage_slot(s, op->slot), "", flags, op->num, op->num2, op->num3, -1));
    return 0;
}

STAGE_OP(IDMAP)
{
    unsigned flags = AT_EMPTY_PATH | (op->flags & SETATTR_RECURSIVE ? AT_RECURSIVE : 0);

    STAGE_DO(stage_setattr(s, stage_slot(s, op->slot), "", flags, MOUNT_ATTR_IDMAP, 0, 0, stage_slot(s, op->slot2)));
    return 0;
}

/* The new root goes on top of the old one; lookups still start below it until PIVOT. */
STAGE_OP(ATTACH_ROOT)
{
    STAGE_TRY(s, move_mount, stage_slot(s, op->slot), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    return 0;
}

static int is_directory(struct stage *s, int fd)
{
    struct stat st;

    STAGE_TRY(s, newfstatat, fd, "", &st, AT_EMPTY_PATH);
    return (st.st_mode & S_IFMT_) == S_IFDIR_;
}

/* What covers a procfs, or a part of it, is taken for the kernel's word by all inside, and takes the masks with it: only
 * single files may, and other procfs. Looked at on what was found, since an image can link any volume's place there. */
static int may_cover(struct stage *s, int target, int source)
{
    if (STAGE_DO(is_fs(s, target, PROC_SUPER_MAGIC)) != 1)
        return 0;
    int plain = source >= 0 && STAGE_DO(is_directory(s, source)) != 1;
    if (plain || (source >= 0 && STAGE_DO(is_fs(s, source, PROC_SUPER_MAGIC)) == 1))
        return 0;
    s->call = "a volume over /proc";
    return -EPERM;
}

STAGE_OP(TARGET)
{
    int directory = (op->flags & TARGET_DIRECTORY) != 0;
    unsigned flags = s->resolve | (op->flags & TARGET_PROC ? BOX_RESOLVE_NO_SYMLINKS : 0);

    stage_close_slot(s, SLOT_TARGET); /* whatever comes of this one, nothing goes onto the last one's */
    if (op->flags & TARGET_LIKE_SOURCE)
        directory = STAGE_DO(is_directory(s, stage_slot(s, op->slot)));
    int fd = box_resolve_target(stage_slot(s, SLOT_ROOT), stage_string(s, op->str), directory, NULL, flags, NULL);
    s->call = "openat2";
    if (fd < 0)
        return fd;
    int allowed = op->flags & TARGET_SHUN_PROC ? may_cover(s, fd, stage_slot(s, op->slot)) : 0;
    if (allowed < 0) {
        box_sys(close, fd);
        return allowed;
    }
    return stage_set_slot(s, SLOT_TARGET, fd);
}

STAGE_OP(ATTACH)
{
    STAGE_DO(stage_move_mount(s, stage_slot(s, op->slot), stage_slot(s, SLOT_TARGET)));
    if (op->num) /* the descriptor is not needed again */
        stage_close_slot(s, op->slot);
    return 0;
}

STAGE_OP(MOUNT_SETATTR)
{
    int fd = box_resolve(stage_slot(s, SLOT_ROOT), stage_string(s, op->str), O_PATH, s->resolve);

    s->call = "openat2";
    if (fd < 0)
        return fd;
    unsigned flags = AT_EMPTY_PATH | (op->flags & SETATTR_RECURSIVE ? AT_RECURSIVE : 0);
    int r = stage_setattr(s, fd, "", flags, op->num, op->num2, op->num3, -1);
    box_sys(close, fd);
    return r;
}

STAGE_OP(RECONFIGURE)
{
    int fd = box_resolve(stage_slot(s, SLOT_ROOT), stage_string(s, op->str), O_PATH, s->resolve);

    s->call = "openat2";
    if (fd < 0)
        return fd;
    int fs = (int)box_sys(fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
    box_sys(close, fd);
    s->call = "fspick";
    if (fs < 0)
        return fs;
    int r = configure(s, fs, NULL, (const char *)s->plan + op->data, op->data_size, FSCONFIG_CMD_RECONFIGURE);
    if (r < 0)
        stage_read_log(s, fs);
    box_sys(close, fs);
    return r;
}

/* ---- devices, links, the private procfs ------------------------------------------------------------------------ */

static int verify_device(struct stage *s, int fd, uint32_t type, uint64_t device)
{
    struct stat st;

    STAGE_TRY(s, newfstatat, fd, "", &st, AT_EMPTY_PATH);
    s->call = "device number";
    return (st.st_mode & S_IFMT_) == type && st.st_rdev == device ? 0 : -ENODEV;
}

static int same_node(struct stage *s, int fd, const struct plan_op *op)
{
    struct stat st;

    STAGE_TRY(s, newfstatat, fd, "", &st, AT_EMPTY_PATH);
    return st.st_mode == (uint32_t)op->num && st.st_rdev == op->num2;
}

static int bind_device(struct stage *s, const struct plan_op *op)
{
    int source = STAGE_DO(stage_open_tree(s, AT_FDCWD, stage_string(s, op->str2), OPEN_TREE_CLONE));
    STAGE_DO(verify_device(s, source, (uint32_t)op->num & S_IFMT_, op->num2));
    int target = box_resolve_target(stage_slot(s, SLOT_ROOT), stage_string(s, op->str), 0, NULL, s->resolve, NULL);
    s->call = "openat2";
    if (target < 0)
        return target;
    int r = stage_move_mount(s, source, target);
    box_sys(close, target);
    box_sys(close, source);
    return r;
}

STAGE_OP(MKNOD)
{
    char last[BOX_RESOLVE_NAME];
    const char *name = stage_string(s, op->str);
    int dir = stage_slot(s, SLOT_DEV);

    if (op->flags & DEVICE_BIND)
        return bind_device(s, op);
    if (op->flags & DEVICE_PATH) {
        dir = box_resolve_parent(stage_slot(s, SLOT_ROOT), name, last, s->resolve);
        if (dir == -ENOENT) {
            /* The directory is missing: make the way to it. */
            static char parent[4096];
            parent[0] = 0;
            stage_append(parent, sizeof(parent), name);
            size_t n = stage_strlen(parent);
            while (n > 1 && parent[n - 1] != '/')
                n--;
            parent[n] = 0;
            int made = box_resolve_mkdirs(stage_slot(s, SLOT_ROOT), parent, NULL, s->resolve, NULL);
            if (made >= 0)
                box_sys(close, made);
            dir = box_resolve_parent(stage_slot(s, SLOT_ROOT), name, last, s->resolve);
        }
        s->call = "openat2";
        if (dir < 0)
            return dir;
        name = last;
    }
    long made = box_sys(mknodat, dir, name, (uint32_t)op->num, op->num2);
    s->call = "mknodat";
    if (made == -EEXIST) { /* in a root that is used again, or by another start at this moment */
        int fd = (int)STAGE_TRY(s, openat, dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        int same = same_node(s, fd, op);
        box_sys(close, fd);
        if (same <= 0) {
            STAGE_TRY(s, unlinkat, dir, name, 0);
            STAGE_TRY(s, mknodat, dir, name, (uint32_t)op->num, op->num2);
        }
    } else if (made < 0) {
        return (int)made;
    }
    if (op->num3 || op->num4)
        STAGE_TRY(s, fchownat, dir, name, op->num3, op->num4, AT_SYMLINK_NOFOLLOW);
    if (op->flags & DEVICE_PATH)
        box_sys(close, dir);
    return 0;
}

STAGE_OP(SYMLINK)
{
    char last[BOX_RESOLVE_NAME];
    int dir = box_resolve_parent(stage_slot(s, SLOT_ROOT), stage_string(s, op->str2), last, s->resolve);

    s->call = "openat2";
    if (dir < 0)
        return dir;
    long r = box_sys(symlinkat, stage_string(s, op->str), dir, last);
    box_sys(close, dir);
    s->call = "symlinkat";
    return r < 0 && r != -EEXIST ? (int)r : 0;
}

#define DEV_NULL ((1u << 8) | 3u)

STAGE_OP(NULL_DEVICE)
{
    int dev = stage_slot(s, SLOT_DEV);
    int fd = dev >= 0 ? (int)box_sys(openat, dev, "null", O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;

    (void)op;
    if (fd >= 0 && verify_device(s, fd, S_IFCHR_, DEV_NULL) < 0) {
        box_sys(close, fd);
        fd = -1;
    }
    if (fd < 0) { /* before PIVOT this path is the host's */
        fd = (int)STAGE_TRY(s, openat, AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
        STAGE_DO(verify_device(s, fd, S_IFCHR_, DEV_NULL));
    }
    return stage_set_slot(s, SLOT_NULL, fd);
}

STAGE_OP(PRIVATE_PROC)
{
    int fd = stage_new_fs(s, "proc", "proc", NULL, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

    (void)op;
    if (fd == -EPERM || fd == -EBUSY) /* a user namespace where /proc is covered: what is there, if it is one */
        fd = (int)STAGE_TRY(s, openat, AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return fd;
    s->call = "file system type";
    if (STAGE_DO(is_fs(s, fd, PROC_SUPER_MAGIC)) != 1)
        return -EXDEV;
    return stage_set_slot(s, SLOT_PROC, fd);
}

/* Covers a path with an empty directory or with /dev/null, each an inode that libbox made or verified
 * (CVE-2025-31133). What does not exist needs no mask. */
STAGE_OP(MASK)
{
    const char *path = stage_string(s, op->str);
    int target = box_resolve(stage_slot(s, SLOT_ROOT), path, O_PATH, s->resolve);

    s->call = "openat2";
    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    int directory = STAGE_DO(is_directory(s, target)), source = stage_slot(s, directory ? SLOT_EMPTY : SLOT_NULL);
    int first = directory && source < 0;
    int cover = first ? STAGE_DO(stage_new_fs(s, "tmpfs", "tmpfs", "size\0" "0\0mode\0" "0555", 15,
                                              MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC))
                      : STAGE_DO(stage_open_tree(s, source, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
    int r = stage_move_mount(s, cover, target);
    box_sys(close, target);
    if (first) /* the other directories get a mount of the same, now that it is attached */
        return r < 0 ? r : stage_set_slot(s, SLOT_EMPTY, cover);
    box_sys(close, cover);
    return r;
}

STAGE_OP(READONLY_PATH)
{
    int target = box_resolve(stage_slot(s, SLOT_ROOT), stage_string(s, op->str), O_PATH, s->resolve);

    s->call = "openat2";
    if (target == -ENOENT || target == -ENOTDIR)
        return 0;
    if (target < 0)
        return target;
    int tree = STAGE_DO(stage_open_tree(s, target, "", OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE));
    STAGE_DO(stage_setattr(s, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, MOUNT_ATTR_RDONLY, 0, 0, -1));
    int r = stage_move_mount(s, tree, target);
    box_sys(close, tree);
    box_sys(close, target);
    return r;
}

/* Only ever through the private procfs, beneath it, by no link and across no mount: nothing that the root holds can
 * send the write elsewhere (CVE-2025-52881, CVE-2019-16884). */
STAGE_OP(SYSCTL)
{
    const char *path = stage_string(s, op->str), *value = stage_string(s, op->str2);
    int fd = box_resolve(stage_slot(s, SLOT_PROC), path, O_WRONLY | O_NOFOLLOW,
                         s->resolve | BOX_RESOLVE_BENEATH | BOX_RESOLVE_NO_SYMLINKS | BOX_RESOLVE_NO_XDEV);

    s->call = "openat2";
    if (fd < 0)
        return fd;
    STAGE_TRY(s, write, fd, value, stage_strlen(value));
    box_sys(close, fd);
    return 0;
}

static int mount_id(struct stage *s, int dir, const char *path, uint64_t *id)
{
    struct statx st;

    STAGE_TRY(s, statx, dir, path, AT_EMPTY_PATH, STATX_MNT_ID, &st);
    *id = st.stx_mnt_id;
    return 0;
}

/* num: how many mounts lie on the new root afterwards: the old root, and a scratch tmpfs on that. num2: mounts of the old
 * root are peers of the host's still, and what is unmounted here would be unmounted there. "/.." is what would lead to a
 * mount that was left, so it is looked at. */
STAGE_OP(PIVOT)
{
    uint64_t root, above, layers = s->in_chroot ? 1 : op->num; /* there the tmpfs lies within the old root, not on it */

    if (s->in_chroot)
        STAGE_DO(leave_chroot(s));
    int old = op->num2 ? (int)STAGE_TRY(s, openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    /* The mount, not the directory below it: the descriptor's own view. */
    STAGE_TRY(s, fchdir, stage_slot(s, op->slot ? op->slot : SLOT_ROOT));
    if (op->flags & PIVOT_CHROOT) {
        STAGE_TRY(s, chroot, ".");
        STAGE_TRY(s, chdir, "/");
        return 0;
    }
    STAGE_TRY(s, pivot_root, ".", ".");
    /* The old root now lies over the new one. To mount(2) "." is the new one all the same: it does not look at what is
     * mounted on where it stands. */
    if (old >= 0) {
        STAGE_TRY(s, fchdir, old);
        STAGE_TRY(s, mount, NULL, ".", NULL, MS_SLAVE_REC, NULL);
        box_sys(close, old);
    }
    for (uint64_t i = 0; i < layers; i++)
        STAGE_TRY(s, umount2, ".", MNT_DETACH_);
    STAGE_TRY(s, chdir, "/");
    STAGE_DO(mount_id(s, stage_slot(s, SLOT_ROOT), "", &root));
    STAGE_DO(mount_id(s, AT_FDCWD, "/..", &above));
    s->call = "the old root";
    return root == above ? 0 : -EXDEV;
}

STAGE_OP(ROOT_READONLY)
{
    (void)op;
    return stage_setattr(s, stage_slot(s, SLOT_ROOT), "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0, -1);
}
