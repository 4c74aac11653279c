/* Strict number parsing and string vectors; the contracts are in strings.h. */
#include "base/strings.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"

static int bad(const char *text, const char *what, const char *wanted, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};

    return box_fail_with(err, &info, "%s: \"%.100s\" is not %s", what, text, wanted);
}

static int too_large(const char *text, const char *what, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};

    return box_fail_with(err, &info, "%s: \"%.100s\" is too large", what, text);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool times(uint64_t *value, uint64_t factor)
{
    return !__builtin_mul_overflow(*value, factor, value);
}

/* Reads digits at *at; false when they do not fit, with *at on the first that did not. None at all is 0. */
static bool read_digits(const char **at, uint64_t *value)
{
    *value = 0;
    for (; is_digit(**at); (*at)++)
        if (!times(value, 10) || __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
            return false;
    return true;
}

int box_parse_u64(const char *text, const char *what, uint64_t min, uint64_t max, uint64_t *out,
                  box_error **err)
{
    const char *at = text;
    uint64_t value;
    bool fits;

    if (!is_digit(*text) || text[strspn(text, "0123456789")])
        return bad(text, what, "a number", err);
    fits = read_digits(&at, &value);
    if (!fits || value < min || value > max) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};
        return box_fail_with(err, &info, "%s: %.100s is not between %" PRIu64 " and %" PRIu64, what, text,
                             min, max);
    }
    *out = value;
    return 0;
}

int box_parse_i64(const char *text, const char *what, int64_t min, int64_t max, int64_t *out, box_error **err)
{
    bool negative = *text == '-';
    const char *digits = text + negative, *at = digits;
    uint64_t magnitude;
    int64_t value = 0;
    bool fits;

    if (!is_digit(*digits) || digits[strspn(digits, "0123456789")])
        return bad(text, what, "a number", err);
    fits = read_digits(&at, &magnitude) && magnitude <= (uint64_t)INT64_MAX + negative;
    if (fits)
        value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    if (!fits || value < min || value > max) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};
        return box_fail_with(err, &info, "%s: %.100s is not between %" PRId64 " and %" PRId64, what, text,
                             min, max);
    }
    *out = value;
    return 0;
}

int box_parse_octal(const char *text, const char *what, unsigned max, unsigned *out, box_error **err)
{
    uint64_t value = 0;

    if (!*text || text[strspn(text, "01234567")])
        return bad(text, what, "an octal number", err);
    for (const char *at = text; *at; at++) {
        value = value * 8 + (uint64_t)(*at - '0');
        if (value > max)
            return too_large(text, what, err);
    }
    *out = (unsigned)value;
    return 0;
}

/* One of the numbers that have a unit behind them: digits, or digits, a point and digits. */
struct decimal {
    uint64_t whole;
    const char *fraction; /* its digits, and how many: trailing zeros are not among them */
    size_t places;
};

static bool read_decimal(const char **at, struct decimal *d, bool *fits)
{
    const char *end;

    if (!is_digit(**at))
        return false;
    *fits = read_digits(at, &d->whole);
    *at += strspn(*at, "0123456789");
    d->places = 0;
    if (**at != '.')
        return true;
    d->fraction = ++*at;
    *at += strspn(*at, "0123456789");
    if (*at == d->fraction)
        return false;
    for (end = *at; end > d->fraction && end[-1] == '0';)
        end--;
    d->places = (size_t)(end - d->fraction);
    return true;
}

__extension__ typedef unsigned __int128 wide;

/* d times unit, what is smaller than one cut off. */
static bool scale(const struct decimal *d, uint64_t unit, uint64_t *out)
{
    uint64_t value = d->whole;
    wide part = 0, divisor = 1;

    if (!times(&value, unit))
        return false;
    for (size_t i = 0; i < d->places && i < 18; i++) {
        part = part * 10 + (unsigned)(d->fraction[i] - '0');
        divisor *= 10;
    }
    return !__builtin_add_overflow(value, (uint64_t)(part * unit / divisor), out);
}

int box_parse_fixed(const char *text, const char *what, unsigned places, uint64_t *out, box_error **err)
{
    const char *at = text;
    struct decimal d = {0};
    uint64_t unit = 1;
    bool fits = true;

    if (!read_decimal(&at, &d, &fits) || *at)
        return bad(text, what, "a number such as 1.5", err);
    if (d.places > places) {
        struct box_fail_info info = {.code = BOX_EPARSE, .subject = what};
        return box_fail_with(err, &info, "%s: %.100s has more than %u decimal places", what, text, places);
    }
    for (unsigned i = 0; i < places; i++)
        unit *= 10;
    if (!fits || !scale(&d, unit, out))
        return too_large(text, what, err);
    return 0;
}

/* What one of the letters k m g t p stands for, in either case; 1 for another. */
static uint64_t size_unit(char letter)
{
    static const char letters[] = "kmgtp";
    const char *found = letter ? strchr(letters, letter | 0x20) : NULL;

    return found ? (uint64_t)1 << (10 * (found - letters + 1)) : 1;
}

int box_parse_size(const char *text, const char *what, uint64_t *out, box_error **err)
{
    const char *at = text;
    struct decimal d = {0};
    bool fits = true;
    uint64_t unit;

    if (!read_decimal(&at, &d, &fits))
        return bad(text, what, "a size such as 512m", err);
    if (at[0] == ' ' && at[1])
        at++;
    unit = size_unit(*at);
    if (unit > 1) {
        at++;
        if (*at == 'i' || *at == 'I')
            at++;
    }
    if (*at == 'b' || *at == 'B')
        at++;
    if (*at)
        return bad(text, what, "a size such as 512m", err);
    if (!fits || !scale(&d, unit, out))
        return too_large(text, what, err);
    return 0;
}

/* The unit of a duration at *at, which moves behind it; 0: none. The two bytes of a micro sign come in two
 * spellings. */
static uint64_t duration_unit(const char **at)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},       {"us", 1000},      {"\xc2\xb5s", 1000},   {"\xce\xbcs", 1000},
        {"ms", 1000000}, {"s", 1000000000}, {"m", 60000000000ull}, {"h", 3600000000000ull},
    };

    for (size_t i = 0; i < BOX_ARRAY(units); i++) {
        const char *after = box_after_prefix(*at, units[i].name);
        if (after) {
            *at = after;
            return units[i].ns;
        }
    }
    return 0;
}

int box_parse_duration(const char *text, const char *what, int64_t *out, box_error **err)
{
    const char *at = text;
    uint64_t total = 0;

    if (strcmp(text, "0") == 0) {
        *out = 0;
        return 0;
    }
    do {
        struct decimal d = {0};
        bool fits = true;
        uint64_t unit, ns;
        if (!read_decimal(&at, &d, &fits) || !(unit = duration_unit(&at)))
            return bad(text, what, "a duration such as 1m30s", err);
        if (!fits || !scale(&d, unit, &ns) || __builtin_add_overflow(total, ns, &total) || total > INT64_MAX)
            return too_large(text, what, err);
    } while (*at);
    *out = (int64_t)total;
    return 0;
}

char *box_strf(const char *fmt, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);
    return n < 0 ? NULL : text;
}

const char *box_after_prefix(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

bool box_ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && strcmp(text + n - m, suffix) == 0;
}

size_t box_strv_length(char *const *vector)
{
    size_t n = 0;

    while (vector && vector[n])
        n++;
    return n;
}

void box_strv_free(char **vector)
{
    if (!vector)
        return;
    for (size_t i = 0; vector[i]; i++)
        free(vector[i]);
    free(vector);
}

char **box_strv_dup(char *const *vector)
{
    size_t n = box_strv_length(vector);
    _strv_ char **copy = calloc(n + 1, sizeof(*copy));

    for (size_t i = 0; copy && i < n; i++) {
        copy[i] = strdup(vector[i]);
        if (!copy[i])
            return NULL;
    }
    return box_take(copy);
}

int box_strv_append_take(char ***vector, char *text)
{
    size_t n = box_strv_length(*vector);
    char **grown = NULL;

    if (text)
        grown = realloc(*vector, (n + 2) * sizeof(*grown));
    if (!grown) {
        free(text);
        return BOX_ENOMEM;
    }
    grown[n] = text;
    grown[n + 1] = NULL;
    *vector = grown;
    return 0;
}

int box_strv_append(char ***vector, const char *text)
{
    return box_strv_append_take(vector, strdup(text));
}

bool box_strv_contains(char *const *vector, const char *text)
{
    for (size_t i = 0; vector && vector[i]; i++)
        if (strcmp(vector[i], text) == 0)
            return true;
    return false;
}

char **box_strv_split(const char *text, char separator)
{
    _strv_ char **pieces = NULL;

    for (;;) {
        const char *end = strchrnul(text, separator);
        if (box_strv_append_take(&pieces, strndup(text, (size_t)(end - text))) < 0)
            return NULL;
        if (!*end)
            return box_take(pieces);
        text = end + 1;
    }
}

char *box_strv_join(char *const *vector, const char *separator)
{
    _buffer_ struct box_buffer b = {0};

    for (size_t i = 0; vector && vector[i]; i++) {
        if (i > 0)
            box_buffer_puts(&b, separator);
        box_buffer_puts(&b, vector[i]);
    }
    return box_buffer_take(&b);
}

/* Whether entry is NAME=..., with the name of n bytes. */
static bool is_named(const char *entry, const char *name, size_t n)
{
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

const char *box_env_get(char *const *env, const char *name)
{
    size_t n = strlen(name);
    const char *value = NULL;

    for (size_t i = 0; env && env[i]; i++)
        if (is_named(env[i], name, n))
            value = env[i] + n + 1;
    return value;
}

int box_env_set(char ***env, const char *assignment)
{
    size_t n = strcspn(assignment, "="), kept = 0;
    char *copy = strdup(assignment);
    bool placed = false;

    if (!copy)
        return BOX_ENOMEM;
    for (size_t i = 0; *env && (*env)[i]; i++) {
        char *entry = (*env)[i];
        if (!is_named(entry, copy, n)) {
            (*env)[kept++] = entry;
            continue;
        }
        free(entry);
        if (!placed)
            (*env)[kept++] = copy;
        placed = true;
    }
    if (*env)
        (*env)[kept] = NULL;
    return placed ? 0 : box_strv_append_take(env, copy);
}
