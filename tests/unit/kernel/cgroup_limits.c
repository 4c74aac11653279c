/* The builder of limits: ranges, lists, merging, conversions. */
#include "cgroup_help.h"

Test(cgroup_limits, shares_convert_as_oci_says)
{
    cr_expect_eq(box_cpu_shares_to_weight(2), 1);
    cr_expect_eq(box_cpu_shares_to_weight(1024), 39);
    cr_expect_eq(box_cpu_shares_to_weight(262144), 10000);
    cr_expect_eq(box_cpu_shares_to_weight(0), 0, "not set stays not set");
    cr_expect_eq(box_cpu_shares_to_weight(1), 1);
    cr_expect_eq(box_cpu_shares_to_weight(UINT64_MAX), 10000);
}

Test(cgroup_limits, every_weight_survives_the_way_to_shares_and_back)
{
    for (uint64_t weight = 1; weight <= 10000; weight++)
        cr_assert_eq(box_cpu_shares_to_weight(box_cpu_weight_to_shares(weight)), weight, "weight %ju",
                     (uintmax_t)weight);
}

Test(cgroup_limits, io_weights_cover_the_whole_range_of_v2)
{
    cr_expect_eq(box_io_weight_to_v2(10), 1);
    cr_expect_eq(box_io_weight_to_v2(1000), 10000);
    cr_expect_eq(box_io_weight_to_v2(500), 4950);
    cr_expect_eq(box_io_weight_to_v2(0), 0);
}

Test(cgroup_limits, a_value_out_of_range_names_the_field)
{
    static const struct {
        enum box_limit limit;
        int64_t value;
        const char *field;
    } bad[] = {
        {BOX_LIMIT_CPU_SHARES, 1, "linux.resources.cpu.shares"},
        {BOX_LIMIT_CPU_SHARES, 262145, "linux.resources.cpu.shares"},
        {BOX_LIMIT_CPU_WEIGHT, 0, "linux.resources.unified.cpu.weight"},
        {BOX_LIMIT_CPU_QUOTA, 999, "linux.resources.cpu.quota"},
        {BOX_LIMIT_CPU_PERIOD, 1000001, "linux.resources.cpu.period"},
        {BOX_LIMIT_MEMORY_MAX, 4095, "linux.resources.memory.limit"},
        {BOX_LIMIT_MEMORY_SWAPPINESS, 101, "linux.resources.memory.swappiness"},
        {BOX_LIMIT_CPU_IDLE, -1, "linux.resources.cpu.idle"},
        {BOX_LIMIT_IO_WEIGHT, 9, "linux.resources.blockIO.weight"},
        {BOX_LIMIT_NET_CLASS_ID, 1ll << 32, "linux.resources.network.classID"},
    };
    _cleanup_(box_limits) box_limits *limits = test_limits();

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *error = NULL;
        cr_expect_eq(box_limits_set(limits, bad[i].limit, bad[i].value, &error), BOX_ESPEC, "case %zu", i);
        cr_expect_str_eq(box_error_subject(error), bad[i].field, "case %zu", i);
        cr_expect_eq(box_limits_get(limits, bad[i].limit, NULL), 0, "case %zu: left unset", i);
    }
    cr_expect_eq(box_limits_set(limits, (enum box_limit)BOX_LIMIT_COUNT, 1, NULL), BOX_EINVAL);
    cr_expect_eq(box_limits_set(limits, (enum box_limit) - 1, 1, NULL), BOX_EINVAL);
}

Test(cgroup_limits, what_is_set_is_read_back_and_can_be_unset)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();

    for (int i = 0; i < BOX_LIMIT_COUNT; i++) {
        const struct box_limit_info *info = &box_limit_table[i];
        int64_t values[] = {info->min, info->max, info->unlimited ? -1 : info->min}, value;

        for (size_t j = 0; j < BOX_ARRAY(values); j++) {
            OK(box_limits_set(limits, (enum box_limit)i, values[j], err));
            cr_expect_eq(box_limits_get(limits, (enum box_limit)i, &value), 1);
            cr_expect_eq(value, values[j], "%s", info->field);
        }
        box_limits_unset(limits, (enum box_limit)i);
        cr_expect_eq(box_limits_get(limits, (enum box_limit)i, NULL), 0, "%s", info->field);
    }
    cr_expect_eq(box_limits_controllers(limits), 0);
}

Test(cgroup_limits, zero_where_no_limit_can_be_zero_is_kept_but_asks_for_nothing)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    int64_t value = 7;

    OK(box_limits_set(limits, BOX_LIMIT_CPU_SHARES, 0, err));
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 0, err));
    cr_expect_eq(box_limits_get(limits, BOX_LIMIT_CPU_SHARES, &value), 1);
    cr_expect_eq(value, 0);
    cr_expect_eq(box_limits_controllers(limits), 0);
}

Test(cgroup_limits, limits_of_v2_alone_live_in_the_unified_map)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    int64_t value;

    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_HIGH, 1 << 20, err));
    OK(box_limits_set(limits, BOX_LIMIT_SWAP_MAX, -1, err));
    cr_expect_str_eq(box_limits_raw(limits, "memory.high"), "1048576");
    cr_expect_str_eq(box_limits_raw(limits, "memory.swap.max"), "max");
    OK(box_limits_set_raw(limits, "memory.high", "2048\n", err));
    cr_expect_eq(box_limits_get(limits, BOX_LIMIT_MEMORY_HIGH, &value), 1);
    cr_expect_eq(value, 2048);
    OK(box_limits_set_raw(limits, "memory.high", "2k", err));
    cr_expect_eq(box_limits_get(limits, BOX_LIMIT_MEMORY_HIGH, &value), 0, "not a number that we can tell");
    cr_expect_eq(box_limits_controllers(limits), BOX_CONTROLLER_MEMORY);
}

Test(cgroup_limits, raw_files_that_are_no_limits_or_no_plain_names_are_refused)
{
    static const char *const bad[] = {
        "",           "memory",      "../memory.max",         "memory.max/..", "/memory.max",
        ".hidden.x",  "cgroup.kill", "cgroup.procs",          "cgroup.freeze", "cgroup.threads",
        "memory max", "a.\nb",       "cgroup.subtree_control"};
    _cleanup_(box_limits) box_limits *limits = test_limits();

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_expect_eq(box_limits_set_raw(limits, bad[i], "1", NULL), BOX_ESPEC, "\"%s\"", bad[i]);
    cr_expect_null(box_limits_raw_at(limits, 0));
    OK(box_limits_set_raw(limits, "cgroup.max.depth", "3", err));
}

Test(cgroup_limits, cpu_lists_are_checked)
{
    static const char *const good[] = {"0", "0-3", "0,2,4-6", "0-31:1/4", "1000"};
    static const char *const bad[] = {"0-",   "-1",   "3-1",   "a",   "0,", ",0",       "0 1",
                                      "0..3", "0-3:", "0-3:1", "0\n", "+1", "99999999", "0x1"};
    _cleanup_(box_limits) box_limits *limits = test_limits();

    for (size_t i = 0; i < BOX_ARRAY(good); i++) {
        OK(box_limits_set_cpuset_cpus(limits, good[i], err));
        cr_expect_str_eq(box_limits_cpuset_cpus(limits), good[i]);
    }
    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_expect_eq(box_limits_set_cpuset_mems(limits, bad[i], NULL), BOX_ESPEC, "\"%s\"", bad[i]);
    OK(box_limits_set_cpuset_cpus(limits, NULL, err));
    cr_expect_null(box_limits_cpuset_cpus(limits));
}

Test(cgroup_limits, cpus_become_a_quota)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    int64_t quota, period;

    OK(box_limits_set_cpus(limits, 1.5, err));
    box_limits_get(limits, BOX_LIMIT_CPU_QUOTA, &quota);
    box_limits_get(limits, BOX_LIMIT_CPU_PERIOD, &period);
    cr_expect_eq(quota, 150000);
    cr_expect_eq(period, 100000);
    cr_expect_eq(box_limits_set_cpus(limits, 0.001, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_cpus(limits, -1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_cpus(limits, 0.0 / 0.0, NULL), BOX_ESPEC);
}

Test(cgroup_limits, list_entries_are_replaced_by_key)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();

    OK(box_limits_set_io_rate(limits, &(struct box_io_rate){BOX_IO_READ_BPS, 8, 0, 100}, err));
    OK(box_limits_set_io_rate(limits, &(struct box_io_rate){BOX_IO_WRITE_BPS, 8, 0, 200}, err));
    OK(box_limits_set_io_rate(limits, &(struct box_io_rate){BOX_IO_READ_BPS, 8, 0, 300}, err));
    cr_expect_eq(box_limits_io_rate_at(limits, 0)->rate, 300);
    cr_expect_eq(box_limits_io_rate_at(limits, 1)->rate, 200);
    cr_expect_null(box_limits_io_rate_at(limits, 2));
    OK(box_limits_set_hugetlb(limits, "2MB", 1, err));
    OK(box_limits_set_hugetlb(limits, "1GB", 2, err));
    OK(box_limits_set_hugetlb(limits, "2MB", UINT64_MAX, err));
    cr_expect_eq(box_limits_hugetlb_at(limits, 0)->bytes, UINT64_MAX);
    cr_expect_null(box_limits_hugetlb_at(limits, 2));
    OK(box_limits_set_net_priority(limits, "eth0", 3, err));
    OK(box_limits_set_net_priority(limits, "eth0", 4, err));
    cr_expect_eq(box_limits_net_priority_at(limits, 0)->priority, 4);
    cr_expect_null(box_limits_net_priority_at(limits, 1));
    OK(box_limits_set_rdma(limits, "mlx5_1", 3, -1, err));
    OK(box_limits_set_io_weight(limits, &(struct box_io_weight){8, 0, 500, -1}, err));
    cr_expect_eq(box_limits_controllers(limits),
                 BOX_CONTROLLER_IO | BOX_CONTROLLER_HUGETLB | BOX_CONTROLLER_NET_PRIO | BOX_CONTROLLER_RDMA);
}

Test(cgroup_limits, wrong_list_entries_are_refused)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();

    cr_expect_eq(box_limits_set_hugetlb(limits, "2M", 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_hugetlb(limits, "../x", 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_hugetlb(limits, "MB", 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_hugetlb(limits, NULL, 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_rdma(limits, "a b", 1, 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_rdma(limits, "a", 1ll << 32, 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_net_priority(limits, "sixteencharacters", 1, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_io_rate(limits, &(struct box_io_rate){7, 8, 0, 1}, NULL), BOX_EINVAL);
    cr_expect_eq(box_limits_set_io_rate(limits, &(struct box_io_rate){0, -1, 0, 1}, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_set_io_weight(limits, &(struct box_io_weight){8, 0, 5, -1}, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_add_device(limits, &(struct box_device_rule){1, 'x', 1, 1, 7}, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_add_device(limits, &(struct box_device_rule){1, 'c', 1, 1, 8}, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_add_device(limits, &(struct box_device_rule){1, 'c', -2, 1, 7}, NULL), BOX_ESPEC);
    cr_expect_eq(box_limits_controllers(limits), 0);
}

Test(cgroup_limits, a_merge_replaces_what_is_set_and_keeps_the_rest)
{
    _cleanup_(box_limits) box_limits *limits = test_limits(), *update = test_limits();
    int64_t value;

    OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 10, err));
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 1 << 20, err));
    OK(box_limits_set_cpuset_cpus(limits, "0", err));
    OK(box_limits_add_default_devices(limits, err));
    OK(box_limits_set_raw(limits, "memory.high", "1", err));
    OK(box_limits_set(update, BOX_LIMIT_PIDS_MAX, -1, err));
    OK(box_limits_add_device(update, &(struct box_device_rule){0, 'a', -1, -1, 7}, err));
    OK(box_limits_set_raw(update, "memory.low", "2", err));
    OK(box_limits_merge(limits, update, err));
    box_limits_get(limits, BOX_LIMIT_PIDS_MAX, &value);
    cr_expect_eq(value, -1);
    box_limits_get(limits, BOX_LIMIT_MEMORY_MAX, &value);
    cr_expect_eq(value, 1 << 20);
    cr_expect_str_eq(box_limits_cpuset_cpus(limits), "0");
    cr_expect_not_null(box_limits_device_at(limits, 0));
    cr_expect_null(box_limits_device_at(limits, 1), "device rules are one list: replaced as a whole");
    cr_expect_str_eq(box_limits_raw(limits, "memory.high"), "1");
    cr_expect_str_eq(box_limits_raw(limits, "memory.low"), "2");
    OK(box_limits_merge(limits, NULL, err));
    OK(box_limits_merge(limits, limits, err));
}

Test(cgroup_limits, a_copy_shares_nothing)
{
    _cleanup_(box_limits) box_limits *limits = test_limits(), *copy = NULL;

    OK(box_limits_set_raw(limits, "memory.high", "1", err));
    OK(box_limits_set_hugetlb(limits, "2MB", 5, err));
    copy = box_limits_copy(limits, NULL);
    OK(box_limits_set_raw(limits, "memory.high", "2", err));
    OK(box_limits_set_hugetlb(limits, "2MB", 6, err));
    cr_expect_str_eq(box_limits_raw(copy, "memory.high"), "1");
    cr_expect_eq(box_limits_hugetlb_at(copy, 0)->bytes, 5);
}

Test(cgroup_limits, contradictions_name_the_field)
{
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *swap = NULL, *low = NULL, *burst = NULL;

    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 1 << 20, err));
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_AND_SWAP, 1 << 19, err));
    cr_expect_eq(box_limits_check(limits, &swap), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(swap), "linux.resources.memory.swap");
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_AND_SWAP, -1, err));
    OK(box_limits_set(limits, BOX_LIMIT_MEMORY_LOW, 1 << 21, err));
    cr_expect_eq(box_limits_check(limits, &low), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(low), "linux.resources.memory.reservation");
    box_limits_unset(limits, BOX_LIMIT_MEMORY_LOW);
    OK(box_limits_check(limits, err));
    OK(box_limits_set(limits, BOX_LIMIT_CPU_QUOTA, 10000, err));
    OK(box_limits_set(limits, BOX_LIMIT_CPU_BURST, 20000, err));
    cr_expect_eq(box_limits_check(limits, &burst), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(burst), "linux.resources.cpu.burst");
}

Test(cgroup_limits, nothing_is_a_valid_answer_to_no_limits)
{
    cr_expect_eq(box_limits_get(NULL, BOX_LIMIT_PIDS_MAX, NULL), 0);
    cr_expect_null(box_limits_raw(NULL, "memory.high"));
    cr_expect_null(box_limits_device_at(NULL, 0));
    cr_expect_eq(box_limits_set(NULL, BOX_LIMIT_PIDS_MAX, 1, NULL), BOX_EINVAL);
    cr_expect_eq(box_limits_controllers(NULL), 0);
    box_limits_free(NULL);
    box_limits_unset(NULL, BOX_LIMIT_PIDS_MAX);
}
