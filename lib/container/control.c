/* What is done to a container that exists: looking, waiting, signals, limits, statistics. */
#include "container/container.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/pidfd.h>
#include "base/clock.h"
#include "base/strings.h"

const char *box_container_id(const box_container *c)
{
    return c->id;
}

const char *box_container_name(const box_container *c)
{
    return c->name;
}

const char *box_container_image_name(const box_container *c)
{
    return c->image_name ? c->image_name : "";
}

const char *box_container_image_id(const box_container *c)
{
    return c->image_id ? c->image_id : "";
}

const box_spec *box_container_spec(const box_container *c)
{
    return c->spec;
}

int64_t box_container_created(const box_container *c)
{
    return c->created;
}

int64_t box_container_started(const box_container *c)
{
    return c->run.present ? c->run.started : c->last_started;
}

int64_t box_container_finished(const box_container *c)
{
    return c->run.present ? 0 : c->finished;
}

bool box_container_open_stdin(const box_container *c)
{
    return c->flags & BOX_CONTAINER_OPEN_STDIN;
}

const char *box_container_stop_signal(const box_container *c)
{
    return c->stop_signal ? c->stop_signal : "SIGTERM";
}

int box_container_stop_timeout(const box_container *c)
{
    return c->stop_timeout;
}

const box_ending *box_container_ending(const box_container *c)
{
    return &c->ending;
}

bool box_container_auto_remove(const box_container *c)
{
    return c->flags & BOX_CONTAINER_AUTO_REMOVE;
}

const char *box_container_log_path(const box_container *c)
{
    return c->log_path;
}

const char *box_container_upper(const box_container *c)
{
    return c->spec->root.kind == SPEC_ROOT_OVERLAY ? c->upper : NULL;
}

pid_t box_container_pid(const box_container *c)
{
    return c->run.present ? c->run.pid : 0;
}

int box_container_fd(const box_container *c)
{
    if (!c->run.present)
        return -1;
    return c->process ? box_process_fd(c->process) : c->pidfd;
}

const char *box_container_state_name(enum box_container_state state)
{
    static const char *const names[] = {"created", "running", "paused", "exited", "removing"};

    return (size_t)state < BOX_ARRAY(names) ? names[state] : "unknown";
}

enum box_container_state box_container_state(const box_container *c)
{
    if (c->removing)
        return BOX_CONTAINER_REMOVING;
    if (c->run.present)
        return c->paused ? BOX_CONTAINER_PAUSED : BOX_CONTAINER_RUNNING;
    return c->ending.kind == BOX_ENDING_NONE ? BOX_CONTAINER_CREATED : BOX_CONTAINER_EXITED;
}

static int reload_meta(box_container *c, box_error **err)
{
    if (container_is_current(c))
        return 0;
    _cleanup_(box_container) box_container *fresh = NULL;
    struct box_store store = {.root = c->root, .runroot = c->runroot};
    int r = container_load(&store, c->id, &fresh, err);

    if (r < 0)
        return r;
    container_set_ending(c, &fresh->ending);
    c->finished = fresh->finished;
    c->last_started = fresh->last_started;
    c->removing = fresh->removing;
    box_spec *spec = c->spec; /* another process may have changed its limits */
    c->spec = fresh->spec;
    fresh->spec = spec;
    c->meta_seen = fresh->meta_seen;
    c->config_seen = fresh->config_seen;
    return 0;
}

int box_container_refresh(box_container *c, box_error **err)
{
    int r = container_load_run(c, err);

    if (r < 0)
        return r;
    if (c->run.present && !container_alive(c)) {
        if ((r = container_finish(c, err)) < 0)
            return r;
        if (c->flags & BOX_CONTAINER_AUTO_REMOVE)
            return 0;
        if ((r = container_load_run(c, err)) < 0)
            return r;
    }
    struct box_cgroup *cgroup = c->run.present ? container_cgroup(c) : NULL;
    c->paused = cgroup && box_cgroup_frozen(cgroup, NULL) == 1;
    if (!c->run.present && faccessat(c->dir, "meta.json", F_OK, 0) == 0)
        return reload_meta(c, err);
    return 0;
}

int container_require_running(box_container *c, box_error **err)
{
    int r = box_container_refresh(c, err);

    if (r < 0)
        return r;
    if (!c->run.present)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name}, "container %s is not running",
                             c->name);
    return 0;
}

static int kill_all(box_container *c, box_error **err)
{
    struct box_cgroup *cgroup = container_cgroup(c);

    if (cgroup)
        box_cgroup_kill(cgroup, SIGKILL, NULL);
    int r = box_pidfd_signal(c->pidfd, SIGKILL, err);
    if (r == BOX_ENOTFOUND) {
        if (err) {
            box_error_free(*err);
            *err = NULL;
        }
        return 0;
    }
    return r;
}

/* ---- waiting ------------------------------------------------------------------------------------------------------- */

int box_container_wait(box_container *c, int timeout_ms, box_error **err)
{
    struct box_deadline deadline = box_deadline_in_ms(timeout_ms);

    if (!c)
        return box_fail(err, BOX_EINVAL, "box_container_wait: the container must not be NULL");
    if (c->process && c->run.present) {
        int r = box_process_wait(c->process, timeout_ms, err);
        return r < 0 ? r : container_finish(c, err);
    }
    int r = box_container_refresh(c, err);
    while (r >= 0 && c->run.present) {
        r = box_pidfd_wait(c->pidfd, box_deadline_left_ms(deadline), err);
        if (r >= 0)
            r = box_container_refresh(c, err);
    }
    return r;
}

/* Written down first: whoever sees the end before this program does then knows why. */
static int note_deadline(box_container *c, box_error **err)
{
    _close_ int lock = container_lock(c, err);
    int r = lock < 0 ? lock : container_load_run(c, err);

    if (r < 0 || !c->run.present)
        return r;
    c->run.deadline = true;
    return container_save_run(c, err);
}

int box_container_wait_or_kill(box_container *c, int timeout_ms, box_error **err)
{
    int r = box_container_wait(c, timeout_ms, err);

    if (r != BOX_ETIMEOUT)
        return r;
    if (err) {
        box_error_free(*err);
        *err = NULL;
    }
    if ((r = note_deadline(c, err)) < 0)
        return r;
    if (c->run.present && (r = kill_all(c, err)) < 0)
        return r;
    return box_container_wait(c, -1, err);
}

int box_container_signal(box_container *c, int signal, box_error **err)
{
    int r = container_require_running(c, err);

    return r < 0 ? r : box_pidfd_signal(c->pidfd, signal, err);
}

int container_signal_number(const char *name)
{
    int n = -1;

    if (*name && strspn(name, "0123456789") == strlen(name))
        n = strlen(name) < 4 ? atoi(name) : -1;
    else if (strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; n < 0 && i < NSIG; i++)
        if (sigabbrev_np(i) && strcasecmp(sigabbrev_np(i), name) == 0)
            n = i;
    if (n < 0 && strncasecmp(name, "RTMIN", 5) == 0)
        n = name[5] == '\0' ? SIGRTMIN : name[5] == '+' ? SIGRTMIN + atoi(name + 6) : -1;
    else if (n < 0 && strncasecmp(name, "RTMAX", 5) == 0)
        n = name[5] == '\0' ? SIGRTMAX : name[5] == '-' ? SIGRTMAX - atoi(name + 6) : -1;
    return n > 0 && n <= SIGRTMAX ? n : -1;
}

/* An image may name one that is none: that is no reason not to stop. */
static int stop_signal_of(const box_container *c)
{
    int n = c->stop_signal ? container_signal_number(c->stop_signal) : -1;

    return n > 0 ? n : SIGTERM;
}

int box_container_stop(box_container *c, int signal, int grace_ms, box_error **err)
{
    int r = box_container_refresh(c, err);

    if (r < 0 || !c->run.present)
        return r;
    if (c->paused && container_cgroup(c)) /* a frozen process hears nothing */
        box_cgroup_thaw(container_cgroup(c), 2000, NULL);
    r = box_pidfd_signal(c->pidfd, signal ? signal : stop_signal_of(c), NULL);
    if (r >= 0) {
        r = box_container_wait(c, grace_ms, NULL);
        if (r >= 0 || r != BOX_ETIMEOUT)
            return r < 0 ? box_container_wait(c, 0, err) : 0;
    }
    r = kill_all(c, err);
    return r < 0 ? r : box_container_wait(c, -1, err);
}

/* ---- cgroup -------------------------------------------------------------------------------------------------------- */

static int require_cgroup(box_container *c, struct box_cgroup **cgroup, box_error **err)
{
    int r = container_require_running(c, err);

    if (r < 0)
        return r;
    *cgroup = container_cgroup(c);
    if (!*cgroup)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = c->name,
                                                          .remedy = "run as root, or have a cgroup delegated to this user"},
                             "container %s has no cgroup of its own", c->name);
    return 0;
}

int box_container_pause(box_container *c, box_error **err)
{
    struct box_cgroup *cgroup;
    int r = require_cgroup(c, &cgroup, err);

    if (r < 0)
        return r;
    if (c->paused)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name}, "container %s is paused already", c->name);
    r = box_cgroup_freeze(cgroup, 5000, err);
    c->paused = r >= 0;
    return r;
}

int box_container_resume(box_container *c, box_error **err)
{
    struct box_cgroup *cgroup;
    int r = require_cgroup(c, &cgroup, err);

    if (r < 0)
        return r;
    if (!c->paused)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name}, "container %s is not paused", c->name);
    r = box_cgroup_thaw(cgroup, 5000, err);
    c->paused = r < 0;
    return r;
}

int box_container_update(box_container *c, const box_limits *limits, box_error **err)
{
    if (!c || !limits)
        return box_fail(err, BOX_EINVAL, "box_container_update: arguments must not be NULL");
    int r = box_container_refresh(c, err);
    if (r < 0)
        return r;
    _close_ int lock = container_lock(c, err);
    if (lock < 0)
        return lock;
    box_limits *own = box_spec_limits(c->spec);
    if (!own)
        return box_fail_nomem(err);
    _cleanup_(box_spec) box_spec *before = NULL; /* the spec as it was, should the kernel refuse */
    if ((r = box_spec_clone(c->spec, &before, err)) < 0 || (r = box_limits_merge(own, limits, err)) < 0)
        return r;
    if (c->run.present) {
        struct box_cgroup *cgroup = container_cgroup(c);
        r = cgroup ? box_cgroup_apply(cgroup, limits, 0, err)
                   : box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = c->name,
                                                                .remedy = "run as root, or have a cgroup delegated to this user"},
                                   "container %s has no cgroup of its own", c->name);
    }
    if (r >= 0) {
        r = container_save_config(c, err);
    }
    if (r < 0) {
        box_spec *failed = c->spec;
        c->spec = before;
        before = failed;
    }
    return r;
}

struct box_cgroup_stats *box_container_stats(box_container *c, box_error **err)
{
    struct box_cgroup *cgroup;

    return require_cgroup(c, &cgroup, err) < 0 ? NULL : box_cgroup_stats_read(cgroup, err);
}

int box_container_pids(box_container *c, pid_t **pids, size_t *n, box_error **err)
{
    int r = container_require_running(c, err);

    if (r < 0)
        return r;
    if (container_cgroup(c))
        return box_cgroup_pids(c->cgroup, pids, n, err);
    *pids = malloc(sizeof(pid_t)); /* without a cgroup: the first process is all that is known */
    if (!*pids)
        return box_fail_nomem(err);
    (*pids)[0] = c->run.pid;
    *n = 1;
    return 0;
}
