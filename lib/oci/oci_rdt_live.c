/* Intel RDT of a container that runs: its schemata changed, and what resctrl counts.
 *
 * The statistics have the shape of runc's "intel_rdt", since that is what engines read. A file that this processor has not
 * leaves its member out. */
#include "oci/oci.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include "base/strings.h"
#include "kernel/resctrl.h"

static struct resctrl_group group_of(const struct oci_container *c, const char *schemata)
{
    return (struct resctrl_group){c->rdt_group, c->rdt_monitor ? c->id : NULL, schemata};
}

/* ---- update ---------------------------------------------------------------------------------------------------------- */

/* One line for one resource: more would say something of what was not asked about. */
static int check_line(const char *line, const char *field, box_error **err)
{
    if (!line || (strchr(line, ':') && !strchr(line, '\n')))
        return 0;
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = field}, "\"%s\" is not a line of schemata", line);
}

/* Who is in the container now goes in; who is born later is born there. */
static int move_in(struct oci_container *c, const struct resctrl *fs, box_error **err)
{
    const struct resctrl_group group = group_of(c, NULL);
    _free_ pid_t *pids = NULL;
    size_t n = 0;
    int r = oci_cgroup(c, NULL) ? box_cgroup_pids(c->cgroup, &pids, &n, err) : 0;

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = resctrl_add(fs, &group, pids[i], err);
    return r < 0 || n || !c->pid ? r : resctrl_add(fs, &group, c->pid, err);
}

int oci_rdt_update_in(struct oci_container *c, const struct resctrl *fs, const char *cache, const char *bandwidth, box_error **err)
{
    bool fresh = !c->rdt_group;
    int r = check_line(cache, "l3-cache-schema", err);

    if (r < 0 || (r = check_line(bandwidth, "mem-bw-schema", err)) < 0)
        return r;
    if (fresh) {
        int there = resctrl_exists(fs, c->id, err);
        if (there < 0)
            return there;
        c->rdt_made = !there;
        c->rdt_group = strdup(c->id);
        r = c->rdt_group ? oci_save_state(c, c->dir, err) : box_fail_nomem(err);
    }
    _free_ char *schemata = box_strf("%s%s%s%s", cache ? cache : "", cache ? "\n" : "", bandwidth ? bandwidth : "", bandwidth ? "\n" : "");
    if (r >= 0 && !schemata)
        r = box_fail_nomem(err);
    const struct resctrl_group group = group_of(c, schemata);
    if (r >= 0)
        r = resctrl_make(fs, &group, err);
    return r < 0 || !fresh ? r : move_in(c, fs, err);
}

int box_oci_update_rdt(box_oci *oci, const char *id, const char *l3_cache, const char *memory_bandwidth, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    _resctrl_ struct resctrl fs = RESCTRL_NONE;
    enum oci_status status;
    int r = oci_open(oci, id, &c, err);

    if (r < 0)
        return r;
    _close_ int lock = oci_lock(&c, 10000, err);
    if (lock < 0)
        return lock;
    if ((r = oci_require_alive(&c, &status, err)) < 0 || (!l3_cache && !memory_bandwidth) || (r = resctrl_open(&fs, err)) < 0)
        return r;
    return oci_rdt_update_in(&c, &fs, l3_cache, memory_bandwidth, err);
}

/* ---- statistics ------------------------------------------------------------------------------------------------------ */

static char *read_in(const struct resctrl *fs, const char *directory, const char *name)
{
    _free_ char *path = box_strf("%s%s%s", directory, *directory ? "/" : "", name);

    return path ? resctrl_read(fs, path) : NULL;
}

static int put_text(json_object *o, const char *key, const char *text, box_error **err)
{
    return text && *text ? box_json_put_string(o, key, text, err) : 0;
}

static int put_number(json_object *o, const char *key, const char *text, box_error **err)
{
    uint64_t n = text ? strtoull(text, NULL, 10) : 0;

    return n ? box_json_put_u64(o, key, n, err) : 0; /* runc leaves out what is nought */
}

/* The line of one resource in schemata, without the blanks that the kernel begins lines with. */
static char *line_of(const char *schemata, const char *resource)
{
    size_t n = strlen(resource);

    for (const char *at = schemata; at && *at; at = strchr(at, '\n'), at += at != NULL) {
        at += strspn(at, " ");
        if (strncmp(at, resource, n) == 0 && at[n] == ':')
            return strndup(at, strcspn(at, "\n"));
    }
    return NULL;
}

static const struct resource {
    const char *name, *info, *info_key, *root_key, *own_key, *text, *numbers[5];
} resources[] = {
    {"L3", "info/L3", "l3_cache_info", "l3_cache_schema_root", "l3_cache_schema", "cbm_mask", {"min_cbm_bits", "num_closids"}},
    {"MB", "info/MB", "mem_bw_info", "mem_bw_schema_root", "mem_bw_schema", NULL,
     {"bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"}},
};

static int put_resource(json_object *o, const struct resctrl *fs, const struct resource *res, const char *root, const char *own,
                        box_error **err)
{
    _free_ char *of_root = line_of(root, res->name), *of_group = line_of(own, res->name);

    if (!of_root)
        return 0;
    json_object *info = json_object_new_object();
    int r = info ? box_json_put(o, res->info_key, info, err) : box_fail_nomem(err);
    if (r >= 0 && res->text) {
        _free_ char *text = read_in(fs, res->info, res->text);
        r = put_text(info, res->text, text, err);
    }
    for (const char *const *name = res->numbers; r >= 0 && *name; name++) {
        _free_ char *text = read_in(fs, res->info, *name);
        r = put_number(info, *name, text, err);
    }
    if (r >= 0)
        r = put_text(o, res->root_key, of_root, err);
    return r < 0 ? r : put_text(o, res->own_key, of_group, err);
}

static int only_caches(const struct dirent *e)
{
    return strncmp(e->d_name, "mon_L3_", 7) == 0;
}

/* One object for each cache domain, as "mon_L3_00" and so on lie beside each other. */
static int put_counters(json_object *o, const struct resctrl *fs, const char *group, const char *key, const char *const *names,
                        box_error **err)
{
    _free_ char *data = box_strf("%s%smon_data", group, *group ? "/" : "");
    _close_ int dir = data ? openat(fs->root, data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    struct dirent **list = NULL;
    json_object *array = NULL;
    int n = dir < 0 ? 0 : scandirat(dir, ".", &list, only_caches, alphasort), r = 0;

    for (int i = 0; i < n; i++) {
        _free_ char *where = box_strf("%s/%s", data, list[i]->d_name);
        json_object *one = json_object_new_object();
        bool any = false;
        if (!where || !one)
            r = box_fail_nomem(err);
        for (const char *const *name = names; r >= 0 && *name; name++) {
            _free_ char *text = read_in(fs, where, *name);
            any |= text != NULL;
            r = put_number(one, *name, text, err);
        }
        if (r >= 0 && any && !array && (r = (array = json_object_new_array()) ? 0 : box_fail_nomem(err)) >= 0)
            r = box_json_put(o, key, array, err);
        if (r < 0 || !any || json_object_array_add(array, one) < 0)
            json_object_put(one);
        free(list[i]);
    }
    free(list);
    return r;
}

int oci_rdt_stats_in(const struct oci_container *c, const struct resctrl *fs, char **json, box_error **err)
{
    static const char *const bandwidth[] = {"mbm_total_bytes", "mbm_local_bytes", NULL}, *const occupancy[] = {"llc_occupancy", NULL};
    const char *group = strcmp(c->rdt_group, "/") == 0 ? "" : c->rdt_group;
    _free_ char *counted = c->rdt_monitor ? box_strf("%s%smon_groups/%s", group, *group ? "/" : "", c->id) : strdup(group);
    _free_ char *root = resctrl_read(fs, "schemata"), *own = read_in(fs, group, "schemata");
    _cleanup_(json_object) json_object *o = json_object_new_object();
    int r = o && counted ? 0 : box_fail_nomem(err);

    for (size_t i = 0; r >= 0 && i < BOX_ARRAY(resources); i++)
        r = put_resource(o, fs, &resources[i], root, own, err);
    if (r < 0 || (r = put_counters(o, fs, counted, "mbm_stats", bandwidth, err)) < 0 ||
        (r = put_counters(o, fs, counted, "cmt_stats", occupancy, err)) < 0)
        return r;
    *json = strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    return *json ? 0 : box_fail_nomem(err);
}

int box_oci_rdt_stats(box_oci *oci, const char *id, char **json, box_error **err)
{
    _oci_container_ struct oci_container c = OCI_CONTAINER_INIT;
    _resctrl_ struct resctrl fs = RESCTRL_NONE;

    if (!json)
        return box_fail(err, BOX_EINVAL, "box_oci_rdt_stats: json must not be NULL");
    int r = oci_open(oci, id, &c, err);
    if (r < 0)
        return r;
    if (!c.rdt_group || resctrl_open(&fs, NULL) < 0)
        return (*json = strdup("{}")) ? 0 : box_fail_nomem(err);
    return oci_rdt_stats_in(&c, &fs, json, err);
}
