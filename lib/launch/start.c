/* A start, on the host's side.
 *
 * In order: streams, cgroup, socket; clone; the child clears close-on-exec on the descriptors that the stage is to have
 * and executes it, with their numbers as its argument; id maps are written; then the stage's messages are read
 * until it has become the payload (end of file) or has failed. Whatever fails, the child is killed and reaped here,
 * and nothing stays behind. */
#include "launch/launch.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include <libbox/pidfd.h>
#include "base/cleanup.h"
#include "base/rawsys.h"
#include "kernel/cgroup.h"
#include "kernel/mount_image.h"
#include "kernel/vclone.h"
#include "launch/devices.h"
#include "launch/hooks.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

struct child;

/* What may come before STAGE_FORKED: a terminal, a listener, then a question whose answer is waited for. */
#define EARLY_MOST 4
struct early {
    struct stage_message message;
    int fd;
};

struct start {
    const box_plan *plan;
    const struct start_options *options;
    box_process *process;
    struct start_streams streams;
    int socket, stage_socket;
    int report_stage;
    int hook_state; /* a memory file that the stage's hooks read; -1: there are none */
    bool created;   /* hooks of the creation may have run: poststop is due, however the start ends */
    int channel[2];
    struct box_cgroup_entry entry;
    bool have_entry;
    struct stage_fd *fds;
    uint32_t n_fds, room;
    int *clones;
    size_t n_clones;
    bool ready;
    bool forked; /* the stage has told as what process it goes on */
    bool is_held;
    struct early early[EARLY_MOST]; /* heard before that */
    unsigned n_early, early_heard;
    struct child *child;
    char *argument;
    char *stack;
};

#define CHILD_STACK 16384

/* ---- the child of the clone: raw system calls on the host's memory, nothing else ------------------------------------ */

struct child {
    int program;
    const char *argv[3];
    const struct stage_fd *fds;
    uint32_t n_fds;
    int socket, plan;
    bool ambient, loopback;
    int errnum;
    const char *call; /* that failed */
};

#define CAP_LAST 63

/* An exec in a user namespace without a map drops all capabilities but the ambient ones. */
BOX_VCHILD static void raise_ambient(void)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    struct {
        uint32_t effective, permitted, inheritable;
    } data[2];

    if (box_sys(capget, &header, data) < 0)
        return;
    data[0].inheritable = data[0].permitted;
    data[1].inheritable = data[1].permitted;
    box_sys(capset, &header, data);
    for (int cap = 0; cap <= CAP_LAST; cap++)
        if (box_sys(prctl, 47 /* PR_CAP_AMBIENT */, 2 /* PR_CAP_AMBIENT_RAISE */, cap, 0, 0) == -EINVAL)
            break;
}

/* A socket of the new network namespace, for the host: bringing the loopback interface up takes as long as an exec, and
 * the host has nothing to do meanwhile. An AF_UNIX one will do, and is there always. */
BOX_VCHILD static int send_loopback(const struct child *c)
{
    struct stage_message m = {.kind = STAGE_LOOPBACK};
    struct iovec iov = {&m, sizeof(m)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = (int)box_sys(socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return fd;
    *(int *)(void *)CMSG_DATA(&control.header) = fd;
    int r = (int)box_sys(sendmsg, c->socket, &message, MSG_NOSIGNAL);
    return r < 0 ? r : 0;
}

BOX_VCHILD static int child_main(void *arg)
{
    struct child *c = arg;
    const char *const env[] = {NULL};

    c->call = "sendmsg";
    if (c->loopback && (c->errnum = -send_loopback(c)))
        return 125;
    for (uint32_t i = 0; i < c->n_fds; i++)
        box_sys(fcntl, c->fds[i].fd, F_SETFD, 0);
    box_sys(fcntl, c->socket, F_SETFD, 0);
    box_sys(fcntl, c->plan, F_SETFD, 0);
    if (c->ambient)
        raise_ambient();
    c->call = "execveat";
    c->errnum = (int)-box_sys(execveat, c->program, "", c->argv, env, AT_EMPTY_PATH);
    return 125;
}

/* ---- before the clone ------------------------------------------------------------------------------------------------ */

static int give(struct start *s, int slot, int fd, box_error **err)
{
    if (fd < 0)
        return 0;
    if (s->n_fds >= STAGE_MAX_FDS)
        return box_fail(err, BOX_ELIMIT, "more than %d descriptors are handed to the stage", STAGE_MAX_FDS);
    if (s->n_fds == s->room) {
        struct stage_fd *grown = reallocarray(s->fds, s->room ? s->room * 2 : 32, sizeof(*grown));
        if (!grown)
            return box_fail_nomem(err);
        s->fds = grown;
        s->room = s->room ? s->room * 2 : 32;
    }
    s->fds[s->n_fds++] = (struct stage_fd){slot, fd};
    return 0;
}

static int give_held(struct start *s, box_error **err)
{
    const box_plan *plan = s->plan;
    int r = 0;

    if (plan->n_clones && !(s->clones = calloc(plan->n_clones, sizeof(int))))
        return box_fail_nomem(err);
    for (size_t i = 0; i < plan->n_held && r >= 0; i++)
        r = give(s, plan->held[i].slot, plan->held[i].fd, err);
    for (size_t i = 0; i < plan->n_clones && r >= 0; i++) {
        const struct plan_host_clone *clone = &plan->clones[i];
        int fd = clone->image ? box_mount_image(clone->fd, err)
                              : (int)syscall(SYS_open_tree, clone->fd, "", clone->flags | O_CLOEXEC);
        if (fd < 0)
            return clone->image ? fd : box_fail_sys(err, "open_tree", NULL, "clone the mount behind a descriptor");
        s->clones[s->n_clones++] = fd;
        r = give(s, plan->clones[i].slot, fd, err);
    }
    return r;
}

static bool hands_over(const box_stdio *io, int number)
{
    for (size_t i = 0; io && i < io->n_extra; i++)
        if (io->numbers[i] == number)
            return true;
    return false;
}

static int give_streams(struct start *s, box_error **err)
{
    const box_stdio *io = s->options->io;
    int r = stdio_open(io, s->plan->terminal, &s->streams, err);

    for (int number = 3; number < 3 + s->plan->preserve_fds && r >= 0; number++)
        if (!hands_over(io, number))
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "libbox.preserveFds",
                                                              .remedy = "hand it over by box_stdio_set_fd()"},
                                 "the spec counts on descriptor %d, and the caller gave none", number);
    for (int i = 0; i < 3 && r >= 0; i++)
        r = give(s, SLOT_STDIN + i, s->streams.stage[i], err);
    for (size_t i = 0; io && i < io->n_extra && r >= 0; i++)
        r = give(s, SLOT_EXTRA + io->numbers[i], io->fds[i], err);
    return r;
}

/* The cgroup of the start: the container's, or one for this process alone when the spec has limits. */
static int enter_cgroup(struct start *s, box_error **err)
{
    const box_plan *plan = s->plan;
    struct box_cgroup *cgroup = s->options->cgroup;
    bool lenient = plan->may_miss & SPEC_LAYER_CGROUP;

    /* Without a host in the plan the cgroup is the caller's affair, who may have none. */
    if (!cgroup && plan->cgroup_host) {
        _cleanup_(box_cgroup_host) box_cgroup_host *host = cgroup_host_again(plan->cgroup_host, err);
        unsigned wanted = plan->cgroup_wanted;
        if (!host)
            return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
        /* Rules for devices alone are no reason to refuse an ordinary user, who cannot make any. */
        lenient = lenient || (geteuid() != 0 && !plan->cgroup_path &&
                              !(wanted & ~(unsigned)(BOX_CONTROLLER_UNIFIED | BOX_CONTROLLER_DEVICES)));
        cgroup = box_cgroup_create(host, plan->cgroup_path, wanted, plan->limits, lenient ? BOX_CGROUP_LENIENT : 0,
                                   lenient ? NULL : err);
        if (!cgroup && !lenient)
            return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
        s->process->cgroup = cgroup;
    }
    if (!cgroup)
        return 0;
    s->process->borrowed = cgroup;
    box_cgroup_oom_count(cgroup, &s->process->oom_before, NULL);
    int r = box_cgroup_entry_fds(cgroup, &s->entry, err);
    if (r < 0)
        return r;
    s->have_entry = true;
    int slot = SLOT_CGROUP;
    if (!plan->clone_into)
        r = give(s, SLOT_INTO, s->entry.directory, err);
    for (int i = 0; i < s->entry.count && r >= 0 && slot < SLOT_TASKS; i++)
        r = give(s, slot++, s->entry.procs[i], err);
    return r;
}

static int give_supervision(struct start *s, box_error **err)
{
    int ends[2], r = 0;

    if ((s->plan->init || s->plan->waits) && !s->plan->monitor) {
        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
            return box_fail_sys(err, "pipe2", NULL, "make the init's report");
        s->process->report = ends[0];
        s->report_stage = ends[1];
        r = give(s, SLOT_REPORT, ends[1], err);
    }
    if (s->plan->monitor && s->plan->terminal && r >= 0) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, s->channel) < 0)
            return box_fail_sys(err, "socketpair", NULL, "make the monitor's channel");
        r = give(s, SLOT_CHANNEL, s->channel[0], err);
        if (r >= 0)
            r = give(s, SLOT_CHANNEL_SEND, s->channel[1], err);
    }
    if (s->plan->hooks && hooks_of_stage(s->plan->hooks) && r >= 0) {
        s->hook_state = memfd_create("state", MFD_CLOEXEC);
        if (s->hook_state < 0)
            return box_fail_sys(err, "memfd_create", NULL, "keep the state for hooks");
        r = give(s, SLOT_HOOK_STATE, s->hook_state, err);
    }
    for (int i = 0; i < 2 && r >= 0; i++)
        r = give(s, SLOT_TASKS + i, s->options->tasks[i], err);
    if (r >= 0)
        r = give(s, SLOT_JOIN, s->options->join_pidfd, err);
    if (r >= 0)
        r = give(s, SLOT_JOIN_USER, s->options->join_user_fd, err);
    if (r >= 0)
        r = give(s, SLOT_STATE, s->options->state_fd, err);
    if (r >= 0)
        r = give(s, SLOT_LOG, s->options->log_fd, err);
    return r < 0 ? r : give(s, SLOT_HOLD, s->options->hold_fd, err);
}

static int open_socket(struct start *s, box_error **err)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return box_fail_sys(err, "socketpair", NULL, "talk to the stage");
    s->socket = ends[0];
    s->stage_socket = ends[1];
    return 0;
}

static char *put_number(char *at, unsigned n)
{
    char digits[12];
    int i = 0;

    do
        digits[i++] = (char)('0' + n % 10);
    while (n /= 10);
    *at++ = ',';
    while (i)
        *at++ = digits[--i];
    return at;
}

/* STAGE_ARGUMENT */
static int make_argument(struct start *s, box_error **err)
{
    const box_plan *plan = s->plan;
    size_t size = 64 + (size_t)s->n_fds * 24;

    s->argument = malloc(size);
    if (!s->argument)
        return box_fail_nomem(err);
    int n = snprintf(s->argument, size, STAGE_ARGUMENT, s->stage_socket, plan->memory, plan->offset, plan->size,
                     s->options->features);
    char *at = s->argument + n;
    for (uint32_t i = 0; i < s->n_fds; i++)
        at = put_number(put_number(at, (unsigned)s->fds[i].slot), (unsigned)s->fds[i].fd);
    *at = '\0';
    return 0;
}

/* ---- the clone -------------------------------------------------------------------------------------------------------- */

/* The host does not wait for the child's exec: its next and only wait is for the end of the start. So the child's
 * stack and all that it reads live in `start` until then. */
static int clone_stage(struct start *s, box_error **err)
{
    const box_plan *plan = s->plan;
    struct child *c = s->child;
    uint64_t flags = plan->clone_flags;
    int into = -1;

    if (s->have_entry && plan->clone_into && s->entry.directory >= 0) {
        into = s->entry.directory;
        flags |= CLONE_INTO_CGROUP;
    }
    c->program = plan->program;
    c->argv[0] = "libbox-stage";
    c->argv[1] = s->argument;
    c->fds = s->fds;
    c->n_fds = s->n_fds;
    c->socket = s->stage_socket;
    c->plan = plan->memory;
    c->ambient = plan->ambient;
    c->loopback = plan->loopback;
    int pid = box_vclone_nowait(flags, into, s->stack, CHILD_STACK, child_main, c, &s->process->pidfd);
    if (pid < 0)
        return start_fail_clone(plan, -pid, err);
    s->process->pid = pid;
    s->process->child = true;
    close(s->stage_socket);
    s->stage_socket = -1;
    return 0;
}

static int write_maps(struct start *s, pid_t pid, box_error **err)
{
    int r = box_idmap_apply(s->plan->idmap, pid, err);
    char go = STAGE_GO;

    if (r < 0)
        return box_fail_wrap(err, r, "start: write the id maps");
    if (send(s->socket, &go, 1, MSG_NOSIGNAL) != 1)
        return box_fail_sys(err, "send", NULL, "start: the stage is gone");
    return 0;
}

static void reap(box_process *p)
{
    siginfo_t info;

    if (p->child)
        while (syscall(SYS_waitid, 3 /* P_PIDFD */, p->pidfd, &info, WEXITED | __WALL, NULL) < 0 && errno == EINTR)
            continue;
    p->child = false;
}

/* The stage goes on as another process: the first one, a child of ours in any case, has done its work. */
static int forked(struct start *s, const struct stage_message *m, int fd, box_error **err)
{
    box_process *p = s->process;

    if (fd < 0)
        return box_fail(err, BOX_ESTART, "start: the stage sent no pidfd");
    if (s->plan->waits) { /* it stays, and tells how the process ended */
        p->waiter = p->pidfd;
    } else {
        reap(p);
        close(p->pidfd);
    }
    s->forked = true;
    p->pidfd = fd;
    p->pid = (pid_t)m->value;
    p->monitor = s->plan->monitor ? (pid_t)m->pad : 0;
    p->child = !s->plan->monitor;
    return s->plan->maps ? write_maps(s, p->pid, err) : 0;
}

static ssize_t receive(int socket, struct stage_message *m, int *fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {m, sizeof(*m)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n;

    *fd = -1;
    /* A stage that ends without having read all that it was sent resets the socket, which is told before, and does not
     * take away, what it had sent itself. */
    bool reset = false;
    do
        n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset && (reset = true))));
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
        memcpy(fd, CMSG_DATA(c), sizeof(int));
    return n;
}

static struct hook_state state_now(const struct start *s, const char *status)
{
    return (struct hook_state){s->options->id, s->options->bundle, status, s->process->pid};
}

static int write_state(struct start *s, const struct hook_state *state, box_error **err)
{
    _free_ char *text = NULL;
    int r = hooks_state_text(s->plan->hooks, state, &text, err);

    if (r < 0)
        return r;
    size_t length = strlen(text);
    if (ftruncate(s->hook_state, 0) < 0 || pwrite(s->hook_state, text, length, 0) != (ssize_t)length)
        return box_fail_sys(err, "pwrite", NULL, "keep the state for hooks");
    return 0;
}

/* The stage waits for the host's part. */
static int do_part(struct start *s, int64_t part, int given, box_error **err)
{
    _close_ int fd = given;

    struct hook_state state = state_now(s, part == HOST_CREATE ? "creating" : "created");
    const char go = STAGE_GO;
    int r = part == HOST_DEVICES ? devices_move(s->plan, fd, &s->process->devices, err) : s->hook_state >= 0 ? write_state(s, &state, err) : 0;

    if (part == HOST_CREATE && r >= 0) {
        s->created = true;
        /* These are of the time when they came with start: all but the program is there, which is "created". */
        struct hook_state old = state_now(s, "created");
        r = hooks_run(s->plan->hooks, SPEC_HOOK_PRESTART, &old, err);
        if (r >= 0)
            r = hooks_run(s->plan->hooks, SPEC_HOOK_CREATE_RUNTIME, &state, err);
    }
    if (r >= 0 && send(s->socket, &go, 1, MSG_NOSIGNAL) != 1)
        return box_fail_sys(err, "send", NULL, "start: the stage is gone");
    return r;
}

/* To the agent that the policy names, or kept for the caller. */
static int take_listener(struct start *s, int fd, box_error **err)
{
    box_process *p = s->process;
    const box_plan *plan = s->plan;

    p->listener = fd;
    if (fd < 0)
        return box_fail(err, BOX_ESTART, "start: the stage sent no listener");
    if (!plan->listener_path) {
        p->notify = box_seccomp_notify_new(fd, err);
        p->filter = box_seccomp_filter_ref(plan->filter);
        return p->notify ? 0 : err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    }
    struct hook_state state = state_now(s, "creating");
    int r = listener_hand_over(plan->hooks, plan->listener_path, plan->listener_metadata, &state, fd, err);
    close(box_take_fd(&p->listener)); /* a copy that is left would keep the calls of a process waiting whose agent is gone */
    return r;
}

static int handle(struct start *s, const struct stage_message *m, int fd, box_error **err)
{
    box_process *p = s->process;

    switch (m->kind) {
    case STAGE_FAILED:
        return start_fail(s->plan, m, err);
    case STAGE_FORKED:
        return forked(s, m, fd, err);
    case STAGE_PTY:
        if (fd < 0) /* the message came, its descriptor did not: this program has no room for one */
            return box_fail_with(err, &(struct box_fail_info){.errnum = EMFILE, .call = "recvmsg", .stage = "start"},
                                 "take the terminal");
        p->pty = fd;
        return 0;
    case STAGE_LISTENER:
        return take_listener(s, fd, err);
    case STAGE_HOST:
        return do_part(s, m->value, fd, err);
    case STAGE_HELD:
        s->is_held = true;
        p->applied = (uint32_t)m->value;
        return 0;
    case STAGE_READY:
        s->ready = true;
        p->applied = (uint32_t)m->value;
        return 0;
    default:
        return 0;
    }
}

static int hear_early(struct start *s, box_error **err)
{
    int r = 0;

    while (r >= 0 && s->early_heard < s->n_early) {
        struct early *e = &s->early[s->early_heard++];
        r = handle(s, &e->message, box_take_fd(&e->fd), err);
    }
    return r;
}

/* A stage that forks tells of the process that goes on, which may be quicker to speak than the stage is: what it says is
 * kept until then, since hooks, and whoever holds it, are to have its pid and not that of a stage that is gone. */
static int hear(struct start *s, const struct stage_message *m, int fd, box_error **err)
{
    if (s->forked || !s->plan->forks || m->kind == STAGE_FORKED) {
        int r = handle(s, m, fd, err);
        return r < 0 ? r : hear_early(s, err);
    }
    if (s->n_early == EARLY_MOST) {
        if (fd >= 0)
            close(fd);
        return box_fail(err, BOX_ESTART, "start: the stage says too much");
    }
    s->early[s->n_early++] = (struct early){*m, fd};
    return 0;
}

static int ended_early(struct start *s, box_error **err)
{
    if (s->child->errnum)
        return box_fail_with(err, &(struct box_fail_info){.errnum = s->child->errnum, .call = s->child->call, .stage = "start"},
                             "execute the stage");
    return box_fail(err, BOX_ESTART, "start: the stage was killed before it was done");
}

/* The interface of the new network namespace, by a socket that is of there. Should this thread not get or not be allowed
 * to use it, the stage is told to do it itself. */
static int bring_loopback_up(struct start *s, box_error **err)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    struct stage_message m;
    int fd;
    ssize_t n = receive(s->socket, &m, &fd);

    if (n == 0)
        return ended_early(s, err);
    if (n < 0 || m.kind != STAGE_LOOPBACK)
        return n < 0 ? box_fail_sys(err, "recvmsg", NULL, "start: talk to the stage") : handle(s, &m, fd, err);
    char word = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0 ? STAGE_GO : STAGE_GO_ALONE;
    if (fd >= 0)
        close(fd);
    send(s->socket, &word, 1, MSG_NOSIGNAL); /* a stage that is gone is met by who reads next */
    return 0;
}

/* A policy may ask its supervisor about the very calls that the stage has yet to make, execve above all, and the caller
 * cannot answer before the start is over. Those calls are let through here. That they are the stage's own is certain: one
 * process uses the filter so far, it waits in the call, and its socket closes with its exec, before the payload runs. */
static void serve_stage(struct start *s)
{
    box_process *p = s->process;
    struct box_seccomp_request request;

    while (p->notify) {
        struct pollfd fds[2] = {{.fd = s->socket, .events = POLLIN},
                                {.fd = box_seccomp_notify_fd(p->notify), .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if (fds[0].revents)
            return;
        if (!(fds[1].revents & POLLIN)) {
            if (fds[1].revents) /* nobody is left who uses the filter */
                return;
            continue;
        }
        struct pollfd again = {.fd = s->socket}; /* the request first, then whether it is still the stage */
        if (poll(&again, 1, 0) > 0)
            return;
        if (box_seccomp_notify_receive(p->notify, &request, NULL) > 0)
            box_seccomp_notify_continue(p->notify, request.id, NULL);
    }
}

/* Reads until the payload runs. A stage that needs nothing of the host meanwhile is left alone until it hangs up: each
 * message would wake this thread, which costs the start more than it says. */
static int follow(struct start *s, box_error **err)
{
    bool talks = s->plan->forks || s->plan->hold || s->plan->asks || s->plan->listener;
    struct pollfd hang_up = {.fd = s->socket, .events = 0};
    struct stage_message m;
    int fd;

    while (!talks && poll(&hang_up, 1, -1) < 0 && errno == EINTR)
        continue;
    for (;;) {
        serve_stage(s);
        ssize_t n = receive(s->socket, &m, &fd);
        if (n == 0 && s->ready && s->forked == s->plan->forks)
            return 0;
        if (n < 0)
            return box_fail_sys(err, "recvmsg", NULL, "start: talk to the stage");
        int r = n == 0 ? hear_early(s, err) : hear(s, &m, fd, err);
        if (r < 0)
            return r;
        if (n == 0)
            return ended_early(s, err);
        if (s->is_held)
            return 1;
    }
}

static int set_up_poll(box_process *p, box_error **err)
{
    if (!p->notify)
        return 0;
    p->poll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (p->poll_fd < 0 || epoll_ctl(p->poll_fd, EPOLL_CTL_ADD, process_end_fd(p), &event) < 0 ||
        epoll_ctl(p->poll_fd, EPOLL_CTL_ADD, box_seccomp_notify_fd(p->notify), &event) < 0)
        return box_fail_sys(err, "epoll_create1", NULL, "watch the seccomp listener");
    return 0;
}

static int run(struct start *s, box_error **err)
{
    int r;

    if ((r = give_held(s, err)) < 0 || (r = give_streams(s, err)) < 0 || (r = enter_cgroup(s, err)) < 0 ||
        (r = give_supervision(s, err)) < 0 || (r = open_socket(s, err)) < 0 || (r = make_argument(s, err)) < 0 ||
        (r = clone_stage(s, err)) < 0)
        return r;
    stdio_close_stage(&s->streams);
    if (s->report_stage >= 0) {
        close(s->report_stage);
        s->report_stage = -1;
    }
    if (s->plan->maps && !s->plan->forks && (r = write_maps(s, s->process->pid, err)) < 0)
        return r;
    if (s->plan->loopback && (r = bring_loopback_up(s, err)) < 0)
        return r;
    r = follow(s, err);
    if (r == 0 && s->plan->hooks) {
        struct hook_state state = state_now(s, "running");
        s->created = true;
        r = hooks_run(s->plan->hooks, SPEC_HOOK_POSTSTART, &state, err);
    }
    return r < 0 ? r : set_up_poll(s->process, err);
}

static void clean_up(struct start *s)
{
    const int fds[] = {s->socket, s->stage_socket, s->report_stage, s->hook_state, s->channel[0], s->channel[1]};

    for (size_t i = 0; i < BOX_ARRAY(fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    for (unsigned i = s->early_heard; i < s->n_early; i++)
        if (s->early[i].fd >= 0)
            close(s->early[i].fd);
    for (size_t i = 0; i < s->n_clones; i++)
        close(s->clones[i]);
    if (s->have_entry)
        box_cgroup_entry_close(&s->entry);
    stdio_close_stage(&s->streams);
    free(s->clones);
    free(s->fds);
    free(s->argument);
}

int box_plan_start_with(const box_plan *plan, const struct start_options *options, box_process **process, box_error **err)
{
    if (!plan || !process)
        return box_fail(err, BOX_EINVAL, "box_plan_start: plan and process must not be NULL");

    box_process *p = calloc(1, sizeof(*p));
    struct start *s = calloc(1, sizeof(*s) + sizeof(struct child) + CHILD_STACK + 64);
    if (!p || !s) {
        free(p);
        free(s);
        return box_fail_nomem(err);
    }
    s->child = (struct child *)(s + 1);
    s->stack = (char *)(((uintptr_t)(s->child + 1) + 63) & ~(uintptr_t)63);
    s->hook_state = p->listener = -1;
    p->pidfd = p->waiter = p->pty = p->report = p->poll_fd = -1;
    p->streams[0] = p->streams[1] = p->streams[2] = -1;
    p->pid_namespace = plan->clone_flags & CLONE_NEWPID;
    s->plan = plan;
    s->options = options;
    s->process = p;
    s->socket = s->stage_socket = s->report_stage = s->channel[0] = s->channel[1] = -1;
    for (int i = 0; i < 3; i++)
        s->streams.stage[i] = s->streams.host[i] = -1;

    int r = run(s, err);
    for (int i = 0; i < 3; i++) {
        p->streams[i] = s->streams.host[i];
        s->streams.host[i] = -1;
    }
    if ((plan->clone_flags || plan->forks) && r >= 0)
        p->applied |= BOX_APPLIED_NAMESPACES;
    if (!p->borrowed)
        p->applied &= ~(uint32_t)BOX_APPLIED_CGROUP;
    bool created = s->created;
    pid_t pid = p->pid;
    if (r >= 0 && plan->hooks && !options->id)
        r = hooks_keep(plan->hooks, &p->hooks, err);
    struct netdev_moved *devices = r < 0 || !plan->hold ? box_take(p->devices) : NULL;
    if (r < 0) /* the child first: until it is gone, it may stand on the stack that is in `s` */
        box_process_free(p);
    else
        *process = p;
    if (r < 0 && devices)
        netdev_bring_back(devices);
    netdev_moved_free(devices);
    clean_up(s);
    free(s);
    if (r < 0 && created)
        hooks_run_all(plan->hooks, SPEC_HOOK_POSTSTOP, &(struct hook_state){options->id, options->bundle, "stopped", pid});
    return r < 0 ? r : 0;
}

int box_plan_start(const box_plan *plan, const box_stdio *io, box_process **process, box_error **err)
{
    struct start_options options = START_OPTIONS_INIT;

    options.io = io;
    return box_plan_start_with(plan, &options, process, err);
}

int box_launch(const box_spec *spec, const box_stdio *io, box_process **process, box_error **err)
{
    _cleanup_(box_plan) box_plan *plan = NULL;
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    box_spec copy;

    if (!spec)
        return box_fail(err, BOX_EINVAL, "box_launch: spec must not be NULL");
    copy = *spec; /* a pty among the streams means a terminal in the spec */
    if (io && io->pty) {
        copy.process.terminal = true;
        copy.process.rows = io->rows;
        copy.process.columns = io->columns;
    }
    options.io = io;
    int r = box_plan_new_with(&copy, &plan_options, &plan, err);
    return r < 0 ? r : box_plan_start_with(plan, &options, process, err);
}
