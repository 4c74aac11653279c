/* Verbs that move images and files: save, export, commit, diff, cp, history, tag. */
#include "box.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* One line, and Docker's exit code for these verbs. */
static int fail_1(box_error *err)
{
    fail(err);
    return 1;
}

static int no_such_image(box_error *err, const char *name)
{
    if (box_error_code(err) != BOX_ENOTFOUND)
        return fail_1(err);
    fprintf(stderr, "Error: No such image: %s\n", name);
    box_error_free(err);
    return 1;
}

static int too_few(const char *verb, int n)
{
    return fail_text("'%s' requires at least %d argument%s.", verb, n, n == 1 ? "" : "s"), 1;
}

/* ---- save and export --------------------------------------------------------------------------------------------- */

static bool read_format(const char *text, enum box_archive_format *format)
{
    static const struct {
        const char *name;
        enum box_archive_format format;
    } table[] = {
        {"docker-archive", BOX_ARCHIVE_DOCKER}, {"docker-archive-old", BOX_ARCHIVE_DOCKER_OLD},
        {"oci-archive", BOX_ARCHIVE_OCI},       {"oci-dir", BOX_ARCHIVE_OCI_DIR},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
        if (strcmp(text, table[i].name) == 0)
            return *format = table[i].format, true;
    return false;
}

static bool read_compression(const char *text, enum box_archive_compression *compression)
{
    static const char *const names[] = {"none", "gzip", "zstd"};

    for (unsigned i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0)
            return *compression = (enum box_archive_compression)i, true;
    return false;
}

int verb_save(int argc, char **argv)
{
    const char *output = NULL, *format = "docker-archive", *compression = "none";
    bool rebuild = false;
    const struct flag flags[] = {
        {'o', "output", FLAG_TEXT, &output, "FILE in place of standard output"},
        {0, "format", FLAG_TEXT, &format, "docker-archive, docker-archive-old, oci-archive, oci-dir"},
        {0, "compression", FLAG_TEXT, &compression, "none, gzip, zstd: of layers that are packed anew"},
        {0, "rebuild", FLAG_BOOL, &rebuild, "A new image, where a layer cannot be had as it was"},
        {0},
    };
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "save [OPTIONS] IMAGE [IMAGE...]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first >= argc)
        return too_few("save", 1);
    if (!read_format(format, &options.format))
        return fail_text("unknown format \"%s\"", format), 1;
    if (!read_compression(compression, &options.compression))
        return fail_text("unknown compression \"%s\"", compression), 1;
    if (!output && options.format == BOX_ARCHIVE_OCI_DIR)
        return fail_text("a directory cannot be written to standard output. Use the -o flag"), 1;
    if (!output && isatty(STDOUT_FILENO))
        return fail_text("cowardly refusing to save to a terminal. Use the -o flag or redirect"), 1;
    options.rebuild = rebuild;
    const char *const *names = (const char *const *)(argv + first);
    int r = output ? box_image_save(store(), names, output, &options, &err)
                   : box_image_save_fd(store(), names, STDOUT_FILENO, &options, &err);
    return r < 0 ? fail_1(err) : 0;
}

int verb_export(int argc, char **argv)
{
    const char *output = NULL;
    const struct flag flags[] = {{'o', "output", FLAG_TEXT, &output, "FILE in place of standard output"}, {0}};
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "export [OPTIONS] CONTAINER");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'export' requires exactly 1 argument."), 1;
    if (!output && isatty(STDOUT_FILENO))
        return fail_text("cowardly refusing to save to a terminal. Use the -o flag or redirect"), 1;
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    FILE *file = output ? fopen(output, "we") : stdout;
    int r = file ? box_container_export(c, fileno(file), NULL, &err) : 0;
    bool written = file && (file == stdout || fclose(file) == 0);
    box_container_free(c);
    if (r < 0)
        return fail_1(err);
    if (!file || !written)
        return fail_text("cannot write %s", output), 1;
    return 0;
}

/* ---- commit and diff --------------------------------------------------------------------------------------------- */

int verb_commit(int argc, char **argv)
{
    box_commit_options options = BOX_COMMIT_OPTIONS_INIT;
    box_archive_options archive = BOX_ARCHIVE_OPTIONS_INIT;
    const char *compression = "none";
    bool pause = true;
    struct list changes = {0};
    const struct flag flags[] = {
        {'a', "author", FLAG_TEXT, &options.author, "NAME <ADDRESS>"},
        {'c', "change", FLAG_LIST, &changes, "INSTRUCTION of a Dockerfile: CMD, ENV, USER …"},
        {'m', "message", FLAG_TEXT, &options.message, "TEXT for its history"},
        {'p', "pause", FLAG_BOOL, &pause, "Pause the container meanwhile (true)"},
        {0, "compression", FLAG_TEXT, &compression, "none, gzip, zstd: of the layer, and so of what is pushed"},
        {0},
    };
    box_image *image = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "commit [OPTIONS] CONTAINER [NAME[:TAG]]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first >= argc || first + 2 < argc)
        return fail_text("'commit' requires at least 1 and at most 2 arguments."), 1;
    if (!read_compression(compression, &archive.compression))
        return fail_text("unknown compression \"%s\"", compression), 1;
    box_container *c = open_container(argv[first]);
    const char **list = calloc(changes.n + 1, sizeof(*list));
    if (!c || !list) {
        box_container_free(c);
        free(list);
        return 1;
    }
    for (size_t i = 0; i < changes.n; i++)
        list[i] = changes.items[i];
    options.changes = list;
    options.no_pause = !pause;
    options.archive = &archive;
    options.name = first + 1 < argc ? argv[first + 1] : NULL;
    int r = box_container_commit(store(), c, &options, &image, &err);
    free(list);
    box_container_free(c);
    if (r < 0)
        return fail_1(err);
    printf("%s\n", box_image_id(image));
    box_image_free(image);
    return 0;
}

int verb_diff(int argc, char **argv)
{
    const struct flag flags[] = {{0}};
    box_change_list *list = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "diff CONTAINER");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'diff' requires exactly 1 argument."), 1;
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    int r = box_container_changes(c, &list, &err);
    box_container_free(c);
    if (r < 0)
        return fail_1(err);
    for (size_t i = 0; i < box_change_list_count(list); i++) {
        const box_change *change = box_change_list_get(list, i);
        printf("%c %s\n", "CAD"[change->kind], change->path);
    }
    box_change_list_free(list);
    return 0;
}

/* ---- cp ------------------------------------------------------------------------------------------------------------ */

/* "CONTAINER:PATH" is cut; a local path is absolute, begins with a dot, or has no colon. */
static char *container_of(char *arg)
{
    char *colon = strchr(arg, ':');

    if (arg[0] == '/' || arg[0] == '.' || !colon || colon == arg)
        return NULL;
    *colon = '\0';
    return colon + 1;
}

static int count_bytes(const box_image_progress *progress, void *data)
{
    *(uint64_t *)data = progress->done;
    return 0;
}

struct copying {
    unsigned flags;
    bool quiet;
    uint64_t bytes;
    box_archive_options options;
};

static int copy_out(struct copying *copy, box_container *c, const char *path, const char *dest, box_error **err)
{
    if (strcmp(dest, "-") == 0)
        return box_container_copy_out(c, path, STDOUT_FILENO, copy->flags, &copy->options, err);
    return box_container_copy_from(c, path, dest, copy->flags, &copy->options, err);
}

static int copy_in(struct copying *copy, box_container *c, const char *source, const char *path, box_error **err)
{
    if (strcmp(source, "-") == 0)
        return box_container_copy_in(c, path, STDIN_FILENO, copy->flags, &copy->options, err);
    return box_container_copy_to(c, source, path, copy->flags, &copy->options, err);
}

static int copy_one(struct copying *copy, char *source, char *dest)
{
    char *from = container_of(source), *to = from ? NULL : container_of(dest);
    box_error *err = NULL;

    if (from && container_of(dest))
        return fail_text("copying between containers is not supported"), 1;
    if (!from && !to)
        return fail_text("must specify at least one container source"), 1;
    if (from && strcmp(dest, "-") == 0 && isatty(STDOUT_FILENO))
        return fail_text("cowardly refusing to copy to a terminal. Redirect the output"), 1;
    box_container *c = open_container(from ? source : dest);
    if (!c)
        return 1;
    int r = from ? copy_out(copy, c, *from ? from : "/", dest, &err) : copy_in(copy, c, source, *to ? to : "/", &err);
    box_container_free(c);
    if (r < 0)
        return fail_1(err);
    if (!copy->quiet && isatty(STDERR_FILENO) && strcmp(from ? dest : source, "-") != 0) {
        char *size = format_size((double)copy->bytes, false);
        fprintf(stderr, "Successfully copied %s to %s%s%s\n", size ? size : "?", dest, to ? ":" : "", to ? to : "");
        free(size);
    }
    return 0;
}

int verb_cp(int argc, char **argv)
{
    bool archive = false, follow = false;
    struct copying copy = {.options = BOX_ARCHIVE_OPTIONS_INIT};
    const struct flag flags[] = {
        {'a', "archive", FLAG_BOOL, &archive, "Keep owners"},
        {'L', "follow-link", FLAG_BOOL, &follow, "Copy what a link as the source leads to"},
        {'q', "quiet", FLAG_BOOL, &copy.quiet, "Say nothing"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "cp [OPTIONS] CONTAINER:SOURCE DEST|-, or SOURCE|- CONTAINER:DEST");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 2 != argc)
        return fail_text("'cp' requires exactly 2 arguments."), 1;
    if (!*argv[first] || !*argv[first + 1])
        return fail_text("source and destination can not be empty"), 1;
    copy.flags = (archive ? (unsigned)BOX_COPY_ARCHIVE : 0) | (follow ? (unsigned)BOX_COPY_FOLLOW : 0);
    copy.options.progress = count_bytes;
    copy.options.progress_data = &copy.bytes;
    return copy_one(&copy, argv[first], argv[first + 1]);
}

/* ---- history and tag --------------------------------------------------------------------------------------------- */

struct row {
    char *cells[5];
};

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

/* At most so many characters, the last of them an ellipsis; UTF-8 is not cut in the middle of one. */
static char *shorten(const char *text, size_t most)
{
    size_t at = 0, n = 0;

    for (; text[at] && n < most; n++)
        do
            at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80);
    if (!text[at])
        return strdup(text);
    for (size_t back = 1; back > 0; back--)
        do
            at--;
        while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80);
    char *out = malloc(at + 4);
    if (out) {
        memcpy(out, text, at);
        memcpy(out + at, "…", 4);
    }
    return out;
}

static char *one_line(const char *text)
{
    char *out = copy_text(text);

    for (char *p = out; p && *p; p++)
        if (*p == '\t' || *p == '\n')
            *p = ' ';
    return out;
}

static char *age_of(const char *created, bool human)
{
    struct tm tm = {0};
    const char *end = strptime(created, "%Y-%m-%dT%H:%M:%S", &tm);

    if (!human || !end)
        return copy_text(created);
    return format_age((int64_t)timegm(&tm) * 1000000000);
}

static char *size_of(uint64_t bytes, bool human)
{
    char text[32];

    if (human)
        return format_size((double)bytes, false);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)bytes);
    return strdup(text);
}

/* The newest step first; layers count from the lowest. */
static void fill_rows(const box_image *image, struct row *rows, size_t n, bool human, bool whole)
{
    size_t layer = 0;

    for (size_t i = 0; i < n; i++) {
        struct row *row = &rows[n - 1 - i];
        box_image_history step;
        if (box_image_history_get(image, i, &step, NULL) < 0)
            continue;
        uint64_t bytes = step.empty_layer ? 0 : box_image_layer_size(image, layer++);
        char *command = one_line(step.created_by);
        row->cells[0] = i + 1 < n ? strdup("<missing>") : whole ? strdup(box_image_id(image))
                                                                : strdup(short_id(box_image_id(image)));
        row->cells[1] = age_of(step.created, human);
        row->cells[2] = whole || !command ? copy_text(command) : shorten(command, 45);
        row->cells[3] = size_of(bytes, human);
        row->cells[4] = one_line(step.comment);
        free(command);
    }
}

static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; text && *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_rows(const struct row *rows, size_t n, bool human)
{
    const struct row head = {{(char *)"IMAGE", (char *)(human ? "CREATED" : "CREATED AT"), (char *)"CREATED BY",
                              (char *)"SIZE", (char *)"COMMENT"}};
    size_t widths[4] = {0};

    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j < 4; j++) {
            size_t width = width_of((i ? rows[i - 1] : head).cells[j]);
            widths[j] = width > widths[j] ? width : widths[j];
        }
    for (size_t i = 0; i <= n; i++) {
        const struct row *row = i ? &rows[i - 1] : &head;
        for (size_t j = 0; j < 4; j++)
            printf("%s%*s", row->cells[j] ? row->cells[j] : "", (int)(widths[j] + 3 - width_of(row->cells[j])), "");
        printf("%s\n", row->cells[4] ? row->cells[4] : "");
    }
}

int verb_history(int argc, char **argv)
{
    bool human = true, whole = false, quiet = false;
    const struct flag flags[] = {
        {'H', "human", FLAG_BOOL, &human, "Sizes and times for people (true)"},
        {0, "no-trunc", FLAG_BOOL, &whole, "Nothing is cut short"},
        {'q', "quiet", FLAG_BOOL, &quiet, "Ids only"},
        {0},
    };
    box_image *image = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "history [OPTIONS] IMAGE");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'history' requires exactly 1 argument."), 1;
    if (box_image_open(store(), argv[first], &image, &err) < 0)
        return no_such_image(err, argv[first]);
    size_t n = box_image_history_count(image);
    struct row *rows = calloc(n ? n : 1, sizeof(*rows));
    if (!rows) {
        box_image_free(image);
        return EXIT_BOX;
    }
    fill_rows(image, rows, n, human, whole);
    if (!quiet)
        print_rows(rows, n, human);
    for (size_t i = 0; i < n; i++) {
        if (quiet)
            printf("%s\n", rows[i].cells[0] ? rows[i].cells[0] : "");
        for (size_t j = 0; j < 5; j++)
            free(rows[i].cells[j]);
    }
    free(rows);
    box_image_free(image);
    return 0;
}

int verb_tag(int argc, char **argv)
{
    const struct flag flags[] = {{0}};
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "tag IMAGE NAME[:TAG]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 2 != argc)
        return fail_text("'tag' requires exactly 2 arguments."), 1;
    return box_image_tag(store(), argv[first], argv[first + 1], &err) < 0 ? no_such_image(err, argv[first]) : 0;
}
