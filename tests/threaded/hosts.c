/* Several programs and one store. What one of them has started, another one sees, waits for, kills and removes; what
 * one is at, a sweep of another leaves alone; and a name belongs to one. Nobody is told a wrong ending. */
#include "census.h"

#include <errno.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

enum { HOSTS = 4, ROUNDS = 12, SHORT_ONES = 40 };

static struct scene scene;

static box_store *open_store(void)
{
    box_store *store = NULL;
    box_error *err = NULL;

    if (box_store_open(scene.store, scene.run, 0, &store, &err) < 0) {
        complain("open the store", -1, &err);
        exit(99);
    }
    return store;
}

static int make(box_store *store, const char *name, const char *word, unsigned flags, box_container **c, box_error **err)
{
    box_spec *spec = NULL;
    int r = small_spec(&scene, name, word, &spec, err);

    if (r >= 0)
        r = box_container_create(store, name, NULL, spec, flags, c, err);
    box_spec_free(spec);
    return r;
}

/* One byte to go on, one back. */
struct pair {
    int to_host[2], to_us[2];
};

static void make_pair(struct pair *p)
{
    if (pipe2(p->to_host, O_CLOEXEC) < 0 || pipe2(p->to_us, O_CLOEXEC) < 0)
        skip_all("no pipes");
}

static char take(int fd)
{
    char c = 0;

    return read(fd, &c, 1) == 1 ? c : 0;
}

static void give(int fd, char c)
{
    if (write(fd, &c, 1) != 1)
        exit(98);
}

/* A host that starts a container, does not look at it for a while, and then asks how it ended. */
static void busy_host(struct pair *p, const char *name, unsigned flags)
{
    box_store *store = open_store();
    box_container *c = NULL;
    box_error *err = NULL;

    if (make(store, name, "7", flags, &c, &err) < 0 || box_container_start(c, NULL, &err) < 0) {
        complain(name, -1, &err);
        _exit(97);
    }
    give(p->to_us[1], 's');
    take(p->to_host[0]);
    int r = box_container_wait(c, 20000, &err);
    if (r < 0)
        complain("the host's wait", r, &err);
    const box_ending *e = box_container_ending(c);
    bool right = r >= 0 && e->kind == BOX_ENDING_EXIT && e->code == 7 && box_container_state(c) != BOX_CONTAINER_RUNNING;
    if (!right)
        diag("the host: kind %d, code %d", e->kind, e->code);
    box_container_free(c);
    box_store_free(store);
    _exit(!right);
}

static bool exists(const char *directory, const char *id, const char *suffix)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/containers/%s%s", directory, id, suffix);
    return access(path, F_OK) == 0;
}

/* 0: only sweeps; 1: opens it, and asks; 2: waits for it. */
static void one_busy_host(int kind, unsigned flags)
{
    static const char *const what[] = {"is swept", "is looked at", "is waited for"};
    char name[32], id[80] = "";
    struct pair p;
    int status = -1;
    bool right = true;

    snprintf(name, sizeof(name), "busy%d%u", kind, flags);
    make_pair(&p);
    pid_t host = fork();
    if (host == 0)
        busy_host(&p, name, flags);
    bool started = take(p.to_us[0]) == 's';
    box_store *store = open_store();
    box_container *c = NULL;
    box_error *err = NULL;
    pause_us(50000); /* the payload ends at once */
    if (kind == 0) {
        right = box_container_sweep(store, NULL, &err) >= 0;
    } else {
        int r = box_container_open(store, name, &c, &err);
        if (r >= 0)
            snprintf(id, sizeof(id), "%s", box_container_id(c));
        if (r >= 0 && kind == 2)
            r = box_container_wait(c, 20000, &err);
        if (r < 0)
            complain(what[kind], r, &err);
        const box_ending *e = r >= 0 ? box_container_ending(c) : NULL;
        right = e && (e->kind == BOX_ENDING_EXIT ? e->code == 7 : e->kind == BOX_ENDING_NONE && kind == 1);
        if (!right && e)
            diag("the other program: kind %d, code %d: %s", e->kind, e->code, e->text);
    }
    give(p.to_host[1], 'g');
    waitpid(host, &status, 0);
    ok(started && right, "a container of a busy host that %s%s: nobody makes up how it ended", what[kind],
       flags ? " and is removed at its end" : "");
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "and its host is told how it ended");
    if (*id)
        ok(!exists(scene.run, id, ".json"), "and nothing in the run directory is left");
    box_container_free(c);
    if (!flags && box_container_open(store, name, &c, NULL) >= 0) {
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
        box_container_free(c);
    }
    box_store_free(store);
    for (int i = 0; i < 2; i++) {
        close(p.to_host[i]);
        close(p.to_us[i]);
    }
}

/* A host in the middle of a start: the run file is there and names no process yet, and the container's lock is held.
 * A sweep, which is part of every create and list, goes on at once: a deadlock would end this test by its time-out. */
static void a_start_in_between(void)
{
    box_store *store = open_store();
    box_container *c = NULL, **list = NULL;
    box_error *err = NULL;
    char path[PATH_MAX], boot[40] = "", id[80];
    size_t n = 0;

    if (make(store, "between", "0", 0, &c, &err) < 0) {
        complain("create", -1, &err);
        ok(0, "a container for a start in between");
        return;
    }
    snprintf(id, sizeof(id), "%s", box_container_id(c));
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!f || fscanf(f, "%36s", boot) != 1)
        diag("no boot id");
    if (f)
        fclose(f);
    snprintf(path, sizeof(path), "%s/containers/%s/lock", scene.store, id);
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    flock(lock, LOCK_EX);
    snprintf(path, sizeof(path), "%s/containers/%s.json", scene.run, id);
    f = fopen(path, "we");
    fprintf(f, "{\"boot\":\"%s\",\"pid\":0,\"startTime\":0,\"started\":1}", boot);
    fclose(f);
    int r = box_container_sweep(store, NULL, &err);
    ok(r >= 0 && access(path, F_OK) == 0, "a sweep leaves alone what somebody is just starting");
    flock(lock, LOCK_UN);
    close(lock);
    r = box_container_sweep(store, NULL, &err);
    ok(r >= 0 && access(path, F_OK) != 0, "and finishes it when nobody is");
    r = box_container_list(store, &list, &n, &err);
    ok(r >= 0, "the list can be had");
    box_container_list_free(list);
    r = box_container_remove(c, 0, &err);
    ok(r >= 0, "and the container can be removed");
    box_container_free(c);
    box_store_free(store);
}

/* What ends before its start has been noted has run all the same. */
static void short_ones(void)
{
    box_store *store = open_store();
    int wrong = 0;

    for (int i = 0; i < SHORT_ONES; i++) {
        box_container *c = NULL;
        box_error *err = NULL;
        char name[32];
        snprintf(name, sizeof(name), "short%d", i);
        int r = make(store, name, "3", 0, &c, &err);
        if (r >= 0)
            r = box_container_start_detached(c, &err);
        if (r >= 0)
            r = box_container_wait(c, 20000, &err);
        const box_ending *e = r >= 0 ? box_container_ending(c) : NULL;
        if (r < 0)
            complain("a short one", r, &err);
        else if (e->kind != BOX_ENDING_EXIT || e->code != 3)
            diag("a short one: kind %d, code %d: %s", e->kind, e->code, e->text);
        wrong += r < 0 || e->kind != BOX_ENDING_EXIT || e->code != 3;
        if (c && box_container_remove(c, BOX_CONTAINER_FORCE, &err) < 0)
            wrong++, complain("remove a short one", -1, &err);
        box_container_free(c);
    }
    is_int(wrong, 0, "detached containers that end at once start, and are seen to end");
    box_store_free(store);
}

/* ---- what was started in a container and is not waited for ----------------------------------------------------------- */

/* The kernel lets the first process of a pid namespace end only when all others have been waited for: a program that
 * stops a container before it looks after what it has started there must not wait for itself. */
static void unwaited(void)
{
    static const char *const words[] = {"wait", "5"};
    box_store *store = open_store();
    int wrong = 0, endings = 0;

    for (int i = 0; i < 2; i++) {
        box_spec *spec = NULL;
        box_process *process = NULL;
        box_container *c = NULL;
        box_error *err = NULL;
        char *args[] = {"/payload", (char *)words[i], NULL}, name[16];
        snprintf(name, sizeof(name), "unwaited%d", i);
        int r = make(store, name, "wait", 0, &c, &err);
        if (r >= 0)
            r = i ? box_container_start(c, NULL, &err) : box_container_start_detached(c, &err);
        if (r >= 0)
            r = box_container_exec_spec(c, &spec, &err);
        if (r >= 0)
            r = box_spec_set_args(spec, args, &err);
        if (r >= 0)
            r = box_container_exec(c, spec, NULL, &process, &err);
        if (r >= 0)
            r = box_container_stop(c, SIGKILL, 0, &err);
        if (r >= 0)
            r = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
        if (r >= 0)
            r = box_process_wait(process, 20000, &err);
        if (r < 0)
            wrong++, complain(name, r, &err);
        const box_ending *e = r >= 0 ? box_process_ending(process) : NULL;
        /* the second may be killed before it ends by itself */
        endings += e && ((e->kind == BOX_ENDING_SIGNAL && e->signal == SIGKILL) || (i && e->kind == BOX_ENDING_EXIT && e->code == 5));
        box_process_free(process);
        box_container_free(c);
        box_spec_free(spec);
    }
    is_int(wrong, 0, "a container is stopped and removed by who has not waited yet for what it started in it");
    is_int(endings, 2, "and how that ended is known afterwards");
    box_store_free(store);
}

/* ---- racing for the same names ------------------------------------------------------------------------------------- */

/* Makes, starts, stops and removes containers of names that all the others want too. 0: every failure was one that is
 * to be expected of a race. */
static int racer(unsigned seed)
{
    box_store *store = open_store();
    int wrong = 0;

    for (int i = 0; i < ROUNDS; i++) {
        box_container *c = NULL;
        box_error *err = NULL;
        char name[16];
        snprintf(name, sizeof(name), "race%d", rand_r(&seed) % 2);
        int r = rand_r(&seed) % 3 ? make(store, name, "wait", 0, &c, &err) : box_container_open(store, name, &c, &err);
        if (r >= 0)
            r = rand_r(&seed) % 2 ? box_container_start(c, NULL, &err) : box_container_start_detached(c, &err);
        if (r >= 0 && rand_r(&seed) % 2)
            r = box_container_stop(c, SIGKILL, 0, &err);
        box_error_free(r < 0 ? err : NULL);
        int first = r;
        err = NULL;
        if (c && (r = box_container_remove(c, BOX_CONTAINER_FORCE, &err)) < 0 && r != BOX_ENOTFOUND && r != BOX_ESTATE)
            wrong++, complain("remove", r, &err);
        box_error_free(r < 0 ? err : NULL);
        box_container_free(c);
        if (first < 0 && first != BOX_EEXISTS && first != BOX_ENOTFOUND && first != BOX_ESTATE)
            wrong++, diag("racer: %d", first);
    }
    box_store_free(store);
    return wrong;
}

static long entries(const char *base, const char *below)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", base, below);
    long n = 0;
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, ".lock") != 0 &&
            strcmp(e->d_name, ".names") != 0) {
            diag("left in %s: %s", path, e->d_name);
            n++;
        }
    if (d)
        closedir(d);
    return n;
}

static void same_names(void)
{
    pid_t hosts[HOSTS];
    int wrong = 0;

    for (int i = 0; i < HOSTS; i++)
        if ((hosts[i] = fork()) == 0)
            _exit(racer((unsigned)i * 7919u + 1u));
    for (int i = 0; i < HOSTS; i++) {
        int status = -1;
        waitpid(hosts[i], &status, 0);
        wrong += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
    is_int(wrong, 0, "programs that race for the same names get containers, or errors that say why not");
    box_store *store = open_store();
    box_container **list = NULL;
    size_t n = 0;
    box_error *err = NULL;
    int r = box_container_list(store, &list, &n, &err);
    for (size_t i = 0; i < n && r >= 0; i++)
        if ((r = box_container_remove(list[i], BOX_CONTAINER_FORCE, &err)) < 0)
            complain("remove", r, &err);
    ok(r >= 0, "what is left of the race can be removed (%zu)", n);
    box_container_list_free(list);
    box_container_sweep(store, NULL, NULL);
    box_store_free(store);
    is_int(entries(scene.store, "containers") + entries(scene.run, "containers") + entries(scene.store, "containers/.names"), 0,
           "no container, run file or name is left");
}

int main(void)
{
    make_scene(&scene);
    struct census before = take_census(&scene);

    for (int kind = 0; kind < 3; kind++)
        for (unsigned flags = 0; flags <= BOX_CONTAINER_AUTO_REMOVE; flags += BOX_CONTAINER_AUTO_REMOVE)
            one_busy_host(kind, flags);
    a_start_in_between();
    short_ones();
    unwaited();
    same_names();
    struct census after = take_census(&scene);
    /* What was killed last may take a moment to be gone. */
    for (int i = 0; i < 300 && (after.children != before.children || after.cgroups != before.cgroups); i++) {
        pause_us(10000);
        after = take_census(&scene);
    }
    ok(after.fds == before.fds && after.children == before.children && after.cgroups == before.cgroups,
       "no descriptor, child or cgroup more than before (%ld %ld %ld, %ld %ld %ld)", before.fds, before.children,
       before.cgroups, after.fds, after.children, after.cgroups);
    end_scene(&scene);
    return done_testing();
}
