/* Entry, the loop over the operations, and the report of the first that fails. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/signal.h>
#include <linux/close_range.h>

const stage_handler stage_handlers[OP_COUNT] = {
#define X(name, text) [OP_##name] = stage_op_##name,
    PLAN_OPS(X)
#undef X
};

/* One stage a process: in zeroed memory that costs nothing until it is touched. */
static struct stage the_stage __attribute__((aligned(4096)));

static int number(const char **at)
{
    int n = 0;

    while (**at >= '0' && **at <= '9')
        n = n * 10 + (*(*at)++ - '0');
    if (**at == ',')
        (*at)++;
    return n;
}

/* What the host was ignoring, the payload must not: exec keeps SIG_IGN. The kernel's sigaction is all zeros for the
 * default. */
static void reset_signals(void)
{
    struct {
        unsigned long handler, flags, restorer, mask;
    } action = {0, 0, 0, 0};

    for (int sig = 1; sig <= 64; sig++)
        box_sys(rt_sigaction, sig, &action, NULL, 8);
}

static int map_plan(struct stage *s, int fd, long offset, long size)
{
    long at = (long)s->small_plan;

    s->call = "plan";
    if (size > (long)sizeof(s->small_plan))
        at = STAGE_TRY(s, mmap, NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, offset);
    else if (box_sys(pread64, fd, s->small_plan, size, offset) != size)
        return -ENOEXEC;
    const struct plan_header *header = (const struct plan_header *)at;

    if (header->magic != PLAN_MAGIC || header->version != PLAN_VERSION || header->size != (uint32_t)size)
        return -ENOEXEC;
    s->plan = (const uint8_t *)at;
    return 0;
}

/* The words of `arg` are those of STAGE_ARGUMENT. */
static int set_up(struct stage *s, const char *arg)
{
    s->socket = number(&arg);
    int plan = number(&arg);
    long offset = number(&arg), size = number(&arg);

    s->features = (uint32_t)number(&arg);
    s->resolve = s->features & STAGE_NO_OPENAT2 ? 8u : 0; /* BOX_RESOLVE_WALK */
    while (*arg) {
        int slot = number(&arg);
        if (*arg < '0' || *arg > '9') {
            s->call = "start arguments";
            return -EPROTO;
        }
        STAGE_DO(stage_set_slot(s, slot, number(&arg)));
    }
    reset_signals();
    /* Nothing that is open now reaches the payload, except by the STREAMS operation. */
    box_sys(close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    box_sys(umask, 0);
    return map_plan(s, plan, offset, size);
}

static void fail(struct stage *s, uint32_t op, int errnum)
{
    struct stage_message m = {.kind = STAGE_FAILED, .op = op, .errnum = errnum, .value = s->applied};
    const char *subject = s->subject;

    if (!subject && s->op && s->op->str)
        subject = stage_string(s, s->op->str);
    if (s->call)
        stage_append(m.call, sizeof(m.call), s->call);
    if (subject)
        stage_append(m.subject, sizeof(m.subject), subject);
    stage_send(s, &m, -1);
    stage_exit(125);
}

/* An optional mount that could not be read-only, or mapped, must not appear without that: its descriptor goes, and the
 * steps that would attach it fail likewise. */
static void drop(struct stage *s, const struct plan_op *op)
{
    if (op->flags & PLAN_OP_DROPS)
        stage_close_slot(s, op->slot);
}

static void run(struct stage *s)
{
    const struct plan_header *header = (const struct plan_header *)s->plan;
    const struct plan_op *ops = (const struct plan_op *)(s->plan + header->ops);

    for (uint32_t i = 0; i < header->n_ops; i++) {
        const struct plan_op *op = &ops[i];

        s->op = op;
        s->call = NULL;
        s->subject = NULL;
        int r = op->code > OP_NONE && op->code < OP_COUNT ? stage_handlers[op->code](s, op) : -ENOSYS;
        if (r < 0 && !(op->flags & PLAN_OP_OPTIONAL))
            fail(s, i, -r);
        if (r < 0)
            drop(s, op);
        if (r >= 0 && op->applied)
            s->applied |= 1u << (op->applied - 1);
    }
    s->call = "plan";
    fail(s, header->n_ops - 1, ENOEXEC); /* a plan ends in EXEC, which does not return */
}

void stage_main(const long *stack) __attribute__((used, noreturn));
void stage_main(const long *stack)
{
    struct stage *s = &the_stage;
    long argc = stack[0];
    const char *const *argv = (const char *const *)(stack + 1);

    if (argc != 2)
        stage_exit(125);
    int r = set_up(s, argv[1]);
    if (r < 0)
        fail(s, 0, -r);
    run(s);
    stage_exit(125);
}

#if defined(__x86_64__)
__asm__(".text\n.globl _start\n.type _start, @function\n_start:\n"
        "  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call stage_main\n  hlt\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl _start\n.type _start, %function\n_start:\n"
        "  mov x29, #0\n  mov x0, sp\n  bl stage_main\n  brk #0\n");
#endif
