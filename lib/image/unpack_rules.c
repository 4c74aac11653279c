/* Unpacking a layer: what an entry may be. Each of these rules holds for a layer that becomes a directory as well as
 * for one that becomes an image. */
#include "image/unpack_parts.h"

#include <string.h>

#include "base/strings.h"

#define ID_MAX 4294967294

bool unpack_keeps_xattr(const struct unpack *u, const char *name)
{
    if (box_after_prefix(name, "user."))
        return !box_after_prefix(name, "user.overlay.");
    return u->how->privileged && strcmp(name, "security.capability") == 0;
}

int unpack_check_owner(const struct unpack *u, box_error **err)
{
    const struct box_tar_entry *e = &u->entry;

    if (e->uid >= 0 && e->uid <= ID_MAX && e->gid >= 0 && e->gid <= ID_MAX)
        return 0;
    return unpack_fail(u, BOX_EPARSE, err, "the owner %lld:%lld is no pair of ids", (long long)e->uid,
                       (long long)e->gid);
}

struct timespec unpack_mtime(const struct unpack *u)
{
    struct timespec t = u->entry.mtime;

    if (t.tv_nsec < 0 || t.tv_nsec > 999999999)
        t.tv_nsec = 0;
    return t;
}

int unpack_check_size(const struct unpack *u, box_error **err)
{
    const box_image_limits *limits = u->how->limits;

    if (u->entry.size > limits->file_bytes)
        return unpack_fail(u, BOX_ELIMIT, err, "a file of %llu bytes is larger than the limit of %llu",
                           (unsigned long long)u->entry.size, (unsigned long long)limits->file_bytes);
    return 0;
}

int unpack_count_piece(struct unpack *u, uint64_t at, size_t length, box_error **err)
{
    if (at > u->entry.size || length > u->entry.size - at)
        return unpack_fail(u, BOX_EPARSE, err, "its data do not fit into its size");
    u->record->bytes += length;
    if (u->record->bytes > u->how->limits->layer_bytes)
        return unpack_fail(u, BOX_ELIMIT, err, "the layer holds more than the limit of %llu bytes",
                           (unsigned long long)u->how->limits->layer_bytes);
    return 0;
}

int unpack_check_target(const struct unpack *u, box_error **err)
{
    if (*u->entry.link && strlen(u->entry.link) < PATH_MAX)
        return 0;
    return unpack_fail(u, BOX_EPARSE, err, "a symbolic link without a target, or with one that is too long");
}

int unpack_check_source(const struct unpack *u, box_error **err)
{
    for (const char *path = u->entry.link; *path;) {
        size_t n = strcspn(path, "/");
        if (n == 2 && path[0] == '.' && path[1] == '.')
            return unpack_fail(u, BOX_EESCAPE, err, "the hard link's source \"%s\" has \"..\" in it",
                               u->entry.link);
        path += n + (path[n] == '/');
    }
    return 0;
}

int unpack_fail_source(const struct unpack *u, int result, box_error **err)
{
    if (result == -ENOENT || result == -ENOTDIR)
        return unpack_fail(u, BOX_EPARSE, err, "the hard link's source \"%s\" is not in the layer",
                           u->entry.link);
    if (result == -EINVAL || result == -ELOOP || result == -ENAMETOOLONG)
        return unpack_fail(u, BOX_EESCAPE, err, "the hard link's source \"%s\" is no name in the layer",
                           u->entry.link);
    errno = -result;
    return unpack_fail_sys(u, "openat2", err, "cannot open the hard link's source \"%s\"", u->entry.link);
}

int unpack_check_node(const struct unpack *u, box_error **err)
{
    if (u->entry.type == BOX_TAR_CHAR && u->entry.rdev == 0)
        return unpack_fail(u, BOX_EPARSE, err, "the archive brings a device 0/0, which is overlay's own mark");
    return 0;
}

const char *unpack_hidden_name(const struct unpack *u)
{
    const char *slash = strrchr(u->name, '/');

    return box_after_prefix(slash ? slash + 1 : u->name, UNPACK_WHITEOUT_PREFIX);
}

int unpack_check_hidden(const struct unpack *u, const char *name, box_error **err)
{
    if (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return unpack_fail(u, BOX_EESCAPE, err, "a whiteout that names nothing in its directory");
    return 0;
}

int unpack_fail_walk(const struct unpack *u, int result, const char *path, box_error **err)
{
    if (result == -ENOTDIR)
        return unpack_fail(u, BOX_EPARSE, err, "something that is no directory stands at \"%s\"", path);
    if (result == -ENAMETOOLONG)
        return unpack_fail(u, BOX_ELIMIT, err, "a component of the name is too long");
    if (result == -ELOOP)
        return unpack_fail(u, BOX_EPARSE, err, "the links at \"%s\" lead nowhere", path);
    errno = -result;
    return unpack_fail_sys(u, "openat2", err, "cannot open directory \"%s\"", path);
}
