/* Docker's client configuration. */
#include <criterion/criterion.h>
#include <string.h>

#include "base/json.h"
#include "registry/config.h"

static json_object *parse(const char *text)
{
    json_object *config = NULL;
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_config_parse_text(text, strlen(text), "test", &config, &err), 0, "%s", box_error_message(err));
    return config;
}

static void login_is(json_object *config, const char *key, const char *user, const char *password, const char *identity)
{
    _login_ struct box_login login = {0};

    cr_assert_eq(box_config_login(config, key, &login, NULL), 0);
    cr_assert(box_streq(login.user, user), "%s: %s", key, login.user ? login.user : "nobody");
    cr_assert(box_streq(login.password, password));
    cr_assert(box_streq(login.identity, identity));
}

Test(registry_config, logins_are_found_by_host_whatever_their_key_looks_like)
{
    _cleanup_(json_object) json_object *config =
        parse("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnNlY3JldA==\"},"
              "\"host:5000\":{\"auth\":\"bWU6cGFzczp3b3Jk\"},\"http://other.example/v2\":{\"username\":\"u\",\"password\":\"p\"},"
              "\"id.example\":{\"auth\":\"eDo=\",\"identitytoken\":\"tok\"},\"empty.example\":{}}}");

    login_is(config, "https://index.docker.io/v1/", "hub", "secret", NULL);
    login_is(config, "host:5000", "me", "pass:word", NULL);
    login_is(config, "other.example", "u", "p", NULL);
    login_is(config, "id.example", NULL, NULL, "tok");
    login_is(config, "empty.example", NULL, NULL, NULL);
    login_is(config, "host", NULL, NULL, NULL);
    login_is(config, "evil.host:5000", NULL, NULL, NULL);
}

Test(registry_config, helpers_are_for_one_registry_or_for_all)
{
    _cleanup_(json_object) json_object *config = parse("{\"credsStore\":\"all\",\"credHelpers\":{\"one.example\":\"one\"}}");
    _cleanup_(json_object) json_object *none = parse("{\"credHelpers\":{\"one.example\":\"one\"}}");

    cr_assert_str_eq(box_config_helper(config, "one.example"), "one");
    cr_assert_str_eq(box_config_helper(config, "two.example"), "all");
    cr_assert_null(box_config_helper(none, "two.example"));
    cr_assert_null(box_config_helper(NULL, "x"));
}

Test(registry_config, an_error_names_its_place)
{
    static const struct {
        const char *text, *place;
    } bad[] = {{"{\"auths\":[]}", "auths"},
               {"{\"auths\":{\"h\":7}}", "h"},
               {"{\"auths\":{\"h\":{\"auth\":7}}}", "auth"},
               {"{\"credHelpers\":{\"h\":\"a/b\"}}", "credHelpers"},
               {"{\"credHelpers\":{\"h\":\"..\"}}", "credHelpers"},
               {"{\"credsStore\":\"-x y\"}", "credsStore"},
               {"{\"credsStore\":{}}", "credsStore"},
               {"[]", "test"},
               {"{", "test"}};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *err = NULL;
        json_object *config = NULL;
        cr_assert_eq(box_config_parse_text(bad[i].text, strlen(bad[i].text), "test", &config, &err), BOX_EPARSE, "%s",
                     bad[i].text);
        cr_assert_not_null(strstr(box_error_message(err), bad[i].place), "%s", box_error_message(err));
    }
}

Test(registry_config, a_login_that_is_none_is_an_error_when_it_is_used)
{
    static const char *const bad[] = {"bm9jb2xvbg==", "%%%", "YQBiOmM="};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _free_ char *text = box_strf("{\"auths\":{\"h\":{\"auth\":\"%s\"}}}", bad[i]);
        _cleanup_(json_object) json_object *config = parse(text);
        _login_ struct box_login login = {0};
        cr_assert_eq(box_config_login(config, "h", &login, NULL), BOX_EPARSE, "%s", bad[i]);
    }
}
