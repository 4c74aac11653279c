/* The tree: an arena for what never goes, a hash table for names (keyed at random, so that an archive cannot
 * choose names that all fall together), and the walk along a path. */
#include "image/erofs_tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/strings.h"
#include "image/erofs_format.h"

#define ARENA_BLOCK (256u << 10)
#define LINKS_MAX   40

struct block {
    struct block *next;
    char room[];
};

struct erofs_tree {
    struct block *blocks;
    size_t used; /* of the first block */
    uint64_t memory, limit;
    bool full;
    struct erofs_entry **buckets;
    size_t n_buckets, n_entries; /* a power of two */
    uint64_t key[2];
    struct erofs_inode *root;
};

/* ---- Memory ---- */

void *box_erofs_tree_alloc(struct erofs_tree *t, size_t size)
{
    size = (size + 15) & ~(size_t)15;
    if (size > t->limit - t->memory) {
        t->full = true;
        return NULL;
    }
    if (!t->blocks || size > ARENA_BLOCK - t->used) {
        size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;
        struct block *block = malloc(sizeof(*block) + room);
        if (!block)
            return NULL;
        block->next = t->blocks;
        t->blocks = block;
        t->used = 0;
    }
    void *at = t->blocks->room + t->used;
    t->used = size > ARENA_BLOCK ? ARENA_BLOCK : t->used + size;
    t->memory += size;
    memset(at, 0, size);
    return at;
}

bool box_erofs_tree_full(const struct erofs_tree *t)
{
    return t->full;
}

struct erofs_tree *box_erofs_tree_new(uint64_t memory, box_error **err)
{
    struct erofs_tree *t = calloc(1, sizeof(*t));

    if (t) {
        t->limit = memory;
        t->n_buckets = 1024;
        t->buckets = calloc(t->n_buckets, sizeof(struct erofs_entry *));
        t->root = box_erofs_tree_alloc(t, sizeof(*t->root));
    }
    if (!t || !t->buckets || !t->root || getrandom(t->key, sizeof(t->key), 0) != (ssize_t)sizeof(t->key)) {
        box_erofs_tree_free(t);
        box_fail_nomem(err);
        return NULL;
    }
    t->root->mode = S_IFDIR | 0755;
    t->root->parent = t->root;
    return t;
}

struct erofs_inode *box_erofs_tree_root(struct erofs_tree *t)
{
    return t->root;
}

static void drop_tail(struct erofs_inode *inode)
{
    free(inode->tail);
    inode->tail = NULL;
    inode->tail_length = 0;
}

void box_erofs_tree_free(struct erofs_tree *t)
{
    if (!t)
        return;
    for (size_t i = 0; t->buckets && i < t->n_buckets; i++)
        for (struct erofs_entry *e = t->buckets[i]; e; e = e->chain)
            drop_tail(e->inode);
    free(t->buckets);
    while (t->blocks) {
        struct block *next = t->blocks->next;
        free(t->blocks);
        t->blocks = next;
    }
    free(t);
}

/* ---- Names ---- */

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* One round of SipHash (Aumasson and Bernstein). */
static void mix(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

static void feed(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    mix(v);
    v[0] ^= word;
}

static uint64_t hash(const struct erofs_tree *t, const struct erofs_inode *dir, const char *name, size_t length)
{
    uint64_t v[4] = {t->key[0] ^ 0x736f6d6570736575u, t->key[1] ^ 0x646f72616e646f6du,
                     t->key[0] ^ 0x6c7967656e657261u, t->key[1] ^ 0x7465646279746573u};
    uint64_t word = (uint64_t)length << 56;

    feed(v, (uint64_t)(uintptr_t)dir);
    for (; length >= 8; name += 8, length -= 8) {
        uint64_t eight;
        memcpy(&eight, name, 8);
        feed(v, eight);
    }
    for (size_t i = 0; i < length; i++)
        word |= (uint64_t)(unsigned char)name[i] << (8 * i);
    feed(v, word);
    v[2] ^= 0xff;
    mix(v);
    mix(v);
    mix(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static struct erofs_entry **bucket_of(const struct erofs_tree *t, const struct erofs_inode *dir, const char *name,
                                      size_t length)
{
    return &t->buckets[hash(t, dir, name, length) & (t->n_buckets - 1)];
}

struct erofs_entry *box_erofs_find(const struct erofs_tree *t, const struct erofs_inode *dir, const char *name,
                                   size_t length)
{
    if (length > UINT8_MAX)
        return NULL;
    for (struct erofs_entry *e = *bucket_of(t, dir, name, length); e; e = e->chain)
        if (e->dir == dir && e->length == length && memcmp(e->name, name, length) == 0)
            return e;
    return NULL;
}

static bool grow(struct erofs_tree *t)
{
    struct erofs_entry **old = t->buckets;
    size_t n = t->n_buckets;
    struct erofs_entry **more = calloc(n * 2, sizeof(struct erofs_entry *));

    if (!more || n * 2 * sizeof(struct erofs_entry *) > t->limit - t->memory) {
        t->full = more != NULL;
        free(more);
        return false;
    }
    t->memory += n * sizeof(struct erofs_entry *);
    t->buckets = more;
    t->n_buckets = n * 2;
    for (size_t i = 0; i < n; i++)
        for (struct erofs_entry *e = old[i], *next; e; e = next) {
            struct erofs_entry **bucket = bucket_of(t, e->dir, e->name, e->length);
            next = e->chain;
            e->chain = *bucket;
            *bucket = e;
        }
    free(old);
    return true;
}

static struct erofs_entry *enter_name(struct erofs_tree *t, struct erofs_inode *dir, const char *name,
                                      struct erofs_inode *inode)
{
    size_t length = strlen(name);
    struct erofs_entry *e = length > UINT8_MAX || (t->n_entries >= t->n_buckets && !grow(t))
                                ? NULL
                                : box_erofs_tree_alloc(t, sizeof(*e) + length + 1);

    if (!e)
        return NULL;
    memcpy(e->name, name, length + 1);
    e->length = (uint8_t)length;
    e->dir = dir;
    e->inode = inode;
    struct erofs_entry **bucket = bucket_of(t, dir, name, length);
    e->chain = *bucket;
    *bucket = e;
    t->n_entries++;
    e->next = dir->children;
    if (e->next)
        e->next->before = e;
    dir->children = e;
    dir->n_children++;
    inode->nlink++;
    return e;
}

struct erofs_inode *box_erofs_add(struct erofs_tree *t, struct erofs_inode *dir, const char *name, mode_t mode)
{
    struct erofs_inode *inode = box_erofs_tree_alloc(t, sizeof(*inode));

    if (!inode)
        return NULL;
    inode->mode = mode;
    inode->parent = S_ISDIR(mode) ? dir : NULL;
    struct erofs_entry *e = enter_name(t, dir, name, inode);
    if (S_ISDIR(mode))
        inode->name = e;
    return e ? inode : NULL;
}

bool box_erofs_link(struct erofs_tree *t, struct erofs_inode *dir, const char *name, struct erofs_inode *inode)
{
    return enter_name(t, dir, name, inode) != NULL;
}

static void remove_one(struct erofs_tree *t, struct erofs_entry *e)
{
    struct erofs_entry **at = bucket_of(t, e->dir, e->name, e->length);

    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    t->n_entries--;
    if (e->next)
        e->next->before = e->before;
    if (e->before)
        e->before->next = e->next;
    else
        e->dir->children = e->next;
    e->dir->n_children--;
    if (--e->inode->nlink == 0)
        drop_tail(e->inode);
}

/* From the bottom up, without recursion: a directory's parent is known. */
uint64_t box_erofs_remove(struct erofs_tree *t, struct erofs_entry *entry)
{
    struct erofs_entry *e = entry;
    uint64_t count = 0;

    for (;;) {
        while (S_ISDIR(e->inode->mode) && e->inode->children)
            e = e->inode->children;
        struct erofs_inode *dir = e->dir;
        remove_one(t, e);
        count++;
        if (e == entry)
            return count;
        e = dir->children ? dir->children : dir->name;
    }
}

/* ---- Attributes ---- */

unsigned box_erofs_xattr_index(const char *name, const char **rest)
{
    static const struct {
        const char *prefix;
        unsigned index;
    } table[] = {{"user.", XATTR_USER}, {"trusted.", XATTR_TRUSTED}, {"security.", XATTR_SECURITY}};

    for (size_t i = 0; i < BOX_ARRAY(table); i++)
        if ((*rest = box_after_prefix(name, table[i].prefix)))
            return table[i].index;
    return 0;
}

bool box_erofs_set_xattr(struct erofs_tree *t, struct erofs_inode *inode, unsigned index, const char *name,
                         const void *value, size_t size)
{
    size_t length = strlen(name);
    struct erofs_xattr **at = &inode->xattrs;
    struct erofs_xattr *x = box_erofs_tree_alloc(t, sizeof(*x) + length + size);

    if (!x)
        return false;
    x->index = (uint8_t)index;
    x->name_length = (uint8_t)length;
    x->size = (uint16_t)size;
    memcpy(x->text, name, length);
    if (size)
        memcpy(x->text + length, value, size);
    while (*at && ((*at)->index != index || (*at)->name_length != length || memcmp((*at)->text, name, length) != 0))
        at = &(*at)->next;
    x->next = *at ? (*at)->next : NULL;
    *at = x;
    return true;
}

bool box_erofs_set_opaque(struct erofs_tree *t, struct erofs_inode *dir)
{
    return box_erofs_set_xattr(t, dir, XATTR_TRUSTED, "overlay.opaque", "y", 1);
}

/* ---- The walk ---- */

struct path {
    char text[2 * PATH_MAX]; /* what is still to be walked, at the end */
    size_t at;
    size_t literal; /* where the caller's own path begins; what is before came out of links */
};

static int put_before(struct path *p, const char *text, size_t length)
{
    if (length + 1 > p->at)
        return -ENAMETOOLONG;
    p->text[--p->at] = '/';
    p->at -= length;
    memcpy(p->text + p->at, text, length);
    return 0;
}

/* A component that is missing, or a whiteout. */
static int make_component(struct erofs_tree *t, struct erofs_inode *dir, const char *name, size_t n,
                          struct erofs_entry *there, struct erofs_walk *walk, struct erofs_inode **made)
{
    char copy[NAME_MAX + 1];

    if (there)
        walk->replaced += box_erofs_remove(t, there);
    memcpy(copy, name, n);
    copy[n] = '\0';
    struct erofs_inode *inode = box_erofs_add(t, dir, copy, S_IFDIR | 0755);
    if (!inode)
        return -ENOMEM;
    walk->made++;
    if (there) {
        if (!box_erofs_set_opaque(t, inode))
            return -ENOMEM;
    } else {
        inode->implicit = true;
    }
    *made = inode;
    return 0;
}

int box_erofs_walk(struct erofs_tree *t, const char *path, struct erofs_walk *walk, struct erofs_inode **out)
{
    struct erofs_inode *dir = t->root;
    struct path p = {.at = sizeof(p.text)};
    unsigned links = 0;
    size_t length = strlen(path);

    if (length >= PATH_MAX)
        return -ENAMETOOLONG;
    put_before(&p, path, length);
    p.literal = p.at;
    while (p.at < sizeof(p.text)) {
        const char *name = p.text + p.at;
        size_t n = (size_t)((const char *)memchr(name, '/', sizeof(p.text) - p.at) - name);
        bool literal = p.at >= p.literal;

        p.at += n + 1;
        if (n == 0 || (n == 1 && name[0] == '.'))
            continue;
        if (n == 2 && name[0] == '.' && name[1] == '.') {
            dir = dir->parent;
            continue;
        }
        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        struct erofs_entry *e = box_erofs_find(t, dir, name, n);
        if (walk && walk->make && (!e || (literal && box_erofs_is_whiteout(e->inode)))) {
            int r = make_component(t, dir, name, n, e, walk, &dir);
            if (r < 0)
                return r;
        } else if (!e) {
            return -ENOENT;
        } else if (S_ISDIR(e->inode->mode)) {
            dir = e->inode;
        } else if (S_ISLNK(e->inode->mode)) {
            const char *target = (const char *)e->inode->tail;
            if (++links > LINKS_MAX)
                return -ELOOP;
            if (literal)
                p.literal = p.at;
            if (put_before(&p, target, strlen(target)) < 0)
                return -ENAMETOOLONG;
            if (target[0] == '/')
                dir = t->root;
        } else {
            return -ENOTDIR;
        }
    }
    *out = dir;
    return 0;
}
