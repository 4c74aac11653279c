/* Start to exit: what libbox costs beside the bare system calls and beside other runtimes.
 *
 *     bench-start --true FILE --dir DIR [--runs N] [--json FILE] [--lxc FILE] [--box FILE --image NAME]
 * [--oci FILE] [--big MIB]...
 *
 * DIR is an empty scratch directory. tests/bench/run makes it, and is what people call. */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <libbox/box.h>
#include <libbox/container.h>
#include <libbox/launch.h>

#define NAMESPACES (CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWNET)
#define MIB        (1024ull * 1024)

static struct settings {
    const char *program; /* the true, on the host */
    const char *dir;
    const char *lxc, *box, *image, *oci;
    unsigned runs;
    uint64_t big[4];
    size_t n_big;
    struct output out;
    char path[4][BENCH_TEXT];
} settings = {.runs = 300};

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fprintf(stderr, "bench-start: ");
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void must(int r, box_error *err, const char *what)
{
    if (r < 0)
        die("%s: %s", what, box_error_message(err));
}

/* ---- specs
 * -----------------------------------------------------------------------------------------------------------
 */

/* New namespaces on the host's own root, and nothing else. */
static box_spec *bare_spec(bool user)
{
    static const enum box_spec_namespace kinds[] = {BOX_SPEC_MOUNT_NAMESPACE,  BOX_SPEC_PID_NAMESPACE,
                                                    BOX_SPEC_UTS_NAMESPACE,    BOX_SPEC_IPC_NAMESPACE,
                                                    BOX_SPEC_CGROUP_NAMESPACE, BOX_SPEC_NETWORK_NAMESPACE};
    box_spec *spec = box_spec_new_empty();
    box_error *err = NULL;

    must(spec ? 0 : -1, err, "box_spec_new_empty");
    must(box_spec_set_root_host(spec, &err), err, "root");
    must(box_spec_add_arg(spec, settings.program, &err), err, "args");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        must(box_spec_add_namespace(spec, kinds[i], &err), err, "namespace");
    if (user) {
        box_idmap *map = box_idmap_new(&err);
        must(map ? box_idmap_add(map, BOX_IDMAP_UID, 0, 0, 1, &err) : -1, err, "idmap");
        must(box_idmap_add(map, BOX_IDMAP_GID, 0, 0, 1, &err), err, "idmap");
        must(box_spec_set_idmap(spec, map, &err), err, "idmap");
        box_idmap_free(map);
    }
    return spec;
}

enum root { THROWN_AWAY, KEPT, DIRECTORY };

/* Docker's defaults with limits, if there are to be limits. The root is an overlay over the layer, whose changes are
 * thrown away or kept in a directory, or a directory as it is. */
static box_spec *full_spec(enum root root, bool limited)
{
    box_spec *spec = box_spec_new();
    box_error *err = NULL;
    char *args[] = {"/bin/true", NULL};
    struct box_limits *limits = spec ? box_spec_limits(spec) : NULL;

    must(limits ? 0 : -1, err, "box_spec_new");
    if (root == DIRECTORY) {
        must(box_spec_set_root(spec, settings.path[3], &err), err, "root");
    } else {
        char *lower[] = {settings.path[0], NULL};
        bool kept = root == KEPT;
        must(box_spec_set_root_overlay(spec, lower, kept ? settings.path[1] : NULL, kept ? settings.path[2] : NULL,
                                       &err),
             err, "overlay");
    }
    must(box_spec_set_args(spec, args, &err), err, "args");
    must(box_spec_set_hostname(spec, "bench", &err), err, "hostname");
    if (!limited)
        return spec;
    must(box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, 256 * (int64_t)MIB, &err), err, "memory");
    must(box_limits_set(limits, BOX_LIMIT_PIDS_MAX, 64, &err), err, "pids");
    must(box_limits_set_cpus(limits, 1, &err), err, "cpus");
    return spec;
}

/* ---- libbox
 * ----------------------------------------------------------------------------------------------------------
 */

static int64_t failed(struct subject *s, box_error *err)
{
    bench_fail(s, "%s", err ? box_error_message(err) : "no message");
    box_error_free(err);
    return -1;
}

static int64_t follow(struct subject *s, int r, box_process *process, int64_t from, box_error *err)
{
    if (r >= 0)
        r = box_process_wait(process, -1, &err);
    const box_ending *ending = process ? box_process_ending(process) : NULL;
    if (r >= 0 && (ending->kind != BOX_ENDING_EXIT || ending->code != 0))
        r = (int)bench_fail(s, "%s", ending->text);
    else if (r < 0)
        r = (int)failed(s, err);
    box_process_free(process);
    return r < 0 ? -1 : bench_now() - from;
}

/* What a volatile overlay leaves in its work directory, and what keeps it from being mounted again. */
static void fresh_overlay(void)
{
    char path[BENCH_TEXT + 32];

    if (!settings.dir)
        return;
    static const char *const left[] = {"volatile/dirty", "volatile", ""};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/work/incompat/%s", settings.path[2], left[i]);
        remove(path);
    }
}

static int64_t run_launch(struct subject *s)
{
    box_process *process = NULL;
    box_error *err = NULL;

    fresh_overlay();
    int64_t from = bench_now();

    int r = box_launch(s->data, NULL, &process, &err);
    return follow(s, r, process, from, err);
}

static int64_t run_plan(struct subject *s)
{
    box_process *process = NULL;
    box_error *err = NULL;

    fresh_overlay();
    int64_t from = bench_now();

    int r = box_plan_start(s->data, NULL, &process, &err);
    return follow(s, r, process, from, err);
}

static box_plan *plan_of(box_spec *spec)
{
    box_plan *plan = NULL;
    box_error *err = NULL;

    must(box_plan_new(spec, &plan, &err), err, "box_plan_new");
    return plan;
}

struct stored {
    box_store *store;
    box_spec *spec;
    unsigned flags;
};

/* Create, start, wait, remove: a container with a name and its state on disk. */
static int64_t run_container(struct subject *s)
{
    struct stored *d = s->data;
    box_container *c = NULL;
    box_error *err = NULL;

    fresh_overlay();
    int64_t from = bench_now();

    int r = box_container_create(d->store, NULL, NULL, d->spec, d->flags, &c, &err);
    if (r >= 0)
        r = box_container_start(c, NULL, &err);
    if (r >= 0)
        r = box_container_wait(c, -1, &err);
    bool good =
        r >= 0 && box_container_ending(c)->kind == BOX_ENDING_EXIT && box_container_ending(c)->code == 0;
    if (r >= 0 && !good)
        bench_fail(s, "%s", box_container_ending(c)->text);
    if (c && r >= 0 && !(d->flags & BOX_CONTAINER_AUTO_REMOVE))
        r = box_container_remove(c, BOX_CONTAINER_FORCE, &err);
    box_container_free(c);
    if (r < 0)
        return failed(s, err);
    return good ? bench_now() - from : -1;
}

/* ---- peers
 * -----------------------------------------------------------------------------------------------------------
 */

static struct subject *add_command(struct group *g, const char *name, ...)
{
    struct command *c = calloc(1, sizeof(*c));
    va_list ap;

    if (!c)
        die("out of memory");
    va_start(ap, name);
    for (size_t i = 0; i + 1 < sizeof(c->argv) / sizeof(*c->argv) && (c->argv[i] = va_arg(ap, const char *));
         i++)
        continue;
    va_end(ap);
    snprintf(c->log, sizeof(c->log), "%s/log", settings.dir);
    return bench_add(g, name, bench_command, c);
}

static char *in_dir(const char *name)
{
    char *path = NULL;

    if (asprintf(&path, "%s/%s", settings.dir, name) < 0)
        die("out of memory");
    return path;
}

/* The spec that libbox is given, as a bundle for OCI runtimes. Older ones know no version after 1.0. */
static char *bundle(const char *name, const box_spec *spec)
{
    char *dir = in_dir(name), *file = NULL, *text = NULL;
    box_error *err = NULL;

    if (asprintf(&file, "%s/config.json", dir) < 0 || (mkdir(dir, 0755) < 0 && errno != EEXIST))
        die("%s: %s", dir, strerror(errno));
    must(box_spec_format(spec, &text, &err), err, "box_spec_format");
    char *key = strstr(text, "\"ociVersion\""), *value = key ? strstr(key + 12, "\"1.") : NULL;
    if (value && strlen(value) > 6)
        memcpy(value, "\"1.0.0\"", 7);
    FILE *f = fopen(file, "we");
    if (!f || fputs(text, f) < 0 || fclose(f) != 0)
        die("%s: %s", file, strerror(errno));
    free(text);
    free(file);
    return dir;
}

static void add_runtimes(struct group *g, const char *dir)
{
    add_command(g, "runc run", "runc", "--root", in_dir("runc"), "run", "-b", dir, "libbox-bench", NULL);
    add_command(g, "crun run", "crun", "--root", in_dir("crun"), "run", "-b", dir, "libbox-bench", NULL);
    add_command(g, "crun run, without cgroups", "crun", "--root", in_dir("crun"), "--cgroup-manager=disabled",
                "run", "-b", dir, "libbox-bench", NULL);
}

static struct subject *add_floor(struct group *g, int flags, bool up)
{
    struct floor *f = calloc(1, sizeof(*f));

    if (!f)
        die("out of memory");
    f->program = settings.program;
    f->flags = flags;
    return up ? bench_add(g, "floor, loopback up", bench_floor_up, f)
              : bench_add(g, "floor (clone, exec, wait)", bench_floor, f);
}

static struct worker *new_worker(const char *program, const char *mode, uint64_t mib)
{
    struct worker *w = calloc(1, sizeof(*w));
    char *text = NULL;

    if (!w || asprintf(&text, "%llu", (unsigned long long)mib) < 0)
        die("out of memory");
    w->argv[0] = program;
    w->argv[1] = "--worker";
    w->argv[2] = mode;
    w->argv[3] = "--true";
    w->argv[4] = settings.program;
    w->argv[5] = "--host";
    w->argv[6] = text;
    return w;
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------
 */

static void slower(struct group *g, size_t from, unsigned every)
{
    for (size_t i = from; i < g->n; i++)
        g->subjects[i].every = every;
}

static void bare_rows(bool user)
{
    struct group g = {.name = user ? "namespaces with user namespace, plan kept" : "namespaces, plan kept"};
    struct group once = {.name =
                             user ? "namespaces with user namespace, plan made" : "namespaces, plan made"};
    box_spec *spec = bare_spec(user);
    int flags = NAMESPACES | (user ? CLONE_NEWUSER : 0);
    box_plan *plan = plan_of(spec);

    bench_add(&g, "libbox", run_plan, plan);
    add_floor(&g, flags, false);
    add_floor(&g, flags, true);
    bench_run(&g, settings.runs, &settings.out);
    bench_add(&once, "libbox", run_launch, spec);
    add_floor(&once, flags, false);
    add_floor(&once, flags, true);
    bench_run(&once, settings.runs, &settings.out);
    box_plan_free(plan);
    box_spec_free(spec);
}

static char *bare_bundle(void)
{
    box_spec *bundled = bare_spec(false);
    char *args[] = {"/bin/true", NULL};
    box_error *err = NULL;

    must(box_spec_set_root(bundled, settings.path[3], &err), err, "root");
    must(box_spec_set_args(bundled, args, &err), err, "args");
    /* runc wants a /proc to set the process up with. */
    must(box_spec_add_mount(bundled, "proc", "proc", "/proc", NULL, &err), err, "mount");
    must(box_spec_set_cwd(bundled, "/", &err), err, "cwd");
    char *dir = bundle("bare", bundled);
    box_spec_free(bundled);
    return dir;
}

static void peer_rows(void)
{
    struct group g = {.name = "namespaces, beside other runtimes"};
    box_spec *spec = bare_spec(false);

    bench_add(&g, "libbox", run_launch, spec);
    add_command(&g, "bwrap", "bwrap", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--unshare-net",
                "--unshare-cgroup", "--bind", "/", "/", settings.program, NULL);
    add_command(&g, "minijail0", "minijail0", "-v", "-p", "-l", "-e", "-N", "--uts", settings.program, NULL);
    add_runtimes(&g, bare_bundle());
    struct worker *lxc = settings.lxc ? new_worker(settings.lxc, settings.path[3], 0) : NULL;
    if (lxc)
        bench_add(&g, "liblxc, in process", bench_worker, lxc);
    slower(&g, 1, 4);
    bench_run(&g, settings.runs, &settings.out);
    if (lxc)
        bench_worker_end(lxc);
    else
        bench_skip(g.name, "liblxc, in process", "built without liblxc");
    box_spec_free(spec);
}

/* Where the run directory belongs: a tmpfs, as /run is, when there is one that we may write to. */
static char *run_dir(const char *name)
{
    struct statfs fs;
    char *path = NULL;

    if (statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC || access("/dev/shm", W_OK) < 0)
        return in_dir(name);
    if (asprintf(&path, "/dev/shm/%s-%s", strrchr(settings.dir, '/') + 1, name) < 0)
        die("out of memory");
    return path;
}

/* One bundle by one runtime after the other, each as the process that an engine starts, the state of each on tmpfs. */
static void one_oci_row(const char *name, const char *dir)
{
    struct group g = {.name = name};

    add_command(&g, "libbox", settings.oci, "--root", run_dir("box-oci"), "run", "-b", dir, "libbox-bench", NULL);
    add_command(&g, "runc run", "runc", "--root", run_dir("runc"), "run", "-b", dir, "libbox-bench", NULL);
    add_command(&g, "crun run", "crun", "--root", run_dir("crun"), "run", "-b", dir, "libbox-bench", NULL);
    add_command(&g, "crun run, without cgroups", "crun", "--root", run_dir("crun"), "--cgroup-manager=disabled", "run", "-b",
                dir, "libbox-bench", NULL);
    slower(&g, 1, 2);
    bench_run(&g, settings.runs / 3 + 1, &settings.out);
}

static void oci_rows(void)
{
    box_spec *full = full_spec(DIRECTORY, true);

    if (!settings.oci) {
        bench_skip("box-oci run, full bundle", "runc run", "the program box-oci is not there");
        return;
    }
    one_oci_row("box-oci run, namespaces and a root", bare_bundle());
    one_oci_row("box-oci run, full bundle", bundle("full", full));
    box_spec_free(full);
}

static uint64_t free_mib(void)
{
    char line[128];
    unsigned long long kib = 0;
    FILE *f = fopen("/proc/meminfo", "re");

    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "MemAvailable: %llu kB", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib / 1024;
}

static void memory_rows(const char *self)
{
    for (size_t i = 0; i < settings.n_big; i++) {
        uint64_t mib = settings.big[i];
        char name[64], fork_name[64];
        snprintf(name, sizeof(name), "namespaces, host of %llu MiB", (unsigned long long)mib);
        if (free_mib() < mib + mib / 4) {
            bench_skip(name, "libbox, host of 0 MiB", "not enough memory is free");
            continue;
        }
        struct group g = {.name = name};
        struct worker *big = new_worker(self, "launch", mib), *small = new_worker(self, "launch", 0);
        struct worker *forked = new_worker(self, "fork", mib);
        bench_add(&g, "libbox", bench_worker, big);
        bench_add(&g, "libbox, host of 0 MiB", bench_worker, small);
        bench_run(&g, settings.runs, &settings.out);
        bench_worker_end(small);
        bench_worker_end(big);

        struct group f = {.name = name};
        struct worker *again = new_worker(self, "launch", mib);
        snprintf(fork_name, sizeof(fork_name), "fork, exec, same host, no namespaces");
        if (free_mib() < 2 * mib + mib / 4)
            continue;
        bench_add(&f, "libbox", bench_worker, again);
        bench_add(&f, fork_name, bench_worker, forked);
        bench_run(&f, settings.runs / 10 + 1, &settings.out);
        bench_worker_end(again);
        bench_worker_end(forked);
    }
}

static void one_full_row(const char *name, int64_t (*run)(struct subject *), void *data, unsigned share)
{
    struct group g = {.name = name};

    bench_add(&g, "libbox", run, data);
    add_floor(&g, NAMESPACES, false);
    bench_run(&g, settings.runs / share + 1, &settings.out);
}

static void stored_rows(void)
{
    struct stored thrown = {.spec = full_spec(KEPT, true), .flags = BOX_CONTAINER_AUTO_REMOVE};
    struct stored kept = {.spec = thrown.spec};
    box_spec *waits = full_spec(THROWN_AWAY, true);
    char *root = in_dir("store"), *run = run_dir("run");
    char *args[] = {"/bin/true", "wait", NULL};
    box_error *err = NULL;

    must(box_store_open(root, run, 0, &thrown.store, &err), err, "store");
    kept.store = thrown.store;
    one_full_row("full container, state on disk, --rm", run_container, &thrown, 2);
    one_full_row("full container, state on disk, kept", run_container, &kept, 4);
    must(box_spec_set_args(waits, args, &err), err, "args");
    box_spec *bundled = full_spec(DIRECTORY, true);
    must(box_spec_set_args(bundled, args, &err), err, "args");
    bench_monitor(&settings.out, thrown.store, waits, settings.dir, bundle("wait", bundled));
    box_store_free(thrown.store);
    box_spec_free(thrown.spec);
    box_spec_free(bundled);
    box_spec_free(waits);
    free(root);
    free(run);
}

static void full_rows(void)
{
    struct group once = {.name = "full container, plan made"};
    box_spec *spec = full_spec(THROWN_AWAY, true), *kept = full_spec(KEPT, true), *rooted = full_spec(DIRECTORY, true);
    box_plan *plan = plan_of(spec);

    one_full_row("full container, plan kept", run_plan, plan, 1);
    bench_add(&once, "libbox", run_launch, spec);
    add_floor(&once, NAMESPACES, false);
    add_runtimes(&once, bundle("full", rooted));
    slower(&once, 2, 4);
    bench_run(&once, settings.runs, &settings.out);
    one_full_row("full container, changes kept on disk", run_launch, kept, 2);
    box_plan_free(plan);
    box_spec_free(spec);
    box_spec_free(kept);
    box_spec_free(rooted);
    stored_rows();
}

/* Some runtimes refuse a hybrid cgroup hierarchy. In a mount namespace of this program's own, which is the last that it
 * does, the unified hierarchy alone is shown, to them and to libbox alike. It has no controllers where the others are
 * v1's, so the limits are left out; the device rules stay. */
static void unified_rows(bool oci_alone)
{
    struct group bare = {.name = "namespaces, unified hierarchy alone"}, full = {.name = "full, unified alone, no limits"};
    box_spec *rooted = full_spec(DIRECTORY, false), *spec = full_spec(THROWN_AWAY, false);
    struct statfs fs;

    if (statfs("/sys/fs/cgroup", &fs) < 0 || fs.f_type == CGROUP2_SUPER_MAGIC)
        return; /* it is alone anyway */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL) < 0) {
        bench_skip(bare.name, "crun run", strerror(errno));
        return;
    }
    box_spec *host = bare_spec(false);
    char *bundled = bundle("full-unified", rooted);
    bench_add(&bare, "libbox", run_launch, host);
    add_runtimes(&bare, bare_bundle());
    slower(&bare, 1, 4);
    if (!oci_alone)
        bench_run(&bare, settings.runs / 2 + 1, &settings.out);
    bench_add(&full, "libbox", run_launch, spec);
    add_floor(&full, NAMESPACES, false);
    add_runtimes(&full, bundled);
    slower(&full, 2, 4);
    if (!oci_alone)
        bench_run(&full, settings.runs / 2 + 1, &settings.out);
    if (settings.oci) {
        one_oci_row("box-oci run, namespaces and a root, unified alone", bare_bundle());
        one_oci_row("box-oci run, full bundle, unified alone, no limits", bundled);
    }
    box_spec_free(host);
    box_spec_free(spec);
    box_spec_free(rooted);
}

static void process_rows(const char *self)
{
    struct group g = {.name = "namespaces, a program that links libbox"},
                 box = {.name = "box run --rm IMAGE true"};

    add_command(&g, "libbox", self, "--once", "--true", settings.program, NULL);
    add_command(&g, "bwrap", "bwrap", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--unshare-net",
                "--unshare-cgroup", "--bind", "/", "/", settings.program, NULL);
    bench_run(&g, settings.runs / 2 + 1, &settings.out);

    if (!settings.box || !settings.image) {
        bench_skip(box.name, "floor (clone, exec, wait)", "the program box or its image is not there");
        return;
    }
    add_command(&box, "libbox", settings.box, "--root", in_dir("box-store"), "--runroot", run_dir("box-run"),
                "run", "--rm", "--network", "none", settings.image, "/bin/true", NULL);
    add_floor(&box, NAMESPACES, false);
    bench_run(&box, settings.runs / 4 + 1, &settings.out);
}

/* ---- main
 * ------------------------------------------------------------------------------------------------------------
 */

static void make_directories(void)
{
    static const char *const names[] = {"layer", "upper", "work", "root"};

    for (size_t i = 0; i < 4; i++) {
        snprintf(settings.path[i], sizeof(settings.path[i]), "%s/%s", settings.dir, names[i]);
        if (mkdir(settings.path[i], 0755) < 0 && errno != EEXIST)
            die("%s: %s", settings.path[i], strerror(errno));
    }
}

/* The memory of a host program: touched, in small pages, written to. */
static void grow(uint64_t mib)
{
    if (!mib)
        return;
    void *memory = mmap(NULL, mib * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("%llu MiB: %s", (unsigned long long)mib, strerror(errno));
    madvise(memory, mib * MIB, MADV_NOHUGEPAGE);
    memset(memory, 1, mib * MIB);
}

static int serve(const char *mode, uint64_t mib)
{
    struct subject s = {.run = run_launch};

    grow(mib);
    if (strcmp(mode, "fork") == 0) {
        s.run = bench_fork;
        s.data = (void *)settings.program;
    } else {
        s.data = bare_spec(false);
    }
    return bench_serve(&s);
}

static int once(void)
{
    struct subject s = {.data = bare_spec(false)};

    if (run_launch(&s) >= 0)
        return 0;
    fprintf(stderr, "%s\n", s.why);
    return 1;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"true", 1, NULL, 't'},
                                            {"dir", 1, NULL, 'd'},
                                            {"runs", 1, NULL, 'r'},
                                            {"json", 1, NULL, 'j'},
                                            {"lxc", 1, NULL, 'l'},
                                            {"box", 1, NULL, 'b'},
                                            {"image", 1, NULL, 'i'},
                                            {"oci", 1, NULL, 'c'},
                                            {"big", 1, NULL, 'm'},
                                            {"once", 0, NULL, 'o'},
                                            {"worker", 1, NULL, 'w'},
                                            {"host", 1, NULL, 'h'},
                                            {"only", 1, NULL, 'y'},
                                            {0}};
    const char *mode = NULL, *only = "";
    uint64_t mib = 0;
    bool single = false;

    signal(SIGPIPE, SIG_IGN);
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 't':
            settings.program = optarg;
            break;
        case 'd':
            settings.dir = optarg;
            break;
        case 'r':
            settings.runs = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'j':
            settings.out.json_path = optarg;
            break;
        case 'l':
            settings.lxc = optarg;
            break;
        case 'b':
            settings.box = optarg;
            break;
        case 'i':
            settings.image = optarg;
            break;
        case 'c':
            settings.oci = optarg;
            break;
        case 'm':
            if (settings.n_big < sizeof(settings.big) / sizeof(*settings.big))
                settings.big[settings.n_big++] = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            single = true;
            break;
        case 'w':
            mode = optarg;
            break;
        case 'h':
            mib = strtoull(optarg, NULL, 10);
            break;
        case 'y':
            only = optarg;
            break;
        default:
            return 2;
        }
    }
    if (!settings.program || (!settings.dir && !mode && !single) || settings.runs < 1)
        die("--true FILE and --dir DIR are needed, and at least one run");
    if (mode)
        return serve(mode, mib);
    if (single)
        return once();
    make_directories();
    if (!*only || strstr(only, "bare"))
        bare_rows(false), bare_rows(true);
    if (!*only || strstr(only, "full"))
        full_rows();
    if (!*only || strstr(only, "peers"))
        peer_rows();
    if (!*only || strstr(only, "process"))
        process_rows("/proc/self/exe");
    if (!*only || strstr(only, "oci"))
        oci_rows();
    if (!*only || strstr(only, "memory"))
        memory_rows("/proc/self/exe");
    if (!*only || strstr(only, "peers") || strstr(only, "oci"))
        unified_rows(*only && !strstr(only, "peers"));
    if (bench_finish(&settings.out) < 0)
        die("%s: %s", settings.out.json_path, strerror(errno));
    return 0;
}
