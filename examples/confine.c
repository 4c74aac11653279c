/* confine: a child on the host's own root that may read /usr and write one directory, and nothing else.
 *
 *     confine DIRECTORY PROGRAM [ARGUMENT…]
 */
#include <libbox/box.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    static const char *const readable[] = {"/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache"};
    box_error *err = NULL;
    box_process *process = NULL;
    box_spec *spec = box_spec_new_confined(); /* no namespaces; seccomp and no new privileges */
    box_landlock *rules = box_landlock_new(&err);
    box_stdio *io = box_stdio_new();
    int code = 125;

    if (argc < 3 || !spec || !rules || !io)
        return fprintf(stderr, "usage: confine DIRECTORY PROGRAM [ARGUMENT...]\n"), 125;
    box_landlock_handle_up_to(rules, 0); /* all that this kernel can govern is denied, but for what follows */
    for (size_t i = 0; i < sizeof(readable) / sizeof(*readable); i++)
        if (box_landlock_allow_path(rules, readable[i], BOX_LANDLOCK_FS_READ_EXECUTE,
                                    BOX_LANDLOCK_MAY_BE_MISSING, &err) < 0)
            return fprintf(stderr, "confine: %s\n", box_error_message(err)), 125;
    if (box_landlock_allow_path(rules, argv[1], BOX_LANDLOCK_FS_READ_WRITE, 0, &err) < 0 ||
        box_spec_set_landlock(spec, rules, &err) < 0 || box_spec_set_cwd(spec, argv[1], &err) < 0 ||
        box_spec_set_args(spec, argv + 2, &err) < 0 || box_stdio_inherit(io, &err) < 0 ||
        box_launch(spec, io, &process, &err) < 0 || box_process_wait_or_kill(process, 10000, &err) < 0) {
        fprintf(stderr, "confine: %s\n", box_error_message(err));
    } else {
        fprintf(stderr, "confine: %s\n", box_process_ending(process)->text);
        code = box_process_ending(process)->code;
    }
    box_process_free(process);
    box_landlock_free(rules);
    box_stdio_free(io);
    box_spec_free(spec);
    box_error_free(err);
    return code;
}
