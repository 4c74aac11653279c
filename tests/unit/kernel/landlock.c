#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/capability.h>

#include "kernel/landlock_rules.h"

static char dir[] = "/tmp/libbox-test-landlock-XXXXXX";

static void put(const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, "#!/bin/sh\n", 10), 10);
    close(fd);
}

static int try_open(const char *name, int flags)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, flags | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

/* The tests confine themselves, and could not remove what they made: a parent does. */
static void setup(void)
{
    char path[128];

    cr_assert_not_null(mkdtemp(dir));
    const char *subs[] = {"in", "out"};
    for (size_t i = 0; i < BOX_ARRAY(subs); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, subs[i]);
        cr_assert_eq(mkdir(path, 0755), 0);
    }
    put("in/file");
    put("out/file");
}

static void teardown(void)
{
    const char *files[] = {"in/file", "out/file", "in/new", "out/new", "in", "out", ""};
    char path[128];

    for (size_t i = 0; i < BOX_ARRAY(files); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        remove(path);
    }
}

/* Runs a check in a child, so that the test itself stays unconfined. */
static void in_child(void (*check)(void))
{
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        check();
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "the check on line %d failed", WEXITSTATUS(status));
}

/* In the child: the exit status is the line that failed. Lines above 255 would wrap, so they are counted from
 * a base. */
#define MUST(x)                        \
    do {                               \
        if (!(x))                      \
            _exit(__LINE__ % 255 + 1); \
    } while (0)

static void need_abi(int abi)
{
    if (box_landlock_abi() < abi)
        cr_skip_test("this kernel's Landlock is too old");
}

static char *inside(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

TestSuite(landlock, .init = setup, .fini = teardown);

Test(landlock, each_abi_governs_what_the_one_before_did_and_more)
{
    uint64_t fs, net, scope;
    uint32_t log;

    box_landlock_abi_rights(0, &fs, &net, &scope, &log);
    cr_assert_eq(fs | net | scope | log, 0);
    box_landlock_abi_rights(1, &fs, &net, &scope, &log);
    cr_assert_eq(fs, 0x1fff);
    cr_assert_eq(net | scope | log, 0);
    box_landlock_abi_rights(2, &fs, NULL, NULL, NULL);
    cr_assert_eq(fs, 0x3fff);
    box_landlock_abi_rights(3, &fs, &net, NULL, NULL);
    cr_assert_eq(fs, 0x7fff);
    cr_assert_eq(net, 0);
    box_landlock_abi_rights(4, &fs, &net, NULL, NULL);
    cr_assert_eq(fs, 0x7fff);
    cr_assert_eq(net, 3);
    box_landlock_abi_rights(5, &fs, NULL, &scope, NULL);
    cr_assert_eq(fs, 0xffff);
    cr_assert_eq(scope, 0);
    box_landlock_abi_rights(6, NULL, NULL, &scope, &log);
    cr_assert_eq(scope, 3);
    cr_assert_eq(log, 0);
    box_landlock_abi_rights(1000, &fs, &net, &scope, &log);
    cr_assert_eq(log, 7);
}

Test(landlock, every_bit_has_a_name)
{
    const struct {
        enum box_landlock_kind kind;
        uint64_t all;
    } kinds[] = {{BOX_LANDLOCK_KIND_FS, BOX_LANDLOCK_FS_ALL},
                 {BOX_LANDLOCK_KIND_NET, BOX_LANDLOCK_NET_ALL},
                 {BOX_LANDLOCK_KIND_SCOPE, BOX_LANDLOCK_SCOPE_ALL},
                 {BOX_LANDLOCK_KIND_LOG, BOX_LANDLOCK_LOG_ALL}};

    for (size_t i = 0; i < BOX_ARRAY(kinds); i++) {
        for (uint64_t bit = 1; bit & kinds[i].all; bit <<= 1)
            cr_assert_eq(box_landlock_bit_number(kinds[i].kind, box_landlock_bit_name(kinds[i].kind, bit)),
                         bit);
        cr_assert_null(box_landlock_bit_name(kinds[i].kind, kinds[i].all + 1));
        cr_assert_eq(box_landlock_bit_number(kinds[i].kind, "nothing"), 0);
    }
    cr_assert_str_eq(box_landlock_bit_name(BOX_LANDLOCK_KIND_FS, BOX_LANDLOCK_FS_TRUNCATE), "truncate");
    cr_assert_str_eq(box_landlock_bit_name(BOX_LANDLOCK_KIND_FS, BOX_LANDLOCK_FS_IOCTL_DEV), "ioctl_dev");
}

Test(landlock, what_is_no_kind_of_access_is_refused)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);

    cr_assert_eq(box_landlock_handle_fs(l, BOX_LANDLOCK_FS_ALL + 1, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_handle_net(l, 4, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_scope(l, 4, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_log(l, 8, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_path(l, "/", 0, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_path(l, "", BOX_LANDLOCK_FS_READ, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_path(l, NULL, BOX_LANDLOCK_FS_READ, 0, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_path(l, "/", BOX_LANDLOCK_FS_READ, 2, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_fd(l, -1, BOX_LANDLOCK_FS_READ, NULL), BOX_ESYSTEM);
    cr_assert_eq(box_landlock_allow_port(l, 65536, BOX_LANDLOCK_NET_BIND_TCP, NULL), BOX_EINVAL);
    cr_assert_eq(box_landlock_allow_port(l, 1, 0, NULL), BOX_EINVAL);
    cr_assert_eq(l->fs | l->net | l->scope | l->log | l->n_paths | l->n_ports, 0);
}

Test(landlock, a_copy_has_fds_of_its_own)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    int fd = open(dir, O_PATH | O_CLOEXEC);

    cr_assert_eq(box_landlock_handle_fs(l, BOX_LANDLOCK_FS_READ, NULL), 0);
    cr_assert_eq(box_landlock_allow_fd(l, fd, BOX_LANDLOCK_FS_READ, NULL), 0);
    close(fd);
    for (unsigned i = 0; i < 5; i++) {
        cr_assert_eq(
            box_landlock_allow_path(l, "/usr", BOX_LANDLOCK_FS_READ, BOX_LANDLOCK_MAY_BE_MISSING, NULL), 0);
        cr_assert_eq(box_landlock_allow_port(l, i, BOX_LANDLOCK_NET_BIND_TCP, NULL), 0);
    }
    box_landlock_set_best_effort(l, 1);
    _cleanup_(box_landlock) box_landlock *copy = box_landlock_copy(l, NULL);
    cr_assert_eq(copy->n_paths, 6);
    cr_assert_eq(copy->n_ports, 5);
    cr_assert_eq(copy->ports[4].port, 4);
    cr_assert_neq(copy->paths[0].fd, l->paths[0].fd);
    cr_assert(fcntl(copy->paths[0].fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_str_eq(copy->paths[5].path, "/usr");
    cr_assert_eq(copy->paths[5].flags, BOX_LANDLOCK_MAY_BE_MISSING);
    cr_assert(copy->best_effort);
    cr_assert_eq(copy->fs, l->fs);
}

Test(landlock, the_text_of_a_loss_names_what_is_lost)
{
    struct box_landlock_loss loss = {
        .abi = 2, .fs = BOX_LANDLOCK_FS_TRUNCATE, .net = 3, .scope = 2, .log = 1};
    _free_ char *text = box_landlock_loss_text(&loss);

    cr_assert_str_eq(
        text, "truncate, bind_tcp, connect_tcp, signal, log_same_exec_off (this kernel has Landlock ABI 2)");
    struct box_landlock_loss none = {.abi = 7}, all = {.fs = 1};
    _free_ char *nothing = box_landlock_loss_text(&none), *everything = box_landlock_loss_text(&all);
    cr_assert_str_eq(nothing, "");
    cr_assert_str_eq(everything, "execute (this kernel has no Landlock)");
}

Test(landlock, a_ruleset_that_handles_nothing_needs_no_kernel)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    int fd = 5;

    cr_assert_eq(box_landlock_create(l, &fd, NULL, NULL), 0);
    cr_assert_eq(fd, -1);
}

static void only_reading(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    box_landlock_handle_up_to(l, 0);
    MUST(box_landlock_allow_path(l, inside("in"), BOX_LANDLOCK_FS_READ, 0, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(try_open("in/file", O_RDONLY) == 0);
    MUST(try_open("in/file", O_WRONLY) == EACCES);
    MUST(try_open("in/new", O_WRONLY | O_CREAT) == EACCES);
    MUST(try_open("out/file", O_RDONLY) == EACCES);
    MUST(unlink(inside("in/file")) < 0 && errno == EACCES);
    MUST(access(inside("in/file"), X_OK) == 0 && execl(inside("in/file"), "file", (char *)NULL) < 0 &&
         errno == EACCES);
    MUST(box_no_new_privs_get(0, NULL) == 1);
}

Test(landlock, a_rule_to_read_allows_reading_there_and_nothing_else)
{
    need_abi(1);
    in_child(only_reading);
}

static void reading_and_writing(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    box_landlock_handle_up_to(l, 0);
    MUST(box_landlock_allow_path(l, inside("in"), BOX_LANDLOCK_FS_READ_WRITE, 0, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(try_open("in/file", O_RDWR | O_TRUNC) == 0);
    MUST(try_open("in/new", O_WRONLY | O_CREAT) == 0);
    MUST(unlink(inside("in/new")) == 0);
    MUST(try_open("out/new", O_WRONLY | O_CREAT) == EACCES);
    MUST(execl(inside("in/file"), "file", (char *)NULL) < 0 && errno == EACCES);
}

Test(landlock, a_rule_to_read_and_write_allows_both_there_but_not_to_execute)
{
    need_abi(1);
    in_child(reading_and_writing);
}

static void one_file_by_fd(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    int fd = open(inside("out/file"), O_PATH | O_CLOEXEC);
    box_landlock_handle_up_to(l, 0);
    MUST(box_landlock_allow_fd(l, fd, BOX_LANDLOCK_FS_READ_WRITE, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(try_open("out/file", O_RDWR) == 0);
    MUST(try_open("in/file", O_RDONLY) == EACCES);
}

Test(landlock, a_rule_for_one_file_by_fd_takes_access_of_directories_without_complaint)
{
    need_abi(1);
    in_child(one_file_by_fd);
}

static void truncation(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    MUST(box_landlock_handle_fs(l, BOX_LANDLOCK_FS_TRUNCATE, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(try_open("in/file", O_WRONLY) == 0);
    MUST(truncate(inside("in/file"), 0) < 0 && errno == EACCES);
}

Test(landlock, truncating_is_governed_apart_from_writing)
{
    need_abi(3);
    in_child(truncation);
}

static int listener(struct sockaddr_in *at)
{
    socklen_t n = sizeof(*at);
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    cr_assert_eq(bind(s, (struct sockaddr *)at, sizeof(*at)), 0);
    cr_assert_eq(listen(s, 1), 0);
    cr_assert_eq(getsockname(s, (struct sockaddr *)at, &n), 0);
    return s;
}

static struct sockaddr_in allowed, other;

static void one_port(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    MUST(box_landlock_handle_net(l, BOX_LANDLOCK_NET_ALL, NULL) == 0);
    MUST(box_landlock_allow_port(l, ntohs(allowed.sin_port), BOX_LANDLOCK_NET_CONNECT_TCP, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    int s = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
    MUST(connect(s, (struct sockaddr *)&other, sizeof(other)) < 0 && errno == EACCES);
    MUST(connect(t, (struct sockaddr *)&allowed, sizeof(allowed)) == 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int u = socket(AF_INET, SOCK_STREAM, 0);
    MUST(bind(u, (struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES);
}

Test(landlock, a_rule_for_a_port_allows_that_port_alone)
{
    need_abi(4);
    int a = listener(&allowed), b = listener(&other);
    in_child(one_port);
    close(a);
    close(b);
}

static void signals(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    MUST(box_landlock_scope(l, BOX_LANDLOCK_SCOPE_SIGNAL, NULL) == 0);
    MUST(kill(getppid(), 0) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(kill(getppid(), 0) < 0 && errno == EPERM);
    MUST(kill(getpid(), 0) == 0);
}

Test(landlock, a_scope_of_signals_keeps_them_in)
{
    need_abi(6);
    in_child(signals);
}

Test(landlock, the_ruleset_is_an_fd_that_closes_on_exec)
{
    need_abi(1);
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    struct box_landlock_loss loss;
    _close_ int fd = -1;

    box_landlock_handle_up_to(l, 0);
    cr_assert_eq(box_landlock_create(l, &fd, &loss, NULL), 0);
    cr_assert_geq(fd, 0);
    cr_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(loss.abi, box_landlock_abi());
    cr_assert_eq(loss.fs | loss.net | loss.scope | loss.log, 0);
}

Test(landlock, a_missing_path_is_named_unless_it_may_be_missing)
{
    need_abi(1);
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    _cleanup_(box_error) box_error *err = NULL;
    int fd = -1;

    box_landlock_handle_up_to(l, 1);
    cr_assert_eq(
        box_landlock_allow_path(l, inside("none"), BOX_LANDLOCK_FS_READ, BOX_LANDLOCK_MAY_BE_MISSING, NULL),
        0);
    cr_assert_eq(box_landlock_create(l, &fd, NULL, NULL), 0);
    close(fd);
    cr_assert_eq(box_landlock_allow_path(l, inside("none"), BOX_LANDLOCK_FS_READ, 0, NULL), 0);
    cr_assert_eq(box_landlock_create(l, &fd, NULL, &err), BOX_ENOTFOUND);
    cr_assert_str_eq(box_error_subject(err), inside("none"));
    cr_assert_eq(fd, -1);
}

Test(landlock, a_file_that_is_on_no_mount_cannot_have_a_rule)
{
    need_abi(1);
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    _cleanup_(box_error) box_error *err = NULL;
    int pipes[2], fd;

    cr_assert_eq(pipe2(pipes, O_CLOEXEC), 0);
    box_landlock_handle_up_to(l, 1);
    cr_assert_eq(box_landlock_allow_fd(l, pipes[0], BOX_LANDLOCK_FS_READ, NULL), 0);
    cr_assert_eq(box_landlock_create(l, &fd, NULL, &err), BOX_EINVAL);
    close(pipes[0]);
    close(pipes[1]);
}

/* A log flag stands in for everything that a kernel may lack: put there by hand, it is unknown to every
 * kernel. */
Test(landlock, what_the_kernel_lacks_fails_when_required_and_is_told_when_not)
{
    need_abi(1);
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    _cleanup_(box_error) box_error *err = NULL;
    struct box_landlock_loss loss;
    _close_ int fd = -1;

    box_landlock_handle_up_to(l, 1);
    l->fs |= UINT64_C(1) << 60;
    cr_assert_eq(box_landlock_would_lose(l, &loss), 1);
    cr_assert_eq(loss.fs, UINT64_C(1) << 60);
    cr_assert_eq(box_landlock_create(l, &fd, NULL, &err), BOX_EUNSUPPORTED);
    cr_assert_str_neq(box_error_remedy(err), "");
    box_landlock_set_best_effort(l, 1);
    cr_assert_eq(box_landlock_create(l, &fd, &loss, NULL), 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(loss.fs, UINT64_C(1) << 60);
}

static void sixteen(void)
{
    _cleanup_(box_landlock) box_landlock *l = box_landlock_new(NULL);
    box_landlock_handle_fs(l, BOX_LANDLOCK_FS_MAKE_BLOCK, NULL);
    for (int i = 0; i < 16; i++)
        MUST(box_landlock_apply(l, NULL, NULL) == 0);
    MUST(box_landlock_apply(l, NULL, NULL) == BOX_ELIMIT);
}

Test(landlock, more_rulesets_than_the_kernel_stacks_is_a_limit)
{
    need_abi(1);
    in_child(sixteen);
}
