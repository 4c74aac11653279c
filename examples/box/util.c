/* What several verbs need: errors, the store, and numbers for people. */
#include "box.h"

#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int exit_code_of(const box_error *err)
{
    int code = box_error_code(err);

    return code == BOX_ENOPROGRAM ? EXIT_NOPROGRAM : code == BOX_ENOEXEC ? EXIT_NOEXEC : EXIT_BOX;
}

int fail(box_error *err)
{
    int code = exit_code_of(err);

    fprintf(stderr, "box: %s.\n", box_error_message(err));
    box_error_free(err);
    return code;
}

int fail_text(const char *fmt, ...)
{
    va_list args;

    fprintf(stderr, "box: ");
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fprintf(stderr, "\n");
    return EXIT_BOX;
}

box_store *store(void)
{
    box_error *err = NULL;

    if (!globals.store && box_store_open(globals.root, globals.runroot, 0, &globals.store, &err) < 0)
        fail(err);
    return globals.store;
}

box_container *open_container(const char *name)
{
    box_container *c = NULL;
    box_error *err = NULL;

    if (!store())
        return NULL;
    if (box_container_open(store(), name, &c, &err) < 0) {
        if (box_error_code(err) == BOX_ENOTFOUND) {
            fprintf(stderr, "Error: No such container: %s\n", name);
            box_error_free(err);
        } else {
            fail(err);
        }
        return NULL;
    }
    return c;
}

char *print(const char *fmt, ...)
{
    char *out = NULL;
    va_list args;

    va_start(args, fmt);
    if (vasprintf(&out, fmt, args) < 0)
        out = NULL;
    va_end(args);
    return out;
}

char *format_duration(int64_t ns)
{
    int64_t s = ns / 1000000000;

    if (s < 1)
        return print("Less than a second");
    if (s == 1)
        return print("1 second");
    if (s < 60)
        return print("%lld seconds", (long long)s);
    if (s < 120)
        return print("About a minute");
    if (s < 3600)
        return print("%lld minutes", (long long)(s / 60));
    if (s < 5400)
        return print("About an hour");
    if (s < 48 * 3600)
        return print("%lld hours", (long long)((s + 1800) / 3600));
    if (s < 14 * 86400)
        return print("%lld days", (long long)(s / 86400));
    if (s < 60 * 86400)
        return print("%lld weeks", (long long)(s / (7 * 86400)));
    if (s < 730 * 86400ll)
        return print("%lld months", (long long)(s / (30 * 86400)));
    return print("%lld years", (long long)(s / (365 * 86400)));
}

int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

char *format_age(int64_t ns)
{
    char *duration = format_duration(now_ns() - ns);
    char *age = print("%s ago", duration ? duration : "?");
    free(duration);
    return age;
}

char *format_size(double bytes, bool binary)
{
    static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    static const char *const binary_units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double base = binary ? 1024 : 1000;
    size_t i = 0;

    while (bytes >= base && i + 1 < 6) {
        bytes /= base;
        i++;
    }
    return print(binary ? "%.4g%s" : "%.3g%s", bytes, (binary ? binary_units : decimal_units)[i]);
}

static uint64_t tree_bytes; /* nftw(3) has no argument of the caller's */

static int add_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)path;
    (void)where;
    if (kind == FTW_F || kind == FTW_SL)
        tree_bytes += (uint64_t)st->st_size;
    return 0;
}

uint64_t tree_size(const char *path)
{
    tree_bytes = 0;
    if (path)
        nftw(path, add_file, 32, FTW_PHYS | FTW_MOUNT);
    return tree_bytes;
}

const char *short_id(const char *id)
{
    static char buffers[4][13];
    static unsigned next;
    char *out = buffers[next++ % 4];

    if (strncmp(id, "sha256:", 7) == 0)
        id += 7;
    snprintf(out, 13, "%.12s", id);
    return out;
}

bool parse_size(const char *text, int64_t *bytes)
{
    char *end;
    double value = strtod(text, &end);
    static const char units[] = "bkmgtp";

    if (strcmp(text, "-1") == 0)
        return *bytes = -1, true;
    if (end == text || !(value >= 0) || (text[0] != '.' && (text[0] < '0' || text[0] > '9')))
        return false;
    end += *end == ' ';
    if (*end) {
        const char *unit = strchr(units, *end | 0x20);
        if (!unit || !*end || (end[1] && strcasecmp(end + 1, "b") != 0 && strcasecmp(end + 1, "ib") != 0))
            return false;
        for (long i = unit - units; i > 0; i--)
            value *= 1024;
    }
    if (value > 9e18)
        return false;
    *bytes = (int64_t)value;
    return true;
}

int signal_number(const char *name)
{
    char *end;
    long n = strtol(name, &end, 10);

    if (end != name && !*end)
        return n > 0 && n < NSIG ? (int)n : -1;
    if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
            return i;
    if (strncasecmp(name, "RTMIN", 5) == 0 && (!name[5] || name[5] == '+'))
        n = SIGRTMIN + (name[5] ? strtol(name + 6, &end, 10) : 0);
    else if (strncasecmp(name, "RTMAX", 5) == 0 && (!name[5] || name[5] == '-'))
        n = SIGRTMAX - (name[5] ? strtol(name + 6, &end, 10) : 0);
    else
        return -1;
    return n >= SIGRTMIN && n <= SIGRTMAX ? (int)n : -1;
}

int wrong_count(const char *verb, const char *what)
{
    fprintf(stderr, "box: '%s' %s (see 'box %s --help').\n", verb, what, verb);
    return 1;
}
