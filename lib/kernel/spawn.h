/* Running a program of the host's (newuidmap, a credential helper, a hook) from inside a library.
 *
 * fork(2) costs in proportion to the host's memory and gives the child a copy of it; posix_spawn(3) knows no
 * pidfd and no time limit. So: a vfork-like clone on a stack of its own, with all signals blocked; the child
 * makes raw system calls only, and then execs. What it gets is what is named here: its arguments, its
 * environment, its descriptors (all others are closed), default signal dispositions, an empty signal mask.
 * Nothing is said to, or asked of, the host's SIGCHLD; the child is reaped by its pidfd.
 *
 *     struct box_spawn how = BOX_SPAWN_INIT;
 *     how.path = "/usr/bin/newuidmap", how.argv = argv;
 *     struct box_spawn_result result;
 *     r = box_spawn_run(&how, &(struct box_spawn_io){.timeout_ms = 5000, .limit = 4096}, &result, err);
 *     box_spawn_result_clear(&result);
 *
 * Thread rules: any thread; a struct box_child is for one thread at a time. */
#ifndef BOX_KERNEL_SPAWN_H
#define BOX_KERNEL_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/pidfd.h>
#include "base/cleanup.h"
#include "kernel/vclone.h"

#define BOX_SPAWN_NULL (-1) /* in place of a descriptor: /dev/null */

struct box_spawn_fd {
    int host;  /* the caller's descriptor, which it keeps */
    int child; /* its number in the child, from 3 on */
};

struct box_spawn {
    const char *path;               /* absolute; NULL: exec_fd */
    int exec_fd;                    /* an open program; -1: path */
    const char *const *argv;        /* ends in NULL */
    const char *const *envp;        /* ends in NULL; NULL: an empty environment */
    int in, out, err;               /* descriptors of the caller's, or BOX_SPAWN_NULL */
    const struct box_spawn_fd *fds; /* more of them */
    size_t n_fds;
    int cwd_fd;       /* -1: the root directory, so that no file system of the host's is kept busy */
    bool new_session; /* setsid(2): no terminal, and a process group to kill as a whole */
    int death_signal; /* PR_SET_PDEATHSIG: when the calling *thread* ends; 0: none */
};
#define BOX_SPAWN_INIT   \
    ((struct box_spawn){ \
        .exec_fd = -1, .in = BOX_SPAWN_NULL, .out = BOX_SPAWN_NULL, .err = BOX_SPAWN_NULL, .cwd_fd = -1})

struct box_child {
    pid_t pid;
    int pidfd;
};

/* Starts a program. Returns after its exec: a program that cannot be run is an error here (BOX_ENOPROGRAM
 * when it does not exist, BOX_ENOEXEC when it is none, BOX_ESTART with the step's name otherwise), and then
 * nothing is left. */
int box_spawn(const struct box_spawn *how, struct box_child *child, box_error **err);
/* Waits and reaps; frees the pidfd on success. BOX_ETIMEOUT: it still runs. See box_pidfd_reap(). */
int box_spawn_wait(struct box_child *child, int timeout_ms, box_pidfd_status *status, box_error **err);
/* Kills (and, with new_session, its process group where the kernel can by pidfd) and reaps. Idempotent. */
void box_spawn_kill(struct box_child *child);

struct box_spawn_io {
    const void *input; /* standard input; NULL: /dev/null, or how->in when that is set */
    size_t n_input;
    size_t limit;   /* bytes of output and of error output that are kept, each; what comes after is read and
                       dropped,   and told by the `cut` of the result. 0: output is how->out and how->err, not
                       captured */
    int timeout_ms; /* -1: none. Past it the child is killed: BOX_ETIMEOUT */
    int cancel_fd;  /* a descriptor whose becoming readable kills the child: BOX_ECANCELLED; 0 or -1: none */
};

struct box_spawn_result {
    box_pidfd_status status;
    char *out, *err; /* what it wrote, with a NUL after it; NULL when it was not captured */
    size_t n_out, n_err;
    bool out_cut, err_cut;
};

/* Starts, feeds, reads, waits. 0 when the program ran and ended, however it ended: look at result->status.
 * The caller clears the result on success; on failure there is nothing to clear and no child left. */
int box_spawn_run(const struct box_spawn *how, const struct box_spawn_io *io, struct box_spawn_result *result,
                  box_error **err);
void box_spawn_result_clear(struct box_spawn_result *result);
/* "exited with status 3", "was killed by signal 9", "ended, and its status is lost": into a buffer, for
 * messages. */
const char *box_spawn_describe(const box_pidfd_status *status, char *buffer, size_t size);

#define _cleanup_spawn_result_ __attribute__((cleanup(box_spawn_result_clear)))
#define _cleanup_child_        __attribute__((cleanup(box_spawn_kill)))

/* ---- Children that exec nothing: they hold a namespace, or make one call in another
 * ------------------------- */

/* Runs fn(arg) in a child that shares the caller's memory and runs beside it, on a stack of its own, with all
 * signals blocked but SIGKILL. Unlike box_vclone() (kernel/vclone.h) it does not make the caller wait. flags
 * are CLONE_* of clone(2); CLONE_VM and CLONE_PIDFD are added. fn may use raw system calls (base/rawsys.h)
 * and its argument only: no libc, no errno, no locks, no malloc, no sanitizer (BOX_VCHILD on the function).
 * The exit signal is 0: a host that waits for any child does not see it. */
struct box_vchild {
    pid_t pid;
    int pidfd;
    void *stack;
};
#define BOX_VCHILD_INIT ((struct box_vchild){.pid = -1, .pidfd = -1})

/* Returns 0 or a negative errno. */
int box_vchild_start(struct box_vchild *child, uint64_t flags, int (*fn)(void *), void *arg);
/* Kills it (or, when kill is false, waits for it to exit), reaps it, frees the stack. Idempotent. Returns its
 * exit status, or a negative number when it did not exit by itself or that is not known. */
int box_vchild_end(struct box_vchild *child, bool kill);
/* For the child: closes all descriptors but one. Only in a table of its own (no CLONE_FILES). */
void box_vchild_close_all_but(int fd);

static inline void box_cleanup_vchild(struct box_vchild *child)
{
    box_vchild_end(child, true);
}
#define _cleanup_vchild_ __attribute__((cleanup(box_cleanup_vchild)))

#endif
