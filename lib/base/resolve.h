/* The in-root path resolver: the only way to a path inside a root that is not trusted.
 *
 * An image, a build context or a running container decides what a path means: any component may be a symbolic
 * link, may become one between two looks, or may be moved while it is being walked. Every function here
 * starts at an fd of the root and ends with an fd inside it; nobody walks the path again afterwards, so what
 * was checked is what is used.
 * "/" and absolute links mean the root, ".." in the root is the root, magic links (/proc/PID/fd/N, exe, cwd,
 * ns/...) are refused.
 *
 * Two ways with one meaning: openat2(2) with RESOLVE_IN_ROOT, and, where a seccomp filter or an old kernel
 * denies openat2, a walk by fd, one component at a time (docs/design/resolver.md). BOX_RESOLVE_WALK asks for
 * the second, so that tests run one table of cases on both.
 *
 * The functions return an fd (O_CLOEXEC always) or 0, or a negative errno. They use no libc, no memory but
 * the stack (up to about 35 kB), no errno and no global state: the stage program, which has no libc, is built
 * from the same source. Any thread may call them. Errors that callers tell apart: -ENOENT, -ENOTDIR, -EISDIR,
 * -ELOOP (more than 40 links, a link where none is allowed, a magic link), -EXDEV (BENEATH or NO_XDEV was
 * asked for and the path breaks it), -ENAMETOOLONG, -EAGAIN (the tree was changed under the call again and
 * again).
 */
#ifndef BOX_BASE_RESOLVE_H
#define BOX_BASE_RESOLVE_H

#define BOX_RESOLVE_NO_SYMLINKS 1u /* a symbolic link anywhere on the way is -ELOOP */
#define BOX_RESOLVE_NO_XDEV     2u /* leaving the root's own mount is -EXDEV */
#define BOX_RESOLVE_BENEATH     4u /* "/", absolute links and ".." above the root are -EXDEV, not clamped */
#define BOX_RESOLVE_WALK        8u /* use the walk by fd even where openat2 works */

#define BOX_RESOLVE_NAME 256u /* room for the last component of a path, with its NUL */
#define BOX_RESOLVE_PATH 4096u
/* As many new objects as one call makes; a path that needs more is -ENAMETOOLONG. */
#define BOX_RESOLVE_MADE 64u

/* How to make what is missing. The modes are exact, whatever the umask. */
struct box_resolve_make {
    unsigned dir_mode;  /* missing directories, the last one included */
    unsigned file_mode; /* the file of box_resolve_target() */
    unsigned uid, gid;  /* owner of what is made; (unsigned)-1: as the kernel gives it */
};

/* What a call made, for taking it away again: each new object by its identity, from the top down. */
struct box_resolve_made {
    /* In: room for the resolved path (relative to the root, no links in it), or NULL. BOX_RESOLVE_PATH bytes
     * always do; -ENAMETOOLONG, with nothing left behind, when it does not fit. Without it
     * box_resolve_unmake() cannot work. */
    char *path;
    unsigned path_size;
    /* Out. */
    unsigned count;  /* how many objects at the end of path are new; 0: all was there */
    unsigned is_dir; /* whether the last object of path is a directory */
    struct {
        unsigned long long dev, ino;
    } id[BOX_RESOLVE_MADE];
};

/* Opens path inside the root. open_flags are those of open(2); O_CLOEXEC and O_NOCTTY are added. O_CREAT and
 * O_TMPFILE are -EINVAL: use the functions below. Opening something hostile for reading should add O_NONBLOCK
 * (a FIFO would hang) and look at its type. O_NOFOLLOW concerns the last component, as always; with O_PATH it
 * opens a link itself. */
int box_resolve(int rootfd, const char *path, int open_flags, unsigned flags);

/* Opens the directory that holds path's last component (O_PATH | O_DIRECTORY) and copies that component,
 * without slashes, into last: for mkdirat, unlinkat, renameat, openat(O_CREAT | O_EXCL | O_NOFOLLOW). The
 * component itself is not looked at and must not be followed. A path that ends in "." or "..", or is the
 * root, is -EINVAL. */
int box_resolve_parent(int rootfd, const char *path, char last[BOX_RESOLVE_NAME], unsigned flags);

/* Opens the directory path (O_PATH | O_DIRECTORY), making each directory that is missing, inside the root. A
 * dangling link is followed and what it names is made. how may be NULL (0755, nobody's change of owner); made
 * may be NULL. On failure what was made is removed again as far as it can be. */
int box_resolve_mkdirs(int rootfd, const char *path, const struct box_resolve_make *how, unsigned flags,
                       struct box_resolve_made *made);

/* Opens (O_PATH) the object to mount on: follows links inside the root, and makes what is missing:
 * directories on the way, and at the end an empty directory (want_dir) or an empty file. -ENOTDIR or -EISDIR
 * when what is there is of the other kind. Pass BOX_RESOLVE_NO_SYMLINKS for places such as /proc, where a
 * link is an attack. how and made as above (NULL: directories 0755, file 0644). */
int box_resolve_target(int rootfd, const char *path, int want_dir, const struct box_resolve_make *how,
                       unsigned flags, struct box_resolve_made *made);

/* Removes, from the bottom up, what a call recorded in made, through the same view of the root (an overlay
 * and its upper directory number inodes differently). Stops with 0 at the first object that is not the one
 * that was made or that is no longer empty; nothing else is ever removed. */
int box_resolve_unmake(int rootfd, const struct box_resolve_made *made);

#endif
