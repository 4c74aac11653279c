/* The stage program and the plan as descriptors. Both lie in one memory file, the stage first, which is made with the
 * plan and kept with it. It is sealed against writing, so it cannot be overwritten from inside a container by way of
 * /proc/PID/exe (CVE-2019-5736), and what the stage maps is what was written here, whoever else holds the descriptor. */
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
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
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

static int memory_file(unsigned kind)
{
    int fd = memfd_create("libbox-stage", MFD_CLOEXEC | MFD_ALLOW_SEALING | kind);

    return fd < 0 && errno == EINVAL ? memfd_create("libbox-stage", MFD_CLOEXEC | MFD_ALLOW_SEALING) : fd; /* before 6.3 */
}

static int write_at(int fd, size_t offset, const void *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR)
            return -1;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

int stage_make_files(const void *plan, size_t size, struct stage_files *files, box_error **err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), offset = (box_stage_blob_size + page - 1) & ~(page - 1);
    _close_ int program = -1;
    _close_ int fd = memory_file(MFD_EXEC);

    if (fd < 0 && errno == EACCES) {
        if ((program = open_installed(err)) < 0)
            return program;
        offset = 0;
        fd = memory_file(MFD_NOEXEC_SEAL);
    }
    if (fd < 0)
        return box_fail_sys(err, "memfd_create", NULL, "make the plan");
    if ((offset && write_at(fd, 0, box_stage_blob, box_stage_blob_size) < 0) || write_at(fd, offset, plan, size) < 0)
        return box_fail_sys(err, "pwrite", NULL, "make the plan");
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return box_fail_sys(err, "fcntl", NULL, "seal the plan");
    files->offset = (uint32_t)offset;
    files->memory = box_take_fd(&fd);
    files->program = program < 0 ? files->memory : box_take_fd(&program);
    return 0;
}
