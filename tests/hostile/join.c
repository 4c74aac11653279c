/* Joining a container that is up to something. CVE-2016-9962: what joins is traced from inside, or robbed of the
 * descriptors that it still holds. CVE-2022-31214: what is joined is not the container: a process that has left for
 * namespaces of its own, one of another user's, one of the host's, a later one with the same number. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <libbox/idmap.h>
#include <libbox/pidfd.h>
#include "hostile.h"

static char *root;
static box_store *store;

/* Ids 0 to 65535 of a container are others outside. */
static void give_user_namespace(box_spec *spec)
{
    box_error *err = NULL;
    box_idmap *map = box_idmap_new(&err);

    must(map && box_idmap_add(map, BOX_IDMAP_UID, 0, 200000, 65536, &err) >= 0 &&
                 box_idmap_add(map, BOX_IDMAP_GID, 0, 200000, 65536, &err) >= 0
             ? 0
             : -1,
         err, "make a map");
    must(box_spec_add_namespace(spec, BOX_SPEC_USER_NAMESPACE, &err), err, "ask for a user namespace");
    must(box_spec_set_idmap(spec, map, &err), err, "set the map");
    box_idmap_free(map);
}

/* ---- CVE-2016-9962 --------------------------------------------------------------------------------------------------- */

/* The number that a process has in the pid namespace it lives in. */
static int inner_pid(int pid)
{
    char *path = hostile_path("/proc/%d/status", pid), line[256];
    FILE *f = fopen(path, "re");
    int inner = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, "NSpid:", 6) == 0)
            inner = atoi(strrchr(line, '\t') + 1);
    if (f)
        fclose(f);
    free(path);
    return inner;
}

static int open_directories(int pid)
{
    char *path = hostile_path("/proc/%d/fd", pid);
    DIR *d = opendir(path);
    struct stat st;
    int n = d ? 0 : -1;

    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.' && fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISDIR(st.st_mode))
            n++;
    if (d)
        closedir(d);
    free(path);
    return n;
}

/* Joins, and is held right before the exec, which is when it holds all that it ever will; meanwhile the container's
 * first process, which has the same rights by then, looks at it. */
static void spied_upon(bool user)
{
    const char *what = user ? "in a user namespace, with all rights" : "by root";
    box_spec *keeper_spec = hostile_spec(root, "spy", NULL), *spec = hostile_spec(root, "id", NULL);
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    box_stdio *io = box_stdio_new();
    box_process *keeper = NULL, *joined = NULL;
    box_plan *plan = NULL;
    box_cgroup_host *host = NULL;
    box_error *err = NULL;
    char out[32768] = "", line[32];
    int hold[2];

    for (int i = 0; i < 2; i++) /* the filter is no part of this */
        must(box_spec_set_seccomp(i ? spec : keeper_spec, NULL, &err), err, "take the filter away");
    if (user) {
        give_user_namespace(keeper_spec);
        must(box_spec_set_privileged(keeper_spec, &err), err, "give all rights");
        must(box_spec_set_privileged(spec, &err), err, "give all rights");
    }
    must(box_stdio_set_pipe(io, 0, &err), err, "make a pipe");
    must(box_stdio_set_pipe(io, 1, &err), err, "make a pipe");
    if (box_launch(keeper_spec, io, &keeper, &err) < 0) {
        if (user && box_error_code(err) == BOX_EUNSUPPORTED) {
            skip("no user namespaces with a map here: %s", box_error_message(err));
            goto out;
        }
        must(-1, err, "start the spy");
    }
    read_stream(box_process_stream_fd(keeper, 1), out, sizeof(out), 20000, "spying\n");
    if (pipe2(hold, O_CLOEXEC) < 0)
        exit(99);
    plan_options.join = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP |
                        (user ? CLONE_NEWUSER : 0);
    plan_options.hold = true;
    options.join_pidfd = box_process_pidfd(keeper);
    options.hold_fd = hold[0];
    /* Its directory is what a process is born into a cgroup by, where there is cgroup v2. */
    if ((host = box_cgroup_host_new(&err)))
        options.cgroup = box_cgroup_create(host, NULL, 0, NULL, BOX_CGROUP_LENIENT, &err);
    if (!options.cgroup)
        must(-1, err, "make a cgroup");
    must(box_plan_new_with(spec, &plan_options, &plan, &err), err, "plan to join");
    must(box_plan_start_with(plan, &options, &joined, &err), err, "join");
    int pid = box_process_pid(joined), inner = inner_pid(pid), n = snprintf(line, sizeof(line), "%d\n", inner);
    is_int(open_directories(pid), 0, "what joins holds no descriptor of a directory (CVE-2016-9962)");
    out[0] = '\0';
    if (write(box_process_stream_fd(keeper, 0), line, (size_t)n) != n)
        exit(99);
    read_stream(box_process_stream_fd(keeper, 1), out, sizeof(out), 20000, "spied\n");
    char *mem = hostile_path("spy mem %d: OK", inner), *trace = hostile_path("spy trace %d: EPERM", inner);
    char *seen = hostile_path("spy trace %d: ", inner);
    ok(strstr(out, seen) && strstr(out, trace), "what joins cannot be traced, %s (CVE-2016-9962)", what);
    ok(strstr(out, seen) && !strstr(out, mem), "nor its memory be read, %s", what);
    ok(strstr(out, seen) && !strstr(out, "spy fd "), "nor its descriptors be seen, %s", what);
    if (tap_failed_)
        diag("%s", out);
    free(mem);
    free(trace);
    free(seen);
    close(hold[0]);
    close(hold[1]);
out:
    box_process_free(joined);
    box_process_free(keeper);
    if (options.cgroup && box_cgroup_destroy(options.cgroup, 5000, &err) < 0)
        must(-1, err, "remove the cgroup");
    box_cgroup_free(options.cgroup);
    box_cgroup_host_free(host);
    box_plan_free(plan);
    box_stdio_free(io);
    box_spec_free(spec);
    box_spec_free(keeper_spec);
}

/* ---- CVE-2022-31214 -------------------------------------------------------------------------------------------------- */

static box_container *container_of(box_spec *spec, const char *name)
{
    box_container *c = NULL;
    box_error *err = NULL;

    must(box_container_create(store, name, NULL, spec, 0, &c, &err), err, "make a container");
    box_spec_free(spec);
    must(box_container_start_detached(c, &err), err, "start it");
    return c;
}

static void end_container(box_container *c)
{
    box_error *err = NULL;

    if (box_container_remove(c, BOX_CONTAINER_FORCE, &err) < 0) {
        diag("remove: %s", box_error_message(err));
        box_error_free(err);
    }
    box_container_free(c);
}

static struct outcome exec_in(box_container *c)
{
    struct outcome o = {.code = -1};
    char *args[] = {(char *)"/bin/payload", (char *)"id", NULL};
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_stdio *io = box_stdio_new();
    box_error *err = NULL;

    must(box_container_exec_spec(c, &spec, &err), err, "make an exec");
    must(box_spec_set_args(spec, args, &err), err, "set the arguments");
    must(box_stdio_set_pipe(io, 1, &err), err, "make a pipe");
    if (box_container_exec(c, spec, io, &process, &err) >= 0) {
        o.started = true;
        read_stream(box_process_stream_fd(process, 1), o.out, sizeof(o.out), 20000, NULL);
        if (box_process_wait_or_kill(process, 20000, &err) >= 0)
            o.code = box_process_ending(process)->code;
    }
    keep_error(&o, err);
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
    return o;
}

static char *run_file(const box_container *c)
{
    return hostile_path("%s/run/containers/%s.json", hostile_tmp(), box_container_id(c));
}

/* As the run file is, with another process in it. */
static void name_process(const box_container *c, int pid, uint64_t start_time)
{
    char boot[40] = "", *path = run_file(c);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

    if (!f || fscanf(f, "%36s", boot) != 1)
        exit(99);
    fclose(f);
    char *text = hostile_path("{\"boot\":\"%s\",\"pid\":%d,\"startTime\":%llu,\"started\":1}", boot, pid,
                              (unsigned long long)start_time);
    hostile_write(path, text);
    free(text);
    free(path);
}

/* A process in namespaces that `flags` say, of another user when `uid` is not 0. */
static pid_t stranger(int flags, uid_t uid, uint64_t *start_time)
{
    int ready[2];
    char c;

    if (pipe2(ready, O_CLOEXEC) < 0)
        exit(99);
    pid_t pid = fork();
    if (pid == 0) {
        if ((uid && (setgid(uid) < 0 || setuid(uid) < 0)) || (flags && unshare(flags) < 0))
            _exit(1);
        if (write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    bool good = read(ready[0], &c, 1) == 1;
    close(ready[0]);
    if (!good || box_pidfd_start_time(pid, start_time, NULL) < 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return 0;
    }
    return pid;
}

static void forged(bool user)
{
    enum { ALL = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWPID };
    const struct {
        int flags;
        uid_t uid;
        const char *what;
    } rows[] = {{0, 0, "of the host"},
                {0, 4321, "of another user"},
                {CLONE_NEWUSER, 0, "of the host in a user namespace"},
                {CLONE_NEWUSER | ALL, 4321, "of another user, in namespaces of that user's"}};
    box_spec *spec = hostile_spec(root, "sleep", NULL);
    box_error *err = NULL;

    if (user)
        give_user_namespace(spec);
    box_container *c = container_of(spec, user ? "forged-user" : "forged");
    char *path = run_file(c), *saved = strdup(hostile_read(path));
    struct outcome o = exec_in(c);
    CHECK(&o, o.code == 0, "an honest container is joined%s", user ? ", in a user namespace" : "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t start_time = 0;
        pid_t pid = stranger(rows[i].flags, rows[i].uid, &start_time);
        if (!pid) {
            skip("no process %s here", rows[i].what);
            continue;
        }
        for (int reused = 0; reused < 2; reused++) {
            box_container *again = NULL;
            name_process(c, pid, start_time + (uint64_t)reused);
            /* not opened by name, which would take a container whose process is gone for ended, and clear it */
            if (reused)
                must(box_container_open(store, user ? "forged-user" : "forged", &again, &err), err, "open it");
            else if (box_container_open(store, user ? "forged-user" : "forged", &again, &err) < 0)
                must(-1, err, "open it");
            o = exec_in(again);
            CHECK(&o, !o.started, "a process %s%s is not joined as %s (CVE-2022-31214)", rows[i].what,
                  reused ? " with a number that was used before" : "", user ? "one of a container with user namespace" : "a container's");
            ok(kill(pid, 0) == 0 && waitpid(pid, NULL, WNOHANG) == 0, "and is left alone");
            box_container_free(again);
            hostile_write(path, saved);
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    end_container(c);
    free(saved);
    free(path);
}

/* The number of a first process that is gone has become the first process of another container: nothing but the time at
 * which it started tells them apart. */
static void number_used_again(bool user)
{
    box_spec *spec = hostile_spec(root, "sleep", NULL), *other_spec = hostile_spec(root, "sleep", NULL);
    box_container *again = NULL;
    box_error *err = NULL;
    uint64_t start_time = 0;
    const char *name = user ? "used-user" : "used";

    if (user) {
        give_user_namespace(spec);
        give_user_namespace(other_spec);
    }
    box_container *c = container_of(spec, name), *other = container_of(other_spec, user ? "now-user" : "now");
    char *path = run_file(c), *saved = strdup(hostile_read(path));
    pid_t pid = box_container_pid(other);
    if (box_pidfd_start_time(pid, &start_time, NULL) < 0)
        exit(99);
    name_process(c, pid, start_time + 1);
    must(box_container_open(store, name, &again, &err), err, "open it");
    struct outcome o = exec_in(again);
    CHECK(&o, !o.started, "a number that is another container's by now is not joined%s (CVE-2022-31214)",
          user ? ", with user namespaces" : "");
    box_container_free(again);
    name_process(c, pid, start_time + 1);
    must(box_container_open(store, name, &again, &err), err, "open it");
    if (box_container_signal(again, SIGKILL, &err) < 0)
        box_error_free(err);
    usleep(20000);
    ok(box_container_pid(other) == pid && kill(pid, 0) == 0 && box_pidfd_start_time(pid, &start_time, NULL) == 0,
       "and not sent signals");
    struct outcome alive = exec_in(other);
    CHECK(&alive, alive.started && alive.code == 0, "the other container goes on%s", user ? ", with user namespaces" : "");
    box_container_free(again);
    hostile_write(path, saved);
    end_container(c);
    end_container(other);
    free(saved);
    free(path);
}

/* The container's own first process goes to namespaces where it is all-powerful, and has what it likes mounted there. */
static void gone_away(bool user)
{
    box_spec *spec = hostile_spec(root, "leave", NULL);
    box_error *err = NULL;

    must(box_spec_set_seccomp(spec, NULL, &err), err, "take the filter away");
    if (user)
        give_user_namespace(spec);
    box_container *c = container_of(spec, user ? "gone-user" : "gone");
    char *log = hostile_path("%s", box_container_log_path(c));
    for (int i = 0; i < 2000 && !strstr(hostile_read(log), "leave: OK"); i++)
        usleep(1000);
    struct outcome o = exec_in(c);
    CHECK(&o, !o.started && strstr(o.error, "user namespace"),
          "a first process that has left for a user namespace of its own%s is not joined (CVE-2022-31214)",
          user ? ", from one," : "");
    free(log);
    end_container(c);
}

/* The same, when it leaves between the look and the join: the stage looks again. */
static void gone_in_between(void)
{
    box_spec *keeper_spec = hostile_spec(root, "sleep", NULL), *spec = hostile_spec(root, "id", NULL);
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    box_process *keeper = NULL, *joined = NULL;
    box_plan *plan = NULL;
    box_error *err = NULL;

    must(box_launch(keeper_spec, NULL, &keeper, &err), err, "start a container");
    char *path = hostile_path("/proc/%d/ns/user", box_process_pid(keeper)), link[64] = "";
    if (readlink(path, link, sizeof(link) - 1) < 0)
        exit(99);
    plan_options.join = CLONE_NEWNS | CLONE_NEWPID;
    options.join_pidfd = box_process_pidfd(keeper);
    for (int other = 0; other < 2; other++) {
        options.join_user_fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        plan_options.join_user = other ? "user:[1]" : link;
        must(box_plan_new_with(spec, &plan_options, &plan, &err), err, "plan to join");
        struct outcome o = {.code = -1};
        o.started = box_plan_start_with(plan, &options, &joined, &err) >= 0;
        keep_error(&o, err);
        err = NULL;
        CHECK(&o, o.started == !other, other ? "the stage refuses one that is elsewhere after the join (CVE-2022-31214)"
                                             : "the stage joins one that is where it was");
        box_process_free(joined);
        box_plan_free(plan);
        joined = NULL;
        plan = NULL;
        close(options.join_user_fd);
    }
    free(path);
    box_process_free(keeper);
    box_spec_free(keeper_spec);
    box_spec_free(spec);
}

int main(void)
{
    box_error *err = NULL;

    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("join");
    char *store_path = hostile_path("%s/store", hostile_tmp()), *run_path = hostile_path("%s/run", hostile_tmp());
    must(box_store_open(store_path, run_path, 0, &store, &err), err, "open a store");
    spied_upon(false);
    spied_upon(true);
    for (int user = 0; user < 2; user++) {
        forged(user);
        number_used_again(user);
        gone_away(user);
    }
    gone_in_between();
    box_store_free(store);
    free(store_path);
    free(run_path);
    free(root);
    return done_testing();
}
