/* Overlays by descriptor. Public face: libbox/mount.h.
 *
 * Linux 6.13 takes layers as descriptors, 6.5 takes them one by one as paths (a descriptor's name in /proc
 * will do), and before that they come in one string: mount_overlay_old.c. A single layer with nothing above
 * it is no overlay for the kernel; it is a read-only bind mount, which shows the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fail.h"
#include "kernel/mount.h"
#include "kernel/mount_sys.h"

enum way { BY_FD, BY_NAME };

/* ---- Marks ---- */

bool box_overlay_is_trusted(void)
{
    char map[256];
    unsigned inside, outside, count;

    if (geteuid() != 0)
        return false;
    _close_ int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, map, sizeof(map) - 1);
    if (n < 0)
        return true;
    map[n] = '\0';
    return sscanf(map, "%u %u %u", &inside, &outside, &count) == 3 && inside == 0 && outside == 0 && count == UINT32_MAX;
}

ssize_t box_overlay_mark(int fd, const char *name, void *value, size_t size)
{
    char trusted[64], user[64];

    snprintf(trusted, sizeof(trusted), "trusted.overlay.%s", name);
    snprintf(user, sizeof(user), "user.overlay.%s", name);
    /* Whoever is not trusted sees none of the first kind, so that the question itself, which costs more than both
     * looks, is a rare one. */
    ssize_t n = fgetxattr(fd, trusted, value, size);
    if (n < 0)
        n = fgetxattr(fd, user, value, size);
    else
        return n;
    if (n >= 0 && box_overlay_is_trusted()) {
        errno = ENODATA;
        return -1;
    }
    return n;
}

/* ---- Mounting ---- */

size_t box_overlay_params(const box_mount_overlay *overlay, struct box_mount_param params[4])
{
    size_t n = 0;

    params[n++] = (struct box_mount_param){"metacopy", "off"};
    if (overlay->userxattr)
        params[n++] = (struct box_mount_param){"userxattr", NULL};
    if (overlay->no_sync && overlay->upper >= 0)
        params[n++] = (struct box_mount_param){"volatile", NULL};
    return n;
}

static int check_directory(int fd, const char *what, box_error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", what, "make an overlay");
    if (!S_ISDIR(st.st_mode))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = what},
                             "a layer of an overlay is not a directory");
    return 0;
}

static int check_overlay(const box_mount_overlay *o, box_error **err)
{
    int r = 0;

    if (o->n_lower == 0 || o->n_lower > BOX_MOUNT_OVERLAY_MAX)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = "lowerdir"},
                             "an overlay has 1 to %d lower directories, not %zu", BOX_MOUNT_OVERLAY_MAX,
                             o->n_lower);
    if ((o->upper < 0) != (o->work < 0))
        return box_fail(err, BOX_EINVAL, "an overlay has both an upper and a work directory, or neither");
    for (size_t i = 0; i < o->n_lower && r == 0; i++)
        r = check_directory(o->lower[i], "lowerdir", err);
    if (r == 0 && o->upper >= 0 && (r = check_directory(o->upper, "upperdir", err)) == 0)
        r = check_directory(o->work, "workdir", err);
    return r;
}

static int set_layer(int fsfd, enum way way, const char *key, int fd)
{
    char path[BOX_FD_PATH_SIZE];

    if (way == BY_FD)
        return k_fsconfig(fsfd, K_FSCONFIG_SET_FD, key, NULL, fd);
    return k_fsconfig(fsfd, K_FSCONFIG_SET_STRING, key, box_mount_fd_path(fd, path), 0);
}

static int fail_layer(int fsfd, const char *key, box_error **err)
{
    char log[400];
    int errnum = errno;

    box_mount_fs_log(fsfd, log, sizeof(log));
    return box_fail_with(
        err,
        &(struct box_fail_info){
            .code = errnum == EINVAL ? BOX_ESPEC : 0, .errnum = errnum, .call = "fsconfig", .subject = key},
        "overlay refuses a layer%s%s", *log ? ": " : "", log);
}

/* 0, a code, or 1: this kernel does not know this way. */
static int set_layers(int fsfd, enum way way, const box_mount_overlay *o, box_error **err)
{
    for (size_t i = 0; i < o->n_lower; i++)
        if (set_layer(fsfd, way, "lowerdir+", o->lower[i]) < 0)
            return i == 0 ? 1 : fail_layer(fsfd, "lowerdir+", err);
    if (o->upper >= 0) {
        if (set_layer(fsfd, way, "upperdir", o->upper) < 0)
            return fail_layer(fsfd, "upperdir", err);
        if (set_layer(fsfd, way, "workdir", o->work) < 0)
            return fail_layer(fsfd, "workdir", err);
    }
    return 0;
}

/* Before 6.5 overlay is behind a layer that collects strings, whatever their names, and complains only at the
 * end. */
static bool takes_anything(int fsfd)
{
    char log[200];
    bool taken = k_fsconfig(fsfd, K_FSCONFIG_SET_FLAG, "libbox-no-such-option", NULL, 0) == 0;

    /* What it says of that is not for the user. */
    box_mount_fs_log(fsfd, log, sizeof(log));
    return taken;
}

static int by_context(enum way way, const box_mount_overlay *o, const struct box_mount_options *options,
                      box_mount *m, box_error **err)
{
    struct box_mount_param own[4];
    size_t n_own = box_overlay_params(o, own);
    _close_ int fsfd = k_fsopen("overlay", K_FSOPEN_CLOEXEC);

    if (fsfd < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = errno == ENODEV ? BOX_EUNSUPPORTED : 0,
                                                     .errnum = errno,
                                                     .call = "fsopen",
                                                     .subject = "overlay",
                                                     .remedy = errno == ENODEV ? "modprobe overlay" : NULL},
                             "cannot make an overlay");
    int r = way == BY_NAME && takes_anything(fsfd) ? 1 : set_layers(fsfd, way, o, err);
    if (r == 0)
        r = box_mount_fs_flags(fsfd, options->sb_flags, err);
    for (size_t i = 0; i < n_own && r == 0; i++)
        r = box_mount_fs_param(fsfd, &own[i], err);
    for (size_t i = 0; i < options->n_params && r == 0; i++)
        r = box_mount_fs_param(fsfd, &options->params[i], err);
    return r != 0 ? r : box_mount_fs_finish(fsfd, "overlay", options->attr_set, m, err);
}

/* The layers as one string, at the time of attaching. */
static int by_old_api(const box_mount_overlay *o, const struct box_mount_options *options, box_mount *m,
                      box_error **err)
{
    m->old_api = true;
    m->kind = BOX_OLD_OVERLAY;
    m->sb_flags = options->sb_flags;
    m->attributes = options->attr_set;
    return box_overlay_old_prepare(o, options, m, err);
}

static int by_new_api(const box_mount_overlay *o, const struct box_mount_options *options, unsigned flags,
                      box_mount *m, box_error **err)
{
    int r = 1;

    if (!(flags & BOX_MOUNT_OVERLAY_ONE_STRING)) {
        r = by_context(BY_FD, o, options, m, err);
        if (r > 0)
            r = by_context(BY_NAME, o, options, m, err);
    }
    return r > 0 ? by_old_api(o, options, m, err) : r;
}

static int single_layer(int fd, const struct box_mount_options *options, unsigned flags, box_mount **mount,
                        box_error **err)
{
    _cleanup_(box_mount) box_mount *m = NULL;
    int r = box_mount_clone(fd, flags & BOX_MOUNT_OLD_API, &m, err);

    if (r == 0)
        r = box_mount_apply_options(m, options, false, err);
    if (r == 0)
        r = box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, false, err);
    if (r == 0)
        *mount = box_take(m);
    return r;
}

int box_mount_new_overlay(const box_mount_overlay *overlay, unsigned flags, box_mount **mount,
                          box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options options = {0};
    int r = check_overlay(overlay, err);

    if (r == 0)
        r = box_mount_options_parse(overlay->options, &options, err);
    if (r == 0)
        r = box_mount_check_new(&options, err);
    if (r < 0)
        return r;
    if (overlay->n_lower == 1 && overlay->upper < 0)
        return single_layer(overlay->lower[0], &options, flags, mount, err);
    _cleanup_(box_mount) box_mount *m = box_mount_alloc(err);
    if (!m)
        return BOX_ENOMEM;
    if ((flags & BOX_MOUNT_OLD_API) || !box_mount_have_new_api())
        r = by_old_api(overlay, &options, m, err);
    else
        r = by_new_api(overlay, &options, flags, m, err);
    if (r == 0)
        r = box_mount_apply_options(m, &options, true, err);
    if (r == 0)
        *mount = box_take(m);
    return r;
}
