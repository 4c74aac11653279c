/* Images that tests write, mounted on a directory of the scratch directory, in a mount namespace of the test's own;
 * and looked through by fsck.erofs where that is installed. */
#ifndef TEST_IMAGE_UNPACK_MOUNT_H
#define TEST_IMAGE_UNPACK_MOUNT_H

#include "../base/scratch.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "image/layer_erofs.h"
#include "kernel/mount_image.h"
#include "kernel/mount_sys.h"

/* Once in a test: the namespace is made here. */
static inline bool can_mount_images(void)
{
    if (geteuid() != 0 || !box_erofs_probe(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)) ||
        unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    if (scratch_fd >= 0) { /* it belongs to the namespace from before */
        close(scratch_fd);
        scratch_fd = open(scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return true;
}

/* The root of the mount. */
static inline int mount_image_on(int image, const char *name)
{
    box_error *why = NULL;
    int fd = box_mount_image(image, &why);

    cr_assert_geq(fd, 0, "%s", box_error_message(why));
    cr_assert_eq(k_move_mount(fd, "", scratch_fd, name, K_MOVE_MOUNT_F_EMPTY), 0, "move_mount: %s", strerror(errno));
    close(fd);
    fd = openat(scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    return fd;
}

static inline void check_image(int image)
{
    char command[128];

    if (system("command -v fsck.erofs >/dev/null 2>&1") != 0)
        return;
    snprintf(command, sizeof(command), "fsck.erofs /proc/%d/fd/%d >/dev/null 2>&1", getpid(), image);
    cr_assert_eq(system(command), 0, "fsck.erofs finds fault with the image");
}

#endif
