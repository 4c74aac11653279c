/* `docker cp`: what the source is called, and what the destination is, decide which name it gets there. The source is
 * packed by a thread of its own into a pipe, from which the destination is unpacked: neither side sees more of the
 * other than a tar stream. */
#include "container/copy.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strings.h"

/* ---- From a tree to a tree ---- */

struct transfer {
    struct copy_packing packing;
    struct box_watch watch;
    int fd; /* the end to write to */
    int result;
    box_error *error;
};

static void *send_all(void *data)
{
    struct transfer *t = data;
    _out_ struct box_out out = {0};
    int r = box_out_open(&out, &t->watch, t->fd, NULL, NULL, &t->error);

    if (r == 0)
        r = copy_pack(box_out_sink, &out, &t->packing, &t->error);
    if (r == 0)
        r = box_out_flush(&out, &t->error);
    t->result = r;
    close(t->fd);
    t->fd = -1;
    return NULL;
}

/* A thread that takes none of the host's signals. */
static int start_sender(struct transfer *t, pthread_t *thread, box_error **err)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    int r = pthread_create(thread, NULL, send_all, t);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return 0;
    errno = r;
    return box_fail_sys(err, "pthread_create", NULL, "cannot start a thread");
}

/* The reader's half has a watch of its own that tells nobody: the sender does. */
static int receive(const struct copy_tree *tree, const char *directory, int fd, const struct box_watch *watch,
                   unsigned flags, box_error **err)
{
    struct box_watch own = *watch;
    own.options.progress = NULL;
    _cleanup_(box_source) struct box_source *stream = copy_source(fd, &own, err);
    int r = stream ? copy_place(tree, directory, stream, flags, err) : BOX_ENOMEM;
    const void *data;
    size_t n = 1;

    /* What stands behind the end of the archive. */
    while (r == 0 && n > 0)
        r = box_source_read(stream, &data, &n, err);
    return r;
}

/* The sender's failure is the cause of the receiver's, unless the receiver went away first. */
static int choose(struct transfer *t, int received, box_error *why, box_error **err)
{
    bool sender = t->result < 0 && (received == 0 || box_error_errno(t->error) != EPIPE);
    box_error *told = sender ? t->error : why;

    box_error_free(sender ? why : t->error);
    if (err && (sender || received < 0))
        *err = told;
    else
        box_error_free(told);
    return sender ? t->result : received;
}

static int transfer(const struct copy_packing *from, const struct copy_tree *to, const char *directory, unsigned flags,
                    const struct box_watch *watch, box_error **err)
{
    struct transfer t = {.packing = *from, .watch = *watch, .fd = -1};
    box_error *why = NULL;
    pthread_t thread;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return box_fail_sys(err, "pipe2", NULL, "cannot make a pipe");
    (void)fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    t.fd = ends[1];
    int r = start_sender(&t, &thread, err);
    if (r < 0) {
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    r = receive(to, directory, ends[0], watch, flags, &why);
    close(ends[0]);
    pthread_join(thread, NULL);
    return choose(&t, r, why, err);
}

/* ---- What goes where ---- */

struct plan {
    char directory[PATH_MAX]; /* to unpack in */
    char prefix[BOX_RESOLVE_NAME];
    bool contents;
};

static int refuse(const char *path, const char *why, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EINVAL, .subject = path};

    return box_fail_with(err, &info, "%s: %s", path, why);
}

/* dest_exists, dest_is_dir: what is at `dest`, links followed. */
static int make_plan(const struct copy_name *source, bool source_is_dir, const char *dest, bool dest_exists,
                     bool dest_is_dir, struct plan *plan, box_error **err)
{
    struct copy_name name;
    int r = copy_name_read(dest, &name, err);

    if (r < 0)
        return r;
    *plan = (struct plan){.contents = source->contents && dest_exists};
    if (dest_exists && dest_is_dir) {
        snprintf(plan->directory, sizeof(plan->directory), "%s", dest);
        box_text_copy(plan->prefix, sizeof(plan->prefix), source->base);
        return 0;
    }
    if (dest_exists && source_is_dir)
        return refuse(dest, "cannot copy directory", err);
    if (name.directory || !*name.base)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_ENOTFOUND, .subject = dest},
                             "no such directory: %s", dest);
    size_t length = strlen(dest);
    while (length > 0 && dest[length - 1] != '/')
        length--;
    snprintf(plan->directory, sizeof(plan->directory), "%.*s", (int)length, dest);
    if (length == 0)
        box_text_copy(plan->directory, sizeof(plan->directory), ".");
    box_text_copy(plan->prefix, sizeof(plan->prefix), name.base);
    return 0;
}

/* ---- Out ---- */

static int open_host_directory(const char *path, struct copy_tree *tree, box_error **err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? box_fail_sys(err, "open", path, "cannot open the directory %s", path)
                  : copy_tree_open_host(fd, tree, err);
}

static int copy_from(box_container *c, const char *path, const char *host_path, unsigned flags, struct box_watch *watch,
                     box_error **err)
{
    _copy_tree_ struct copy_tree tree = COPY_TREE_NONE, host = COPY_TREE_NONE;
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    _free_ char *rest = NULL;
    struct copy_name name;
    struct plan plan;
    struct stat st;
    int r = copy_tree_open(c, path, &tree, &rest, err);

    if (r == 0)
        r = copy_name_read(path, &name, err);
    if (r == 0)
        r = copy_find(&tree, rest, flags & BOX_COPY_FOLLOW, &spot, err);
    if (r < 0)
        return r;
    bool exists = stat(host_path, &st) == 0;
    r = make_plan(&name, S_ISDIR(spot.st.st_mode), host_path, exists, exists && S_ISDIR(st.st_mode), &plan, err);
    if (r == 0)
        r = open_host_directory(plan.directory, &host, err);
    const struct copy_packing packing = {&tree, &spot, plan.contents ? NULL : plan.prefix};
    return r < 0 ? r : transfer(&packing, &host, ".", flags, watch, err);
}

int box_container_copy_from(box_container *c, const char *path, const char *host_path, unsigned flags,
                            const box_archive_options *options, box_error **err)
{
    struct box_watch watch;
    int r = box_watch_begin(&watch, options, err);

    if (r == 0 && (!host_path || !*host_path))
        r = box_fail(err, BOX_EINVAL, "the path must not be empty");
    if (r == 0)
        r = copy_from(c, path, host_path, flags, &watch, err);
    return r < 0 ? box_fail_wrap(err, r, "copy") : 0;
}

/* ---- In ---- */

/* A link of the host's at the end is followed only when that is wanted: realpath(3) of what it leads to. */
static int open_host_source(const char *path, unsigned flags, struct copy_name *name, struct copy_tree *tree,
                            struct copy_spot *spot, box_error **err)
{
    struct stat st;
    int r = copy_name_read(path, name, err);

    if (r < 0)
        return r;
    if (fstatat(AT_FDCWD, path, &st, flags & BOX_COPY_FOLLOW || name->directory ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return box_fail_sys(err, "stat", path, "cannot look at %s", path);
    if (name->directory && !S_ISDIR(st.st_mode))
        return refuse(path, "not a directory", err);
    if (S_ISDIR(st.st_mode)) {
        *spot = (struct copy_spot){.st = st, .dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    } else {
        _free_ char *real = flags & BOX_COPY_FOLLOW ? realpath(path, NULL) : strdup(path);
        char *slash = real ? strrchr(real, '/') : NULL;
        const char *last = slash ? slash + 1 : real;
        if (!real || strlen(last) >= sizeof(spot->name))
            return box_fail_sys(err, "realpath", path, "cannot follow %s", path);
        *spot = (struct copy_spot){.st = st};
        box_text_copy(spot->name, sizeof(spot->name), last);
        if (slash)
            slash[slash == real] = '\0';
        spot->dirfd = open(slash ? real : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (spot->dirfd < 0)
        return box_fail_sys(err, "open", path, "cannot open %s", path);
    int copy = fcntl(spot->dirfd, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor")
                    : copy_tree_open_host(copy, tree, err);
}

/* Whether there is something at the destination; BOX_ENOTFOUND is no failure. */
static int look_at_dest(const struct copy_tree *tree, const char *path, bool *exists, bool *is_dir, box_error **err)
{
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    box_error *why = NULL;
    int r = copy_find(tree, path, true, &spot, &why);

    *exists = r == 0;
    *is_dir = r == 0 && S_ISDIR(spot.st.st_mode);
    if (r == 0 || r == BOX_ENOTFOUND) {
        box_error_free(why);
        return 0;
    }
    if (err)
        *err = why;
    else
        box_error_free(why);
    return r;
}

static int copy_to(box_container *c, const char *host_path, const char *path, unsigned flags, struct box_watch *watch,
                   box_error **err)
{
    _copy_tree_ struct copy_tree host = COPY_TREE_NONE, tree = COPY_TREE_NONE;
    _copy_spot_ struct copy_spot spot = COPY_SPOT_NONE;
    _free_ char *rest = NULL;
    struct copy_name name;
    struct plan plan;
    bool exists, is_dir;
    int r = open_host_source(host_path, flags, &name, &host, &spot, err);

    if (r == 0)
        r = copy_tree_open(c, path, &tree, &rest, err);
    if (r == 0)
        r = look_at_dest(&tree, rest, &exists, &is_dir, err);
    if (r == 0)
        r = make_plan(&name, S_ISDIR(spot.st.st_mode), rest, exists, is_dir, &plan, err);
    if (r < 0)
        return r;
    const struct copy_packing packing = {&host, &spot, plan.contents ? NULL : plan.prefix};
    return transfer(&packing, &tree, plan.directory, flags, watch, err);
}

int box_container_copy_to(box_container *c, const char *host_path, const char *path, unsigned flags,
                          const box_archive_options *options, box_error **err)
{
    struct box_watch watch;
    int r = box_watch_begin(&watch, options, err);

    if (r == 0 && (!host_path || !*host_path || !path || !*path))
        r = box_fail(err, BOX_EINVAL, "the path must not be empty");
    if (r == 0)
        r = copy_to(c, host_path, path, flags, &watch, err);
    return r < 0 ? box_fail_wrap(err, r, "copy") : 0;
}
