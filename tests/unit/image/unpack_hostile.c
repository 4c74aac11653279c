/* Unpacking: what an archive may not do. After each test nothing outside of the layer has changed
 * (unpack_fini). */
#include "unpack_help.h"

UNPACK_SUITE(unpack_hostile, .init = unpack_init, .fini = unpack_fini);

UNPACK_TEST(unpack_hostile, names_with_two_dots_are_refused)
{
    static const char *const names[] = {"../outside/x", "a/../../outside/x", "..", "a/..", "/../x", "./../x",
                                        "a/../b"};

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        put(names[i], .data = "x", .size = 1);
        is_refused(BOX_EESCAPE, names[i], "\"..\"");
    }
}

UNPACK_TEST(unpack_hostile, names_by_pax_with_two_dots_are_refused)
{
    char pax[64];
    size_t n = tarball_record(pax, sizeof(pax), "path", "../outside/x", 12);

    put("harmless", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_EESCAPE, "../outside/x", "\"..\"");
}

UNPACK_TEST(unpack_hostile, an_absolute_name_stays_in_the_layer)
{
    char name[100];

    snprintf(name, sizeof(name), "%s/outside/secret", scratch);
    put(name, .data = "changed", .size = 7);
    unpacks();
    cr_assert(exists(name + 1));
}

UNPACK_TEST(unpack_hostile, a_nul_in_a_name_ends_it)
{
    char pax[64];
    size_t n = tarball_record(pax, sizeof(pax), "path", "name\0/../../outside/x", 21);

    put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    int r = unpack();
    cr_assert(r < 0 || exists("name"), "%s", box_error_message(err));
}

UNPACK_TEST(unpack_hostile, an_entry_without_a_name_is_refused)
{
    put("", .data = "x", .size = 1);
    is_refused(BOX_EPARSE, "", "no name");
}

UNPACK_TEST(unpack_hostile, a_root_that_is_no_directory_is_refused)
{
    static const char *const names[] = {".", "/", "./", "//"};

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        put(names[i], .type = '2', .link = "../outside");
        is_refused(BOX_EPARSE, names[i], "root is no directory");
    }
}

UNPACK_TEST(unpack_hostile, a_link_in_a_parent_position_never_leads_out)
{
    char target[100];

    put("up", .type = '2', .link = "../outside");
    put("up/x", .data = "x", .size = 1);
    put("far", .type = '2', .link = "../../../../../../outside");
    put("far/y", .data = "y", .size = 1);
    snprintf(target, sizeof(target), "%s/outside", scratch);
    put("abs", .type = '2', .link = target);
    put("abs/z", .data = "z", .size = 1);
    put("abs/secret", .data = "changed", .size = 7);
    unpacks();
    /* "/outside" is the layer's own, as it would be in the container. */
    cr_assert_str_eq(text_of("outside/x"), "x");
    cr_assert_str_eq(text_of("outside/y"), "y");
    cr_assert(exists(target + 1));
}

UNPACK_TEST(unpack_hostile, magic_links_are_not_followed)
{
    put("root", .type = '2', .link = "/proc/self/root/tmp");
    put("root/x", .data = "x", .size = 1);
    unpacks();
    cr_assert_str_eq(text_of("proc/self/root/tmp/x"), "x");
}

UNPACK_TEST(unpack_hostile, a_leaf_that_is_a_link_is_replaced_and_not_followed)
{
    char target[100];

    snprintf(target, sizeof(target), "%s/outside/secret", scratch);
    put("a", .type = '2', .link = target);
    put("a", .data = "changed", .size = 7);
    put("b", .type = '2', .link = "../outside");
    put("b", .type = '5', .mode = 0777);
    put("b/x", .data = "x", .size = 1);
    put("c", .type = '2', .link = target);
    put("c", .type = '6');
    unpacks();
    cr_assert_str_eq(text_of("a"), "changed");
    cr_assert(S_ISDIR(stat_of("b").st_mode));
    cr_assert(exists("b/x"));
    cr_assert(S_ISFIFO(stat_of("c").st_mode));
}

UNPACK_TEST(unpack_hostile, metadata_never_go_through_a_link)
{
    char target[100];
    struct stat before, after;

    cr_assert_eq(fstatat(scratch_fd, "outside/secret", &before, 0), 0);
    snprintf(target, sizeof(target), "%s/outside/secret", scratch);
    put("a", .type = '2', .link = target, .mode = 04777, .uid = 1, .mtime = 1);
    unpacks();
    cr_assert_eq(fstatat(scratch_fd, "outside/secret", &after, 0), 0);
    cr_assert_eq(before.st_mode, after.st_mode);
    cr_assert_eq(before.st_uid, after.st_uid);
    cr_assert_eq(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
}

UNPACK_TEST(unpack_hostile, links_in_a_circle_are_an_error)
{
    put("a", .type = '2', .link = "b");
    put("b", .type = '2', .link = "a");
    put("a/x", .data = "x", .size = 1);
    is_refused(BOX_EPARSE, "a/x", "lead nowhere");
}

UNPACK_TEST(unpack_hostile, a_file_in_a_parent_position_is_an_error)
{
    put("f", .data = "x", .size = 1);
    put("f/x", .data = "x", .size = 1);
    is_refused(BOX_EPARSE, "f/x", "no directory stands at");
    put("f", .data = "x", .size = 1);
    put("f/a/b/c", .type = '5');
    is_refused(BOX_EPARSE, "f/a/b/c", "no directory stands at");
}

UNPACK_TEST(unpack_hostile, a_hard_link_to_something_outside_is_refused)
{
    char target[100];

    put("h", .type = '1', .link = "../outside/secret");
    is_refused(BOX_EESCAPE, "h", "\"..\"");
    snprintf(target, sizeof(target), "%s/outside/secret", scratch);
    put("h", .type = '1', .link = target);
    is_refused(BOX_EPARSE, "h", "not in the layer");
    put("up", .type = '2', .link = "../outside");
    put("h", .type = '1', .link = "up/secret");
    is_refused(BOX_EPARSE, "h", "not in the layer");
    put("h", .type = '1', .link = "/");
    is_refused(BOX_EESCAPE, "h", "no name");
    put("h", .type = '1', .link = "");
    cr_assert_lt(unpack(), 0);
}

UNPACK_TEST(unpack_hostile, a_hard_link_to_a_symbolic_link_links_the_link)
{
    char target[100];

    snprintf(target, sizeof(target), "%s/outside/secret", scratch);
    put("s", .type = '2', .link = target);
    put("h", .type = '1', .link = "s");
    put("h", .data = "changed", .size = 7);
    unpacks();
    cr_assert_str_eq(text_of("h"), "changed");
    cr_assert_str_eq(target_of("s"), target);
}

UNPACK_TEST(unpack_hostile, a_hard_link_to_a_directory_or_a_whiteout_is_refused)
{
    put("d", .type = '5');
    put("h", .type = '1', .link = "d");
    is_refused(BOX_EPARSE, "h", "is a directory");
    put(".wh.w", .size = 0);
    put("h", .type = '1', .link = "w");
    is_refused(BOX_EPARSE, "h", "is a whiteout");
}

UNPACK_TEST(unpack_hostile, whiteouts_that_name_a_parent_are_refused)
{
    put("d/.wh...", .size = 0);
    is_refused(BOX_EESCAPE, "d/.wh...", "whiteout");
    put("d/.wh..", .size = 0);
    is_refused(BOX_EESCAPE, "d/.wh..", "whiteout");
    put(".wh.", .size = 0);
    is_refused(BOX_EESCAPE, ".wh.", "whiteout");
    put("../.wh.outside", .size = 0);
    is_refused(BOX_EESCAPE, "../.wh.outside", "\"..\"");
    put("../.wh..wh..opq", .size = 0);
    is_refused(BOX_EESCAPE, "../.wh..wh..opq", "\"..\"");
}

UNPACK_TEST(unpack_hostile, whiteouts_through_a_link_stay_in_the_layer)
{
    put("up", .type = '2', .link = "../outside");
    put("up/.wh.secret", .size = 0);
    put("up/.wh..wh..opq", .size = 0);
    unpacks();
    cr_assert(is_whiteout("outside/secret"));
    cr_assert(is_opaque("outside"));
}

UNPACK_TEST(unpack_hostile, a_device_0_0_of_the_archives_is_refused)
{
    put("etc/passwd", .type = '3');
    is_refused(BOX_EPARSE, "etc/passwd", "0/0");
}

UNPACK_TEST(unpack_hostile, overlays_own_attributes_and_the_hosts_are_left_out)
{
    static const char *const names[] = {"trusted.overlay.opaque",
                                        "user.overlay.opaque",
                                        "user.overlay.redirect",
                                        "trusted.overlay.redirect",
                                        "trusted.overlay.metacopy",
                                        "trusted.x",
                                        "security.selinux",
                                        "security.ima",
                                        "security.evm",
                                        "system.posix_acl_access"};
    char pax[2000], list[512];
    size_t n = 0;

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        char key[100];
        snprintf(key, sizeof(key), "SCHILY.xattr.%s", names[i]);
        n += tarball_record(pax + n, sizeof(pax) - n, key, "y", 1);
    }
    put("d", .type = '5', .pax = pax, .pax_length = n);
    put("f", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    unpacks();
    for (const char *const *name = (const char *const[]){"d", "f", NULL}; *name; name++) {
        char path[128];
        snprintf(path, sizeof(path), "%s/%s/%s", scratch, out, *name);
        ssize_t size = listxattr(path, list, sizeof(list));
        for (const char *at = list; size > 0 && at < list + size; at += strlen(at) + 1)
            cr_assert(strncmp(at, "security.selinux", 16) == 0, "%s has %s", *name, at);
    }
}

/* ---- Limits ---- */

UNPACK_TEST(unpack_hostile, too_many_entries_are_a_limit)
{
    limits.entries = 3;
    for (int i = 0; i < 4; i++)
        put("f", .data = "x", .size = 1);
    is_refused(BOX_ELIMIT, "f", "more than 3 entries");
}

UNPACK_TEST(unpack_hostile, names_that_are_too_long_or_too_deep_are_a_limit)
{
    static char name[5000], pax[5100];

    for (size_t i = 0; i < sizeof(name) - 1; i++)
        name[i] = i % 2 ? '/' : 'd';
    name[4999] = '\0';
    size_t n = tarball_record(pax, sizeof(pax), "path", name, strlen(name));
    put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_ELIMIT, name, "longer than 4095 bytes");
    name[600] = '\0';
    n = tarball_record(pax, sizeof(pax), "path", name, strlen(name));
    put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_ELIMIT, name, "more than 256 components");
    memset(name, 'c', 300);
    name[300] = '\0';
    n = tarball_record(pax, sizeof(pax), "path", name, strlen(name));
    put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_ELIMIT, name, "too long");
}

UNPACK_TEST(unpack_hostile, too_much_data_is_a_limit)
{
    limits.layer_bytes = 1000;
    put("a", .size = 900);
    put("b", .size = 101);
    is_refused(BOX_ELIMIT, "b", "more than the limit of 1000 bytes");
}

UNPACK_TEST(unpack_hostile, a_file_that_is_too_large_is_a_limit_before_it_is_made)
{
    limits.file_bytes = 1000;
    put("a", .size = 1001);
    is_refused(BOX_ELIMIT, "a", "larger than the limit of 1000");
    cr_assert(!exists("a"));
}

UNPACK_TEST(unpack_hostile, a_sparse_file_of_a_huge_size_is_a_limit)
{
    static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.name=sparse\n"
                              "39 GNU.sparse.realsize=9000000000000000\n";

    static const char map[512] = "0\n";
    put("x", .data = map, .size = sizeof(map), .pax = pax);
    int r = unpack();
    cr_assert(r == BOX_ELIMIT || r == BOX_EPARSE, "%d %s", r, box_error_message(err));
    cr_assert(!exists("sparse"));
}

UNPACK_TEST(unpack_hostile, a_sparse_map_without_end_is_a_limit)
{
    static const char pax[] = "22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n25 GNU.sparse.name=sparse\n"
                              "27 GNU.sparse.realsize=1000\n";
    static char map[8u << 20];
    size_t n = (size_t)snprintf(map, sizeof(map), "9999999\n");

    while (n + 4 < sizeof(map)) {
        memcpy(map + n, "0\n0\n", 4);
        n += 4;
    }
    put("x", .data = map, .size = sizeof(map), .pax = pax);
    /* libarchive reads the map with the header or with the first data, depending on its version. */
    cr_assert_eq(unpack(), BOX_ELIMIT, "%s", box_error_message(err));
    cr_assert_not_null(strstr(box_error_message(err), "headers of an entry"));
}

UNPACK_TEST(unpack_hostile, a_huge_pax_header_is_a_limit)
{
    static char pax[9u << 20];
    static char value[8u << 20];

    memset(value, 'v', sizeof(value));
    size_t n = tarball_record(pax, sizeof(pax), "comment", value, sizeof(value));
    put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    int r = unpack();
    cr_assert(r == BOX_ELIMIT || r == BOX_EPARSE, "%d %s", r, box_error_message(err));
}

UNPACK_TEST(unpack_hostile, headers_one_after_the_other_without_end_are_a_limit)
{
    char pax[64];
    size_t n = tarball_record(pax, sizeof(pax), "comment", "x", 1);
    struct tarball_member member = {.name = "x"};

    for (int i = 0; i < 4000; i++) {
        tarball_header(&tar, &member, "PaxHeaders", 'x', n);
        tarball_bytes(&tar, pax, n);
        tarball_pad(&tar);
    }
    put("x", .data = "x", .size = 1);
    int r = unpack();
    cr_assert(r == BOX_ELIMIT || r == BOX_EPARSE, "%d %s", r, box_error_message(err));
}

UNPACK_TEST(unpack_hostile, a_layer_that_expands_too_much_is_a_limit)
{
    limits.free_bytes = 1u << 20;
    limits.ratio = 100;
    compressed = 10000;
    put("zeros", .size = 3u << 20);
    is_refused(BOX_ELIMIT, "zeros", "more than 100 times");
}

UNPACK_TEST(unpack_hostile, what_follows_the_end_counts_as_well)
{
    limits.free_bytes = 1u << 20;
    limits.ratio = 100;
    compressed = 10000;
    put("f", .data = "x", .size = 1);
    tarball_end(&tar);
    tarball_bytes(&tar, NULL, 3u << 20);
    cr_assert_eq(unpack_raw(), BOX_ELIMIT, "%s", box_error_message(err));
}

UNPACK_TEST(unpack_hostile, an_owner_that_is_no_id_is_refused)
{
    char pax[64];
    size_t n = tarball_record(pax, sizeof(pax), "uid", "4294967295", 10);

    put("f", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_EPARSE, "f", "no pair of ids");
    n = tarball_record(pax, sizeof(pax), "gid", "4294967296", 10);
    put("f", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    is_refused(BOX_EPARSE, "f", "no pair of ids");
}

/* ---- Damage ---- */

UNPACK_TEST(unpack_hostile, an_archive_that_is_cut_short_is_an_error)
{
    put("a", .data = "x", .size = 1);
    put("b", .size = 2000);
    /* In the data, in the padding, in a header. */
    for (size_t cut = tar.length - 1; cut > 512; cut = cut > 700 ? cut - 700 : 0) {
        struct tarball whole = tar;
        tar.length = cut;
        if (cut % 512 || cut > 1536)
            cr_assert_lt(unpack_raw(), 0, "cut at %zu", cut);
        tar = whole;
    }
}

UNPACK_TEST(unpack_hostile, a_member_that_claims_more_than_there_is_is_an_error)
{
    put("a", .data = "x", .size = 1, .claim = 100000);
    cr_assert_lt(unpack(), 0);
}

UNPACK_TEST(unpack_hostile, what_is_no_archive_is_an_error)
{
    static const char text[2048] = "#!/bin/sh\necho this is not a tar\n";

    tarball_bytes(&tar, text, sizeof(text));
    cr_assert_eq(unpack_raw(), BOX_EPARSE);
}

UNPACK_TEST(unpack_hostile, a_header_whose_checksum_is_wrong_is_an_error)
{
    put("a", .data = "x", .size = 1);
    put("b", .data = "x", .size = 1);
    tar.data[1024] ^= 1;
    cr_assert_eq(unpack(), BOX_EPARSE);
}
