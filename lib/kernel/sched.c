/* CPU scheduler, I/O priority, affinity and execution domain of one thread. The numbers that newer kernels
 * added are this file's own, and the calls that glibc has no wrapper for are made directly. */
#include <libbox/sched.h>

#include <sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fail.h"
#include "kernel/number.h"

/* struct sched_attr of linux/sched/types.h, which clashes with newer glibc's <sched.h>. */
struct attr {
    uint32_t size;
    uint32_t sched_policy;
    uint64_t sched_flags;
    int32_t sched_nice;
    uint32_t sched_priority;
    uint64_t sched_runtime;
    uint64_t sched_deadline;
    uint64_t sched_period;
    uint32_t sched_util_min;
    uint32_t sched_util_max;
};

#define CPU_LIMIT        65536
#define IOPRIO_PROCESS   1
#define IOPRIO_SHIFT     13
#define IOPRIO_LEVEL_MAX 7

static const char *const policies[] = {
    [BOX_SCHED_OTHER] = "SCHED_OTHER",       [BOX_SCHED_FIFO] = "SCHED_FIFO", [BOX_SCHED_RR] = "SCHED_RR",
    [BOX_SCHED_BATCH] = "SCHED_BATCH",       [BOX_SCHED_ISO] = "SCHED_ISO",   [BOX_SCHED_IDLE] = "SCHED_IDLE",
    [BOX_SCHED_DEADLINE] = "SCHED_DEADLINE",
};

static const char *const flags[] = {
    "SCHED_FLAG_RESET_ON_FORK",  "SCHED_FLAG_RECLAIM",     "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",    "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
};

static const char *const ioclasses[] = {
    [BOX_IOPRIO_NONE] = "IOPRIO_CLASS_NONE",
    [BOX_IOPRIO_RT] = "IOPRIO_CLASS_RT",
    [BOX_IOPRIO_BE] = "IOPRIO_CLASS_BE",
    [BOX_IOPRIO_IDLE] = "IOPRIO_CLASS_IDLE",
};

/* The place of a name in a list; BOX_EPARSE when it is not there. */
static int lookup(const char *const *list, size_t n, const char *name, const char *what, box_error **err)
{
    for (size_t i = 0; name && i < n; i++)
        if (strcmp(list[i], name) == 0)
            return (int)i;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EPARSE, .subject = name}, "unknown %s",
                         what);
}

static int spec_error(box_error **err, const char *field, const char *sentence)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field}, "%s", sentence);
}

static int fail_process(box_error **err, const char *call, pid_t pid, const char *sentence,
                        const char *remedy)
{
    struct box_fail_info info = {.errnum = errno, .call = call};

    if (info.errnum == ESRCH)
        info.code = BOX_ENOTFOUND;
    if (info.errnum == EPERM || info.errnum == EACCES)
        info.remedy = remedy;
    return pid ? box_fail_with(err, &info, "%s of process %d", sentence, (int)pid)
               : box_fail_with(err, &info, "%s", sentence);
}

int box_sched_policy_number(const char *name, box_error **err)
{
    return lookup(policies, BOX_ARRAY(policies), name, "scheduling policy", err);
}

const char *box_sched_policy_name(int policy)
{
    return policy >= 0 && policy < (int)BOX_ARRAY(policies) ? policies[policy] : NULL;
}

int box_sched_flag_number(const char *name, uint64_t *flag, box_error **err)
{
    int n = lookup(flags, BOX_ARRAY(flags), name, "scheduler flag", err);

    if (n < 0)
        return n;
    *flag = UINT64_C(1) << n;
    return 0;
}

const char *box_sched_flag_name(uint64_t flag)
{
    for (size_t i = 0; i < BOX_ARRAY(flags); i++)
        if (flag == UINT64_C(1) << i)
            return flags[i];
    return NULL;
}

static int check_deadline(const struct box_scheduler *s, box_error **err)
{
    bool deadline = s->policy == BOX_SCHED_DEADLINE;
    uint64_t period = s->period ? s->period : s->deadline;

    if (!deadline && (s->runtime || s->deadline || s->period))
        return spec_error(err, "runtime, deadline, period", "only SCHED_DEADLINE has these");
    if (!deadline)
        return 0;
    /* The kernel's own bounds, from __checkparam_dl(): 1024 ns at least, and not above 2^63. */
    if (s->runtime < 1024)
        return spec_error(err, "runtime", "SCHED_DEADLINE needs a runtime of 1024 ns or more");
    if (s->runtime > s->deadline || s->deadline > period)
        return spec_error(err, "deadline", "runtime <= deadline <= period must hold");
    if (s->deadline >> 63 || period >> 63)
        return spec_error(err, "period", "a time above 2^63 ns");
    return 0;
}

int box_scheduler_check(const struct box_scheduler *s, box_error **err)
{
    bool nice = s->policy == BOX_SCHED_OTHER || s->policy == BOX_SCHED_BATCH;
    bool realtime = s->policy == BOX_SCHED_FIFO || s->policy == BOX_SCHED_RR;

    if (!box_sched_policy_name(s->policy))
        return spec_error(err, "policy", "no such scheduling policy");
    if (s->policy == BOX_SCHED_ISO)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "policy"},
                             "no kernel has SCHED_ISO");
    if (s->flags >> BOX_ARRAY(flags))
        return spec_error(err, "flags", "unknown scheduler flags");
    if (s->flags & (BOX_SCHED_FLAG_UTIL_CLAMP_MIN | BOX_SCHED_FLAG_UTIL_CLAMP_MAX))
        return spec_error(err, "flags", "utilisation clamps come with values that OCI has no field for");
    if (s->nice < -20 || s->nice > 19)
        return spec_error(err, "nice", "a nice value lies between -20 and 19");
    if (s->nice && !nice)
        return spec_error(err, "nice", "only SCHED_OTHER and SCHED_BATCH have a nice value");
    if (realtime && (s->priority < 1 || s->priority > 99))
        return spec_error(err, "priority", "SCHED_FIFO and SCHED_RR need a priority between 1 and 99");
    if (!realtime && s->priority)
        return spec_error(err, "priority", "only SCHED_FIFO and SCHED_RR have a priority");
    return check_deadline(s, err);
}

int box_scheduler_read(pid_t pid, struct box_scheduler *s, box_error **err)
{
    struct attr a = {.size = sizeof(a)};

    if (syscall(SYS_sched_getattr, pid, &a, sizeof(a), 0) < 0)
        return fail_process(err, "sched_getattr", pid, "read the scheduler", NULL);
    *s = (struct box_scheduler){.policy = (int)a.sched_policy,
                                .nice = a.sched_nice,
                                .priority = a.sched_priority,
                                .flags = a.sched_flags};
    if (s->policy == BOX_SCHED_DEADLINE) { /* newer kernels tell the slice of fair tasks in the same field */
        s->runtime = a.sched_runtime;
        s->deadline = a.sched_deadline;
        s->period = a.sched_period;
    }
    return 0;
}

int box_scheduler_apply(pid_t pid, const struct box_scheduler *s, box_error **err)
{
    int r = box_scheduler_check(s, err);

    if (r < 0)
        return r;
    struct attr a = {
        .size = sizeof(a),
        .sched_policy = (uint32_t)s->policy,
        .sched_flags = s->flags,
        .sched_nice = s->nice,
        .sched_priority = s->priority,
        .sched_runtime = s->runtime,
        .sched_deadline = s->deadline,
        .sched_period = s->period,
    };
    if (syscall(SYS_sched_setattr, pid, &a, 0) < 0)
        return fail_process(
            err, "sched_setattr", pid, "set the scheduler",
            "needs CAP_SYS_NICE, or limits of RLIMIT_NICE and RLIMIT_RTPRIO that allow it; real-time "
            "policies also need a budget in the cgroup (cpu.rt_runtime_us)");
    return 0;
}

/* I/O priority */

int box_ioprio_class_number(const char *name, box_error **err)
{
    return lookup(ioclasses, BOX_ARRAY(ioclasses), name, "I/O priority class", err);
}

const char *box_ioprio_class_name(int ioclass)
{
    return ioclass >= 0 && ioclass < (int)BOX_ARRAY(ioclasses) ? ioclasses[ioclass] : NULL;
}

int box_ioprio_check(const struct box_ioprio *p, box_error **err)
{
    if (!box_ioprio_class_name(p->ioclass))
        return spec_error(err, "class", "no such I/O priority class");
    if (p->level > IOPRIO_LEVEL_MAX)
        return spec_error(err, "priority", "an I/O priority lies between 0 and 7");
    if (p->level && p->ioclass == BOX_IOPRIO_NONE)
        return spec_error(err, "priority", "IOPRIO_CLASS_NONE has no priority");
    return 0;
}

int box_ioprio_read(pid_t pid, struct box_ioprio *p, box_error **err)
{
    long value = syscall(SYS_ioprio_get, IOPRIO_PROCESS, pid);

    if (value < 0)
        return fail_process(err, "ioprio_get", pid, "read the I/O priority", NULL);
    *p = (struct box_ioprio){.ioclass = (int)(value >> IOPRIO_SHIFT) & 7,
                             .level = (unsigned)value & IOPRIO_LEVEL_MAX};
    return 0;
}

int box_ioprio_apply(pid_t pid, const struct box_ioprio *p, box_error **err)
{
    int r = box_ioprio_check(p, err);

    if (r < 0)
        return r;
    if (syscall(SYS_ioprio_set, IOPRIO_PROCESS, pid, p->ioclass << IOPRIO_SHIFT | (int)p->level) < 0)
        return fail_process(err, "ioprio_set", pid, "set the I/O priority",
                            "IOPRIO_CLASS_RT needs CAP_SYS_ADMIN or CAP_SYS_NICE");
    return 0;
}

/* CPU lists */

/* Reads a number at *s and moves on. */
static int list_number(const char **s, uint64_t *value)
{
    size_t n = strspn(*s, "0123456789");
    int r = box_number_u64(*s, n, value);

    *s += n;
    return r;
}

/* One entry, "3", "0-7" or "0-7:2"; ends at a comma or the end. */
static int list_entry(const char **s, uint64_t *first, uint64_t *last, uint64_t *step)
{
    int r = list_number(s, first);

    *last = *first;
    *step = 1;
    if (r == 0 && **s == '-') {
        ++*s;
        r = list_number(s, last);
        if (r == 0 && **s == ':') {
            ++*s;
            r = list_number(s, step);
        }
    }
    if (r < 0)
        return r;
    return *last < *first || *step == 0 || (**s && **s != ',') ? -EINVAL : 0;
}

static int mask_resize(uint64_t **mask, size_t *words, size_t wanted)
{
    if (wanted <= *words)
        return 0;
    uint64_t *larger = realloc(*mask, wanted * sizeof(**mask));
    if (!larger)
        return -ENOMEM;
    memset(larger + *words, 0, (wanted - *words) * sizeof(*larger));
    *mask = larger;
    *words = wanted;
    return 0;
}

int box_cpu_list_parse(const char *list, uint64_t **mask, size_t *words, box_error **err)
{
    _free_ uint64_t *m = NULL;
    size_t n = 0;
    const char *s = list;

    do {
        uint64_t first, last, step;
        int r = s && *s ? list_entry(&s, &first, &last, &step) : -EINVAL;
        if (r == -ERANGE || (r == 0 && last >= CPU_LIMIT))
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = list},
                                 "a CPU above %d in a list", CPU_LIMIT - 1);
        if (r < 0)
            return box_fail_with(err,
                                 &(struct box_fail_info){
                                     .code = BOX_EPARSE, .subject = list, .remedy = "write it as in 0-3,7"},
                                 "malformed list of CPUs");
        if (mask_resize(&m, &n, (size_t)last / 64 + 1) < 0)
            return box_fail_nomem(err);
        for (uint64_t cpu = first; cpu <= last; cpu += step)
            m[cpu / 64] |= UINT64_C(1) << cpu % 64;
    } while (*s++ == ',');

    *words = n;
    *mask = box_take(m);
    return 0;
}

static bool has_cpu(const uint64_t *mask, size_t words, size_t cpu)
{
    return cpu / 64 < words && mask[cpu / 64] >> cpu % 64 & 1;
}

char *box_cpu_list_format(const uint64_t *mask, size_t words)
{
    _buffer_ struct box_buffer b = {0};

    for (size_t cpu = 0; cpu < words * 64; cpu++) {
        if (!has_cpu(mask, words, cpu))
            continue;
        size_t last = cpu;
        while (has_cpu(mask, words, last + 1))
            last++;
        box_buffer_printf(&b, "%s%zu", b.length ? "," : "", cpu);
        if (last > cpu)
            box_buffer_printf(&b, "-%zu", last);
        cpu = last;
    }
    return box_buffer_take(&b);
}

int box_affinity_read(pid_t pid, uint64_t **mask, size_t *words, box_error **err)
{
    _free_ uint64_t *m = NULL;

    /* The kernel wants room for all the CPUs that it could ever have, and says EINVAL below that. */
    for (size_t n = 16; n <= CPU_LIMIT / 64; n *= 2) {
        free(m);
        m = calloc(n, sizeof(*m));
        if (!m)
            return box_fail_nomem(err);
        long got = syscall(SYS_sched_getaffinity, pid, n * sizeof(*m), m);
        if (got >= 0) {
            *words = (size_t)got / sizeof(*m);
            *mask = box_take(m);
            return 0;
        }
        if (errno != EINVAL)
            break;
    }
    return fail_process(err, "sched_getaffinity", pid, "read the CPUs", NULL);
}

int box_affinity_apply(pid_t pid, const uint64_t *mask, size_t words, box_error **err)
{
    if (syscall(SYS_sched_setaffinity, pid, words * sizeof(*mask), mask) >= 0)
        return 0;
    if (errno != EINVAL)
        return fail_process(err, "sched_setaffinity", pid, "set the CPUs", "needs CAP_SYS_NICE");
    _free_ char *list = box_cpu_list_format(mask, words);
    return box_fail_with(
        err,
        &(struct box_fail_info){.code = BOX_ESPEC,
                                .errnum = EINVAL,
                                .call = "sched_setaffinity",
                                .subject = list,
                                .remedy = "name CPUs that are online and in the cpuset of the cgroup"},
        "this process may run on none of these CPUs");
}

/* Execution domain */

int box_personality_number(const char *name, unsigned long *domain, box_error **err)
{
    static const char *const domains[] = {"LINUX", "LINUX32"};
    int n = lookup(domains, BOX_ARRAY(domains), name, "execution domain", err);

    if (n < 0)
        return n;
    *domain = n == 0 ? PER_LINUX : PER_LINUX32;
    return 0;
}

const char *box_personality_name(unsigned long domain)
{
    return domain == PER_LINUX ? "LINUX" : domain == PER_LINUX32 ? "LINUX32" : NULL;
}

int box_personality_apply(unsigned long domain, box_error **err)
{
    if (personality(domain) < 0)
        return box_fail_sys(err, "personality", NULL, "set the execution domain 0x%lx", domain);
    return 0;
}
