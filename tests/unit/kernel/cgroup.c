/* Making, opening, entering, emptying and removing real cgroups, on whatever this host has. */
#include "cgroup_help.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#define ANY_CGROUP BOX_CONTROLLER_MEMORY

TestSuite(cgroup, .init = test_make_room, .fini = test_clean_up, .timeout = 20);

static bool may_make(void)
{
    return box_cgroup_controllers(NULL, test_path("x")) != 0;
}
#define NEED_CGROUPS() SKIP_UNLESS(may_make(), "may make no cgroups here")

/* Whether the leaf of this test exists in any hierarchy. */
static bool exists(const char *name)
{
    box_cgroup *cgroup = box_cgroup_open(NULL, test_path(name), NULL);
    bool found = cgroup != NULL;

    box_cgroup_free(cgroup);
    return found;
}

static int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* ---- the host ---- */

Test(cgroup, the_mode_is_what_the_file_systems_say)
{
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(NULL);
    struct statfs fs;

    cr_assert_not_null(host);
    SKIP_UNLESS(statfs("/sys/fs/cgroup", &fs) == 0, "no /sys/fs/cgroup");
    if (fs.f_type == 0x63677270)
        cr_expect_eq(box_cgroup_host_mode(host), BOX_CGROUP_MODE_V2);
    else if (access("/sys/fs/cgroup/unified/cgroup.controllers", F_OK) == 0)
        cr_expect_eq(box_cgroup_host_mode(host), BOX_CGROUP_MODE_HYBRID);
    cr_expect_null(box_cgroup_open(host, "/libbox-test-no-such", NULL));
}

Test(cgroup, controllers_of_the_host_are_those_of_its_files)
{
    NEED_CGROUPS();
    unsigned mask = box_cgroup_controllers(NULL, test_path("x"));

    cr_expect(!(mask & BOX_CONTROLLER_PIDS) || access("/sys/fs/cgroup/pids", F_OK) == 0 ||
              access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0);
    cr_expect_eq(box_cgroup_controllers(NULL, "/../x"), 0, "a path that is none");
    cr_expect_eq(exists(""), false, "looking makes nothing");
}

Test(cgroup, an_ordinary_user_is_told_how_to_get_a_cgroup)
{
    SKIP_UNLESS(geteuid() == 0, "changes to another user");
    NEED_CGROUPS();
    pid_t pid = fork();

    if (pid == 0) {
        box_error *error = NULL;
        int bad = setresuid(65534, 65534, 65534) != 0;

        bad |= (box_cgroup_controllers(NULL, test_path("x")) != 0) << 1;
        bad |= (box_cgroup_create(NULL, test_path("x"), 0, NULL, 0, &error) != NULL) << 2;
        bad |= (box_error_code(error) != BOX_EPERMISSION) << 3;
        bad |= !strstr(box_error_remedy(error), "Delegate=yes") << 4;
        box_error_free(error);
        _exit(bad);
    }
    int status = test_wait(pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}

/* ---- making ---- */

Test(cgroup, one_is_made_found_again_and_removed)
{
    NEED_CGROUPS();
    int fds = count_fds();
    box_cgroup *cgroup = test_create("a/b", 0, NULL);

    cr_expect(exists("a/b"));
    cr_expect_neq(box_cgroup_has(cgroup), 0);
    cr_expect_not_null(strstr(box_cgroup_location(cgroup), test_path("a/b")));
    OK(box_cgroup_destroy(cgroup, 1000, err));
    cr_expect_not(exists("a/b"));
    OK(box_cgroup_destroy(cgroup, 1000, err));
    box_cgroup_free(cgroup);
    cr_expect_eq(count_fds(), fds, "no fd is left");
}

/* libbox itself leaves out what adds nothing to v2; engines read there nevertheless. */
Test(cgroup, one_in_every_hierarchy_leaves_none_out)
{
    SKIP_UNLESS(geteuid() == 0, "not every hierarchy is an ordinary user's");
    NEED_CGROUPS();
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(NULL);
    _cleanup_(box_cgroup) box_cgroup *cgroup = box_cgroup_create(host, test_path("x"), 0, NULL, BOX_CGROUP_EVERY_HIERARCHY, NULL);

    cr_assert_not_null(cgroup);
    cr_expect_eq(cgroup->count, host->count);
    for (int i = 0; i < host->count; i++) {
        _free_ char *path = NULL;

        cr_assert_geq(asprintf(&path, "%s%s/cgroup.procs", host->mount[i].mountpoint, test_path("x")), 0);
        cr_expect_eq(access(path, F_OK), 0, "%s", path);
    }
    OK(box_cgroup_destroy(cgroup, 1000, err));
    cr_expect_not(exists("x"));
}

Test(cgroup, a_name_that_is_taken_is_told)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *first = test_create("x", 0, NULL);
    _cleanup_(box_error) box_error *error = NULL;

    cr_expect_null(box_cgroup_create(NULL, test_path("x"), 0, NULL, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_EEXISTS);
    cr_expect(exists("x"), "the first one is untouched");
}

Test(cgroup, no_path_means_a_fresh_name_below_our_own)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *parent =
        test_create("own", BOX_CONTROLLER_PIDS | BOX_CONTROLLER_UNIFIED, NULL);
    _cleanup_(box_cgroup) box_cgroup *before = box_cgroup_open_pid(NULL, getpid(), NULL);
    OK(box_cgroup_add(parent, getpid(), err));
    _cleanup_(box_cgroup) box_cgroup *a = box_cgroup_create(NULL, NULL, BOX_CONTROLLER_PIDS, NULL, 0, NULL);
    _cleanup_(box_cgroup) box_cgroup *b =
        box_cgroup_create(NULL, "named", BOX_CONTROLLER_PIDS, NULL, 0, NULL);
    _free_ char *place = NULL;

    cr_assert_not_null(a);
    cr_assert_not_null(b);
    cr_assert_gt(asprintf(&place, "%s/libbox-", test_path("own")), 0);
    cr_expect_not_null(strstr(box_cgroup_location(a), place), "%s", box_cgroup_location(a));
    cr_expect_not_null(strstr(box_cgroup_location(b), test_path("own/named")));
    OK(box_cgroup_add(before, getpid(), err));
}

Test(cgroup, a_failure_leaves_nothing_behind)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_CPUSET);
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_error) box_error *error = NULL;
    int fds = count_fds();

    box_limits_set_cpuset_cpus(limits, "99999", NULL);
    cr_expect_null(box_cgroup_create(NULL, test_path("p/q/r"), 0, limits, 0, &error));
    cr_expect_eq(box_error_code(error), BOX_ESPEC);
    cr_expect_str_eq(box_error_subject(error), "linux.resources.cpu.cpus");
    cr_expect_not(exists(""), "the parents that it made are gone as well");
    cr_expect_eq(count_fds(), fds);
}

Test(cgroup, a_host_that_has_no_fds_left_leaves_nothing_behind)
{
    NEED_CGROUPS();
    _cleanup_(box_limits) box_limits *limits = test_limits();
    _cleanup_(box_cgroup) box_cgroup *kept = test_create("kept", 0, NULL);
    struct rlimit limit;
    bool made = false;

    if (box_cgroup_has(kept) & BOX_CONTROLLER_PIDS)
        OK(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 10, err));
    getrlimit(RLIMIT_NOFILE, &limit);
    for (rlim_t fds = 3; fds < 60 && !made; fds++) {
        box_error *error = NULL;
        box_cgroup *cgroup;

        setrlimit(RLIMIT_NOFILE, &(struct rlimit){fds, limit.rlim_max});
        cgroup = box_cgroup_create(NULL, test_path("p/x"), 0, limits, 0, &error);
        made = cgroup != NULL;
        if (made)
            OK(box_cgroup_destroy(cgroup, 1000, err));
        setrlimit(RLIMIT_NOFILE, &limit);
        cr_expect(made || box_error_code(error) != BOX_OK);
        cr_expect_not(exists(made ? "p/x" : "p"), "with %d fds: %s", (int)fds, box_error_message(error));
        box_cgroup_free(cgroup);
        box_error_free(error);
    }
    cr_expect(made);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){3, limit.rlim_max});
    int r = box_cgroup_destroy(kept, 1000, NULL);
    setrlimit(RLIMIT_NOFILE, &limit);
    cr_expect_eq(r, 0, "removing needs no fd");
}

Test(cgroup, bad_paths_make_nothing)
{
    static const char *const bad[] = {"/../libbox-test-escape", "a//b", "/", "..", "/a/"};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        _cleanup_(box_error) box_error *error = NULL;
        cr_expect_null(box_cgroup_create(NULL, bad[i], 0, NULL, 0, &error));
        cr_expect_eq(box_error_code(error), BOX_EINVAL, "%s", bad[i]);
    }
}

static const box_cgroup_host *shared_host;
static char shared_parent[128];

static void *make_many(void *number)
{
    for (int i = 0; i < 10; i++) {
        char path[160];
        box_cgroup *cgroup;

        snprintf(path, sizeof(path), "%s/t%d-%d", shared_parent, (int)(intptr_t)number, i);
        cgroup = box_cgroup_create(shared_host, path, 0, NULL, 0, NULL);
        if (!cgroup || box_cgroup_destroy(cgroup, 2000, NULL) < 0)
            return (void *)1;
        box_cgroup_free(cgroup);
    }
    return NULL;
}

Test(cgroup, threads_make_and_remove_them_side_by_side_with_one_host)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(NULL);
    pthread_t threads[4];

    shared_host = host;
    snprintf(shared_parent, sizeof(shared_parent), "%s", test_path("shared/parent"));
    for (intptr_t i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, make_many, (void *)i), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        cr_expect_null(failed);
    }
}

/* ---- opening and entering ---- */

Test(cgroup, what_location_tells_opens_the_same_cgroup)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *made = test_create("x", 0, NULL);
    _cleanup_(box_cgroup) box_cgroup *opened = box_cgroup_open(NULL, box_cgroup_location(made), NULL);
    _cleanup_(box_error) box_error *error = NULL;

    cr_assert_not_null(opened);
    cr_expect_str_eq(box_cgroup_location(opened), box_cgroup_location(made));
    cr_expect_eq(box_cgroup_has(opened), box_cgroup_has(made));
    OK(box_cgroup_destroy(made, 1000, err));
    cr_expect_null(box_cgroup_open(NULL, box_cgroup_location(made), &error));
    cr_expect_eq(box_error_code(error), BOX_ENOTFOUND);
}

Test(cgroup, a_location_that_leads_elsewhere_is_refused)
{
    _cleanup_(box_error) box_error *error = NULL;

    NEED_CGROUPS();
    cr_expect_null(box_cgroup_open(NULL, "1:pids:/a/../../x\n0::/a/../../x\n", &error));
    cr_expect_neq(box_error_code(error), BOX_OK);
    cr_expect_null(box_cgroup_open(NULL, "nonsense\n", NULL));
    cr_expect_null(box_cgroup_open(NULL, "", NULL));
}

static int report_cgroup(void *place)
{
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);

    return read(fd, place, 4000) > 0 ? 0 : 1;
}

Test(cgroup, writing_0_to_the_entry_fds_moves_a_child_in_everywhere)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    char *text = (char *)shared_counter(), *line, *cursor;
    _free_ char *location = strdup(box_cgroup_location(cgroup));

    cr_assert_eq(test_run(cgroup, report_cgroup, text), 0);
    for (cursor = location; (line = cgroup_next_line(&cursor));)
        cr_expect_not_null(strstr(text, strchr(line, ':') + 1), "%s in %s", line, text);
}

Test(cgroup, entry_fds_are_close_on_exec)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    struct box_cgroup_entry entry;
    int fds = count_fds();

    OK(box_cgroup_entry_fds(cgroup, &entry, err));
    for (int i = 0; i < entry.count; i++)
        cr_expect(fcntl(entry.procs[i], F_GETFD) & FD_CLOEXEC);
    cr_expect(entry.unified < 0 || fcntl(entry.unified, F_GETFD) & FD_CLOEXEC);
    cr_expect(entry.directory < 0 || fcntl(entry.directory, F_GETFD) & FD_CLOEXEC);
    cr_expect_eq(entry.directory < 0, entry.unified < 0);
    box_cgroup_entry_close(&entry);
    box_cgroup_entry_close(&entry);
    cr_expect_eq(count_fds(), fds);
}

Test(cgroup, a_process_is_added_by_its_id_and_found_by_it)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL), *found = NULL;
    _cleanup_(box_error) box_error *error = NULL;
    pid_t pid = fork();

    if (pid == 0)
        sleep_on(NULL);
    OK(box_cgroup_add(cgroup, pid, err));
    found = box_cgroup_open_pid(NULL, pid, NULL);
    cr_assert_not_null(found);
    for (int i = 0; i < cgroup->count; i++) {
        bool same = false;
        for (int j = 0; j < found->count; j++)
            same |= strcmp(found->dir[j].directory, cgroup->dir[i].directory) == 0;
        cr_expect(same, "%s", cgroup->dir[i].directory);
    }
    kill(pid, SIGKILL);
    test_wait(pid);
    cr_expect_eq(box_cgroup_add(cgroup, pid, &error), BOX_ENOTFOUND);
    cr_expect_null(box_cgroup_open_pid(NULL, pid, NULL));
}

/* ---- processes ---- */

static int fork_three(void *unused)
{
    (void)unused;
    for (int i = 0; i < 3; i++) {
        if (fork() == 0)
            sleep_on(NULL);
    }
    return sleep_on(NULL);
}

static size_t wait_for_processes(box_cgroup *cgroup, size_t wanted)
{
    size_t count = 0;

    for (int i = 0; i < 1000 && count != wanted; i++) {
        _free_ pid_t *pids = NULL;
        OK(box_cgroup_pids(cgroup, &pids, &count, err));
        usleep(1000);
    }
    return count;
}

Test(cgroup, processes_of_cgroups_below_are_listed_too)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *outer = test_create("x", 0, NULL),
                                     *inner = test_create("x/y/z", 0, NULL);
    _free_ pid_t *pids = NULL;
    size_t count;

    OK(box_cgroup_pids(outer, &pids, &count, err));
    cr_expect_eq(count, 0);
    test_child(inner, fork_three, NULL);
    cr_expect_eq(wait_for_processes(outer, 4), 4);
}

Test(cgroup, killing_ends_every_process_and_waiting_sees_it)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    pid_t pid = test_child(cgroup, fork_three, NULL);
    int status;

    wait_for_processes(cgroup, 4);
    cr_expect_eq(box_cgroup_wait_empty(cgroup, 10, NULL), BOX_ETIMEOUT);
    OK(box_cgroup_kill(cgroup, SIGKILL, err));
    status = test_wait(pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    OK(box_cgroup_wait_empty(cgroup, 5000, err));
    OK(box_cgroup_destroy(cgroup, 5000, err));
    OK(box_cgroup_kill(cgroup, SIGKILL, err));
    OK(box_cgroup_wait_empty(cgroup, 0, err));
}

static int fork_without_end(void *unused)
{
    (void)unused;
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        pid_t pid = fork();
        if (pid == 0)
            continue; /* the parent goes, the child goes on */
        if (pid > 0)
            _exit(0);
    }
    return 0;
}

Test(cgroup, a_process_that_keeps_forking_cannot_outrun_the_kill)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    test_wait(test_child(cgroup, fork_without_end, NULL));
    usleep(5000);
    OK(box_cgroup_kill(cgroup, SIGKILL, err));
    OK(box_cgroup_wait_empty(cgroup, 5000, err));
}

Test(cgroup, a_gentler_signal_reaches_every_process)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    pid_t pid = test_child(cgroup, fork_three, NULL);
    int status;

    wait_for_processes(cgroup, 4);
    OK(box_cgroup_kill(cgroup, SIGUSR1, err));
    status = test_wait(pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    OK(box_cgroup_wait_empty(cgroup, 5000, err));
    cr_expect_eq(box_cgroup_kill(cgroup, 0, NULL), BOX_EINVAL);
    cr_expect_eq(box_cgroup_kill(cgroup, 1000, NULL), BOX_EINVAL);
}

Test(cgroup, a_frozen_child_stands_still_until_it_is_thawed)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_FREEZER);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    uint64_t *counter = shared_counter(), before;

    test_child(cgroup, count_up, counter);
    cr_assert(counter_moves(counter));
    OK(box_cgroup_freeze(cgroup, 2000, err));
    cr_expect_eq(box_cgroup_frozen(cgroup, NULL), 1);
    before = counter_now(counter);
    usleep(20000);
    cr_expect_eq(counter_now(counter), before);
    OK(box_cgroup_thaw(cgroup, 2000, err));
    cr_expect_eq(box_cgroup_frozen(cgroup, NULL), 0);
    cr_expect(counter_moves(counter));
}

Test(cgroup, a_frozen_cgroup_can_be_killed)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_FREEZER);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    pid_t pid = test_child(cgroup, sleep_on, NULL);

    OK(box_cgroup_freeze(cgroup, 2000, err));
    OK(box_cgroup_kill(cgroup, SIGKILL, err));
    int status = test_wait(pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

Test(cgroup, an_empty_cgroup_can_be_frozen)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_FREEZER);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    OK(box_cgroup_freeze(cgroup, 1000, err));
    cr_expect_eq(box_cgroup_frozen(cgroup, NULL), 1);
    OK(box_cgroup_thaw(cgroup, 1000, err));
}

Test(cgroup, nobody_freezes_itself)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_FREEZER);
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    pid_t pid = fork();

    if (pid == 0) {
        int bad = box_cgroup_add(cgroup, 0, NULL) != 0;
        bad |= (box_cgroup_freeze(cgroup, 1000, NULL) != BOX_EINVAL) << 1;
        _exit(bad);
    }
    int status = test_wait(pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}

/* v1's own freezer, which a hybrid host leaves to v2. */
Test(cgroup, the_v1_freezer_freezes_and_kills_on_its_own)
{
    SKIP_UNLESS(access("/sys/fs/cgroup/freezer", F_OK) == 0 && geteuid() == 0,
                "needs the v1 freezer and root");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", BOX_CONTROLLER_FREEZER, NULL), *v1 = NULL;
    _cleanup_(box_cgroup_host) box_cgroup_host *host = box_cgroup_host_new(NULL);
    uint64_t *counter = shared_counter(), before;

    box_cgroup_destroy(cgroup, 1000, NULL);
    for (int i = host->count - 1; i >= 0; i--) { /* a host that has nothing else */
        struct cgroup_mount mount = host->mount[i];
        if (mount.controllers == BOX_CONTROLLER_FREEZER)
            continue;
        free(mount.names);
        free(mount.mountpoint);
        free(mount.root);
        free(mount.own);
        host->mount[i] = host->mount[--host->count];
    }
    cr_assert_eq(host->count, 1);
    cr_assert_eq(box_cgroup_host_mode(host), BOX_CGROUP_MODE_V1);
    v1 = box_cgroup_create(host, test_path("v1"), 0, NULL, 0, NULL);
    cr_assert_not_null(v1);
    pid_t pid = test_child(v1, count_up, counter);
    cr_assert(counter_moves(counter));
    OK(box_cgroup_freeze(v1, 2000, err));
    before = counter_now(counter);
    usleep(20000);
    cr_expect_eq(counter_now(counter), before);
    OK(box_cgroup_thaw(v1, 2000, err));
    cr_expect(counter_moves(counter));
    OK(box_cgroup_freeze(v1, 2000, err));
    OK(box_cgroup_kill(v1, SIGKILL, err));
    int status = test_wait(pid);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    OK(box_cgroup_wait_empty(v1, 2000, err));
    test_wait(test_child(v1, fork_without_end, NULL));
    OK(box_cgroup_kill(v1, SIGKILL, err));
    OK(box_cgroup_wait_empty(v1, 5000, err));
    cr_expect_eq(box_cgroup_pressure(v1, BOX_PRESSURE_CPU, &(struct box_pressure){0}, NULL),
                 BOX_EUNSUPPORTED);
    OK(box_cgroup_destroy(v1, 2000, err));
}

/* ---- removing ---- */

Test(cgroup, cgroups_that_were_made_below_go_with_it_however_deep)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);

    for (int i = 0; i < cgroup->count; i++) {
        int at = dup(cgroup->dir[i].fd);
        for (int depth = 0; depth < 40; depth++) {
            cr_assert_eq(mkdirat(at, "wide", 0755), 0, "%s", strerror(errno));
            cr_assert_eq(mkdirat(at, "deep", 0755), 0, "%s", strerror(errno));
            int next = openat(at, "deep", O_PATH | O_DIRECTORY | O_CLOEXEC);
            close(at);
            at = next;
        }
        close(at);
    }
    OK(box_cgroup_destroy(cgroup, 5000, err));
    cr_expect_not(exists("x"));
}

Test(cgroup, one_that_holds_a_process_is_not_removed)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    _cleanup_(box_error) box_error *error = NULL;
    pid_t pid = test_child(cgroup, sleep_on, NULL);
    char text[16];

    snprintf(text, sizeof(text), "%d", pid);
    wait_for_processes(cgroup, 1);
    cr_expect_eq(box_cgroup_destroy(cgroup, 20, &error), BOX_EBUSY);
    cr_expect_not_null(strstr(box_error_message(error), text), "%s", box_error_message(error));
    cr_expect_eq(kill(pid, 0), 0, "removing does not kill");
}

Test(cgroup, one_that_was_made_anew_under_the_same_name_is_not_removed)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *old = test_create("x", 0, NULL), *again = NULL, *new = NULL;

    again = box_cgroup_open(NULL, test_path("x"), NULL);
    OK(box_cgroup_destroy(again, 1000, err));
    new = test_create("x", 0, NULL);
    OK(box_cgroup_destroy(old, 1000, err));
    cr_expect(exists("x"));
    cr_expect_null(box_cgroup_stats_read(old, NULL), "the old one is gone, whatever has its name now");
}

Test(cgroup, the_root_is_never_removed)
{
    NEED_CGROUPS();
    _cleanup_(box_cgroup) box_cgroup *root = box_cgroup_open(NULL, "/", NULL);

    cr_assert_not_null(root);
    cr_expect_eq(box_cgroup_destroy(root, 0, NULL), BOX_EBUSY);
}

/* ---- delegation ---- */

Test(cgroup, delegation_gives_the_files_that_are_safe_to_give_and_no_others)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_UNIFIED);
    SKIP_UNLESS(geteuid() == 0, "gives files away");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", 0, NULL);
    int fd = cgroup_dir_for(cgroup, BOX_CONTROLLER_UNIFIED)->fd;
    struct stat st;

    OK(box_cgroup_delegate(cgroup, 1234, 1235, err));
    cr_assert_eq(fstat(fd, &st), 0);
    cr_expect_eq(st.st_uid, 1234);
    cr_expect_eq(st.st_gid, 1235);
    cr_assert_eq(fstatat(fd, "cgroup.subtree_control", &st, 0), 0);
    cr_expect_eq(st.st_uid, 1234);
    cr_assert_eq(fstatat(fd, "cgroup.kill", &st, 0) * 0, 0);
    cr_expect_eq(st.st_uid == 1234 && access("/sys/kernel/cgroup/delegate", F_OK) != 0, false);
    cr_assert_eq(fstatat(fd, "cgroup.max.depth", &st, 0), 0);
    cr_expect_eq(st.st_uid, 0, "what limits the user stays ours");
    OK(box_cgroup_destroy(cgroup, 1000, err));
}

Test(cgroup, the_user_of_a_delegated_cgroup_makes_more_below_it)
{
    NEED_CONTROLLERS(BOX_CONTROLLER_UNIFIED);
    SKIP_UNLESS(geteuid() == 0, "gives files away");
    _cleanup_(box_cgroup) box_cgroup *cgroup = test_create("x", BOX_CONTROLLER_UNIFIED, NULL);

    OK(box_cgroup_delegate(cgroup, 65534, 65534, err));
    pid_t pid = fork();
    if (pid == 0) {
        box_error *error = NULL;
        box_cgroup *below = NULL, *leaf = NULL;
        int bad = box_cgroup_add(cgroup, 0, NULL) != 0;

        bad |= (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534)) << 1;
        below = box_cgroup_create(NULL, "below", 0, NULL, 0, &error);
        bad |= !below << 2;
        if (!bad) {
            bad |= !(box_cgroup_has(below) & BOX_CONTROLLER_UNIFIED) << 3;
            bad |= (box_cgroup_host_make_room(NULL, &error) != 0) << 4;
            /* We are in libbox-host now, and "below our own" is still beside it. */
            leaf = box_cgroup_create(NULL, "after", 0, NULL, 0, &error);
            bad |= (!leaf || strstr(box_cgroup_location(leaf), "libbox-host")) << 5;
            bad |= (box_cgroup_host_make_room(NULL, NULL) != 0) << 6;
        }
        if (bad)
            fprintf(stderr, "%s\n", box_error_message(error));
        _exit(bad);
    }
    int status = test_wait(pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}
