/* What a manifest refers to, whatever it is a manifest of: images, indexes, signatures, charts. For copying and
 * pushing, which need not understand what they carry. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "registry/api.h"

#define LINKS_MAX 4096

void box_links_clear(struct box_links *links)
{
    for (size_t i = 0; i < links->n; i++)
        free(links->items[i].media_type);
    free(links->items);
    free(links->subject);
    free(links->artifact_type);
    *links = (struct box_links){0};
}

static int read_link(const struct box_json_at *at, bool manifest, struct box_links *links, box_error **err)
{
    const char *media_type = "", *digest = NULL;
    struct box_json_at urls = {0};
    size_t n_urls = 0;

    if (links->n >= LINKS_MAX)
        return box_fail(err, BOX_ELIMIT, "a manifest that refers to more than %u others", LINKS_MAX);
    struct box_link *link = box_array_add(&links->items, &links->n, &links->capacity);
    if (!link)
        return box_fail_nomem(err);
    int r = box_json_as_object(at, err);
    if (r < 0 || (r = box_json_get_string(at, "mediaType", BOX_JSON_OPTIONAL, &media_type, err)) < 0 ||
        (r = box_json_get_string(at, "digest", BOX_JSON_REQUIRED, &digest, err)) < 0 ||
        (r = box_json_get_u64(at, "size", BOX_JSON_REQUIRED, 0, INT64_MAX, &link->size, err)) < 0 ||
        (r = box_json_get_array(at, "urls", BOX_JSON_OPTIONAL, &urls, &n_urls, err)) < 0 ||
        (r = box_digest_parse(digest, &link->digest, err)) < 0)
        return r;
    link->manifest = manifest;
    link->foreign = n_urls && (strstr(media_type, ".foreign.") || strstr(media_type, ".nondistributable."));
    link->media_type = strdup(media_type);
    return link->media_type ? 0 : box_fail_nomem(err);
}

static int read_list(const struct box_json_at *root, const char *key, bool manifests, struct box_links *links,
                     box_error **err)
{
    struct box_json_at list;
    size_t n = 0;
    int r = box_json_get_array(root, key, BOX_JSON_OPTIONAL, &list, &n, err);

    for (size_t i = 0; r == 0 && i < n; i++) {
        struct box_json_at element = box_json_element(&list, i);
        r = read_link(&element, manifests, links, err);
    }
    return r;
}

static int read_subject(const struct box_json_at *root, struct box_links *links, box_error **err)
{
    struct box_json_at subject;
    struct box_digest parsed;
    const char *digest = NULL, *type = NULL;
    int r = box_json_get_object(root, "subject", BOX_JSON_OPTIONAL, &subject, err);

    if (r == 0 && subject.json)
        r = box_json_get_string(&subject, "digest", BOX_JSON_REQUIRED, &digest, err);
    if (r == 0 && digest && (r = box_digest_parse(digest, &parsed, err)) == 0 && !(links->subject = strdup(digest)))
        r = box_fail_nomem(err);
    if (r == 0)
        r = box_json_get_string(root, "artifactType", BOX_JSON_OPTIONAL, &type, err);
    if (r == 0 && type && !(links->artifact_type = strdup(type)))
        r = box_fail_nomem(err);
    return r;
}

static int read_all(const struct box_json_at *root, struct box_links *links, box_error **err)
{
    struct box_json_at config;
    uint64_t version = 2;
    int r = box_json_as_object(root, err);

    if (r == 0)
        r = box_json_get_u64(root, "schemaVersion", BOX_JSON_OPTIONAL, 0, 1000, &version, err);
    if (r == 0 && version != 2)
        r = box_fail(err, BOX_EUNSUPPORTED, "manifests of schema version %u are not supported", (unsigned)version);
    /* One that is an index to one reader and a manifest to another is neither to us (CVE-2021-41190). */
    if (r == 0 && json_object_object_get_ex(root->json, "manifests", NULL) &&
        (json_object_object_get_ex(root->json, "layers", NULL) || json_object_object_get_ex(root->json, "config", NULL)))
        r = box_json_fail(root, err, "neither clearly a manifest nor clearly an index");
    if (r == 0)
        r = box_json_get_object(root, "config", BOX_JSON_OPTIONAL, &config, err);
    if (r == 0 && config.json)
        r = read_link(&config, false, links, err);
    if (r == 0)
        r = read_list(root, "layers", false, links, err);
    if (r == 0)
        r = read_list(root, "blobs", false, links, err);
    if (r == 0)
        r = read_list(root, "manifests", true, links, err);
    return r < 0 ? r : read_subject(root, links, err);
}

int box_links_read(const char *text, size_t length, struct box_links *links, box_error **err)
{
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};
    _cleanup_(box_error) box_error *own = NULL;
    box_error **where = err ? err : &own;

    *links = (struct box_links){0};
    _cleanup_(json_object) json_object *document = box_json_parse(text, length, &limits, "manifest", where);
    if (!document)
        return box_error_code(*where);
    const struct box_json_at root = BOX_JSON_ROOT(document);
    int r = read_all(&root, links, err);
    if (r < 0) {
        box_links_clear(links);
        return box_fail_wrap(err, r, "manifest");
    }
    return 0;
}
