/* Launch inside the library: what the container code adds to the public calls, and what start.c and process.c share. */
#ifndef BOX_LAUNCH_LAUNCH_H
#define BOX_LAUNCH_LAUNCH_H

#include <stdint.h>

#include <libbox/cgroup.h>
#include <libbox/launch.h>
#include <libbox/seccomp.h>
#include "launch/plan.h"

enum stream_kind { STREAM_NULL, STREAM_FD, STREAM_PIPE, STREAM_FILE, STREAM_PTY };

struct stream {
    enum stream_kind kind;
    int fd;
    char *path;
};

struct box_stdio {
    struct stream standard[3];
    int *numbers; /* further descriptors: their numbers inside, and the caller's */
    int *fds;
    size_t n_extra;
    bool pty;
    unsigned short rows, columns;
};

struct start_options {
    const box_stdio *io;        /* NULL: /dev/null */
    struct box_cgroup *cgroup;  /* borrowed; NULL: one of the process's own when the spec has limits */
    int join_pidfd;             /* plan_options.join: whose namespaces */
    int join_user_fd;           /* and the link /proc/PID/ns/user of it, O_PATH */
    int state_fd;               /* plan_options.monitor: where "exit" is written */
    int log_fd;                 /* and where a terminal's output goes */
    int hold_fd;                /* plan_options.hold: a byte read from here starts the payload */
    int tasks[2];               /* files that the process enters groups of resctrl by, as it does cgroups; or -1 */
    uint32_t features;          /* STAGE_NO_* */
    const char *id, *bundle;    /* of the container, for its hooks; NULL: there is none, and poststop is the process's own */
};
#define START_OPTIONS_INIT {.join_pidfd = -1, .join_user_fd = -1, .state_fd = -1, .log_fd = -1, .hold_fd = -1, .tasks = {-1, -1}}

int box_plan_start_with(const box_plan *plan, const struct start_options *options, box_process **process, box_error **err);
/* The monitor of a process that was started with one, or 0. */
pid_t box_process_monitor(const box_process *process);

/* ---- shared by the files of this floor --------------------------------------------------------------------------- */

struct box_process {
    pid_t pid;
    int pidfd;
    pid_t monitor;
    int waiter; /* pidfd of the stage whose child it is, where that is not us; or -1 */
    int streams[3];
    int pty;
    int report; /* an init tells here how the payload ended; -1: none */
    int poll_fd; /* an epoll of pidfd and listener, or -1: the pidfd does */
    int listener; /* of the filter, or -1 */
    box_seccomp_notify *notify; /* on it, until the caller takes it over */
    box_seccomp_filter *filter; /* tells a kill that is reported from a call to be supervised */
    box_spec *hooks; /* poststop's, of a process without a container; or NULL */
    struct netdev_moved *devices; /* linux.netDevices of one that is held: what process_return_devices() brings back */
    const char *violation; /* the system call that the filter killed for */
    struct box_cgroup *cgroup; /* its own, or NULL */
    struct box_cgroup *borrowed;
    bool joined; /* `cgroup` is a handle of its own on a cgroup that is not */
    uint64_t oom_before;
    uint32_t applied;
    bool child;    /* ours to reap: its waiter, when it has one */
    bool killed_by_deadline;
    bool detached;
    bool pid_namespace;
    struct box_ending ending;
    char text[160];
};

/* The host's side of the streams of one start. */
struct start_streams {
    int stage[3]; /* what the stage gets; owned unless `borrowed` */
    bool borrowed[3], null[3];
    int host[3];
};
/* Of a start that was held, and that its caller could not bring to an end: what it moved into the process's network
 * namespace goes back to where it was. Before the process is killed or after, as long as the object is there. */
void process_return_devices(box_process *p);
/* What becomes readable when the process has ended and its status can be had. */
static inline int process_end_fd(const box_process *p)
{
    return p->waiter >= 0 ? p->waiter : p->pidfd;
}
int stdio_open(const box_stdio *io, bool terminal, struct start_streams *streams, box_error **err);
void stdio_close_stage(struct start_streams *streams);
void stdio_close_all(struct start_streams *streams);

/* The stage program, ready to be executed, and the plan, to be mapped from `offset` on: one sealed memory file, or the
 * installed program beside one where the host forbids to execute memory files. */
struct stage_files {
    int program, memory;
    uint32_t offset;
};
int stage_make_files(const void *plan, size_t size, struct stage_files *files, box_error **err);

/* Turns the stage's report of a failed step into an error. */
int start_fail(const box_plan *plan, const struct stage_message *message, box_error **err);
/* Explains why the clone itself failed. */
int start_fail_clone(const box_plan *plan, int errnum, box_error **err);

#endif
