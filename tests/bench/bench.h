/* Measuring in turns: several subjects that do the same work are run A B A B, and their medians are held
 * against each other. Absolute times differ from machine to machine and from minute to minute; the ratio does
 * not, much. */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BENCH_MAX_SUBJECTS 10
#define BENCH_TEXT         256

/* One way of doing the work. `run` does it once and gives the nanoseconds that it took, or a negative number
 * when it failed: `why` then says so. A subject that fails in its first run is left out of the group and
 * reported as skipped. */
struct subject {
    char name[64];
    int64_t (*run)(struct subject *s);
    void *data;
    char why[BENCH_TEXT];
    int64_t *times; /* one a turn; 0: not run in that one */
    double median;  /* milliseconds */
    double decile;  /* a tenth of the runs took this or less: what it takes while nothing else runs */
    bool skipped;
    unsigned every; /* runs in one turn of so many; for slow ones. 0: in each */
    size_t n;
};

/* A row of the table for each peer: the first subject is libbox, every other one a peer. */
struct group {
    const char *name;
    unsigned own;     /* so many of the first subjects are libbox, each with rows of its own. 0: one */
    unsigned warm_up; /* runs of each that do not count. 0: two */
    struct subject subjects[BENCH_MAX_SUBJECTS];
    size_t n;
};

struct output {
    const char *json_path;
    char *json; /* records so far */
    size_t size;
    unsigned records;
};

int64_t bench_now(void);
struct subject *bench_add(struct group *g, const char *name, int64_t (*run)(struct subject *), void *data);
int64_t bench_fail(struct subject *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Runs a group `runs` times in turns and reports it. */
void bench_run(struct group *g, unsigned runs, struct output *out);
struct result {
    double libbox, peer; /* medians */
    double ratio;        /* the median of the ratios of all turns in which both ran */
    double quiet;        /* the ratio of the lower deciles */
    const char *unit;
    size_t runs;
};
void bench_report(struct output *out, const char *name, const char *peer_name, const struct result *result);
void bench_skip(const char *name, const char *peer_name, const char *why);
/* Writes the records, if a file was asked for. Returns 0, or -1 with errno. */
int bench_finish(struct output *out);

/* The floor: clone(CLONE_VM|CLONE_VFORK|flags), exec, waitpid. `data` is a struct floor. */
struct floor {
    const char *program;
    int flags;
    void *stack;
};
int64_t bench_floor(struct subject *s);
/* The same with the new network namespace's loopback interface brought up before the exec, as every runtime does. */
int64_t bench_floor_up(struct subject *s);
/* fork, exec, waitpid, for hosts that have memory of their own. `data` is the program's path. */
int64_t bench_fork(struct subject *s);

/* A peer that is a program: started by vfork, quiet, waited for. It counts only when it exits 0. */
struct command {
    const char *argv[40];
    char log[BENCH_TEXT]; /* a file for what it says */
};
int64_t bench_command(struct subject *s);

/* A peer that measures itself: a program that does the work once for each byte on its standard input, and
 * answers with the nanoseconds, or with "error WHY". `data` is a struct worker. */
struct worker {
    const char *argv[8];
    pid_t pid;
    int to, from;
    uint64_t host_mib;
};
int64_t bench_worker(struct subject *s);
void bench_worker_end(struct worker *w);
/* bench-monitor.c */
struct box_store;
struct box_spec;
void bench_monitor(struct output *out, struct box_store *store, const struct box_spec *spec, const char *dir,
                   const char *bundle);
/* The other side: answers until standard input ends. Returns an exit status. */
int bench_serve(struct subject *s);

#endif
