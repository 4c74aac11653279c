/* ROOT/settings.json: what somebody changed of how a store works.
 *
 * It is replaced as a whole, with the store's lock held exclusively, and read without one. Members that this
 * version does not know are left as they are. */
#include "image/store.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/strings.h"

#define SETTINGS     "settings.json"
#define SETTINGS_MAX (64u << 10)

struct setting {
    const char *key;
    const char *values[4]; /* the default first */
};

static const struct setting settings[] = {
    {"blobs", {"keep", "drop"}},
    {"layers", {"auto", "tree", "erofs"}},
};

static const struct setting *find(const char *key)
{
    for (size_t i = 0; i < BOX_ARRAY(settings); i++)
        if (strcmp(settings[i].key, key) == 0)
            return &settings[i];
    return NULL;
}

static const char *find_value(const struct setting *setting, const char *value)
{
    for (size_t i = 0; i < BOX_ARRAY(setting->values) && setting->values[i]; i++)
        if (strcmp(setting->values[i], value) == 0)
            return setting->values[i];
    return NULL;
}

static int fail_key(const char *key, box_error **err)
{
    char known[128] = "there are:";

    for (size_t i = 0; i < BOX_ARRAY(settings); i++)
        snprintf(known + strlen(known), sizeof(known) - strlen(known), " %s", settings[i].key);
    struct box_fail_info info = {.code = BOX_EINVAL, .subject = key, .remedy = known};
    return box_fail_with(err, &info, "a store has no setting \"%s\"", key);
}

static int fail_value(const struct setting *setting, const char *value, box_error **err)
{
    _free_ char *known = box_strv_join((char *const *)(uintptr_t)setting->values, ", ");
    struct box_fail_info info = {.code = BOX_EINVAL, .subject = setting->key};

    return box_fail_with(err, &info, "the setting %s cannot be \"%s\", only one of: %s", setting->key, value,
                         known ? known : "?");
}

/* *doc: an empty object where there is no file. */
static int read_settings(const box_store *store, json_object **doc, box_error **err)
{
    _free_ char *text = NULL;
    size_t length = 0;
    box_error *why = NULL;
    int r = box_file_read(store->rootfd, SETTINGS, SETTINGS_MAX, &text, &length, &why);

    if (r == BOX_ENOTFOUND) {
        box_error_free(why);
        *doc = json_object_new_object();
        return *doc ? 0 : box_fail_nomem(err);
    }
    if (r == 0) {
        *doc = box_json_parse(text, length, &BOX_JSON_DEFAULT, SETTINGS, &why);
        struct box_json_at root = BOX_JSON_ROOT(*doc);
        r = *doc ? box_json_as_object(&root, &why) : BOX_EPARSE;
    }
    if (r == 0)
        return 0;
    struct box_fail_info info = {.code = BOX_ECORRUPT, .subject = SETTINGS, .remedy = "remove the file"};
    r = box_fail_with(err, &info, "the store's settings cannot be read: %s", box_error_message(why));
    box_error_free(why);
    return r;
}

/* A value that only a newer version knows counts as the default. */
static int get(const box_store *store, const struct setting *setting, const char **value, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    const char *found = setting->values[0];
    int r = read_settings(store, &doc, err);
    struct box_json_at root = BOX_JSON_ROOT(doc);

    *value = setting->values[0];
    if (r == 0)
        r = box_json_get_string(&root, setting->key, BOX_JSON_OPTIONAL, &found, err);
    if (r == 0 && find_value(setting, found))
        *value = find_value(setting, found);
    return r;
}

void box_store_setting(const box_store *store, const char *key, char value[16])
{
    const struct setting *setting = find(key);
    const char *found = "";

    if (setting)
        get(store, setting, &found, NULL);
    snprintf(value, 16, "%s", found);
}

int box_store_get(box_store *store, const char *key, char **value, box_error **err)
{
    const struct setting *setting = key ? find(key) : NULL;
    const char *found;

    if (!store || !key || !value)
        return box_fail(err, BOX_EINVAL, "box_store_get: arguments must not be NULL");
    if (!setting)
        return fail_key(key, err);
    int r = get(store, setting, &found, err);
    if (r < 0)
        return r;
    *value = strdup(found);
    return *value ? 0 : box_fail_nomem(err);
}

static int put(const box_store *store, const char *key, const char *value, box_error **err)
{
    _cleanup_(json_object) json_object *doc = NULL;
    int r = read_settings(store, &doc, err);

    if (r == 0 && !value)
        json_object_object_del(doc, key);
    else if (r == 0)
        r = box_json_put_string(doc, key, value, err);
    const char *text = r == 0 ? json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PRETTY) : NULL;
    if (r < 0 || !text)
        return r < 0 ? r : box_fail_nomem(err);
    return box_file_replace(store->rootfd, SETTINGS, text, strlen(text), 0600, 0, err);
}

int box_store_set(box_store *store, const char *key, const char *value, box_error **err)
{
    const struct setting *setting = key ? find(key) : NULL;

    if (!store || !key)
        return box_fail(err, BOX_EINVAL, "box_store_set: store and key must not be NULL");
    if (!setting)
        return fail_key(key, err);
    if (value && !find_value(setting, value))
        return fail_value(setting, value, err);
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_EXCLUSIVE, err);
    return lock < 0 ? lock : put(store, key, value, err);
}
