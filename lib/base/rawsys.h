/* System calls without libc: no errno, no cancellation points, no thread-local storage.
 *
 * Three kinds of code need that: the child of a vfork-like clone, which runs on borrowed memory of the host; the
 * stage, a program with no libc at all; and the path resolver, which both the library and the stage use. Each call
 * returns its result or a negative errno, as the kernel itself does. */
#ifndef BOX_BASE_RAWSYS_H
#define BOX_BASE_RAWSYS_H

#include <asm/unistd.h>

#if defined(__x86_64__)

static inline long box_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long box_syscall6(long n, long a, long b, long c, long d, long e, long f)
{
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
}

#else
#error "libbox needs a system call stub for this architecture: add it to lib/base/rawsys.h"
#endif

/* box_sys(openat, dirfd, path, flags): pads with zeros to six arguments and casts each to long. */
#define BOX_SYS_ARG(x) ((long)(x))
#define BOX_SYS_0(n) box_syscall6(n, 0, 0, 0, 0, 0, 0)
#define BOX_SYS_1(n, a) box_syscall6(n, BOX_SYS_ARG(a), 0, 0, 0, 0, 0)
#define BOX_SYS_2(n, a, b) box_syscall6(n, BOX_SYS_ARG(a), BOX_SYS_ARG(b), 0, 0, 0, 0)
#define BOX_SYS_3(n, a, b, c) box_syscall6(n, BOX_SYS_ARG(a), BOX_SYS_ARG(b), BOX_SYS_ARG(c), 0, 0, 0)
#define BOX_SYS_4(n, a, b, c, d)                                                                                       \
    box_syscall6(n, BOX_SYS_ARG(a), BOX_SYS_ARG(b), BOX_SYS_ARG(c), BOX_SYS_ARG(d), 0, 0)
#define BOX_SYS_5(n, a, b, c, d, e)                                                                                    \
    box_syscall6(n, BOX_SYS_ARG(a), BOX_SYS_ARG(b), BOX_SYS_ARG(c), BOX_SYS_ARG(d), BOX_SYS_ARG(e), 0)
#define BOX_SYS_6(n, a, b, c, d, e, f)                                                                                 \
    box_syscall6(n, BOX_SYS_ARG(a), BOX_SYS_ARG(b), BOX_SYS_ARG(c), BOX_SYS_ARG(d), BOX_SYS_ARG(e), BOX_SYS_ARG(f))
#define BOX_SYS_PICK(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define box_sys(name, ...)                                                                                             \
    BOX_SYS_PICK(_, ##__VA_ARGS__, BOX_SYS_6, BOX_SYS_5, BOX_SYS_4, BOX_SYS_3, BOX_SYS_2, BOX_SYS_1, BOX_SYS_0)        \
    (__NR_##name, ##__VA_ARGS__)

/* Numbers that Debian 12's headers may lack; the generic table has been the same on all architectures since 5.1. */
#ifndef __NR_mount_setattr
#define __NR_mount_setattr 442
#endif
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule 445
#define __NR_landlock_restrict_self 446
#endif

#endif
