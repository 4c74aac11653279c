/* Filters that the kernel runs, in children of the tests; filters kept as bytes. */
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "kernel/seccomp_compile.h"
#include "kernel/seccomp_filter.h"

/* ---- children ---- */

/* Runs a function under a filter in a child, and returns the child's wait status. */
static int under(const box_seccomp_filter *filter, int (*function)(void))
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || box_seccomp_apply(filter, NULL, NULL) < 0)
            _exit(99);
        _exit(function());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return status;
}

/* In a child: the errno of a call, 0 if it succeeds. */
#define TRY(...) (syscall(__VA_ARGS__) < 0 ? errno : 0)

/* In a child: leaves with the number of the first line that isn't as expected. */
#define WANT(expression, value)                                                                      \
    do {                                                                                             \
        int got_ = (expression);                                                                     \
        if (got_ != (value)) {                                                                       \
            dprintf(2, "%s:%d: %s is %d, not %d\n", __FILE__, __LINE__, #expression, got_, (value)); \
            return 1;                                                                                \
        }                                                                                            \
    } while (0)

static box_seccomp_filter *compiled(box_seccomp *policy)
{
    box_error *err = NULL;
    box_seccomp_filter *filter = policy ? box_seccomp_compile(policy, &err) : NULL;

    cr_assert_not_null(filter, "%s", box_error_message(err));
    box_seccomp_free(policy);
    return filter;
}

/* A filter that does one thing about one system call. */
static box_seccomp_filter *about(int action, unsigned value, const char *name)
{
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);

    cr_assert_eq(box_seccomp_add_rule(policy, action, value, name, NULL, 0, NULL), 0);
    return compiled(policy);
}

/* ---- the default filter ---- */

static int escapes(void)
{
    uint64_t args[11] = {CLONE_NEWUSER};
    int pipe_fds[2];

    WANT(TRY(SYS_mount, "none", "/", "tmpfs", 0, NULL), EPERM);
    WANT(TRY(SYS_unshare, CLONE_NEWUSER), EPERM);
    WANT(TRY(SYS_setns, 0, 0), EPERM);
    WANT(TRY(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0), EPERM);
    WANT(TRY(SYS_clone, CLONE_NEWNET | SIGCHLD, 0, 0, 0, 0), EPERM);
    WANT(TRY(SYS_clone3, args, sizeof(args)), ENOSYS);
    WANT(TRY(SYS_keyctl, 0, 0), EPERM);
    WANT(TRY(SYS_bpf, 0, 0, 0), EPERM);
    WANT(TRY(SYS_io_uring_setup, 1, args), EPERM);
    WANT(TRY(SYS_personality, 0x0040000), EPERM);
    WANT(TRY(SYS_socket, 38, SOCK_SEQPACKET, 0), EPERM);
    WANT(TRY(SYS_socket, 40, SOCK_STREAM, 0), EPERM);
    /* The kernel takes an int, and so must the filter: this would open an AF_ALG socket. */
    WANT(TRY(SYS_socket, (UINT64_C(1) << 32) + 38, SOCK_SEQPACKET, 0), EPERM);

    WANT(pipe(pipe_fds), 0);
    WANT(TRY(SYS_ioctl, pipe_fds[0], 0x5401, 0), ENOTTY);
    WANT(TRY(SYS_ioctl, pipe_fds[0], 0x5412, "x"), EPERM);
    WANT(TRY(SYS_ioctl, pipe_fds[0], (UINT64_C(1) << 32) + 0x5412, "x"), EPERM);
    WANT(TRY(SYS_ioctl, pipe_fds[0], 0x541c, "x"), EPERM);
    return 0;
}

Test(seccomp_filter, the_kernel_refuses_escapes_under_the_default_filter)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_filter_default(0, NULL);

    cr_assert_eq(under(filter, escapes), 0);
}

static int newer_calls(void)
{
    WANT(TRY(470), ENOSYS);
    WANT(TRY(500), ENOSYS);
    WANT(TRY(-1), ENOSYS);
    return 0;
}

Test(seccomp_filter, calls_of_the_future_do_not_exist)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_filter_default(0, NULL);

    cr_assert_eq(under(filter, newer_calls), 0);
}

static void *add_one(void *number)
{
    ++*(int *)number;
    return NULL;
}

static int threads_and_children(void)
{
    pthread_t thread;
    int number = 1, status = 0;

    WANT(pthread_create(&thread, NULL, add_one, &number), 0);
    WANT(pthread_join(thread, NULL), 0);
    WANT(number, 2);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-c", "test \"$(echo 20 | cat)\" = 20 && ls / >/dev/null", (char *)NULL);
        _exit(127);
    }
    WANT(waitpid(pid, &status, 0), pid);
    WANT(status, 0);
    WANT(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0, 0);
    return 0;
}

Test(seccomp_filter, ordinary_programs_run_under_the_default_filter)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_filter_default(0, NULL);

    cr_assert_eq(under(filter, threads_and_children), 0);
}

#if defined(__x86_64__)
/* A call by the 32-bit way, which a 64-bit program may take as well. */
static int call_i386(int number, int first)
{
    int result;

    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(0), "d"(0) : "memory");
    return result;
}

static int i386_exists(void)
{
    return call_i386(20, 0) == getpid() ? 0 : 1;
}

static int i386_mount_is_refused(void)
{
    WANT(call_i386(20, 0), getpid());
    WANT(call_i386(21, 0), -EPERM);
    WANT(call_i386(310, CLONE_NEWUSER), -EPERM);
    WANT(call_i386(120, CLONE_NEWUSER), -EPERM);
    return 0;
}

static int i386_is_gone(void)
{
    WANT(call_i386(20, 0), -ENOSYS);
    WANT(TRY(SYS_getpid), 0);
    return 0;
}

static int x32_is_gone(void)
{
    WANT(TRY(0x40000000 + SYS_getpid), ENOSYS);
    return 0;
}

Test(seccomp_filter, the_default_filter_holds_for_32_bit_calls)
{
    box_seccomp *native = box_seccomp_new_default(0, NULL);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_filter_default(0, NULL);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *everything =
        compiled(box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL));

    cr_assert_eq(box_seccomp_remove_arch(native, "SCMP_ARCH_X86", NULL), 0);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *without = compiled(native);
    cr_expect_eq(under(filter, x32_is_gone), 0);
    cr_expect_eq(under(everything, x32_is_gone), 0);
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(i386_exists());
    waitpid(pid, &status, 0);
    if (status != 0)
        cr_skip_test("the kernel runs no 32-bit programs");
    cr_expect_eq(under(filter, i386_mount_is_refused), 0);
    cr_expect_eq(under(without, i386_is_gone), 0);
    cr_expect_eq(under(everything, i386_is_gone), 0);
}
#endif

/* ---- the strict filter ---- */

static int computing(void)
{
    pthread_t thread;
    int number = 1;

    WANT(pthread_create(&thread, NULL, add_one, &number), 0);
    WANT(pthread_join(thread, NULL), 0);
    WANT(number, 2);
    char *memory = malloc(10 << 20);
    WANT(memory == NULL, 0);
    memset(memory, 1, 10 << 20);
    free(memory);
    WANT(TRY(SYS_socket, AF_INET, SOCK_STREAM, 0), EPERM);
#ifdef SYS_fork
    WANT(TRY(SYS_fork), EPERM);
#endif
    WANT(TRY(SYS_clone, SIGCHLD, 0, 0, 0, 0), EPERM);
    WANT(TRY(SYS_clone3, NULL, 0), ENOSYS);
    WANT(TRY(SYS_kill, getppid(), 0), EPERM);
    WANT(TRY(SYS_ioctl, 0, 0x5412, "x"), EPERM);
    WANT(TRY(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM);
    WANT(TRY(SYS_prctl, PR_SET_NAME, "computing", 0, 0, 0), 0);
    WANT(TRY(SYS_unlink, "/tmp/libbox-no-such-file"), EPERM);
    execl("/bin/true", "true", (char *)NULL);
    return 2;
}

static int attack_ptrace(void)
{
    return TRY(SYS_ptrace, 0, 0, 0, 0);
}

static int attack_unshare(void)
{
    return TRY(SYS_unshare, CLONE_NEWUSER);
}

Test(seccomp_filter, a_strict_child_computes_and_dies_of_attacks)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = compiled(box_seccomp_new_strict(NULL));

    cr_expect_eq(under(filter, computing), 0);
    int status = under(filter, attack_ptrace);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
    status = under(filter, attack_unshare);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
}

/* ---- actions ---- */

static int call_uname(void)
{
    char buffer[512];

    return TRY(SYS_uname, buffer);
}

static void *uname_in_thread(void *unused)
{
    call_uname();
    return unused;
}

static int uname_in_other_thread(void)
{
    pthread_t thread;

    WANT(pthread_create(&thread, NULL, uname_in_thread, NULL), 0);
    /* Not joined: a thread that the kernel kills does not wake who waits for it in every C library. */
    usleep(20000);
    return 7;
}

static volatile sig_atomic_t trapped;

static void on_trap(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    trapped = info->si_syscall;
}

static int trap_uname(void)
{
    struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};

    sigaction(SIGSYS, &action, NULL);
    call_uname();
    WANT(trapped, SYS_uname);
    return 0;
}

Test(seccomp_filter, each_action_does_what_it_says)
{
    static const struct {
        int action;
        unsigned value;
        int (*function)(void);
        int status;
    } table[] = {
        {BOX_SECCOMP_ERRNO, EXDEV, call_uname, EXDEV << 8},
        {BOX_SECCOMP_ERRNO, 0, call_uname, 0},
        {BOX_SECCOMP_ALLOW, 0, call_uname, 0},
        {BOX_SECCOMP_LOG, 0, call_uname, 0},
        {BOX_SECCOMP_TRACE, 3, call_uname, ENOSYS << 8},
        {BOX_SECCOMP_TRAP, 0, call_uname, SIGSYS},
        {BOX_SECCOMP_TRAP, 0, trap_uname, 0},
        {BOX_SECCOMP_KILL_PROCESS, 0, call_uname, SIGSYS},
        {BOX_SECCOMP_KILL_PROCESS, 0, uname_in_other_thread, SIGSYS},
        {BOX_SECCOMP_KILL_THREAD, 0, uname_in_other_thread, 7 << 8},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        _cleanup_(box_seccomp_filter) box_seccomp_filter *filter =
            about(table[i].action, table[i].value, "uname");
        int status = under(filter, table[i].function);
        cr_expect_eq(status & ~0x80, table[i].status, "row %zu: %#x", i, status);
    }
}

Test(seccomp_filter, an_argument_test_is_the_kernels_as_well)
{
    const struct box_seccomp_arg test = {2, BOX_SECCOMP_GT, UINT64_C(0x200000003), 0};
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);
    static const struct {
        uint64_t value;
        bool refused;
    } table[] = {{0, false},           {3, false},          {0x1fffffffff, true}, {0x1ffffffff, false},
                 {0x200000003, false}, {0x200000004, true}, {0x300000000, true},  {UINT64_MAX, true}};

    cr_assert_eq(box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, EXDEV, "getuid", &test, 1, NULL), 0);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = compiled(policy);
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_assert_eq(box_seccomp_apply(filter, NULL, NULL), 0);
    for (size_t i = 0; i < BOX_ARRAY(table); i++) {
        struct box_seccomp_call call = {.number = SYS_getuid, .args = {0, 0, table[i].value}};
        bool refused = syscall(SYS_getuid, 0, 0, table[i].value) < 0 && errno == EXDEV;
        cr_expect_eq(refused, table[i].refused, "%#llx", (unsigned long long)table[i].value);
        cr_expect_eq(box_seccomp_filter_evaluate(filter, &call, NULL) == BOX_SECCOMP_ERRNO, refused);
    }
}

/* ---- installing ---- */

Test(seccomp_filter, a_thread_without_no_new_privs_is_told_what_to_do)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = box_seccomp_filter_default(0, NULL);
    box_error *err = NULL;

    if (geteuid() == 0)
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
    cr_expect_eq(box_seccomp_apply(filter, NULL, &err), BOX_EPERMISSION);
    cr_expect_eq(box_error_errno(err), EACCES);
    cr_expect_not_null(strstr(box_error_remedy(err), "NO_NEW_PRIVS"));
    box_error_free(err);
}

Test(seccomp_filter, a_filter_that_notifies_needs_a_place_for_its_listener_and_gets_only_one)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = about(BOX_SECCOMP_NOTIFY, 0, "swapoff");
    box_error *err = NULL;
    int listener = -1;

    cr_assert(box_seccomp_filter_notifies(filter));
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_expect_eq(box_seccomp_apply(filter, NULL, NULL), BOX_EINVAL);
    cr_expect_eq(box_seccomp_apply(filter, &listener, NULL), 0);
    cr_expect_geq(listener, 0);
    cr_expect(fcntl(listener, F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(box_seccomp_apply(filter, &listener, &err), BOX_EBUSY);
    box_error_free(err);
    close(listener);
}

Test(seccomp_filter, flags_are_given_to_the_kernel_as_far_as_it_has_them)
{
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);
    const unsigned all = BOX_SECCOMP_FLAG_TSYNC | BOX_SECCOMP_FLAG_LOG | BOX_SECCOMP_FLAG_SPEC_ALLOW |
                         BOX_SECCOMP_FLAG_WAIT_KILLABLE_RECV;
    int listener = 5;

    cr_assert_eq(box_seccomp_set_flags(policy, all, NULL), 0);
    cr_expect_eq(box_seccomp_flags(policy), all);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = compiled(policy);
    /* No thread but this one is meant, and nobody waits at a listener. */
    cr_expect_eq(box_seccomp_filter_flags(filter), BOX_SECCOMP_FLAG_LOG | BOX_SECCOMP_FLAG_SPEC_ALLOW);
    cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    cr_expect_eq(box_seccomp_apply(filter, &listener, NULL), 0);
    cr_expect_eq(listener, -1);
}

/* ---- sharing and keeping ---- */

static void *take_and_give(void *filter)
{
    for (int i = 0; i < 20000; i++) {
        box_seccomp_filter *mine = box_seccomp_filter_ref(filter);
        size_t count = 0;
        if (!box_seccomp_filter_program(mine, &count) || count == 0)
            return filter;
        box_seccomp_filter_unref(mine);
    }
    return NULL;
}

Test(seccomp_filter, threads_share_a_filter)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = about(BOX_SECCOMP_ERRNO, EPERM, "ptrace");
    pthread_t threads[4];

    for (size_t i = 0; i < BOX_ARRAY(threads); i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, filter), 0);
    for (size_t i = 0; i < BOX_ARRAY(threads); i++) {
        void *result = filter;
        cr_assert_eq(pthread_join(threads[i], &result), 0);
        cr_expect_null(result);
    }
}

Test(seccomp_filter, a_filter_comes_back_from_bytes_as_it_was)
{
    box_seccomp *policy = box_seccomp_new_strict(NULL);
    void *bytes = NULL, *again = NULL;
    size_t len = 0, len_again = 0, n_one = 0, n_two = 0;

    box_seccomp_report_kills(policy, true);
    cr_assert_eq(box_seccomp_set_flags(policy, BOX_SECCOMP_FLAG_LOG, NULL), 0);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *one = compiled(policy);
    cr_assert_eq(box_seccomp_filter_save(one, &bytes, &len, NULL), 0);
    _cleanup_(box_seccomp_filter) box_seccomp_filter *two = box_seccomp_filter_load(bytes, len, NULL);
    cr_assert_not_null(two);
    const void *code_one = box_seccomp_filter_program(one, &n_one),
               *code_two = box_seccomp_filter_program(two, &n_two);
    cr_assert_eq(n_one, n_two);
    cr_expect_arr_eq(code_one, code_two, n_one * sizeof(struct sock_filter));
    cr_expect_eq(box_seccomp_filter_flags(one), box_seccomp_filter_flags(two));
    cr_expect(box_seccomp_filter_notifies(two));
    struct box_seccomp_call call = {.number = SYS_ptrace};
    cr_expect_eq(box_seccomp_filter_evaluate(two, &call, NULL), BOX_SECCOMP_KILL_PROCESS);
    cr_assert_eq(box_seccomp_filter_save(two, &again, &len_again, NULL), 0);
    cr_assert_eq(len, len_again);
    cr_expect_arr_eq(bytes, again, len);
    free(bytes);
    free(again);
}

Test(seccomp_filter, damaged_bytes_are_found)
{
    _cleanup_(box_seccomp_filter) box_seccomp_filter *filter = about(BOX_SECCOMP_ERRNO, EPERM, "ptrace");
    unsigned char *bytes = NULL;
    size_t len = 0;

    cr_assert_eq(box_seccomp_filter_save(filter, (void **)&bytes, &len, NULL), 0);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] ^= (unsigned char)(1 << bit);
            box_error *err = NULL;
            box_seccomp_filter *loaded = box_seccomp_filter_load(bytes, len, &err);
            cr_expect_null(loaded, "byte %zu bit %d", i, bit);
            cr_expect_eq(box_error_code(err), BOX_ECORRUPT);
            box_error_free(err);
            box_seccomp_filter_unref(loaded);
            bytes[i] ^= (unsigned char)(1 << bit);
        }
    }
    for (size_t short_len = 0; short_len < len; short_len++)
        cr_expect_null(box_seccomp_filter_load(bytes, short_len, NULL));
    free(bytes);
}

Test(seccomp_filter, programs_that_would_run_astray_are_not_run)
{
    static const struct {
        struct sock_filter code[3];
        bool ok;
    } table[] = {
        {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 0),
          BPF_STMT(BPF_RET, 0)},
         true},
        {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
        {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
        {{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
          BPF_STMT(BPF_RET, 0)},
         false},
        {{BPF_STMT(BPF_JMP | BPF_JA, 2), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
        {{BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
        {{BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0)}, false},
        {{BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
        {{BPF_STMT(BPF_ST, 1000), BPF_STMT(BPF_RET, 0), BPF_STMT(BPF_RET, 0)}, false},
    };

    for (size_t i = 0; i < BOX_ARRAY(table); i++)
        cr_expect_eq(box_seccomp_program_ok(table[i].code, 3), table[i].ok, "row %zu", i);
    cr_expect_not(box_seccomp_program_ok(table[0].code, 0));
}
