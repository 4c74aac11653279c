/* Removing a tree.
 *
 * Removing is built against what a container leaves behind or still does in its tree: links are removed and
 * never followed (each name is opened under its parent's fd with no links and no mount crossed), a tree that
 * is deeper than the fds at hand is flattened (what lies too deep is moved up to the top of the tree and
 * removed from there), names that keep being added end in an error and not in a loop without end.
 *
 * A large tree is first emptied by several threads, each of which takes a directory: most of the time goes into waiting,
 * for the file system's locks and, where it discards what is freed, for the disk. They report nothing. What they leave,
 * because it changed, or could not be opened, is met again by one thread, which does. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/resolve.h"
#include "base/workqueue.h"

#define MAX_DEPTH    16
#define MAX_PASSES   100000
#define MAX_FILLED   100 /* times that a directory may have been filled again when it is to go */
#define SPREAD_AFTER 256 /* entries: for less, threads do not pay */
#define HELPERS      7
#define MAX_OPEN     24  /* directories that are open, or wait, for all threads together … */
#define OWN_DEPTH    3   /* … and that each thread opens beside them */

struct removal {
    int top; /* the tree's own directory: too deep ones are moved here */
    unsigned long moved;
    unsigned long progress; /* objects removed or moved so far */
    int result;             /* of the first failure */
    box_error **err;
};

static void note(struct removal *r, int errnum, const char *call, const char *name, const char *why)
{
    struct box_fail_info info = {.errnum = errnum, .call = call, .subject = name};

    if (r->result == 0)
        r->result = box_fail_with(r->err, &info, "%s", why);
}

/* A directory of an ordinary user's can lack the bits that its owner needs to empty it. */
static bool make_accessible(int dirfd, const char *name)
{
    char path[32];
    struct stat st;
    _close_ int fd = openat(dirfd, name, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &st) < 0 || (st.st_mode & 0700) == 0700)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return chmod(path, 0700) == 0;
}

static int open_dir(int dirfd, const char *name)
{
    const unsigned flags = BOX_RESOLVE_NO_XDEV | BOX_RESOLVE_BENEATH | BOX_RESOLVE_NO_SYMLINKS;
    const int open_flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    int fd = box_resolve(dirfd, name, open_flags, flags);

    if (fd == -EACCES && make_accessible(dirfd, name))
        fd = box_resolve(dirfd, name, open_flags, flags);
    return fd;
}

/* unlinkat(2); a refusal for want of write permission on the directory is met with a change of its mode. */
static int unlink_one(struct removal *r, int dirfd, const char *name, int flags)
{
    int result = unlinkat(dirfd, name, flags);

    if (result < 0 && errno == EACCES && make_accessible(dirfd, "."))
        result = unlinkat(dirfd, name, flags);
    r->progress += result == 0;
    return result == 0 || errno == ENOENT ? 0 : -errno;
}

static void remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth);

/* Moves a directory that is too deep to the top, where a later pass finds it. */
static void move_up(struct removal *r, int dirfd, const char *name)
{
    char to[64];
    int result;

    do {
        snprintf(to, sizeof(to), ".libbox-removed-%lu", r->moved++);
        result = renameat2(dirfd, name, r->top, to, RENAME_NOREPLACE);
        /* The parent of what is moved changes, for which it must be writable. */
        if (result < 0 && errno == EACCES && make_accessible(dirfd, name))
            result = renameat2(dirfd, name, r->top, to, RENAME_NOREPLACE);
    } while (result < 0 && errno == EEXIST);
    if (result < 0)
        note(r, errno, "rename", name, "remove a directory");
    r->progress += result == 0;
}

/* One look at all entries; how many there were. */
static unsigned long empty_once(struct removal *r, DIR *dir, unsigned depth)
{
    unsigned long seen = 0;

    rewinddir(dir);
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        seen++;
        remove_entry(r, dirfd(dir), e->d_name, depth + 1);
    }
    return seen;
}

/* Empties the directory that fd is open on, and takes fd over. Entries can be skipped by readdir(3) while
 * others are removed, and come in from below (move_up), so it looks until there is nothing, or nothing that
 * goes away. */
static void empty_dir(struct removal *r, int fd, const char *name, unsigned depth)
{
    _closedir_ DIR *dir = fdopendir(fd);
    unsigned long before;
    unsigned pass = 0;

    if (!dir) {
        note(r, errno, "opendir", name, "remove a directory");
        close(fd);
        return;
    }
    do {
        if (pass++ == MAX_PASSES) {
            note(r, EBUSY, "unlink", name, "files keep being added to a directory that is being removed");
            break;
        }
        before = r->progress;
    } while (empty_once(r, dir, depth) > 0 && r->progress != before);
}

static void remove_entry(struct removal *r, int dirfd, const char *name, unsigned depth)
{
    int fd, result = unlink_one(r, dirfd, name, 0);

    if (result == 0)
        return;
    fd = open_dir(dirfd, name);
    if (fd == -ENOTDIR || fd == -ELOOP || fd == -ENOENT) {
        if (fd != -ENOENT)
            note(r, -result, "unlink", name, "remove a file");
        return;
    }
    if (fd < 0) {
        note(r, fd == -EXDEV ? EBUSY : -fd, "open", name,
             fd == -EXDEV ? "something is mounted in the directory to be removed" : "remove a directory");
        return;
    }
    if (depth == MAX_DEPTH) {
        close(fd);
        move_up(r, dirfd, name);
        return;
    }
    if (depth == 0)
        r->top = fd;
    empty_dir(r, fd, name, depth);
    result = unlink_one(r, dirfd, name, AT_REMOVEDIR);
    /* Something came in after the last look. */
    for (unsigned filled = 0; result == -ENOTEMPTY && r->result == 0 && filled < MAX_FILLED; filled++) {
        if ((fd = open_dir(dirfd, name)) < 0)
            break;
        r->top = depth == 0 ? fd : r->top;
        empty_dir(r, fd, name, depth);
        result = unlink_one(r, dirfd, name, AT_REMOVEDIR);
    }
    if (result < 0)
        note(r, -result, "rmdir", name, "remove a directory");
}

/* ---- By several threads ---- */

/* A directory that is open. It goes when it has been read and the last one of those below it has gone. */
struct branch {
    struct branch *above, *next;
    int fd;
    unsigned pending;
    char name[256];
};

struct spread {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct branch *waiting; /* to be read: the latest first, so that few are open */
    unsigned open;
    int dirfd; /* what the topmost is below */
    /* the caller's own */
    unsigned seen;
    struct box_workqueue *helpers;
};

static bool branch_add(struct spread *s, struct branch *above, int dirfd, const char *name)
{
    struct branch *b = NULL;

    pthread_mutex_lock(&s->mutex);
    bool room = s->open < MAX_OPEN;
    s->open += room;
    pthread_mutex_unlock(&s->mutex);
    if (room && strlen(name) < sizeof(b->name))
        b = calloc(1, sizeof(*b));
    if (b) {
        b->fd = open_dir(dirfd, name);
        b->above = above;
        b->pending = 1;
        memcpy(b->name, name, strlen(name) + 1);
    }
    bool added = b && b->fd >= 0;
    pthread_mutex_lock(&s->mutex);
    if (!added) {
        s->open -= room;
    } else { /* another thread may have it, and be done with it, as soon as the lock is let go */
        if (above)
            above->pending++;
        b->next = s->waiting;
        s->waiting = b;
    }
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->mutex);
    if (!added)
        free(b);
    return added;
}

static void branch_done(struct spread *s, struct branch *b)
{
    struct removal r = {.top = -1};

    while (b) {
        struct branch *above = b->above;
        pthread_mutex_lock(&s->mutex);
        bool over = --b->pending == 0;
        pthread_mutex_unlock(&s->mutex);
        if (!over)
            return;
        unlink_one(&r, above ? above->fd : s->dirfd, b->name, AT_REMOVEDIR);
        close(b->fd);
        free(b);
        pthread_mutex_lock(&s->mutex);
        if (--s->open == 0)
            pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->mutex);
        b = above;
    }
}

static void start_helpers(struct spread *s);

static void empty_branch(struct spread *s, struct branch *b, bool caller)
{
    int copy = fcntl(b->fd, F_DUPFD_CLOEXEC, 3);
    _closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);

    if (!dir)
        box_cleanup_close(&copy);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        struct removal r = {.top = b->fd};
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (caller && ++s->seen == SPREAD_AFTER)
            start_helpers(s);
        if (e->d_type != DT_DIR && unlink_one(&r, b->fd, e->d_name, 0) == 0)
            continue;
        if (!branch_add(s, b, b->fd, e->d_name))
            remove_entry(&r, b->fd, e->d_name, MAX_DEPTH - OWN_DEPTH);
    }
    branch_done(s, b);
}

/* Until nothing waits and nothing is open. */
static void empty_branches(struct spread *s, bool caller)
{
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->waiting && s->open > 0)
            pthread_cond_wait(&s->changed, &s->mutex);
        struct branch *b = s->waiting;
        if (!b)
            break;
        s->waiting = b->next;
        pthread_mutex_unlock(&s->mutex);
        empty_branch(s, b, caller);
        pthread_mutex_lock(&s->mutex);
    }
    pthread_mutex_unlock(&s->mutex);
}

static int help(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)queue;
    (void)err;
    empty_branches(data, false);
    return 0;
}

/* Without a thread to be had the queue would do the work at once, here, below a branch that is not over: it would wait
 * for itself. So that is found out with work that does nothing. */
static int look_where(void *data, struct box_workqueue *queue, box_error **err)
{
    (void)queue;
    (void)err;
    return pthread_equal(*(pthread_t *)data, pthread_self()) ? BOX_EBUSY : 0;
}

static void start_helpers(struct spread *s)
{
    pthread_t self = pthread_self();
    box_workqueue *queue = box_workqueue_new(HELPERS, HELPERS, NULL);

    if (queue && box_workqueue_submit(queue, look_where, &self, NULL, NULL) == 0 && box_workqueue_wait(queue, NULL) == 0)
        s->helpers = queue;
    else
        box_workqueue_free(queue);
    for (unsigned i = 0; s->helpers && i < HELPERS; i++)
        box_workqueue_submit(s->helpers, help, s, NULL, NULL);
}

static void remove_spread(int dirfd, const char *name)
{
    struct spread s = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .dirfd = dirfd};

    if (branch_add(&s, NULL, dirfd, name))
        empty_branches(&s, true);
    box_workqueue_free(s.helpers);
    pthread_cond_destroy(&s.changed);
    pthread_mutex_destroy(&s.mutex);
}

int box_remove_tree(int dirfd, const char *name, box_error **err)
{
    struct removal r = {.top = -1, .err = err};

    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return box_fail(err, BOX_EINVAL, "remove \"%s\": not the name of an entry of a directory", name);
    if (unlink_one(&r, dirfd, name, 0) == 0)
        return 0;
    remove_spread(dirfd, name);
    remove_entry(&r, dirfd, name, 0);
    return r.result;
}
