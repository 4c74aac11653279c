/* Landlock: a process gives up access to files, TCP ports and other processes, without any privilege.
 * landlock(7).
 *
 * A ruleset says which kinds of access it governs ("handles"); of these, everything is denied but for what a
 * rule allows. What it does not handle stays as it was.
 *
 *     box_landlock *l = box_landlock_new(&err);
 *     box_landlock_handle_up_to(l, 0);                                        everything that this kernel can
 * govern box_landlock_allow_path(l, "/usr", BOX_LANDLOCK_FS_READ_EXECUTE, 0, &err);
 *     box_landlock_allow_path(l, "/tmp", BOX_LANDLOCK_FS_READ_WRITE, 0, &err);
 *     box_landlock_apply(l, NULL, &err);                                      the calling thread and its
 * children to come
 *
 * Kernels differ: each raises the ABI by some kinds of access. A ruleset is *required* by default, and then
 * making it fails on a kernel that cannot govern all that it handles. With box_landlock_set_best_effort() it
 * is made of what the kernel has, and struct box_landlock_loss tells what was left out.
 *
 * Thread rules: one ruleset is for one thread at a time; box_landlock_create() and the other functions that
 * take a const one may run in several threads at once.
 */
#ifndef LIBBOX_LANDLOCK_H
#define LIBBOX_LANDLOCK_H

#include <stdint.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_landlock box_landlock;

/* Kinds of access to files, with the ABI that brought them. The numbers are the kernel's. */
#define BOX_LANDLOCK_FS_EXECUTE     (UINT64_C(1) << 0)  /* 1: execute a file */
#define BOX_LANDLOCK_FS_WRITE_FILE  (UINT64_C(1) << 1)  /* 1: open a file for writing */
#define BOX_LANDLOCK_FS_READ_FILE   (UINT64_C(1) << 2)  /* 1: open a file for reading */
#define BOX_LANDLOCK_FS_READ_DIR    (UINT64_C(1) << 3)  /* 1: open a directory or list it */
#define BOX_LANDLOCK_FS_REMOVE_DIR  (UINT64_C(1) << 4)  /* 1 */
#define BOX_LANDLOCK_FS_REMOVE_FILE (UINT64_C(1) << 5)  /* 1: unlink or rename anything but a directory */
#define BOX_LANDLOCK_FS_MAKE_CHAR   (UINT64_C(1) << 6)  /* 1 */
#define BOX_LANDLOCK_FS_MAKE_DIR    (UINT64_C(1) << 7)  /* 1 */
#define BOX_LANDLOCK_FS_MAKE_REG    (UINT64_C(1) << 8)  /* 1: create, rename or link a regular file */
#define BOX_LANDLOCK_FS_MAKE_SOCK   (UINT64_C(1) << 9)  /* 1 */
#define BOX_LANDLOCK_FS_MAKE_FIFO   (UINT64_C(1) << 10) /* 1 */
#define BOX_LANDLOCK_FS_MAKE_BLOCK  (UINT64_C(1) << 11) /* 1 */
#define BOX_LANDLOCK_FS_MAKE_SYM    (UINT64_C(1) << 12) /* 1 */
#define BOX_LANDLOCK_FS_REFER \
    (UINT64_C(1) << 13) /* 2: link or rename between directories; ABI 1 never allows it */
#define BOX_LANDLOCK_FS_TRUNCATE  (UINT64_C(1) << 14) /* 3 */
#define BOX_LANDLOCK_FS_IOCTL_DEV (UINT64_C(1) << 15) /* 5: ioctl(2) on a device that is opened from now on \
                                                       */

/* What people mean by these words. */
#define BOX_LANDLOCK_FS_READ         (BOX_LANDLOCK_FS_READ_FILE | BOX_LANDLOCK_FS_READ_DIR)
#define BOX_LANDLOCK_FS_READ_EXECUTE (BOX_LANDLOCK_FS_READ | BOX_LANDLOCK_FS_EXECUTE)
#define BOX_LANDLOCK_FS_READ_WRITE                                                         \
    (BOX_LANDLOCK_FS_READ | BOX_LANDLOCK_FS_WRITE_FILE | BOX_LANDLOCK_FS_TRUNCATE |        \
     BOX_LANDLOCK_FS_REMOVE_DIR | BOX_LANDLOCK_FS_REMOVE_FILE | BOX_LANDLOCK_FS_MAKE_DIR | \
     BOX_LANDLOCK_FS_MAKE_REG | BOX_LANDLOCK_FS_MAKE_SOCK | BOX_LANDLOCK_FS_MAKE_FIFO |    \
     BOX_LANDLOCK_FS_MAKE_SYM | BOX_LANDLOCK_FS_REFER | BOX_LANDLOCK_FS_IOCTL_DEV)
#define BOX_LANDLOCK_FS_ALL ((UINT64_C(1) << 16) - 1)

/* Kinds of access to the network. */
#define BOX_LANDLOCK_NET_BIND_TCP    (UINT64_C(1) << 0) /* 4 */
#define BOX_LANDLOCK_NET_CONNECT_TCP (UINT64_C(1) << 1) /* 4 */
#define BOX_LANDLOCK_NET_ALL         (UINT64_C(3))

/* What the process can no longer reach outside of its own domain. */
#define BOX_LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (UINT64_C(1) << 0) /* 6: connect to an abstract Unix socket \
                                                                    */
#define BOX_LANDLOCK_SCOPE_SIGNAL (UINT64_C(1) << 1)               /* 6: signal a process */
#define BOX_LANDLOCK_SCOPE_ALL    (UINT64_C(3))

/* What the kernel's audit log says of denials, all since ABI 7. By default it tells of those of the program
 * that restricted itself, until it executes another. */
#define BOX_LANDLOCK_LOG_SAME_EXEC_OFF  (1U << 0) /* not those before the next execve(2) */
#define BOX_LANDLOCK_LOG_NEW_EXEC_ON    (1U << 1) /* those after it as well */
#define BOX_LANDLOCK_LOG_SUBDOMAINS_OFF (1U << 2) /* not those of rulesets that it puts on itself later */
#define BOX_LANDLOCK_LOG_ALL            (7U)

/* The newest ABI that this libbox knows. */
#define BOX_LANDLOCK_ABI 7

/* Options of a rule for a path. */
enum box_landlock_rule_flags {
    BOX_LANDLOCK_MAY_BE_MISSING = 1 /* a path that does not exist when the ruleset is made is passed over */
};

/* What a ruleset handles and this kernel cannot; all zero when everything is governed. */
struct box_landlock_loss {
    int abi; /* the kernel's, as from box_landlock_abi() */
    uint32_t log;
    uint64_t fs;
    uint64_t net;
    uint64_t scope;
    uint64_t reserved[3]; /* zero */
};

/* The Landlock ABI of the running kernel: 1 and above, or 0 when it has none or was started without it. */
BOX_API int box_landlock_abi(void);
/* The kinds of access that an ABI can govern, by file, port or scope, and its log flags. Each may be NULL. */
BOX_API void box_landlock_abi_rights(int abi, uint64_t *fs, uint64_t *net, uint64_t *scope, uint32_t *log);

/* A ruleset that handles nothing yet. NULL: out of memory. */
BOX_API box_landlock *box_landlock_new(box_error **err);
/* A copy that shares nothing with the original; fds of rules are duplicated. */
BOX_API box_landlock *box_landlock_copy(const box_landlock *l, box_error **err);
/* Frees a ruleset; NULL is allowed. */
BOX_API void box_landlock_free(box_landlock *l);

/* Adds to what is handled. Bits that are no kind of access: BOX_EINVAL. */
BOX_API int box_landlock_handle_fs(box_landlock *l, uint64_t access, box_error **err);
BOX_API int box_landlock_handle_net(box_landlock *l, uint64_t access, box_error **err);
BOX_API int box_landlock_scope(box_landlock *l, uint64_t scopes, box_error **err);
/* Handles every kind of access and scope up to this ABI; 0 means that of the running kernel, and then nothing
 * can be lost; on a kernel without Landlock it means ABI 1, so that a required ruleset fails there. Log flags
 * stay as they are. */
BOX_API void box_landlock_handle_up_to(box_landlock *l, int abi);
/* Which denials are logged: BOX_LANDLOCK_LOG_*. */
BOX_API int box_landlock_log(box_landlock *l, uint32_t flags, box_error **err);
/* Not 0: a kernel without some of this, or without Landlock, is no error. */
BOX_API void box_landlock_set_best_effort(box_landlock *l, int best_effort);

/* Allows access below a path (a directory with all that is in it, or one file), looked up by
 * box_landlock_create() in the mount namespace and root of its caller. Rules add up. An access that is not
 * handled needs no rule and is passed over, and so is one that only a directory can have when the path is a
 * file. flags: enum box_landlock_rule_flags. Errors: BOX_EINVAL for bits that are none or an empty path. */
BOX_API int box_landlock_allow_path(box_landlock *l, const char *path, uint64_t access, unsigned flags,
                                    box_error **err);
/* The same by an open file (O_PATH will do), which is duplicated: the caller keeps its own. */
BOX_API int box_landlock_allow_fd(box_landlock *l, int fd, uint64_t access, box_error **err);
/* Allows binding or connecting to a TCP port, 0 to 65535; for binding, 0 stands for the ports that the kernel
 * picks. */
BOX_API int box_landlock_allow_port(box_landlock *l, unsigned port, uint64_t access, box_error **err);

/* What the running kernel cannot do of this. Returns 1 when there is any, 0 when not. loss may be NULL. */
BOX_API int box_landlock_would_lose(const box_landlock *l, struct box_landlock_loss *loss);
/* The same in words, for a log or an error: "truncate, bind_tcp, connect_tcp (this kernel has Landlock
 * ABI 2)"; "" when nothing is lost. The caller frees it with free(3). NULL when out of memory. */
BOX_API char *box_landlock_loss_text(const struct box_landlock_loss *loss);

/* Makes the ruleset in the kernel. Stores an fd for landlock_restrict_self(2) in *fd, close-on-exec and the
 * caller's to close; -1 when nothing is handled, or when best effort is all that is asked and the kernel has
 * no part of it. loss may be NULL. Errors: BOX_EUNSUPPORTED (required, and the kernel lacks some of it),
 * BOX_ENOTFOUND (a path), BOX_EPERMISSION, BOX_ESYSTEM. */
BOX_API int box_landlock_create(const box_landlock *l, int *fd, struct box_landlock_loss *loss,
                                box_error **err);
/* The flags to hand to landlock_restrict_self(2) with that fd on the running kernel: the log flags, or 0
 * before ABI 7. */
BOX_API uint32_t box_landlock_restrict_flags(const box_landlock *l);
/* Makes the ruleset and puts it on the calling thread and what it starts from now on; other threads stay as
 * they are. Sets no_new_privs on it too, without which the kernel refuses. Cannot be undone. Errors: as
 * box_landlock_create(), and BOX_ELIMIT when the thread already has 16 rulesets on top of each other. */
BOX_API int box_landlock_apply(const box_landlock *l, struct box_landlock_loss *loss, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
