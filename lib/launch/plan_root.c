/* The file system part of a plan: root, mounts, devices, masked and read-only paths.
 *
 * Order: sources and the overlay (before the user namespace is entered, where that is what gives the right to them);
 * the root is attached; mounts in the order of the spec, each made detached and then attached to a target that was
 * resolved inside the root; devices; sysctls; read-only and masked paths; the terminal; and the change to the new root. */
#include "launch/plan.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include <libbox/lsm.h>
#include "base/cleanup.h"
#include "base/strings.h"
#include "kernel/mount.h"
#include "kernel/mount_options.h"
#include "launch/hooks.h"

/* <sys/mount.h> and <linux/mount.h> do not go together in every libc. */
#define MS_REC_     (1ul << 14)
#define MS_PRIVATE_ (1ul << 18)
#define MS_SLAVE_   (1ul << 19)
#define MS_SHARED_  (1ul << 20)
#define MS_UNBINDABLE_ (1ul << 17)
#define AT_RECURSIVE_ 0x8000

static bool is_bind(const struct spec_mount *m, const struct box_mount_options *o)
{
    return o->bind || (m->type && strcmp(m->type, "bind") == 0);
}

static const char *type_of(const struct spec_mount *m)
{
    return m->type ? m->type : "";
}

static uint32_t optional(const struct spec_mount *m)
{
    return m->optional ? PLAN_OP_OPTIONAL | PLAN_OP_DROPS : 0;
}

static int parse(const struct spec_mount *m, struct box_mount_options *o, box_error **err)
{
    size_t n = 0;

    while (m->options && m->options[n])
        n++;
    int r = box_mount_options_parse_list((const char *const *)m->options, n, o, err);
    return r < 0 ? box_fail_wrap(err, r, "mount %s", m->destination) : 0;
}

/* ---- binds ------------------------------------------------------------------------------------------------------ */

static unsigned clone_flags(const struct box_mount_options *o)
{
    return OPEN_TREE_CLONE | (o->rbind ? AT_RECURSIVE_ : 0) | (o->src_nofollow ? AT_SYMLINK_NOFOLLOW : 0);
}

/* The operation that opens a bind's source into a slot of its own; done early or in its turn. */
static int add_source(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o)
{
    if (m->source_fd >= 0 && b->privileged)
        return builder_host_clone(b, m->source_fd, clone_flags(o) | AT_EMPTY_PATH);
    int slot = builder_slot(b);
    if (m->source_fd >= 0) { /* an ordinary user has no right to clone mounts but in a namespace of his own */
        int own = fcntl(m->source_fd, F_DUPFD_CLOEXEC, 3);
        if (own < 0) {
            b->failed = BOX_ENOMEM;
            return slot;
        }
        builder_add(b, NEW_OP(OPEN_SOURCE, .slot = slot, .slot2 = builder_hold(b, own), .num = clone_flags(o),
                              .flags = optional(m) | SOURCE_BY_NAME));
        return slot;
    }
    uint32_t source = builder_string(b, m->source);
    builder_add(b, NEW_OP(OPEN_SOURCE, .slot = slot, .str = source, .num = clone_flags(o), .flags = optional(m)));
    return slot;
}

static int add_idmap(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot,
                     box_error **err)
{
    const struct box_idmap *map = m->idmap ? m->idmap : b->spec->idmap;

    if (!m->idmap && o->idmap == BOX_MOUNT_IDMAP_NONE)
        return 0;
    if (!map)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = m->destination},
                             "the mount asks for idmap, but neither it nor the user namespace has mappings");
    int userns = box_idmap_userns(map, err);
    if (userns < 0)
        return box_fail_wrap(err, userns, "mount %s", m->destination);
    builder_add(b, NEW_OP(IDMAP, .slot = slot, .slot2 = builder_hold(b, userns),
                          .flags = optional(m) | (o->idmap == BOX_MOUNT_IDMAP_REC ? SETATTR_RECURSIVE : 0)));
    return 0;
}

static int fail_option(const struct spec_mount *m, const char *option, const char *why, box_error **err)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = m->destination}, "mount option %s: %s", option,
                         why);
}

/* What makes no sense for this kind of mount, and which the kernel would pass over in silence. Options of a file system
 * on a bind are not among it: documents have them ("mode=755"), and every runtime passes over them. */
static int check_options(const struct spec_mount *m, const struct box_mount_options *o, box_error **err)
{
    bool bind = is_bind(m, o), fresh = !bind && !o->remount && m->type;

    if (o->tmpcopyup && !(bind && !o->remount) && !(fresh && strcmp(type_of(m), "tmpfs") == 0))
        return fail_option(m, "tmpcopyup", "only a new tmpfs and an empty directory can be filled", err);
    if (o->copy_symlink && !bind)
        return fail_option(m, "copy-symlink", "only a bind mount has a source that may be a link", err);
    if (o->idmap_maps)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = m->destination,
                                                          .remedy = "give the mappings as uidMappings and gidMappings of the mount"},
                             "mount option idmap: mappings in the option itself are not read");
    if ((m->idmap || o->idmap != BOX_MOUNT_IDMAP_NONE) && !bind && !fresh)
        return fail_option(m, "idmap", "a mount that is there already cannot be mapped", err);
    return 0;
}

/* "slave,shared" is the one pair that means both, one after the other. */
static void add_second_propagation(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot)
{
    if (o->propagation_then)
        builder_add(b, NEW_OP(SETATTR, .slot = slot, .num3 = o->propagation_then & ~MS_REC_,
                              .flags = optional(m) | (o->propagation_then_rec ? SETATTR_RECURSIVE : 0)));
}

/* Attributes of a bind: on the mount, on all below it, and propagation (private unless another is asked for). */
static void add_attributes(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot)
{
    unsigned long propagation = o->propagation ? o->propagation : MS_PRIVATE_;

    builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = o->attr_set, .num2 = o->attr_clear, .flags = optional(m)));
    builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = o->rec_attr_set, .num2 = o->rec_attr_clear,
                          .num3 = propagation & ~MS_REC_, .flags = optional(m) | SETATTR_RECURSIVE));
    add_second_propagation(b, m, o, slot);
}

/* "/proc" or a path below it, however it is spelt; ".." is refused elsewhere. */
static bool is_proc(const char *path)
{
    while (*path == '/' || (path[0] == '.' && path[1] == '/'))
        path++;
    return strncmp(path, "proc", 4) == 0 && (path[4] == '\0' || path[4] == '/');
}

/* A volume over /proc would be taken for the kernel's word by all that runs inside (CVE-2019-16884). Single files of
 * it may be covered, as container file systems that show a container's own memory and load do. */
static int check_proc(const struct builder *b, const struct spec_mount *m, box_error **err)
{
    struct stat st;
    struct statfs fs;

    if (b->spec->root.kind == SPEC_ROOT_HOST || !is_proc(m->destination) || !m->source)
        return 0;
    if (stat(m->source, &st) == 0 && (S_ISREG(st.st_mode) || S_ISCHR(st.st_mode)))
        return 0;
    if (statfs(m->source, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC)
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = m->destination,
                                                      .remedy = "mount it elsewhere"},
                         "a directory that is no procfs may not be mounted on %s", m->destination);
}

/* The same is asked of the target that is found, since a link in the root may lead there. A small file system that hides
 * a part of /proc, by that name, is what a spec may want. */
static uint32_t shun_proc(const struct builder *b, const struct spec_mount *m, bool bind)
{
    const char *path = m->destination + strspn(m->destination, "/.");

    if (b->spec->root.kind == SPEC_ROOT_HOST || (!bind && is_proc(m->destination) && path[4] == '/' && path[5]))
        return 0;
    return TARGET_SHUN_PROC;
}

/* copy-symlink: a source that is a link is made again at the target. 1: it is one, and that is done. */
static int add_link(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o)
{
    char target[4096];
    ssize_t n = o->copy_symlink && m->source_fd < 0 ? readlink(m->source, target, sizeof(target) - 1) : -1;

    if (n <= 0)
        return 0;
    target[n] = '\0';
    uint32_t text = builder_string(b, target);
    builder_add(b, NEW_OP(SYMLINK, .str = text, .str2 = builder_string(b, m->destination), .flags = optional(m)));
    return 1;
}

static int add_bind(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot,
                    box_error **err)
{
    int allowed = check_proc(b, m, err);

    if (allowed < 0 || add_link(b, m, o))
        return allowed;
    uint32_t target = builder_string(b, m->destination);

    if (!slot)
        slot = add_source(b, m, o);
    int r = add_idmap(b, m, o, slot, err);
    if (r < 0)
        return r;
    builder_add(b, NEW_OP(TARGET, .str = target, .slot = slot,
                          .flags = optional(m) | TARGET_LIKE_SOURCE | shun_proc(b, m, true) |
                                   (o->dest_nofollow ? TARGET_PROC : 0)));
    if (o->tmpcopyup) /* a volume of Docker's: new, it begins as what the image has there */
        builder_add(b, NEW_OP(COPY_UP, .slot = slot, .str = target, .flags = optional(m) | COPY_VOLUME));
    add_attributes(b, m, o, slot);
    builder_add(b, NEW_OP(ATTACH, .str = target, .slot = slot, .num = 1, .flags = optional(m)));
    return 0;
}

/* ---- new file systems -------------------------------------------------------------------------------------------- */

/* fsconfig's pairs, "key\0value\0". */
struct pairs {
    char text[4096];
    size_t size;
    bool full;
};

static void put_pair(struct pairs *p, const char *key, const char *value)
{
    size_t k = strlen(key) + 1, v = strlen(value ? value : "") + 1;

    if (p->size + k + v > sizeof(p->text)) {
        p->full = true;
        return;
    }
    memcpy(p->text + p->size, key, k);
    memcpy(p->text + p->size + k, value ? value : "", v);
    p->size += k + v;
}

/* devpts' gid=5 is the tty group; where the user namespace has no such id, the mount would fail for its sake. */
static bool unmapped_gid(const struct builder *b, const char *type, const struct box_mount_param *param)
{
    uint32_t outside;

    if (!b->new_user || !b->spec->idmap || strcmp(type, "devpts") != 0 || strcmp(param->key, "gid") != 0)
        return false;
    return !box_idmap_to_outside(b->spec->idmap, BOX_IDMAP_GID,
                                 (uint32_t)strtoul(param->value ? param->value : "0", NULL, 10), &outside);
}

static const struct {
    unsigned long flag;
    const char *name;
} super_flags[] = {{1ul << 4, "sync"},
                   {1ul << 6, "mand"},
                   {1ul << 7, "dirsync"},
                   {1ul << 23, "iversion"}, /* of some file systems; others name it in their refusal */
                   {1ul << 25, "lazytime"}};

static const struct {
    unsigned long flag;
    const char *name;
} super_flags_off[] = {{1ul << 4, "async"}, {1ul << 6, "nomand"}, {1ul << 25, "nolazytime"}};

/* The file systems whose files SELinux labels as a mount option says; those of the kernel's own have labels of theirs. */
static bool takes_context(const char *type)
{
    static const char *const own[] = {"proc", "sysfs", "cgroup", "cgroup2", "securityfs", "selinuxfs", "mqueue"};

    for (size_t i = 0; i < BOX_ARRAY(own); i++)
        if (strcmp(own[i], type) == 0)
            return false;
    return true;
}

/* 1: linux.mountLabel is to be put on mounts; 0: there is none, or it may be missing. */
static int use_mount_label(const struct builder *b, box_error **err)
{
    const char *label = b->spec->mount_label;

    if (!label || !*label)
        return 0;
    if (!box_lsm_enabled(BOX_LSM_SELINUX) && b->spec->may_miss & SPEC_LAYER_SELINUX)
        return 0;
    int r = box_lsm_label_usable(BOX_LSM_SELINUX, label, err);
    return r < 0 ? box_fail_wrap(err, r, "linux.mountLabel") : 1;
}

static int fill_pairs(const struct builder *b, const struct spec_mount *m, const struct box_mount_options *o,
                      const char *type, struct pairs *p, box_error **err)
{
    for (size_t i = 0; i < o->n_params; i++)
        if (!unmapped_gid(b, type, &o->params[i]))
            put_pair(p, o->params[i].key, o->params[i].value);
    for (size_t i = 0; i < BOX_ARRAY(super_flags); i++)
        if (o->sb_flags & super_flags[i].flag)
            put_pair(p, super_flags[i].name, NULL);
    /* A block device is opened read-only too; the others are filled first. */
    if ((o->attr_set & MOUNT_ATTR_RDONLY) && m->source && m->source[0] == '/')
        put_pair(p, "ro", NULL);
    int labelled = takes_context(type) ? use_mount_label(b, err) : 0;
    if (labelled < 0)
        return labelled;
    if (labelled)
        put_pair(p, "context", b->spec->mount_label);
    if (p->full)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = m->destination},
                             "the mount's options are longer than 4096 bytes");
    return 0;
}

static int slot_for(struct builder *b, const char *type, const char *destination)
{
    if (strcmp(type, "tmpfs") == 0 && strcmp(destination, "/dev") == 0) {
        b->have_dev = true;
        return SLOT_DEV;
    }
    if (strcmp(type, "devpts") == 0) {
        b->have_devpts = true;
        return SLOT_DEVPTS;
    }
    return builder_slot(b);
}

static int add_new_fs(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, box_error **err)
{
    const char *type = type_of(m);
    struct pairs p = {.size = 0};
    uint64_t wanted = o->attr_set | o->rec_attr_set; /* there is nothing below it yet */
    bool tmpfs = strcmp(type, "tmpfs") == 0, later = tmpfs && (wanted & MOUNT_ATTR_RDONLY);
    int slot = slot_for(b, type, m->destination);

    int r = fill_pairs(b, m, o, type, &p, err);
    if (r < 0)
        return r;
    uint32_t target = builder_string(b, m->destination), fs = builder_string(b, type);
    uint32_t source = builder_string(b, m->source ? m->source : type), data = builder_data(b, p.text, p.size);
    uint64_t attrs = wanted & ~(uint64_t)(later ? MOUNT_ATTR_RDONLY : 0);

    builder_add(b, NEW_OP(NEW_FS, .slot = slot, .str = fs, .str2 = source, .data = data, .data_size = (uint32_t)p.size,
                          .num = attrs, .flags = optional(m)));
    /* A /proc or /sys that a link leads to is an attack, not a layout. */
    uint32_t strict = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0 ? TARGET_PROC : 0;
    builder_add(b, NEW_OP(TARGET, .str = target, .slot = slot,
                          .flags = optional(m) | TARGET_DIRECTORY | strict | shun_proc(b, m, false)));
    if (tmpfs && o->tmpcopyup)
        builder_add(b, NEW_OP(COPY_UP, .slot = slot, .str = target, .flags = optional(m)));
    r = add_idmap(b, m, o, slot, err);
    if (r < 0)
        return r;
    /* All of it before it is attached: an optional mount appears as it was asked for, or not at all. */
    if (o->propagation)
        builder_add(b, NEW_OP(SETATTR, .slot = slot, .num3 = o->propagation & ~MS_REC_, .flags = optional(m)));
    add_second_propagation(b, m, o, slot);
    if (later && slot != SLOT_DEV)
        builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = MOUNT_ATTR_RDONLY, .flags = optional(m)));
    b->dev_readonly |= later && slot == SLOT_DEV;
    builder_add(b, NEW_OP(ATTACH, .str = target, .slot = slot, .flags = optional(m)));
    return 0;
}

/* /sys of a user namespace that shares the host's network may only be bound, as may /proc with the host's processes, and
 * /sys/fs/cgroup without a cgroup namespace of its own. */
static int add_bound_instead(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o,
                             const char *source, box_error **err)
{
    struct spec_mount bound = *m;
    struct box_mount_options options = *o;

    bound.source = (char *)source;
    options.bind = options.rbind = true;
    options.rec_attr_set |= o->attr_set & MOUNT_ATTR_RDONLY;
    return add_bind(b, &bound, &options, PLAN_NO_SLOT, err);
}

/* Without a cgroup namespace of its own the process still sees its own cgroups there, as runtimes show them, and not the
 * host's: what is mounted in a namespace keeps that namespace's view, so one is entered for the mount and left again. Root of a user
 * namespace cannot come back to a cgroup namespace that is owned further out, whose owner the kernel does not tell it. */
static int add_own_cgroups(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, box_error **err)
{
    int host = open("/proc/self/ns/cgroup", O_RDONLY | O_CLOEXEC);

    if (host < 0)
        return box_fail_sys(err, "open", "/proc/self/ns/cgroup", "mount %s", m->destination);
    int owner = ioctl(host, NS_GET_USERNS);
    if (owner < 0) {
        close(host);
        return add_bound_instead(b, m, o, "/sys/fs/cgroup", err);
    }
    close(owner);
    int slot = builder_hold(b, host);
    uint32_t name = builder_string(b, "cgroup");
    builder_add(b, NEW_OP(UNSHARE, .num = CLONE_NEWCGROUP, .str = name));
    int r = plan_add_cgroup_view(b, o->attr_set | o->rec_attr_set, builder_slot(b), builder_string(b, m->destination), optional(m), err);
    builder_add(b, NEW_OP(SETNS, .slot = slot, .num = CLONE_NEWCGROUP, .str = name));
    return r;
}

/* A mount that is there already, from an entry before or from the root itself: attributes, propagation, and with
 * "remount" the options of the file system. */
static int add_change(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, box_error **err)
{
    uint32_t path = builder_string(b, m->destination);
    struct pairs p = {.size = 0};

    for (size_t i = 0; i < o->n_params; i++)
        put_pair(&p, o->params[i].key, o->params[i].value);
    for (size_t i = 0; i < BOX_ARRAY(super_flags); i++)
        if (o->sb_flags & super_flags[i].flag)
            put_pair(&p, super_flags[i].name, NULL);
    for (size_t i = 0; i < BOX_ARRAY(super_flags_off); i++)
        if (o->sb_clear & super_flags_off[i].flag)
            put_pair(&p, super_flags_off[i].name, NULL);
    if (p.full)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIMIT, .subject = m->destination},
                             "the mount's options are longer than 4096 bytes");
    if (p.size && (o->bind || !o->remount))
        return fail_option(m, p.text, "a file system's option needs \"remount\", without \"bind\"", err);
    if (p.size)
        builder_add(b, NEW_OP(RECONFIGURE, .str = path, .data = builder_data(b, p.text, p.size), .data_size = (uint32_t)p.size,
                              .flags = optional(m)));
    if (o->attr_set || o->attr_clear)
        builder_add(b, NEW_OP(MOUNT_SETATTR, .str = path, .num = o->attr_set, .num2 = o->attr_clear, .flags = optional(m)));
    if (o->rec_attr_set || o->rec_attr_clear)
        builder_add(b, NEW_OP(MOUNT_SETATTR, .str = path, .num = o->rec_attr_set, .num2 = o->rec_attr_clear,
                              .flags = optional(m) | SETATTR_RECURSIVE));
    const unsigned long propagation[] = {o->propagation, o->propagation_then};
    const bool recursive[] = {o->propagation_rec, o->propagation_then_rec};
    for (size_t i = 0; i < 2; i++)
        if (propagation[i])
            builder_add(b, NEW_OP(MOUNT_SETATTR, .str = path, .num3 = propagation[i] & ~MS_REC_,
                                  .flags = optional(m) | (recursive[i] ? SETATTR_RECURSIVE : 0)));
    return 0;
}

static int add_mount(struct builder *b, const struct spec_mount *m, int prepared, box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options o = {0};
    const char *type = type_of(m);
    int r = parse(m, &o, err);

    if (r < 0)
        return r;
    if ((r = check_options(m, &o, err)) < 0)
        return r;
    if (o.remount || (!*type && !o.bind))
        return add_change(b, m, &o, err);
    if (is_bind(m, &o))
        return add_bind(b, m, &o, prepared, err);
    if (strcmp(type, "proc") == 0 && b->new_user && !b->spec->namespaces[SPEC_NS_PID].present)
        return add_bound_instead(b, m, &o, "/proc", err);
    if (strcmp(type, "sysfs") == 0 && b->new_user && !plan_new_namespace(b->spec, SPEC_NS_NETWORK))
        return add_bound_instead(b, m, &o, "/sys", err);
    if (strcmp(type, "mqueue") == 0 && b->new_user && !plan_new_namespace(b->spec, SPEC_NS_IPC))
        return add_bound_instead(b, m, &o, "/dev/mqueue", err);
    if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0) {
        if (!b->spec->namespaces[SPEC_NS_CGROUP].present && b->privileged && !b->new_user)
            return add_own_cgroups(b, m, &o, err);
        if (!plan_new_namespace(b->spec, SPEC_NS_CGROUP))
            return add_bound_instead(b, m, &o, "/sys/fs/cgroup", err);
        return plan_add_cgroup_view(b, o.attr_set | o.rec_attr_set, builder_slot(b), builder_string(b, m->destination), optional(m), err);
    }
    return add_new_fs(b, m, &o, err);
}

/* ---- the root ---------------------------------------------------------------------------------------------------- */

static unsigned long propagation_of(const char *name)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } table[] = {{"shared", 1ul << 20},   {"rshared", (1ul << 20) | MS_REC_},   {"slave", MS_SLAVE_},
                 {"rslave", MS_SLAVE_ | MS_REC_}, {"private", MS_PRIVATE_}, {"rprivate", MS_PRIVATE_ | MS_REC_},
                 {"unbindable", 1ul << 17}, {"runbindable", (1ul << 17) | MS_REC_}};

    for (size_t i = 0; name && i < BOX_ARRAY(table); i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].flag;
    return MS_SLAVE_ | MS_REC_;
}

/* The propagation of the old root decides what the sources of binds stand in relation to. An unbindable one would give no
 * binds at all: that word is for the new root. */
static void add_old_propagation(struct builder *b, bool own_root)
{
    unsigned long flags = propagation_of(b->spec->rootfs_propagation);

    if (b->joined_mount) { /* no more than keeps the new root from being mounted on the old one's peers */
        builder_add(b, NEW_OP(PROPAGATION, .num = MS_PRIVATE_));
        return;
    }
    if (own_root && (flags & MS_UNBINDABLE_))
        flags = MS_SLAVE_ | MS_REC_;
    builder_add(b, NEW_OP(PROPAGATION, .num = flags, .flags = !b->new_user));
    /* What is mounted on a shared mount appears on all its peers: the new root would be mounted on the host's. */
    if (own_root && (flags & MS_SHARED_))
        builder_add(b, NEW_OP(PROPAGATION, .num = MS_PRIVATE_, .flags = !b->new_user));
}

static bool old_root_has_peers(const box_spec *spec)
{
    unsigned long flags = propagation_of(spec->rootfs_propagation);

    return (flags & MS_SHARED_) || !(flags & MS_REC_);
}

/* A slave or private root is what a new one is by itself. */
static void add_new_propagation(struct builder *b)
{
    unsigned long flags = propagation_of(b->spec->rootfs_propagation);

    if (flags & (MS_SHARED_ | MS_UNBINDABLE_))
        builder_add(b, NEW_OP(SETATTR, .slot = SLOT_ROOT, .num3 = flags & ~MS_REC_,
                              .flags = (flags & MS_SHARED_) && (flags & MS_REC_) ? SETATTR_RECURSIVE : 0));
}

/* Since Linux 6.15 an overlay takes an upper that is attached nowhere. What is not attached need not be detached, which
 * waits for an RCU grace period each time. */
static bool takes_detached_upper(void)
{
    struct utsname u;
    int major = 0, minor = 0;

    return uname(&u) == 0 && sscanf(u.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 15));
}

/* A layer that is a file is an EROFS image. */
static bool is_image(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* The layers as the stage takes them: paths of directories, and the slots of images, which the host mounts. */
static int add_layers(struct builder *b, char *const *lower, int userns, uint32_t *data, size_t *size, box_error **err)
{
    _strv_ char **layers = box_strv_dup(NULL);
    uint32_t n;

    for (; layers && *lower; lower++) {
        char slot_name[16];
        bool image = is_image(*lower);
        int slot = image ? builder_slot(b) : PLAN_NO_SLOT;
        snprintf(slot_name, sizeof(slot_name), "#%d", slot);
        int r = image ? builder_host_image(b, slot, *lower, err) : 0;
        if (r < 0)
            return r;
        if (image && userns)
            builder_add(b, NEW_OP(IDMAP, .slot = slot, .slot2 = userns));
        if (box_strv_append(&layers, image ? slot_name : *lower) < 0)
            return box_fail_nomem(err);
    }
    if (!layers)
        return box_fail_nomem(err);
    *data = builder_strings(b, layers, &n);
    *size = b->size - *data;
    return 0;
}

/* An overlay needs two layers; one that is only read is a bind, or a mount. */
static int add_single(struct builder *b, const char *layer, box_error **err)
{
    if (is_image(layer))
        return builder_host_image(b, SLOT_ROOT, layer, err);
    uint32_t path = builder_string(b, layer);
    builder_add(b, NEW_OP(OPEN_SOURCE, .slot = SLOT_ROOT, .str = path, .num = OPEN_TREE_CLONE));
    return 0;
}

static int add_overlay(struct builder *b, box_error **err)
{
    const struct spec_root *root = &b->spec->root;
    uint32_t data = 0, flags = 0;
    size_t data_size = 0;
    bool scratch = !root->upper && !root->readonly, detached = b->prepare || takes_detached_upper();

    if (root->lower[0] && !root->lower[1] && !root->upper && !scratch)
        return add_single(b, root->lower[0], err);
    b->scratch_attached = scratch && !detached;
    flags |= detached ? OVERLAY_DETACHED : 0;
    if (scratch)
        flags |= OVERLAY_SCRATCH;
    else if (root->upper && !b->options->keep_upper)
        flags |= OVERLAY_VOLATILE; /* never synced, and not to be mounted again as it is */
    if ((b->new_user && !b->privileged) || !box_overlay_is_trusted())
        flags |= OVERLAY_USERXATTR;
    int userns = PLAN_NO_SLOT;
    uint32_t uid = 0, gid = 0;
    if (b->prepare && b->spec->idmap) {
        userns = box_idmap_userns(b->spec->idmap, err);
        if (userns < 0)
            return box_fail_wrap(err, userns, "root");
        userns = builder_hold(b, userns);
        flags |= OVERLAY_IDMAP;
        box_idmap_to_outside(b->spec->idmap, BOX_IDMAP_UID, 0, &uid);
        box_idmap_to_outside(b->spec->idmap, BOX_IDMAP_GID, 0, &gid);
    }
    int r = add_layers(b, root->lower, userns, &data, &data_size, err);
    if (r < 0)
        return r;
    int labelled = use_mount_label(b, err);
    if (labelled < 0)
        return labelled;
    if (labelled) {
        char *const context[] = {b->spec->mount_label, NULL};
        uint32_t n;
        builder_strings(b, context, &n);
        data_size = b->size - data;
        flags |= OVERLAY_CONTEXT;
    }
    builder_add(b, NEW_OP(OVERLAY, .slot = SLOT_ROOT, .slot2 = userns, .data = data, .data_size = (uint32_t)data_size,
                          .str = builder_string(b, root->upper), .str2 = builder_string(b, root->work),
                          .num2 = root->scratch_size, .num3 = uid, .num4 = gid, .flags = flags));
    return 0;
}

/* Everything that opens something of the host's: before the user namespace is entered, where the right to it belongs
 * to the host's side, otherwise in its turn. */
int plan_add_sources(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;

    if (spec->root.kind == SPEC_ROOT_OVERLAY) {
        int r = add_overlay(b, err);
        if (r < 0)
            return r;
    } else if (spec->root.kind == SPEC_ROOT_DIRECTORY) {
        builder_add(b, NEW_OP(OPEN_SOURCE, .slot = SLOT_ROOT, .str = builder_string(b, spec->root.path),
                              .num = OPEN_TREE_CLONE | AT_RECURSIVE_));
    }
    for (size_t i = 0; b->prepare && i < spec->n_mounts; i++) {
        _cleanup_mount_options_ struct box_mount_options o = {0};
        int r = parse(&spec->mounts[i], &o, err);
        if (r < 0)
            return r;
        if (is_bind(&spec->mounts[i], &o) && !o.remount)
            b->source_slots[i] = add_source(b, &spec->mounts[i], &o);
    }
    return 0;
}

void plan_add_proc(struct builder *b)
{
    if (!b->have_proc)
        builder_add(b, NEW_OP(PRIVATE_PROC));
    b->have_proc = true;
}

static void add_sysctls(struct builder *b)
{
    const box_spec *spec = b->spec;

    for (size_t i = 0; i < spec->n_sysctl; i++) {
        char path[512];
        snprintf(path, sizeof(path), "sys/%s", spec->sysctl[i].key);
        for (char *p = path; *p; p++) /* a slash in the name stands for a dot in a file's name */
            *p = *p == '.' ? '/' : *p == '/' && p > path + 3 ? '.' : *p;
        builder_add(b, NEW_OP(SYSCTL, .str = builder_string(b, path), .str2 = builder_string(b, spec->sysctl[i].value)));
    }
}

static void add_paths(struct builder *b)
{
    const box_spec *spec = b->spec;

    for (char **p = spec->readonly_paths; p && *p; p++)
        builder_add(b, NEW_OP(READONLY_PATH, .str = builder_string(b, *p)));
    if (spec->masked_paths && *spec->masked_paths)
        builder_add(b, NEW_OP(NULL_DEVICE));
    for (char **p = spec->masked_paths; p && *p; p++)
        builder_add(b, NEW_OP(MASK, .str = builder_string(b, *p)));
}

/* All is there, and the old root is where paths lead still: the hooks of the host's side, then those that the host names
 * and that run in the container's namespaces. */
static void add_create_hooks(struct builder *b)
{
    const box_spec *spec = b->spec;

    if (spec->hooks[SPEC_HOOK_PRESTART].n || spec->hooks[SPEC_HOOK_CREATE_RUNTIME].n || hooks_of_stage(spec)) {
        builder_add(b, NEW_OP(HOST, .num = HOST_CREATE));
        b->plan->asks = true;
    }
    plan_add_hooks(b, SPEC_HOOK_CREATE_CONTAINER, 0, 0, 0);
}

int plan_add_root(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    bool own_root = spec->root.kind != SPEC_ROOT_HOST;

    if (!b->new_mount) { /* the mounts stay as they are, and yet there may be namespaces with sysctls, and hooks */
        if (spec->n_sysctl)
            plan_add_proc(b);
        add_sysctls(b);
        add_create_hooks(b);
        return 0;
    }
    if (!b->chroot)
        add_old_propagation(b, own_root);
    if (!b->prepare && !b->chroot) {
        int r = plan_add_sources(b, err);
        if (r < 0)
            return r;
    }
    if (b->chroot) { /* a mount already, private, and where it is to be */
        builder_add(b, NEW_OP(OPEN_SOURCE, .slot = SLOT_ROOT, .str = builder_string(b, spec->root.path)));
    } else if (own_root) {
        builder_add(b, NEW_OP(SETATTR, .slot = SLOT_ROOT, .num3 = MS_PRIVATE_, .flags = SETATTR_RECURSIVE));
        builder_add(b, NEW_OP(ATTACH_ROOT, .slot = SLOT_ROOT, .applied = APPLIES(ROOT)));
    } else { /* not a clone: the place itself, to resolve targets from */
        builder_add(b, NEW_OP(OPEN_SOURCE, .slot = SLOT_ROOT, .str = builder_string(b, "/")));
    }
    for (size_t i = 0; i < spec->n_mounts; i++) {
        int r = add_mount(b, &spec->mounts[i], b->source_slots[i], err);
        if (r < 0)
            return r;
    }
    int r = own_root ? plan_add_devices(b, err) : 0;
    if (r < 0)
        return r;
    if (b->need_proc)
        plan_add_proc(b);
    add_sysctls(b);
    add_paths(b);
    if (spec->process.terminal)
        plan_add_terminal(b);
    if (b->dev_readonly)
        builder_add(b, NEW_OP(SETATTR, .slot = SLOT_DEV, .num = MOUNT_ATTR_RDONLY));
    add_create_hooks(b);
    if (own_root)
        builder_add(b, NEW_OP(PIVOT, .num = b->scratch_attached ? 2 : 1, .num2 = b->joined_mount || old_root_has_peers(spec),
                              .flags = b->options->no_pivot || b->chroot ? PIVOT_CHROOT : 0));
    if (spec->root.readonly)
        builder_add(b, NEW_OP(ROOT_READONLY));
    if (own_root && !b->chroot)
        add_new_propagation(b);
    return 0;
}
