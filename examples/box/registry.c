/* Registries: pull, push, manifest inspect, and what they show meanwhile: on a terminal a line for each layer that is
 * drawn anew, elsewhere one line for each step. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct registry_globals registry_globals;

/* ---- The client --------------------------------------------------------------------------------------------------------- */

char *config_path(void)
{
    char *path = NULL;

    if (registry_globals.config && asprintf(&path, "%s/config.json", registry_globals.config) < 0)
        path = NULL;
    return path;
}

static int allow_insecure(box_registry *registry, const char *domain, box_error **err)
{
    int r = box_registry_allow_http(registry, domain, err);

    return r < 0 ? r : box_registry_allow_untrusted(registry, domain, err);
}

/* As Docker's daemon has it: a registry on this machine need not speak TLS. */
static bool is_local(const char *domain)
{
    return strncmp(domain, "127.", 4) == 0 || strcmp(domain, "localhost") == 0 || strncmp(domain, "localhost:", 10) == 0;
}

box_registry *open_registry(const char *domain, bool insecure)
{
    box_error *err = NULL;
    box_registry *registry = box_registry_new(&err);
    char *path = config_path();
    int r = registry ? box_registry_load_config(registry, path, &err) : -1;

    free(path);
    if (r == 0)
        r = box_registry_load_certificates(registry, registry_globals.certs, &err);
    for (size_t i = 0; r == 0 && i < registry_globals.insecure.n; i++)
        r = allow_insecure(registry, registry_globals.insecure.items[i], &err);
    for (size_t i = 0; r == 0 && i < registry_globals.mirrors.n; i++)
        r = box_registry_add_mirror(registry, "docker.io", registry_globals.mirrors.items[i], &err);
    if (r == 0 && (insecure || is_local(domain)))
        r = allow_insecure(registry, domain, &err);
    if (r == 0)
        return registry;
    fail(err);
    box_registry_free(registry);
    return NULL;
}

/* ---- What is shown ------------------------------------------------------------------------------------------------------ */

#define LAYERS_MOST 512

enum step { STEP_NONE, STEP_WAITING, STEP_MOVING, STEP_MOVED, STEP_UNPACKING, STEP_DONE, STEP_KEPT };

struct line {
    char id[13];
    enum step step;
    uint64_t done, total;
};

struct display {
    FILE *out;
    bool quiet, terminal, push;
    struct line lines[LAYERS_MOST];
    size_t n;     /* lines in use */
    size_t drawn; /* lines on the screen */
    struct timespec last;
    char resolved[200]; /* the digest that the name led to */
};

static const char *const pull_steps[] = {"", "Waiting", "Downloading", "Download complete", "Extracting", "Pull complete",
                                         "Already exists"};
static const char *const push_steps[] = {"", "Waiting", "Pushing", "Pushing", "Pushing", "Pushed", "Layer already exists"};

static const char *step_name(const struct display *d, enum step step)
{
    return (d->push ? push_steps : pull_steps)[step];
}

static void draw_line(struct display *d, const struct line *line)
{
    char bar[51] = "", *done = NULL, *total = NULL;
    size_t filled = line->total ? (size_t)((double)line->done / (double)line->total * 50) : 0;

    fprintf(d->out, "\r\033[K%s: %s", line->id, step_name(d, line->step));
    if (line->step == STEP_MOVING || line->step == STEP_UNPACKING) {
        for (size_t i = 0; i < 50; i++)
            bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
        done = format_size((double)line->done, false);
        total = format_size((double)line->total, false);
        fprintf(d->out, "  [%s] %s/%s", bar, done ? done : "", total ? total : "");
        free(done);
        free(total);
    }
    fputc('\n', d->out);
}

static void draw(struct display *d)
{
    if (d->drawn)
        fprintf(d->out, "\033[%zuA", d->drawn);
    for (size_t i = 0; i < d->n; i++)
        draw_line(d, &d->lines[i]);
    d->drawn = d->n;
    fflush(d->out);
}

/* Ten times a second is enough for an eye. */
static bool is_time(struct display *d)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((now.tv_sec - d->last.tv_sec) * 1000 + (now.tv_nsec - d->last.tv_nsec) / 1000000 < 100)
        return false;
    d->last = now;
    return true;
}

static void set_step(struct display *d, struct line *line, enum step step)
{
    if (line->step >= step)
        return;
    enum step before = line->step;
    line->step = step;
    if (d->terminal)
        draw(d);
    else if (step == STEP_MOVING && before < STEP_MOVING && !d->push)
        fprintf(d->out, "%s: Pulling fs layer\n", line->id);
    else if (step == STEP_MOVED && !d->push)
        fprintf(d->out, "%s: Download complete\n", line->id);
    else if (step == STEP_DONE || step == STEP_KEPT)
        fprintf(d->out, "%s: %s\n", line->id, step_name(d, step));
}

static struct line *line_of(struct display *d, const box_image_progress *p)
{
    const char *id = short_id(p->object);

    for (size_t i = 0; i < d->n; i++)
        if (strcmp(d->lines[i].id, id) == 0)
            return &d->lines[i];
    if (d->n == LAYERS_MOST)
        return NULL;
    snprintf(d->lines[d->n].id, sizeof(d->lines[d->n].id), "%s", id);
    return &d->lines[d->n++];
}

static int show(const box_image_progress *p, void *data)
{
    struct display *d = data;
    if (p->stage == BOX_IMAGE_STAGE_RESOLVED)
        snprintf(d->resolved, sizeof(d->resolved), "%s", p->object);
    bool layer = p->stage == BOX_IMAGE_STAGE_LAYER || p->stage == BOX_IMAGE_STAGE_KEPT || p->stage == BOX_IMAGE_STAGE_DOWNLOAD;
    struct line *line = !d->quiet && layer && *p->object ? line_of(d, p) : NULL;

    if (!line)
        return 0;
    bool all = p->done >= p->total;
    bool moves = p->stage == BOX_IMAGE_STAGE_DOWNLOAD || d->push;
    /* Two kinds of progress of one layer come in turns: the bar is that of the download until it is through. */
    if (moves || line->step >= STEP_MOVED || p->stage == BOX_IMAGE_STAGE_KEPT) {
        line->done = p->done;
        line->total = p->total;
    }
    if (p->stage == BOX_IMAGE_STAGE_KEPT)
        set_step(d, line, STEP_KEPT);
    else if (moves)
        set_step(d, line, !all ? STEP_MOVING : d->push ? STEP_MOVING : STEP_MOVED);
    else if (line->step >= STEP_MOVED)
        set_step(d, line, STEP_UNPACKING);
    if (p->stage == BOX_IMAGE_STAGE_LAYER && all && p->total)
        set_step(d, line, STEP_DONE);
    if (d->terminal && is_time(d))
        draw(d);
    return 0;
}

/* Layers whose last report was cut off by the end have come all the same. */
static void show_end(struct display *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->lines[i].step != STEP_KEPT)
            set_step(d, &d->lines[i], STEP_DONE);
}

/* ---- Pull --------------------------------------------------------------------------------------------------------------- */

struct pull {
    bool quiet, all, insecure;
    const char *platform;
    FILE *out;
};

static char *digest_in_store(const char *name)
{
    box_image *image = NULL;
    char *digest = NULL;

    if (box_image_open(store(), name, &image, NULL) == 0) {
        digest = strdup(box_image_digest(image));
        box_image_free(image);
    }
    return digest;
}

static int pull_one(box_registry *registry, const struct pull *how, const char *name, box_image **out)
{
    struct display *d = calloc(1, sizeof(*d));
    box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;
    char *before = digest_in_store(name), *familiar = NULL;
    box_image *image = NULL;
    box_error *err = NULL;

    if (!d)
        return fail_text("out of memory");
    d->out = how->out;
    d->quiet = how->quiet;
    d->terminal = isatty(fileno(how->out)) == 1;
    options.platform = how->platform;
    options.progress = show;
    options.progress_data = d;
    options.late = true; /* whoever waits here wants to use the image: it is written to disk meanwhile */
    int r = box_image_pull(store(), registry, name, &options, &image, &err);
    if (r == 0) {
        sync_in_background();
        show_end(d);
        box_image_familiar_name(name, &familiar, NULL);
        bool same = before && strcmp(before, box_image_digest(image)) == 0;
        if (!how->quiet)
            fprintf(how->out, "Digest: %s\nStatus: %s for %s\n", d->resolved,
                    same ? "Image is up to date" : "Downloaded newer image", familiar ? familiar : name);
    }
    free(d);
    free(before);
    free(familiar);
    if (r == 0 && out)
        *out = image;
    else
        box_image_free(image);
    return r < 0 ? (fail(err), 1) : 0;
}

static int pull_all(box_registry *registry, const struct pull *how, const char *repository)
{
    box_error *err = NULL;
    char **tags = NULL;
    int code = 0;

    if (box_registry_tags(registry, repository, &tags, &err) < 0)
        return fail(err), 1;
    for (size_t i = 0; tags[i] && code == 0; i++) {
        char *name = NULL;
        if (asprintf(&name, "%s:%s", repository, tags[i]) < 0)
            code = fail_text("out of memory");
        else if (!how->quiet)
            fprintf(how->out, "%s: Pulling from %s\n", tags[i], repository);
        if (code == 0)
            code = pull_one(registry, how, name, NULL);
        free(name);
    }
    box_strings_free(tags);
    return code;
}

static int pull(const struct pull *how, const char *text, box_image **image)
{
    box_reference *name = NULL;
    box_error *err = NULL;
    char *full = NULL;

    if (box_reference_parse(text, &name, &err) < 0 || box_reference_format(name, BOX_REFERENCE_FULL, &full, &err) < 0) {
        box_reference_free(name);
        return fail(err), 1;
    }
    box_registry *registry = open_registry(box_reference_domain(name), how->insecure);
    int code = registry ? 0 : 1;
    if (code == 0 && how->all) {
        code = box_reference_has_tag(name) || box_reference_digest(name)
                   ? (fail_text("tag can't be used with --all-tags/-a"), 1)
                   : pull_all(registry, how, text);
    } else if (code == 0) {
        const char *reference = box_reference_digest(name) ? box_reference_digest(name) : box_reference_tag(name);
        if (!how->quiet && !box_reference_has_tag(name) && !box_reference_digest(name))
            fprintf(how->out, "Using default tag: latest\n");
        if (!how->quiet)
            fprintf(how->out, "%s: Pulling from %s\n", reference, box_reference_path(name));
        code = pull_one(registry, how, full, image);
        if (code == 0 && !image)
            fprintf(how->out, "%s\n", full);
    }
    box_registry_free(registry);
    box_reference_free(name);
    free(full);
    return code;
}

static bool is_false(const char *text)
{
    return text && (strcmp(text, "false") == 0 || strcmp(text, "0") == 0);
}

int verb_pull(int argc, char **argv)
{
    struct pull how = {.out = stdout};
    const char *verify = NULL;
    const struct flag flags[] = {
        {'a', "all-tags", FLAG_BOOL, &how.all, "Every tag of the repository"},
        {'q', "quiet", FLAG_BOOL, &how.quiet, "No progress"},
        {0, "platform", FLAG_TEXT, &how.platform, "OS/ARCHITECTURE[/VARIANT] of an image for several"},
        {0, "tls-verify", FLAG_TEXT, &verify, "false: this registry may be spoken to without TLS"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "pull [OPTIONS] NAME[:TAG|@DIGEST]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'pull' requires exactly 1 argument (see 'box pull --help')."), 1;
    how.insecure = is_false(verify);
    return pull(&how, argv[first], NULL);
}

box_image *image_for_run(const char *name, const char *policy, const char *platform, bool quiet)
{
    const struct pull how = {.out = stderr, .platform = platform, .quiet = quiet};
    bool always = policy && strcmp(policy, "always") == 0, never = policy && strcmp(policy, "never") == 0;
    box_image *image = NULL;
    box_error *err = NULL;

    if (!always && box_image_open(store(), name, &image, &err) == 0)
        return image;
    if (!always && (box_error_code(err) != BOX_ENOTFOUND || never)) {
        if (box_error_code(err) != BOX_ENOTFOUND)
            return fail(err), NULL;
        fail_text("No such image: %s.", name);
        box_error_free(err);
        return NULL;
    }
    if (err) {
        fprintf(stderr, "Unable to find image '%s' locally\n", name);
        box_error_free(err);
    }
    return pull(&how, name, &image) == 0 ? image : NULL;
}

/* ---- Push --------------------------------------------------------------------------------------------------------------- */

static int push_one(box_registry *registry, const char *name, bool quiet)
{
    struct display *d = calloc(1, sizeof(*d));
    box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;
    box_reference *reference = NULL;
    box_image *image = NULL;
    box_error *err = NULL;
    char *digest = NULL;
    size_t size = 0;

    if (!d)
        return fail_text("out of memory");
    d->out = stdout;
    d->quiet = quiet;
    d->push = true;
    d->terminal = isatty(STDOUT_FILENO) == 1;
    options.progress = show;
    options.progress_data = d;
    int r = box_image_push(store(), registry, name, name, &options, &digest, &err);
    if (r == 0)
        show_end(d);
    if (r == 0 && (r = box_image_open(store(), name, &image, &err)) == 0)
        box_image_manifest_json(image, &size);
    if (r == 0 && !quiet && box_reference_parse(name, &reference, NULL) == 0)
        printf("%s: digest: %s size: %zu\n", box_reference_tag(reference) ? box_reference_tag(reference) : "", digest, size);
    box_reference_free(reference);
    box_image_free(image);
    free(digest);
    free(d);
    return r < 0 ? (fail(err), 1) : 0;
}

/* Every tag that the store has of a repository. */
static int push_all(box_registry *registry, const char *repository, bool quiet)
{
    box_image_list *list = NULL;
    box_error *err = NULL;
    int code = 0;
    size_t pushed = 0, length = strlen(repository);

    if (box_image_list_new(store(), &list, &err) < 0)
        return fail(err), 1;
    for (size_t i = 0; i < box_image_list_count(list); i++)
        for (char *const *name = box_image_names(box_image_list_get(list, i)); name && *name && code == 0; name++)
            if (strncmp(*name, repository, length) == 0 && (*name)[length] == ':') {
                code = push_one(registry, *name, quiet);
                pushed++;
            }
    box_image_list_free(list);
    return code == 0 && !pushed ? (fail_text("An image does not exist locally with the tag: %s.", repository), 1) : code;
}

int verb_push(int argc, char **argv)
{
    bool all = false, quiet = false;
    const char *verify = NULL;
    const struct flag flags[] = {
        {'a', "all-tags", FLAG_BOOL, &all, "Every tag of the repository"},
        {'q', "quiet", FLAG_BOOL, &quiet, "No progress"},
        {0, "tls-verify", FLAG_TEXT, &verify, "false: this registry may be spoken to without TLS"},
        {0},
    };
    box_reference *name = NULL;
    box_error *err = NULL;
    char *repository = NULL, *full = NULL;
    int first = read_flags(argc, argv, flags, true, "push [OPTIONS] NAME[:TAG]"), code = 1;

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'push' requires exactly 1 argument (see 'box push --help')."), 1;
    if (box_reference_parse(argv[first], &name, &err) < 0 ||
        box_reference_format(name, BOX_REFERENCE_REPOSITORY, &repository, &err) < 0 ||
        box_reference_format(name, BOX_REFERENCE_FULL, &full, &err) < 0)
        return fail(err), 1;
    char *there = all ? NULL : digest_in_store(full);
    box_registry *registry = open_registry(box_reference_domain(name), is_false(verify));
    if (registry && !all && !there) {
        fail_text("An image does not exist locally with the tag: %s.", repository);
    } else if (registry) {
        if (!quiet)
            printf("The push refers to repository [%s]\n", repository);
        code = all ? push_all(registry, repository, quiet) : push_one(registry, full, quiet);
        if (code == 0 && quiet)
            printf("%s\n", full);
    }
    box_registry_free(registry);
    box_reference_free(name);
    free(there);
    free(repository);
    free(full);
    return code;
}

/* ---- Manifest ----------------------------------------------------------------------------------------------------------- */

int verb_manifest(int argc, char **argv)
{
    bool insecure = false;
    const char *platform = NULL;
    const struct flag flags[] = {
        {0, "insecure", FLAG_BOOL, &insecure, "The registry may be spoken to without TLS"},
        {0, "platform", FLAG_TEXT, &platform, "The manifest for OS/ARCHITECTURE, of an index"},
        {0},
    };
    box_registry_document document = {0};
    box_reference *name = NULL;
    box_error *err = NULL;

    if (argc < 2 || strcmp(argv[1], "inspect") != 0)
        return fail_text("'manifest' knows one command: manifest inspect [OPTIONS] NAME"), 1;
    int first = read_flags(argc - 1, argv + 1, flags, true, "manifest inspect [OPTIONS] NAME") + 1;
    if (first < 1)
        return EXIT_BOX;
    if (first + 1 != argc)
        return fail_text("'manifest inspect' requires exactly 1 argument."), 1;
    if (box_reference_parse(argv[first], &name, &err) < 0)
        return fail(err), 1;
    box_registry *registry = open_registry(box_reference_domain(name), insecure);
    int r = registry ? box_registry_get_manifest(registry, argv[first], platform, &document, &err) : -1;
    if (r == 0) {
        fwrite(document.text, 1, document.length, stdout);
        putchar('\n');
    } else if (registry) {
        fail(err);
    }
    box_registry_document_clear(&document);
    box_registry_free(registry);
    box_reference_free(name);
    return r < 0;
}
