/* Answering a registry's challenge.
 *
 *     registry   401, WWW-Authenticate: Bearer realm="https://auth.example/token",service="S",scope="repository:a:pull"
 *     us         GET https://auth.example/token?service=S&scope=repository:a:pull      with the login, if there is one
 *     server     {"token": "…", "expires_in": 300}
 *     us         the request again, with Authorization: Bearer …
 *
 * The token goes to the registry that asked and nowhere else; the login goes to the realm that this registry named,
 * as every client of the protocol does it, over TLS unless that host was allowed to do without. Tokens are kept by
 * registry and scope until shortly before they end. https://distribution.github.io/distribution/spec/auth/token/ */
#include "registry/auth.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/json.h"
#include "registry/text.h"

#define CLIENT_ID       "libbox"
#define LIFE_LEAST_S    60 /* where the server says nothing, or less: the protocol's own */
#define LIFE_MOST_S     3600
#define TOKENS_MAX      1024
#define TOKEN_DOCUMENT  (256u << 10)

char *box_auth_basic(const char *user, const char *password)
{
    _secret_ char *pair = box_strf("%s:%s", user, password);
    _secret_ char *encoded = pair ? box_base64_encode(pair, strlen(pair)) : NULL;

    return encoded ? box_strf("Basic %s", encoded) : NULL;
}

/* ---- Tokens that are kept ---- */

/* Under the mutex. */
static struct box_token *find_token(struct box_registry *registry, const char *key)
{
    for (size_t i = 0; i < registry->n_tokens; i++)
        if (strcmp(registry->tokens[i].key, key) == 0)
            return &registry->tokens[i];
    return NULL;
}

static char *token_key(const struct box_target *target, const char *scope)
{
    return box_strf("%s %s", target->authority, scope ? scope : "");
}

int box_auth_known(const struct box_call *call, const struct box_target *target, const char *scope, char **value,
                   box_error **err)
{
    struct box_registry *registry = call->registry;
    _free_ char *key = token_key(target, scope);

    *value = NULL;
    if (!key)
        return box_fail_nomem(err);
    pthread_mutex_lock(&registry->mutex);
    const struct box_token *token = find_token(registry, key);
    bool good = token && token->until > box_clock_ns();
    if (good)
        *value = strdup(token->text);
    pthread_mutex_unlock(&registry->mutex);
    return good && !*value ? box_fail_nomem(err) : 0;
}

/* Keeps what was good once. Not being able to is no failure: it is asked for again. */
static void keep(struct box_registry *registry, const char *key, const char *value, int64_t life_s)
{
    char *name = strdup(key), *text = strdup(value);

    pthread_mutex_lock(&registry->mutex);
    struct box_token *token = find_token(registry, key);
    if (!token && name && text && registry->n_tokens < TOKENS_MAX) {
        token = box_array_add(&registry->tokens, &registry->n_tokens, &registry->tokens_capacity);
        if (token)
            token->key = box_take(name);
    }
    if (token && text) {
        box_secret_free(token->text);
        token->text = box_take(text);
        /* A tenth less, for the time that a request takes. */
        token->until = box_clock_ns() + life_s * (BOX_S - BOX_S / 10);
        if (!token->key) {
            token->key = box_take(name);
        }
    }
    pthread_mutex_unlock(&registry->mutex);
    free(name);
    box_secret_free(text);
}

/* ---- Asking a token server ---- */

struct grant {
    const struct box_challenges *challenges;
    const struct box_login *login;
    const char *scope;
    bool offline; /* an identity token is wanted */
};

static void append_pair(struct box_buffer *out, const char *name, const char *value)
{
    box_buffer_puts(out, out->length ? "&" : "");
    box_buffer_printf(out, "%s=", name);
    box_text_append_escaped(out, value);
}

/* Each scope that is asked for, ours first: a registry may want another one than we thought, or more than one. */
static void append_scopes(struct box_buffer *out, const struct grant *grant)
{
    _strv_ char **ours = grant->scope ? box_strv_split(grant->scope, ' ') : NULL;
    _strv_ char **theirs = grant->challenges->scope ? box_strv_split(grant->challenges->scope, ' ') : NULL;

    for (size_t i = 0; ours && ours[i]; i++)
        append_pair(out, "scope", ours[i]);
    for (size_t i = 0; theirs && theirs[i] && i < 16; i++)
        if (*theirs[i] && !box_strv_contains(ours, theirs[i]))
            append_pair(out, "scope", theirs[i]);
}

/* An identity token is traded by POST (OAuth 2); without one, GET, with Basic where there is a login. */
static int send_grant(const struct box_call *call, const struct grant *grant, struct box_http_response *response,
                      box_error **err)
{
    const struct box_login *login = grant->login;
    _url_ struct box_url realm = {0};
    _buffer_ struct box_buffer form = {0};
    _secret_ char *basic = NULL;
    int r = box_url_parse(grant->challenges->realm, &realm, err);

    if (r < 0)
        return box_fail_wrap(err, r, "the token server that the registry names");
    if (login->identity)
        append_pair(&form, "grant_type", "refresh_token");
    if (grant->challenges->service)
        append_pair(&form, "service", grant->challenges->service);
    append_scopes(&form, grant);
    if (login->user || login->identity)
        append_pair(&form, "client_id", CLIENT_ID);
    if (login->user)
        append_pair(&form, "account", login->user);
    if (grant->offline)
        append_pair(&form, "offline_token", "true");
    if (login->identity)
        append_pair(&form, "refresh_token", login->identity);
    if (login->user && !(basic = box_auth_basic(login->user, login->password)))
        return box_fail_nomem(err);
    if (!box_buffer_ok(&form))
        return box_fail_nomem(err);

    struct box_http_body body = {.data = form.data, .length = form.length};
    struct box_http_request request = {.method = "POST", .accept = "application/json", .max = TOKEN_DOCUMENT,
                                       .content_type = "application/x-www-form-urlencoded", .body = &body};
    if (!login->identity) {
        char *path = box_strf("%s%s%s", realm.path, strchr(realm.path, '?') ? "&" : "?", form.data ? form.data : "");
        if (!path)
            return box_fail_nomem(err);
        free(realm.path);
        realm.path = path;
        request = (struct box_http_request){
            .method = "GET", .accept = "application/json", .max = TOKEN_DOCUMENT, .authorization = basic};
    }
    /* Where the login goes must be as safe as where a request goes. */
    _free_ char *authority = box_url_authority(&realm);
    if (!authority)
        return box_fail_nomem(err);
    const struct box_host_settings *host = box_client_host(call->registry, box_client_domain(authority), false);
    if (!realm.tls && !(host && host->allow_http)) {
        struct box_fail_info info = {.code = BOX_EPERMISSION,
                                     .subject = authority,
                                     .remedy = "allow plain HTTP to this host, if it can be trusted"};
        return box_fail_with(err, &info, "the registry's token server speaks plain HTTP, and is not allowed to");
    }
    r = box_http_exchange(call, &realm, &request, response, err);
    if (form.data)
        explicit_bzero(form.data, form.length);
    return r;
}

/* The same with further attempts. */
static int ask(const struct box_call *call, const struct box_target *target, const struct grant *grant,
               struct box_http_response *response, box_error **err)
{
    struct box_retry retry = {0};

    for (;;) {
        _cleanup_(box_error) box_error *failed = NULL;
        int r = send_grant(call, grant, response, &failed);
        int more = box_retry_helps(target, r, response) ? box_retry_wait(call, &retry, response, err) : 0;
        if (more < 0)
            return more;
        if (!more) {
            if (r < 0 && err)
                *err = box_take(failed);
            return r;
        }
        box_http_response_clear(response);
    }
}

static int take_secret(const struct box_json_at *root, const char *key, const char **out, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(root, key, BOX_JSON_OPTIONAL, &text, err);

    if (r < 0 || !text || !*text)
        return r;
    if (!box_text_is_header_value(text, BOX_SECRET_MAX))
        return box_json_fail(root, err, "%s is no token that can be sent", key);
    *out = text;
    return 0;
}

static int read_grant(const struct box_http_response *response, char **value, int64_t *life_s, char **identity,
                      box_error **err)
{
    const struct box_json_limits limits = {.size = TOKEN_DOCUMENT, .depth = 16};
    _cleanup_(box_error) box_error *own = NULL;
    box_error **where = err ? err : &own;
    _cleanup_(json_object) json_object *document = box_json_parse(
        response->body.data ? response->body.data : "", response->body.length, &limits, "token", where);
    const struct box_json_at root = BOX_JSON_ROOT(document);
    const char *token = NULL, *access = NULL, *refresh = NULL;
    double expires = LIFE_LEAST_S;

    int r = document ? box_json_as_object(&root, err) : box_error_code(*where);
    if (r == 0)
        r = take_secret(&root, "token", &token, err);
    if (r == 0)
        r = take_secret(&root, "access_token", &access, err);
    if (r == 0)
        r = take_secret(&root, "refresh_token", &refresh, err);
    if (r == 0)
        r = box_json_get_double(&root, "expires_in", BOX_JSON_OPTIONAL, &expires, err);
    if (r < 0)
        return r;
    if (!token && !access)
        return box_fail(err, BOX_EPARSE, "the token server gave no token");
    *life_s = expires > LIFE_MOST_S ? LIFE_MOST_S : expires < LIFE_LEAST_S ? LIFE_LEAST_S : (int64_t)expires;
    *value = box_strf("Bearer %s", token ? token : access);
    if (*value && identity && refresh && !(*identity = strdup(refresh)))
        return box_fail_nomem(err);
    return *value ? 0 : box_fail_nomem(err);
}

static int get_token(const struct box_call *call, const struct box_target *target, const struct grant *grant,
                     char **value, char **identity, box_error **err)
{
    _response_ struct box_http_response response = {0};
    _free_ char *key = token_key(target, grant->scope);
    int64_t life_s = LIFE_LEAST_S;
    int r = key ? ask(call, target, grant, &response, err) : box_fail_nomem(err);

    if (r < 0)
        return r;
    if (response.status != 200)
        return box_request_fail(target, &response, err, "get a token");
    r = read_grant(&response, value, &life_s, identity, err);
    if (r < 0)
        return box_fail_wrap(err, r, "token server");
    keep(call->registry, key, *value, life_s);
    return 1;
}

/* ---- Answering ---- */

int box_auth_with_login(const struct box_call *call, const struct box_target *target, const char *scope,
                        const struct box_challenges *challenges, const struct box_login *login, char **value,
                        char **identity, box_error **err)
{
    const struct grant grant = {challenges, login, scope, identity && login->user};

    *value = NULL;
    if (challenges->bearer && challenges->realm)
        return get_token(call, target, &grant, value, identity, err);
    if (!challenges->basic || !login->user)
        return 0;
    *value = box_auth_basic(login->user, login->password);
    return *value ? 1 : box_fail_nomem(err);
}

int box_auth_answer(const struct box_call *call, const struct box_target *target, const char *scope,
                    const struct box_challenges *challenges, const char *tried, char **value, box_error **err)
{
    _login_ struct box_login login = {0};
    int r = box_client_login(call, target->domain, &login, err);

    *value = NULL;
    if (r == 0)
        r = box_auth_with_login(call, target, scope, challenges, &login, value, NULL, err);
    if (r != 1)
        return r;
    if (tried && strcmp(tried, *value) == 0) { /* it would be refused again */
        box_secret_free(box_take(*value));
        return 0;
    }
    if (strncmp(*value, "Basic ", 6) == 0) {
        _free_ char *key = token_key(target, scope);
        if (key)
            keep(call->registry, key, *value, LIFE_MOST_S);
    }
    return 1;
}
