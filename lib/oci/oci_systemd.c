/* The container's cgroup as a unit of systemd's.
 *
 * In order: which manager is to make the unit is noted in the state, so that delete finds the unit whatever a kill leaves;
 * the unit is started with a process that stands in; where its cgroup is, is noted; the container's process is born there,
 * as in any cgroup, and the stand-in goes. What the unit is called follows from the document, which is kept. */
#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "kernel/cgroup.h"

#define ANNOTATION "org.systemd.property."

static int unit_of(struct oci_container *c, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;
    int r = c->unit ? 0 : oci_load_spec(c, err);

    if (r < 0 || c->unit)
        return r;
    _cleanup_(box_systemd_unit) box_systemd_unit *unit =
        box_systemd_unit_new(c->spec->cgroups_path, c->id, strcmp(c->systemd, "user") == 0 ? BOX_SYSTEMD_USER : 0, &own);
    if (!unit) {
        r = box_error_code(own);
        if (err)
            *err = box_take(own);
        return r;
    }
    for (size_t i = 0; r >= 0 && i < c->spec->n_annotations; i++) {
        const struct spec_pair *pair = &c->spec->annotations[i];
        const char *name = box_after_prefix(pair->key, ANNOTATION);
        if (name && (r = box_systemd_unit_set_property(unit, name, pair->value, err)) < 0)
            box_fail_wrap(err, r, "annotation %s", pair->key);
    }
    if (r >= 0)
        c->unit = box_take(unit);
    return r;
}

/* Where nothing came of it, no later delete is to look for it. */
static int start(struct oci_container *c, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;

    c->cgroup = box_systemd_unit_start(c->unit, c->spec->limits, &own);
    if (c->cgroup)
        return 0;
    free(box_take(c->systemd));
    int r = box_error_code(own);
    if (err)
        *err = box_take(own);
    return r;
}

int oci_systemd_make(struct oci_container *c, box_error **err)
{
    bool user = geteuid() != 0 || cgroup_in_user_namespace();
    int r;

    c->systemd = strdup(user ? "user" : "system");
    if (!c->systemd)
        return box_fail_nomem(err);
    if ((r = unit_of(c, err)) < 0)
        free(box_take(c->systemd));
    if (r < 0 || (r = oci_save_state(c, c->dir, err)) < 0 || (r = start(c, err)) < 0)
        return r;
    c->cgroup_location = strdup(box_cgroup_location(c->cgroup));
    return c->cgroup_location ? oci_save_state(c, c->dir, err) : box_fail_nomem(err);
}

int oci_systemd_settle(struct oci_container *c, box_error **err)
{
    return c->unit && c->cgroup ? box_systemd_unit_settle(c->unit, c->cgroup, c->spec->limits, err) : 0;
}

int oci_systemd_update(struct oci_container *c, const box_limits *limits, box_error **err)
{
    int r = c->systemd ? unit_of(c, err) : 0;

    if (r < 0 || !c->systemd)
        return r;
    r = box_systemd_unit_update(c->unit, c->cgroup, limits, err);
    return r < 0 ? r : 1;
}

int oci_systemd_stop(struct oci_container *c, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;
    int r = c->systemd ? unit_of(c, &own) : 0;

    if (r >= 0 && c->systemd)
        r = box_systemd_unit_stop(c->unit, &own);
    /* Without systemd there are no units any more; the cgroup is removed as any other. */
    if (r >= 0 || r == BOX_EUNSUPPORTED || r == BOX_ELIBRARY)
        return 0;
    if (err)
        *err = box_take(own);
    return r;
}
