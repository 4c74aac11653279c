/* A transient unit, from its name to its end.
 *
 * Starting: a process that stands in for the caller's is made, the unit is asked for with that process in it, and the end
 * of systemd's job is waited for; then systemd says where the unit's cgroup is, and that is opened, with the hierarchies
 * that systemd leaves to others, and what systemd does not know is written to it. From then on the caller's processes are
 * born in the cgroup as in any other, and the one that stood in goes.
 *
 * Which unit is ours to stop is told by its description: a process that was killed between noting that it would make the
 * unit and making it must not lead to the end of somebody else's. */
#include "kernel/systemd.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/rawsys.h"
#include "base/strings.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"
#include "kernel/spawn.h"

#define UNIT_NAME_MOST 255
#define SINCE_COLLECT  236

struct box_systemd_unit {
    char *name, *slice, *description, *bus;
    bool user, is_slice;
    bool started; /* by this handle */
    struct systemd_properties further;
    struct box_vchild stand_in;
    long parent; /* its own, as it is to find it */
};

/* ---- names ----------------------------------------------------------------------------------------------------------- */

static int fail_place(const char *place, const char *why, box_error **err)
{
    return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESPEC, .subject = "linux.cgroupsPath",
                                                      .remedy = "\"SLICE.slice:PREFIX:NAME\", such as \"system.slice:docker:ID\""},
                         "\"%.300s\" is not a place among systemd's units: %s", place, why);
}

/* systemd.unit(5): letters, digits, and these. "+", which ids may have, is escaped as systemd-escape(1) does. */
static char *unit_name(const char *prefix, const char *name, const char *suffix)
{
    char *whole = box_strf("%s%s%s%s", prefix, *prefix ? "-" : "", name, suffix);
    char *out = whole ? calloc(1, 4 * strlen(whole) + 1) : NULL, *at = out;

    for (const char *s = whole; at && *s; s++)
        at = *s == '+' ? stpcpy(at, "\\x2b") : mempcpy(at, s, 1);
    free(whole);
    return out;
}

static bool is_unit_name(const char *name)
{
    size_t n = strlen(name);

    for (const char *s = name; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr(":-_.\\@", *s))
            return false;
    return n <= UNIT_NAME_MOST && name[0] != '.';
}

/* "a-b.slice" is below "a.slice": no dash without a name on both its sides, but for the root, "-.slice". */
static bool is_slice_name(const char *name)
{
    size_t n = strlen(name) - strlen(".slice");

    if (!is_unit_name(name) || strchr(name, '@') || !box_ends_with(name, ".slice") || n == 0)
        return false;
    return (n == 1 && *name == '-') || (*name != '-' && name[n - 1] != '-' && !strstr(name, "--"));
}

static int set_place(struct box_systemd_unit *u, const char *place, box_error **err)
{
    _strv_ char **fields = box_strv_split(place, ':');
    int r = 0;

    if (!fields)
        return box_fail_nomem(err);
    if (box_strv_length(fields) != 3) {
        r = fail_place(place, "it has not three fields", err);
    } else {
        u->is_slice = box_ends_with(fields[2], ".slice");
        u->slice = strdup(*fields[0] ? fields[0] : u->user ? "user.slice" : "system.slice");
        u->name = u->is_slice ? strdup(fields[2]) : unit_name(fields[1], fields[2], ".scope");
        if (!u->slice || !u->name)
            r = box_fail_nomem(err);
        else if (!*fields[2] || !is_unit_name(u->name) || (u->is_slice && !is_slice_name(u->name)))
            r = fail_place(place, "the last field is no name of a unit", err);
        else if (!is_slice_name(u->slice))
            r = fail_place(place, "the first field is no name of a slice", err);
    }
    return r;
}

box_systemd_unit *box_systemd_unit_new(const char *place, const char *id, unsigned flags, box_error **err)
{
    bool valid = (place || id) && !(flags & ~(unsigned)BOX_SYSTEMD_USER);
    struct box_systemd_unit *u = valid ? calloc(1, sizeof(*u)) : NULL;
    int r = 0;

    if (!valid)
        box_fail(err, BOX_EINVAL, "box_systemd_unit_new: a place or an id is needed, and no unknown flags");
    else if (!u)
        box_fail_nomem(err);
    if (!u)
        return NULL;
    u->stand_in = BOX_VCHILD_INIT;
    u->user = flags & BOX_SYSTEMD_USER;
    _free_ char *own = place ? NULL : box_strf(":box:%s", id);
    r = place || own ? set_place(u, place ? place : own, err) : box_fail_nomem(err);
    if (r >= 0 && !(u->description = box_strf("libbox container %s", id ? id : u->name)))
        r = box_fail_nomem(err);
    if (r >= 0)
        return u;
    box_systemd_unit_free(u);
    return NULL;
}

void box_systemd_unit_free(box_systemd_unit *u)
{
    if (!u)
        return;
    box_vchild_end(&u->stand_in, true);
    systemd_properties_clear(&u->further);
    free(u->name);
    free(u->slice);
    free(u->description);
    free(u->bus);
    free(u);
}

const char *box_systemd_unit_name(const box_systemd_unit *u)
{
    return u ? u->name : NULL;
}

const char *box_systemd_unit_slice(const box_systemd_unit *u)
{
    return u ? u->slice : NULL;
}

int box_systemd_unit_set_property(box_systemd_unit *u, const char *name, const char *value, box_error **err)
{
    if (!u || !name || !value)
        return box_fail(err, BOX_EINVAL, "box_systemd_unit_set_property: arguments must not be NULL");
    return systemd_parse_property(&u->further, name, value, err);
}

int box_systemd_unit_set_bus(box_systemd_unit *u, const char *address, box_error **err)
{
    char *copy = address ? strdup(address) : NULL;

    if (!u || (address && !copy)) {
        free(copy);
        return u ? box_fail_nomem(err) : box_fail(err, BOX_EINVAL, "box_systemd_unit_set_bus: no unit given");
    }
    free(u->bus);
    u->bus = copy;
    return 0;
}

/* ---- what stands in ------------------------------------------------------------------------------------------------------ */

/* Nothing but a place in the process table, until it is killed. A caller that is killed takes it along: the second look
 * is for one that was before the first took effect. */
BOX_VCHILD static int stand_in(void *arg)
{
    long parent = ((const struct box_systemd_unit *)arg)->parent;

    box_sys(prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (box_sys(getppid) != parent)
        return 0;
    box_sys(close_range, 0, ~0u, 0);
    for (;;)
        box_sys(ppoll, NULL, 0, NULL, NULL, 8);
}

static int start_stand_in(struct box_systemd_unit *u, box_error **err)
{
    u->parent = getpid();
    int r = box_vchild_start(&u->stand_in, 0, stand_in, u);

    return r < 0 ? box_fail_with(err, &(struct box_fail_info){.errnum = -r, .call = "clone3", .subject = u->name},
                                 "make the process that a scope begins with")
                 : 0;
}

/* ---- starting -------------------------------------------------------------------------------------------------------------- */

static int ask_version(struct systemd_bus *b, unsigned *version, box_error **err)
{
    _free_ char *text = NULL;
    int r = systemd_get_text(b, NULL, "Manager", "Version", &text, NULL, err);

    *version = r < 0 ? 0 : (unsigned)strtoul(text + strcspn(text, "0123456789"), NULL, 10);
    return r;
}

static int put_own(const struct box_systemd_unit *u, struct systemd_properties *p, const struct systemd_host *host, box_error **err)
{
    struct systemd_property *at = NULL;
    int r;

    if ((r = systemd_put_text(p, "Description", u->description, err)) < 0 ||
        (r = systemd_put_bool(p, "DefaultDependencies", false, err)) < 0 ||
        (r = systemd_put_bool(p, "CPUAccounting", true, err)) < 0 || (r = systemd_put_bool(p, "MemoryAccounting", true, err)) < 0 ||
        (r = systemd_put_bool(p, "TasksAccounting", true, err)) < 0 ||
        (r = systemd_put_bool(p, host->unified ? "IOAccounting" : "BlockIOAccounting", true, err)) < 0)
        return r;
    /* One that failed is not remembered: the name is the next container's. */
    if (host->version >= SINCE_COLLECT && (r = systemd_put_text(p, "CollectMode", "inactive-or-failed", err)) < 0)
        return r;
    if (u->is_slice) {
        at = systemd_put_array(p, "Wants", "s", err);
        return at ? systemd_add_text(at, u->slice, err) : BOX_ENOMEM;
    }
    if ((r = systemd_put_text(p, "Slice", u->slice, err)) < 0 || (r = systemd_put_bool(p, "Delegate", true, err)) < 0)
        return r;
    at = systemd_put_array(p, "PIDs", "u", err);
    return at ? systemd_add_number(at, (uint32_t)u->stand_in.pid, err) : BOX_ENOMEM;
}

static int start(struct box_systemd_unit *u, struct systemd_bus *b, const struct systemd_properties *p, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;
    enum systemd_answer answer;
    int r = systemd_start_unit(b, u->name, p, &answer, &own);

    /* What is left of one that failed is in the way, and nobody's. */
    if (r < 0 && answer == SYSTEMD_UNIT_EXISTS && systemd_reset_unit(b, u->name, NULL, NULL) >= 0) {
        box_error_free(box_take(own));
        r = systemd_start_unit(b, u->name, p, &answer, &own);
    }
    /* A slice is there for many. */
    if (r < 0 && answer == SYSTEMD_UNIT_EXISTS && u->is_slice)
        return 0;
    u->started = r >= 0 || answer == SYSTEMD_OK;
    if (r < 0 && err)
        *err = box_take(own);
    return r;
}

/* While something stands in, it counts as one process. */
static int limits_at_first(const struct box_systemd_unit *u, const box_limits *limits, box_limits **out, box_error **err)
{
    int64_t most;

    *out = box_limits_copy(limits, err);
    if (!*out)
        return BOX_ENOMEM;
    if (u->is_slice || !box_limits_wants(*out, BOX_LIMIT_PIDS_MAX, &most) || most < 0)
        return 0;
    return box_limits_set(*out, BOX_LIMIT_PIDS_MAX, most ? most + 1 : 2, err);
}

static int open_cgroup(struct box_systemd_unit *u, struct systemd_bus *b, const box_cgroup_host *host, const box_limits *limits,
                       box_cgroup **cgroup, box_error **err)
{
    _cleanup_(box_limits) box_limits *first = NULL;
    _cleanup_(box_error) box_error *own = NULL;
    _free_ char *path = NULL;
    int r = systemd_get_text(b, u->name, u->is_slice ? "Slice" : "Scope", "ControlGroup", &path, NULL, err);

    if (r < 0 || (r = limits_at_first(u, limits, &first, err)) < 0)
        return r;
    if (path[0] != '/' || !path[1])
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ESYSTEM, .call = "ControlGroup", .subject = u->name},
                             "systemd has made no cgroup for the unit");
    *cgroup = box_cgroup_create(host, path, 0, first, BOX_CGROUP_ADOPT | BOX_CGROUP_EVERY_HIERARCHY, &own);
    if (*cgroup)
        return 0;
    r = box_error_code(own);
    if (err)
        *err = box_take(own);
    return r;
}

static int start_all(struct box_systemd_unit *u, const box_limits *limits, box_cgroup **cgroup, box_error **err)
{
    _systemd_bus_ struct systemd_bus bus = SYSTEMD_BUS_NONE;
    _systemd_properties_ struct systemd_properties p = {NULL};
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(err);
    _free_ char *devices = NULL;
    int r;

    if (!host)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    if (limits && (r = box_limits_check(limits, err)) < 0)
        return r;
    cgroup_read(AT_FDCWD, "/proc/devices", &devices);
    struct systemd_host about = {.unified = box_cgroup_host_mode(host) == BOX_CGROUP_MODE_V2, .devices = !u->user, .names = devices};
    if ((r = systemd_bus_open(&bus, u->bus, u->user, err)) < 0 || (r = ask_version(&bus, &about.version, err)) < 0 ||
        (!u->is_slice && (r = start_stand_in(u, err)) < 0) || (r = put_own(u, &p, &about, err)) < 0 ||
        (r = systemd_put_limits(&p, limits, &about, err)) < 0 || (r = systemd_put_all(&p, &u->further, err)) < 0 ||
        (r = start(u, &bus, &p, err)) < 0)
        return r;
    return open_cgroup(u, &bus, host, limits, cgroup, err);
}

box_cgroup *box_systemd_unit_start(box_systemd_unit *u, const box_limits *limits, box_error **err)
{
    _cleanup_(box_error) box_error *own = NULL;
    box_cgroup *cgroup = NULL;

    if (!u || u->started) {
        box_fail(err, BOX_EINVAL, "box_systemd_unit_start: no unit given, or one that was started");
        return NULL;
    }
    if (start_all(u, limits, &cgroup, &own) >= 0)
        return cgroup;
    box_vchild_end(&u->stand_in, true);
    if (u->started)
        box_systemd_unit_stop(u, NULL);
    u->started = false;
    if (err)
        *err = box_take(own);
    return NULL;
}

int box_systemd_unit_settle(box_systemd_unit *u, box_cgroup *cgroup, const box_limits *limits, box_error **err)
{
    int64_t most;

    if (!u || !cgroup)
        return box_fail(err, BOX_EINVAL, "box_systemd_unit_settle: a unit and its cgroup are needed");
    bool stood_in = u->stand_in.pid >= 0;
    box_vchild_end(&u->stand_in, true);
    if (!stood_in || !limits || !box_limits_wants(limits, BOX_LIMIT_PIDS_MAX, &most) || most < 0)
        return 0;
    _cleanup_(box_limits) box_limits *pids = box_limits_new(err);
    int r = pids ? box_limits_set(pids, BOX_LIMIT_PIDS_MAX, most, err) : BOX_ENOMEM;
    return r < 0 ? r : box_cgroup_apply(cgroup, pids, 0, err);
}

/* ---- changing ---------------------------------------------------------------------------------------------------------------- */

/* What was left unsaid because it stays is said, where systemd cannot know one without the other. After the files have
 * been written. */
static int complete(box_limits *limits, box_cgroup *cgroup, box_error **err)
{
    const struct cgroup_dir *cpu = cgroup_dir_for(cgroup, BOX_CONTROLLER_CPU), *memory = cgroup_dir_for(cgroup, BOX_CONTROLLER_MEMORY);
    _free_ char *text = NULL;
    uint64_t number;
    int64_t value;
    int r = 0;

    if (memory && memory->v2 && box_limits_wants(limits, BOX_LIMIT_MEMORY_AND_SWAP, NULL) && !box_limits_raw(limits, "memory.swap.max") &&
        cgroup_read_u64(memory->fd, "memory.swap.max", &number) == 0)
        r = box_limits_set(limits, BOX_LIMIT_SWAP_MAX, number > INT64_MAX ? -1 : (int64_t)number, err);
    bool quota = box_limits_wants(limits, BOX_LIMIT_CPU_QUOTA, &value), period = box_limits_wants(limits, BOX_LIMIT_CPU_PERIOD, &value);
    if (r < 0 || !cpu || !cpu->v2 || quota == period || cgroup_read(cpu->fd, "cpu.max", &text) < 0)
        return r;
    char *cursor = text;
    const char *first = cgroup_next_word(&cursor), *second = cgroup_next_word(&cursor);
    if (!first || !second)
        return 0;
    if (!quota)
        return box_limits_set(limits, BOX_LIMIT_CPU_QUOTA, cgroup_parse_u64(first, &number) && number < INT64_MAX ? (int64_t)number : -1, err);
    return cgroup_parse_u64(second, &number) ? box_limits_set(limits, BOX_LIMIT_CPU_PERIOD, (int64_t)number, err) : 0;
}

static int update(box_systemd_unit *u, box_cgroup *cgroup, const box_limits *all, box_error **err)
{
    _systemd_bus_ struct systemd_bus bus = SYSTEMD_BUS_NONE;
    _systemd_properties_ struct systemd_properties p = {NULL};
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(err);
    _free_ char *devices = NULL, *path = NULL;
    int r;

    if (!host)
        return err && *err ? box_error_code(*err) : BOX_ESYSTEM;
    cgroup_read(AT_FDCWD, "/proc/devices", &devices);
    struct systemd_host about = {.unified = box_cgroup_host_mode(host) == BOX_CGROUP_MODE_V2, .devices = !u->user, .names = devices};
    if ((r = systemd_bus_open(&bus, u->bus, u->user, err)) < 0 || (r = ask_version(&bus, &about.version, err)) < 0 ||
        (r = systemd_put_limits(&p, all, &about, err)) < 0)
        return r;
    if (p.n == 0)
        return 0;
    if ((r = systemd_set_unit(&bus, u->name, &p, err)) < 0)
        return r;
    /* systemd answers before it writes, and writes before it reads the next call. */
    r = systemd_get_text(&bus, u->name, u->is_slice ? "Slice" : "Scope", "ControlGroup", &path, NULL, err);
    return r < 0 ? r : box_cgroup_apply(cgroup, all, 0, err);
}

int box_systemd_unit_update(box_systemd_unit *u, box_cgroup *cgroup, const box_limits *limits, box_error **err)
{
    _cleanup_(box_limits) box_limits *all = NULL;

    if (!u || !cgroup || !limits)
        return box_fail(err, BOX_EINVAL, "box_systemd_unit_update: a unit, its cgroup and limits are needed");
    /* The files first: they are what checks. */
    int r = box_cgroup_apply(cgroup, limits, 0, err);
    if (r < 0)
        return r;
    all = box_limits_copy(limits, err);
    r = all ? complete(all, cgroup, err) : BOX_ENOMEM;
    return r < 0 ? r : update(u, cgroup, all, err);
}

/* ---- the end ------------------------------------------------------------------------------------------------------------------- */

/* 1: it is there and ours. */
static int is_ours(const struct box_systemd_unit *u, struct systemd_bus *b, box_error **err)
{
    const struct systemd_property *said = systemd_find(&u->further, "Description");
    const char *expected = said && said->n && said->items[0].text ? said->items[0].text : u->description;
    enum systemd_answer answer = SYSTEMD_OTHER;
    _cleanup_(box_error) box_error *own = NULL;
    _free_ char *text = NULL;
    int r = systemd_get_text(b, u->name, "Unit", "Description", &text, &answer, &own);

    if (r >= 0)
        return strcmp(text, expected) == 0;
    if (answer == SYSTEMD_NO_UNIT)
        return 0;
    if (err)
        *err = box_take(own);
    return r;
}

int box_systemd_unit_stop(box_systemd_unit *u, box_error **err)
{
    _systemd_bus_ struct systemd_bus bus = SYSTEMD_BUS_NONE;
    _cleanup_(box_error) box_error *own = NULL;
    enum systemd_answer answer = SYSTEMD_OTHER;

    if (!u)
        return box_fail(err, BOX_EINVAL, "box_systemd_unit_stop: no unit given");
    box_vchild_end(&u->stand_in, true);
    int r = systemd_bus_open(&bus, u->bus, u->user, err);
    if (r < 0 || (r = is_ours(u, &bus, err)) <= 0)
        return r;
    r = systemd_stop_unit(&bus, u->name, &answer, &own);
    systemd_reset_unit(&bus, u->name, NULL, NULL);
    if (r >= 0 || answer == SYSTEMD_NO_UNIT)
        return 0;
    if (err)
        *err = box_take(own);
    return r;
}
