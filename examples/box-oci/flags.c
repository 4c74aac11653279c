/* Flags as runc takes them. */
#include "oci.h"

#include <stdlib.h>
#include <string.h>

static const struct flag *find(const struct flag *flags, const char *name, size_t n)
{
    for (const struct flag *f = flags; f->name; f++)
        if ((strlen(f->name) == n && strncmp(f->name, name, n) == 0) || (n == 1 && f->letter == *name))
            return f;
    return NULL;
}

static int take(const struct flag *f, const char *value)
{
    struct list *list = f->value;
    char *end;

    switch (f->kind) {
    case FLAG_BOOL:
        *(bool *)f->value = strcmp(value, "false") != 0 && strcmp(value, "0") != 0;
        return 0;
    case FLAG_TEXT:
        *(const char **)f->value = value;
        return 0;
    case FLAG_NUMBER: {
        unsigned long n = strtoul(value, &end, 10);
        if (!*value || *end || n > 1000000)
            return fail_text("--%s: \"%s\" is not a number", f->name, value), -1;
        *(unsigned *)f->value = (unsigned)n;
        return 0;
    }
    default:
        if (list->n == LIST_MOST)
            return fail_text("--%s: more than %d of them", f->name, LIST_MOST), -1;
        list->items[list->n++] = value;
        return 0;
    }
}

int read_flags(int argc, char **argv, const struct flag *flags)
{
    int i = 1;

    for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *name = argv[i] + 1 + (argv[i][1] == '-');
        if (!*name)
            return i + 1;
        size_t n = strcspn(name, "=");
        const struct flag *f = find(flags, name, n);
        if (!f)
            return fail_text("flag provided but not defined: -%.*s", (int)n, name), -1;
        const char *value = name[n] == '=' ? name + n + 1 : NULL;
        if (!value && f->kind == FLAG_BOOL)
            value = "true";
        else if (!value && ++i < argc)
            value = argv[i];
        else if (!value)
            return fail_text("flag needs an argument: -%s", name), -1;
        if (take(f, value) < 0)
            return -1;
    }
    return i;
}
