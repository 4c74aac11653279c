/* A container's files: see root.h. */
#include "container/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"

/* ---- The root ---- */

void container_root_close(struct container_root *root)
{
    box_layer_fds_close(&root->layers);
    box_cleanup_close(&root->lock);
    *root = CONTAINER_ROOT_NONE;
}

/* By way of its first process; looked at afterwards to have been that process still. */
static int open_live(box_container *c, struct container_root *root, box_error **err)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/root", (int)c->run.pid);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == EACCES) /* a root that its owner may pass through only */
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return box_fail_sys(err, "open", path, "open the root of container %s", c->name);
    if (!container_alive(c)) {
        close(fd);
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name}, "container %s has ended",
                             c->name);
    }
    root->live = true;
    root->idmap = c->spec->idmap;
    return box_layer_fds_add(&root->layers, fd, err);
}

static int open_directory(const char *path, struct box_layer_fds *layers, box_error **err)
{
    char *const paths[] = {(char *)path, NULL};

    return box_layer_fds_open(paths, layers, err);
}

/* With an id map, and as root, the layers are owned as the image has it, and shown otherwise by the mount. An ordinary
 * user's own are owned by whom the kernel made them: through the map. */
static const struct box_idmap *map_on_disk(const box_container *c)
{
    return geteuid() == 0 && c->spec->root.kind == SPEC_ROOT_OVERLAY ? NULL : c->spec->idmap;
}

static int open_dead(box_container *c, struct container_root *root, box_error **err)
{
    const struct spec_root *r = &c->spec->root;

    root->idmap = map_on_disk(c);
    root->readonly = r->readonly;
    if (r->kind == SPEC_ROOT_DIRECTORY)
        return open_directory(r->path, &root->layers, err);
    if (r->kind != SPEC_ROOT_OVERLAY || !r->upper)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = c->name},
                             "container %s has no root of its own while it does not run", c->name);
    root->overlay = true;
    int result = open_directory(r->upper, &root->layers, err);
    return result < 0 ? result : box_layer_fds_open(r->lower, &root->layers, err);
}

/* Its lock, and whether it runs, as of then. */
static int lock_and_look(box_container *c, int *lock, box_error **err)
{
    int r = box_container_refresh(c, err);

    if (r < 0)
        return r;
    *lock = container_lock(c, err);
    return *lock < 0 ? *lock : container_load_run(c, err);
}

int container_root_open(box_container *c, struct container_root *root, box_error **err)
{
    *root = CONTAINER_ROOT_NONE;
    if (!c)
        return box_fail(err, BOX_EINVAL, "the container must not be NULL");
    int r = lock_and_look(c, &root->lock, err);
    if (r == 0 && c->run.present && c->run.pid) {
        box_cleanup_close(&root->lock); /* others may go on with it */
        root->lock = -1;
        r = open_live(c, root, err);
    } else if (r == 0) {
        r = open_dead(c, root, err);
    }
    if (r < 0)
        container_root_close(root);
    return r;
}

/* ---- Layers ---- */

void container_layers_close(struct container_layers *layers)
{
    box_cleanup_close(&layers->upper);
    box_layer_fds_close(&layers->lower);
    box_cleanup_close(&layers->lock);
    *layers = CONTAINER_LAYERS_NONE;
}

static int open_layers(box_container *c, struct container_layers *layers, box_error **err)
{
    int r = lock_and_look(c, &layers->lock, err);

    if (r < 0)
        return r;
    const struct spec_root *root = &c->spec->root; /* as it has just been read */
    if (root->kind != SPEC_ROOT_OVERLAY || !root->upper || !c->manifest)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = c->name},
                             "the root of container %s is no image", c->name);
    if (c->run.present) {
        box_cleanup_close(&layers->lock);
        layers->lock = -1;
    }
    layers->idmap = map_on_disk(c);
    layers->upper = open(root->upper, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layers->upper < 0)
        return box_fail_sys(err, "open", root->upper, "open the writable layer of container %s", c->name);
    return box_layer_fds_open(root->lower, &layers->lower, err);
}

int container_layers_open(box_container *c, struct container_layers *layers, box_error **err)
{
    *layers = CONTAINER_LAYERS_NONE;
    if (!c)
        return box_fail(err, BOX_EINVAL, "the container must not be NULL");
    int r = open_layers(c, layers, err);
    if (r < 0)
        container_layers_close(layers);
    return r;
}

/* ---- Stubs ---- */

struct stubs {
    const struct container_layers *layers;
    char **targets; /* where something was mounted: paths without links */
    char **paths;   /* found */
};

static bool lower_has(const struct stubs *s, const char *path, struct stat *st)
{
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    const char *slash = strrchr(path, '/');
    _free_ char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
    size_t part;

    return above && box_union_walk(s->layers->lower.fds, s->layers->lower.n, above, &dir, NULL) == 1 &&
           box_union_look(&dir, slash ? slash + 1 : path, &part, st, NULL) == 1;
}

/* The last component in the writable layer: a descriptor of its directory, or -1. */
static int upper_parent(const struct stubs *s, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    _free_ char *above = strndup(path, slash ? (size_t)(slash - path) : 0);
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;

    *name = slash ? slash + 1 : path;
    if (!above || box_union_walk(&s->layers->upper, 1, above, &dir, NULL) != 1)
        return -1;
    return fcntl(dir.fds[0], F_DUPFD_CLOEXEC, 3);
}

static bool is_target(const struct stubs *s, const char *path)
{
    return box_strv_contains(s->targets, path);
}

/* Whether all that is in a directory was found to be a stub. */
static bool only_stubs(const struct stubs *s, int dirfd, const char *name, const char *path)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    bool only = d != NULL;

    if (!d)
        box_cleanup_close(&fd);
    for (struct dirent *e = d ? readdir(d) : NULL; only && e; e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        _free_ char *below = box_strf("%s/%s", path, e->d_name);
        only = below && box_strv_contains(s->paths, below);
    }
    return only;
}

static bool same_but_time(const struct stat *a, const struct stat *b)
{
    return S_ISDIR(a->st_mode) && a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid;
}

/* A target, or a directory on the way to one, from the inside out. */
static int look_at(struct stubs *s, const char *path, box_error **err)
{
    struct stat st, below;
    const char *name;
    _close_ int dirfd = upper_parent(s, path, &name);

    if (dirfd < 0 || box_strv_contains(s->paths, path) || fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    bool had = lower_has(s, path, &below);
    bool stub;
    if (S_ISDIR(st.st_mode))
        stub = only_stubs(s, dirfd, name, path) && (had ? same_but_time(&st, &below) : true);
    else
        stub = S_ISREG(st.st_mode) && st.st_size == 0 && !had && is_target(s, path);
    return stub && box_strv_append(&s->paths, path) < 0 ? box_fail_nomem(err) : 0;
}

/* Where a mount lies, with the links of the image followed. */
static int add_target(struct stubs *s, const char *destination, box_error **err)
{
    const size_t n = s->layers->lower.n + 1;
    _free_ int *fds = calloc(n, sizeof(*fds));
    char path[PATH_MAX];
    struct stat st;

    if (!fds)
        return box_fail_nomem(err);
    fds[0] = s->layers->upper;
    memcpy(fds + 1, s->layers->lower.fds, (n - 1) * sizeof(*fds));
    if (box_union_resolve(fds, n, destination, true, path, &st, NULL) < 0 || !*path)
        return 0; /* not made (any more) */
    return box_strv_append(&s->targets, path) < 0 ? box_fail_nomem(err) : 0;
}

static int deepest_first(const void *a, const void *b)
{
    size_t x = strlen(*(char *const *)a), y = strlen(*(char *const *)b);

    return x < y ? 1 : x > y ? -1 : strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int find_stubs(struct stubs *s, box_error **err)
{
    _strv_ char **all = NULL; /* targets, and the directories on the way to them */
    int r = 0;

    for (size_t i = 0; i < box_strv_length(s->targets); i++) {
        _free_ char *path = strdup(s->targets[i]);
        for (char *slash = path; slash; slash = strrchr(path, '/')) {
            if (slash != path)
                *slash = '\0';
            if (!box_strv_contains(all, path) && box_strv_append(&all, path) < 0)
                return box_fail_nomem(err);
        }
        if (!path)
            return box_fail_nomem(err);
    }
    if (all)
        qsort(all, box_strv_length(all), sizeof(*all), deepest_first);
    for (size_t i = 0; r == 0 && i < box_strv_length(all); i++)
        r = look_at(s, all[i], err);
    return r;
}

int container_stubs(const box_container *c, const struct container_layers *layers, char ***paths, box_error **err)
{
    static const char *const always[] = {"/dev", "/proc", "/sys", "/run", "/dev/pts", "/dev/shm", "/dev/mqueue"};
    struct stubs s = {.layers = layers};
    int r = 0;

    for (size_t i = 0; r == 0 && i < c->spec->n_mounts; i++)
        r = add_target(&s, c->spec->mounts[i].destination, err);
    for (size_t i = 0; r == 0 && i < BOX_ARRAY(always); i++)
        r = add_target(&s, always[i], err);
    if (r == 0)
        r = find_stubs(&s, err);
    box_strv_free(s.targets);
    if (r < 0) {
        box_strv_free(s.paths);
        return r;
    }
    if (s.paths)
        qsort(s.paths, box_strv_length(s.paths), sizeof(*s.paths), by_text);
    *paths = s.paths;
    return 0;
}
