/* Layers that are EROFS images: each is mounted, attached nowhere, for the overlay to take as a lower directory. The
 * mount is made here, in the container's mount namespace or before it, so that nothing of it stays in the host's.
 *
 * The images are files of the store's, which libbox wrote itself. */
#include "launch/stage/stage.h"

#include <asm/errno.h>
#include <linux/fcntl.h>
#include <linux/loop.h>
#include <linux/mount.h>

#define LOOP_TRIES 64 /* others may take the free device that the kernel named */

/* A loop device for the file, which is let go of with its last use. */
static int take_loop(struct stage *s, const char *path, char *device, size_t size)
{
    struct loop_config config = {.block_size = 4096, .info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR}};
    int file = (int)STAGE_TRY(s, openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    int control = (int)STAGE_TRY(s, openat, AT_FDCWD, "/dev/loop-control", O_RDWR | O_CLOEXEC);
    long r = -EBUSY;

    config.fd = (uint32_t)file;
    for (int tries = 0; r == -EBUSY && tries < LOOP_TRIES; tries++) {
        long number = STAGE_TRY(s, ioctl, control, LOOP_CTL_GET_FREE);
        device[0] = 0;
        stage_append(device, size, "/dev/loop");
        stage_append_number(device, size, number);
        int loop = (int)STAGE_TRY(s, openat, AT_FDCWD, device, O_RDONLY | O_CLOEXEC);
        r = box_sys(ioctl, loop, LOOP_CONFIGURE, &config);
        if (r >= 0) {
            box_sys(close, control);
            box_sys(close, file);
            return loop;
        }
        box_sys(close, loop);
    }
    s->call = "LOOP_CONFIGURE";
    return (int)r;
}

STAGE_OP(IMAGE)
{
    static const char ro[] = "ro\0";
    const char *path = stage_string(s, op->str);
    char device[32];

    s->subject = path;
    /* Up to 250 bytes, which is fsconfig's limit; a longer path goes through a descriptor. */
    char source[48];
    const char *name = path;
    if (stage_strlen(path) > 250) {
        int file = (int)STAGE_TRY(s, openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
        source[0] = 0;
        stage_append(source, sizeof(source), "/proc/self/fd/");
        stage_append_number(source, sizeof(source), file);
        name = source;
    }
    int fd = stage_new_fs(s, "erofs", name, ro, sizeof(ro) - 1, 0);
    if (fd == -ENOTBLK || fd == -EINVAL) { /* before 6.12, or on a file system that cannot be read in pages */
        s->subject = path;
        int loop = STAGE_DO(take_loop(s, path, device, sizeof(device)));
        fd = stage_new_fs(s, "erofs", device, ro, sizeof(ro) - 1, 0);
        box_sys(close, loop);
    }
    if (fd < 0)
        return fd;
    s->subject = path;
    if (op->slot2)
        STAGE_DO(stage_setattr(s, fd, "", AT_EMPTY_PATH, MOUNT_ATTR_IDMAP, 0, 0, stage_slot(s, op->slot2)));
    return stage_set_slot(s, op->slot, fd);
}
