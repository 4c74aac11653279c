/* Joining the namespaces of a running process. Interface and order: kernel/nsjoin.h. */
#include "kernel/nsjoin.h"

#include <errno.h>

#include "base/fail.h"

void box_nsjoin_clear(struct box_nsjoin *join)
{
    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++)
        box_namespace_free(join->ns[k]);
    *join = (struct box_nsjoin){0};
}

/* Opens one, unless the caller is in it. */
static int open_one(int pidfd, enum box_namespace_kind kind, box_namespace **ns, box_error **err)
{
    _cleanup_(box_namespace) box_namespace *theirs = NULL, *mine = NULL;
    int r = box_namespace_open_pidfd(kind, pidfd, &theirs, err);

    if (r == 0)
        r = box_namespace_open_self(kind, &mine, err);
    if (r == 0 && !box_namespace_same(theirs, mine))
        *ns = box_take(theirs);
    return r;
}

/* Whether a namespace is governed by the user namespace that is to be joined, so that its privileges are
 * needed. One whose owner cannot even be named lies above us and is joined with what we have. */
static bool after_user(const struct box_nsjoin *join, enum box_namespace_kind kind)
{
    _cleanup_(box_namespace) box_namespace *owner = NULL;

    if (box_namespace_owner(join->ns[kind], &owner, NULL) < 0)
        return false;
    return box_namespace_same(owner, join->ns[BOX_NAMESPACE_USER]);
}

static void put_in_order(struct box_nsjoin *join)
{
    static const enum box_namespace_kind others[] = {
        BOX_NAMESPACE_CGROUP, BOX_NAMESPACE_IPC, BOX_NAMESPACE_UTS,  BOX_NAMESPACE_NETWORK,
        BOX_NAMESPACE_TIME,   BOX_NAMESPACE_PID, BOX_NAMESPACE_MOUNT};
    bool later[BOX_NAMESPACE_KINDS] = {false};
    bool user = join->ns[BOX_NAMESPACE_USER] != NULL;

    for (size_t i = 0; i < BOX_ARRAY(others); i++) {
        if (!join->ns[others[i]])
            continue;
        if (user && (later[others[i]] = after_user(join, others[i])))
            continue;
        join->order[join->n++] = others[i];
    }
    if (user)
        join->order[join->n++] = BOX_NAMESPACE_USER;
    for (size_t i = 0; i < BOX_ARRAY(others); i++)
        if (later[others[i]])
            join->order[join->n++] = others[i];
}

int box_nsjoin_open(int pidfd, unsigned wanted, struct box_nsjoin *join, box_error **err)
{
    int r = 0;

    *join = (struct box_nsjoin){0};
    wanted &= box_namespace_supported();
    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS && r == 0; k++)
        if (wanted & BOX_NAMESPACE_BIT(k))
            r = open_one(pidfd, (enum box_namespace_kind)k, &join->ns[k], err);
    if (r < 0) {
        box_nsjoin_clear(join);
        return r;
    }
    put_in_order(join);
    return 0;
}

int box_nsjoin_verify(const struct box_nsjoin *join, uid_t uid, box_error **err)
{
    int r = 0;

    for (unsigned i = 0; i < join->n && r == 0; i++)
        r = box_namespace_verify_owner(join->ns[join->order[i]], uid, err);
    return r;
}

int box_nsjoin_enter(const struct box_nsjoin *join, box_error **err)
{
    int r = 0;

    for (unsigned i = 0; i < join->n && r == 0; i++)
        r = box_namespace_enter(join->ns[join->order[i]], err);
    return r;
}
