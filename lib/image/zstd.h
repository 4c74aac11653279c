/* libzstd, opened when the first zstd stream is: a table of the functions that are used. Public names are the
 * library's own without "ZSTD_"; they are described in zstd.h. */
#ifndef BOX_IMAGE_ZSTD_H
#define BOX_IMAGE_ZSTD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fail.h"
#include "image/source.h"

/* Numbers and structures are part of the library's binary interface. */
#define BOX_ZSTD_C_LEVEL         100
#define BOX_ZSTD_D_WINDOW_MAX    100
#define BOX_ZSTD_E_CONTINUE      0
#define BOX_ZSTD_E_END           2

struct box_zstd_in {
    const void *data;
    size_t size, at;
};
struct box_zstd_out {
    void *data;
    size_t size, at;
};

struct box_zstd {
    void *(*createCCtx)(void);
    size_t (*freeCCtx)(void *context);
    size_t (*CCtx_setParameter)(void *context, int parameter, int value);
    size_t (*compressStream2)(void *context, struct box_zstd_out *out, struct box_zstd_in *in, int end);
    void *(*createDCtx)(void);
    size_t (*freeDCtx)(void *context);
    size_t (*DCtx_setParameter)(void *context, int parameter, int value);
    size_t (*decompressStream)(void *context, struct box_zstd_out *out, struct box_zstd_in *in);
    unsigned (*isError)(size_t code);
    const char *(*getErrorName)(size_t code);
};

/* NULL where the library is not installed: BOX_ELIBRARY. */
const struct box_zstd *box_zstd(box_error **err);

/* What a zstd stream decompresses to: all of its frames, those that are to be skipped skipped. BOX_EPARSE when
 * it is damaged, cut short, or followed by something else. Takes `from` over, also on failure. */
struct box_source *box_source_zstd(struct box_source *from, box_error **err);

#endif
