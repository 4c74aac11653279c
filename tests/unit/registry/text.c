/* base64, and foreign text in messages. */
#include <criterion/criterion.h>
#include <string.h>

#include "registry/text.h"

Test(registry_text, base64_goes_both_ways_at_each_length)
{
    static const struct {
        const char *plain, *encoded;
    } pairs[] = {{"", ""},         {"f", "Zg=="},     {"fo", "Zm8="},        {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe>?", "//4+Pw=="}};

    for (size_t i = 0; i < BOX_ARRAY(pairs); i++) {
        _free_ char *encoded = box_base64_encode(pairs[i].plain, strlen(pairs[i].plain)), *decoded = NULL;
        size_t length = 99;
        cr_assert_str_eq(encoded, pairs[i].encoded);
        cr_assert_eq(box_base64_decode(encoded, &decoded, &length, NULL), 0);
        cr_assert_eq(length, strlen(pairs[i].plain));
        cr_assert_str_eq(decoded, pairs[i].plain);
    }
}

Test(registry_text, base64_takes_nothing_else)
{
    static const char *const bad[] = {"Z", "Zg=a", "Zg===", "Zm 9v", "Zm9v\n", "Zm9-", "=", "Zg==Zg=="};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        char *out = NULL;
        size_t length;
        int r = box_base64_decode(bad[i], &out, &length, NULL);
        /* A lone '=' is the padding of nothing. */
        cr_assert_eq(r, strcmp(bad[i], "=") == 0 ? 0 : BOX_EPARSE, "%s", bad[i]);
        free(out);
    }
}

static char *clean(const char *text, size_t max)
{
    struct box_buffer out = {0};

    box_text_append_clean(&out, text, strlen(text), max);
    return box_buffer_take(&out);
}

Test(registry_text, foreign_text_cannot_move_a_cursor_or_write_a_line)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"plain", "plain"},
                 {"a\x1b[31mb\r\nc\td", "a [31mb  c d"},
                 {"\xc2\x9b" "31m", " 31m"},
                 {"\xe2\x80\xaetfel", " tfel"},
                 {"\xe2\x81\xa6x", " x"},
                 {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                 {"\xff\xc3", "??"},
                 {"\xed\xa0\x80", "???"},
                 {"\xc0\x80", "??"}};

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _free_ char *out = clean(cases[i].in, 100);
        cr_assert_str_eq(out, cases[i].out);
    }
}

Test(registry_text, foreign_text_is_cut_between_characters)
{
    _free_ char *out = clean("aaaa\xc3\xbc", 5);

    cr_assert_str_eq(out, "aaaa...");
}

Test(registry_text, a_header_value_is_printable_ascii_without_spaces)
{
    cr_assert(box_text_is_header_value("abc.DEF-123_~+/=", 100));
    cr_assert_not(box_text_is_header_value("", 100));
    cr_assert_not(box_text_is_header_value("a b", 100));
    cr_assert_not(box_text_is_header_value("a\r\nX: 1", 100));
    cr_assert_not(box_text_is_header_value("\xc3\xbc", 100));
    cr_assert_not(box_text_is_header_value("abcd", 3));
}

Test(registry_text, escaping_leaves_unreserved_characters_only)
{
    struct box_buffer out = {0};

    box_text_append_escaped(&out, "a-._~B9 /:?&=#%+\xff");
    _free_ char *text = box_buffer_take(&out);
    cr_assert_str_eq(text, "a-._~B9%20%2F%3A%3F%26%3D%23%25%2B%FF");
}
