/* run, create, start, exec: the verbs that make processes. */
#include "box.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* An image of the store, or an archive or directory named by a path, which is loaded first. */
static box_image *find_image(const char *name)
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
    if (box_image_open(store(), name, &image, &err) < 0) {
        if (box_error_code(err) == BOX_ENOTFOUND) {
            fprintf(stderr, "Unable to find image '%s' locally\n", name);
            box_error_free(err);
        } else {
            fail(err);
        }
    }
    return image;
}

static int write_cidfile(const char *path, const char *id)
{
    FILE *f = fopen(path, "wxe");

    if (!f)
        return fail_text("Container ID file %s: %s.", path, strerror(errno));
    fprintf(f, "%s", id);
    return fclose(f) == 0 ? 0 : EXIT_BOX;
}

static box_container *make_container(int argc, char **argv, struct run_options *o, const char *usage, int *code)
{
    box_container *c = NULL;
    box_error *err = NULL;

    *code = EXIT_BOX;
    int first = read_run_options(argc, argv, o, usage);
    if (first < 0)
        return NULL;
    if (first >= argc) {
        fprintf(stderr, "box: '%s' requires at least 1 argument.\nSee 'box %s --help'.\n", argv[0], argv[0]);
        *code = 1;
        return NULL;
    }
    box_image *image = store() ? find_image(argv[first]) : NULL;
    if (!image)
        return NULL;
    box_spec *spec = make_spec(o, image, argv + first + 1, &err);
    if (!spec || box_container_create(store(), o->name, image, spec, o->remove ? BOX_CONTAINER_AUTO_REMOVE : 0, &c, &err) < 0) {
        if (err)
            *code = fail(err);
        c = NULL;
    }
    box_spec_free(spec);
    box_image_free(image);
    if (c && o->cidfile && write_cidfile(o->cidfile, box_container_id(c)) != 0) {
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
        box_container_free(c);
        return NULL;
    }
    return c;
}

static box_stdio *make_stdio(bool tty, bool interactive, box_error **err)
{
    box_stdio *io = box_stdio_new();
    unsigned short rows, columns;

    if (!io)
        return NULL;
    terminal_size(&rows, &columns);
    int r = tty ? box_stdio_set_pty(io, rows, columns, err) : 0;
    if (!tty && interactive)
        r = box_stdio_set_fd(io, 0, 0, err);
    for (int i = 1; i < 3 && !tty && r >= 0; i++)
        r = box_stdio_set_fd(io, i, i, err);
    if (r < 0) {
        box_stdio_free(io);
        return NULL;
    }
    return io;
}

static int check_tty(const struct run_options *o)
{
    if (o->tty && o->interactive && !o->detach && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "the input device is not a TTY\n");
        return 1;
    }
    return 0;
}

/* What a failed start leaves: with --rm nothing, otherwise a container that was made and never ran. */
static int start_failed(box_container *c, bool remove, box_error *err)
{
    int code = fail(err);

    if (remove)
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
    return code;
}

static int run_attached(box_container *c, const struct run_options *o)
{
    box_error *err = NULL;
    box_stdio *io = make_stdio(o->tty, o->interactive, &err);
    int code;

    if (!io)
        return fail(err);
    if (box_container_start(c, io, &err) < 0) {
        code = start_failed(c, o->remove, err);
    } else {
        code = follow(box_container_process(c), o->tty, o->interactive);
        if (box_container_wait(c, -1, &err) < 0)
            code = fail(err);
    }
    box_stdio_free(io);
    return code;
}

int verb_run(int argc, char **argv)
{
    struct run_options o = {0};
    box_error *err = NULL;
    int code;
    box_container *c = make_container(argc, argv, &o, "run [OPTIONS] IMAGE [COMMAND] [ARG...]", &code);

    if (!c)
        return code;
    if (check_tty(&o) != 0) {
        box_container_remove(c, 0, NULL);
        code = 1;
    } else if (!o.detach) {
        code = run_attached(c, &o);
    } else if (box_container_start_detached(c, &err) < 0) {
        code = start_failed(c, o.remove, err);
    } else {
        printf("%s\n", box_container_id(c));
        code = 0;
    }
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

int verb_start(int argc, char **argv)
{
    bool attach = false, interactive = false;
    const struct flag flags[] = {
        {'a', "attach", FLAG_BOOL, &attach, "Follow it to its end"},
        {'i', "interactive", FLAG_BOOL, &interactive, "Hand standard input over"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "start [OPTIONS] CONTAINER [CONTAINER...]"), code = 0;

    if (first < 0 || first >= argc)
        return first < 0 ? EXIT_BOX : fail_text("'start' requires at least 1 argument."), 1;
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        box_container *c = open_container(argv[i]);
        if (!c) {
            code = 1;
            continue;
        }
        if (attach || interactive) {
            struct run_options o = {.interactive = interactive, .tty = box_spec_get_terminal(box_container_spec(c))};
            code = run_attached(c, &o);
        } else if (box_container_start_detached(c, &err) < 0) {
            fail(err);
            code = 1;
        } else {
            printf("%s\n", argv[i]);
        }
        box_container_free(c);
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
    box_error *err = NULL;
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_stdio *io = o->detach ? box_stdio_new() : make_stdio(o->tty, o->interactive, &err);
    int code;

    if (!io || exec_spec(c, o, args, &spec, &err) < 0 || box_container_exec(c, spec, io, &process, &err) < 0) {
        int because = box_error_code(err);
        code = fail(err);
        if (because == BOX_ESTATE)
            code = 1;
    } else if (o->detach) {
        box_process_detach(process);
        code = 0;
    } else {
        code = follow(process, o->tty, o->interactive);
    }
    box_process_free(process);
    box_spec_free(spec);
    box_stdio_free(io);
    return code;
}

int verb_exec(int argc, char **argv)
{
    struct exec_options o = {0};
    const struct flag flags[] = {
        {'i', "interactive", FLAG_BOOL, &o.interactive, "Keep standard input open"},
        {'t', "tty", FLAG_BOOL, &o.tty, "Give it a terminal"},
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
        return fail_text("'exec' requires at least 2 arguments."), 1;
    if (o.tty && o.interactive && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "the input device is not a TTY\n");
        return 1;
    }
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    int code = exec_in(c, &o, argv + first + 1);
    box_container_free(c);
    return code;
}
