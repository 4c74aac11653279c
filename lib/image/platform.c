/* Platforms, their spellings, and which of them runs on which. */
#include "image/platform.h"

#include <stdio.h>
#include <string.h>

#include "base/strings.h"
#include "base/cpu.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_.-"

const char *box_platform_host(void)
{
#if defined(__x86_64__)
    return "linux/amd64";
#elif defined(__aarch64__)
    return "linux/arm64";
#else
#error "libbox needs the OCI name of this architecture: add it to lib/image/platform.c"
#endif
}

/* ---- Spellings ---- */

/* Lower case, and only what such a name is made of. */
static bool copy_part(char out[BOX_PLATFORM_PART], const char *text)
{
    size_t n = strlen(text);

    if (n >= BOX_PLATFORM_PART)
        return false;
    for (size_t i = 0; i < n; i++) {
        out[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
        if (!strchr(LETTERS, out[i]))
            return false;
    }
    out[n] = '\0';
    return true;
}

/* "8" is "v8". */
static void spell_variant(char variant[BOX_PLATFORM_PART])
{
    size_t n = strlen(variant);

    if (n > 0 && n + 1 < BOX_PLATFORM_PART && variant[0] >= '0' && variant[0] <= '9') {
        memmove(variant + 1, variant, n + 1);
        variant[0] = 'v';
    }
}

static void spell(struct box_platform *p)
{
    static const struct {
        const char *other, *usual, *variant;
    } names[] = {
        {"x86_64", "amd64", NULL}, {"x86-64", "amd64", NULL}, {"i386", "386", NULL},    {"i686", "386", NULL},
        {"aarch64", "arm64", NULL}, {"armhf", "arm", "v7"},    {"armel", "arm", "v6"},
    };
    static const struct {
        const char *architecture, *variant;
    } said_by_nothing[] = {{"amd64", "v1"}, {"arm64", "v8"}, {"386", "sse2"}};

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        if (strcmp(p->architecture, names[i].other) != 0)
            continue;
        box_text_copy(p->architecture, sizeof(p->architecture), names[i].usual);
        if (names[i].variant && !p->variant[0])
            box_text_copy(p->variant, sizeof(p->variant), names[i].variant);
        break;
    }
    spell_variant(p->variant);
    if (strcmp(p->architecture, "arm") == 0 && !p->variant[0])
        box_text_copy(p->variant, sizeof(p->variant), "v7");
    for (size_t i = 0; i < BOX_ARRAY(said_by_nothing); i++)
        if (strcmp(p->architecture, said_by_nothing[i].architecture) == 0 &&
            strcmp(p->variant, said_by_nothing[i].variant) == 0)
            p->variant[0] = '\0';
}

bool box_platform_set(struct box_platform *p, const char *os, const char *architecture, const char *variant)
{
    *p = (struct box_platform){0};
    if (!copy_part(p->os, os ? os : "") || !copy_part(p->architecture, architecture ? architecture : "") ||
        !copy_part(p->variant, variant ? variant : ""))
        return false;
    spell(p);
    return true;
}

static bool is_os(const char *text)
{
    static const char *const names[] = {"linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "wasip1", "js"};

    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

int box_platform_parse(const char *text, struct box_platform *p, box_error **err)
{
    _strv_ char **parts = text ? box_strv_split(text, '/') : NULL;
    size_t n = parts ? box_strv_length(parts) : 0;
    const char *host = strchr(box_platform_host(), '/') + 1;
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = text};
    bool good = n >= 1 && n <= 3;

    if (text && !parts)
        return box_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        good = good && *parts[i];
    if (good && n == 1)
        good = is_os(parts[0]) ? box_platform_set(p, parts[0], host, NULL) : box_platform_set(p, "linux", parts[0], NULL);
    else if (good)
        good = box_platform_set(p, parts[0], parts[1], n > 2 ? parts[2] : NULL);
    return good ? 0
                : box_fail_with(err, &info, "\"%s\" is no platform: os/architecture[/variant]", text ? text : "");
}

char *box_platform_format(const struct box_platform *p, char out[BOX_PLATFORM_TEXT])
{
    snprintf(out, BOX_PLATFORM_TEXT, "%s/%s%s%s", p->os, p->architecture, p->variant[0] ? "/" : "", p->variant);
    return out;
}

bool box_platform_equal(const struct box_platform *a, const struct box_platform *b)
{
    return strcmp(a->os, b->os) == 0 && strcmp(a->architecture, b->architecture) == 0 &&
           strcmp(a->variant, b->variant) == 0;
}

/* ---- What runs where ---- */

/* The number of a variant, "v7"; what is left out is `usual`. 0: it is none of this form. */
static unsigned level(const char *variant, unsigned usual)
{
    if (!variant[0])
        return usual;
    return variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && !variant[2] ? (unsigned)(variant[1] - '0') : 0;
}

static unsigned fit_level(const char *has, const char *wanted, unsigned usual, unsigned base)
{
    unsigned h = level(has, usual), w = level(wanted, usual);

    if (strcmp(has, wanted) == 0)
        return base + 10;
    return h && w && h <= w ? base + h : 0;
}

unsigned box_platform_fit(const struct box_platform *has, const struct box_platform *wanted)
{
    const char *h = has->architecture, *w = wanted->architecture;

    if (strcmp(has->os, wanted->os) != 0)
        return 0;
    if (strcmp(h, w) == 0 && strcmp(h, "amd64") == 0)
        return fit_level(has->variant, wanted->variant, 1, 100);
    if (strcmp(h, w) == 0 && (strcmp(h, "arm") == 0 || strcmp(h, "arm64") == 0))
        return fit_level(has->variant, wanted->variant, strcmp(h, "arm") == 0 ? 7 : 8, 100);
    if (strcmp(h, w) == 0)
        return strcmp(has->variant, wanted->variant) == 0 ? 110 : !has->variant[0] || !wanted->variant[0] ? 100 : 0;
    if (strcmp(w, "arm64") == 0 && strcmp(h, "arm") == 0)
        return fit_level(has->variant, "v8", 7, 20);
    return strcmp(w, "amd64") == 0 && strcmp(h, "386") == 0 ? 20 : 0;
}

/* The levels of the x86-64 psABI. */
static const char *best_variant(void)
{
#if defined(__x86_64__)
    static const char *const names[] = {"", "", "v2", "v3", "v4"};

    return names[box_cpu_level()];
#else
    return "";
#endif
}

void box_platform_host_best(struct box_platform *p)
{
    box_platform_set(p, "linux", strchr(box_platform_host(), '/') + 1, best_variant());
}
