/* Small things that the tests of the kernel floor share. */
#ifndef BOX_TESTS_KERNEL_HELPER_H
#define BOX_TESTS_KERNEL_HELPER_H

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"

#define NEED_ROOT()                                \
    do {                                           \
        if (geteuid() != 0)                        \
            cr_skip_test("only root can do this"); \
    } while (0)

/* A call that must succeed, with what it said when it did not. */
#define OK(call)                                                          \
    do {                                                                  \
        box_error *ok_err = NULL, **err = &ok_err;                        \
        int ok_r = (call);                                                \
        cr_assert(ok_r >= 0, "%s: %s", #call, box_error_message(ok_err)); \
    } while (0)

/* A call that must fail with this code. The error is freed. */
#define FAILS(code, call)                                                                \
    do {                                                                                 \
        box_error *fails_err = NULL, **err = &fails_err;                                 \
        int fails_r = (call);                                                            \
        cr_assert_eq(fails_r, (code), "%s: %s: %s", #call, box_error_code_name(fails_r), \
                     box_error_message(fails_err));                                      \
        cr_assert_eq(box_error_code(fails_err), (code));                                 \
        box_error_free(fails_err);                                                       \
    } while (0)

/* A process that waits for a signal, in the middle of nothing. */
static inline pid_t start_sleeper(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    return pid;
}

static inline void end_sleeper(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* The test process, alone in a mount namespace whose changes nobody sees, with an empty tmpfs at `dir`. */
static inline void private_mounts(const char *dir)
{
    cr_assert_eq(unshare(CLONE_NEWNS), 0, "unshare: %s", strerror(errno));
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(mount("test", dir, "tmpfs", 0, "mode=755"), 0);
}

static inline int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

#endif
