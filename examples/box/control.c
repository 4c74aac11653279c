/* Verbs that act on containers by name, one after the other. */
#include "run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether a container that is not there is no error: rm -f. */
static bool forgiving;

/* Runs `act` on each named container and prints the name it was given; 1 if any failed. */
static int each(int argc, char **argv, int first, int (*act)(box_container *, const void *, box_error **), const void *arg)
{
    int code = 0;

    if (first < 0)
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        box_container *c = open_container(argv[i]);
        if (!c) {
            code = forgiving ? code : 1;
            continue;
        }
        if (act(c, arg, &err) < 0) {
            if (err)
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
    int signal;
    bool given; /* or the container's own */
    int seconds;
};

static int stop_one(box_container *c, const void *arg, box_error **err)
{
    const struct stop_options *o = arg;
    int seconds = o->given ? o->seconds : box_container_stop_timeout(c);

    return box_container_stop(c, o->signal, seconds < 0 ? -1 : seconds > 1000000 ? 1000000000 : seconds * 1000, err);
}

/* An exit code. */
static int read_stop_options(const char *seconds, const char *signal, struct stop_options *o)
{
    char *end = NULL;

    o->signal = signal ? signal_number(signal) : 0;
    o->given = seconds;
    o->seconds = seconds ? (int)strtol(seconds, &end, 10) : 0;
    if (seconds && (end == seconds || *end))
        return fail_text("invalid argument \"%s\" for \"-t, --time\": a number of seconds is wanted.", seconds);
    return o->signal < 0 ? (fail_text("Invalid signal: %s.", signal), 1) : 0;
}

int verb_stop(int argc, char **argv)
{
    const char *seconds = NULL, *signal = NULL;
    const struct flag flags[] = {
        {'t', "time", FLAG_TEXT, &seconds, "SECONDS to wait before it is killed; -1: for ever"},
        {0, "timeout", FLAG_TEXT, &seconds, "as --time"},
        {'s', "signal", FLAG_TEXT, &signal, "SIGNAL in place of the image's"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "stop [OPTIONS] CONTAINER [CONTAINER...]");
    struct stop_options o;
    int code = first < 0 ? EXIT_BOX : read_stop_options(seconds, signal, &o);

    return code ? code : each(argc, argv, first, stop_one, &o);
}

static int restart_one(box_container *c, const void *arg, box_error **err)
{
    int r = stop_one(c, arg, err);

    if (r < 0)
        return r;
    return start_in_background(c) == 0 ? 0 : BOX_ESTART;
}

int verb_restart(int argc, char **argv)
{
    const char *seconds = NULL, *signal = NULL;
    const struct flag flags[] = {
        {'t', "time", FLAG_TEXT, &seconds, "SECONDS to wait before it is killed; -1: for ever"},
        {0, "timeout", FLAG_TEXT, &seconds, "as --time"},
        {'s', "signal", FLAG_TEXT, &signal, "SIGNAL in place of the image's"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "restart [OPTIONS] CONTAINER [CONTAINER...]");
    struct stop_options o;
    int code = first < 0 ? EXIT_BOX : read_stop_options(seconds, signal, &o);

    return code ? code : each(argc, argv, first, restart_one, &o);
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
        return fail_text("Invalid signal: %s.", name), 1;
    return each(argc, argv, first, kill_one, &signal);
}

struct rm_options {
    bool force, volumes;
};

static int remove_one(box_container *c, const void *arg, box_error **err)
{
    const struct rm_options *o = arg;
    char **volumes = o->volumes ? anonymous_volumes(box_container_spec(c)) : NULL;
    int r = box_container_remove(c, o->force ? BOX_CONTAINER_FORCE : 0, err);

    if (r >= 0)
        remove_anonymous_volumes(volumes);
    else
        box_strings_free(volumes);
    return r;
}

int verb_rm(int argc, char **argv)
{
    struct rm_options o = {0};
    const struct flag flags[] = {
        {'f', "force", FLAG_BOOL, &o.force, "Kill it first when it runs; no error when it is not there"},
        {'v', "volumes", FLAG_BOOL, &o.volumes, "Its volumes without a name go with it"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "rm [OPTIONS] CONTAINER [CONTAINER...]"), code;

    forgiving = o.force;
    code = each(argc, argv, first, remove_one, &o);
    forgiving = false;
    return code;
}

int verb_rename(int argc, char **argv)
{
    static const struct flag nothing[] = {{0}};
    int first = read_flags(argc, argv, nothing, true, "rename CONTAINER NEW_NAME");
    box_error *err = NULL;

    if (first < 0)
        return EXIT_BOX;
    if (first + 2 != argc)
        return wrong_count(argv[0], "requires exactly 2 arguments");
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    int code = box_container_rename(c, argv[first + 1], &err) < 0 ? (fail(err), 1) : 0;
    box_container_free(c);
    return code;
}

/* Without a network but none and the host's, nothing is published. */
int verb_port(int argc, char **argv)
{
    static const struct flag nothing[] = {{0}};
    int first = read_flags(argc, argv, nothing, true, "port CONTAINER [PORT[/PROTOCOL]]"), code = 0;

    if (first < 0)
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    if (first + 1 < argc) {
        bool protocol = strchr(argv[first + 1], '/');
        fprintf(stderr, "Error: No public port '%s%s' published for %s\n", argv[first + 1], protocol ? "" : "/tcp", argv[first]);
        code = 1;
    }
    box_container_free(c);
    return code;
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
        {0, "cpu-period", FLAG_TEXT, &o.cpu_period, "MICROSECONDS"},
        {0, "cpu-quota", FLAG_TEXT, &o.cpu_quota, "MICROSECONDS"},
        {0, "cpuset-cpus", FLAG_TEXT, &o.cpuset_cpus, "LIST"},
        {0, "cpuset-mems", FLAG_TEXT, &o.cpuset_mems, "LIST"},
        {0, "pids-limit", FLAG_TEXT, &o.pids_limit, "NUMBER"},
        {0, "blkio-weight", FLAG_TEXT, &o.blkio_weight, "NUMBER"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "update [OPTIONS] CONTAINER [CONTAINER...]"), code;
    bool given = false;

    for (const struct flag *f = flags; f->value; f++)
        given |= *(const char **)f->value != NULL;
    if (first < 0)
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    if (!given)
        return fail_text("you must provide one or more flags when using this command."), 1;
    box_limits *limits = box_limits_new(&err);

    if (!limits)
        return fail(err);
    code = add_limits(limits, &o, &err) < 0 ? ((void)(err && fail(err)), 1) : each(argc, argv, first, update_one, limits);
    box_limits_free(limits);
    return code;
}

int verb_wait(int argc, char **argv)
{
    int first = read_flags(argc, argv, none, true, "wait CONTAINER [CONTAINER...]"), code = 0;

    if (first < 0 || first >= argc)
        return first < 0 ? EXIT_BOX : wrong_count(argv[0], "requires at least 1 argument");
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

/* Where the last lines begin, so many of them. */
static off_t last_lines(int fd, long lines)
{
    char buffer[4096];
    off_t end = lseek(fd, 0, SEEK_END), at = end;
    long seen = 0;

    while (at > 0) {
        size_t n = at < (off_t)sizeof(buffer) ? (size_t)at : sizeof(buffer);
        if (pread(fd, buffer, n, at - (off_t)n) != (ssize_t)n)
            return 0;
        for (size_t i = n; i-- > 0;)
            if (buffer[i] == '\n' && at - (off_t)n + (off_t)i + 1 < end && ++seen == lines)
                return at - (off_t)n + (off_t)i + 1;
        at -= (off_t)n;
    }
    return 0;
}

static void print_log(box_container *c, long lines, bool following)
{
    char buffer[65536];
    ssize_t n;
    int fd = open(box_container_log_path(c), O_RDONLY | O_CLOEXEC);
    bool running = true;

    if (fd >= 0 && lines >= 0)
        lseek(fd, lines ? last_lines(fd, lines) : 0, lines ? SEEK_SET : SEEK_END);
    while (fd >= 0) {
        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
            fwrite(buffer, 1, (size_t)n, stdout);
        if (fflush(stdout) != 0 || !following || !running)
            break;
        running = box_container_wait(c, 100, NULL) == BOX_ETIMEOUT;
    }
    if (fd >= 0)
        close(fd);
}

int verb_logs(int argc, char **argv)
{
    bool following = false;
    const char *tail = "all";
    const struct flag flags[] = {
        {'f', "follow", FLAG_BOOL, &following, "Go on until it ends"},
        {'n', "tail", FLAG_TEXT, &tail, "NUMBER of the last lines, or all"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "logs [OPTIONS] CONTAINER");
    char *end;

    if (first < 0)
        return EXIT_BOX;
    if (first + 1 != argc)
        return wrong_count(argv[0], "requires exactly 1 argument");
    long lines = strtol(tail, &end, 10);
    if (strcmp(tail, "all") == 0)
        lines = -1;
    else if (end == tail || *end)
        return fail_text("invalid value for --tail: %s.", tail), 1;
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    print_log(c, lines, following);
    box_container_free(c);
    return 0;
}
