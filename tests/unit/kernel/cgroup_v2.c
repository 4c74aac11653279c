/* cgroup v2 alone. On a host that has something else, in a private mount namespace where the v2 hierarchy is
 * mounted over /sys/fs/cgroup: with few controllers then, but all that belongs to the hierarchy itself. */
#include "cgroup_help.h"

#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

TestSuite(cgroup_v2, .init = test_make_room, .fini = test_clean_up, .timeout = 20);

/* NULL, or why not. */
static const char *enter_v2(void)
{
    box_cgroup_host *host = box_cgroup_host_new(NULL);
    bool already = box_cgroup_host_mode(host) == BOX_CGROUP_MODE_V2;

    box_cgroup_host_free(host);
    if (already)
        return NULL;
    if (geteuid() != 0)
        return "needs root to mount a v2 hierarchy";
    if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return "cannot mount cgroup2";
    return NULL;
}

#define NEED_V2()                               \
    do {                                        \
        const char *why_not_ = enter_v2();      \
        SKIP_UNLESS(!why_not_, "%s", why_not_); \
    } while (0)

Test(cgroup_v2, v1_hierarchies_that_are_mounted_over_are_not_seen)
{
    NEED_V2();
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(NULL);

    cr_assert_not_null(host);
    cr_expect_eq(box_cgroup_host_mode(host), BOX_CGROUP_MODE_V2);
    cr_assert_eq(host->count, 1);
    cr_expect_str_eq(host->mount[0].mountpoint, "/sys/fs/cgroup");
}

Test(cgroup_v2, one_is_made_entered_frozen_killed_and_removed)
{
    NEED_V2();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("a/b", 0, NULL);
    uint64_t *counter = shared_counter(), before;
    pid_t pid = test_child(cgroup, count_up, counter);

    cr_expect_eq(cgroup->count, 1);
    cr_assert(counter_moves(counter));
    OK(box_cgroup_freeze(cgroup, 2000, err));
    cr_expect_eq(box_cgroup_frozen(cgroup, NULL), 1);
    before = counter_now(counter);
    usleep(20000);
    cr_expect_eq(counter_now(counter), before);
    OK(box_cgroup_kill(cgroup, SIGKILL, err));
    int status = test_wait(pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    OK(box_cgroup_wait_empty(cgroup, 2000, err));
    OK(box_cgroup_destroy(cgroup, 2000, err));
    cr_expect_null(box_cgroup_open(NULL, test_path("a/b"), NULL));
}

Test(cgroup_v2, a_freeze_that_does_not_come_about_in_time_is_taken_back)
{
    NEED_V2();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    uint64_t *counter = shared_counter();
    pid_t pid = test_child(cgroup, count_up, counter);

    cr_assert(counter_moves(counter));
    /* A process that waits for its vfork child to exec stands in the kernel and cannot be frozen... which is
     * hard to bring about; a deadline that has passed already does as well. */
    for (int i = 0; i < 20; i++) {
        int r = box_cgroup_freeze(cgroup, 0, NULL);
        cr_assert(r == 0 || r == BOX_ETIMEOUT, "%d", r);
        if (r == BOX_ETIMEOUT) {
            cr_expect(counter_moves(counter));
            break;
        }
        OK(box_cgroup_thaw(cgroup, 1000, err));
    }
    kill(pid, SIGKILL);
    test_wait(pid);
}

Test(cgroup_v2, a_child_is_cloned_right_into_it)
{
    NEED_V2();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    struct box_cgroup_entry entry;
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } args = {.flags = 0x200000000ull /* CLONE_INTO_CGROUP */, .exit_signal = SIGCHLD};
    _free_ pid_t *pids = NULL;
    size_t count = 0;

    OK(box_cgroup_entry_fds(cgroup, &entry, err));
    cr_expect_eq(entry.count, 0);
    args.cgroup = (uint64_t)entry.directory;
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        sleep_on(NULL);
    cr_assert_gt(pid, 0, "%s", strerror(errno));
    OK(box_cgroup_pids(cgroup, &pids, &count, err));
    cr_assert_eq(count, 1);
    cr_expect_eq(pids[0], pid);
    box_cgroup_entry_close(&entry);
}

/* ---- handing controllers down ---- */

/* A controller that this hierarchy has and that a test can set a limit of. */
static unsigned some_controller(box_limits *limits)
{
    unsigned has = box_cgroup_controllers(NULL, test_path("x"));

    if (has & BOX_CONTROLLER_PIDS)
        OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 100, err));
    else if (has & BOX_CONTROLLER_HUGETLB)
        OK(box_limits_set_hugetlb(limits, "2MB", 2 << 20, err));
    return box_limits_controllers(limits);
}

Test(cgroup_v2, controllers_are_handed_down_the_whole_path)
{
    NEED_V2();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    unsigned controller = some_controller(limits);
    SKIP_UNLESS(controller, "needs a v2 controller");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("a/b/c", 0, limits);

    cr_expect(box_cgroup_has(cgroup) & controller);
    cr_expect_eq(box_cgroup_not_applied(cgroup), 0);
}

Test(cgroup_v2, a_controller_that_comes_later_is_handed_down_then)
{
    NEED_V2();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    unsigned controller = some_controller(limits);
    SKIP_UNLESS(controller, "needs a v2 controller");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("a/b", BOX_CONTROLLER_UNIFIED, NULL);

    cr_expect_not(box_cgroup_has(cgroup) & controller);
    OK(box_cgroup_apply(cgroup, limits, 0, err));
    cr_expect(box_cgroup_has(cgroup) & controller);
}

Test(cgroup_v2, a_parent_that_holds_processes_cannot_hand_out_controllers_and_the_error_says_what_to_do)
{
    NEED_V2();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    unsigned controller = some_controller(limits);
    SKIP_UNLESS(controller, "needs a v2 controller");
    _cleanup_(box_cgroup) box_cgroup *parent = test_create("p", BOX_CONTROLLER_UNIFIED, NULL), *child = NULL;
    _cleanup_(box_error) box_error *error = NULL;

    test_child(parent, sleep_on, NULL);
    for (int i = 0; i < 1000 && !cgroup_v2_has_processes(parent->dir[0].fd); i++)
        usleep(1000);
    cr_expect_not(box_cgroup_controllers(NULL, test_path("p/c")) & controller);
    cr_expect_null(box_cgroup_create(NULL, test_path("p/c"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_EBUSY, "%s", box_error_message(error));
    cr_expect_not_null(strstr(box_error_remedy(error), "box_cgroup_host_make_room"));
    cr_expect_null(box_cgroup_open(NULL, test_path("p/c"), NULL), "nothing is left behind");
    /* Without limits it is made all the same, with what needs no controller. */
    child = test_create("p/c", 0, NULL);
    cr_expect(box_cgroup_has(child) & BOX_CONTROLLER_FREEZER);
    OK(box_cgroup_destroy(child, 1000, err));
    box_cgroup_free(child);
    child = box_cgroup_create(NULL, test_path("p/c"), 0, limits, BOX_CGROUP_LENIENT, NULL);
    cr_assert_not_null(child);
    cr_expect_eq(box_cgroup_not_applied(child), controller);
}

Test(cgroup_v2, room_is_made_by_moving_the_host_into_a_leaf)
{
    NEED_V2();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    unsigned controller = some_controller(limits);
    SKIP_UNLESS(controller, "needs a v2 controller");
    _cleanup_(box_cgroup) box_cgroup *unit = test_create("unit", 0, NULL);
    pid_t pid = fork();

    if (pid == 0) {
        int bad = box_cgroup_add(unit, 0, NULL) != 0;
        bad |= (box_cgroup_create(NULL, "c", 0, limits, 0, NULL) != NULL) << 1;
        bad |= (box_cgroup_host_make_room(NULL, NULL) != 0) << 2;
        box_error *error = NULL;
        box_cgroup *child = box_cgroup_create(NULL, "c", 0, limits, 0, &error);
        bad |= !child << 3;
        bad |= !(box_cgroup_has(child) & controller) << 4;
        bad |= (!child || !strstr(box_cgroup_location(child), "/unit/c")) << 5;
        if (bad)
            fprintf(stderr, "%s\n", box_error_message(error));
        _exit(bad);
    }
    int status = test_wait(pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}

/* ---- device programs ---- */

static int attached(const box_cgroup *cgroup)
{
    uint32_t ids[16];
    union bpf_attr attr = {.query = {.target_fd = (uint32_t)cgroup->dir[0].fd,
                                     .attach_type = BPF_CGROUP_DEVICE,
                                     .prog_ids = (uintptr_t)ids,
                                     .prog_cnt = 16}};

    return syscall(SYS_bpf, BPF_PROG_QUERY, &attr, sizeof(attr)) < 0 ? -1 : (int)attr.query.prog_cnt;
}

#define NEED_BPF()                                                                     \
    SKIP_UNLESS(box_cgroup_controllers(NULL, test_path("x")) & BOX_CONTROLLER_DEVICES, \
                "may load no device programs here")

Test(cgroup_v2, the_kernel_accepts_the_programs_for_all_kinds_of_rules)
{
    NEED_V2();
    NEED_BPF();
    const struct box_device_rule rules[] = {
        {1, 'a', -1, -1, 7}, {0, 'b', 8, -1, 2},         {1, 'c', -1, 3, 1}, {0, 'p', 1, 1, 7},
        {0, 'a', 5, 5, 4},   {1, 'u', 4294967295, 1, 0}, {0, 0, -1, -1, 1},
    };

    for (size_t count = 0; count <= BOX_ARRAY(rules); count++) {
        size_t length;
        _free_ struct bpf_insn *program = cgroup_bpf_generate(rules, count, &length);
        _close_ int fd = cgroup_bpf_load(program, length);
        cr_expect_geq(fd, 0, "%zu rules: %s", count, strerror(-fd));
        cr_expect(fd < 0 || fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
}

Test(cgroup_v2, a_program_denies_and_allows_devices)
{
    NEED_V2();
    NEED_BPF();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_add_default_devices(limits, err));
    OK(box_limits_add_device(limits, &(struct box_device_rule){0, 'c', 1, 7, 7}, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, limits);

    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), 0);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), EPERM, "a later rule wins");
    cr_expect_eq(box_cgroup_not_applied(cgroup), 0);
}

Test(cgroup_v2, an_update_replaces_the_program_also_from_another_handle)
{
    NEED_V2();
    NEED_BPF();
    _cleanup_(box_limits) box_limits *none = test_limits(), *all = test_limits();
    OK(box_limits_add_device(none, &(struct box_device_rule){0, 'a', -1, -1, 7}, err));
    OK(box_limits_add_device(all, &(struct box_device_rule){1, 'a', -1, -1, 7}, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, none), *other = NULL;

    cr_expect_eq(attached(cgroup), 1);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), EPERM);
    other = box_cgroup_open(NULL, test_path("x"), NULL);
    cr_assert_not_null(other);
    OK(box_cgroup_apply(other, all, 0, err));
    cr_expect_eq(attached(cgroup), 1);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/null"), 0);
}

Test(cgroup_v2, a_program_of_somebody_else_stays_in_force)
{
    NEED_V2();
    NEED_BPF();
    const struct box_device_rule deny_full[] = {{0, 'c', 1, 7, 7}};
    _cleanup_(box_limits) box_limits *all = test_limits();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    size_t length;
    _free_ struct bpf_insn *program = cgroup_bpf_generate(deny_full, 1, &length);
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
                           .insns = (uintptr_t)program,
                           .insn_cnt = (uint32_t)length,
                           .license = (uintptr_t) "GPL",
                           .prog_name = "theirs"};
    _close_ int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

    cr_assert_geq(fd, 0);
    attr = (union bpf_attr){.target_fd = (uint32_t)cgroup->dir[0].fd,
                            .attach_bpf_fd = (uint32_t)fd,
                            .attach_type = BPF_CGROUP_DEVICE,
                            .attach_flags = BPF_F_ALLOW_MULTI};
    cr_assert_eq(syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)), 0);
    OK(box_limits_add_device(all, &(struct box_device_rule){1, 'a', -1, -1, 7}, err));
    OK(box_cgroup_apply(cgroup, all, 0, err));
    cr_expect_eq(attached(cgroup), 2);
    cr_expect_eq(test_run(cgroup, open_errno, "/dev/full"), EPERM);
}

Test(cgroup_v2, without_the_right_to_load_programs_the_rules_are_told_as_not_applied)
{
    NEED_V2();
    SKIP_UNLESS(geteuid() == 0, "changes to another user");
    _cleanup_(box_limits) box_limits *limits = test_limits();
    OK(box_limits_add_default_devices(limits, err));
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", BOX_CONTROLLER_UNIFIED, NULL);

    OK(box_cgroup_delegate(cgroup, 65534, 65534, err));
    pid_t pid = fork();
    if (pid == 0) {
        int bad = box_cgroup_add(cgroup, 0, NULL) != 0;
        bad |= (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) << 1;
        bad |= (box_cgroup_controllers(NULL, NULL) & BOX_CONTROLLER_DEVICES ? 1 : 0) << 2;
        box_cgroup *below = box_cgroup_create(NULL, "below", 0, limits, 0, NULL);
        bad |= !below << 3;
        bad |= (box_cgroup_not_applied(below) != BOX_CONTROLLER_DEVICES) << 4;
        _exit(bad);
    }
    int status = test_wait(pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}
