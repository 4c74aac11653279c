/* box_registry_login(): a login is tried at once, so that a typing error shows now and not with the next pull. */
#include <stdlib.h>
#include <string.h>

#include "registry/auth.h"
#include "registry/text.h"

/* Tokens of an earlier login would go on to be used. */
static void forget_tokens(struct box_registry *registry, const char *authority)
{
    size_t n = strlen(authority);

    pthread_mutex_lock(&registry->mutex);
    for (size_t i = 0; i < registry->n_tokens; i++)
        if (strncmp(registry->tokens[i].key, authority, n) == 0 && registry->tokens[i].key[n] == ' ')
            registry->tokens[i].until = 0;
    pthread_mutex_unlock(&registry->mutex);
}

static int exchange(const struct box_call *call, struct box_target *target, const char *authorization,
                    struct box_http_response *response, box_error **err)
{
    const struct box_http_request request = {.method = "GET", .authorization = authorization, .max = 1u << 20};
    struct box_retry retry = {0};
    _url_ struct box_url url = {0};
    int r = box_url_resolve(&target->base, "/v2/", &url, err);

    while (r >= 0) {
        _cleanup_(box_error) box_error *why = NULL;
        r = box_http_exchange(call, &url, &request, response, &why);
        int more = box_retry_helps(target, r, response) ? box_retry_wait(call, &retry, response, err) : 0;
        if (more < 0)
            return more;
        if (!more) {
            if (r < 0 && err)
                *err = box_take(why);
            break;
        }
        box_http_response_clear(response);
        r = 0;
    }
    return r;
}

/* Asks /v2/ without a login, answers the challenge, and asks again. */
static int try_login(const struct box_call *call, struct box_target *target, const struct box_login *login,
                     char **identity, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _secret_ char *authorization = NULL;
    int r = exchange(call, target, NULL, &response, err);

    if (r < 0)
        return r;
    if (response.status == 401) {
        r = box_auth_with_login(call, target, NULL, &response.challenges, login, &authorization, identity, err);
        if (r == 0)
            return box_fail(err, BOX_EUNSUPPORTED, "%s wants a kind of login that is not known", target->authority);
        if (r < 0)
            return r;
        box_http_response_clear(&response);
        r = exchange(call, target, authorization, &response, err);
    }
    if (r < 0 || response.status / 100 == 2)
        return r;
    if (response.status == 404)
        return box_fail(err, BOX_EUNSUPPORTED, "%s is no registry: it does not know /v2/", target->authority);
    return box_request_fail(target, &response, err, "log in");
}

int box_registry_login(box_registry *registry, const char *domain, const char *user, const char *password,
                       char **identity_token, box_error **err)
{
    struct box_call call;
    _target_ struct box_target target = {0};
    char *identity = NULL;
    int r = box_call_init(&call, registry, NULL, err);

    if (r == 0 && (!domain || !user || !password || strchr(user, ':')))
        r = box_fail(err, BOX_EINVAL, "box_registry_login: a domain, a user without a colon and a password are needed");
    if (r == 0)
        r = box_target_open(&call, domain, &target, err);
    if (r < 0)
        return r;
    struct box_login login = {.user = (char *)user, .password = (char *)password}; /* borrowed, and not changed */
    r = try_login(&call, &target, &login, identity_token ? &identity : NULL, err);
    if (r == 0) {
        forget_tokens(registry, target.authority);
        r = box_registry_set_credentials(registry, domain, user, password, err);
    }
    if (r == 0 && identity_token)
        *identity_token = box_take(identity);
    box_secret_free(identity);
    return r < 0 ? box_fail_wrap(err, r, "login to %s", domain) : 0;
}
