/* Running a program of the host's. Interface and reasons: kernel/spawn.h.
 *
 * In the child, in this order: every descriptor is marked close-on-exec; those to be handed over are moved
 * out of each other's way and then to their numbers; session, death signal, directory; signals to their
 * defaults; exec. Each step that fails writes its name and errno into memory that the waiting parent reads,
 * and the child exits. */
#include "kernel/spawn.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/fail.h"
#include "base/rawsys.h"
#include "kernel/vclone.h"

#define SIG_SETMASK_RAW     2
#define CLOSE_RANGE_ON_EXEC 4 /* CLOSE_RANGE_CLOEXEC, 5.11 */
#define SIGNALS             64
#define FDS_MAX             64

struct plan {
    const struct box_spawn *how;
    struct box_spawn_fd fds[3 + FDS_MAX];
    int stash[3 + FDS_MAX]; /* where each waits while the numbers are cleared */
    unsigned n;
    int highest;
    int exec_fd;
    /* Out. */
    const char *step;
    int error;
};

/* What getdents64(2) gives. */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* For hosts where a seccomp filter knows no close_range. */
BOX_VCHILD static long mark_by_directory(void)
{
    union {
        char bytes[1024];
        struct entry align;
    } buffer;
    long dir = box_sys(openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0), n;

    if (dir < 0)
        return dir;
    while ((n = box_sys(getdents64, dir, &buffer, sizeof(buffer))) > 0)
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(buffer.bytes + at);
            int fd = 0;
            const char *digit = e->name;

            for (; *digit >= '0' && *digit <= '9'; digit++)
                fd = fd * 10 + (*digit - '0');
            if (digit != e->name && *digit == '\0')
                box_sys(fcntl, fd, F_SETFD, FD_CLOEXEC);
            at += e->length;
        }
    box_sys(close, dir);
    return n;
}

BOX_VCHILD static long move_fds(struct plan *p)
{
    long r = 0;

    for (unsigned i = 0; i < p->n && r >= 0; i++)
        if ((r = box_sys(fcntl, p->fds[i].host, F_DUPFD_CLOEXEC, p->highest + 1)) >= 0)
            p->stash[i] = (int)r;
    if (r >= 0 && p->exec_fd >= 0 && (r = box_sys(fcntl, p->exec_fd, F_DUPFD_CLOEXEC, p->highest + 1)) >= 0)
        p->exec_fd = (int)r;
    for (unsigned i = 0; i < p->n && r >= 0; i++)
        r = box_sys(dup3, p->stash[i], p->fds[i].child, 0);
    return r;
}

BOX_VCHILD static void default_signals(void)
{
    /* The kernel's struct sigaction: SIG_DFL, no flags, no restorer, empty mask. */
    const uint64_t action[4] = {0, 0, 0, 0}, none = 0;

    for (int s = 1; s <= SIGNALS; s++)
        if (s != SIGKILL && s != SIGSTOP)
            box_sys(rt_sigaction, s, action, NULL, sizeof(none));
    box_sys(rt_sigprocmask, SIG_SETMASK_RAW, &none, NULL, sizeof(none));
}

BOX_VCHILD static long set_up(struct plan *p)
{
    const struct box_spawn *how = p->how;
    long r;

    p->step = "close_range";
    if (box_sys(close_range, 0, ~0u, CLOSE_RANGE_ON_EXEC) < 0 && (r = mark_by_directory()) < 0)
        return r;
    p->step = how->cwd_fd >= 0 ? "fchdir" : "chdir";
    r = how->cwd_fd >= 0 ? box_sys(fchdir, how->cwd_fd) : box_sys(chdir, "/");
    if (r < 0)
        return r;
    p->step = "dup3";
    if ((r = move_fds(p)) < 0)
        return r;
    p->step = "setsid";
    if (how->new_session && (r = box_sys(setsid)) < 0)
        return r;
    p->step = "prctl(PR_SET_PDEATHSIG)";
    if (how->death_signal && (r = box_sys(prctl, PR_SET_PDEATHSIG, how->death_signal, 0, 0, 0)) < 0)
        return r;
    default_signals();
    return 0;
}

BOX_VCHILD static int child_main(void *arg)
{
    static const char *const no_env[] = {NULL};
    struct plan *p = arg;
    const char *const *envp = p->how->envp ? p->how->envp : no_env;
    long r = set_up(p);

    if (r >= 0) {
        p->step = "execve";
        if (p->how->path)
            r = box_sys(execve, p->how->path, p->how->argv, envp);
        else
            r = box_sys(execveat, p->exec_fd, "", p->how->argv, envp, AT_EMPTY_PATH);
    }
    p->error = (int)-r;
    return 127;
}

static int code_of_exec(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return BOX_ENOPROGRAM;
    case EACCES:
    case ENOEXEC:
    case ELIBBAD:
    case EISDIR:
    case ELOOP:
    case EINVAL:
        return BOX_ENOEXEC;
    case ENOMEM:
        return BOX_ENOMEM;
    case E2BIG:
        return BOX_ELIMIT;
    case ETXTBSY:
        return BOX_EBUSY;
    default:
        return BOX_ESTART;
    }
}

static int make_plan(const struct box_spawn *how, int null_fd, struct plan *p, box_error **err)
{
    const int std[3] = {how->in, how->out, how->err};

    if (how->n_fds > FDS_MAX)
        return box_fail(err, BOX_ELIMIT, "more than %d descriptors for a program", FDS_MAX);
    *p = (struct plan){.how = how, .highest = 2, .exec_fd = how->path ? -1 : how->exec_fd};
    for (int i = 0; i < 3; i++)
        p->fds[p->n++] = (struct box_spawn_fd){std[i] == BOX_SPAWN_NULL ? null_fd : std[i], i};
    for (size_t i = 0; i < how->n_fds; i++) {
        if (how->fds[i].child < 3)
            return box_fail(err, BOX_EINVAL, "descriptor number %d is not free for a program",
                            how->fds[i].child);
        p->fds[p->n++] = how->fds[i];
        if (how->fds[i].child > p->highest)
            p->highest = how->fds[i].child;
    }
    return 0;
}

int box_spawn(const struct box_spawn *how, struct box_child *child, box_error **err)
{
    _close_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
    struct plan p;

    *child = (struct box_child){.pid = -1, .pidfd = -1};
    if (null_fd < 0)
        return box_fail_sys(err, "open", "/dev/null", "start a program");
    int r = make_plan(how, null_fd, &p, err);
    if (r < 0)
        return r;
    int pidfd = -1;
    r = box_vclone(0, -1, child_main, &p, &pidfd);
    if (r < 0) {
        errno = -r;
        return box_fail_sys(err, "clone3", how->path, "start a program");
    }
    *child = (struct box_child){.pid = r, .pidfd = pidfd};
    if (p.error == 0)
        return 0;
    box_pidfd_status status;
    box_spawn_wait(child, -1, &status, NULL);
    bool exec = strcmp(p.step, "execve") == 0;
    return box_fail_with(err,
                         &(struct box_fail_info){.code = exec ? code_of_exec(p.error) : BOX_ESTART,
                                                 .errnum = p.error,
                                                 .call = p.step,
                                                 .subject = how->path},
                         "cannot start the program");
}

int box_spawn_wait(struct box_child *child, int timeout_ms, box_pidfd_status *status, box_error **err)
{
    if (child->pidfd < 0)
        return box_fail(err, BOX_ESTATE, "the child has been waited for");
    int r = box_pidfd_reap(child->pidfd, timeout_ms, status, err);
    if (r < 0)
        return r;
    close(child->pidfd);
    *child = (struct box_child){.pid = -1, .pidfd = -1};
    return 0;
}

/* The group only if the child leads it: its own session was asked for, and nobody else's processes are in it.
 * Kernels before 6.9 know groups by number only. It is the child's as long as that has not been reaped, and
 * also afterwards while anybody is left in the group. */
static void kill_group(const struct box_child *child)
{
    if (getpgid(child->pid) != child->pid || box_pidfd_signal(child->pidfd, 0, NULL) < 0)
        return;
    if (box_pidfd_signal_group(child->pidfd, SIGKILL, NULL) == BOX_EUNSUPPORTED)
        kill(-child->pid, SIGKILL);
}

void box_spawn_kill(struct box_child *child)
{
    box_pidfd_status status;

    if (child->pidfd < 0)
        return;
    kill_group(child);
    box_pidfd_signal(child->pidfd, SIGKILL, NULL);
    box_spawn_wait(child, -1, &status, NULL);
    if (child->pidfd >= 0)
        close(child->pidfd);
    *child = (struct box_child){.pid = -1, .pidfd = -1};
}

const char *box_spawn_describe(const box_pidfd_status *status, char *buffer, size_t size)
{
    if (!status->known)
        snprintf(buffer, size, "ended, and its status is lost");
    else if (status->signal)
        snprintf(buffer, size, "was killed by signal %d", status->signal);
    else
        snprintf(buffer, size, "exited with status %d", status->code);
    return buffer;
}
