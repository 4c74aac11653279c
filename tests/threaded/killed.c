/* A host that is killed at any moment of a container's life. Whoever opens the store next finds and clears
 * what it left: no process, cgroup, mount or half made container stays. KILLED_TIMES sets how often (60). */
#include "census.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static struct scene scene;

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

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

static int one_life(const char *name)
{
    box_store *store = NULL;
    box_spec *spec = NULL;
    box_container *c = NULL;
    box_error *err = NULL;

    int r = box_store_open(scene.store, scene.run, 0, &store, &err);
    if (r >= 0)
        r = small_spec(&scene, name, "wait", &spec, &err);
    if (r >= 0)
        r = box_container_create(store, name, NULL, spec, BOX_CONTAINER_AUTO_REMOVE, &c, &err);
    if (r >= 0)
        r = box_container_start(c, NULL, &err);
    if (r >= 0)
        r = exec_once(c, &err);
    if (r >= 0)
        r = box_container_stop(c, SIGKILL, 0, &err);
    if (r >= 0)
        r = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
    box_container_free(c);
    box_spec_free(spec);
    box_store_free(store);
    return r < 0 ? complain("a life", r, &err) : 0;
}

/* Processes that run our payload, whoever their parent is. */
static long count_payloads(void)
{
    struct stat payload, st;
    char path[PATH_MAX];
    long n = 0;
    DIR *dir = opendir("/proc");

    snprintf(path, sizeof(path), "%s/payload", scene.root);
    if (stat(path, &payload) < 0)
        payload.st_ino = 0;
    for (struct dirent *d; dir && (d = readdir(dir));) {
        snprintf(path, sizeof(path), "/proc/%s/exe", d->d_name);
        n += d->d_name[0] >= '1' && d->d_name[0] <= '9' && stat(path, &st) == 0 &&
             st.st_ino == payload.st_ino && st.st_dev == payload.st_dev;
    }
    if (dir)
        closedir(dir);
    return n;
}

/* Sweeps as the next program would, and removes what is whole and stopped. */
static bool clear(void)
{
    box_store *store = NULL;
    box_container **list = NULL;
    box_error *err = NULL;
    size_t n = 0;

    int r = box_store_open(scene.store, scene.run, 0, &store, &err);
    if (r >= 0)
        r = box_container_sweep(store, NULL, &err);
    if (r >= 0)
        r = box_container_list(store, &list, &n, &err);
    for (size_t i = 0; i < n && r >= 0; i++)
        r = box_container_remove(list[i], BOX_CONTAINER_FORCE, &err);
    box_container_list_free(list);
    box_store_free(store);
    return r < 0 ? complain("clear", r, &err), false : true;
}

/* What is in a directory that is no lock and no directory of names. */
static long left_in(const char *base, const char *below)
{
    char path[PATH_MAX];
    long n = 0;

    snprintf(path, sizeof(path), "%s/%s", base, below);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && strcmp(d->d_name, ".lock") != 0 &&
            strcmp(d->d_name, ".names") != 0) {
            diag("left in %s: %s", path, d->d_name);
            n++;
        }
    if (dir)
        closedir(dir);
    return n;
}

/* A file that is half written is swept when it is too old for a writer that lives: here they all are. */
static void make_old(const char *base)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/containers", base);
    DIR *dir = opendir(path);
    for (struct dirent *d; dir && (d = readdir(dir));)
        if (strncmp(d->d_name, ".libbox-new-", 12) == 0)
            utimensat(dirfd(dir), d->d_name, times, AT_SYMLINK_NOFOLLOW);
    if (dir)
        closedir(dir);
}

static void kill_after(long us, const char *name)
{
    int status;
    pid_t host = fork();

    if (host == 0)
        _exit(one_life(name) < 0);
    pause_us(us);
    kill(host, SIGKILL);
    waitpid(host, &status, 0);
}

int main(void)
{
    const char *wanted = getenv("KILLED_TIMES");
    int times = wanted ? atoi(wanted) : getenv("BOX_VM") ? 15 : 60;
    long processes = 0, cgroups = 0, containers = 0, runs = 0, failures = 0;

    make_scene(&scene);
    int64_t from = now_us();
    ok(one_life("whole") == 0, "a host that is not killed");
    long span = (long)(now_us() - from);
    struct census before = take_census(&scene);
    for (int i = 0; i < times; i++) {
        char name[32];
        snprintf(name, sizeof(name), "k%d", i);
        kill_after(span * i / times, name);
        make_old(scene.run);
        failures += !clear();
        for (int k = 0; k < 200 && count_payloads() > 0; k++)
            pause_us(5000);
        long p = count_payloads(), g = count_cgroups(&scene);
        if (p > processes || g > cgroups)
            diag("killed after %ld of %ld us: %ld processes, %ld cgroups are left", span * i / times, span, p,
                 g);
        processes = p, cgroups = g;
        containers = left_in(scene.store, "containers");
        runs = left_in(scene.run, "containers");
    }
    is_int(failures, 0, "the next program can clear");
    is_int(processes, 0, "no process of a killed host is left");
    is_int(cgroups, 0, "no cgroup is left");
    is_int(containers, 0, "no container is left in the store");
    is_int(runs, 0, "no file is left in the run directory");
    is_int(left_in(scene.store, "containers/.names"), 0, "no name is taken any more");
    struct census after = take_census(&scene);
    ok(after.mounts == before.mounts, "no mount is left");
    end_scene(&scene);
    return done_testing();
}
