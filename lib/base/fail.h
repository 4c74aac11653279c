/* Making errors, inside the library. Public face: libbox/error.h.
 *
 *     return box_fail(err, BOX_ESPEC, "memory limit %lu is below the kernel's minimum", n);
 *     return box_fail_sys(err, "openat2", path, "open the root");          uses errno, maps it to a code
 *     return box_fail_with(err, &(struct box_fail_info){.code = …, .remedy = "…"}, "…", …);
 *     r = box_fail_wrap(err, r, "layer %s", digest);                       prefixes the stage on the way up
 *
 * Each returns the code, so that `return box_fail(...)` reads as one step. All work with err == NULL.
 */
#ifndef BOX_BASE_FAIL_H
#define BOX_BASE_FAIL_H

#include <libbox/error.h>
#include "base/cleanup.h"

struct box_fail_info {
    int code;            /* 0: derived from errnum */
    int errnum;          /* 0: none */
    const char *stage;   /* any of these may be NULL */
    const char *call;
    const char *subject;
    const char *remedy;
};

int box_fail(box_error **err, int code, const char *fmt, ...) BOX_PRINTF(3, 4);
int box_fail_sys(box_error **err, const char *call, const char *subject, const char *fmt, ...) BOX_PRINTF(4, 5);
int box_fail_with(box_error **err, const struct box_fail_info *info, const char *fmt, ...) BOX_PRINTF(3, 4);
int box_fail_nomem(box_error **err);
/* Prefixes the stage of an error that is on its way up; returns code unchanged. */
int box_fail_wrap(box_error **err, int code, const char *fmt, ...) BOX_PRINTF(3, 4);
/* The BOX_E* code that fits an errno best: EPERM and EACCES to BOX_EPERMISSION, ENOSPC and EDQUOT to BOX_ENOSPACE... */
int box_code_from_errno(int errnum);

BOX_CLEANUP(box_error, box_error_free);

#endif
