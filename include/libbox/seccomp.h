/* System call filters: which system calls a child may make, and what happens when it makes another one.
 *
 * Three objects, in the order in which they are used:
 *
 *     box_seccomp          a policy: a default action and rules by system call name. Built rule by rule, from
 * one of the library's presets, from a Docker-format profile, or from OCI linux.seccomp JSON.
 *     box_seccomp_filter   a policy compiled to the BPF program that the kernel runs. Immutable, counted,
 * shared by any number of threads and starts; may be kept on disk. box_seccomp_notify   the supervisor's end
 * of a filter with `notify` actions: decides single calls of a child.
 *
 *     policy = box_seccomp_new_default(caps, &err);
 *     filter = box_seccomp_compile(policy, &err);          free of cost for an unchanged preset
 *     box_seccomp_apply(filter, NULL, &err);                or hand it to a spec
 *
 * What a call gets: of all the rules that match it, the strictest action, in the kernel's own order (kill
 * process, kill thread, trap, errno, notify, trace, log, allow; of two that are equally strict, the first in
 * the policy). No rule matches: the default action. A rule without argument tests whose action is the default
 * action counts as no rule. So an errno rule with an argument test narrows an allow rule for the same system
 * call. (A runtime built on libseccomp alone drops such an errno rule without a word; a policy is never laxer
 * here than there.)
 *
 * Numbers above the newest system call that the policy knows answer ENOSYS in place of the default action,
 * unless the default is allow or log, so that a C library newer than the profile falls back; see
 * box_seccomp_set_newer_enosys(). Calls by an architecture that the policy does not hold answer ENOSYS, or
 * get the default action where that is to kill or trap.
 *
 * See seccomp(2), seccomp_unotify(2), docs/seccomp.md, and "Seccomp" in config-linux.md of the OCI runtime
 * spec.
 *
 * Thread rules: a policy is for one thread at a time (box_seccomp_clone() gives another thread its own);
 * filters are free-threaded; a notify object is for one thread at a time.
 */
#ifndef LIBBOX_SECCOMP_H
#define LIBBOX_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_seccomp box_seccomp;
typedef struct box_seccomp_filter box_seccomp_filter;
typedef struct box_seccomp_notify box_seccomp_notify;

/* What happens to a call. The numbers are stable and stand in order of strictness, the laxest first. */
enum box_seccomp_action {
    BOX_SECCOMP_ALLOW = 0,
    BOX_SECCOMP_LOG = 1,    /* allow, and write it to the audit log */
    BOX_SECCOMP_TRACE = 2,  /* stop for the tracer, with a number for it; ENOSYS when there is none */
    BOX_SECCOMP_NOTIFY = 3, /* ask the supervisor at the listener; ENOSYS when there is none */
    BOX_SECCOMP_ERRNO = 4,  /* fail with an errno */
    BOX_SECCOMP_TRAP = 5,   /* send SIGSYS, which the program can catch */
    BOX_SECCOMP_KILL_THREAD = 6,
    BOX_SECCOMP_KILL_PROCESS = 7, /* SIGSYS ends the whole process, and can't be caught */
};

/* How an argument is tested. Values are 64 bits wide; for an architecture of 32 bits the lower half counts.
 */
enum box_seccomp_op {
    BOX_SECCOMP_NE = 1,
    BOX_SECCOMP_LT = 2,
    BOX_SECCOMP_LE = 3,
    BOX_SECCOMP_EQ = 4,
    BOX_SECCOMP_GE = 5,
    BOX_SECCOMP_GT = 6,
    BOX_SECCOMP_MASKED_EQ = 7, /* (argument & value) == (value_two & value) */
};

/* One argument test. Where the kernel reads an argument as an int (ioctl's command, socket's family), test
 * with MASKED_EQ and the mask 0xffffffff: EQ compares 64 bits, and a program can set the upper ones at will.
 */
struct box_seccomp_arg {
    uint32_t index;     /* 0 to 5 */
    uint32_t op;        /* enum box_seccomp_op */
    uint64_t value;     /* what to compare with; the mask for MASKED_EQ */
    uint64_t value_two; /* MASKED_EQ only */
};

/* Flags of a filter, for box_seccomp_set_flags(). The same numbers as seccomp(2)'s. */
enum box_seccomp_flag {
    BOX_SECCOMP_FLAG_TSYNC = 1,               /* kept for OCI; the stage has one thread, so it is not used */
    BOX_SECCOMP_FLAG_LOG = 2,                 /* log every action but allow */
    BOX_SECCOMP_FLAG_SPEC_ALLOW = 4,          /* leave the speculative store bypass mitigation off */
    BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV = 32, /* a call that the supervisor received waits for fatal signals
                                                 only (Linux 5.19; left out on an older kernel) */
};

/* ---- policies
 * ------------------------------------------------------------------------------------------------ */

/* A policy with no rules. errno_value: the errno of BOX_SECCOMP_ERRNO or the number of BOX_SECCOMP_TRACE,
 * else 0. Starts with the machine's own architecture. NULL on failure. Free with box_seccomp_free(). */
BOX_API box_seccomp *box_seccomp_new(int default_action, unsigned errno_value, box_error **err);

/* The library's own allow-list for containers: Docker's or tighter (docs/seccomp.md lists what is let through
 * and why). caps: the capabilities that the child is to have (its bounding set), bit n for capability n of
 * capabilities(7): some system calls are let through only where the capability that they need is there.
 * The machine's own architecture and its 32-bit one. */
BOX_API box_seccomp *box_seccomp_new_default(uint64_t caps, box_error **err);

/* For a plugin that computes: memory, threads, time, and reading and writing of what was handed to it. No new
 * sockets, no new processes, no signals to others (but for tgkill, for abort()); files by name as far as the
 * mounts or Landlock show any. What it does not list fails with EPERM, as language runtimes that try things
 * expect; what only an attack calls (ptrace, mount, bpf, setns, ...) ends the process, by name if a
 * supervisor listens (box_seccomp_report_kills). execve is allowed, since the plugin itself is started by it
 * after the filter is in place. The machine's own architecture only. */
BOX_API box_seccomp *box_seccomp_new_strict(box_error **err);

/* Reads a profile in the format of Docker's --security-opt seccomp=FILE. Its includes and excludes are
 * decided now: capabilities against caps (as above), arches against this machine, minKernel against the
 * running kernel. len: bytes of text. Errors: BOX_EPARSE (not JSON, or the field named has a wrong type or
 * value), BOX_ELIMIT. */
BOX_API box_seccomp *box_seccomp_load_docker(const char *text, size_t len, uint64_t caps, box_error **err);

/* Reads and writes the object of OCI's linux.seccomp. What was read is written back without loss, members
 * that this version does not know included. *text is for the caller to free(). */
BOX_API box_seccomp *box_seccomp_load_oci(const char *text, size_t len, box_error **err);
BOX_API int box_seccomp_save_oci(const box_seccomp *policy, char **text, box_error **err);

/* An independent copy. */
BOX_API box_seccomp *box_seccomp_clone(const box_seccomp *policy, box_error **err);
/* NULL is allowed. */
BOX_API void box_seccomp_free(box_seccomp *policy);

/* Adds an architecture by its OCI name ("SCMP_ARCH_X86"). The machine's own is always compiled in; those that
 * can't run here are kept and not compiled. Adding one twice is harmless. BOX_EINVAL for a name that OCI does
 * not have. */
BOX_API int box_seccomp_add_arch(box_seccomp *policy, const char *arch, box_error **err);
/* Removes one again, such as the 32-bit architecture of the default policy; BOX_ENOTFOUND when it is not
 * there. */
BOX_API int box_seccomp_remove_arch(box_seccomp *policy, const char *arch, box_error **err);

/* Adds a rule for one system call, or for several (names ends with NULL). errno_value as in
 * box_seccomp_new(). A rule matches when all its argument tests hold; n_args may be 0, at most 16. A rule
 * that tests one argument more than once matches when any of its tests holds, as in runc. A name that is
 * unknown here is kept, skipped when compiling, and told by box_seccomp_unknown(). */
BOX_API int box_seccomp_add_rule(box_seccomp *policy, int action, unsigned errno_value, const char *syscall,
                                 const struct box_seccomp_arg *args, size_t n_args, box_error **err);
BOX_API int box_seccomp_add_rules(box_seccomp *policy, int action, unsigned errno_value,
                                  const char *const *names, const struct box_seccomp_arg *args, size_t n_args,
                                  box_error **err);
/* Takes a system call out of every rule that names it, so that a preset can be changed; BOX_ENOTFOUND when
 * none does. */
BOX_API int box_seccomp_drop_syscall(box_seccomp *policy, const char *syscall, box_error **err);

/* The action for calls that no rule matches, as given or loaded. */
BOX_API int box_seccomp_set_default_action(box_seccomp *policy, int action, unsigned errno_value,
                                           box_error **err);
BOX_API int box_seccomp_default_action(const box_seccomp *policy, unsigned *errno_value);

/* A set of enum box_seccomp_flag; replaces the earlier set. */
BOX_API int box_seccomp_set_flags(box_seccomp *policy, unsigned flags, box_error **err);
BOX_API unsigned box_seccomp_flags(const box_seccomp *policy);

/* Whether system calls newer than the policy answer ENOSYS (the default) or get the default action. Not part
 * of OCI's JSON. */
BOX_API void box_seccomp_set_newer_enosys(box_seccomp *policy, bool on);

/* Compiles notify in place of kill, so that a supervisor at the listener can name the system call before it
 * ends the process; box_seccomp_filter_evaluate() still tells what the policy says. When no supervisor is
 * left, such a call fails with ENOSYS and the process lives on: this trades the kernel's kill for a name, and
 * is for hosts that keep the listener for as long as the child lives. Not part of OCI's JSON. */
BOX_API void box_seccomp_report_kills(box_seccomp *policy, bool on);

/* OCI's listenerPath and listenerMetadata, kept for the runtime that connects; NULL when there is none. Set
 * NULL to remove. The strings are the policy's until changed. */
BOX_API int box_seccomp_set_listener(box_seccomp *policy, const char *path, const char *metadata,
                                     box_error **err);
BOX_API const char *box_seccomp_listener_path(const box_seccomp *policy);
BOX_API const char *box_seccomp_listener_metadata(const box_seccomp *policy);

/* The index-th name in the rules that is no system call of any of the policy's architectures, as far as this
 * build knows; NULL past the last. Owned by the policy until it is changed. */
BOX_API const char *box_seccomp_unknown(const box_seccomp *policy, size_t index);

/* ---- filters
 * ------------------------------------------------------------------------------------------------- */

/* Compiles a policy: milliseconds for a large one, nothing for an unchanged preset, which was compiled with
 * the library. The result does not depend on the policy any more. NULL on failure: BOX_ELIMIT when the
 * program is longer than the kernel takes (4096 instructions), BOX_ESYSTEM. Release with
 * box_seccomp_filter_unref(). */
BOX_API box_seccomp_filter *box_seccomp_compile(const box_seccomp *policy, box_error **err);

/* The same as compiling box_seccomp_new_default(caps), without making the policy: for the usual sets of
 * capabilities a few hundred nanoseconds. */
BOX_API box_seccomp_filter *box_seccomp_filter_default(uint64_t caps, box_error **err);

/* Takes and gives back a reference; from any thread. unref: NULL is allowed. */
BOX_API box_seccomp_filter *box_seccomp_filter_ref(box_seccomp_filter *filter);
BOX_API void box_seccomp_filter_unref(box_seccomp_filter *filter);

/* The program: *count instructions of 8 bytes (struct sock_filter), for the life of the filter. */
BOX_API const void *box_seccomp_filter_program(const box_seccomp_filter *filter, size_t *count);
/* The flags for seccomp(2): those of the policy without TSYNC and without what the running kernel lacks; no
 * NEW_LISTENER, which is for whoever installs the filter to add when box_seccomp_filter_notifies(). */
BOX_API unsigned box_seccomp_filter_flags(const box_seccomp_filter *filter);
/* Whether a call can end in the hands of a supervisor, so that a listener is needed. */
BOX_API bool box_seccomp_filter_notifies(const box_seccomp_filter *filter);

/* One system call, as the kernel shows it to a filter. */
struct box_seccomp_call {
    uint32_t arch; /* AUDIT_ARCH_* of <linux/audit.h>; 0 for the machine's own */
    int32_t number;
    uint64_t instruction_pointer;
    uint64_t args[6];
};

/* What the policy says about a call, found by running the program in user space: an enum box_seccomp_action,
 * with its errno or number in *errno_value (may be NULL). For a filter that reports kills this is the kill,
 * not the notify. */
BOX_API int box_seccomp_filter_evaluate(const box_seccomp_filter *filter, const struct box_seccomp_call *call,
                                        unsigned *errno_value);

/* To bytes and back, to keep a compiled filter on disk. The bytes are good on machines of one architecture;
 * load checks them as the kernel does (BOX_ECORRUPT), so that a damaged file can't crash, but not where they
 * come from. *bytes is for the caller to free(). */
BOX_API int box_seccomp_filter_save(const box_seccomp_filter *filter, void **bytes, size_t *len,
                                    box_error **err);
BOX_API box_seccomp_filter *box_seccomp_filter_load(const void *bytes, size_t len, box_error **err);

/* Installs a filter in the calling thread, for good. The thread needs no_new_privs (prctl(2),
 * PR_SET_NO_NEW_PRIVS), or CAP_SYS_ADMIN in its user namespace; this function does not set it. *listener
 * receives the listener's fd (close on exec) when the filter notifies; such a filter with listener == NULL is
 * BOX_EINVAL. For any other filter *listener becomes -1. To confine a child, use a spec: this is for a
 * program that confines itself. Errors: BOX_EPERMISSION (remedy: no_new_privs), BOX_EBUSY (the thread has a
 * listener already), BOX_EUNSUPPORTED. */
BOX_API int box_seccomp_apply(const box_seccomp_filter *filter, int *listener, box_error **err);

/* ---- names
 * --------------------------------------------------------------------------------------------------- */

/* The name of a system call, NULL when unknown. arch: AUDIT_ARCH_*, or 0 for the machine's own. Static, from
 * any thread, never fails for want of memory. For "seccomp violation: system call ptrace". */
BOX_API const char *box_syscall_name(uint32_t arch, int number);
/* The number of a system call, or -1. */
BOX_API int box_syscall_number(uint32_t arch, const char *name);

/* ---- supervising
 * --------------------------------------------------------------------------------------------- */

/* A call that waits for an answer. */
struct box_seccomp_request {
    uint64_t id; /* of this request; names it in the calls below */
    pid_t pid;   /* thread that waits, in this process's pid namespace; 0 when it is not visible */
    struct box_seccomp_call call; /* what it called */
};

/* Serves a listener fd (from box_seccomp_apply(), or from a container). The object duplicates the fd; the
 * caller keeps its own and closes it, since the child's calls end in ENOSYS only after the last copy is
 * closed. */
BOX_API box_seccomp_notify *box_seccomp_notify_new(int listener, box_error **err);
BOX_API void box_seccomp_notify_free(box_seccomp_notify *notify);

/* To poll(2): readable when a request waits, POLLHUP once no process uses the filter any more. Owned by the
 * object. */
BOX_API int box_seccomp_notify_fd(const box_seccomp_notify *notify);

/* Takes the next request. 1: *request is filled; 0: none waits (or its caller was killed meanwhile). Does not
 * wait, unless another receiver of the same listener takes the request first: one listener is for one
 * receiving thread. */
BOX_API int box_seccomp_notify_receive(box_seccomp_notify *notify, struct box_seccomp_request *request,
                                       box_error **err);

/* 1 while the caller still waits in this very call, 0 when it is gone (its pid may be another process's by
 * now). Ask after opening anything by pid, before trusting it. */
BOX_API int box_seccomp_notify_id_valid(box_seccomp_notify *notify, uint64_t id, box_error **err);

/* Copies len bytes at an address of the caller's memory, and checks afterwards that the caller still waits,
 * so that the bytes are the caller's. They may change as soon as they are read: decide on the copy, and never
 * answer `continue` because of what it said. Returns the number of bytes (fewer at the end of a mapping),
 * BOX_ENOTFOUND when the caller is gone, BOX_EPERMISSION. */
BOX_API ssize_t box_seccomp_notify_read(box_seccomp_notify *notify, const struct box_seccomp_request *request,
                                        uint64_t address, void *buffer, size_t len, box_error **err);
/* The same for a string: copies up to and with its NUL. BOX_ELIMIT when it is not shorter than size. */
BOX_API int box_seccomp_notify_read_string(box_seccomp_notify *notify,
                                           const struct box_seccomp_request *request, uint64_t address,
                                           char *buffer, size_t size, box_error **err);

/* The answers; each ends the request. BOX_ENOTFOUND: the caller is gone, which is no fault.
 * value: the call returns value. error: it fails with this errno (positive). continue: the kernel carries the
 * call out; the arguments behind pointers can change after the supervisor looked, so this is never a security
 * decision. */
BOX_API int box_seccomp_notify_value(box_seccomp_notify *notify, uint64_t id, int64_t value, box_error **err);
BOX_API int box_seccomp_notify_error(box_seccomp_notify *notify, uint64_t id, int errnum, box_error **err);
BOX_API int box_seccomp_notify_continue(box_seccomp_notify *notify, uint64_t id, box_error **err);

/* Gives the caller a copy of fd, close on exec if asked. at: the number it is to have there (replacing what
 * is open), or -1 for the lowest free one. The request stays open. Returns the number in the caller. */
BOX_API int box_seccomp_notify_add_fd(box_seccomp_notify *notify, uint64_t id, int fd, int at, bool cloexec,
                                      box_error **err);
/* The same, and answers the request with that number in one step, so that no fd is left behind by a caller
 * that was interrupted in between. (Two steps on a kernel before 5.14.) */
BOX_API int box_seccomp_notify_send_fd(box_seccomp_notify *notify, uint64_t id, int fd, bool cloexec,
                                       box_error **err);

#ifdef __cplusplus
}
#endif

#endif
