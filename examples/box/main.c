/* Global flags and the table of verbs. */
#include "registry.h"

#include <stdlib.h>
#include <string.h>

struct globals globals;

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} verbs[] = {
    {"run", verb_run, "Make and start a container"},
    {"create", verb_create, "Make a container"},
    {"start", verb_start, "Start containers that do not run"},
    {"exec", verb_exec, "Run a program in a running container"},
    {"ps", verb_ps, "List containers"},
    {"stop", verb_stop, "Stop containers, gently and then hard"},
    {"kill", verb_kill, "Send a signal to containers"},
    {"restart", verb_restart, "Stop containers and start them again"},
    {"rename", verb_rename, "Give a container another name"},
    {"attach", verb_attach, "Take part in a running container's terminal, or follow its output"},
    {"rm", verb_rm, "Remove containers"},
    {"pause", verb_pause, "Freeze all processes of containers"},
    {"unpause", verb_unpause, "Let frozen containers go on"},
    {"update", verb_update, "Change the limits of containers"},
    {"stats", verb_stats, "Show what containers use"},
    {"top", verb_top, "Show the processes of a container"},
    {"wait", verb_wait, "Wait until containers end, and print their exit codes"},
    {"logs", verb_logs, "Show the output of a detached container"},
    {"inspect", verb_inspect, "Show containers or images as JSON"},
    {"pull", verb_pull, "Fetch an image from a registry"},
    {"push", verb_push, "Send an image to a registry"},
    {"login", verb_login, "Log in to a registry"},
    {"logout", verb_logout, "Forget a login"},
    {"manifest", verb_manifest, "Show what a registry has under a name: manifest inspect"},
    {"cp", verb_cp, "Copy files into a container and out of it"},
    {"diff", verb_diff, "Show what a container changed of its image"},
    {"commit", verb_commit, "Make an image of a container's changes"},
    {"export", verb_export, "Write a container's root file system as a tar"},
    {"save", verb_save, "Write images into an archive"},
    {"history", verb_history, "Show how an image was made"},
    {"tag", verb_tag, "Give an image one more name"},
    {"load", verb_load, "Load images from an archive"},
    {"import", verb_import, "Make an image from a directory or tarball"},
    {"images", verb_images, "List images"},
    {"rmi", verb_rmi, "Remove images"},
    {"system", verb_system, "What is kept on disk: df, prune, check"},
    {"port", verb_port, "Show the published ports of a container"},
    {"info", verb_info, "Show what there is in all"},
    {"version", verb_version, "Show the versions of box and libbox"},
    {"doctor", verb_doctor, "Show what this host offers, what it lacks, and how to get it"},
};

/* Docker's longer forms: `box image ls`, `box container stop`. */
static const struct {
    const char *group, *name, *verb;
    int (*run)(int argc, char **argv);
} grouped[] = {
    {"image", "ls", "images", NULL},     {"image", "rm", "rmi", NULL},    {"image", "prune", NULL, verb_image_prune},
    {"container", "ls", "ps", NULL},     {"container", "prune", NULL, verb_container_prune},
};

static int run_verb(const char *name, int argc, char **argv, bool *found)
{
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (strcmp(verbs[i].name, name) == 0)
            return *found = true, verbs[i].run(argc, argv);
    return 1;
}

static int run_grouped(int argc, char **argv, bool *found)
{
    for (size_t i = 0; argc > 1 && i < sizeof(grouped) / sizeof(*grouped); i++) {
        if (strcmp(grouped[i].group, argv[0]) != 0 || strcmp(grouped[i].name, argv[1]) != 0)
            continue;
        if (!grouped[i].run)
            return run_verb(grouped[i].verb, argc - 1, argv + 1, found);
        return *found = true, grouped[i].run(argc - 1, argv + 1);
    }
    bool group = argc > 1 && (strcmp(argv[0], "image") == 0 || strcmp(argv[0], "container") == 0);
    return run_verb(group ? argv[1] : argv[0], argc - group, argv + group, found);
}

static void usage(FILE *out)
{
    fprintf(out, "Usage: box [--root DIR] [--runroot DIR] VERB [OPTIONS] …\n\nVerbs:\n");
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    fprintf(out, "\n`box VERB --help` shows the options of one.\n");
}

int main(int argc, char **argv)
{
    bool help = false, version = false;
    const struct flag flags[] = {
        {0, "root", FLAG_TEXT, &globals.root, "DIR  Where images and containers are kept"},
        {0, "runroot", FLAG_TEXT, &globals.runroot, "DIR  Where the state of what runs is kept"},
        REGISTRY_FLAGS,
        {'v', "version", FLAG_BOOL, &version, "Show the version"},
        {'h', "help", FLAG_BOOL, &help, "Show this"},
        {0},
    };
    int first = read_flags(argc, argv, flags, false, NULL);

    if (first < 0)
        return EXIT_BOX;
    if (version) {
        printf("box version %s\n", box_version());
        return 0;
    }
    if (help || first >= argc || strcmp(argv[first], "help") == 0) {
        usage(help || first < argc ? stdout : stderr);
        return help || first < argc ? 0 : 1;
    }
    bool found = false;
    int r = run_grouped(argc - first, argv + first, &found);
    if (found) {
        box_store_free(globals.store);
        return fflush(stdout) != 0 && r == 0 ? EXIT_BOX : r;
    }
    fprintf(stderr, "box: '%s' is not a box command (see 'box --help').\n", argv[first]);
    return 1;
}
