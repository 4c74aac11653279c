/* Mounting EROFS images: from the file, or through a loop device. */
#include "kernel/mount_image.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kernel/mount.h"
#include "kernel/mount_sys.h"

#define LOOP_TRIES 64 /* others may take the free device that the kernel named */

static int mount_source(const char *source, box_error **err)
{
    char log[256];
    _close_ int fs = k_fsopen("erofs", K_FSOPEN_CLOEXEC);

    if (fs < 0 && errno == ENODEV)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EUNSUPPORTED, .errnum = ENODEV, .call = "fsopen",
                                                          .subject = "erofs", .remedy = "modprobe erofs"},
                             "the kernel has no EROFS");
    if (fs < 0)
        return box_fail_sys(err, "fsopen", "erofs", "cannot mount a layer's image");
    if (k_fsconfig(fs, K_FSCONFIG_SET_STRING, "source", source, 0) < 0 ||
        k_fsconfig(fs, K_FSCONFIG_SET_FLAG, "ro", NULL, 0) < 0 ||
        k_fsconfig(fs, K_FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) {
        int saved = errno;
        box_mount_fs_log(fs, log, sizeof(log));
        errno = saved;
        return box_fail_sys(err, "fsconfig", source, "cannot mount a layer's image%s%s", *log ? ": " : "", log);
    }
    int mount = k_fsmount(fs, K_FSMOUNT_CLOEXEC, 0);
    return mount < 0 ? box_fail_sys(err, "fsmount", source, "cannot mount a layer's image") : mount;
}

/* A free device, set up in one step; it is let go of with the mount that is made of it. */
static int take_loop(int imagefd, char *path, size_t size, box_error **err)
{
    _close_ int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    const struct loop_config config = {.fd = (uint32_t)imagefd,
                                       .block_size = 4096,
                                       .info = {.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR}};

    if (control < 0)
        return box_fail_sys(err, "open", "/dev/loop-control", "no loop device can be had");
    for (int tries = 0; tries < LOOP_TRIES; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        if (number < 0)
            return box_fail_sys(err, "ioctl", "/dev/loop-control", "no loop device can be had");
        snprintf(path, size, "/dev/loop%d", number);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
            return box_fail_sys(err, "open", path, "cannot open a loop device");
        if (ioctl(fd, LOOP_CONFIGURE, &config) == 0)
            return fd;
        int saved = errno;
        close(fd);
        errno = saved;
        if (saved != EBUSY)
            break;
    }
    return box_fail_sys(err, "ioctl", path, "cannot set up a loop device");
}

int box_mount_image_by_loop(int imagefd, box_error **err)
{
    char path[32] = "";
    _close_ int loop = take_loop(imagefd, path, sizeof(path), err);

    return loop < 0 ? loop : mount_source(path, err);
}

int box_mount_image(int imagefd, box_error **err)
{
    _cleanup_(box_error) box_error *first = NULL, *second = NULL;
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", imagefd);
    int r = mount_source(path, &first);
    if (r < 0 && r != BOX_EPERMISSION && box_error_errno(first) != ENODEV) {
        int loop = box_mount_image_by_loop(imagefd, &second);
        if (loop >= 0)
            return loop;
        /* The second reason is the one that something can be done about. */
        if (err)
            *err = box_take(second);
        return loop;
    }
    if (r < 0 && err)
        *err = box_take(first);
    return r;
}

int box_mount_image_or_directory(int dirfd, const char *path, box_error **err)
{
    struct stat st;
    int fd = openat(dirfd, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0) {
        int r = box_fail_sys(err, "open", path, "cannot open a layer");
        box_cleanup_close(&fd);
        return r;
    }
    if (!S_ISREG(st.st_mode))
        return fd;
    int mount = box_mount_image(fd, err);
    close(fd);
    return mount < 0 ? box_fail_wrap(err, mount, "layer %s", path) : mount;
}
