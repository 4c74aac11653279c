/* Turns, medians, the table, the records, and the subjects that need no library. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FLOOR_STACK 65536

int64_t bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t bench_fail(struct subject *s, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(s->why, sizeof(s->why), fmt, ap);
    va_end(ap);
    s->why[strcspn(s->why, "\n")] = 0;
    return -1;
}

struct subject *bench_add(struct group *g, const char *name, int64_t (*run)(struct subject *), void *data)
{
    struct subject *s = &g->subjects[g->n++];

    memset(s, 0, sizeof(*s));
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->run = run;
    s->data = data;
    return s;
}

/* ---- turns
 * ------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static void turn(struct subject *s, unsigned round)
{
    if (s->skipped || (s->every > 1 && round % s->every != 0))
        return;
    int64_t t = s->run(s);
    if (t < 0)
        s->skipped = true; /* a subject that fails once has no honest median */
    else
        s->times[round] = t;
}

static void take_median(struct subject *s, unsigned runs)
{
    int64_t *sorted = calloc(runs, sizeof(*sorted));

    for (unsigned i = 0; sorted && i < runs; i++)
        if (s->times[i])
            sorted[s->n++] = s->times[i];
    if (s->n) {
        qsort(sorted, s->n, sizeof(*sorted), compare);
        s->median = ((double)sorted[(s->n - 1) / 2] + (double)sorted[s->n / 2]) / 2e6;
        s->decile = (double)sorted[(s->n - 1) / 10] / 1e6;
    }
    free(sorted);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* What else the machine does comes and goes; two runs that follow each other mostly meet the same. */
static double paired_ratio(const struct subject *a, const struct subject *b, unsigned runs)
{
    double *ratios = calloc(runs, sizeof(*ratios)), ratio = 0;
    size_t n = 0;

    for (unsigned i = 0; ratios && i < runs; i++)
        if (a->times[i] && b->times[i])
            ratios[n++] = (double)a->times[i] / (double)b->times[i];
    if (n) {
        qsort(ratios, n, sizeof(*ratios), compare_doubles);
        ratio = (ratios[(n - 1) / 2] + ratios[n / 2]) / 2;
    }
    free(ratios);
    return ratio;
}

/* The rows of one of the first subjects, beside each peer. */
static void report_own(const struct group *g, size_t own, unsigned runs, struct output *out)
{
    const struct subject *libbox = &g->subjects[own];
    char name[BENCH_TEXT];

    snprintf(name, sizeof(name), own ? "%s, %s" : "%s", g->name, libbox->name);
    for (size_t i = g->own ? g->own : 1; i < g->n; i++) {
        const struct subject *peer = &g->subjects[i];
        if (libbox->skipped || peer->skipped)
            bench_skip(name, peer->name, libbox->skipped ? libbox->why : peer->why);
        else
            bench_report(out, name, peer->name,
                         &(struct result){libbox->median, peer->median, paired_ratio(libbox, peer, runs),
                                          libbox->decile / peer->decile, "ms", peer->n});
    }
}

void bench_run(struct group *g, unsigned runs, struct output *out)
{
    const unsigned warm_up = g->warm_up ? g->warm_up : 2;

    for (size_t i = 0; i < g->n; i++) {
        struct subject *s = &g->subjects[i];
        s->times = calloc(runs, sizeof(*s->times));
        if (!s->times) {
            bench_skip(g->name, s->name, "out of memory");
            return;
        }
        for (unsigned k = 0; k < warm_up && !s->skipped; k++)
            s->skipped = s->run(s) < 0;
    }
    for (unsigned round = 0; round < runs; round++)
        for (size_t i = 0; i < g->n; i++)
            turn(&g->subjects[round % 2 ? g->n - 1 - i : i], round);
    for (size_t i = 0; i < g->n; i++)
        take_median(&g->subjects[i], runs);

    for (size_t own = 0; own < (g->own ? g->own : 1); own++)
        report_own(g, own, runs, out);
    for (size_t i = 0; i < g->n; i++)
        free(g->subjects[i].times);
}

/* ---- reports
 * ------------------------------------------------------------------------------------------------------- */

void bench_report(struct output *out, const char *name, const char *peer_name, const struct result *r)
{
    static bool headed;
    char *more = NULL;

    if (!headed)
        printf("%-46s %10s  %-34s %10s %-3s %7s %7s %5s\n", "work", "libbox", "peer", "peer", "", "ratio", "quiet", "runs");
    headed = true;
    printf("%-46s %10.3f  %-34s %10.3f %-3s %7.2f %7.2f %5zu\n", name, r->libbox, peer_name, r->peer, r->unit, r->ratio,
           r->quiet, r->runs);
    fflush(stdout);
    if (asprintf(&more,
                 "%s%s  {\"name\": \"%s\", \"libbox\": %.4f, \"peer\": %.4f, \"peer_name\": \"%s\", "
                 "\"ratio\": %.4f, \"quiet\": %.4f, \"unit\": \"%s\", \"runs\": %zu}",
                 out->json ? out->json : "", out->json ? ",\n" : "", name, r->libbox, r->peer, peer_name, r->ratio,
                 r->quiet, r->unit, r->runs) < 0)
        return;
    free(out->json);
    out->json = more;
}

void bench_skip(const char *name, const char *peer_name, const char *why)
{
    printf("%-46s %10s  %-34s skipped: %s\n", name, "-", peer_name, why);
    fflush(stdout);
}

int bench_finish(struct output *out)
{
    if (!out->json_path)
        return 0;
    FILE *f = fopen(out->json_path, "we");
    if (!f)
        return -1;
    fprintf(f, "[\n%s\n]\n", out->json ? out->json : "");
    free(out->json);
    out->json = NULL;
    return fclose(f);
}

/* ---- the floor
 * ----------------------------------------------------------------------------------------------------- */

static int exec_only(void *data)
{
    const struct floor *f = data;
    char *const argv[] = {(char *)f->program, NULL};
    char *const env[] = {NULL};

    execve(f->program, argv, env);
    _exit(127);
}

static int up_and_exec(void *data)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        _exit(127);
    return exec_only(data);
}

static int64_t wait_for(struct subject *s, pid_t pid, int64_t from, const char *call)
{
    int status = 0;

    if (pid < 0)
        return bench_fail(s, "%s: %s", call, strerror(errno));
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return bench_fail(s, "waitpid: %s", strerror(errno));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return bench_fail(s, "wait status 0x%x", status);
    return bench_now() - from;
}

static int64_t run_floor(struct subject *s, int (*child)(void *))
{
    struct floor *f = s->data;

    if (!f->stack && !(f->stack = malloc(FLOOR_STACK)))
        return bench_fail(s, "out of memory");
    int64_t from = bench_now();
    return wait_for(
        s, clone(child, (char *)f->stack + FLOOR_STACK, CLONE_VM | CLONE_VFORK | f->flags | SIGCHLD, f),
        from, "clone");
}

int64_t bench_floor(struct subject *s)
{
    return run_floor(s, exec_only);
}

int64_t bench_floor_up(struct subject *s)
{
    return run_floor(s, up_and_exec);
}

int64_t bench_fork(struct subject *s)
{
    struct floor f = {.program = s->data};
    int64_t from = bench_now();
    pid_t pid = fork();

    if (pid == 0)
        exec_only(&f);
    return wait_for(s, pid, from, "fork");
}

/* ---- programs
 * ------------------------------------------------------------------------------------------------------ */

static int exec_command(void *data)
{
    struct command *c = data;
    int out = open(c->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
        in = open("/dev/null", O_RDONLY | O_CLOEXEC);

    dup2(in, 0);
    dup2(out, 1);
    dup2(out, 2);
    execvp(c->argv[0], (char *const *)c->argv);
    _exit(errno == ENOENT ? 126 : 127);
}

/* The last line of what it said is why. */
static int64_t explain(struct subject *s, const struct command *c)
{
    char text[4096] = "", first[BENCH_TEXT];
    int fd = open(c->log, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (strcmp(s->why, "wait status 0x7e00") == 0)
        return bench_fail(s, "%s is not installed", c->argv[0]);
    snprintf(first, sizeof(first), "%s", s->why);
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = 0;
    const char *last = n > 0 ? strrchr(text, '\n') : NULL;
    return bench_fail(s, "%.60s: %.180s", first, last ? last + 1 : text);
}

int64_t bench_command(struct subject *s)
{
    struct command *c = s->data;
    static char stack[FLOOR_STACK] __attribute__((aligned(64)));
    int64_t from = bench_now();
    int64_t t = wait_for(s, clone(exec_command, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, c),
                         from, "clone");

    return t < 0 ? explain(s, c) : t;
}

/* ---- workers
 * -------------------------------------------------------------------------------------------------------- */

static int start_worker(struct worker *w)
{
    int to[2], from[2];

    if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
        return -1;
    w->pid = fork();
    if (w->pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execv(w->argv[0], (char *const *)w->argv);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    w->to = to[1];
    w->from = from[0];
    return w->pid < 0 ? -1 : 0;
}

int64_t bench_worker(struct subject *s)
{
    struct worker *w = s->data;
    char answer[BENCH_TEXT];
    size_t n = 0;

    if (!w->pid && start_worker(w) < 0)
        return bench_fail(s, "start a worker: %s", strerror(errno));
    if (write(w->to, "x", 1) != 1)
        return bench_fail(s, "the worker is gone");
    while (n < sizeof(answer) - 1 && read(w->from, answer + n, 1) == 1 && answer[n] != '\n')
        n++;
    answer[n] = 0;
    if (n == 0)
        return bench_fail(s, "the worker is gone");
    return strncmp(answer, "error ", 6) == 0 ? bench_fail(s, "%s", answer + 6) : strtoll(answer, NULL, 10);
}

void bench_worker_end(struct worker *w)
{
    if (!w->pid)
        return;
    close(w->to);
    close(w->from);
    waitpid(w->pid, NULL, 0);
    w->pid = 0;
}

int bench_serve(struct subject *s)
{
    char byte, line[BENCH_TEXT + 16];

    while (read(0, &byte, 1) == 1) {
        int64_t t = s->run(s);
        int n = t < 0 ? snprintf(line, sizeof(line), "error %s\n", s->why)
                      : snprintf(line, sizeof(line), "%lld\n", (long long)t);
        if (write(1, line, (size_t)n) != n)
            return 1;
    }
    return 0;
}
