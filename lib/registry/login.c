/* Logins: which one is used for a registry, and keeping them where Docker's client does. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "registry/client.h"
#include "registry/config.h"
#include "registry/helper.h"
#include "registry/text.h"

#define LOCK_NAME    ".config.json.lock"
#define LOCK_WAIT_MS 10000

/* ---- Using ---- */

static int copy_login(const struct box_login *from, struct box_login *to, box_error **err)
{
    to->user = from->user ? strdup(from->user) : NULL;
    to->password = from->password ? strdup(from->password) : NULL;
    to->identity = from->identity ? strdup(from->identity) : NULL;
    if ((from->user && !to->user) || (from->password && !to->password) || (from->identity && !to->identity)) {
        box_login_clear(to);
        return box_fail_nomem(err);
    }
    return 0;
}

static int find_login(const struct box_call *call, const char *domain, struct box_login *login, box_error **err)
{
    json_object *config = call->registry->config;
    const char *key = box_client_config_key(domain), *helper = box_config_helper(config, key);
    int r = helper ? box_helper_get(call, helper, key, login, err) : 0;

    if (r == 0 && !login->user && !login->identity)
        r = box_config_login(config, key, login, err);
    if (r < 0)
        box_login_clear(login);
    return r;
}

int box_client_login(const struct box_call *call, const char *domain, struct box_login *login, box_error **err)
{
    struct box_registry *registry = call->registry;
    struct box_host_settings *host = box_client_host(registry, domain, true);
    int r = 0;

    *login = (struct box_login){0};
    if (!host)
        return box_fail_nomem(err);
    pthread_mutex_lock(&registry->mutex);
    bool known = host->login_set || host->login_found;
    if (known)
        r = copy_login(&host->login, login, err);
    pthread_mutex_unlock(&registry->mutex);
    if (known || !registry->config)
        return r;
    /* Not under the mutex: a helper may wait for its user. Two threads may ask it twice. */
    r = find_login(call, domain, login, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&registry->mutex);
    if (!host->login_set && !host->login_found) {
        r = copy_login(login, &host->login, err);
        host->login_found = r == 0;
    }
    pthread_mutex_unlock(&registry->mutex);
    return r;
}

/* ---- Keeping ---- */

/* The file that is to be changed, its directory held open and locked against another login. */
struct keeping {
    int dirfd, lockfd;
    char *path; /* whole */
    char *name; /* in dirfd */
    json_object *config;
};

static void keeping_end(struct keeping *k)
{
    if (k->lockfd >= 0)
        box_lock_remove(k->dirfd, LOCK_NAME, k->lockfd);
    box_cleanup_close(&k->dirfd);
    json_object_put(k->config);
    free(k->path);
    free(k->name);
}

/* A link to the file stays a link: what it leads to is replaced. */
static int keeping_begin(struct keeping *k, const char *path, box_error **err)
{
    _free_ char *given = NULL, *copy = NULL;
    int r = box_config_path(path, &given, err);

    if (r < 0)
        return r;
    k->path = realpath(given, NULL);
    if (!k->path && !(k->path = strdup(given)))
        return box_fail_nomem(err);
    const char *slash = strrchr(k->path, '/');
    copy = slash ? strndup(k->path, (size_t)(slash - k->path) + 1) : strdup(".");
    k->name = strdup(slash ? slash + 1 : k->path);
    if (!copy || !k->name)
        return box_fail_nomem(err);
    k->dirfd = box_dir_open(AT_FDCWD, copy, 0700, err);
    if (k->dirfd < 0)
        return k->dirfd;
    k->lockfd = box_lock_take(k->dirfd, LOCK_NAME, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(LOCK_WAIT_MS), err);
    if (k->lockfd < 0)
        return k->lockfd;
    return box_config_read(k->path, &k->config, err);
}

static int keeping_write(struct keeping *k, box_error **err)
{
    const char *text = json_object_to_json_string_ext(
        k->config, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB | JSON_C_TO_STRING_NOSLASHESCAPE);

    if (!text)
        return box_fail_nomem(err);
    return box_file_replace(k->dirfd, k->name, text, strlen(text), 0600, 0, err);
}

/* The object `auths`, made when missing. */
static json_object *auths_of(json_object *config)
{
    json_object *auths = NULL;

    if (json_object_object_get_ex(config, "auths", &auths) && auths)
        return auths;
    auths = json_object_new_object();
    return box_json_put(config, "auths", auths, NULL) < 0 ? NULL : auths;
}

static int put_login(json_object *entry, const char *user, const char *secret, bool token, box_error **err)
{
    _secret_ char *pair = box_strf("%s:%s", user, token ? "" : secret);
    _secret_ char *auth = pair ? box_base64_encode(pair, strlen(pair)) : NULL;

    if (!auth)
        return box_fail_nomem(err);
    int r = box_json_put_string(entry, "auth", auth, err);
    return r == 0 && token ? box_json_put_string(entry, "identitytoken", secret, err) : r;
}

static int store_in_file(struct keeping *k, const char *key, const char *user, const char *secret, bool token,
                         box_error **err)
{
    if (!k->config && !(k->config = json_object_new_object()))
        return box_fail_nomem(err);
    json_object *auths = auths_of(k->config), *entry = json_object_new_object();
    int r = auths && entry ? 0 : box_fail_nomem(err);
    if (r == 0)
        r = put_login(entry, user, secret, token, err);
    if (r < 0) {
        json_object_put(entry);
        return r;
    }
    r = box_json_put(auths, key, entry, err);
    return r < 0 ? r : keeping_write(k, err);
}

int box_credentials_store(const char *path, const char *domain, const char *user, const char *secret,
                          bool secret_is_token, box_error **err)
{
    const struct box_call call = {.deadline = BOX_NEVER, .cancel_fd = -1};
    struct keeping k = {.dirfd = -1, .lockfd = -1};

    if (!domain || !user || !secret || strchr(user, ':') || strlen(secret) > BOX_SECRET_MAX)
        return box_fail(err, BOX_EINVAL, "box_credentials_store: a domain, a user without a colon and a secret are "
                                         "needed");
    const char *key = box_client_config_key(domain);
    int r = keeping_begin(&k, path, err);
    const char *helper = r == 0 ? box_config_helper(k.config, key) : NULL;
    if (helper)
        r = box_helper_store(&call, helper, key, secret_is_token ? NULL : user, secret, err);
    else if (r == 0)
        r = store_in_file(&k, key, user, secret, secret_is_token, err);
    keeping_end(&k);
    return r;
}

static int erase_from_file(struct keeping *k, const char *key, box_error **err)
{
    json_object *auths = NULL;

    if (!k->config || !json_object_object_get_ex(k->config, "auths", &auths) || !auths ||
        !json_object_object_get_ex(auths, key, NULL))
        return box_fail(err, BOX_ENOTFOUND, "not logged in to %s", key);
    json_object_object_del(auths, key);
    return keeping_write(k, err);
}

int box_credentials_erase(const char *path, const char *domain, box_error **err)
{
    const struct box_call call = {.deadline = BOX_NEVER, .cancel_fd = -1};
    struct keeping k = {.dirfd = -1, .lockfd = -1};

    if (!domain)
        return box_fail(err, BOX_EINVAL, "box_credentials_erase: domain must not be NULL");
    const char *key = box_client_config_key(domain);
    int r = keeping_begin(&k, path, err);
    const char *helper = r == 0 ? box_config_helper(k.config, key) : NULL;
    if (helper)
        r = box_helper_erase(&call, helper, key, err);
    if (r == 0 && helper)
        erase_from_file(&k, key, NULL); /* the empty entry that Docker's client keeps beside a helper */
    else if (r == 0)
        r = erase_from_file(&k, key, err);
    keeping_end(&k);
    return r;
}
