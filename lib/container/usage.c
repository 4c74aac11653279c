/* What containers take on disk, and removing those that are of no more use. */
#include "container/container.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/strings.h"

#define MOST_DEPTH 4096 /* a payload may nest directories as deep as it likes; what lies deeper is not counted */

/* Walked by descriptors and without following links, since the tree is the payload's; takes fd over. A file with several
 * names counts for each of them divided by their number. When descriptors run out, what is below is left out. */
static uint64_t size_of(int fd, unsigned depth)
{
    _closedir_ DIR *dir = fdopendir(fd);
    uint64_t bytes = 0;

    if (!dir)
        close(fd);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (!S_ISDIR(st.st_mode)) {
            bytes += (uint64_t)st.st_blocks * 512 / (st.st_nlink ? st.st_nlink : 1);
            continue;
        }
        int below = depth ? openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (below >= 0)
            bytes += size_of(below, depth - 1);
    }
    return bytes;
}

int box_container_size(const box_container *c, uint64_t *bytes, box_error **err)
{
    if (!c || !bytes)
        return box_fail(err, BOX_EINVAL, "box_container_size: arguments must not be NULL");
    *bytes = 0;
    if (!box_container_upper(c))
        return 0;
    int upper = openat(c->dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (upper < 0)
        return errno == ENOENT ? 0 : box_fail_sys(err, "openat", c->upper, "look at the writable layer");
    *bytes = size_of(upper, MOST_DEPTH);
    return 0;
}

static bool is_active(const box_container *c)
{
    enum box_container_state state = box_container_state(c);

    return state == BOX_CONTAINER_RUNNING || state == BOX_CONTAINER_PAUSED;
}

int box_container_usage(struct box_store *store, struct box_store_usage *usage, box_error **err)
{
    box_container **list = NULL;
    size_t n = 0;

    if (!store || !usage)
        return box_fail(err, BOX_EINVAL, "box_container_usage: arguments must not be NULL");
    int r = box_container_list(store, &list, &n, err);
    if (r < 0)
        return r;
    *usage = (struct box_store_usage){.count = n};
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = 0;
        box_container_size(list[i], &bytes, NULL); /* one that was removed meanwhile takes nothing */
        usage->bytes += bytes;
        usage->active += is_active(list[i]);
        usage->reclaimable += is_active(list[i]) ? 0 : bytes;
    }
    box_container_list_free(list);
    return 0;
}

int box_container_prune(struct box_store *store, int64_t before, box_container_removed_fn *report, void *data,
                        uint64_t *total, box_error **err)
{
    box_container **list = NULL;
    size_t n = 0;

    if (!store)
        return box_fail(err, BOX_EINVAL, "box_container_prune: the store must not be NULL");
    int r = box_container_list(store, &list, &n, err);
    if (total)
        *total = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        _cleanup_(box_error) box_error *why = NULL;
        uint64_t bytes = 0;
        if (is_active(list[i]) || (before && list[i]->created >= before))
            continue;
        if (total)
            box_container_size(list[i], &bytes, NULL);
        int removed = box_container_remove(list[i], 0, &why);
        if (removed == BOX_ESTATE || removed == BOX_ENOTFOUND) /* started, or removed, in between */
            continue;
        if (removed < 0) {
            r = removed;
            if (err)
                *err = box_take(why);
            break;
        }
        if (total)
            *total += bytes;
        if (report)
            report(list[i]->id, data);
    }
    box_container_list_free(list);
    return r < 0 ? r : 0;
}
