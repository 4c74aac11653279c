/* How the kernel treats a process next to others: CPU scheduler, I/O priority, CPU affinity, who dies first
 * when memory runs out, and the execution domain. The names are OCI's (process.scheduler, process.ioPriority,
 * process.execCPUAffinity, process.oomScoreAdj, linux.personality).
 *
 * Thread rules: every function may be called from any thread. Those that take a pid work on that one thread
 * of the process; 0 is the calling thread. sched(7).
 */
#ifndef LIBBOX_SCHED_H
#define LIBBOX_SCHED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CPU scheduler */

enum box_sched_policy { /* the kernel's numbers */
                        BOX_SCHED_OTHER = 0,
                        BOX_SCHED_FIFO = 1,
                        BOX_SCHED_RR = 2,
                        BOX_SCHED_BATCH = 3,
                        BOX_SCHED_ISO = 4, /* reserved by OCI and the kernel; no kernel has it */
                        BOX_SCHED_IDLE = 5,
                        BOX_SCHED_DEADLINE = 6
};

#define BOX_SCHED_FLAG_RESET_ON_FORK  UINT64_C(0x01)
#define BOX_SCHED_FLAG_RECLAIM        UINT64_C(0x02)
#define BOX_SCHED_FLAG_DL_OVERRUN     UINT64_C(0x04)
#define BOX_SCHED_FLAG_KEEP_POLICY    UINT64_C(0x08)
#define BOX_SCHED_FLAG_KEEP_PARAMS    UINT64_C(0x10)
#define BOX_SCHED_FLAG_UTIL_CLAMP_MIN UINT64_C(0x20)
#define BOX_SCHED_FLAG_UTIL_CLAMP_MAX UINT64_C(0x40)

struct box_scheduler {
    int policy;        /* enum box_sched_policy */
    int nice;          /* -20 to 19; OTHER and BATCH */
    uint32_t priority; /* 1 to 99; FIFO and RR */
    uint64_t flags;    /* BOX_SCHED_FLAG_* */
    uint64_t runtime;  /* nanoseconds, as the next two; DEADLINE: runtime <= deadline <= period */
    uint64_t deadline;
    uint64_t period; /* 0: the same as deadline */
};

/* "SCHED_OTHER" and so on; BOX_EPARSE for a name that is none. */
BOX_API int box_sched_policy_number(const char *name, box_error **err);
/* NULL for a number that is none. Static. */
BOX_API const char *box_sched_policy_name(int policy);
/* "SCHED_FLAG_RESET_ON_FORK" and so on: stores the bit. */
BOX_API int box_sched_flag_number(const char *name, uint64_t *flag, box_error **err);
/* The name of one bit. NULL for one that is none. Static. */
BOX_API const char *box_sched_flag_name(uint64_t flag);
/* Whether the kernel could take this: fields that do not belong to the policy must be 0. 0 or BOX_ESPEC,
 * naming the field; BOX_EUNSUPPORTED for SCHED_ISO. */
BOX_API int box_scheduler_check(const struct box_scheduler *s, box_error **err);
BOX_API int box_scheduler_read(pid_t pid, struct box_scheduler *s, box_error **err);
/* sched_setattr(2). Errors: as box_scheduler_check(); BOX_EPERMISSION without CAP_SYS_NICE; BOX_EBUSY when a
 * deadline reservation does not fit any more; BOX_ENOTFOUND for a process that is gone. */
BOX_API int box_scheduler_apply(pid_t pid, const struct box_scheduler *s, box_error **err);

/* I/O priority */

enum box_ioprio_class { /* the kernel's numbers */
                        BOX_IOPRIO_NONE = 0,
                        BOX_IOPRIO_RT = 1,
                        BOX_IOPRIO_BE = 2,
                        BOX_IOPRIO_IDLE = 3
};

struct box_ioprio {
    int ioclass;    /* enum box_ioprio_class */
    unsigned level; /* 0, first, to 7, last; 0 for IDLE and NONE */
};

/* "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE", "IOPRIO_CLASS_NONE". */
BOX_API int box_ioprio_class_number(const char *name, box_error **err);
BOX_API const char *box_ioprio_class_name(int ioclass);
BOX_API int box_ioprio_check(const struct box_ioprio *p, box_error **err);
BOX_API int box_ioprio_read(pid_t pid, struct box_ioprio *p, box_error **err);
/* ioprio_set(2). RT takes CAP_SYS_ADMIN or CAP_SYS_NICE (BOX_EPERMISSION). */
BOX_API int box_ioprio_apply(pid_t pid, const struct box_ioprio *p, box_error **err);

/* CPU affinity. A mask is an array of 64-bit words; bit n%64 of word n/64 stands for CPU n. */

/* Reads a list such as "0-3,7,8-14:2" (cpuset(7), "List format"; the last is 8 to 14 in steps of 2). Stores
 * an array that the caller frees with free(3), and its length in words. Errors: BOX_EPARSE; BOX_ELIMIT above
 * CPU 65535. */
BOX_API int box_cpu_list_parse(const char *list, uint64_t **mask, size_t *words, box_error **err);
/* The list of a mask, "0-3,7". The caller frees it with free(3). NULL: out of memory. */
BOX_API char *box_cpu_list_format(const uint64_t *mask, size_t words);
/* As box_cpu_list_parse(). */
BOX_API int box_affinity_read(pid_t pid, uint64_t **mask, size_t *words, box_error **err);
/* sched_setaffinity(2). CPUs that are not there are passed over, as the kernel does; BOX_ESPEC when none is
 * left. */
BOX_API int box_affinity_apply(pid_t pid, const uint64_t *mask, size_t words, box_error **err);

/* Who dies first when memory runs out: -1000 (never) to 1000. proc_pid_oom_score_adj(5). */

BOX_API int box_oom_score_adj_check(int value, box_error **err);
BOX_API int box_oom_score_adj_read(pid_t pid, int *value, box_error **err);
/* To go below the lowest value that was set with privilege takes CAP_SYS_RESOURCE (BOX_EPERMISSION). */
BOX_API int box_oom_score_adj_apply(pid_t pid, int value, box_error **err);

/* The execution domain: "LINUX" or "LINUX32" (uname(2) then says i686). personality(2). */

BOX_API int box_personality_number(const char *name, unsigned long *domain, box_error **err);
/* NULL for a domain that has none of these names. Static. */
BOX_API const char *box_personality_name(unsigned long domain);
/* Changes that of the calling thread. */
BOX_API int box_personality_apply(unsigned long domain, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
