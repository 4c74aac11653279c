/* config.json of Docker's client: found, read, asked.
 *
 *     {"auths": {"host:5000": {"auth": base64("user:password"), "identitytoken": "…"}},
 *      "credHelpers": {"host": "NAME"}, "credsStore": "NAME"}
 *
 * Keys of `auths` may be URLs ("https://index.docker.io/v1/" is Docker Hub's). Everything else in the file is left
 * alone. See docker-login(1). */
#include "registry/config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "registry/text.h"

#define CONFIG_MAX (4u << 20)

int box_config_path(const char *path, char **out, box_error **err)
{
    const char *dir = getenv("DOCKER_CONFIG"), *home = getenv("HOME");

    if (!path && !(dir && *dir) && !(home && *home)) {
        struct box_fail_info info = {.code = BOX_EINVAL, .remedy = "set HOME or DOCKER_CONFIG, or name the file"};
        return box_fail_with(err, &info, "the environment names no home for config.json");
    }
    *out = path          ? strdup(path)
           : dir && *dir ? box_strf("%s/config.json", dir)
                         : box_strf("%s/.docker/config.json", home);
    return *out ? 0 : box_fail_nomem(err);
}

/* ---- Checking ---- */

static bool is_helper_name(const char *name)
{
    return *name && *name != '.' && strlen(name) <= 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == strlen(name);
}

static int check_helper(const struct box_json_at *at, const char *name, box_error **err)
{
    return is_helper_name(name) ? 0 : box_json_fail(at, err, "not the name of a credential helper");
}

static int check_helper_member(const struct box_json_at *member, void *data, box_error **err)
{
    const char *name = NULL;
    int r = box_json_as_string(member, &name, err);

    (void)data;
    return r < 0 ? r : check_helper(member, name, err);
}

static int check_auth(const struct box_json_at *member, void *data, box_error **err)
{
    static const char *const keys[] = {"auth", "identitytoken", "username", "password"};
    int r = box_json_as_object(member, err);

    (void)data;
    for (size_t i = 0; r == 0 && i < BOX_ARRAY(keys); i++) {
        const char *text = "";
        r = box_json_get_string(member, keys[i], BOX_JSON_OPTIONAL, &text, err);
        if (r == 0 && strlen(text) > 2 * BOX_SECRET_MAX)
            r = box_json_fail(member, err, "longer than a login can be");
    }
    return r;
}

static int check(json_object *document, box_error **err)
{
    const struct box_json_at root = BOX_JSON_ROOT(document);
    struct box_json_at at;
    const char *store = NULL;
    int r = box_json_as_object(&root, err);

    if (r == 0)
        r = box_json_get_object(&root, "auths", BOX_JSON_OPTIONAL, &at, err);
    if (r == 0 && at.json)
        r = box_json_each(&at, check_auth, NULL, err);
    if (r == 0)
        r = box_json_get_object(&root, "credHelpers", BOX_JSON_OPTIONAL, &at, err);
    if (r == 0 && at.json)
        r = box_json_each(&at, check_helper_member, NULL, err);
    if (r == 0)
        r = box_json_get_string(&root, "credsStore", BOX_JSON_OPTIONAL, &store, err);
    if (r == 0 && store && *store) {
        struct box_json_at member = {.up = &root, .key = "credsStore"};
        r = check_helper(&member, store, err);
    }
    return r;
}

int box_config_parse_text(const char *text, size_t length, const char *source, json_object **config, box_error **err)
{
    const struct box_json_limits limits = {.size = CONFIG_MAX, .depth = 64};
    _cleanup_(box_error) box_error *own = NULL;
    json_object *document = box_json_parse(text, length, &limits, source, err ? err : &own);

    if (!document)
        return box_error_code(err ? *err : own);
    int r = check(document, err);
    if (r < 0) {
        json_object_put(document);
        return box_fail_wrap(err, r, "%s", source);
    }
    *config = document;
    return 0;
}

int box_config_read(const char *path, json_object **config, box_error **err)
{
    _secret_ char *text = NULL;
    size_t length = 0;

    *config = NULL;
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int r = box_file_read(AT_FDCWD, path, CONFIG_MAX, &text, &length, err);
    /* An empty file is what a redirected `touch` leaves, and says nothing. */
    return r < 0 || length == 0 ? r : box_config_parse_text(text, length, path, config, err);
}

int box_registry_load_config(box_registry *registry, const char *path, box_error **err)
{
    _free_ char *file = NULL;
    json_object *config = NULL;

    if (!registry)
        return box_fail(err, BOX_EINVAL, "box_registry_load_config: registry must not be NULL");
    if (!path && !getenv("DOCKER_CONFIG") && !getenv("HOME"))
        return 0; /* nothing names a file, so none is missing */
    int r = box_config_path(path, &file, err);
    if (r == 0)
        r = box_config_read(file, &config, err);
    if (r < 0)
        return r;
    json_object_put(registry->config);
    registry->config = config;
    return 0;
}

/* ---- Asking ---- */

/* A key as it is compared: without scheme and path, but for the one that is Docker Hub's. */
static char *key_host(const char *key)
{
    const char *rest = box_after_prefix(key, "https://");

    if (!rest)
        rest = box_after_prefix(key, "http://");
    rest = rest ? rest : key;
    return strndup(rest, strcspn(rest, "/"));
}

static json_object *member_of(json_object *config, const char *group, const char *key)
{
    json_object *members = NULL, *found = NULL;
    _free_ char *host = key_host(key);

    if (!config || !json_object_object_get_ex(config, group, &members) || !members || !host)
        return NULL;
    if (json_object_object_get_ex(members, key, &found) && found)
        return found;
    json_object_object_foreach(members, name, value) {
        _free_ char *other = key_host(name);
        if (other && strcasecmp(other, host) == 0)
            return value;
    }
    return NULL;
}

const char *box_config_helper(json_object *config, const char *key)
{
    json_object *name = member_of(config, "credHelpers", key);

    if (!name && config)
        json_object_object_get_ex(config, "credsStore", &name);
    return name && *json_object_get_string(name) ? json_object_get_string(name) : NULL;
}

static const char *text_of(json_object *object, const char *key)
{
    json_object *value = NULL;

    return json_object_object_get_ex(object, key, &value) && value ? json_object_get_string(value) : "";
}

static int split_auth(const char *auth, const char *key, struct box_login *login, box_error **err)
{
    _secret_ char *text = NULL;
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = key};
    size_t length = 0;

    int r = box_base64_decode(auth, &text, &length, NULL);
    if (r == BOX_ENOMEM)
        return box_fail_nomem(err);
    char *colon = r == 0 ? strchr(text, ':') : NULL;
    if (!colon || strlen(text) != length)
        return box_fail_with(err, &info, "auths: the login kept for this registry is not base64 of \"user:password\"");
    *colon = 0;
    login->user = strdup(text);
    login->password = strdup(colon + 1);
    *colon = ':';
    return login->user && login->password ? 0 : box_fail_nomem(err);
}

int box_config_login(json_object *config, const char *key, struct box_login *login, box_error **err)
{
    json_object *entry = member_of(config, "auths", key);

    if (!entry)
        return 0;
    const char *auth = text_of(entry, "auth"), *identity = text_of(entry, "identitytoken");
    if (*identity) {
        login->identity = strdup(identity);
        return login->identity ? 0 : box_fail_nomem(err);
    }
    if (*auth)
        return split_auth(auth, key, login, err);
    if (!*text_of(entry, "username"))
        return 0;
    login->user = strdup(text_of(entry, "username"));
    login->password = strdup(text_of(entry, "password"));
    return login->user && login->password ? 0 : box_fail_nomem(err);
}
