/* tar by libarchive. */
#include "image/tar.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/libarchive.h"

struct box_tar {
    const struct box_libarchive *la;
    struct archive *archive;
    struct archive_entry *entry; /* the current one; the archive's */
    struct box_source *source;   /* borrowed */
    locale_t locale;
    uint64_t limit, pulled, pulls; /* bytes and pieces that the call of libarchive in progress has taken */
    bool limited, over;
    int why_code;
    box_error *why;
    uint64_t position;
    char *path, *link;
};

/* ---- Between libarchive and the stream ---- */

static ssize_t pull(struct archive *archive, void *data, const void **block)
{
    struct box_tar *tar = data;
    size_t length = 0;

    (void)archive;
    /* The first piece mostly holds the end of what came before, so it does not count. */
    if (tar->limited && tar->pulled > tar->limit) {
        tar->over = true;
        return -1;
    }
    tar->why_code = box_source_read(tar->source, block, &length, &tar->why);
    if (tar->why_code < 0)
        return -1;
    if (tar->pulls++ > 0)
        tar->pulled += length;
    return (ssize_t)length;
}

static int64_t skip(struct archive *archive, void *data, int64_t request)
{
    struct box_tar *tar = data;

    (void)archive;
    return request > 0 ? (int64_t)tar->source->skip(tar->source, (uint64_t)request) : 0;
}

/* A warning is harmless when it is about character sets, which is expected; others tell of a malformed
 * header. */
static bool is_harmless(const char *text)
{
    return text && strstr(text, "locale");
}

static int settle(struct box_tar *tar, int result, box_error **err)
{
    const char *text;

    if (result == BOX_ARCHIVE_OK || result == BOX_ARCHIVE_EOF)
        return 0;
    if (tar->why_code < 0) {
        if (err)
            *err = box_take(tar->why);
        return tar->why_code;
    }
    if (tar->over)
        return box_fail(err, BOX_ELIMIT, "the headers of an entry are longer than %llu bytes",
                        (unsigned long long)tar->limit);
    text = tar->la->error_string(tar->archive);
    if (result == BOX_ARCHIVE_WARN && is_harmless(text))
        return 0;
    return box_fail(err, BOX_EPARSE, "the tar stream is damaged or cut short: %s",
                    text ? text : "no reason given");
}

/* Around every call that parses: the C locale for this thread, and the limit. */
static locale_t enter(struct box_tar *tar, bool limited)
{
    tar->limited = limited;
    tar->pulled = tar->pulls = 0;
    return uselocale(tar->locale);
}

/* ---- Opening ---- */

static int open_archive(struct box_tar *tar, box_error **err)
{
    tar->la = box_libarchive(err);
    if (!tar->la)
        return BOX_ELIBRARY;
    tar->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    tar->archive = tar->la->read_new();
    if (!tar->locale || !tar->archive)
        return box_fail_nomem(err);
    locale_t before = enter(tar, true);
    tar->la->read_support_format_tar(tar->archive);
    tar->la->read_support_format_empty(tar->archive); /* no bytes at all are no entries */
    tar->la->read_set_read_callback(tar->archive, pull);
    if (tar->source->skip)
        tar->la->read_set_skip_callback(tar->archive, skip);
    tar->la->read_set_callback_data(tar->archive, tar);
    int r = tar->la->read_open1(tar->archive);
    uselocale(before);
    return settle(tar, r, err);
}

int box_tar_open(struct box_source *source, unsigned header_bytes, struct box_tar **out, box_error **err)
{
    struct box_tar *tar = calloc(1, sizeof(*tar));

    if (!tar)
        return box_fail_nomem(err);
    tar->source = source;
    tar->limit = header_bytes;
    int r = open_archive(tar, err);
    if (r < 0)
        box_tar_free(tar);
    else
        *out = tar;
    return r;
}

void box_tar_free(struct box_tar *tar)
{
    if (!tar)
        return;
    if (tar->archive)
        tar->la->read_free(tar->archive);
    if (tar->locale)
        freelocale(tar->locale);
    box_error_free(tar->why);
    free(tar->path);
    free(tar->link);
    free(tar);
}

/* ---- Entries ---- */

static enum box_tar_type type_of(const struct box_tar *tar, const char *hardlink)
{
    if (hardlink)
        return BOX_TAR_HARDLINK;
    switch (tar->la->entry_filetype(tar->entry)) {
    case S_IFREG:
        return BOX_TAR_FILE;
    case S_IFDIR:
        return BOX_TAR_DIRECTORY;
    case S_IFLNK:
        return BOX_TAR_SYMLINK;
    case S_IFCHR:
        return BOX_TAR_CHAR;
    case S_IFBLK:
        return BOX_TAR_BLOCK;
    case S_IFIFO:
        return BOX_TAR_FIFO;
    default:
        return BOX_TAR_OTHER;
    }
}

static int fill(struct box_tar *tar, struct box_tar_entry *entry, box_error **err)
{
    const struct box_libarchive *la = tar->la;
    struct archive_entry *e = tar->entry;
    const char *path = la->entry_pathname(e), *hardlink = la->entry_hardlink(e);
    const char *link = hardlink ? hardlink : la->entry_symlink(e);
    int64_t size = la->entry_size(e);

    free(tar->path);
    free(tar->link);
    tar->path = strdup(path ? path : "");
    tar->link = strdup(link ? link : "");
    if (!tar->path || !tar->link)
        return box_fail_nomem(err);
    la->entry_xattr_reset(e);
    *entry = (struct box_tar_entry){
        .type = type_of(tar, hardlink),
        .path = tar->path,
        .link = tar->link,
        .mode = la->entry_perm(e) & 07777,
        .uid = la->entry_uid(e),
        .gid = la->entry_gid(e),
        .size = size > 0 ? (uint64_t)size : 0,
        .sparse = la->entry_sparse_count(e) > 0,
        .mtime = {la->entry_mtime(e), la->entry_mtime_nsec(e)},
        .rdev = makedev((unsigned)la->entry_rdevmajor(e), (unsigned)la->entry_rdevminor(e)),
        .offset = tar->position,
    };
    return 0;
}

int box_tar_next(struct box_tar *tar, struct box_tar_entry *entry, box_error **err)
{
    int r = box_tar_skip(tar, err);

    if (r < 0)
        return r;
    locale_t before = enter(tar, true);
    int result = tar->la->read_next_header(tar->archive, &tar->entry);
    tar->position = (uint64_t)tar->la->read_header_position(tar->archive);
    if (result == BOX_ARCHIVE_EOF)
        tar->entry = NULL;
    r = settle(tar, result, err);
    if (r == 0 && tar->entry)
        r = fill(tar, entry, err);
    uselocale(before);
    return r < 0 ? r : tar->entry != NULL;
}

uint64_t box_tar_position(const struct box_tar *tar)
{
    return tar->position;
}

int box_tar_data(struct box_tar *tar, const void **data, size_t *length, uint64_t *offset, box_error **err)
{
    int64_t at = 0;
    locale_t before = enter(tar, true); /* a sparse map is read with the first piece */
    int result = tar->la->read_data_block(tar->archive, data, length, &at);

    uselocale(before);
    if (result == BOX_ARCHIVE_EOF)
        return 0;
    int r = settle(tar, result, err);
    *offset = at > 0 ? (uint64_t)at : 0;
    return r < 0 ? r : 1;
}

int box_tar_skip(struct box_tar *tar, box_error **err)
{
    if (!tar->entry)
        return 0;
    locale_t before = enter(tar, false);
    int result = tar->la->read_data_skip(tar->archive);
    uselocale(before);
    return settle(tar, result, err);
}

bool box_tar_xattr(struct box_tar *tar, const char **name, const void **value, size_t *size)
{
    return tar->la->entry_xattr_next(tar->entry, name, value, size) == BOX_ARCHIVE_OK;
}
