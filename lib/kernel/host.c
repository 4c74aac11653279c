/* The report of what this host offers: its table of features, and what is read from it.
 *
 * Every feature has a row in the table below, in the order in which it is shown; the probes fill the rows. So
 * the list of ids is in one place, and a row that no probe fills is a mistake that a test sees. */
#include <libbox/host.h>

#include <json-c/json.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "kernel/host_report.h"

#define ESSENTIAL true

static const struct {
    const char *id, *group, *title;
    bool essential;
} rows[] = {
    {"kernel", "kernel", "Linux kernel"},
    {"openat2", "kernel", "Path lookup inside a root (openat2)"},
    {"close_range", "kernel", "Closing all descriptors at once (close_range)"},
    {"memfd", "kernel", "Programs in sealed memory files (memfd)"},
    {"io_uring", "kernel", "io_uring"},

    {"namespace.mount", "namespaces", "Mount namespaces", ESSENTIAL},
    {"namespace.pid", "namespaces", "Process namespaces", ESSENTIAL},
    {"namespace.network", "namespaces", "Network namespaces", ESSENTIAL},
    {"namespace.ipc", "namespaces", "IPC namespaces", ESSENTIAL},
    {"namespace.uts", "namespaces", "Host name namespaces", ESSENTIAL},
    {"namespace.user", "namespaces", "User namespaces"},
    {"namespace.cgroup", "namespaces", "Cgroup namespaces"},
    {"namespace.time", "namespaces", "Time namespaces"},
    {"userns", "namespaces", "Making a user namespace"},

    {"mount", "mounts", "Mounting in a new mount namespace", ESSENTIAL},
    {"mount.api", "mounts", "New mount API (fsopen, open_tree, move_mount)"},
    {"mount.attributes", "mounts", "Attributes of whole mount trees (mount_setattr)"},
    {"mount.proc", "mounts", "A new /proc for each container"},
    {"mount.idmap", "mounts", "Id-mapped mounts"},
    {"overlay", "mounts", "Overlay file system", ESSENTIAL},
    {"overlay.userns", "mounts", "Overlay in a user namespace"},
    {"overlay.layers", "mounts", "Overlay with layers one by one (lowerdir+)"},
    {"erofs.file", "mounts", "EROFS images from plain files"},
    {"fuse", "mounts", "File systems by programs (FUSE)"},

    {"cgroup", "cgroups", "Control groups"},
    {"cgroup.create", "cgroups", "Making cgroups"},
    {"cgroup.cpu", "cgroups", "CPU limits"},
    {"cgroup.cpuset", "cgroups", "CPU sets"},
    {"cgroup.memory", "cgroups", "Memory limits"},
    {"cgroup.pids", "cgroups", "Limits on the number of processes"},
    {"cgroup.io", "cgroups", "I/O limits"},
    {"cgroup.devices", "cgroups", "Device rules"},
    {"cgroup.freezer", "cgroups", "Pausing (freezer)"},
    {"cgroup.hugetlb", "cgroups", "Huge page limits"},
    {"cgroup.pressure", "cgroups", "Pressure figures (PSI)"},

    {"capabilities", "confinement", "Capabilities"},
    {"seccomp", "confinement", "System call filters (seccomp)", ESSENTIAL},
    {"seccomp.notify", "confinement", "System call filters that ask a supervisor"},
    {"landlock", "confinement", "Landlock"},
    {"lsm", "confinement", "Labels of a security module"},
    {"apparmor", "confinement", "AppArmor"},
    {"selinux", "confinement", "SELinux"},
    {"keyring", "confinement", "Session keyrings"},

    {"clone3", "processes", "Starting processes (clone3)", ESSENTIAL},
    {"clone3.cgroup", "processes", "Starting processes in a cgroup (CLONE_INTO_CGROUP)"},
    {"pidfd", "processes", "Process descriptors (pidfd)", ESSENTIAL},
    {"pidfd.info", "processes", "Facts from process descriptors (PIDFD_GET_INFO)"},
    {"rlimit.raise", "processes", "Raising resource limits"},
    {"rlimit.nofile", "processes", "Limit of open files"},
    {"rlimit.nproc", "processes", "Limit of processes of this user"},

    {"subuid", "rootless", "Subordinate user ids"},
    {"subgid", "rootless", "Subordinate group ids"},
    {"newuidmap", "rootless", "newuidmap program"},
    {"newgidmap", "rootless", "newgidmap program"},

    {"library.archive", "libraries", "libarchive, for tar archives"},
    {"library.crypto", "libraries", "libcrypto (OpenSSL), for digests"},
    {"library.zlib", "libraries", "zlib, for gzip"},
    {"library.isal", "libraries", "ISA-L, for fast gzip"},
    {"library.zstd", "libraries", "libzstd, for zstd layers"},
    {"library.systemd", "libraries", "libsystemd, for cgroups by way of systemd"},
    {"library.curl", "libraries", "libcurl, for registries"},
};

static const char *const state_names[] = {
    [BOX_HOST_OK] = "ok",
    [BOX_HOST_DEGRADED] = "degraded",
    [BOX_HOST_MISSING] = "missing",
    [BOX_HOST_FORBIDDEN] = "forbidden",
};

/* Filling */

static struct box_host_feature *row(box_host *h, const char *id)
{
    for (size_t i = 0; i < h->n; i++)
        if (strcmp(h->features[i].id, id) == 0)
            return &h->features[i];
    return NULL;
}

__attribute__((format(printf, 2, 0))) static char *format(box_host *h, const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0) {
        h->failed = true;
        return NULL;
    }
    return text;
}

void box_host_set(box_host *h, const char *id, enum box_host_state state, const char *remedy, const char *fmt,
                  ...)
{
    struct box_host_feature *f = row(h, id);
    va_list args;

    if (!f)
        return;
    va_start(args, fmt);
    free(f->detail);
    f->detail = format(h, fmt, args);
    va_end(args);
    f->state = state;
    f->remedy = remedy;
    f->known = true;
}

void box_host_set_remedy(box_host *h, const char *id, const char *fmt, ...)
{
    struct box_host_feature *f = row(h, id);
    va_list args;

    if (!f)
        return;
    va_start(args, fmt);
    free(f->own_remedy);
    f->own_remedy = format(h, fmt, args);
    va_end(args);
}

void box_host_set_there(box_host *h, const char *id, bool there, const char *remedy)
{
    box_host_set(h, id, there ? BOX_HOST_OK : BOX_HOST_MISSING, there ? NULL : remedy, "%s", "");
}

void box_host_set_essential(box_host *h, const char *id)
{
    struct box_host_feature *f = row(h, id);

    if (f)
        f->essential = true;
}

bool box_host_kernel_at_least(const box_host *h, int major, int minor)
{
    return h->major > major || (h->major == major && h->minor >= minor);
}

const char *box_host_errno(int errnum)
{
    static const struct {
        int errnum;
        const char *name;
    } known[] = {
        {EPERM, "EPERM"},           {EACCES, "EACCES"}, {ENOSYS, "ENOSYS"}, {EINVAL, "EINVAL"},
        {ENOSPC, "ENOSPC"},         {ENODEV, "ENODEV"}, {ENOENT, "ENOENT"}, {ENOMEM, "ENOMEM"},
        {EUSERS, "EUSERS"},         {EBUSY, "EBUSY"},   {EROFS, "EROFS"},   {ENOTDIR, "ENOTDIR"},
        {EOPNOTSUPP, "EOPNOTSUPP"}, {ENOTTY, "ENOTTY"}, {EMFILE, "EMFILE"}, {ENFILE, "ENFILE"},
        {EAGAIN, "EAGAIN"},         {EIO, "EIO"},       {E2BIG, "E2BIG"},   {EBADF, "EBADF"},
    };

    for (size_t i = 0; i < BOX_ARRAY(known); i++)
        if (known[i].errnum == errnum)
            return known[i].name;
    return "refused";
}

static void look_at_self(box_host *h)
{
    struct utsname u;

    if (uname(&u) == 0) {
        snprintf(h->release, sizeof(h->release), "%s", u.release);
        if (sscanf(h->release, "%d.%d", &h->major, &h->minor) != 2)
            h->major = h->minor = 0;
    }
    h->uid = geteuid();
    h->privileged =
        box_capset_read(0, &h->caps, NULL) == 0 && h->caps.effective & BOX_CAP_MASK(CAP_SYS_ADMIN);

    /* A module that is not loaded yet would be loaded by trying, which is a lasting change. */
    bool overlay = box_host_filesystem_known("overlay");
    box_try_run(&h->nested, true, overlay);
    if (h->privileged)
        box_try_run(&h->direct, false, overlay);
    else
        h->direct = h->nested;
}

box_host *box_host_probe(box_error **err)
{
    _cleanup_(box_host) box_host *h = calloc(1, sizeof(*h));

    if (access("/proc/self/status", R_OK) < 0) {
        box_fail_with(err,
                      &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                              .errnum = errno,
                                              .subject = "/proc",
                                              .remedy = "mount it: mount -t proc proc /proc"},
                      "there is no /proc");
        return NULL;
    }
    if (h)
        h->features = calloc(BOX_ARRAY(rows), sizeof(*h->features));
    if (!h || !h->features) {
        box_fail_nomem(err);
        return NULL;
    }
    h->n = BOX_ARRAY(rows);
    for (size_t i = 0; i < h->n; i++)
        h->features[i] = (struct box_host_feature){
            .id = rows[i].id, .group = rows[i].group, .title = rows[i].title, .essential = rows[i].essential};

    look_at_self(h);
    box_host_probe_system(h);
    box_host_probe_namespaces(h);
    box_host_probe_mounts(h);
    box_host_probe_cgroups(h);
    box_host_probe_confine(h);
    box_host_probe_rootless(h);
    box_host_probe_libraries(h);
    if (h->failed) {
        box_fail_nomem(err);
        return NULL;
    }
    return box_take(h);
}

void box_host_free(box_host *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->n; i++) {
        free(h->features[i].detail);
        free(h->features[i].own_remedy);
    }
    free(h->features);
    free(h);
}

/* Reading */

size_t box_host_count(const box_host *h)
{
    return h->n;
}

const box_host_feature *box_host_at(const box_host *h, size_t i)
{
    return i < h->n ? &h->features[i] : NULL;
}

const box_host_feature *box_host_find(const box_host *h, const char *id)
{
    for (size_t i = 0; id && i < h->n; i++)
        if (strcmp(h->features[i].id, id) == 0)
            return &h->features[i];
    return NULL;
}

const char *box_host_feature_id(const box_host_feature *f)
{
    return f->id;
}

const char *box_host_feature_group(const box_host_feature *f)
{
    return f->group;
}

const char *box_host_feature_title(const box_host_feature *f)
{
    return f->title;
}

enum box_host_state box_host_feature_state(const box_host_feature *f)
{
    return f->state;
}

const char *box_host_feature_detail(const box_host_feature *f)
{
    return f->detail ? f->detail : "";
}

const char *box_host_feature_remedy(const box_host_feature *f)
{
    return f->own_remedy ? f->own_remedy : f->remedy ? f->remedy : "";
}

int box_host_feature_essential(const box_host_feature *f)
{
    return f->essential;
}

const char *box_host_state_name(enum box_host_state state)
{
    return (unsigned)state < BOX_ARRAY(state_names) ? state_names[state] : "unknown";
}

/* Takes value over, also when it fails. */
static bool put(json_object *object, const char *key, json_object *value)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return true;
    json_object_put(value);
    return false;
}

static bool put_string(json_object *object, const char *key, const char *text)
{
    return put(object, key, json_object_new_string(text));
}

static json_object *feature_json(const box_host_feature *f)
{
    json_object *o = json_object_new_object();

    if (o && put_string(o, "id", f->id) && put_string(o, "group", f->group) &&
        put_string(o, "title", f->title) && put_string(o, "state", box_host_state_name(f->state)) &&
        put_string(o, "detail", box_host_feature_detail(f)) &&
        put_string(o, "remedy", box_host_feature_remedy(f)) &&
        put(o, "essential", json_object_new_boolean(f->essential)))
        return o;
    json_object_put(o);
    return NULL;
}

char *box_host_json(const box_host *h, box_error **err)
{
    json_object *document = json_object_new_object(), *list = json_object_new_array();
    char *text = NULL;
    bool good = document && list && put_string(document, "kernel", h->release);

    for (size_t i = 0; good && i < h->n; i++) {
        json_object *f = feature_json(&h->features[i]);
        good = f && json_object_array_add(list, f) == 0;
        if (!good)
            json_object_put(f);
    }
    if (good)
        good = put(document, "features", json_object_get(list));
    const char *written =
        good ? json_object_to_json_string_ext(document, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
                                                            JSON_C_TO_STRING_NOSLASHESCAPE)
             : NULL;
    if (written)
        text = strdup(written);
    json_object_put(list);
    json_object_put(document);
    if (!text)
        box_fail_nomem(err);
    return text;
}
