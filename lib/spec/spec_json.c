/* The whole document: from text to spec and back, and from and to files.
 *
 * Order of reading: limits of size and depth, the version, then the areas in the order of the document's
 * table; libbox comes last, since it speaks of mounts by their numbers. Then the spec is written once, into
 * memory: what that lacks or spells otherwise is what only the document knows (spec_json_merge.c). */
#include "spec/spec_json.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"

/* The newest version that libbox reads and the one it writes. */
enum { NEWEST_MINOR = 3 };
static const char written_version[] = "1.3.0";

enum { MAX_SIZE = 4 << 20, MAX_DEPTH = 64 };

/* ---- the version ------------------------------------------------------------------------------------- */

/* One number of a version, without leading zeros (SemVer 2.0.0, 2). */
static bool take_number(const char **text, char end, unsigned *number)
{
    const char *p = *text;
    unsigned n = 0;

    if (*p < '0' || *p > '9' || (*p == '0' && p[1] >= '0' && p[1] <= '9'))
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (unsigned)(*p - '0');
        if (n > 9999)
            return false;
    }
    if (end && *p != end)
        return false;
    *number = n;
    *text = end ? p + 1 : p;
    return true;
}

/* The identifiers after '-' and '+' say nothing that matters here, but they must be such. */
static bool is_suffix(const char *text)
{
    return !*text || ((*text == '-' || *text == '+') && text[1] &&
                      !text[1 + strspn(text + 1, "0123456789-.+"
                                                 "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")]);
}

static int read_version(const struct box_json_at *at, void *object, box_error **err)
{
    box_spec *spec = object;
    unsigned major, minor, patch;
    const char *text, *p;
    int r = box_json_as_string(at, &text, err);

    if (r < 0)
        return r;
    p = text;
    if (!take_number(&p, '.', &major) || !take_number(&p, '.', &minor) || !take_number(&p, '\0', &patch) ||
        !is_suffix(p))
        return box_json_fail(at, err, "\"%s\" is not a version such as 1.3.0", text);
    /* 1.0.0-rc1 comes before 1.0.0. */
    if (major != 1 || minor > NEWEST_MINOR || (minor == 0 && patch == 0 && *p == '-'))
        return box_fail_with(err,
                             &(struct box_fail_info){.code = BOX_EUNSUPPORTED,
                                                     .subject = text,
                                                     .remedy = "libbox reads versions 1.0.0 to 1.3.x"},
                             "ociVersion: this version of the runtime specification is not known");
    return spec_string_set(&spec->oci_version, text, err);
}

static int write_version(json_object *parent, const char *name, const void *object, box_error **err)
{
    const box_spec *spec = object;

    return box_json_put_string(parent, name, spec->oci_version ? spec->oci_version : written_version, err);
}

/* ---- the document ------------------------------------------------------------------------------------ */

#define S box_spec
static const struct spec_json_field document_fields[] = {
    J_CUSTOM("ociVersion", read_version, write_version, .required = true),
    J_OBJECT("process", S, process, spec_json_process, J_HAS(S, has_process)),
    J_OBJECT("root", S, root, spec_json_root),
    J_STRING("hostname", S, hostname),
    J_STRING("domainname", S, domainname),
    J_LIST("mounts", S, mounts, n_mounts, spec_json_mount, SPEC_JSON_MAX_MOUNTS),
    J_GROUP("hooks", spec_json_hooks),
    J_MAP("annotations", S, annotations, n_annotations, SPEC_JSON_MAX_PAIRS),
    J_GROUP("linux", spec_json_linux, .always = true),
    J_GROUP("libbox", spec_json_libbox),
};
#undef S

static int check_document(const struct box_json_at *at, void *object, box_error **err)
{
    const box_spec *spec = object;
    struct box_json_at root;
    int r = box_json_get(at, "root", BOX_JSON_OPTIONAL, &root, err);

    if (r == 0 && root.json && spec->root.kind == SPEC_ROOT_NONE)
        r = box_json_fail(&root, err, "path is missing");
    return r;
}

static const struct spec_json_type document_type =
    SPEC_JSON_TYPE(box_spec, document_fields, .check = check_document);

static int render(const box_spec *spec, json_object **out, box_error **err)
{
    _cleanup_(json_object) json_object *document = json_object_new_object();
    int r;

    if (!document)
        return box_fail_nomem(err);
    for (size_t i = 0; i < spec->n_mounts; i++)
        if (spec->mounts[i].source_fd >= 0)
            return box_fail_with(err,
                                 &(struct box_fail_info){.code = BOX_ESPEC,
                                                         .subject = spec->mounts[i].destination,
                                                         .remedy = "give its source as a path"},
                                 "mounts[%zu] is given by a descriptor, which no document can hold", i);
    r = spec_json_write(document, spec, &document_type, err);
    if (r == 0)
        *out = box_take(document);
    return r;
}

static int read_document(const char *text, size_t length, const char *source, box_spec **out, box_error **err)
{
    static const struct box_json_limits limits = {.size = MAX_SIZE, .depth = MAX_DEPTH};
    _cleanup_(json_object) json_object *document = box_json_parse(text, length, &limits, source, err);
    _cleanup_(box_spec) box_spec *spec = NULL;
    struct box_json_at at = BOX_JSON_ROOT(document);
    int r;

    if (!document)
        return spec_code(err);
    spec = box_spec_new_empty();
    if (!spec)
        return box_fail_nomem(err);
    r = spec_json_read(&at, spec, &document_type, err);
    if (r == 0)
        r = render(spec, &spec->rendered, err);
    if (r < 0)
        return r;
    spec->document = box_take(document);
    *out = box_take(spec);
    return 0;
}

static int parse(const char *text, size_t length, const char *source, box_spec **out, box_error **err)
{
    box_error *inner = NULL;
    int r = read_document(text, length, source, out, &inner);

    return spec_hand_over(r, inner, err);
}

int box_spec_parse(const char *text, size_t length, box_spec **spec, box_error **err)
{
    if (!text || !spec)
        return box_fail(err, BOX_EINVAL, "box_spec_parse: no text, or nowhere to store the spec");
    return parse(text, length, NULL, spec, err);
}

int box_spec_format(const box_spec *spec, char **text, box_error **err)
{
    _cleanup_(json_object) json_object *current = NULL;
    char *formatted;
    int r;

    if (!spec || !text)
        return box_fail(err, BOX_EINVAL, "box_spec_format: no spec, or nowhere to store the text");
    r = render(spec, &current, err);
    if (r < 0)
        return r;
    if (spec->document) {
        json_object *merged = spec_json_merge(spec->document, spec->rendered, current, err);

        if (!merged)
            return spec_code(err);
        json_object_put(current);
        current = merged;
    }
    formatted = spec_json_text(current);
    if (!formatted)
        return box_fail_nomem(err);
    *text = formatted;
    return 0;
}

/* ---- files ------------------------------------------------------------------------------------------- */

int box_spec_load(const char *path, box_spec **spec, box_error **err)
{
    _free_ char *text = NULL;
    size_t length;
    int r;

    if (!path || !spec)
        return box_fail(err, BOX_EINVAL, "box_spec_load: no path, or nowhere to store the spec");
    r = box_file_read(AT_FDCWD, path, MAX_SIZE, &text, &length, err);
    return r < 0 ? r : parse(text, length, path, spec, err);
}

/* The directory that a file is in, and its name there. */
static int open_parent(const char *path, const char **name, box_error **err)
{
    const char *slash = strrchr(path, '/');
    _free_ char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd;

    *name = slash ? slash + 1 : path;
    if (!directory)
        return box_fail_nomem(err);
    if (!**name)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "a spec is written to a file, not to a directory");
    fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? box_fail_sys(err, "open", directory, "write a spec") : fd;
}

int box_spec_save(const box_spec *spec, const char *path, box_error **err)
{
    _free_ char *text = NULL;
    _close_ int parent = -1;
    const char *name;
    int r;

    if (!spec || !path)
        return box_fail(err, BOX_EINVAL, "box_spec_save: no spec, or no path");
    r = box_spec_format(spec, &text, err);
    if (r < 0)
        return r;
    parent = open_parent(path, &name, err);
    return parent < 0 ? parent : box_file_replace(parent, name, text, strlen(text), 0600, 0, err);
}
