#include <criterion/criterion.h>

#include <string.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <libbox/capability.h>
#include <libbox/sched.h>

#include "base/fail.h"

Test(sched, policies_flags_and_classes_have_ocis_names)
{
    uint64_t flag;

    for (int p = BOX_SCHED_OTHER; p <= BOX_SCHED_DEADLINE; p++)
        cr_assert_eq(box_sched_policy_number(box_sched_policy_name(p), NULL), p);
    for (int c = BOX_IOPRIO_NONE; c <= BOX_IOPRIO_IDLE; c++)
        cr_assert_eq(box_ioprio_class_number(box_ioprio_class_name(c), NULL), c);
    for (uint64_t bit = 1; bit <= BOX_SCHED_FLAG_UTIL_CLAMP_MAX; bit <<= 1) {
        cr_assert_eq(box_sched_flag_number(box_sched_flag_name(bit), &flag, NULL), 0);
        cr_assert_eq(flag, bit);
    }
    cr_assert_str_eq(box_sched_policy_name(BOX_SCHED_DEADLINE), "SCHED_DEADLINE");
    cr_assert_str_eq(box_sched_flag_name(BOX_SCHED_FLAG_KEEP_PARAMS), "SCHED_FLAG_KEEP_PARAMS");
    cr_assert_null(box_sched_policy_name(7));
    cr_assert_null(box_sched_flag_name(3));
    cr_assert_eq(box_sched_policy_number("sched_fifo", NULL), BOX_EPARSE);
    cr_assert_eq(box_sched_flag_number("", &flag, NULL), BOX_EPARSE);
    cr_assert_eq(box_ioprio_class_number(NULL, NULL), BOX_EPARSE);
}

Test(sched, a_field_that_does_not_fit_the_policy_is_named)
{
    const struct {
        struct box_scheduler s;
        const char *field;
    } bad[] = {
        {{.policy = 7}, "policy"},
        {{.policy = BOX_SCHED_OTHER, .nice = -21}, "nice"},
        {{.policy = BOX_SCHED_OTHER, .nice = 20}, "nice"},
        {{.policy = BOX_SCHED_FIFO, .nice = 1, .priority = 1}, "nice"},
        {{.policy = BOX_SCHED_OTHER, .priority = 1}, "priority"},
        {{.policy = BOX_SCHED_RR}, "priority"},
        {{.policy = BOX_SCHED_RR, .priority = 100}, "priority"},
        {{.policy = BOX_SCHED_OTHER, .flags = UINT64_C(1) << 40}, "flags"},
        {{.policy = BOX_SCHED_OTHER, .flags = BOX_SCHED_FLAG_UTIL_CLAMP_MIN}, "flags"},
        {{.policy = BOX_SCHED_BATCH, .runtime = 5}, "runtime, deadline, period"},
        {{.policy = BOX_SCHED_DEADLINE, .runtime = 1023, .deadline = 2000}, "runtime"},
        {{.policy = BOX_SCHED_DEADLINE, .runtime = 3000, .deadline = 2000}, "deadline"},
        {{.policy = BOX_SCHED_DEADLINE, .runtime = 2000, .deadline = 4000, .period = 3000}, "deadline"},
        {{.policy = BOX_SCHED_DEADLINE, .runtime = 2000, .deadline = 4000, .period = UINT64_MAX}, "period"},
    };

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *err = NULL;
        cr_assert_eq(box_scheduler_check(&bad[i].s, &err), BOX_ESPEC, "case %zu", i);
        cr_assert_str_eq(box_error_subject(err), bad[i].field, "case %zu", i);
    }
    struct box_scheduler iso = {.policy = BOX_SCHED_ISO};
    cr_assert_eq(box_scheduler_check(&iso, NULL), BOX_EUNSUPPORTED);
    struct box_scheduler good = {.policy = BOX_SCHED_DEADLINE, .runtime = 2000, .deadline = 4000};
    cr_assert_eq(box_scheduler_check(&good, NULL), 0);
}

Test(sched, a_scheduler_that_is_set_reads_back_the_same)
{
    struct box_scheduler s = {.policy = BOX_SCHED_BATCH, .nice = 7, .flags = BOX_SCHED_FLAG_RESET_ON_FORK},
                         now;

    cr_assert_eq(box_scheduler_apply(0, &s, NULL), 0);
    cr_assert_eq(box_scheduler_read(getpid(), &now, NULL), 0);
    cr_assert_eq(now.policy, BOX_SCHED_BATCH);
    cr_assert_eq(now.nice, 7);
    cr_assert_eq(now.flags, BOX_SCHED_FLAG_RESET_ON_FORK);
    cr_assert_eq(now.runtime, 0);
    cr_assert_eq(box_scheduler_apply(0x7fffffff, &s, NULL), BOX_ENOTFOUND);
}

static void give_up_privilege(void)
{
    struct box_capset none = {0};
    struct rlimit zero = {0};

    if (getuid() == 0)
        cr_assert_eq(box_capset_apply(&none, NULL), 0);
    setrlimit(RLIMIT_NICE, &zero);
    setrlimit(RLIMIT_RTPRIO, &zero);
}

Test(sched, a_real_time_policy_without_privilege_says_what_is_needed)
{
    struct box_scheduler s = {.policy = BOX_SCHED_FIFO, .priority = 5};
    _cleanup_(box_error) box_error *err = NULL;

    give_up_privilege();
    cr_assert_eq(box_scheduler_apply(0, &s, &err), BOX_EPERMISSION);
    cr_assert_not_null(strstr(box_error_remedy(err), "CAP_SYS_NICE"));
}

Test(sched, an_io_priority_that_is_set_reads_back_the_same)
{
    struct box_ioprio p = {.ioclass = BOX_IOPRIO_BE, .level = 6}, now;

    cr_assert_eq(box_ioprio_apply(0, &p, NULL), 0);
    cr_assert_eq(box_ioprio_read(0, &now, NULL), 0);
    cr_assert_eq(now.ioclass, BOX_IOPRIO_BE);
    cr_assert_eq(now.level, 6);
}

Test(sched, impossible_io_priorities_are_refused)
{
    struct box_ioprio bad[] = {{BOX_IOPRIO_BE, 8}, {4, 0}, {-1, 0}, {BOX_IOPRIO_NONE, 1}};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_assert_eq(box_ioprio_apply(0, &bad[i], NULL), BOX_ESPEC, "case %zu", i);
    struct box_ioprio rt = {BOX_IOPRIO_RT, 0};
    give_up_privilege();
    cr_assert_eq(box_ioprio_apply(0, &rt, NULL), BOX_EPERMISSION);
}

static void assert_list(const char *list, const char *again)
{
    _free_ uint64_t *mask = NULL;
    size_t words;

    cr_assert_eq(box_cpu_list_parse(list, &mask, &words, NULL), 0, "%s", list);
    _free_ char *text = box_cpu_list_format(mask, words);
    cr_assert_str_eq(text, again);
}

Test(sched, lists_of_cpus_are_read_and_written)
{
    assert_list("0", "0");
    assert_list("0-3,7", "0-3,7");
    assert_list("7,0-3,2", "0-3,7");
    assert_list("8-14:2", "8,10,12,14");
    assert_list("63,64", "63-64");
    assert_list("0-127", "0-127");
    assert_list("65535", "65535");
}

Test(sched, malformed_lists_of_cpus_are_refused)
{
    const char *bad[] = {"",      ",",   "0,",  ",0",    "3-1", "1-",  "-1",      "a",    "0x3",
                         "0-3:0", "0:2", "0 1", "0-3-5", " 0",  "0\n", "0-3:2:2", "0-3:", "+1"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        uint64_t *mask = NULL;
        size_t words;
        cr_assert_eq(box_cpu_list_parse(bad[i], &mask, &words, NULL), BOX_EPARSE, "%s", bad[i]);
        cr_assert_null(mask);
    }
    const char *big[] = {"65536", "0-99999999999999999999", "18446744073709551615"};
    for (size_t i = 0; i < BOX_ARRAY(big); i++) {
        uint64_t *mask = NULL;
        size_t words;
        cr_assert_eq(box_cpu_list_parse(big[i], &mask, &words, NULL), BOX_ELIMIT, "%s", big[i]);
    }
}

Test(sched, an_affinity_that_is_set_reads_back_the_same)
{
    _free_ uint64_t *before = NULL, *after = NULL;
    size_t n, m;

    cr_assert_eq(box_affinity_read(0, &before, &n, NULL), 0);
    size_t cpu = 0;
    while (!(before[cpu / 64] >> cpu % 64 & 1))
        cpu++;
    uint64_t one[16] = {0};
    one[cpu / 64] = UINT64_C(1) << cpu % 64;
    cr_assert_eq(box_affinity_apply(0, one, 16, NULL), 0);
    cr_assert_eq(box_affinity_read(0, &after, &m, NULL), 0);
    for (size_t i = 0; i < m; i++)
        cr_assert_eq(after[i], i < 16 ? one[i] : 0);
}

Test(sched, an_affinity_without_a_cpu_that_exists_is_a_mistake_in_the_spec)
{
    _free_ uint64_t *mask = NULL;
    size_t words;
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_cpu_list_parse("65000", &mask, &words, NULL), 0);
    cr_assert_eq(box_affinity_apply(0, mask, words, &err), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(err), "65000");
}

Test(sched, the_oom_score_is_set_within_its_bounds)
{
    int now, before;

    cr_assert_eq(box_oom_score_adj_read(0, &before, NULL), 0);
    cr_assert_eq(box_oom_score_adj_apply(0, 1000, NULL), 0);
    cr_assert_eq(box_oom_score_adj_read(getpid(), &now, NULL), 0);
    cr_assert_eq(now, 1000);
    cr_assert_eq(box_oom_score_adj_apply(0, 1001, NULL), BOX_ESPEC);
    cr_assert_eq(box_oom_score_adj_apply(0, -1001, NULL), BOX_ESPEC);
    cr_assert_eq(box_oom_score_adj_read(0x7fffffff, &now, NULL), BOX_ENOTFOUND);
}

Test(sched, lowering_the_oom_score_without_privilege_says_what_is_needed)
{
    _cleanup_(box_error) box_error *err = NULL;

    give_up_privilege();
    cr_assert_eq(box_oom_score_adj_apply(0, -1000, &err), BOX_EPERMISSION);
    cr_assert_not_null(strstr(box_error_remedy(err), "CAP_SYS_RESOURCE"));
}

Test(sched, execution_domains_have_ocis_names)
{
    unsigned long domain;
    struct utsname u;

    cr_assert_eq(box_personality_number("LINUX32", &domain, NULL), 0);
    cr_assert_eq(domain, PER_LINUX32);
    cr_assert_str_eq(box_personality_name(domain), "LINUX32");
    cr_assert_eq(box_personality_apply(domain, NULL), 0);
    cr_assert_eq(uname(&u), 0);
    cr_assert_str_neq(u.machine, "x86_64");
    cr_assert_eq(box_personality_number("LINUX", &domain, NULL), 0);
    cr_assert_eq(domain, PER_LINUX);
    cr_assert_eq(box_personality_number("BSD", &domain, NULL), BOX_EPARSE);
    cr_assert_null(box_personality_name(6));
}
