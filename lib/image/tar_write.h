/* Writing tar streams: pax format, byte for byte the same for the same files, whoever writes it and whatever
 * libarchive is installed.
 *
 * Kept are type, mode, owner by number, time to the nanosecond, hard links among what is written, device numbers,
 * and the attributes user.* (without overlay's own) and security.capability. Sockets are left out. Holes are not
 * read, but written as the zeros that they are: the sparse forms of tar are not read by everybody. */
#ifndef BOX_IMAGE_TAR_WRITE_H
#define BOX_IMAGE_TAR_WRITE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "base/fail.h"

struct box_idmap;

/* Takes the next bytes of the stream; 0 or an error. */
typedef int box_tar_sink(const void *data, size_t length, void *context, box_error **err);

/* dirfd: the tree, open for reading. Entries are sorted by name, parents before what is in them, names relative
 * to the tree without "./" in front. Nothing is followed, and other file systems mounted in the tree are left
 * out, but for the directory that they are mounted on. BOX_EUNSUPPORTED for a name that means something else in
 * a layer (".wh.…"), with that name as the subject; BOX_ELIMIT for a tree more than 256 deep. */
int box_tar_write_tree(int dirfd, box_tar_sink *sink, void *context, box_error **err);

/* ---- Entry by entry ---- */

struct box_tar_how {
    box_tar_sink *sink;
    void *context;
    /* Owners are found outside of this map and written as they are inside; NULL: as they are. One that the map
     * does not hold becomes 65534, as the kernel has it. */
    const struct box_idmap *idmap;
    /* Somebody may be writing to the files: nothing is opened that has not been looked at, and one that becomes
     * shorter meanwhile is filled up with zeros. Otherwise that is BOX_EBUSY. */
    bool live;
    unsigned long long limit; /* bytes that all files together may have, holes included: BOX_ELIMIT; 0: any */
};

struct box_tar_item {
    const char *path; /* in the archive; "" is written as "./" */
    int dirfd;        /* what it is: name in dirfd, which nothing follows */
    const char *name;
    const struct stat *st;
    int fd; /* a directory's own descriptor, for its attributes; -1: none is to be had */
};

typedef struct box_tar_writer box_tar_writer;
int box_tar_writer_new(const struct box_tar_how *how, struct box_tar_writer **writer, box_error **err);
void box_tar_writer_free(struct box_tar_writer *writer);
BOX_CLEANUP(box_tar_writer, box_tar_writer_free);

/* A file that is gone meanwhile is passed over when the files are live. */
int box_tar_writer_put(struct box_tar_writer *writer, const struct box_tar_item *item, box_error **err);
/* An empty file that stands for something: a whiteout. */
int box_tar_writer_mark(struct box_tar_writer *writer, const char *path, box_error **err);
/* A file of which the content is at hand. mtime: seconds since 1970. */
int box_tar_writer_put_data(struct box_tar_writer *writer, const char *path, const void *data, size_t length,
                            long long mtime, box_error **err);
/* The header of a file of this size, whose content follows, … */
int box_tar_writer_begin(struct box_tar_writer *writer, const char *path, unsigned long long size,
                         long long mtime, box_error **err);
/* … piece by piece, and the filling behind it. */
int box_tar_writer_data(struct box_tar_writer *writer, const void *data, size_t length, box_error **err);
int box_tar_writer_pad(struct box_tar_writer *writer, unsigned long long size, box_error **err);
int box_tar_writer_directory(struct box_tar_writer *writer, const char *path, long long mtime, box_error **err);
int box_tar_writer_end(struct box_tar_writer *writer, box_error **err);

#endif
