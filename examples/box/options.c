/* Flags as Docker reads them: "-it", "-e A=B", "--env A=B", "--env=A=B", "--rm", "--rm=false". */
#include "box.h"

#include <stdlib.h>
#include <string.h>

static void print_usage(const struct flag *flags, const char *usage)
{
    printf("Usage: box %s\n\nOptions:\n", usage ? usage : "");
    for (; flags->value; flags++) {
        char letter[8] = "    ";
        if (flags->letter)
            snprintf(letter, sizeof(letter), "-%c, ", flags->letter);
        printf("  %s--%-20s %s\n", letter, flags->name, flags->help);
    }
}

static bool add(struct list *list, const char *item)
{
    if (list->n == LIST_MOST)
        return false;
    list->items[list->n++] = item;
    return true;
}

/* What Go takes for a truth value. */
static int set_bool(const struct flag *flag, const char *value)
{
    static const char *const yes[] = {"1", "t", "T", "TRUE", "true", "True"}, *const no[] = {"0", "f", "F", "FALSE", "false", "False"};

    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++) {
        if (!value || strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
            *(bool *)flag->value = !value || strcmp(value, yes[i]) == 0;
            return 0;
        }
    }
    fprintf(stderr, "box: invalid argument \"%s\" for \"--%s\": neither true nor false.\n", value, flag->name);
    return -1;
}

static int set(const struct flag *flag, const char *value)
{
    switch (flag->kind) {
    case FLAG_BOOL:
        return set_bool(flag, value);
    case FLAG_TEXT:
        *(const char **)flag->value = value;
        return 0;
    default:
        if (add(flag->value, value))
            return 0;
        fprintf(stderr, "box: more than %d times --%s.\n", LIST_MOST, flag->name);
        return -1;
    }
}

static int complain(const char *what, const char *name, const char *verb)
{
    fprintf(stderr, "box: %s: %s (see 'box %s%s--help').\n", what, name, verb, *verb ? " " : "");
    return -1;
}

/* "--name[=value]"; returns how many arguments it took. */
static int long_flag(const struct flag *flags, int argc, char **argv, int at, const char *verb)
{
    const char *name = argv[at] + 2, *equals = strchr(name, '=');
    size_t length = equals ? (size_t)(equals - name) : strlen(name);

    for (const struct flag *f = flags; f->value; f++) {
        if (strlen(f->name) != length || strncmp(f->name, name, length) != 0)
            continue;
        if (f->kind == FLAG_BOOL || equals)
            return set(f, equals ? equals + 1 : NULL) < 0 ? -1 : 1;
        if (at + 1 >= argc)
            return complain("flag needs an argument", argv[at], verb);
        return set(f, argv[at + 1]) < 0 ? -1 : 2;
    }
    argv[at][2 + length] = '\0';
    return complain("unknown flag", argv[at], verb);
}

/* "-abc": switches, the last of which may take a value, here or in the next argument. */
static int short_flags(const struct flag *flags, int argc, char **argv, int at, const char *verb)
{
    for (const char *p = argv[at] + 1; *p; p++) {
        const struct flag *f = flags;
        while (f->value && f->letter != *p)
            f++;
        if (!f->value) {
            fprintf(stderr, "box: unknown shorthand flag: '%c' in %s (see 'box %s%s--help').\n", *p, argv[at], verb, *verb ? " " : "");
            return -1;
        }
        if (f->kind == FLAG_BOOL) {
            if (p[1] == '=')
                return set(f, p + 2) < 0 ? -1 : 1;
            set(f, NULL);
            continue;
        }
        if (p[1])
            return set(f, p[1] == '=' ? p + 2 : p + 1) < 0 ? -1 : 1;
        if (at + 1 >= argc)
            return complain("flag needs an argument", argv[at], verb);
        return set(f, argv[at + 1]) < 0 ? -1 : 2;
    }
    return 1;
}

int read_flags(int argc, char **argv, const struct flag *flags, bool mixed, const char *usage)
{
    char **plain = calloc((size_t)argc + 1, sizeof(*plain));
    const char *verb = usage ? argv[0] : "";
    int n = 0, at = 1, r = 0;

    if (!plain)
        return complain("out of memory", "", verb);
    while (at < argc && r >= 0) {
        const char *arg = argv[at];
        if (strcmp(arg, "--") == 0) {
            at++;
            break;
        }
        if (usage && strcmp(arg, "--help") == 0) {
            print_usage(flags, usage);
            free(plain);
            exit(0);
        }
        if (arg[0] != '-' || !arg[1]) {
            if (!mixed)
                break;
            plain[n++] = argv[at++];
            continue;
        }
        r = arg[1] == '-' ? long_flag(flags, argc, argv, at, verb) : short_flags(flags, argc, argv, at, verb);
        at += r;
    }
    /* Plain arguments that stood between flags go to the end, in their order. */
    while (at < argc && n)
        plain[n++] = argv[at++];
    if (n) {
        at = argc - n;
        memcpy(argv + at, plain, (size_t)n * sizeof(*plain));
    }
    free(plain);
    return r < 0 ? -1 : at;
}
