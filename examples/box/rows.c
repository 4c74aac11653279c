/* Rows and their columns. A table is its template, once for the titles and once for each row, with the tabs made to
 * columns afterwards: as Docker does it, and with its widths. */
#include "rows.h"

#include <stdlib.h>
#include <string.h>

#include "box.h"

#define MOST_COLUMNS 32
#define PADDING      3

void put_string(json_object *row, const char *key, const char *value)
{
    json_object_object_add(row, key, json_object_new_string(value ? value : ""));
}

void put_made(json_object *row, const char *key, char *value)
{
    put_string(row, key, value);
    free(value);
}

/* Characters, not bytes. */
static size_t width_of(const char *text, size_t n)
{
    size_t width = 0;

    for (size_t i = 0; i < n; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

void print_columns(const char *text, size_t least)
{
    size_t widths[MOST_COLUMNS] = {0};

    /* The last cell of a line ends in no tab and belongs to no column. */
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *cell = line;
        for (size_t c = 0; c < MOST_COLUMNS && cell[strcspn(cell, "\t\n")] == '\t'; c++) {
            size_t n = strcspn(cell, "\t"), width = width_of(cell, n) + PADDING;
            if (width < least)
                width = least;
            if (width > widths[c])
                widths[c] = width;
            cell += n + 1;
        }
    }
    for (size_t c = 0; *text; text++) {
        size_t n = strcspn(text, "\t\n");
        fwrite(text, 1, n, stdout);
        if (text[n] == '\t' && c < MOST_COLUMNS)
            for (size_t w = width_of(text, n); w < widths[c]; w++)
                putchar(' ');
        else if (text[n])
            putchar(text[n]);
        c = text[n] == '\t' ? c + 1 : 0;
        text += n;
        if (!*text)
            break;
    }
}

/* "\t" and "\n" of a command line. */
static char *unescape(const char *text)
{
    char *copy = strdup(text), *to = copy;

    for (const char *p = text; copy && *p; p++) {
        if (p[0] == '\\' && (p[1] == 't' || p[1] == 'n'))
            *to++ = *++p == 't' ? '\t' : '\n';
        else
            *to++ = *p;
    }
    if (copy)
        *to = '\0';
    return copy;
}

static bool add_titles(FILE *out, const char *format, const struct heading *headings)
{
    json_object *titles = json_object_new_object();

    for (; headings->field; headings++)
        put_string(titles, headings->field, headings->title);
    put_string(titles, HIDDEN_LABELS, "");
    bool good = expand_template(out, format, titles);
    fputc('\n', out);
    json_object_put(titles);
    return good;
}

int print_rows(json_object *rows, const char *format, const char *usual, const struct heading *headings)
{
    char *whole = NULL, *text = NULL;
    size_t n = 0;
    bool good = true;

    if (!format || !*format || strcmp(format, "table") == 0)
        format = usual;
    if (strcmp(format, "json") == 0)
        format = "{{json .}}";
    bool table = strncmp(format, "table ", 6) == 0;
    whole = unescape(table ? format + 6 : format);
    FILE *out = open_memstream(&text, &n);
    if (!whole || !out) {
        free(whole);
        return fail_text("out of memory"), 1;
    }
    if (table)
        good = add_titles(out, whole, headings);
    for (size_t i = 0; good && i < json_object_array_length(rows); i++) {
        good = expand_template(out, whole, json_object_array_get_idx(rows, i));
        fputc('\n', out);
    }
    fclose(out);
    if (good && table)
        print_columns(text, 10);
    else if (good)
        fputs(text, stdout);
    free(text);
    free(whole);
    return good ? 0 : 1;
}
