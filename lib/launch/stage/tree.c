/* The cgroup view of a v1 host, and the copying of a directory into the tmpfs that will cover it (tmpcopyup). */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/fcntl.h>
#include <linux/mount.h>
#include <linux/stat.h>

#include "base/resolve.h"

/* On a v1 or hybrid host /sys/fs/cgroup is a tmpfs with a mount for each hierarchy. data = pairs "name\0options\0", the
 * directory and the controllers to mount in it ("" for v2); slot = result; num = attributes. In a cgroup namespace each
 * such mount shows the container's own part only. */
STAGE_OP(CGROUP_VIEW)
{
    const char *at = (const char *)s->plan + op->data, *end = at + op->data_size;
    uint64_t attrs = op->num;
    int view = STAGE_DO(stage_new_fs(s, "tmpfs", "cgroup", "mode\0" "755", 9, attrs & ~(uint64_t)MOUNT_ATTR_RDONLY));
    int target = stage_slot(s, SLOT_TARGET);

    STAGE_DO(stage_move_mount(s, view, target));
    while (at < end) {
        const char *name = at, *options = name + stage_strlen(name) + 1;
        char pairs[64] = "";
        uint32_t size = 0;

        at = options + stage_strlen(options) + 1;
        s->subject = name;
        STAGE_TRY(s, mkdirat, view, name, 0755);
        /* "name=systemd" is a key with a value, "cpu,cpuacct" a list of flags. */
        for (const char *o = options; *o && size < sizeof(pairs) - 3;) {
            while (*o && *o != ',' && *o != '=' && size < sizeof(pairs) - 3)
                pairs[size++] = *o++;
            pairs[size++] = 0;
            if (*o == '=') {
                for (o++; *o && *o != ',' && size < sizeof(pairs) - 2;)
                    pairs[size++] = *o++;
            }
            pairs[size++] = 0;
            if (*o == ',')
                o++;
        }
        int fd = stage_new_fs(s, *options ? "cgroup" : "cgroup2", "cgroup", pairs, size, attrs);
        if (fd < 0)
            continue; /* a hierarchy that this namespace may not mount is not shown */
        long dir = STAGE_TRY(s, openat, view, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        STAGE_DO(stage_move_mount(s, fd, (int)dir));
        box_sys(close, dir);
        box_sys(close, fd);
    }
    s->subject = NULL;
    if (attrs & MOUNT_ATTR_RDONLY)
        STAGE_DO(stage_setattr(s, view, "", AT_EMPTY_PATH, MOUNT_ATTR_RDONLY, 0, 0, -1));
    return stage_set_slot(s, op->slot, view);
}

struct stage_dirent {
    uint64_t ino;
    int64_t off;
    uint16_t length;
    uint8_t type;
    char name[];
};

#define COPY_DEPTH 32

static int copy_file(struct stage *s, int from, int to, const char *name, const struct stat *st)
{
    static char buffer[65536];
    long in = STAGE_TRY(s, openat, from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    long out = STAGE_TRY(s, openat, to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, st->st_mode & 07777);
    long n;

    while ((n = box_sys(read, in, buffer, sizeof(buffer))) > 0)
        STAGE_TRY(s, write, out, buffer, n);
    box_sys(close, in);
    box_sys(close, out);
    s->call = "read";
    return (int)n;
}

static int copy_directory(struct stage *s, int from, int to, int depth);

static int copy_entry(struct stage *s, int from, int to, const char *name, int depth)
{
    struct stat st;
    char link[4096];

    STAGE_TRY(s, newfstatat, from, name, &st, AT_SYMLINK_NOFOLLOW);
    if (S_ISDIR(st.st_mode)) {
        STAGE_TRY(s, mkdirat, to, name, st.st_mode & 07777);
        long f = STAGE_TRY(s, openat, from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        long t = STAGE_TRY(s, openat, to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        STAGE_DO(copy_directory(s, (int)f, (int)t, depth + 1));
        box_sys(close, f);
        box_sys(close, t);
    } else if (S_ISREG(st.st_mode)) {
        STAGE_DO(copy_file(s, from, to, name, &st));
    } else if (S_ISLNK(st.st_mode)) {
        long n = STAGE_TRY(s, readlinkat, from, name, link, sizeof(link) - 1);
        link[n] = 0;
        STAGE_TRY(s, symlinkat, link, to, name);
    } else if (S_ISFIFO(st.st_mode)) {
        STAGE_TRY(s, mknodat, to, name, st.st_mode, 0);
    } else {
        return 0; /* sockets and devices do not move */
    }
    box_sys(fchownat, to, name, st.st_uid, st.st_gid, AT_SYMLINK_NOFOLLOW);
    if (!S_ISLNK(st.st_mode))
        box_sys(fchmodat, to, name, st.st_mode & 07777);
    return 0;
}

static int copy_directory(struct stage *s, int from, int to, int depth)
{
    char buffer[4096];
    long n;

    s->call = "depth";
    if (depth > COPY_DEPTH)
        return -ELOOP;
    while ((n = STAGE_TRY(s, getdents64, from, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < n;) {
            struct stage_dirent *d = (struct stage_dirent *)(buffer + at);

            at += d->length;
            if (d->name[0] == '.' && (!d->name[1] || (d->name[1] == '.' && !d->name[2])))
                continue;
            STAGE_DO(copy_entry(s, from, to, d->name, depth));
        }
    }
    return 0;
}

static int is_empty(struct stage *s, int dir)
{
    char buffer[512];
    long fd = STAGE_TRY(s, openat, dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n;
    int empty = 1;

    while (empty && (n = box_sys(getdents64, fd, buffer, sizeof(buffer))) > 0)
        for (long at = 0; at < n; at += ((struct stage_dirent *)(buffer + at))->length) {
            const char *name = ((struct stage_dirent *)(buffer + at))->name;
            empty = empty && name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
        }
    box_sys(close, fd);
    return empty;
}

/* A volume that is filled looks as the directory did that it covers. */
static int like_directory(struct stage *s, int from, int to)
{
    struct stat st;

    STAGE_TRY(s, newfstatat, from, "", &st, AT_EMPTY_PATH);
    box_sys(fchownat, to, ".", st.st_uid, st.st_gid, 0);
    STAGE_TRY(s, fchmodat, to, ".", st.st_mode & 07777);
    return 0;
}

/* slot: the mount, still detached; the directory is SLOT_TARGET. */
STAGE_OP(COPY_UP)
{
    int target = stage_slot(s, SLOT_TARGET), mount = stage_slot(s, op->slot);
    struct stat st;

    STAGE_TRY(s, newfstatat, target, "", &st, AT_EMPTY_PATH);
    if (op->flags & COPY_VOLUME && (!S_ISDIR(st.st_mode) || !STAGE_DO(is_empty(s, mount))))
        return 0;
    /* "." of the O_PATH descriptor, opened for reading. */
    long from = STAGE_TRY(s, openat, target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (op->flags & COPY_VOLUME)
        STAGE_DO(like_directory(s, (int)from, mount));
    int r = copy_directory(s, (int)from, mount, 0);
    box_sys(close, from);
    return r;
}
