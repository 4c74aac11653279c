/* Reading a tar stream, entry by entry. libarchive takes the headers apart; nothing here touches the disk.
 *
 * Names are bytes. libarchive would convert those of PAX headers to the locale's character set, and bring
 * them into another normal form on the way, so that it is given the C locale, in which it leaves alone what
 * is not ASCII. A header may take no more than a limit: PAX records, long names and sparse maps together. A
 * name ends at the first NUL. */
#ifndef BOX_IMAGE_TAR_H
#define BOX_IMAGE_TAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/fail.h"
#include "image/source.h"

enum box_tar_type {
    BOX_TAR_FILE,
    BOX_TAR_DIRECTORY,
    BOX_TAR_SYMLINK,
    BOX_TAR_HARDLINK,
    BOX_TAR_CHAR,
    BOX_TAR_BLOCK,
    BOX_TAR_FIFO,
    BOX_TAR_OTHER,
};

struct box_tar_entry {
    enum box_tar_type type;
    const char *path; /* as the archive has it; valid until the next entry */
    const char *link; /* of a symbolic or hard link; "" otherwise */
    mode_t mode;      /* 07777 */
    int64_t uid, gid;
    uint64_t size; /* of a file, holes included */
    bool sparse;
    struct timespec mtime;
    dev_t rdev;
    uint64_t offset; /* where its first header begins in the stream */
};

typedef struct box_tar box_tar;

/* `source` is borrowed. header_bytes: the most that the headers of one entry may take, some 256 KiB more or
 * less. */
int box_tar_open(struct box_source *source, unsigned header_bytes, struct box_tar **tar, box_error **err);
void box_tar_free(struct box_tar *tar);
BOX_CLEANUP(box_tar, box_tar_free);

/* 1 and the next entry; 0 at the end, when the stream may hold more that no reader of tar looks at; or an
 * error. */
int box_tar_next(struct box_tar *tar, struct box_tar_entry *entry, box_error **err);
/* Where the data of the entry before this call of box_tar_next() ended: the end of the stream at the end. */
uint64_t box_tar_position(const struct box_tar *tar);
/* 1 and the next piece of the entry's data, which belongs at an offset of the file; 0 at its end; or an
 * error. */
int box_tar_data(struct box_tar *tar, const void **data, size_t *length, uint64_t *offset, box_error **err);
/* Passes over what is left of the entry's data. */
int box_tar_skip(struct box_tar *tar, box_error **err);
/* The entry's extended attributes, one after the other: true and one of them, or false. */
bool box_tar_xattr(struct box_tar *tar, const char **name, const void **value, size_t *size);

#endif
