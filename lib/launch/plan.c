/* From a spec to a plan: the shape of the start, and the list of operations in order.
 *
 * Two shapes. The plain one is a single process: the clone makes all the namespaces, the stage is born in them. The
 * other forks once more inside the stage, for what cannot be done from birth: joining a pid namespace, standing under
 * a monitor, or opening layers and sources with the host's rights before a user namespace is entered. */
#include "launch/plan.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include "base/cleanup.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"
#include "launch/hooks.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static bool have_sys_admin(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};

    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << 21)); /* CAP_SYS_ADMIN */
}

/* What the clone can make at birth. The cgroup namespace comes after the cgroup is entered, if one is; time by an
 * operation. */
static uint64_t new_namespaces(const struct builder *b)
{
    const box_spec *spec = b->spec;
    bool cgroup = spec->limits || spec->cgroups_path || b->options->cgroup;
    uint64_t flags = 0;

    for (int kind = 0; kind < SPEC_NS_KINDS; kind++)
        if (plan_new_namespace(spec, kind) && (kind != SPEC_NS_CGROUP || !cgroup) && kind != SPEC_NS_TIME)
            flags |= (uint64_t)spec_namespace_info[kind].clone_flag;
    return flags;
}

static int open_namespace(const struct spec_namespace *ns, const char *name, box_error **err)
{
    int fd = ns->fd >= 0 ? fcntl(ns->fd, F_DUPFD_CLOEXEC, 3) : open(ns->path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return box_fail_sys(err, ns->fd >= 0 ? "fcntl" : "open", ns->path, "join the %s namespace", name);
    return fd;
}

/* Whoever has the right joins the user namespace last, so as to keep it for the others; an ordinary user joins it
 * first, because it is what gives the right to the others. */
static int add_joins(struct builder *b, bool *pid, box_error **err)
{
    static const enum spec_namespace_kind order[] = {SPEC_NS_USER, SPEC_NS_IPC,    SPEC_NS_UTS,  SPEC_NS_NETWORK,
                                                     SPEC_NS_PID,  SPEC_NS_CGROUP, SPEC_NS_TIME, SPEC_NS_MOUNT,
                                                     SPEC_NS_USER};
    const size_t n = BOX_ARRAY(order);
    bool any = false;

    for (size_t i = 0; i < n; i++) {
        enum spec_namespace_kind kind = order[i];
        if (!plan_joined_namespace(b->spec, kind) || (kind == SPEC_NS_USER && (i == 0) == b->privileged))
            continue;
        int fd = open_namespace(&b->spec->namespaces[kind], spec_namespace_info[kind].name, err);
        if (fd < 0)
            return fd;
        if (!any) {
            plan_add_oom_score(b, true);
            builder_add(b, NEW_OP(NONDUMPABLE));
        }
        any = true;
        builder_add(b, NEW_OP(SETNS, .slot = builder_hold(b, fd), .num = (uint64_t)spec_namespace_info[kind].clone_flag,
                              .str = builder_string(b, spec_namespace_info[kind].name)));
        *pid |= kind == SPEC_NS_PID;
    }
    return 0;
}

/* Beside v1, the unified hierarchy only serves to kill what is in the cgroup: with the first process of a pid namespace
 * everything in that goes anyway. */
static unsigned wanted_cgroup(const struct builder *b)
{
    const box_spec *spec = b->spec;
    unsigned limits = spec->limits ? box_limits_controllers(spec->limits) : 0;

    if (b->options->cgroup)
        return b->options->cgroup_everywhere ? ~0u : BOX_CONTROLLERS_DEFAULT | limits;
    if (!spec->limits && !spec->cgroups_path)
        return 0;
    if (limits && !spec->cgroups_path && plan_new_namespace(spec, SPEC_NS_PID) && !b->plan->forks)
        return limits;
    return BOX_CONTROLLER_UNIFIED | limits;
}

/* The network namespace is there, and nothing has been told of it yet: hooks find the devices in it. */
static void add_net_devices(struct builder *b)
{
    const char *name, *inside;
    size_t n = 0;
    uint32_t strings;

    while (box_spec_next_net_device(b->spec, n, NULL))
        n++;
    char **pairs = n ? calloc(2 * n + 1, sizeof(*pairs)) : NULL;
    if (n && !pairs)
        b->failed = BOX_ENOMEM;
    if (!pairs)
        return;
    for (size_t i = 0; i < n && (name = box_spec_next_net_device(b->spec, i, &inside)); i++) {
        pairs[2 * i] = (char *)(uintptr_t)name;
        pairs[2 * i + 1] = (char *)(uintptr_t)inside;
    }
    b->plan->devices = builder_strings(b, pairs, &strings);
    b->plan->n_devices = strings / 2;
    b->plan->asks = true;
    free(pairs);
    builder_add(b, NEW_OP(HOST, .num = HOST_DEVICES));
}

static void add_in_namespaces(struct builder *b)
{
    const box_spec *spec = b->spec;
    char offsets[128];

    b->plan->cgroup_wanted = wanted_cgroup(b);

    if (b->plan->maps) {
        builder_add(b, NEW_OP(WAIT_MAPS));
        builder_add(b, NEW_OP(BECOME_ROOT));
    } else if (plan_joined_namespace(spec, SPEC_NS_USER)) {
        builder_add(b, NEW_OP(BECOME_ROOT));
    }
    if (plan_new_namespace(spec, SPEC_NS_CGROUP) && !(b->plan->clone_flags & CLONE_NEWCGROUP))
        builder_add(b, NEW_OP(UNSHARE, .num = CLONE_NEWCGROUP, .str = builder_string(b, "cgroup")));
    if (plan_new_namespace(spec, SPEC_NS_TIME)) {
        const struct spec_time_offset *m = &spec->time_monotonic, *t = &spec->time_boottime;
        offsets[0] = '\0';
        size_t n = 0;
        if (m->set)
            n = (size_t)snprintf(offsets, sizeof(offsets), "monotonic %lld %u\n", (long long)m->seconds, m->nanoseconds);
        if (t->set)
            snprintf(offsets + n, sizeof(offsets) - n, "boottime %lld %u\n", (long long)t->seconds, t->nanoseconds);
        builder_add(b, NEW_OP(TIME_OFFSETS, .str = *offsets ? builder_string(b, offsets) : 0));
    }
    if (spec->hostname)
        builder_add(b, NEW_OP(HOSTNAME, .str = builder_string(b, spec->hostname)));
    if (spec->domainname)
        builder_add(b, NEW_OP(DOMAINNAME, .str = builder_string(b, spec->domainname)));
    add_net_devices(b);
    /* Hooks find it up, and have words of the host's of their own to wait for, as network devices have. */
    b->plan->loopback = !b->plan->forks && !hooks_any(spec) && !b->plan->n_devices && plan_new_namespace(spec, SPEC_NS_NETWORK);
    if (!b->plan->loopback && plan_new_namespace(spec, SPEC_NS_NETWORK))
        builder_add(b, NEW_OP(LOOPBACK));
}

/* Everything up to the point where all namespaces are there. */
static int add_namespaces(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    box_plan *plan = b->plan;
    uint64_t flags = new_namespaces(b);
    bool joins_pid = false, joins = false;
    bool group_will_do = !spec->process.terminal && !b->options->monitor;

    for (int kind = 0; kind < SPEC_NS_KINDS; kind++)
        joins |= plan_joined_namespace(spec, kind);
    plan->forks = joins || b->prepare || b->options->monitor;
    plan->monitor = b->options->monitor;
    plan->hold = b->options->hold;
    builder_add(b, NEW_OP(SETSID, .num = group_will_do));
    int initial = plan_add_affinity(b, spec->process.cpus_initial, "initial", err);
    if (initial < 0)
        return initial;
    if (!plan->forks) {
        plan->clone_flags = flags;
        plan->clone_into = true;
        plan->ambient = b->new_user;
        builder_add(b, NEW_OP(CGROUP, .applied = APPLIES(CGROUP)));
        add_in_namespaces(b);
        return 0;
    }
    if (b->options->monitor) /* one step away from the host, whose child it shall not be */
        builder_add(b, NEW_OP(FORK, .num2 = 1));
    plan->waits = !b->options->monitor && !b->options->no_waiter && plan_joined_namespace(spec, SPEC_NS_PID);
    if (plan->waits)
        builder_add(b, NEW_OP(FORK, .flags = FORK_PARENT_WAITS));
    int r = b->prepare ? plan_add_sources(b, err) : 0;
    if (r < 0)
        return r;
    if (!b->options->monitor && (r = add_joins(b, &joins_pid, err)) < 0)
        return r;
    builder_add(b, NEW_OP(FORK, .num = flags & ~(uint64_t)CLONE_NEWCGROUP,
                          .flags = FORK_INTO_CGROUP | (b->options->monitor ? FORK_PARENT_MONITOR : FORK_PARENT_EXITS)));
    builder_add(b, NEW_OP(SETSID, .num = group_will_do));
    builder_add(b, NEW_OP(CGROUP, .applied = APPLIES(CGROUP)));
    if (b->options->monitor && joins && (r = add_joins(b, &joins_pid, err)) < 0)
        return r;
    if (b->options->monitor && joins_pid)
        return box_fail(err, BOX_EUNSUPPORTED, "a detached container cannot join another's pid namespace");
    add_in_namespaces(b);
    return 0;
}

/* An exec into a running container: all of its namespaces at once, by the pidfd of its first process. */
static int add_join(struct builder *b, box_error **err)
{
    uint32_t flags = b->options->join;

    b->plan->forks = true;
    b->plan->waits = (flags & CLONE_NEWPID) && !b->options->no_waiter;
    b->plan->clone_into = !b->plan->waits;
    builder_add(b, NEW_OP(SETSID, .num = !b->spec->process.terminal));
    int r = plan_add_affinity(b, b->spec->process.cpus_initial, "initial", err);
    if (r < 0)
        return r;
    /* The cgroup comes first: from inside another cgroup namespace the way into it begins at a group that is not to be
     * seen there, and is refused. The waiter stays outside of all that is joined. */
    if (b->plan->waits)
        builder_add(b, NEW_OP(FORK, .flags = FORK_PARENT_WAITS | FORK_INTO_CGROUP));
    builder_add(b, NEW_OP(CGROUP, .applied = APPLIES(CGROUP)));
    plan_add_oom_score(b, true);
    builder_add(b, NEW_OP(NONDUMPABLE));
    builder_add(b, NEW_OP(SETNS, .slot = SLOT_JOIN, .num = flags, .applied = APPLIES(NAMESPACES)));
    if (b->options->join_user)
        builder_add(b, NEW_OP(VERIFY_USER, .slot = SLOT_JOIN_USER, .str = builder_string(b, b->options->join_user)));
    builder_add(b, NEW_OP(FORK, .flags = FORK_PARENT_EXITS));
    builder_add(b, NEW_OP(SETSID, .num = !b->spec->process.terminal));
    if (flags & CLONE_NEWUSER)
        builder_add(b, NEW_OP(BECOME_ROOT));
    if (b->options->chroot) {
        int root = fcntl(b->options->root_fd, F_DUPFD_CLOEXEC, 3);
        if (root < 0)
            return box_fail_sys(err, "fcntl", "root", "keep the container's root");
        builder_add(b, NEW_OP(PIVOT, .slot = builder_hold(b, root), .flags = PIVOT_CHROOT));
    }
    if (b->spec->process.terminal)
        plan_add_terminal(b);
    return 0;
}

/* The spec with its user looked up: a shallow copy whose user part is its own. */
static int look_up_user(struct builder *b, box_spec *copy, box_error **err)
{
    struct spec_process *p = &copy->process;

    if (!p->user.name)
        return 0;
    return plan_resolve_user(b->spec, b->options->root_fd, p, err);
}

/* Whether a namespace is the one that this thread is in, or that of the machine's first process. */
static bool is_hosts_own(int fd)
{
    static const char *const paths[] = {"/proc/thread-self/ns/mnt", "/proc/1/ns/mnt"};
    struct stat one, other;

    for (size_t i = 0; i < BOX_ARRAY(paths); i++)
        if (fstat(fd, &one) < 0 || (stat(paths[i], &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev))
            return true;
    return false;
}

/* A root of one's own in a mount namespace that is joined becomes that namespace's root, for all who are in it: what the
 * document asks for, where somebody has made the namespace for the container. The host's own stays as it is. */
static int check_joined_root(const struct builder *b, box_error **err)
{
    _close_ int fd = open_namespace(&b->spec->namespaces[SPEC_NS_MOUNT], "mount", err);

    if (fd < 0)
        return fd;
    if (!is_hosts_own(fd))
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "linux.namespaces",
                                                      .remedy = "leave its path out, for a new one"},
                         "the mount namespace to be joined is the host's own: its root would change for everybody");
}

/* Without a root of its own the process gets what another's mount namespace has: mounts or masks of this spec would change
 * it for whoever lives in it, or would have to be left out in silence. */
static int check_joined_mounts(const struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;

    if (!plan_joined_namespace(spec, SPEC_NS_MOUNT))
        return 0;
    if (spec->root.kind == SPEC_ROOT_DIRECTORY)
        return check_joined_root(b, err);
    if (spec->root.kind == SPEC_ROOT_HOST && !spec->root.readonly && !spec->n_mounts && !spec->rootfs_propagation &&
        !(spec->masked_paths && *spec->masked_paths) && !(spec->readonly_paths && *spec->readonly_paths))
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "linux.namespaces",
                                                      .remedy = "give a directory as the root; or the host's root "
                                                                "(libbox.root.host) and no mounts, for those of that namespace"},
                         "a mount namespace that is joined brings its own root and mounts along");
}

/* What a document may hold and this library does not carry out. Better no start than one that lacks what was asked for. */
static int check_supported(const struct builder *b, box_error **err)
{
    if (b->spec->intel_rdt && !b->options->rdt)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "linux.intelRdt",
                                                          .remedy = "make an OCI container of it (box_oci_create()), or write the "
                                                                    "pid to a resctrl group's tasks file from a createRuntime hook"},
                             "a resctrl group is managed for OCI containers only, which have somebody to remove it");
    return 0;
}

static int add_all(struct builder *b, box_error **err)
{
    int r = b->options->join ? add_join(b, err) : add_namespaces(b, err);

    if (r >= 0 && !b->options->join) {
        r = check_joined_mounts(b, err);
        if (r >= 0)
            r = plan_add_root(b, err);
        if (r >= 0 && b->spec->process.terminal && !b->new_mount)
            plan_add_terminal(b);
    }
    return r < 0 ? r : plan_add_process(b, err);
}

static int keep_resources(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    box_plan *plan = b->plan;

    if (plan->cgroup_wanted && !b->options->cgroup && !(plan->cgroup_host = box_cgroup_host_new(err)))
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    int limited = launch_limits(spec, &plan->limits, err);
    if (limited < 0)
        return limited;
    if (spec->cgroups_path && !(plan->cgroup_path = strdup(spec->cgroups_path)))
        return box_fail_nomem(err);
    plan->preserve_fds = spec->preserve_fds;
    const char *path = spec->seccomp ? box_seccomp_listener_path(spec->seccomp) : NULL;
    const char *metadata = path ? box_seccomp_listener_metadata(spec->seccomp) : NULL;
    if ((path && !(plan->listener_path = strdup(path))) || (metadata && !(plan->listener_metadata = strdup(metadata))))
        return box_fail_nomem(err);
    int r = (!b->options->join && hooks_any(spec)) || path ? hooks_keep(spec, &plan->hooks, err) : 0;
    if (r < 0)
        return r;
    if (b->options->join && plan->hooks) /* those are of the container, not of what is started in it later */
        box_spec_clear_hooks(plan->hooks, NULL);
    if (plan->maps && !(plan->idmap = box_idmap_copy(spec->idmap, err)))
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    return 0;
}

static int check_process(const box_spec *spec, box_error **err)
{
    if (!spec->process.args || !spec->process.args[0])
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "process.args"},
                             "there is no program to start");
    return 0;
}

static int build(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    int r = check_process(spec, err);

    if (r >= 0)
        r = check_supported(b, err);
    if (r < 0)
        return r;
    b->privileged = have_sys_admin();
    b->in_user = cgroup_in_user_namespace();
    b->new_user = !b->options->join && plan_new_namespace(spec, SPEC_NS_USER);
    b->joined_mount = !b->options->join && plan_joined_namespace(spec, SPEC_NS_MOUNT) && spec->root.kind == SPEC_ROOT_DIRECTORY;
    b->chroot = !b->options->join && spec->chroot;
    b->new_mount = b->joined_mount || b->chroot || (!b->options->join && plan_new_namespace(spec, SPEC_NS_MOUNT));
    b->need_proc = spec->n_sysctl || spec->process.has_oom_score_adj || spec->process.apparmor_profile ||
                   spec->process.selinux_label;
    b->prepare = b->new_user && b->privileged && b->new_mount &&
                 (spec->root.kind != SPEC_ROOT_HOST || spec->n_mounts > 0);
    b->plan->maps = b->new_user && spec->idmap;
    b->plan->init = spec->init;
    b->plan->terminal = spec->process.terminal;
    b->plan->may_miss = spec->may_miss;
    b->source_slots = calloc(spec->n_mounts + 1, sizeof(int));
    if (!b->source_slots)
        return box_fail_nomem(err);
    r = add_all(b, err);
    if (r >= 0)
        r = keep_resources(b, err);
    return r < 0 ? r : builder_finish(b, err);
}

int box_plan_new_with(const box_spec *spec, const struct plan_options *options, box_plan **plan, box_error **err)
{
    if (!spec || !plan)
        return box_fail(err, BOX_EINVAL, "box_plan_new: spec and plan must not be NULL");
    int r = options->join ? 0 : box_spec_check(spec, err);
    if (r < 0)
        return r;

    _cleanup_(box_plan) box_plan *p = calloc(1, sizeof(*p));
    if (!p)
        return box_fail_nomem(err);
    p->memory = p->program = -1;
    box_spec copy = *spec;
    struct builder b = {.spec = spec, .options = options, .plan = p};
    r = look_up_user(&b, &copy, err);
    if (r >= 0) {
        b.spec = &copy;
        r = build(&b, err);
    }
    plan_clear_user(spec, &copy.process);
    free(b.bytes);
    free(b.ops);
    free(b.source_slots);
    if (r >= 0)
        *plan = box_take(p);
    return r;
}

int box_plan_new(const box_spec *spec, box_plan **plan, box_error **err)
{
    struct plan_options options = PLAN_OPTIONS_INIT;

    return box_plan_new_with(spec, &options, plan, err);
}

void box_plan_free(box_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = 0; i < plan->n_held; i++)
        close(plan->held[i].fd);
    for (size_t i = 0; i < plan->n_clones; i++)
        close(plan->clones[i].fd);
    if (plan->program >= 0 && plan->program != plan->memory)
        close(plan->program);
    if (plan->memory >= 0)
        close(plan->memory);
    box_limits_free(plan->limits);
    box_seccomp_filter_unref(plan->filter);
    box_spec_free(plan->hooks);
    free(plan->listener_path);
    free(plan->listener_metadata);
    box_idmap_free(plan->idmap);
    box_cgroup_host_free(plan->cgroup_host);
    free(plan->held);
    free(plan->clones);
    free(plan->cgroup_path);
    free(plan->bytes);
    free(plan);
}
