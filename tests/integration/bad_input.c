/* Specs that ask for the impossible and hosts that lack something: each is an error with the right code that names the field,
 * the step and, where there is one, the remedy; and nothing stays behind: no descriptor, child, mount or cgroup. */
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "started.h"

/* ---- what must not be left ----------------------------------------------------------------------------------------------- */

static const char *const hierarchies[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/memory", "/sys/fs/cgroup/pids"};

struct census {
    int descriptors, mounts;
    char cgroups[64][64]; /* those that starts make and nobody has named */
    int n_cgroups;
    bool children;
};

static int count_entries(const char *path)
{
    DIR *d = opendir(path);
    int n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* The system's mounts, and those of this test's own: others make and unmake theirs meanwhile. */
static int count_mounts(void)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    char line[4096];
    int n = 0;

    while (f && fgets(line, sizeof(line), f))
        n += !strstr(line, "/tmp/") || strstr(line, root_dir);
    if (f)
        fclose(f);
    return n;
}

static bool is_empty_cgroup(const char *hierarchy, const char *name)
{
    char path[300];

    snprintf(path, sizeof(path), "%s/%s/cgroup.procs", hierarchy, name);
    FILE *f = fopen(path, "re");
    bool empty = f && fgetc(f) == EOF;
    if (f)
        fclose(f);
    return empty;
}

static void list_cgroups(struct census *c)
{
    for (size_t i = 0; i < sizeof(hierarchies) / sizeof(*hierarchies); i++) {
        DIR *d = opendir(hierarchies[i]);
        struct dirent *e;
        while (d && (e = readdir(d)) && c->n_cgroups < 64)
            if (strncmp(e->d_name, "libbox-", 7) == 0 && is_empty_cgroup(hierarchies[i], e->d_name))
                snprintf(c->cgroups[c->n_cgroups++], 64, "%.63s", e->d_name);
        if (d)
            closedir(d);
    }
}

static struct census take_census(void)
{
    struct census c = {count_entries("/proc/self/fd"), count_mounts(), {{0}}, 0, waitpid(-1, NULL, WNOHANG) >= 0};

    list_cgroups(&c);
    return c;
}

static bool has_cgroup(const struct census *c, const char *name)
{
    for (int i = 0; i < c->n_cgroups; i++)
        if (strcmp(c->cgroups[i], name) == 0)
            return true;
    return false;
}

/* One that is left stays; another test's, which happens to be empty just now, goes. */
static bool left_cgroup(const struct census *before, const struct census *after)
{
    for (int i = 0; i < after->n_cgroups; i++) {
        if (has_cgroup(before, after->cgroups[i]))
            continue;
        for (int tries = 0;; tries++) {
            struct census now = {0};
            list_cgroups(&now);
            if (!has_cgroup(&now, after->cgroups[i]))
                break;
            if (tries == 200)
                return true;
            usleep(10000);
        }
    }
    return false;
}

static bool same(const struct census *a, const struct census *b)
{
    bool left = left_cgroup(a, b);

    if (a->descriptors != b->descriptors || a->mounts != b->mounts || b->children || left)
        diag("before: %d descriptors, %d mounts; after: %d, %d, %s children, %s cgroup", a->descriptors, a->mounts,
             b->descriptors, b->mounts, b->children ? "with" : "without", left ? "a" : "no");
    return a->descriptors == b->descriptors && a->mounts == b->mounts && !b->children && !left;
}

/* Starts the spec, which is freed; it must fail so. `parts` of the message end in NULL. */
static void fails(box_spec *spec, const char *what, int code, const char *const parts[], bool remedy)
{
    struct census before = take_census();
    box_process *process = NULL;
    box_error *err = NULL;
    int r = box_launch(spec, NULL, &process, &err);
    bool named = true;

    diag("%s", box_error_message(err));
    for (; *parts; parts++)
        if (!strstr(box_error_message(err), *parts)) {
            named = false;
            diag("\"%s\" is missing", *parts);
        }
    box_process_free(process);
    struct census after = take_census();
    ok(r == code && box_error_code(err) == code, "%s: code %d is %d", what, r, code);
    ok(named, "%s: the error names what is wrong", what);
    ok(!remedy || *box_error_remedy(err), "%s: and what to do", what);
    ok(same(&before, &after), "%s: nothing stays behind", what);
    box_error_free(err);
    box_spec_free(spec);
}
#define SAYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static box_spec *runnable(box_spec *spec)
{
    char *const args[] = {"/bin/true", NULL};

    box_spec_set_args(spec, args, NULL);
    return spec;
}

/* ---- specs --------------------------------------------------------------------------------------------------------------- */

static void contradictions(void)
{
    box_spec *spec = new_spec();
    fails(spec, "no program", BOX_ESPEC, SAYS("process.args"), false);

    fails(runnable(box_spec_new()), "no root", BOX_ESPEC, SAYS("root"), true);

    spec = runnable(new_spec());
    box_spec_set_root(spec, "/no/such/root", NULL);
    fails(spec, "a root that is not there", BOX_ENOTFOUND, SAYS("/no/such/root", "start"), true);

    spec = runnable(new_spec());
    box_spec_share_namespace(spec, BOX_SPEC_UTS_NAMESPACE, NULL);
    box_spec_set_sysctl(spec, "kernel.domainname", "x", NULL);
    fails(spec, "a sysctl of the host", BOX_ESPEC, SAYS("linux.sysctl.kernel.domainname"), false);

    spec = runnable(new_spec());
    box_spec_join_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, "/no/such/ns", NULL);
    fails(spec, "a namespace that is not there", BOX_ENOTFOUND, SAYS("/no/such/ns", "network namespace"), false);

    spec = runnable(new_spec());
    box_spec_join_namespace(spec, BOX_SPEC_NETWORK_NAMESPACE, "/proc/self/ns/uts", NULL);
    fails(spec, "a namespace of another kind", BOX_ESTART, SAYS("start", "join a namespace"), false);

    spec = runnable(new_spec());
    box_spec_set_user_name(spec, "nobody-here", NULL);
    fails(spec, "a user that the image has not", BOX_ENOTFOUND, SAYS("process.user", "nobody-here", "/etc/passwd"), true);

    spec = runnable(new_spec());
    box_spec_set_user_name(spec, "99999999999", NULL);
    fails(spec, "a user's number that does not fit", BOX_EPARSE, SAYS("process.user", "99999999999"), false);
}

static void mounts(void)
{
    box_spec *spec = runnable(new_spec());
    box_spec_add_bind(spec, "/no/such/source", "/data", NULL, NULL);
    fails(spec, "a source that is not there", BOX_ENOTFOUND, SAYS("/no/such/source", "open a mount's source"), true);

    spec = runnable(new_spec());
    box_spec_add_mount(spec, "tmpfs", "tmpfs", "/data/../../x", NULL, NULL);
    fails(spec, "a mount on \"..\"", BOX_ESPEC, SAYS("mounts[", "/data/../../x"), false);

    spec = runnable(new_spec());
    box_spec_add_mount(spec, "nosuchfs", "x", "/data", NULL, NULL);
    fails(spec, "a file system that does not exist", BOX_EUNSUPPORTED, SAYS("nosuchfs", "mount"), true);

    spec = runnable(new_spec());
    box_spec_add_mount(spec, "tmpfs", "tmpfs", "/data", "nonsense=1", NULL);
    fails(spec, "an option that the file system does not know", BOX_ESTART, SAYS("nonsense", "mount"), false);

    spec = runnable(new_spec());
    box_spec_add_mount(spec, "tmpfs", "tmpfs", "/data", "loop", NULL);
    fails(spec, "an option that libbox does not carry out", BOX_ESPEC, SAYS("mounts[", "/data"), false);

    spec = runnable(new_spec());
    box_spec_add_tmpfs(spec, "/etc/passwd/x", 0, 0755, NULL, NULL);
    fails(spec, "a place below a file", BOX_ESTART, SAYS("find the mount target", "/etc/passwd/x"), false);
}

static void programs_and_places(void)
{
    char *const missing[] = {"no-such-program", NULL}, *const directory[] = {"/etc", NULL};
    box_spec *spec = new_spec();
    box_spec_set_args(spec, missing, NULL);
    fails(spec, "a program that is not in PATH", BOX_ENOPROGRAM, SAYS("execute the program", "no-such-program"), false);

    spec = new_spec();
    box_spec_set_args(spec, directory, NULL);
    fails(spec, "a program that is none", BOX_ENOEXEC, SAYS("execute the program", "/etc"), true);

    spec = runnable(new_spec());
    box_spec_set_cwd(spec, "/etc/passwd", NULL);
    fails(spec, "a working directory that is a file", BOX_ESTART, SAYS("working directory", "/etc/passwd"), true);

    spec = runnable(new_spec());
    box_spec_set_cgroup(spec, "/a/../../b", NULL);
    fails(spec, "a cgroup outside", BOX_ESPEC, SAYS("linux.cgroupsPath"), false);
}

static void limits(void)
{
    box_spec *spec = runnable(new_spec());
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_MAX, 4096, NULL);
    box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_LOW, 1 << 20, NULL);
    box_error *err = NULL;
    int r = box_spec_check(spec, &err);
    if (r < 0)
        fails(spec, "limits that contradict each other", BOX_ESPEC, SAYS("linux.resources"), false);
    else
        box_spec_free(spec);
    box_error_free(err);

    err = NULL;
    box_limits *l = box_limits_new(NULL);
    is_int(box_limits_set(l, BOX_LIMIT_CPU_QUOTA, 10, &err), BOX_ESPEC, "a quota below the kernel's minimum");
    ok(strstr(box_error_message(err), "quota") != NULL, "named: %s", box_error_message(err));
    box_error_free(err);
    box_limits_free(l);
}

/* ---- documents ----------------------------------------------------------------------------------------------------------- */

static void documents(void)
{
    static char deep[4096];
    memset(deep, '[', sizeof(deep) - 1);
    const struct {
        const char *text;
        int code;
        const char *says;
    } cases[] = {
        {"{\"ociVersion\": ", BOX_EPARSE, ""},
        {"{\"ociVersion\": \"1.3.0\", \"process\": {\"args\": \"sh\"}}", BOX_EPARSE, "process.args: expected an array"},
        {"{\"ociVersion\": \"1.3.0\", \"linux\": {\"resources\": {\"memory\": {\"limit\": \"1g\"}}}}", BOX_EPARSE,
         "linux.resources.memory.limit"},
        {"{\"ociVersion\": \"2.0.0\"}", BOX_EUNSUPPORTED, "ociVersion"},
        {"{\"ociVersion\": \"1.3.0\", \"linux\": {\"namespaces\": [{\"type\": \"nets\"}]}}", BOX_EPARSE, "linux.namespaces[0].type"},
        {deep, BOX_ELIMIT, ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        box_spec *spec = NULL;
        box_error *err = NULL;
        int r = box_spec_parse(cases[i].text, strlen(cases[i].text), &spec, &err);
        ok(r == cases[i].code && strstr(box_error_message(err), cases[i].says), "a document that is none: %s",
           box_error_message(err));
        box_error_free(err);
    }
}

/* ---- hosts --------------------------------------------------------------------------------------------------------------- */

/* Runs a test in a child that may be changed for good; its results count here. */
static void in_child(void (*test)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        int before = tap_count_;
        tap_failed_ = 0;
        test();
        _exit(tap_failed_ ? 200 : tap_count_ - before);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) == 200) {
        tap_failed_++;
        tap_count_ += 4;
        return;
    }
    tap_count_ += WEXITSTATUS(status);
}

/* This program and all that it starts from here on find this system call failing. */
static bool take_away(const char *call, unsigned errnum)
{
    box_seccomp *policy = box_seccomp_new(BOX_SECCOMP_ALLOW, 0, NULL);
    box_seccomp_filter *filter = NULL;
    int listener = -1;
    bool good = policy && box_seccomp_add_rule(policy, BOX_SECCOMP_ERRNO, errnum, call, NULL, 0, NULL) == 0 &&
                (filter = box_seccomp_compile(policy, NULL)) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                box_seccomp_apply(filter, &listener, NULL) == 0;

    box_seccomp_filter_unref(filter);
    box_seccomp_free(policy);
    return good;
}

static void no_overlay(void)
{
    char *const lower[] = {root_dir, NULL};
    box_spec *spec = runnable(box_spec_new());

    box_spec_set_root_overlay(spec, lower, NULL, NULL, NULL);
    /* As a kernel without the module says it. */
    if (take_away("fsopen", ENODEV))
        fails(spec, "a host without overlay", BOX_EUNSUPPORTED, SAYS("mount the overlay root"), true);
}

static void no_mount_api(void)
{
    if (take_away("open_tree", ENOSYS))
        fails(runnable(new_spec()), "a kernel without the mount API", BOX_EUNSUPPORTED, SAYS("open_tree"), true);
}

static void no_namespaces(void)
{
    box_spec *spec = runnable(new_spec());
    box_idmap *map = NULL;

    box_idmap_new_single(0, 0, &map, NULL);
    box_spec_set_idmap(spec, map, NULL);
    box_idmap_free(map);
    /* The plain shape, where the clone makes them: as an ordinary user's. */
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
        return;
    if (take_away("clone3", EPERM))
        fails(spec, "a host that forbids user namespaces", BOX_EPERMISSION, SAYS("namespaces", "clone3"), true);
}

static void no_cgroups(void)
{
    box_spec *spec = runnable(box_spec_new_confined());

    box_limits_set(box_spec_limits(spec), BOX_LIMIT_PIDS_MAX, 10, NULL);
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0))
        return;
    box_process *process = NULL;
    if (geteuid() != 65534 && box_launch(spec, NULL, &process, NULL) == 0) {
        for (int i = 0; i < 4; i++)
            skip("cgroups were delegated to this user");
        box_process_free(process);
        box_spec_free(spec);
        return;
    }
    fails(spec, "a user without access to cgroups", BOX_EPERMISSION, SAYS("cgroup"), true);
}

static void no_descriptors(void)
{
    struct rlimit limit;
    box_spec *spec = runnable(new_spec());

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 6;
    setrlimit(RLIMIT_NOFILE, &limit);
    box_process *process = NULL;
    box_error *err = NULL;
    int r = box_launch(spec, NULL, &process, &err);
    ok(r < 0 && strstr(box_error_message(err), "Too many open files"), "a host at its limit of descriptors: %s",
       box_error_message(err));
    box_error_free(err);
    box_process_free(process);
    box_spec_free(spec);
}

int main(void)
{
    if (!make_root())
        skip_all("no busybox to make a root file system of");
    contradictions();
    mounts();
    programs_and_places();
    limits();
    documents();
    in_child(no_overlay);
    in_child(no_mount_api);
    in_child(no_namespaces);
    in_child(no_cgroups);
    in_child(no_descriptors);
    return done_testing();
}
