/* clone3 with CLONE_VM and CLONE_VFORK. The few instructions around the system call are assembly because the child
 * returns from it on another, empty stack: it finds the function and its argument in registers, calls it, and exits. */
#include "kernel/vclone.h"

#include <errno.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>

#include "base/rawsys.h"

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

#define STACK_SIZE      32768
#define SIG_SETMASK_RAW 2 /* SIG_SETMASK of the kernel, on both architectures */

#if defined(__x86_64__)
__asm__(".text\n"
        ".hidden box_clone3_call\n"
        ".globl box_clone3_call\n"
        ".type box_clone3_call, @function\n"
        "box_clone3_call:\n"
        "  mov %rdx, %r8\n" /* fn: the kernel keeps r8 and r9 */
        "  mov %rcx, %r9\n" /* arg; rcx itself is clobbered by syscall */
        "  mov $435, %eax\n"
        "  syscall\n"
        "  test %rax, %rax\n"
        "  jz 1f\n"
        "  ret\n"
        "1:\n"
        "  xor %ebp, %ebp\n"
        "  mov %r9, %rdi\n"
        "  call *%r8\n"
        "  mov %eax, %edi\n"
        "  mov $60, %eax\n"
        "  syscall\n"
        "  hlt\n"
        ".size box_clone3_call, . - box_clone3_call\n");
#elif defined(__aarch64__)
__asm__(".text\n"
        ".hidden box_clone3_call\n"
        ".globl box_clone3_call\n"
        ".type box_clone3_call, %function\n"
        "box_clone3_call:\n"
        "  mov x9, x2\n"
        "  mov x10, x3\n"
        "  mov x8, #435\n"
        "  svc #0\n"
        "  cbz x0, 1f\n"
        "  ret\n"
        "1:\n"
        "  mov x29, #0\n"
        "  mov x0, x10\n"
        "  blr x9\n"
        "  mov x8, #93\n"
        "  svc #0\n"
        "  brk #0\n"
        ".size box_clone3_call, . - box_clone3_call\n");
#endif

static int call(uint64_t flags, int cgroup, void *stack, size_t stack_size, int (*fn)(void *), void *arg, int *pidfd)
{
    uint64_t all = ~(uint64_t)0, before = 0;
    int fd = -1;
    struct box_clone_args args = {
        .flags = flags | CLONE_VM | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&fd,
        .exit_signal = 0,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = stack_size,
        .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0,
    };

    /* The raw call: libc's would leave out the two signals that it keeps for itself. */
    box_sys(rt_sigprocmask, SIG_SETMASK_RAW, &all, &before, sizeof(all));
    long pid = box_clone3_call(&args, sizeof(args), fn, arg);
    box_sys(rt_sigprocmask, SIG_SETMASK_RAW, &before, NULL, sizeof(before));
    if (pid > 0)
        *pidfd = fd;
    return (int)pid;
}

int box_vclone_nowait(uint64_t flags, int cgroup, void *stack, size_t stack_size, int (*fn)(void *), void *arg,
                      int *pidfd)
{
    return call(flags, cgroup, stack, stack_size, fn, arg, pidfd);
}

int box_vclone(uint64_t flags, int cgroup, int (*fn)(void *), void *arg, int *pidfd)
{
    /* A mapping and not a local array: the host's thread may have a small stack. */
    long stack = box_sys(mmap, NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack < 0)
        return (int)stack;
    int pid = call(flags | CLONE_VFORK, cgroup, (void *)stack, STACK_SIZE, fn, arg, pidfd);
    box_sys(munmap, stack, STACK_SIZE);
    return pid;
}
