/* What an image says about its process, put into a spec by Docker's rules. */
#include "image/image.h"

#include <string.h>

#include "base/strings.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static bool has_any(char *const *vector)
{
    return vector && vector[0];
}

static int append_all(char ***to, char *const *from)
{
    int r = 0;

    for (size_t i = 0; r == 0 && from && from[i]; i++)
        r = box_strv_append(to, from[i]);
    return r;
}

/* An entrypoint that the caller gives makes the image's cmd meaningless: it was written for the other one. */
static int set_args(const box_image *image, box_spec *spec, const box_image_run *run, box_error **err)
{
    _strv_ char **args = box_strv_dup(NULL);
    char *const *entrypoint = run->entrypoint ? run->entrypoint : image->config.entrypoint;
    char *const *rest = has_any(run->args) ? run->args : run->entrypoint ? NULL : image->config.cmd;
    bool none = run->entrypoint && (!run->entrypoint[0] || !run->entrypoint[0][0]);

    if (!args || (!none && append_all(&args, entrypoint) < 0) || append_all(&args, rest) < 0)
        return box_fail_nomem(err);
    if (!args[0] || !args[0][0]) {
        struct box_fail_info info = {
            .code = BOX_ESPEC, .subject = "process.args", .remedy = "say which program is to run"};
        return box_fail_with(err, &info, "the image has neither an entrypoint nor a command");
    }
    return box_spec_set_args(spec, args, err);
}

static void unset(char **env, const char *name)
{
    size_t n = strlen(name), kept = 0;

    for (size_t i = 0; env[i]; i++) {
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=')
            free(env[i]);
        else
            env[kept++] = env[i];
    }
    env[kept] = NULL;
}

/* "NAME=value" sets; "NAME" alone takes away, if that is meant. */
static int merge(char ***env, char *const *from, bool may_unset)
{
    int r = 0;

    for (size_t i = 0; r == 0 && from && from[i]; i++) {
        const char *equals = strchr(from[i], '=');
        if (equals && equals != from[i])
            r = box_env_set(env, from[i]);
        else if (!equals && may_unset)
            unset(*env, from[i]);
    }
    return r;
}

static int set_env(const box_image *image, box_spec *spec, const box_image_run *run, box_error **err)
{
    _strv_ char **env = box_strv_dup(box_spec_get_env_vector(spec));

    if (!env || merge(&env, image->config.env, false) < 0)
        return box_fail_nomem(err);
    if (!box_env_get(env, "PATH") && box_env_set(&env, DEFAULT_PATH) < 0)
        return box_fail_nomem(err);
    if (merge(&env, run->env, true) < 0)
        return box_fail_nomem(err);
    return box_spec_set_env_vector(spec, env, err);
}

static int set_workdir(const box_image *image, box_spec *spec, const box_image_run *run, box_error **err)
{
    const char *dir = run->workdir ? run->workdir : image->config.workdir;

    if (!*dir)
        return 0;
    _free_ char *path = box_strf("%s%s", *dir == '/' ? "" : "/", dir);
    return path ? box_spec_set_cwd(spec, path, err) : box_fail_nomem(err);
}

int box_image_apply_to_spec(const box_image *image, box_spec *spec, const box_image_run *run, box_error **err)
{
    static const box_image_run nothing;

    if (!image || !spec)
        return box_fail(err, BOX_EINVAL, "box_image_apply_to_spec: image and spec must not be NULL");
    run = run ? run : &nothing;
    int r = set_args(image, spec, run, err);
    if (r == 0)
        r = set_env(image, spec, run, err);
    if (r == 0)
        r = set_workdir(image, spec, run, err);
    if (r == 0) {
        const char *user = run->user ? run->user : image->config.user;
        r = *user ? box_spec_set_user_name(spec, user, err) : 0;
    }
    return r < 0 ? box_fail_wrap(err, r, "image %s", image->id) : 0;
}
