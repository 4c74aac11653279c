/* Files as entries of a tar stream. Who walks the tree is pack_walk.c; here a name below an open directory becomes
 * a header and the bytes of the file. Nothing is followed, and what may be changed under our hands is opened as
 * what it is first (O_PATH) and for reading only when it is a plain file: opening a device can do something. */
#include "image/tar_write.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "image/tar_header.h"

#define CHUNK        (256u << 10)
#define XATTRS_MAX   (1u << 20) /* of one file, together; the kernel allows 64 KiB for their names alone */
#define OVERFLOW_ID  65534
#define FD_PATH_SIZE 40

/* A file with several names, by the first of them. */
struct seen {
    dev_t dev;
    ino_t ino;
    char *path;
};

struct box_tar_writer {
    struct box_tar_how how;
    struct seen *seen; /* a hash table by inode, a power of two large */
    size_t n_seen, size;
    unsigned long long bytes; /* of files so far */
    const struct box_tar_item *item; /* the one at hand */
    char chunk[CHUNK];
};

static const char zeros[16u << 10];

static int fail_sys(const struct box_tar_writer *w, const char *call, box_error **err)
{
    return box_fail_sys(err, call, w->item->path, "cannot read \"%s\"", w->item->path);
}

static int put(struct box_tar_writer *w, const void *data, size_t length, box_error **err)
{
    return w->how.sink(data, length, w->how.context, err);
}

/* ---- Hard links ---- */

static struct seen *slot_of(struct seen *table, size_t size, dev_t dev, ino_t ino)
{
    size_t i = (size_t)(((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15ull >> 20) & (size - 1);

    while (table[i].path && (table[i].ino != ino || table[i].dev != dev))
        i = (i + 1) & (size - 1);
    return &table[i];
}

static int grow(struct box_tar_writer *w, box_error **err)
{
    size_t larger = w->size ? w->size * 2 : 256;
    struct seen *table = calloc(larger, sizeof(*table));

    if (!table)
        return box_fail_nomem(err);
    for (size_t i = 0; i < w->size; i++)
        if (w->seen[i].path)
            *slot_of(table, larger, w->seen[i].dev, w->seen[i].ino) = w->seen[i];
    free(w->seen);
    w->seen = table;
    w->size = larger;
    return 0;
}

/* *first: the name under which this file was written before, or NULL. */
static int find_link(struct box_tar_writer *w, const struct stat *st, const char **first, box_error **err)
{
    *first = NULL;
    if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
        return 0;
    if (w->n_seen * 2 >= w->size && grow(w, err) < 0)
        return BOX_ENOMEM;
    struct seen *slot = slot_of(w->seen, w->size, st->st_dev, st->st_ino);
    *first = slot->path;
    if (slot->path)
        return 0;
    slot->dev = st->st_dev;
    slot->ino = st->st_ino;
    slot->path = strdup(w->item->path);
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

static int add_xattr(const struct box_tar_writer *w, int fd, const char *name, struct box_buffer *pax,
                     box_error **err)
{
    _free_ char *key = box_strf("SCHILY.xattr.%s", name);
    ssize_t size = fgetxattr(fd, name, NULL, 0);
    _free_ char *value = size >= 0 ? malloc((size_t)size + 1) : NULL;

    if (size < 0)
        return w->how.live && errno == ENODATA ? 0 : fail_sys(w, "fgetxattr", err);
    if (!key || !value)
        return box_fail_nomem(err);
    size = fgetxattr(fd, name, value, (size_t)size);
    if (size < 0)
        return w->how.live && (errno == ENODATA || errno == ERANGE) ? 0 : fail_sys(w, "fgetxattr", err);
    box_tar_pax_add(pax, key, value, (size_t)size);
    return pax->length <= XATTRS_MAX
               ? 0
               : box_fail(err, BOX_ELIMIT, "the attributes of \"%s\" are larger than %u bytes", w->item->path,
                          XATTRS_MAX);
}

static int add_xattrs(const struct box_tar_writer *w, int fd, struct box_buffer *pax, box_error **err)
{
    _strv_ char **names = NULL;
    ssize_t size = flistxattr(fd, NULL, 0);
    int r = 0;

    if (size <= 0)
        return 0; /* none, or a file system that has none */
    _free_ char *list = malloc((size_t)size);
    if (!list)
        return box_fail_nomem(err);
    size = flistxattr(fd, list, (size_t)size);
    for (const char *at = list; size > 0 && at < list + size; at += strlen(at) + 1)
        if (is_kept(at) && box_strv_append(&names, at) < 0)
            return box_fail_nomem(err);
    if (!names)
        return 0;
    qsort(names, box_strv_length(names), sizeof(*names), by_text);
    for (size_t i = 0; r == 0 && names[i]; i++)
        r = add_xattr(w, fd, names[i], pax, err);
    return r;
}

/* ---- Headers ---- */

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

static uint32_t inside(const struct box_tar_writer *w, enum box_idmap_kind kind, uint32_t id)
{
    uint32_t found = OVERFLOW_ID;

    if (!w->how.idmap || !box_idmap_count(w->how.idmap, kind))
        return id;
    return box_idmap_to_inside(w->how.idmap, kind, id, &found) ? found : OVERFLOW_ID;
}

/* fd is open for files and directories, -1 for others. link: where it leads, or the earlier name of a hard
 * link. */
static int put_header(struct box_tar_writer *w, int fd, const struct stat *st, char type, const char *link,
                      box_error **err)
{
    const char *name = *w->item->path ? w->item->path : ".";
    bool slash = type == '5' && !box_ends_with(name, "/");
    _free_ char *path = box_strf("%s%s", name, slash ? "/" : "");
    _buffer_ struct box_buffer pax = {0};
    _buffer_ struct box_buffer out = {0};
    const bool device = type == '3' || type == '4';
    const struct box_tar_header header = {
        .path = path,
        .link = link,
        .type = type,
        .mode = st->st_mode & 07777,
        .uid = inside(w, BOX_IDMAP_UID, st->st_uid),
        .gid = inside(w, BOX_IDMAP_GID, st->st_gid),
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
    return r < 0 ? r : put(w, out.data, out.length, err);
}

/* ---- Data ---- */

static int put_zeros(struct box_tar_writer *w, uint64_t length, box_error **err)
{
    int r = 0;

    while (r == 0 && length > 0) {
        size_t n = length < sizeof(zeros) ? (size_t)length : sizeof(zeros);
        r = put(w, zeros, n, err);
        length -= n;
    }
    return r;
}

/* Exactly as many bytes as the header says, whatever becomes of the file meanwhile. */
static int put_range(struct box_tar_writer *w, int fd, uint64_t at, uint64_t end, box_error **err)
{
    int r = 0;

    while (r == 0 && at < end) {
        size_t want = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        ssize_t n = pread(fd, w->chunk, want, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail_sys(w, "read", err);
        if (n == 0 && w->how.live)
            return put_zeros(w, end - at, err);
        if (n == 0) {
            struct box_fail_info info = {.code = BOX_EBUSY, .subject = w->item->path};
            return box_fail_with(err, &info, "\"%s\" became shorter while it was read", w->item->path);
        }
        r = put(w, w->chunk, (size_t)n, err);
        at += (uint64_t)n;
    }
    return r;
}

/* Where the next data begin, and where they end. A file system that cannot tell has data everywhere. */
static void next_data(int fd, uint64_t at, uint64_t size, uint64_t *begin, uint64_t *end)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);

    *begin = at;
    *end = size;
    if (data < 0) {
        *begin = errno == ENXIO ? size : at;
        return;
    }
    *begin = (uint64_t)data < at ? at : (uint64_t)data < size ? (uint64_t)data : size;
    off_t hole = lseek(fd, (off_t)*begin, SEEK_HOLE);
    if (hole > (off_t)*begin && (uint64_t)hole < size)
        *end = (uint64_t)hole;
}

static int put_data(struct box_tar_writer *w, int fd, const struct stat *st, box_error **err)
{
    const uint64_t size = (uint64_t)st->st_size;
    const bool sparse = (uint64_t)st->st_blocks * 512 < size;
    uint64_t begin, end;
    int r = 0;

    for (uint64_t at = 0; r == 0 && at < size; at = end) {
        begin = at;
        end = size;
        if (sparse)
            next_data(fd, at, size, &begin, &end);
        r = put_zeros(w, begin - at, err);
        if (r == 0)
            r = put_range(w, fd, begin, end, err);
    }
    return r < 0 ? r : box_tar_writer_pad(w, size, err);
}

/* ---- Entries ---- */

/* A plain file, open for reading; -1 with errno. */
static int open_file(const struct box_tar_writer *w, struct stat *st)
{
    const int how = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;

    if (!w->how.live) {
        _close_ int fd = openat(w->item->dirfd, w->item->name, how | O_NOFOLLOW);
        return fd < 0 || fstat(fd, st) < 0 ? -1 : box_take_fd(&fd);
    }
    _close_ int seen = openat(w->item->dirfd, w->item->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    char path[FD_PATH_SIZE];
    if (seen < 0 || fstat(seen, st) < 0)
        return -1;
    if (!S_ISREG(st->st_mode)) {
        errno = ENOENT; /* what it was is gone */
        return -1;
    }
    snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", seen);
    return open(path, how);
}

/* A few bytes on disk can be a file of any size: what is too large is seen before it is written. */
static int count_bytes(struct box_tar_writer *w, uint64_t size, box_error **err)
{
    w->bytes += size;
    if (!w->how.limit || w->bytes <= w->how.limit)
        return 0;
    struct box_fail_info info = {.code = BOX_ELIMIT, .subject = w->item->path};
    return box_fail_with(err, &info, "with \"%s\" there are more than %llu bytes of files", w->item->path, w->how.limit);
}

static int put_file(struct box_tar_writer *w, box_error **err)
{
    const char *first;
    struct stat st;
    _close_ int fd = open_file(w, &st);

    if (fd < 0)
        return w->how.live && errno == ENOENT ? 0 : fail_sys(w, "openat", err);
    int r = find_link(w, &st, &first, err);
    if (r == 0 && !first)
        r = count_bytes(w, (uint64_t)st.st_size, err);
    if (r == 0)
        r = put_header(w, fd, &st, first ? '1' : '0', first, err);
    return r == 0 && !first ? put_data(w, fd, &st, err) : r;
}

static int put_other(struct box_tar_writer *w, box_error **err)
{
    const struct stat *st = w->item->st;
    char target[PATH_MAX];
    const char *first;
    const char *link = NULL;

    if (S_ISLNK(st->st_mode)) {
        ssize_t n = readlinkat(w->item->dirfd, w->item->name, target, sizeof(target) - 1);
        if (n < 0)
            return w->how.live && (errno == ENOENT || errno == EINVAL) ? 0 : fail_sys(w, "readlinkat", err);
        target[n] = '\0';
        link = target;
    }
    int r = find_link(w, st, &first, err);
    return r < 0 ? r : put_header(w, -1, st, first ? '1' : type_of(st->st_mode), first ? first : link, err);
}

int box_tar_writer_put(struct box_tar_writer *w, const struct box_tar_item *item, box_error **err)
{
    w->item = item;
    if (S_ISDIR(item->st->st_mode))
        return put_header(w, item->fd, item->st, '5', NULL, err);
    if (S_ISREG(item->st->st_mode))
        return put_file(w, err);
    return type_of(item->st->st_mode) ? put_other(w, err) : 0;
}

/* ---- Entries that are made up ---- */

static int put_made(struct box_tar_writer *w, const char *path, char type, unsigned mode, uint64_t size,
                    long long mtime, box_error **err)
{
    _buffer_ struct box_buffer pax = {0};
    _buffer_ struct box_buffer out = {0};
    const struct box_tar_header header = {
        .path = path, .type = type, .mode = mode, .size = size, .mtime = {.tv_sec = mtime}};
    int r = box_tar_header_put(&out, &header, &pax, err);

    return r < 0 ? r : put(w, out.data, out.length, err);
}

int box_tar_writer_mark(struct box_tar_writer *w, const char *path, box_error **err)
{
    return put_made(w, path, '0', 0, 0, 0, err);
}

int box_tar_writer_begin(struct box_tar_writer *w, const char *path, unsigned long long size, long long mtime,
                         box_error **err)
{
    return put_made(w, path, '0', 0644, size, mtime, err);
}

int box_tar_writer_directory(struct box_tar_writer *w, const char *path, long long mtime, box_error **err)
{
    return put_made(w, path, '5', 0755, 0, mtime, err);
}

int box_tar_writer_data(struct box_tar_writer *w, const void *data, size_t length, box_error **err)
{
    return put(w, data, length, err);
}

int box_tar_writer_pad(struct box_tar_writer *w, unsigned long long size, box_error **err)
{
    return size % BOX_TAR_BLOCK ? put(w, zeros, BOX_TAR_BLOCK - (size_t)(size % BOX_TAR_BLOCK), err) : 0;
}

int box_tar_writer_put_data(struct box_tar_writer *w, const char *path, const void *data, size_t length,
                            long long mtime, box_error **err)
{
    int r = box_tar_writer_begin(w, path, length, mtime, err);

    if (r == 0)
        r = box_tar_writer_data(w, data, length, err);
    return r < 0 ? r : box_tar_writer_pad(w, length, err);
}

/* ---- The writer ---- */

int box_tar_writer_new(const struct box_tar_how *how, struct box_tar_writer **writer, box_error **err)
{
    struct box_tar_writer *w = calloc(1, sizeof(*w));

    if (!w)
        return box_fail_nomem(err);
    w->how = *how;
    *writer = w;
    return 0;
}

int box_tar_writer_end(struct box_tar_writer *w, box_error **err)
{
    return put(w, zeros, (size_t)2 * BOX_TAR_BLOCK, err);
}

void box_tar_writer_free(struct box_tar_writer *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->size; i++)
        free(w->seen[i].path);
    free(w->seen);
    free(w);
}
