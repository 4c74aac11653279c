/* An archive, put together from the input, becomes an EROFS image and, in a directory in memory, a tree. Either both
 * are refused or neither; the image is sound (superblock, order of names, places, counts of links), and holds what
 * the tree holds. With LIBBOX_FSCK set, fsck.erofs has the last word.
 *
 * Input: entries of a byte of kind and flags, a byte of mode, owner and time each, then two names (of a few letters,
 * so that they meet), and data. Without root's rights no tree is made, and the image is looked at alone. */
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "../lib/tarball.h"
#include "base/file.h"
#include "image/erofs_format.h"
#include "image/erofs_image.h"
#include "image/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SOUND(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- The archive ---- */

struct input {
    const uint8_t *at, *end;
};

static unsigned take(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static void take_name(struct input *in, char *name, size_t size)
{
    static const char *const parts[] = {"a", "b", "c", "/", "/", "g", ".", ".wh.", ".wh..wh..opq", "!", "a/b", "/c",
                                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "d", "e", "f"};
    unsigned n = take(in) % 6;

    for (name[0] = '\0'; n > 0; n--) {
        unsigned which = take(in);
        const char *part = which == 255 ? ".." : parts[which % (sizeof(parts) / sizeof(*parts))];
        if (strlen(name) + strlen(part) < size)
            strcat(name, part);
    }
}

static void put_entry(struct input *in, struct tarball *tar)
{
    static const char types[] = "0000555221346";
    static char zeros[10000];
    char name[90], link[90], pax[300];
    unsigned kind = take(in), flags = take(in), bits = take(in);
    struct tarball_member m = {.name = name, .link = link, .type = types[kind % 13], .mode = 01000000 | (bits << 4),
                               .uid = bits % 5, .gid = flags % 3, .mtime = (long)bits, .major = bits % 3, .minor = flags};

    take_name(in, name, sizeof(name));
    take_name(in, link, sizeof(link));
    if (m.type == '0') {
        m.size = (flags & 3) * (kind / 13 % 20) * 113u + flags % 7;
        m.size = m.size < sizeof(zeros) ? m.size : sizeof(zeros) - 1;
        zeros[m.size / 2] = (char)bits;
        m.data = zeros;
    }
    if (flags & 64) {
        char value[64] = "";
        m.pax_length = tarball_record(pax, sizeof(pax), flags & 128 ? "SCHILY.xattr.user.a" : "SCHILY.xattr.user.overlay.opaque",
                                      value, bits % sizeof(value));
        m.pax = pax;
    }
    tarball_put(tar, &m);
    zeros[m.size / 2] = 0;
}

struct memory {
    struct box_source base;
    const char *data;
    size_t left;
};

static int memory_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct memory *m = (struct memory *)base;

    (void)err;
    *data = m->data;
    *length = m->left < 700 ? m->left : 700;
    m->data += *length;
    m->left -= *length;
    return 0;
}

static void memory_free(struct box_source *base)
{
    (void)base;
}

/* ---- The image ---- */

struct image {
    const unsigned char *data;
    uint64_t size, meta, data_end;
    uint64_t inodes;
    int tree; /* -1: none to compare with */
    unsigned depth;
    uint32_t links[4096]; /* names found, by inode */
};

static const unsigned char *inode_at(const struct image *i, uint64_t nid)
{
    uint64_t at = i->meta + nid * EROFS_SLOT;

    SOUND(nid > 0 && at + EROFS_INODE <= i->size);
    SOUND((get16(i->data + at) & ~(FORMAT_INLINE | FORMAT_EXTENDED)) == 0 && (get16(i->data + at) & FORMAT_EXTENDED));
    return i->data + at;
}

static size_t xattr_size(const unsigned char *inode)
{
    uint32_t n = get16(inode + INODE_XATTRS);

    return n ? EROFS_XATTR_HEADER + 4 * (n - 1) : 0;
}

static void check_xattrs(const unsigned char *inode)
{
    const unsigned char *at = inode + EROFS_INODE, *end = at + xattr_size(inode);

    if (at == end)
        return;
    SOUND(at[4] == 0); /* none is shared before anything was inherited */
    for (at += EROFS_XATTR_HEADER; at < end; at += (EROFS_XATTR_ENTRY + at[0] + get16(at + 2) + 3u) & ~3u) {
        SOUND(at[0] > 0 && (at[1] == XATTR_USER || at[1] == XATTR_TRUSTED || at[1] == XATTR_SECURITY));
        SOUND(at + EROFS_XATTR_ENTRY + at[0] + get16(at + 2) <= end);
    }
    SOUND(at == end);
}

/* The bytes of a block of the inode's data, and how many. */
static const unsigned char *block_of(const struct image *i, const unsigned char *inode, uint64_t number, size_t *length)
{
    uint64_t size = get64(inode + INODE_SIZE), rest = size - number * EROFS_BLOCK;
    uint64_t at = ((uint64_t)get32(inode + INODE_START) + number) * EROFS_BLOCK;

    *length = rest < EROFS_BLOCK ? (size_t)rest : EROFS_BLOCK;
    if (rest < EROFS_BLOCK && (get16(inode) & FORMAT_INLINE)) {
        at = (uint64_t)(inode - i->data) + EROFS_INODE + xattr_size(inode);
        SOUND(at % EROFS_BLOCK + rest <= EROFS_BLOCK);
    }
    SOUND(at >= EROFS_BLOCK && at + *length <= i->size);
    return i->data + at;
}

static void compare(const struct image *i, const unsigned char *inode, int dir, const char *name, size_t name_length)
{
    char copy[256], content[EROFS_BLOCK];
    struct stat st;
    size_t n;

    memcpy(copy, name, name_length);
    copy[name_length] = '\0';
    SOUND(fstatat(dir, copy, &st, AT_SYMLINK_NOFOLLOW) == 0);
    SOUND(st.st_mode == get16(inode + INODE_MODE) && st.st_uid == get32(inode + INODE_UID) &&
          st.st_gid == get32(inode + INODE_GID) && st.st_nlink == get32(inode + INODE_NLINK));
    if (S_ISREG(st.st_mode) || S_ISLNK(st.st_mode)) {
        SOUND((uint64_t)st.st_size == get64(inode + INODE_SIZE) && (uint64_t)st.st_mtim.tv_sec == get64(inode + INODE_MTIME));
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        SOUND((minor(st.st_rdev) | major(st.st_rdev) << 8) == get32(inode + INODE_START));
    if (S_ISLNK(st.st_mode)) {
        const unsigned char *target = block_of(i, inode, 0, &n);
        SOUND(readlinkat(dir, copy, content, sizeof(content)) == (ssize_t)n && memcmp(content, target, n) == 0);
    }
    if (!S_ISREG(st.st_mode))
        return;
    int fd = openat(dir, copy, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    for (uint64_t at = 0; at * EROFS_BLOCK < (uint64_t)st.st_size; at++) {
        const unsigned char *block = block_of(i, inode, at, &n);
        SOUND(pread(fd, content, n, (off_t)(at * EROFS_BLOCK)) == (ssize_t)n && memcmp(content, block, n) == 0);
    }
    close(fd);
}

static unsigned type_of(uint32_t mode)
{
    return S_ISDIR(mode) ? EROFS_DIR : S_ISLNK(mode) ? EROFS_LNK : S_ISCHR(mode) ? EROFS_CHR
           : S_ISBLK(mode) ? EROFS_BLK : S_ISFIFO(mode) ? EROFS_FIFO : EROFS_REG;
}

static void walk(struct image *i, uint64_t nid, uint64_t parent, int tree);

static void visit(struct image *i, uint64_t nid, uint64_t dir, int tree, const char *name, size_t length)
{
    const unsigned char *inode = inode_at(i, nid);
    char copy[256];

    if (tree >= 0)
        compare(i, inode, tree, name, length);
    check_xattrs(inode);
    if (!S_ISDIR(get16(inode + INODE_MODE))) {
        uint64_t size = get64(inode + INODE_SIZE);
        size_t n;
        for (uint64_t at = 0; S_ISREG(get16(inode + INODE_MODE)) && at * EROFS_BLOCK < size; at++)
            block_of(i, inode, at, &n);
        i->inodes += i->links[nid % 4096]++ == 0;
        return;
    }
    memcpy(copy, name, length);
    copy[length] = '\0';
    int below = tree < 0 ? -1 : openat(tree, copy, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    walk(i, nid, dir, below);
    if (below >= 0)
        close(below);
}

static void walk(struct image *i, uint64_t nid, uint64_t parent, int tree)
{
    const unsigned char *inode = inode_at(i, nid);
    uint64_t size = get64(inode + INODE_SIZE);
    char last[256] = "";
    size_t last_length = 0, length;
    uint32_t subdirs = 0, dots = 0;

    SOUND(++i->depth < 100);
    i->inodes++;
    check_xattrs(inode);
    for (uint64_t number = 0; number * EROFS_BLOCK < size; number++) {
        const unsigned char *block = block_of(i, inode, number, &length);
        size_t n = get16(block + 8) / EROFS_DIRENT;
        SOUND(n > 0 && get16(block + 8) % EROFS_DIRENT == 0 && n * EROFS_DIRENT < length);
        for (size_t k = 0; k < n; k++) {
            const unsigned char *dirent = block + k * EROFS_DIRENT;
            size_t at = get16(dirent + 8), end = k + 1 < n ? get16(dirent + EROFS_DIRENT + 8) : length;
            SOUND(at < end && end <= length);
            const char *name = (const char *)block + at;
            size_t name_length = strnlen(name, end - at);
            SOUND(name_length > 0 && name_length < 256 && (k + 1 == n || name_length == end - at));
            SOUND(!memchr(name, '/', name_length));
            int order = memcmp(last, name, last_length < name_length ? last_length : name_length);
            SOUND(order < 0 || (order == 0 && last_length < name_length));
            memcpy(last, name, name_length);
            last_length = name_length;
            bool one = name_length == 1 && name[0] == '.', two = name_length == 2 && name[0] == '.' && name[1] == '.';
            uint32_t mode = get16(inode_at(i, get64(dirent)) + INODE_MODE);
            SOUND(dirent[10] == type_of(mode));
            if (one || two) {
                SOUND(get64(dirent) == (one ? nid : parent));
                dots++;
                continue;
            }
            subdirs += S_ISDIR(mode);
            visit(i, get64(dirent), nid, tree, name, name_length);
        }
    }
    SOUND(dots == 2 && get32(inode + INODE_NLINK) == 2 + subdirs);
    i->depth--;
}

static void check_image(int fd, uint64_t data_end, int tree)
{
    struct image i = {.data_end = data_end};
    unsigned char block[EROFS_BLOCK];
    struct box_digest digest;
    struct stat st;

    SOUND(fstat(fd, &st) == 0 && st.st_size > 0 && st.st_size % EROFS_BLOCK == 0);
    i.size = (uint64_t)st.st_size;
    i.data = mmap(NULL, i.size, PROT_READ, MAP_SHARED, fd, 0);
    SOUND(i.data != MAP_FAILED);
    memcpy(block, i.data, sizeof(block));
    unsigned char *super = block + EROFS_SUPER_AT;
    uint32_t sum = get32(super + SUPER_CHECKSUM);
    put32(super + SUPER_CHECKSUM, 0);
    SOUND(box_crc32c_table(~0u, super, EROFS_BLOCK - EROFS_SUPER_AT) == sum);
    SOUND((uint64_t)get32(super + SUPER_BLOCKS) * EROFS_BLOCK == i.size);
    i.meta = (uint64_t)get32(super + SUPER_META) * EROFS_BLOCK;
    SOUND(i.meta > data_end && i.meta < i.size);
    uint64_t root = get16(super + SUPER_ROOT);
    walk(&i, root, root, tree);
    SOUND(i.inodes == get64(super + SUPER_INODES));
    SOUND(box_erofs_digest(fd, data_end, true, &digest, NULL) == 0);
    munmap((void *)(uintptr_t)i.data, i.size);
}

/* ---- Both ways ---- */

static void have_fsck(int fd)
{
    char command[100];

    snprintf(command, sizeof(command), "fsck.erofs /proc/%d/fd/%d >/dev/null 2>&1", getpid(), fd);
    SOUND(system(command) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct tarball tar = {0};
    struct box_layer_record record = {0}, tree_record = {0};
    const box_image_limits limits = box_image_limits_or_default(NULL);
    uint64_t data_end = 0;
    char place[64];

    for (int n = 0; in.at < in.end && n < 60; n++)
        put_entry(&in, &tar);
    tarball_end(&tar);
    struct box_unpack how = {.privileged = true, .limits = &limits, .compressed = tar.length, .implicitfd = -1};
    struct memory one = {{.read = memory_read, .free = memory_free}, tar.data, tar.length}, two = one;
    struct box_source *first = box_source_digest(&one.base, NULL), *second = box_source_digest(&two.base, NULL);
    int image = memfd_create("image", MFD_CLOEXEC), dir = -1, made = 0;
    SOUND(first && second && image >= 0);
    int r = box_unpack_erofs(first, image, &how, &record, &data_end, NULL);
    snprintf(place, sizeof(place), "/dev/shm/libbox-fuzz-erofs-%d", getpid());
    if (geteuid() == 0 && mkdir(place, 0700) == 0) {
        dir = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        made = box_unpack(second, dir, &how, &tree_record, NULL);
        if (made != r)
            fprintf(stderr, "as an image %d, as a tree %d\n", r, made);
        SOUND(made == r);
        if (r == 0)
            SOUND(record.entries == tree_record.entries && record.bytes == tree_record.bytes &&
                  record.opaque == tree_record.opaque);
    }
    if (r == 0) {
        check_image(image, data_end, dir);
        if (getenv("LIBBOX_FSCK"))
            have_fsck(image);
    }
    if (dir >= 0) {
        close(dir);
        box_remove_tree(AT_FDCWD, place, NULL);
    }
    close(image);
    box_source_free(first);
    box_source_free(second);
    tarball_free(&tar);
    return 0;
}
