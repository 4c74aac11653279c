/* run: a program in a container made from a directory, by the library alone.
 *
 *     run ROOTFS PROGRAM [ARGUMENT…]
 */
#include <libbox/box.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    box_error *err = NULL;
    box_process *process = NULL;
    box_spec *spec = box_spec_new(); /* Docker's defaults: namespaces, capabilities, seccomp, masked paths */
    box_stdio *io = box_stdio_new();
    int code = 125;

    if (argc < 3 || !spec || !io)
        return fprintf(stderr, "usage: run ROOTFS PROGRAM [ARGUMENT...]\n"), 125;
    if (box_spec_set_root(spec, argv[1], &err) < 0 || box_spec_set_args(spec, argv + 2, &err) < 0 ||
        box_spec_set_hostname(spec, "example", &err) < 0 ||
        box_limits_set(box_spec_limits(spec), BOX_LIMIT_MEMORY_MAX, 256 << 20, &err) < 0 ||
        box_limits_set(box_spec_limits(spec), BOX_LIMIT_PIDS_MAX, 64, &err) < 0 || box_stdio_inherit(io, &err) < 0 ||
        box_launch(spec, io, &process, &err) < 0 || box_process_wait(process, -1, &err) < 0) {
        fprintf(stderr, "run: %s\n", box_error_message(err));
    } else {
        const box_ending *ending = box_process_ending(process);
        fprintf(stderr, "run: %s\n", ending->text);
        code = ending->code;
    }
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
    box_error_free(err);
    return code;
}
