/* URLs: what is one, and where a reference leads. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/strings.h"
#include "registry/url.h"

static void is(const char *text, const char *formatted)
{
    _url_ struct box_url url = {0};
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_url_parse(text, &url, &err), 0, "%s: %s", text, box_error_message(err));
    _free_ char *got = box_url_format(&url);
    cr_assert_str_eq(got, formatted);
}

Test(registry_url, one_form_is_written_for_each)
{
    is("https://host", "https://host/");
    is("HTTPS://HOST.Example:443/A", "https://host.example/A");
    is("http://host:80/a?b=c#d", "http://host/a?b=c");
    is("http://host:443/", "http://host:443/");
    is("https://[2001:db8::1]:5000/x", "https://[2001:db8::1]:5000/x");
    is("https://host?q", "https://host/?q");
    is("https://host/a/../b", "https://host/a/../b");
}

Test(registry_url, what_two_parsers_could_read_differently_is_none)
{
    static const char *const bad[] = {
        "ftp://host/",         "file:///etc/passwd", "https:/host",         "host/path",          "",
        "https://",            "https:///path",      "https://user@host/",  "https://a:b@host/",  "https://host:/",
        "https://host:0/",     "https://host:65536", "https://host:80:80/", "https://ho st/",     "https://host\\@evil/",
        "https://host/a b",    "https://host/\r\nX", "https://h\xc3\xb6st", "https://[::1",       "https://[zz]/",
        "https://.host/",      "https://-host/",     "https://host%00/",    "https://host/\x7f",  "https://host/<a>",
        "https://host:1x/",    "javascript:alert(1)"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct box_url url;
        cr_assert_eq(box_url_parse(bad[i], &url, NULL), BOX_EPARSE, "%s was taken", bad[i]);
        cr_assert_null(url.host);
    }
    char *longest = malloc(BOX_URL_MAX + 100);
    memset(longest, 'a', BOX_URL_MAX + 99);
    memcpy(longest, "https://h/", 10);
    longest[BOX_URL_MAX + 99] = 0;
    struct box_url url;
    cr_assert_eq(box_url_parse(longest, &url, NULL), BOX_EPARSE);
    free(longest);
}

static void leads(const char *base, const char *reference, const char *to)
{
    _url_ struct box_url from = {0}, url = {0};

    cr_assert_eq(box_url_parse(base, &from, NULL), 0);
    int r = box_url_resolve(&from, reference, &url, NULL);
    if (!to) {
        cr_assert_eq(r, BOX_EPARSE, "%s was taken", reference);
        return;
    }
    cr_assert_eq(r, 0, "%s", reference);
    _free_ char *got = box_url_format(&url);
    cr_assert_str_eq(got, to, "%s from %s is %s", reference, base, got);
}

Test(registry_url, references_are_resolved)
{
    leads("https://h/a/b?c", "/x", "https://h/x");
    leads("https://h/a/b?c", "x", "https://h/a/x");
    leads("https://h/a/b?c", "?x", "https://h/a/b?x");
    leads("https://h/a/b?c", "", "https://h/a/b?c");
    leads("https://h/a/b/c?d/e", "x", "https://h/a/b/x");
    leads("https://h:1/a", "//other/x", "https://other/x");
    leads("https://h/a", "https://other:2/x?y", "https://other:2/x?y");
    leads("https://h/a", "data:text", NULL);
    leads("https://h/a", "file:///x", NULL);
    leads("https://h/a", "/a b", NULL);
}

Test(registry_url, the_same_host_keeps_https)
{
    leads("https://h/a", "http://h/x", "https://h/x");
    leads("https://h:5000/a", "http://h:5000/x", "https://h:5000/x");
    leads("https://h:5000/a", "http://h/x", "https://h:5000/x");
    leads("https://h/a", "http://other/x", "http://other/x");
    leads("https://h/a", "http://h:8080/x", "http://h:8080/x");
    leads("http://h/a", "http://h/x", "http://h/x");
}

Test(registry_url, origins_are_scheme_host_and_port)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {{"https://h/a", "https://h:443/b", true},
                 {"https://h/a", "http://h:443/b", false},
                 {"https://h/", "https://h.evil/", false},
                 {"https://h:1/", "https://h:2/", false}};

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        _url_ struct box_url a = {0}, b = {0};
        box_url_parse(cases[i].a, &a, NULL);
        box_url_parse(cases[i].b, &b, NULL);
        cr_assert_eq(box_url_same_origin(&a, &b), cases[i].same, "%s %s", cases[i].a, cases[i].b);
    }
}
