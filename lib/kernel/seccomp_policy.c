/* The policy as a builder: rules go in by system call name, are checked where they go in, and stand in the
 * order in which they came. Nothing here knows about BPF. */
#include "kernel/seccomp_policy.h"

#include <string.h>

#include "base/fail.h"
#include "kernel/seccomp_names.h"

box_seccomp *box_seccomp_new_empty(box_error **err)
{
    box_seccomp *policy = calloc(1, sizeof(*policy));

    if (!policy)
        box_fail_nomem(err);
    return policy;
}

static void free_names(char **names)
{
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

void box_seccomp_rule_clear(struct box_seccomp_rule *rule)
{
    for (size_t i = 0; i < rule->n_tests; i++)
        free(rule->tests[i].extra);
    free_names(rule->names);
    free(rule->tests);
    free(rule->extra);
    memset(rule, 0, sizeof(*rule));
}

void box_seccomp_free(box_seccomp *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->n_rules; i++)
        box_seccomp_rule_clear(&policy->rules[i]);
    free(policy->rules);
    free_names(policy->arches);
    free(policy->listener_path);
    free(policy->listener_metadata);
    free(policy->extra);
    free(policy);
}

int box_seccomp_check_verdict(int action, unsigned value, box_error **err)
{
    if (action < BOX_SECCOMP_ALLOW || action > BOX_SECCOMP_KILL_PROCESS)
        return box_fail(err, BOX_EINVAL, "seccomp: there is no action %d", action);
    if (action == BOX_SECCOMP_ERRNO && value > BOX_SECCOMP_MAX_ERRNO)
        return box_fail(err, BOX_EINVAL, "seccomp: errno %u is above the kernel's highest, %d", value,
                        BOX_SECCOMP_MAX_ERRNO);
    if (action == BOX_SECCOMP_TRACE && value > BOX_SECCOMP_MAX_TRACE)
        return box_fail(err, BOX_EINVAL, "seccomp: trace number %u does not fit into 16 bits", value);
    if (action != BOX_SECCOMP_ERRNO && action != BOX_SECCOMP_TRACE && value != 0)
        return box_fail(err, BOX_EINVAL, "seccomp: action %d takes no errno or number", action);
    return 0;
}

box_seccomp *box_seccomp_new(int default_action, unsigned errno_value, box_error **err)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_empty(err);

    if (!policy || box_seccomp_set_default_action(policy, default_action, errno_value, err) < 0 ||
        box_seccomp_add_arch(policy, box_seccomp_arches[BOX_ARCH_NATIVE].oci, err) < 0)
        return NULL;
    return box_take(policy);
}

int box_seccomp_set_default_action(box_seccomp *policy, int action, unsigned errno_value, box_error **err)
{
    int r = box_seccomp_check_verdict(action, errno_value, err);

    if (r < 0)
        return r;
    policy->fallback = (struct box_seccomp_verdict){
        .action = (uint32_t)action,
        .value = errno_value,
        .has_value = action == BOX_SECCOMP_ERRNO || action == BOX_SECCOMP_TRACE,
    };
    policy->preset = BOX_PRESET_NONE;
    return 0;
}

int box_seccomp_default_action(const box_seccomp *policy, unsigned *errno_value)
{
    if (errno_value)
        *errno_value = policy->fallback.value;
    return (int)policy->fallback.action;
}

/* ---- architectures ---- */

static size_t find_arch(const box_seccomp *policy, const char *arch)
{
    size_t i = 0;

    while (i < policy->n_arches && strcmp(policy->arches[i], arch) != 0)
        i++;
    return i;
}

/* The lists of the presets are the same for every set of architectures, so these two leave `preset` alone:
 * compiling looks for a ready program by the architectures as well. */
int box_seccomp_add_arch(box_seccomp *policy, const char *arch, box_error **err)
{
    if (!arch || !box_seccomp_arch_is_oci(arch))
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EINVAL,
                                                     .subject = arch,
                                                     .remedy = "names are OCI's, such as SCMP_ARCH_X86_64"},
                             "seccomp: no such architecture");
    if (find_arch(policy, arch) < policy->n_arches)
        return 0;
    char **grown = reallocarray(policy->arches, policy->n_arches + 2, sizeof(*grown));
    if (!grown)
        return box_fail_nomem(err);
    policy->arches = grown;
    grown[policy->n_arches + 1] = NULL;
    grown[policy->n_arches] = strdup(arch);
    if (!grown[policy->n_arches])
        return box_fail_nomem(err);
    policy->n_arches++;
    return 0;
}

int box_seccomp_remove_arch(box_seccomp *policy, const char *arch, box_error **err)
{
    size_t at = arch ? find_arch(policy, arch) : policy->n_arches;

    if (at == policy->n_arches)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = arch},
                             "seccomp: the policy does not hold this architecture");
    free(policy->arches[at]);
    memmove(&policy->arches[at], &policy->arches[at + 1],
            (policy->n_arches - at) * sizeof(policy->arches[0]));
    policy->n_arches--;
    return 0;
}

/* ---- rules ---- */

int box_seccomp_rule_add_name(struct box_seccomp_rule *rule, const char *name, box_error **err)
{
    if (!name || !*name || strlen(name) > BOX_SECCOMP_MAX_NAME)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "seccomp: a system call name has 1 to %d bytes", BOX_SECCOMP_MAX_NAME);
    if (rule->n_names == BOX_SECCOMP_MAX_NAMES)
        return box_fail(err, BOX_ELIMIT, "seccomp: a rule names more than %d system calls",
                        BOX_SECCOMP_MAX_NAMES);

    /* Grows at 0, 7, 15, 31, ... names, so that there is always room for one more and the NULL. */
    size_t n = rule->n_names;
    if (n == 0 || (n >= 7 && ((n + 1) & n) == 0)) {
        char **grown = reallocarray(rule->names, n == 0 ? 8 : 2 * (n + 1), sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        rule->names = grown;
        grown[n] = NULL;
    }
    rule->names[n] = strdup(name);
    if (!rule->names[n])
        return box_fail_nomem(err);
    rule->names[++rule->n_names] = NULL;
    return 0;
}

int box_seccomp_take_rule(box_seccomp *policy, struct box_seccomp_rule *rule, box_error **err)
{
    if (policy->n_rules == BOX_SECCOMP_MAX_RULES)
        return box_fail(err, BOX_ELIMIT, "seccomp: a policy has more than %d rules", BOX_SECCOMP_MAX_RULES);
    if (policy->n_rules == policy->rules_room) {
        size_t room = policy->rules_room ? 2 * policy->rules_room : 16;
        struct box_seccomp_rule *grown = reallocarray(policy->rules, room, sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        policy->rules = grown;
        policy->rules_room = room;
    }
    policy->rules[policy->n_rules++] = *rule;
    memset(rule, 0, sizeof(*rule));
    policy->preset = BOX_PRESET_NONE;
    return 0;
}

static int copy_tests(struct box_seccomp_rule *rule, const struct box_seccomp_arg *args, size_t n_args,
                      box_error **err)
{
    if (n_args == 0)
        return 0;
    if (n_args > BOX_SECCOMP_MAX_ARGS || !args)
        return box_fail(err, BOX_EINVAL, "seccomp: a rule has at most %d argument tests",
                        BOX_SECCOMP_MAX_ARGS);
    rule->tests = calloc(n_args, sizeof(*rule->tests));
    if (!rule->tests)
        return box_fail_nomem(err);
    for (size_t i = 0; i < n_args; i++) {
        if (args[i].index > 5)
            return box_fail(err, BOX_EINVAL,
                            "seccomp: a system call has no argument %u; they count from 0 to 5",
                            args[i].index);
        if (args[i].op < BOX_SECCOMP_NE || args[i].op > BOX_SECCOMP_MASKED_EQ)
            return box_fail(err, BOX_EINVAL, "seccomp: there is no argument test %u", args[i].op);
        rule->tests[i].arg = args[i];
        rule->tests[i].has_value_two = args[i].op == BOX_SECCOMP_MASKED_EQ;
        rule->n_tests++;
    }
    rule->has_tests = true;
    return 0;
}

int box_seccomp_add_rules(box_seccomp *policy, int action, unsigned errno_value, const char *const *names,
                          const struct box_seccomp_arg *args, size_t n_args, box_error **err)
{
    struct box_seccomp_rule rule = {
        .verdict = {.action = (uint32_t)action,
                    .value = errno_value,
                    .has_value = action == BOX_SECCOMP_ERRNO || action == BOX_SECCOMP_TRACE}};
    int r = box_seccomp_check_verdict(action, errno_value, err);

    if (r == 0 && (!names || !names[0]))
        r = box_fail(err, BOX_EINVAL, "seccomp: a rule names no system call");
    if (r == 0)
        r = copy_tests(&rule, args, n_args, err);
    for (size_t i = 0; r == 0 && names[i]; i++)
        r = box_seccomp_rule_add_name(&rule, names[i], err);
    if (r == 0)
        r = box_seccomp_take_rule(policy, &rule, err);
    box_seccomp_rule_clear(&rule);
    return r;
}

int box_seccomp_add_rule(box_seccomp *policy, int action, unsigned errno_value, const char *syscall,
                         const struct box_seccomp_arg *args, size_t n_args, box_error **err)
{
    const char *names[] = {syscall, NULL};

    return box_seccomp_add_rules(policy, action, errno_value, names, args, n_args, err);
}

int box_seccomp_drop_syscall(box_seccomp *policy, const char *syscall, box_error **err)
{
    bool found = false;
    size_t kept = 0;

    for (size_t i = 0; syscall && i < policy->n_rules; i++) {
        struct box_seccomp_rule *rule = &policy->rules[i];
        size_t to = 0;
        for (size_t from = 0; from < rule->n_names; from++) {
            if (strcmp(rule->names[from], syscall) == 0)
                free(rule->names[from]);
            else
                rule->names[to++] = rule->names[from];
        }
        found |= to < rule->n_names;
        rule->n_names = to;
        if (rule->names)
            rule->names[to] = NULL;
        /* A rule that names nothing any more is not valid OCI. */
        if (to == 0)
            box_seccomp_rule_clear(rule);
        else
            policy->rules[kept++] = *rule;
    }
    if (!found)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = syscall},
                             "seccomp: no rule names this system call");
    policy->n_rules = kept;
    policy->preset = BOX_PRESET_NONE;
    return 0;
}

const char *box_seccomp_unknown(const box_seccomp *policy, size_t index)
{
    for (size_t i = 0; i < policy->n_rules; i++) {
        for (size_t n = 0; n < policy->rules[i].n_names; n++) {
            if (!box_syscall_known(policy->rules[i].names[n]) && index-- == 0)
                return policy->rules[i].names[n];
        }
    }
    return NULL;
}

/* ---- the rest ---- */

int box_seccomp_set_flags(box_seccomp *policy, unsigned flags, box_error **err)
{
    const unsigned known = BOX_SECCOMP_FLAG_TSYNC | BOX_SECCOMP_FLAG_LOG | BOX_SECCOMP_FLAG_SPEC_ALLOW |
                           BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV;

    if (flags & ~known)
        return box_fail(err, BOX_EINVAL, "seccomp: unknown flags %#x", flags & ~known);
    policy->flags = flags;
    policy->has_flags = flags != 0;
    return 0;
}

unsigned box_seccomp_flags(const box_seccomp *policy)
{
    return policy->flags;
}

void box_seccomp_set_newer_enosys(box_seccomp *policy, bool on)
{
    policy->keep_newer = !on;
}

void box_seccomp_report_kills(box_seccomp *policy, bool on)
{
    policy->report_kills = on;
}

static int copy_string(char **to, const char *from, box_error **err)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? box_fail_nomem(err) : 0;
}

int box_seccomp_set_listener(box_seccomp *policy, const char *path, const char *metadata, box_error **err)
{
    _free_ char *new_path = NULL;
    _free_ char *new_metadata = NULL;

    if (metadata && !path)
        return box_fail(err, BOX_EINVAL, "seccomp: listener metadata without a listener path");
    if (copy_string(&new_path, path, err) < 0 || copy_string(&new_metadata, metadata, err) < 0)
        return BOX_ENOMEM;
    free(policy->listener_path);
    free(policy->listener_metadata);
    policy->listener_path = box_take(new_path);
    policy->listener_metadata = box_take(new_metadata);
    return 0;
}

const char *box_seccomp_listener_path(const box_seccomp *policy)
{
    return policy->listener_path;
}

const char *box_seccomp_listener_metadata(const box_seccomp *policy)
{
    return policy->listener_metadata;
}

static int copy_rule(box_seccomp *to, const struct box_seccomp_rule *from, box_error **err)
{
    struct box_seccomp_rule rule = {.verdict = from->verdict, .has_tests = from->has_tests};
    int r = copy_string(&rule.extra, from->extra, err);

    if (r == 0 && from->n_tests > 0) {
        rule.tests = calloc(from->n_tests, sizeof(*rule.tests));
        if (!rule.tests)
            r = box_fail_nomem(err);
    }
    for (size_t i = 0; r == 0 && i < from->n_tests; i++) {
        rule.tests[i] = from->tests[i];
        r = copy_string(&rule.tests[i].extra, from->tests[i].extra, err);
        rule.n_tests++;
    }
    for (size_t i = 0; r == 0 && i < from->n_names; i++)
        r = box_seccomp_rule_add_name(&rule, from->names[i], err);
    if (r == 0)
        r = box_seccomp_take_rule(to, &rule, err);
    box_seccomp_rule_clear(&rule);
    return r;
}

box_seccomp *box_seccomp_clone(const box_seccomp *policy, box_error **err)
{
    _cleanup_(box_seccomp) box_seccomp *copy = box_seccomp_new_empty(err);

    if (!copy)
        return NULL;
    for (size_t i = 0; i < policy->n_arches; i++)
        if (box_seccomp_add_arch(copy, policy->arches[i], err) < 0)
            return NULL;
    for (size_t i = 0; i < policy->n_rules; i++)
        if (copy_rule(copy, &policy->rules[i], err) < 0)
            return NULL;
    if (copy_string(&copy->listener_path, policy->listener_path, err) < 0 ||
        copy_string(&copy->listener_metadata, policy->listener_metadata, err) < 0 ||
        copy_string(&copy->extra, policy->extra, err) < 0)
        return NULL;
    copy->fallback = policy->fallback;
    copy->flags = policy->flags;
    copy->has_flags = policy->has_flags;
    copy->has_rules = policy->has_rules;
    copy->has_arches = policy->has_arches;
    copy->keep_newer = policy->keep_newer;
    copy->report_kills = policy->report_kills;
    copy->preset = policy->preset;
    copy->preset_caps = policy->preset_caps;
    return box_take(copy);
}
