/* Any bytes as a manifest and as an index: what is taken holds what its readers count on. */
#include <stdlib.h>
#include <string.h>

#include "image/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_descriptor(const struct box_descriptor *d)
{
    char text[BOX_DIGEST_TEXT];
    struct box_digest again;

    if (!d->media_type || !d->digest.algorithm || box_digest_parse(box_digest_format(&d->digest, text), &again, NULL) < 0)
        abort();
}

static void check_error(const box_error *err)
{
    if (!err || !*box_error_message(err))
        abort();
}

static void as_manifest(const char *text, size_t size, const char *media_type)
{
    _cleanup_(box_error) box_error *err = NULL;
    _manifest_ struct box_manifest manifest = {0};

    if (box_manifest_parse(text, size, media_type, "fuzz", 64, &manifest, &err) < 0) {
        check_error(err);
        return;
    }
    if (box_media_kind(manifest.media_type) != BOX_MEDIA_MANIFEST || manifest.n_layers > 64)
        abort();
    check_descriptor(&manifest.config);
    for (size_t i = 0; i < manifest.n_layers; i++) {
        check_descriptor(&manifest.layers[i]);
        if (box_media_kind(manifest.layers[i].media_type) != BOX_MEDIA_LAYER)
            abort();
    }
    /* The same bytes must not be an index as well (CVE-2021-41190). */
    _manifest_index_ struct box_manifest_index index = {0};
    if (!media_type && box_manifest_index_parse(text, size, NULL, "fuzz", &index, NULL) == 0 && index.n_entries > 0)
        abort();
}

static void as_index(const char *text, size_t size)
{
    _cleanup_(box_error) box_error *err = NULL;
    _manifest_index_ struct box_manifest_index index = {0};

    if (box_manifest_index_parse(text, size, NULL, "fuzz", &index, &err) < 0) {
        check_error(err);
        return;
    }
    for (size_t i = 0; i < index.n_entries; i++)
        check_descriptor(&index.entries[i]);
    const struct box_descriptor *chosen = box_manifest_index_choose(&index, NULL);
    if (chosen && (chosen < index.entries || chosen >= index.entries + index.n_entries))
        abort();
    box_manifest_index_choose(&index, "linux/arm64/v8");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    as_manifest(text, size, NULL);
    as_manifest(text, size, BOX_MEDIA_DOCKER_MANIFEST);
    as_index(text, size);
    free(text);
    return 0;
}
