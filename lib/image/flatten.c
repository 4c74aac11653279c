/* An image's files as one tar stream, and what leads from one image to another. */
#include <libbox/archive.h>

#include "image/pack.h"
#include "image/pack_out.h"
#include "image/pack_union.h"

struct flatten {
    struct box_layer_fds from, to;
};

static int pack_all(box_tar_sink *sink, void *context, void *data, box_error **err)
{
    const struct flatten *f = data;
    const struct box_pack how = {.tar = {.sink = sink, .context = context}};

    return box_pack_tree(f->to.fds, f->to.n, "", &how, err);
}

static int flatten(const box_image *image, int fd, box_archive_write_fn *write, void *context,
                   const box_archive_options *options, box_error **err)
{
    struct flatten f = {0};

    if (!image)
        return box_fail(err, BOX_EINVAL, "box_image_flatten: the image must not be NULL");
    int r = box_image_open_layers(image, &f.to, err);
    if (r == 0)
        r = box_pack_to(options, fd, write, context, pack_all, &f, err);
    box_layer_fds_close(&f.to);
    return r < 0 ? box_fail_wrap(err, r, "flatten") : 0;
}

int box_image_flatten(const box_image *image, int fd, const box_archive_options *options, box_error **err)
{
    return flatten(image, fd, NULL, NULL, options, err);
}

int box_image_flatten_to(const box_image *image, box_archive_write_fn *write, void *context,
                         const box_archive_options *options, box_error **err)
{
    if (!write)
        return box_fail(err, BOX_EINVAL, "box_image_flatten_to: write must not be NULL");
    return flatten(image, -1, write, context, options, err);
}

static int pack_difference(box_tar_sink *sink, void *context, void *data, box_error **err)
{
    const struct flatten *f = data;
    const struct box_pack how = {.tar = {.sink = sink, .context = context}};

    return box_pack_diff(f->from.fds, f->from.n, f->to.fds, f->to.n, &how, err);
}

static int diff(const box_image *from, const box_image *to, int fd, box_archive_write_fn *write, void *context,
                const box_archive_options *options, box_error **err)
{
    struct flatten f = {0};

    if (!to)
        return box_fail(err, BOX_EINVAL, "box_image_diff: the image must not be NULL");
    int r = from ? box_image_open_layers(from, &f.from, err) : 0;
    if (r == 0)
        r = box_image_open_layers(to, &f.to, err);
    if (r == 0)
        r = box_pack_to(options, fd, write, context, pack_difference, &f, err);
    box_layer_fds_close(&f.from);
    box_layer_fds_close(&f.to);
    return r < 0 ? box_fail_wrap(err, r, "diff") : 0;
}

int box_image_diff(const box_image *from, const box_image *to, int fd, const box_archive_options *options,
                   box_error **err)
{
    return diff(from, to, fd, NULL, NULL, options, err);
}

int box_image_diff_to(const box_image *from, const box_image *to, box_archive_write_fn *write, void *context,
                      const box_archive_options *options, box_error **err)
{
    if (!write)
        return box_fail(err, BOX_EINVAL, "box_image_diff_to: write must not be NULL");
    return diff(from, to, -1, write, context, options, err);
}
