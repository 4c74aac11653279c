#include <criterion/criterion.h>

#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/number.h"
#include "kernel/smallfile.h"

static char path[] = "/tmp/libbox-test-smallfile-XXXXXX";

static void make(void)
{
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    close(fd);
}

static void unmake(void)
{
    unlink(path);
}

TestSuite(smallfile, .init = make, .fini = unmake);

Test(smallfile, what_does_not_fit_is_an_error_and_no_part_of_it_is_given)
{
    char text[4] = "xyz";

    cr_assert_eq(box_smallfile_write(path, "1234"), 0);
    cr_assert_eq(box_smallfile_read(path, text, 4), -EFBIG);
    cr_assert_str_eq(text, "");
    cr_assert_eq(truncate(path, 3), 0);
    cr_assert_eq(box_smallfile_read(path, text, 4), 3);
    cr_assert_str_eq(text, "123");
    cr_assert_eq(box_smallfile_read("/no/such", text, 4), -ENOENT);
    cr_assert_eq(box_smallfile_read("/", text, 4), -EISDIR);
}

Test(smallfile, a_line_loses_the_white_space_at_its_end)
{
    char text[16];

    cr_assert_eq(box_smallfile_write(path, " a b \n\n"), 0);
    cr_assert_eq(box_smallfile_line(path, text, sizeof(text)), 4);
    cr_assert_str_eq(text, " a b");
}

Test(smallfile, only_a_number_is_a_number)
{
    long long n;

    cr_assert_eq(box_smallfile_write(path, "-17\n"), 0);
    cr_assert_eq(box_smallfile_number(path, &n), 0);
    cr_assert_eq(n, -17);
    cr_assert_eq(box_smallfile_write(path, "1 2\n"), 0);
    cr_assert_eq(box_smallfile_number(path, &n), -EINVAL);
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(box_smallfile_number(path, &n), -EINVAL);
    cr_assert_eq(box_smallfile_write(path, "99999999999999999999"), 0);
    cr_assert_eq(box_smallfile_number(path, &n), -EINVAL);
}

Test(smallfile, a_file_of_any_length_is_loaded_whole)
{
    size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000};

    for (size_t i = 0; i < BOX_ARRAY(sizes); i++) {
        _free_ char *text = calloc(1, sizes[i] + 1), *again = NULL;
        memset(text, 'x', sizes[i]);
        cr_assert_eq(truncate(path, 0), 0);
        cr_assert_eq(box_smallfile_write(path, text), 0);
        cr_assert_eq(box_smallfile_load(path, &again), 0);
        cr_assert_str_eq(again, text);
    }
}

Test(smallfile, a_field_is_found_by_its_whole_name_at_the_start_of_a_line)
{
    const char *text = "NameX:\t1\nUid:\t0\t0\nX Name: 2\nName:\tsh\n";

    cr_assert_eq(strncmp(box_smallfile_field(text, "Name"), "sh\n", 3), 0);
    cr_assert_eq(strncmp(box_smallfile_field(text, "Uid"), "0\t0", 3), 0);
    cr_assert_null(box_smallfile_field(text, "X"));
    cr_assert_null(box_smallfile_field("", "X"));
}

Test(smallfile, numbers_have_digits_only_and_do_not_wrap)
{
    uint64_t n = 7;

    cr_assert_eq(box_number_u64("18446744073709551615", 20, &n), 0);
    cr_assert_eq(n, UINT64_MAX);
    cr_assert_eq(box_number_u64("18446744073709551616", 20, &n), -ERANGE);
    cr_assert_eq(box_number_u64("", 0, &n), -EINVAL);
    cr_assert_eq(box_number_u64("+1", 2, &n), -EINVAL);
    cr_assert_eq(box_number_u64("1x", 2, &n), -EINVAL);
    cr_assert_eq(box_number_u64("1x", 1, &n), 0);
    cr_assert_eq(n, 1);
}
