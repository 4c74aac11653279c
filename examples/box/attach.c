/* attach: taking part in a container that somebody keeps, until it ends or the keys for leaving are typed. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper.h"

#define MOST_KEYS   8
#define USUAL_KEYS  "ctrl-p,ctrl-q"
#define STILL_THERE (-1)

/* ---- the keys for leaving ------------------------------------------------------------------------------------------------- */

struct keys {
    unsigned char keys[MOST_KEYS];
    size_t n, seen;
};

/* "ctrl-a" to "ctrl-z", "ctrl-@[\]^_", or one character each. */
static bool parse_keys(const char *text, struct keys *k)
{
    *k = (struct keys){0};
    while (*text) {
        size_t n = strcspn(text, ",");
        bool control = n == 6 && strncmp(text, "ctrl-", 5) == 0;
        unsigned char c = (unsigned char)toupper((unsigned char)text[control ? 5 : 0]);
        if (k->n == MOST_KEYS || (n != 1 && !control) || (control && (c < '@' || c > '_')))
            return false;
        k->keys[k->n++] = control ? c & 31 : (unsigned char)text[0];
        text += n + (text[n] == ',');
    }
    return true;
}

bool check_detach_keys(const char *text)
{
    struct keys k;

    return parse_keys(text, &k);
}

/* Copies what was typed, holding back what may be the beginning of the keys; true when they are complete. */
static bool filter_keys(struct keys *k, const char *typed, size_t n, char *out, size_t *n_out)
{
    *n_out = 0;
    for (size_t i = 0; i < n; i++) {
        if (k->n && (unsigned char)typed[i] == k->keys[k->seen]) {
            if (++k->seen == k->n)
                return true;
            continue;
        }
        memcpy(out + *n_out, k->keys, k->seen);
        *n_out += k->seen;
        k->seen = 0;
        if (k->n && (unsigned char)typed[i] == k->keys[0])
            k->seen = 1;
        else
            out[(*n_out)++] = typed[i];
    }
    return false;
}

/* ---- taking part ---------------------------------------------------------------------------------------------------------------- */

struct part {
    box_container *container;
    const struct attach_options *options;
    struct keys keys;
    int fd, signals;
    bool input;
    char pending[MESSAGE_MOST]; /* input that the keeper does not take yet: nobody waits for that */
    size_t n_pending;
};

static void send_size(const struct part *p, unsigned short more)
{
    unsigned short size[2];

    terminal_size(&size[0], &size[1]);
    if (!p->options->tty || !size[0])
        return;
    size[0] = (unsigned short)(size[0] + more);
    size[1] = (unsigned short)(size[1] + more);
    send_message(p->fd, 'W', size, sizeof(size));
}

/* An exit code, or STILL_THERE. */
static int hear_keeper(struct part *p)
{
    char buffer[MESSAGE_MOST + 1];
    ssize_t n = recv(p->fd, buffer, sizeof(buffer), 0);
    int code;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return STILL_THERE;
    if (n <= 0) { /* the keeper was killed, and the container with it */
        fail_text("the connection to the container was lost.");
        return EXIT_BOX;
    }
    if (buffer[0] == 'X' && (size_t)n == 1 + sizeof(code)) {
        memcpy(&code, buffer + 1, sizeof(code));
        return code < 0 ? EXIT_BOX : code;
    }
    if (buffer[0] == 'O' || buffer[0] == 'S')
        write_all(buffer[0] == 'O' ? STDOUT_FILENO : STDERR_FILENO, buffer + 1, n - 1);
    return STILL_THERE;
}

static void send_pending(struct part *p)
{
    if (p->n_pending && (send_message(p->fd, 'I', p->pending, p->n_pending) || errno != EAGAIN))
        p->n_pending = 0;
}

static int hear_terminal(struct part *p)
{
    char typed[MESSAGE_MOST / 2];
    ssize_t n = read(STDIN_FILENO, typed, sizeof(typed));

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return STILL_THERE;
    if (n <= 0) {
        send_message(p->fd, 'E', NULL, 0);
        p->input = false;
        return STILL_THERE;
    }
    bool left = filter_keys(&p->keys, typed, (size_t)n, p->pending, &p->n_pending);
    send_pending(p);
    return left ? 0 : STILL_THERE;
}

static int hear_signal(struct part *p)
{
    struct signalfd_siginfo info;

    if (read(p->signals, &info, sizeof(info)) != (ssize_t)sizeof(info) || info.ssi_signo == SIGCONT)
        return STILL_THERE;
    if (info.ssi_signo == SIGWINCH) {
        send_size(p, 0);
        return STILL_THERE;
    }
    if (p->options->tty || !p->options->sig_proxy) /* the container goes on without */
        return 128 + (int)info.ssi_signo;
    box_container_signal(p->container, (int)info.ssi_signo, NULL);
    return STILL_THERE;
}

static int wait_for_end(struct part *p)
{
    int code = STILL_THERE;
    bool left = false;

    while (code == STILL_THERE) {
        struct pollfd fds[] = {
            {.fd = p->fd, .events = (short)(POLLIN | (p->n_pending ? POLLOUT : 0))},
            {.fd = p->signals, .events = POLLIN},
            {.fd = p->input && !p->n_pending ? STDIN_FILENO : -1, .events = POLLIN},
        };
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            return EXIT_BOX;
        if (fds[0].revents & POLLOUT)
            send_pending(p);
        if (fds[0].revents & ~POLLOUT)
            code = hear_keeper(p);
        if (code == STILL_THERE && fds[1].revents)
            code = hear_signal(p);
        if (code == STILL_THERE && fds[2].revents) {
            code = hear_terminal(p);
            left = code == 0;
        }
    }
    terminal_restore();
    if (left && p->options->tells) {
        fprintf(stderr, "read escape sequence\n");
        return 1;
    }
    return code;
}

int take_part(box_container *c, int client, const struct attach_options *o)
{
    struct part p = {.container = c, .options = o, .fd = client, .input = o->interactive};
    sigset_t before;

    parse_keys(o->detach_keys ? o->detach_keys : USUAL_KEYS, &p.keys);
    if (!o->tty) /* keys are those of a terminal */
        p.keys.n = 0;
    p.signals = open_signals(&before);
    fcntl(client, F_SETFL, fcntl(client, F_GETFL) | O_NONBLOCK);
    if (o->tty && p.input)
        terminal_make_raw();
    if (o->tells) /* a shell that is at its prompt shows it again only when the size changes */
        send_size(&p, 1);
    send_size(&p, 0);
    int code = wait_for_end(&p);
    close(p.signals);
    close(client);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return code;
}

/* ---- one whose output goes to its log only ------------------------------------------------------------------------------------------ */

static void copy_log(int log)
{
    char buffer[MESSAGE_MOST];
    ssize_t n;

    while ((n = read(log, buffer, sizeof(buffer))) > 0)
        write_all(STDOUT_FILENO, buffer, n);
}

/* From here on, as Docker shows it; signals are passed on. */
static int follow_log(box_container *c, bool sig_proxy)
{
    sigset_t before;
    struct signalfd_siginfo info;
    box_error *err = NULL;
    int signals = open_signals(&before), log = open(box_container_log_path(c), O_RDONLY | O_CLOEXEC), r;

    lseek(log, 0, SEEK_END);
    while ((r = box_container_wait(c, 50, &err)) == BOX_ETIMEOUT) {
        box_error_free(err);
        err = NULL;
        copy_log(log);
        if (read(signals, &info, sizeof(info)) != (ssize_t)sizeof(info) || info.ssi_signo == SIGWINCH || info.ssi_signo == SIGCONT)
            continue;
        if (!sig_proxy)
            return 128 + (int)info.ssi_signo;
        box_container_signal(c, (int)info.ssi_signo, NULL);
    }
    copy_log(log);
    close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return r < 0 ? fail(err) : box_container_ending(c)->code;
}

int verb_attach(int argc, char **argv)
{
    struct attach_options o = {.sig_proxy = true, .tells = true};
    bool no_stdin = false;
    const struct flag flags[] = {
        {0, "detach-keys", FLAG_TEXT, &o.detach_keys, "KEYS for leaving, such as ctrl-p,ctrl-q"},
        {0, "no-stdin", FLAG_BOOL, &no_stdin, "Only look"},
        {0, "sig-proxy", FLAG_BOOL, &o.sig_proxy, "Pass signals on (true)"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "attach [OPTIONS] CONTAINER"), code = 1;

    if (first < 0)
        return EXIT_BOX;
    if (first + 1 != argc)
        return wrong_count(argv[0], "requires exactly 1 argument");
    if (o.detach_keys && !check_detach_keys(o.detach_keys))
        return fail_text("invalid detach keys: %s.", o.detach_keys), 1;
    box_container *c = open_container(argv[first]);
    if (!c)
        return 1;
    o.tty = box_spec_get_terminal(box_container_spec(c));
    o.interactive = box_container_open_stdin(c) && !no_stdin;
    if (box_container_state(c) == BOX_CONTAINER_PAUSED) {
        fail_text("You cannot attach to a paused container, unpause it first.");
    } else if (!box_container_pid(c)) {
        fail_text("You cannot attach to a stopped container, start it first.");
    } else if (o.tty && o.interactive && !isatty(STDIN_FILENO)) {
        fprintf(stderr, "the input device is not a TTY\n");
    } else {
        int client = connect_keeper(c);
        code = client >= 0 ? take_part(c, client, &o) : follow_log(c, o.sig_proxy);
    }
    box_container_free(c);
    return code;
}
