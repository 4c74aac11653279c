/* Namespaces, cgroup, names, and the forks in the road: a stage that must end up in another pid namespace, or stay
 * behind as a monitor, goes on as its own child. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <linux/fcntl.h>
#include <linux/if.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sockios.h>

/* Whether this process has no controlling terminal, or none any more. */
static int leave_terminal(void)
{
    long fd = box_sys(openat, AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0) {
        box_sys(ioctl, fd, TIOCNOTTY);
        box_sys(close, fd);
        fd = box_sys(openat, AT_FDCWD, "/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0)
            box_sys(close, fd);
    }
    return fd == -ENXIO;
}

/* The payload must share neither the host's controlling terminal (TIOCSTI, CVE-2017-5226) nor its process group, which
 * kill(0, …) reaches across pid namespaces. A session of its own gives both, but on kernels with automatic scheduling
 * groups setsid(2) makes such a group, at 0.3 to 2 ms: more than all the rest of the stage. So, where no terminal is to
 * be controlled, a process group and giving up the terminal do the same for some microseconds. */
STAGE_OP(SETSID)
{
    (void)s;
    if (op->num && leave_terminal())
        box_sys(setpgid, 0, 0);
    else
        box_sys(setsid); /* EPERM: is a leader already */
    return 0;
}

/* Before joining others: what they share a pid or user namespace with must not be traced or read through /proc by them
 * (CVE-2016-9962). The exec of the payload makes it an ordinary process again. */
STAGE_OP(NONDUMPABLE)
{
    (void)op;
    STAGE_TRY(s, prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    s->nondumpable = 1;
    return 0;
}

/* "0" is the writer itself, in whatever pid namespace it is. */
STAGE_OP(CGROUP)
{
    (void)op;
    for (int i = SLOT_CGROUP; i < SLOT_REPORT; i++) {
        if (stage_slot(s, i) < 0)
            continue;
        STAGE_TRY(s, write, stage_slot(s, i), "0", 1);
        stage_close_slot(s, i);
    }
    return 0;
}

STAGE_OP(SETNS)
{
    STAGE_TRY(s, setns, stage_slot(s, op->slot), op->num);
    stage_close_slot(s, op->slot);
    return 0;
}

/* The process that was joined may have gone to a user namespace of its own since the host looked (CVE-2022-31214). The
 * way back is closed to it: where it is now, it was at the join. */
STAGE_OP(VERIFY_USER)
{
    const char *wanted = stage_string(s, op->str);
    char now[64];
    long n = STAGE_TRY(s, readlinkat, stage_slot(s, op->slot), "", now, sizeof(now) - 1);
    size_t i = 0;

    now[n] = 0;
    stage_close_slot(s, op->slot);
    while (now[i] && now[i] == wanted[i])
        i++;
    s->call = "user namespace";
    return now[i] == wanted[i] ? 0 : -EPERM;
}

STAGE_OP(UNSHARE)
{
    STAGE_TRY(s, unshare, op->num);
    return 0;
}

STAGE_OP(FORK)
{
    int pidfd = -1;
    struct clone_args args = {.flags = op->num | CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd};
    int into = op->flags & FORK_INTO_CGROUP ? stage_slot(s, SLOT_INTO) : -1;

    if (op->flags & FORK_PARENT_EXITS)
        args.flags |= CLONE_PARENT;
    else
        args.exit_signal = 17; /* SIGCHLD */
    if (into >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)into;
    }
    long pid = STAGE_TRY(s, clone3, &args, sizeof(args));
    if (pid == 0) {
        if (into >= 0) /* a directory: not to be held on to (CVE-2016-9962) */
            stage_close_slot(s, SLOT_INTO);
        return 0;
    }
    if (op->flags & FORK_PARENT_WAITS)
        stage_run_waiter(s, (int)pid);

    struct stage_message m = {.kind = STAGE_FORKED, .value = pid, .pad = (uint32_t)box_sys(getpid)};
    if (op->num2) /* the step to the monitor itself: the host need not know of it */
        stage_exit(0);
    if (stage_send(s, &m, pidfd) < 0) {
        box_sys(kill, pid, 9);
        stage_exit(125);
    }
    if (op->flags & FORK_PARENT_MONITOR)
        stage_run_monitor(s, (int)pid);
    stage_exit(0);
}

STAGE_OP(WAIT_MAPS)
{
    char go = 0;

    (void)op;
    long n = STAGE_TRY(s, recvfrom, s->socket, &go, 1, 0, NULL, NULL);
    return n == 1 && go == STAGE_GO ? 0 : -ECONNABORTED;
}

/* Where id 0 is mapped, what is made from here on belongs to it. Where it is not, the capabilities do. */
STAGE_OP(BECOME_ROOT)
{
    (void)op;
    box_sys(setresgid, 0, 0, 0);
    box_sys(setgroups, 0, NULL);
    box_sys(setresuid, 0, 0, 0);
    if (!s->nondumpable) /* a change of ids takes /proc/self away from its owner */
        box_sys(prctl, PR_SET_DUMPABLE, 1, 0, 0, 0);
    return 0;
}

STAGE_OP(TIME_OFFSETS)
{
    STAGE_TRY(s, unshare, CLONE_NEWTIME);
    if (op->str)
        STAGE_DO(stage_write_text(s, AT_FDCWD, "/proc/self/timens_offsets", stage_string(s, op->str)));
    long fd = STAGE_TRY(s, openat, AT_FDCWD, "/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    STAGE_TRY(s, setns, fd, CLONE_NEWTIME);
    box_sys(close, fd);
    return 0;
}

STAGE_OP(HOSTNAME)
{
    const char *name = stage_string(s, op->str);

    STAGE_TRY(s, sethostname, name, stage_strlen(name));
    return 0;
}

STAGE_OP(DOMAINNAME)
{
    const char *name = stage_string(s, op->str);

    STAGE_TRY(s, setdomainname, name, stage_strlen(name));
    return 0;
}

STAGE_OP(LOOPBACK)
{
    struct ifreq request = {.ifr_name = "lo"};
    char word = 0;

    if (op->num) {
        STAGE_TRY(s, recvfrom, s->socket, &word, 1, 0, NULL, NULL);
        s->call = "recvfrom";
        if (word != STAGE_GO_ALONE)
            return word == STAGE_GO ? 0 : -ECONNABORTED;
    }
    long fd = STAGE_TRY(s, socket, 1 /* AF_UNIX */, 2 | 02000000 /* SOCK_DGRAM | SOCK_CLOEXEC */, 0);
    request.ifr_flags = 0x41; /* IFF_UP | IFF_RUNNING; the kernel has no others to set on loopback */
    long r = box_sys(ioctl, fd, SIOCSIFFLAGS, &request);
    box_sys(close, fd);
    s->call = "SIOCSIFFLAGS";
    return (int)r;
}
