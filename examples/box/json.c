/* JSON as Docker writes it: on one line, or one member a line. */
#include <json-c/json.h>
#include <string.h>

#include "rows.h"

void write_json_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            fprintf(out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c < 32)
            fprintf(out, "\\u%04x", c);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void new_line(FILE *out, int indent, int level)
{
    if (indent)
        fprintf(out, "\n%*s", indent * level, "");
}

void write_json(FILE *out, json_object *v, int indent, int level)
{
    size_t n = 0;

    switch (json_object_get_type(v)) {
    case json_type_object:
        fputc('{', out);
        json_object_object_foreach(v, key, member) {
            if (strcmp(key, HIDDEN_LABELS) == 0)
                continue;
            fputs(n++ ? "," : "", out);
            new_line(out, indent, level + 1);
            write_json_string(out, key);
            fputs(indent ? ": " : ":", out);
            write_json(out, member, indent, level + 1);
        }
        break;
    case json_type_array:
        fputc('[', out);
        for (; n < json_object_array_length(v); n++) {
            fputs(n ? "," : "", out);
            new_line(out, indent, level + 1);
            write_json(out, json_object_array_get_idx(v, n), indent, level + 1);
        }
        break;
    case json_type_string:
        write_json_string(out, json_object_get_string(v));
        return;
    default:
        fputs(v ? json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN) : "null", out);
        return;
    }
    if (n)
        new_line(out, indent, level);
    fputc(json_object_is_type(v, json_type_object) ? '}' : ']', out);
}
