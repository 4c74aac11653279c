#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/strings.h"

Test(strings, numbers_are_parsed_strictly)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } table[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", BOX_EPARSE, 0},
        {"99999999999999999999999999", BOX_EPARSE, 0},
        {"", BOX_EPARSE, 0},
        {"+1", BOX_EPARSE, 0},
        {"-1", BOX_EPARSE, 0},
        {" 1", BOX_EPARSE, 0},
        {"1 ", BOX_EPARSE, 0},
        {"1\n", BOX_EPARSE, 0},
        {"0x10", BOX_EPARSE, 0},
        {"1e3", BOX_EPARSE, 0},
        {"1.0", BOX_EPARSE, 0},
        {"12x", BOX_EPARSE, 0},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        uint64_t value = 4711;
        int r = box_parse_u64(table[i].text, "n", 0, UINT64_MAX, &value, NULL);
        cr_expect_eq(r, table[i].result, "\"%s\": %d", table[i].text, r);
        cr_expect_eq(value, r == 0 ? table[i].value : 4711, "\"%s\"", table[i].text);
    }
}

Test(strings, number_out_of_range_is_named_with_its_range)
{
    _cleanup_(box_error) box_error *err = NULL;
    uint64_t value;

    cr_assert_eq(box_parse_u64("4294967296", "user", 0, UINT32_MAX - 1, &value, &err), BOX_EPARSE);
    cr_assert_str_eq(box_error_message(err), "user: 4294967296 is not between 0 and 4294967294");
    cr_assert_str_eq(box_error_subject(err), "user");
}

Test(strings, signed_numbers_reach_both_ends_and_no_further)
{
    int64_t v = 0;

    cr_expect_eq(box_parse_i64("-9223372036854775808", "n", INT64_MIN, INT64_MAX, &v, NULL), 0);
    cr_expect_eq(v, INT64_MIN);
    cr_expect_eq(box_parse_i64("9223372036854775807", "n", INT64_MIN, INT64_MAX, &v, NULL), 0);
    cr_expect_eq(v, INT64_MAX);
    cr_expect_eq(box_parse_i64("-9223372036854775809", "n", INT64_MIN, INT64_MAX, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_i64("9223372036854775808", "n", INT64_MIN, INT64_MAX, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_i64("-", "n", INT64_MIN, INT64_MAX, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_i64("--1", "n", INT64_MIN, INT64_MAX, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_i64("-1", "n", 0, 1, &v, NULL), BOX_EPARSE);
}

Test(strings, octal_modes)
{
    unsigned mode = 0;

    cr_expect_eq(box_parse_octal("0755", "mode", 07777, &mode, NULL), 0);
    cr_expect_eq(mode, 0755);
    cr_expect_eq(box_parse_octal("7777", "mode", 07777, &mode, NULL), 0);
    cr_expect_eq(box_parse_octal("10000", "mode", 07777, &mode, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_octal("77777777777777777777777777", "mode", 07777, &mode, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_octal("8", "mode", 07777, &mode, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_octal("", "mode", 07777, &mode, NULL), BOX_EPARSE);
}

Test(strings, sizes_are_dockers)
{
    static const struct {
        const char *text;
        int result;
        uint64_t value;
    } table[] = {
        {"0", 0, 0},
        {"100", 0, 100},
        {"100b", 0, 100},
        {"1k", 0, 1024},
        {"512m", 0, 512ull << 20},
        {"512M", 0, 512ull << 20},
        {"64KiB", 0, 64 << 10},
        {"64kb", 0, 64 << 10},
        {"2 GB", 0, 2ull << 30},
        {"1.5g", 0, 3ull << 29},
        {"0.5k", 0, 512},
        {"1.0001k", 0, 1024},
        {"3t", 0, 3ull << 40},
        {"1p", 0, 1ull << 50},
        {"16383p", 0, 16383ull << 50},
        {"16384p", BOX_EPARSE, 0},
        {"18446744073709551616", BOX_EPARSE, 0},
        {"", BOX_EPARSE, 0},
        {"m", BOX_EPARSE, 0},
        {"-1", BOX_EPARSE, 0},
        {".5g", BOX_EPARSE, 0},
        {"5.g", BOX_EPARSE, 0},
        {"1.5.5g", BOX_EPARSE, 0},
        {"1x", BOX_EPARSE, 0},
        {"1mm", BOX_EPARSE, 0},
        {"1ib", BOX_EPARSE, 0},
        {"1 ", BOX_EPARSE, 0},
        {"1  m", BOX_EPARSE, 0},
        {" 1m", BOX_EPARSE, 0},
        {"1m ", BOX_EPARSE, 0},
        {"1e", BOX_EPARSE, 0},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        uint64_t value = 4711;
        int r = box_parse_size(table[i].text, "memory", &value, NULL);
        cr_expect_eq(r, table[i].result, "\"%s\": %d", table[i].text, r);
        cr_expect(r != 0 || value == table[i].value, "\"%s\": %lu", table[i].text, (unsigned long)value);
    }
}

Test(strings, fractions_become_whole_parts)
{
    uint64_t v = 0;

    cr_expect_eq(box_parse_fixed("1.5", "cpus", 9, &v, NULL), 0);
    cr_expect_eq(v, 1500000000);
    cr_expect_eq(box_parse_fixed("0.000000001", "cpus", 9, &v, NULL), 0);
    cr_expect_eq(v, 1);
    cr_expect_eq(box_parse_fixed("2.00000000000000000000", "cpus", 9, &v, NULL), 0);
    cr_expect_eq(v, 2000000000);
    cr_expect_eq(box_parse_fixed("0.0000000001", "cpus", 9, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_fixed("99999999999", "cpus", 9, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_fixed("1,5", "cpus", 9, &v, NULL), BOX_EPARSE);
    cr_expect_eq(box_parse_fixed("nan", "cpus", 9, &v, NULL), BOX_EPARSE);
}

Test(strings, durations_are_gos)
{
    static const struct {
        const char *text;
        int result;
        int64_t value;
    } table[] = {
        {"0", 0, 0},
        {"10s", 0, 10000000000},
        {"1m30s", 0, 90000000000},
        {"500ms", 0, 500000000},
        {"1.5h", 0, 5400000000000},
        {"10us", 0, 10000},
        {"10\xc2\xb5s", 0, 10000},
        {"1ns", 0, 1},
        {"0.5ns", 0, 0},
        {"2562047h", 0, 2562047ll * 3600 * 1000000000},
        {"2562048h", BOX_EPARSE, 0},
        {"10", BOX_EPARSE, 0},
        {"", BOX_EPARSE, 0},
        {"s", BOX_EPARSE, 0},
        {"-1s", BOX_EPARSE, 0},
        {"1s ", BOX_EPARSE, 0},
        {"1d", BOX_EPARSE, 0},
        {"1s2", BOX_EPARSE, 0},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        int64_t value = 4711;
        int r = box_parse_duration(table[i].text, "timeout", &value, NULL);
        cr_expect_eq(r, table[i].result, "\"%s\": %d", table[i].text, r);
        cr_expect(r != 0 || value == table[i].value, "\"%s\": %ld", table[i].text, (long)value);
    }
}

Test(strings, vector_grows_copies_splits_and_joins)
{
    _strv_ char **v = NULL;
    _strv_ char **copy = NULL;
    _strv_ char **pieces = box_strv_split("a,,b", ',');
    _free_ char *joined = box_strv_join(pieces, "|");
    _free_ char *nothing = box_strv_join(NULL, "|");

    cr_assert_eq(box_strv_length(v), 0);
    cr_assert_eq(box_strv_append(&v, "one"), 0);
    cr_assert_eq(box_strv_append(&v, "two"), 0);
    cr_assert_eq(box_strv_append_take(&v, NULL), BOX_ENOMEM);
    copy = box_strv_dup(v);
    cr_assert_eq(box_strv_length(copy), 2);
    cr_assert_str_eq(copy[1], "two");
    cr_assert_neq(copy[1], v[1]);
    cr_assert(box_strv_contains(v, "one") && !box_strv_contains(v, "three") && !box_strv_contains(NULL, "x"));
    cr_assert_eq(box_strv_length(pieces), 3);
    cr_assert_str_eq(joined, "a||b");
    cr_assert_str_eq(nothing, "");
    box_strv_free(NULL);
}

Test(strings, env_is_set_in_place_and_duplicates_vanish)
{
    _strv_ char **env = NULL;

    cr_assert_eq(box_env_set(&env, "A=1"), 0);
    cr_assert_eq(box_strv_append(&env, "AB=2"), 0);
    cr_assert_eq(box_strv_append(&env, "A=3"), 0);
    cr_assert_str_eq(box_env_get(env, "A"), "3");
    cr_assert_eq(box_env_set(&env, "A=4"), 0);
    cr_assert_eq(box_strv_length(env), 2);
    cr_assert_str_eq(env[0], "A=4");
    cr_assert_str_eq(env[1], "AB=2");
    cr_assert_null(box_env_get(env, "B"));
}

Test(strings, prefix_and_suffix)
{
    cr_assert_str_eq(box_after_prefix("sha256:ab", "sha256:"), "ab");
    cr_assert_null(box_after_prefix("sha", "sha256:"));
    cr_assert(box_ends_with("a.tar", ".tar") && !box_ends_with("tar", ".tar"));
    cr_assert(box_streq(NULL, NULL) && !box_streq(NULL, "") && box_streq("a", "a"));
}
