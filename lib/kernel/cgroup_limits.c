/* box_limits: the builder of resource limits. Numbers are rows of one table, lists are small arrays that are
 * replaced by key. Nothing here looks at the host: a value is checked against what any kernel accepts, and
 * the rest is decided when the limits are applied (cgroup_apply.c). */
#include "kernel/cgroup_limits.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "base/fail.h"

#define RESOURCES "linux.resources."
#define PAGE      4096 /* the smallest page of any architecture: a memory limit below it is a mistake */
#define ANY       INT64_MAX

const struct box_limit_info box_limit_table[BOX_LIMIT_COUNT] = {
    [BOX_LIMIT_CPU_SHARES] = {RESOURCES "cpu.shares", NULL, BOX_CONTROLLER_CPU, 2, 262144,
                              .zero_unset = true},
    [BOX_LIMIT_CPU_WEIGHT] = {RESOURCES "unified.cpu.weight", "cpu.weight", BOX_CONTROLLER_CPU, 1, 10000},
    [BOX_LIMIT_CPU_QUOTA] = {RESOURCES "cpu.quota", NULL, BOX_CONTROLLER_CPU, 1000, ANY, true, true},
    [BOX_LIMIT_CPU_PERIOD] = {RESOURCES "cpu.period", NULL, BOX_CONTROLLER_CPU, 1000, 1000000,
                              .zero_unset = true},
    [BOX_LIMIT_CPU_BURST] = {RESOURCES "cpu.burst", NULL, BOX_CONTROLLER_CPU, 0, ANY},
    [BOX_LIMIT_CPU_RT_RUNTIME] = {RESOURCES "cpu.realtimeRuntime", NULL, BOX_CONTROLLER_CPU, 0, ANY, true},
    [BOX_LIMIT_CPU_RT_PERIOD] = {RESOURCES "cpu.realtimePeriod", NULL, BOX_CONTROLLER_CPU, 1, ANY,
                                 .zero_unset = true},
    [BOX_LIMIT_CPU_IDLE] = {RESOURCES "cpu.idle", NULL, BOX_CONTROLLER_CPU, 0, 1},
    [BOX_LIMIT_MEMORY_MAX] = {RESOURCES "memory.limit", NULL, BOX_CONTROLLER_MEMORY, PAGE, ANY, true, true},
    [BOX_LIMIT_MEMORY_LOW] = {RESOURCES "memory.reservation", NULL, BOX_CONTROLLER_MEMORY, 0, ANY, true},
    [BOX_LIMIT_MEMORY_AND_SWAP] = {RESOURCES "memory.swap", NULL, BOX_CONTROLLER_MEMORY, PAGE, ANY, true,
                                   true},
    [BOX_LIMIT_SWAP_MAX] = {RESOURCES "unified.memory.swap.max", "memory.swap.max", BOX_CONTROLLER_MEMORY, 0,
                            ANY, true},
    [BOX_LIMIT_MEMORY_HIGH] = {RESOURCES "unified.memory.high", "memory.high", BOX_CONTROLLER_MEMORY, 0, ANY,
                               true},
    [BOX_LIMIT_MEMORY_MIN] = {RESOURCES "unified.memory.min", "memory.min", BOX_CONTROLLER_MEMORY, 0, ANY,
                              true},
    [BOX_LIMIT_MEMORY_OOM_GROUP] = {RESOURCES "unified.memory.oom.group", "memory.oom.group",
                                    BOX_CONTROLLER_MEMORY, 0, 1},
    [BOX_LIMIT_MEMORY_SWAPPINESS] = {RESOURCES "memory.swappiness", NULL, BOX_CONTROLLER_MEMORY, 0, 100},
    [BOX_LIMIT_MEMORY_OOM_KILL_DISABLE] = {RESOURCES "memory.disableOOMKiller", NULL, BOX_CONTROLLER_MEMORY,
                                           0, 1},
    [BOX_LIMIT_MEMORY_CHECK_BEFORE_UPDATE] = {RESOURCES "memory.checkBeforeUpdate", NULL, 0, 0, 1},
    [BOX_LIMIT_MEMORY_KERNEL] = {RESOURCES "memory.kernel", NULL, 0, 0, ANY, true},
    [BOX_LIMIT_MEMORY_KERNEL_TCP] = {RESOURCES "memory.kernelTCP", NULL, BOX_CONTROLLER_MEMORY, 0, ANY, true},
    [BOX_LIMIT_MEMORY_USE_HIERARCHY] = {RESOURCES "memory.useHierarchy", NULL, 0, 0, 1},
    [BOX_LIMIT_PIDS_MAX] = {RESOURCES "pids.limit", NULL, BOX_CONTROLLER_PIDS, 0, ANY, true},
    [BOX_LIMIT_IO_WEIGHT] = {RESOURCES "blockIO.weight", NULL, BOX_CONTROLLER_IO, 10, 1000,
                             .zero_unset = true},
    [BOX_LIMIT_IO_LEAF_WEIGHT] = {RESOURCES "blockIO.leafWeight", NULL, 0, 10, 1000, .zero_unset = true},
    [BOX_LIMIT_NET_CLASS_ID] = {RESOURCES "network.classID", NULL, BOX_CONTROLLER_NET_CLS, 0, UINT32_MAX},
};

/* ---- making and freeing ---- */

box_limits *box_limits_new(box_error **err)
{
    box_limits *limits = calloc(1, sizeof(*limits));

    if (!limits)
        box_fail_nomem(err);
    return limits;
}

void box_limits_free(box_limits *limits)
{
    if (!limits)
        return;
    for (size_t i = 0; i < limits->hugetlb_count; i++)
        free((char *)limits->hugetlb[i].page_size);
    for (size_t i = 0; i < limits->rdma_count; i++)
        free((char *)limits->rdma[i].device);
    for (size_t i = 0; i < limits->net_priority_count; i++)
        free((char *)limits->net_priorities[i].interface);
    for (size_t i = 0; i < limits->raw_count; i++) {
        free((char *)limits->raw[i].file);
        free((char *)limits->raw[i].value);
    }
    free(limits->cpus);
    free(limits->mems);
    free(limits->devices);
    free(limits->io_rates);
    free(limits->io_weights);
    free(limits->hugetlb);
    free(limits->rdma);
    free(limits->net_priorities);
    free(limits->raw);
    free(limits);
}

/* Makes room for one more element; the new one is zeroed and counted. NULL when out of memory: nothing
 * changed. */
static void *append_element(void **array, size_t *count, size_t size)
{
    char *grown = reallocarray(*array, *count + 1, size);

    if (!grown)
        return NULL;
    *array = grown;
    memset(grown + *count * size, 0, size);
    return grown + (*count)++ * size;
}

#define APPEND(limits, list, count) \
    append_element((void **)&(limits)->list, &(limits)->count, sizeof(*(limits)->list))

static int replace_string(char **slot, const char *value, box_error **err)
{
    char *copy = value && *value ? strdup(value) : NULL;

    if (value && *value && !copy)
        return box_fail_nomem(err);
    free(*slot);
    *slot = copy;
    return 0;
}

static int fail_field(box_error **err, const char *field, const char *why)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field}, "%s", why);
}

/* ---- numbers ---- */

static bool is_limit(enum box_limit limit)
{
    return (int)limit >= 0 && (int)limit < BOX_LIMIT_COUNT;
}

static int check_range(const struct box_limit_info *info, int64_t value, box_error **err)
{
    if ((value >= info->min && value <= info->max) || (value < 0 && info->unlimited) ||
        (value == 0 && info->zero_unset))
        return 0;

    const char *or_unlimited = info->unlimited ? ", or -1 for unlimited" : "";
    struct box_fail_info fail = {.code = BOX_ESPEC, .subject = info->field};

    if (info->max == ANY)
        return box_fail_with(err, &fail, "%" PRId64 " is out of range: at least %" PRId64 "%s", value,
                             info->min, or_unlimited);
    return box_fail_with(err, &fail, "%" PRId64 " is out of range: %" PRId64 " to %" PRId64 "%s", value,
                         info->min, info->max, or_unlimited);
}

int box_limits_set(box_limits *limits, enum box_limit limit, int64_t value, box_error **err)
{
    if (!limits || !is_limit(limit))
        return box_fail(err, BOX_EINVAL, "%d is not a limit", (int)limit);

    const struct box_limit_info *info = &box_limit_table[limit];
    int r = check_range(info, value, err);

    if (r < 0)
        return r;
    if (info->raw) {
        char text[24] = "max";

        if (value >= 0 || !info->unlimited)
            snprintf(text, sizeof(text), "%" PRId64, value);
        return box_limits_set_raw(limits, info->raw, text, err);
    }
    limits->value[limit] = value;
    limits->set |= UINT64_C(1) << limit;
    return 0;
}

static bool parse_raw_number(const char *text, int64_t *value)
{
    char *end;

    if (strcmp(text, "max") == 0) {
        *value = -1;
        return true;
    }
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno == 0 && (*end == '\0' || strcmp(end, "\n") == 0);
}

int box_limits_get(const box_limits *limits, enum box_limit limit, int64_t *value)
{
    int64_t found;

    if (!limits || !is_limit(limit))
        return 0;
    if (box_limit_table[limit].raw) {
        const char *text = box_limits_raw(limits, box_limit_table[limit].raw);
        if (!text || !parse_raw_number(text, &found))
            return 0;
    } else {
        if (!(limits->set & UINT64_C(1) << limit))
            return 0;
        found = limits->value[limit];
    }
    if (value)
        *value = found;
    return 1;
}

bool box_limits_wants(const box_limits *limits, enum box_limit limit, int64_t *value)
{
    int64_t found;

    if (!box_limits_get(limits, limit, &found) || (found == 0 && box_limit_table[limit].zero_unset))
        return false;
    if (value)
        *value = found;
    return true;
}

static void unset_raw(box_limits *limits, const char *file)
{
    for (size_t i = 0; i < limits->raw_count; i++) {
        if (strcmp(limits->raw[i].file, file) != 0)
            continue;
        free((char *)limits->raw[i].file);
        free((char *)limits->raw[i].value);
        memmove(&limits->raw[i], &limits->raw[i + 1], (limits->raw_count - i - 1) * sizeof(*limits->raw));
        limits->raw_count--;
        return;
    }
}

void box_limits_unset(box_limits *limits, enum box_limit limit)
{
    if (!limits || !is_limit(limit))
        return;
    if (box_limit_table[limit].raw)
        unset_raw(limits, box_limit_table[limit].raw);
    limits->set &= ~(UINT64_C(1) << limit);
    limits->value[limit] = 0;
}

int box_limits_set_cpus(box_limits *limits, double cpus, box_error **err)
{
    int64_t period = 100000;

    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    if (!(cpus >= 0.01 && cpus <= 1e6))
        return fail_field(err, RESOURCES "cpu.quota", "the number of CPUs must be at least 0.01");
    box_limits_wants(limits, BOX_LIMIT_CPU_PERIOD, &period);

    int64_t quota = (int64_t)(cpus * (double)period + 0.5);
    int r = box_limits_set(limits, BOX_LIMIT_CPU_QUOTA, quota, err);

    return r < 0 ? r : box_limits_set(limits, BOX_LIMIT_CPU_PERIOD, period, err);
}

/* ---- cpuset ---- */

static const char *skip_digits(const char *s)
{
    while (*s >= '0' && *s <= '9')
        s++;
    return s;
}

/* "0-3,7" or "0-31:1/4": what the kernel's bitmap_parselist() takes, and no white space. */
static bool valid_cpu_list(const char *list)
{
    const char *s = list;

    for (;;) {
        unsigned long first = strtoul(s, NULL, 10), last = first;
        const char *end = skip_digits(s);

        if (end == s || end - s > 6)
            return false;
        s = end;
        if (*s == '-') {
            last = strtoul(s + 1, NULL, 10);
            end = skip_digits(s + 1);
            if (end == s + 1 || end - s > 7 || last < first)
                return false;
            s = end;
            if (*s == ':') {
                end = skip_digits(s + 1);
                if (end == s + 1 || *end != '/' || skip_digits(end + 1) == end + 1)
                    return false;
                s = skip_digits(end + 1);
            }
        }
        if (*s == '\0')
            return true;
        if (*s++ != ',')
            return false;
    }
}

static int set_list(char **slot, const char *list, const char *field, box_error **err)
{
    if (list && *list && !valid_cpu_list(list))
        return fail_field(err, field, "not a list of numbers and ranges such as \"0-3,7\"");
    return replace_string(slot, list, err);
}

int box_limits_set_cpuset_cpus(box_limits *limits, const char *cpus, box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    return set_list(&limits->cpus, cpus, RESOURCES "cpu.cpus", err);
}

int box_limits_set_cpuset_mems(box_limits *limits, const char *mems, box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    return set_list(&limits->mems, mems, RESOURCES "cpu.mems", err);
}

const char *box_limits_cpuset_cpus(const box_limits *limits)
{
    return limits ? limits->cpus : NULL;
}

const char *box_limits_cpuset_mems(const box_limits *limits)
{
    return limits ? limits->mems : NULL;
}

/* ---- devices ---- */

int box_limits_add_device(box_limits *limits, const struct box_device_rule *rule, box_error **err)
{
    if (!limits || !rule)
        return box_fail(err, BOX_EINVAL, "no limits or rule given");
    if (rule->type && !strchr("abcup", rule->type))
        return fail_field(err, RESOURCES "devices.type", "must be one of a, b, c, u and p");
    if (rule->access & ~7u)
        return fail_field(err, RESOURCES "devices.access", "must be made of read, write and mknod");
    if (rule->major < -1 || rule->major > UINT32_MAX || rule->minor < -1 || rule->minor > UINT32_MAX)
        return fail_field(err, RESOURCES "devices", "major and minor must be -1 for any, or fit in 32 bits");

    struct box_device_rule *slot = APPEND(limits, devices, device_count);

    if (!slot)
        return box_fail_nomem(err);
    *slot = *rule;
    return 0;
}

int box_limits_add_default_devices(box_limits *limits, box_error **err)
{
    static const struct box_device_rule defaults[] = {
        {0, 'a', -1, -1, 7},                /* nothing but: */
        {1, 'c', -1, -1, BOX_DEVICE_MKNOD}, /* making nodes, which gives no access */
        {1, 'b', -1, -1, BOX_DEVICE_MKNOD},
        {1, 'c', 1, 3, 7},    /* null */
        {1, 'c', 1, 5, 7},    /* zero */
        {1, 'c', 1, 7, 7},    /* full */
        {1, 'c', 1, 8, 7},    /* random */
        {1, 'c', 1, 9, 7},    /* urandom */
        {1, 'c', 5, 0, 7},    /* tty */
        {1, 'c', 5, 1, 7},    /* console */
        {1, 'c', 5, 2, 7},    /* ptmx */
        {1, 'c', 136, -1, 7}, /* pts/N */
    };

    for (size_t i = 0; i < BOX_ARRAY(defaults); i++) {
        int r = box_limits_add_device(limits, &defaults[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

void box_limits_clear_devices(box_limits *limits)
{
    if (limits)
        limits->device_count = 0;
}

/* ---- lists replaced by key ---- */

int box_limits_set_io_rate(box_limits *limits, const struct box_io_rate *rate, box_error **err)
{
    if (!limits || !rate || rate->kind < BOX_IO_READ_BPS || rate->kind > BOX_IO_WRITE_IOPS)
        return box_fail(err, BOX_EINVAL, "no limits, no rate, or a kind that does not exist");
    if (rate->major < 0 || rate->minor < 0)
        return fail_field(err, RESOURCES "blockIO.throttle", "the device numbers must not be negative");

    struct box_io_rate *slot = NULL;

    for (size_t i = 0; i < limits->io_rate_count && !slot; i++) {
        struct box_io_rate *r = &limits->io_rates[i];
        if (r->kind == rate->kind && r->major == rate->major && r->minor == rate->minor)
            slot = r;
    }
    if (!slot)
        slot = APPEND(limits, io_rates, io_rate_count);
    if (!slot)
        return box_fail_nomem(err);
    *slot = *rate;
    return 0;
}

static bool valid_io_weight(int64_t weight)
{
    return weight <= 0 || (weight >= 10 && weight <= 1000);
}

int box_limits_set_io_weight(box_limits *limits, const struct box_io_weight *weight, box_error **err)
{
    if (!limits || !weight)
        return box_fail(err, BOX_EINVAL, "no limits or weight given");
    if (weight->major < 0 || weight->minor < 0)
        return fail_field(err, RESOURCES "blockIO.weightDevice", "the device numbers must not be negative");
    if (!valid_io_weight(weight->weight) || !valid_io_weight(weight->leaf_weight))
        return fail_field(err, RESOURCES "blockIO.weightDevice", "the weight must be 10 to 1000");

    struct box_io_weight *slot = NULL;

    for (size_t i = 0; i < limits->io_weight_count && !slot; i++) {
        if (limits->io_weights[i].major == weight->major && limits->io_weights[i].minor == weight->minor)
            slot = &limits->io_weights[i];
    }
    if (!slot)
        slot = APPEND(limits, io_weights, io_weight_count);
    if (!slot)
        return box_fail_nomem(err);
    *slot = *weight;
    return 0;
}

/* A name that becomes part of a file name or of a line that is written: letters, digits and what devices
 * have. */
static bool plain_name(const char *name, size_t max)
{
    size_t length = name ? strlen(name) : 0;

    if (length == 0 || length > max || name[0] == '.')
        return false;
    for (const char *s = name; *s; s++) {
        if (*s <= ' ' || *s == '/' || *s == 0x7f)
            return false;
    }
    return true;
}

/* "2MB", as the names of the kernel's files have it. */
static bool valid_page_size(const char *size)
{
    const char *unit = size ? skip_digits(size) : NULL;

    return unit && unit != size && unit - size < 8 && *size != '0' &&
           (strcmp(unit, "KB") == 0 || strcmp(unit, "MB") == 0 || strcmp(unit, "GB") == 0);
}

int box_limits_set_hugetlb(box_limits *limits, const char *page_size, uint64_t bytes, box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    if (!valid_page_size(page_size))
        return fail_field(err, RESOURCES "hugepageLimits.pageSize", "must look like 64KB, 2MB or 1GB");
    for (size_t i = 0; i < limits->hugetlb_count; i++) {
        if (strcmp(limits->hugetlb[i].page_size, page_size) == 0) {
            limits->hugetlb[i].bytes = bytes;
            return 0;
        }
    }

    _free_ char *name = strdup(page_size);
    struct box_hugetlb_limit *slot = name ? APPEND(limits, hugetlb, hugetlb_count) : NULL;

    if (!slot)
        return box_fail_nomem(err);
    *slot = (struct box_hugetlb_limit){.page_size = box_take(name), .bytes = bytes};
    return 0;
}

int box_limits_set_rdma(box_limits *limits, const char *device, int64_t handles, int64_t objects,
                        box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    if (!plain_name(device, 63))
        return fail_field(err, RESOURCES "rdma", "not the name of a device");
    if (handles < -1 || handles > UINT32_MAX || objects < -1 || objects > UINT32_MAX)
        return fail_field(err, RESOURCES "rdma", "hcaHandles and hcaObjects must fit in 32 bits");

    struct box_rdma_limit *slot = NULL;

    for (size_t i = 0; i < limits->rdma_count && !slot; i++) {
        if (strcmp(limits->rdma[i].device, device) == 0)
            slot = &limits->rdma[i];
    }
    if (!slot) {
        _free_ char *name = strdup(device);
        slot = name ? APPEND(limits, rdma, rdma_count) : NULL;
        if (!slot)
            return box_fail_nomem(err);
        slot->device = box_take(name);
    }
    slot->handles = handles;
    slot->objects = objects;
    return 0;
}

int box_limits_set_net_priority(box_limits *limits, const char *interface, uint32_t priority, box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    if (!plain_name(interface, 15))
        return fail_field(err, RESOURCES "network.priorities.name", "not the name of a network interface");
    for (size_t i = 0; i < limits->net_priority_count; i++) {
        if (strcmp(limits->net_priorities[i].interface, interface) == 0) {
            limits->net_priorities[i].priority = priority;
            return 0;
        }
    }

    _free_ char *name = strdup(interface);
    struct box_net_priority *slot = name ? APPEND(limits, net_priorities, net_priority_count) : NULL;

    if (!slot)
        return box_fail_nomem(err);
    *slot = (struct box_net_priority){.interface = box_take(name), .priority = priority};
    return 0;
}

/* ---- the unified map ---- */

static bool valid_raw_file(const char *file)
{
    static const char *const not_limits[] = {"cgroup.procs",  "cgroup.threads", "cgroup.kill",
                                             "cgroup.freeze", "cgroup.type",    "cgroup.subtree_control",
                                             "cgroup.stat"};

    if (!plain_name(file, 127) || !strchr(file, '.'))
        return false;
    for (size_t i = 0; i < BOX_ARRAY(not_limits); i++) {
        if (strcmp(file, not_limits[i]) == 0)
            return false;
    }
    return true;
}

int box_limits_set_raw(box_limits *limits, const char *file, const char *value, box_error **err)
{
    if (!limits || !value)
        return box_fail(err, BOX_EINVAL, "no limits or value given");
    if (!valid_raw_file(file))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = RESOURCES "unified"},
                             "\"%s\" is not the name of a cgroup file that sets a limit", file ? file : "");

    _free_ char *text = strdup(value);

    if (!text)
        return box_fail_nomem(err);
    for (size_t i = 0; i < limits->raw_count; i++) {
        if (strcmp(limits->raw[i].file, file) == 0) {
            free((char *)limits->raw[i].value);
            limits->raw[i].value = box_take(text);
            return 0;
        }
    }

    _free_ char *name = strdup(file);
    struct box_raw_limit *slot = name ? APPEND(limits, raw, raw_count) : NULL;

    if (!slot)
        return box_fail_nomem(err);
    *slot = (struct box_raw_limit){.file = box_take(name), .value = box_take(text)};
    return 0;
}

const char *box_limits_raw(const box_limits *limits, const char *file)
{
    for (size_t i = 0; limits && file && i < limits->raw_count; i++) {
        if (strcmp(limits->raw[i].file, file) == 0)
            return limits->raw[i].value;
    }
    return NULL;
}

/* ---- reading the lists ---- */

#define LIST_READER(type, name, list, count)                                          \
    const struct type *box_limits_##name##_at(const box_limits *limits, size_t index) \
    {                                                                                 \
        return limits && index < limits->count ? &limits->list[index] : NULL;         \
    }

LIST_READER(box_device_rule, device, devices, device_count)
LIST_READER(box_io_rate, io_rate, io_rates, io_rate_count)
LIST_READER(box_io_weight, io_weight, io_weights, io_weight_count)
LIST_READER(box_hugetlb_limit, hugetlb, hugetlb, hugetlb_count)
LIST_READER(box_rdma_limit, rdma, rdma, rdma_count)
LIST_READER(box_net_priority, net_priority, net_priorities, net_priority_count)
LIST_READER(box_raw_limit, raw, raw, raw_count)

/* ---- copy and merge ---- */

static int merge_lists(box_limits *into, const box_limits *from, box_error **err)
{
    int r = 0;

    if (from->device_count > 0)
        box_limits_clear_devices(into);
    for (size_t i = 0; i < from->device_count && r == 0; i++)
        r = box_limits_add_device(into, &from->devices[i], err);
    for (size_t i = 0; i < from->io_rate_count && r == 0; i++)
        r = box_limits_set_io_rate(into, &from->io_rates[i], err);
    for (size_t i = 0; i < from->io_weight_count && r == 0; i++)
        r = box_limits_set_io_weight(into, &from->io_weights[i], err);
    for (size_t i = 0; i < from->hugetlb_count && r == 0; i++)
        r = box_limits_set_hugetlb(into, from->hugetlb[i].page_size, from->hugetlb[i].bytes, err);
    for (size_t i = 0; i < from->rdma_count && r == 0; i++)
        r = box_limits_set_rdma(into, from->rdma[i].device, from->rdma[i].handles, from->rdma[i].objects,
                                err);
    for (size_t i = 0; i < from->net_priority_count && r == 0; i++)
        r = box_limits_set_net_priority(into, from->net_priorities[i].interface,
                                        from->net_priorities[i].priority, err);
    for (size_t i = 0; i < from->raw_count && r == 0; i++)
        r = box_limits_set_raw(into, from->raw[i].file, from->raw[i].value, err);
    return r;
}

static int merge_into(box_limits *into, const box_limits *from, box_error **err)
{
    int r = merge_lists(into, from, err);

    if (r == 0 && from->cpus)
        r = replace_string(&into->cpus, from->cpus, err);
    if (r == 0 && from->mems)
        r = replace_string(&into->mems, from->mems, err);
    for (int i = 0; i < BOX_LIMIT_COUNT && r == 0; i++) {
        if (from->set & UINT64_C(1) << i)
            into->value[i] = from->value[i];
    }
    into->set |= from->set;
    return r;
}

box_limits *box_limits_copy(const box_limits *limits, box_error **err)
{
    _cleanup_(box_limits) box_limits *copy = box_limits_new(err);

    if (!copy || (limits && merge_into(copy, limits, err) < 0))
        return NULL;
    return box_take(copy);
}

int box_limits_merge(box_limits *limits, const box_limits *update, box_error **err)
{
    if (!limits)
        return box_fail(err, BOX_EINVAL, "no limits given");
    if (!update || update == limits)
        return 0;

    _cleanup_(box_limits) box_limits *merged = box_limits_copy(limits, err);

    if (!merged)
        return BOX_ENOMEM;

    int r = merge_into(merged, update, err);

    if (r < 0)
        return r;

    box_limits old = *limits;
    *limits = *merged;
    *merged = old;
    return 0;
}

/* ---- what the limits ask for ---- */

unsigned box_limits_controllers(const box_limits *limits)
{
    unsigned mask = 0;

    if (!limits)
        return 0;
    for (int i = 0; i < BOX_LIMIT_COUNT; i++) {
        if (!box_limit_table[i].raw && box_limits_wants(limits, (enum box_limit)i, NULL))
            mask |= box_limit_table[i].controller;
    }
    if (limits->cpus || limits->mems)
        mask |= BOX_CONTROLLER_CPUSET;
    if (limits->device_count)
        mask |= BOX_CONTROLLER_DEVICES;
    if (limits->io_rate_count || limits->io_weight_count)
        mask |= BOX_CONTROLLER_IO;
    if (limits->hugetlb_count)
        mask |= BOX_CONTROLLER_HUGETLB;
    if (limits->rdma_count)
        mask |= BOX_CONTROLLER_RDMA;
    if (limits->net_priority_count)
        mask |= BOX_CONTROLLER_NET_PRIO;
    for (size_t i = 0; i < limits->raw_count; i++)
        mask |= box_controller_of_file(limits->raw[i].file);
    return mask;
}

int box_limits_check(const box_limits *limits, box_error **err)
{
    int64_t max, other;

    if (box_limits_wants(limits, BOX_LIMIT_MEMORY_MAX, &max) && max >= 0) {
        if (box_limits_wants(limits, BOX_LIMIT_MEMORY_AND_SWAP, &other) && other >= 0 && other < max)
            return box_fail_with(
                err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = RESOURCES "memory.swap"},
                "memory and swap together (%" PRId64 " bytes) cannot be less than memory (%" PRId64 " bytes)",
                other, max);
        if (box_limits_get(limits, BOX_LIMIT_MEMORY_LOW, &other) && other > max)
            return box_fail_with(
                err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = RESOURCES "memory.reservation"},
                "the reservation (%" PRId64 " bytes) cannot be more than the limit (%" PRId64 " bytes)",
                other, max);
    }
    if (box_limits_wants(limits, BOX_LIMIT_CPU_BURST, &other) &&
        box_limits_wants(limits, BOX_LIMIT_CPU_QUOTA, &max) && max >= 0 && other > max)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = RESOURCES "cpu.burst"},
            "the burst (%" PRId64 " us) cannot be more than the quota (%" PRId64 " us)", other, max);
    return 0;
}

/* ---- conversions ---- */

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

uint64_t box_cpu_shares_to_weight(uint64_t shares)
{
    return shares == 0 ? 0 : 1 + (clamp(shares, 2, 262144) - 2) * 9999 / 262142;
}

uint64_t box_cpu_weight_to_shares(uint64_t weight)
{
    /* Rounded up, so that converting back gives the same weight. */
    return weight == 0 ? 0 : 2 + ((clamp(weight, 1, 10000) - 1) * 262142 + 9998) / 9999;
}

uint64_t box_io_weight_to_v2(uint64_t weight)
{
    return weight == 0 ? 0 : 1 + (clamp(weight, 10, 1000) - 10) * 9999 / 990;
}
