/* Small tools for the spec's own files: owned strings, vectors of strings, growing arrays, and the table of
 * what a spec owns, from which it is copied and freed. */
#ifndef BOX_SPEC_SPEC_UTIL_H
#define BOX_SPEC_SPEC_UTIL_H

#include "base/fail.h"
#include "base/strings.h"
#include "spec/spec.h"

BOX_CLEANUP(box_spec, box_spec_free);

/* ---- strings: each of these leaves its target as it was when it fails -------------------------------- */

/* Replaces an owned string by a copy of `value`; NULL clears it. */
int spec_string_set(char **field, const char *value, box_error **err);
/* Replaces an owned vector by a copy of `values`; NULL clears it. */
int spec_strv_set(char ***field, char *const *values, box_error **err);
/* Appends a copy of one string. */
int spec_strv_add(char ***field, const char *value, box_error **err);
/* Takes out the string at an index. */
void spec_strv_remove(char **vector, size_t index);
/* An empty vector that is never written to, for getters. */
char *const *spec_strv_or_empty(char *const *vector);

/* A new zeroed element at the end of an array; the count is raised. NULL: out of memory, and nothing changed.
 */
void *spec_array_add(void *list, size_t *count, size_t element_size, box_error **err);
/* A plain copy of an array, stored in the pointer `to` points at. */
int spec_array_copy(void *to, const void *from, size_t count, size_t element_size, box_error **err);
/* Takes an element out; what it owned is the caller's to free first. */
void spec_array_remove(void *list, size_t *count, size_t element_size, size_t index);
#define SPEC_ADD(object, field, count, err)                                          \
    ((__typeof__((object)->field))spec_array_add(&(object)->field, &(object)->count, \
                                                 sizeof(*(object)->field), err))

/* The code of an error that a function which returns a pointer has stored; BOX_ENOMEM where nobody asked for
 * one. Where such a function can fail for other reasons, the public function asks on behalf of a caller who
 * does not, and hands over what it got. */
static inline int spec_code(box_error **err)
{
    return err && *err ? box_error_code(*err) : BOX_ENOMEM;
}

static inline int spec_hand_over(int code, box_error *inner, box_error **err)
{
    if (err && inner)
        *err = inner;
    else
        box_error_free(inner);
    return code;
}

/* What an error of a lower floor says, for one that has a better name for the field: without the field's name
 * that floor gave, if its subject is one. Malloc'ed; NULL: out of memory. */
char *spec_error_text(const box_error *inner);

/* ---- arguments of setters ---------------------------------------------------------------------------- */

/* BOX_EINVAL unless the text is there and not empty; `what` names the argument. */
int spec_need_text(const char *text, const char *what, box_error **err);
/* BOX_EINVAL unless the path is absolute. */
int spec_need_absolute(const char *path, const char *what, box_error **err);

/* ---- pieces of the setters that several files use ---------------------------------------------------- */

/* Sets a key of a map such as spec->sysctl. */
int spec_pair_set(struct spec_pair **pairs, size_t *n, const char *key, const char *value, box_error **err);
/* Appends a key that is not there yet. */
int spec_pair_add(struct spec_pair **pairs, size_t *n, const char *key, const char *value, box_error **err);
/* The id map of an ordinary user's container. */
int spec_default_idmap(box_spec *spec, box_error **err);
/* Whether rootfsPropagation can have this value. */
bool spec_propagation_known(const char *name);

/* ---- what a struct owns ------------------------------------------------------------------------------ */

enum spec_owned_kind {
    SPEC_OWNED_STRING,   /* char * */
    SPEC_OWNED_STRV,     /* char ** */
    SPEC_OWNED_BLOCK,    /* an array of plain elements: `size` bytes each, their number at `count` */
    SPEC_OWNED_LIST,     /* an array of structs that own something: `type`, their number at `count` */
    SPEC_OWNED_INLINE,   /* `n` structs of `type` inside this one */
    SPEC_OWNED_FD,       /* int, -1 for none */
    SPEC_OWNED_JSON,     /* struct json_object * */
    SPEC_OWNED_IDMAP,    /* struct box_idmap * */
    SPEC_OWNED_LIMITS,   /* struct box_limits * */
    SPEC_OWNED_SECCOMP,  /* struct box_seccomp * */
    SPEC_OWNED_LANDLOCK, /* struct box_landlock * */
};

struct spec_owned;
struct spec_owned_type {
    size_t size;
    const struct spec_owned *owned;
    size_t n_owned;
};

struct spec_owned {
    enum spec_owned_kind kind;
    size_t offset;
    size_t count;                       /* offset of the count; for SPEC_OWNED_INLINE the number itself */
    size_t size;                        /* of an element of a SPEC_OWNED_BLOCK */
    const struct spec_owned_type *type; /* of an element */
};

/* Frees what an object owns, not the object; all of it is NULL (or -1) afterwards. */
void spec_owned_clear(void *object, const struct spec_owned_type *type);
/* Makes *to a copy of *from that shares nothing with it. On failure *to owns nothing. */
int spec_owned_copy(void *to, const void *from, const struct spec_owned_type *type, box_error **err);

extern const struct spec_owned_type spec_type, spec_mount_type, spec_hook_type, spec_pair_type,
    spec_device_type;

#endif
