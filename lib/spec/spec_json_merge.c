/* Saving without loss. A struct cannot hold all that a document says: properties of a later version, how a
 * number was spelled, that an array was there and empty. So the document is kept, together with the way this
 * library wrote the spec at that moment, and saving is a three-way merge: where the spec is written as it was
 * then, the document's own text stands; where it is written differently, somebody has set it since, and the
 * new text stands.
 *
 *     document   rendered   current   written
 *     A          A          A         A
 *     A          B          B         A         another spelling of the same
 *     A          -          -         A         what this library does not know, or does not write
 *     A          B          C         C         set since
 *     A          B          -         -         taken away since
 *     -          -          C         C         added since
 *     -          B          B         -         a default that the document leaves out
 *
 * Objects are merged key by key. Elements of an array belong together by what names them (a mount's
 * destination, a device's path); of the same name, in turn. */
#include "spec/spec_json.h"

#include <string.h>

/* Merges into *out, a reference of the caller's; NULL stands for "absent". */
static int merge(json_object *document, json_object *rendered, json_object *current, json_object **out,
                 box_error **err);

static bool is_object(json_object *value)
{
    return json_object_is_type(value, json_type_object);
}

static bool is_array(json_object *value)
{
    return json_object_is_type(value, json_type_array);
}

/* A member that may be null, which json-c shows as NULL: the bool tells that from absence. */
static bool get(json_object *object, const char *key, json_object **value)
{
    *value = NULL;
    return object && json_object_object_get_ex(object, key, value);
}

/* A copy of a part of the document: the spec is const here, and counting references would write to it. */
static int take_from_document(json_object *value, json_object **out, box_error **err)
{
    *out = NULL;
    return value && json_object_deep_copy(value, out, NULL) < 0 ? box_fail_nomem(err) : 0;
}

static int put(json_object *object, const char *key, json_object *value, box_error **err)
{
    if (json_object_object_add(object, key, value) < 0) {
        json_object_put(value);
        return box_fail_nomem(err);
    }
    return 0;
}

static int merge_known(json_object *document, json_object *rendered, json_object *current,
                       json_object *result, box_error **err)
{
    struct json_object_iter i;

    json_object_object_foreachC(current, i)
    {
        json_object *was, *now = NULL, *old;
        bool in_document = get(document, i.key, &old), in_rendered = get(rendered, i.key, &was);
        int r = 0;

        if (in_rendered && !in_document && json_object_equal(was, i.val))
            continue;
        if (in_rendered && in_document)
            r = merge(old, was, i.val, &now, err);
        else
            now = json_object_get(i.val);
        if (r == 0)
            r = put(result, i.key, now, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int merge_unknown(json_object *document, json_object *rendered, json_object *current,
                         json_object *result, box_error **err)
{
    struct json_object_iter i;

    json_object_object_foreachC(document, i)
    {
        json_object *other, *copy;
        int r;

        if (get(current, i.key, &other) || get(rendered, i.key, &other))
            continue;
        r = take_from_document(i.val, &copy, err);
        if (r == 0)
            r = put(result, i.key, copy, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int merge_objects(json_object *document, json_object *rendered, json_object *current,
                         json_object **out, box_error **err)
{
    _cleanup_(json_object) json_object *result = json_object_new_object();
    int r = result ? merge_known(document, rendered, current, result, err) : box_fail_nomem(err);

    if (r == 0)
        r = merge_unknown(document, rendered, current, result, err);
    if (r == 0)
        *out = box_take(result);
    return r;
}

/* What names an element of an array of objects; NULL: nothing does. */
static json_object *name_of(json_object *element)
{
    static const char *const keys[] = {"destination", "path", "pageSize",   "name",
                                       "names",       "type", "containerID"};
    json_object *value;

    for (size_t i = 0; is_object(element) && i < BOX_ARRAY(keys); i++)
        if (get(element, keys[i], &value))
            return value;
    return NULL;
}

/* The element of `rendered` that `element` is, not before `from`; the length when there is none. */
static size_t find(json_object *rendered, json_object *element, size_t from)
{
    size_t n = json_object_array_length(rendered);
    json_object *name = name_of(element);

    for (size_t i = from; i < n; i++) {
        json_object *candidate = json_object_array_get_idx(rendered, i);

        if (json_object_equal(candidate, element) || (name && json_object_equal(name_of(candidate), name)))
            return i;
    }
    return n;
}

/* Elements keep their order unless the spec was changed very much; so the search goes forward only. */
static int merge_arrays(json_object *document, json_object *rendered, json_object *current, json_object **out,
                        box_error **err)
{
    _cleanup_(json_object) json_object *result = json_object_new_array();
    size_t n = json_object_array_length(rendered), from = 0;

    if (!result)
        return box_fail_nomem(err);
    for (size_t i = 0; i < json_object_array_length(current); i++) {
        json_object *element = json_object_array_get_idx(current, i), *now = NULL;
        size_t at = find(rendered, element, from);
        int r = 0;

        if (at < n) {
            r = merge(json_object_array_get_idx(document, at), json_object_array_get_idx(rendered, at),
                      element, &now, err);
            from = at + 1;
        } else {
            now = json_object_get(element);
        }
        if (r == 0 && json_object_array_add(result, now) < 0) {
            json_object_put(now);
            r = box_fail_nomem(err);
        }
        if (r < 0)
            return r;
    }
    *out = box_take(result);
    return 0;
}

static int merge(json_object *document, json_object *rendered, json_object *current, json_object **out,
                 box_error **err)
{
    if (json_object_equal(rendered, current))
        return take_from_document(document, out, err);
    if (is_object(document) && is_object(rendered) && is_object(current))
        return merge_objects(document, rendered, current, out, err);
    /* The elements of document and rendered answer to each other only where each was written. */
    if (is_array(document) && is_array(rendered) && is_array(current) &&
        json_object_array_length(document) == json_object_array_length(rendered))
        return merge_arrays(document, rendered, current, out, err);
    *out = json_object_get(current);
    return 0;
}

json_object *spec_json_merge(json_object *document, json_object *rendered, json_object *current,
                             box_error **err)
{
    json_object *out = NULL;

    return merge(document, rendered, current, &out, err) < 0 ? NULL : out;
}
