/* Setters and getters of the program: arguments, environment, working directory, user, terminal. Once any of
 * them is set, the spec has a process. */
#include "spec/spec_util.h"

#include <string.h>
#include <unistd.h>

enum { MAX_GROUPS = 65536 }; /* NGROUPS_MAX of the kernel */

/* ---- arguments --------------------------------------------------------------------------------------- */

int box_spec_set_args(box_spec *spec, char *const args[], box_error **err)
{
    int r = spec_strv_set(&spec->process.args, args, err);

    if (r == 0)
        spec->has_process = true;
    return r;
}

int box_spec_add_arg(box_spec *spec, const char *arg, box_error **err)
{
    int r;

    if (!arg)
        return box_fail(err, BOX_EINVAL, "args: nothing is given");
    r = spec_strv_add(&spec->process.args, arg, err);
    if (r == 0)
        spec->has_process = true;
    return r;
}

char *const *box_spec_get_args(const box_spec *spec)
{
    return spec_strv_or_empty(spec->process.args);
}

/* ---- environment ------------------------------------------------------------------------------------- */

const char *box_spec_env_get(char *const *env, const char *name)
{
    return box_env_get(env, name);
}

static int need_env_name(const char *name, box_error **err)
{
    int r = spec_need_text(name, "env", err);

    if (r == 0 && strchr(name, '='))
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                          "the name of a variable cannot have a '='");
    return r;
}

int box_spec_set_env(box_spec *spec, const char *name, const char *value, box_error **err)
{
    _free_ char *text = NULL;
    int r = need_env_name(name, err);

    if (r < 0)
        return r;
    if (!value)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "env: no value is given");
    text = box_strf("%s=%s", name, value);
    if (!text || box_env_set(&spec->process.env, text) < 0)
        return box_fail_nomem(err);
    spec->has_process = true;
    return 0;
}

int box_spec_copy_env(box_spec *spec, const char *name, box_error **err)
{
    const char *value;
    int r = need_env_name(name, err);

    if (r < 0)
        return r;
    value = getenv(name);
    return value ? box_spec_set_env(spec, name, value, err) : 0;
}

int box_spec_set_env_vector(box_spec *spec, char *const env[], box_error **err)
{
    int r;

    for (size_t i = 0; env && env[i]; i++)
        if (env[i][0] == '=' || !strchr(env[i], '='))
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = env[i]},
                                 "env[%zu] must be NAME=VALUE", i);
    r = spec_strv_set(&spec->process.env, env, err);
    if (r == 0)
        spec->has_process = true;
    return r;
}

int box_spec_unset_env(box_spec *spec, const char *name, box_error **err)
{
    char **env = spec->process.env;
    int r = need_env_name(name, err);

    for (size_t i = 0; r == 0 && env && env[i];) {
        const char *rest = box_after_prefix(env[i], name);

        if (rest && *rest == '=')
            spec_strv_remove(env, i);
        else
            i++;
    }
    return r;
}

int box_spec_clear_env(box_spec *spec, box_error **err)
{
    return spec_strv_set(&spec->process.env, NULL, err);
}

const char *box_spec_get_env(const box_spec *spec, const char *name)
{
    return name ? box_spec_env_get(spec->process.env, name) : NULL;
}

char *const *box_spec_get_env_vector(const box_spec *spec)
{
    return spec_strv_or_empty(spec->process.env);
}

/* ---- working directory ------------------------------------------------------------------------------- */

int box_spec_set_cwd(box_spec *spec, const char *path, box_error **err)
{
    int r = spec_need_absolute(path, "cwd", err);

    if (r == 0)
        r = spec_string_set(&spec->process.cwd, path, err);
    if (r == 0)
        spec->has_process = true;
    return r;
}

const char *box_spec_get_cwd(const box_spec *spec)
{
    return spec->process.cwd ? spec->process.cwd : "/";
}

/* ---- user -------------------------------------------------------------------------------------------- */

/* (uid_t)-1 means "leave it" to setuid(2) and chown(2), and the kernel refuses it as an id. */
static int need_id(uint32_t id, const char *what, box_error **err)
{
    return id == UINT32_MAX ? box_fail(err, BOX_EINVAL, "%s: 4294967295 is not an id", what) : 0;
}

int box_spec_set_user(box_spec *spec, uid_t uid, gid_t gid, box_error **err)
{
    int r = need_id(uid, "user", err);

    if (r == 0)
        r = need_id(gid, "group", err);
    if (r < 0)
        return r;
    free(spec->process.user.name);
    spec->process.user.name = NULL;
    spec->process.user.keep = false;
    spec->process.user.uid = uid;
    spec->process.user.gid = gid;
    spec->has_process = true;
    return 0;
}

int box_spec_set_user_name(box_spec *spec, const char *name, box_error **err)
{
    int r;

    if (name && (!*name || *name == ':'))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = name},
                             "user: expected NAME or NAME:GROUP");
    r = spec_string_set(&spec->process.user.name, name, err);
    if (r == 0)
        spec->process.user.keep = false;
    if (r == 0)
        spec->has_process = true;
    return r;
}

int box_spec_set_groups(box_spec *spec, const gid_t *groups, size_t n, box_error **err)
{
    struct spec_user *user = &spec->process.user;
    uint32_t *copy;
    int r = 0;

    if ((!groups && n) || n > MAX_GROUPS)
        return box_fail(err, BOX_EINVAL, "groups: at most %d can be set", MAX_GROUPS);
    for (size_t i = 0; i < n && r == 0; i++)
        r = need_id(groups[i], "group", err);
    if (r == 0)
        r = spec_array_copy(&copy, groups, n, sizeof(*copy), err);
    if (r < 0)
        return r;
    free(user->additional_gids);
    user->additional_gids = copy;
    user->n_additional_gids = n;
    spec->has_process = true;
    return 0;
}

int box_spec_add_group(box_spec *spec, gid_t group, box_error **err)
{
    struct spec_user *user = &spec->process.user;
    uint32_t *added;
    int r = need_id(group, "group", err);

    if (r < 0)
        return r;
    if (user->n_additional_gids >= MAX_GROUPS)
        return box_fail(err, BOX_EINVAL, "groups: at most %d can be set", MAX_GROUPS);
    added = SPEC_ADD(user, additional_gids, n_additional_gids, err);
    if (!added)
        return BOX_ENOMEM;
    *added = group;
    spec->has_process = true;
    return 0;
}

int box_spec_set_umask(box_spec *spec, mode_t mask, box_error **err)
{
    if (mask > 0777)
        return box_fail(err, BOX_EINVAL, "umask: %o is above 0777", mask);
    spec->process.user.has_umask = true;
    spec->process.user.umask = mask;
    spec->has_process = true;
    return 0;
}

void box_spec_get_user(const box_spec *spec, uid_t *uid, gid_t *gid)
{
    const struct spec_user *user = &spec->process.user;
    bool keep = user->keep && !spec->namespaces[SPEC_NS_USER].present;

    if (uid)
        *uid = keep ? geteuid() : user->uid;
    if (gid)
        *gid = keep ? getegid() : user->gid;
}

const char *box_spec_get_user_name(const box_spec *spec)
{
    return spec->process.user.name;
}

const gid_t *box_spec_get_groups(const box_spec *spec, size_t *n)
{
    if (n)
        *n = spec->process.user.n_additional_gids;
    return spec->process.user.additional_gids;
}

/* ---- terminal and init ------------------------------------------------------------------------------- */

int box_spec_set_terminal(box_spec *spec, bool terminal, box_error **err)
{
    (void)err;
    spec->process.terminal = terminal;
    spec->has_process = true;
    return 0;
}

int box_spec_set_terminal_size(box_spec *spec, unsigned short rows, unsigned short columns, box_error **err)
{
    (void)err;
    spec->process.rows = rows;
    spec->process.columns = columns;
    return 0;
}

bool box_spec_get_terminal(const box_spec *spec)
{
    return spec->process.terminal;
}

int box_spec_set_init(box_spec *spec, bool init, box_error **err)
{
    (void)err;
    spec->init = init;
    return 0;
}

bool box_spec_get_init(const box_spec *spec)
{
    return spec->init;
}
