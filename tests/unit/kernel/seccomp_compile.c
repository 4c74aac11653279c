/* The compiler, against two others: libseccomp, and a plain reading of the rules, call by call. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/seccomp_compile.h"
#include "kernel/seccomp_filter.h"

static const struct arch {
    uint32_t audit, token, base;
    const char *oci;
    enum box_seccomp_arch column;
} arches[] = {
    {AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, 0, "SCMP_ARCH_X86_64", BOX_ARCH_X86_64},
    {AUDIT_ARCH_I386, SCMP_ARCH_X86, 0, "SCMP_ARCH_X86", BOX_ARCH_X86},
    {AUDIT_ARCH_X86_64, SCMP_ARCH_X32, BOX_X32_BIT, "SCMP_ARCH_X32", BOX_ARCH_X32},
    {AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, 0, "SCMP_ARCH_AARCH64", BOX_ARCH_AARCH64},
    {AUDIT_ARCH_ARM, SCMP_ARCH_ARM, 0, "SCMP_ARCH_ARM", BOX_ARCH_ARM},
};
enum { HIGHEST = 600 };

struct program {
    struct sock_filter *code;
    size_t count;
};

static void free_program(struct program *p)
{
    free(p->code);
}
#define _program_ __attribute__((cleanup(free_program)))

static struct program generate(const box_seccomp *policy, enum box_seccomp_arch machine)
{
    struct program p = {0};
    box_error *err = NULL;

    cr_assert_eq(box_seccomp_codegen(policy, machine, &p.code, &p.count, &err), 0, "%s",
                 box_error_message(err));
    cr_assert(box_seccomp_program_ok(p.code, p.count));
    return p;
}

static uint32_t ask(const struct program *p, const struct box_seccomp_call *call)
{
    return p->code[box_seccomp_program_run(p->code, p->count, call)].k;
}

/* ---- what the rules say, read plainly ---- */

static bool test_holds(const struct box_seccomp_arg *test, const uint64_t *args, bool narrow)
{
    uint64_t mask = narrow ? UINT32_MAX : UINT64_MAX;
    uint64_t a = args[test->index] & mask, v = test->value & mask, two = test->value_two & mask;

    switch (test->op) {
    case BOX_SECCOMP_NE:
        return a != v;
    case BOX_SECCOMP_LT:
        return a < v;
    case BOX_SECCOMP_LE:
        return a <= v;
    case BOX_SECCOMP_EQ:
        return a == v;
    case BOX_SECCOMP_GE:
        return a >= v;
    case BOX_SECCOMP_GT:
        return a > v;
    default:
        return (a & v) == (two & v);
    }
}

static bool rule_matches(const struct box_seccomp_rule *rule, const char *name, const uint64_t *args,
                         bool narrow)
{
    bool named = false, all = true, any = rule->n_tests == 0, twice = false;

    for (size_t i = 0; i < rule->n_names; i++)
        named |= strcmp(rule->names[i], name) == 0;
    for (size_t i = 0; i < rule->n_tests; i++) {
        bool holds = test_holds(&rule->tests[i].arg, args, narrow);
        all &= holds;
        any |= holds;
        for (size_t j = 0; j < i; j++)
            twice |= rule->tests[i].arg.index == rule->tests[j].arg.index;
    }
    return named && (twice ? any : all);
}

static uint32_t return_value(const struct box_seccomp_verdict *v)
{
    static const uint32_t values[] = {SCMP_ACT_ALLOW,       SCMP_ACT_LOG,         SCMP_ACT_TRACE(0),
                                      SCMP_ACT_NOTIFY,      SCMP_ACT_ERRNO(0),    SCMP_ACT_TRAP,
                                      SCMP_ACT_KILL_THREAD, SCMP_ACT_KILL_PROCESS};
    return values[v->action] | v->value;
}

static uint32_t expected(const box_seccomp *policy, const char *name, const uint64_t *args, bool narrow)
{
    const struct box_seccomp_rule *best = NULL;

    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct box_seccomp_rule *rule = &policy->rules[i];
        if (rule->n_tests == 0 && return_value(&rule->verdict) == return_value(&policy->fallback))
            continue;
        if (rule_matches(rule, name, args, narrow) && (!best || rule->verdict.action > best->verdict.action))
            best = rule;
    }
    return return_value(best ? &best->verdict : &policy->fallback);
}

/* ---- random policies ---- */

static uint64_t state = 20240229;

static uint64_t roll(uint64_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % sides;
}

/* Few values, so that tests and arguments meet; with and without something in the upper half. */
static uint64_t roll_value(void)
{
    static const uint64_t values[] = {0,
                                      1,
                                      2,
                                      7,
                                      8,
                                      40,
                                      0x5412,
                                      UINT32_MAX - 1,
                                      UINT32_MAX,
                                      UINT64_C(1) << 32,
                                      (UINT64_C(1) << 32) + 40,
                                      UINT64_C(7) << 32,
                                      UINT64_MAX - 1,
                                      UINT64_MAX};
    return values[roll(BOX_ARRAY(values))];
}

static const char *const pool[] = {"read",  "write",       "ioctl", "openat", "mmap",
                                   "futex", "personality", "kill",  "fcntl"};

static box_seccomp *random_policy(enum box_seccomp_arch machine)
{
    static const struct {
        int action;
        unsigned value;
    } verdicts[] = {{BOX_SECCOMP_ALLOW, 0},  {BOX_SECCOMP_LOG, 0},         {BOX_SECCOMP_TRACE, 9},
                    {BOX_SECCOMP_NOTIFY, 0}, {BOX_SECCOMP_ERRNO, EPERM},   {BOX_SECCOMP_ERRNO, 95},
                    {BOX_SECCOMP_TRAP, 0},   {BOX_SECCOMP_KILL_THREAD, 0}, {BOX_SECCOMP_KILL_PROCESS, 0}};
    size_t v = roll(BOX_ARRAY(verdicts));
    box_seccomp *policy = box_seccomp_new(verdicts[v].action, verdicts[v].value, NULL);

    cr_assert_not_null(policy);
    for (size_t i = 0; i < BOX_ARRAY(arches); i++)
        if (box_seccomp_arches[arches[i].column].machine == machine)
            cr_assert_eq(box_seccomp_add_arch(policy, arches[i].oci, NULL), 0);
    for (size_t n = 1 + roll(12); n > 0; n--) {
        struct box_seccomp_arg args[3];
        size_t n_args = roll(4);
        for (size_t i = 0; i < n_args; i++)
            args[i] = (struct box_seccomp_arg){(uint32_t)roll(3), 1 + (uint32_t)roll(7), roll_value(),
                                               roll_value()};
        v = roll(BOX_ARRAY(verdicts));
        cr_assert_eq(box_seccomp_add_rule(policy, verdicts[v].action, verdicts[v].value,
                                          pool[roll(BOX_ARRAY(pool))], args, n_args, NULL),
                     0);
    }
    return policy;
}

static void check_random_calls(const box_seccomp *policy, const struct program *p, const struct arch *arch)
{
    for (size_t n = 0; n < 120; n++) {
        const char *name = pool[n % BOX_ARRAY(pool)];
        struct box_seccomp_call call = {.arch = arch->audit,
                                        .number = box_syscall_lookup(arch->column, name)};
        if (call.number < 0)
            continue;
        bool narrow = box_seccomp_arches[arch->column].narrow;
        for (size_t i = 0; i < 3; i++)
            call.args[i] = narrow ? (uint32_t)roll_value() : roll_value();
        cr_assert_eq(ask(p, &call), expected(policy, name, call.args, narrow),
                     "%#x, not %#x: %s %s(%#llx, %#llx, %#llx)", ask(p, &call),
                     expected(policy, name, call.args, narrow), arch->oci, name,
                     (unsigned long long)call.args[0], (unsigned long long)call.args[1],
                     (unsigned long long)call.args[2]);
    }
}

Test(seccomp_compile, random_policies_answer_what_their_rules_say)
{
    for (unsigned round = 0; round < 300; round++) {
        enum box_seccomp_arch machine = round % 4 == 3 ? BOX_ARCH_AARCH64 : BOX_ARCH_X86_64;
        _cleanup_(box_seccomp) box_seccomp *policy = random_policy(machine);
        struct program p _program_ = generate(policy, machine);
        for (size_t i = 0; i < BOX_ARRAY(arches); i++)
            if (box_seccomp_arches[arches[i].column].machine == machine)
                check_random_calls(policy, &p, &arches[i]);
    }
}

/* ---- libseccomp ---- */

static const enum scmp_compare scmp_ops[] = {
    [BOX_SECCOMP_NE] = SCMP_CMP_NE,
    [BOX_SECCOMP_LT] = SCMP_CMP_LT,
    [BOX_SECCOMP_LE] = SCMP_CMP_LE,
    [BOX_SECCOMP_EQ] = SCMP_CMP_EQ,
    [BOX_SECCOMP_GE] = SCMP_CMP_GE,
    [BOX_SECCOMP_GT] = SCMP_CMP_GT,
    [BOX_SECCOMP_MASKED_EQ] = SCMP_CMP_MASKED_EQ,
};

static void give_rule(scmp_filter_ctx ctx, const box_seccomp *policy, const struct box_seccomp_rule *rule)
{
    struct scmp_arg_cmp args[6];

    /* libseccomp takes no rule with the default action. */
    if (return_value(&rule->verdict) == return_value(&policy->fallback))
        return;
    for (size_t i = 0; i < rule->n_tests; i++) {
        const struct box_seccomp_arg *arg = &rule->tests[i].arg;
        args[i] = (struct scmp_arg_cmp){arg->index, scmp_ops[arg->op], arg->value, arg->value_two};
    }
    for (size_t i = 0; i < rule->n_names; i++) {
        int number = seccomp_syscall_resolve_name(rule->names[i]);
        if (number == __NR_SCMP_ERROR)
            continue;
        int r =
            seccomp_rule_add_array(ctx, return_value(&rule->verdict), number, (unsigned)rule->n_tests, args);
        cr_assert(r == 0 || r == -EDOM, "%s: %d", rule->names[i], r);
    }
}

static struct program by_libseccomp(const box_seccomp *policy)
{
    scmp_filter_ctx ctx = seccomp_init(return_value(&policy->fallback));
    int fd = memfd_create("filter", MFD_CLOEXEC);

    cr_assert_not_null(ctx);
    seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    for (size_t i = 0; i < policy->n_arches; i++) {
        int r = -EINVAL;
        for (size_t a = 0; a < BOX_ARRAY(arches); a++)
            if (strcmp(arches[a].oci, policy->arches[i]) == 0)
                r = seccomp_arch_add(ctx, arches[a].token);
        cr_assert(r == 0 || r == -EEXIST, "%s: %d", policy->arches[i], r);
    }
    for (size_t i = 0; i < policy->n_rules; i++)
        give_rule(ctx, policy, &policy->rules[i]);
    cr_assert_eq(seccomp_export_bpf(ctx, fd), 0);
    seccomp_release(ctx);

    struct program p = {.count = (size_t)lseek(fd, 0, SEEK_END) / sizeof(struct sock_filter)};
    p.code = calloc(p.count, sizeof(*p.code));
    cr_assert_eq(pread(fd, p.code, p.count * sizeof(*p.code), 0), (ssize_t)(p.count * sizeof(*p.code)));
    close(fd);
    cr_assert(box_seccomp_program_ok(p.code, p.count));
    return p;
}

/* Every call that libseccomp has a name for, with arguments that the policies below look at. */
static void compare_all_calls(const struct program *ours, const struct program *theirs,
                              const struct arch *arch)
{
    static const uint64_t values[] = {
        0,         1,       2,       8,          10,         16,     17,         38,
        40,        0x20000, 0x20008, 0x10000000, 0x7e020000, 0x5401, UINT32_MAX, (UINT64_C(1) << 32) + 1,
        UINT64_MAX};

    for (int n = 0; n < HIGHEST; n++) {
        struct box_seccomp_call call = {.arch = arch->audit, .number = n + (int)arch->base};
        char *name = seccomp_syscall_resolve_num_arch(arch->token, call.number);
        if (!name)
            continue;
        for (size_t i = 0; i < BOX_ARRAY(values); i++) {
            uint64_t value = box_seccomp_arches[arch->column].narrow ? (uint32_t)values[i] : values[i];
            call.args[0] = call.args[1] = value;
            cr_assert_eq(ask(ours, &call), ask(theirs, &call), "%s %s(%#llx): %#x and %#x", arch->oci, name,
                         (unsigned long long)value, ask(ours, &call), ask(theirs, &call));
        }
        free(name);
    }
}

static void compare_with_libseccomp(const box_seccomp *policy)
{
    struct program ours _program_ = generate(policy, BOX_ARCH_NATIVE);
    struct program theirs _program_ = by_libseccomp(policy);

    cr_log_info("%zu instructions, libseccomp's has %zu", ours.count, theirs.count);
    for (size_t a = 0; a < BOX_ARRAY(arches); a++)
        for (size_t i = 0; i < policy->n_arches; i++)
            if (strcmp(policy->arches[i], arches[a].oci) == 0)
                compare_all_calls(&ours, &theirs, &arches[a]);
}

Test(seccomp_compile, the_default_policy_answers_as_libseccomp_would)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_default(UINT64_C(1) << CAP_SYS_CHROOT, NULL);

    /* What libseccomp can't express: an errno rule beside an allow rule, and ENOSYS above the newest. */
    cr_assert_eq(box_seccomp_drop_syscall(policy, "ioctl", NULL), 0);
    box_seccomp_set_newer_enosys(policy, false);
    if (BOX_ARCH_NATIVE == BOX_ARCH_X86_64)
        cr_assert_eq(box_seccomp_add_arch(policy, "SCMP_ARCH_X32", NULL), 0);
    compare_with_libseccomp(policy);
}

Test(seccomp_compile, a_list_of_forbidden_calls_answers_as_libseccomp_would)
{
    static const char *const names[] = {"ptrace", "mount", "keyctl", "socket", "shmat", "bpf", "ioctl", NULL};
    const struct box_seccomp_arg flags = {0, BOX_SECCOMP_MASKED_EQ, 0x10000000, 0x10000000};
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_ERRNO, EACCES, names, NULL, 0, NULL), 0);
    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_KILL_PROCESS, 0, "clone", &flags, 1, NULL), 0);
    cr_assert_eq(
        box_seccomp_add_arch(policy, box_seccomp_arches[box_seccomp_compat_arch(BOX_ARCH_NATIVE)].oci, NULL),
        0);
    /* Including socketcall(SYS_SOCKET) and ipc(SHMAT) of 32-bit x86. */
    compare_with_libseccomp(policy);
}

/* ---- what libseccomp leaves open ---- */

static uint32_t answer(const box_seccomp *policy, uint32_t audit, int number, uint64_t first, uint64_t second)
{
    enum box_seccomp_arch machine =
        audit == AUDIT_ARCH_AARCH64 || audit == AUDIT_ARCH_ARM ? BOX_ARCH_AARCH64 : BOX_ARCH_X86_64;
    struct program p _program_ = generate(policy, machine);

    return ask(&p, &(struct box_seccomp_call){.arch = audit, .number = number, .args = {first, second}});
}

Test(seccomp_compile, an_errno_rule_with_a_test_narrows_an_allow_rule)
{
    const struct box_seccomp_arg command = {1, BOX_SECCOMP_MASKED_EQ, UINT32_MAX, 0x5412};
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);

    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "ioctl", NULL, 0, NULL), 0);
    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, EPERM, "ioctl", &command, 1, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 16, 0, 0x5401), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 16, 0, 0x5412), SCMP_ACT_ERRNO(EPERM));
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 16, 0, 0x700005412), SCMP_ACT_ERRNO(EPERM));
}

Test(seccomp_compile, an_allow_rule_with_a_test_never_widens_an_errno_rule)
{
    const struct box_seccomp_arg family = {0, BOX_SECCOMP_EQ, 1, 0};
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);

    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "socket", &family, 1, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 41, 1, 0), SCMP_ACT_ALLOW);
    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, EACCES, "socket", NULL, 0, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 41, 1, 0), SCMP_ACT_ERRNO(EACCES));
}

Test(seccomp_compile, calls_newer_than_the_policy_answer_enosys)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);
    static const char *const names[] = {"read", "cachestat", "set_tls", NULL};

    cr_assert_eq(box_seccomp_add_arch(policy, "SCMP_ARCH_ARM", NULL), 0);
    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_ALLOW, 0, names, NULL, 0, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 450, 0, 0), SCMP_ACT_ERRNO(EPERM));
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 451, 0, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 452, 0, 0), SCMP_ACT_ERRNO(ENOSYS));
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, -1, 0, 0), SCMP_ACT_ERRNO(ENOSYS));
    /* ARM's private numbers, far above, don't make everything between them old. */
    cr_expect_eq(answer(policy, AUDIT_ARCH_ARM, 0xf0005, 0, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(policy, AUDIT_ARCH_ARM, 452, 0, 0), SCMP_ACT_ERRNO(ENOSYS));
    box_seccomp_set_newer_enosys(policy, false);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 452, 0, 0), SCMP_ACT_ERRNO(EPERM));
}

Test(seccomp_compile, a_short_list_does_not_make_old_calls_new)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);

    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "read", NULL, 0, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 257, 0, 0), SCMP_ACT_ERRNO(EPERM));
}

Test(seccomp_compile, architectures_that_the_policy_does_not_hold_are_refused)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    /* Even where everything is allowed: x32 and i386 calls are other calls under the same roof. */
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, 39, 0, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(policy, AUDIT_ARCH_X86_64, BOX_X32_BIT + 39, 0, 0), SCMP_ACT_ERRNO(ENOSYS));
    cr_expect_eq(answer(policy, AUDIT_ARCH_I386, 20, 0, 0), SCMP_ACT_ERRNO(ENOSYS));
    cr_assert_eq(box_seccomp_set_default_action(policy, BOX_SECCOMP_KILL_PROCESS, 0, NULL), 0);
    cr_expect_eq(answer(policy, AUDIT_ARCH_I386, 20, 0, 0), SCMP_ACT_KILL_PROCESS);
}

Test(seccomp_compile, socketcall_follows_the_rules_of_what_it_carries)
{
    const struct box_seccomp_arg alg = {0, BOX_SECCOMP_EQ, 38, 0}, local = {0, BOX_SECCOMP_EQ, 1, 0};
    _cleanup_(box_seccomp) box_seccomp *loose = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);
    _cleanup_(box_seccomp) box_seccomp *tight = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);

    cr_assert_eq(box_seccomp_add_arch(loose, "SCMP_ARCH_X86", NULL), 0);
    cr_assert_eq(box_seccomp_add_rule(loose, BOX_SECCOMP_ERRNO, EACCES, "socket", &alg, 1, NULL), 0);
    /* The family can't be seen: the rule goes for every socketcall(SYS_SOCKET), and for no other. */
    cr_expect_eq(answer(loose, AUDIT_ARCH_I386, 102, 1, 0), SCMP_ACT_ERRNO(EACCES));
    cr_expect_eq(answer(loose, AUDIT_ARCH_I386, 102, 2, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(loose, AUDIT_ARCH_I386, 359, 1, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(loose, AUDIT_ARCH_I386, 359, 38, 0), SCMP_ACT_ERRNO(EACCES));

    cr_assert_eq(box_seccomp_add_arch(tight, "SCMP_ARCH_X86", NULL), 0);
    cr_assert_eq(box_seccomp_add_rule(tight, BOX_SECCOMP_ALLOW, 0, "socket", &local, 1, NULL), 0);
    cr_assert_eq(box_seccomp_add_rule(tight, BOX_SECCOMP_ALLOW, 0, "shmat", NULL, 0, NULL), 0);
    /* An allowance with a test does not open the door that has no test. */
    cr_expect_eq(answer(tight, AUDIT_ARCH_I386, 102, 1, 0), SCMP_ACT_ERRNO(EPERM));
    /* ipc's first argument has a version in its upper half, which the kernel ignores here. */
    cr_expect_eq(answer(tight, AUDIT_ARCH_I386, 117, 0x10015, 0), SCMP_ACT_ALLOW);
    cr_expect_eq(answer(tight, AUDIT_ARCH_I386, 117, 22, 0), SCMP_ACT_ERRNO(EPERM));
    /* A rule for the carrier itself takes over. */
    cr_assert_eq(box_seccomp_add_rule(tight, BOX_SECCOMP_ALLOW, 0, "socketcall", NULL, 0, NULL), 0);
    cr_expect_eq(answer(tight, AUDIT_ARCH_I386, 102, 1, 0), SCMP_ACT_ALLOW);
}

Test(seccomp_compile, a_program_that_the_kernel_would_not_take_is_an_error)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);
    box_error *err = NULL;
    struct program p _program_ = {0};

    for (unsigned i = 0; i < 3000; i++) {
        struct box_seccomp_arg arg = {0, BOX_SECCOMP_EQ, i * UINT64_C(0x100000001), 0};
        cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, 1 + i % 4000, "read", &arg, 1, NULL), 0);
    }
    cr_assert_eq(box_seccomp_codegen(policy, BOX_ARCH_NATIVE, &p.code, &p.count, &err), BOX_ELIMIT);
    box_error_free(err);
}

Test(seccomp_compile, hundreds_of_tests_for_one_call_still_reach_their_answers)
{
    /* Longer than a conditional jump reaches, so that the long ones are used. */
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    for (unsigned i = 0; i < 500; i++) {
        struct box_seccomp_arg arg = {0, BOX_SECCOMP_EQ, i * UINT64_C(0x100000001), 0};
        cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, 1 + i, "read", &arg, 1, NULL), 0);
    }
    struct program p _program_ = generate(policy, BOX_ARCH_X86_64);
    for (unsigned i = 0; i < 500; i++)
        cr_assert_eq(ask(&p, &(struct box_seccomp_call){.arch = AUDIT_ARCH_X86_64,
                                                        .args = {i * UINT64_C(0x100000001)}}),
                     SCMP_ACT_ERRNO(1 + i));
    cr_assert_eq(ask(&p, &(struct box_seccomp_call){.arch = AUDIT_ARCH_X86_64, .number = 1}), SCMP_ACT_ALLOW);
}

/* ---- presets ---- */

Test(seccomp_compile, what_was_compiled_with_the_library_equals_what_is_compiled_now)
{
    const uint64_t all = box_seccomp_preset_caps(), usual = UINT64_C(1) << CAP_SYS_CHROOT;
    unsigned ready = 0;

    for (unsigned cap = 0; cap < 67; cap++) {
        uint64_t caps = cap < 64 ? usual | UINT64_C(1) << cap : cap == 64 ? 0 : cap == 65 ? all : UINT64_MAX;
        for (int compat = 0; compat <= 1; compat++) {
            _cleanup_(box_seccomp) box_seccomp *policy =
                box_seccomp_default_for(BOX_ARCH_NATIVE, caps, compat, NULL);
            struct program p _program_ = generate(policy, BOX_ARCH_NATIVE);
            size_t count;
            const struct sock_filter *program = box_seccomp_ready_program(policy, &count);
            cr_assert_not_null(program, "caps %#llx", (unsigned long long)caps);
            cr_assert_eq(count, p.count);
            cr_assert_arr_eq(program, p.code, count * sizeof(*program));
            ready++;
        }
    }
    cr_assert_eq(ready, 134);
    _cleanup_(box_seccomp) box_seccomp *strict = box_seccomp_new_strict(NULL);
    struct program p _program_ = generate(strict, BOX_ARCH_NATIVE);
    size_t count;
    const struct sock_filter *program = box_seccomp_ready_program(strict, &count);
    cr_assert(program && count == p.count && memcmp(program, p.code, count * sizeof(*program)) == 0);
}

Test(seccomp_compile, a_changed_preset_is_compiled_anew)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_default(0, NULL);
    size_t count;

    cr_expect_not_null(box_seccomp_ready_program(policy, &count));
    cr_assert_eq(box_seccomp_drop_syscall(policy, "ptrace", NULL), 0);
    cr_expect_null(box_seccomp_ready_program(policy, &count));

    _cleanup_(box_seccomp) box_seccomp *other = box_seccomp_new_default(0, NULL);
    cr_assert_eq(box_seccomp_add_arch(other, "SCMP_ARCH_X32", NULL), 0);
    cr_expect_null(box_seccomp_ready_program(other, &count));

    _cleanup_(box_seccomp) box_seccomp *third = box_seccomp_new_default(0, NULL);
    box_seccomp_set_newer_enosys(third, false);
    cr_expect_null(box_seccomp_ready_program(third, &count));
}

Test(seccomp_compile, the_presets_name_no_call_that_is_unknown)
{
    _cleanup_(box_seccomp) box_seccomp *container = box_seccomp_new_default(UINT64_MAX, NULL);
    _cleanup_(box_seccomp) box_seccomp *strict = box_seccomp_new_strict(NULL);
    const char *name = box_seccomp_unknown(container, 0);

    cr_expect_null(name, "%s", name);
    name = box_seccomp_unknown(strict, 0);
    cr_expect_null(name, "%s", name);
}

static int default_says(uint64_t caps, const char *name, uint64_t first, uint64_t second)
{
    box_seccomp_filter *filter = box_seccomp_filter_default(caps, NULL);
    struct box_seccomp_call call = {.number = box_syscall_number(0, name), .args = {first, second}};
    unsigned value = 0;

    cr_assert(filter && call.number >= 0, "%s", name);
    int action = box_seccomp_filter_evaluate(filter, &call, &value);
    box_seccomp_filter_unref(filter);
    return action == BOX_SECCOMP_ERRNO ? (int)value : action == BOX_SECCOMP_ALLOW ? 0 : -1;
}

Test(seccomp_compile, the_default_policy_refuses_what_containers_escape_by)
{
    static const char *const refused[] = {"mount",
                                          "fsopen",
                                          "fsconfig",
                                          "move_mount",
                                          "open_tree",
                                          "mount_setattr",
                                          "umount2",
                                          "pivot_root",
                                          "unshare",
                                          "setns",
                                          "keyctl",
                                          "add_key",
                                          "request_key",
                                          "bpf",
                                          "perf_event_open",
                                          "io_uring_setup",
                                          "io_uring_enter",
                                          "io_uring_register",
                                          "userfaultfd",
                                          "kexec_load",
                                          "kexec_file_load",
                                          "open_by_handle_at",
                                          "init_module",
                                          "finit_module",
                                          "delete_module",
                                          "reboot",
                                          "swapon",
                                          "swapoff",
                                          "acct",
                                          "settimeofday",
                                          "clock_settime",
                                          "syslog",
                                          "quotactl",
                                          "sethostname",
                                          "setdomainname",
                                          "fanotify_init",
                                          "kcmp",
                                          "pidfd_getfd",
                                          "process_madvise",
                                          "vhangup",
                                          "mbind",
                                          "set_mempolicy",
                                          "move_pages",
                                          "migrate_pages",
                                          "lsm_set_self_attr"};

    for (size_t i = 0; i < BOX_ARRAY(refused); i++)
        cr_expect_eq(default_says(UINT64_C(1) << CAP_SYS_CHROOT, refused[i], 0, 0), EPERM, "%s", refused[i]);
    /* And with every capability, what Docker refuses as well. */
    cr_expect_eq(default_says(UINT64_MAX, "keyctl", 0, 0), EPERM);
    cr_expect_eq(default_says(UINT64_MAX, "io_uring_setup", 0, 0), EPERM);
    cr_expect_eq(default_says(UINT64_MAX, "socket", 40, 0), EPERM);
    cr_expect_eq(default_says(UINT64_MAX, "socket", 38, 0), EPERM);
    cr_expect_eq(default_says(UINT64_MAX, "ioctl", 0, 0x5412), EPERM);
}

Test(seccomp_compile, the_default_policy_opens_with_capabilities)
{
    static const struct {
        unsigned cap;
        const char *name;
    } table[] = {
        {CAP_SYS_ADMIN, "mount"},
        {CAP_SYS_ADMIN, "unshare"},
        {CAP_SYS_ADMIN, "setns"},
        {CAP_SYS_ADMIN, "clone3"},
        {CAP_SYS_ADMIN, "bpf"},
        {CAP_BPF, "bpf"},
        {CAP_PERFMON, "perf_event_open"},
        {CAP_SYSLOG, "syslog"},
        {CAP_DAC_READ_SEARCH, "open_by_handle_at"},
        {CAP_SYS_CHROOT, "chroot"},
        {CAP_SYS_PTRACE, "kcmp"},
        {CAP_SYS_MODULE, "finit_module"},
        {CAP_SYS_TIME, "settimeofday"},
        {CAP_SYS_BOOT, "reboot"},
        {CAP_SYS_NICE, "mbind"},
        {CAP_SYS_PACCT, "acct"},
        {CAP_SYS_TTY_CONFIG, "vhangup"},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        cr_expect_eq(default_says(UINT64_C(1) << table[i].cap, table[i].name, 0, 0), 0, "%s", table[i].name);
        cr_expect_neq(default_says(0, table[i].name, 0, 0), 0, "%s", table[i].name);
    }
}

Test(seccomp_compile, namespaces_families_and_personalities_are_told_apart_by_argument)
{
    cr_expect_eq(default_says(0, "clone", 0x3d0f00, 0), 0, "a thread");
    cr_expect_eq(default_says(0, "clone", 0x11, 0), 0, "a child");
    static const uint64_t namespaces[] = {0x20000,    0x2000000,  0x4000000, 0x8000000,
                                          0x10000000, 0x20000000, 0x40000000};
    for (size_t i = 0; i < BOX_ARRAY(namespaces); i++)
        cr_expect_eq(default_says(0, "clone", namespaces[i] | 0x11, 0), EPERM);
    cr_expect_eq(default_says(0, "clone3", 0, 0), ENOSYS);

    for (uint64_t family = 0; family < 48; family++) {
        bool usual = family == 1 || family == 2 || family == 10 || family == 16 || family == 17;
        bool never = family == 38 || family == 40;
        /* The kernel does not look at the upper half: nor may the filter. */
        for (int high = 0; high <= 1; high++) {
            uint64_t argument = family | (uint64_t)high << 35;
            cr_expect_eq(default_says(0, "socket", argument, 0), usual ? 0 : EPERM, "%d", (int)family);
            if (never)
                cr_expect_eq(default_says(UINT64_C(1) << CAP_NET_ADMIN, "socket", argument, 0), EPERM);
            if (family < 38)
                cr_expect_eq(default_says(UINT64_C(1) << CAP_NET_ADMIN, "socket", argument, 0), 0, "%d",
                             (int)family);
        }
    }
    cr_expect_eq(default_says(0, "personality", 0x20008, 0), 0);
    cr_expect_eq(default_says(0, "personality", 0xffffffff, 0), 0);
    cr_expect_eq(default_says(0, "personality", 0x40000, 0), EPERM, "ADDR_NO_RANDOMIZE");
    cr_expect_eq(default_says(0, "personality", 0x400000, 0), EPERM, "READ_IMPLIES_EXEC");
    cr_expect_eq(default_says(0, "ioctl", 0, 0x541c), EPERM, "TIOCLINUX");
}

Test(seccomp_compile, names_and_numbers_agree_with_libseccomp)
{
    for (size_t a = 0; a < BOX_ARRAY(arches); a++) {
        unsigned seen = 0;
        for (int n = 0; n < HIGHEST; n++) {
            int number = n + (int)arches[a].base;
            char *theirs = seccomp_syscall_resolve_num_arch(arches[a].token, number);
            const char *ours = box_syscall_name(arches[a].audit, number);
            if (theirs) {
                cr_assert_not_null(ours, "%s %d", theirs, number);
                cr_assert_str_eq(ours, theirs);
                cr_assert_eq(box_syscall_lookup(arches[a].column, ours), number);
                seen++;
            }
            free(theirs);
        }
        cr_expect_gt(seen, 250);
    }
    cr_expect_str_eq(box_syscall_name(0, box_syscall_number(0, "mseal")), "mseal");
    cr_expect_eq(box_syscall_number(AUDIT_ARCH_X86_64, "mseal"), 462);
    cr_expect_eq(box_syscall_number(AUDIT_ARCH_ARM, "set_tls"), 0xf0005);
    cr_expect_null(box_syscall_name(0, 100000));
    cr_expect_null(box_syscall_name(0, -1));
    cr_expect_null(box_syscall_name(AUDIT_ARCH_S390, 1));
    cr_expect_eq(box_syscall_number(0, "no_such_call"), -1);
}
