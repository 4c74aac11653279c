/* Names of images as bytes: what is read can be written in each form, and reads back as the same; and so do platforms. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/strings.h"
#include "image/platform.h"
#include "image/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Told by the fuzzer as a crash. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void reads_back(const box_reference *reference, enum box_reference_form form)
{
    char *text = NULL;
    box_reference *again = NULL;

    must(box_reference_format(reference, form, &text, NULL) == 0);
    must(box_reference_parse(text, &again, NULL) == 0);
    must(strcmp(box_reference_domain(reference), box_reference_domain(again)) == 0);
    must(strcmp(box_reference_path(reference), box_reference_path(again)) == 0);
    if (form != BOX_REFERENCE_REPOSITORY) {
        must(box_streq(box_reference_tag(reference), box_reference_tag(again)));
        must(form != BOX_REFERENCE_FULL || box_streq(box_reference_digest(reference), box_reference_digest(again)));
    }
    box_reference_free(again);
    free(text);
}

static void platform(const char *text)
{
    struct box_platform one, two;
    char out[BOX_PLATFORM_TEXT];

    if (box_platform_parse(text, &one, NULL) < 0)
        return;
    must(box_platform_parse(box_platform_format(&one, out), &two, NULL) == 0);
    must(box_platform_equal(&one, &two) && box_platform_fit(&one, &two) >= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _free_ char *text = strndup((const char *)data, size);
    box_reference *reference = NULL;

    if (!text)
        return 0;
    platform(text);
    if (box_reference_parse(text, &reference, NULL) < 0)
        return 0;
    reads_back(reference, BOX_REFERENCE_FULL);
    reads_back(reference, BOX_REFERENCE_REPOSITORY);
    if (!box_reference_digest(reference))
        reads_back(reference, BOX_REFERENCE_FAMILIAR);
    box_reference_free(reference);
    return 0;
}
