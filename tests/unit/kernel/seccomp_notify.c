/* Supervising: a child's calls wait at the listener of this process. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "kernel/seccomp_filter.h"
#include "kernel/seccomp_policy.h"

BOX_CLEANUP(box_seccomp_notify, box_seccomp_notify_free);

struct child {
    pid_t pid;
    box_seccomp_notify *notify;
};

static void send_fd(int to, int fd)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec byte = {.iov_base = "", .iov_len = 1};
    struct msghdr message = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control.bytes)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    if (sendmsg(to, &message, 0) != 1)
        _exit(98);
}

static int receive_fd(int from)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &vector,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.bytes)};
    int fd = -1;

    cr_assert_eq(recvmsg(from, &message, MSG_CMSG_CLOEXEC), 1);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

/* Starts a child that runs the function under the filter. */
static struct child start(const box_seccomp_filter *filter, int (*function)(void))
{
    struct child child;
    int pair[2], listener;

    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    child.pid = fork();
    if (child.pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || box_seccomp_apply(filter, &listener, NULL) < 0)
            _exit(99);
        send_fd(pair[1], listener);
        close(listener);
        close(pair[0]);
        close(pair[1]);
        _exit(function());
    }
    close(pair[1]);
    listener = receive_fd(pair[0]);
    close(pair[0]);
    child.notify = box_seccomp_notify_new(listener, NULL);
    cr_assert_not_null(child.notify);
    close(listener);
    return child;
}

static int finish(struct child *child)
{
    int status = 0;

    cr_assert_eq(waitpid(child->pid, &status, 0), child->pid);
    box_seccomp_notify_free(child->notify);
    return status;
}

/* Waits for the next request by way of the fd, as an event loop would. */
static struct box_seccomp_request next(struct child *child)
{
    struct pollfd fd = {.fd = box_seccomp_notify_fd(child->notify), .events = POLLIN};
    struct box_seccomp_request request = {0};
    box_error *err = NULL;

    cr_assert_eq(poll(&fd, 1, 5000), 1);
    int r = box_seccomp_notify_receive(child->notify, &request, &err);
    cr_assert_eq(r, 1, "%s", box_error_message(err));
    cr_assert_eq(request.pid, child->pid);
    return request;
}

static box_seccomp_filter *asking_about(const char *const *names)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_NOTIFY, 0, names, NULL, 0, NULL), 0);
    cr_assert_eq(box_seccomp_set_flags(policy, BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV, NULL), 0);
    box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    cr_assert_not_null(filter);
    return filter;
}
#define ASKING_ABOUT(...) asking_about((const char *const[]){__VA_ARGS__, NULL})

static const char secret[] = "/a/path/in/the/child";

static pid_t parent;

static int three_calls(void)
{
    if (syscall(SYS_getppid) != 123456)
        return 1;
    if (syscall(SYS_chdir, secret) != -1 || errno != ENOTDIR)
        return 2;
    return syscall(SYS_getppid) == parent ? 0 : 3;
}

Test(seccomp_notify, a_call_gets_the_value_the_error_or_the_leave_to_go_on_that_it_is_given)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = ASKING_ABOUT("getppid", "chdir");
    parent = getpid();
    struct child child = start(filter, three_calls);

    struct box_seccomp_request request = next(&child);
    cr_expect_eq(request.call.number, SYS_getppid);
    cr_expect_str_eq(box_syscall_name(request.call.arch, request.call.number), "getppid");
    cr_expect_eq(box_seccomp_notify_value(child.notify, request.id, 123456, NULL), 0);

    request = next(&child);
    char path[64];
    cr_expect_eq(request.call.number, SYS_chdir);
    cr_expect_eq(box_seccomp_notify_read_string(child.notify, &request, request.call.args[0], path,
                                                sizeof(path), NULL),
                 0);
    cr_expect_str_eq(path, secret);
    cr_expect_eq(box_seccomp_notify_read_string(child.notify, &request, request.call.args[0], path,
                                                sizeof(secret) - 1, NULL),
                 BOX_ELIMIT);
    cr_expect_eq(box_seccomp_notify_read_string(child.notify, &request, request.call.args[0], path,
                                                sizeof(secret), NULL),
                 0);
    cr_expect_eq(box_seccomp_notify_read(child.notify, &request, request.call.args[0], path, 4, NULL), 4);
    cr_expect_eq(box_seccomp_notify_read(child.notify, &request, 8, path, 4, NULL), BOX_ESYSTEM);
    cr_expect_eq(box_seccomp_notify_error(child.notify, request.id, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_notify_error(child.notify, request.id, ENOTDIR, NULL), 0);

    request = next(&child);
    cr_expect_eq(box_seccomp_notify_continue(child.notify, request.id, NULL), 0);
    cr_expect_eq(finish(&child), 0);
}

static int read_given_fd(void)
{
    char text[8] = "";
    int fd = (int)syscall(SYS_openat, -1, "imaginary", 0);

    if (fd < 0 || read(fd, text, 5) != 5 || strcmp(text, "hello") != 0 || !(fcntl(fd, F_GETFD) & FD_CLOEXEC))
        return 1;
    /* Given before the call was answered. */
    if (syscall(SYS_openat, -1, "second", 0) != 0)
        return 2;
    return read(77, text, 5) == 5 && strcmp(text, "world") == 0 && !(fcntl(77, F_GETFD) & FD_CLOEXEC) ? 0 : 3;
}

Test(seccomp_notify, a_call_is_answered_with_an_open_file)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = ASKING_ABOUT("openat");
    struct child child = start(filter, read_given_fd);
    int fds[2];

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    cr_assert_eq(write(fds[1], "helloworld", 10), 10);
    struct box_seccomp_request request = next(&child);
    cr_expect_geq(box_seccomp_notify_send_fd(child.notify, request.id, fds[0], true, NULL), 0);
    request = next(&child);
    cr_expect_eq(box_seccomp_notify_add_fd(child.notify, request.id, fds[0], 77, false, NULL), 77);
    cr_expect_eq(box_seccomp_notify_id_valid(child.notify, request.id, NULL), 1);
    cr_expect_eq(box_seccomp_notify_value(child.notify, request.id, 0, NULL), 0);
    cr_expect_eq(finish(&child), 0);
    close(fds[0]);
    close(fds[1]);
}

static int wait_for_ever(void)
{
    syscall(SYS_getppid);
    return 1;
}

Test(seccomp_notify, a_caller_that_is_gone_is_told_apart_from_a_fault)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = ASKING_ABOUT("getppid");
    struct child child = start(filter, wait_for_ever);
    struct box_seccomp_request request = next(&child);
    char byte;

    cr_expect_eq(box_seccomp_notify_id_valid(child.notify, request.id, NULL), 1);
    cr_assert_eq(kill(child.pid, SIGKILL), 0);
    cr_assert_eq(waitpid(child.pid, NULL, 0), child.pid);
    cr_expect_eq(box_seccomp_notify_id_valid(child.notify, request.id, NULL), 0);
    cr_expect_eq(box_seccomp_notify_value(child.notify, request.id, 0, NULL), BOX_ENOTFOUND);
    cr_expect_eq(box_seccomp_notify_add_fd(child.notify, request.id, 0, -1, true, NULL), BOX_ENOTFOUND);
    cr_expect_eq(box_seccomp_notify_send_fd(child.notify, request.id, 0, true, NULL), BOX_ENOTFOUND);
    cr_expect_eq(box_seccomp_notify_read(child.notify, &request, (uintptr_t)secret, &byte, 1, NULL),
                 BOX_ENOTFOUND);
    cr_expect_eq(box_seccomp_notify_receive(child.notify, &request, NULL), 0);
    box_seccomp_notify_free(child.notify);
}

static int end_at_once(void)
{
    return 0;
}

Test(seccomp_notify, the_listener_hangs_up_when_nobody_is_left)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = ASKING_ABOUT("getppid");
    struct child child = start(filter, end_at_once);
    struct pollfd fd = {.fd = box_seccomp_notify_fd(child.notify), .events = POLLIN};
    struct box_seccomp_request request;

    cr_expect_eq(poll(&fd, 1, 5000), 1);
    cr_expect(fd.revents & POLLHUP);
    cr_expect_not(fd.revents & POLLIN);
    cr_expect_eq(box_seccomp_notify_receive(child.notify, &request, NULL), 0);
    cr_expect_eq(finish(&child), 0);
}

static int attack(void)
{
    return ptrace(PTRACE_TRACEME, 0, 0, 0) == 0 ? 1 : errno;
}

Test(seccomp_notify, a_supervisor_names_the_call_that_was_to_kill)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_strict(NULL);
    unsigned value;

    box_seccomp_report_kills(policy, true);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    cr_assert(box_seccomp_filter_notifies(filter));
    struct child child = start(filter, attack);
    struct box_seccomp_request request = next(&child);
    cr_expect_str_eq(box_syscall_name(request.call.arch, request.call.number), "ptrace");
    cr_expect_eq(box_seccomp_filter_evaluate(filter, &request.call, &value), BOX_SECCOMP_KILL_PROCESS);
    cr_assert_eq(kill(child.pid, SIGKILL), 0);
    cr_expect_eq(finish(&child), SIGKILL);
}

Test(seccomp_notify, without_a_supervisor_the_call_fails)
{
    _cleanup_(box_seccomp) box_seccomp *policy = box_seccomp_new_strict(NULL);

    box_seccomp_report_kills(policy, true);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_compile(policy, NULL);
    struct child child = start(filter, attack);
    box_seccomp_notify_free(child.notify);
    child.notify = NULL;
    cr_expect_eq(finish(&child), ENOSYS << 8);
}

Test(seccomp_notify, what_is_no_listener_is_refused)
{
    struct box_seccomp_request request;
    int fds[2];

    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    cr_expect_null(box_seccomp_notify_new(-1, NULL));
    _cleanup_(box_seccomp_notify) box_seccomp_notify *notify = box_seccomp_notify_new(fds[0], NULL);
    cr_assert_not_null(notify);
    cr_assert_eq(write(fds[1], "x", 1), 1);
    cr_expect_lt(box_seccomp_notify_receive(notify, &request, NULL), 0);
    cr_expect_lt(box_seccomp_notify_id_valid(notify, 1, NULL), 0);
    close(fds[0]);
    close(fds[1]);
}
