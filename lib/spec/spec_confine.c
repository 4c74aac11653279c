/* Setters and getters of limits and of the layers of defence: cgroup, rlimits, priorities, seccomp,
 * capabilities, Landlock, labels, hidden paths. */
#include "spec/spec_util.h"

#include <string.h>

#include <libbox/cgroup.h>
#include <libbox/landlock.h>
#include <libbox/rlimit.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>

_Static_assert((int)BOX_SPEC_LAYER_SECCOMP == SPEC_LAYER_SECCOMP &&
                   (int)BOX_SPEC_LAYER_LANDLOCK == SPEC_LAYER_LANDLOCK &&
                   (int)BOX_SPEC_LAYER_APPARMOR == SPEC_LAYER_APPARMOR &&
                   (int)BOX_SPEC_LAYER_SELINUX == SPEC_LAYER_SELINUX &&
                   (int)BOX_SPEC_LAYER_CGROUP == SPEC_LAYER_CGROUP &&
                   (int)BOX_SPEC_LAYER_DEVICES == SPEC_LAYER_DEVICES &&
                   (int)BOX_SPEC_LAYER_KEYRING == SPEC_LAYER_KEYRING,
               "layers");

/* ---- cgroup ------------------------------------------------------------------------------------------ */

int box_spec_set_limits(box_spec *spec, const struct box_limits *limits, box_error **err)
{
    struct box_limits *copy = limits ? box_limits_copy(limits, err) : NULL;

    if (limits && !copy)
        return spec_code(err);
    box_limits_free(spec->limits);
    spec->limits = copy;
    return 0;
}

struct box_limits *box_spec_limits(box_spec *spec)
{
    if (!spec->limits)
        spec->limits = box_limits_new(NULL);
    return spec->limits;
}

const struct box_limits *box_spec_get_limits(const box_spec *spec)
{
    return spec->limits;
}

int box_spec_set_cgroup(box_spec *spec, const char *path, box_error **err)
{
    int r = path ? spec_need_text(path, "cgroupsPath", err) : 0;

    return r < 0 ? r : spec_string_set(&spec->cgroups_path, path, err);
}

const char *box_spec_get_cgroup(const box_spec *spec)
{
    return spec->cgroups_path;
}

/* ---- limits and priorities of the process ------------------------------------------------------------ */

static struct spec_rlimit *find_rlimit(box_spec *spec, int resource)
{
    for (size_t i = 0; i < spec->process.n_rlimits; i++)
        if (spec->process.rlimits[i].resource == resource)
            return &spec->process.rlimits[i];
    return NULL;
}

int box_spec_set_rlimit(box_spec *spec, int resource, uint64_t soft, uint64_t hard, box_error **err)
{
    struct spec_rlimit *limit;

    if (!box_rlimit_name(resource))
        return box_fail(err, BOX_EINVAL, "rlimits: there is no resource %d", resource);
    if (soft > hard)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = box_rlimit_name(resource)},
            "rlimits: the soft limit is above the hard one");
    limit = find_rlimit(spec, resource);
    if (!limit)
        limit = SPEC_ADD(&spec->process, rlimits, n_rlimits, err);
    if (!limit)
        return BOX_ENOMEM;
    *limit = (struct spec_rlimit){.resource = resource, .soft = soft, .hard = hard};
    spec->has_process = true;
    return 0;
}

int box_spec_unset_rlimit(box_spec *spec, int resource, box_error **err)
{
    struct spec_rlimit *limit = find_rlimit(spec, resource);

    (void)err;
    if (limit)
        spec_array_remove(spec->process.rlimits, &spec->process.n_rlimits, sizeof(*limit),
                          (size_t)(limit - spec->process.rlimits));
    return 0;
}

int box_spec_set_oom_score_adj(box_spec *spec, int value, box_error **err)
{
    if (value < -1000 || value > 1000)
        return box_fail(err, BOX_EINVAL, "oomScoreAdj: %d is not within -1000 and 1000", value);
    spec->process.has_oom_score_adj = true;
    spec->process.oom_score_adj = value;
    spec->has_process = true;
    return 0;
}

int box_spec_set_scheduler(box_spec *spec, const struct box_scheduler *s, box_error **err)
{
    int r = s ? box_scheduler_check(s, err) : 0;

    if (r < 0)
        return r;
    spec->process.scheduler = (struct spec_scheduler){0};
    if (s)
        spec->process.scheduler = (struct spec_scheduler){
            .set = true,
            .policy = (uint32_t)s->policy,
            .nice = s->nice,
            .priority = (int32_t)s->priority,
            .flags = s->flags,
            .runtime = s->runtime,
            .deadline = s->deadline,
            .period = s->period,
        };
    spec->has_process = true;
    return 0;
}

int box_spec_set_ioprio(box_spec *spec, int ioclass, int level, box_error **err)
{
    struct box_ioprio p = {.ioclass = ioclass, .level = (unsigned)level};
    int r = box_ioprio_check(&p, err);

    if (r < 0)
        return r;
    spec->process.has_io_priority = true;
    spec->process.io_class = ioclass;
    spec->process.io_level = level;
    spec->has_process = true;
    return 0;
}

static int need_cpu_list(const char *list, box_error **err)
{
    _free_ uint64_t *mask = NULL;
    size_t words;

    return list ? box_cpu_list_parse(list, &mask, &words, err) : 0;
}

int box_spec_set_cpu_affinity(box_spec *spec, const char *initial, const char *running, box_error **err)
{
    char *first = NULL, *second = NULL;
    int r = need_cpu_list(initial, err);

    if (r == 0)
        r = need_cpu_list(running, err);
    if (r == 0)
        r = spec_string_set(&first, initial, err);
    if (r == 0)
        r = spec_string_set(&second, running, err);
    if (r < 0) {
        free(first);
        return r;
    }
    free(spec->process.cpus_initial);
    free(spec->process.cpus_final);
    spec->process.cpus_initial = first;
    spec->process.cpus_final = second;
    spec->has_process = true;
    return 0;
}

/* ---- seccomp and capabilities ------------------------------------------------------------------------ */

static void replace_seccomp(box_spec *spec, struct box_seccomp *policy, bool follows)
{
    box_seccomp_free(spec->seccomp);
    spec->seccomp = policy;
    spec->seccomp_follows = follows;
}

int box_spec_set_seccomp(box_spec *spec, const struct box_seccomp *policy, box_error **err)
{
    struct box_seccomp *copy = policy ? box_seccomp_clone(policy, err) : NULL;

    if (policy && !copy)
        return spec_code(err);
    replace_seccomp(spec, copy, false);
    return 0;
}

/* The default policy lets through what a capability is for only where the capability is there. */
static struct box_seccomp *default_policy(bool has_capabilities, const struct box_capset *sets,
                                          box_error **err)
{
    return box_seccomp_new_default(has_capabilities ? sets->bounding : box_capability_default(), err);
}

int box_spec_set_seccomp_default(box_spec *spec, box_error **err)
{
    struct box_seccomp *policy =
        default_policy(spec->process.has_capabilities, &spec->process.capabilities, err);

    if (!policy)
        return spec_code(err);
    replace_seccomp(spec, policy, true);
    return 0;
}

const struct box_seccomp *box_spec_get_seccomp(const box_spec *spec)
{
    return spec->seccomp;
}

/* Sets all sets, and the default policy that goes with them. NULL: the process keeps the caller's. */
static int change_capabilities(box_spec *spec, const struct box_capset *sets, box_error **err)
{
    struct spec_process *process = &spec->process;
    bool same = sets && process->has_capabilities && sets->bounding == process->capabilities.bounding;

    if (spec->seccomp_follows && !same) {
        struct box_seccomp *policy = default_policy(sets != NULL, sets, err);

        if (!policy)
            return spec_code(err);
        replace_seccomp(spec, policy, true);
    }
    process->has_capabilities = sets != NULL;
    process->capabilities = sets ? *sets : (struct box_capset){0};
    spec->has_process = true;
    return 0;
}

int box_spec_set_capabilities(box_spec *spec, const struct box_capset *sets, box_error **err)
{
    int r = change_capabilities(spec, sets, err);

    if (r == 0) {
        box_strv_free(spec->process.unknown_capabilities);
        spec->process.unknown_capabilities = NULL;
    }
    return r;
}

int box_spec_set_capability_mask(box_spec *spec, uint64_t mask, box_error **err)
{
    struct box_capset sets;

    box_capset_from_mask(&sets, mask);
    return box_spec_set_capabilities(spec, &sets, err);
}

int box_spec_add_capability(box_spec *spec, const char *name, box_error **err)
{
    struct box_capset sets = spec->process.capabilities;
    uint64_t mask;
    int r = spec_need_text(name, "capability", err);

    if (r == 0)
        r = box_capability_mask(name, &mask, err);
    if (r < 0)
        return r;
    sets.bounding |= mask;
    sets.permitted |= mask;
    sets.effective |= mask;
    return change_capabilities(spec, &sets, err);
}

int box_spec_drop_capability(box_spec *spec, const char *name, box_error **err)
{
    struct box_capset sets = spec->process.capabilities;
    uint64_t mask;
    int r = spec_need_text(name, "capability", err);

    if (r == 0)
        r = box_capability_mask(name, &mask, err);
    if (r < 0)
        return r;
    if (!spec->process.has_capabilities)
        box_capset_from_mask(&sets, box_capability_all());
    sets.bounding &= ~mask;
    sets.permitted &= ~mask;
    sets.effective &= ~mask;
    sets.inheritable &= ~mask;
    sets.ambient &= ~mask;
    return change_capabilities(spec, &sets, err);
}

bool box_spec_get_capabilities(const box_spec *spec, struct box_capset *sets)
{
    if (sets)
        *sets = spec->process.capabilities;
    return spec->process.has_capabilities;
}

char *const *box_spec_get_unknown_capabilities(const box_spec *spec)
{
    return spec_strv_or_empty(spec->process.unknown_capabilities);
}

int box_spec_set_no_new_privileges(box_spec *spec, bool on, box_error **err)
{
    (void)err;
    spec->process.no_new_privileges = on;
    spec->has_process = true;
    return 0;
}

bool box_spec_get_no_new_privileges(const box_spec *spec)
{
    return spec->process.no_new_privileges;
}

/* ---- Landlock, labels, keyring ----------------------------------------------------------------------- */

int box_spec_set_landlock(box_spec *spec, const struct box_landlock *rules, box_error **err)
{
    box_error *inner = NULL;
    struct box_landlock *copy = rules ? box_landlock_copy(rules, &inner) : NULL;

    if (rules && !copy)
        return spec_hand_over(spec_code(&inner), inner, err);
    box_landlock_free(spec->landlock);
    spec->landlock = copy;
    return 0;
}

const struct box_landlock *box_spec_get_landlock(const box_spec *spec)
{
    return spec->landlock;
}

static int set_label(char **field, const char *what, const char *label, box_error **err)
{
    int r = label ? spec_need_text(label, what, err) : 0;

    return r < 0 ? r : spec_string_set(field, label, err);
}

int box_spec_set_apparmor(box_spec *spec, const char *profile, box_error **err)
{
    int r = set_label(&spec->process.apparmor_profile, "apparmorProfile", profile, err);

    if (r == 0)
        spec->has_process = true;
    return r;
}

int box_spec_set_selinux(box_spec *spec, const char *label, box_error **err)
{
    int r = set_label(&spec->process.selinux_label, "selinuxLabel", label, err);

    if (r == 0)
        spec->has_process = true;
    return r;
}

int box_spec_set_mount_label(box_spec *spec, const char *label, box_error **err)
{
    return set_label(&spec->mount_label, "mountLabel", label, err);
}

int box_spec_set_new_keyring(box_spec *spec, bool on, box_error **err)
{
    (void)err;
    spec->new_keyring = on;
    return 0;
}

/* ---- hidden paths ------------------------------------------------------------------------------------ */

static int add_path(char ***paths, const char *what, const char *path, box_error **err)
{
    int r = spec_need_absolute(path, what, err);

    if (r < 0 || box_strv_contains(*paths, path))
        return r;
    return spec_strv_add(paths, path, err);
}

int box_spec_add_masked_path(box_spec *spec, const char *path, box_error **err)
{
    return add_path(&spec->masked_paths, "a masked path", path, err);
}

int box_spec_clear_masked_paths(box_spec *spec, box_error **err)
{
    return spec_strv_set(&spec->masked_paths, NULL, err);
}

char *const *box_spec_get_masked_paths(const box_spec *spec)
{
    return spec_strv_or_empty(spec->masked_paths);
}

int box_spec_add_readonly_path(box_spec *spec, const char *path, box_error **err)
{
    return add_path(&spec->readonly_paths, "a read-only path", path, err);
}

int box_spec_clear_readonly_paths(box_spec *spec, box_error **err)
{
    return spec_strv_set(&spec->readonly_paths, NULL, err);
}

char *const *box_spec_get_readonly_paths(const box_spec *spec)
{
    return spec_strv_or_empty(spec->readonly_paths);
}

/* ---- what may be missing ----------------------------------------------------------------------------- */

int box_spec_allow_missing(box_spec *spec, uint32_t layers, box_error **err)
{
    const uint32_t known = (BOX_SPEC_LAYER_KEYRING << 1) - 1;

    if (layers & ~known)
        return box_fail(err, BOX_EINVAL, "0x%x has bits that are no layer", layers & ~known);
    spec->may_miss = layers;
    return 0;
}
