/* Making, copying and freeing specs, and the three sets of defaults that one begins with.
 *
 * The defaults of box_spec_new() are Docker's, and what is hidden from a container is what Docker hides: a
 * missing line here is a hole, so each list is held by a unit test. */
#include "spec/spec_util.h"

#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/seccomp.h>

#include <sched.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif

const struct spec_namespace_info spec_namespace_info[SPEC_NS_KINDS] = {
    [SPEC_NS_MOUNT] = {"mount", CLONE_NEWNS},       [SPEC_NS_PID] = {"pid", CLONE_NEWPID},
    [SPEC_NS_NETWORK] = {"network", CLONE_NEWNET},  [SPEC_NS_IPC] = {"ipc", CLONE_NEWIPC},
    [SPEC_NS_UTS] = {"uts", CLONE_NEWUTS},          [SPEC_NS_USER] = {"user", CLONE_NEWUSER},
    [SPEC_NS_CGROUP] = {"cgroup", CLONE_NEWCGROUP}, [SPEC_NS_TIME] = {"time", CLONE_NEWTIME},
};

/* What a container sees of the kernel. The cgroups and message queues may be missing on a host. */
static const struct default_mount {
    const char *type, *source, *destination, *options;
    bool optional;
} default_mounts[] = {
    {"proc", "proc", "/proc", "nosuid,noexec,nodev", false},
    {"tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k", false},
    {"devpts", "devpts", "/dev/pts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620", false},
    {"tmpfs", "shm", "/dev/shm", "nosuid,noexec,nodev,mode=1777,size=65536k", false},
    {"mqueue", "mqueue", "/dev/mqueue", "nosuid,noexec,nodev", true},
    {"sysfs", "sysfs", "/sys", "nosuid,noexec,nodev,ro", false},
    {"cgroup", "cgroup", "/sys/fs/cgroup", "nosuid,noexec,nodev,ro", true},
};

/* Files that tell a container about the host or let it reach the hardware. */
static const char *const default_masked[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/scsi",
    "/proc/sched_debug",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
};

static const char *const default_readonly[] = {
    "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static const enum spec_namespace_kind default_namespaces[] = {
    SPEC_NS_MOUNT, SPEC_NS_PID, SPEC_NS_NETWORK, SPEC_NS_IPC, SPEC_NS_UTS, SPEC_NS_CGROUP,
};

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/* The state that a document with nothing in it stands for. */
box_spec *box_spec_new_empty(void)
{
    box_spec *spec = calloc(1, sizeof(*spec));

    if (!spec)
        return NULL;
    for (size_t i = 0; i < SPEC_NS_KINDS; i++)
        spec->namespaces[i].fd = -1;
    spec->new_keyring = true;
    spec->default_devices = true;
    return spec;
}

box_spec *box_spec_new_confined(void)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_empty();

    if (!spec)
        return NULL;
    spec->root.kind = SPEC_ROOT_HOST;
    spec->default_devices = false;
    spec->has_process = true;
    spec->process.user.keep = true;
    spec->process.no_new_privileges = true;
    /* The child keeps the caller's capabilities, so the filter may not be narrower than they are worth to a
     * container: it is the one that goes with the default set. */
    return box_spec_set_seccomp_default(spec, NULL) == 0 ? box_take(spec) : NULL;
}

static int add_default_mounts(box_spec *spec)
{
    for (size_t i = 0; i < BOX_ARRAY(default_mounts); i++) {
        const struct default_mount *m = &default_mounts[i];
        int r = box_spec_add_mount(spec, m->type, m->source, m->destination, m->options, NULL);

        if (r < 0)
            return r;
        spec->mounts[spec->n_mounts - 1].optional = m->optional;
    }
    return 0;
}

static int add_default_paths(box_spec *spec)
{
    int r = 0;

    for (size_t i = 0; i < BOX_ARRAY(default_masked) && r == 0; i++)
        r = spec_strv_add(&spec->masked_paths, default_masked[i], NULL);
    for (size_t i = 0; i < BOX_ARRAY(default_readonly) && r == 0; i++)
        r = spec_strv_add(&spec->readonly_paths, default_readonly[i], NULL);
    return r;
}

/* As root, CAP_MKNOD stays with the container, and only the rules for devices keep it from the host's disks.
 * An ordinary user gets a user namespace, in which no device can be made. */
static int add_default_privileges(box_spec *spec)
{
    struct box_limits *limits;
    int r = box_spec_set_capability_mask(spec, box_capability_default(), NULL);

    if (r == 0)
        r = box_spec_set_seccomp_default(spec, NULL);
    if (r < 0)
        return r;
    if (geteuid() != 0)
        return spec_default_idmap(spec, NULL);
    /* gid 5 is tty's on every distribution; a user namespace may not have it. */
    if (spec_strv_add(&spec->mounts[2].options, "gid=5", NULL) < 0)
        return BOX_ENOMEM;
    limits = box_spec_limits(spec);
    return limits ? box_limits_add_default_devices(limits, NULL) : BOX_ENOMEM;
}

box_spec *box_spec_new(void)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_empty();

    if (!spec)
        return NULL;
    spec->has_process = true;
    spec->process.no_new_privileges = true;
    for (size_t i = 0; i < BOX_ARRAY(default_namespaces); i++)
        spec->namespaces[default_namespaces[i]].present = true;
    if (add_default_mounts(spec) < 0 || add_default_paths(spec) < 0 || add_default_privileges(spec) < 0 ||
        box_spec_set_env(spec, "PATH", default_path, NULL) < 0)
        return NULL;
    return box_take(spec);
}

int box_spec_clone(const box_spec *spec, box_spec **copy, box_error **err)
{
    _free_ box_spec *new = calloc(1, sizeof(*new));
    box_error *inner = NULL;
    int r;

    if (!spec || !copy)
        return box_fail(err, BOX_EINVAL, "box_spec_clone: no spec is given");
    if (!new)
        return box_fail_nomem(err);
    r = spec_owned_copy(new, spec, &spec_type, &inner);
    if (r == 0)
        *copy = box_take(new);
    return spec_hand_over(r, inner, err);
}

void box_spec_free(box_spec *spec)
{
    if (!spec)
        return;
    spec_owned_clear(spec, &spec_type);
    free(spec);
}
