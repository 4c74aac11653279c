/* Tables and templates: what ps, images, stats, inspect and the like print through. */
#ifndef BOX_EXAMPLE_ROWS_H
#define BOX_EXAMPLE_ROWS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>

/* A member of a row for `.Label "key"`; it is not shown. */
#define HIDDEN_LABELS "\001labels"

/* ---- template.c ---- */
/* Expands a template for one value; false after having complained. */
bool expand_template(FILE *out, const char *format, json_object *value);
/* JSON as Docker writes it; indent 0 is one line. */
void write_json(FILE *out, json_object *value, int indent, int level);

/* ---- json.c ---- */
void write_json_string(FILE *out, const char *s);

/* ---- rows.c ---- */
struct heading {
    const char *field, *title;
};
/* Prints an array of objects by a format: "table …", "json", or a template for each; NULL is `usual`. The headings of a
 * table are the template of the titles. 0, or 1 after having complained. */
int print_rows(json_object *rows, const char *format, const char *usual, const struct heading *headings);
/* Lines of cells separated by tabs, in columns as wide as what is in them, but at least so wide. */
void print_columns(const char *text, size_t least);
void put_string(json_object *row, const char *key, const char *value);
/* The same, freeing the value. */
void put_made(json_object *row, const char *key, char *value);

#endif
