/* CVE-2019-5736: whoever is root in a container overwrites, through /proc/PID/exe, the program that the runtime uses to
 * get in. What libbox executes in a container is a memory file that is sealed, and never the host's own program. */
#include <sched.h>

#include "hostile.h"

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif

static char *root;

/* All rights that a container can have, and no filter: what must hold, holds by the seals alone. */
static box_spec *with_all_rights(box_spec *spec)
{
    box_error *err = NULL;

    must(box_spec_set_privileged(spec, &err), err, "give all rights");
    return spec;
}

static void init_program(void)
{
    for (int all = 0; all < 2; all++) {
        box_spec *spec = hostile_spec(root, "write-exe", "1", "--", "caps", "1", NULL);
        box_error *err = NULL;
        must(box_spec_set_init(spec, true, &err), err, "ask for an init");
        struct outcome o = hostile_run(all ? with_all_rights(spec) : spec);
        CHECK(&o, outcome_says(&o, "exe 1: untouched"), "the init's program cannot be written to%s (CVE-2019-5736)",
              all ? ", even with all rights" : "");
        if (all)
            CHECK(&o, strstr(o.out, "link /proc/1/exe: /memfd:libbox-stage"), "it is a memory file, not the host's program");
    }
}

/* With a pid namespace shared with the host, the stages and monitors of all containers are to be seen. */
static void shared_pids(void)
{
    box_spec *keeper = hostile_spec(root, "sleep", NULL);
    box_process *process = NULL;
    box_error *err = NULL;

    must(box_spec_set_init(keeper, true, &err), err, "ask for an init");
    must(box_launch(keeper, NULL, &process, &err), err, "start a container with an init");
    box_spec *spec = hostile_spec(root, "each-exe", NULL);
    must(box_spec_share_namespace(spec, BOX_SPEC_PID_NAMESPACE, &err), err, "share the pid namespace");
    struct outcome o = hostile_run(with_all_rights(spec));
    CHECK(&o, strstr(o.out, "memfd:libbox-stage") && strstr(o.out, "each exe: done"), "it sees another container's init");
    CHECK(&o, !strstr(o.out, "WRITTEN") && strstr(o.out, ": untouched"), "and cannot write to its program (CVE-2019-5736)");
    box_process_free(process);
    box_spec_free(keeper);
}

/* /proc/self/exe as the program of a container: at that moment it is the stage. */
static void self_exe(void)
{
    for (int args = 1; args < 4; args++) {
        char *argv[] = {(char *)"/proc/self/exe", (char *)"3,4,4096", (char *)"x", NULL};
        box_spec *spec = hostile_spec(root, "id", NULL);
        box_error *err = NULL;
        argv[args] = NULL;
        must(box_spec_set_args(spec, argv, &err), err, "set the arguments");
        struct outcome o = hostile_run(spec);
        CHECK(&o, !o.started || o.code == 125, "/proc/self/exe with %d arguments runs no program of the host's", args);
        ok(!strstr(o.out, "TAP") && !strstr(o.out, "ok "), "and not this test");
    }
}

/* What the host leaves in a container while it joins: held just before the exec, looked at from outside. */
static void joining_program(void)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    box_process *target = NULL, *joining = NULL;
    box_stdio *io = box_stdio_new();
    box_error *err = NULL;
    box_plan *plan = NULL;
    int hold[2];
    struct outcome o = {.code = -1};

    if (!io || pipe2(hold, O_CLOEXEC) < 0)
        abort();
    box_spec *spec = with_all_rights(hostile_spec(root, "spy", NULL));
    must(box_stdio_set_pipe(io, 0, &err), err, "make a pipe");
    must(box_stdio_set_pipe(io, 1, &err), err, "make a pipe");
    must(box_launch(spec, io, &target, &err), err, "start a container");
    read_stream(box_process_stream_fd(target, 1), o.out, sizeof(o.out), 20000, "spying\n");

    box_spec *exec = with_all_rights(hostile_spec(root, "id", NULL));
    char *path = hostile_path("/proc/%d/root", box_process_pid(target));
    plan_options.join = CLONE_NEWPID | CLONE_NEWNS;
    plan_options.root_fd = open(path, O_PATH | O_CLOEXEC);
    plan_options.hold = true;
    options.join_pidfd = box_process_pidfd(target);
    options.hold_fd = hold[0];
    must(box_plan_new_with(exec, &plan_options, &plan, &err), err, "plan an exec");
    must(box_plan_start_with(plan, &options, &joining, &err), err, "start it, and hold it");

    char *exe = hostile_path("/proc/%d/exe", box_process_pid(joining)), link[PATH_MAX] = "";
    int fd = open(exe, O_RDONLY | O_CLOEXEC), seals = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;
    ok(readlink(exe, link, sizeof(link) - 1) > 0 && strncmp(link, "/memfd:libbox-stage", 19) == 0,
       "what joins a container is a memory file: %s", link);
    ok(seals >= 0 && (seals & F_SEAL_WRITE) && (seals & F_SEAL_SEAL) && (seals & F_SEAL_SHRINK) && (seals & F_SEAL_GROW),
       "sealed against writing, against changes of size, and against further seals (0x%x)", seals);
    close(fd);
    free(exe);

    /* Let the container keep it open until its process has gone, and write then. */
    dprintf(box_process_stream_fd(target, 0), "X2\n");
    read_stream(box_process_stream_fd(target, 1), o.out, sizeof(o.out), 20000, "later 2: OK\n");
    SAYS(&o, "later 2: OK", "the container holds the program of the process that joins");
    box_process_free(joining); /* kills it */
    read_stream(box_process_stream_fd(target, 1), o.out, sizeof(o.out), 20000, "spied\n");
    SAYS(&o, "later 2: untouched", "and cannot write to it afterwards (CVE-2019-5736)");
    close(hold[0]);
    close(hold[1]);
    close(plan_options.root_fd);
    free(path);
    box_plan_free(plan);
    box_process_free(target);
    box_spec_free(spec);
    box_spec_free(exec);
    box_stdio_free(io);
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("exec");
    init_program();
    shared_pids();
    self_exe();
    joining_program();
    struct outcome o = hostile_run(hostile_spec(root, "id", NULL));
    SAYS(&o, "uid: 0 0 0", "after all that a container starts as before");
    free(root);
    return done_testing();
}
