/* The processes of a cgroup: listing, freezing, thawing, killing, waiting until none is left.
 *
 * v2 does each with one file (cgroup.freeze, cgroup.kill, cgroup.events), and so does a hybrid host, where
 * every cgroup of ours has a v2 directory too. On v1 alone the freezer does the first, and killing is:
 * freeze, so that nothing forks and no process id can change hands; signal everything; thaw, so that it dies.
 */
#include "kernel/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define NAP_LONGEST      (10 * BOX_MS)
#define KILL_FREEZE_MS   500
#define FREEZER_RETRY_AT 16 /* naps; then v1's freezer is told again */

/* ---- time ---- */

struct cgroup_wait cgroup_wait_for(int timeout_ms)
{
    return (struct cgroup_wait){.deadline = box_deadline_in_ms(timeout_ms), .nap_ns = CGROUP_NAP_FIRST};
}

bool cgroup_nap(struct cgroup_wait *wait)
{
    if (box_deadline_passed(wait->deadline))
        return false;
    box_deadline_sleep(wait->deadline, wait->nap_ns);
    wait->nap_ns = wait->nap_ns * 2 < NAP_LONGEST ? wait->nap_ns * 2 : NAP_LONGEST;
    return true;
}

/* ---- listing ---- */

struct cgroup_dir *cgroup_tracking_dir(box_cgroup *cgroup)
{
    static const unsigned order[] = {BOX_CONTROLLER_UNIFIED, BOX_CONTROLLER_FREEZER, BOX_CONTROLLER_PIDS};

    for (size_t i = 0; i < BOX_ARRAY(order); i++) {
        struct cgroup_dir *dir = cgroup_dir_for(cgroup, order[i]);
        if (dir)
            return dir;
    }
    return &cgroup->dir[0];
}

struct pid_list {
    pid_t *pids;
    size_t count, size;
};

/* Adds the processes of one directory. One that vanished, or that is threaded (its processes are listed at
 * the top of the threaded subtree), has none. */
static int add_pids(struct pid_list *list, int dirfd)
{
    _free_ char *text = NULL;
    int r = cgroup_read(dirfd, "cgroup.procs", &text);

    if (r == -ENOENT || r == -ENODEV || r == -EOPNOTSUPP)
        return 0;
    if (r < 0)
        return r;
    for (char *cursor = text, *line; (line = cgroup_next_line(&cursor));) {
        uint64_t pid;

        if (!cgroup_parse_u64(line, &pid) || pid > INT32_MAX)
            return -EBADMSG;
        if (list->count == list->size) {
            size_t size = list->size ? list->size * 2 : 64;
            pid_t *grown = reallocarray(list->pids, size, sizeof(*grown));
            if (!grown)
                return -ENOMEM;
            list->pids = grown;
            list->size = size;
        }
        list->pids[list->count++] = (pid_t)pid;
    }
    return 0;
}

/* Cgroups still to be looked at, as paths below the first: no recursion and no fd a level, since a container
 * may nest as deep as it likes. */
struct path_queue {
    char **paths;
    size_t count, size;
};

static int push_path(struct path_queue *queue, const char *parent, const char *name)
{
    char *path;

    if (queue->count == queue->size) {
        size_t size = queue->size ? queue->size * 2 : 16;
        char **grown = reallocarray(queue->paths, size, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        queue->paths = grown;
        queue->size = size;
    }
    if (asprintf(&path, "%s/%s", parent, name) < 0)
        return -ENOMEM;
    queue->paths[queue->count++] = path;
    return 0;
}

/* Queues the children of a directory. Takes over the fd. */
static int push_children(struct path_queue *queue, const char *path, int fd)
{
    _closedir_ DIR *dir = fdopendir(fd);
    int r = 0;

    if (!dir) {
        r = -errno;
        close(fd);
        return r;
    }
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = push_path(queue, path, entry->d_name);
    }
    return r;
}

static int collect_pids(struct pid_list *list, const struct cgroup_dir *dir)
{
    struct path_queue queue = {0};
    int r = push_path(&queue, "", "");

    while (r == 0 && queue.count > 0) {
        _free_ char *path = queue.paths[--queue.count];
        int fd = cgroup_walk(dir->fd, path, O_RDONLY | O_DIRECTORY);

        if (fd == -ENOENT || fd == -ENODEV)
            continue;
        r = fd < 0 ? fd : add_pids(list, fd);
        if (r == 0)
            r = push_children(&queue, path, fd);
        else if (fd >= 0)
            close(fd);
    }
    while (queue.count > 0)
        free(queue.paths[--queue.count]);
    free(queue.paths);
    return r;
}

int box_cgroup_pids(box_cgroup *cgroup, pid_t **pids, size_t *count, box_error **err)
{
    struct pid_list list = {0};

    if (!cgroup || !pids || !count)
        return box_fail(err, BOX_EINVAL, "no cgroup, or nowhere to put its processes");

    const struct cgroup_dir *dir = cgroup_tracking_dir(cgroup);
    int r = collect_pids(&list, dir);

    if (r == 0 && !list.pids && !(list.pids = malloc(sizeof(pid_t))))
        r = -ENOMEM;
    if (r < 0) {
        free(list.pids);
        return cgroup_fail(err, dir, "cgroup.procs", r, NULL, "list the processes of the cgroup");
    }
    *pids = list.pids;
    *count = list.count;
    return 0;
}

/* ---- freezing ---- */

/* Waits until a key of v2's cgroup.events has a value; the kernel wakes a poll for POLLPRI when the file
 * changes. 0, -ETIMEDOUT or another -errno. */
static int wait_event(const struct cgroup_dir *dir, const char *key, uint64_t wanted,
                      struct cgroup_wait *wait)
{
    _close_ int fd = cgroup_open_at(dir->fd, "cgroup.events", O_RDONLY);

    if (fd < 0)
        return fd;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLPRI};
        uint64_t value = wanted;
        char text[256];
        ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

        if (n < 0 && errno != EINTR)
            return -errno;
        text[n > 0 ? n : 0] = '\0';
        if (n > 0) {
            struct cgroup_key keys[] = {{key, 0, 1}};
            int r = cgroup_parse_flat(text, keys, 1, &value);
            if (r < 0 || value == wanted)
                return r;
        }

        if (box_deadline_passed(wait->deadline))
            return -ETIMEDOUT;
        /* Not for longer than a second: a change between the read and the poll is seen, but nothing is taken
         * for granted about a cgroup that vanishes. */
        poll(&poll_fd, 1,
             box_deadline_left_ms(box_deadline_sooner(wait->deadline, box_deadline_in_ms(1000))));
    }
}

static int freezer_state(const struct cgroup_dir *dir, char state[16])
{
    _free_ char *text = NULL;
    int r = cgroup_read(dir->fd, "freezer.state", &text);

    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    if (strlen(text) > 15)
        return -EBADMSG;
    memcpy(state, text, strlen(text) + 1);
    return 0;
}

/* v1: reading the state moves it along; a process that was just forking or being traced needs to be told
 * again. */
static int freeze_v1(const struct cgroup_dir *dir, bool freeze, struct cgroup_wait *wait)
{
    const char *wanted = freeze ? "FROZEN" : "THAWED";

    for (int naps = 0;; naps++) {
        char state[16];
        int r = naps % FREEZER_RETRY_AT == 0 ? cgroup_write(dir->fd, "freezer.state", wanted) : 0;

        if (r == 0)
            r = freezer_state(dir, state);
        if (r < 0 || strcmp(state, wanted) == 0)
            return r;
        if (!cgroup_nap(wait))
            return -ETIMEDOUT;
    }
}

static int freeze_v2(const struct cgroup_dir *dir, bool freeze, struct cgroup_wait *wait)
{
    int r = cgroup_write(dir->fd, "cgroup.freeze", freeze ? "1" : "0");

    return r < 0 ? r : wait_event(dir, "frozen", freeze, wait);
}

static int set_frozen(const struct cgroup_dir *dir, bool freeze, int timeout_ms)
{
    struct cgroup_wait wait = cgroup_wait_for(timeout_ms);

    return dir->v2 ? freeze_v2(dir, freeze, &wait) : freeze_v1(dir, freeze, &wait);
}

static const char *freeze_file(const struct cgroup_dir *dir)
{
    return dir->v2 ? "cgroup.freeze" : "freezer.state";
}

static int fail_no_freezer(box_error **err)
{
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                 .remedy =
                                                     "mount a cgroup v2 hierarchy, or v1's with the freezer "
                                                     "controller"},
                         "the cgroup can be frozen by neither v2 nor the v1 freezer");
}

/* Whether the calling process itself is in there: 1, 0 or -errno. */
static int holds_us(box_cgroup *cgroup)
{
    struct pid_list list = {0};
    int r = collect_pids(&list, cgroup_tracking_dir(cgroup));

    for (size_t i = 0; r == 0 && i < list.count; i++)
        r = list.pids[i] == getpid();
    free(list.pids);
    return r;
}

int box_cgroup_freeze(box_cgroup *cgroup, int timeout_ms, box_error **err)
{
    struct cgroup_dir *dir = cgroup ? cgroup_dir_for(cgroup, BOX_CONTROLLER_FREEZER) : NULL;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    if (!dir)
        return fail_no_freezer(err);

    int r = holds_us(cgroup);

    if (r > 0)
        return box_fail(err, BOX_EINVAL, "the calling process is in the cgroup and would freeze itself");
    if (r == 0)
        r = set_frozen(dir, true, timeout_ms);
    if (r == 0)
        return 0;
    cgroup_write(dir->fd, freeze_file(dir), dir->v2 ? "0" : "THAWED");
    return cgroup_fail(err, dir, freeze_file(dir), r, NULL,
                       r == -ETIMEDOUT ? "the processes did not stop in time" : "freeze the cgroup");
}

int box_cgroup_thaw(box_cgroup *cgroup, int timeout_ms, box_error **err)
{
    struct cgroup_dir *dir = cgroup ? cgroup_dir_for(cgroup, BOX_CONTROLLER_FREEZER) : NULL;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    if (!dir)
        return fail_no_freezer(err);

    int r = set_frozen(dir, false, timeout_ms);

    return r == 0 ? 0
                  : cgroup_fail(err, dir, freeze_file(dir), r, NULL,
                                r == -ETIMEDOUT ? "a cgroup above this one is frozen" : "thaw the cgroup");
}

static int is_frozen(const struct cgroup_dir *dir)
{
    char state[16];
    uint64_t frozen = 0;
    int r =
        dir->v2 ? cgroup_read_key(dir->fd, "cgroup.events", "frozen", &frozen) : freezer_state(dir, state);

    if (r < 0)
        return r;
    return dir->v2 ? frozen == 1 : strcmp(state, "FROZEN") == 0;
}

int box_cgroup_frozen(box_cgroup *cgroup, box_error **err)
{
    struct cgroup_dir *dir = cgroup ? cgroup_dir_for(cgroup, BOX_CONTROLLER_FREEZER) : NULL;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");
    if (!dir)
        return fail_no_freezer(err);

    int r = is_frozen(dir);

    return r >= 0 ? r
                  : cgroup_fail(err, dir, dir->v2 ? "cgroup.events" : "freezer.state", r, NULL,
                                "read the state");
}

/* ---- killing ---- */

static int signal_all(struct cgroup_dir *dir, int signal, bool *any)
{
    struct pid_list list = {0};
    int r = collect_pids(&list, dir), failed = 0;

    *any = false;
    for (size_t i = 0; r == 0 && i < list.count; i++) {
        /* 0 is a process of another pid namespace: no signal of ours reaches it, and kill(0) would hit
         * ourselves. */
        if (list.pids[i] == 0)
            continue;
        if (kill(list.pids[i], signal) == 0)
            *any = true;
        else if (errno != ESRCH)
            failed = -errno;
    }
    free(list.pids);
    return r < 0 ? r : failed;
}

static int kill_frozen(box_cgroup *cgroup, struct cgroup_dir *freezer, int signal)
{
    bool before = is_frozen(freezer) == 1, any;
    /* A process in an uninterruptible wait cannot be frozen; it is signalled all the same. */
    int frozen = before ? 0 : set_frozen(freezer, true, KILL_FREEZE_MS);
    int r = signal_all(cgroup_tracking_dir(cgroup), signal, &any);

    if (frozen == 0 && before && signal != SIGKILL)
        return r;
    cgroup_write(freezer->fd, freeze_file(freezer), freezer->v2 ? "0" : "THAWED");
    return r;
}

/* No freezer, or we are in there: again until nothing is left that could have forked. */
static int kill_rounds(struct cgroup_dir *dir, int signal)
{
    struct cgroup_wait wait = cgroup_wait_for(KILL_FREEZE_MS);
    bool any;
    int r;

    do
        r = signal_all(dir, signal, &any);
    while (r == 0 && signal == SIGKILL && any && cgroup_nap(&wait));
    return r;
}

int box_cgroup_kill(box_cgroup *cgroup, int signal, box_error **err)
{
    if (!cgroup || signal < 1 || signal > SIGRTMAX)
        return box_fail(err, BOX_EINVAL, "no cgroup, or no signal");

    struct cgroup_dir *unified = cgroup_dir_for(cgroup, BOX_CONTROLLER_UNIFIED);
    struct cgroup_dir *freezer = cgroup_dir_for(cgroup, BOX_CONTROLLER_FREEZER);
    struct cgroup_dir *dir = cgroup_tracking_dir(cgroup);
    int r = -ENOENT;

    /* Since Linux 5.14; -EOPNOTSUPP in a threaded cgroup. */
    if (signal == SIGKILL && unified)
        r = cgroup_write(unified->fd, "cgroup.kill", "1");
    if (r == -ENODEV)
        return 0;
    if (r < 0)
        r = freezer && holds_us(cgroup) == 0 ? kill_frozen(cgroup, freezer, signal)
                                             : kill_rounds(dir, signal);
    return r == 0 ? 0 : cgroup_fail(err, dir, "cgroup.procs", r, NULL, "signal the processes of the cgroup");
}

/* ---- waiting ---- */

int box_cgroup_wait_empty(box_cgroup *cgroup, int timeout_ms, box_error **err)
{
    struct cgroup_wait wait = cgroup_wait_for(timeout_ms);
    int r = 0;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "no cgroup given");

    struct cgroup_dir *dir = cgroup_tracking_dir(cgroup);

    if (dir->v2) {
        r = wait_event(dir, "populated", 0, &wait);
    } else {
        for (size_t left = 1; r == 0 && left > 0;) {
            struct pid_list list = {0};

            r = collect_pids(&list, dir);
            left = list.count;
            free(list.pids);
            if (r == 0 && left > 0 && !cgroup_nap(&wait))
                r = -ETIMEDOUT;
        }
    }
    /* Removed meanwhile: nothing can be in it. */
    if (r == 0 || r == -ENODEV || r == -ENOENT)
        return 0;
    return cgroup_fail(err, dir, dir->v2 ? "cgroup.events" : "cgroup.procs", r, NULL,
                       r == -ETIMEDOUT ? "there are still processes in the cgroup"
                                       : "wait for the cgroup to be empty");
}
