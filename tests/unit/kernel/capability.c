#include <criterion/criterion.h>

#include <cap-ng.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <libbox/capability.h>

#include "base/fail.h"

#define CAP(x) BOX_CAP_MASK(CAP_##x)

Test(capability, names_are_taken_in_any_case_with_or_without_the_prefix)
{
    cr_assert_eq(box_capability_number("CAP_NET_ADMIN", NULL), CAP_NET_ADMIN);
    cr_assert_eq(box_capability_number("net_admin", NULL), CAP_NET_ADMIN);
    cr_assert_eq(box_capability_number("cap_Chown", NULL), CAP_CHOWN);
    cr_assert_eq(box_capability_number("CHECKPOINT_RESTORE", NULL), 40);
}

Test(capability, the_table_agrees_with_libcap_ng_on_every_name)
{
    for (unsigned n = 0; n <= box_capability_last(); n++) {
        const char *theirs = capng_capability_to_name(n);
        cr_assert_not_null(box_capability_name(n));
        cr_assert_eq(box_capability_number(box_capability_name(n), NULL), (int)n);
        if (theirs)
            cr_assert_eq(box_capability_number(theirs, NULL), (int)n, "%s", theirs);
    }
}

Test(capability, a_misspelt_name_is_an_error_that_names_it)
{
    const char *bad[] = {"", "CAP_", "NET_ADMINN", "CAP_CAP_CHOWN", "ALL", "CHOWN "};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *err = NULL;
        cr_assert_eq(box_capability_number(bad[i], &err), BOX_EPARSE, "%s", bad[i]);
        cr_assert_not_null(strstr(box_error_message(err), bad[i]));
    }
    cr_assert_eq(box_capability_number(NULL, NULL), BOX_EPARSE);
}

Test(capability, the_default_set_is_dockers_fourteen)
{
    cr_assert_eq(box_capability_default(), UINT64_C(0xa80425fb));
}

Test(capability, a_mask_is_written_in_the_order_of_the_numbers)
{
    _free_ char *text = box_capability_format(CAP(KILL) | CAP(CHOWN) | UINT64_C(1) << 63);
    _free_ char *none = box_capability_format(0);

    cr_assert_str_eq(text, "CAP_CHOWN,CAP_KILL,63");
    cr_assert_str_eq(none, "");
}

Test(capability, all_is_what_the_running_kernel_has)
{
    uint64_t all;

    cr_assert_eq(box_capability_mask("ALL", &all, NULL), 0);
    cr_assert_eq(all, box_capability_all());
    unsigned last = box_capability_last();
    cr_assert_geq(prctl(PR_CAPBSET_READ, last, 0, 0, 0), 0);
    cr_assert_lt(prctl(PR_CAPBSET_READ, last + 1, 0, 0, 0), 0);
    cr_assert(all & BOX_CAP_MASK(last));
    cr_assert_eq(all >> last, 1);
}

static uint64_t adjusted(uint64_t base, const char *add, const char *drop)
{
    uint64_t mask = 0;

    cr_assert_eq(box_capability_adjust(base, &add, add != NULL, &drop, drop != NULL, &mask, NULL), 0);
    return mask;
}

Test(capability, adding_and_dropping_follow_dockers_rules)
{
    uint64_t base = CAP(CHOWN) | CAP(KILL), all = box_capability_all();

    cr_assert_eq(adjusted(base, NULL, NULL), base);
    cr_assert_eq(adjusted(base, "SYS_PTRACE", NULL), base | CAP(SYS_PTRACE));
    cr_assert_eq(adjusted(base, NULL, "KILL"), CAP(CHOWN));
    cr_assert_eq(adjusted(base, NULL, "ALL"), 0);
    cr_assert_eq(adjusted(base, "ALL", NULL), all);
    cr_assert_eq(adjusted(base, "all", "SYS_ADMIN"), all & ~CAP(SYS_ADMIN));
    cr_assert_eq(adjusted(base, "NET_BIND_SERVICE", "ALL"), CAP(NET_BIND_SERVICE));
    cr_assert_eq(adjusted(base, "ALL", "ALL"), all);
    cr_assert_eq(adjusted(base, "KILL", "KILL"), base, "an added name wins over the same name dropped");
}

Test(capability, a_failed_adjustment_leaves_the_mask_alone)
{
    uint64_t mask = 42;
    const char *bad = "NO_SUCH";

    cr_assert_eq(box_capability_adjust(7, &bad, 1, NULL, 0, &mask, NULL), BOX_EPARSE);
    cr_assert_eq(box_capability_adjust(7, NULL, 0, &bad, 1, &mask, NULL), BOX_EPARSE);
    cr_assert_eq(mask, 42);
}

Test(capability, sets_made_from_a_mask_leave_nothing_to_inherit)
{
    struct box_capset set;

    box_capset_from_mask(&set, CAP(KILL));
    cr_assert_eq(set.bounding, CAP(KILL));
    cr_assert_eq(set.permitted, CAP(KILL));
    cr_assert_eq(set.effective, CAP(KILL));
    cr_assert_eq(set.inheritable, 0);
    cr_assert_eq(set.ambient, 0);
}

Test(capability, contradictory_sets_are_refused_by_name)
{
    const struct {
        struct box_capset set;
        const char *subject;
        int code;
    } cases[] = {
        {{.effective = CAP(KILL)}, "effective", BOX_ESPEC},
        {{.permitted = CAP(KILL), .ambient = CAP(KILL)}, "ambient", BOX_ESPEC},
        {{.inheritable = CAP(KILL), .ambient = CAP(KILL)}, "ambient", BOX_ESPEC},
        {{.bounding = UINT64_C(1) << 63}, "bounding", BOX_EUNSUPPORTED},
    };

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _cleanup_(box_error) box_error *err = NULL;
        cr_assert_eq(box_capset_check(&cases[i].set, &err), cases[i].code, "case %zu", i);
        cr_assert_str_eq(box_error_subject(err), cases[i].subject);
    }
    struct box_capset good = {.permitted = CAP(KILL), .inheritable = CAP(KILL), .ambient = CAP(KILL)};
    cr_assert_eq(box_capset_check(&good, NULL), 0);
}

Test(capability, the_sets_of_the_thread_and_of_its_process_file_are_the_same)
{
    struct box_capset own, file;

    cr_assert_eq(box_capset_read(0, &own, NULL), 0);
    cr_assert_eq(box_capset_read(getpid(), &file, NULL), 0);
    cr_assert_eq(memcmp(&own, &file, sizeof(own)), 0);
}

Test(capability, a_process_that_is_not_there_is_not_found)
{
    struct box_capset set;

    cr_assert_eq(box_capset_read(0x7fffffff, &set, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_capset_read(-1, &set, NULL), BOX_EINVAL);
    cr_assert_eq(box_no_new_privs_get(0x7fffffff, NULL), BOX_ENOTFOUND);
}

/* Criterion runs each test in a process of its own, so that giving up capabilities hurts nobody. */
Test(capability, applied_sets_are_those_that_are_read_back)
{
    if (getuid() != 0)
        cr_skip_test("only root has capabilities to give up");
    struct box_capset set = {.bounding = CAP(KILL) | CAP(CHOWN),
                             .permitted = CAP(KILL) | CAP(CHOWN),
                             .effective = CAP(CHOWN),
                             .inheritable = CAP(KILL),
                             .ambient = CAP(KILL)};
    struct box_capset now;

    cr_assert_eq(box_capset_apply(&set, NULL), 0);
    cr_assert_eq(box_capset_read(0, &now, NULL), 0);
    cr_assert_eq(memcmp(&set, &now, sizeof(set)), 0);
}

Test(capability, what_was_given_up_does_not_come_back)
{
    if (getuid() != 0)
        cr_skip_test("only root has capabilities to give up");
    struct box_capset none = {0}, more;
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_capset_apply(&none, NULL), 0);
    box_capset_from_mask(&more, CAP(KILL));
    cr_assert_eq(box_capset_apply(&more, &err), BOX_EPERMISSION);
    cr_assert_not_null(strstr(box_error_message(err), "CAP_KILL"));
    more.bounding = 0;
    cr_assert_eq(box_capset_apply(&more, NULL), BOX_EPERMISSION);
}

Test(capability, shrinking_the_bounding_set_without_setpcap_says_what_is_needed)
{
    if (getuid() != 0)
        cr_skip_test("only root has capabilities to give up");
    struct box_capset set;
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_capset_read(0, &set, NULL), 0);
    set.effective &= ~CAP(SETPCAP);
    set.permitted &= ~CAP(SETPCAP);
    cr_assert_eq(box_capset_apply(&set, NULL), 0);
    set.bounding = 0;
    cr_assert_eq(box_capset_apply(&set, &err), BOX_EPERMISSION);
    cr_assert_not_null(strstr(box_error_remedy(err), "CAP_SETPCAP"));
}

Test(capability, no_new_privs_is_set_and_shown)
{
    cr_assert_eq(box_no_new_privs_set(NULL), 0);
    cr_assert_eq(box_no_new_privs_get(0, NULL), 1);
    cr_assert_eq(box_no_new_privs_get(getpid(), NULL), 1);
}
