/* What a registry answers about itself in headers and error documents: parsed here, without any I/O. */
#ifndef BOX_REGISTRY_CHALLENGE_H
#define BOX_REGISTRY_CHALLENGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/fail.h"

/* ---- WWW-Authenticate: RFC 9110, section 11; Docker's token authentication ---- */

struct box_challenges {
    bool basic, bearer;
    char *realm, *service, *scope; /* of the first Bearer challenge; NULL: not said */
};

/* Adds the challenges of one header's value, of which there can be several. What cannot be read is passed over.
 * BOX_ENOMEM only. */
int box_challenges_read(struct box_challenges *challenges, const char *value, box_error **err);
void box_challenges_clear(struct box_challenges *challenges);
#define _challenges_ __attribute__((cleanup(box_challenges_clear)))

/* ---- Link: RFC 8288 ---- */

/* The target of the link with rel="next", as it stands; *target is NULL where there is none. */
int box_link_next(const char *value, char **target, box_error **err);

/* ---- Content-Range, Range ---- */

/* "bytes 5-9/10": BOX_EPARSE. *total is UINT64_MAX for "*". */
int box_content_range_read(const char *value, uint64_t *first, uint64_t *last, uint64_t *total, box_error **err);
/* The "0-N" of an upload: *next is N + 1; "0-0" of an upload with nothing in it is told from one byte by nobody,
 * and taken for nothing. */
int box_upload_range_read(const char *value, uint64_t *next, box_error **err);
/* Retry-After in milliseconds, in seconds or as a date (RFC 9110, section 10.2.3): -1 when it is neither. */
int64_t box_retry_after_read(const char *value, int64_t now_s);

/* ---- {"errors":[{"code":…,"message":…,"detail":…}]} ---- */

/* Appends what the document says, for people: "MESSAGE (CODE)", bounded and cleaned. Nothing for what is no such
 * document. *code_out (may be NULL) gets the first code, malloc'ed, or NULL. */
void box_registry_error_append(struct box_buffer *out, const char *text, size_t length);

#endif
