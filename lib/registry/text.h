/* Small texts of the protocol: base64, and what may stand in a header or an error. */
#ifndef BOX_REGISTRY_TEXT_H
#define BOX_REGISTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "base/fail.h"

/* RFC 4648, with padding. NULL: out of memory. */
char *box_base64_encode(const void *data, size_t length);
/* Strict but for padding, which may be missing. The caller frees *data, which has a NUL behind it. BOX_EPARSE. */
int box_base64_decode(const char *text, char **data, size_t *length, box_error **err);

/* Appends foreign text, at most `max` bytes of it: control characters become spaces, bytes that are no UTF-8 '?'. */
void box_text_append_clean(struct box_buffer *out, const char *text, size_t length, size_t max);
/* Appends text with all but unreserved characters (RFC 3986) as %XX. */
void box_text_append_escaped(struct box_buffer *out, const char *text);
/* Whether a secret or a value can stand in a header: printable ASCII, no longer than max, not empty. */
bool box_text_is_header_value(const char *text, size_t max);
/* Forgets a secret before its memory is freed. NULL is allowed. */
void box_secret_free(char *secret);
static inline void box_cleanup_secret(char **secret)
{
    box_secret_free(*secret);
}
#define _secret_ __attribute__((cleanup(box_cleanup_secret)))

#endif
