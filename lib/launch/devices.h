/* Network devices of a plan (linux.netDevices), moved in while the stage waits. */
#ifndef BOX_LAUNCH_DEVICES_H
#define BOX_LAUNCH_DEVICES_H

#include "kernel/netdev.h"
#include "launch/plan.h"

/* Into the namespace that `there`, the stage's socket, is of. From where: that of the thread which starts the process. */
int devices_move(const struct box_plan *plan, int there, struct netdev_moved **moved, box_error **err);

#endif
