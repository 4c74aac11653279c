/* Devices of the host in a container, and the privileged preset.
 *
 * A device is two things: a node below /dev, and a rule of the cgroup that lets it be opened. Both come
 * together or not at all. */
#include "spec/spec_util.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <libbox/cgroup.h>

enum { MAX_DEPTH = 16, MAX_DEVICES = 4096 };

static int parse_access(const char *access, unsigned *mask, box_error **err)
{
    *mask = 0;
    for (const char *p = access; *p; p++) {
        unsigned bit = *p == 'r'   ? BOX_DEVICE_READ
                       : *p == 'w' ? BOX_DEVICE_WRITE
                       : *p == 'm' ? BOX_DEVICE_MKNOD
                                   : 0;

        if (!bit || (*mask & bit))
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = access},
                                 "the access to a device is of r, w and m, each at most once");
        *mask |= bit;
    }
    return 0;
}

static int put_node(box_spec *spec, const struct spec_device *device, const char *path, box_error **err)
{
    struct spec_device *added;
    char *copy = strdup(path);

    added = copy ? SPEC_ADD(spec, devices, n_devices, err) : NULL;
    if (!added) {
        free(copy);
        return box_fail_nomem(err);
    }
    *added = *device;
    added->path = copy;
    return 0;
}

int box_spec_add_device_node(box_spec *spec, const char *inside, char type, int64_t major, int64_t minor,
                             mode_t mode, uid_t uid, gid_t gid, box_error **err)
{
    struct spec_device device = {
        .type = type,
        .major = major,
        .minor = minor,
        .has_mode = true,
        .has_uid = true,
        .has_gid = true,
        .mode = mode & 07777,
        .uid = uid,
        .gid = gid,
    };
    int r = spec_need_absolute(inside, "the path of a device", err);

    if (r < 0)
        return r;
    if (!type || !strchr("cbup", type) || (type != 'p' && (major < 0 || minor < 0)))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = inside},
                             "a device has a type of c, b, u or p, and numbers that are not negative");
    return put_node(spec, &device, inside, err);
}

int box_spec_add_device_rule(box_spec *spec, bool allow, char type, int64_t major, int64_t minor,
                             const char *access, box_error **err)
{
    struct box_device_rule rule = {.allow = allow, .type = type, .major = major, .minor = minor};
    struct box_limits *limits;
    int r = parse_access(access ? access : "rwm", &rule.access, err);

    if (r < 0)
        return r;
    limits = box_spec_limits(spec);
    return limits ? box_limits_add_device(limits, &rule, err) : box_fail_nomem(err);
}

/* ---- devices of the host ----------------------------------------------------------------------------- */

/* A walk that adds what it meets, and can be taken back as a whole. */
struct device_walk {
    box_spec *spec;
    struct box_limits *limits; /* a copy with the new rules */
    unsigned access;           /* 0: nodes without rules */
    size_t n_before;
};

static int walk_begin(struct device_walk *walk, box_spec *spec, unsigned access, box_error **err)
{
    *walk = (struct device_walk){.spec = spec, .access = access, .n_before = spec->n_devices};
    walk->limits = box_limits_copy(spec->limits, err);
    return walk->limits ? 0 : spec_code(err);
}

static int walk_end(struct device_walk *walk, int r)
{
    box_spec *spec = walk->spec;

    if (r == 0) {
        box_limits_free(spec->limits);
        spec->limits = walk->limits;
        return 0;
    }
    while (spec->n_devices > walk->n_before)
        spec_owned_clear(&spec->devices[--spec->n_devices], &spec_device_type);
    box_limits_free(walk->limits);
    return r;
}

static int add_one(struct device_walk *walk, const struct stat *st, const char *inside, box_error **err)
{
    struct spec_device device = {
        .type = S_ISBLK(st->st_mode) ? 'b' : 'c',
        .major = major(st->st_rdev),
        .minor = minor(st->st_rdev),
        .has_mode = true,
        .has_uid = true,
        .has_gid = true,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
    };
    struct box_device_rule rule = {.allow = 1,
                                   .type = device.type,
                                   .major = device.major,
                                   .minor = device.minor,
                                   .access = walk->access};
    int r;

    if (walk->spec->n_devices - walk->n_before >= MAX_DEVICES)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = inside},
                             "more than %d devices", MAX_DEVICES);
    r = put_node(walk->spec, &device, inside, err);
    return r < 0 || !walk->access ? r : box_limits_add_device(walk->limits, &rule, err);
}

/* What lies in /dev itself and is no device of the host's, or is made anew for every container. */
static bool passed_over(const char *directory, const char *name)
{
    static const char *const names[] = {
        "pts",  "shm",  "fd",   "mqueue", "console", ".udev", ".lxc", ".lxd-mounts",
        "null", "zero", "full", "random", "urandom", "tty",   "ptmx",
    };

    if (!strcmp(name, ".") || !strcmp(name, ".."))
        return true;
    for (size_t i = 0; i < BOX_ARRAY(names) && !strcmp(directory, "/dev"); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

/* Every device below a directory; links are not followed, so that each is met once. */
static int add_below(struct device_walk *walk, int parent, const char *name, const char *inside, int depth,
                     box_error **err)
{
    _close_ int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
    _closedir_ DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    int r = 0;

    if (!dir)
        return depth && errno == ENOENT
                   ? 0
                   : box_fail_sys(err, "openat", inside, "list the devices of a directory");
    box_take_fd(&fd);
    if (depth > MAX_DEPTH)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = inside},
                             "the directory of devices is too deep");
    while (r == 0 && (entry = readdir(dir))) {
        _free_ char *path = NULL;
        struct stat st;

        if (passed_over(inside, entry->d_name) ||
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (asprintf(&path, "%s/%s", inside, entry->d_name) < 0) {
            path = NULL;
            r = box_fail_nomem(err);
        } else if (S_ISDIR(st.st_mode)) {
            r = add_below(walk, dirfd(dir), entry->d_name, path, depth + 1, err);
        } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
            r = add_one(walk, &st, path, err);
        }
    }
    return r;
}

int box_spec_add_device(box_spec *spec, const char *path, const char *inside, const char *access,
                        box_error **err)
{
    struct device_walk walk;
    struct stat st;
    unsigned mask;
    int r = spec_need_absolute(path, "the path of a device", err);

    if (r == 0 && inside)
        r = spec_need_absolute(inside, "the path of a device in the container", err);
    if (r == 0)
        r = parse_access(access && *access ? access : "rwm", &mask, err);
    if (r < 0)
        return r;
    if (stat(path, &st) < 0)
        return box_fail_sys(err, "stat", path, "find a device");
    if (!S_ISDIR(st.st_mode) && !S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "neither a device nor a directory of devices");
    r = walk_begin(&walk, spec, mask, err);
    if (r < 0)
        return r;
    if (S_ISDIR(st.st_mode))
        r = add_below(&walk, AT_FDCWD, path, inside ? inside : path, 0, err);
    else
        r = add_one(&walk, &st, inside ? inside : path, err);
    return walk_end(&walk, r);
}

int box_spec_set_default_devices(box_spec *spec, bool on, box_error **err)
{
    (void)err;
    spec->default_devices = on;
    return 0;
}

/* ---- privileged -------------------------------------------------------------------------------------- */

static const char *const kernel_file_systems[] = {"sysfs", "cgroup", "cgroup2", "proc"};

/* /sys, /proc and the cgroups can be written to. */
static void make_writable(struct spec_mount *mount)
{
    for (size_t i = 0; i < BOX_ARRAY(kernel_file_systems); i++) {
        if (!mount->type || strcmp(mount->type, kernel_file_systems[i]) != 0)
            continue;
        for (size_t k = 0; mount->options && mount->options[k];) {
            if (!strcmp(mount->options[k], "ro"))
                spec_strv_remove(mount->options, k);
            else
                k++;
        }
    }
}

static int walk_all(struct device_walk *walk, box_error **err)
{
    struct box_device_rule everything = {.allow = 1, .type = 'a', .major = -1, .minor = -1, .access = 7};
    int r = add_below(walk, AT_FDCWD, "/dev", "/dev", 0, err);

    if (r < 0)
        return r;
    box_limits_clear_devices(walk->limits);
    return box_limits_add_device(walk->limits, &everything, err);
}

/* All that this program could hand on: a host that itself runs with a smaller set has no more to give. */
static uint64_t capabilities_to_give(void)
{
    uint64_t mask = 0;

    for (int i = 0; i <= (int)box_capability_last(); i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            mask |= (uint64_t)1 << i;
    return mask;
}

int box_spec_set_privileged(box_spec *spec, box_error **err)
{
    struct device_walk walk;
    int r = walk_begin(&walk, spec, 0, err);

    if (r == 0)
        r = walk_end(&walk, walk_all(&walk, err));
    if (r < 0)
        return r;
    /* Nothing below can fail. */
    box_spec_set_seccomp(spec, NULL, NULL);
    box_spec_set_capability_mask(spec, capabilities_to_give(), NULL);
    box_spec_set_no_new_privileges(spec, false, NULL);
    box_spec_set_apparmor(spec, NULL, NULL);
    box_spec_set_selinux(spec, NULL, NULL);
    box_spec_clear_masked_paths(spec, NULL);
    box_spec_clear_readonly_paths(spec, NULL);
    for (size_t i = 0; i < spec->n_mounts; i++)
        make_writable(&spec->mounts[i]);
    return 0;
}
