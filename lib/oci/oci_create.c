/* Making a container, and letting its program run.
 *
 * In order: the document is read and held against itself (oci_bundle.c); a directory is set up under a temporary name and renamed to
 * the id, with its lock held; the cgroup is noted and made; the process is started and held before its program, with the
 * hooks of the creation on the way; its id is noted; the terminal is sent; the pid file is written last, since an engine
 * takes it for the sign that all is there. Whatever fails takes everything before it away again.
 *
 * What is held waits for one byte from a fifo that only it reads, so it needs nobody of those who made it. */
#include "oci/oci.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/pidfd.h>
#include "base/strings.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"
#include "launch/hooks.h"
#include "launch/plan.h"

/* ---- its directory -------------------------------------------------------------------------------------------------- */

static int fill_directory(struct oci_container *c, int dir, box_error **err)
{
    _free_ char *text = NULL;

    if (mkfifoat(dir, OCI_FIFO, 0600) < 0)
        return box_fail_sys(err, "mkfifoat", c->id, "make the container");
    int r = box_spec_format(c->spec, &text, err);
    if (r >= 0) /* what runs ends with the machine's uptime, and so does what is known of it: nothing is synced */
        r = box_file_replace(dir, "config.json", text, strlen(text), 0600, BOX_FILE_NO_SYNC, err);
    return r < 0 ? r : oci_save_state(c, dir, err);
}

/* Visible with all that is in it, or not at all. Returns the lock. */
static int make_directory(struct oci_container *c, box_error **err)
{
    char temporary[64];
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return box_fail_sys(err, "getrandom", NULL, "make the container");
    snprintf(temporary, sizeof(temporary), OCI_NEW "%016llx", (unsigned long long)number);
    if (faccessat(c->oci->dir, c->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EEXISTS, .subject = c->id},
                             "container with id exists: %s", c->id);
    if (mkdirat(c->oci->dir, temporary, 0711) < 0)
        return box_fail_sys(err, "mkdirat", temporary, "make the container");
    c->dir = openat(c->oci->dir, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _close_ int lock = c->dir < 0 ? box_fail_sys(err, "openat", temporary, "make the container")
                                  : box_lock_take(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), err);
    int r = lock < 0 ? lock : fill_directory(c, c->dir, err);
    if (r >= 0 && renameat2(c->oci->dir, temporary, c->oci->dir, c->id, RENAME_NOREPLACE) < 0)
        r = errno == EEXIST ? box_fail_with(err, &(struct box_fail_info){.code = BOX_EEXISTS, .subject = c->id},
                                            "container with id exists: %s", c->id)
                            : box_fail_sys(err, "renameat2", c->id, "make the container");
    if (r < 0) {
        box_remove_tree(c->oci->dir, temporary, NULL);
        return r;
    }
    return box_take_fd(&lock);
}

/* ---- its cgroup ------------------------------------------------------------------------------------------------------ */

/* Relative paths begin at the top of the hierarchy; without any, the id says where. It is noted before anything is made, so
 * that a kill leaves nothing that delete does not find. In every hierarchy, since engines read statistics there themselves. */
static int choose_cgroup(struct oci_container *c, box_error **err)
{
    const char *path = c->spec->cgroups_path;

    if (c->oci->flags & BOX_OCI_SYSTEMD_CGROUP)
        return 0; /* oci_systemd_make() notes what it does */
    if (!path && !oci_privileged())
        return 0;
    c->cgroup_location = path ? box_strf("%s%s", path[0] == '/' ? "" : "/", path) : box_strf("/box-oci/%s", c->id);
    if (!c->cgroup_location)
        return box_fail_nomem(err);
    c->cgroup_pending = true;
    _cleanup_(box_cgroup) box_cgroup *there = path ? box_cgroup_open(NULL, c->cgroup_location, NULL) : NULL;
    c->cgroup_found = there != NULL;
    return 0;
}

/* A cgroup that was made for the container beforehand, by an engine or by hand: taken as it is, with the document's limits,
 * unless somebody is in it, or it is frozen, which the container would be as well. */
static box_cgroup *find_cgroup(const char *where, const box_limits *limits, unsigned flags, box_error **err)
{
    _cleanup_(box_cgroup) box_cgroup *cgroup = box_cgroup_open(NULL, where, err);
    _free_ pid_t *pids = NULL;
    size_t n = 0;

    if (!cgroup || box_cgroup_pids(cgroup, &pids, &n, err) < 0)
        return NULL;
    if (n > 0 || box_cgroup_frozen(cgroup, NULL) == 1) {
        box_fail_with(err, &(struct box_fail_info){.code = BOX_EEXISTS, .subject = where, .remedy = "choose another path"},
                      n > 0 ? "the cgroup is there already, and not empty" : "the cgroup is there already, and frozen");
        return NULL;
    }
    if (cgroup_extend(cgroup, ~box_cgroup_has(cgroup), err) < 0 ||
        (limits && box_cgroup_apply(cgroup, limits, flags, err) < 0))
        return NULL;
    return box_take(cgroup);
}

static int make_cgroup(struct oci_container *c, box_error **err)
{
    const box_spec *spec = c->spec;
    bool root = oci_privileged();
    unsigned needed = spec->limits ? box_limits_controllers(spec->limits) & ~(unsigned)(BOX_CONTROLLER_DEVICES | BOX_CONTROLLER_UNIFIED) : 0;
    _cleanup_(box_error) box_error *own = NULL;
    _free_ char *where = box_take(c->cgroup_location);

    c->cgroup_pending = false;
    if (c->oci->flags & BOX_OCI_SYSTEMD_CGROUP)
        return oci_systemd_make(c, err);
    unsigned flags = BOX_CGROUP_EVERY_HIERARCHY | (root || needed ? 0 : BOX_CGROUP_LENIENT);
    c->cgroup = box_cgroup_create(NULL, where, 0, spec->limits, flags, &own);
    c->cgroup_found = false;
    if (!c->cgroup && spec->cgroups_path && box_error_code(own) == BOX_EEXISTS) {
        box_error_free(box_take(own));
        c->cgroup = find_cgroup(where, spec->limits, flags, &own);
        c->cgroup_found = c->cgroup != NULL;
    }
    if (!c->cgroup) {
        if (!root && !needed && !spec->cgroups_path)
            return 0;
        int code = box_error_code(own);
        if (err)
            *err = box_take(own);
        return code;
    }
    c->cgroup_location = strdup(box_cgroup_location(c->cgroup));
    return c->cgroup_location ? oci_save_state(c, c->dir, err) : box_fail_nomem(err);
}

/* ---- the process ------------------------------------------------------------------------------------------------------ */

static int note_process(struct oci_container *c, const box_process *process, box_error **err)
{
    int r = box_pidfd_start_time(box_process_pid(process), &c->start_time, err);

    if (r < 0)
        return r;
    c->pid = box_process_pid(process);
    c->pidfd = fcntl(box_process_pidfd(process), F_DUPFD_CLOEXEC, 3);
    return c->pidfd < 0 ? box_fail_sys(err, "fcntl", c->id, "keep the pidfd") : oci_save_state(c, c->dir, err);
}

static int start_held(struct oci_container *c, const box_stdio *io, const box_oci_options *options, box_process **process,
                      box_error **err)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options start = START_OPTIONS_INIT;
    _cleanup_(box_plan) box_plan *plan = NULL;
    _close_ int tasks = -1, monitor = -1;
    int both[2] = {-1, -1};
    _close_ int fifo = openat(c->dir, OCI_FIFO, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

    if (fifo < 0)
        return box_fail_sys(err, "openat", OCI_FIFO, "hold the process");
    int r = oci_rdt_make(c, both, err);
    tasks = start.tasks[0] = both[0];
    monitor = start.tasks[1] = both[1];
    if (r < 0)
        return r;
    plan_options.rdt = true;
    plan_options.hold = true;
    plan_options.no_waiter = true; /* an engine's shim waits for the process that the pid file names */
    plan_options.cgroup = true;
    plan_options.cgroup_everywhere = true;
    plan_options.no_pivot = options->no_pivot;
    plan_options.no_program = strcmp(c->spec->process.args[0], OCI_NO_PROGRAM) == 0;
    r = box_plan_new_with(c->spec, &plan_options, &plan, err);
    if (r < 0)
        return r;
    start.io = io;
    start.cgroup = c->cgroup;
    start.hold_fd = fifo;
    start.id = c->id;
    start.bundle = c->bundle;
    return box_plan_start_with(plan, &start, process, err);
}

static int create_process(struct oci_container *c, int console, const box_oci_options *options, box_error **err)
{
    box_stdio *io = NULL;
    box_process *process = NULL;
    int r = oci_root_make(c, err);

    if (r >= 0)
        r = make_cgroup(c, err);
    if (r >= 0)
        r = oci_streams(c->spec, options, &io, err);
    if (r >= 0)
        r = start_held(c, io, options, &process, err);
    if (r >= 0)
        r = note_process(c, process, err);
    if (r >= 0)
        r = oci_systemd_settle(c, err);
    if (r >= 0 && console >= 0)
        r = oci_console_send(console, box_process_pty_fd(process), err);
    if (r >= 0)
        r = oci_write_pid(options->pid_file, c->pid, err);
    if (r >= 0)
        box_process_detach(process);
    else if (process)
        process_return_devices(process);
    box_process_free(process);
    box_stdio_free(io);
    return r < 0 ? r : 0;
}

/* The clock of `created`. */
static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int box_oci_create(box_oci *oci, const char *id, const box_oci_options *options, box_error **err)
{
    const box_oci_options defaults = BOX_OCI_OPTIONS_INIT;
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    options = options ? options : &defaults;
    if (!oci || options->version != 1)
        return box_fail(err, BOX_EINVAL, "box_oci_create: a directory of containers is needed, and options of version 1");
    int r = oci_check_id(id, err);
    if (r < 0)
        return r;
    c.oci = oci;
    snprintf(c.id, sizeof(c.id), "%s", id);
    c.created = now_ns();
    c.owner = geteuid();
    if ((r = oci_read_bundle(&c, options, err)) < 0 || (r = choose_cgroup(&c, err)) < 0)
        return r;
    _close_ int console = -1;
    if ((r = oci_console_connect(c.spec, options->console_socket, true, &console, err)) < 0)
        return r;
    _close_ int lock = make_directory(&c, err);
    if (lock < 0)
        return lock;
    r = create_process(&c, console, options, err);
    if (r < 0) {
        bool made = c.pid != 0;
        oci_destroy(&c, NULL);
        if (made) /* a start that fails by itself has run them already */
            hooks_run_all(c.spec, SPEC_HOOK_POSTSTOP, &(struct hook_state){c.id, c.bundle, "stopped", 0});
    }
    return r;
}

/* ---- start ----------------------------------------------------------------------------------------------------------- */

#define LOCK_WAIT_MS 30000

static int let_go(struct oci_container *c, box_error **err)
{
    const char go = 'g';
    _close_ int fifo = openat(c->dir, OCI_FIFO, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

    if (fifo < 0 || write(fifo, &go, 1) != 1)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .errnum = errno, .subject = c->id},
                             "cannot start container %s: its process has ended", c->id);
    unlinkat(c->dir, OCI_FIFO, 0);
    return 0;
}

int box_oci_start(box_oci *oci, const char *id, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    int r = oci_open(oci, id, &c, err);

    if (r < 0)
        return r;
    _close_ int lock = oci_lock(&c, LOCK_WAIT_MS, err);
    if (lock < 0)
        return lock;
    enum oci_status status = oci_status(&c);
    if (status != OCI_CREATED)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = id},
                             status == OCI_STOPPED ? "cannot start a container that has stopped: %s is %s"
                                                   : "cannot start a container that is not created: %s is %s",
                             id, oci_status_name(status));
    if ((r = oci_load_spec(&c, err)) < 0)
        return r;
    if (!c.spec->process.args || strcmp(c.spec->process.args[0], OCI_NO_PROGRAM) == 0) {
        box_pidfd_signal(c.pidfd, SIGKILL, NULL); /* it will never run: stopped, it can be deleted without force */
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "process"},
                             "container %s was created without a process", id);
    }
    if ((r = let_go(&c, err)) < 0)
        return r;
    /* A failure here stops the container, and is told; the hooks for its end run when it is deleted. */
    r = hooks_run(c.spec, SPEC_HOOK_POSTSTART, &(struct hook_state){c.id, c.bundle, "running", c.pid}, err);
    if (r < 0)
        box_pidfd_signal(c.pidfd, SIGKILL, NULL);
    return r;
}
