/* What each limit is called in cgroup v2. See the kernel's admin-guide/cgroup-v2.rst. */
#include "kernel/cgroup.h"

#include <inttypes.h>
#include <string.h>

#include "kernel/cgroup_limits.h"

static int unsupported(struct cgroup_plan *plan, enum box_limit limit, const char *why)
{
    int64_t value;

    if (!box_limits_wants(plan->limits, limit, &value))
        return 0;
    return cgroup_plan_unsupported(plan, box_limit_table[limit].controller, box_limit_table[limit].field, why,
                                   "leave it out on a host with cgroup v2");
}

/* ---- cpu ---- */

static const struct cgroup_simple idle_table[] = {{BOX_LIMIT_CPU_IDLE, "cpu.idle", NULL, 0}};
static const struct cgroup_simple burst_table[] = {{BOX_LIMIT_CPU_BURST, "cpu.max.burst", NULL, 0}};

static int plan_weight(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int64_t shares;

    if (box_limits_raw(plan->limits, "cpu.weight") ||
        !box_limits_wants(plan->limits, BOX_LIMIT_CPU_SHARES, &shares))
        return 0;
    return cgroup_plan_write(plan, dir, box_limit_table[BOX_LIMIT_CPU_SHARES].field, "cpu.weight", "%" PRIu64,
                             box_cpu_shares_to_weight((uint64_t)shares));
}

/* cpu.max holds both: what is not set stays as it is. */
static int plan_quota(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int64_t quota, period;
    bool has_quota = box_limits_wants(plan->limits, BOX_LIMIT_CPU_QUOTA, &quota);
    bool has_period = box_limits_wants(plan->limits, BOX_LIMIT_CPU_PERIOD, &period);
    const char *field = box_limit_table[has_quota ? BOX_LIMIT_CPU_QUOTA : BOX_LIMIT_CPU_PERIOD].field;
    _free_ char *now = NULL;
    char quota_text[24] = "max";

    if (!has_quota && !has_period)
        return 0;
    if (!has_quota && cgroup_read(dir->fd, "cpu.max", &now) == 0) {
        char *cursor = now;
        const char *word = cgroup_next_word(&cursor);
        snprintf(quota_text, sizeof(quota_text), "%.20s", word ? word : "max");
    }
    if (has_quota && quota >= 0)
        snprintf(quota_text, sizeof(quota_text), "%" PRId64, quota);
    if (has_period)
        return cgroup_plan_write(plan, dir, field, "cpu.max", "%s %" PRId64, quota_text, period);
    return cgroup_plan_write(plan, dir, field, "cpu.max", "%s", quota_text);
}

static int plan_cpu(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    static const char no_rt[] = "cgroup v2 has no realtime limits";
    int64_t idle = 0;
    bool burst_first = cgroup_burst_first(plan, dir, "cpu.max.burst");
    int r = 0;

    /* A group that is idle takes no weight: out of idle before, into idle after. */
    box_limits_wants(plan->limits, BOX_LIMIT_CPU_IDLE, &idle);
    if (!idle)
        r = cgroup_plan_simple(plan, dir, BOX_CONTROLLER_CPU, idle_table, 1);
    if (r == 0)
        r = plan_weight(plan, dir);
    if (r == 0 && idle)
        r = cgroup_plan_simple(plan, dir, BOX_CONTROLLER_CPU, idle_table, 1);
    if (r == 0 && burst_first)
        r = cgroup_plan_simple(plan, dir, BOX_CONTROLLER_CPU, burst_table, 1);
    if (r == 0)
        r = plan_quota(plan, dir);
    if (r == 0 && !burst_first)
        r = cgroup_plan_simple(plan, dir, BOX_CONTROLLER_CPU, burst_table, 1);
    if (r == 0)
        r = unsupported(plan, BOX_LIMIT_CPU_RT_RUNTIME, no_rt);
    return r < 0 ? r : unsupported(plan, BOX_LIMIT_CPU_RT_PERIOD, no_rt);
}

/* ---- memory ---- */

static const struct cgroup_simple memory_table[] = {
    {BOX_LIMIT_MEMORY_MAX, "memory.max", "max", 0},
    {BOX_LIMIT_MEMORY_LOW, "memory.low", "max", 0},
};

/* OCI counts memory and swap together, v2 swap alone. */
static int plan_swap(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const char *field = box_limit_table[BOX_LIMIT_MEMORY_AND_SWAP].field;
    uint64_t max;
    int64_t both;

    if (box_limits_raw(plan->limits, "memory.swap.max") ||
        !box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_AND_SWAP, &both))
        return 0;
    if (both < 0) /* A kernel without swap accounting limits nothing, which is what is asked for. */
        return cgroup_has_file(dir->fd, "memory.swap.max")
                   ? cgroup_plan_write(plan, dir, field, "memory.swap.max", "max")
                   : 0;

    int r = cgroup_plan_memory_max(plan, dir, "memory.max", &max);

    if (r < 0)
        return cgroup_fail(plan->err, dir, "memory.max", r, field, "read the memory limit");
    if (max == BOX_CGROUP_UNLIMITED || max > (uint64_t)both)
        return box_fail_with(
            plan->err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field},
            "a limit on memory and swap together needs a limit on memory that is not higher");
    return cgroup_plan_write(plan, dir, field, "memory.swap.max", "%" PRIu64, (uint64_t)both - max);
}

static int plan_memory(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int64_t disable = 0;
    int r = cgroup_plan_check_usage(plan, dir, "memory.current");

    if (r == 0)
        r = cgroup_plan_simple(plan, dir, BOX_CONTROLLER_MEMORY, memory_table, BOX_ARRAY(memory_table));
    if (r == 0)
        r = plan_swap(plan, dir);
    if (r == 0)
        r = unsupported(plan, BOX_LIMIT_MEMORY_SWAPPINESS, "cgroup v2 has no swappiness of its own");
    if (r == 0)
        r = unsupported(plan, BOX_LIMIT_MEMORY_KERNEL_TCP,
                        "cgroup v2 has no limit on TCP buffers of its own");
    box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_OOM_KILL_DISABLE, &disable);
    if (r == 0 && disable)
        r = unsupported(plan, BOX_LIMIT_MEMORY_OOM_KILL_DISABLE,
                        "cgroup v2 cannot do without the OOM killer");
    return r;
}

/* ---- io ---- */

static const char *const rate_keys[] = {"rbps", "wbps", "riops", "wiops"};
static const char *const rate_fields[] = {
    "linux.resources.blockIO.throttleReadBpsDevice", "linux.resources.blockIO.throttleWriteBpsDevice",
    "linux.resources.blockIO.throttleReadIOPSDevice", "linux.resources.blockIO.throttleWriteIOPSDevice"};

static int plan_io_rates(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->limits->io_rate_count; i++) {
        const struct box_io_rate *rate = &plan->limits->io_rates[i];
        char value[24] = "max";

        if (rate->rate)
            snprintf(value, sizeof(value), "%" PRIu64, rate->rate);
        r = cgroup_plan_write(plan, dir, rate_fields[rate->kind], "io.max", "%" PRId64 ":%" PRId64 " %s=%s",
                              rate->major, rate->minor, rate_keys[rate->kind], value);
    }
    return r;
}

/* The weight of the BFQ scheduler is counted as OCI counts; iocost's is not. */
static int plan_io_weights(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    bool bfq = cgroup_has_file(dir->fd, "io.bfq.weight");
    const char *file = bfq ? "io.bfq.weight" : "io.weight";
    int64_t weight;
    int r = 0;

    if (box_limits_wants(plan->limits, BOX_LIMIT_IO_WEIGHT, &weight))
        r = cgroup_plan_write(plan, dir, box_limit_table[BOX_LIMIT_IO_WEIGHT].field, file, "default %" PRIu64,
                              bfq ? (uint64_t)weight : box_io_weight_to_v2((uint64_t)weight));
    for (size_t i = 0; r == 0 && i < plan->limits->io_weight_count; i++) {
        const struct box_io_weight *w = &plan->limits->io_weights[i];
        if (w->weight > 0)
            r = cgroup_plan_write(plan, dir, "linux.resources.blockIO.weightDevice", file,
                                  "%" PRId64 ":%" PRId64 " %" PRIu64, w->major, w->minor,
                                  bfq ? (uint64_t)w->weight : box_io_weight_to_v2((uint64_t)w->weight));
    }
    return r;
}

/* ---- hugetlb ---- */

static int plan_hugetlb(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const char *field = "linux.resources.hugepageLimits";
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->limits->hugetlb_count; i++) {
        const struct box_hugetlb_limit *limit = &plan->limits->hugetlb[i];
        char file[64];

        snprintf(file, sizeof(file), "hugetlb.%s.max", limit->page_size);
        r = cgroup_plan_write(plan, dir, field, file, "%" PRIu64, limit->bytes);
        /* What is reserved but not yet used, too, where the kernel counts it (since 5.7). */
        snprintf(file, sizeof(file), "hugetlb.%s.rsvd.max", limit->page_size);
        if (r == 0 && cgroup_has_file(dir->fd, file))
            r = cgroup_plan_write(plan, dir, field, file, "%" PRIu64, limit->bytes);
    }
    return r;
}

int cgroup_v2_plan(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller)
{
    int r;

    switch (controller) {
    case BOX_CONTROLLER_CPU:
        return plan_cpu(plan, dir);
    case BOX_CONTROLLER_MEMORY:
        return plan_memory(plan, dir);
    case BOX_CONTROLLER_IO:
        r = plan_io_weights(plan, dir);
        return r < 0 ? r : plan_io_rates(plan, dir);
    case BOX_CONTROLLER_HUGETLB:
        return plan_hugetlb(plan, dir);
    default: /* in the unified map only */
        return 0;
    }
}
