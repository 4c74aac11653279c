/* Network devices of a plan: moved in while the stage waits, and brought back when the start fails after that. */
#ifndef BOX_LAUNCH_DEVICES_H
#define BOX_LAUNCH_DEVICES_H

#include <stdbool.h>

#include "launch/plan.h"

struct devices {
    const struct box_plan *plan;
    int here, there; /* rtnetlink sockets of both namespaces; good while plan is set */
    char (*names)[16]; /* inside */
};

/* Into the namespace that the stage's socket is of, which is taken over. From where: that of the thread which starts the
 * process. */
int devices_move(const struct box_plan *plan, int there, struct devices *devices, box_error **err);
/* The start is over. bring_back: it has failed, and its processes are gone; what was moved goes to where it came from,
 * under its old name, rather than with the namespace. */
void devices_end(struct devices *devices, bool bring_back);

#endif
