/* The union of layers that are not mounted, one name at a time. */
#include "spec/layers.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "kernel/mount.h"

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Whether the directory hides all layers below it. O_PATH descriptors have no xattrs, so it is opened. */
static bool is_opaque(int dirfd)
{
    _close_ int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    char value = 0;

    return fd >= 0 && box_overlay_mark(fd, "opaque", &value, 1) == 1 && value == 'y';
}

enum step { STEP_FOUND, STEP_BELOW, STEP_HIDDEN };

/* Looks for path (relative, no links in it in the union) in one layer. STEP_BELOW: this layer says nothing
 * about it; STEP_HIDDEN: it says that there is none. */
static int look_in_layer(int layer, const char *path, struct box_layers_found *found)
{
    _close_ int dir = openat(layer, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool opaque = false;

    while (dir >= 0) {
        char name[NAME_MAX + 1];
        size_t n = strcspn(path, "/");
        bool last = path[n] == '\0';
        struct stat st;

        if (n > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, path, n);
        name[n] = '\0';
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno != ENOENT ? -errno : opaque ? STEP_HIDDEN : STEP_BELOW;
        if (is_whiteout(&st) || (!last && !S_ISDIR(st.st_mode)))
            return STEP_HIDDEN;
        if (last) {
            found->dirfd = box_take_fd(&dir);
            found->st = st;
            return STEP_FOUND;
        }
        int next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return -errno;
        close(dir);
        dir = next;
        opaque = opaque || is_opaque(dir);
        path += n + 1;
    }
    return -errno;
}

int box_layers_find(const int *layers, size_t n_layers, const char *path, struct box_layers_found *found)
{
    for (size_t i = 0; i < n_layers; i++) {
        int r = look_in_layer(layers[i], path, found);
        if (r == STEP_FOUND || r < 0)
            return r;
        if (r == STEP_HIDDEN)
            break;
    }
    return -ENOENT;
}
