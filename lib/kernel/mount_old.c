/* The mount object by mount(2), for kernels before 5.12 and filters that know no better. Interface:
 * kernel/mount.h.
 *
 * mount(2) takes paths, and a path can be led astray between two calls (CVE-2021-30465). So every path here
 * is
 * "/proc/thread-self/fd/N", which the kernel takes as the very file that is open. What that cannot name is
 * the root of a mount that has just been made on top of it, needed to make it read-only: that one is opened
 * by its path once, through no link, and used only if it is the root of another mount at the same place, and
 * a view of the same file. */
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/fail.h"
#include "base/resolve.h"
#include "kernel/mount.h"
#include "kernel/mount_sys.h"
#include "kernel/number.h"
#include "kernel/smallfile.h"

#define PATH_SIZE 4096

const char *box_mount_fd_path(int fd, char path[BOX_FD_PATH_SIZE])
{
    snprintf(path, BOX_FD_PATH_SIZE, "/proc/thread-self/fd/%d", fd);
    return path;
}

int box_mount_id_of(int fd, box_error **err)
{
    char path[BOX_FD_PATH_SIZE], text[512];
    uint64_t id;

    snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", fd);
    ssize_t n = box_smallfile_read(path, text, sizeof(text));
    const char *value = n < 0 ? NULL : box_smallfile_field(text, "mnt_id");
    if (!value || box_number_u64(value, strspn(value, "0123456789"), &id) < 0 || id > INT32_MAX)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_ESYSTEM, .errnum = n < 0 ? (int)-n : 0, .subject = path},
            "cannot find out which mount a file is on");
    return (int)id;
}

static int place_of(int fd, char *place, box_error **err)
{
    char path[BOX_FD_PATH_SIZE];
    ssize_t n = readlink(box_mount_fd_path(fd, path), place, PATH_SIZE);

    if (n < 0 || n >= PATH_SIZE || place[0] != '/') {
        errno = n < 0 ? errno : ENAMETOOLONG;
        return box_fail_sys(err, "readlink", path, "find the place of a mount");
    }
    place[n] = '\0';
    return 0;
}

/* Opens what is at a place now, through no link. */
static int open_place(const char *place, box_error **err)
{
    _close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = root < 0 ? -errno : box_resolve(root, place, O_PATH | O_NOFOLLOW, BOX_RESOLVE_NO_SYMLINKS);

    if (fd >= 0)
        return fd;
    errno = -fd;
    return box_fail_sys(err, "open", place, "open a mount");
}

static int same_file(int a, int b)
{
    struct stat sa, sb;

    return fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

int box_mount_reopen(int target_fd, int source_fd, box_error **err)
{
    char place[PATH_SIZE], now[PATH_SIZE];
    int r = place_of(target_fd, place, err);

    if (r < 0)
        return r;
    _close_ int fd = open_place(place, err);
    if (fd < 0)
        return fd;
    if ((r = place_of(fd, now, err)) < 0)
        return r;
    int before = box_mount_id_of(target_fd, err), after = before < 0 ? before : box_mount_id_of(fd, err);
    if (after < 0)
        return after;
    if (strcmp(place, now) != 0 || before == after || (source_fd >= 0 && !same_file(fd, source_fd)))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EESCAPE, .subject = place},
                             "the target of a mount was changed while it was mounted");
    return box_take_fd(&fd);
}

/* ---- Changes
 * ------------------------------------------------------------------------------------------------ */

static int remount(int fd, const char *place, uint64_t now, const struct box_mount_change *c, box_error **err)
{
    char path[BOX_FD_PATH_SIZE];
    uint64_t wanted = (now & ~c->clear) | c->set;

    if (mount(NULL, box_mount_fd_path(fd, path), NULL, MS_REMOUNT | MS_BIND | box_mount_attr_to_ms(wanted),
              NULL) == 0)
        return 0;
    return box_fail_sys(err, "mount", place, "set a mount's attributes");
}

/* Covered by another mount at its very root: nobody can reach it, and neither can we. */
static bool is_covered(const box_mount_table *table, const box_mount_entry *e)
{
    const box_mount_entry *other;

    for (size_t i = 0; (other = box_mount_table_get(table, i)); i++)
        if (other->parent_id == e->id && other != e && strcmp(other->target, e->target) == 0)
            return true;
    return false;
}

static bool is_below(const box_mount_table *table, const box_mount_entry *e, int top)
{
    /* The parent of the root's mount is not in the table; a loop cannot be, but a hostile table costs at most
     * its size. */
    for (size_t i = 0; e && i <= box_mount_table_count(table); i++) {
        if (e->parent_id == top)
            return true;
        e = e->parent_id == e->id ? NULL : box_mount_table_find_id(table, e->parent_id);
    }
    return false;
}

static int remount_entry(const box_mount_table *table, const box_mount_entry *e,
                         const struct box_mount_change *c, box_error **err)
{
    if (is_covered(table, e))
        return 0;
    _close_ int fd = open_place(e->target, err);
    if (fd < 0)
        return fd;
    int id = box_mount_id_of(fd, err);
    if (id < 0)
        return id;
    if (id != e->id)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EBUSY, .subject = e->target},
                             "a mount changed while its attributes were set");
    return remount(fd, e->target, e->attributes, c, err);
}

static int change_attributes(int fd, const struct box_mount_change *c, box_error **err)
{
    _cleanup_(box_mount_table) box_mount_table *table = NULL;
    int top = box_mount_id_of(fd, err);
    int r = top < 0 ? top : box_mount_table_read(0, &table, err);

    if (r < 0)
        return r;
    const box_mount_entry *e = box_mount_table_find_id(table, top);
    if (!e)
        return box_fail(err, BOX_ESTATE, "the mount is not in this mount namespace any more");
    r = remount(fd, e->target, e->attributes, c, err);
    for (size_t i = 0; c->recursive && r == 0 && (e = box_mount_table_get(table, i)); i++)
        if (is_below(table, e, top))
            r = remount_entry(table, e, c, err);
    return r;
}

int box_mount_old_change(int fd, const struct box_mount_change *c, box_error **err)
{
    char path[BOX_FD_PATH_SIZE];

    if (!c->propagation)
        return change_attributes(fd, c, err);
    if (mount(NULL, box_mount_fd_path(fd, path), NULL, c->propagation | (c->recursive ? MS_REC : 0), NULL) ==
        0)
        return 0;
    return box_fail_sys(err, "mount", NULL, "set a mount's propagation");
}

/* ---- Attaching
 * ---------------------------------------------------------------------------------------------- */

static int mount_bind(const box_mount *m, int target_fd, box_error **err)
{
    char from[BOX_FD_PATH_SIZE], to[BOX_FD_PATH_SIZE];
    unsigned long flags = MS_BIND | (m->recursive ? MS_REC : 0);

    if (mount(box_mount_fd_path(m->source_fd, from), box_mount_fd_path(target_fd, to), NULL, flags, NULL) ==
        0)
        return 0;
    return box_fail_sys(err, "mount", NULL, "make a bind mount");
}

static int mount_fs(const box_mount *m, int target_fd, box_error **err)
{
    char to[BOX_FD_PATH_SIZE];
    unsigned long flags = m->sb_flags | box_mount_attr_to_ms(m->attributes);

    if (mount(m->source, box_mount_fd_path(target_fd, to), m->type, flags, m->data) == 0)
        return 0;
    return box_fail_with(err,
                         &(struct box_fail_info){.code = errno == ENODEV   ? BOX_EUNSUPPORTED
                                                         : errno == EINVAL ? BOX_ESPEC
                                                                           : 0,
                                                 .errnum = errno,
                                                 .call = "mount",
                                                 .subject = m->type},
                         "cannot mount the file system with options \"%s\"", m->data);
}

int box_mount_old_attach(box_mount *m, int target_fd, box_error **err)
{
    int r = m->kind == BOX_OLD_BIND ? mount_bind(m, target_fd, err)
            : m->kind == BOX_OLD_FS
                ? mount_fs(m, target_fd, err)
                : box_overlay_old_mount(m->overlay, m->sb_flags | box_mount_attr_to_ms(m->attributes),
                                        target_fd, err);

    if (r < 0)
        return r;
    m->fd = box_mount_reopen(target_fd, m->kind == BOX_OLD_BIND ? m->source_fd : -1, err);
    return m->fd < 0 ? m->fd : 0;
}
