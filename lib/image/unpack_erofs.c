/* One entry of an archive, put into an EROFS image: content straight into the image, all else into a tree in memory
 * (erofs_tree.c), by the same rules as unpack_entry.c has for directories. What the file system would check there
 * (lengths of names, numbers of devices, the form of a capability) is checked here. */
#include "image/unpack_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/strings.h"
#include "image/erofs_format.h"
#include "image/erofs_image.h"

#define MEMORY_MAX (512u << 20)
#define XATTRS_MAX (128u << 10) /* of one inode; what EROFS can hold is a little less than twice as much */

/* A name or an attribute for which there is no memory, or none any more. */
static int fail_room(const struct unpack *u, box_error **err)
{
    if (!box_erofs_tree_full(u->tree))
        return box_fail_nomem(err);
    return unpack_fail(u, BOX_ELIMIT, err, "the layer has more names than an image is made for (%u MiB of them)",
                       MEMORY_MAX >> 20);
}

/* ---- Where an entry goes ---- */

static void count(struct unpack *u, const struct erofs_walk *walk)
{
    u->record->entries += walk->made;
    u->record->entries -= walk->replaced < u->record->entries ? walk->replaced : u->record->entries;
}

static int enter_parent(struct unpack *u, struct erofs_inode **dir, const char **leaf, box_error **err)
{
    struct erofs_walk walk = {.make = true};
    char above[PATH_MAX];
    const char *slash = strrchr(u->name, '/');

    snprintf(above, sizeof(above), "%.*s", (int)(slash ? slash - u->name : 0), u->name);
    *leaf = slash ? slash + 1 : u->name;
    int r = box_erofs_walk(u->tree, above, &walk, dir);
    count(u, &walk);
    if (r == -ENOMEM)
        return fail_room(u, err);
    if (r < 0)
        return unpack_fail_walk(u, r, above, err);
    if (strlen(*leaf) > NAME_MAX)
        return unpack_fail(u, BOX_ELIMIT, err, "a component of the name is too long");
    return 0;
}

/* Inline data of what goes count no longer; removing a tree frees them without our seeing which. */
static void forget_below(struct unpack *u, struct erofs_entry *entry)
{
    struct erofs_entry *e = entry;

    for (;;) {
        if (e->inode->nlink == 1)
            box_erofs_data_forget(u->image, e->inode);
        if (S_ISDIR(e->inode->mode) && e->inode->children) {
            e = e->inode->children;
            continue;
        }
        while (e != entry && !e->next)
            e = e->dir->name;
        if (e == entry)
            return;
        e = e->next;
    }
}

static void clear(struct unpack *u, struct erofs_entry *entry, bool *whiteout)
{
    *whiteout = box_erofs_is_whiteout(entry->inode);
    forget_below(u, entry);
    uint64_t gone = box_erofs_remove(u->tree, entry);
    u->record->entries -= gone < u->record->entries ? gone : u->record->entries;
}

/* A new inode in the entry's place, whatever stood there. */
static int add(struct unpack *u, struct erofs_inode *dir, const char *leaf, mode_t type, struct erofs_inode **inode,
               bool *whiteout, box_error **err)
{
    struct erofs_entry *there = box_erofs_find(u->tree, dir, leaf, strlen(leaf));

    *whiteout = false;
    if (there)
        clear(u, there, whiteout);
    *inode = box_erofs_add(u->tree, dir, leaf, type);
    if (!*inode)
        return fail_room(u, err);
    u->record->entries++;
    return 0;
}

static void set_metadata(const struct unpack *u, struct erofs_inode *inode)
{
    mode_t type = inode->mode & S_IFMT;

    inode->mode = type | (type == S_IFLNK ? 0777 : u->entry.mode & 07777);
    inode->uid = (uint32_t)u->entry.uid;
    inode->gid = (uint32_t)u->entry.gid;
    inode->mtime = unpack_mtime(u);
}

/* ---- Attributes ---- */

/* What the kernel takes for a capability when it is set: revision 2 or 3 (linux/capability.h). */
static bool is_capability(const unsigned char *value, size_t size)
{
    uint32_t revision = size >= 4 ? get32(value) >> 24 : 0;

    return (revision == 2 && size == 20) || (revision == 3 && size == 24);
}

static size_t bytes_of(const struct erofs_inode *inode)
{
    size_t bytes = 0;

    for (const struct erofs_xattr *x = inode->xattrs; x; x = x->next)
        bytes += EROFS_XATTR_ENTRY + x->name_length + x->size + 3u;
    return bytes;
}

static int set_xattr(struct unpack *u, struct erofs_inode *inode, const char *name, const void *value, size_t size,
                     box_error **err)
{
    const char *rest;
    unsigned index = box_erofs_xattr_index(name, &rest);

    if (!index || !*rest || (index == XATTR_SECURITY && !is_capability(value, size))) {
        errno = EINVAL;
        return unpack_fail_sys(u, "fsetxattr", err, "cannot set the extended attribute \"%s\"", name);
    }
    if (strlen(name) > UINT8_MAX || size > UINT16_MAX || bytes_of(inode) + size > XATTRS_MAX)
        return unpack_fail(u, BOX_ELIMIT, err, "the extended attribute \"%s\" is too long", name);
    return box_erofs_set_xattr(u->tree, inode, index, rest, value, size) ? 0 : fail_room(u, err);
}

static int set_xattrs(struct unpack *u, struct erofs_inode *inode, box_error **err)
{
    const char *name;
    const void *value;
    size_t size;
    int r = 0;

    while (r == 0 && box_tar_xattr(u->tar, &name, &value, &size))
        if (name && unpack_keeps_xattr(u, name))
            r = set_xattr(u, inode, name, value, size, err);
    return r;
}

static int set_opaque(struct unpack *u, struct erofs_inode *dir, box_error **err)
{
    return box_erofs_set_opaque(u->tree, dir) ? 0 : fail_room(u, err);
}

/* ---- Kinds ---- */

static int write_data(struct unpack *u, struct erofs_inode *inode, box_error **err)
{
    const void *data = NULL;
    size_t length = 0;
    uint64_t at = 0;
    int r = box_erofs_data_begin(u->image, inode, u->entry.size, err);

    while (r == 0 && (r = box_tar_data(u->tar, &data, &length, &at, err)) > 0) {
        r = unpack_tick(u, err);
        if (r == 0)
            r = unpack_count_piece(u, at, length, err);
        if (r == 0)
            r = box_erofs_data_put(u->image, data, length, at, err);
    }
    if (r == 0)
        r = box_erofs_data_end(u->image, err);
    return r < 0 && err && *err && !*box_error_subject(*err) ? unpack_about(u, r, err) : r;
}

static int make_file(struct unpack *u, struct erofs_inode *dir, const char *leaf, box_error **err)
{
    struct erofs_inode *inode;
    bool whiteout;
    int r = unpack_check_size(u, err);

    if (r == 0)
        r = add(u, dir, leaf, S_IFREG, &inode, &whiteout, err);
    if (r < 0)
        return r;
    set_metadata(u, inode);
    r = write_data(u, inode, err);
    return r < 0 ? r : set_xattrs(u, inode, err);
}

static int make_directory(struct unpack *u, struct erofs_inode *dir, const char *leaf, box_error **err)
{
    struct erofs_entry *there = box_erofs_find(u->tree, dir, leaf, strlen(leaf));
    struct erofs_inode *inode = there && S_ISDIR(there->inode->mode) ? there->inode : NULL;
    bool whiteout = false;
    int r = inode ? 0 : add(u, dir, leaf, S_IFDIR, &inode, &whiteout, err);

    if (r == 0 && whiteout)
        r = set_opaque(u, inode, err);
    if (r < 0)
        return r;
    inode->implicit = false;
    set_metadata(u, inode);
    return set_xattrs(u, inode, err);
}

/* "." or "/": the layer's own directory. */
static int make_root(struct unpack *u, box_error **err)
{
    struct erofs_inode *root = box_erofs_tree_root(u->tree);

    if (u->entry.type != BOX_TAR_DIRECTORY)
        return unpack_fail(u, BOX_EPARSE, err, "the entry for the root is no directory");
    set_metadata(u, root);
    return set_xattrs(u, root, err);
}

/* A link's target stays in memory, since names are resolved by it; one that is long is written as data as well. */
static int make_symlink(struct unpack *u, struct erofs_inode *dir, const char *leaf, box_error **err)
{
    size_t length = strlen(u->entry.link);
    struct erofs_inode *inode;
    bool whiteout;
    int r = unpack_check_target(u, err);

    if (r == 0)
        r = add(u, dir, leaf, S_IFLNK, &inode, &whiteout, err);
    if (r < 0)
        return r;
    set_metadata(u, inode);
    inode->size = length;
    inode->tail = (unsigned char *)strdup(u->entry.link);
    if (!inode->tail || !box_erofs_tree_alloc(u->tree, length)) /* it counts as the tree's memory */
        return fail_room(u, err);
    if (length <= EROFS_BLOCK / 2) {
        inode->tail_length = (uint16_t)length;
        return 0;
    }
    inode->start = (uint32_t)(box_erofs_position(u->image) / EROFS_BLOCK);
    r = box_erofs_write(u->image, u->entry.link, length, err);
    return r < 0 ? r : box_erofs_align(u->image, EROFS_BLOCK, err);
}

static int find_source(const struct unpack *u, struct erofs_entry **found)
{
    const char *path = u->entry.link;
    char above[PATH_MAX];
    size_t end = strlen(path);
    struct erofs_inode *dir;

    if (end >= sizeof(above))
        return -ENAMETOOLONG;
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    size_t n = end - start;
    if (n == 0 || (n == 1 && path[start] == '.'))
        return -EINVAL;
    if (n > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(above, path, start);
    above[start] = '\0';
    int r = box_erofs_walk(u->tree, above, NULL, &dir);
    if (r < 0)
        return r;
    *found = box_erofs_find(u->tree, dir, path + start, n);
    return *found ? 0 : -ENOENT;
}

static int make_hardlink(struct unpack *u, struct erofs_inode *dir, const char *leaf, box_error **err)
{
    struct erofs_entry *source = NULL, *there;
    bool whiteout;
    int r = unpack_check_source(u, err);

    if (r < 0)
        return r;
    if ((r = find_source(u, &source)) < 0)
        return unpack_fail_source(u, r, err);
    struct erofs_inode *inode = source->inode;
    if (S_ISDIR(inode->mode) || box_erofs_is_whiteout(inode))
        return unpack_fail(u, BOX_EPARSE, err, "the hard link's source \"%s\" is a %s", u->entry.link,
                           S_ISDIR(inode->mode) ? "directory" : "whiteout");
    there = box_erofs_find(u->tree, dir, leaf, strlen(leaf));
    if (there && there->inode == inode)
        return 0; /* a link to itself */
    inode->nlink++; /* it must outlive what goes */
    if (there)
        clear(u, there, &whiteout);
    inode->nlink--;
    if (!box_erofs_link(u->tree, dir, leaf, inode))
        return fail_room(u, err);
    u->record->entries++;
    return 0;
}

static int make_node(struct unpack *u, struct erofs_inode *dir, const char *leaf, box_error **err)
{
    const bool device = u->entry.type != BOX_TAR_FIFO;
    const mode_t type = u->entry.type == BOX_TAR_CHAR    ? S_IFCHR
                        : u->entry.type == BOX_TAR_BLOCK ? S_IFBLK
                                                         : S_IFIFO;
    const unsigned major_number = major(u->entry.rdev), minor_number = minor(u->entry.rdev);
    struct erofs_inode *inode;
    bool whiteout;
    int r = unpack_check_node(u, err);

    if (r == 0 && device && (major_number > 0xfff || minor_number > 0xfffff)) {
        errno = EINVAL;
        r = unpack_fail_sys(u, "mknodat", err, "cannot make the device node");
    }
    if (r == 0)
        r = add(u, dir, leaf, type, &inode, &whiteout, err);
    if (r < 0)
        return r;
    set_metadata(u, inode);
    inode->rdev = device ? (minor_number & 0xff) | major_number << 8 | (minor_number & ~0xffu) << 12 : 0;
    return 0;
}

/* ---- Whiteouts ---- */

static int make_whiteout(struct unpack *u, struct erofs_inode *dir, const char *name, box_error **err)
{
    int r = unpack_check_hidden(u, name, err);
    bool whiteout;
    struct erofs_inode *inode;
    struct erofs_entry *there = r < 0 ? NULL : box_erofs_find(u->tree, dir, name, strlen(name));

    if (there) /* what this layer has hides what lies below by itself, unless it is a directory */
        return S_ISDIR(there->inode->mode) ? set_opaque(u, there->inode, err) : 0;
    return r < 0 ? r : add(u, dir, name, S_IFCHR, &inode, &whiteout, err);
}

/* See unpack_entry.c. */
static bool is_moot(const struct unpack *u)
{
    char above[PATH_MAX];
    struct erofs_inode *dir;
    const char *slash = strrchr(u->name, '/');

    snprintf(above, sizeof(above), "%.*s", (int)(slash ? slash - u->name : 0), u->name);
    return box_erofs_walk(u->tree, above, NULL, &dir) == -ENOTDIR;
}

static int hide(struct unpack *u, const char *hidden, box_error **err)
{
    struct erofs_inode *dir;
    const char *leaf;

    if (is_moot(u))
        return 0;
    int r = enter_parent(u, &dir, &leaf, err);
    if (r < 0)
        return r;
    if (strcmp(leaf, UNPACK_OPAQUE_MARKER) == 0) {
        if (dir != box_erofs_tree_root(u->tree))
            return set_opaque(u, dir, err);
        u->record->opaque = true; /* overlay knows no opaque roots: whoever mounts leaves out what lies below */
        return 0;
    }
    /* Other names of this kind are the marks of a file system that is no more. */
    return box_after_prefix(hidden, UNPACK_WHITEOUT_PREFIX) ? 0 : make_whiteout(u, dir, hidden, err);
}

/* ---- All of it ---- */

int unpack_erofs_entry(struct unpack *u, box_error **err)
{
    struct erofs_inode *dir;
    const char *leaf, *hidden = unpack_hidden_name(u);
    int r = unpack_check_owner(u, err);

    if (r < 0)
        return r;
    if (!*u->name)
        return make_root(u, err);
    if (hidden)
        return hide(u, hidden, err);
    r = enter_parent(u, &dir, &leaf, err);
    if (r < 0)
        return r;
    switch (u->entry.type) {
    case BOX_TAR_FILE:
        return make_file(u, dir, leaf, err);
    case BOX_TAR_DIRECTORY:
        return make_directory(u, dir, leaf, err);
    case BOX_TAR_SYMLINK:
        return make_symlink(u, dir, leaf, err);
    case BOX_TAR_HARDLINK:
        return make_hardlink(u, dir, leaf, err);
    case BOX_TAR_CHAR:
    case BOX_TAR_BLOCK:
    case BOX_TAR_FIFO:
        return make_node(u, dir, leaf, err);
    case BOX_TAR_OTHER:
        break;
    }
    return unpack_fail(u, BOX_EUNSUPPORTED, err, "an entry of a kind that layers do not have");
}

int unpack_erofs_begin(struct unpack *u, box_error **err)
{
    if (!u->how->privileged)
        return box_fail(err, BOX_EUNSUPPORTED, "only a privileged user can mount images");
    u->tree = box_erofs_tree_new(MEMORY_MAX, err);
    u->image = u->tree ? box_erofs_image_new(u->imagefd, err) : NULL;
    return u->image ? 0 : BOX_ENOMEM;
}

/* The path of a directory, from its end to its start. */
static int note(struct unpack *u, const struct erofs_inode *dir, box_error **err)
{
    char path[2 * PATH_MAX];
    size_t at = sizeof(path) - 1;

    path[at] = '\0';
    for (const struct erofs_inode *d = dir; d->name; d = d->name->dir) {
        if (d->name->length + 1u > at)
            return 0; /* no path that could be looked up */
        if (d != dir)
            path[--at] = '/';
        at -= d->name->length;
        memcpy(path + at, d->name->name, d->name->length);
    }
    return unpack_note_implicit(u, (ino_t)dir->nid, path + at, err);
}

int unpack_erofs_end(struct unpack *u, uint64_t *data_end, box_error **err)
{
    int r = box_erofs_image_finish(u->image, u->tree, data_end, err);

    /* All inodes hang together in the order of the image. */
    for (struct erofs_inode *i = box_erofs_tree_root(u->tree); r == 0 && i; i = i->next)
        if (i->implicit)
            r = note(u, i, err);
    return r < 0 ? r : unpack_flush_implicit(u, err);
}
