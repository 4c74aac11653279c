/* exec: another program in a running container of the store.
 *
 *     exec CONTAINER PROGRAM [ARGUMENT…]
 */
#include <libbox/box.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    box_error *err = NULL;
    box_store *store = NULL;
    box_container *container = NULL;
    box_spec *spec = NULL;
    box_process *process = NULL;
    box_stdio *io = box_stdio_new();
    int code = 125;

    if (argc < 3 || !io)
        return fprintf(stderr, "usage: exec CONTAINER PROGRAM [ARGUMENT...]\n"), 125;
    if (box_store_open(NULL, NULL, BOX_STORE_EXISTING, &store, &err) < 0 ||
        box_container_open(store, argv[1], &container, &err) < 0 ||
        box_container_exec_spec(container, &spec, &err) < 0 || /* the container's own environment, user, filter … */
        box_spec_set_args(spec, argv + 2, &err) < 0 || box_stdio_inherit(io, &err) < 0 ||
        box_container_exec(container, spec, io, &process, &err) < 0 || box_process_wait(process, -1, &err) < 0) {
        fprintf(stderr, "exec: %s\n", box_error_message(err));
    } else {
        code = box_process_ending(process)->code;
    }
    box_process_free(process);
    box_spec_free(spec);
    box_container_free(container);
    box_store_free(store);
    box_stdio_free(io);
    box_error_free(err);
    return code;
}
