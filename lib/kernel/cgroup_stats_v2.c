/* Statistics from cgroup v2's files. See the kernel's admin-guide/cgroup-v2.rst. */
#include "kernel/cgroup.h"

#include <string.h>

#define AT(field) offsetof(struct box_cgroup_stats, field)

static const struct cgroup_key cpu_keys[] = {
    {"usage_usec", AT(cpu.usage_ns), 1000},         {"user_usec", AT(cpu.user_ns), 1000},
    {"system_usec", AT(cpu.system_ns), 1000},       {"nr_periods", AT(cpu.periods), 1},
    {"nr_throttled", AT(cpu.throttled_periods), 1}, {"throttled_usec", AT(cpu.throttled_ns), 1000},
    {"burst_usec", AT(cpu.burst_ns), 1000},
};

static const struct cgroup_key memory_keys[] = {
    {"anon", AT(memory.anon), 1},
    {"file", AT(memory.file), 1},
    {"kernel", AT(memory.kernel), 1},
    {"shmem", AT(memory.shmem), 1},
    {"inactive_file", AT(memory.inactive_file), 1},
    {"pgfault", AT(memory.page_faults), 1},
    {"pgmajfault", AT(memory.major_faults), 1},
};

static const struct cgroup_key memory_events[] = {
    {"max", AT(memory.limit_hits), 1},
    {"oom", AT(memory.oom), 1},
    {"oom_kill", AT(memory.oom_kills), 1},
};

static const struct cgroup_key pids_events[] = {{"max", AT(pids.limit_hits), 1}};

struct number_file {
    const char *file;
    size_t offset;
};

static const struct number_file memory_files[] = {
    {"memory.current", AT(memory.usage)},       {"memory.peak", AT(memory.max_usage)},
    {"memory.max", AT(memory.limit)},           {"memory.swap.current", AT(memory.swap)},
    {"memory.swap.max", AT(memory.swap_limit)},
};
static const struct number_file pids_files[] = {{"pids.current", AT(pids.current)},
                                                {"pids.max", AT(pids.limit)}};

static int read_numbers(struct box_cgroup_stats *stats, const struct cgroup_dir *dir,
                        const struct number_file *files, size_t count)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = cgroup_stats_number(dir, files[i].file, (uint64_t *)((char *)stats + files[i].offset));
    return r;
}

/* ---- io.stat: "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0" ---- */

static int parse_io_words(struct box_cgroup_io_stats *io, char *line)
{
    const struct {
        const char *name;
        uint64_t *value;
    } keys[] = {
        {"rbytes", &io->read_bytes}, {"wbytes", &io->write_bytes},   {"rios", &io->reads},
        {"wios", &io->writes},       {"dbytes", &io->discard_bytes}, {"dios", &io->discards},
    };

    for (char *word; (word = cgroup_next_word(&line));) {
        char *value = strchr(word, '=');

        if (!value)
            continue;
        *value++ = '\0';
        for (size_t i = 0; i < BOX_ARRAY(keys); i++) {
            if (strcmp(word, keys[i].name) == 0 && !cgroup_parse_u64(value, keys[i].value))
                return -EBADMSG;
        }
    }
    return 0;
}

int cgroup_parse_io_stat(struct box_cgroup_stats *stats, char *text)
{
    for (char *line; (line = cgroup_next_line(&text));) {
        const char *device = cgroup_next_word(&line);
        uint64_t major, minor;

        /* Some kernels have written lines with a name, or with nothing behind the device. */
        if (!device || !strchr(device, ':') || *line == '\0')
            continue;
        if (!cgroup_parse_device(device, &major, &minor))
            return -EBADMSG;

        struct box_cgroup_io_stats *io = cgroup_stats_io(stats, major, minor);
        int r = io ? parse_io_words(io, line) : -ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

static int read_io(struct box_cgroup_stats *stats, const struct cgroup_dir *dir)
{
    _free_ char *text = NULL;
    int r = cgroup_read(dir->fd, "io.stat", &text);

    if (r == 0)
        return cgroup_parse_io_stat(stats, text);
    return r == -ENOENT || r == -EOPNOTSUPP ? 0 : r;
}

/* ---- hugetlb ---- */

static int read_page_size(struct box_cgroup_hugetlb_stats *out, const struct cgroup_dir *dir)
{
    char file[64];
    int r;

    snprintf(file, sizeof(file), "hugetlb.%s.current", out->page_size);
    r = cgroup_stats_number(dir, file, &out->usage);
    snprintf(file, sizeof(file), "hugetlb.%s.max", out->page_size);
    if (r == 0)
        r = cgroup_stats_number(dir, file, &out->limit);
    snprintf(file, sizeof(file), "hugetlb.%s.events", out->page_size);
    if (r == 0)
        r = cgroup_read_key(dir->fd, file, "max", &out->failures);
    return r == -ENOENT || r == -ENODATA ? 0 : r;
}

int cgroup_stats_v2(struct box_cgroup_stats *stats, const struct cgroup_dir *dir, unsigned controller)
{
    int r;

    switch (controller) {
    case BOX_CONTROLLER_CPU:
    case BOX_CONTROLLER_CPUACCT: /* in a hierarchy that has no cpu controller, cpu.stat has the times all the
                                    same */
        return cgroup_stats_flat(dir, "cpu.stat", cpu_keys, BOX_ARRAY(cpu_keys), stats);
    case BOX_CONTROLLER_MEMORY:
        r = read_numbers(stats, dir, memory_files, BOX_ARRAY(memory_files));
        if (r == 0)
            r = cgroup_stats_flat(dir, "memory.stat", memory_keys, BOX_ARRAY(memory_keys), stats);
        return r < 0
                   ? r
                   : cgroup_stats_flat(dir, "memory.events", memory_events, BOX_ARRAY(memory_events), stats);
    case BOX_CONTROLLER_PIDS:
        r = read_numbers(stats, dir, pids_files, BOX_ARRAY(pids_files));
        return r < 0 ? r : cgroup_stats_flat(dir, "pids.events", pids_events, BOX_ARRAY(pids_events), stats);
    case BOX_CONTROLLER_IO:
        return read_io(stats, dir);
    case BOX_CONTROLLER_HUGETLB:
        return cgroup_stats_each_page_size(stats, dir, "max", read_page_size);
    default:
        return 0;
    }
}
