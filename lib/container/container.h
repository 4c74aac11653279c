/* A container from within.
 *
 *     ROOT/containers/ID/         meta.json      name, image, flags, times, how it last ended
 *                                 config.json    the spec
 *                                 image          the pin that keeps the image's layers (image/store.h)
 *                                 upper/, work/  the writable layer
 *                                 hosts, hostname, resolv.conf
 *                                 log            output of a detached container
 *                                 exit           the monitor's record of how it ended
 *                                 lock           flock(2)ed around every change of state
 *     ROOT/containers/.names/NAME the id that has the name
 *                                 (the directory's sticky bit: it is thrown away at its end; nothing in it is synced)
 *     ROOT/containers/.new-ID/    one that is being made; its lock is held by who makes it
 *     RUNROOT/containers/ID.json  the running process: pid, start time, boot, monitor, cgroup
 *     RUNROOT/containers/ID.host  flock(2)ed by the host program that started it attached
 *
 * The run file is the truth about "running": without it, or when its process is gone, the container has ended. Who
 * notices the end first (the host, a waiter, any later use of the store) finishes it under the lock: reads the record,
 * takes down the cgroup, writes meta.json, removes the run file. docs/design/state.md tells why a kill at any instant
 * loses nothing. */
#ifndef BOX_CONTAINER_CONTAINER_H
#define BOX_CONTAINER_CONTAINER_H

#include <libbox/container.h>
#include <libbox/image.h>
#include <libbox/store.h>

#include "base/fail.h"
#include "base/file.h"
#include "image/store.h"
#include "launch/launch.h"
#include "spec/spec.h"

#define CONTAINER_ID_LENGTH 64
#define ALL_LOCK            ".lock" /* of the whole directory: while one is begun or gets its name */

struct run_state {
    bool present;
    pid_t pid, monitor;
    uint64_t start_time, monitor_start_time;
    int64_t started;
    char *cgroup; /* box_cgroup_location(), or NULL */
    uint64_t oom_before;
    bool deadline; /* its time was up, and it was killed for that or is about to be */
};

/* Tells whether a document is the one that was read or written last: each replacement is a new file. */
struct document_stamp {
    uint64_t inode;
    int64_t changed;
};

struct box_container {
    char *root, *runroot; /* of the store */
    char id[CONTAINER_ID_LENGTH + 1];
    char *name, *image_name, *image_id, *manifest, *stop_signal;
    unsigned flags;
    int stop_timeout;
    bool removing;
    bool unpublished; /* its directory has not got its place yet: what is written there need not be replaced */
    int64_t created, finished, last_started;
    box_spec *spec;
    char *log_path, *upper;
    struct run_state run;
    bool paused;
    struct box_ending ending;
    char ending_text[160];
    char syscall_name[48];

    int dir;     /* ROOT/containers/ID */
    int run_dir; /* RUNROOT/containers, or -1: not opened yet */
    char boot[40];
    struct document_stamp meta_seen, config_seen; /* of what the fields above were read from or written to */
    int pidfd;
    box_process *process;      /* started attached by this handle */
    struct box_cgroup *cgroup; /* of the run, opened when needed */
    int host_lock;
};

BOX_CLEANUP(box_container, box_container_free);
BOX_CLEANUP(box_spec, box_spec_free);

/* ---- state.c ---- */
/* The name that another process may have given it meanwhile. */
void container_read_name(box_container *c);
int container_save_meta(box_container *c, box_error **err);
int container_save_config(box_container *c, box_error **err);
int container_load(const box_store *store, const char *id, box_container **container, box_error **err);
int container_save_run(box_container *c, box_error **err);
int container_load_run(box_container *c, box_error **err);
/* How a file of the container's is written, for box_file_replace(). */
unsigned container_file_flags(const box_container *c);
/* Whether meta.json and config.json are still those that this handle knows. */
bool container_is_current(const box_container *c);
/* A descriptor of the handle's. */
int container_run_dir(box_container *c, box_error **err);
void container_clear_run(struct run_state *run);
/* Where root's containers have their cgroup; NULL: no memory. */
char *container_default_cgroup(const box_container *c);
/* The lock of one container; a descriptor, or a code. */
int container_lock(box_container *c, box_error **err);
int64_t container_now(void);

/* ---- life.c ---- */
/* Whether the process of the run file is alive and still the same; opens the pidfd. */
bool container_alive(box_container *c);
/* Whether the host program that started it attached is there still. */
bool container_host_alive(box_container *c);
/* Opens the cgroup of the run; NULL when there is none. */
struct box_cgroup *container_cgroup(box_container *c);
/* Finishes a container whose process is gone. Waits shortly for who knows better how it ended. */
int container_finish(box_container *c, box_error **err);
/* Kills what is in the cgroup of the run, and removes it. */
int container_take_cgroup_down(box_container *c);
/* Takes the run file away. */
void container_forget_run(box_container *c);
void container_set_ending(box_container *c, const struct box_ending *ending);

/* ---- join.c ---- */
/* Whether the first process is where the spec says: what the stage must find its user namespace to be after the join
 * (`expected`), and the link to look at (`link`, the caller's to close). */
int container_check_join(box_container *c, char *expected, size_t size, int *link, box_error **err);

/* ---- create.c ---- */
int container_open_dir(const box_store *store, box_error **err);
int container_remove_files(box_container *c, box_error **err);
bool container_name_is_valid(const char *name);
/* The number of "SIGQUIT", "QUIT", "RTMIN+3" or "3"; -1 when it is none. */
int container_signal_number(const char *name);
/* Takes away a directory that is thrown away and that a power cut left incomplete. */
bool container_remove_torn(int all, const char *id);
int container_require_running(box_container *c, box_error **err);
/* names.c: a made-up name, in a buffer of 64 bytes. */
int container_make_name(char *out, size_t size, unsigned attempt, box_error **err);

#endif
