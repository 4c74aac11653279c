/* Writing id maps for a process. Interface: kernel/idmap.h; user_namespaces(7), newuidmap(1).
 *
 * Order for each kind, uids first: a direct write, which the kernel grants to the privileged and for one's
 * own single id; for gids, when that was refused, once more after setgroups(2) was given up, as the kernel
 * demands of the unprivileged; then the set-uid helper. The process's directory in /proc is opened once and
 * checked to be procfs, and everything goes through that descriptor. */
#include "kernel/idmap.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fail.h"
#include "kernel/smallfile.h"
#include "kernel/spawn.h"

#define HELPER_TIMEOUT_MS 30000
#define HELPER_OUTPUT     4096

static const struct {
    const char *file, *helper, *subid;
} kinds[2] = {{"uid_map", "newuidmap", "/etc/subuid"}, {"gid_map", "newgidmap", "/etc/subgid"}};

/* Where distributions install it; /run/wrappers is NixOS. Never $PATH: it runs with the host's authority. */
static const char *const helper_dirs[] = {"/usr/bin", "/usr/sbin",      "/bin",
                                          "/sbin",    "/usr/local/bin", "/run/wrappers/bin"};

/* ---- Preparing
 * ---------------------------------------------------------------------------------------------- */

static void free_vector(char **v)
{
    for (size_t i = 0; v && v[i]; i++)
        free(v[i]);
    free(v);
}

void box_idmap_ready_clear(struct box_idmap_ready *ready)
{
    for (int k = 0; k < 2; k++) {
        free(ready->kind[k].text);
        free_vector(ready->kind[k].numbers);
    }
    *ready = (struct box_idmap_ready){0};
}

static int prepare_kind(const box_idmap *map, int k, struct box_idmap_ready *ready, box_error **err)
{
    size_t n = map->kind[k].n;

    if (n == 0)
        return 0;
    ready->kind[k].n = n;
    ready->kind[k].first = map->kind[k].ranges[0];
    int r = box_idmap_format(map, (enum box_idmap_kind)k, &ready->kind[k].text, err);
    if (r < 0)
        return r;
    ready->kind[k].length = strlen(ready->kind[k].text);
    if (ready->kind[k].length >= (size_t)sysconf(_SC_PAGESIZE))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = kinds[k].file},
                             "the id map's text is longer than the kernel takes (one page)");
    if (!(ready->kind[k].numbers = calloc(3 * n + 1, sizeof(char *))))
        return box_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const box_idmap_range *range = &map->kind[k].ranges[i];
        const uint32_t fields[3] = {range->inside, range->outside, range->count};

        for (size_t f = 0; f < 3; f++)
            if (asprintf(&ready->kind[k].numbers[3 * i + f], "%u", fields[f]) < 0) {
                ready->kind[k].numbers[3 * i + f] = NULL;
                return box_fail_nomem(err);
            }
    }
    return 0;
}

int box_idmap_prepare(const box_idmap *map, struct box_idmap_ready *ready, box_error **err)
{
    *ready = (struct box_idmap_ready){0};
    int r = prepare_kind(map, BOX_IDMAP_UID, ready, err);
    if (r == 0)
        r = prepare_kind(map, BOX_IDMAP_GID, ready, err);
    if (r < 0)
        box_idmap_ready_clear(ready);
    return r;
}

/* ---- The helper
 * --------------------------------------------------------------------------------------------- */

static const char *find_helper(const char *name, char *path, size_t size)
{
    for (size_t i = 0; i < BOX_ARRAY(helper_dirs); i++) {
        snprintf(path, size, "%s/%s", helper_dirs[i], name);
        if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
            return path;
    }
    return NULL;
}

static int fail_no_helper(const char *name, box_error **err)
{
    return box_fail_with(
        err,
        &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                .subject = name,
                                .remedy = "install it: apt install uidmap; dnf install shadow-utils; apk add "
                                          "shadow-subids; or map the caller's own ids only"},
        "mapping ranges of ids without privilege needs a set-uid program that is not installed");
}

static int fail_helper(const char *path, int k, const struct box_spawn_result *result, box_error **err)
{
    char remedy[300], ending[64];
    const char *said = result->err && result->n_err
                           ? result->err
                           : box_spawn_describe(&result->status, ending, sizeof(ending));

    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
        snprintf(remedy, sizeof(remedy),
                 "the host program has no_new_privs set, so set-uid programs do not work");
    else
        snprintf(remedy, sizeof(remedy),
                 "the ranges asked for must be the user's own id or within a line of %s for uid %u",
                 kinds[k].subid, getuid());
    return box_fail_with(err,
                         &(struct box_fail_info){.code = BOX_EPERMISSION, .call = path, .remedy = remedy},
                         "the id map was refused: %.*s", (int)strcspn(said, "\n"), said);
}

static bool is_written(int proc, int k)
{
    char byte;
    _close_ int fd = openat(proc, kinds[k].file, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, &byte, 1) == 1;
}

static int run_helper(const struct box_idmap_ready *ready, int k, int proc, pid_t pid, box_error **err)
{
    char path[64], number[16];
    size_t n = 3 * ready->kind[k].n;
    _free_ const char **argv = calloc(n + 3, sizeof(char *));
    _cleanup_spawn_result_ struct box_spawn_result result = {.status.code = -1};
    struct box_spawn how = BOX_SPAWN_INIT;

    if (!argv)
        return box_fail_nomem(err);
    if (!find_helper(kinds[k].helper, path, sizeof(path)))
        return fail_no_helper(kinds[k].helper, err);
    snprintf(number, sizeof(number), "%d", (int)pid);
    argv[0] = kinds[k].helper;
    argv[1] = number;
    memcpy(argv + 2, ready->kind[k].numbers, n * sizeof(char *));
    how.path = path, how.argv = argv, how.new_session = true;
    int r = box_spawn_run(
        &how, &(struct box_spawn_io){.limit = HELPER_OUTPUT, .timeout_ms = HELPER_TIMEOUT_MS}, &result, err);
    if (r < 0)
        return r;
    /* A host that reaps everything may have taken the status: the map itself tells. */
    if (result.status.known ? result.status.code == 0 : is_written(proc, k))
        return 0;
    return fail_helper(path, k, &result, err);
}

/* ---- Writing
 * ------------------------------------------------------------------------------------------------ */

static int open_proc(pid_t pid, box_error **err)
{
    char path[32];
    struct statfs fs;

    snprintf(path, sizeof(path), "/proc/%d", (int)pid);
    _close_ int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return box_fail_sys(err, "open", path, "write an id map");
    if (fs.f_type != PROC_SUPER_MAGIC)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "/proc"},
                             "the host's /proc is not procfs");
    return box_take_fd(&fd);
}

/* The kernel takes a map in one write, and only once. 0 or a negative errno. */
static int write_file(int proc, const char *file, const char *text, size_t n)
{
    _close_ int fd = openat(proc, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || write(fd, text, n) < 0)
        return -errno;
    return 0;
}

static bool is_own_single_gid(const struct box_idmap_ready *ready)
{
    return ready->kind[BOX_IDMAP_GID].n == 1 && ready->kind[BOX_IDMAP_GID].first.count == 1 &&
           ready->kind[BOX_IDMAP_GID].first.outside == getegid();
}

static int write_kind(const struct box_idmap_ready *ready, int k, int proc, pid_t pid, box_error **err)
{
    const char *text = ready->kind[k].text;
    size_t n = ready->kind[k].length;

    if (!text)
        return 0;
    int r = write_file(proc, kinds[k].file, text, n);
    if (r == -EPERM && k == BOX_IDMAP_GID && is_own_single_gid(ready)) {
        /* Without privilege a process could drop a group that keeps it out of a file, so it must give that
         * up. */
        r = write_file(proc, "setgroups", "deny", 4);
        if (r == 0)
            r = write_file(proc, kinds[k].file, text, n);
    }
    if (r == -EPERM)
        return run_helper(ready, k, proc, pid, err);
    if (r == 0)
        return 0;
    char remedy[200] = "";
    if (r == -EINVAL)
        snprintf(remedy, sizeof(remedy),
                 "an id outside may not be mapped in the caller's own user namespace: see "
                 "/proc/self/%s",
                 kinds[k].file);
    return box_fail_with(
        err,
        &(struct box_fail_info){.errnum = -r, .call = "write", .subject = kinds[k].file, .remedy = remedy},
        "the kernel refused the id map");
}

int box_idmap_write(const struct box_idmap_ready *ready, pid_t pid, box_error **err)
{
    _close_ int proc = open_proc(pid, err);

    if (proc < 0)
        return proc;
    int r = write_kind(ready, BOX_IDMAP_UID, proc, pid, err);
    if (r == 0)
        r = write_kind(ready, BOX_IDMAP_GID, proc, pid, err);
    return r;
}

int box_idmap_apply(const box_idmap *map, pid_t pid, box_error **err)
{
    _cleanup_idmap_ready_ struct box_idmap_ready ready;
    int r = box_idmap_prepare(map, &ready, err);

    return r < 0 ? r : box_idmap_write(&ready, pid, err);
}

const char *box_userns_remedy(int errnum)
{
    static const struct {
        const char *path;
        long long bad;
        int errnum;
        const char *remedy;
    } switches[] = {
        {"/proc/sys/user/max_user_namespaces", 0, ENOSPC, "sysctl -w user.max_user_namespaces=15000"},
        {"/proc/sys/kernel/unprivileged_userns_clone", 0, EPERM,
         "sysctl -w kernel.unprivileged_userns_clone=1"},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1, EPERM,
         "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give the program an AppArmor profile "
         "with "
         "\"userns,\""},
        {"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", 1, EACCES,
         "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give the program an AppArmor profile "
         "with "
         "\"userns,\""},
    };
    long long value;

    for (size_t i = 0; i < BOX_ARRAY(switches); i++)
        if (switches[i].errnum == errnum && box_smallfile_number(switches[i].path, &value) == 0 &&
            value == switches[i].bad)
            return switches[i].remedy;
    if (errnum == EPERM)
        return "user namespaces are refused here: a chroot, a seccomp filter or a security module forbids "
               "them";
    return errnum == ENOSPC ? "too many user namespaces, or nested too deep (32)" : "";
}
