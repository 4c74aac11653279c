/* Streams of bytes that are pulled: a piece of a file, what a compression hides, each counted and digested on
 * the way.
 *
 *     range of the archive -> digest (blob) -> inflate -> read ahead by a thread -> digest (diff id) -> tar
 *
 * read() gives the next bytes, which stay valid until the next call; a length of 0 is the end. A stream owns
 * the one it reads from, unless it says otherwise, and is for one thread at a time. */
#ifndef BOX_IMAGE_SOURCE_H
#define BOX_IMAGE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/fail.h"

typedef struct box_source box_source;
struct box_source {
    int (*read)(struct box_source *source, const void **data, size_t *length, box_error **err);
    void (*free)(struct box_source *source);
    /* Passes over up to so many bytes without reading them: how many, 0 when it cannot. NULL: it never can.
     */
    uint64_t (*skip)(struct box_source *source, uint64_t bytes);
    /* The next bytes, as read() gives them, but put where the caller wants them: some of them, none
     * only at the end. NULL: it cannot. */
    int (*fill)(struct box_source *source, void *room, size_t size, size_t *length, box_error **err);
};

static inline int box_source_read(struct box_source *source, const void **data, size_t *length,
                                  box_error **err)
{
    return source->read(source, data, length, err);
}
void box_source_free(struct box_source *source);
BOX_CLEANUP(box_source, box_source_free);

/* Bytes [offset, offset + size) of a file; fd is borrowed, and read with pread(2), so that several may read
 * it at once. The file ending early is an error. */
struct box_source *box_source_range(int fd, uint64_t offset, uint64_t size, box_error **err);
/* What can be read from fd until its end; fd is borrowed. */
struct box_source *box_source_fd(int fd, box_error **err);

/* Everything that passes is counted, and digested. box_source_digest_finish() reads what is left of the
 * stream below first, so that the digest is of all of it. Takes `from` over, also on failure. */
struct box_source *box_source_digest(struct box_source *from, box_error **err); /* sha256 */
struct box_source *box_source_digest_as(struct box_source *from, enum box_digest_algorithm algorithm,
                                        box_error **err);
int box_source_digest_finish(struct box_source *source, struct box_digest *digest, uint64_t *size,
                             box_error **err);
uint64_t box_source_digest_count(const struct box_source *source);

enum box_compression { BOX_PLAIN, BOX_GZIP, BOX_ZSTD, BOX_XZ, BOX_BZIP2 };
/* By the first bytes of a stream. */
enum box_compression box_compression_of(const void *data, size_t length);
const char *box_compression_name(enum box_compression compression);
/* The same stream, whose first bytes were looked at. Takes `from` over, also on failure. */
struct box_source *box_source_look(struct box_source *from, enum box_compression *compression, box_error **err);
/* What `from` is when it is decompressed, or `from` itself when it is not compressed. Takes `from` over, also
 * on failure. BOX_EPARSE when it is damaged or cut short, BOX_ELIBRARY. */
struct box_source *box_source_inflate(struct box_source *from, box_error **err);
/* The same when it is known what it is. */
struct box_source *box_source_inflate_as(struct box_source *from, enum box_compression compression,
                                         box_error **err);

/* The same bytes, which are written to the empty file fd (borrowed) on the way: as they are, or as zstd with
 * their number in front. box_source_copy_finish() ends the copy, after the end of the stream. Takes `from`
 * over, also on failure. */
struct box_source *box_source_copy(struct box_source *from, int fd, bool zstd, box_error **err);
int box_source_copy_finish(struct box_source *source, box_error **err);
/* What stands in front of such a zstd copy: the number of bytes that it decompresses to. BOX_ECORRUPT. */
int box_source_copy_size(int fd, uint64_t *size, box_error **err);

/* The same bytes, read ahead by a thread of its own, some 2 MiB at most. Without a thread to be had it is
 * `from` itself. Takes `from` over, also on failure. */
struct box_source *box_source_ahead(struct box_source *from, box_error **err);

#endif
