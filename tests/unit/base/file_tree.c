#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "base/file.h"
#include "scratch.h"

TestSuite(file_tree, .init = scratch_make, .fini = scratch_remove);

Test(file_tree, copy_takes_all_bytes_and_keeps_holes)
{
    static char data[300000], back[300000];
    int from = openat(scratch_fd, "from", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int to = openat(scratch_fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct stat a, b;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + i / 251);
    cr_assert_eq(pwrite(from, data, sizeof(data), 0), (ssize_t)sizeof(data));
    cr_assert_eq(pwrite(from, "end", 3, 64 << 20), 3);
    cr_assert_eq(ftruncate(from, 128 << 20), 0);
    cr_assert_eq(box_file_copy(from, to, NULL), 0);
    fstat(from, &a);
    fstat(to, &b);
    cr_assert_eq(b.st_size, 128 << 20);
    cr_assert_leq(b.st_blocks, a.st_blocks + 64, "holes stay holes");
    cr_assert_eq(pread(to, back, sizeof(back), 0), (ssize_t)sizeof(back));
    cr_assert_arr_eq(data, back, sizeof(data));
    cr_assert_eq(pread(to, back, 4, 64 << 20), 4);
    cr_assert_arr_eq(back, "end", 4);
    close(from);
    close(to);
}

Test(file_tree, copy_works_between_file_systems_and_from_proc)
{
    int from = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    int to = openat(scratch_fd, "to", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int other = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char seen[4] = "";

    cr_assert_eq(box_file_copy(from, to, NULL), 0);
    cr_assert_gt(lseek(to, 0, SEEK_END), 100);
    if (other < 0)
        cr_skip_test("/tmp takes no nameless file");
    cr_assert_eq(write(other, "abc", 3), 3);
    cr_assert_eq(ftruncate(to, 0), 0);
    cr_assert_eq(box_file_copy(other, to, NULL), 0);
    cr_assert_eq(pread(to, seen, 4, 0), 3);
    cr_assert_str_eq(seen, "abc");
}

static void put_sample(void)
{
    put_dir("keep");
    put_file("keep/file", "kept");
    put_dir("t");
    put_dir("t/a");
    put_dir("t/a/b");
    put_file("t/a/b/f", "x");
    put_file("t/f", "x");
    put_link("t/link", "../keep");
    put_link("t/a/abs", scratch);
    put_link("t/dangling", "nowhere");
    cr_assert_eq(mkfifoat(scratch_fd, "t/fifo", 0600), 0);
}

Test(file_tree, removal_takes_the_tree_and_never_follows_a_link)
{
    unsigned before = open_fds();

    put_sample();
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
    cr_assert_str_eq(content_of("keep/file"), "kept");
    put_link("l", "keep");
    cr_assert_eq(box_remove_tree(scratch_fd, "l", NULL), 0);
    cr_assert_str_eq(content_of("keep/file"), "kept");
    cr_assert_eq(box_remove_tree(scratch_fd, "nowhere", NULL), 0);
    cr_assert_eq(entries_in(scratch), 1);
    cr_assert_eq(open_fds(), before);
}

Test(file_tree, removal_takes_one_name_and_no_path)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/", "t/"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_expect_eq(box_remove_tree(scratch_fd, bad[i], NULL), BOX_EINVAL, "\"%s\"", bad[i]);
}

Test(file_tree, removal_of_a_deep_tree_needs_few_fds)
{
    struct rlimit limit;
    int at = dup(scratch_fd);

    for (int i = 0; i < 250; i++) {
        cr_assert_eq(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        if (i % 40 == 0)
            cr_assert_eq(mkdirat(at, "other", 0755), 0);
        close(at);
        at = next;
    }
    close(at);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 48;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_eq(box_remove_tree(scratch_fd, "d", NULL), 0);
    cr_assert_not(is_there("d"));
    cr_assert_eq(box_remove_tree(scratch_fd, "other", NULL), 0);
}

Test(file_tree, removal_takes_a_directory_with_many_entries)
{
    char name[32];

    put_dir("t");
    for (int i = 0; i < 1200; i++) {
        snprintf(name, sizeof(name), "t/%d", i);
        cr_assert_eq(mknodat(scratch_fd, name, S_IFREG | 0600, 0), 0);
    }
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
}

/* Enough for several threads: directories below each other and side by side, with links out of the tree in each. */
static void put_large(unsigned wide, unsigned deep)
{
    char name[200], dir[200];

    put_dir("keep");
    put_file("keep/file", "kept");
    put_dir("t");
    for (unsigned i = 0; i < wide; i++) {
        snprintf(dir, sizeof(dir), "t/%u", i);
        put_dir(dir);
        for (unsigned below = 0; below < deep; below++) {
            for (unsigned f = 0; f < 5; f++) {
                snprintf(name, sizeof(name), "%.180s/f%u", dir, f);
                cr_assert_eq(mknodat(scratch_fd, name, S_IFREG | 0600, 0), 0);
            }
            snprintf(name, sizeof(name), "%.180s/link", dir);
            put_link(name, scratch);
            cr_assert_lt(strlen(dir), sizeof(dir) - 3);
            strcat(dir, "/d");
            put_dir(dir);
        }
    }
}

static unsigned threads_now(void)
{
    DIR *d = opendir("/proc/self/task");
    unsigned n = 0;

    while (d && readdir(d))
        n++;
    closedir(d);
    return n;
}

Test(file_tree, removal_of_a_large_tree_by_several_threads_takes_all_of_it_and_nothing_else)
{
    unsigned fds = open_fds(), threads = threads_now();

    put_large(60, 30);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
    cr_assert_str_eq(content_of("keep/file"), "kept");
    cr_assert_eq(entries_in(scratch), 1);
    cr_assert_eq(open_fds(), fds);
    cr_assert_eq(threads_now(), threads);
}

Test(file_tree, removal_of_a_large_tree_goes_on_when_fds_run_out)
{
    struct rlimit limit;

    put_large(60, 30);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = open_fds() + 22;
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
}

Test(file_tree, removal_of_a_large_tree_goes_on_without_a_thread_to_be_had)
{
    const struct rlimit none = {0, 0};

    if (geteuid() != 0)
        cr_skip_test("needs root to become somebody who is at the limit");
    cr_assert_eq(chmod(scratch, 0777), 0);
    cr_assert_eq(seteuid(1234), 0);
    put_large(60, 5);
    cr_assert_eq(seteuid(0), 0);
    cr_assert_eq(setrlimit(RLIMIT_NPROC, &none), 0);
    cr_assert_eq(setuid(1234), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
}

Test(file_tree, removal_of_a_large_tree_says_what_it_could_not_take)
{
    _cleanup_(box_error) box_error *err = NULL;
    char from[128], to[128];

    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        cr_skip_test("needs root and a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    close(scratch_fd);
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_large(60, 10);
    snprintf(from, sizeof(from), "%s/keep", scratch);
    snprintf(to, sizeof(to), "%s/t/7/d/d/d", scratch);
    cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", &err), BOX_EBUSY);
    cr_assert_str_eq(box_error_subject(err), "d");
    cr_assert_str_eq(content_of("keep/file"), "kept");
    snprintf(from, sizeof(from), "%s/t/7/d", scratch);
    cr_assert_eq(entries_in(from), 1, "all but the mount is gone");
    snprintf(from, sizeof(from), "%s/t", scratch);
    cr_assert_eq(entries_in(from), 1);
    cr_assert_eq(umount(to), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
}

/* Until the directory is gone, or it has made as many as it wants to. */
static void *keep_adding(void *dir)
{
    char name[32];
    int fd = -1;

    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "file%d", i);
        if (fd >= 0)
            close(fd);
        fd = openat((int)(intptr_t)dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            return NULL;
    }
    close(fd);
    return NULL;
}

Test(file_tree, removal_of_a_directory_that_somebody_adds_to_takes_what_came_late)
{
    for (int i = 0; i < 5; i++) {
        pthread_t adder;
        put_dir("t");
        intptr_t dir = openat(scratch_fd, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_eq(pthread_create(&adder, NULL, keep_adding, (void *)dir), 0);
        cr_expect_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
        pthread_join(adder, NULL);
        close((int)dir);
        box_remove_tree(scratch_fd, "t", NULL);
    }
}

Test(file_tree, removal_as_an_ordinary_user_gets_past_its_own_closed_directories)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to become somebody else");
    cr_assert_eq(chmod(scratch, 0777), 0);
    cr_assert_eq(seteuid(1234), 0);
    put_sample();
    cr_assert_eq(fchmodat(scratch_fd, "t/a/b", 0, 0), 0);
    cr_assert_eq(fchmodat(scratch_fd, "t/a", 0500, 0), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
    cr_assert_not(is_there("t"));
    cr_assert_eq(seteuid(0), 0);
}

Test(file_tree, removal_stops_at_a_mount_and_takes_the_rest)
{
    _cleanup_(box_error) box_error *err = NULL;
    char from[128], to[128];

    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0)
        cr_skip_test("needs root and a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    close(scratch_fd);
    scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    put_sample();
    put_dir("t/mounted");
    snprintf(from, sizeof(from), "%s/keep", scratch);
    snprintf(to, sizeof(to), "%s/t/mounted", scratch);
    cr_assert_eq(mount(from, to, NULL, MS_BIND, NULL), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", &err), BOX_EBUSY);
    cr_assert_str_eq(box_error_subject(err), "mounted");
    cr_assert_str_eq(content_of("keep/file"), "kept");
    snprintf(from, sizeof(from), "%s/t", scratch);
    cr_assert_eq(entries_in(from), 1, "all but the mount is gone");
    cr_assert_eq(umount(to), 0);
    cr_assert_eq(box_remove_tree(scratch_fd, "t", NULL), 0);
}
