#include "helper.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <libbox/pidfd.h>

Test(pidfd, opens_a_process_and_tells_its_number)
{
    pid_t pid = start_sleeper(), found = 0;
    int fd = box_pidfd_open(pid, NULL);

    cr_assert_geq(fd, 0);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    OK(box_pidfd_pid(fd, &found, err));
    cr_assert_eq(found, pid);
    end_sleeper(pid);
    FAILS(BOX_ENOTFOUND, box_pidfd_pid(fd, &found, err));
    FAILS(BOX_ENOTFOUND, box_pidfd_open(pid, err));
    close(fd);
}

Test(pidfd, a_start_time_tells_a_process_from_a_later_one_with_its_number)
{
    pid_t pid = start_sleeper();
    uint64_t start;

    OK(box_pidfd_start_time(pid, &start, err));
    int fd = box_pidfd_open_started(pid, start, NULL);
    cr_assert_geq(fd, 0);
    close(fd);
    FAILS(BOX_ENOTFOUND, box_pidfd_open_started(pid, start + 1, err));
    end_sleeper(pid);
    FAILS(BOX_ENOTFOUND, box_pidfd_open_started(pid, start, err));
}

Test(pidfd, a_process_name_made_to_look_like_fields_does_not_shift_the_start_time)
{
    uint64_t before, after;

    OK(box_pidfd_start_time(getpid(), &before, err));
    cr_assert_eq(prctl(PR_SET_NAME, ") R 1 1 1 1 1"), 0);
    OK(box_pidfd_start_time(getpid(), &after, err));
    cr_assert_eq(before, after);
}

Test(pidfd, two_descriptors_of_one_process_are_the_same_and_of_two_are_not)
{
    pid_t a = start_sleeper(), b = start_sleeper();
    int a1 = box_pidfd_open(a, NULL), a2 = box_pidfd_open(a, NULL), b1 = box_pidfd_open(b, NULL);
    bool same = false;

    OK(box_pidfd_same(a1, a2, &same, err));
    cr_assert(same);
    OK(box_pidfd_same(a1, b1, &same, err));
    cr_assert(!same);
    end_sleeper(a);
    OK(box_pidfd_same(a1, b1, &same, err));
    cr_assert(!same);
    end_sleeper(b);
    close(a1), close(a2), close(b1);
}

Test(pidfd, a_signal_reaches_the_process_and_its_end_is_told)
{
    pid_t pid = start_sleeper();
    int fd = box_pidfd_open(pid, NULL);
    box_pidfd_status status;

    FAILS(BOX_ETIMEOUT, box_pidfd_wait(fd, 10, err));
    FAILS(BOX_ETIMEOUT, box_pidfd_reap(fd, 0, &status, err));
    OK(box_pidfd_signal(fd, SIGUSR1, err));
    OK(box_pidfd_reap(fd, -1, &status, err));
    cr_assert(status.known);
    cr_assert_eq(status.signal, SIGUSR1);
    cr_assert_eq(status.code, -1);
    FAILS(BOX_ENOTFOUND, box_pidfd_signal(fd, SIGUSR1, err));
    close(fd);
}

Test(pidfd, reaping_tells_the_exit_status)
{
    pid_t pid = fork();
    box_pidfd_status status;

    if (pid == 0)
        _exit(7);
    int fd = box_pidfd_open(pid, NULL);
    OK(box_pidfd_reap(fd, -1, &status, err));
    cr_assert(status.known);
    cr_assert_eq(status.code, 7);
    cr_assert_eq(status.signal, 0);
    close(fd);
}

Test(pidfd, a_child_that_somebody_else_reaped_is_no_error_and_its_status_is_known_where_the_kernel_keeps_it)
{
    pid_t pid = fork();
    box_pidfd_status status;
    box_pidfd_info info;

    if (pid == 0)
        _exit(9);
    int fd = box_pidfd_open(pid, NULL);
    cr_assert_eq(waitpid(-1, NULL, 0), pid);
    OK(box_pidfd_reap(fd, 1000, &status, err));
    if (box_pidfd_get_info(fd, &info, NULL) == 0)
        cr_assert(info.has_exit && status.known && status.code == 9);
    else
        cr_assert(!status.known);
    close(fd);
}

Test(pidfd, a_stranger_can_be_waited_for_but_not_reaped)
{
    int ends[2];
    pid_t grandchild;
    box_pidfd_status status;

    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        grandchild = fork();
        if (grandchild == 0)
            for (;;)
                pause();
        cr_assert_eq(write(ends[1], &grandchild, sizeof(grandchild)), sizeof(grandchild));
        for (;;)
            pause();
    }
    cr_assert_eq(read(ends[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
    int fd = box_pidfd_open(grandchild, NULL);
    OK(box_pidfd_signal(fd, SIGKILL, err));
    OK(box_pidfd_wait(fd, 5000, err));
    FAILS(BOX_ECHILD, box_pidfd_reap(fd, 0, &status, err));
    end_sleeper(pid);
    close(fd), close(ends[0]), close(ends[1]);
}

Test(pidfd, getfd_copies_a_descriptor_that_only_the_other_process_has)
{
    int ends[2], ready[2];
    char byte = 0;

    cr_assert_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (pipe(ends) < 0 || dup2(ends[0], 100) < 0 || write(ends[1], "x", 1) != 1 ||
            write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    cr_assert_eq(read(ready[0], &byte, 1), 1);
    int fd = box_pidfd_open(pid, NULL);
    int copy = box_pidfd_getfd(fd, 100, NULL);
    if (copy == BOX_EPERMISSION) {
        end_sleeper(pid);
        cr_skip_test("tracing is not allowed here");
    }
    cr_assert_geq(copy, 0);
    cr_assert_eq(read(copy, &byte, 1), 1);
    cr_assert_eq(byte, 'x');
    cr_assert(fcntl(copy, F_GETFD) & FD_CLOEXEC);
    end_sleeper(pid);
    close(fd), close(copy), close(ready[0]), close(ready[1]);
}

Test(pidfd, what_is_no_pidfd_is_refused)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid;
    box_pidfd_info info;

    FAILS(BOX_EINVAL, box_pidfd_pid(fd, &pid, err));
    cr_assert_lt(box_pidfd_get_info(fd, &info, NULL), 0);
    FAILS(BOX_EINVAL, box_pidfd_wait(900, 0, err));
    FAILS(BOX_ENOTFOUND, box_pidfd_open(0, err));
    FAILS(BOX_ENOTFOUND, box_pidfd_open(-1, err));
    close(fd);
}

Test(pidfd, info_names_the_process_and_its_owner)
{
    pid_t pid = start_sleeper();
    int fd = box_pidfd_open(pid, NULL);
    box_pidfd_info info;
    int r = box_pidfd_get_info(fd, &info, NULL);

    end_sleeper(pid);
    close(fd);
    if (r == BOX_EUNSUPPORTED)
        cr_skip_test("this kernel has no PIDFD_GET_INFO");
    cr_assert_eq(r, 0);
    cr_assert(info.has_ids);
    cr_assert_eq(info.pid, pid);
    cr_assert_eq(info.ppid, getpid());
    cr_assert_eq(info.euid, geteuid());
    cr_assert(!info.has_exit);
}
