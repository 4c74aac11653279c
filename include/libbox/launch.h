/* Launch: from a spec to a running process, in the host program's own process tree.
 *
 * A start has three parts. The spec is turned into a *plan*, a flat record of everything that is to be done, with all
 * that can fail for want of memory or for a bad spec failing here. A tiny static program, the *stage*, is started by a
 * vfork-like clone from a sealed memory file, in the new namespaces; it carries out the plan step by step in memory of
 * its own. Then it becomes the *payload* by exec, or stays as a minimal init. No code of the host program runs in the
 * child, and no byte of the host's memory, environment or open files reaches it that was not handed over by name.
 *
 *     box_process *process = NULL;
 *     box_error *err = NULL;
 *     if (box_launch(spec, NULL, &process, &err) < 0)
 *         …box_error_message(err)…
 *     box_process_wait(process, -1, &err);
 *     printf("%s\n", box_process_ending(process)->text);
 *     box_process_free(process);
 *
 * A plan may be kept and started many times, from several threads at once: it is immutable.
 */
#ifndef LIBBOX_LAUNCH_H
#define LIBBOX_LAUNCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>
#include <libbox/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_plan box_plan;
typedef struct box_stdio box_stdio;
typedef struct box_process box_process;
struct box_cgroup;

/* ---- Standard streams and other descriptors of the new process ------------------------------------------------ */

/* A new set of streams: all three are /dev/null until set. NULL when out of memory. */
BOX_API box_stdio *box_stdio_new(void);
BOX_API void box_stdio_free(box_stdio *io);
/* The stream `fd` (0, 1 or 2) of the process is the caller's descriptor `host_fd`, which the caller keeps and may close
 * after the start. Descriptors from 3 on are handed over likewise, under the number `fd` (up to 1023). */
BOX_API int box_stdio_set_fd(box_stdio *io, int fd, int host_fd, box_error **err);
/* Hands the host's own 0, 1 and 2 over. */
BOX_API int box_stdio_inherit(box_stdio *io, box_error **err);
/* A new pipe(7) for the stream; its other end is box_process_stream_fd(). */
BOX_API int box_stdio_set_pipe(box_stdio *io, int fd, box_error **err);
/* A file: read for 0; created with mode 0600, and appended to, for 1 and 2. The path is the host's. */
BOX_API int box_stdio_set_file(box_stdio *io, int fd, const char *path, box_error **err);
/* A pseudoterminal of the container's own devpts for all three; see pty(7). The host's end is box_process_pty_fd(). */
BOX_API int box_stdio_set_pty(box_stdio *io, unsigned short rows, unsigned short columns, box_error **err);

/* ---- Plans and processes --------------------------------------------------------------------------------------- */

/* Makes a plan. The spec is read, not kept. Errors name the field of the spec. */
BOX_API int box_plan_new(const box_spec *spec, box_plan **plan, box_error **err);
BOX_API void box_plan_free(box_plan *plan);

/* Starts a process and returns once the payload's exec(2) has succeeded (or its init has started it). `io` may be NULL
 * for /dev/null. On failure nothing is left behind, and the error tells the step: BOX_ESTART and the like,
 * BOX_ENOPROGRAM when the program is not in the root, BOX_ENOEXEC when it cannot be run. The caller owns *process. */
BOX_API int box_plan_start(const box_plan *plan, const box_stdio *io, box_process **process, box_error **err);
/* box_plan_new, box_plan_start and box_plan_free in one. */
BOX_API int box_launch(const box_spec *spec, const box_stdio *io, box_process **process, box_error **err);

/* How a process ended. */
enum box_ending_kind {
    BOX_ENDING_NONE = 0,     /* it has not ended */
    BOX_ENDING_EXIT = 1,     /* exit status in `code` */
    BOX_ENDING_SIGNAL = 2,   /* killed by `signal` */
    BOX_ENDING_OOM = 3,      /* killed by the kernel for want of memory in its cgroup; `signal` is SIGKILL */
    BOX_ENDING_SECCOMP = 4,  /* killed by the seccomp filter; `syscall_name` where it is known */
    BOX_ENDING_DEADLINE = 5, /* killed by libbox because its deadline passed */
    BOX_ENDING_UNKNOWN = 6   /* somebody else in the host reaped it, and the kernel cannot say */
};

typedef struct box_ending {
    enum box_ending_kind kind;
    int code;                 /* exit status, or 128 + signal: what a shell would show; -1 when unknown */
    int signal;               /* 0 or the signal's number */
    bool core_dumped;
    const char *syscall_name; /* NULL, or the system call that the filter did not allow */
    uint64_t cpu_user_us;     /* of the process and its reaped children; 0 when unknown */
    uint64_t cpu_system_us;
    uint64_t max_rss_kb;
    const char *text;         /* one line for people: "exited with status 3", "killed: out of memory" */
} box_ending;

/* The process's id in the host's pid namespace; stays valid as a number only until the process is reaped. */
BOX_API pid_t box_process_pid(const box_process *process);
/* Readable, in the sense of poll(2), when the process has ended; see pidfd_open(2). Owned by the process object. */
BOX_API int box_process_pidfd(const box_process *process);
/* The host's end of a stream that was set to a pipe, or -1. Owned by the process object. */
BOX_API int box_process_stream_fd(const box_process *process, int fd);
/* The same, handed to the caller, who closes it. A second call gives -1. */
BOX_API int box_process_take_stream_fd(box_process *process, int fd);
/* The master side of the terminal, or -1; owned by the process object, and the same handed over. */
BOX_API int box_process_pty_fd(const box_process *process);
BOX_API int box_process_take_pty_fd(box_process *process);
BOX_API int box_process_resize(box_process *process, unsigned short rows, unsigned short columns, box_error **err);

/* The listener of a filter with `notify` actions, handed to the caller, who serves it with box_seccomp_notify_new() and
 * closes it: the process waits in such a call until it is answered (seccomp_unotify(2)). From here on box_process_dispatch()
 * looks at it no more, and a filter that reports kills (box_seccomp_report_kills()) asks the caller about those too. Left
 * alone, calls to be supervised fail with ENOSYS, as they do where there is no supervisor. -1: there is none, it was taken
 * already, or linux.seccomp.listenerPath names an agent, who has it. */
BOX_API int box_process_take_listener(box_process *process);

/* A descriptor that is readable when box_process_dispatch() has something to do: the end of the process, or a notice
 * of its filter. For poll(2), epoll(7) or any event loop. Owned by the process object. */
BOX_API int box_process_fd(const box_process *process);
/* Does what is to be done without blocking. Returns 1 when the process has ended (its ending is then known), 0 when it
 * still runs, or a negative code. */
BOX_API int box_process_dispatch(box_process *process, box_error **err);
/* Waits until the process has ended or `timeout_ms` milliseconds have passed (-1: no limit, 0: just look):
 * BOX_ETIMEOUT then, and the process is left running. Never uses SIGCHLD or wait(-1); reaps this process only. */
BOX_API int box_process_wait(box_process *process, int timeout_ms, box_error **err);
/* As above, but kills the process, and with a pid namespace all that is in it, when the time is up: the ending is then
 * BOX_ENDING_DEADLINE and the call succeeds. */
BOX_API int box_process_wait_or_kill(box_process *process, int timeout_ms, box_error **err);
/* pidfd_send_signal(2): never hits another process, even after the id has been used again. */
BOX_API int box_process_signal(box_process *process, int signal, box_error **err);
/* How it ended; kind BOX_ENDING_NONE before that. Owned by the process object. */
BOX_API const box_ending *box_process_ending(const box_process *process);
/* Which layers of defence were applied, as a bit mask of enum box_applied. */
enum box_applied {
    BOX_APPLIED_NAMESPACES = 1 << 0,
    BOX_APPLIED_ROOT = 1 << 1,
    BOX_APPLIED_CAPABILITIES = 1 << 2,
    BOX_APPLIED_NO_NEW_PRIVILEGES = 1 << 3,
    BOX_APPLIED_SECCOMP = 1 << 4,
    BOX_APPLIED_LANDLOCK = 1 << 5,
    BOX_APPLIED_APPARMOR = 1 << 6,
    BOX_APPLIED_SELINUX = 1 << 7,
    BOX_APPLIED_CGROUP = 1 << 8,
    BOX_APPLIED_DEVICES = 1 << 9,
    BOX_APPLIED_KEYRING = 1 << 10
};
BOX_API uint32_t box_process_applied(const box_process *process);
/* Frees the object. A process that still runs is killed and reaped first, unless box_process_detach() was called. This is the
 * end in the sense of the OCI runtime specification: the spec's poststop hooks run here, and their failures are passed
 * over. (The other hooks run as part of the start, and one that fails makes the start fail.) */
BOX_API void box_process_free(box_process *process);
/* The process goes on without this object: box_process_free() then only forgets it. */
BOX_API void box_process_detach(box_process *process);

#ifdef __cplusplus
}
#endif

#endif
