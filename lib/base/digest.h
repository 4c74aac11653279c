/* Digests of content: sha256 and sha512, as OCI image-spec (descriptor.md, "Digests") writes them: "sha256:"
 * and 64 lower-case hexadecimal digits.
 *
 * The work is done by OpenSSL's libcrypto, which is opened when the first digest is made and uses the
 * processor's own instructions, and, where libcrypto is not installed, by an implementation of our own that
 * is several times slower. */
#ifndef BOX_BASE_DIGEST_H
#define BOX_BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

enum box_digest_algorithm {
    BOX_SHA256 = 1,
    BOX_SHA512 = 2,
};

#define BOX_DIGEST_BYTES 64            /* of the largest */
#define BOX_DIGEST_TEXT  (7 + 128 + 1) /* room for "sha512:", the digits and a NUL */

struct box_digest {
    enum box_digest_algorithm algorithm; /* 0: no digest */
    unsigned char bytes[BOX_DIGEST_BYTES];
};

/* 32 or 64. */
size_t box_digest_size(enum box_digest_algorithm algorithm);
/* Takes exactly the form above: an algorithm that we have, all the digits, in lower case, nothing around
 * them. BOX_EPARSE; for an algorithm that is none of ours BOX_EUNSUPPORTED. */
int box_digest_parse(const char *text, struct box_digest *out, box_error **err);
/* Writes "sha256:…" into out, and returns it. */
char *box_digest_format(const struct box_digest *digest, char out[BOX_DIGEST_TEXT]);
/* The digits alone, which follow the colon: the name of a blob in its directory. */
char *box_digest_hex(const struct box_digest *digest, char out[BOX_DIGEST_TEXT]);
/* "sha256" or "sha512". Static. */
const char *box_digest_algorithm_name(enum box_digest_algorithm algorithm);
bool box_digest_equal(const struct box_digest *a, const struct box_digest *b);

/* A digest in the making. For one thread at a time. */
typedef struct box_digester box_digester;

struct box_digester *box_digester_new(enum box_digest_algorithm algorithm, box_error **err);
/* The same with our own implementation, whatever is installed. */
struct box_digester *box_digester_new_builtin(enum box_digest_algorithm algorithm, box_error **err);
/* A failure of libcrypto's shows at the end. */
void box_digester_update(struct box_digester *digester, const void *data, size_t length);
/* Ends the digest; only box_digester_free() may follow. */
int box_digester_finish(struct box_digester *digester, struct box_digest *out, box_error **err);
void box_digester_free(struct box_digester *digester);
BOX_CLEANUP(box_digester, box_digester_free);

int box_digest_data(enum box_digest_algorithm algorithm, const void *data, size_t length,
                    struct box_digest *out, box_error **err);
/* Of what remains to be read from fd. size, when not NULL, gets the number of bytes. */
int box_digest_fd(enum box_digest_algorithm algorithm, int fd, struct box_digest *out, uint64_t *size,
                  box_error **err);

/* Fails with BOX_EDIGEST unless the two are equal: "layer: sha256:… expected, sha256:… found". */
int box_digest_check(const struct box_digest *expected, const struct box_digest *found, const char *what,
                     box_error **err);

#endif
