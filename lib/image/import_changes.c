/* Dockerfile instructions that change a config. Dockerfile reference,
 * https://docs.docker.com/reference/dockerfile/.
 *
 * Words are cut as a Dockerfile's are: at white space, with quotes and backslashes taken away. Nothing is
 * expanded: there are no variables outside of a build. */
#include "image/import_changes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/json.h"
#include "base/strings.h"

#define SPACE  " \t\r\n"
#define LETTER "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static int malformed(const char *what, const char *why, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};

    return box_fail_with(err, &info, "change \"%s\": %s", what, why);
}

/* ---- Words ---- */

/* The next word of *at, without its quotes; NULL at the end. *bad: an open quote, or no memory. */
static char *next_word(const char **at, bool *bad)
{
    _buffer_ struct box_buffer word = {0};
    char quote = 0;

    *at += strspn(*at, SPACE);
    if (!**at)
        return NULL;
    for (; **at && (quote || !strchr(SPACE, **at)); ++*at) {
        if (quote ? **at == quote : **at == '"' || **at == '\'')
            quote = quote ? 0 : **at;
        else if (**at == '\\' && quote != '\'' && (*at)[1])
            box_buffer_putc(&word, *++*at);
        else
            box_buffer_putc(&word, **at);
    }
    char *text = quote ? NULL : box_buffer_take(&word);
    *bad = !text;
    return text;
}

static int words(const char *instruction, const char *rest, char ***out, box_error **err)
{
    bool bad = false;
    char *word;

    *out = box_strv_dup(NULL);
    if (!*out)
        return box_fail_nomem(err);
    while ((word = next_word(&rest, &bad)))
        if (box_strv_append_take(out, word) < 0)
            return box_fail_nomem(err);
    if (bad)
        return malformed(instruction, "a quote is not closed", err);
    return (*out)[0] ? 0 : malformed(instruction, "something is missing", err);
}

/* A JSON list of strings; NULL when the text is not one, which is no error. */
static json_object *parse_list(const char *text)
{
    if (*text != '[')
        return NULL;
    json_object *list = box_json_parse(text, strlen(text), &BOX_JSON_DEFAULT, NULL, NULL);
    bool good = list && json_object_is_type(list, json_type_array);
    for (size_t i = 0; good && i < json_object_array_length(list); i++)
        good = json_object_is_type(json_object_array_get_idx(list, i), json_type_string);
    if (!good) {
        json_object_put(list);
        return NULL;
    }
    return list;
}

/* ---- Instructions ---- */

struct change {
    json_object *config;
    const char *text; /* all of it, for errors */
    const char *rest; /* what follows the first word */
};

/* ["a", "b"] as it is; anything else is the shell's. */
static int set_command(const struct change *c, const char *key, box_error **err)
{
    json_object *list = parse_list(c->rest);

    if (!list) {
        list = json_object_new_array();
        const char *const shell[] = {"/bin/sh", "-c", c->rest};
        for (size_t i = 0; list && i < BOX_ARRAY(shell); i++)
            if (box_json_append(list, json_object_new_string(shell[i]), err) < 0) {
                json_object_put(list);
                return BOX_ENOMEM;
            }
    }
    return box_json_put(c->config, key, list, err);
}

static int set_cmd(const struct change *c, box_error **err)
{
    return set_command(c, "Cmd", err);
}

static int set_entrypoint(const struct change *c, box_error **err)
{
    return set_command(c, "Entrypoint", err);
}

/* The member of a name, made when it is missing. Borrowed. */
static json_object *member(const struct change *c, const char *key, json_object *(*make)(void),
                           box_error **err)
{
    json_object *found = NULL;

    if (json_object_object_get_ex(c->config, key, &found) && found)
        return found;
    found = make();
    return box_json_put(c->config, key, found, err) < 0 ? NULL : found;
}

/* "NAME=value …", or "NAME and all that follows"; calls put for each. */
static int each_pair(const struct change *c,
                     int (*put)(const struct change *, const char *, const char *, box_error **),
                     box_error **err)
{
    _strv_ char **list = NULL;
    int r = words(c->text, c->rest, &list, err);

    if (r < 0)
        return r;
    if (!strchr(list[0], '=')) {
        const char *value = c->rest + strcspn(c->rest, SPACE);
        if (!*value)
            return malformed(c->text, "a value is missing", err);
        return put(c, list[0], value + strspn(value, SPACE), err);
    }
    for (size_t i = 0; r == 0 && list[i]; i++) {
        char *equals = strchr(list[i], '=');
        if (!equals || equals == list[i])
            return malformed(c->text, "each word must be NAME=value", err);
        *equals = '\0';
        r = put(c, list[i], equals + 1, err);
    }
    return r;
}

static int put_env(const struct change *c, const char *name, const char *value, box_error **err)
{
    json_object *list = member(c, "Env", json_object_new_array, err);
    _free_ char *text = box_strf("%s=%s", name, value);
    size_t n = strlen(name);

    if (!list || !text)
        return box_fail_nomem(err);
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        const char *old = json_object_get_string(json_object_array_get_idx(list, i));
        if (strncmp(old, name, n) == 0 && old[n] == '=') {
            json_object *string = json_object_new_string(text);
            return string && json_object_array_put_idx(list, i, string) == 0 ? 0 : box_fail_nomem(err);
        }
    }
    return box_json_append(list, json_object_new_string(text), err);
}

static int set_env(const struct change *c, box_error **err)
{
    return each_pair(c, put_env, err);
}

static int put_label(const struct change *c, const char *name, const char *value, box_error **err)
{
    json_object *labels = member(c, "Labels", json_object_new_object, err);

    return labels ? box_json_put_string(labels, name, value, err) : BOX_ENOMEM;
}

static int set_label(const struct change *c, box_error **err)
{
    return each_pair(c, put_label, err);
}

static int put_port(const struct change *c, json_object *ports, char *text, box_error **err)
{
    char *slash = strchr(text, '/');
    const char *protocol = slash ? slash + 1 : "tcp";
    uint64_t first, last;

    if (slash)
        *slash = '\0';
    char *dash = strchr(text, '-');
    if (dash)
        *dash++ = '\0';
    int r = box_parse_u64(text, "port", 1, 65535, &first, err);
    last = first;
    if (r == 0 && dash)
        r = box_parse_u64(dash, "port", first, 65535, &last, err);
    if (r == 0 && strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0 &&
        strcmp(protocol, "sctp") != 0)
        return malformed(c->text, "the protocol is none of tcp, udp and sctp", err);
    for (uint64_t port = first; r == 0 && port <= last; port++) {
        _free_ char *key = box_strf("%u/%s", (unsigned)port, protocol);
        r = key ? box_json_put(ports, key, json_object_new_object(), err) : box_fail_nomem(err);
    }
    return r;
}

static int set_expose(const struct change *c, box_error **err)
{
    json_object *ports = member(c, "ExposedPorts", json_object_new_object, err);
    _strv_ char **list = NULL;
    int r = ports ? words(c->text, c->rest, &list, err) : BOX_ENOMEM;

    for (size_t i = 0; r == 0 && list[i]; i++)
        r = put_port(c, ports, list[i], err);
    return r;
}

static int set_volume(const struct change *c, box_error **err)
{
    json_object *volumes = member(c, "Volumes", json_object_new_object, err);
    _cleanup_(json_object) json_object *given = parse_list(c->rest);
    _strv_ char **list = NULL;
    int r = 0;

    if (!volumes)
        return BOX_ENOMEM;
    if (!given)
        r = words(c->text, c->rest, &list, err);
    for (size_t i = 0; r == 0 && given && i < json_object_array_length(given); i++)
        r = box_json_put(volumes, json_object_get_string(json_object_array_get_idx(given, i)),
                         json_object_new_object(), err);
    for (size_t i = 0; r == 0 && list && list[i]; i++)
        r = box_json_put(volumes, list[i], json_object_new_object(), err);
    return r;
}

static int set_one_word(const struct change *c, const char *key, box_error **err)
{
    _strv_ char **list = NULL;
    int r = words(c->text, c->rest, &list, err);

    if (r == 0 && list[1])
        return malformed(c->text, "there must be one word", err);
    return r < 0 ? r : box_json_put_string(c->config, key, list[0], err);
}

static int set_user(const struct change *c, box_error **err)
{
    return set_one_word(c, "User", err);
}

static int set_stopsignal(const struct change *c, box_error **err)
{
    return set_one_word(c, "StopSignal", err);
}

/* A relative directory is relative to the one before it. */
static int set_workdir(const struct change *c, box_error **err)
{
    json_object *before = NULL;

    if (!*c->rest)
        return malformed(c->text, "something is missing", err);
    json_object_object_get_ex(c->config, "WorkingDir", &before);
    const char *base = before ? json_object_get_string(before) : "";
    _free_ char *path =
        *c->rest == '/' ? strdup(c->rest) : box_strf("%s/%s", strcmp(base, "/") == 0 ? "" : base, c->rest);
    return path ? box_json_put_string(c->config, "WorkingDir", path, err) : box_fail_nomem(err);
}

static int set_onbuild(const struct change *c, box_error **err)
{
    json_object *list = member(c, "OnBuild", json_object_new_array, err);

    if (!*c->rest)
        return malformed(c->text, "something is missing", err);
    return list ? box_json_append(list, json_object_new_string(c->rest), err) : BOX_ENOMEM;
}

/* "--interval=30s" and its like; true when it was one. */
static int health_option(json_object *health, const char *word, const struct change *c, box_error **err)
{
    static const char *const times[][2] = {{"--interval=", "Interval"},
                                           {"--timeout=", "Timeout"},
                                           {"--start-period=", "StartPeriod"},
                                           {"--start-interval=", "StartInterval"}};
    const char *retries = box_after_prefix(word, "--retries=");
    uint64_t count;
    int64_t time;

    for (size_t i = 0; i < BOX_ARRAY(times); i++) {
        const char *value = box_after_prefix(word, times[i][0]);
        if (!value)
            continue;
        int r = box_parse_duration(value, times[i][0], &time, err);
        return r < 0 ? r : box_json_put_i64(health, times[i][1], time, err);
    }
    if (!retries)
        return malformed(c->text, "there is an option that is none", err);
    int r = box_parse_u64(retries, "--retries", 0, 1000000, &count, err);
    return r < 0 ? r : box_json_put_u64(health, "Retries", count, err);
}

static int health_test(json_object *health, const char *command, box_error **err)
{
    _cleanup_(json_object) json_object *given = parse_list(command);
    json_object *test = json_object_new_array();
    int r = box_json_put(health, "Test", test, err);

    if (r == 0)
        r = box_json_append(test, json_object_new_string(given ? "CMD" : "CMD-SHELL"), err);
    if (r == 0 && !given)
        r = box_json_append(test, json_object_new_string(command), err);
    for (size_t i = 0; r == 0 && given && i < json_object_array_length(given); i++)
        r = box_json_append(test, json_object_get(json_object_array_get_idx(given, i)), err);
    return r;
}

static int set_healthcheck(const struct change *c, box_error **err)
{
    json_object *health = json_object_new_object();
    const char *at = c->rest;
    int r = box_json_put(c->config, "Healthcheck", health, err);

    while (r == 0 && strncmp(at, "--", 2) == 0) {
        _free_ char *word = strndup(at, strcspn(at, SPACE));
        r = word ? health_option(health, word, c, err) : box_fail_nomem(err);
        at += strcspn(at, SPACE);
        at += strspn(at, SPACE);
    }
    if (r < 0)
        return r;
    if (strcasecmp(at, "NONE") == 0) {
        json_object *test = json_object_new_array();
        r = box_json_put(health, "Test", test, err);
        return r < 0 ? r : box_json_append(test, json_object_new_string("NONE"), err);
    }
    if (strncasecmp(at, "CMD", 3) != 0 || !at[3] || !strchr(SPACE, at[3]) || !at[3 + strspn(at + 3, SPACE)])
        return malformed(c->text, "CMD and a command, or NONE, is missing", err);
    return health_test(health, at + 3 + strspn(at + 3, SPACE), err);
}

/* ---- All of them ---- */

int box_import_change(json_object *config, const char *instruction, box_error **err)
{
    static const struct {
        const char *name;
        int (*carry_out)(const struct change *, box_error **);
    } table[] = {
        {"CMD", set_cmd},         {"ENTRYPOINT", set_entrypoint}, {"ENV", set_env},
        {"EXPOSE", set_expose},   {"LABEL", set_label},           {"HEALTHCHECK", set_healthcheck},
        {"ONBUILD", set_onbuild}, {"STOPSIGNAL", set_stopsignal}, {"USER", set_user},
        {"VOLUME", set_volume},   {"WORKDIR", set_workdir},
    };
    const char *start = instruction + strspn(instruction, SPACE);
    size_t n = strspn(start, LETTER);
    const char *rest = start + n + strspn(start + n, SPACE);
    size_t length = strlen(rest);

    while (length > 0 && strchr(SPACE, rest[length - 1]))
        length--;
    _free_ char *trimmed = strndup(rest, length);
    if (!trimmed)
        return box_fail_nomem(err);
    const struct change change = {config, instruction, trimmed};
    for (size_t i = 0; i < BOX_ARRAY(table); i++)
        if (strlen(table[i].name) == n && strncasecmp(start, table[i].name, n) == 0)
            return table[i].carry_out(&change, err);
    return malformed(instruction, "no instruction that changes an image's config", err);
}
