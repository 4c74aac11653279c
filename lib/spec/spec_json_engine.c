/* Reads and writes structs by their tables. Every array is measured before it is filled, every number is held
 * against its field, and an error names the place in the document. What has been read when an error occurs
 * belongs to the struct already, so that freeing the spec frees it. */
#include "spec/spec_json.h"

#include <string.h>

#define AT(object_, offset_) ((void *)((char *)(uintptr_t)(object_) + (offset_)))

/* ---- errors ------------------------------------------------------------------------------------------ */

int spec_json_fail_limit(const struct box_json_at *at, box_error **err, const char *what, size_t max)
{
    _free_ char *path = box_json_path(at);

    return box_fail(err, BOX_ELIMIT, "%s: more than %zu %s", path ? path : "?", max, what);
}

int spec_json_fail_at(const struct box_json_at *at, int code, box_error *inner, box_error **err)
{
    _free_ char *path = box_json_path(at), *text = spec_error_text(inner);
    int r;

    if (code == BOX_ENOMEM || !path || !text)
        r = box_fail_nomem(err);
    else
        r = box_fail_with(err, &(struct box_fail_info){.code = code, .remedy = box_error_remedy(inner)},
                          "%s: %s", path, text);
    box_error_free(inner);
    return r;
}

int spec_json_length(const struct box_json_at *at, size_t max, size_t *length, box_error **err)
{
    int r = box_json_as_array(at, length, err);

    return r == 0 && *length > max ? spec_json_fail_limit(at, err, "elements", max) : r;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static void store_number(void *to, size_t size, uint64_t value)
{
    switch (size) {
    case 1:
        *(uint8_t *)to = (uint8_t)value;
        break;
    case 2:
        *(uint16_t *)to = (uint16_t)value;
        break;
    case 4:
        *(uint32_t *)to = (uint32_t)value;
        break;
    default:
        *(uint64_t *)to = value;
        break;
    }
}

static int read_number(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                       box_error **err)
{
    uint64_t value = 0;
    int64_t number = 0;
    int r;

    if (f->min < 0) {
        r = box_json_as_i64(at, f->min, (int64_t)f->max, &number, err);
        value = (uint64_t)number;
    } else {
        r = box_json_as_u64(at, (uint64_t)f->min, f->max, &value, err);
    }
    if (r == 0)
        store_number(AT(object, f->offset), f->size, value);
    return r;
}

static int read_name(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                     box_error **err)
{
    const char *text;
    int number, r = box_json_as_string(at, &text, err);

    if (r < 0)
        return r;
    number = f->number(text, NULL);
    if (number < 0)
        return box_json_fail(at, err, "\"%s\" is not known", text);
    *(int *)AT(object, f->offset) = number;
    return 0;
}

static int read_string(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                       box_error **err)
{
    const char *text;
    int r = box_json_as_string(at, &text, err);

    if (r < 0)
        return r;
    /* Go's encoders leave an empty string out or write it, as they please: it means the same. */
    if (!*text)
        return f->required ? box_json_fail(at, err, "is empty") : 0;
    return spec_string_set(AT(object, f->offset), text, err);
}

static int read_strings(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                        box_error **err)
{
    _strv_ char **vector = NULL;
    char ***field = AT(object, f->offset);
    size_t length;
    int r = spec_json_length(at, f->max, &length, err);

    if (r < 0)
        return r;
    vector = calloc(length + 1, sizeof(*vector));
    if (!vector)
        return box_fail_nomem(err);
    for (size_t i = 0; i < length; i++) {
        struct box_json_at element = box_json_element(at, i);
        const char *text;

        r = box_json_as_string(&element, &text, err);
        if (r < 0)
            return r;
        vector[i] = strdup(text);
        if (!vector[i])
            return box_fail_nomem(err);
    }
    box_strv_free(*field);
    *field = box_take(vector);
    return 0;
}

static int read_list(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                     box_error **err)
{
    size_t length;
    int r = spec_json_length(at, f->max, &length, err);

    for (size_t i = 0; i < length && r == 0; i++) {
        struct box_json_at element = box_json_element(at, i);
        void *added = spec_array_add(AT(object, f->offset), AT(object, f->count), f->type->size, err);

        if (!added)
            return BOX_ENOMEM;
        if (f->type->prepare)
            f->type->prepare(added);
        r = spec_json_read(&element, added, f->type, err);
    }
    return r;
}

struct map_reader {
    void *object;
    const struct spec_json_field *field;
};

static int read_map_member(const struct box_json_at *member, void *data, box_error **err)
{
    struct map_reader *reader = data;
    const char *value;
    int r;

    if (!*member->key)
        return box_json_fail(member->up, err, "a key is empty");
    r = box_json_as_string(member, &value, err);
    /* The keys of an object are distinct already. */
    return r < 0 ? r
                 : spec_pair_add(AT(reader->object, reader->field->offset),
                                 AT(reader->object, reader->field->count), member->key, value, err);
}

static int read_map(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                    box_error **err)
{
    struct map_reader reader = {object, f};
    int r = box_json_as_object(at, err);

    if (r < 0)
        return r;
    if ((size_t)json_object_object_length(at->json) > f->max)
        return spec_json_fail_limit(at, err, "keys", f->max);
    return box_json_each(at, read_map_member, &reader, err);
}

static int read_field(const struct box_json_at *at, void *object, const struct spec_json_field *f,
                      box_error **err)
{
    switch (f->kind) {
    case SPEC_JSON_BOOL:
        return box_json_as_bool(at, AT(object, f->offset), err);
    case SPEC_JSON_NUMBER:
        return read_number(at, object, f, err);
    case SPEC_JSON_NAME:
        return read_name(at, object, f, err);
    case SPEC_JSON_STRING:
        return read_string(at, object, f, err);
    case SPEC_JSON_STRINGS:
        return read_strings(at, object, f, err);
    case SPEC_JSON_OBJECT:
        return spec_json_read(at, AT(object, f->offset), f->type, err);
    case SPEC_JSON_LIST:
        return read_list(at, object, f, err);
    case SPEC_JSON_MAP:
        return read_map(at, object, f, err);
    case SPEC_JSON_CUSTOM:
        return f->read(at, object, err);
    }
    return 0;
}

int spec_json_read(const struct box_json_at *at, void *object, const struct spec_json_type *type,
                   box_error **err)
{
    int r = box_json_as_object(at, err);

    for (size_t i = 0; i < type->n_fields && r == 0; i++) {
        const struct spec_json_field *f = &type->fields[i];
        struct box_json_at member;

        r = box_json_get(at, f->name, f->required ? BOX_JSON_REQUIRED : BOX_JSON_OPTIONAL, &member, err);
        if (r < 0 || !member.json)
            continue;
        r = read_field(&member, object, f, err);
        if (r == 0 && f->has)
            *(bool *)AT(object, f->has - 1) = true;
    }
    return r == 0 && type->check ? type->check(at, object, err) : r;
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static json_object *add(json_object *parent, const char *name, json_object *value, box_error **err)
{
    return box_json_put(parent, name, value, err) < 0 ? NULL : value;
}

json_object *spec_json_add_object(json_object *parent, const char *name, box_error **err)
{
    return add(parent, name, json_object_new_object(), err);
}

json_object *spec_json_add_array(json_object *parent, const char *name, box_error **err)
{
    return add(parent, name, json_object_new_array(), err);
}

void spec_json_drop_if_empty(json_object *parent, const char *name)
{
    json_object *value = json_object_object_get(parent, name);

    if (value && json_object_object_length(value) == 0)
        json_object_object_del(parent, name);
}

static uint64_t load_number(const void *from, size_t size, bool is_signed)
{
    switch (size) {
    case 1:
        return is_signed ? (uint64_t)(int64_t)(*(const int8_t *)from) : *(const uint8_t *)from;
    case 2:
        return is_signed ? (uint64_t)(int64_t)(*(const int16_t *)from) : *(const uint16_t *)from;
    case 4:
        return is_signed ? (uint64_t)(int64_t)(*(const int32_t *)from) : *(const uint32_t *)from;
    default:
        return *(const uint64_t *)from;
    }
}

/* Whether a scalar is to be written: as its flag says; without one, when it is not what absence stands for.
 */
static bool is_set(const void *object, const struct spec_json_field *f, bool not_zero)
{
    return f->has ? *(const bool *)AT(object, f->has - 1) : not_zero || f->required || f->always;
}

static int write_number(json_object *parent, const void *object, const struct spec_json_field *f,
                        box_error **err)
{
    uint64_t value = load_number(AT(object, f->offset), f->size, f->min < 0);

    if (!is_set(object, f, value != 0))
        return 0;
    return f->min < 0 ? box_json_put_i64(parent, f->name, (int64_t)value, err)
                      : box_json_put_u64(parent, f->name, value, err);
}

static int write_bool(json_object *parent, const void *object, const struct spec_json_field *f,
                      box_error **err)
{
    bool value = *(const bool *)AT(object, f->offset);

    return is_set(object, f, value) ? box_json_put_bool(parent, f->name, value, err) : 0;
}

static int write_name(json_object *parent, const void *object, const struct spec_json_field *f,
                      box_error **err)
{
    const char *name = f->name_of(*(const int *)AT(object, f->offset));

    return is_set(object, f, true) && name ? box_json_put_string(parent, f->name, name, err) : 0;
}

static int write_string(json_object *parent, const void *object, const struct spec_json_field *f,
                        box_error **err)
{
    const char *text = *(char *const *)AT(object, f->offset);

    return text ? box_json_put_string(parent, f->name, text, err) : 0;
}

static int write_object(json_object *parent, const void *object, const struct spec_json_field *f,
                        box_error **err)
{
    json_object *value;
    int r;

    if (f->has && !is_set(object, f, false))
        return 0;
    value = spec_json_add_object(parent, f->name, err);
    if (!value)
        return BOX_ENOMEM;
    r = spec_json_write(value, AT(object, f->offset), f->type, err);
    if (r == 0 && !f->has && !f->required && !f->always)
        spec_json_drop_if_empty(parent, f->name);
    return r;
}

static int write_list(json_object *parent, const void *object, const struct spec_json_field *f,
                      box_error **err)
{
    const char *elements = *(char *const *)AT(object, f->offset);
    size_t n = *(const size_t *)AT(object, f->count);
    json_object *array = n ? spec_json_add_array(parent, f->name, err) : NULL;
    int r = n && !array ? BOX_ENOMEM : 0;

    for (size_t i = 0; i < n && r == 0; i++) {
        json_object *element = json_object_new_object();

        r = box_json_append(array, element, err);
        if (r == 0)
            r = spec_json_write(element, elements + i * f->type->size, f->type, err);
    }
    return r;
}

static int write_map(json_object *parent, const void *object, const struct spec_json_field *f,
                     box_error **err)
{
    const struct spec_pair *pairs = *(struct spec_pair *const *)AT(object, f->offset);
    size_t n = *(const size_t *)AT(object, f->count);
    json_object *map = n ? spec_json_add_object(parent, f->name, err) : NULL;
    int r = n && !map ? BOX_ENOMEM : 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = box_json_put_string(map, pairs[i].key, pairs[i].value, err);
    return r;
}

static int write_field(json_object *parent, const void *object, const struct spec_json_field *f,
                       box_error **err)
{
    char *const *vector;

    switch (f->kind) {
    case SPEC_JSON_BOOL:
        return write_bool(parent, object, f, err);
    case SPEC_JSON_NUMBER:
        return write_number(parent, object, f, err);
    case SPEC_JSON_NAME:
        return write_name(parent, object, f, err);
    case SPEC_JSON_STRING:
        return write_string(parent, object, f, err);
    case SPEC_JSON_STRINGS:
        vector = *(char *const *const *)AT(object, f->offset);
        return vector ? box_json_put_strings(parent, f->name, vector, err) : 0;
    case SPEC_JSON_OBJECT:
        return write_object(parent, object, f, err);
    case SPEC_JSON_LIST:
        return write_list(parent, object, f, err);
    case SPEC_JSON_MAP:
        return write_map(parent, object, f, err);
    case SPEC_JSON_CUSTOM:
        return f->write(parent, f->name, object, err);
    }
    return 0;
}

int spec_json_write(json_object *parent, const void *object, const struct spec_json_type *type,
                    box_error **err)
{
    int r = 0;

    for (size_t i = 0; i < type->n_fields && r == 0; i++)
        r = write_field(parent, object, &type->fields[i], err);
    return r;
}
