/* Moving the network devices that a spec names. The host does it: the stage has no rights where they are. */
#include "launch/devices.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int devices_move(const struct box_plan *plan, int there, struct netdev_moved **moved, box_error **err)
{
    const char *at = (const char *)plan->bytes + plan->devices;
    _free_ struct netdev_move *moves = calloc(plan->n_devices + 1, sizeof(*moves));

    if (!moves)
        return box_fail_nomem(err);
    if (there < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = EMFILE, .call = "recvmsg", .subject = "linux.netDevices"},
                             "reach the container's network namespace");
    for (uint32_t i = 0; i < plan->n_devices; i++)
        for (int side = 0; side < 2; side++) {
            *(side ? &moves[i].there : &moves[i].name) = at;
            at += strlen(at) + 1;
        }
    _close_ int here = netdev_open(err);
    return here < 0 ? here : netdev_move(here, there, moves, plan->n_devices, moved, err);
}
