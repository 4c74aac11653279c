#include "helper.h"

#include <grp.h>
#include <sys/prctl.h>

#include "base/rawsys.h"
#include "kernel/idmap.h"
#include "kernel/idmap_subid.h"
#include "kernel/spawn.h"

#define U BOX_IDMAP_UID
#define G BOX_IDMAP_GID

Test(idmap, translates_both_ways_and_knows_what_it_does_not_hold)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    uint32_t id = 0;

    OK(box_idmap_add(m, U, 0, 1000, 1, err));
    OK(box_idmap_add(m, U, 1, 100000, 65535, err));
    cr_assert(box_idmap_to_outside(m, U, 0, &id) && id == 1000);
    cr_assert(box_idmap_to_outside(m, U, 65535, &id) && id == 165534);
    cr_assert(!box_idmap_to_outside(m, U, 65536, &id));
    cr_assert(box_idmap_to_inside(m, U, 100001, &id) && id == 2);
    cr_assert(!box_idmap_to_inside(m, U, 0, &id));
    cr_assert(!box_idmap_to_outside(m, G, 0, &id));
    cr_assert_eq(box_idmap_extent(m, U), 65536);
    cr_assert_eq(box_idmap_extent(m, G), 0);
}

Test(idmap, refuses_overlaps_empty_ranges_and_ids_past_the_last)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);

    OK(box_idmap_add(m, U, 10, 1000, 10, err));
    FAILS(BOX_ESPEC, box_idmap_add(m, U, 19, 5000, 1, err));
    FAILS(BOX_ESPEC, box_idmap_add(m, U, 0, 991, 10, err));
    FAILS(BOX_ESPEC, box_idmap_add(m, U, 0, 5000, 0, err));
    FAILS(BOX_ESPEC, box_idmap_add(m, U, 4294967295u, 5000, 1, err));
    FAILS(BOX_ESPEC, box_idmap_add(m, U, 4294967290u, 5000, 6, err));
    FAILS(BOX_EINVAL, box_idmap_add(m, (enum box_idmap_kind)2, 0, 0, 1, err));
    OK(box_idmap_add(m, U, 20, 1010, 1, err));
    OK(box_idmap_add(m, G, 10, 1000, 10, err));
    cr_assert_eq(box_idmap_count(m, U), 2);
}

Test(idmap, holds_340_ranges_and_no_more)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);

    for (uint32_t i = 0; i < 340; i++)
        OK(box_idmap_add(m, U, 2 * i, 2 * i, 1, err));
    FAILS(BOX_ELIMIT, box_idmap_add(m, U, 100000, 100000, 1, err));
}

Test(idmap, text_is_read_in_every_form_and_written_as_the_kernel_wants_it)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    _free_ char *text = NULL;

    OK(box_idmap_parse(m, U, "         0       1000          1\n1:100000:10", err));
    OK(box_idmap_parse(m, U, "100-5000-10#200-6000-1", err));
    OK(box_idmap_format(m, U, &text, err));
    cr_assert_str_eq(text, "0 1000 1\n1 100000 10\n100 5000 10\n200 6000 1\n");
}

Test(idmap, malformed_text_changes_nothing)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    const char *const bad[] = {"1",       "1 2",        "1 2 3 4", "a b c",
                               "1:2:3x",  "-1:2:3",     "1::2:3",  "4294967296 0 1",
                               "1 2 0x3", "1 2 3\n1 2", "+1 2 3"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        FAILS(BOX_EPARSE, box_idmap_parse(m, U, bad[i], err));
    FAILS(BOX_ESPEC, box_idmap_parse(m, U, "5 5 1\n5 6 1", err));
    cr_assert_eq(box_idmap_count(m, U), 0);
}

Test(idmap, copies_are_equal_and_independent)
{
    _cleanup_(box_idmap) box_idmap *a = box_idmap_new(NULL), *b = NULL;

    OK(box_idmap_add(a, U, 0, 1, 2, err));
    b = box_idmap_copy(a, NULL);
    cr_assert(box_idmap_equal(a, b));
    OK(box_idmap_add(b, G, 0, 1, 2, err));
    cr_assert(!box_idmap_equal(a, b));
}

/* ---- Subordinate ids ---- */

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "broken:x:12\n"
                             "ann:x:1000:1000::/home/ann:/bin/sh\n"
                             "annie:x:1001:1002::/home/annie:/bin/sh\n";

static size_t ranges_of(const char *text, const char *name, uint32_t uid, struct box_subid_range *first)
{
    _free_ struct box_subid_range *ranges = NULL;
    size_t n = 99;

    OK(box_subid_parse("subuid", text, strlen(text), name, uid, &ranges, &n, err));
    if (n > 0)
        *first = ranges[0];
    return n;
}

Test(subid, finds_ranges_by_whole_name_and_by_number)
{
    const char *text = "annie:300000:5\nann:100000:65536\n1000:200000:10\nann:400000:0\n";
    struct box_subid_range r;

    cr_assert_eq(ranges_of(text, "ann", 1000, &r), 2);
    cr_assert(r.start == 100000 && r.count == 65536);
    cr_assert_eq(ranges_of(text, NULL, 1000, &r), 1);
    cr_assert(r.start == 200000 && r.count == 10);
    cr_assert_eq(ranges_of(text, "an", 100, &r), 0);
    cr_assert_eq(ranges_of("", "ann", 1000, &r), 0);
}

Test(subid, a_malformed_line_of_this_user_is_an_error_and_of_another_is_not)
{
    const char *const bad[] = {"ann:1:2:3",
                               "ann:1",
                               "ann",
                               "ann:-1:2",
                               "ann: 1:2",
                               "ann:1:2 ",
                               "ann:0x1:2",
                               "ann:4294967296:1",
                               "ann:18446744073709551616:1",
                               "ann::1",
                               "ann:4294967295:2"};
    struct box_subid_range *ranges, one;
    size_t n;

    for (size_t i = 0; i < BOX_ARRAY(bad); i++)
        FAILS(BOX_EPARSE, box_subid_parse("subuid", bad[i], strlen(bad[i]), "ann", 1000, &ranges, &n, err));
    cr_assert_eq(ranges_of("bob:x:y:z\nann:5:6\n", "ann", 1000, &one), 1);
}

Test(subid, users_are_found_by_name_or_number_and_never_by_half)
{
    struct box_subid_user user;

    OK(box_subid_user("passwd", passwd, strlen(passwd), "ann", 0, &user, err));
    cr_assert(user.uid == 1000 && user.gid == 1000);
    free(user.name);
    OK(box_subid_user("passwd", passwd, strlen(passwd), "1001", 0, &user, err));
    cr_assert_str_eq(user.name, "annie");
    cr_assert_eq(user.gid, 1002);
    free(user.name);
    OK(box_subid_user("passwd", passwd, strlen(passwd), NULL, 4242, &user, err));
    cr_assert(user.name == NULL && user.uid == 4242);
    FAILS(BOX_ENOTFOUND, box_subid_user("passwd", passwd, strlen(passwd), "an", 0, &user, err));
    FAILS(BOX_ENOTFOUND, box_subid_user("passwd", passwd, strlen(passwd), "broken", 0, &user, err));
    FAILS(BOX_ENOTFOUND, box_subid_user("passwd", passwd, strlen(passwd), "", 0, &user, err));
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "we");
    cr_assert(f);
    fputs(text, f);
    fclose(f);
}

static void make_etc(char *dir)
{
    cr_assert(mkdtemp(dir));
    write_file(dir, "passwd", passwd);
    write_file(dir, "subuid", "ann:100000:65536\nann:300000:10\n");
    write_file(dir, "subgid", "ann:200000:65536\n");
}

static void remove_etc(const char *dir)
{
    const char *const names[] = {"passwd", "subuid", "subgid"};
    char path[256];

    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void expect_map(const char *etc, unsigned flags, const char *uids, const char *gids)
{
    _cleanup_(box_idmap) box_idmap *m = NULL;
    _free_ char *u = NULL, *g = NULL;

    OK(box_idmap_from_subid(etc, "ann", flags, &m, err));
    OK(box_idmap_format(m, U, &u, err));
    OK(box_idmap_format(m, G, &g, err));
    cr_assert_str_eq(u, uids);
    cr_assert_str_eq(g, gids);
}

Test(subid, the_map_has_the_users_own_ids_where_the_flags_say)
{
    char etc[] = "/tmp/libbox-test-XXXXXX";

    if (geteuid() == 1000)
        cr_skip_test("the test's user is the caller itself here");
    make_etc(etc);
    expect_map(etc, BOX_IDMAP_SELF_IS_ROOT, "0 1000 1\n1 100000 65536\n65537 300000 10\n",
               "0 1000 1\n1 200000 65536\n");
    expect_map(etc, BOX_IDMAP_SELF_IS_SELF,
               "1000 1000 1\n0 100000 1000\n1001 101000 64536\n65537 300000 10\n",
               "1000 1000 1\n0 200000 1000\n1001 201000 64536\n");
    expect_map(etc, 0, "0 100000 65536\n65536 300000 10\n", "0 200000 65536\n");
    remove_etc(etc);
}

Test(subid, a_user_without_ranges_is_told_which_line_to_add)
{
    char etc[] = "/tmp/libbox-test-XXXXXX";
    box_idmap *m = NULL;
    box_error *e = NULL;

    make_etc(etc);
    cr_assert_eq(box_idmap_from_subid(etc, "annie", BOX_IDMAP_SELF_IS_ROOT, &m, &e), BOX_ENOTFOUND);
    cr_assert(strstr(box_error_remedy(e), "annie:100000:65536"), "%s", box_error_message(e));
    cr_assert(strstr(box_error_remedy(e), "/subuid"));
    cr_assert(strstr(box_error_remedy(e), "--add-subuids"));
    box_error_free(e);
    FAILS(BOX_EINVAL, box_idmap_new_subordinate(NULL, 3, &m, err));
    remove_etc(etc);
}

/* ---- Writing ---- */

/* Raw: it runs in the memory of the test. */
static BOX_VCHILD int wait_for_kill(void *arg)
{
    (void)arg;
    while (box_sys(ppoll, NULL, 0, NULL, NULL, 0) < 0)
        ;
    return 0;
}

static void read_map(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    unsigned a, b, c;
    size_t at = 0;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    FILE *f = fopen(path, "re");
    cr_assert(f, "%s: %s", path, strerror(errno));
    out[0] = '\0';
    while (fscanf(f, "%u %u %u", &a, &b, &c) == 3)
        at += (size_t)snprintf(out + at, size - at, "%u %u %u\n", a, b, c);
    fclose(f);
}

Test(idmap_apply, root_writes_ranges_directly)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;
    char text[200];

    OK(box_idmap_parse(m, U, "0:100000:10,10:5:1", err));
    OK(box_idmap_parse(m, G, "0:200000:10", err));
    if (box_vchild_start(&child, CLONE_NEWUSER, wait_for_kill, NULL) < 0)
        cr_skip_test("no user namespaces here");
    OK(box_idmap_apply(m, child.pid, err));
    read_map(child.pid, "uid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 100000 10\n10 5 1\n");
    read_map(child.pid, "gid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 200000 10\n");
    FAILS(BOX_EPERMISSION, box_idmap_apply(m, child.pid, err));
}

static void become(uid_t uid, gid_t gid)
{
    cr_assert_eq(setgroups(0, NULL), 0);
    cr_assert_eq(setresgid(gid, gid, gid), 0);
    cr_assert_eq(setresuid(uid, uid, uid), 0);
    /* As it is for a program that an ordinary user starts. */
    cr_assert_eq(prctl(PR_SET_DUMPABLE, 1), 0);
}

Test(idmap_apply, an_ordinary_user_maps_the_own_id_without_help)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = NULL;
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;
    char text[200], path[64];

    become(4242, 4343);
    if (box_vchild_start(&child, CLONE_NEWUSER, wait_for_kill, NULL) < 0)
        cr_skip_test("ordinary users may make no user namespaces here");
    OK(box_idmap_new_single(0, 0, &m, err));
    OK(box_idmap_apply(m, child.pid, err));
    read_map(child.pid, "uid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 4242 1\n");
    read_map(child.pid, "gid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 4343 1\n");
    snprintf(path, sizeof(path), "/proc/%d/setgroups", (int)child.pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_eq(read(fd, text, 4), 4);
    cr_assert_eq(memcmp(text, "deny", 4), 0);
    close(fd);
}

/* newuidmap reads /etc/subuid, so in a mount namespace of the test's own there is one that suits it. */
static void private_subids(const char *line)
{
    const char *const files[] = {"/etc/subuid", "/etc/subgid"};
    char etc[] = "/tmp/libbox-test-XXXXXX", path[64];

    cr_assert_eq(unshare(CLONE_NEWNS), 0);
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert(mkdtemp(etc));
    for (size_t i = 0; i < 2; i++) {
        write_file(etc, i ? "subgid" : "subuid", line);
        snprintf(path, sizeof(path), "%s/%s", etc, i ? "subgid" : "subuid");
        if (mount(path, files[i], NULL, MS_BIND, NULL) < 0)
            cr_skip_test("no /etc/subuid to cover");
        unlink(path);
    }
    rmdir(etc);
}

static bool set_uid_helpers(void)
{
    return access("/usr/bin/newuidmap", X_OK) == 0 && access("/usr/bin/newgidmap", X_OK) == 0;
}

Test(idmap_apply, an_ordinary_user_maps_ranges_by_newuidmap)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = NULL;
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;
    char text[200];

    if (!set_uid_helpers())
        cr_skip_test("newuidmap is not installed");
    /* uid 65534 has a name in every Debian; newuidmap refuses uids without one. */
    private_subids("nobody:500000:1000\n");
    become(65534, 65534);
    if (box_vchild_start(&child, CLONE_NEWUSER, wait_for_kill, NULL) < 0)
        cr_skip_test("ordinary users may make no user namespaces here");
    OK(box_idmap_new_subordinate(NULL, BOX_IDMAP_SELF_IS_ROOT, &m, err));
    OK(box_idmap_apply(m, child.pid, err));
    read_map(child.pid, "uid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 65534 1\n1 500000 1000\n");
    read_map(child.pid, "gid_map", text, sizeof(text));
    cr_assert_str_eq(text, "0 65534 1\n1 500000 1000\n");
}

Test(idmap_apply, newuidmap_works_under_a_host_that_ignores_sigchld)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = NULL;
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;

    if (!set_uid_helpers())
        cr_skip_test("newuidmap is not installed");
    private_subids("nobody:500000:1000\n");
    signal(SIGCHLD, SIG_IGN);
    become(65534, 65534);
    if (box_vchild_start(&child, CLONE_NEWUSER, wait_for_kill, NULL) < 0)
        cr_skip_test("ordinary users may make no user namespaces here");
    OK(box_idmap_new_subordinate(NULL, BOX_IDMAP_SELF_IS_ROOT, &m, err));
    OK(box_idmap_apply(m, child.pid, err));
}

Test(idmap_apply, a_range_that_is_not_the_users_is_refused_in_newuidmaps_own_words)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    _cleanup_vchild_ struct box_vchild child = BOX_VCHILD_INIT;
    box_error *e = NULL;

    if (!set_uid_helpers())
        cr_skip_test("newuidmap is not installed");
    private_subids("nobody:500000:1000\n");
    become(65534, 65534);
    if (box_vchild_start(&child, CLONE_NEWUSER, wait_for_kill, NULL) < 0)
        cr_skip_test("ordinary users may make no user namespaces here");
    OK(box_idmap_parse(m, U, "0:600000:10", err));
    cr_assert_eq(box_idmap_apply(m, child.pid, &e), BOX_EPERMISSION);
    cr_assert(strstr(box_error_message(e), "newuidmap"), "%s", box_error_message(e));
    cr_assert(strstr(box_error_remedy(e), "/etc/subuid"));
    box_error_free(e);
}

Test(idmap_apply, text_longer_than_a_page_is_refused_before_the_kernel_does)
{
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);

    for (uint32_t i = 0; i < 340; i++)
        OK(box_idmap_add(m, U, 1000000000 + 2 * i, 2000000000 + 2 * i, 1, err));
    FAILS(BOX_ELIMIT, box_idmap_apply(m, getpid(), err));
}

Test(idmap_userns, is_a_user_namespace_with_the_map_and_nobody_in_it)
{
    NEED_ROOT();
    _cleanup_(box_idmap) box_idmap *m = box_idmap_new(NULL);
    char text[200];
    int fds = count_fds();

    OK(box_idmap_parse(m, U, "0:100000:10", err));
    OK(box_idmap_parse(m, G, "0:100000:10", err));
    int fd = box_idmap_userns(m, NULL);
    if (fd < 0)
        cr_skip_test("no user namespaces here");
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(count_fds(), fds + 1);
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(fd, CLONE_NEWUSER) < 0)
            _exit(1);
        for (;;)
            pause();
    }
    usleep(50000);
    read_map(pid, "uid_map", text, sizeof(text));
    end_sleeper(pid);
    close(fd);
    cr_assert_str_eq(text, "0 100000 10\n");
}
