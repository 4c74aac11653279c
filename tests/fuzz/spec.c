/* OCI documents as bytes: what is read can be written, reads back as the same JSON, can be copied and
 * checked; and a change by a setter changes nothing but what it is about. */
#include <json-c/json.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "spec/spec_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool same_json(const char *a, size_t a_length, const char *b)
{
    static const struct box_json_limits limits = {.size = 64u << 20, .depth = 256};
    _cleanup_(json_object) json_object *left = box_json_parse(a, a_length, &limits, NULL, NULL);
    _cleanup_(json_object) json_object *right = box_json_parse(b, strlen(b), &limits, NULL, NULL);

    return left && right && json_object_equal(left, right);
}

/* Without what only the document knew, the spec itself still says all that it understood. */
static void rebuild(box_spec *spec)
{
    _free_ char *one = NULL, *two = NULL;
    box_spec *again = NULL;

    json_object_put(spec->document);
    json_object_put(spec->rendered);
    spec->document = spec->rendered = NULL;
    must(box_spec_format(spec, &one, NULL) == 0);
    must(box_spec_parse(one, strlen(one), &again, NULL) == 0);
    json_object_put(again->document);
    json_object_put(again->rendered);
    again->document = again->rendered = NULL;
    must(box_spec_format(again, &two, NULL) == 0);
    must(!strcmp(one, two));
    box_spec_free(again);
}

static void change(box_spec *spec)
{
    _free_ char *text = NULL;
    box_spec *again = NULL;

    must(box_spec_add_bind(spec, "/a", "/a", "ro", NULL) == 0);
    must(box_spec_set_hostname(spec, "changed", NULL) == 0);
    if (spec->n_mounts > 1)
        must(box_spec_remove_mount(spec, spec->mounts[0].destination, NULL) == 0);
    must(box_spec_set_limits(spec, NULL, NULL) == 0);
    must(box_spec_format(spec, &text, NULL) == 0);
    must(box_spec_parse(text, strlen(text), &again, NULL) == 0);
    must(box_streq(again->hostname, "changed"));
    must(again->n_mounts == spec->n_mounts);
    box_spec_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    box_spec *spec = NULL, *copy = NULL;
    char *text = NULL, *copied = NULL;
    box_error *err = NULL;
    int r = box_spec_parse((const char *)data, size, &spec, &err);

    must((r < 0) == (err != NULL));
    if (r < 0) {
        must(*box_error_message(err) != '\0');
        box_error_free(err);
        return 0;
    }
    must(box_spec_format(spec, &text, NULL) == 0);
    must(same_json((const char *)data, size, text));
    must(box_spec_clone(spec, &copy, NULL) == 0);
    must(box_spec_format(copy, &copied, NULL) == 0);
    must(!strcmp(text, copied));
    r = box_spec_check(spec, &err);
    must((r < 0) == (err != NULL));
    box_error_free(err);
    if (spec->n_mounts < 4096) /* room for one more */
        change(spec);
    rebuild(copy);
    box_spec_free(spec);
    box_spec_free(copy);
    free(text);
    free(copied);
    return 0;
}
