/* The file system part of a plan: root, mounts, devices, masked and read-only paths.
 *
 * Order: sources and the overlay (before the user namespace is entered, where that is what gives the right to them);
 * the root is attached; mounts in the order of the spec, each made detached and then attached to a target that was
 * resolved inside the root; devices; sysctls; read-only and masked paths; the terminal; and the change to the new root. */
#include "launch/plan.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <libbox/idmap.h>
#include "base/cleanup.h"
#include "kernel/mount_options.h"

/* <sys/mount.h> and <linux/mount.h> do not go together in every libc. */
#define MS_REC_     (1ul << 14)
#define MS_PRIVATE_ (1ul << 18)
#define MS_SLAVE_   (1ul << 19)
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
    return m->optional ? PLAN_OP_OPTIONAL : 0;
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
    if (m->source_fd >= 0)
        return builder_host_clone(b, m->source_fd, clone_flags(o) | AT_EMPTY_PATH);
    int slot = builder_slot(b);
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

/* Attributes of a bind: on the mount, on all below it, and propagation (private unless another is asked for). */
static void add_attributes(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot)
{
    unsigned long propagation = o->propagation ? o->propagation : MS_PRIVATE_;

    builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = o->attr_set, .num2 = o->attr_clear, .flags = optional(m)));
    builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = o->rec_attr_set, .num2 = o->rec_attr_clear,
                          .num3 = propagation & ~MS_REC_, .flags = optional(m) | SETATTR_RECURSIVE));
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

static int add_bind(struct builder *b, const struct spec_mount *m, const struct box_mount_options *o, int slot,
                    box_error **err)
{
    int allowed = check_proc(b, m, err);

    if (allowed < 0)
        return allowed;
    uint32_t target = builder_string(b, m->destination);

    if (!slot)
        slot = add_source(b, m, o);
    int r = add_idmap(b, m, o, slot, err);
    if (r < 0)
        return r;
    add_attributes(b, m, o, slot);
    builder_add(b, NEW_OP(TARGET, .str = target, .slot = slot,
                          .flags = optional(m) | TARGET_LIKE_SOURCE | shun_proc(b, m, true) |
                                   (o->dest_nofollow ? TARGET_PROC : 0)));
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
} super_flags[] = {{1ul << 4, "sync"}, {1ul << 6, "mand"}, {1ul << 7, "dirsync"}, {1ul << 25, "lazytime"}};

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
    bool tmpfs = strcmp(type, "tmpfs") == 0, later = tmpfs && (o->attr_set & MOUNT_ATTR_RDONLY);
    int slot = slot_for(b, type, m->destination);

    int r = fill_pairs(b, m, o, type, &p, err);
    if (r < 0)
        return r;
    uint32_t target = builder_string(b, m->destination), fs = builder_string(b, type);
    uint32_t source = builder_string(b, m->source ? m->source : type), data = builder_data(b, p.text, p.size);
    uint64_t attrs = o->attr_set & ~(uint64_t)(later ? MOUNT_ATTR_RDONLY : 0);

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
    builder_add(b, NEW_OP(ATTACH, .str = target, .slot = slot, .flags = optional(m)));
    if (o->propagation)
        builder_add(b, NEW_OP(SETATTR, .slot = slot, .num3 = o->propagation & ~MS_REC_, .flags = optional(m)));
    if (later && slot != SLOT_DEV)
        builder_add(b, NEW_OP(SETATTR, .slot = slot, .num = MOUNT_ATTR_RDONLY, .flags = optional(m)));
    return 0;
}

/* /sys of a user namespace that shares the host's network may only be bound, as may /sys/fs/cgroup without a cgroup
 * namespace of its own. */
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

static int add_mount(struct builder *b, const struct spec_mount *m, int prepared, box_error **err)
{
    _cleanup_mount_options_ struct box_mount_options o = {0};
    const char *type = type_of(m);
    int r = parse(m, &o, err);

    if (r < 0)
        return r;
    if (o.remount) {
        builder_add(b, NEW_OP(REMOUNT, .str = builder_string(b, m->destination), .num = o.attr_set,
                              .num2 = o.attr_clear, .flags = optional(m)));
        return 0;
    }
    if (is_bind(m, &o))
        return add_bind(b, m, &o, prepared, err);
    if (strcmp(type, "sysfs") == 0 && b->new_user && !plan_new_namespace(b->spec, SPEC_NS_NETWORK))
        return add_bound_instead(b, m, &o, "/sys", err);
    if (strcmp(type, "mqueue") == 0 && b->new_user && !plan_new_namespace(b->spec, SPEC_NS_IPC))
        return add_bound_instead(b, m, &o, "/dev/mqueue", err);
    if (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0) {
        if (!plan_new_namespace(b->spec, SPEC_NS_CGROUP))
            return add_bound_instead(b, m, &o, "/sys/fs/cgroup", err);
        return plan_add_cgroup_view(b, o.attr_set, builder_slot(b), builder_string(b, m->destination), optional(m), err);
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

static int add_overlay(struct builder *b, box_error **err)
{
    const struct spec_root *root = &b->spec->root;
    uint32_t n = 0, flags = 0;
    bool scratch = !root->upper && !root->readonly;

    uint32_t data = builder_strings(b, root->lower, &n);
    size_t data_size = b->size - data;
    if (n == 1 && !root->upper && !scratch) { /* an overlay needs two layers; one that is only read is a bind */
        builder_add(b, NEW_OP(OPEN_SOURCE, .slot = SLOT_ROOT, .str = data, .num = OPEN_TREE_CLONE));
        return 0;
    }
    b->scratch_attached = scratch && !b->prepare;
    if (scratch)
        flags |= OVERLAY_SCRATCH | (b->prepare ? OVERLAY_DETACHED : 0);
    else if (root->upper && !b->options->keep_upper)
        flags |= OVERLAY_VOLATILE; /* never synced, and not to be mounted again as it is */
    if (b->new_user && !b->privileged)
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

static void add_paths(struct builder *b)
{
    const box_spec *spec = b->spec;

    for (size_t i = 0; i < spec->n_sysctl; i++) {
        char path[512];
        snprintf(path, sizeof(path), "sys/%s", spec->sysctl[i].key);
        for (char *p = path; *p; p++) /* a slash in the name stands for a dot in a file's name */
            *p = *p == '.' ? '/' : *p == '/' && p > path + 3 ? '.' : *p;
        builder_add(b, NEW_OP(SYSCTL, .str = builder_string(b, path), .str2 = builder_string(b, spec->sysctl[i].value)));
    }
    for (char **p = spec->readonly_paths; p && *p; p++)
        builder_add(b, NEW_OP(READONLY_PATH, .str = builder_string(b, *p)));
    if (spec->masked_paths && *spec->masked_paths)
        builder_add(b, NEW_OP(NULL_DEVICE));
    for (char **p = spec->masked_paths; p && *p; p++)
        builder_add(b, NEW_OP(MASK, .str = builder_string(b, *p)));
}

int plan_add_root(struct builder *b, box_error **err)
{
    const box_spec *spec = b->spec;
    bool own_root = spec->root.kind != SPEC_ROOT_HOST;

    if (!b->new_mount)
        return 0;
    builder_add(b, NEW_OP(PROPAGATION, .num = propagation_of(spec->rootfs_propagation)));
    if (!b->prepare) {
        int r = plan_add_sources(b, err);
        if (r < 0)
            return r;
    }
    if (own_root) {
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
        builder_add(b, NEW_OP(PRIVATE_PROC));
    add_paths(b);
    if (spec->process.terminal)
        plan_add_terminal(b);
    if (own_root)
        builder_add(b, NEW_OP(PIVOT, .num = b->scratch_attached ? 2 : 1));
    if (spec->root.readonly)
        builder_add(b, NEW_OP(ROOT_READONLY));
    return 0;
}
