/* A libbox that was built with -Darchives=disabled. */
#include "image/libarchive.h"

const struct box_libarchive *box_libarchive(box_error **err)
{
    struct box_fail_info info = {.code = BOX_ELIBRARY, .remedy = "build libbox with -Darchives=enabled"};

    box_fail_with(err, &info, "this libbox was built without archives");
    return NULL;
}
