/* A vfork-like clone: the one way in which libbox makes a process.
 *
 * The child shares the caller's memory and runs on a stack of its own while the calling thread waits, until the child
 * executes another program or exits: so its cost does not grow with the host's memory. What may run in the child is
 * correspondingly small: raw system calls on data prepared before, nothing of libc. All signals are blocked in the
 * calling thread from before the clone until after it, and in the child until the program that it executes changes
 * that, so no signal handler of the host ever runs in the child. */
#ifndef BOX_KERNEL_VCLONE_H
#define BOX_KERNEL_VCLONE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* On each function that runs in a child. AddressSanitizer may keep a function's variables in frames of the thread's own
 * ("fake stack"), which it finds by the thread pointer: that of the child is its parent's, and where the two run at the
 * same time one would be given the frame of the other, and overwrite it. */
#if defined(__clang__)
#define BOX_VCHILD __attribute__((no_sanitize("address", "undefined", "thread"), noinline))
#else
#define BOX_VCHILD __attribute__((no_sanitize_address, no_sanitize_undefined, no_sanitize_thread, noinline))
#endif

/* clone3's argument, complete up to CLONE_INTO_CGROUP (5.7); see clone(2). */
struct box_clone_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* Starts a child in `flags` (CLONE_NEW*, CLONE_INTO_CGROUP with `cgroup`, CLONE_PARENT) that calls fn(arg); what fn
 * returns is its exit status. Returns the pid, with a pidfd (O_CLOEXEC) in *pidfd, or a negative errno. */
int box_vclone(uint64_t flags, int cgroup, int (*fn)(void *), void *arg, int *pidfd);

/* The same without waiting for the child: the caller goes on at once, and keeps `stack` (16-byte aligned, a few KiB),
 * arg and all that arg leads to unchanged until the child has executed its program or is gone. */
int box_vclone_nowait(uint64_t flags, int cgroup, void *stack, size_t stack_size, int (*fn)(void *), void *arg,
                      int *pidfd);

/* The call beneath them: clone3(args), after which the child, if args->stack is given, runs fn(arg) there and exits with
 * what that returns. Returns the pid or a negative errno, in the parent only. */
long box_clone3_call(struct box_clone_args *args, size_t size, int (*fn)(void *), void *arg)
    __attribute__((visibility("hidden")));

#endif
