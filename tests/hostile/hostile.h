/* What the programs here share: a root file system with nothing in it but the payload, and a start whose output, ending
 * and error are kept.
 *
 *     char *root = hostile_root("plain");                          $BOX_TMP/plain, with /bin/payload
 *     box_spec *spec = hostile_spec(root, "fds", NULL);            Docker's defaults, /bin/payload fds
 *     struct outcome o = hostile_run(spec);                        starts, waits, reads; frees the spec
 *     ok(outcome_says(&o, "fds 3"), "…");
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <libbox/box.h>
#include "launch/launch.h"
#include "tap.h"

#define MAY_STAY __attribute__((unused)) static

struct outcome {
    bool started;
    char error[1024]; /* of the start */
    char step[64];
    int code;
    char out[32768];
};

static const char *hostile_tmp(void)
{
    const char *tmp = getenv("BOX_TMP");

    return tmp && *tmp ? tmp : "/tmp";
}

MAY_STAY char *hostile_path(const char *fmt, ...)
{
    char *path = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&path, fmt, ap) < 0)
        abort();
    va_end(ap);
    return path;
}

MAY_STAY void hostile_write(const char *path, const char *text)
{
    FILE *f = fopen(path, "we");

    if (!f || fputs(text, f) < 0 || fclose(f) != 0) {
        diag("cannot write %s: %s", path, strerror(errno));
        exit(99);
    }
}

/* The first bytes of a file, or its error in words. */
MAY_STAY const char *hostile_read(const char *path)
{
    static char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (n < 0)
        return snprintf(text, sizeof(text), "(%s)", strerror(errno)) < 0 ? "" : text;
    close(fd);
    text[n] = '\0';
    return text;
}

static void copy_file(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t n = -1;

    while (in >= 0 && out >= 0 && (n = read(in, buffer, sizeof(buffer))) > 0)
        if (write(out, buffer, (size_t)n) != n)
            break;
    if (n != 0) {
        diag("cannot copy %s to %s: %s", from, to, strerror(errno));
        exit(99);
    }
    close(in);
    close(out);
}

/* A new root below the scratch directory: bin/payload, and the directories that an image has. */
MAY_STAY char *hostile_root(const char *name)
{
    static const char *const directories[] = {"", "/bin", "/etc", "/proc", "/sys", "/dev", "/tmp", "/vol"};
    char *root = hostile_path("%s/%s", hostile_tmp(), name), self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n < 0)
        abort();
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        char *path = hostile_path("%s%s", root, directories[i]);
        mkdir(path, 0755);
        chmod(path, 0755);
        free(path);
    }
    char *from = hostile_path("%s/helper-payload", self), *to = hostile_path("%s/bin/payload", root);
    copy_file(from, to);
    chmod(to, 0755);
    free(from);
    free(to);
    return root;
}

/* What a test cannot go on without. */
MAY_STAY void must(int r, box_error *err, const char *what)
{
    if (r >= 0)
        return;
    diag("%s: %s", what, err ? box_error_message(err) : strerror(errno));
    exit(99);
}

MAY_STAY void set_args(box_spec *spec, const char *first, va_list ap)
{
    char *args[16] = {(char *)"/bin/payload", (char *)first};
    box_error *err = NULL;

    for (size_t n = 2; first && n < 15 && (args[n] = va_arg(ap, char *)); n++)
        continue;
    must(box_spec_set_args(spec, args, &err), err, "set the arguments");
}

__attribute__((unused, sentinel)) static box_spec *hostile_spec(const char *root, const char *first, ...)
{
    box_spec *spec = box_spec_new();
    box_error *err = NULL;
    va_list ap;

    if (!spec)
        abort();
    must(box_spec_set_root(spec, root, &err), err, "set the root");
    va_start(ap, first);
    set_args(spec, first, ap);
    va_end(ap);
    return spec;
}

/* Reads a stream to its end, or for `ms` milliseconds, or up to a text. */
MAY_STAY void read_stream(int fd, char *out, size_t size, int ms, const char *until)
{
    size_t at = strlen(out);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    while (at + 1 < size && poll(&p, 1, ms) > 0) {
        ssize_t n = read(fd, out + at, size - 1 - at);
        if (n <= 0)
            break;
        at += (size_t)n;
        out[at] = '\0';
        if (until && strstr(out, until))
            break;
    }
}

MAY_STAY void keep_error(struct outcome *o, box_error *err)
{
    const char *step = err ? box_error_stage(err) : NULL;

    snprintf(o->error, sizeof(o->error), "%s", err ? box_error_message(err) : "");
    snprintf(o->step, sizeof(o->step), "%s", step ? step : "");
    box_error_free(err);
}

/* features: STAGE_NO_*. Waits a minute at most. */
MAY_STAY struct outcome hostile_run_with(box_spec *spec, uint32_t features)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    struct outcome o = {.code = -1};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_plan *plan = NULL;
    box_error *err = NULL;

    if (!io)
        abort();
    must(box_stdio_set_pipe(io, 1, &err), err, "make a pipe");
    options.io = io;
    options.features = features;
    if (box_plan_new_with(spec, &plan_options, &plan, &err) >= 0 &&
        box_plan_start_with(plan, &options, &process, &err) >= 0) {
        o.started = true;
        read_stream(box_process_stream_fd(process, 1), o.out, sizeof(o.out), 60000, NULL);
        if (box_process_wait_or_kill(process, 60000, &err) >= 0)
            o.code = box_process_ending(process)->code;
    }
    keep_error(&o, err);
    box_process_free(process);
    box_plan_free(plan);
    box_stdio_free(io);
    box_spec_free(spec);
    return o;
}

MAY_STAY struct outcome hostile_run(box_spec *spec)
{
    return hostile_run_with(spec, 0);
}

/* Whether the payload printed this line. */
MAY_STAY bool outcome_says(const struct outcome *o, const char *line)
{
    size_t n = strlen(line);

    for (const char *at = o->out; at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, line, n) == 0 && (at[n] == '\n' || !at[n]))
            return true;
    return false;
}

MAY_STAY void outcome_show(const struct outcome *o)
{
    diag("started: %d, code %d, error: %s", o->started, o->code, o->error);
    const char *at = o->out;
    while (*at) {
        int n = (int)strcspn(at, "\n");
        diag("| %.*s", n, at);
        at += n + (at[n] == '\n');
    }
}

/* ok(), with all that is known when it is not. */
#define CHECK(o, good, ...)            \
    do {                               \
        if (!ok((good) ? 1 : 0, __VA_ARGS__)) \
            outcome_show(o);           \
    } while (0)

#define SAYS(o, line, text) CHECK(o, outcome_says((o), (line)), "%s", (text))

#endif
