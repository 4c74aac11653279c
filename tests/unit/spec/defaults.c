/* What a new spec begins with. The lists are written out here again on purpose: one that grows shorter by
 * mistake is a hole in every container. */
#include "document.h"

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/seccomp.h>

Test(spec_defaults, new_container_has_every_namespace_but_time_and_user_when_root)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();

    if (geteuid() != 0)
        cr_skip_test("not root");
    for (int i = 0; i < SPEC_NS_KINDS; i++)
        cr_expect_eq(box_spec_has_namespace(spec, (enum box_spec_namespace)i),
                     i != SPEC_NS_USER && i != SPEC_NS_TIME, "%s", spec_namespace_info[i].name);
}

Test(spec_defaults, ordinary_user_gets_a_user_namespace_in_which_he_is_root)
{
    _cleanup_(box_spec) box_spec *spec = NULL;
    uint32_t outside = 0;

    if (geteuid() == 0)
        cr_assert_eq(seteuid(1234), 0);
    spec = box_spec_new();
    cr_assert_not_null(spec);
    cr_assert(box_spec_has_namespace(spec, BOX_SPEC_USER_NAMESPACE));
    cr_assert(box_idmap_to_outside(box_spec_get_idmap(spec), BOX_IDMAP_UID, 0, &outside));
    cr_assert_eq(outside, geteuid());
}

Test(spec_defaults, new_container_has_the_default_capabilities_and_filter_and_no_new_privileges)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    struct box_capset sets;

    cr_assert(box_spec_get_capabilities(spec, &sets));
    cr_assert_eq(sets.bounding, box_capability_default());
    cr_assert_eq(sets.permitted, sets.bounding);
    cr_assert_eq(sets.effective, sets.bounding);
    cr_assert_eq(sets.inheritable, 0);
    cr_assert_eq(sets.ambient, 0);
    cr_assert_not_null(box_spec_get_seccomp(spec));
    cr_assert(box_spec_get_no_new_privileges(spec));
    cr_assert(spec->new_keyring);
    cr_assert(spec->default_devices);
    cr_assert_eq(spec->may_miss, 0);
}

Test(spec_defaults, new_container_hides_and_protects_what_docker_does)
{
    static const char *const masked[] = {"/proc/acpi",
                                         "/proc/asound",
                                         "/proc/interrupts",
                                         "/proc/kcore",
                                         "/proc/keys",
                                         "/proc/latency_stats",
                                         "/proc/scsi",
                                         "/proc/sched_debug",
                                         "/proc/timer_list",
                                         "/proc/timer_stats",
                                         "/sys/devices/virtual/powercap",
                                         "/sys/firmware"};
    static const char *const readonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                           "/proc/sysrq-trigger"};
    _cleanup_(box_spec) box_spec *spec = box_spec_new();

    for (size_t i = 0; i < BOX_ARRAY(masked); i++)
        cr_expect(box_strv_contains(box_spec_get_masked_paths(spec), masked[i]), "%s", masked[i]);
    for (size_t i = 0; i < BOX_ARRAY(readonly); i++)
        cr_expect(box_strv_contains(box_spec_get_readonly_paths(spec), readonly[i]), "%s", readonly[i]);
}

Test(spec_defaults, new_container_mounts_kernel_file_systems_without_setuid_and_sys_read_only)
{
    static const char *const destinations[] = {"/proc",       "/dev", "/dev/pts",      "/dev/shm",
                                               "/dev/mqueue", "/sys", "/sys/fs/cgroup"};
    _cleanup_(box_spec) box_spec *spec = box_spec_new();

    cr_assert_eq(box_spec_count_mounts(spec), BOX_ARRAY(destinations));
    for (size_t i = 0; i < BOX_ARRAY(destinations); i++) {
        struct box_spec_mount mount;

        cr_assert_eq(box_spec_get_mount(spec, i, &mount, NULL), 0);
        cr_expect_str_eq(mount.destination, destinations[i]);
        cr_expect(box_strv_contains(mount.options, "nosuid"), "%s", mount.destination);
        if (!strncmp(mount.destination, "/sys", 4))
            cr_expect(box_strv_contains(mount.options, "ro"), "%s", mount.destination);
        if (strcmp(mount.destination, "/dev") != 0)
            cr_expect(box_strv_contains(mount.options, "noexec"), "%s", mount.destination);
    }
}

Test(spec_defaults, new_container_of_root_may_open_no_device_of_the_host)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    const struct box_device_rule *first;

    if (geteuid() != 0)
        cr_skip_test("an ordinary user's container has a user namespace instead");
    first = box_limits_device_at(box_spec_get_limits(spec), 0);
    cr_assert_not_null(first);
    cr_assert_eq(first->allow, 0);
    cr_assert_eq(first->major, -1);
    cr_assert_eq(first->access, 7);
}

Test(spec_defaults, new_container_has_a_path_and_nothing_else_of_the_environment)
{
    _cleanup_(box_spec) box_spec *spec = NULL;

    setenv("SECRET", "of the host", 1);
    spec = box_spec_new();
    cr_assert_not_null(strstr(box_spec_get_env(spec, "PATH"), "/usr/bin"));
    cr_assert_null(box_spec_get_env(spec, "SECRET"));
    cr_assert_eq(box_strv_length(box_spec_get_env_vector(spec)), 1);
}

Test(spec_defaults, new_container_with_a_root_and_arguments_passes_the_check)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    char *args[] = {"true", NULL};
    box_error *err = NULL;

    cr_assert_eq(box_spec_check(spec, NULL), BOX_ESPEC);
    cr_assert_eq(box_spec_set_root(spec, "/srv/root", NULL), 0);
    cr_assert_eq(box_spec_set_args(spec, args, NULL), 0);
    cr_assert_eq(box_spec_check(spec, &err), 0, "%s", box_error_message(err));
}

Test(spec_defaults, empty_spec_has_nothing)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_empty();

    for (int i = 0; i < SPEC_NS_KINDS; i++)
        cr_expect_not(box_spec_has_namespace(spec, (enum box_spec_namespace)i));
    cr_assert_eq(box_spec_count_mounts(spec), 0);
    cr_assert_not(box_spec_get_capabilities(spec, NULL));
    cr_assert_null(box_spec_get_seccomp(spec));
    cr_assert_null(box_spec_get_limits(spec));
    cr_assert_not(box_spec_get_no_new_privileges(spec));
    cr_assert_null(*box_spec_get_args(spec));
    cr_assert_null(*box_spec_get_env_vector(spec));
    cr_assert_eq(spec->root.kind, SPEC_ROOT_NONE);
}

Test(spec_defaults, confined_child_stays_on_the_host_root_with_a_filter_and_no_new_privileges)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_confined();
    char *args[] = {"true", NULL};
    box_error *err = NULL;

    cr_assert_eq(spec->root.kind, SPEC_ROOT_HOST);
    for (int i = 0; i < SPEC_NS_KINDS; i++)
        cr_expect_not(box_spec_has_namespace(spec, (enum box_spec_namespace)i));
    cr_assert_not(box_spec_get_capabilities(spec, NULL));
    cr_assert_not_null(box_spec_get_seccomp(spec));
    cr_assert(box_spec_get_no_new_privileges(spec));
    cr_assert_eq(box_spec_set_args(spec, args, NULL), 0);
    cr_assert_eq(box_spec_check(spec, &err), 0, "%s", box_error_message(err));
}

/* What the filter says about mount(2) with these capabilities. */
static int mount_verdict(const box_spec *spec)
{
    struct box_seccomp_call call = {.number = box_syscall_number(0, "mount")};
    box_seccomp_filter *filter = box_seccomp_compile(box_spec_get_seccomp(spec), NULL);
    int verdict = box_seccomp_filter_evaluate(filter, &call, NULL);

    box_seccomp_filter_unref(filter);
    return verdict;
}

Test(spec_defaults, default_filter_follows_the_capabilities)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();

    cr_assert_neq(mount_verdict(spec), BOX_SECCOMP_ALLOW);
    cr_assert_eq(box_spec_add_capability(spec, "SYS_ADMIN", NULL), 0);
    cr_assert_eq(mount_verdict(spec), BOX_SECCOMP_ALLOW);
    cr_assert_eq(box_spec_drop_capability(spec, "SYS_ADMIN", NULL), 0);
    cr_assert_neq(mount_verdict(spec), BOX_SECCOMP_ALLOW);
}

Test(spec_defaults, filter_of_the_caller_does_not_change_with_the_capabilities)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(box_spec_set_seccomp(spec, policy, NULL), 0);
    box_seccomp_free(policy);
    cr_assert_eq(box_spec_drop_capability(spec, "ALL", NULL), 0);
    cr_assert_eq(box_seccomp_default_action(box_spec_get_seccomp(spec), NULL), BOX_SECCOMP_ALLOW);
    cr_assert_eq(box_spec_set_seccomp_default(spec, NULL), 0);
    cr_assert_neq(box_seccomp_default_action(box_spec_get_seccomp(spec), NULL), BOX_SECCOMP_ALLOW);
}

/* What this program can hand on: a host of the tests may itself run with less than the kernel has. */
static uint64_t held_capabilities(void)
{
    uint64_t mask = 0;

    for (int i = 0; i <= (int)box_capability_last(); i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            mask |= (uint64_t)1 << i;
    return mask;
}

Test(spec_defaults, privileged_container_has_every_capability_there_is_to_give_and_device_and_nothing_hidden)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new();
    const struct box_device_rule *rule;
    struct box_capset sets;
    box_error *err = NULL;

    cr_assert_eq(box_spec_set_privileged(spec, &err), 0, "%s", box_error_message(err));
    cr_assert(box_spec_get_capabilities(spec, &sets));
    cr_assert_eq(sets.bounding, held_capabilities());
    cr_assert_null(box_spec_get_seccomp(spec));
    cr_assert_not(box_spec_get_no_new_privileges(spec));
    cr_assert_null(*box_spec_get_masked_paths(spec));
    cr_assert_null(*box_spec_get_readonly_paths(spec));
    rule = box_limits_device_at(box_spec_get_limits(spec), 0);
    cr_assert_not_null(rule);
    cr_assert(rule->allow && rule->major == -1 && rule->minor == -1 && rule->access == 7);
    for (size_t i = 0; i < box_spec_count_mounts(spec); i++) {
        struct box_spec_mount mount;

        cr_assert_eq(box_spec_get_mount(spec, i, &mount, NULL), 0);
        cr_expect_not(box_strv_contains(mount.options, "ro"), "%s", mount.destination);
    }
    for (size_t i = 0; i < spec->n_devices; i++)
        cr_expect_neq(strcmp(spec->devices[i].path, "/dev/null"), 0,
                      "a default device is in the list as well");
}
