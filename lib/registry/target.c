/* Where requests go. A host that was allowed plain HTTP is asked once, by a TLS handshake, whether it needs it: a
 * registry that has a certificate is never spoken to in the clear. */
#include <stdlib.h>
#include <string.h>

#include "registry/request.h"

#define PROBE_MS 5000

void box_target_clear(struct box_target *target)
{
    box_url_clear(&target->base);
    free(target->authority);
    free(target->domain);
    free(target->prefix);
    *target = (struct box_target){0};
}

/* Whether TLS is spoken where `base`, an https URL, leads: 1, 0, or an error. */
static int probe(const struct box_call *call, const struct box_url *base, box_error **err)
{
    _response_ struct box_http_response response = {0};
    const struct box_http_request request = {.method = "GET", .max = 1u << 20};
    struct box_call shorter = *call;
    _cleanup_(box_error) box_error *failed = NULL;
    _url_ struct box_url url = {0};
    int r = box_url_resolve(base, "/v2/", &url, err);

    if (r < 0)
        return r;
    shorter.deadline = box_deadline_sooner(call->deadline, box_deadline_in_ms(PROBE_MS));
    r = box_http_exchange(&shorter, &url, &request, &response, &failed);
    if (r == 0)
        return 1;
    if (r == BOX_ECANCELLED || r == BOX_ELIBRARY || r == BOX_ENOMEM) {
        if (err)
            *err = box_take(failed);
        return r;
    }
    if (box_deadline_passed(call->deadline))
        return box_call_check(call, err);
    /* A certificate that is not trusted is TLS all the same. */
    return !response.no_tls && !response.no_host && r != BOX_ETIMEOUT;
}

static int find_scheme(const struct box_call *call, struct box_host_settings *host, struct box_url *base,
                       box_error **err)
{
    pthread_mutex_lock(&call->registry->mutex);
    enum box_scheme scheme = host->scheme;
    pthread_mutex_unlock(&call->registry->mutex);
    if (scheme == BOX_SCHEME_UNKNOWN) {
        int r = probe(call, base, err);
        if (r < 0)
            return r;
        scheme = r ? BOX_SCHEME_HTTPS : BOX_SCHEME_HTTP;
        pthread_mutex_lock(&call->registry->mutex);
        host->scheme = scheme;
        pthread_mutex_unlock(&call->registry->mutex);
    }
    if (scheme == BOX_SCHEME_HTTP) {
        base->tls = false;
        base->port = base->port == 443 ? 80 : base->port;
    }
    return 0;
}

/* Fills in what follows from base, whose path becomes the prefix. */
static int complete(struct box_target *target, box_error **err)
{
    char *path = target->base.path;

    target->authority = box_url_authority(&target->base);
    target->domain = target->authority ? strdup(box_client_domain(target->authority)) : NULL;
    target->prefix = path[0] && path[1] ? box_strf("%s/", path + 1) : strdup("");
    target->base.path = strdup("/");
    free(path);
    return target->authority && target->domain && target->prefix && target->base.path ? 0 : box_fail_nomem(err);
}

int box_target_open(const struct box_call *call, const char *domain, struct box_target *target, box_error **err)
{
    struct box_host_settings *host = box_client_host(call->registry, domain, false);
    _free_ char *text = box_strf("https://%s/", box_client_authority(domain));

    *target = (struct box_target){0};
    if (!text)
        return box_fail_nomem(err);
    int r = strpbrk(domain, "/?#") ? box_fail(err, BOX_EINVAL, "not a registry's domain: %s", domain)
                                   : box_url_parse(text, &target->base, err);
    if (r == 0 && host && host->allow_http)
        r = find_scheme(call, host, &target->base, err);
    if (r == 0)
        r = complete(target, err);
    if (r == 0 && strcmp(target->domain, target->authority) == 0) { /* as it was given, with a port left out or not */
        free(target->domain);
        target->domain = strdup(domain);
        r = target->domain ? 0 : box_fail_nomem(err);
    }
    if (r < 0)
        box_target_clear(target);
    return r;
}

int box_target_open_mirror(const struct box_call *call, const char *url, struct box_target *target, box_error **err)
{
    (void)call;
    *target = (struct box_target){0};
    int r = box_url_parse(url, &target->base, err);
    if (r == 0)
        r = complete(target, err);
    if (r < 0)
        box_target_clear(target);
    return r;
}
