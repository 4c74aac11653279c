/* References: names of images, as people write them.
 *
 *     [domain "/"] path [":" tag] ["@" digest]
 *
 * The grammar is Docker's, familiar forms included: "python:3.11-slim" is docker.io/library/python:3.11-slim.
 * What stands before the first slash is a domain only when it has a dot or a colon, is "localhost", or has a
 * capital letter; everything else is a path on docker.io.
 *
 * A reference does not change after it was made; any number of threads may read one.
 *
 * Specification: OCI distribution-spec 1.1, "Pulling manifests"; the grammar of distribution/reference.
 */
#ifndef LIBBOX_REFERENCE_H
#define LIBBOX_REFERENCE_H

#include <stdbool.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_reference box_reference;

/* Parses a name of at most 4096 bytes; the caller frees *reference. BOX_EPARSE says what is wrong with it and
 * where. */
BOX_API int box_reference_parse(const char *text, box_reference **reference, box_error **err);
/* NULL is allowed. */
BOX_API void box_reference_free(box_reference *reference);

/* Strings are owned by the reference. */
BOX_API const char *box_reference_domain(const box_reference *reference); /* "docker.io", "host:5000" */
BOX_API const char *box_reference_path(const box_reference *reference);   /* "library/python" */
/* "latest" where the text has neither tag nor digest; NULL where it has a digest and no tag. */
BOX_API const char *box_reference_tag(const box_reference *reference);
/* "sha256:…", or NULL. */
BOX_API const char *box_reference_digest(const box_reference *reference);
/* Whether the text had the tag, or it is the "latest" that was added. */
BOX_API bool box_reference_has_tag(const box_reference *reference);

enum box_reference_form {
    BOX_REFERENCE_FULL = 0,      /* "docker.io/library/python:3.11-slim", with the digest if there is one */
    BOX_REFERENCE_FAMILIAR = 1,  /* the shortest text that means the same, with its tag: "python:3.11-slim" */
    BOX_REFERENCE_REPOSITORY = 2 /* without tag and digest: "docker.io/library/python" */
};
/* The caller frees *text with free(3). */
BOX_API int box_reference_format(const box_reference *reference, enum box_reference_form form, char **text,
                                 box_error **err);

#ifdef __cplusplus
}
#endif

#endif
