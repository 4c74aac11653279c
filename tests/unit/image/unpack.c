/* Unpacking: what an archive may hold comes out as it went in. */
#include "unpack_help.h"

#include <time.h>

UNPACK_SUITE(unpack, .init = unpack_init, .fini = unpack_fini);

UNPACK_TEST(unpack, files_keep_content_mode_owner_and_time)
{
    put("usr/", .type = '5', .mode = 0755);
    put("usr/file", .data = "hello", .size = 5, .mode = 0640, .uid = 12, .gid = 34, .mtime = 1234567890);
    unpacks();
    struct stat st = stat_of("usr/file");
    cr_assert_str_eq(text_of("usr/file"), "hello");
    cr_assert_eq(st.st_mode, S_IFREG | 0640);
    cr_assert_eq(st.st_mtim.tv_sec, 1234567890);
    if (is_root()) {
        cr_assert_eq(st.st_uid, 12u);
        cr_assert_eq(st.st_gid, 34u);
    }
    cr_assert_eq(record.entries, 2u);
    cr_assert_eq(record.bytes, 5u);
}

UNPACK_TEST(unpack, set_uid_set_gid_and_sticky_bits_are_kept)
{
    put("su", .data = "x", .size = 1, .mode = 04755, .uid = 5);
    put("sg", .data = "x", .size = 1, .mode = 02755, .gid = 5);
    put("tmp", .type = '5', .mode = 01777);
    put("sgdir", .type = '5', .mode = 02775, .gid = 7);
    put("sgdir/in", .data = "x", .size = 1, .gid = 9);
    unpacks();
    cr_assert_eq(stat_of("su").st_mode & 07777, 04755u);
    cr_assert_eq(stat_of("sg").st_mode & 07777, 02755u);
    cr_assert_eq(stat_of("tmp").st_mode & 07777, 01777u);
    cr_assert_eq(stat_of("sgdir").st_mode & 07777, 02775u);
    if (is_root())
        cr_assert_eq(stat_of("sgdir/in").st_gid, 9u);
}

UNPACK_TEST(unpack, what_is_roots_stays_so_in_a_directory_that_gives_its_group_on)
{
    if (!is_root())
        cr_skip_test("owners are kept for root alone");
    put("sgdir", .type = '5', .mode = 02775, .gid = 7);
    put("sgdir/in", .data = "x", .size = 1);
    put("other", .type = '5');
    put("sgdir/later", .data = "x", .size = 1); /* the directory has its set-group-id bit by now */
    put("sgdir/link", .type = '2', .link = "in");
    unpacks();
    cr_assert_eq(stat_of("sgdir/in").st_gid, 0u);
    cr_assert_eq(stat_of("sgdir/later").st_gid, 0u);
    cr_assert_eq(stat_of("sgdir/link").st_gid, 0u);
}

UNPACK_TEST(unpack, modes_do_not_depend_on_the_umask)
{
    umask(0077);
    put("d", .type = '5', .mode = 0775);
    put("d/f", .data = "x", .size = 1, .mode = 0666);
    put("implicit/f", .data = "x", .size = 1, .mode = 0666);
    unpacks();
    umask(022);
    cr_assert_eq(stat_of("d").st_mode & 07777, 0775u);
    cr_assert_eq(stat_of("d/f").st_mode & 07777, 0666u);
    cr_assert_eq(stat_of("implicit").st_mode & 07777, 0755u);
}

UNPACK_TEST(unpack, directories_keep_their_time_though_files_are_put_into_them_afterwards)
{
    put("a", .type = '5', .mtime = 1000);
    put("a/b", .type = '5', .mtime = 2000);
    put("a/b/f", .data = "x", .size = 1);
    put("a/f", .data = "x", .size = 1);
    put("z", .type = '5', .mtime = 3000);
    put("a/b/late", .data = "x", .size = 1);
    put("a/c/late", .data = "x", .size = 1);
    unpacks();
    cr_assert_eq(stat_of("a").st_mtim.tv_sec, 1000);
    cr_assert_eq(stat_of("a/b").st_mtim.tv_sec, 2000);
    cr_assert_eq(stat_of("z").st_mtim.tv_sec, 3000);
}

UNPACK_TEST(unpack, a_directory_without_write_permission_can_still_be_filled)
{
    put("ro", .type = '5', .mode = 0555);
    put("ro/f", .data = "x", .size = 1, .mode = 0444);
    put("other", .type = '5');
    put("ro/g", .data = "x", .size = 1, .mode = 0444);
    unpacks();
    cr_assert_eq(stat_of("ro").st_mode & 07777, is_root() ? 0555u : 0755u);
    cr_assert(exists("ro/f") && exists("ro/g"));
}

UNPACK_TEST(unpack, the_entry_for_the_root_sets_the_layers_own_directory)
{
    put("./", .type = '5', .mode = 0711, .mtime = 77, .uid = 3);
    put("./f", .data = "x", .size = 1);
    unpacks();
    cr_assert_eq(stat_of(".").st_mode & 07777, 0711u);
    cr_assert_eq(stat_of(".").st_mtim.tv_sec, 77);
    if (is_root())
        cr_assert_eq(stat_of(".").st_uid, 3u);
    cr_assert_eq(record.entries, 1u);
}

UNPACK_TEST(unpack, without_an_entry_for_the_root_it_is_0755_and_roots)
{
    put("f", .data = "x", .size = 1);
    unpacks();
    cr_assert_eq(stat_of(".").st_mode & 07777, 0755u);
    cr_assert_eq(stat_of(".").st_mtim.tv_sec, 0);
}

UNPACK_TEST(unpack, names_may_begin_with_a_slash_or_a_dot_and_have_empty_components)
{
    put("/abs", .data = "1", .size = 1);
    put("./dot", .data = "2", .size = 1);
    put("d//e/./f", .data = "3", .size = 1);
    put("g/", .type = '5');
    unpacks();
    cr_assert_str_eq(text_of("abs"), "1");
    cr_assert_str_eq(text_of("dot"), "2");
    cr_assert_str_eq(text_of("d/e/f"), "3");
    cr_assert(exists("g"));
    cr_assert_eq(record.entries, 6u);
}

UNPACK_TEST(unpack, symbolic_links_are_made_as_they_are)
{
    put("l", .type = '2', .link = "/etc/../anything at all", .mtime = 55);
    put("m", .type = '2', .link = "usr/lib");
    unpacks();
    cr_assert_str_eq(target_of("l"), "/etc/../anything at all");
    cr_assert_str_eq(target_of("m"), "usr/lib");
    cr_assert_eq(stat_of("l").st_mtim.tv_sec, 55);
}

UNPACK_TEST(unpack, hard_links_are_one_file)
{
    put("a", .data = "same", .size = 4);
    put("d", .type = '5');
    put("d/b", .type = '1', .link = "a");
    put("c", .type = '1', .link = "./d//b");
    put("e", .type = '1', .link = "/a");
    put("a", .type = '1', .link = "a");
    unpacks();
    cr_assert_eq(stat_of("a").st_nlink, 4u);
    cr_assert_eq(stat_of("a").st_ino, stat_of("d/b").st_ino);
    cr_assert_eq(stat_of("a").st_ino, stat_of("c").st_ino);
    cr_assert_eq(record.bytes, 4u);
    cr_assert_eq(record.entries, 5u);
}

UNPACK_TEST(unpack, fifos_are_made)
{
    put("fifo", .type = '6', .mode = 0622);
    unpacks();
    cr_assert_eq(stat_of("fifo").st_mode, S_IFIFO | 0622);
}

UNPACK_TEST(unpack, device_nodes_are_made_for_root_and_left_out_for_others)
{
    put("null", .type = '3', .major = 1, .minor = 3, .mode = 0666);
    put("loop", .type = '4', .major = 7, .minor = 300, .mode = 0660);
    unpacks();
    if (is_root()) {
        cr_assert_eq(stat_of("null").st_rdev, makedev(1, 3));
        cr_assert_eq(stat_of("null").st_mode, S_IFCHR | 0666);
        cr_assert_eq(stat_of("loop").st_rdev, makedev(7, 300));
        cr_assert(S_ISBLK(stat_of("loop").st_mode));
    }
    unprivileged = true;
    cr_assert_eq(unpack_raw(), 0, "%s", box_error_message(err));
    cr_assert(!exists("null"));
    cr_assert(!exists("loop"));
}

UNPACK_TEST(unpack, without_privilege_everything_is_the_callers_and_can_be_removed)
{
    unprivileged = true;
    put("d", .type = '5', .mode = 01000000, .uid = 77, .gid = 78);
    put("d/f", .data = "x", .size = 1, .uid = 77, .mode = 0400);
    unpacks();
    cr_assert_eq(stat_of("d/f").st_uid, geteuid());
    cr_assert_eq(stat_of("d").st_uid, geteuid());
    cr_assert_eq(stat_of("d").st_mode & 07777, 0700u);
    cr_assert_eq(stat_of("d/f").st_mode & 07777, 0400u);
}

UNPACK_TEST(unpack, long_names_by_pax_are_kept)
{
    char name[600], pax[700];

    memset(name, 'n', sizeof(name));
    for (size_t i = 200; i < sizeof(name); i += 200)
        name[i] = '/';
    name[sizeof(name) - 1] = '\0';
    size_t n = tarball_record(pax, sizeof(pax), "path", name, strlen(name));
    put("short", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    unpacks();
    cr_assert(exists(name));
    cr_assert(!exists("short"));
}

UNPACK_TEST(unpack, names_are_bytes_whatever_the_locale)
{
    /* Decomposed, composed, Latin-1: none may become another, and the first two are two files. */
    static const char *const names[] = {"e\xcc\x81-nfd", "\xc3\xa9-nfc", "\xe9-latin", "\xf0\x9f\x90\xb3"};
    char pax[64];

    for (size_t i = 0; i < BOX_ARRAY(names); i++) {
        size_t n = tarball_record(pax, sizeof(pax), "path", names[i], strlen(names[i]));
        put("x", .data = "x", .size = 1, .pax = pax, .pax_length = n);
        put(names[i], .type = '5');
        put("l", .type = '2', .link = names[i]);
    }
    unpacks();
    for (size_t i = 0; i < BOX_ARRAY(names); i++)
        cr_assert(exists(names[i]), "%s", names[i]);
    cr_assert_str_eq(target_of("l"), names[3]);
    cr_assert_eq(record.entries, BOX_ARRAY(names) + 1);
}

UNPACK_TEST(unpack, times_by_pax_keep_their_nanoseconds)
{
    char pax[64];
    size_t n = tarball_record(pax, sizeof(pax), "mtime", "1700000000.123456789", 20);

    put("f", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    unpacks();
    cr_assert_eq(stat_of("f").st_mtim.tv_sec, 1700000000);
    cr_assert_eq(stat_of("f").st_mtim.tv_nsec, 123456789);
}

UNPACK_TEST(unpack, user_attributes_are_kept_with_zeros_in_them)
{
    char pax[128], value[8];
    size_t n = tarball_record(pax, sizeof(pax), "SCHILY.xattr.user.key", "a\0b", 3);

    put("f", .data = "x", .size = 1, .pax = pax, .pax_length = n);
    put("d", .type = '5', .pax = pax, .pax_length = n);
    unpacks();
    char path[128];
    snprintf(path, sizeof(path), "%s/%s/f", scratch, out);
    ssize_t size = getxattr(path, "user.key", value, sizeof(value));
    if (size < 0 && errno == EOPNOTSUPP)
        cr_skip_test("no user attributes here");
    cr_assert_eq(size, 3);
    cr_assert_eq(memcmp(value, "a\0b", 3), 0);
    snprintf(path, sizeof(path), "%s/%s/d", scratch, out);
    cr_assert_eq(getxattr(path, "user.key", value, sizeof(value)), 3);
}

UNPACK_TEST(unpack, file_capabilities_are_kept_for_root_only)
{
    /* cap_net_raw=ep, as VFS_CAP_REVISION_2 has it */
    static const char cap[20] = {1, 0, 0, 2, 0, 0x20};
    char pax[128], value[32], path[128];
    size_t n = tarball_record(pax, sizeof(pax), "SCHILY.xattr.security.capability", cap, sizeof(cap));

    put("ping", .data = "x", .size = 1, .mode = 0755, .uid = 9, .pax = pax, .pax_length = n);
    unpacks();
    snprintf(path, sizeof(path), "%s/%s/ping", scratch, out);
    ssize_t size = getxattr(path, "security.capability", value, sizeof(value));
    cr_assert_eq(size, is_root() ? 20 : -1);
    unprivileged = true;
    cr_assert_eq(unpack_raw(), 0);
    snprintf(path, sizeof(path), "%s/%s/ping", scratch, out);
    cr_assert_eq(getxattr(path, "security.capability", value, sizeof(value)), -1);
}

UNPACK_TEST(unpack, sparse_files_keep_their_holes_and_their_size)
{
    /* GNU's old form: 'S', with the map in the header: 4 bytes at 1 MiB of a file of 2 MiB. */
    char *h;
    unsigned sum = 0;

    tarball_header(&tar, &(struct tarball_member){.name = ""}, "sparse", 'S', 512);
    h = tar.data;
    memcpy(h + 257, "ustar  ", 8);
    memset(h + 329, 0, 16);
    snprintf(h + 386, 12, "%011o", 1u << 20);
    snprintf(h + 398, 12, "%011o", 512u);
    snprintf(h + 483, 12, "%011o", 2u << 20);
    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    tarball_bytes(&tar, "data", 4);
    tarball_pad(&tar);
    put("after", .data = "x", .size = 1);
    unpacks();
    cr_assert_eq(stat_of("sparse").st_size, 2 << 20);
    if (as_image) /* EROFS tells blocks by the size alone: the holes are the image's */
        cr_assert_lt(image_blocks, 1024 + 64);
    else
        cr_assert_lt(stat_of("sparse").st_blocks, 1024);
    cr_assert(exists("after"));
}

UNPACK_TEST(unpack, an_archive_of_nothing_is_an_empty_layer)
{
    unpacks();
    cr_assert_eq(record.entries, 0u);
    tarball_free(&tar);
    cr_assert_eq(unpack_raw(), 0, "%s", box_error_message(err));
}

/* ---- Replacing ---- */

UNPACK_TEST(unpack, a_later_entry_takes_the_place_of_an_earlier_one)
{
    put("f", .data = "old", .size = 3);
    put("f", .data = "new!", .size = 4);
    put("l", .type = '2', .link = "f");
    put("l", .data = "file", .size = 4);
    put("x", .data = "file", .size = 4);
    put("x", .type = '2', .link = "f");
    put("p", .type = '6');
    put("p", .type = '6');
    unpacks();
    cr_assert_str_eq(text_of("f"), "new!");
    cr_assert_str_eq(text_of("l"), "file");
    cr_assert_str_eq(target_of("x"), "f");
    cr_assert_eq(record.entries, 4u);
}

UNPACK_TEST(unpack, a_file_takes_the_place_of_a_directory_with_all_in_it)
{
    put("d/a/b/c", .data = "x", .size = 1);
    put("d/a/e", .data = "x", .size = 1);
    put("d", .data = "file", .size = 4);
    unpacks();
    cr_assert_str_eq(text_of("d"), "file");
    cr_assert_eq(record.entries, 1u);
}

UNPACK_TEST(unpack, a_directory_keeps_what_is_in_it_when_it_comes_again)
{
    put("d", .type = '5', .mode = 0700);
    put("d/f", .data = "x", .size = 1);
    put("d", .type = '5', .mode = 0750, .mtime = 9);
    unpacks();
    cr_assert(exists("d/f"));
    cr_assert_eq(stat_of("d").st_mode & 07777, 0750u);
    cr_assert_eq(stat_of("d").st_mtim.tv_sec, 9);
}

UNPACK_TEST(unpack, a_link_in_a_parent_position_is_followed_inside_the_layer)
{
    put("usr/lib", .type = '5', .mtime = 44);
    put("lib", .type = '2', .link = "/usr/lib");
    put("lib/f", .data = "x", .size = 1);
    put("usr/lib/g", .data = "y", .size = 1);
    unpacks();
    cr_assert(exists("usr/lib/f"));
    cr_assert(exists("usr/lib/g"));
    cr_assert_eq(stat_of("usr/lib").st_mtim.tv_sec, 44);
    cr_assert(S_ISLNK(stat_of("lib").st_mode));
}

UNPACK_TEST(unpack, where_a_name_means_another_directory_by_now_the_new_one_is_used)
{
    put("one", .type = '5');
    put("two", .type = '5');
    put("l", .type = '2', .link = "one");
    put("l/a", .data = "x", .size = 1);
    put("l", .type = '2', .link = "two");
    put("l/b", .data = "x", .size = 1);
    unpacks();
    cr_assert(exists("one/a"));
    cr_assert(exists("two/b"));
}

/* ---- Whiteouts ---- */

UNPACK_TEST(unpack, a_whiteout_becomes_overlays)
{
    put("etc/.wh.gone", .size = 0);
    put(".wh.top", .size = 0);
    unpacks();
    cr_assert(is_whiteout("etc/gone"));
    cr_assert(is_whiteout("top"));
    cr_assert(!exists("etc/.wh.gone"));
    cr_assert_eq(record.entries, 3u);
}

UNPACK_TEST(unpack, an_opaque_marker_makes_its_directory_opaque_before_or_after_its_files)
{
    put("a", .type = '5');
    put("a/.wh..wh..opq", .size = 0);
    put("a/f", .data = "x", .size = 1);
    put("b/f", .data = "x", .size = 1);
    put("b/.wh..wh..opq", .size = 0);
    unpacks();
    cr_assert(is_opaque("a") && is_opaque("b"));
    cr_assert(exists("a/f") && exists("b/f"));
    cr_assert(!record.opaque);
}

UNPACK_TEST(unpack, an_opaque_root_is_written_down_since_overlay_has_none)
{
    put(".wh..wh..opq", .size = 0);
    put("f", .data = "x", .size = 1);
    unpacks();
    cr_assert(record.opaque);
}

UNPACK_TEST(unpack, a_file_beside_its_own_whiteout_stays)
{
    put(".wh.a", .size = 0);
    put("a", .data = "1", .size = 1);
    put("b", .data = "2", .size = 1);
    put(".wh.b", .size = 0);
    unpacks();
    cr_assert_str_eq(text_of("a"), "1");
    cr_assert_str_eq(text_of("b"), "2");
    cr_assert_eq(record.entries, 2u);
}

UNPACK_TEST(unpack, a_directory_beside_its_own_whiteout_is_opaque)
{
    put(".wh.a", .size = 0);
    put("a", .type = '5');
    put("a/f", .data = "x", .size = 1);
    put("b/f", .data = "x", .size = 1);
    put(".wh.b", .size = 0);
    put(".wh.c", .size = 0);
    put("c/implicit/f", .data = "x", .size = 1);
    unpacks();
    cr_assert(is_opaque("a") && exists("a/f"));
    cr_assert(is_opaque("b") && exists("b/f"));
    cr_assert(is_opaque("c") && exists("c/implicit/f"));
    cr_assert(!is_opaque("c/implicit"));
}

UNPACK_TEST(unpack, a_whiteout_below_what_is_no_directory_any_more_is_moot)
{
    put("a", .data = "file", .size = 4);
    put("a/.wh.x", .size = 0);
    put("a/b/.wh..wh..opq", .size = 0);
    put(".wh.c", .size = 0);
    put("c/.wh.x", .size = 0);
    put("d/.wh.x", .size = 0);
    put("d", .data = "file", .size = 4);
    unpacks();
    cr_assert_str_eq(text_of("a"), "file");
    cr_assert(is_whiteout("c"));
    cr_assert_str_eq(text_of("d"), "file");
    cr_assert_eq(record.entries, 3u);
}

UNPACK_TEST(unpack, other_marks_of_aufs_are_left_out)
{
    put(".wh..wh.plnk", .type = '5');
    put(".wh..wh.aufs", .size = 0);
    unpacks();
    cr_assert_eq(record.entries, 0u);
}
