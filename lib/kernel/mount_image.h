/* EROFS images of libbox's own, mounted without a place: detached, so that closing the descriptor is all the
 * cleaning up there is, also after a kill.
 *
 * The kernel takes an image apart as it finds it. Nothing but images that libbox itself wrote into a store of the
 * caller's may come here. */
#ifndef BOX_KERNEL_MOUNT_IMAGE_H
#define BOX_KERNEL_MOUNT_IMAGE_H

#include "base/fail.h"

/* Mounts the image that imagefd (open for reading, a regular file) holds: a descriptor of the mount's root directory,
 * or a BOX_E* code. From the file itself (Linux 6.12 and a file system that can be read in pages); otherwise through a
 * loop device, which goes with the last use. Read-only, nodev and nosuid are the caller's affair: as a lower layer the
 * attributes of the overlay count. BOX_EUNSUPPORTED without EROFS, BOX_EPERMISSION without privilege. */
int box_mount_image(int imagefd, box_error **err);
/* The directory `path`, or, where `path` is a regular file, the root of the image in it. */
int box_mount_image_or_directory(int dirfd, const char *path, box_error **err);

/* For tests: as on a kernel before 6.12. */
int box_mount_image_by_loop(int imagefd, box_error **err);

#endif
