/* run, create, start, exec: the verbs that make processes. */
#include "run.h"
#include "registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* An image of the store or of a registry, or an archive or directory named by a path, which is loaded first. */
static box_image *find_image(const char *name, const struct run_options *o)
{
    box_image *image = NULL;
    box_error *err = NULL;

    if (strchr(name, '/') && (name[0] == '/' || name[0] == '.') && access(name, F_OK) == 0) {
        box_image_list *list = NULL;
        if (box_image_load(store(), name, NULL, &list, &err) < 0) {
            fail(err);
            return NULL;
        }
        image = box_image_list_take(list, 0);
        box_image_list_free(list);
        return image;
    }
    return image_for_run(name, o->pull, o->platform, o->quiet);
}

/* A file that is there already is not written over: it may be another container's. */
static int open_cidfile(const char *path, FILE **f)
{
    *f = path ? fopen(path, "wxe") : NULL;
    if (!path || *f)
        return 0;
    if (errno == EEXIST)
        return fail_text("Container ID file found, make sure the other container isn't running or delete %s.", path);
    return fail_text("Failed to create the container ID file: open %s: %s.", path, strerror(errno));
}

static int write_cidfile(FILE *f, const char *path, const box_container *c)
{
    if (!f)
        return 0;
    if (c)
        fprintf(f, "%s", box_container_id(c));
    bool good = fclose(f) == 0;
    if (!c)
        unlink(path);
    return good ? 0 : fail_text("write %s: %s.", path, strerror(errno));
}

static bool has_platform(const box_image *image, const char *asked, const char *wanted)
{
    char *have = print("%s/%s", box_image_os(image), box_image_architecture(image)), *variant = have;

    if (*box_image_variant(image)) {
        variant = print("%s/%s", have, box_image_variant(image));
        if (variant && strcmp(wanted, variant) == 0)
            wanted = have;
    }
    bool same = have && (strcmp(wanted, have) == 0 || strcmp(wanted, box_image_os(image)) == 0);
    if (!same)
        fail_text("image with reference %s was found but does not match the specified platform: wanted %s, actual: %s.", asked, wanted,
                  variant ? variant : "");
    if (variant != have)
        free(variant);
    free(have);
    return same;
}

/* ---- what Docker writes into the container's own files ---------------------------------------------------------------------- */

static FILE *open_own_file(const box_container *c, const char *name, const char *mode)
{
    char *path = print("%s/containers/%s/%s", box_store_root(store()), box_container_id(c), name);
    FILE *f = path ? fopen(path, mode) : NULL;

    free(path);
    return f;
}

static int write_hosts(const box_container *c, const struct list *hosts)
{
    FILE *f = hosts->n ? open_own_file(c, "hosts", "ae") : NULL;
    int code = 0;

    for (size_t i = 0; f && i < hosts->n; i++) {
        size_t n = strcspn(hosts->items[i], ":=");
        if (!n || !hosts->items[i][n] || !hosts->items[i][n + 1])
            code = fail_text("bad format for add-host: \"%s\": NAME:ADDRESS is wanted.", hosts->items[i]);
        else
            fprintf(f, "%s\t%.*s\n", hosts->items[i] + n + 1, (int)n, hosts->items[i]);
    }
    if (f && fclose(f) != 0)
        code = EXIT_BOX;
    return code;
}

static int write_resolver(const box_container *c, const struct run_options *o)
{
    FILE *f = o->dns.n + o->dns_search.n + o->dns_option.n ? open_own_file(c, "resolv.conf", o->dns.n ? "we" : "ae") : NULL;

    for (size_t i = 0; f && i < o->dns_search.n; i++)
        fprintf(f, "%s%s%s", i ? " " : "search ", o->dns_search.items[i], i + 1 == o->dns_search.n ? "\n" : "");
    for (size_t i = 0; f && i < o->dns.n; i++)
        fprintf(f, "nameserver %s\n", o->dns.items[i]);
    for (size_t i = 0; f && i < o->dns_option.n; i++)
        fprintf(f, "%s%s%s", i ? " " : "options ", o->dns_option.items[i], i + 1 == o->dns_option.n ? "\n" : "");
    return f && fclose(f) != 0 ? EXIT_BOX : 0;
}

/* ---- making one ----------------------------------------------------------------------------------------------------------------- */

static int fill_options(const struct run_options *o, const char *image, box_container_options *out)
{
    bool path = image[0] == '/' || image[0] == '.';
    char *end = NULL;

    out->name = o->name;
    out->image_name = path ? NULL : image;
    out->flags = (o->remove ? BOX_CONTAINER_AUTO_REMOVE : 0) | (o->interactive ? BOX_CONTAINER_OPEN_STDIN : 0);
    out->stop_signal = o->stop_signal;
    if (o->stop_timeout)
        out->stop_timeout = (int)strtol(o->stop_timeout, &end, 10);
    return !end || (end != o->stop_timeout && !*end)
               ? 0
               : fail_text("invalid argument \"%s\" for \"--stop-timeout\": a number of seconds is wanted.", o->stop_timeout);
}

static box_container *create(const struct run_options *o, const box_image *const_image, const char *name, char **command, int *code)
{
    box_container_options options = BOX_CONTAINER_OPTIONS_INIT;
    box_container *c = NULL;
    box_error *err = NULL;
    box_image *image = (box_image *)(uintptr_t)const_image;

    if (fill_options(o, name, &options) != 0)
        return NULL;
    box_spec *spec = make_spec(o, image, command, &err);
    if (!spec || box_container_create_with(store(), image, spec, &options, &c, &err) < 0) {
        if (spec)
            remove_anonymous_volumes(anonymous_volumes(spec));
        if (err)
            *code = fail(err);
        c = NULL;
    }
    box_spec_free(spec);
    if (c && (write_hosts(c, &o->add_host) != 0 || write_resolver(c, o) != 0)) {
        box_container_remove(c, 0, NULL);
        box_container_free(c);
        c = NULL;
    }
    return c;
}

static box_container *make_container(int argc, char **argv, struct run_options *o, const char *usage, int *code)
{
    FILE *cidfile = NULL;

    *code = EXIT_BOX;
    int first = read_run_options(argc, argv, o, usage);
    if (first < 0)
        return NULL;
    if (first >= argc) {
        *code = wrong_count(argv[0], "requires at least 1 argument");
        return NULL;
    }
    if (!store() || open_cidfile(o->cidfile, &cidfile) != 0)
        return NULL;
    box_image *image = find_image(argv[first], o);
    box_container *c = NULL;
    if (image && (!o->platform || has_platform(image, argv[first], o->platform)))
        c = create(o, image, argv[first], argv + first + 1, code);
    box_image_free(image);
    if (write_cidfile(cidfile, o->cidfile, c) != 0 && c) {
        box_container_remove(c, 0, NULL);
        box_container_free(c);
        c = NULL;
    }
    return c;
}

/* ---- starting it ------------------------------------------------------------------------------------------------------------------ */

static bool is_attached(const struct list *streams, const char *name)
{
    for (size_t i = 0; i < streams->n; i++)
        if (strcasecmp(streams->items[i], name) == 0)
            return true;
    return !streams->n;
}

static box_stdio *make_stdio(bool tty, bool interactive, const struct list *streams, box_error **err)
{
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    box_stdio *io = box_stdio_new();
    unsigned short rows, columns;

    if (!io)
        return NULL;
    terminal_size(&rows, &columns);
    int r = tty ? box_stdio_set_pty(io, rows, columns, err) : 0;
    for (int i = interactive ? 0 : 1; i < 3 && !tty && r >= 0; i++)
        if (is_attached(streams, names[i]))
            r = box_stdio_set_fd(io, i, i, err);
    if (r < 0) {
        box_stdio_free(io);
        return NULL;
    }
    return io;
}

static int check_tty(bool tty, bool interactive, bool detach)
{
    if (tty && interactive && !detach && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "the input device is not a TTY\n");
        return 1;
    }
    return 0;
}

/* Its streams are this program's own, and it ends with this program. Signals are held back from before the start, so that
 * one that comes at once is passed on as well. */
static int run_directly(box_container *c, bool interactive, const struct list *streams)
{
    box_error *err = NULL;
    box_stdio *io = make_stdio(false, interactive, streams, &err);
    sigset_t before;
    int code;

    if (!io)
        return fail(err);
    int held = open_signals(&before);
    if (box_container_start(c, io, &err) < 0) {
        code = fail(err);
    } else {
        code = follow(box_container_process(c), false, interactive);
        if (box_container_wait(c, -1, &err) < 0)
            code = fail(err);
    }
    if (held >= 0)
        close(held);
    sigprocmask(SIG_SETMASK, &before, NULL);
    box_stdio_free(io);
    return code;
}

static int run_attached(box_container *c, const struct attach_options *o, const struct list *streams)
{
    int client = -1, code;

    if (!o->tty && o->sig_proxy)
        return run_directly(c, o->interactive, streams);
    code = start_kept(c, o->tty, o->interactive, &client);
    return code ? code : take_part(c, client, o);
}

int start_in_background(box_container *c)
{
    char **volumes = box_container_auto_remove(c) ? anonymous_volumes(box_container_spec(c)) : NULL;
    bool cleaning = volumes && *volumes;
    box_error *err = NULL;

    box_strings_free(volumes);
    if (box_container_open_stdin(c) || cleaning)
        return start_kept(c, box_spec_get_terminal(box_container_spec(c)), box_container_open_stdin(c), NULL);
    return box_container_start_detached(c, &err) < 0 ? fail(err) : 0;
}

/* With --rm a failed start leaves nothing, otherwise a container that was made and never ran. */
static void clean_up(box_container *c, char **volumes)
{
    box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
    remove_anonymous_volumes(volumes);
}

int verb_run(int argc, char **argv)
{
    struct run_options o = {0};
    int code;
    box_container *c = make_container(argc, argv, &o, "run [OPTIONS] IMAGE [COMMAND] [ARG...]", &code);

    if (!c)
        return code;
    struct attach_options attach = {o.tty, o.interactive && is_attached(&o.attach, "stdin"), o.sig_proxy, false, o.detach_keys};
    char **volumes = o.remove ? anonymous_volumes(box_container_spec(c)) : NULL;
    if ((code = check_tty(o.tty, o.interactive, o.detach)) != 0) {
        clean_up(c, volumes);
        volumes = NULL;
    } else if (!o.detach) {
        code = run_attached(c, &attach, &o.attach);
    } else if ((code = start_in_background(c)) == 0) {
        printf("%s\n", box_container_id(c));
    }
    if (o.remove && (box_container_refresh(c, NULL) < 0 || !box_container_pid(c)))
        clean_up(c, volumes);
    else
        box_strings_free(volumes);
    box_container_free(c);
    return code;
}

int verb_create(int argc, char **argv)
{
    struct run_options o = {0};
    int code;
    box_container *c = make_container(argc, argv, &o, "create [OPTIONS] IMAGE [COMMAND] [ARG...]", &code);

    if (!c)
        return code;
    printf("%s\n", box_container_id(c));
    box_container_free(c);
    return 0;
}

static int start_one(const char *name, const struct attach_options *o, bool attach)
{
    static const struct list all;
    box_container *c = open_container(name);
    int code = 1;

    if (!c)
        return 1;
    struct attach_options options = *o;
    options.tty = box_spec_get_terminal(box_container_spec(c));
    if (box_container_pid(c)) { /* Docker's start of one that runs does nothing */
        code = 0;
        printf("%s\n", name);
    } else if (attach) {
        code = check_tty(options.tty, options.interactive, false);
        if (code == 0)
            code = run_attached(c, &options, &all);
    } else if ((code = start_in_background(c)) == 0) {
        printf("%s\n", name);
    } else {
        code = 1;
    }
    box_container_free(c);
    return code;
}

int verb_start(int argc, char **argv)
{
    struct attach_options o = {.sig_proxy = true};
    bool attach = false;
    const struct flag flags[] = {
        {'a', "attach", FLAG_BOOL, &attach, "Follow it to its end"},
        {0, "detach-keys", FLAG_TEXT, &o.detach_keys, "KEYS for leaving it, such as ctrl-p,ctrl-q"},
        {'i', "interactive", FLAG_BOOL, &o.interactive, "Hand standard input over"},
        {0, "sig-proxy", FLAG_BOOL, &o.sig_proxy, "Pass signals on (true)"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "start [OPTIONS] CONTAINER [CONTAINER...]"), code = 0;

    if (first < 0)
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    if (o.detach_keys && !check_detach_keys(o.detach_keys))
        return fail_text("invalid detach keys: %s.", o.detach_keys), 1;
    attach |= o.interactive;
    if (attach && first + 1 < argc)
        return fail_text("you cannot start and attach multiple containers at once."), 1;
    for (int i = first; i < argc; i++) {
        int one = start_one(argv[i], &o, attach);
        if (one)
            code = one;
    }
    return code;
}

/* ---- exec ----------------------------------------------------------------------------------------------------------- */

struct exec_options {
    bool interactive, tty, detach, privileged;
    const char *user, *workdir;
    struct list env, env_file;
};

/* All that this program has to hand on. */
static uint64_t all_capabilities(void)
{
    uint64_t mask = 0;

    for (int i = 0; i <= (int)box_capability_last(); i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            mask |= (uint64_t)1 << i;
    return mask;
}

static int exec_spec(box_container *c, const struct exec_options *o, char **args, box_spec **out, box_error **err)
{
    box_spec *spec = NULL;
    int r = box_container_exec_spec(c, &spec, err);

    *out = spec;
    if (r < 0 || (r = box_spec_set_args(spec, args, err)) < 0)
        return r;
    if ((o->user && (r = box_spec_set_user_name(spec, o->user, err)) < 0) ||
        (o->workdir && (r = box_spec_set_cwd(spec, o->workdir, err)) < 0) ||
        (o->privileged && ((r = box_spec_set_capability_mask(spec, all_capabilities(), err)) < 0 ||
                           (r = box_spec_set_seccomp(spec, NULL, err)) < 0)))
        return r;
    return add_environment(spec, &o->env_file, &o->env, err);
}

static int exec_in(box_container *c, const struct exec_options *o, char **args)
{
    static const struct list all;
    box_error *err = NULL;
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_stdio *io = o->detach ? box_stdio_new() : make_stdio(o->tty, o->interactive, &all, &err);
    sigset_t before;
    int code, held = open_signals(&before);

    if (!io || exec_spec(c, o, args, &spec, &err) < 0 || box_container_exec(c, spec, io, &process, &err) < 0) {
        int because = box_error_code(err);
        code = fail(err);
        if (because == BOX_ESTATE)
            code = 1;
        else if (code == EXIT_BOX) /* as Docker has it: it is the command that cannot be started */
            code = EXIT_NOEXEC;
    } else if (o->detach) {
        box_process_detach(process);
        code = 0;
    } else {
        code = follow(process, o->tty, o->interactive);
    }
    if (held >= 0)
        close(held);
    sigprocmask(SIG_SETMASK, &before, NULL);
    box_process_free(process);
    box_spec_free(spec);
    box_stdio_free(io);
    return code;
}

int verb_exec(int argc, char **argv)
{
    struct exec_options o = {0};
    const char *ignored = NULL;
    const struct flag flags[] = {
        {'i', "interactive", FLAG_BOOL, &o.interactive, "Keep standard input open"},
        {'t', "tty", FLAG_BOOL, &o.tty, "Give it a terminal"},
        {0, "detach-keys", FLAG_TEXT, &ignored, "KEYS; a further process cannot be left alone"},
        {'d', "detach", FLAG_BOOL, &o.detach, "Do not wait for it"},
        {'e', "env", FLAG_LIST, &o.env, "NAME=VALUE"},
        {0, "env-file", FLAG_LIST, &o.env_file, "FILE of such lines"},
        {'u', "user", FLAG_TEXT, &o.user, "USER[:GROUP] of the container"},
        {'w', "workdir", FLAG_TEXT, &o.workdir, "DIR in the container"},
        {0, "privileged", FLAG_BOOL, &o.privileged, "All capabilities, no filter"},
        {0},
    };
    int first = read_flags(argc, argv, flags, false, "exec [OPTIONS] CONTAINER COMMAND [ARG...]");

    if (first < 0)
        return EXIT_BOX;
    if (first + 1 >= argc)
        return wrong_count(argv[0], "requires at least 2 arguments");
    if (check_tty(o.tty, o.interactive, o.detach) != 0)
        return 1;
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    int code = exec_in(c, &o, argv + first + 1);
    box_container_free(c);
    return code;
}
