/* Getting at /etc/passwd and /etc/group of a root, or of the layers that make one; for users.c alone. */
#ifndef BOX_SPEC_USERS_FILES_H
#define BOX_SPEC_USERS_FILES_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/fail.h"

/* Where the files are looked for: a root, or layers with the topmost first. */
struct users_root {
    int rootfd; /* -1: the layers */
    const int *layers;
    size_t n_layers;
};

/* Reads a file whole. One that is not there is empty. BOX_ELIMIT, BOX_EPARSE for what is no regular file. */
int box_users_read_file(const struct users_root *root, const char *path, struct box_buffer *content,
                        box_error **err);

#endif
