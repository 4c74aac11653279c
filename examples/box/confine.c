/* Flags that confine: capabilities, filters, labels, devices, ulimits, and which namespaces are shared with whom. */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

#define PROFILE_MOST (4 << 20)

/* ---- security ------------------------------------------------------------------------------------------------------------ */

static int load_seccomp(box_spec *spec, const char *path, box_error **err)
{
    struct box_capset caps;
    FILE *f = fopen(path, "re");
    char *text = f ? malloc(PROFILE_MOST) : NULL;
    int r = BOX_ENOTFOUND;

    if (!text) {
        fprintf(stderr, "box: opening seccomp profile (%s) failed: %s.\n", path, strerror(errno));
    } else {
        size_t n = fread(text, 1, PROFILE_MOST, f);
        box_spec_get_capabilities(spec, &caps);
        box_seccomp *policy = box_seccomp_load_docker(text, n, caps.bounding, err);
        r = policy ? box_spec_set_seccomp(spec, policy, err) : box_error_code(err ? *err : NULL);
        box_seccomp_free(policy);
    }
    free(text);
    if (f)
        fclose(f);
    return r;
}

int add_security(box_spec *spec, const char *option, bool *own_seccomp, box_error **err)
{
    const char *value = strpbrk(option, "=:");
    size_t n = value ? (size_t)(value++ - option) : strlen(option);

    if (strncmp(option, "no-new-privileges", n) == 0 && n == 17 &&
        (!value || strcmp(value, "true") == 0 || strcmp(value, "false") == 0))
        return box_spec_set_no_new_privileges(spec, !value || strcmp(value, "false") != 0, err);
    if (strncmp(option, "seccomp", n) == 0 && n == 7 && value) {
        *own_seccomp = true;
        return strcmp(value, "unconfined") == 0 ? box_spec_set_seccomp(spec, NULL, err) : load_seccomp(spec, value, err);
    }
    if (strncmp(option, "apparmor", n) == 0 && n == 8 && value)
        return box_spec_set_apparmor(spec, strcmp(value, "unconfined") == 0 ? NULL : value, err);
    if (strncmp(option, "label", n) == 0 && n == 5 && value)
        return strcmp(value, "disable") == 0 ? 0 : box_spec_set_selinux(spec, value, err);
    if (strcmp(option, "systempaths=unconfined") == 0 || strcmp(option, "unmask=ALL") == 0)
        return box_spec_clear_masked_paths(spec, err) < 0 ? BOX_ENOMEM : box_spec_clear_readonly_paths(spec, err);
    return fail_text("invalid --security-opt: \"%s\".", option), BOX_EINVAL;
}

int add_capabilities(box_spec *spec, const struct run_options *o, box_error **err)
{
    uint64_t mask;
    int r;

    if (!o->cap_add.n && !o->cap_drop.n)
        return 0;
    r = box_capability_adjust(box_capability_default(), o->cap_add.items, o->cap_add.n, o->cap_drop.items, o->cap_drop.n,
                              &mask, err);
    return r < 0 ? r : box_spec_set_capability_mask(spec, mask, err);
}

/* The filter lets through what the capabilities are for. */
int match_seccomp(box_spec *spec, box_error **err)
{
    struct box_capset caps;

    if (!box_spec_get_seccomp(spec) || !box_spec_get_capabilities(spec, &caps))
        return 0;
    box_seccomp *policy = box_seccomp_new_default(caps.bounding, err);
    int r = policy ? box_spec_set_seccomp(spec, policy, err) : box_error_code(err ? *err : NULL);
    box_seccomp_free(policy);
    return r;
}

int add_ulimit(box_spec *spec, const char *text, box_error **err)
{
    struct box_rlimit limit;
    int r = box_rlimit_parse(text, &limit, err);

    return r < 0 ? r : box_spec_set_rlimit(spec, limit.resource, limit.soft, limit.hard, err);
}

/* "c 1:3 rwm" */
int add_device_rule(box_spec *spec, const char *text, box_error **err)
{
    char type, major[16], minor[16], access_[8];

    if (sscanf(text, " %c %15[0-9*]:%15[0-9*] %7[rwm]", &type, major, minor, access_) != 4 || !strchr("abc", type))
        return wrong(err, "device-cgroup-rule", text);
    return box_spec_add_device_rule(spec, true, type, *major == '*' ? -1 : atoi(major), *minor == '*' ? -1 : atoi(minor), access_, err);
}

int add_device(box_spec *spec, const char *text, box_error **err)
{
    char *copy = strdup(text), *save = NULL;

    if (!copy)
        return BOX_ENOMEM;
    const char *host = strtok_r(copy, ":", &save), *inside = strtok_r(NULL, ":", &save), *access_ = strtok_r(NULL, ":", &save);
    if (inside && inside[0] != '/' && !access_) {
        access_ = inside;
        inside = NULL;
    }
    int r = host ? box_spec_add_device(spec, host, inside, access_, err) : wrong(err, "device", text);
    free(copy);
    return r;
}

/* ---- namespaces ------------------------------------------------------------------------------------------------------------ */

/* "container:NAME": the namespace that its first process is in. */
static int join(box_spec *spec, enum box_spec_namespace kind, const char *file, const char *name, box_error **err)
{
    box_container *c = open_container(name);
    char path[64];

    if (!c)
        return BOX_ENOTFOUND;
    pid_t pid = box_container_pid(c);
    box_container_free(c);
    if (!pid)
        return fail_text("cannot join the namespace of container %s: it is not running.", name), BOX_ESTATE;
    snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, file);
    return box_spec_join_namespace(spec, kind, path, err);
}

static int share(box_spec *spec, enum box_spec_namespace kind, const char *flag, const char *value, box_error **err)
{
    bool ipc = kind == BOX_SPEC_IPC_NAMESPACE;

    if (!value || !*value)
        return 0;
    if (strcmp(value, "host") == 0)
        return box_spec_share_namespace(spec, kind, err);
    if ((ipc && (strcmp(value, "shareable") == 0 || strcmp(value, "none") == 0)) ||
        ((ipc || kind == BOX_SPEC_CGROUP_NAMESPACE) && strcmp(value, "private") == 0))
        return 0;
    if ((ipc || kind == BOX_SPEC_PID_NAMESPACE) && strncmp(value, "container:", 10) == 0)
        return join(spec, kind, ipc ? "ipc" : "pid", value + 10, err);
    return fail_text("--%s: invalid %s mode: %s.", flag, flag, value), BOX_EINVAL;
}

static int set_userns(box_spec *spec, const char *value, box_error **err)
{
    box_idmap *map = NULL;

    if (!value)
        return 0;
    if (strcmp(value, "host") == 0)
        return box_spec_share_namespace(spec, BOX_SPEC_USER_NAMESPACE, err);
    if (strcmp(value, "auto") != 0)
        return fail_text("--userns: invalid USER mode: %s.", value), BOX_EINVAL;
    int r = box_idmap_new_subordinate(NULL, geteuid() ? BOX_IDMAP_SELF_IS_ROOT : 0, &map, err);
    if (r >= 0)
        r = box_spec_set_idmap(spec, map, err);
    box_idmap_free(map);
    return r;
}

static int set_network(box_spec *spec, const char *value, box_error **err)
{
    if (!value || strcmp(value, "none") == 0)
        return 0;
    if (strcmp(value, "host") == 0)
        return box_spec_share_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, err);
    if (strncmp(value, "container:", 10) == 0)
        return join(spec, BOX_SPEC_NETWORK_NAMESPACE, "net", value + 10, err);
    fprintf(stderr, "box: network %s not found: none and host are what there is.\n", value);
    return BOX_ENOTFOUND;
}

int set_namespaces(box_spec *spec, const struct run_options *o, box_error **err)
{
    int r;

    if ((r = set_network(spec, o->network, err)) < 0 || (r = share(spec, BOX_SPEC_PID_NAMESPACE, "pid", o->pid, err)) < 0 ||
        (r = share(spec, BOX_SPEC_IPC_NAMESPACE, "ipc", o->ipc, err)) < 0 ||
        (r = share(spec, BOX_SPEC_UTS_NAMESPACE, "uts", o->uts, err)) < 0 ||
        (r = share(spec, BOX_SPEC_CGROUP_NAMESPACE, "cgroupns", o->cgroupns, err)) < 0)
        return r;
    return set_userns(spec, o->userns, err);
}
