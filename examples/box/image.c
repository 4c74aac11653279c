/* Verbs that bring images in and take them away. */
#include "box.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int show_progress(const box_image_progress *p, void *data)
{
    bool quiet = *(const bool *)data;

    if (quiet || !isatty(STDERR_FILENO))
        return 0;
    if (p->stage == BOX_IMAGE_STAGE_LAYER && p->total)
        fprintf(stderr, "\r%s: %3u%%", short_id(p->object), (unsigned)(p->done * 100 / p->total));
    else if (p->stage == BOX_IMAGE_STAGE_FINISHED)
        fprintf(stderr, "\r\033[K");
    return 0;
}

int verb_load(int argc, char **argv)
{
    const char *input = NULL;
    bool quiet = false;
    const struct flag flags[] = {
        {'i', "input", FLAG_TEXT, &input, "FILE or DIRECTORY in place of standard input"},
        {'q', "quiet", FLAG_BOOL, &quiet, "No progress"},
        {0},
    };
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image_list *list = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "load [OPTIONS]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (!input && first < argc)
        input = argv[first];
    if (!input && isatty(STDIN_FILENO))
        return fail_text("requested load from stdin, but stdin is empty"), 1;
    options.progress = show_progress;
    options.progress_data = &quiet;
    int r = input ? box_image_load(store(), input, &options, &list, &err)
                  : box_image_load_fd(store(), STDIN_FILENO, &options, &list, &err);
    if (r < 0)
        return fail(err), 1;
    for (size_t i = 0; i < box_image_list_count(list); i++) {
        const box_image *image = box_image_list_get(list, i);
        char *const *names = box_image_names(image);
        if (!names || !*names)
            printf("Loaded image ID: %s\n", box_image_id(image));
        for (; names && *names; names++) {
            char *familiar = NULL;
            box_image_familiar_name(*names, &familiar, NULL);
            printf("Loaded image: %s\n", familiar ? familiar : *names);
            free(familiar);
        }
    }
    box_image_list_free(list);
    return 0;
}

int verb_import(int argc, char **argv)
{
    const char *message = NULL, *platform = NULL;
    struct list changes = {0};
    const struct flag flags[] = {
        {'c', "change", FLAG_LIST, &changes, "INSTRUCTION of a Dockerfile: CMD, ENV, USER …"},
        {'m', "message", FLAG_TEXT, &message, "TEXT for its history"},
        {0, "platform", FLAG_TEXT, &platform, "OS/ARCHITECTURE"},
        {0},
    };
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image *image = NULL;
    box_error *err = NULL;
    int first = read_flags(argc, argv, flags, true, "import [OPTIONS] DIRECTORY|FILE|- [NAME[:TAG]]");

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    const char **list = calloc(changes.n + 1, sizeof(*list));
    if (!list)
        return EXIT_BOX;
    for (size_t i = 0; i < changes.n; i++)
        list[i] = changes.items[i];
    options.changes = list;
    options.message = message;
    options.platform = platform;
    options.name = first + 1 < argc ? argv[first + 1] : NULL;
    int r = strcmp(argv[first], "-") == 0 ? box_image_import_fd(store(), STDIN_FILENO, &options, &image, &err)
                                          : box_image_import(store(), argv[first], &options, &image, &err);
    free(list);
    if (r < 0)
        return fail(err), 1;
    printf("%s\n", box_image_id(image));
    box_image_free(image);
    return 0;
}

static void removed(enum box_image_removed kind, const char *what, void *data)
{
    char *familiar = NULL;

    (void)data;
    if (kind == BOX_IMAGE_REMOVED_NAME)
        box_image_familiar_name(what, &familiar, NULL);
    printf("%s: %s\n", kind == BOX_IMAGE_REMOVED_NAME ? "Untagged" : "Deleted", familiar ? familiar : what);
    free(familiar);
}

int verb_rmi(int argc, char **argv)
{
    bool force = false;
    const struct flag flags[] = {{'f', "force", FLAG_BOOL, &force, "Even when containers use it"}, {0}};
    int first = read_flags(argc, argv, flags, true, "rmi [OPTIONS] IMAGE [IMAGE...]"), code = 0;

    if (first < 0 || !store())
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    for (int i = first; i < argc; i++) {
        box_error *err = NULL;
        if (box_image_remove(store(), argv[i], force ? BOX_IMAGE_REMOVE_FORCE : 0, removed, NULL, &err) >= 0)
            continue;
        if (box_error_code(err) == BOX_ENOTFOUND) {
            fprintf(stderr, "Error: No such image: %s\n", argv[i]);
            box_error_free(err);
        } else {
            fail(err);
        }
        code = 1;
    }
    return code;
}
