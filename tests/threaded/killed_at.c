/* Each process of a container's life killed at each of its steps: the host program, the stages that become the container
 * and an exec in it, the monitor of a detached one, the payload. The step is a system call, counted by ptrace(2), so
 * nothing is left to luck.
 *
 * Whoever of the others goes on must come to an end, with an error or without; a host that goes on leaks no descriptor
 * and no child; and when the next program has opened the store, no process, cgroup, directory, name or run file is left.
 *
 * KILLED_STEPS: how many kills for each process of each life at most (25; 0: every step). */
#include "census.h"

#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum { PROCESSES = 16, PATIENCE = 20 };
enum { GOOD = 0, FAILED = 1, LEAKED = 2 };

static struct scene scene;

/* ---- the life -------------------------------------------------------------------------------------------------------- */

static int exec_once(box_container *c, box_error **err)
{
    box_spec *spec = NULL;
    box_process *process = NULL;
    char *args[] = {"/payload", "0", NULL};

    int r = box_container_exec_spec(c, &spec, err);
    if (r >= 0)
        r = box_spec_set_args(spec, args, err);
    if (r >= 0)
        r = box_container_exec(c, spec, NULL, &process, err);
    if (r >= 0)
        r = box_process_wait(process, -1, err);
    box_process_free(process);
    box_spec_free(spec);
    return r;
}

static int live(bool detached, const char *name)
{
    box_store *store = NULL;
    box_spec *spec = NULL;
    box_container *c = NULL;
    box_error *err = NULL;

    int r = box_store_open(scene.store, scene.run, 0, &store, &err);
    if (r >= 0)
        r = small_spec(&scene, name, "wait", &spec, &err);
    if (r >= 0)
        r = box_container_create(store, name, NULL, spec, 0, &c, &err);
    if (r >= 0)
        r = detached ? box_container_start_detached(c, &err) : box_container_start(c, NULL, &err);
    if (r >= 0)
        r = exec_once(c, &err);
    if (r >= 0)
        r = box_container_stop(c, SIGKILL, 0, &err);
    box_error_free(err);
    err = NULL;
    if (c) {
        int removed = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
        if (removed < 0)
            complain("a host that went on removes", removed, &err);
        r = r < 0 ? r : removed;
    }
    box_container_free(c);
    box_spec_free(spec);
    box_store_free(store);
    return r;
}

static int host(bool detached, const char *name)
{
    struct census before = take_census(&scene);
    int r = live(detached, name);
    struct census after = take_census(&scene);

    before.bytes = after.bytes = before.blocks = after.blocks = before.mounts = after.mounts = 0;
    before.cgroups = after.cgroups; /* looked at when all is over */
    return !same_census(&before, &after, "a host that went on") ? LEAKED : r < 0 ? FAILED : GOOD;
}

/* What the next program does: opens the store, removes what is there. */
static int clear(void)
{
    box_store *store = NULL;
    box_container **list = NULL;
    box_error *err = NULL;
    size_t n = 0;

    int r = box_store_open(scene.store, scene.run, 0, &store, &err);
    if (r >= 0)
        r = box_container_list(store, &list, &n, &err);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = box_container_remove(list[i], BOX_CONTAINER_FORCE, &err);
    if (r >= 0)
        r = box_container_sweep(store, NULL, &err);
    box_container_list_free(list);
    box_store_free(store);
    return r < 0 ? complain("the next program", r, &err), FAILED : GOOD;
}

/* A sweep leaves young temporary files to whoever may be at them: lets an hour pass. */
static void age_run_directory(void)
{
    const struct timespec times[2] = {{time(NULL) - 3600, 0}, {time(NULL) - 3600, 0}};
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/containers", scene.run);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (strncmp(d->d_name, ".libbox-new-", 12) == 0)
            utimensat(dirfd(dir), d->d_name, times, AT_SYMLINK_NOFOLLOW);
    if (dir)
        closedir(dir);
}

/* ---- the tracer ------------------------------------------------------------------------------------------------------ */

struct traced {
    pid_t pid;
    bool alive, inside; /* a system call */
    int steps;
};

struct life {
    struct traced processes[PROCESSES]; /* in the order in which they were made */
    int count;
    int who, when; /* which is to be killed, before its step of what number; when < 0: none */
    pid_t host, next;
    int host_status, next_status; /* -1: not yet */
    bool killed, hung;
};

static struct traced *find(struct life *life, pid_t pid)
{
    for (int i = 0; i < life->count; i++)
        if (life->processes[i].pid == pid)
            return &life->processes[i];
    return NULL;
}

static struct traced *add(struct life *life, pid_t pid)
{
    struct traced *t = find(life, pid);

    if (t || life->count == PROCESSES)
        return t;
    life->processes[life->count] = (struct traced){.pid = pid, .alive = true};
    return &life->processes[life->count++];
}

static int living(const struct life *life)
{
    int n = 0;

    for (int i = 0; i < life->count; i++)
        n += life->processes[i].alive;
    return n;
}

/* A stop of a process that is traced: what it was for, and on. */
static void stopped(struct life *life, pid_t pid, int status)
{
    struct traced *t = add(life, pid);
    int signal = WSTOPSIG(status), event = status >> 16;
    unsigned long child = 0;

    if (t && signal == (SIGTRAP | 0x80)) {
        t->inside = !t->inside;
        if (t->inside && t - life->processes == life->who && t->steps == life->when && !life->killed) {
            life->killed = true;
            kill(pid, SIGKILL);
            return;
        }
        t->steps += t->inside;
        signal = 0;
    } else if (event == PTRACE_EVENT_CLONE || event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
        if (ptrace(PTRACE_GETEVENTMSG, pid, NULL, &child) == 0)
            add(life, (pid_t)child);
        signal = 0;
    } else if (event || signal == SIGTRAP || signal == SIGSTOP) {
        signal = 0;
    }
    /* once the kill is done, there is nothing to be counted any more */
    ptrace(life->killed ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, (void *)(long)signal);
}

static void on_alarm(int signal)
{
    (void)signal;
}

static void ended(struct life *life, pid_t pid, int status)
{
    struct traced *t = find(life, pid);

    if (t)
        t->alive = false;
    if (pid == life->host)
        life->host_status = status;
    if (pid == life->next)
        life->next_status = status;
}

/* Who is still there, and what it is waiting for. */
static void show(const struct life *life)
{
    for (int i = 0; i <= life->count; i++) {
        pid_t pid = i < life->count ? life->processes[i].pid : life->next;
        char path[64], text[256] = "", call[256] = "";
        if (pid <= 0 || (i < life->count && !life->processes[i].alive))
            continue;
        snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
        FILE *f = fopen(path, "re");
        if (f && !fgets(text, 40, f))
            text[0] = '\0';
        if (f)
            fclose(f);
        snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
        f = fopen(path, "re");
        if (f && !fgets(call, 60, f))
            call[0] = '\0';
        if (f)
            fclose(f);
        diag("%s %d still there: %s; %s", i < life->count ? "process" : "the next program,", i, text, call);
    }
}

/* Lets everything run until the host has ended, then the next program, then whatever is left. */
static void follow(struct life *life)
{
    alarm(PATIENCE);
    while (life->host_status < 0 || life->next_status < 0 || living(life)) {
        int status;
        if (life->host_status >= 0 && !life->next) {
            age_run_directory();
            life->next = fork();
            if (life->next == 0)
                _exit(clear());
        }
        pid_t pid = waitpid(-1, &status, __WALL);
        if (pid < 0 && errno == EINTR) {
            life->hung = true;
            show(life);
            break;
        }
        if (pid < 0)
            break;
        if (WIFSTOPPED(status))
            stopped(life, pid, status);
        else
            ended(life, pid, status);
    }
    alarm(0);
    for (int i = 0; i < life->count; i++)
        if (life->processes[i].alive)
            kill(life->processes[i].pid, SIGKILL);
    if (life->hung && life->next > 0)
        kill(life->next, SIGKILL);
    while (waitpid(-1, NULL, __WALL) > 0)
        continue;
}

static bool trace(struct life *life, bool detached, const char *name)
{
    int status;

    life->host_status = life->next_status = -1;
    life->host = fork();
    if (life->host == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(host(detached, name));
    }
    if (waitpid(life->host, &status, __WALL) != life->host || !WIFSTOPPED(status) ||
        ptrace(PTRACE_SETOPTIONS, life->host, NULL,
               (void *)(long)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                              PTRACE_O_TRACEEXEC)) < 0)
        return false;
    add(life, life->host);
    ptrace(PTRACE_SYSCALL, life->host, NULL, NULL);
    follow(life);
    return true;
}

/* ---- what is left ------------------------------------------------------------------------------------------------------ */

/* Whatever is found is shown and taken away, so that the next kill finds a clean place. */
static long left_in(const char *base, const char *below)
{
    char path[PATH_MAX], at[PATH_MAX * 2], command[PATH_MAX * 3];
    long n = 0;

    snprintf(path, sizeof(path), "%s/%s", base, below);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && strcmp(d->d_name, ".lock") != 0 &&
            strcmp(d->d_name, ".names") != 0) {
            diag("left in %s: %s", path, d->d_name);
            snprintf(at, sizeof(at), "%s/%s", path, d->d_name);
            snprintf(command, sizeof(command), "rm -rf '%s'", at);
            if (system(command) != 0)
                diag("cannot remove %s", at);
            n++;
        }
    if (dir)
        closedir(dir);
    return n;
}

static long left(void)
{
    return left_in(scene.store, "containers") + left_in(scene.store, "containers/.names") + left_in(scene.run, "containers") +
           count_cgroups(&scene);
}

/* Kills process number `who` at some of its steps. */
static void kill_one(bool detached, int who, int steps, int at_most)
{
    static const char *const kinds[] = {"attached", "detached"};
    int times = at_most && steps > at_most ? at_most : steps, kills = 0, hung = 0, leaked = 0, uncleared = 0, remains = 0;
    char what[64];

    snprintf(what, sizeof(what), "%s: %s %d", kinds[detached], who ? "process" : "the host, process", who);
    for (int i = 0; i < times; i++) {
        struct life life = {.who = who, .when = (int)((long)steps * i / times)};
        char name[32];
        snprintf(name, sizeof(name), "%c%dx%d", kinds[detached][0], who, life.when);
        trace(&life, detached, name);
        bool host_leaked = WIFEXITED(life.host_status) && WEXITSTATUS(life.host_status) == LEAKED;
        bool not_clear = !WIFEXITED(life.next_status) || WEXITSTATUS(life.next_status) != GOOD;
        long n = left();
        if (life.hung || host_leaked || not_clear || n)
            diag("%s, killed before step %d of %d: %s%s%s%ld things left", what, life.when, steps, life.hung ? "hung, " : "",
                 host_leaked ? "host leaked, " : "", not_clear ? "not cleared, " : "", n);
        kills += life.killed;
        hung += life.hung;
        leaked += host_leaked;
        uncleared += not_clear;
        remains += n > 0;
    }
    ok(kills > 0 && hung == 0, "%s, killed at %d of %d steps: everybody comes to an end", what, kills, steps);
    ok(leaked == 0, "%s: a host that goes on leaks nothing", what);
    ok(uncleared == 0 && remains == 0, "%s: the next program clears what is left", what);
}

int main(void)
{
    const char *wanted = getenv("KILLED_STEPS");
    int at_most = wanted ? atoi(wanted) : getenv("BOX_VM") ? 4 : 25;
    struct sigaction alarmed = {.sa_handler = on_alarm};

    make_scene(&scene);
    sigaction(SIGALRM, &alarmed, NULL);
    for (int detached = 0; detached < 2; detached++) {
        struct life whole = {.who = -1, .when = -1};
        bool traced = trace(&whole, detached, "whole");
        if (!traced)
            skip_all("nothing can be traced here");
        ok(!whole.hung && WIFEXITED(whole.host_status) && WEXITSTATUS(whole.host_status) == GOOD && left() == 0,
           "a life in which nobody is killed, %s: %d processes", detached ? "detached" : "attached", whole.count);
        for (int i = 0; i < whole.count; i++)
            diag("process %d: %d steps", i, whole.processes[i].steps);
        for (int who = 0; who < whole.count; who++)
            kill_one(detached, who, whole.processes[who].steps, at_most);
    }
    end_scene(&scene);
    return done_testing();
}
