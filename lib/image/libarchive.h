/* libarchive, opened when the first archive is: a table of the functions that are used. Public names are the
 * library's own without "archive_"; their manual pages are archive_read(3) and archive_entry(3). */
#ifndef BOX_IMAGE_LIBARCHIVE_H
#define BOX_IMAGE_LIBARCHIVE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/fail.h"

struct archive;
struct archive_entry;

/* What libarchive's functions answer. */
#define BOX_ARCHIVE_EOF    1
#define BOX_ARCHIVE_OK     0
#define BOX_ARCHIVE_WARN   (-20)
#define BOX_ARCHIVE_FAILED (-25)
#define BOX_ARCHIVE_FATAL  (-30)

typedef ssize_t box_archive_read_fn(struct archive *, void *data, const void **block);
typedef int64_t box_archive_skip_fn(struct archive *, void *data, int64_t request);

struct box_libarchive {
    struct archive *(*read_new)(void);
    int (*read_free)(struct archive *);
    int (*read_support_format_tar)(struct archive *);
    int (*read_support_format_empty)(struct archive *);
    int (*read_support_format_raw)(struct archive *);
    int (*read_support_filter_gzip)(struct archive *);
    int (*read_support_filter_bzip2)(struct archive *);
    int (*read_support_filter_xz)(struct archive *);
    int (*read_support_filter_zstd)(struct archive *);
    int (*read_set_read_callback)(struct archive *, box_archive_read_fn *);
    int (*read_set_skip_callback)(struct archive *, box_archive_skip_fn *);
    int (*read_set_callback_data)(struct archive *, void *data);
    int (*read_open1)(struct archive *);
    int (*read_next_header)(struct archive *, struct archive_entry **);
    int (*read_data_block)(struct archive *, const void **block, size_t *length, int64_t *offset);
    int (*read_data_skip)(struct archive *);
    int64_t (*read_header_position)(struct archive *);
    const char *(*error_string)(struct archive *);
    const char *(*entry_pathname)(struct archive_entry *);
    const char *(*entry_hardlink)(struct archive_entry *);
    const char *(*entry_symlink)(struct archive_entry *);
    mode_t (*entry_filetype)(struct archive_entry *);
    mode_t (*entry_perm)(struct archive_entry *);
    int64_t (*entry_uid)(struct archive_entry *);
    int64_t (*entry_gid)(struct archive_entry *);
    int64_t (*entry_size)(struct archive_entry *);
    time_t (*entry_mtime)(struct archive_entry *);
    long (*entry_mtime_nsec)(struct archive_entry *);
    dev_t (*entry_rdevmajor)(struct archive_entry *);
    dev_t (*entry_rdevminor)(struct archive_entry *);
    int (*entry_sparse_count)(struct archive_entry *);
    int (*entry_xattr_reset)(struct archive_entry *);
    int (*entry_xattr_next)(struct archive_entry *, const char **name, const void **value, size_t *size);
};

/* The table; NULL with BOX_ELIBRARY when libarchive is not installed or libbox was built without archives. */
const struct box_libarchive *box_libarchive(box_error **err);

#endif
