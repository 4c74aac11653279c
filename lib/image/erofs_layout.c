/* The tree on disk. First each inode gets its place, directory by directory, those of one directory side by side in
 * the order of their names; only then is it known by which numbers directories refer to them, and all is written
 * in that order. What a directory does not hold inline comes behind all inodes. */
#include "image/erofs_image.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/erofs_format.h"

struct layout {
    struct erofs_image *image;
    struct erofs_inode *first, *last; /* all inodes in order */
    uint64_t at;                      /* bytes of the inodes so far, from the start of their region */
    uint64_t inodes, dir_blocks;
    uint64_t meta, dirs; /* where inodes and directories begin, in blocks */
};

/* ---- Names in order ---- */

static int by_name(const void *a, const void *b)
{
    const struct erofs_entry *x = *(struct erofs_entry *const *)a, *y = *(struct erofs_entry *const *)b;
    size_t n = x->length < y->length ? x->length : y->length;
    int c = memcmp(x->name, y->name, n);

    return c ? c : (int)x->length - (int)y->length;
}

static int sort_children(struct erofs_inode *dir, box_error **err)
{
    struct erofs_entry **list = calloc(dir->n_children ? dir->n_children : 1, sizeof(*list));
    size_t n = 0;

    if (!list)
        return box_fail_nomem(err);
    for (struct erofs_entry *e = dir->children; e; e = e->next)
        list[n++] = e;
    qsort(list, n, sizeof(*list), by_name);
    dir->children = n ? list[0] : NULL;
    for (size_t i = 0; i < n; i++) {
        list[i]->before = i ? list[i - 1] : NULL;
        list[i]->next = i + 1 < n ? list[i + 1] : NULL;
    }
    free(list);
    return 0;
}

/* The names of a directory, with "." and ".." where they belong. */
struct names {
    const struct erofs_inode *dir;
    const struct erofs_entry *next;
    unsigned dots; /* how many of the two are out */
};

struct name {
    const char *text;
    size_t length;
    const struct erofs_inode *inode;
};

static bool next_name(struct names *names, struct name *name)
{
    static const char *const dots[] = {".", ".."};
    const struct erofs_entry *e = names->next;

    if (names->dots < 2 && (!e || strcmp(dots[names->dots], e->name) < 0)) {
        *name = (struct name){dots[names->dots], names->dots + 1, names->dots ? names->dir->parent : names->dir};
        names->dots++;
        return true;
    }
    if (!e)
        return false;
    *name = (struct name){e->name, e->length, e->inode};
    names->next = e->next;
    return true;
}

/* How many names, from here on, share a block, and how many bytes they take. Leaves `names` behind them. */
static size_t next_block(struct names *names, size_t *bytes)
{
    struct name name;
    size_t n = 0;

    *bytes = 0;
    for (struct names before = *names; next_name(names, &name); before = *names, n++) {
        if (*bytes + EROFS_DIRENT + name.length > EROFS_BLOCK) {
            *names = before;
            break;
        }
        *bytes += EROFS_DIRENT + name.length;
    }
    return n;
}

/* ---- Places ---- */

static size_t xattr_bytes(const struct erofs_inode *inode)
{
    size_t bytes = 0;

    for (const struct erofs_xattr *x = inode->xattrs; x; x = x->next)
        bytes += (EROFS_XATTR_ENTRY + x->name_length + x->size + 3u) & ~3u;
    return bytes ? bytes + EROFS_XATTR_HEADER : 0;
}

/* What comes before inline data. A directory that is to inherit has room for as many shared attributes. */
static size_t head_bytes(const struct erofs_inode *inode)
{
    size_t own = xattr_bytes(inode);

    return EROFS_INODE + (inode->implicit ? (own ? own : EROFS_XATTR_HEADER) + 4 * EROFS_INHERIT_MAX : own);
}

/* Puts an inode at the next place where its inline data do not cross the end of a block. */
static void place(struct layout *l, struct erofs_inode *inode, size_t inline_bytes)
{
    size_t head = head_bytes(inode);

    l->at = (l->at + EROFS_SLOT - 1) & ~(uint64_t)(EROFS_SLOT - 1);
    if (l->at % EROFS_BLOCK + EROFS_INODE > EROFS_BLOCK ||
        (inline_bytes && (l->at + head) % EROFS_BLOCK + inline_bytes > EROFS_BLOCK)) {
        l->at = (l->at + EROFS_BLOCK - 1) & ~(uint64_t)(EROFS_BLOCK - 1);
        while ((l->at + head) % EROFS_BLOCK + inline_bytes > EROFS_BLOCK)
            l->at += EROFS_SLOT;
    }
    inode->nid = l->at / EROFS_SLOT;
    l->at += head + inline_bytes;
    l->inodes++;
    if (l->last)
        l->last->next = inode;
    else
        l->first = inode;
    l->last = inode;
}

/* A directory: whole blocks of names behind the inodes, the last ones inline, where they are few. */
static void place_directory(struct layout *l, struct erofs_inode *dir)
{
    struct names names = {.dir = dir, .next = dir->children};
    uint64_t blocks = 0;
    size_t bytes = 0;

    dir->nlink = 2;
    for (const struct erofs_entry *e = dir->children; e; e = e->next)
        dir->nlink += S_ISDIR(e->inode->mode);
    for (size_t more; next_block(&names, &more) > 0; blocks++)
        bytes = more;
    dir->size = (blocks - 1) * EROFS_BLOCK + bytes;
    dir->tail_length = 0;
    if (bytes <= EROFS_BLOCK / 2 && !dir->implicit) {
        dir->tail_length = (uint16_t)bytes;
        blocks--;
    }
    dir->start = (uint32_t)l->dir_blocks; /* from the start of their region, until that is known */
    l->dir_blocks += blocks;
    place(l, dir, dir->tail_length);
}

static int place_all(struct layout *l, struct erofs_inode *root, box_error **err)
{
    int r = sort_children(root, err);

    l->at = EROFS_SLOT; /* 0 would be no inode to readdir(3) */
    if (r == 0)
        place_directory(l, root);
    for (struct erofs_inode *dir = root; r == 0 && dir; dir = dir->next)
        for (struct erofs_entry *e = S_ISDIR(dir->mode) ? dir->children : NULL; r == 0 && e; e = e->next) {
            struct erofs_inode *inode = e->inode;
            if (inode->nid) /* another name for it came before */
                continue;
            if (!S_ISDIR(inode->mode))
                place(l, inode, S_ISREG(inode->mode) || S_ISLNK(inode->mode) ? inode->tail_length : 0);
            else if ((r = sort_children(inode, err)) == 0)
                place_directory(l, inode);
        }
    return r;
}

/* ---- Writing ---- */

static unsigned type_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return EROFS_DIR;
    case S_IFCHR:
        return EROFS_CHR;
    case S_IFBLK:
        return EROFS_BLK;
    case S_IFIFO:
        return EROFS_FIFO;
    case S_IFLNK:
        return EROFS_LNK;
    default:
        return EROFS_REG;
    }
}

/* One block of names, of which there are n, from `names` on. */
static void fill_block(struct names *names, size_t n, unsigned char block[EROFS_BLOCK])
{
    size_t at = n * EROFS_DIRENT;
    struct name name;

    memset(block, 0, EROFS_BLOCK);
    for (size_t i = 0; i < n && next_name(names, &name); i++) {
        unsigned char *dirent = block + i * EROFS_DIRENT;
        put64(dirent, name.inode->nid);
        put16(dirent + 8, (uint32_t)at);
        dirent[10] = (unsigned char)type_of(name.inode->mode);
        memcpy(block + at, name.text, name.length);
        at += name.length;
    }
}

/* The blocks of a directory, either those behind the inodes or the inline one. */
static int write_names(struct layout *l, const struct erofs_inode *dir, bool inline_one, box_error **err)
{
    struct names names = {.dir = dir, .next = dir->children};
    unsigned char block[EROFS_BLOCK];
    int r = 0;

    for (uint64_t done = 0; r == 0 && done < dir->size; done += EROFS_BLOCK) {
        struct names from = names;
        size_t bytes, n = next_block(&names, &bytes);
        bool is_inline = dir->tail_length && dir->size - done <= EROFS_BLOCK;
        if (is_inline != inline_one)
            continue;
        fill_block(&from, n, block);
        r = box_erofs_write(l->image, block, is_inline ? bytes : EROFS_BLOCK, err);
    }
    return r;
}

static int write_xattrs(struct layout *l, const struct erofs_inode *inode, box_error **err)
{
    static const unsigned char zeros[EROFS_XATTR_HEADER];
    int r = inode->xattrs ? box_erofs_write(l->image, zeros, EROFS_XATTR_HEADER, err) : 0;

    for (const struct erofs_xattr *x = inode->xattrs; r == 0 && x; x = x->next) {
        unsigned char entry[EROFS_XATTR_ENTRY] = {x->name_length, x->index};
        put16(entry + 2, x->size);
        r = box_erofs_write(l->image, entry, sizeof(entry), err);
        if (r == 0)
            r = box_erofs_write(l->image, x->text, (size_t)x->name_length + x->size, err);
        if (r == 0)
            r = box_erofs_align(l->image, 4, err);
    }
    return r;
}

static void fill_inode(const struct layout *l, const struct erofs_inode *inode, unsigned char out[EROFS_INODE])
{
    size_t xattrs = xattr_bytes(inode);
    uint32_t start = inode->start;

    if (S_ISDIR(inode->mode))
        start = (uint32_t)(l->dirs + start);
    else if (S_ISCHR(inode->mode) || S_ISBLK(inode->mode))
        start = inode->rdev;
    memset(out, 0, EROFS_INODE);
    put16(out + INODE_FORMAT, FORMAT_EXTENDED | (inode->tail_length ? FORMAT_INLINE : FORMAT_PLAIN));
    put16(out + INODE_XATTRS, xattrs ? (uint32_t)(1 + (xattrs - EROFS_XATTR_HEADER) / 4) : 0);
    put16(out + INODE_MODE, inode->mode);
    put64(out + INODE_SIZE, inode->size);
    put32(out + INODE_START, start);
    put32(out + INODE_INO, (uint32_t)inode->nid);
    put32(out + INODE_UID, inode->uid);
    put32(out + INODE_GID, inode->gid);
    put64(out + INODE_MTIME, (uint64_t)inode->mtime.tv_sec);
    put32(out + INODE_MTIME_NSEC, (uint32_t)inode->mtime.tv_nsec);
    put32(out + INODE_NLINK, inode->nlink);
}

static int write_inode(struct layout *l, const struct erofs_inode *inode, box_error **err)
{
    unsigned char data[EROFS_INODE];
    uint64_t start = l->meta * EROFS_BLOCK + inode->nid * EROFS_SLOT;
    int r = box_erofs_zeros(l->image, start - box_erofs_position(l->image), err);

    fill_inode(l, inode, data);
    if (r == 0)
        r = box_erofs_write(l->image, data, sizeof(data), err);
    if (r == 0)
        r = write_xattrs(l, inode, err);
    if (r == 0)
        r = box_erofs_zeros(l->image, start + head_bytes(inode) - box_erofs_position(l->image), err);
    if (r < 0 || !inode->tail_length)
        return r;
    return S_ISDIR(inode->mode) ? write_names(l, inode, true, err)
                                : box_erofs_write(l->image, inode->tail, inode->tail_length, err);
}

int box_erofs_write_tree(struct erofs_image *image, struct erofs_tree *tree, uint64_t *inodes, uint32_t *meta,
                         uint64_t *root, box_error **err)
{
    struct layout l = {.image = image};
    int r = place_all(&l, box_erofs_tree_root(tree), err);

    if (r < 0)
        return r;
    l.meta = box_erofs_position(image) / EROFS_BLOCK;
    l.dirs = l.meta + (l.at + EROFS_BLOCK - 1) / EROFS_BLOCK;
    if (l.dirs + l.dir_blocks > UINT32_MAX)
        return box_fail(err, BOX_ELIMIT, "the layer's image is too large");
    for (const struct erofs_inode *i = l.first; r == 0 && i; i = i->next)
        r = write_inode(&l, i, err);
    if (r == 0)
        r = box_erofs_align(image, EROFS_BLOCK, err);
    for (const struct erofs_inode *i = l.first; r == 0 && i; i = i->next)
        if (S_ISDIR(i->mode))
            r = write_names(&l, i, false, err);
    *inodes = l.inodes;
    *meta = (uint32_t)l.meta;
    *root = l.first->nid;
    return r;
}
