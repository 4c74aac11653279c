/* The resolver's other way: a walk by fd, for where openat2(2) cannot be had, and for making what is missing.
 *
 * The state is two strings and one fd. `text` is what remains to be walked; `done` is what has been walked,
 * names of real directories only; `cur` is the directory that done leads to. Each round takes one component
 * off text:
 *
 *     name       open it under cur with O_NOFOLLOW: a directory is pushed on done and becomes cur
 *     a link     its target goes in front of text; an absolute one also empties done, so it starts at the
 * root
 *     ..         the last name leaves done, and cur is found again by walking done down from the root when
 * needed the last   is opened as the caller asked, or made
 *
 * What it is built against: the kernel is never asked for ".." and never follows a link for us, so no rename,
 * however timed, can lead cur out of the root: everything is reached downwards from rootfd by names that are
 * not links. Of fds it needs two, however deep the path. Text, depth, links and steps are limited; nothing
 * is allocated.
 *
 * The meaning is openat2's, with these differences, all on the safe side: links of procfs below its top
 * directory are refused as magic without a look at which they are; fs.protected_symlinks does not apply; a
 * path that grows beyond 8 kB by its links, or 4 kB of directories, is -ENAMETOOLONG. */
#include "base/resolve_walk.h"

#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <linux/types.h>

#include "base/rawsys.h"

#define MAX_LINKS 40     /* the kernel's own limit, path_resolution(7) */
#define MAX_STEPS 16384u /* opens in all: more than eight times what the longest path without ".." takes */

#define PROC_ROOT_INO      1      /* of procfs's top directory, the same since 2.4 */
#define STATFS_NOSYMFOLLOW 0x2000 /* statfs f_flags: mounted with nosymfollow */
#define OPEN_DIR           (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define OPEN_ANY           (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define PERMISSIONS        07777u

/* last_component() answers with this when the component was a link and is now part of the text: no errno. */
#define FOLLOWED (-5000)

struct walk {
    int root;
    int cur; /* -1: find it again from done; == root when done is empty */
    int open_flags;
    unsigned flags;
    unsigned links, steps;
    unsigned long long mount; /* of the root, for NO_XDEV */
    enum box_walk_make make;
    const struct box_resolve_make *how;
    struct box_resolve_made *made;
    unsigned at; /* text + at: what remains */
    unsigned done_length;
    char name[BOX_RESOLVE_NAME];     /* the component at hand */
    char done[BOX_RESOLVE_PATH];     /* "a/b/c" */
    char text[2 * BOX_RESOLVE_PATH]; /* filled from its end */
};

unsigned box_walk_length(const char *s)
{
    unsigned n = 0;

    while (s[n])
        n++;
    return n;
}

void box_walk_copy(char *to, const char *from, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        to[i] = from[i];
}

int box_walk_open_flags(int open_flags)
{
    if (open_flags & O_PATH)
        return (open_flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW)) | O_CLOEXEC;
    return open_flags | O_CLOEXEC | O_NOCTTY;
}

static void close_fd(int fd)
{
    box_sys(close, fd);
}

static int stat_fd(int fd, struct stat *st)
{
    return (int)box_sys(newfstatat, fd, "", st, AT_EMPTY_PATH);
}

static int open_step(struct walk *w, int dir, const char *name, int open_flags)
{
    if (++w->steps > MAX_STEPS)
        return -ELOOP;
    return (int)box_sys(openat, dir, name, open_flags, 0);
}

/* The id of the mount that fd is on: a bind mount of the same file system differs in nothing else. */
static int mount_of(int fd, unsigned long long *id)
{
    struct statx sx;
    int r = (int)box_sys(statx, fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx);

    if (r == 0 && !(sx.stx_mask & STATX_MNT_ID))
        r = -EOPNOTSUPP;
    if (r == 0)
        *id = sx.stx_mnt_id;
    return r;
}

static int check_mount(const struct walk *w, int fd)
{
    unsigned long long id = 0;
    int r;

    if (!(w->flags & BOX_RESOLVE_NO_XDEV))
        return 0;
    r = mount_of(fd, &id);
    return r == 0 && id != w->mount ? -EXDEV : r;
}

/* Passes fd through if it may be used, closes it if not. */
static int checked(const struct walk *w, int fd)
{
    int r = fd < 0 ? fd : check_mount(w, fd);

    if (r < 0 && fd >= 0)
        close_fd(fd);
    return r < 0 ? r : fd;
}

static void set_cur(struct walk *w, int fd)
{
    if (w->cur >= 0 && w->cur != w->root)
        close_fd(w->cur);
    w->cur = fd;
}

static void to_root(struct walk *w)
{
    w->done_length = 0;
    set_cur(w, w->root);
}

static int remember(struct walk *w)
{
    unsigned n = box_walk_length(w->name), slash = w->done_length > 0;

    if (w->done_length + slash + n >= sizeof(w->done))
        return -ENAMETOOLONG;
    if (slash)
        w->done[w->done_length] = '/';
    box_walk_copy(w->done + w->done_length + slash, w->name, n);
    w->done_length += slash + n;
    return 0;
}

/* Takes over fd, the directory w->name under cur. */
static int push(struct walk *w, int fd)
{
    int r = remember(w);

    if (r < 0) {
        close_fd(fd);
        return r;
    }
    set_cur(w, fd);
    return 0;
}

static int up(struct walk *w)
{
    if (w->done_length == 0)
        return w->flags & BOX_RESOLVE_BENEATH ? -EXDEV : 0;
    /* To the kernel ".." of something that is not there is an error too; and what was made stays the end of
     * done. */
    if (w->made && w->made->count > 0)
        return -ENOENT;
    while (w->done_length > 0 && w->done[w->done_length - 1] != '/')
        w->done_length--;
    if (w->done_length > 0)
        w->done_length--;
    set_cur(w, w->done_length > 0 ? -1 : w->root);
    return 0;
}

/* The next name of w->done after *at, into name. Names in done are known to fit. */
static void next_done(const struct walk *w, unsigned *at, char name[BOX_RESOLVE_NAME])
{
    unsigned n = 0;

    while (*at < w->done_length && w->done[*at] != '/')
        name[n++] = w->done[(*at)++];
    name[n] = '\0';
    (*at)++;
}

/* The directory that done leads to. After "..", done is walked again from the root: done holds no links, so
 * one that is met now has been put there meanwhile. */
static int current(struct walk *w)
{
    char name[BOX_RESOLVE_NAME];
    int dir = w->root;

    if (w->cur >= 0)
        return w->cur;
    for (unsigned at = 0; at < w->done_length;) {
        next_done(w, &at, name);
        int fd = open_step(w, dir, name, OPEN_DIR);
        if (dir != w->root)
            close_fd(dir);
        if (fd == -ENOENT || fd == -ENOTDIR)
            return -EAGAIN;
        dir = checked(w, fd);
        if (dir < 0)
            return dir;
    }
    w->cur = dir;
    return dir;
}

/* Whether the kernel would call this link, which lies in dir, magic, or its mount forbids following. */
static int check_link(int dir, int link)
{
    struct statfs fs;
    struct stat st;
    int r = (int)box_sys(fstatfs, link, &fs);

    if (r < 0)
        return r;
    if (fs.f_flags & STATFS_NOSYMFOLLOW || fs.f_type == AAFS_MAGIC)
        return -ELOOP;
    if (fs.f_type != PROC_SUPER_MAGIC)
        return 0;
    r = stat_fd(dir, &st);
    return r == 0 && st.st_ino != PROC_ROOT_INO ? -ELOOP : r;
}

/* Puts the target of link, an O_PATH fd, in front of the text. -ENOTDIR when it is no link at all. */
static int follow(struct walk *w, int dir, int link)
{
    long n = box_sys(readlinkat, link, "", w->text, w->at);
    int r;

    if (n == -ENOENT || n == -EINVAL)
        return -ENOTDIR;
    if (n < 0)
        return (int)n;
    if (w->flags & BOX_RESOLVE_NO_SYMLINKS || ++w->links > MAX_LINKS)
        return -ELOOP;
    /* Nothing that we made is a link. */
    if (w->made && w->made->count > 0)
        return -EAGAIN;
    r = check_link(dir, link);
    if (r < 0)
        return r;

    if (n == 0)
        return -ENOENT;
    if ((unsigned)n >= w->at)
        return -ENAMETOOLONG;
    for (unsigned i = (unsigned)n; i > 0; i--)
        w->text[--w->at] = w->text[i - 1];
    if (w->text[w->at] != '/')
        return 0;
    if (w->flags & BOX_RESOLVE_BENEATH)
        return -EXDEV;
    to_root(w);
    return 0;
}

/* Whether one more object can be recorded. */
static int may_make(const struct walk *w)
{
    int fits = w->done_length + box_walk_length(w->name) + 1 < sizeof(w->done);

    return fits && w->made->count < BOX_RESOLVE_MADE ? 0 : -ENAMETOOLONG;
}

/* Records an object that the walk made; done leads to it from now on. */
static int record(struct walk *w, const struct stat *st)
{
    struct box_resolve_made *made = w->made;

    made->is_dir = S_ISDIR(st->st_mode);
    made->id[made->count].dev = st->st_dev;
    made->id[made->count].ino = st->st_ino;
    made->count++;
    return remember(w);
}

struct entry {
    __u64 ino;
    __s64 off;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Whether the directory (open for reading) holds nothing. */
static int check_empty(int fd)
{
    char buffer[512] __attribute__((aligned(8)));
    long n = box_sys(getdents64, fd, buffer, sizeof(buffer));

    for (long at = 0; at < n;) {
        const struct entry *e = (const struct entry *)(const void *)(buffer + at);
        const char *s = e->name;
        if (!(s[0] == '.' && (s[1] == '\0' || (s[1] == '.' && s[2] == '\0'))))
            return -EAGAIN;
        at += e->length;
    }
    return n < 0 ? (int)n : 0;
}

/* Gives what was just made, open for more than its path, its owner and its mode: the umask is the host's and
 * stays as it is. The owner first, since a change of owner takes setuid bits away; inherited setgid of a
 * directory stays. */
static int set_owner_and_mode(const struct walk *w, int fd, const struct stat *st, unsigned mode)
{
    unsigned inherited = S_ISDIR(st->st_mode) ? st->st_mode & S_ISGID : 0;
    int r = 0;

    if (w->how->uid != (unsigned)-1 || w->how->gid != (unsigned)-1)
        r = (int)box_sys(fchown, fd, w->how->uid, w->how->gid);
    if (r == 0 && ((st->st_mode & PERMISSIONS) != (mode | inherited) || mode & (S_ISUID | S_ISGID)))
        r = (int)box_sys(fchmod, fd, mode | inherited);
    return r;
}

static int adjust_dir(const struct walk *w, int path_fd, const struct stat *st)
{
    unsigned mode = w->how->dir_mode & PERMISSIONS;
    int owned = w->how->uid != (unsigned)-1 || w->how->gid != (unsigned)-1;
    int fd, r;

    if (!owned && (st->st_mode & PERMISSIONS & ~(unsigned)S_ISGID) == mode)
        return 0;
    fd = (int)box_sys(openat, path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return fd;
    /* Between mkdir and open somebody in the root can put another directory in its place, to have that one
     * given away. An empty one is all they can win. */
    r = check_empty(fd);
    if (r == 0)
        r = set_owner_and_mode(w, fd, st, mode);
    close_fd(fd);
    return r;
}

/* A name that has come into being since we looked, and a directory that has gone, are reasons to start again. */
static int raced(int error)
{
    return error == -EEXIST || error == -ENOENT ? -EAGAIN : error;
}

/* Makes the directory w->name under dir and opens it (O_PATH). */
static int make_dir(struct walk *w, int dir)
{
    struct stat st;
    int fd, r = may_make(w);

    if (r < 0)
        return r;
    r = (int)box_sys(mkdirat, dir, w->name, w->how->dir_mode & PERMISSIONS);
    if (r < 0)
        return raced(r);
    fd = open_step(w, dir, w->name, OPEN_DIR);
    if (fd < 0) {
        /* No fd to be had: an empty directory is all that this can remove. */
        box_sys(unlinkat, dir, w->name, AT_REMOVEDIR);
        return fd == -ENOENT || fd == -ENOTDIR ? -EAGAIN : fd;
    }
    r = stat_fd(fd, &st);
    if (r == 0)
        r = record(w, &st);
    if (r == 0)
        r = adjust_dir(w, fd, &st);
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    return checked(w, fd);
}

/* The O_PATH fd of the file that made_fd is open on, by its name under dir. */
static int reopen_made(struct walk *w, int dir, const struct stat *made)
{
    struct stat st;
    int fd = open_step(w, dir, w->name, OPEN_ANY);

    if (fd < 0)
        return fd == -ENOENT ? -EAGAIN : fd;
    int r = stat_fd(fd, &st);
    if (r == 0 && (st.st_dev != made->st_dev || st.st_ino != made->st_ino))
        r = -EAGAIN;
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    return checked(w, fd);
}

/* Makes the empty file w->name under dir and opens it (O_PATH). O_EXCL: a link in its place, dangling or not,
 * is -EEXIST and not followed. */
static int make_file(struct walk *w, int dir)
{
    const int open_flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
    unsigned mode = w->how->file_mode & PERMISSIONS;
    struct stat st;
    int r = may_make(w);

    if (r < 0)
        return r;
    int fd = (int)box_sys(openat, dir, w->name, open_flags, mode);
    if (fd < 0)
        return raced(fd);
    r = stat_fd(fd, &st);
    if (r == 0)
        r = record(w, &st);
    if (r == 0)
        r = set_owner_and_mode(w, fd, &st, mode);
    if (r == 0)
        r = reopen_made(w, dir, &st);
    close_fd(fd);
    return r;
}

/* A component that is not the last. */
static int enter(struct walk *w)
{
    int dir = current(w), fd, r;

    if (dir < 0)
        return dir;
    fd = open_step(w, dir, w->name, OPEN_DIR);
    if (fd == -ENOENT && w->make != BOX_WALK_FIND) {
        fd = make_dir(w, dir);
        if (fd >= 0)
            set_cur(w, fd);
        return fd < 0 ? fd : 0;
    }
    if (fd != -ENOTDIR && fd != -ELOOP) {
        /* Somebody else's directory in one that we have just made: start again, with it as a given. */
        if (fd >= 0 && w->made && w->made->count > 0) {
            close_fd(fd);
            return -EAGAIN;
        }
        fd = checked(w, fd);
        return fd < 0 ? fd : push(w, fd);
    }
    fd = open_step(w, dir, w->name, OPEN_ANY);
    if (fd < 0)
        return fd;
    r = follow(w, dir, fd);
    close_fd(fd);
    return r;
}

/* Opens the last component, which is not a link (or is not to be followed) and which seen is an O_PATH fd of.
 */
static int open_last(struct walk *w, int dir, int seen, int must_be_dir)
{
    struct stat st;
    int open_flags = w->open_flags | O_NOFOLLOW | (must_be_dir ? O_DIRECTORY : 0);
    int r = checked(w, seen);

    if (r < 0)
        return r;
    if (w->open_flags & O_PATH) {
        r = stat_fd(seen, &st);
        if (r == 0 && open_flags & O_DIRECTORY && !S_ISDIR(st.st_mode))
            r = -ENOTDIR;
        if (r == 0 && w->make == BOX_WALK_MAKE_FILE && S_ISDIR(st.st_mode))
            r = -EISDIR;
        if (r < 0)
            close_fd(seen);
        return r < 0 ? r : seen;
    }
    close_fd(seen);
    r = checked(w, open_step(w, dir, w->name, open_flags));
    /* A link that the caller wanted followed has come in since. */
    return r == -ELOOP && !(w->open_flags & O_NOFOLLOW) ? -EAGAIN : r;
}

static int is_link(int fd)
{
    struct stat st;
    int r = stat_fd(fd, &st);

    return r < 0 ? r : S_ISLNK(st.st_mode);
}

static int make_last(struct walk *w, int dir, int must_be_dir)
{
    if (w->make == BOX_WALK_MAKE_DIR)
        return make_dir(w, dir);
    return must_be_dir ? -EISDIR : make_file(w, dir);
}

/* The last component: an fd, FOLLOWED, or -errno. After a trailing slash a link is followed, whatever the
 * flags say. */
static int last_component(struct walk *w, int must_be_dir)
{
    int dir = current(w), fd, r;

    if (dir < 0)
        return dir;
    fd = open_step(w, dir, w->name, OPEN_ANY);
    if (fd == -ENOENT && w->make != BOX_WALK_FIND)
        return make_last(w, dir, must_be_dir);
    if (fd < 0)
        return fd;
    if (w->made && w->made->count > 0) {
        close_fd(fd);
        return -EAGAIN;
    }
    r = is_link(fd);
    if (r == 1 && (must_be_dir || !(w->open_flags & O_NOFOLLOW))) {
        r = follow(w, dir, fd);
        close_fd(fd);
        return r < 0 ? r : FOLLOWED;
    }
    if (r < 0) {
        close_fd(fd);
        return r;
    }
    return open_last(w, dir, fd, must_be_dir);
}

/* The path ended in "/", "." or "..": what is wanted is the directory that has been reached. */
static int finish_here(struct walk *w)
{
    int dir = current(w);

    if (dir < 0)
        return dir;
    if (w->make == BOX_WALK_MAKE_FILE)
        return -EISDIR;
    return checked(w, open_step(w, dir, ".", w->open_flags & ~O_NOFOLLOW));
}

/* Takes the next component off the text into w->name: its length, 0 at the end, or -ENAMETOOLONG. */
static int next_name(struct walk *w)
{
    unsigned n = 0;

    while (w->text[w->at] == '/')
        w->at++;
    while (w->text[w->at] && w->text[w->at] != '/') {
        if (n == BOX_RESOLVE_NAME - 1)
            return -ENAMETOOLONG;
        w->name[n++] = w->text[w->at++];
    }
    w->name[n] = '\0';
    return (int)n;
}

/* Whether only slashes follow. */
static int at_end(const struct walk *w)
{
    unsigned at = w->at;

    while (w->text[at] == '/')
        at++;
    return w->text[at] == '\0';
}

static int walk_on(struct walk *w)
{
    for (;;) {
        int n = next_name(w), r;
        if (n < 0)
            return n;
        if (n == 0)
            return finish_here(w);
        if (n == 1 && w->name[0] == '.')
            continue;
        if (n == 2 && w->name[0] == '.' && w->name[1] == '.') {
            r = up(w);
        } else if (!at_end(w)) {
            r = enter(w);
        } else {
            r = last_component(w, w->text[w->at] == '/');
            if (r != FOLLOWED)
                return r;
            r = 0;
        }
        if (r < 0)
            return r;
    }
}

static int begin(struct walk *w, const char *path)
{
    unsigned n = box_walk_length(path);

    if (n == 0)
        return -ENOENT;
    if (n >= BOX_RESOLVE_PATH)
        return -ENAMETOOLONG;
    if (path[0] == '/' && w->flags & BOX_RESOLVE_BENEATH)
        return -EXDEV;
    w->at = (unsigned)sizeof(w->text) - n - 1;
    box_walk_copy(w->text + w->at, path, n + 1);
    return w->flags & BOX_RESOLVE_NO_XDEV ? mount_of(w->root, &w->mount) : 0;
}

/* After a walk that could make things: hands the resolved path over, or takes back what was made before the
 * failure. */
static int settle(struct walk *w, int result)
{
    struct box_resolve_made *made = w->made;

    w->done[w->done_length] = '\0';
    if (result >= 0 && made->path && made->count > 0) {
        if (w->done_length >= made->path_size) {
            close_fd(result);
            result = -ENAMETOOLONG;
        } else {
            box_walk_copy(made->path, w->done, w->done_length + 1);
        }
    }
    if (result < 0 && made->count > 0) {
        char *path = made->path;
        made->path = w->done;
        box_resolve_unmake(w->root, made);
        made->path = path;
        made->count = 0;
    }
    return result;
}

int box_walk(int rootfd, const char *path, int open_flags, unsigned flags, enum box_walk_make make,
             const struct box_resolve_make *how, struct box_resolve_made *made)
{
    struct walk w;
    int r;

    w.root = rootfd;
    w.cur = rootfd;
    w.open_flags = open_flags | (make == BOX_WALK_MAKE_DIR ? O_DIRECTORY : 0);
    w.flags = flags;
    w.links = 0;
    w.steps = 0;
    w.mount = 0;
    w.make = make;
    w.how = how;
    w.made = made;
    w.done_length = 0;
    if (made)
        made->count = 0;
    r = begin(&w, path);
    if (r == 0)
        r = walk_on(&w);
    set_cur(&w, rootfd);
    return made ? settle(&w, r) : r;
}
