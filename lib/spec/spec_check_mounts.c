/* The part of box_spec_check() about the root and the mounts: where things are mounted, and whether the spec
 * has the mount namespace without which they would be mounted on the host. */
#include "spec/spec_check.h"

#include <string.h>

#include <libbox/idmap.h>

#include "kernel/mount_options.h"

static int check_overlay(const struct spec_root *root, box_error **err)
{
    if (!root->lower || !root->lower[0])
        return spec_contradiction(err, "libbox.root.lower", "an overlay needs at least one layer");
    if (!root->upper != !root->work)
        return spec_contradiction(err, root->upper ? "libbox.root.work" : "libbox.root.upper",
                                  "upper and work go together");
    if (root->upper && root->scratch_size)
        return spec_contradiction(err, "libbox.root.scratchSize", "changes go to upper, not to memory");
    for (size_t i = 0; root->lower[i]; i++)
        if (root->lower[i][0] != '/')
            return spec_contradiction(err, "libbox.root.lower", "\"%s\" is not an absolute path",
                                      root->lower[i]);
    if (root->upper && (root->upper[0] != '/' || root->work[0] != '/'))
        return spec_contradiction(err, "libbox.root.upper", "upper and work must be absolute paths");
    return 0;
}

/* The host's own root stays as it is: nothing that would change it for the child alone can be done without a
 * mount namespace, and none of it for the root itself. */
static int check_host_root(const box_spec *spec, box_error **err)
{
    bool mounts = spec->namespaces[SPEC_NS_MOUNT].present;

    if (spec->root.readonly && !mounts)
        return spec_contradiction(err, "root.readonly",
                                  "without a mount namespace this would be the host's root");
    if (spec->rootfs_propagation && !mounts)
        return spec_contradiction(err, "linux.rootfsPropagation", "there is no mount namespace");
    if (spec->n_devices)
        return spec_contradiction(err, "linux.devices", "they would be made in the host's own root");
    return 0;
}

/* A root that is entered by chroot(2): its mounts are the host's to see, and only the host's root may make them. */
static int check_chroot(const box_spec *spec, box_error **err)
{
    if (spec->root.kind != SPEC_ROOT_DIRECTORY || spec->namespaces[SPEC_NS_MOUNT].present)
        return spec_contradiction(err, "linux.namespaces", "only a directory can be a root without a mount namespace");
    if (spec->namespaces[SPEC_NS_USER].present)
        return spec_contradiction(err, "linux.namespaces",
                                  "a user namespace without a mount namespace has no right to mount anything");
    if (spec->rootfs_propagation)
        return spec_contradiction(err, "linux.rootfsPropagation",
                                  "without a mount namespace this would be the propagation of the host's mounts");
    return 0;
}

int spec_check_root(const box_spec *spec, box_error **err)
{
    const struct spec_root *root = &spec->root;
    int r = 0;

    if (spec->rootfs_propagation && !spec_propagation_known(spec->rootfs_propagation))
        return spec_contradiction(err, "linux.rootfsPropagation", "\"%s\" is not known",
                                  spec->rootfs_propagation);
    switch (root->kind) {
    case SPEC_ROOT_NONE:
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_ESPEC,
                                    .subject = "root",
                                    .remedy = "box_spec_set_root() or box_spec_set_root_host()"},
            "no root file system is given");
    case SPEC_ROOT_HOST:
        return check_host_root(spec, err);
    case SPEC_ROOT_DIRECTORY:
        if (!root->path || !*root->path)
            return spec_contradiction(err, "root.path", "no directory is given");
        break;
    case SPEC_ROOT_OVERLAY:
        r = check_overlay(root, err);
        break;
    }
    if (r == 0 && spec->chroot)
        return check_chroot(spec, err);
    if (r == 0 && !spec->namespaces[SPEC_NS_MOUNT].present)
        r = spec_contradiction(err, "linux.namespaces", "a root of its own needs a mount namespace");
    return r;
}

static int check_idmap(const box_spec *spec, const struct spec_mount *mount,
                       const struct box_mount_options *options, const char *field, box_error **err)
{
    size_t uids = mount->idmap ? box_idmap_count(mount->idmap, BOX_IDMAP_UID) : 0;
    size_t gids = mount->idmap ? box_idmap_count(mount->idmap, BOX_IDMAP_GID) : 0;

    if (!uids != !gids)
        return spec_contradiction(err, field, "%s has mappings of %s only", mount->destination,
                                  uids ? "users" : "groups");
    if (options->idmap != BOX_MOUNT_IDMAP_NONE && !uids && !options->idmap_maps &&
        !spec->namespaces[SPEC_NS_USER].present)
        return spec_contradiction(err, field,
                                  "%s: idmap needs mappings, or a user namespace to take them from",
                                  mount->destination);
    return 0;
}

static int check_mount(const box_spec *spec, const struct spec_mount *mount, const char *field,
                       box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options options = {0};
    box_error *inner = NULL;
    int r = spec_check_inside(field, mount->destination, err);

    if (r < 0)
        return r;
    r = box_mount_options_parse_list((const char *const *)mount->options, box_strv_length(mount->options),
                                     &options, &inner);
    if (r == BOX_ENOMEM)
        return box_fail_nomem(err);
    if (r < 0) {
        r = spec_contradiction(err, field, "%s: %s", mount->destination, box_error_message(inner));
        box_error_free(inner);
        return r;
    }
    if (options.bind && mount->source_fd < 0 && (!mount->source || !*mount->source))
        return spec_contradiction(err, field, "%s: a bind mount needs a source", mount->destination);
    if (!options.bind && !options.remount && !options.propagation && (!mount->type || !*mount->type))
        return spec_contradiction(err, field, "%s: what is not a bind mount needs a type",
                                  mount->destination);
    return check_idmap(spec, mount, &options, field, err);
}

int spec_check_mounts(const box_spec *spec, box_error **err)
{
    char field[32];
    int r = 0;

    if (spec->n_mounts && !spec->namespaces[SPEC_NS_MOUNT].present && !spec->chroot)
        return spec_contradiction(err, "mounts",
                                  "without a mount namespace they would be mounted on the host");
    if (!spec->namespaces[SPEC_NS_MOUNT].present && !spec->chroot) {
        if (spec->masked_paths && spec->masked_paths[0])
            return spec_contradiction(err, "linux.maskedPaths",
                                      "without a mount namespace the host's would be masked");
        if (spec->readonly_paths && spec->readonly_paths[0])
            return spec_contradiction(err, "linux.readonlyPaths",
                                      "without a mount namespace the host's would be read-only");
    }
    for (size_t i = 0; i < spec->n_mounts && r == 0; i++) {
        snprintf(field, sizeof(field), "mounts[%zu]", i);
        r = check_mount(spec, &spec->mounts[i], field, err);
    }
    return r;
}
