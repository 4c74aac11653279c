/* Growing an array that is kept as a pointer, a count and a capacity:
 *
 *     struct mount *m = box_array_add(&spec->mounts, &spec->mount_count, &spec->mount_capacity);
 *     if (!m)
 *         return box_fail_nomem(err);                    the array is as it was; m is zeroed otherwise
 */
#ifndef BOX_BASE_ARRAY_H
#define BOX_BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline void *box_array_add_(void *array, size_t *count, size_t *capacity, size_t size)
{
    void *items;
    char *added;

    memcpy(&items, array, sizeof(items));
    if (*count == *capacity) {
        size_t larger = *capacity ? *capacity * 2 : 8;
        void *grown;
        if (larger > SIZE_MAX / 2 / size)
            return NULL;
        grown = realloc(items, larger * size);
        if (!grown)
            return NULL;
        items = grown;
        memcpy(array, &items, sizeof(items));
        *capacity = larger;
    }
    added = (char *)items + *count * size;
    memset(added, 0, size);
    (*count)++;
    return added;
}

#define box_array_add(array, count, capacity) \
    ((__typeof__(*(array)))box_array_add_((array), (count), (capacity), sizeof(**(array))))

#endif
