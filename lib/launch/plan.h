/* A plan inside the library, and its builder. Order of work: plan.c decides the shape of the start and lists the
 * operations; plan_root.c does those of the file system, plan_process.c those of the process; builder.c packs them. */
#ifndef BOX_LAUNCH_PLAN_H
#define BOX_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <libbox/launch.h>
#include <libbox/seccomp.h>
#include "base/fail.h"
#include "launch/plan_format.h"
#include "spec/spec.h"

struct plan_held_fd {
    int slot;
    int fd;
};

/* Done by the host's thread at each start: a clone of a mount that only a descriptor of the caller's names; or a mount of
 * the EROFS image that the descriptor is open on, attached nowhere, which the stage is not free to make: it may be in a
 * cgroup already that denies the loop devices. */
struct plan_host_clone {
    int slot;
    int fd;
    unsigned flags; /* of open_tree(2) */
    bool image;
};

struct box_plan {
    uint8_t *bytes; /* as in the memory file; for naming the step that failed */
    uint32_t size;
    int memory;           /* the file that holds it, from `offset` on */
    uint32_t offset;
    int program;          /* the stage: the same file, or the installed copy's descriptor */
    bool clone_into;      /* the stage itself is cloned into the cgroup */
    uint64_t clone_flags; /* of the first clone */
    bool loopback;        /* the host brings the loopback interface up while the stage is at work */
    bool ambient;         /* capabilities must be carried over the exec of the stage */
    bool forks;           /* the stage goes on as a child of its own */
    bool hold;            /* the stage waits for a go before the payload */
    bool monitor;         /* under a monitor; implies forks */
    bool waits;           /* the first stage stays, as the parent of the process; implies forks */
    bool maps;            /* an id map is to be written */
    bool init;
    bool terminal;
    bool listener; /* the filter sends notices */
    bool asks;     /* the stage waits for a part of the host's: hooks */
    box_seccomp_filter *filter; /* what the policy says of a call that its listener tells of; NULL: no filter */
    char *listener_path, *listener_metadata;
    box_spec *hooks; /* hooks_keep(), or NULL */
    uint32_t devices, n_devices; /* network devices to move: pairs of names in `bytes`, from this offset on */
    int preserve_fds;
    struct box_idmap *idmap;
    struct box_limits *limits;
    char *cgroup_path;
    unsigned cgroup_wanted;              /* hierarchies and controllers of the process's cgroup; 0: it gets none */
    struct box_cgroup_host *cgroup_host; /* as it was seen when the plan was made; NULL: the cgroup is given */
    uint32_t may_miss;
    struct plan_held_fd *held;
    size_t n_held;
    struct plan_host_clone *clones;
    size_t n_clones;
};

/* What the container code asks for beyond the public calls. */
struct plan_options {
    bool monitor;         /* detached: a monitor records how it ended */
    uint32_t join;        /* CLONE_NEW* of the process whose pidfd is given at the start: an exec into a container */
    const char *join_user; /* what the link to its user namespace must say after the join: "user:[INODE]" */
    int root_fd;          /* the root whose passwd and group files count (exec); -1: the spec's own root */
    bool chroot;          /* join: no namespace leads to that root, it is entered by chroot(2) */
    bool keep_upper;      /* the writable layer outlives this run: what the payload syncs is synced */
    bool hold;            /* wait on the hold descriptor before the payload is executed */
    bool no_waiter;       /* in a pid namespace that is joined, the process is a child of the caller's, or of whoever adopts the caller's */
    bool no_program;      /* held for ever: there is none to look for */
    bool no_pivot;        /* the old root stays below the new one, for a root that cannot be pivoted (ramfs) */
    bool cgroup;          /* a cgroup will be given at the start */
    bool cgroup_everywhere; /* which is in every hierarchy */
    bool rdt;             /* so will the resctrl group that the spec wants */
};
#define PLAN_OPTIONS_INIT {.root_fd = -1, .keep_upper = true}
int box_plan_new_with(const box_spec *spec, const struct plan_options *options, box_plan **plan, box_error **err);

/* ---- for the plan's own files ----------------------------------------------------------------------------------- */

struct builder {
    const box_spec *spec;
    const struct plan_options *options;
    box_plan *plan;
    uint8_t *bytes;
    size_t size, room;
    struct plan_op *ops;
    size_t n_ops, ops_room;
    int next_slot;
    int failed; /* sticky: BOX_ENOMEM or BOX_ELIMIT; what is added then goes nowhere */
    bool privileged;  /* we have CAP_SYS_ADMIN here */
    bool new_user;    /* a new user namespace */
    bool in_user;     /* we are in one already, and its root at most */
    bool prepare;     /* sources are opened before the user namespace is entered */
    bool new_mount;   /* mounts of the spec's are made, in a new mount namespace or */
    bool joined_mount; /* in one that is joined, whose root is changed, or */
    bool chroot;       /* in that of the caller, below a root that is entered by chroot(2) */
    bool have_dev;    /* /dev is a fresh tmpfs */
    bool have_devpts;
    bool scratch_attached; /* a scratch tmpfs lies between the old root and the new */
    bool need_proc;   /* something is written through a private procfs */
    bool have_proc;   /* it is opened */
    bool dev_readonly; /* /dev is to be read-only once it is filled */
    int *source_slots; /* one a mount: the source that was opened early, or 0 */
};

#define NEW_OP(code_, ...) (&(struct plan_op){.code = OP_##code_, ##__VA_ARGS__})
#define APPLIES(bit) ((uint16_t)(__builtin_ctz(BOX_APPLIED_##bit) + 1))

/* Appends an operation; the offsets of its strings are made by the calls below, before. */
void builder_add(struct builder *b, const struct plan_op *op);
uint32_t builder_string(struct builder *b, const char *s); /* NULL: 0 */
uint32_t builder_data(struct builder *b, const void *data, size_t size);
/* A run of NUL-ended strings; *n counts them. */
uint32_t builder_strings(struct builder *b, char *const *list, uint32_t *n);
int builder_slot(struct builder *b);
/* Has the image of this path mounted at each start, for a slot. */
int builder_host_image(struct builder *b, int slot, const char *path, box_error **err);
/* Keeps a descriptor in the plan, for a new slot. The plan owns fd from here on, whatever is returned. */
int builder_hold(struct builder *b, int fd);
int builder_host_clone(struct builder *b, int fd, unsigned flags);
int builder_finish(struct builder *b, box_error **err);

int plan_add_root(struct builder *b, box_error **err);
int plan_add_sources(struct builder *b, box_error **err);
void plan_add_terminal(struct builder *b);
/* A private procfs, once. */
void plan_add_proc(struct builder *b);
/* The hooks of the stage's side of one kind; the filter that they load for themselves lies at `filter` (0: none). */
void plan_add_hooks(struct builder *b, enum spec_hook_kind kind, uint32_t filter, uint32_t filter_size, uint32_t filter_flags);
int plan_add_affinity(struct builder *b, const char *list, const char *which, box_error **err);
void plan_add_oom_score(struct builder *b, bool early);
int plan_add_process(struct builder *b, box_error **err);
int plan_add_devices(struct builder *b, box_error **err);
/* The limits of a spec as they are applied: with rules for the default devices. NULL when there are none. */
int launch_limits(const box_spec *spec, struct box_limits **limits, box_error **err);
int plan_add_cgroup_view(struct builder *b, uint64_t attrs, int slot, uint32_t target, uint32_t flags, box_error **err);

/* Looks the user of the spec up in its root's own files: fills *process, a copy of the spec's, with ids, groups and,
 * when the environment has none, HOME. What it allocates is freed by plan_clear_user(). */
int plan_resolve_user(const box_spec *spec, int root_fd, struct spec_process *process, box_error **err);
void plan_clear_user(const box_spec *spec, struct spec_process *process);

static inline bool plan_new_namespace(const box_spec *spec, enum spec_namespace_kind kind)
{
    const struct spec_namespace *ns = &spec->namespaces[kind];
    return ns->present && !ns->path && ns->fd < 0;
}

static inline bool plan_joined_namespace(const box_spec *spec, enum spec_namespace_kind kind)
{
    const struct spec_namespace *ns = &spec->namespaces[kind];
    return ns->present && (ns->path || ns->fd >= 0);
}

BOX_CLEANUP(box_plan, box_plan_free);

#endif
