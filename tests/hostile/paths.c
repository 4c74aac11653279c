/* Root file systems and volumes that lie about paths, and a host that leaves descriptors open.
 *
 * Everything that is resolved inside a root is tried three times: with openat2(2), with the stage told to walk by fd,
 * and under a seccomp filter that takes openat2 away from the host and all that it starts. What nothing may ever do is
 * change, make or mount something in the directory "outside" beside the roots. */
#include <dirent.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "hostile.h"

static uint32_t features;
static const char *way = "openat2";
static char *outside;
static int rounds;

static struct outcome run(box_spec *spec)
{
    return hostile_run_with(spec, features);
}

/* A root of its own for each test, and the directory beside it that nobody may touch: two files. */
static char *fresh_root(void)
{
    static int n;
    char *root, *file;

    free(outside);
    outside = hostile_path("%s/outside%d", hostile_tmp(), ++n);
    mkdir(outside, 0755);
    file = hostile_path("%s/secret", outside);
    hostile_write(file, "of the host\n");
    free(file);
    file = hostile_path("root%d", n);
    root = hostile_root(file);
    free(file);
    return root;
}

static bool outside_untouched(void)
{
    DIR *d = opendir(outside);
    struct dirent *e;
    bool good = d != NULL;
    char *file = hostile_path("%s/secret", outside);

    while (d && (e = readdir(d)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, "secret") != 0) {
            diag("made outside: %s", e->d_name);
            good = false;
        }
    if (d)
        closedir(d);
    good &= strcmp(hostile_read(file), "of the host\n") == 0;
    free(file);
    return good;
}

/* Takes a path of a root away and puts a link there. */
static void link_in(const char *root, const char *path, const char *target)
{
    char *at = hostile_path("%s%s", root, path);

    rmdir(at);
    unlink(at);
    if (symlink(target, at) < 0) {
        diag("symlink %s: %s", at, strerror(errno));
        exit(99);
    }
    free(at);
}

static void must_set(int r, box_error *err)
{
    must(r, err, "set up the spec");
}

/* ---- CVE-2024-21626: descriptors and the working directory ---------------------------------------------------------- */

static void leaked_descriptors(void)
{
    char *root = fresh_root();
    int open_fds[24];

    /* as a careless host does: no close-on-exec, directories among them */
    for (int i = 0; i < 24; i++)
        open_fds[i] = open(i % 2 ? "/" : outside, O_RDONLY | O_DIRECTORY);
    struct outcome o = run(hostile_spec(root, "fds", NULL));
    int seen = 0;
    for (const char *at = o.out; (at = strstr(at, "fd ")); at += 3)
        seen++;
    CHECK(&o, seen == 3 && strstr(o.out, "fd 0 ") && strstr(o.out, "fd 1 ") && strstr(o.out, "fd 2 "),
          "%s: the payload has descriptors 0, 1 and 2 and none of the host's (CVE-2024-21626)", way);

    /* The stage has descriptors of its own at that moment; those of the container's own mounts do no harm. */
    int out = 0, refused = 0, untold = 0;
    char *from_here = hostile_path(".%s/secret", outside), *above = hostile_path("../../../../../../../..%s/secret", outside);
    for (int n = 3; n < 40; n++) {
        char cwd[40];
        box_error *err = NULL;
        box_spec *spec = hostile_spec(root, "cat", from_here, "--", "cat", above, "--", "cat", "secret", NULL);
        snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", n);
        must_set(box_spec_set_cwd(spec, cwd, &err), err);
        o = run(spec);
        if (strstr(o.out, "of the host")) {
            outcome_show(&o);
            out++;
        }
        refused += !o.started;
        untold += !o.started && !strstr(o.error, "working directory");
    }
    ok(out == 0, "%s: no /proc/self/fd/N is a working directory outside the root (CVE-2024-21626)", way);
    ok(refused > 20 && untold == 0, "%s: such starts are refused, and the error names the step", way);
    free(from_here);
    free(above);

    link_in(root, "/vol", "/proc/self/fd/5");
    box_error *err = NULL;
    box_spec *spec = hostile_spec(root, "link", "/proc/self/cwd", NULL);
    must_set(box_spec_set_cwd(spec, "/vol", &err), err);
    o = run(spec);
    CHECK(&o, !o.started, "%s: nor by a link of the image (CVE-2024-21626)", way);
    for (int i = 0; i < 24; i++)
        close(open_fds[i]);
    free(root);
}

/* ---- targets that are links -------------------------------------------------------------------------------------------- */

static void linked_targets(void)
{
    char *root = fresh_root(), *made = hostile_path("%s/made", outside), *inside = hostile_path("%s%s", root, outside);
    box_error *err = NULL;

    link_in(root, "/vol", made);
    link_in(root, "/etc/resolv.conf", made);
    box_spec *spec = hostile_spec(root, "mounts", "trap", NULL);
    must_set(box_spec_add_mount(spec, "tmpfs", "trap", "/vol/below", NULL, &err), err);
    struct outcome o = run(spec);
    char *wanted = hostile_path("mount trap: %s/below", made);
    CHECK(&o, outcome_says(&o, wanted), "%s: a target through an absolute link is found inside the root", way);
    ok(outside_untouched(), "%s: and nothing is made outside (CVE-2025-24965)", way);
    free(wanted);

    link_in(root, "/vol", "../../../../../../../../../../../../etc/../vol2");
    spec = hostile_spec(root, "mounts", "trap", NULL);
    must_set(box_spec_add_mount(spec, "tmpfs", "trap", "/vol/below", NULL, &err), err);
    o = run(spec);
    CHECK(&o, outcome_says(&o, "mount trap: /vol2/below"), "%s: '..' above the root is the root", way);

    /* A file of the runtime's own, written where the image has put a link. */
    char *source = hostile_path("%s/source", hostile_tmp());
    hostile_write(source, "from the runtime");
    char *third = hostile_path("%s/third", outside);
    link_in(root, "/etc/resolv.conf", third);
    spec = hostile_spec(root, "cat", "/etc/resolv.conf", NULL);
    must_set(box_spec_add_bind(spec, source, "/etc/resolv.conf", NULL, &err), err);
    o = run(spec);
    CHECK(&o, outcome_says(&o, "cat /etc/resolv.conf: [from the runtime]"), "%s: a file behind a link is bound inside", way);
    ok(outside_untouched(), "%s: and not made outside (CVE-2025-24965)", way);

    /* A working directory that is missing is made: inside. */
    link_in(root, "/vol", outside);
    spec = hostile_spec(root, "link", "/proc/self/cwd", NULL);
    must_set(box_spec_set_cwd(spec, "/vol/work/deep", &err), err);
    o = run(spec);
    CHECK(&o, o.started && strstr(o.out, "/work/deep"), "%s: a working directory behind a link is made inside the root", way);
    ok(outside_untouched(), "%s: and not outside (CVE-2025-24965)", way);
    free(root);
    free(made);
    free(inside);
    free(source);
    free(third);
}

/* ---- CVE-2026-41579, CVE-2026-47766: /dev -------------------------------------------------------------------------------- */

static void linked_dev(void)
{
    char *root = fresh_root();
    box_error *err = NULL;

    link_in(root, "/dev", outside);
    struct outcome o = run(hostile_spec(root, "stat", "/dev/null", NULL));
    CHECK(&o, !o.started || outcome_says(&o, "stat /dev/null: 20000 1:3"),
          "%s: a root whose /dev is a link starts with devices of its own, or not at all", way);
    ok(outside_untouched(), "%s: and makes nothing outside (CVE-2026-41579)", way);

    /* Without a tmpfs for them the devices are made in the root itself. */
    box_spec *spec = hostile_spec(root, "stat", "/dev/null", NULL);
    struct box_spec_mount m;
    for (size_t i = box_spec_count_mounts(spec); i-- > 0;)
        if (box_spec_get_mount(spec, i, &m, NULL) >= 0 && strncmp(m.destination, "/dev", 4) == 0) {
            char *destination = strdup(m.destination);
            must_set(box_spec_remove_mount(spec, destination, &err), err);
            free(destination);
        }
    o = run(spec);
    CHECK(&o, !o.started || outcome_says(&o, "stat /dev/null: 20000 1:3"), "%s: nor without a mount on /dev", way);
    ok(outside_untouched(), "%s: and makes nothing outside either (CVE-2026-47766)", way);
    free(root);
}

/* ---- masked paths, and the terminal ------------------------------------------------------------------------------------- */

static box_spec *without_dev(const char *root, const char *verb, const char *what)
{
    box_spec *spec = hostile_spec(root, verb, what, NULL);
    struct box_spec_mount m;
    box_error *err = NULL;

    for (size_t i = box_spec_count_mounts(spec); i-- > 0;)
        if (box_spec_get_mount(spec, i, &m, NULL) >= 0 && strncmp(m.destination, "/dev", 4) == 0) {
            char *destination = strdup(m.destination);
            must_set(box_spec_remove_mount(spec, destination, &err), err);
            free(destination);
        }
    must_set(box_spec_set_default_devices(spec, false, &err), err);
    return spec;
}

static void masked_paths(void)
{
    char *root = fresh_root(), *file = hostile_path("%s/etc/shadow", root), *fake = hostile_path("%s/dev/null", root);
    box_error *err = NULL;

    hostile_write(file, "to be masked");
    for (int link = 0; link < 2; link++) {
        if (link)
            link_in(root, "/dev/null", "/etc/shadow");
        else
            hostile_write(fake, "a fake");
        box_spec *spec = without_dev(root, "stat", "/etc/shadow");
        must_set(box_spec_add_masked_path(spec, "/etc/shadow", &err), err);
        struct outcome o = run(spec);
        CHECK(&o, outcome_says(&o, "stat /etc/shadow: 20000 1:3"),
              "%s: a masked file is the real /dev/null, though the image's is %s (CVE-2025-31133)", way, link ? "a link" : "a file");
    }
    /* A masked path that is a link: what it names inside is masked, never anything outside. */
    char *secret = hostile_path("%s/secret", outside);
    link_in(root, "/etc/shadow", secret);
    box_spec *spec = hostile_spec(root, "cat", "/etc/shadow", NULL);
    must_set(box_spec_add_masked_path(spec, "/etc/shadow", &err), err);
    struct outcome o = run(spec);
    CHECK(&o, outcome_says(&o, "cat /etc/shadow: ENOENT"), "%s: a masked path that leads outside leads nowhere", way);
    spec = hostile_spec(root, "write", "/etc/shadow", "x", NULL);
    must_set(box_spec_add_readonly_path(spec, "/etc/shadow", &err), err);
    o = run(spec);
    ok(outside_untouched(), "%s: so does a read-only path", way);
    free(secret);
    free(root);
    free(file);
    free(fake);
}

static struct outcome run_on_terminal(box_spec *spec)
{
    struct plan_options plan_options = PLAN_OPTIONS_INIT;
    struct start_options options = START_OPTIONS_INIT;
    struct outcome o = {.code = -1};
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_plan *plan = NULL;
    box_error *err = NULL;

    must_set(box_stdio_set_pty(io, 24, 80, &err), err);
    must_set(box_spec_set_terminal(spec, true, &err), err);
    options.io = io;
    options.features = features;
    if (box_plan_new_with(spec, &plan_options, &plan, &err) >= 0 &&
        box_plan_start_with(plan, &options, &process, &err) >= 0) {
        o.started = true;
        read_stream(box_process_pty_fd(process), o.out, sizeof(o.out), 20000, NULL);
        if (box_process_wait_or_kill(process, 20000, &err) >= 0)
            o.code = box_process_ending(process)->code;
        for (char *c = o.out; *c; c++)
            if (*c == '\r')
                *c = ' ';
    }
    keep_error(&o, err);
    box_process_free(process);
    box_plan_free(plan);
    box_stdio_free(io);
    box_spec_free(spec);
    return o;
}

static void terminals(void)
{
    char *root = fresh_root(), *secret = hostile_path("%s/secret", outside);

    /* /dev as the image has it, /dev/console a link: to a file outside, and to one inside. */
    link_in(root, "/dev/console", secret);
    struct outcome o = run_on_terminal(without_dev(root, "terminal", NULL));
    CHECK(&o, !o.started || strstr(o.out, "terminal 0: yes"), "%s: a terminal in a root with a false /dev/console", way);
    ok(outside_untouched(), "%s: touches nothing outside (CVE-2025-52565)", way);

    /* The bind that covers the fresh /dev comes from a directory of the attacker's: its console is a link. */
    char *volume = hostile_path("%s/devices", hostile_tmp()), *console = hostile_path("%s/console", volume);
    mkdir(volume, 0755);
    unlink(console);
    if (symlink("/proc/sys/kernel/domainname", console) < 0)
        diag("symlink: %s", strerror(errno));
    box_spec *spec = hostile_spec(root, "mounts", "devpts", "--", "link", "/dev/console", "--", "terminal", NULL);
    box_error *err = NULL;
    must_set(box_spec_add_bind(spec, volume, "/dev", NULL, &err), err);
    must_set(box_spec_set_default_devices(spec, false, &err), err);
    o = run_on_terminal(spec);
    CHECK(&o, !o.started || !strstr(o.out, "/proc/sys/kernel/domainname\n") || !strstr(o.out, "mount devpts: /proc"),
          "%s: the console is not bound through a link (CVE-2025-52565)", way);
    CHECK(&o, !o.started && strstr(o.error, "console"), "%s: the start is refused, and says why", way);
    unlink(console);
    rmdir(volume);
    free(volume);
    free(console);
    free(root);
    free(secret);
}

/* ---- /proc ----------------------------------------------------------------------------------------------------------------- */

/* A volume over /proc, or over a directory of it: by name, by a link of the image's, by a descriptor. */
static void volume_over_proc(const char *root, const char *volume)
{
    static const struct {
        const char *destination, *link;
    } rows[] = {{"/proc", NULL},  {"//./proc/", NULL}, {"/proc/sys", NULL}, {"/vol", "/proc"},
                {"/vol", "proc"}, {"/vol/net", "/proc/sys"}, {"/vol", "../../proc/self"}};
    int refused = 0, by_fd = 0, fresh = 0;
    box_error *err = NULL;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (int kind = 0; kind < 3; kind++) {
            if (kind == 2 && !rows[i].link && strcmp(rows[i].destination, "/proc/sys") == 0)
                continue; /* a tmpfs that hides a part of /proc, by that name, is nobody's trick */
            link_in(root, "/vol", rows[i].link ? rows[i].link : "/tmp");
            box_spec *spec = hostile_spec(root, "ls", "/proc", NULL);
            int fd = open(volume, O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (kind == 0)
                must_set(box_spec_add_bind(spec, volume, rows[i].destination, NULL, &err), err);
            else if (kind == 1)
                must_set(box_spec_add_bind_fd(spec, fd, rows[i].destination, NULL, &err), err);
            else
                must_set(box_spec_add_tmpfs(spec, rows[i].destination, 65536, 0755, NULL, &err), err);
            struct outcome o = run(spec);
            bool good = !o.started && strstr(o.error, "/proc");
            refused += kind == 0 && good;
            by_fd += kind == 1 && good;
            fresh += kind == 2 && good;
            if (!good) {
                diag("%s, link %s, kind %d", rows[i].destination, rows[i].link ? rows[i].link : "none", kind);
                outcome_show(&o);
            }
            close(fd);
        }
    }
    is_int(refused, 7, "a volume over /proc is refused, however it comes there (CVE-2019-16884)");
    is_int(by_fd, 7, "so is one that is a descriptor");
    is_int(fresh, 6, "and a fresh file system");
    link_in(root, "/vol", "/tmp");
}

static void fake_proc(void)
{
    static const char *const directories[] = {"", "/sys", "/sys/net", "/sys/net/ipv4", "/self", "/self/attr", "/1"};
    static const char *const files[] = {"/sys/net/ipv4/ip_default_ttl", "/self/oom_score_adj", "/1/oom_score_adj", "/self/attr/exec"};
    char *root = fresh_root(), *volume = hostile_path("%s/volume", outside);
    box_error *err = NULL;

    /* A link instead of /proc: every default spec mounts procfs there. */
    link_in(root, "/proc", "/tmp");
    struct outcome o = run(hostile_spec(root, "mounts", "proc", NULL));
    CHECK(&o, !o.started && strstr(o.error, "/proc"), "%s: a /proc that is a link is refused (CVE-2019-19921, CVE-2023-27561)", way);
    link_in(root, "/proc", volume);
    o = run(hostile_spec(root, "mounts", "proc", NULL));
    CHECK(&o, !o.started, "%s: a /proc that is a link to the outside, too", way);
    ok(outside_untouched(), "%s: and nothing is made there", way);
    free(volume);
    free(root);

    /* A volume with files as procfs has them, over /proc. */
    root = fresh_root();
    volume = hostile_path("%s/volume", hostile_tmp());
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        char *path = hostile_path("%s%s", volume, directories[i]);
        mkdir(path, 0777);
        free(path);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = hostile_path("%s%s", volume, files[i]);
        hostile_write(path, "untouched");
        free(path);
    }
    box_spec *spec = hostile_spec(root, "id", NULL);
    must_set(box_spec_add_bind(spec, volume, "/proc", NULL, &err), err);
    must_set(box_spec_set_sysctl(spec, "net.ipv4.ip_default_ttl", "77", &err), err);
    must_set(box_spec_set_oom_score_adj(spec, 321, &err), err);
    o = run(spec);
    bool same = true;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *path = hostile_path("%s%s", volume, files[i]);
        same &= strcmp(hostile_read(path), "untouched") == 0;
        free(path);
    }
    CHECK(&o, same, "%s: sysctls and scores are not written into a volume (CVE-2019-16884, CVE-2025-52881)", way);

    /* Files bound over single files of procfs: the writes still reach the kernel's. */
    char *single = hostile_path("%s%s", volume, files[0]), *score = hostile_path("%s%s", volume, files[1]);
    spec = hostile_spec(root, "cat", "/proc/self/oom_score_adj", "--", "cat", "/proc/sys/net/ipv4/ip_default_ttl", NULL);
    must_set(box_spec_add_bind(spec, single, "/proc/sys/net/ipv4/ip_default_ttl", NULL, &err), err);
    must_set(box_spec_set_sysctl(spec, "net.ipv4.ip_default_ttl", "77", &err), err);
    must_set(box_spec_set_oom_score_adj(spec, 321, &err), err);
    o = run(spec);
    ok(strcmp(hostile_read(single), "untouched") == 0, "%s: nor into a file bound over one of procfs (CVE-2025-52881)", way);
    CHECK(&o, !o.started || outcome_says(&o, "cat /proc/self/oom_score_adj: [321]"), "%s: the score reaches the kernel", way);

    volume_over_proc(root, volume);

    spec = hostile_spec(root, "cat", "/proc/sys/net/ipv4/ip_default_ttl", "--", "cat", "/proc/self/oom_score_adj", NULL);
    must_set(box_spec_set_sysctl(spec, "net.ipv4.ip_default_ttl", "77", &err), err);
    must_set(box_spec_set_oom_score_adj(spec, 321, &err), err);
    o = run(spec);
    SAYS(&o, "cat /proc/sys/net/ipv4/ip_default_ttl: [77]", "an honest sysctl is set");
    free(single);
    free(score);
    free(volume);
    free(root);
}

/* ---- the way out ----------------------------------------------------------------------------------------------------------- */

static box_spec *overlay_spec(const char *root, const char *marker)
{
    box_spec *spec = box_spec_new();
    char *args[] = {(char *)"/bin/payload", (char *)"escape", (char *)marker, NULL}, *lower[] = {(char *)root, NULL};
    box_error *err = NULL;

    must_set(box_spec_set_root_overlay(spec, lower, NULL, NULL, &err), err);
    must_set(box_spec_set_args(spec, args, &err), err);
    return spec;
}

static void old_root(void)
{
    char *root = fresh_root(), *marker = hostile_path("%s/secret", outside);

    for (int kind = 0; kind < 4; kind++) {
        const char *what = kind & 1 ? "an overlay in memory" : "a directory";
        bool privileged = kind & 2;
        box_spec *spec = kind & 1 ? overlay_spec(root, marker) : hostile_spec(root, "escape", marker, NULL);
        box_error *err = NULL;
        if (privileged)
            must_set(box_spec_set_privileged(spec, &err), err);
        struct outcome o = run(spec);
        CHECK(&o, outcome_says(&o, "above: same") && outcome_says(&o, "marker: ENOENT"), "%s: '/..' of %s%s is the root", way, what,
              privileged ? ", privileged," : "");
        CHECK(&o, outcome_says(&o, "payload: OK") && outcome_says(&o, "marker from above: ENOENT"),
              "%s: a chroot below the working directory leads no higher", way);
        CHECK(&o, outcome_says(&o, "marker from below: ENOENT"), "%s: nothing lies under it", way);
    }
    free(root);
    free(marker);
}

/* ---- CVE-2021-30465: the race ------------------------------------------------------------------------------------------------ */

struct race {
    char *directory, *link;
    atomic_bool stop;
    long swaps;
};

static void *swap(void *data)
{
    struct race *r = data;

    while (!atomic_load(&r->stop)) {
        if (syscall(SYS_renameat2, AT_FDCWD, r->directory, AT_FDCWD, r->link, 2 /* RENAME_EXCHANGE */) == 0)
            r->swaps++;
    }
    return NULL;
}

static void race(void)
{
    char *root = fresh_root(), *volume = hostile_path("%s/shared", hostile_tmp());
    char *target = hostile_path("mount trap: %s", outside);
    struct race r = {.directory = hostile_path("%s/target", volume), .link = hostile_path("%s/link", volume)};
    pthread_t thread;
    int lost = 0, inside = 0, through = 0, refused = 0;
    struct timespec begin, now;

    mkdir(volume, 0777);
    rmdir(r.directory);
    unlink(r.directory);
    rmdir(r.link);
    unlink(r.link);
    mkdir(r.directory, 0777);
    if (symlink(outside, r.link) < 0 || pthread_create(&thread, NULL, swap, &r) != 0) {
        diag("cannot race: %s", strerror(errno));
        exit(99);
    }
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = 0; i < rounds; i++) {
        box_spec *spec = hostile_spec(root, "mounts", "trap", NULL);
        box_error *err = NULL;
        must_set(box_spec_add_bind(spec, volume, "/vol", NULL, &err), err);
        must_set(box_spec_add_mount(spec, "tmpfs", "trap", "/vol/target", NULL, &err), err);
        struct outcome o = run(spec);
        if (!o.started)
            refused++;
        else if (outcome_says(&o, "mount trap: /vol/target") || outcome_says(&o, "mount trap: /vol/link"))
            inside++; /* the kernel's name follows the directory that was mounted upon, whatever it is called now */
        else if (outcome_says(&o, target))
            through++;
        else {
            outcome_show(&o);
            lost++;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec > 20)
            break;
    }
    atomic_store(&r.stop, true);
    pthread_join(thread, NULL);
    diag("%ld swaps; %d on the directory, %d through the link inside the root, %d refused", r.swaps, inside, through, refused);
    ok(lost == 0, "%s: a target that is swapped for a link is never mounted upon outside (CVE-2021-30465)", way);
    ok(inside + through > 0, "%s: and the race was run", way);
    ok(outside_untouched(), "%s: the host's directory is as it was", way);
    free(r.directory);
    free(r.link);
    free(volume);
    free(target);
    free(root);
}

/* ---- without openat2 ----------------------------------------------------------------------------------------------------------- */

static void take_openat2_away(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(code) / sizeof(code[0]), code};

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 &&
        (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)) {
        diag("seccomp: %s", strerror(errno));
        exit(99);
    }
}

static void table(void)
{
    leaked_descriptors();
    linked_targets();
    linked_dev();
    masked_paths();
    terminals();
    fake_proc();
    old_root();
    race();
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    rounds = getenv("BOX_VM") ? 20 : 150;
    table();
    features = STAGE_NO_OPENAT2;
    way = "by fd";
    table();
    features = 0;
    way = "openat2 denied";
    take_openat2_away();
    ok(syscall(SYS_openat2, AT_FDCWD, "/", NULL, 0) < 0 && errno == EPERM, "openat2 is denied now");
    table();
    free(outside);
    return done_testing();
}
