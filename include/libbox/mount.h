/* Mounts by descriptor: made detached, dressed, and only then put in place. mount_namespaces(7), fsopen(2),
 * open_tree(2), mount_setattr(2), move_mount(2).
 *
 *     box_mount *m = NULL;
 *     box_mount_clone(source_fd, BOX_MOUNT_RECURSIVE, &m, &err);           a bind mount in the making
 *     box_mount_set_attr(m, BOX_MOUNT_ATTR_RDONLY, 0, true, &err);         read-only with all below it
 *     box_mount_attach(m, target_fd, &err);                                onto exactly this file or
 * directory box_mount_free(m);
 *
 * Nothing walks a path twice: the source and the target are descriptors that the caller opened
 * (box_mount_attach_in resolves a path inside a root once), so a symbolic link that is swapped in the
 * meantime changes nothing (CVE-2021-30465). Where the kernel or a seccomp filter has no new mount API, or
 * with BOX_MOUNT_OLD_API, the same object collects what is wanted and box_mount_attach() carries it out with
 * mount(2) on the same descriptors.
 *
 * Everything happens in the calling thread's mount namespace and with its capabilities (CAP_SYS_ADMIN over
 * the user namespace that owns the mount namespace). A box_mount is for one thread at a time.
 */
#ifndef LIBBOX_MOUNT_H
#define LIBBOX_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_mount box_mount;
typedef struct box_mount_table box_mount_table;

/* Flags of the functions that make a box_mount. */
#define BOX_MOUNT_RECURSIVE 1u /* box_mount_clone: with every mount below the source */
#define BOX_MOUNT_OLD_API   2u /* use mount(2) even where the new API works */

/* Attributes of a mount: the kernel's MOUNT_ATTR_* numbers. */
#define BOX_MOUNT_ATTR_RDONLY      UINT64_C(0x000001)
#define BOX_MOUNT_ATTR_NOSUID      UINT64_C(0x000002)
#define BOX_MOUNT_ATTR_NODEV       UINT64_C(0x000004)
#define BOX_MOUNT_ATTR_NOEXEC      UINT64_C(0x000008)
#define BOX_MOUNT_ATTR_ATIME       UINT64_C(0x000070) /* mask of the values of access time, to clear */
#define BOX_MOUNT_ATTR_NOATIME     UINT64_C(0x000010)
#define BOX_MOUNT_ATTR_STRICTATIME UINT64_C(0x000020)
#define BOX_MOUNT_ATTR_NODIRATIME  UINT64_C(0x000080)
#define BOX_MOUNT_ATTR_NOSYMFOLLOW UINT64_C(0x200000)

enum box_mount_propagation {
    BOX_MOUNT_PRIVATE = 1,
    BOX_MOUNT_SLAVE = 2,
    BOX_MOUNT_SHARED = 3,
    BOX_MOUNT_UNBINDABLE = 4
};

/* ---- Making: the caller frees *mount
 * --------------------------------------------------------------------------- */

/* A new instance of a file system. options are fstab(5)'s, may be NULL: the general ones (ro, nosuid, ...)
 * become attributes, the others go to the file system. An option that a new file system cannot have (bind,
 * remount) is BOX_ESPEC; one that the file system refuses is BOX_ESPEC with the option as the subject and the
 * kernel's own words. source may be NULL ("none"). */
BOX_API int box_mount_new(const char *type, const char *source, const char *options, unsigned flags,
                          box_mount **mount, box_error **err);
/* A copy of the mount that source_fd (O_PATH will do; a directory, file, socket or device) is on, rooted
 * there: a bind mount. BOX_MOUNT_RECURSIVE takes the mounts below with it. Its attributes are those of the
 * source until changed. */
BOX_API int box_mount_clone(int source_fd, unsigned flags, box_mount **mount, box_error **err);

/* An overlay of directories given by descriptor (O_PATH will do), which the caller keeps and may close after
 * the call. They must have been opened in the mount namespace of the call. Before Linux 6.5 the kernel takes
 * many layers by mount(2) only, so that the overlay is made by box_mount_attach(), as with the old API. */
typedef struct box_mount_overlay {
    const int *lower;    /* the topmost first */
    size_t n_lower;      /* 1 to 500 */
    int upper, work;     /* both -1: read-only */
    bool userxattr;      /* keep overlay's marks in user.overlay.*: needed in a user namespace */
    bool no_sync;        /* "volatile": never sync; after a crash the upper directory is to be thrown away */
    const char *options; /* more, such as "xino=off", or NULL; metacopy is always off */
} box_mount_overlay;
#define BOX_MOUNT_OVERLAY_MAX 500
BOX_API int box_mount_new_overlay(const box_mount_overlay *overlay, unsigned flags, box_mount **mount,
                                  box_error **err);

/* tmpfs(5) with nosuid and nodev. size in bytes and inodes as counts, 0: the kernel's defaults; mode of its
 * root. */
BOX_API int box_mount_new_tmpfs(uint64_t size, uint64_t inodes, unsigned mode, unsigned flags,
                                box_mount **mount, box_error **err);
/* proc(5) of the caller's pid namespace, with nosuid, nodev and noexec. hidepid: 0, 1, 2 or 4; pids_only:
 * subset=pid, so that there is nothing but processes in it. */
BOX_API int box_mount_new_proc(int hidepid, bool pids_only, unsigned flags, box_mount **mount,
                               box_error **err);
/* sysfs(5) of the caller's network namespace, with nosuid, nodev, noexec and, if asked for, read-only. */
BOX_API int box_mount_new_sysfs(bool readonly, unsigned flags, box_mount **mount, box_error **err);
/* A new instance of devpts with nosuid and noexec. gid: group of terminals, (unsigned)-1 for the opener's;
 * modes of terminals (0620) and of its ptmx (0666). */
BOX_API int box_mount_new_devpts(unsigned gid, unsigned mode, unsigned ptmx_mode, unsigned flags,
                                 box_mount **mount, box_error **err);
/* mq_overview(7) of the caller's IPC namespace, with nosuid, nodev and noexec. */
BOX_API int box_mount_new_mqueue(unsigned flags, box_mount **mount, box_error **err);

/* ---- Dressing
 * -------------------------------------------------------------------------------------------------- */

/* Clears, then sets attributes, on this mount or with all below it. To change access times, clear
 * BOX_MOUNT_ATTR_ATIME. May be called after attaching too, also for a tree that is in use.
 * mount_setattr(2); with the old API each mount below is found in the mount table and remounted. */
BOX_API int box_mount_set_attr(box_mount *mount, uint64_t set, uint64_t clear, bool recursive,
                               box_error **err);
BOX_API int box_mount_set_propagation(box_mount *mount, enum box_mount_propagation propagation,
                                      bool recursive, box_error **err);
/* Owners of files are shown, and new files owned, through the id map of a user namespace
 * (box_idmap_userns()). Only before attaching. BOX_EUNSUPPORTED when the file system or the kernel cannot,
 * and with the old API. */
BOX_API int box_mount_set_idmap(box_mount *mount, int userns_fd, bool recursive, box_error **err);
/* All that an option string asks for: "rro,nosuid,rslave". Options of a file system are BOX_ESPEC here. */
BOX_API int box_mount_set_options(box_mount *mount, const char *options, box_error **err);

/* ---- Putting in place
 * ------------------------------------------------------------------------------------------ */

/* Onto the directory or file that target_fd (O_PATH) is. */
BOX_API int box_mount_attach(box_mount *mount, int target_fd, box_error **err);
/* Onto a path inside a root that is not trusted: links are followed inside the root only; a target that is
 * missing is made (a directory, or a file when the mount is of a file). */
BOX_API int box_mount_attach_in(box_mount *mount, int root_fd, const char *path, box_error **err);
/* The root of the mount, or -1 before attaching with the old API (and, before Linux 6.5, for an overlay).
 * Owned by the object. */
BOX_API int box_mount_fd(const box_mount *mount);
/* Frees the object. A mount that was not attached is gone with it, one that was attached stays. NULL is
 * allowed. */
BOX_API void box_mount_free(box_mount *mount);

/* Unmounts the mount that fd is the root of, and all below it, at once for new users and in the end for those
 * that have files open in it (MNT_DETACH, umount2(2)). BOX_EINVAL when fd is not the root of a mount. */
BOX_API int box_mount_detach(int fd, box_error **err);

/* ---- The mount table
 * ------------------------------------------------------------------------------------------- */

typedef struct box_mount_entry {
    int id, parent_id;
    unsigned device_major, device_minor;
    const char *root;       /* the part of the file system that is seen */
    const char *target;     /* relative to the reader's root */
    const char *type;       /* "ext4", "overlay", ... */
    const char *source;     /* "" when there is none */
    const char *options;    /* of the mount: "rw,nosuid" */
    const char *fs_options; /* of the super block */
    uint64_t attributes;    /* BOX_MOUNT_ATTR_*, from options */
    int peer_group;         /* "shared:N", or 0 */
    int master_group;       /* "master:N", or 0 */
    bool unbindable;
} box_mount_entry;

/* Reads /proc/PID/mountinfo, proc(5); pid 0 for the calling thread. The caller frees *table. */
BOX_API int box_mount_table_read(int pid, box_mount_table **table, box_error **err);
BOX_API void box_mount_table_free(box_mount_table *table);
BOX_API size_t box_mount_table_count(const box_mount_table *table);
/* In the order of the file; owned by the table; NULL past the end. */
BOX_API const box_mount_entry *box_mount_table_get(const box_mount_table *table, size_t index);
/* The entry with this mount id, or the topmost one at this exact target. NULL when there is none. */
BOX_API const box_mount_entry *box_mount_table_find_id(const box_mount_table *table, int id);
BOX_API const box_mount_entry *box_mount_table_find_target(const box_mount_table *table, const char *target);

#ifdef __cplusplus
}
#endif

#endif
