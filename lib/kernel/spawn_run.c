/* Running a program to its end: input, output with a limit, a deadline. Interface: kernel/spawn.h.
 *
 * Input is a sealed memory file and not a pipe: a program that does not read it cannot make the host's write
 * block or raise SIGPIPE in it. The end is when the program has ended, not when its output is at an end,
 * since a process that it left behind may hold the pipe open for ever. */
#include "kernel/spawn.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"
#include "base/clock.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif
#define CHUNK     ((size_t)16 * 1024)
#define DRAIN_MAX 64 /* reads after the end: more than a pipe holds */

struct capture {
    int fd; /* -1: at its end, or not captured */
    char *data;
    size_t n, room, limit;
    bool cut;
};

static void capture_clear(struct capture *c)
{
    box_cleanup_close(&c->fd);
    free(c->data);
}
#define _cleanup_capture_ __attribute__((cleanup(capture_clear)))

static int make_input(const struct box_spawn_io *io, int *fd, box_error **err)
{
    _close_ int m = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (m < 0 && errno == EINVAL)
        m = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (m < 0)
        return box_fail_sys(err, "memfd_create", NULL, "prepare a program's input");
    for (size_t at = 0; at < io->n_input;) {
        ssize_t n = pwrite(m, (const char *)io->input + at, io->n_input - at, (off_t)at);
        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "pwrite", NULL, "prepare a program's input");
        at += n > 0 ? (size_t)n : 0;
    }
    fcntl(m, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
    *fd = box_take_fd(&m);
    return 0;
}

static int make_pipe(struct capture *c, size_t limit, int *write_end, box_error **err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return box_fail_sys(err, "pipe2", NULL, "read a program's output");
    *write_end = ends[1];
    *c = (struct capture){.fd = ends[0], .limit = limit};
    /* Only our end: the two ends are two open files, and the program's should block. */
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0)
        return box_fail_sys(err, "fcntl", NULL, "read a program's output");
    return 0;
}

static int keep(struct capture *c, const char *bytes, size_t n, box_error **err)
{
    size_t take = n < c->limit - c->n ? n : c->limit - c->n;

    c->cut |= take < n;
    if (c->n + take + 1 > c->room) {
        size_t room = (c->n + take + 1) * 2;
        char *grown = realloc(c->data, room);

        if (!grown)
            return box_fail_nomem(err);
        c->data = grown;
        c->room = room;
    }
    memcpy(c->data + c->n, bytes, take);
    c->n += take;
    c->data[c->n] = '\0';
    return 0;
}

/* 1: something was read; 0: nothing there now, or its end. */
static int read_some(struct capture *c, box_error **err)
{
    char chunk[CHUNK];
    ssize_t n;

    if (c->fd < 0)
        return 0;
    do
        n = read(c->fd, chunk, sizeof(chunk));
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        close(box_take_fd(&c->fd));
        return 0;
    }
    int r = keep(c, chunk, (size_t)n, err);
    return r < 0 ? r : 1;
}

static int drain(struct capture *c, box_error **err)
{
    int r = 1;

    for (int i = 0; i < DRAIN_MAX && r > 0; i++)
        r = read_some(c, err);
    return r < 0 ? r : keep(c, "", 0, err);
}

static int pump(struct box_child *child, const struct box_spawn_io *io, struct capture *out,
                struct capture *error, box_error **err)
{
    struct box_deadline deadline = box_deadline_in_ms(io->timeout_ms);

    for (;;) {
        struct pollfd p[] = {{.fd = child->pidfd, .events = POLLIN},
                             {.fd = out->fd, .events = POLLIN},
                             {.fd = error->fd, .events = POLLIN},
                             {.fd = io->cancel_fd > 0 ? io->cancel_fd : -1, .events = POLLIN}};
        int left = box_deadline_left_ms(deadline);
        int n = poll(p, BOX_ARRAY(p), left), r = 0;

        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "poll", NULL, "wait for a program");
        if (n > 0 && p[3].revents)
            return box_fail(err, BOX_ECANCELLED, "cancelled while a program ran");
        if (n > 0 && p[1].revents)
            r = read_some(out, err);
        if (r >= 0 && n > 0 && p[2].revents)
            r = read_some(error, err);
        if (r < 0)
            return r;
        if (n > 0 && p[0].revents)
            return 0;
        if (left == 0)
            return box_fail(err, BOX_ETIMEOUT, "the program has not ended within %d ms", io->timeout_ms);
    }
}

int box_spawn_run(const struct box_spawn *how, const struct box_spawn_io *io, struct box_spawn_result *result,
                  box_error **err)
{
    _cleanup_child_ struct box_child child = {.pid = -1, .pidfd = -1};
    _cleanup_capture_ struct capture out = {.fd = -1}, error = {.fd = -1};
    _close_ int in = -1, out_end = -1, err_end = -1;
    struct box_spawn mine = *how;
    int r = 0;

    *result = (struct box_spawn_result){.status.code = -1};
    if (io->input && (r = make_input(io, &in, err)) == 0)
        mine.in = in;
    if (r == 0 && io->limit && (r = make_pipe(&out, io->limit, &out_end, err)) == 0 &&
        (r = make_pipe(&error, io->limit, &err_end, err)) == 0)
        mine.out = out_end, mine.err = err_end;
    if (r == 0)
        r = box_spawn(&mine, &child, err);
    box_cleanup_close(&out_end), out_end = -1;
    box_cleanup_close(&err_end), err_end = -1;
    if (r == 0)
        r = pump(&child, io, &out, &error, err);
    if (r == 0 && io->limit && (r = drain(&out, err)) == 0)
        r = drain(&error, err);
    if (r == 0)
        r = box_spawn_wait(&child, -1, &result->status, err);
    if (r < 0)
        return box_fail_wrap(err, r, "%s", how->path ? how->path : how->argv[0]);
    result->n_out = out.n, result->out = box_take(out.data), result->out_cut = out.cut;
    result->n_err = error.n, result->err = box_take(error.data), result->err_cut = error.cut;
    return 0;
}

void box_spawn_result_clear(struct box_spawn_result *result)
{
    free(result->out);
    free(result->err);
    *result = (struct box_spawn_result){.status.code = -1};
}
