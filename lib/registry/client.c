/* The client: made, set up, freed. */
#include "registry/client.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/file.h"
#include "registry/http.h"
#include "registry/text.h"

#define PEM_MAX (4u << 20)

box_registry *box_registry_new(box_error **err)
{
    box_registry *registry = calloc(1, sizeof(*registry));
    char *agent = strdup("libbox/" BOX_VERSION);

    if (!registry || !agent) {
        free(registry);
        free(agent);
        box_fail_nomem(err);
        return NULL;
    }
    registry->user_agent = agent;
    registry->attempts = 5;
    registry->retry_first_ms = 500;
    registry->retry_most_ms = 30000;
    registry->connect_ms = 30000;
    registry->stall_ms = 30000;
    registry->parallel = 4;
    registry->chunk = 32u << 20;
    pthread_mutex_init(&registry->mutex, NULL);
    return registry;
}

void box_login_clear(struct box_login *login)
{
    free(login->user);
    box_secret_free(login->password);
    box_secret_free(login->identity);
    *login = (struct box_login){0};
}

static void host_free(struct box_host_settings *host)
{
    free(host->domain);
    free(host->ca);
    free(host->certificate);
    free(host->key);
    box_strv_free(host->mirrors);
    box_login_clear(&host->login);
    free(host);
}

void box_registry_free(box_registry *registry)
{
    if (!registry)
        return;
    box_http_close_idle(registry);
    for (size_t i = 0; i < registry->n_hosts; i++)
        host_free(registry->hosts[i]);
    for (size_t i = 0; i < registry->n_tokens; i++) {
        free(registry->tokens[i].key);
        box_secret_free(registry->tokens[i].text);
    }
    free(registry->hosts);
    free(registry->tokens);
    json_object_put(registry->config);
    free(registry->proxy);
    free(registry->no_proxy);
    free(registry->user_agent);
    pthread_mutex_destroy(&registry->mutex);
    free(registry);
}

/* ---- Hosts ---- */

static struct box_host_settings *find_host(const struct box_registry *registry, const char *domain)
{
    for (size_t i = 0; i < registry->n_hosts; i++)
        if (strcasecmp(registry->hosts[i]->domain, domain) == 0)
            return registry->hosts[i];
    return NULL;
}

static struct box_host_settings *add_host(struct box_registry *registry, const char *domain)
{
    struct box_host_settings *host = calloc(1, sizeof(*host));

    if (!host || !(host->domain = strdup(domain))) {
        free(host);
        return NULL;
    }
    struct box_host_settings **slot = box_array_add(&registry->hosts, &registry->n_hosts, &registry->hosts_capacity);
    if (!slot) {
        host_free(host);
        return NULL;
    }
    return *slot = host;
}

/* "host:443" is looked for as "host" too, since an https URL does not show that port. */
struct box_host_settings *box_client_host(struct box_registry *registry, const char *domain, bool make)
{
    pthread_mutex_lock(&registry->mutex);
    struct box_host_settings *host = find_host(registry, domain);
    if (!host && !make) {
        size_t n = strlen(domain);
        _free_ char *other = box_ends_with(domain, ":443") || box_ends_with(domain, ":80")
                                 ? strndup(domain, (size_t)(strrchr(domain, ':') - domain))
                                 : box_strf("%s%s", domain, n && (domain[n - 1] == ']' || !strchr(domain, ':')) ? ":443" : "");
        host = other ? find_host(registry, other) : NULL;
    }
    if (!host && make)
        host = add_host(registry, domain);
    pthread_mutex_unlock(&registry->mutex);
    return host;
}

#define HUB_DOMAIN    "docker.io"
#define HUB_AUTHORITY "registry-1.docker.io"
#define HUB_KEY       "https://index.docker.io/v1/"

const char *box_client_domain(const char *authority)
{
    return strcasecmp(authority, HUB_AUTHORITY) == 0 ? HUB_DOMAIN : authority;
}

const char *box_client_authority(const char *domain)
{
    return strcasecmp(domain, HUB_DOMAIN) == 0 ? HUB_AUTHORITY : domain;
}

const char *box_client_config_key(const char *domain)
{
    return strcasecmp(domain, HUB_DOMAIN) == 0 ? HUB_KEY : domain;
}

bool box_client_is_loopback(const char *authority)
{
    size_t n = authority[0] == '[' ? strcspn(authority, "]") + 1 : strcspn(authority, ":");

    if (n == 9 && strncasecmp(authority, "localhost", 9) == 0)
        return true;
    if (n == 5 && strncmp(authority, "[::1]", 5) == 0)
        return true;
    /* A name may begin with digits: 127.evil.example is none of ours. */
    return strncmp(authority, "127.", 4) == 0 && strspn(authority, "0123456789.") == n;
}

/* ---- Setters ---- */

static struct box_host_settings *setting(box_registry *registry, const char *domain, const char *call, int *r,
                                         box_error **err)
{
    struct box_host_settings *host = NULL;
    struct box_url url = {0};

    *r = 0;
    _free_ char *text = domain ? box_strf("https://%s/", domain) : NULL;
    if (!registry || !domain) {
        *r = box_fail(err, BOX_EINVAL, "%s: registry and domain must not be NULL", call);
    } else if (!text) {
        *r = box_fail_nomem(err);
    } else if (strpbrk(domain, "/?#") || box_url_parse(text, &url, NULL) < 0) {
        struct box_fail_info info = {.code = BOX_EINVAL, .subject = domain, .remedy = "give it as HOST or HOST:PORT"};
        *r = box_fail_with(err, &info, "%s: not a registry's domain", call);
    } else {
        host = box_client_host(registry, box_client_domain(domain), true);
        *r = host ? 0 : box_fail_nomem(err);
    }
    box_url_clear(&url);
    return host;
}

/* A copy of a string or of NULL in a slot, in place of what was there. */
static int replace(char **slot, const char *text, box_error **err)
{
    char *copy = text ? strdup(text) : NULL;

    if (text && !copy)
        return box_fail_nomem(err);
    box_secret_free(*slot);
    *slot = copy;
    return 0;
}

static bool is_secret(const char *text)
{
    return strlen(text) <= BOX_SECRET_MAX;
}

int box_registry_set_credentials(box_registry *registry, const char *domain, const char *user, const char *password,
                                 box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_set_credentials", &r, err);

    if (r < 0)
        return r;
    if (!user != !password)
        return box_fail(err, BOX_EINVAL, "box_registry_set_credentials: user and password go together");
    if (user && (strchr(user, ':') || !is_secret(user) || !is_secret(password)))
        return box_fail(err, BOX_EINVAL, "a user's name must have no colon, and a login at most %u bytes", BOX_SECRET_MAX);
    pthread_mutex_lock(&registry->mutex);
    box_login_clear(&host->login);
    host->login_set = true;
    r = replace(&host->login.user, user, err);
    if (r == 0)
        r = replace(&host->login.password, password, err);
    pthread_mutex_unlock(&registry->mutex);
    return r;
}

int box_registry_set_identity_token(box_registry *registry, const char *domain, const char *token, box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_set_identity_token", &r, err);

    if (r < 0)
        return r;
    if (!token || !box_text_is_header_value(token, BOX_SECRET_MAX))
        return box_fail(err, BOX_EINVAL, "an identity token is printable text of at most %u bytes", BOX_SECRET_MAX);
    pthread_mutex_lock(&registry->mutex);
    box_login_clear(&host->login);
    host->login_set = true;
    r = replace(&host->login.identity, token, err);
    pthread_mutex_unlock(&registry->mutex);
    return r;
}

int box_registry_set_ca(box_registry *registry, const char *domain, const char *path, box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_set_ca", &r, err);
    _free_ char *pem = NULL;
    size_t n = 0;

    if (r == 0 && !path)
        r = box_fail(err, BOX_EINVAL, "box_registry_set_ca: path must not be NULL");
    if (r == 0)
        r = box_file_read(AT_FDCWD, path, PEM_MAX, &pem, &n, err);
    if (r < 0)
        return r;
    if (!strstr(pem, "-----BEGIN ")) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = path};
        return box_fail_with(err, &info, "there is no certificate in PEM form in it");
    }
    char *all = realloc(host->ca, host->n_ca + n + 2);
    if (!all)
        return box_fail_nomem(err);
    memcpy(all + host->n_ca, pem, n);
    memcpy(all + host->n_ca + n, "\n", 2);
    host->ca = all;
    host->n_ca += n + 1;
    return 0;
}

int box_registry_set_client_certificate(box_registry *registry, const char *domain, const char *certificate,
                                        const char *key, box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_set_client_certificate", &r, err);

    if (r == 0 && (!certificate || !key))
        r = box_fail(err, BOX_EINVAL, "box_registry_set_client_certificate: certificate and key must not be NULL");
    if (r == 0)
        r = replace(&host->certificate, certificate, err);
    return r < 0 ? r : replace(&host->key, key, err);
}

int box_registry_allow_http(box_registry *registry, const char *domain, box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_allow_http", &r, err);

    if (host)
        host->allow_http = true;
    return r;
}

int box_registry_allow_untrusted(box_registry *registry, const char *domain, box_error **err)
{
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_allow_untrusted", &r, err);

    if (host)
        host->untrusted = true;
    return r;
}

int box_registry_add_mirror(box_registry *registry, const char *domain, const char *text, box_error **err)
{
    _url_ struct box_url url = {0};
    int r;
    struct box_host_settings *host = setting(registry, domain, "box_registry_add_mirror", &r, err);

    if (r == 0 && !text)
        r = box_fail(err, BOX_EINVAL, "box_registry_add_mirror: url must not be NULL");
    if (r == 0)
        r = box_url_parse(text, &url, err);
    if (r < 0)
        return r;
    if (strchr(url.path, '?'))
        return box_fail(err, BOX_EINVAL, "a mirror's URL has no query: %s", text);
    while (box_ends_with(url.path, "/"))
        url.path[strlen(url.path) - 1] = 0;
    if (!url.tls) { /* an http URL names the host that http is spoken to */
        _free_ char *authority = box_url_authority(&url);
        r = authority ? box_registry_allow_http(registry, authority, err) : box_fail_nomem(err);
        if (r < 0)
            return r;
    }
    return box_strv_append_take(&host->mirrors, box_url_format(&url)) < 0 ? box_fail_nomem(err) : 0;
}

int box_registry_set_proxy(box_registry *registry, const char *proxy, const char *except, box_error **err)
{
    if (!registry)
        return box_fail(err, BOX_EINVAL, "box_registry_set_proxy: registry must not be NULL");
    int r = replace(&registry->proxy, proxy, err);
    if (r == 0)
        r = replace(&registry->no_proxy, except, err);
    registry->proxy_set |= r == 0;
    return r;
}

int box_registry_set_retries(box_registry *registry, unsigned attempts, unsigned first_ms, unsigned most_ms,
                             box_error **err)
{
    if (!registry || attempts < 1 || attempts > 1000 || first_ms > most_ms || most_ms > 3600000)
        return box_fail(err, BOX_EINVAL, "box_registry_set_retries: 1 to 1000 attempts, and times that rise to an "
                                         "hour at most");
    registry->attempts = attempts;
    registry->retry_first_ms = first_ms;
    registry->retry_most_ms = most_ms;
    return 0;
}

int box_registry_set_timeouts(box_registry *registry, unsigned connect_ms, unsigned stall_ms, box_error **err)
{
    if (!registry || !connect_ms || !stall_ms || connect_ms > 3600000 || stall_ms > 3600000)
        return box_fail(err, BOX_EINVAL, "box_registry_set_timeouts: from 1 millisecond to an hour");
    registry->connect_ms = connect_ms;
    registry->stall_ms = stall_ms;
    return 0;
}

int box_registry_set_parallel(box_registry *registry, unsigned blobs, box_error **err)
{
    if (!registry || blobs < 1 || blobs > 64)
        return box_fail(err, BOX_EINVAL, "box_registry_set_parallel: from 1 to 64");
    registry->parallel = blobs;
    return 0;
}

int box_registry_set_chunk(box_registry *registry, uint64_t bytes, box_error **err)
{
    if (!registry || bytes < 64u << 10 || bytes > 1u << 30)
        return box_fail(err, BOX_EINVAL, "box_registry_set_chunk: from 64 KiB to 1 GiB");
    registry->chunk = bytes;
    return 0;
}

int box_registry_set_user_agent(box_registry *registry, const char *name, box_error **err)
{
    if (!registry || !name || strpbrk(name, "\r\n") || strlen(name) > 1000)
        return box_fail(err, BOX_EINVAL, "box_registry_set_user_agent: one line of at most 1000 bytes");
    return replace(&registry->user_agent, name, err);
}
