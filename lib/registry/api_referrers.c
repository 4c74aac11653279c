/* What refers to a manifest. A registry that knows `subject` tells it; for one that does not, the index under the
 * tag "sha256-HEX" stands in, and whoever pushes a manifest with a subject keeps it up to date.
 * OCI distribution-spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject". */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "registry/api.h"
#include "registry/text.h"

#define EMPTY_INDEX "{\"schemaVersion\":2,\"mediaType\":\"" BOX_MEDIA_OCI_INDEX "\",\"manifests\":[]}"
#define PAGES_MAX   64

static char *fallback_tag(const char *digest)
{
    char *tag = strdup(digest);

    if (tag && strchr(tag, ':'))
        *strchr(tag, ':') = '-';
    return tag;
}

static json_object *parse_index(const char *text, size_t length, box_error **err)
{
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};
    json_object *index = box_json_parse(text, length, &limits, "referrers", err), *list = NULL;

    if (!index)
        return NULL;
    if (json_object_is_type(index, json_type_object) && json_object_object_get_ex(index, "manifests", &list) &&
        json_object_is_type(list, json_type_array))
        return index;
    json_object_put(index);
    box_fail(err, BOX_EPARSE, "referrers: the registry's answer is no index");
    return NULL;
}

static json_object *manifests_of(json_object *index)
{
    json_object *list = NULL;

    json_object_object_get_ex(index, "manifests", &list);
    return list;
}

/* The document of an index that was changed. */
static int take_index(json_object *index, box_registry_document *document, box_error **err)
{
    const char *text = json_object_to_json_string_ext(index, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    char formatted[BOX_DIGEST_TEXT];
    struct box_digest digest;

    if (!text)
        return box_fail_nomem(err);
    int r = box_digest_data(BOX_SHA256, text, strlen(text), &digest, err);
    if (r < 0)
        return r;
    *document = (box_registry_document){strdup(text), strlen(text), strdup(BOX_MEDIA_OCI_INDEX),
                                        strdup(box_digest_format(&digest, formatted))};
    if (document->text && document->media_type && document->digest)
        return 0;
    box_registry_document_clear(document);
    return box_fail_nomem(err);
}

/* Leaves the entries of one type. A registry may have done it, or not: OCI-Filters-Applied is not to be trusted. */
static void filter(json_object *index, const char *artifact_type)
{
    json_object *list = manifests_of(index), *type = NULL;

    for (size_t i = json_object_array_length(list); artifact_type && i-- > 0;) {
        json_object *entry = json_object_array_get_idx(list, i);
        if (!json_object_is_type(entry, json_type_object) || !json_object_object_get_ex(entry, "artifactType", &type) ||
            !json_object_is_type(type, json_type_string) || strcmp(json_object_get_string(type), artifact_type) != 0)
            json_object_array_del_idx(list, i, 1);
    }
}

static int append_all(json_object *index, json_object *more, box_error **err)
{
    json_object *from = manifests_of(more);
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_object_array_length(from); i++)
        r = box_json_append(manifests_of(index), json_object_get(json_object_array_get_idx(from, i)), err);
    if (r == 0 && json_object_array_length(manifests_of(index)) > 100000)
        r = box_fail(err, BOX_ELIMIT, "more referrers than can be listed");
    return r;
}

/* One page: 0 with *index, or BOX_ENOTFOUND where the registry does not have this call. */
static int get_page(const struct box_call *call, struct box_target *target, const char *scope, char **location,
                    char **from, json_object **index, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _free_ char *url = NULL, *next = NULL;
    _url_ struct box_url base = {0}, then = {0};
    const struct box_request request = {.method = "GET", .location = *location, .from = *from, .scope = scope,
                                        .accept = BOX_MEDIA_OCI_INDEX, .max = BOX_DOCUMENT_MAX, .url = &url};
    int r = box_request_send(call, target, &request, &response, err);

    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(target, &response, err, "list referrers");
    *index = parse_index(response.body.data ? response.body.data : "", response.body.length, err);
    if (!*index)
        return BOX_EPARSE;
    r = response.link ? box_link_next(response.link, &next, err) : 0;
    if (r == 0 && next && (r = box_url_parse(url, &base, err)) == 0)
        r = box_url_resolve(&base, next, &then, err);
    if (r == 0 && next && !box_url_same_origin(&then, &target->base))
        r = box_fail(err, BOX_EPARSE, "the registry continues a list on another host");
    free(*location);
    free(*from);
    *location = box_take(next);
    *from = box_take(url);
    return r;
}

static int by_api(const struct box_call *call, struct box_target *target, const char *repository, const char *digest,
                  const char *artifact_type, json_object **out, box_error **err)
{
    _buffer_ struct box_buffer query = {0};
    _free_ char *location = NULL, *from = NULL, *scope = box_api_scope(target, repository, "pull");
    _cleanup_(json_object) json_object *all = NULL;
    int r = 0;

    box_buffer_puts(&query, artifact_type ? "?artifactType=" : "");
    box_text_append_escaped(&query, artifact_type ? artifact_type : "");
    if (box_buffer_ok(&query))
        location = box_api_path(target, repository, "referrers/%s%s", digest, query.data ? query.data : "");
    if (!location || !scope)
        return box_fail_nomem(err);
    for (unsigned pages = 0; r == 0 && location; pages++) {
        _cleanup_(json_object) json_object *page = NULL;
        r = pages < PAGES_MAX ? get_page(call, target, scope, &location, &from, &page, err)
                              : box_fail(err, BOX_ELIMIT, "the registry lists referrers in more than %u pages", PAGES_MAX);
        if (r == 0 && all)
            r = append_all(all, page, err);
        else if (r == 0)
            all = box_take(page);
    }
    if (r == 0)
        *out = box_take(all);
    return r;
}

/* What the stand-in tag leads to; an empty index where it is not. */
static int by_tag(const struct box_call *call, struct box_target *target, const char *repository, const char *digest,
                  json_object **out, box_error **err)
{
    box_registry_document document = {0};
    _cleanup_(box_error) box_error *why = NULL;
    _free_ char *tag = fallback_tag(digest);

    if (!tag)
        return box_fail_nomem(err);
    int r = box_api_get_manifest(call, target, repository, tag, &document, &why);
    if (r < 0 && r != BOX_ENOTFOUND) {
        if (err)
            *err = box_take(why);
        return r;
    }
    *out = r < 0 ? parse_index(EMPTY_INDEX, strlen(EMPTY_INDEX), err)
                 : parse_index(document.text, document.length, err);
    box_registry_document_clear(&document);
    return *out ? 0 : BOX_EPARSE;
}

int box_api_get_referrers(const struct box_call *call, struct box_target *target, const char *repository,
                          const char *digest, const char *artifact_type, box_registry_document *document,
                          box_error **err)
{
    _cleanup_(json_object) json_object *index = NULL;
    _cleanup_(box_error) box_error *why = NULL;
    int r = by_api(call, target, repository, digest, artifact_type, &index, &why);

    *document = (box_registry_document){0};
    if (r == BOX_ENOTFOUND || r == BOX_EUNSUPPORTED || r == BOX_EINVAL) {
        r = by_tag(call, target, repository, digest, &index, err);
    } else if (r < 0 && err) {
        *err = box_take(why);
    }
    if (r < 0)
        return r;
    filter(index, artifact_type);
    return take_index(index, document, err);
}

/* ---- The stand-in tag, when a manifest with a subject is pushed ---- */

/* A descriptor of the manifest, with its type and annotations, for the index. */
static json_object *describe(const box_registry_document *manifest, box_error **err)
{
    _cleanup_(json_object) json_object *document = parse_index("{\"manifests\":[]}", 16, NULL);
    const struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};
    _cleanup_(json_object) json_object *source = box_json_parse(manifest->text, manifest->length, &limits, NULL, err);
    json_object *type = NULL, *config = NULL, *annotations = NULL, *made = json_object_new_object();

    if (!source || !made || !document) {
        json_object_put(made);
        return NULL;
    }
    if (!json_object_object_get_ex(source, "artifactType", &type) &&
        json_object_object_get_ex(source, "config", &config))
        json_object_object_get_ex(config, "mediaType", &type);
    json_object_object_get_ex(source, "annotations", &annotations);
    int r = box_json_put_string(made, "mediaType", manifest->media_type, err);
    if (r == 0)
        r = box_json_put_string(made, "digest", manifest->digest, err);
    if (r == 0)
        r = box_json_put_u64(made, "size", manifest->length, err);
    if (r == 0 && json_object_is_type(type, json_type_string))
        r = box_json_put(made, "artifactType", json_object_get(type), err);
    if (r == 0 && json_object_is_type(annotations, json_type_object))
        r = box_json_put(made, "annotations", json_object_get(annotations), err);
    if (r == 0)
        return made;
    json_object_put(made);
    return NULL;
}

static bool lists(json_object *index, const char *digest)
{
    json_object *list = manifests_of(index), *value = NULL;

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *entry = json_object_array_get_idx(list, i);
        if (json_object_is_type(entry, json_type_object) && json_object_object_get_ex(entry, "digest", &value) &&
            json_object_is_type(value, json_type_string) && strcmp(json_object_get_string(value), digest) == 0)
            return true;
    }
    return false;
}

int box_api_add_referrer(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *subject, const box_registry_document *manifest, box_error **err)
{
    _cleanup_(json_object) json_object *index = NULL;
    box_registry_document document = {0};
    _free_ char *tag = fallback_tag(subject);
    int r = tag ? by_tag(call, target, repository, subject, &index, err) : box_fail_nomem(err);

    if (r < 0 || lists(index, manifest->digest))
        return r;
    json_object *entry = describe(manifest, err);
    if (!entry)
        return BOX_EPARSE;
    r = box_json_append(manifests_of(index), entry, err);
    if (r == 0)
        r = take_index(index, &document, err);
    if (r == 0)
        r = box_api_put_manifest(call, target, repository, tag, &document, err);
    box_registry_document_clear(&document);
    return r;
}
