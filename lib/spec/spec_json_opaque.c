/* Parts of `linux` that are kept as JSON: intelRdt, netDevices, memoryPolicy. Their types are checked here,
 * so that whoever carries them out may rely on them. The setters of netDevices write the same JSON. */
#include "spec/spec_json.h"

#include <string.h>

enum { MAX_LINES = 1024 };

static int keep(const struct box_json_at *at, struct json_object **field, box_error **err)
{
    json_object *copy = NULL;

    if (json_object_deep_copy(at->json, &copy, NULL) < 0)
        return box_fail_nomem(err);
    json_object_put(*field);
    *field = copy;
    return 0;
}

static int put_kept(json_object *parent, const char *name, json_object *kept, box_error **err)
{
    json_object *copy = NULL;

    if (!kept)
        return 0;
    return json_object_deep_copy(kept, &copy, NULL) < 0 ? box_fail_nomem(err)
                                                        : box_json_put(parent, name, copy, err);
}

/* An array of strings, each of which must please `fits` (may be NULL). */
static int check_strings(const struct box_json_at *at, const char *key, bool (*fits)(const char *),
                         const char *what, box_error **err)
{
    struct box_json_at list;
    size_t length = 0;
    int r = box_json_get(at, key, BOX_JSON_OPTIONAL, &list, err);

    if (r == 0 && list.json)
        r = spec_json_length(&list, MAX_LINES, &length, err);
    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(&list, i);
        const char *text;

        r = box_json_as_string(&element, &text, err);
        if (r == 0 && !fits(text))
            r = box_json_fail(&element, err, "%s", what);
    }
    return r;
}

/* ---- intelRdt ---------------------------------------------------------------------------------------- */

static bool is_one_line(const char *text)
{
    return !strchr(text, '\n');
}

static int check_line(const struct box_json_at *at, const char *key, const char *prefix, box_error **err)
{
    struct box_json_at member;
    const char *text;
    int r = box_json_get(at, key, BOX_JSON_OPTIONAL, &member, err);

    if (r < 0 || !member.json)
        return r;
    r = box_json_as_string(&member, &text, err);
    if (r == 0 && !is_one_line(text))
        r = box_json_fail(&member, err, "has more than one line");
    if (r == 0 && strncmp(text, prefix, strlen(prefix)) != 0)
        r = box_json_fail(&member, err, "must begin with %s", prefix);
    return r;
}

/* closID names one directory below resctrl; "/" is resctrl itself. */
static int check_clos(const struct box_json_at *at, box_error **err)
{
    const char *id = NULL;
    int r = box_json_get_string(at, "closID", BOX_JSON_OPTIONAL, &id, err);

    if (r < 0 || !id || !strcmp(id, "/"))
        return r;
    if (strchr(id, '/') || !strcmp(id, ".") || !strcmp(id, ".."))
        return box_json_fail(at, err, "closID \"%s\" is not the name of a directory", id);
    return 0;
}

int spec_json_read_intel_rdt(const struct box_json_at *at, void *spec, box_error **err)
{
    static const char *const flags[] = {"enableMonitoring", "enableCMT",
                                        "enableMBM"}; /* the last two until 1.2 */
    bool flag;
    int r = box_json_as_object(at, err);

    if (r == 0)
        r = check_clos(at, err);
    if (r == 0)
        r = check_line(at, "l3CacheSchema", "", err);
    if (r == 0)
        r = check_line(at, "memBwSchema", "MB:", err);
    if (r == 0)
        r = check_strings(at, "schemata", is_one_line, "has more than one line", err);
    for (size_t i = 0; i < BOX_ARRAY(flags) && r == 0; i++)
        r = box_json_get_bool(at, flags[i], BOX_JSON_OPTIONAL, &flag, err);
    return r < 0 ? r : keep(at, &((box_spec *)spec)->intel_rdt, err);
}

int spec_json_write_intel_rdt(json_object *parent, const char *name, const void *spec, box_error **err)
{
    return put_kept(parent, name, ((const box_spec *)spec)->intel_rdt, err);
}

/* ---- netDevices -------------------------------------------------------------------------------------- */

/* The kernel's rule for the name of an interface (dev_valid_name): 1 to 15 bytes, no '/', ':' or white space,
 * and not
 * "." or "..". "%d" at the end is OCI's template. */
static bool is_interface(const char *name)
{
    return *name && strlen(name) < 16 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           !name[strcspn(name, "/: \t\n\v\f\r")];
}

static int check_net_device(const struct box_json_at *member, void *data, box_error **err)
{
    const char *name = NULL;
    int r = box_json_as_object(member, err);

    (void)data;
    if (r == 0 && !is_interface(member->key))
        r = box_json_fail(member, err, "not the name of a network device");
    if (r == 0)
        r = box_json_get_string(member, "name", BOX_JSON_OPTIONAL, &name, err);
    if (r == 0 && name && *name && !is_interface(name))
        r = box_json_fail(member, err, "\"%s\" is not the name of a network device", name);
    return r;
}

int spec_json_read_net_devices(const struct box_json_at *at, void *spec, box_error **err)
{
    int r = box_json_as_object(at, err);

    if (r == 0 && json_object_object_length(at->json) > MAX_LINES)
        r = spec_json_fail_limit(at, err, "keys", MAX_LINES);
    if (r == 0)
        r = box_json_each(at, check_net_device, NULL, err);
    return r < 0 ? r : keep(at, &((box_spec *)spec)->net_devices, err);
}

/* A device may be named once: the latter name inside counts. */
int box_spec_add_net_device(box_spec *spec, const char *name, const char *inside, box_error **err)
{
    _cleanup_(json_object) json_object *device = NULL;
    json_object *all = spec->net_devices ? spec->net_devices : json_object_new_object();
    int r = 0;

    if (!all)
        return box_fail_nomem(err);
    if (!name || !is_interface(name) || (inside && !is_interface(inside)))
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name && is_interface(name) ? inside : name},
                          "not the name of a network device");
    else if (json_object_object_length(all) >= MAX_LINES)
        r = box_fail(err, BOX_ELIMIT, "more than %d network devices", MAX_LINES);
    else if (!(device = json_object_new_object()))
        r = box_fail_nomem(err);
    if (r >= 0 && inside)
        r = box_json_put_string(device, "name", inside, err);
    if (r >= 0)
        r = box_json_put(all, name, box_take(device), err);
    if (r < 0 && !spec->net_devices)
        json_object_put(all);
    else
        spec->net_devices = all;
    return r;
}

int box_spec_clear_net_devices(box_spec *spec, box_error **err)
{
    (void)err;
    json_object_put(spec->net_devices);
    spec->net_devices = NULL;
    return 0;
}

const char *box_spec_next_net_device(const box_spec *spec, size_t index, const char **inside)
{
    json_object *name = NULL;

    if (!spec->net_devices)
        return NULL;
    json_object_object_foreach(spec->net_devices, key, device) {
        if (index-- > 0)
            continue;
        if (inside)
            *inside = json_object_object_get_ex(device, "name", &name) && name ? json_object_get_string(name) : "";
        return key;
    }
    return NULL;
}

int spec_json_write_net_devices(json_object *parent, const char *name, const void *spec, box_error **err)
{
    return put_kept(parent, name, ((const box_spec *)spec)->net_devices, err);
}

/* ---- memoryPolicy ------------------------------------------------------------------------------------ */

static bool is_one_of(const char *text, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(text, names[i]))
            return true;
    return false;
}

static bool is_policy_mode(const char *text)
{
    static const char *const names[] = {
        "MPOL_DEFAULT",   "MPOL_BIND",           "MPOL_INTERLEAVE", "MPOL_WEIGHTED_INTERLEAVE",
        "MPOL_PREFERRED", "MPOL_PREFERRED_MANY", "MPOL_LOCAL",
    };

    return is_one_of(text, names, BOX_ARRAY(names));
}

static bool is_policy_flag(const char *text)
{
    static const char *const names[] = {"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES",
                                        "MPOL_F_STATIC_NODES"};

    return is_one_of(text, names, BOX_ARRAY(names));
}

int spec_json_read_memory_policy(const struct box_json_at *at, void *spec, box_error **err)
{
    const char *mode = NULL, *nodes = NULL;
    int r = box_json_get_string(at, "mode", BOX_JSON_REQUIRED, &mode, err);

    if (r == 0 && !is_policy_mode(mode))
        r = box_json_fail(at, err, "the mode \"%s\" is not known", mode);
    if (r == 0)
        r = box_json_get_string(at, "nodes", BOX_JSON_OPTIONAL, &nodes, err);
    if (r == 0 && nodes && nodes[strspn(nodes, "0123456789,- ")])
        r = box_json_fail(at, err, "the nodes \"%s\" are no list of numbers", nodes);
    if (r == 0)
        r = check_strings(at, "flags", is_policy_flag, "the flag is not known", err);
    return r < 0 ? r : keep(at, &((box_spec *)spec)->memory_policy, err);
}

int spec_json_write_memory_policy(json_object *parent, const char *name, const void *spec, box_error **err)
{
    return put_kept(parent, name, ((const box_spec *)spec)->memory_policy, err);
}
