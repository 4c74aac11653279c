/* Devices of a container: the ones that every container has, those of the spec, the links beside them; and the view of
 * the cgroup hierarchies. In a user namespace no device can be made, so the host's are bound, checked by number. */
#include "launch/plan.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"

static bool is_device(const char *path, mode_t mode, dev_t device)
{
    struct stat st;

    return stat(path, &st) == 0 && (st.st_mode & S_IFMT) == (mode & S_IFMT) && st.st_rdev == device;
}

/* Where the host has the device that a container is to have under `path`: there, or where the kernel says. */
static const char *host_path(const char *path, mode_t mode, dev_t device, char *buffer, size_t size)
{
    char uevent[80], line[256];

    if (is_device(path, mode, device))
        return path;
    snprintf(uevent, sizeof(uevent), "/sys/dev/%s/%u:%u/uevent", S_ISBLK(mode) ? "block" : "char", major(device), minor(device));
    _fclose_ FILE *f = fopen(uevent, "re");
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "DEVNAME=", 8) != 0)
            continue;
        snprintf(buffer, size, "/dev/%s", line + 8);
        return is_device(buffer, mode, device) ? buffer : path;
    }
    return path;
}

static void add_device(struct builder *b, const char *path, mode_t mode, dev_t device, uid_t uid, gid_t gid)
{
    char buffer[300];
    bool below_dev = strncmp(path, "/dev/", 5) == 0 && !strchr(path + 5, '/') && b->have_dev;
    bool bind = (b->new_user || b->in_user) && !S_ISFIFO(mode); /* anybody may make a FIFO, and the host has none to bind */
    uint32_t flags = bind ? DEVICE_BIND : below_dev ? 0 : DEVICE_PATH;
    uint32_t name = builder_string(b, flags ? path : path + 5);

    builder_add(b, NEW_OP(MKNOD, .str = name, .str2 = bind ? builder_string(b, host_path(path, mode, device, buffer, sizeof(buffer))) : 0,
                          .num = mode,
                          .num2 = device, .num3 = uid, .num4 = gid, .flags = flags));
}

static void add_default_devices(struct builder *b)
{
    static const struct {
        const char *path;
        unsigned major, minor;
    } devices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
                   {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
    static const char *const links[][2] = {{"/proc/self/fd", "/dev/fd"},
                                           {"/proc/self/fd/0", "/dev/stdin"},
                                           {"/proc/self/fd/1", "/dev/stdout"},
                                           {"/proc/self/fd/2", "/dev/stderr"},
                                           {"/proc/kcore", "/dev/core"}};

    for (size_t i = 0; i < BOX_ARRAY(devices); i++)
        add_device(b, devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor), 0, 0);
    for (size_t i = 0; i < BOX_ARRAY(links); i++)
        builder_add(b, NEW_OP(SYMLINK, .str = builder_string(b, links[i][0]), .str2 = builder_string(b, links[i][1])));
    if (b->have_devpts)
        builder_add(b, NEW_OP(SYMLINK, .str = builder_string(b, "pts/ptmx"), .str2 = builder_string(b, "/dev/ptmx")));
}

static mode_t type_bits(char type)
{
    return type == 'b' ? S_IFBLK : type == 'p' ? S_IFIFO : S_IFCHR;
}

/* ---- the rules that go with them ---------------------------------------------------------------------------------- */

static bool has_rule(const box_limits *limits, const struct box_device_rule *rule)
{
    const struct box_device_rule *r;

    for (size_t i = 0; (r = box_limits_device_at(limits, i)); i++)
        if (r->allow == rule->allow && r->type == rule->type && r->major == rule->major && r->minor == rule->minor &&
            r->access == rule->access)
            return true;
    return false;
}

/* A document says "deny everything" and means "but what every container has": OCI has a runtime supply the default devices,
 * which nobody could make or open otherwise. */
static int allow_defaults(box_limits *limits, box_error **err)
{
    _cleanup_(box_limits) box_limits *defaults = box_limits_new(err);
    const struct box_device_rule *rule;
    int r = defaults ? box_limits_add_default_devices(defaults, err) : BOX_ENOMEM;

    for (size_t i = 0; r >= 0 && (rule = box_limits_device_at(defaults, i)); i++)
        if (rule->allow && !has_rule(limits, rule))
            r = box_limits_add_device(limits, rule, err);
    return r;
}

static bool allows_all(const box_limits *limits)
{
    const struct box_device_rule *last = box_limits_device_at(limits, limits->device_count - 1);

    return last->allow && last->type == 'a';
}

int launch_limits(const box_spec *spec, struct box_limits **limits, box_error **err)
{
    _cleanup_(box_limits) box_limits *copy = spec->limits ? box_limits_copy(spec->limits, err) : NULL;
    int r = 0;

    if (spec->limits && !copy)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    if (copy && copy->device_count && spec->default_devices && spec->root.kind != SPEC_ROOT_HOST && !allows_all(copy))
        r = allow_defaults(copy, err);
    if (r >= 0)
        *limits = box_take(copy);
    return r;
}

int plan_add_devices(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;

    if (spec->default_devices)
        add_default_devices(b);
    for (size_t i = 0; i < spec->n_devices; i++) {
        const struct spec_device *d = &spec->devices[i];
        bool fifo = d->type == 'p'; /* its numbers mean nothing */
        if (fifo) {
            add_device(b, d->path, S_IFIFO | (d->has_mode ? d->mode & 07777 : 0666), 0, d->has_uid ? d->uid : 0,
                       d->has_gid ? d->gid : 0);
            continue;
        }
        if (d->major < 0 || d->minor < 0 || d->major > 0xfff || d->minor > 0xfffff)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = d->path},
                                 "a device number is out of range");
        add_device(b, d->path, type_bits(d->type) | (d->has_mode ? d->mode & 07777 : 0666),
                   makedev((unsigned)d->major, (unsigned)d->minor), d->has_uid ? d->uid : 0, d->has_gid ? d->gid : 0);
    }
    return 0;
}

/* The hierarchies of this host, from /proc/self/cgroup: "4:cpu,cpuacct:/", "1:name=systemd:/", "0::/". `wanted`: those
 * that the process's cgroup is in. In the others it stays where the host is, and the host's cgroups are not its business.
 * 0: it stays there in all, and is shown them all. */
static int hierarchies(unsigned wanted, char *out, size_t size, size_t *used, bool *v1, box_error **err)
{
    _fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
    char line[4400];

    if (!f)
        return box_fail_sys(err, "fopen", "/proc/self/cgroup", "read the cgroup hierarchies");
    *used = 0;
    *v1 = false;
    while (fgets(line, sizeof(line), f)) {
        char *controllers = strchr(line, ':'), *end = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!end)
            continue;
        *end = '\0';
        controllers++;
        const char *name = !*controllers                             ? "unified"
                           : strncmp(controllers, "name=", 5) == 0 ? controllers + 5
                                                                     : controllers;
        size_t n = strlen(name) + 1, c = strlen(controllers) + 1;
        *v1 |= *controllers != '\0';
        if (wanted && !(wanted & (*controllers ? cgroup_controllers_mask(controllers) : BOX_CONTROLLER_UNIFIED)))
            continue;
        if (*used + n + c > size)
            break;
        memcpy(out + *used, name, n);
        memcpy(out + *used + n, controllers, c);
        *used += n + c;
    }
    return 0;
}

int plan_add_cgroup_view(struct builder *b, uint64_t attrs, int slot, uint32_t target, uint32_t flags, box_error **err)
{
    char list[2048];
    size_t size = 0;
    bool v1 = false;
    int r = hierarchies(b->plan->cgroup_wanted, list, sizeof(list), &size, &v1, err);

    if (r < 0)
        return r;
    builder_add(b, NEW_OP(TARGET, .str = target, .flags = flags | TARGET_DIRECTORY | TARGET_SHUN_PROC));
    if (v1) {
        builder_add(b, NEW_OP(CGROUP_VIEW, .slot = slot, .str = target, .data = builder_data(b, list, size),
                              .data_size = (uint32_t)size, .num = attrs, .flags = flags));
        return 0;
    }
    uint32_t type = builder_string(b, "cgroup2"), source = builder_string(b, "cgroup");
    builder_add(b, NEW_OP(NEW_FS, .slot = slot, .str = type, .str2 = source, .num = attrs, .flags = flags));
    builder_add(b, NEW_OP(ATTACH, .str = target, .slot = slot, .flags = flags));
    return 0;
}
