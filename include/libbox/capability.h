/* Capabilities: names, sets, and what a container gets of them.
 *
 * A set is a mask: bit n stands for capability n (capabilities(7)). Names are taken in any case, with or
 * without "CAP_", and given back as the kernel writes them, "CAP_NET_ADMIN".
 *
 *     uint64_t mask;
 *     const char *drop[] = {"ALL"}, *add[] = {"NET_BIND_SERVICE"};
 *     box_capability_adjust(box_capability_default(), add, 1, drop, 1, &mask, &err);     Docker's --cap-drop,
 * --cap-add
 *
 * Thread rules: every function may be called from any thread. Capabilities belong to a thread, and
 * box_capset_apply() and box_no_new_privs_set() change the calling thread alone.
 */
#ifndef LIBBOX_CAPABILITY_H
#define LIBBOX_CAPABILITY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The five sets of a process, as OCI's process.capabilities has them. */
struct box_capset {
    uint64_t bounding;
    uint64_t effective;
    uint64_t inheritable;
    uint64_t permitted;
    uint64_t ambient;
};

#define BOX_CAP_MASK(n) (UINT64_C(1) << (n))

/* The number behind a name: "CAP_NET_ADMIN", "net_admin". Returns it, or BOX_EPARSE for a name that is none.
 * "ALL" is not one capability: see box_capability_mask(). */
BOX_API int box_capability_number(const char *name, box_error **err);
/* The name of a number, such as "CAP_NET_ADMIN"; NULL for a number that libbox has no name for. Static. */
BOX_API const char *box_capability_name(unsigned number);
/* The mask behind a name; "ALL" gives every capability of the running kernel. 0 or BOX_EPARSE. */
BOX_API int box_capability_mask(const char *name, uint64_t *mask, box_error **err);
/* The names in a mask, in the order of their numbers, joined by commas: "CAP_CHOWN,CAP_KILL"; a capability
 * without a name is written as its number. The caller frees it with free(3). NULL when out of memory. */
BOX_API char *box_capability_format(uint64_t mask);

/* The highest capability of the running kernel: /proc/sys/kernel/cap_last_cap, or, without a /proc, by asking
 * for each with prctl(PR_CAPBSET_READ). */
BOX_API unsigned box_capability_last(void);
/* All capabilities of the running kernel. */
BOX_API uint64_t box_capability_all(void);
/* What a container has when nothing is said, the same fourteen as Docker: CHOWN, DAC_OVERRIDE, FSETID,
 * FOWNER, MKNOD, NET_RAW, SETGID, SETUID, SETFCAP, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, KILL, AUDIT_WRITE.
 */
BOX_API uint64_t box_capability_default(void);

/* Adds and drops by name, with Docker's rules for --cap-add and --cap-drop:
 *   add has ALL     everything that the kernel has, but for the names in drop;
 *   drop has ALL    nothing but the names in add;
 *   otherwise       base, without the names in drop, with the names in add (a name in both is had).
 * Lists may be NULL when their count is 0. Stores the result in *mask only on success. Errors: BOX_EPARSE for
 * a name that is none; BOX_EUNSUPPORTED for a name in add that this kernel is too old for. */
BOX_API int box_capability_adjust(uint64_t base, const char *const *add, size_t n_add,
                                  const char *const *drop, size_t n_drop, uint64_t *mask, box_error **err);

/* The sets that give a process of user 0 this mask: bounding, permitted and effective are the mask;
 * inheritable and ambient are empty, so that a program with file capabilities cannot gain by them
 * (CVE-2022-24769). */
BOX_API void box_capset_from_mask(struct box_capset *set, uint64_t mask);
/* Whether the kernel would take these sets: effective must lie within permitted, ambient within both
 * permitted and inheritable, and all within what the running kernel has. 0, BOX_ESPEC, or BOX_EUNSUPPORTED
 * for a capability that this kernel is too old for; the subject names the set. capabilities(7), "Thread
 * capability sets". */
BOX_API int box_capset_check(const struct box_capset *set, box_error **err);
/* Reads the sets of a process, or of the calling thread when pid is 0. proc_pid_status(5). Errors:
 * BOX_ENOTFOUND for a process that is gone. */
BOX_API int box_capset_read(pid_t pid, struct box_capset *set, box_error **err);
/* Gives the calling thread these sets, for good: what leaves the bounding set never comes back. The order is
 * bounding (needs CAP_SETPCAP unless nothing leaves), then permitted, effective and inheritable in one step,
 * then ambient. Other threads keep theirs. Errors: BOX_ESPEC as from box_capset_check(), BOX_EPERMISSION.
 * When it fails, the steps before the one that failed stay done. capset(2), prctl(2). */
BOX_API int box_capset_apply(const struct box_capset *set, box_error **err);

/* Sets no_new_privs on the calling thread: from now on no execve(2) gives it or its children privileges that
 * it does not have (set-user-ID programs, file capabilities). Cannot be undone. prctl(2),
 * PR_SET_NO_NEW_PRIVS. */
BOX_API int box_no_new_privs_set(box_error **err);
/* 1 when the process has no_new_privs, 0 when not; pid 0 is the calling thread. Negative: BOX_ENOTFOUND,
 * BOX_ESYSTEM. */
BOX_API int box_no_new_privs_get(pid_t pid, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
