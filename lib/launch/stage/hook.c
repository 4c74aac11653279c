/* What a start waits for in the middle: the host's own part of it, and hooks that run on this side.
 *
 * A hook of this side (createContainer, startContainer of the OCI runtime specification) is a child of the stage. It
 * gets the state on its standard input, a memory file for what it says, and nothing else that is open here. A program
 * of the container's own image (startContainer) is as hostile as the payload: by the time of that step ids,
 * capabilities and Landlock are in force already, and where the filter is not, the child loads it for itself. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <linux/close_range.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/time.h>

#define WALL_    0x40000000
#define SIGCHLD_ 17
#define SIGKILL_ 9

STAGE_OP(HOST)
{
    struct stage_message m = {.kind = STAGE_HOST, .value = (int64_t)op->num};
    char go = 0;
    int fd = -1;

    if (op->num == HOST_DEVICES)
        fd = (int)STAGE_TRY(s, socket, 16 /* AF_NETLINK */, 3 | 02000000 /* SOCK_RAW | SOCK_CLOEXEC */, 0 /* NETLINK_ROUTE */);
    STAGE_DO(stage_send(s, &m, fd));
    if (fd >= 0)
        box_sys(close, fd);
    long n = STAGE_TRY(s, recvfrom, s->socket, &go, 1, 0, NULL, NULL);
    return n == 1 && go == STAGE_GO ? 0 : -ECONNABORTED;
}

static void load_filter(struct stage *s, const struct plan_op *op)
{
    struct sock_fprog program = {(unsigned short)(op->num3 / sizeof(struct sock_filter)),
                                 (struct sock_filter *)(uintptr_t)(s->plan + op->num2)};

    if (op->num2 && box_sys(seccomp, SECCOMP_SET_MODE_FILTER, op->num4, &program) < 0)
        stage_exit(126);
}

static void run_child(struct stage *s, const struct plan_op *op, const char **args, const char **env, int output)
{
    static const char text[] = "cannot be executed";
    int state = stage_slot(s, SLOT_HOOK_STATE);
    uint64_t none = 0;

    box_sys(lseek, state, 0, 0);
    if (box_sys(dup3, state, 0, 0) < 0 || box_sys(dup3, output, 1, 0) < 0 || box_sys(dup3, output, 2, 0) < 0)
        stage_exit(126);
    box_sys(close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC);
    load_filter(s, op);
    box_sys(rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, sizeof(none));
    box_sys(execve, stage_string(s, op->str), args, env);
    box_sys(write, 2, text, sizeof(text) - 1);
    stage_exit(127);
}

/* Kills it when its time is over. Returns its status in the form of wait(2), -1 when it was killed for that. */
static int await(int pid, int pidfd, uint64_t seconds)
{
    struct pollfd poll = {pidfd, POLLIN, 0};
    struct __kernel_timespec limit = {(int64_t)seconds, 0};
    int status = 0, late = 0;

    long n = pidfd < 0 ? 1 : box_sys(ppoll, &poll, 1, seconds ? &limit : NULL, NULL, 0);
    if (n == 0) {
        late = 1;
        box_sys(kill, pid, SIGKILL_);
    }
    while (box_sys(wait4, pid, &status, WALL_, NULL) == -EINTR)
        continue;
    return late ? -1 : status;
}

/* "hooks.startContainer[0] /sbin/hook: exited with 3: no such bridge" */
static void describe(struct stage *s, const struct plan_op *op, int status, int output)
{
    char said[100];
    long n = box_sys(pread64, output, said, sizeof(said) - 1, 0);

    s->text[0] = 0;
    stage_append(s->text, sizeof(s->text), stage_string(s, op->str2));
    stage_append(s->text, sizeof(s->text), " ");
    stage_append(s->text, sizeof(s->text), stage_string(s, op->str));
    if (status < 0) {
        stage_append(s->text, sizeof(s->text), ": not done in its time");
    } else {
        stage_append(s->text, sizeof(s->text), status & 0x7f ? ": killed by signal " : ": exited with ");
        stage_append_number(s->text, sizeof(s->text), status & 0x7f ? status & 0x7f : (status >> 8) & 0xff);
    }
    if (n > 0) {
        said[n] = 0;
        for (long i = 0; i < n; i++) /* one line, of what the program may have made up */
            said[i] = said[i] >= ' ' && said[i] < 127 ? said[i] : ' ';
        stage_append(s->text, sizeof(s->text), ": ");
        stage_append(s->text, sizeof(s->text), said);
    }
    s->subject = s->text;
}

/* The filter may be in force here already, and the default one answers ENOSYS to clone3. */
static long start_child(int *pidfd)
{
    struct clone_args args = {.flags = CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd, .exit_signal = SIGCHLD_};
    long pid = box_sys(clone3, &args, sizeof(args));

    if (pid == -ENOSYS || pid == -EPERM) /* the third argument is the pidfd's place, on all architectures */
        pid = box_sys(clone, CLONE_PIDFD | SIGCHLD_, 0, pidfd, 0, 0);
    return pid;
}

STAGE_OP(HOOK)
{
    const struct plan_exec *exec = (const struct plan_exec *)(s->plan + op->data);
    const char *few_args[FEW_STRINGS], *few_env[FEW_STRINGS], **args, **env;
    int pidfd = -1;

    STAGE_DO(stage_vector(s, exec->args, exec->n_args, few_args, &args));
    STAGE_DO(stage_vector(s, exec->env, exec->n_env, few_env, &env));
    int output = (int)STAGE_TRY(s, memfd_create, "hook", 1u /* MFD_CLOEXEC */);
    long pid = start_child(&pidfd);
    if (pid == 0)
        run_child(s, op, args, env, output);
    s->call = "clone3";
    if (pid < 0)
        return (int)pid;
    int status = await((int)pid, pidfd, op->num);
    if (status)
        describe(s, op, status, output);
    if (pidfd >= 0)
        box_sys(close, pidfd);
    box_sys(close, output);
    s->call = "hook";
    return status ? -ECANCELED : 0;
}
