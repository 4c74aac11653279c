/* What is done to a container that runs: pausing, limits, looking at its processes. */
#include "oci/oci.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/pidfd.h>

#define FREEZE_WAIT_MS 5000

static int open_alive(box_oci *oci, const char *id, struct oci_container *c, enum oci_status *status, box_error **err)
{
    int r = oci_open(oci, id, c, err);

    return r < 0 ? r : oci_require_alive(c, status, err);
}

static int require_cgroup(struct oci_container *c, box_error **err)
{
    if (!c->cgroup_location)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = c->id,
                                                          .remedy = "run as root, or have a cgroup delegated to this user"},
                             "container %s has no cgroup of its own", c->id);
    return oci_cgroup(c, err) ? 0 : err && *err ? box_error_code(*err) : BOX_ESYSTEM;
}

int box_oci_pause(box_oci *oci, const char *id, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    enum oci_status status;
    int r = open_alive(oci, id, &c, &status, err);

    if (r >= 0 && status == OCI_PAUSED)
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = id}, "container %s is paused already", id);
    if (r >= 0)
        r = require_cgroup(&c, err);
    return r < 0 ? r : box_cgroup_freeze(c.cgroup, FREEZE_WAIT_MS, err);
}

int box_oci_resume(box_oci *oci, const char *id, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    enum oci_status status;
    int r = open_alive(oci, id, &c, &status, err);

    if (r >= 0 && status != OCI_PAUSED)
        r = box_fail_with(err, &(struct box_fail_info){.code = BOX_ESTATE, .subject = id}, "container %s is not paused", id);
    if (r >= 0)
        r = require_cgroup(&c, err);
    return r < 0 ? r : box_cgroup_thaw(c.cgroup, FREEZE_WAIT_MS, err);
}

int box_oci_update(box_oci *oci, const char *id, const box_limits *limits, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    enum oci_status status;

    if (!limits)
        return box_fail(err, BOX_EINVAL, "box_oci_update: limits must not be NULL");
    int r = open_alive(oci, id, &c, &status, err);
    if (r >= 0)
        r = require_cgroup(&c, err);
    if (r >= 0)
        r = oci_systemd_update(&c, limits, err);
    return r ? (r < 0 ? r : 0) : box_cgroup_apply(c.cgroup, limits, 0, err);
}

int box_oci_pids(box_oci *oci, const char *id, pid_t **pids, size_t *n, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    if (!pids || !n)
        return box_fail(err, BOX_EINVAL, "box_oci_pids: pids and n must not be NULL");
    int r = oci_open(oci, id, &c, err);
    if (r < 0)
        return r;
    if (oci_cgroup(&c, NULL)) /* of one that has stopped too: without a pid namespace others may live on */
        return box_cgroup_pids(c.cgroup, pids, n, err);
    *pids = malloc(sizeof(pid_t));
    if (!*pids)
        return box_fail_nomem(err);
    enum oci_status status = oci_status(&c);
    (*pids)[0] = c.pid;
    *n = status != OCI_STOPPED && status != OCI_CREATING;
    return 0;
}

int box_oci_cgroup(box_oci *oci, const char *id, box_cgroup **cgroup, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    if (!cgroup)
        return box_fail(err, BOX_EINVAL, "box_oci_cgroup: cgroup must not be NULL");
    int r = oci_open(oci, id, &c, err);
    if (r >= 0)
        r = require_cgroup(&c, err);
    if (r >= 0)
        *cgroup = box_take(c.cgroup);
    return r;
}

int box_oci_pidfd(box_oci *oci, const char *id, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    enum oci_status status;
    int r = open_alive(oci, id, &c, &status, err);

    return r < 0 ? r : box_take_fd(&c.pidfd);
}

int box_oci_spec(box_oci *oci, const char *id, box_spec **spec, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;

    if (!spec)
        return box_fail(err, BOX_EINVAL, "box_oci_spec: spec must not be NULL");
    int r = oci_open(oci, id, &c, err);
    if (r >= 0)
        r = oci_load_spec(&c, err);
    if (r >= 0)
        *spec = box_take(c.spec);
    return r;
}
