/* `system df` and the pruning verbs: what the store takes on disk, and giving it back. */
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- df ---------------------------------------------------------------------------------------------------------- */

static void df_row(const char *type, const box_store_usage *u)
{
    char *size = format_size((double)u->bytes, false), *back = format_size((double)u->reclaimable, false), share[16] = "";

    if (u->bytes)
        snprintf(share, sizeof(share), " (%u%%)", (unsigned)(u->reclaimable * 100 / u->bytes));
    printf("%-15s %-9zu %-9zu %-9s %s%s\n", type, u->count, u->active, size ? size : "", back ? back : "", share);
    free(size);
    free(back);
}

/* How many images have this layer. */
static size_t sharers(const box_image_list *list, const char *diff_id)
{
    size_t n = 0;

    for (size_t i = 0; i < box_image_list_count(list); i++) {
        const box_image *image = box_image_list_get(list, i);
        size_t layer = 0, layers = box_image_layer_count(image);
        while (layer < layers && strcmp(box_image_layer_diff_id(image, layer), diff_id) != 0)
            layer++;
        n += layer < layers;
    }
    return n;
}

static void df_image(const box_image_list *list, const box_image *image, box_container **containers)
{
    char *const *names = box_image_names(image);
    char *familiar = NULL, *age = format_age(box_image_created_time(image) * 1000000000);
    uint64_t shared = 0;
    size_t users = 0;

    if (names && *names)
        box_image_familiar_name(*names, &familiar, NULL);
    for (size_t i = 0; i < box_image_layer_count(image); i++)
        if (sharers(list, box_image_layer_diff_id(image, i)) > 1)
            shared += box_image_layer_size(image, i);
    for (box_container **c = containers; c && *c; c++)
        users += strcmp(box_container_image_id(*c), box_image_id(image)) == 0;
    char *size = format_size((double)box_image_size(image), false), *part = format_size((double)shared, false),
         *own = format_size((double)(box_image_size(image) - shared), false);
    printf("%-35s %-14s %-16s %-9s %-13s %-13s %zu\n", familiar ? familiar : "<none>", short_id(box_image_id(image)),
           age ? age : "", size ? size : "", part ? part : "", own ? own : "", users);
    free(familiar);
    free(age);
    free(size);
    free(part);
    free(own);
}

static int df_verbose(box_error **err)
{
    box_image_list *images = NULL;
    box_container **containers = NULL;
    size_t n = 0;
    int r = box_image_list_new(store(), &images, err);

    if (r >= 0)
        r = box_container_list(store(), &containers, &n, err);
    if (r >= 0) {
        printf("Images space usage:\n\n%-35s %-14s %-16s %-9s %-13s %-13s %s\n", "IMAGE", "IMAGE ID", "CREATED", "SIZE",
               "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS");
        for (size_t i = 0; i < box_image_list_count(images); i++)
            df_image(images, box_image_list_get(images, i), containers);
        printf("\nContainers space usage:\n\n%-14s %-30s %-9s %-10s %s\n", "CONTAINER ID", "IMAGE", "SIZE", "STATUS", "NAMES");
    }
    for (size_t i = 0; r >= 0 && i < n; i++) {
        uint64_t bytes = 0;
        box_container_size(containers[i], &bytes, NULL);
        char *size = format_size((double)bytes, false);
        printf("%-14s %-30s %-9s %-10s %s\n", short_id(box_container_id(containers[i])),
               box_container_image_name(containers[i]), size ? size : "",
               box_container_state_name(box_container_state(containers[i])), box_container_name(containers[i]));
        free(size);
    }
    box_image_list_free(images);
    box_container_list_free(containers);
    return r;
}

static int df(int argc, char **argv)
{
    bool verbose = false;
    const struct flag flags[] = {{'v', "verbose", FLAG_BOOL, &verbose, "Each image and container"}, {0}};
    box_store_usage images, containers;
    box_error *err = NULL;

    if (read_flags(argc, argv, flags, true, "system df [OPTIONS]") < 0 || !store())
        return EXIT_BOX;
    if (verbose)
        return df_verbose(&err) < 0 ? (fail(err), 1) : 0;
    if (box_image_usage(store(), &images, &err) < 0 || box_container_usage(store(), &containers, &err) < 0)
        return fail(err), 1;
    printf("%-15s %-9s %-9s %-9s %s\n", "TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE");
    df_row("Images", &images);
    df_row("Containers", &containers);
    return 0;
}

/* ---- prune --------------------------------------------------------------------------------------------------------- */

static bool sure(bool force, const char *what)
{
    char answer[16] = "";

    if (force)
        return true;
    printf("WARNING! This will remove:\n%s\nAre you sure you want to continue? [y/N] ", what);
    fflush(stdout);
    return fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

/* "24h", "90m", "1h30m", seconds since 1970, or "2024-05-06[T07:08:09[Z]]": the time in seconds; -1 for none of these. */
static int64_t parse_until(const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'h', 3600}, {'m', 60}, {'s', 1}};
    struct tm tm = {0};
    int64_t ago = 0;
    char *end;

    const char *rest = strptime(text, "%Y-%m-%d", &tm);
    if (rest && *rest == 'T')
        rest = strptime(rest + 1, "%H:%M:%S", &tm);
    if (rest && (!*rest || strcmp(rest, "Z") == 0))
        return timegm(&tm);
    for (const char *at = text; *at;) {
        int64_t number = strtoll(at, &end, 10);
        if (end == at || number < 0 || number > INT32_MAX)
            return !*end && end != text && number > INT32_MAX ? number : -1;
        if (!*end)
            return at == text ? number : -1;
        size_t i = 0;
        while (i < 3 && units[i].unit != *end)
            i++;
        if (i == 3)
            return -1;
        ago += number * units[i].seconds;
        at = end + 1;
    }
    return time(NULL) - ago;
}

struct prune {
    bool all, force, help;
    struct list filters;
    int64_t before; /* seconds; 0: any */
    const char *labels[LIST_MOST + 1];
    bool headed;
};

static int read_prune(int argc, char **argv, struct prune *p, bool images, const char *usage)
{
    const struct flag with_all[] = {
        {'f', "force", FLAG_BOOL, &p->force, "Do not ask"},
        {0, "filter", FLAG_LIST, &p->filters, "until=TIME or label=KEY[=VALUE]"},
        {images ? 'a' : 0, images ? "all" : NULL, FLAG_BOOL, &p->all, "Images with names too"},
        {0},
    };
    size_t n = 0;
    int first = read_flags(argc, argv, with_all, true, usage);

    if (first < 0)
        return -1;
    if (first < argc)
        return fail_text("\"%s\" takes no arguments.", usage), -1;
    for (size_t i = 0; i < p->filters.n; i++) {
        const char *f = p->filters.items[i];
        if (strncmp(f, "label=", 6) == 0 && images)
            p->labels[n++] = f + 6;
        else if (strncmp(f, "until=", 6) != 0 || (p->before = parse_until(f + 6)) <= 0)
            return fail_text("invalid filter '%s'", f), -1;
    }
    return store() ? 0 : -1;
}

static void head(struct prune *p, const char *text)
{
    if (!p->headed)
        printf("%s\n", text);
    p->headed = true;
}

static void container_gone(const char *id, void *data)
{
    head(data, "Deleted Containers:");
    printf("%s\n", id);
}

static void image_gone(enum box_image_removed kind, const char *what, void *data)
{
    char *familiar = NULL;

    head(data, "Deleted Images:");
    if (kind == BOX_IMAGE_REMOVED_NAME)
        box_image_familiar_name(what, &familiar, NULL);
    printf("%s: %s\n", kind == BOX_IMAGE_REMOVED_NAME ? "untagged" : "deleted", familiar ? familiar : what);
    free(familiar);
}

static int prune_containers(struct prune *p, uint64_t *bytes)
{
    box_error *err = NULL;
    uint64_t freed = 0;

    p->headed = false;
    int r = box_container_prune(store(), p->before * 1000000000, container_gone, p, &freed, &err);
    *bytes += freed;
    if (p->headed)
        putchar('\n');
    return r < 0 ? (fail(err), 1) : 0;
}

static int prune_images(struct prune *p, uint64_t *bytes)
{
    box_image_prune_options options = BOX_IMAGE_PRUNE_INIT;
    box_store_freed freed = {0};
    box_error *err = NULL;

    options.all = p->all;
    options.before = p->before;
    options.labels = p->labels[0] ? p->labels : NULL;
    p->headed = false;
    int r = box_image_prune(store(), &options, image_gone, p, &freed, &err);
    *bytes += freed.bytes;
    if (p->headed)
        putchar('\n');
    return r < 0 ? (fail(err), 1) : 0;
}

static int reclaimed(uint64_t bytes)
{
    char *text = format_size((double)bytes, false);

    printf("Total reclaimed space: %s\n", text ? text : "");
    free(text);
    return 0;
}

int verb_container_prune(int argc, char **argv)
{
    struct prune p = {0};
    uint64_t bytes = 0;

    if (read_prune(argc, argv, &p, false, "container prune [OPTIONS]") < 0)
        return EXIT_BOX;
    if (!sure(p.force, "  - all stopped containers\n"))
        return 0;
    return prune_containers(&p, &bytes) || reclaimed(bytes);
}

int verb_image_prune(int argc, char **argv)
{
    struct prune p = {0};
    uint64_t bytes = 0;

    if (read_prune(argc, argv, &p, true, "image prune [OPTIONS]") < 0)
        return EXIT_BOX;
    if (!sure(p.force, p.all ? "  - all images without at least one container associated to them\n" : "  - all dangling images\n"))
        return 0;
    return prune_images(&p, &bytes) || reclaimed(bytes);
}

static int system_prune(int argc, char **argv)
{
    struct prune p = {0};
    uint64_t bytes = 0;

    if (read_prune(argc, argv, &p, true, "system prune [OPTIONS]") < 0)
        return EXIT_BOX;
    if (!sure(p.force, p.all ? "  - all stopped containers\n  - all images without at least one container associated to them\n"
                             : "  - all stopped containers\n  - all dangling images\n"))
        return 0;
    return prune_containers(&p, &bytes) || prune_images(&p, &bytes) || reclaimed(bytes);
}

/* ---- verify ----------------------------------------------------------------------------------------------------------- */

static void show_damage(const char *what, const char *why, void *data)
{
    (void)data;
    printf("%s: %s\n", what, why);
}

static int check(int argc, char **argv)
{
    bool repair = false;
    const struct flag flags[] = {{0, "repair", FLAG_BOOL, &repair, "Mend what can be mended, take away what cannot"}, {0}};
    box_error *err = NULL;

    if (read_flags(argc, argv, flags, true, "system check [OPTIONS]") < 0 || !store())
        return EXIT_BOX;
    int r = repair ? box_store_repair(store(), show_damage, NULL, &err) : box_store_verify(store(), show_damage, NULL, &err);
    return r < 0 ? (fail(err), 1) : 0;
}

/* What box_store_get() and box_store_set() have: one setting is shown, or changed. */
static int setting(int argc, char **argv)
{
    static const char usage[] = "system setting KEY [VALUE]";
    const struct flag flags[] = {{0}};
    box_error *err = NULL;
    char *value = NULL;
    int first = read_flags(argc, argv, flags, true, usage);

    if (first < 0)
        return EXIT_BOX;
    if (argc - first < 1 || argc - first > 2) {
        fprintf(stderr, "Usage: box %s\n", usage);
        return 1;
    }
    if (!store())
        return EXIT_BOX;
    if (argc - first == 2)
        return box_store_set(store(), argv[first], argv[first + 1], &err) < 0 ? (fail(err), 1) : 0;
    if (box_store_get(store(), argv[first], &value, &err) < 0)
        return fail(err), 1;
    puts(value);
    free(value);
    return 0;
}

/* ---- Waiting for the disk ---- */

/* One that was removed meanwhile is not made anew. */
static int sync_existing(const char *root, const char *runroot, box_error **err)
{
    box_store *existing = NULL;
    int r = box_store_open(root, runroot, BOX_STORE_EXISTING, &existing, err);

    if (r == 0)
        r = box_store_sync(existing, err);
    box_store_free(existing);
    return r;
}

static int sync_store(int argc, char **argv)
{
    const struct flag flags[] = {{0}};
    box_error *err = NULL;

    if (read_flags(argc, argv, flags, true, "system sync") < 0)
        return EXIT_BOX;
    return sync_existing(globals.root, globals.runroot, &err) < 0 ? (fail(err), 1) : 0;
}

/* A process of its own, with nothing of the terminal's or the caller's: a pipe that it held would not end, a directory
 * not be unmounted. It goes on in this program: what would have to be found to start another one, /proc or a library by a
 * relative path, may not be there. The paths of an open store are absolute. */
__attribute__((noreturn)) static void become_sync(void)
{
    int null = open("/dev/null", O_RDWR);

    setsid();
    if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || fork() != 0 || chdir("/") < 0)
        _exit(0);
    if (close_range(3, ~0u, 0) < 0)
        for (int fd = 3; fd < 1024; fd++)
            close(fd);
    _exit(sync_existing(box_store_root(store()), box_store_runroot(store()), NULL) < 0);
}

/* The first process of a container takes all others with it when it ends: it has to wait itself. */
void sync_in_background(void)
{
    pid_t child = getpid() == 1 ? -1 : fork();
    box_error *err = NULL;

    if (child == 0)
        become_sync();
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    if (child < 0 && box_store_sync(store(), &err) < 0)
        fail(err);
}

int verb_system(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(int, char **);
    } verbs[] = {{"df", df}, {"prune", system_prune}, {"check", check}, {"setting", setting}, {"sync", sync_store}};

    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    fprintf(argc > 1 && strcmp(argv[1], "--help") == 0 ? stdout : stderr,
            "Usage: box system COMMAND\n\n  df      What images and containers take on disk\n"
            "  prune   Remove stopped containers and images of no use\n"
            "  check   Look for damage in the store, and repair it\n"
            "  setting Show or change how the store works: layers = auto | tree | erofs\n"
            "  sync    Wait until all images are on disk\n");
    return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 1;
}
