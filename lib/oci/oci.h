/* The OCI runtime's view of a container, from within.
 *
 *     ROOT/ID/state.json   pid, start time, boot, bundle, cgroup, time of creation; written before anything runs, and
 *                          again when the process is there
 *     ROOT/ID/config.json  the document as it was at create
 *     ROOT/ID/exec.fifo    the held process reads from it; a byte written to it lets the program run
 *     ROOT/ID/lock         flock(2)ed while the container is made, started or deleted
 *     ROOT/new:…           one whose directory is being set up; a rename makes it visible with all that is in it. And one
 *                          that is being removed. No id has a colon. What killed programs left goes with a later delete
 *
 * "created" is what has a reader of its fifo, so that no second file can disagree with the process; "creating" is what
 * has no process yet and whose maker holds the lock. A maker that was killed leaves one that is stopped.
 *
 * The first process is a child of create's caller and of nobody's monitor: an engine's shim reaps it. */
#ifndef BOX_OCI_OCI_H
#define BOX_OCI_OCI_H

#include <libbox/oci.h>
#include <libbox/systemd.h>

#include "base/fail.h"
#include "base/file.h"
#include "base/json.h"
#include "launch/launch.h"
#include "spec/spec.h"

#define OCI_ID_MAX 255
#define OCI_FIFO   "exec.fifo"
#define OCI_NEW    "new:"
#define OCI_NO_PROGRAM "/" /* in place of a process that the document has not: a name that no program has */

struct box_oci {
    char *root; /* absolute */
    int dir;
    unsigned flags;
};

enum oci_status { OCI_CREATING, OCI_CREATED, OCI_RUNNING, OCI_PAUSED, OCI_STOPPED };

struct oci_container {
    const box_oci *oci;
    char id[OCI_ID_MAX + 1];
    int dir;
    char *bundle, *rootfs, *cgroup_location;
    pid_t pid; /* 0: none yet */
    uint64_t start_time;
    int64_t created;
    uid_t owner;
    box_spec *spec; /* loaded when needed: oci_load_spec() */
    int pidfd;      /* of the process while it lives, or -1 */
    box_cgroup *cgroup;
    char *systemd; /* "system" or "user", the manager that makes its cgroup; or NULL */
    box_systemd_unit *unit; /* made when needed: oci_systemd_unit() */
    bool cgroup_pending; /* cgroup_location is where it is to be: whether it is there, and all of it, only the maker knows */
    bool cgroup_found; /* it was there before the container, and stays */
    char *rdt_group; /* of resctrl, or NULL */
    bool rdt_made, rdt_monitor;
    uint64_t root_mount; /* of a root that is entered by chroot(2): the mount that was made of it; 0: it is none */
};
void oci_container_clear(struct oci_container *c);
#define _oci_container_ __attribute__((cleanup(oci_container_clear)))
#define OCI_CONTAINER_INIT ((struct oci_container){.dir = -1, .pidfd = -1})

BOX_CLEANUP(box_spec, box_spec_free);
BOX_CLEANUP(box_systemd_unit, box_systemd_unit_free);

/* ---- oci.c ---- */
int oci_check_id(const char *id, box_error **err);
/* Root, and not of a user namespace alone. */
bool oci_privileged(void);

/* ---- oci_state.c ---- */
/* Opens a container and reads its state. BOX_ENOTFOUND. */
int oci_open(const box_oci *oci, const char *id, struct oci_container *c, box_error **err);
int oci_save_state(const struct oci_container *c, int dir, box_error **err);
int oci_load_spec(struct oci_container *c, box_error **err);
enum oci_status oci_status(struct oci_container *c);
const char *oci_status_name(enum oci_status status);
/* BOX_ESTATE unless it is alive; c->pidfd is open then. */
int oci_require_alive(struct oci_container *c, enum oci_status *status, box_error **err);
int oci_lock(const struct oci_container *c, int timeout_ms, box_error **err);
/* The document for `state` and for hooks; malloc'ed text. */
int oci_state_text(struct oci_container *c, enum oci_status status, char **text, box_error **err);
box_cgroup *oci_cgroup(struct oci_container *c, box_error **err);

/* ---- oci_console.c ---- */
/* Connects before anything is made, so that a socket that is none is noticed; *console is -1 without a terminal. Not
 * `required`: the caller may take the terminal itself. */
int oci_console_connect(const box_spec *spec, const char *path, bool required, int *console, box_error **err);
int oci_console_send(int socket, int master, box_error **err);
int oci_write_pid(const char *path, pid_t pid, box_error **err);
/* The streams of a process as the options have it; *made is to be freed with box_stdio_free(). */
int oci_streams(box_spec *spec, const box_oci_options *options, box_stdio **made, box_error **err);

/* ---- oci_bundle.c ---- */
/* The document of the bundle, as it can be carried out here, and its root. */
int oci_read_bundle(struct oci_container *c, const box_oci_options *options, box_error **err);
/* Takes away what this program cannot grant, and tells options->warn; `strict`: a name that the kernel does not know is an
 * error. */
int oci_limit_capabilities(box_spec *spec, const box_oci_options *options, bool strict, box_error **err);

/* ---- oci_root.c ---- */
/* Without a mount namespace: a private mount of the root on itself, noted before it appears. */
int oci_root_make(struct oci_container *c, box_error **err);
/* Takes it down, with all that was mounted below; nothing of anybody else's. */
void oci_root_remove(struct oci_container *c);

/* ---- oci_rdt.c ---- */
struct resctrl;
/* Makes the group that the document wants, and opens what processes go in by; both are left alone when it wants none. */
int oci_rdt_make(struct oci_container *c, int tasks[2], box_error **err);
int oci_rdt_join(struct oci_container *c, int tasks[2], box_error **err);
int oci_rdt_remove(struct oci_container *c, box_error **err);
int oci_rdt_make_in(struct oci_container *c, const struct resctrl *fs, box_error **err); /* for tests, as is the next */
int oci_rdt_update_in(struct oci_container *c, const struct resctrl *fs, const char *cache, const char *bandwidth, box_error **err);
int oci_rdt_stats_in(const struct oci_container *c, const struct resctrl *fs, char **json, box_error **err);
int oci_rdt_remove_in(struct oci_container *c, const struct resctrl *fs, box_error **err);

/* ---- oci_systemd.c ---- */
/* Asks systemd for the container's cgroup. A process stands in for the container's until oci_systemd_settle(). */
int oci_systemd_make(struct oci_container *c, box_error **err);
int oci_systemd_settle(struct oci_container *c, box_error **err);
/* These do nothing, and say 0, for a container whose cgroup is not systemd's. */
int oci_systemd_stop(struct oci_container *c, box_error **err);
/* 1: done. */
int oci_systemd_update(struct oci_container *c, const box_limits *limits, box_error **err);

/* ---- oci_delete.c ---- */
/* Kills what runs, takes the cgroup down and removes the directory. */
int oci_destroy(struct oci_container *c, box_error **err);

#endif
