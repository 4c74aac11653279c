/* From a policy to the BPF program that the kernel runs on every system call.
 *
 *     for each architecture: rules -> cases (number, tests, answer), sorted by number and strictness
 *                            cases -> spans (from this number on, this answer), which joins neighbours
 *                            spans -> a binary tree of comparisons
 *     in front of the trees: which architecture is it
 *
 * Code is written from its end to its beginning, so that every target is known when a jump to it is written;
 * a jump reaches 255 instructions, and what lies further off is reached by a copy of the answer or by a long
 * jump.
 *
 * Why not libseccomp: its program for a container's list has four to five times as many instructions, which
 * costs every single start some 150 microseconds in the kernel (checking, translating, JIT), and it takes
 * milliseconds to make; it can't put an errno rule with tests beside an allow rule for the same call; and it
 * knows only calls that it has names for. The tests hold the two against each other. docs/design/seccomp.md
 * has the numbers.
 *
 * Built against: a filter that looks at the upper half of an argument where the kernel does not or the other
 * way round; calls by an architecture or by a number that the policy's author did not think of (x32,
 * socketcall). */
#include "kernel/seccomp_compile.h"

#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>

#include "base/fail.h"

enum {
    MAX_CASES = 1 << 16,
    REACH = 253,        /* of a conditional jump, with room for the two instructions that may come between */
    MAX_EXCEPTIONS = 3, /* single numbers told from those around them by one comparison each */
};

/* One rule, for one number. */
struct one_case {
    uint32_t number;
    uint32_t action; /* the sort key after the number: strict ones first */
    uint32_t order;  /* then as in the policy */
    uint32_t answer; /* SECCOMP_RET_* */
    const struct box_seccomp_test *tests;
    size_t n_tests;
    bool has_sub; /* one more test: the first argument, of a carrier */
    struct box_seccomp_arg sub;
};

/* Numbers from `start` to the next span's: the tests of n_cases cases in turn, then `answer`. */
struct span {
    uint32_t start;
    uint32_t answer;
    size_t first_case, n_cases;
};

struct leaf {
    size_t first, n_exceptions; /* spans: base, exception, base, ... */
};

struct gen {
    const box_seccomp *policy;
    uint32_t fallback; /* what no rule matches */
    uint32_t newer;    /* numbers above `newest` */
    uint32_t foreign;  /* calls by other architectures */
    bool names_socketcall, names_ipc;

    struct one_case *cases;
    size_t n_cases, cases_room;
    uint32_t newest;

    struct span *spans;
    size_t n_spans, spans_room;
    struct leaf *leaves;
    bool narrow;

    struct sock_filter *code; /* BPF_MAXINSNS of them, filled from the end */
    unsigned at;              /* the first one that is written */
    bool full;
};

/* Where a jump goes: an instruction, or an answer that has none yet. */
struct target {
    bool is_answer;
    unsigned at;
    uint32_t answer;
};

static struct target to_answer(uint32_t answer)
{
    return (struct target){.is_answer = true, .answer = answer};
}

static struct target to_code(unsigned at)
{
    return (struct target){.at = at};
}

static uint32_t answer_of(const struct box_seccomp_verdict *verdict)
{
    static const uint32_t answers[] = {
        [BOX_SECCOMP_ALLOW] = SECCOMP_RET_ALLOW,
        [BOX_SECCOMP_LOG] = SECCOMP_RET_LOG,
        [BOX_SECCOMP_TRACE] = SECCOMP_RET_TRACE,
        [BOX_SECCOMP_NOTIFY] = SECCOMP_RET_USER_NOTIF,
        [BOX_SECCOMP_ERRNO] = SECCOMP_RET_ERRNO,
        [BOX_SECCOMP_TRAP] = SECCOMP_RET_TRAP,
        [BOX_SECCOMP_KILL_THREAD] = SECCOMP_RET_KILL_THREAD,
        [BOX_SECCOMP_KILL_PROCESS] = SECCOMP_RET_KILL_PROCESS,
    };

    /* OCI allows an errnoRet beside any action. */
    if (verdict->action != BOX_SECCOMP_ERRNO && verdict->action != BOX_SECCOMP_TRACE)
        return answers[verdict->action];
    return answers[verdict->action] | (verdict->value & SECCOMP_RET_DATA);
}

/* ---- writing code, backwards ---- */

static unsigned put(struct gen *g, uint16_t code, uint32_t k, unsigned yes, unsigned no)
{
    if (g->at == 0) {
        g->full = true;
        return 0;
    }
    g->code[--g->at] = (struct sock_filter){.code = code, .jt = (uint8_t)yes, .jf = (uint8_t)no, .k = k};
    return g->at;
}

/* An instruction within reach that does what the target does. */
static unsigned reach(struct gen *g, struct target target)
{
    if (!target.is_answer) {
        if (target.at - g->at <= REACH)
            return target.at;
        return put(g, BPF_JMP | BPF_JA, target.at - g->at, 0, 0);
    }
    for (unsigned i = g->at; i < BPF_MAXINSNS && i - g->at <= REACH; i++)
        if (g->code[i].code == (BPF_RET | BPF_K) && g->code[i].k == target.answer)
            return i;
    return put(g, BPF_RET | BPF_K, target.answer, 0, 0);
}

static struct target put_jump(struct gen *g, uint16_t condition, uint32_t k, struct target yes,
                              struct target no)
{
    unsigned no_at = reach(g, no), yes_at = reach(g, yes);

    if (yes_at == no_at)
        return to_code(yes_at);
    return to_code(put(g, (uint16_t)(BPF_JMP | condition | BPF_K), k, yes_at - g->at, no_at - g->at));
}

static struct target put_load(struct gen *g, size_t offset, struct target then)
{
    /* A load falls through into what was written last. */
    if (then.is_answer || then.at != g->at)
        return then;
    return to_code(put(g, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0));
}

/* Compares one half of an argument. */
static struct target put_half(struct gen *g, const struct box_seccomp_arg *arg, bool upper,
                              uint16_t condition, uint32_t mask, uint32_t value, struct target yes,
                              struct target no)
{
    struct target jump = put_jump(g, condition, value, yes, no);

    /* Both ways lead to the same place: there is nothing to compare. */
    if (jump.at != g->at || BPF_CLASS(g->code[jump.at].code) != BPF_JMP ||
        BPF_OP(g->code[jump.at].code) == BPF_JA)
        return jump;
    if (mask != UINT32_MAX)
        jump = to_code(put(g, BPF_ALU | BPF_AND | BPF_K, mask, 0, 0));
    return put_load(g, offsetof(struct seccomp_data, args) + 8 * arg->index + (upper ? 4 : 0), jump);
}

static struct target put_equal(struct gen *g, const struct box_seccomp_arg *arg, uint64_t mask,
                               uint64_t value, struct target yes, struct target no)
{
    struct target lower = yes;

    if ((uint32_t)mask != 0 || (uint32_t)value != 0)
        lower = put_half(g, arg, false, BPF_JEQ, (uint32_t)mask, (uint32_t)value, yes, no);
    if (g->narrow || (mask >> 32 == 0 && value >> 32 == 0))
        return lower;
    return put_half(g, arg, true, BPF_JEQ, (uint32_t)(mask >> 32), (uint32_t)(value >> 32), lower, no);
}

/* argument > value (condition JGT) or >= value (JGE). */
static struct target put_greater(struct gen *g, const struct box_seccomp_arg *arg, uint16_t condition,
                                 struct target yes, struct target no)
{
    uint32_t upper = (uint32_t)(arg->value >> 32);
    struct target lower = put_half(g, arg, false, condition, UINT32_MAX, (uint32_t)arg->value, yes, no);

    if (g->narrow)
        return lower;
    struct target equal = put_jump(g, BPF_JEQ, upper, lower, no);
    struct target above = put_jump(g, BPF_JGT, upper, yes, equal);
    return put_load(g, offsetof(struct seccomp_data, args) + 8 * arg->index + 4, above);
}

static struct target put_test(struct gen *g, const struct box_seccomp_arg *arg, struct target yes,
                              struct target no)
{
    switch (arg->op) {
    case BOX_SECCOMP_EQ:
        return put_equal(g, arg, UINT64_MAX, arg->value, yes, no);
    case BOX_SECCOMP_NE:
        return put_equal(g, arg, UINT64_MAX, arg->value, no, yes);
    case BOX_SECCOMP_MASKED_EQ:
        return put_equal(g, arg, arg->value, arg->value_two & arg->value, yes, no);
    case BOX_SECCOMP_GT:
        return put_greater(g, arg, BPF_JGT, yes, no);
    case BOX_SECCOMP_LE:
        return put_greater(g, arg, BPF_JGT, no, yes);
    case BOX_SECCOMP_GE:
        return put_greater(g, arg, BPF_JGE, yes, no);
    default:
        return put_greater(g, arg, BPF_JGE, no, yes);
    }
}

static struct target put_span(struct gen *g, const struct span *span)
{
    struct target next = to_answer(span->answer);

    for (size_t i = span->n_cases; i-- > 0;) {
        const struct one_case *c = &g->cases[span->first_case + i];
        struct target match = to_answer(c->answer);
        for (size_t t = c->n_tests; t-- > 0;)
            match = put_test(g, &c->tests[t].arg, match, next);
        if (c->has_sub)
            match = put_test(g, &c->sub, match, next);
        next = match;
    }
    return next;
}

/* ---- from rules to cases ---- */

static int add_case(struct gen *g, const struct one_case *one, box_error **err)
{
    if (g->n_cases == MAX_CASES)
        return box_fail(err, BOX_ELIMIT, "seccomp: the rules come to more than %d cases", MAX_CASES);
    if (g->n_cases == g->cases_room) {
        size_t room = g->cases_room ? 2 * g->cases_room : 512;
        struct one_case *grown = reallocarray(g->cases, room, sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        g->cases = grown;
        g->cases_room = room;
    }
    g->cases[g->n_cases++] = *one;
    return 0;
}

/* A rule that tests one argument twice means any of its tests (as runc reads OCI), so each is a case of its
 * own. */
static bool any_test_suffices(const struct box_seccomp_rule *rule)
{
    unsigned seen = 0;

    for (size_t i = 0; i < rule->n_tests; i++) {
        unsigned bit = 1u << rule->tests[i].arg.index;
        if (seen & bit)
            return true;
        seen |= bit;
    }
    return false;
}

static int add_number(struct gen *g, const struct box_seccomp_rule *rule, struct one_case one,
                      box_error **err)
{
    one.tests = rule->tests;
    one.n_tests = rule->n_tests;
    if (!any_test_suffices(rule))
        return add_case(g, &one, err);
    for (size_t i = 0; i < rule->n_tests; i++) {
        one.tests = &rule->tests[i];
        one.n_tests = 1;
        int r = add_case(g, &one, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool policy_names(const box_seccomp *policy, const char *name)
{
    for (size_t i = 0; i < policy->n_rules; i++)
        for (size_t n = 0; n < policy->rules[i].n_names; n++)
            if (strcmp(policy->rules[i].names[n], name) == 0)
                return true;
    return false;
}

/* On 32-bit x86 the C library reaches socket() and shmat() by way of socketcall and ipc, whose further
 * arguments lie in memory where no filter sees them. A rule goes for the carrier's call too: with tests, when
 * it is stricter than the default action (then for all its arguments), and not when it is laxer. A policy
 * that has rules for the carrier itself knows about it, and is left to it. */
static int add_carrier(struct gen *g, const struct box_seccomp_rule *rule, const char *name,
                       struct one_case one, box_error **err)
{
    struct box_syscall_carrier carrier;

    if ((g->names_socketcall && g->names_ipc) || !box_syscall_carrier(name, &carrier) ||
        (carrier.is_ipc ? g->names_ipc : g->names_socketcall) ||
        (rule->n_tests > 0 && rule->verdict.action <= g->policy->fallback.action))
        return 0;
    one.number = (uint32_t)box_syscall_lookup(BOX_ARCH_X86, carrier.is_ipc ? "ipc" : "socketcall");
    one.has_sub = true;
    /* The kernel takes the upper half of ipc's first argument as a version. */
    one.sub = (struct box_seccomp_arg){.op = BOX_SECCOMP_MASKED_EQ,
                                       .value = carrier.is_ipc ? 0xffff : UINT32_MAX,
                                       .value_two = carrier.call};
    return add_case(g, &one, err);
}

static int add_name(struct gen *g, enum box_seccomp_arch arch, const struct box_seccomp_rule *rule,
                    uint32_t order, const char *name, box_error **err)
{
    struct one_case one = {
        .action = rule->verdict.action, .order = order, .answer = answer_of(&rule->verdict)};
    int number = box_syscall_lookup(arch, name);
    int r = 0;

    if (number >= 0) {
        uint32_t plain = (uint32_t)number - box_seccomp_arches[arch].base;
        if (plain > g->newest &&
            (!box_seccomp_arches[arch].own_first || plain < box_seccomp_arches[arch].own_first))
            g->newest = plain;
    }
    /* Says what happens anyway. */
    if (rule->n_tests == 0 && one.answer == g->fallback)
        return 0;
    if (number >= 0) {
        one.number = (uint32_t)number;
        r = add_number(g, rule, one, err);
    }
    if (r == 0 && arch == BOX_ARCH_X86)
        r = add_carrier(g, rule, name, one, err);
    return r;
}

static int by_number(const void *a, const void *b)
{
    const struct one_case *x = a, *y = b;

    if (x->number != y->number)
        return x->number < y->number ? -1 : 1;
    if (x->action != y->action)
        return x->action > y->action ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int collect(struct gen *g, enum box_seccomp_arch arch, box_error **err)
{
    g->newest = BOX_SYSCALL_COMMON;
    for (size_t i = 0; i < g->policy->n_rules; i++) {
        const struct box_seccomp_rule *rule = &g->policy->rules[i];
        for (size_t n = 0; n < rule->n_names; n++) {
            int r = add_name(g, arch, rule, (uint32_t)i, rule->names[n], err);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- from cases to spans ---- */

static int add_span(struct gen *g, const struct span *span, box_error **err)
{
    struct span *last = g->n_spans ? &g->spans[g->n_spans - 1] : NULL;

    if (last && last->start == span->start) {
        g->n_spans--;
        return add_span(g, span, err);
    }
    if (last && last->n_cases == 0 && span->n_cases == 0 && last->answer == span->answer)
        return 0;
    if (g->n_spans == g->spans_room) {
        size_t room = g->spans_room ? 2 * g->spans_room : 256;
        struct span *grown = reallocarray(g->spans, room, sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        g->spans = grown;
        g->spans_room = room;
    }
    g->spans[g->n_spans++] = *span;
    return 0;
}

/* From this number on, up to the next case: what no rule names. */
static int add_gap(struct gen *g, enum box_seccomp_arch arch, uint32_t start, box_error **err)
{
    const struct box_seccomp_arch_info *info = &box_seccomp_arches[arch];
    const struct span edges[] = {
        {.start = info->base, .answer = g->fallback},
        {.start = info->base + g->newest + 1, .answer = g->newer},
        {.start = info->base + info->own_first, .answer = g->fallback},
        {.start = info->base + info->own_last + 1, .answer = g->newer},
    };
    size_t n = info->own_first ? 4 : 2;
    struct span here = {.start = start};
    int r = 0;

    for (size_t i = 0; i < n; i++)
        if (edges[i].start <= start)
            here.answer = edges[i].answer;
    r = add_span(g, &here, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        if (edges[i].start > start)
            r = add_span(g, &edges[i], err);
    return r;
}

/* All cases of one number, from cases[i] on. Those behind one without tests are never reached. Returns the
 * index of the next number's. */
static size_t one_number(struct gen *g, size_t i, struct span *span)
{
    *span = (struct span){.start = g->cases[i].number, .answer = g->fallback, .first_case = i};
    bool open = true;

    for (; i < g->n_cases && g->cases[i].number == span->start; i++) {
        if (!open)
            continue;
        if (g->cases[i].n_tests == 0 && !g->cases[i].has_sub) {
            span->answer = g->cases[i].answer;
            open = false;
        } else {
            span->n_cases++;
        }
    }
    while (span->n_cases > 0 && g->cases[span->first_case + span->n_cases - 1].answer == span->answer)
        span->n_cases--;
    return i;
}

static int add_spans(struct gen *g, enum box_seccomp_arch arch, box_error **err)
{
    size_t first = g->n_cases;
    int r = collect(g, arch, err);

    if (r < 0)
        return r;
    if (g->n_cases > first)
        qsort(&g->cases[first], g->n_cases - first, sizeof(g->cases[0]), by_number);
    r = add_gap(g, arch, box_seccomp_arches[arch].base, err);
    for (size_t i = first; r == 0 && i < g->n_cases;) {
        struct span span;
        /* The gap before this number may end later than the number starts: cut it back. */
        i = one_number(g, i, &span);
        while (g->n_spans > 0 && g->spans[g->n_spans - 1].start > span.start)
            g->n_spans--;
        r = add_span(g, &span, err);
        if (r == 0)
            r = add_gap(g, arch, span.start + 1, err);
    }
    return r;
}

/* ---- from spans to a tree ---- */

static bool same(const struct span *a, const struct span *b)
{
    return a->n_cases == 0 && b->n_cases == 0 && a->answer == b->answer;
}

/* Takes together a span and the single numbers in it that have other answers, if the span goes on behind
 * them. Returns the number of spans taken. */
static size_t take_leaf(const struct gen *g, size_t first, struct leaf *leaf)
{
    size_t taken = 1, singles = 0;

    for (size_t i = first + 1; i < g->n_spans; i++) {
        if (same(&g->spans[i], &g->spans[first])) {
            taken = i - first + 1;
            continue;
        }
        bool single = i + 1 < g->n_spans && g->spans[i + 1].start == g->spans[i].start + 1;
        if (!single || ++singles > MAX_EXCEPTIONS)
            break;
    }
    *leaf = (struct leaf){.first = first, .n_exceptions = taken - 1};
    return taken;
}

static struct target put_leaf(struct gen *g, const struct leaf *leaf)
{
    struct target rest = put_span(g, &g->spans[leaf->first]);

    for (size_t i = leaf->n_exceptions; i > 0; i--) {
        const struct span *span = &g->spans[leaf->first + i];
        if (!same(span, &g->spans[leaf->first]))
            rest = put_jump(g, BPF_JEQ, span->start, put_span(g, span), rest);
    }
    return rest;
}

static struct target put_tree(struct gen *g, size_t low, size_t high)
{
    if (high - low == 1)
        return put_leaf(g, &g->leaves[low]);
    size_t mid = (low + high) / 2;
    struct target above = put_tree(g, mid, high);
    struct target below = put_tree(g, low, mid);
    return put_jump(g, BPF_JGE, g->spans[g->leaves[mid].first].start, above, below);
}

/* The code for one AUDIT_ARCH_* number. */
static int put_arch(struct gen *g, enum box_seccomp_arch arch, bool with_x32, struct target *start,
                    box_error **err)
{
    size_t n = 0;
    int r;

    g->n_cases = g->n_spans = 0;
    g->narrow = box_seccomp_arches[arch].narrow;
    r = add_spans(g, arch, err);
    if (r == 0 && arch == BOX_ARCH_X86_64) {
        r = add_span(g, &(struct span){.start = BOX_X32_BIT, .answer = g->foreign}, err);
        if (r == 0 && with_x32)
            r = add_spans(g, BOX_ARCH_X32, err);
        if (r == 0) /* negative numbers */
            r = add_span(g, &(struct span){.start = 0x80000000u, .answer = g->newer}, err);
    }
    if (r < 0)
        return r;

    free(g->leaves);
    g->leaves = calloc(g->n_spans, sizeof(*g->leaves));
    if (!g->leaves)
        return box_fail_nomem(err);
    for (size_t i = 0; i < g->n_spans; n++)
        i += take_leaf(g, i, &g->leaves[n]);
    *start = put_load(g, offsetof(struct seccomp_data, nr), put_tree(g, 0, n));
    return 0;
}

/* ---- the whole ---- */

static bool holds(const box_seccomp *policy, enum box_seccomp_arch arch)
{
    for (size_t i = 0; i < policy->n_arches; i++)
        if (box_seccomp_arch_by_name(policy->arches[i]) == (int)arch)
            return true;
    return false;
}

static int put_all(struct gen *g, enum box_seccomp_arch machine, box_error **err)
{
    enum box_seccomp_arch order[BOX_ARCH_COUNT];
    struct target starts[BOX_ARCH_COUNT], next = to_answer(g->foreign);
    size_t n = 0;

    /* The machine's own comes first, in the list and in the program, whether the policy names it or not. */
    order[n++] = machine;
    for (int i = 0; i < BOX_ARCH_COUNT; i++) {
        const struct box_seccomp_arch_info *info = &box_seccomp_arches[i];
        if (info->machine == machine && i != (int)machine && info->base == 0 && holds(g->policy, i))
            order[n++] = (enum box_seccomp_arch)i;
    }
    for (size_t i = n; i-- > 0;) {
        int r = put_arch(g, order[i], holds(g->policy, BOX_ARCH_X32), &starts[i], err);
        if (r < 0)
            return r;
    }
    for (size_t i = n; i-- > 0;)
        next = put_jump(g, BPF_JEQ, box_seccomp_arches[order[i]].audit, starts[i], next);
    put_load(g, offsetof(struct seccomp_data, arch), next);
    if (g->full)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_ELIMIT,
                                    .remedy = "fewer argument tests, or fewer architectures"},
            "seccomp: the filter is longer than the kernel's limit of %d instructions", BPF_MAXINSNS);
    return 0;
}

static void decide_edges(struct gen *g)
{
    uint32_t action = g->policy->fallback.action;
    uint32_t enosys = SECCOMP_RET_ERRNO | ENOSYS;

    g->fallback = answer_of(&g->policy->fallback);
    g->foreign = action >= BOX_SECCOMP_TRAP ? g->fallback : enosys;
    g->newer = g->policy->keep_newer || action <= BOX_SECCOMP_LOG ? g->fallback : enosys;
    g->names_socketcall = policy_names(g->policy, "socketcall");
    g->names_ipc = policy_names(g->policy, "ipc");
}

int box_seccomp_codegen(const box_seccomp *policy, enum box_seccomp_arch machine,
                        struct sock_filter **program, size_t *count, box_error **err)
{
    struct gen g = {.policy = policy, .at = BPF_MAXINSNS};
    int r;

    decide_edges(&g);
    g.code = calloc(BPF_MAXINSNS, sizeof(*g.code));
    r = g.code ? put_all(&g, machine, err) : box_fail_nomem(err);
    if (r == 0) {
        *count = BPF_MAXINSNS - g.at;
        *program = malloc(*count * sizeof(**program));
        if (*program)
            memcpy(*program, &g.code[g.at], *count * sizeof(**program));
        else
            r = box_fail_nomem(err);
    }
    free(g.code);
    free(g.cases);
    free(g.spans);
    free(g.leaves);
    return r;
}

enum box_seccomp_arch box_seccomp_compat_arch(enum box_seccomp_arch machine)
{
    return machine == BOX_ARCH_X86_64 ? BOX_ARCH_X86 : BOX_ARCH_ARM;
}
