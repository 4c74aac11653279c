#include "helper.h"

#include <grp.h>
#include <time.h>

#include "kernel/idmap.h"
#include "kernel/namespace.h"
#include "kernel/nsjoin.h"

#define BIT(k)      BOX_NAMESPACE_BIT(BOX_NAMESPACE_##k)
#define ALL_BUT_PID (0xffu & ~BIT(PID))

static void free_all(box_namespace *made[BOX_NAMESPACE_KINDS])
{
    for (int k = 0; k < BOX_NAMESPACE_KINDS; k++)
        box_namespace_free(made[k]);
}

Test(namespace, kinds_have_the_kernels_and_ocis_names)
{
    enum box_namespace_kind kind;

    for (int k = 0; k < BOX_NAMESPACE_KINDS; k++) {
        OK(box_namespace_kind_parse(box_namespace_kind_name((enum box_namespace_kind)k), &kind, err));
        cr_assert_eq(kind, k);
        OK(box_namespace_kind_parse(box_namespace_kind_oci_name((enum box_namespace_kind)k), &kind, err));
        cr_assert_eq(kind, k);
        cr_assert_neq(box_namespace_kind_flag((enum box_namespace_kind)k), 0);
    }
    FAILS(BOX_EINVAL, box_namespace_kind_parse("nets", &kind, err));
    cr_assert_null(box_namespace_kind_name((enum box_namespace_kind)8));
}

Test(namespace, every_way_of_opening_leads_to_the_same_one)
{
    pid_t pid = start_sleeper();
    int pidfd = box_pidfd_open(pid, NULL);

    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++) {
        enum box_namespace_kind kind = (enum box_namespace_kind)k;
        _cleanup_(box_namespace) box_namespace *self = NULL, *path = NULL, *by_pid = NULL, *by_pidfd = NULL,
                                               *by_fd = NULL;
        char name[64];

        if (!(box_namespace_supported() & BOX_NAMESPACE_BIT(k)))
            continue;
        snprintf(name, sizeof(name), "/proc/self/ns/%s", box_namespace_kind_name(kind));
        OK(box_namespace_open_self(kind, &self, err));
        OK(box_namespace_open_path(kind, name, &path, err));
        OK(box_namespace_open_pid(kind, pid, &by_pid, err));
        OK(box_namespace_open_pidfd(kind, pidfd, &by_pidfd, err));
        OK(box_namespace_open_fd(kind, box_namespace_fd(self), &by_fd, err));
        cr_assert(box_namespace_same(self, path) && box_namespace_same(self, by_pid));
        cr_assert(box_namespace_same(self, by_pidfd) && box_namespace_same(self, by_fd));
        cr_assert_eq(box_namespace_get_kind(self), kind);
        cr_assert(fcntl(box_namespace_fd(by_pidfd), F_GETFD) & FD_CLOEXEC);
    }
    end_sleeper(pid);
    box_namespace *ns = NULL;
    FAILS(BOX_ENOTFOUND, box_namespace_open_pidfd(BOX_NAMESPACE_NETWORK, pidfd, &ns, err));
    close(pidfd);
}

Test(namespace, one_of_another_kind_and_what_is_none_are_refused)
{
    box_namespace *ns = NULL;
    char fifo[] = "/tmp/libbox-test-XXXXXX";

    FAILS(BOX_EINVAL, box_namespace_open_path(BOX_NAMESPACE_NETWORK, "/proc/self/ns/uts", &ns, err));
    FAILS(BOX_EINVAL, box_namespace_open_path(BOX_NAMESPACE_NETWORK, "/etc/passwd", &ns, err));
    FAILS(BOX_ENOTFOUND, box_namespace_open_path(BOX_NAMESPACE_NETWORK, "/nonexistent", &ns, err));
    FAILS(BOX_EINVAL, box_namespace_open_self((enum box_namespace_kind)99, &ns, err));
    cr_assert(mkdtemp(fifo));
    char path[64];
    snprintf(path, sizeof(path), "%s/fifo", fifo);
    cr_assert_eq(mkfifo(path, 0600), 0);
    FAILS(BOX_EINVAL, box_namespace_open_path(BOX_NAMESPACE_NETWORK, path, &ns, err));
    unlink(path);
    rmdir(fifo);
}

static void create(const box_namespace_config *config, box_namespace *made[BOX_NAMESPACE_KINDS])
{
    box_error *err = NULL;
    int r = box_namespace_create(config, made, &err);

    if (r == BOX_EPERMISSION || r == BOX_EUNSUPPORTED) {
        box_error_free(err);
        cr_skip_test("namespaces are not allowed here");
    }
    cr_assert_eq(r, 0, "%s", box_error_message(err));
}

Test(namespace, all_kinds_but_pid_are_made_at_once_and_are_new)
{
    NEED_ROOT();
    box_namespace *made[BOX_NAMESPACE_KINDS];
    unsigned kinds = ALL_BUT_PID & box_namespace_supported();
    int fds = count_fds();

    create(&(box_namespace_config){.kinds = kinds}, made);
    for (unsigned k = 0; k < BOX_NAMESPACE_KINDS; k++) {
        _cleanup_(box_namespace) box_namespace *mine = NULL, *owner = NULL;

        cr_assert_eq(made[k] != NULL, (kinds & BOX_NAMESPACE_BIT(k)) != 0);
        if (!made[k])
            continue;
        OK(box_namespace_open_self((enum box_namespace_kind)k, &mine, err));
        cr_assert(!box_namespace_same(mine, made[k]));
        if (k == BOX_NAMESPACE_USER)
            continue;
        OK(box_namespace_owner(made[k], &owner, err));
        cr_assert(box_namespace_same(owner, made[BOX_NAMESPACE_USER]), "%s",
                  box_namespace_kind_name((enum box_namespace_kind)k));
    }
    free_all(made);
    cr_assert_eq(count_fds(), fds);
    cr_assert_eq(waitpid(-1, NULL, __WALL | WNOHANG), -1);
}

Test(namespace, impossible_wishes_are_refused)
{
    box_namespace *made[BOX_NAMESPACE_KINDS];
    _cleanup_(box_idmap) box_idmap *map = box_idmap_new(NULL);

    FAILS(BOX_EINVAL, box_namespace_create(&(box_namespace_config){.kinds = BIT(PID)}, made, err));
    FAILS(BOX_EINVAL, box_namespace_create(&(box_namespace_config){.kinds = 1u << 8}, made, err));
    FAILS(BOX_EINVAL,
          box_namespace_create(&(box_namespace_config){.kinds = BIT(UTS), .idmap = map}, made, err));
    FAILS(BOX_EINVAL, box_namespace_create(
                          &(box_namespace_config){.kinds = BIT(UTS), .has_time_offsets = true}, made, err));
    cr_assert_null(made[BOX_NAMESPACE_UTS]);
}

Test(namespace, a_time_namespace_has_the_offsets_that_were_asked_for)
{
    NEED_ROOT();
    box_namespace *made[BOX_NAMESPACE_KINDS];
    struct timespec here, there;
    int status;

    if (!(box_namespace_supported() & BIT(TIME)))
        cr_skip_test("this kernel has no time namespaces");
    create(&(box_namespace_config){.kinds = BIT(TIME), .has_time_offsets = true, .boottime_seconds = 100000},
           made);
    clock_gettime(CLOCK_BOOTTIME, &here);
    pid_t pid = fork();
    if (pid == 0) {
        if (box_namespace_enter(made[BOX_NAMESPACE_TIME], NULL) < 0)
            _exit(1);
        pid_t inner = fork();
        if (inner == 0) {
            clock_gettime(CLOCK_BOOTTIME, &there);
            _exit(there.tv_sec - here.tv_sec >= 100000 ? 0 : 2);
        }
        waitpid(inner, &status, 0);
        _exit(WEXITSTATUS(status));
    }
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%#x", status);
    free_all(made);
}

Test(namespace, entering_changes_the_calling_thread)
{
    NEED_ROOT();
    box_namespace *made[BOX_NAMESPACE_KINDS];
    _cleanup_(box_namespace) box_namespace *now = NULL;

    create(&(box_namespace_config){.kinds = BIT(UTS)}, made);
    OK(box_namespace_enter(made[BOX_NAMESPACE_UTS], err));
    OK(box_namespace_open_self(BOX_NAMESPACE_UTS, &now, err));
    cr_assert(box_namespace_same(now, made[BOX_NAMESPACE_UTS]));
    free_all(made);
}

Test(namespace, a_kept_one_outlives_its_descriptors_and_can_be_forgotten)
{
    NEED_ROOT();
    box_namespace *made[BOX_NAMESPACE_KINDS], *again = NULL;
    uint64_t inode = 0, inode_again = 1;

    private_mounts("/mnt");
    create(&(box_namespace_config){.kinds = BIT(NETWORK)}, made);
    box_namespace_id(made[BOX_NAMESPACE_NETWORK], NULL, &inode);
    OK(box_namespace_keep(made[BOX_NAMESPACE_NETWORK], "/mnt/net", err));
    FAILS(BOX_EEXISTS, box_namespace_keep(made[BOX_NAMESPACE_NETWORK], "/mnt/net", err));
    free_all(made);
    OK(box_namespace_open_path(BOX_NAMESPACE_NETWORK, "/mnt/net", &again, err));
    box_namespace_id(again, NULL, &inode_again);
    cr_assert_eq(inode, inode_again);
    box_namespace_free(again);
    OK(box_namespace_unkeep("/mnt/net", err));
    cr_assert_eq(access("/mnt/net", F_OK), -1);
    FAILS(BOX_EINVAL, box_namespace_unkeep("/etc/passwd", err));
    cr_assert_eq(access("/etc/passwd", F_OK), 0);
}

/* A process of uid 4242 with a user namespace of its own. */
static pid_t start_stranger(int *ready)
{
    int ends[2];

    cr_assert_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char ok = 'n';
        if (setgroups(0, NULL) == 0 && setresgid(4242, 4242, 4242) == 0 && setresuid(4242, 4242, 4242) == 0 &&
            unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWUTS) == 0)
            ok = 'y';
        if (write(ends[1], &ok, 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char ok;
    cr_assert_eq(read(ends[0], &ok, 1), 1);
    *ready = ok == 'y';
    close(ends[0]), close(ends[1]);
    return pid;
}

Test(namespace, who_made_it_is_known_and_a_stranger_s_is_not_joined)
{
    NEED_ROOT();
    int ready;
    pid_t pid = start_stranger(&ready);
    _cleanup_(box_namespace) box_namespace *user = NULL, *net = NULL, *mine = NULL;
    uid_t uid = 0;

    if (!ready) {
        end_sleeper(pid);
        cr_skip_test("ordinary users may make no user namespaces here");
    }
    OK(box_namespace_open_pid(BOX_NAMESPACE_USER, pid, &user, err));
    OK(box_namespace_open_pid(BOX_NAMESPACE_NETWORK, pid, &net, err));
    OK(box_namespace_open_self(BOX_NAMESPACE_NETWORK, &mine, err));
    OK(box_namespace_owner_uid(user, &uid, err));
    cr_assert_eq(uid, 4242);
    OK(box_namespace_owner_uid(net, &uid, err));
    cr_assert_eq(uid, 4242);
    FAILS(BOX_EPERMISSION, box_namespace_verify_owner(user, 0, err));
    FAILS(BOX_EPERMISSION, box_namespace_verify_owner(net, 0, err));
    OK(box_namespace_verify_owner(net, 4242, err));
    OK(box_namespace_verify_owner(mine, 0, err));
    end_sleeper(pid);
}

Test(nsjoin, takes_what_differs_puts_the_user_namespace_first_and_checks_the_owner)
{
    NEED_ROOT();
    int ready, status;
    pid_t pid = start_stranger(&ready);
    int pidfd = box_pidfd_open(pid, NULL);
    _cleanup_nsjoin_ struct box_nsjoin join;

    if (!ready) {
        end_sleeper(pid);
        cr_skip_test("ordinary users may make no user namespaces here");
    }
    OK(box_nsjoin_open(pidfd, 0xff, &join, err));
    cr_assert_eq(join.n, 3);
    cr_assert_eq(join.order[0], BOX_NAMESPACE_USER);
    cr_assert_null(join.ns[BOX_NAMESPACE_MOUNT]);
    FAILS(BOX_EPERMISSION, box_nsjoin_verify(&join, 0, err));
    OK(box_nsjoin_verify(&join, 4242, err));
    pid_t inner = fork();
    if (inner == 0) {
        bool in = box_nsjoin_enter(&join, NULL) == 0;
        for (unsigned i = 0; in && i < join.n; i++) {
            _cleanup_(box_namespace) box_namespace *now = NULL;
            in = box_namespace_open_self(join.order[i], &now, NULL) == 0 &&
                 box_namespace_same(now, join.ns[join.order[i]]);
        }
        _exit(in ? 0 : 1);
    }
    waitpid(inner, &status, 0);
    end_sleeper(pid);
    close(pidfd);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
