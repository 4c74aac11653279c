/* Writing a directory tree as a tar stream: pax format, byte for byte the same for the same tree, whoever
 * writes it.
 *
 * Entries are sorted by name, parents before what is in them, names relative to the tree without "./" in
 * front. Kept are type, mode, owner by number, time to the nanosecond, hard links within the tree, device
 * numbers, and the attributes user.* and security.capability. Sockets are left out. Nothing is followed:
 * links are links, and other file systems mounted in the tree are left out, but for the directory that they
 * are mounted on. */
#ifndef BOX_IMAGE_TAR_WRITE_H
#define BOX_IMAGE_TAR_WRITE_H

#include "base/fail.h"

/* Takes the next bytes of the stream; 0 or an error. */
typedef int box_tar_sink(const void *data, size_t length, void *context, box_error **err);

/* dirfd: the tree, open for reading. BOX_EUNSUPPORTED for a name that means something else in a layer
 * (".wh.…"), with that name as the subject; BOX_ELIMIT for a tree more than 256 deep. */
int box_tar_write_tree(int dirfd, box_tar_sink *sink, void *context, box_error **err);

#endif
