/* Limits as systemd's properties (systemd.resource-control(5)). What a version of systemd does not know is left out and
 * stands in the cgroup's files alone; so does what cannot be said exactly, but for two things that are said as nearly as
 * can be and then put right in the files: a CPU quota is rounded up to a whole percent of a CPU, which is how systemd keeps
 * it, and no process at all is one. */
#include "kernel/systemd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"

#define CPUS_MOST     8192
#define SINCE_PERIOD  242 /* CPUQuotaPeriodUSec */
#define SINCE_CPUSET  244 /* AllowedCPUs, AllowedMemoryNodes */
#define SINCE_IDLE    252 /* CPUWeight=0 */

struct putting {
    struct systemd_properties *to;
    const box_limits *limits;
    const struct systemd_host *host;
    box_error **err;
};

static uint64_t unlimited(int64_t value)
{
    return value < 0 ? UINT64_MAX : (uint64_t)value;
}

/* A number as the v2 files have it, of the `unified` map; "max" and no number at all are told apart. */
static bool raw_number(const box_limits *limits, const char *file, uint64_t *value)
{
    const char *text = box_limits_raw(limits, file);

    if (text && strcmp(text, "max") == 0)
        *value = UINT64_MAX;
    else if (!text || box_parse_u64(text, file, 0, INT64_MAX, value, NULL) < 0)
        return false;
    return true;
}

/* ---- memory, processes ----------------------------------------------------------------------------------------------- */

static int put_swap(const struct putting *w)
{
    int64_t both, max = 0;
    uint64_t swap;

    if (raw_number(w->limits, "memory.swap.max", &swap))
        return systemd_put_u64(w->to, "MemorySwapMax", swap, w->err);
    if (!box_limits_wants(w->limits, BOX_LIMIT_MEMORY_AND_SWAP, &both))
        return 0;
    if (both < 0)
        return systemd_put_u64(w->to, "MemorySwapMax", UINT64_MAX, w->err);
    /* Against the limit on memory as it is: the files know it, systemd need not. */
    if (!box_limits_wants(w->limits, BOX_LIMIT_MEMORY_MAX, &max) || max < 0 || max > both)
        return 0;
    return systemd_put_u64(w->to, "MemorySwapMax", (uint64_t)(both - max), w->err);
}

static int put_memory(const struct putting *w)
{
    static const struct {
        enum box_limit limit;
        const char *file, *name;
    } own[] = {{BOX_LIMIT_MEMORY_MAX, "memory.max", "MemoryMax"}, {BOX_LIMIT_MEMORY_LOW, "memory.low", "MemoryLow"}},
      raw[] = {{0, "memory.max", "MemoryMax"}, {0, "memory.low", "MemoryLow"}, {0, "memory.high", "MemoryHigh"}, {0, "memory.min", "MemoryMin"}};
    int64_t value;
    uint64_t number;
    int r = 0;

    if (!w->host->unified)
        return box_limits_wants(w->limits, BOX_LIMIT_MEMORY_MAX, &value)
                   ? systemd_put_u64(w->to, "MemoryLimit", unlimited(value), w->err)
                   : 0;
    for (size_t i = 0; r >= 0 && i < BOX_ARRAY(own); i++)
        if (box_limits_wants(w->limits, own[i].limit, &value))
            r = systemd_put_u64(w->to, own[i].name, unlimited(value), w->err);
    for (size_t i = 0; r >= 0 && i < BOX_ARRAY(raw); i++)
        if (raw_number(w->limits, raw[i].file, &number))
            r = systemd_put_u64(w->to, raw[i].name, number, w->err);
    return r < 0 ? r : put_swap(w);
}

static int put_pids(const struct putting *w)
{
    int64_t most;
    uint64_t number;

    if (w->host->unified && raw_number(w->limits, "pids.max", &number))
        return systemd_put_u64(w->to, "TasksMax", number ? number : 1, w->err);
    if (!box_limits_wants(w->limits, BOX_LIMIT_PIDS_MAX, &most))
        return 0;
    return systemd_put_u64(w->to, "TasksMax", most == 0 ? 1 : unlimited(most), w->err);
}

/* ---- cpu --------------------------------------------------------------------------------------------------------------- */

static int put_weight(const struct putting *w)
{
    int64_t shares, idle = 0;
    uint64_t weight = 0;

    if (!w->host->unified)
        return box_limits_wants(w->limits, BOX_LIMIT_CPU_SHARES, &shares)
                   ? systemd_put_u64(w->to, "CPUShares", (uint64_t)shares, w->err)
                   : 0;
    if (box_limits_wants(w->limits, BOX_LIMIT_CPU_IDLE, &idle) && idle)
        return w->host->version >= SINCE_IDLE ? systemd_put_u64(w->to, "CPUWeight", 0, w->err) : 0;
    if (!raw_number(w->limits, "cpu.weight", &weight) && box_limits_wants(w->limits, BOX_LIMIT_CPU_SHARES, &shares))
        weight = box_cpu_shares_to_weight((uint64_t)shares);
    return weight ? systemd_put_u64(w->to, "CPUWeight", weight, w->err) : 0;
}

/* "50000 100000", "max", "max 100000" of cpu.max. */
static bool raw_quota(const box_limits *limits, int64_t *quota, int64_t *period)
{
    const char *text = box_limits_raw(limits, "cpu.max"), *space = text ? strchr(text, ' ') : NULL;
    _free_ char *first = text ? strndup(text, space ? (size_t)(space - text) : strlen(text)) : NULL;

    if (!first)
        return false;
    *quota = -1;
    if (strcmp(first, "max") != 0 && box_parse_i64(first, "cpu.max", 1, INT64_MAX / 1000000, quota, NULL) < 0)
        return false;
    return !space || box_parse_i64(space + 1, "cpu.max", 1, INT32_MAX, period, NULL) >= 0;
}

static int put_quota(const struct putting *w)
{
    int64_t quota = 0, period = 0;
    uint64_t a_second = UINT64_MAX;

    if (!w->host->unified || !raw_quota(w->limits, &quota, &period)) {
        if (!box_limits_wants(w->limits, BOX_LIMIT_CPU_QUOTA, &quota))
            quota = 0;
        if (!box_limits_wants(w->limits, BOX_LIMIT_CPU_PERIOD, &period))
            period = 0;
    }
    int r = period && w->host->version >= SINCE_PERIOD ? systemd_put_u64(w->to, "CPUQuotaPeriodUSec", (uint64_t)period, w->err) : 0;
    if (r < 0 || quota == 0)
        return r;
    if (quota > 0) {
        uint64_t of = period ? (uint64_t)period : 100000;
        a_second = (uint64_t)quota > UINT64_MAX / 1000000 ? UINT64_MAX / 2 : (uint64_t)quota * 1000000 / of;
        a_second = (a_second + 9999) / 10000 * 10000;
    }
    return systemd_put_u64(w->to, "CPUQuotaPerSecUSec", a_second, w->err);
}

/* "0-3,7" as a mask, its lowest bit first. False: not of that form, which the kernel tells. */
static bool set_bits(const char *list, uint8_t mask[CPUS_MOST / 8], size_t *bytes)
{
    *bytes = 0;
    while (*list) {
        char *end;
        errno = 0;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (end == list || errno)
            return false;
        if (*end == '-') {
            list = end + 1;
            last = strtoul(list, &end, 10);
            if (end == list || errno)
                return false;
        }
        if (last < first || last >= CPUS_MOST || (*end && *end != ','))
            return false;
        for (unsigned long bit = first; bit <= last; bit++)
            mask[bit / 8] |= (uint8_t)(1u << bit % 8);
        if (last / 8 + 1 > *bytes)
            *bytes = last / 8 + 1;
        list = end + (*end == ',');
    }
    return *bytes > 0;
}

static int put_set(const struct putting *w, const char *name, const char *own, const char *file)
{
    const char *raw = box_limits_raw(w->limits, file), *list = raw ? raw : own;
    uint8_t mask[CPUS_MOST / 8] = {0};
    size_t bytes = 0;

    if (!list || !w->host->unified || w->host->version < SINCE_CPUSET || !set_bits(list, mask, &bytes))
        return 0;
    struct systemd_property *at = systemd_put_array(w->to, name, "y", w->err);
    int r = at ? 0 : BOX_ENOMEM;
    for (size_t i = 0; r >= 0 && i < bytes; i++)
        r = systemd_add_number(at, mask[i], w->err);
    return r;
}

/* ---- block devices ------------------------------------------------------------------------------------------------------ */

static int put_io(const struct putting *w)
{
    int64_t weight;

    if (!box_limits_wants(w->limits, BOX_LIMIT_IO_WEIGHT, &weight))
        return 0;
    return w->host->unified ? systemd_put_u64(w->to, "IOWeight", box_io_weight_to_v2((uint64_t)weight), w->err)
                            : systemd_put_u64(w->to, "BlockIOWeight", (uint64_t)weight, w->err);
}

/* ---- devices ------------------------------------------------------------------------------------------------------------- */

/* The driver's name of a major number: "136 pts" below "Character devices:" in /proc/devices. */
static bool driver_of(const char *devices, bool block, int64_t major, char name[64])
{
    const char *line = devices ? strstr(devices, block ? "Block devices:" : "Character devices:") : NULL;

    for (line = line ? strchr(line, '\n') : NULL; line; line = strchr(line + 1, '\n')) {
        char *end;
        long number = strtol(line + 1, &end, 10);
        if (end == line + 1 || *end != ' ')
            return false;
        size_t n = strcspn(end + 1, "\n");
        if (number != major || n == 0 || n >= 64)
            continue;
        memcpy(name, end + 1, n);
        name[n] = '\0';
        return true;
    }
    return false;
}

/* One rule that allows. False when systemd has no words for it. */
static bool device_words(const struct box_device_rule *rule, const char *devices, char words[80])
{
    bool block = rule->type == 'b';
    const char *kind = block ? "block" : "char";
    char driver[64];

    if (rule->major < 0 && rule->minor < 0)
        snprintf(words, 80, "%s-*", kind);
    else if (rule->major >= 0 && rule->minor >= 0)
        snprintf(words, 80, "/dev/%s/%" PRId64 ":%" PRId64, kind, rule->major, rule->minor);
    else if (rule->major >= 0 && driver_of(devices, block, rule->major, driver))
        snprintf(words, 80, "%s-%s", kind, driver);
    else
        return false;
    return true;
}

static int put_device(const struct putting *w, struct systemd_property *at, const struct box_device_rule *rule)
{
    unsigned access = rule->access ? rule->access : 7;
    char words[80], letters[4] = "";

    if (!device_words(rule, w->host->names, words))
        return 0;
    snprintf(letters, sizeof(letters), "%s%s%s", access & BOX_DEVICE_READ ? "r" : "", access & BOX_DEVICE_WRITE ? "w" : "",
             access & BOX_DEVICE_MKNOD ? "m" : "");
    int r = systemd_add_text(at, words, w->err);
    return r < 0 ? r : systemd_add_text(at, letters, w->err);
}

/* systemd can say what is allowed beside nothing, and no more. On v2 its program stands beside libbox's, and both have to
 * agree: rules of which one cannot be said are not said at all there, and libbox's own outlive a reload anyway. */
static int put_devices(const struct putting *w)
{
    struct cgroup_device_set set = {0};
    char words[80];
    int r = 0;

    if (!w->limits->device_count || !w->host->devices ||
        cgroup_devices_v1_compile(w->limits->devices, w->limits->device_count, &set, NULL) < 0)
        return 0;
    bool can = !set.allow_all;
    for (size_t i = 0; can && w->host->unified && i < set.count; i++)
        can = device_words(&set.exceptions[i], w->host->names, words);
    struct systemd_property *at = systemd_put_array(w->to, "DeviceAllow", "ss", w->err);
    r = at ? 0 : BOX_ENOMEM;
    for (size_t i = 0; can && r >= 0 && i < set.count; i++)
        r = put_device(w, at, &set.exceptions[i]);
    cgroup_device_set_free(&set);
    return r < 0 ? r : systemd_put_text(w->to, "DevicePolicy", can ? "strict" : "auto", w->err);
}

int systemd_put_limits(struct systemd_properties *p, const box_limits *limits, const struct systemd_host *host, box_error **err)
{
    const struct putting w = {p, limits, host, err};
    int r;

    if (!limits)
        return 0;
    if ((r = put_memory(&w)) < 0 || (r = put_pids(&w)) < 0 || (r = put_weight(&w)) < 0 || (r = put_quota(&w)) < 0 ||
        (r = put_set(&w, "AllowedCPUs", limits->cpus, "cpuset.cpus")) < 0 ||
        (r = put_set(&w, "AllowedMemoryNodes", limits->mems, "cpuset.mems")) < 0 || (r = put_io(&w)) < 0)
        return r;
    return put_devices(&w);
}
