/* Archives of images, by the names in them.
 *
 * A tar is looked through once, headers only, and a list is made of where each file lies; what is read later
 * is read at its offset, by several threads if need be, and nothing is copied. Names in it are only ever
 * looked up in that list. */
#include "image/bundle.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/resolve.h"
#include "base/strings.h"
#include "image/manifest.h"
#include "image/tar.h"

#define ENTRIES_MAX 200000
#define LINKS_MAX   16
#define BLOCK       512u

struct file {
    char *name;
    char *link; /* of a symbolic or hard link: another name; NULL for a file */
    uint64_t offset, size;
};

struct box_bundle {
    int dirfd; /* -1: a tar */
    int fd;
    bool owned;
    struct file *files; /* sorted by name */
    size_t n, capacity;
};

void box_piece_close(struct box_piece *piece)
{
    if (piece->owned)
        box_cleanup_close(&piece->fd);
    *piece = BOX_PIECE_NONE;
}

/* ---- Spooling ---- */

bool box_is_seekable(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

static int copy_stream(struct box_source *source, const struct box_source *counter, int to,
                       const box_image_limits *limits, box_layer_tick *tick, void *tick_data, uint64_t *size,
                       box_error **err)
{
    const void *data;
    size_t length;
    int r;

    for (*size = 0; (r = box_source_read(source, &data, &length, err)) == 0 && length > 0; *size += length) {
        uint64_t read = box_source_digest_count(counter);
        if (*size > limits->free_bytes && *size / limits->ratio > read)
            return box_fail(err, BOX_ELIMIT, "the archive expands to more than %u times its size",
                            limits->ratio);
        if (box_write_all(to, data, length) < 0)
            return box_fail_sys(err, "write", NULL, "cannot copy the archive into the store");
        r = tick ? tick(tick_data, read, err) : 0;
        if (r < 0)
            return r;
    }
    return r;
}

int box_spool(struct box_store_work *work, int fd, bool inflate, const box_image_limits *limits,
              box_layer_tick *tick, void *tick_data, uint64_t *size, box_error **err)
{
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    struct box_source *counter = box_source_fd(fd, err);

    if (counter)
        counter = box_source_digest(counter, err);
    _cleanup_(box_source) box_source *source =
        counter && inflate ? box_source_inflate(counter, err) : counter;
    if (!source)
        return err && *err ? box_error_code(*err) : BOX_ENOMEM;
    int r = box_file_begin(&file, work->fd, 0600, err);
    if (r == 0)
        r = copy_stream(source, counter, file.fd, limits, tick, tick_data, size, err);
    if (r < 0)
        return r;
    /* The workplace goes away with all in it, so a name that it may have does no harm. */
    int kept = fcntl(file.fd, F_DUPFD_CLOEXEC, 3);
    return kept < 0 ? box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor") : kept;
}

/* ---- The list of a tar ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* "./blobs//x" is "blobs/x"; a name with ".." in it is nobody's. */
static char *clean(const char *name)
{
    char *out = malloc(strlen(name) + 1), *to = out;

    while (out && *name) {
        size_t n = strcspn(name, "/");
        if (n == 2 && name[0] == '.' && name[1] == '.') {
            to = out;
            break;
        }
        if (n > 0 && !(n == 1 && name[0] == '.')) {
            if (to != out)
                *to++ = '/';
            memcpy(to, name, n);
            to += n;
        }
        name += n + (name[n] == '/');
    }
    if (out)
        *to = '\0';
    return out;
}

/* A symbolic link's target is relative to the directory that holds it; ".." in it is resolved by text alone,
 * which is right here, since no directory in the list is a link. */
static char *link_target(const char *name, const struct box_tar_entry *entry)
{
    const char *slash = strrchr(name, '/');
    _free_ char *joined = NULL;

    if (entry->type == BOX_TAR_HARDLINK)
        return clean(entry->link);
    joined = entry->link[0] == '/' || !slash ? strdup(entry->link)
                                             : box_strf("%.*s/%s", (int)(slash - name), name, entry->link);
    for (char *up; joined && (up = strstr(joined, "/../"));) {
        char *start = up;
        while (start > joined && start[-1] != '/')
            start--;
        memmove(start, up + 4, strlen(up + 4) + 1);
    }
    return joined ? clean(joined) : NULL;
}

static int add_file(struct box_bundle *b, const struct box_tar_entry *entry, box_error **err)
{
    struct file *file;

    if (b->n >= ENTRIES_MAX)
        return box_fail(err, BOX_ELIMIT, "the archive has more than %d entries", ENTRIES_MAX);
    file = box_array_add(&b->files, &b->n, &b->capacity);
    if (!file)
        return box_fail_nomem(err);
    file->name = clean(entry->path);
    if (file->name && entry->type != BOX_TAR_FILE)
        file->link = link_target(file->name, entry);
    if (!file->name || (entry->type != BOX_TAR_FILE && !file->link))
        return box_fail_nomem(err);
    file->size = entry->size;
    return 0;
}

static int list_tar(struct box_bundle *b, struct box_source *stream, unsigned header_bytes, box_error **err)
{
    _cleanup_(box_tar) struct box_tar *tar = NULL;
    struct box_tar_entry entry;
    bool sparse = false;
    size_t last = SIZE_MAX;
    int r = box_tar_open(stream, header_bytes, &tar, err);

    while (r == 0) {
        r = box_tar_next(tar, &entry, err);
        /* Where an entry's data begin follows from where they end: at the next header, rounded up to a block.
         */
        if (r >= 0 && last != SIZE_MAX)
            b->files[last].offset = box_tar_position(tar) - (b->files[last].size + BLOCK - 1) / BLOCK * BLOCK;
        last = SIZE_MAX;
        if (r <= 0)
            break;
        sparse = entry.sparse;
        bool link = entry.type == BOX_TAR_SYMLINK || entry.type == BOX_TAR_HARDLINK;
        r = entry.type == BOX_TAR_FILE || link ? add_file(b, &entry, err) : 0;
        if (r == 0 && entry.type == BOX_TAR_FILE)
            last = b->n - 1;
        if (r == 0 && sparse)
            r = box_fail(err, BOX_EUNSUPPORTED, "the archive has sparse files in it");
    }
    if (r == 0 && b->n)
        qsort(b->files, b->n, sizeof(*b->files), by_name);
    return r;
}

static struct file *look_up(const struct box_bundle *b, const char *name)
{
    struct file key = {.name = (char *)name};

    return b->n ? bsearch(&key, b->files, b->n, sizeof(*b->files), by_name) : NULL;
}

/* ---- Opening ---- */

static struct box_bundle *bundle_new(box_error **err)
{
    struct box_bundle *b = calloc(1, sizeof(*b));

    if (!b)
        box_fail_nomem(err);
    else
        b->dirfd = b->fd = -1;
    return b;
}

void box_bundle_free(struct box_bundle *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++) {
        free(b->files[i].name);
        free(b->files[i].link);
    }
    free(b->files);
    box_cleanup_close(&b->dirfd);
    if (b->owned)
        box_cleanup_close(&b->fd);
    free(b);
}

static bool is_compressed(int fd)
{
    char first[8];
    ssize_t n = pread(fd, first, sizeof(first), 0);

    return n > 0 && box_compression_of(first, (size_t)n) != BOX_PLAIN;
}

/* A tar that is read for its headers: what lies between is skipped by seeking, so the stream knows its
 * offset. */
static int open_tar(struct box_bundle *b, uint64_t size, unsigned header_bytes, box_error **err)
{
    _cleanup_(box_source) box_source *stream = box_source_range(b->fd, 0, size, err);

    if (!stream)
        return BOX_ENOMEM;
    int r = list_tar(b, stream, header_bytes, err);
    return r < 0 ? box_fail_wrap(err, r, "archive") : 0;
}

int box_bundle_open_fd(struct box_store_work *work, int fd, const box_image_limits *limits,
                       box_layer_tick *tick, void *tick_data, struct box_bundle **bundle, box_error **err)
{
    _cleanup_(box_bundle) box_bundle *b = bundle_new(err);
    uint64_t size = 0;
    struct stat st;

    if (!b)
        return BOX_ENOMEM;
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "cannot look at the archive");
    if (box_is_seekable(fd) && !is_compressed(fd)) {
        b->fd = fd;
        size = (uint64_t)st.st_size;
    } else {
        if (box_is_seekable(fd) && lseek(fd, 0, SEEK_SET) < 0)
            return box_fail_sys(err, "lseek", NULL, "cannot read the archive");
        b->fd = box_spool(work, fd, true, limits, tick, tick_data, &size, err);
        b->owned = true;
        if (b->fd < 0)
            return b->fd;
    }
    int r = open_tar(b, size, limits->header_bytes, err);
    if (r == 0)
        *bundle = box_take(b);
    return r;
}

int box_bundle_open(struct box_store_work *work, const char *path, const box_image_limits *limits,
                    box_layer_tick *tick, void *tick_data, struct box_bundle **bundle, box_error **err)
{
    _close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return box_fail_sys(err, "open", path, "cannot open %s", path);
    if (S_ISDIR(st.st_mode)) {
        struct box_bundle *b = bundle_new(err);
        if (!b)
            return BOX_ENOMEM;
        b->dirfd = box_take_fd(&fd);
        *bundle = b;
        return 0;
    }
    int r = box_bundle_open_fd(work, fd, limits, tick, tick_data, bundle, err);
    if (r == 0 && (*bundle)->fd == fd) {
        (*bundle)->owned = true;
        box_take_fd(&fd);
    }
    return r;
}

/* ---- Finding ---- */

static int find_in_dir(const struct box_bundle *b, const char *name, struct box_piece *piece, box_error **err)
{
    _close_ int fd = box_resolve(b->dirfd, name, O_RDONLY | O_NONBLOCK, 0);
    struct stat st;

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0;
    if (fd < 0)
        return box_fail_resolve(err, fd, name, "cannot open %s in the archive", name);
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", name, "cannot look at %s in the archive", name);
    if (!S_ISREG(st.st_mode)) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = name};
        return box_fail_with(err, &info, "%s in the archive is not a regular file", name);
    }
    *piece = (struct box_piece){box_take_fd(&fd), true, 0, (uint64_t)st.st_size};
    return 1;
}

int box_bundle_find(const struct box_bundle *b, const char *name, struct box_piece *piece, box_error **err)
{
    if (b->dirfd >= 0)
        return find_in_dir(b, name, piece, err);
    _free_ char *cleaned = clean(name);
    if (!cleaned)
        return box_fail_nomem(err);
    const struct file *file = look_up(b, cleaned);
    for (int i = 0; file && file->link; i++) {
        if (i == LINKS_MAX)
            return box_fail(err, BOX_EPARSE, "%s is a link in a circle", name);
        file = look_up(b, file->link);
    }
    if (file)
        *piece = (struct box_piece){b->fd, false, file->offset, file->size};
    return file != NULL;
}

int box_bundle_read(const struct box_bundle *b, const char *name, char **data, size_t *length,
                    box_error **err)
{
    _piece_ struct box_piece piece = BOX_PIECE_NONE;
    int r = box_bundle_find(b, name, &piece, err);

    if (r <= 0)
        return r;
    if (piece.size > BOX_DOCUMENT_MAX) {
        struct box_fail_info info = {.code = BOX_ELIMIT, .subject = name};
        return box_fail_with(err, &info, "%s in the archive is larger than %u MiB", name,
                             BOX_DOCUMENT_MAX >> 20);
    }
    _free_ char *text = malloc((size_t)piece.size + 1);
    if (!text)
        return box_fail_nomem(err);
    for (size_t done = 0; done < piece.size;) {
        ssize_t n = pread(piece.fd, text + done, (size_t)piece.size - done, (off_t)(piece.offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return box_fail_sys(err, "pread", name, "cannot read %s in the archive", name);
        if (n == 0)
            return box_fail(err, BOX_EPARSE, "the archive is cut short in %s", name);
        done += (size_t)n;
    }
    text[piece.size] = '\0';
    *length = (size_t)piece.size;
    *data = box_take(text);
    return 1;
}
