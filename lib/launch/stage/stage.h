/* The stage: a static program without libc that turns itself into the payload.
 *
 * It is started by the library from a sealed memory file, reads the plan (launch/plan_format.h), carries out its
 * operations in order, and executes the payload; or stays as the container's init, or as the monitor that records how
 * a detached container ended. It is single-threaded, has no heap and no handlers, and every signal is blocked in it.
 *
 * An operation is a function that returns 0 or a negative errno and has set `call` (and `subject`, when that is not
 * the operation's own string) to what failed. The first failure is sent to the host and ends the stage; what was made
 * so far lives in the stage's own namespaces and goes with it. */
#ifndef BOX_STAGE_H
#define BOX_STAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rawsys.h"
#include "launch/plan_format.h"

struct stage {
    int socket; /* to the host */
    const uint8_t *plan;
    const struct plan_op *op;
    uint32_t applied;
    uint32_t features;
    int nondumpable;
    int in_chroot; /* the host program was in one */
    unsigned resolve; /* flags for the resolver: how a test takes openat2 away */
    const char *call;
    const char *subject;
    char text[200]; /* room for a subject that is made up */
    int n_slots;    /* how far `slots` was used below SLOT_EXTRA, and how many numbers from there on: the rest of the */
    int n_extra;    /* table is not touched, since a page that is touched costs as much as ten system calls */
    uint8_t small_plan[2048]; /* room for a plan that is smaller than the cost of mapping it */
    int slots[PLAN_SLOTS]; /* descriptors plus one: 0, as memory is at first, is none */
};

typedef int (*stage_handler)(struct stage *s, const struct plan_op *op);
extern const stage_handler stage_handlers[OP_COUNT];

/* util.c */
size_t stage_strlen(const char *s);
void stage_append(char *buffer, size_t size, const char *s);
void stage_append_number(char *buffer, size_t size, long n);
const char *stage_string(const struct stage *s, uint32_t offset);
int stage_set_slot(struct stage *s, int slot, int fd);
int stage_slot(const struct stage *s, int slot);
void stage_close_slot(struct stage *s, int slot);
int stage_send(struct stage *s, struct stage_message *m, int fd);
void stage_exit(int code) __attribute__((noreturn));
void stage_close_others(int keep, int keep2, int keep3);
int stage_write_text(struct stage *s, int dir, const char *path, const char *text);
void stage_name(const char *name);

/* process.c */
#define FEW_STRINGS 48 /* room in `few` */
int stage_vector(struct stage *s, uint32_t offset, uint32_t n, const char **few, const char ***out);

/* mount.c */
int stage_open_tree(struct stage *s, int dir, const char *path, unsigned flags);
int stage_move_mount(struct stage *s, int fd, int target);
int stage_new_fs(struct stage *s, const char *type, const char *source, const char *pairs, uint32_t size,
                 uint64_t attrs);
int stage_setattr(struct stage *s, int fd, const char *path, unsigned flags, uint64_t set, uint64_t clear,
                  uint64_t propagation, int userns);
/* What the kernel has to say about a file system that could not be configured (fsopen(2)) becomes the subject. */
void stage_read_log(struct stage *s, int fs);
/* "/proc/self/fd/N" and what follows below it. */
void stage_fd_path(char *buffer, size_t size, int fd, const char *below);

/* supervise.c: none returns */
void stage_run_init(struct stage *s, int child) __attribute__((noreturn));
void stage_run_monitor(struct stage *s, int child) __attribute__((noreturn));
void stage_run_waiter(struct stage *s, int joins) __attribute__((noreturn));

#define STAGE_OP(name) int stage_op_##name(struct stage *s, const struct plan_op *op)
#define X(name, text) STAGE_OP(name);
PLAN_OPS(X)
#undef X

/* A system call that fails the operation: `long fd = STAGE_TRY(s, openat, AT_FDCWD, path, flags);` */
#define STAGE_TRY(s, name, ...)                                                                                        \
    ({                                                                                                                 \
        long stage_syscall_ = box_sys(name, ##__VA_ARGS__);                                                            \
        if (stage_syscall_ < 0) {                                                                                       \
            (s)->call = #name;                                                                                         \
            return (int)stage_syscall_;                                                                                \
        }                                                                                                              \
        stage_syscall_;                                                                                                 \
    })
/* The same for a helper that sets `call` itself. */
#define STAGE_DO(expression)                                                                                           \
    ({                                                                                                                 \
        int stage_result_ = (expression);                                                                              \
        if (stage_result_ < 0)                                                                                         \
            return stage_result_;                                                                                      \
        stage_result_;                                                                                                 \
    })

#endif
