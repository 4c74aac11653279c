/* linux.resources of an OCI document, from and to box_limits: config-linux.md, "Control groups". */
#include "spec/spec_json.h"

#include <string.h>

#include "kernel/cgroup_limits.h"

/* ---- the limits that are one number ------------------------------------------------------------------ */

enum number_kind { NUMBER_SIGNED, NUMBER_UNSIGNED, NUMBER_FLAG };

static const struct number_line {
    const char *group, *key;
    enum box_limit limit;
    enum number_kind kind;
    int64_t max; /* of its type in OCI */
} number_lines[] = {
    {"memory", "limit", BOX_LIMIT_MEMORY_MAX, NUMBER_SIGNED, INT64_MAX},
    {"memory", "reservation", BOX_LIMIT_MEMORY_LOW, NUMBER_SIGNED, INT64_MAX},
    {"memory", "swap", BOX_LIMIT_MEMORY_AND_SWAP, NUMBER_SIGNED, INT64_MAX},
    {"memory", "kernel", BOX_LIMIT_MEMORY_KERNEL, NUMBER_SIGNED, INT64_MAX},
    {"memory", "kernelTCP", BOX_LIMIT_MEMORY_KERNEL_TCP, NUMBER_SIGNED, INT64_MAX},
    {"memory", "swappiness", BOX_LIMIT_MEMORY_SWAPPINESS, NUMBER_UNSIGNED, INT64_MAX},
    {"memory", "disableOOMKiller", BOX_LIMIT_MEMORY_OOM_KILL_DISABLE, NUMBER_FLAG, 1},
    {"memory", "useHierarchy", BOX_LIMIT_MEMORY_USE_HIERARCHY, NUMBER_FLAG, 1},
    {"memory", "checkBeforeUpdate", BOX_LIMIT_MEMORY_CHECK_BEFORE_UPDATE, NUMBER_FLAG, 1},
    {"cpu", "shares", BOX_LIMIT_CPU_SHARES, NUMBER_UNSIGNED, INT64_MAX},
    {"cpu", "quota", BOX_LIMIT_CPU_QUOTA, NUMBER_SIGNED, INT64_MAX},
    {"cpu", "burst", BOX_LIMIT_CPU_BURST, NUMBER_UNSIGNED, INT64_MAX},
    {"cpu", "period", BOX_LIMIT_CPU_PERIOD, NUMBER_UNSIGNED, INT64_MAX},
    {"cpu", "realtimeRuntime", BOX_LIMIT_CPU_RT_RUNTIME, NUMBER_SIGNED, INT64_MAX},
    {"cpu", "realtimePeriod", BOX_LIMIT_CPU_RT_PERIOD, NUMBER_UNSIGNED, INT64_MAX},
    {"cpu", "idle", BOX_LIMIT_CPU_IDLE, NUMBER_SIGNED, INT64_MAX},
    {"pids", "limit", BOX_LIMIT_PIDS_MAX, NUMBER_SIGNED, INT64_MAX},
    {"blockIO", "weight", BOX_LIMIT_IO_WEIGHT, NUMBER_UNSIGNED, UINT16_MAX},
    {"blockIO", "leafWeight", BOX_LIMIT_IO_LEAF_WEIGHT, NUMBER_UNSIGNED, UINT16_MAX},
    {"network", "classID", BOX_LIMIT_NET_CLASS_ID, NUMBER_UNSIGNED, UINT32_MAX},
};

/* What a box_limits setter said, with the place instead of its own name for the field. */
static int at_place(const struct box_json_at *at, int r, box_error **inner, box_error **err)
{
    return r < 0 ? spec_json_fail_at(at, r, *inner, err) : 0;
}

static int read_one_number(const struct box_json_at *at, const struct number_line *line, box_limits *limits,
                           box_error **err)
{
    box_error *inner = NULL;
    uint64_t natural = 0;
    int64_t number = 0;
    bool flag = false;
    int r;

    if (line->kind == NUMBER_FLAG)
        r = box_json_as_bool(at, &flag, err);
    else if (line->kind == NUMBER_UNSIGNED)
        r = box_json_as_u64(at, 0, (uint64_t)line->max, &natural, err);
    else
        r = box_json_as_i64(at, INT64_MIN, line->max, &number, err);
    if (r < 0)
        return r;
    number += (int64_t)natural + flag;
    r = box_limits_set(limits, line->limit, number, &inner);
    return at_place(at, r, &inner, err);
}

static int read_numbers(const struct box_json_at *at, box_limits *limits, box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < BOX_ARRAY(number_lines) && r == 0; i++) {
        struct box_json_at group, member = {.json = NULL};

        r = box_json_get_object(at, number_lines[i].group, BOX_JSON_OPTIONAL, &group, err);
        if (r == 0 && group.json)
            r = box_json_get(&group, number_lines[i].key, BOX_JSON_OPTIONAL, &member, err);
        if (r == 0 && member.json)
            r = read_one_number(&member, &number_lines[i], limits, err);
    }
    return r;
}

/* The member object of that name, made when it is not there. */
static json_object *group_of(json_object *resources, const char *name, box_error **err)
{
    json_object *group = json_object_object_get(resources, name);

    return group ? group : spec_json_add_object(resources, name, err);
}

static int write_numbers(json_object *resources, const box_limits *limits, box_error **err)
{
    for (size_t i = 0; i < BOX_ARRAY(number_lines); i++) {
        const struct number_line *line = &number_lines[i];
        json_object *group;
        int64_t value;
        int r;

        /* What OCI's `unified` holds is written there. */
        if (box_limit_table[line->limit].raw || box_limits_get(limits, line->limit, &value) != 1)
            continue;
        group = group_of(resources, line->group, err);
        if (!group)
            return BOX_ENOMEM;
        r = line->kind == NUMBER_FLAG ? box_json_put_bool(group, line->key, value != 0, err)
                                      : box_json_put_i64(group, line->key, value, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- cpusets ----------------------------------------------------------------------------------------- */

static int read_cpusets(const struct box_json_at *at, box_limits *limits, box_error **err)
{
    static int (*const set[])(box_limits *, const char *, box_error **) = {box_limits_set_cpuset_cpus,
                                                                           box_limits_set_cpuset_mems};
    static const char *const keys[] = {"cpus", "mems"};
    struct box_json_at cpu;
    int r = box_json_get_object(at, "cpu", BOX_JSON_OPTIONAL, &cpu, err);

    for (size_t i = 0; i < BOX_ARRAY(keys) && r == 0 && cpu.json; i++) {
        struct box_json_at member;
        box_error *inner = NULL;
        const char *list = NULL;

        r = box_json_get(&cpu, keys[i], BOX_JSON_OPTIONAL, &member, err);
        if (r == 0 && member.json)
            r = box_json_as_string(&member, &list, err);
        if (r == 0 && list && *list)
            r = at_place(&member, set[i](limits, list, &inner), &inner, err);
    }
    return r;
}

static int write_cpusets(json_object *resources, const box_limits *limits, box_error **err)
{
    json_object *cpu;
    int r = 0;

    if (!limits->cpus && !limits->mems)
        return 0;
    cpu = group_of(resources, "cpu", err);
    if (!cpu)
        return BOX_ENOMEM;
    if (limits->cpus)
        r = box_json_put_string(cpu, "cpus", limits->cpus, err);
    if (r == 0 && limits->mems)
        r = box_json_put_string(cpu, "mems", limits->mems, err);
    return r;
}

/* ---- arrays ------------------------------------------------------------------------------------------ */

/* One array of objects below resources: where it is, and how one element goes in and out. */
struct array_line {
    const char *group, *key; /* group NULL: in resources itself */
    int (*read)(const struct box_json_at *element, box_limits *limits, int kind, box_error **err);
    /* Stores the element of this index; 0 past the last, 1, or an error. An element that belongs elsewhere is
     * skipped. */
    int (*write)(json_object *array, const box_limits *limits, size_t index, int kind, box_error **err);
    int kind;
};

static int read_access(const struct box_json_at *at, unsigned *mask, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(at, "access", BOX_JSON_OPTIONAL, &text, err);

    for (*mask = 0; r == 0 && text && *text; text++) {
        if (*text == 'r')
            *mask |= BOX_DEVICE_READ;
        else if (*text == 'w')
            *mask |= BOX_DEVICE_WRITE;
        else if (*text == 'm')
            *mask |= BOX_DEVICE_MKNOD;
        else
            r = box_json_fail(at, err, "the access to a device is of r, w and m");
    }
    return r;
}

static int read_device(const struct box_json_at *at, box_limits *limits, int kind, box_error **err)
{
    struct box_device_rule rule = {.type = 'a', .major = -1, .minor = -1};
    const char *type = NULL;
    box_error *inner = NULL;
    bool allow = false;
    int r = box_json_get_bool(at, "allow", BOX_JSON_REQUIRED, &allow, err);

    (void)kind;
    if (r == 0)
        r = box_json_get_string(at, "type", BOX_JSON_OPTIONAL, &type, err);
    if (r == 0)
        r = box_json_get_i64(at, "major", BOX_JSON_OPTIONAL, -1, INT64_MAX, &rule.major, err);
    if (r == 0)
        r = box_json_get_i64(at, "minor", BOX_JSON_OPTIONAL, -1, INT64_MAX, &rule.minor, err);
    if (r == 0)
        r = read_access(at, &rule.access, err);
    if (r < 0)
        return r;
    if (type && *type && (type[1] || !strchr("abcup", *type)))
        return box_json_fail(at, err, "the type of a device is a, b or c");
    rule.allow = allow;
    rule.type = type && *type ? *type : 'a';
    return at_place(at, box_limits_add_device(limits, &rule, &inner), &inner, err);
}

static int append(json_object *array, json_object **element, box_error **err)
{
    *element = json_object_new_object();
    return box_json_append(array, *element, err);
}

static int write_device(json_object *array, const box_limits *limits, size_t index, int kind, box_error **err)
{
    const struct box_device_rule *rule = box_limits_device_at(limits, index);
    unsigned access;
    json_object *to;
    char text[4];
    size_t n = 0;
    int r;

    (void)kind;
    if (!rule)
        return 0;
    access = rule->access ? rule->access : 7;
    if (access & BOX_DEVICE_READ)
        text[n++] = 'r';
    if (access & BOX_DEVICE_WRITE)
        text[n++] = 'w';
    if (access & BOX_DEVICE_MKNOD)
        text[n++] = 'm';
    text[n] = '\0';
    r = append(array, &to, err);
    if (r == 0)
        r = box_json_put_bool(to, "allow", rule->allow, err);
    if (r == 0 && rule->type && rule->type != 'a')
        r = box_json_put(to, "type", json_object_new_string_len(&rule->type, 1), err);
    if (r == 0 && rule->major >= 0)
        r = box_json_put_i64(to, "major", rule->major, err);
    if (r == 0 && rule->minor >= 0)
        r = box_json_put_i64(to, "minor", rule->minor, err);
    if (r == 0)
        r = box_json_put_string(to, "access", text, err);
    return r < 0 ? r : 1;
}

static int read_numbers_of(const struct box_json_at *at, int64_t *major, int64_t *minor, box_error **err)
{
    int r = box_json_get_i64(at, "major", BOX_JSON_REQUIRED, 0, INT64_MAX, major, err);

    return r < 0 ? r : box_json_get_i64(at, "minor", BOX_JSON_REQUIRED, 0, INT64_MAX, minor, err);
}

static int write_numbers_of(json_object *to, int64_t major, int64_t minor, box_error **err)
{
    int r = box_json_put_i64(to, "major", major, err);

    return r < 0 ? r : box_json_put_i64(to, "minor", minor, err);
}

static int read_rate(const struct box_json_at *at, box_limits *limits, int kind, box_error **err)
{
    struct box_io_rate rate = {.kind = kind};
    box_error *inner = NULL;
    int r = read_numbers_of(at, &rate.major, &rate.minor, err);

    if (r == 0)
        r = box_json_get_u64(at, "rate", BOX_JSON_REQUIRED, 0, UINT64_MAX, &rate.rate, err);
    return r < 0 ? r : at_place(at, box_limits_set_io_rate(limits, &rate, &inner), &inner, err);
}

static int write_rate(json_object *array, const box_limits *limits, size_t index, int kind, box_error **err)
{
    const struct box_io_rate *rate = box_limits_io_rate_at(limits, index);
    json_object *to;
    int r;

    if (!rate || rate->kind != kind)
        return rate != NULL;
    r = append(array, &to, err);
    if (r == 0)
        r = write_numbers_of(to, rate->major, rate->minor, err);
    if (r == 0)
        r = box_json_put_u64(to, "rate", rate->rate, err);
    return r < 0 ? r : 1;
}

static int read_weight(const struct box_json_at *at, box_limits *limits, int kind, box_error **err)
{
    struct box_io_weight weight = {.weight = -1, .leaf_weight = -1};
    box_error *inner = NULL;
    int r = read_numbers_of(at, &weight.major, &weight.minor, err);

    (void)kind;
    if (r == 0)
        r = box_json_get_i64(at, "weight", BOX_JSON_OPTIONAL, 0, UINT16_MAX, &weight.weight, err);
    if (r == 0)
        r = box_json_get_i64(at, "leafWeight", BOX_JSON_OPTIONAL, 0, UINT16_MAX, &weight.leaf_weight, err);
    if (r < 0)
        return r;
    if (weight.weight < 0 && weight.leaf_weight < 0)
        return box_json_fail(at, err, "expected a weight or a leafWeight");
    return at_place(at, box_limits_set_io_weight(limits, &weight, &inner), &inner, err);
}

static int write_weight(json_object *array, const box_limits *limits, size_t index, int kind, box_error **err)
{
    const struct box_io_weight *weight = box_limits_io_weight_at(limits, index);
    json_object *to;
    int r;

    (void)kind;
    if (!weight)
        return 0;
    r = append(array, &to, err);
    if (r == 0)
        r = write_numbers_of(to, weight->major, weight->minor, err);
    if (r == 0 && weight->weight >= 0)
        r = box_json_put_i64(to, "weight", weight->weight, err);
    if (r == 0 && weight->leaf_weight >= 0)
        r = box_json_put_i64(to, "leafWeight", weight->leaf_weight, err);
    return r < 0 ? r : 1;
}

static int read_hugepage(const struct box_json_at *at, box_limits *limits, int kind, box_error **err)
{
    const char *size = NULL;
    box_error *inner = NULL;
    uint64_t bytes = 0;
    int r = box_json_get_string(at, "pageSize", BOX_JSON_REQUIRED, &size, err);

    (void)kind;
    if (r == 0)
        r = box_json_get_u64(at, "limit", BOX_JSON_REQUIRED, 0, UINT64_MAX, &bytes, err);
    return r < 0 ? r : at_place(at, box_limits_set_hugetlb(limits, size, bytes, &inner), &inner, err);
}

static int write_hugepage(json_object *array, const box_limits *limits, size_t index, int kind,
                          box_error **err)
{
    const struct box_hugetlb_limit *limit = box_limits_hugetlb_at(limits, index);
    json_object *to;
    int r;

    (void)kind;
    if (!limit)
        return 0;
    r = append(array, &to, err);
    if (r == 0)
        r = box_json_put_string(to, "pageSize", limit->page_size, err);
    if (r == 0)
        r = box_json_put_u64(to, "limit", limit->bytes, err);
    return r < 0 ? r : 1;
}

static int read_priority(const struct box_json_at *at, box_limits *limits, int kind, box_error **err)
{
    const char *name = NULL;
    box_error *inner = NULL;
    uint64_t priority = 0;
    int r = box_json_get_string(at, "name", BOX_JSON_REQUIRED, &name, err);

    (void)kind;
    if (r == 0)
        r = box_json_get_u64(at, "priority", BOX_JSON_REQUIRED, 0, UINT32_MAX, &priority, err);
    return r < 0 ? r
                 : at_place(at, box_limits_set_net_priority(limits, name, (uint32_t)priority, &inner), &inner,
                            err);
}

static int write_priority(json_object *array, const box_limits *limits, size_t index, int kind,
                          box_error **err)
{
    const struct box_net_priority *priority = box_limits_net_priority_at(limits, index);
    json_object *to;
    int r;

    (void)kind;
    if (!priority)
        return 0;
    r = append(array, &to, err);
    if (r == 0)
        r = box_json_put_string(to, "name", priority->interface, err);
    if (r == 0)
        r = box_json_put_u64(to, "priority", priority->priority, err);
    return r < 0 ? r : 1;
}

static const struct array_line array_lines[] = {
    {NULL, "devices", read_device, write_device, 0},
    {"blockIO", "weightDevice", read_weight, write_weight, 0},
    {"blockIO", "throttleReadBpsDevice", read_rate, write_rate, BOX_IO_READ_BPS},
    {"blockIO", "throttleWriteBpsDevice", read_rate, write_rate, BOX_IO_WRITE_BPS},
    {"blockIO", "throttleReadIOPSDevice", read_rate, write_rate, BOX_IO_READ_IOPS},
    {"blockIO", "throttleWriteIOPSDevice", read_rate, write_rate, BOX_IO_WRITE_IOPS},
    {NULL, "hugepageLimits", read_hugepage, write_hugepage, 0},
    {"network", "priorities", read_priority, write_priority, 0},
};

static int read_array(const struct box_json_at *at, const struct array_line *line, box_limits *limits,
                      box_error **err)
{
    struct box_json_at group = *at, array;
    size_t length = 0;
    int r = 0;

    if (line->group)
        r = box_json_get_object(at, line->group, BOX_JSON_OPTIONAL, &group, err);
    if (r < 0 || !group.json)
        return r;
    r = box_json_get(&group, line->key, BOX_JSON_OPTIONAL, &array, err);
    if (r == 0 && array.json)
        r = spec_json_length(&array, SPEC_JSON_MAX_RULES, &length, err);
    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(&array, i);

        r = box_json_as_object(&element, err);
        if (r == 0)
            r = line->read(&element, limits, line->kind, err);
    }
    return r;
}

static int write_array(json_object *resources, const struct array_line *line, const box_limits *limits,
                       box_error **err)
{
    json_object *array = json_object_new_array();
    int r = array ? 1 : box_fail_nomem(err);

    for (size_t i = 0; r == 1; i++)
        r = line->write(array, limits, i, line->kind, err);
    if (r < 0 || json_object_array_length(array) == 0) {
        json_object_put(array);
        return r;
    }
    if (line->group)
        resources = group_of(resources, line->group, err);
    if (!resources) {
        json_object_put(array);
        return BOX_ENOMEM;
    }
    return box_json_put(resources, line->key, array, err);
}

/* ---- maps -------------------------------------------------------------------------------------------- */

static int read_rdma(const struct box_json_at *member, void *data, box_error **err)
{
    int64_t handles = -1, objects = -1;
    box_error *inner = NULL;
    int r = box_json_as_object(member, err);

    if (r == 0)
        r = box_json_get_i64(member, "hcaHandles", BOX_JSON_OPTIONAL, 0, UINT32_MAX, &handles, err);
    if (r == 0)
        r = box_json_get_i64(member, "hcaObjects", BOX_JSON_OPTIONAL, 0, UINT32_MAX, &objects, err);
    if (r < 0)
        return r;
    if (handles < 0 && objects < 0)
        return box_json_fail(member, err, "expected hcaHandles or hcaObjects");
    return at_place(member, box_limits_set_rdma(data, member->key, handles, objects, &inner), &inner, err);
}

static int read_unified(const struct box_json_at *member, void *data, box_error **err)
{
    const char *value;
    box_error *inner = NULL;
    int r = box_json_as_string(member, &value, err);

    return r < 0 ? r : at_place(member, box_limits_set_raw(data, member->key, value, &inner), &inner, err);
}

static int read_map(const struct box_json_at *at, const char *key, box_json_visit *visit, box_limits *limits,
                    box_error **err)
{
    struct box_json_at map;
    int r = box_json_get_object(at, key, BOX_JSON_OPTIONAL, &map, err);

    if (r < 0 || !map.json)
        return r;
    if (json_object_object_length(map.json) > SPEC_JSON_MAX_RULES)
        return spec_json_fail_limit(&map, err, "keys", SPEC_JSON_MAX_RULES);
    return box_json_each(&map, visit, limits, err);
}

static int write_rdma(json_object *resources, const box_limits *limits, box_error **err)
{
    const struct box_rdma_limit *limit;
    int r = 0;

    for (size_t i = 0; r == 0 && (limit = box_limits_rdma_at(limits, i)); i++) {
        json_object *map = group_of(resources, "rdma", err);
        json_object *to = map ? spec_json_add_object(map, limit->device, err) : NULL;

        if (!to)
            return BOX_ENOMEM;
        if (limit->handles >= 0)
            r = box_json_put_i64(to, "hcaHandles", limit->handles, err);
        if (r == 0 && limit->objects >= 0)
            r = box_json_put_i64(to, "hcaObjects", limit->objects, err);
    }
    return r;
}

static int write_unified(json_object *resources, const box_limits *limits, box_error **err)
{
    const struct box_raw_limit *raw;
    int r = 0;

    for (size_t i = 0; r == 0 && (raw = box_limits_raw_at(limits, i)); i++) {
        json_object *map = group_of(resources, "unified", err);

        r = map ? box_json_put_string(map, raw->file, raw->value, err) : BOX_ENOMEM;
    }
    return r;
}

/* ---- resources --------------------------------------------------------------------------------------- */

int spec_json_read_resources(const struct box_json_at *at, void *object, box_error **err)
{
    box_spec *spec = object;
    int r = box_json_as_object(at, err);

    if (r < 0)
        return r;
    if (!box_spec_limits(spec))
        return box_fail_nomem(err);
    r = read_numbers(at, spec->limits, err);
    if (r == 0)
        r = read_cpusets(at, spec->limits, err);
    for (size_t i = 0; i < BOX_ARRAY(array_lines) && r == 0; i++)
        r = read_array(at, &array_lines[i], spec->limits, err);
    if (r == 0)
        r = read_map(at, "rdma", read_rdma, spec->limits, err);
    if (r == 0)
        r = read_map(at, "unified", read_unified, spec->limits, err);
    return r;
}

int spec_json_write_resources(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_limits *limits = ((const box_spec *)object)->limits;
    json_object *resources;
    int r;

    if (!limits)
        return 0;
    resources = spec_json_add_object(parent, name, err);
    if (!resources)
        return BOX_ENOMEM;
    r = write_numbers(resources, limits, err);
    if (r == 0)
        r = write_cpusets(resources, limits, err);
    for (size_t i = 0; i < BOX_ARRAY(array_lines) && r == 0; i++)
        r = write_array(resources, &array_lines[i], limits, err);
    if (r == 0)
        r = write_rdma(resources, limits, err);
    return r < 0 ? r : write_unified(resources, limits, err);
}
