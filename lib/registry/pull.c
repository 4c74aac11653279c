/* box_image_pull(): a name becomes a place to read from, and the engine of lib/image does the rest. */
#include <string.h>

#include "registry/remote.h"

int box_image_pull(box_store *store, box_registry *registry, const char *name, const box_transfer_options *options,
                   box_image **image, box_error **err)
{
    struct box_call call;
    _http_remote_ struct box_http_remote remote = {0};
    _reference_ struct box_reference reference = {0};
    _free_ char *full = NULL;
    int r = box_call_init(&call, registry, options, err);

    if (r == 0 && (!store || !name))
        r = box_fail(err, BOX_EINVAL, "box_image_pull: store and name must not be NULL");
    if (r == 0)
        r = box_reference_read(name, &reference, err);
    if (r < 0)
        return r;
    full = box_reference_full(&reference);
    if (!full)
        return box_fail_nomem(err);
    r = box_http_remote_open(&call, &reference, &remote, err);
    if (r == 0) {
        remote.progress = options ? options->progress : NULL;
        remote.progress_data = options ? options->progress_data : NULL;
        r = box_image_pull_from(store, &remote.base, full, reference.digest ? reference.digest : reference.tag,
                                options, image, err);
    }
    return r < 0 ? box_fail_wrap(err, r, "pull %s", full) : 0;
}
