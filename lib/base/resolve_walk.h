/* The resolver's walk by fd. For base/resolve.c alone; everybody else includes base/resolve.h. */
#ifndef BOX_BASE_RESOLVE_WALK_H
#define BOX_BASE_RESOLVE_WALK_H

#include "base/resolve.h"

enum box_walk_make { BOX_WALK_FIND, BOX_WALK_MAKE_DIR, BOX_WALK_MAKE_FILE };

/* Walks path from rootfd and opens what is there with open_flags. With make, what is missing is made as how
 * says, and made (not NULL then) tells what; made->path, when set, gets the resolved path. -EAGAIN: the tree
 * was changed under the walk; whatever had been made is gone again, so the caller may simply call again. */
int box_walk(int rootfd, const char *path, int open_flags, unsigned flags, enum box_walk_make make,
             const struct box_resolve_make *how, struct box_resolve_made *made);

/* open(2)'s flags as both ways use them: O_PATH allows few, the rest get O_CLOEXEC and O_NOCTTY. */
int box_walk_open_flags(int open_flags);

unsigned box_walk_length(const char *s);
void box_walk_copy(char *to, const char *from, unsigned n);

#endif
