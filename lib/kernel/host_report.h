/* Inside the host report: what the probes of each area write into. Public face: libbox/host.h.
 *
 * host.c holds the table of features, the report and its JSON. A probe of each area fills its rows:
 *     host_system.c       the kernel, processes, limits
 *     host_namespaces.c   namespaces and user namespaces
 *     host_mounts.c       mounts and file systems
 *     host_cgroups.c      control groups
 *     host_confine.c      seccomp, Landlock, security modules, keys, capabilities
 *     host_rootless.c     subordinate ids
 *     host_libraries.c    the libraries that are opened at run time
 * What must be tried to be known is tried in host_try.c, in a child. */
#ifndef BOX_KERNEL_HOST_REPORT_H
#define BOX_KERNEL_HOST_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <libbox/capability.h>
#include <libbox/host.h>

#include "base/fail.h"
#include "kernel/host_try.h"

struct box_host_feature {
    const char *id, *group, *title;
    bool essential;
    bool known; /* a probe has filled the rest */
    enum box_host_state state;
    char *detail;
    const char *remedy; /* static, or NULL */
    char *own_remedy;   /* where it holds something of this host */
};

struct box_host {
    struct box_host_feature *features;
    size_t n;
    bool failed; /* out of memory on the way */
    char release[65];
    int major, minor; /* of the kernel */
    uid_t uid;
    bool privileged; /* CAP_SYS_ADMIN, as far as this user namespace goes */
    struct box_capset caps;
    struct box_try direct; /* tried without a user namespace, when privileged */
    struct box_try nested; /* tried in a user namespace of its own */
};

BOX_CLEANUP(box_host, box_host_free);

/* Fills a row. remedy: static or NULL. */
void box_host_set(box_host *h, const char *id, enum box_host_state state, const char *remedy, const char *fmt,
                  ...) BOX_PRINTF(5, 6);
/* Gives the row a remedy that was put together for this host. */
void box_host_set_remedy(box_host *h, const char *id, const char *fmt, ...) BOX_PRINTF(3, 4);
/* BOX_HOST_OK with the detail "" when `there`, otherwise BOX_HOST_MISSING with the remedy. */
void box_host_set_there(box_host *h, const char *id, bool there, const char *remedy);
void box_host_set_essential(box_host *h, const char *id);

/* Whether a file system type is in /proc/filesystems: built in, or its module is loaded. */
bool box_host_filesystem_known(const char *type);
/* Whether the running kernel has a module of this file name ("overlay.ko") that is not loaded. */
bool box_host_module_exists(const box_host *h, const char *file);
/* "EPERM" for EPERM, and so on for those that probes meet; a plain word for others. Static. */
const char *box_host_errno(int errnum);
bool box_host_kernel_at_least(const box_host *h, int major, int minor);

void box_host_probe_system(box_host *h);
void box_host_probe_namespaces(box_host *h);
void box_host_probe_mounts(box_host *h);
void box_host_probe_cgroups(box_host *h);
void box_host_probe_confine(box_host *h);
void box_host_probe_rootless(box_host *h);
void box_host_probe_libraries(box_host *h);

#endif
