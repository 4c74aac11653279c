/* URLs. Two parsers that see different hosts in one URL are how a login goes to somebody else, so this one takes
 * little, and hands on only what it has put together again from the parts. */
#include "registry/url.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/strings.h"

static int bad(const char *why, box_error **err)
{
    return box_fail(err, BOX_EPARSE, "not a URL that can be used: %s", why);
}

static bool is_host_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* "host", "host:port", "[address]:port". */
static int parse_authority(const char *text, size_t length, struct box_url *url, box_error **err)
{
    uint64_t port = url->tls ? 443 : 80;
    size_t n = 0;

    if (length > 255 + 8)
        return bad("the host's name is too long", err);
    _free_ char *authority = strndup(text, length);
    if (!authority)
        return box_fail_nomem(err);
    for (char *c = authority; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c | 0x20);
    if (authority[0] == '[') {
        n = 1 + strspn(authority + 1, "0123456789abcdef:.");
        if (n < 3 || authority[n] != ']')
            return bad("the address in brackets is none", err);
        n++;
    } else {
        while (is_host_character(authority[n]))
            n++;
    }
    if (n == 0 || authority[0] == '.' || authority[0] == '-')
        return bad("there is no host in it", err);
    if (authority[n] == ':') {
        if (box_parse_u64(authority + n + 1, "port", 1, 65535, &port, NULL) < 0)
            return bad("the port is none", err);
    } else if (authority[n]) {
        return bad("the host's name has a character that cannot be in one", err);
    }
    url->port = (unsigned)port;
    url->host = strndup(authority, n);
    return url->host ? 0 : box_fail_nomem(err);
}

/* Printable ASCII without what would end a path or a header. */
static bool is_path(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] < 0x21 || text[i] > 0x7e || strchr("\"<>\\^`{|}", text[i]))
            return false;
    return true;
}

/* Takes what follows the authority up to a fragment. */
static int take_path(const char *text, struct box_url *url, box_error **err)
{
    size_t length = strcspn(text, "#");

    if (!is_path(text, length))
        return bad("the path has a character that cannot be in one", err);
    url->path = box_strf("%s%.*s", *text == '/' ? "" : "/", (int)length, text);
    return url->path ? 0 : box_fail_nomem(err);
}

int box_url_parse(const char *text, struct box_url *url, box_error **err)
{
    *url = (struct box_url){0};
    if (strlen(text) > BOX_URL_MAX)
        return bad("it is too long", err);
    if (strncasecmp(text, "https://", 8) == 0)
        url->tls = true;
    else if (strncasecmp(text, "http://", 7) != 0)
        return bad("it is neither http nor https", err);
    text += url->tls ? 8 : 7;
    size_t length = strcspn(text, "/?#");
    int r = parse_authority(text, length, url, err);
    if (r == 0)
        r = take_path(text + length, url, err);
    if (r < 0)
        box_url_clear(url);
    return r;
}

/* Whether text begins with "scheme:". */
static bool has_scheme(const char *text)
{
    size_t n = strcspn(text, ":/?#");

    return n > 0 && text[n] == ':';
}

static int resolve_relative(const struct box_url *base, const char *reference, struct box_url *url, box_error **err)
{
    size_t keep = 0, path_end = strcspn(base->path, "?");

    if (*reference == '?') {
        keep = path_end;
    } else if (*reference && *reference != '/') {
        for (size_t i = 0; i < path_end; i++)
            if (base->path[i] == '/')
                keep = i + 1;
    } else if (!*reference) {
        keep = strlen(base->path);
    }
    _free_ char *path = box_strf("%.*s%s", (int)keep, base->path, reference);
    url->tls = base->tls;
    url->port = base->port;
    url->host = strdup(base->host);
    if (!path || !url->host)
        return box_fail_nomem(err);
    return take_path(path, url, err);
}

int box_url_resolve(const struct box_url *base, const char *reference, struct box_url *url, box_error **err)
{
    int r;

    *url = (struct box_url){0};
    if (strlen(reference) > BOX_URL_MAX)
        return bad("it is too long", err);
    if (strncmp(reference, "//", 2) == 0) {
        _free_ char *whole = box_strf("%s:%s", base->tls ? "https" : "http", reference);
        return whole ? box_url_parse(whole, url, err) : box_fail_nomem(err);
    }
    if (!has_scheme(reference)) {
        r = resolve_relative(base, reference, url, err);
        if (r < 0)
            box_url_clear(url);
        return r;
    }
    r = box_url_parse(reference, url, err);
    if (r == 0 && base->tls && !url->tls && strcmp(base->host, url->host) == 0 &&
        (url->port == base->port || url->port == 80)) {
        url->tls = true;
        url->port = base->port;
    }
    return r;
}

void box_url_clear(struct box_url *url)
{
    free(url->host);
    free(url->path);
    *url = (struct box_url){0};
}

char *box_url_authority(const struct box_url *url)
{
    if (url->port == (url->tls ? 443u : 80u))
        return strdup(url->host);
    return box_strf("%s:%u", url->host, url->port);
}

char *box_url_format(const struct box_url *url)
{
    _free_ char *authority = box_url_authority(url);

    return authority ? box_strf("%s://%s%s", url->tls ? "https" : "http", authority, url->path) : NULL;
}

bool box_url_same_origin(const struct box_url *a, const struct box_url *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}
