/* Cgroups, inside the library. Public face: libbox/cgroup.h.
 *
 *     cgroup_file.c       reading and writing interface files by directory fd, and parsing what they hold
 *     cgroup_host.c       which hierarchies are mounted, where, and which of them we may use
 *     cgroup_make.c       making a directory in one of them
 *     cgroup.c            making, opening and entering a cgroup in all of them
 *     cgroup_below.c      from a cgroup to one below it
 *     cgroup_destroy.c    removing it, with what was made below it
 *     cgroup_delegate.c   handing it to an ordinary user; making room in one that was handed to us
 *     cgroup_process.c    listing, freezing, killing, waiting
 *     cgroup_limits.c     the builder of limits
 *     cgroup_apply.c      limits to a list of writes, checked first, then carried out;
 *     cgroup_v1.c, cgroup_v2.c    what each limit is called there
 *     cgroup_devices.c, cgroup_devices_v1.c, cgroup_bpf.c    device rules, by file on v1 and by eBPF on v2
 *     cgroup_stats.c, cgroup_stats_v1.c, cgroup_stats_v2.c, cgroup_events.c    statistics, pressure, OOM
 * events
 *
 * Once a hierarchy's mount point is open, everything below it is reached by fd, one component at a time, and
 * never by a link: a container that may write its own cgroup directory cannot lead us out of it. Files are
 * opened with O_NOFOLLOW and O_CLOEXEC. Internal functions return 0 (or a count, or an fd) or a negative
 * errno where the caller knows best what to say, and a BOX_E* code where they take a box_error.
 */
#ifndef BOX_KERNEL_CGROUP_H
#define BOX_KERNEL_CGROUP_H

#include <stdbool.h>

#include <libbox/cgroup.h>
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fail.h"

struct box_limits;

#define CGROUP_HIERARCHIES BOX_CGROUP_ENTRY_MAX /* more than a kernel has controllers */
#define CGROUP_HOST_LEAF   "libbox-host"        /* where box_cgroup_host_make_room() puts the host */

/* One mounted hierarchy. */
struct cgroup_mount {
    bool v2;
    unsigned
        controllers; /* with UNIFIED or SYSTEMD for the hierarchy itself; v2: all that the mount's root has */
    char *names;     /* as in /proc/PID/cgroup: "cpu,cpuacct", "name=systemd", "" for v2 */
    char *mountpoint; /* "/sys/fs/cgroup/memory" */
    char *root; /* the cgroup that is at the mount point: "/", or "/docker/ID" when only a part is mounted */
    char *own;  /* our own cgroup as seen from the mount point, "" for the mount's root; NULL: not below it */
};

struct box_cgroup_host {
    int count;
    struct cgroup_mount mount[CGROUP_HIERARCHIES];
};

/* One cgroup in one hierarchy. */
struct cgroup_dir {
    bool v2;
    unsigned controllers; /* what it has, as above */
    int fd;               /* the directory, O_RDONLY */
    char *names;          /* as in struct cgroup_mount */
    char *path;           /* as in /proc/PID/cgroup: with the mount's root */
    char *directory;      /* in the file system, for people and for box_cgroup_directory() */
};

struct box_cgroup {
    int count;
    struct cgroup_dir dir[CGROUP_HIERARCHIES];
    unsigned not_applied;
    char *location;
};

BOX_CLEANUP(box_cgroup_host, box_cgroup_host_free);
BOX_CLEANUP(box_cgroup, box_cgroup_free);

/* The directory that has one of these controllers; NULL when there is none. */
struct cgroup_dir *cgroup_dir_for(box_cgroup *cgroup, unsigned controller);

/* ---- cgroup_below.c ---- */

/* Turns a handle to the cgroup at a path below its own, in the hierarchies that have one of these controllers; 0: in
 * all. A leading slash counts for nothing. BOX_EINVAL for a path with ".." and the like, BOX_ENOTFOUND; the handle is good
 * for nothing but box_cgroup_free() after an error. Its location stays what it was. */
int cgroup_descend(box_cgroup *cgroup, const char *path, unsigned controllers, box_error **err);

/* ---- cgroup_file.c ---- */

/* Opens a file or directory below a cgroup directory: O_CLOEXEC and O_NOFOLLOW are added. fd or -errno. */
int cgroup_open_at(int dirfd, const char *name, int flags);
/* The whole file, NUL-terminated, to be freed. 0 or -errno. */
int cgroup_read(int dirfd, const char *file, char **text);
/* The same for a file that is known to be small, without taking memory: what has to work when there is none.
 * -EFBIG. */
int cgroup_read_small(int dirfd, const char *file, char *text, size_t size);
/* Writes value in one write. 0 or -errno. */
int cgroup_write(int dirfd, const char *file, const char *value);
bool cgroup_has_file(int dirfd, const char *file);
/* One number, or "max" (BOX_CGROUP_UNLIMITED), and nothing else. 0 or -errno; -EBADMSG: not that. */
int cgroup_read_u64(int dirfd, const char *file, uint64_t *value);

/* Parsing: each takes text as the kernel writes it and is strict about what it looks at. */
bool cgroup_parse_u64(const char *text, uint64_t *value); /* a number or "max", then the end or a newline */
/* Takes the next line off *cursor: terminates it, returns it, NULL at the end. */
char *cgroup_next_line(char **cursor);
/* Takes the next word of a line, as above. */
char *cgroup_next_word(char **cursor);
/* "KEY VALUE" lines: stores the value of each key that the table names at base + offset, times scale. Unknown
 * keys are passed over. Returns 0, or -EBADMSG when a named key has no number. */
struct cgroup_key {
    const char *name;
    size_t offset;
    uint64_t scale;
};
int cgroup_parse_flat(char *text, const struct cgroup_key *keys, size_t count, void *base);
/* The value of one key of such a file; 0, -ENODATA without the key, -EBADMSG. */
int cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *value);
/* "8:16" into major and minor, then the end. */
bool cgroup_parse_device(const char *text, uint64_t *major, uint64_t *minor);

/* An error about one file of a cgroup: the directory and file as the call, field (may be NULL) as the
 * subject. */
int cgroup_fail(box_error **err, const struct cgroup_dir *dir, const char *file, int negative_errno,
                const char *field, const char *what);

/* ---- cgroup_host.c ---- */

/* Both parse what the kernel wrote into host, which starts empty; exposed for tests. `visible` says whether
 * the mount can be reached at its path (another may hide it); NULL: all can. 0 or a BOX_E* code. */
int cgroup_host_parse_mountinfo(box_cgroup_host *host, char *text,
                                bool (*visible)(const char *mountpoint, dev_t device), box_error **err);
int cgroup_host_parse_own(box_cgroup_host *host, char *text, box_error **err);
/* The mounts as they were seen, and our own cgroup in each as it is now: what a plan that is kept spares its starts. */
box_cgroup_host *cgroup_host_again(const box_cgroup_host *seen, box_error **err);
/* The path below a mount's root that a path as in /proc/PID/cgroup means; NULL when it is not below it.
 * Points into path; "" for the root itself. */
const char *cgroup_below_root(const char *root, const char *path);
/* The mount point, checked to be a cgroup file system. fd or -errno. */
int cgroup_mount_open(const struct cgroup_mount *mount);
/* The path below the mount point that a caller's path (absolute, relative to our own cgroup, or NULL) means,
 * to be freed. *path is NULL when this hierarchy has no such place (we are outside of what is mounted). */
int cgroup_mount_path(const struct cgroup_mount *mount, const char *wanted, char **path, box_error **err);
/* BOX_EINVAL when a path has components that are empty, "." or "..", or control characters. */
int cgroup_check_path(const char *path, box_error **err);
/* Whether this thread is in a user namespace other than the first. */
bool cgroup_in_user_namespace(void);
/* The mask of the controllers in a list such as cgroup.controllers' or "cpu,cpuacct". */
unsigned cgroup_controllers_mask(const char *list);
/* Opens the directory path ("/a/b" or "a/b" or "") below dirfd, following no link. fd or -errno. */
int cgroup_walk(int dirfd, const char *path, int flags);
/* The mask in a v2 file such as cgroup.controllers or cgroup.subtree_control; 0 when it cannot be read. */
unsigned cgroup_v2_read_mask(int dirfd, const char *file);
/* Whether a v2 directory holds processes of its own and is not the real root: it cannot hand out controllers
 * then. */
bool cgroup_v2_has_processes(int dirfd);

/* ---- cgroup_make.c ---- */

/* What is always there on v2, or comes by other means than a controller. */
#define CGROUP_V2_ALWAYS                                                                                    \
    (BOX_CONTROLLER_UNIFIED | BOX_CONTROLLER_FREEZER | BOX_CONTROLLER_CPUACCT | BOX_CONTROLLER_PERF_EVENT | \
     BOX_CONTROLLER_DEVICES)

/* Why something could not be had: the first reason, to be told when a limit turns out to need it. */
struct cgroup_blame {
    int errnum;
    char *directory;
};
/* Notes a reason, unless there is one: what happened at the first length bytes of path below the mount. */
void cgroup_blame(struct cgroup_blame *blame, int errnum, const struct cgroup_mount *mount, const char *path,
                  size_t length);
/* Makes path ("/a/b/c", checked) in one hierarchy. Returns the fd of the last directory, which is new, or
 * -errno, with nothing left behind; *made tells how many of the last components are new. */
int cgroup_make(const struct cgroup_mount *mount, int mountfd, const char *path, int *made);
/* Removes the last `made` components of path, which is cut short. */
void cgroup_unmake(int mountfd, char *path, int made);
/* Has controllers handed down to a v2 directory from the mount's root on, as far as that can be. */
void cgroup_hand_down(const struct cgroup_mount *mount, int mountfd, const char *path, unsigned wanted,
                      struct cgroup_blame *why);

/* ---- cgroup.c ---- */

/* Gives an existing cgroup controllers that it lacks: on v2 by enabling them above it, on v1 by making the
 * directory and moving every process there. What cannot be had is left out. */
int cgroup_extend(box_cgroup *cgroup, unsigned missing, box_error **err);

/* ---- cgroup_process.c ---- */

#define CGROUP_NAP_FIRST 100000 /* ns */
/* Waiting for the kernel where it has nothing to poll: naps that grow, up to a deadline. */
struct cgroup_wait {
    struct box_deadline deadline;
    int64_t nap_ns; /* the next nap */
};
struct cgroup_wait cgroup_wait_for(int timeout_ms);
/* Sleeps for a moment, longer each time. False when the deadline has passed. */
bool cgroup_nap(struct cgroup_wait *wait);
/* The hierarchy that processes are looked up in. */
struct cgroup_dir *cgroup_tracking_dir(box_cgroup *cgroup);

/* ---- cgroup_apply.c ---- */

enum {
    /* May be refused with EINVAL because the next write has to come first (memory against memory+swap): tried
     * again after it. */
    CGROUP_WRITE_MAY_SWAP = 1,
};
struct cgroup_write {
    const struct cgroup_dir *dir;
    char *field, *file, *value;
    unsigned flags;
};
/* What limits come to: a list of writes, complete before the first is made. */
struct cgroup_plan {
    box_cgroup *cgroup;
    const struct box_limits *limits;
    unsigned flags;       /* enum box_cgroup_flags */
    unsigned not_applied; /* controllers */
    struct cgroup_write *writes;
    size_t count, capacity;
    box_error **err;
};

/* Applies limits to what the cgroup has. BOX_E* code. */
int cgroup_apply(box_cgroup *cgroup, const struct box_limits *limits, unsigned flags, box_error **err);
/* Plans one write. A file that the kernel does not have is as in cgroup_plan_unsupported(). BOX_E* code. */
int cgroup_plan_write(struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *field,
                      const char *file, const char *fmt, ...) BOX_PRINTF(5, 6);
/* A limit that cannot be had: 0 and noted when lenient, otherwise BOX_EUNSUPPORTED. */
int cgroup_plan_unsupported(struct cgroup_plan *plan, unsigned controller, const char *field, const char *why,
                            const char *remedy);
/* A number that goes to a file as it is; `unlimited` is how no limit is written there (NULL: there is none).
 */
struct cgroup_simple {
    enum box_limit limit;
    const char *file;
    const char *unlimited;
    unsigned flags; /* CGROUP_WRITE_* */
};
/* Plans those of the table that belong to the controller and are set. */
int cgroup_plan_simple(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller,
                       const struct cgroup_simple *table, size_t count);
/* What MEMORY_MAX will be: as it is set in the limits, otherwise as the file says. BOX_CGROUP_UNLIMITED.
 * -errno. */
int cgroup_plan_memory_max(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file,
                           uint64_t *max);
/* BOX_ESPEC when checkBeforeUpdate is set and more than the new limit is in use. */
int cgroup_plan_check_usage(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file);
/* Whether the burst has to be written before the quota: it is now higher than the quota is to be. */
bool cgroup_burst_first(const struct cgroup_plan *plan, const struct cgroup_dir *dir, const char *file);

/* The limits of one controller that are written differently in the two versions. */
int cgroup_v1_plan(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller);
int cgroup_v2_plan(struct cgroup_plan *plan, const struct cgroup_dir *dir, unsigned controller);
/* Whether v1 has a place for an entry of the unified map: it was planned with its controller then. */
bool cgroup_v1_has_raw(const char *file);

/* ---- devices ---- */

/* What v1 has to hold for a list of rules: everything or nothing, and exceptions from that, without 'a' and
 * 'u'. */
struct cgroup_device_set {
    bool allow_all;
    struct box_device_rule *exceptions; /* each the opposite of allow_all */
    size_t count;
};
void cgroup_device_set_free(struct cgroup_device_set *set);
/* Turns a list of rules into that. BOX_EUNSUPPORTED when v1 cannot express it. */
int cgroup_devices_v1_compile(const struct box_device_rule *rules, size_t count,
                              struct cgroup_device_set *out, box_error **err);
/* Reads what is in force (devices.list). 0 or -errno. */
int cgroup_devices_v1_parse(char *text, struct cgroup_device_set *out);
int cgroup_devices_v1_apply(const struct cgroup_dir *dir, const struct cgroup_device_set *set,
                            box_error **err);

/* The program for a list of rules, to be freed; its length in *length. NULL: out of memory. Exposed for
 * tests. */
struct bpf_insn;
struct bpf_insn *cgroup_bpf_generate(const struct box_device_rule *rules, size_t count, size_t *length);
/* Loads it; fd or -errno. */
int cgroup_bpf_load(const struct bpf_insn *program, size_t length);
/* Puts rules in force for the directory, in place of earlier ones of libbox's. 0 or -errno; *call names what
 * failed. */
int cgroup_bpf_apply(const struct cgroup_dir *dir, const struct box_device_rule *rules, size_t count,
                     const char **call);
/* Whether we may load and attach such a program. */
bool cgroup_bpf_allowed(void);

/* ---- statistics ---- */

/* Each reads one controller's part of the statistics; 0 or -errno. Files that do not exist leave zeros. */
int cgroup_stats_v1(struct box_cgroup_stats *stats, const struct cgroup_dir *dir, unsigned controller);
int cgroup_stats_v2(struct box_cgroup_stats *stats, const struct cgroup_dir *dir, unsigned controller);
/* The entry for the device or page size in a list of the statistics, made when it is new. NULL: out of
 * memory. */
struct box_cgroup_io_stats *cgroup_stats_io(struct box_cgroup_stats *stats, uint64_t major, uint64_t minor);
struct box_cgroup_hugetlb_stats *cgroup_stats_hugetlb(struct box_cgroup_stats *stats, const char *page_size);
/* A file of one number, or of "KEY VALUE" lines, into the statistics; one that does not exist is passed over.
 */
int cgroup_stats_number(const struct cgroup_dir *dir, const char *file, uint64_t *value);
int cgroup_stats_flat(const struct cgroup_dir *dir, const char *file, const struct cgroup_key *keys,
                      size_t count, struct box_cgroup_stats *stats);
/* Calls read with the page size of each file "hugetlb.SIZE.SUFFIX" in the directory. */
int cgroup_stats_each_page_size(struct box_cgroup_stats *stats, const struct cgroup_dir *dir,
                                const char *suffix,
                                int (*read)(struct box_cgroup_hugetlb_stats *out,
                                            const struct cgroup_dir *dir));
/* io.stat; blkio.throttle.io_service_bytes and _io_serviced; memory.pressure. 0, -EBADMSG or -ENOMEM. */
int cgroup_parse_io_stat(struct box_cgroup_stats *stats, char *text);
int cgroup_parse_blkio(struct box_cgroup_stats *stats, char *text, bool operations);
int cgroup_parse_pressure(char *text, struct box_pressure *out);

#endif
