/* Compressing a stream on several threads. The same bytes in give the same bytes out, however they are cut into
 * writes and however many threads there are; another library, level or, with ISA-L, kind of processor may give
 * others.
 *
 * gzip: blocks of the stream are compressed side by side, each ending at a byte, and put behind each other as one
 * gzip member: some readers stop after the first member. By ISA-L where it is installed and the level is low or
 * the usual one, by zlib otherwise. zstd: libzstd's own threads. */
#ifndef BOX_IMAGE_DEFLATE_H
#define BOX_IMAGE_DEFLATE_H

#include <stdint.h>

#include <libbox/archive.h>
#include "base/fail.h"
#include "image/tar_write.h"

typedef struct box_deflate box_deflate;
struct box_deflate {
    int (*write)(struct box_deflate *deflate, const void *data, size_t length, box_error **err);
    int (*finish)(struct box_deflate *deflate, box_error **err);
    void (*free)(struct box_deflate *deflate);
    box_tar_sink *sink;
    void *context;
};

/* level 0: the usual. What comes out goes to the sink, in the thread that writes. BOX_ELIBRARY. */
int box_deflate_new(enum box_archive_compression compression, int level, unsigned threads, box_tar_sink *sink,
                    void *context, struct box_deflate **deflate, box_error **err);
void box_deflate_free(struct box_deflate *deflate);
BOX_CLEANUP(box_deflate, box_deflate_free);
/* A box_tar_sink whose context is a box_deflate. */
int box_deflate_sink(const void *data, size_t length, void *context, box_error **err);
int box_deflate_finish(struct box_deflate *deflate, box_error **err);

/* ---- For deflate*.c alone ---- */

int box_deflate_gzip_new(int level, unsigned threads, struct box_deflate **deflate, box_error **err);
int box_deflate_zstd_new(int level, unsigned threads, struct box_deflate **deflate, box_error **err);

/* One way to compress a block. `dictionary` is what stands before the block in the stream, at most 32 KiB; it may
 * be left alone. The output is whole bytes of raw deflate; it ends the stream when the block is the last. */
struct box_block_codec {
    void *(*open)(int level);
    void (*close)(void *state);
    /* How many bytes were written to out; 0: it failed. */
    size_t (*block)(void *state, const uint8_t *dictionary, size_t dictionary_length, const uint8_t *in,
                    size_t length, bool last, uint8_t *out, size_t room);
    uint32_t (*crc)(uint32_t before, const uint8_t *data, size_t length);
};
/* NULL where the library is not installed. */
const struct box_block_codec *box_codec_isal(void);
const struct box_block_codec *box_codec_zlib(void);

#endif
