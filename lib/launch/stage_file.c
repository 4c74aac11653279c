/* The stage program as a descriptor. A memory file that is sealed against writing cannot be overwritten from inside a
 * container by way of /proc/PID/exe (CVE-2019-5736), and costs some microseconds to make. */
#include "launch/launch.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

extern const unsigned char box_stage_blob[];
extern const size_t box_stage_blob_size;

/* Where vm.memfd_noexec forbids it: the installed copy, through a mount of its own that is read-only when we may make
 * one, so that not even root in a container can write to it. */
static int open_installed(box_error **err)
{
    _close_ int fd = open(BOX_STAGE_PATH, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return box_fail_with(err,
                             &(struct box_fail_info){.errnum = errno,
                                                     .call = "open",
                                                     .subject = BOX_STAGE_PATH,
                                                     .remedy = "install libbox, or sysctl vm.memfd_noexec=0"},
                             "this host forbids executable memory files, and the stage is not installed");
    _close_ int tree = (int)syscall(SYS_open_tree, fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0) {
        char path[32];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", tree);
        int readonly = open(path, O_RDONLY | O_CLOEXEC);
        if (readonly >= 0)
            return readonly;
    }
    return box_take_fd(&fd);
}

int stage_open_program(box_error **err)
{
    _close_ int fd = memfd_create("libbox-stage", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* before 6.3 */
        fd = memfd_create("libbox-stage", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 && errno == EACCES)
        return open_installed(err);
    if (fd < 0)
        return box_fail_sys(err, "memfd_create", NULL, "make the stage");
    for (size_t done = 0; done < box_stage_blob_size;) {
        ssize_t n = write(fd, box_stage_blob + done, box_stage_blob_size - done);
        if (n < 0 && errno != EINTR)
            return box_fail_sys(err, "write", NULL, "make the stage");
        done += n > 0 ? (size_t)n : 0;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return box_fail_sys(err, "fcntl", NULL, "seal the stage");
    return box_take_fd(&fd);
}
