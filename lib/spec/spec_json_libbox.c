/* What libbox adds to OCI's document, under the key "libbox", which other runtimes pass over. docs/spec.md
 * lists it. A document without it means what OCI says. */
#include "spec/spec_json.h"

#include <string.h>

#include <libbox/landlock.h>

#include "kernel/landlock_rules.h"
#include "kernel/seccomp_policy.h"

/* ---- names for the bits of a mask -------------------------------------------------------------------- */

/* The bit of a name, 0 for a name that is none; and the name of a bit, NULL for one that has none. */
struct bit_names {
    uint64_t (*number)(const char *name);
    const char *(*name)(uint64_t bit);
};

static int read_bits(const struct box_json_at *at, const char *key, const struct bit_names *names,
                     uint64_t *mask, box_error **err)
{
    struct box_json_at list;
    size_t length = 0;
    int r = box_json_get(at, key, BOX_JSON_OPTIONAL, &list, err);

    *mask = 0;
    if (r == 0 && list.json)
        r = spec_json_length(&list, 256, &length, err);
    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(&list, i);
        const char *text = "";
        uint64_t bit = 0;

        r = box_json_as_string(&element, &text, err);
        if (r == 0)
            bit = names->number(text);
        if (r == 0 && !bit)
            r = box_json_fail(&element, err, "\"%s\" is not known", text);
        *mask |= bit;
    }
    return r;
}

static int write_bits(json_object *parent, const char *key, const struct bit_names *names, uint64_t mask,
                      box_error **err)
{
    json_object *list = mask ? spec_json_add_array(parent, key, err) : NULL;
    int r = mask && !list ? BOX_ENOMEM : 0;

    for (unsigned i = 0; i < 64 && r == 0; i++) {
        const char *name = mask >> i & 1 ? names->name(UINT64_C(1) << i) : NULL;

        if (name)
            r = box_json_append(list, json_object_new_string(name), err);
    }
    return r;
}

/* ---- root: {"host": true}, or an overlay ------------------------------------------------------------- */

#define S struct spec_root
static const struct spec_json_field overlay_fields[] = {
    J_STRINGS("lower", S, lower, 1024),
    J_STRING("upper", S, upper),
    J_STRING("work", S, work),
    J_NUMBER("scratchSize", S, scratch_size, 0, UINT64_MAX),
};
#undef S
static const struct spec_json_type overlay_type = SPEC_JSON_TYPE(struct spec_root, overlay_fields);

static int read_root(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_root *root = &((box_spec *)object)->root;
    bool host = false;
    int r = box_json_get_bool(at, "host", BOX_JSON_OPTIONAL, &host, err);

    if (r == 0)
        r = spec_json_read(at, root, &overlay_type, err);
    if (r < 0)
        return r;
    if (host + (root->lower != NULL) + (root->path != NULL) > 1)
        return box_json_fail(at, err, "root.path, lower and host exclude each other");
    if (host)
        root->kind = SPEC_ROOT_HOST;
    else if (root->lower)
        root->kind = SPEC_ROOT_OVERLAY;
    return 0;
}

static int write_root(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_root *root = &((const box_spec *)object)->root;
    json_object *to = spec_json_add_object(parent, name, err);
    int r = to ? 0 : BOX_ENOMEM;

    if (r == 0 && root->kind == SPEC_ROOT_HOST)
        r = box_json_put_bool(to, "host", true, err);
    if (r == 0)
        r = spec_json_write(to, root, &overlay_type, err);
    if (r == 0)
        spec_json_drop_if_empty(parent, name);
    return r;
}

/* ---- mounts that may be missing, by their numbers ---------------------------------------------------- */

static int read_optional(const struct box_json_at *at, void *object, box_error **err)
{
    box_spec *spec = object;
    size_t length;
    int r = spec_json_length(at, SPEC_JSON_MAX_MOUNTS, &length, err);

    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);
        uint64_t index = 0;

        r = box_json_as_u64(&element, 0, SPEC_JSON_MAX_MOUNTS, &index, err);
        if (r == 0 && index >= spec->n_mounts)
            r = box_json_fail(&element, err, "there is no mount number %zu", (size_t)index);
        if (r == 0)
            spec->mounts[index].optional = true;
    }
    return r;
}

static int write_optional(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_spec *spec = object;
    json_object *list = json_object_new_array();
    int r = box_json_put(parent, name, list, err);

    for (size_t i = 0; i < spec->n_mounts && r == 0; i++)
        if (spec->mounts[i].optional)
            r = box_json_append(list, json_object_new_uint64(i), err);
    if (r == 0 && json_object_array_length(list) == 0)
        json_object_object_del(parent, name);
    return r;
}

/* ---- layers that may be missing ---------------------------------------------------------------------- */

static const char *const layer_names[] = {
    "seccomp", "landlock", "apparmor", "selinux", "cgroup", "devices", "keyring",
};

static uint64_t layer_number(const char *name)
{
    for (size_t i = 0; i < BOX_ARRAY(layer_names); i++)
        if (!strcmp(layer_names[i], name))
            return UINT64_C(1) << i;
    return 0;
}

static const char *layer_name(uint64_t bit)
{
    for (size_t i = 0; i < BOX_ARRAY(layer_names); i++)
        if (bit == UINT64_C(1) << i)
            return layer_names[i];
    return NULL;
}

static const struct bit_names layer_bits = {layer_number, layer_name};

static int read_may_miss(const struct box_json_at *at, void *object, box_error **err)
{
    uint64_t mask;
    int r = read_bits(at->up, at->key, &layer_bits, &mask, err);

    ((box_spec *)object)->may_miss = (uint32_t)mask;
    return r;
}

static int write_may_miss(json_object *parent, const char *name, const void *object, box_error **err)
{
    return write_bits(parent, name, &layer_bits, ((const box_spec *)object)->may_miss, err);
}

/* ---- Landlock ---------------------------------------------------------------------------------------- */

#define LANDLOCK_BITS(kind_, KIND_)                                      \
    static uint64_t kind_##_number(const char *name)                     \
    {                                                                    \
        return box_landlock_bit_number(BOX_LANDLOCK_KIND_##KIND_, name); \
    }                                                                    \
    static const char *kind_##_name(uint64_t bit)                        \
    {                                                                    \
        return box_landlock_bit_name(BOX_LANDLOCK_KIND_##KIND_, bit);    \
    }                                                                    \
    static const struct bit_names kind_##_bits = {kind_##_number, kind_##_name}

LANDLOCK_BITS(fs, FS);
LANDLOCK_BITS(net, NET);
LANDLOCK_BITS(scope, SCOPE);
LANDLOCK_BITS(log, LOG);

static int read_path_rule(const struct box_json_at *at, struct box_landlock *rules, box_error **err)
{
    const char *path = NULL;
    bool missing = false;
    box_error *inner = NULL;
    uint64_t access = 0;
    int r = box_json_get_string(at, "path", BOX_JSON_REQUIRED, &path, err);

    if (r == 0)
        r = read_bits(at, "access", &fs_bits, &access, err);
    if (r == 0)
        r = box_json_get_bool(at, "mayBeMissing", BOX_JSON_OPTIONAL, &missing, err);
    if (r < 0)
        return r;
    r = box_landlock_allow_path(rules, path, access, missing ? BOX_LANDLOCK_MAY_BE_MISSING : 0, &inner);
    return r < 0 ? spec_json_fail_at(at, r, inner, err) : 0;
}

static int read_port_rule(const struct box_json_at *at, struct box_landlock *rules, box_error **err)
{
    box_error *inner = NULL;
    uint64_t port = 0, access = 0;
    int r = box_json_get_u64(at, "port", BOX_JSON_REQUIRED, 0, UINT16_MAX, &port, err);

    if (r == 0)
        r = read_bits(at, "access", &net_bits, &access, err);
    if (r < 0)
        return r;
    r = box_landlock_allow_port(rules, (unsigned)port, access, &inner);
    return r < 0 ? spec_json_fail_at(at, r, inner, err) : 0;
}

static int read_rules(const struct box_json_at *at, const char *key,
                      int (*read)(const struct box_json_at *, struct box_landlock *, box_error **),
                      struct box_landlock *rules, box_error **err)
{
    struct box_json_at list;
    size_t length = 0;
    int r = box_json_get(at, key, BOX_JSON_OPTIONAL, &list, err);

    if (r == 0 && list.json)
        r = spec_json_length(&list, SPEC_JSON_MAX_RULES, &length, err);
    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(&list, i);

        r = read(&element, rules, err);
    }
    return r;
}

static int read_landlock(const struct box_json_at *at, void *object, box_error **err)
{
    _cleanup_(box_landlock) box_landlock *rules = box_landlock_new(err);
    box_spec *spec = object;
    uint64_t log = 0;
    int r;

    if (!rules)
        return spec_code(err);
    r = read_bits(at, "fs", &fs_bits, &rules->fs, err);
    if (r == 0)
        r = read_bits(at, "net", &net_bits, &rules->net, err);
    if (r == 0)
        r = read_bits(at, "scope", &scope_bits, &rules->scope, err);
    if (r == 0)
        r = read_bits(at, "log", &log_bits, &log, err);
    if (r == 0)
        r = box_json_get_bool(at, "bestEffort", BOX_JSON_OPTIONAL, &rules->best_effort, err);
    if (r == 0)
        r = read_rules(at, "paths", read_path_rule, rules, err);
    if (r == 0)
        r = read_rules(at, "ports", read_port_rule, rules, err);
    if (r < 0)
        return r;
    rules->log = (uint32_t)log;
    box_landlock_free(spec->landlock);
    spec->landlock = box_take(rules);
    return 0;
}

static int write_path_rules(json_object *to, const struct box_landlock *rules, box_error **err)
{
    json_object *list = rules->n_paths ? spec_json_add_array(to, "paths", err) : NULL;
    int r = rules->n_paths && !list ? BOX_ENOMEM : 0;

    for (size_t i = 0; i < rules->n_paths && r == 0; i++) {
        const struct box_landlock_path_rule *rule = &rules->paths[i];
        json_object *element;

        if (!rule->path)
            return box_fail_with(err,
                                 &(struct box_fail_info){.code = BOX_ESPEC,
                                                         .subject = "libbox.landlock.paths",
                                                         .remedy = "allow it by its path"},
                                 "a Landlock rule is given by a descriptor, which no document can hold");
        element = json_object_new_object();
        r = box_json_append(list, element, err);
        if (r == 0)
            r = box_json_put_string(element, "path", rule->path, err);
        if (r == 0)
            r = write_bits(element, "access", &fs_bits, rule->access, err);
        if (r == 0 && (rule->flags & BOX_LANDLOCK_MAY_BE_MISSING))
            r = box_json_put_bool(element, "mayBeMissing", true, err);
    }
    return r;
}

static int write_port_rules(json_object *to, const struct box_landlock *rules, box_error **err)
{
    json_object *list = rules->n_ports ? spec_json_add_array(to, "ports", err) : NULL;
    int r = rules->n_ports && !list ? BOX_ENOMEM : 0;

    for (size_t i = 0; i < rules->n_ports && r == 0; i++) {
        json_object *element = json_object_new_object();

        r = box_json_append(list, element, err);
        if (r == 0)
            r = box_json_put_u64(element, "port", rules->ports[i].port, err);
        if (r == 0)
            r = write_bits(element, "access", &net_bits, rules->ports[i].access, err);
    }
    return r;
}

static int write_landlock(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct box_landlock *rules = ((const box_spec *)object)->landlock;
    json_object *to;
    int r;

    if (!rules)
        return 0;
    to = spec_json_add_object(parent, name, err);
    r = to ? write_bits(to, "fs", &fs_bits, rules->fs, err) : BOX_ENOMEM;
    if (r == 0)
        r = write_bits(to, "net", &net_bits, rules->net, err);
    if (r == 0)
        r = write_bits(to, "scope", &scope_bits, rules->scope, err);
    if (r == 0)
        r = write_bits(to, "log", &log_bits, rules->log, err);
    if (r == 0 && rules->best_effort)
        r = box_json_put_bool(to, "bestEffort", true, err);
    if (r == 0)
        r = write_path_rules(to, rules, err);
    return r < 0 ? r : write_port_rules(to, rules, err);
}

/* ---- what a seccomp policy has beyond OCI ------------------------------------------------------------ */

static int read_seccomp(const struct box_json_at *at, void *object, box_error **err)
{
    struct box_seccomp *policy = ((box_spec *)object)->seccomp;
    bool newer_enosys = true, report = false;
    int r = box_json_get_bool(at, "newerEnosys", BOX_JSON_OPTIONAL, &newer_enosys, err);

    if (r == 0)
        r = box_json_get_bool(at, "reportKills", BOX_JSON_OPTIONAL, &report, err);
    if (r < 0)
        return r;
    if (!policy)
        return box_json_fail(at, err, "there is no linux.seccomp");
    box_seccomp_set_newer_enosys(policy, newer_enosys);
    box_seccomp_report_kills(policy, report);
    return 0;
}

static int write_seccomp(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct box_seccomp *policy = ((const box_spec *)object)->seccomp;
    json_object *to;
    int r = 0;

    if (!policy || (!policy->keep_newer && !policy->report_kills))
        return 0;
    to = spec_json_add_object(parent, name, err);
    if (!to)
        return BOX_ENOMEM;
    if (policy->keep_newer)
        r = box_json_put_bool(to, "newerEnosys", false, err);
    if (r == 0 && policy->report_kills)
        r = box_json_put_bool(to, "reportKills", true, err);
    return r;
}

/* ---- switches that are on when nothing is said ------------------------------------------------------- */

static int read_user(const struct box_json_at *at, void *object, box_error **err)
{
    const char *name;
    int r = box_json_as_string(at, &name, err);

    return r < 0 || !*name ? r : spec_string_set(&((box_spec *)object)->process.user.name, name, err);
}

static int write_user(json_object *parent, const char *key, const void *object, box_error **err)
{
    const char *name = ((const box_spec *)object)->process.user.name;

    return name ? box_json_put_string(parent, key, name, err) : 0;
}

static int read_keyring(const struct box_json_at *at, void *object, box_error **err)
{
    return box_json_as_bool(at, &((box_spec *)object)->new_keyring, err);
}

static int write_keyring(json_object *parent, const char *name, const void *object, box_error **err)
{
    return ((const box_spec *)object)->new_keyring ? 0 : box_json_put_bool(parent, name, false, err);
}

static int read_default_devices(const struct box_json_at *at, void *object, box_error **err)
{
    return box_json_as_bool(at, &((box_spec *)object)->default_devices, err);
}

static int write_default_devices(json_object *parent, const char *name, const void *object, box_error **err)
{
    return ((const box_spec *)object)->default_devices ? 0 : box_json_put_bool(parent, name, false, err);
}

#define S box_spec
static const struct spec_json_field libbox_fields[] = {
    J_CUSTOM("root", read_root, write_root),
    J_CUSTOM("user", read_user, write_user),
    J_BOOL("keepUser", S, process.user.keep),
    J_BOOL("init", S, init),
    J_CUSTOM("newKeyring", read_keyring, write_keyring),
    J_CUSTOM("defaultDevices", read_default_devices, write_default_devices),
    J_NUMBER("preserveFds", S, preserve_fds, 0, 1021),
    J_CUSTOM("optionalMounts", read_optional, write_optional),
    J_CUSTOM("mayMiss", read_may_miss, write_may_miss),
    J_CUSTOM("landlock", read_landlock, write_landlock),
    J_CUSTOM("seccomp", read_seccomp, write_seccomp),
};
#undef S
const struct spec_json_type spec_json_libbox = SPEC_JSON_TYPE(box_spec, libbox_fields);
