/* A build without libsystemd (-Dsystemd=false): cgroups are made by libbox alone. */
#include "kernel/libsystemd.h"

const struct box_libsystemd *box_libsystemd(box_error **err)
{
    box_fail_with(err, &(struct box_fail_info){.code = BOX_ELIBRARY, .remedy = "use the cgroupfs manager"},
                  "this libbox was built without systemd");
    return NULL;
}
