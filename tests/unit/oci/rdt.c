/* linux.intelRdt, over a plain directory that stands for resctrl: the machines that tests run on have no such processor.
 * Where the kernel fills a new group with files, a function of this file does. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"
#include "kernel/resctrl.h"
#include "oci/oci.h"

static char place[] = "/tmp/libbox-rdt-XXXXXX";
static struct resctrl fs;
static struct oci_container c;

static void put(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static int make_group(int dir, const char *name, mode_t mode)
{
    if (strcmp(name, "full") == 0)
        return errno = ENOSPC, -1;
    if (mkdirat(dir, name, mode) < 0)
        return -1;
    int group = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(group, "schemata", "L3:0=fff\n");
    put(group, "tasks", "");
    mkdirat(group, "mon_groups", 0755);
    close(group);
    return 0;
}

static int remove_group(int dir, const char *name, int flags)
{
    int group = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (group >= 0) {
        unlinkat(group, "schemata", 0);
        unlinkat(group, "tasks", 0);
        unlinkat(group, "mon_groups", AT_REMOVEDIR);
        close(group);
    }
    return unlinkat(dir, name, flags);
}

static void begin(void)
{
    cr_assert_not_null(mkdtemp(place));
    mkdir(box_strf("%s/state", place), 0700);
    mkdir(box_strf("%s/resctrl", place), 0700);
    fs = (struct resctrl){open(box_strf("%s/resctrl", place), O_RDONLY | O_DIRECTORY | O_CLOEXEC), make_group, remove_group};
    put(fs.root, "schemata", "L3:0=fff\n");
    put(fs.root, "tasks", "1\n");
    mkdirat(fs.root, "mon_groups", 0755);
    c = OCI_CONTAINER_INIT;
    snprintf(c.id, sizeof(c.id), "web");
    c.dir = open(box_strf("%s/state", place), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c.bundle = strdup("/b");
    c.rootfs = strdup("/b/r");
}

static void end(void)
{
    oci_container_clear(&c);
    resctrl_close(&fs);
    int tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_eq(box_remove_tree(tmp, strrchr(place, '/') + 1, NULL), 0);
    close(tmp);
}

TestSuite(rdt, .init = begin, .fini = end);

static int make(const char *rdt)
{
    char *document = box_strf("{\"ociVersion\":\"1.3.0\",\"linux\":{\"intelRdt\":%s}}", rdt);
    box_error *err = NULL;

    box_spec_free(c.spec);
    cr_assert_eq(box_spec_parse(document, strlen(document), &c.spec, &err), 0, "%s", box_error_message(err));
    int r = oci_rdt_make_in(&c, &fs, &err);
    if (err)
        cr_log_info("%s", box_error_message(err));
    box_error_free(err);
    free(document);
    return r;
}

static void holds(const char *path, const char *wanted)
{
    char *text = NULL;

    cr_assert_eq(box_file_read(fs.root, path, 4096, &text, NULL, NULL), 0, "%s", path);
    cr_assert_str_eq(text, wanted);
    free(text);
}

static bool there(const char *path)
{
    return faccessat(fs.root, path, F_OK, 0) == 0;
}

Test(rdt, a_group_without_a_name_is_called_as_the_container_and_goes_with_it)
{
    cr_assert_eq(make("{\"l3CacheSchema\":\"L3:0=f0\",\"memBwSchema\":\"MB:0=20\",\"schemata\":[\"L2:0=3\",\"L2:1=1\"]}"), 0);
    holds("web/schemata", "L3:0=f0\nMB:0=20\nL2:0=3\nL2:1=1\n");
    cr_assert(!there("web/mon_groups/web"));
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(!there("web"));
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0, "what is gone is no error");
}

Test(rdt, bandwidth_in_the_cache_property_gives_way)
{
    cr_assert_eq(make("{\"l3CacheSchema\":\"MB:0=90\",\"memBwSchema\":\"MB:0=20\"}"), 0);
    holds("web/schemata", "MB:0=20\n");
}

Test(rdt, a_group_that_was_there_stays)
{
    make_group(fs.root, "gold", 0755);
    cr_assert_eq(make("{\"closID\":\"gold\",\"enableMonitoring\":true}"), 0);
    holds("gold/schemata", "L3:0=fff\n");
    cr_assert(there("gold/mon_groups/web"));
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(there("gold") && !there("gold/mon_groups/web"));
}

Test(rdt, a_named_group_that_was_made_goes_with_its_last_task)
{
    cr_assert_eq(make("{\"closID\":\"gold\",\"l3CacheSchema\":\"L3:0=f\"}"), 0);
    int group = openat(fs.root, "gold", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put(group, "tasks", "17\n");
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(there("gold"), "another's task is in it");
    put(group, "tasks", "");
    close(group);
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(!there("gold"));
}

Test(rdt, a_named_group_that_is_not_there_needs_schemata)
{
    cr_assert_eq(make("{\"closID\":\"gold\"}"), BOX_ENOTFOUND);
    cr_assert(!there("gold"));
}

Test(rdt, the_whole_machines_group_is_never_removed)
{
    cr_assert_eq(make("{\"closID\":\"/\",\"enableMonitoring\":true}"), 0);
    cr_assert(there("mon_groups/web"));
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(there("tasks") && !there("mon_groups/web"));
}

Test(rdt, links_are_not_followed_and_failures_are_told)
{
    cr_assert_eq(symlinkat("/tmp", fs.root, "away"), 0);
    cr_assert_lt(make("{\"closID\":\"away\",\"l3CacheSchema\":\"L3:0=f\"}"), 0);
    cr_assert_lt(make("{\"closID\":\"full\",\"l3CacheSchema\":\"L3:0=f\"}"), 0);
}

Test(rdt, what_is_made_is_in_the_state_before_it_is_there)
{
    char *text = NULL;

    cr_assert_lt(make("{\"closID\":\"full\",\"l3CacheSchema\":\"L3:0=f\"}"), 0);
    cr_assert_eq(box_file_read(c.dir, "state.json", 4096, &text, NULL, NULL), 0);
    cr_assert_not_null(strstr(text, "\"rdtGroup\":\"full\""));
    cr_assert_not_null(strstr(text, "\"rdtMade\":true"));
    free(text);
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
}

Test(rdt, processes_go_in_by_the_groups_tasks_and_then_the_monitors)
{
    int tasks[2];

    cr_assert_eq(make("{\"enableMonitoring\":true}"), 0);
    const struct resctrl_group group = {"web", "web", NULL};
    cr_assert_eq(resctrl_tasks(&fs, &group, tasks, NULL), 0);
    cr_assert_eq(write(tasks[0], "0", 1), 1);
    cr_assert_eq(write(tasks[1], "0", 1), 1);
    holds("web/tasks", "0");
    holds("web/mon_groups/web/tasks", "0");
    close(tasks[0]);
    close(tasks[1]);
}

/* A file at a path below resctrl's place, with the directories on its way. */
static void put_at(const char *path, const char *text)
{
    char part[256];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
        mkdirat(fs.root, part, 0755);
    }
    put(fs.root, path, text);
}

Test(rdt, an_update_changes_one_line_and_leaves_the_process_where_it_is)
{
    cr_assert_eq(make("{\"l3CacheSchema\":\"L3:0=f0\"}"), 0);
    cr_assert_eq(oci_rdt_update_in(&c, &fs, NULL, "MB:0=50", NULL), 0);
    holds("web/schemata", "MB:0=50\n"); /* the kernel keeps the other line */
    holds("web/tasks", "");
    cr_assert_eq(oci_rdt_update_in(&c, &fs, "L3:0=f", "MB:0=40", NULL), 0);
    holds("web/schemata", "L3:0=f\nMB:0=40\n");
    cr_assert_eq(oci_rdt_update_in(&c, &fs, "L3:0=f\nMB:0=1", NULL, NULL), BOX_ESPEC, "two lines in one");
    cr_assert_eq(oci_rdt_update_in(&c, &fs, "", NULL, NULL), BOX_ESPEC);
    holds("web/schemata", "L3:0=f\nMB:0=40\n");
}

Test(rdt, an_update_of_a_container_without_a_group_makes_one)
{
    char *text = NULL;

    c.pid = getpid();
    cr_assert_eq(oci_rdt_update_in(&c, &fs, "L3:0=3", NULL, NULL), 0);
    holds("web/schemata", "L3:0=3\n");
    cr_assert_eq(box_file_read(fs.root, "web/tasks", 64, &text, NULL, NULL), 0);
    cr_assert_eq(atoi(text), (int)getpid());
    free(text);
    cr_assert_eq(box_file_read(c.dir, "state.json", 4096, &text, NULL, NULL), 0);
    cr_assert_not_null(strstr(text, "\"rdtGroup\":\"web\""), "so that delete takes it away");
    free(text);
    cr_assert_eq(oci_rdt_remove_in(&c, &fs, NULL), 0);
    cr_assert(!there("web"));
}

Test(rdt, statistics_have_the_shape_of_runcs)
{
    char *json = NULL;

    cr_assert_eq(make("{\"enableMonitoring\":true}"), 0);
    put(fs.root, "schemata", "    MB:0=100\n    L3:0=fff;1=fff\n");
    put_at("info/L3/cbm_mask", "fff\n");
    put_at("info/L3/min_cbm_bits", "2\n");
    put_at("info/L3/num_closids", "16\n");
    put_at("info/MB/bandwidth_gran", "10\n");
    put_at("info/MB/delay_linear", "1\n");
    put_at("info/MB/min_bandwidth", "10\n");
    put_at("info/MB/num_closids", "8\n");
    put_at("web/schemata", "L3:0=f;1=f0\nMB:0=50\n");
    put_at("web/mon_data/mon_L3_00/llc_occupancy", "1\n"); /* of the whole group: not the container's own */
    put_at("web/mon_groups/web/mon_data/mon_L3_00/llc_occupancy", "4096\n");
    put_at("web/mon_groups/web/mon_data/mon_L3_00/mbm_total_bytes", "70\n");
    put_at("web/mon_groups/web/mon_data/mon_L3_00/mbm_local_bytes", "50\n");
    put_at("web/mon_groups/web/mon_data/mon_L3_01/llc_occupancy", "0\n");
    cr_assert_eq(oci_rdt_stats_in(&c, &fs, &json, NULL), 0);
    cr_assert_str_eq(json, "{\"l3_cache_info\":{\"cbm_mask\":\"fff\",\"min_cbm_bits\":2,\"num_closids\":16},"
                           "\"l3_cache_schema_root\":\"L3:0=fff;1=fff\",\"l3_cache_schema\":\"L3:0=f;1=f0\","
                           "\"mem_bw_info\":{\"bandwidth_gran\":10,\"delay_linear\":1,\"min_bandwidth\":10,\"num_closids\":8},"
                           "\"mem_bw_schema_root\":\"MB:0=100\",\"mem_bw_schema\":\"MB:0=50\","
                           "\"mbm_stats\":[{\"mbm_total_bytes\":70,\"mbm_local_bytes\":50}],"
                           "\"cmt_stats\":[{\"llc_occupancy\":4096},{}]}");
    free(json);
}

Test(rdt, what_the_processor_does_not_have_is_left_out_of_the_statistics)
{
    char *json = NULL;

    cr_assert_eq(make("{}"), 0);
    put(fs.root, "schemata", "L2:0=f\n");
    cr_assert_eq(oci_rdt_stats_in(&c, &fs, &json, NULL), 0);
    cr_assert_str_eq(json, "{}");
    free(json);
}

Test(rdt, a_process_is_in_its_group_before_its_program_runs)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options start = START_OPTIONS_INIT;
    box_spec *spec = box_spec_new_confined();
    box_plan *plan = NULL;
    box_process *process = NULL;
    box_error *err = NULL;

    make_group(fs.root, "web", 0755);
    start.tasks[0] = openat(fs.root, "web/tasks", O_WRONLY | O_CLOEXEC);
    box_spec_set_args(spec, (char *[]){"/bin/true", NULL}, NULL);
    cr_assert_eq(box_plan_new_with(spec, &plan_options, &plan, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_plan_start_with(plan, &start, &process, &err), 0, "%s", box_error_message(err));
    holds("web/tasks", "0");
    cr_assert_eq(box_process_wait(process, 20000, NULL), 0);
    box_process_free(process);
    box_plan_free(plan);
    box_spec_free(spec);
    close(start.tasks[0]);
}

Test(rdt, a_machine_without_it_says_so)
{
    box_error *err = NULL;
    struct resctrl real = RESCTRL_NONE;
    int r = resctrl_open(&real, &err);

    if (r >= 0) {
        resctrl_close(&real);
        cr_skip_test("this machine has resctrl");
    }
    cr_assert_eq(r, BOX_EUNSUPPORTED);
    cr_assert_str_eq(box_error_subject(err), "linux.intelRdt");
    box_error_free(err);
}
