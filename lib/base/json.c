/* Reading and making JSON with json-c: first a strict check of the text (json_check.c), then json-c builds
 * the tree, then typed getters fetch from it and say where they were when something is not as expected. */
#include "base/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/json_check.h"
#include "base/strings.h"

static int fail_at(const char *text, const struct box_json_fault *fault, const char *source, box_error **err)
{
    struct box_fail_info info = {.code = fault->too_deep ? BOX_ELIMIT : BOX_EPARSE, .subject = source};
    size_t line = 1, column = 1;

    for (size_t i = 0; i < fault->at; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    return box_fail_with(err, &info, "%s:%zu:%zu: %s", source, line, column, fault->why);
}

/* The tree of a text that has been checked; NULL: out of memory. */
static json_object *build(const char *text, size_t length, int depth)
{
    /* json-c counts a level for the innermost value too. */
    struct json_tokener *tokener = json_tokener_new_ex(depth + 2);
    json_object *document;

    if (!tokener)
        return NULL;
    document = json_tokener_parse_ex(tokener, text, (int)length);
    /* A number ends only when something follows it. */
    if (!document && json_tokener_get_error(tokener) == json_tokener_continue)
        document = json_tokener_parse_ex(tokener, " ", 1);
    json_tokener_free(tokener);
    return document;
}

json_object *box_json_parse(const char *text, size_t length, const struct box_json_limits *limits,
                            const char *source, box_error **err)
{
    struct box_json_fault fault;
    json_object *document;

    if (!source)
        source = "JSON";
    if (length > limits->size || length > INT32_MAX) {
        struct box_fail_info info = {.code = BOX_ELIMIT, .subject = source};
        box_fail_with(err, &info, "%s: %zu bytes, more than the limit of %zu", source, length, limits->size);
        return NULL;
    }
    if (box_json_check(text, length, limits->depth, &fault) < 0) {
        fail_at(text, &fault, source, err);
        return NULL;
    }
    document = build(text, length, limits->depth);
    if (!document) {
        size_t blank = 0;
        while (blank < length && strchr(" \t\r\n", text[blank]))
            blank++;
        if (blank < length && text[blank] == 'n') {
            fault = (struct box_json_fault){.at = blank, .why = "the document is null"};
            fail_at(text, &fault, source, err);
        } else {
            box_fail_nomem(err);
        }
    }
    return document;
}

/* Places */

const char *box_json_type_name(json_object *json)
{
    switch (json_object_get_type(json)) {
    case json_type_boolean:
        return "boolean";
    case json_type_double:
    case json_type_int:
        return "number";
    case json_type_object:
        return "object";
    case json_type_array:
        return "array";
    case json_type_string:
        return "string";
    case json_type_null:
        break;
    }
    return "null";
}

static void put_path(struct box_buffer *b, const struct box_json_at *at)
{
    if (!at->up)
        return;
    put_path(b, at->up);
    if (!at->key) {
        box_buffer_printf(b, "[%zu]", at->index);
        return;
    }
    if (b->length > 0)
        box_buffer_putc(b, '.');
    /* A key can be anything; an error is one line and does nothing to a terminal. */
    for (const char *c = at->key; *c; c++)
        box_buffer_putc(b, (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c);
}

char *box_json_path(const struct box_json_at *at)
{
    _buffer_ struct box_buffer b = {0};

    put_path(&b, at);
    return box_buffer_take(&b);
}

int box_json_fail(const struct box_json_at *at, box_error **err, const char *fmt, ...)
{
    struct box_fail_info info = {.code = BOX_EPARSE};
    _free_ char *path = NULL;
    _free_ char *text = NULL;
    va_list args;
    int n;

    if (!err)
        return BOX_EPARSE;
    path = box_json_path(at);
    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    if (n < 0) {
        text = NULL; /* vasprintf leaves it undefined */
        return box_fail_nomem(err);
    }
    if (!path)
        return box_fail_nomem(err);
    info.subject = path;
    return box_fail_with(err, &info, "%s%s%s", path, *path ? ": " : "", text);
}

int box_json_fail_type(const struct box_json_at *at, const char *what, box_error **err)
{
    static const char *const articles[][2] = {
        {"object", "an object"}, {"array", "an array"},    {"string", "a string"},
        {"number", "a number"},  {"boolean", "a boolean"}, {"null", "null"},
    };
    const char *found = box_json_type_name(at->json);

    for (size_t i = 0; i < BOX_ARRAY(articles); i++)
        if (strcmp(articles[i][0], found) == 0)
            found = articles[i][1];
    /* The one number that is not good enough for the rest: 1.0 and 1e3 are no integers, as in Go. */
    if (json_object_is_type(at->json, json_type_double) && strstr(what, "integer"))
        found = "a fraction";
    return box_json_fail(at, err, "expected %s, found %s", what, found);
}

/* Values */

int box_json_as_object(const struct box_json_at *at, box_error **err)
{
    return json_object_is_type(at->json, json_type_object) ? 0 : box_json_fail_type(at, "an object", err);
}

int box_json_as_array(const struct box_json_at *at, size_t *length, box_error **err)
{
    if (!json_object_is_type(at->json, json_type_array))
        return box_json_fail_type(at, "an array", err);
    *length = json_object_array_length(at->json);
    return 0;
}

int box_json_as_string(const struct box_json_at *at, const char **out, box_error **err)
{
    const char *text;

    if (!json_object_is_type(at->json, json_type_string))
        return box_json_fail_type(at, "a string", err);
    text = json_object_get_string(at->json);
    if (!text)
        return box_fail_nomem(err);
    if (strlen(text) != (size_t)json_object_get_string_len(at->json))
        return box_json_fail(at, err, "the string holds a NUL");
    *out = text;
    return 0;
}

int box_json_as_bool(const struct box_json_at *at, bool *out, box_error **err)
{
    if (!json_object_is_type(at->json, json_type_boolean))
        return box_json_fail_type(at, "a boolean", err);
    *out = json_object_get_boolean(at->json);
    return 0;
}

/* json-c keeps an integer as int64_t or uint64_t and answers for the other kind with the nearest. */
static bool is_negative(json_object *json)
{
    return json_object_get_int64(json) < 0;
}

int box_json_as_i64(const struct box_json_at *at, int64_t min, int64_t max, int64_t *out, box_error **err)
{
    int64_t value;

    if (!json_object_is_type(at->json, json_type_int))
        return box_json_fail_type(at, "an integer", err);
    value = json_object_get_int64(at->json);
    if (value < min || value > max ||
        (!is_negative(at->json) && json_object_get_uint64(at->json) > INT64_MAX))
        return box_json_fail(at, err, "%s is not between %" PRId64 " and %" PRId64,
                             json_object_to_json_string_ext(at->json, JSON_C_TO_STRING_PLAIN), min, max);
    *out = value;
    return 0;
}

int box_json_as_u64(const struct box_json_at *at, uint64_t min, uint64_t max, uint64_t *out, box_error **err)
{
    uint64_t value;

    if (!json_object_is_type(at->json, json_type_int))
        return box_json_fail_type(at, "an integer", err);
    value = json_object_get_uint64(at->json);
    if (value < min || value > max || is_negative(at->json))
        return box_json_fail(at, err, "%s is not between %" PRIu64 " and %" PRIu64,
                             json_object_to_json_string_ext(at->json, JSON_C_TO_STRING_PLAIN), min, max);
    *out = value;
    return 0;
}

int box_json_as_double(const struct box_json_at *at, double *out, box_error **err)
{
    if (!json_object_is_type(at->json, json_type_double) && !json_object_is_type(at->json, json_type_int))
        return box_json_fail_type(at, "a number", err);
    *out = json_object_get_double(at->json);
    return 0;
}

/* Members */

int box_json_get(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                 struct box_json_at *out, box_error **err)
{
    int r = box_json_as_object(at, err);

    if (r < 0)
        return r;
    *out = (struct box_json_at){.json = json_object_object_get(at->json, key), .up = at, .key = key};
    if (!out->json && presence == BOX_JSON_REQUIRED)
        return box_json_fail(out, err, "is missing");
    return 0;
}

/* The getters below have one shape: find the member, leave *out alone when there is none, else convert. */
#define GET_MEMBER(member)                                 \
    struct box_json_at member;                             \
    int r = box_json_get(at, key, presence, &member, err); \
    if (r < 0 || !member.json)                             \
    return r

int box_json_get_object(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        struct box_json_at *out, box_error **err)
{
    int r = box_json_get(at, key, presence, out, err);

    return r < 0 || !out->json ? r : box_json_as_object(out, err);
}

int box_json_get_array(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                       struct box_json_at *out, size_t *length, box_error **err)
{
    int r = box_json_get(at, key, presence, out, err);

    *length = 0;
    return r < 0 || !out->json ? r : box_json_as_array(out, length, err);
}

int box_json_get_string(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        const char **out, box_error **err)
{
    GET_MEMBER(member);
    return box_json_as_string(&member, out, err);
}

int box_json_get_bool(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                      bool *out, box_error **err)
{
    GET_MEMBER(member);
    return box_json_as_bool(&member, out, err);
}

int box_json_get_i64(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                     int64_t min, int64_t max, int64_t *out, box_error **err)
{
    GET_MEMBER(member);
    return box_json_as_i64(&member, min, max, out, err);
}

int box_json_get_u64(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                     uint64_t min, uint64_t max, uint64_t *out, box_error **err)
{
    GET_MEMBER(member);
    return box_json_as_u64(&member, min, max, out, err);
}

int box_json_get_double(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                        double *out, box_error **err)
{
    GET_MEMBER(member);
    return box_json_as_double(&member, out, err);
}

int box_json_get_strings(const struct box_json_at *at, const char *key, enum box_json_presence presence,
                         char ***out, box_error **err)
{
    GET_MEMBER(member);
    _strv_ char **vector = NULL;
    size_t length = 0;

    r = box_json_as_array(&member, &length, err);
    if (r < 0)
        return r;
    vector = calloc(length + 1, sizeof(*vector));
    if (!vector)
        return box_fail_nomem(err);
    for (size_t i = 0; i < length; i++) {
        struct box_json_at element = box_json_element(&member, i);
        const char *text;
        r = box_json_as_string(&element, &text, err);
        if (r < 0)
            return r;
        vector[i] = strdup(text);
        if (!vector[i])
            return box_fail_nomem(err);
    }
    *out = box_take(vector);
    return 0;
}

struct box_json_at box_json_element(const struct box_json_at *at, size_t index)
{
    return (struct box_json_at){.json = json_object_array_get_idx(at->json, index), .up = at, .index = index};
}

int box_json_each(const struct box_json_at *at, box_json_visit *visit, void *data, box_error **err)
{
    int r = box_json_as_object(at, err);

    if (r < 0)
        return r;
    for (struct lh_entry *e = json_object_get_object(at->json)->head; e && r == 0; e = e->next) {
        struct box_json_at member = {.json = (json_object *)e->v, .up = at, .key = (const char *)e->k};
        r = visit(&member, data, err);
    }
    return r;
}

/* Making */

int box_json_put(json_object *object, const char *key, json_object *value, box_error **err)
{
    if (value && json_object_object_add(object, key, value) == 0)
        return 0;
    json_object_put(value);
    return box_fail_nomem(err);
}

int box_json_append(json_object *array, json_object *value, box_error **err)
{
    if (value && json_object_array_add(array, value) == 0)
        return 0;
    json_object_put(value);
    return box_fail_nomem(err);
}

int box_json_put_string(json_object *object, const char *key, const char *value, box_error **err)
{
    return box_json_put(object, key, json_object_new_string(value), err);
}

int box_json_put_strings(json_object *object, const char *key, char *const *vector, box_error **err)
{
    _cleanup_(json_object) json_object *array = json_object_new_array();

    if (!array)
        return box_fail_nomem(err);
    for (size_t i = 0; vector && vector[i]; i++) {
        int r = box_json_append(array, json_object_new_string(vector[i]), err);
        if (r < 0)
            return r;
    }
    return box_json_put(object, key, box_take(array), err);
}

int box_json_put_u64(json_object *object, const char *key, uint64_t value, box_error **err)
{
    return box_json_put(object, key, json_object_new_uint64(value), err);
}

int box_json_put_i64(json_object *object, const char *key, int64_t value, box_error **err)
{
    return box_json_put(object, key, json_object_new_int64(value), err);
}

int box_json_put_bool(json_object *object, const char *key, bool value, box_error **err)
{
    return box_json_put(object, key, json_object_new_boolean(value), err);
}
