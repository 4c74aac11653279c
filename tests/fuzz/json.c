/* Any bytes as JSON: what is taken survives being written and read again; what is refused says where. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int visit(const struct box_json_at *member, void *depth, box_error **err);

/* Asks each getter about each value: none may crash, and an error always has a message. */
static void ask(const struct box_json_at *at, int depth)
{
    const char *text;
    uint64_t number;
    size_t length = 0;

    if (depth > 70)
        abort();
    box_json_as_string(at, &text, NULL);
    _cleanup_(box_error) box_error *err = NULL;
    if (box_json_as_u64(at, 1, 100, &number, &err) < 0 && !*box_error_message(err))
        abort();
    if (box_json_as_array(at, &length, NULL) == 0)
        for (size_t i = 0; i < length; i++) {
            struct box_json_at element = box_json_element(at, i);
            ask(&element, depth + 1);
        }
    box_json_each(at, visit, &depth, NULL);
}

static int visit(const struct box_json_at *member, void *depth, box_error **err)
{
    (void)err;
    ask(member, *(int *)depth + 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(box_error) box_error *err = NULL;
    _cleanup_(json_object) json_object *document =
        box_json_parse((const char *)data, size, &BOX_JSON_DEFAULT, "fuzz", &err);

    if (!document) {
        if (!err || !*box_error_message(err))
            abort();
        return 0;
    }
    struct box_json_at root = BOX_JSON_ROOT(document);
    ask(&root, 0);
    const char *text = json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN);
    _cleanup_(json_object) json_object *again =
        box_json_parse(text, strlen(text), &BOX_JSON_DEFAULT, NULL, NULL);
    if (!again || !json_object_equal(document, again))
        abort();
    return 0;
}
