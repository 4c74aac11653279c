/* From a policy to BPF, and the programs that were made from the presets while building. */
#ifndef BOX_KERNEL_SECCOMP_COMPILE_H
#define BOX_KERNEL_SECCOMP_COMPILE_H

#include <linux/filter.h>

#include "kernel/seccomp_names.h"
#include "kernel/seccomp_policy.h"

/* Generates the program for kernels of `machine` (BOX_ARCH_X86_64 or BOX_ARCH_AARCH64). *program is the
 * caller's to free(). 0, BOX_ELIMIT or BOX_ENOMEM. */
int box_seccomp_codegen(const box_seccomp *policy, enum box_seccomp_arch machine,
                        struct sock_filter **program, size_t *count, box_error **err);

/* The ready program that equals what box_seccomp_codegen() makes of this policy, or NULL. Static. */
const struct sock_filter *box_seccomp_ready_program(const box_seccomp *policy, size_t *count);
/* The same, when there is no policy yet: a preset for the machine's own architecture, and the 32-bit one if
 * `compat`. */
const struct sock_filter *box_seccomp_ready_preset(enum box_seccomp_preset preset, uint64_t caps, bool compat,
                                                   size_t *count);

/* The architecture of 32 bits that runs beside a machine's own. */
enum box_seccomp_arch box_seccomp_compat_arch(enum box_seccomp_arch machine);

/* The capabilities that the default policy looks at; it is the same for two sets that agree on these. */
uint64_t box_seccomp_preset_caps(void);
/* Presets for a machine that need not be this one. */
box_seccomp *box_seccomp_default_for(enum box_seccomp_arch machine, uint64_t caps, bool compat,
                                     box_error **err);
box_seccomp *box_seccomp_strict_for(enum box_seccomp_arch machine, box_error **err);

#endif
