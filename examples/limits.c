/* limits: a program that may use so much memory, so many processes and so much of a processor; and what became of it.
 *
 *     limits MEGABYTES PROCESSES CPUS PROGRAM [ARGUMENT…]
 */
#include <libbox/box.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    box_error *err = NULL;
    box_process *process = NULL;
    box_spec *spec = box_spec_new_confined();
    box_stdio *io = box_stdio_new();
    int code = 125;

    if (argc < 5 || !spec || !io)
        return fprintf(stderr, "usage: limits MEGABYTES PROCESSES CPUS PROGRAM [ARGUMENT...]\n"), 125;
    box_limits *limits = box_spec_limits(spec);
    if (box_limits_set(limits, BOX_LIMIT_MEMORY_MAX, atoll(argv[1]) << 20, &err) < 0 ||
        box_limits_set(limits, BOX_LIMIT_PIDS_MAX, atoll(argv[2]), &err) < 0 ||
        box_limits_set_cpus(limits, atof(argv[3]), &err) < 0 || box_spec_set_args(spec, argv + 4, &err) < 0 ||
        box_stdio_inherit(io, &err) < 0 || box_launch(spec, io, &process, &err) < 0 ||
        box_process_wait(process, -1, &err) < 0) {
        fprintf(stderr, "limits: %s\n", box_error_message(err));
    } else {
        const box_ending *ending = box_process_ending(process);
        fprintf(stderr, "limits: %s; %.3f s of processor time, %.1f MB at most\n", ending->text,
                (double)(ending->cpu_user_us + ending->cpu_system_us) / 1e6, (double)ending->max_rss_kb / 1024);
        code = ending->code;
    }
    box_process_free(process);
    box_stdio_free(io);
    box_spec_free(spec);
    box_error_free(err);
    return code;
}
