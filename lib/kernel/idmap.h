/* Id maps as the rest of the library sees them: prepared once, written fast. Public face: libbox/idmap.h. */
#ifndef BOX_KERNEL_IDMAP_H
#define BOX_KERNEL_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <libbox/idmap.h>
#include "base/cleanup.h"

struct box_idmap {
    struct {
        box_idmap_range *ranges;
        size_t n;
    } kind[2]; /* enum box_idmap_kind */
};

/* A map in the form in which it is written, so that a start does no formatting: immutable, for any number of
 * threads. It does not refer to the box_idmap that it was made from. */
struct box_idmap_ready {
    struct {
        char *text; /* for /proc/PID/uid_map; NULL for an empty kind, which is not written */
        size_t length;
        char **numbers; /* newuidmap's arguments after the process's number */
        box_idmap_range first;
        size_t n; /* ranges */
    } kind[2];
};

/* BOX_ELIMIT when the text would not fit one page, which is the kernel's limit on one write. */
int box_idmap_prepare(const box_idmap *map, struct box_idmap_ready *ready, box_error **err);
void box_idmap_ready_clear(struct box_idmap_ready *ready);
/* box_idmap_apply() for a prepared map. */
int box_idmap_write(const struct box_idmap_ready *ready, pid_t pid, box_error **err);

/* What to do when a new user namespace was refused with this errno: the sysctl that forbids it, by name.
 * Static; "" when nothing is known. */
const char *box_userns_remedy(int errnum);

BOX_CLEANUP(box_idmap, box_idmap_free);
#define _cleanup_idmap_ready_ __attribute__((cleanup(box_idmap_ready_clear)))

#endif
