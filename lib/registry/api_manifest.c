/* Manifests and indexes: fetched byte for byte, held against their digest, put and deleted. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "registry/api.h"
#include "registry/text.h"

/* Everything that a reference can lead to; those behind the first four are artifacts of any type. */
#define ACCEPT                                                                                            \
    BOX_MEDIA_OCI_INDEX ", " BOX_MEDIA_OCI_MANIFEST ", " BOX_MEDIA_DOCKER_INDEX ", " BOX_MEDIA_DOCKER_MANIFEST \
                        ", application/vnd.oci.artifact.manifest.v1+json"

char *box_api_scope(const struct box_target *target, const char *repository, const char *actions)
{
    return box_strf("repository:%s%s:%s", target->prefix, repository, actions);
}

char *box_api_path(const struct box_target *target, const char *repository, const char *fmt, ...)
{
    char *rest = NULL, *path = NULL;
    va_list args;

    va_start(args, fmt);
    int n = vasprintf(&rest, fmt, args);
    va_end(args);
    if (n >= 0)
        path = box_strf("/v2/%s%s/%s", target->prefix, repository, rest);
    if (n >= 0)
        free(rest);
    return path;
}

static int send(const struct box_call *call, struct box_target *target, const char *repository, const char *reference,
                const char *actions, struct box_request *request, struct box_http_response *response, box_error **err)
{
    _free_ char *scope = box_api_scope(target, repository, actions);
    _free_ char *path = box_api_path(target, repository, "manifests/%s", reference);

    if (!scope || !path)
        return box_fail_nomem(err);
    request->scope = scope;
    request->path = path;
    return box_request_send(call, target, request, response, err);
}

void box_registry_document_clear(box_registry_document *document)
{
    if (!document)
        return;
    free(document->text);
    free(document->media_type);
    free(document->digest);
    *document = (box_registry_document){0};
}

/* The digest that the content must have: the one asked for, or else the one that the registry tells. */
static int check_digest(const char *reference, const struct box_http_response *response, const char *text,
                        size_t length, char **out, box_error **err)
{
    struct box_digest wanted = {0}, found;
    char formatted[BOX_DIGEST_TEXT];
    bool by_digest = strchr(reference, ':') != NULL;
    const char *said = by_digest ? reference : response->digest;
    int r = 0;

    /* What the registry tells of a tag is checked only where it is a digest that we have. */
    if (said && box_digest_parse(said, &wanted, by_digest ? err : NULL) < 0 && by_digest)
        return BOX_EPARSE;
    r = box_digest_data(wanted.algorithm ? wanted.algorithm : BOX_SHA256, text, length, &found, err);
    if (r == 0 && wanted.algorithm)
        r = box_digest_check(&wanted, &found, "manifest", err);
    if (r < 0)
        return r;
    *out = strdup(box_digest_format(&found, formatted));
    return *out ? 0 : box_fail_nomem(err);
}

/* The media type without parameters; what a document says of itself counts where the registry says nothing. */
static char *take_media_type(const struct box_http_response *response)
{
    const char *type = response->content_type ? response->content_type : "";

    return strndup(type, strcspn(type, "; \t"));
}

int box_api_get_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *reference, box_registry_document *document, box_error **err)
{
    _response_ struct box_http_response response = {0};
    struct box_request request = {.method = "GET", .accept = ACCEPT, .max = BOX_DOCUMENT_MAX};
    int r = send(call, target, repository, reference, "pull", &request, &response, err);

    *document = (box_registry_document){0};
    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(target, &response, err, "get %s%s%s", repository,
                                strchr(reference, ':') ? "@" : ":", reference);
    size_t length = response.body.length;
    document->text = box_buffer_take(&response.body);
    document->length = length;
    document->media_type = take_media_type(&response);
    r = document->text && document->media_type
            ? check_digest(reference, &response, document->text, length, &document->digest, err)
            : box_fail_nomem(err);
    if (r < 0)
        box_registry_document_clear(document);
    return r;
}

int box_api_head_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                          const char *reference, char **digest, box_error **err)
{
    _response_ struct box_http_response response = {0};
    struct box_request request = {.method = "HEAD", .accept = ACCEPT};
    struct box_digest parsed;
    int r = send(call, target, repository, reference, "pull", &request, &response, err);

    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(target, &response, err, "find %s%s%s", repository,
                                strchr(reference, ':') ? "@" : ":", reference);
    if (!response.digest)
        return box_fail(err, BOX_EUNSUPPORTED, "%s does not tell digests", target->authority);
    r = box_digest_parse(response.digest, &parsed, err);
    if (r < 0)
        return r;
    *digest = strdup(response.digest);
    return *digest ? 0 : box_fail_nomem(err);
}

int box_api_put_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                         const char *reference, const box_registry_document *document, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _links_ struct box_links links = {0};
    struct box_http_body body = {.data = document->text, .length = document->length};
    struct box_request request = {.method = "PUT", .body = &body, .content_type = document->media_type,
                                  .max = 1u << 20, .patience = 4};
    int r = box_links_read(document->text, document->length, &links, err);

    if (r == 0)
        r = send(call, target, repository, reference, "pull,push", &request, &response, err);
    if (r < 0)
        return r;
    if (response.status != 201 && response.status != 200 && response.status != 202)
        return box_request_fail(target, &response, err, "put %s%s%s", repository,
                                strchr(reference, ':') ? "@" : ":", reference);
    if (response.digest && document->digest && strncmp(response.digest, "sha256:", 7) == 0 &&
        strncmp(document->digest, "sha256:", 7) == 0 && strcmp(response.digest, document->digest) != 0)
        return box_fail(err, BOX_EDIGEST, "%s keeps the manifest as another one than %s", target->authority,
                        document->digest);
    if (links.subject && !response.subject)
        return box_api_add_referrer(call, target, repository, links.subject, document, err);
    return 0;
}

int box_api_delete_manifest(const struct box_call *call, struct box_target *target, const char *repository,
                            const char *digest, box_error **err)
{
    _response_ struct box_http_response response = {0};
    struct box_request request = {.method = "DELETE", .max = 1u << 20};
    int r = send(call, target, repository, digest, "pull,push,delete", &request, &response, err);

    if (r < 0 || response.status == 202 || response.status == 200 || response.status == 204)
        return r;
    return box_request_fail(target, &response, err, "delete %s@%s", repository, digest);
}
