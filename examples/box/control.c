/* Verbs that act on containers by name, one after the other. */
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Runs `act` on each named container and prints the name it was given; 1 if any failed. */
static int each(int argc, char **argv, int first, int (*act)(box_container *, const void *, box_error **), const void *arg)
{
    int code = 0;

    if (first < 0)
        return EXIT_BOX;
    if (first >= argc) {
        fprintf(stderr, "box: '%s' requires at least 1 argument.\nSee 'box %s --help'.\n", argv[0], argv[0]);
        return 1;
    }
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        box_container *c = open_container(argv[i]);
        if (!c) {
            code = 1;
            continue;
        }
        if (act(c, arg, &err) < 0) {
            fail(err);
            code = 1;
        } else {
            printf("%s\n", argv[i]);
        }
        box_container_free(c);
    }
    return code;
}

struct stop_options {
    int signal, seconds;
};

static int stop_one(box_container *c, const void *arg, box_error **err)
{
    const struct stop_options *o = arg;

    return box_container_stop(c, o->signal, o->seconds < 0 ? -1 : o->seconds * 1000, err);
}

int verb_stop(int argc, char **argv)
{
    const char *seconds = "10", *signal = NULL;
    const struct flag flags[] = {
        {'t', "time", FLAG_TEXT, &seconds, "SECONDS to wait before it is killed; -1: for ever"},
        {'s', "signal", FLAG_TEXT, &signal, "SIGNAL in place of the image's"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "stop [OPTIONS] CONTAINER [CONTAINER...]");
    struct stop_options o = {signal ? signal_number(signal) : 0, atoi(seconds)};

    if (o.signal < 0)
        return fail_text("Invalid signal: %s", signal), 1;
    return each(argc, argv, first, stop_one, &o);
}

static int kill_one(box_container *c, const void *arg, box_error **err)
{
    int signal = *(const int *)arg, r = box_container_signal(c, signal, err);

    return r < 0 || signal != SIGKILL ? r : box_container_wait(c, 5000, NULL) == BOX_ETIMEOUT ? 0 : r;
}

int verb_kill(int argc, char **argv)
{
    const char *name = "KILL";
    const struct flag flags[] = {{'s', "signal", FLAG_TEXT, &name, "SIGNAL, by name or number"}, {0}};
    int first = read_flags(argc, argv, flags, true, "kill [OPTIONS] CONTAINER [CONTAINER...]"), signal = signal_number(name);

    if (signal < 0)
        return fail_text("Invalid signal: %s", name), 1;
    return each(argc, argv, first, kill_one, &signal);
}

static int remove_one(box_container *c, const void *arg, box_error **err)
{
    return box_container_remove(c, *(const bool *)arg ? BOX_CONTAINER_FORCE : 0, err);
}

int verb_rm(int argc, char **argv)
{
    bool force = false, volumes = false;
    const struct flag flags[] = {
        {'f', "force", FLAG_BOOL, &force, "Kill it first when it runs"},
        {'v', "volumes", FLAG_BOOL, &volumes, "Its anonymous volumes go with it in any case"},
        {0},
    };

    return each(argc, argv, read_flags(argc, argv, flags, true, "rm [OPTIONS] CONTAINER [CONTAINER...]"), remove_one, &force);
}

static int pause_one(box_container *c, const void *arg, box_error **err)
{
    (void)arg;
    return box_container_pause(c, err);
}

static int resume_one(box_container *c, const void *arg, box_error **err)
{
    (void)arg;
    return box_container_resume(c, err);
}

static const struct flag none[] = {{0}};

int verb_pause(int argc, char **argv)
{
    return each(argc, argv, read_flags(argc, argv, none, true, "pause CONTAINER [CONTAINER...]"), pause_one, NULL);
}

int verb_unpause(int argc, char **argv)
{
    return each(argc, argv, read_flags(argc, argv, none, true, "unpause CONTAINER [CONTAINER...]"), resume_one, NULL);
}

static int update_one(box_container *c, const void *arg, box_error **err)
{
    return box_container_update(c, arg, err);
}

int verb_update(int argc, char **argv)
{
    struct run_options o = {0};
    box_error *err = NULL;
    const struct flag flags[] = {
        {'m', "memory", FLAG_TEXT, &o.memory, "SIZE"},
        {0, "memory-swap", FLAG_TEXT, &o.memory_swap, "SIZE of memory and swap together"},
        {0, "memory-reservation", FLAG_TEXT, &o.memory_reservation, "SIZE"},
        {0, "cpus", FLAG_TEXT, &o.cpus, "NUMBER"},
        {'c', "cpu-shares", FLAG_TEXT, &o.cpu_shares, "NUMBER"},
        {0, "cpuset-cpus", FLAG_TEXT, &o.cpuset_cpus, "LIST"},
        {0, "cpuset-mems", FLAG_TEXT, &o.cpuset_mems, "LIST"},
        {0, "pids-limit", FLAG_TEXT, &o.pids_limit, "NUMBER"},
        {0, "blkio-weight", FLAG_TEXT, &o.blkio_weight, "NUMBER"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "update [OPTIONS] CONTAINER [CONTAINER...]"), code;
    box_limits *limits = box_limits_new(&err);

    if (!limits)
        return fail(err);
    int r = first < 0 ? first : add_limits(limits, &o, &err);
    code = first < 0 ? EXIT_BOX : r < 0 ? (err ? fail(err) : EXIT_BOX) : each(argc, argv, first, update_one, limits);
    box_limits_free(limits);
    return code;
}

int verb_wait(int argc, char **argv)
{
    int first = read_flags(argc, argv, none, true, "wait CONTAINER [CONTAINER...]"), code = 0;

    if (first < 0 || first >= argc)
        return first < 0 ? EXIT_BOX : (fail_text("'wait' requires at least 1 argument."), 1);
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        box_container *c = open_container(argv[i]);
        if (!c) {
            code = 1;
            continue;
        }
        if (box_container_wait(c, -1, &err) < 0) {
            fail(err);
            code = 1;
        } else {
            printf("%d\n", box_container_ending(c)->code);
        }
        box_container_free(c);
    }
    return code;
}

int verb_logs(int argc, char **argv)
{
    bool following = false;
    const struct flag flags[] = {{'f', "follow", FLAG_BOOL, &following, "Go on until it ends"}, {0}};
    int first = read_flags(argc, argv, flags, true, "logs [OPTIONS] CONTAINER");
    char buffer[65536];
    ssize_t n;

    if (first < 0 || first + 1 != argc)
        return first < 0 ? EXIT_BOX : (fail_text("'logs' requires 1 argument."), 1);
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    int fd = open(box_container_log_path(c), O_RDONLY | O_CLOEXEC);
    bool running = true;
    while (fd >= 0) {
        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
            fwrite(buffer, 1, (size_t)n, stdout);
        fflush(stdout);
        if (!following || !running)
            break;
        running = box_container_wait(c, 100, NULL) == BOX_ETIMEOUT;
    }
    if (fd >= 0)
        close(fd);
    box_container_free(c);
    return 0;
}

int verb_inspect(int argc, char **argv)
{
    int first = read_flags(argc, argv, none, true, "inspect NAME [NAME...]"), code = 0, shown = 0;

    if (first < 0 || first >= argc)
        return first < 0 ? EXIT_BOX : (fail_text("'inspect' requires at least 1 argument."), 1);
    if (!store())
        return EXIT_BOX;
    printf("[");
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        box_container *c = NULL;
        box_image *image = NULL;
        char *json = NULL;
        if (box_container_open(store(), argv[i], &c, NULL) >= 0) {
            if (box_container_inspect(c, &json, &err) < 0)
                code = fail(err);
            else
                printf("%s\n%s", shown++ ? "," : "", json);
        } else if (box_image_open(store(), argv[i], &image, NULL) >= 0) {
            printf("%s\n{\n  \"Id\": \"%s\",\n  \"Digest\": \"%s\",\n  \"Created\": \"%s\",\n  \"Architecture\": \"%s\",\n"
                   "  \"Os\": \"%s\",\n  \"Size\": %llu,\n  \"Config\": %s\n}",
                   shown++ ? "," : "", box_image_id(image), box_image_digest(image), box_image_created(image),
                   box_image_architecture(image), box_image_os(image), (unsigned long long)box_image_size(image),
                   box_image_config_json(image, NULL));
        } else {
            fprintf(stderr, "Error: No such object: %s\n", argv[i]);
            code = 1;
        }
        free(json);
        box_container_free(c);
        box_image_free(image);
    }
    printf("%s]\n", shown ? "\n" : "");
    return code;
}
