/* Decompression: gzip by ISA-L where it is installed, which is three to four times as fast, zstd by libzstd;
 * everything else, and these without their libraries, by libarchive's filters, of which only those are switched on that decompress in
 * process.
 *
 * How something is compressed is seen in its first bytes, whatever a media type says: what comes out is held
 * against a digest in any case, so a lie gains nothing, and a wrong label on a good image does no harm. */
#include "image/source_inflate.h"

#include <stdlib.h>
#include <string.h>

#include "image/zstd.h"

enum box_compression box_compression_of(const void *data, size_t length)
{
    static const struct {
        enum box_compression compression;
        size_t length;
        const char *magic;
    } table[] = {
        {BOX_GZIP, 3, "\x1f\x8b\x08"},
        {BOX_ZSTD, 4, "\x28\xb5\x2f\xfd"},
        {BOX_XZ, 6,
         "\xfd"
         "7zXZ\0"},
        {BOX_BZIP2, 3, "BZh"},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++)
        if (length >= table[i].length && memcmp(data, table[i].magic, table[i].length) == 0)
            return table[i].compression;
    return BOX_PLAIN;
}

const char *box_compression_name(enum box_compression compression)
{
    static const char *const names[] = {"plain", "gzip", "zstd", "xz", "bzip2"};

    return (size_t)compression < BOX_ARRAY(names) ? names[compression] : "?";
}

/* ---- A stream whose beginning was looked at ---- */

struct peeked_source {
    struct box_source base;
    struct box_source *from;
    const void *data; /* what was read and not given yet; lies in `from` */
    size_t length;
    bool given;
};

static int peeked_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct peeked_source *s = (struct peeked_source *)base;

    if (s->given)
        return box_source_read(s->from, data, length, err);
    s->given = true;
    *data = s->data;
    *length = s->length;
    return 0;
}

static void peeked_free(struct box_source *base)
{
    struct peeked_source *s = (struct peeked_source *)base;

    box_source_free(s->from);
    free(s);
}

/* ---- libarchive's filters ---- */

struct raw_source {
    struct box_source base;
    struct box_source *from;
    const struct box_libarchive *la;
    struct archive *archive;
    box_error *why; /* of the stream below, while it goes through libarchive */
    int why_code;
    enum box_compression compression;
    bool at_end;
};

static ssize_t raw_pull(struct archive *archive, void *data, const void **block)
{
    struct raw_source *s = data;
    size_t length = 0;

    (void)archive;
    s->why_code = box_source_read(s->from, block, &length, &s->why);
    return s->why_code < 0 ? -1 : (ssize_t)length;
}

static int raw_fail(struct raw_source *s, box_error **err)
{
    if (s->why_code < 0) {
        if (err)
            *err = box_take(s->why);
        return s->why_code;
    }
    const char *text = s->la->error_string(s->archive);
    return box_fail(err, BOX_EPARSE, "the %s stream is damaged or cut short: %s",
                    box_compression_name(s->compression), text ? text : "no reason given");
}

static int raw_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct raw_source *s = (struct raw_source *)base;
    int64_t offset;

    *length = 0;
    while (!s->at_end && *length == 0) {
        int r = s->la->read_data_block(s->archive, data, length, &offset);
        if (r == BOX_ARCHIVE_EOF)
            s->at_end = true;
        else if (r != BOX_ARCHIVE_OK)
            return raw_fail(s, err);
    }
    if (s->at_end)
        *length = 0;
    return 0;
}

static void raw_free(struct box_source *base)
{
    struct raw_source *s = (struct raw_source *)base;

    if (s->archive)
        s->la->read_free(s->archive);
    box_error_free(s->why);
    box_source_free(s->from);
    free(s);
}

/* A filter that answers anything but OK would start a program. */
static int raw_filter(const struct raw_source *s)
{
    switch (s->compression) {
    case BOX_GZIP:
        return s->la->read_support_filter_gzip(s->archive);
    case BOX_ZSTD:
        return s->la->read_support_filter_zstd(s->archive);
    case BOX_XZ:
        return s->la->read_support_filter_xz(s->archive);
    case BOX_BZIP2:
        return s->la->read_support_filter_bzip2(s->archive);
    case BOX_PLAIN:
        break;
    }
    return BOX_ARCHIVE_FATAL;
}

static int raw_open(struct raw_source *s, box_error **err)
{
    struct archive_entry *entry;

    s->la = box_libarchive(err);
    if (!s->la)
        return BOX_ELIBRARY;
    s->archive = s->la->read_new();
    if (!s->archive)
        return box_fail_nomem(err);
    if (raw_filter(s) != BOX_ARCHIVE_OK) {
        struct box_fail_info info = {.code = BOX_ELIBRARY,
                                     .remedy = "install a libarchive with all its filters"};
        return box_fail_with(err, &info, "the installed libarchive cannot decompress %s by itself",
                             box_compression_name(s->compression));
    }
    s->la->read_support_format_raw(s->archive);
    s->la->read_set_read_callback(s->archive, raw_pull);
    s->la->read_set_callback_data(s->archive, s);
    int r = s->la->read_open1(s->archive);
    if (r == BOX_ARCHIVE_OK)
        r = s->la->read_next_header(s->archive, &entry);
    if (r == BOX_ARCHIVE_EOF) {
        s->at_end = true; /* nothing was compressed */
        return 0;
    }
    return r == BOX_ARCHIVE_OK ? 0 : raw_fail(s, err);
}

struct box_source *box_source_filter(struct box_source *from, enum box_compression compression,
                                     box_error **err)
{
    struct raw_source *s = calloc(1, sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = raw_read, .free = raw_free};
    s->from = from;
    s->compression = compression;
    if (raw_open(s, err) < 0) {
        raw_free(&s->base);
        return NULL;
    }
    return &s->base;
}

/* ---- Choosing ---- */

struct box_source *box_source_look(struct box_source *from, enum box_compression *compression, box_error **err)
{
    struct peeked_source *s = calloc(1, sizeof(*s));

    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = peeked_read, .free = peeked_free};
    s->from = from;
    if (box_source_read(from, &s->data, &s->length, err) < 0) {
        peeked_free(&s->base);
        return NULL;
    }
    *compression = box_compression_of(s->data, s->length);
    return &s->base;
}

struct box_source *box_source_inflate_as(struct box_source *from, enum box_compression compression,
                                         box_error **err)
{
    if (compression == BOX_PLAIN)
        return from;
    if (compression == BOX_GZIP && box_isal_usable())
        return box_source_isal(from, err);
    if (compression == BOX_ZSTD && box_zstd(NULL))
        return box_source_zstd(from, err);
    return box_source_filter(from, compression, err);
}

struct box_source *box_source_inflate(struct box_source *from, box_error **err)
{
    enum box_compression compression;
    struct box_source *looked = box_source_look(from, &compression, err);

    return looked ? box_source_inflate_as(looked, compression, err) : NULL;
}
