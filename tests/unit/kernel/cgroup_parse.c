/* What the kernel writes, and what it never should. */
#include "cgroup_help.h"

#include <linux/bpf.h>

/* ---- values ---- */

Test(cgroup_parse, numbers_are_digits_or_max_and_nothing_else)
{
    static const char *const bad[] = {"",
                                      "\n",
                                      "-1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1\n\n",
                                      "0x1",
                                      "maximum",
                                      "1e3",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    uint64_t value = 0;

    cr_expect(cgroup_parse_u64("0\n", &value) && value == 0);
    cr_expect(cgroup_parse_u64("18446744073709551615", &value) && value == UINT64_MAX);
    cr_expect(cgroup_parse_u64("max\n", &value) && value == BOX_CGROUP_UNLIMITED);
    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_expect_not(cgroup_parse_u64(bad[i], &value), "\"%s\"", bad[i]);
}

struct pair {
    uint64_t a, b;
};
static const struct cgroup_key pair_keys[] = {{"a", offsetof(struct pair, a), 1},
                                              {"b", offsetof(struct pair, b), 1000}};

Test(cgroup_parse, flat_files_give_the_named_keys_and_pass_over_others)
{
    struct pair pair = {0};
    char text[] = "zz words here\na 1\nab 5\nb 2\n";

    cr_expect_eq(cgroup_parse_flat(text, pair_keys, 2, &pair), 0);
    cr_expect_eq(pair.a, 1);
    cr_expect_eq(pair.b, 2000);
}

Test(cgroup_parse, a_named_key_without_a_number_is_an_error)
{
    static const char *const bad[] = {"a\n", "a x\n", "a -1\n", "a 1 2\n", "b 18446744073709551614\n"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct pair pair = {0};
        _free_ char *text = strdup(bad[i]);
        cr_expect_eq(cgroup_parse_flat(text, pair_keys, 2, &pair), -EBADMSG, "%s", bad[i]);
    }
}

Test(cgroup_parse, io_stat_lines_become_one_entry_a_device)
{
    struct box_cgroup_stats *stats = calloc(1, sizeof(*stats));
    char text[] = "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=7 dios=8\n"
                  "8:0 \n"
                  "253:1 rbytes=1 cost.usage=12\n";

    cr_expect_eq(cgroup_parse_io_stat(stats, text), 0);
    cr_assert_eq(stats->io_count, 2);
    cr_expect_eq(stats->io[0].write_bytes, 314773504);
    cr_expect_eq(stats->io[0].reads, 192);
    cr_expect_eq(stats->io[0].discard_bytes, 7);
    cr_expect_eq(stats->io[0].discards, 8);
    cr_expect_eq(stats->io[1].major, 253);
    cr_expect_eq(stats->io[1].read_bytes, 1);
    box_cgroup_stats_free(stats);
}

Test(cgroup_parse, malformed_io_stat_is_an_error)
{
    static const char *const bad[] = {"8:x rbytes=1\n", ":1 rbytes=1\n", "8:16 rbytes=\n", "8:16 rbytes=-1\n",
                                      "8:16x rios=1\n"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct box_cgroup_stats *stats = calloc(1, sizeof(*stats));
        _free_ char *text = strdup(bad[i]);
        cr_expect_eq(cgroup_parse_io_stat(stats, text), -EBADMSG, "%s", bad[i]);
        box_cgroup_stats_free(stats);
    }
}

Test(cgroup_parse, blkio_files_of_bytes_and_operations_meet_in_one_entry)
{
    struct box_cgroup_stats *stats = calloc(1, sizeof(*stats));
    char bytes[] = "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 0\n8:0 Async 0\n8:0 Discard 1\n8:0 Total "
                   "12289\nTotal 12289\n";
    char operations[] = "8:0 Read 1\n8:0 Write 2\n8:16 Read 9\nTotal 12\n";
    char bad[] = "8:0 Read many\n", worse[] = "8 Read 1\n";

    cr_expect_eq(cgroup_parse_blkio(stats, bytes, false), 0);
    cr_expect_eq(cgroup_parse_blkio(stats, operations, true), 0);
    cr_assert_eq(stats->io_count, 2);
    cr_expect_eq(stats->io[0].read_bytes, 4096);
    cr_expect_eq(stats->io[0].writes, 2);
    cr_expect_eq(stats->io[1].reads, 9);
    cr_expect_eq(cgroup_parse_blkio(stats, bad, false), -EBADMSG);
    cr_expect_eq(cgroup_parse_blkio(stats, worse, false), -EBADMSG);
    box_cgroup_stats_free(stats);
}

Test(cgroup_parse, pressure_is_read_without_a_locale)
{
    struct box_pressure p;
    char text[] = "some avg10=12.34 avg60=0.05 avg300=100.00 total=123456\nfull avg10=1.00 avg60=0.00 "
                  "avg300=0.00 total=7\n";
    char only_some[] = "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n";

    cr_assert_eq(cgroup_parse_pressure(text, &p), 0);
    cr_expect_float_eq(p.some.avg10, 12.34, 1e-9);
    cr_expect_float_eq(p.some.avg60, 0.05, 1e-9);
    cr_expect_float_eq(p.some.avg300, 100, 1e-9);
    cr_expect_eq(p.some.total_us, 123456);
    cr_expect_eq(p.full.total_us, 7);
    cr_assert_eq(cgroup_parse_pressure(only_some, &p), 0);
    cr_expect_eq(p.full.total_us, 0);
}

Test(cgroup_parse, malformed_pressure_is_an_error)
{
    static const char *const bad[] = {"",
                                      "some\n",
                                      "some avg10=1,00 avg60=0.00 avg300=0.00 total=1\n",
                                      "some avg10=1.0 avg60=0.00 avg300=0.00 total=1\n",
                                      "some avg10=x avg60=0.00 avg300=0.00 total=1\n",
                                      "some avg60=0.00 avg10=0.00 avg300=0.00 total=1\n",
                                      "some avg10=0.00 avg60=0.00 avg300=0.00\n",
                                      "some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct box_pressure p;
        _free_ char *text = strdup(bad[i]);
        cr_expect_eq(cgroup_parse_pressure(text, &p), -EBADMSG, "%s", bad[i]);
    }
}

/* ---- where things are ---- */

static box_cgroup_host *host_from(const char *mountinfo, const char *own)
{
    box_cgroup_host *host = calloc(1, sizeof(*host));
    _free_ char *a = strdup(mountinfo), *b = strdup(own);

    OK(cgroup_host_parse_mountinfo(host, a, NULL, err));
    OK(cgroup_host_parse_own(host, b, err));
    return host;
}

Test(cgroup_parse, a_hybrid_host_is_understood)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = host_from(
        "25 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n"
        "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/my\\040memory rw - cgroup cgroup rw,memory\n"
        "34 31 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "35 31 0:32 / /sys/fs/cgroup/elogind rw - cgroup cgroup rw,name=elogind\n"
        "36 31 0:33 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n",
        "9:name=elogind:/3\n8:memory:/a/b\n7:cpu,cpuacct:/\n2:debug:/x\n1:name=systemd:/user.slice\n0::/"
        "user.slice/x\n");

    cr_expect_eq(box_cgroup_host_mode(host), BOX_CGROUP_MODE_HYBRID);
    cr_assert_eq(host->count, 4, "a named hierarchy that is not systemd's is none of ours");
    cr_expect_eq(host->mount[0].controllers, BOX_CONTROLLER_CPU | BOX_CONTROLLER_CPUACCT);
    cr_expect_str_eq(host->mount[0].own, "");
    cr_expect_str_eq(host->mount[1].mountpoint, "/sys/fs/cgroup/my memory");
    cr_expect_str_eq(host->mount[1].own, "/a/b");
    cr_expect_eq(host->mount[2].controllers, BOX_CONTROLLER_SYSTEMD);
    cr_expect_str_eq(host->mount[2].own, "/user.slice");
    cr_expect(host->mount[3].v2);
    cr_expect_str_eq(host->mount[3].own, "/user.slice/x");
}

Test(cgroup_parse, modes_follow_from_what_is_mounted)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *none = host_from("25 0 8:1 / / rw - ext4 /dev/sda1 rw\n", "");
    _cleanup_(box_cgroup_host) box_cgroup_host *v1 =
        host_from("1 0 0:1 / /c rw - cgroup x rw,pids\n", "1:pids:/\n");
    _cleanup_(box_cgroup_host) box_cgroup_host *v2 = host_from("1 0 0:1 / /c rw - cgroup2 x rw\n", "0::/\n");

    cr_expect_eq(box_cgroup_host_mode(none), BOX_CGROUP_MODE_NONE);
    cr_expect_eq(box_cgroup_host_mode(v1), BOX_CGROUP_MODE_V1);
    cr_expect_eq(box_cgroup_host_mode(v2), BOX_CGROUP_MODE_V2);
    cr_expect_str_eq(box_cgroup_mode_name(BOX_CGROUP_MODE_V2), "v2");
}

Test(cgroup_parse, a_part_of_a_hierarchy_gives_paths_below_it)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host =
        host_from("1 0 0:1 /docker/abc /c rw - cgroup x rw,pids\n", "1:pids:/docker/abc/mine\n");

    cr_expect_str_eq(host->mount[0].own, "/mine");
    cr_expect_str_eq(cgroup_below_root("/docker/abc", "/docker/abc"), "");
    cr_expect_null(cgroup_below_root("/docker/abc", "/docker/abcd"));
    cr_expect_null(cgroup_below_root("/docker/abc", "/"));
    cr_expect_null(cgroup_below_root("/../..", "/"), "a part outside of our cgroup namespace");
    cr_expect_null(cgroup_below_root("/", "/../x"));
    cr_expect_str_eq(cgroup_below_root("/", "/x"), "/x");
}

Test(cgroup_parse, the_mount_that_shows_all_of_a_hierarchy_wins)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = host_from("1 0 0:1 /part /a rw - cgroup x rw,pids\n"
                                                                 "2 0 0:1 / /b rw - cgroup x rw,pids\n"
                                                                 "3 0 0:1 / /c rw - cgroup x rw,pids\n",
                                                                 "1:pids:/x\n");

    cr_assert_eq(host->count, 1);
    cr_expect_str_eq(host->mount[0].mountpoint, "/b");
    cr_expect_str_eq(host->mount[0].own, "/x");
}

Test(cgroup_parse, malformed_mountinfo_and_cgroup_files_are_errors)
{
    static const char *const bad_mounts[] = {"1 0 0:1 / /c rw\n", "1 0 0:1 / /c rw - cgroup x\n",
                                             "1 0 zero / /c rw - cgroup x rw\n", "1\n"};
    static const char *const bad_own[] = {"nonsense\n", "1:pids\n", "1:pids:relative\n"};

    for (size_t i = 0; i < BOX_ARRAY(bad_mounts); i++) {
        _cleanup_(box_cgroup_host) box_cgroup_host *host = calloc(1, sizeof(*host));
        _free_ char *text = strdup(bad_mounts[i]);
        cr_expect_eq(cgroup_host_parse_mountinfo(host, text, NULL, NULL), BOX_EPARSE, "%s", bad_mounts[i]);
    }
    for (size_t i = 0; i < BOX_ARRAY(bad_own); i++) {
        _cleanup_(box_cgroup_host) box_cgroup_host *host = calloc(1, sizeof(*host));
        _free_ char *text = strdup(bad_own[i]);
        cr_expect_eq(cgroup_host_parse_own(host, text, NULL), BOX_EPARSE, "%s", bad_own[i]);
    }
}

Test(cgroup_parse, more_hierarchies_than_there_is_room_for_do_no_harm)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = calloc(1, sizeof(*host));
    char text[8192] = "", *out = text;

    for (int i = 0; i < 40; i++)
        out += sprintf(out, "1 0 0:%d / /c%d rw - cgroup x rw,pids,name=n%d\n", i + 1, i, i);
    OK(cgroup_host_parse_mountinfo(host, text, NULL, err));
    cr_expect_eq(host->count, CGROUP_HIERARCHIES);
}

Test(cgroup_parse, paths_that_lead_elsewhere_are_refused)
{
    static const char *const bad[] = {"",   "/",      "..", "/..",  "/a/../b", "a//b",
                                      "a/", "/a/./b", ".",  "a\nb", "//a"};
    static const char *const good[] = {"a", "/a", "a/b", "/a/...", "/a..b", "..a"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        cr_expect_eq(cgroup_check_path(bad[i], NULL), BOX_EINVAL, "\"%s\"", bad[i]);
    for (size_t i = 0; i < BOX_ARRAY(good); i++)
        cr_expect_eq(cgroup_check_path(good[i], NULL), 0, "\"%s\"", good[i]);
}

Test(cgroup_parse, a_relative_path_is_beside_the_leaf_that_holds_the_host)
{
    struct cgroup_mount mount = {.v2 = true, .own = "/unit.scope/" CGROUP_HOST_LEAF};
    _free_ char *beside = NULL, *from_root = NULL, *none = NULL;

    OK(cgroup_mount_path(&mount, "x", &beside, err));
    cr_expect_str_eq(beside, "/unit.scope/x");
    OK(cgroup_mount_path(&mount, "/x", &from_root, err));
    cr_expect_str_eq(from_root, "/x");
    mount.own = NULL;
    OK(cgroup_mount_path(&mount, "x", &none, err));
    cr_expect_null(none);
}

Test(cgroup_parse, controllers_have_both_names)
{
    cr_expect_eq(box_controller_from_name("io"), BOX_CONTROLLER_IO);
    cr_expect_eq(box_controller_from_name("blkio"), BOX_CONTROLLER_IO);
    cr_expect_eq(box_controller_from_name("cpuse"), 0);
    cr_expect_eq(box_controller_from_name(""), 0);
    cr_expect_eq(box_controller_from_name(NULL), 0);
    cr_expect_str_eq(box_controller_name(BOX_CONTROLLER_IO), "io");
    cr_expect_null(box_controller_name(BOX_CONTROLLER_IO | BOX_CONTROLLER_CPU));
    cr_expect_eq(cgroup_controllers_mask("cpuset cpu io\n"),
                 BOX_CONTROLLER_CPUSET | BOX_CONTROLLER_CPU | BOX_CONTROLLER_IO);
    cr_expect_eq(box_controller_of_file("memory.high"), BOX_CONTROLLER_MEMORY);
    cr_expect_eq(box_controller_of_file("cgroup.max.depth"), 0);
}

/* ---- device rules ---- */

static bool has_rule(const struct cgroup_device_set *set, char type, int64_t major, int64_t minor,
                     unsigned access)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct box_device_rule *r = &set->exceptions[i];
        if (r->type == type && r->major == major && r->minor == minor && r->access == access)
            return true;
    }
    return false;
}

Test(cgroup_parse, device_rules_become_exceptions_from_all_or_nothing)
{
    const struct box_device_rule rules[] = {
        {1, 'c', 9, 9, 7},  {0, 0, -1, -1, 0}, {1, 'u', 1, 3, 1},  {1, 'c', 1, 3, 2},
        {1, 'a', 7, -1, 4}, {1, 'c', 5, 1, 7}, {0, 'c', 5, -1, 2}, {1, 'p', 1, 1, 7},
        {1, 'b', 8, 0, 7},  {0, 'b', 8, 0, 7}, {1, 'b', 8, 1, 3},
    };
    struct cgroup_device_set set;

    OK(cgroup_devices_v1_compile(rules, BOX_ARRAY(rules), &set, err));
    cr_expect_not(set.allow_all);
    cr_expect_eq(set.count, 5);
    cr_expect(has_rule(&set, 'b', 8, 1, 3));
    cr_expect(has_rule(&set, 'c', 1, 3, 3), "two rules for one device are one");
    cr_expect(has_rule(&set, 'b', 7, -1, 4), "type a with a number is both types");
    cr_expect(has_rule(&set, 'c', 7, -1, 4));
    cr_expect(has_rule(&set, 'c', 5, 1, 5), "a wider rule takes a part of the access back");
    cgroup_device_set_free(&set);
}

Test(cgroup_parse, a_hole_in_a_device_rule_cannot_be_had_on_v1)
{
    const struct box_device_rule rules[] = {{0, 'a', -1, -1, 7}, {1, 'b', 8, -1, 7}, {0, 'b', 8, 3, 7}};
    struct cgroup_device_set set;
    _cleanup_(box_error) box_error *error = NULL;

    cr_expect_eq(cgroup_devices_v1_compile(rules, BOX_ARRAY(rules), &set, &error), BOX_EUNSUPPORTED);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.devices");
}

Test(cgroup_parse, devices_list_is_read_strictly)
{
    static const char *const bad[] = {"c 1:3\n",     "x 1:3 rwm\n", "c 1 rwm\n",
                                      "c 1:x rwm\n", "c 1:3 rwx\n", "cc 1:3 r\n"};
    struct cgroup_device_set set;
    char good[] = "b *:* m\nc 1:3 rwm\nc 136:* rw\n", all[] = "a *:* rwm\n", empty[] = "";

    cr_assert_eq(cgroup_devices_v1_parse(good, &set), 0);
    cr_expect_not(set.allow_all);
    cr_expect(has_rule(&set, 'b', -1, -1, BOX_DEVICE_MKNOD));
    cr_expect(has_rule(&set, 'c', 136, -1, BOX_DEVICE_READ | BOX_DEVICE_WRITE));
    cgroup_device_set_free(&set);
    cr_assert_eq(cgroup_devices_v1_parse(all, &set), 0);
    cr_expect(set.allow_all);
    cr_assert_eq(cgroup_devices_v1_parse(empty, &set), 0);
    cr_expect_not(set.allow_all);
    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _free_ char *text = strdup(bad[i]);
        cr_expect_eq(cgroup_devices_v1_parse(text, &set), -EBADMSG, "%s", bad[i]);
    }
}

/* ---- the device program, run by an interpreter of just what it uses ---- */

static int run_program(const struct bpf_insn *program, size_t length, char type, uint32_t access,
                       uint32_t major, uint32_t minor)
{
    uint32_t ctx[3] = {access << 16 | (type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR), major, minor};
    uint64_t reg[11] = {0};

    for (size_t pc = 0; pc < length; pc++) {
        const struct bpf_insn *i = &program[pc];
        bool jump = false;

        switch (i->code) {
        case BPF_LDX | BPF_MEM | BPF_W:
            reg[i->dst_reg] = ctx[i->off / 4];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_X:
            reg[i->dst_reg] = reg[i->src_reg];
            break;
        case BPF_ALU64 | BPF_MOV | BPF_K:
            reg[i->dst_reg] = (uint64_t)(int64_t)i->imm;
            break;
        case BPF_ALU64 | BPF_AND | BPF_K:
            reg[i->dst_reg] &= (uint64_t)(int64_t)i->imm;
            break;
        case BPF_ALU64 | BPF_RSH | BPF_K:
            reg[i->dst_reg] >>= i->imm;
            break;
        case BPF_JMP32 | BPF_JNE | BPF_K:
            jump = (uint32_t)reg[i->dst_reg] != (uint32_t)i->imm;
            break;
        case BPF_JMP32 | BPF_JSET | BPF_K:
            jump = ((uint32_t)reg[i->dst_reg] & (uint32_t)i->imm) != 0;
            break;
        case BPF_JMP | BPF_JA:
            jump = true;
            break;
        case BPF_JMP | BPF_EXIT:
            return (int)reg[0];
        default:
            cr_assert_fail("instruction %zu is %x", pc, i->code);
        }
        if (jump)
            pc += (size_t)i->off;
    }
    cr_assert_fail("the program has no end");
    return -1;
}

/* What the rules mean, said another way: each bit by the last rule that matches it. */
static int meaning(const struct box_device_rule *rules, size_t count, char type, unsigned access,
                   int64_t major, int64_t minor)
{
    for (unsigned bit = 1; bit <= 4; bit <<= 1) {
        int allow = 1;

        for (size_t i = 0; i < count; i++) {
            const struct box_device_rule *r = &rules[i];
            char t = r->type == 'u' ? 'c' : r->type;
            if ((t == 'a' || t == 0 || t == type) && (r->major < 0 || r->major == major) &&
                (r->minor < 0 || r->minor == minor) && ((r->access ? r->access : 7) & bit))
                allow = r->allow;
        }
        if (access & bit && !allow)
            return 0;
    }
    return 1;
}

Test(cgroup_parse, the_device_program_means_what_the_rules_mean)
{
    static const unsigned kernel_bits[] = {0,
                                           BPF_DEVCG_ACC_READ,
                                           BPF_DEVCG_ACC_WRITE,
                                           BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE,
                                           BPF_DEVCG_ACC_MKNOD,
                                           BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ,
                                           BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_WRITE,
                                           7};
    unsigned seed = 12345;

    for (int round = 0; round < 300; round++) {
        struct box_device_rule rules[8];
        size_t count = (size_t)(rand_r(&seed) % 9), length;

        for (size_t i = 0; i < count; i++)
            rules[i] =
                (struct box_device_rule){rand_r(&seed) % 2, "abcu"[rand_r(&seed) % 4], rand_r(&seed) % 4 - 1,
                                         rand_r(&seed) % 4 - 1, (unsigned)rand_r(&seed) % 8};
        _free_ struct bpf_insn *program = cgroup_bpf_generate(rules, count, &length);
        for (int t = 0; t < 2; t++)
            for (uint32_t major = 0; major < 4; major++)
                for (uint32_t minor = 0; minor < 4; minor++)
                    for (unsigned access = 1; access < 8; access++)
                        cr_assert_eq(run_program(program, length, "bc"[t], kernel_bits[access], major, minor),
                                     meaning(rules, count, "bc"[t], access, major, minor), "round %d", round);
    }
}

Test(cgroup_parse, device_numbers_of_32_bits_are_told_apart)
{
    const struct box_device_rule rules[] = {{0, 'a', -1, -1, 7}, {1, 'c', 4294967295, 2147483648, 7}};
    size_t length;
    _free_ struct bpf_insn *program = cgroup_bpf_generate(rules, 2, &length);

    cr_expect_eq(run_program(program, length, 'c', BPF_DEVCG_ACC_READ, 4294967295u, 2147483648u), 1);
    cr_expect_eq(run_program(program, length, 'c', BPF_DEVCG_ACC_READ, 4294967295u, 0), 0);
}
