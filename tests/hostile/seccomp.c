/* CVE-2022-0185: kernel interfaces that a container gets at through a user namespace of its own. And CVE-2017-5226: a
 * payload that types into the host's terminal. Each denial is tried without its defence too, where a spec can take it
 * away: a test that passes either way proves nothing. */
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "hostile.h"

static void denied_calls(const char *root)
{
    static const char *const denied[] = {
        "clone: EPERM",       "clone3: ENOSYS",      "fsopen: EPERM",         "fsconfig: EPERM",    "fsmount: EPERM",
        "fspick: EPERM",      "open_tree: EPERM",    "move_mount: EPERM",     "mount_setattr: EPERM", "mount: EPERM",
        "umount: EPERM",      "pivot_root: EPERM",   "setns: EPERM",          "bpf: EPERM",         "userfaultfd: EPERM",
        "perf_event_open: EPERM", "open_by_handle_at: EPERM", "kexec_load: EPERM", "init_module: EPERM", "io_uring_setup: EPERM",
        "unshare user mount: EPERM", "unshare user: EPERM",
    };
    box_error *err = NULL;

    for (int user = 0; user < 2; user++) {
        box_spec *spec = hostile_spec(root, "calls", NULL);
        must(box_spec_set_user(spec, user ? 1000 : 0, user ? 1000 : 0, &err), err, "set the user");
        struct outcome o = hostile_run(spec);
        for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++)
            CHECK(&o, outcome_says(&o, denied[i]), "as user %d, %s (CVE-2022-0185)", user ? 1000 : 0, denied[i]);
        CHECK(&o, o.code == 0 && !outcome_says(&o, "unshare i386: OK") && !outcome_says(&o, "unshare x32: OK"),
              "as user %d, the other system call tables are no way around", user ? 1000 : 0);
    }

    /* The same attacks where the filter is gone: what is tested is the filter. */
    box_spec *spec = hostile_spec(root, "calls", NULL);
    must(box_spec_set_user(spec, 1000, 1000, &err), err, "set the user");
    must(box_spec_set_seccomp(spec, NULL, &err), err, "take the filter away");
    struct outcome o = hostile_run(spec);
    if (outcome_says(&o, "clone: OK"))
        ok(!outcome_says(&o, "clone3: ENOSYS") && !outcome_says(&o, "io_uring_setup: EPERM"), "without the filter these calls are answered otherwise");
    else
        skip("this host denies user namespaces by itself");
}

/* ---- the host's terminal ------------------------------------------------------------------------------------------- */

/* In a session of its own whose terminal is a fresh pty: runs a payload with the terminal as its standard input, then
 * looks for what was typed. */
static int in_session(int master, int slave, const char *root, bool detached)
{
    setsid();
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        _exit(98);
    box_error *err = NULL;
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_spec *spec = hostile_spec(root, "terminal", NULL);
    struct outcome o = {.code = -1};
    int typed = 0;

    if (detached) { /* the rights that would let it do so on any kernel, and no filter */
        must(box_spec_set_seccomp(spec, NULL, &err), err, "take the filter away");
    }
    must(box_stdio_set_fd(io, 0, slave, &err), err, "hand the terminal over");
    must(box_stdio_set_pipe(io, 1, &err), err, "make a pipe");
    if (box_launch(spec, io, &process, &err) >= 0) {
        o.started = true;
        read_stream(box_process_stream_fd(process, 1), o.out, sizeof(o.out), 20000, NULL);
        if (box_process_wait_or_kill(process, 20000, &err) >= 0)
            o.code = box_process_ending(process)->code;
    }
    keep_error(&o, err);
    const char *what = detached ? "without a filter" : "by default";
    SAYS(&o, "terminal 0: yes", "the payload has the host's terminal as its standard input");
    CHECK(&o, o.started && !outcome_says(&o, "tiocsti: OK") && !outcome_says(&o, "tiocsti again: OK"),
          "it cannot type into it, %s (CVE-2017-5226)", what);
    CHECK(&o, o.started && !outcome_says(&o, "dev tty: OK"), "it has no controlling terminal, %s", what);
    CHECK(&o, o.started && !outcome_says(&o, "tcgetpgrp: OK"), "it cannot see the terminal's process group, %s", what);
    CHECK(&o, o.started && !outcome_says(&o, "tiocsctty: OK"), "nor take the terminal with a session of its own, %s", what);
    ok(ioctl(slave, FIONREAD, &typed) == 0 && typed == 0, "nothing waits to be read on the host's terminal");
    (void)master;
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
    return tap_failed_ > 0;
}

static void terminal(const char *root)
{
    for (int kind = 0; kind < 2; kind++) {
        int master, slave, status = 0;
        struct termios raw;

        if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
            skip("no pty here: %s", strerror(errno));
            continue;
        }
        tcgetattr(slave, &raw);
        cfmakeraw(&raw); /* each character can be read at once */
        tcsetattr(slave, TCSANOW, &raw);
        int before = tap_failed_;
        pid_t pid = fork();
        if (pid == 0) {
            in_session(master, slave, root, kind);
            int counts[2] = {tap_count_, tap_failed_ - before};
            signal(SIGHUP, SIG_IGN);
            _exit(write(master, "", 0) < 0 ? 97 : counts[1]);
        }
        waitpid(pid, &status, 0);
        tap_count_ += 6; /* those of the child */
        tap_failed_ += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
        ok(WIFEXITED(status), "the session went through");
        close(master);
        close(slave);
    }
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    char *root = hostile_root("seccomp");
    denied_calls(root);
    terminal(root);
    free(root);
    return done_testing();
}
