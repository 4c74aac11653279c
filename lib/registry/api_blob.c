/* Blobs: whether one is there, and getting it.
 *
 * A blob that is cut short is gone on with where it broke, by a Range. What the registry then says it sends is held
 * against what was asked for: a 206 must name exactly these bytes; a 200 is the whole blob again, of which the first
 * part is passed over. Never more than the size that the manifest gives is written. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/api.h"

#define PROGRESS (1u << 20) /* bytes after which an attempt counts as the first again */

int box_api_has_blob(const struct box_call *call, struct box_target *target, const char *repository,
                     const struct box_digest *digest, box_error **err)
{
    _response_ struct box_http_response response = {0};
    char text[BOX_DIGEST_TEXT];
    _free_ char *scope = box_api_scope(target, repository, "pull,push");
    _free_ char *path = box_api_path(target, repository, "blobs/%s", box_digest_format(digest, text));
    const struct box_request request = {.method = "HEAD", .path = path, .scope = scope};

    if (!scope || !path)
        return box_fail_nomem(err);
    int r = box_request_send(call, target, &request, &response, err);
    if (r < 0)
        return r;
    if (response.status == 200 || response.status == 404)
        return response.status == 200;
    return box_request_fail(target, &response, err, "look for %s in %s", text, repository);
}

struct getting {
    int fd;
    uint64_t size, at;
    box_remote_tick *tick;
    void *data;
    /* Of one attempt: */
    uint64_t from, skip; /* where it began; bytes of the answer that we have already */
    bool begun, bad_range;
    bool no_range; /* ranges are of no use with this registry */
};

static int wrong_size(const struct getting *get, box_error **err)
{
    return box_fail(err, BOX_EDIGEST, "the registry has another size for the blob than the %llu bytes of the manifest",
                    (unsigned long long)get->size);
}

/* Looks at the head of an answer before its first byte is used. */
static int begin(struct getting *get, const struct box_http_response *response, box_error **err)
{
    uint64_t first = 0, last = 0, total = 0;

    get->begun = true;
    if (response->status == 200) {
        if (response->length >= 0 && (uint64_t)response->length != get->size)
            return wrong_size(get, err);
        get->skip = get->from;
        return 0;
    }
    get->bad_range = true;
    if (response->status != 206 || !response->content_range)
        return box_fail(err, BOX_EPARSE, "the registry answers a blob with status %d", response->status);
    int r = box_content_range_read(response->content_range, &first, &last, &total, err);
    if (r < 0)
        return r;
    if (first != get->from || last >= get->size || (total != UINT64_MAX && total != get->size))
        return box_fail(err, BOX_EDIGEST, "the registry sends other bytes of the blob than were asked for");
    get->bad_range = false;
    return 0;
}

static int take(void *data, const struct box_http_response *response, const void *bytes, size_t n, box_error **err)
{
    struct getting *get = data;
    const char *at = bytes;
    int r = get->begun ? 0 : begin(get, response, err);

    if (r < 0)
        return r;
    size_t known = get->skip < n ? (size_t)get->skip : n;
    get->skip -= known;
    at += known;
    n -= known;
    if (n > get->size - get->at)
        return wrong_size(get, err);
    while (n) {
        ssize_t written = pwrite(get->fd, at, n, (off_t)get->at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return box_fail_sys(err, "pwrite", NULL, "cannot keep the blob");
        at += written;
        n -= (size_t)written;
        get->at += (uint64_t)written;
    }
    return get->tick ? get->tick(get->data, get->at, err) : 0;
}

#define AGAIN 0

/* One attempt: 1 when all is there; AGAIN, with *err, when another one may help; or a BOX_E* code. */
static int attempt(const struct box_call *call, struct box_target *target, const char *path, const char *scope,
                   const char *digest, struct getting *get, struct box_http_response *response, box_error **err)
{
    char range[64];
    struct box_request request = {.method = "GET", .path = path, .scope = scope, .sink = take, .sink_data = get,
                                  .once = true};
    bool ranged = get->at && !get->no_range;

    get->begun = get->bad_range = false;
    get->skip = 0;
    get->from = get->at;
    if (ranged) {
        snprintf(range, sizeof(range), "bytes=%llu-%llu", (unsigned long long)get->from,
                 (unsigned long long)get->size - 1);
        request.range = range;
    }
    int r = box_request_send(call, target, &request, response, err);
    if (r < 0) {
        get->no_range |= get->bad_range;
        return (ranged && get->bad_range) || box_retry_helps(target, r, response) ? AGAIN : r;
    }
    if (response->status == 416 && ranged) {
        get->no_range = true;
        box_fail(err, BOX_EDIGEST, "the registry does not send the rest of the blob");
        return AGAIN;
    }
    if (response->status / 100 != 2) {
        r = box_request_fail(target, response, err, "get the blob %s", digest);
        return box_retry_helps(target, 0, response) ? AGAIN : r;
    }
    if (get->at == get->size)
        return 1;
    box_fail(err, BOX_EDIGEST, "the registry sent %llu of the %llu bytes of the blob %s",
             (unsigned long long)get->at, (unsigned long long)get->size, digest);
    return AGAIN;
}

static int get_all(const struct box_call *call, struct box_target *target, const char *path, const char *scope,
                   const char *digest, struct getting *get, box_error **err)
{
    struct box_retry retry = {0};
    uint64_t counted = get->at;

    while (get->at < get->size) {
        _response_ struct box_http_response response = {0};
        _cleanup_(box_error) box_error *failed = NULL;
        int r = attempt(call, target, path, scope, digest, get, &response, &failed);
        if (r == 1)
            break;
        if (get->at - counted >= PROGRESS) {
            counted = get->at;
            retry = (struct box_retry){0};
        }
        int more = r == AGAIN ? box_retry_wait(call, &retry, &response, err) : 0;
        if (more == 1)
            continue;
        if (more < 0)
            return more;
        r = box_error_code(failed);
        if (err)
            *err = box_take(failed);
        return r;
    }
    return 0;
}

int box_api_get_blob(const struct box_call *call, struct box_target *target, const char *repository,
                     const struct box_digest *digest, uint64_t size, int fd, uint64_t from, box_remote_tick *tick,
                     void *data, box_error **err)
{
    struct getting get = {.fd = fd, .size = size, .at = from, .tick = tick, .data = data};
    char text[BOX_DIGEST_TEXT];
    _free_ char *scope = box_api_scope(target, repository, "pull");
    _free_ char *path = box_api_path(target, repository, "blobs/%s", box_digest_format(digest, text));

    if (!scope || !path)
        return box_fail_nomem(err);
    if (from > size)
        return box_fail(err, BOX_EINVAL, "more of the blob is there than it has");
    return get_all(call, target, path, scope, text, &get, err);
}
