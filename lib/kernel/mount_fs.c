/* New instances of file systems. Public face: libbox/mount.h.
 *
 * A file system context takes one option at a time, so an error names the one that is wrong, and keeps the
 * kernel's own words, which go into the error. */
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fail.h"
#include "kernel/mount.h"
#include "kernel/mount_sys.h"

static const struct {
    unsigned long flag;
    const char *name;
} super_flags[] = {
    {MS_RDONLY, "ro"},     {MS_SYNCHRONOUS, "sync"},  {MS_DIRSYNC, "dirsync"},
    {MS_MANDLOCK, "mand"}, {MS_LAZYTIME, "lazytime"},
};

const char *box_mount_fs_log(int fsfd, char *buffer, size_t size)
{
    size_t have = 0;
    ssize_t n;

    /* One message a read, "e fs: text"; ENODATA after the last. */
    while (have + 3 < size && (n = read(fsfd, buffer + have, size - have - 3)) > 0) {
        have += (size_t)n;
        while (have > 0 && buffer[have - 1] == '\n')
            have--;
        memcpy(buffer + have, "; ", 2);
        have += 2;
    }
    buffer[have >= 2 ? have - 2 : 0] = '\0';
    return buffer;
}

static int fail_param(int fsfd, const struct box_mount_param *param, int errnum, box_error **err)
{
    char log[400];
    struct box_fail_info info = {.code = errnum == EINVAL || errnum == ERANGE ? BOX_ESPEC : 0,
                                 .errnum = errnum,
                                 .call = "fsconfig",
                                 .subject = param->key};

    box_mount_fs_log(fsfd, log, sizeof(log));
    if (param->value && strlen(param->value) > 255)
        return box_fail_with(err, &info, "the value of a file system's option is longer than 255 bytes");
    return box_fail_with(err, &info, "the file system refuses an option%s%s", *log ? ": " : "", log);
}

int box_mount_fs_param(int fsfd, const struct box_mount_param *param, box_error **err)
{
    unsigned command = param->value ? K_FSCONFIG_SET_STRING : K_FSCONFIG_SET_FLAG;

    if (k_fsconfig(fsfd, command, param->key, param->value, 0) == 0)
        return 0;
    return fail_param(fsfd, param, errno, err);
}

int box_mount_fs_flags(int fsfd, unsigned long sb_flags, box_error **err)
{
    for (size_t i = 0; i < BOX_ARRAY(super_flags); i++) {
        struct box_mount_param param = {.key = (char *)super_flags[i].name};
        int r = sb_flags & super_flags[i].flag ? box_mount_fs_param(fsfd, &param, err) : 0;

        if (r < 0)
            return r;
    }
    /* mount(2) passes this on to whatever file system, and most pay no heed; here they would refuse. */
    if (sb_flags & MS_I_VERSION)
        k_fsconfig(fsfd, K_FSCONFIG_SET_FLAG, "iversion", NULL, 0);
    return 0;
}

static int fail_create(int fsfd, const char *type, const char *call, int errnum, box_error **err)
{
    char log[400];
    const char *remedy = NULL;

    box_mount_fs_log(fsfd, log, sizeof(log));
    if (errnum == EPERM && (strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0))
        remedy = "in a user namespace it needs a new pid namespace (proc) or network namespace (sysfs), and "
                 "one that "
                 "is mounted already with nothing mounted over parts of it";
    return box_fail_with(err,
                         &(struct box_fail_info){.code = errnum == EINVAL ? BOX_ESPEC : 0,
                                                 .errnum = errnum,
                                                 .call = call,
                                                 .subject = type,
                                                 .remedy = remedy},
                         "cannot make the file system%s%s", *log ? ": " : "", log);
}

int box_mount_fs_finish(int fsfd, const char *type, uint64_t attributes, box_mount *mount, box_error **err)
{
    struct stat st;

    if (k_fsconfig(fsfd, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return fail_create(fsfd, type, "fsconfig", errno, err);
    mount->fd = k_fsmount(fsfd, K_FSMOUNT_CLOEXEC, (unsigned)attributes);
    if (mount->fd < 0)
        return fail_create(fsfd, type, "fsmount", errno, err);
    mount->is_dir = fstat(mount->fd, &st) < 0 || S_ISDIR(st.st_mode);
    return 0;
}

static int fail_fsopen(const char *type, box_error **err)
{
    bool missing = errno == ENODEV;

    return box_fail_with(
        err,
        &(struct box_fail_info){.code = missing ? BOX_EUNSUPPORTED : 0,
                                .errnum = errno,
                                .call = "fsopen",
                                .subject = type,
                                .remedy = missing ? "load its kernel module with modprobe(8)" : NULL},
        missing ? "this kernel has no such file system" : "cannot make a file system");
}

int box_mount_check_new(const struct box_mount_options *o, box_error **err)
{
    const char *name = o->bind        ? "bind"
                       : o->remount   ? "remount"
                       : o->tmpcopyup ? "tmpcopyup"
                       : o->idmap     ? "idmap"
                                      : NULL;

    if (!name)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = name},
                         "not an option of a new file system");
}

static int new_by_new_api(const char *type, const char *source, const struct box_mount_options *o,
                          box_mount *m, box_error **err)
{
    _close_ int fsfd = k_fsopen(type, K_FSOPEN_CLOEXEC);
    struct box_mount_param source_param = {.key = "source", .value = (char *)source};
    int r = 0;

    if (fsfd < 0)
        return fail_fsopen(type, err);
    if (source)
        r = box_mount_fs_param(fsfd, &source_param, err);
    if (r == 0)
        r = box_mount_fs_flags(fsfd, o->sb_flags, err);
    for (size_t i = 0; i < o->n_params && r == 0; i++)
        r = box_mount_fs_param(fsfd, &o->params[i], err);
    return r < 0 ? r : box_mount_fs_finish(fsfd, type, o->attr_set, m, err);
}

static int new_by_old_api(const char *type, const char *source, const struct box_mount_options *o,
                          box_mount *m, box_error **err)
{
    m->old_api = true;
    m->kind = BOX_OLD_FS;
    m->sb_flags = o->sb_flags;
    m->attributes = o->attr_set;
    m->type = strdup(type);
    m->source = strdup(source ? source : "none");
    m->data = strdup(o->data);
    if (!m->type || !m->source || !m->data)
        return box_fail_nomem(err);
    if (strlen(o->data) >= (size_t)sysconf(_SC_PAGESIZE))
        return box_fail(err, BOX_ELIMIT, "mount options longer than a page");
    return 0;
}

int box_mount_new(const char *type, const char *source, const char *options, unsigned flags,
                  box_mount **mount, box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options o;
    _cleanup_(box_mount) box_mount *m = box_mount_alloc(err);
    int r = box_mount_options_parse(options, &o, m ? err : NULL);

    if (!m || r < 0)
        return m ? r : BOX_ENOMEM;
    if ((r = box_mount_check_new(&o, err)) < 0)
        return r;
    if ((flags & BOX_MOUNT_OLD_API) || !box_mount_have_new_api())
        r = new_by_old_api(type, source, &o, m, err);
    else
        r = new_by_new_api(type, source, &o, m, err);
    if (r == 0)
        r = box_mount_apply_options(m, &o, true, err);
    if (r == 0)
        *mount = box_take(m);
    return r;
}

/* ---- Those that every container has
 * -------------------------------------------------------------------------- */

int box_mount_new_tmpfs(uint64_t size, uint64_t inodes, unsigned mode, unsigned flags, box_mount **mount,
                        box_error **err)
{
    char options[128];
    int n = snprintf(options, sizeof(options), "nosuid,nodev,mode=%o", mode & 07777);

    if (size)
        n += snprintf(options + n, sizeof(options) - (size_t)n, ",size=%llu", (unsigned long long)size);
    if (inodes)
        snprintf(options + n, sizeof(options) - (size_t)n, ",nr_inodes=%llu", (unsigned long long)inodes);
    return box_mount_new("tmpfs", "tmpfs", options, flags, mount, err);
}

int box_mount_new_proc(int hidepid, bool pids_only, unsigned flags, box_mount **mount, box_error **err)
{
    char options[128];

    if (hidepid < 0 || hidepid > 4 || hidepid == 3)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = "hidepid"},
                             "%d is not 0, 1, 2 or 4", hidepid);
    snprintf(options, sizeof(options), "nosuid,nodev,noexec%s", pids_only ? ",subset=pid" : "");
    if (hidepid)
        snprintf(options + strlen(options), sizeof(options) - strlen(options), ",hidepid=%d", hidepid);
    return box_mount_new("proc", "proc", options, flags, mount, err);
}

int box_mount_new_sysfs(bool readonly, unsigned flags, box_mount **mount, box_error **err)
{
    _cleanup_(box_mount) box_mount *m = NULL;
    /* "ro" for the mount alone: the super block is one for all of a network namespace. */
    int r = box_mount_new("sysfs", "sysfs", "nosuid,nodev,noexec", flags, &m, err);

    if (r == 0 && readonly)
        r = box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, false, err);
    if (r == 0)
        *mount = box_take(m);
    return r;
}

int box_mount_new_devpts(unsigned gid, unsigned mode, unsigned ptmx_mode, unsigned flags, box_mount **mount,
                         box_error **err)
{
    char options[128];
    int n = snprintf(options, sizeof(options), "nosuid,noexec,newinstance,mode=%o,ptmxmode=%o", mode & 0777,
                     ptmx_mode & 0777);

    if (gid != (unsigned)-1)
        snprintf(options + n, sizeof(options) - (size_t)n, ",gid=%u", gid);
    return box_mount_new("devpts", "devpts", options, flags, mount, err);
}

int box_mount_new_mqueue(unsigned flags, box_mount **mount, box_error **err)
{
    return box_mount_new("mqueue", "mqueue", "nosuid,nodev,noexec", flags, mount, err);
}
