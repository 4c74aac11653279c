/* System call names and numbers, and the architectures that a filter can hold.
 *
 * One table for all architectures, made when the library is built (seccomp_names_gen.c) from libseccomp's
 * tables and a list of newer calls. So a lookup allocates nothing, a name is a static string, and a policy
 * compiles to the same filter on every machine, whatever libseccomp is installed there. */
#ifndef BOX_KERNEL_SECCOMP_NAMES_H
#define BOX_KERNEL_SECCOMP_NAMES_H

#include <stdbool.h>
#include <stdint.h>

/* The columns of the table. X32 shares AUDIT_ARCH_X86_64; its calls have a bit set in the number. */
enum box_seccomp_arch {
    BOX_ARCH_X86_64,
    BOX_ARCH_X86,
    BOX_ARCH_X32,
    BOX_ARCH_AARCH64,
    BOX_ARCH_ARM,
    BOX_ARCH_COUNT,
};

enum {
    BOX_X32_BIT = 0x40000000,   /* __X32_SYSCALL_BIT */
    BOX_ARM_PRIVATE = 0x0f0000, /* __ARM_NR_BASE: breakpoint, cacheflush, set_tls ... */
    BOX_SYSCALL_PACKED =
        0x7000, /* in the table, ARM's private calls start here, so that 16 bits hold a number */
    BOX_SYSCALL_COMMON = 402, /* above it every architecture numbers alike, and every profile's author knows
                                 those below: Linux 5.1, 2019 */
};

struct box_seccomp_arch_info {
    const char *oci; /* "SCMP_ARCH_X86_64" */
    uint32_t audit;  /* AUDIT_ARCH_*, what the kernel shows to the filter */
    uint32_t base;   /* added to every number: BOX_X32_BIT or 0 */
    bool narrow;     /* arguments of 32 bits */
    /* A range of numbers apart from all others, for calls that only this architecture has; first 0: none. */
    uint32_t own_first, own_last;
    uint8_t machine; /* the architecture of the kernels that run it: BOX_ARCH_X86_64 or BOX_ARCH_AARCH64 */
};
extern const struct box_seccomp_arch_info box_seccomp_arches[BOX_ARCH_COUNT];

/* The architecture that this library is built for. */
#if defined(__x86_64__)
#define BOX_ARCH_NATIVE BOX_ARCH_X86_64
#elif defined(__aarch64__)
#define BOX_ARCH_NATIVE BOX_ARCH_AARCH64
#else
#error "libbox needs this architecture's system call numbers: add it to lib/kernel/seccomp_names.*"
#endif

/* The column for an OCI name, or -1 for an architecture that libbox compiles no filters for. */
int box_seccomp_arch_by_name(const char *oci);
/* Whether OCI has the name at all. */
bool box_seccomp_arch_is_oci(const char *oci);

/* The number of a call in an architecture (with its base), -1 when it has no such call. */
int box_syscall_lookup(enum box_seccomp_arch arch, const char *name);
/* Whether any architecture of the table has the call. */
bool box_syscall_known(const char *name);

/* On 32-bit x86 some calls can also be made through socketcall(2) or ipc(2), which take the number of the
 * call first. False for a name that neither carries. */
struct box_syscall_carrier {
    bool is_ipc;
    uint32_t call;
};
bool box_syscall_carrier(const char *name, struct box_syscall_carrier *carrier);

#endif
