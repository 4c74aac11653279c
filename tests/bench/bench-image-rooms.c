/* Runs, each in a process of its own, in a directory of its own, none of which is deleted before the last run of all. */
#include "bench-image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROOM_BYTES (380ull << 20) /* some hold the image's files and its blobs, others the files alone */
#define PROBES     400

/* ---- The disk ---- */

/* What it takes to make a file now, in microseconds. */
static double probe(void)
{
    char path[400];
    int64_t begun = bench_now();

    snprintf(path, sizeof(path), "%.300s/probe", image_settings.dir);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        image_die(path);
    for (unsigned i = 0; i < PROBES; i++) {
        snprintf(path, sizeof(path), "%.300s/probe/%u", image_settings.dir, i);
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            image_die(path);
        close(fd);
    }
    return (double)(bench_now() - begun) / 1e3 / PROBES;
}

void image_check_disk(unsigned rooms)
{
    struct statvfs st;
    uint64_t need = (rooms + 2) * ROOM_BYTES, left;

    if (statvfs(image_settings.dir, &st) < 0)
        image_die(image_settings.dir);
    left = (uint64_t)st.f_bavail * st.f_frsize;
    if (left < need) {
        fprintf(stderr,
                "bench-image: %s has %.1f GB free, and %.1f are needed, as no run may delete what another one made: "
                "set TMPDIR to a larger disk, or take fewer --runs or rows\n",
                image_settings.dir, (double)left / 1e9, (double)need / 1e9);
        exit(1);
    }
    double each = probe();
    printf("images: up to %.1f GB in %s, removed at the end; a file takes %.0f us to make there%s\n",
           (double)need / 1e9, image_settings.dir, each,
           each < 150 ? ""
                      : ", which is slow. If many were deleted there in the last minutes (ext4 then passes over their "
                        "inodes each time), wait six minutes for figures that mean something");
    fflush(stdout);
}

/* ---- One run ---- */

static void settle(void)
{
    int fd = open(image_settings.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    syncfs(fd);
    close(fd);
}

static void put_env(const char *name, const char *value)
{
    if (setenv(name, value ? value : "", 1) < 0)
        _exit(1);
}

/* In the child. */
static void be_quiet(void)
{
    char log[400];

    snprintf(log, sizeof(log), "%.300s/log", image_settings.dir);
    int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(in, 0);
    dup2(fd, 1);
    dup2(fd, 2);
}

static void exec_shell(const char *command, const char *room, const char *run, const char *out)
{
    char layer[400];

    be_quiet();
    put_env("ROOM", room);
    put_env("RUN", run);
    put_env("OUT", out);
    put_env("IMAGE", image_settings.image);
    put_env("REGISTRY", image_settings.registry);
    put_env("TARGET", image_settings.target);
    put_env("BOX", image_settings.box);
    put_env("DIR", image_settings.dir);
    put_env("CONFIG", image_settings.config);
    put_env("LAYER", image_blob(image_settings.layers[0], layer));
    execl("/bin/sh", "sh", "-euc", command, (char *)NULL);
    _exit(127);
}

/* The last line that a run wrote. */
static const char *last_line(char text[BENCH_TEXT])
{
    char path[400];
    snprintf(path, sizeof(path), "%.300s/log", image_settings.dir);
    FILE *f = fopen(path, "re");

    text[0] = 0;
    for (char line[BENCH_TEXT]; f && fgets(line, sizeof(line), f);)
        if (line[0] != '\n')
            memcpy(text, line, sizeof(line));
    if (f)
        fclose(f);
    return text;
}

static double seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

/* Nanoseconds, or -1 with s->why. */
static int64_t run_child(struct subject *s, int (*work)(const char *, const char *), const char *command,
                         const char *room, const char *run, struct rusage *usage)
{
    char out[400], text[BENCH_TEXT];
    int status = 0;

    snprintf(out, sizeof(out), "%.300s/out-%.80s", image_settings.dir, run);
    int64_t begun = bench_now();
    pid_t pid = fork();
    if (pid == 0 && !command) {
        be_quiet();
        put_env("OUT", out);
        _exit(work(room, run));
    }
    if (pid == 0)
        exec_shell(command, room, run, out);
    if (pid < 0 || wait4(pid, &status, 0, usage) < 0 || status != 0)
        return bench_fail(s, "it ended with status %x: %.200s", (unsigned)status, last_line(text));
    return bench_now() - begun;
}

static int check_pushed(struct subject *s, const struct image_task *task, const char *run)
{
    char path[300], text[8192];
    int status = 0;

    snprintf(path, sizeof(path), "/v2/%s-%s/manifests/1", task->pushes, run);
    http_get(image_settings.target, path, text, sizeof(text), &status);
    return status == 200 ? 0 : (int)bench_fail(s, "the registry does not have what was pushed");
}

int64_t image_run(struct subject *s)
{
    struct image_task *task = s->data;
    struct image_rooms *rooms = task->rooms;
    static unsigned number;
    char room[400], run[32], out[400];
    struct rusage usage;

    unsigned index = task->makes ? rooms->made : rooms->used++ % (rooms->made ? rooms->made : 1);
    snprintf(run, sizeof(run), "%d-%u", (int)getpid(), ++number); /* also new to a registry that was pushed to before */
    snprintf(room, sizeof(room), "%.300s/%s-%u", image_settings.dir, rooms->name, index);
    if (task->makes && mkdir(room, 0700) < 0)
        return bench_fail(s, "%s: %s", room, strerror(errno));
    if (task->before && run_child(s, NULL, task->before, room, run, &usage) < 0)
        return -1;
    settle();
    int64_t took = run_child(s, task->work, task->command, room, run, &usage);
    if (took < 0) {
        snprintf(out, sizeof(out), "%.300s/failed-%s", image_settings.dir, run);
        if (task->makes)
            rename(room, out);
        return took;
    }
    rooms->made += task->makes;
    double used = seconds(usage.ru_utime) + seconds(usage.ru_stime);
    if (task->cpu <= 0 || used < task->cpu)
        task->cpu = used;
    if (usage.ru_maxrss > task->peak)
        task->peak = usage.ru_maxrss;
    snprintf(out, sizeof(out), "%.300s/out-%s", image_settings.dir, run);
    if (unlink(out) < 0 && errno != ENOENT)
        return bench_fail(s, "%s: %s", out, strerror(errno));
    return task->pushes && check_pushed(s, task, run) < 0 ? -1 : took;
}

int image_fill(struct image_rooms *rooms, unsigned count, struct subject *s)
{
    struct subject filling = {.data = rooms->maker};

    while (rooms->made < count)
        if (image_run(&filling) < 0)
            return (int)bench_fail(s, "%s", filling.why);
    return 0;
}
