/* Headers and error documents of registries, kind and hostile. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/strings.h"
#include "registry/challenge.h"
#include "registry/http.h"

static struct box_challenges read_all(const char *first, const char *second)
{
    struct box_challenges c = {0};

    cr_assert_eq(box_challenges_read(&c, first, NULL), 0);
    if (second)
        cr_assert_eq(box_challenges_read(&c, second, NULL), 0);
    return c;
}

Test(registry_challenge, bearer_has_realm_service_and_scope)
{
    _challenges_ struct box_challenges c =
        read_all("Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"", NULL);

    cr_assert(c.bearer && !c.basic);
    cr_assert_str_eq(c.realm, "https://auth.docker.io/token");
    cr_assert_str_eq(c.service, "registry.docker.io");
    cr_assert_str_eq(c.scope, "repository:a/b:pull,push");
}

Test(registry_challenge, several_stand_in_one_header_or_in_several)
{
    _challenges_ struct box_challenges one =
        read_all("Basic realm=\"x, y\", charset=\"UTF-8\", Bearer realm=\"r\", service=s", NULL);
    cr_assert(one.bearer && one.basic);
    cr_assert_str_eq(one.realm, "r", "a Basic realm is not Bearer's");
    cr_assert_str_eq(one.service, "s");

    _challenges_ struct box_challenges two = read_all("bearer REALM = \"r\"", "BASIC realm=\"other\"");
    cr_assert(two.bearer && two.basic);
    cr_assert_str_eq(two.realm, "r");

    _challenges_ struct box_challenges after = read_all("Negotiate abcd==, Basic realm=q", NULL);
    cr_assert(after.basic && !after.bearer);
    cr_assert_null(after.realm);
}

Test(registry_challenge, quotes_hide_commas_and_other_challenges)
{
    _challenges_ struct box_challenges c = read_all("Bearer realm=\"a, Basic realm=\\\"b\\\"\"", NULL);

    cr_assert_not(c.basic);
    cr_assert_str_eq(c.realm, "a, Basic realm=\"b\"");
}

Test(registry_challenge, what_cannot_be_read_is_passed_over)
{
    static const char *const odd[] = {"", ",,,", "Bearer", "Bearer realm", "Bearer realm=", "Bearer realm=\"", "Bearer realm=\"x\\",
                                      "=\"x\"", "Bearer \x01\x02=\"x\"", "\"\"", "Bearer realm=\"a\" realm=\"b\""};

    for (size_t i = 0; i < BOX_ARRAY(odd); i++) {
        struct box_challenges c = read_all(odd[i], NULL);
        box_challenges_clear(&c);
    }
}

static void next_is(const char *header, const char *target)
{
    char *got = NULL;

    cr_assert_eq(box_link_next(header, &got, NULL), 0);
    if (target)
        cr_assert_str_eq(got, target, "%s", header);
    else
        cr_assert_null(got, "%s gave %s", header, got);
    free(got);
}

Test(registry_challenge, the_next_page_is_found)
{
    next_is("</v2/_catalog?last=a&n=2>; rel=\"next\"", "/v2/_catalog?last=a&n=2");
    next_is("<a>; rel=prev, <b>; title=\"x; rel=next\"; rel=\"last next\"", "b");
    next_is("<a>;rel=NEXT", "a");
    next_is("<a;b,c>; rel=next", "a;b,c");
    next_is("<a>; rel=\"nextish\"", NULL);
    next_is("<a>", NULL);
    next_is("<a", NULL);
    next_is("", NULL);
    next_is("<a>; rel=\"next", "a");
    next_is("<a>; title=\"<b>; rel=next\"", NULL);
}

Test(registry_challenge, content_ranges)
{
    uint64_t first, last, total;

    cr_assert_eq(box_content_range_read("bytes 5-9/10", &first, &last, &total, NULL), 0);
    cr_assert(first == 5 && last == 9 && total == 10);
    cr_assert_eq(box_content_range_read("Bytes 0-0/*", &first, &last, &total, NULL), 0);
    cr_assert(first == 0 && last == 0 && total == UINT64_MAX);
    static const char *const bad[] = {"",           "bytes",         "bytes 5-/10",   "bytes 9-5/10", "bytes 0-10/10", "bytes */10",
                                      "bytes 1-2",  "bytes 1-2/",    "bytes 1-2/3x",  "items 0-1/2",  "bytes -1-2/3",
                                      "bytes 0-99999999999999999999/*", "bytes 18446744073709551616-1/2"};
    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_assert_eq(box_content_range_read(bad[i], &first, &last, &total, NULL), BOX_EPARSE, "%s", bad[i]);
}

Test(registry_challenge, how_much_of_an_upload_arrived)
{
    uint64_t next = 99;

    cr_assert_eq(box_upload_range_read("0-0", &next, NULL), 0);
    cr_assert_eq(next, 0);
    cr_assert_eq(box_upload_range_read("bytes=0-99", &next, NULL), 0);
    cr_assert_eq(next, 100);
    cr_assert_eq(box_upload_range_read("1-99", &next, NULL), BOX_EPARSE);
    cr_assert_eq(box_upload_range_read("", &next, NULL), BOX_EPARSE);
    cr_assert_eq(box_upload_range_read("0-9 x", &next, NULL), BOX_EPARSE);
}

Test(registry_challenge, retry_after_is_seconds_or_a_date)
{
    cr_assert_eq(box_retry_after_read("0", 0), 0);
    cr_assert_eq(box_retry_after_read("120", 0), 120000);
    cr_assert_eq(box_retry_after_read("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 - 10), 10000);
    cr_assert_eq(box_retry_after_read("Sun, 06 Nov 1994 08:49:37 GMT", 784111777 + 10), 0);
    cr_assert_eq(box_retry_after_read(" Fri,  2 dec 2033 23:59:60 GMT", 2017180800 - 1), 1000);
    cr_assert_eq(box_retry_after_read("soon", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, 06 Nov", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, 06 Nav 1994 08:49:37 GMT", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, 06 No 1994 08:49:37 GMT", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, 32 Nov 1994 08:49:37 GMT", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, -6 Nov 1994 08:49:37 GMT", 0), -1);
    cr_assert_eq(box_retry_after_read("Sun, 06 Nov 1994 24:49:37 GMT", 0), -1);
    cr_assert_eq(box_retry_after_read("So, 06 Nov 1994 08:49:37 GMT", 784111777 - 10), 10000);
    cr_assert_eq(box_retry_after_read("-5", 0), -1);
    cr_assert_eq(box_retry_after_read("9223372036854775807", 0), (int64_t)INT32_MAX * 1000);
}

static char *said(const char *document)
{
    struct box_buffer out = {0};

    box_registry_error_append(&out, document, strlen(document));
    return box_buffer_take(&out);
}

Test(registry_challenge, error_documents_are_for_people)
{
    static const struct {
        const char *document, *text;
    } cases[] = {
        {"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}", "no (DENIED)"},
        {"{\"errors\":[{\"code\":\"A\",\"message\":\"m\",\"detail\":\"d\"},{\"message\":\"n\"}]}", "m: d (A); n"},
        {"{\"errors\":[{\"code\":\"A\",\"message\":\"m\",\"detail\":{\"Tag\":\"x\"}}]}", "m (A)"},
        {"{\"errors\":[{\"message\":\"a\\u001b[0m\\nb\"}]}", "a [0m b"},
        {"{\"errors\":[{},7,null,[]]}", "; ; ; "},
        {"{\"details\":\"incorrect username or password\"}", "incorrect username or password"},
        {"{\"error\":\"x\",\"error_description\":\"why\"}", "why"},
        {"{\"errors\":{}}", ""},
        {"<html>", ""},
        {"", ""},
        {"[]", ""}};

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _free_ char *text = said(cases[i].document);
        /* Entries that say nothing leave nothing but what divides them. */
        if (strspn(cases[i].text, "; ") != strlen(cases[i].text) || !*cases[i].text)
            cr_assert_str_eq(text, cases[i].text);
    }
}

Test(registry_challenge, an_error_document_has_a_length)
{
    struct box_buffer document = {0};

    box_buffer_puts(&document, "{\"errors\":[");
    for (int i = 0; i < 100; i++)
        box_buffer_printf(&document, "%s{\"message\":\"%01000d\"}", i ? "," : "", i);
    box_buffer_puts(&document, "]}");
    _free_ char *text = said(document.data);
    cr_assert_lt(strlen(text), 4 * 1100);
    box_buffer_free(&document);
}

static void header(struct box_http_response *response, const char *line)
{
    cr_assert_eq(box_http_header(response, line, strlen(line), NULL), 0);
}

Test(registry_challenge, headers_are_taken_once_and_in_any_case)
{
    _response_ struct box_http_response r = {.length = -1};

    header(&r, "CONTENT-type:application/json \r\n");
    header(&r, "Content-Type: other\r\n");
    header(&r, "Content-Length: 12\r\n");
    header(&r, "location :x\r\n");
    header(&r, "Location: /y\r\n");
    header(&r, "no colon\r\n");
    header(&r, "\r\n");
    cr_assert_str_eq(r.content_type, "application/json");
    cr_assert_eq(r.length, 12);
    cr_assert_str_eq(r.location, "/y");
    header(&r, "Content-Length: 99999999999999999999\r\n");
    cr_assert_eq(r.length, 12);
}
