#include <criterion/criterion.h>

#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <libbox/capability.h>
#include <libbox/rlimit.h>

#include "base/fail.h"

Test(rlimit, each_resource_has_the_name_of_oci_and_that_of_docker)
{
    for (int r = 0; r < (int)RLIM_NLIMITS; r++) {
        cr_assert_eq(box_rlimit_number(box_rlimit_name(r), NULL), r);
        cr_assert_eq(box_rlimit_number(box_rlimit_short_name(r), NULL), r);
    }
    cr_assert_eq(box_rlimit_number("NOFILE", NULL), RLIMIT_NOFILE);
    cr_assert_null(box_rlimit_name(-1));
    cr_assert_null(box_rlimit_name(RLIM_NLIMITS));
    cr_assert_eq(box_rlimit_number("RLIMIT_", NULL), BOX_EPARSE);
    cr_assert_eq(box_rlimit_number(NULL, NULL), BOX_EPARSE);
}

static void assert_parses(const char *text, int resource, uint64_t soft, uint64_t hard)
{
    struct box_rlimit l;

    cr_assert_eq(box_rlimit_parse(text, &l, NULL), 0, "%s", text);
    cr_assert_eq(l.resource, resource, "%s", text);
    cr_assert_eq(l.soft, soft, "%s", text);
    cr_assert_eq(l.hard, hard, "%s", text);
}

Test(rlimit, dockers_form_is_read)
{
    assert_parses("nofile=1024:2048", RLIMIT_NOFILE, 1024, 2048);
    assert_parses("nofile=1024", RLIMIT_NOFILE, 1024, 1024);
    assert_parses("core=0:-1", RLIMIT_CORE, 0, BOX_RLIMIT_UNLIMITED);
    assert_parses("memlock=-1", RLIMIT_MEMLOCK, BOX_RLIMIT_UNLIMITED, BOX_RLIMIT_UNLIMITED);
    assert_parses("RLIMIT_STACK=unlimited", RLIMIT_STACK, BOX_RLIMIT_UNLIMITED, BOX_RLIMIT_UNLIMITED);
    assert_parses("fsize=5:infinity", RLIMIT_FSIZE, 5, BOX_RLIMIT_UNLIMITED);
}

Test(rlimit, malformed_limits_are_refused)
{
    const char *bad[] = {
        "",          "nofile",    "nofile=",   "nofile=:",     "nofile=1:",
        "nofile=:1", "nofile= 1", "nofile=+1", "nofile=1:2:3", "nofile=-2",
        "nofile=1k", "files=1",   "=1",        "nofile=0x5",   "nofile=18446744073709551616"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct box_rlimit l;
        cr_assert_eq(box_rlimit_parse(bad[i], &l, NULL), BOX_EPARSE, "%s", bad[i]);
    }
    struct box_rlimit l;
    cr_assert_eq(box_rlimit_parse(NULL, &l, NULL), BOX_EPARSE);
}

Test(rlimit, a_soft_limit_above_the_hard_one_is_a_mistake_in_the_spec)
{
    _cleanup_(box_error) box_error *err = NULL;
    struct box_rlimit l;

    cr_assert_eq(box_rlimit_parse("nofile=2:1", &l, &err), BOX_ESPEC);
    cr_assert_str_eq(box_error_subject(err), "RLIMIT_NOFILE");
    cr_assert_eq(box_rlimit_parse("nofile=-1:1", &l, NULL), BOX_ESPEC);
}

Test(rlimit, what_is_written_reads_back_the_same)
{
    struct box_rlimit l = {RLIMIT_NPROC, 10, BOX_RLIMIT_UNLIMITED};
    _free_ char *text = box_rlimit_format(&l);

    cr_assert_str_eq(text, "nproc=10:-1");
    assert_parses(text, l.resource, l.soft, l.hard);
    l.resource = 99;
    cr_assert_null(box_rlimit_format(&l));
}

Test(rlimit, limits_are_applied_in_order_and_read_back)
{
    struct box_rlimit l[] = {{RLIMIT_CORE, 0, 0}, {RLIMIT_NOFILE, 100, 200}, {RLIMIT_NOFILE, 90, 100}}, now;

    cr_assert_eq(box_rlimit_apply(0, l, 3, NULL), 0);
    cr_assert_eq(box_rlimit_read(0, RLIMIT_NOFILE, &now, NULL), 0);
    cr_assert_eq(now.soft, 90);
    cr_assert_eq(now.hard, 100);
    cr_assert_eq(box_rlimit_read(getpid(), RLIMIT_CORE, &now, NULL), 0);
    cr_assert_eq(now.hard, 0);
}

Test(rlimit, raising_a_hard_limit_without_privilege_tells_the_limit_that_there_is)
{
    struct box_capset none = {0};
    struct box_rlimit low = {RLIMIT_NOFILE, 64, 64}, high = {RLIMIT_NOFILE, 64, 128};
    _cleanup_(box_error) box_error *err = NULL;

    if (getuid() == 0)
        cr_assert_eq(box_capset_apply(&none, NULL), 0);
    cr_assert_eq(box_rlimit_apply(0, &low, 1, NULL), 0);
    cr_assert_eq(box_rlimit_apply(0, &high, 1, &err), BOX_EPERMISSION);
    cr_assert_not_null(strstr(box_error_message(err), "nofile=64:128"));
    cr_assert_not_null(strstr(box_error_message(err), "nofile=64:64"));
    cr_assert_not_null(strstr(box_error_remedy(err), "CAP_SYS_RESOURCE"));
}

Test(rlimit, the_limit_of_a_process_that_is_gone_is_not_found)
{
    struct box_rlimit l = {RLIMIT_CORE, 0, 0};

    cr_assert_eq(box_rlimit_apply(0x7fffffff, &l, 1, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_rlimit_read(0x7fffffff, RLIMIT_CORE, &l, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_rlimit_read(0, 99, &l, NULL), BOX_ESPEC);
}
