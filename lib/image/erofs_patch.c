/* What is done to an image that is written: its name, its digest, and what directories inherit. Only libbox's own
 * images come here, but a damaged one is an error, not a crash: nothing read from it is trusted with a length. */
#include "image/erofs_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/erofs_format.h"

static int fail_damaged(box_error **err)
{
    return box_fail(err, BOX_ECORRUPT, "the layer's image is damaged or cut short");
}

static int read_at(int fd, void *data, size_t length, uint64_t at, box_error **err)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = pread(fd, (char *)data + done, length - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return box_fail_sys(err, "pread", NULL, "cannot read the layer's image");
        if (n == 0)
            return fail_damaged(err);
        done += (size_t)n;
    }
    return 0;
}

static int write_at(int fd, const void *data, size_t length, uint64_t at, box_error **err)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = pwrite(fd, (const char *)data + done, length - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return box_fail_sys(err, "pwrite", NULL, "cannot write the layer's image");
        done += (size_t)n;
    }
    return 0;
}

static int size_of(int fd, uint64_t *size, box_error **err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "cannot look at the layer's image");
    *size = (uint64_t)st.st_size;
    return 0;
}

/* ---- The superblock ---- */

static int read_super(int fd, unsigned char block[EROFS_BLOCK], box_error **err)
{
    int r = read_at(fd, block, EROFS_BLOCK, 0, err);

    return r == 0 && get32(block + EROFS_SUPER_AT + SUPER_MAGIC) != EROFS_MAGIC ? fail_damaged(err) : r;
}

static int write_super(int fd, unsigned char block[EROFS_BLOCK], box_error **err)
{
    unsigned char *super = block + EROFS_SUPER_AT;

    put32(super + SUPER_CHECKSUM, 0);
    put32(super + SUPER_CHECKSUM, box_crc32c(~0u, super, EROFS_BLOCK - EROFS_SUPER_AT));
    return write_at(fd, block, EROFS_BLOCK, 0, err);
}

int box_erofs_set_uuid(int fd, const struct box_digest *diff_id, box_error **err)
{
    unsigned char block[EROFS_BLOCK], *uuid = block + EROFS_SUPER_AT + SUPER_UUID;
    int r = read_super(fd, block, err);

    if (r < 0)
        return r;
    memcpy(uuid, diff_id->bytes, 16);
    uuid[6] = (unsigned char)(0x80 | (uuid[6] & 0x0f)); /* version 8 of RFC 9562: made in a way of one's own */
    uuid[8] = (unsigned char)(0x80 | (uuid[8] & 0x3f));
    return write_super(fd, block, err);
}

/* ---- The digest ---- */

/* Holds one piece of the data against its sum. The first block, the superblock's, counts as zeros. */
static int check_piece(int fd, uint64_t at, size_t length, unsigned char *buffer, uint64_t table, box_error **err)
{
    unsigned char word[4];
    int r = read_at(fd, buffer, length, at, err);

    if (r == 0)
        r = read_at(fd, word, sizeof(word), table + at / EROFS_SUM_PIECE * 4, err);
    if (r < 0)
        return r;
    if (at == 0)
        memset(buffer, 0, EROFS_BLOCK);
    if (box_crc32c(~0u, buffer, length) != get32(word))
        return box_fail(err, BOX_EDIGEST, "the content of the layer's files has changed");
    return 0;
}

/* A piece that is a hole all over needs no reading: it was one when the image was written, or its sum, which the
 * digest covers, is another than that of zeros. */
static int check_data(int fd, uint64_t data_end, unsigned char *buffer, box_error **err)
{
    uint32_t zeros;
    int r = 0;

    memset(buffer, 0, EROFS_SUM_PIECE);
    zeros = box_crc32c(~0u, buffer, EROFS_SUM_PIECE);
    for (uint64_t at = 0; r == 0 && at < data_end; at += EROFS_SUM_PIECE) {
        size_t length = data_end - at < EROFS_SUM_PIECE ? (size_t)(data_end - at) : EROFS_SUM_PIECE;
        off_t data = length == EROFS_SUM_PIECE && at > 0 ? lseek(fd, (off_t)at, SEEK_DATA) : 0;
        unsigned char word[4];
        if (data < (off_t)(at + length)) {
            r = check_piece(fd, at, length, buffer, data_end, err);
            continue;
        }
        r = read_at(fd, word, sizeof(word), data_end + at / EROFS_SUM_PIECE * 4, err);
        if (r == 0 && get32(word) != zeros)
            r = box_fail(err, BOX_EDIGEST, "the content of the layer's files has changed");
    }
    return r;
}

int box_erofs_digest(int fd, uint64_t data_end, bool thorough, struct box_digest *digest, box_error **err)
{
    unsigned char *buffer = malloc(EROFS_SUM_PIECE);
    uint64_t size = 0;
    int r = buffer ? size_of(fd, &size, err) : box_fail_nomem(err);
    _cleanup_(box_digester) box_digester *digester = r == 0 ? box_digester_new(BOX_SHA256, err) : NULL;

    if (r == 0 && (data_end < EROFS_BLOCK || data_end > size))
        r = fail_damaged(err);
    if (r == 0 && !digester)
        r = BOX_ENOMEM;
    if (r == 0)
        r = read_at(fd, buffer, EROFS_BLOCK, 0, err);
    if (r == 0)
        box_digester_update(digester, buffer, EROFS_BLOCK);
    for (uint64_t at = data_end; r == 0 && at < size;) {
        size_t n = size - at < EROFS_SUM_PIECE ? (size_t)(size - at) : EROFS_SUM_PIECE;
        r = read_at(fd, buffer, n, at, err);
        if (r == 0)
            box_digester_update(digester, buffer, n);
        at += n;
    }
    if (r == 0)
        r = box_digester_finish(digester, digest, err);
    if (r == 0 && thorough)
        r = check_data(fd, data_end, buffer, err);
    free(buffer);
    return r;
}

/* ---- Inheriting ---- */

/* Appends attributes to the end of the image as shared ones; ids[i] gets the number of each. */
static int append_shared(int fd, const struct erofs_xattr *xattrs, unsigned char *ids, unsigned *n, box_error **err)
{
    unsigned char block[EROFS_BLOCK];
    static const unsigned char zeros[EROFS_BLOCK];
    uint64_t at = 0;
    int r = read_super(fd, block, err);

    if (r == 0)
        r = size_of(fd, &at, err);
    uint64_t base = (uint64_t)get32(block + EROFS_SUPER_AT + SUPER_XATTR) * EROFS_BLOCK;
    if (r == 0 && at < base)
        r = fail_damaged(err);
    for (const struct erofs_xattr *x = xattrs; r == 0 && x; x = x->next) {
        unsigned char entry[EROFS_XATTR_ENTRY] = {x->name_length, x->index};
        put16(entry + 2, x->size);
        if (*n == EROFS_INHERIT_MAX || (at - base) / 4 > UINT32_MAX)
            return box_fail(err, BOX_ELIMIT, "the directory has more than %d attributes", EROFS_INHERIT_MAX);
        put32(ids + 4 * (*n)++, (uint32_t)((at - base) / 4));
        r = write_at(fd, entry, sizeof(entry), at, err);
        if (r == 0)
            r = write_at(fd, x->text, (size_t)x->name_length + x->size, at + sizeof(entry), err);
        at += (sizeof(entry) + x->name_length + x->size + 3u) & ~3u;
    }
    if (r < 0 || !xattrs)
        return r;
    r = write_at(fd, zeros, EROFS_BLOCK - at % EROFS_BLOCK, at, err);
    put32(block + EROFS_SUPER_AT + SUPER_BLOCKS, (uint32_t)(at / EROFS_BLOCK + 1));
    return r < 0 ? r : write_super(fd, block, err);
}

/* The attributes that the directory has itself stay behind the numbers of the shared ones. */
static int write_ids(int fd, uint64_t at, unsigned char inode[EROFS_INODE], const unsigned char *ids, unsigned n,
                     box_error **err)
{
    uint32_t count = get16(inode + INODE_XATTRS);
    size_t own = count > 1 ? 4u * (count - 1) : 0;
    unsigned char *body = calloc(1, EROFS_XATTR_HEADER + 4u * n + own);
    int r = body ? 0 : box_fail_nomem(err);

    if (r == 0 && own)
        r = read_at(fd, body + EROFS_XATTR_HEADER + 4u * n, own, at + EROFS_INODE + EROFS_XATTR_HEADER, err);
    if (r == 0) {
        body[4] = (unsigned char)n;
        memcpy(body + EROFS_XATTR_HEADER, ids, 4u * n);
        r = write_at(fd, body, EROFS_XATTR_HEADER + 4u * n + own, at + EROFS_INODE, err);
    }
    put16(inode + INODE_XATTRS, (uint32_t)(1 + n + own / 4));
    free(body);
    return r;
}

int box_erofs_inherit(int fd, uint64_t nid, const struct erofs_attributes *a, box_error **err)
{
    unsigned char block[EROFS_BLOCK], inode[EROFS_INODE], ids[4 * EROFS_INHERIT_MAX];
    unsigned n = 0;
    int r = read_super(fd, block, err);
    uint64_t at = (uint64_t)get32(block + EROFS_SUPER_AT + SUPER_META) * EROFS_BLOCK + nid * EROFS_SLOT;

    if (r == 0)
        r = read_at(fd, inode, sizeof(inode), at, err);
    if (r == 0 && (get16(inode + INODE_FORMAT) != (FORMAT_EXTENDED | FORMAT_PLAIN) ||
                   !S_ISDIR(get16(inode + INODE_MODE))))
        r = fail_damaged(err);
    if (r == 0)
        r = append_shared(fd, a->xattrs, ids, &n, err);
    if (r == 0 && n)
        r = write_ids(fd, at, inode, ids, n, err);
    if (r < 0)
        return r;
    put16(inode + INODE_MODE, S_IFDIR | (a->mode & 07777));
    put32(inode + INODE_UID, a->uid);
    put32(inode + INODE_GID, a->gid);
    put64(inode + INODE_MTIME, (uint64_t)a->mtime.tv_sec);
    put32(inode + INODE_MTIME_NSEC, (uint32_t)a->mtime.tv_nsec);
    return write_at(fd, inode, sizeof(inode), at, err);
}
