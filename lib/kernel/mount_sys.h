/* The new mount API as functions, under the numbers of <asm/unistd.h>, so that any libc will do. As the man
 * pages have them: -1 and errno. fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2),
 * mount_setattr(2). */
#ifndef BOX_KERNEL_MOUNT_SYS_H
#define BOX_KERNEL_MOUNT_SYS_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/rawsys.h"

#define K_FSOPEN_CLOEXEC      1u
#define K_FSMOUNT_CLOEXEC     1u
#define K_OPEN_TREE_CLONE     1u
#define K_OPEN_TREE_CLOEXEC   ((unsigned)O_CLOEXEC)
#define K_MOVE_MOUNT_F_EMPTY  4u
#define K_MOVE_MOUNT_T_EMPTY  0x40u
#define K_FSCONFIG_SET_FLAG   0u
#define K_FSCONFIG_SET_STRING 1u
#define K_FSCONFIG_SET_FD     5u
#define K_FSCONFIG_CMD_CREATE 6u
#define K_AT_RECURSIVE        0x8000u
#define K_AT_EMPTY_PATH       0x1000u

/* struct mount_attr, first version. */
struct k_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static inline int k_fsopen(const char *type, unsigned flags)
{
    return (int)syscall(__NR_fsopen, type, flags);
}

static inline int k_fsconfig(int fd, unsigned command, const char *key, const void *value, int aux)
{
    return (int)syscall(__NR_fsconfig, fd, command, key, value, aux);
}

static inline int k_fsmount(int fd, unsigned flags, unsigned attributes)
{
    return (int)syscall(__NR_fsmount, fd, flags, attributes);
}

static inline int k_open_tree(int dir, const char *path, unsigned flags)
{
    return (int)syscall(__NR_open_tree, dir, path, flags);
}

static inline int k_move_mount(int from, const char *from_path, int to, const char *to_path, unsigned flags)
{
    return (int)syscall(__NR_move_mount, from, from_path, to, to_path, flags);
}

static inline int k_mount_setattr(int dir, const char *path, unsigned flags, const struct k_mount_attr *attr,
                                  size_t size)
{
    return (int)syscall(__NR_mount_setattr, dir, path, flags, attr, size);
}

#endif
