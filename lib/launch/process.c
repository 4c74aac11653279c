/* A running process: waiting, signals, terminal, and how it ended.
 *
 * The process is only ever named by its pidfd. Its status comes from waitid(2) on that; where the host reaped it, or
 * ignores SIGCHLD, from the kernel's memory of it behind the pidfd (6.15 and later); under an init, from the init's
 * report. What the status cannot say is added: the cgroup's count of OOM kills, the system call that the filter
 * reported. */
#include "launch/launch.h"

#include <errno.h>
#include <linux/audit.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <libbox/pidfd.h>
#include "base/cleanup.h"
#include "kernel/netdev.h"
#include "launch/hooks.h"

#define COLLECT_MS 2000 /* how long to wait for a killed process that somebody traces */

pid_t box_process_pid(const box_process *p)
{
    return p->pid;
}

pid_t box_process_monitor(const box_process *p)
{
    return p->monitor;
}

int box_process_pidfd(const box_process *p)
{
    return p->pidfd;
}

int box_process_fd(const box_process *p)
{
    return p->poll_fd >= 0 ? p->poll_fd : process_end_fd(p);
}

int box_process_stream_fd(const box_process *p, int fd)
{
    return fd >= 0 && fd < 3 ? p->streams[fd] : -1;
}

int box_process_take_stream_fd(box_process *p, int fd)
{
    return fd >= 0 && fd < 3 ? box_take_fd(&p->streams[fd]) : -1;
}

int box_process_pty_fd(const box_process *p)
{
    return p->pty;
}

int box_process_take_pty_fd(box_process *p)
{
    return box_take_fd(&p->pty);
}

uint32_t box_process_applied(const box_process *p)
{
    return p->applied;
}

const box_ending *box_process_ending(const box_process *p)
{
    return &p->ending;
}

void box_process_detach(box_process *p)
{
    p->detached = true;
}

int box_process_resize(box_process *p, unsigned short rows, unsigned short columns, box_error **err)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    if (p->pty < 0)
        return box_fail(err, BOX_ESTATE, "the process has no terminal of which this object has the master");
    if (ioctl(p->pty, TIOCSWINSZ, &size) < 0)
        return box_fail_sys(err, "TIOCSWINSZ", NULL, "resize the terminal");
    return 0;
}

int box_process_signal(box_process *p, int signal, box_error **err)
{
    if (p->ending.kind != BOX_ENDING_NONE)
        return box_fail(err, BOX_ESTATE, "the process has ended");
    return box_pidfd_signal(p->pidfd, signal, err);
}

int box_process_take_listener(box_process *p)
{
    if (p->notify) {
        if (p->poll_fd >= 0)
            epoll_ctl(p->poll_fd, EPOLL_CTL_DEL, box_seccomp_notify_fd(p->notify), NULL);
        box_seccomp_notify_free(p->notify);
        p->notify = NULL;
    }
    return box_take_fd(&p->listener);
}

/* ---- how it ended -------------------------------------------------------------------------------------------------- */

static const char *signal_name(int signal)
{
    const char *name = sigabbrev_np(signal);

    return name ? name : "?";
}

static void describe(box_process *p)
{
    struct box_ending *e = &p->ending;

    switch (e->kind) {
    case BOX_ENDING_EXIT:
        snprintf(p->text, sizeof(p->text), "exited with status %d", e->code);
        break;
    case BOX_ENDING_SIGNAL:
        snprintf(p->text, sizeof(p->text), "killed by SIG%s%s", signal_name(e->signal), e->core_dumped ? ", core dumped" : "");
        break;
    case BOX_ENDING_OOM:
        snprintf(p->text, sizeof(p->text), "killed: out of memory in its cgroup");
        break;
    case BOX_ENDING_SECCOMP:
        snprintf(p->text, sizeof(p->text), "killed by its seccomp filter%s%s", e->syscall_name ? ": system call " : "",
                 e->syscall_name ? e->syscall_name : "");
        break;
    case BOX_ENDING_DEADLINE:
        snprintf(p->text, sizeof(p->text), "killed: its deadline passed");
        break;
    default:
        snprintf(p->text, sizeof(p->text), "ended; the status was taken by another part of this program");
        break;
    }
    e->text = p->text;
}

static bool oom_killed(box_process *p)
{
    uint64_t count = 0;

    return p->borrowed && box_cgroup_oom_count(p->borrowed, &count, NULL) >= 0 && count > p->oom_before;
}

/* From a status in the form of wait(2). */
static void end(box_process *p, int status)
{
    struct box_ending *e = &p->ending;

    if (WIFEXITED(status)) {
        e->kind = BOX_ENDING_EXIT;
        e->code = WEXITSTATUS(status);
    } else {
        e->signal = WTERMSIG(status);
        e->code = 128 + e->signal;
        e->core_dumped = WCOREDUMP(status);
        e->kind = p->violation || e->signal == SIGSYS ? BOX_ENDING_SECCOMP
                  : p->killed_by_deadline             ? BOX_ENDING_DEADLINE
                                                      : BOX_ENDING_SIGNAL;
    }
    e->syscall_name = p->violation;
    /* A shell or an init in between passes the kill on as 137. */
    if ((e->signal == SIGKILL && e->kind == BOX_ENDING_SIGNAL) || (e->kind == BOX_ENDING_EXIT && e->code == 128 + SIGKILL)) {
        if (oom_killed(p)) {
            e->kind = BOX_ENDING_OOM;
            e->signal = SIGKILL;
        }
    }
    describe(p);
}

static int status_of(const siginfo_t *info)
{
    switch (info->si_code) {
    case CLD_EXITED:
        return (info->si_status & 0xff) << 8;
    case CLD_DUMPED:
        return info->si_status | 0x80;
    default:
        return info->si_status;
    }
}

static void take_usage(box_process *p, const struct rusage *u)
{
    p->ending.cpu_user_us = (uint64_t)u->ru_utime.tv_sec * 1000000u + (uint64_t)u->ru_utime.tv_usec;
    p->ending.cpu_system_us = (uint64_t)u->ru_stime.tv_sec * 1000000u + (uint64_t)u->ru_stime.tv_usec;
    p->ending.max_rss_kb = (uint64_t)u->ru_maxrss;
}

/* The init's own report is better than its exit status: it tells a signal from an exit. */
static bool take_report(box_process *p)
{
    struct {
        int32_t status, pad;
        uint64_t user_us, system_us, max_rss_kb;
    } report;

    if (p->report < 0 || read(p->report, &report, sizeof(report)) != (ssize_t)sizeof(report))
        return false;
    p->ending.cpu_user_us = report.user_us;
    p->ending.cpu_system_us = report.system_us;
    p->ending.max_rss_kb = report.max_rss_kb;
    end(p, report.status);
    return true;
}

/* Somebody else reaped it: what the kernel remembers behind the pidfd. */
static void end_without_status(box_process *p)
{
    box_pidfd_status status = {0};

    p->child = false;
    if (take_report(p))
        return;
    if (box_pidfd_reap(p->pidfd, 0, &status, NULL) >= 0 && status.known) {
        end(p, status.signal ? status.signal | (status.core_dumped ? 0x80 : 0) : status.code << 8);
        return;
    }
    p->ending.kind = BOX_ENDING_UNKNOWN;
    p->ending.code = -1;
    describe(p);
}

static int poll_once(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

    return poll(&poll_fd, 1, timeout_ms);
}

/* The one that was waiting for it has ended, and has told how it ended; unless it was killed. */
static bool leave_waiter(box_process *p)
{
    close(p->waiter);
    p->waiter = -1;
    p->child = false;
    if (take_report(p))
        return true;
    if (poll_once(p->pidfd, 0) <= 0)
        return false;
    end_without_status(p);
    return true;
}

/* A process that a debugger holds is over, and yet not ours to reap before the debugger has seen it. */
static bool held_by_debugger(const siginfo_t *info)
{
    return info->si_pid == 0;
}

/* False: it is to be asked again. `options`: WNOHANG, or 0 to wait. */
static bool collect(box_process *p, int options)
{
    siginfo_t info = {0};
    struct rusage usage;

    if (!p->child) {
        end_without_status(p);
        return true;
    }
    long r;
    do
        r = syscall(SYS_waitid, 3 /* P_PIDFD */, process_end_fd(p), &info, WEXITED | options | __WALL, &usage);
    while (r < 0 && errno == EINTR);
    if (r == 0 && held_by_debugger(&info))
        return false;
    if (p->waiter >= 0)
        return leave_waiter(p);
    if (r < 0) {
        end_without_status(p);
        return true;
    }
    p->child = false;
    take_usage(p, &usage);
    if (!take_report(p))
        end(p, status_of(&info));
    return true;
}

/* The filter asked what to do about a call that it would kill for: its name is kept, and the process killed. */
static void take_notice(box_process *p)
{
    struct box_seccomp_request request;

    if (box_seccomp_notify_receive(p->notify, &request, NULL) <= 0)
        return;
    if (box_seccomp_filter_evaluate(p->filter, &request.call, NULL) < BOX_SECCOMP_KILL_THREAD) {
        box_seccomp_notify_error(p->notify, request.id, ENOSYS, NULL); /* as where there is no supervisor */
        return;
    }
    const char *name = box_syscall_name(request.call.arch, request.call.number);
    p->violation = name ? name : "unknown";
    box_pidfd_signal(p->pidfd, SIGKILL, NULL);
}

int box_process_dispatch(box_process *p, box_error **err)
{
    (void)err;
    if (p->ending.kind != BOX_ENDING_NONE)
        return 1;
    if (p->notify && poll_once(box_seccomp_notify_fd(p->notify), 0) > 0)
        take_notice(p);
    return poll_once(process_end_fd(p), 0) > 0 && collect(p, WNOHANG);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int box_process_wait(box_process *p, int timeout_ms, box_error **err)
{
    int64_t until = timeout_ms < 0 ? 0 : now_ms() + timeout_ms;

    if (timeout_ms < 0 && p->child && !p->notify && p->ending.kind == BOX_ENDING_NONE && collect(p, 0))
        return 0; /* in one call; not so when its waiter was killed */
    for (;;) {
        int64_t left = timeout_ms < 0 ? -1 : until - now_ms();
        if (timeout_ms >= 0 && left < 0)
            left = 0;
        int n = poll_once(box_process_fd(p), (int)left);
        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "poll", NULL, "wait for the process");
        int r = box_process_dispatch(p, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (timeout_ms >= 0 && left == 0)
            return box_fail(err, BOX_ETIMEOUT, "the process has not ended after %d ms", timeout_ms);
        if (n > 0 && poll_once(process_end_fd(p), 0) > 0) /* held by a debugger: poll(2) would not sleep */
            poll_once(-1, 1);
    }
}

int box_process_wait_or_kill(box_process *p, int timeout_ms, box_error **err)
{
    int r = box_process_wait(p, timeout_ms, NULL);

    if (r != BOX_ETIMEOUT)
        return r;
    p->killed_by_deadline = true;
    r = box_pidfd_signal(p->pidfd, SIGKILL, err);
    return r < 0 && r != BOX_ENOTFOUND ? r : box_process_wait(p, -1, err);
}

/* After the kill. Who is traced is not to be had before its tracer lets go: that is not waited for without end. */
static void collect_killed(box_process *p)
{
    bool ended = false;

    box_pidfd_signal(p->pidfd, SIGKILL, NULL);
    poll_once(p->pidfd, -1);
    for (int ms = 0; ms < COLLECT_MS && !collect(p, WNOHANG); ms++) {
        if (ms == COLLECT_MS / 2 && p->waiter >= 0)
            box_pidfd_signal(p->waiter, SIGKILL, NULL);
        bool held = ended; /* it was there to be collected, and could not be */
        ended = poll_once(process_end_fd(p), 1) > 0;
        if (held && ended)
            poll_once(-1, 1);
    }
}

static void destroy_cgroup(box_process *p)
{
    if (!p->cgroup)
        return;
    if (!p->detached && !p->joined) {
        if (!p->pid_namespace || p->ending.kind == BOX_ENDING_NONE) /* otherwise all went with the first process */
            box_cgroup_kill(p->cgroup, SIGKILL, NULL);
        box_cgroup_destroy(p->cgroup, 2000, NULL);
    }
    box_cgroup_free(p->cgroup);
}

void process_return_devices(box_process *p)
{
    if (p->devices)
        netdev_bring_back(p->devices);
    netdev_moved_free(p->devices);
    p->devices = NULL;
}

void box_process_free(box_process *p)
{
    if (!p)
        return;
    netdev_moved_free(p->devices);
    if (p->ending.kind == BOX_ENDING_NONE && p->pidfd >= 0 && !p->detached) {
        collect_killed(p);
    }
    destroy_cgroup(p);
    box_seccomp_notify_free(p->notify);
    box_seccomp_filter_unref(p->filter);
    if (p->hooks && !p->detached)
        hooks_run_all(p->hooks, SPEC_HOOK_POSTSTOP, &(struct hook_state){.status = "stopped", .pid = p->pid});
    box_spec_free(p->hooks);
    const int fds[] = {p->listener,   p->pidfd,      p->waiter,    p->pty, p->report, p->poll_fd, p->streams[0],
                       p->streams[1], p->streams[2]};
    for (size_t i = 0; i < BOX_ARRAY(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    free(p);
}
