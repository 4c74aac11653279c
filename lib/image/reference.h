/* Names of images: Docker's grammar, and its familiar short forms.
 *
 *     [domain "/"] path [":" tag] ["@" digest]
 *
 * "debian" is docker.io/library/debian:latest; what stands before the first slash is a domain only when it
 * has a dot or a colon, is "localhost", or has a capital. See distribution/reference, and the OCI
 * distribution specification, "Pulling manifests". */
#ifndef BOX_IMAGE_REFERENCE_H
#define BOX_IMAGE_REFERENCE_H

#include <stdbool.h>

#include <libbox/reference.h>
#include "base/fail.h"

struct box_reference {
    char *domain; /* "docker.io", "host:5000" */
    char *path;   /* "library/debian" */
    char *tag;    /* NULL when there is a digest and no tag; otherwise "latest" when none was given */
    char *digest; /* "sha256:…", or NULL */
    bool tag_given;
};

/* Parses a name. BOX_EPARSE says what is wrong with it. Clear on success. */
int box_reference_read(const char *text, struct box_reference *reference, box_error **err);
void box_reference_clear(struct box_reference *reference);
#define _reference_ __attribute__((cleanup(box_reference_clear)))

/* "docker.io/library/debian:latest", with the digest if there is one. NULL: out of memory. */
char *box_reference_full(const struct box_reference *reference);
/* The shortest text that means the same, with its tag: "debian:latest". NULL: out of memory. */
char *box_reference_familiar(const struct box_reference *reference);
/* The full name without tag and digest. NULL: out of memory. */
char *box_reference_repository(const struct box_reference *reference);

#endif
