/* Control groups: what a set of processes may use, what it has used, and how to stop or end it as a whole.
 *
 * One interface over the three arrangements that hosts have: cgroup v2 alone, v1 (one hierarchy a
 * controller), and hybrid (v1 controllers with a v2 hierarchy beside them). See cgroups(7), the kernel's
 * admin-guide/cgroup-v2.rst and admin-guide/cgroup-v1/, and the OCI runtime specification, config-linux.md,
 * "Control groups".
 *
 * Three objects:
 *     box_limits        a builder of limits, every field optional; the same as OCI's `linux.resources`
 *     box_cgroup_host   what this host offers: which hierarchies, where, which controllers
 *     box_cgroup        one cgroup, in every hierarchy that it needs
 *
 * Thread rules: a box_cgroup_host does not change once made, and any number of threads may use one at the
 * same time. A box_limits and a box_cgroup are for one thread at a time; separate handles are independent,
 * also when they name the same cgroup.
 */
#ifndef LIBBOX_CGROUP_H
#define LIBBOX_CGROUP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_limits box_limits;
typedef struct box_cgroup_host box_cgroup_host;
typedef struct box_cgroup box_cgroup;

/* ---- limits -------------------------------------------------------------------------------------------- */

/* Limits that are one number. Where "unlimited" exists it is -1. The numbers of this enumeration are stable.
 *
 * The ones marked [v2] have no field of their own in OCI's resources: they are kept as entries of its
 * `unified` map (named in brackets), so box_limits_raw() sees them too. */
enum box_limit {
    /* Share of the CPU under contention, as v1 and OCI count it: 2..262144, 1024 is the default; 0 is the
     * same as unset, here and for the limits below whose range does not hold it, since engines write it so.
     * On v2 converted as OCI says: weight = 1 + (shares - 2) * 9999 / 262142. */
    BOX_LIMIT_CPU_SHARES = 0,
    /* The same as v2 counts it: 1..10000, 100 is the default [v2 cpu.weight]; wins over shares. On v1
       converted. */
    BOX_LIMIT_CPU_WEIGHT = 1,
    /* Microseconds of CPU time in each period, at least 1000; -1 unlimited. */
    BOX_LIMIT_CPU_QUOTA = 2,
    /* Microseconds, 1000..1000000; the kernel's default is 100000. */
    BOX_LIMIT_CPU_PERIOD = 3,
    /* Microseconds of unused quota that may be saved up for a burst; at most the quota. */
    BOX_LIMIT_CPU_BURST = 4,
    /* Microseconds of realtime scheduling in each realtime period; v1 with CONFIG_RT_GROUP_SCHED only. */
    BOX_LIMIT_CPU_RT_RUNTIME = 5,
    BOX_LIMIT_CPU_RT_PERIOD = 6,
    /* 1: run only when nothing else wants the CPU (SCHED_IDLE for the group); 0: not. */
    BOX_LIMIT_CPU_IDLE = 7,

    /* Bytes; beyond it the kernel reclaims, then OOM-kills. -1 unlimited. Docker's --memory. */
    BOX_LIMIT_MEMORY_MAX = 8,
    /* Bytes that are protected best-effort (v2 memory.low) or reclaimed down to under pressure (v1 soft
     * limit). OCI's reservation, Docker's --memory-reservation. */
    BOX_LIMIT_MEMORY_LOW = 9,
    /* Bytes of memory and swap TOGETHER, as Docker's --memory-swap and OCI's memory.swap count: -1 unlimited
     * swap; equal to MEMORY_MAX, no swap. Needs MEMORY_MAX, unless -1. On v2: swap.max = this - MEMORY_MAX.
     */
    BOX_LIMIT_MEMORY_AND_SWAP = 10,
    /* Bytes of swap ALONE, as v2 counts [v2 memory.swap.max]; -1 unlimited; wins over MEMORY_AND_SWAP. On v1
     * converted: memsw = MEMORY_MAX + this. */
    BOX_LIMIT_SWAP_MAX = 11,
    /* Bytes beyond which the group is throttled and reclaimed from, without OOM kills [v2 memory.high]; -1
       none. */
    BOX_LIMIT_MEMORY_HIGH = 12,
    /* Bytes that are never reclaimed [v2 memory.min]. */
    BOX_LIMIT_MEMORY_MIN = 13,
    /* 1: an OOM kill takes the whole group [v2 memory.oom.group]. */
    BOX_LIMIT_MEMORY_OOM_GROUP = 14,
    /* 0..100; v1 only. */
    BOX_LIMIT_MEMORY_SWAPPINESS = 15,
    /* 1: processes at the limit wait instead of being killed; v1 only. */
    BOX_LIMIT_MEMORY_OOM_KILL_DISABLE = 16,
    /* 1: an update that lowers MEMORY_MAX below what is in use fails instead of reclaiming and killing. */
    BOX_LIMIT_MEMORY_CHECK_BEFORE_UPDATE = 17,
    /* OCI's deprecated kernel memory limit: carried in JSON, not applied (kernels since 5.16 refuse it). */
    BOX_LIMIT_MEMORY_KERNEL = 18,
    /* Bytes of TCP buffers; v1 only. */
    BOX_LIMIT_MEMORY_KERNEL_TCP = 19,
    /* OCI's useHierarchy: carried in JSON, not applied (always 1 since kernel 5.11). */
    BOX_LIMIT_MEMORY_USE_HIERARCHY = 20,

    /* Processes and threads together; -1 unlimited. 0 allows no fork at all. */
    BOX_LIMIT_PIDS_MAX = 21,

    /* 10..1000, OCI's blockIO.weight, Docker's --blkio-weight. On v2: io.bfq.weight, or io.weight = 1 + (w -
     * 10) * 9999 / 990. */
    BOX_LIMIT_IO_WEIGHT = 22,
    /* 10..1000; v1 with the CFQ scheduler (kernels before 5.0) only: carried in JSON, not applied elsewhere.
     */
    BOX_LIMIT_IO_LEAF_WEIGHT = 23,

    /* 32-bit class id of the packets that the group sends; v1 net_cls only. */
    BOX_LIMIT_NET_CLASS_ID = 24
};
#define BOX_LIMIT_COUNT 25

/* Access of a device rule. */
enum box_device_access { BOX_DEVICE_READ = 1, BOX_DEVICE_WRITE = 2, BOX_DEVICE_MKNOD = 4 };

/* One device rule. Rules are read in order and the last that matches decides; what none matches is allowed,
 * so a list that restricts begins with "deny everything" ({0, 'a', -1, -1, 7}). */
struct box_device_rule {
    int allow;     /* 1 allow, 0 deny */
    char type;     /* 'a' all, 'b' block, 'c' or 'u' character, 'p' FIFO (no effect); 0 is the same as 'a' */
    int64_t major; /* -1 any */
    int64_t minor; /* -1 any */
    unsigned access; /* of BOX_DEVICE_*; 0 is the same as all three */
};

enum box_io_rate_kind {
    BOX_IO_READ_BPS = 0, /* bytes a second */
    BOX_IO_WRITE_BPS = 1,
    BOX_IO_READ_IOPS = 2, /* operations a second */
    BOX_IO_WRITE_IOPS = 3
};

/* How fast one block device may be used; rate 0 removes the limit (as v1 has it). */
struct box_io_rate {
    int kind; /* enum box_io_rate_kind */
    int64_t major, minor;
    uint64_t rate;
};

/* Weight of one block device, 10..1000; -1: not set. */
struct box_io_weight {
    int64_t major, minor;
    int64_t weight, leaf_weight;
};

struct box_hugetlb_limit {
    const char *page_size; /* as the kernel writes it: "64KB", "2MB", "1GB" */
    uint64_t bytes;
};

struct box_rdma_limit {
    const char *device;       /* "mlx5_1" */
    int64_t handles, objects; /* -1: not set */
};

/* Priority of the packets that the group sends by one interface; v1 net_prio only. */
struct box_net_priority {
    const char *interface;
    uint32_t priority;
};

/* An entry of OCI's `unified` map: a file of the v2 cgroup directory and what is written to it. */
struct box_raw_limit {
    const char *file;
    const char *value;
};

/* An empty set of limits, to be freed with box_limits_free(). BOX_ENOMEM. */
BOX_API box_limits *box_limits_new(box_error **err);
/* A copy that shares nothing with the original. NULL copies to an empty set. BOX_ENOMEM. */
BOX_API box_limits *box_limits_copy(const box_limits *limits, box_error **err);
/* NULL is allowed. */
BOX_API void box_limits_free(box_limits *limits);

/* Sets one number (see enum box_limit for units). BOX_EINVAL for a number that is no limit; BOX_ESPEC, naming
 * the OCI field, when the value is out of the range above. */
BOX_API int box_limits_set(box_limits *limits, enum box_limit limit, int64_t value, box_error **err);
/* Reads one number. Returns 1 and stores it when it is set, otherwise 0. `value` may be NULL. */
BOX_API int box_limits_get(const box_limits *limits, enum box_limit limit, int64_t *value);
/* Makes a number unset again. */
BOX_API void box_limits_unset(box_limits *limits, enum box_limit limit);
/* Docker's --cpus: sets the quota to `cpus` times the period (100 ms when the period is unset). BOX_ESPEC
 * below 0.01. */
BOX_API int box_limits_set_cpus(box_limits *limits, double cpus, box_error **err);

/* CPUs and memory nodes that may be used, in list format ("0-3,7"; cpuset(7), "List format"). NULL unsets;
 * both are copied. BOX_ESPEC when malformed. */
BOX_API int box_limits_set_cpuset_cpus(box_limits *limits, const char *cpus, box_error **err);
BOX_API int box_limits_set_cpuset_mems(box_limits *limits, const char *mems, box_error **err);
/* NULL when unset; owned by the limits. */
BOX_API const char *box_limits_cpuset_cpus(const box_limits *limits);
BOX_API const char *box_limits_cpuset_mems(const box_limits *limits);

/* Appends a device rule. BOX_ESPEC when the type or access is none of the above. */
BOX_API int box_limits_add_device(box_limits *limits, const struct box_device_rule *rule, box_error **err);
/* Appends Docker's default rules: deny everything; allow mknod of any device; allow /dev/null, zero, full,
 * random, urandom, tty, console, ptmx and the terminals of /dev/pts. */
BOX_API int box_limits_add_default_devices(box_limits *limits, box_error **err);
/* Removes all device rules. */
BOX_API void box_limits_clear_devices(box_limits *limits);

/* The following replace an entry for the same key, or add one. Strings are copied. BOX_ESPEC when out of
 * range. */
BOX_API int box_limits_set_io_rate(box_limits *limits, const struct box_io_rate *rate, box_error **err);
BOX_API int box_limits_set_io_weight(box_limits *limits, const struct box_io_weight *weight, box_error **err);
BOX_API int box_limits_set_hugetlb(box_limits *limits, const char *page_size, uint64_t bytes,
                                   box_error **err);
BOX_API int box_limits_set_rdma(box_limits *limits, const char *device, int64_t handles, int64_t objects,
                                box_error **err);
BOX_API int box_limits_set_net_priority(box_limits *limits, const char *interface, uint32_t priority,
                                        box_error **err);
/* An entry of the `unified` map. BOX_ESPEC when `file` is not the plain name of an interface file that may be
 * set
 * ("CONTROLLER.NAME", no slash; not cgroup.procs, cgroup.threads, cgroup.kill, cgroup.freeze, cgroup.type or
 * cgroup.subtree_control, which are not limits). */
BOX_API int box_limits_set_raw(box_limits *limits, const char *file, const char *value, box_error **err);
/* The value of an entry of the `unified` map, or NULL. Owned by the limits. */
BOX_API const char *box_limits_raw(const box_limits *limits, const char *file);

/* The entries by index, from 0; NULL past the last one. Owned by the limits, valid until the next change. */
BOX_API const struct box_device_rule *box_limits_device_at(const box_limits *limits, size_t index);
BOX_API const struct box_io_rate *box_limits_io_rate_at(const box_limits *limits, size_t index);
BOX_API const struct box_io_weight *box_limits_io_weight_at(const box_limits *limits, size_t index);
BOX_API const struct box_hugetlb_limit *box_limits_hugetlb_at(const box_limits *limits, size_t index);
BOX_API const struct box_rdma_limit *box_limits_rdma_at(const box_limits *limits, size_t index);
BOX_API const struct box_net_priority *box_limits_net_priority_at(const box_limits *limits, size_t index);
BOX_API const struct box_raw_limit *box_limits_raw_at(const box_limits *limits, size_t index);

/* Lays `update` over `limits`: what is set there replaces, what is unset there stays. Entries of lists are
 * replaced by key; device rules are replaced as a whole when `update` has any. On failure `limits` is
 * unchanged. BOX_ENOMEM. */
BOX_API int box_limits_merge(box_limits *limits, const box_limits *update, box_error **err);

/* CPU shares to weight and back (the formula above; clamped to the target's range; 0 stays 0, "not set"). */
BOX_API uint64_t box_cpu_shares_to_weight(uint64_t shares);
BOX_API uint64_t box_cpu_weight_to_shares(uint64_t weight);
/* blockIO weight (10..1000) to io.weight (1..10000); 0 stays 0. */
BOX_API uint64_t box_io_weight_to_v2(uint64_t weight);

/* ---- the host ------------------------------------------------------------------------------------------ */

enum box_cgroup_mode {
    BOX_CGROUP_MODE_NONE = 0,   /* no cgroup file system is mounted here */
    BOX_CGROUP_MODE_V1 = 1,     /* v1 hierarchies only */
    BOX_CGROUP_MODE_HYBRID = 2, /* v1 hierarchies and a v2 one */
    BOX_CGROUP_MODE_V2 = 3      /* v2 only ("unified") */
};

/* Controllers, as a mask. The names are v2's where the two versions differ. */
enum box_controller {
    BOX_CONTROLLER_CPU = 1 << 0,     /* v1 cpu */
    BOX_CONTROLLER_CPUACCT = 1 << 1, /* v1 cpuacct; on v2 always there, as cpu.stat */
    BOX_CONTROLLER_CPUSET = 1 << 2,
    BOX_CONTROLLER_MEMORY = 1 << 3,
    BOX_CONTROLLER_IO = 1 << 4, /* v1 blkio */
    BOX_CONTROLLER_PIDS = 1 << 5,
    BOX_CONTROLLER_DEVICES = 1 << 6, /* v2: an eBPF program, if we may load one */
    BOX_CONTROLLER_FREEZER = 1 << 7, /* v2: always there, as cgroup.freeze */
    BOX_CONTROLLER_HUGETLB = 1 << 8,
    BOX_CONTROLLER_RDMA = 1 << 9,
    BOX_CONTROLLER_NET_CLS = 1 << 10,    /* v1 only */
    BOX_CONTROLLER_NET_PRIO = 1 << 11,   /* v1 only */
    BOX_CONTROLLER_PERF_EVENT = 1 << 12, /* v2: always there */
    BOX_CONTROLLER_MISC = 1 << 13,
    BOX_CONTROLLER_SYSTEMD = 1 << 14, /* the v1 hierarchy name=systemd, which has no controller */
    BOX_CONTROLLER_UNIFIED = 1 << 15  /* the v2 hierarchy itself: freeze, kill, pressure, clone into */
};
/* What box_cgroup_create() makes for controllers == 0: enough to freeze, kill, account, and share the CPU
 * between containers. A controller that the limits need is always added, and box_cgroup_apply() adds one
 * later when it has to. */
#define BOX_CONTROLLERS_DEFAULT                                                                     \
    (BOX_CONTROLLER_UNIFIED | BOX_CONTROLLER_CPU | BOX_CONTROLLER_CPUACCT | BOX_CONTROLLER_MEMORY | \
     BOX_CONTROLLER_IO | BOX_CONTROLLER_PIDS | BOX_CONTROLLER_FREEZER)

/* Looks at this host: mounted hierarchies (/proc/self/mountinfo, statfs(2)), our own cgroup in each
 * (/proc/self/cgroup), and the controllers of each. A host without cgroups is no error (mode NONE). To be
 * freed with box_cgroup_host_free(). Errors: BOX_ENOMEM, BOX_EPARSE, BOX_ESYSTEM. */
BOX_API box_cgroup_host *box_cgroup_host_new(box_error **err);
/* NULL is allowed. */
BOX_API void box_cgroup_host_free(box_cgroup_host *host);
BOX_API enum box_cgroup_mode box_cgroup_host_mode(const box_cgroup_host *host);
/* A name for people: "none", "v1", "hybrid", "v2". Static. */
BOX_API const char *box_cgroup_mode_name(enum box_cgroup_mode mode);
/* The controllers that a cgroup created at `path` (as in box_cgroup_create(); NULL: below our own) could
 * have, for the rights that the calling thread has now: all that the kernel has for root, what was delegated
 * to us for an ordinary user. Makes nothing. 0 when we may create no cgroup there. */
BOX_API unsigned box_cgroup_controllers(const box_cgroup_host *host, const char *path);
/* "cpu", "io", …, or NULL for a mask that is not one known controller. Static. */
BOX_API const char *box_controller_name(unsigned controller);
/* The mask for a v1 or v2 name ("blkio" and "io" are the same); 0 for an unknown one. */
BOX_API unsigned box_controller_from_name(const char *name);

/* For a program that was given a v2 cgroup of its own (a systemd unit with Delegate=yes) and sits in it:
 * moves every process of our own cgroup into a child named "libbox-host", since the kernel lets a cgroup
 * either hold processes or hand out controllers ("no internal processes", cgroups(7)). Never called by libbox
 * itself: it moves the host. Afterwards, and in later processes that start there, "below our own cgroup"
 * means beside libbox-host. BOX_EPERMISSION when the cgroup is not ours; 0 and no effect when there is
 * nothing to move. */
BOX_API int box_cgroup_host_make_room(const box_cgroup_host *host, box_error **err);

/* ---- a cgroup ------------------------------------------------------------------------------------------ */

enum box_cgroup_flags {
    /* A limit that cannot be had here (no such controller, file or right) is left out and reported by
     * box_cgroup_not_applied(), instead of being an error. */
    BOX_CGROUP_LENIENT = 1,
    /* A directory in every hierarchy that is mounted, whether it serves libbox or not: for those who read a container's
     * cgroups themselves, as engines do, which look for CPU time in v1's cpuacct even beside v2. */
    BOX_CGROUP_EVERY_HIERARCHY = 2,
    /* The cgroup may be there already, wholly or in some hierarchies, since somebody else has made it (systemd):
     * what is there is taken as it is, and stays when the call fails. */
    BOX_CGROUP_ADOPT = 4
};

/* Creates a cgroup and applies `limits` (NULL: none).
 *
 * `host` may be NULL: the host is then looked at for this call only. `path` that starts with "/" counts from
 * the root of each mounted hierarchy ("/libbox/ID"); another one from our own cgroup; NULL makes a fresh name
 * below our own. Missing parents are made, and stay when the cgroup is destroyed. `controllers`: the
 * hierarchies and controllers wanted (0: BOX_CONTROLLERS_DEFAULT); those that this host lacks are left out
 * silently, unless a limit needs one.
 *
 * Nothing is left behind on failure. To be freed with box_cgroup_free(), which keeps the cgroup; see
 * box_cgroup_destroy.
 *
 * Errors: BOX_EINVAL (path with "." or ".." or empty components); BOX_EEXISTS; BOX_ESPEC (a limit that is
 * impossible on this host, naming the field); BOX_EUNSUPPORTED (a limit whose controller is missing, or no
 * cgroup file system); BOX_EPERMISSION (nothing was delegated to us; the remedy says how to get it);
 * BOX_EBUSY (v2: the parent holds processes and so cannot hand out the controllers that the limits need);
 * BOX_ENOMEM, BOX_ESYSTEM. */
BOX_API box_cgroup *box_cgroup_create(const box_cgroup_host *host, const char *path, unsigned controllers,
                                      const box_limits *limits, unsigned flags, box_error **err);
/* Opens an existing cgroup: a path as above, or what box_cgroup_location() returned. BOX_ENOTFOUND when it is
 * in no hierarchy. */
BOX_API box_cgroup *box_cgroup_open(const box_cgroup_host *host, const char *location, box_error **err);
/* Opens the cgroup that a process is in. BOX_ENOTFOUND when there is no such process. */
BOX_API box_cgroup *box_cgroup_open_pid(const box_cgroup_host *host, pid_t pid, box_error **err);
/* Where it is, in the format of /proc/PID/cgroup (one line a hierarchy), to be kept and given to
 * box_cgroup_open() by another process. Owned by the cgroup. */
BOX_API const char *box_cgroup_location(const box_cgroup *cgroup);
/* The path in the hierarchy that has this controller, as seen in the file system
 * ("/sys/fs/cgroup/memory/libbox/ID"), or NULL. Owned by the cgroup. */
BOX_API const char *box_cgroup_directory(const box_cgroup *cgroup, unsigned controller);
/* The controllers that it has, and the hierarchies (UNIFIED, SYSTEMD) that it is in. */
BOX_API unsigned box_cgroup_has(const box_cgroup *cgroup);
/* Closes the handle; the cgroup itself stays. NULL is allowed. */
BOX_API void box_cgroup_free(box_cgroup *cgroup);

/* Applies limits to a cgroup that exists; what is unset stays as it is. All values are checked before the
 * first is written, and raised and lowered in an order that the kernel accepts (memory against memory+swap,
 * quota against period). `flags` and errors as in box_cgroup_create(); after an error some of the limits may
 * have been applied. */
BOX_API int box_cgroup_apply(box_cgroup *cgroup, const box_limits *limits, unsigned flags, box_error **err);
/* The controllers of limits that the last create or apply was asked for and left out: with BOX_CGROUP_LENIENT
 * any; without it only BOX_CONTROLLER_DEVICES, which cannot be restricted in a user namespace or by an
 * ordinary user (who cannot make or open other devices there anyway). */
BOX_API unsigned box_cgroup_not_applied(const box_cgroup *cgroup);

/* Moves a process, with all its threads, into the cgroup. BOX_ENOTFOUND: no such process. BOX_EPERMISSION: it
 * is not ours, or we lack the right to take it out of where it is. */
BOX_API int box_cgroup_add(box_cgroup *cgroup, pid_t pid, box_error **err);

/* How a new process gets in fastest. All fds are O_CLOEXEC and belong to the caller:
 * box_cgroup_entry_close(). */
#define BOX_CGROUP_ENTRY_MAX 16
struct box_cgroup_entry {
    int directory; /* v2 directory for clone3(2) with CLONE_INTO_CGROUP; -1: no v2 hierarchy */
    int unified;   /* v2 cgroup.procs, O_WRONLY, where CLONE_INTO_CGROUP cannot be used; -1: none */
    int count;     /* number of v1 hierarchies */
    int procs[BOX_CGROUP_ENTRY_MAX]; /* v1: `tasks` of each, O_WRONLY: a thread that writes "0" moves itself */
};
/* A process that has one thread, as every new one, enters by being cloned into `directory` (or writing "0" to
 * `unified`), and writing "0" to each of `procs`. */
BOX_API int box_cgroup_entry_fds(box_cgroup *cgroup, struct box_cgroup_entry *entry, box_error **err);
BOX_API void box_cgroup_entry_close(struct box_cgroup_entry *entry);

/* Every process in the cgroup and the cgroups below it, as seen from our pid namespace (0: a process outside
 * it). *pids is to be freed with free(3). A snapshot: processes come and go meanwhile. */
BOX_API int box_cgroup_pids(box_cgroup *cgroup, pid_t **pids, size_t *count, box_error **err);
/* Stops every process in the cgroup and below, and waits until they are stopped. timeout_ms -1: no deadline.
 * BOX_ETIMEOUT leaves the cgroup thawed. BOX_EUNSUPPORTED without freezer and v2. */
BOX_API int box_cgroup_freeze(box_cgroup *cgroup, int timeout_ms, box_error **err);
/* Lets them run again. */
BOX_API int box_cgroup_thaw(box_cgroup *cgroup, int timeout_ms, box_error **err);
/* 1 frozen, 0 running, negative an error. */
BOX_API int box_cgroup_frozen(box_cgroup *cgroup, box_error **err);
/* Sends a signal to every process in the cgroup and below; for SIGKILL none escapes by forking, and a frozen
 * cgroup is thawed so that it dies. Does not wait. See signal(7). */
BOX_API int box_cgroup_kill(box_cgroup *cgroup, int signal, box_error **err);
/* Waits until no process is left in the cgroup and below. timeout_ms -1: no deadline. BOX_ETIMEOUT. */
BOX_API int box_cgroup_wait_empty(box_cgroup *cgroup, int timeout_ms, box_error **err);
/* Removes the cgroup with every cgroup that was made below it, in all hierarchies. The kernel refuses for a
 * moment after the last process died: waits for that up to timeout_ms (-1: no deadline). Does not kill. The
 * handle stays to be freed. BOX_EBUSY when processes are left. A cgroup that is gone already is no error. */
BOX_API int box_cgroup_destroy(box_cgroup *cgroup, int timeout_ms, box_error **err);
/* Gives the v2 cgroup to an ordinary user: the directory and the files of /sys/kernel/cgroup/delegate
 * (cgroups(7), "Delegating a hierarchy"). On v1 only the named, controller-less hierarchy is given away: v1
 * controllers are not safe to delegate. BOX_EUNSUPPORTED when the cgroup has neither. */
BOX_API int box_cgroup_delegate(box_cgroup *cgroup, uid_t uid, gid_t gid, box_error **err);

/* ---- statistics ---------------------------------------------------------------------------------------- */

#define BOX_CGROUP_UNLIMITED UINT64_MAX

struct box_cgroup_io_stats {
    uint64_t major, minor;
    uint64_t read_bytes, write_bytes, discard_bytes;
    uint64_t reads, writes, discards; /* operations */
};

struct box_cgroup_hugetlb_stats {
    const char *page_size;            /* "2MB" */
    uint64_t usage, max_usage, limit; /* bytes; max_usage is v1's only */
    uint64_t failures;                /* allocations that the limit refused */
};

/* Numbers that this host does not have are 0; `controllers` says which parts were read. Later releases add
 * fields at the end. */
struct box_cgroup_stats {
    unsigned controllers;
    struct {
        uint64_t usage_ns, user_ns, system_ns;
        uint64_t periods, throttled_periods, throttled_ns, burst_ns;
    } cpu;
    struct {
        uint64_t usage, max_usage; /* bytes; max_usage needs v1, or v2 since kernel 5.19 */
        uint64_t limit;            /* bytes; BOX_CGROUP_UNLIMITED */
        uint64_t anon, file, kernel, shmem;
        uint64_t inactive_file;    /* what Docker subtracts from the usage that it shows */
        uint64_t swap, swap_limit; /* bytes of swap alone; swap_limit BOX_CGROUP_UNLIMITED */
        uint64_t page_faults, major_faults;
        uint64_t limit_hits;     /* times that the limit was reached */
        uint64_t oom, oom_kills; /* v1 has no count of `oom` */
    } memory;
    struct {
        uint64_t current, limit; /* BOX_CGROUP_UNLIMITED */
        uint64_t limit_hits;     /* forks that the limit refused */
    } pids;
    struct box_cgroup_io_stats io_total;
    const struct box_cgroup_io_stats *io; /* one a device */
    size_t io_count;
    const struct box_cgroup_hugetlb_stats *hugetlb; /* one a page size */
    size_t hugetlb_count;
};

/* Reads all statistics, to be freed with box_cgroup_stats_free(). NULL on BOX_ENOMEM, BOX_ENOTFOUND (the
 * cgroup was removed), BOX_EPARSE. */
BOX_API struct box_cgroup_stats *box_cgroup_stats_read(box_cgroup *cgroup, box_error **err);
/* NULL is allowed. */
BOX_API void box_cgroup_stats_free(struct box_cgroup_stats *stats);

enum box_pressure_kind { BOX_PRESSURE_CPU = 0, BOX_PRESSURE_MEMORY = 1, BOX_PRESSURE_IO = 2 };
struct box_pressure_line {
    double avg10, avg60, avg300; /* percent of the last 10, 60 and 300 seconds */
    uint64_t total_us;
};
/* Pressure stall information: time in which some, or all, tasks waited for the resource. */
struct box_pressure {
    struct box_pressure_line some, full;
};
/* BOX_EUNSUPPORTED without a v2 hierarchy or on a kernel without PSI; the remedy says so. See the kernel's
 * accounting/psi.rst. */
BOX_API int box_cgroup_pressure(box_cgroup *cgroup, enum box_pressure_kind kind, struct box_pressure *out,
                                box_error **err);

/* An fd that becomes readable when the cgroup runs out of memory: an OOM kill, or on v1 also a stop with the
 * OOM killer disabled. The caller closes it. It may become readable for other reasons (another counter of
 * memory.events moved, the cgroup was removed): read the count to know. BOX_EUNSUPPORTED without memory
 * controller. */
BOX_API int box_cgroup_oom_fd(box_cgroup *cgroup, box_error **err);
/* Takes the notification away, so that the fd is not readable until the next one. Never blocks. */
BOX_API int box_cgroup_oom_drain(int fd, box_error **err);
/* Processes that the OOM killer took in the cgroup (and, on v2, below it) since it was made. */
BOX_API int box_cgroup_oom_count(box_cgroup *cgroup, uint64_t *count, box_error **err);
/* The same without the cgroups below (v2 memory.events.local). */
BOX_API int box_cgroup_oom_count_local(box_cgroup *cgroup, uint64_t *count, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
