/* What a host program has, counted before and after: a library that leaves nothing behind changes none of it.
 */
#ifndef TESTS_CENSUS_H
#define TESTS_CENSUS_H

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <libbox/box.h>
#include <libbox/container.h>
#include <libbox/launch.h>

#include "allocations.h"
#include "tap.h"

struct census {
    long fds, children, mounts, threads, bytes, blocks, cgroups;
};

/* The scene of a test: a store, a root with the payload in it, and a name for its cgroups. */
struct scene {
    char store[PATH_MAX / 4], run[PATH_MAX / 4], root[PATH_MAX / 4], cgroup[64];
};

static long count_entries(const char *path)
{
    long n = 0;
    DIR *dir = opendir(path);

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static long count_lines(const char *path)
{
    long n = 0;
    FILE *f = fopen(path, "re");

    for (int c; f && (c = getc(f)) != EOF;)
        n += c == '\n';
    if (f)
        fclose(f);
    return n;
}

/* Children of every thread, zombies too. */
static long count_children(void)
{
    long n = 0;
    DIR *dir = opendir("/proc/self/task");

    for (struct dirent *d; dir && (d = readdir(dir));) {
        char path[PATH_MAX];
        int pid;
        snprintf(path, sizeof(path), "/proc/self/task/%s/children", d->d_name);
        FILE *f = d->d_name[0] == '.' ? NULL : fopen(path, "re");
        while (f && fscanf(f, "%d", &pid) == 1)
            n++;
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
    return n;
}

static long count_below(const char *path)
{
    long n = 0;
    DIR *dir = opendir(path);

    for (struct dirent *d; dir && (d = readdir(dir));)
        n += d->d_type == DT_DIR && d->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

/* Cgroups below the scene's own one, in every hierarchy that is mounted. */
static long count_cgroups(const struct scene *scene)
{
    char path[PATH_MAX];
    long n = 0;
    DIR *dir = opendir("/sys/fs/cgroup");

    snprintf(path, sizeof(path), "/sys/fs/cgroup%s", scene->cgroup);
    n += count_below(path);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s", d->d_name, scene->cgroup);
        n += d->d_name[0] == '.' ? 0 : count_below(path);
    }
    if (dir)
        closedir(dir);
    return n;
}

static struct census take_census(const struct scene *scene)
{
    struct census c = {.fds = count_entries("/proc/self/fd"),
                       .children = count_children(),
                       .mounts = count_lines("/proc/self/mountinfo"),
                       .threads = count_entries("/proc/self/task"),
                       .cgroups = count_cgroups(scene)};

    c.bytes = live_bytes;
    c.blocks = live_blocks;
    return c;
}

/* Whether nothing is there that was not before; says what. */
__attribute__((unused)) static bool same_census(const struct census *a, const struct census *b,
                                                const char *when)
{
    const struct {
        const char *name;
        long before, after;
    } counts[] = {{"file descriptors", a->fds, b->fds}, {"children", a->children, b->children},
                  {"mounts", a->mounts, b->mounts},     {"threads", a->threads, b->threads},
                  {"bytes", a->bytes, b->bytes},        {"blocks of memory", a->blocks, b->blocks},
                  {"cgroups", a->cgroups, b->cgroups}};
    bool same = true;

    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        if (counts[i].after > counts[i].before) {
            diag("%s: %ld %s before, %ld after", when, counts[i].before, counts[i].name, counts[i].after);
            same = false;
        }
    return same;
}

__attribute__((unused)) static void compare_census(const struct census *a, const struct census *b)
{
    ok(b->fds == a->fds, "no file descriptor more than before (%ld, %ld)", a->fds, b->fds);
    ok(b->children == a->children, "no child more than before (%ld, %ld)", a->children, b->children);
    ok(b->mounts == a->mounts, "no mount more than before (%ld, %ld)", a->mounts, b->mounts);
    ok(b->threads == a->threads, "no thread more than before (%ld, %ld)", a->threads, b->threads);
    ok(b->cgroups == a->cgroups, "no cgroup more than before (%ld, %ld)", a->cgroups, b->cgroups);
    if (HAVE_ALLOCATIONS)
        ok(b->bytes <= a->bytes, "no byte more than before (%ld, %ld in %ld, %ld blocks)", a->bytes, b->bytes,
           a->blocks, b->blocks);
    else
        skip("memory is not counted in this build");
}

/* ---- the scene
 * ----------------------------------------------------------------------------------------------------- */

static bool copy_file(const char *from, const char *to)
{
    char buffer[65536];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    bool good = in && out;

    for (size_t n; good && (n = fread(buffer, 1, sizeof(buffer), in)) > 0;)
        good = fwrite(buffer, 1, n, out) == n;
    if (in)
        fclose(in);
    if (out && fclose(out) != 0)
        good = false;
    return good && chmod(to, 0755) == 0;
}

/* In BOX_TMP, or a directory of its own below /tmp. */
__attribute__((unused)) static void make_scene(struct scene *scene)
{
    static const char *const below[] = {"", "/proc", "/dev", "/sys", "/tmp", "/etc"};
    const char *build = getenv("BOX_BUILD"), *tmp = getenv("BOX_TMP");
    char made[] = "/tmp/libbox-threaded-XXXXXX", path[PATH_MAX], payload[PATH_MAX];

    if (geteuid() != 0)
        skip_all("needs root");
    if (!build)
        skip_all("BOX_BUILD is not set: see tests/README.md");
    if (!tmp)
        tmp = mkdtemp(made);
    if (!tmp || strlen(tmp) > sizeof(scene->store) - 32)
        skip_all("no scratch directory");
    snprintf(scene->store, sizeof(scene->store), "%s/store", tmp);
    snprintf(scene->run, sizeof(scene->run), "%s/run", tmp);
    snprintf(scene->root, sizeof(scene->root), "%s/root", tmp);
    snprintf(scene->cgroup, sizeof(scene->cgroup), "/libbox-test-%d", (int)getpid());
    for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
        snprintf(path, sizeof(path), "%s%s", scene->root, below[i]);
        mkdir(path, 0755);
    }
    snprintf(payload, sizeof(payload), "%s/tests/threaded/helper-payload", build);
    snprintf(path, sizeof(path), "%s/payload", scene->root);
    if (!copy_file(payload, path))
        skip_all("no payload");
}

/* Removes the scene's own cgroup, where it was made. */
__attribute__((unused)) static void end_scene(const struct scene *scene)
{
    char path[PATH_MAX];
    DIR *dir = opendir("/sys/fs/cgroup");

    snprintf(path, sizeof(path), "/sys/fs/cgroup%s", scene->cgroup);
    rmdir(path);
    for (struct dirent *d; dir && (d = readdir(dir));) {
        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s", d->d_name, scene->cgroup);
        if (d->d_name[0] != '.')
            rmdir(path);
    }
    if (dir)
        closedir(dir);
}

/* A small container, so that a thousand of them do not take long: a root, four namespaces, /proc, /dev, a
 * cgroup.
 */
__attribute__((unused)) static int small_spec(const struct scene *scene, const char *name, const char *word,
                                              box_spec **out, box_error **err)
{
    char *args[] = {"/payload", (char *)word, NULL};
    char cgroup[128];
    box_spec *spec = box_spec_new_empty();
    int r = spec ? 0 : BOX_ENOMEM;

    if (r >= 0)
        r = box_spec_set_root(spec, scene->root, err);
    if (r >= 0)
        r = box_spec_set_args(spec, args, err);
    static const enum box_spec_namespace kinds[] = {BOX_SPEC_MOUNT_NAMESPACE, BOX_SPEC_PID_NAMESPACE,
                                                    BOX_SPEC_UTS_NAMESPACE, BOX_SPEC_IPC_NAMESPACE};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && r >= 0; i++)
        r = box_spec_add_namespace(spec, kinds[i], err);
    if (r >= 0)
        r = box_spec_add_mount(spec, "proc", "proc", "/proc", "nosuid,nodev,noexec", err);
    if (r >= 0)
        r = box_spec_add_tmpfs(spec, "/dev", 65536, 0755, "nosuid", err);
    if (r >= 0 && name) {
        /* Each has one of its own, also when a container of this name was there before. */
        static unsigned made;
        snprintf(cgroup, sizeof(cgroup), "%s/%s.%d.%u", scene->cgroup, name, (int)getpid(), __atomic_add_fetch(&made, 1, __ATOMIC_RELAXED));
        r = box_spec_set_cgroup(spec, cgroup, err);
    }
    if (r < 0) {
        box_spec_free(spec);
        return r;
    }
    *out = spec;
    return 0;
}

/* For a failure that a test does not expect: says it and frees the error. */
__attribute__((unused)) static int complain(const char *what, int r, box_error **err)
{
    diag("%s: %d: %s", what, r, *err ? box_error_message(*err) : "no error object");
    box_error_free(*err);
    *err = NULL;
    return r;
}

__attribute__((unused)) static void pause_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};

    nanosleep(&t, NULL);
}

#endif
