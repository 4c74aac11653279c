/* The process part of a plan: from the working directory to the exec, in the order in which rights are given up. */
#include "launch/plan.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include <libbox/lsm.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>
#include "base/cleanup.h"
#include "base/json.h"
#include "base/strings.h"
#include "kernel/landlock_rules.h"
#include "kernel/lsm_attr.h"
#include "launch/hooks.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* Rights that make sense on a file that is not a directory; the kernel refuses the others there. */
#define LANDLOCK_FILE_RIGHTS \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | (1ull << 14) | (1ull << 15))

void plan_add_terminal(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;
    uint32_t flags = b->options->monitor ? PTY_TO_MONITOR : PTY_TO_HOST;

    if (b->options->join == 0 && b->spec->root.kind != SPEC_ROOT_HOST && b->have_dev)
        flags |= PTY_CONSOLE;
    if (b->spec->root.kind == SPEC_ROOT_HOST && !b->options->join)
        flags |= PTY_HOST_PTMX;
    builder_add(b, NEW_OP(PTY, .num = p->rows, .num2 = p->columns, .num3 = p->user.uid, .flags = flags));
}

/* Late, so that what they take from the payload (descriptors, memory, processor time) is not taken from the steps that lead
 * to it; and yet before the ids change, since raising one needs a capability. */
static void add_limits(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;

    for (size_t i = 0; i < p->n_rlimits; i++)
        builder_add(b, NEW_OP(RLIMIT, .num = (uint64_t)p->rlimits[i].resource, .num2 = p->rlimits[i].soft,
                              .num3 = p->rlimits[i].hard));
}

static void add_priorities(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;

    if (p->scheduler.set) {
        struct {
            uint32_t size, policy;
            uint64_t flags;
            int32_t nice;
            uint32_t priority;
            uint64_t runtime, deadline, period;
        } attr = {48, p->scheduler.policy, p->scheduler.flags, p->scheduler.nice, (uint32_t)p->scheduler.priority,
                  p->scheduler.runtime, p->scheduler.deadline, p->scheduler.period};
        builder_add(b, NEW_OP(SCHEDULER, .data = builder_data(b, &attr, sizeof(attr)), .data_size = sizeof(attr)));
    }
    if (p->has_io_priority)
        builder_add(b, NEW_OP(IO_PRIORITY, .num = ((uint64_t)p->io_class << 13) | (uint64_t)p->io_level));
    if (b->spec->has_personality)
        builder_add(b, NEW_OP(PERSONALITY, .num = b->spec->personality));
}

int plan_add_affinity(struct builder *b, const char *list, const char *which, box_error **err)
{
    _free_ uint64_t *mask = NULL;
    size_t words = 0;

    if (!list || !*list)
        return 0;
    int r = box_cpu_list_parse(list, &mask, &words, err);
    if (r < 0)
        return box_fail_wrap(err, r, "process.execCPUAffinity.%s", which);
    builder_add(b, NEW_OP(AFFINITY, .data = builder_data(b, mask, words * 8), .data_size = (uint32_t)(words * 8)));
    return 0;
}

/* linux.memoryPolicy as set_mempolicy(2) takes it; the types were checked when it was read. */
static int add_memory_policy(struct builder *b, box_error **err)
{
    static const char *const modes[] = {"MPOL_DEFAULT",        "MPOL_PREFERRED", "MPOL_BIND",
                                        "MPOL_INTERLEAVE",     "MPOL_LOCAL",     "MPOL_PREFERRED_MANY",
                                        "MPOL_WEIGHTED_INTERLEAVE"};
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {{"MPOL_F_STATIC_NODES", 1u << 15}, {"MPOL_F_RELATIVE_NODES", 1u << 14}, {"MPOL_F_NUMA_BALANCING", 1u << 13}};
    struct box_json_at at = BOX_JSON_ROOT(b->spec->memory_policy);
    _strv_ char **names = NULL;
    _free_ uint64_t *mask = NULL;
    const char *mode = "", *nodes = NULL;
    size_t words = 0;
    uint64_t number = 0;

    if (!at.json)
        return 0;
    int r = box_json_get_string(&at, "mode", BOX_JSON_REQUIRED, &mode, err);
    if (r >= 0)
        r = box_json_get_string(&at, "nodes", BOX_JSON_OPTIONAL, &nodes, err);
    if (r >= 0)
        r = box_json_get_strings(&at, "flags", BOX_JSON_OPTIONAL, &names, err);
    if (r >= 0 && nodes && nodes[strspn(nodes, " ")])
        r = box_cpu_list_parse(nodes, &mask, &words, err);
    if (r < 0)
        return box_fail_wrap(err, r, "linux.memoryPolicy");
    while (number < BOX_ARRAY(modes) && strcmp(modes[number], mode) != 0)
        number++;
    for (char **name = names; name && *name; name++)
        for (size_t i = 0; i < BOX_ARRAY(flags); i++)
            number |= strcmp(flags[i].name, *name) == 0 ? flags[i].flag : 0;
    builder_add(b, NEW_OP(MEMORY_POLICY, .num = number, .data = builder_data(b, mask, words * 8),
                          .data_size = (uint32_t)(words * 8)));
    return 0;
}

static int add_label(struct builder *b, enum box_lsm lsm, const char *label, uint32_t layer, uint16_t applied,
                     box_error **err)
{
    const char *attr = NULL;
    _free_ char *text = NULL;
    bool may_miss = (b->spec->may_miss & layer) != 0;

    if (!label || !*label)
        return 0;
    int r = box_lsm_exec_attr(lsm, label, may_miss, &attr, &text, err);
    if (r < 0)
        return r;
    if (attr)
        builder_add(b, NEW_OP(EXEC_LABEL, .str = builder_string(b, attr), .str2 = builder_string(b, text),
                              .applied = applied, .flags = may_miss ? PLAN_OP_OPTIONAL : 0));
    return 0;
}

/* ---- Landlock ----------------------------------------------------------------------------------------------------- */

static int add_landlock(struct builder *b, int *slot, box_error **err)
{
    const struct box_landlock *l = b->spec->landlock;
    uint64_t fs = 0, net = 0, scope = 0;
    uint32_t log = 0;

    *slot = PLAN_NO_SLOT;
    if (!l)
        return 0;
    int abi = box_landlock_abi();
    if (abi <= 0) {
        if (b->spec->may_miss & SPEC_LAYER_LANDLOCK)
            return 0;
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "landlock",
                                                          .remedy = "boot with lsm=landlock,..., on Linux 5.13 or later"},
                             "this kernel has no Landlock");
    }
    box_landlock_abi_rights(abi, &fs, &net, &scope, &log);
    struct box_landlock_loss loss;
    if (!l->best_effort && box_landlock_would_lose(l, &loss)) {
        _free_ char *text = box_landlock_loss_text(&loss);
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "landlock",
                                                          .remedy = "use a newer kernel, or let the ruleset be best effort"},
                             "this kernel cannot govern all that the ruleset handles: %s", text ? text : "");
    }
    uint64_t attr[3] = {l->fs & fs, l->net & net, l->scope & scope};
    if (!attr[0] && !attr[1] && !attr[2]) /* a ruleset that governs nothing restricts nothing */
        return 0;
    uint32_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    *slot = builder_slot(b);
    builder_add(b, NEW_OP(LANDLOCK, .slot = *slot, .data = builder_data(b, attr, size), .data_size = size));
    for (size_t i = 0; i < l->n_paths; i++) {
        const struct box_landlock_path_rule *rule = &l->paths[i];
        int source = PLAN_NO_SLOT;
        if (!rule->path) {
            int fd = fcntl(rule->fd, F_DUPFD_CLOEXEC, 3);
            if (fd < 0)
                return box_fail_sys(err, "fcntl", "landlock rule", "keep the descriptor");
            source = builder_hold(b, fd);
        }
        if (!(rule->access & attr[0]))
            continue;
        builder_add(b, NEW_OP(LANDLOCK_PATH, .slot = *slot, .slot2 = source, .str = builder_string(b, rule->path),
                              .num = rule->access & attr[0], .num2 = LANDLOCK_FILE_RIGHTS,
                              .flags = rule->flags & BOX_LANDLOCK_MAY_BE_MISSING ? PLAN_OP_OPTIONAL : 0));
    }
    for (size_t i = 0; i < l->n_ports; i++)
        if (l->ports[i].access & attr[1])
            builder_add(b, NEW_OP(LANDLOCK_PORT, .slot = *slot, .num = l->ports[i].port, .num2 = l->ports[i].access & attr[1]));
    return 0;
}

/* ---- seccomp ------------------------------------------------------------------------------------------------------ */

struct filter_place {
    uint32_t data, size, flags;
};

static int compile_filter(struct builder *b, struct filter_place *place, box_error **err)
{
    if (!b->spec->seccomp)
        return 0;
    box_seccomp_filter *filter = box_seccomp_compile(b->spec->seccomp, err);
    if (!filter)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    size_t count;
    const void *program = box_seccomp_filter_program(filter, &count);
    place->data = builder_data(b, program, count * 8);
    place->size = (uint32_t)(count * 8);
    place->flags = box_seccomp_filter_flags(filter);
    b->plan->listener = box_seccomp_filter_notifies(filter);
    b->plan->filter = filter;
    return 0;
}

static void add_seccomp(struct builder *b, const struct filter_place *place)
{
    if (place->data)
        builder_add(b, NEW_OP(SECCOMP, .data = place->data, .data_size = place->size, .applied = APPLIES(SECCOMP),
                              .num = place->flags,
                              .flags = (b->plan->listener ? SECCOMP_SEND_LISTENER : 0) |
                                       (b->spec->may_miss & SPEC_LAYER_SECCOMP ? PLAN_OP_OPTIONAL : 0)));
}

/* ---- ids and capabilities ------------------------------------------------------------------------------------------ */

/* A confined child that stays who it is needs no right to change. */
static bool keeps_ids(const struct builder *b)
{
    const struct spec_user *u = &b->spec->process.user;

    return b->spec->root.kind == SPEC_ROOT_HOST && !b->options->join && !b->spec->namespaces[SPEC_NS_USER].present &&
           (u->keep || (u->uid == geteuid() && u->gid == getegid())) && !u->n_additional_gids;
}

static void add_ids(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;

    if (p->has_capabilities && p->capabilities.bounding != ~(uint64_t)0)
        builder_add(b, NEW_OP(BOUNDING, .num = p->capabilities.bounding));
    if (!keeps_ids(b)) {
        uint32_t size = (uint32_t)(p->user.n_additional_gids * sizeof(uint32_t));
        builder_add(b, NEW_OP(IDS, .num = p->user.uid, .num2 = p->user.gid,
                              .data = builder_data(b, p->user.additional_gids, size), .data_size = size));
    }
    if (p->has_capabilities) {
        const struct box_capset *c = &p->capabilities;
        struct plan_caps caps = {c->bounding, c->effective, c->permitted, c->inheritable, c->ambient};
        builder_add(b, NEW_OP(CAPABILITIES, .data = builder_data(b, &caps, sizeof(caps)), .data_size = sizeof(caps),
                              .applied = APPLIES(CAPABILITIES)));
    } else if (b->plan->ambient) {
        struct plan_caps caps = {0, ~0ull >> 23, ~0ull >> 23, 0, 0};
        builder_add(b, NEW_OP(CAPABILITIES, .data = builder_data(b, &caps, sizeof(caps)), .data_size = sizeof(caps),
                              .num = 1));
    }
}

void plan_add_hooks(struct builder *b, enum spec_hook_kind kind, uint32_t filter, uint32_t filter_size, uint32_t filter_flags)
{
    const struct spec_hooks *hooks = &b->spec->hooks[kind];

    for (size_t i = 0; i < hooks->n; i++) {
        const struct spec_hook *h = &hooks->list[i];
        char *own[] = {h->path, NULL};
        struct plan_exec exec = {0};

        exec.args = builder_strings(b, h->args && h->args[0] ? h->args : own, &exec.n_args);
        exec.env = builder_strings(b, h->env, &exec.n_env);
        char field[64];
        snprintf(field, sizeof(field), "hooks.%s[%zu]", hooks_kind_name(kind), i);
        uint32_t path = builder_string(b, h->path), name = builder_string(b, field);
        builder_add(b, NEW_OP(HOOK, .str = path, .str2 = name, .data = builder_data(b, &exec, sizeof(exec)), .data_size = sizeof(exec),
                              .num = h->has_timeout ? (uint64_t)h->timeout : 0, .num2 = filter, .num3 = filter_size,
                              .num4 = filter_flags));
    }
}

/* Whoever creates a container is told what whoever starts it could do nothing about. */
static void add_hold(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;
    const char *path = box_spec_env_get(p->env, "PATH");
    uint32_t program = builder_string(b, p->args[0]);

    if (!b->options->no_program)
        builder_add(b, NEW_OP(FIND_PROGRAM, .str = program, .str2 = builder_string(b, path ? path : DEFAULT_PATH)));
    builder_add(b, NEW_OP(HOLD));
}

static void add_exec(struct builder *b)
{
    const struct spec_process *p = &b->spec->process;
    struct plan_exec exec = {0};
    const char *path = box_spec_env_get(p->env, "PATH");

    exec.args = builder_strings(b, p->args, &exec.n_args);
    exec.env = builder_strings(b, p->env, &exec.n_env);
    exec.path = builder_string(b, path ? path : DEFAULT_PATH);
    uint32_t program = builder_string(b, p->args[0]);
    builder_add(b, NEW_OP(EXEC, .str = program, .data = builder_data(b, &exec, sizeof(exec)), .data_size = sizeof(exec)));
}

/* After another's user namespace has been joined, untraceable, the files of one's own in /proc are root's of outside: who
 * goes there has the score before, as `early` says. */
void plan_add_oom_score(struct builder *b, bool early)
{
    const struct spec_process *p = &b->spec->process;
    bool joins_user = (b->options->join & CLONE_NEWUSER) || plan_joined_namespace(b->spec, SPEC_NS_USER);
    char score[16];

    if (!p->has_oom_score_adj || early != joins_user)
        return;
    snprintf(score, sizeof(score), "%d", p->oom_score_adj);
    builder_add(b, NEW_OP(OOM_SCORE, .num = early, .str = builder_string(b, score)));
}

int plan_add_process(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    const struct spec_process *p = &spec->process;
    const struct filter_place no_filter = {0};
    struct filter_place filter = {0};
    int landlock, r;

    builder_add(b, NEW_OP(CHDIR, .str = builder_string(b, p->cwd ? p->cwd : "/")));
    if (spec->init)
        builder_add(b, NEW_OP(INIT, .num = !p->terminal));
    if (b->need_proc)
        plan_add_proc(b);
    if (spec->new_keyring)
        builder_add(b, NEW_OP(KEYRING, .flags = spec->may_miss & SPEC_LAYER_KEYRING ? PLAN_OP_OPTIONAL : 0,
                              .applied = APPLIES(KEYRING)));
    plan_add_oom_score(b, false);
    add_priorities(b);
    if ((r = plan_add_affinity(b, p->cpus_final, "final", err)) < 0 || (r = add_memory_policy(b, err)) < 0 ||
        (r = add_label(b, BOX_LSM_APPARMOR, p->apparmor_profile, SPEC_LAYER_APPARMOR, APPLIES(APPARMOR), err)) < 0 ||
        (r = add_label(b, BOX_LSM_SELINUX, p->selinux_label, SPEC_LAYER_SELINUX, APPLIES(SELINUX), err)) < 0)
        return r;
    if (p->terminal)
        builder_add(b, NEW_OP(TERMINAL));
    builder_add(b, NEW_OP(STREAMS));
    builder_add(b, NEW_OP(UMASK, .num = p->user.has_umask ? p->user.umask : 0022));
    if ((r = add_landlock(b, &landlock, err)) < 0 || (r = compile_filter(b, &filter, err)) < 0)
        return r;
    if (b->plan->loopback) /* as late as can be: the rights to receive end here */
        builder_add(b, NEW_OP(LOOPBACK, .num = 1));
    add_limits(b);
    /* Without no_new_privs the filter needs CAP_SYS_ADMIN, which is about to go. */
    if (!p->no_new_privileges)
        add_seccomp(b, &filter);
    add_ids(b);
    if (p->no_new_privileges)
        builder_add(b, NEW_OP(NO_NEW_PRIVS, .applied = APPLIES(NO_NEW_PRIVILEGES)));
    if (landlock)
        builder_add(b, NEW_OP(LANDLOCK_RESTRICT, .slot = landlock, .num = box_landlock_restrict_flags(spec->landlock),
                              .applied = APPLIES(LANDLOCK)));
    const struct filter_place *hooks = p->no_new_privileges ? &filter : &no_filter;
    bool starts = !b->options->join && spec->hooks[SPEC_HOOK_START_CONTAINER].n;
    if (starts)
        builder_add(b, NEW_OP(HOST, .num = HOST_START));
    if (b->options->hold)
        add_hold(b);
    if (starts)
        plan_add_hooks(b, SPEC_HOOK_START_CONTAINER, hooks->data, hooks->size, hooks->flags);
    if (p->no_new_privileges)
        add_seccomp(b, &filter);
    add_exec(b);
    return 0;
}
