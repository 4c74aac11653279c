/* Unpacking layers again from the blobs that are kept: what a repair and the recovery of late images share. */
#include "image/store_mend.h"

#include <limits.h>

#include "image/image.h"
#include "image/layer.h"
#include "image/source.h"
#include "image/unpack.h"

struct blob {
    const box_store *store;
    const struct box_digest *digest;
};

static struct box_source *open_blob(void *data, box_error **err)
{
    const struct blob *blob = data;

    return box_store_blob_source(blob->store, blob->digest, NULL, err);
}

/* The layer was unpacked from these very bytes before, when its image came here, within the limits of whoever had it come. */
static const box_image_limits unpacked_before = {
    .layer_bytes = INT64_MAX,
    .file_bytes = INT64_MAX,
    .entries = INT64_MAX,
    .free_bytes = INT64_MAX,
    .ratio = UINT32_MAX,
    .path_depth = PATH_MAX / 2,
    .header_bytes = 64u << 20,
};

static int make_again(struct box_store_work *work, const struct box_layer_id *ids, size_t i, const struct box_digest *digest,
                      box_error **err)
{
    const box_image_limits limits = box_image_limits_or_default(&unpacked_before);
    struct blob blob = {work->store, digest};
    uint64_t size = 0;
    int r = box_store_find_blob(work->store, digest, &size, err);

    if (r == 0)
        r = box_fail(err, BOX_ENOTFOUND, "its blob is not kept");
    if (r < 0)
        return r;
    const struct box_layer_input input = {.fd = -1, .size = size, .open = open_blob, .open_data = &blob, .blob = digest, .limits = &limits};
    r = box_layer_make(work, &input, &ids[i], err);
    return r == BOX_LAYER_PENDING ? box_layer_inherit(work, ids, i, err) : r < 0 ? r : 0;
}

static int make_durable(const box_store *store, const struct box_layer_id *id, box_error **err)
{
    char names[1][BOX_LAYER_NAME];
    int r = box_store_find_layer(store, id, names[0], NULL, err);

    return r == 1 ? box_store_make_durable(store, names, 1, err) : r;
}

bool box_store_is_lost(int code)
{
    return code == BOX_ECORRUPT || code == BOX_EDIGEST || code == BOX_EPARSE || code == BOX_ENOTFOUND || code == BOX_ELIMIT ||
           code == BOX_EUNSUPPORTED || code == BOX_EESCAPE || code == BOX_EINVAL;
}

int box_store_mend(struct box_store_work *work, const struct box_digest *manifest, unsigned flags, box_store_damage_fn *report,
                   void *data, box_error **err)
{
    struct box_image_references refs = {0};
    _free_ struct box_layer_id *ids = NULL;
    int r = box_image_references(work->store, manifest, &refs, NULL);

    if (r == 0)
        r = box_layer_ids(refs.diff_ids, refs.n_diff_ids, &ids, err);
    for (size_t i = 0; r == 0 && i < refs.n_diff_ids && i < refs.n_blobs; i++) {
        _cleanup_(box_error) box_error *why = NULL;
        char text[BOX_DIGEST_TEXT];
        if ((r = box_store_work_need(work, "layer", &ids[i].diff_id, err)) < 0 ||
            box_store_find_layer(work->store, &ids[i], NULL, NULL, NULL) != 0)
            continue;
        int made = make_again(work, ids, i, &refs.blobs[i], &why);
        if (made >= 0)
            made = make_durable(work->store, &ids[i], &why);
        if (report)
            report(box_digest_format(&ids[i].diff_id, text),
                   made >= 0 ? "unpacked again from its blob" : box_error_message(why), data);
        if (made < 0 && (flags & BOX_MEND_STOP) && !box_store_is_lost(made)) {
            r = made;
            if (err)
                *err = box_take(why);
        }
    }
    box_image_references_clear(&refs);
    return r < 0 && r != BOX_ECORRUPT ? r : 0;
}
