/* Moving the network devices that a spec names (linux.netDevices). The host does it: the stage has no rights where they are. */
#include "launch/devices.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/netdev.h"

/* As the plan has them, pairs of names; back: those that are there, to what they were. */
static struct netdev_move *moves_of(const struct box_plan *plan, char (*back)[IFNAMSIZ])
{
    const char *at = (const char *)plan->bytes + plan->devices;
    struct netdev_move *moves = calloc(plan->n_devices + 1, sizeof(*moves));

    for (uint32_t i = 0; moves && i < plan->n_devices; i++) {
        const char *name = at, *inside = at + strlen(at) + 1;
        moves[i] = back ? (struct netdev_move){back[i], name} : (struct netdev_move){name, inside};
        at = inside + strlen(inside) + 1;
    }
    return moves;
}

int devices_move(const struct box_plan *plan, int there, struct devices *devices, box_error **err)
{
    _close_ int inside = there;
    _close_ int here = -1;
    _free_ struct netdev_move *moves = moves_of(plan, NULL);
    _free_ char (*names)[IFNAMSIZ] = calloc(plan->n_devices + 1, sizeof(*names));

    if (!moves || !names)
        return box_fail_nomem(err);
    if (inside < 0)
        return box_fail_with(err, &(struct box_fail_info){.errnum = EMFILE, .call = "recvmsg", .subject = "linux.netDevices"},
                             "reach the container's network namespace");
    if ((here = netdev_open(err)) < 0)
        return here;
    int r = netdev_move(here, inside, moves, plan->n_devices, names, err);
    if (r < 0)
        return r;
    *devices = (struct devices){plan, box_take_fd(&here), box_take_fd(&inside), box_take(names)};
    return 0;
}

void devices_end(struct devices *devices, bool bring_back)
{
    struct netdev_move *moves = devices->plan && bring_back ? moves_of(devices->plan, devices->names) : NULL;

    if (!devices->plan)
        return;
    if (moves)
        netdev_move(devices->there, devices->here, moves, devices->plan->n_devices, NULL, NULL);
    free(moves);
    free(devices->names);
    close(devices->here);
    close(devices->there);
    *devices = (struct devices){0};
}
