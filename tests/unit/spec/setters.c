/* Setters copy, replace, refuse and leave the spec alone when they refuse. */
#include "document.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/landlock.h>
#include <libbox/sched.h>

static box_spec *spec;

static void make(void)
{
    spec = box_spec_new_empty();
}

static void drop(void)
{
    box_spec_free(spec);
}

TestSuite(spec_setters, .init = make, .fini = drop);

Test(spec_setters, arguments_are_copied)
{
    char program[] = "program";
    char *args[] = {program, "", NULL};

    cr_assert_eq(box_spec_set_args(spec, args, NULL), 0);
    program[0] = 'X';
    cr_assert_eq(box_spec_add_arg(spec, "last", NULL), 0);
    cr_assert_str_eq(box_spec_get_args(spec)[0], "program");
    cr_assert_str_eq(box_spec_get_args(spec)[1], "");
    cr_assert_str_eq(box_spec_get_args(spec)[2], "last");
    cr_assert_null(box_spec_get_args(spec)[3]);
    cr_assert_eq(box_spec_add_arg(spec, NULL, NULL), BOX_EINVAL);
}

Test(spec_setters, variable_is_replaced_in_its_place_and_taken_out)
{
    char *env[] = {"A=1", "B=2", "A=3", NULL};

    cr_assert_eq(box_spec_set_env_vector(spec, env, NULL), 0);
    cr_assert_eq(box_spec_set_env(spec, "B", "=x", NULL), 0);
    cr_assert_str_eq(box_spec_get_env(spec, "B"), "=x");
    cr_assert_eq(box_spec_unset_env(spec, "A", NULL), 0);
    cr_assert_null(box_spec_get_env(spec, "A"));
    cr_assert_eq(box_strv_length(box_spec_get_env_vector(spec)), 1);
    cr_assert_eq(box_spec_clear_env(spec, NULL), 0);
    cr_assert_null(*box_spec_get_env_vector(spec));
    cr_assert_eq(box_spec_unset_env(spec, "A", NULL), 0);
}

Test(spec_setters, malformed_variables_are_refused_and_leave_the_environment_as_it_was)
{
    char *bad[] = {"A=1", "no sign", NULL}, *empty_name[] = {"=x", NULL};

    cr_assert_eq(box_spec_set_env(spec, "KEEP", "1", NULL), 0);
    cr_assert_eq(box_spec_set_env_vector(spec, bad, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_env_vector(spec, empty_name, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_env(spec, "A=B", "1", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_env(spec, "", "1", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_env(spec, "A", NULL, NULL), BOX_EINVAL);
    cr_assert_str_eq(box_spec_get_env(spec, "KEEP"), "1");
    cr_assert_eq(box_strv_length(box_spec_get_env_vector(spec)), 1);
}

Test(spec_setters, one_variable_is_taken_over_from_the_host_when_it_is_there)
{
    setenv("HANDED", "over", 1);
    unsetenv("ABSENT");
    cr_assert_eq(box_spec_copy_env(spec, "HANDED", NULL), 0);
    cr_assert_eq(box_spec_copy_env(spec, "ABSENT", NULL), 0);
    cr_assert_str_eq(box_spec_get_env(spec, "HANDED"), "over");
    cr_assert_null(box_spec_get_env(spec, "ABSENT"));
}

Test(spec_setters, relative_paths_are_refused_where_absolute_ones_are_meant)
{
    cr_assert_eq(box_spec_set_cwd(spec, "srv", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_cwd(spec, "", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_cwd(spec, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_bind(spec, "data", "/data", NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_bind(spec, "/data", "data", NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_masked_path(spec, "proc", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_readonly_path(spec, "proc", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_join_namespace(spec, BOX_SPEC_PID_NAMESPACE, "ns", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_hook(spec, BOX_SPEC_HOOK_POSTSTOP, "hook", NULL, NULL, 0, NULL), BOX_EINVAL);
    cr_assert_str_eq(box_spec_get_cwd(spec), "/");
    cr_assert_eq(box_spec_count_mounts(spec), 0);
}

Test(spec_setters, user_by_number_takes_the_place_of_one_by_name)
{
    uid_t uid;
    gid_t gid;

    cr_assert_eq(box_spec_set_user_name(spec, "www-data:daemon", NULL), 0);
    cr_assert_str_eq(box_spec_get_user_name(spec), "www-data:daemon");
    cr_assert_eq(box_spec_set_user(spec, 7, 8, NULL), 0);
    box_spec_get_user(spec, &uid, &gid);
    cr_assert_eq(uid, 7);
    cr_assert_eq(gid, 8);
    cr_assert_null(box_spec_get_user_name(spec));
}

Test(spec_setters, ids_that_the_kernel_does_not_have_are_refused)
{
    gid_t groups[] = {1, (gid_t)-1};

    cr_assert_eq(box_spec_set_user(spec, (uid_t)-1, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_user(spec, 0, (gid_t)-1, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_groups(spec, groups, 2, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_group(spec, (gid_t)-1, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_groups(spec, groups, 65537, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_user_name(spec, "", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_user_name(spec, ":group", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_umask(spec, 01000, NULL), BOX_EINVAL);
}

Test(spec_setters, groups_grow_after_they_were_set_at_once)
{
    gid_t groups[] = {1, 2, 3};
    size_t n;

    cr_assert_eq(box_spec_set_groups(spec, groups, 3, NULL), 0);
    for (gid_t g = 4; g < 40; g++)
        cr_assert_eq(box_spec_add_group(spec, g, NULL), 0);
    for (gid_t g = 1; g < 40; g++)
        cr_expect_eq(box_spec_get_groups(spec, &n)[g - 1], g);
    cr_assert_eq(n, 39);
    cr_assert_eq(box_spec_set_groups(spec, NULL, 0, NULL), 0);
    box_spec_get_groups(spec, &n);
    cr_assert_eq(n, 0);
}

Test(spec_setters, roots_replace_each_other)
{
    char *lower[] = {"/two", "/one", NULL};

    cr_assert_eq(box_spec_set_root(spec, "/srv", NULL), 0);
    cr_assert_str_eq(box_spec_get_root(spec), "/srv");
    cr_assert_eq(box_spec_set_root_readonly(spec, true, NULL), 0);
    cr_assert_eq(box_spec_set_root_overlay(spec, lower, "/up", "/work", NULL), 0);
    cr_assert_null(box_spec_get_root(spec));
    cr_assert_eq(spec->root.kind, SPEC_ROOT_OVERLAY);
    cr_assert_str_eq(spec->root.lower[1], "/one");
    cr_assert(box_spec_get_root_readonly(spec));
    cr_assert_eq(box_spec_set_root_host(spec, NULL), 0);
    cr_assert_null(spec->root.lower);
    cr_assert_null(spec->root.upper);
}

Test(spec_setters, overlays_that_cannot_be_are_refused)
{
    char *none[] = {NULL}, *relative[] = {"layer", NULL}, *fine[] = {"/layer", NULL};

    cr_assert_eq(box_spec_set_root_overlay(spec, NULL, NULL, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_root_overlay(spec, none, NULL, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_root_overlay(spec, relative, NULL, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_root_overlay(spec, fine, "/up", NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_root_overlay(spec, fine, NULL, "/work", NULL), BOX_EINVAL);
    cr_assert_eq(spec->root.kind, SPEC_ROOT_NONE);
}

Test(spec_setters, mount_options_are_split_at_commas_outside_of_quotes)
{
    struct box_spec_mount mount;

    cr_assert_eq(box_spec_add_mount(spec, "tmpfs", NULL, "/x", "ro,context=\"a,b\",,size=1", NULL), 0);
    cr_assert_eq(box_spec_get_mount(spec, 0, &mount, NULL), 0);
    cr_assert_str_eq(mount.options[0], "ro");
    cr_assert_str_eq(mount.options[1], "context=\"a,b\"");
    cr_assert_str_eq(mount.options[2], "size=1");
    cr_assert_null(mount.options[3]);
    cr_assert_eq(box_spec_add_mount(spec, "tmpfs", NULL, "/x", "context=\"a", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_get_mount(spec, 1, &mount, NULL), BOX_ENOTFOUND);
}

Test(spec_setters, convenient_mounts_have_their_options_before_the_callers)
{
    struct box_spec_mount bind, tmpfs, volume;

    cr_assert_eq(box_spec_add_bind(spec, "/srv", "/data", "ro", NULL), 0);
    cr_assert_eq(box_spec_add_tmpfs(spec, "/tmp", 4096, 01777, "noexec", NULL), 0);
    cr_assert_eq(box_spec_add_volume(spec, "/vol", "/v", NULL, NULL), 0);
    box_spec_get_mount(spec, 0, &bind, NULL);
    box_spec_get_mount(spec, 1, &tmpfs, NULL);
    box_spec_get_mount(spec, 2, &volume, NULL);
    cr_assert_str_eq(bind.options[0], "rbind");
    cr_assert_str_eq(bind.options[2], "ro");
    cr_assert(box_strv_contains(tmpfs.options, "mode=1777") &&
              box_strv_contains(tmpfs.options, "size=4096") && box_strv_contains(tmpfs.options, "nodev") &&
              box_strv_contains(tmpfs.options, "noexec"));
    cr_assert(box_strv_contains(volume.options, "nosuid") && box_strv_contains(volume.options, "nodev"));
}

Test(spec_setters, mount_by_descriptor_is_a_descriptor_of_its_own)
{
    int fd = open("/", O_PATH | O_CLOEXEC);
    struct stat a, b;

    cr_assert_eq(box_spec_add_bind_fd(spec, fd, "/data", NULL, NULL), 0);
    cr_assert_neq(spec->mounts[0].source_fd, fd);
    cr_assert(fcntl(spec->mounts[0].source_fd, F_GETFD) & FD_CLOEXEC);
    fstat(fd, &a);
    close(fd);
    cr_assert_eq(fstat(spec->mounts[0].source_fd, &b), 0);
    cr_assert_eq(a.st_ino, b.st_ino);
    cr_assert_eq(box_spec_add_bind_fd(spec, -1, "/data", NULL, NULL), BOX_ESYSTEM);
}

Test(spec_setters, mounts_are_changed_and_removed_by_destination)
{
    _cleanup_(box_spec) box_spec *copy = NULL;
    box_idmap *map = box_idmap_new(NULL);

    cr_assert_eq(box_idmap_add(map, BOX_IDMAP_UID, 0, 1000, 1, NULL), 0);
    cr_assert_eq(box_idmap_add(map, BOX_IDMAP_GID, 0, 1000, 1, NULL), 0);
    cr_assert_eq(box_spec_add_bind(spec, "/a", "/x", NULL, NULL), 0);
    cr_assert_eq(box_spec_add_bind(spec, "/b", "/y", NULL, NULL), 0);
    cr_assert_eq(box_spec_add_bind(spec, "/c", "/x", NULL, NULL), 0);
    cr_assert_eq(box_spec_set_mount_optional(spec, "/x", true, NULL), 0);
    cr_assert(spec->mounts[2].optional && !spec->mounts[0].optional);
    cr_assert_eq(box_spec_set_mount_idmap(spec, "/x", map, NULL), 0);
    cr_assert(box_strv_contains(spec->mounts[2].options, "ridmap"));
    cr_assert_eq(box_spec_set_mount_idmap(spec, "/x", NULL, NULL), 0);
    cr_assert_null(spec->mounts[2].idmap);
    cr_assert_not(box_strv_contains(spec->mounts[2].options, "ridmap"));
    cr_assert_eq(box_spec_remove_mount(spec, "/x", NULL), 0);
    cr_assert_eq(box_spec_count_mounts(spec), 1);
    cr_assert_str_eq(spec->mounts[0].source, "/b");
    cr_assert_eq(box_spec_remove_mount(spec, "/x", NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_spec_clear_mounts(spec, NULL), 0);
    cr_assert_eq(box_spec_add_bind(spec, "/b", "/y", NULL, NULL), 0);
    cr_assert_eq(box_spec_clone(spec, &copy, NULL), 0);
    box_idmap_free(map);
}

Test(spec_setters, setter_takes_what_a_getter_of_the_same_spec_gave)
{
    char *args[] = {"a", "b", NULL};

    cr_assert_eq(box_spec_set_args(spec, args, NULL), 0);
    cr_assert_eq(box_spec_set_args(spec, box_spec_get_args(spec), NULL), 0);
    cr_assert_str_eq(box_spec_get_args(spec)[1], "b");
    cr_assert_eq(box_spec_set_hostname(spec, "web", NULL), 0);
    cr_assert_eq(box_spec_set_hostname(spec, box_spec_get_hostname(spec), NULL), 0);
    cr_assert_str_eq(box_spec_get_hostname(spec), "web");
    cr_assert_eq(box_spec_set_sysctl(spec, "a", "b", NULL), 0);
    cr_assert_eq(box_spec_set_sysctl(spec, "a", box_spec_get_sysctl(spec, "a"), NULL), 0);
    cr_assert_str_eq(box_spec_get_sysctl(spec, "a"), "b");
    cr_assert_eq(box_spec_add_bind(spec, "/a", "/x", NULL, NULL), 0);
    cr_assert_eq(box_spec_add_bind(spec, "/b", "/x", NULL, NULL), 0);
    cr_assert_eq(box_spec_remove_mount(spec, spec->mounts[0].destination, NULL), 0);
    cr_assert_eq(box_spec_count_mounts(spec), 0);
}

Test(spec_setters, namespace_is_new_joined_or_shared)
{
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    cr_assert_eq(box_spec_add_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, NULL), 0);
    cr_assert(box_spec_has_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE));
    cr_assert_eq(box_spec_join_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, "/proc/1/ns/net", NULL), 0);
    cr_assert_str_eq(box_spec_get_namespace_path(spec, BOX_SPEC_NETWORK_NAMESPACE), "/proc/1/ns/net");
    cr_assert_eq(box_spec_join_namespace_fd(spec, BOX_SPEC_NETWORK_NAMESPACE, fd, NULL), 0);
    cr_assert_null(box_spec_get_namespace_path(spec, BOX_SPEC_NETWORK_NAMESPACE));
    cr_assert_geq(spec->namespaces[SPEC_NS_NETWORK].fd, 0);
    cr_assert_eq(box_spec_share_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, NULL), 0);
    cr_assert_not(box_spec_has_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE));
    cr_assert_eq(spec->namespaces[SPEC_NS_NETWORK].fd, -1);
    cr_assert_eq(box_spec_add_namespace(spec, (enum box_spec_namespace)8, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_namespace(spec, (enum box_spec_namespace) - 1, NULL), BOX_EINVAL);
    close(fd);
}

Test(spec_setters, names_clocks_and_mappings_bring_their_namespaces)
{
    box_idmap *map = NULL;

    cr_assert_eq(box_idmap_new_single(0, 0, &map, NULL), 0);
    cr_assert_eq(box_spec_set_hostname(spec, "web", NULL), 0);
    cr_assert(box_spec_has_namespace(spec, BOX_SPEC_UTS_NAMESPACE));
    cr_assert_eq(box_spec_set_time_offset(spec, CLOCK_MONOTONIC, -5, 6, NULL), 0);
    cr_assert(box_spec_has_namespace(spec, BOX_SPEC_TIME_NAMESPACE));
    cr_assert_eq(box_spec_set_idmap(spec, map, NULL), 0);
    cr_assert(box_spec_has_namespace(spec, BOX_SPEC_USER_NAMESPACE));
    box_idmap_free(map);
    cr_assert_eq(box_spec_set_time_offset(spec, CLOCK_REALTIME, 0, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_time_offset(spec, CLOCK_BOOTTIME, 0, 1000000000, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_hostname(spec, "", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_domainname(
                     spec, "12345678901234567890123456789012345678901234567890123456789012345", NULL),
                 BOX_EINVAL);
    cr_assert_str_eq(box_spec_get_hostname(spec), "web");
    cr_assert_eq(box_spec_set_hostname(spec, NULL, NULL), 0);
    cr_assert_null(box_spec_get_hostname(spec));
}

Test(spec_setters, limits_are_made_when_they_are_asked_for_and_copied_when_they_are_given)
{
    box_limits *limits = box_limits_new(NULL);
    int64_t value;

    cr_assert_null(box_spec_get_limits(spec));
    cr_assert_eq(box_limits_set(box_spec_limits(spec), BOX_LIMIT_PIDS_MAX, 5, NULL), 0);
    cr_assert_eq(box_limits_get(box_spec_get_limits(spec), BOX_LIMIT_PIDS_MAX, &value), 1);
    cr_assert_eq(value, 5);
    cr_assert_eq(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 6, NULL), 0);
    cr_assert_eq(box_spec_set_limits(spec, limits, NULL), 0);
    box_limits_free(limits);
    cr_assert_eq(box_limits_get(box_spec_get_limits(spec), BOX_LIMIT_PIDS_MAX, &value), 1);
    cr_assert_eq(value, 6);
    cr_assert_eq(box_spec_set_limits(spec, NULL, NULL), 0);
    cr_assert_null(box_spec_get_limits(spec));
}

Test(spec_setters, rlimit_is_replaced_by_one_of_the_same_resource)
{
    cr_assert_eq(box_spec_set_rlimit(spec, RLIMIT_NOFILE, 1, 2, NULL), 0);
    cr_assert_eq(box_spec_set_rlimit(spec, RLIMIT_CORE, 0, 0, NULL), 0);
    cr_assert_eq(box_spec_set_rlimit(spec, RLIMIT_NOFILE, 3, 4, NULL), 0);
    cr_assert_eq(spec->process.n_rlimits, 2);
    cr_assert_eq(spec->process.rlimits[0].soft, 3);
    cr_assert_eq(box_spec_unset_rlimit(spec, RLIMIT_NOFILE, NULL), 0);
    cr_assert_eq(spec->process.n_rlimits, 1);
    cr_assert_eq(spec->process.rlimits[0].resource, RLIMIT_CORE);
    cr_assert_eq(box_spec_set_rlimit(spec, RLIMIT_NOFILE, 5, 4, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_rlimit(spec, 99, 1, 1, NULL), BOX_EINVAL);
}

Test(spec_setters, priorities_that_the_kernel_would_refuse_are_refused)
{
    struct box_scheduler fifo = {.policy = BOX_SCHED_FIFO, .priority = 1}, bad = {.policy = BOX_SCHED_FIFO};

    cr_assert_eq(box_spec_set_scheduler(spec, &fifo, NULL), 0);
    cr_assert_neq(box_spec_set_scheduler(spec, &bad, NULL), 0);
    cr_assert_eq(spec->process.scheduler.priority, 1);
    cr_assert_eq(box_spec_set_scheduler(spec, NULL, NULL), 0);
    cr_assert_not(spec->process.scheduler.set);
    cr_assert_eq(box_spec_set_ioprio(spec, BOX_IOPRIO_BE, 7, NULL), 0);
    cr_assert_neq(box_spec_set_ioprio(spec, BOX_IOPRIO_BE, 8, NULL), 0);
    cr_assert_eq(box_spec_set_oom_score_adj(spec, 1000, NULL), 0);
    cr_assert_eq(box_spec_set_oom_score_adj(spec, 1001, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_cpu_affinity(spec, "0-1", NULL, NULL), 0);
    cr_assert_neq(box_spec_set_cpu_affinity(spec, "x", NULL, NULL), 0);
    cr_assert_str_eq(spec->process.cpus_initial, "0-1");
    cr_assert_eq(box_spec_set_personality(spec, PER_LINUX32, NULL), 0);
    cr_assert_eq(box_spec_set_personality(spec, 0x1234, NULL), BOX_EINVAL);
}

Test(spec_setters, capabilities_are_added_and_dropped_in_every_set)
{
    struct box_capset sets = {
        .bounding = 0xff, .permitted = 0xff, .effective = 0xff, .inheritable = 0xff, .ambient = 0xff};

    cr_assert_eq(box_spec_set_capabilities(spec, &sets, NULL), 0);
    cr_assert_eq(box_spec_drop_capability(spec, "CAP_CHOWN", NULL), 0);
    cr_assert(box_spec_get_capabilities(spec, &sets));
    cr_assert_eq(sets.bounding, 0xfe);
    cr_assert_eq(sets.ambient, 0xfe);
    cr_assert_eq(sets.inheritable, 0xfe);
    cr_assert_eq(box_spec_add_capability(spec, "chown", NULL), 0);
    box_spec_get_capabilities(spec, &sets);
    cr_assert_eq(sets.effective, 0xff);
    cr_assert_eq(sets.ambient, 0xfe);
    cr_assert_eq(box_spec_add_capability(spec, "CAP_NOT_ONE", NULL), BOX_EPARSE);
    cr_assert_eq(box_spec_drop_capability(spec, "ALL", NULL), 0);
    box_spec_get_capabilities(spec, &sets);
    cr_assert_eq(sets.bounding, 0);
    cr_assert_eq(box_spec_set_capabilities(spec, NULL, NULL), 0);
    cr_assert_not(box_spec_get_capabilities(spec, &sets));
}

Test(spec_setters, first_drop_begins_with_all_and_first_addition_with_none)
{
    struct box_capset sets;

    cr_assert_eq(box_spec_drop_capability(spec, "SYS_ADMIN", NULL), 0);
    box_spec_get_capabilities(spec, &sets);
    cr_assert_eq(sets.bounding, box_capability_all() & ~BOX_CAP_MASK(21));
    cr_assert_eq(box_spec_set_capabilities(spec, NULL, NULL), 0);
    cr_assert_eq(box_spec_add_capability(spec, "SYS_ADMIN", NULL), 0);
    box_spec_get_capabilities(spec, &sets);
    cr_assert_eq(sets.bounding, BOX_CAP_MASK(21));
}

Test(spec_setters, maps_keep_one_value_a_key)
{
    cr_assert_eq(box_spec_set_sysctl(spec, "net.core.somaxconn", "1", NULL), 0);
    cr_assert_eq(box_spec_set_sysctl(spec, "net.core.somaxconn", "2", NULL), 0);
    cr_assert_eq(box_spec_set_sysctl(spec, "kernel.sem", "3", NULL), 0);
    cr_assert_eq(spec->n_sysctl, 2);
    cr_assert_str_eq(box_spec_get_sysctl(spec, "net.core.somaxconn"), "2");
    cr_assert_eq(box_spec_unset_sysctl(spec, "net.core.somaxconn", NULL), 0);
    cr_assert_null(box_spec_get_sysctl(spec, "net.core.somaxconn"));
    cr_assert_str_eq(box_spec_get_sysctl(spec, "kernel.sem"), "3");
    cr_assert_eq(box_spec_set_annotation(spec, "a", "b", NULL), 0);
    cr_assert_str_eq(box_spec_get_annotation(spec, "a"), "b");
    cr_assert_eq(box_spec_set_annotation(spec, "a", NULL, NULL), 0);
    cr_assert_null(box_spec_get_annotation(spec, "a"));
    cr_assert_eq(box_spec_set_annotation(spec, "", "b", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_set_sysctl(spec, "x", NULL, NULL), BOX_EINVAL);
}

Test(spec_setters, path_is_masked_once)
{
    cr_assert_eq(box_spec_add_masked_path(spec, "/proc/kcore", NULL), 0);
    cr_assert_eq(box_spec_add_masked_path(spec, "/proc/kcore", NULL), 0);
    cr_assert_eq(box_strv_length(box_spec_get_masked_paths(spec)), 1);
    cr_assert_eq(box_spec_clear_masked_paths(spec, NULL), 0);
    cr_assert_null(*box_spec_get_masked_paths(spec));
}

Test(spec_setters, layers_that_are_none_cannot_be_missing)
{
    cr_assert_eq(box_spec_allow_missing(spec, BOX_SPEC_LAYER_SECCOMP | BOX_SPEC_LAYER_KEYRING, NULL), 0);
    cr_assert_eq(box_spec_allow_missing(spec, 1u << 7, NULL), BOX_EINVAL);
    cr_assert_eq(spec->may_miss, BOX_SPEC_LAYER_SECCOMP | BOX_SPEC_LAYER_KEYRING);
}

Test(spec_setters, device_of_the_host_comes_with_its_rule)
{
    const struct box_device_rule *rule;

    cr_assert_eq(box_spec_add_device(spec, "/dev/zero", "/dev/nothing", "r", NULL), 0);
    cr_assert_eq(spec->n_devices, 1);
    cr_assert_str_eq(spec->devices[0].path, "/dev/nothing");
    cr_assert(spec->devices[0].type == 'c' && spec->devices[0].major == 1 && spec->devices[0].minor == 5);
    rule = box_limits_device_at(box_spec_get_limits(spec), 0);
    cr_assert_not_null(rule);
    cr_assert(rule->allow && rule->type == 'c' && rule->major == 1 && rule->minor == 5);
    cr_assert_eq(rule->access, BOX_DEVICE_READ);
}

Test(spec_setters, device_that_is_none_adds_nothing)
{
    cr_assert_eq(box_spec_add_device(spec, "/dev/is-not-there", NULL, NULL, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_spec_add_device(spec, "/proc/version", NULL, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_device(spec, "/dev/zero", NULL, "rx", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_device(spec, "/dev/zero", NULL, "rr", NULL), BOX_EINVAL);
    cr_assert_eq(spec->n_devices, 0);
    cr_assert_null(box_spec_get_limits(spec));
}

Test(spec_setters, directory_gives_every_device_below_it)
{
    char dir[] = "/tmp/libbox-test-devices-XXXXXX", path[256], inner[128], link[128];

    cr_assert_not_null(mkdtemp(dir));
    snprintf(inner, sizeof(inner), "%s/inner", dir);
    cr_assert_eq(mkdir(inner, 0700), 0);
    snprintf(path, sizeof(path), "%s/null", inner);
    snprintf(link, sizeof(link), "%s/link", dir);
    cr_assert_eq(symlink("/dev", link), 0);
    if (mknod(path, S_IFCHR | 0600, makedev(1, 3)) < 0) {
        unlink(link);
        rmdir(inner);
        rmdir(dir);
        cr_skip_test("cannot make a device here");
    }
    cr_expect_eq(box_spec_add_device(spec, dir, "/dev/all", "rw", NULL), 0);
    cr_expect_eq(spec->n_devices, 1);
    cr_expect_str_eq(spec->devices[0].path, "/dev/all/inner/null");
    unlink(link);
    unlink(path);
    rmdir(inner);
    rmdir(dir);
}

Test(spec_setters, clone_shares_nothing_with_its_original)
{
    box_spec *copy = NULL, *original = must_load("full-1.3.json");
    box_landlock *rules = box_landlock_new(NULL);
    char *before, *after;
    int fd = open("/", O_PATH | O_CLOEXEC);

    cr_assert_eq(box_landlock_allow_path(rules, "/usr", BOX_LANDLOCK_FS_READ, 0, NULL), 0);
    cr_assert_eq(box_spec_set_landlock(original, rules, NULL), 0);
    box_landlock_free(rules);
    before = must_format(original);
    cr_assert_eq(box_spec_clone(original, &copy, NULL), 0);
    cr_assert_eq(box_spec_add_bind_fd(copy, fd, "/fd", NULL, NULL), 0);
    cr_assert_neq(copy->mounts[copy->n_mounts - 1].source_fd, fd);
    cr_assert_eq(box_spec_remove_mount(copy, "/fd", NULL), 0);
    box_spec_free(original);
    after = must_format(copy);
    cr_assert_str_eq(before, after);
    box_spec_free(copy);
    free(before);
    free(after);
    close(fd);
}

Test(spec_setters, clone_has_descriptors_of_its_own)
{
    box_spec *copy = NULL;
    int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    cr_assert_eq(box_spec_join_namespace_fd(spec, BOX_SPEC_NETWORK_NAMESPACE, fd, NULL), 0);
    cr_assert_eq(box_spec_add_bind_fd(spec, fd, "/x", NULL, NULL), 0);
    close(fd);
    cr_assert_eq(box_spec_clone(spec, &copy, NULL), 0);
    cr_assert_neq(copy->namespaces[SPEC_NS_NETWORK].fd, spec->namespaces[SPEC_NS_NETWORK].fd);
    cr_assert_neq(copy->mounts[0].source_fd, spec->mounts[0].source_fd);
    cr_assert_geq(fcntl(copy->mounts[0].source_fd, F_GETFD), 0);
    box_spec_free(copy);
    cr_assert_geq(fcntl(spec->mounts[0].source_fd, F_GETFD), 0);
}

Test(spec_setters, what_is_set_is_read_back)
{
    box_spec *empty = box_spec_new_empty();
    struct box_scheduler scheduler = {.policy = BOX_SCHED_DEADLINE, .runtime = 1000000, .deadline = 2000000, .period = 3000000};
    struct box_scheduler read = {0};
    char *const args[] = {"hook", "arg", NULL}, *const lower[] = {"/top", "/bottom", NULL};
    struct box_spec_hook_entry hook;
    struct box_spec_device device;
    struct box_spec_mount mount;
    const char *first, *second;
    unsigned short rows, columns;
    unsigned long domain = 9;
    uint64_t soft, hard;
    uint32_t nanoseconds;
    int64_t seconds;
    int number, level;
    mode_t mask;

    /* Nothing was said. */
    cr_assert(!box_spec_get_umask(empty, &mask) && !box_spec_get_rlimit(empty, RLIMIT_CORE, &soft, &hard));
    cr_assert(!box_spec_get_oom_score_adj(empty, &number) && !box_spec_get_scheduler(empty, &read));
    cr_assert(!box_spec_get_ioprio(empty, &number, &level) && !box_spec_get_personality(empty, &domain));
    cr_assert(!box_spec_get_time_offset(empty, CLOCK_BOOTTIME, &seconds, &nanoseconds));
    cr_assert_eq(box_spec_get_root_kind(empty), BOX_SPEC_ROOT_NONE);
    cr_assert_null(*box_spec_get_root_overlay(empty, &first, &second));
    cr_assert(!first && !second && !box_spec_get_root_propagation(empty) && !box_spec_get_apparmor(empty));
    cr_assert(!box_spec_next_sysctl(empty, 0, &first) && !box_spec_next_annotation(empty, 0, NULL));
    cr_assert_eq(box_spec_get_device(empty, 0, &device, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_spec_get_hook(empty, BOX_SPEC_HOOK_POSTSTOP, 0, &hook, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_spec_count_hooks(empty, (enum box_spec_hook)99), 0);
    box_spec_free(empty);

    cr_assert_eq(box_spec_set_umask(spec, 027, NULL), 0);
    cr_assert(box_spec_get_umask(spec, &mask) && mask == 027);
    cr_assert_eq(box_spec_set_terminal_size(spec, 24, 80, NULL), 0);
    box_spec_get_terminal_size(spec, &rows, &columns);
    cr_assert(rows == 24 && columns == 80);
    cr_assert_eq(box_spec_set_root_overlay(spec, lower, "/upper", "/work", NULL), 0);
    cr_assert_eq(box_spec_get_root_kind(spec), BOX_SPEC_ROOT_OVERLAY);
    cr_assert_str_eq(box_spec_get_root_overlay(spec, &first, &second)[1], "/bottom");
    cr_assert(!strcmp(first, "/upper") && !strcmp(second, "/work"));
    cr_assert_eq(box_spec_set_scratch_size(spec, 77, NULL), 0);
    cr_assert_eq(box_spec_get_scratch_size(spec), 77);
    cr_assert_eq(box_spec_set_root_propagation(spec, "rslave", NULL), 0);
    cr_assert_str_eq(box_spec_get_root_propagation(spec), "rslave");
    cr_assert_eq(box_spec_set_time_offset(spec, CLOCK_BOOTTIME, -5, 6, NULL), 0);
    cr_assert(box_spec_get_time_offset(spec, CLOCK_BOOTTIME, &seconds, &nanoseconds) && seconds == -5 && nanoseconds == 6);
    cr_assert(!box_spec_get_time_offset(spec, CLOCK_REALTIME, &seconds, &nanoseconds));
    cr_assert_eq(box_spec_set_rlimit(spec, RLIMIT_CORE, 1, 2, NULL), 0);
    cr_assert(box_spec_get_rlimit(spec, RLIMIT_CORE, &soft, &hard) && soft == 1 && hard == 2);
    cr_assert_eq(box_spec_set_oom_score_adj(spec, -3, NULL), 0);
    cr_assert(box_spec_get_oom_score_adj(spec, &number) && number == -3);
    cr_assert_eq(box_spec_set_scheduler(spec, &scheduler, NULL), 0);
    cr_assert(box_spec_get_scheduler(spec, &read) && read.policy == BOX_SCHED_DEADLINE && read.runtime == 1000000 &&
              read.deadline == 2000000 && read.period == 3000000);
    cr_assert_eq(box_spec_set_ioprio(spec, BOX_IOPRIO_BE, 6, NULL), 0);
    cr_assert(box_spec_get_ioprio(spec, &number, &level) && number == BOX_IOPRIO_BE && level == 6);
    cr_assert_eq(box_spec_set_cpu_affinity(spec, "0", "0-1", NULL), 0);
    box_spec_get_cpu_affinity(spec, &first, &second);
    cr_assert(!strcmp(first, "0") && !strcmp(second, "0-1"));
    cr_assert_eq(box_spec_set_apparmor(spec, "profile", NULL), 0);
    cr_assert_str_eq(box_spec_get_apparmor(spec), "profile");
    cr_assert_eq(box_spec_set_selinux(spec, "a:b:c", NULL), 0);
    cr_assert_str_eq(box_spec_get_selinux(spec), "a:b:c");
    cr_assert_eq(box_spec_set_mount_label(spec, "a:b:d", NULL), 0);
    cr_assert_str_eq(box_spec_get_mount_label(spec), "a:b:d");
    cr_assert(box_spec_get_new_keyring(spec) && box_spec_get_default_devices(spec));
    cr_assert_eq(box_spec_set_personality(spec, 8, NULL), 0);
    cr_assert(box_spec_get_personality(spec, &domain) && domain == 8);
    cr_assert_eq(box_spec_allow_missing(spec, BOX_SPEC_LAYER_CGROUP, NULL), 0);
    cr_assert_eq(box_spec_get_missing_allowed(spec), BOX_SPEC_LAYER_CGROUP);
    cr_assert_eq(box_spec_set_sysctl(spec, "net.a", "1", NULL), 0);
    cr_assert_str_eq(box_spec_next_sysctl(spec, 0, &first), "net.a");
    cr_assert_str_eq(first, "1");
    cr_assert_eq(box_spec_set_annotation(spec, "key", "value", NULL), 0);
    cr_assert_str_eq(box_spec_next_annotation(spec, 0, &first), "key");
    cr_assert_str_eq(first, "value");
    cr_assert_null(box_spec_next_annotation(spec, 1, &first));
    cr_assert_eq(box_spec_add_device_node(spec, "/dev/x", 'b', 8, 1, 0640, 1, 2, NULL), 0);
    cr_assert_eq(box_spec_get_device(spec, box_spec_count_devices(spec) - 1, &device, NULL), 0);
    cr_assert(!strcmp(device.path, "/dev/x") && device.type == 'b' && device.major == 8 && device.minor == 1 &&
              device.mode == 0640 && device.uid == 1 && device.gid == 2);
    cr_assert_eq(box_spec_add_hook(spec, BOX_SPEC_HOOK_POSTSTART, "/hook", args, NULL, 7, NULL), 0);
    cr_assert_eq(box_spec_count_hooks(spec, BOX_SPEC_HOOK_POSTSTART), 1);
    cr_assert_eq(box_spec_get_hook(spec, BOX_SPEC_HOOK_POSTSTART, 0, &hook, NULL), 0);
    cr_assert(!strcmp(hook.path, "/hook") && !strcmp(hook.args[1], "arg") && !*hook.env && hook.timeout == 7);
    cr_assert_eq(box_spec_add_bind(spec, "/a", "/b", NULL, NULL), 0);
    cr_assert_eq(box_spec_get_mount(spec, box_spec_count_mounts(spec) - 1, &mount, NULL), 0);
    cr_assert(mount.source_fd == -1 && !mount.idmap);
}

Test(spec_setters, free_and_getters_accept_nothing)
{
    box_spec_free(NULL);
    cr_assert_null(box_spec_get_env(spec, NULL));
    cr_assert_null(box_spec_get_sysctl(spec, NULL));
    cr_assert_null(box_spec_get_annotation(spec, NULL));
    cr_assert_eq(box_spec_clone(NULL, NULL, NULL), BOX_EINVAL);
}

Test(spec_setters, network_devices_are_written_to_the_document_and_read_from_it)
{
    _cleanup_(box_spec) box_spec *read = NULL;
    _free_ char *text = NULL;
    const char *inside = NULL;

    cr_assert_eq(box_spec_add_net_device(spec, "ens4", "eth%d", NULL), 0);
    cr_assert_eq(box_spec_add_net_device(spec, "ens5", NULL, NULL), 0);
    cr_assert_eq(box_spec_add_net_device(spec, "ens4", "up", NULL), 0);
    cr_assert_eq(box_spec_add_net_device(spec, "..", NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_net_device(spec, "ens6", "a:b", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_add_net_device(spec, "ens6", "", NULL), BOX_EINVAL);
    cr_assert_eq(box_spec_format(spec, &text, NULL), 0);
    cr_assert_eq(box_spec_parse(text, strlen(text), &read, NULL), 0);
    cr_assert_str_eq(box_spec_next_net_device(read, 0, &inside), "ens4");
    cr_assert_str_eq(inside, "up");
    cr_assert_str_eq(box_spec_next_net_device(read, 1, &inside), "ens5");
    cr_assert_str_eq(inside, "");
    cr_assert_null(box_spec_next_net_device(read, 2, &inside));
    cr_assert_eq(box_spec_clear_net_devices(read, NULL), 0);
    cr_assert_null(box_spec_next_net_device(read, 0, NULL));
}
