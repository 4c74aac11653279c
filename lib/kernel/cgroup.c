/* A cgroup: one directory in each hierarchy that is needed.
 *
 * Making one: in each hierarchy the directory (cgroup_make.c), then the limits. The last component must be
 * new: two containers never share a cgroup by accident, and one that was left behind is told as BOX_EEXISTS.
 * A failure takes away exactly what this call made, from the bottom up. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#include "kernel/cgroup_limits.h"

#define CGROUP_V2_ALWAYS                                                                                    \
    (BOX_CONTROLLER_UNIFIED | BOX_CONTROLLER_FREEZER | BOX_CONTROLLER_CPUACCT | BOX_CONTROLLER_PERF_EVENT | \
     BOX_CONTROLLER_DEVICES)

static const char delegate_remedy[] = "run the program in a cgroup that is handed over to it (systemd-run "
                                      "--user --scope -p Delegate=yes PROGRAM), and "
                                      "name the new cgroup by a path that does not start with \"/\"";

/* ---- the handle ---- */

static void close_dir(struct cgroup_dir *dir)
{
    if (dir->fd >= 0)
        close(dir->fd);
    free(dir->names);
    free(dir->path);
    free(dir->directory);
}

void box_cgroup_free(box_cgroup *cgroup)
{
    if (!cgroup)
        return;
    for (int i = 0; i < cgroup->count; i++)
        close_dir(&cgroup->dir[i]);
    free(cgroup->location);
    free(cgroup);
}

/* Takes over the fd, also on failure. */
static int append_dir(box_cgroup *cgroup, const struct cgroup_mount *mount, int fd, const char *below,
                      box_error **err)
{
    struct cgroup_dir dir = {.v2 = mount->v2, .fd = fd, .controllers = mount->controllers};
    const char *root = strcmp(mount->root, "/") == 0 ? "" : mount->root;

    dir.names = strdup(mount->names);
    if (asprintf(&dir.path, "%s%s", root, *below || *root ? below : "/") < 0)
        dir.path = NULL;
    if (asprintf(&dir.directory, "%s%s", mount->mountpoint, below) < 0)
        dir.directory = NULL;
    if (!dir.names || !dir.path || !dir.directory) {
        close_dir(&dir);
        return box_fail_nomem(err);
    }
    if (mount->v2)
        dir.controllers =
            (mount->controllers & CGROUP_V2_ALWAYS) | cgroup_v2_read_mask(fd, "cgroup.controllers");
    cgroup->dir[cgroup->count++] = dir;
    return 0;
}

static int write_location(box_cgroup *cgroup, box_error **err)
{
    size_t size = 1;
    char *out;

    for (int i = 0; i < cgroup->count; i++)
        size += strlen(cgroup->dir[i].names) + strlen(cgroup->dir[i].path) + 8;
    free(cgroup->location);
    out = cgroup->location = calloc(1, size);
    if (!out)
        return box_fail_nomem(err);
    for (int i = 0; i < cgroup->count; i++) {
        int n = snprintf(out, size, "%d:%s:%s\n", cgroup->dir[i].v2 ? 0 : i + 1, cgroup->dir[i].names,
                         cgroup->dir[i].path);
        out += n;
        size -= (size_t)n;
    }
    return 0;
}

struct cgroup_dir *cgroup_dir_for(box_cgroup *cgroup, unsigned controller)
{
    struct cgroup_dir *found = NULL;

    for (int i = 0; i < cgroup->count; i++) {
        struct cgroup_dir *dir = &cgroup->dir[i];

        /* cgroup.freeze needs no second hierarchy; CPU time by cpuacct is the finer one. */
        if (dir->controllers & controller && (!found || dir->v2 == (controller == BOX_CONTROLLER_FREEZER)))
            found = dir;
    }
    return found;
}

const char *box_cgroup_location(const box_cgroup *cgroup)
{
    return cgroup ? cgroup->location : NULL;
}

const char *box_cgroup_directory(const box_cgroup *cgroup, unsigned controller)
{
    const struct cgroup_dir *dir = cgroup ? cgroup_dir_for((box_cgroup *)cgroup, controller) : NULL;

    return dir ? dir->directory : NULL;
}

unsigned box_cgroup_has(const box_cgroup *cgroup)
{
    unsigned mask = 0;

    for (int i = 0; cgroup && i < cgroup->count; i++)
        mask |= cgroup->dir[i].controllers;
    return mask;
}

unsigned box_cgroup_not_applied(const box_cgroup *cgroup)
{
    return cgroup ? cgroup->not_applied : 0;
}

/* ---- making ---- */

/* What a call is about to make, or has made so far. */
struct making {
    box_cgroup *cgroup;
    const struct cgroup_mount *mounts[CGROUP_HIERARCHIES]; /* of cgroup->dir[i] */
    int made[CGROUP_HIERARCHIES];
    unsigned wanted;
    bool adopt;
    struct cgroup_blame why;
};

/* Takes no memory, and only the fd that it gives back before: it is also what follows when there is none
 * left. */
static void undo(struct making *m, int from)
{
    for (int i = from; i < m->cgroup->count; i++) {
        const struct cgroup_mount *mount = m->mounts[i];
        struct cgroup_dir *dir = &m->cgroup->dir[i];
        _close_ int fd = -1;

        close(box_take_fd(&dir->fd));
        fd = cgroup_mount_open(mount);
        if (fd >= 0)
            cgroup_unmake(fd, dir->directory + strlen(mount->mountpoint), m->made[i]);
        close_dir(dir);
    }
    m->cgroup->count = from;
}

static bool is_refusal(int r)
{
    return r == -EACCES || r == -EPERM || r == -EROFS;
}

static int fail_make(box_error **err, const struct cgroup_mount *mount, const char *path, int r)
{
    _free_ char *directory = NULL;

    if (r == -ENOMEM || asprintf(&directory, "%s%s", mount->mountpoint, path) < 0) {
        directory = NULL;
        return box_fail_nomem(err);
    }

    struct box_fail_info info = {.errnum = -r, .call = "mkdirat", .subject = directory};

    if (r == -EAGAIN)
        info.remedy = "raise cgroup.max.descendants or cgroup.max.depth above it";
    if (r == -EEXIST)
        info.remedy = "choose another name, or remove what was left behind";
    return box_fail_with(err, &info, "make the cgroup");
}

/* Has the wanted controllers handed down to a v2 directory, as far as they are not there yet. */
static void get_controllers(struct cgroup_dir *dir, const struct cgroup_mount *mount, int mountfd,
                            unsigned wanted, struct cgroup_blame *why)
{
    if (!dir->v2 || !(wanted & mount->controllers & ~dir->controllers))
        return;
    cgroup_hand_down(mount, mountfd, dir->directory + strlen(mount->mountpoint), wanted & ~dir->controllers,
                     why);
    dir->controllers |= cgroup_v2_read_mask(dir->fd, "cgroup.controllers");
}

/* Makes the cgroup in one hierarchy, unless we have no place or no right there. */
static int make_in(struct making *m, const struct cgroup_mount *mount, const char *path, box_error **err)
{
    _free_ char *below = NULL;
    _close_ int mountfd = -1;
    int fd, made = 0, r = cgroup_mount_path(mount, path, &below, err);

    if (r < 0 || !below)
        return r;
    mountfd = cgroup_mount_open(mount);
    if (mountfd < 0)
        return fail_make(err, mount, "", mountfd);
    fd = m->adopt ? cgroup_walk(mountfd, below, O_RDONLY | O_DIRECTORY) : -ENOENT;
    if (fd == -ENOENT)
        fd = cgroup_make(mount, mountfd, below, &made);
    if (is_refusal(fd)) {
        cgroup_blame(&m->why, -fd, mount, below, strlen(below));
        return 0;
    }
    if (fd < 0)
        return fail_make(err, mount, below, fd);
    r = append_dir(m->cgroup, mount, fd, below, err);
    if (r < 0) {
        cgroup_unmake(mountfd, below, made);
        return r;
    }
    m->mounts[m->cgroup->count - 1] = mount;
    m->made[m->cgroup->count - 1] = made;
    get_controllers(&m->cgroup->dir[m->cgroup->count - 1], mount, mountfd, m->wanted, &m->why);
    return 0;
}

/* Whether the hierarchy is to hold the new cgroup. Beside v2, a v1 freezer or a cpuacct of its own adds
 * nothing to what libbox itself asks for. */
static bool is_wanted(const box_cgroup_host *host, const struct cgroup_mount *mount, unsigned wanted, unsigned flags)
{
    unsigned bits = mount->controllers & wanted;

    if (flags & BOX_CGROUP_EVERY_HIERARCHY)
        return true;
    if (mount->v2 || !(wanted & BOX_CONTROLLER_UNIFIED))
        return bits != 0;
    for (int i = 0; i < host->count; i++) {
        if (host->mount[i].v2)
            bits &= ~(unsigned)(BOX_CONTROLLER_FREEZER | BOX_CONTROLLER_CPUACCT);
    }
    return bits != 0;
}

static int fail_nowhere(const box_cgroup_host *host, const struct cgroup_blame *why, box_error **err)
{
    if (host->count == 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                     .remedy = "mount -t cgroup2 none /sys/fs/cgroup"},
                             "no cgroup file system is mounted");
    if (!why->errnum)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                    .remedy = "name the cgroup by a path that starts with \"/\""},
            "our own cgroup is outside of the part of the hierarchy that is mounted here");
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EPERMISSION,
                                                 .errnum = why->errnum,
                                                 .call = "mkdirat",
                                                 .subject = why->directory,
                                                 .remedy = delegate_remedy},
                         "we may not make cgroups here");
}

/* Limits ask for controllers that the cgroup has not got. A reason better than "there is none" is told here.
 */
static int check_needed(struct making *m, unsigned needed, unsigned flags, box_error **err)
{
    unsigned missing = needed & ~box_cgroup_has(m->cgroup) & ~(unsigned)BOX_CONTROLLER_DEVICES;
    unsigned first = missing & -missing;

    if (!missing || flags & BOX_CGROUP_LENIENT || !m->why.errnum)
        return 0;
    if (m->why.errnum == EBUSY)
        return box_fail_with(
            err,
            &(struct box_fail_info){
                .code = BOX_EBUSY,
                .errnum = EBUSY,
                .call = "cgroup.subtree_control",
                .subject = m->why.directory,
                .remedy = "call box_cgroup_host_make_room(), or name the new cgroup by a path whose "
                          "parents hold no processes"},
            "the cgroup holds processes, so it cannot hand out the controller \"%s\"",
            box_controller_name(first));
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = m->why.errnum,
                                .call = "cgroup.subtree_control",
                                .subject = m->why.directory,
                                .remedy = is_refusal(-m->why.errnum) ? delegate_remedy : NULL},
        "the controller \"%s\", which a limit needs, is not to be had here", box_controller_name(first));
}

static int make_all(struct making *m, const box_cgroup_host *host, const char *path, const box_limits *limits,
                    unsigned flags, box_error **err)
{
    int r = limits ? box_limits_check(limits, err) : 0;

    for (int i = 0; r == 0 && i < host->count; i++) {
        if (is_wanted(host, &host->mount[i], m->wanted, flags))
            r = make_in(m, &host->mount[i], path, err);
    }
    if (r == 0 && m->cgroup->count == 0)
        r = fail_nowhere(host, &m->why, err);
    if (r == 0)
        r = check_needed(m, box_limits_controllers(limits), flags, err);
    if (r == 0)
        r = write_location(m->cgroup, err);
    if (r == 0 && limits)
        r = cgroup_apply(m->cgroup, limits, flags, err);
    if (r < 0)
        undo(m, 0);
    free(m->why.directory);
    return r;
}

static void fresh_name(char name[32])
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random)) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        random = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uintptr_t)name;
    }
    snprintf(name, 32, "libbox-%016" PRIx64, random);
}

/* The caller's host, or one for this call. */
static const box_cgroup_host *use_host(const box_cgroup_host *given, box_cgroup_host **own, box_error **err)
{
    return given ? given : (*own = box_cgroup_host_new(err));
}

box_cgroup *box_cgroup_create(const box_cgroup_host *given, const char *path, unsigned controllers,
                              const box_limits *limits, unsigned flags, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *own = NULL;
    _cleanup_(box_cgroup) box_cgroup *cgroup = NULL;
    char name[32];

    if (path && cgroup_check_path(path, err) < 0)
        return NULL;
    if (!path)
        fresh_name(name);

    const box_cgroup_host *host = use_host(given, &own, err);

    if (!host)
        return NULL;
    if (!(cgroup = calloc(1, sizeof(*cgroup)))) {
        box_fail_nomem(err);
        return NULL;
    }

    struct making m = {.cgroup = cgroup,
                       .adopt = flags & BOX_CGROUP_ADOPT,
                       .wanted = (controllers ? controllers : BOX_CONTROLLERS_DEFAULT) |
                                 box_limits_controllers(limits)};

    return make_all(&m, host, path ? path : name, limits, flags, err) < 0 ? NULL : box_take(cgroup);
}

/* ---- opening ---- */

static int open_in(box_cgroup *cgroup, const struct cgroup_mount *mount, const char *below, box_error **err)
{
    _close_ int mountfd = cgroup_mount_open(mount);
    int fd = mountfd < 0 ? mountfd : cgroup_walk(mountfd, below, O_RDONLY | O_DIRECTORY);

    if (fd == -ENOENT || fd == -ENOTDIR || is_refusal(fd))
        return 0;
    if (fd < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = -fd, .call = "openat", .subject = below},
                             "open the cgroup below %s", mount->mountpoint);
    return append_dir(cgroup, mount, fd, below, err);
}

/* The path of a cgroup in the first hierarchy that it is in: where it is, or would be, in one that it is not
 * in. */
static const char *path_elsewhere(const box_cgroup *cgroup, const box_cgroup_host *host)
{
    for (int i = 0; i < host->count; i++) {
        for (int j = 0; j < cgroup->count; j++) {
            const char *below = strcmp(cgroup->dir[j].names, host->mount[i].names) == 0
                                    ? cgroup_below_root(host->mount[i].root, cgroup->dir[j].path)
                                    : NULL;
            if (below && *below)
                return below;
        }
    }
    return NULL;
}

/* A cgroup gets hierarchies after it was made when an update needs them, and a location that was saved before
 * does not have those. They have the same path. */
static int open_later_ones(box_cgroup *cgroup, const box_cgroup_host *host, box_error **err)
{
    const char *found = path_elsewhere(cgroup, host);
    _free_ char *path = found ? strdup(found) : NULL;
    int r = 0;

    if (found && !path)
        return box_fail_nomem(err);
    for (int i = 0; path && r == 0 && i < host->count; i++) {
        bool there = false;

        for (int j = 0; j < cgroup->count; j++)
            there = there || strcmp(cgroup->dir[j].names, host->mount[i].names) == 0;
        if (!there && !host->mount[i].v2)
            r = open_in(cgroup, &host->mount[i], path, err);
    }
    return r;
}

/* Opens what lines in the format of /proc/PID/cgroup name. Each line's own path is read as if it were ours.
 */
static int open_lines(box_cgroup *cgroup, const box_cgroup_host *host, const char *lines, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *there = calloc(1, sizeof(*there));
    _free_ char *text = strdup(lines);
    int r = 0;

    if (!there || !text)
        return box_fail_nomem(err);
    for (int i = 0; i < host->count; i++)
        there->mount[i] = (struct cgroup_mount){.v2 = host->mount[i].v2,
                                                .controllers = host->mount[i].controllers,
                                                .names = host->mount[i].names,
                                                .root = host->mount[i].root};
    there->count = host->count;
    r = cgroup_host_parse_own(there, text, err);
    for (int i = 0; i < host->count; i++) {
        const char *below = there->mount[i].own;

        if (r == 0 && below && (*below == '\0' || (r = cgroup_check_path(below, err)) == 0))
            r = open_in(cgroup, &host->mount[i], below, err);
        free(there->mount[i].own);
    }
    there->count = 0; /* the rest is the host's */
    return r < 0 ? r : open_later_ones(cgroup, host, err);
}

static int open_path(box_cgroup *cgroup, const box_cgroup_host *host, const char *path, box_error **err)
{
    int r = strcmp(path, "/") == 0 ? 0 : cgroup_check_path(path, err);

    for (int i = 0; r == 0 && i < host->count; i++) {
        _free_ char *below = NULL;

        r = cgroup_mount_path(&host->mount[i], path, &below, err);
        if (r == 0 && below)
            r = open_in(cgroup, &host->mount[i], below, err);
    }
    return r;
}

box_cgroup *box_cgroup_open(const box_cgroup_host *given, const char *location, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *own = NULL;
    _cleanup_(box_cgroup) box_cgroup *cgroup = NULL;

    if (!location || !*location) {
        box_fail(err, BOX_EINVAL, "no cgroup named");
        return NULL;
    }

    const box_cgroup_host *host = use_host(given, &own, err);

    if (!host)
        return NULL;
    if (!(cgroup = calloc(1, sizeof(*cgroup)))) {
        box_fail_nomem(err);
        return NULL;
    }

    int r = strchr(location, '\n') ? open_lines(cgroup, host, location, err)
                                   : open_path(cgroup, host, location, err);

    if (r == 0 && cgroup->count == 0)
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = location},
                          "no such cgroup");
    return r < 0 || write_location(cgroup, err) < 0 ? NULL : box_take(cgroup);
}

box_cgroup *box_cgroup_open_pid(const box_cgroup_host *host, pid_t pid, box_error **err)
{
    _free_ char *text = NULL;
    char path[40];

    snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);

    int r = cgroup_read(AT_FDCWD, path, &text);

    if (r == 0)
        return box_cgroup_open(host, text, err);
    box_fail_with(
        err, &(struct box_fail_info){.code = r == -ESRCH ? BOX_ENOTFOUND : 0, .errnum = -r, .call = path},
        "find the cgroup of process %d", (int)pid);
    return NULL;
}

/* ---- more controllers for one that exists ---- */

/* Moves every process there. One that forks meanwhile has its child where it is itself, so the list settles.
 */
static int move_all(box_cgroup *cgroup, const struct cgroup_dir *dir, box_error **err)
{
    for (int round = 0; round < 64; round++) {
        _free_ pid_t *pids = NULL;
        size_t count, moved = 0;
        int r = box_cgroup_pids(cgroup, &pids, &count, err);

        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            char text[16];

            snprintf(text, sizeof(text), "%d", (int)pids[i]);
            r = pids[i] > 0 ? cgroup_write(dir->fd, "cgroup.procs", text) : 0;
            if (r < 0 && r != -ESRCH)
                return cgroup_fail(err, dir, "cgroup.procs", r, NULL, "move the processes of the cgroup");
            moved += r == 0;
        }

        uint64_t there = 0;
        _free_ char *text = NULL;

        if (cgroup_read(dir->fd, "cgroup.procs", &text) == 0) {
            for (const char *s = text; *s; s++)
                there += *s == '\n';
        }
        if (there >= moved)
            return 0;
    }
    return 0;
}

/* Another handle may have made it meanwhile. When moving fails, what was made stays in the handle, with the
 * processes that are in it by then, so that it is removed with the rest. */
static int extend_v1(struct making *m, const struct cgroup_mount *mount, const char *path, box_error **err)
{
    int before = m->cgroup->count;
    int r = open_in(m->cgroup, mount, path, err);

    if (r == 0 && m->cgroup->count == before)
        r = make_in(m, mount, path, err);
    if (r < 0 || m->cgroup->count == before)
        return r;
    return move_all(m->cgroup, &m->cgroup->dir[before], err);
}

static void extend_v2(struct cgroup_dir *dir, const struct cgroup_mount *mount, unsigned missing,
                      struct cgroup_blame *why)
{
    _close_ int mountfd = cgroup_mount_open(mount);

    if (mountfd >= 0)
        get_controllers(dir, mount, mountfd, missing, why);
}

int cgroup_extend(box_cgroup *cgroup, unsigned missing, box_error **err)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(err);
    int r = 0;

    if (!host)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    for (int i = 0; r == 0 && i < host->count; i++) {
        const struct cgroup_mount *mount = &host->mount[i];
        struct cgroup_dir *dir = NULL;
        struct making m = {.cgroup = cgroup, .wanted = missing};

        for (int j = 0; j < cgroup->count; j++)
            dir = strcmp(cgroup->dir[j].names, mount->names) == 0 ? &cgroup->dir[j] : dir;
        if (!(mount->controllers & missing))
            continue;

        const char *path = path_elsewhere(cgroup, host);

        if (dir && dir->v2 && strncmp(dir->directory, mount->mountpoint, strlen(mount->mountpoint)) == 0)
            extend_v2(dir, mount, missing, &m.why);
        else if (!dir && path && !mount->v2)
            r = extend_v1(&m, mount, path, err);
        free(m.why.directory);
    }
    if (r < 0) {
        write_location(cgroup, NULL);
        return r;
    }
    return write_location(cgroup, err);
}

/* ---- entering ---- */

int box_cgroup_add(box_cgroup *cgroup, pid_t pid, box_error **err)
{
    char text[16];

    if (!cgroup || pid < 0)
        return box_fail(err, BOX_EINVAL, "no cgroup, or a process id below 0");
    snprintf(text, sizeof(text), "%d", (int)pid);
    for (int i = 0; i < cgroup->count; i++) {
        int r = cgroup_write(cgroup->dir[i].fd, "cgroup.procs", text);

        if (r == -ESRCH)
            return box_fail_with(
                err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = ESRCH, .subject = text},
                "no such process");
        if (r < 0)
            return cgroup_fail(err, &cgroup->dir[i], "cgroup.procs", r, text,
                               "move the process into the cgroup");
    }
    return 0;
}

/* On v1 by "tasks": a thread that moves itself alone needs no lock over all thread groups, and taking that lock for
 * writing, as cgroup.procs does, waits for an RCU grace period: milliseconds, in every hierarchy. */
static int open_v1_entry(const struct cgroup_dir *dir)
{
    int fd = cgroup_open_at(dir->fd, "tasks", O_WRONLY);

    return fd >= 0 ? fd : cgroup_open_at(dir->fd, "cgroup.procs", O_WRONLY);
}

int box_cgroup_entry_fds(box_cgroup *cgroup, struct box_cgroup_entry *entry, box_error **err)
{
    if (!cgroup || !entry)
        return box_fail(err, BOX_EINVAL, "no cgroup, or nowhere to put its fds");
    *entry = (struct box_cgroup_entry){.directory = -1, .unified = -1};
    for (int i = 0; i < cgroup->count; i++) {
        const struct cgroup_dir *dir = &cgroup->dir[i];
        int fd = dir->v2 ? cgroup_open_at(dir->fd, "cgroup.procs", O_WRONLY) : open_v1_entry(dir);

        if (fd >= 0 && dir->v2) {
            entry->unified = fd;
            entry->directory = fd = cgroup_open_at(dir->fd, ".", O_PATH | O_DIRECTORY);
        } else if (fd >= 0) {
            entry->procs[entry->count++] = fd;
        }
        if (fd < 0) {
            box_cgroup_entry_close(entry);
            return cgroup_fail(err, dir, "cgroup.procs", fd, NULL, "open the way into the cgroup");
        }
    }
    return 0;
}

void box_cgroup_entry_close(struct box_cgroup_entry *entry)
{
    if (!entry)
        return;
    box_cleanup_close(&entry->directory);
    box_cleanup_close(&entry->unified);
    for (int i = 0; i < entry->count; i++)
        box_cleanup_close(&entry->procs[i]);
    *entry = (struct box_cgroup_entry){.directory = -1, .unified = -1};
}
