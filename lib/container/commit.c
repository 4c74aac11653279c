/* A container's changes as an image; and its whole root as a tar stream. */
#include <libbox/archive.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/strings.h"
#include "container/root.h"
#include "image/pack.h"
#include "image/pack_commit.h"
#include "image/pack_out.h"
#include "image/unpack.h"

struct commit {
    box_container *container;
    const box_image *base;
    struct container_layers layers;
    char **leave_out;
    bool pause;
};

/* ---- The config: what the container was made with ---- */

static bool same_strings(char *const *a, char *const *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!a[i] || !b[i] || strcmp(a[i], b[i]) != 0)
            return false;
    return true;
}

/* Arguments that begin with the image's entrypoint leave it as it is; others had taken its place. */
static int put_command(const struct commit *c, json_object *config, box_error **err)
{
    char *const *entrypoint = box_image_entrypoint(c->base);
    char *const *args = c->container->spec->process.args;
    size_t n = box_strv_length(entrypoint), given = box_strv_length(args);

    if (given == 0)
        return 0;
    if (n > given || !same_strings(entrypoint, args, n)) {
        json_object_object_del(config, "Entrypoint");
        n = 0;
    }
    json_object_object_del(config, "Cmd");
    return given == n ? 0 : box_json_put_strings(config, "Cmd", args + n, err);
}

/* Not what every start gives by itself. */
static bool is_incidental(const char *entry)
{
    static const char *const names[] = {"HOSTNAME=", "TERM=", "HOME=", "container="};

    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        if (box_after_prefix(entry, names[i]))
            return true;
    return false;
}

static int put_environment(const struct commit *c, json_object *config, box_error **err)
{
    _strv_ char **env = NULL;
    char *const *given = c->container->spec->process.env;

    for (size_t i = 0; given && given[i]; i++)
        if (!is_incidental(given[i]) || box_strv_contains(box_image_env(c->base), given[i]))
            if (box_strv_append(&env, given[i]) < 0)
                return box_fail_nomem(err);
    return env ? box_json_put_strings(config, "Env", env, err) : 0;
}

static int put_user(const struct commit *c, json_object *config, box_error **err)
{
    const struct spec_user *user = &c->container->spec->process.user;
    _free_ char *text = user->name            ? strdup(user->name)
                        : user->uid || user->gid ? box_strf("%u:%u", user->uid, user->gid)
                                              : NULL;

    if (!text)
        return user->name || user->uid || user->gid ? box_fail_nomem(err) : 0;
    return box_json_put_string(config, "User", text, err);
}

static int change_config(json_object *config, void *data, box_error **err)
{
    const struct commit *c = data;
    const char *cwd = c->container->spec->process.cwd;
    int r = put_command(c, config, err);

    if (r == 0)
        r = put_environment(c, config, err);
    if (r == 0)
        r = put_user(c, config, err);
    if (r == 0 && cwd && *cwd && (strcmp(cwd, "/") != 0 || *box_image_workdir(c->base)))
        r = box_json_put_string(config, "WorkingDir", cwd, err);
    return r;
}

/* ---- The layer ---- */

static int pack_changes(box_tar_sink *sink, void *context, void *data, box_error **err)
{
    struct commit *c = data;
    /* One that goes on meanwhile may change what is read. */
    const bool live = c->container->run.present && !c->container->paused;
    const struct box_pack how = {
        .tar = {.sink = sink, .context = context, .idmap = c->layers.idmap, .live = live,
                .limit = box_image_limits_or_default(NULL).layer_bytes},
        .leave_out = c->leave_out};

    return box_pack_layer(c->layers.upper, &how, err);
}

/* The image as the container holds it, whatever became of its names. */
static int open_base(box_store *store, const box_container *c, box_image **image, box_error **err)
{
    struct box_index index = {0};
    struct box_index_entry entry = {0};
    int r = box_digest_parse(c->manifest, &entry.manifest, err);

    return r < 0 ? r : box_image_read(store, &index, &entry, image, err);
}

static int pause_it(struct commit *c, box_error **err)
{
    box_container *container = c->container;
    box_error *why = NULL;

    if (!container->run.present || container->paused)
        return 0;
    int r = box_container_pause(container, &why);
    if (r == 0)
        c->pause = true;
    if (r == 0 || r == BOX_EUNSUPPORTED || r == BOX_ESTATE) { /* no cgroup, or it has just ended */
        box_error_free(why);
        return 0;
    }
    if (err)
        *err = why;
    else
        box_error_free(why);
    return r;
}

static int run_commit(box_store *store, struct commit *c, const box_commit_options *o, box_image **image,
                      box_error **err)
{
    _free_ char *command = box_strv_join(c->container->spec->process.args, " ");
    const struct box_layer_on_top what = {.base = c->base,
                                          .pack = pack_changes,
                                          .data = c,
                                          .name = o->name,
                                          .author = o->author,
                                          .message = o->message,
                                          .created_by = command,
                                          .created = o->created,
                                          .change = change_config,
                                          .changes = o->changes,
                                          .options = o->archive};
    int r = command ? container_stubs(c->container, &c->layers, &c->leave_out, err) : box_fail_nomem(err);

    if (r == 0 && !o->no_pause)
        r = pause_it(c, err);
    if (r == 0)
        r = box_image_put_on_top(store, &what, image, err);
    if (c->pause)
        box_container_resume(c->container, NULL);
    return r;
}

int box_container_commit(box_store *store, box_container *container, const box_commit_options *options,
                         box_image **image, box_error **err)
{
    static const box_commit_options usual = BOX_COMMIT_OPTIONS_INIT;
    _cleanup_(box_image) box_image *base = NULL;
    struct commit c = {.container = container, .layers = CONTAINER_LAYERS_NONE};

    options = options ? options : &usual;
    if (!store || !container || options->version != 1)
        return box_fail(err, BOX_EINVAL, "a store and a container are needed, and options of version 1");
    int r = container_layers_open(container, &c.layers, err);
    if (r == 0)
        r = open_base(store, container, &base, err);
    c.base = base;
    if (r == 0)
        r = run_commit(store, &c, options, image, err);
    container_layers_close(&c.layers);
    box_strv_free(c.leave_out);
    return r < 0 ? box_fail_wrap(err, r, "commit") : 0;
}

/* ---- The whole root ---- */

static int pack_root(box_tar_sink *sink, void *context, void *data, box_error **err)
{
    const struct container_root *root = data;
    const struct box_pack how = {
        .tar = {.sink = sink, .context = context, .idmap = root->idmap, .live = root->live},
        .one_filesystem = root->live};

    return box_pack_tree(root->layers.fds, root->layers.n, "", &how, err);
}

static int export(box_container *container, int fd, box_archive_write_fn *write, void *context,
                  const box_archive_options *options, box_error **err)
{
    _container_root_ struct container_root root = CONTAINER_ROOT_NONE;
    int r = container_root_open(container, &root, err);

    if (r == 0)
        r = box_pack_to(options, fd, write, context, pack_root, &root, err);
    return r < 0 ? box_fail_wrap(err, r, "export") : 0;
}

int box_container_export(box_container *container, int fd, const box_archive_options *options, box_error **err)
{
    return export(container, fd, NULL, NULL, options, err);
}

int box_container_export_to(box_container *container, box_archive_write_fn *write, void *context,
                            const box_archive_options *options, box_error **err)
{
    if (!write)
        return box_fail(err, BOX_EINVAL, "box_container_export_to: write must not be NULL");
    return export(container, -1, write, context, options, err);
}
