/* Strict parsing of numbers, sizes and durations, and vectors of strings.
 *
 * The parsers take what a person or a file wrote and nothing else: no white space, no '+', no leftovers, no
 * wrapping around, no 0x. "What a number that does not fit" becomes is an error, never another number: a user
 * 4294967296 that turns into 0 is root (CVE-2026-30892). `what` names the thing in the error: `--pids-limit:
 * "12x" is not a number`. Each returns 0, or BOX_EPARSE with *out left as it was. */
#ifndef BOX_BASE_STRINGS_H
#define BOX_BASE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/fail.h"

/* Decimal, 0 allowed in front ("007"), between min and max. */
int box_parse_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                  box_error **err);
/* The same with an optional '-'. */
int box_parse_i64(const char *text, const char *what, int64_t min, int64_t max, int64_t *out,
                  box_error **err);
/* Octal digits, as a file mode is written ("755", "0755", "1777"), up to max. */
int box_parse_octal(const char *text, const char *what, unsigned max, unsigned *out, box_error **err);
/* A decimal fraction as a whole number of 10^-places: "1.5" with 9 places is 1500000000. More places than
 * that are an error unless they are zeros. */
int box_parse_fixed(const char *text, const char *what, unsigned places, uint64_t *out, box_error **err);
/* Bytes as Docker takes them: "512m", "1.5g", "64KiB", "100", "2 GB". The units are powers of 1024, in either
 * case. */
int box_parse_size(const char *text, const char *what, uint64_t *out, box_error **err);
/* Nanoseconds from a Go duration: "1m30s", "500ms", "1.5h", "10us", "0". Not negative. */
int box_parse_duration(const char *text, const char *what, int64_t *out, box_error **err);

/* Copies a text of which it is known that it fits; one that does not is cut, and never written past the end. */
static inline void box_text_copy(char *to, size_t size, const char *from)
{
    size_t n = strnlen(from, size - 1);

    memmove(to, from, n);
    to[n] = '\0';
}

/* printf into a malloc'ed string; NULL when out of memory. */
char *box_strf(const char *fmt, ...) BOX_PRINTF(1, 2);

static inline bool box_streq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}
/* What follows the prefix, or NULL. */
const char *box_after_prefix(const char *text, const char *prefix);
bool box_ends_with(const char *text, const char *suffix);

/* Vectors: malloc'ed, NULL-terminated arrays of malloc'ed strings. A NULL vector is an empty one. */
size_t box_strv_length(char *const *vector);
/* A deep copy; of a NULL vector an empty one. NULL: out of memory. */
char **box_strv_dup(char *const *vector);
void box_strv_free(char **vector);
/* Appends a copy of text; 0, or BOX_ENOMEM with the vector as it was. */
int box_strv_append(char ***vector, const char *text);
/* Appends text itself, which must be malloc'ed; NULL is taken for a failed allocation. Frees it on failure.
 */
int box_strv_append_take(char ***vector, char *text);
bool box_strv_contains(char *const *vector, const char *text);
/* text cut at each separator; empty pieces are kept, so "a,,b" has three. NULL: out of memory. */
char **box_strv_split(const char *text, char separator);
/* The strings with separator between them; NULL: out of memory. */
char *box_strv_join(char *const *vector, const char *separator);
/* The value of NAME in a vector of NAME=value, the last one if there are several; NULL: none. Borrowed. */
const char *box_env_get(char *const *env, const char *name);
/* Sets NAME=value (given so), in the place of all entries of that name; 0 or BOX_ENOMEM. */
int box_env_set(char ***env, const char *assignment);

static inline void box_cleanup_strv(char ***vector)
{
    box_strv_free(*vector);
}
#define _strv_ __attribute__((cleanup(box_cleanup_strv)))

#endif
