/* Setters and getters of the root file system and of the mounts below it. */
#include "spec/spec_util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include <libbox/idmap.h>

#include "kernel/mount_options.h"

/* ---- root -------------------------------------------------------------------------------------------- */

/* Takes a whole new root; how the root is used (readonly, scratch size) stays as it was said. */
static void replace_root(box_spec *spec, const struct spec_root *new)
{
    struct spec_root *root = &spec->root;

    free(root->path);
    box_strv_free(root->lower);
    free(root->upper);
    free(root->work);
    root->kind = new->kind;
    root->path = new->path;
    root->lower = new->lower;
    root->upper = new->upper;
    root->work = new->work;
}

int box_spec_set_root(box_spec *spec, const char *directory, box_error **err)
{
    struct spec_root root = {.kind = SPEC_ROOT_DIRECTORY};
    int r = spec_need_text(directory, "root", err);

    if (r == 0)
        r = spec_string_set(&root.path, directory, err);
    if (r == 0)
        replace_root(spec, &root);
    return r;
}

int box_spec_set_root_overlay(box_spec *spec, char *const lower[], const char *upper, const char *work,
                              box_error **err)
{
    struct spec_root root = {.kind = SPEC_ROOT_OVERLAY};
    _strv_ char **layers = NULL;
    _free_ char *upperdir = NULL, *workdir = NULL;
    int r;

    if (!lower || !lower[0])
        return box_fail(err, BOX_EINVAL, "root: an overlay needs at least one layer");
    if (!upper != !work)
        return box_fail(err, BOX_EINVAL, "root: upper and work go together");
    for (size_t i = 0; lower[i]; i++) {
        r = spec_need_absolute(lower[i], "a layer of the root", err);
        if (r < 0)
            return r;
    }
    r = upper ? spec_need_absolute(upper, "the root's upper directory", err) : 0;
    if (r == 0 && work)
        r = spec_need_absolute(work, "the root's work directory", err);
    if (r == 0)
        r = spec_strv_set(&layers, lower, err);
    if (r == 0)
        r = spec_string_set(&upperdir, upper, err);
    if (r == 0)
        r = spec_string_set(&workdir, work, err);
    if (r < 0)
        return r;
    root.lower = box_take(layers);
    root.upper = box_take(upperdir);
    root.work = box_take(workdir);
    replace_root(spec, &root);
    return 0;
}

int box_spec_set_root_host(box_spec *spec, box_error **err)
{
    (void)err;
    replace_root(spec, &(struct spec_root){.kind = SPEC_ROOT_HOST});
    return 0;
}

int box_spec_set_scratch_size(box_spec *spec, uint64_t bytes, box_error **err)
{
    (void)err;
    spec->root.scratch_size = bytes;
    return 0;
}

int box_spec_set_root_readonly(box_spec *spec, bool readonly, box_error **err)
{
    (void)err;
    spec->root.readonly = readonly;
    return 0;
}

bool spec_propagation_known(const char *name)
{
    static const char *const names[] = {
        "private", "rprivate", "shared", "rshared", "slave", "rslave", "unbindable", "runbindable",
    };

    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

int box_spec_set_root_propagation(box_spec *spec, const char *propagation, box_error **err)
{
    if (propagation && !spec_propagation_known(propagation))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = propagation},
                             "rootfsPropagation is none of [r]shared, [r]slave, [r]private, [r]unbindable");
    return spec_string_set(&spec->rootfs_propagation, propagation, err);
}

const char *box_spec_get_root(const box_spec *spec)
{
    return spec->root.path;
}

bool box_spec_get_root_readonly(const box_spec *spec)
{
    return spec->root.readonly;
}

/* ---- mounts ------------------------------------------------------------------------------------------ */

/* "nosuid,mode=755" as OCI's list; a comma within double quotes belongs to its option, as in fstab(5). */
static int split_options(const char *text, char ***options, box_error **err)
{
    bool quoted = false;
    const char *start = text;

    for (const char *p = text; p; p++) {
        if (*p == '"')
            quoted = !quoted;
        if (*p && (*p != ',' || quoted))
            continue;
        if (p > start) {
            if (box_strv_append_take(options, strndup(start, (size_t)(p - start))) < 0)
                return box_fail_nomem(err);
        }
        if (!*p)
            break;
        start = p + 1;
    }
    return quoted ? box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = text},
                                  "mount options: a quote is not closed")
                  : 0;
}

/* Appends a mount whose fields become the spec's, also on failure. */
static int take_mount(box_spec *spec, struct spec_mount *mount, const char *first, const char *second,
                      box_error **err)
{
    struct spec_mount *added = NULL;
    int r = split_options(first, &mount->options, err);

    if (r == 0)
        r = split_options(second, &mount->options, err);
    if (r == 0) {
        added = SPEC_ADD(spec, mounts, n_mounts, err);
        r = added ? 0 : BOX_ENOMEM;
    }
    if (added)
        *added = *mount;
    else
        spec_owned_clear(mount, &spec_mount_type);
    return r;
}

static int add_mount(box_spec *spec, const char *type, const char *source, const char *destination,
                     const char *first, const char *second, box_error **err)
{
    struct spec_mount mount = {.source_fd = -1};
    int r = spec_need_absolute(destination, "the destination of a mount", err);

    if (r == 0)
        r = spec_string_set(&mount.type, type, err);
    if (r == 0)
        r = spec_string_set(&mount.source, source, err);
    if (r == 0)
        r = spec_string_set(&mount.destination, destination, err);
    if (r < 0) {
        spec_owned_clear(&mount, &spec_mount_type);
        return r;
    }
    return take_mount(spec, &mount, first, second, err);
}

int box_spec_add_mount(box_spec *spec, const char *type, const char *source, const char *destination,
                       const char *options, box_error **err)
{
    return add_mount(spec, type, source, destination, NULL, options, err);
}

int box_spec_add_bind(box_spec *spec, const char *source, const char *destination, const char *options,
                      box_error **err)
{
    int r = spec_need_absolute(source, "the source of a bind mount", err);

    return r < 0 ? r : add_mount(spec, "bind", source, destination, "rbind,rprivate", options, err);
}

int box_spec_add_bind_fd(box_spec *spec, int source, const char *destination, const char *options,
                         box_error **err)
{
    struct spec_mount mount = {.source_fd = -1};
    int r = spec_need_absolute(destination, "the destination of a mount", err);

    if (r < 0)
        return r;
    mount.source_fd = fcntl(source, F_DUPFD_CLOEXEC, 3);
    if (mount.source_fd < 0)
        return box_fail_sys(err, "fcntl", destination, "duplicate the source of a bind mount");
    r = spec_string_set(&mount.type, "bind", err);
    if (r == 0)
        r = spec_string_set(&mount.destination, destination, err);
    if (r < 0) {
        spec_owned_clear(&mount, &spec_mount_type);
        return r;
    }
    return take_mount(spec, &mount, "rbind,rprivate", options, err);
}

int box_spec_add_tmpfs(box_spec *spec, const char *destination, uint64_t size, mode_t mode,
                       const char *options, box_error **err)
{
    char own[96];
    int n = snprintf(own, sizeof(own), "nosuid,nodev,mode=%o", mode & 07777);

    if (size)
        snprintf(own + n, sizeof(own) - (size_t)n, ",size=%" PRIu64, size);
    return add_mount(spec, "tmpfs", "tmpfs", destination, own, options, err);
}

int box_spec_add_volume(box_spec *spec, const char *directory, const char *destination, const char *options,
                        box_error **err)
{
    int r = spec_need_absolute(directory, "the directory of a volume", err);

    return r < 0
               ? r
               : add_mount(spec, "bind", directory, destination, "rbind,rprivate,nosuid,nodev", options, err);
}

/* The last mount added for a destination. */
static struct spec_mount *find_mount(box_spec *spec, const char *destination, box_error **err)
{
    if (spec_need_text(destination, "the destination of a mount", err) < 0)
        return NULL;
    for (size_t i = spec->n_mounts; i-- > 0;)
        if (!strcmp(spec->mounts[i].destination, destination))
            return &spec->mounts[i];
    box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = destination},
                  "the spec has no mount for this destination");
    return NULL;
}

static int not_found(const char *destination)
{
    return destination && *destination ? BOX_ENOTFOUND : BOX_EINVAL;
}

/* OCI wants an option beside the mappings, so that a runtime which does not know them refuses the mount. */
static int sync_idmap_option(struct spec_mount *mount, bool mapped, box_error **err)
{
    bool there = box_strv_contains(mount->options, "idmap") || box_strv_contains(mount->options, "ridmap");

    if (mapped)
        return there ? 0
                     : spec_strv_add(&mount->options,
                                     box_strv_contains(mount->options, "rbind") ? "ridmap" : "idmap", err);
    for (size_t i = 0; mount->options && mount->options[i];) {
        if (box_streq(mount->options[i], "idmap") || box_streq(mount->options[i], "ridmap"))
            spec_strv_remove(mount->options, i);
        else
            i++;
    }
    return 0;
}

int box_spec_set_mount_idmap(box_spec *spec, const char *destination, const struct box_idmap *idmap,
                             box_error **err)
{
    struct spec_mount *mount = find_mount(spec, destination, err);
    struct box_idmap *copy;

    if (!mount)
        return not_found(destination);
    copy = idmap ? box_idmap_copy(idmap, err) : NULL;
    if (idmap && !copy)
        return spec_code(err);
    if (sync_idmap_option(mount, idmap != NULL, err) < 0) {
        box_idmap_free(copy);
        return BOX_ENOMEM;
    }
    box_idmap_free(mount->idmap);
    mount->idmap = copy;
    return 0;
}

int box_spec_set_mount_optional(box_spec *spec, const char *destination, bool optional, box_error **err)
{
    struct spec_mount *mount = find_mount(spec, destination, err);

    if (!mount)
        return not_found(destination);
    mount->optional = optional;
    return 0;
}

int box_spec_remove_mount(box_spec *spec, const char *destination, box_error **err)
{
    struct spec_mount *mount = find_mount(spec, destination, err);
    _free_ char *name = NULL; /* the caller may have it from the very mount that goes */
    int r;

    if (!mount)
        return not_found(destination);
    r = spec_string_set(&name, destination, err);
    if (r < 0)
        return r;
    for (; mount; mount = find_mount(spec, name, NULL)) {
        spec_owned_clear(mount, &spec_mount_type);
        spec_array_remove(spec->mounts, &spec->n_mounts, sizeof(*mount), (size_t)(mount - spec->mounts));
    }
    return 0;
}

int box_spec_clear_mounts(box_spec *spec, box_error **err)
{
    (void)err;
    for (size_t i = 0; i < spec->n_mounts; i++)
        spec_owned_clear(&spec->mounts[i], &spec_mount_type);
    spec->n_mounts = 0;
    return 0;
}

size_t box_spec_count_mounts(const box_spec *spec)
{
    return spec->n_mounts;
}

int box_spec_get_mount(const box_spec *spec, size_t index, struct box_spec_mount *mount, box_error **err)
{
    const struct spec_mount *m;

    if (index >= spec->n_mounts)
        return box_fail(err, BOX_ENOTFOUND, "the spec has %zu mounts, and none of number %zu", spec->n_mounts,
                        index);
    m = &spec->mounts[index];
    *mount = (struct box_spec_mount){
        .destination = m->destination,
        .type = m->type,
        .source = m->source,
        .options = spec_strv_or_empty(m->options),
        .optional = m->optional,
        .idmap = m->idmap,
        .source_fd = m->source_fd,
    };
    return 0;
}
