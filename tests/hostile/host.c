/* What a host program does not forgive, looked at from the program itself: its process is the same after every kind of
 * start as before, whether the start went well or not; what it has open, in memory and in its environment does not get
 * to the child; and it may be as odd as it likes (no standard streams, every descriptor without close-on-exec). What
 * the library's file shows by itself is in tests/headers/library.sh. */
#include <dirent.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "hostile.h"

/* In the host's memory and environment, and nowhere else. Made up at run time, so that no file holds it. */
static char secret[64];
static char *root;

/* ---- the process before and after ------------------------------------------------------------------------------------ */

struct portrait {
    char text[65536];
};

static void add_text(struct portrait *p, const char *fmt, ...)
{
    size_t at = strlen(p->text);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->text + at, sizeof(p->text) - at, fmt, ap);
    va_end(ap);
}

static void add_status(struct portrait *p)
{
    static const char *const fields[] = {"Umask:", "Uid:",    "Gid:",    "Groups:", "SigBlk:", "SigIgn:",     "SigCgt:",
                                         "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "Threads:"};
    char line[512];
    FILE *f = fopen("/proc/thread-self/status", "re");

    while (f && fgets(line, sizeof(line), f))
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            if (strncmp(line, fields[i], strlen(fields[i])) == 0)
                add_text(p, "%s", line);
    if (f)
        fclose(f);
}

static void add_links(struct portrait *p, const char *directory)
{
    char link[512];
    DIR *d = opendir(directory);

    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || (strstr(directory, "fd") && atoi(e->d_name) == dirfd(d)))
            continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
        link[n < 0 ? 0 : n] = '\0';
        add_text(p, "%s %s %s\n", directory, e->d_name, link);
    }
    if (d)
        closedir(d);
}

static void take_portrait(struct portrait *p)
{
    extern char **environ;
    struct rlimit limit;
    struct sigaction action;
    char cwd[PATH_MAX] = "";

    p->text[0] = '\0';
    add_text(p, "cwd %s\ndumpable %d\nsubreaper ", getcwd(cwd, sizeof(cwd)), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    int subreaper = 0, death = 0;
    prctl(PR_GET_CHILD_SUBREAPER, &subreaper, 0, 0, 0);
    prctl(PR_GET_PDEATHSIG, &death, 0, 0, 0);
    add_text(p, "%d\ndeath signal %d\nsession %d group %d nice %d\n", subreaper, death, (int)getsid(0), (int)getpgrp(),
             getpriority(PRIO_PROCESS, 0));
    for (char **e = environ; *e; e++)
        add_text(p, "env %p %s\n", (void *)*e, *e);
    for (int i = 0; i < (int)RLIM_NLIMITS; i++)
        if (getrlimit((__rlimit_resource_t)i, &limit) == 0)
            add_text(p, "limit %d %llu %llu\n", i, (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    for (int i = 1; i < NSIG; i++)
        if (sigaction(i, NULL, &action) == 0)
            add_text(p, "signal %d %p %x\n", i, (void *)(uintptr_t)action.sa_handler, (unsigned)action.sa_flags);
    add_status(p);
    add_links(p, "/proc/self/fd");
    add_links(p, "/proc/thread-self/ns");
    add_text(p, "%s", hostile_read("/proc/thread-self/cgroup"));
    add_text(p, "oom %s", hostile_read("/proc/self/oom_score_adj"));
    add_text(p, "children [%s]\n", hostile_read("/proc/thread-self/children"));
}

static bool same_portrait(const struct portrait *before, const struct portrait *after, const char *when)
{
    const char *a = before->text, *b = after->text;

    if (strcmp(a, b) == 0)
        return true;
    while (*a && *a == *b)
        a++, b++;
    while (a > before->text && a[-1] != '\n')
        a--, b--;
    diag("%s, before: %.*s", when, (int)strcspn(a, "\n"), a);
    diag("%s, after:  %.*s", when, (int)strcspn(b, "\n"), b);
    return false;
}

static void untouched(void)
{
    static struct portrait before, after;
    char *store_path = hostile_path("%s/store", hostile_tmp()), *run_path = hostile_path("%s/run", hostile_tmp());
    static const char *const names[] = {"a start",       "a start with an init", "a program that is not there", "a mount that fails",
                                        "a privileged start", "a container's life", "a container's life, detached", "a pty"};
    int same = 0, kinds = (int)(sizeof(names) / sizeof(names[0]));

    for (int kind = -1; kind < kinds; kind++) { /* the first opens what is opened once */
        box_spec *spec = hostile_spec(root, "id", NULL);
        box_error *err = NULL;
        take_portrait(&before);
        if (kind == 1)
            must(box_spec_set_init(spec, true, &err), err, "ask for an init");
        if (kind == 2) {
            char *args[] = {(char *)"/not/there", NULL};
            must(box_spec_set_args(spec, args, &err), err, "set the arguments");
        }
        if (kind == 3)
            must(box_spec_add_bind(spec, "/not/there", "/vol", NULL, &err), err, "add a mount");
        if (kind == 4)
            must(box_spec_set_privileged(spec, &err), err, "give all rights");
        if (kind >= 5) {
            box_store *store = NULL;
            box_container *c = NULL;
            box_stdio *io = box_stdio_new();
            must(box_store_open(store_path, run_path, 0, &store, &err), err, "open a store");
            must(box_container_create(store, NULL, NULL, spec, 0, &c, &err), err, "make a container");
            if (kind == 7)
                must(box_stdio_set_pty(io, 24, 80, &err), err, "ask for a pty");
            must(kind == 6 ? box_container_start_detached(c, &err) : box_container_start(c, io, &err), err, "start it");
            must(box_container_wait(c, 20000, &err), err, "wait for it");
            must(box_container_remove(c, 0, &err), err, "remove it");
            box_container_free(c);
            box_store_free(store);
            box_stdio_free(io);
            box_spec_free(spec);
        } else {
            hostile_run(spec);
        }
        take_portrait(&after);
        if (kind >= 0)
            same += same_portrait(&before, &after, names[kind]);
    }
    is_int(same, kinds, "the host is the same after each kind of start: directory, mask, environment, signals, descriptors, children …");
    free(store_path);
    free(run_path);
}

/* ---- what gets to the child ------------------------------------------------------------------------------------------- */

/* Whether a process has the secret anywhere in its memory. */
static bool knows(int pid, size_t *looked_at)
{
    char *maps = hostile_path("/proc/%d/maps", pid), *mem = hostile_path("/proc/%d/mem", pid), line[512];
    FILE *f = fopen(maps, "re");
    int fd = open(mem, O_RDONLY | O_CLOEXEC);
    bool found = false;

    *looked_at = 0;
    while (f && fd >= 0 && fgets(line, sizeof(line), f)) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx r", &from, &to) != 2 || to - from > (64ul << 20))
            continue;
        char *copy = malloc(to - from);
        ssize_t n = copy ? pread(fd, copy, to - from, (off_t)from) : -1;
        if (n > 0) {
            *looked_at += (size_t)n;
            found |= memmem(copy, (size_t)n, secret, strlen(secret)) != NULL;
        }
        free(copy);
    }
    if (f)
        fclose(f);
    if (fd >= 0)
        close(fd);
    free(maps);
    free(mem);
    return found;
}

static void nothing_gets_through(void)
{
    box_spec *spec = hostile_spec(root, "sleep", NULL);
    box_process *process = NULL;
    box_error *err = NULL;
    size_t seen = 0;

    setenv("LIBBOX_TEST_SECRET", secret, 1);
    char *heap = strdup(secret);
    ok(knows(getpid(), &seen), "the host itself knows its secret");
    struct outcome o = hostile_run(hostile_spec(root, "cat", "/proc/self/environ", "--", "fds", NULL));
    CHECK(&o, o.started && !strstr(o.out, secret), "the child has nothing of the host's environment");
    must(box_spec_set_init(spec, true, &err), err, "ask for an init");
    must(box_launch(spec, NULL, &process, &err), err, "start a container with an init");
    bool found = knows(box_process_pid(process), &seen);
    ok(!found && seen > 4096, "the init has not a byte of the host's memory (%zu bytes looked at)", seen);
    box_process_free(process);
    process = NULL;
    must(box_spec_set_init(spec, false, &err), err, "no init");
    must(box_launch(spec, NULL, &process, &err), err, "start a container");
    found = knows(box_process_pid(process), &seen);
    ok(!found && seen > 4096, "nor has the payload (%zu bytes looked at)", seen);
    box_process_free(process);
    box_spec_free(spec);
    unsetenv("LIBBOX_TEST_SECRET");
    free(heap);
}

/* ---- odd hosts --------------------------------------------------------------------------------------------------------- */

static int in_odd_host(int kind)
{
    char *file = hostile_path("%s/out%d", hostile_tmp(), kind);
    box_spec *spec = hostile_spec(root, "fds", NULL);
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;
    box_error *err = NULL;
    int r = 1;

    if (kind == 1) /* without one of the three */
        close(0);
    if (kind == 2)
        for (int fd = 0; fd < 3; fd++)
            close(fd);
    for (int i = 0; kind == 3 && i < 200; i++) /* careless: no close-on-exec */
        if (dup(0) < 0)
            break;
    box_stdio_set_file(io, 1, file, &err);
    if (!err && box_launch(spec, io, &process, &err) >= 0 && box_process_wait_or_kill(process, 20000, &err) >= 0)
        r = box_process_ending(process)->kind == BOX_ENDING_EXIT ? box_process_ending(process)->code : 2;
    box_process_free(process);
    const char *out = hostile_read(file);
    int n = 0;
    for (const char *at = out; (at = strstr(at, "fd ")); at += 3)
        n++;
    return r ? r : n == 3 ? 0 : 10 + n;
}

static void odd_hosts(void)
{
    static const char *const names[] = {"an ordinary host", "a host without standard input", "a host without standard streams",
                                        "a host with 200 descriptors that are not close-on-exec"};

    for (int kind = 0; kind < 4; kind++) {
        int status = -1;
        pid_t pid = fork();
        if (pid == 0)
            _exit(in_odd_host(kind));
        waitpid(pid, &status, 0);
        ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: the payload runs, and has descriptors 0 to 2 and no other (%x)", names[kind],
           (unsigned)status);
    }
}

int main(void)
{
    if (geteuid() != 0)
        skip_all("needs root");
    root = hostile_root("host");
    for (int i = 0; i < 40; i++)
        secret[i] = (char)('a' + (getpid() * 31 + i * i * 7 + i) % 26);
    untouched();
    nothing_gets_through();
    odd_hosts();
    free(root);
    return done_testing();
}
