/* Putting a blob into a repository: see whether it is there, mount it from another repository, or send it.
 *
 *     HEAD  blobs/DIGEST                                200: nothing to do
 *     POST  blobs/uploads/?mount=DIGEST&from=OTHER      201: mounted; 202 with Location: an upload was opened
 *     PUT   LOCATION?digest=DIGEST                      a small blob, at once
 *     PATCH LOCATION, PATCH LOCATION, …                 a large one, in chunks; then PUT with nothing in it
 *
 * A chunk that fails is asked about (GET LOCATION answers with a Range), and the upload goes on from what arrived.
 * An upload that the registry has forgotten begins anew. OCI distribution-spec 1.1, "Pushing blobs". */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/api.h"
#include "registry/text.h"

#define PATIENCE 10            /* a registry reads all of a large blob again before it answers the last PUT */
#define AGAIN    (-1000)

struct sending {
    const struct box_call *call;
    struct box_target *target;
    const struct box_upload *upload;
    char *scope;
    char digest[BOX_DIGEST_TEXT];
    char *location, *from; /* as the registry gave it, and the URL that it is relative to */
    uint64_t chunk;  /* also the size up to which a blob is sent at once */
    uint64_t offset; /* what the registry has, or gets now */
    bool open;
};

static int tick(void *data, uint64_t sent, box_error **err)
{
    struct sending *s = data;

    return s->upload->tick ? s->upload->tick(s->upload->data, s->offset + sent, err) : 0;
}

/* Takes where the upload goes on. Answers that give no Location leave it where it was. */
static int take_location(struct sending *s, struct box_http_response *response, char **from, box_error **err)
{
    uint64_t minimum = 0;

    if (response->chunk_minimum &&
        box_parse_u64(response->chunk_minimum, "", 1, 1ull << 30, &minimum, NULL) == 0 && minimum > s->chunk)
        s->chunk = minimum;
    if (!response->location)
        return s->location ? 0 : box_fail(err, BOX_EPARSE, "the registry opens an upload without saying where");
    free(s->location);
    free(s->from);
    s->location = box_take(response->location);
    s->from = box_take(*from);
    return 0;
}

/* ---- Opening ---- */

static char *start_path(const struct sending *s, const char *mount)
{
    _buffer_ struct box_buffer query = {0};

    if (mount) {
        box_buffer_puts(&query, "?mount=");
        box_text_append_escaped(&query, s->digest);
        box_buffer_puts(&query, "&from=");
        box_text_append_escaped(&query, s->target->prefix);
        box_text_append_escaped(&query, mount);
    }
    return box_buffer_ok(&query)
               ? box_api_path(s->target, s->upload->repository, "blobs/uploads/%s", query.data ? query.data : "")
               : NULL;
}

/* BOX_UPLOAD_MOUNTED, 0 with a location, or a BOX_E* code. */
static int start(struct sending *s, const char *mount, box_error **err)
{
    _response_ struct box_http_response response = {0};
    const struct box_http_body nothing = {.data = ""};
    _free_ char *path = start_path(s, mount), *from = NULL, *scope = NULL;

    scope = mount ? box_strf("%s repository:%s%s:pull", s->scope, s->target->prefix, mount) : strdup(s->scope);
    if (!path || !scope)
        return box_fail_nomem(err);
    const struct box_request request = {.method = "POST", .path = path, .scope = scope, .body = &nothing,
                                        .max = 1u << 20, .url = &from};
    int r = box_request_send(s->call, s->target, &request, &response, err);
    if (r < 0)
        return r;
    if (response.status == 201 && mount)
        return BOX_UPLOAD_MOUNTED;
    if (response.status != 202)
        return box_request_fail(s->target, &response, err, "push to %s", s->upload->repository);
    s->offset = 0;
    return take_location(s, &response, &from, err);
}

/* Lets the registry forget an upload that was opened in vain. */
static void cancel(struct sending *s)
{
    _response_ struct box_http_response response = {0};
    const struct box_request request = {.method = "DELETE", .location = s->location, .from = s->from,
                                        .scope = s->scope, .max = 1u << 20, .once = true};

    if (s->location)
        box_request_send(s->call, s->target, &request, &response, NULL);
}

/* ---- Sending ---- */

/* AGAIN, with *err, where the failure may pass or the upload must be opened anew; or the code. */
static int failed(const struct sending *s, int r, const struct box_http_response *response, box_error **err)
{
    if (r < 0)
        return box_retry_helps(s->target, r, response) ? AGAIN : r;
    r = box_request_fail(s->target, response, err, "push the blob %s to %s", s->digest, s->upload->repository);
    return response->status == 404 || response->status == 416 || box_retry_helps(s->target, 0, response) ? AGAIN : r;
}

/* The last request: with the rest of the blob, or all of it, or nothing. */
static int put(struct sending *s, uint64_t length, box_error **err)
{
    _response_ struct box_http_response response = {0};
    const struct box_http_body body = {.data = length ? NULL : "", .read = s->upload->read, .source = s->upload->data, .offset = s->offset, .length = length,
                                       .tick = tick, .tick_data = s};
    _buffer_ struct box_buffer location = {0};

    box_buffer_printf(&location, "%s%sdigest=", s->location, strchr(s->location, '?') ? "&" : "?");
    box_text_append_escaped(&location, s->digest);
    if (!box_buffer_ok(&location))
        return box_fail_nomem(err);
    const struct box_request request = {.method = "PUT", .location = location.data, .from = s->from, .scope = s->scope,
                                        .body = &body, .max = 1u << 20, .patience = PATIENCE, .once = true};
    int r = box_request_send(s->call, s->target, &request, &response, err);
    if (r == 0 && (response.status == 201 || response.status == 204))
        return 0;
    return failed(s, r, &response, err);
}

/* Asks how much of an upload arrived. */
static int ask(struct sending *s, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _free_ char *from = NULL;
    const struct box_request request = {.method = "GET", .location = s->location, .from = s->from, .scope = s->scope,
                                        .max = 1u << 20, .url = &from};
    uint64_t next = 0;
    int r = box_request_send(s->call, s->target, &request, &response, err);

    if (r < 0 || (response.status != 204 && response.status != 202 && response.status != 200))
        return failed(s, r, &response, err);
    r = response.range ? box_upload_range_read(response.range, &next, err) : 0;
    if (r < 0)
        return r;
    if (next > s->upload->size)
        return box_fail(err, BOX_EDIGEST, "the registry has more of the blob than was sent");
    s->offset = next;
    return take_location(s, &response, &from, err);
}

static int patch(struct sending *s, uint64_t length, box_error **err)
{
    _response_ struct box_http_response response = {0};
    const struct box_http_body body = {.read = s->upload->read, .source = s->upload->data, .offset = s->offset, .length = length,
                                       .once = true, .tick = tick, .tick_data = s};
    _free_ char *from = NULL;
    uint64_t next = s->offset + length;
    char range[64];

    snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)s->offset, (unsigned long long)next - 1);
    const struct box_request request = {.method = "PATCH", .location = s->location, .from = s->from, .scope = s->scope,
                                        .body = &body, .content_range = range, .max = 1u << 20, .patience = 2,
                                        .once = true, .url = &from};
    int r = box_request_send(s->call, s->target, &request, &response, err);
    if (r < 0 || response.status != 202)
        return failed(s, r, &response, err);
    if (response.range && (r = box_upload_range_read(response.range, &next, err)) < 0)
        return r;
    if (next <= s->offset || next > s->offset + length)
        return box_fail(err, BOX_EDIGEST, "the registry took another part of the blob than was sent");
    s->offset = next;
    return take_location(s, &response, &from, err);
}

/* Waits, and asks where the upload stands: 0 to go on from there; AGAIN or a code, with *err, when there is nothing to go
 * on from. *why, the failure before, is what is told when no attempt is left. */
static int recover(struct sending *s, struct box_retry *retry, box_error **why, box_error **err)
{
    const struct box_http_response nothing = {.retry_after_ms = -1};
    int r = box_retry_wait(s->call, retry, &nothing, err);

    if (r < 0)
        return r;
    if (r == 1)
        return ask(s, err);
    r = box_error_code(*why);
    if (err)
        *err = box_take(*why);
    return r;
}

/* A chunk that fails is gone on with, as long as some arrive; `retry` counts those that do not. The last PUT, too, is
 * made again without sending anything twice. */
static int send_chunks(struct sending *s, struct box_retry *retry, box_error **err)
{
    for (;;) {
        _cleanup_(box_error) box_error *why = NULL;
        uint64_t left = s->upload->size - s->offset, before = s->offset;
        int r = left ? patch(s, left < s->chunk ? left : s->chunk, &why) : put(s, 0, &why);
        if (r == 0 && !left)
            return 0;
        if (r == AGAIN) {
            r = recover(s, retry, &why, err);
            if (r < 0)
                return r;
        } else if (r < 0) {
            if (err)
                *err = box_take(why);
            return r;
        }
        if (s->offset > before)
            *retry = (struct box_retry){0};
    }
}

/* Tries each repository that may have it; 0: it must be sent, and an upload is open. */
static int mount_or_start(struct sending *s, box_error **err)
{
    for (char *const *mount = s->upload->mounts; mount && *mount; mount++) {
        _cleanup_(box_error) box_error *why = NULL;
        int r = start(s, *mount, &why);
        if (r == BOX_UPLOAD_MOUNTED)
            return r;
        /* Not allowed to read the other repository: without it, then. */
        if (r < 0 && box_error_code(why) != BOX_EPERMISSION && box_error_code(why) != BOX_ENOTFOUND &&
            box_error_code(why) != BOX_EINVAL) {
            if (err)
                *err = box_take(why);
            return r;
        }
        if (r == 0 && !mount[1])
            return 0;
        if (r == 0)
            cancel(s);
    }
    return start(s, NULL, err);
}

static int send_once(struct sending *s, struct box_retry *retry, box_error **err)
{
    int r = mount_or_start(s, err);

    if (r != 0)
        return r;
    if (!s->open && s->upload->open && (r = s->upload->open(s->upload->data, err)) < 0)
        return r;
    s->open = true;
    return s->upload->size <= s->chunk ? put(s, s->upload->size, err) : send_chunks(s, retry, err);
}

static int send_until_there(struct sending *s, box_error **err)
{
    const struct box_http_response nothing = {.retry_after_ms = -1};
    struct box_retry retry = {0};

    for (;;) {
        _cleanup_(box_error) box_error *why = NULL;
        int r = send_once(s, &retry, &why);
        int more = r == AGAIN ? box_retry_wait(s->call, &retry, &nothing, err) : 0;
        if (more < 0)
            return more;
        if (!more) {
            if (r < 0 && err)
                *err = box_take(why);
            return r == AGAIN ? box_error_code(err ? *err : why) : r;
        }
        /* What failed may only have been the answer. */
        if (box_api_has_blob(s->call, s->target, s->upload->repository, s->upload->digest, NULL) == 1)
            return BOX_UPLOAD_SENT;
    }
}

int box_upload_blob(const struct box_call *call, struct box_target *target, const struct box_upload *upload,
                    box_error **err)
{
    struct sending s = {.call = call, .target = target, .upload = upload, .chunk = call->registry->chunk};
    int r = box_api_has_blob(call, target, upload->repository, upload->digest, err);

    if (r != 0)
        return r < 0 ? r : BOX_UPLOAD_THERE;
    box_digest_format(upload->digest, s.digest);
    s.scope = box_api_scope(target, upload->repository, "pull,push");
    r = s.scope ? send_until_there(&s, err) : box_fail_nomem(err);
    free(s.scope);
    free(s.location);
    free(s.from);
    return r;
}
