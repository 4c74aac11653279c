/* What a spec owns, in tables: one line for each pointer or descriptor. Copying and freeing both walk them,
 * so that a field which is in its table can be neither leaked nor shared between two specs. */
#include "spec/spec_util.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <string.h>

#include <libbox/idmap.h>
#include <libbox/landlock.h>
#include <libbox/seccomp.h>

#include "kernel/cgroup_limits.h"

#define OWNED(type_, kind_, field_)                                   \
    {                                                                 \
        .kind = SPEC_OWNED_##kind_, .offset = offsetof(type_, field_) \
    }
#define OWNED_LIST(type_, field_, count_, element_)                                                   \
    {                                                                                                 \
        .kind = SPEC_OWNED_LIST, .offset = offsetof(type_, field_), .count = offsetof(type_, count_), \
        .type = &(element_)                                                                           \
    }
#define OWNED_BLOCK(type_, field_, count_)                                                             \
    {                                                                                                  \
        .kind = SPEC_OWNED_BLOCK, .offset = offsetof(type_, field_), .count = offsetof(type_, count_), \
        .size = sizeof(*((type_ *)0)->field_)                                                          \
    }
#define OWNED_INLINE(type_, field_, n_, element_)                                                        \
    {                                                                                                    \
        .kind = SPEC_OWNED_INLINE, .offset = offsetof(type_, field_), .count = (n_), .type = &(element_) \
    }
#define OWNED_TYPE(type_, table_)                                              \
    {                                                                          \
        .size = sizeof(type_), .owned = (table_), .n_owned = BOX_ARRAY(table_) \
    }

static const struct spec_owned pair_owned[] = {
    OWNED(struct spec_pair, STRING, key),
    OWNED(struct spec_pair, STRING, value),
};
const struct spec_owned_type spec_pair_type = OWNED_TYPE(struct spec_pair, pair_owned);

static const struct spec_owned mount_owned[] = {
    OWNED(struct spec_mount, STRING, destination), OWNED(struct spec_mount, STRING, type),
    OWNED(struct spec_mount, STRING, source),      OWNED(struct spec_mount, STRV, options),
    OWNED(struct spec_mount, IDMAP, idmap),        OWNED(struct spec_mount, FD, source_fd),
};
const struct spec_owned_type spec_mount_type = OWNED_TYPE(struct spec_mount, mount_owned);

static const struct spec_owned device_owned[] = {
    OWNED(struct spec_device, STRING, path),
};
const struct spec_owned_type spec_device_type = OWNED_TYPE(struct spec_device, device_owned);

static const struct spec_owned hook_owned[] = {
    OWNED(struct spec_hook, STRING, path),
    OWNED(struct spec_hook, STRV, args),
    OWNED(struct spec_hook, STRV, env),
};
const struct spec_owned_type spec_hook_type = OWNED_TYPE(struct spec_hook, hook_owned);

static const struct spec_owned hooks_owned[] = {
    OWNED_LIST(struct spec_hooks, list, n, spec_hook_type),
};
static const struct spec_owned_type hooks_type = OWNED_TYPE(struct spec_hooks, hooks_owned);

static const struct spec_owned namespace_owned[] = {
    OWNED(struct spec_namespace, STRING, path),
    OWNED(struct spec_namespace, FD, fd),
};
static const struct spec_owned_type namespace_type = OWNED_TYPE(struct spec_namespace, namespace_owned);

static const struct spec_owned spec_owned_table[] = {
    OWNED(box_spec, STRING, oci_version),
    OWNED(box_spec, STRING, hostname),
    OWNED(box_spec, STRING, domainname),
    OWNED(box_spec, STRING, root.path),
    OWNED(box_spec, STRV, root.lower),
    OWNED(box_spec, STRING, root.upper),
    OWNED(box_spec, STRING, root.work),
    OWNED_BLOCK(box_spec, process.user.additional_gids, process.user.n_additional_gids),
    OWNED(box_spec, STRING, process.user.name),
    OWNED(box_spec, STRV, process.args),
    OWNED(box_spec, STRING, process.command_line),
    OWNED(box_spec, STRV, process.env),
    OWNED(box_spec, STRING, process.cwd),
    OWNED(box_spec, STRV, process.unknown_capabilities),
    OWNED_BLOCK(box_spec, process.rlimits, process.n_rlimits),
    OWNED(box_spec, STRING, process.apparmor_profile),
    OWNED(box_spec, STRING, process.selinux_label),
    OWNED(box_spec, STRING, process.cpus_initial),
    OWNED(box_spec, STRING, process.cpus_final),
    OWNED_LIST(box_spec, mounts, n_mounts, spec_mount_type),
    OWNED_INLINE(box_spec, hooks, SPEC_HOOK_KINDS, hooks_type),
    OWNED_LIST(box_spec, annotations, n_annotations, spec_pair_type),
    OWNED_INLINE(box_spec, namespaces, SPEC_NS_KINDS, namespace_type),
    OWNED(box_spec, IDMAP, idmap),
    OWNED_LIST(box_spec, devices, n_devices, spec_device_type),
    OWNED(box_spec, STRING, cgroups_path),
    OWNED(box_spec, LIMITS, limits),
    OWNED(box_spec, STRING, rootfs_propagation),
    OWNED(box_spec, SECCOMP, seccomp),
    OWNED_LIST(box_spec, sysctl, n_sysctl, spec_pair_type),
    OWNED(box_spec, STRV, masked_paths),
    OWNED(box_spec, STRV, readonly_paths),
    OWNED(box_spec, STRING, mount_label),
    OWNED(box_spec, JSON, intel_rdt),
    OWNED(box_spec, JSON, net_devices),
    OWNED(box_spec, JSON, memory_policy),
    OWNED(box_spec, LANDLOCK, landlock),
    OWNED(box_spec, JSON, document),
    OWNED(box_spec, JSON, rendered),
};
const struct spec_owned_type spec_type = OWNED_TYPE(box_spec, spec_owned_table);

static void *field_of(const void *object, size_t offset)
{
    return (char *)(uintptr_t)object + offset;
}

/* The elements of a list or of inline structs, and how many they are. */
static char *elements_of(const void *object, const struct spec_owned *o, size_t *n)
{
    if (o->kind == SPEC_OWNED_INLINE) {
        *n = o->count;
        return field_of(object, o->offset);
    }
    *n = *(size_t *)field_of(object, o->count);
    return *(char **)field_of(object, o->offset);
}

static void clear_elements(void *object, const struct spec_owned *o)
{
    size_t n;
    char *elements = elements_of(object, o, &n);

    for (size_t i = 0; i < n; i++)
        spec_owned_clear(elements + i * o->type->size, o->type);
    if (o->kind == SPEC_OWNED_LIST)
        free(elements);
}

static void clear_one(void *object, const struct spec_owned *o)
{
    void *field = field_of(object, o->offset);

    switch (o->kind) {
    case SPEC_OWNED_STRING:
        free(*(char **)field);
        break;
    case SPEC_OWNED_STRV:
        box_strv_free(*(char ***)field);
        break;
    case SPEC_OWNED_BLOCK:
        free(*(void **)field);
        break;
    case SPEC_OWNED_LIST:
    case SPEC_OWNED_INLINE:
        clear_elements(object, o);
        break;
    case SPEC_OWNED_FD:
        box_cleanup_close(field);
        break;
    case SPEC_OWNED_JSON:
        json_object_put(*(json_object **)field);
        break;
    case SPEC_OWNED_IDMAP:
        box_idmap_free(*(struct box_idmap **)field);
        break;
    case SPEC_OWNED_LIMITS:
        box_limits_free(*(struct box_limits **)field);
        break;
    case SPEC_OWNED_SECCOMP:
        box_seccomp_free(*(struct box_seccomp **)field);
        break;
    case SPEC_OWNED_LANDLOCK:
        box_landlock_free(*(struct box_landlock **)field);
        break;
    }
}

/* Makes a field own nothing, without freeing: after a clear, or in a fresh shallow copy. */
static void forget(void *object, const struct spec_owned *o)
{
    void *field = field_of(object, o->offset);

    if (o->kind == SPEC_OWNED_FD) {
        *(int *)field = -1;
    } else if (o->kind == SPEC_OWNED_INLINE) {
        for (size_t i = 0; i < o->count; i++)
            for (size_t k = 0; k < o->type->n_owned; k++)
                forget((char *)field + i * o->type->size, &o->type->owned[k]);
    } else {
        *(void **)field = NULL;
        if (o->kind == SPEC_OWNED_LIST || o->kind == SPEC_OWNED_BLOCK)
            *(size_t *)field_of(object, o->count) = 0;
    }
}

void spec_owned_clear(void *object, const struct spec_owned_type *type)
{
    for (size_t i = 0; i < type->n_owned; i++) {
        clear_one(object, &type->owned[i]);
        forget(object, &type->owned[i]);
    }
}

static int copy_elements(void *to, const void *from, const struct spec_owned *o, box_error **err)
{
    size_t n, size = o->type->size;
    char *elements = elements_of(from, o, &n);

    for (size_t i = 0; i < n; i++) {
        char *element = o->kind == SPEC_OWNED_INLINE
                            ? (char *)field_of(to, o->offset) + i * size
                            : spec_array_add(field_of(to, o->offset), field_of(to, o->count), size, err);
        int r = element ? spec_owned_copy(element, elements + i * size, o->type, err) : BOX_ENOMEM;

        if (r < 0)
            return r;
    }
    return 0;
}

static int copy_fd(int *to, int from, box_error **err)
{
    if (from < 0)
        return 0;
    *to = fcntl(from, F_DUPFD_CLOEXEC, 3);
    return *to < 0 ? box_fail_sys(err, "fcntl", NULL, "duplicate a descriptor of the spec") : 0;
}

static int copy_json(json_object **to, json_object *from, box_error **err)
{
    if (from && json_object_deep_copy(from, to, NULL) < 0)
        return box_fail_nomem(err);
    return 0;
}

/* Objects with a copy function of their own: NULL copies to NULL. */
#define COPY_OBJECT(type_, function_)                                   \
    do {                                                                \
        type_ *original = *(type_ **)source;                            \
        if (original && !(*(type_ **)field = function_(original, err))) \
            return spec_code(err);                                      \
        return 0;                                                       \
    } while (0)

static int copy_one(void *to, const void *from, const struct spec_owned *o, box_error **err)
{
    void *field = field_of(to, o->offset), *source = field_of(from, o->offset);
    int r;

    switch (o->kind) {
    case SPEC_OWNED_STRING:
        return spec_string_set(field, *(char **)source, err);
    case SPEC_OWNED_STRV:
        return spec_strv_set(field, *(char ***)source, err);
    case SPEC_OWNED_BLOCK:
        r = spec_array_copy(field, *(void **)source, *(size_t *)field_of(from, o->count), o->size, err);
        if (r == 0)
            *(size_t *)field_of(to, o->count) = *(size_t *)field_of(from, o->count);
        return r;
    case SPEC_OWNED_LIST:
    case SPEC_OWNED_INLINE:
        return copy_elements(to, from, o, err);
    case SPEC_OWNED_FD:
        return copy_fd(field, *(int *)source, err);
    case SPEC_OWNED_JSON:
        return copy_json(field, *(json_object **)source, err);
    case SPEC_OWNED_IDMAP:
        COPY_OBJECT(struct box_idmap, box_idmap_copy);
    case SPEC_OWNED_LIMITS:
        COPY_OBJECT(struct box_limits, box_limits_copy);
    case SPEC_OWNED_SECCOMP:
        COPY_OBJECT(struct box_seccomp, box_seccomp_clone);
    case SPEC_OWNED_LANDLOCK:
        COPY_OBJECT(struct box_landlock, box_landlock_copy);
    }
    return 0;
}

int spec_owned_copy(void *to, const void *from, const struct spec_owned_type *type, box_error **err)
{
    int r = 0;

    memcpy(to, from, type->size);
    for (size_t i = 0; i < type->n_owned; i++)
        forget(to, &type->owned[i]);
    for (size_t i = 0; i < type->n_owned && r == 0; i++)
        r = copy_one(to, from, &type->owned[i], err);
    if (r < 0)
        spec_owned_clear(to, type);
    return r;
}
