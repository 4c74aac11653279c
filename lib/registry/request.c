/* A request to a registry, in four layers: send (attempts) > authorized (login) > follow (redirects) > exchange.
 *
 * What each is built against: a redirect or a Location that takes the login to another host (Authorization goes to
 * the registry's own origin only, and nothing goes out in the clear to a host that was not allowed that); redirects
 * without end; a registry that asks for one login after the other (two rounds are made, no more). */
#include "registry/request.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "registry/auth.h"
#include "registry/text.h"

#define REDIRECTS_MAX 10

/* ---- Redirects ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int check_clear(const struct box_call *call, const struct box_url *url, box_error **err)
{
    _free_ char *authority = url->tls ? NULL : box_url_authority(url);

    if (url->tls)
        return 0;
    if (!authority)
        return box_fail_nomem(err);
    const struct box_host_settings *host = box_client_host(call->registry, box_client_domain(authority), false);
    if (host && host->allow_http)
        return 0;
    struct box_fail_info info = {.code = BOX_EPERMISSION,
                                 .subject = authority,
                                 .remedy = "allow plain HTTP to this host by name, if it can be trusted"};
    return box_fail_with(err, &info, "the registry leads to a host by plain HTTP, which is not allowed for it");
}

/* Where a redirect leads; replaces *url. */
static int redirect(const struct box_call *call, const struct box_request *request,
                    const struct box_http_response *response, struct box_url *url, box_error **err)
{
    struct box_url next = {0};
    bool reading = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    int r = box_url_resolve(url, response->location, &next, err);

    if (r < 0)
        return box_fail_wrap(err, r, "redirect");
    /* What is written goes to the registry, not to whom it names. */
    if (!reading && (response->status == 303 || !box_url_same_origin(url, &next)))
        r = box_fail(err, BOX_EUNSUPPORTED, "the registry redirects a %s to %s", request->method, next.host);
    if (r == 0)
        r = check_clear(call, &next, err);
    if (r < 0) {
        box_url_clear(&next);
        return r;
    }
    box_url_clear(url);
    *url = next;
    return 0;
}

static int follow(const struct box_call *call, struct box_target *target, const struct box_request *request,
                  const struct box_url *start, const char *authorization, struct box_http_response *response,
                  bool *elsewhere, box_error **err)
{
    _url_ struct box_url url = {0};
    struct box_http_request exchange = {.method = request->method,
                                        .accept = request->accept,
                                        .content_type = request->content_type,
                                        .content_range = request->content_range,
                                        .range = request->range,
                                        .body = request->body,
                                        .sink = request->sink,
                                        .sink_data = request->sink_data,
                                        .max = request->max,
                                        .patience = request->patience};
    int r = box_url_resolve(start, "", &url, err);

    for (unsigned hops = 0; r == 0; hops++) {
        *elsewhere = !box_url_same_origin(&url, &target->base);
        exchange.authorization = *elsewhere ? NULL : authorization;
        r = box_http_exchange(call, &url, &exchange, response, err);
        if (r < 0)
            return r;
        target->reached = true;
        if (!is_redirect(response->status) || !response->location)
            break;
        if (hops == REDIRECTS_MAX)
            return box_fail(err, BOX_ELIMIT, "the registry redirects more than %d times", REDIRECTS_MAX);
        r = redirect(call, request, response, &url, err);
        if (r == 0)
            box_http_response_clear(response);
    }
    if (r == 0 && request->url) {
        free(*request->url);
        *request->url = box_url_format(&url);
        r = *request->url ? 0 : box_fail_nomem(err);
    }
    return r;
}

/* ---- Login ---- */

static int send_authorized(const struct box_call *call, struct box_target *target, const struct box_request *request,
                           const struct box_url *url, struct box_http_response *response, box_error **err)
{
    _secret_ char *authorization = NULL;
    int r = box_auth_known(call, target, request->scope, &authorization, err);

    for (unsigned round = 0; r == 0; round++) {
        bool elsewhere = false;
        r = follow(call, target, request, url, authorization, response, &elsewhere, err);
        if (r < 0 || response->status != 401 || elsewhere || round == 2)
            return r;
        _secret_ char *tried = box_take(authorization);
        r = box_auth_answer(call, target, request->scope, &response->challenges, tried, &authorization, err);
        if (r <= 0)
            return r; /* 0: the 401 stands */
        box_http_response_clear(response);
        r = 0;
    }
    return r;
}

/* ---- Attempts ---- */

bool box_retry_helps(const struct box_target *target, int r, const struct box_http_response *response)
{
    if (r < 0) /* a host that never was there is not waited for */
        return response->transient && (!response->no_host || target->reached);
    switch (response->status) {
    case 408:
    case 425:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return true;
    default:
        return false;
    }
}

int box_retry_wait(const struct box_call *call, struct box_retry *retry, const struct box_http_response *response,
                   box_error **err)
{
    const struct box_registry *registry = call->registry;

    if (++retry->attempts >= registry->attempts)
        return 0;
    retry->wait_ms = retry->attempts == 1 ? registry->retry_first_ms : retry->wait_ms * 2;
    if (retry->wait_ms > registry->retry_most_ms)
        retry->wait_ms = registry->retry_most_ms;
    int64_t wait = response->retry_after_ms >= 0 ? response->retry_after_ms : retry->wait_ms;
    if (wait > registry->retry_most_ms)
        wait = registry->retry_most_ms;
    int r = box_call_sleep(call, wait, err);
    return r < 0 ? r : 1;
}

static int resolve(const struct box_target *target, const struct box_request *request, struct box_url *url,
                   box_error **err)
{
    _url_ struct box_url from = {0};

    if (request->path)
        return box_url_resolve(&target->base, request->path, url, err);
    int r = request->from ? box_url_parse(request->from, &from, err) : 0;
    return r < 0 ? r : box_url_resolve(request->from ? &from : &target->base, request->location, url, err);
}

int box_request_send(const struct box_call *call, struct box_target *target, const struct box_request *request,
                     struct box_http_response *response, box_error **err)
{
    _url_ struct box_url url = {0};
    struct box_retry retry = {0};
    int r = resolve(target, request, &url, err);

    if (r == 0)
        r = check_clear(call, &url, err);
    if (r < 0)
        return r;
    for (;;) {
        box_error *failed = NULL;
        r = send_authorized(call, target, request, &url, response, &failed);
        int more = !request->once && box_retry_helps(target, r, response)
                       ? box_retry_wait(call, &retry, response, err)
                       : 0;
        if (!more && r < 0 && err)
            *err = box_take(failed);
        box_error_free(failed);
        if (more < 0)
            return more;
        if (!more)
            return r;
        box_http_response_clear(response);
    }
}

/* ---- Errors ---- */

static int code_of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
    case 407:
        return BOX_EPERMISSION;
    case 404:
        return BOX_ENOTFOUND;
    case 400:
        return BOX_EINVAL;
    case 405:
    case 415:
        return BOX_EUNSUPPORTED;
    case 413:
        return BOX_ELIMIT;
    case 429:
        return BOX_EBUSY;
    default:
        return BOX_ESYSTEM;
    }
}

static const char *remedy_of_status(int status)
{
    switch (status) {
    case 401:
        return "log in to this registry, if the repository exists";
    case 407:
        return "give the proxy's URL a user and password";
    case 429:
        return "wait, or log in: registries allow more to whom they know";
    default:
        return NULL;
    }
}

int box_request_fail(const struct box_target *target, const struct box_http_response *response, box_error **err,
                     const char *what, ...)
{
    _buffer_ struct box_buffer text = {0}, said = {0};
    char *step = NULL;
    va_list args;

    va_start(args, what);
    if (vasprintf(&step, what, args) < 0)
        step = NULL;
    va_end(args);
    box_buffer_printf(&text, "%s: cannot %s: ", target->authority, step ? step : what);
    free(step);
    if (response->body.data)
        box_registry_error_append(&said, response->body.data, response->body.length);
    if (said.length && box_buffer_ok(&said))
        box_buffer_printf(&text, "%s", said.data);
    else
        box_buffer_printf(&text, "the registry answers %d", response->status);
    if (!box_buffer_ok(&text))
        return box_fail_nomem(err);
    struct box_fail_info info = {.code = code_of_status(response->status),
                                 .remedy = remedy_of_status(response->status)};
    return box_fail_with(err, &info, "%s", text.data);
}
