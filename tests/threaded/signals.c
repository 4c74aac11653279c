/* Hosts with ways of their own with children: one that ignores SIGCHLD, so that the kernel reaps for it, and
 * one with a thread that reaps whatever ends. Either takes the ending away from libbox; a pidfd tells it
 * still since Linux 6.15. Before that the ending is unknown, and said to be; it is never made up, and nothing
 * waits for ever. A debugger that holds a process keeps its ending back for as long as it likes. */
#include "census.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/utsname.h>
#include <sys/wait.h>

enum { TIMES = 30 };

static struct scene scene;
static atomic_int stop, reaped;

static bool kernel_tells(void)
{
    struct utsname name;
    int major = 0, minor = 0;

    uname(&name);
    return sscanf(name.release, "%d.%d", &major, &minor) == 2 && (major > 6 || (major == 6 && minor >= 15));
}

/* 1: ended with `code`; 0: unknown, and said so; -1 otherwise. */
static int ending_of(const char *word, int code)
{
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_error *err = NULL;
    int found = -1;

    int r = small_spec(&scene, NULL, word, &spec, &err);
    if (r >= 0)
        r = box_launch(spec, NULL, &process, &err);
    if (r >= 0)
        r = box_process_wait(process, 20000, &err);
    if (r < 0) {
        complain("launch", r, &err);
    } else {
        const box_ending *e = box_process_ending(process);
        if (e->kind == BOX_ENDING_EXIT && e->code == code)
            found = 1;
        else if (e->kind == BOX_ENDING_UNKNOWN && e->code == -1)
            found = 0;
        else
            diag("ended otherwise: kind %d, code %d: %s", e->kind, e->code, e->text);
    }
    box_process_free(process);
    box_spec_free(spec);
    return found;
}

static void many(const char *host)
{
    int known = 0, unknown = 0, wrong = 0;

    for (int i = 0; i < TIMES; i++) {
        char word[2] = {(char)('0' + i % 10), 0};
        int found = ending_of(word, i % 10);
        known += found == 1;
        unknown += found == 0;
        wrong += found < 0;
    }
    is_int(wrong, 0, host);
    if (kernel_tells())
        ok(unknown == 0, "%s: the ending is known all the same (%d of %d)", host, known, TIMES);
    else
        skip("%s: this kernel cannot say how a reaped process ended (%d known, %d unknown)", host, known,
             unknown);
}

static void *reap_all(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        if (waitpid(-1, NULL, WNOHANG) > 0)
            atomic_fetch_add(&reaped, 1);
        else
            sched_yield();
    }
    return NULL;
}

/* A debugger of `pid`: says when it has it, and lets it go when it is told to. */
static pid_t start_debugger(pid_t pid, int say, int listen)
{
    char byte = 0;
    pid_t debugger = fork();

    if (debugger != 0)
        return debugger;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0 || write(say, &byte, 1) != 1 || read(listen, &byte, 1) != 1)
        _exit(1);
    waitpid(pid, NULL, __WALL);
    _exit(0);
}

static void debugged(void)
{
    int has[2], go[2];
    char byte = 0;
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_error *err = NULL;

    if (pipe(has) < 0 || pipe(go) < 0)
        return;
    int r = small_spec(&scene, NULL, "wait", &spec, &err);
    if (r >= 0)
        r = box_launch(spec, NULL, &process, &err);
    if (r < 0) {
        complain("launch", r, &err);
        return;
    }
    pid_t debugger = start_debugger(box_process_pid(process), has[1], go[0]);
    close(has[1]);
    if (read(has[0], &byte, 1) == 1) {
        box_process_signal(process, SIGKILL, NULL);
        is_int(box_process_wait(process, 100, NULL), BOX_ETIMEOUT, "a process that a debugger holds has not ended yet");
        is_int(box_process_ending(process)->kind, BOX_ENDING_NONE, "and no ending is made up for it");
        ok(write(go[1], &byte, 1) == 1 && box_process_wait(process, 20000, NULL) == 0 &&
               box_process_ending(process)->signal == SIGKILL,
           "let go, it ended as it did: %s", box_process_ending(process)->text);
    } else {
        skip("this host lets nobody trace");
    }
    waitpid(debugger, NULL, 0);
    close(has[0]), close(go[0]), close(go[1]);
    box_process_free(process);
    box_spec_free(spec);
}

int main(void)
{
    pthread_t reaper;

    make_scene(&scene);
    many("a host like others");
    debugged();
    struct census before = take_census(&scene);

    signal(SIGCHLD, SIG_IGN);
    many("a host that ignores SIGCHLD");
    signal(SIGCHLD, SIG_DFL);

    struct sigaction no_zombies = {.sa_handler = SIG_DFL, .sa_flags = SA_NOCLDWAIT};
    sigaction(SIGCHLD, &no_zombies, NULL);
    many("a host with SA_NOCLDWAIT");
    signal(SIGCHLD, SIG_DFL);

    pthread_create(&reaper, NULL, reap_all, NULL);
    many("a host that reaps everything");
    atomic_store(&stop, 1);
    pthread_join(reaper, NULL);
    diag("%d children were reaped by the host", atomic_load(&reaped));

    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    many("a host that blocks every signal");
    sigprocmask(SIG_SETMASK, &old, NULL);

    struct census after = take_census(&scene);
    ok(after.fds == before.fds && after.children == before.children && after.threads == before.threads,
       "no descriptor, child or thread more than before");
    end_scene(&scene);
    return done_testing();
}
