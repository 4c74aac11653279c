/* Manifests for images that come without one: what `docker save` of old wrote, and what is imported. */
#include "image/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

int box_load_describe_layer(json_object *layers, const char *media_type, const struct box_digest *digest,
                            uint64_t size, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    json_object *at = json_object_new_object();
    int r = box_json_append(layers, at, err);

    if (r == 0)
        r = box_json_put_string(at, "mediaType", media_type, err);
    if (r == 0)
        r = box_json_put_string(at, "digest", box_digest_format(digest, text), err);
    return r < 0 ? r : box_json_put_u64(at, "size", size, err);
}

int box_load_make_manifest(struct load_image *image, json_object *layers, box_error **err)
{
    char digest[BOX_DIGEST_TEXT];
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    json_object *config = json_object_new_object();
    int r = 0;

    if (!doc || (r = box_json_put_u64(doc, "schemaVersion", 2, err)) < 0 ||
        (r = box_json_put_string(doc, "mediaType", BOX_MEDIA_OCI_MANIFEST, err)) < 0) {
        json_object_put(config);
        return doc ? r : box_fail_nomem(err);
    }
    if ((r = box_json_put(doc, "config", config, err)) < 0 ||
        (r = box_json_put_string(config, "mediaType", BOX_MEDIA_OCI_CONFIG, err)) < 0 ||
        (r = box_json_put_string(config, "digest", box_digest_format(&image->config, digest), err)) < 0 ||
        (r = box_json_put_u64(config, "size", image->config_length, err)) < 0 ||
        (r = box_json_put(doc, "layers", json_object_get(layers), err)) < 0)
        return r;
    const char *text =
        json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    image->manifest_json = text ? strdup(text) : NULL;
    image->media_type = strdup(BOX_MEDIA_OCI_MANIFEST);
    if (!image->manifest_json || !image->media_type)
        return box_fail_nomem(err);
    image->manifest_length = strlen(text);
    return box_digest_data(BOX_SHA256, text, image->manifest_length, &image->manifest, err);
}
