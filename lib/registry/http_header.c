/* The headers of an answer: the few that are of use, each taken once, of a bounded length (http.c bounds them all). */
#include "registry/http.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/strings.h"

void box_http_response_clear(struct box_http_response *response)
{
    char *const strings[] = {response->content_type, response->location,      response->digest,
                             response->link,         response->range,         response->content_range,
                             response->subject,      response->chunk_minimum};

    for (size_t i = 0; i < BOX_ARRAY(strings); i++)
        free(strings[i]);
    box_challenges_clear(&response->challenges);
    box_buffer_free(&response->body);
    *response = (struct box_http_response){.length = -1, .retry_after_ms = -1};
}

static int take(struct box_http_response *response, const char *name, const char *value, box_error **err)
{
    const struct {
        const char *name;
        char **slot;
    } kept[] = {
        {"content-type", &response->content_type},   {"location", &response->location},
        {"docker-content-digest", &response->digest}, {"link", &response->link},
        {"range", &response->range},                 {"content-range", &response->content_range},
        {"oci-subject", &response->subject},         {"oci-chunk-min-length", &response->chunk_minimum},
    };
    uint64_t length = 0;

    for (size_t i = 0; i < BOX_ARRAY(kept); i++) {
        if (strcasecmp(kept[i].name, name) != 0)
            continue;
        if (!*kept[i].slot && !(*kept[i].slot = strdup(value)))
            return box_fail_nomem(err);
        return 0;
    }
    if (strcasecmp(name, "www-authenticate") == 0)
        return box_challenges_read(&response->challenges, value, err);
    if (strcasecmp(name, "content-length") == 0 && box_parse_u64(value, "", 0, INT64_MAX, &length, NULL) == 0)
        response->length = (int64_t)length;
    if (strcasecmp(name, "retry-after") == 0)
        response->retry_after_ms = box_retry_after_read(value, time(NULL));
    return 0;
}

int box_http_header(struct box_http_response *response, const char *line, size_t length, box_error **err)
{
    const char *colon = memchr(line, ':', length);

    if (!colon || memchr(line, 0, length))
        return 0;
    const char *value = colon + 1, *end = line + length;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r' || end[-1] == '\n'))
        end--;
    _free_ char *name = strndup(line, (size_t)(colon - line));
    _free_ char *text = strndup(value, (size_t)(end - value));
    if (!name || !text)
        return box_fail_nomem(err);
    return take(response, name, text, err);
}
