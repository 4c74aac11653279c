/* guard: runs one test program, ends it at a deadline, and tells what it left running.
 *
 *     guard SECONDS PROGRAM [ARGUMENT...]
 *
 * The program gets a session of its own, no standard input, and in a chroot a root of its own (own_root.h). guard is a subreaper: a process that outlives
 * its parent, a detached container for one, becomes guard's child, so that at the end whatever is still there
 * was left behind by the test. Each such process is named in a line `not ok - left running: ...` and killed.
 *
 * Exit status: the program's own, 128 plus the signal that ended it, or 124 when the deadline passed. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "own_root.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* Fills buf with a file's text, NULs turned to spaces. */
static size_t slurp(const char *path, char *buf, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, size - 1);
    if (fd >= 0)
        close(fd);
    size_t len = n < 0 ? 0 : (size_t)n;
    for (size_t i = 0; i < len; i++)
        if (buf[i] == '\0' || buf[i] == '\n')
            buf[i] = ' ';
    buf[len] = '\0';
    return len;
}

struct process {
    pid_t parent;
    char state;
    char name[64];
};

/* The parent, state and command line of a process; the command's name alone when it has no command line. */
static int look_up(pid_t pid, struct process *p)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (slurp(path, text, sizeof text) == 0)
        return -1;
    char *open_paren = strchr(text, '('), *close_paren = strrchr(text, ')');
    int parent = 0;
    if (!open_paren || !close_paren || sscanf(close_paren + 1, " %c %d", &p->state, &parent) != 2)
        return -1;
    p->parent = parent;
    *close_paren = '\0';
    snprintf(p->name, sizeof p->name, "%.60s", open_paren + 1);
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    if (slurp(path, text, sizeof text) > 0)
        snprintf(p->name, sizeof p->name, "%.60s", text);
    return 0;
}

/* Kills every child that guard has adopted. Their own children become guard's in turn and die in the next
 * round. */
static int kill_leftovers(int report)
{
    DIR *proc = opendir("/proc");
    int found = 0;
    for (struct dirent *e; proc && (e = readdir(proc));) {
        struct process p;
        pid_t pid = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atoi(e->d_name) : 0;
        if (pid <= 0 || look_up(pid, &p) != 0 || p.parent != getpid() || p.state == 'Z')
            continue;
        found++;
        if (report)
            printf("\nnot ok - left running: %s(pid %d)\n", p.name, (int)pid);
        kill(pid, SIGKILL);
    }
    if (proc)
        closedir(proc);
    return found;
}

/* A process that was told to end may need a moment: only what is there after the grace time is reported. */
static int sweep(double grace)
{
    double start = now();
    int any_left = 0;
    for (int round = 0; round < 400; round++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            break;
        if (now() - start >= grace && kill_leftovers(1) > 0)
            any_left = 1;
        nap_ms(25);
    }
    fflush(stdout);
    return any_left;
}

static pid_t launch(char **argv)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    setsid();
    int null = open("/dev/null", O_RDONLY);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        if (null > STDIN_FILENO)
            close(null);
    }
    execvp(argv[0], argv);
    fprintf(stderr, "guard: %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

int main(int argc, char **argv)
{
    double limit = argc > 2 ? strtod(argv[1], NULL) : 0;
    if (limit <= 0) {
        fprintf(stderr, "usage: guard SECONDS PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    own_root();
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    double deadline = now() + limit;
    pid_t pid = launch(argv + 2);
    if (pid < 0) {
        perror("guard: fork");
        return 126;
    }

    int status = 0, late = 0;
    pid_t done;
    /* Orphans come to this process, and one that nobody reaps would keep its pid namespace from ending. */
    while ((done = waitpid(-1, &status, WNOHANG)) != pid) {
        if (done > 0)
            continue;
        if (done < 0 && errno != EINTR)
            break;
        if (!late && now() > deadline) {
            late = 1;
            printf("\nnot ok - still running after %g seconds\n", limit);
            fflush(stdout);
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
        }
        nap_ms(5);
    }
    sweep(late ? 0 : 2);
    if (late)
        return 124;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
