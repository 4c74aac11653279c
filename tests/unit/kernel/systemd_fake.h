/* A systemd that a test makes up: one end of a socket, which answers as the manager does and writes down what it was
 * asked. It is libsystemd's own server side, opened as libbox opens the client's, so the messages are read by the code
 * that the real one is made of. */
#ifndef TESTS_KERNEL_SYSTEMD_FAKE_H
#define TESTS_KERNEL_SYSTEMD_FAKE_H

#include <pthread.h>
#include <stdbool.h>

struct fake_systemd {
    /* How it is to be; all may be left alone. */
    const char *version;       /* "252.38" */
    const char *start_error;   /* the name of the D-Bus error that the first StartTransientUnit ends with */
    const char *start_again;   /* and of the second */
    const char *result;        /* of each job: "done" */
    const char *description;   /* of every unit */
    const char *control_group; /* of every unit */
    /* What it was asked: "MEMBER ARGUMENT…" a line, but for asking after properties. */
    char said[16384];
    char address[160]; /* for box_systemd_unit_set_bus() */

    char directory[64];
    int listener;
    unsigned starts, jobs;
    pthread_t thread;
};

/* False when libsystemd is not here. It serves one connection after the other, until the end. */
bool fake_systemd_begin(struct fake_systemd *f);
void fake_systemd_end(struct fake_systemd *f);

#endif
