/* Users and groups of a root that is not trusted. */
#include "../base/scratch.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/strings.h"
#include "kernel/mount.h"
#include "spec/users.h"

#define PASSWD                                     \
    "root:x:0:0:root:/root:/bin/sh\n"              \
    "# a remark\n"                                 \
    "broken line\n"                                \
    "huge:x:4294967296:4294967296::/:/bin/sh\n"    \
    "wraps:x:18446744073709551616:0::/:\n"         \
    "minus:x:-1:0::/:\n"                           \
    "empty:x:::::\n"                               \
    "hex:x:0x10:0::/:\n"                           \
    "short:x:5\n"                                  \
    "app:x:1000:1001:App,,,:/home/app:/bin/bash\n" \
    "app:x:0:0:again:/root:/bin/sh\n"              \
    "odd:x:7:7::relative:\n"                       \
    "last:x:8:8::/last:/bin/last"
#define GROUP                          \
    "root:x:0:\n"                      \
    "audio:x:29:nobody,app\n"          \
    "video:x:44:app,nobody\n"          \
    "audio2:x:29:app\n"                \
    "apps:x:1001:app\n"                \
    "appendix:x:77:application,zapp\n" \
    "big:x:4294967296:app\n"           \
    "top:x:4294967295:\n"

static struct box_users_found found;
static box_error *err;

static void make_root(void)
{
    scratch_make();
    put_dir("etc");
    put_file("etc/passwd", PASSWD);
    put_file("etc/group", GROUP);
}

static void clean(void)
{
    box_users_found_clear(&found);
    box_error_free(err);
    scratch_remove();
}

TestSuite(users, .init = make_root, .fini = clean);

static void finds(const char *text, uint32_t uid, uint32_t gid, const char *home)
{
    box_users_found_clear(&found);
    cr_assert_eq(box_users_lookup(scratch_fd, text, &found, &err), 0, "%s: %s", text, box_error_message(err));
    cr_assert_eq(found.uid, uid, "%s: uid %u", text, found.uid);
    cr_assert_eq(found.gid, gid, "%s: gid %u", text, found.gid);
    cr_assert_str_eq(found.home, home, "%s: home %s", text, found.home);
}

static void fails(const char *text, int code, const char *says)
{
    _cleanup_(box_error) box_error *e = NULL;

    box_users_found_clear(&found);
    found.name = (char *)"untouched?";
    cr_assert_eq(box_users_lookup(scratch_fd, text, &found, &e), code, "%s: %s", text, box_error_message(e));
    cr_assert_not_null(strstr(box_error_message(e), says), "%s: %s", text, box_error_message(e));
    cr_assert_null(found.name);
}

Test(users, nothing_is_root)
{
    finds("", 0, 0, "/root");
    finds(NULL, 0, 0, "/root");
}

Test(users, a_name_gives_ids_home_shell_and_every_group_that_lists_it_once)
{
    finds("app", 1000, 1001, "/home/app");
    cr_assert_str_eq(found.name, "app");
    cr_assert_str_eq(found.shell, "/bin/bash");
    cr_assert_eq(found.n_groups, 2u);
    cr_assert_eq(found.groups[0], 29u);
    cr_assert_eq(found.groups[1], 44u);
}

Test(users, a_number_that_the_file_has_is_that_user)
{
    finds("1000", 1000, 1001, "/home/app");
    cr_assert_eq(found.n_groups, 2u);
}

Test(users, a_number_that_the_file_has_not_is_taken_with_group_0_and_home_slash)
{
    finds("4242", 4242, 0, "/");
    cr_assert_null(found.name);
    cr_assert_eq(found.n_groups, 0u);
    finds("4294967294", 4294967294u, 0, "/");
}

Test(users, a_group_after_a_colon_takes_the_place_of_all_groups)
{
    finds("app:video", 1000, 44, "/home/app");
    cr_assert_eq(found.n_groups, 0u);
    finds("1:2", 1, 2, "/");
    finds(":audio", 0, 29, "/root");
    finds("app:4000", 1000, 4000, "/home/app");
}

Test(users, the_last_line_needs_no_newline)
{
    finds("last", 8, 8, "/last");
}

Test(users, a_relative_home_becomes_slash)
{
    finds("odd", 7, 7, "/");
}

Test(users, a_number_that_does_not_fit_is_an_error_and_no_other_user)
{
    fails("4294967295", BOX_EPARSE, "4294967295");
    fails("4294967296", BOX_EPARSE, "4294967296");
    fails("18446744073709551616", BOX_EPARSE, "18446744073709551616");
    fails("0:4294967296", BOX_EPARSE, "4294967296");
}

Test(users, text_that_is_not_all_digits_is_a_name_never_a_number)
{
    fails("1x", BOX_ENOTFOUND, "\"1x\"");
    fails("-1", BOX_ENOTFOUND, "\"-1\"");
    fails("+0", BOX_ENOTFOUND, "\"+0\"");
    fails(" 0", BOX_ENOTFOUND, "\" 0\"");
    fails("0x0", BOX_ENOTFOUND, "\"0x0\"");
    fails("ap", BOX_ENOTFOUND, "no user \"ap\"");
    fails("appp", BOX_ENOTFOUND, "no user \"appp\"");
}

Test(users, a_name_whose_own_line_is_malformed_is_an_error)
{
    fails("huge", BOX_EPARSE, "\"huge\"");
    fails("wraps", BOX_EPARSE, "\"wraps\"");
    fails("minus", BOX_EPARSE, "\"minus\"");
    fails("empty", BOX_EPARSE, "\"empty\"");
    fails("hex", BOX_EPARSE, "\"hex\"");
    fails("short", BOX_EPARSE, "\"short\"");
    fails("app:big", BOX_EPARSE, "\"big\"");
    fails("app:top", BOX_EPARSE, "\"top\"");
}

Test(users, a_group_that_is_not_there_is_named)
{
    fails("app:wheel", BOX_ENOTFOUND, "no group \"wheel\" in the image's /etc/group");
}

Test(users, text_of_another_form_is_refused)
{
    fails("app:", BOX_EPARSE, "after the colon");
    fails("app:a:b", BOX_EPARSE, "two colons");
    fails(":", BOX_EPARSE, "after the colon");
    fails("app\nroot", BOX_EPARSE, "character");
}

Test(users, a_root_without_the_files_knows_numbers_only)
{
    unlinkat(scratch_fd, "etc/passwd", 0);
    unlinkat(scratch_fd, "etc/group", 0);
    finds("0", 0, 0, "/");
    finds("5:6", 5, 6, "/");
    fails("root", BOX_ENOTFOUND, "\"root\"");
}

Test(users, a_link_to_the_hosts_file_stays_in_the_root)
{
    unlinkat(scratch_fd, "etc/passwd", 0);
    put_link("etc/passwd", "/../../../../etc/passwd2");
    put_file("etc/passwd2", "me:x:55:56::/me:/bin/me\n");
    finds("me", 55, 56, "/me");
    unlinkat(scratch_fd, "etc/passwd", 0);
    put_link("etc/passwd", "/proc/self/root/etc/passwd");
    fails("root", BOX_ENOTFOUND, "\"root\"");
}

Test(users, a_fifo_or_directory_in_the_place_of_the_file_is_refused_at_once)
{
    unlinkat(scratch_fd, "etc/passwd", 0);
    cr_assert_eq(mkfifoat(scratch_fd, "etc/passwd", 0644), 0);
    fails("root", BOX_EPARSE, "not a regular file");
    unlinkat(scratch_fd, "etc/passwd", 0);
    put_dir("etc/passwd");
    fails("root", BOX_EPARSE, "not a regular file");
}

Test(users, a_file_without_end_is_a_limit_not_a_loop)
{
    int fd = openat(scratch_fd, "etc/passwd", O_WRONLY | O_CLOEXEC);

    cr_assert_eq(ftruncate(fd, (off_t)BOX_USERS_FILE_MAX + 1), 0);
    close(fd);
    fails("root", BOX_ELIMIT, "16 MiB");
}

Test(users, a_line_with_a_nul_or_without_end_is_passed_over)
{
    static char text[BOX_USERS_LINE_MAX + 100];
    int fd = openat(scratch_fd, "etc/passwd", O_WRONLY | O_TRUNC | O_CLOEXEC);

    memset(text, 'x', sizeof(text));
    cr_assert_eq(write(fd, "app:x:0:0\0:0::/:\n", 17), 17);
    cr_assert_eq(write(fd, text, sizeof(text)), (ssize_t)sizeof(text));
    cr_assert_eq(write(fd, "\napp:x:9:9::/:\n", 15), 15);
    close(fd);
    finds("app", 9, 9, "/");
}

Test(users, groups_alone_are_found_by_name_and_number)
{
    uint32_t gid = 0;

    cr_assert_eq(box_users_group(scratch_fd, "audio", &gid, NULL), 0);
    cr_assert_eq(gid, 29u);
    cr_assert_eq(box_users_group(scratch_fd, "1234", &gid, NULL), 0);
    cr_assert_eq(gid, 1234u);
    cr_assert_eq(box_users_group(scratch_fd, "4294967296", &gid, NULL), BOX_EPARSE);
    cr_assert_eq(box_users_group(scratch_fd, "nope", &gid, NULL), BOX_ENOTFOUND);
    cr_assert_eq(box_users_group(scratch_fd, "", &gid, NULL), BOX_EPARSE);
    cr_assert_eq(gid, 1234u);
}

/* ---- Layers ---- */

static int layers[3];

static void make_layers(void)
{
    scratch_make();
    for (int i = 0; i < 3; i++) {
        char name[] = {'l', (char)('0' + i), '\0'};
        put_dir(name);
        layers[i] = openat(scratch_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
}

static void clean_layers(void)
{
    for (int i = 0; i < 3; i++)
        close(layers[i]);
    clean();
}

TestSuite(users_layers, .init = make_layers, .fini = clean_layers);

static int in_layers(const char *text)
{
    box_users_found_clear(&found);
    box_error_free(err);
    err = NULL;
    return box_users_lookup_layers(layers, 3, text, &found, &err);
}

Test(users_layers, the_topmost_file_counts)
{
    put_dir("l0/etc");
    put_dir("l1/etc");
    put_dir("l2/etc");
    put_file("l2/etc/passwd", "a:x:2:2::/:\n");
    put_file("l2/etc/group", "g:x:22:a\n");
    put_file("l1/etc/passwd", "a:x:1:1::/:\n");
    cr_assert_eq(in_layers("a"), 0);
    cr_assert_eq(found.uid, 1u);
    cr_assert_eq(found.groups[0], 22u);
}

Test(users_layers, a_whiteout_hides_the_file_below)
{
    put_dir("l0/etc");
    put_dir("l1/etc");
    put_file("l1/etc/passwd", "a:x:1:1::/:\n");
    if (mknodat(scratch_fd, "l0/etc/passwd", S_IFCHR, makedev(0, 0)) < 0)
        cr_skip_test("no whiteouts here");
    cr_assert_eq(in_layers("a"), BOX_ENOTFOUND);
    cr_assert_eq(unlinkat(scratch_fd, "l0/etc/passwd", 0), 0);
    cr_assert_eq(in_layers("a"), 0);
}

Test(users_layers, a_whiteout_of_the_directory_hides_it_too)
{
    put_dir("l1/etc");
    put_file("l1/etc/passwd", "a:x:1:1::/:\n");
    if (mknodat(scratch_fd, "l0/etc", S_IFCHR, makedev(0, 0)) < 0)
        cr_skip_test("no whiteouts here");
    cr_assert_eq(in_layers("a"), BOX_ENOTFOUND);
}

Test(users_layers, an_opaque_directory_hides_what_lies_below)
{
    char path[128];

    put_dir("l0/etc");
    put_dir("l1/etc");
    put_file("l1/etc/passwd", "a:x:1:1::/:\n");
    snprintf(path, sizeof(path), "%s/l0/etc", scratch);
    /* The mark that an overlay of ours obeys; the other one is data there. */
    if (setxattr(path, "user.overlay.opaque", "y", 1, 0) < 0)
        cr_skip_test("no user xattrs here");
    if (box_overlay_is_trusted()) {
        cr_assert_eq(in_layers("a"), 0);
        cr_assert_eq(setxattr(path, "trusted.overlay.opaque", "y", 1, 0), 0);
    }
    cr_assert_eq(in_layers("a"), BOX_ENOTFOUND);
}

Test(users_layers, a_file_in_the_place_of_a_directory_hides_what_lies_below)
{
    put_file("l0/etc", "");
    put_dir("l1/etc");
    put_file("l1/etc/passwd", "a:x:1:1::/:\n");
    cr_assert_eq(in_layers("a"), BOX_ENOTFOUND);
}

Test(users_layers, links_are_walked_in_the_union_and_never_out_of_it)
{
    put_dir("l0/etc");
    put_link("l0/etc/passwd", "../../../usr/./lib/../share/users");
    put_dir("l1/usr");
    put_dir("l1/usr/share");
    put_link("l1/usr/share/users", "/real/passwd");
    put_dir("l2/real");
    put_file("l2/real/passwd", "a:x:3:3::/:\n");
    cr_assert_eq(in_layers("a"), BOX_ENOTFOUND, "usr/lib is missing: the walk must fail there");
    put_dir("l2/usr");
    put_dir("l2/usr/lib");
    cr_assert_eq(in_layers("a"), 0, "%s", box_error_message(err));
    cr_assert_eq(found.uid, 3u);
}

Test(users_layers, links_in_a_circle_are_an_error)
{
    put_dir("l0/etc");
    put_link("l0/etc/passwd", "group");
    put_link("l0/etc/group", "passwd");
    cr_assert_eq(in_layers("a"), BOX_ESYSTEM);
    cr_assert_eq(box_error_errno(err), ELOOP);
}
