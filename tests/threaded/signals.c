/* Hosts with ways of their own with children: one that ignores SIGCHLD, so that the kernel reaps for it, and
 * one with a thread that reaps whatever ends. Either takes the ending away from libbox; a pidfd tells it
 * still since Linux 6.15. Before that the ending is unknown, and said to be; it is never made up, and nothing
 * waits for ever. */
#include "census.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
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

int main(void)
{
    pthread_t reaper;

    make_scene(&scene);
    many("a host like others");
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
