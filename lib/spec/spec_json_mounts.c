/* Root, mounts, hooks and id mappings of an OCI document: config.md, "Root", "Mounts", "POSIX-platform
 * Hooks"; config-linux.md, "User namespace mappings". */
#include "spec/spec_json.h"

#include <libbox/idmap.h>

/* ---- id mappings ------------------------------------------------------------------------------------- */

struct id_range {
    uint32_t inside, outside, count;
};

#define S struct id_range
static const struct spec_json_field range_fields[] = {
    J_NUMBER("containerID", S, inside, 0, UINT32_MAX, .required = true),
    J_NUMBER("hostID", S, outside, 0, UINT32_MAX, .required = true),
    J_NUMBER("size", S, count, 0, UINT32_MAX, .required = true),
};
#undef S
static const struct spec_json_type range_type = SPEC_JSON_TYPE(struct id_range, range_fields);

int spec_json_read_idmap(const struct box_json_at *at, struct box_idmap **map, bool group, box_error **err)
{
    size_t length;
    int r = spec_json_length(at, BOX_IDMAP_MAX, &length, err);

    if (r == 0 && length && !*map && !(*map = box_idmap_new(err)))
        return spec_code(err);
    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);
        struct id_range range = {0};
        box_error *inner = NULL;

        r = spec_json_read(&element, &range, &range_type, err);
        if (r < 0)
            return r;
        r = box_idmap_add(*map, group ? BOX_IDMAP_GID : BOX_IDMAP_UID, range.inside, range.outside,
                          range.count, &inner);
        if (r < 0)
            return spec_json_fail_at(&element, r, inner, err);
    }
    return r;
}

int spec_json_write_idmap(json_object *parent, const char *name, const struct box_idmap *map, bool group,
                          box_error **err)
{
    enum box_idmap_kind kind = group ? BOX_IDMAP_GID : BOX_IDMAP_UID;
    size_t n = map ? box_idmap_count(map, kind) : 0;
    json_object *array = n ? spec_json_add_array(parent, name, err) : NULL;
    int r = n && !array ? BOX_ENOMEM : 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        json_object *element = json_object_new_object();
        struct box_idmap_range got;
        struct id_range range;

        box_idmap_get(map, kind, i, &got);
        range = (struct id_range){.inside = got.inside, .outside = got.outside, .count = got.count};
        r = box_json_append(array, element, err);
        if (r == 0)
            r = spec_json_write(element, &range, &range_type, err);
    }
    return r;
}

/* ---- root -------------------------------------------------------------------------------------------- */

#define S struct spec_root
static const struct spec_json_field root_fields[] = {
    J_STRING("path", S, path),
    J_BOOL("readonly", S, readonly),
};
#undef S

/* Only a document that has libbox.root may leave the path out, which is looked at when that has been read. */
static int check_root(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_root *root = object;

    (void)at;
    (void)err;
    if (root->path)
        root->kind = SPEC_ROOT_DIRECTORY;
    return 0;
}

const struct spec_json_type spec_json_root =
    SPEC_JSON_TYPE(struct spec_root, root_fields, .check = check_root);

/* ---- mounts ------------------------------------------------------------------------------------------ */

static int read_mount_uids(const struct box_json_at *at, void *object, box_error **err)
{
    return spec_json_read_idmap(at, &((struct spec_mount *)object)->idmap, false, err);
}

static int read_mount_gids(const struct box_json_at *at, void *object, box_error **err)
{
    return spec_json_read_idmap(at, &((struct spec_mount *)object)->idmap, true, err);
}

static int write_mount_uids(json_object *parent, const char *name, const void *object, box_error **err)
{
    return spec_json_write_idmap(parent, name, ((const struct spec_mount *)object)->idmap, false, err);
}

static int write_mount_gids(json_object *parent, const char *name, const void *object, box_error **err)
{
    return spec_json_write_idmap(parent, name, ((const struct spec_mount *)object)->idmap, true, err);
}

/* OCI still allows a relative destination, counted from the root. */
static int read_destination(const struct box_json_at *at, void *object, box_error **err)
{
    struct spec_mount *mount = object;
    const char *path;
    int r = box_json_as_string(at, &path, err);

    if (r < 0)
        return r;
    if (!*path)
        return box_json_fail(at, err, "a mount needs a destination");
    if (*path == '/')
        return spec_string_set(&mount->destination, path, err);
    if (asprintf(&mount->destination, "/%s", path) < 0) {
        mount->destination = NULL;
        return box_fail_nomem(err);
    }
    return 0;
}

static int write_destination(json_object *parent, const char *name, const void *object, box_error **err)
{
    return box_json_put_string(parent, name, ((const struct spec_mount *)object)->destination, err);
}

static void prepare_mount(void *element)
{
    ((struct spec_mount *)element)->source_fd = -1;
}

#define S struct spec_mount
static const struct spec_json_field mount_fields[] = {
    J_CUSTOM("destination", read_destination, write_destination, .required = true),
    J_STRING("type", S, type),
    J_STRING("source", S, source),
    J_STRINGS("options", S, options, SPEC_JSON_MAX_OPTIONS),
    J_CUSTOM("uidMappings", read_mount_uids, write_mount_uids),
    J_CUSTOM("gidMappings", read_mount_gids, write_mount_gids),
};
#undef S
const struct spec_json_type spec_json_mount =
    SPEC_JSON_TYPE(struct spec_mount, mount_fields, .prepare = prepare_mount);

/* ---- hooks ------------------------------------------------------------------------------------------- */

#define S struct spec_hook
static const struct spec_json_field hook_fields[] = {
    J_STRING("path", S, path, .required = true),
    J_STRINGS("args", S, args, SPEC_JSON_MAX_STRINGS),
    J_STRINGS("env", S, env, SPEC_JSON_MAX_STRINGS),
    J_NUMBER("timeout", S, timeout, 1, INT32_MAX, J_HAS(S, has_timeout)),
};
#undef S
static const struct spec_json_type hook_type = SPEC_JSON_TYPE(struct spec_hook, hook_fields);

#define HOOK(name_, kind_) \
    J_LIST(name_, box_spec, hooks[kind_].list, hooks[kind_].n, hook_type, SPEC_JSON_MAX_HOOKS)
static const struct spec_json_field hooks_fields[] = {
    HOOK("prestart", SPEC_HOOK_PRESTART),
    HOOK("createRuntime", SPEC_HOOK_CREATE_RUNTIME),
    HOOK("createContainer", SPEC_HOOK_CREATE_CONTAINER),
    HOOK("startContainer", SPEC_HOOK_START_CONTAINER),
    HOOK("poststart", SPEC_HOOK_POSTSTART),
    HOOK("poststop", SPEC_HOOK_POSTSTOP),
};
const struct spec_json_type spec_json_hooks = SPEC_JSON_TYPE(box_spec, hooks_fields);
