/* Documents go in and come out without loss, and what they say arrives in the spec. */
#include "document.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/cgroup.h>
#include <libbox/idmap.h>
#include <libbox/sched.h>
#include <libbox/seccomp.h>

#include "kernel/landlock_rules.h"

static char *read_document(const char *name)
{
    static char text[1 << 17];
    FILE *f = fopen(document_path(name), "r");
    size_t n;

    cr_assert_not_null(f, "%s", document_path(name));
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* Loaded and saved it is the same JSON; and so it is when that is loaded and saved again. */
static void round_trip(const char *name)
{
    _cleanup_(box_spec) box_spec *spec = must_load(name), *again = NULL;
    char *text;

    assert_formats_as(spec, read_document(name));
    text = must_format(spec);
    again = must_parse(text);
    assert_formats_as(again, text);
    assert_formats_as(again, read_document(name));
    free(text);
}

Test(spec_json, document_of_1_3_with_every_field_survives_a_round_trip)
{
    round_trip("full-1.3.json");
}

Test(spec_json, document_of_1_2_survives_a_round_trip)
{
    round_trip("full-1.2.json");
}

Test(spec_json, document_of_1_1_survives_a_round_trip)
{
    round_trip("full-1.1.json");
}

Test(spec_json, document_of_1_0_with_empty_and_zero_fields_survives_a_round_trip)
{
    round_trip("full-1.0.json");
}

Test(spec_json, document_with_nothing_but_a_version_survives_a_round_trip)
{
    round_trip("minimal.json");
    round_trip("confined.json");
    round_trip("overlay.json");
}

Test(spec_json, full_document_passes_the_check_once_its_contradictions_are_out)
{
    _cleanup_(box_spec) box_spec *spec = must_load("full-1.3.json");
    box_error *err = NULL;

    cr_assert_eq(box_spec_add_namespace(spec, BOX_SPEC_TIME_NAMESPACE, NULL), 0);
    cr_assert_eq(box_spec_check(spec, &err), 0, "%s", box_error_message(err));
}

/* What would be in the document if the struct alone were written: nothing may hide behind the kept text. */
Test(spec_json, every_field_of_oci_arrives_in_the_spec)
{
    static const char *const there[] = {"process.user.umask",
                                        "process.capabilities.ambient",
                                        "process.scheduler.period",
                                        "process.execCPUAffinity.final",
                                        "process.ioPriority.class",
                                        "process.consoleSize.width",
                                        "process.commandLine",
                                        "process.selinuxLabel",
                                        "process.apparmorProfile",
                                        "process.oomScoreAdj",
                                        "root.readonly",
                                        "domainname",
                                        "hooks.prestart",
                                        "hooks.createRuntime",
                                        "hooks.createContainer",
                                        "hooks.startContainer",
                                        "hooks.poststart",
                                        "hooks.poststop",
                                        "annotations.empty",
                                        "linux.timeOffsets.monotonic.nanosecs",
                                        "linux.netDevices.eth0.name",
                                        "linux.resources.unified",
                                        "linux.resources.devices",
                                        "linux.resources.pids.limit",
                                        "linux.resources.blockIO.leafWeight",
                                        "linux.resources.blockIO.weightDevice",
                                        "linux.resources.blockIO.throttleReadBpsDevice",
                                        "linux.resources.blockIO.throttleWriteBpsDevice",
                                        "linux.resources.blockIO.throttleReadIOPSDevice",
                                        "linux.resources.blockIO.throttleWriteIOPSDevice",
                                        "linux.resources.cpu.realtimePeriod",
                                        "linux.resources.cpu.mems",
                                        "linux.resources.cpu.idle",
                                        "linux.resources.hugepageLimits",
                                        "linux.resources.memory.kernelTCP",
                                        "linux.resources.memory.disableOOMKiller",
                                        "linux.resources.memory.checkBeforeUpdate",
                                        "linux.resources.network.classID",
                                        "linux.resources.network.priorities",
                                        "linux.resources.rdma.mlx5_1.hcaObjects",
                                        "linux.intelRdt.schemata",
                                        "linux.memoryPolicy.flags",
                                        "linux.sysctl",
                                        "linux.seccomp.listenerMetadata",
                                        "linux.rootfsPropagation",
                                        "linux.maskedPaths",
                                        "linux.readonlyPaths",
                                        "linux.mountLabel",
                                        "linux.personality.domain",
                                        "linux.gidMappings",
                                        "linux.cgroupsPath",
                                        "libbox.landlock.ports",
                                        "libbox.optionalMounts",
                                        "libbox.mayMiss",
                                        "libbox.seccomp.reportKills",
                                        "libbox.newKeyring"};
    _cleanup_(box_spec) box_spec *spec = must_load("full-1.3.json");

    for (size_t i = 0; i < BOX_ARRAY(there); i++) {
        char **keys = box_strv_split(there[i], '.');
        json_object *at = spec->rendered;

        for (size_t k = 0; keys[k]; k++)
            cr_expect(json_object_object_get_ex(at, keys[k], &at), "%s is not in the spec", there[i]);
        box_strv_free(keys);
    }
    cr_assert_not(json_object_object_get_ex(spec->rendered, "com.example.future", NULL));
}

Test(spec_json, values_arrive_in_their_fields)
{
    _cleanup_(box_spec) box_spec *spec = must_load("full-1.3.json");
    struct box_capset sets;
    struct box_spec_mount mount;
    int64_t value;

    cr_assert_str_eq(box_spec_get_args(spec)[3], "snow \xe2\x98\x83 and \"quotes\" \\ \t");
    cr_assert(spec->process.rows == 25 && spec->process.columns == 80);
    cr_assert(spec->process.user.has_umask && spec->process.user.umask == 022);
    cr_assert_eq(spec->process.user.additional_gids[2], 4242);
    cr_assert(box_spec_get_capabilities(spec, &sets));
    cr_assert_eq(sets.effective, BOX_CAP_MASK(5) | BOX_CAP_MASK(29));
    cr_assert_str_eq(box_spec_get_unknown_capabilities(spec)[0], "CAP_FROM_THE_FUTURE");
    cr_assert_eq(spec->process.rlimits[2].soft, RLIM_INFINITY);
    cr_assert_eq(spec->process.scheduler.policy, BOX_SCHED_DEADLINE);
    cr_assert_eq(spec->process.scheduler.flags, BOX_SCHED_FLAG_RECLAIM | BOX_SCHED_FLAG_RESET_ON_FORK);
    cr_assert_eq(box_spec_get_mount(spec, 4, &mount, NULL), 0);
    cr_assert_str_eq(mount.destination, "/data", "a relative destination counts from the root");
    cr_assert_eq(box_idmap_count(spec->mounts[4].idmap, BOX_IDMAP_UID), 2);
    cr_assert(spec->mounts[3].optional && !spec->mounts[4].optional);
    cr_assert_eq(spec->hooks[SPEC_HOOK_PRESTART].n, 2);
    cr_assert_eq(spec->hooks[SPEC_HOOK_POSTSTART].list[0].timeout, 5);
    cr_assert_null(box_spec_get_namespace_path(spec, BOX_SPEC_CGROUP_NAMESPACE), "an empty path is none");
    cr_assert_eq(spec->time_monotonic.seconds, -172800);
    cr_assert_eq(spec->devices[0].mode, 0666);
    cr_assert_not(spec->devices[1].has_uid);
    cr_assert_eq(box_limits_get(spec->limits, BOX_LIMIT_MEMORY_AND_SWAP, &value), 1);
    cr_assert_eq(value, 536870912);
    cr_assert_str_eq(box_limits_raw(spec->limits, "hugetlb.1GB.max"), "1073741824");
    cr_assert_str_eq(box_seccomp_listener_path(spec->seccomp), "/run/seccomp-agent.socket");
    cr_assert_str_eq(box_spec_get_user_name(spec), "www-data:daemon");
    cr_assert(box_spec_get_init(spec) && !spec->new_keyring && spec->preserve_fds == 2);
    cr_assert_eq(spec->may_miss, SPEC_LAYER_LANDLOCK | SPEC_LAYER_APPARMOR);
    cr_assert(spec->landlock->best_effort && spec->landlock->n_paths == 2 && spec->landlock->n_ports == 1);
}

Test(spec_json, absent_fields_mean_what_oci_says)
{
    _cleanup_(box_spec) box_spec *spec = must_load("minimal.json");

    cr_assert_not(spec->has_process);
    cr_assert(spec->new_keyring && spec->default_devices);
    cr_assert_eq(spec->root.kind, SPEC_ROOT_NONE);
    cr_assert_not(box_spec_get_no_new_privileges(spec));
    cr_assert_null(box_spec_get_limits(spec));
}

Test(spec_json, spec_that_was_built_here_survives_a_round_trip)
{
    box_spec *specs[] = {box_spec_new(), box_spec_new_confined(), box_spec_new_empty()};
    char *lower[] = {"/b", "/a", NULL};

    cr_assert_eq(box_spec_set_root_overlay(specs[0], lower, NULL, NULL, NULL), 0);
    cr_assert_eq(box_spec_set_scratch_size(specs[0], 1 << 20, NULL), 0);
    for (size_t i = 0; i < BOX_ARRAY(specs); i++) {
        char *text = must_format(specs[i]), *second;
        box_spec *again = must_parse(text);

        second = must_format(again);
        cr_expect_str_eq(text, second);
        cr_expect_eq(again->root.kind, specs[i]->root.kind);
        cr_expect_eq(again->default_devices, specs[i]->default_devices);
        box_spec_free(again);
        box_spec_free(specs[i]);
        free(text);
        free(second);
    }
}

Test(spec_json, change_replaces_what_the_document_said_and_nothing_else)
{
    _cleanup_(box_spec) box_spec *spec =
        must_parse("{\"ociVersion\": \"1.0.0\", \"x\": 1, \"hostname\": \"old\", \"root\": {\"path\": \"a\", "
                   "\"y\": [2]},"
                   " \"annotations\": {}, \"process\": {\"cwd\": \"/\", \"env\": [], \"terminal\": false}}");

    cr_assert_eq(box_spec_set_hostname(spec, "new", NULL), 0);
    cr_assert_eq(box_spec_set_root_readonly(spec, true, NULL), 0);
    assert_formats_as(
        spec, "{\"ociVersion\": \"1.0.0\", \"x\": 1, \"hostname\": \"new\", \"root\": {\"path\": \"a\","
              " \"y\": [2], \"readonly\": true}, \"annotations\": {}, \"linux\": {\"namespaces\":"
              " [{\"type\": \"uts\"}]}, \"process\": {\"cwd\": \"/\", \"env\": [], \"terminal\": false}}");
}

Test(spec_json, unknown_properties_stay_with_their_element_when_others_are_added_and_removed)
{
    _cleanup_(box_spec) box_spec *spec = must_parse(
        "{\"ociVersion\": \"1.0.0\", \"mounts\": [{\"destination\": \"/a\", \"x\": 1},"
        " {\"destination\": \"/b\", \"x\": 2, \"source\": \"\"}, {\"destination\": \"/c\", \"x\": 3}]}");

    cr_assert_eq(box_spec_remove_mount(spec, "/a", NULL), 0);
    cr_assert_eq(box_spec_add_mount(spec, "tmpfs", NULL, "/d", NULL, NULL), 0);
    assert_formats_as(
        spec, "{\"ociVersion\": \"1.0.0\", \"mounts\": [{\"destination\": \"/b\", \"x\": 2, \"source\":"
              " \"\"}, {\"destination\": \"/c\", \"x\": 3}, {\"destination\": \"/d\", \"type\":"
              " \"tmpfs\"}]}");
}

Test(spec_json, what_was_taken_away_does_not_come_back)
{
    _cleanup_(box_spec) box_spec *spec = must_load("full-1.3.json");
    json_object *json, *linux_part;
    char *text;

    cr_assert_eq(box_spec_clear_mounts(spec, NULL), 0);
    cr_assert_eq(box_spec_set_seccomp(spec, NULL, NULL), 0);
    cr_assert_eq(box_spec_set_annotation(spec, "empty", NULL, NULL), 0);
    text = must_format(spec);
    json = must_read_json(text);
    cr_assert_not(json_object_object_get_ex(json, "mounts", NULL));
    cr_assert(json_object_object_get_ex(json, "linux", &linux_part));
    cr_assert_not(json_object_object_get_ex(linux_part, "seccomp", NULL));
    cr_assert(json_object_object_get_ex(linux_part, "com.example.linux", NULL));
    cr_assert_not(json_object_object_get_ex(json_object_object_get(json, "annotations"), "empty", NULL));
    json_object_put(json);
    free(text);
}

Test(spec_json, fractions_of_unknown_properties_keep_their_spelling)
{
    _cleanup_(box_spec) box_spec *spec = must_parse("{\"ociVersion\": \"1.0.0\", \"x\": [1.50, 1e3, -0.0]}");
    char *text = must_format(spec);

    cr_assert_not_null(strstr(text, "1.50"));
    cr_assert_not_null(strstr(text, "1e3"));
    cr_assert_not_null(strstr(text, "-0.0"));
    free(text);
}

Test(spec_json, control_characters_are_escaped)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_empty(), *again = NULL;
    const char *odd = "\x01\x1f\x7f\b\f\n\r\t\"\\/\xc3\xa4";
    char *text;

    cr_assert_eq(box_spec_set_annotation(spec, odd, odd, NULL), 0);
    text = must_format(spec);
    for (const char *p = text; *p; p++)
        cr_expect(*p == '\n' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
    again = must_parse(text);
    cr_assert_str_eq(box_spec_get_annotation(again, odd), odd);
    free(text);
}

Test(spec_json, versions_from_1_0_0_to_1_3_are_read_and_others_are_refused)
{
    static const struct {
        const char *version;
        int code;
    } cases[] = {{"1.0.0", 0},
                 {"1.0.1", 0},
                 {"1.0.2-dev", 0},
                 {"1.1.0", 0},
                 {"1.1.0-rc.3", 0},
                 {"1.2.1+dev", 0},
                 {"1.3.0", 0},
                 {"1.3.99", 0},
                 {"1.4.0", BOX_EUNSUPPORTED},
                 {"2.0.0", BOX_EUNSUPPORTED},
                 {"0.9.0", BOX_EUNSUPPORTED},
                 {"1.0.0-rc5", BOX_EUNSUPPORTED},
                 {"1.10.0", BOX_EUNSUPPORTED},
                 {"1.3", BOX_EPARSE},
                 {"1.3.0.0", BOX_EPARSE},
                 {"v1.3.0", BOX_EPARSE},
                 {"", BOX_EPARSE},
                 {"1.03.0", BOX_EPARSE},
                 {"1.3.0-", BOX_EPARSE},
                 {"99999999999999999999.0.0", BOX_EPARSE}};

    for (size_t i = 0; i < BOX_ARRAY(cases); i++) {
        box_spec *spec = NULL;
        char text[128];

        snprintf(text, sizeof(text), "{\"ociVersion\": \"%s\"}", cases[i].version);
        cr_expect_eq(box_spec_parse(text, strlen(text), &spec, NULL), cases[i].code, "%s", cases[i].version);
        box_spec_free(spec);
    }
}

Test(spec_json, spec_with_a_descriptor_cannot_be_saved)
{
    _cleanup_(box_spec) box_spec *spec = box_spec_new_empty();
    box_error *err = NULL;
    char *text = NULL;

    cr_assert_eq(box_spec_add_bind_fd(spec, 0, "/x", NULL, NULL), 0);
    cr_assert_eq(box_spec_format(spec, &text, &err), BOX_ESPEC);
    cr_assert_not_null(strstr(box_error_message(err), "mounts[0]"));
    box_error_free(err);
    cr_assert_eq(box_spec_clear_mounts(spec, NULL), 0);
    cr_assert_eq(box_spec_join_namespace_fd(spec, BOX_SPEC_PID_NAMESPACE, 0, NULL), 0);
    cr_assert_eq(box_spec_format(spec, &text, NULL), BOX_ESPEC);
    cr_assert_null(text);
}

Test(spec_json, file_is_replaced_by_a_private_one)
{
    _cleanup_(box_spec) box_spec *spec = must_load("full-1.2.json"), *again = NULL;
    char dir[] = "/tmp/libbox-test-spec-XXXXXX", path[128];
    box_error *err = NULL;
    struct stat st;

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/config.json", dir);
    cr_expect_eq(box_spec_save(spec, path, &err), 0, "%s", box_error_message(err));
    cr_expect_eq(box_spec_save(spec, path, &err), 0, "%s", box_error_message(err));
    cr_expect_eq(stat(path, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0600);
    cr_expect_eq(box_spec_load(path, &again, &err), 0, "%s", box_error_message(err));
    assert_formats_as(again, read_document("full-1.2.json"));
    unlink(path);
    rmdir(dir);
}

Test(spec_json, error_of_a_file_names_it)
{
    box_spec *spec = NULL;
    box_error *err = NULL;

    cr_assert_eq(box_spec_load("/does/not/exist.json", &spec, &err), BOX_ENOTFOUND);
    cr_assert_not_null(strstr(box_error_message(err), "/does/not/exist.json"));
    box_error_free(err);
    cr_assert_neq(box_spec_load("/dev/zero", &spec, NULL), 0);
    cr_assert_null(spec);
}
