/* The union of layers, a directory at a time. The first layer that has a name decides about it; a whiteout, or
 * anything that is no directory, hides what lies below, and so does an opaque directory.
 * kernel.org, filesystems/overlayfs. */
#include "image/pack_union.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "image/image.h"
#include "kernel/mount.h"
#include "kernel/mount_image.h"
#include "spec/layers.h"

#define LINKS_MAX 40

/* ---- Layers ---- */

void box_layer_fds_close(struct box_layer_fds *layers)
{
    for (size_t i = 0; i < layers->n; i++)
        close(layers->fds[i]);
    free(layers->fds);
    *layers = (struct box_layer_fds){0};
}

int box_layer_fds_add(struct box_layer_fds *layers, int fd, box_error **err)
{
    int *grown = realloc(layers->fds, (layers->n + 1) * sizeof(*grown));

    if (!grown) {
        close(fd);
        return box_fail_nomem(err);
    }
    layers->fds = grown;
    layers->fds[layers->n++] = fd;
    return 0;
}

/* The one way to the tree of a layer, whatever form it is kept in: an image is mounted for us alone and attached nowhere,
 * and what is opened below keeps it alive. The mount's own descriptor is O_PATH; reading needs another. */
static int open_layer(const char *path, box_error **err)
{
    _close_ int top = box_mount_image_or_directory(AT_FDCWD, path, err);

    if (top < 0)
        return top;
    int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? box_fail_sys(err, "open", path, "cannot open the layer %s", path) : fd;
}

int box_layer_fds_open(char *const *paths, struct box_layer_fds *layers, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && paths && paths[i]; i++) {
        int fd = open_layer(paths[i], err);
        r = fd < 0 ? fd : box_layer_fds_add(layers, fd, err);
    }
    return r;
}

int box_image_open_layers(const box_image *image, struct box_layer_fds *layers, box_error **err)
{
    _strv_ char **dirs = NULL;
    int r = box_image_layer_dirs(image, &dirs, err);

    return r < 0 ? r : box_layer_fds_open(dirs, layers, err);
}

int box_image_open_layer(const box_image *image, size_t index, box_error **err)
{
    _free_ char *tree = box_strf("%s/layers/%s/diff", image->root, image->layer_names[index]);
    _free_ char *file = box_strf("%s/layers/%s/layer.erofs", image->root, image->layer_names[index]);

    if (!tree || !file)
        return box_fail_nomem(err);
    return open_layer(access(tree, F_OK) < 0 && access(file, F_OK) == 0 ? file : tree, err);
}

/* ---- Directories ---- */

void box_union_dir_close(struct box_union_dir *dir)
{
    for (size_t i = 0; i < dir->n; i++)
        close(dir->fds[i]);
    free(dir->fds);
    *dir = BOX_UNION_DIR_NONE;
}

bool box_is_opaque(int fd)
{
    char value = 0;

    return box_overlay_mark(fd, "opaque", &value, 1) == 1 && value == 'y';
}

static int dir_new(size_t most, struct box_union_dir *dir, box_error **err)
{
    dir->n = 0;
    dir->fds = calloc(most ? most : 1, sizeof(*dir->fds));
    return dir->fds ? 0 : box_fail_nomem(err);
}

int box_union_root(const int *layers, size_t n, struct box_union_dir *dir, box_error **err)
{
    int r = dir_new(n, dir, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        int fd = openat(layers[i], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            r = box_fail_sys(err, "open", NULL, "cannot open the top of a layer");
        else
            dir->fds[dir->n++] = fd;
    }
    if (r < 0)
        box_union_dir_close(dir);
    return r;
}

static bool is_gone(int errnum)
{
    return errnum == ENOENT || errnum == ENOTDIR || errnum == ELOOP;
}

int box_union_enter(const struct box_union_dir *dir, const char *name, size_t part, struct box_union_dir *child,
                    box_error **err)
{
    int r = dir_new(dir->n - part, child, err);

    for (size_t i = part; r == 0 && i < dir->n; i++) {
        struct stat st;
        if (fstatat(dir->fds[i], name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT)
                continue;
            r = box_fail_sys(err, "fstatat", name, "cannot look at \"%s\"", name);
            break;
        }
        if (!S_ISDIR(st.st_mode))
            break; /* a whiteout, or something that hides the rest */
        int fd = openat(dir->fds[i], name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && is_gone(errno))
            break;
        if (fd < 0) {
            r = box_fail_sys(err, "openat", name, "cannot open the directory \"%s\"", name);
            break;
        }
        child->fds[child->n++] = fd;
        if (i + 1 < dir->n && box_is_opaque(fd))
            break;
    }
    if (r < 0 || child->n == 0) {
        box_union_dir_close(child);
        return r;
    }
    return 1;
}

int box_union_look(const struct box_union_dir *dir, const char *name, size_t *part, struct stat *st,
                   box_error **err)
{
    for (size_t i = 0; i < dir->n; i++) {
        if (fstatat(dir->fds[i], name, st, AT_SYMLINK_NOFOLLOW) == 0) {
            *part = i;
            return box_is_whiteout(st) ? 0 : 1;
        }
        if (errno != ENOENT)
            return box_fail_sys(err, "fstatat", name, "cannot look at \"%s\"", name);
    }
    return 0;
}

int box_union_walk(const int *layers, size_t n, const char *path, struct box_union_dir *out, box_error **err)
{
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    _strv_ char **names = box_strv_split(path, '/');
    int r = names ? box_union_root(layers, n, &dir, err) : box_fail_nomem(err);

    for (size_t i = 0; r >= 0 && names[i]; i++) {
        struct box_union_dir child = BOX_UNION_DIR_NONE;
        struct stat st;
        size_t part;
        if (!*names[i])
            continue;
        r = box_union_look(&dir, names[i], &part, &st, err);
        if (r == 1)
            r = box_union_enter(&dir, names[i], part, &child, err);
        if (r != 1)
            return r;
        box_union_dir_close(&dir);
        dir = child;
    }
    if (r < 0)
        return r;
    *out = dir;
    dir = BOX_UNION_DIR_NONE;
    return 1;
}

/* ---- Names ---- */

void box_union_names_clear(struct box_union_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->items[i].name);
    free(names->items);
    *names = (struct box_union_names){0};
}

static int by_name(const void *a, const void *b)
{
    const struct box_union_name *x = a, *y = b;
    int r = strcmp(x->name, y->name);

    return r ? r : x->part < y->part ? -1 : x->part > y->part;
}

static int read_part(const struct box_union_dir *dir, size_t part, const char *path,
                     struct box_union_names *names, box_error **err)
{
    int copy = openat(dir->fds[part], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *d = copy < 0 ? NULL : fdopendir(copy);

    if (!d) {
        box_cleanup_close(&copy);
        return box_fail_sys(err, "opendir", path, "cannot read the directory \"%s\"", path);
    }
    errno = 0;
    for (struct dirent *e = readdir(d); e; errno = 0, e = readdir(d)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        struct box_union_name *slot = box_array_add(&names->items, &names->n, &names->capacity);
        if (!slot || !(slot->name = strdup(e->d_name))) {
            names->n -= slot != NULL;
            return box_fail_nomem(err);
        }
        slot->part = part;
    }
    return errno ? box_fail_sys(err, "readdir", path, "cannot read the directory \"%s\"", path) : 0;
}

/* Of each name the topmost, with what it is. */
static int settle(const struct box_union_dir *dir, const char *path, bool whiteouts,
                  struct box_union_names *names, box_error **err)
{
    size_t kept = 0;
    const char *before = NULL;
    int r = 0;

    for (size_t i = 0; i < names->n; i++) {
        struct box_union_name *at = &names->items[i];
        bool same = before && strcmp(before, at->name) == 0;
        bool keep = r == 0 && !same;
        if (keep && fstatat(dir->fds[at->part], at->name, &at->st, AT_SYMLINK_NOFOLLOW) < 0) {
            keep = false;
            if (errno != ENOENT)
                r = box_fail_sys(err, "fstatat", path, "cannot look at \"%s/%s\"", path, at->name);
        }
        /* A whiteout is kept to the end of this loop: it hides the same name in the layers below. */
        if (!keep) {
            free(at->name);
            continue;
        }
        names->items[kept] = *at;
        before = names->items[kept++].name;
    }
    names->n = kept;
    for (size_t i = kept = 0; i < names->n; i++) {
        if (!whiteouts && box_is_whiteout(&names->items[i].st))
            free(names->items[i].name);
        else
            names->items[kept++] = names->items[i];
    }
    names->n = kept;
    return r;
}

int box_union_list(const struct box_union_dir *dir, const char *path, bool whiteouts,
                   struct box_union_names *names, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < dir->n; i++)
        r = read_part(dir, i, path, names, err);
    if (r < 0)
        return r;
    if (names->n)
        qsort(names->items, names->n, sizeof(*names->items), by_name);
    return settle(dir, path, whiteouts, names, err);
}

/* ---- Links ---- */

struct resolving {
    const int *layers;
    size_t n;
    char *out;             /* what is resolved, without a slash in front */
    char rest[2 * PATH_MAX]; /* what is still to be */
    unsigned links;
};

static void drop_last(char *path)
{
    char *slash = strrchr(path, '/');

    *(slash ? slash : path) = '\0';
}

/* Puts what a link leads to in front of the rest. */
static int expand(struct resolving *s, const struct box_layers_found *found, const char *name, box_error **err)
{
    char target[PATH_MAX], joined[sizeof(s->rest)];
    ssize_t n = readlinkat(found->dirfd, name, target, sizeof(target) - 1);

    if (n < 0)
        return box_fail_sys(err, "readlinkat", name, "cannot read the link \"%s\"", name);
    target[n] = '\0';
    if (++s->links > LINKS_MAX || (size_t)n + strlen(s->rest) + 2 > sizeof(joined)) {
        struct box_fail_info info = {.code = BOX_ELIMIT, .subject = name};
        return box_fail_with(err, &info, "there are too many links at \"%s\"", name);
    }
    memcpy(joined, target, (size_t)n);
    joined[n] = '\0';
    if (s->rest[0]) { /* a slash at the end would ask for a directory */
        joined[n] = '/';
        box_text_copy(joined + n + 1, sizeof(joined) - n - 1, s->rest);
    }
    box_text_copy(s->rest, sizeof(s->rest), joined);
    drop_last(s->out);
    if (target[0] == '/')
        s->out[0] = '\0';
    return 0;
}

static int append(struct resolving *s, const char *name, size_t length, box_error **err)
{
    size_t at = strlen(s->out);

    if (at + 1 + length >= PATH_MAX || length > NAME_MAX)
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    if (at)
        s->out[at++] = '/';
    memcpy(s->out + at, name, length);
    s->out[at + length] = '\0';
    return 0;
}

static int missing(const char *path, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = path};

    return box_fail_with(err, &info, "there is no \"/%s\"", path);
}

/* One component; *more: something stands behind it, so that it must be a directory. */
static int step(struct resolving *s, bool last, struct stat *st, box_error **err)
{
    struct box_layers_found found = {.dirfd = -1};
    char name[NAME_MAX + 1];
    size_t skip = strspn(s->rest, "/");
    size_t length = strcspn(s->rest + skip, "/");
    bool more = s->rest[skip + length + strspn(s->rest + skip + length, "/")] != '\0';
    bool slash = s->rest[skip + length] != '\0';
    int r;

    if (length > NAME_MAX)
        return box_fail(err, BOX_ELIMIT, "a component of the path is too long");
    memcpy(name, s->rest + skip, length);
    name[length] = '\0';
    memmove(s->rest, s->rest + skip + length, strlen(s->rest + skip + length) + 1);
    if (length == 0 || strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        drop_last(s->out);
        return 0;
    }
    if ((r = append(s, name, length, err)) < 0)
        return r;
    r = box_layers_find(s->layers, s->n, s->out, &found);
    _close_ int dirfd = found.dirfd;
    if (r < 0 && r != -ENOENT && r != -ENOTDIR) {
        errno = -r;
        return box_fail_sys(err, "fstatat", s->out, "cannot look at \"/%s\"", s->out);
    }
    if (r < 0) {
        r = missing(s->out, err);
        if (more)
            s->out[0] = '\0';
        return r;
    }
    *st = found.st;
    if (S_ISLNK(st->st_mode) && (more || slash || last))
        return expand(s, &found, name, err);
    if ((more || slash) && !S_ISDIR(st->st_mode)) {
        struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = s->out};
        return box_fail_with(err, &info, "\"/%s\" is no directory", s->out);
    }
    return 0;
}

int box_union_resolve(const int *layers, size_t n, const char *path, bool last, char out[PATH_MAX],
                      struct stat *st, box_error **err)
{
    struct resolving s = {.layers = layers, .n = n, .out = out};
    struct box_layers_found found = {.dirfd = -1};
    int r = 0;

    out[0] = '\0';
    if (strlen(path) >= PATH_MAX)
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    box_text_copy(s.rest, sizeof(s.rest), path);
    while (r == 0 && s.rest[0])
        r = step(&s, last, st, err);
    if (r < 0)
        return r;
    if (!out[0]) /* the root; ".." may have led up to a directory whose kind was seen before */
        return n == 0 || fstat(layers[0], st) < 0 ? box_fail_sys(err, "fstat", "/", "cannot look at the root") : 0;
    r = box_layers_find(layers, n, out, &found);
    if (r < 0)
        return missing(out, err);
    close(found.dirfd);
    *st = found.st;
    return 0;
}
