/* Containers: a process in a root of its own, with a name, state on disk, and a life that other processes can follow.
 *
 *     box_container *c = NULL;
 *     box_container_create(store, "web", image, spec, 0, &c, &err);      image may be NULL: the spec has a root
 *     box_container_start(c, NULL, &err);
 *     box_container_wait(c, -1, &err);
 *     printf("%s\n", box_container_ending(c)->text);
 *     box_container_remove(c, 0, &err);
 *     box_container_free(c);
 *
 * The state lies in the store's `containers` directory and, for what ends with the machine's uptime, in its run
 * directory; every change is written so that a kill at any instant leaves the old state or the new one. There is no
 * daemon: any process that opens the same store sees the same containers, and what a killed host left behind (a half
 * made container, cgroups of a dead one, one to be removed at its end) is found and cleared by whoever comes next.
 *
 * Thread rules: one handle is for one thread at a time; several handles of the same container, in one process or
 * several, may be used at once.
 */
#ifndef LIBBOX_CONTAINER_H
#define LIBBOX_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/cgroup.h>
#include <libbox/error.h>
#include <libbox/launch.h>
#include <libbox/spec.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_container box_container;
struct box_store;
struct box_image;

enum box_container_state {
    BOX_CONTAINER_CREATED = 0,
    BOX_CONTAINER_RUNNING = 1,
    BOX_CONTAINER_PAUSED = 2,
    BOX_CONTAINER_EXITED = 3,
    BOX_CONTAINER_REMOVING = 4 /* a removal was interrupted; only box_container_remove() is left to do */
};

/* ---- Making, finding, listing ------------------------------------------------------------------------------------ */

/* Removed, with its writable layer, as soon as it has ended: by its monitor's end being noticed, or by the next use
 * of the store. */
#define BOX_CONTAINER_AUTO_REMOVE 1u
/* Remembered for whoever starts it: its standard input is to be open, as with `docker run -i`. */
#define BOX_CONTAINER_OPEN_STDIN 2u

/* Makes a container: its directory, its writable layer over the image's layers, and its spec, which is copied. `name`
 * NULL: one is made up (adjective_name, as Docker's). With an image, the spec's root is set here; what the image says
 * of the process is the caller's to take over first, by box_image_apply(). Nothing runs yet. Errors: BOX_EEXISTS for
 * a name that is taken, BOX_EINVAL for one that is not [a-zA-Z0-9][a-zA-Z0-9_.-]*, those of box_spec_check(). */
BOX_API int box_container_create(struct box_store *store, const char *name, struct box_image *image,
                                 const box_spec *spec, unsigned flags, box_container **container, box_error **err);
/* What else there is to say of one; start from BOX_CONTAINER_OPTIONS_INIT. */
typedef struct box_container_options {
    unsigned version;        /* 1 */
    unsigned flags;          /* BOX_CONTAINER_AUTO_REMOVE and the like */
    const char *name;        /* NULL: one is made up */
    const char *image_name;  /* how the image was asked for; NULL: its first name */
    const char *stop_signal; /* "SIGQUIT", "QUIT", "3"; NULL: the image's, or SIGTERM */
    int stop_timeout;        /* seconds that it is usually given to stop [10]; -1: as long as it takes */
} box_container_options;
#define BOX_CONTAINER_OPTIONS_INIT     \
    {                                  \
        1, 0, NULL, NULL, NULL, 10     \
    }
/* box_container_create() with options. Also BOX_EINVAL for a signal that is none. */
BOX_API int box_container_create_with(struct box_store *store, struct box_image *image, const box_spec *spec,
                                      const box_container_options *options, box_container **container,
                                      box_error **err);
/* Gives it another name. Errors as for a name in box_container_create(). */
BOX_API int box_container_rename(box_container *container, const char *name, box_error **err);
/* Opens one by its name, its id, or an unambiguous start of its id. BOX_ENOTFOUND; BOX_EINVAL when several begin so. */
BOX_API int box_container_open(struct box_store *store, const char *name, box_container **container, box_error **err);
/* All containers of a store, the newest first; those that are being made or removed are left out. *list ends in NULL;
 * free it with box_container_list_free(). */
BOX_API int box_container_list(struct box_store *store, box_container ***list, size_t *n, box_error **err);
BOX_API void box_container_list_free(box_container **list);
/* Clears what killed programs left behind in this store; every open, list and create does its own part of it. Stores
 * the number of things cleared in *n (may be NULL). */
BOX_API int box_container_sweep(struct box_store *store, size_t *n, box_error **err);
/* Closes the handle. A container that runs goes on if it was started detached; one that was started attached by this
 * handle is killed, as box_process_free() does. */
BOX_API void box_container_free(box_container *container);

/* ---- What it is --------------------------------------------------------------------------------------------------- */

/* Strings belong to the handle and stay valid until it is freed or refreshed. */
BOX_API const char *box_container_id(const box_container *container);   /* 64 hexadecimal digits */
BOX_API const char *box_container_name(const box_container *container);
BOX_API const char *box_container_image_name(const box_container *container); /* as it was asked for; "" for none */
BOX_API const char *box_container_image_id(const box_container *container);   /* "sha256:…", or "" */
BOX_API const box_spec *box_container_spec(const box_container *container);
/* Reads the state from disk again: what another process did, or that it has ended. */
BOX_API int box_container_refresh(box_container *container, box_error **err);
/* The state as of the last refresh or call. */
BOX_API enum box_container_state box_container_state(const box_container *container);
/* "created", "running", "paused", "exited", "removing". Static. */
BOX_API const char *box_container_state_name(enum box_container_state state);
/* The first process in the host's pid namespace, or 0 when it does not run. */
BOX_API pid_t box_container_pid(const box_container *container);
/* Nanoseconds since the epoch; 0 when it has not happened. */
BOX_API int64_t box_container_created(const box_container *container);
BOX_API int64_t box_container_started(const box_container *container);
BOX_API int64_t box_container_finished(const box_container *container);
/* How its first process ended; kind BOX_ENDING_NONE before that. */
BOX_API const box_ending *box_container_ending(const box_container *container);
BOX_API bool box_container_auto_remove(const box_container *container);
BOX_API bool box_container_open_stdin(const box_container *container);
/* What it is asked to stop by ("SIGTERM" when nothing else was said), and the seconds it is usually given then. */
BOX_API const char *box_container_stop_signal(const box_container *container);
BOX_API int box_container_stop_timeout(const box_container *container);
/* Labels are annotations of the spec. The file that a detached container's output goes to, or NULL. */
BOX_API const char *box_container_log_path(const box_container *container);
/* The directory of its writable layer, or NULL for a container without an image. */
BOX_API const char *box_container_upper(const box_container *container);
/* The whole as JSON, in the form of `docker inspect`'s object. The caller frees *json with free(3). */
BOX_API int box_container_inspect(box_container *container, char **json, box_error **err);

/* ---- Running it --------------------------------------------------------------------------------------------------- */

/* Starts it as a child of this program, with streams of the caller's choice (NULL: /dev/null). It lives in this handle:
 * box_container_process(). BOX_ESTATE when it runs already. A container that has ended may be started again. */
BOX_API int box_container_start(box_container *container, const box_stdio *io, box_error **err);
/* Starts it apart from this program, under a monitor that records its end: it goes on when this program ends. Its
 * standard input is /dev/null, its output goes to box_container_log_path(). */
BOX_API int box_container_start_detached(box_container *container, box_error **err);
/* The process of a container that this handle started attached, or NULL. Owned by the container. */
BOX_API box_process *box_container_process(box_container *container);

/* Starts another process in a running container: its arguments, environment, user, directory, capabilities, limits and
 * terminal are those of `process` (a spec of which only the process part counts; box_container_exec_spec() makes one
 * with the container's own values). The caller owns *started. BOX_ESTATE when the container does not run or is paused. */
BOX_API int box_container_exec_spec(box_container *container, box_spec **process, box_error **err);
BOX_API int box_container_exec(box_container *container, const box_spec *process, const box_stdio *io,
                               box_process **started, box_error **err);

/* A descriptor that is readable when the container has ended, for any event loop; -1 when it does not run. Owned by the
 * handle. Call box_container_wait(…, 0, …) then. */
BOX_API int box_container_fd(const box_container *container);
/* Waits until it has ended, whoever started it, or `timeout_ms` have passed (-1: no limit): BOX_ETIMEOUT then. */
BOX_API int box_container_wait(box_container *container, int timeout_ms, box_error **err);
/* As above, but when the time is up all of it is killed, and its ending is BOX_ENDING_DEADLINE, for whoever asks. */
BOX_API int box_container_wait_or_kill(box_container *container, int timeout_ms, box_error **err);
/* Sends a signal to its first process. BOX_ESTATE when it does not run. */
BOX_API int box_container_signal(box_container *container, int signal, box_error **err);
/* Asks it to end by `signal` (0: the image's stop signal, or SIGTERM), and kills all of it `grace_ms` later if it has
 * not. Returns when it has ended. No error when it does not run. */
BOX_API int box_container_stop(box_container *container, int signal, int grace_ms, box_error **err);
/* Freezes all of its processes, and lets them go on. */
BOX_API int box_container_pause(box_container *container, box_error **err);
BOX_API int box_container_resume(box_container *container, box_error **err);
/* Changes limits, in the kernel if it runs and in its spec for later starts; what is unset stays. */
BOX_API int box_container_update(box_container *container, const box_limits *limits, box_error **err);
/* Statistics of its cgroup, to be freed with box_cgroup_stats_free(). NULL on failure. */
BOX_API struct box_cgroup_stats *box_container_stats(box_container *container, box_error **err);
/* Its processes, in the host's pid namespace; *pids is to be freed with free(3). */
BOX_API int box_container_pids(box_container *container, pid_t **pids, size_t *n, box_error **err);

/* ---- Removing it -------------------------------------------------------------------------------------------------- */

#define BOX_CONTAINER_FORCE 1u /* kill it first when it runs */
/* Removes the container with its writable layer, cgroups and state. BOX_ESTATE when it runs. The handle stays to be
 * freed. */
BOX_API int box_container_remove(box_container *container, unsigned flags, box_error **err);

/* Told of each container that was removed: its id. */
typedef void box_container_removed_fn(const char *id, void *data);
/* Removes all containers that do not run and were created before this time, nanoseconds since the epoch (0: any), and
 * stores the bytes of their writable layers in *bytes. One that starts meanwhile is left. `report` and `bytes` may be
 * NULL. */
BOX_API int box_container_prune(struct box_store *store, int64_t before, box_container_removed_fn *report, void *data,
                                uint64_t *bytes, box_error **err);
/* Bytes that the files of its writable layer take on disk; 0 for a container without one. */
BOX_API int box_container_size(const box_container *container, uint64_t *bytes, box_error **err);

struct box_store_usage; /* libbox/store.h */
/* How many containers there are, and what their writable layers take. */
BOX_API int box_container_usage(struct box_store *store, struct box_store_usage *usage, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
