/* What this host offers: each thing of the kernel and the system that libbox uses, whether it is there, and
 * how to get it.
 *
 *     box_host *h = box_host_probe(&err);
 *     for (size_t i = 0; i < box_host_count(h); i++) {
 *         const box_host_feature *f = box_host_at(h, i);
 *         printf("%-9s %s: %s\n", box_host_state_name(box_host_feature_state(f)), box_host_feature_title(f),
 *                box_host_feature_detail(f));
 *     }
 *     box_host_free(h);
 *
 * Probing changes nothing that lasts: what must be tried to be known (a user namespace, an overlay mount) is
 * tried in a child that ends at once. It takes some milliseconds.
 *
 * Thread rules: probing may run in any thread. A report never changes and may be read by several threads.
 */
#ifndef LIBBOX_HOST_H
#define LIBBOX_HOST_H

#include <stddef.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_host box_host;
typedef struct box_host_feature box_host_feature;

enum box_host_state {
    BOX_HOST_OK = 0,       /* there, in full */
    BOX_HOST_DEGRADED = 1, /* there in part, or libbox goes a slower way around it */
    BOX_HOST_MISSING = 2,  /* not there: kernel, program or library lacks it */
    BOX_HOST_FORBIDDEN = 3 /* there, but this user or this host's policy may not use it */
};

/* Looks at everything. NULL: out of memory, or no /proc. */
BOX_API box_host *box_host_probe(box_error **err);
/* Frees a report; NULL is allowed. */
BOX_API void box_host_free(box_host *h);

/* The features, ordered by group. The pointers live as long as the report. */
BOX_API size_t box_host_count(const box_host *h);
/* NULL when i is not below the count. */
BOX_API const box_host_feature *box_host_at(const box_host *h, size_t i);
/* By its id; NULL when there is none. */
BOX_API const box_host_feature *box_host_find(const box_host *h, const char *id);

/* A stable name for programs, such as "userns" or "cgroup.memory". docs/host.md lists them. */
BOX_API const char *box_host_feature_id(const box_host_feature *f);
/* A stable name of the group: "kernel", "namespaces", "mounts", "cgroups", "confinement", "processes",
 * "rootless", "libraries". */
BOX_API const char *box_host_feature_group(const box_host_feature *f);
/* For people, "User namespaces". */
BOX_API const char *box_host_feature_title(const box_host_feature *f);
BOX_API enum box_host_state box_host_feature_state(const box_host_feature *f);
/* What was found, "ABI 6"; may be "". */
BOX_API const char *box_host_feature_detail(const box_host_feature *f);
/* How to get it, "sysctl -w kernel.unprivileged_userns_clone=1"; "" when it is there or nothing is known. */
BOX_API const char *box_host_feature_remedy(const box_host_feature *f);
/* Not 0 when containers cannot be started without it. */
BOX_API int box_host_feature_essential(const box_host_feature *f);
/* "ok", "degraded", "missing", "forbidden". Static. */
BOX_API const char *box_host_state_name(enum box_host_state state);

/* The report as JSON: {"kernel": "…", "features": [{"id", "group", "title", "state", "detail", "remedy",
 * "essential"}, …]}. The caller frees it with free(3). NULL: out of memory. */
BOX_API char *box_host_json(const box_host *h, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
