/* Paths of a container, and what they are, as a tar stream.
 *
 * Of one that runs, a path is resolved once, inside the root of its mount namespace, to the directory that holds
 * the object; from there on only descriptors count. We stay in the host's namespaces and root all the time: no
 * library, name service or interpreter of the container's is ever looked at (CVE-2019-14271), and a component that
 * is swapped for a link between two looks leads, if anywhere, to another place inside (CVE-2018-15664). */
#include "container/copy.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/strings.h"
#include "image/pack.h"

#define LINKS_MAX 40

/* ---- Trees ---- */

void copy_tree_close(struct copy_tree *tree)
{
    container_root_close(&tree->root);
}

int copy_tree_open_host(int fd, struct copy_tree *tree, box_error **err)
{
    *tree = COPY_TREE_NONE;
    tree->host = true;
    tree->root.live = true;
    return box_layer_fds_add(&tree->root.layers, fd, err);
}

/* A path as it reads, for one that leads through something that is not there: where something is to be mounted, say. */
static void read_as_is(const char *path, char out[PATH_MAX])
{
    size_t at = 0;

    out[0] = '\0';
    while (*path) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.') {
            char *slash = strrchr(out, '/');
            at = slash ? (size_t)(slash - out) : 0;
        } else if (n > 0 && !(n == 1 && *path == '.') && at + n + 2 < PATH_MAX) {
            if (at)
                out[at++] = '/';
            memcpy(out + at, path, n);
            at += n;
        }
        out[at] = '\0';
        path += n;
        path += strspn(path, "/");
    }
}

static void place_of(const struct copy_tree *tree, const char *path, bool last, char out[PATH_MAX])
{
    struct stat st;

    if (box_union_resolve(tree->root.layers.fds, tree->root.layers.n, path, last, out, &st, NULL) < 0 && !*out)
        read_as_is(path, out);
}

/* The mount that a path without links is on or below. The last one of several at the same place covers the others. */
static const struct spec_mount *mount_of(const box_container *c, const struct copy_tree *tree, const char *path,
                                         size_t *length)
{
    const struct spec_mount *best = NULL;

    *length = 0;
    for (size_t i = 0; i < c->spec->n_mounts; i++) {
        char at[PATH_MAX];
        place_of(tree, c->spec->mounts[i].destination, true, at);
        size_t n = strlen(at);
        if (n < *length || strncmp(path, at, n) != 0 || (path[n] != '\0' && path[n] != '/' && n > 0))
            continue;
        best = &c->spec->mounts[i];
        *length = n;
    }
    return best;
}

static bool is_bind(const struct spec_mount *mount)
{
    bool bind = mount->type && strcmp(mount->type, "bind") == 0;

    for (char **o = mount->options; o && *o; o++)
        bind = bind || strcmp(*o, "bind") == 0 || strcmp(*o, "rbind") == 0;
    return bind && mount->source && mount->source[0] == '/';
}

/* What is to be mounted is not there while the container does not run: a part of the host's is opened in its place. */
static int redirect(const struct spec_mount *mount, const char *path, size_t length, struct copy_tree *tree, char **rest,
                    box_error **err)
{
    const char *inside = path + length + strspn(path + length, "/");
    struct container_root *root = &tree->root;
    struct stat st;

    if (!is_bind(mount))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = mount->destination,
                                                          .remedy = "start the container first"},
                             "\"%s\" is mounted only while the container runs", mount->destination);
    if (stat(mount->source, &st) < 0)
        return box_fail_sys(err, "stat", mount->source, "what is mounted at \"%s\" is not there", mount->destination);
    _free_ char *above = strdup(mount->source);
    char *slash = above ? strrchr(above, '/') : NULL;
    if (!slash)
        return box_fail_nomem(err);
    if (!S_ISDIR(st.st_mode)) { /* a file is opened by way of its directory */
        inside = mount->source + (slash - above) + 1;
        slash[slash == above] = '\0';
    }
    int fd = open(S_ISDIR(st.st_mode) ? mount->source : above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return box_fail_sys(err, "open", mount->source, "what is mounted at \"%s\" cannot be opened", mount->destination);
    box_layer_fds_close(&root->layers);
    root->live = true;
    root->overlay = false;
    for (char **o = mount->options; o && *o; o++)
        root->readonly = strcmp(*o, "ro") == 0 || strcmp(*o, "rro") == 0 || root->readonly;
    *rest = strdup(inside);
    int r = box_layer_fds_add(&root->layers, fd, err);
    return r == 0 && !*rest ? box_fail_nomem(err) : r;
}

int copy_tree_open(box_container *c, const char *path, struct copy_tree *tree, char **rest, box_error **err)
{
    char real[PATH_MAX];
    size_t length;

    *tree = COPY_TREE_NONE;
    if (!path || !*path)
        return box_fail(err, BOX_EINVAL, "the path must not be empty");
    int r = container_root_open(c, &tree->root, err);
    if (r < 0)
        return r;
    *rest = strdup(path);
    if (!*rest)
        return box_fail_nomem(err);
    if (tree->root.live)
        return 0;
    place_of(tree, path, false, real);
    const struct spec_mount *mount = mount_of(c, tree, real, &length);
    if (!mount)
        return 0;
    /* "DIR/." and "DIR/" go on saying so. */
    _free_ char *tail = strdup(box_ends_with(path, "/.") ? "/." : box_ends_with(path, "/") ? "/" : "");
    _free_ char *inside = NULL;
    r = redirect(mount, real, length, tree, &inside, err);
    char *joined = r == 0 && tail ? box_strf("/%s%s", inside, tail) : NULL;
    if (r < 0 || !joined)
        return r < 0 ? r : box_fail_nomem(err);
    free(*rest);
    *rest = joined;
    return 0;
}

/* ---- Paths ---- */

int copy_not_found(const char *path, box_error **err)
{
    struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = path};

    return box_fail_with(err, &info, "could not find the file %s in the container", path);
}

void copy_spot_close(struct copy_spot *spot)
{
    box_cleanup_close(&spot->dirfd);
    spot->dirfd = -1;
}

int copy_name_read(const char *path, struct copy_name *name, box_error **err)
{
    size_t n = strlen(path);

    *name = (struct copy_name){0};
    if (n >= PATH_MAX)
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    name->directory = n > 0 && path[n - 1] == '/';
    name->contents = strcmp(path, ".") == 0 || box_ends_with(path, "/.") || strspn(path, "/") == n ||
                     strcmp(path, "..") == 0 || box_ends_with(path, "/..");
    while (n > 0 && (path[n - 1] == '/' || (path[n - 1] == '.' && (n == 1 || path[n - 2] == '/'))))
        n--;
    size_t begin = n;
    while (begin > 0 && path[begin - 1] != '/')
        begin--;
    if (n - begin >= sizeof(name->base))
        return box_fail(err, BOX_ELIMIT, "a component of the path is too long");
    memcpy(name->base, path + begin, n - begin);
    if (strcmp(name->base, "..") == 0)
        name->base[0] = '\0';
    name->directory = name->directory || name->contents;
    return 0;
}

static int fail_live(int result, const char *path, box_error **err)
{
    if (result == -ENOENT || result == -ENOTDIR)
        return copy_not_found(path, err);
    return box_fail_resolve(err, result, path, "cannot open \"%s\"", path);
}

/* One look, without following a link at the end. */
static int look(int rootfd, const char *path, struct copy_spot *spot, box_error **err)
{
    copy_spot_close(spot);
    int fd = box_resolve_parent(rootfd, path, spot->name, 0);
    if (fd == -EINVAL) { /* the root, or something that ends in "." or "..": a directory */
        spot->name[0] = '\0';
        fd = box_resolve(rootfd, path, O_PATH | O_DIRECTORY, 0);
    }
    if (fd < 0)
        return fail_live(fd, path, err);
    spot->dirfd = fd;
    if (fstatat(fd, spot->name, &spot->st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0)
        return 0;
    return errno == ENOENT ? copy_not_found(path, err) : box_fail_sys(err, "fstatat", path, "cannot look at \"%s\"", path);
}

/* Where a link leads, as a path of the root. */
static int follow_link(const struct copy_spot *spot, char path[PATH_MAX], box_error **err)
{
    char target[PATH_MAX];
    ssize_t n = readlinkat(spot->dirfd, spot->name, target, sizeof(target) - 1);
    char *trimmed = path + strlen(path);

    if (n < 0)
        return errno == EINVAL || errno == ENOENT ? 0 : box_fail_sys(err, "readlinkat", path, "cannot read a link");
    target[n] = '\0';
    while (trimmed > path && trimmed[-1] == '/')
        trimmed--;
    while (trimmed > path && trimmed[-1] != '/')
        trimmed--;
    if (target[0] == '/')
        trimmed = path;
    if ((size_t)(trimmed - path) + (size_t)n >= PATH_MAX)
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    memcpy(trimmed, target, (size_t)n + 1);
    return 0;
}

static int find_live(int rootfd, const char *path, bool follow, struct copy_spot *spot, box_error **err)
{
    char at[PATH_MAX];

    if (strlen(path) >= sizeof(at))
        return box_fail(err, BOX_ELIMIT, "the path is too long");
    box_text_copy(at, sizeof(at), path);
    for (unsigned links = 0; links <= LINKS_MAX; links++) {
        int r = look(rootfd, at, spot, err);
        if (r < 0 || !follow || !S_ISLNK(spot->st.st_mode))
            return r;
        if ((r = follow_link(spot, at, err)) < 0)
            return r;
    }
    return box_fail(err, BOX_ELIMIT, "there are too many links at \"%s\"", path);
}

int copy_find(const struct copy_tree *tree, const char *path, bool follow, struct copy_spot *spot, box_error **err)
{
    struct copy_name name;
    int r = copy_name_read(path, &name, err);

    *spot = COPY_SPOT_NONE;
    if (r < 0)
        return r;
    follow = follow || name.directory;
    if (tree->root.live)
        r = find_live(tree->root.layers.fds[0], path, follow, spot, err);
    else
        r = box_union_resolve(tree->root.layers.fds, tree->root.layers.n, path, follow, spot->path, &spot->st, err);
    if (r == BOX_ENOTFOUND && !tree->root.live) {
        if (err) {
            box_error_free(*err);
            *err = NULL;
        }
        return copy_not_found(path, err);
    }
    if (r == 0 && name.directory && !S_ISDIR(spot->st.st_mode))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path}, "%s is no directory", path);
    return r;
}

/* ---- Out ---- */

int copy_pack(box_tar_sink *sink, void *context, void *data, box_error **err)
{
    const struct copy_packing *p = data;
    const struct container_root *root = &p->tree->root;
    const struct box_pack how = {
        .tar = {.sink = sink, .context = context, .idmap = root->idmap, .live = root->live},
        .prefix = p->prefix,
        .as_dot = !p->prefix};

    if (!root->live)
        return box_pack_tree(root->layers.fds, root->layers.n, p->spot->path, &how, err);
    if (!S_ISDIR(p->spot->st.st_mode))
        return box_pack_tree(&p->spot->dirfd, 1, p->spot->name, &how, err);
    const char *name = *p->spot->name ? p->spot->name : ".";
    _close_ int fd = openat(p->spot->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return box_fail_sys(err, "openat", name, "cannot open the directory \"%s\"", name);
    return box_pack_tree(&fd, 1, "", &how, err);
}

static int copy_out(box_container *c, const char *path, int fd, box_archive_write_fn *write, void *context,
                    unsigned flags, const box_archive_options *options, box_error **err)
{
    _copy_tree_ struct copy_tree tree = COPY_TREE_NONE;
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    _free_ char *rest = NULL;
    struct copy_name name;
    int r = copy_tree_open(c, path, &tree, &rest, err);

    if (r == 0)
        r = copy_name_read(path, &name, err);
    if (r == 0)
        r = copy_find(&tree, rest, flags & BOX_COPY_FOLLOW, &spot, err);
    if (r == 0) {
        struct copy_packing packing = {&tree, &spot, name.contents ? NULL : name.base};
        r = box_pack_to(options, fd, write, context, copy_pack, &packing, err);
    }
    return r < 0 ? box_fail_wrap(err, r, "copy") : 0;
}

int box_container_copy_out(box_container *c, const char *path, int fd, unsigned flags,
                           const box_archive_options *options, box_error **err)
{
    return copy_out(c, path, fd, NULL, NULL, flags, options, err);
}

int box_container_copy_out_to(box_container *c, const char *path, box_archive_write_fn *write, void *context,
                              unsigned flags, const box_archive_options *options, box_error **err)
{
    if (!write)
        return box_fail(err, BOX_EINVAL, "box_container_copy_out_to: write must not be NULL");
    return copy_out(c, path, -1, write, context, flags, options, err);
}

/* ---- Looking ---- */

static int read_link(const struct copy_tree *tree, const struct copy_spot *spot, char **link, box_error **err)
{
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    char target[PATH_MAX];
    const char *name = spot->name;
    int dirfd = spot->dirfd;

    if (!tree->root.live) {
        const char *slash = strrchr(spot->path, '/');
        _free_ char *above = strndup(spot->path, slash ? (size_t)(slash - spot->path) : 0);
        struct stat st;
        size_t part;
        name = slash ? slash + 1 : spot->path;
        int r = above ? box_union_walk(tree->root.layers.fds, tree->root.layers.n, above, &dir, err) : box_fail_nomem(err);
        if (r == 1)
            r = box_union_look(&dir, name, &part, &st, err);
        if (r != 1)
            return r < 0 ? r : copy_not_found(spot->path, err);
        dirfd = dir.fds[part];
    }
    ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
    if (n < 0)
        return box_fail_sys(err, "readlinkat", name, "cannot read the link \"%s\"", name);
    target[n] = '\0';
    *link = strdup(target);
    return *link ? 0 : box_fail_nomem(err);
}

int box_container_stat(box_container *c, const char *path, unsigned flags, box_copy_stat *out, box_error **err)
{
    _copy_tree_ struct copy_tree tree = COPY_TREE_NONE;
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    _free_ char *rest = NULL;

    if (!out)
        return box_fail(err, BOX_EINVAL, "box_container_stat: out must not be NULL");
    *out = (box_copy_stat){0};
    int r = copy_tree_open(c, path, &tree, &rest, err);
    if (r == 0)
        r = copy_find(&tree, rest, flags & BOX_COPY_FOLLOW, &spot, err);
    if (r < 0)
        return r;
    *out = (box_copy_stat){.mode = spot.st.st_mode, .size = (uint64_t)spot.st.st_size, .mtime = spot.st.st_mtim};
    return S_ISLNK(spot.st.st_mode) ? read_link(&tree, &spot, &out->link, err) : 0;
}

void box_copy_stat_clear(box_copy_stat *stat)
{
    free(stat->link);
    stat->link = NULL;
}

/* ---- In ---- */

struct fd_source {
    struct box_source base;
    struct box_watch *watch;
    int fd;
    char data[128 << 10];
};

/* Waits for the stream as long as the caller does. */
static int read_fd(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct fd_source *s = (struct fd_source *)base;
    struct pollfd fds[2] = {{.fd = s->fd, .events = POLLIN}, {.fd = s->watch->options.cancel_fd, .events = POLLIN}};
    ssize_t n;

    do {
        n = poll(fds, 2, box_deadline_left_ms(s->watch->deadline));
        if (n == 0 || (n > 0 && fds[1].revents)) {
            int r = box_watch_look(s->watch, err);
            if (r < 0)
                return r;
        }
        n = n <= 0 ? -1 : fds[0].revents ? read(s->fd, s->data, sizeof(s->data)) : -1;
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    if (n < 0)
        return box_fail_sys(err, "read", NULL, "cannot read the stream");
    *data = s->data;
    *length = (size_t)n;
    return box_watch_tick(s->watch, (uint64_t)n, err);
}

static void free_fd(struct box_source *base)
{
    free(base);
}

struct box_source *copy_source(int fd, struct box_watch *watch, box_error **err)
{
    struct fd_source *s = malloc(sizeof(*s));

    if (!s) {
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = read_fd, .free = free_fd};
    s->watch = watch;
    s->fd = fd;
    return &s->base;
}

int box_container_copy_in(box_container *c, const char *directory, int fd, unsigned flags,
                          const box_archive_options *options, box_error **err)
{
    _copy_tree_ struct copy_tree tree = COPY_TREE_NONE;
    _cleanup_(box_source) struct box_source *stream = NULL;
    _free_ char *rest = NULL;
    struct box_watch watch;
    int r = box_watch_begin(&watch, options, err);

    if (r == 0)
        r = copy_tree_open(c, directory, &tree, &rest, err);
    if (r == 0) {
        stream = copy_source(fd, &watch, err);
        stream = stream ? box_source_inflate(stream, err) : NULL;
        r = stream ? copy_place(&tree, rest, stream, flags, err) : err && *err ? box_error_code(*err) : BOX_EPARSE;
    }
    return r < 0 ? box_fail_wrap(err, r, "copy") : 0;
}
