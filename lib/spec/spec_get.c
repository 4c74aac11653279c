/* Reading back what setters and documents have put into a spec, as far as it takes more than a line; the others stand beside
 * their setters. */
#include <string.h>
#include <time.h>

#include <libbox/rlimit.h>
#include <libbox/sched.h>

#include "spec/spec_util.h"

/* ---- the program ------------------------------------------------------------------------------------- */

bool box_spec_get_umask(const box_spec *spec, mode_t *mask)
{
    if (spec->process.user.has_umask)
        *mask = spec->process.user.umask;
    return spec->process.user.has_umask;
}

void box_spec_get_terminal_size(const box_spec *spec, unsigned short *rows, unsigned short *columns)
{
    *rows = spec->process.rows;
    *columns = spec->process.columns;
}

/* ---- the root ---------------------------------------------------------------------------------------- */

enum box_spec_root_kind box_spec_get_root_kind(const box_spec *spec)
{
    return (enum box_spec_root_kind)spec->root.kind;
}

_Static_assert((int)BOX_SPEC_ROOT_HOST == (int)SPEC_ROOT_HOST && (int)BOX_SPEC_ROOT_OVERLAY == (int)SPEC_ROOT_OVERLAY,
               "the public numbers are the spec's own");

char *const *box_spec_get_root_overlay(const box_spec *spec, const char **upper, const char **work)
{
    bool overlay = spec->root.kind == SPEC_ROOT_OVERLAY;

    if (upper)
        *upper = overlay ? spec->root.upper : NULL;
    if (work)
        *work = overlay ? spec->root.work : NULL;
    return spec_strv_or_empty(overlay ? spec->root.lower : NULL);
}

uint64_t box_spec_get_scratch_size(const box_spec *spec)
{
    return spec->root.scratch_size;
}

const char *box_spec_get_root_propagation(const box_spec *spec)
{
    return spec->rootfs_propagation;
}

/* ---- clocks and limits ------------------------------------------------------------------------------- */

bool box_spec_get_time_offset(const box_spec *spec, int clock, int64_t *seconds, uint32_t *nanoseconds)
{
    const struct spec_time_offset *offset = clock == CLOCK_MONOTONIC  ? &spec->time_monotonic
                                            : clock == CLOCK_BOOTTIME ? &spec->time_boottime
                                                                      : NULL;

    if (!offset || !offset->set)
        return false;
    *seconds = offset->seconds;
    *nanoseconds = offset->nanoseconds;
    return true;
}

bool box_spec_get_rlimit(const box_spec *spec, int resource, uint64_t *soft, uint64_t *hard)
{
    for (size_t i = 0; i < spec->process.n_rlimits; i++)
        if (spec->process.rlimits[i].resource == resource) {
            *soft = spec->process.rlimits[i].soft;
            *hard = spec->process.rlimits[i].hard;
            return true;
        }
    return false;
}

bool box_spec_get_oom_score_adj(const box_spec *spec, int *value)
{
    if (spec->process.has_oom_score_adj)
        *value = spec->process.oom_score_adj;
    return spec->process.has_oom_score_adj;
}

bool box_spec_get_scheduler(const box_spec *spec, struct box_scheduler *scheduler)
{
    const struct spec_scheduler *s = &spec->process.scheduler;

    if (s->set)
        *scheduler = (struct box_scheduler){
            .policy = (int)s->policy,
            .nice = s->nice,
            .priority = (uint32_t)s->priority,
            .flags = s->flags,
            .runtime = s->runtime,
            .deadline = s->deadline,
            .period = s->period,
        };
    return s->set;
}

bool box_spec_get_ioprio(const box_spec *spec, int *ioclass, int *level)
{
    if (spec->process.has_io_priority) {
        *ioclass = spec->process.io_class;
        *level = spec->process.io_level;
    }
    return spec->process.has_io_priority;
}

void box_spec_get_cpu_affinity(const box_spec *spec, const char **initial, const char **running)
{
    if (initial)
        *initial = spec->process.cpus_initial;
    if (running)
        *running = spec->process.cpus_final;
}

/* ---- confinement ------------------------------------------------------------------------------------- */

const char *box_spec_get_apparmor(const box_spec *spec)
{
    return spec->process.apparmor_profile;
}

const char *box_spec_get_selinux(const box_spec *spec)
{
    return spec->process.selinux_label;
}

const char *box_spec_get_mount_label(const box_spec *spec)
{
    return spec->mount_label;
}

bool box_spec_get_new_keyring(const box_spec *spec)
{
    return spec->new_keyring;
}

bool box_spec_get_personality(const box_spec *spec, unsigned long *domain)
{
    if (spec->has_personality)
        *domain = (unsigned long)spec->personality;
    return spec->has_personality;
}

uint32_t box_spec_get_missing_allowed(const box_spec *spec)
{
    return spec->may_miss;
}

/* ---- maps and lists ---------------------------------------------------------------------------------- */

static const char *next_pair(const struct spec_pair *pairs, size_t n, size_t index, const char **value)
{
    if (value)
        *value = index < n ? pairs[index].value : NULL;
    return index < n ? pairs[index].key : NULL;
}

const char *box_spec_next_sysctl(const box_spec *spec, size_t index, const char **value)
{
    return next_pair(spec->sysctl, spec->n_sysctl, index, value);
}

const char *box_spec_next_annotation(const box_spec *spec, size_t index, const char **value)
{
    return next_pair(spec->annotations, spec->n_annotations, index, value);
}

bool box_spec_get_default_devices(const box_spec *spec)
{
    return spec->default_devices;
}

size_t box_spec_count_devices(const box_spec *spec)
{
    return spec->n_devices;
}

int box_spec_get_device(const box_spec *spec, size_t index, struct box_spec_device *device, box_error **err)
{
    if (!device)
        return box_fail(err, BOX_EINVAL, "box_spec_get_device: nowhere to store the device");
    if (index >= spec->n_devices)
        return box_fail(err, BOX_ENOTFOUND, "there is no device number %zu", index);
    const struct spec_device *d = &spec->devices[index];
    *device = (struct box_spec_device){
        .path = d->path,
        .type = d->type,
        .major = d->major,
        .minor = d->minor,
        .mode = d->has_mode ? d->mode : 0666,
        .uid = d->has_uid ? d->uid : 0,
        .gid = d->has_gid ? d->gid : 0,
    };
    return 0;
}

size_t box_spec_count_hooks(const box_spec *spec, enum box_spec_hook kind)
{
    return (unsigned)kind < SPEC_HOOK_KINDS ? spec->hooks[kind].n : 0;
}

int box_spec_get_hook(const box_spec *spec, enum box_spec_hook kind, size_t index, struct box_spec_hook_entry *hook,
                      box_error **err)
{
    if (!hook)
        return box_fail(err, BOX_EINVAL, "box_spec_get_hook: nowhere to store the hook");
    if (index >= box_spec_count_hooks(spec, kind))
        return box_fail(err, BOX_ENOTFOUND, "there is no hook number %zu of this kind", index);
    const struct spec_hook *h = &spec->hooks[kind].list[index];
    *hook = (struct box_spec_hook_entry){
        .path = h->path,
        .args = spec_strv_or_empty(h->args),
        .env = spec_strv_or_empty(h->env),
        .timeout = h->has_timeout ? h->timeout : 0,
    };
    return 0;
}
