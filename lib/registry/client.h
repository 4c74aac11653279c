/* The client: what it was set up with, and what it learns. An operation is a struct box_call, which carries the
 * deadline and the descriptor that cancels through everything that the operation does.
 *
 * What setters write is read without a lock by whatever runs afterwards (the public contract: set up first). What
 * operations learn — logins, tokens, which scheme a host speaks, idle connections — is guarded by `mutex`. */
#ifndef BOX_REGISTRY_CLIENT_H
#define BOX_REGISTRY_CLIENT_H

#include <libbox/registry.h>

#include <json-c/json.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/fail.h"
#include "base/strings.h"
#include "registry/url.h"

#define BOX_SECRET_MAX (64u << 10) /* bytes of a token or password */

struct box_login {
    char *user, *password;
    char *identity; /* an identity token, in place of both */
};
void box_login_clear(struct box_login *login);
#define _login_ __attribute__((cleanup(box_login_clear)))

enum box_scheme { BOX_SCHEME_UNKNOWN, BOX_SCHEME_HTTPS, BOX_SCHEME_HTTP };

/* What is set for one host. Never freed before the client is. */
struct box_host_settings {
    char *domain; /* as in references: "docker.io", "host:5000" */
    bool allow_http, untrusted;
    char *ca; /* PEM texts one after the other; NULL: the system's alone */
    size_t n_ca;
    char *certificate, *key; /* paths */
    char **mirrors;          /* URLs, normalised */
    /* Guarded by the client's mutex. */
    bool login_set; /* by the program: comes before any configuration; an empty login means none */
    struct box_login login;
    bool login_found; /* kept from a configuration */
    enum box_scheme scheme;
};

struct box_token {
    char *key; /* where it is good for, and what */
    char *text;
    int64_t until; /* CLOCK_MONOTONIC, ns */
};

struct box_http_session;

struct box_registry {
    struct box_host_settings **hosts;
    size_t n_hosts, hosts_capacity;
    json_object *config; /* config.json, or NULL */
    bool proxy_set;
    char *proxy, *no_proxy;
    unsigned attempts, retry_first_ms, retry_most_ms, connect_ms, stall_ms, parallel;
    uint64_t chunk;
    char *user_agent;

    pthread_mutex_t mutex;
    struct box_http_session *idle;
    unsigned n_idle;
    struct box_token *tokens;
    size_t n_tokens, tokens_capacity;
};
BOX_CLEANUP(box_registry, box_registry_free);

/* One operation. */
struct box_call {
    struct box_registry *registry;
    struct box_deadline deadline;
    int cancel_fd;
    /* Called about ten times a second while the operation waits, for whatever: anything but 0 ends it. NULL: none. */
    int (*idle)(void *data, box_error **err);
    void *idle_data;
};
#define BOX_CALL_IDLE_MS 100
/* Options may be NULL; BOX_EINVAL for a version that is not known. */
int box_call_init(struct box_call *call, box_registry *registry, const box_transfer_options *options, box_error **err);
/* BOX_ETIMEOUT or BOX_ECANCELLED when the operation is over, what `idle` answered, or 0. */
int box_call_check(const struct box_call *call, box_error **err);
/* Waits so long; BOX_ETIMEOUT at once when the deadline comes before, BOX_ECANCELLED. */
int box_call_sleep(const struct box_call *call, int64_t ms, box_error **err);

/* The settings of a domain, made when missing; NULL: out of memory, or `make` is false and there are none. */
struct box_host_settings *box_client_host(struct box_registry *registry, const char *domain, bool make);
/* The domain that a host speaks for: docker.io for registry-1.docker.io, itself otherwise. */
const char *box_client_domain(const char *authority);
/* The host that answers for a domain. */
const char *box_client_authority(const char *domain);
/* Under what a configuration keeps a domain's login. */
const char *box_client_config_key(const char *domain);
/* Whether this is this machine: "localhost", "127.…", "[::1]", with any port. */
bool box_client_is_loopback(const char *authority);

/* The login for a domain: the program's, or the configuration's, or its helper's. Empty where there is none. */
int box_client_login(const struct box_call *call, const char *domain, struct box_login *login, box_error **err);

#endif
