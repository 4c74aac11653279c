/* Network devices from one network namespace to another. */
#ifndef BOX_KERNEL_NETDEV_H
#define BOX_KERNEL_NETDEV_H

#include <stddef.h>

#include "base/fail.h"

struct netdev_move {
    const char *name;  /* where it is now */
    const char *there; /* what it is to be called; NULL or "": the same. "eth%d": with the lowest number that is free */
};

struct netdev_moved;

/* A rtnetlink(7) socket of the calling thread's network namespace; the caller closes it. fd or BOX_E*. */
int netdev_open(box_error **err);
/* Moves devices from the namespace of one such socket to that of another, and brings them up there. Names, hardware
 * addresses and MTU stay, and so do permanent addresses of global scope; routes and all else that the old namespace knew
 * of a device goes. That all are there, and their new names free, is known before the first is touched, and those that
 * were moved before one that cannot be moved are brought back.
 *
 * Errors: BOX_ENOTFOUND, BOX_EEXISTS, BOX_EPERMISSION without CAP_NET_ADMIN over both; the subject is the device. */
int netdev_move(int from, int to, const struct netdev_move *moves, size_t n, struct netdev_moved **moved, box_error **err);

/* What was moved, and both namespaces, which this keeps. Bringing it back is best effort, the last first. */
void netdev_bring_back(const struct netdev_moved *moved);
/* NULL is allowed. */
void netdev_moved_free(struct netdev_moved *moved);

#endif
