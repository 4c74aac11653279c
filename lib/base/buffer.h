/* A growing buffer of bytes or text. Running out of memory is sticky: the appends go on doing nothing, and
 * the one check at the end (box_buffer_ok, or box_buffer_take answering NULL) sees it. After each append the
 * data is followed by a NUL that is not part of its length.
 *
 *     _buffer_ struct box_buffer b = {0};
 *     box_buffer_printf(&b, "%s=%d\n", key, value);
 *     char *text = box_buffer_take(&b);                  NULL: out of memory
 */
#ifndef BOX_BASE_BUFFER_H
#define BOX_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include <libbox/error.h>

struct box_buffer {
    char *data; /* NULL while nothing has been appended */
    size_t length, capacity;
    bool failed;
};

void box_buffer_append(struct box_buffer *b, const void *data, size_t length);
void box_buffer_puts(struct box_buffer *b, const char *text);
void box_buffer_putc(struct box_buffer *b, char c);
void box_buffer_printf(struct box_buffer *b, const char *fmt, ...) BOX_PRINTF(2, 3);
/* Room for so many more bytes at data + length, to be filled by the caller, who then adds to length; NULL
 * when memory is out. The byte behind the room is there for a NUL. */
char *box_buffer_reserve(struct box_buffer *b, size_t more);
/* Forgets the content, keeps the memory and the failure. */
void box_buffer_clear(struct box_buffer *b);
static inline bool box_buffer_ok(const struct box_buffer *b)
{
    return !b->failed;
}
/* The content as the caller's malloc'ed string ("" when nothing was appended), leaving the buffer empty and
 * usable; NULL when an append failed. */
char *box_buffer_take(struct box_buffer *b);
void box_buffer_free(struct box_buffer *b);

#define _buffer_ __attribute__((cleanup(box_buffer_free)))

#endif
