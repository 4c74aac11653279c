/* What the tests of cgroups share. Each test makes its cgroups below one of its own, which its end removes
 * whatever happened. */
#ifndef TESTS_KERNEL_CGROUP_HELP_H
#define TESTS_KERNEL_CGROUP_HELP_H

#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/cgroup.h>

#include "base/fail.h"
#include "kernel/cgroup.h"
#include "kernel/cgroup_limits.h"

/* From the root of the hierarchies for root, from our own cgroup for an ordinary user, to whom it may be
 * delegated. */
static inline const char *test_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%slibbox-test-%d%s%s", geteuid() == 0 ? "/" : "", (int)getpid(),
             *name ? "/" : "", name);
    return path;
}

/* What an ordinary user does first: a v2 cgroup that holds processes can hand out no controllers. */
static inline void test_make_room(void)
{
    if (geteuid() != 0)
        box_cgroup_host_make_room(NULL, NULL);
}

static inline void test_clean_up(void)
{
    box_cgroup *all = box_cgroup_open(NULL, test_path(""), NULL);

    if (all) {
        box_cgroup_thaw(all, 1000, NULL);
        box_cgroup_kill(all, SIGKILL, NULL);
        while (waitpid(-1, NULL, 0) > 0)
            ;
        box_cgroup_destroy(all, 5000, NULL);
    }
    box_cgroup_free(all);
}

#define SKIP_UNLESS(condition, ...)    \
    do {                               \
        if (!(condition))              \
            cr_skip_test(__VA_ARGS__); \
    } while (0)

#define NEED_CONTROLLERS(mask)                                                               \
    SKIP_UNLESS((box_cgroup_controllers(NULL, test_path("x")) & (mask)) == (unsigned)(mask), \
                "needs the right to make cgroups, and controllers that this host has not got here")

#define OK(call)                                                              \
    do {                                                                      \
        box_error *ok_err_ = NULL;                                            \
        box_error **err = &ok_err_;                                           \
        int ok_r_ = (call);                                                   \
        cr_assert_geq(ok_r_, 0, "%s: %s", #call, box_error_message(ok_err_)); \
    } while (0)

static inline box_limits *test_limits(void)
{
    box_limits *limits = box_limits_new(NULL);

    cr_assert_not_null(limits);
    return limits;
}

static inline box_cgroup *test_create(const char *name, unsigned controllers, const box_limits *limits)
{
    box_error *err = NULL;
    box_cgroup *cgroup = box_cgroup_create(NULL, test_path(name), controllers, limits, 0, &err);

    cr_assert_not_null(cgroup, "create: %s", box_error_message(err));
    return cgroup;
}

/* A file of the cgroup, without the last newline. */
static inline const char *test_read(const box_cgroup *cgroup, unsigned controller, const char *file)
{
    static char text[65536];
    char path[512];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/%s", box_cgroup_directory(cgroup, controller), file);
    _close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s: %s", path, strerror(errno));
    n = read(fd, text, sizeof(text) - 1);
    cr_assert_geq(n, 0, "%s: %s", path, strerror(errno));
    text[n] = '\0';
    if (n > 0 && text[n - 1] == '\n')
        text[n - 1] = '\0';
    return text;
}

/* Forks a child that runs body, and whose exit status is its result, in the cgroup. Returns when it is in
 * there. */
static inline pid_t test_child(box_cgroup *cgroup, int (*body)(void *), void *data)
{
    struct box_cgroup_entry entry;
    int ready[2];
    char byte;
    pid_t pid;

    OK(box_cgroup_entry_fds(cgroup, &entry, err));
    cr_assert_eq(pipe2(ready, O_CLOEXEC), 0);
    pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        bool in = entry.unified < 0 || write(entry.unified, "0", 1) == 1;
        for (int i = 0; i < entry.count; i++)
            in = in && write(entry.procs[i], "0", 1) == 1;
        if (!in || write(ready[1], "", 1) != 1)
            _exit(99);
        close(ready[0]);
        close(ready[1]);
        _exit(body(data));
    }
    close(ready[1]);
    cr_assert_eq(read(ready[0], &byte, 1), 1, "the child got into the cgroup");
    close(ready[0]);
    box_cgroup_entry_close(&entry);
    return pid;
}

static inline int test_wait(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

static inline int test_run(box_cgroup *cgroup, int (*body)(void *), void *data)
{
    int status = test_wait(test_child(cgroup, body, data));

    cr_assert(WIFEXITED(status), "status %x", status);
    return WEXITSTATUS(status);
}

/* Bodies of children. */
static inline int sleep_on(void *unused)
{
    (void)unused;
    for (;;)
        pause();
    return 0;
}

static inline int count_up(void *counter)
{
    for (;;) {
        __atomic_add_fetch((uint64_t *)counter, 1, __ATOMIC_SEQ_CST);
        usleep(100);
    }
    return 0;
}

static inline uint64_t *shared_counter(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    cr_assert_neq(p, MAP_FAILED);
    return p;
}

static inline uint64_t counter_now(uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_SEQ_CST);
}

/* Waits until the counter has moved, at most 2 s. */
static inline bool counter_moves(uint64_t *counter)
{
    uint64_t before = counter_now(counter);

    for (int i = 0; i < 2000 && counter_now(counter) == before; i++)
        usleep(1000);
    return counter_now(counter) != before;
}

/* 0, or the errno of opening the path for reading. */
static inline int open_errno(void *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

#endif
