/* What leads from one tree to another, as a layer: both unions are walked side by side. A directory is written
 * when it differs itself, or as soon as something in it does, so that a layer lists the directories that it puts
 * something into and takes nothing over from what lies below it. */
#include "image/pack.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/array.h"
#include "base/file.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "image/pack_union.h"

#define COMPARE_CHUNK (128u << 10)

/* A directory of both that nothing has been written of yet. */
struct unwritten {
    size_t length; /* of its path */
    int fd;
};

struct differ {
    struct pack_walk walk;
    struct unwritten *open; /* from the outside in */
    size_t n_open, capacity;
    char *chunks; /* two */
};

/* ---- Comparing ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int kept_xattrs(int fd, char ***names, box_error **err)
{
    ssize_t size = flistxattr(fd, NULL, 0);
    _free_ char *list = size > 0 ? malloc((size_t)size) : NULL;

    *names = box_strv_dup(NULL);
    if (!*names || (size > 0 && !list))
        return box_fail_nomem(err);
    size = size > 0 ? flistxattr(fd, list, (size_t)size) : 0;
    for (const char *at = list; size > 0 && at < list + size; at += strlen(at) + 1)
        if ((strncmp(at, "user.", 5) == 0 && strncmp(at, "user.overlay.", 13) != 0) ||
            strcmp(at, "security.capability") == 0)
            if (box_strv_append(names, at) < 0)
                return box_fail_nomem(err);
    qsort(*names, box_strv_length(*names), sizeof(**names), by_text);
    return 0;
}

static bool same_value(int a, int b, const char *name)
{
    char *x = malloc(65536), *y = malloc(65536);
    ssize_t n = x && y ? fgetxattr(a, name, x, 65536) : -1;
    bool same = n >= 0 && fgetxattr(b, name, y, 65536) == n && memcmp(x, y, (size_t)n) == 0;

    free(x);
    free(y);
    return same;
}

static int same_xattrs(int a, int b, box_error **err)
{
    _strv_ char **x = NULL, **y = NULL;
    int r = kept_xattrs(a, &x, err);

    if (r == 0)
        r = kept_xattrs(b, &y, err);
    if (r < 0)
        return r;
    size_t n = box_strv_length(x);
    bool same = n == box_strv_length(y);
    for (size_t i = 0; same && i < n; i++)
        same = strcmp(x[i], y[i]) == 0 && same_value(a, b, x[i]);
    return same;
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
    return a->st_mode == b->st_mode && a->st_uid == b->st_uid && a->st_gid == b->st_gid &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int same_data(struct differ *d, int a, int b, box_error **err)
{
    char *x = d->chunks, *y = d->chunks + COMPARE_CHUNK;

    for (;;) {
        ssize_t n = box_read_all(a, x, COMPARE_CHUNK), m = box_read_all(b, y, COMPARE_CHUNK);
        if (n < 0 || m < 0)
            return box_fail_sys(err, "read", d->walk.path, "cannot read \"%s\"", d->walk.path);
        if (n != m || memcmp(x, y, (size_t)n) != 0)
            return 0;
        if (n == 0)
            return 1;
    }
}

static int same_file(struct differ *d, int adir, int bdir, const char *name, box_error **err)
{
    const int how = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    _close_ int a = openat(adir, name, how);
    _close_ int b = openat(bdir, name, how);

    if (a < 0 || b < 0)
        return box_fail_sys(err, "openat", d->walk.path, "cannot open \"%s\"", d->walk.path);
    int r = same_xattrs(a, b, err);
    return r == 1 ? same_data(d, a, b, err) : r;
}

static int same_link(struct differ *d, int adir, int bdir, const char *name, box_error **err)
{
    char x[PATH_MAX], y[PATH_MAX];
    ssize_t n = readlinkat(adir, name, x, sizeof(x)), m = readlinkat(bdir, name, y, sizeof(y));

    if (n < 0 || m < 0)
        return box_fail_sys(err, "readlinkat", d->walk.path, "cannot read the link \"%s\"", d->walk.path);
    return n == m && memcmp(x, y, (size_t)n) == 0;
}

/* 1 when two things that are no directories are the same in all that a layer says. */
static int same(struct differ *d, const struct box_union_dir *from, const struct box_union_name *a,
                const struct box_union_dir *to, const struct box_union_name *b, box_error **err)
{
    if (a->st.st_dev == b->st.st_dev && a->st.st_ino == b->st.st_ino)
        return 1;
    if (!same_stat(&a->st, &b->st))
        return 0;
    if (S_ISLNK(a->st.st_mode))
        return same_link(d, from->fds[a->part], to->fds[b->part], a->name, err);
    if (S_ISCHR(a->st.st_mode) || S_ISBLK(a->st.st_mode))
        return a->st.st_rdev == b->st.st_rdev;
    if (!S_ISREG(a->st.st_mode))
        return 1;
    return a->st.st_size == b->st.st_size ? same_file(d, from->fds[a->part], to->fds[b->part], a->name, err) : 0;
}

/* ---- Writing ---- */

/* The directories on the way, outermost first, that have not been written. */
static int write_open(struct differ *d, box_error **err)
{
    char *path = d->walk.path;
    int r = 0;

    for (size_t i = 0; r == 0 && i < d->n_open; i++) {
        struct stat st;
        if (d->open[i].fd < 0)
            continue;
        char cut = path[d->open[i].length];
        path[d->open[i].length] = '\0';
        r = fstat(d->open[i].fd, &st) < 0 ? box_fail_sys(err, "fstat", path, "cannot look at \"%s\"", path)
                                          : pack_walk_put(&d->walk, -1, NULL, &st, d->open[i].fd, err);
        path[d->open[i].length] = cut;
        d->open[i].fd = -1;
    }
    return r;
}

static int put_new(struct differ *d, const struct box_union_dir *to, const struct box_union_name *at,
                   box_error **err)
{
    int r = write_open(d, err);

    if (r < 0)
        return r;
    if (!S_ISDIR(at->st.st_mode))
        return pack_walk_put(&d->walk, to->fds[at->part], at->name, &at->st, -1, err);
    _union_dir_ struct box_union_dir dir = BOX_UNION_DIR_NONE;
    r = box_union_enter(to, at->name, at->part, &dir, err);
    if (r == 1)
        r = pack_walk_put(&d->walk, -1, NULL, &at->st, dir.fds[0], err);
    return r < 0 || !dir.n ? r : pack_walk_directory(&d->walk, &dir, err);
}

static int put_gone(struct differ *d, box_error **err)
{
    int r = write_open(d, err);

    return r < 0 ? r : pack_walk_whiteout(&d->walk, err);
}

/* ---- Side by side ---- */

static int compare(struct differ *d, const struct box_union_dir *from, const struct box_union_dir *to,
                   box_error **err);

static int compare_directories(struct differ *d, const struct box_union_dir *from, const struct box_union_name *a,
                               const struct box_union_dir *to, const struct box_union_name *b, box_error **err)
{
    _union_dir_ struct box_union_dir x = BOX_UNION_DIR_NONE, y = BOX_UNION_DIR_NONE;
    int r = box_union_enter(from, a->name, a->part, &x, err);

    if (r == 1)
        r = box_union_enter(to, b->name, b->part, &y, err);
    if (r != 1)
        return r < 0 ? r : box_fail(err, BOX_EBUSY, "\"%s\" changed while it was read", d->walk.path);
    int alike = same_stat(&a->st, &b->st) ? same_xattrs(x.fds[0], y.fds[0], err) : 0;
    struct unwritten *slot = alike < 0 ? NULL : box_array_add(&d->open, &d->n_open, &d->capacity);
    if (!slot)
        return alike < 0 ? alike : box_fail_nomem(err);
    *slot = (struct unwritten){strlen(d->walk.path), y.fds[0]};
    r = alike ? 0 : write_open(d, err);
    if (r == 0)
        r = compare(d, &x, &y, err);
    d->n_open--;
    return r;
}

static int compare_names(struct differ *d, const struct box_union_dir *from, const struct box_union_name *a,
                         const struct box_union_dir *to, const struct box_union_name *b, box_error **err)
{
    if (!b)
        return put_gone(d, err);
    if (!a)
        return put_new(d, to, b, err);
    if (S_ISDIR(a->st.st_mode) && S_ISDIR(b->st.st_mode))
        return compare_directories(d, from, a, to, b, err);
    int alike = (a->st.st_mode & S_IFMT) == (b->st.st_mode & S_IFMT) ? same(d, from, a, to, b, err) : 0;
    return alike ? (alike < 0 ? alike : 0) : put_new(d, to, b, err);
}

static int compare(struct differ *d, const struct box_union_dir *from, const struct box_union_dir *to,
                   box_error **err)
{
    _union_names_ struct box_union_names old = {0}, new = {0};
    int r = d->walk.depth >= BOX_PACK_DEPTH
                ? box_fail(err, BOX_ELIMIT, "the tree is more than %d directories deep", BOX_PACK_DEPTH)
                : box_union_list(from, d->walk.path, false, &old, err);

    if (r == 0)
        r = box_union_list(to, d->walk.path, false, &new, err);
    d->walk.depth++;
    for (size_t i = 0, j = 0; r == 0 && (i < old.n || j < new.n);) {
        struct box_union_name *a = i < old.n ? &old.items[i] : NULL;
        struct box_union_name *b = j < new.n ? &new.items[j] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a->name, b->name);
        a = order <= 0 ? a : NULL;
        b = order >= 0 ? b : NULL;
        i += a != NULL;
        j += b != NULL;
        int length = pack_walk_enter(&d->walk, a ? a->name : b->name, err);
        if (length < 0)
            r = length;
        else
            r = compare_names(d, from, a, to, b, err);
        if (length >= 0)
            pack_walk_leave(&d->walk, length);
    }
    d->walk.depth--;
    return r;
}

static int run(struct differ *d, const int *from, size_t n_from, const int *to, size_t n_to, box_error **err)
{
    _union_dir_ struct box_union_dir x = BOX_UNION_DIR_NONE, y = BOX_UNION_DIR_NONE;
    struct unwritten *slot = box_array_add(&d->open, &d->n_open, &d->capacity);
    struct stat a, b;
    int r = slot ? box_union_root(from, n_from, &x, err) : box_fail_nomem(err);

    if (r == 0)
        r = box_union_root(to, n_to, &y, err);
    if (r < 0)
        return r;
    if (n_to == 0 || fstat(y.fds[0], &b) < 0)
        return box_fail(err, BOX_EINVAL, "there is nothing to compare with");
    int alike = n_from && fstat(x.fds[0], &a) == 0 && same_stat(&a, &b) ? same_xattrs(x.fds[0], y.fds[0], err) : 0;
    if (alike < 0)
        return alike;
    *slot = (struct unwritten){0, y.fds[0]};
    r = alike ? 0 : write_open(d, err);
    if (r == 0)
        r = compare(d, &x, &y, err);
    return r < 0 ? r : box_tar_writer_end(d->walk.writer, err);
}

int box_pack_diff(const int *from, size_t n_from, const int *to, size_t n_to, const struct box_pack *how,
                  box_error **err)
{
    struct differ *d = calloc(1, sizeof(*d));
    int r = d && (d->chunks = malloc((size_t)2 * COMPARE_CHUNK)) ? pack_walk_begin(&d->walk, how, err)
                                                                 : box_fail_nomem(err);

    if (r == 0) {
        d->walk.layer = true;
        r = run(d, from, n_from, to, n_to, err);
    }
    if (d) {
        box_tar_writer_free(d->walk.writer);
        free(d->chunks);
        free(d->open);
    }
    free(d);
    return r;
}
