/* Spec: what a process is started with, and inside what.
 *
 * A box_spec is an opaque builder. It begins with one of three sets of defaults, setters change it, and
 * box_launch() or a container reads it. It is OCI's runtime-spec document as a C object, and can be loaded
 * from and saved to that.
 *
 *     box_spec *spec = box_spec_new();                               Docker's defaults: a container
 *     char *args[] = {"sh", "-c", "echo hello", NULL};
 *     box_spec_set_root(spec, "/srv/debian", &err);
 *     box_spec_set_args(spec, args, &err);
 *     box_spec_add_bind(spec, "/srv/data", "/data", "ro", &err);
 *     box_spec_set_hostname(spec, "web", &err);
 *     …box_launch(spec, NULL, &process, &err)…
 *     box_spec_free(spec);
 *
 * Setters copy what they are given: strings, vectors, objects, descriptors (as by dup(2), close-on-exec). The
 * caller keeps its own. What a getter gives belongs to the spec and stays valid until the next setter.
 *
 * Setters return 0 or a negative BOX_E* code, and on failure leave the spec as it was. BOX_EINVAL: an
 * argument that could never be right (NULL, an empty name, a relative path where an absolute one is meant).
 * BOX_ENOMEM: out of memory. Other codes are named where they occur. A setter looks at its own arguments
 * only; whether the whole fits together is for box_spec_check(), which every start calls.
 *
 * Vectors of strings end in NULL, as for execve(2). A getter of a vector gives an empty one rather than NULL.
 *
 * Paths are the host's for sources, outer devices and the root. They are the container's, absolute, and
 * looked up inside its root, for destinations, the working directory, masked and read-only paths.
 *
 * Thread rules: one spec is for one thread at a time. Functions that take a const spec may run in several
 * threads at once.
 *
 * Specification: https://github.com/opencontainers/runtime-spec (version 1.3).
 */
#ifndef LIBBOX_SPEC_H
#define LIBBOX_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/capability.h>
#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_spec box_spec;

struct box_idmap;    /* libbox/idmap.h */
struct box_limits;   /* libbox/cgroup.h */
struct box_seccomp;  /* libbox/seccomp.h */
struct box_landlock; /* libbox/landlock.h */

/* ---- Making one -------------------------------------------------------------------------------------- */

/* A container with Docker's defaults: new mount, pid, network, ipc, uts and cgroup namespaces (and a user
 * namespace when the caller is not root, with its own ids as the container's root), fourteen capabilities,
 * the default seccomp filter, no new privileges, a session keyring of its own, masked and read-only paths in
 * /proc and /sys, and mounts of /proc, /dev, /dev/pts, /dev/shm, /dev/mqueue, /sys and /sys/fs/cgroup. PATH
 * is set, and nothing else of the environment. What is still to be given is a root and the arguments. NULL:
 * out of memory. */
BOX_API box_spec *box_spec_new(void);
/* Nothing at all, as an OCI document that says nothing: no namespaces, no mounts, no filter. NULL: out of
 * memory. */
BOX_API box_spec *box_spec_new_empty(void);
/* A confined child on the host's own root: no namespaces, no change of user, capabilities or mounts; no new
 * privileges, and the default seccomp filter. Add a Landlock ruleset, limits or namespaces to taste. NULL:
 * out of memory. */
BOX_API box_spec *box_spec_new_confined(void);
/* A copy that shares nothing with the original; descriptors are duplicated. */
BOX_API int box_spec_clone(const box_spec *spec, box_spec **copy, box_error **err);
/* Frees a spec; NULL is allowed. */
BOX_API void box_spec_free(box_spec *spec);
/* Holds the whole spec against itself: a host name without a UTS namespace, id mappings without a user
 * namespace, a sysctl that no namespace of this spec has, a destination with "..". BOX_ESPEC for the first
 * contradiction found; the error's subject is the field, by its name in the OCI document
 * ("linux.sysctl.net.ipv4.ip_forward"). Says nothing about what this host can do. */
BOX_API int box_spec_check(const box_spec *spec, box_error **err);

/* ---- The OCI document -------------------------------------------------------------------------------- */

/* Reads a document of OCI runtime-spec 1.0.0 to 1.3.x, such as a bundle's config.json. Nothing is added to
 * what it says. A relative root path stays relative: see box_spec_set_root(). What libbox does not know is
 * kept and written back; libbox's own fields stand under the key "libbox". Errors: BOX_EPARSE with the place
 * ("linux.resources.memory.limit: expected an integer, found a string"), BOX_ESPEC for a value that no kernel
 * takes, BOX_EUNSUPPORTED for another version, BOX_ELIMIT above 4 MiB, 64 levels, or the length that an array
 * may have; those of open(2). */
BOX_API int box_spec_load(const char *path, box_spec **spec, box_error **err);
/* The same from memory; `text` need not end in NUL. */
BOX_API int box_spec_parse(const char *text, size_t length, box_spec **spec, box_error **err);
/* Writes the document to a file: a new one beside it that takes its place when it is whole, with mode 0600.
 * Errors: those of box_spec_format() and of the file system. */
BOX_API int box_spec_save(const box_spec *spec, const char *path, box_error **err);
/* The document as text; the caller frees *text with free(3). BOX_ESPEC for what no document can hold: a mount
 * or a namespace that was given as a descriptor. */
BOX_API int box_spec_format(const box_spec *spec, char **text, box_error **err);

/* ---- The program ------------------------------------------------------------------------------------- */

/* The program and its arguments; args[0] is looked up in the container's PATH when it has no slash.
 * process.args. */
BOX_API int box_spec_set_args(box_spec *spec, char *const args[], box_error **err);
/* One more argument. */
BOX_API int box_spec_add_arg(box_spec *spec, const char *arg, box_error **err);
BOX_API char *const *box_spec_get_args(const box_spec *spec);

/* Sets a variable of the environment, in place of one of the same name. process.env, environ(7). */
BOX_API int box_spec_set_env(box_spec *spec, const char *name, const char *value, box_error **err);
/* Takes one variable over from the environment of the calling program; none is taken when it has none. */
BOX_API int box_spec_copy_env(box_spec *spec, const char *name, box_error **err);
/* The whole environment at once, as "NAME=value". A text without '=' is BOX_EINVAL. */
BOX_API int box_spec_set_env_vector(box_spec *spec, char *const env[], box_error **err);
BOX_API int box_spec_unset_env(box_spec *spec, const char *name, box_error **err);
BOX_API int box_spec_clear_env(box_spec *spec, box_error **err);
/* The value of a variable, or NULL. */
BOX_API const char *box_spec_get_env(const box_spec *spec, const char *name);
BOX_API char *const *box_spec_get_env_vector(const box_spec *spec);

/* The working directory: absolute, in the container. "/" when nothing is said. process.cwd. */
BOX_API int box_spec_set_cwd(box_spec *spec, const char *path, box_error **err);
BOX_API const char *box_spec_get_cwd(const box_spec *spec);

/* User and group by number; takes the place of a name set before, and of the caller's own, who a confined child stays by
 * default. process.user. */
BOX_API int box_spec_set_user(box_spec *spec, uid_t uid, gid_t gid, box_error **err);
/* User, and group after a colon, by name or number: "www-data", "1000:daemon". They are looked up at the
 * start, in the passwd and group files of the root, which also give the groups; on the host's own root, in
 * the host's. NULL: by number again. Kept in the document as libbox.user. */
BOX_API int box_spec_set_user_name(box_spec *spec, const char *name, box_error **err);
/* Further groups, in place of those set before. process.user.additionalGids. At most 65536, as the kernel has
 * it. */
BOX_API int box_spec_set_groups(box_spec *spec, const gid_t *groups, size_t n, box_error **err);
BOX_API int box_spec_add_group(box_spec *spec, gid_t group, box_error **err);
/* The file mode creation mask, 0 to 0777; what the stage has, 0022, when nothing is said. process.user.umask.
 */
BOX_API int box_spec_set_umask(box_spec *spec, mode_t mask, box_error **err);
/* false: nothing is said, and *mask is untouched. */
BOX_API bool box_spec_get_umask(const box_spec *spec, mode_t *mask);
BOX_API void box_spec_get_user(const box_spec *spec, uid_t *uid, gid_t *gid);
/* NULL when the user is given by number. */
BOX_API const char *box_spec_get_user_name(const box_spec *spec);
/* Stores the number of groups in *n. */
BOX_API const gid_t *box_spec_get_groups(const box_spec *spec, size_t *n);

/* A terminal as the standard streams. process.terminal. */
BOX_API int box_spec_set_terminal(box_spec *spec, bool terminal, box_error **err);
/* Its size; 0 and 0: whatever it is made with. process.consoleSize. */
BOX_API int box_spec_set_terminal_size(box_spec *spec, unsigned short rows, unsigned short columns,
                                       box_error **err);
BOX_API bool box_spec_get_terminal(const box_spec *spec);
BOX_API void box_spec_get_terminal_size(const box_spec *spec, unsigned short *rows, unsigned short *columns);

/* A minimal init as the container's first process: it reaps what is left to it and passes signals on.
 * libbox.init. */
BOX_API int box_spec_set_init(box_spec *spec, bool init, box_error **err);
BOX_API bool box_spec_get_init(const box_spec *spec);

/* ---- The root file system ---------------------------------------------------------------------------- */

/* A directory of the host as the root. A relative path is taken from the caller's working directory as the
 * spec is carried out; a bundle's reader makes it absolute first. root.path. */
BOX_API int box_spec_set_root(box_spec *spec, const char *directory, box_error **err);
/* An overlay as the root: layers that are only read, `lower[0]` on top, and a directory that takes the
 * changes, with its empty work directory on the same file system. A layer that is a regular file is taken for an
 * EROFS image, which is mounted for the container alone (Linux 6.12; by a loop device before; root's privileges):
 * the kernel takes apart what it finds in it, so let it be one of box_image_layer_dirs() or of your own making. upper and work both NULL: the changes go to
 * memory and vanish with the container, see box_spec_set_scratch_size(). libbox.root, the kernel's
 * filesystems/overlayfs. */
BOX_API int box_spec_set_root_overlay(box_spec *spec, char *const lower[], const char *upper,
                                      const char *work, box_error **err);
/* The host's own root: what box_spec_new_confined() begins with. */
BOX_API int box_spec_set_root_host(box_spec *spec, box_error **err);
/* Bytes that the changes may take in memory; 0: as tmpfs(5) has it, half the memory. */
BOX_API int box_spec_set_scratch_size(box_spec *spec, uint64_t bytes, box_error **err);
/* Whether the root cannot be written to. root.readonly. */
BOX_API int box_spec_set_root_readonly(box_spec *spec, bool readonly, box_error **err);
/* "shared", "slave", "private" or "unbindable", each with an "r" before it for all mounts below; NULL:
 * rprivate. linux.rootfsPropagation, mount_namespaces(7). */
BOX_API int box_spec_set_root_propagation(box_spec *spec, const char *propagation, box_error **err);
/* Which of the three it is, or that nothing was said yet. */
enum box_spec_root_kind {
    BOX_SPEC_ROOT_NONE = 0,
    BOX_SPEC_ROOT_HOST = 1,
    BOX_SPEC_ROOT_DIRECTORY = 2,
    BOX_SPEC_ROOT_OVERLAY = 3
};
BOX_API enum box_spec_root_kind box_spec_get_root_kind(const box_spec *spec);
/* The layers of an overlay, the topmost first (an empty vector for another root), and where its changes go: NULL for
 * memory. Each of upper and work may be NULL when it is not asked for. */
BOX_API char *const *box_spec_get_root_overlay(const box_spec *spec, const char **upper, const char **work);
BOX_API uint64_t box_spec_get_scratch_size(const box_spec *spec);
/* NULL when nothing is said. */
BOX_API const char *box_spec_get_root_propagation(const box_spec *spec);
/* NULL for an overlay or the host's root. */
BOX_API const char *box_spec_get_root(const box_spec *spec);
BOX_API bool box_spec_get_root_readonly(const box_spec *spec);

/* ---- Mounts, in the order in which they are made ----------------------------------------------------- */

/* Any mount: a type ("tmpfs", "proc", "bind" …), a source (may be NULL), a destination, and options as in
 * fstab(5), "nosuid,mode=755,size=64m" (may be NULL). OCI's options are known too ("rro", "tmpcopyup",
 * "idmap"). mounts. */
BOX_API int box_spec_add_mount(box_spec *spec, const char *type, const char *source, const char *destination,
                               const char *options, box_error **err);
/* A directory or file of the host, with all mounts below it ("rbind,rprivate" and the options given). */
BOX_API int box_spec_add_bind(box_spec *spec, const char *source, const char *destination,
                              const char *options, box_error **err);
/* The same from an open descriptor (O_PATH will do), so that no path is walked again. */
BOX_API int box_spec_add_bind_fd(box_spec *spec, int source, const char *destination, const char *options,
                                 box_error **err);
/* A new, empty file system in memory; size in bytes (0: half the memory), mode of its top directory. nosuid
 * and nodev. */
BOX_API int box_spec_add_tmpfs(box_spec *spec, const char *destination, uint64_t size, mode_t mode,
                               const char *options, box_error **err);
/* A directory of the host that holds data and nothing else: a bind with nosuid and nodev. */
BOX_API int box_spec_add_volume(box_spec *spec, const char *directory, const char *destination,
                                const char *options, box_error **err);
/* The ids of the files of the last mount added for this destination, as seen inside: an idmapped mount. NULL:
 * none. mounts[].uidMappings, mount_setattr(2). BOX_ENOTFOUND: no such mount. */
BOX_API int box_spec_set_mount_idmap(box_spec *spec, const char *destination, const struct box_idmap *idmap,
                                     box_error **err);
/* Whether a start goes on without this mount where the host cannot make it. BOX_ENOTFOUND: no such mount. */
BOX_API int box_spec_set_mount_optional(box_spec *spec, const char *destination, bool optional,
                                        box_error **err);
/* Takes every mount for this destination away. BOX_ENOTFOUND: there was none. */
BOX_API int box_spec_remove_mount(box_spec *spec, const char *destination, box_error **err);
BOX_API int box_spec_clear_mounts(box_spec *spec, box_error **err);

/* One mount, as a caller reads it back. All pointers are the spec's; source, type may be NULL. */
struct box_spec_mount {
    const char *destination;
    const char *type;
    const char *source;
    char *const *options;
    bool optional;
    const struct box_idmap *idmap; /* its own mappings, or NULL */
    int source_fd;                 /* the descriptor that stands for the source, or -1 */
};
BOX_API size_t box_spec_count_mounts(const box_spec *spec);
/* The mount number `index`, from 0. BOX_ENOTFOUND when there are not so many. */
BOX_API int box_spec_get_mount(const box_spec *spec, size_t index, struct box_spec_mount *mount,
                               box_error **err);

/* ---- Namespaces: namespaces(7) ----------------------------------------------------------------------- */

enum box_spec_namespace {
    BOX_SPEC_MOUNT_NAMESPACE = 0,
    BOX_SPEC_PID_NAMESPACE = 1,
    BOX_SPEC_NETWORK_NAMESPACE = 2,
    BOX_SPEC_IPC_NAMESPACE = 3,
    BOX_SPEC_UTS_NAMESPACE = 4,
    BOX_SPEC_USER_NAMESPACE = 5,
    BOX_SPEC_CGROUP_NAMESPACE = 6,
    BOX_SPEC_TIME_NAMESPACE = 7
};

/* A new one. linux.namespaces. */
BOX_API int box_spec_add_namespace(box_spec *spec, enum box_spec_namespace kind, box_error **err);
/* The one that this file stands for: "/proc/42/ns/net", or a bind mount of such. */
BOX_API int box_spec_join_namespace(box_spec *spec, enum box_spec_namespace kind, const char *path,
                                    box_error **err);
/* The same by an open descriptor of such a file. */
BOX_API int box_spec_join_namespace_fd(box_spec *spec, enum box_spec_namespace kind, int fd, box_error **err);
/* The host's own, as `docker --network host`. Nothing else is changed along: what the rest of the spec then
 * lacks (a host name without a UTS namespace of its own) is told by box_spec_check(). */
BOX_API int box_spec_share_namespace(box_spec *spec, enum box_spec_namespace kind, box_error **err);
/* Whether there is one that is not the host's. */
BOX_API bool box_spec_has_namespace(const box_spec *spec, enum box_spec_namespace kind);
/* The path that is joined, or NULL. */
BOX_API const char *box_spec_get_namespace_path(const box_spec *spec, enum box_spec_namespace kind);

/* The ids of the container's user namespace, which is added when there is none. NULL: no mapping.
 * linux.uidMappings, linux.gidMappings, user_namespaces(7). */
BOX_API int box_spec_set_idmap(box_spec *spec, const struct box_idmap *idmap, box_error **err);
/* NULL when there is none. */
BOX_API const struct box_idmap *box_spec_get_idmap(const box_spec *spec);

/* The host name, and with it a UTS namespace when there is none; at most 64 bytes. NULL: none. hostname. */
BOX_API int box_spec_set_hostname(box_spec *spec, const char *name, box_error **err);
BOX_API const char *box_spec_get_hostname(const box_spec *spec);
/* The NIS domain name, likewise. domainname. */
BOX_API int box_spec_set_domainname(box_spec *spec, const char *name, box_error **err);
BOX_API const char *box_spec_get_domainname(const box_spec *spec);

/* What is added to a clock inside, and with it a time namespace when there is none: CLOCK_MONOTONIC or
 * CLOCK_BOOTTIME, seconds (may be negative) and nanoseconds (below 1,000,000,000). linux.timeOffsets,
 * time_namespaces(7). */
BOX_API int box_spec_set_time_offset(box_spec *spec, int clock, int64_t seconds, uint32_t nanoseconds,
                                     box_error **err);

/* false: the clock has no offset. */
BOX_API bool box_spec_get_time_offset(const box_spec *spec, int clock, int64_t *seconds, uint32_t *nanoseconds);

/* ---- Limits ------------------------------------------------------------------------------------------ */

/* What the cgroup may use; NULL: nothing is set. linux.resources. */
BOX_API int box_spec_set_limits(box_spec *spec, const struct box_limits *limits, box_error **err);
/* The spec's own limits, to be changed in place by box_limits_set_*(); made when there are none. NULL: out of
 * memory. */
BOX_API struct box_limits *box_spec_limits(box_spec *spec);
/* NULL when there are none. */
BOX_API const struct box_limits *box_spec_get_limits(const box_spec *spec);
/* The path of the cgroup below the hierarchy's top, or "slice:prefix:name" for systemd; NULL: libbox picks
 * one. linux.cgroupsPath. */
BOX_API int box_spec_set_cgroup(box_spec *spec, const char *path, box_error **err);
BOX_API const char *box_spec_get_cgroup(const box_spec *spec);

/* A limit of setrlimit(2): RLIMIT_* of <sys/resource.h>, BOX_RLIMIT_UNLIMITED for none. Takes the place of
 * one set before. process.rlimits. BOX_EINVAL: no such resource, or soft above hard. */
BOX_API int box_spec_set_rlimit(box_spec *spec, int resource, uint64_t soft, uint64_t hard, box_error **err);
/* The resource keeps what the calling program has. */
BOX_API int box_spec_unset_rlimit(box_spec *spec, int resource, box_error **err);
/* false: it keeps what the calling program has. */
BOX_API bool box_spec_get_rlimit(const box_spec *spec, int resource, uint64_t *soft, uint64_t *hard);
/* -1000 (never killed) to 1000 (first). process.oomScoreAdj, proc_pid_oom_score_adj(5). */
BOX_API int box_spec_set_oom_score_adj(box_spec *spec, int value, box_error **err);

/* false: nothing is said. */
BOX_API bool box_spec_get_oom_score_adj(const box_spec *spec, int *value);

struct box_scheduler; /* libbox/sched.h */
/* NULL: as it comes. process.scheduler, sched_setattr(2). Errors: those of box_scheduler_check(). */
BOX_API int box_spec_set_scheduler(box_spec *spec, const struct box_scheduler *scheduler, box_error **err);
/* A class of enum box_ioprio_class and a level, 0 (first) to 7. process.ioPriority, ioprio_set(2). */
BOX_API int box_spec_set_ioprio(box_spec *spec, int ioclass, int level, box_error **err);
/* false, each: nothing is said. */
BOX_API bool box_spec_get_scheduler(const box_spec *spec, struct box_scheduler *scheduler);
BOX_API bool box_spec_get_ioprio(const box_spec *spec, int *ioclass, int *level);
/* CPUs on which the process starts, and those it has from the moment it runs: lists such as "0-3,7"; NULL: as
 * it comes. process.execCPUAffinity. */
BOX_API int box_spec_set_cpu_affinity(box_spec *spec, const char *initial, const char *running,
                                      box_error **err);

/* The lists as they were given; NULL for one that was not. Either pointer may be NULL. */
BOX_API void box_spec_get_cpu_affinity(const box_spec *spec, const char **initial, const char **running);

/* ---- Confinement ------------------------------------------------------------------------------------- */

/* The seccomp policy; NULL: no filter. linux.seccomp, seccomp(2). */
BOX_API int box_spec_set_seccomp(box_spec *spec, const struct box_seccomp *policy, box_error **err);
/* The library's own policy again, box_seccomp_new_default(): it follows the capabilities of the spec,
 * whenever they are set. */
BOX_API int box_spec_set_seccomp_default(box_spec *spec, box_error **err);
/* NULL when there is none. */
BOX_API const struct box_seccomp *box_spec_get_seccomp(const box_spec *spec);

/* All five sets; NULL: the process keeps what the calling program has. process.capabilities, capabilities(7).
 */
BOX_API int box_spec_set_capabilities(box_spec *spec, const struct box_capset *sets, box_error **err);
/* One mask for a process of user 0, as box_capset_from_mask() spreads it. */
BOX_API int box_spec_set_capability_mask(box_spec *spec, uint64_t mask, box_error **err);
/* One capability more or less, by name, "NET_ADMIN" or "CAP_NET_ADMIN"; "ALL" is every one of the running
 * kernel. BOX_EPARSE for a name that is none. Where nothing was set, one adds to nothing and drops from all.
 */
BOX_API int box_spec_add_capability(box_spec *spec, const char *name, box_error **err);
BOX_API int box_spec_drop_capability(box_spec *spec, const char *name, box_error **err);
/* false: the spec leaves capabilities alone, and *sets is all zero. */
BOX_API bool box_spec_get_capabilities(const box_spec *spec, struct box_capset *sets);
/* Names of capabilities in a loaded document that this libbox does not know. They are kept, and never
 * granted; OCI asks a runtime to warn of them. */
BOX_API char *const *box_spec_get_unknown_capabilities(const box_spec *spec);

/* Whether no execve(2) gains privileges. process.noNewPrivileges, PR_SET_NO_NEW_PRIVS of prctl(2). */
BOX_API int box_spec_set_no_new_privileges(box_spec *spec, bool on, box_error **err);
BOX_API bool box_spec_get_no_new_privileges(const box_spec *spec);

/* Landlock rules, for paths as the process sees them; NULL: none. libbox.landlock, landlock(7). */
BOX_API int box_spec_set_landlock(box_spec *spec, const struct box_landlock *rules, box_error **err);
/* NULL when there are none. */
BOX_API const struct box_landlock *box_spec_get_landlock(const box_spec *spec);

/* AppArmor's profile; NULL: as it comes. process.apparmorProfile. */
BOX_API int box_spec_set_apparmor(box_spec *spec, const char *profile, box_error **err);
/* SELinux's context of the process; NULL: as it comes. process.selinuxLabel. */
BOX_API int box_spec_set_selinux(box_spec *spec, const char *label, box_error **err);
/* SELinux's context of the files of its mounts. linux.mountLabel. */
BOX_API int box_spec_set_mount_label(box_spec *spec, const char *label, box_error **err);
/* NULL, each, when nothing is said. */
BOX_API const char *box_spec_get_apparmor(const box_spec *spec);
BOX_API const char *box_spec_get_selinux(const box_spec *spec);
BOX_API const char *box_spec_get_mount_label(const box_spec *spec);
/* A session keyring of its own (the default), or the calling program's. libbox.newKeyring, keyrings(7). */
BOX_API int box_spec_set_new_keyring(box_spec *spec, bool on, box_error **err);

BOX_API bool box_spec_get_new_keyring(const box_spec *spec);

/* A path that cannot be read: a file shows /dev/null, a directory is empty. linux.maskedPaths. */
BOX_API int box_spec_add_masked_path(box_spec *spec, const char *path, box_error **err);
BOX_API int box_spec_clear_masked_paths(box_spec *spec, box_error **err);
BOX_API char *const *box_spec_get_masked_paths(const box_spec *spec);
/* A path that cannot be written to. linux.readonlyPaths. */
BOX_API int box_spec_add_readonly_path(box_spec *spec, const char *path, box_error **err);
BOX_API int box_spec_clear_readonly_paths(box_spec *spec, box_error **err);
BOX_API char *const *box_spec_get_readonly_paths(const box_spec *spec);

/* A file below /proc/sys, by its name with dots, "net.core.somaxconn". linux.sysctl, sysctl(8). */
BOX_API int box_spec_set_sysctl(box_spec *spec, const char *name, const char *value, box_error **err);
BOX_API int box_spec_unset_sysctl(box_spec *spec, const char *name, box_error **err);
/* NULL when it is not set. */
BOX_API const char *box_spec_get_sysctl(const box_spec *spec, const char *name);

/* One at a time, in the order in which they were first set: the name, and its value in *value. NULL past the last. */
BOX_API const char *box_spec_next_sysctl(const box_spec *spec, size_t index, const char **value);

/* A network device of the network namespace in which the starting thread is, to be moved into the spec's, which must be
 * one of its own or joined. `inside` is its name there; "eth%d" stands for the lowest number that is free; NULL: it keeps
 * its own. It comes up with its permanent addresses of global scope, and without its routes. When the namespace ends, the
 * kernel gives a physical device back to the first network namespace, and removes one that is virtual. Needs
 * CAP_NET_ADMIN in both. BOX_EINVAL for what is no name of a device, BOX_ELIMIT. linux.netDevices of runtime-spec 1.3. */
BOX_API int box_spec_add_net_device(box_spec *spec, const char *name, const char *inside, box_error **err);
BOX_API int box_spec_clear_net_devices(box_spec *spec, box_error **err);
/* One at a time: the name outside, and inside in *inside, "" for the same. NULL past the last. */
BOX_API const char *box_spec_next_net_device(const box_spec *spec, size_t index, const char **inside);

/* The execution domain, PER_LINUX or PER_LINUX32 of <sys/personality.h>. linux.personality, personality(2).
 */
BOX_API int box_spec_set_personality(box_spec *spec, unsigned long domain, box_error **err);
/* false: nothing is said. */
BOX_API bool box_spec_get_personality(const box_spec *spec, unsigned long *domain);

/* Layers of defence without which a start goes on where the host cannot have them; without such leave it
 * fails. What was applied can be read back: box_process_applied(). */
enum box_spec_layer {
    BOX_SPEC_LAYER_SECCOMP = 1 << 0,
    BOX_SPEC_LAYER_LANDLOCK = 1 << 1,
    BOX_SPEC_LAYER_APPARMOR = 1 << 2,
    BOX_SPEC_LAYER_SELINUX = 1 << 3,
    BOX_SPEC_LAYER_CGROUP = 1 << 4,  /* limits of linux.resources */
    BOX_SPEC_LAYER_DEVICES = 1 << 5, /* the rules for devices */
    BOX_SPEC_LAYER_KEYRING = 1 << 6
};
/* A mask of enum box_spec_layer, in place of the one before. libbox.mayMiss. */
BOX_API int box_spec_allow_missing(box_spec *spec, uint32_t layers, box_error **err);
BOX_API uint32_t box_spec_get_missing_allowed(const box_spec *spec);

/* ---- Devices ----------------------------------------------------------------------------------------- */

/* A device of the host, as `docker --device HOST:INSIDE:ACCESS`: its node in the container and a rule that
 * allows it. `inside` NULL: the same path; access of "r", "w" and "m", NULL: "rwm". A directory gives every
 * device below it. Errors: BOX_ENOTFOUND; BOX_EINVAL when it is no device. linux.devices,
 * linux.resources.devices. */
BOX_API int box_spec_add_device(box_spec *spec, const char *path, const char *inside, const char *access,
                                box_error **err);
/* A device node alone, with no rule: type 'c', 'b', 'u' or 'p'. mknod(2). */
BOX_API int box_spec_add_device_node(box_spec *spec, const char *inside, char type, int64_t major,
                                     int64_t minor, mode_t mode, uid_t uid, gid_t gid, box_error **err);
/* A rule alone: allow or deny type 'c', 'b' or 'a' (all), numbers or -1 for any. */
BOX_API int box_spec_add_device_rule(box_spec *spec, bool allow, char type, int64_t major, int64_t minor,
                                     const char *access, box_error **err);
/* /dev/null, zero, full, random, urandom, tty and ptmx, and the links to /proc/self/fd: on with a root of its
 * own. libbox.defaultDevices. */
BOX_API int box_spec_set_default_devices(box_spec *spec, bool on, box_error **err);
BOX_API bool box_spec_get_default_devices(const box_spec *spec);
/* A device node, as a caller reads it back. The path is the spec's. */
struct box_spec_device {
    const char *path; /* in the container */
    char type;        /* 'c', 'b', 'u' or 'p' */
    int64_t major, minor;
    mode_t mode; /* 0666 where nothing was said */
    uid_t uid;
    gid_t gid;
};
BOX_API size_t box_spec_count_devices(const box_spec *spec);
/* The node number `index`, from 0. BOX_ENOTFOUND when there are not so many. The rules are those of the limits. */
BOX_API int box_spec_get_device(const box_spec *spec, size_t index, struct box_spec_device *device, box_error **err);
/* `docker --privileged`: all capabilities, every device of the host, nothing masked or read-only, /sys and
 * the cgroups writable, no seccomp filter, no AppArmor profile, new privileges allowed. Such a container can
 * take over the host. */
BOX_API int box_spec_set_privileged(box_spec *spec, box_error **err);

/* ---- Hooks and annotations --------------------------------------------------------------------------- */

enum box_spec_hook {
    BOX_SPEC_HOOK_PRESTART = 0, /* deprecated by OCI for the next three */
    BOX_SPEC_HOOK_CREATE_RUNTIME = 1,
    BOX_SPEC_HOOK_CREATE_CONTAINER = 2,
    BOX_SPEC_HOOK_START_CONTAINER = 3,
    BOX_SPEC_HOOK_POSTSTART = 4,
    BOX_SPEC_HOOK_POSTSTOP = 5
};

/* A program of the host (of the container: START_CONTAINER) to run at a point of the container's life, with
 * the state as JSON on its standard input. args holds args[0] too, and may be NULL as env may; timeout in
 * seconds, 0: none. hooks. */
BOX_API int box_spec_add_hook(box_spec *spec, enum box_spec_hook kind, const char *path, char *const args[],
                              char *const env[], int timeout, box_error **err);
BOX_API int box_spec_clear_hooks(box_spec *spec, box_error **err);
/* A hook, as a caller reads it back. All pointers are the spec's; the vectors may be empty. */
struct box_spec_hook_entry {
    const char *path;
    char *const *args;
    char *const *env;
    int timeout; /* seconds; 0: none */
};
BOX_API size_t box_spec_count_hooks(const box_spec *spec, enum box_spec_hook kind);
/* The hook number `index` of a kind, from 0. BOX_ENOTFOUND when there are not so many. */
BOX_API int box_spec_get_hook(const box_spec *spec, enum box_spec_hook kind, size_t index, struct box_spec_hook_entry *hook,
                              box_error **err);

/* A remark for whoever reads the spec, in place of one under the same key; value NULL takes it away.
 * annotations. */
BOX_API int box_spec_set_annotation(box_spec *spec, const char *key, const char *value, box_error **err);
/* NULL when there is none. */
BOX_API const char *box_spec_get_annotation(const box_spec *spec, const char *key);
/* One at a time, in the order in which they were first set: the key, and its value in *value. NULL past the last. */
BOX_API const char *box_spec_next_annotation(const box_spec *spec, size_t index, const char **value);

#ifdef __cplusplus
}
#endif

#endif
