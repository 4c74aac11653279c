/* What each limit is called in cgroup v1. See the kernel's admin-guide/cgroup-v1/. */
#include "kernel/cgroup.h"

#include <inttypes.h>
#include <string.h>

#include "kernel/cgroup_limits.h"

/* ---- cpu ---- */

static const struct cgroup_simple rt_table[] = {
    {BOX_LIMIT_CPU_RT_PERIOD, "cpu.rt_period_us", NULL, CGROUP_WRITE_MAY_SWAP},
    {BOX_LIMIT_CPU_RT_RUNTIME, "cpu.rt_runtime_us", "-1", 0},
};
/* A period and a quota that fit each other may not fit what is there now: then the other comes first. */
static const struct cgroup_simple quota_table[] = {
    {BOX_LIMIT_CPU_PERIOD, "cpu.cfs_period_us", NULL, CGROUP_WRITE_MAY_SWAP},
    {BOX_LIMIT_CPU_QUOTA, "cpu.cfs_quota_us", "-1", 0},
};
static const struct cgroup_simple idle_table[] = {{BOX_LIMIT_CPU_IDLE, "cpu.idle", NULL, 0}};
static const struct cgroup_simple burst_table[] = {{BOX_LIMIT_CPU_BURST, "cpu.cfs_burst_us", NULL, 0}};

#define SIMPLE(plan, dir, controller, table) \
    cgroup_plan_simple(plan, dir, controller, table, BOX_ARRAY(table))

static int plan_shares(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    enum box_limit limit = BOX_LIMIT_CPU_WEIGHT;
    int64_t value;
    uint64_t shares;

    if (box_limits_wants(plan->limits, BOX_LIMIT_CPU_WEIGHT, &value)) {
        shares = box_cpu_weight_to_shares((uint64_t)value);
    } else if (box_limits_wants(plan->limits, BOX_LIMIT_CPU_SHARES, &value)) {
        limit = BOX_LIMIT_CPU_SHARES;
        shares = (uint64_t)value;
    } else {
        return 0;
    }
    return cgroup_plan_write(plan, dir, box_limit_table[limit].field, "cpu.shares", "%" PRIu64, shares);
}

static int plan_cpu(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int64_t idle = 0;
    bool burst_first = cgroup_burst_first(plan, dir, "cpu.cfs_burst_us");
    int r = 0;

    /* A group that is idle takes no shares: out of idle before, into idle after. */
    box_limits_wants(plan->limits, BOX_LIMIT_CPU_IDLE, &idle);
    if (!idle)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, idle_table);
    if (r == 0)
        r = plan_shares(plan, dir);
    if (r == 0 && idle)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, idle_table);
    if (r == 0)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, rt_table);
    if (r == 0 && burst_first)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, burst_table);
    if (r == 0)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, quota_table);
    if (r == 0 && !burst_first)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_CPU, burst_table);
    return r;
}

/* ---- memory ---- */

#define LIMIT_FILE "memory.limit_in_bytes"
#define MEMSW_FILE "memory.memsw.limit_in_bytes"

/* Memory+swap may not be below memory at any moment: raising takes memsw first, lowering the limit. */
static const struct cgroup_simple max_table[] = {
    {BOX_LIMIT_MEMORY_MAX, LIMIT_FILE, "-1", CGROUP_WRITE_MAY_SWAP}};
static const struct cgroup_simple both_table[] = {{BOX_LIMIT_MEMORY_AND_SWAP, MEMSW_FILE, "-1", 0}};
static const struct cgroup_simple memory_table[] = {
    {BOX_LIMIT_MEMORY_LOW, "memory.soft_limit_in_bytes", "-1", 0},
    {BOX_LIMIT_MEMORY_SWAPPINESS, "memory.swappiness", NULL, 0},
    {BOX_LIMIT_MEMORY_OOM_KILL_DISABLE, "memory.oom_control", NULL, 0},
    {BOX_LIMIT_MEMORY_KERNEL_TCP, "memory.kmem.tcp.limit_in_bytes", "-1", 0},
};

/* v2 counts swap alone, v1 memory and swap together. */
static int plan_swap_max(struct cgroup_plan *plan, const struct cgroup_dir *dir, int64_t swap)
{
    const char *field = box_limit_table[BOX_LIMIT_SWAP_MAX].field;
    uint64_t max, both;
    int r = cgroup_plan_memory_max(plan, dir, LIMIT_FILE, &max);

    if (r < 0)
        return cgroup_fail(plan->err, dir, LIMIT_FILE, r, field, "read the memory limit");
    if (swap < 0)
        return cgroup_plan_write(plan, dir, field, MEMSW_FILE, "-1");
    if (max >= INT64_MAX / 2 || __builtin_add_overflow(max, (uint64_t)swap, &both))
        return box_fail_with(plan->err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field},
                             "on cgroup v1 a limit on swap needs a limit on memory");
    return cgroup_plan_write(plan, dir, field, MEMSW_FILE, "%" PRIu64, both);
}

static int plan_memory(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int64_t max = 0, swap;
    bool has_swap = box_limits_get(plan->limits, BOX_LIMIT_SWAP_MAX, &swap);
    bool has_both = box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_AND_SWAP, NULL);
    int r = cgroup_plan_check_usage(plan, dir, "memory.usage_in_bytes");

    box_limits_wants(plan->limits, BOX_LIMIT_MEMORY_MAX, &max);
    /* Memory without limit within a limit on both is refused: that one has to go first. */
    if (r == 0 && max < 0 && !has_swap && !has_both && cgroup_has_file(dir->fd, MEMSW_FILE))
        r = cgroup_plan_write(plan, dir, box_limit_table[BOX_LIMIT_MEMORY_MAX].field, MEMSW_FILE, "-1");
    if (r == 0)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_MEMORY, max_table);
    if (r == 0 && has_swap)
        r = plan_swap_max(plan, dir, swap);
    else if (r == 0)
        r = SIMPLE(plan, dir, BOX_CONTROLLER_MEMORY, both_table);
    return r < 0 ? r : SIMPLE(plan, dir, BOX_CONTROLLER_MEMORY, memory_table);
}

/* ---- blkio ---- */

static const struct {
    const char *file, *field;
} rates[] = {
    [BOX_IO_READ_BPS] = {"blkio.throttle.read_bps_device", "linux.resources.blockIO.throttleReadBpsDevice"},
    [BOX_IO_WRITE_BPS] = {"blkio.throttle.write_bps_device",
                          "linux.resources.blockIO.throttleWriteBpsDevice"},
    [BOX_IO_READ_IOPS] = {"blkio.throttle.read_iops_device",
                          "linux.resources.blockIO.throttleReadIOPSDevice"},
    [BOX_IO_WRITE_IOPS] = {"blkio.throttle.write_iops_device",
                           "linux.resources.blockIO.throttleWriteIOPSDevice"},
};

static int plan_io(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const struct box_limits *l = plan->limits;
    bool bfq = cgroup_has_file(dir->fd, "blkio.bfq.weight");
    int64_t weight;
    int r = 0;

    if (box_limits_wants(l, BOX_LIMIT_IO_WEIGHT, &weight))
        r = cgroup_plan_write(plan, dir, box_limit_table[BOX_LIMIT_IO_WEIGHT].field,
                              bfq ? "blkio.bfq.weight" : "blkio.weight", "%" PRId64, weight);
    for (size_t i = 0; r == 0 && i < l->io_weight_count; i++) {
        const struct box_io_weight *w = &l->io_weights[i];
        if (w->weight > 0)
            r = cgroup_plan_write(plan, dir, "linux.resources.blockIO.weightDevice",
                                  bfq ? "blkio.bfq.weight_device" : "blkio.weight_device",
                                  "%" PRId64 ":%" PRId64 " %" PRId64, w->major, w->minor, w->weight);
    }
    for (size_t i = 0; r == 0 && i < l->io_rate_count; i++) {
        const struct box_io_rate *rate = &l->io_rates[i];
        r = cgroup_plan_write(plan, dir, rates[rate->kind].field, rates[rate->kind].file,
                              "%" PRId64 ":%" PRId64 " %" PRIu64, rate->major, rate->minor, rate->rate);
    }
    return r;
}

/* ---- the rest ---- */

static int plan_hugetlb(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    const char *field = "linux.resources.hugepageLimits";
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->limits->hugetlb_count; i++) {
        const struct box_hugetlb_limit *limit = &plan->limits->hugetlb[i];
        char file[64];

        snprintf(file, sizeof(file), "hugetlb.%s.limit_in_bytes", limit->page_size);
        r = cgroup_plan_write(plan, dir, field, file, "%" PRIu64, limit->bytes);
        snprintf(file, sizeof(file), "hugetlb.%s.rsvd.limit_in_bytes", limit->page_size);
        if (r == 0 && cgroup_has_file(dir->fd, file))
            r = cgroup_plan_write(plan, dir, field, file, "%" PRIu64, limit->bytes);
    }
    return r;
}

static int plan_net_prio(struct cgroup_plan *plan, const struct cgroup_dir *dir)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < plan->limits->net_priority_count; i++) {
        const struct box_net_priority *p = &plan->limits->net_priorities[i];
        r = cgroup_plan_write(plan, dir, "linux.resources.network.priorities", "net_prio.ifpriomap",
                              "%s %" PRIu32, p->interface, p->priority);
    }
    return r;
}

static const struct cgroup_simple net_cls_table[] = {{BOX_LIMIT_NET_CLASS_ID, "net_cls.classid", NULL, 0}};

int cgroup_v1_plan(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller)
{
    switch (controller) {
    case BOX_CONTROLLER_CPU:
        return plan_cpu(plan, dir);
    case BOX_CONTROLLER_MEMORY:
        return plan_memory(plan, dir);
    case BOX_CONTROLLER_IO:
        return plan_io(plan, dir);
    case BOX_CONTROLLER_HUGETLB:
        return plan_hugetlb(plan, dir);
    case BOX_CONTROLLER_NET_CLS:
        return SIMPLE(plan, dir, BOX_CONTROLLER_NET_CLS, net_cls_table);
    case BOX_CONTROLLER_NET_PRIO:
        return plan_net_prio(plan, dir);
    default: /* in the unified map only */
        return 0;
    }
}

bool cgroup_v1_has_raw(const char *file)
{
    return strcmp(file, "cpu.weight") == 0 || strcmp(file, "memory.swap.max") == 0;
}
