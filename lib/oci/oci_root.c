/* The root of a container without a mount namespace of its own.
 *
 * Such a container's mounts are made in the caller's namespace, and nothing but its deletion takes them away again. So the
 * root is first mounted on itself, privately: everything comes to lie below that one mount, nothing of it spreads, and one
 * unmount ends it all. In order: the mount is made, attached nowhere; its id is noted in the state; it is put in place. A
 * kill between the last two leaves a note that fits nothing, and delete touches only a mount that fits. */
#include "oci/oci.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libbox/mount.h>

#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000u /* Linux 6.8; before, ids are given again once they are free */
#endif

BOX_CLEANUP(box_mount, box_mount_free);

static uint64_t mount_of(int fd)
{
    struct statx st;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID_UNIQUE, &st) == 0 && st.stx_mask & STATX_MNT_ID_UNIQUE)
        return st.stx_mnt_id;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0 && st.stx_mask & STATX_MNT_ID)
        return st.stx_mnt_id;
    return 0;
}

int oci_root_make(struct oci_container *c, box_error **err)
{
    _cleanup_(box_mount) box_mount *mount = NULL;

    if (!c->spec->chroot)
        return 0;
    _close_ int root = open(c->rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        return box_fail_sys(err, "open", c->rootfs, "root.path");
    int r = box_mount_clone(root, BOX_MOUNT_RECURSIVE, &mount, err);
    if (r >= 0)
        r = box_mount_set_propagation(mount, BOX_MOUNT_PRIVATE, true, err);
    if (r < 0)
        return box_fail_wrap(err, r, "root.path");
    c->root_mount = mount_of(box_mount_fd(mount));
    if (!c->root_mount)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .subject = "linux.namespaces",
                                                          .remedy = "ask for a mount namespace"},
                             "without a mount namespace, mounts must have ids (Linux 5.8), so that they can be taken away again");
    if ((r = oci_save_state(c, c->dir, err)) < 0)
        return r;
    return box_mount_attach(mount, root, err);
}

void oci_root_remove(struct oci_container *c)
{
    if (!c->root_mount)
        return;
    _close_ int root = open(c->rootfs, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root >= 0 && mount_of(root) == c->root_mount)
        box_mount_detach(root, NULL);
}
