/* box_spec_check(): contradictions that no host could satisfy, found before anything is started. Each error's
 * subject is the field, by its name in the OCI document. What one field alone can get wrong is refused here
 * too, since a spec may also come from a document, where only the types were checked.
 *
 * Order: the program, the root, mounts (spec_check_mounts.c), namespaces and what belongs to them,
 * confinement. */
#include "spec/spec_check.h"

#include <stdarg.h>
#include <string.h>

#include <libbox/idmap.h>
#include <libbox/lsm.h>
#include <libbox/rlimit.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>

#include "kernel/cgroup_limits.h"

int spec_contradiction(box_error **err, const char *field, const char *fmt, ...)
{
    _free_ char *text = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0)
        text = NULL;
    va_end(args);
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field}, "%s",
                         text ? text : "impossible");
}

/* An error of a check that lies below, under the name of the field. */
static int at_field(box_error **err, const char *field, int r, box_error **inner)
{
    _free_ char *text = r < 0 ? spec_error_text(*inner) : NULL;

    if (r == BOX_ENOMEM || (r < 0 && !text))
        r = box_fail_nomem(err);
    else if (r < 0)
        r = spec_contradiction(err, field, "%s", text);
    box_error_free(*inner);
    *inner = NULL;
    return r;
}

bool spec_has_dotdot(const char *path)
{
    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (!strncmp(p, "..", 2) && (p[2] == '/' || !p[2]))
            return true;
    }
    return false;
}

int spec_check_inside(const char *field, const char *path, box_error **err)
{
    if (!path || path[0] != '/')
        return spec_contradiction(err, field, "\"%s\" is not an absolute path", path ? path : "");
    if (strlen(path) >= 4096)
        return spec_contradiction(err, field, "a path has 4096 bytes or more");
    return spec_has_dotdot(path) ? spec_contradiction(err, field, "\"%s\" has a \"..\"", path) : 0;
}

/* ---- program ----------------------------------------------------------------------------------------- */

static int check_env(const struct spec_process *process, box_error **err)
{
    for (size_t i = 0; process->env && process->env[i]; i++)
        if (process->env[i][0] == '=' || !strchr(process->env[i], '='))
            return spec_contradiction(err, "process.env", "entry %zu, \"%.64s\", is not NAME=VALUE", i,
                                      process->env[i]);
    return 0;
}

static int check_user(const struct spec_user *user, box_error **err)
{
    if (user->uid == UINT32_MAX)
        return spec_contradiction(err, "process.user.uid", "4294967295 is not an id");
    if (user->gid == UINT32_MAX)
        return spec_contradiction(err, "process.user.gid", "4294967295 is not an id");
    for (size_t i = 0; i < user->n_additional_gids; i++)
        if (user->additional_gids[i] == UINT32_MAX)
            return spec_contradiction(err, "process.user.additionalGids", "4294967295 is not an id");
    if (user->has_umask && user->umask > 0777)
        return spec_contradiction(err, "process.user.umask", "%o is above 0777", user->umask);
    if (user->name && (!*user->name || *user->name == ':'))
        return spec_contradiction(err, "libbox.user", "\"%s\" is not NAME or NAME:GROUP", user->name);
    return 0;
}

static int check_rlimits(const struct spec_process *process, box_error **err)
{
    for (size_t i = 0; i < process->n_rlimits; i++) {
        const struct spec_rlimit *l = &process->rlimits[i];
        struct box_rlimit limit = {.resource = l->resource, .soft = l->soft, .hard = l->hard};
        box_error *inner = NULL;
        int r = at_field(err, "process.rlimits", box_rlimit_check(&limit, &inner), &inner);

        if (r < 0)
            return r;
        for (size_t k = 0; k < i; k++)
            if (process->rlimits[k].resource == l->resource)
                return spec_contradiction(err, "process.rlimits", "%s is given twice",
                                          box_rlimit_name(l->resource));
    }
    return 0;
}

static int check_priorities(const struct spec_process *process, box_error **err)
{
    const struct spec_scheduler *s = &process->scheduler;
    box_error *inner = NULL;
    int r = 0;

    if (s->set) {
        struct box_scheduler scheduler = {
            .policy = (int)s->policy,
            .nice = s->nice,
            .priority = (uint32_t)s->priority,
            .flags = s->flags,
            .runtime = s->runtime,
            .deadline = s->deadline,
            .period = s->period,
        };

        r = at_field(err, "process.scheduler", box_scheduler_check(&scheduler, &inner), &inner);
    }
    if (r == 0 && process->has_io_priority) {
        struct box_ioprio priority = {.ioclass = process->io_class, .level = (unsigned)process->io_level};

        inner = NULL;
        r = at_field(err, "process.ioPriority", box_ioprio_check(&priority, &inner), &inner);
    }
    if (r == 0 && process->has_oom_score_adj) {
        inner = NULL;
        r = at_field(err, "process.oomScoreAdj", box_oom_score_adj_check(process->oom_score_adj, &inner),
                     &inner);
    }
    return r;
}

static int check_cpus(const char *field, const char *list, box_error **err)
{
    _free_ uint64_t *mask = NULL;
    box_error *inner = NULL;
    size_t words;

    return list && *list ? at_field(err, field, box_cpu_list_parse(list, &mask, &words, &inner), &inner) : 0;
}

static int check_process(const box_spec *spec, box_error **err)
{
    const struct spec_process *process = &spec->process;
    int r;

    if (!spec->has_process)
        return spec_contradiction(err, "process", "nothing is said about what to run");
    if (!process->args || !process->args[0])
        return spec_contradiction(err, "process.args", "there is no program to run");
    if (!process->args[0][0])
        return spec_contradiction(err, "process.args", "the name of the program is empty");
    r = process->cwd ? spec_check_inside("process.cwd", process->cwd, err) : 0;
    if (r == 0 && (process->rows || process->columns) && !(process->rows && process->columns))
        r = spec_contradiction(err, "process.consoleSize", "a terminal has both rows and columns");
    if (r == 0)
        r = check_env(process, err);
    if (r == 0)
        r = check_user(&process->user, err);
    if (r == 0)
        r = check_rlimits(process, err);
    if (r == 0)
        r = check_priorities(process, err);
    if (r == 0)
        r = check_cpus("process.execCPUAffinity.initial", process->cpus_initial, err);
    return r < 0 ? r : check_cpus("process.execCPUAffinity.final", process->cpus_final, err);
}

/* ---- namespaces and what belongs to them ------------------------------------------------------------- */

static bool made_new(const box_spec *spec, enum spec_namespace_kind kind)
{
    const struct spec_namespace *ns = &spec->namespaces[kind];

    return ns->present && !ns->path && ns->fd < 0;
}

static int check_joined(const box_spec *spec, box_error **err)
{
    for (int i = 0; i < SPEC_NS_KINDS; i++) {
        const char *path = spec->namespaces[i].path;

        if (path && path[0] != '/')
            return spec_contradiction(err, "linux.namespaces",
                                      "the path of the %s namespace, \"%s\", is not absolute",
                                      spec_namespace_info[i].name, path);
    }
    return 0;
}

static int check_mappings(const box_spec *spec, box_error **err)
{
    size_t uids = spec->idmap ? box_idmap_count(spec->idmap, BOX_IDMAP_UID) : 0;
    size_t gids = spec->idmap ? box_idmap_count(spec->idmap, BOX_IDMAP_GID) : 0;
    const char *field = uids ? "linux.uidMappings" : "linux.gidMappings";

    if (made_new(spec, SPEC_NS_USER) && (!uids || !gids))
        return spec_contradiction(err, uids ? "linux.gidMappings" : "linux.uidMappings",
                                  "a new user namespace needs mappings of users and of groups");
    if ((uids || gids) && !spec->namespaces[SPEC_NS_USER].present)
        return spec_contradiction(err, field, "there is no user namespace to map ids of");
    if ((uids || gids) && !made_new(spec, SPEC_NS_USER))
        return spec_contradiction(err, field, "a user namespace that is joined has its mappings already");
    return 0;
}

/* Ids that the user namespace does not hold cannot be taken on. */
static int check_mapped(const box_spec *spec, box_error **err)
{
    const struct spec_user *user = &spec->process.user;
    uint32_t outside;

    if (!spec->idmap || user->name)
        return 0;
    if (!box_idmap_to_outside(spec->idmap, BOX_IDMAP_UID, user->uid, &outside))
        return spec_contradiction(err, "process.user.uid", "linux.uidMappings has no user %u", user->uid);
    if (!box_idmap_to_outside(spec->idmap, BOX_IDMAP_GID, user->gid, &outside))
        return spec_contradiction(err, "process.user.gid", "linux.gidMappings has no group %u", user->gid);
    for (size_t i = 0; i < user->n_additional_gids; i++)
        if (!box_idmap_to_outside(spec->idmap, BOX_IDMAP_GID, user->additional_gids[i], &outside))
            return spec_contradiction(err, "process.user.additionalGids", "linux.gidMappings has no group %u",
                                      user->additional_gids[i]);
    return 0;
}

static int check_names(const box_spec *spec, box_error **err)
{
    const struct {
        const char *field, *name;
    } names[] = {{"hostname", spec->hostname}, {"domainname", spec->domainname}};

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        if (!names[i].name || !*names[i].name)
            continue;
        if (!spec->namespaces[SPEC_NS_UTS].present)
            return spec_contradiction(err, names[i].field,
                                      "without a UTS namespace this would name the host");
        if (strlen(names[i].name) > 64)
            return spec_contradiction(err, names[i].field, "more than 64 bytes");
    }
    return 0;
}

static int check_clocks(const box_spec *spec, box_error **err)
{
    if (!spec->time_monotonic.set && !spec->time_boottime.set)
        return 0;
    if (!spec->namespaces[SPEC_NS_TIME].present)
        return spec_contradiction(err, "linux.timeOffsets", "there is no time namespace");
    if (!made_new(spec, SPEC_NS_TIME))
        return spec_contradiction(err, "linux.timeOffsets",
                                  "the clocks of a time namespace that is joined are set");
    return 0;
}

/* Which namespace a sysctl belongs to. Everything that is in none of them is the host's. */
static const struct sysctl_home {
    const char *name; /* a prefix when it ends in a dot */
    enum spec_namespace_kind kind;
} sysctl_homes[] = {
    {"net.", SPEC_NS_NETWORK},
    {"fs.mqueue.", SPEC_NS_IPC},
    {"kernel.msgmax", SPEC_NS_IPC},
    {"kernel.msgmnb", SPEC_NS_IPC},
    {"kernel.msgmni", SPEC_NS_IPC},
    {"kernel.msg_next_id", SPEC_NS_IPC},
    {"kernel.sem", SPEC_NS_IPC},
    {"kernel.sem_next_id", SPEC_NS_IPC},
    {"kernel.shmall", SPEC_NS_IPC},
    {"kernel.shmmax", SPEC_NS_IPC},
    {"kernel.shmmni", SPEC_NS_IPC},
    {"kernel.shm_next_id", SPEC_NS_IPC},
    {"kernel.shm_rmid_forced", SPEC_NS_IPC},
    {"kernel.domainname", SPEC_NS_UTS},
    {"kernel.hostname", SPEC_NS_UTS},
    {"user.", SPEC_NS_USER},
};

/* net/ipv4/conf/eth0.1/forwarding may be written with slashes, as sysctl(8) takes it; then a dot stands for
 * itself. */
static int normal_sysctl(const char *name, char *out, size_t size)
{
    bool slashes = name[strcspn(name, "./")] == '/';
    size_t n = strlen(name);

    if (n == 0 || n >= size)
        return -1;
    for (size_t i = 0; i <= n; i++)
        out[i] = !slashes ? name[i] : name[i] == '/' ? '.' : name[i] == '.' ? '/' : name[i];
    return 0;
}

static int check_sysctl(const box_spec *spec, const struct spec_pair *pair, box_error **err)
{
    _free_ char *field = NULL;
    char name[256];

    if (asprintf(&field, "linux.sysctl.%s", pair->key) < 0) {
        field = NULL;
        return box_fail_nomem(err);
    }
    if (normal_sysctl(pair->key, name, sizeof(name)) < 0 || strstr(name, "..") || strstr(name, "//") ||
        name[0] == '.' || name[strlen(name) - 1] == '.')
        return spec_contradiction(err, field, "not the name of a sysctl");
    for (size_t i = 0; i < BOX_ARRAY(sysctl_homes); i++) {
        const struct sysctl_home *home = &sysctl_homes[i];
        size_t length = strlen(home->name);
        bool prefix = home->name[length - 1] == '.';

        if (prefix ? strncmp(name, home->name, length) != 0 : strcmp(name, home->name) != 0)
            continue;
        if (!spec->namespaces[home->kind].present)
            return spec_contradiction(err, field, "without a %s namespace this would change the host",
                                      spec_namespace_info[home->kind].name);
        if (!strcmp(name, "kernel.hostname") && spec->hostname)
            return spec_contradiction(err, field, "it is set by hostname already");
        return 0;
    }
    return spec_contradiction(err, field, "no namespace has it: it would change the host");
}

static int check_namespaces(const box_spec *spec, box_error **err)
{
    int r = check_joined(spec, err);

    if (r == 0)
        r = check_mappings(spec, err);
    if (r == 0)
        r = check_mapped(spec, err);
    if (r == 0)
        r = check_names(spec, err);
    if (r == 0)
        r = check_clocks(spec, err);
    for (size_t i = 0; i < spec->n_sysctl && r == 0; i++)
        r = check_sysctl(spec, &spec->sysctl[i], err);
    if (r == 0 && spec->net_devices && !spec->namespaces[SPEC_NS_NETWORK].present)
        r = spec_contradiction(err, "linux.netDevices", "there is no network namespace to move them to");
    return r;
}

/* ---- confinement ------------------------------------------------------------------------------------- */

static int check_capabilities(const struct spec_process *process, box_error **err)
{
    const struct box_capset *sets = &process->capabilities;

    if (!process->has_capabilities)
        return 0;
    if (sets->effective & ~sets->permitted)
        return spec_contradiction(err, "process.capabilities.effective", "holds what permitted does not");
    if (sets->ambient & ~sets->permitted)
        return spec_contradiction(err, "process.capabilities.ambient", "holds what permitted does not");
    if (sets->ambient & ~sets->inheritable)
        return spec_contradiction(err, "process.capabilities.ambient", "holds what inheritable does not");
    return 0;
}

static int check_label(const char *field, enum box_lsm lsm, const char *label, box_error **err)
{
    box_error *inner = NULL;

    return label && *label ? at_field(err, field, box_lsm_label_check(lsm, label, &inner), &inner) : 0;
}

static int check_paths(const char *field, char *const *paths, box_error **err)
{
    int r = 0;

    for (size_t i = 0; paths && paths[i] && r == 0; i++)
        r = spec_check_inside(field, paths[i], err);
    return r;
}

static int check_seccomp(const box_spec *spec, box_error **err)
{
    const char *path = spec->seccomp ? box_seccomp_listener_path(spec->seccomp) : NULL;

    if (path && path[0] != '/')
        return spec_contradiction(err, "linux.seccomp.listenerPath", "\"%s\" is not an absolute path", path);
    if (spec->seccomp && !path && box_seccomp_listener_metadata(spec->seccomp))
        return spec_contradiction(err, "linux.seccomp.listenerMetadata", "there is no listenerPath");
    return 0;
}

static int check_devices(const box_spec *spec, box_error **err)
{
    for (size_t i = 0; i < spec->n_devices; i++) {
        const struct spec_device *device = &spec->devices[i];
        int r = spec_check_inside("linux.devices", device->path, err);

        if (r < 0)
            return r;
        if (device->type != 'p' &&
            (device->major < 0 || device->minor < 0 || device->major > 0xfff || device->minor > 0xfffff))
            return spec_contradiction(err, "linux.devices", "%s: no device has the numbers %lld:%lld",
                                      device->path, (long long)device->major, (long long)device->minor);
        for (size_t k = 0; k < i; k++)
            if (!strcmp(spec->devices[k].path, device->path))
                return spec_contradiction(err, "linux.devices", "%s is given twice", device->path);
    }
    return 0;
}

static int check_cgroup(const box_spec *spec, box_error **err)
{
    box_error *inner = NULL;

    if (spec->cgroups_path && (!*spec->cgroups_path || spec_has_dotdot(spec->cgroups_path)))
        return spec_contradiction(err, "linux.cgroupsPath", "\"%s\" is not the path of a cgroup",
                                  spec->cgroups_path);
    return spec->limits ? at_field(err, "linux.resources", box_limits_check(spec->limits, &inner), &inner)
                        : 0;
}

static int check_confinement(const box_spec *spec, box_error **err)
{
    const struct spec_process *process = &spec->process;
    int r = check_capabilities(process, err);

    if (r == 0)
        r = check_label("process.apparmorProfile", BOX_LSM_APPARMOR, process->apparmor_profile, err);
    if (r == 0)
        r = check_label("process.selinuxLabel", BOX_LSM_SELINUX, process->selinux_label, err);
    if (r == 0)
        r = check_label("linux.mountLabel", BOX_LSM_SELINUX, spec->mount_label, err);
    if (r == 0)
        r = check_paths("linux.maskedPaths", spec->masked_paths, err);
    if (r == 0)
        r = check_paths("linux.readonlyPaths", spec->readonly_paths, err);
    if (r == 0)
        r = check_seccomp(spec, err);
    if (r == 0)
        r = check_devices(spec, err);
    return r < 0 ? r : check_cgroup(spec, err);
}

/* ---- hooks and annotations --------------------------------------------------------------------------- */

static int check_hooks(const box_spec *spec, box_error **err)
{
    for (size_t kind = 0; kind < SPEC_HOOK_KINDS; kind++)
        for (size_t i = 0; i < spec->hooks[kind].n; i++) {
            const struct spec_hook *hook = &spec->hooks[kind].list[i];

            if (!hook->path || hook->path[0] != '/')
                return spec_contradiction(err, "hooks", "the path of a hook, \"%s\", is not absolute",
                                          hook->path ? hook->path : "");
            if (hook->has_timeout && hook->timeout < 1)
                return spec_contradiction(err, "hooks", "%s: a timeout is at least a second", hook->path);
        }
    return 0;
}

int box_spec_check(const box_spec *spec, box_error **err)
{
    int r;

    if (!spec)
        return box_fail(err, BOX_EINVAL, "box_spec_check: no spec is given");
    r = check_process(spec, err);
    if (r == 0)
        r = spec_check_root(spec, err);
    if (r == 0)
        r = spec_check_mounts(spec, err);
    if (r == 0)
        r = check_namespaces(spec, err);
    if (r == 0)
        r = check_confinement(spec, err);
    return r < 0 ? r : check_hooks(spec, err);
}
