/* Mounts, inside the library. Public face: libbox/mount.h.
 *
 * mount.c        the object, and the new API
 * mount_fs.c     new instances of file systems, with the kernel's own words when it refuses
 * mount_old.c    the same object carried out by mount(2)
 * mount_overlay.c, mount_overlay_old.c  overlays of any number of layers, on old kernels too
 * mount_table.c  /proc/PID/mountinfo
 * mount_options.c option strings */
#ifndef BOX_KERNEL_MOUNT_H
#define BOX_KERNEL_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/mount.h>
#include "base/cleanup.h"
#include "kernel/mount_options.h"

/* For tests: as on a kernel before 6.5, which takes an overlay's lower directories in one string only. */
#define BOX_MOUNT_OVERLAY_ONE_STRING 0x80000000u

/* One change, kept until there is a mount to make it to. */
struct box_mount_change {
    bool recursive;
    unsigned long propagation; /* MS_*, or 0: attributes */
    uint64_t set, clear;
};

enum box_mount_old_kind { BOX_OLD_FS, BOX_OLD_BIND, BOX_OLD_OVERLAY };

struct box_mount {
    bool old_api, attached, is_dir;
    int fd; /* the mount's root; -1 with the old API before attaching */
    /* Made after attaching: with the old API all of them, with the new one propagation, which a shared parent
     * would undo. */
    struct box_mount_change *changes;
    size_t n_changes;
    /* The old API's plan. */
    enum box_mount_old_kind kind;
    char *type, *source, *data;
    unsigned long sb_flags;
    uint64_t attributes; /* of a new file system */
    int source_fd;       /* BOX_OLD_BIND */
    bool recursive;
    struct box_overlay_fds *overlay; /* BOX_OLD_OVERLAY */
};

box_mount *box_mount_alloc(box_error **err);
/* Keeps a change for later. */
int box_mount_keep_change(box_mount *mount, struct box_mount_change change, box_error **err);
/* Whether the new API is there: not on kernels before 5.12, nor under some seccomp filters. */
bool box_mount_have_new_api(void);
/* A file system context's messages ("tmpfs: Unknown parameter 'x'") as text; "" when there are none. */
const char *box_mount_fs_log(int fsfd, char *buffer, size_t size);
/* fsconfig for the general flags of a super block. */
int box_mount_fs_flags(int fsfd, unsigned long sb_flags, box_error **err);
int box_mount_fs_param(int fsfd, const struct box_mount_param *param, box_error **err);
/* FSCONFIG_CMD_CREATE and fsmount. */
int box_mount_fs_finish(int fsfd, const char *type, uint64_t attributes, box_mount *mount, box_error **err);
/* Options that a new file system can have. */
int box_mount_check_new(const struct box_mount_options *options, box_error **err);
/* What is left of parsed options after the attributes and parameters of a new file system: those for the
 * tree, and propagation. Without `fresh`, the attributes of the mount too. */
int box_mount_apply_options(box_mount *mount, const struct box_mount_options *options, bool fresh,
                            box_error **err);

/* mount_old.c */
int box_mount_old_attach(box_mount *mount, int target_fd, box_error **err);
int box_mount_old_change(int fd, const struct box_mount_change *change, box_error **err);
/* "/proc/thread-self/fd/N". */
#define BOX_FD_PATH_SIZE 64
const char *box_mount_fd_path(int fd, char path[BOX_FD_PATH_SIZE]);
/* The mount that was put on target_fd a moment ago, as a descriptor of its root: what the target's path means
 * now, if that is the root of another mount at the very same place. source_fd: what it must be a view of, or
 * -1. */
int box_mount_reopen(int target_fd, int source_fd, box_error **err);
/* The id in mountinfo of the mount that fd is in; negative: a code. */
int box_mount_id_of(int fd, box_error **err);

/* mount_overlay_old.c */
struct box_overlay_fds;
int box_overlay_old_prepare(const struct box_mount_overlay *overlay, const struct box_mount_options *options,
                            box_mount *mount, box_error **err);
int box_overlay_old_mount(const struct box_overlay_fds *overlay, unsigned long ms_flags, int target_fd,
                          box_error **err);
void box_overlay_fds_free(struct box_overlay_fds *overlay);
/* Whether this process's overlays keep their marks in "trusted." attributes: root's, in the initial user namespace. All
 * others' are mounted with "userxattr", and keep them in "user." ones. */
bool box_overlay_is_trusted(void);
/* A mark of overlay's, "opaque" for one, that an overlay of this process's would obey, as fgetxattr(2). The same name
 * with the other prefix is data: anybody in a container may set "user.overlay.opaque", and copying up takes it along. */
ssize_t box_overlay_mark(int fd, const char *name, void *value, size_t size);
/* "userxattr", "volatile" and "metacopy=off" as parameters. Returns how many. */
size_t box_overlay_params(const struct box_mount_overlay *overlay, struct box_mount_param params[4]);

BOX_CLEANUP(box_mount, box_mount_free);
BOX_CLEANUP(box_mount_table, box_mount_table_free);

#endif
