/* Memory: what a detached container costs beside its own process, as the kernel shares it out (PSS, smaps_rollup).
 *
 * A container is started detached from a program that then does nothing more for it; what is left of libbox is the
 * monitor, the parent of the container's first process. conmon is started as Podman starts it, with runc. */
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libbox/box.h>

/* The number that follows a key in a file of /proc; -1: not there. */
static long read_number(const char *path, const char *key)
{
    char line[256];
    long value = -1;
    FILE *f = fopen(path, "re");

    while (f && value < 0 && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtol(line + strlen(key), NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static long pss_of(long pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/smaps_rollup", pid);
    return read_number(path, "Pss:");
}

static long parent_of(long pid)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%ld/status", pid);
    return read_number(path, "PPid:");
}

static long of_libbox(box_store *store, const box_spec *spec, char why[BENCH_TEXT])
{
    box_container *c = NULL;
    box_error *err = NULL;
    long pss = -1;
    int r = box_container_create(store, NULL, NULL, spec, BOX_CONTAINER_AUTO_REMOVE, &c, &err);

    if (r >= 0)
        r = box_container_start_detached(c, &err);
    if (r >= 0)
        pss = pss_of(parent_of(box_container_pid(c)));
    if (r >= 0 && pss < 0)
        snprintf(why, BENCH_TEXT, "the monitor cannot be read");
    if (r < 0)
        snprintf(why, BENCH_TEXT, "%s", box_error_message(err));
    if (c)
        box_container_remove(c, BOX_CONTAINER_FORCE, NULL);
    box_container_free(c);
    box_error_free(err);
    return pss;
}

/* Runs a command, quiet, for at most ten seconds. */
static int run(const char *const argv[])
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        for (int i = 0; i < 3; i++)
            dup2(null, i);
        alarm(10);
        execvp(argv[0], (char *const *)argv);
        _exit(errno == ENOENT ? 126 : 127);
    }
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    return pid < 0 ? -1 : status;
}

static long of_conmon(const char *dir, const char *bundle, char why[BENCH_TEXT])
{
    static const char *const which[] = {"runc", "/usr/sbin/runc", "/usr/bin/runc"};
    char state[BENCH_TEXT], pid_file[BENCH_TEXT], own_file[BENCH_TEXT], log[BENCH_TEXT];
    const char *runc = NULL;
    long pss = -1;

    for (size_t i = 1; i < 3 && !runc; i++)
        runc = access(which[i], X_OK) == 0 ? which[i] : NULL;
    if (!runc) {
        snprintf(why, BENCH_TEXT, "runc is not installed");
        return -1;
    }
    snprintf(state, sizeof(state), "%.200s/conmon-runc", dir);
    snprintf(pid_file, sizeof(pid_file), "%.200s/conmon-payload", dir);
    snprintf(own_file, sizeof(own_file), "%.200s/conmon-pid", dir);
    snprintf(log, sizeof(log), "k8s-file:%.200s/conmon-log", dir);
    const char *const conmon[] = {"conmon", "--api-version", "1", "-c", "libbox-bench", "-u", "libbox-bench", "-r", runc,
                                  "-b", bundle, "-p", pid_file, "-P", own_file, "-l", log, "--runtime-arg", "--root",
                                  "--runtime-arg", state, "--exit-dir", dir, "--socket-dir-path", dir, NULL};
    const char *const start[] = {runc, "--root", state, "start", "libbox-bench", NULL};
    const char *const end[] = {runc, "--root", state, "delete", "-f", "libbox-bench", NULL};
    int status = run(conmon);

    if (status == 126 << 8)
        snprintf(why, BENCH_TEXT, "conmon is not installed");
    else if (status != 0)
        snprintf(why, BENCH_TEXT, "conmon: wait status 0x%x", (unsigned)status);
    for (int i = 0; status == 0 && i < 200 && access(pid_file, F_OK) < 0; i++)
        usleep(20000); /* runc is at it */
    if (status == 0 && run(start) == 0)
        pss = pss_of(read_number(own_file, ""));
    else if (status == 0)
        snprintf(why, BENCH_TEXT, "runc start failed");
    if (status == 0)
        run(end);
    return pss;
}

void bench_monitor(struct output *out, box_store *store, const box_spec *spec, const char *dir, const char *bundle)
{
    static const char name[] = "a detached container's monitor, PSS";
    char why[BENCH_TEXT] = "";
    long ours = of_libbox(store, spec, why), peer = ours < 0 ? -1 : of_conmon(dir, bundle, why);

    if (ours < 0) {
        bench_skip(name, "bar", why);
        return;
    }
    bench_report(out, name, "bar", &(struct result){(double)ours, 300, (double)ours / 300, (double)ours / 300, "kB", 1});
    if (peer < 0)
        bench_skip(name, "conmon", why);
    else
        bench_report(out, name, "conmon", &(struct result){(double)ours, (double)peer, (double)ours / (double)peer,
                                                           (double)ours / (double)peer, "kB", 1});
}
