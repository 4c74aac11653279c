/* Names of images. The text is cut from the right (digest, tag), then from the left (domain), and each piece
 * is held against its rule; a small table of characters does what others do with regular expressions. */
#include "image/reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/strings.h"

#define DEFAULT_DOMAIN "docker.io"
#define LEGACY_DOMAIN  "index.docker.io"
#define LIBRARY        "library/"
#define PATH_MAX_BYTES 255
#define TAG_MAX_BYTES  128
#define TEXT_MAX_BYTES 4096

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

static bool only(const char *text, size_t n, const char *allowed)
{
    for (size_t i = 0; i < n; i++)
        if (!text[i] || !strchr(allowed, text[i]))
            return false;
    return n > 0;
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Letters and digits with ".", "_", "__" or dashes between them. */
static bool component_ok(const char *text, size_t n)
{
    size_t i = 0;

    if (n == 0)
        return false;
    for (;;) {
        size_t start = i;
        while (i < n && is_one_of(text[i], LOWER DIGIT))
            i++;
        if (i == start)
            return false;
        if (i == n)
            return true;
        if (text[i] == '-') {
            while (i < n && text[i] == '-')
                i++;
        } else if (text[i] == '.') {
            i++;
        } else if (text[i] == '_') {
            i += i + 1 < n && text[i + 1] == '_' ? 2 : 1;
        } else {
            return false;
        }
    }
}

static bool path_ok(const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "/");
        if (!component_ok(path, n))
            return false;
        if (!path[n])
            return true;
        path += n + 1;
    }
}

/* A label of a host name: letters, digits, and dashes inside. */
static bool label_ok(const char *text, size_t n)
{
    return only(text, n, LOWER UPPER DIGIT "-") && text[0] != '-' && text[n - 1] != '-';
}

static bool domain_ok(const char *domain)
{
    const char *port;

    if (domain[0] == '[') {
        const char *close = strchr(domain, ']');
        if (!close || !only(domain + 1, (size_t)(close - domain - 1), DIGIT "abcdefABCDEF:"))
            return false;
        port = close + 1;
    } else {
        const char *at = domain;
        for (;;) {
            size_t n = strcspn(at, ".:");
            if (!label_ok(at, n))
                return false;
            at += n;
            if (*at != '.')
                break;
            at++;
        }
        port = at;
    }
    return !*port || (*port == ':' && strlen(port) <= 6 && only(port + 1, strlen(port + 1), DIGIT));
}

static bool tag_ok(const char *tag)
{
    size_t n = strlen(tag);

    return n <= TAG_MAX_BYTES && only(tag, n, LOWER UPPER DIGIT "_.-") && tag[0] != '.' && tag[0] != '-';
}

static int fail(const char *text, const char *why, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = text};

    return box_fail_with(err, &info, "\"%s\" is no name of an image: %s", text, why);
}

/* Whether what stands before the first slash is a host. */
static bool is_domain(const char *text, size_t n)
{
    bool upper = false;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '.' || text[i] == ':')
            return true;
        upper = upper || is_one_of(text[i], UPPER);
    }
    return upper || (n == strlen("localhost") && memcmp(text, "localhost", n) == 0);
}

static int set_name(const char *name, struct box_reference *reference)
{
    const char *slash = strchr(name, '/');

    if (slash && is_domain(name, (size_t)(slash - name))) {
        reference->domain = strndup(name, (size_t)(slash - name));
        name = slash + 1;
    } else {
        reference->domain = strdup(DEFAULT_DOMAIN);
    }
    if (box_streq(reference->domain, LEGACY_DOMAIN)) {
        free(reference->domain);
        reference->domain = strdup(DEFAULT_DOMAIN);
    }
    bool library = box_streq(reference->domain, DEFAULT_DOMAIN) && !strchr(name, '/');
    reference->path = box_strf("%s%s", library ? LIBRARY : "", name);
    return reference->domain && reference->path ? 0 : BOX_ENOMEM;
}

static int check(const char *text, const struct box_reference *reference, box_error **err)
{
    struct box_digest digest;

    if (!domain_ok(reference->domain))
        return fail(text, "what stands before the first slash is no host", err);
    if (strlen(reference->path) > PATH_MAX_BYTES)
        return fail(text, "it is longer than 255 characters", err);
    if (!path_ok(reference->path))
        return strpbrk(reference->path, UPPER)
                   ? fail(text, "capitals are not allowed in it", err)
                   : fail(text, "its parts are lower-case letters and digits, with single . _ or - between",
                          err);
    if (reference->tag && !tag_ok(reference->tag))
        return fail(text, "the tag is letters, digits, _ . and -, 128 at most", err);
    if (reference->digest && box_digest_parse(reference->digest, &digest, NULL) < 0)
        return fail(text, "the digest is \"sha256:\" and 64 hexadecimal digits", err);
    return 0;
}

static int parse(const char *text, struct box_reference *reference, box_error **err)
{
    if (strnlen(text, TEXT_MAX_BYTES + 1) > TEXT_MAX_BYTES)
        return box_fail(err, BOX_EPARSE, "what is longer than %d bytes is no name of an image", TEXT_MAX_BYTES);
    _free_ char *name = strdup(text);
    if (!name)
        return box_fail_nomem(err);
    if (!*name)
        return fail(text, "it is empty", err);
    if (strlen(name) == 64 && only(name, 64, DIGIT "abcdef"))
        return fail(text, "64 hexadecimal digits are an id", err);
    char *at = strchr(name, '@');
    if (at) {
        *at = '\0';
        reference->digest = strdup(at + 1);
        if (!reference->digest)
            return box_fail_nomem(err);
    }
    /* A colon after the last slash starts a tag; before it, a port. */
    char *slash = strrchr(name, '/');
    char *colon = strrchr(name, ':');
    if (colon && (!slash || colon > slash)) {
        *colon = '\0';
        reference->tag_given = true;
        reference->tag = strdup(colon + 1);
    } else if (!reference->digest) {
        reference->tag = strdup("latest");
    }
    if ((!reference->digest && !reference->tag) || set_name(name, reference) < 0)
        return box_fail_nomem(err);
    return check(text, reference, err);
}

int box_reference_read(const char *text, struct box_reference *reference, box_error **err)
{
    *reference = (struct box_reference){0};
    int r = parse(text, reference, err);
    if (r < 0)
        box_reference_clear(reference);
    return r;
}

void box_reference_clear(struct box_reference *reference)
{
    free(reference->domain);
    free(reference->path);
    free(reference->tag);
    free(reference->digest);
    *reference = (struct box_reference){0};
}

static char *with_tag(const struct box_reference *r, const char *name)
{
    return box_strf("%s%s%s%s%s", name, r->tag ? ":" : "", r->tag ? r->tag : "", r->digest ? "@" : "",
                    r->digest ? r->digest : "");
}

char *box_reference_repository(const struct box_reference *reference)
{
    return box_strf("%s/%s", reference->domain, reference->path);
}

char *box_reference_full(const struct box_reference *reference)
{
    _free_ char *name = box_reference_repository(reference);

    return name ? with_tag(reference, name) : NULL;
}

/* Whether a path without a domain in front would be taken for one that begins with a domain. */
static bool looks_like_domain(const char *path)
{
    size_t n = strcspn(path, "/");

    return path[n] && (memchr(path, '.', n) || memchr(path, ':', n) || (n == 9 && strncmp(path, "localhost", n) == 0));
}

char *box_reference_familiar(const struct box_reference *reference)
{
    if (!box_streq(reference->domain, DEFAULT_DOMAIN) || looks_like_domain(reference->path))
        return box_reference_full(reference);
    /* docker.io/library/debian is debian; but docker.io/library/a/b has no shorter form than library/a/b. */
    const char *short_name = box_after_prefix(reference->path, LIBRARY);
    return with_tag(reference, short_name && !strchr(short_name, '/') ? short_name : reference->path);
}

/* ---- The public face ---- */

int box_reference_parse(const char *text, box_reference **reference, box_error **err)
{
    if (!text || !reference)
        return box_fail(err, BOX_EINVAL, "box_reference_parse: text and reference must not be NULL");
    struct box_reference *made = calloc(1, sizeof(*made));
    if (!made)
        return box_fail_nomem(err);
    int r = box_reference_read(text, made, err);
    if (r < 0) {
        free(made);
        return r;
    }
    *reference = made;
    return 0;
}

void box_reference_free(box_reference *reference)
{
    if (reference)
        box_reference_clear(reference);
    free(reference);
}

const char *box_reference_domain(const box_reference *reference)
{
    return reference->domain;
}

const char *box_reference_path(const box_reference *reference)
{
    return reference->path;
}

const char *box_reference_tag(const box_reference *reference)
{
    return reference->tag;
}

const char *box_reference_digest(const box_reference *reference)
{
    return reference->digest;
}

bool box_reference_has_tag(const box_reference *reference)
{
    return reference->tag_given;
}

int box_reference_format(const box_reference *reference, enum box_reference_form form, char **text, box_error **err)
{
    static char *(*const forms[])(const struct box_reference *) = {box_reference_full, box_reference_familiar,
                                                                   box_reference_repository};

    if (!reference || !text || (unsigned)form >= BOX_ARRAY(forms))
        return box_fail(err, BOX_EINVAL, "box_reference_format: reference and text must not be NULL, and the form known");
    *text = forms[form](reference);
    return *text ? 0 : box_fail_nomem(err);
}
