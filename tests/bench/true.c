/* A program that does nothing, without a libc: what it costs to start is the kernel's own cost. With an argument it
 * does nothing for as long as it is let. */
__attribute__((noreturn)) void bench_main(const long *stack);

static long call(long number, long a, long b)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(0), "r"(0) : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = 0;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
#else
#error "no system calls for this architecture"
#endif
}

#if defined(__x86_64__)
enum { EXIT_GROUP = 231, NANOSLEEP = 35 };
__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call bench_main\n  hlt\n");
#else
enum { EXIT_GROUP = 94, NANOSLEEP = 101 };
__asm__(".globl _start\n_start:\n  mov x0, sp\n  bl bench_main\n  brk #0\n");
#endif

void bench_main(const long *stack)
{
    const long day[2] = {86400, 0};

    if (stack[0] > 1)
        call(NANOSLEEP, (long)day, 0);
    for (;;)
        call(EXIT_GROUP, 0, 0);
}
