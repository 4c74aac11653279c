/* OCI JSON from and to a spec, by tables: one line for each property says its name, its type, where it lives
 * in the struct and how large it may be. One engine reads and writes them all, so that a property is read,
 * written, range-checked and named in errors in the same way wherever it stands. What no table can say has a
 * pair of functions.
 *
 *     spec_json_engine.c     reading and writing by table
 *     spec_json_process.c    process
 *     spec_json_mounts.c     root, mounts, hooks, annotations, id mappings
 *     spec_json_linux.c      linux
 *     spec_json_resources.c  linux.resources
 *     spec_json_opaque.c     what is checked and kept, but not interpreted: intelRdt, netDevices,
 * memoryPolicy spec_json_libbox.c     libbox, our own spec_json_merge.c      puts back what only the loaded
 * document knew spec_json_text.c       a document as text spec_json.c            the whole document; files
 */
#ifndef BOX_SPEC_SPEC_JSON_H
#define BOX_SPEC_SPEC_JSON_H

#include "base/json.h"
#include "spec/spec_util.h"

enum spec_json_kind {
    SPEC_JSON_BOOL,
    SPEC_JSON_NUMBER, /* of `size` bytes, within min and max */
    SPEC_JSON_NAME,   /* an int, in JSON a name */
    SPEC_JSON_STRING,
    SPEC_JSON_STRINGS, /* at most `max` */
    SPEC_JSON_OBJECT,  /* a struct at `offset` */
    SPEC_JSON_LIST,    /* an array of structs, at most `max` */
    SPEC_JSON_MAP,     /* an object of strings as an array of struct spec_pair, at most `max` */
    SPEC_JSON_CUSTOM,
};

struct spec_json_type;

struct spec_json_field {
    const char *name;
    enum spec_json_kind kind;
    bool required;
    bool always;   /* written also when it is zero or empty, though a document may leave it out */
    size_t offset; /* of the value in the struct that the table is of */
    size_t has;    /* 1 + offset of a bool that is true when the property is there; 0: no such bool */
    size_t count;  /* offset of the number of elements */
    size_t size;   /* of a number */
    int64_t min;
    uint64_t max;
    const struct spec_json_type *type;                /* of an OBJECT, or of the elements of a LIST */
    int (*number)(const char *name, box_error **err); /* a NAME, and back */
    const char *(*name_of)(int number);
    /* CUSTOM. `at` is the property itself and is there; the writer adds it to `parent` where it is set. */
    int (*read)(const struct box_json_at *at, void *object, box_error **err);
    int (*write)(json_object *parent, const char *name, const void *object, box_error **err);
};

struct spec_json_type {
    const struct spec_json_field *fields;
    size_t n_fields;
    size_t size;                    /* of an element of a list */
    void (*prepare)(void *element); /* gives a zeroed element what zero does not stand for; may be NULL */
    /* What the parts cannot say by themselves, after all are read; may be NULL. */
    int (*check)(const struct box_json_at *at, void *object, box_error **err);
};

#define SPEC_JSON_TYPE(struct_, table_, ...)                                                    \
    {                                                                                           \
        .fields = (table_), .n_fields = BOX_ARRAY(table_), .size = sizeof(struct_), __VA_ARGS__ \
    }

/* ---- lines of a table: S is the struct, F the field -------------------------------------------------- */

#define J_HAS(S, H) .has = 1 + offsetof(S, H)
#define J_BOOL(N, S, F, ...)                                                     \
    {                                                                            \
        .name = N, .kind = SPEC_JSON_BOOL, .offset = offsetof(S, F), __VA_ARGS__ \
    }
#define J_STRING(N, S, F, ...)                                                     \
    {                                                                              \
        .name = N, .kind = SPEC_JSON_STRING, .offset = offsetof(S, F), __VA_ARGS__ \
    }
#define J_STRINGS(N, S, F, MAX, ...)                                                              \
    {                                                                                             \
        .name = N, .kind = SPEC_JSON_STRINGS, .offset = offsetof(S, F), .max = (MAX), __VA_ARGS__ \
    }
#define J_NUMBER(N, S, F, MIN, MAX, ...)                                                            \
    {                                                                                               \
        .name = N, .kind = SPEC_JSON_NUMBER, .offset = offsetof(S, F), .size = sizeof(((S *)0)->F), \
        .min = (MIN), .max = (MAX), __VA_ARGS__                                                     \
    }
#define J_NAME(N, S, F, NUMBER, NAME_OF, ...)                                            \
    {                                                                                    \
        .name = N, .kind = SPEC_JSON_NAME, .offset = offsetof(S, F), .number = (NUMBER), \
        .name_of = (NAME_OF), __VA_ARGS__                                                \
    }
#define J_OBJECT(N, S, F, TYPE, ...)                                                                \
    {                                                                                               \
        .name = N, .kind = SPEC_JSON_OBJECT, .offset = offsetof(S, F), .type = &(TYPE), __VA_ARGS__ \
    }
/* An object in JSON whose properties lie in the struct S itself. */
#define J_GROUP(N, TYPE, ...)                                             \
    {                                                                     \
        .name = N, .kind = SPEC_JSON_OBJECT, .type = &(TYPE), __VA_ARGS__ \
    }
#define J_LIST(N, S, F, COUNT, TYPE, MAX, ...)                                                    \
    {                                                                                             \
        .name = N, .kind = SPEC_JSON_LIST, .offset = offsetof(S, F), .count = offsetof(S, COUNT), \
        .type = &(TYPE), .max = (MAX), __VA_ARGS__                                                \
    }
#define J_MAP(N, S, F, COUNT, MAX, ...)                                                          \
    {                                                                                            \
        .name = N, .kind = SPEC_JSON_MAP, .offset = offsetof(S, F), .count = offsetof(S, COUNT), \
        .max = (MAX), __VA_ARGS__                                                                \
    }
#define J_CUSTOM(N, READ, WRITE, ...)                                                      \
    {                                                                                      \
        .name = N, .kind = SPEC_JSON_CUSTOM, .read = (READ), .write = (WRITE), __VA_ARGS__ \
    }

/* Longest arrays. The kernel takes fewer of most; these are what a document may ask a host to hold. */
enum {
    SPEC_JSON_MAX_STRINGS = 65536, /* args, env: bounded by the document's size anyway */
    SPEC_JSON_MAX_GROUPS = 65536,
    SPEC_JSON_MAX_MOUNTS = 4096,
    SPEC_JSON_MAX_RLIMITS = 1024,
    SPEC_JSON_MAX_HOOKS = 1024,
    SPEC_JSON_MAX_PAIRS = 16384,
    SPEC_JSON_MAX_NAMESPACES = 64,
    SPEC_JSON_MAX_DEVICES = 4096,
    SPEC_JSON_MAX_PATHS = 4096,
    SPEC_JSON_MAX_OPTIONS = 1024,
    SPEC_JSON_MAX_RULES = 4096,
    SPEC_JSON_MAX_CAPABILITIES = 1024,
};

/* Reads the object `at` into a struct. Properties that the table lacks are passed over: see
 * spec_json_merge(). */
int spec_json_read(const struct box_json_at *at, void *object, const struct spec_json_type *type,
                   box_error **err);
/* Adds the struct's properties to an object. */
int spec_json_write(json_object *parent, const void *object, const struct spec_json_type *type,
                    box_error **err);
/* The array `at`, with no more than max elements. */
int spec_json_length(const struct box_json_at *at, size_t max, size_t *length, box_error **err);
/* BOX_ELIMIT at a place. */
int spec_json_fail_limit(const struct box_json_at *at, box_error **err, const char *what, size_t max);
/* BOX_ESPEC and the like from a function that knows nothing of JSON: the place goes before its message. */
int spec_json_fail_at(const struct box_json_at *at, int code, box_error *inner, box_error **err);
/* A new member object, added to parent: borrowed. NULL: out of memory. */
json_object *spec_json_add_object(json_object *parent, const char *name, box_error **err);
json_object *spec_json_add_array(json_object *parent, const char *name, box_error **err);
/* Removes a member object that stayed empty. */
void spec_json_drop_if_empty(json_object *parent, const char *name);

/* ---- the areas --------------------------------------------------------------------------------------- */

extern const struct spec_json_type spec_json_process, spec_json_root, spec_json_mount, spec_json_hooks,
    spec_json_linux, spec_json_libbox;

int spec_json_read_idmap(const struct box_json_at *at, struct box_idmap **map, bool group, box_error **err);
int spec_json_write_idmap(json_object *parent, const char *name, const struct box_idmap *map, bool group,
                          box_error **err);
int spec_json_read_resources(const struct box_json_at *at, void *spec, box_error **err);
int spec_json_write_resources(json_object *parent, const char *name, const void *spec, box_error **err);
/* Checks the types of a part that is kept as JSON, and stores a copy of it. */
int spec_json_read_intel_rdt(const struct box_json_at *at, void *spec, box_error **err);
int spec_json_read_net_devices(const struct box_json_at *at, void *spec, box_error **err);
int spec_json_read_memory_policy(const struct box_json_at *at, void *spec, box_error **err);
int spec_json_write_intel_rdt(json_object *parent, const char *name, const void *spec, box_error **err);
int spec_json_write_net_devices(json_object *parent, const char *name, const void *spec, box_error **err);
int spec_json_write_memory_policy(json_object *parent, const char *name, const void *spec, box_error **err);

/* What to write now: `current` with what only the document knew put back. `rendered` is how the spec was
 * written right after it was loaded from `document`. A new object; NULL: out of memory. */
json_object *spec_json_merge(json_object *document, json_object *rendered, json_object *current,
                             box_error **err);
/* A document as text that ends in a line feed; malloc'ed. NULL: out of memory. */
char *spec_json_text(json_object *document);

#endif
