/* Namespaces: all eight kinds, held by descriptor. namespaces(7).
 *
 * A box_namespace is a descriptor of a namespace that was looked at: it is a file of nsfs and of the kind
 * that it was opened as. It keeps the namespace alive without a process in it (a pid namespace excepted,
 * which ends with its first process). Handles are independent; one is for one thread at a time, const ones
 * for any number.
 */
#ifndef LIBBOX_NAMESPACE_H
#define LIBBOX_NAMESPACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>
#include <libbox/idmap.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_namespace box_namespace;

enum box_namespace_kind {
    BOX_NAMESPACE_MOUNT = 0,
    BOX_NAMESPACE_PID = 1,
    BOX_NAMESPACE_NETWORK = 2,
    BOX_NAMESPACE_IPC = 3,
    BOX_NAMESPACE_UTS = 4,
    BOX_NAMESPACE_USER = 5,
    BOX_NAMESPACE_CGROUP = 6,
    BOX_NAMESPACE_TIME = 7
};
#define BOX_NAMESPACE_KINDS     8
#define BOX_NAMESPACE_BIT(kind) (1u << (kind)) /* a set of kinds is an unsigned of such bits */

/* The kernel's name, as in /proc/PID/ns ("mnt", "pid", "net", ...), OCI's ("mount", "pid", "network", ...)
 * and the CLONE_NEW* flag of clone(2). NULL or 0 for a number that is no kind. Static. */
BOX_API const char *box_namespace_kind_name(enum box_namespace_kind kind);
BOX_API const char *box_namespace_kind_oci_name(enum box_namespace_kind kind);
BOX_API int box_namespace_kind_flag(enum box_namespace_kind kind);
/* Either name. BOX_EINVAL for another. */
BOX_API int box_namespace_kind_parse(const char *name, enum box_namespace_kind *kind, box_error **err);
/* The kinds that this kernel has, as a set of bits. */
BOX_API unsigned box_namespace_supported(void);

/* ---- Opening: the caller frees *ns
 * ----------------------------------------------------------------------------- */

/* A file such as /proc/PID/ns/net or one made by box_namespace_keep() or ip-netns(8). A FIFO or device in its
 * place is not opened. BOX_EINVAL when it is no namespace, or one of another kind. */
BOX_API int box_namespace_open_path(enum box_namespace_kind kind, const char *path, box_namespace **ns,
                                    box_error **err);
/* A copy of the caller's descriptor, checked as above. */
BOX_API int box_namespace_open_fd(enum box_namespace_kind kind, int fd, box_namespace **ns, box_error **err);
/* Of a process. BOX_ENOTFOUND when it has ended. Needs the right to read it (PTRACE_MODE_READ_FSCREDS). */
BOX_API int box_namespace_open_pidfd(enum box_namespace_kind kind, int pidfd, box_namespace **ns,
                                     box_error **err);
/* The same by number: opened by way of a pidfd, so that a number that is used again while this runs is
 * noticed. */
BOX_API int box_namespace_open_pid(enum box_namespace_kind kind, pid_t pid, box_namespace **ns,
                                   box_error **err);
/* Of the calling thread. */
BOX_API int box_namespace_open_self(enum box_namespace_kind kind, box_namespace **ns, box_error **err);
/* NULL is allowed. */
BOX_API void box_namespace_free(box_namespace *ns);

/* ---- Looking
 * --------------------------------------------------------------------------------------------------- */

BOX_API enum box_namespace_kind box_namespace_get_kind(const box_namespace *ns);
/* Owned by the handle. */
BOX_API int box_namespace_fd(const box_namespace *ns);
/* Device and inode number tell a namespace from all others that exist at the same time. Either may be NULL.
 */
BOX_API void box_namespace_id(const box_namespace *ns, uint64_t *device, uint64_t *inode);
BOX_API bool box_namespace_same(const box_namespace *a, const box_namespace *b);
/* The user namespace whose privileges govern this one; for a user namespace, its parent. BOX_EPERMISSION when
 * it lies outside of the caller's own. NS_GET_USERNS, ioctl_ns(2). */
BOX_API int box_namespace_owner(const box_namespace *ns, box_namespace **owner, box_error **err);
/* The uid that created a user namespace; for another kind, that of the user namespace that owns it. As seen
 * by the caller's user namespace. NS_GET_OWNER_UID, ioctl_ns(2). */
BOX_API int box_namespace_owner_uid(const box_namespace *ns, uid_t *uid, box_error **err);
/* To be called before joining what somebody else may have prepared: BOX_EPERMISSION unless the user namespace
 * that governs ns (ns itself, if it is one) was made by uid, or is the caller's own. Joining what another
 * user controls gives that user the caller's privileges (CVE-2022-31214). */
BOX_API int box_namespace_verify_owner(const box_namespace *ns, uid_t uid, box_error **err);

/* ---- Making and joining
 * ---------------------------------------------------------------------------------------- */

/* What to make. Zero the rest. */
typedef struct box_namespace_config {
    unsigned kinds; /* bits of BOX_NAMESPACE_BIT(); a pid namespace cannot be made without a process in it */
    const box_idmap *idmap; /* for a user namespace; NULL: no ids are mapped yet */
    bool has_time_offsets;  /* for a time namespace, time_namespaces(7) */
    int64_t monotonic_seconds, boottime_seconds;
    uint32_t monotonic_nanoseconds, boottime_nanoseconds;
} box_namespace_config;

/* Makes namespaces with no process in them, all owned by the new user namespace if there is one. made is
 * indexed by kind; the caller frees each that is not NULL. On failure all are NULL. A short-lived child makes
 * them; it runs no code of the host's, and the calling thread's own namespaces do not change. A mount
 * namespace starts as a copy of the caller's whose mounts receive the host's changes but send none (rslave).
 */
BOX_API int box_namespace_create(const box_namespace_config *config, box_namespace *made[BOX_NAMESPACE_KINDS],
                                 box_error **err);

/* Binds the namespace to a new empty file at path, as ip-netns(8) does, so that it stays after every
 * descriptor and process is gone. BOX_EEXISTS. A mount namespace can only be kept by one that is older than
 * it, on a mount that is private; mount_namespaces(7). Needs CAP_SYS_ADMIN. */
BOX_API int box_namespace_keep(const box_namespace *ns, const char *path, box_error **err);
/* Undoes it: unmounts and removes the file. BOX_EINVAL when path is not a kept namespace. */
BOX_API int box_namespace_unkeep(const char *path, box_error **err);

/* The calling thread, and no other, joins. setns(2). What the kernel asks for: a user or time namespace can
 * be joined only while the process has a single thread; a mount namespace, when the thread shares its working
 * directory with no other (after unshare(CLONE_FS)), and the thread's root and working directory become the
 * namespace's; a pid namespace counts for children made later. */
BOX_API int box_namespace_enter(const box_namespace *ns, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
