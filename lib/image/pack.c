/* Walking a tree for the tar writer: a directory is read whole and sorted, then each name in it is written, and
 * directories are gone into. The same tree gives the same order everywhere. */
#include "image/pack.h"

#include <fcntl.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "image/pack_union.h"
#include "kernel/mount.h"

#define WHITEOUT_PREFIX ".wh."
#define OPAQUE_MARKER   ".wh..wh..opq"

/* ---- Where the walk stands ---- */

/* The number of the mount that a directory is on; 0 before Linux 5.8. */
static unsigned long long mount_of(int fd)
{
    struct statx x = {0};

    if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &x) < 0 || !(x.stx_mask & STATX_MNT_ID))
        return 0;
    return x.stx_mnt_id;
}

int pack_walk_begin(struct pack_walk *w, const struct box_pack *how, box_error **err)
{
    w->how = how;
    return box_tar_writer_new(&how->tar, &w->writer, err);
}

int pack_walk_enter(struct pack_walk *w, const char *name, box_error **err)
{
    size_t length = strlen(w->path);
    size_t more = strlen(name) + (length > 0);

    if (length + more >= sizeof(w->path))
        return box_fail(err, BOX_ELIMIT, "a path in the tree is longer than %zu bytes", sizeof(w->path) - 1);
    if (length)
        w->path[length] = '/';
    box_text_copy(w->path + length + (length > 0), sizeof(w->path) - length - (length > 0), name);
    if (w->layer && strncmp(name, WHITEOUT_PREFIX, strlen(WHITEOUT_PREFIX)) == 0) {
        struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = w->path};
        return box_fail_with(err, &info, "\"%s\" would be a whiteout in a layer", w->path);
    }
    return (int)length;
}

void pack_walk_leave(struct pack_walk *w, int length)
{
    w->path[length] = '\0';
}

/* The name in the archive of the path with something behind it. */
static const char *archive_name(struct pack_walk *w, const char *path)
{
    const char *prefix = w->how->as_dot ? "." : w->how->prefix ? w->how->prefix : "";
    const char *slash = *prefix && *path && !box_ends_with(prefix, "/") ? "/" : "";

    snprintf(w->name, sizeof(w->name), "%s%s%s", prefix, slash, path);
    return w->name;
}

int pack_walk_put(struct pack_walk *w, int dirfd, const char *name, const struct stat *st, int fd,
                  box_error **err)
{
    const struct box_tar_item item = {
        .path = archive_name(w, w->path), .dirfd = dirfd, .name = name, .st = st, .fd = fd};

    return box_tar_writer_put(w->writer, &item, err);
}

int pack_walk_whiteout(struct pack_walk *w, box_error **err)
{
    const char *slash = strrchr(w->path, '/');
    _free_ char *path = slash ? box_strf("%.*s/" WHITEOUT_PREFIX "%s", (int)(slash - w->path), w->path, slash + 1)
                              : box_strf(WHITEOUT_PREFIX "%s", w->path);

    return path ? box_tar_writer_mark(w->writer, archive_name(w, path), err) : box_fail_nomem(err);
}

/* ---- Entries ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

static bool left_out(const struct pack_walk *w)
{
    char *const *list = w->how->leave_out;

    return list && bsearch(w->path, list, box_strv_length(list), sizeof(*list), by_text);
}

/* Marks of overlay's that a layer has no words for. */
static int check_redirect(const struct pack_walk *w, int fd, box_error **err)
{
    if (box_overlay_mark(fd, "redirect", NULL, 0) < 0)
        return 0;
    struct box_fail_info info = {.code = BOX_EUNSUPPORTED,
                                 .subject = w->path,
                                 .remedy = "set overlay's redirect_dir to off, and make the container anew"};
    return box_fail_with(err, &info, "the directory \"%s\" was renamed, which overlay wrote down as a redirection",
                         w->path);
}

static int put_opaque(struct pack_walk *w, int fd, box_error **err)
{
    if (!w->raw)
        return 0;
    int r = check_redirect(w, fd, err);
    if (r < 0 || !*w->path || !box_is_opaque(fd))
        return r;
    _free_ char *path = box_strf("%s/" OPAQUE_MARKER, w->path);
    return path ? box_tar_writer_mark(w->writer, archive_name(w, path), err) : box_fail_nomem(err);
}

/* Whether a directory is the root of something that is mounted here. */
static bool is_mount(const struct pack_walk *w, int fd, const struct stat *st)
{
    if (!w->how->one_filesystem)
        return false;
    return w->mount ? mount_of(fd) != w->mount : st->st_dev != w->dev;
}

static int put_directory(struct pack_walk *w, const struct box_union_dir *parent, const struct box_union_name *at,
                         box_error **err)
{
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    struct stat st;
    int r = box_union_enter(parent, at->name, at->part, &dir, err);

    if (r <= 0) /* gone, or something else by now */
        return r;
    if (fstat(dir.fds[0], &st) < 0)
        return box_fail_sys(err, "fstat", w->path, "cannot look at \"%s\"", w->path);
    if (is_mount(w, dir.fds[0], &st))
        return pack_walk_put(w, -1, NULL, &at->st, -1, err);
    r = pack_walk_put(w, -1, NULL, &st, dir.fds[0], err);
    if (r == 0)
        r = put_opaque(w, dir.fds[0], err);
    return r < 0 ? r : pack_walk_directory(w, &dir, err);
}

static int put_name(struct pack_walk *w, const struct box_union_dir *dir, const struct box_union_name *at,
                    box_error **err)
{
    if (left_out(w))
        return 0;
    if (w->raw && box_is_whiteout(&at->st))
        return pack_walk_whiteout(w, err);
    if (S_ISDIR(at->st.st_mode))
        return put_directory(w, dir, at, err);
    return pack_walk_put(w, dir->fds[at->part], at->name, &at->st, -1, err);
}

int pack_walk_directory(struct pack_walk *w, const struct box_union_dir *dir, box_error **err)
{
    _union_names_ struct box_union_names names = {0};
    int r = w->depth >= BOX_PACK_DEPTH
                ? box_fail(err, BOX_ELIMIT, "the tree is more than %d directories deep", BOX_PACK_DEPTH)
                : box_union_list(dir, w->path, w->raw || w->plain, &names, err);

    w->depth++;
    for (size_t i = 0; r == 0 && i < names.n; i++) {
        int length = pack_walk_enter(w, names.items[i].name, err);
        if (length < 0) {
            r = length;
            break;
        }
        r = put_name(w, dir, &names.items[i], err);
        pack_walk_leave(w, length);
    }
    w->depth--;
    return r;
}

/* ---- Whole trees ---- */

static int pack_directory(struct pack_walk *w, const struct box_union_dir *dir, box_error **err)
{
    struct stat st;

    if (fstat(dir->fds[0], &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "cannot look at the top of the tree");
    w->dev = st.st_dev;
    w->mount = w->how->one_filesystem ? mount_of(dir->fds[0]) : 0;
    int r = pack_walk_put(w, -1, NULL, &st, dir->fds[0], err);
    if (r == 0)
        r = put_opaque(w, dir->fds[0], err);
    return r < 0 ? r : pack_walk_directory(w, dir, err);
}

static int pack_file(struct pack_walk *w, const int *layers, size_t n, const char *sub, box_error **err)
{
    _union_dir_ struct box_union_dir parent = BOX_UNION_DIR_NONE;
    const char *slash = strrchr(sub, '/');
    _free_ char *above = strndup(sub, slash ? (size_t)(slash - sub) : 0);
    const char *name = slash ? slash + 1 : sub;
    struct stat st;
    size_t part;
    int r = above ? box_union_walk(layers, n, above, &parent, err) : box_fail_nomem(err);

    if (r == 1)
        r = box_union_look(&parent, name, &part, &st, err);
    if (r == 0) {
        struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = sub};
        return box_fail_with(err, &info, "there is no \"/%s\"", sub);
    }
    return r < 0 ? r : pack_walk_put(w, parent.fds[part], name, &st, -1, err);
}

static int run(struct pack_walk *w, const int *layers, size_t n, const char *sub, box_error **err)
{
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    int r = box_union_walk(layers, n, sub, &dir, err);

    if (r == 1)
        r = pack_directory(w, &dir, err);
    else if (r == 0)
        r = pack_file(w, layers, n, sub, err);
    return r < 0 ? r : box_tar_writer_end(w->writer, err);
}

int box_pack_tree(const int *layers, size_t n, const char *sub, const struct box_pack *how, box_error **err)
{
    _free_ struct pack_walk *w = calloc(1, sizeof(*w));
    int r = w ? pack_walk_begin(w, how, err) : box_fail_nomem(err);

    if (r == 0)
        r = run(w, layers, n, sub ? sub : "", err);
    if (w)
        box_tar_writer_free(w->writer);
    return r;
}

int box_pack_layer(int dirfd, const struct box_pack *how, box_error **err)
{
    _free_ struct pack_walk *w = calloc(1, sizeof(*w));
    int r = w ? pack_walk_begin(w, how, err) : box_fail_nomem(err);

    if (r == 0) {
        w->layer = w->raw = true;
        r = run(w, &dirfd, 1, "", err);
    }
    if (w)
        box_tar_writer_free(w->writer);
    return r;
}

int box_tar_write_tree(int dirfd, box_tar_sink *sink, void *context, box_error **err)
{
    const struct box_pack how = {.tar = {.sink = sink, .context = context}, .one_filesystem = true};
    _free_ struct pack_walk *w = calloc(1, sizeof(*w));
    int r = w ? pack_walk_begin(w, &how, err) : box_fail_nomem(err);

    if (r == 0) {
        w->layer = w->plain = true;
        r = run(w, &dirfd, 1, "", err);
    }
    if (w)
        box_tar_writer_free(w->writer);
    return r;
}
