/* The plan: what the library writes and the stage carries out.
 *
 * One block of memory in a sealed memory file, position-independent: a header, the list of operations, then the bytes
 * that they refer to by offset from the start of the block (0: none). Strings end in NUL. The stage maps it read-only;
 * nothing in it is a pointer.
 *
 * Descriptors are named by *slot*, an index into a table of the stage's. Some slots are filled by the host at the
 * start (the stage's argument says which of its inherited descriptors is which slot), the others by operations.
 *
 * The two programs are always built from one tree, so the version only catches an installed stage of another build. */
#ifndef BOX_LAUNCH_PLAN_FORMAT_H
#define BOX_LAUNCH_PLAN_FORMAT_H

#include <stdint.h>

#define PLAN_MAGIC    0x314e4c50u /* "PLN1" */
#define PLAN_VERSION  1u
#define PLAN_SLOTS    2048
#define SLOT_EXTRA    1024 /* slot SLOT_EXTRA + n is what the payload gets as its descriptor n, from 3 on */
#define PLAN_NO_SLOT  0
#define PLAN_MAX_SIZE (64u << 20)

/* Slots that every start has. */
enum plan_fixed_slot {
    SLOT_STDIN = 1, /* the standard streams: their number plus one */
    SLOT_STDOUT,
    SLOT_STDERR,
    SLOT_ROOT,    /* the new root's mount */
    SLOT_PROC,    /* a private procfs, detached: labels, sysctls and oom_score_adj are written through it alone */
    SLOT_NULL,    /* a /dev/null that libbox made or verified */
    SLOT_EMPTY,   /* an empty read-only tmpfs, for masking directories */
    SLOT_DEVPTS,  /* the container's devpts */
    SLOT_DEV,     /* the container's /dev */
    SLOT_CONSOLE, /* the pty peer */
    SLOT_CHANNEL, /* the monitor's end of a socket over which the terminal's master comes, and the other end */
    SLOT_CHANNEL_SEND,
    SLOT_STATE,   /* the monitor's directory */
    SLOT_LOG,     /* where the monitor copies a terminal's output */
    SLOT_TARGET,  /* the mount target that was resolved last */
    SLOT_MOUNT,   /* the mount in hand */
    SLOT_INTO,    /* the v2 cgroup that the process which goes on is cloned into */
    SLOT_CGROUP,  /* 16 slots, BOX_CGROUP_ENTRY_MAX: v1 cgroups, entered by writing */
    SLOT_TASKS = SLOT_CGROUP + 16, /* 2 slots: groups of resctrl, the same way */
    SLOT_REPORT = SLOT_TASKS + 2, /* where an init tells how the payload ended */
    SLOT_HOLD,    /* a descriptor to read one byte from before the payload is executed */
    SLOT_JOIN,    /* a pidfd whose namespaces are joined */
    SLOT_JOIN_USER, /* the link /proc/PID/ns/user of that process, O_PATH */
    SLOT_HOOK_STATE, /* a memory file with the state that hooks read */
    SLOT_FREE,    /* the first that a plan may use as it likes, up to SLOT_EXTRA */
};

/* X(name, what a person reads when the step fails) */
#define PLAN_OPS(X)                                                                                                    \
    X(SETSID, "leave the session of the host")                                                                                       \
    X(NONDUMPABLE, "close /proc to others")                                                                            \
    X(CGROUP, "enter the cgroup")                                                                                      \
    X(SETNS, "join a namespace")                                                                                       \
    X(VERIFY_USER, "make sure whose process was joined")                                                               \
    X(UNSHARE, "make a namespace")                                                                                     \
    X(FORK, "start the process in its namespaces")                                                                     \
    X(WAIT_MAPS, "wait for the id maps")                                                                               \
    X(BECOME_ROOT, "become root in the user namespace")                                                                \
    X(TIME_OFFSETS, "set the clock offsets")                                                                           \
    X(HOSTNAME, "set the host name")                                                                                   \
    X(DOMAINNAME, "set the domain name")                                                                               \
    X(LOOPBACK, "bring the loopback interface up")                                                                     \
    X(PROPAGATION, "change mount propagation")                                                                         \
    X(OPEN_SOURCE, "open a mount's source")                                                                            \
    X(NEW_FS, "mount")                                                                                                 \
    X(OVERLAY, "mount the overlay root")                                                                               \
    X(SETATTR, "set mount attributes")                                                                                 \
    X(MOUNT_SETATTR, "change a mount that is there")                                                                   \
    X(RECONFIGURE, "change a file system that is mounted")                                                             \
    X(IDMAP, "map the ids of a mount")                                                                                 \
    X(ATTACH_ROOT, "attach the root")                                                                                  \
    X(TARGET, "find the mount target")                                                                                 \
    X(ATTACH, "attach the mount")                                                                                      \
    X(COPY_UP, "copy a directory into its tmpfs")                                                                      \
    X(MKNOD, "make a device")                                                                                          \
    X(SYMLINK, "make a link")                                                                                          \
    X(CGROUP_VIEW, "mount the cgroup view")                                                                            \
    X(NULL_DEVICE, "get /dev/null")                                                                                    \
    X(PRIVATE_PROC, "open a private procfs")                                                                           \
    X(PTY, "open a terminal")                                                                                          \
    X(MASK, "mask a path")                                                                                             \
    X(READONLY_PATH, "make a path read-only")                                                                          \
    X(SYSCTL, "set a sysctl")                                                                                          \
    X(PIVOT, "change to the new root")                                                                                 \
    X(ROOT_READONLY, "make the root read-only")                                                                        \
    X(OOM_SCORE, "set the OOM score")                                                                                  \
    X(CHDIR, "change to the working directory")                                                                        \
    X(KEYRING, "make a session keyring")                                                                               \
    X(RLIMIT, "set a resource limit")                                                                                  \
    X(SCHEDULER, "set the scheduler")                                                                                  \
    X(IO_PRIORITY, "set the I/O priority")                                                                             \
    X(MEMORY_POLICY, "set the memory policy")                                                                          \
    X(AFFINITY, "set the CPU affinity")                                                                                \
    X(PERSONALITY, "set the personality")                                                                              \
    X(EXEC_LABEL, "set the security label")                                                                            \
    X(INIT, "start the init")                                                                                          \
    X(TERMINAL, "take the terminal")                                                                                   \
    X(STREAMS, "hand over the descriptors")                                                                            \
    X(UMASK, "set the umask")                                                                                          \
    X(BOUNDING, "drop capabilities from the bounding set")                                                             \
    X(IDS, "change to the user")                                                                                       \
    X(CAPABILITIES, "set the capabilities")                                                                            \
    X(NO_NEW_PRIVS, "set no_new_privs")                                                                                \
    X(LANDLOCK, "make the Landlock ruleset")                                                                           \
    X(LANDLOCK_PATH, "add a Landlock path")                                                                            \
    X(LANDLOCK_PORT, "add a Landlock port")                                                                            \
    X(LANDLOCK_RESTRICT, "restrict with Landlock")                                                                     \
    X(HOST, "wait for the host's part")                                                                                \
    X(HOOK, "run a hook")                                                                                              \
    X(FIND_PROGRAM, "find the program")                                                                                \
    X(HOLD, "wait to be started")                                                                                      \
    X(SECCOMP, "load the seccomp filter")                                                                              \
    X(EXEC, "execute the program")

enum plan_op_code {
    OP_NONE,
#define X(name, text) OP_##name,
    PLAN_OPS(X)
#undef X
        OP_COUNT,
};

#define PLAN_OP_OPTIONAL 1u /* a failure is noted, not fatal */
#define PLAN_OP_DROPS    2u /* and it takes the slot with it: no later step of the same mount may succeed by half */
/* The higher bits of `flags` belong to the operation. */
#define PLAN_OP_FLAG(n) (1u << (8 + (n)))

struct plan_op {
    uint16_t code;
    uint16_t applied; /* bit number + 1 of enum box_applied that this step, done, stands for; 0: none */
    uint32_t flags;
    int32_t slot, slot2;
    uint32_t str, str2; /* offsets of strings */
    uint32_t data, data_size;
    uint64_t num, num2, num3, num4;
};

struct plan_header {
    uint32_t magic, version;
    uint32_t size;
    uint32_t n_ops;
    uint32_t ops;
    uint32_t reserved[3];
};

/* What is special to one start of a plan is the stage's argument: numbers with commas between them. First the
 * descriptors of the socket and of the file that holds the plan, the plan's offset and size in that, and features; then
 * pairs of a slot and its descriptor. */
#define STAGE_ARGUMENT "%d,%d,%u,%u,%u" /* then ",SLOT,FD" for each */
#define STAGE_MAX_FDS  1200
struct stage_fd {
    int32_t slot;
    int32_t fd;
};
#define STAGE_NO_OPENAT2 1u /* features: parts that a test takes away */

/* From the stage to the host. */
enum stage_message_kind {
    STAGE_FAILED = 1, /* op, errnum, call, subject: the step that failed; the stage is gone after it */
    STAGE_FORKED,     /* value: the pid of the process that goes on; with a pidfd attached */
    STAGE_PTY,        /* with the master attached */
    STAGE_LISTENER,   /* with the seccomp listener attached */
    STAGE_HELD,       /* all is set up; the stage waits to be started, and says no more. value as of STAGE_READY */
    STAGE_LOOPBACK,   /* with a socket of the new network namespace attached, by the child before it is the stage */
    STAGE_HOST,       /* value: enum stage_host_part, which the host does before it sends its go */
    STAGE_READY,      /* the next thing is exec; value: bits of what was applied. End of file then means success */
};
struct stage_message {
    uint32_t kind;
    uint32_t op;
    int32_t errnum;
    uint32_t pad;
    int64_t value;
    char call[24];
    char subject[200];
};
/* From the host to the stage: one byte, after the id maps are written, and after each part that it asked for. */
#define STAGE_GO 'g'
/* The same after it has brought the loopback interface up, or has to leave that to the stage. */
#define STAGE_GO_ALONE 'a'
enum stage_host_part {
    HOST_CREATE = 1, /* run the hooks of the host's side; "creating" is the state for those of the stage's */
    HOST_START = 2,  /* "created" is the state from here on */
    HOST_DEVICES = 3, /* move network devices here; a netlink socket of the stage's comes along */
};

/* SETSID: num = 1: a process group of its own without a controlling terminal will do */
/* VERIFY_USER: slot = a link to a user namespace, str = what it must say */
/* LOOPBACK: num = 1: the host does it, by way of STAGE_LOOPBACK; wait for its word */
/* FORK: num = clone flags; one of */
#define FORK_PARENT_EXITS   PLAN_OP_FLAG(0) /* the new process becomes the host's child (CLONE_PARENT) */
#define FORK_PARENT_MONITOR PLAN_OP_FLAG(1) /* the parent stays to record how the process ended */
#define FORK_INTO_CGROUP    PLAN_OP_FLAG(2) /* the new process is born in SLOT_INTO, when there is one */
#define FORK_PARENT_WAITS   PLAN_OP_FLAG(3) /* the parent stays as that of all that follow, and reports as an init does */
/* OPEN_SOURCE: slot = result, str = path (or slot2: a descriptor), num = open_tree flags; */
#define SOURCE_BY_NAME PLAN_OP_FLAG(0) /* slot2 belongs to another mount namespace: what has its name here, if it is the same */
/* NEW_FS: slot = result, str = type, str2 = source, data = pairs "key\0value\0" ("key\0\0" is a flag), num = attrs */
/* OVERLAY: slot = result, data = paths, or "#" and the slot of a mount, the topmost first, each with NUL; str = upper, str2 = work (0: read-only);
 * num = attrs, num2 = size of a scratch upper on tmpfs, num3 and num4 = ids to make it with (OVERLAY_IDMAP) */
#define OVERLAY_USERXATTR PLAN_OP_FLAG(0)
#define OVERLAY_SCRATCH   PLAN_OP_FLAG(1)
#define OVERLAY_VOLATILE  PLAN_OP_FLAG(2)
#define OVERLAY_IDMAP     PLAN_OP_FLAG(3) /* slot2 = user namespace */
#define OVERLAY_DETACHED  PLAN_OP_FLAG(4) /* nothing may be attached: the mount namespace is the host's */
#define OVERLAY_CONTEXT   PLAN_OP_FLAG(5) /* the last string of data is SELinux's context of the files */
/* SETATTR: slot, num = set, num2 = clear, num3 = propagation; MOUNT_SETATTR: the same of the mount at the path str */
#define SETATTR_RECURSIVE PLAN_OP_FLAG(0)
/* RECONFIGURE: str = path of a mount, data = pairs as of NEW_FS */
/* TARGET: str = path in the root; result in SLOT_TARGET */
#define TARGET_DIRECTORY   PLAN_OP_FLAG(0) /* make a directory when it is missing; otherwise a file */
#define TARGET_LIKE_SOURCE PLAN_OP_FLAG(1) /* as SLOT_MOUNT is */
#define TARGET_PROC        PLAN_OP_FLAG(2) /* must not be reached by a link */
#define TARGET_SHUN_PROC   PLAN_OP_FLAG(3) /* no procfs, unless the mount in `slot` is a file or a procfs itself */
/* ATTACH: slot onto SLOT_TARGET */
#define PIVOT_CHROOT PLAN_OP_FLAG(0) /* chroot(2) in place of pivot_root(2) */
/* COPY_UP: slot, filled with what the directory SLOT_TARGET holds; str for errors */
#define COPY_VOLUME PLAN_OP_FLAG(0) /* only when it is empty, and with the directory's own mode and owner */
/* MKNOD: str = name in SLOT_DEV (or a path in the root, DEVICE_PATH), num = mode, num2 = dev, num3 = uid, num4 = gid */
#define DEVICE_PATH PLAN_OP_FLAG(0)
#define DEVICE_BIND PLAN_OP_FLAG(1) /* bind the host's, str2 = the host's path, which must be that device */
/* SYMLINK: str = target, str2 = path in the root */
/* PTY: num = rows, num2 = columns, num3 = uid of the owner */
#define PTY_TO_HOST    PLAN_OP_FLAG(0)
#define PTY_TO_MONITOR PLAN_OP_FLAG(1)
#define PTY_CONSOLE    PLAN_OP_FLAG(2) /* bind it over /dev/console */
#define PTY_HOST_PTMX  PLAN_OP_FLAG(3) /* from the host's /dev/ptmx: there is no devpts of the container's */
/* STREAMS: slots 1 to 3, and those from SLOT_EXTRA + 3 on, become the descriptors of these numbers */
/* IDS: num = uid, num2 = gid, data = gids (uint32_t) */
#define IDS_KEEP_GROUPS PLAN_OP_FLAG(0)
/* CAPABILITIES: data = struct plan_caps */
struct plan_caps { /* bit masks of CAP_* */
    uint64_t bounding, effective, permitted, inheritable, ambient;
};
/* LANDLOCK: slot = ruleset, data = struct landlock_ruleset_attr; LANDLOCK_PATH: str, num = access;
 * LANDLOCK_PORT: num = port, num2 = access; LANDLOCK_RESTRICT: num = flags */
/* MEMORY_POLICY: num = mode and flags of set_mempolicy(2), data = mask of nodes */
/* HOST: num = enum stage_host_part */
/* HOOK: str = program, str2 = its field, data = struct plan_exec, num = timeout in seconds (0: none), num2 = offset of a filter for the
 * hook alone (0: none), num3 = its size in bytes, num4 = its flags */
/* SECCOMP: data = filter (struct sock_filter[]), num = flags of seccomp(2) */
#define SECCOMP_SEND_LISTENER PLAN_OP_FLAG(0)
/* EXEC: str = program, data = struct plan_exec */
struct plan_exec {
    uint32_t n_args, n_env;
    uint32_t args, env;    /* offsets of NUL-separated strings */
    uint32_t path;         /* offset of the PATH to search, or 0 */
    uint32_t program_slot; /* slot of a descriptor to execute instead, or 0 */
};

#endif
