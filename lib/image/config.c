/* The config of an image: OCI image-spec, config.md, and the fields that Docker adds. */
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/strings.h"

/* ---- Reading members ---- */

/* A copy; "" when the member is missing. */
static int copy_string(const struct box_json_at *at, const char *key, char **out, box_error **err)
{
    const char *text = "";
    int r = at->json ? box_json_get_string(at, key, BOX_JSON_OPTIONAL, &text, err) : 0;

    if (r < 0)
        return r;
    *out = strdup(text);
    return *out ? 0 : box_fail_nomem(err);
}

/* A vector; empty when the member is missing. Old images have a single string in the place of a list of one.
 */
static int copy_strings(const struct box_json_at *at, const char *key, char ***out, box_error **err)
{
    struct box_json_at member = {0};
    int r = at->json ? box_json_get(at, key, BOX_JSON_OPTIONAL, &member, err) : 0;

    if (r < 0)
        return r;
    if (member.json && json_object_is_type(member.json, json_type_string)) {
        const char *text = NULL;
        if ((r = box_json_as_string(&member, &text, err)) < 0)
            return r;
        *out = box_strv_dup((char *const[]){(char *)text, NULL});
    } else if (member.json) {
        if ((r = box_json_get_strings(at, key, BOX_JSON_OPTIONAL, out, err)) < 0)
            return r;
    }
    if (!*out)
        *out = box_strv_dup(NULL);
    return *out ? 0 : box_fail_nomem(err);
}

static int append_key(const struct box_json_at *member, void *data, box_error **err)
{
    return box_strv_append(data, member->key) < 0 ? box_fail_nomem(err) : 0;
}

/* The keys of an object that serves as a set. */
static int copy_keys(const struct box_json_at *at, const char *key, char ***out, box_error **err)
{
    struct box_json_at set = {0};
    int r = at->json ? box_json_get_object(at, key, BOX_JSON_OPTIONAL, &set, err) : 0;

    if (r == 0 && set.json)
        r = box_json_each(&set, append_key, out, err);
    if (r == 0 && !*out)
        *out = box_strv_dup(NULL);
    return r < 0 ? r : *out ? 0 : box_fail_nomem(err);
}

static int append_label(const struct box_json_at *member, void *data, box_error **err)
{
    struct box_config *config = data;
    box_image_pair *pair = &config->labels[config->n_labels++];
    const char *value = "";
    int r = member->json ? box_json_as_string(member, &value, err) : 0;

    if (r < 0)
        return r;
    pair->key = strdup(member->key);
    pair->value = strdup(value);
    return pair->key && pair->value ? 0 : box_fail_nomem(err);
}

static int read_labels(const struct box_json_at *at, struct box_config *config, box_error **err)
{
    struct box_json_at labels = {0};
    int r = at->json ? box_json_get_object(at, "Labels", BOX_JSON_OPTIONAL, &labels, err) : 0;
    size_t n = r == 0 && labels.json ? (size_t)json_object_object_length(labels.json) : 0;

    if (r < 0)
        return r;
    config->labels = calloc(n ? n : 1, sizeof(*config->labels));
    if (!config->labels)
        return box_fail_nomem(err);
    return n ? box_json_each(&labels, append_label, config, err) : 0;
}

static int read_healthcheck(const struct box_json_at *at, struct box_config *config, box_error **err)
{
    struct box_json_at health = {0};
    int r = at->json ? box_json_get_object(at, "Healthcheck", BOX_JSON_OPTIONAL, &health, err) : 0;

    if (r < 0)
        return r;
    const char *text =
        health.json ? json_object_to_json_string_ext(health.json, JSON_C_TO_STRING_NOSLASHESCAPE) : "";
    config->healthcheck = text ? strdup(text) : NULL;
    return config->healthcheck ? 0 : box_fail_nomem(err);
}

/* What Docker keeps under "config": how to run it. */
static int read_run(const struct box_json_at *root, struct box_config *config, box_error **err)
{
    struct box_json_at at;
    int r = box_json_get_object(root, "config", BOX_JSON_OPTIONAL, &at, err);

    if (r < 0 || (r = copy_strings(&at, "Entrypoint", &config->entrypoint, err)) < 0 ||
        (r = copy_strings(&at, "Cmd", &config->cmd, err)) < 0 ||
        (r = copy_strings(&at, "Env", &config->env, err)) < 0 ||
        (r = copy_strings(&at, "Shell", &config->shell, err)) < 0 ||
        (r = copy_strings(&at, "OnBuild", &config->onbuild, err)) < 0 ||
        (r = copy_keys(&at, "Volumes", &config->volumes, err)) < 0 ||
        (r = copy_keys(&at, "ExposedPorts", &config->ports, err)) < 0 ||
        (r = copy_string(&at, "User", &config->user, err)) < 0 ||
        (r = copy_string(&at, "WorkingDir", &config->workdir, err)) < 0 ||
        (r = copy_string(&at, "StopSignal", &config->stop_signal, err)) < 0 ||
        (r = read_labels(&at, config, err)) < 0)
        return r;
    return read_healthcheck(&at, config, err);
}

/* ---- History and root ---- */

static int read_step(const struct box_json_at *at, struct box_config_step *step, box_error **err)
{
    int r = box_json_as_object(at, err);

    if (r < 0 || (r = copy_string(at, "created", &step->created, err)) < 0 ||
        (r = copy_string(at, "created_by", &step->created_by, err)) < 0 ||
        (r = copy_string(at, "author", &step->author, err)) < 0 ||
        (r = copy_string(at, "comment", &step->comment, err)) < 0)
        return r;
    return box_json_get_bool(at, "empty_layer", BOX_JSON_OPTIONAL, &step->empty_layer, err);
}

static int read_history(const struct box_json_at *root, struct box_config *config, box_error **err)
{
    struct box_json_at list;
    size_t n = 0;
    int r = box_json_get_array(root, "history", BOX_JSON_OPTIONAL, &list, &n, err);

    if (r < 0)
        return r;
    config->history = calloc(n ? n : 1, sizeof(*config->history));
    if (!config->history)
        return box_fail_nomem(err);
    for (; r == 0 && config->n_history < n; config->n_history++) {
        struct box_json_at element = box_json_element(&list, config->n_history);
        r = read_step(&element, &config->history[config->n_history], err);
    }
    return r;
}

static int read_diff_ids(const struct box_json_at *root, struct box_config *config, box_error **err)
{
    struct box_json_at rootfs, list;
    const char *type = NULL;
    size_t n = 0;
    int r = box_json_get_object(root, "rootfs", BOX_JSON_REQUIRED, &rootfs, err);

    if (r < 0 || (r = box_json_get_string(&rootfs, "type", BOX_JSON_REQUIRED, &type, err)) < 0 ||
        (r = box_json_get_array(&rootfs, "diff_ids", BOX_JSON_OPTIONAL, &list, &n, err)) < 0)
        return r;
    if (strcmp(type, "layers") != 0)
        return box_fail(err, BOX_EUNSUPPORTED, "a root file system of type \"%s\" is not supported", type);
    config->diff_ids = calloc(n ? n : 1, sizeof(*config->diff_ids));
    if (!config->diff_ids)
        return box_fail_nomem(err);
    for (; config->n_diff_ids < n; config->n_diff_ids++) {
        struct box_json_at element = box_json_element(&list, config->n_diff_ids);
        const char *text = NULL;
        if ((r = box_json_as_string(&element, &text, err)) < 0 ||
            (r = box_digest_parse(text, &config->diff_ids[config->n_diff_ids], err)) < 0)
            return r;
        if (config->diff_ids[config->n_diff_ids].algorithm != BOX_SHA256)
            return box_fail(err, BOX_EUNSUPPORTED, "only sha256 diff ids are supported, not %s", text);
    }
    return 0;
}

static int read_config(const struct box_json_at *root, struct box_config *config, box_error **err)
{
    int r = box_json_as_object(root, err);

    if (r < 0 || (r = copy_string(root, "os", &config->os, err)) < 0 ||
        (r = copy_string(root, "architecture", &config->architecture, err)) < 0 ||
        (r = copy_string(root, "variant", &config->variant, err)) < 0 ||
        (r = copy_string(root, "created", &config->created, err)) < 0 ||
        (r = copy_string(root, "author", &config->author, err)) < 0 ||
        (r = read_run(root, config, err)) < 0 || (r = read_history(root, config, err)) < 0)
        return r;
    return read_diff_ids(root, config, err);
}

int box_config_parse(const char *text, size_t length, const char *source, struct box_config *config,
                     box_error **err)
{
    struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};

    *config = (struct box_config){0};
    _cleanup_(json_object) json_object *doc = box_json_parse(text, length, &limits, source, err);
    if (!doc)
        return err && *err ? box_error_code(*err) : BOX_EPARSE;
    struct box_json_at root = BOX_JSON_ROOT(doc);
    int r = read_config(&root, config, err);
    if (r < 0) {
        box_config_clear(config);
        return box_fail_wrap(err, r, "config %s", source);
    }
    return 0;
}

void box_config_clear(struct box_config *c)
{
    char *const strings[] = {c->os,   c->architecture, c->variant,     c->created,    c->author,
                             c->user, c->workdir,      c->stop_signal, c->healthcheck};
    char **const vectors[] = {c->entrypoint, c->cmd, c->env, c->shell, c->volumes, c->ports, c->onbuild};

    for (size_t i = 0; i < BOX_ARRAY(strings); i++)
        free(strings[i]);
    for (size_t i = 0; i < BOX_ARRAY(vectors); i++)
        box_strv_free(vectors[i]);
    for (size_t i = 0; i < c->n_labels; i++) {
        free((char *)c->labels[i].key);
        free((char *)c->labels[i].value);
    }
    for (size_t i = 0; i < c->n_history; i++) {
        free(c->history[i].created);
        free(c->history[i].created_by);
        free(c->history[i].author);
        free(c->history[i].comment);
    }
    free(c->labels);
    free(c->history);
    free(c->diff_ids);
    *c = (struct box_config){0};
}

/* ---- Time ---- */

static bool digits(const char **at, size_t n, int *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool skip(const char **at, char c)
{
    return **at == c ? ++*at, true : false;
}

int64_t box_time_parse(const char *text)
{
    struct tm tm = {0};
    int hours = 0, minutes = 0, sign = 0;
    const char *at = text;

    if (!text || !digits(&at, 4, &tm.tm_year) || !skip(&at, '-') || !digits(&at, 2, &tm.tm_mon) ||
        !skip(&at, '-') || !digits(&at, 2, &tm.tm_mday) || !(skip(&at, 'T') || skip(&at, 't')) ||
        !digits(&at, 2, &tm.tm_hour) || !skip(&at, ':') || !digits(&at, 2, &tm.tm_min) || !skip(&at, ':') ||
        !digits(&at, 2, &tm.tm_sec))
        return 0;
    if (skip(&at, '.'))
        at += strspn(at, "0123456789");
    if (*at == '+' || *at == '-') {
        sign = *at++ == '+' ? 1 : -1;
        if (!digits(&at, 2, &hours) || !skip(&at, ':') || !digits(&at, 2, &minutes))
            return 0;
    } else if (!skip(&at, 'Z') && !skip(&at, 'z')) {
        return 0;
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    /* Before 1970, such as the zero time of Go, is as good as nothing. */
    int64_t time = *at ? 0 : (int64_t)timegm(&tm) - sign * (hours * 3600 + minutes * 60);
    return time > 0 ? time : 0;
}
