/* update and events: limits, and what is used of them. */
#include "oci.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- update ---------------------------------------------------------------------------------------------------------- */

static char *read_all(const char *path)
{
    FILE *in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    char *text = NULL;
    size_t room = 0;
    ssize_t n = in ? getdelim(&text, &room, '\0', in) : -1;

    if (!in || (n < 0 && ferror(in))) {
        fail_text("%s: %s", path, strerror(errno));
        free(text);
        return NULL;
    }
    if (in != stdin)
        fclose(in);
    return text ? text : strdup("");
}

static int set_number(box_limits *limits, enum box_limit limit, const char *name, const char *text, box_error **err)
{
    char *end;

    if (!text)
        return 0;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    static const char units[] = "bkmgt";
    const char *unit = *end ? strchr(units, *end | 0x20) : NULL;
    if (end == text || errno || (*end && (!unit || end[1])))
        return fail_text("invalid value for %s: %s", name, text), 1;
    for (const char *u = units; unit && u < unit; u++)
        n *= 1024;
    return box_limits_set(limits, limit, n, err);
}

int verb_update(int argc, char **argv)
{
    const char *resources = NULL, *memory = NULL, *swap = NULL, *reservation = NULL, *shares = NULL, *quota = NULL,
               *period = NULL, *rt_period = NULL, *rt_runtime = NULL, *cpus = NULL, *mems = NULL, *pids = NULL, *weight = NULL,
               *kernel = NULL, *tcp = NULL, *burst = NULL, *idle = NULL, *cache = NULL, *bandwidth = NULL;
    const struct flag flags[] = {
        {"resources", 'r', FLAG_TEXT, &resources}, {"memory", 0, FLAG_TEXT, &memory},
        {"memory-swap", 0, FLAG_TEXT, &swap},      {"memory-reservation", 0, FLAG_TEXT, &reservation},
        {"cpu-share", 0, FLAG_TEXT, &shares},      {"cpu-quota", 0, FLAG_TEXT, &quota},
        {"cpu-period", 0, FLAG_TEXT, &period},     {"cpu-burst", 0, FLAG_TEXT, &burst},
        {"cpu-idle", 0, FLAG_TEXT, &idle},         {"cpu-rt-period", 0, FLAG_TEXT, &rt_period},
        {"cpu-rt-runtime", 0, FLAG_TEXT, &rt_runtime}, {"cpuset-cpus", 0, FLAG_TEXT, &cpus},
        {"cpuset-mems", 0, FLAG_TEXT, &mems},      {"pids-limit", 0, FLAG_TEXT, &pids},
        {"blkio-weight", 0, FLAG_TEXT, &weight},   {"kernel-memory", 0, FLAG_TEXT, &kernel},
        {"kernel-memory-tcp", 0, FLAG_TEXT, &tcp}, {"l3-cache-schema", 0, FLAG_TEXT, &cache},
        {"mem-bw-schema", 0, FLAG_TEXT, &bandwidth}, {0}};
    box_limits *limits = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags), r = 0;

    if (first >= 0 && argc - first != 1)
        return fail_text("\"update\" requires exactly 1 argument: the id of the container");
    if (first < 0 || !containers())
        return 1;
    char *text = resources ? read_all(resources) : NULL;
    if (resources && !text)
        return 1;
    r = text ? box_oci_parse_resources(text, strlen(text), &limits, &err) : 0;
    free(text);
    if (r >= 0 && !limits && !(limits = box_limits_new(&err)))
        r = -1;
    const struct {
        enum box_limit limit;
        const char *name, *text;
    } numbers[] = {{BOX_LIMIT_MEMORY_MAX, "memory", memory},
                   {BOX_LIMIT_MEMORY_AND_SWAP, "memory-swap", swap},
                   {BOX_LIMIT_MEMORY_LOW, "memory-reservation", reservation},
                   {BOX_LIMIT_CPU_SHARES, "cpu-share", shares},
                   {BOX_LIMIT_CPU_QUOTA, "cpu-quota", quota},
                   {BOX_LIMIT_CPU_PERIOD, "cpu-period", period},
                   {BOX_LIMIT_CPU_BURST, "cpu-burst", burst},
                   {BOX_LIMIT_CPU_IDLE, "cpu-idle", idle},
                   {BOX_LIMIT_CPU_RT_PERIOD, "cpu-rt-period", rt_period},
                   {BOX_LIMIT_CPU_RT_RUNTIME, "cpu-rt-runtime", rt_runtime},
                   {BOX_LIMIT_PIDS_MAX, "pids-limit", pids},
                   {BOX_LIMIT_IO_WEIGHT, "blkio-weight", weight}};
    for (size_t i = 0; r == 0 && i < sizeof(numbers) / sizeof(*numbers); i++)
        r = set_number(limits, numbers[i].limit, numbers[i].name, numbers[i].text, &err);
    if (r == 0 && cpus)
        r = box_limits_set_cpuset_cpus(limits, cpus, &err);
    if (r == 0 && mems)
        r = box_limits_set_cpuset_mems(limits, mems, &err);
    if (r == 0)
        r = box_oci_update(containers(), argv[first], limits, &err);
    if (r == 0 && (cache || bandwidth))
        r = box_oci_update_rdt(containers(), argv[first], cache, bandwidth, &err);
    box_limits_free(limits);
    return r < 0 ? fail(err) : r;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

static void put_memory(const char *name, uint64_t usage, uint64_t max, uint64_t limit, uint64_t failures)
{
    printf("\"%s\":{\"limit\":%" PRIu64 ",\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64 "}", name, limit,
           usage, max, failures);
}

static void put_io(const char *name, const struct box_cgroup_stats *s, bool bytes)
{
    printf("\"%s\":[", name);
    for (size_t i = 0; i < s->io_count; i++) {
        const struct box_cgroup_io_stats *io = &s->io[i];
        printf("%s{\"major\":%" PRIu64 ",\"minor\":%" PRIu64 ",\"op\":\"Read\",\"value\":%" PRIu64 "},"
               "{\"major\":%" PRIu64 ",\"minor\":%" PRIu64 ",\"op\":\"Write\",\"value\":%" PRIu64 "}",
               i ? "," : "", io->major, io->minor, bytes ? io->read_bytes : io->reads, io->major, io->minor,
               bytes ? io->write_bytes : io->writes);
    }
    printf("]");
}

static int put_stats(const char *id, box_error **err)
{
    box_cgroup *cgroup = NULL;
    char *rdt = NULL;
    int r = box_oci_cgroup(containers(), id, &cgroup, err);
    struct box_cgroup_stats *s = r < 0 ? NULL : box_cgroup_stats_read(cgroup, err);

    box_cgroup_free(cgroup);
    if (!s)
        return -1;
    printf("{\"type\":\"stats\",\"id\":\"%s\",\"data\":{\"cpu\":{\"usage\":{\"total\":%" PRIu64 ",\"kernel\":%" PRIu64
           ",\"user\":%" PRIu64 "},\"throttling\":{\"periods\":%" PRIu64 ",\"throttledPeriods\":%" PRIu64
           ",\"throttledTime\":%" PRIu64 "}},\"memory\":{\"cache\":%" PRIu64 ",",
           id, s->cpu.usage_ns, s->cpu.system_ns, s->cpu.user_ns, s->cpu.periods, s->cpu.throttled_periods,
           s->cpu.throttled_ns, s->memory.file);
    put_memory("usage", s->memory.usage, s->memory.max_usage, s->memory.limit, s->memory.limit_hits);
    printf(",");
    put_memory("swap", s->memory.swap, 0, s->memory.swap_limit, 0);
    printf(",\"raw\":{\"anon\":%" PRIu64 ",\"file\":%" PRIu64 ",\"inactive_file\":%" PRIu64 ",\"pgfault\":%" PRIu64
           ",\"pgmajfault\":%" PRIu64 "}},\"pids\":{\"current\":%" PRIu64,
           s->memory.anon, s->memory.file, s->memory.inactive_file, s->memory.page_faults, s->memory.major_faults,
           s->pids.current);
    if (s->pids.limit != BOX_CGROUP_UNLIMITED)
        printf(",\"limit\":%" PRIu64, s->pids.limit);
    printf("},\"blkio\":{");
    put_io("ioServiceBytesRecursive", s, true);
    printf(",");
    put_io("ioServicedRecursive", s, false);
    printf("},\"hugetlb\":{");
    for (size_t i = 0; i < s->hugetlb_count; i++)
        printf("%s\"%s\":{\"usage\":%" PRIu64 ",\"max\":%" PRIu64 ",\"failcnt\":%" PRIu64 "}", i ? "," : "",
               s->hugetlb[i].page_size, s->hugetlb[i].usage, s->hugetlb[i].max_usage, s->hugetlb[i].failures);
    box_oci_rdt_stats(containers(), id, &rdt, NULL);
    printf("},\"intel_rdt\":%s,\"network_interfaces\":null}}\n", rdt ? rdt : "{}");
    free(rdt);
    fflush(stdout);
    box_cgroup_stats_free(s);
    return 0;
}

int verb_events(int argc, char **argv)
{
    bool once = false;
    const char *interval = "5s";
    const struct flag flags[] = {{"stats", 0, FLAG_BOOL, &once}, {"interval", 0, FLAG_TEXT, &interval}, {0}};
    box_cgroup *cgroup = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags);

    if (first >= 0 && argc - first != 1)
        return fail_text("\"events\" requires exactly 1 argument: the id of the container");
    if (first < 0 || !containers())
        return 1;
    double seconds = strtod(interval, NULL);
    if (seconds <= 0)
        return fail_text("duration interval must be greater than 0");
    int pidfd = box_oci_pidfd(containers(), argv[first], &err);
    if (pidfd < 0 || put_stats(argv[first], &err) < 0)
        return fail(err);
    if (once)
        return 0;
    int oom = box_oci_cgroup(containers(), argv[first], &cgroup, NULL) < 0 ? -1 : box_cgroup_oom_fd(cgroup, NULL);
    uint64_t before = 0, now = 0;
    box_cgroup_oom_count(cgroup, &before, NULL);
    struct pollfd fds[] = {{pidfd, POLLIN, 0}, {oom < 0 ? -1 : oom, POLLIN, 0}};
    for (;;) {
        int n = poll(fds, 2, (int)(seconds * 1000));
        if (n > 0 && fds[0].revents)
            break;
        if (n > 0 && fds[1].revents) {
            box_cgroup_oom_drain(oom, NULL);
            if (box_cgroup_oom_count(cgroup, &now, NULL) >= 0 && now > before)
                printf("{\"type\":\"oom\",\"id\":\"%s\"}\n", argv[first]);
            fflush(stdout);
            before = now;
        } else if (put_stats(argv[first], NULL) < 0) {
            break;
        }
    }
    box_cgroup_free(cgroup);
    return 0;
}
