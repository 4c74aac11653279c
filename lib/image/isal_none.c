/* A libbox that was built where ISA-L's headers are missing: gzip goes through libarchive. */
#include "image/source_inflate.h"

bool box_isal_usable(void)
{
    return false;
}

struct box_source *box_source_isal(struct box_source *from, box_error **err)
{
    box_source_free(from);
    box_fail(err, BOX_ELIBRARY, "this libbox was built without ISA-L");
    return NULL;
}
