/* The image as a stream: a buffer of one MiB that begins at a multiple of a MiB of the file. When it is full it is
 * summed and written. Holes of files become holes of the image. */
#include "image/erofs_image.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/array.h"
#include "image/erofs_format.h"

#define PIECE      EROFS_SUM_PIECE
#define IMAGE_MAX  (8ull << 40)
#define HOLE       (64u << 10) /* zeros that are worth a hole, where they begin at a multiple of this */
/* The ends of files that lie beside their inodes are kept in memory until those are written: a file's own at most
 * half a block, which packs well, and all of them this much. What is more gets a block of its own. */
#define TAIL_MAX   (EROFS_BLOCK / 2)
#define TAILS_MAX  (16u << 20)

struct erofs_image {
    int fd;
    uint64_t base; /* where the buffer begins in the file */
    size_t used;
    unsigned char *buffer;
    uint32_t *sums;
    size_t n_sums, sums_capacity;
    bool summing;
    uint32_t zeros; /* the sum of a piece of zeros */
    uint64_t tails; /* bytes of tails in memory */

    struct erofs_inode *inode; /* whose data are being written */
    uint64_t size, at, whole;  /* of the data: all, so far, without the tail */
};

struct erofs_image *box_erofs_image_new(int fd, box_error **err)
{
    struct erofs_image *image = calloc(1, sizeof(*image));

    if (image)
        image->buffer = calloc(1, PIECE);
    if (!image || !image->buffer) {
        box_erofs_image_free(image);
        box_fail_nomem(err);
        return NULL;
    }
    image->fd = fd;
    image->summing = true;
    image->zeros = box_crc32c(~0u, image->buffer, PIECE);
    image->used = EROFS_BLOCK; /* the superblock comes last, and counts as zeros in the sums */
    return image;
}

void box_erofs_image_free(struct erofs_image *image)
{
    if (!image)
        return;
    free(image->buffer);
    free(image->sums);
    free(image);
}

uint64_t box_erofs_position(const struct erofs_image *image)
{
    return image->base + image->used;
}

static int add_sum(struct erofs_image *image, uint32_t sum, box_error **err)
{
    uint32_t *slot = image->summing ? box_array_add(&image->sums, &image->n_sums, &image->sums_capacity) : NULL;

    if (slot)
        *slot = sum;
    return slot || !image->summing ? 0 : box_fail_nomem(err);
}

static int write_range(struct erofs_image *image, size_t from, size_t to, box_error **err)
{
    while (from < to) {
        ssize_t n = pwrite(image->fd, image->buffer + from, to - from, (off_t)(image->base + from));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return box_fail_sys(err, "pwrite", NULL, "cannot write the layer's image");
        from += (size_t)n;
    }
    return 0;
}

static bool is_zeros(const unsigned char *data, size_t length)
{
    return data[0] == 0 && memcmp(data, data + 1, length - 1) == 0;
}

/* What is all zeros is left out: the file has nothing there yet. */
int box_erofs_flush(struct erofs_image *image, box_error **err)
{
    size_t from = 0, at = 0, next;
    int r = 0;

    for (; r == 0 && at < image->used; at = next) {
        next = image->used - at < HOLE ? image->used : at + HOLE;
        if (!is_zeros(image->buffer + at, next - at))
            continue;
        r = write_range(image, from, at, err);
        from = next;
    }
    return r < 0 ? r : write_range(image, from, image->used, err);
}

static int next_piece(struct erofs_image *image, box_error **err)
{
    int r = add_sum(image, image->summing ? box_crc32c(~0u, image->buffer, PIECE) : 0, err);

    if (r == 0)
        r = box_erofs_flush(image, err);
    image->base += PIECE;
    image->used = 0;
    return r;
}

int box_erofs_write(struct erofs_image *image, const void *data, size_t length, box_error **err)
{
    int r = 0;

    while (r == 0 && length > 0) {
        size_t n = PIECE - image->used < length ? PIECE - image->used : length;
        memcpy(image->buffer + image->used, data, n);
        data = (const char *)data + n;
        length -= n;
        image->used += n;
        if (image->used == PIECE)
            r = next_piece(image, err);
    }
    return r;
}

/* Zeros; whole pieces of them need no summing. */
int box_erofs_zeros(struct erofs_image *image, uint64_t length, box_error **err)
{
    int r = 0;

    while (r == 0 && length > 0) {
        if (image->used == 0 && length >= PIECE) {
            r = add_sum(image, image->zeros, err);
            image->base += PIECE;
            length -= PIECE;
            continue;
        }
        size_t n = PIECE - image->used < length ? PIECE - image->used : (size_t)length;
        memset(image->buffer + image->used, 0, n);
        length -= n;
        image->used += n;
        if (image->used == PIECE)
            r = next_piece(image, err);
    }
    return r;
}

int box_erofs_align(struct erofs_image *image, uint64_t to, box_error **err)
{
    uint64_t over = box_erofs_position(image) % to;

    return over ? box_erofs_zeros(image, to - over, err) : 0;
}

/* ---- The data of files ---- */

int box_erofs_data_begin(struct erofs_image *image, struct erofs_inode *inode, uint64_t size, box_error **err)
{
    uint64_t tail = size % EROFS_BLOCK;

    if (size > IMAGE_MAX || box_erofs_position(image) + size > IMAGE_MAX)
        return box_fail(err, BOX_ELIMIT, "a layer's image can have no more than %llu bytes", IMAGE_MAX);
    inode->size = size;
    inode->start = (uint32_t)(box_erofs_position(image) / EROFS_BLOCK);
    image->inode = inode;
    image->size = image->whole = size;
    image->at = 0;
    if (tail == 0 || tail > TAIL_MAX || image->tails + tail > TAILS_MAX)
        return 0;
    inode->tail = calloc(1, (size_t)tail);
    if (!inode->tail)
        return box_fail_nomem(err);
    inode->tail_length = (uint16_t)tail;
    inode->held = true;
    image->tails += tail;
    image->whole = size - tail;
    return 0;
}

void box_erofs_data_forget(struct erofs_image *image, struct erofs_inode *inode)
{
    if (inode->held)
        image->tails -= inode->size % EROFS_BLOCK;
    inode->held = false;
}

int box_erofs_data_put(struct erofs_image *image, const void *data, size_t length, uint64_t at, box_error **err)
{
    if (at < image->at || at > image->size || length > image->size - at)
        return box_fail(err, BOX_EPARSE, "its data do not fit into its size, or are not in order");
    uint64_t in_whole = at < image->whole ? image->whole - at : 0;
    size_t n = length < in_whole ? length : (size_t)in_whole;
    uint64_t gap_end = at < image->whole ? at : image->whole;
    int r = gap_end > image->at ? box_erofs_zeros(image, gap_end - image->at, err) : 0;

    if (r == 0 && n)
        r = box_erofs_write(image, data, n, err);
    if (r == 0 && length > n)
        memcpy(image->inode->tail + (at + n - image->whole), (const char *)data + n, length - n);
    image->at = at + length;
    return r;
}

int box_erofs_data_end(struct erofs_image *image, box_error **err)
{
    int r = image->at < image->whole ? box_erofs_zeros(image, image->whole - image->at, err) : 0;

    image->inode = NULL;
    return r < 0 ? r : box_erofs_align(image, EROFS_BLOCK, err);
}

/* ---- The end ---- */

int box_erofs_write_sums(struct erofs_image *image, uint64_t *data_end, box_error **err)
{
    unsigned char word[4];
    int r = 0;

    *data_end = box_erofs_position(image);
    if (image->used)
        r = add_sum(image, box_crc32c(~0u, image->buffer, image->used), err);
    image->summing = false;
    for (size_t i = 0; r == 0 && i < image->n_sums; i++) {
        put32(word, image->sums[i]);
        r = box_erofs_write(image, word, sizeof(word), err);
    }
    return r < 0 ? r : box_erofs_align(image, EROFS_BLOCK, err);
}

static void fill_super(unsigned char block[EROFS_BLOCK], uint64_t blocks, uint32_t meta, uint64_t root, uint64_t inodes)
{
    unsigned char *super = block + EROFS_SUPER_AT;

    put32(super + SUPER_MAGIC, EROFS_MAGIC);
    put32(super + SUPER_COMPAT, SUPER_HAS_SUM | SUPER_HAS_MTIME);
    super[SUPER_BITS] = EROFS_BLOCK_BITS;
    put16(super + SUPER_ROOT, (uint32_t)root);
    put64(super + SUPER_INODES, inodes);
    put32(super + SUPER_BLOCKS, (uint32_t)blocks);
    put32(super + SUPER_META, meta);
    put32(super + SUPER_XATTR, meta);
    put32(super + SUPER_CHECKSUM, box_crc32c(~0u, super, EROFS_BLOCK - EROFS_SUPER_AT));
}

int box_erofs_image_finish(struct erofs_image *image, struct erofs_tree *tree, uint64_t *data_end, box_error **err)
{
    unsigned char block[EROFS_BLOCK] = {0};
    uint64_t inodes = 0, root = 0;
    uint32_t meta = 0;
    int r = box_erofs_write_sums(image, data_end, err);

    if (r == 0)
        r = box_erofs_write_tree(image, tree, &inodes, &meta, &root, err);
    if (r == 0)
        r = box_erofs_align(image, EROFS_BLOCK, err);
    if (r == 0)
        r = box_erofs_flush(image, err);
    if (r < 0)
        return r;
    uint64_t end = box_erofs_position(image);
    if (end > 2 * IMAGE_MAX - EROFS_BLOCK)
        return box_fail(err, BOX_ELIMIT, "the layer's image is too large");
    fill_super(block, end / EROFS_BLOCK, meta, root, inodes);
    if (pwrite(image->fd, block, sizeof(block), 0) != (ssize_t)sizeof(block) || ftruncate(image->fd, (off_t)end) < 0)
        return box_fail_sys(err, "pwrite", NULL, "cannot write the layer's image");
    return 0;
}
