/* Processes by descriptor: a pidfd names one process for ever, where a number may come to name another.
 *
 * Functions that make a descriptor return it (close-on-exec, owned by the caller) or a negative BOX_E* code.
 * Any thread may call any of these functions; they keep no state. pidfd_open(2), pidfd_send_signal(2).
 */
#ifndef LIBBOX_PIDFD_H
#define LIBBOX_PIDFD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A pidfd for the process with this number now. BOX_ENOTFOUND when there is none (a thread that leads no
 * process is none). pidfd_open(2). */
BOX_API int box_pidfd_open(pid_t pid, box_error **err);
/* The same, but only if the process started at start_time (from box_pidfd_start_time(), perhaps written to a
 * file in the meantime): BOX_ENOTFOUND when the number belongs to another process by now. */
BOX_API int box_pidfd_open_started(pid_t pid, uint64_t start_time, box_error **err);
/* When the process started, in clock ticks since boot: field 22 of /proc/PID/stat, proc(5). With the number
 * it tells a process from all others of the same boot. */
BOX_API int box_pidfd_start_time(pid_t pid, uint64_t *start_time, box_error **err);

/* The number of the pidfd's process in the caller's pid namespace. BOX_ENOTFOUND when it has been reaped or
 * is not visible from this pid namespace. */
BOX_API int box_pidfd_pid(int pidfd, pid_t *pid, box_error **err);
/* Whether two pidfds mean the same process. BOX_EUNSUPPORTED when the kernel (before 6.9) cannot tell because
 * both processes are gone. */
BOX_API int box_pidfd_same(int a, int b, bool *same, box_error **err);

/* Sends a signal; 0 only looks. BOX_ENOTFOUND when the process has ended and been reaped.
 * pidfd_send_signal(2). */
BOX_API int box_pidfd_signal(int pidfd, int signal, box_error **err);
/* The same to all of the process group that the process leads or leads not; needs Linux 6.9, BOX_EUNSUPPORTED
 * before that. */
BOX_API int box_pidfd_signal_group(int pidfd, int signal, box_error **err);
/* A copy of descriptor fd of that process. Needs the right to trace it (ptrace(2),
 * PTRACE_MODE_ATTACH_REALCREDS). pidfd_getfd(2). */
BOX_API int box_pidfd_getfd(int pidfd, int fd, box_error **err);

/* How a process ended. */
typedef struct box_pidfd_status {
    bool known;       /* false: it has ended, but somebody else reaped it and the kernel cannot say how */
    int code;         /* exit status; -1 when a signal ended it or nothing is known */
    int signal;       /* the signal that ended it, or 0 */
    bool core_dumped; /* and it left a core */
} box_pidfd_status;

/* Waits until the process has ended or timeout_ms milliseconds have passed (-1: no limit, 0: just look):
 * BOX_ETIMEOUT then. The process need not be a child, and is not reaped. Interrupted by no signal.
 * poll(2) on a pidfd. */
BOX_API int box_pidfd_wait(int pidfd, int timeout_ms, box_error **err);
/* Reaps a child that has ended or ends within timeout_ms, whatever its exit signal, and tells how it ended.
 * When somebody else reaped it first (a host that ignores SIGCHLD or calls wait(-1)), the status comes from
 * the kernel where it keeps it (Linux 6.15), and is otherwise not known, which is not an error. BOX_ETIMEOUT
 * as above; BOX_ECHILD when the process is not the caller's child and has not been reaped. waitid(2), __WALL.
 */
BOX_API int box_pidfd_reap(int pidfd, int timeout_ms, box_pidfd_status *status, box_error **err);

/* What the kernel tells of a process by its pidfd (Linux 6.13; the exit status since 6.15). */
typedef struct box_pidfd_info {
    bool has_ids; /* the next fields; false once the process has been reaped */
    pid_t pid, tgid, ppid;
    uid_t ruid, euid, suid, fsuid;
    gid_t rgid, egid, sgid, fsgid;
    bool has_cgroup;
    uint64_t cgroup_id; /* inode number of its cgroup v2 directory */
    bool has_exit;      /* it has been reaped, by whomever, and status tells how it had ended */
    box_pidfd_status status;
} box_pidfd_info;

/* BOX_EUNSUPPORTED on a kernel without PIDFD_GET_INFO; BOX_ENOTFOUND when the process has been reaped and the
 * kernel (before 6.15) keeps nothing. */
BOX_API int box_pidfd_get_info(int pidfd, box_pidfd_info *info, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
