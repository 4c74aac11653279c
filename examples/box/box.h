/* box: containers at a terminal, with Docker's verbs. An example: it uses libbox's public headers only. */
#ifndef BOX_EXAMPLE_BOX_H
#define BOX_EXAMPLE_BOX_H

#include <libbox/box.h>
#include <stdbool.h>
#include <stdio.h>

#define EXIT_BOX       125 /* box itself failed */
#define EXIT_NOEXEC    126 /* the program cannot be run */
#define EXIT_NOPROGRAM 127 /* the program does not exist */

struct globals {
    const char *root, *runroot;
    box_store *store;
};
extern struct globals globals;

/* ---- util.c ---- */
/* One line on standard error, "box: …", and the exit code that fits the error. Frees the error. */
int fail(box_error *err);
int fail_text(const char *fmt, ...) BOX_PRINTF(1, 2);
/* The store of --root and --runroot; NULL after having said why not. */
box_store *store(void);
box_container *open_container(const char *name);
char *format_age(int64_t ns);         /* "2 minutes ago"; to be freed */
char *format_duration(int64_t ns);    /* "About a minute" */
char *format_size(double bytes, bool binary); /* "12.3MB", "11.9MiB" */
const char *short_id(const char *id); /* the first 12 digits, static */
bool parse_size(const char *text, int64_t *bytes);
int signal_number(const char *name);

/* ---- options.c: flags as Docker's, before and between which plain arguments may not stand ---- */
enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_LIST };
struct flag {
    char letter;        /* 0: none */
    const char *name;   /* without "--" */
    enum flag_kind kind;
    void *value;        /* bool *, const char **, struct list * */
    const char *help;
};
#define LIST_MOST 512
struct list {
    const char *items[LIST_MOST];
    size_t n;
};
/* Reads flags from argv[1] on, up to the first plain argument or "--"; or, with `mixed`, all of them, plain arguments
 * being moved to the end. Returns the index of the first plain argument, or -1 after having complained. */
int read_flags(int argc, char **argv, const struct flag *flags, bool mixed, const char *usage);

/* ---- run_options.c: the flags of `run` and `create`, and what they make of a spec ---- */
struct run_options {
    bool interactive, tty, detach, remove, read_only, init, privileged, help;
    const char *name, *workdir, *user, *memory, *memory_swap, *memory_reservation, *cpus, *cpu_shares, *cpuset_cpus,
        *cpuset_mems, *pids_limit, *network, *entrypoint, *hostname, *cidfile, *oom_score_adj, *shm_size, *pid, *ipc, *uts,
        *userns, *stop_timeout, *blkio_weight, *cgroup_parent, *pull;
    struct list env, env_file, volumes, mounts, tmpfs, cap_add, cap_drop, security, ulimit, device, label, group_add, sysctl,
        annotation;
};
int read_run_options(int argc, char **argv, struct run_options *o, const char *usage);
/* The spec of a container; NULL after having complained. */
box_spec *make_spec(const struct run_options *o, const box_image *image, char **command, box_error **err);
/* Files of variables first, then single ones. */
int add_environment(box_spec *spec, const struct list *files, const struct list *entries, box_error **err);
int add_limits(box_limits *limits, const struct run_options *o, box_error **err);

/* ---- terminal.c ---- */
/* Follows an attached process to its end: passes signals on, copies a terminal. Returns its exit code. */
int follow(box_process *process, bool tty, bool interactive);
void terminal_size(unsigned short *rows, unsigned short *columns);

/* ---- verbs ---- */
int verb_run(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_rm(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_unpause(int argc, char **argv);
int verb_update(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_top(int argc, char **argv);
int verb_wait(int argc, char **argv);
int verb_logs(int argc, char **argv);
int verb_inspect(int argc, char **argv);
int verb_load(int argc, char **argv);
int verb_import(int argc, char **argv);
int verb_images(int argc, char **argv);
int verb_rmi(int argc, char **argv);
int verb_system(int argc, char **argv);
int verb_image_prune(int argc, char **argv);
int verb_container_prune(int argc, char **argv);
int verb_doctor(int argc, char **argv);

#endif
