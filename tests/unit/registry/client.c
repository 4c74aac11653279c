/* Setting a client up. */
#include <criterion/criterion.h>
#include <string.h>

#include "registry/client.h"

Test(registry_client, docker_hub_has_a_host_and_a_key_of_its_own)
{
    cr_assert_str_eq(box_client_authority("docker.io"), "registry-1.docker.io");
    cr_assert_str_eq(box_client_domain("registry-1.docker.io"), "docker.io");
    cr_assert_str_eq(box_client_config_key("docker.io"), "https://index.docker.io/v1/");
    cr_assert_str_eq(box_client_authority("host:5000"), "host:5000");
    cr_assert_str_eq(box_client_config_key("host:5000"), "host:5000");
}

Test(registry_client, this_machine_is_what_nobody_else_can_be)
{
    static const char *const own[] = {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:5000"};
    static const char *const others[] = {"localhost.example", "127.evil.example", "127.0.0.1.example:80", "[::2]", "host",
                                         "notlocalhost", "128.0.0.1"};

    for (size_t i = 0; i < BOX_ARRAY(own); i++)
        cr_assert(box_client_is_loopback(own[i]), "%s", own[i]);
    for (size_t i = 0; i < BOX_ARRAY(others); i++)
        cr_assert_not(box_client_is_loopback(others[i]), "%s", others[i]);
}

Test(registry_client, a_domain_is_a_host_and_perhaps_a_port)
{
    static const char *const bad[] = {"", "http://host", "host/path", "ho st", "user@host", "host:99999", "host?x", "host#"};
    _cleanup_(box_registry) box_registry *registry = box_registry_new(NULL);

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_assert_eq(box_registry_allow_http(registry, bad[i], NULL), BOX_EINVAL, "%s", bad[i]);
    cr_assert_eq(registry->n_hosts, 0);
    cr_assert_eq(box_registry_allow_http(registry, "host:5000", NULL), 0);
    cr_assert(box_client_host(registry, "HOST:5000", false)->allow_http);
    cr_assert_null(box_client_host(registry, "host", false));
}

Test(registry_client, the_port_of_https_need_not_be_said)
{
    _cleanup_(box_registry) box_registry *registry = box_registry_new(NULL);

    cr_assert_eq(box_registry_allow_untrusted(registry, "a.example:443", NULL), 0);
    cr_assert_eq(box_registry_allow_untrusted(registry, "b.example", NULL), 0);
    cr_assert_not_null(box_client_host(registry, "a.example", false));
    cr_assert_not_null(box_client_host(registry, "b.example:443", false));
    cr_assert_null(box_client_host(registry, "b.example:444", false));
}

Test(registry_client, a_login_of_the_programs_comes_first_and_none_means_none)
{
    _cleanup_(box_registry) box_registry *registry = box_registry_new(NULL);
    const struct box_call call = {.registry = registry, .deadline = BOX_NEVER, .cancel_fd = -1};
    _login_ struct box_login login = {0}, none = {0};

    registry->config = json_tokener_parse("{\"auths\":{\"h\":{\"auth\":\"ZmlsZTpzZWNyZXQ=\"},\"i\":{\"auth\":\"ZmlsZTpzZWNyZXQ=\"}}}");
    cr_assert_eq(box_client_login(&call, "h", &login, NULL), 0);
    cr_assert_str_eq(login.user, "file");
    cr_assert_eq(box_registry_set_credentials(registry, "h", NULL, NULL, NULL), 0);
    cr_assert_eq(box_client_login(&call, "h", &none, NULL), 0);
    cr_assert_null(none.user);
    cr_assert_eq(box_registry_set_credentials(registry, "i", "me", "x", NULL), 0);
    box_login_clear(&login);
    cr_assert_eq(box_client_login(&call, "i", &login, NULL), 0);
    cr_assert_str_eq(login.user, "me");
}

Test(registry_client, what_makes_no_sense_is_refused)
{
    _cleanup_(box_registry) box_registry *registry = box_registry_new(NULL);

    cr_assert_eq(box_registry_set_credentials(registry, "h", "a:b", "x", NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_credentials(registry, "h", "a", NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_identity_token(registry, "h", "a\r\nb", NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_user_agent(registry, "a\r\nb", NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_parallel(registry, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_chunk(registry, 1, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_retries(registry, 0, 1, 1, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_set_timeouts(registry, 0, 1, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_add_mirror(registry, "h", "ftp://x", NULL), BOX_EPARSE);
    cr_assert_eq(box_registry_add_mirror(registry, "h", "https://x/?q", NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_tags(registry, "h/a:tag", &(char **){NULL}, NULL), BOX_EINVAL);
    cr_assert_eq(box_registry_get_referrers(registry, "h/a:tag", NULL, &(box_registry_document){0}, NULL), BOX_EINVAL);
}

Test(registry_client, nothing_is_waited_for_past_the_deadline)
{
    const struct box_call call = {.deadline = box_deadline_in_ms(0), .cancel_fd = -1};

    cr_assert_eq(box_call_check(&call, NULL), BOX_ETIMEOUT);
    cr_assert_eq(box_call_sleep(&call, 1000, NULL), BOX_ETIMEOUT);
}
