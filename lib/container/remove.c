/* Removing containers, and clearing what killed programs left behind.
 *
 * A removal first marks the container as being removed, then deletes the tree, its name last: cut short at any point,
 * it is found by the mark and finished by the next sweep. */
#include "container/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libbox/pidfd.h>
#include "base/clock.h"
#include "base/strings.h"

#define ORPHAN_WAIT_MS 2000
#define START_AGAIN_MOST 100
#define TEMPORARY_AGE  60 /* seconds after which a temporary file of the run directory is nobody's */

static int containers_of(const box_container *c, box_error **err)
{
    _free_ char *path = box_strf("%s/containers", c->root);

    return path ? box_dir_open(AT_FDCWD, path, 0700, err) : box_fail_nomem(err);
}

/* The name is only ours to give back while it leads to us. */
static void release_name(const box_container *c, int all)
{
    _close_ int names = openat(all, ".names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _free_ char *owner = NULL;

    if (names >= 0 && box_file_read(names, c->name, 256, &owner, NULL, NULL) >= 0 && strcmp(owner, c->id) == 0)
        unlinkat(names, c->name, 0);
}

int container_remove_files(box_container *c, box_error **err)
{
    _close_ int all = containers_of(c, err);

    if (all < 0)
        return all;
    if (!c->removing) {
        c->removing = true;
        int r = container_save_meta(c, err);
        if (r < 0)
            return r;
    }
    /* The overlay's work directory holds a directory of mode 0 that belongs to the kernel's doings; it goes too. */
    char gone[CONTAINER_ID_LENGTH + 8];
    snprintf(gone, sizeof(gone), ".old-%s", c->id);
    if (renameat(all, c->id, all, gone) < 0 && errno != ENOENT)
        return box_fail_sys(err, "renameat", c->id, "remove the container");
    release_name(c, all);
    return box_remove_tree(all, gone, err);
}

/* 1: it is not running, and the lock is held; 0: its end has removed it. */
static int end_and_lock(box_container *c, unsigned flags, int *lock, box_error **err)
{
    int r = box_container_refresh(c, err);

    if (r < 0)
        return r;
    if (c->run.present && !(flags & BOX_CONTAINER_FORCE))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = c->name,
                                                          .remedy = "stop it first, or force the removal"},
                             "container %s is %s and cannot be removed", c->name, c->paused ? "paused" : "running");
    bool removed_at_end = c->run.present && (c->flags & BOX_CONTAINER_AUTO_REMOVE);
    if (c->run.present && (r = box_container_stop(c, 9, 1000, err)) < 0)
        return r;
    if (removed_at_end || faccessat(c->dir, "meta.json", F_OK, 0) < 0) /* its end removed it */
        return 0;
    *lock = container_lock(c, err);
    return *lock < 0 ? *lock : 1;
}

int box_container_remove(box_container *c, unsigned flags, box_error **err)
{
    if (!c)
        return box_fail(err, BOX_EINVAL, "box_container_remove: the container must not be NULL");
    for (unsigned i = 0; i < START_AGAIN_MOST; i++) {
        _close_ int lock = -1;
        int r = end_and_lock(c, flags, &lock, err);
        if (r <= 0)
            return r;
        /* Another program may have started it between the look and the lock: without its files nobody would know of it. */
        if ((r = container_load_run(c, err)) < 0)
            return r;
        if (!c->run.present)
            return container_remove_files(c, err);
        box_cleanup_close(&lock);
        box_deadline_sleep(box_deadline_in_ms(1000), 10 * BOX_MS);
    }
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_EBUSY, .subject = c->name},
                         "container %s is started again and again while it is to be removed", c->name);
}

/* ---- sweeping ------------------------------------------------------------------------------------------------------ */

/* A half made container whose maker is gone: its lock can be had, and the maker is not just about to take it. */
static size_t sweep_new(int all, const char *name)
{
    _close_ int dir = openat(all, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0)
        return 0;
    _close_ int whole = box_lock_take(all, ALL_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    _close_ int lock = whole < 0 ? -1 : box_lock_take(dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    if (lock < 0)
        return 0;
    return box_remove_tree(all, name, NULL) >= 0 ? 1 : 0;
}

/* One whose removal was cut short after its directory had been put aside; whoever is at it may be at it still, which
 * harms nobody: both remove. No lock is taken, since that would make a file there. */
static size_t sweep_old(int all, const char *name)
{
    return box_remove_tree(all, name, NULL) >= 0 ? 1 : 0;
}

/* A name is written before its container gets its place: one that leads nowhere is of a maker that was killed in
 * between, and left a half made container too. */
static size_t sweep_names(int all)
{
    _close_ int lock = box_lock_take(all, ALL_LOCK, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    int fd = lock < 0 ? -1 : openat(all, ".names", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    size_t n = 0;

    if (!d && fd >= 0)
        close(fd);
    while (d && (e = readdir(d))) {
        _free_ char *id = NULL;
        if (box_file_is_temporary(e->d_name)) /* who writes names holds the lock of the whole */
            n += unlinkat(dirfd(d), e->d_name, 0) == 0;
        if (e->d_name[0] == '.' || box_file_read(dirfd(d), e->d_name, 256, &id, NULL, NULL) < 0)
            continue;
        if (faccessat(all, id, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT && unlinkat(dirfd(d), e->d_name, 0) == 0)
            n++;
    }
    return n;
}

/* Its documents were never synced, since nobody was to miss them. What is still being made has another name. */
bool container_remove_torn(int all, const char *id)
{
    _close_ int dir = openat(all, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (dir < 0 || fstat(dir, &st) < 0 || !(st.st_mode & S_ISVTX))
        return false;
    _close_ int lock = box_lock_take(dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    return lock >= 0 && box_remove_tree(all, id, NULL) >= 0;
}

/* One that was started attached, and whose host is gone: it was to end with it. */
static bool orphaned(box_container *c)
{
    if (c->run.monitor || container_host_alive(c))
        return false;
    struct box_cgroup *cgroup = container_cgroup(c);
    if (cgroup)
        box_cgroup_kill(cgroup, SIGKILL, NULL);
    return box_pidfd_signal(c->pidfd, SIGKILL, NULL) >= 0 && box_pidfd_wait(c->pidfd, ORPHAN_WAIT_MS, NULL) >= 0;
}

/* One whose process is gone, or not there yet, but whose host is there and sees to it; or that somebody is just starting
 * or finishing. A sweep waits for neither. */
static bool in_hands(box_container *c)
{
    if (container_host_alive(c))
        return true;
    _close_ int lock = box_lock_take(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    return lock < 0;
}

static size_t sweep_one(struct box_store *store, const char *id)
{
    _cleanup_(box_container) box_container *c = NULL;

    if (container_load(store, id, &c, NULL) < 0)
        return 0;
    if (c->removing) {
        _close_ int lock = box_lock_take(c->dir, "lock", BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
        if (lock < 0)
            return 0;
        if (container_load_run(c, NULL) >= 0 && c->run.present && container_take_cgroup_down(c) >= 0)
            container_forget_run(c);
        return container_remove_files(c, NULL) >= 0 ? 1 : 0;
    }
    if (container_load_run(c, NULL) < 0)
        return 0;
    if (!c->run.present || (container_alive(c) ? !orphaned(c) : in_hands(c)))
        return 0;
    return container_finish(c, NULL) >= 0 ? 1 : 0;
}

/* The lock file of a host that was killed before it had written a run file. */
static size_t sweep_host_lock(int dir, const char *name)
{
    char run[CONTAINER_ID_LENGTH + 8];

    snprintf(run, sizeof(run), "%.*s.json", CONTAINER_ID_LENGTH, name);
    if (faccessat(dir, run, F_OK, 0) == 0)
        return 0;
    int lock = box_lock_take(dir, name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ms(0), NULL);
    if (lock < 0)
        return 0;
    box_lock_remove(dir, name, lock);
    return 1;
}

/* Half of a run file: whoever writes one needs it for some microseconds. */
static size_t sweep_temporary(int dir, const char *name)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_mtime > time(NULL) - TEMPORARY_AGE)
        return 0;
    return unlinkat(dir, name, 0) == 0 ? 1 : 0;
}

/* Only what has a run file may have to be finished. */
static size_t sweep_runs(struct box_store *store)
{
    _free_ char *path = box_strf("%s/containers", box_store_runroot(store));
    _closedir_ DIR *d = path ? opendir(path) : NULL;
    struct dirent *e;
    size_t n = 0;

    while (d && (e = readdir(d))) {
        char id[CONTAINER_ID_LENGTH + 1];
        if (box_file_is_temporary(e->d_name))
            n += sweep_temporary(dirfd(d), e->d_name);
        if (strlen(e->d_name) == CONTAINER_ID_LENGTH + 5 && box_ends_with(e->d_name, ".host")) {
            n += sweep_host_lock(dirfd(d), e->d_name);
            continue;
        }
        if (strlen(e->d_name) != CONTAINER_ID_LENGTH + 5 || !box_ends_with(e->d_name, ".json"))
            continue;
        memcpy(id, e->d_name, CONTAINER_ID_LENGTH);
        id[CONTAINER_ID_LENGTH] = '\0';
        n += sweep_one(store, id);
    }
    return n;
}

int box_container_sweep(struct box_store *store, size_t *count, box_error **err)
{
    size_t n = 0;
    _close_ int all = container_open_dir(store, err);

    if (all < 0)
        return all;
    int fd = openat(all, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;
    if (!d && fd >= 0)
        close(fd);
    while (d && (e = readdir(d))) {
        if (strncmp(e->d_name, ".new-", 5) == 0)
            n += sweep_new(all, e->d_name);
        else if (strncmp(e->d_name, ".old-", 5) == 0)
            n += sweep_old(all, e->d_name);
    }
    if (n)
        n += sweep_names(all);
    n += sweep_runs(store);
    if (count)
        *count = n;
    return 0;
}
