#include <criterion/criterion.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/keyring.h>
#include <libbox/lsm.h>

#include "base/fail.h"
#include "kernel/lsm_attr.h"
#include "kernel/smallfile.h"

Test(lsm, well_formed_labels_pass)
{
    const char *apparmor[] = {"docker-default", "unconfined",  "/usr/bin/man",
                              "a//b",           ":ns:profile", "two words"};
    const char *selinux[] = {"system_u:system_r:container_t:s0:c1,c2", "u:r:t", "u:r:t:s0-s0:c0.c1023"};

    for (size_t i = 0; i < BOX_ARRAY(apparmor); i++)
        cr_assert_eq(box_lsm_label_check(BOX_LSM_APPARMOR, apparmor[i], NULL), 0, "%s", apparmor[i]);
    for (size_t i = 0; i < BOX_ARRAY(selinux); i++)
        cr_assert_eq(box_lsm_label_check(BOX_LSM_SELINUX, selinux[i], NULL), 0, "%s", selinux[i]);
}

Test(lsm, malformed_labels_are_refused)
{
    const char *apparmor[] = {"", " x", "x ", "x\ny", "\x7f", "a\tb", NULL};
    const char *selinux[] = {"",     "container_t", "u:r",       "u:r:",    "u::t",
                             ":r:t", "u:r:t:",      "u:r:t :s0", "u:r:t\n", NULL};

    for (size_t i = 0; i < BOX_ARRAY(apparmor); i++)
        cr_assert_eq(box_lsm_label_check(BOX_LSM_APPARMOR, apparmor[i], NULL), BOX_ESPEC, "case %zu", i);
    for (size_t i = 0; i < BOX_ARRAY(selinux); i++)
        cr_assert_eq(box_lsm_label_check(BOX_LSM_SELINUX, selinux[i], NULL), BOX_ESPEC, "case %zu", i);

    char longest[4097];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[4096] = '\0';
    cr_assert_eq(box_lsm_label_check(BOX_LSM_APPARMOR, longest, NULL), BOX_ESPEC);
    longest[4095] = '\0';
    cr_assert_eq(box_lsm_label_check(BOX_LSM_APPARMOR, longest, NULL), 0);
    cr_assert_eq(box_lsm_label_check((enum box_lsm)2, "x", NULL), BOX_EINVAL);
}

Test(lsm, each_module_wants_its_own_text)
{
    _free_ char *apparmor = NULL, *selinux = NULL;

    cr_assert_eq(box_lsm_exec_text(BOX_LSM_APPARMOR, "docker-default", &apparmor, NULL), 0);
    cr_assert_eq(box_lsm_exec_text(BOX_LSM_SELINUX, "u:r:t:s0", &selinux, NULL), 0);
    cr_assert_str_eq(apparmor, "exec docker-default");
    cr_assert_str_eq(selinux, "u:r:t:s0");
}

Test(lsm, no_label_asks_for_nothing)
{
    const char *attr = "x";
    char *text = (char *)"x";

    cr_assert_eq(box_lsm_exec_attr(BOX_LSM_APPARMOR, "", false, &attr, &text, NULL), 0);
    cr_assert_null(attr);
    cr_assert_null(text);
}

Test(lsm, a_label_for_a_module_that_is_not_active_fails_unless_it_may_be_missing)
{
    const char *labels[] = {[BOX_LSM_APPARMOR] = "docker-default", [BOX_LSM_SELINUX] = "u:r:t:s0"};
    int tried = 0;

    for (int lsm = BOX_LSM_APPARMOR; lsm <= BOX_LSM_SELINUX; lsm++) {
        _cleanup_(box_error) box_error *err = NULL;
        const char *attr = NULL;
        char *text = NULL;
        if (box_lsm_enabled((enum box_lsm)lsm))
            continue;
        tried++;
        cr_assert_eq(box_lsm_exec_attr((enum box_lsm)lsm, labels[lsm], false, &attr, &text, &err),
                     BOX_EUNSUPPORTED);
        cr_assert_str_eq(box_error_subject(err), labels[lsm]);
        cr_assert_str_neq(box_error_remedy(err), "");
        cr_assert_eq(box_lsm_exec_attr((enum box_lsm)lsm, labels[lsm], true, &attr, &text, NULL), 0);
        cr_assert_null(attr);
        cr_assert_null(text);
        cr_assert_eq(box_lsm_exec_attr((enum box_lsm)lsm, "\n", true, &attr, &text, NULL), BOX_ESPEC,
                     "malformed is malformed, whether the module is there or not");
        cr_assert_null(box_lsm_label_read((enum box_lsm)lsm, 0, NULL));
        cr_assert_eq(box_lsm_label_on_exec((enum box_lsm)lsm, labels[lsm], NULL), BOX_EUNSUPPORTED);
    }
    if (!tried)
        cr_skip_test("both modules are active here");
}

Test(lsm, a_profile_that_is_not_loaded_is_not_found)
{
    _cleanup_(box_error) box_error *err = NULL;
    _free_ char *profiles = NULL;

    /* The file's mode lets everybody read, and AppArmor itself does not. */
    if (!box_lsm_enabled(BOX_LSM_APPARMOR) ||
        box_smallfile_load("/sys/kernel/security/apparmor/profiles", &profiles) < 0)
        cr_skip_test("no AppArmor whose profiles can be listed");
    cr_assert_eq(box_lsm_label_usable(BOX_LSM_APPARMOR, "libbox-test-no-such-profile", &err), BOX_ENOTFOUND);
    cr_assert_eq(box_lsm_label_usable(BOX_LSM_APPARMOR, "unconfined", NULL), 0);
}

Test(lsm, the_label_asked_for_is_on_the_program_executed_next)
{
    _cleanup_(box_error) box_error *err = NULL;
    int status;

    if (!box_lsm_enabled(BOX_LSM_APPARMOR))
        cr_skip_test("no AppArmor here");
    _free_ char *label = box_lsm_label_read(BOX_LSM_APPARMOR, 0, &err);
    cr_assert_not_null(label, "%s", box_error_message(err));
    cr_assert_null(strchr(label, '\n'));
    pid_t pid = fork();
    if (pid == 0) {
        if (box_lsm_label_on_exec(BOX_LSM_APPARMOR, label, NULL) < 0)
            _exit(100);
        execl("/bin/sh", "sh", "-c", "read -r now </proc/self/attr/current; test \"${now%% (*}\" = \"$0\"",
              label, (char *)NULL);
        _exit(101);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(lsm, the_list_of_modules_has_capability)
{
    _free_ char *list = box_lsm_list();

    cr_assert_not_null(list);
    cr_assert_not_null(strstr(list, "capability"));
}

Test(keyring, a_new_session_keyring_is_another_one_each_time)
{
    _cleanup_(box_error) box_error *err = NULL;
    int32_t first, second, now;

    int r = box_keyring_join_session(NULL, &first, &err);
    if (r == BOX_EUNSUPPORTED)
        cr_skip_test("no keyrings here");
    cr_assert_eq(r, 0, "%s", box_error_message(err));
    cr_assert_eq(box_keyring_session(&now, NULL), 0);
    cr_assert_eq(now, first);
    cr_assert_eq(box_keyring_join_session(NULL, &second, NULL), 0);
    cr_assert_neq(first, second);
    cr_assert_eq(box_keyring_join_session(NULL, NULL, NULL), 0);
}
