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

/* The seals themselves, looked at from outside. */
static void seals(void)
{
    box_spec *spec = hostile_spec(root, "sleep", NULL);
    box_process *process = NULL;
    box_error *err = NULL;

    must(box_spec_set_init(spec, true, &err), err, "ask for an init");
    must(box_launch(spec, NULL, &process, &err), err, "start a container with an init");
    char *exe = hostile_path("/proc/%d/exe", box_process_pid(process));
    int fd = open(exe, O_RDONLY | O_CLOEXEC), have = fd >= 0 ? fcntl(fd, F_GET_SEALS) : -1;
    ok(have >= 0 && (have & F_SEAL_WRITE) && (have & F_SEAL_SEAL) && (have & F_SEAL_SHRINK) && (have & F_SEAL_GROW),
       "it is sealed against writing, against changes of size, and against further seals (0x%x)", have);
    box_process_free(process); /* nobody runs it any more: ETXTBSY is no defence now */
    char *again = hostile_path("/proc/self/fd/%d", fd);
    int rw = open(again, O_RDWR | O_CLOEXEC);
    ok(rw < 0 || write(rw, "#!/evil", 7) < 0, "and cannot be written to when its process has gone (CVE-2019-5736)");
    if (rw >= 0)
        close(rw);
    close(fd);
    free(again);
    free(exe);
    box_spec_free(spec);
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("exec");
    init_program();
    shared_pids();
    self_exe();
    seals();
    struct outcome o = hostile_run(hostile_spec(root, "id", NULL));
    SAYS(&o, "uid: 0 0 0", "after all that a container starts as before");
    free(root);
    return done_testing();
}
