/* Groups of resctrl, the kernel's face of Intel RDT and its like: shares of caches and of memory bandwidth.
 *
 *     ROOT/GROUP/schemata            what its tasks may use
 *     ROOT/GROUP/tasks               written to by who goes in
 *     ROOT/GROUP/mon_groups/ID/      a part of the group that is counted by itself, if that is asked for
 *
 * Documentation/filesystems/resctrl.rst of the kernel; config-linux.md, "IntelRdt", of the OCI runtime specification. */
#ifndef BOX_KERNEL_RESCTRL_H
#define BOX_KERNEL_RESCTRL_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/fail.h"

/* Tests put a plain directory in its place, in which nobody fills a new group with files. */
struct resctrl {
    int root;
    int (*make)(int dir, const char *name, mode_t mode);  /* mkdirat(2) */
    int (*remove)(int dir, const char *name, int flags); /* unlinkat(2) */
};
#define RESCTRL_NONE ((struct resctrl){.root = -1})
/* Where it is mounted (/proc/self/mountinfo). BOX_EUNSUPPORTED when it is not. */
int resctrl_open(struct resctrl *fs, box_error **err);
void resctrl_close(struct resctrl *fs);
#define _resctrl_ __attribute__((cleanup(resctrl_close)))

struct resctrl_group {
    const char *name;     /* a directory's name; "/" is resctrl itself */
    const char *monitor;  /* of the monitoring group below it; NULL: none */
    const char *schemata; /* lines, each with its end; NULL: it stays as it is */
};
/* 1, 0 or an error. */
int resctrl_exists(const struct resctrl *fs, const char *name, box_error **err);
/* Makes what is not there yet, and writes the schemata. */
int resctrl_make(const struct resctrl *fs, const struct resctrl_group *group, box_error **err);
/* The files that a process goes in by, one after the other: tasks[1] is -1 without a monitoring group. "0" written to
 * one is the writer. The caller closes them. */
int resctrl_tasks(const struct resctrl *fs, const struct resctrl_group *group, int tasks[2], box_error **err);
/* Puts a process that runs into the group, and into its monitoring group; one that has ended is passed over. */
int resctrl_add(const struct resctrl *fs, const struct resctrl_group *group, pid_t pid, box_error **err);
/* A file of resctrl, by its path below the mount, without its last newline; malloc'ed. NULL: there is none, or no memory. */
char *resctrl_read(const struct resctrl *fs, const char *path);
/* Removes the monitoring group, and with `whole` the group unless it has tasks; `shared` says that these may be others'.
 * What is gone already is no error. */
int resctrl_remove(const struct resctrl *fs, const struct resctrl_group *group, bool whole, bool shared, box_error **err);

#endif
