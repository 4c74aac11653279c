/* An attached process: its signals, its terminal, its end. */
#include "box.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static struct termios saved;
static bool raw;

void terminal_restore(void)
{
    if (raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    raw = false;
}

void terminal_make_raw(void)
{
    struct termios t;

    if (tcgetattr(STDIN_FILENO, &saved) < 0)
        return;
    t = saved;
    cfmakeraw(&t);
    if (tcsetattr(STDIN_FILENO, TCSANOW, &t) == 0) {
        raw = true;
        atexit(terminal_restore);
    }
}

void terminal_size(unsigned short *rows, unsigned short *columns)
{
    struct winsize size = {0};

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
        size = (struct winsize){0};
    *rows = size.ws_row;
    *columns = size.ws_col;
}

bool write_all(int fd, const char *data, ssize_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, data, (size_t)n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            data += done;
            n -= done;
        }
    }
    return true;
}

/* From one descriptor to the other; false at the end. */
static bool copy(int from, int to)
{
    char buffer[16384];
    ssize_t n = read(from, buffer, sizeof(buffer));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    return n > 0 && write_all(to, buffer, n);
}

static void pass_signal(int signals, box_process *process, int pty)
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    if (info.ssi_signo == SIGWINCH) {
        unsigned short rows, columns;
        terminal_size(&rows, &columns);
        if (pty >= 0)
            box_process_resize(process, rows, columns, NULL);
        return;
    }
    box_process_signal(process, (int)info.ssi_signo, NULL);
}

int open_signals(sigset_t *before)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
        sigaddset(&set, passed[i]);
    sigprocmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int follow(box_process *process, bool tty, bool interactive)
{
    sigset_t before;
    int signals = open_signals(&before), pty = tty ? box_process_pty_fd(process) : -1, ended = 0;
    bool input = interactive && pty >= 0, output = pty >= 0;

    if (input && isatty(STDIN_FILENO))
        terminal_make_raw();
    while (ended == 0 || output) {
        struct pollfd fds[] = {
            {.fd = ended ? -1 : box_process_fd(process), .events = POLLIN},
            {.fd = signals, .events = POLLIN},
            {.fd = output ? pty : -1, .events = POLLIN},
            {.fd = input && !ended ? STDIN_FILENO : -1, .events = POLLIN},
        };
        /* What a terminal still holds when its process has ended is shown, but nobody waits for more. */
        int n = poll(fds, 4, ended ? 0 : -1);
        if (n < 0 && errno != EINTR)
            break;
        if (n == 0 && ended)
            break;
        if (fds[1].revents)
            pass_signal(signals, process, pty);
        if (fds[2].revents && !copy(pty, STDOUT_FILENO))
            output = false;
        if (fds[3].revents && !copy(STDIN_FILENO, pty))
            input = false;
        if (fds[0].revents)
            ended = box_process_dispatch(process, NULL);
    }
    terminal_restore();
    close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    const box_ending *ending = box_process_ending(process);
    return ending->code < 0 ? EXIT_BOX : ending->code;
}
