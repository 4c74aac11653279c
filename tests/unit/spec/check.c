/* Contradictions, each found and named by its field. */
#include "document.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/seccomp.h>

static box_spec *spec;

/* A container that passes. */
static void make(void)
{
    char *args[] = {"true", NULL};

    spec = box_spec_new();
    cr_assert_eq(box_spec_set_root(spec, "/srv/root", NULL), 0);
    cr_assert_eq(box_spec_set_args(spec, args, NULL), 0);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
}

static void drop(void)
{
    box_spec_free(spec);
}

TestSuite(spec_check, .init = make, .fini = drop);

static void expect_field(const char *field)
{
    box_error *err = NULL;

    cr_expect_eq(box_spec_check(spec, &err), BOX_ESPEC, "%s: accepted", field);
    cr_expect_str_eq(box_error_subject(err), field, "%s", box_error_message(err));
    box_error_free(err);
}

static void set(char **field, const char *value)
{
    cr_assert_eq(spec_string_set(field, value, NULL), 0);
}

Test(spec_check, program_is_there)
{
    char *empty[] = {"", NULL}, *none[] = {NULL};

    box_spec_set_args(spec, empty, NULL);
    expect_field("process.args");
    box_spec_set_args(spec, none, NULL);
    expect_field("process.args");
    spec->has_process = false;
    expect_field("process");
}

Test(spec_check, working_directory_is_absolute_and_stays_inside)
{
    set(&spec->process.cwd, "srv");
    expect_field("process.cwd");
    set(&spec->process.cwd, "/srv/../..");
    expect_field("process.cwd");
    set(&spec->process.cwd, "/srv/..a/a../...");
    cr_assert_eq(box_spec_check(spec, NULL), 0);
}

Test(spec_check, environment_is_of_variables)
{
    spec_strv_add(&spec->process.env, "no sign", NULL);
    expect_field("process.env");
}

Test(spec_check, user_exists_in_the_mapping)
{
    box_idmap *map = box_idmap_new(NULL);

    box_idmap_add(map, BOX_IDMAP_UID, 0, 1000, 10, NULL);
    box_idmap_add(map, BOX_IDMAP_GID, 0, 1000, 10, NULL);
    box_spec_set_idmap(spec, map, NULL);
    box_idmap_free(map);
    box_spec_set_user(spec, 9, 9, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_set_user(spec, 10, 0, NULL);
    expect_field("process.user.uid");
    box_spec_set_user(spec, 0, 10, NULL);
    expect_field("process.user.gid");
    box_spec_set_user(spec, 0, 0, NULL);
    box_spec_add_group(spec, 10, NULL);
    expect_field("process.user.additionalGids");
}

Test(spec_check, terminal_has_rows_and_columns)
{
    box_spec_set_terminal_size(spec, 25, 0, NULL);
    expect_field("process.consoleSize");
}

Test(spec_check, rlimits_are_single_and_in_order)
{
    box_spec_set_rlimit(spec, RLIMIT_CPU, 1, 2, NULL);
    spec->process.rlimits[0].soft = 3;
    expect_field("process.rlimits");
    spec->process.rlimits[0].soft = 1;
    box_spec_set_rlimit(spec, RLIMIT_CORE, 1, 2, NULL);
    spec->process.rlimits[1].resource = RLIMIT_CPU;
    expect_field("process.rlimits");
}

Test(spec_check, root_is_given)
{
    spec->root.kind = SPEC_ROOT_NONE;
    expect_field("root");
}

Test(spec_check, root_of_its_own_needs_a_mount_namespace)
{
    box_spec_clear_mounts(spec, NULL);
    box_spec_clear_masked_paths(spec, NULL);
    box_spec_clear_readonly_paths(spec, NULL);
    box_spec_share_namespace(spec, BOX_SPEC_MOUNT_NAMESPACE, NULL);
    expect_field("linux.namespaces");
}

Test(spec_check, overlay_has_layers_and_one_place_for_changes)
{
    char *lower[] = {"/a", NULL};

    box_spec_set_root_overlay(spec, lower, "/up", "/work", NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_set_scratch_size(spec, 1, NULL);
    expect_field("libbox.root.scratchSize");
    box_spec_set_scratch_size(spec, 0, NULL);
    set(&spec->root.work, NULL);
    expect_field("libbox.root.work");
    box_strv_free(spec->root.lower);
    spec->root.lower = NULL;
    expect_field("libbox.root.lower");
}

Test(spec_check, host_root_is_not_changed)
{
    char *args[] = {"true", NULL};

    box_spec_free(spec);
    spec = box_spec_new_confined();
    box_spec_set_args(spec, args, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_set_root_readonly(spec, true, NULL);
    expect_field("root.readonly");
    box_spec_set_root_readonly(spec, false, NULL);
    box_spec_add_masked_path(spec, "/proc/kcore", NULL);
    expect_field("linux.maskedPaths");
    box_spec_clear_masked_paths(spec, NULL);
    box_spec_add_readonly_path(spec, "/proc", NULL);
    expect_field("linux.readonlyPaths");
    box_spec_clear_readonly_paths(spec, NULL);
    box_spec_add_bind(spec, "/a", "/b", NULL, NULL);
    expect_field("mounts");
    box_spec_clear_mounts(spec, NULL);
    box_spec_set_root_propagation(spec, "slave", NULL);
    expect_field("linux.rootfsPropagation");
    box_spec_set_root_propagation(spec, NULL, NULL);
    box_spec_add_device_node(spec, "/dev/x", 'c', 1, 3, 0666, 0, 0, NULL);
    expect_field("linux.devices");
}

Test(spec_check, destination_stays_inside)
{
    box_spec_add_bind(spec, "/a", "/b/../../c", NULL, NULL);
    expect_field("mounts[7]");
}

Test(spec_check, mounts_have_what_their_options_need)
{
    box_idmap *map = box_idmap_new(NULL);

    box_spec_add_mount(spec, NULL, NULL, "/x", "bind", NULL);
    expect_field("mounts[7]");
    box_spec_remove_mount(spec, "/x", NULL);
    box_spec_add_mount(spec, NULL, "/a", "/x", "ro", NULL);
    expect_field("mounts[7]");
    box_spec_remove_mount(spec, "/x", NULL);
    box_spec_share_namespace(spec, BOX_SPEC_USER_NAMESPACE, NULL);
    box_spec_set_idmap(spec, NULL, NULL);
    box_spec_add_bind(spec, "/a", "/x", "idmap", NULL);
    expect_field("mounts[7]");
    box_idmap_add(map, BOX_IDMAP_UID, 0, 1, 1, NULL);
    box_spec_set_mount_idmap(spec, "/x", map, NULL);
    expect_field("mounts[7]");
    box_idmap_add(map, BOX_IDMAP_GID, 0, 1, 1, NULL);
    box_spec_set_mount_idmap(spec, "/x", map, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_idmap_free(map);
}

Test(spec_check, new_user_namespace_has_mappings_of_both_kinds)
{
    box_idmap *map = box_idmap_new(NULL);

    box_spec_set_idmap(spec, NULL, NULL);
    box_spec_add_namespace(spec, BOX_SPEC_USER_NAMESPACE, NULL);
    expect_field("linux.uidMappings");
    box_idmap_add(map, BOX_IDMAP_UID, 0, 1, 1, NULL);
    box_spec_set_idmap(spec, map, NULL);
    expect_field("linux.gidMappings");
    box_idmap_add(map, BOX_IDMAP_GID, 0, 1, 1, NULL);
    box_spec_set_idmap(spec, map, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_join_namespace(spec, BOX_SPEC_USER_NAMESPACE, "/proc/1/ns/user", NULL);
    expect_field("linux.uidMappings");
    box_spec_share_namespace(spec, BOX_SPEC_USER_NAMESPACE, NULL);
    expect_field("linux.uidMappings");
    box_idmap_free(map);
}

Test(spec_check, names_need_a_uts_namespace)
{
    box_spec_set_hostname(spec, "web", NULL);
    box_spec_share_namespace(spec, BOX_SPEC_UTS_NAMESPACE, NULL);
    expect_field("hostname");
    box_spec_set_hostname(spec, NULL, NULL);
    box_spec_set_domainname(spec, "web", NULL);
    box_spec_share_namespace(spec, BOX_SPEC_UTS_NAMESPACE, NULL);
    expect_field("domainname");
}

Test(spec_check, clocks_are_set_in_a_new_time_namespace_only)
{
    box_spec_set_time_offset(spec, CLOCK_BOOTTIME, 1, 0, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_join_namespace(spec, BOX_SPEC_TIME_NAMESPACE, "/proc/1/ns/time", NULL);
    expect_field("linux.timeOffsets");
    box_spec_share_namespace(spec, BOX_SPEC_TIME_NAMESPACE, NULL);
    expect_field("linux.timeOffsets");
}

Test(spec_check, sysctl_belongs_to_a_namespace_of_the_spec)
{
    static const char *const fine[] = {"net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/forwarding",
                                       "kernel.shmmax", "fs.mqueue.queues_max", "kernel.domainname"};
    static const char *const hosts[] = {"kernel.panic",
                                        "vm.swappiness",
                                        "kernel.shm",
                                        "network.x",
                                        "fs.file-max",
                                        "net..x",
                                        "/net/x",
                                        ".net",
                                        "net.x.",
                                        "kernel/core_pattern",
                                        "net/../kernel/core_pattern",
                                        "net/..",
                                        "user.max_user_namespaces"};

    box_spec_set_idmap(spec, NULL, NULL);
    box_spec_share_namespace(spec, BOX_SPEC_USER_NAMESPACE, NULL);
    for (size_t i = 0; i < BOX_ARRAY(fine); i++) {
        box_error *err = NULL;

        box_spec_set_sysctl(spec, fine[i], "1", NULL);
        cr_expect_eq(box_spec_check(spec, &err), 0, "%s", box_error_message(err));
        box_spec_unset_sysctl(spec, fine[i], NULL);
        box_error_free(err);
    }
    for (size_t i = 0; i < BOX_ARRAY(hosts); i++) {
        char field[128];

        snprintf(field, sizeof(field), "linux.sysctl.%s", hosts[i]);
        box_spec_set_sysctl(spec, hosts[i], "1", NULL);
        expect_field(field);
        box_spec_unset_sysctl(spec, hosts[i], NULL);
    }
    box_spec_share_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, NULL);
    box_spec_set_sysctl(spec, "net.core.somaxconn", "1", NULL);
    expect_field("linux.sysctl.net.core.somaxconn");
}

Test(spec_check, capability_sets_lie_within_each_other)
{
    struct box_capset sets = {.bounding = 1, .permitted = 1, .effective = 3};

    box_spec_set_capabilities(spec, &sets, NULL);
    expect_field("process.capabilities.effective");
    sets = (struct box_capset){.permitted = 1, .ambient = 1};
    box_spec_set_capabilities(spec, &sets, NULL);
    expect_field("process.capabilities.ambient");
}

Test(spec_check, labels_have_their_form)
{
    box_spec_set_selinux(spec, "nonsense", NULL);
    expect_field("process.selinuxLabel");
    box_spec_set_selinux(spec, NULL, NULL);
    box_spec_set_mount_label(spec, "nonsense", NULL);
    expect_field("linux.mountLabel");
    box_spec_set_mount_label(spec, NULL, NULL);
    box_spec_set_apparmor(spec, "a\nb", NULL);
    expect_field("process.apparmorProfile");
}

Test(spec_check, hidden_paths_stay_inside)
{
    box_spec_add_masked_path(spec, "/proc/../x", NULL);
    expect_field("linux.maskedPaths");
    box_spec_clear_masked_paths(spec, NULL);
    box_spec_add_readonly_path(spec, "/..", NULL);
    expect_field("linux.readonlyPaths");
}

Test(spec_check, listener_has_an_absolute_path_and_metadata_a_listener)
{
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    box_seccomp_set_listener(policy, "run/agent", NULL, NULL);
    box_spec_set_seccomp(spec, policy, NULL);
    expect_field("linux.seccomp.listenerPath");
    box_seccomp_free(policy);
}

Test(spec_check, devices_have_numbers_that_exist_and_paths_of_their_own)
{
    box_spec_add_device_node(spec, "/dev/x", 'c', 1, 3, 0666, 0, 0, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    box_spec_add_device_node(spec, "/dev/x", 'c', 1, 5, 0666, 0, 0, NULL);
    expect_field("linux.devices");
    spec->devices[1].path[5] = 'y';
    spec->devices[1].major = 4096;
    expect_field("linux.devices");
}

Test(spec_check, cgroup_stays_below_its_hierarchy)
{
    box_spec_set_cgroup(spec, "/a/../../b", NULL);
    expect_field("linux.cgroupsPath");
}

Test(spec_check, limits_agree_with_each_other)
{
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_MAX, 1 << 30, NULL);
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_AND_SWAP, 1 << 20, NULL);
    expect_field("linux.resources");
}

Test(spec_check, hook_has_an_absolute_path)
{
    box_spec_add_hook(spec, BOX_SPEC_HOOK_POSTSTOP, "/x", NULL, NULL, 1, NULL);
    cr_assert_eq(box_spec_check(spec, NULL), 0);
    set(&spec->hooks[SPEC_HOOK_POSTSTOP].list[0].path, "x");
    expect_field("hooks");
}

Test(spec_check, no_spec_is_an_error)
{
    cr_assert_eq(box_spec_check(NULL, NULL), BOX_EINVAL);
}
