/* The streams of a start: what the caller asked for, and the descriptors that come of it at each start. */
#include "launch/launch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_EXTRA 1000

box_stdio *box_stdio_new(void)
{
    box_stdio *io = calloc(1, sizeof(*io));

    for (int i = 0; io && i < 3; i++)
        io->standard[i] = (struct stream){STREAM_NULL, -1, NULL};
    return io;
}

void box_stdio_free(box_stdio *io)
{
    if (!io)
        return;
    for (int i = 0; i < 3; i++)
        free(io->standard[i].path);
    free(io->numbers);
    free(io->fds);
    free(io);
}

static void set(box_stdio *io, int fd, enum stream_kind kind, int host_fd, char *path)
{
    free(io->standard[fd].path);
    io->standard[fd] = (struct stream){kind, host_fd, path};
    io->pty = false;
}

static int check_standard(const box_stdio *io, int fd, box_error **err)
{
    if (!io || fd < 0 || fd > 2)
        return box_fail(err, BOX_EINVAL, "a standard stream is number 0, 1 or 2, not %d", fd);
    return 0;
}

static int add_extra(box_stdio *io, int fd, int host_fd, box_error **err)
{
    for (size_t i = 0; i < io->n_extra; i++) {
        if (io->numbers[i] == fd) {
            io->fds[i] = host_fd;
            return 0;
        }
    }
    if (fd > 1023 || io->n_extra >= MAX_EXTRA)
        return box_fail(err, BOX_ELIMIT, "descriptor %d: up to number 1023, and %d of them, can be handed over", fd,
                        MAX_EXTRA);
    int *numbers = realloc(io->numbers, (io->n_extra + 1) * sizeof(int));
    if (numbers)
        io->numbers = numbers;
    int *fds = realloc(io->fds, (io->n_extra + 1) * sizeof(int));
    if (fds)
        io->fds = fds;
    if (!numbers || !fds)
        return box_fail_nomem(err);
    numbers[io->n_extra] = fd;
    fds[io->n_extra++] = host_fd;
    return 0;
}

int box_stdio_set_fd(box_stdio *io, int fd, int host_fd, box_error **err)
{
    if (!io || fd < 0 || host_fd < 0)
        return box_fail(err, BOX_EINVAL, "box_stdio_set_fd: descriptors must not be negative");
    if (fd > 2)
        return add_extra(io, fd, host_fd, err);
    set(io, fd, STREAM_FD, host_fd, NULL);
    return 0;
}

int box_stdio_inherit(box_stdio *io, box_error **err)
{
    for (int i = 0; i < 3; i++) {
        int r = box_stdio_set_fd(io, i, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int box_stdio_set_pipe(box_stdio *io, int fd, box_error **err)
{
    int r = check_standard(io, fd, err);

    if (r >= 0)
        set(io, fd, STREAM_PIPE, -1, NULL);
    return r;
}

int box_stdio_set_file(box_stdio *io, int fd, const char *path, box_error **err)
{
    int r = check_standard(io, fd, err);

    if (r < 0)
        return r;
    if (!path)
        return box_fail(err, BOX_EINVAL, "box_stdio_set_file: path must not be NULL");
    char *copy = strdup(path);
    if (!copy)
        return box_fail_nomem(err);
    set(io, fd, STREAM_FILE, -1, copy);
    return 0;
}

int box_stdio_set_pty(box_stdio *io, unsigned short rows, unsigned short columns, box_error **err)
{
    if (!io)
        return box_fail(err, BOX_EINVAL, "box_stdio_set_pty: io must not be NULL");
    for (int i = 0; i < 3; i++)
        set(io, i, STREAM_PTY, -1, NULL);
    io->pty = true;
    io->rows = rows;
    io->columns = columns;
    return 0;
}

/* One descriptor serves all the streams that get nothing. */
static int open_null(int i, struct start_streams *out, box_error **err)
{
    for (int k = 0; k < i; k++) {
        if (out->null[k]) {
            out->borrowed[i] = true;
            return out->stage[k];
        }
    }
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    out->null[i] = fd >= 0;
    return fd < 0 ? box_fail_sys(err, "open", "/dev/null", "open the standard streams") : fd;
}

static int open_file(const struct stream *s, int i, box_error **err)
{
    int flags = i ? O_WRONLY | O_CREAT | O_APPEND : O_RDONLY;
    int fd = open(s->path, flags | O_CLOEXEC | O_NOCTTY, 0600);

    return fd < 0 ? box_fail_sys(err, "open", s->path, "open standard stream %d", i) : fd;
}

static int open_pipe(int i, struct start_streams *out, box_error **err)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return box_fail_sys(err, "pipe2", NULL, "make a pipe for standard stream %d", i);
    out->stage[i] = ends[i ? 1 : 0];
    out->host[i] = ends[i ? 0 : 1];
    return 0;
}

int stdio_open(const box_stdio *io, bool terminal, struct start_streams *out, box_error **err)
{
    static const struct stream null = {STREAM_NULL, -1, NULL};

    for (int i = 0; i < 3; i++)
        out->stage[i] = out->host[i] = -1, out->borrowed[i] = out->null[i] = false;
    for (int i = 0; i < 3 && !terminal; i++) {
        const struct stream *s = io ? &io->standard[i] : &null;
        int r = 0;

        if (s->kind == STREAM_FD) {
            out->stage[i] = s->fd;
            out->borrowed[i] = true;
        } else if (s->kind == STREAM_PIPE) {
            r = open_pipe(i, out, err);
        } else {
            r = out->stage[i] = s->kind == STREAM_FILE ? open_file(s, i, err) : open_null(i, out, err);
        }
        if (r < 0) {
            stdio_close_all(out);
            return r;
        }
    }
    return 0;
}

void stdio_close_stage(struct start_streams *streams)
{
    for (int i = 0; i < 3; i++) {
        if (streams->stage[i] >= 0 && !streams->borrowed[i])
            close(streams->stage[i]);
        streams->stage[i] = -1;
    }
}

void stdio_close_all(struct start_streams *streams)
{
    stdio_close_stage(streams);
    for (int i = 0; i < 3; i++) {
        if (streams->host[i] >= 0)
            close(streams->host[i]);
        streams->host[i] = -1;
    }
}
