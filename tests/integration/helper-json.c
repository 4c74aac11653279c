/* JSON for tests written in shell, where nothing else can take it apart:
 *
 *     helper-json edit FILE KEY.KEY=JSON… KEY.KEY-…    sets and removes members of a document in place
 *     helper-json get KEY.KEY <DOCUMENT                 prints a member; a string without quotes
 *     helper-json each-line KEY FILE                    succeeds when each line is a document with this member */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int complain(const char *what, const char *about)
{
    fprintf(stderr, "helper-json: %s: %s\n", what, about);
    return 1;
}

/* Under LeakSanitizer a document that is left behind is found or not, as the stack happens to look. */
static void let_go(json_object **doc)
{
    json_object_put(*doc);
}
#define _document_ __attribute__((cleanup(let_go)))

static json_object *walk(json_object *at, char *path, char **last, int make)
{
    char *dot;

    for (; at && (dot = strchr(path, '.')); path = dot + 1) {
        json_object *next = NULL;
        *dot = '\0';
        if (!json_object_object_get_ex(at, path, &next) && make) {
            next = json_object_new_object();
            json_object_object_add(at, path, next);
        }
        at = next;
    }
    *last = path;
    return at;
}

static int edit(int argc, char **argv)
{
    _document_ json_object *doc = json_object_from_file(argv[0]);

    if (!doc)
        return complain(argv[0], json_util_get_last_err());
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '='), *last;
        size_t length = strlen(argv[i]);
        if (!equals && length && argv[i][length - 1] != '-')
            return complain(argv[i], "neither KEY=JSON nor KEY-");
        json_object *value = equals && strcmp(equals + 1, "null") != 0 ? json_tokener_parse(equals + 1) : NULL;
        if (equals && !value && strcmp(equals + 1, "null") != 0)
            return complain(equals + 1, "no JSON");
        if (equals)
            *equals = '\0';
        else
            argv[i][length - 1] = '\0';
        json_object *parent = walk(doc, argv[i], &last, equals != NULL);
        if (equals)
            json_object_object_add(parent, last, value);
        else if (parent)
            json_object_object_del(parent, last);
    }
    unlink(argv[0]);
    return json_object_to_file_ext(argv[0], doc, JSON_C_TO_STRING_PLAIN) < 0 ? complain(argv[0], "cannot be written") : 0;
}

static int get(char *path)
{
    static char text[1 << 20];
    json_object *value = NULL;
    char *last;
    size_t n = fread(text, 1, sizeof(text) - 1, stdin);

    text[n] = '\0';
    _document_ json_object *doc = json_tokener_parse(text);
    if (!doc)
        return complain("standard input", "no JSON");
    if (!*path)
        return 0;
    json_object *parent = walk(doc, path, &last, 0);
    if (!parent || !json_object_object_get_ex(parent, last, &value))
        return complain(last, "is not there");
    puts(json_object_get_string(value));
    return 0;
}

static int each_line(const char *key, const char *file)
{
    static char line[1 << 16];
    FILE *f = fopen(file, "re");
    int n = 0;

    for (; f && fgets(line, sizeof(line), f); n++) {
        _document_ json_object *doc = json_tokener_parse(line);
        if (!doc || !json_object_object_get_ex(doc, key, NULL))
            return complain(line, "no document with this member");
    }
    return n ? 0 : complain(file, "no lines");
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "edit") == 0)
        return edit(argc - 2, argv + 2);
    if (argc == 3 && strcmp(argv[1], "get") == 0)
        return get(argv[2]);
    if (argc == 4 && strcmp(argv[1], "each-line") == 0)
        return each_line(argv[2], argv[3]);
    return complain("usage", "edit FILE CHANGE…, get PATH, each-line KEY FILE");
}
