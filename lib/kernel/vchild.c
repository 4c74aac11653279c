/* Children that share the host's memory, exec nothing and live for an instant. Interface: kernel/spawn.h.
 *
 * The stack has an unmapped page below it, so that a child that used too much of it would die instead of
 * writing into the host's memory. It is freed only after the child has been reaped. */
#include "kernel/spawn.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/rawsys.h"
#include "kernel/vclone.h"

#define STACK_SIZE      ((size_t)64 * 1024)
#define GUARD_SIZE      ((size_t)64 * 1024) /* the largest page size there is */
#define SIG_SETMASK_RAW 2
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif
#ifndef P_PIDFD
#define P_PIDFD 3
#endif

int box_vchild_start(struct box_vchild *child, uint64_t flags, int (*fn)(void *), void *arg)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    int fd = -1;
    char *stack = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    *child = BOX_VCHILD_INIT;
    if (stack == MAP_FAILED)
        return -errno;
    if (mprotect(stack, GUARD_SIZE, PROT_NONE) < 0) {
        int r = -errno;
        munmap(stack, GUARD_SIZE + STACK_SIZE);
        return r;
    }
    struct box_clone_args args = {
        .flags = flags | CLONE_VM | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&fd,
        .exit_signal = 0,
        .stack = (uint64_t)(uintptr_t)(stack + GUARD_SIZE),
        .stack_size = STACK_SIZE,
    };
    box_sys(rt_sigprocmask, SIG_SETMASK_RAW, &all, &before, sizeof(all));
    long pid = box_clone3_call(&args, sizeof(args), fn, arg);
    box_sys(rt_sigprocmask, SIG_SETMASK_RAW, &before, NULL, sizeof(before));
    if (pid < 0) {
        munmap(stack, GUARD_SIZE + STACK_SIZE);
        return (int)pid;
    }
    *child = (struct box_vchild){.pid = (pid_t)pid, .pidfd = fd, .stack = stack};
    return 0;
}

int box_vchild_end(struct box_vchild *child, bool kill)
{
    box_pidfd_status status = {.code = -1};

    if (child->pid < 0)
        return -ECHILD;
    if (kill)
        box_sys(pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
    int r = box_pidfd_reap(child->pidfd, -1, &status, NULL);
    close(child->pidfd);
    munmap(child->stack, GUARD_SIZE + STACK_SIZE);
    *child = BOX_VCHILD_INIT;
    return r == 0 && status.known ? status.code : -ECHILD;
}

BOX_VCHILD void box_vchild_close_all_but(int fd)
{
    if (fd > 0)
        box_sys(close_range, 0, fd - 1, 0);
    box_sys(close_range, fd + 1, ~0u, 0);
}
