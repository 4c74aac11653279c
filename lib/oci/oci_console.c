/* Terminals over a console socket, the pid file, and the streams of a process. */
#include "oci/oci.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/strings.h"

int oci_console_connect(const box_spec *spec, const char *path, bool required, int *console, box_error **err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char by_fd[64];

    *console = -1;
    if (spec->process.terminal && !path && !required)
        return 0;
    if (spec->process.terminal != (path != NULL))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path ? path : "process.terminal"},
                             path ? "cannot use a console socket: the process has no terminal"
                                  : "cannot allocate a terminal without a console socket");
    if (!path)
        return 0;
    /* A path of any length: by way of a descriptor of the socket's inode. */
    _close_ int inode = open(path, O_PATH | O_CLOEXEC);
    struct stat st;
    if (inode < 0 || fstat(inode, &st) < 0)
        return box_fail_sys(err, "open", path, "open the console socket");
    if (!S_ISSOCK(st.st_mode))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path}, "the console socket %s is no socket", path);
    snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", inode);
    memcpy(address.sun_path, by_fd, strlen(by_fd) + 1);
    _close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return box_fail_sys(err, "connect", path, "connect to the console socket");
    *console = box_take_fd(&fd);
    return 0;
}

int oci_console_send(int socket, int master, box_error **err)
{
    static const char name[] = "/dev/ptmx";
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec iov = {(void *)name, sizeof(name) - 1};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &master, sizeof(int));
    ssize_t n;
    do
        n = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? box_fail_sys(err, "sendmsg", NULL, "send the terminal over the console socket") : 0;
}

/* Replaced as a whole, since an engine may be looking for it already. */
int oci_write_pid(const char *path, pid_t pid, box_error **err)
{
    char text[24];

    if (!path)
        return 0;
    const char *slash = strrchr(path, '/');
    _free_ char *parent = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!parent)
        return box_fail_nomem(err);
    _close_ int dir = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return box_fail_sys(err, "open", parent, "write the pid file");
    int n = snprintf(text, sizeof(text), "%d", (int)pid);
    return box_file_replace(dir, slash ? slash + 1 : path, text, (size_t)n, 0644, BOX_FILE_NO_SYNC, err);
}

static int add_fds(box_stdio *io, box_spec *spec, const box_oci_options *options, box_error **err)
{
    char number[16];
    int r = 0;

    for (unsigned i = 0; r >= 0 && i < options->preserve_fds; i++) {
        int fd = 3 + (int)i;
        if (fcntl(fd, F_GETFD) < 0)
            return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .errnum = errno},
                                 "descriptor %d is to be handed over, and is not open", fd);
        r = box_stdio_set_fd(io, fd, fd, err);
    }
    if (r < 0 || !options->listen_fds)
        return r;
    snprintf(number, sizeof(number), "%u", options->listen_fds);
    r = box_spec_set_env(spec, "LISTEN_FDS", number, err);
    return r < 0 ? r : box_spec_set_env(spec, "LISTEN_PID", "1", err);
}

/* The options' own streams stand for 0, 1 and 2; what they hand over beside them is handed over too. */
static int standard_streams(box_stdio *io, const box_oci_options *options, box_error **err)
{
    int r = 0;

    if (!options->io)
        return box_stdio_inherit(io, err);
    for (int i = 0; i < 3 && r >= 0; i++) {
        const struct stream *s = &options->io->standard[i];
        if (s->kind == STREAM_FD)
            r = box_stdio_set_fd(io, i, s->fd, err);
        else if (s->kind == STREAM_FILE)
            r = box_stdio_set_file(io, i, s->path, err);
        else if (s->kind != STREAM_NULL)
            r = box_fail(err, BOX_EINVAL, "a container that outlives its maker takes no pipes of its making");
    }
    return r;
}

int oci_streams(box_spec *spec, const box_oci_options *options, box_stdio **made, box_error **err)
{
    box_stdio *io = box_stdio_new();

    if (!io)
        return box_fail_nomem(err);
    int r = spec->process.terminal ? box_stdio_set_pty(io, spec->process.rows, spec->process.columns, err)
                                   : standard_streams(io, options, err);
    if (r >= 0)
        r = add_fds(io, spec, options, err);
    if (r < 0)
        box_stdio_free(io);
    else
        *made = io;
    return r;
}
