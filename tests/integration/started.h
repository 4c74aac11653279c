/* A root file system of busybox, and starts of shell commands in it whose output and ending are kept. For the tests that
 * use the launch by its public header. */
#ifndef TESTS_INTEGRATION_STARTED_H
#define TESTS_INTEGRATION_STARTED_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/box.h>
#include "tap.h"

static char root_dir[512];

static bool copy_file(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY | O_CLOEXEC), out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    ssize_t n = 0;

    while (out >= 0 && (n = read(in, buffer, sizeof(buffer))) > 0)
        if (write(out, buffer, (size_t)n) != n)
            return false;
    close(in);
    close(out);
    return out >= 0 && n == 0;
}

/* A root file system of busybox and a few directories. */
static bool make_root(void)
{
    static const char *const places[] = {"/bin/busybox", "/usr/bin/busybox"};
    static const char *const applets[] = {"sh", "cat", "id", "ls", "ps", "touch", "sleep", "echo", "hostname", "tty", "stty",
                                          "grep", "mount", "head", "true", "mkdir", "chmod", "sync",
                                          "stat", "df", "readlink", "ionice"};
    static const char *const dirs[] = {"", "/bin", "/etc", "/proc", "/sys", "/dev", "/tmp", "/data"};
    const char *scratch = getenv("BOX_TMP");
    char path[600];

    snprintf(root_dir, sizeof(root_dir), "%s/root", scratch ? scratch : "/tmp");
    for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
        snprintf(path, sizeof(path), "%s%s", root_dir, dirs[i]);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            return false;
    }
    snprintf(path, sizeof(path), "%s/bin/busybox", root_dir);
    if (!copy_file(places[0], path) && !copy_file(places[1], path))
        return false;
    for (size_t i = 0; i < sizeof(applets) / sizeof(*applets); i++) {
        snprintf(path, sizeof(path), "%s/bin/%s", root_dir, applets[i]);
        if (symlink("busybox", path) < 0 && errno != EEXIST)
            return false;
    }
    snprintf(path, sizeof(path), "%s/etc/passwd", root_dir);
    FILE *f = fopen(path, "we");
    if (!f)
        return false;
    fputs("root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv/web:/bin/sh\n", f);
    return fclose(f) == 0;
}

/* ---- a start, and what it said ----------------------------------------------------------------------------------------- */

struct outcome {
    int code;          /* of the start, or 0 */
    char output[8192]; /* what came out of it */
    char error[1024];
    box_ending ending;
    char text[160], syscall_name[64];
    uint32_t applied;
};

static void read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    ssize_t got;

    while (n + 1 < size && (got = read(fd, out + n, size - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
}

__attribute__((unused)) static struct outcome finish(box_process *process, int fd)
{
    struct outcome o = {0};
    box_error *err = NULL;

    read_all(fd, o.output, sizeof(o.output));
    o.code = box_process_wait(process, 20000, &err);
    o.ending = *box_process_ending(process);
    snprintf(o.text, sizeof(o.text), "%s", o.ending.text ? o.ending.text : "");
    snprintf(o.syscall_name, sizeof(o.syscall_name), "%s", o.ending.syscall_name ? o.ending.syscall_name : "");
    o.applied = box_process_applied(process);
    box_process_free(process);
    box_error_free(err);
    return o;
}

/* Runs a shell command with its output in a pipe. */
__attribute__((unused)) static struct outcome run_shell(box_spec *spec, const char *command)
{
    char *const args[] = {"/bin/sh", "-c", (char *)(uintptr_t)command, NULL};
    struct outcome o = {0};
    box_error *err = NULL;
    box_process *process = NULL;
    box_stdio *io = box_stdio_new();

    box_spec_set_args(spec, args, NULL);
    box_stdio_set_pipe(io, 1, NULL);
    o.code = box_launch(spec, io, &process, &err);
    box_stdio_free(io);
    if (o.code < 0) {
        snprintf(o.error, sizeof(o.error), "%s", box_error_message(err));
        diag("%s", o.error);
        box_error_free(err);
        return o;
    }
    return finish(process, box_process_stream_fd(process, 1));
}

__attribute__((unused)) static box_spec *new_spec(void)
{
    box_spec *spec = box_spec_new();

    box_spec_set_root(spec, root_dir, NULL);
    return spec;
}

__attribute__((unused)) static bool has(const struct outcome *o, const char *text)
{
    bool found = strstr(o->output, text) != NULL;

    if (!found)
        diag("output: %s %s", o->output, o->error);
    return found;
}

#endif
