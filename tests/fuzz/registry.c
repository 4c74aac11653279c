/* What a registry answers: headers, the URLs in them, error documents, manifests. Any bytes; the first one chooses
 * whom they are given to. What comes out keeps the promises that the rest of the client builds on. */
#include <stdlib.h>
#include <string.h>

#include "registry/api.h"
#include "registry/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

/* Lines of headers, as libcurl hands them over. */
static void headers(const char *text, size_t length)
{
    _response_ struct box_http_response response = {.length = -1, .retry_after_ms = -1};
    const char *end = text + length;

    while (text < end) {
        const char *line = memchr(text, '\n', (size_t)(end - text));
        size_t n = line ? (size_t)(line - text) + 1 : (size_t)(end - text);
        demand(box_http_header(&response, text, n, NULL) == 0);
        text += n;
    }
    demand(response.length >= -1 && response.retry_after_ms >= -1);
}

static void challenges(const char *text)
{
    _challenges_ struct box_challenges c = {0};

    demand(box_challenges_read(&c, text, NULL) == 0);
    demand(!c.realm || c.bearer);
}

/* A URL that was taken is written in a form that is taken again, and means the same. */
static void same_again(const struct box_url *url)
{
    _url_ struct box_url again = {0};
    _free_ char *text = box_url_format(url), *second = NULL;

    if (strlen(text) > BOX_URL_MAX)
        return;
    demand(box_url_parse(text, &again, NULL) == 0);
    second = box_url_format(&again);
    demand(strcmp(text, second) == 0 && box_url_same_origin(url, &again));
    demand(!strpbrk(text, " \r\n\t@\\#") || !strpbrk(url->host, " \r\n\t@\\#/?"));
}

static void urls(const char *text)
{
    _url_ struct box_url base = {0}, url = {0}, resolved = {0};
    _free_ char *next = NULL;

    demand(box_url_parse("https://host.example:5000/v2/a?b", &base, NULL) == 0);
    if (box_url_parse(text, &url, NULL) == 0)
        same_again(&url);
    if (box_url_resolve(&base, text, &resolved, NULL) == 0)
        same_again(&resolved);
    demand(box_link_next(text, &next, NULL) == 0);
}

static void numbers(const char *text)
{
    uint64_t first = 0, last = 0, total = 0, next = 0;

    if (box_content_range_read(text, &first, &last, &total, NULL) == 0)
        demand(first <= last && last < total);
    box_upload_range_read(text, &next, NULL);
    demand(box_retry_after_read(text, 0) >= -1);
}

/* Nothing in a message moves a cursor. */
static void errors(const char *text, size_t length)
{
    _buffer_ struct box_buffer out = {0};

    box_registry_error_append(&out, text, length);
    box_text_append_clean(&out, text, length, 300);
    demand(box_buffer_ok(&out) && out.length < 16384);
    for (size_t i = 0; i < out.length; i++)
        demand((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
}

static void documents(const char *text, size_t length)
{
    _links_ struct box_links links = {0};

    if (box_links_read(text, length, &links, NULL) < 0)
        demand(links.n == 0 && !links.subject);
    for (size_t i = 0; i < links.n; i++)
        demand(links.items[i].media_type && links.items[i].digest.algorithm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    _free_ char *text = strndup((const char *)data + 1, size - 1);
    const char *raw = (const char *)data + 1;
    if (!text)
        return 0;
    switch (data[0] % 6) {
    case 0:
        headers(raw, size - 1);
        break;
    case 1:
        challenges(text);
        break;
    case 2:
        urls(text);
        break;
    case 3:
        numbers(text);
        break;
    case 4:
        errors(raw, size - 1);
        break;
    default:
        documents(raw, size - 1);
    }
    return 0;
}
