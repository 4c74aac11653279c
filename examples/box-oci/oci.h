/* box-oci: libbox as an OCI runtime, with runc's command line. An example: it uses libbox's public headers only. */
#ifndef BOX_EXAMPLE_OCI_H
#define BOX_EXAMPLE_OCI_H

#include <libbox/box.h>
#include <stdbool.h>
#include <stdio.h>

struct globals {
    const char *root, *log, *log_format, *cgroup_manager, *rootless, *criu;
    bool debug, systemd;
    int log_fd; /* -1: standard error alone */
};
extern struct globals globals;

/* ---- log.c ---- */
/* To the log, in its form, and in one line on standard error. Frees the error; returns 1. */
int fail(box_error *err);
int fail_text(const char *fmt, ...) BOX_PRINTF(1, 2);
void warn_text(const char *fmt, ...) BOX_PRINTF(1, 2);
void debug_text(const char *fmt, ...) BOX_PRINTF(1, 2);
/* A string of JSON, with its quotes. */
void put_json(FILE *out, const char *text);

/* ---- flags.c: long flags with one or two dashes, "--flag=value", "-b value"; before the first plain argument ---- */
enum flag_kind { FLAG_BOOL, FLAG_TEXT, FLAG_LIST, FLAG_NUMBER };
#define LIST_MOST 256
struct list {
    const char *items[LIST_MOST + 1]; /* ends in NULL */
    size_t n;
};
struct flag {
    const char *name;
    char letter;
    enum flag_kind kind;
    void *value; /* bool *, const char **, struct list *, unsigned * */
};
/* The index of the first plain argument, or -1 after having complained. */
int read_flags(int argc, char **argv, const struct flag *flags);

/* ---- run.c ---- */
/* The directory of containers; NULL after having complained. */
box_oci *containers(void);
/* "9", "KILL", "SIGKILL"; -1. */
int signal_number(const char *name);

int verb_create(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_exec(int argc, char **argv);
int verb_start(int argc, char **argv);
int verb_kill(int argc, char **argv);
int verb_delete(int argc, char **argv);
int verb_state(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_ps(int argc, char **argv);
int verb_pause(int argc, char **argv);
int verb_resume(int argc, char **argv);
int verb_update(int argc, char **argv);
int verb_events(int argc, char **argv);
int verb_features(int argc, char **argv);
int verb_checkpoint(int argc, char **argv); /* and restore */
int verb_spec(int argc, char **argv);

/* ---- foreground.c ---- */
/* A socket that a terminal can be sent to: its path, to be freed after close_console(). -1 on failure. */
int open_console(char **path);
int accept_console(int console);
void close_console(int console, char *path);
/* Stays with a process until its end: signals are passed on to it, and the terminal, if there is one, is copied. */
void attend(pid_t pid, int pidfd, int master);
/* The exit code of a child of this program that has ended. */
int reap(pid_t pid);

#endif
