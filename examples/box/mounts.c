/* Flags that mount: -v, --mount, --tmpfs, --volumes-from, and the volumes that images have. */
#include "run.h"

#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANONYMOUS 64 /* digits of the name of a volume that was given none */

/* ---- volumes: directories of the store ------------------------------------------------------------------------------------ */

static bool is_volume_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";

    return strlen(name) >= 2 && strlen(name) < 250 && strspn(name, allowed) == strlen(name) && !strchr("_.-", name[0]);
}

/* Made when it is first used. */
static char *named_volume(const char *name)
{
    char *path = NULL, *data = NULL;

    if (!is_volume_name(name)) {
        fail_text("create %s: \"%s\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are "
                  "allowed: for a directory of the host, use an absolute path.",
                  name, name);
        return NULL;
    }
    path = print("%s/volumes/%s", box_store_root(store()), name);
    data = path ? print("%s/_data", path) : NULL;
    if (!data || (mkdir(path, 0700) < 0 && errno != EEXIST) || (mkdir(data, 0755) < 0 && errno != EEXIST)) {
        fail_text("make volume %s: %s.", name, strerror(errno));
        free(data);
        data = NULL;
    }
    free(path);
    return data;
}

static char *anonymous_volume(void)
{
    unsigned char bytes[ANONYMOUS / 2];
    char name[ANONYMOUS + 1];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return NULL;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(name + 2 * i, 3, "%02x", bytes[i]);
    return named_volume(name);
}

static bool is_anonymous(const char *source)
{
    char *start = print("%s/volumes/", box_store_root(store()));
    size_t n = start ? strlen(start) : 0;
    bool yes = n && strncmp(source, start, n) == 0 && strspn(source + n, "0123456789abcdef") == ANONYMOUS &&
               strcmp(source + n + ANONYMOUS, "/_data") == 0;

    free(start);
    return yes;
}

char **anonymous_volumes(const box_spec *spec)
{
    char **paths = calloc(box_spec_count_mounts(spec) + 1, sizeof(*paths));
    struct box_spec_mount m;
    size_t n = 0;

    for (size_t i = 0; paths && box_spec_get_mount(spec, i, &m, NULL) >= 0; i++)
        if (m.source && is_anonymous(m.source))
            paths[n++] = strndup(m.source, strlen(m.source) - strlen("/_data"));
    return paths;
}

static int remove_file(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path) < 0 ? 1 : 0;
}

void remove_anonymous_volumes(char **paths)
{
    for (char **p = paths; p && *p; p++)
        nftw(*p, remove_file, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    box_strings_free(paths);
}

/* ---- -v ---------------------------------------------------------------------------------------------------------------------- */

static void append(char *out, size_t size, const char *option)
{
    size_t n = strlen(out);

    snprintf(out + n, size - n, "%s%s", n ? "," : "", option);
}

/* ":ro,Z,rslave" of -v: Docker's own words are taken out. */
static int volume_options(const char *text, char *out, size_t size, bool *copy)
{
    static const char *const known[] = {"ro", "shared", "rshared", "slave", "rslave", "private", "rprivate", "rro"};
    char buffer[256], *save = NULL;

    snprintf(buffer, sizeof(buffer), "%s", text);
    for (char *o = strtok_r(buffer, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        size_t i = 0;
        if (strcmp(o, "z") == 0 || strcmp(o, "Z") == 0 || strcmp(o, "rw") == 0 || strcmp(o, "cached") == 0 ||
            strcmp(o, "delegated") == 0 || strcmp(o, "consistent") == 0)
            continue;
        if (strcmp(o, "nocopy") == 0) {
            *copy = false;
            continue;
        }
        while (i < sizeof(known) / sizeof(*known) && strcmp(known[i], o) != 0)
            i++;
        if (i == sizeof(known) / sizeof(*known))
            return fail_text("invalid mode: %s.", text), BOX_EINVAL;
        append(out, size, o);
    }
    return 0;
}

/* The later of two for one place counts. */
static int bind_path(box_spec *spec, const char *path, const char *destination, const char *options, box_error **err)
{
    box_error *none = NULL;

    if (destination[0] == '/' && box_spec_remove_mount(spec, destination, &none) < 0)
        box_error_free(none);
    return box_spec_add_bind(spec, path, destination, options && *options ? options : NULL, err);
}

static int add_directory(box_spec *spec, const char *source, const char *destination, const char *options, bool copy,
                         box_error **err)
{
    char all[512];
    bool named = source[0] != '/';

    if (destination[0] != '/')
        return fail_text("invalid mount path: '%s' mount path must be absolute.", destination), BOX_EINVAL;
    if (strspn(destination, "/") == strlen(destination))
        return fail_text("invalid specification: destination can't be '/'."), BOX_EINVAL;
    char *path = !*source ? anonymous_volume() : named ? named_volume(source) : strdup(source);
    if (!path)
        return BOX_EINVAL;
    snprintf(all, sizeof(all), "%s", options ? options : "");
    if (named && copy)
        append(all, sizeof(all), "tmpcopyup");
    int r = bind_path(spec, path, destination, all, err);
    free(path);
    return r;
}

/* Docker makes the host's directory where it is missing, and those above it. */
static int make_directories(const char *path)
{
    char *copy = strdup(path);
    int r = 0;

    for (char *slash = copy; slash && r == 0;) {
        slash = strchr(slash + 1, '/');
        if (slash)
            *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            r = -fail_text("error while creating mount source path '%s': mkdir %s: %s.", path, copy, strerror(errno));
        if (slash)
            *slash = '/';
    }
    free(copy);
    return r;
}

int add_volume(box_spec *spec, const char *text, box_error **err)
{
    char *copy_of = strdup(text), options[256] = "";
    bool copy = true;
    int r = 0;

    if (!copy_of)
        return BOX_ENOMEM;
    char *source = copy_of, *destination = strchr(source, ':'), *rest = NULL;
    if (destination)
        *destination++ = '\0';
    if (destination && (rest = strchr(destination, ':')))
        *rest++ = '\0';
    if ((!*source && !destination) || (destination && !*destination) || (rest && strchr(rest, ':')))
        r = -fail_text("invalid volume specification: '%s'.", text);
    else if (rest)
        r = volume_options(rest, options, sizeof(options), &copy);
    if (r >= 0 && !destination) /* one without a name */
        r = add_directory(spec, "", source, options, true, err);
    else if (r >= 0 && source[0] == '/' && access(source, F_OK) < 0)
        r = make_directories(source);
    if (r >= 0 && destination)
        r = add_directory(spec, source, destination, options, copy, err);
    free(copy_of);
    return r;
}

/* ---- --mount ------------------------------------------------------------------------------------------------------------------ */

struct mount_flag {
    const char *type, *source, *destination;
    char options[512];
    bool copy;
};

static int bad_mount(const char *text, const char *why)
{
    return fail_text("invalid argument \"%s\" for \"--mount\": %s.", text, why), BOX_EINVAL;
}

static bool is_one_of(const char *word, const char *const *words)
{
    while (*words && strcmp(*words, word) != 0)
        words++;
    return *words;
}

/* One "key[=value]" of it. */
static int mount_field(struct mount_flag *m, const char *text, const char *key, const char *value)
{
    static const char *const sources[] = {"source", "src", NULL}, *const targets[] = {"target", "destination", "dst", NULL},
                      *const readonly[] = {"readonly", "ro", NULL}, *const ignored[] = {"consistency", "volume-driver", NULL};
    bool no = value && (strcmp(value, "false") == 0 || strcmp(value, "0") == 0);
    char one[160];
    int64_t bytes;

    if (is_one_of(key, readonly)) {
        if (!no)
            append(m->options, sizeof(m->options), "ro");
    } else if (strcmp(key, "volume-nocopy") == 0) {
        m->copy = no;
    } else if (strcmp(key, "bind-nonrecursive") == 0) {
        if (!no)
            append(m->options, sizeof(m->options), "bind");
    } else if (!value) {
        return snprintf(one, sizeof(one), "invalid field '%s' must be a key=value pair", key), bad_mount(text, one);
    } else if (strcmp(key, "type") == 0) {
        m->type = value;
    } else if (is_one_of(key, sources)) {
        m->source = value;
    } else if (is_one_of(key, targets)) {
        m->destination = value;
    } else if (strcmp(key, "bind-propagation") == 0) {
        append(m->options, sizeof(m->options), value);
    } else if (strcmp(key, "tmpfs-size") == 0) {
        if (!parse_size(value, &bytes))
            return snprintf(one, sizeof(one), "invalid value for tmpfs-size: %.60s", value), bad_mount(text, one);
        append(m->options, sizeof(m->options), (snprintf(one, sizeof(one), "size=%lld", (long long)bytes), one));
    } else if (strcmp(key, "tmpfs-mode") == 0) {
        append(m->options, sizeof(m->options), (snprintf(one, sizeof(one), "mode=%.16s", value), one));
    } else if (!is_one_of(key, ignored)) {
        return snprintf(one, sizeof(one), "unexpected key '%.60s' in '%.60s=...'", key, key), bad_mount(text, one);
    }
    return 0;
}

static int apply_mount(box_spec *spec, struct mount_flag *m, const char *text, box_error **err)
{
    bool bind = strcmp(m->type, "bind") == 0;

    if (!m->destination || !*m->destination)
        return bad_mount(text, "target is required");
    if (strcmp(m->type, "tmpfs") == 0) {
        if (m->source)
            return bad_mount(text, "a tmpfs has no source");
        append(m->options, sizeof(m->options), "nosuid,nodev,noexec");
        return box_spec_add_mount(spec, "tmpfs", "tmpfs", m->destination, m->options, err);
    }
    if (!bind && strcmp(m->type, "volume") != 0)
        return fail_text("invalid mount config: mount type unknown: \"%s\".", m->type), BOX_EINVAL;
    if (bind && (!m->source || m->source[0] != '/'))
        return fail_text("invalid mount config for type \"bind\": invalid mount path: '%s' mount path must be absolute.",
                         m->source ? m->source : ""),
               BOX_EINVAL;
    if (bind && access(m->source, F_OK) < 0)
        return fail_text("invalid mount config for type \"bind\": bind source path does not exist: %s.", m->source), BOX_ENOTFOUND;
    if (!bind && m->source && m->source[0] == '/')
        return fail_text("invalid mount config for type \"volume\": \"%s\" is no volume's name.", m->source), BOX_EINVAL;
    return add_directory(spec, m->source ? m->source : "", m->destination, m->options, m->copy, err);
}

int add_mount(box_spec *spec, const char *text, box_error **err)
{
    char *copy = strdup(text), *save = NULL;
    struct mount_flag m = {.type = "volume", .copy = true};
    int r = 0;

    if (!copy)
        return BOX_ENOMEM;
    for (char *field = strtok_r(copy, ",", &save); field && r >= 0; field = strtok_r(NULL, ",", &save)) {
        char *value = strchr(field, '=');
        if (value)
            *value++ = '\0';
        r = mount_field(&m, text, field, value);
    }
    if (r >= 0)
        r = apply_mount(spec, &m, text, err);
    free(copy);
    return r;
}

/* ---- --tmpfs, --volumes-from, volumes of images --------------------------------------------------------------------------------- */

int add_tmpfs(box_spec *spec, const char *text, box_error **err)
{
    const char *colon = strchr(text, ':');
    char *destination = strndup(text, colon ? (size_t)(colon - text) : strlen(text)), options[512];

    if (!destination)
        return BOX_ENOMEM;
    snprintf(options, sizeof(options), "nosuid,nodev,noexec%s%s", colon ? "," : "", colon ? colon + 1 : "");
    int r = destination[0] != '/' ? (fail_text("invalid mount path: '%s' mount path must be absolute.", destination), BOX_EINVAL)
                                  : box_spec_add_mount(spec, "tmpfs", "tmpfs", destination, options, err);
    free(destination);
    return r;
}

static bool has_option(char *const *options, const char *name)
{
    for (; *options; options++)
        if (strcmp(*options, name) == 0)
            return true;
    return false;
}

/* "CONTAINER[:ro|rw]" */
int add_volumes_from(box_spec *spec, const char *text, box_error **err)
{
    char *name = strdup(text), *mode = name ? strchr(name, ':') : NULL, *own = NULL;
    struct box_spec_mount m;
    int r = 0;

    if (mode)
        *mode++ = '\0';
    if (mode && strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0) {
        fail_text("invalid mode for volumes-from: %s.", mode);
        free(name);
        return BOX_EINVAL;
    }
    box_container *c = name ? open_container(name) : NULL;
    if (!c) {
        free(name);
        return BOX_ENOTFOUND;
    }
    own = print("%s/containers/", box_store_root(store()));
    for (size_t i = 0; r >= 0 && own && box_spec_get_mount(box_container_spec(c), i, &m, NULL) >= 0; i++) {
        if (!m.source || m.source[0] != '/' || strncmp(m.source, own, strlen(own)) == 0)
            continue;
        bool ro = has_option(m.options, "ro") || (mode && strcmp(mode, "ro") == 0);
        r = bind_path(spec, m.source, m.destination, ro ? "ro" : NULL, err);
    }
    free(own);
    free(name);
    box_container_free(c);
    return r;
}

static bool mounts_at(const box_spec *spec, const char *path)
{
    struct box_spec_mount m;

    for (size_t i = 0; box_spec_get_mount(spec, i, &m, NULL) >= 0; i++)
        if (strcmp(m.destination, path) == 0)
            return true;
    return false;
}

int add_image_volumes(box_spec *spec, const box_image *image, box_error **err)
{
    int r = 0;

    for (char *const *path = box_image_volumes(image); *path && r >= 0; path++)
        if (!mounts_at(spec, *path))
            r = add_directory(spec, "", *path, NULL, true, err);
    return r;
}
