/* Resource limits of a process, by the names of setrlimit(2) or those of Docker's --ulimit.
 *
 *     struct box_rlimit l;
 *     box_rlimit_parse("nofile=1024:2048", &l, &err);
 *     box_rlimit_apply(pid, &l, 1, &err);
 *
 * Thread rules: every function may be called from any thread.
 */
#ifndef LIBBOX_RLIMIT_H
#define LIBBOX_RLIMIT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* No limit: RLIM_INFINITY, "unlimited" and -1 in texts. */
#define BOX_RLIMIT_UNLIMITED UINT64_MAX

/* One limit. Units are those of setrlimit(2): bytes for sizes, seconds for CPU, microseconds for RTTIME. */
struct box_rlimit {
    int resource; /* RLIMIT_* of <sys/resource.h> */
    uint64_t soft;
    uint64_t hard;
};

/* The number behind a name: "RLIMIT_NOFILE" (OCI's), "NOFILE" or "nofile" (Docker's). BOX_EPARSE for one that
 * is none. */
BOX_API int box_rlimit_number(const char *name, box_error **err);
/* The name of a resource, "RLIMIT_NOFILE", or in Docker's form, "nofile". NULL for a number that is none.
 * Static. */
BOX_API const char *box_rlimit_name(int resource);
BOX_API const char *box_rlimit_short_name(int resource);

/* Reads Docker's --ulimit form, NAME=SOFT[:HARD]; without HARD both are SOFT. A value is a decimal number, or
 * -1, "unlimited" or "infinity". Errors: BOX_EPARSE; BOX_ESPEC when the soft limit is above the hard one. */
BOX_API int box_rlimit_parse(const char *text, struct box_rlimit *limit, box_error **err);
/* The same form back, "nofile=1024:2048". The caller frees it with free(3). NULL: out of memory, or no such
 * resource. */
BOX_API char *box_rlimit_format(const struct box_rlimit *limit);
/* Whether a limit can be set at all: a resource that exists, soft not above hard. 0 or BOX_ESPEC. */
BOX_API int box_rlimit_check(const struct box_rlimit *limit, box_error **err);

/* The limit of a process now; pid 0 is the calling one. prlimit(2). */
BOX_API int box_rlimit_read(pid_t pid, int resource, struct box_rlimit *limit, box_error **err);
/* Sets limits, in order, on a process; pid 0 is the calling one. To raise a hard limit takes CAP_SYS_RESOURCE
 * in the first user namespace; without it the error is BOX_EPERMISSION and tells the limit that there is. The
 * limits before the one that failed stay set. prlimit(2). */
BOX_API int box_rlimit_apply(pid_t pid, const struct box_rlimit *limits, size_t n, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
