/* The lives that a stage may go on to have: the init of a container, the monitor beside one, and the parent of what was
 * started in one.
 *
 * The init is the container's first process: it reaps what is left to it, hands signals on to the payload, and ends as
 * the payload did. The monitor belongs to the host's side: it is the parent of a detached container's first process,
 * copies a terminal's output to the log, and writes down how the process ended. Both wait in one system call and hold
 * no descriptor that they do not need. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/time.h>

#define WNOHANG_ 1
#define WALL_    0x40000000
#define SIGCHLD_ 17

static int signalled(int status)
{
    return (status & 0x7f) != 0;
}

static int exit_code(int status)
{
    return signalled(status) ? 128 + (status & 0x7f) : (status >> 8) & 0xff;
}

struct ending {
    int32_t status, pad;
    uint64_t user_us, system_us, max_rss_kb;
};

static uint64_t microseconds(const struct __kernel_old_timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000u + (uint64_t)t->tv_usec;
}

static struct ending make_ending(int status, const struct rusage *usage)
{
    return (struct ending){status, 0, microseconds((const void *)&usage->ru_utime),
                           microseconds((const void *)&usage->ru_stime), (uint64_t)usage->ru_maxrss};
}

/* Reaps all that has ended; returns once with the payload's own end. */
static int reap(int child, struct ending *ending)
{
    struct rusage usage;
    int status = 0, found = 0;
    long pid;

    while ((pid = box_sys(wait4, -1, &status, WNOHANG_ | WALL_, &usage)) > 0) {
        if (pid == child) {
            *ending = make_ending(status, &usage);
            found = 1;
        }
    }
    return found;
}

void stage_run_init(struct stage *s, int child)
{
    int report = stage_slot(s, SLOT_REPORT);
    uint64_t all = ~(uint64_t)0;
    struct ending ending;

    stage_name("box-init");
    box_sys(prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
    stage_close_others(report, -1, -1);
    for (;;) {
        long sig = box_sys(rt_sigtimedwait, &all, NULL, NULL, sizeof(all));
        if (sig == SIGCHLD_) {
            if (reap(child, &ending)) {
                box_sys(write, report, &ending, sizeof(ending));
                stage_exit(exit_code(ending.status));
            }
        } else if (sig > 0) {
            box_sys(kill, child, sig);
        }
    }
}

/* The parent of a process that is sent into another's pid namespace. The first process of that namespace cannot end
 * before all others in it have been waited for, so whose children they are must do nothing but wait: a host program may
 * be waiting for the very container that this one keeps from ending. It is outside of all that is joined, the cgroup
 * too. Two children come to it: the stage that joins, and, from that one, the process itself. */
void stage_run_waiter(struct stage *s, int joins)
{
    int report = stage_slot(s, SLOT_REPORT), status = 0, last = 125 << 8;
    struct rusage usage = {0}, now;
    long pid;

    stage_name("box-waiter");
    stage_close_others(report, -1, -1);
    while ((pid = box_sys(wait4, -1, &status, WALL_, &now)) > 0 || pid == -EINTR) {
        if (pid <= 0 || pid == joins)
            continue;
        last = status;
        usage = now;
    }
    struct ending ending = make_ending(last, &usage);
    box_sys(write, report, &ending, sizeof(ending));
    stage_exit(exit_code(last));
}

/* num as of SETSID */
STAGE_OP(INIT)
{
    struct clone_args_short {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args = {.exit_signal = SIGCHLD_};

    long pid = STAGE_TRY(s, clone3, &args, sizeof(args));
    if (pid > 0)
        stage_run_init(s, (int)pid);
    if (op->num)
        box_sys(setpgid, 0, 0);
    else
        box_sys(setsid);
    return 0;
}

/* "status user_us system_us max_rss_kb finished_ns\n": small enough for one write, whole or not there. */
static void record(int dir, const struct ending *ending)
{
    char text[160] = "";
    struct __kernel_timespec now;
    const long numbers[] = {ending->status, (long)ending->user_us, (long)ending->system_us, (long)ending->max_rss_kb};

    for (int i = 0; i < 4; i++) {
        stage_append_number(text, sizeof(text), numbers[i]);
        stage_append(text, sizeof(text), " ");
    }
    box_sys(clock_gettime, 0 /* CLOCK_REALTIME */, &now);
    stage_append_number(text, sizeof(text), now.tv_sec * 1000000000l + now.tv_nsec);
    stage_append(text, sizeof(text), "\n");

    long fd = box_sys(openat, dir, "exit.new", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (box_sys(write, fd, text, stage_strlen(text)) == (long)stage_strlen(text)) {
        box_sys(fsync, fd);
        box_sys(renameat2, dir, "exit.new", dir, "exit", 0);
    }
    box_sys(close, fd);
}

/* The terminal is made by the child, inside the container: it comes over a socket, or end of file does. */
static int receive_master(int channel)
{
    struct {
        size_t length;
        int32_t level, type, fd, pad;
    } control = {0};
    char byte;
    struct {
        void *base;
        size_t length;
    } iov = {&byte, 1};
    struct {
        void *name;
        uint32_t name_length;
        void *iov;
        size_t iov_length;
        void *control;
        size_t control_length;
        uint32_t flags;
    } header = {NULL, 0, &iov, 1, &control, sizeof(control), 0};

    if (channel < 0)
        return -1;
    long n = box_sys(recvmsg, channel, &header, 0x40000000 /* MSG_CMSG_CLOEXEC */);
    box_sys(close, channel);
    return n > 0 && header.control_length >= sizeof(size_t) + 3 * sizeof(int32_t) ? control.fd : -1;
}

/* What the terminal shows goes to the log. Returns 0 when nothing is left to be read. */
static int copy_output(int master, int log)
{
    static char buffer[4096];
    long n = box_sys(read, master, buffer, sizeof(buffer));

    if (n <= 0)
        return 0;
    if (log >= 0)
        box_sys(write, log, buffer, n);
    return 1;
}

void stage_run_monitor(struct stage *s, int child)
{
    int dir = stage_slot(s, SLOT_STATE), log = stage_slot(s, SLOT_LOG), channel = stage_slot(s, SLOT_CHANNEL);
    uint64_t all = ~(uint64_t)0;
    struct ending ending;

    stage_name("box-monitor");
    box_sys(chdir, "/");
    stage_close_others(dir, log, channel);
    int master = receive_master(channel);
    int signals = (int)box_sys(signalfd4, -1, &all, sizeof(all), O_CLOEXEC | O_NONBLOCK);

    for (;;) {
        struct pollfd poll[2] = {{signals, POLLIN, 0}, {master, POLLIN, 0}};
        char info[128];

        box_sys(ppoll, poll, master >= 0 ? 2 : 1, NULL, NULL, 0);
        if (master >= 0 && poll[1].revents && !copy_output(master, log)) {
            box_sys(close, master);
            master = -1;
        }
        if (!poll[0].revents)
            continue;
        while (box_sys(read, signals, info, sizeof(info)) > 0)
            continue;
        if (reap(child, &ending))
            break;
    }
    if (master >= 0) {
        box_sys(fcntl, master, F_SETFL, O_RDWR | O_NONBLOCK);
        while (copy_output(master, log))
            continue;
    }
    record(dir, &ending);
    stage_exit(0);
}
