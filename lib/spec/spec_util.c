/* Owned strings, vectors and arrays for the spec's setters. Each function either does all it says or leaves
 * its target as it was, so that a setter built from one of them keeps the same promise. */
#include "spec/spec_util.h"

#include <string.h>

int spec_string_set(char **field, const char *value, box_error **err)
{
    char *copy = value ? strdup(value) : NULL;

    if (value && !copy)
        return box_fail_nomem(err);
    free(*field);
    *field = copy;
    return 0;
}

int spec_strv_set(char ***field, char *const *values, box_error **err)
{
    char **copy = values ? box_strv_dup(values) : NULL;

    if (values && !copy)
        return box_fail_nomem(err);
    box_strv_free(*field);
    *field = copy;
    return 0;
}

int spec_strv_add(char ***field, const char *value, box_error **err)
{
    return box_strv_append(field, value) < 0 ? box_fail_nomem(err) : 0;
}

void spec_strv_remove(char **vector, size_t index)
{
    free(vector[index]);
    do
        vector[index] = vector[index + 1];
    while (vector[index++]);
}

char *const *spec_strv_or_empty(char *const *vector)
{
    static char *const empty[1];

    return vector ? vector : empty;
}

/* An array has room for a power of two of elements, so it is full exactly when its count is one. */
static size_t room_for(size_t count)
{
    size_t room = count ? 1 : 0;

    while (room && room < count)
        room *= 2;
    return room;
}

void *spec_array_add(void *list, size_t *count, size_t element_size, box_error **err)
{
    char **elements = list;
    size_t n = *count;

    if (room_for(n) == n) {
        char *grown = reallocarray(*elements, room_for(n + 1), element_size);

        if (!grown) {
            box_fail_nomem(err);
            return NULL;
        }
        *elements = grown;
    }
    *count = n + 1;
    return memset(*elements + n * element_size, 0, element_size);
}

int spec_array_copy(void *to, const void *from, size_t count, size_t element_size, box_error **err)
{
    void *copy = count ? reallocarray(NULL, room_for(count), element_size) : NULL;

    if (count && !copy)
        return box_fail_nomem(err);
    if (count)
        memcpy(copy, from, count * element_size);
    *(void **)to = copy;
    return 0;
}

void spec_array_remove(void *list, size_t *count, size_t element_size, size_t index)
{
    char *at = (char *)list + index * element_size;

    memmove(at, at + element_size, (*count - index - 1) * element_size);
    (*count)--;
}

char *spec_error_text(const box_error *inner)
{
    const char *message = box_error_message(inner), *subject = box_error_subject(inner);
    const char *name = box_after_prefix(subject, "linux.") ? strstr(message, subject) : NULL;

    return name && name - message > 2 ? strndup(message, (size_t)(name - message) - 2) : strdup(message);
}

int spec_need_text(const char *text, const char *what, box_error **err)
{
    if (!text || !*text)
        return box_fail(err, BOX_EINVAL, "%s: nothing is given", what);
    return 0;
}

int spec_need_absolute(const char *path, const char *what, box_error **err)
{
    int r = spec_need_text(path, what, err);

    if (r < 0)
        return r;
    if (path[0] != '/')
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path},
                             "%s must be an absolute path", what);
    return 0;
}
