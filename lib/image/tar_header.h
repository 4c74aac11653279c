/* The header of a tar entry: POSIX pax interchange format, IEEE Std 1003.1, pax(1). For tar_write.c. */
#ifndef BOX_IMAGE_TAR_HEADER_H
#define BOX_IMAGE_TAR_HEADER_H

#include <stdint.h>
#include <time.h>

#include "base/buffer.h"
#include "base/fail.h"

#define BOX_TAR_BLOCK 512u

struct box_tar_header {
    const char *path; /* with a slash at its end for a directory */
    const char *link; /* NULL: none */
    char type; /* '0' file, '1' hard link, '2' symbolic link, '3' char, '4' block, '5' directory, '6' FIFO */
    unsigned mode;
    uint32_t uid, gid;
    uint64_t size;
    struct timespec mtime;
    unsigned major, minor;
};

/* Adds a record "length key=value\n" to what will stand in the extended header. */
void box_tar_pax_add(struct box_buffer *pax, const char *key, const void *value, size_t length);
/* Writes the header, after an extended one when `pax` has something, or when a field does not fit into it. */
int box_tar_header_put(struct box_buffer *out, const struct box_tar_header *header, struct box_buffer *pax,
                       box_error **err);

#endif
