/* A bundle: the document, held against itself and fitted to this machine, and the root that it names.
 *
 * In order: the document is read; what it asks for and this program cannot grant is taken away, with a warning; the
 * devices that every container has are allowed; the root's path is made absolute; a mount namespace that is this program's
 * own is taken for none; and all is checked. Nothing is made yet: a refusal leaves nothing behind. */
#include "oci/oci.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/capability.h>
#include "base/strings.h"
#include "kernel/cgroup_limits.h"

static int absolute(const char *path, char **out, box_error **err)
{
    *out = realpath(path, NULL);
    return *out ? 0 : box_fail_sys(err, "realpath", path, "find the bundle");
}

/* root.path is relative to the bundle. */
static int resolve_root(struct oci_container *c, box_error **err)
{
    struct spec_root *root = &c->spec->root;

    if (root->kind == SPEC_ROOT_OVERLAY)
        return (c->rootfs = strdup("")) ? 0 : box_fail_nomem(err);
    if (root->kind != SPEC_ROOT_DIRECTORY || !root->path)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "root"}, "the document names no root");
    _free_ char *path = root->path[0] == '/' ? strdup(root->path) : box_strf("%s/%s", c->bundle, root->path);
    if (!path)
        return box_fail_nomem(err);
    c->rootfs = realpath(path, NULL);
    if (!c->rootfs)
        return box_fail_sys(err, "realpath", path, "root.path");
    free(root->path);
    root->path = strdup(c->rootfs);
    return root->path ? 0 : box_fail_nomem(err);
}

/* Rules that deny everything mean everything but what a runtime puts into /dev by itself. */
static int allow_default_devices(box_limits *limits, box_error **err)
{
    const struct box_device_rule *rule;

    if (!limits || !box_limits_device_at(limits, 0))
        return 0;
    box_limits *defaults = box_limits_new(err);
    int r = defaults ? box_limits_add_default_devices(defaults, err) : BOX_ENOMEM;
    for (size_t i = 0; r >= 0 && (rule = box_limits_device_at(defaults, i)); i++)
        r = rule->allow ? box_limits_add_device(limits, rule, err) : 0;
    box_limits_free(defaults);
    return r;
}

/* ---- capabilities -------------------------------------------------------------------------------------------------- */

static void warn(const box_oci_options *options, const char *what, const char *names)
{
    _free_ char *text = options->warn ? box_strf("process.capabilities: %s: %s", what, names) : NULL;

    if (text)
        options->warn(options->warn_data, text);
}

/* All that this program could hand on: root's exec brings back what the bounding set allows. */
static int grantable(uint64_t wanted, uint64_t *mask, box_error **err)
{
    struct box_capset own;
    int r = box_capset_read(0, &own, err);

    if (r < 0)
        return r;
    *mask = wanted & (geteuid() == 0 ? own.bounding : own.permitted);
    return 0;
}

/* A container with a user namespace has every capability there. A set of its own keeps what another set lost, since each
 * would be refused by itself. */
static int drop_what_cannot_be_had(box_spec *spec, const box_oci_options *options, box_error **err)
{
    struct box_capset *c = &spec->process.capabilities;
    uint64_t wanted = c->bounding | c->effective | c->permitted | c->inheritable | c->ambient, mask = 0;

    if (!spec->process.has_capabilities || !wanted || spec->namespaces[SPEC_NS_USER].present)
        return 0;
    int r = grantable(wanted, &mask, err);
    if (r < 0 || mask == wanted)
        return r;
    _free_ char *names = box_capability_format(wanted & ~mask);
    warn(options, "cannot be granted here, and are not", names ? names : "");
    c->bounding &= mask;
    c->effective &= mask;
    c->permitted &= mask;
    c->inheritable &= mask;
    c->ambient &= mask;
    return 0;
}

/* "MUST be logged as a warning", and "SHOULD NOT fail" (config.md, "Linux Process"); up to 1.0.2 a name without a meaning
 * to the kernel had to be an error. */
int oci_limit_capabilities(box_spec *spec, const box_oci_options *options, bool strict, box_error **err)
{
    char **unknown = spec->process.unknown_capabilities;

    if (unknown && *unknown) {
        _free_ char *names = box_strv_join(unknown, ", ");
        if (!names)
            return box_fail_nomem(err);
        if (strict)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "process.capabilities",
                                                              .remedy = "ociVersion 1.1.0 and later pass over them"},
                                 "not known here: %s, which is an error to a document of version %s", names, spec->oci_version);
        warn(options, "not known here, and not granted", names);
    }
    return drop_what_cannot_be_had(spec, options, err);
}

static bool is_version_1_0(const box_spec *spec)
{
    return spec->oci_version && strncmp(spec->oci_version, "1.0.", 4) == 0;
}

/* ---- the mount namespace -------------------------------------------------------------------------------------------- */

/* One that is named by a path, and is that of this program, is what it would get without being named. */
static void forget_own_mount_namespace(box_spec *spec)
{
    struct spec_namespace *ns = &spec->namespaces[SPEC_NS_MOUNT];
    struct stat named, own;

    if (!ns->present || !ns->path || stat(ns->path, &named) < 0 || stat("/proc/thread-self/ns/mnt", &own) < 0 ||
        named.st_dev != own.st_dev || named.st_ino != own.st_ino)
        return;
    free(ns->path);
    ns->path = NULL;
    ns->present = false;
}

int oci_read_bundle(struct oci_container *c, const box_oci_options *options, box_error **err)
{
    int r = absolute(options->bundle ? options->bundle : ".", &c->bundle, err);
    _free_ char *beside = r < 0 ? NULL : box_strf("%s/config.json", c->bundle);

    if (r < 0)
        return r;
    if (!beside)
        return box_fail_nomem(err);
    r = box_spec_load(options->config ? options->config : beside, &c->spec, err);
    if (r < 0)
        return box_fail_wrap(err, r, "bundle %s", c->bundle);
    /* Without a process all but the start can be had (config.md, "Process"). */
    if (!c->spec->has_process && (r = box_spec_set_args(c->spec, (char *[]){OCI_NO_PROGRAM, NULL}, err)) < 0)
        return r;
    if ((r = oci_limit_capabilities(c->spec, options, is_version_1_0(c->spec), err)) < 0)
        return r;
    c->spec->default_devices = true; /* config-linux.md, "Default Devices" */
    if (options->no_new_keyring)
        c->spec->new_keyring = false;
    if ((r = allow_default_devices(c->spec->limits, err)) < 0 || (r = resolve_root(c, err)) < 0)
        return r;
    forget_own_mount_namespace(c->spec);
    c->spec->chroot = c->spec->root.kind == SPEC_ROOT_DIRECTORY && !c->spec->namespaces[SPEC_NS_MOUNT].present;
    return box_spec_check(c->spec, err);
}
