/* What this runtime can do, as the features document of the specification, and a document to begin with. */
#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/capability.h>
#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/seccomp.h>
#include "kernel/libsystemd.h"
#include "kernel/lsm_attr.h"

static const char *const hooks[] = {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop", NULL};
static const char *const namespaces[] = {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts", NULL};
static const char *const mount_options[] = {
    "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime", "loud",
    "mand", "noatime", "nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime",
    "nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec", "ridmap",
    "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro",
    "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw",
    "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable", NULL};
static const char *const actions[] = {"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                                      "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
                                      "SCMP_ACT_TRAP", NULL};
static const char *const operators[] = {"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                                        "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL};
static const char *const archs[] = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", NULL};
static const char *const flags[] = {"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL};

static int put_list(json_object *parent, const char *key, const char *const *list, box_error **err)
{
    json_object *array = json_object_new_array();
    int r = array ? box_json_put(parent, key, array, err) : box_fail_nomem(err);

    for (size_t i = 0; r >= 0 && list[i]; i++) {
        json_object *text = json_object_new_string(list[i]);
        if (!text || json_object_array_add(array, text) < 0) {
            json_object_put(text);
            return box_fail_nomem(err);
        }
    }
    return r;
}

static json_object *add_object(json_object *parent, const char *key, int *r, box_error **err)
{
    json_object *o = *r < 0 ? NULL : json_object_new_object();

    if (*r >= 0)
        *r = o ? box_json_put(parent, key, o, err) : box_fail_nomem(err);
    return *r < 0 ? NULL : o;
}

static int put_capabilities(json_object *linux_part, box_error **err)
{
    const char *names[64 + 1] = {NULL};
    char texts[64][40];
    unsigned last = box_capability_last();

    for (unsigned i = 0, n = 0; i <= last && i < 64; i++) {
        const char *name = box_capability_name(i);
        if (!name)
            continue;
        snprintf(texts[n], sizeof(texts[n]), "%s%s", strncmp(name, "CAP_", 4) == 0 ? "" : "CAP_", name);
        names[n] = texts[n];
        n++;
    }
    return put_list(linux_part, "capabilities", names, err);
}

static int put_enabled(json_object *parent, const char *key, bool on, box_error **err)
{
    int r = 0;
    json_object *o = add_object(parent, key, &r, err);

    return r < 0 ? r : box_json_put_bool(o, "enabled", on, err);
}

static int fill_cgroup(json_object *o, box_error **err)
{
    bool systemd = box_libsystemd(NULL) != NULL;
    int r;

    if ((r = box_json_put_bool(o, "v1", true, err)) < 0 || (r = box_json_put_bool(o, "v2", true, err)) < 0 ||
        (r = box_json_put_bool(o, "systemd", systemd, err)) < 0 || (r = box_json_put_bool(o, "systemdUser", systemd, err)) < 0)
        return r;
    return box_json_put_bool(o, "rdma", true, err);
}

static int fill_seccomp(json_object *o, box_error **err)
{
    int r;

    if ((r = box_json_put_bool(o, "enabled", true, err)) < 0 || (r = put_list(o, "actions", actions, err)) < 0 ||
        (r = put_list(o, "operators", operators, err)) < 0 || (r = put_list(o, "archs", archs, err)) < 0 ||
        (r = put_list(o, "knownFlags", flags, err)) < 0)
        return r;
    return put_list(o, "supportedFlags", flags, err);
}

static int fill_linux(json_object *o, box_error **err)
{
    int r = put_list(o, "namespaces", namespaces, err);
    json_object *part;

    if (r >= 0)
        r = put_capabilities(o, err);
    if ((part = add_object(o, "cgroup", &r, err)))
        r = fill_cgroup(part, err);
    if ((part = add_object(o, "seccomp", &r, err)))
        r = fill_seccomp(part, err);
    if (r >= 0)
        r = put_enabled(o, "apparmor", true, err);
    if (r >= 0)
        r = put_enabled(o, "selinux", true, err);
    if (r >= 0)
        r = put_enabled(o, "intelRdt", true, err);
    if (r >= 0)
        r = put_enabled(o, "memoryPolicy", true, err);
    if (r >= 0)
        r = put_enabled(o, "netDevices", true, err);
    if ((part = add_object(o, "mountExtensions", &r, err)))
        r = put_enabled(part, "idmap", true, err);
    return r;
}

static int hand_out(json_object *doc, char **json, box_error **err)
{
    const char *text = json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);

    *json = text ? strdup(text) : NULL;
    return *json ? 0 : box_fail_nomem(err);
}

int box_oci_features(char **json, box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    int r;

    if (!json)
        return box_fail(err, BOX_EINVAL, "box_oci_features: json must not be NULL");
    if (!doc)
        return box_fail_nomem(err);
    if ((r = box_json_put_string(doc, "ociVersionMin", "1.0.0", err)) < 0 ||
        (r = box_json_put_string(doc, "ociVersionMax", "1.3.0", err)) < 0 || (r = put_list(doc, "hooks", hooks, err)) < 0 ||
        (r = put_list(doc, "mountOptions", mount_options, err)) < 0)
        return r;
    json_object *part = add_object(doc, "linux", &r, err);
    if (part)
        r = fill_linux(part, err);
    part = add_object(doc, "annotations", &r, err);
    if (part)
        r = box_json_put_string(part, "org.libbox.version", BOX_VERSION, err);
    if (part && r >= 0) /* what engines look at, by the name that they know it under */
        r = box_json_put_string(part, "org.opencontainers.runc.checkpoint.enabled", "false", err);
    return r < 0 ? r : hand_out(doc, json, err);
}

/* ---- a document to begin with ---------------------------------------------------------------------------------------- */

/* The caller as root of the user namespace, and nobody else: what needs no privilege on any host. */
static int map_caller(box_spec *spec, box_error **err)
{
    box_idmap *map = box_idmap_new(err);
    int r = map ? box_idmap_add(map, BOX_IDMAP_UID, 0, geteuid(), 1, err) : BOX_ENOMEM;

    if (r >= 0)
        r = box_idmap_add(map, BOX_IDMAP_GID, 0, getegid(), 1, err);
    if (r >= 0)
        r = box_spec_set_idmap(spec, map, err);
    box_idmap_free(map);
    return r;
}

int box_oci_template(bool rootless, char **json, box_error **err)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    char *args[] = {"sh", NULL};
    int r;

    if (!json)
        return box_fail(err, BOX_EINVAL, "box_oci_template: json must not be NULL");
    if (!spec)
        return box_fail_nomem(err);
    if ((r = box_spec_set_root(spec, "rootfs", err)) < 0 || (r = box_spec_set_args(spec, args, err)) < 0 ||
        (r = box_spec_set_env(spec, "TERM", "xterm", err)) < 0 || (r = box_spec_set_hostname(spec, "box", err)) < 0)
        return r;
    spec->process.terminal = true;
    spec->root.readonly = true;
    if (rootless && !spec->namespaces[SPEC_NS_USER].present && (r = map_caller(spec, err)) < 0)
        return r;
    return box_spec_format(spec, json, err);
}
