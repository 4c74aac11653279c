/* The process itself: terminal, descriptors, limits, ids, capabilities, filters, and the exec.
 *
 * The order is the plan's: bounding set, then ids, then capabilities, no_new_privs, Landlock, and the seccomp filter
 * last, so that each is done while the right to do it is still there and the filter need allow nothing but the exec. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <asm/statfs.h>
#include <asm/termbits.h>
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <linux/stat.h>

#include "base/resolve.h"

struct stage_winsize {
    uint16_t rows, columns, x, y;
};

/* ---- terminal -------------------------------------------------------------------------------------------------- */

static int open_ptmx(struct stage *s, const struct plan_op *op)
{
    struct statfs fs;
    int devpts = stage_slot(s, SLOT_DEVPTS);

    if (!(op->flags & PTY_HOST_PTMX) && devpts < 0) { /* in a joined container: what is mounted there, if it is one */
        devpts = (int)box_sys(openat, AT_FDCWD, "/dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (devpts >= 0 && (box_sys(fstatfs, devpts, &fs) < 0 || fs.f_type != DEVPTS_SUPER_MAGIC)) {
            box_sys(close, devpts);
            devpts = -1;
        }
    }
    s->subject = "ptmx";
    if (devpts >= 0)
        return (int)STAGE_TRY(s, openat, devpts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    s->subject = "/dev/ptmx";
    return (int)STAGE_TRY(s, openat, AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
}

/* The peer comes from the master by ioctl, never from a path in the container (CVE-2025-52565). */
STAGE_OP(PTY)
{
    struct stage_winsize size = {(uint16_t)op->num, (uint16_t)op->num2, 0, 0};
    int unlocked = 0;
    int master = STAGE_DO(open_ptmx(s, op));

    STAGE_TRY(s, ioctl, master, TIOCSPTLCK, &unlocked);
    int peer = (int)STAGE_TRY(s, ioctl, master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (size.rows || size.columns)
        STAGE_TRY(s, ioctl, master, TIOCSWINSZ, &size);
    box_sys(fchown, peer, op->num3, -1);
    if (op->flags & PTY_CONSOLE) {
        int target = box_resolve_target(stage_slot(s, SLOT_ROOT), "/dev/console", 0, NULL,
                                        s->resolve | BOX_RESOLVE_NO_SYMLINKS, NULL);
        s->call = "openat2";
        s->subject = "/dev/console";
        if (target < 0)
            return target;
        int tree = STAGE_DO(stage_open_tree(s, peer, "", OPEN_TREE_CLONE | AT_EMPTY_PATH));
        STAGE_DO(stage_move_mount(s, tree, target));
        box_sys(close, tree);
        box_sys(close, target);
    }
    if (op->flags & PTY_TO_HOST) {
        struct stage_message m = {.kind = STAGE_PTY};
        STAGE_DO(stage_send(s, &m, master));
        box_sys(close, master);
    } else { /* to the monitor, which copies what it shows to the log */
        int to_host = s->socket;
        struct stage_message m = {.kind = STAGE_PTY};

        s->socket = stage_slot(s, SLOT_CHANNEL_SEND);
        int r = stage_send(s, &m, master);
        s->socket = to_host;
        if (r < 0)
            return r;
        box_sys(close, stage_slot(s, SLOT_CHANNEL_SEND));
        stage_set_slot(s, SLOT_CHANNEL_SEND, -1);
        box_sys(close, master);
    }
    STAGE_DO(stage_set_slot(s, SLOT_CONSOLE, peer));
    for (int i = SLOT_STDIN; i <= SLOT_STDERR; i++)
        STAGE_DO(stage_set_slot(s, i, peer));
    return 0;
}

STAGE_OP(TERMINAL)
{
    (void)op;
    STAGE_TRY(s, ioctl, stage_slot(s, SLOT_CONSOLE), TIOCSCTTY, 0);
    return 0;
}

static int move_above(struct stage *s, int from, int to, int above)
{
    for (int i = from; i < to; i++) {
        int fd = stage_slot(s, i);
        if (fd < 0 || fd >= above)
            continue;
        int moved = (int)box_sys(fcntl, fd, F_DUPFD_CLOEXEC, above);
        s->call = "fcntl";
        if (moved < 0 && (moved != -EBADF || i < SLOT_ROOT || i >= SLOT_EXTRA)) /* others may be closed by now */
            return moved;
        STAGE_DO(stage_set_slot(s, i, moved < 0 ? -1 : moved));
    }
    return 0;
}

/* First what lies on a number that is wanted is copied out of the way, then each goes to its number. */
STAGE_OP(STREAMS)
{
    int above = s->n_extra > 3 ? s->n_extra : 3;

    (void)op;
    STAGE_DO(move_above(s, 1, s->n_slots, above));
    STAGE_DO(move_above(s, SLOT_EXTRA, SLOT_EXTRA + s->n_extra, above));
    if (s->socket < above)
        s->socket = (int)STAGE_TRY(s, fcntl, s->socket, F_DUPFD_CLOEXEC, above);
    for (int n = 0; n < above; n++) {
        int fd = stage_slot(s, n < 3 ? SLOT_STDIN + n : SLOT_EXTRA + n);
        if (fd >= 0)
            STAGE_TRY(s, dup3, fd, n, 0);
    }
    return 0;
}

/* ---- what is read and written through /proc --------------------------------------------------------------------- */

static int write_self(struct stage *s, const char *name, const char *text)
{
    char path[96] = "";

    stage_append_number(path, sizeof(path), box_sys(getpid));
    stage_append(path, sizeof(path), "/");
    stage_append(path, sizeof(path), name);
    int fd = box_resolve(stage_slot(s, SLOT_PROC), path, O_WRONLY | O_NOFOLLOW,
                         s->resolve | BOX_RESOLVE_BENEATH | BOX_RESOLVE_NO_SYMLINKS | BOX_RESOLVE_NO_XDEV);
    s->call = "openat2";
    s->subject = name;
    if (fd < 0)
        return fd;
    STAGE_TRY(s, write, fd, text, stage_strlen(text));
    box_sys(close, fd);
    return 0;
}

STAGE_OP(OOM_SCORE)
{
    if (op->num) /* nothing has been joined: /proc is the host's own */
        return stage_write_text(s, AT_FDCWD, "/proc/self/oom_score_adj", stage_string(s, op->str));
    return write_self(s, "oom_score_adj", stage_string(s, op->str));
}

STAGE_OP(EXEC_LABEL)
{
    char name[64] = "attr/";

    stage_append(name, sizeof(name), stage_string(s, op->str));
    return write_self(s, name, stage_string(s, op->str2));
}

/* Through the resolver, which takes no magic link: /proc/self/fd/N would lead to whatever the stage has open, wherever
 * that is (CVE-2024-21626). An image may name a working directory that it lacks: it is made, in a root of its own. */
STAGE_OP(CHDIR)
{
    const char *path = stage_string(s, op->str);
    static char now[4096];

    if (path[0] == '/' && !path[1]) { /* the root, wherever that is: nothing to be led astray by */
        STAGE_TRY(s, chdir, path);
        return 0;
    }
    int root = (int)STAGE_TRY(s, openat, AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = box_resolve(root, path, O_PATH | O_DIRECTORY, s->resolve);

    if (fd == -ENOENT && stage_slot(s, SLOT_ROOT) >= 0)
        fd = box_resolve_mkdirs(root, path, NULL, s->resolve, NULL);
    s->call = "openat2";
    box_sys(close, root);
    if (fd < 0)
        return fd;
    STAGE_TRY(s, fchdir, fd);
    box_sys(close, fd);
    /* And should it lie outside all the same, its path does not begin with a slash. */
    STAGE_TRY(s, getcwd, now, sizeof(now));
    s->call = "getcwd";
    return now[0] == '/' ? 0 : -EXDEV;
}

/* ---- limits and scheduling --------------------------------------------------------------------------------------- */

STAGE_OP(KEYRING)
{
    (void)op;
    STAGE_TRY(s, keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
    return 0;
}

STAGE_OP(RLIMIT)
{
    uint64_t limit[2] = {op->num2, op->num3};

    STAGE_TRY(s, prlimit64, 0, op->num, limit, NULL);
    return 0;
}

STAGE_OP(SCHEDULER)
{
    STAGE_TRY(s, sched_setattr, 0, s->plan + op->data, 0);
    return 0;
}

STAGE_OP(IO_PRIORITY)
{
    STAGE_TRY(s, ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, op->num);
    return 0;
}

STAGE_OP(MEMORY_POLICY)
{
    uint64_t bits = op->data_size * 8;

    STAGE_TRY(s, set_mempolicy, op->num, bits ? s->plan + op->data : NULL, bits ? bits + 1 : 0);
    return 0;
}

STAGE_OP(AFFINITY)
{
    STAGE_TRY(s, sched_setaffinity, 0, op->data_size, s->plan + op->data);
    return 0;
}

STAGE_OP(PERSONALITY)
{
    STAGE_TRY(s, personality, op->num);
    return 0;
}

STAGE_OP(UMASK)
{
    box_sys(umask, op->num);
    (void)s;
    return 0;
}

/* ---- ids and capabilities ---------------------------------------------------------------------------------------- */

STAGE_OP(BOUNDING)
{
    for (int cap = 0; cap < 64; cap++) {
        if (op->num & (1ull << cap))
            continue;
        long r = box_sys(prctl, PR_CAPBSET_DROP, cap, 0, 0, 0);
        s->call = "prctl PR_CAPBSET_DROP";
        if (r == -EINVAL)
            break; /* past the last that this kernel knows */
        if (r < 0)
            return (int)r;
    }
    return 0;
}

STAGE_OP(IDS)
{
    uint32_t n = op->data_size / sizeof(uint32_t);

    STAGE_TRY(s, prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    if (!(op->flags & IDS_KEEP_GROUPS)) {
        long r = box_sys(setgroups, n, n ? s->plan + op->data : NULL);
        s->call = "setgroups";
        int few = n == 0 || (n == 1 && *(const uint32_t *)(s->plan + op->data) == op->num2);
        if (r < 0 && !(few && r == -EPERM)) /* a user namespace with one id has no groups to set */
            return (int)r;
    }
    STAGE_TRY(s, setresgid, op->num2, op->num2, op->num2);
    STAGE_TRY(s, setresuid, op->num, op->num, op->num);
    STAGE_TRY(s, prctl, PR_SET_KEEPCAPS, 0, 0, 0, 0);
    return 0;
}

STAGE_OP(CAPABILITIES)
{
    const struct plan_caps *caps = (const struct plan_caps *)(s->plan + op->data);
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)caps->effective, (uint32_t)caps->permitted, (uint32_t)caps->inheritable},
        {(uint32_t)(caps->effective >> 32), (uint32_t)(caps->permitted >> 32), (uint32_t)(caps->inheritable >> 32)},
    };

    box_sys(prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (op->num) { /* only take back what carried the capabilities over the exec of the stage */
        STAGE_TRY(s, capget, &header, data);
        data[0].inheritable = data[1].inheritable = 0;
    }
    STAGE_TRY(s, capset, &header, data);
    for (int cap = 0; cap < 64; cap++)
        if (caps->ambient & (1ull << cap))
            STAGE_TRY(s, prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0);
    return 0;
}

STAGE_OP(NO_NEW_PRIVS)
{
    (void)op;
    STAGE_TRY(s, prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return 0;
}

/* ---- Landlock and seccomp ----------------------------------------------------------------------------------------- */

STAGE_OP(LANDLOCK)
{
    int fd = (int)STAGE_TRY(s, landlock_create_ruleset, s->plan + op->data, op->data_size, 0);

    return stage_set_slot(s, op->slot, fd);
}

STAGE_OP(LANDLOCK_PATH)
{
    struct {
        uint64_t access;
        int32_t fd;
    } __attribute__((packed)) rule = {op->num, -1};
    struct stat st;
    int own = !op->slot2;

    rule.fd = own ? (int)STAGE_TRY(s, openat, AT_FDCWD, stage_string(s, op->str), O_PATH | O_CLOEXEC)
                  : stage_slot(s, op->slot2);
    STAGE_TRY(s, newfstatat, rule.fd, "", &st, AT_EMPTY_PATH);
    if (!S_ISDIR(st.st_mode)) /* rights that only directories have are EINVAL on a file */
        rule.access &= op->num2;
    STAGE_TRY(s, landlock_add_rule, stage_slot(s, op->slot), 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0);
    if (own)
        box_sys(close, rule.fd);
    return 0;
}

STAGE_OP(LANDLOCK_PORT)
{
    uint64_t rule[2] = {op->num2, op->num}; /* access, port */

    STAGE_TRY(s, landlock_add_rule, stage_slot(s, op->slot), 2 /* LANDLOCK_RULE_NET_PORT */, rule, 0);
    return 0;
}

STAGE_OP(LANDLOCK_RESTRICT)
{
    STAGE_TRY(s, landlock_restrict_self, stage_slot(s, op->slot), op->num);
    return 0;
}

/* As execvp(3): the program in the next directory of PATH. An empty component would be the working directory: never. */
static int next_candidate(const char **path, const char *program, char *buffer, size_t size)
{
    while (**path) {
        size_t n = 0;
        while (**path && **path != ':' && n < size - 2)
            buffer[n++] = *(*path)++;
        while (**path && **path != ':')
            ++*path;
        if (**path)
            ++*path;
        if (!n)
            continue;
        buffer[n++] = '/';
        buffer[n] = 0;
        stage_append(buffer, size, program);
        return 1;
    }
    return 0;
}

/* A filter that is in force already need not let these calls through: then only the exec can tell. */
static int or_unknown(long r)
{
    return r == -EPERM || r == -ENOSYS ? 0 : (int)r;
}

/* As the process that is going to execute it sees it; EACCES for what is there and may not be run. */
static int can_run(const char *path)
{
    struct stat st = {.st_mode = S_IFREG};
    int r = or_unknown(box_sys(newfstatat, AT_FDCWD, path, &st, 0));

    if (r < 0)
        return r;
    if ((st.st_mode & S_IFMT) != S_IFREG)
        return -EACCES;
    return or_unknown(box_sys(faccessat2, AT_FDCWD, path, 1 /* X_OK */, AT_EACCESS));
}

STAGE_OP(FIND_PROGRAM)
{
    static char buffer[4096];
    const char *program = stage_string(s, op->str), *path = stage_string(s, op->str2);
    int result = -ENOENT;

    s->call = "stat";
    for (const char *p = program; *p; p++)
        if (*p == '/')
            return can_run(program);
    while (next_candidate(&path, program, buffer, sizeof(buffer))) {
        int r = can_run(buffer);
        if (r == 0)
            return 0;
        if (r == -EACCES)
            result = r;
    }
    return result;
}

/* From here on nobody may be left to talk to: whoever created the container need not be who starts it. */
STAGE_OP(HOLD)
{
    struct stage_message m = {.kind = STAGE_HELD, .value = s->applied};
    char go;

    (void)op;
    STAGE_DO(stage_send(s, &m, -1));
    box_sys(close, s->socket);
    s->socket = -1;
    long n = STAGE_TRY(s, read, stage_slot(s, SLOT_HOLD), &go, 1);
    stage_close_slot(s, SLOT_HOLD);
    return n == 1 ? 0 : -ECANCELED;
}

static int ready(struct stage *s)
{
    struct stage_message m = {.kind = STAGE_READY, .value = s->applied};

    return stage_send(s, &m, -1);
}

STAGE_OP(SECCOMP)
{
    struct sock_fprog program = {(unsigned short)(op->data_size / sizeof(struct sock_filter)),
                                 (struct sock_filter *)(uintptr_t)(s->plan + op->data)};
    uint64_t flags = op->num;

    if (op->flags & SECCOMP_SEND_LISTENER)
        flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long fd = STAGE_TRY(s, seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (op->flags & SECCOMP_SEND_LISTENER) {
        struct stage_message m = {.kind = STAGE_LISTENER};
        STAGE_DO(stage_send(s, &m, (int)fd));
        box_sys(close, fd);
    }
    return 0;
}

/* ---- exec -------------------------------------------------------------------------------------------------------- */

/* The strings of the plan as a vector of pointers: in `few` when they fit, otherwise on fresh pages. */
int stage_vector(struct stage *s, uint32_t offset, uint32_t n, const char **few, const char ***out)
{
    const char **v = few, *p = stage_string(s, offset);

    if (n >= FEW_STRINGS)
        v = (const char **)STAGE_TRY(s, mmap, NULL, ((uint64_t)n + 1) * sizeof(char *), PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (uint32_t i = 0; i < n; i++) {
        v[i] = p;
        p += stage_strlen(p) + 1;
    }
    v[n] = NULL;
    *out = v;
    return 0;
}

/* A file that may not be run is remembered, and the search goes on. */
static int search(struct stage *s, const char *path, const char *program, const char **args, const char **env)
{
    static char buffer[4096];
    int result = -ENOENT;

    while (next_candidate(&path, program, buffer, sizeof(buffer))) {
        long r = box_sys(execve, buffer, args, env);
        if (r != -ENOENT && r != -ENOTDIR)
            result = (int)r;
        if (result != -ENOENT && result != -EACCES) {
            s->subject = buffer;
            return result;
        }
    }
    return result;
}

STAGE_OP(EXEC)
{
    const struct plan_exec *exec = (const struct plan_exec *)(s->plan + op->data);
    const char *program = stage_string(s, op->str), **args, **env;
    const char *few_args[FEW_STRINGS], *few_env[FEW_STRINGS];
    uint64_t none = 0;
    int has_slash = 0;

    STAGE_DO(stage_vector(s, exec->args, exec->n_args, few_args, &args));
    STAGE_DO(stage_vector(s, exec->env, exec->n_env, few_env, &env));
    for (const char *p = program; *p; p++)
        has_slash |= *p == '/';
    STAGE_DO(ready(s));
    box_sys(rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, sizeof(none));
    s->call = "execve";
    if (exec->program_slot)
        return (int)box_sys(execveat, stage_slot(s, (int)exec->program_slot), "", args, env, AT_EMPTY_PATH);
    if (!has_slash && exec->path)
        return search(s, stage_string(s, exec->path), program, args, env);
    long r = box_sys(execve, program, args, env);
    if (r == -ENOENT && box_sys(faccessat, AT_FDCWD, program, 0) == 0)
        s->call = "execve: its interpreter";
    return (int)r;
}
