/* OCI runtime: containers as an engine (containerd, Podman, Docker) drives them, by bundle and id.
 *
 *     box_oci *oci = NULL;
 *     box_oci_options how = BOX_OCI_OPTIONS_INIT;
 *     how.bundle = "/run/bundle";
 *     if (box_oci_open("/run/box-oci", 0, &oci, &err) < 0 || box_oci_create(oci, "web", &how, &err) < 0 ||
 *         box_oci_start(oci, "web", &err) < 0)
 *         …box_error_message(err)…
 *     box_oci_free(oci);
 *
 * A bundle is a directory with a config.json and a root file system. create makes everything but the program's start;
 * start lets it run; both, and whatever comes after, may be called from different processes, which is how an engine does
 * it. The container's first process is a child of whoever called create, so that an engine's shim, which outlives the
 * runtime and is a subreaper (prctl(2)), is the one that reaps it.
 *
 * What is known of a container lies below the root directory that box_oci_open() was given, and goes with delete. A
 * process that is killed in the middle of create leaves a container that delete removes.
 *
 * Thread rules: a box_oci does not change; any number of threads may use one. Calls for the same container exclude each
 * other, in all processes, by a file lock.
 *
 * Specification: OCI runtime-spec 1.0 to 1.3, "Runtime and Lifecycle" and "Features Structure".
 */
#ifndef LIBBOX_OCI_H
#define LIBBOX_OCI_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <libbox/cgroup.h>
#include <libbox/error.h>
#include <libbox/launch.h>
#include <libbox/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_oci box_oci;

enum box_oci_flags {
    BOX_OCI_SYSTEMD_CGROUP = 1 << 0 /* cgroupsPath is "slice:prefix:name": systemd makes the cgroup, over D-Bus */
};

/* Opens a directory of containers, and makes it (0700) where there is none. NULL: /run/box-oci, and
 * $XDG_RUNTIME_DIR/box-oci for an ordinary user and for root of a user namespace other than the first. */
BOX_API int box_oci_open(const char *root, unsigned flags, box_oci **oci, box_error **err);
/* NULL is allowed. */
BOX_API void box_oci_free(box_oci *oci);

/* For create and exec; start from BOX_OCI_OPTIONS_INIT. */
typedef struct box_oci_options {
    unsigned version;           /* 1 */
    const char *bundle;         /* create: the directory; NULL: the working directory */
    const char *config;         /* create: the document; NULL: config.json of the bundle */
    const char *console_socket; /* a Unix socket that gets the terminal's master by SCM_RIGHTS (unix(7)); wanted when,
                                   and only when, the process has a terminal */
    const char *pid_file;       /* where the process's id, as this program sees it, is written; NULL: nowhere */
    unsigned preserve_fds;      /* descriptors 3 to 2 + preserve_fds of this program go to the process */
    unsigned listen_fds;        /* the first of these are sockets to be listened on: the process gets LISTEN_FDS and
                                   LISTEN_PID; see sd_listen_fds(3) */
    bool no_pivot;              /* MS_MOVE and chroot(2) in place of pivot_root(2): for a root on a ramfs. Weaker. */
    bool no_new_keyring;        /* the caller's session keyring */
    const box_stdio *io;        /* streams where there is no terminal; NULL: the caller's own 0, 1 and 2 */
    char *const *cgroups;       /* exec: where below the container's cgroup the process shall be; NULL: in that itself. A
                                   vector that ends in NULL of "path", or of "controller,controller:path" for the
                                   hierarchies that have these; others stay. The groups must be there: BOX_ENOTFOUND */
    bool ignore_paused;         /* exec: in a container that is paused too; the start then lasts until it is resumed */
    void (*warn)(void *data, const char *text); /* what the document asks for and is passed over, as the specification has
                                                   it: capabilities that are not known, or not to be had. NULL: nobody is
                                                   told. From the calling thread, before anything is made */
    void *warn_data;
} box_oci_options;
#define BOX_OCI_OPTIONS_INIT                                                              \
    {                                                                                     \
        1, NULL, NULL, NULL, NULL, 0, 0, false, false, NULL, NULL, false, NULL, NULL      \
    }

/* An id is [A-Za-z0-9_+-.]+, at most 255 bytes, and not "." or "..": BOX_EINVAL.
 *
 * Makes the container: namespaces, cgroup, root, everything up to the program, and runs the hooks that belong here.
 * Errors: BOX_EEXISTS for an id that is taken; those of box_spec_load(), box_spec_check() and box_plan_start(), with
 * BOX_ENOPROGRAM when the program is not in the root. Nothing is left then; hooks for the end have run if any other
 * had. */
BOX_API int box_oci_create(box_oci *oci, const char *id, const box_oci_options *options, box_error **err);
/* Lets the program run. BOX_ESTATE unless it is "created". BOX_ESPEC when the document has no process, which ends it. */
BOX_API int box_oci_start(box_oci *oci, const char *id, box_error **err);
/* A signal to its first process, or to all of its processes. BOX_ESTATE when it has stopped (but with `all`, whose
 * aim is that nothing runs). */
BOX_API int box_oci_kill(box_oci *oci, const char *id, int signal, bool all, box_error **err);
/* Removes what has stopped: its cgroup, its state; then the hooks for its end run, whose failures change nothing. force:
 * kills it first, and is content with a container that is not there. BOX_ESTATE; BOX_ENOTFOUND. */
BOX_API int box_oci_delete(box_oci *oci, const char *id, bool force, box_error **err);

/* The state document of the specification; the caller frees *json. */
BOX_API int box_oci_state(box_oci *oci, const char *id, char **json, box_error **err);
/* The same, as fields. Strings are the caller's to free: box_oci_info_clear(). */
typedef struct box_oci_info {
    char *id, *bundle, *rootfs;
    const char *status; /* "creating", "created", "running", "paused", "stopped" */
    pid_t pid;          /* 0 once it has stopped */
    int64_t created;    /* nanoseconds since 1970 */
    uid_t owner;
} box_oci_info;
BOX_API int box_oci_get_info(box_oci *oci, const char *id, box_oci_info *info, box_error **err);
BOX_API void box_oci_info_clear(box_oci_info *info);
/* All ids, sorted, NULL-terminated; freed with box_strings_free() of libbox/image.h. */
BOX_API int box_oci_list(box_oci *oci, char ***ids, box_error **err);

/* The spec that the container was made from; the caller frees it. */
BOX_API int box_oci_spec(box_oci *oci, const char *id, box_spec **spec, box_error **err);
/* Starts another process in a container that runs, or is created: `process` is a spec of which the process part counts
 * (box_oci_spec() and setters, or box_oci_parse_process()). *started is a child of the caller's. */
BOX_API int box_oci_exec(box_oci *oci, const char *id, const box_spec *process, const box_oci_options *options,
                         box_process **started, box_error **err);
/* Reads OCI's "process" object, as engines write it to a file for exec, into a copy of the container's spec. */
BOX_API int box_oci_parse_process(box_oci *oci, const char *id, const char *path, box_spec **process, box_error **err);

BOX_API int box_oci_pause(box_oci *oci, const char *id, box_error **err);
BOX_API int box_oci_resume(box_oci *oci, const char *id, box_error **err);
/* Changes limits; what is unset stays. */
BOX_API int box_oci_update(box_oci *oci, const char *id, const box_limits *limits, box_error **err);
/* Lines of schemata of resctrl for its Intel RDT group, as `runc update` takes them ("L3:0=ff;1=f0", "MB:0=50"); NULL: that
 * one stays as it is. A container that has no group gets one of its id, with all of its processes. BOX_EUNSUPPORTED
 * without resctrl, BOX_ESPEC for what the kernel does not take. */
BOX_API int box_oci_update_rdt(box_oci *oci, const char *id, const char *l3_cache, const char *memory_bandwidth, box_error **err);
/* What resctrl says of it, as runc's `events` tells it ("intel_rdt"): an object, empty without a group; the caller frees
 * *json. */
BOX_API int box_oci_rdt_stats(box_oci *oci, const char *id, char **json, box_error **err);
/* OCI's "resources" object as limits; the caller frees *limits with box_limits_free(). */
BOX_API int box_oci_parse_resources(const char *text, size_t length, box_limits **limits, box_error **err);
/* Its processes as this program sees them, none when it has stopped; the caller frees *pids. */
BOX_API int box_oci_pids(box_oci *oci, const char *id, pid_t **pids, size_t *n, box_error **err);
/* Its cgroup, for statistics, OOM events and the like; the caller frees it with box_cgroup_free(). */
BOX_API int box_oci_cgroup(box_oci *oci, const char *id, box_cgroup **cgroup, box_error **err);
/* A descriptor that is readable when its first process has ended (pidfd_open(2)); the caller closes it. */
BOX_API int box_oci_pidfd(box_oci *oci, const char *id, box_error **err);

/* The features document: what this runtime can do. The caller frees *json. */
BOX_API int box_oci_features(char **json, box_error **err);
/* A document to begin with, as `runc spec` writes it; rootless: for an ordinary user. The caller frees *json. */
BOX_API int box_oci_template(bool rootless, char **json, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
