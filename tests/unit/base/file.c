#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/file.h"
#include "scratch.h"

TestSuite(file, .init = scratch_make, .fini = scratch_remove);

static mode_t mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(fstatat(scratch_fd, path, &st, AT_SYMLINK_NOFOLLOW), 0, "%s", path);
    return st.st_mode & 07777;
}

static int replace(const char *name, const char *content, unsigned flags, box_error **err)
{
    return box_file_replace(scratch_fd, name, content, strlen(content), 0644, flags, err);
}

Test(file, replace_makes_and_replaces_with_an_exact_mode)
{
    umask(0077);
    cr_assert_eq(replace("f", "one", 0, NULL), 0);
    cr_assert_str_eq(content_of("f"), "one");
    cr_assert_eq(mode_of("f"), 0644);
    cr_assert_eq(replace("f", "", 0, NULL), 0);
    cr_assert_str_eq(content_of("f"), "");
    cr_assert_eq(entries_in(scratch), 1, "nothing is left beside it");
}

Test(file, exclusive_refuses_a_name_that_is_taken_even_by_a_link)
{
    _cleanup_(box_error) box_error *err = NULL;

    put_link("l", "elsewhere");
    cr_assert_eq(replace("f", "one", BOX_FILE_EXCLUSIVE, NULL), 0);
    cr_assert_eq(replace("f", "two", BOX_FILE_EXCLUSIVE, &err), BOX_EEXISTS);
    cr_assert_eq(replace("l", "two", BOX_FILE_EXCLUSIVE, NULL), BOX_EEXISTS);
    cr_assert_str_eq(content_of("f"), "one");
    cr_assert_eq(entries_in(scratch), 2);
}

Test(file, replace_takes_the_place_of_a_link_and_does_not_follow_it)
{
    put_file("target", "old");
    put_link("l", "target");
    cr_assert_eq(replace("l", "new", 0, NULL), 0);
    cr_assert_str_eq(content_of("target"), "old");
    cr_assert_str_eq(content_of("l"), "new");
}

Test(file, abandoned_file_leaves_nothing)
{
    unsigned before = open_fds();
    {
        _file_new_ struct box_file_new f = BOX_FILE_NEW;
        cr_assert_eq(box_file_begin(&f, scratch_fd, 0600, NULL), 0);
        cr_assert_eq(box_write_all(f.fd, "x", 1), 0);
    }
    cr_assert_eq(entries_in(scratch), 0);
    cr_assert_eq(open_fds(), before);
}

Test(file, replace_works_through_an_o_path_directory)
{
    int dir = open(scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);

    cr_assert_eq(box_file_replace(dir, "f", "x", 1, 0600, 0, NULL), 0);
    cr_assert_str_eq(content_of("f"), "x");
    close(dir);
}

Test(file, write_that_fails_leaves_the_old_content)
{
    _cleanup_(box_error) box_error *err = NULL;
    struct rlimit small = {8, 8};

    cr_assert_eq(replace("f", "old", 0, NULL), 0);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    cr_assert_lt(replace("f", "more than eight bytes", 0, &err), 0);
    cr_assert_eq(box_error_errno(err), EFBIG);
    cr_assert_str_eq(content_of("f"), "old");
    cr_assert_eq(entries_in(scratch), 1);
}

Test(file, directory_that_is_in_the_way_is_an_error)
{
    put_dir("d");
    cr_assert_lt(replace("d", "x", 0, NULL), 0);
    cr_assert_eq(entries_in(scratch), 1);
}

/* The child replaces the file as fast as it can; whenever it is killed, one whole content is there. */
Test(file, kill_at_any_instant_leaves_old_or_new)
{
    enum { SIZE = 20000 };
    static char content[2][SIZE + 1];

    memset(content[0], 'a', SIZE);
    memset(content[1], 'b', SIZE);
    cr_assert_eq(replace("f", content[0], BOX_FILE_NO_SYNC, NULL), 0);
    for (int round = 0; round < 30; round++) {
        pid_t child = fork();
        if (child == 0)
            for (int i = 0;; i++)
                replace("f", content[i % 2], BOX_FILE_NO_SYNC, NULL);
        usleep(1000 + 300 * (unsigned)round);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        _free_ char *seen = NULL;
        size_t length = 0;
        cr_assert_eq(box_file_read(scratch_fd, "f", SIZE + 1, &seen, &length, NULL), 0);
        cr_assert_eq(length, SIZE);
        cr_assert(strcmp(seen, content[0]) == 0 || strcmp(seen, content[1]) == 0);
    }
    DIR *d = opendir(scratch);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        cr_expect(e->d_name[0] == '.' || strcmp(e->d_name, "f") == 0);
    rewinddir(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        cr_expect(strcmp(e->d_name, "f") == 0 || strlen(e->d_name) <= 2 || box_file_is_temporary(e->d_name));
    closedir(d);
}

Test(file, read_takes_a_file_up_to_its_limit)
{
    _free_ char *data = NULL;
    _cleanup_(box_error) box_error *err = NULL;
    size_t n = 0;

    put_file("f", "12345678");
    cr_assert_eq(box_file_read(scratch_fd, "f", 8, &data, &n, NULL), 0);
    cr_assert(n == 8 && strcmp(data, "12345678") == 0);
    char *untouched = NULL;
    cr_assert_eq(box_file_read(scratch_fd, "f", 7, &untouched, &n, &err), BOX_ELIMIT);
    cr_assert_null(untouched);
    cr_assert_str_eq(box_error_subject(err), "f");
}

Test(file, read_takes_files_of_proc_that_have_no_size)
{
    _free_ char *data = NULL;
    size_t n = 0;

    cr_assert_eq(box_file_read(AT_FDCWD, "/proc/self/smaps", 16 << 20, &data, &n, NULL), 0);
    cr_assert_gt(n, 4096);
    cr_assert_eq(strlen(data), n);
}

Test(file, read_refuses_what_is_no_regular_file_without_blocking)
{
    char *data = NULL;

    cr_assert_eq(mkfifoat(scratch_fd, "fifo", 0600), 0);
    put_dir("d");
    cr_assert_eq(box_file_read(scratch_fd, "fifo", 10, &data, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_file_read(scratch_fd, "d", 10, &data, NULL, NULL), BOX_EINVAL);
    cr_assert_eq(box_file_read(scratch_fd, "nowhere", 10, &data, NULL, NULL), BOX_ENOTFOUND);
    cr_assert_null(data);
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void *write_slowly(void *data)
{
    int fd = *(int *)data;

    for (int i = 0; i < 10; i++) {
        usleep(2000);
        cr_assert_eq(box_write_all(fd, "0123456789", 10), 0);
    }
    close(fd);
    return NULL;
}

Test(file, interrupted_and_short_reads_go_on_to_the_end)
{
    int pair[2];
    pthread_t writer;
    char data[200];
    struct sigaction action = {.sa_handler = on_alarm};
    sigset_t alarm_only;

    sigaction(SIGALRM, &action, NULL);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, NULL);
    cr_assert_eq(pthread_create(&writer, NULL, write_slowly, &pair[1]), 0);
    pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL);
    ualarm(1000, 1000);
    cr_assert_eq(box_read_all(pair[0], data, sizeof(data)), 100);
    ualarm(0, 0);
    pthread_join(writer, NULL);
    close(pair[0]);
}

Test(file, dir_open_makes_what_is_missing_with_its_mode)
{
    char path[128];

    umask(0077);
    snprintf(path, sizeof(path), "%s//x/./y/", scratch);
    int fd = box_dir_open(AT_FDCWD, path, 0751, NULL);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(mode_of("x"), 0751);
    cr_assert_eq(mode_of("x/y"), 0751);
    fd = box_dir_open(scratch_fd, "x/y", 0700, NULL);
    cr_assert_geq(fd, 0);
    cr_assert_eq(fsync(fd), 0, "it is not an O_PATH fd");
    close(fd);
    cr_assert_eq(mode_of("x/y"), 0751, "what was there keeps its mode");
    put_file("f", "");
    cr_assert_lt(box_dir_open(scratch_fd, "f/x", 0700, NULL), 0);
    cr_assert_eq(box_dir_open(scratch_fd, "", 0700, NULL), BOX_ENOTFOUND);
}

Test(file, dir_open_passes_directories_that_it_may_not_read)
{
    if (geteuid() != 0)
        cr_skip_test("needs root to become somebody else");
    put_dir("closed");
    put_dir("closed/mine");
    cr_assert_eq(fchownat(scratch_fd, "closed/mine", 1234, 1234, 0), 0);
    cr_assert_eq(fchmodat(scratch_fd, "closed", 0711, 0), 0);
    cr_assert_eq(chmod(scratch, 0711), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/closed/mine/new", scratch);
    cr_assert_eq(seteuid(1234), 0);
    int fd = box_dir_open(AT_FDCWD, path, 0700, NULL);
    cr_assert_eq(seteuid(0), 0);
    cr_assert_geq(fd, 0);
    close(fd);
}

/* Locks */

static int try_lock(enum box_lock kind)
{
    return box_lock_take(scratch_fd, "lock", kind, box_deadline_in_ms(0), NULL);
}

Test(file, exclusive_lock_excludes_also_within_the_process)
{
    int one = try_lock(BOX_LOCK_EXCLUSIVE);

    cr_assert_geq(one, 0);
    cr_assert_eq(try_lock(BOX_LOCK_EXCLUSIVE), BOX_EBUSY);
    cr_assert_eq(try_lock(BOX_LOCK_SHARED), BOX_EBUSY);
    close(one);
    one = try_lock(BOX_LOCK_SHARED);
    int two = try_lock(BOX_LOCK_SHARED);
    cr_assert(one >= 0 && two >= 0);
    cr_assert_eq(try_lock(BOX_LOCK_EXCLUSIVE), BOX_EBUSY);
    close(one);
    close(two);
}

Test(file, lock_waits_until_its_deadline_and_not_longer)
{
    int held = try_lock(BOX_LOCK_EXCLUSIVE);
    int64_t start = box_clock_ns();
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_lock_take(scratch_fd, "lock", BOX_LOCK_SHARED, box_deadline_in_ms(30), &err), BOX_EBUSY);
    cr_assert_geq(box_clock_ns() - start, 30 * BOX_MS);
    cr_assert_lt(box_clock_ns() - start, 2 * BOX_S);
    cr_assert_str_eq(box_error_subject(err), "lock");
    close(held);
}

Test(file, lock_ends_with_the_process_that_held_it)
{
    int ready[2];
    char byte;

    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        if (try_lock(BOX_LOCK_EXCLUSIVE) >= 0)
            box_write_all(ready[1], "x", 1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    cr_assert_eq(try_lock(BOX_LOCK_EXCLUSIVE), BOX_EBUSY);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    int fd = try_lock(BOX_LOCK_EXCLUSIVE);
    cr_assert_geq(fd, 0);
    close(fd);
}

static atomic_int inside, overlaps, failures;

static void *lock_and_remove(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) {
        int fd = box_lock_take(scratch_fd, "lock", BOX_LOCK_EXCLUSIVE,
                               i % 2 ? BOX_NEVER : box_deadline_in_ms(20000), NULL);
        if (fd < 0) {
            atomic_fetch_add(&failures, 1);
            continue;
        }
        if (atomic_fetch_add(&inside, 1) != 0)
            atomic_fetch_add(&overlaps, 1);
        atomic_fetch_sub(&inside, 1);
        if (i % 3)
            box_lock_remove(scratch_fd, "lock", fd);
        else
            close(fd);
    }
    return NULL;
}

Test(file, lock_excludes_while_the_lock_file_is_removed_and_made_again)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, lock_and_remove, NULL), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_assert_eq(overlaps, 0);
    cr_assert_eq(failures, 0);
}

static atomic_int got_it;

static void *wait_for_lock(void *unused)
{
    int fd = box_lock_take(scratch_fd, "lock", BOX_LOCK_EXCLUSIVE, BOX_NEVER, NULL);

    (void)unused;
    atomic_store(&got_it, fd >= 0 ? 1 : -1);
    close(fd);
    return NULL;
}

Test(file, lock_of_a_file_that_lost_its_name_is_not_taken_for_the_lock)
{
    int old = try_lock(BOX_LOCK_EXCLUSIVE);
    pthread_t waiter;

    cr_assert_eq(pthread_create(&waiter, NULL, wait_for_lock, NULL), 0);
    usleep(30000); /* it waits for the old file now */
    cr_assert_eq(unlinkat(scratch_fd, "lock", 0), 0);
    int held = try_lock(BOX_LOCK_EXCLUSIVE);
    cr_assert_geq(held, 0);
    close(old);
    usleep(30000);
    cr_assert_eq(got_it, 0, "the lock on the new file is held");
    close(held);
    pthread_join(waiter, NULL);
    cr_assert_eq(got_it, 1);
}

Test(file, lock_file_that_is_a_link_is_refused)
{
    put_link("lock", "elsewhere");
    cr_assert_lt(try_lock(BOX_LOCK_EXCLUSIVE), 0);
    cr_assert_not(is_there("elsewhere"));
}

Test(file, random_names_have_their_length_and_differ)
{
    char one[65], two[65];

    cr_assert_eq(box_random_hex(one, 64, NULL), 0);
    cr_assert_eq(box_random_hex(two, 64, NULL), 0);
    cr_assert_eq(strspn(one, "0123456789abcdef"), 64);
    cr_assert_eq(strlen(one), 64);
    cr_assert_str_neq(one, two);
}

Test(file, resolver_results_become_errors_that_name_the_path)
{
    _cleanup_(box_error) box_error *err = NULL;

    cr_assert_eq(box_fail_resolve(&err, -EXDEV, "/a/b", "open the %s", "target"), BOX_EESCAPE);
    cr_assert(strstr(box_error_message(err), "open the target: /a/b"));
    cr_assert_eq(box_fail_resolve(NULL, -ELOOP, "/", "x"), BOX_EESCAPE);
    cr_assert_eq(box_fail_resolve(NULL, -ENOENT, "/", "x"), BOX_ENOTFOUND);
    cr_assert_eq(box_fail_resolve(NULL, -EAGAIN, "/", "x"), BOX_EBUSY);
    cr_assert_eq(box_fail_resolve(NULL, -ENAMETOOLONG, "/", "x"), BOX_ELIMIT);
}
