/* box: containers at a terminal, with Docker's verbs. An example: it uses libbox's public headers only. */
#ifndef BOX_EXAMPLE_BOX_H
#define BOX_EXAMPLE_BOX_H

#include <libbox/box.h>
#include <signal.h>
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
int exit_code_of(const box_error *err);
int fail_text(const char *fmt, ...) BOX_PRINTF(1, 2);
/* The store of --root and --runroot; NULL after having said why not. */
box_store *store(void);
box_container *open_container(const char *name);
/* "box: 'VERB' WHAT (see 'box VERB --help')." Returns 1, Docker's exit code for it. */
int wrong_count(const char *verb, const char *what);
char *print(const char *fmt, ...) BOX_PRINTF(1, 2); /* to be freed */
int64_t now_ns(void);
uint64_t tree_size(const char *path); /* bytes of the files below; 0 for NULL */
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

/* ---- terminal.c ---- */
/* Follows an attached process to its end: passes signals on, copies a terminal. Returns its exit code. */
int follow(box_process *process, bool tty, bool interactive);
void terminal_make_raw(void);
void terminal_restore(void);
bool write_all(int fd, const char *data, ssize_t n);
/* Blocks the signals that are passed on, and gives a signalfd(2) for them. */
int open_signals(sigset_t *before);
void terminal_size(unsigned short *rows, unsigned short *columns);

/* ---- ps.c ---- */
/* Whether all filters are "key=value" with a key that is known; an exit code, 0 for good. */
int check_filters(const struct list *filters, const char *const *known);
/* "key" or "key=value" against what the key has (NULL: nothing). */
bool label_matches(const char *wanted, const char *value_of_key);

/* ---- verbs ---- */
int verb_run(int argc, char **argv);
int verb_create(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_stop(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_restart(int argc, char **argv);
int verb_rename(int argc, char **argv);
int verb_attach(int argc, char **argv);
int verb_port(int argc, char **argv);
int verb_info(int argc, char **argv);
int verb_version(int argc, char **argv);
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
/* Has the images that were pulled last written to disk by a process that outlives this one. */
void sync_in_background(void);
int verb_image_prune(int argc, char **argv);
int verb_container_prune(int argc, char **argv);
int verb_doctor(int argc, char **argv);
/* archive.c */
int verb_save(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_commit(int argc, char **argv);
int verb_diff(int argc, char **argv);
int verb_cp(int argc, char **argv);
int verb_history(int argc, char **argv);
int verb_tag(int argc, char **argv);

#endif
