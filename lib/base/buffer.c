/* The growing buffer: capacity doubles, and every size is checked for overflow before it is used. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *box_buffer_reserve(struct box_buffer *b, size_t more)
{
    size_t need, capacity;
    char *grown;

    if (b->failed)
        return NULL;
    if (more >= SIZE_MAX / 2 - b->length) {
        b->failed = true;
        return NULL;
    }
    need = b->length + more + 1;
    if (need <= b->capacity)
        return b->data + b->length;
    capacity = b->capacity < 64 ? 64 : b->capacity;
    while (capacity < need)
        capacity *= 2;
    grown = realloc(b->data, capacity);
    if (!grown) {
        b->failed = true;
        return NULL;
    }
    b->data = grown;
    b->capacity = capacity;
    return b->data + b->length;
}

void box_buffer_append(struct box_buffer *b, const void *data, size_t length)
{
    char *room = box_buffer_reserve(b, length);

    if (!room)
        return;
    if (length > 0)
        memcpy(room, data, length);
    room[length] = '\0';
    b->length += length;
}

void box_buffer_puts(struct box_buffer *b, const char *text)
{
    box_buffer_append(b, text, strlen(text));
}

void box_buffer_putc(struct box_buffer *b, char c)
{
    box_buffer_append(b, &c, 1);
}

void box_buffer_printf(struct box_buffer *b, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    if (n < 0)
        b->failed = true;
    else if (box_buffer_reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->length, (size_t)n + 1, fmt, again);
        b->length += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void box_buffer_clear(struct box_buffer *b)
{
    b->length = 0;
    if (b->data)
        b->data[0] = '\0';
}

char *box_buffer_take(struct box_buffer *b)
{
    char *text;

    box_buffer_append(b, "", 0);
    if (b->failed)
        return NULL;
    text = b->data;
    *b = (struct box_buffer){0};
    return text;
}

void box_buffer_free(struct box_buffer *b)
{
    free(b->data);
    *b = (struct box_buffer){0};
}
