/* Starting a container, attached or detached, and starting further processes in it. */
#include "container/container.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/pidfd.h>
#include "base/clock.h"
#include "base/strings.h"
#include "kernel/cgroup_limits.h"

/* A cgroup of the container's own. An ordinary user who was given none gets none, unless limits are asked for. */
static int make_cgroup(box_container *c, struct box_cgroup **cgroup, box_error **err)
{
    _cleanup_(box_limits) box_limits *limits = NULL;
    int r = launch_limits(c->spec, &limits, err);
    if (r < 0)
        return r;
    bool root = geteuid() == 0, lenient = c->spec->may_miss & SPEC_LAYER_CGROUP;
    unsigned needed = limits ? box_limits_controllers(limits) & ~(unsigned)(BOX_CONTROLLER_DEVICES | BOX_CONTROLLER_UNIFIED) : 0;
    _free_ char *path = root ? box_strf("/libbox/%s", c->id) : NULL;
    _cleanup_(box_error) box_error *own = NULL;

    if (root && !path)
        return box_fail_nomem(err);
    const char *where = c->spec->cgroups_path ? c->spec->cgroups_path : path;
    *cgroup = box_cgroup_create(NULL, where, 0, limits,
                                lenient || (!root && !needed) ? BOX_CGROUP_LENIENT : 0, &own);
    if (*cgroup || lenient || (!root && !needed))
        return 0;
    int code = box_error_code(own);
    if (err) {
        *err = own;
        own = NULL;
    }
    return code;
}

/* Before a cgroup is made: where it will be, so that a kill right after its making leaves a trace of it. */
static int note_intent(box_container *c, box_error **err)
{
    struct run_state *run = &c->run;

    run->started = container_now();
    run->present = true;
    if (geteuid() == 0 && !(run->cgroup = container_default_cgroup(c)))
        return box_fail_nomem(err);
    return container_save_run(c, err);
}

/* Before anything runs: should this program be killed from here on, the cgroup leads to all that it has started. */
static int note_starting(box_container *c, struct box_cgroup *cgroup, box_error **err)
{
    struct run_state *run = &c->run;
    bool noted = run->cgroup && run->cgroup[0] == '/'; /* the intent leads there as well */

    free(run->cgroup);
    run->cgroup = NULL;
    if (cgroup && !(run->cgroup = strdup(box_cgroup_location(cgroup))))
        return box_fail_nomem(err);
    if (cgroup)
        box_cgroup_oom_count(cgroup, &run->oom_before, NULL);
    return noted ? 0 : container_save_run(c, err);
}

/* What is true from the moment of the start on, for whoever looks. */
static int note_started(box_container *c, pid_t pid, pid_t monitor, box_error **err)
{
    struct run_state *run = &c->run;
    _cleanup_(box_error) box_error *own = NULL;
    int r = box_pidfd_start_time(pid, &run->start_time, &own);

    /* A short one may be over by now, and its monitor may have waited for it: no process has this start time. */
    if (r == BOX_ENOTFOUND && monitor) {
        run->start_time = 0;
        r = 0;
    }
    if (r < 0) {
        if (err)
            *err = box_take(own);
        return r;
    }
    run->pid = pid;
    run->monitor = monitor;
    run->started = container_now();
    if (monitor)
        box_pidfd_start_time(monitor, &run->monitor_start_time, NULL);
    return container_save_run(c, err);
}

/* The descriptor of the host's that says "I know how it ended, and I live". */
static int take_host_lock(box_container *c, box_error **err)
{
    char name[CONTAINER_ID_LENGTH + 8];
    int dir = container_run_dir(c, err);

    if (dir < 0)
        return dir;
    snprintf(name, sizeof(name), "%s.host", c->id);
    c->host_lock = box_lock_take(dir, name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(1000), err);
    return c->host_lock;
}

static int open_log(box_container *c, box_error **err)
{
    int fd = openat(c->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? box_fail_sys(err, "openat", c->log_path, "open the log") : fd;
}

static int launch(box_container *c, const box_spec *spec, const box_stdio *io, bool detached, box_error **err)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    _cleanup_(box_plan) box_plan *plan = NULL;
    struct box_cgroup *cgroup = NULL;
    _close_ int log = -1;
    box_process *process = NULL;

    plan_options.monitor = detached;
    plan_options.cgroup = true;
    plan_options.keep_upper = !(c->flags & BOX_CONTAINER_AUTO_REMOVE);
    int r = box_plan_new_with(spec, &plan_options, &plan, err);
    if (r < 0 || (r = note_intent(c, err)) < 0)
        return r;
    if ((r = make_cgroup(c, &cgroup, err)) < 0) {
        container_forget_run(c);
        return r;
    }
    if (detached) {
        log = open_log(c, err);
        r = log;
    } else {
        r = take_host_lock(c, err);
    }
    _free_ char *bundle = box_strf("%s/containers/%s", c->root, c->id);
    if (!bundle)
        r = box_fail_nomem(err);
    options.id = c->id;
    options.bundle = bundle;
    options.io = io;
    options.cgroup = cgroup;
    options.state_fd = detached ? c->dir : -1;
    options.log_fd = log;
    if (r >= 0)
        r = note_starting(c, cgroup, err);
    if (r >= 0)
        r = box_plan_start_with(plan, &options, &process, err);
    if (r >= 0)
        r = note_started(c, box_process_pid(process), box_process_monitor(process), err);
    if (r < 0) {
        box_process_free(process);
        /* A cgroup that cannot be taken down now is left with the run file that leads to it, for the next sweep. */
        bool gone = true;
        if (cgroup) {
            box_cgroup_kill(cgroup, SIGKILL, NULL);
            gone = box_cgroup_destroy(cgroup, 2000, NULL) >= 0;
            box_cgroup_free(cgroup);
        }
        if (gone)
            container_forget_run(c);
        else
            container_clear_run(&c->run);
        return r;
    }
    c->cgroup = cgroup;
    c->pidfd = fcntl(box_process_pidfd(process), F_DUPFD_CLOEXEC, 3);
    if (detached) {
        box_process_detach(process);
        box_process_free(process);
    } else {
        c->process = process;
    }
    return 0;
}

/* A removal renames the directory before it removes a first file, the lock among them: a lock that was made anew in a
 * directory that is on its way out is worth nothing. */
static bool is_in_place(const box_container *c)
{
    char path[4096];
    struct stat here, there;

    /* Without an allocation: want of memory must not be told as a removal. */
    if ((size_t)snprintf(path, sizeof(path), "%s/containers/%s", c->root, c->id) >= sizeof(path))
        return false;
    return lstat(path, &there) == 0 && fstat(c->dir, &here) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* The spec as it is, with the terminal that the streams ask for. */
static int start(box_container *c, const box_stdio *io, bool detached, box_error **err)
{
    if (!c)
        return box_fail(err, BOX_EINVAL, "the container must not be NULL");
    int r = box_container_refresh(c, err);
    if (r < 0)
        return r;
    _close_ int lock = container_lock(c, err);
    if (lock < 0)
        return lock;
    if (c->removing || !is_in_place(c))
        return box_fail(err, BOX_ESTATE, "container %s is being removed", c->name);
    if ((r = container_load_run(c, err)) < 0)
        return r;
    if (c->run.present)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name}, "container %s is running already",
                             c->name);
    if (c->process) { /* of an earlier run */
        box_process_free(c->process);
        c->process = NULL;
    }
    if (c->pidfd >= 0) {
        close(c->pidfd);
        c->pidfd = -1;
    }
    unlinkat(c->dir, "exit", 0);
    box_spec copy = *c->spec;
    if (io && io->pty) {
        copy.process.terminal = true;
        copy.process.rows = io->rows;
        copy.process.columns = io->columns;
    } else if (!detached) {
        copy.process.terminal = false;
    }
    memset(&c->ending, 0, sizeof(c->ending));
    c->finished = 0;
    return launch(c, &copy, io, detached, err);
}

int box_container_start(box_container *c, const box_stdio *io, box_error **err)
{
    return start(c, io, false, err);
}

int box_container_start_detached(box_container *c, box_error **err)
{
    box_stdio *io = box_stdio_new();
    int r = io ? 0 : box_fail_nomem(err);

    if (r >= 0 && !c)
        r = box_fail(err, BOX_EINVAL, "the container must not be NULL");
    if (r >= 0 && !c->spec->process.terminal) {
        if ((r = box_stdio_set_file(io, 1, c->log_path, err)) >= 0)
            r = box_stdio_set_file(io, 2, c->log_path, err);
    }
    if (r >= 0)
        r = start(c, io, true, err);
    box_stdio_free(io);
    return r;
}

box_process *box_container_process(box_container *c)
{
    return c->process;
}

/* ---- exec --------------------------------------------------------------------------------------------------------- */

int box_container_exec_spec(box_container *c, box_spec **process, box_error **err)
{
    _cleanup_(box_spec) box_spec *spec = NULL;

    if (!c || !process)
        return box_fail(err, BOX_EINVAL, "box_container_exec_spec: arguments must not be NULL");
    int r = box_spec_clone(c->spec, &spec, err);
    if (r < 0)
        return r;
    /* Only the process counts: no root, mounts, limits or terminal of the container's first process. */
    spec->process.terminal = false;
    spec->init = false;
    *process = box_take(spec);
    return 0;
}

static uint32_t namespaces_of(const box_spec *spec)
{
    uint32_t flags = 0;

    for (int kind = 0; kind < SPEC_NS_KINDS; kind++)
        if (spec->namespaces[kind].present)
            flags |= (uint32_t)spec_namespace_info[kind].clone_flag;
    return flags;
}

/* The container's root, by way of its first process; checked after the fact to have been that process still. */
static int open_root(box_container *c, box_error **err)
{
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/root", c->run.pid);
    _close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return box_fail_sys(err, "open", path, "open the container's root");
    if (!container_alive(c))
        return box_fail(err, BOX_ESTATE, "container %s has ended", c->name);
    return box_take_fd(&fd);
}

int box_container_exec(box_container *c, const box_spec *process, const box_stdio *io, box_process **started, box_error **err)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    _cleanup_(box_plan) box_plan *plan = NULL;
    _close_ int link = -1;
    char user[64] = "";

    if (!c || !process || !started)
        return box_fail(err, BOX_EINVAL, "box_container_exec: arguments must not be NULL");
    int r = container_require_running(c, err);
    if (r < 0)
        return r;
    if (c->paused)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name,
                                                          .remedy = "resume it first"},
                             "container %s is paused", c->name);
    box_spec copy = *process;
    copy.process.terminal = io && io->pty;
    if (io && io->pty) {
        copy.process.rows = io->rows;
        copy.process.columns = io->columns;
    }
    copy.root = c->spec->root;
    copy.limits = NULL;
    copy.cgroups_path = NULL;
    copy.init = false;
    _close_ int root = open_root(c, err);
    if (root < 0)
        return root;
    plan_options.root_fd = root;
    plan_options.join = namespaces_of(c->spec);
    plan_options.join_user = user;
    if ((r = container_check_join(c, user, sizeof(user), &link, err)) < 0 ||
        (r = box_plan_new_with(&copy, &plan_options, &plan, err)) < 0)
        return r;
    options.io = io;
    options.join_pidfd = c->pidfd;
    options.join_user_fd = link;
    options.cgroup = container_cgroup(c);
    if ((r = box_plan_start_with(plan, &options, started, err)) < 0)
        return r;
    /* The process may outlive this object: whether it was killed for want of memory is asked by a handle of its own. */
    box_process *p = *started;
    p->joined = true;
    p->cgroup = c->run.cgroup ? box_cgroup_open(NULL, c->run.cgroup, NULL) : NULL;
    p->borrowed = p->cgroup;
    return 0;
}
