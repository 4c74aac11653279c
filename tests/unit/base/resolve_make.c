/* The resolver's makers: directories and mount targets inside a root, and taking them away again. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "base/resolve.h"
#include "scratch.h"

static int root = -1;
static const unsigned ways[] = {0, BOX_RESOLVE_WALK};

static void put_tree(void)
{
    scratch_make();
    put_dir("root");
    put_dir("root/a");
    put_dir("outside");
    put_file("root/file", "file");
    put_link("root/link", "a");
    put_link("root/filelink", "/file");
    put_link("root/dangling", "/run/x/y");
    put_link("root/danglingout", "../../outside/new");
    put_link("root/loop", "loop");
    put_link("root/dotdot", "../outside");
    root = openat(scratch_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(root, 0);
}

static void remove_tree(void)
{
    cr_expect_eq(entries_in(scratch), 2, "nothing was made beside the root");
    close(root);
    scratch_remove();
}

TestSuite(resolve_make, .init = put_tree, .fini = remove_tree);

static bool is_at(int fd, const char *path)
{
    struct stat one, other;

    return fd >= 0 && fstat(fd, &one) == 0 && fstatat(root, path, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
           one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

static unsigned mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", path);
    return st.st_mode & 07777;
}

struct make_case {
    const char *path;
    int error;
    unsigned made;
    const char *where; /* the resolved path of what is wanted */
};

static void run_case(const struct make_case *c,
                     int (*make)(const char *, unsigned, struct box_resolve_made *), unsigned way)
{
    char path[BOX_RESOLVE_PATH];
    struct box_resolve_made made = {.path = path, .path_size = sizeof(path)};
    unsigned before = open_fds();
    int fd = make(c->path, way, &made);

    if (c->error) {
        cr_expect_eq(fd, -c->error, "\"%.40s\" way %u: %d", c->path, way, fd);
        cr_expect_eq(made.count, 0);
    } else {
        cr_expect(is_at(fd, c->where), "\"%s\" way %u: %d is not %s", c->path, way, fd, c->where);
        cr_expect_eq(made.count, c->made, "\"%s\": %u made", c->path, made.count);
        cr_expect_str_eq(made.path, c->made ? c->where : "");
        close(fd);
    }
    cr_expect_eq(box_resolve_unmake(root, &made), 0);
    cr_expect_eq(open_fds(), before);
    cr_expect_eq(entries_in("."), 8, "\"%.40s\" way %u: the root is as it was", c->path, way);
}

static int mkdirs(const char *path, unsigned way, struct box_resolve_made *made)
{
    return box_resolve_mkdirs(root, path, NULL, way, made);
}

static int target_file(const char *path, unsigned way, struct box_resolve_made *made)
{
    return box_resolve_target(root, path, 0, NULL, way, made);
}

static int target_dir(const char *path, unsigned way, struct box_resolve_made *made)
{
    return box_resolve_target(root, path, 1, NULL, way, made);
}

static void run_table(const struct make_case *table, size_t n,
                      int (*make)(const char *, unsigned, struct box_resolve_made *))
{
    cr_assert_eq(fchdir(scratch_fd), 0);
    cr_assert_eq(chdir("root"), 0);
    for (size_t i = 0; i < n; i++)
        for (size_t w = 0; w < 2; w++)
            run_case(&table[i], make, ways[w]);
}

#define RUN(table, make) run_table(table, sizeof(table) / sizeof((table)[0]), make)

static char too_long[400];

Test(resolve_make, directories_are_made_inside_the_root_or_not_at_all)
{
    static const struct make_case table[] = {
        {"a", 0, 0, "a"},
        {"/", 0, 0, "."},
        {"link", 0, 0, "a"},
        {"a/b", 0, 1, "a/b"},
        {"a/b/c/d/", 0, 3, "a/b/c/d"},
        {"/x//y/./z", 0, 3, "x/y/z"},
        {"link/new", 0, 1, "a/new"},
        {"a/../../../new", 0, 1, "new"},
        {"dangling", 0, 3, "run/x/y"},
        {"dangling/z", 0, 4, "run/x/y/z"},
        {"danglingout", 0, 2, "outside/new"},
        {"dotdot/p/q", 0, 3, "outside/p/q"},
        {"file", ENOTDIR, 0, NULL},
        {"filelink", ENOTDIR, 0, NULL},
        {"file/x", ENOTDIR, 0, NULL},
        {"loop", ELOOP, 0, NULL},
        {"loop/x", ELOOP, 0, NULL},
        {"", ENOENT, 0, NULL},
        {"new/../other", ENOENT, 0, NULL},
        {too_long, ENAMETOOLONG, 0, NULL},
    };

    strcpy(too_long, "p/q/");
    memset(too_long + 4, 'x', 300);
    RUN(table, mkdirs);
    RUN(table, target_dir);
}

Test(resolve_make, mount_targets_are_files_where_files_are_wanted)
{
    static const struct make_case table[] = {
        {"file", 0, 0, "file"},
        {"filelink", 0, 0, "file"},
        {"new", 0, 1, "new"},
        {"x/y/new", 0, 3, "x/y/new"},
        {"link/new", 0, 1, "a/new"},
        {"dangling", 0, 3, "run/x/y"},
        {"danglingout", 0, 2, "outside/new"},
        {"../../new", 0, 1, "new"},
        {"a", EISDIR, 0, NULL},
        {"link", EISDIR, 0, NULL},
        {"/", EISDIR, 0, NULL},
        {"a/..", EISDIR, 0, NULL},
        {"new/", EISDIR, 0, NULL},
        {"file/new", ENOTDIR, 0, NULL},
        {"new/..", ENOENT, 0, NULL},
        {"new/.", EISDIR, 0, NULL},
        {"loop", ELOOP, 0, NULL},
        {too_long, ENAMETOOLONG, 0, NULL},
    };

    strcpy(too_long, "p/q/");
    memset(too_long + 4, 'x', 300);
    RUN(table, target_file);
}

Test(resolve_make, links_are_refused_when_none_are_allowed)
{
    for (size_t w = 0; w < 2; w++) {
        unsigned flags = ways[w] | BOX_RESOLVE_NO_SYMLINKS;
        cr_expect_eq(box_resolve_target(root, "link/new", 1, NULL, flags, NULL), -ELOOP);
        cr_expect_eq(box_resolve_target(root, "dangling", 0, NULL, flags, NULL), -ELOOP);
        cr_expect_eq(box_resolve_mkdirs(root, "/x", NULL, ways[w] | BOX_RESOLVE_BENEATH, NULL), -EXDEV);
        cr_expect_eq(box_resolve_mkdirs(root, "dotdot/x", NULL, ways[w] | BOX_RESOLVE_BENEATH, NULL), -EXDEV);
    }
}

Test(resolve_make, modes_are_exact_under_any_umask_and_the_umask_stays)
{
    struct box_resolve_make how = {0751, 0646, (unsigned)-1, (unsigned)-1};

    umask(0077);
    close(box_resolve_target(root, "p/q/f", 0, &how, 0, NULL));
    cr_expect_eq(mode_of("p"), 0751);
    cr_expect_eq(mode_of("p/q"), 0751);
    cr_expect_eq(mode_of("p/q/f"), 0646);
    how.dir_mode = 01777;
    close(box_resolve_mkdirs(root, "t", &how, 0, NULL));
    cr_expect_eq(mode_of("t"), 01777);
    cr_expect_eq(umask(0), 0077);
}

Test(resolve_make, owner_is_given_to_what_is_new_and_to_nothing_else)
{
    struct box_resolve_make how = {0700, 04755, 1234, 5678};
    struct stat st;

    if (geteuid() != 0)
        cr_skip_test("needs root");
    close(box_resolve_target(root, "a/q/f", 0, &how, 0, NULL));
    cr_assert_eq(fstatat(root, "a", &st, 0), 0);
    cr_expect_eq(st.st_uid, 0);
    cr_assert_eq(fstatat(root, "a/q", &st, 0), 0);
    cr_expect(st.st_uid == 1234 && st.st_gid == 5678);
    cr_assert_eq(fstatat(root, "a/q/f", &st, 0), 0);
    cr_expect(st.st_uid == 1234 && st.st_gid == 5678);
    cr_expect_eq(mode_of("a/q/f"), 04755, "a change of owner takes setuid away: the mode comes after it");
}

Test(resolve_make, more_than_the_record_holds_is_refused_and_nothing_stays)
{
    char path[4 * BOX_RESOLVE_MADE] = "";

    for (unsigned i = 0; i <= BOX_RESOLVE_MADE; i++)
        strcat(path, "d/");
    cr_expect_eq(box_resolve_mkdirs(root, path, NULL, 0, NULL), -ENAMETOOLONG);
    cr_expect_not(is_there("root/d"));
    path[2 * BOX_RESOLVE_MADE] = '\0';
    int fd = box_resolve_mkdirs(root, path, NULL, 0, NULL);
    cr_expect_geq(fd, 0);
    close(fd);
}

Test(resolve_make, path_buffer_that_is_too_small_leaves_nothing)
{
    char path[8];
    struct box_resolve_made made = {.path = path, .path_size = sizeof(path)};

    cr_expect_eq(box_resolve_mkdirs(root, "new/long", NULL, 0, &made), -ENAMETOOLONG);
    cr_expect_eq(made.count, 0);
    cr_expect_not(is_there("root/new"));
    int fd = box_resolve_mkdirs(root, "new/lon", NULL, 0, &made);
    cr_expect_geq(fd, 0);
    cr_expect_str_eq(path, "new/lon");
    close(fd);
}

Test(resolve_make, unmake_leaves_what_is_not_the_object_that_was_made)
{
    char path[BOX_RESOLVE_PATH];
    struct box_resolve_made made = {.path = path, .path_size = sizeof(path)};

    close(box_resolve_target(root, "p/q/f", 0, NULL, 0, &made));
    cr_assert_eq(made.count, 3);
    /* The old file stays open under another name, so that its inode number is not used again. */
    cr_assert_eq(renameat(root, "p/q/f", root, "kept"), 0);
    put_file("root/p/q/f", "another");
    cr_expect_eq(box_resolve_unmake(root, &made), 0);
    cr_expect_str_eq(content_of("root/p/q/f"), "another");

    cr_assert_eq(unlinkat(root, "p/q/f", 0), 0);
    cr_assert_eq(renameat(root, "kept", root, "p/q/f"), 0);
    cr_assert_eq(renameat(root, "p/q", root, "elsewhere"), 0);
    put_link("root/p/q", "../elsewhere");
    cr_expect_eq(box_resolve_unmake(root, &made), 0);
    cr_expect(is_there("root/elsewhere/f"), "a link in the way is not followed");
}

Test(resolve_make, unmake_keeps_a_directory_that_somebody_uses)
{
    char path[BOX_RESOLVE_PATH];
    struct box_resolve_made made = {.path = path, .path_size = sizeof(path)};

    close(box_resolve_mkdirs(root, "p/q/r", NULL, 0, &made));
    put_file("root/p/mine", "mine");
    cr_expect_eq(box_resolve_unmake(root, &made), 0);
    cr_expect_not(is_there("root/p/q"));
    cr_expect_str_eq(content_of("root/p/mine"), "mine");
}

static atomic_int race_over;

static void *make_again_and_again(void *data)
{
    long failures = 0;

    for (int i = 0; i < 300; i++) {
        int fd = box_resolve_mkdirs(root, "shared/one/two/three", NULL, *(unsigned *)data, NULL);
        failures += fd < 0 && fd != -EAGAIN;
        if (fd >= 0)
            close(fd);
        unlinkat(root, "shared/one/two/three", AT_REMOVEDIR);
        unlinkat(root, "shared/one/two", AT_REMOVEDIR);
        unlinkat(root, "shared/one", AT_REMOVEDIR);
        unlinkat(root, "shared", AT_REMOVEDIR);
    }
    return (void *)failures;
}

Test(resolve_make, threads_that_make_and_remove_the_same_path_never_fail)
{
    unsigned way[4] = {0, BOX_RESOLVE_WALK, 0, BOX_RESOLVE_WALK};
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, make_again_and_again, &way[i]), 0);
    for (int i = 0; i < 4; i++) {
        void *failures;
        pthread_join(threads[i], &failures);
        cr_expect_null(failures);
    }
}

static void *swap(void *unused)
{
    (void)unused;
    while (!atomic_load(&race_over))
        syscall(SYS_renameat2, root, "a", root, "dotdot", 2 /* RENAME_EXCHANGE */);
    return NULL;
}

Test(resolve_make, nothing_is_made_outside_while_a_directory_is_swapped_for_a_link_out)
{
    pthread_t thread;
    char target[128];

    snprintf(target, sizeof(target), "../../../../../..%s/outside", scratch);
    cr_assert_eq(unlinkat(root, "dotdot", 0), 0);
    cr_assert_eq(symlinkat(target, root, "dotdot"), 0);
    cr_assert_eq(pthread_create(&thread, NULL, swap, NULL), 0);
    for (int i = 0; i < 1000; i++) {
        char path[32];
        snprintf(path, sizeof(path), "a/n%d/f", i);
        int fd = box_resolve_target(root, path, i % 2, NULL, 0, NULL);
        if (fd >= 0)
            close(fd);
    }
    atomic_store(&race_over, 1);
    pthread_join(thread, NULL);
    snprintf(target, sizeof(target), "%s/outside", scratch);
    cr_expect_eq(entries_in(target), 0);
}
