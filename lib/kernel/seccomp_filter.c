/* Compiled filters: immutable, counted, saved and loaded, run in user space to see what they say, installed.
 *
 * The program itself is either one that was compiled with the library (then it is in read-only memory and
 * costs nothing) or the filter's own. A filter that reports kills has its killing answers exchanged for
 * notify, and keeps a list of which they were. */
#include "kernel/seccomp_filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/fail.h"
#include "kernel/seccomp_compile.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* An answer that was to kill. */
struct kill {
    uint32_t at; /* index in the program */
    uint32_t answer;
};

struct box_seccomp_filter {
    atomic_uint refs;
    unsigned flags;
    const struct sock_filter *program;
    struct sock_filter *owned; /* the same, when the filter frees it */
    uint32_t count;
    uint32_t n_kills;
    struct kill *kills;
    bool notifies;
};

static bool is_return(const struct sock_filter *insn)
{
    return insn->code == (BPF_RET | BPF_K);
}

static bool is_kill(const struct sock_filter *insn)
{
    uint32_t action = insn->k & SECCOMP_RET_ACTION_FULL;

    return is_return(insn) && (action == SECCOMP_RET_KILL_PROCESS || action == SECCOMP_RET_KILL_THREAD);
}

/* Exchanges kills for notify, in a copy if the program is not the filter's own. */
static int replace_kills(box_seccomp_filter *filter, box_error **err)
{
    size_t n = 0;

    for (size_t i = 0; i < filter->count; i++)
        n += is_kill(&filter->program[i]);
    if (n == 0)
        return 0;
    filter->kills = calloc(n, sizeof(*filter->kills));
    if (!filter->kills)
        return box_fail_nomem(err);
    if (!filter->owned) {
        filter->owned = malloc(filter->count * sizeof(*filter->owned));
        if (!filter->owned)
            return box_fail_nomem(err);
        memcpy(filter->owned, filter->program, filter->count * sizeof(*filter->owned));
        filter->program = filter->owned;
    }
    for (uint32_t i = 0; i < filter->count; i++) {
        if (!is_kill(&filter->owned[i]))
            continue;
        filter->kills[filter->n_kills++] = (struct kill){.at = i, .answer = filter->owned[i].k};
        filter->owned[i].k = SECCOMP_RET_USER_NOTIF;
    }
    return 0;
}

static void find_notify(box_seccomp_filter *filter)
{
    for (size_t i = 0; i < filter->count; i++)
        if (is_return(&filter->program[i]) &&
            (filter->program[i].k & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_USER_NOTIF)
            filter->notifies = true;
}

box_seccomp_filter *box_seccomp_filter_new(const struct sock_filter *program, size_t count, bool owned,
                                           unsigned flags, bool report_kills, box_error **err)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = calloc(1, sizeof(*filter));

    if (!filter) {
        if (owned)
            free((void *)program);
        box_fail_nomem(err);
        return NULL;
    }
    atomic_init(&filter->refs, 1);
    filter->program = program;
    filter->owned = owned ? (struct sock_filter *)program : NULL;
    filter->count = (uint32_t)count;
    filter->flags = flags & ~(unsigned)BOX_SECCOMP_FLAG_TSYNC;
    if (report_kills && replace_kills(filter, err) < 0)
        return NULL;
    find_notify(filter);
    return box_take(filter);
}

box_seccomp_filter *box_seccomp_compile(const box_seccomp *policy, box_error **err)
{
    size_t count;
    const struct sock_filter *ready = box_seccomp_ready_program(policy, &count);
    struct sock_filter *made = NULL;

    if (!ready && box_seccomp_codegen(policy, BOX_ARCH_NATIVE, &made, &count, err) < 0)
        return NULL;
    return box_seccomp_filter_new(ready ? ready : made, count, !ready, policy->flags, policy->report_kills,
                                  err);
}

box_seccomp_filter *box_seccomp_filter_default(uint64_t caps, box_error **err)
{
    size_t count;
    const struct sock_filter *ready = box_seccomp_ready_preset(BOX_PRESET_DEFAULT, caps, true, &count);

    if (ready)
        return box_seccomp_filter_new(ready, count, false, 0, false, err);
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_default(caps, err);
    return policy ? box_seccomp_compile(policy, err) : NULL;
}

box_seccomp_filter *box_seccomp_filter_ref(box_seccomp_filter *filter)
{
    if (filter)
        atomic_fetch_add_explicit(&filter->refs, 1, memory_order_relaxed);
    return filter;
}

void box_seccomp_filter_unref(box_seccomp_filter *filter)
{
    if (!filter || atomic_fetch_sub_explicit(&filter->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(filter->owned);
    free(filter->kills);
    free(filter);
}

const void *box_seccomp_filter_program(const box_seccomp_filter *filter, size_t *count)
{
    if (count)
        *count = filter->count;
    return filter->program;
}

bool box_seccomp_filter_notifies(const box_seccomp_filter *filter)
{
    return filter->notifies;
}

/* A kernel that knows the flags goes on to read the program, which isn't there. */
static bool kernel_takes(unsigned long flags)
{
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) == -1 && errno == EFAULT;
}

unsigned box_seccomp_filter_flags(const box_seccomp_filter *filter)
{
    static const unsigned all[] = {BOX_SECCOMP_FLAG_LOG, BOX_SECCOMP_FLAG_SPEC_ALLOW};
    unsigned usable = 0;

    for (size_t i = 0; i < BOX_ARRAY(all); i++)
        if ((filter->flags & all[i]) && kernel_takes(all[i]))
            usable |= all[i];
    /* Means nothing, and is refused, without a listener. */
    if ((filter->flags & BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV) && filter->notifies &&
        kernel_takes(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | SECCOMP_FILTER_FLAG_NEW_LISTENER))
        usable |= BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV;
    return usable;
}

/* ---- running it here ---- */

bool box_seccomp_program_ok(const struct sock_filter *program, size_t count)
{
    if (count == 0 || count > BPF_MAXINSNS || !is_return(&program[count - 1]))
        return false;
    for (size_t i = 0; i < count; i++) {
        const struct sock_filter *insn = &program[i];
        size_t left = count - i - 1;
        switch (insn->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            if (insn->k % 4 != 0 || insn->k >= sizeof(struct seccomp_data))
                return false;
            break;
        case BPF_ALU | BPF_AND | BPF_K:
        case BPF_RET | BPF_K:
            break;
        case BPF_JMP | BPF_JA:
            if (insn->k >= left)
                return false;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
        case BPF_JMP | BPF_JGT | BPF_K:
        case BPF_JMP | BPF_JGE | BPF_K:
            if (insn->jt >= left || insn->jf >= left)
                return false;
            break;
        default:
            return false;
        }
    }
    return true;
}

size_t box_seccomp_program_run(const struct sock_filter *program, size_t count,
                               const struct box_seccomp_call *call)
{
    struct seccomp_data data = {.nr = call->number,
                                .arch = call->arch ? call->arch : box_seccomp_arches[BOX_ARCH_NATIVE].audit,
                                .instruction_pointer = call->instruction_pointer};
    uint32_t a = 0;
    size_t i = 0;

    memcpy(data.args, call->args, sizeof(data.args));
    while (i < count && !is_return(&program[i])) {
        const struct sock_filter *insn = &program[i++];
        switch (insn->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            memcpy(&a, (const char *)&data + insn->k, sizeof(a));
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= insn->k;
            break;
        case BPF_JMP | BPF_JA:
            i += insn->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            i += a == insn->k ? insn->jt : insn->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            i += a > insn->k ? insn->jt : insn->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            i += a >= insn->k ? insn->jt : insn->jf;
            break;
        }
    }
    return i;
}

static int action_of(uint32_t answer)
{
    switch (answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
        return BOX_SECCOMP_ALLOW;
    case SECCOMP_RET_LOG:
        return BOX_SECCOMP_LOG;
    case SECCOMP_RET_TRACE:
        return BOX_SECCOMP_TRACE;
    case SECCOMP_RET_USER_NOTIF:
        return BOX_SECCOMP_NOTIFY;
    case SECCOMP_RET_ERRNO:
        return BOX_SECCOMP_ERRNO;
    case SECCOMP_RET_TRAP:
        return BOX_SECCOMP_TRAP;
    case SECCOMP_RET_KILL_THREAD:
        return BOX_SECCOMP_KILL_THREAD;
    default: /* the kernel, too, kills at an answer that it does not know */
        return BOX_SECCOMP_KILL_PROCESS;
    }
}

int box_seccomp_filter_evaluate(const box_seccomp_filter *filter, const struct box_seccomp_call *call,
                                unsigned *errno_value)
{
    size_t at = box_seccomp_program_run(filter->program, filter->count, call);
    uint32_t answer = filter->program[at].k;

    for (size_t i = 0; i < filter->n_kills; i++)
        if (filter->kills[i].at == at)
            answer = filter->kills[i].answer;
    if (errno_value)
        *errno_value = answer & SECCOMP_RET_DATA;
    return action_of(answer);
}

/* ---- bytes ---- */

enum { FORMAT_VERSION = 1 };

/* The file: this, the program, the kills. In the machine's own byte order, as the program is. */
struct saved {
    char magic[8];
    uint32_t version;
    uint32_t arch; /* AUDIT_ARCH_* of the machine */
    uint32_t flags;
    uint32_t count;
    uint32_t n_kills;
    uint32_t reserved;
    uint64_t sum; /* of everything else */
};
static const char magic[8] = "BOXSECC";

/* FNV-1a: finds damage, not malice. */
static uint64_t sum_of(const unsigned char *bytes, size_t len)
{
    uint64_t sum = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++) {
        bool in_sum = i >= offsetof(struct saved, sum) && i < offsetof(struct saved, sum) + sizeof(uint64_t);
        sum = (sum ^ (in_sum ? 0 : bytes[i])) * UINT64_C(0x100000001b3);
    }
    return sum;
}

int box_seccomp_filter_save(const box_seccomp_filter *filter, void **bytes, size_t *len, box_error **err)
{
    size_t program = filter->count * sizeof(*filter->program),
           kills = filter->n_kills * sizeof(*filter->kills);
    struct saved head = {.version = FORMAT_VERSION,
                         .arch = box_seccomp_arches[BOX_ARCH_NATIVE].audit,
                         .flags = filter->flags,
                         .count = filter->count,
                         .n_kills = filter->n_kills};
    unsigned char *out = malloc(sizeof(head) + program + kills);

    if (!out)
        return box_fail_nomem(err);
    memcpy(head.magic, magic, sizeof(magic));
    memcpy(out, &head, sizeof(head));
    memcpy(out + sizeof(head), filter->program, program);
    if (kills)
        memcpy(out + sizeof(head) + program, filter->kills, kills);
    head.sum = sum_of(out, sizeof(head) + program + kills);
    memcpy(out, &head, sizeof(head));
    *bytes = out;
    *len = sizeof(head) + program + kills;
    return 0;
}

static bool head_ok(const struct saved *head, const void *bytes, size_t len)
{
    return memcmp(head->magic, magic, sizeof(magic)) == 0 && head->version == FORMAT_VERSION &&
           head->count <= BPF_MAXINSNS && head->n_kills <= head->count &&
           len == sizeof(*head) + head->count * sizeof(struct sock_filter) +
                      head->n_kills * sizeof(struct kill) &&
           head->sum == sum_of(bytes, len);
}

static bool kills_ok(const box_seccomp_filter *filter)
{
    for (size_t i = 0; i < filter->n_kills; i++) {
        uint32_t at = filter->kills[i].at;
        if (at >= filter->count || !is_return(&filter->program[at]))
            return false;
    }
    return true;
}

box_seccomp_filter *box_seccomp_filter_load(const void *bytes, size_t len, box_error **err)
{
    struct saved head;
    const unsigned char *body = (const unsigned char *)bytes + sizeof(head);

    if (len >= sizeof(head))
        memcpy(&head, bytes, sizeof(head));
    if (len < sizeof(head) || !head_ok(&head, bytes, len)) {
        box_fail(err, BOX_ECORRUPT, "seccomp: the saved filter is damaged or of another version");
        return NULL;
    }
    if (head.arch != box_seccomp_arches[BOX_ARCH_NATIVE].audit) {
        box_fail(err, BOX_EUNSUPPORTED, "seccomp: the saved filter is for another architecture (%#x)",
                 head.arch);
        return NULL;
    }

    size_t size = head.count * sizeof(struct sock_filter);
    struct sock_filter *program = malloc(size + 1);
    if (!program) {
        box_fail_nomem(err);
        return NULL;
    }
    memcpy(program, body, size);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter =
        box_seccomp_filter_new(program, head.count, true, head.flags, false, err);
    if (!filter)
        return NULL;
    filter->kills = calloc(head.n_kills + 1, sizeof(*filter->kills));
    if (!filter->kills) {
        box_fail_nomem(err);
        return NULL;
    }
    memcpy(filter->kills, body + size, head.n_kills * sizeof(*filter->kills));
    filter->n_kills = head.n_kills;
    if (!box_seccomp_program_ok(program, head.count) || !kills_ok(filter)) {
        box_fail(err, BOX_ECORRUPT, "seccomp: the saved filter holds a program that the kernel would refuse");
        return NULL;
    }
    return box_take(filter);
}

/* ---- installing ---- */

static int explain_refusal(int errnum, box_error **err)
{
    struct box_fail_info info = {
        .errnum = errnum, .call = "seccomp", .stage = "install the system call filter"};

    switch (errnum) {
    case EACCES:
        info.remedy = "set no_new_privs first: prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)";
        return box_fail_with(err, &info, "the thread may not filter its own calls");
    case EBUSY:
        return box_fail_with(err, &info,
                             "a filter of this thread has a listener already, and there can be only one");
    case ENOSYS:
    case EINVAL:
        info.code = BOX_EUNSUPPORTED;
        info.remedy = "a kernel with CONFIG_SECCOMP_FILTER, and 5.0 or later for notify";
        return box_fail_with(err, &info, "the kernel does not take this filter");
    default:
        return box_fail_with(err, &info, "the kernel refused");
    }
}

int box_seccomp_apply(const box_seccomp_filter *filter, int *listener, box_error **err)
{
    struct sock_fprog program = {.len = (unsigned short)filter->count,
                                 .filter = (struct sock_filter *)filter->program};
    unsigned long flags = box_seccomp_filter_flags(filter);

    if (filter->notifies && !listener)
        return box_fail(err, BOX_EINVAL,
                        "seccomp: the filter notifies, and there is nowhere to put the listener");
    if (filter->notifies)
        flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    /* The listener's fd is close-on-exec from the start. */
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (fd < 0)
        return explain_refusal(errno, err);
    if (listener)
        *listener = filter->notifies ? (int)fd : -1;
    return 0;
}
