/* The overlay root: layers below, each a directory or an image that the host has mounted, and what is written above.
 *
 * In order: a place for the changes, when there is none of the caller's; the layers, one by one where the kernel takes them
 * so, as one string before that; the upper directory, through a mount with the ids of the user namespace where there is one. */
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

#define MNT_DETACH_ 2

static int open_path(struct stage *s, int dir, const char *path)
{
    s->subject = path;
    return (int)STAGE_TRY(s, openat, dir, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* A tmpfs with an upper and a work directory in it. It has to be attached for the kernel to take it as an upper (before
 * 6.15), so it goes over the old root, under what will be the new one, and is detached together with that. */
static int scratch(struct stage *s, const struct plan_op *op, char *upper, char *work, size_t size)
{
    char pairs[64] = "size";
    uint32_t used = 0;

    if (op->num2) {
        char *value = pairs + 5;
        value[0] = 0;
        stage_append_number(value, sizeof(pairs) - 5, (long)op->num2);
        used = (uint32_t)(5 + stage_strlen(value) + 1);
    }
    int fd = STAGE_DO(stage_new_fs(s, "tmpfs", "scratch", pairs, used, 0));
    if (!(op->flags & OVERLAY_DETACHED))
        STAGE_TRY(s, move_mount, fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
    STAGE_TRY(s, mkdirat, fd, "upper", 0755);
    STAGE_TRY(s, mkdirat, fd, "work", 0700);
    stage_fd_path(upper, size, fd, "/upper");
    stage_fd_path(work, size, fd, "/work");
    return 0;
}

static const char *overlay_context(const struct stage *s, const struct plan_op *op)
{
    const char *start = (const char *)s->plan + op->data, *at = start + op->data_size - 1;

    while (at > start && at[-1])
        at--;
    return at;
}

static const char *lowers_end(const struct stage *s, const struct plan_op *op)
{
    return op->flags & OVERLAY_CONTEXT ? overlay_context(s, op) : (const char *)s->plan + op->data + op->data_size;
}

/* The mount of an image, by the name that the plan gives it ("#12"), or -1 for a directory's path. */
static int image_of(const struct stage *s, const char *lower)
{
    int slot = 0;

    if (*lower != '#')
        return -1;
    while (*++lower)
        slot = slot * 10 + (*lower - '0');
    return stage_slot(s, slot);
}

/* A lower layer as a descriptor: of an image, of a path, or of a copy of that whose ids are mapped. */
static int open_lower(struct stage *s, const struct plan_op *op, const char *lower)
{
    int image = image_of(s, lower);

    if (image >= 0)
        return image;
    if (!(op->flags & OVERLAY_IDMAP))
        return open_path(s, AT_FDCWD, lower);
    int fd = STAGE_DO(stage_open_tree(s, AT_FDCWD, lower, OPEN_TREE_CLONE));
    STAGE_DO(stage_setattr(s, fd, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, stage_slot(s, op->slot2)));
    return fd;
}

static int add_lowers(struct stage *s, int fs, const struct plan_op *op)
{
    const char *at = (const char *)s->plan + op->data, *end = lowers_end(s, op);
    char path[48];

    for (; at < end; at += stage_strlen(at) + 1) {
        if (!*at) /* the gap before a context */
            continue;
        const char *lower = at;

        s->subject = at;
        if (*lower == '#' || stage_strlen(lower) > 250 || (op->flags & OVERLAY_IDMAP)) { /* fsconfig's limit is 256 */
            stage_fd_path(path, sizeof(path), STAGE_DO(open_lower(s, op, lower)), "");
            lower = path;
        }
        STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", lower, 0);
    }
    return 0;
}

/* Before "lowerdir+" (6.7) all lowers are one string, of 255 bytes at most. Inside /proc/self/fd a lower is three or
 * four bytes long. */
static int joined_lowers(struct stage *s, int fs, const struct plan_op *op)
{
    const char *at = (const char *)s->plan + op->data, *end = lowers_end(s, op);
    char joined[256] = "";

    for (; at < end; at += stage_strlen(at) + 1) {
        if (!*at) /* the gap before a context */
            continue;
        s->subject = at;
        int fd = STAGE_DO(open_lower(s, op, at));
        if (*joined)
            stage_append(joined, sizeof(joined), ":");
        stage_append_number(joined, sizeof(joined), fd);
    }
    s->call = "lowerdir";
    if (stage_strlen(joined) + 1 >= sizeof(joined))
        return -E2BIG;
    STAGE_TRY(s, chdir, "/proc/self/fd");
    STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir", joined, 0);
    return 0;
}

static size_t parent_length(const char *path)
{
    size_t n = stage_strlen(path);

    while (n > 1 && path[n - 1] != '/')
        n--;
    return n;
}

/* Upper and work directory lie side by side, and have to be reached through one and the same mapped mount: that of the
 * directory that holds both. */
static int map_upper(struct stage *s, const struct plan_op *op, const char *upper, const char *work)
{
    static char parent[4096];
    size_t n = parent_length(upper);

    s->subject = work;
    s->call = "upperdir and workdir in one directory";
    if (parent_length(work) != n || n >= sizeof(parent))
        return -EXDEV;
    for (size_t i = 0; i < n; i++) {
        if (upper[i] != work[i])
            return -EXDEV;
        parent[i] = upper[i];
    }
    parent[n] = 0;
    int fd = STAGE_DO(stage_open_tree(s, AT_FDCWD, parent, OPEN_TREE_CLONE));
    STAGE_DO(stage_setattr(s, fd, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, stage_slot(s, op->slot2)));
    return fd;
}

static int set_upper(struct stage *s, int fs, int mapped, const char *key, const char *path)
{
    char buffer[320];

    s->subject = path;
    if (mapped >= 0) {
        buffer[0] = '/';
        buffer[1] = 0;
        stage_append(buffer, sizeof(buffer), path + parent_length(path));
        char name[300] = "";
        stage_append(name, sizeof(name), buffer);
        stage_fd_path(buffer, sizeof(buffer), mapped, name);
        path = buffer;
    } else if (stage_strlen(path) > 250) {
        stage_fd_path(buffer, sizeof(buffer), STAGE_DO(open_path(s, AT_FDCWD, path)), "");
        path = buffer;
    }
    STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, key, path, 0);
    return 0;
}

/* An overlay does its own doings (the work directory, copying up) with the ids of whoever made it. Through a mapped
 * mount those have to be ids of the map: the container's root. Its capabilities are kept meanwhile. */
static long create_as(int fs, uint64_t uid, uint64_t gid)
{
    long bits = box_sys(prctl, PR_GET_SECUREBITS, 0, 0, 0, 0);
    long own_uid = box_sys(geteuid), own_gid = box_sys(getegid);

    box_sys(prctl, PR_SET_SECUREBITS, bits | (1 << 2) /* SECBIT_NO_SETUID_FIXUP */, 0, 0, 0);
    box_sys(setfsgid, gid);
    box_sys(setfsuid, uid);
    long r = box_sys(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    box_sys(setfsuid, own_uid);
    box_sys(setfsgid, own_gid);
    box_sys(prctl, PR_SET_SECUREBITS, bits, 0, 0, 0);
    return r;
}

static int configure_overlay(struct stage *s, int fs, const struct plan_op *op, const char *upper, const char *work,
                             int joined)
{
    STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, "source", "overlay", 0);
    if (op->flags & OVERLAY_CONTEXT)
        STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_STRING, "context", overlay_context(s, op), 0);
    int r = joined ? joined_lowers(s, fs, op) : add_lowers(s, fs, op);
    if (r < 0)
        return r;
    if (upper) {
        int mapped = op->flags & OVERLAY_IDMAP && !(op->flags & OVERLAY_SCRATCH) ? STAGE_DO(map_upper(s, op, upper, work)) : -1;
        STAGE_DO(set_upper(s, fs, mapped, "upperdir", upper));
        STAGE_DO(set_upper(s, fs, mapped, "workdir", work));
    }
    if (op->flags & OVERLAY_USERXATTR)
        STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_FLAG, "userxattr", NULL, 0);
    if (op->flags & OVERLAY_VOLATILE)
        STAGE_TRY(s, fsconfig, fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0);
    s->subject = NULL;
    s->call = "fsconfig";
    return (int)(op->flags & OVERLAY_IDMAP ? create_as(fs, op->num3, op->num4)
                                           : box_sys(fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
}

/* Before 6.15 an overlay takes no layer that is attached nowhere. So images go over the old root for a moment: the
 * overlay has its own hold on them. How many there are. */
static int attach_images(struct stage *s, const struct plan_op *op)
{
    const char *at = (const char *)s->plan + op->data, *end = lowers_end(s, op);
    int n = 0;

    for (; at < end; at += stage_strlen(at) + 1)
        if (image_of(s, at) >= 0) {
            STAGE_TRY(s, move_mount, image_of(s, at), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH);
            n++;
        }
    return n;
}

/* They lie on each other. The way to the lowest one leads to what lies on top, which is taken away first. */
static void detach_images(struct stage *s, const struct plan_op *op, int n)
{
    const char *at = (const char *)s->plan + op->data;
    char path[48];

    while (image_of(s, at) < 0)
        at += stage_strlen(at) + 1;
    stage_fd_path(path, sizeof(path), image_of(s, at), "");
    while (n-- > 0)
        box_sys(umount2, path, MNT_DETACH_);
}

STAGE_OP(OVERLAY)
{
    const char *upper = stage_string(s, op->str), *work = stage_string(s, op->str2);
    char upper_path[64], work_path[64];

    if (op->flags & OVERLAY_SCRATCH) {
        STAGE_DO(scratch(s, op, upper_path, work_path, sizeof(upper_path)));
        upper = upper_path;
        work = work_path;
    }
    int fs = (int)STAGE_TRY(s, fsopen, "overlay", FSOPEN_CLOEXEC), attached = 0;
    int r = configure_overlay(s, fs, op, upper, work, 0);
    if (r == -EINVAL && !(op->flags & OVERLAY_DETACHED) && (attached = STAGE_DO(attach_images(s, op))) > 0) {
        box_sys(close, fs);
        fs = (int)STAGE_TRY(s, fsopen, "overlay", FSOPEN_CLOEXEC);
        r = configure_overlay(s, fs, op, upper, work, 0);
    }
    if (r == -EINVAL) { /* an older kernel takes "lowerdir+" for a word of the future, and complains at the end */
        box_sys(close, fs);
        fs = (int)STAGE_TRY(s, fsopen, "overlay", FSOPEN_CLOEXEC);
        r = configure_overlay(s, fs, op, upper, work, 1);
    }
    if (r < 0) {
        stage_read_log(s, fs);
        return r;
    }
    s->subject = NULL;
    int fd = (int)STAGE_TRY(s, fsmount, fs, FSMOUNT_CLOEXEC, op->num);
    box_sys(close, fs);
    if (attached)
        detach_images(s, op, attached);
    return stage_set_slot(s, op->slot, fd);
}
