/* Reading JSON that came from outside, with json-c.
 *
 * A document is parsed with limits, and its members are fetched by typed getters that know where they are, so
 * that an error names the place and both types: `process.args[2]: expected a string, found a number`. A place
 * is a chain of struct box_json_at on the caller's stack; it costs nothing until there is an error to write.
 *
 *     _cleanup_(json_object) json_object *doc = box_json_parse(text, length, &BOX_JSON_DEFAULT,
 * "config.json", &err); struct box_json_at root = BOX_JSON_ROOT(doc), process; r = box_json_get_object(&root,
 * "process", BOX_JSON_REQUIRED, &process, &err); r = box_json_get_string(&process, "cwd", BOX_JSON_REQUIRED,
 * &cwd, &err);       borrowed from doc r = box_json_get_u64(&process, "limit", BOX_JSON_OPTIONAL, 0,
 * INT64_MAX, &limit, &err);
 *
 * Every getter returns 0 and, when an optional member is missing (or null), leaves *out as it was (objects
 * and arrays: out->json is NULL). Failures: BOX_EPARSE. Borrowed strings live as long as the document.
 */
#ifndef BOX_BASE_JSON_H
#define BOX_BASE_JSON_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"

struct box_json_limits {
    size_t size; /* bytes of text */
    int depth;   /* nesting */
};
#define BOX_JSON_DEFAULT ((struct box_json_limits){.size = 4u << 20, .depth = 64})

/* Parses one document: an object, array or any other value, with white space around it and nothing after it.
 * Strict JSON in UTF-8 (no comments, no single quotes, no NaN); of duplicate keys the last wins. source names
 * the document in errors ("config.json:3:17: ..."), may be NULL. BOX_EPARSE, BOX_ELIMIT or BOX_ENOMEM. A
 * document that is `null` is an error, since NULL means failure. Free with json_object_put(). */
json_object *box_json_parse(const char *text, size_t length, const struct box_json_limits *limits,
                            const char *source, box_error **err);

struct box_json_at {
    json_object *json;            /* the value here, borrowed; NULL: absent */
    const struct box_json_at *up; /* the place that holds this one */
    const char *key;              /* its name there, or NULL: an element */
    size_t index;                 /* of an element */
};
#define BOX_JSON_ROOT(document) ((struct box_json_at){.json = (document)})

enum box_json_presence {
    BOX_JSON_OPTIONAL, /* missing or null: *out is left alone, 0 */
    BOX_JSON_REQUIRED, /* missing or null: BOX_EPARSE */
};

/* "object", "array", "string", "number", "boolean", "null". Static. */
const char *box_json_type_name(json_object *json);
/* Fails with BOX_EPARSE at a place: the message starts with the place's path ("process.args[2]: "). */
int box_json_fail(const struct box_json_at *at, box_error **err, const char *fmt, ...) BOX_PRINTF(3, 4);
/* Fails with "expected WHAT, found TYPE". what is such as "a string". */
int box_json_fail_type(const struct box_json_at *at, const char *what, box_error **err);
/* The path of a place, malloc'ed; NULL when out of memory. */
char *box_json_path(const struct box_json_at *at);

/* The value itself must be of this kind. */
int box_json_as_object(const struct box_json_at *at, box_error **err);
int box_json_as_array(const struct box_json_at *at, size_t *length, box_error **err);
int box_json_as_string(const struct box_json_at *at, const char **out, box_error **err); /* no NUL inside */
int box_json_as_bool(const struct box_json_at *at, bool *out, box_error **err);
int box_json_as_i64(const struct box_json_at *at, int64_t min, int64_t max, int64_t *out, box_error **err);
int box_json_as_u64(const struct box_json_at *at, uint64_t min, uint64_t max, uint64_t *out, box_error **err);
int box_json_as_double(const struct box_json_at *at, double *out, box_error **err);

/* A member of the object `at`, which must be one. *out is the place of the member. */
int box_json_get(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                 struct box_json_at *out, box_error **err);
int box_json_get_object(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        struct box_json_at *out, box_error **err);
int box_json_get_array(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                       struct box_json_at *out, size_t *length, box_error **err);
int box_json_get_string(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        const char **out, box_error **err);
int box_json_get_bool(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                      bool *out, box_error **err);
int box_json_get_i64(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                     int64_t min, int64_t max, int64_t *out, box_error **err);
int box_json_get_u64(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                     uint64_t min, uint64_t max, uint64_t *out, box_error **err);
int box_json_get_double(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        double *out, box_error **err);
/* An array of strings as a NULL-terminated vector of copies (base/strings.h: box_strv_free). Missing: *out
 * untouched. */
int box_json_get_strings(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                         char ***out, box_error **err);
/* An element of the array `at`, index below its length. */
struct box_json_at box_json_element(const struct box_json_at *at, size_t index);

/* Visits the members of the object `at` in the order they were written; stops at the first visit that is not
 * 0 and returns it. */
typedef int box_json_visit(const struct box_json_at *member, void *data, box_error **err);
int box_json_each(const struct box_json_at *at, box_json_visit *visit, void *data, box_error **err);

/* Making documents: each takes ownership of value, also on failure; BOX_ENOMEM when value is NULL or memory
 * is out. */
int box_json_put(json_object *object, const char *key, json_object *value, box_error **err);
int box_json_append(json_object *array, json_object *value, box_error **err);
int box_json_put_string(json_object *object, const char *key, const char *value, box_error **err);
int box_json_put_strings(json_object *object, const char *key, char *const *vector, box_error **err);
int box_json_put_u64(json_object *object, const char *key, uint64_t value, box_error **err);
int box_json_put_i64(json_object *object, const char *key, int64_t value, box_error **err);
int box_json_put_bool(json_object *object, const char *key, bool value, box_error **err);

static inline void box_cleanup_json_object(json_object **json)
{
    if (*json)
        json_object_put(*json);
}

#endif
