/* Documents for the tests of the spec: those of the fuzzer's corpus, and short ones built around a fragment.
 */
#ifndef TEST_SPEC_DOCUMENT_H
#define TEST_SPEC_DOCUMENT_H

#include <criterion/criterion.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/spec_util.h"

/* The path of a document of tests/fuzz/corpus/spec. In a guest the tree is elsewhere, and BOX_SRC says where.
 */
static inline const char *document_path(const char *name)
{
    static char path[4096];
    const char *source = getenv("BOX_SRC");

    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/spec/%s", source ? source : TEST_SOURCE, name);
    return path;
}

static inline box_spec *must_load(const char *name)
{
    box_spec *spec = NULL;
    box_error *err = NULL;

    cr_assert_eq(box_spec_load(document_path(name), &spec, &err), 0, "%s: %s", name, box_error_message(err));
    return spec;
}

static inline box_spec *must_parse(const char *text)
{
    box_spec *spec = NULL;
    box_error *err = NULL;

    cr_assert_eq(box_spec_parse(text, strlen(text), &spec, &err), 0, "%s: %s", text, box_error_message(err));
    return spec;
}

static inline char *must_format(const box_spec *spec)
{
    char *text = NULL;
    box_error *err = NULL;

    cr_assert_eq(box_spec_format(spec, &text, &err), 0, "%s", box_error_message(err));
    return text;
}

static inline json_object *must_read_json(const char *text)
{
    json_object *json = json_tokener_parse(text);

    cr_assert_not_null(json, "not JSON: %s", text);
    return json;
}

/* The formatted spec is this JSON, whatever the order of its keys. */
static inline void assert_formats_as(const box_spec *spec, const char *expected)
{
    char *text = must_format(spec);
    json_object *a = must_read_json(text), *b = must_read_json(expected);

    cr_assert(json_object_equal(a, b), "got %s\nexpected %s", text, expected);
    json_object_put(a);
    json_object_put(b);
    free(text);
}

#endif
