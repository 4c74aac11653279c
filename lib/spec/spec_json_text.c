/* A document as text. Not json-c's own writer, since that goes on when memory runs out and gives a text with
 * a hole in it, which would then be saved over a good one. */
#include "spec/spec_json.h"

#include "base/buffer.h"

static void put_string(struct box_buffer *b, const char *text, size_t length)
{
    static const char named[] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    size_t start = 0;

    box_buffer_putc(b, '"');
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
            continue;
        box_buffer_append(b, text + start, i - start);
        start = i + 1;
        if (c < sizeof(named) && named[c])
            box_buffer_printf(b, "\\%c", named[c]);
        else
            box_buffer_printf(b, "\\u%04x", c);
    }
    box_buffer_append(b, text + start, length - start);
    box_buffer_putc(b, '"');
}

static void new_line(struct box_buffer *b, int depth)
{
    box_buffer_printf(b, "\n%*s", depth * 4, "");
}

static void put_value(struct box_buffer *b, json_object *value, int depth);

static void put_object(struct box_buffer *b, json_object *object, int depth)
{
    struct json_object_iter i;
    bool first = true;

    box_buffer_putc(b, '{');
    json_object_object_foreachC(object, i)
    {
        if (!first)
            box_buffer_putc(b, ',');
        first = false;
        new_line(b, depth + 1);
        put_string(b, i.key, strlen(i.key));
        box_buffer_puts(b, ": ");
        put_value(b, i.val, depth + 1);
    }
    if (!first)
        new_line(b, depth);
    box_buffer_putc(b, '}');
}

static void put_array(struct box_buffer *b, json_object *array, int depth)
{
    size_t n = json_object_array_length(array);

    box_buffer_putc(b, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            box_buffer_putc(b, ',');
        new_line(b, depth + 1);
        put_value(b, json_object_array_get_idx(array, i), depth + 1);
    }
    if (n)
        new_line(b, depth);
    box_buffer_putc(b, ']');
}

/* A fraction is written as the document spelled it, which json-c keeps beside the number. */
static void put_double(struct box_buffer *b, json_object *value)
{
    const char *spelled = json_object_get_userdata(value);

    if (spelled)
        box_buffer_puts(b, spelled);
    else
        box_buffer_printf(b, "%.17g", json_object_get_double(value));
}

static void put_value(struct box_buffer *b, json_object *value, int depth)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        box_buffer_puts(b, "null");
        break;
    case json_type_boolean:
        box_buffer_puts(b, json_object_get_boolean(value) ? "true" : "false");
        break;
    case json_type_double:
        put_double(b, value);
        break;
    case json_type_int:
        if (json_object_get_int64(value) < 0)
            box_buffer_printf(b, "%lld", (long long)json_object_get_int64(value));
        else
            box_buffer_printf(b, "%llu", (unsigned long long)json_object_get_uint64(value));
        break;
    case json_type_string:
        put_string(b, json_object_get_string(value), (size_t)json_object_get_string_len(value));
        break;
    case json_type_object:
        put_object(b, value, depth);
        break;
    case json_type_array:
        put_array(b, value, depth);
        break;
    }
}

char *spec_json_text(json_object *document)
{
    _buffer_ struct box_buffer b = {0};

    put_value(&b, document, 0);
    box_buffer_putc(&b, '\n');
    return box_buffer_take(&b);
}
