/* Headers and error documents of a registry. All of it is hostile: nothing here trusts a length, a quote to be
 * closed or a field to be there once; what is too long was cut off before by the header limits of http.c. */
#include "registry/challenge.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/json.h"
#include "base/strings.h"
#include "registry/text.h"

#define SAID_MAX   512 /* bytes of a registry's message that are passed on */
#define ERRORS_MAX 4

/* ---- Tokens and quoted strings ---- */

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

static const char *skip_separators(const char *at)
{
    return at + strspn(at, " \t,");
}

/* Reads a quoted string or a token; NULL in *out when out of memory. Returns where it ends. */
static const char *read_value(const char *at, char **out)
{
    struct box_buffer value = {0};

    if (*at != '"') {
        /* Generous: a value without quotes goes on to the next comma or space. */
        while (*at && !strchr(", \t", *at))
            box_buffer_putc(&value, *at++);
    } else {
        for (at++; *at && *at != '"'; at++) {
            if (*at == '\\' && at[1])
                at++;
            box_buffer_putc(&value, *at);
        }
        at += *at == '"';
    }
    *out = box_buffer_take(&value);
    box_buffer_free(&value);
    return at;
}

/* ---- Challenges ---- */

static int take_parameter(struct box_challenges *challenges, const char *name, size_t length, char **value)
{
    const struct {
        const char *name;
        char **slot;
    } known[] = {{"realm", &challenges->realm}, {"service", &challenges->service}, {"scope", &challenges->scope}};

    for (size_t i = 0; i < BOX_ARRAY(known); i++)
        if (strlen(known[i].name) == length && strncasecmp(known[i].name, name, length) == 0 && !*known[i].slot)
            *known[i].slot = box_take(*value);
    return 0;
}

int box_challenges_read(struct box_challenges *challenges, const char *at, box_error **err)
{
    bool in_bearer = false;

    for (at = skip_separators(at); *at; at = skip_separators(at)) {
        const char *name = at;
        while (is_token(*at))
            at++;
        size_t length = (size_t)(at - name);
        const char *after = skip_space(at);
        if (length == 0) { /* not of the grammar: on to what may be */
            at++;
            continue;
        }
        if (*after != '=') {
            bool bearer = length == 6 && strncasecmp(name, "Bearer", 6) == 0;
            in_bearer = bearer && !challenges->bearer;
            challenges->bearer |= bearer;
            challenges->basic |= length == 5 && strncasecmp(name, "Basic", 5) == 0;
            continue;
        }
        _free_ char *value = NULL;
        at = read_value(skip_space(after + 1), &value);
        if (!value)
            return box_fail_nomem(err);
        if (in_bearer)
            take_parameter(challenges, name, length, &value);
    }
    return 0;
}

void box_challenges_clear(struct box_challenges *challenges)
{
    free(challenges->realm);
    free(challenges->service);
    free(challenges->scope);
    *challenges = (struct box_challenges){0};
}

/* ---- Link ---- */

/* Whether one of the words of a rel parameter is "next". */
static bool says_next(const char *value)
{
    while (*value) {
        size_t n = strcspn(value, " \t");
        if (n == 4 && strncasecmp(value, "next", 4) == 0)
            return true;
        value += n;
        value = skip_space(value);
    }
    return false;
}

/* Reads the parameters after one target; returns where the next link begins. */
static const char *read_link_parameters(const char *at, bool *next, bool *failed)
{
    for (at = skip_space(at); *at == ';'; at = skip_space(at)) {
        at = skip_space(at + 1);
        const char *name = at;
        while (is_token(*at))
            at++;
        size_t length = (size_t)(at - name);
        at = skip_space(at);
        if (*at != '=')
            continue;
        at = skip_space(at + 1);
        _free_ char *value = NULL;
        if (*at == '"') {
            at = read_value(at, &value);
        } else {
            size_t n = strcspn(at, ";, \t");
            value = strndup(at, n);
            at += n;
        }
        if (!value)
            *failed = true;
        else if (length == 3 && strncasecmp(name, "rel", 3) == 0)
            *next |= says_next(value);
    }
    return at;
}

int box_link_next(const char *at, char **target, box_error **err)
{
    *target = NULL;
    while ((at = strchr(at, '<'))) {
        const char *begin = ++at;
        bool next = false, failed = false;
        at = strchr(at, '>');
        if (!at)
            return 0;
        size_t length = (size_t)(at - begin);
        at = read_link_parameters(at + 1, &next, &failed);
        if (failed)
            return box_fail_nomem(err);
        if (!next)
            continue;
        *target = strndup(begin, length);
        return *target ? 0 : box_fail_nomem(err);
    }
    return 0;
}

/* ---- Ranges and times ---- */

/* Digits up to one of `ends`, or the end of the text if ends is "". */
static const char *read_number(const char *at, uint64_t *out)
{
    size_t n = strspn(at, "0123456789");
    char digits[21];

    if (n == 0 || n >= sizeof(digits))
        return NULL;
    memcpy(digits, at, n);
    digits[n] = 0;
    return box_parse_u64(digits, "", 0, INT64_MAX, out, NULL) < 0 ? NULL : at + n;
}

int box_content_range_read(const char *value, uint64_t *first, uint64_t *last, uint64_t *total, box_error **err)
{
    const char *at = skip_space(value);

    *total = UINT64_MAX;
    at = strncasecmp(at, "bytes", 5) == 0 ? read_number(skip_space(at + 5), first) : NULL;
    at = at && *at == '-' ? read_number(at + 1, last) : NULL;
    if (at && strcmp(at, "/*") != 0)
        at = *at == '/' ? read_number(at + 1, total) : NULL;
    else if (at)
        at += 2;
    if (!at || *skip_space(at) || *first > *last || (*total != UINT64_MAX && *last >= *total))
        return box_fail(err, BOX_EPARSE, "the registry answered with a Content-Range that is none");
    return 0;
}

int box_upload_range_read(const char *value, uint64_t *next, box_error **err)
{
    uint64_t first = 0, last = 0;
    const char *at = skip_space(value);

    if (strncasecmp(at, "bytes=", 6) == 0)
        at += 6;
    at = read_number(at, &first);
    at = at && *at == '-' ? read_number(at + 1, &last) : NULL;
    if (!at || *skip_space(at) || first != 0)
        return box_fail(err, BOX_EPARSE, "the registry answered an upload with a Range that is none");
    *next = last ? last + 1 : 0;
    return 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" of RFC 9110, 5.6.7, by hand: strptime(3) reads the names of days and months that the
 * host's locale has. -1: none. */
static int64_t read_date(const char *text)
{
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    const char *comma = strchr(text, ',');
    unsigned day, year, hour, minute, second;
    char name[4];

    if (!comma || sscanf(comma + 1, " %2u %3[A-Za-z] %4u %2u:%2u:%2u", &day, name, &year, &hour, &minute, &second) != 6)
        return -1;
    int month = 0;
    while (month < 12 && strncasecmp(months + 3 * (size_t)month, name, 3) != 0)
        month++;
    if (month == 12 || day < 1 || day > 31 || year < 1970 || hour > 23 || minute > 59 || second > 60)
        return -1;
    struct tm tm = {.tm_year = (int)year - 1900, .tm_mon = month, .tm_mday = (int)day, .tm_hour = (int)hour,
                    .tm_min = (int)minute, .tm_sec = (int)second};
    return timegm(&tm);
}

int64_t box_retry_after_read(const char *value, int64_t now_s)
{
    uint64_t seconds = 0;
    const char *at = read_number(skip_space(value), &seconds);

    if (at && !*skip_space(at))
        return seconds > INT32_MAX ? (int64_t)INT32_MAX * 1000 : (int64_t)seconds * 1000;
    int64_t when = read_date(value);
    if (when < 0)
        return -1;
    if (when <= now_s)
        return 0;
    return when - now_s > INT32_MAX ? (int64_t)INT32_MAX * 1000 : (when - now_s) * 1000;
}

/* ---- Error documents ---- */

/* Where the registry says why one thing failed: the detail is a string, or an object with a message. */
static const char *string_member(json_object *object, const char *key)
{
    json_object *value = NULL;

    if (!json_object_is_type(object, json_type_object) || !json_object_object_get_ex(object, key, &value) ||
        !json_object_is_type(value, json_type_string))
        return NULL;
    return *json_object_get_string(value) ? json_object_get_string(value) : NULL;
}

static void append_error(struct box_buffer *out, json_object *error)
{
    const char *message = string_member(error, "message"), *code = string_member(error, "code");
    json_object *detail = NULL;
    size_t before = out->length;

    if (message)
        box_text_append_clean(out, message, strlen(message), SAID_MAX);
    if (json_object_is_type(error, json_type_object) && json_object_object_get_ex(error, "detail", &detail)) {
        const char *text = json_object_is_type(detail, json_type_string) ? json_object_get_string(detail)
                                                                         : string_member(detail, "message");
        if (text && *text && !box_streq(text, message)) {
            box_buffer_puts(out, out->length > before ? ": " : "");
            box_text_append_clean(out, text, strlen(text), SAID_MAX);
        }
    }
    if (code) {
        box_buffer_puts(out, out->length > before ? " (" : "(");
        box_text_append_clean(out, code, strlen(code), 64);
        box_buffer_puts(out, ")");
    }
}

void box_registry_error_append(struct box_buffer *out, const char *text, size_t length)
{
    struct box_json_limits limits = {.size = 64u << 10, .depth = 16};
    _cleanup_(json_object) json_object *document = box_json_parse(text, length, &limits, NULL, NULL);
    json_object *errors = NULL;

    if (!json_object_is_type(document, json_type_object))
        return;
    if (!json_object_object_get_ex(document, "errors", &errors) || !json_object_is_type(errors, json_type_array)) {
        /* Token servers: {"details":…}, {"error":…,"error_description":…}, {"message":…}. */
        static const char *const keys[] = {"error_description", "details", "message", "error"};
        for (size_t i = 0; i < BOX_ARRAY(keys); i++) {
            const char *said = string_member(document, keys[i]);
            if (said) {
                box_text_append_clean(out, said, strlen(said), SAID_MAX);
                return;
            }
        }
        return;
    }
    size_t n = json_object_array_length(errors), begin = out->length;
    for (size_t i = 0; i < n && i < ERRORS_MAX; i++) {
        if (out->length > begin)
            box_buffer_puts(out, "; ");
        append_error(out, json_object_array_get_idx(errors, i));
    }
}
