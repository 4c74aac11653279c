/* stats: what containers use, once or again and again. */
#include "box.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "rows.h"

static const struct heading headings[] = {
    {"Container", "CONTAINER"}, {"ID", "CONTAINER ID"}, {"Name", "NAME"},        {"CPUPerc", "CPU %"}, {"MemUsage", "MEM USAGE / LIMIT"},
    {"MemPerc", "MEM %"},       {"NetIO", "NET I/O"},   {"BlockIO", "BLOCK I/O"}, {"PIDs", "PIDS"},     {NULL, NULL},
};

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

static char *pair(char *a, char *b)
{
    char *out = print("%s / %s", a ? a : "", b ? b : "");

    free(a);
    free(b);
    return out;
}

/* Of a container that does not run all is nothing, as Docker shows it. */
static json_object *row_of(box_container *c, const char *asked, bool whole, struct sample before, struct sample after)
{
    static const struct box_cgroup_stats nothing;
    const struct box_cgroup_stats *s = after.stats ? after.stats : &nothing;
    double limit = after.stats ? (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) : 0, cpu = 0;
    json_object *row = json_object_new_object();

    double used = (double)s->memory.usage - (double)(s->memory.inactive_file < s->memory.usage ? s->memory.inactive_file : 0);
    if (s->memory.limit && s->memory.limit != BOX_CGROUP_UNLIMITED && (double)s->memory.limit < limit)
        limit = (double)s->memory.limit;
    if (before.stats && after.stats && after.at > before.at && s->cpu.usage_ns > before.stats->cpu.usage_ns)
        cpu = (double)(s->cpu.usage_ns - before.stats->cpu.usage_ns) / (double)(after.at - before.at) * 100;
    put_made(row, "BlockIO",
             pair(format_size((double)s->io_total.read_bytes, false), format_size((double)s->io_total.write_bytes, false)));
    put_made(row, "CPUPerc", print("%.2f%%", cpu));
    put_string(row, "Container", asked ? asked : short_id(box_container_id(c)));
    put_string(row, "ID", whole ? box_container_id(c) : short_id(box_container_id(c)));
    put_made(row, "MemPerc", print("%.2f%%", limit > 0 ? used / limit * 100 : 0));
    put_made(row, "MemUsage", pair(format_size(used, true), format_size(limit, true)));
    put_string(row, "Name", box_container_name(c));
    put_string(row, "NetIO", "0B / 0B");
    put_made(row, "PIDs", print("%llu", (unsigned long long)s->pids.current));
    return row;
}

struct stats_options {
    bool once, all, whole;
    const char *format;
};

static int print_stats(box_container **list, char **asked, size_t n, const struct stats_options *o)
{
    struct sample *before = calloc(n + 1, sizeof(*before));
    int code = 0;

    for (size_t i = 0; before && i < n; i++)
        before[i] = take_sample(list[i]);
    do {
        json_object *rows = json_object_new_array();
        nanosleep(&(struct timespec){o->once ? 0 : 1, o->once ? 200000000 : 0}, NULL);
        for (size_t i = 0; before && i < n; i++) {
            struct sample after = take_sample(list[i]);
            json_object_array_add(rows, row_of(list[i], asked ? asked[i] : NULL, o->whole, before[i], after));
            box_cgroup_stats_free(before[i].stats);
            before[i] = after;
        }
        if (!o->once && isatty(STDOUT_FILENO))
            printf("\033[H\033[J");
        code = print_rows(rows, o->format,
                          "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}",
                          headings);
        json_object_put(rows);
    } while (fflush(stdout) == 0 && code == 0 && !o->once);
    for (size_t i = 0; before && i < n; i++)
        box_cgroup_stats_free(before[i].stats);
    free(before);
    return code;
}

/* Those that are named, or all that run. */
static int choose(int argc, char **argv, int first, bool all, box_container ***list, size_t *n)
{
    box_error *err = NULL;

    if (first < argc) {
        *list = calloc((size_t)(argc - first) + 1, sizeof(**list));
        for (int i = first; *list && i < argc; i++) {
            box_container *c = open_container(argv[i]);
            if (!c)
                return 1;
            (*list)[(*n)++] = c;
        }
        return 0;
    }
    if (box_container_list(store(), list, NULL, &err) < 0)
        return fail(err), 1;
    for (box_container **p = *list; *p; p++) {
        if (all || box_container_pid(*p))
            (*list)[(*n)++] = *p;
        else
            box_container_free(*p);
    }
    (*list)[*n] = NULL;
    return 0;
}

int verb_stats(int argc, char **argv)
{
    struct stats_options o = {0};
    const struct flag flags[] = {
        {'a', "all", FLAG_BOOL, &o.all, "Also those that do not run"},
        {0, "format", FLAG_TEXT, &o.format, "TEMPLATE, \"table TEMPLATE\" or json"},
        {0, "no-stream", FLAG_BOOL, &o.once, "Print once and end"},
        {0, "no-trunc", FLAG_BOOL, &o.whole, "Nothing is cut short"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "stats [OPTIONS] [CONTAINER...]");
    box_container **list = NULL;
    size_t n = 0;

    if (first < 0)
        return EXIT_BOX;
    int code = store() ? choose(argc, argv, first, o.all, &list, &n) : 1;
    if (code == 0)
        code = print_stats(list, first < argc ? argv + first : NULL, n, &o);
    box_container_list_free(list);
    return code;
}
