/* Properties of a unit: a list of typed values, and the GVariant text that annotations give them in.
 *
 * The text is read by hand since it is small: what a property of a unit can be is a basic value, an array of these, or an
 * array of pairs. Its length and the number of its elements are bounded; a number that does not fit its type is an error
 * and never another number. */
#include "kernel/systemd.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"

#define NAME_MOST  64
#define VALUE_MOST 16384
#define ITEMS_MOST 1024

/* ---- the list ------------------------------------------------------------------------------------------------------- */

static void clear_property(struct systemd_property *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->items[i].text);
    free(p->items);
    free(p->name);
    *p = (struct systemd_property){NULL};
}

void systemd_properties_clear(struct systemd_properties *p)
{
    for (size_t i = 0; i < p->n; i++)
        clear_property(&p->list[i]);
    free(p->list);
    *p = (struct systemd_properties){NULL};
}

const struct systemd_property *systemd_find(const struct systemd_properties *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->list[i].name, name) == 0)
            return &p->list[i];
    return NULL;
}

/* A new one that is empty, in the place of an older one of the name. */
static struct systemd_property *put(struct systemd_properties *p, const char *name, const char *fields, bool array,
                                    box_error **err)
{
    struct systemd_property *old = (struct systemd_property *)systemd_find(p, name);
    char *copy = strdup(name);
    struct systemd_property *put = !copy ? NULL : old ? old : box_array_add(&p->list, &p->n, &p->capacity);

    if (!put) {
        free(copy);
        box_fail_nomem(err);
        return NULL;
    }
    clear_property(put);
    put->name = copy;
    put->array = array;
    box_text_copy(put->fields, sizeof(put->fields), fields);
    return put;
}

int systemd_add_text(struct systemd_property *p, const char *text, box_error **err)
{
    struct systemd_item *item = box_array_add(&p->items, &p->n, &p->capacity);

    if (!item || !(item->text = strdup(text)))
        return box_fail_nomem(err);
    return 0;
}

int systemd_add_number(struct systemd_property *p, uint64_t number, box_error **err)
{
    struct systemd_item *item = box_array_add(&p->items, &p->n, &p->capacity);

    if (!item)
        return box_fail_nomem(err);
    item->number = number;
    return 0;
}

struct systemd_property *systemd_put_array(struct systemd_properties *p, const char *name, const char *fields, box_error **err)
{
    return put(p, name, fields, true, err);
}

int systemd_put_bool(struct systemd_properties *p, const char *name, bool value, box_error **err)
{
    struct systemd_property *at = put(p, name, "b", false, err);

    return at ? systemd_add_number(at, value, err) : BOX_ENOMEM;
}

int systemd_put_u64(struct systemd_properties *p, const char *name, uint64_t value, box_error **err)
{
    struct systemd_property *at = put(p, name, "t", false, err);

    return at ? systemd_add_number(at, value, err) : BOX_ENOMEM;
}

int systemd_put_text(struct systemd_properties *p, const char *name, const char *value, box_error **err)
{
    struct systemd_property *at = put(p, name, "s", false, err);

    return at ? systemd_add_text(at, value, err) : BOX_ENOMEM;
}

int systemd_put_all(struct systemd_properties *p, const struct systemd_properties *from, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < from->n; i++) {
        const struct systemd_property *one = &from->list[i];
        struct systemd_property *at = put(p, one->name, one->fields, one->array, err);
        if (!at)
            return BOX_ENOMEM;
        for (size_t k = 0; r >= 0 && k < one->n; k++)
            r = one->items[k].text ? systemd_add_text(at, one->items[k].text, err)
                                   : systemd_add_number(at, one->items[k].number, err);
    }
    return r;
}

void systemd_type_of(const struct systemd_property *p, char type[8])
{
    bool pair = p->fields[1] != '\0';

    snprintf(type, 8, "%s%s%s%s", p->array ? "a" : "", pair ? "(" : "", p->fields, pair ? ")" : "");
}

/* ---- GVariant text -------------------------------------------------------------------------------------------------- */

static const struct basic {
    char letter;
    const char *keyword;
    bool is_signed;
    int bits; /* 0: no number */
} basics[] = {
    {'b', "boolean", false, 0}, {'y', "byte", false, 8},    {'n', "int16", true, 16},  {'q', "uint16", false, 16},
    {'i', "int32", true, 32},   {'u', "uint32", false, 32}, {'x', "int64", true, 64},  {'t', "uint64", false, 64},
    {'s', "string", false, 0},  {'o', "objectpath", false, 0},
};

struct text {
    const char *at;
    const char *name; /* the property's, for errors */
    box_error **err;
};

static int malformed(const struct text *t, const char *why)
{
    return box_fail_with(t->err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = t->name}, "the value of a unit's property is %s",
                         why);
}

static void skip_space(struct text *t)
{
    t->at += strspn(t->at, " \t\n");
}

static bool take(struct text *t, char c)
{
    skip_space(t);
    if (*t->at != c)
        return false;
    t->at++;
    return true;
}

static const struct basic *basic_of(char letter)
{
    for (size_t i = 0; i < BOX_ARRAY(basics); i++)
        if (basics[i].letter == letter)
            return &basics[i];
    return NULL;
}

/* A type's name before a value; NULL when there is none. */
static const struct basic *take_keyword(struct text *t)
{
    size_t n;

    skip_space(t);
    for (n = 0; isalnum((unsigned char)t->at[n]);)
        n++;
    for (size_t i = 0; i < BOX_ARRAY(basics); i++)
        if (strlen(basics[i].keyword) == n && strncmp(basics[i].keyword, t->at, n) == 0) {
            t->at += n;
            return &basics[i];
        }
    return NULL;
}

static int read_text(struct text *t, struct systemd_property *p)
{
    char quote = *t->at++, *out = strdup(t->at);
    size_t n = 0;

    if (!out)
        return box_fail_nomem(t->err);
    for (; *t->at && *t->at != quote; t->at++) {
        if (*t->at == '\\' && t->at[1]) {
            t->at++;
            out[n++] = *t->at == 'n' ? '\n' : *t->at == 't' ? '\t' : *t->at;
        } else {
            out[n++] = *t->at;
        }
    }
    out[n] = '\0';
    int r = *t->at++ ? systemd_add_text(p, out, t->err) : malformed(t, "a text without its end");
    if (r < 0)
        t->at--;
    free(out);
    return r;
}

static int read_number(struct text *t, struct systemd_property *p, const struct basic *type)
{
    bool negative = *t->at == '-';
    const char *digits = t->at + (negative || *t->at == '+');
    uint64_t most = type->is_signed ? (UINT64_C(1) << (type->bits - 1)) - !negative : type->bits == 64 ? UINT64_MAX : (UINT64_C(1) << type->bits) - 1;
    char *end;

    if (!isdigit((unsigned char)*digits))
        return malformed(t, "neither a number, a text, true, false nor a list of these");
    errno = 0;
    uint64_t value = strtoull(digits, &end, 0);
    if (isalnum((unsigned char)*end) || *end == '.')
        return malformed(t, "a number with something behind it, or a fraction");
    if (errno || value > most || (negative && !type->is_signed && value))
        return malformed(t, "a number that its type has not");
    t->at = end;
    return systemd_add_number(p, negative ? -value : value, t->err);
}

static int read_word(struct text *t, struct systemd_property *p)
{
    size_t n = 0;

    while (isalnum((unsigned char)t->at[n]))
        n++;
    bool yes = n == 4 && strncmp(t->at, "true", n) == 0;
    if (!yes && !(n == 5 && strncmp(t->at, "false", n) == 0))
        return malformed(t, "a word that is neither true nor false");
    t->at += n;
    return systemd_add_number(p, yes, t->err);
}

/* One basic value of the type in *letter; 0 there: whatever it looks like, which is stored. */
static int read_basic(struct text *t, struct systemd_property *p, char *letter)
{
    const struct basic *said = take_keyword(t);

    skip_space(t);
    char seen = *t->at == '\'' || *t->at == '"' ? 's' : isalpha((unsigned char)*t->at) ? 'b' : 'i';
    if (said && *letter && said->letter != *letter)
        return malformed(t, "of several types");
    if (said)
        *letter = said->letter;
    if (!*letter)
        *letter = seen;
    const struct basic *type = basic_of(*letter);
    bool text = type->letter == 's' || type->letter == 'o';
    if (text != (seen == 's') || (type->letter == 'b') != (seen == 'b'))
        return malformed(t, "not of the type that it is said to have");
    if (p->n >= ITEMS_MOST)
        return box_fail_with(t->err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = t->name}, "a property of more than %d values",
                             ITEMS_MOST);
    return text ? read_text(t, p) : type->bits ? read_number(t, p, type) : read_word(t, p);
}

static int read_element(struct text *t, struct systemd_property *p)
{
    bool tuple = take(t, '(');

    /* The types are known from the first element on, or from @TYPE. */
    if (p->fields[0] && tuple != (p->fields[1] != '\0'))
        return malformed(t, "of several types");
    int r = read_basic(t, p, &p->fields[0]);
    if (r < 0 || !tuple)
        return r;
    if (!take(t, ','))
        return malformed(t, "a tuple that is not of two");
    r = read_basic(t, p, &p->fields[1]);
    if (r >= 0 && !take(t, ')'))
        return malformed(t, "a tuple that is not of two");
    return r;
}

/* "@as" and the like. 1: there was one. */
static int read_type(struct text *t, struct systemd_property *p)
{
    if (!take(t, '@'))
        return 0;
    p->array = take(t, 'a');
    bool tuple = p->array && take(t, '(');
    for (int i = 0; i < (tuple ? 2 : 1); i++) {
        if (!basic_of(*t->at))
            return malformed(t, "of a type that is not supported");
        p->fields[i] = *t->at++;
    }
    if (tuple && !take(t, ')'))
        return malformed(t, "of a type that is not supported");
    return 1;
}

static int read_value(struct text *t, struct systemd_property *p)
{
    int r = 0, typed = read_type(t, p);

    if (typed < 0)
        return typed;
    bool array = take(t, '[');
    if (typed && array != p->array)
        return malformed(t, "not of the type that it is said to have");
    p->array = array;
    if (!array)
        r = read_basic(t, p, &p->fields[0]);
    else if (!take(t, ']')) {
        do
            r = read_element(t, p);
        while (r >= 0 && take(t, ','));
        if (r >= 0 && !take(t, ']'))
            r = malformed(t, "a list without its end");
    } else if (!typed)
        r = malformed(t, "an empty list of which the type is not known");
    skip_space(t);
    return r < 0 ? r : *t->at ? malformed(t, "followed by something else") : 0;
}

/* "TimeoutStopSec", whose unit is seconds where D-Bus has "TimeoutStopUSec". */
static bool is_seconds(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, "Sec") == 0 && islower((unsigned char)name[n - 4]);
}

static int put_seconds(struct systemd_properties *p, const char *name, const char *value, box_error **err)
{
    struct text t = {value, name, err};
    char longer[NAME_MOST + 2];
    uint64_t usec = 0;

    take_keyword(&t);
    if (strncmp(t.at, "double", 6) == 0)
        t.at += 6;
    skip_space(&t);
    if (box_parse_fixed(t.at, name, 6, &usec, NULL) < 0)
        return malformed(&t, "not a number of seconds");
    snprintf(longer, sizeof(longer), "%.*sUSec", (int)strlen(name) - 3, name);
    return systemd_put_u64(p, longer, usec, err);
}

int systemd_parse_property(struct systemd_properties *p, const char *name, const char *value, box_error **err)
{
    struct text t = {value, name, err};
    size_t length = strlen(name);

    if (!length || length > NAME_MOST || !isalpha((unsigned char)name[0]))
        return malformed(&t, "given to a name that no property has");
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]))
            return malformed(&t, "given to a name that no property has");
    if (strcmp(name, "PIDs") == 0 || strcmp(name, "PIDFDs") == 0 || strcmp(name, "Slice") == 0)
        return malformed(&t, "libbox's own to set");
    if (strlen(value) > VALUE_MOST)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = name}, "a property of more than %d bytes",
                             VALUE_MOST);
    if (is_seconds(name))
        return put_seconds(p, name, value, err);

    /* Apart from the list until it is whole: one that is malformed replaces none. */
    _systemd_properties_ struct systemd_properties apart = {NULL};
    struct systemd_property *at = put(&apart, name, "", false, err);
    int r = at ? read_value(&t, at) : BOX_ENOMEM;
    return r < 0 ? r : systemd_put_all(p, &apart, err);
}
