/* The `linux` object of an OCI document: config-linux.md. Its properties lie in the spec itself. */
#include "spec/spec_json.h"

#include <string.h>

#include <libbox/idmap.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>

#include "kernel/seccomp_policy.h"

/* ---- namespaces -------------------------------------------------------------------------------------- */

/* An entry of the array while it is read. */
struct namespace_entry {
    int kind;
    char *path;
};

static int namespace_number(const char *name, box_error **err)
{
    for (int i = 0; i < SPEC_NS_KINDS; i++)
        if (!strcmp(spec_namespace_info[i].name, name))
            return i;
    return box_fail(err, BOX_EPARSE, "there is no namespace \"%s\"", name);
}

static const char *namespace_name(int kind)
{
    return spec_namespace_info[kind].name;
}

#define S struct namespace_entry
static const struct spec_json_field namespace_fields[] = {
    J_NAME("type", S, kind, namespace_number, namespace_name, .required = true),
    J_STRING("path", S, path),
};
#undef S
static const struct spec_json_type namespace_type = SPEC_JSON_TYPE(struct namespace_entry, namespace_fields);

static int read_namespace(const struct box_json_at *at, box_spec *spec, box_error **err)
{
    struct namespace_entry entry = {0};
    _free_ char *path = NULL;
    int r = spec_json_read(at, &entry, &namespace_type, err);

    path = entry.path;
    if (r < 0)
        return r;
    if (spec->namespaces[entry.kind].present)
        return box_json_fail(at, err, "the %s namespace is given twice", namespace_name(entry.kind));
    spec->namespaces[entry.kind].present = true;
    spec->namespaces[entry.kind].path = box_take(path);
    return 0;
}

static int read_namespaces(const struct box_json_at *at, void *object, box_error **err)
{
    size_t length;
    int r = spec_json_length(at, SPEC_JSON_MAX_NAMESPACES, &length, err);

    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);

        r = read_namespace(&element, object, err);
    }
    return r;
}

static int write_namespaces(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_spec *spec = object;
    json_object *array = spec_json_add_array(parent, name, err);
    int r = array ? 0 : BOX_ENOMEM;
    size_t n = 0;

    for (int i = 0; i < SPEC_NS_KINDS && r == 0; i++) {
        struct namespace_entry entry = {.kind = i, .path = spec->namespaces[i].path};
        json_object *element;

        if (!spec->namespaces[i].present)
            continue;
        n++;
        if (spec->namespaces[i].fd >= 0)
            return box_fail_with(
                err,
                &(struct box_fail_info){
                    .code = BOX_ESPEC, .subject = "linux.namespaces", .remedy = "join it by its path"},
                "the %s namespace is given by a descriptor, which no document can hold", namespace_name(i));
        element = json_object_new_object();
        r = box_json_append(array, element, err);
        if (r == 0)
            r = spec_json_write(element, &entry, &namespace_type, err);
    }
    if (r == 0 && n == 0)
        json_object_object_del(parent, name);
    return r;
}

/* ---- id mappings ------------------------------------------------------------------------------------- */

static int read_uids(const struct box_json_at *at, void *object, box_error **err)
{
    return spec_json_read_idmap(at, &((box_spec *)object)->idmap, false, err);
}

static int read_gids(const struct box_json_at *at, void *object, box_error **err)
{
    return spec_json_read_idmap(at, &((box_spec *)object)->idmap, true, err);
}

static int write_uids(json_object *parent, const char *name, const void *object, box_error **err)
{
    return spec_json_write_idmap(parent, name, ((const box_spec *)object)->idmap, false, err);
}

static int write_gids(json_object *parent, const char *name, const void *object, box_error **err)
{
    return spec_json_write_idmap(parent, name, ((const box_spec *)object)->idmap, true, err);
}

/* ---- clocks ------------------------------------------------------------------------------------------ */

#define S struct spec_time_offset
static const struct spec_json_field offset_fields[] = {
    J_NUMBER("secs", S, seconds, INT64_MIN, INT64_MAX),
    J_NUMBER("nanosecs", S, nanoseconds, 0, 999999999),
};
#undef S
static const struct spec_json_type offset_type = SPEC_JSON_TYPE(struct spec_time_offset, offset_fields);

#define S box_spec
static const struct spec_json_field clock_fields[] = {
    J_OBJECT("monotonic", S, time_monotonic, offset_type, J_HAS(S, time_monotonic.set)),
    J_OBJECT("boottime", S, time_boottime, offset_type, J_HAS(S, time_boottime.set)),
};
#undef S

static int check_clock(const struct box_json_at *member, void *data, box_error **err)
{
    (void)data;
    return strcmp(member->key, "monotonic") && strcmp(member->key, "boottime")
               ? box_json_fail(member, err, "this clock has no offset: expected monotonic or boottime")
               : 0;
}

static int check_clocks(const struct box_json_at *at, void *object, box_error **err)
{
    (void)object;
    return box_json_each(at, check_clock, NULL, err);
}

static const struct spec_json_type clocks_type =
    SPEC_JSON_TYPE(box_spec, clock_fields, .check = check_clocks);

/* ---- devices ----------------------------------------------------------------------------------------- */

static int read_device_type(const struct box_json_at *at, void *object, box_error **err)
{
    const char *text;
    int r = box_json_as_string(at, &text, err);

    if (r < 0)
        return r;
    if (strlen(text) != 1 || !strchr("cbup", *text))
        return box_json_fail(at, err, "\"%s\" is not known: expected c, b, u or p", text);
    ((struct spec_device *)object)->type = *text;
    return 0;
}

static int write_device_type(json_object *parent, const char *name, const void *object, box_error **err)
{
    char text[2] = {((const struct spec_device *)object)->type, '\0'};

    return box_json_put_string(parent, name, text, err);
}

/* The numbers of a FIFO mean nothing and are not written. */
static int write_major(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_device *device = object;

    return device->type == 'p' ? 0 : box_json_put_i64(parent, name, device->major, err);
}

static int write_minor(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_device *device = object;

    return device->type == 'p' ? 0 : box_json_put_i64(parent, name, device->minor, err);
}

static int read_major(const struct box_json_at *at, void *object, box_error **err)
{
    return box_json_as_i64(at, INT64_MIN, INT64_MAX, &((struct spec_device *)object)->major, err);
}

static int read_minor(const struct box_json_at *at, void *object, box_error **err)
{
    return box_json_as_i64(at, INT64_MIN, INT64_MAX, &((struct spec_device *)object)->minor, err);
}

/* Some writers leave the type's bits of st_mode in. */
static int read_file_mode(const struct box_json_at *at, void *object, box_error **err)
{
    uint64_t mode;
    int r = box_json_as_u64(at, 0, 0177777, &mode, err);

    if (r == 0)
        ((struct spec_device *)object)->mode = (uint32_t)mode & 07777;
    return r;
}

static int write_file_mode(json_object *parent, const char *name, const void *object, box_error **err)
{
    const struct spec_device *device = object;

    return device->has_mode ? box_json_put_u64(parent, name, device->mode, err) : 0;
}

#define S struct spec_device
static const struct spec_json_field device_fields[] = {
    J_STRING("path", S, path, .required = true),
    J_CUSTOM("type", read_device_type, write_device_type, .required = true),
    J_CUSTOM("major", read_major, write_major),
    J_CUSTOM("minor", read_minor, write_minor),
    J_CUSTOM("fileMode", read_file_mode, write_file_mode, J_HAS(S, has_mode)),
    J_NUMBER("uid", S, uid, 0, UINT32_MAX - 1, J_HAS(S, has_uid)),
    J_NUMBER("gid", S, gid, 0, UINT32_MAX - 1, J_HAS(S, has_gid)),
};
#undef S

static int check_device(const struct box_json_at *at, void *object, box_error **err)
{
    const struct spec_device *device = object;
    struct box_json_at number;
    int r;

    if (device->type == 'p')
        return 0;
    r = box_json_get(at, "major", BOX_JSON_REQUIRED, &number, err);
    return r < 0 ? r : box_json_get(at, "minor", BOX_JSON_REQUIRED, &number, err);
}

static const struct spec_json_type device_type =
    SPEC_JSON_TYPE(struct spec_device, device_fields, .check = check_device);

/* ---- seccomp ----------------------------------------------------------------------------------------- */

static int read_seccomp(const struct box_json_at *at, void *object, box_error **err)
{
    box_spec *spec = object;
    _free_ char *path = box_json_path(at);

    if (!path)
        return box_fail_nomem(err);
    spec->seccomp = box_seccomp_from_json(at->json, path, err);
    return spec->seccomp ? 0 : spec_code(err);
}

static int write_seccomp(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_spec *spec = object;
    json_object *policy;

    if (!spec->seccomp)
        return 0;
    policy = box_seccomp_to_json(spec->seccomp, err);
    return policy ? box_json_put(parent, name, policy, err) : spec_code(err);
}

/* ---- personality ------------------------------------------------------------------------------------- */

static int read_personality(const struct box_json_at *at, void *object, box_error **err)
{
    box_spec *spec = object;
    struct box_json_at flags;
    unsigned long domain;
    const char *name = NULL;
    size_t length = 0;
    int r = box_json_get_string(at, "domain", BOX_JSON_REQUIRED, &name, err);

    if (r < 0)
        return r;
    if (box_personality_number(name, &domain, NULL) < 0)
        return box_json_fail(at, err, "\"%s\" is not known: expected LINUX or LINUX32", name);
    spec->personality = domain;
    r = box_json_get_array(at, "flags", BOX_JSON_OPTIONAL, &flags, &length, err);
    if (r == 0 && flags.json && length)
        r = box_json_fail(&flags, err, "OCI defines no flags");
    return r;
}

static int write_personality(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_spec *spec = object;
    const char *domain = box_personality_name((unsigned long)spec->personality);
    json_object *value;

    if (!spec->has_personality || !domain)
        return 0;
    value = spec_json_add_object(parent, name, err);
    return value ? box_json_put_string(value, "domain", domain, err) : BOX_ENOMEM;
}

/* ---- linux ------------------------------------------------------------------------------------------- */

#define S box_spec
static const struct spec_json_field linux_fields[] = {
    J_CUSTOM("namespaces", read_namespaces, write_namespaces),
    J_CUSTOM("uidMappings", read_uids, write_uids),
    J_CUSTOM("gidMappings", read_gids, write_gids),
    J_GROUP("timeOffsets", clocks_type),
    J_LIST("devices", S, devices, n_devices, device_type, SPEC_JSON_MAX_DEVICES),
    J_CUSTOM("netDevices", spec_json_read_net_devices, spec_json_write_net_devices),
    J_STRING("cgroupsPath", S, cgroups_path),
    J_CUSTOM("resources", spec_json_read_resources, spec_json_write_resources),
    J_CUSTOM("intelRdt", spec_json_read_intel_rdt, spec_json_write_intel_rdt),
    J_CUSTOM("memoryPolicy", spec_json_read_memory_policy, spec_json_write_memory_policy),
    J_MAP("sysctl", S, sysctl, n_sysctl, SPEC_JSON_MAX_PAIRS),
    J_CUSTOM("seccomp", read_seccomp, write_seccomp),
    J_STRING("rootfsPropagation", S, rootfs_propagation),
    J_STRINGS("maskedPaths", S, masked_paths, SPEC_JSON_MAX_PATHS),
    J_STRINGS("readonlyPaths", S, readonly_paths, SPEC_JSON_MAX_PATHS),
    J_STRING("mountLabel", S, mount_label),
    J_CUSTOM("personality", read_personality, write_personality, J_HAS(S, has_personality)),
};
#undef S
const struct spec_json_type spec_json_linux = SPEC_JSON_TYPE(box_spec, linux_fields);
