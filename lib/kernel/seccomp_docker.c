/* Profiles in Docker's format (--security-opt seccomp=FILE): OCI's rules with conditions, and a table of
 * architectures. The conditions are decided while reading; what stays is a plain policy.
 *
 *     {"defaultAction": …, "archMap": [{"architecture": …, "subArchitectures": […]}],
 *      "syscalls": [{"names": […], "action": …, "args": […], "includes": {"caps": […]}, "excludes": {…}}]}
 *
 * Members that are not known are skipped, as Docker does. */
#include "kernel/seccomp_json.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include <libbox/capability.h>
#include "kernel/seccomp_names.h"

struct host {
    uint64_t caps;
    unsigned long kernel[2]; /* major, minor */
};

/* The word for this machine in includes.arches: Go's. */
static const char *const machine = BOX_ARCH_NATIVE == BOX_ARCH_X86_64 ? "amd64" : "arm64";

/* "4.8", and the beginning of "6.1.0-18-amd64". */
static bool read_version(const char *text, unsigned long version[2], bool whole)
{
    char *end;

    for (int i = 0; i < 2; i++) {
        if (*text < '0' || *text > '9')
            return false;
        version[i] = strtoul(text, &end, 10);
        if (i == 0 && *end != '.')
            return false;
        text = end + (i == 0);
    }
    return !whole || !*end;
}

static int find_host(struct host *host, uint64_t caps, box_error **err)
{
    struct utsname names;

    host->caps = caps;
    if (uname(&names) < 0)
        return box_fail_sys(err, "uname", NULL, "seccomp: the kernel's version");
    if (!read_version(names.release, host->kernel, false))
        return box_fail(err, BOX_EUNSUPPORTED, "seccomp: can't read the kernel's version \"%s\"",
                        names.release);
    return 0;
}

/* What an includes or excludes says about this host. A list that is missing or empty says nothing. */
struct condition {
    bool caps_given, all_caps, any_cap;
    bool arches_given, arch_listed;
    bool kernel_given, kernel_reached;
};

static int read_caps(const struct box_json_at *object, const struct host *host, struct condition *c,
                     box_error **err)
{
    struct box_json_at array;
    size_t n = 0;
    int r = box_json_get_array(object, "caps", BOX_JSON_OPTIONAL, &array, &n, err);

    c->caps_given = n > 0;
    c->all_caps = true;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&array, i);
        const char *name;
        r = box_json_as_string(&element, &name, err);
        if (r < 0)
            break;
        /* One that libbox does not know is had by nobody. */
        int number = box_capability_number(name, NULL);
        bool had = number >= 0 && number < 64 && (host->caps >> number & 1);
        c->all_caps &= had;
        c->any_cap |= had;
    }
    return r;
}

static int read_machines(const struct box_json_at *object, struct condition *c, box_error **err)
{
    struct box_json_at array;
    size_t n = 0;
    int r = box_json_get_array(object, "arches", BOX_JSON_OPTIONAL, &array, &n, err);

    c->arches_given = n > 0;
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&array, i);
        const char *name;
        r = box_json_as_string(&element, &name, err);
        if (r == 0 && strcmp(name, machine) == 0)
            c->arch_listed = true;
    }
    return r;
}

static int read_kernel(const struct box_json_at *object, const struct host *host, struct condition *c,
                       box_error **err)
{
    struct box_json_at at;
    const char *text = NULL;
    unsigned long needed[2];
    int r = box_json_get(object, "minKernel", BOX_JSON_OPTIONAL, &at, err);

    if (r < 0 || !at.json)
        return r;
    r = box_json_as_string(&at, &text, err);
    if (r < 0 || !*text)
        return r;
    if (!read_version(text, needed, true))
        return box_json_fail(&at, err, "\"%s\" is no kernel version such as \"4.8\"", text);
    c->kernel_given = true;
    c->kernel_reached =
        host->kernel[0] != needed[0] ? host->kernel[0] > needed[0] : host->kernel[1] >= needed[1];
    return 0;
}

static int read_condition(const struct box_json_at *rule, const char *key, const struct host *host,
                          struct condition *condition, box_error **err)
{
    struct box_json_at object;
    int r = box_json_get_object(rule, key, BOX_JSON_OPTIONAL, &object, err);

    *condition = (struct condition){0};
    if (r < 0 || !object.json)
        return r;
    r = read_caps(&object, host, condition, err);
    if (r == 0)
        r = read_machines(&object, condition, err);
    return r < 0 ? r : read_kernel(&object, host, condition, err);
}

/* includes: all capabilities, one of the architectures, at least this kernel. excludes: any of it. */
static int rule_applies(const struct box_json_at *rule, const struct host *host, bool *applies,
                        box_error **err)
{
    struct condition in, out;
    int r = read_condition(rule, "includes", host, &in, err);

    if (r == 0)
        r = read_condition(rule, "excludes", host, &out, err);
    if (r < 0)
        return r;
    *applies = !(in.caps_given && !in.all_caps) && !(in.arches_given && !in.arch_listed) &&
               !(in.kernel_given && !in.kernel_reached) && !out.any_cap && !out.arch_listed &&
               !(out.kernel_given && out.kernel_reached);
    return 0;
}

/* `names`, or `name` in profiles from before 2016; not both. */
static int read_either_name(const struct box_json_at *object, struct box_seccomp_rule *rule, box_error **err)
{
    struct box_json_at one, many;
    const char *name = NULL;
    int r = box_json_get(object, "name", BOX_JSON_OPTIONAL, &one, err);

    if (r == 0)
        r = box_json_get(object, "names", BOX_JSON_OPTIONAL, &many, err);
    if (r == 0 && one.json)
        r = box_json_as_string(&one, &name, err);
    if (r < 0)
        return r;
    if (!name || !*name)
        return box_seccomp_read_names(object, BOX_JSON_REQUIRED, rule, err);
    if (many.json)
        return box_json_fail(object, err, "a rule has both \"name\" and \"names\"");
    if (strlen(name) > BOX_SECCOMP_MAX_NAME)
        return box_json_fail(&one, err, "a system call name has 1 to %d bytes", BOX_SECCOMP_MAX_NAME);
    return box_seccomp_rule_add_name(rule, name, err);
}

static int read_rule(const struct box_json_at *object, const struct host *host, box_seccomp *policy,
                     box_error **err)
{
    struct box_seccomp_rule rule = {0};
    bool applies = false;
    int r = box_json_as_object(object, err);

    /* Read in full even where it does not apply here, so that a profile is right everywhere or nowhere. */
    if (r == 0)
        r = read_either_name(object, &rule, err);
    if (r == 0)
        r = box_seccomp_read_verdict(object, "action", "errnoRet", &rule.verdict, err);
    if (r == 0)
        r = box_seccomp_read_tests(object, false, &rule, err);
    if (r == 0)
        r = rule_applies(object, host, &applies, err);
    if (r == 0 && applies)
        r = box_seccomp_take_rule(policy, &rule, err);
    box_seccomp_rule_clear(&rule);
    return r;
}

static int read_map_entry(const struct box_json_at *entry, box_seccomp *policy, box_error **err)
{
    struct box_json_at at;
    const char *name = NULL;
    int r = box_json_as_object(entry, err);

    if (r == 0)
        r = box_json_get(entry, "architecture", BOX_JSON_REQUIRED, &at, err);
    if (r == 0)
        r = box_json_as_string(&at, &name, err);
    if (r == 0 && !box_seccomp_arch_is_oci(name))
        r = box_json_fail(&at, err, "\"%s\" is no architecture of OCI's", name);
    if (r < 0 || strcmp(name, box_seccomp_arches[BOX_ARCH_NATIVE].oci) != 0)
        return r;
    return box_seccomp_read_arches(entry, "subArchitectures", policy, err);
}

static int read_all_arches(const struct box_json_at *root, box_seccomp *policy, box_error **err)
{
    struct box_json_at map, list;
    size_t n_map = 0, n_list = 0;
    int r = box_json_get_array(root, "archMap", BOX_JSON_OPTIONAL, &map, &n_map, err);

    if (r == 0)
        r = box_json_get_array(root, "architectures", BOX_JSON_OPTIONAL, &list, &n_list, err);
    if (r == 0 && n_map > 0 && n_list > 0)
        return box_json_fail(root, err, "a profile has both \"architectures\" and \"archMap\"");
    if (r == 0)
        r = box_seccomp_add_arch(policy, box_seccomp_arches[BOX_ARCH_NATIVE].oci, err);
    if (r == 0)
        r = box_seccomp_read_arches(root, "architectures", policy, err);
    for (size_t i = 0; r == 0 && i < n_map; i++) {
        struct box_json_at entry = box_json_element(&map, i);
        r = read_map_entry(&entry, policy, err);
    }
    return r;
}

static int read_profile(const struct box_json_at *root, const struct host *host, box_seccomp *policy,
                        box_error **err)
{
    struct box_json_at rules;
    size_t n = 0;
    int r = box_json_as_object(root, err);

    if (r == 0)
        r = box_seccomp_read_verdict(root, "defaultAction", "defaultErrnoRet", &policy->fallback, err);
    if (r == 0)
        r = read_all_arches(root, policy, err);
    if (r == 0)
        r = box_seccomp_read_flags(root, policy, err);
    if (r == 0)
        r = box_seccomp_read_listener(root, policy, err);
    if (r == 0)
        r = box_json_get_array(root, "syscalls", BOX_JSON_OPTIONAL, &rules, &n, err);
    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at rule = box_json_element(&rules, i);
        r = read_rule(&rule, host, policy, err);
    }
    return r;
}

box_seccomp *box_seccomp_load_docker(const char *text, size_t len, uint64_t caps, box_error **err)
{
    struct host host;
    _cleanup_(json_object) json_object *document =
        box_json_parse(text, len, &BOX_JSON_DEFAULT, "seccomp profile", err);
    _cleanup_(box_seccomp) box_seccomp *policy = document ? box_seccomp_new_empty(err) : NULL;
    struct box_json_at root = BOX_JSON_ROOT(document);

    if (!policy || find_host(&host, caps, err) < 0 || read_profile(&root, &host, policy, err) < 0)
        return NULL;
    return box_take(policy);
}
