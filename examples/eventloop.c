/* eventloop: several children in one poll(2), with their output and their ends.
 *
 *     eventloop COMMAND [COMMAND…]        each is given to sh -c, confined
 */
#include <libbox/box.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define MOST 16

static box_process *start(const char *command, box_error **err)
{
    char *const args[] = {"/bin/sh", "-c", (char *)command, NULL};
    box_spec *spec = box_spec_new_confined();
    box_stdio *io = box_stdio_new();
    box_process *process = NULL;

    if (spec && io && box_spec_set_args(spec, args, err) >= 0 && box_stdio_set_pipe(io, 1, err) >= 0 &&
        box_stdio_set_fd(io, 2, STDERR_FILENO, err) >= 0)
        box_launch(spec, io, &process, err);
    box_stdio_free(io);
    box_spec_free(spec);
    return process;
}

int main(int argc, char **argv)
{
    box_process *children[MOST] = {NULL};
    int n = argc - 1 < MOST ? argc - 1 : MOST, alive = 0;

    for (int i = 0; i < n; i++) {
        box_error *err = NULL;
        children[i] = start(argv[i + 1], &err);
        if (!children[i])
            fprintf(stderr, "eventloop: %s\n", box_error_message(err));
        box_error_free(err);
        alive += children[i] != NULL;
    }
    while (alive > 0) {
        struct pollfd fds[2 * MOST];
        char buffer[4096];
        for (int i = 0; i < n; i++) { /* the end of a child, and its output; a negative fd is left out */
            fds[2 * i] = (struct pollfd){.fd = children[i] ? box_process_fd(children[i]) : -1, .events = POLLIN};
            fds[2 * i + 1] = (struct pollfd){.fd = children[i] ? box_process_stream_fd(children[i], 1) : -1, .events = POLLIN};
        }
        poll(fds, (nfds_t)(2 * n), -1);
        for (int i = 0; i < n; i++) {
            if (fds[2 * i + 1].revents & POLLIN) {
                ssize_t got = read(fds[2 * i + 1].fd, buffer, sizeof(buffer));
                if (got > 0)
                    printf("%d: %.*s", i + 1, (int)got, buffer);
            } else if (fds[2 * i].revents && box_process_dispatch(children[i], NULL) == 1) {
                printf("%d: %s\n", i + 1, box_process_ending(children[i])->text);
                box_process_free(children[i]);
                children[i] = NULL;
                alive--;
            }
        }
    }
    return 0;
}
