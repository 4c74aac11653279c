/* The compiled filter's insides. */
#ifndef BOX_KERNEL_SECCOMP_FILTER_H
#define BOX_KERNEL_SECCOMP_FILTER_H

#include <linux/filter.h>

#include <libbox/seccomp.h>
#include "base/cleanup.h"

/* Makes a filter of a program. owned: the filter frees it; otherwise it lives as long as the process. */
box_seccomp_filter *box_seccomp_filter_new(const struct sock_filter *program, size_t count, bool owned,
                                           unsigned flags, bool report_kills, box_error **err);
/* What the kernel's own check asks for: known instructions, jumps that go forward and stay inside, an answer
 * at the end. */
bool box_seccomp_program_ok(const struct sock_filter *program, size_t count);
/* Runs a checked program; returns the index of the instruction that answered. */
size_t box_seccomp_program_run(const struct sock_filter *program, size_t count,
                               const struct box_seccomp_call *call);

BOX_CLEANUP(box_seccomp_filter, box_seccomp_filter_unref);

#endif
