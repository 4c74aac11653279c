/* images: names and what they lead to, as rows. */
#include "box.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rows.h"

static const struct heading headings[] = {
    {"ID", "IMAGE ID"},          {"Repository", "REPOSITORY"}, {"Tag", "TAG"},   {"Digest", "DIGEST"},           {"CreatedSince", "CREATED"},
    {"CreatedAt", "CREATED AT"}, {"Size", "SIZE"},             {"Containers", "CONTAINERS"}, {"SharedSize", "SHARED SIZE"},
    {"UniqueSize", "UNIQUE SIZE"}, {"VirtualSize", "VIRTUAL SIZE"}, {NULL, NULL},
};

/* "busybox", "latest" or "<none>", digest or "<none>" of a full name; the three are to be freed. */
static void split_name(const char *full, char *out[3])
{
    char *familiar = NULL;

    if (full)
        box_image_familiar_name(full, &familiar, NULL);
    char *at = familiar ? strchr(familiar, '@') : NULL;
    out[2] = strdup(at ? at + 1 : "<none>");
    if (at)
        *at = '\0';
    char *slash = familiar ? strrchr(familiar, '/') : NULL, *colon = familiar ? strrchr(slash ? slash : familiar, ':') : NULL;
    out[1] = strdup(colon ? colon + 1 : "<none>");
    if (colon)
        *colon = '\0';
    out[0] = strdup(familiar ? familiar : "<none>");
    free(familiar);
}

static json_object *row_of(const box_image *image, const char *name, bool whole)
{
    json_object *row = json_object_new_object();
    int64_t created = box_image_created_time(image);
    char *parts[3], *size = format_size((double)box_image_size(image), false), at[64] = "N/A";
    struct tm tm;

    split_name(name, parts);
    if (created) {
        time_t t = (time_t)created;
        localtime_r(&t, &tm);
        strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S %z %Z", &tm);
    }
    put_string(row, "Containers", "N/A");
    put_string(row, "CreatedAt", at);
    put_made(row, "CreatedSince", created ? format_age(created * 1000000000) : strdup("N/A"));
    put_made(row, "Digest", parts[2]);
    put_string(row, "ID", whole ? box_image_id(image) : short_id(box_image_id(image)));
    put_made(row, "Repository", parts[0]);
    put_string(row, "SharedSize", "N/A");
    put_string(row, "Size", size);
    put_made(row, "Tag", parts[1]);
    put_string(row, "UniqueSize", "N/A");
    put_made(row, "VirtualSize", size);
    return row;
}

/* ---- which ------------------------------------------------------------------------------------------------------------- */

struct images_options {
    bool all, digests, quiet, whole;
    const char *format, *reference;
    struct list filters;
    int64_t before, since;
};

/* "repository", "repository:tag", each with the wildcards of a shell. */
static bool name_matches(const char *full, const char *pattern)
{
    char *familiar = NULL, *repository = NULL;

    if (box_image_familiar_name(full, &familiar, NULL) < 0)
        return false;
    char *slash = strrchr(familiar, '/'), *colon = strrchr(slash ? slash : familiar, ':');
    repository = strndup(familiar, colon ? (size_t)(colon - familiar) : strlen(familiar));
    bool found = fnmatch(pattern, familiar, FNM_PATHNAME) == 0 || (repository && fnmatch(pattern, repository, FNM_PATHNAME) == 0);
    free(repository);
    free(familiar);
    return found;
}

static bool image_matches(const box_image *image, const struct images_options *o)
{
    char *const *names = box_image_names(image);

    for (size_t i = 0; i < o->filters.n; i++) {
        const char *f = o->filters.items[i], *value = strchr(f, '=') + 1;
        if (strncmp(f, "dangling=", 9) == 0 && (strcmp(value, "true") == 0 || strcmp(value, "1") == 0) != !*names)
            return false;
        if (strncmp(f, "label=", 6) == 0) {
            char *key = strndup(value, strcspn(value, "="));
            bool found = key && label_matches(value, box_image_label(image, key));
            free(key);
            if (!found)
                return false;
        }
        if (strncmp(f, "before=", 7) == 0 && box_image_created_time(image) >= o->before)
            return false;
        if (strncmp(f, "since=", 6) == 0 && box_image_created_time(image) <= o->since)
            return false;
    }
    return true;
}

static bool is_wanted(const char *name, const struct images_options *o)
{
    size_t references = 0, hits = 0;

    if (o->reference && (!name || !name_matches(name, o->reference)))
        return false;
    for (size_t i = 0; i < o->filters.n; i++) {
        if (strncmp(o->filters.items[i], "reference=", 10) == 0) {
            references++;
            hits += name && name_matches(name, o->filters.items[i] + 10);
        }
    }
    return !references || hits;
}

static int find_bounds(struct images_options *o)
{
    for (size_t i = 0; i < o->filters.n; i++) {
        bool before = strncmp(o->filters.items[i], "before=", 7) == 0;
        box_error *err = NULL;
        box_image *image = NULL;
        if (!before && strncmp(o->filters.items[i], "since=", 6) != 0)
            continue;
        if (box_image_open(store(), strchr(o->filters.items[i], '=') + 1, &image, &err) < 0)
            return fail(err), 1;
        *(before ? &o->before : &o->since) = box_image_created_time(image);
        box_image_free(image);
    }
    return 0;
}

static void add_rows(json_object *rows, const box_image *image, const struct images_options *o)
{
    char *const *names = box_image_names(image);

    if (!image_matches(image, o))
        return;
    if (!*names && is_wanted(NULL, o))
        json_object_array_add(rows, row_of(image, NULL, o->whole));
    for (; *names; names++)
        if (is_wanted(*names, o))
            json_object_array_add(rows, row_of(image, *names, o->whole));
}

int verb_images(int argc, char **argv)
{
    static const char *const known[] = {"dangling", "label", "before", "since", "reference", NULL};
    struct images_options o = {0};
    const struct flag flags[] = {
        {'a', "all", FLAG_BOOL, &o.all, "There are no hidden ones"},
        {0, "digests", FLAG_BOOL, &o.digests, "Also the digests that names have"},
        {'f', "filter", FLAG_LIST, &o.filters, "dangling=, label=, before=, since=, reference="},
        {0, "format", FLAG_TEXT, &o.format, "TEMPLATE, \"table TEMPLATE\" or json"},
        {0, "no-trunc", FLAG_BOOL, &o.whole, "Nothing is cut short"},
        {'q', "quiet", FLAG_BOOL, &o.quiet, "Only their ids"},
        {0},
    };
    box_image_list *list = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "images [OPTIONS] [REPOSITORY[:TAG]]"), code;

    if (first < 0)
        return EXIT_BOX;
    if (first + 1 < argc)
        return wrong_count(argv[0], "requires at most 1 argument");
    o.reference = first < argc ? argv[first] : NULL;
    if ((code = check_filters(&o.filters, known)) != 0 || (code = store() ? find_bounds(&o) : 1) != 0)
        return code;
    if (box_image_list_new(store(), &list, &err) < 0)
        return fail(err), 1;
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < box_image_list_count(list); i++)
        add_rows(rows, box_image_list_get(list, i), &o);
    code = print_rows(rows, o.format,
                      o.quiet     ? "{{.ID}}"
                      : o.digests ? "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
                                  : "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}",
                      headings);
    json_object_put(rows);
    box_image_list_free(list);
    return code;
}
