/* The spec as the rest of the library sees it: plain fields, filled by the setters of libbox/spec.h or from
 * OCI JSON.
 *
 * Strings and arrays are owned by the spec; a vector of strings ends in NULL and may be NULL when empty.
 * Where the OCI document tells "absent" from zero, a `has_` flag does so here. Fields that libbox adds to
 * OCI's are kept under the top-level key "libbox" of the JSON document, which other runtimes ignore;
 * properties that libbox does not know are kept with the document and written back, so that loading and
 * saving loses nothing. */
#ifndef BOX_SPEC_SPEC_H
#define BOX_SPEC_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <libbox/spec.h>
#include <libbox/capability.h>

struct json_object;
struct box_limits;   /* kernel/cgroup_limits.h */
struct box_seccomp;  /* kernel/seccomp_policy.h */
struct box_landlock; /* kernel/landlock_rules.h */
struct box_idmap;    /* libbox/idmap.h */

enum spec_root_kind {
    SPEC_ROOT_NONE,      /* nothing said yet: box_spec_check() refuses to start such a spec */
    SPEC_ROOT_HOST,      /* the caller's own root: a confined child, no container */
    SPEC_ROOT_DIRECTORY, /* an existing directory */
    SPEC_ROOT_OVERLAY,   /* layers below, a writable directory above */
};

struct spec_root {
    enum spec_root_kind kind;
    char *path; /* directory, or for an overlay NULL */
    bool readonly;
    char **lower; /* overlay: layers, the topmost first */
    char *upper;  /* overlay: NULL for a scratch upper on tmpfs that goes with the container */
    char *work;
    uint64_t scratch_size; /* bytes for the scratch upper; 0: half the memory, as tmpfs(5) has it */
};

struct spec_user {
    uint32_t uid, gid;
    uint32_t *additional_gids;
    size_t n_additional_gids;
    bool has_umask;
    uint32_t umask;
    bool keep;  /* whoever the caller is, where there is no user namespace: a confined child; uid and gid are 0 then */
    char *name; /* "user[:group]" still to be looked up in the root's own passwd and group files, or NULL */
};

struct spec_rlimit {
    int resource;
    uint64_t soft, hard;
};

struct spec_scheduler {
    bool set;
    uint32_t policy; /* SCHED_* of linux/sched.h */
    int32_t nice;
    int32_t priority;
    uint64_t flags;
    uint64_t runtime, deadline, period; /* nanoseconds */
};

struct spec_process {
    bool terminal;
    uint16_t rows, columns; /* 0: unset */
    struct spec_user user;
    char **args;
    char *command_line; /* Windows only; kept for the round trip */
    char **env;
    char *cwd; /* NULL: "/" */
    bool has_capabilities;
    struct box_capset capabilities;
    char **unknown_capabilities; /* names of the document that this libbox has no number for; never granted */
    struct spec_rlimit *rlimits;
    size_t n_rlimits;
    bool no_new_privileges;
    char *apparmor_profile;
    char *selinux_label;
    bool has_oom_score_adj;
    int oom_score_adj;
    struct spec_scheduler scheduler;
    bool has_io_priority;
    int io_class; /* IOPRIO_CLASS_* */
    int io_level;
    char *cpus_initial, *cpus_final; /* execCPUAffinity */
};

struct spec_mount {
    char *destination;
    char *type;
    char *source;
    char **options;
    struct box_idmap *idmap; /* uidMappings and gidMappings of the mount, or NULL */
    int source_fd;           /* -1, or a descriptor of the caller's that stands for the source */
    bool optional;           /* libbox: may be missing on this host */
};

struct spec_namespace {
    bool present;
    char *path; /* join this one; NULL: make a new one */
    int fd;     /* -1, or join by this descriptor (an nsfs file) */
};

enum spec_namespace_kind {
    SPEC_NS_MOUNT,
    SPEC_NS_PID,
    SPEC_NS_NETWORK,
    SPEC_NS_IPC,
    SPEC_NS_UTS,
    SPEC_NS_USER,
    SPEC_NS_CGROUP,
    SPEC_NS_TIME,
    SPEC_NS_KINDS,
};

struct spec_device {
    char *path;
    char type; /* 'c', 'b', 'u', 'p' */
    int64_t major, minor;
    bool has_mode, has_uid, has_gid;
    uint32_t mode, uid, gid;
};

struct spec_pair {
    char *key, *value;
};

struct spec_hook {
    char *path;
    char **args;
    char **env;
    bool has_timeout;
    int timeout; /* seconds */
};

enum spec_hook_kind {
    SPEC_HOOK_PRESTART,
    SPEC_HOOK_CREATE_RUNTIME,
    SPEC_HOOK_CREATE_CONTAINER,
    SPEC_HOOK_START_CONTAINER,
    SPEC_HOOK_POSTSTART,
    SPEC_HOOK_POSTSTOP,
    SPEC_HOOK_KINDS,
};

struct spec_hooks {
    struct spec_hook *list;
    size_t n;
};

struct spec_time_offset {
    bool set;
    int64_t seconds;
    uint32_t nanoseconds;
};

/* What may be missing on this host without failing the start (box_spec_allow_missing). */
enum spec_layer {
    SPEC_LAYER_SECCOMP = 1 << 0,
    SPEC_LAYER_LANDLOCK = 1 << 1,
    SPEC_LAYER_APPARMOR = 1 << 2,
    SPEC_LAYER_SELINUX = 1 << 3,
    SPEC_LAYER_CGROUP = 1 << 4,
    SPEC_LAYER_DEVICES = 1 << 5,
    SPEC_LAYER_KEYRING = 1 << 6,
};

struct box_spec {
    char *oci_version; /* as loaded; NULL: the newest that libbox writes */
    char *hostname;
    char *domainname;
    struct spec_root root;
    bool has_process;
    struct spec_process process;
    struct spec_mount *mounts;
    size_t n_mounts;
    struct spec_hooks hooks[SPEC_HOOK_KINDS];
    struct spec_pair *annotations;
    size_t n_annotations;

    /* linux */
    struct spec_namespace namespaces[SPEC_NS_KINDS];
    struct box_idmap *idmap; /* linux.uidMappings, linux.gidMappings; NULL: none */
    struct spec_time_offset time_monotonic, time_boottime;
    struct spec_device *devices;
    size_t n_devices;
    char *cgroups_path;
    struct box_limits *limits; /* linux.resources; NULL: none */
    char *rootfs_propagation;
    struct box_seccomp *seccomp; /* NULL: no filter */
    bool seccomp_follows;        /* it is the default policy, made anew when the capabilities change */
    struct spec_pair *sysctl;
    size_t n_sysctl;
    char **masked_paths;
    char **readonly_paths;
    char *mount_label;
    bool has_personality;
    uint64_t personality;                                        /* personality(2) */
    struct json_object *intel_rdt, *net_devices, *memory_policy; /* checked by the schema only, or NULL */

    /* libbox's own */
    bool init;        /* a minimal init as the first process */
    bool new_keyring; /* a session keyring of its own; the default */
    struct box_landlock *landlock;
    uint32_t may_miss;    /* enum spec_layer */
    int preserve_fds;     /* fds 3 .. 3+n-1 of the process handed over by the caller's stdio object */
    bool default_devices; /* /dev/null and its like, ptmx, the fd links: the default with a root of its own */
    bool chroot;          /* no mount namespace: the root is a mount of the caller's making in this one, is entered by
                             chroot(2), and goes with all that is mounted below it. Never from a document alone */

    /* The document as it was loaded, and as this spec was written right after: what differs between the two
     * is what only the document knows (unknown properties, spelling, explicit defaults), and
     * box_spec_format() puts it back wherever the spec has not been changed since. Both NULL for a spec that
     * was not loaded. */
    struct json_object *document, *rendered;
};

/* OCI's name of a namespace kind ("mount", "pid", "network", …) and its CLONE_NEW* flag. */
extern const struct spec_namespace_info {
    const char *name;
    int clone_flag;
} spec_namespace_info[SPEC_NS_KINDS];

/* The whole spec held against itself: contradictions that no host could satisfy, each naming its field. */
int box_spec_check(const struct box_spec *spec, box_error **err);

/* The environment variable's value in a vector, or NULL. */
const char *box_spec_env_get(char *const *env, const char *name);

#endif
