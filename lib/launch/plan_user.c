/* The user by name: looked up in the root's own passwd and group files, at the time the plan is made. */
#include "launch/plan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "kernel/mount_image.h"
#include "spec/users.h"

#define MAX_LAYERS 512

static int open_directory(const char *path, box_error **err)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? box_fail_sys(err, "open", path, "open the root") : fd;
}

static int look_up_at(const char *path, const char *name, struct box_users_found *found, box_error **err)
{
    _close_ int fd = open_directory(path, err);

    return fd < 0 ? fd : box_users_lookup(fd, name, found, err);
}

/* The layers of an overlay, its writable directory first: what the mount will show. */
static int look_up_in_layers(const struct spec_root *root, const char *name, struct box_users_found *found,
                             box_error **err)
{
    int fds[MAX_LAYERS], r = 0;
    size_t n = 0;

    if (root->upper) {
        r = open_directory(root->upper, err);
        if (r >= 0)
            fds[n++] = r;
    }
    for (char **lower = root->lower; r >= 0 && lower && *lower && n < MAX_LAYERS; lower++) {
        r = box_mount_image_or_directory(AT_FDCWD, *lower, err);
        if (r >= 0)
            fds[n++] = r;
    }
    if (r >= 0)
        r = box_users_lookup_layers(fds, n, name, found, err);
    while (n)
        close(fds[--n]);
    return r;
}

static int look_up(const box_spec *spec, int root_fd, struct box_users_found *found, box_error **err)
{
    const char *name = spec->process.user.name;

    if (root_fd >= 0)
        return box_users_lookup(root_fd, name, found, err);
    switch (spec->root.kind) {
    case SPEC_ROOT_DIRECTORY:
        return look_up_at(spec->root.path, name, found, err);
    case SPEC_ROOT_OVERLAY:
        return look_up_in_layers(&spec->root, name, found, err);
    default:
        return look_up_at("/", name, found, err);
    }
}

/* Groups of the spec's own are added to those of the files. The first is the user's own once more: a program that can
 * change its group would otherwise lose it, and with it what is refused to that group (CVE-2022-36109). */
static int join_groups(const struct spec_user *user, const struct box_users_found *found, struct spec_user *out)
{
    size_t n = 1 + user->n_additional_gids + found->n_groups;
    uint32_t *gids = malloc(n * sizeof(*gids));

    if (!gids)
        return BOX_ENOMEM;
    gids[0] = found->gid;
    if (user->n_additional_gids)
        memcpy(gids + 1, user->additional_gids, user->n_additional_gids * sizeof(*gids));
    if (found->n_groups)
        memcpy(gids + 1 + user->n_additional_gids, found->groups, found->n_groups * sizeof(*gids));
    out->additional_gids = gids;
    out->n_additional_gids = n;
    return 0;
}

/* HOME, when nobody has said what it is: the last entry of a new vector whose other strings are the spec's. */
static int add_home(const box_spec *spec, const char *home, struct spec_process *process)
{
    size_t n = 0;

    if (box_spec_env_get(spec->process.env, "HOME"))
        return 0;
    while (spec->process.env && spec->process.env[n])
        n++;
    char **env = malloc((n + 2) * sizeof(*env));
    char *entry = box_strf("HOME=%s", home);
    if (!env || !entry) {
        free(env);
        free(entry);
        return BOX_ENOMEM;
    }
    if (n)
        memcpy(env, spec->process.env, n * sizeof(*env));
    env[n] = entry;
    env[n + 1] = NULL;
    process->env = env;
    return 0;
}

int plan_resolve_user(const box_spec *spec, int root_fd, struct spec_process *process, box_error **err)
{
    struct box_users_found found = {0};
    int r = look_up(spec, root_fd, &found, err);

    if (r < 0)
        return box_fail_wrap(err, r, "process.user");
    process->user.uid = found.uid;
    process->user.gid = found.gid;
    r = join_groups(&spec->process.user, &found, &process->user);
    if (r >= 0)
        r = add_home(spec, found.home ? found.home : "/", process);
    box_users_found_clear(&found);
    return r < 0 ? box_fail_nomem(err) : 0;
}

void plan_clear_user(const box_spec *spec, struct spec_process *process)
{
    if (process->user.additional_gids != spec->process.user.additional_gids)
        free(process->user.additional_gids);
    if (process->env != spec->process.env) {
        size_t n = 0;
        while (process->env[n])
            n++;
        free(process->env[n - 1]);
        free(process->env);
    }
}
