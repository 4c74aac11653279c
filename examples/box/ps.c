/* ps: containers as rows, filters, and what a row says. */
#include "box.h"

#include <fnmatch.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rows.h"

static const struct heading headings[] = {
    {"ID", "CONTAINER ID"}, {"Image", "IMAGE"},     {"Command", "COMMAND"}, {"CreatedAt", "CREATED AT"}, {"RunningFor", "CREATED"},
    {"Status", "STATUS"},   {"State", "STATE"},     {"Ports", "PORTS"},     {"Names", "NAMES"},          {"Labels", "LABELS"},
    {"Size", "SIZE"},       {"Mounts", "MOUNTS"},   {"Networks", "NETWORKS"}, {"LocalVolumes", "LOCAL VOLUMES"}, {"Label", ""}, {NULL, NULL},
};

static char *status_of(const box_container *c)
{
    enum box_container_state state = box_container_state(c);
    char *text = NULL, *age = NULL;

    if (state == BOX_CONTAINER_CREATED)
        return strdup("Created");
    if (state == BOX_CONTAINER_EXITED) {
        age = format_age(box_container_finished(c));
        text = print("Exited (%d) %s", box_container_ending(c)->code, age ? age : "");
    } else {
        age = format_duration(now_ns() - box_container_started(c));
        text = print("Up %s%s", age ? age : "", state == BOX_CONTAINER_PAUSED ? " (Paused)" : "");
    }
    free(age);
    return text;
}

/* An argument with a space in it stands in quotes. */
static void add_argument(FILE *f, const char *arg)
{
    if (*arg && !strpbrk(arg, " \t\n'\"\\")) {
        fputs(arg, f);
        return;
    }
    fputc('\'', f);
    for (; *arg; arg++)
        fputs(*arg == '\'' ? "'\"'\"'" : (char[]){*arg, '\0'}, f);
    fputc('\'', f);
}

/* The whole in quotes as Go has them, cut to twenty characters of what is between them. */
static char *command_of(const box_container *c, bool whole)
{
    char *const *args = box_spec_get_args(box_container_spec(c));
    char *text = NULL, *quoted = NULL;
    size_t n = 0, width = 0, size = 0;
    FILE *f = open_memstream(&text, &n);

    for (size_t i = 0; f && args[i]; i++) {
        if (i)
            fputc(' ', f);
        add_argument(f, args[i]);
    }
    if (f)
        fclose(f);
    FILE *q = text ? open_memstream(&quoted, &size) : NULL;
    if (q) {
        fputc('"', q);
        bool cut = !whole && n > 20;
        for (const char *p = text; *p && (!cut || width < 19 || ((unsigned char)*p & 0xc0) == 0x80); p++) {
            width += ((unsigned char)*p & 0xc0) != 0x80;
            if (*p == '"' || *p == '\\')
                fputc('\\', q);
            fputs(*p == '\n' ? "\\n" : *p == '\t' ? "\\t" : (char[]){*p, '\0'}, q);
        }
        fputs(cut ? "…\"" : "\"", q);
        fclose(q);
    }
    free(text);
    return quoted;
}

static json_object *labels_of(const box_container *c, char **text)
{
    const box_spec *spec = box_container_spec(c);
    json_object *labels = json_object_new_object();
    const char *key, *value;
    size_t n = 0;
    FILE *f = open_memstream(text, &n);

    for (size_t i = 0; f && (key = box_spec_next_annotation(spec, i, &value)); i++) {
        fprintf(f, "%s%s=%s", i ? "," : "", key, value);
        put_string(labels, key, value);
    }
    if (f)
        fclose(f);
    return labels;
}

static char *created_at(int64_t ns)
{
    char text[64];
    struct tm tm;
    time_t t = (time_t)(ns / 1000000000);

    localtime_r(&t, &tm);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %z %Z", &tm);
    return strdup(text);
}

/* Sources of binds; names of volumes. */
static char *mounts_of(const box_container *c, bool whole, size_t *volumes)
{
    struct box_spec_mount m;
    char *text = NULL, *own = print("%s/containers/", box_store_root(store())), *named = print("%s/volumes/", box_store_root(store()));
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    for (size_t i = 0; f && own && named && box_spec_get_mount(box_container_spec(c), i, &m, NULL) >= 0; i++) {
        if (!m.source || m.source[0] != '/' || strncmp(m.source, own, strlen(own)) == 0)
            continue;
        bool volume = strncmp(m.source, named, strlen(named)) == 0;
        const char *name = volume ? m.source + strlen(named) : m.source;
        size_t length = volume ? strcspn(name, "/") : strlen(name);
        fprintf(f, "%s", ftell(f) ? "," : "");
        if (!whole && length > 15)
            fprintf(f, "%.14s…", name);
        else
            fprintf(f, "%.*s", (int)length, name);
        *volumes += volume;
    }
    if (f)
        fclose(f);
    free(own);
    free(named);
    return text;
}

static json_object *row_of(const box_container *c, bool whole)
{
    json_object *row = json_object_new_object();
    const char *image = box_container_image_name(c);
    char *labels = NULL, volumes_text[24];
    size_t volumes = 0;

    json_object *map = labels_of(c, &labels);
    char *mounts = mounts_of(c, whole, &volumes);
    snprintf(volumes_text, sizeof(volumes_text), "%zu", volumes);
    put_made(row, "Command", command_of(c, whole));
    put_made(row, "CreatedAt", created_at(box_container_created(c)));
    put_string(row, "ID", whole ? box_container_id(c) : short_id(box_container_id(c)));
    put_string(row, "Image", *image ? image : short_id(box_container_image_id(c)));
    put_made(row, "Labels", labels);
    put_string(row, "LocalVolumes", volumes_text);
    put_made(row, "Mounts", mounts);
    put_string(row, "Names", box_container_name(c));
    put_string(row, "Networks", box_spec_has_namespace(box_container_spec(c), BOX_SPEC_NETWORK_NAMESPACE) ? "none" : "host");
    put_string(row, "Ports", "");
    put_made(row, "RunningFor", format_age(box_container_created(c)));
    put_string(row, "Size", "0B");
    put_string(row, "State", box_container_state_name(box_container_state(c)));
    put_made(row, "Status", status_of(c));
    json_object_object_add(row, HIDDEN_LABELS, map);
    return row;
}

/* ---- filters ------------------------------------------------------------------------------------------------------------- */

static bool name_matches(const char *pattern, const char *name)
{
    regex_t regex;
    char with_slash[256];

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return strstr(name, pattern) != NULL;
    snprintf(with_slash, sizeof(with_slash), "/%s", name);
    bool found = regexec(&regex, name, 0, NULL, 0) == 0 || regexec(&regex, with_slash, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

/* "name" is "name:latest"; an id, or the beginning of one. */
static bool is_of_image(const box_container *c, const char *image)
{
    const char *name = box_container_image_name(c), *id = box_container_image_id(c), *colon = strrchr(name, ':');
    size_t n = colon && strcmp(colon, ":latest") == 0 ? (size_t)(colon - name) : strlen(name), m = strlen(image);

    colon = strrchr(image, ':');
    if (colon && strcmp(colon, ":latest") == 0)
        m = (size_t)(colon - image);
    if (n == m && strncmp(name, image, n) == 0)
        return true;
    if (strncmp(id, "sha256:", 7) == 0)
        id += 7;
    if (strncmp(image, "sha256:", 7) == 0)
        image += 7;
    return strlen(image) >= 4 && strncmp(id, image, strlen(image)) == 0;
}

bool label_matches(const char *wanted, const char *value_of_key)
{
    const char *equals = strchr(wanted, '=');

    return value_of_key && (!equals || strcmp(equals + 1, value_of_key) == 0);
}

static bool has_label(const box_container *c, const char *wanted)
{
    char *key = strndup(wanted, strcspn(wanted, "="));
    bool found = key && label_matches(wanted, box_spec_get_annotation(box_container_spec(c), key));

    free(key);
    return found;
}

static bool one_filter(const box_container *c, const char *key, const char *value, const int64_t bounds[2])
{
    bool host = !box_spec_has_namespace(box_container_spec(c), BOX_SPEC_NETWORK_NAMESPACE);

    if (strcmp(key, "name") == 0)
        return name_matches(value, box_container_name(c));
    if (strcmp(key, "id") == 0)
        return strncmp(box_container_id(c), value, strlen(value)) == 0;
    if (strcmp(key, "status") == 0)
        return strcmp(box_container_state_name(box_container_state(c)), value) == 0;
    if (strcmp(key, "ancestor") == 0)
        return is_of_image(c, value);
    if (strcmp(key, "label") == 0)
        return has_label(c, value);
    if (strcmp(key, "exited") == 0)
        return box_container_state(c) == BOX_CONTAINER_EXITED && box_container_ending(c)->code == atoi(value);
    if (strcmp(key, "network") == 0)
        return strcmp(value, host ? "host" : "none") == 0;
    return strcmp(key, "before") == 0 ? box_container_created(c) < bounds[0] : box_container_created(c) > bounds[1];
}

/* Several of one key are alternatives, labels excepted; different keys must all hold. */
static bool matches(const box_container *c, const struct list *filters, const int64_t bounds[2])
{
    for (size_t i = 0; i < filters->n; i++) {
        const char *f = filters->items[i], *equals = strchr(f, '=');
        size_t key_length = (size_t)(equals - f) + 1;
        char key[32];
        snprintf(key, sizeof(key), "%.*s", (int)(key_length - 1), f);
        bool found = one_filter(c, key, equals + 1, bounds);
        for (size_t k = 0; !found && strcmp(key, "label") != 0 && k < filters->n; k++)
            if (strncmp(filters->items[k], f, key_length) == 0)
                found = one_filter(c, key, filters->items[k] + key_length, bounds);
        if (!found)
            return false;
    }
    return true;
}

int check_filters(const struct list *filters, const char *const *known)
{
    for (size_t i = 0; i < filters->n; i++) {
        const char *f = filters->items[i], *equals = strchr(f, '=');
        const char *const *k = known;
        if (!equals)
            return fail_text("invalid argument \"%s\" for \"-f, --filter\": bad format of filter (expected name=value).", f);
        while (*k && (strlen(*k) != (size_t)(equals - f) || strncmp(*k, f, (size_t)(equals - f)) != 0))
            k++;
        if (!*k)
            return fail_text("invalid filter '%.*s'.", (int)(equals - f), f), 1;
    }
    return 0;
}

/* When the containers of before= and since= were made. */
static int find_bounds(const struct list *filters, int64_t bounds[2])
{
    for (size_t i = 0; i < filters->n; i++) {
        bool before = strncmp(filters->items[i], "before=", 7) == 0;
        if (!before && strncmp(filters->items[i], "since=", 6) != 0)
            continue;
        box_container *c = open_container(strchr(filters->items[i], '=') + 1);
        if (!c)
            return 1;
        bounds[before ? 0 : 1] = box_container_created(c);
        box_container_free(c);
    }
    return 0;
}

/* ---- the verb ------------------------------------------------------------------------------------------------------------- */

struct ps_options {
    bool all, quiet, whole, latest, size, by_status;
    const char *last, *format;
    struct list filters;
};

static bool is_wanted(const box_container *c, const struct ps_options *o, const int64_t bounds[2])
{
    enum box_container_state state = box_container_state(c);

    if (!o->all && !o->by_status && !o->last && !o->latest && state != BOX_CONTAINER_RUNNING && state != BOX_CONTAINER_PAUSED)
        return false;
    return matches(c, &o->filters, bounds);
}

/* "12B (virtual 2MB)": what it has written, and with its image. */
static char *size_of(const box_container *c)
{
    uint64_t own = tree_size(box_container_upper(c)), whole = own;
    box_image *image = NULL;

    if (box_image_open(store(), box_container_image_id(c), &image, NULL) >= 0)
        whole += box_image_size(image);
    box_image_free(image);
    char *a = format_size((double)own, false), *b = format_size((double)whole, false), *text = print("%s (virtual %s)", a, b);
    free(a);
    free(b);
    return text;
}

static int print_containers(box_container **list, const struct ps_options *o, const int64_t bounds[2])
{
    json_object *rows = json_object_new_array();
    long most = o->latest ? 1 : o->last ? strtol(o->last, NULL, 10) : -1;
    const char *usual = o->quiet  ? "{{.ID}}"
                        : o->size ? "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}\t{{.Size}}"
                                  : "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

    for (; *list && most != 0; list++) {
        if (!is_wanted(*list, o, bounds))
            continue;
        json_object *row = row_of(*list, o->whole);
        if (o->size)
            put_made(row, "Size", size_of(*list));
        json_object_array_add(rows, row);
        most -= most > 0;
    }
    int code = print_rows(rows, o->format, usual, headings);
    json_object_put(rows);
    return code;
}

int verb_ps(int argc, char **argv)
{
    static const char *const known[] = {"name", "id", "status", "ancestor", "label", "exited", "network", "before", "since", NULL};
    struct ps_options o = {0};
    const struct flag flags[] = {
        {'a', "all", FLAG_BOOL, &o.all, "Also those that do not run"},
        {'f', "filter", FLAG_LIST, &o.filters, "name=, id=, status=, ancestor=, label=, exited=, network=, before=, since="},
        {0, "format", FLAG_TEXT, &o.format, "TEMPLATE, \"table TEMPLATE\" or json"},
        {'n', "last", FLAG_TEXT, &o.last, "NUMBER of the newest"},
        {'l', "latest", FLAG_BOOL, &o.latest, "The newest"},
        {0, "no-trunc", FLAG_BOOL, &o.whole, "Nothing is cut short"},
        {'q', "quiet", FLAG_BOOL, &o.quiet, "Only their ids"},
        {'s', "size", FLAG_BOOL, &o.size, "Also what each has written"},
        {0},
    };
    int64_t bounds[2] = {0, 0};
    box_container **list = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "ps [OPTIONS]"), code;

    if (first < 0)
        return EXIT_BOX;
    if (first < argc)
        return wrong_count(argv[0], "accepts no arguments");
    if ((code = check_filters(&o.filters, known)) != 0 || (code = store() ? find_bounds(&o.filters, bounds) : 1) != 0)
        return code;
    for (size_t i = 0; i < o.filters.n; i++)
        o.by_status |= strncmp(o.filters.items[i], "status=", 7) == 0 || strncmp(o.filters.items[i], "exited=", 7) == 0;
    if (box_container_list(store(), &list, NULL, &err) < 0)
        return fail(err), 1;
    code = print_containers(list, &o, bounds);
    box_container_list_free(list);
    return code;
}
