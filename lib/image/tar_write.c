/* A directory tree as a tar stream. Each directory is read whole and sorted; each name is opened below its
 * parent's descriptor without following anything. */
#include "image/tar_write.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/strings.h"
#include "image/tar_header.h"

#define DEPTH_MAX 256
#define CHUNK     (128u << 10)

/* A file with several names, by the first of them. */
struct seen {
    ino_t ino;
    char *path;
};

struct writer {
    box_tar_sink *sink;
    void *context;
    dev_t dev;
    struct seen *seen; /* a hash table by inode, a power of two large */
    size_t n_seen, size;
    char path[PATH_MAX];
    char chunk[CHUNK];
};

static int fail_sys(const struct writer *w, const char *call, box_error **err)
{
    return box_fail_sys(err, call, w->path, "cannot read \"%s\"", w->path);
}

/* ---- Hard links ---- */

static struct seen *slot_of(struct seen *table, size_t size, ino_t ino)
{
    size_t i = (size_t)((uint64_t)ino * 0x9e3779b97f4a7c15ull >> 20) & (size - 1);

    while (table[i].path && table[i].ino != ino)
        i = (i + 1) & (size - 1);
    return &table[i];
}

static int grow(struct writer *w, box_error **err)
{
    size_t larger = w->size ? w->size * 2 : 256;
    struct seen *table = calloc(larger, sizeof(*table));

    if (!table)
        return box_fail_nomem(err);
    for (size_t i = 0; i < w->size; i++)
        if (w->seen[i].path)
            *slot_of(table, larger, w->seen[i].ino) = w->seen[i];
    free(w->seen);
    w->seen = table;
    w->size = larger;
    return 0;
}

/* *first: the name under which this file was written before, or NULL. */
static int find_link(struct writer *w, const struct stat *st, const char **first, box_error **err)
{
    *first = NULL;
    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return 0;
    if (w->n_seen * 2 >= w->size && grow(w, err) < 0)
        return BOX_ENOMEM;
    struct seen *slot = slot_of(w->seen, w->size, st->st_ino);
    *first = slot->path;
    if (slot->path)
        return 0;
    slot->ino = st->st_ino;
    slot->path = strdup(w->path);
    if (!slot->path)
        return box_fail_nomem(err);
    w->n_seen++;
    return 0;
}

/* ---- Attributes ---- */

static bool is_kept(const char *name)
{
    return (box_after_prefix(name, "user.") && !box_after_prefix(name, "user.overlay.")) ||
           strcmp(name, "security.capability") == 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_xattr(const struct writer *w, int fd, const char *name, struct box_buffer *pax,
                     box_error **err)
{
    _free_ char *key = box_strf("SCHILY.xattr.%s", name);
    ssize_t size = fgetxattr(fd, name, NULL, 0);
    _free_ char *value = size >= 0 ? malloc((size_t)size + 1) : NULL;

    if (size < 0)
        return fail_sys(w, "fgetxattr", err);
    if (!key || !value)
        return box_fail_nomem(err);
    size = fgetxattr(fd, name, value, (size_t)size);
    if (size < 0)
        return fail_sys(w, "fgetxattr", err);
    box_tar_pax_add(pax, key, value, (size_t)size);
    return 0;
}

static int add_xattrs(const struct writer *w, int fd, struct box_buffer *pax, box_error **err)
{
    _strv_ char **names = box_strv_dup(NULL);
    ssize_t size = flistxattr(fd, NULL, 0);
    int r = 0;

    if (size <= 0)
        return 0; /* none, or a file system that has none */
    _free_ char *list = malloc((size_t)size);
    if (!list || !names)
        return box_fail_nomem(err);
    size = flistxattr(fd, list, (size_t)size);
    for (const char *at = list; at < list + size; at += strlen(at) + 1)
        if (is_kept(at) && box_strv_append(&names, at) < 0)
            return box_fail_nomem(err);
    qsort(names, box_strv_length(names), sizeof(*names), by_text);
    for (size_t i = 0; r == 0 && names[i]; i++)
        r = add_xattr(w, fd, names[i], pax, err);
    return r;
}

/* ---- Entries ---- */

static char type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return '0';
    case S_IFLNK:
        return '2';
    case S_IFCHR:
        return '3';
    case S_IFBLK:
        return '4';
    case S_IFDIR:
        return '5';
    case S_IFIFO:
        return '6';
    default:
        return 0;
    }
}

/* fd is open for files and directories, -1 for others. link: where it leads, or the earlier name of a hard
 * link. */
static int put_header(struct writer *w, int fd, const struct stat *st, char type, const char *link,
                      box_error **err)
{
    _free_ char *path = box_strf("%s%s", *w->path ? w->path : ".", type == '5' ? "/" : "");
    _buffer_ struct box_buffer pax = {0};
    _buffer_ struct box_buffer out = {0};
    const bool device = type == '3' || type == '4';
    const struct box_tar_header header = {
        .path = path,
        .link = link,
        .type = type,
        .mode = st->st_mode & 07777,
        .uid = st->st_uid,
        .gid = st->st_gid,
        .size = type == '0' ? (uint64_t)st->st_size : 0,
        .mtime = st->st_mtim,
        .major = device ? major(st->st_rdev) : 0,
        .minor = device ? minor(st->st_rdev) : 0,
    };
    int r = path ? 0 : box_fail_nomem(err);

    if (r == 0 && fd >= 0 && type != '1')
        r = add_xattrs(w, fd, &pax, err);
    if (r == 0)
        r = box_tar_header_put(&out, &header, &pax, err);
    return r < 0 ? r : w->sink(out.data, out.length, w->context, err);
}

/* Exactly as many bytes as the header says, whatever becomes of the file meanwhile. */
static int put_data(struct writer *w, int fd, uint64_t size, box_error **err)
{
    static const char zeros[BOX_TAR_BLOCK];
    uint64_t left = size;
    int r = 0;

    while (r == 0 && left > 0) {
        ssize_t n = read(fd, w->chunk, left < CHUNK ? (size_t)left : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_sys(w, "read", err);
        if (n == 0) {
            struct box_fail_info info = {.code = BOX_EBUSY, .subject = w->path};
            return box_fail_with(err, &info, "\"%s\" became shorter while it was read", w->path);
        }
        r = w->sink(w->chunk, (size_t)n, w->context, err);
        left -= (uint64_t)n;
    }
    if (r == 0 && size % BOX_TAR_BLOCK)
        r = w->sink(zeros, BOX_TAR_BLOCK - size % BOX_TAR_BLOCK, w->context, err);
    return r;
}

static int put_file(struct writer *w, int dirfd, const char *name, box_error **err)
{
    _close_ int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *first;
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return fail_sys(w, "openat", err);
    int r = find_link(w, &st, &first, err);
    if (r == 0)
        r = put_header(w, fd, &st, first ? '1' : '0', first, err);
    return r == 0 && !first ? put_data(w, fd, (uint64_t)st.st_size, err) : r;
}

static int put_other(struct writer *w, int dirfd, const char *name, const struct stat *st, box_error **err)
{
    char target[PATH_MAX];
    const char *first;
    const char *link = NULL;
    int r = find_link(w, st, &first, err);

    if (r < 0)
        return r;
    if (!first && S_ISLNK(st->st_mode)) {
        ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);
        if (n < 0)
            return fail_sys(w, "readlinkat", err);
        target[n] = '\0';
        link = target;
    }
    return put_header(w, -1, st, first ? '1' : type_of(st->st_mode), first ? first : link, err);
}

static int put_tree(struct writer *w, int fd, unsigned depth, box_error **err);

static int put_directory(struct writer *w, int dirfd, const char *name, const struct stat *st, unsigned depth,
                         box_error **err)
{
    _close_ int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat top;

    if (fd < 0)
        return fail_sys(w, "openat", err);
    /* What is mounted there is another tree: only the directory itself is ours. */
    if (fstat(fd, &top) < 0 || top.st_dev != w->dev)
        return put_header(w, -1, st, '5', NULL, err);
    int r = put_header(w, fd, &top, '5', NULL, err);
    return r < 0 ? r : put_tree(w, fd, depth + 1, err);
}

static int put_entry(struct writer *w, int dirfd, const char *name, unsigned depth, box_error **err)
{
    struct stat st;

    if (strncmp(name, ".wh.", 4) == 0) {
        struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = w->path};
        return box_fail_with(err, &info, "\"%s\" would be a whiteout in a layer", w->path);
    }
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return fail_sys(w, "fstatat", err);
    if (S_ISDIR(st.st_mode))
        return put_directory(w, dirfd, name, &st, depth, err);
    if (S_ISREG(st.st_mode))
        return put_file(w, dirfd, name, err);
    return type_of(st.st_mode) ? put_other(w, dirfd, name, &st, err) : 0;
}

static int list(struct writer *w, int fd, char ***names, box_error **err)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    size_t n = 0, capacity = 0;

    if (!dir) {
        box_cleanup_close(&copy);
        return fail_sys(w, "opendir", err);
    }
    char **end = box_array_add(names, &n, &capacity); /* the NULL at the end, which moves */
    for (struct dirent *e = readdir(dir); end && e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        end = box_array_add(names, &n, &capacity);
        if (end && !((*names)[n - 2] = strdup(e->d_name)))
            return box_fail_nomem(err);
    }
    if (!end)
        return box_fail_nomem(err);
    qsort(*names, n - 1, sizeof(**names), by_text);
    return 0;
}

static int put_tree(struct writer *w, int fd, unsigned depth, box_error **err)
{
    _strv_ char **names = NULL;
    size_t length = strlen(w->path);
    int r = depth > DEPTH_MAX
                ? box_fail(err, BOX_ELIMIT, "the tree is more than %d directories deep", DEPTH_MAX)
                : list(w, fd, &names, err);

    for (size_t i = 0; r == 0 && names[i]; i++) {
        int n = snprintf(w->path + length, sizeof(w->path) - length, "%s%s", length ? "/" : "", names[i]);
        if (n >= (int)(sizeof(w->path) - length))
            return box_fail(err, BOX_ELIMIT, "a path in the tree is longer than %d bytes", PATH_MAX - 1);
        r = put_entry(w, fd, names[i], depth, err);
        w->path[length] = '\0';
    }
    return r;
}

int box_tar_write_tree(int dirfd, box_tar_sink *sink, void *context, box_error **err)
{
    static const char end[2 * BOX_TAR_BLOCK];
    struct writer *w = calloc(1, sizeof(*w));
    struct stat st;
    int r;

    if (!w)
        return box_fail_nomem(err);
    w->sink = sink;
    w->context = context;
    r = fstat(dirfd, &st) < 0 ? fail_sys(w, "fstat", err) : 0;
    w->dev = r == 0 ? st.st_dev : 0;
    if (r == 0)
        r = put_header(w, dirfd, &st, '5', NULL, err);
    if (r == 0)
        r = put_tree(w, dirfd, 0, err);
    if (r == 0)
        r = sink(end, sizeof(end), context, err);
    for (size_t i = 0; i < w->size; i++)
        free(w->seen[i].path);
    free(w->seen);
    free(w);
    return r;
}
