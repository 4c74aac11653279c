/* linux.intelRdt: the container's group of resctrl.
 *
 * In order: what is about to be made is noted in the state, so that delete finds it whatever a kill leaves; it is made;
 * the process goes in at birth, with its cgroups, and so does each that is started in the container later. A group that
 * the document names and that is there before belongs to somebody else and stays; one that had to be made goes with the
 * last process that is in it. */
#include "oci/oci.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"
#include "kernel/resctrl.h"

static const char *text_of(const struct oci_container *c, const char *key)
{
    json_object *value = NULL;

    return json_object_object_get_ex(c->spec->intel_rdt, key, &value) && value ? json_object_get_string(value) : "";
}

static bool wants_monitor(const struct oci_container *c)
{
    json_object *value = NULL;

    return json_object_object_get_ex(c->spec->intel_rdt, "enableMonitoring", &value) && value && json_object_get_boolean(value);
}

/* `schemata` comes last: what it says of a resource counts more. A line about bandwidth in the wrong property gives way
 * to that in the right one. */
static int schemata_of(const struct oci_container *c, char **text, box_error **err)
{
    const char *cache = text_of(c, "l3CacheSchema"), *bandwidth = text_of(c, "memBwSchema");
    bool skip = *bandwidth && strncmp(cache, "MB:", 3) == 0;
    json_object *lines = NULL;

    if (skip)
        cache = "";
    *text = box_strf("%s%s%s%s", cache, *cache ? "\n" : "", bandwidth, *bandwidth ? "\n" : "");
    json_object_object_get_ex(c->spec->intel_rdt, "schemata", &lines);
    for (size_t i = 0; *text && lines && i < json_object_array_length(lines); i++) {
        char *longer = box_strf("%s%s\n", *text, json_object_get_string(json_object_array_get_idx(lines, i)));
        free(*text);
        *text = longer;
    }
    return *text ? 0 : box_fail_nomem(err);
}

static struct resctrl_group group_of(const struct oci_container *c, const char *schemata)
{
    return (struct resctrl_group){c->rdt_group, c->rdt_monitor ? c->id : NULL, schemata};
}

int oci_rdt_make_in(struct oci_container *c, const struct resctrl *fs, box_error **err)
{
    const char *named = text_of(c, "closID");
    _free_ char *schemata = NULL;
    int r = schemata_of(c, &schemata, err);
    int there = r < 0 ? r : resctrl_exists(fs, *named ? named : c->id, err);

    if (there < 0)
        return there;
    if (!there && *named && !*schemata)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = "linux.intelRdt.closID",
                                                          .remedy = "make the group first, or give schemata for it"},
                             "there is no resctrl group %s, and nothing says what it is to be", named);
    c->rdt_group = strdup(*named ? named : c->id);
    c->rdt_made = !there;
    c->rdt_monitor = wants_monitor(c);
    if (!c->rdt_group)
        return box_fail_nomem(err);
    if ((r = oci_save_state(c, c->dir, err)) < 0)
        return r;
    const struct resctrl_group group = group_of(c, schemata);
    return resctrl_make(fs, &group, err);
}

int oci_rdt_make(struct oci_container *c, int tasks[2], box_error **err)
{
    _resctrl_ struct resctrl fs = RESCTRL_NONE;
    int r = c->spec->intel_rdt ? resctrl_open(&fs, err) : 0;

    if (r < 0 || !c->spec->intel_rdt)
        return r;
    if ((r = oci_rdt_make_in(c, &fs, err)) < 0)
        return r;
    const struct resctrl_group group = group_of(c, NULL);
    return resctrl_tasks(&fs, &group, tasks, err);
}

int oci_rdt_join(struct oci_container *c, int tasks[2], box_error **err)
{
    _resctrl_ struct resctrl fs = RESCTRL_NONE;
    int r = c->rdt_group ? resctrl_open(&fs, err) : 0;

    if (r < 0 || !c->rdt_group)
        return r;
    const struct resctrl_group group = group_of(c, NULL);
    return resctrl_tasks(&fs, &group, tasks, err);
}

int oci_rdt_remove_in(struct oci_container *c, const struct resctrl *fs, box_error **err)
{
    const struct resctrl_group group = group_of(c, NULL);

    return resctrl_remove(fs, &group, c->rdt_made, strcmp(c->rdt_group, c->id) != 0, err);
}

int oci_rdt_remove(struct oci_container *c, box_error **err)
{
    _resctrl_ struct resctrl fs = RESCTRL_NONE;

    /* Unmounted since: the kernel has taken all groups away. */
    if (!c->rdt_group || resctrl_open(&fs, NULL) < 0)
        return 0;
    return oci_rdt_remove_in(c, &fs, err);
}
