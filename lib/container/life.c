/* Whether a container lives, and finishing it when it does not. */
#include "container/container.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/pidfd.h>
#include "base/clock.h"
#include "base/strings.h"
#include "kernel/number.h"
#include "kernel/smallfile.h"
#include "launch/hooks.h"

#define RECORD_WAIT_MS 5000
#define HOST_WAIT_MS   200 /* for a host that knows better, when its dead child tells as much */

bool container_alive(box_container *c)
{
    if (!c->run.present || !c->run.pid)
        return false;
    if (c->pidfd < 0)
        c->pidfd = box_pidfd_open_started(c->run.pid, c->run.start_time, NULL);
    if (c->pidfd < 0) {
        c->pidfd = -1;
        return false;
    }
    return box_pidfd_wait(c->pidfd, 0, NULL) == BOX_ETIMEOUT;
}

struct box_cgroup *container_cgroup(box_container *c)
{
    if (!c->cgroup && c->run.cgroup)
        c->cgroup = box_cgroup_open(NULL, c->run.cgroup, NULL);
    return c->cgroup;
}

void container_set_ending(box_container *c, const struct box_ending *ending)
{
    char text[sizeof(c->ending_text)], name[sizeof(c->syscall_name)];

    snprintf(text, sizeof(text), "%s", ending->text ? ending->text : "");
    snprintf(name, sizeof(name), "%s", ending->syscall_name ? ending->syscall_name : "");
    memcpy(c->ending_text, text, sizeof(text));
    memcpy(c->syscall_name, name, sizeof(name));
    c->ending = *ending;
    c->ending.text = c->ending_text;
    c->ending.syscall_name = ending->syscall_name ? c->syscall_name : NULL;
}

/* ---- how it ended ------------------------------------------------------------------------------------------------------ */

static void describe(struct box_ending *e, int status, bool oom, char *text, size_t size)
{
    if (WIFEXITED(status)) {
        e->kind = BOX_ENDING_EXIT;
        e->code = WEXITSTATUS(status);
    } else {
        e->signal = WTERMSIG(status);
        e->code = 128 + e->signal;
        e->core_dumped = WCOREDUMP(status);
        e->kind = e->signal == SIGSYS ? BOX_ENDING_SECCOMP : BOX_ENDING_SIGNAL;
    }
    if (oom && e->code == 128 + SIGKILL)
        e->kind = BOX_ENDING_OOM;
    if (e->kind == BOX_ENDING_EXIT)
        snprintf(text, size, "exited with status %d", e->code);
    else if (e->kind == BOX_ENDING_OOM)
        snprintf(text, size, "killed: out of memory in its cgroup");
    else if (e->kind == BOX_ENDING_SECCOMP)
        snprintf(text, size, "killed by its seccomp filter");
    else
        snprintf(text, size, "killed by SIG%s%s", sigabbrev_np(e->signal) ? sigabbrev_np(e->signal) : "?",
                 e->core_dumped ? ", core dumped" : "");
    e->text = text;
}

/* The monitor's "status user_us system_us max_rss_kb finished_ns". */
static bool read_record(box_container *c, bool oom)
{
    _free_ char *record = NULL;
    struct box_ending e = {0};
    char text[160];
    long long numbers[5];

    if (box_file_read(c->dir, "exit", 4096, &record, NULL, NULL) < 0 ||
        sscanf(record, "%lld %lld %lld %lld %lld", &numbers[0], &numbers[1], &numbers[2], &numbers[3], &numbers[4]) != 5)
        return false;
    describe(&e, (int)numbers[0], oom, text, sizeof(text));
    e.cpu_user_us = (uint64_t)numbers[1];
    e.cpu_system_us = (uint64_t)numbers[2];
    e.max_rss_kb = (uint64_t)numbers[3];
    c->finished = numbers[4];
    container_set_ending(c, &e);
    return true;
}

static bool monitor_alive(const box_container *c)
{
    if (!c->run.monitor)
        return false;
    _close_ int fd = box_pidfd_open_started(c->run.monitor, c->run.monitor_start_time, NULL);
    return fd >= 0 && box_pidfd_wait(fd, 0, NULL) == BOX_ETIMEOUT;
}

static bool oom_killed(box_container *c)
{
    uint64_t count = 0;
    struct box_cgroup *cgroup = container_cgroup(c);

    return cgroup && box_cgroup_oom_count(cgroup, &count, NULL) >= 0 && count > c->run.oom_before;
}

/* The host that started it attached knows how it ended, and holds a lock as long as it lives. */
bool container_host_alive(box_container *c)
{
    char name[CONTAINER_ID_LENGTH + 8];

    if (c->process)
        return false;
    int dir = container_run_dir(c, NULL);
    snprintf(name, sizeof(name), "%s.host", c->id);
    if (dir < 0 || faccessat(dir, name, F_OK, 0) < 0)
        return false;
    _close_ int lock = box_lock_take(dir, name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    return lock == BOX_EBUSY;
}

/* How a process ended that its parent has not waited for yet, as wait(2) would say it: the last field of its stat, which
 * is 0 for who may not trace it (proc_pid_stat(5)); the link is there to know that we may. */
static bool read_zombie(const box_container *c, int *status)
{
    char path[32], text[1024];
    uint64_t start = 0, code = 0;

    snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)c->run.pid);
    if (!c->run.pid || box_pidfd_start_time(c->run.pid, &start, NULL) < 0 || start != c->run.start_time ||
        readlink(path, text, sizeof(text)) < 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)c->run.pid);
    if (box_smallfile_read(path, text, sizeof(text)) < 0)
        return false;
    const char *name_end = strrchr(text, ')'), *last = strrchr(text, ' ');
    if (!name_end || !last || name_end[1] != ' ' || name_end[2] != 'Z' ||
        box_number_u64(last + 1, strcspn(last + 1, "\n"), &code) < 0 || code > 0xffff)
        return false;
    *status = (int)code;
    return true;
}

static bool take_zombie(box_container *c, bool oom)
{
    struct box_ending e = {0};
    char text[160];
    int status;

    if (!read_zombie(c, &status))
        return false;
    describe(&e, status, oom, text, sizeof(text));
    c->finished = container_now();
    container_set_ending(c, &e);
    return true;
}

static void take_own_ending(box_container *c)
{
    box_process_wait(c->process, 1000, NULL);
    c->finished = container_now();
    container_set_ending(c, box_process_ending(c->process));
}

/* The record comes a moment after the process is gone. */
static void learn_ending(box_container *c)
{
    bool oom = oom_killed(c);

    if (c->process) {
        take_own_ending(c);
        return;
    }
    struct box_deadline deadline = box_deadline_in_ms(RECORD_WAIT_MS);
    while (!read_record(c, oom)) {
        if (!monitor_alive(c) || box_deadline_passed(deadline)) {
            if (read_record(c, oom) || take_zombie(c, oom))
                return;
            struct box_ending unknown = {.kind = BOX_ENDING_UNKNOWN, .code = -1,
                                         .text = "ended while nobody was left to see how"};
            c->finished = container_now();
            container_set_ending(c, &unknown);
            return;
        }
        box_deadline_sleep(deadline, 2 * BOX_MS);
    }
}

int container_take_cgroup_down(box_container *c)
{
    struct box_cgroup *cgroup = container_cgroup(c);
    int r = 0;

    if (cgroup) {
        box_cgroup_kill(cgroup, SIGKILL, NULL);
        r = box_cgroup_destroy(cgroup, 2000, NULL);
        box_cgroup_free(cgroup);
    }
    c->cgroup = NULL;
    return r;
}

void container_forget_run(box_container *c)
{
    char name[CONTAINER_ID_LENGTH + 8];
    int dir = container_run_dir(c, NULL);

    if (dir < 0)
        return;
    snprintf(name, sizeof(name), "%s.json", c->id);
    unlinkat(dir, name, 0);
    snprintf(name, sizeof(name), "%s.host", c->id);
    unlinkat(dir, name, 0);
    container_clear_run(&c->run);
    if (c->host_lock >= 0)
        close(c->host_lock);
    c->host_lock = -1;
}

/* A host that is still there finishes it itself: give it the time. One that is just starting it holds the lock. */
static void leave_to_host(box_container *c)
{
    int status;
    struct box_deadline deadline = box_deadline_in_ms(read_zombie(c, &status) ? HOST_WAIT_MS : RECORD_WAIT_MS);

    while (c->run.pid && container_host_alive(c) && !box_deadline_passed(deadline))
        box_deadline_sleep(deadline, 2 * BOX_MS);
}

/* What was opened of an earlier run's cgroup is of no use for a later one's, which has the same path. */
static void close_cgroup(box_container *c)
{
    box_cgroup_free(c->cgroup);
    c->cgroup = NULL;
}

/* Somebody else was faster. What this program saw of its own process is known all the same. */
static int finished_by_other(box_container *c)
{
    if (c->process)
        take_own_ending(c);
    if (c->host_lock >= 0)
        close(c->host_lock);
    c->host_lock = -1;
    container_clear_run(&c->run);
    close_cgroup(c);
    return 0;
}

int container_finish(box_container *c, box_error **err)
{
    leave_to_host(c);
    if (c->process && faccessat(c->dir, "meta.json", F_OK, 0) < 0 && errno == ENOENT) /* and removed it, as was asked for */
        return finished_by_other(c);
    _cleanup_(box_error) box_error *own = NULL;
    _close_ int lock = container_lock(c, &own);
    if (lock == BOX_ENOTFOUND && (c->flags & BOX_CONTAINER_AUTO_REMOVE))
        return finished_by_other(c);
    if (lock < 0 && err)
        *err = box_take(own);
    if (lock < 0)
        return lock;
    int r = container_load_run(c, err);
    if (r < 0)
        return r;
    if (!c->run.present)
        return finished_by_other(c);
    if (c->process && c->run.pid && c->run.pid != box_process_pid(c->process)) {
        /* Somebody was faster, and somebody has started it again: that run is not ours to end. */
        finished_by_other(c);
        box_cleanup_close(&c->pidfd);
        if ((r = container_load_run(c, err)) < 0 || !c->run.present || container_alive(c))
            return r;
    }
    if (!c->process && container_alive(c))
        return 0;
    if (!c->process)
        close_cgroup(c);
    c->last_started = c->run.started;
    learn_ending(c);
    if (c->run.deadline && c->ending.kind == BOX_ENDING_SIGNAL && c->ending.signal == SIGKILL) {
        struct box_ending e = c->ending;
        e.kind = BOX_ENDING_DEADLINE;
        e.text = "killed: its deadline passed";
        container_set_ending(c, &e);
    }
    container_read_name(c);
    int down = container_take_cgroup_down(c);
    c->removing = c->flags & BOX_CONTAINER_AUTO_REMOVE; /* marked in the same go */
    r = container_save_meta(c, err);
    if (r < 0)
        return r;
    if (down >= 0) {
        _free_ char *bundle = box_strf("%s/containers/%s", c->root, c->id);
        hooks_run_all(c->spec, SPEC_HOOK_POSTSTOP, &(struct hook_state){c->id, bundle, "stopped", 0});
        container_forget_run(c);
    } else /* what could not be taken down keeps its run file, without a process: the next sweep tries again */
        container_clear_run(&c->run);
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -1;
    return c->flags & BOX_CONTAINER_AUTO_REMOVE ? container_remove_files(c, err) : 0;
}
