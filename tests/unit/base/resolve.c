/* The resolver: one table of hostile paths, run through openat2, through the walk, and with openat2 denied by
 * seccomp. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/resolve.h"
#include "scratch.h"

static int root = -1; /* scratch/root; scratch/secret lies outside */

#define LONG_NAME                                                                                          \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" \
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"

static void put_chain(void)
{
    char name[32], target[32];

    put_link("root/chain1", "a/file");
    for (int i = 2; i <= 41; i++) {
        snprintf(name, sizeof(name), "root/chain%d", i);
        snprintf(target, sizeof(target), "chain%d", i - 1);
        put_link(name, target);
    }
}

static void put_tree(void)
{
    static const char *const dirs[] = {"root", "root/a", "root/a/b", "root/a/b/c", "root/etc", "root/empty"};
    static const char *const links[][2] = {
        {"root/abs", "/etc/passwd"},
        {"root/a/b/abs", "/etc/passwd"},
        {"root/up", "../../../../../../etc/passwd"},
        {"root/a/b/c/up", "../../../../../../../etc/passwd"},
        {"root/rootlink", "/"},
        {"root/updir", ".."},
        {"root/upup", "../.."},
        {"root/out", "../secret"},
        {"root/absout", "/../secret"},
        {"root/a/out", "../../secret"},
        {"root/loop1", "loop2"},
        {"root/loop2", "loop1"},
        {"root/self", "self"},
        {"root/selfdir", "selfdir/x"},
        {"root/dirlink", "a/b"},
        {"root/dirlinkslash", "a/b/"},
        {"root/filelink", "a/file"},
        {"root/filelinkslash", "a/file/"},
        {"root/dangling", "nowhere"},
        {"root/danglingdeep", "/run/x/y"},
        {"root/danglingout", "../../../run2/file"},
        {"root/mid", "a/../a/./b/../b//c"},
        {"root/dot", "."},
        {"root/a/toroot", "/a"},
    };

    scratch_make();
    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        put_dir(dirs[i]);
    put_file("secret", "secret");
    put_file("root/a/file", "file");
    put_file("root/etc/passwd", "passwd");
    put_file("root/a/b/c/inner", "inner");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        put_link(links[i][0], links[i][1]);
    put_chain();
    cr_assert_eq(mkfifoat(scratch_fd, "root/fifo", 0644), 0);
    root = openat(scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(root, 0);
}

static void remove_tree(void)
{
    close(root);
    scratch_remove();
}

struct path_case {
    const char *path;
    int open_flags;
    unsigned flags;
    int error;        /* errno, or 0 */
    const char *what; /* the object that must be opened, below root; found without links or ".." */
};

static const struct path_case cases[] = {
    {"a/file", O_RDONLY, 0, 0, "a/file"},
    {"/a/file", O_RDONLY, 0, 0, "a/file"},
    {"//a///file", O_RDONLY, 0, 0, "a/file"},
    {"./a/./file", O_RDONLY, 0, 0, "a/file"},
    {"a/b/c/inner", O_PATH, 0, 0, "a/b/c/inner"},
    {"", O_PATH, 0, ENOENT, NULL},
    {"/", O_PATH, 0, 0, "."},
    {"///", O_PATH, 0, 0, "."},
    {".", O_PATH, 0, 0, "."},
    {"..", O_PATH, 0, 0, "."},
    {"../../../..", O_RDONLY, 0, 0, "."},
    {"/..", O_PATH | O_DIRECTORY, 0, 0, "."},
    {"../secret", O_RDONLY, 0, ENOENT, NULL},
    {"/../secret", O_RDONLY, 0, ENOENT, NULL},
    {"a/../../secret", O_RDONLY, 0, ENOENT, NULL},
    {"a/b/../../../../../../etc/passwd", O_RDONLY, 0, 0, "etc/passwd"},
    {"a/b/c/../../file", O_RDONLY, 0, 0, "a/file"},
    {"a/b/c/..", O_RDONLY, 0, 0, "a/b"},
    {"a/b/c/../.", O_RDONLY, 0, 0, "a/b"},
    {"a/b/../b/../b/c/../c/inner", O_RDONLY, 0, 0, "a/b/c/inner"},
    {"nowhere", O_RDONLY, 0, ENOENT, NULL},
    {"nowhere/..", O_RDONLY, 0, ENOENT, NULL},
    {"nowhere/../a/file", O_RDONLY, 0, ENOENT, NULL},
    {"a/file/x", O_RDONLY, 0, ENOTDIR, NULL},
    {"a/file/..", O_RDONLY, 0, ENOTDIR, NULL},
    {"a/file/.", O_RDONLY, 0, ENOTDIR, NULL},
    {"a/file/", O_RDONLY, 0, ENOTDIR, NULL},
    {"a/file/", O_PATH, 0, ENOTDIR, NULL},
    {"a/file", O_PATH | O_DIRECTORY, 0, ENOTDIR, NULL},
    {"a/b/", O_PATH, 0, 0, "a/b"},
    {"a/b//", O_RDONLY, 0, 0, "a/b"},
    {"a/b", O_WRONLY, 0, EISDIR, NULL},
    {"/", O_WRONLY, 0, EISDIR, NULL},
    {LONG_NAME, O_RDONLY, 0, ENAMETOOLONG, NULL},
    {LONG_NAME "/x", O_RDONLY, 0, ENAMETOOLONG, NULL},
    /* links */
    {"abs", O_RDONLY, 0, 0, "etc/passwd"},
    {"a/b/abs", O_RDONLY, 0, 0, "etc/passwd"},
    {"up", O_RDONLY, 0, 0, "etc/passwd"},
    {"a/b/c/up", O_RDONLY, 0, 0, "etc/passwd"},
    {"rootlink", O_PATH, 0, 0, "."},
    {"rootlink/a/file", O_PATH, 0, 0, "a/file"},
    {"rootlink/rootlink/../rootlink/a/file", O_PATH, 0, 0, "a/file"},
    {"updir", O_PATH, 0, 0, "."},
    {"updir/secret", O_PATH, 0, ENOENT, NULL},
    {"upup/a", O_PATH, 0, 0, "a"},
    {"out", O_RDONLY, 0, ENOENT, NULL},
    {"absout", O_RDONLY, 0, ENOENT, NULL},
    {"a/out", O_RDONLY, 0, ENOENT, NULL},
    {"loop1", O_RDONLY, 0, ELOOP, NULL},
    {"self", O_RDONLY, 0, ELOOP, NULL},
    {"self/x", O_RDONLY, 0, ELOOP, NULL},
    {"selfdir", O_RDONLY, 0, ELOOP, NULL},
    {"chain40", O_RDONLY, 0, 0, "a/file"},
    {"chain41", O_RDONLY, 0, ELOOP, NULL},
    {"dirlink/c/inner", O_RDONLY, 0, 0, "a/b/c/inner"},
    {"dirlink/../file", O_RDONLY, 0, 0, "a/file"},
    {"dirlinkslash/c/inner", O_RDONLY, 0, 0, "a/b/c/inner"},
    {"dirlinkslash", O_PATH, 0, 0, "a/b"},
    {"filelink/", O_PATH, 0, ENOTDIR, NULL},
    {"filelinkslash", O_PATH, 0, ENOTDIR, NULL},
    {"filelink/x", O_PATH, 0, ENOTDIR, NULL},
    {"dangling", O_PATH, 0, ENOENT, NULL},
    {"dangling/x", O_PATH, 0, ENOENT, NULL},
    {"danglingdeep", O_PATH, 0, ENOENT, NULL},
    {"mid/inner", O_PATH, 0, 0, "a/b/c/inner"},
    {"dot/dot/dot/a", O_PATH, 0, 0, "a"},
    {"a/toroot/toroot/file", O_PATH, 0, 0, "a/file"},
    /* the last component and O_NOFOLLOW */
    {"abs", O_PATH | O_NOFOLLOW, 0, 0, "abs"},
    {"dangling", O_PATH | O_NOFOLLOW, 0, 0, "dangling"},
    {"self", O_PATH | O_NOFOLLOW, 0, 0, "self"},
    {"abs", O_RDONLY | O_NOFOLLOW, 0, ELOOP, NULL},
    {"dirlink", O_PATH | O_NOFOLLOW | O_DIRECTORY, 0, ENOTDIR, NULL},
    {"dirlink", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, 0, ENOTDIR, NULL},
    {"dirlink/", O_PATH | O_NOFOLLOW, 0, 0, "a/b"},
    {"dirlink/c", O_PATH | O_NOFOLLOW, 0, 0, "a/b/c"},
    {"a/file", O_RDONLY | O_NOFOLLOW, 0, 0, "a/file"},
    {"a/b/..", O_RDONLY | O_NOFOLLOW, 0, 0, "a"},
    {"fifo", O_RDONLY | O_NONBLOCK, 0, 0, "fifo"},
    /* no links */
    {"a/file", O_RDONLY, BOX_RESOLVE_NO_SYMLINKS, 0, "a/file"},
    {"abs", O_RDONLY, BOX_RESOLVE_NO_SYMLINKS, ELOOP, NULL},
    {"dirlink/c", O_PATH, BOX_RESOLVE_NO_SYMLINKS, ELOOP, NULL},
    {"dirlink/", O_PATH, BOX_RESOLVE_NO_SYMLINKS, ELOOP, NULL},
    {"dangling", O_PATH, BOX_RESOLVE_NO_SYMLINKS, ELOOP, NULL},
    {"abs", O_PATH | O_NOFOLLOW, BOX_RESOLVE_NO_SYMLINKS, 0, "abs"},
    /* beneath */
    {"a/file", O_RDONLY, BOX_RESOLVE_BENEATH, 0, "a/file"},
    {"/a/file", O_RDONLY, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"..", O_PATH, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"a/..", O_PATH, BOX_RESOLVE_BENEATH, 0, "."},
    {"a/../../root/a", O_PATH, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"abs", O_PATH, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"up", O_PATH, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"a/toroot/file", O_PATH, BOX_RESOLVE_BENEATH, EXDEV, NULL},
    {"mid/inner", O_PATH, BOX_RESOLVE_BENEATH, 0, "a/b/c/inner"},
    /* one mount */
    {"a/file", O_RDONLY, BOX_RESOLVE_NO_XDEV, 0, "a/file"},
    {"abs", O_RDONLY, BOX_RESOLVE_NO_XDEV, 0, "etc/passwd"},
    {"a/b/..", O_RDONLY, BOX_RESOLVE_NO_XDEV, 0, "a"},
    /* the caller's mistakes */
    {"new", O_RDWR | O_CREAT, 0, EINVAL, NULL},
    {"a", O_RDWR | O_TMPFILE, 0, EINVAL, NULL},
    {"a", O_PATH, 0x8000, EINVAL, NULL},
};

static int same_object(int fd, int dir, const char *name)
{
    struct stat one, other;

    return fstat(fd, &one) == 0 && fstatat(dir, name, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static void run_table(unsigned way)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct path_case *c = &cases[i];
        int fd = box_resolve(root, c->path, c->open_flags, c->flags | way);

        if (c->error) {
            cr_expect_eq(fd, -c->error, "\"%.40s\" flags %o/%u: %d, not -%d", c->path, c->open_flags,
                         c->flags, fd, c->error);
        } else {
            cr_expect(fd >= 0 && same_object(fd, root, c->what), "\"%.40s\" flags %o/%u: %d is not %s",
                      c->path, c->open_flags, c->flags, fd, c->what);
            cr_expect(fd < 0 || fcntl(fd, F_GETFD) == FD_CLOEXEC, "\"%s\" is close-on-exec", c->path);
        }
        if (fd >= 0)
            close(fd);
    }
}

TestSuite(resolve, .init = put_tree, .fini = remove_tree);

Test(resolve, table_holds_through_openat2)
{
    unsigned before = open_fds();

    run_table(0);
    cr_assert_eq(open_fds(), before);
}

Test(resolve, table_holds_through_the_walk)
{
    unsigned before = open_fds();

    run_table(BOX_RESOLVE_WALK);
    cr_assert_eq(open_fds(), before);
}

static void deny_openat2(unsigned action)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

Test(resolve, table_holds_when_seccomp_answers_eperm_to_openat2)
{
    deny_openat2(SECCOMP_RET_ERRNO | EPERM);
    run_table(0);
}

Test(resolve, table_holds_when_openat2_is_unknown)
{
    deny_openat2(SECCOMP_RET_ERRNO | ENOSYS);
    run_table(0);
}

Test(resolve, path_of_path_max_is_too_long_both_ways)
{
    char path[BOX_RESOLVE_PATH + 1];

    for (size_t i = 0; i < sizeof(path) - 1; i++)
        path[i] = i % 2 ? '/' : '.';
    path[sizeof(path) - 1] = '\0';
    cr_expect_eq(box_resolve(root, path, O_PATH, 0), -ENAMETOOLONG);
    cr_expect_eq(box_resolve(root, path, O_PATH, BOX_RESOLVE_WALK), -ENAMETOOLONG);
    path[BOX_RESOLVE_PATH - 1] = '\0';
    for (unsigned way = 0; way <= BOX_RESOLVE_WALK; way += BOX_RESOLVE_WALK) {
        int fd = box_resolve(root, path, O_PATH, way);
        cr_expect(fd >= 0 && same_object(fd, root, "."));
        close(fd);
    }
}

Test(resolve, walk_gives_up_on_a_path_that_costs_too_many_steps)
{
    char path[BOX_RESOLVE_PATH];
    int dir = dup(root);
    size_t n = 0;

    /* 600 directories deep, then up and down again at the bottom: each ".." walks down anew. */
    for (int i = 0; i < 600; i++) {
        cr_assert_eq(mkdirat(dir, "d", 0755), 0);
        int next = openat(dir, "d", O_PATH | O_DIRECTORY);
        close(dir);
        dir = next;
        n += (size_t)sprintf(path + n, "d/");
    }
    close(dir);
    for (int i = 0; i < 400; i++)
        n += (size_t)sprintf(path + n, "../d/");
    cr_assert_lt(n, sizeof(path));
    cr_expect_eq(box_resolve(root, path, O_PATH, BOX_RESOLVE_WALK), -ELOOP);
}

Test(resolve, rootfd_must_be_an_fd)
{
    cr_expect_eq(box_resolve(AT_FDCWD, "a", O_PATH, 0), -EBADF);
    cr_expect_eq(box_resolve(-1, "a", O_PATH, BOX_RESOLVE_WALK), -EBADF);
    cr_expect_eq(box_resolve(root, NULL, O_PATH, 0), -EINVAL);
}

Test(resolve, magic_links_of_proc_are_refused_and_plain_ones_followed)
{
    static const char *const magic[] = {"self/exe",          "self/cwd",     "self/root",
                                        "self/root/etc",     "self/fd/0",    "self/ns/mnt",
                                        "thread-self/cwd/x", "self/cwd/etc", "self/task/../fd/0"};
    int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    cr_assert_geq(proc, 0);
    for (unsigned way = 0; way <= BOX_RESOLVE_WALK; way += BOX_RESOLVE_WALK) {
        for (size_t i = 0; i < sizeof(magic) / sizeof(magic[0]); i++)
            cr_expect_eq(box_resolve(proc, magic[i], O_PATH, way), -ELOOP, "%s way %u", magic[i], way);
        int fd = box_resolve(proc, "self/status", O_RDONLY, way);
        cr_expect_geq(fd, 0, "self is no magic link, way %u", way);
        close(fd);
        fd = box_resolve(proc, "mounts", O_RDONLY, way);
        cr_expect_geq(fd, 0, "mounts is no magic link, way %u", way);
        close(fd);
    }
    close(proc);
}

static void own_mounts(void)
{
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        cr_skip_test("needs root and a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    /* The fds of before lie on the mounts of the other namespace. */
    close(root);
    close(scratch_fd);
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    root = openat(scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(root, 0);
}

Test(resolve, crossing_a_mount_is_found_even_on_the_same_file_system)
{
    char from[128], to[128];

    own_mounts();
    snprintf(from, sizeof(from), "%s/root/a", scratch);
    snprintf(to, sizeof(to), "%s/root/empty", scratch);
    cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
    for (unsigned way = 0; way <= BOX_RESOLVE_WALK; way += BOX_RESOLVE_WALK) {
        cr_expect_eq(box_resolve(root, "empty", O_PATH, BOX_RESOLVE_NO_XDEV | way), -EXDEV, "way %u", way);
        cr_expect_eq(box_resolve(root, "empty/file", O_RDONLY, BOX_RESOLVE_NO_XDEV | way), -EXDEV);
        cr_expect_eq(box_resolve(root, "empty/../a", O_RDONLY, BOX_RESOLVE_NO_XDEV | way), -EXDEV);
        int fd = box_resolve(root, "empty/../empty/b/../file", O_RDONLY, way);
        cr_expect(fd >= 0 && same_object(fd, root, "a/file"), "way %u", way);
        close(fd);
    }
    cr_assert_eq(umount(to), 0);
}

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

Test(resolve, links_on_a_nosymfollow_mount_are_refused)
{
    char at[128];

    own_mounts();
    snprintf(at, sizeof(at), "%s/root/empty", scratch);
    if (mount("tmpfs", at, "tmpfs", MS_NOSYMFOLLOW, NULL) != 0)
        cr_skip_test("this kernel has no nosymfollow");
    put_link("root/empty/l", "/a/file");
    cr_expect_eq(box_resolve(root, "empty/l", O_PATH, 0), -ELOOP);
    cr_expect_eq(box_resolve(root, "empty/l", O_PATH, BOX_RESOLVE_WALK), -ELOOP);
    cr_assert_eq(umount(at), 0);
}

static int take_fds(int *taken)
{
    int n = 0;

    while (n < 64 && (taken[n] = fcntl(root, F_DUPFD_CLOEXEC, 0)) >= 0)
        n++;
    return n;
}

Test(resolve, two_free_fds_are_enough_and_fewer_are_an_error_that_leaks_nothing)
{
    int taken[64], again[64], n;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    setrlimit(RLIMIT_NOFILE, &limit);
    n = take_fds(taken);
    for (int spare = 0; spare < 3; spare++) {
        int fd = box_resolve(root, "a/b/../b/c/up", O_RDONLY, BOX_RESOLVE_WALK);
        cr_expect(spare < 2 ? fd == -EMFILE : fd >= 0, "%d with %d free fds", fd, spare);
        close(fd);
        int left = take_fds(again);
        cr_expect_eq(left, spare, "%d fds were free before, %d after", spare, left);
        while (left > 0)
            close(again[--left]);
        close(taken[--n]);
    }
}

/* Races: one thread changes the tree, the test resolves and looks whether it ever got out. */

static atomic_int race_over;

static void *swap_dir_and_link(void *unused)
{
    (void)unused;
    while (!atomic_load(&race_over))
        syscall(SYS_renameat2, scratch_fd, "root/swap", scratch_fd, "root/swaplink", 2 /* RENAME_EXCHANGE */);
    return NULL;
}

static void *move_out_and_in(void *unused)
{
    (void)unused;
    while (!atomic_load(&race_over)) {
        renameat(scratch_fd, "root/a/b", scratch_fd, "outside/x/b");
        renameat(scratch_fd, "outside/x/b", scratch_fd, "root/a/b");
    }
    return NULL;
}

static void race(void *(*change)(void *), const char *path, const char *allowed)
{
    pthread_t thread;
    unsigned inside = 0;

    cr_assert_eq(pthread_create(&thread, NULL, change, NULL), 0);
    /* On a busy machine the other thread may stand still at the wrong moment for long. */
    for (int i = 0; i < 3000 || (inside == 0 && i < 1000000); i++) {
        int fd = box_resolve(root, path, O_RDONLY, i % 2 ? BOX_RESOLVE_WALK : 0);
        char seen[16] = "";

        if (fd < 0)
            continue;
        cr_expect_gt(read(fd, seen, sizeof(seen) - 1), 0);
        cr_expect_str_eq(seen, allowed);
        inside += strcmp(seen, allowed) == 0;
        close(fd);
    }
    atomic_store(&race_over, 1);
    pthread_join(thread, NULL);
    cr_expect_gt(inside, 0, "the race was won by somebody at least once");
}

Test(resolve, directory_swapped_for_a_link_never_leads_out)
{
    put_dir("root/swap");
    put_file("root/swap/secret", "inside");
    put_link("root/swaplink", "../../../../../../../../../tmp/..");
    put_link("root/swaplink2", scratch);
    cr_assert_eq(renameat(scratch_fd, "root/swaplink2", scratch_fd, "root/swaplink"), 0);
    race(swap_dir_and_link, "swap/secret", "inside");
}

Test(resolve, directory_moved_out_of_the_root_never_takes_dotdot_with_it)
{
    put_dir("outside");
    put_dir("outside/x");
    put_file("outside/secret", "secret");
    put_file("root/secret", "inside");
    race(move_out_and_in, "a/b/c/../../../secret", "inside");
}

/* The parent */

Test(resolve, parent_is_opened_and_the_last_component_left_alone)
{
    static const struct {
        const char *path, *parent, *last;
        int error;
    } table[] = {
        {"a/file", "a", "file", 0},
        {"/x", ".", "x", 0},
        {"x", ".", "x", 0},
        {"a/b/c/new/", "a/b/c", "new", 0},
        {"dirlink/new", "a/b", "new", 0},
        {"a//b///new//", "a/b", "new", 0},
        {"abs", ".", "abs", 0},
        {"../../x", ".", "x", 0},
        {"...", ".", "...", 0},
        {"a/..", NULL, NULL, EINVAL},
        {"a/.", NULL, NULL, EINVAL},
        {"/", NULL, NULL, EINVAL},
        {"..", NULL, NULL, EINVAL},
        {"a/../", NULL, NULL, EINVAL},
        {"", NULL, NULL, ENOENT},
        {"nowhere/x", NULL, NULL, ENOENT},
        {"a/file/x", NULL, NULL, ENOTDIR},
        {"abs/x", NULL, NULL, ENOTDIR},
        {LONG_NAME, NULL, NULL, ENAMETOOLONG},
    };

    for (unsigned way = 0; way <= BOX_RESOLVE_WALK; way += BOX_RESOLVE_WALK)
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            char last[BOX_RESOLVE_NAME] = "";
            int fd = box_resolve_parent(root, table[i].path, last, way);
            if (table[i].error) {
                cr_expect_eq(fd, -table[i].error, "\"%.40s\": %d", table[i].path, fd);
                continue;
            }
            cr_expect(fd >= 0 && same_object(fd, root, table[i].parent), "\"%s\": %d", table[i].path, fd);
            cr_expect_str_eq(last, table[i].last);
            close(fd);
        }
}
