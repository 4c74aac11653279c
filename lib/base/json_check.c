/* A strict check of JSON text (RFC 8259), before json-c builds the tree.
 *
 * json-c, also in its strict mode, takes NaN, 'single quotes' around keys, control characters in strings,
 * overlong and surrogate UTF-8, and makes the nearest 64-bit number of one that does not fit: a limit or a
 * user id would become another without a word. And a key with \u0000 in it ends there for C, so it would pass
 * for a shorter key. All of that is refused here, with the place of the fault. The check reads each byte
 * once, recurses no deeper than it is allowed to, and allocates nothing. */
#include "base/json_check.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct scan {
    const unsigned char *at, *end;
    int depth;
    const char *why;
    bool too_deep;
};

static bool scan_value(struct scan *s);

static bool wrong(struct scan *s, const char *why)
{
    s->why = why;
    return false;
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool next_is(const struct scan *s, char c)
{
    return s->at < s->end && *s->at == (unsigned char)c;
}

static bool take(struct scan *s, char c)
{
    if (!next_is(s, c))
        return false;
    s->at++;
    return true;
}

static bool scan_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return wrong(s, "expected a value");
    s->at += n;
    return true;
}

static bool digit_here(const struct scan *s)
{
    return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool scan_digits(struct scan *s)
{
    if (!digit_here(s))
        return wrong(s, "expected a digit");
    while (digit_here(s))
        s->at++;
    return true;
}

/* The digits from first to where the scan is, which must fit in 64 bits, as an int64_t when negative. */
static bool check_integer(struct scan *s, const unsigned char *first, bool negative)
{
    const unsigned char *end = s->at;
    uint64_t limit = negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX, value = 0;

    for (const unsigned char *p = first; p < end; p++) {
        unsigned digit = *p - (unsigned)'0';
        if (value > (limit - digit) / 10) {
            s->at = first;
            return wrong(s, "the number does not fit in 64 bits");
        }
        value = value * 10 + digit;
    }
    return true;
}

static bool scan_number(struct scan *s)
{
    bool negative = take(s, '-'), whole = true;
    const unsigned char *first = s->at;

    if (take(s, '0')) {
        if (digit_here(s))
            return wrong(s, "a number does not start with 0");
    } else if (!scan_digits(s)) {
        return false;
    }
    const unsigned char *after = s->at;
    if (take(s, '.')) {
        whole = false;
        if (!scan_digits(s))
            return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        whole = false;
        if (!take(s, '+'))
            take(s, '-');
        if (!scan_digits(s))
            return false;
    }
    return !whole || s->at != after || check_integer(s, first, negative);
}

/* Four hexadecimal digits. */
static bool scan_hex(struct scan *s, unsigned *value)
{
    *value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned c = s->at < s->end ? *s->at : 0;
        if (c >= '0' && c <= '9')
            *value = *value * 16 + (c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            *value = *value * 16 + ((c | 0x20) - 'a' + 10);
        else
            return wrong(s, "expected four hexadecimal digits");
        s->at++;
    }
    return true;
}

/* What follows "\u". */
static bool scan_unicode_escape(struct scan *s)
{
    unsigned unit, low;

    if (!scan_hex(s, &unit))
        return false;
    if (unit == 0)
        return wrong(s, "a string holds no NUL");
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return wrong(s, "a low surrogate without a high one");
    if (unit < 0xd800 || unit > 0xdbff)
        return true;
    if (!take(s, '\\') || !take(s, 'u') || !scan_hex(s, &low) || low < 0xdc00 || low > 0xdfff)
        return wrong(s, "a high surrogate without a low one");
    return true;
}

static bool scan_escape(struct scan *s)
{
    if (s->at < s->end && *s->at == 'u') {
        s->at++;
        return scan_unicode_escape(s);
    }
    if (s->at == s->end || !*s->at || !strchr("\"\\/bfnrt", *s->at))
        return wrong(s, "no such escape");
    s->at++;
    return true;
}

/* One character of more than one byte. The bounds of the second byte exclude overlong forms, surrogates and
 * what lies beyond U+10FFFF (Unicode, table 3-7). */
static bool scan_utf8(struct scan *s)
{
    unsigned lead = *s->at, low = 0x80, high = 0xbf;
    int more;

    if (lead >= 0xc2 && lead <= 0xdf)
        more = 1;
    else if (lead >= 0xe0 && lead <= 0xef)
        more = 2;
    else if (lead >= 0xf0 && lead <= 0xf4)
        more = 3;
    else
        return wrong(s, "not UTF-8");
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    s->at++;
    for (; more > 0; more--, low = 0x80, high = 0xbf) {
        if (s->at == s->end || *s->at < low || *s->at > high)
            return wrong(s, "not UTF-8");
        s->at++;
    }
    return true;
}

static bool scan_string(struct scan *s)
{
    s->at++; /* the quote */
    for (;;) {
        if (s->at == s->end)
            return wrong(s, "the string does not end");
        if (take(s, '"'))
            return true;
        if (*s->at < 0x20)
            return wrong(s, "a control character in a string");
        if (take(s, '\\')) {
            if (!scan_escape(s))
                return false;
        } else if (*s->at < 0x80) {
            s->at++;
        } else if (!scan_utf8(s)) {
            return false;
        }
    }
}

static bool scan_member(struct scan *s)
{
    skip_space(s);
    if (!next_is(s, '"'))
        return wrong(s, "expected a key in double quotes");
    if (!scan_string(s))
        return false;
    skip_space(s);
    if (!take(s, ':'))
        return wrong(s, "expected ':'");
    return scan_value(s);
}

/* An object or an array, from behind its opening bracket. */
static bool scan_items(struct scan *s, char close, bool (*item)(struct scan *), const char *expected)
{
    if (s->depth-- == 0) {
        s->at--;
        s->too_deep = true;
        return wrong(s, "nested too deeply");
    }
    skip_space(s);
    if (!take(s, close))
        for (;;) {
            if (!item(s))
                return false;
            skip_space(s);
            if (take(s, close))
                break;
            if (!take(s, ','))
                return wrong(s, expected);
        }
    s->depth++;
    return true;
}

static bool scan_value(struct scan *s)
{
    skip_space(s);
    if (s->at == s->end)
        return wrong(s, "the document ends too soon");
    switch (*s->at) {
    case '{':
        s->at++;
        return scan_items(s, '}', scan_member, "expected ',' or '}'");
    case '[':
        s->at++;
        return scan_items(s, ']', scan_value, "expected ',' or ']'");
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        if (!digit_here(s) && !next_is(s, '-'))
            return wrong(s, "expected a value");
        return scan_number(s);
    }
}

int box_json_check(const char *text, size_t length, int depth, struct box_json_fault *fault)
{
    const unsigned char *start = (const unsigned char *)text;
    struct scan s = {.at = start, .end = start + length, .depth = depth};
    bool good = scan_value(&s);

    if (good) {
        skip_space(&s);
        good = s.at == s.end || wrong(&s, "something follows the document");
    }
    if (good)
        return 0;
    *fault = (struct box_json_fault){.at = (size_t)(s.at - start), .why = s.why, .too_deep = s.too_deep};
    return -1;
}
