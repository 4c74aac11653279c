/* Global flags and the table of commands. */
#include "oci.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct globals globals = {.log_fd = -1};

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"checkpoint", verb_checkpoint, "not supported"},
    {"create", verb_create, "create a container"},
    {"delete", verb_delete, "delete any resources held by a container"},
    {"events", verb_events, "show statistics and out-of-memory events"},
    {"exec", verb_exec, "run another process in a container"},
    {"features", verb_features, "show what this runtime can do"},
    {"kill", verb_kill, "send a signal to a container"},
    {"list", verb_list, "list containers"},
    {"pause", verb_pause, "suspend all processes of a container"},
    {"ps", verb_ps, "show the processes of a container"},
    {"restore", verb_checkpoint, "not supported"},
    {"resume", verb_resume, "let all processes of a container go on"},
    {"run", verb_run, "create and start a container"},
    {"spec", verb_spec, "write a document to begin with"},
    {"start", verb_start, "start the program of a created container"},
    {"state", verb_state, "show the state of a container"},
    {"update", verb_update, "change the limits of a container"},
};

static void usage(FILE *out)
{
    fprintf(out, "Usage: box-oci [global options] COMMAND [options] [arguments]\n\nCommands:\n");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out, "\nGlobal options:\n"
                 "  --root DIR               where the state of containers is kept\n"
                 "  --log FILE               where errors are written, beside standard error\n"
                 "  --log-format text|json\n"
                 "  --debug\n"
                 "  --systemd-cgroup, --cgroup-manager cgroupfs|systemd\n"
                 "  --rootless auto|true|false\n"
                 "  --version\n");
}

/* "--help" before the first plain argument. An engine that asks so for a command wants to know whether there is one. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc && argv[i][0] == '-' && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

static int run_verb(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
        if (strcmp(verbs[i].name, argv[0]) != 0)
            continue;
        if (verbs[i].run == verb_checkpoint || !asks_for_help(argc, argv))
            return verbs[i].run(argc, argv);
        printf("box-oci %s: %s\nIts options are those of runc %s.\n", argv[0], verbs[i].help, argv[0]);
        return 0;
    }
    return fail_text("no such command: %s", argv[0]);
}

static int open_log(void)
{
    if (!globals.log || !*globals.log)
        return 0;
    globals.log_fd = open(globals.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    return globals.log_fd < 0 ? fail_text("open %s: %s", globals.log, strerror(errno)) : 0;
}

/* An engine may start this with standard streams closed. What is opened next would take their numbers, and be handed to
 * the container as its streams: a directory of the host's, say. */
static bool fill_standard_streams(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        int got = open("/dev/null", O_RDWR); /* the lowest number that is free, which is this one; meant to be inherited */
        if (got < 0)
            got = memfd_create("null", 0); /* as empty, where there is no /dev */
        if (got != fd)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    if (!fill_standard_streams())
        return 1;
    bool help = false, version = false;
    const struct flag flags[] = {
        {"root", 0, FLAG_TEXT, &globals.root},
        {"log", 0, FLAG_TEXT, &globals.log},
        {"log-format", 0, FLAG_TEXT, &globals.log_format},
        {"debug", 0, FLAG_BOOL, &globals.debug},
        {"systemd-cgroup", 0, FLAG_BOOL, &globals.systemd},
        {"cgroup-manager", 0, FLAG_TEXT, &globals.cgroup_manager},
        {"rootless", 0, FLAG_TEXT, &globals.rootless},
        {"criu", 0, FLAG_TEXT, &globals.criu}, /* taken by runc, of no effect there either */
        {"help", 'h', FLAG_BOOL, &help},
        {"version", 'v', FLAG_BOOL, &version},
        {0},
    };
    int first = read_flags(argc, argv, flags);

    if (first < 0)
        return 1;
    if (version) {
        printf("box-oci version %s\nspec: 1.3.0\n", box_version());
        return 0;
    }
    if (help || first >= argc || strcmp(argv[first], "help") == 0) {
        usage(help || first < argc ? stdout : stderr);
        return help || first < argc ? 0 : 1;
    }
    if (globals.log_format && strcmp(globals.log_format, "json") != 0 && strcmp(globals.log_format, "text") != 0)
        return fail_text("unknown log-format \"%s\"", globals.log_format);
    if (open_log() != 0)
        return 1;
    return run_verb(argc - first, argv + first);
}
