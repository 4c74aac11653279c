/* What a registry has: manifests, blobs, referrers; and deleting. */
#include <stdlib.h>
#include <string.h>

#include "registry/remote.h"

/* What every call here begins with. */
static int begin(box_registry *registry, const char *name, const box_registry_document *document, struct box_call *call,
                 struct box_reference *reference, box_error **err)
{
    int r = box_call_init(call, registry, NULL, err);

    if (r == 0 && (!name || !document))
        r = box_fail(err, BOX_EINVAL, "a name and a place for the answer are needed");
    return r < 0 ? r : box_reference_read(name, reference, err);
}

/* The manifest for a platform, where `document` is an index: what it names takes its place. */
static int choose(struct box_http_remote *remote, const char *platform, box_registry_document *document,
                  box_error **err)
{
    _manifest_index_ struct box_manifest_index index = {0};
    char text[BOX_DIGEST_TEXT];

    for (unsigned depth = 0; box_media_kind(document->media_type) == BOX_MEDIA_INDEX; depth++) {
        box_manifest_index_clear(&index);
        int r = box_manifest_index_parse(document->text, document->length, document->media_type, "", &index, err);
        if (r < 0)
            return r;
        const struct box_descriptor *entry = box_manifest_index_choose(&index, platform);
        if (!entry || depth == 4)
            return box_fail(err, BOX_EUNSUPPORTED, "the index has no image for %s",
                            platform ? platform : box_platform_host());
        box_registry_document_clear(document);
        box_digest_format(&entry->digest, text);
        r = remote->base.manifest(&remote->base, text, &document->text, &document->length, &document->media_type, err);
        if (r < 0)
            return r;
        document->digest = strdup(text);
        if (!document->digest)
            return box_fail_nomem(err);
    }
    return 0;
}

static int digest_of(box_registry_document *document, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    struct box_digest digest;
    int r = box_digest_data(BOX_SHA256, document->text, document->length, &digest, err);

    if (r < 0)
        return r;
    document->digest = strdup(box_digest_format(&digest, text));
    return document->digest ? 0 : box_fail_nomem(err);
}

int box_http_remote_document(struct box_http_remote *remote, const struct box_reference *reference,
                             const char *platform, bool chosen, box_registry_document *document, box_error **err)
{
    *document = (box_registry_document){0};
    int r = remote->base.manifest(&remote->base, reference->digest ? reference->digest : reference->tag,
                                  &document->text, &document->length, &document->media_type, err);
    if (r == 0 && reference->digest && !(document->digest = strdup(reference->digest)))
        r = box_fail_nomem(err);
    if (r == 0 && !document->digest)
        r = digest_of(document, err);
    if (r == 0 && chosen)
        r = choose(remote, platform, document, err);
    if (r < 0)
        box_registry_document_clear(document);
    return r;
}

int box_registry_get_manifest(box_registry *registry, const char *name, const char *platform,
                              box_registry_document *document, box_error **err)
{
    struct box_call call;
    _http_remote_ struct box_http_remote remote = {0};
    _reference_ struct box_reference reference = {0};
    int r = begin(registry, name, document, &call, &reference, err);

    if (r == 0)
        r = box_http_remote_open(&call, &reference, &remote, err);
    return r < 0 ? r : box_http_remote_document(&remote, &reference, platform, platform != NULL, document, err);
}

static int get_blob(const struct box_call *call, struct box_target *target, const char *repository,
                    const struct box_digest *digest, size_t max, box_registry_document *document, box_error **err)
{
    _response_ struct box_http_response response = {0};
    char text[BOX_DIGEST_TEXT];
    struct box_digest found;
    _free_ char *scope = box_api_scope(target, repository, "pull");
    _free_ char *path = box_api_path(target, repository, "blobs/%s", box_digest_format(digest, text));
    const struct box_request request = {.method = "GET", .path = path, .scope = scope, .max = max};

    if (!scope || !path)
        return box_fail_nomem(err);
    int r = box_request_send(call, target, &request, &response, err);
    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(target, &response, err, "get the blob %s", text);
    document->length = response.body.length;
    document->text = box_buffer_take(&response.body);
    document->digest = strdup(text);
    document->media_type = strdup("application/octet-stream");
    if (!document->text || !document->digest || !document->media_type)
        return box_fail_nomem(err);
    r = box_digest_data(digest->algorithm, document->text, document->length, &found, err);
    return r < 0 ? r : box_digest_check(digest, &found, "blob", err);
}

int box_registry_get_blob(box_registry *registry, const char *repository, const char *digest, size_t max,
                          box_registry_document *document, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    _reference_ struct box_reference reference = {0};
    struct box_digest wanted;
    int r = begin(registry, repository, document, &call, &reference, err);

    if (r == 0 && (!digest || !max || max > SIZE_MAX / 2))
        r = box_fail(err, BOX_EINVAL, "box_registry_get_blob: a digest and the most bytes are needed");
    if (r == 0)
        r = box_digest_parse(digest, &wanted, err);
    if (r < 0)
        return r;
    *document = (box_registry_document){0};
    r = box_target_open(&call, reference.domain, &target, err);
    if (r == 0)
        r = get_blob(&call, &target, reference.path, &wanted, max, document, err);
    if (r < 0)
        box_registry_document_clear(document);
    return r;
}

int box_registry_get_referrers(box_registry *registry, const char *name, const char *artifact_type,
                               box_registry_document *document, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    _reference_ struct box_reference reference = {0};
    int r = begin(registry, name, document, &call, &reference, err);

    if (r == 0 && !reference.digest)
        r = box_fail(err, BOX_EINVAL, "referrers are asked for by digest, \"repository@sha256:…\", not %s", name);
    if (r < 0)
        return r;
    *document = (box_registry_document){0};
    r = box_target_open(&call, reference.domain, &target, err);
    return r < 0 ? r
                 : box_api_get_referrers(&call, &target, reference.path, reference.digest, artifact_type, document, err);
}

int box_registry_delete(box_registry *registry, const char *name, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    _reference_ struct box_reference reference = {0};
    _free_ char *digest = NULL;
    int r = box_call_init(&call, registry, NULL, err);

    if (r == 0 && !name)
        r = box_fail(err, BOX_EINVAL, "box_registry_delete: name must not be NULL");
    if (r == 0)
        r = box_reference_read(name, &reference, err);
    if (r == 0)
        r = box_target_open(&call, reference.domain, &target, err);
    if (r == 0 && !reference.digest)
        r = box_api_head_manifest(&call, &target, reference.path, reference.tag, &digest, err);
    return r < 0 ? r
                 : box_api_delete_manifest(&call, &target, reference.path, reference.digest ? reference.digest : digest,
                                           err);
}
