/* inspect: containers and images as JSON of Docker's shape, or a template of it. */
#include "box.h"

#include <stdlib.h>
#include <string.h>

#include "rows.h"

/* ---- images ---------------------------------------------------------------------------------------------------------------- */

static void add_strings(json_object *to, const char *key, char *const *list)
{
    json_object *array = list && *list ? json_object_new_array() : NULL;

    for (; array && *list; list++)
        json_object_array_add(array, json_object_new_string(*list));
    json_object_object_add(to, key, array);
}

/* A set is an object whose members are empty objects. */
static void add_set(json_object *to, const char *key, char *const *list)
{
    json_object *set = list && *list ? json_object_new_object() : NULL;

    for (; set && *list; list++)
        json_object_object_add(set, *list, json_object_new_object());
    json_object_object_add(to, key, set);
}

static json_object *config_of(const box_image *image)
{
    json_object *config = json_object_new_object(), *labels = NULL;
    size_t n = 0;
    const box_image_pair *pairs = box_image_labels(image, &n);

    put_string(config, "User", box_image_user(image));
    add_set(config, "ExposedPorts", box_image_exposed_ports(image));
    add_strings(config, "Env", box_image_env(image));
    add_strings(config, "Cmd", box_image_cmd(image));
    add_set(config, "Volumes", box_image_volumes(image));
    put_string(config, "WorkingDir", box_image_workdir(image));
    add_strings(config, "Entrypoint", box_image_entrypoint(image));
    add_strings(config, "OnBuild", box_image_onbuild(image));
    if (n)
        labels = json_object_new_object();
    for (size_t i = 0; i < n; i++)
        put_string(labels, pairs[i].key, pairs[i].value);
    json_object_object_add(config, "Labels", labels);
    if (*box_image_stop_signal(image))
        put_string(config, "StopSignal", box_image_stop_signal(image));
    if (*box_image_shell(image))
        add_strings(config, "Shell", box_image_shell(image));
    if (*box_image_healthcheck(image))
        json_object_object_add(config, "Healthcheck", json_tokener_parse(box_image_healthcheck(image)));
    return config;
}

static void add_names(json_object *to, const box_image *image)
{
    json_object *tags = json_object_new_array(), *digests = json_object_new_array();

    for (char *const *name = box_image_names(image); *name; name++) {
        char *familiar = NULL;
        box_image_familiar_name(*name, &familiar, NULL);
        const char *text = familiar ? familiar : *name;
        json_object_array_add(strchr(text, '@') ? digests : tags, json_object_new_string(text));
        free(familiar);
    }
    json_object_object_add(to, "RepoTags", tags);
    json_object_object_add(to, "RepoDigests", digests);
}

static void add_layers(json_object *to, const box_image *image)
{
    json_object *graph = json_object_new_object(), *data = json_object_new_object(), *root = json_object_new_object();
    json_object *layers = json_object_new_array();
    char **dirs = NULL, *lower = NULL;
    size_t n = 0;

    if (box_image_layer_dirs(image, &dirs, NULL) >= 0 && dirs[0]) {
        FILE *f = open_memstream(&lower, &n);
        for (char **dir = dirs + 1; f && *dir; dir++)
            fprintf(f, "%s%s", ftell(f) ? ":" : "", *dir);
        if (f)
            fclose(f);
        if (n)
            put_string(data, "LowerDir", lower);
        put_string(data, "UpperDir", dirs[0]);
        free(lower);
    }
    box_strings_free(dirs);
    json_object_object_add(graph, "Data", data);
    put_string(graph, "Name", "overlay");
    json_object_object_add(to, "GraphDriver", graph);
    put_string(root, "Type", "layers");
    for (size_t i = 0; i < box_image_layer_count(image); i++)
        json_object_array_add(layers, json_object_new_string(box_image_layer_diff_id(image, i)));
    json_object_object_add(root, "Layers", layers);
    json_object_object_add(to, "RootFS", root);
}

static json_object *image_object(const box_image *image)
{
    json_object *o = json_object_new_object();
    size_t steps = box_image_history_count(image);
    box_image_history last = {0};

    put_string(o, "Id", box_image_id(image));
    add_names(o, image);
    put_string(o, "Digest", box_image_digest(image));
    put_string(o, "Parent", "");
    put_string(o, "Comment", steps && box_image_history_get(image, steps - 1, &last, NULL) >= 0 ? last.comment : "");
    put_string(o, "Created", box_image_created(image));
    put_string(o, "Author", box_image_author(image));
    json_object_object_add(o, "Config", config_of(image));
    put_string(o, "Architecture", box_image_architecture(image));
    if (*box_image_variant(image))
        put_string(o, "Variant", box_image_variant(image));
    put_string(o, "Os", box_image_os(image));
    json_object_object_add(o, "Size", json_object_new_int64((int64_t)box_image_size(image)));
    json_object_object_add(o, "VirtualSize", json_object_new_int64((int64_t)box_image_size(image)));
    add_layers(o, image);
    return o;
}

/* ---- the verb -------------------------------------------------------------------------------------------------------------- */

static json_object *container_object(const char *name, bool size)
{
    box_container *c = NULL;
    json_object *o = NULL;
    char *text = NULL;

    if (box_container_open(store(), name, &c, NULL) >= 0 && box_container_inspect(c, &text, NULL) >= 0)
        o = json_tokener_parse(text);
    if (o && size)
        json_object_object_add(o, "SizeRw", json_object_new_int64((int64_t)tree_size(box_container_upper(c))));
    free(text);
    box_container_free(c);
    return o;
}

static json_object *find_object(const char *name, const char *type, bool size)
{
    json_object *o = NULL;
    box_image *image = NULL;

    if (!type || strcmp(type, "container") == 0)
        o = container_object(name, size);
    if (!o && (!type || strcmp(type, "image") == 0) && box_image_open(store(), name, &image, NULL) >= 0)
        o = image_object(image);
    box_image_free(image);
    return o;
}

/* The whole or nothing. */
static bool print_expanded(const char *format, json_object *o)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    bool good = f && expand_template(f, format, o);

    if (f)
        fclose(f);
    if (good)
        puts(text);
    free(text);
    return good;
}

int verb_inspect(int argc, char **argv)
{
    const char *format = NULL, *type = NULL;
    bool size = false;
    const struct flag flags[] = {
        {'f', "format", FLAG_TEXT, &format, "TEMPLATE, or json for one line"},
        {'s', "size", FLAG_BOOL, &size, "Also what a container has written"},
        {0, "type", FLAG_TEXT, &type, "container or image"},
        {0},
    };
    int first = read_flags(argc, argv, flags, true, "inspect [OPTIONS] NAME|ID [NAME|ID...]"), code = 0;

    if (first < 0)
        return EXIT_BOX;
    if (first >= argc)
        return wrong_count(argv[0], "requires at least 1 argument");
    if (type && strcmp(type, "container") != 0 && strcmp(type, "image") != 0)
        return fail_text("\"%s\" is not a valid value for --type: container and image are.", type), 1;
    if (!store())
        return 1;
    json_object *all = json_object_new_array();
    for (int i = first; i < argc; i++) {
        json_object *o = find_object(argv[i], type, size);
        if (!o) {
            fprintf(stderr, "Error: No such %s: %s\n", type ? type : "object", argv[i]);
            code = 1;
        } else if (!format || strcmp(format, "json") == 0) {
            json_object_array_add(all, o);
        } else {
            bool good = print_expanded(format, o);
            json_object_put(o);
            if (!good) {
                code = 1;
                break;
            }
        }
    }
    if (!format || strcmp(format, "json") == 0) {
        write_json(stdout, all, format ? 0 : 4, 0);
        putchar('\n');
    }
    json_object_put(all);
    return code;
}
