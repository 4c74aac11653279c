/* Signals, and taking a container away. */
#include "oci/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/pidfd.h>
#include "launch/hooks.h"
#include "launch/plan.h"

#define LOCK_WAIT_MS 10000
#define DEATH_WAIT_MS 10000
#define OLD_SECONDS   60

/* Without a cgroup, the pid namespace takes all along that is in it. */
static int kill_all(struct oci_container *c, int signal, box_error **err)
{
    box_cgroup *cgroup = oci_cgroup(c, NULL);

    if (cgroup) {
        int r = box_cgroup_kill(cgroup, signal, err);
        if (r < 0)
            return r;
        if (signal == SIGKILL) /* what is frozen dies when it is let go */
            box_cgroup_thaw(cgroup, 1000, NULL);
        return 0;
    }
    return c->pidfd < 0 ? 0 : box_pidfd_signal(c->pidfd, signal, err);
}

int box_oci_kill(box_oci *oci, const char *id, int signal, bool all, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    enum oci_status status;
    int r = oci_open(oci, id, &c, err);

    if (r < 0)
        return r;
    if (all)
        return kill_all(&c, signal, err);
    if ((r = oci_require_alive(&c, &status, err)) < 0)
        return r;
    r = box_pidfd_signal(c.pidfd, signal, err);
    if (r >= 0 && signal == SIGKILL && status == OCI_PAUSED)
        box_cgroup_thaw(oci_cgroup(&c, NULL), 1000, NULL);
    return r;
}

/* Out of sight in one step, and then away: a kill in the middle leaves no half of a container under its id, but something
 * for a later delete's sweep. */
static int remove_directory(const box_oci *oci, const char *id, box_error **err)
{
    char temporary[64];
    uint64_t number = 0;

    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        return box_fail_sys(err, "getrandom", id, "remove the container");
    snprintf(temporary, sizeof(temporary), OCI_NEW "%016llx", (unsigned long long)number);
    if (renameat2(oci->dir, id, oci->dir, temporary, RENAME_NOREPLACE) < 0)
        return errno == ENOENT ? 0 : box_fail_sys(err, "renameat2", id, "remove the container");
    return box_remove_tree(oci->dir, temporary, err);
}

/* Others may have come into a cgroup that was there before, or have groups below it: with a pid namespace, nobody of the
 * container's is left in it by now. */
static int remove_cgroup(struct oci_container *c, box_error **err)
{
    box_cgroup *cgroup = oci_cgroup(c, NULL);

    if (cgroup && (!c->cgroup_found || (oci_load_spec(c, NULL) >= 0 && !plan_new_namespace(c->spec, SPEC_NS_PID))))
        box_cgroup_kill(cgroup, SIGKILL, NULL);
    if (cgroup && c->systemd) /* or systemd would first ask what is left to end, and wait */
        box_cgroup_wait_empty(cgroup, 2000, NULL);
    int r = oci_systemd_stop(c, err);
    return r < 0 || !cgroup || c->cgroup_found ? r : box_cgroup_destroy(cgroup, 2000, err);
}

int oci_destroy(struct oci_container *c, box_error **err)
{
    if (c->pidfd >= 0) {
        box_pidfd_signal(c->pidfd, SIGKILL, NULL);
        box_cgroup *cgroup = oci_cgroup(c, NULL);
        if (cgroup)
            box_cgroup_thaw(cgroup, 1000, NULL);
        if (box_pidfd_wait(c->pidfd, DEATH_WAIT_MS, NULL) < 0)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_ETIMEOUT, .subject = c->id},
                                 "container %s: its process does not die", c->id);
    }
    if (c->cgroup_pending && !c->cgroup_found) { /* as much as its maker made before it was killed; with processes in it, it is not that */
        box_cgroup *part = box_cgroup_open(NULL, c->cgroup_location, NULL);
        if (part)
            box_cgroup_destroy(part, 0, NULL);
        box_cgroup_free(part);
    }
    int r = remove_cgroup(c, err);
    if (r >= 0)
        oci_root_remove(c);
    if (r >= 0)
        r = oci_rdt_remove(c, err);
    return r < 0 ? box_fail_wrap(err, r, "container %s", c->id) : remove_directory(c->oci, c->id, err);
}

/* What makers left that were killed before the first rename: nobody holds the lock, or has had the time to take it. */
static void sweep(const box_oci *oci)
{
    int fd = openat(oci->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *all = fd < 0 ? NULL : fdopendir(fd);
    struct timespec now;
    struct stat st;

    if (!all && fd >= 0)
        close(fd);
    clock_gettime(CLOCK_REALTIME, &now);
    for (struct dirent *e = all ? readdir(all) : NULL; e; e = readdir(all)) {
        if (strncmp(e->d_name, OCI_NEW, strlen(OCI_NEW)) != 0 || fstatat(oci->dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            now.tv_sec - st.st_mtim.tv_sec < OLD_SECONDS)
            continue;
        _close_ int dir = openat(oci->dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        _close_ int lock = dir < 0 ? -1 : box_lock_take_existing(dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
        if (lock != BOX_EBUSY)
            box_remove_tree(oci->dir, e->d_name, NULL);
    }
}

int box_oci_delete(box_oci *oci, const char *id, bool force, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    _cleanup_(box_error) box_error *own = NULL;
    int r = oci_open(oci, id, &c, &own);

    if (oci)
        sweep(oci);
    if (force && c.dir >= 0 && (r == BOX_ECORRUPT || r == BOX_ENOTFOUND)) /* nothing in it can be trusted to lead to a process */
        return remove_directory(oci, id, err);
    if (r == BOX_ENOTFOUND && force)
        return 0;
    if (r < 0 && err)
        *err = box_take(own);
    if (r < 0)
        return r;
    _close_ int lock = oci_lock(&c, force ? LOCK_WAIT_MS : 0, err);
    if (lock < 0)
        return lock == BOX_EBUSY ? box_fail_wrap(err, lock, "container %s is being created", id) : lock;
    enum oci_status status = c.pid ? oci_status(&c) : OCI_STOPPED;
    if (status != OCI_STOPPED && !force)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = id},
                             "cannot delete container %s that is not stopped: %s", id, oci_status_name(status));
    /* The document is needed for the hooks after all else is gone. */
    bool have_spec = oci_load_spec(&c, NULL) >= 0;
    if ((r = oci_destroy(&c, err)) < 0)
        return r;
    if (have_spec)
        hooks_run_all(c.spec, SPEC_HOOK_POSTSTOP, &(struct hook_state){c.id, c.bundle, "stopped", 0});
    return 0;
}
