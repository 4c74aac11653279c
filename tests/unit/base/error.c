#include <criterion/criterion.h>
#include <string.h>

#include "base/fail.h"

Test(error, message_names_stage_sentence_subject_call_reason_and_remedy)
{
    _cleanup_(box_error) box_error *err = NULL;
    struct box_fail_info info = {.errnum = ENOENT,
                                 .stage = "start",
                                 .call = "openat2",
                                 .subject = "/etc/passwd",
                                 .remedy = "give the image a passwd file"};

    cr_assert_eq(box_fail_with(&err, &info, "cannot read %s", "the users"), BOX_ENOTFOUND);
    cr_assert_str_eq(box_error_message(err), "start: cannot read the users: /etc/passwd: openat2: "
                                             "No such file or directory (give the image a passwd file)");
    cr_assert_eq(box_error_code(err), BOX_ENOTFOUND);
    cr_assert_eq(box_error_errno(err), ENOENT);
    cr_assert_str_eq(box_error_stage(err), "start");
    cr_assert_str_eq(box_error_call(err), "openat2");
    cr_assert_str_eq(box_error_subject(err), "/etc/passwd");
    cr_assert_str_eq(box_error_remedy(err), "give the image a passwd file");
}

Test(error, fail_sys_takes_errno_and_maps_it_to_a_code)
{
    _cleanup_(box_error) box_error *err = NULL;

    errno = EACCES;
    cr_assert_eq(box_fail_sys(&err, "open", "/x", "open it"), BOX_EPERMISSION);
    cr_assert_eq(box_error_errno(err), EACCES);
}

Test(error, wrap_prefixes_the_stage_and_keeps_the_rest)
{
    _cleanup_(box_error) box_error *err = NULL;
    int r = box_fail(&err, BOX_ESPEC, "memory limit %d is too low", 7);

    r = box_fail_wrap(&err, r, "cgroup");
    r = box_fail_wrap(&err, r, "start %s", "web");
    cr_assert_eq(r, BOX_ESPEC);
    cr_assert_str_eq(box_error_stage(err), "start web: cgroup");
    cr_assert_str_eq(box_error_message(err), "start web: cgroup: memory limit 7 is too low");
}

Test(error, every_function_accepts_a_null_error)
{
    cr_assert_eq(box_fail(NULL, BOX_EINVAL, "x"), BOX_EINVAL);
    cr_assert_eq(box_fail_nomem(NULL), BOX_ENOMEM);
    cr_assert_eq(box_fail_wrap(NULL, BOX_EBUSY, "x"), BOX_EBUSY);
    cr_assert_eq(box_error_code(NULL), BOX_OK);
    cr_assert_str_eq(box_error_message(NULL), "no error");
    box_error_free(NULL);
}

Test(error, out_of_memory_is_a_static_error_that_may_be_freed_twice)
{
    box_error *err = NULL;

    cr_assert_eq(box_fail_nomem(&err), BOX_ENOMEM);
    cr_assert_eq(box_fail_wrap(&err, BOX_ENOMEM, "stage"), BOX_ENOMEM);
    cr_assert_str_eq(box_error_message(err), "out of memory");
    box_error_free(err);
    box_error_free(err);
}

Test(error, long_message_is_kept_whole)
{
    _cleanup_(box_error) box_error *err = NULL;
    char longer[4000];

    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    box_fail(&err, BOX_EPARSE, "%s", longer);
    cr_assert_str_eq(box_error_message(err), longer);
}

Test(error, each_code_has_a_name_and_other_numbers_have_none)
{
    cr_assert_str_eq(box_error_code_name(BOX_OK), "BOX_OK");
    cr_assert_str_eq(box_error_code_name(BOX_EESCAPE), "BOX_EESCAPE");
    cr_assert_str_eq(box_error_code_name(BOX_ECHILD), "BOX_ECHILD");
    cr_assert_str_eq(box_error_code_name(-24), "BOX_E?");
    cr_assert_str_eq(box_error_code_name(1), "BOX_E?");
}
