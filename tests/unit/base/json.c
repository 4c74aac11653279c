#include <criterion/criterion.h>
#include <string.h>

#include "base/json.h"
#include "base/json_check.h"
#include "base/strings.h"

static json_object *parse(const char *text)
{
    return box_json_parse(text, strlen(text), &BOX_JSON_DEFAULT, NULL, NULL);
}

Test(json, well_formed_documents_are_taken)
{
    static const char *const good[] = {
        "{}",
        " [ ] \n",
        "0",
        "-0",
        "12",
        "-9223372036854775808",
        "18446744073709551615",
        "1.5e+3",
        "1E400",
        "\"\"",
        "true",
        "false",
        "[null]",
        "\"\\u00e9\\ud83d\\ude00\\\\u0000\"",
        "\"\xc3\xa9\xf0\x9f\x98\x80\"",
        "{\"a\":[1,{\"b\":null}],\"\":2}",
        "\"\x7f\"",
    };

    for (size_t i = 0; i < BOX_ARRAY(good); i++) {
        _cleanup_(json_object) json_object *document = parse(good[i]);
        cr_expect_not_null(document, "%s", good[i]);
    }
}

Test(json, malformed_documents_are_refused_with_line_and_column)
{
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"", "1:1: the document ends too soon"},
        {"  ", "1:3: the document ends too soon"},
        {"null", "1:1: the document is null"},
        {"[1]x", "1:4: something follows the document"},
        {"[1]\n\n[2]", "3:1: something follows the document"},
        {"{\n \"a\": 1\n \"b\": 2\n}", "3:2: expected ',' or '}'"},
        {"[1 2]", "1:4: expected ',' or ']'"},
        {"[1,]", "1:4: expected a value"},
        {"{\"a\":1,}", "1:8: expected a key in double quotes"},
        {"{'a':1}", "1:2: expected a key in double quotes"},
        {"{a:1}", "1:2: expected a key in double quotes"},
        {"{\"a\" 1}", "1:6: expected ':'"},
        {"{\"a\":", "1:6: the document ends too soon"},
        {"[1", "1:3: expected ',' or ']'"},
        {"NaN", "1:1: expected a value"},
        {"-Infinity", "1:2: expected a digit"},
        {"True", "1:1: expected a value"},
        {"tru", "1:1: expected a value"},
        {"// x\n1", "1:1: expected a value"},
        {"01", "1:2: a number does not start with 0"},
        {"1.", "1:3: expected a digit"},
        {".5", "1:1: expected a value"},
        {"-.5", "1:2: expected a digit"},
        {"1e+", "1:4: expected a digit"},
        {"+1", "1:1: expected a value"},
        {"18446744073709551616", "1:1: the number does not fit in 64 bits"},
        {"-9223372036854775809", "1:2: the number does not fit in 64 bits"},
        {"\"abc", "1:5: the string does not end"},
        {"\"a\tb\"", "1:3: a control character in a string"},
        {"\"\\x\"", "1:3: no such escape"},
        {"\"\\u12g4\"", "1:6: expected four hexadecimal digits"},
        {"{\"name\\u0000x\":1}", "1:13: a string holds no NUL"},
        {"\"\\ud800\"", "1:8: a high surrogate without a low one"},
        {"\"\\udc00\"", "1:8: a low surrogate without a high one"},
        {"\"\xff\"", "1:2: not UTF-8"},
        {"\"\xc0\x80\"", "1:2: not UTF-8"},
        {"\"\xed\xa0\x80\"", "1:3: not UTF-8"},
        {"\"\xe2\x82\"", "1:4: not UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "1:3: not UTF-8"},
        {"\xef\xbb\xbf{}", "1:1: expected a value"},
    };

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *err = NULL;
        _cleanup_(json_object) json_object *document =
            box_json_parse(bad[i].text, strlen(bad[i].text), &BOX_JSON_DEFAULT, "config.json", &err);
        _free_ char *expected = box_strf("config.json:%s", bad[i].where);
        cr_expect_null(document);
        cr_expect_eq(box_error_code(err), BOX_EPARSE);
        cr_expect_str_eq(box_error_message(err), expected);
    }
}

Test(json, nul_byte_in_the_text_is_no_end)
{
    _cleanup_(json_object) json_object *document = box_json_parse("{}\0x", 4, &BOX_JSON_DEFAULT, NULL, NULL);

    cr_assert_null(document);
}

Test(json, text_needs_no_nul_behind_it)
{
    _cleanup_(json_object) json_object *document =
        box_json_parse("[1]garbage", 3, &BOX_JSON_DEFAULT, NULL, NULL);
    _cleanup_(json_object) json_object *number = box_json_parse("123", 2, &BOX_JSON_DEFAULT, NULL, NULL);

    cr_assert_not_null(document);
    cr_assert_eq(json_object_get_int(number), 12);
}

Test(json, depth_and_size_are_limited)
{
    char text[200];

    for (int depth = 63; depth <= 65; depth++) {
        _cleanup_(box_error) box_error *err = NULL;
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        _cleanup_(json_object) json_object *document =
            box_json_parse(text, 2 * (size_t)depth, &BOX_JSON_DEFAULT, NULL, &err);
        cr_expect_eq(document != NULL, depth <= 64, "%d", depth);
        cr_expect_eq(box_error_code(err), depth <= 64 ? BOX_OK : BOX_ELIMIT);
    }
    struct box_json_limits limits = {.size = 3, .depth = 1};
    _cleanup_(box_error) box_error *err = NULL;
    cr_expect_null(box_json_parse("[ 1]", 4, &limits, "x", &err));
    cr_expect_eq(box_error_code(err), BOX_ELIMIT);
    cr_expect_str_eq(box_error_message(err), "x: 4 bytes, more than the limit of 3");
}

Test(json, of_duplicate_keys_the_last_wins)
{
    _cleanup_(json_object) json_object *document = parse("{\"a\":1,\"a\":2}");
    struct box_json_at root = BOX_JSON_ROOT(document);
    int64_t value = 0;

    cr_assert_eq(box_json_get_i64(&root, "a", BOX_JSON_REQUIRED, 0, 9, &value, NULL), 0);
    cr_assert_eq(value, 2);
}

static const char sample[] =
    "{\"process\":{\"args\":[\"a\",\"b\",3],\"env\":[\"A=1\"],\"cwd\":\"/\",\"terminal\":true,"
    "\"big\":18446744073709551615,\"neg\":-1,\"frac\":1.0,\"none\":null,\"user\":{\"uid\":5}}}";

Test(json, getters_fetch_each_type)
{
    _cleanup_(json_object) json_object *document = parse(sample);
    struct box_json_at root = BOX_JSON_ROOT(document), process, user, args;
    const char *cwd = NULL;
    bool terminal = false;
    uint64_t big = 0;
    int64_t negative = 0;
    double fraction = 0;
    size_t n;
    _strv_ char **env = NULL;

    cr_assert_eq(box_json_get_object(&root, "process", BOX_JSON_REQUIRED, &process, NULL), 0);
    cr_assert_eq(box_json_get_string(&process, "cwd", BOX_JSON_REQUIRED, &cwd, NULL), 0);
    cr_assert_str_eq(cwd, "/");
    cr_assert_eq(box_json_get_bool(&process, "terminal", BOX_JSON_REQUIRED, &terminal, NULL), 0);
    cr_assert(terminal);
    cr_assert_eq(box_json_get_u64(&process, "big", BOX_JSON_REQUIRED, 0, UINT64_MAX, &big, NULL), 0);
    cr_assert_eq(big, UINT64_MAX);
    cr_assert_eq(box_json_get_i64(&process, "neg", BOX_JSON_REQUIRED, -1, 0, &negative, NULL), 0);
    cr_assert_eq(negative, -1);
    cr_assert_eq(box_json_get_double(&process, "frac", BOX_JSON_REQUIRED, &fraction, NULL), 0);
    cr_assert_float_eq(fraction, 1.0, 0);
    cr_assert_eq(box_json_get_strings(&process, "env", BOX_JSON_REQUIRED, &env, NULL), 0);
    cr_assert_eq(box_strv_length(env), 1);
    cr_assert_str_eq(env[0], "A=1");
    cr_assert_eq(box_json_get_array(&process, "args", BOX_JSON_REQUIRED, &args, &n, NULL), 0);
    cr_assert_eq(n, 3);
    cr_assert_eq(box_json_get_object(&process, "user", BOX_JSON_OPTIONAL, &user, NULL), 0);
    cr_assert_not_null(user.json);
}

Test(json, missing_optional_member_leaves_the_default)
{
    _cleanup_(json_object) json_object *document = parse(sample);
    struct box_json_at root = BOX_JSON_ROOT(document), process, absent;
    const char *text = "default";
    uint64_t number = 7;
    size_t n = 9;
    char **strings = NULL;

    cr_assert_eq(box_json_get_object(&root, "process", BOX_JSON_REQUIRED, &process, NULL), 0);
    cr_expect_eq(box_json_get_string(&process, "nope", BOX_JSON_OPTIONAL, &text, NULL), 0);
    cr_expect_eq(box_json_get_string(&process, "none", BOX_JSON_OPTIONAL, &text, NULL), 0, "null is missing");
    cr_expect_str_eq(text, "default");
    cr_expect_eq(box_json_get_u64(&process, "nope", BOX_JSON_OPTIONAL, 0, 1, &number, NULL), 0);
    cr_expect_eq(number, 7);
    cr_expect_eq(box_json_get_strings(&process, "nope", BOX_JSON_OPTIONAL, &strings, NULL), 0);
    cr_expect_null(strings);
    cr_expect_eq(box_json_get_array(&process, "nope", BOX_JSON_OPTIONAL, &absent, &n, NULL), 0);
    cr_expect(!absent.json && n == 0);
}

Test(json, errors_name_the_place_and_both_types)
{
    _cleanup_(json_object) json_object *document = parse(sample);
    struct box_json_at root = BOX_JSON_ROOT(document), process, user;
    uint64_t number = 0;
    int64_t integer = 0;
    const char *text;
    char **strings = NULL;
    bool flag;

    cr_assert_eq(box_json_get_object(&root, "process", BOX_JSON_REQUIRED, &process, NULL), 0);
    cr_assert_eq(box_json_get_object(&process, "user", BOX_JSON_REQUIRED, &user, NULL), 0);
#define FAILS(call, message)                               \
    do {                                                   \
        _cleanup_(box_error) box_error *err = NULL;        \
        cr_expect_eq(call, BOX_EPARSE);                    \
        cr_expect_str_eq(box_error_message(err), message); \
    } while (0)
    FAILS(box_json_get_strings(&process, "args", BOX_JSON_REQUIRED, &strings, &err),
          "process.args[2]: expected a string, found a number");
    FAILS(box_json_get_string(&process, "none", BOX_JSON_REQUIRED, &text, &err), "process.none: is missing");
    FAILS(box_json_get_string(&process, "user", BOX_JSON_REQUIRED, &text, &err),
          "process.user: expected a string, found an object");
    FAILS(box_json_get_bool(&process, "cwd", BOX_JSON_REQUIRED, &flag, &err),
          "process.cwd: expected a boolean, found a string");
    FAILS(box_json_get_u64(&user, "uid", BOX_JSON_REQUIRED, 0, 4, &number, &err),
          "process.user.uid: 5 is not between 0 and 4");
    FAILS(box_json_get_u64(&process, "neg", BOX_JSON_REQUIRED, 0, 4, &number, &err),
          "process.neg: -1 is not between 0 and 4");
    FAILS(box_json_get_i64(&process, "big", BOX_JSON_REQUIRED, 0, INT64_MAX, &integer, &err),
          "process.big: 18446744073709551615 is not between 0 and 9223372036854775807");
    FAILS(box_json_get_u64(&process, "frac", BOX_JSON_REQUIRED, 0, 4, &number, &err),
          "process.frac: expected an integer, found a fraction");
    FAILS(box_json_as_array(&root, &(size_t){0}, &err), "expected an array, found an object");
    cr_expect(number == 0 && integer == 0 && !strings);
}

Test(json, control_characters_in_a_key_do_not_reach_the_message)
{
    _cleanup_(box_error) box_error *err = NULL;
    _cleanup_(json_object) json_object *document = parse("{\"a\\u001b[2J\\n\":1}");
    struct box_json_at root = BOX_JSON_ROOT(document);
    const char *text;

    cr_assert_eq(box_json_get_string(&root, "a\x1b[2J\n", BOX_JSON_REQUIRED, &text, &err), BOX_EPARSE);
    cr_assert_str_eq(box_error_message(err), "a?[2J?: expected a string, found a number");
}

static int collect(const struct box_json_at *member, void *data, box_error **err)
{
    char *keys = data;

    (void)err;
    strcat(keys, member->key);
    return strcmp(member->key, "stop") == 0 ? 42 : 0;
}

Test(json, members_are_visited_in_order_until_one_says_stop)
{
    _cleanup_(json_object) json_object *document = parse("{\"z\":1,\"a\":2,\"stop\":3,\"b\":4}");
    struct box_json_at root = BOX_JSON_ROOT(document);
    char keys[32] = "";

    cr_assert_eq(box_json_each(&root, collect, keys, NULL), 42);
    cr_assert_str_eq(keys, "zastop");
}

Test(json, made_documents_read_back)
{
    _cleanup_(json_object) json_object *document = json_object_new_object();
    char *vector[] = {"x", "y", NULL};
    struct box_json_at root = BOX_JSON_ROOT(document);
    uint64_t number = 0;
    _strv_ char **strings = NULL;

    cr_assert_eq(box_json_put_string(document, "s", "text", NULL), 0);
    cr_assert_eq(box_json_put_strings(document, "v", vector, NULL), 0);
    cr_assert_eq(box_json_put_strings(document, "e", NULL, NULL), 0);
    cr_assert_eq(box_json_put_u64(document, "u", UINT64_MAX, NULL), 0);
    cr_assert_eq(box_json_put_i64(document, "i", INT64_MIN, NULL), 0);
    cr_assert_eq(box_json_put_bool(document, "b", true, NULL), 0);
    cr_assert_eq(box_json_put(document, "n", NULL, NULL), BOX_ENOMEM);
    cr_assert_str_eq(json_object_to_json_string_ext(document, JSON_C_TO_STRING_PLAIN),
                     "{\"s\":\"text\",\"v\":[\"x\",\"y\"],\"e\":[],\"u\":18446744073709551615,"
                     "\"i\":-9223372036854775808,\"b\":true}");
    cr_assert_eq(box_json_get_u64(&root, "u", BOX_JSON_REQUIRED, 0, UINT64_MAX, &number, NULL), 0);
    cr_assert_eq(number, UINT64_MAX);
    cr_assert_eq(box_json_get_strings(&root, "v", BOX_JSON_REQUIRED, &strings, NULL), 0);
    cr_assert_str_eq(strings[1], "y");
}
