/* The keeper: a process that holds the terminal or the pipes of a container for as long as it runs, so that whoever
 * started it may go, and others may come.
 *
 * It is a fork of box with a session of its own. What the container writes goes to its log and to everybody who is
 * attached; what they send goes to its input. They come by a socket below the run root, or got one end of a pair at the
 * start. Messages are a letter and what belongs to it: 'I' input, 'E' end of input, 'W' the window's size; 'O' output,
 * 'S' standard error, 'X' the exit code. An unread message holds the container up for ten seconds, then its reader is
 * let go. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST_CLIENTS 16

struct keeper {
    box_container *container;
    box_process *process;
    int in, out[2], log, listener; /* a terminal is in and out[0] */
    int clients[MOST_CLIENTS];
    char pending[MESSAGE_MOST]; /* input that the container has not taken yet */
    size_t n_pending;
    bool tty;
};

/* What the parent is told: an exit code and a line. */
struct started {
    int code;
    char text[1024];
};

/* ---- the socket ------------------------------------------------------------------------------------------------------------ */

/* By way of a descriptor: the path of a store may be longer than a socket's can be. */
static int socket_address(const box_container *c, struct sockaddr_un *address, int *dir)
{
    char *path = print("%s/attach", box_store_runroot(store()));

    if (path && mkdir(path, 0700) < 0 && errno != EEXIST) {
        free(path);
        return -1;
    }
    *dir = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    free(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", *dir, box_container_id(c));
    return *dir < 0 ? -1 : 0;
}

int connect_keeper(const box_container *c)
{
    struct sockaddr_un address;
    int dir = -1, s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (socket_address(c, &address, &dir) < 0 || connect(s, (struct sockaddr *)&address, sizeof(address)) < 0) {
        close(s);
        s = -1;
    }
    if (dir >= 0)
        close(dir);
    return s;
}

static int listen_for_clients(const box_container *c)
{
    struct sockaddr_un address;
    int dir = -1, s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (socket_address(c, &address, &dir) >= 0)
        unlinkat(dir, box_container_id(c), 0);
    if (dir < 0 || s < 0 || bind(s, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(s, MOST_CLIENTS) < 0) {
        if (s >= 0)
            close(s);
        s = -1;
    }
    if (dir >= 0)
        close(dir);
    return s;
}

static void forget_socket(const box_container *c)
{
    struct sockaddr_un address;
    int dir = -1;

    if (socket_address(c, &address, &dir) >= 0)
        unlinkat(dir, box_container_id(c), 0);
    if (dir >= 0)
        close(dir);
}

bool send_message(int fd, char kind, const void *data, size_t n)
{
    struct iovec parts[] = {{&kind, 1}, {(void *)(uintptr_t)data, n}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = n ? 2 : 1};

    return sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
}

/* ---- clients ---------------------------------------------------------------------------------------------------------------- */

static void add_client(struct keeper *k, int fd)
{
    static const struct timeval patience = {.tv_sec = 10};

    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    for (int i = 0; i < MOST_CLIENTS; i++) {
        if (k->clients[i] < 0) {
            k->clients[i] = fd;
            return;
        }
    }
    close(fd);
}

static void drop_client(struct keeper *k, int i)
{
    close(k->clients[i]);
    k->clients[i] = -1;
}

static void tell_all(struct keeper *k, char kind, const void *data, size_t n)
{
    for (int i = 0; i < MOST_CLIENTS; i++)
        if (k->clients[i] >= 0 && !send_message(k->clients[i], kind, data, n))
            drop_client(k, i);
}

static void close_input(struct keeper *k)
{
    if (!k->tty && k->in >= 0)
        close(k->in);
    if (!k->tty)
        k->in = -1;
}

static void hear_client(struct keeper *k, int i)
{
    char buffer[MESSAGE_MOST + 1];
    unsigned short size[2];
    ssize_t n = recv(k->clients[i], buffer, sizeof(buffer), 0);

    if (n <= 0) {
        drop_client(k, i);
    } else if (buffer[0] == 'I') {
        k->n_pending = (size_t)n - 1;
        memcpy(k->pending, buffer + 1, k->n_pending);
    } else if (buffer[0] == 'E') {
        close_input(k);
    } else if (buffer[0] == 'W' && (size_t)n == 1 + sizeof(size)) {
        memcpy(size, buffer + 1, sizeof(size));
        box_process_resize(k->process, size[0], size[1], NULL);
    }
}

/* ---- the container's streams --------------------------------------------------------------------------------------------------- */

static void give_input(struct keeper *k)
{
    ssize_t n = k->in >= 0 ? write(k->in, k->pending, k->n_pending) : (ssize_t)k->n_pending;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) { /* nobody reads it any more */
        close_input(k);
        n = (ssize_t)k->n_pending;
    }
    k->n_pending -= (size_t)n;
    memmove(k->pending, k->pending + n, k->n_pending);
}

static void take_output(struct keeper *k, int which)
{
    char buffer[MESSAGE_MOST];
    ssize_t n = read(k->out[which], buffer, sizeof(buffer));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        k->out[which] = -1; /* the process object owns it */
        return;
    }
    if (k->log >= 0 && write(k->log, buffer, (size_t)n) < 0)
        k->log = -1; /* a full disk does not stop the container */
    tell_all(k, which ? 'S' : 'O', buffer, (size_t)n);
}

static void keep(struct keeper *k)
{
    int ended = 0;

    while (!ended || k->out[0] >= 0 || k->out[1] >= 0) {
        struct pollfd fds[5 + MOST_CLIENTS] = {
            {.fd = ended ? -1 : box_process_fd(k->process), .events = POLLIN}, {.fd = k->listener, .events = POLLIN},
            {.fd = k->out[0], .events = POLLIN},                               {.fd = k->out[1], .events = POLLIN},
            {.fd = k->n_pending ? k->in : -1, .events = POLLOUT},
        };
        for (int i = 0; i < MOST_CLIENTS; i++)
            fds[5 + i] = (struct pollfd){.fd = k->n_pending ? -1 : k->clients[i], .events = POLLIN};
        int n = poll(fds, 5 + MOST_CLIENTS, ended ? 0 : -1);
        if ((n < 0 && errno != EINTR) || (n == 0 && ended))
            break;
        if (fds[2].revents)
            take_output(k, 0);
        if (fds[3].revents)
            take_output(k, 1);
        if (fds[4].revents)
            give_input(k);
        for (int i = 0; i < MOST_CLIENTS; i++)
            if (fds[5 + i].revents && k->clients[i] >= 0 && !k->n_pending)
                hear_client(k, i);
        if (k->n_pending && k->in < 0)
            k->n_pending = 0;
        int client = fds[1].revents ? accept4(k->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (client >= 0)
            add_client(k, client);
        if (fds[0].revents)
            ended = box_process_dispatch(k->process, NULL);
    }
}

/* ---- its life ------------------------------------------------------------------------------------------------------------------- */

static box_stdio *make_streams(bool tty, bool interactive, box_error **err)
{
    box_stdio *io = box_stdio_new();
    unsigned short rows, columns;
    int r = 0;

    if (!io)
        return NULL;
    terminal_size(&rows, &columns);
    if (tty)
        r = box_stdio_set_pty(io, rows, columns, err);
    for (int i = interactive ? 0 : 1; i < 3 && !tty && r >= 0; i++)
        r = box_stdio_set_pipe(io, i, err);
    if (r >= 0)
        return io;
    box_stdio_free(io);
    return NULL;
}

static void take_streams(struct keeper *k)
{
    k->process = box_container_process(k->container);
    k->in = k->tty ? box_process_pty_fd(k->process) : box_process_take_stream_fd(k->process, 0);
    k->out[0] = k->tty ? k->in : box_process_stream_fd(k->process, 1);
    k->out[1] = k->tty ? -1 : box_process_stream_fd(k->process, 2);
    const int all[] = {k->in, k->out[0], k->out[1]};
    for (size_t i = 0; i < 3; i++)
        if (all[i] >= 0)
            fcntl(all[i], F_SETFL, fcntl(all[i], F_GETFL) | O_NONBLOCK);
}

static void leave_terminal(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    setsid();
    prctl(PR_SET_NAME, "box-keeper");
    for (int i = 0; i < 3 && null >= 0; i++)
        dup2(null, i);
}

static void run_keeper(box_container *c, bool tty, bool interactive, int client, int report)
{
    struct keeper *k = calloc(1, sizeof(*k));
    struct started s = {0};
    box_error *err = NULL;
    box_stdio *io = make_streams(tty, interactive, &err); /* while the terminal is still there to be asked for its size */

    leave_terminal();
    if (!k || !io || box_container_start(c, io, &err) < 0) {
        s.code = exit_code_of(err);
        snprintf(s.text, sizeof(s.text), "%s", box_error_message(err));
        _exit(write(report, &s, sizeof(s)) < 0);
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    k->container = c;
    k->tty = tty;
    memset(k->clients, -1, sizeof(k->clients));
    take_streams(k);
    k->log = open(box_container_log_path(c), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    k->listener = listen_for_clients(c);
    if (client >= 0)
        add_client(k, client);
    if (write(report, &s, sizeof(s)) < 0 || close(report) < 0)
        _exit(1);
    char **volumes = box_container_auto_remove(c) ? anonymous_volumes(box_container_spec(c)) : NULL;
    keep(k);
    box_container_wait(c, -1, NULL);
    remove_anonymous_volumes(volumes);
    int code = box_container_ending(c)->code;
    forget_socket(c);
    tell_all(k, 'X', &code, sizeof(code));
    _exit(0);
}

int start_kept(box_container *c, bool tty, bool interactive, int *client)
{
    int pair[2] = {-1, -1}, report[2];
    struct started s;

    if ((client && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) || pipe2(report, O_CLOEXEC) < 0)
        return fail_text("%s.", strerror(errno));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(report[0]);
        if (client)
            close(pair[0]);
        run_keeper(c, tty, interactive, pair[1], report[1]);
    }
    close(report[1]);
    if (client)
        close(pair[1]);
    ssize_t n = pid < 0 ? -1 : read(report[0], &s, sizeof(s));
    close(report[0]);
    if (n != (ssize_t)sizeof(s) || s.code) {
        if (client)
            close(pair[0]);
        fail_text("%s.", n == (ssize_t)sizeof(s) ? s.text : "the keeper of the container's terminal did not start");
        return n == (ssize_t)sizeof(s) ? s.code : EXIT_BOX;
    }
    if (client)
        *client = pair[0];
    return 0;
}
