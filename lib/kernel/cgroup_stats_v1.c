/* Statistics from cgroup v1's files. See the kernel's admin-guide/cgroup-v1/. */
#include "kernel/cgroup.h"

#include <string.h>

#define AT(field)   offsetof(struct box_cgroup_stats, field)
#define NS_PER_TICK 10000000 /* USER_HZ is 100 on every architecture that libbox runs on */
/* The kernel writes "no limit" as the highest number of whole pages. */
#define V1_UNLIMITED ((uint64_t)INT64_MAX / 2)

static const struct cgroup_key cpu_keys[] = {
    {"nr_periods", AT(cpu.periods), 1},
    {"nr_throttled", AT(cpu.throttled_periods), 1},
    {"throttled_time", AT(cpu.throttled_ns), 1},
    {"burst_time", AT(cpu.burst_ns), 1},
};

static const struct cgroup_key ticks_keys[] = {
    {"user", AT(cpu.user_ns), NS_PER_TICK},
    {"system", AT(cpu.system_ns), NS_PER_TICK},
};

/* total_: with the cgroups below, as v2 counts. */
static const struct cgroup_key memory_keys[] = {
    {"total_rss", AT(memory.anon), 1},
    {"total_cache", AT(memory.file), 1},
    {"total_shmem", AT(memory.shmem), 1},
    {"total_inactive_file", AT(memory.inactive_file), 1},
    {"total_swap", AT(memory.swap), 1},
    {"total_pgfault", AT(memory.page_faults), 1},
    {"total_pgmajfault", AT(memory.major_faults), 1},
};

static const struct cgroup_key oom_keys[] = {{"oom_kill", AT(memory.oom_kills), 1}};
static const struct cgroup_key pids_keys[] = {{"max", AT(pids.limit_hits), 1}};

static int read_cpuacct(struct box_cgroup_stats *stats, const struct cgroup_dir *dir)
{
    int r = cgroup_stats_number(dir, "cpuacct.usage", &stats->cpu.usage_ns);

    if (r < 0)
        return r;
    if (!cgroup_has_file(dir->fd, "cpuacct.usage_user"))
        return cgroup_stats_flat(dir, "cpuacct.stat", ticks_keys, BOX_ARRAY(ticks_keys), stats);
    r = cgroup_stats_number(dir, "cpuacct.usage_user", &stats->cpu.user_ns);
    return r < 0 ? r : cgroup_stats_number(dir, "cpuacct.usage_sys", &stats->cpu.system_ns);
}

static int read_memory(struct box_cgroup_stats *stats, const struct cgroup_dir *dir)
{
    uint64_t both = UINT64_MAX, both_hits = 0;
    const struct {
        const char *file;
        uint64_t *value;
    } files[] = {
        {"memory.usage_in_bytes", &stats->memory.usage},
        {"memory.max_usage_in_bytes", &stats->memory.max_usage},
        {"memory.limit_in_bytes", &stats->memory.limit},
        {"memory.memsw.limit_in_bytes", &both},
        {"memory.failcnt", &stats->memory.limit_hits},
        {"memory.memsw.failcnt", &both_hits},
        {"memory.kmem.usage_in_bytes", &stats->memory.kernel},
    };
    int r = 0;

    for (size_t i = 0; r == 0 && i < BOX_ARRAY(files); i++)
        r = cgroup_stats_number(dir, files[i].file, files[i].value);
    stats->memory.limit_hits += both_hits;
    if (both < V1_UNLIMITED && both >= stats->memory.limit)
        stats->memory.swap_limit = both - stats->memory.limit;
    if (stats->memory.limit >= V1_UNLIMITED)
        stats->memory.limit = BOX_CGROUP_UNLIMITED;
    if (r == 0)
        r = cgroup_stats_flat(dir, "memory.stat", memory_keys, BOX_ARRAY(memory_keys), stats);
    return r < 0 ? r : cgroup_stats_flat(dir, "memory.oom_control", oom_keys, BOX_ARRAY(oom_keys), stats);
}

static int read_pids(struct box_cgroup_stats *stats, const struct cgroup_dir *dir)
{
    int r = cgroup_stats_number(dir, "pids.current", &stats->pids.current);

    if (r == 0)
        r = cgroup_stats_number(dir, "pids.max", &stats->pids.limit);
    return r < 0 ? r : cgroup_stats_flat(dir, "pids.events", pids_keys, BOX_ARRAY(pids_keys), stats);
}

/* ---- blkio: "8:0 Read 4096", and at the end "Total 4096" ---- */

static uint64_t *blkio_slot(struct box_cgroup_io_stats *io, const char *name, bool operations)
{
    if (strcmp(name, "Read") == 0)
        return operations ? &io->reads : &io->read_bytes;
    if (strcmp(name, "Write") == 0)
        return operations ? &io->writes : &io->write_bytes;
    if (strcmp(name, "Discard") == 0)
        return operations ? &io->discards : &io->discard_bytes;
    return NULL;
}

int cgroup_parse_blkio(struct box_cgroup_stats *stats, char *text, bool operations)
{
    for (char *line; (line = cgroup_next_line(&text));) {
        const char *device = cgroup_next_word(&line), *name = cgroup_next_word(&line);
        uint64_t major, minor, *slot;

        if (!device || strcmp(device, "Total") == 0)
            continue;
        if (!name || !cgroup_parse_device(device, &major, &minor))
            return -EBADMSG;

        struct box_cgroup_io_stats *io = cgroup_stats_io(stats, major, minor);

        if (!io)
            return -ENOMEM;
        slot = blkio_slot(io, name, operations);
        if (slot && !cgroup_parse_u64(line, slot))
            return -EBADMSG;
    }
    return 0;
}

/* The throttle files count every request; BFQ's only those of its own scheduler. */
static int read_blkio(struct box_cgroup_stats *stats, const struct cgroup_dir *dir, bool operations)
{
    static const char *const files[2][2] = {
        {"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"},
        {"blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"},
    };
    _free_ char *text = NULL;
    int r = -ENOENT;

    for (size_t i = 0; i < 2 && r == -ENOENT; i++)
        r = cgroup_read(dir->fd, files[operations][i], &text);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : cgroup_parse_blkio(stats, text, operations);
}

/* ---- hugetlb ---- */

static int read_page_size(struct box_cgroup_hugetlb_stats *out, const struct cgroup_dir *dir)
{
    const struct {
        const char *name;
        uint64_t *value;
    } files[] = {{"usage_in_bytes", &out->usage},
                 {"max_usage_in_bytes", &out->max_usage},
                 {"limit_in_bytes", &out->limit},
                 {"failcnt", &out->failures}};
    int r = 0;

    for (size_t i = 0; r == 0 && i < BOX_ARRAY(files); i++) {
        char file[64];

        snprintf(file, sizeof(file), "hugetlb.%s.%s", out->page_size, files[i].name);
        r = cgroup_stats_number(dir, file, files[i].value);
    }
    if (out->limit >= V1_UNLIMITED)
        out->limit = BOX_CGROUP_UNLIMITED;
    return r;
}

int cgroup_stats_v1(struct box_cgroup_stats *stats, const struct cgroup_dir *dir, unsigned controller)
{
    int r;

    switch (controller) {
    case BOX_CONTROLLER_CPU:
        return cgroup_stats_flat(dir, "cpu.stat", cpu_keys, BOX_ARRAY(cpu_keys), stats);
    case BOX_CONTROLLER_CPUACCT:
        return read_cpuacct(stats, dir);
    case BOX_CONTROLLER_MEMORY:
        return read_memory(stats, dir);
    case BOX_CONTROLLER_PIDS:
        return read_pids(stats, dir);
    case BOX_CONTROLLER_IO:
        r = read_blkio(stats, dir, false);
        return r < 0 ? r : read_blkio(stats, dir, true);
    case BOX_CONTROLLER_HUGETLB:
        return cgroup_stats_each_page_size(stats, dir, "limit_in_bytes", read_page_size);
    default:
        return 0;
    }
}
