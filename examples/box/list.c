/* Verbs that print tables: ps, images, stats, top. The columns are Docker's. */
#include "box.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- a table whose columns are as wide as what is in them ------------------------------------------------------------- */

#define MAX_COLUMNS 12
struct table {
    size_t columns, n;
    char **cells;
};

static void add_cell(struct table *t, char *text)
{
    char **cells = realloc(t->cells, (t->n + 1) * sizeof(*cells));

    if (!cells) {
        free(text);
        return;
    }
    t->cells = cells;
    t->cells[t->n++] = text ? text : strdup("");
}

static void add_copy(struct table *t, const char *text)
{
    add_cell(t, strdup(text));
}

static void print_table(struct table *t)
{
    size_t width[MAX_COLUMNS] = {0};

    for (size_t i = 0; i < t->n; i++) {
        size_t length = t->cells[i] ? strlen(t->cells[i]) : 0, c = i % t->columns;
        if (length > width[c])
            width[c] = length;
    }
    for (size_t i = 0; i < t->n; i++) {
        bool last = i % t->columns == t->columns - 1;
        const char *cell = t->cells[i] ? t->cells[i] : "";
        if (last)
            printf("%s\n", cell);
        else
            printf("%-*s   ", (int)width[i % t->columns], cell);
        free(t->cells[i]);
    }
    free(t->cells);
}

/* ---- ps --------------------------------------------------------------------------------------------------------------- */

static char *status_of(const box_container *c)
{
    enum box_container_state state = box_container_state(c);
    struct timespec t;
    char *text = NULL, *age = NULL;

    clock_gettime(CLOCK_REALTIME, &t);
    int64_t now = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
    if (state == BOX_CONTAINER_CREATED)
        return strdup("Created");
    if (state == BOX_CONTAINER_EXITED) {
        age = format_age(box_container_finished(c));
        if (asprintf(&text, "Exited (%d) %s", box_container_ending(c)->code, age ? age : "") < 0)
            text = NULL;
    } else {
        age = format_duration(now - box_container_started(c));
        if (asprintf(&text, "Up %s%s", age ? age : "", state == BOX_CONTAINER_PAUSED ? " (Paused)" : "") < 0)
            text = NULL;
    }
    free(age);
    return text;
}

static char *command_of(const box_container *c, bool whole)
{
    char *const *args = box_spec_get_args(box_container_spec(c));
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (; f && *args; args++)
        fprintf(f, "%s%s", ftell(f) ? " " : "", *args);
    if (f)
        fclose(f);
    char *quoted = NULL;
    if (!text || asprintf(&quoted, !whole && n > 20 ? "\"%.19s…\"" : "\"%s\"", text) < 0)
        quoted = NULL;
    free(text);
    return quoted;
}

static bool matches(const box_container *c, const struct list *filters)
{
    for (size_t i = 0; i < filters->n; i++) {
        const char *f = filters->items[i];
        if (strncmp(f, "name=", 5) == 0 && !strstr(box_container_name(c), f + 5))
            return false;
        if (strncmp(f, "id=", 3) == 0 && strncmp(box_container_id(c), f + 3, strlen(f + 3)) != 0)
            return false;
        if (strncmp(f, "status=", 7) == 0 && strcmp(box_container_state_name(box_container_state(c)), f + 7) != 0)
            return false;
        if (strncmp(f, "ancestor=", 9) == 0 && strcmp(box_container_image_name(c), f + 9) != 0)
            return false;
    }
    return true;
}

int verb_ps(int argc, char **argv)
{
    bool all = false, quiet = false, whole = false;
    struct list filters = {0};
    const struct flag flags[] = {
        {'a', "all", FLAG_BOOL, &all, "Also those that do not run"},
        {'q', "quiet", FLAG_BOOL, &quiet, "Only their ids"},
        {0, "no-trunc", FLAG_BOOL, &whole, "Nothing is cut short"},
        {'f', "filter", FLAG_LIST, &filters, "name=, id=, status=, ancestor="},
        {0},
    };
    struct table t = {.columns = 7};
    static const char *const heads[] = {"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"};
    box_container **list = NULL;
    box_error *err = NULL;

    if (read_flags(argc, argv, flags, true, "ps [OPTIONS]") < 0 || !store())
        return EXIT_BOX;
    if (box_container_list(store(), &list, NULL, &err) < 0)
        return fail(err);
    for (size_t i = 0; i < 7 && !quiet; i++)
        add_copy(&t, heads[i]);
    for (box_container **p = list; *p; p++) {
        enum box_container_state state = box_container_state(*p);
        if ((!all && !filters.n && state != BOX_CONTAINER_RUNNING && state != BOX_CONTAINER_PAUSED) || !matches(*p, &filters))
            continue;
        const char *id = whole ? box_container_id(*p) : short_id(box_container_id(*p));
        if (quiet) {
            printf("%s\n", id);
            continue;
        }
        const char *image = box_container_image_name(*p);
        add_copy(&t, id);
        add_copy(&t, *image ? image : short_id(box_container_image_id(*p)));
        add_cell(&t, command_of(*p, whole));
        add_cell(&t, format_age(box_container_created(*p)));
        add_cell(&t, status_of(*p));
        add_copy(&t, "");
        add_copy(&t, box_container_name(*p));
    }
    box_container_list_free(list);
    print_table(&t);
    return 0;
}

/* ---- images ----------------------------------------------------------------------------------------------------------- */

static void add_image(struct table *t, const box_image *image, const char *name, bool whole)
{
    char *familiar = NULL;

    if (name && box_image_familiar_name(name, &familiar, NULL) >= 0) {
        char *slash = strrchr(familiar, '/'), *colon = strrchr(slash ? slash : familiar, ':');
        if (colon)
            *colon = '\0';
        add_copy(t, familiar);
        add_copy(t, colon ? colon + 1 : "<none>");
    } else {
        add_copy(t, "<none>");
        add_copy(t, "<none>");
    }
    free(familiar);
    add_copy(t, whole ? box_image_id(image) : short_id(box_image_id(image)));
    add_cell(t, box_image_created_time(image) ? format_age(box_image_created_time(image) * 1000000000) : strdup("N/A"));
    add_cell(t, format_size((double)box_image_size(image), false));
}

int verb_images(int argc, char **argv)
{
    bool quiet = false, whole = false, all = false;
    const struct flag flags[] = {
        {'q', "quiet", FLAG_BOOL, &quiet, "Only their ids"},
        {0, "no-trunc", FLAG_BOOL, &whole, "Nothing is cut short"},
        {'a', "all", FLAG_BOOL, &all, "There are no hidden ones"},
        {0},
    };
    struct table t = {.columns = 5};
    static const char *const heads[] = {"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"};
    box_image_list *list = NULL;
    box_error *err = NULL;

    if (read_flags(argc, argv, flags, true, "images [OPTIONS]") < 0 || !store())
        return EXIT_BOX;
    if (box_image_list_new(store(), &list, &err) < 0)
        return fail(err);
    for (size_t i = 0; i < 5 && !quiet; i++)
        add_copy(&t, heads[i]);
    for (size_t i = 0; i < box_image_list_count(list); i++) {
        const box_image *image = box_image_list_get(list, i);
        char *const *names = box_image_names(image);
        if (quiet) {
            printf("%s\n", whole ? box_image_id(image) : short_id(box_image_id(image)));
            continue;
        }
        if (!names || !*names)
            add_image(&t, image, NULL, whole);
        for (; names && *names; names++)
            add_image(&t, image, *names, whole);
    }
    box_image_list_free(list);
    print_table(&t);
    return 0;
}

/* ---- stats ------------------------------------------------------------------------------------------------------------- */

struct sample {
    struct box_cgroup_stats *stats;
    int64_t at;
};

static struct sample take_sample(box_container *c)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (struct sample){box_container_stats(c, NULL), (int64_t)t.tv_sec * 1000000000 + t.tv_nsec};
}

static char *number(double a, int places, const char *unit)
{
    char *out = NULL;

    return asprintf(&out, "%.*f%s", places, a, unit) < 0 ? NULL : out;
}

static char *pair(char *a, char *b)
{
    char *out = NULL;

    if (asprintf(&out, "%s / %s", a ? a : "", b ? b : "") < 0)
        out = NULL;
    free(a);
    free(b);
    return out;
}

static double memory_of_host(void)
{
    return (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static void add_stats(struct table *t, box_container *c, struct sample before, struct sample after)
{
    struct box_cgroup_stats *s = after.stats;
    double limit = memory_of_host(), used = 0, cpu = 0;

    add_copy(t, short_id(box_container_id(c)));
    add_copy(t, box_container_name(c));
    if (!s) {
        for (int i = 0; i < 6; i++)
            add_copy(t, "--");
        return;
    }
    used = (double)s->memory.usage - (double)(s->memory.inactive_file < s->memory.usage ? s->memory.inactive_file : 0);
    if (s->memory.limit && s->memory.limit != BOX_CGROUP_UNLIMITED && (double)s->memory.limit < limit)
        limit = (double)s->memory.limit;
    if (before.stats && after.at > before.at)
        cpu = (double)(s->cpu.usage_ns - before.stats->cpu.usage_ns) / (double)(after.at - before.at) * 100;
    add_cell(t, number(cpu, 2, "%"));
    add_cell(t, pair(format_size(used, true), format_size(limit, true)));
    add_cell(t, number(limit > 0 ? used / limit * 100 : 0, 2, "%"));
    add_copy(t, "0B / 0B");
    add_cell(t, pair(format_size((double)s->io_total.read_bytes, false), format_size((double)s->io_total.write_bytes, false)));
    add_cell(t, number((double)s->pids.current, 0, ""));
}

static int print_stats(box_container **list, size_t n, bool once)
{
    static const char *const heads[] = {"CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"};
    struct sample *before = calloc(n + 1, sizeof(*before));

    for (size_t i = 0; before && i < n; i++)
        before[i] = take_sample(list[i]);
    do {
        struct table t = {.columns = 8};
        nanosleep(&(struct timespec){once ? 0 : 1, once ? 200000000 : 0}, NULL);
        for (size_t i = 0; i < 8; i++)
            add_copy(&t, heads[i]);
        for (size_t i = 0; before && i < n; i++) {
            struct sample after = take_sample(list[i]);
            add_stats(&t, list[i], before[i], after);
            box_cgroup_stats_free(before[i].stats);
            before[i] = after;
        }
        if (!once && isatty(STDOUT_FILENO))
            printf("\033[H\033[J");
        print_table(&t);
        fflush(stdout);
    } while (!once);
    for (size_t i = 0; before && i < n; i++)
        box_cgroup_stats_free(before[i].stats);
    free(before);
    return 0;
}

int verb_stats(int argc, char **argv)
{
    bool once = false, all = false;
    const struct flag flags[] = {
        {0, "no-stream", FLAG_BOOL, &once, "Print once and end"},
        {'a', "all", FLAG_BOOL, &all, "Also those that do not run"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "stats [OPTIONS] [CONTAINER...]"), code = 0;
    box_container **list = NULL;
    box_error *err = NULL;
    size_t n = 0;

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first == argc) {
        if (box_container_list(store(), &list, NULL, &err) < 0)
            return fail(err);
        for (box_container **p = list; *p; p++) {
            if (!all && !box_container_pid(*p))
                box_container_free(*p);
            else
                list[n++] = *p;
        }
        list[n] = NULL;
    } else {
        list = calloc((size_t)(argc - first) + 1, sizeof(*list));
        for (int i = first; list && i < argc; i++) {
            box_container *c = open_container(argv[i]);
            if (c)
                list[n++] = c;
            else
                code = 1;
        }
    }
    if (code == 0)
        code = print_stats(list, n, once);
    box_container_list_free(list);
    return code;
}

/* ---- top --------------------------------------------------------------------------------------------------------------- */

/* What ps(1) says of these processes, in its own columns. */
static int run_ps(char *const *options, const pid_t *pids, size_t n)
{
    char *list = NULL, line[4096];
    size_t length = 0;
    FILE *f = open_memstream(&list, &length);

    if (!f)
        return EXIT_BOX;
    fprintf(f, "ps");
    for (; *options; options++)
        fprintf(f, " %s", *options);
    fprintf(f, " -p ");
    for (size_t i = 0; i < n; i++)
        fprintf(f, "%s%d", i ? "," : "", (int)pids[i]);
    fclose(f);
    FILE *ps = popen(list, "r");
    free(list);
    while (ps && fgets(line, sizeof(line), ps))
        fputs(line, stdout);
    return ps && pclose(ps) == 0 ? 0 : 1;
}

int verb_top(int argc, char **argv)
{
    box_error *err = NULL;
    pid_t *pids = NULL;
    size_t n = 0;
    static char columns[] = "-o uid,pid,ppid,c,stime,tty,time,cmd";
    char *const usual[] = {columns, NULL};

    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        printf("Usage: box top CONTAINER [ps OPTIONS]\n");
        return 0;
    }
    if (argc < 2)
        return fail_text("'top' requires at least 1 argument."), 1;
    for (int i = 2; i < argc; i++)
        if (strpbrk(argv[i], ";|&$`<>()\\\"'\n"))
            return fail_text("not an option of ps: %s", argv[i]), 1;
    box_container *c = open_container(argv[1]);
    if (!c)
        return 1;
    int code = box_container_pids(c, &pids, &n, &err) < 0 ? (fail(err), 1) : run_ps(argc > 2 ? argv + 2 : usual, pids, n);
    free(pids);
    box_container_free(c);
    return code;
}
