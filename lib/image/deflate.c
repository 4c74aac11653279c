/* Which compressor it is. */
#include "image/deflate.h"

int box_deflate_new(enum box_archive_compression compression, int level, unsigned threads, box_tar_sink *sink,
                    void *context, struct box_deflate **out, box_error **err)
{
    struct box_deflate *deflate = NULL;
    int r;

    if (compression != BOX_ARCHIVE_GZIP && compression != BOX_ARCHIVE_ZSTD)
        return box_fail(err, BOX_EINVAL, "there is no compression number %d", (int)compression);
    if (level < 0 || level > (compression == BOX_ARCHIVE_GZIP ? 9 : 19))
        return box_fail(err, BOX_EINVAL, "there is no compression level %d", level);
    r = compression == BOX_ARCHIVE_GZIP ? box_deflate_gzip_new(level, threads, &deflate, err)
                                        : box_deflate_zstd_new(level, threads, &deflate, err);
    if (r < 0)
        return r;
    deflate->sink = sink;
    deflate->context = context;
    *out = deflate;
    return 0;
}

void box_deflate_free(struct box_deflate *deflate)
{
    if (deflate)
        deflate->free(deflate);
}

int box_deflate_sink(const void *data, size_t length, void *context, box_error **err)
{
    struct box_deflate *deflate = context;

    return deflate->write(deflate, data, length, err);
}

int box_deflate_finish(struct box_deflate *deflate, box_error **err)
{
    return deflate->finish(deflate, err);
}
