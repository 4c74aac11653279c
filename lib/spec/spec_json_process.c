/* The process of an OCI document: config.md, "Process". */
#include "spec/spec_json.h"

#include <string.h>

#include <libbox/rlimit.h>
#include <libbox/sched.h>

/* ---- user -------------------------------------------------------------------------------------------- */

static int read_groups(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_user *user = object;
    size_t length;
    int r = spec_json_length(at, SPEC_JSON_MAX_GROUPS, &length, err);

    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);
        uint32_t *added;
        uint64_t id;

        r = box_json_as_u64(&element, 0, UINT32_MAX - 1, &id, err);
        if (r < 0)
            return r;
        added = SPEC_ADD(user, additional_gids, n_additional_gids, err);
        if (!added)
            return BOX_ENOMEM;
        *added = (uint32_t)id;
    }
    return r;
}

static int write_groups(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_user *user = object;
    json_object *array;
    int r = 0;

    if (!user->n_additional_gids)
        return 0;
    array = spec_json_add_array(parent, name, err);
    if (!array)
        return BOX_ENOMEM;
    for (size_t i = 0; i < user->n_additional_gids && r == 0; i++)
        r = box_json_append(array, json_object_new_uint64(user->additional_gids[i]), err);
    return r;
}

#define S struct spec_user
static const struct spec_json_field user_fields[] = {
    J_NUMBER("uid", S, uid, 0, UINT32_MAX - 1, .required = true),
    J_NUMBER("gid", S, gid, 0, UINT32_MAX - 1, .required = true),
    J_NUMBER("umask", S, umask, 0, 0777, J_HAS(S, has_umask)),
    J_CUSTOM("additionalGids", read_groups, write_groups),
};
#undef S
static const struct spec_json_type user_type = SPEC_JSON_TYPE(struct spec_user, user_fields);

/* ---- capabilities ------------------------------------------------------------------------------------ */

static const struct capability_list {
    const char *name;
    size_t offset;
} capability_lists[] = {
    {"bounding", offsetof(struct box_capset, bounding)},
    {"effective", offsetof(struct box_capset, effective)},
    {"inheritable", offsetof(struct box_capset, inheritable)},
    {"permitted", offsetof(struct box_capset, permitted)},
    {"ambient", offsetof(struct box_capset, ambient)},
};

static bool looks_like_capability(const char *name)
{
    return !strncmp(name, "CAP_", 4) && name[4] &&
           name[strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789")] == '\0';
}

/* OCI: a name that is not known is worth a warning, not an error. It is granted nothing. */
static int read_capability(const struct box_json_at *at, struct spec_process *process, uint64_t *mask,
                           box_error **err)
{
    const char *name;
    int number, r = box_json_as_string(at, &name, err);

    if (r < 0)
        return r;
    if (!looks_like_capability(name))
        return box_json_fail(at, err, "\"%s\" is not the name of a capability", name);
    number = box_capability_number(name, NULL);
    if (number >= 0)
        *mask |= BOX_CAP_MASK(number);
    else if (!box_strv_contains(process->unknown_capabilities, name))
        r = spec_strv_add(&process->unknown_capabilities, name, err);
    return r;
}

static int read_capabilities(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_process *process = object;
    int r = box_json_as_object(at, err);

    for (size_t i = 0; i < BOX_ARRAY(capability_lists) && r == 0; i++) {
        uint64_t *mask = (uint64_t *)((char *)&process->capabilities + capability_lists[i].offset);
        struct box_json_at list;
        size_t length = 0;

        r = box_json_get(at, capability_lists[i].name, BOX_JSON_OPTIONAL, &list, err);
        if (r == 0 && list.json)
            r = spec_json_length(&list, SPEC_JSON_MAX_CAPABILITIES, &length, err);
        for (size_t k = 0; k < length && r == 0; k++) {
            struct box_json_at element = box_json_element(&list, k);

            r = read_capability(&element, process, mask, err);
        }
    }
    /* `runc spec` writes ambient capabilities without inheritable ones, which no kernel lets be ambient; runtimes pass over
     * those. The document keeps them. */
    process->capabilities.ambient &= process->capabilities.inheritable;
    return r;
}

static int write_capabilities(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_process *process = object;
    json_object *sets;
    int r = 0;

    if (!process->has_capabilities)
        return 0;
    sets = spec_json_add_object(parent, name, err);
    if (!sets)
        return BOX_ENOMEM;
    for (size_t i = 0; i < BOX_ARRAY(capability_lists) && r == 0; i++) {
        uint64_t mask =
            *(const uint64_t *)((const char *)&process->capabilities + capability_lists[i].offset);
        json_object *list = mask ? spec_json_add_array(sets, capability_lists[i].name, err) : NULL;

        if (mask && !list)
            return BOX_ENOMEM;
        for (unsigned n = 0; n < 64 && r == 0; n++)
            if ((mask & BOX_CAP_MASK(n)) && box_capability_name(n))
                r = box_json_append(list, json_object_new_string(box_capability_name(n)), err);
    }
    return r;
}

/* ---- rlimits ----------------------------------------------------------------------------------------- */

#define S struct spec_rlimit
static const struct spec_json_field rlimit_fields[] = {
    J_NAME("type", S, resource, box_rlimit_number, box_rlimit_name, .required = true),
    J_NUMBER("soft", S, soft, 0, UINT64_MAX, .required = true),
    J_NUMBER("hard", S, hard, 0, UINT64_MAX, .required = true),
};
#undef S

static int check_rlimit(const struct box_json_at *at, void *object, box_error **err)
{
    const struct spec_rlimit *limit = object;
    const char *name = json_object_get_string(json_object_object_get(at->json, "type"));

    /* box_rlimit_number() takes other spellings too, for Docker's options; a document has OCI's only. */
    if (strcmp(name, box_rlimit_name(limit->resource)) != 0)
        return box_json_fail(at, err, "\"%s\" is not known: expected \"%s\"", name,
                             box_rlimit_name(limit->resource));
    return limit->soft > limit->hard ? box_json_fail(at, err, "the soft limit is above the hard one") : 0;
}

static const struct spec_json_type rlimit_type =
    SPEC_JSON_TYPE(struct spec_rlimit, rlimit_fields, .check = check_rlimit);

/* ---- scheduler and I/O priority ---------------------------------------------------------------------- */

static int read_sched_flags(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_scheduler *scheduler = object;
    size_t length;
    int r = spec_json_length(at, 64, &length, err);

    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);
        const char *name;
        uint64_t flag;

        r = box_json_as_string(&element, &name, err);
        if (r == 0 && box_sched_flag_number(name, &flag, NULL) < 0)
            r = box_json_fail(&element, err, "\"%s\" is not known", name);
        if (r == 0)
            scheduler->flags |= flag;
    }
    return r;
}

static int write_sched_flags(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_scheduler *scheduler = object;
    json_object *array;
    int r = 0;

    if (!scheduler->flags)
        return 0;
    array = spec_json_add_array(parent, name, err);
    if (!array)
        return BOX_ENOMEM;
    for (unsigned i = 0; i < 64 && r == 0; i++) {
        const char *flag = scheduler->flags >> i & 1 ? box_sched_flag_name(UINT64_C(1) << i) : NULL;

        if (flag)
            r = box_json_append(array, json_object_new_string(flag), err);
    }
    return r;
}

#define S struct spec_scheduler
static const struct spec_json_field scheduler_fields[] = {
    J_NAME("policy", S, policy, box_sched_policy_number, box_sched_policy_name, .required = true),
    J_NUMBER("nice", S, nice, -20, 19),
    J_NUMBER("priority", S, priority, INT32_MIN, INT32_MAX),
    J_CUSTOM("flags", read_sched_flags, write_sched_flags),
    J_NUMBER("runtime", S, runtime, 0, UINT64_MAX),
    J_NUMBER("deadline", S, deadline, 0, UINT64_MAX),
    J_NUMBER("period", S, period, 0, UINT64_MAX),
};
#undef S
static const struct spec_json_type scheduler_type = SPEC_JSON_TYPE(struct spec_scheduler, scheduler_fields);

#define S struct spec_process
static const struct spec_json_field io_priority_fields[] = {
    J_NAME("class", S, io_class, box_ioprio_class_number, box_ioprio_class_name, .required = true),
    J_NUMBER("priority", S, io_level, INT32_MIN, INT32_MAX, .required = true),
};
static const struct spec_json_type io_priority_type = SPEC_JSON_TYPE(S, io_priority_fields);

static const struct spec_json_field affinity_fields[] = {
    J_STRING("initial", S, cpus_initial),
    J_STRING("final", S, cpus_final),
};
static const struct spec_json_type affinity_type = SPEC_JSON_TYPE(S, affinity_fields);

/* ---- the process ------------------------------------------------------------------------------------- */

static const struct spec_json_field console_fields[] = {
    J_NUMBER("height", S, rows, 0, UINT16_MAX, .required = true),
    J_NUMBER("width", S, columns, 0, UINT16_MAX, .required = true),
};
static const struct spec_json_type console_type = SPEC_JSON_TYPE(S, console_fields);

static int read_console(const struct box_json_at *at, void *object, box_error **err)
{
    return spec_json_read(at, object, &console_type, err);
}

static int write_console(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_process *process = object;
    json_object *size;

    if (!process->rows && !process->columns)
        return 0;
    size = spec_json_add_object(parent, name, err);
    return size ? spec_json_write(size, process, &console_type, err) : BOX_ENOMEM;
}

static int read_cwd(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_process *process = object;
    const char *path;
    int r = box_json_as_string(at, &path, err);

    return r < 0 ? r : spec_string_set(&process->cwd, path, err);
}

/* OCI demands one; a spec that was built here may have none, and then means the root. */
static int write_cwd(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_process *process = object;

    return box_json_put_string(parent, name, process->cwd ? process->cwd : "/", err);
}

static const struct spec_json_field process_fields[] = {
    J_BOOL("terminal", S, terminal),
    J_CUSTOM("consoleSize", read_console, write_console),
    J_OBJECT("user", S, user, user_type, .always = true),
    J_STRINGS("args", S, args, SPEC_JSON_MAX_STRINGS),
    J_STRING("commandLine", S, command_line),
    J_STRINGS("env", S, env, SPEC_JSON_MAX_STRINGS),
    J_CUSTOM("cwd", read_cwd, write_cwd, .required = true),
    J_CUSTOM("capabilities", read_capabilities, write_capabilities, J_HAS(S, has_capabilities)),
    J_LIST("rlimits", S, rlimits, n_rlimits, rlimit_type, SPEC_JSON_MAX_RLIMITS),
    J_BOOL("noNewPrivileges", S, no_new_privileges),
    J_STRING("apparmorProfile", S, apparmor_profile),
    J_NUMBER("oomScoreAdj", S, oom_score_adj, -1000, 1000, J_HAS(S, has_oom_score_adj)),
    J_OBJECT("scheduler", S, scheduler, scheduler_type, J_HAS(S, scheduler.set)),
    J_STRING("selinuxLabel", S, selinux_label),
    J_GROUP("ioPriority", io_priority_type, J_HAS(S, has_io_priority)),
    J_GROUP("execCPUAffinity", affinity_type),
};
#undef S

/* OCI: an entry of rlimits that occurs twice is an error. */
static int check_process(const struct box_json_at *at, void *object, box_error **err)
{
    const struct spec_process *process = object;
    struct box_json_at list = {.json = NULL};

    for (size_t i = 0; i < process->n_rlimits; i++)
        for (size_t k = 0; k < i; k++)
            if (process->rlimits[i].resource == process->rlimits[k].resource) {
                struct box_json_at element;
                int r = box_json_get(at, "rlimits", BOX_JSON_REQUIRED, &list, err);

                if (r < 0)
                    return r;
                element = box_json_element(&list, i);
                return box_json_fail(&element, err, "%s is given twice",
                                     box_rlimit_name(process->rlimits[i].resource));
            }
    return 0;
}

const struct spec_json_type spec_json_process =
    SPEC_JSON_TYPE(struct spec_process, process_fields, .check = check_process);
