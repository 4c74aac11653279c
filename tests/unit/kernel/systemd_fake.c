/* The made-up systemd; see systemd_fake.h. A connection begins as one to a bus does, with Hello and AddMatch. */
#include "systemd_fake.h"

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "kernel/libsystemd.h"

#define NAME "org.freedesktop.systemd1"

struct id128 {
    uint8_t bytes[16];
};

static struct {
    int (*new)(sd_bus **);
    int (*set_fd)(sd_bus *, int, int);
    int (*set_server)(sd_bus *, int, struct id128);
    int (*set_anonymous)(sd_bus *, int);
    int (*start)(sd_bus *);
    int (*process)(sd_bus *, sd_bus_message **);
    int (*wait)(sd_bus *, uint64_t);
    sd_bus *(*close_unref)(sd_bus *);
    int (*reply)(sd_bus_message *, const char *types, ...);
    int (*reply_error)(sd_bus_message *, const char *name, const char *format, ...);
    int (*new_signal)(sd_bus *, sd_bus_message **, const char *path, const char *interface, const char *member);
    int (*set_sender)(sd_bus_message *, const char *);
    int (*append)(sd_bus_message *, const char *types, ...);
    int (*send)(sd_bus *, sd_bus_message *, uint64_t *);
    const char *(*member)(sd_bus_message *);
    int (*peek)(sd_bus_message *, char *type, const char **contents);
    int (*read_basic)(sd_bus_message *, char type, void *);
    int (*enter)(sd_bus_message *, char type, const char *contents);
    int (*leave)(sd_bus_message *);
    sd_bus_message *(*unref)(sd_bus_message *);
} bus;

static bool load(void)
{
    static const char *const names[] = {"new", "set_fd", "set_server", "set_anonymous", "start", "process", "wait", "close_unref",
                                        "reply_method_return", "reply_method_errorf", "message_new_signal", "message_set_sender",
                                        "message_append", "send", "message_get_member", "message_peek_type", "message_read_basic",
                                        "message_enter_container", "message_exit_container", "message_unref"};
    void *library = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < BOX_ARRAY(names); i++) {
        char name[64];
        snprintf(name, sizeof(name), "sd_bus_%s", names[i]);
        void *found = dlsym(library, name);
        memcpy((char *)&bus + i * sizeof(found), &found, sizeof(found));
        if (!found)
            return false;
    }
    return library != NULL;
}

/* ---- what it was asked ------------------------------------------------------------------------------------------------ */

static void note(struct fake_systemd *f, const char *text)
{
    strncat(f->said, text, sizeof(f->said) - strlen(f->said) - 1);
}

static void note_basic(struct fake_systemd *f, sd_bus_message *m, char type)
{
    union {
        const char *text;
        uint64_t t;
        int64_t x;
        uint32_t u;
        int b;
        uint8_t y;
        uint64_t room[2];
    } value = {.room = {0, 0}};
    char number[40];

    bus.read_basic(m, type, &value);
    if (type == 's' || type == 'o') {
        note(f, value.text);
        return;
    }
    if (type == 'b')
        snprintf(number, sizeof(number), "%s", value.b ? "true" : "false");
    else if (type == 'y')
        snprintf(number, sizeof(number), "0x%02x", value.y);
    else if (type == 'u' || type == 'i')
        snprintf(number, sizeof(number), "%" PRIu32, value.u);
    else
        snprintf(number, sizeof(number), "%" PRIu64, value.t);
    note(f, number);
}

/* Everything up to the end of the container: "[a,b]", "(a,b)", "<TYPE:value>". */
static void note_all(struct fake_systemd *f, sd_bus_message *m, const char *between)
{
    const char *contents = NULL;
    char type = 0;

    for (bool first = true; bus.peek(m, &type, &contents) > 0; first = false) {
        if (!first)
            note(f, between);
        if (type != 'a' && type != 'r' && type != 'v') {
            note_basic(f, m, type);
            continue;
        }
        note(f, type == 'a' ? "[" : type == 'r' ? "(" : "<");
        if (type == 'v') {
            note(f, contents);
            note(f, ":");
        }
        bus.enter(m, type, contents);
        note_all(f, m, ",");
        bus.leave(m);
        note(f, type == 'a' ? "]" : type == 'r' ? ")" : ">");
    }
}

/* ---- its answers --------------------------------------------------------------------------------------------------------- */

static void answer_property(struct fake_systemd *f, sd_bus_message *m)
{
    const char *interface = NULL, *name = NULL;

    bus.read_basic(m, 's', &interface);
    bus.read_basic(m, 's', &name);
    const char *value = strcmp(name, "Version") == 0       ? f->version ? f->version : "252.38-1"
                        : strcmp(name, "Description") == 0 ? f->description ? f->description : ""
                                                           : f->control_group ? f->control_group : "";
    bus.reply(m, "v", "s", value);
}

static void answer_job(struct fake_systemd *f, sd_bus *b, sd_bus_message *m)
{
    sd_bus_message *other = NULL, *own = NULL;
    char path[80];

    snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", ++f->jobs);
    bus.reply(m, "o", path);
    /* The end of somebody else's job comes first. */
    bus.new_signal(b, &other, "/org/freedesktop/systemd1", NAME ".Manager", "JobRemoved");
    bus.set_sender(other, NAME);
    bus.append(other, "uoss", 7u, "/org/freedesktop/systemd1/job/9999", "other.service", "failed");
    bus.send(b, other, NULL);
    bus.unref(other);
    bus.new_signal(b, &own, "/org/freedesktop/systemd1", NAME ".Manager", "JobRemoved");
    bus.set_sender(own, NAME);
    bus.append(own, "uoss", (unsigned)f->jobs, path, "unit", f->result ? f->result : "done");
    bus.send(b, own, NULL);
    bus.unref(own);
}

static void answer(struct fake_systemd *f, sd_bus *b, sd_bus_message *m)
{
    const char *member = bus.member(m), *error = NULL;

    if (!member || strcmp(member, "Disconnected") == 0)
        return;
    if (strcmp(member, "Hello") == 0) {
        bus.reply(m, "s", ":1.7");
        return;
    }
    if (strcmp(member, "AddMatch") == 0) {
        bus.reply(m, "");
        return;
    }
    if (strcmp(member, "Get") == 0) {
        answer_property(f, m);
        return;
    }
    note(f, member);
    note(f, " ");
    note_all(f, m, " ");
    note(f, "\n");
    if (strcmp(member, "StartTransientUnit") == 0) {
        error = f->starts == 0 ? f->start_error : f->starts == 1 ? f->start_again : NULL;
        f->starts++;
    }
    if (error)
        bus.reply_error(m, error, "%s", "made up");
    else if (strcmp(member, "StartTransientUnit") == 0 || strcmp(member, "StopUnit") == 0)
        answer_job(f, b, m);
    else
        bus.reply(m, "");
}

static void serve(struct fake_systemd *f, int fd)
{
    const struct id128 id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}};
    sd_bus *b = NULL;
    int r = bus.new(&b);

    if (r >= 0 && (r = bus.set_fd(b, fd, fd)) >= 0 && (r = bus.set_server(b, 1, id)) >= 0 && (r = bus.set_anonymous(b, 1)) >= 0)
        r = bus.start(b);
    while (r >= 0) {
        sd_bus_message *m = NULL;
        r = bus.process(b, &m);
        if (m) {
            answer(f, b, m);
            bus.unref(m);
        }
        if (r == 0)
            r = bus.wait(b, UINT64_MAX);
    }
    if (b)
        bus.close_unref(b);
}

static void *run(void *arg)
{
    struct fake_systemd *f = arg;

    for (;;) {
        int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            return NULL;
        serve(f, fd);
    }
}

bool fake_systemd_begin(struct fake_systemd *f)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    if (!load())
        return false;
    strcpy(f->directory, "/tmp/box-fake-XXXXXX");
    if (!mkdtemp(f->directory))
        return false;
    snprintf(at.sun_path, sizeof(at.sun_path), "%s/bus", f->directory);
    snprintf(f->address, sizeof(f->address), "unix:path=%s", at.sun_path);
    f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(f->listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(f->listener, 8) == 0 &&
           pthread_create(&f->thread, NULL, run, f) == 0;
}

void fake_systemd_end(struct fake_systemd *f)
{
    char path[96];

    shutdown(f->listener, SHUT_RDWR);
    pthread_join(f->thread, NULL);
    close(f->listener);
    snprintf(path, sizeof(path), "%s/bus", f->directory);
    unlink(path);
    rmdir(f->directory);
}
