/* What cgroup hierarchies this host has, where they are mounted, and where we are in each.
 *
 * /proc/self/mountinfo says what is mounted and which part of each hierarchy (a container sees a part only);
 * /proc/self/cgroup says where we are. A mount counts only when its path still leads to it: in a mount
 * namespace where cgroup2 was mounted over /sys/fs/cgroup, the v1 mounts below are still listed but cannot be
 * reached. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "kernel/cgroup_limits.h"

static const struct {
    const char *name; /* v2's, or the only one */
    const char *v1;   /* v1's when it differs */
    unsigned controller;
} controllers[] = {
    {"cpu", NULL, BOX_CONTROLLER_CPU},
    {"cpuacct", NULL, BOX_CONTROLLER_CPUACCT},
    {"cpuset", NULL, BOX_CONTROLLER_CPUSET},
    {"memory", NULL, BOX_CONTROLLER_MEMORY},
    {"io", "blkio", BOX_CONTROLLER_IO},
    {"pids", NULL, BOX_CONTROLLER_PIDS},
    {"devices", NULL, BOX_CONTROLLER_DEVICES},
    {"freezer", NULL, BOX_CONTROLLER_FREEZER},
    {"hugetlb", NULL, BOX_CONTROLLER_HUGETLB},
    {"rdma", NULL, BOX_CONTROLLER_RDMA},
    {"net_cls", NULL, BOX_CONTROLLER_NET_CLS},
    {"net_prio", NULL, BOX_CONTROLLER_NET_PRIO},
    {"perf_event", NULL, BOX_CONTROLLER_PERF_EVENT},
    {"misc", NULL, BOX_CONTROLLER_MISC},
    {"systemd", "name=systemd", BOX_CONTROLLER_SYSTEMD},
    {"unified", NULL, BOX_CONTROLLER_UNIFIED},
};

const char *box_controller_name(unsigned controller)
{
    for (size_t i = 0; i < BOX_ARRAY(controllers); i++) {
        if (controllers[i].controller == controller)
            return controllers[i].name;
    }
    return NULL;
}

static unsigned controller_from(const char *name, size_t length)
{
    for (size_t i = 0; i < BOX_ARRAY(controllers); i++) {
        const char *v1 = controllers[i].v1, *v2 = controllers[i].name;

        if ((strncmp(v2, name, length) == 0 && v2[length] == '\0') ||
            (v1 && strncmp(v1, name, length) == 0 && v1[length] == '\0'))
            return controllers[i].controller;
    }
    return 0;
}

unsigned box_controller_from_name(const char *name)
{
    return name ? controller_from(name, strlen(name)) : 0;
}

unsigned box_controller_of_file(const char *file)
{
    unsigned mask = controller_from(file, strcspn(file, "."));

    return mask & (BOX_CONTROLLER_SYSTEMD | BOX_CONTROLLER_UNIFIED) ? 0 : mask;
}

unsigned cgroup_controllers_mask(const char *list)
{
    unsigned mask = 0;

    while (*list) {
        size_t length = strcspn(list, ", \n");

        mask |= length ? controller_from(list, length) : 0;
        list += length;
        list += strspn(list, ", \n");
    }
    return mask;
}

/* ---- mountinfo ---- */

/* Undoes the kernel's \040 for white space, in place. */
static void unescape(char *s)
{
    char *out = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' && s[3] >= '0' &&
            s[3] <= '7') {
            *out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

/* The controllers and the name= among a v1 mount's options, as /proc/PID/cgroup lists them. */
static char *v1_names(const char *options)
{
    char *names = calloc(1, strlen(options) + 1), *out = names;

    while (names && *options) {
        size_t length = strcspn(options, ",");

        if (controller_from(options, length) || strncmp(options, "name=", 5) == 0) {
            if (out != names)
                *out++ = ',';
            out = mempcpy(out, options, length);
        }
        options += length + (options[length] == ',');
    }
    return names;
}

struct mount_line {
    dev_t device;
    char *root, *mountpoint, *type, *options;
};

/* proc_pid_mountinfo(5): id parent major:minor root mountpoint options [tags...] - type source super-options
 */
static bool parse_mount_line(char *line, struct mount_line *out)
{
    uint64_t major, minor;
    char *field[6], *word;

    for (int i = 0; i < 6; i++) {
        if (!(field[i] = cgroup_next_word(&line)))
            return false;
    }
    do
        word = cgroup_next_word(&line);
    while (word && strcmp(word, "-") != 0);
    if (!word || !cgroup_parse_device(field[2], &major, &minor))
        return false;
    out->device = makedev((unsigned)major, (unsigned)minor);
    out->root = field[3];
    out->mountpoint = field[4];
    unescape(out->root);
    unescape(out->mountpoint);
    out->type = cgroup_next_word(&line);
    if (!out->type || !cgroup_next_word(&line))
        return false;
    out->options = cgroup_next_word(&line);
    return out->options != NULL;
}

static void free_mount(struct cgroup_mount *mount)
{
    free(mount->names);
    free(mount->mountpoint);
    free(mount->root);
    free(mount->own);
    *mount = (struct cgroup_mount){0};
}

/* A hierarchy may be mounted twice: the mount that shows all of it wins, then the first. */
static struct cgroup_mount *slot_for(box_cgroup_host *host, const struct cgroup_mount *mount)
{
    for (int i = 0; i < host->count; i++) {
        struct cgroup_mount *old = &host->mount[i];

        if (old->v2 != mount->v2 || strcmp(old->names, mount->names) != 0)
            continue;
        if (strcmp(old->root, "/") == 0 || strcmp(mount->root, "/") != 0)
            return NULL;
        free_mount(old);
        return old;
    }
    return host->count < CGROUP_HIERARCHIES ? &host->mount[host->count++] : NULL;
}

int cgroup_host_parse_mountinfo(box_cgroup_host *host, char *text,
                                bool (*visible)(const char *mountpoint, dev_t device), box_error **err)
{
    for (char *line; (line = cgroup_next_line(&text));) {
        struct mount_line parsed;

        if (!parse_mount_line(line, &parsed))
            return box_fail_with(err,
                                 &(struct box_fail_info){.code = BOX_EPARSE, .call = "/proc/self/mountinfo"},
                                 "a line is not as the kernel writes it");

        struct cgroup_mount mount = {.v2 = strcmp(parsed.type, "cgroup2") == 0};

        if ((!mount.v2 && strcmp(parsed.type, "cgroup") != 0) ||
            (visible && !visible(parsed.mountpoint, parsed.device)))
            continue;
        mount.names = mount.v2 ? strdup("") : v1_names(parsed.options);
        mount.root = strdup(parsed.root);
        mount.mountpoint = strdup(parsed.mountpoint);
        if (!mount.names || !mount.root || !mount.mountpoint) {
            free_mount(&mount);
            return box_fail_nomem(err);
        }
        mount.controllers = mount.v2 ? BOX_CONTROLLER_UNIFIED : cgroup_controllers_mask(mount.names);

        struct cgroup_mount *slot = mount.controllers ? slot_for(host, &mount) : NULL;

        if (slot)
            *slot = mount;
        else
            free_mount(&mount);
    }
    return 0;
}

/* ---- our own place ---- */

const char *cgroup_below_root(const char *root, const char *path)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);

    /* "/../.." is how a part outside of our cgroup namespace shows. */
    if (strncmp(root, "/..", 3) == 0 || strncmp(path, "/..", 3) == 0)
        return NULL;
    if (strncmp(path, root, length) != 0 || (path[length] != '/' && path[length] != '\0'))
        return NULL;
    return strcmp(path + length, "/") == 0 ? "" : path + length;
}

/* Splits "ID:NAMES:PATH". */
static bool split_own_line(char *line, char **names, char **path)
{
    char *colon = strchr(line, ':');
    char *second = colon ? strchr(colon + 1, ':') : NULL;

    if (!second || second[1] != '/')
        return false;
    *second = '\0';
    *names = colon + 1;
    *path = second + 1;
    return true;
}

static bool same_hierarchy(const struct cgroup_mount *mount, const char *names)
{
    if (mount->v2 || *names == '\0')
        return mount->v2 && *names == '\0';
    return strcmp(mount->names, names) == 0 ||
           (mount->controllers != 0 && mount->controllers == cgroup_controllers_mask(names));
}

int cgroup_host_parse_own(box_cgroup_host *host, char *text, box_error **err)
{
    for (char *line; (line = cgroup_next_line(&text));) {
        char *names, *path;

        if (!split_own_line(line, &names, &path))
            return box_fail_with(err,
                                 &(struct box_fail_info){.code = BOX_EPARSE, .call = "/proc/self/cgroup"},
                                 "a line is not as the kernel writes it");
        for (int i = 0; i < host->count; i++) {
            struct cgroup_mount *mount = &host->mount[i];
            const char *below = same_hierarchy(mount, names) ? cgroup_below_root(mount->root, path) : NULL;

            if (!below || mount->own)
                continue;
            mount->own = strdup(below);
            if (!mount->own)
                return box_fail_nomem(err);
        }
    }
    return 0;
}

/* ---- the host object ---- */

/* One call a mount: the device number alone tells that its path still leads to it. */
static bool is_mounted_there(const char *mountpoint, dev_t device)
{
    struct stat st;

    return stat(mountpoint, &st) == 0 && S_ISDIR(st.st_mode) && st.st_dev == device;
}

int cgroup_mount_open(const struct cgroup_mount *mount)
{
    _close_ int fd = open(mount->mountpoint, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;

    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    if ((uint64_t)fs.f_type != (mount->v2 ? CGROUP2_SUPER_MAGIC : CGROUP_SUPER_MAGIC))
        return -ENODEV;
    return box_take_fd(&fd);
}

static int read_proc(const char *path, char **text, box_error **err)
{
    int r = cgroup_read(AT_FDCWD, path, text);

    if (r == 0)
        return 0;
    errno = -r;
    return r == -ENOMEM ? box_fail_nomem(err) : box_fail_sys(err, "read", path, "find the cgroups");
}

/* What is always there on v2, or is given by other means than a controller. What a v1 hierarchy has belongs
 * to it. */
static void complete_v2(box_cgroup_host *host)
{
    unsigned v1 = 0;

    for (int i = 0; i < host->count; i++)
        v1 |= host->mount[i].v2 ? 0 : host->mount[i].controllers;
    for (int i = 0; i < host->count; i++) {
        struct cgroup_mount *mount = &host->mount[i];
        _close_ int fd = mount->v2 ? cgroup_mount_open(mount) : -1;

        if (fd < 0)
            continue;
        mount->controllers |= cgroup_v2_read_mask(fd, "cgroup.controllers");
        mount->controllers |= BOX_CONTROLLER_FREEZER | BOX_CONTROLLER_CPUACCT;
        if (!(v1 & BOX_CONTROLLER_PERF_EVENT))
            mount->controllers |= BOX_CONTROLLER_PERF_EVENT;
        if (!(v1 & BOX_CONTROLLER_DEVICES))
            mount->controllers |= BOX_CONTROLLER_DEVICES;
    }
}

box_cgroup_host *box_cgroup_host_new(box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = calloc(1, sizeof(*host));
    _free_ char *mountinfo = NULL, *own = NULL;

    if (!host) {
        box_fail_nomem(err);
        return NULL;
    }
    if (read_proc("/proc/self/mountinfo", &mountinfo, err) < 0 ||
        cgroup_host_parse_mountinfo(host, mountinfo, is_mounted_there, err) < 0)
        return NULL;
    /* A kernel without cgroups has no such file, and then there are no mounts either. */
    if (host->count > 0 &&
        (read_proc("/proc/self/cgroup", &own, err) < 0 || cgroup_host_parse_own(host, own, err) < 0))
        return NULL;
    complete_v2(host);
    return box_take(host);
}

static int copy_mount(struct cgroup_mount *to, const struct cgroup_mount *from)
{
    *to = (struct cgroup_mount){.v2 = from->v2, .controllers = from->controllers};
    to->names = strdup(from->names);
    to->mountpoint = strdup(from->mountpoint);
    to->root = strdup(from->root);
    return to->names && to->mountpoint && to->root ? 0 : -1;
}

box_cgroup_host *cgroup_host_again(const box_cgroup_host *seen, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = calloc(1, sizeof(*host));
    _free_ char *own = NULL;

    for (int i = 0; host && i < seen->count; i++) {
        host->count++;
        if (copy_mount(&host->mount[i], &seen->mount[i]) < 0) {
            box_fail_nomem(err);
            return NULL;
        }
    }
    if (!host)
        box_fail_nomem(err);
    if (!host || read_proc("/proc/self/cgroup", &own, err) < 0 || cgroup_host_parse_own(host, own, err) < 0)
        return NULL;
    return box_take(host);
}

void box_cgroup_host_free(box_cgroup_host *host)
{
    if (!host)
        return;
    for (int i = 0; i < host->count; i++)
        free_mount(&host->mount[i]);
    free(host);
}

enum box_cgroup_mode box_cgroup_host_mode(const box_cgroup_host *host)
{
    bool v1 = false, v2 = false;

    for (int i = 0; host && i < host->count; i++) {
        v1 = v1 || !host->mount[i].v2;
        v2 = v2 || host->mount[i].v2;
    }
    if (v1)
        return v2 ? BOX_CGROUP_MODE_HYBRID : BOX_CGROUP_MODE_V1;
    return v2 ? BOX_CGROUP_MODE_V2 : BOX_CGROUP_MODE_NONE;
}

const char *box_cgroup_mode_name(enum box_cgroup_mode mode)
{
    static const char *const names[] = {"none", "v1", "hybrid", "v2"};

    return (unsigned)mode < BOX_ARRAY(names) ? names[mode] : "unknown";
}

bool cgroup_in_user_namespace(void)
{
    char map[256], *cursor = map;
    int r = cgroup_read_small(AT_FDCWD, "/proc/self/uid_map", map, sizeof(map));

    if (r < 0)
        return r == -EFBIG; /* the first user namespace has one line; a kernel without them has no file */

    const char *inside = cgroup_next_word(&cursor), *outside = cgroup_next_word(&cursor);

    return !inside || !outside || strcmp(inside, "0") != 0 || strcmp(outside, "0") != 0 ||
           strcmp(cursor + strspn(cursor, " \t"), "4294967295\n") != 0;
}

/* ---- paths ---- */

int cgroup_check_path(const char *path, box_error **err)
{
    const char *s = path + (*path == '/');

    for (bool last = false; !last;) {
        size_t length = strcspn(s, "/");

        if (length == 0 || length > 255 || (length <= 2 && strncmp(s, "..", length) == 0))
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                                 "a cgroup path must be made of names, without empty ones, \".\" and \"..\"");
        for (size_t i = 0; i < length; i++) {
            if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
                return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL},
                                     "a cgroup path cannot hold control characters");
        }
        last = s[length] == '\0';
        s += length + 1;
    }
    return 0;
}

int cgroup_mount_path(const struct cgroup_mount *mount, const char *wanted, char **path, box_error **err)
{
    static const char leaf[] = "/" CGROUP_HOST_LEAF;
    size_t base;

    *path = NULL;
    if (*wanted == '/') {
        *path = strdup(strcmp(wanted, "/") == 0 ? "" : wanted);
        return *path ? 0 : box_fail_nomem(err);
    }
    if (!mount->own)
        return 0;
    base = strlen(mount->own);
    if (mount->v2 && base >= strlen(leaf) && strcmp(mount->own + base - strlen(leaf), leaf) == 0)
        base -= strlen(leaf);
    if (asprintf(path, "%.*s%s%s", (int)base, mount->own, *wanted ? "/" : "", wanted) < 0) {
        *path = NULL;
        return box_fail_nomem(err);
    }
    return 0;
}

int cgroup_walk(int dirfd, const char *path, int flags)
{
    _close_ int at = -1;
    char name[256];

    for (;;) {
        path += strspn(path, "/");

        size_t length = strcspn(path, "/");
        bool last = path[length + strspn(path + length, "/")] == '\0';

        if (length >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, path, length);
        name[length] = '\0';

        int next =
            cgroup_open_at(at >= 0 ? at : dirfd, length ? name : ".", O_DIRECTORY | (last ? flags : O_PATH));

        if (next < 0 || last)
            return next;
        if (at >= 0)
            close(at);
        at = next;
        path += length;
    }
}

/* ---- what may be had ---- */

unsigned cgroup_v2_read_mask(int dirfd, const char *file)
{
    char text[512];

    return cgroup_read_small(dirfd, file, text, sizeof(text)) < 0 ? 0 : cgroup_controllers_mask(text);
}

bool cgroup_v2_has_processes(int dirfd)
{
    _close_ int fd = -1;
    char byte;

    if (!cgroup_has_file(dirfd, "cgroup.type"))
        return false;
    fd = cgroup_open_at(dirfd, "cgroup.procs", O_RDONLY);
    return fd >= 0 && read(fd, &byte, 1) == 1;
}

static bool may_write(int dirfd, const char *name)
{
    return faccessat(dirfd, name, W_OK, AT_EACCESS) == 0;
}

/* What a child made in this v2 directory could have, of what the directory itself has. */
static unsigned can_hand_down(int dirfd, unsigned available)
{
    if (may_write(dirfd, "cgroup.subtree_control") && !cgroup_v2_has_processes(dirfd))
        return available;
    return available & cgroup_v2_read_mask(dirfd, "cgroup.subtree_control");
}

/* Goes down as far as the path exists; what is missing would be made by us, and hides nothing. */
static unsigned mount_controllers(const struct cgroup_mount *mount, const char *path)
{
    const unsigned always = CGROUP_V2_ALWAYS;
    unsigned mask = mount->controllers;
    _close_ int at = cgroup_mount_open(mount);
    const char *leaf = strrchr(path, '/');

    while (at >= 0) {
        if (mount->v2)
            mask = (mask & always) | can_hand_down(at, mask & ~always);
        path += *path == '/';
        if (!leaf || path > leaf)
            break;

        _free_ char *name = strndup(path, strcspn(path, "/"));
        int next = name ? cgroup_open_at(at, name, O_PATH | O_DIRECTORY) : -ENOMEM;

        if (next < 0)
            break;
        close(at);
        at = next;
        path += strlen(name);
    }
    return at >= 0 && may_write(at, ".") ? mask : 0;
}

unsigned box_cgroup_controllers(const box_cgroup_host *host, const char *path)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *own_host = host ? NULL : box_cgroup_host_new(NULL);
    unsigned mask = 0;

    host = host ? host : own_host;
    if (path && cgroup_check_path(path, NULL) < 0)
        return 0;
    for (int i = 0; host && i < host->count; i++) {
        _free_ char *below = NULL;

        if (cgroup_mount_path(&host->mount[i], path ? path : "x", &below, NULL) == 0 && below)
            mask |= mount_controllers(&host->mount[i], below);
    }
    /* On v2 the device rules are a program, which not everybody may load. */
    for (int i = 0; host && i < host->count; i++) {
        if (host->mount[i].v2 && host->mount[i].controllers & BOX_CONTROLLER_DEVICES && !cgroup_bpf_allowed())
            mask &= ~(unsigned)BOX_CONTROLLER_DEVICES;
    }
    return mask;
}
