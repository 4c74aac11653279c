/* Processes by descriptor. Public face: libbox/pidfd.h.
 *
 * The kernel grew this interface over the years: pidfd_open 5.3, pidfd_getfd 5.6, waitid(P_PIDFD) 5.4, one
 * inode for each process 6.9, PIDFD_GET_INFO 6.13, the exit status after somebody else's wait 6.15.
 * Structures and numbers that Debian 12's headers lack are written down here. */
#include <libbox/pidfd.h>

#include <fcntl.h>
#include <linux/types.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/fail.h"
#include "base/clock.h"
#include "kernel/number.h"
#include "kernel/smallfile.h"

#define PIDFS_MAGIC          0x50494446
#define RELEASE_WAIT_MS      200
#define RELEASE_PAUSE        (BOX_MS / 20)
#define SIGNAL_PROCESS_GROUP 4u /* PIDFD_SIGNAL_PROCESS_GROUP, 6.9 */
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* struct pidfd_info, as of its first version (64 bytes). */
struct kernel_pidfd_info {
    __u64 mask;
    __u64 cgroupid;
    __u32 pid, tgid, ppid;
    __u32 ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    __s32 exit_code;
};
#define GET_INFO      _IOWR(0xFF, 11, struct kernel_pidfd_info)
#define INFO_IDS      (1ull << 0)
#define INFO_CREDS    (1ull << 1)
#define INFO_CGROUPID (1ull << 2)
#define INFO_EXIT     (1ull << 3)
_Static_assert(sizeof(struct kernel_pidfd_info) == 64, "the kernel's first struct pidfd_info has 64 bytes");

static int fail_pid(box_error **err, const char *call, pid_t pid)
{
    char subject[32];

    /* EINVAL and ENOENT: a thread that leads no process. */
    if (errno == EINVAL || errno == ENOENT)
        errno = ESRCH;
    snprintf(subject, sizeof(subject), "%d", (int)pid);
    return box_fail_with(
        err,
        &(struct box_fail_info){
            .code = errno == ESRCH ? BOX_ENOTFOUND : 0, .errnum = errno, .call = call, .subject = subject},
        "cannot get hold of the process");
}

int box_pidfd_open(pid_t pid, box_error **err)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0u);

    if (fd < 0)
        return fail_pid(err, "pidfd_open", pid);
    return fd; /* the kernel makes it close-on-exec */
}

int box_pidfd_start_time(pid_t pid, uint64_t *start_time, box_error **err)
{
    char path[32], text[1024];

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    ssize_t n = box_smallfile_read(path, text, sizeof(text));
    if (n < 0) {
        errno = n == -ENOENT ? ESRCH : (int)-n;
        return fail_pid(err, "open", pid);
    }
    /* The name, field 2, is in parentheses and may hold anything, also ") 1 2"; no later field holds one. */
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || box_number_u64(at + 1, strcspn(at + 1, " \n"), start_time) < 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESYSTEM, .subject = path},
                             "cannot find the start time");
    return 0;
}

int box_pidfd_open_started(pid_t pid, uint64_t start_time, box_error **err)
{
    _close_ int fd = box_pidfd_open(pid, err);
    uint64_t now;

    if (fd < 0)
        return fd;
    int r = box_pidfd_start_time(pid, &now, err);
    if (r < 0)
        return r;
    /* The time was read by number. If the process that fd means were gone by now, another one could have been
     * asked. */
    if (now != start_time || syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0u) < 0) {
        if (now != start_time || errno == ESRCH) {
            errno = ESRCH;
            return fail_pid(err, "pidfd_open", pid);
        }
    }
    return box_take_fd(&fd);
}

int box_pidfd_pid(int pidfd, pid_t *pid, box_error **err)
{
    char path[64], text[2048];

    snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", pidfd);
    ssize_t n = box_smallfile_read(path, text, sizeof(text));
    if (n < 0) {
        errno = (int)-n;
        return box_fail_sys(err, "open", path, "ask which process a pidfd means");
    }
    const char *value = box_smallfile_field(text, "Pid");
    if (!value)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "the descriptor is not a pidfd");
    uint64_t number;
    /* -1: reaped; 0: of a pid namespace that is not below ours. */
    if (box_number_u64(value, strcspn(value, " \n"), &number) < 0 || number == 0)
        return box_fail(err, BOX_ENOTFOUND, "the process has ended or is not in this pid namespace");
    *pid = (pid_t)number;
    return 0;
}

int box_pidfd_same(int a, int b, bool *same, box_error **err)
{
    struct statfs fs;
    struct stat sa, sb;
    pid_t pa, pb;

    if (fstat(a, &sa) < 0 || fstat(b, &sb) < 0 || fstatfs(a, &fs) < 0)
        return box_fail_sys(err, "fstat", NULL, "compare two pidfds");
    if (fs.f_type == PIDFS_MAGIC) {
        *same = sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
        return 0;
    }
    int ra = box_pidfd_pid(a, &pa, err);
    if (ra < 0 && ra != BOX_ENOTFOUND)
        return ra;
    int rb = box_pidfd_pid(b, &pb, ra < 0 ? NULL : err);
    if (rb < 0 && rb != BOX_ENOTFOUND)
        return rb;
    if (ra < 0 && rb < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                     .remedy = "compare before the processes are reaped"},
                             "this kernel cannot compare processes that are gone");
    /* Neither has been reaped while it shows a number, so equal numbers are one process. */
    if (rb < 0 && err && ra == 0) {
        box_error_free(*err);
        *err = NULL;
    }
    *same = ra == 0 && rb == 0 && pa == pb;
    return 0;
}

static int send_signal(int pidfd, int signal, unsigned flags, box_error **err)
{
    if (syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, flags) == 0)
        return 0;
    if (errno == ESRCH)
        return box_fail_with(
            err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = ESRCH, .call = "pidfd_send_signal"},
            "the process has ended");
    if (errno == EINVAL && flags)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                     .errnum = EINVAL,
                                                     .call = "pidfd_send_signal",
                                                     .remedy = "Linux 6.9 can"},
                             "this kernel cannot signal a process group by pidfd");
    return box_fail_sys(err, "pidfd_send_signal", NULL, "send signal %d", signal);
}

int box_pidfd_signal(int pidfd, int signal, box_error **err)
{
    return send_signal(pidfd, signal, 0, err);
}

int box_pidfd_signal_group(int pidfd, int signal, box_error **err)
{
    return send_signal(pidfd, signal, SIGNAL_PROCESS_GROUP, err);
}

int box_pidfd_getfd(int pidfd, int fd, box_error **err)
{
    int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0u);

    if (copy < 0)
        return box_fail_sys(err, "pidfd_getfd", NULL, "copy descriptor %d of another process", fd);
    return copy; /* the kernel makes it close-on-exec */
}

int box_pidfd_wait(int pidfd, int timeout_ms, box_error **err)
{
    struct box_deadline deadline = box_deadline_in_ms(timeout_ms);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    for (;;) {
        int n = poll(&p, 1, box_deadline_left_ms(deadline));
        if (n > 0 && (p.revents & POLLNVAL))
            return box_fail(err, BOX_EINVAL, "descriptor %d is not open", pidfd);
        if (n > 0)
            return 0;
        if (n == 0)
            return box_fail(err, BOX_ETIMEOUT, "the process has not ended within %d ms", timeout_ms);
        if (errno != EINTR)
            return box_fail_sys(err, "poll", NULL, "wait for a process");
    }
}

/* A wait status as wait(2) gives it. */
static box_pidfd_status decode_status(int raw)
{
    if (WIFEXITED(raw))
        return (box_pidfd_status){.known = true, .code = WEXITSTATUS(raw)};
    return (box_pidfd_status){
        .known = true, .code = -1, .signal = WTERMSIG(raw), .core_dumped = WCOREDUMP(raw)};
}

static box_pidfd_status decode_siginfo(const siginfo_t *si)
{
    if (si->si_code == CLD_EXITED)
        return (box_pidfd_status){.known = true, .code = si->si_status};
    return (box_pidfd_status){
        .known = true, .code = -1, .signal = si->si_status, .core_dumped = si->si_code == CLD_DUMPED};
}

/* Somebody else waited for it, or it never was ours. A pidfd becomes readable a moment before the kernel lets the
 * process go and writes its status down: while it still answers, and without a status, that moment is on. */
static int status_of_stranger(int pidfd, box_pidfd_status *status, box_error **err)
{
    struct box_deadline deadline = box_deadline_in_ms(RELEASE_WAIT_MS);
    box_pidfd_info info;

    *status = (box_pidfd_status){.code = -1};
    while (box_pidfd_get_info(pidfd, &info, NULL) == 0) {
        if (info.has_exit) {
            *status = info.status;
            return 0;
        }
        if ((info.has_ids && info.ppid != getpid()) || box_deadline_passed(deadline))
            break;
        box_deadline_sleep(deadline, RELEASE_PAUSE);
    }
    if (syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0u) < 0 && errno == ESRCH)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ECHILD, .errnum = ECHILD, .call = "waitid"},
                         "the process is not a child of this one");
}

int box_pidfd_reap(int pidfd, int timeout_ms, box_pidfd_status *status, box_error **err)
{
    struct box_deadline deadline = box_deadline_in_ms(timeout_ms);

    for (;;) {
        siginfo_t si = {0};
        int r = box_pidfd_wait(pidfd, box_deadline_left_ms(deadline), err);

        if (r < 0)
            return r;
        r = waitid((idtype_t)P_PIDFD, (id_t)pidfd, &si, WEXITED | __WALL | WNOHANG);
        if (r == 0 && si.si_pid != 0) {
            *status = decode_siginfo(&si);
            return 0;
        }
        if (r < 0 && errno == ECHILD)
            return status_of_stranger(pidfd, status, err);
        if (r < 0 && errno != EINTR)
            return box_fail_sys(err, "waitid", NULL, "reap a child");
        /* Ended, but not for us to see yet: a debugger has it. */
        if (box_deadline_left_ms(deadline) == 0)
            return box_fail(err, BOX_ETIMEOUT, "the process has not ended within %d ms", timeout_ms);
        poll(NULL, 0, 1);
    }
}

int box_pidfd_get_info(int pidfd, box_pidfd_info *info, box_error **err)
{
    struct kernel_pidfd_info k = {.mask = INFO_IDS | INFO_CREDS | INFO_CGROUPID | INFO_EXIT};

    *info = (box_pidfd_info){.status.code = -1};
    if (ioctl(pidfd, GET_INFO, &k) < 0) {
        if (errno == ESRCH)
            return box_fail_with(err,
                                 &(struct box_fail_info){
                                     .code = BOX_ENOTFOUND, .errnum = ESRCH, .call = "ioctl(PIDFD_GET_INFO)"},
                                 "the process has been reaped");
        return box_fail_with(err,
                             &(struct box_fail_info){.code = errno == EBADF ? BOX_EINVAL : BOX_EUNSUPPORTED,
                                                     .errnum = errno,
                                                     .call = "ioctl(PIDFD_GET_INFO)",
                                                     .remedy = "Linux 6.13 can"},
                             "this kernel tells nothing of a process by its pidfd");
    }
    if ((info->has_ids = (k.mask & INFO_IDS) && k.pid != 0)) {
        info->pid = (pid_t)k.pid, info->tgid = (pid_t)k.tgid, info->ppid = (pid_t)k.ppid;
        info->ruid = k.ruid, info->euid = k.euid, info->suid = k.suid, info->fsuid = k.fsuid;
        info->rgid = k.rgid, info->egid = k.egid, info->sgid = k.sgid, info->fsgid = k.fsgid;
    }
    if ((info->has_cgroup = (k.mask & INFO_CGROUPID)))
        info->cgroup_id = k.cgroupid;
    if ((info->has_exit = (k.mask & INFO_EXIT)))
        info->status = decode_status(k.exit_code);
    return 0;
}
