/* Names of images. */
#include <criterion/criterion.h>
#include <string.h>

#include "image/reference.h"

#define SHA "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void means(const char *text, const char *full, const char *familiar)
{
    _reference_ struct box_reference r = {0};
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_reference_read(text, &r, &err), 0, "%s: %s", text, box_error_message(err));
    _free_ char *got_full = box_reference_full(&r);
    _free_ char *got_familiar = box_reference_familiar(&r);
    cr_assert_str_eq(got_full, full, "%s is %s", text, got_full);
    cr_assert_str_eq(got_familiar, familiar, "%s is %s", text, got_familiar);
}

static void is_none(const char *text)
{
    struct box_reference r = {0};
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_reference_read(text, &r, &err), BOX_EPARSE, "%s was taken for a name", text);
    cr_assert_not_null(strstr(box_error_message(err), text), "%s", box_error_message(err));
    cr_assert_null(r.domain);
    cr_assert_null(r.path);
}

Test(reference, short_names_are_docker_hubs)
{
    means("debian", "docker.io/library/debian:latest", "debian:latest");
    means("debian:12", "docker.io/library/debian:12", "debian:12");
    means("python:3.11-slim", "docker.io/library/python:3.11-slim", "python:3.11-slim");
    means("user/app", "docker.io/user/app:latest", "user/app:latest");
    means("docker.io/debian", "docker.io/library/debian:latest", "debian:latest");
    means("index.docker.io/library/debian", "docker.io/library/debian:latest", "debian:latest");
    means("a/b/c:1", "docker.io/a/b/c:1", "a/b/c:1");
    /* Without the host these would read as another one's. */
    means("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c:latest");
    means("docker.io/localhost/c", "docker.io/localhost/c:latest", "docker.io/localhost/c:latest");
}

Test(reference, a_host_has_a_dot_a_colon_or_is_localhost)
{
    means("quay.io/a/b", "quay.io/a/b:latest", "quay.io/a/b:latest");
    means("host:5000/a", "host:5000/a:latest", "host:5000/a:latest");
    means("host:5000/a:t", "host:5000/a:t", "host:5000/a:t");
    means("localhost/a", "localhost/a:latest", "localhost/a:latest");
    means("UPPER/a", "UPPER/a:latest", "UPPER/a:latest");
    means("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest");
    means("1.2.3.4/a__b--c.d", "1.2.3.4/a__b--c.d:latest", "1.2.3.4/a__b--c.d:latest");
}

Test(reference, a_digest_takes_the_place_of_a_tag_or_stands_beside_it)
{
    means("debian@" SHA, "docker.io/library/debian@" SHA, "debian@" SHA);
    means("debian:12@" SHA, "docker.io/library/debian:12@" SHA, "debian:12@" SHA);
    means("h:1/a@" SHA, "h:1/a@" SHA, "h:1/a@" SHA);
}

Test(reference, what_the_grammar_does_not_have_is_refused)
{
    const char *const texts[] = {"",
                                 ":",
                                 "a:",
                                 "@",
                                 "a@",
                                 ":tag",
                                 "/a",
                                 "a/",
                                 "a//b",
                                 "-a",
                                 "a-",
                                 "_a",
                                 "a_",
                                 ".a",
                                 "a.",
                                 "a..b",
                                 "a___b",
                                 "a._b",
                                 "A",
                                 "user/App",
                                 "a b",
                                 "a\n",
                                 "a:t ag",
                                 "a:-t",
                                 "a:.t",
                                 "a:t/",
                                 "http://a/b",
                                 "../a",
                                 "a/../b",
                                 "./a",
                                 "-h.x/a",
                                 "h-.x/a",
                                 "h..x/a",
                                 "h:/a",
                                 "h:99999999/a",
                                 "[::g]/a",
                                 "[::1/a",
                                 "a@sha256:123",
                                 "a@md5:00",
                                 "a@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
                                 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                                 "\xc3\xa9",
                                 "a:\xc3\xa9"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        is_none(texts[i]);
}

Test(reference, lengths_have_limits)
{
    char name[400];

    memset(name, 'a', sizeof(name));
    name[300] = '\0';
    is_none(name);
    memcpy(name, "a:", 2);
    name[131] = '\0';
    is_none(name);
    name[130] = '\0';
    struct box_reference r = {0};
    cr_assert_eq(box_reference_read(name, &r, NULL), 0);
    box_reference_clear(&r);
}
