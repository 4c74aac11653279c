#include <criterion/criterion.h>

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/seccomp.h>

#include "base/json.h"
#include "kernel/host_report.h"
#include "kernel/smallfile.h"

#define ALL_CHILDREN 0x40000000 /* __WALL */

static box_host *probe(void)
{
    box_error *err = NULL;
    box_host *h = box_host_probe(&err);

    cr_assert_not_null(h, "%s", box_error_message(err));
    return h;
}

static enum box_host_state state_of(const box_host *h, const char *id)
{
    const box_host_feature *f = box_host_find(h, id);

    cr_assert_not_null(f, "no feature %s", id);
    return box_host_feature_state(f);
}

Test(host, every_feature_is_looked_at)
{
    _cleanup_(box_host) box_host *h = probe();

    cr_assert_gt(box_host_count(h), 40);
    for (size_t i = 0; i < box_host_count(h); i++) {
        const box_host_feature *f = box_host_at(h, i);
        cr_assert(h->features[i].known, "%s", box_host_feature_id(f));
        cr_assert_eq(box_host_find(h, box_host_feature_id(f)), f, "%s is there twice",
                     box_host_feature_id(f));
        cr_assert_str_neq(box_host_feature_title(f), "");
        cr_assert_str_neq(box_host_state_name(box_host_feature_state(f)), "unknown");
    }
    cr_assert_null(box_host_at(h, box_host_count(h)));
    cr_assert_null(box_host_find(h, "no such feature"));
    cr_assert_null(box_host_find(h, NULL));
    cr_assert_str_eq(box_host_state_name((enum box_host_state)4), "unknown");
}

Test(host, the_features_of_a_group_stand_together)
{
    _cleanup_(box_host) box_host *h = probe();

    for (size_t i = 1; i < box_host_count(h); i++) {
        const char *group = box_host_feature_group(box_host_at(h, i));
        if (strcmp(group, box_host_feature_group(box_host_at(h, i - 1))) == 0)
            continue;
        for (size_t k = 0; k < i; k++)
            cr_assert_str_neq(box_host_feature_group(box_host_at(h, k)), group);
    }
}

Test(host, what_is_missing_and_essential_has_a_remedy)
{
    _cleanup_(box_host) box_host *h = probe();

    for (size_t i = 0; i < box_host_count(h); i++) {
        const box_host_feature *f = box_host_at(h, i);
        if (box_host_feature_essential(f) && box_host_feature_state(f) >= BOX_HOST_MISSING)
            cr_assert_str_neq(box_host_feature_remedy(f), "", "%s", box_host_feature_id(f));
    }
}

static size_t open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");

    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static char *load(const char *path)
{
    char *text = NULL;

    cr_assert_eq(box_smallfile_load(path, &text), 0);
    return text;
}

Test(host, probing_leaves_no_descriptor_mount_child_or_signal_mask)
{
    box_host_free(probe()); /* what libraries open once stays out of the count */

    _free_ char *mounts = load("/proc/self/mountinfo"), *namespaces = NULL;
    sigset_t mask, mask_after;
    char cwd[4096], cwd_after[4096];
    size_t files = open_files();
    cr_assert_not_null(getcwd(cwd, sizeof(cwd)));
    sigprocmask(SIG_SETMASK, NULL, &mask);

    box_host_free(probe());

    namespaces = load("/proc/self/mountinfo");
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    cr_assert_not_null(getcwd(cwd_after, sizeof(cwd_after)));
    cr_assert_eq(open_files(), files);
    cr_assert_str_eq(namespaces, mounts);
    cr_assert_str_eq(cwd_after, cwd);
    for (int s = 1; s < 65; s++)
        cr_assert_eq(sigismember(&mask, s), sigismember(&mask_after, s));
    cr_assert_lt(waitpid(-1, NULL, WNOHANG | ALL_CHILDREN), 0);
    cr_assert_eq(errno, ECHILD);
}

Test(host, the_json_holds_every_feature)
{
    _cleanup_(box_host) box_host *h = probe();
    _free_ char *text = box_host_json(h, NULL);
    json_object *doc = json_tokener_parse(text), *list, *kernel;

    cr_assert_not_null(doc);
    cr_assert(json_object_object_get_ex(doc, "kernel", &kernel));
    cr_assert_str_eq(json_object_get_string(kernel), h->release);
    cr_assert(json_object_object_get_ex(doc, "features", &list));
    cr_assert_eq(json_object_array_length(list), box_host_count(h));
    for (size_t i = 0; i < box_host_count(h); i++) {
        json_object *id, *state, *o = json_object_array_get_idx(list, i);
        cr_assert(json_object_object_get_ex(o, "id", &id));
        cr_assert(json_object_object_get_ex(o, "state", &state));
        cr_assert_str_eq(json_object_get_string(id), box_host_feature_id(box_host_at(h, i)));
        cr_assert_str_eq(json_object_get_string(state),
                         box_host_state_name(box_host_feature_state(box_host_at(h, i))));
    }
    json_object_put(doc);
}

Test(host, an_ordinary_user_cannot_do_without_user_namespaces)
{
    if (getuid() != 0)
        cr_skip_test("needs root to become somebody else");
    cr_assert_eq(setgroups(0, NULL), 0);
    cr_assert_eq(setresgid(4242, 4242, 4242), 0);
    cr_assert_eq(setresuid(4242, 4242, 4242), 0);
    _cleanup_(box_host) box_host *h = probe();

    cr_assert(box_host_feature_essential(box_host_find(h, "userns")));
    cr_assert_eq(state_of(h, "mount.idmap"), BOX_HOST_FORBIDDEN);
    cr_assert_eq(state_of(h, "subuid"), BOX_HOST_MISSING);
    cr_assert_not_null(strstr(box_host_feature_remedy(box_host_find(h, "subuid")), "--add-subuids"));
    cr_assert_eq(state_of(h, "rlimit.raise"), BOX_HOST_FORBIDDEN);
}

/* Runs a check in a child of one thread, as unshare(2) wants it, and without what runs at a process's end. */
static void in_child(int (*check)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0)
        _exit(check());
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        cr_skip_test("needs more power or another kernel");
    cr_assert_eq(WEXITSTATUS(status), 0);
}

/* The limit is one of each user namespace: this touches nobody else. */
static int probe_without_user_namespaces(void)
{
    char map[32];

    snprintf(map, sizeof(map), "0 %u 1", (unsigned)getuid());
    if (unshare(CLONE_NEWUSER) < 0 || box_smallfile_write("/proc/self/setgroups", "deny") < 0 ||
        box_smallfile_write("/proc/self/uid_map", map) < 0 ||
        box_smallfile_write("/proc/sys/user/max_user_namespaces", "0") < 0)
        return 77;
    _cleanup_(box_host) box_host *h = box_host_probe(NULL);
    const box_host_feature *f = h ? box_host_find(h, "userns") : NULL;

    if (!f || box_host_feature_state(f) != BOX_HOST_FORBIDDEN)
        return 1;
    if (!strstr(box_host_feature_remedy(f), "max_user_namespaces"))
        return 2;
    return state_of(h, "overlay.userns") == BOX_HOST_OK ? 3 : 0;
}

Test(host, user_namespaces_that_a_sysctl_forbids_are_told_with_that_sysctl)
{
    in_child(probe_without_user_namespaces);
}

static int probe_without_proc(void)
{
    _cleanup_(box_error) box_error *err = NULL;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/proc", "tmpfs", 0, NULL) < 0)
        return 77;
    if (box_host_probe(&err))
        return 1;
    return box_error_code(err) == BOX_EUNSUPPORTED && strstr(box_error_remedy(err), "mount") ? 0 : 2;
}

Test(host, a_host_without_proc_is_an_error_that_says_so)
{
    in_child(probe_without_proc);
}

static int probe_without_cgroups(void)
{
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        umount2("/sys/fs/cgroup", MNT_DETACH) < 0)
        return 77;
    _cleanup_(box_host) box_host *h = box_host_probe(NULL);

    if (!h || state_of(h, "cgroup") != BOX_HOST_MISSING || state_of(h, "cgroup.create") == BOX_HOST_OK)
        return 1;
    return strstr(box_host_feature_remedy(box_host_find(h, "cgroup")), "mount") ? 0 : 2;
}

Test(host, a_host_without_cgroups_is_told_to_mount_them)
{
    in_child(probe_without_cgroups);
}

/* A filter in place of an old kernel. */
Test(host, system_calls_that_a_filter_takes_away_are_missed)
{
    _cleanup_(box_error) box_error *err = NULL;
    const char *calls[] = {"openat2", "pidfd_open", "mount_setattr", "keyctl", "landlock_create_ruleset",
                           NULL};
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, &err);

    cr_assert_eq(box_seccomp_add_rules(policy, BOX_SECCOMP_ERRNO, ENOSYS, calls, NULL, 0, &err), 0);
    box_seccomp_filter *filter = box_seccomp_compile(policy, &err);
    cr_assert_not_null(filter, "%s", box_error_message(err));
    box_seccomp_free(policy);
    cr_assert_eq(box_no_new_privs_set(NULL), 0);
    cr_assert_eq(box_seccomp_apply(filter, NULL, &err), 0, "%s", box_error_message(err));
    box_seccomp_filter_unref(filter);
    _cleanup_(box_host) box_host *h = probe();

    cr_assert_eq(state_of(h, "openat2"), BOX_HOST_DEGRADED);
    cr_assert_eq(state_of(h, "mount.attributes"), BOX_HOST_DEGRADED);
    cr_assert_eq(state_of(h, "pidfd"), BOX_HOST_MISSING);
    cr_assert_eq(state_of(h, "keyring"), BOX_HOST_MISSING);
    cr_assert_eq(state_of(h, "landlock"), BOX_HOST_MISSING);
    cr_assert_eq(state_of(h, "clone3"), BOX_HOST_OK);
}

Test(host, a_try_without_power_stops_before_its_first_mount)
{
    struct box_try t;

    if (getuid() == 0) {
        cr_assert_eq(setgroups(0, NULL), 0);
        cr_assert_eq(setresgid(4242, 4242, 4242), 0);
        cr_assert_eq(setresuid(4242, 4242, 4242), 0);
    }
    box_try_run(&t, false, true);
    cr_assert_eq(t.result[BOX_TRY_CLONE], -EPERM);
    for (int i = BOX_TRY_CLONE + 1; i < BOX_TRY_STEPS; i++)
        cr_assert_eq(t.result[i], BOX_TRY_NOT_TRIED);
    cr_assert_eq(box_try_failure(&t, BOX_TRY_OVERLAY), -EPERM);
    cr_assert_not(box_try_ok(&t, BOX_TRY_OVERLAY));
}
