/* A host with 16 threads, each of which creates, starts, execs into and removes containers, while other
 * threads open files, allocate and take signals. Afterwards the host has no descriptor, child, mount, cgroup,
 * thread or byte more than before. THREADED_ROUNDS sets the rounds of each thread (63: a thousand in all). */
#include "census.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

enum { THREADS = 16, NOISE = 4 };

static struct scene scene;
static int rounds;
static atomic_int failures, done, others, stop, signals, children_seen;
static char names[THREADS][32]; /* of the container that each thread runs now, for the others; may be stale */
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

static void count_signal(int signal)
{
    atomic_fetch_add(signal == SIGCHLD ? &children_seen : &signals, 1);
}

static int failed(const char *what, int r, box_error **err)
{
    atomic_fetch_add(&failures, 1);
    return complain(what, r, err);
}

static void publish(int thread, const char *name)
{
    pthread_mutex_lock(&names_lock);
    snprintf(names[thread], sizeof(names[thread]), "%s", name);
    pthread_mutex_unlock(&names_lock);
}

/* Runs a program in the container and looks at how it ended. `own`: nobody else ends it meanwhile. */
static int exec_into(box_container *c, bool own, box_error **err)
{
    char *args[] = {"/payload", "5", NULL};
    box_spec *spec = NULL;
    box_process *process = NULL;

    int r = box_container_exec_spec(c, &spec, err);
    if (r >= 0)
        r = box_spec_set_args(spec, args, err);
    if (r >= 0)
        r = box_container_exec(c, spec, NULL, &process, err);
    if (r >= 0)
        r = box_process_wait(process, -1, err);
    if (r >= 0 && own) {
        const box_ending *e = box_process_ending(process);
        if (e->kind != BOX_ENDING_EXIT || e->code != 5) {
            diag("the program ended otherwise: %s", e->text);
            atomic_fetch_add(&failures, 1);
        }
    }
    box_process_free(process);
    box_spec_free(spec);
    return r;
}

/* Into the container of another thread, which may be gone, or be going: any error will do, a crash or a leak
 * not. */
static void visit(box_store *store, int other)
{
    char name[32];
    box_container *c = NULL;
    box_error *err = NULL;

    pthread_mutex_lock(&names_lock);
    memcpy(name, names[other], sizeof(name));
    pthread_mutex_unlock(&names_lock);
    if (*name && box_container_open(store, name, &c, &err) >= 0 && exec_into(c, false, &err) >= 0)
        atomic_fetch_add(&others, 1);
    box_container_free(c);
    box_error_free(err);
}

static void one_round(box_store *store, int thread, int round)
{
    char name[32];
    box_spec *spec = NULL;
    box_container *c = NULL;
    box_error *err = NULL;

    snprintf(name, sizeof(name), "c%d-%d", thread, round);
    int r = small_spec(&scene, name, "wait", &spec, &err);
    if (r >= 0)
        r = box_container_create(store, name, NULL, spec, 0, &c, &err);
    box_spec_free(spec);
    if (r < 0) {
        failed("create", r, &err);
        return;
    }
    if ((r = box_container_start(c, NULL, &err)) < 0)
        failed("start", r, &err);
    publish(thread, name);
    if (r >= 0 && (r = exec_into(c, true, &err)) < 0)
        failed("exec", r, &err);
    if (round % 4 == 0)
        visit(store, (thread + 1 + round / 4) % THREADS);
    publish(thread, "");
    if ((r = box_container_stop(c, SIGKILL, 0, &err)) < 0)
        failed("stop", r, &err);
    if ((r = box_container_remove(c, BOX_CONTAINER_FORCE, &err)) < 0)
        failed("remove", r, &err);
    else
        atomic_fetch_add(&done, 1);
    box_container_free(c);
}

static void *work(void *arg)
{
    int thread = (int)(intptr_t)arg;
    box_store *store = NULL;
    box_error *err = NULL;

    int r = box_store_open(scene.store, scene.run, 0, &store, &err);
    if (r < 0)
        failed("open the store", r, &err);
    for (int i = 0; i < rounds && store; i++)
        one_round(store, thread, i);
    box_store_free(store);
    return NULL;
}

/* What hosts do meanwhile. */
static void *make_noise(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC), copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
        char *p = malloc(100 + (size_t)(fd & 7) * 4096);
        if (p)
            p[0] = 1;
        pause_us(200);
        free(p);
        if (fd >= 0)
            close(fd);
        if (copy >= 0)
            close(copy);
    }
    return NULL;
}

static void *send_signals(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        kill(getpid(), SIGUSR1);
        pause_us(2000);
    }
    return NULL;
}

static void run_all(int n)
{
    pthread_t workers[THREADS], noise[NOISE], signaller;

    rounds = n;
    atomic_store(&stop, 0);
    for (int i = 0; i < NOISE; i++)
        pthread_create(&noise[i], NULL, make_noise, NULL);
    pthread_create(&signaller, NULL, send_signals, NULL);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&workers[i], NULL, work, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(workers[i], NULL);
    atomic_store(&stop, 1);
    pthread_join(signaller, NULL);
    for (int i = 0; i < NOISE; i++)
        pthread_join(noise[i], NULL);
}

int main(void)
{
    struct sigaction action = {.sa_handler = count_signal}; /* no SA_RESTART: system calls are interrupted */
    const char *wanted = getenv("THREADED_ROUNDS");
#ifdef __SANITIZE_THREAD__
    int n = 6;
#else
    int n = 63;
#endif

    make_scene(&scene);
    if (getenv("BOX_VM"))
        n = 4;
    if (wanted)
        n = atoi(wanted);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGCHLD, &action, NULL);
    run_all(1); /* what is allocated once in a process is allocated now */
    atomic_store(&done, 0);

    struct census before = take_census(&scene);
    run_all(n);
    struct census after = take_census(&scene);

    ok(atomic_load(&failures) == 0, "every call succeeded (%d did not)", atomic_load(&failures));
    is_int(atomic_load(&done), (long long)THREADS * n, "containers made, started, entered and removed");
    ok(atomic_load(&others) > 0, "threads ran programs in each other's containers (%d)",
       atomic_load(&others));
    ok(atomic_load(&signals) > 0, "the host's own handler was called (%d)", atomic_load(&signals));
    struct sigaction now;
    ok(sigaction(SIGCHLD, NULL, &now) == 0 && now.sa_handler == count_signal,
       "the host's SIGCHLD handler is its own still");
    compare_census(&before, &after);
    end_scene(&scene);
    return done_testing();
}
