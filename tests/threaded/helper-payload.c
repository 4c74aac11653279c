/* What the containers of these tests run, without a libc so that a thousand of them cost little:
 *     helper-payload          ends at once with 0
 *     helper-payload N        ends at once with the digit N
 *     helper-payload wait     waits until it is killed */
#include <asm/unistd.h>

static long call(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
    return number;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
                     x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#endif
}

__attribute__((used, noreturn)) void payload_main(const long *stack);

void payload_main(const long *stack)
{
    const char *word = stack[0] > 1 ? (const char *)stack[2] : "0";

    while (word[0] == 'w')
        call(__NR_ppoll, 0, 0, 0, 0);
    for (;;)
        call(__NR_exit_group, word[0] - '0', 0, 0, 0);
}

#if defined(__x86_64__)
__asm__(
    ".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call payload_main\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x0, sp\n  bl payload_main\n");
#endif
