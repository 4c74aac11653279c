/* Units of systemd's: names, GVariant text, limits as properties, and what is said over the bus, to a made-up manager. */
#include <criterion/criterion.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/strings.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"
#include "kernel/systemd.h"
#include "systemd_fake.h"

/* ---- names ------------------------------------------------------------------------------------------------------------ */

static void assert_place(const char *place, unsigned flags, const char *name, const char *slice)
{
    box_error *err = NULL;
    box_systemd_unit *u = box_systemd_unit_new(place, "id", flags, &err);

    cr_assert_not_null(u, "%s: %s", place ? place : "NULL", box_error_message(err));
    cr_assert_str_eq(box_systemd_unit_name(u), name);
    cr_assert_str_eq(box_systemd_unit_slice(u), slice);
    box_systemd_unit_free(u);
}

Test(systemd, a_place_is_a_scope_in_a_slice)
{
    assert_place("machine.slice:libpod:0af", 0, "libpod-0af.scope", "machine.slice");
    assert_place("system.slice::alone", 0, "alone.scope", "system.slice");
    assert_place(":docker:x", 0, "docker-x.scope", "system.slice");
    assert_place(":docker:x", BOX_SYSTEMD_USER, "docker-x.scope", "user.slice");
    assert_place("-.slice:a:b_c.d@e", 0, "a-b_c.d@e.scope", "-.slice");
    assert_place("kubepods-besteffort-pod1_2.slice:cri-containerd:9", 0, "cri-containerd-9.scope", "kubepods-besteffort-pod1_2.slice");
    assert_place("machine.slice:any:boxes-web.slice", 0, "boxes-web.slice", "machine.slice");
    assert_place(NULL, 0, "box-id.scope", "system.slice");
    assert_place("system.slice:a:b+c", 0, "a-b\\x2bc.scope", "system.slice");
}

Test(systemd, what_is_no_place_is_refused_by_the_fields_name)
{
    static const char *const bad[] = {"", "x", "/a/b", "a.slice:b", "a.slice:b:c:d", "a:b:c", ".slice:b:c", "a/b.slice:b:c",
                                      "a--b.slice:b:c", "-a.slice:b:c", "a-.slice:b:c", "a.slice:b:", "a.slice:b:c/d",
                                      "a.slice:b:c d", "a.slice:b:c\nd", "a.slice::.x", "a.slice:b:x--y.slice"};
    char longer[400];

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        box_error *err = NULL;
        cr_assert_null(box_systemd_unit_new(bad[i], "id", 0, &err), "%s", bad[i]);
        cr_assert_eq(box_error_code(err), BOX_ESPEC, "%s", bad[i]);
        cr_assert_str_eq(box_error_subject(err), "linux.cgroupsPath");
        box_error_free(err);
    }
    snprintf(longer, sizeof(longer), "a.slice:b:%0300d", 1);
    cr_assert_null(box_systemd_unit_new(longer, "id", 0, NULL));
    cr_assert_null(box_systemd_unit_new(NULL, NULL, 0, NULL));
}

/* ---- properties ---------------------------------------------------------------------------------------------------------- */

/* "NAME TYPE item item…" */
static const char *tell(const struct systemd_properties *p, const char *name)
{
    static char text[1024];
    const struct systemd_property *at = systemd_find(p, name);
    size_t used = 0;
    char type[8];

    if (!at)
        return "none";
    systemd_type_of(at, type);
    used = (size_t)snprintf(text, sizeof(text), "%s", type);
    for (size_t i = 0; i < at->n && used < sizeof(text); i++)
        used += (size_t)(at->items[i].text ? snprintf(text + used, sizeof(text) - used, " %s", at->items[i].text)
                                           : snprintf(text + used, sizeof(text) - used, " %lld", (long long)at->items[i].number));
    return text;
}

static void assert_reads(const char *value, const char *wanted)
{
    _systemd_properties_ struct systemd_properties p = {NULL};
    box_error *err = NULL;

    cr_assert_eq(systemd_parse_property(&p, "Name", value, &err), 0, "%s: %s", value, box_error_message(err));
    cr_assert_str_eq(tell(&p, "Name"), wanted, "%s: %s", value, tell(&p, "Name"));
}

Test(systemd, gvariant_text_becomes_a_typed_value)
{
    assert_reads("true", "b 1");
    assert_reads(" false ", "b 0");
    assert_reads("5", "i 5");
    assert_reads("-5", "i -5");
    assert_reads("0x10", "i 16");
    assert_reads("uint64 18446744073709551615", "t -1");
    assert_reads("@t 7", "t 7");
    assert_reads("byte 255", "y 255");
    assert_reads("int16 -32768", "n -32768");
    assert_reads("'it\\'s'", "s it's");
    assert_reads("\"a\\\\b\\nc\"", "s a\\b\nc");
    assert_reads("objectpath '/a'", "o /a");
    assert_reads("['a', 'b']", "as a b");
    assert_reads("@as []", "as");
    assert_reads("@au [1,2]", "au 1 2");
    assert_reads("[uint64 1, 2]", "at 1 2");
    assert_reads("[('/dev/null', 'rw'), ('/dev/zero', 'r')]", "a(ss) /dev/null rw /dev/zero r");
    assert_reads("[('/dev/sda', uint64 1000)]", "a(st) /dev/sda 1000");
    assert_reads("@a(ss) []", "a(ss)");
}

Test(systemd, malformed_text_is_refused_and_replaces_nothing)
{
    static const char *const bad[] = {"", "tru", "yes", "5x", "5.5", "--5", "uint32 4294967296", "2147483648", "-2147483649",
                                      "byte 256", "byte -1", "uint64 18446744073709551616", "'a", "'a'b", "[1", "[1,", "[1 2]",
                                      "[]", "[1,'a']", "@as [1]", "@a(qt) [ 55]", "@as [('a', 'b')]", "@as 'a'", "@s ['a']", "@a{sv} []", "@v <1>", "('a', 'b')",
                                      "[('a')]", "[('a','b','c')]", "[('a','b'),'c']", "[('a','b'),('c',1)]", "uint32 'a'",
                                      "string 5", "@", "@a", "@a(", "[uint32 1, uint64 2]", "\\", "[,]", "5 6"};
    _systemd_properties_ struct systemd_properties p = {NULL};

    systemd_put_u64(&p, "Name", 9, NULL);
    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        cr_assert_eq(systemd_parse_property(&p, "Name", bad[i], NULL), BOX_ESPEC, "%s", bad[i]);
        cr_assert_str_eq(tell(&p, "Name"), "t 9", "%s", bad[i]);
    }
    static const char *const names[] = {"", "a b", "A=B", "1a", "PIDs", "Slice", "PIDFDs", "a.b",
                                        "Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        cr_assert_eq(systemd_parse_property(&p, names[i], "true", NULL), BOX_ESPEC, "%s", names[i]);
    static char many[3000] = "[";
    for (int i = 0; i < 1200; i++)
        strcat(many, "1,");
    strcat(many, "1]");
    cr_assert_eq(systemd_parse_property(&p, "Name", many, NULL), BOX_ELIMIT);
    cr_assert_eq(p.n, 1);
}

Test(systemd, seconds_become_microseconds)
{
    _systemd_properties_ struct systemd_properties p = {NULL};

    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopSec", "7", NULL), 0);
    cr_assert_str_eq(tell(&p, "TimeoutStopUSec"), "t 7000000");
    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopSec", "uint64 8", NULL), 0);
    cr_assert_str_eq(tell(&p, "TimeoutStopUSec"), "t 8000000");
    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopSec", "1.5", NULL), 0);
    cr_assert_str_eq(tell(&p, "TimeoutStopUSec"), "t 1500000");
    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopUSec", "uint64 9", NULL), 0);
    cr_assert_str_eq(tell(&p, "TimeoutStopUSec"), "t 9");
    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopSec", "'x'", NULL), BOX_ESPEC);
    cr_assert_eq(systemd_parse_property(&p, "TimeoutStopSec", "-1", NULL), BOX_ESPEC);
}

/* ---- limits ----------------------------------------------------------------------------------------------------------------- */

static const char devices[] = "Character devices:\n  1 mem\n136 pts\n\nBlock devices:\n  8 sd\n";
static const struct systemd_host v2 = {252, true, true, devices}, v1 = {252, false, true, devices}, old = {241, true, true, devices};

static box_limits *sample(void)
{
    box_limits *l = box_limits_new(NULL);

    box_limits_set(l, BOX_LIMIT_MEMORY_MAX, 40960000, NULL);
    box_limits_set(l, BOX_LIMIT_MEMORY_LOW, 4096, NULL);
    box_limits_set(l, BOX_LIMIT_MEMORY_AND_SWAP, 81920000, NULL);
    box_limits_set(l, BOX_LIMIT_CPU_SHARES, 1024, NULL);
    box_limits_set(l, BOX_LIMIT_CPU_QUOTA, 50500, NULL);
    box_limits_set(l, BOX_LIMIT_CPU_PERIOD, 100000, NULL);
    box_limits_set(l, BOX_LIMIT_PIDS_MAX, 20, NULL);
    box_limits_set(l, BOX_LIMIT_IO_WEIGHT, 10, NULL);
    box_limits_set_cpuset_cpus(l, "0-2,9", NULL);
    box_limits_set_cpuset_mems(l, "0", NULL);
    return l;
}

Test(systemd, limits_are_properties_by_the_names_of_v2)
{
    _cleanup_(box_limits) box_limits *l = sample();
    _systemd_properties_ struct systemd_properties p = {NULL};

    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "MemoryMax"), "t 40960000");
    cr_assert_str_eq(tell(&p, "MemoryLow"), "t 4096");
    cr_assert_str_eq(tell(&p, "MemorySwapMax"), "t 40960000");
    cr_assert_str_eq(tell(&p, "CPUWeight"), "t 39");
    cr_assert_str_eq(tell(&p, "CPUQuotaPerSecUSec"), "t 510000");
    cr_assert_str_eq(tell(&p, "CPUQuotaPeriodUSec"), "t 100000");
    cr_assert_str_eq(tell(&p, "TasksMax"), "t 20");
    cr_assert_str_eq(tell(&p, "IOWeight"), "t 1");
    cr_assert_str_eq(tell(&p, "AllowedCPUs"), "ay 7 2");
    cr_assert_str_eq(tell(&p, "AllowedMemoryNodes"), "ay 1");
    cr_assert_eq(p.n, 10);
}

Test(systemd, limits_are_properties_by_the_names_of_v1)
{
    _cleanup_(box_limits) box_limits *l = sample();
    _systemd_properties_ struct systemd_properties p = {NULL};

    cr_assert_eq(systemd_put_limits(&p, l, &v1, NULL), 0);
    cr_assert_str_eq(tell(&p, "MemoryLimit"), "t 40960000");
    cr_assert_str_eq(tell(&p, "CPUShares"), "t 1024");
    cr_assert_str_eq(tell(&p, "CPUQuotaPerSecUSec"), "t 510000");
    cr_assert_str_eq(tell(&p, "CPUQuotaPeriodUSec"), "t 100000");
    cr_assert_str_eq(tell(&p, "TasksMax"), "t 20");
    cr_assert_str_eq(tell(&p, "BlockIOWeight"), "t 10");
    cr_assert_eq(p.n, 6);
}

Test(systemd, an_old_systemd_is_told_what_it_knows)
{
    _cleanup_(box_limits) box_limits *l = sample();
    _systemd_properties_ struct systemd_properties p = {NULL};

    box_limits_set(l, BOX_LIMIT_CPU_IDLE, 1, NULL);
    cr_assert_eq(systemd_put_limits(&p, l, &old, NULL), 0);
    cr_assert_str_eq(tell(&p, "AllowedCPUs"), "none");
    cr_assert_str_eq(tell(&p, "CPUQuotaPeriodUSec"), "none");
    cr_assert_str_eq(tell(&p, "CPUWeight"), "none");
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "CPUWeight"), "t 0");
}

Test(systemd, no_limit_is_one_too_and_what_is_unset_is_not_said)
{
    _cleanup_(box_limits) box_limits *l = box_limits_new(NULL);
    _systemd_properties_ struct systemd_properties p = {NULL};

    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_eq(p.n, 0);
    box_limits_set(l, BOX_LIMIT_MEMORY_MAX, -1, NULL);
    box_limits_set(l, BOX_LIMIT_MEMORY_AND_SWAP, -1, NULL);
    box_limits_set(l, BOX_LIMIT_CPU_QUOTA, -1, NULL);
    box_limits_set(l, BOX_LIMIT_PIDS_MAX, -1, NULL);
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "MemoryMax"), "t -1");
    cr_assert_str_eq(tell(&p, "MemorySwapMax"), "t -1");
    cr_assert_str_eq(tell(&p, "CPUQuotaPerSecUSec"), "t -1");
    cr_assert_str_eq(tell(&p, "TasksMax"), "t -1");
    /* systemd takes no TasksMax of 0. */
    box_limits_set(l, BOX_LIMIT_PIDS_MAX, 0, NULL);
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "TasksMax"), "t 1");
}

Test(systemd, the_unified_map_is_said_where_systemd_knows_it)
{
    _cleanup_(box_limits) box_limits *l = box_limits_new(NULL);
    _systemd_properties_ struct systemd_properties p = {NULL};

    box_limits_set_raw(l, "memory.high", "4096", NULL);
    box_limits_set_raw(l, "memory.max", "max", NULL);
    box_limits_set_raw(l, "memory.swap.max", "512", NULL);
    box_limits_set_raw(l, "pids.max", "33", NULL);
    box_limits_set_raw(l, "cpu.max", "20000 50000", NULL);
    box_limits_set_raw(l, "cpu.weight", "77", NULL);
    box_limits_set_raw(l, "cpuset.cpus", "3", NULL);
    box_limits_set_raw(l, "hugetlb.2MB.max", "0", NULL);
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "MemoryHigh"), "t 4096");
    cr_assert_str_eq(tell(&p, "MemoryMax"), "t -1");
    cr_assert_str_eq(tell(&p, "MemorySwapMax"), "t 512");
    cr_assert_str_eq(tell(&p, "TasksMax"), "t 33");
    cr_assert_str_eq(tell(&p, "CPUQuotaPerSecUSec"), "t 400000");
    cr_assert_str_eq(tell(&p, "CPUQuotaPeriodUSec"), "t 50000");
    cr_assert_str_eq(tell(&p, "CPUWeight"), "t 77");
    cr_assert_str_eq(tell(&p, "AllowedCPUs"), "ay 8");
    cr_assert_eq(p.n, 8);
}

static void rule(box_limits *l, int allow, char type, int64_t major, int64_t minor, unsigned access)
{
    const struct box_device_rule r = {allow, type, major, minor, access};

    cr_assert_eq(box_limits_add_device(l, &r, NULL), 0);
}

Test(systemd, device_rules_are_a_list_of_what_is_allowed)
{
    _cleanup_(box_limits) box_limits *l = box_limits_new(NULL);
    _systemd_properties_ struct systemd_properties p = {NULL};
    const struct systemd_host user = {252, true, false, devices};

    rule(l, 0, 'a', -1, -1, 7);
    rule(l, 1, 'c', 1, 3, 7);
    rule(l, 1, 'c', 136, -1, BOX_DEVICE_READ | BOX_DEVICE_WRITE);
    rule(l, 1, 'b', -1, -1, BOX_DEVICE_MKNOD);
    cr_assert_eq(systemd_put_limits(&p, l, &user, NULL), 0);
    cr_assert_eq(p.n, 0, "a user's manager restricts none");
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "DevicePolicy"), "s strict");
    cr_assert_str_eq(tell(&p, "DeviceAllow"), "a(ss) /dev/char/1:3 rwm char-pts rw block-* m");
    /* A driver that is not loaded has no name: on v2, where both have to agree, nothing is said then. */
    rule(l, 1, 'c', 250, -1, 7);
    cr_assert_eq(systemd_put_limits(&p, l, &v2, NULL), 0);
    cr_assert_str_eq(tell(&p, "DevicePolicy"), "s auto");
    cr_assert_str_eq(tell(&p, "DeviceAllow"), "a(ss)");
    cr_assert_eq(systemd_put_limits(&p, l, &v1, NULL), 0);
    cr_assert_str_eq(tell(&p, "DevicePolicy"), "s strict");
    cr_assert_str_eq(tell(&p, "DeviceAllow"), "a(ss) /dev/char/1:3 rwm char-pts rw block-* m");
}

/* ---- the bus --------------------------------------------------------------------------------------------------------------------- */

struct life {
    struct fake_systemd fake;
    box_systemd_unit *unit;
    box_limits *limits;
    box_cgroup *cgroup;
    box_error *err;
    char group[80];
};

static void begin(struct life *x)
{
    snprintf(x->group, sizeof(x->group), "/libbox-test-%d-systemd/box-x.scope", (int)getpid());
    x->fake.control_group = x->group;
    x->fake.description = x->fake.description ? x->fake.description : "libbox container x";
    if (geteuid() != 0)
        cr_skip_test("needs root, to make cgroups");
    if (!fake_systemd_begin(&x->fake))
        cr_skip_test("libsystemd is not installed");
    x->unit = box_systemd_unit_new("machine.slice:box:x", "x", 0, NULL);
    cr_assert_eq(box_systemd_unit_set_bus(x->unit, x->fake.address, NULL), 0);
    x->limits = box_limits_new(NULL);
    box_limits_set(x->limits, BOX_LIMIT_PIDS_MAX, 10, NULL);
    x->cgroup = NULL;
    x->err = NULL;
}

static void end(struct life *x)
{
    if (x->cgroup) {
        box_cgroup_kill(x->cgroup, SIGKILL, NULL);
        box_cgroup_destroy(x->cgroup, 2000, NULL);
    }
    box_cgroup_free(x->cgroup);
    box_systemd_unit_free(x->unit);
    box_limits_free(x->limits);
    box_error_free(x->err);
    fake_systemd_end(&x->fake);
    *strrchr(x->group, '/') = '\0';
    box_cgroup *above = box_cgroup_open(NULL, x->group, NULL);
    if (above)
        box_cgroup_destroy(above, 1000, NULL);
    box_cgroup_free(above);
}

static void assert_said(const struct life *x, const char *text)
{
    cr_assert_not_null(strstr(x->fake.said, text), "no %s in:\n%s", text, x->fake.said);
}

static uint64_t pids_max(struct life *x)
{
    struct box_cgroup_stats *s = box_cgroup_stats_read(x->cgroup, NULL);
    uint64_t limit = s ? s->pids.limit : 0;

    box_cgroup_stats_free(s);
    return limit;
}

Test(systemd, a_unit_is_started_with_what_stands_in_and_stopped)
{
    struct life x = {.unit = NULL};
    pid_t pid = 0;

    begin(&x);
    cr_assert_eq(box_systemd_unit_set_property(x.unit, "TimeoutStopSec", "3", NULL), 0);
    cr_assert_eq(box_systemd_unit_set_property(x.unit, "DeviceAllow", "[('/dev/null', 'rw')]", NULL), 0);
    x.cgroup = box_systemd_unit_start(x.unit, x.limits, &x.err);
    cr_assert_not_null(x.cgroup, "%s", box_error_message(x.err));
    assert_said(&x, "StartTransientUnit box-x.scope replace [");
    assert_said(&x, "(Description,<s:libbox container x>)");
    assert_said(&x, "(DefaultDependencies,<b:false>)");
    assert_said(&x, "(CollectMode,<s:inactive-or-failed>)");
    assert_said(&x, "(Slice,<s:machine.slice>)");
    assert_said(&x, "(Delegate,<b:true>)");
    assert_said(&x, "(TasksMax,<t:10>)");
    assert_said(&x, "(TimeoutStopUSec,<t:3000000>)");
    assert_said(&x, "(DeviceAllow,<a(ss):[]>),(DeviceAllow,<a(ss):[(/dev/null,rw)]>)");
    const char *in = strstr(x.fake.said, "(PIDs,<au:[");
    cr_assert_not_null(in);
    cr_assert_eq(sscanf(in, "(PIDs,<au:[%d]>)", &pid), 1);
    cr_assert_eq(kill(pid, 0), 0, "what stands in is there");
    cr_assert_eq(pids_max(&x), 11, "and is not counted");
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "nor a child that the host would see");
    cr_assert_eq(box_systemd_unit_settle(x.unit, x.cgroup, x.limits, &x.err), 0, "%s", box_error_message(x.err));
    cr_assert_eq(kill(pid, 0), -1);
    cr_assert_eq(pids_max(&x), 10);
    cr_assert_eq(box_systemd_unit_stop(x.unit, &x.err), 0, "%s", box_error_message(x.err));
    assert_said(&x, "StopUnit box-x.scope replace\nResetFailedUnit box-x.scope\n");
    end(&x);
}

Test(systemd, an_update_is_said_and_written)
{
    struct life x = {.unit = NULL};

    begin(&x);
    x.cgroup = box_systemd_unit_start(x.unit, x.limits, &x.err);
    cr_assert_not_null(x.cgroup, "%s", box_error_message(x.err));
    box_systemd_unit_settle(x.unit, x.cgroup, x.limits, NULL);
    box_limits_set(x.limits, BOX_LIMIT_PIDS_MAX, 12, NULL);
    cr_assert_eq(box_systemd_unit_update(x.unit, x.cgroup, x.limits, &x.err), 0, "%s", box_error_message(x.err));
    assert_said(&x, "SetUnitProperties box-x.scope true [(TasksMax,<t:12>)]\n");
    cr_assert_eq(pids_max(&x), 12);
    end(&x);
}

Test(systemd, what_is_left_of_a_failed_unit_is_cleared)
{
    struct life x = {.fake.start_error = "org.freedesktop.systemd1.UnitExists"};

    begin(&x);
    x.cgroup = box_systemd_unit_start(x.unit, x.limits, &x.err);
    cr_assert_not_null(x.cgroup, "%s", box_error_message(x.err));
    assert_said(&x, "]\nResetFailedUnit box-x.scope\nStartTransientUnit box-x.scope");
    end(&x);
}

static void assert_start_fails(struct life *x, int code, const char *message)
{
    begin(x);
    cr_assert_null(box_systemd_unit_start(x->unit, x->limits, &x->err));
    cr_assert_eq(box_error_code(x->err), code, "%s", box_error_message(x->err));
    cr_assert_not_null(strstr(box_error_message(x->err), message), "%s", box_error_message(x->err));
    cr_assert_null(strstr(x->fake.said, "StopUnit"), "%s", x->fake.said);
    end(x);
}

Test(systemd, a_unit_that_somebody_has_is_left_alone)
{
    struct life x = {.fake.start_error = "org.freedesktop.systemd1.UnitExists", .fake.start_again = "org.freedesktop.systemd1.UnitExists"};

    assert_start_fails(&x, BOX_EEXISTS, "made up");
}

Test(systemd, a_refusal_is_told_in_systemds_words)
{
    struct life x = {.fake.start_error = "org.freedesktop.DBus.Error.PropertyReadOnly"};

    assert_start_fails(&x, BOX_ESPEC, "systemd: made up");
}

Test(systemd, a_bus_without_systemd_is_unsupported)
{
    struct life x = {.fake.start_error = "org.freedesktop.DBus.Error.ServiceUnknown"};

    assert_start_fails(&x, BOX_EUNSUPPORTED, "cgroupfs");
}

Test(systemd, a_job_that_fails_is_a_failure)
{
    struct life x = {.fake.result = "timeout", .fake.description = "somebody else's"};

    assert_start_fails(&x, BOX_ESYSTEM, "\"timeout\"");
}

Test(systemd, a_unit_of_another_description_is_not_stopped)
{
    struct life x = {.fake.description = "somebody else's"};

    begin(&x);
    cr_assert_eq(box_systemd_unit_stop(x.unit, &x.err), 0, "%s", box_error_message(x.err));
    cr_assert_str_eq(x.fake.said, "");
    end(&x);
}

Test(systemd, without_a_bus_the_remedy_is_cgroupfs)
{
    box_systemd_unit *u = box_systemd_unit_new(NULL, "x", 0, NULL);
    box_error *err = NULL;

    box_systemd_unit_set_bus(u, "unix:path=/nowhere/at/all", NULL);
    cr_assert_null(box_systemd_unit_start(u, NULL, &err));
    if (box_error_code(err) != BOX_ELIBRARY)
        cr_assert_eq(box_error_code(err), BOX_EUNSUPPORTED, "%s", box_error_message(err));
    cr_assert_not_null(strstr(box_error_message(err), "cgroupfs"));
    box_error_free(err);
    box_systemd_unit_free(u);
}
