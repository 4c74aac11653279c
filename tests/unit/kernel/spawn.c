#include "helper.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "kernel/spawn.h"

#define SH(...)                       \
    (const char *const[])             \
    {                                 \
        "sh", "-c", __VA_ARGS__, NULL \
    }

static void run(const char *const *argv, const struct box_spawn_io *io, struct box_spawn_result *result)
{
    struct box_spawn how = BOX_SPAWN_INIT;

    how.path = "/bin/sh", how.argv = argv, how.new_session = true;
    OK(box_spawn_run(&how, io, result, err));
}

Test(spawn, output_error_output_and_status_come_back)
{
    _cleanup_spawn_result_ struct box_spawn_result result;

    run(SH("printf out; printf err >&2; exit 3"), &(struct box_spawn_io){.limit = 100, .timeout_ms = -1},
        &result);
    cr_assert_str_eq(result.out, "out");
    cr_assert_str_eq(result.err, "err");
    cr_assert(result.status.known);
    cr_assert_eq(result.status.code, 3);
}

Test(spawn, input_is_read_to_its_end)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    size_t n = 300000;
    char *input = malloc(n);

    memset(input, 'x', n);
    run(SH("wc -c"), &(struct box_spawn_io){.input = input, .n_input = n, .limit = 100, .timeout_ms = -1},
        &result);
    cr_assert_eq(strtol(result.out, NULL, 10), 300000);
    free(input);
}

Test(spawn, input_that_is_not_read_harms_nobody)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    char input[8192] = "";

    run(SH("exit 0"),
        &(struct box_spawn_io){.input = input, .n_input = sizeof(input), .limit = 1, .timeout_ms = -1},
        &result);
    cr_assert_eq(result.status.code, 0);
}

Test(spawn, output_past_the_limit_is_dropped_and_told)
{
    _cleanup_spawn_result_ struct box_spawn_result result;

    run(SH("head -c 500000 /dev/zero | tr '\\0' a"), &(struct box_spawn_io){.limit = 1000, .timeout_ms = -1},
        &result);
    cr_assert_eq(result.n_out, 1000);
    cr_assert(result.out_cut);
    cr_assert(!result.err_cut);
    cr_assert_eq(result.status.code, 0);
}

Test(spawn, the_environment_is_what_was_given_and_nothing_else)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    struct box_spawn how = BOX_SPAWN_INIT;
    const char *const env[] = {"A=1", NULL};

    setenv("BOX_SECRET", "1", 1);
    how.path = "/usr/bin/env", how.argv = (const char *const[]){"env", NULL};
    OK(box_spawn_run(&how, &(struct box_spawn_io){.limit = 1000, .timeout_ms = -1}, &result, err));
    cr_assert_str_eq(result.out, "");
    box_spawn_result_clear(&result);
    how.envp = env;
    OK(box_spawn_run(&how, &(struct box_spawn_io){.limit = 1000, .timeout_ms = -1}, &result, err));
    cr_assert_str_eq(result.out, "A=1\n");
}

Test(spawn, no_descriptor_leaks_even_without_close_on_exec)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    int leak = open("/dev/null", O_RDONLY);

    cr_assert_eq(fcntl(leak, F_GETFD), 0);
    run(SH("ls /proc/self/fd | tr '\\n' ' '"), &(struct box_spawn_io){.limit = 1000, .timeout_ms = -1},
        &result);
    /* 3 is what ls opened to read the directory. */
    cr_assert_str_eq(result.out, "0 1 2 3 ");
    close(leak);
}

Test(spawn, descriptors_arrive_under_their_numbers_even_when_these_are_each_other)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    int a[2], b[2];

    cr_assert_eq(pipe2(a, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(b, O_CLOEXEC), 0);
    cr_assert_eq(write(a[1], "aa\n", 3), 3);
    cr_assert_eq(write(b[1], "bb\n", 3), 3);
    /* Crosswise: each one's number is where the other one goes. */
    const struct box_spawn_fd fds[] = {{a[0], b[0]}, {b[0], a[0]}};
    struct box_spawn how = BOX_SPAWN_INIT;
    char script[100];
    snprintf(script, sizeof(script), "read x <&%d; read y <&%d; echo $x $y", a[0], b[0]);
    how.path = "/bin/sh", how.argv = SH(script), how.fds = fds, how.n_fds = 2;
    if (a[0] > 9 || b[0] > 9)
        cr_skip_test("the shell takes descriptors up to 9 only");
    OK(box_spawn_run(&how, &(struct box_spawn_io){.limit = 100, .timeout_ms = -1}, &result, err));
    cr_assert_str_eq(result.out, "bb aa\n");
}

Test(spawn, signals_start_at_their_defaults_and_unblocked)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    sigset_t all;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    run(SH("grep -E 'SigBlk|SigIgn' /proc/self/status | tr -d '\\t\\n'"),
        &(struct box_spawn_io){.limit = 1000, .timeout_ms = -1}, &result);
    cr_assert_str_eq(result.out, "SigBlk:0000000000000000SigIgn:0000000000000000");
}

Test(spawn, the_callers_signal_mask_and_descriptors_are_as_before)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    sigset_t before = {0}, after = {0};
    int fds = count_fds();

    sigprocmask(SIG_BLOCK, NULL, &before);
    run(SH("true"), &(struct box_spawn_io){.limit = 10, .timeout_ms = -1}, &result);
    sigprocmask(SIG_BLOCK, NULL, &after);
    cr_assert_eq(memcmp(&before, &after, sizeof(before)), 0);
    cr_assert_eq(count_fds(), fds);
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
    cr_assert_eq(errno, ECHILD);
}

Test(spawn, a_program_that_overstays_is_killed_with_its_session)
{
    struct box_spawn how = BOX_SPAWN_INIT;
    struct box_spawn_result result;
    struct timespec a, b;

    how.path = "/bin/sh", how.argv = SH("sleep 100 & sleep 100"), how.new_session = true;
    clock_gettime(CLOCK_MONOTONIC, &a);
    FAILS(BOX_ETIMEOUT,
          box_spawn_run(&how, &(struct box_spawn_io){.limit = 10, .timeout_ms = 50}, &result, err));
    clock_gettime(CLOCK_MONOTONIC, &b);
    cr_assert_lt(b.tv_sec - a.tv_sec, 5);
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

Test(spawn, a_process_left_behind_with_the_pipe_open_does_not_hold_the_caller)
{
    _cleanup_spawn_result_ struct box_spawn_result result;

    run(SH("sleep 1 & printf done"), &(struct box_spawn_io){.limit = 10, .timeout_ms = 2000}, &result);
    cr_assert_str_eq(result.out, "done");
    cr_assert_eq(result.status.code, 0);
}

static void *cancel_soon(void *fd)
{
    usleep(20000);
    cr_assert_eq(write(*(int *)fd, "c", 1), 1);
    return NULL;
}

Test(spawn, another_thread_can_cancel)
{
    int ends[2];
    pthread_t thread;
    struct box_spawn how = BOX_SPAWN_INIT;
    struct box_spawn_result result;

    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    pthread_create(&thread, NULL, cancel_soon, &ends[1]);
    how.path = "/bin/sleep", how.argv = (const char *const[]){"sleep", "100", NULL};
    FAILS(BOX_ECANCELLED,
          box_spawn_run(&how, &(struct box_spawn_io){.timeout_ms = -1, .cancel_fd = ends[0]}, &result, err));
    pthread_join(thread, NULL);
}

Test(spawn, what_cannot_be_run_is_an_error_that_says_why_and_leaves_no_child)
{
    struct box_spawn how = BOX_SPAWN_INIT;
    struct box_child child;
    box_error *e = NULL;

    how.argv = (const char *const[]){"x", NULL};
    how.path = "/nonexistent/x";
    cr_assert_eq(box_spawn(&how, &child, &e), BOX_ENOPROGRAM);
    cr_assert_str_eq(box_error_call(e), "execve");
    cr_assert_str_eq(box_error_subject(e), "/nonexistent/x");
    cr_assert_eq(box_error_errno(e), ENOENT);
    box_error_free(e);
    how.path = "/etc/passwd";
    FAILS(BOX_ENOEXEC, box_spawn(&how, &child, err));
    how.path = "/etc";
    FAILS(BOX_ENOEXEC, box_spawn(&how, &child, err));
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

Test(spawn, an_open_program_runs_by_descriptor)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    struct box_spawn how = BOX_SPAWN_INIT;

    how.exec_fd = open("/bin/echo", O_PATH | O_CLOEXEC);
    how.argv = (const char *const[]){"echo", "hi", NULL};
    OK(box_spawn_run(&how, &(struct box_spawn_io){.limit = 10, .timeout_ms = -1}, &result, err));
    cr_assert_str_eq(result.out, "hi\n");
    close(how.exec_fd);
}

Test(spawn, a_host_that_ignores_sigchld_gets_an_answer)
{
    _cleanup_spawn_result_ struct box_spawn_result result;
    box_pidfd_info info;

    signal(SIGCHLD, SIG_IGN);
    run(SH("printf x; exit 4"), &(struct box_spawn_io){.limit = 10, .timeout_ms = 5000}, &result);
    cr_assert_str_eq(result.out, "x");
    pid_t pid = start_sleeper();
    int fd = box_pidfd_open(pid, NULL);
    kill(pid, SIGKILL);
    box_pidfd_wait(fd, -1, NULL);
    int r = box_pidfd_get_info(fd, &info, NULL);
    close(fd);
    if (r == 0 && info.has_exit)
        cr_assert(result.status.known && result.status.code == 4);
}

static BOX_VCHILD int seven(void *arg)
{
    *(int *)arg = 1;
    return 7;
}

Test(vchild, shares_memory_tells_its_status_and_is_seen_by_no_plain_wait)
{
    struct box_vchild child;
    int seen = 0;

    cr_assert_eq(box_vchild_start(&child, 0, seven, &seen), 0);
    usleep(20000);
    cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
    cr_assert_eq(box_vchild_end(&child, false), 7);
    cr_assert_eq(seen, 1);
    cr_assert_lt(box_vchild_end(&child, false), 0);
}
