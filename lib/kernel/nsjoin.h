/* Joining the namespaces of a running process: which, in what order, and only if they are what they should
 * be.
 *
 * Order: (1) open a descriptor of each wanted namespace through the target's pidfd; (2) leave out those that
 * the caller is in already (the kernel refuses to join one's own user namespace again); (3) check who owns
 * them (CVE-2022-31214); (4) join: the user namespace first when it gives the privileges for the rest, the
 * mount namespace after all others, since it changes what paths mean. The launch code takes step 4 into the
 * stage; box_nsjoin_enter() does it for the calling thread. */
#ifndef BOX_KERNEL_NSJOIN_H
#define BOX_KERNEL_NSJOIN_H

#include <libbox/namespace.h>
#include "kernel/namespace.h"

struct box_nsjoin {
    /* By enum box_namespace_kind; NULL: not to be joined. Owned. */
    box_namespace *ns[BOX_NAMESPACE_KINDS];
    /* The kinds to join, in order. */
    enum box_namespace_kind order[BOX_NAMESPACE_KINDS];
    unsigned n;
};

/* Steps 1, 2 and 4's order, for `kinds` (bits) of the process; kinds that this kernel lacks are left out. */
int box_nsjoin_open(int pidfd, unsigned kinds, struct box_nsjoin *join, box_error **err);
/* Step 3: every one of them is governed by a user namespace of uid's or by the caller's own. */
int box_nsjoin_verify(const struct box_nsjoin *join, uid_t uid, box_error **err);
/* Step 4, for the calling thread. After a failure the thread may be in some of them: only for a thread or
 * child that ends then. */
int box_nsjoin_enter(const struct box_nsjoin *join, box_error **err);
void box_nsjoin_clear(struct box_nsjoin *join);

#define _cleanup_nsjoin_ __attribute__((cleanup(box_nsjoin_clear)))

#endif
