/* Policies: built call by call, from OCI, from Docker's format. */
#include <criterion/criterion.h>

#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include <json-c/json.h>

#include "base/fail.h"
#include "kernel/seccomp_compile.h"
#include "kernel/seccomp_filter.h"
#include "seccomp_sample.h"

static void free_text(char **text)
{
    free(*text);
}
#define _text_ __attribute__((cleanup(free_text)))

/* What a policy says about a call of this machine's: 0 for allowed, an errno, or -action. */
static int says(const box_seccomp *policy, const char *name, uint64_t first)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    struct box_seccomp_call call = {.number = box_syscall_number(0, name), .args = {first}};
    unsigned value = 0;

    cr_assert(filter && call.number >= 0, "%s", name);
    int action = box_seccomp_filter_evaluate(filter, &call, &value);
    return action == BOX_SECCOMP_ERRNO ? (int)value : -action;
}

/* ---- building ---- */

Test(seccomp_policy, what_a_builder_is_given_is_checked_where_it_is_given)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);
    const struct box_seccomp_arg no_argument = {6, BOX_SECCOMP_EQ, 0, 0}, no_test = {0, 9, 0, 0};
    struct box_seccomp_arg many[17] = {{0, BOX_SECCOMP_EQ, 0, 0}};
    char long_name[200];
    box_error *err = NULL;

    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (size_t i = 0; i < BOX_ARRAY(many); i++)
        many[i] = (struct box_seccomp_arg){0, BOX_SECCOMP_EQ, i, 0};
    cr_expect_null(box_seccomp_new(8, 0, NULL));
    cr_expect_null(box_seccomp_new(BOX_SECCOMP_ERRNO, 4096, NULL));
    cr_expect_null(box_seccomp_new(BOX_SECCOMP_ALLOW, 1, NULL));
    cr_expect_eq(box_seccomp_add_rule(policy, -1, 0, "read", NULL, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_TRACE, 65536, "read", NULL, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "", NULL, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, NULL, NULL, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, long_name, NULL, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "read", &no_argument, 1, NULL),
                 BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "read", &no_test, 1, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "read", many, 17, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "read", NULL, 1, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_set_flags(policy, 64, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_set_listener(policy, NULL, "data", NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_add_arch(policy, "x86_64", &err), BOX_EINVAL);
    cr_expect_str_eq(box_error_subject(err), "x86_64");
    cr_expect_not(*box_error_remedy(err) == '\0');
    box_error_free(err);
    cr_expect_eq(policy->n_rules, 0);
}

Test(seccomp_policy, unknown_names_are_kept_and_told_and_skipped)
{
    static const char *const names[] = {"read", "warp_drive", "write", "transmogrify", NULL};
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ERRNO, EPERM, NULL);

    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_ALLOW, 0, names, NULL, 0, NULL), 0);
    cr_expect_str_eq(box_seccomp_unknown(policy, 0), "warp_drive");
    cr_expect_str_eq(box_seccomp_unknown(policy, 1), "transmogrify");
    cr_expect_null(box_seccomp_unknown(policy, 2));
    cr_expect_eq(says(policy, "write", 0), 0);
}

Test(seccomp_policy, a_call_can_be_taken_out_of_a_preset)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_default(0, NULL);

    cr_expect_eq(says(policy, "ptrace", 0), 0);
    cr_assert_eq(box_seccomp_drop_syscall(policy, "ptrace", NULL), 0);
    cr_expect_eq(says(policy, "ptrace", 0), EPERM);
    cr_expect_eq(box_seccomp_drop_syscall(policy, "ptrace", NULL), BOX_ENOTFOUND);
    /* All six rules for sockets go, and with them the only name that they had. */
    size_t before = policy->n_rules;
    cr_assert_eq(box_seccomp_drop_syscall(policy, "socket", NULL), 0);
    cr_expect_lt(policy->n_rules, before);
    cr_expect_eq(says(policy, "socket", 2), EPERM);
    cr_expect_eq(says(policy, "read", 0), 0);
}

Test(seccomp_policy, architectures_come_and_go)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(policy->n_arches, 1);
    cr_expect_eq(box_seccomp_add_arch(policy, "SCMP_ARCH_S390X", NULL), 0);
    cr_expect_eq(box_seccomp_add_arch(policy, "SCMP_ARCH_S390X", NULL), 0);
    cr_expect_eq(policy->n_arches, 2);
    cr_expect_eq(box_seccomp_remove_arch(policy, "SCMP_ARCH_S390X", NULL), 0);
    cr_expect_eq(box_seccomp_remove_arch(policy, "SCMP_ARCH_S390X", NULL), BOX_ENOTFOUND);
    cr_expect_eq(box_seccomp_remove_arch(policy, NULL, NULL), BOX_ENOTFOUND);
    cr_expect_eq(policy->n_arches, 1);
    cr_expect_null(policy->arches[1]);
}

Test(seccomp_policy, a_clone_is_equal_and_independent)
{
    static const char text[] =
        "{\"defaultAction\":\"SCMP_ACT_KILL\",\"architectures\":[\"SCMP_ARCH_X86\"],\"flags\":[],"
        "\"listenerPath\":\"/run/"
        "l\",\"listenerMetadata\":\"m\",\"syscalls\":[{\"names\":[\"read\"],\"action\":"
        "\"SCMP_ACT_ALLOW\",\"args\":[{\"index\":1,\"value\":2,\"valueTwo\":3,\"op\":\"SCMP_CMP_EQ\",\"x\":1}"
        "],"
        "\"y\":null}],\"z\":{}}";
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_load_oci(text, strlen(text), NULL);
    _cleanup_(box_seccomp) box_seccomp *copy = policy ? box_seccomp_clone(policy, NULL) : NULL;
    char *saved _text_ = NULL;

    cr_assert_not_null(copy);
    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ALLOW, 0, "write", NULL, 0, NULL), 0);
    cr_assert_eq(box_seccomp_set_listener(policy, NULL, NULL, NULL), 0);
    cr_assert_eq(box_seccomp_save_oci(copy, &saved, NULL), 0);
    cr_expect_str_eq(saved, text);
    cr_expect_null(box_seccomp_listener_path(policy));
    cr_expect_str_eq(box_seccomp_listener_path(copy), "/run/l");
    cr_expect_str_eq(box_seccomp_listener_metadata(copy), "m");
}

/* ---- OCI ---- */

Test(seccomp_policy, oci_json_comes_back_as_it_was)
{
    static const char *const documents[] = {
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\"}",
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[]}",
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38,\"architectures\":[]}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"defaultErrnoRet\":7,\"flags\":[\"SECCOMP_FILTER_FLAG_"
        "TSYNC\","
        "\"SECCOMP_FILTER_FLAG_LOG\",\"SECCOMP_FILTER_FLAG_SPEC_ALLOW\","
        "\"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV\"]}",
        "{\"defaultAction\":\"SCMP_ACT_NOTIFY\",\"architectures\":[\"SCMP_ARCH_PPC64LE\",\"SCMP_ARCH_X86_"
        "64\"],"
        "\"listenerPath\":\"/run/a/b.sock\",\"listenerMetadata\":\"{\\\"a\\\":1}\"}",
        "{\"defaultAction\":\"SCMP_ACT_LOG\",\"syscalls\":["
        "{\"names\":[\"a\",\"b\",\"c\"],\"action\":\"SCMP_ACT_TRACE\",\"errnoRet\":65535},"
        "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL_"
        "THREAD\"},"
        "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_KILL_PROCESS\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_"
        "TRAP\"},"
        "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\"},{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\","
        "\"errnoRet\":0},"
        "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ALLOW\",\"args\":[]}]}",
        "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_"
        "ALLOW\",\"args\":["
        "{\"index\":0,\"value\":18446744073709551615,\"op\":\"SCMP_CMP_NE\"},"
        "{\"index\":1,\"value\":0,\"valueTwo\":0,\"op\":\"SCMP_CMP_LT\"},"
        "{\"index\":2,\"value\":9223372036854775808,\"op\":\"SCMP_CMP_LE\"},"
        "{\"index\":3,\"value\":1,\"op\":\"SCMP_CMP_EQ\"},{\"index\":4,\"value\":1,\"op\":\"SCMP_CMP_GE\"},"
        "{\"index\":5,\"value\":1,\"op\":\"SCMP_CMP_GT\"},"
        "{\"index\":5,\"value\":255,\"valueTwo\":18446744073709551615,\"op\":\"SCMP_CMP_MASKED_EQ\"}]}]}",
        "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_LOG\","
        "\"args\":["
        "{\"index\":0,\"value\":1,\"op\":\"SCMP_CMP_NE\",\"note\":[1,{\"b\":2}]}],\"why\":\"because\"}],"
        "\"new\":true}",
    };

    for (size_t i = 0; i < BOX_ARRAY(documents); i++) {
        box_error *err = NULL;
        _cleanup_(box_seccomp) box_seccomp *policy =
            box_seccomp_load_oci(documents[i], strlen(documents[i]), &err);
        char *saved _text_ = NULL;
        cr_assert_not_null(policy, "%s: %s", documents[i], box_error_message(err));
        cr_assert_eq(box_seccomp_save_oci(policy, &saved, &err), 0, "%s", box_error_message(err));
        cr_expect_str_eq(saved, documents[i]);
    }
}

Test(seccomp_policy, the_presets_go_through_oci_json_and_compile_to_the_same_filter)
{
    for (int strict = 0; strict <= 1; strict++) {
        _cleanup_(box_seccomp) box_seccomp *policy =
            strict ? box_seccomp_new_strict(NULL)
                   : box_seccomp_new_default(UINT64_C(1) << CAP_SYS_CHROOT, NULL);
        char *saved _text_ = NULL;
        cr_assert_eq(box_seccomp_save_oci(policy, &saved, NULL), 0);
        _cleanup_(box_seccomp) box_seccomp *back = box_seccomp_load_oci(saved, strlen(saved), NULL);
        cr_assert_not_null(back);
        _cleanup_(box_seccomp_filter) box_seccomp_filter *one = box_seccomp_compile(policy, NULL);
        _cleanup_(box_seccomp_filter) box_seccomp_filter *two = box_seccomp_compile(back, NULL);
        size_t n_one, n_two;
        const void *code_one = box_seccomp_filter_program(one, &n_one);
        const void *code_two = box_seccomp_filter_program(two, &n_two);
        cr_assert_eq(n_one, n_two);
        cr_assert_arr_eq(code_one, code_two, n_one * sizeof(struct sock_filter));
    }
}

Test(seccomp_policy, malformed_oci_json_names_the_field)
{
    static const struct {
        const char *text, *place;
    } table[] = {
        {"", ""},
        {"[]", "object"},
        {"{", ""},
        {"{}", "defaultAction"},
        {"{\"defaultAction\":5}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_PARDON\"}", "SCMP_ACT_PARDON"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":4096}", "defaultErrnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":-1}", "defaultErrnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1.5}", "defaultErrnoRet"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":\"SCMP_ARCH_X86\"}", "architectures"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"architectures\":[\"SCMP_ARCH_PDP11\"]}",
         "architectures[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\",\"x\"]}", "flags[1]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":1}", "listenerPath"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerMetadata\":\"m\"}", "listenerPath"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":{}}", "syscalls"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[1]}", "syscalls[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"action\":\"SCMP_ACT_LOG\"}]}",
         "syscalls[0].names"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_LOG\"}]}",
         "syscalls[0].names"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"\"],\"action\":\"SCMP_ACT_LOG\"}]"
         "}",
         "syscalls[0].names[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[7],\"action\":\"SCMP_ACT_LOG\"}]}",
         "syscalls[0].names[0]"},
        {"{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"]}]}",
         "syscalls[0].action"},
#define ARGS(args)                                                                                           \
    "{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_LOG\"," \
    "\"args\":" args "}]}"
        {ARGS("{}"), "syscalls[0].args"},
        {ARGS("[3]"), "syscalls[0].args[0]"},
        {ARGS("[{\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), "args[0].index"},
        {ARGS("[{\"index\":6,\"value\":1,\"op\":\"SCMP_CMP_EQ\"}]"), "args[0].index"},
        {ARGS("[{\"index\":0,\"op\":\"SCMP_CMP_EQ\"}]"), "args[0].value"},
        {ARGS("[{\"index\":0,\"value\":18446744073709551616,\"op\":\"SCMP_CMP_EQ\"}]"), "does not fit"},
        {ARGS("[{\"index\":0,\"value\":-1,\"op\":\"SCMP_CMP_EQ\"}]"), "args[0].value"},
        {ARGS("[{\"index\":0,\"value\":\"1\",\"op\":\"SCMP_CMP_EQ\"}]"), "args[0].value"},
        {ARGS("[{\"index\":0,\"value\":1}]"), "args[0].op"},
        {ARGS("[{\"index\":0,\"value\":1,\"op\":\"==\"}]"), "args[0].op"},
#undef ARGS
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        box_error *err = NULL;
        cr_expect_null(box_seccomp_load_oci(table[i].text, strlen(table[i].text), &err), "%s", table[i].text);
        cr_expect_eq(box_error_code(err), BOX_EPARSE, "%s: %s", table[i].text, box_error_message(err));
        cr_expect_not_null(strstr(box_error_message(err), table[i].place), "%s: %s", table[i].text,
                           box_error_message(err));
        box_error_free(err);
    }
}

Test(seccomp_policy, the_place_in_a_larger_document_is_told)
{
    json_object *object =
        json_tokener_parse("{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":1}]}");
    box_error *err = NULL;

    cr_expect_null(box_seccomp_from_json(object, "linux.seccomp", &err));
    cr_expect_not_null(strstr(box_error_message(err), "linux.seccomp.syscalls[0].names"), "%s",
                       box_error_message(err));
    box_error_free(err);
    json_object_put(object);
}

/* ---- Docker ---- */

static box_seccomp *load_sample(uint64_t caps)
{
    char text[SAMPLE_SIZE];
    box_error *err = NULL;
    box_seccomp *policy = box_seccomp_load_docker(text, sample_profile(text), caps, &err);

    cr_assert_not_null(policy, "%s", box_error_message(err));
    return policy;
}

Test(seccomp_policy, a_docker_profile_says_what_it_says)
{
    _cleanup_(box_seccomp) box_seccomp *policy = load_sample(0);

    cr_expect_eq(says(policy, "read", 0), 0);
    cr_expect_eq(says(policy, "keyctl", 0), EPERM);
    cr_expect_eq(says(policy, "reboot", 0), -BOX_SECCOMP_KILL_PROCESS);
    cr_expect_eq(says(policy, "clone", 0x3d0f00), 0);
    cr_expect_eq(says(policy, "clone", 0x10000000), EPERM);
    cr_expect_eq(says(policy, "clone3", 0), ENOSYS);
    cr_expect_eq(says(policy, "personality", UINT32_MAX), 0);
    cr_expect_eq(says(policy, "personality", 0), EPERM);
    /* Two tests of one argument: either. */
    cr_expect_eq(says(policy, "socket", 2), 0);
    cr_expect_eq(says(policy, "socket", 44), 0);
    cr_expect_eq(says(policy, "socket", 38), EPERM);
    cr_expect_eq(says(policy, "socket", 40), EPERM);
    cr_expect_str_eq(box_seccomp_unknown(policy, 0), "quantum_teleport");
    /* s390's call is not asked for here. */
    cr_expect_null(box_seccomp_unknown(policy, 1));
}

Test(seccomp_policy, a_docker_profile_is_decided_by_capabilities)
{
    const uint64_t admin = UINT64_C(1) << CAP_SYS_ADMIN;
    _cleanup_(box_seccomp) box_seccomp *without = load_sample(0);
    _cleanup_(box_seccomp) box_seccomp *with = load_sample(admin | UINT64_C(1) << CAP_BPF);
    _cleanup_(box_seccomp) box_seccomp *all = load_sample(UINT64_MAX);

    cr_expect_eq(says(without, "mount", 0), EPERM);
    cr_expect_eq(says(with, "mount", 0), 0);
    cr_expect_eq(says(with, "clone", 0x10000000), 0);
    cr_expect_eq(says(with, "clone3", 0), 0);
    cr_expect_eq(says(with, "chroot", 0), EPERM);
    cr_expect_eq(says(all, "chroot", 0), 0);
    /* includes asks for all that it lists. */
    cr_expect_eq(says(with, "bpf", 0), EPERM);
    cr_expect_eq(says(all, "bpf", 0), 0);
    /* A capability that nobody knows is had by nobody. */
    cr_expect_eq(says(all, "acct", 0), EPERM);
}

Test(seccomp_policy, a_docker_profile_is_decided_by_kernel_and_machine)
{
    _cleanup_(box_seccomp) box_seccomp *policy = load_sample(0);
    bool x86 = BOX_ARCH_NATIVE == BOX_ARCH_X86_64;

    cr_expect_eq(says(policy, "ptrace", 0), 0);
    cr_expect_neq(says(policy, "mseal", 0), 0);
    cr_expect_eq(policy->n_arches, x86 ? 3 : 2);
    cr_expect_str_eq(policy->arches[0], box_seccomp_arches[BOX_ARCH_NATIVE].oci);
    cr_expect_str_eq(policy->arches[1], x86 ? "SCMP_ARCH_X86" : "SCMP_ARCH_ARM");
    if (x86) {
        cr_expect_eq(says(policy, "sysfs", 0), EPERM);
        cr_expect_eq(says(policy, "arch_prctl", 0), 0);
    }
}

Test(seccomp_policy, malformed_docker_profiles_name_the_field)
{
#define RULE(members) \
    "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\"," members "}]}"
    static const struct {
        const char *text, *place;
    } table[] = {
        {"nonsense", ""},
        {"{\"syscalls\":[]}", "defaultAction"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[{\"action\":\"SCMP_ACT_ALLOW\"}]}",
         "syscalls[0].names"},
        {RULE("\"name\":\"read\",\"names\":[\"write\"]"), "both"},
        {RULE("\"names\":[\"read\"],\"includes\":[]"), "syscalls[0].includes"},
        {RULE("\"names\":[\"read\"],\"includes\":{\"caps\":\"CAP_CHOWN\"}"), "includes.caps"},
        {RULE("\"names\":[\"read\"],\"excludes\":{\"caps\":[1]}"), "excludes.caps[0]"},
        {RULE("\"names\":[\"read\"],\"excludes\":{\"arches\":[true]}"), "excludes.arches[0]"},
        {RULE("\"names\":[\"read\"],\"includes\":{\"minKernel\":\"new\"}"), "includes.minKernel"},
        {RULE("\"names\":[\"read\"],\"includes\":{\"minKernel\":\"4\"}"), "includes.minKernel"},
        {RULE("\"names\":[\"read\"],\"includes\":{\"minKernel\":\"4.8x\"}"), "includes.minKernel"},
        {RULE("\"names\":[\"read\"],\"includes\":{\"minKernel\":4.8}"), "includes.minKernel"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{}]}", "archMap[0].architecture"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"archMap\":[{\"architecture\":\"vax\"}]}",
         "archMap[0].architecture"},
        {"{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"architectures\":[\"SCMP_ARCH_X86\"],"
         "\"archMap\":[{\"architecture\":\"SCMP_ARCH_X86_64\"}]}",
         "both"},
        /* A rule that does not apply here is read all the same. */
        {RULE("\"names\":[\"read\"],\"includes\":{\"caps\":[\"CAP_SYS_ADMIN\"]},\"args\":[{}]"),
         "args[0].index"},
    };
#undef RULE

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        box_error *err = NULL;
        cr_expect_null(box_seccomp_load_docker(table[i].text, strlen(table[i].text), 0, &err), "%s",
                       table[i].text);
        cr_expect_eq(box_error_code(err), BOX_EPARSE, "%s: %s", table[i].text, box_error_message(err));
        cr_expect_not_null(strstr(box_error_message(err), table[i].place), "%s: %s", table[i].text,
                           box_error_message(err));
        box_error_free(err);
    }
}
