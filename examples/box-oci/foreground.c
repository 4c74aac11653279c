/* Staying with a process until it ends: its terminal, its signals, its exit code. */
#include "oci.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int open_console(char **path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/box-oci-XXXXXX";
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || !mkdtemp(dir) || asprintf(path, "%s/console", dir) < 0)
        return -1;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", *path);
    return bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0 ? -1 : fd;
}

void close_console(int console, char *path)
{
    if (!path)
        return;
    close(console);
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
    free(path);
}

int accept_console(int console)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char name[64];
    struct iovec iov = {name, sizeof(name)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    int fd = accept4(console, NULL, NULL, SOCK_CLOEXEC), master = -1;

    if (fd < 0)
        return -1;
    if (recvmsg(fd, &message, MSG_CMSG_CLOEXEC) > 0) {
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            memcpy(&master, CMSG_DATA(c), sizeof(int));
    }
    close(fd);
    return master;
}

static void copy_size(int master)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
        ioctl(master, TIOCSWINSZ, &size);
}

/* False when nothing more will come. */
static bool pump(int from, int to)
{
    char buffer[8192];
    ssize_t n = read(from, buffer, sizeof(buffer));

    if (n <= 0)
        return n < 0 && (errno == EINTR || errno == EAGAIN);
    for (ssize_t done = 0, w; done < n; done += w)
        if ((w = write(to, buffer + done, (size_t)(n - done))) <= 0)
            return false;
    return true;
}

static void pass_signals(int signals, pid_t pid, int master)
{
    struct signalfd_siginfo info;

    while (read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGWINCH && master >= 0)
            copy_size(master);
        else if (pid > 0 && info.ssi_signo != SIGCHLD && info.ssi_signo != SIGWINCH)
            kill(pid, (int)info.ssi_signo);
    }
}

int reap(pid_t pid)
{
    int status = 0;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return 255;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void attend(pid_t pid, int pidfd, int master)
{
    struct termios before, raw;
    bool restore = false, input = master >= 0;
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    int signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
    if (master >= 0 && tcgetattr(STDIN_FILENO, &before) == 0) {
        raw = before;
        cfmakeraw(&raw);
        restore = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
        copy_size(master);
    }
    for (bool lives = pidfd >= 0, shows = master >= 0; lives || shows;) {
        struct pollfd fds[] = {{lives ? pidfd : -1, POLLIN, 0}, {signals, POLLIN, 0}, {shows ? master : -1, POLLIN, 0},
                               {input ? STDIN_FILENO : -1, POLLIN, 0}};
        if (poll(fds, 4, lives ? -1 : 0) < 0 && errno != EINTR)
            break;
        if (fds[1].revents)
            pass_signals(signals, pid, master);
        if (fds[2].revents && !pump(master, STDOUT_FILENO))
            shows = false;
        if (fds[3].revents && !pump(STDIN_FILENO, master))
            input = false;
        if (!lives && !fds[2].revents) /* what it wrote last has been shown */
            shows = false;
        if (fds[0].revents)
            lives = false;
    }
    if (restore)
        tcsetattr(STDIN_FILENO, TCSANOW, &before);
    close(signals);
}
