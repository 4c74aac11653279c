/* Limits that bite, updates in the right order, statistics and events, on whatever this host has. */
#include "cgroup_help.h"

#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

TestSuite(cgroup_apply, .init = test_make_room, .fini = test_clean_up, .timeout = 20);

static bool on_v2(const box_cgroup *cgroup, unsigned controller)
{
    return cgroup_dir_for((box_cgroup *)cgroup, controller)->v2;
}

static struct box_cgroup_stats *stats_of(box_cgroup *cgroup)
{
    box_error *error = NULL;
    struct box_cgroup_stats *stats = box_cgroup_stats_read(cgroup, &error);

    cr_assert_not_null(stats, "%s", box_error_message(error));
    return stats;
}

/* ---- memory ---- */

Test(cgroup_apply, a_memory_limit_reads_back)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 32 << 20, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);
    struct box_cgroup_stats *stats = stats_of(cgroup);

    cr_expect_eq(stats->memory.limit, 32 << 20);
    cr_expect(stats->controllers & BOX_CONTROLLER_MEMORY);
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_MEMORY,
                               on_v2(cgroup, BOX_CONTROLLER_MEMORY) ? "memory.max" : "memory.limit_in_bytes"),
                     "33554432");
    box_cgroup_stats_free(stats);
}

static bool has_swap_accounting(void)
{
    box_cgroup *cgroup = test_create("probe", BOX_CONTROLLER_MEMORY, NULL);
    const struct cgroup_dir *dir = cgroup_dir_for(cgroup, BOX_CONTROLLER_MEMORY);
    bool has = cgroup_has_file(dir->fd, dir->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes");

    box_cgroup_destroy(cgroup, 1000, NULL);
    box_cgroup_free(cgroup);
    return has;
}

Test(cgroup_apply, memory_and_swap_go_up_and_down_together)
{
    static const int64_t steps[][2] = {{32, 64}, {128, 256}, {16, 16}, {64, 64},
                                       {8, 128}, {-1, -1},   {32, 48}};

    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    SKIP_UNLESS(has_swap_accounting(), "needs swap accounting");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    for (size_t i = 0; i < BOX_ARRAY(steps); i++) {
        _cleanup_(box_limits) box_limits *limits = test_limits();
        int64_t max = steps[i][0] < 0 ? -1 : steps[i][0] << 20,
                both = steps[i][1] < 0 ? -1 : steps[i][1] << 20;
        OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, max, err));
        OK(box_limits_set(limits, BOX_LIMIT_MEMORY_AND_SWAP, both, err));
        OK(box_cgroup_apply(cgroup, limits, 0, err));
        struct box_cgroup_stats *stats = stats_of(cgroup);
        cr_expect_eq(stats->memory.limit, max < 0 ? BOX_CGROUP_UNLIMITED : (uint64_t)max, "step %zu", i);
        cr_expect_eq(stats->memory.swap_limit, both < 0 ? BOX_CGROUP_UNLIMITED : (uint64_t)(both - max),
                     "step %zu", i);
        box_cgroup_stats_free(stats);
    }
}

Test(cgroup_apply, swap_alone_means_the_same_on_both_versions)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    SKIP_UNLESS(has_swap_accounting(), "needs swap accounting");
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 32 << 20, err));
    OK(box_limits_set(limits, BOX_LIMIT_SWAP_MAX, 8 << 20, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);
    struct box_cgroup_stats *stats = stats_of(cgroup);

    cr_expect_eq(stats->memory.swap_limit, 8 << 20);
    box_cgroup_stats_free(stats);
}

Test(cgroup_apply, swap_without_a_memory_limit_is_a_mistake_that_is_told)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;

    box_limits_set(limits, BOX_LIMIT_MEMORY_AND_SWAP, 32 << 20, NULL);
    cr_expect_null(box_cgroup_create(NULL, test_path("x"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_ESPEC, "%s", box_error_message(error));
    cr_expect_str_eq(box_error_subject(error), "linux.resources.memory.swap");
}

Test(cgroup_apply, memory_high_is_v2s_and_v1_says_so)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    box_limits_set(limits, BOX_LIMIT_MEMORY_HIGH, 16 << 20, NULL);
    int r = box_cgroup_apply(cgroup, limits, 0, &error);
    if (on_v2(cgroup, BOX_CONTROLLER_MEMORY)) {
        cr_expect_eq(r, 0, "%s", box_error_message(error));
        cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_MEMORY, "memory.high"), "16777216");
    } else {
        cr_expect_eq(r, BOX_EUNSUPPORTED);
        cr_expect_str_eq(box_error_subject(error), "linux.resources.unified.memory.high");
        OK(box_cgroup_apply(cgroup, limits, BOX_CGROUP_LENIENT, err));
        cr_expect_eq(box_cgroup_not_applied(cgroup), BOX_CONTROLLER_MEMORY);
    }
}

static int use_memory(void *bytes)
{
    size_t size = (size_t)(uintptr_t)bytes;
    volatile char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    return 0;
}

/* 8 MiB, and no swap where that can be said. */
static box_cgroup *small_memory(void)
{
    box_limits *limits = test_limits();

    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 8 << 20, err));
    if (has_swap_accounting())
        OK(box_limits_set(limits, BOX_LIMIT_MEMORY_AND_SWAP, 8 << 20, err));
    box_cgroup *cgroup = test_create("x", 0, limits);
    box_limits_free(limits);
    return cgroup;
}

Test(cgroup_apply, out_of_memory_kills_counts_and_wakes)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_cgroup) box_cgroup *cgroup = small_memory();
    uint64_t count = 7;
    _close_ int fd = -1;

    OK(box_cgroup_oom_count(cgroup, &count, err));
    cr_expect_eq(count, 0);
    OK(fd = box_cgroup_oom_fd(cgroup, err));
    cr_expect(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    cr_expect_eq(poll(&poll_fd, 1, 0), 0, "nothing yet");
    int status = test_wait(test_child(cgroup, use_memory, (void *)(uintptr_t)(64 << 20)));
    cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %x", status);
    cr_expect_eq(poll(&poll_fd, 1, 2000), 1);
    OK(box_cgroup_oom_drain(fd, err));
    OK(box_cgroup_oom_count(cgroup, &count, err));
    cr_expect_eq(count, 1);
    OK(box_cgroup_oom_count_local(cgroup, &count, err));
    cr_expect_eq(count, 1);
    struct box_cgroup_stats *stats = stats_of(cgroup);
    cr_expect_eq(stats->memory.oom_kills, 1);
    /* Recent kernels count no failures on v1 when the limit on memory and swap is the one that is reached. */
    cr_expect(stats->memory.limit_hits >= 1 || !on_v2(cgroup, BOX_CONTROLLER_MEMORY));
    cr_expect_gt(stats->memory.page_faults, 0);
    box_cgroup_stats_free(stats);
    usleep(50000); /* the kernel holds back notifications that follow each other within 10 ms */
    OK(box_cgroup_oom_drain(fd, err));
    cr_expect_eq(poll(&poll_fd, 1, 0), 0, "drained");
}

Test(cgroup_apply, a_removed_cgroup_has_no_oom_count_any_more)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_cgroup) box_cgroup *cgroup = small_memory();
    _close_ int fd = -1;

    OK(fd = box_cgroup_oom_fd(cgroup, err));
    OK(box_cgroup_destroy(cgroup, 1000, err));
    OK(box_cgroup_oom_drain(fd, err));
    uint64_t count;
    cr_expect_eq(box_cgroup_oom_count(cgroup, &count, NULL), BOX_ENOTFOUND);
    cr_expect_lt(box_cgroup_oom_fd(cgroup, NULL), 0);
}

static int hold_memory(void *bytes)
{
    use_memory(bytes);
    return sleep_on(NULL);
}

Test(cgroup_apply, lowering_below_the_usage_is_refused_when_that_is_to_be_checked)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_MEMORY);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    uint64_t usage = 0;

    test_child(cgroup, hold_memory, (void *)(uintptr_t)(24 << 20));
    for (int i = 0; i < 2000 && usage < 24 << 20; i++) {
        struct box_cgroup_stats *stats = stats_of(cgroup);
        usage = stats->memory.usage;
        box_cgroup_stats_free(stats);
        usleep(1000);
    }
    cr_assert_geq(usage, 24 << 20);
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 8 << 20, err));
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_CHECK_BEFORE_UPDATE, 1, err));
    cr_expect_eq(box_cgroup_apply(cgroup, limits, 0, &error), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.memory.limit");
}

/* ---- pids ---- */

static int fork_until_refused(void *most)
{
    for (int i = 0; i < (int)(intptr_t)most; i++) {
        pid_t pid = fork();
        if (pid == 0)
            sleep_on(NULL);
        if (pid < 0)
            return errno == EAGAIN ? i + 100 : 1;
    }
    return 2;
}

Test(cgroup_apply, a_pids_limit_makes_fork_fail)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_PIDS);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 4, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);

    cr_expect_eq(test_run(cgroup, fork_until_refused, (void *)20), 103, "one process and three children");
    struct box_cgroup_stats *stats = stats_of(cgroup);
    cr_expect_eq(stats->pids.limit, 4);
    cr_expect_eq(stats->pids.current, 3);
    cr_expect_geq(stats->pids.limit_hits, 1);
    box_cgroup_stats_free(stats);
    OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, -1, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_PIDS, "pids.max"), "max");
}

/* ---- cpu ---- */

static void apply_cpu(box_cgroup *cgroup, int64_t quota, int64_t period, int64_t burst)
{
    box_limits *limits = test_limits();

    if (quota)
        OK(box_limits_set(limits, BOX_LIMIT_CPU_QUOTA, quota, err));
    if (period)
        OK(box_limits_set(limits, BOX_LIMIT_CPU_PERIOD, period, err));
    if (burst >= 0)
        OK(box_limits_set(limits, BOX_LIMIT_CPU_BURST, burst, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    box_limits_free(limits);
}

static void expect_quota(box_cgroup *cgroup, const char *v2, const char *v1_quota, const char *v1_period)
{
    if (on_v2(cgroup, BOX_CONTROLLER_CPU)) {
        cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, "cpu.max"), v2);
    } else {
        cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, "cpu.cfs_quota_us"), v1_quota);
        cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, "cpu.cfs_period_us"), v1_period);
    }
}

Test(cgroup_apply, quota_and_period_change_one_by_one_and_together)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    apply_cpu(cgroup, 20000, 50000, -1);
    expect_quota(cgroup, "20000 50000", "20000", "50000");
    apply_cpu(cgroup, 0, 40000, -1);
    expect_quota(cgroup, "20000 40000", "20000", "40000");
    apply_cpu(cgroup, 10000, 0, -1);
    expect_quota(cgroup, "10000 40000", "10000", "40000");
    apply_cpu(cgroup, -1, 100000, -1);
    expect_quota(cgroup, "max 100000", "-1", "100000");
}

Test(cgroup_apply, a_child_stays_within_its_parents_quota_in_whatever_order)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_cgroup) box_cgroup *parent = test_create("p", 0, NULL), *child = NULL;

    apply_cpu(parent, 50000, 100000, -1);
    child = test_create("p/c", 0, NULL);
    apply_cpu(child, 5000, 10000, -1);
    apply_cpu(child, 500000, 1000000, -1);
    expect_quota(child, "500000 1000000", "500000", "1000000");
    apply_cpu(child, 5000, 10000, -1);
    expect_quota(child, "5000 10000", "5000", "10000");
}

Test(cgroup_apply, a_burst_moves_with_its_quota)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    const char *file = on_v2(cgroup, BOX_CONTROLLER_CPU) ? "cpu.max.burst" : "cpu.cfs_burst_us";

    SKIP_UNLESS(cgroup_has_file(cgroup_dir_for(cgroup, BOX_CONTROLLER_CPU)->fd, file),
                "needs a kernel with bursts");
    apply_cpu(cgroup, 50000, 100000, 40000);
    apply_cpu(cgroup, 10000, 100000, 10000);
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, file), "10000");
    apply_cpu(cgroup, 80000, 100000, 80000);
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, file), "80000");
}

Test(cgroup_apply, shares_and_weight_are_written_as_each_version_counts)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    bool v2 = on_v2(cgroup, BOX_CONTROLLER_CPU);
    const char *file = v2 ? "cpu.weight" : "cpu.shares";

    OK(box_limits_set(limits, BOX_LIMIT_CPU_SHARES, 2048, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, file), v2 ? "79" : "2048");
    OK(box_limits_set(limits, BOX_LIMIT_CPU_WEIGHT, 100, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, file), v2 ? "100" : "2598");
}

Test(cgroup_apply, a_group_goes_idle_and_back_with_its_weight)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    SKIP_UNLESS(cgroup_has_file(cgroup_dir_for(cgroup, BOX_CONTROLLER_CPU)->fd, "cpu.idle"),
                "needs cpu.idle");
    OK(box_limits_set(limits, BOX_LIMIT_CPU_SHARES, 512, err));
    OK(box_limits_set(limits, BOX_LIMIT_CPU_IDLE, 1, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, "cpu.idle"), "1");
    OK(box_limits_set(limits, BOX_LIMIT_CPU_IDLE, 0, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_CPU, "cpu.idle"), "0");
}

static int burn(void *milliseconds)
{
    struct timespec t;

    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    while (t.tv_sec * 1000 + t.tv_nsec / 1000000 < (intptr_t)milliseconds);
    return 0;
}

Test(cgroup_apply, used_time_shows_in_the_statistics)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    cr_assert_eq(test_run(cgroup, burn, (void *)60), 0);
    struct box_cgroup_stats *stats = stats_of(cgroup);
    cr_expect_geq(stats->cpu.usage_ns, 40000000);
    cr_expect_leq(stats->cpu.usage_ns, 5000000000);
    cr_expect_gt(stats->cpu.user_ns + stats->cpu.system_ns, 0);
    box_cgroup_stats_free(stats);
}

Test(cgroup_apply, a_quota_throttles_and_that_is_counted)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPU);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_set_cpus(limits, 0.1, err));
    OK(box_limits_set(limits, BOX_LIMIT_CPU_PERIOD, 20000, err));
    OK(box_limits_set(limits, BOX_LIMIT_CPU_QUOTA, 2000, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);

    cr_assert_eq(test_run(cgroup, burn, (void *)15), 0);
    struct box_cgroup_stats *stats = stats_of(cgroup);
    cr_expect_geq(stats->cpu.periods, 2);
    cr_expect_geq(stats->cpu.throttled_periods, 1);
    cr_expect_gt(stats->cpu.throttled_ns, 0);
    box_cgroup_stats_free(stats);
}

Test(cgroup_apply, a_cpu_set_can_come_later_and_its_processes_follow)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPUSET);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    cpu_set_t allowed;
    pid_t pid = test_child(cgroup, sleep_on, NULL);

    cr_expect_not(box_cgroup_has(cgroup) & BOX_CONTROLLER_CPUSET, "not one of the default controllers");
    usleep(10000);
    OK(box_limits_set_cpuset_cpus(limits, "0", err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect(box_cgroup_has(cgroup) & BOX_CONTROLLER_CPUSET);
    cr_assert_eq(sched_getaffinity(pid, sizeof(allowed), &allowed), 0);
    cr_expect_eq(CPU_COUNT(&allowed), 1);
    cr_expect(CPU_ISSET(0, &allowed));
    OK(box_limits_set_cpuset_cpus(limits, "4096", err));
    cr_expect_eq(box_cgroup_apply(cgroup, limits, 0, &error), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.cpu.cpus");
}

Test(cgroup_apply, what_an_update_added_is_found_by_a_location_that_was_saved_before)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPUSET);
    _cleanup_(box_cgroup) box_cgroup *made = test_create("x", 0, NULL), *second = NULL, *third = NULL;
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _free_ char *location = strdup(box_cgroup_location(made));

    second = box_cgroup_open(NULL, location, NULL);
    OK(box_limits_set_cpuset_cpus(limits, "0", err));
    OK(box_cgroup_apply(second, limits, 0, err));
    OK(box_cgroup_apply(made, limits, 0, err)); /* the first handle joins what the second made */
    cr_expect(box_cgroup_has(made) & BOX_CONTROLLER_CPUSET);
    third = box_cgroup_open(NULL, location, NULL);
    cr_assert_not_null(third);
    cr_expect(box_cgroup_has(third) & BOX_CONTROLLER_CPUSET);
    OK(box_cgroup_destroy(third, 1000, err));
    cr_expect_null(box_cgroup_open(NULL, test_path("x"), NULL));
}

/* ---- io ---- */

static bool disk(struct stat *st)
{
    FILE *file = fopen("/proc/diskstats", "re");
    unsigned major, minor;
    char name[64];
    bool found = false;

    while (file && !found && fscanf(file, "%u %u %63s%*[^\n]", &major, &minor, name) == 3) {
        found =
            strncmp(name, "vda", 4) == 0 || strncmp(name, "sda", 4) == 0 || strncmp(name, "nvme0n1", 8) == 0;
        if (found)
            st->st_rdev = makedev(major, minor);
    }
    if (file)
        fclose(file);
    return found;
}

Test(cgroup_apply, a_rate_for_a_disk_is_taken_and_taken_back)
{
    struct stat st;

    NEED_CONTROLLERS(BOX_CONTROLLER_IO);
    SKIP_UNLESS(disk(&st), "needs a disk");
    _cleanup_(box_limits) box_limits *limits = test_limits();
    struct box_io_rate rate = {BOX_IO_READ_BPS, major(st.st_rdev), minor(st.st_rdev), 1048576};
    OK(box_limits_set_io_rate(limits, &rate, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);
    const char *file = on_v2(cgroup, BOX_CONTROLLER_IO) ? "io.max" : "blkio.throttle.read_bps_device";

    cr_expect_not_null(strstr(test_read(cgroup, BOX_CONTROLLER_IO, file), "1048576"));
    rate.rate = 0;
    OK(box_limits_set_io_rate(limits, &rate, err));
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect_null(strstr(test_read(cgroup, BOX_CONTROLLER_IO, file), "1048576"));
}

Test(cgroup_apply, a_rate_for_a_device_that_is_not_there_names_the_field)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_IO);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;

    OK(box_limits_set_io_rate(limits, &(struct box_io_rate){BOX_IO_WRITE_IOPS, 254, 254, 10}, err));
    cr_expect_null(box_cgroup_create(NULL, test_path("x"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_ESPEC, "%s", box_error_message(error));
    cr_expect_str_eq(box_error_subject(error), "linux.resources.blockIO.throttleWriteIOPSDevice");
}

Test(cgroup_apply, read_and_written_bytes_show_in_the_statistics)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_IO);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    struct box_cgroup_stats *stats = stats_of(cgroup);

    cr_expect_eq(stats->io_total.read_bytes + stats->io_total.write_bytes, 0);
    cr_expect(stats->controllers & BOX_CONTROLLER_IO);
    box_cgroup_stats_free(stats);
}

/* ---- hugetlb ---- */

Test(cgroup_apply, huge_pages_are_limited_by_size)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_HUGETLB);
    SKIP_UNLESS(access("/sys/kernel/mm/hugepages/hugepages-2048kB", F_OK) == 0, "needs huge pages of 2 MB");
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    OK(box_limits_set_hugetlb(limits, "2MB", 8 << 20, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);
    struct box_cgroup_stats *stats = stats_of(cgroup);
    uint64_t found = 0;

    for (size_t i = 0; i < stats->hugetlb_count; i++)
        found = strcmp(stats->hugetlb[i].page_size, "2MB") == 0 ? stats->hugetlb[i].limit : found;
    cr_expect_eq(found, 8 << 20);
    box_cgroup_stats_free(stats);
    OK(box_limits_set_hugetlb(limits, "3MB", 0, err));
    cr_expect_eq(box_cgroup_apply(cgroup, limits, 0, &error), BOX_EUNSUPPORTED);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.hugepageLimits");
}

/* ---- devices ---- */

static void allow_device(box_limits *limits, int allow, char type, int64_t major, int64_t minor)
{
    OK(box_limits_add_device(limits, &(struct box_device_rule){allow, type, major, minor, 7}, err));
}

Test(cgroup_apply, a_denied_device_does_not_open_and_an_allowed_one_does)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_DEVICES);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    allow_device(limits, 0, 'a', -1, -1);
    allow_device(limits, 1, 'c', 1, 3);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);

    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), 0);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), EPERM);
    cr_expect_eq(box_cgroup_not_applied(cgroup), 0);
}

Test(cgroup_apply, docker_default_devices_are_the_harmless_ones)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_DEVICES);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_add_default_devices(limits, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);
    static const char *const open_to_all[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random",
                                              "/dev/urandom"};

    for (size_t i = 0; i < BOX_ARRAY(open_to_all); i++)
        cr_expect_eq(test_run(cgroup, open_errno, (void *)open_to_all[i]), 0, "%s", open_to_all[i]);
    if (access("/dev/kmsg", F_OK) == 0)
        cr_expect_eq(test_run(cgroup, open_errno, "/dev/kmsg"), EPERM);
}

static int open_for_a_while(void *lost)
{
    for (int i = 0; i < 4000; i++) {
        if (open_errno("/dev/null") != 0)
            __atomic_store_n((uint64_t *)lost, 2, __ATOMIC_SEQ_CST);
        if (i == 10)
            __atomic_store_n((uint64_t *)lost + 1, 1, __ATOMIC_SEQ_CST);
        usleep(10);
    }
    return 0;
}

Test(cgroup_apply, an_update_of_the_devices_never_takes_away_what_stays_allowed)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_DEVICES);
    _cleanup_(box_limits) box_limits *first = test_limits(), *second = test_limits();
    allow_device(first, 0, 'a', -1, -1);
    allow_device(first, 1, 'c', 1, 3);
    allow_device(first, 1, 'c', 1, 7);
    allow_device(second, 0, 'a', -1, -1);
    allow_device(second, 1, 'c', 1, 5);
    allow_device(second, 1, 'c', 1, 3);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, first);
    uint64_t *seen = shared_counter();
    pid_t pid = test_child(cgroup, open_for_a_while, seen);

    while (__atomic_load_n(seen + 1, __ATOMIC_SEQ_CST) == 0 && kill(pid, 0) == 0)
        usleep(100);
    for (int i = 0; i < 50; i++)
        OK(box_cgroup_apply(cgroup, i % 2 ? first : second, 0, err));
    OK(box_cgroup_apply(cgroup, second, 0, err));
    cr_expect_eq(test_wait(pid), 0);
    cr_expect_eq(counter_now(seen), 0);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/zero"), 0);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), EPERM, "no longer allowed");
}

Test(cgroup_apply, everything_can_be_allowed_again)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_DEVICES);
    _cleanup_(box_limits) box_limits *none = test_limits(), *all = test_limits(), *but = test_limits();
    allow_device(none, 0, 'a', -1, -1);
    allow_device(all, 1, 'a', -1, -1);
    allow_device(but, 0, 'c', 1, 7);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, none);

    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), EPERM);
    OK(box_cgroup_apply(cgroup, all, 0, err));
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), 0);
    OK(box_cgroup_apply(cgroup, but, 0, err));
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), EPERM);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), 0);
}

/* ---- what cannot be had ---- */

Test(cgroup_apply, a_limit_without_controller_names_the_field_or_is_left_out_on_request)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    unsigned has = box_cgroup_controllers(NULL, test_path("x"));

    SKIP_UNLESS(has != 0 && !(has & BOX_CONTROLLER_NET_CLS), "needs a host without net_cls");
    OK(box_limits_set(limits, BOX_LIMIT_NET_CLASS_ID, 0x100001, err));
    cr_expect_null(box_cgroup_create(NULL, test_path("x"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_EUNSUPPORTED);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.network.classID");
    cr_expect_neq(*box_error_remedy(error), '\0');
    box_cgroup *cgroup = box_cgroup_create(NULL, test_path("x"), 0, limits, BOX_CGROUP_LENIENT, NULL);
    cr_assert_not_null(cgroup);
    cr_expect_eq(box_cgroup_not_applied(cgroup), BOX_CONTROLLER_NET_CLS);
    box_cgroup_free(cgroup);
}

Test(cgroup_apply, a_raw_file_of_no_controller_is_told)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;

    SKIP_UNLESS(box_cgroup_controllers(NULL, test_path("x")) != 0, "may make no cgroups here");
    OK(box_limits_set_raw(limits, "nosuch.limit", "1", err));
    cr_expect_null(box_cgroup_create(NULL, test_path("x"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_EUNSUPPORTED);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.unified.nosuch.limit");
}

Test(cgroup_apply, nothing_is_written_when_one_limit_cannot_be_had)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_PIDS);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    _cleanup_(box_limits) box_limits *limits = test_limits();

    OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 5, err));
    OK(box_limits_set_raw(limits, "nosuch.limit", "1", err));
    cr_expect_eq(box_cgroup_apply(cgroup, limits, 0, NULL), BOX_EUNSUPPORTED);
    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_PIDS, "pids.max"), "max");
}

Test(cgroup_apply, raw_limits_of_several_lines_are_several_writes)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_UNIFIED);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_set_raw(limits, "cgroup.max.depth", "3\n7\n", err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);

    cr_expect_str_eq(test_read(cgroup, BOX_CONTROLLER_UNIFIED, "cgroup.max.depth"), "7");
}

/* ---- pressure ---- */

Test(cgroup_apply, pressure_is_read_or_the_remedy_told)
{
    SKIP_UNLESS(box_cgroup_controllers(NULL, test_path("x")) != 0, "may make no cgroups here");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    _cleanup_(box_error) box_error *error = NULL;
    struct box_pressure pressure = {.some = {.avg10 = -1}};

    for (int kind = BOX_PRESSURE_CPU; kind <= BOX_PRESSURE_IO; kind++) {
        int r = box_cgroup_pressure(cgroup, (enum box_pressure_kind)kind, &pressure, &error);
        if (r == 0) {
            cr_expect_geq(pressure.some.avg10, 0);
        } else {
            cr_expect_eq(r, BOX_EUNSUPPORTED);
            cr_expect_not_null(strstr(box_error_remedy(error), "PSI"));
            box_error_free(error);
            error = NULL;
        }
    }
    cr_expect_eq(box_cgroup_pressure(cgroup, (enum box_pressure_kind)3, &pressure, NULL), BOX_EINVAL);
}
