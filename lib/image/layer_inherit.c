/* What a layer takes over from those below it.
 *
 * Some tools write "srv/file" and nothing about "srv". In the layer by itself that directory has to be made,
 * and in an overlay it is then the upper one, whose owner and mode count: /tmp could lose its sticky bit, or
 * a directory its set-gid bit, by a layer that says nothing about it. So owner, mode, time and attributes of
 * such directories are copied from the stack that the layer lies on, before it becomes visible. */
#include "image/layer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/array.h"
#include "base/resolve.h"
#include "base/strings.h"
#include "image/layer_erofs.h"
#include "spec/layers.h"

#define LIST_MAX  (256u << 20)
#define NOT_BELOW (-1000) /* no code of box_error's */

/* ---- The stack below ---- */

struct stack {
    int *fds; /* the topmost first */
    size_t n;
};

static void stack_close(struct stack *stack)
{
    for (size_t i = 0; i < stack->n; i++)
        close(stack->fds[i]);
    free(stack->fds);
}

static int stack_open(const box_store *store, const struct box_layer_id *ids, size_t n, struct stack *stack,
                      box_error **err)
{
    stack->fds = calloc(n ? n : 1, sizeof(*stack->fds));
    if (!stack->fds)
        return box_fail_nomem(err);
    while (n-- > 0) {
        char name[BOX_LAYER_NAME];
        struct box_layer_record record;
        int r = box_store_find_layer(store, &ids[n], name, &record, err);
        if (r <= 0)
            return r < 0 ? r : box_fail(err, BOX_ECORRUPT, "a layer has vanished from the store");
        int fd = box_layer_open_tree(store, name, &record, err);
        if (fd < 0)
            return fd;
        stack->fds[stack->n++] = fd;
        if (record.opaque)
            break;
    }
    return 0;
}

/* ---- The list ---- */

static int by_number(const void *a, const void *b)
{
    unsigned long long x = *(const unsigned long long *)a, y = *(const unsigned long long *)b;

    return x < y ? -1 : x > y;
}

struct list {
    char *text;
    size_t length;
    unsigned long long *listed; /* inodes that the archive listed after all */
    size_t n, capacity;
};

static void list_clear(struct list *list)
{
    free(list->text);
    free(list->listed);
}

/* The next record of the list: its sign, its inode, its path. */
static bool next(const struct list *list, size_t *at, char *sign, unsigned long long *ino, const char **path)
{
    if (*at >= list->length)
        return false;
    const char *record = list->text + *at;
    char *end;

    *at += strlen(record) + 1;
    *sign = record[0];
    *ino = strtoull(record + 1, &end, 10);
    *path = *end == ' ' ? end + 1 : end;
    return true;
}

static int list_read(int dirfd, struct list *list, box_error **err)
{
    int r = box_file_read(dirfd, BOX_LAYER_IMPLICIT, LIST_MAX, &list->text, &list->length, err);
    unsigned long long ino;
    const char *path;
    size_t at = 0;
    char sign;

    while (r == 0 && next(list, &at, &sign, &ino, &path)) {
        if (sign != '-')
            continue;
        unsigned long long *slot = box_array_add(&list->listed, &list->n, &list->capacity);
        if (!slot)
            return box_fail_nomem(err);
        *slot = ino;
    }
    if (list->n)
        qsort(list->listed, list->n, sizeof(*list->listed), by_number);
    return r;
}

/* ---- Taking over ---- */

static bool is_inherited(const char *name)
{
    return box_after_prefix(name, "user.") && !box_after_prefix(name, "user.overlay.");
}

static int copy_xattrs(int from, int to, const char *path, box_error **err)
{
    ssize_t size = flistxattr(from, NULL, 0);
    _free_ char *names = size > 0 ? malloc((size_t)size) : NULL;

    if (size <= 0)
        return 0;
    if (!names)
        return box_fail_nomem(err);
    size = flistxattr(from, names, (size_t)size);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        ssize_t length = is_inherited(name) ? fgetxattr(from, name, NULL, 0) : -1;
        _free_ char *value = length >= 0 ? malloc((size_t)length + 1) : NULL;
        if (length < 0)
            continue;
        if (!value)
            return box_fail_nomem(err);
        length = fgetxattr(from, name, value, (size_t)length);
        if (length < 0 || fsetxattr(to, name, value, (size_t)length, 0) < 0)
            return box_fail_sys(err, "fsetxattr", path, "cannot take over an attribute of \"%s\"", path);
    }
    return 0;
}

static int take_over(int from, int to, const char *path, bool privileged, box_error **err)
{
    struct stat st;

    if (fstat(from, &st) < 0)
        return box_fail_sys(err, "fstat", path, "cannot look at \"%s\" in the layers below", path);
    const struct timespec times[2] = {st.st_mtim, st.st_mtim};
    if ((privileged && fchown(to, st.st_uid, st.st_gid) < 0) || fchmod(to, st.st_mode & 07777) < 0)
        return box_fail_sys(err, "fchmod", path, "cannot take over owner and mode of \"%s\"", path);
    int r = copy_xattrs(from, to, path, err);
    if (r == 0 && futimens(to, times) < 0)
        r = box_fail_sys(err, "futimens", path, "cannot take over the time of \"%s\"", path);
    return r;
}

/* The directory of this path in the layers below, open for reading; -1 when they have none, or an error. */
static int open_below(const struct stack *stack, const char *path, box_error **err)
{
    struct box_layers_found found = {.dirfd = -1};
    const char *slash = strrchr(path, '/');
    int r = box_layers_find(stack->fds, stack->n, path, &found);
    _close_ int dirfd = found.dirfd;

    if (r < 0 || !S_ISDIR(found.st.st_mode))
        return NOT_BELOW;
    int from = openat(dirfd, slash ? slash + 1 : path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return from < 0 ? box_fail_sys(err, "open", path, "cannot open \"%s\" in the layers below", path) : from;
}

static int inherit_in_tree(int diff, unsigned long long ino, const char *path, int from, bool privileged,
                           box_error **err)
{
    struct stat st;
    _close_ int to = box_resolve(diff, path, O_RDONLY | O_DIRECTORY, BOX_RESOLVE_NO_SYMLINKS);

    /* Something else may have taken its place since. */
    if (to < 0 || fstat(to, &st) < 0 || st.st_ino != ino)
        return 0;
    return take_over(from, to, path, privileged, err);
}

/* fd: the layer's diff/, or its image, whose numbers of inodes are what the list has. */
static int inherit_one(int fd, bool image, const struct stack *stack, unsigned long long ino, const char *path,
                       bool privileged, box_error **err)
{
    _close_ int from = open_below(stack, path, err);

    if (from == NOT_BELOW)
        return 0;
    if (from < 0)
        return from;
    return image ? box_layer_inherit_in_image(fd, ino, from, path, err)
                 : inherit_in_tree(fd, ino, path, from, privileged, err);
}

static int inherit(int dirfd, const struct stack *stack, const struct box_layer_id *id, struct box_layer_record *record,
                   bool privileged, box_error **err)
{
    struct list list = {0};
    _close_ int diff = record->image ? openat(dirfd, BOX_LAYER_IMAGE, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
                                     : openat(dirfd, BOX_LAYER_DIFF, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = diff < 0 ? box_fail_sys(err, "open", "diff", "cannot open an unpacked layer")
                     : list_read(dirfd, &list, err);
    unsigned long long ino;
    const char *path;
    size_t at = 0;
    char sign;

    while (r == 0 && next(&list, &at, &sign, &ino, &path))
        if (sign == '+' && !(list.n && bsearch(&ino, list.listed, list.n, sizeof(*list.listed), by_number)))
            r = inherit_one(diff, record->image, stack, ino, path, privileged, err);
    list_clear(&list);
    return r == 0 && record->image ? box_layer_seal_image(diff, &id->diff_id, record, err) : r;
}

/* ---- Becoming visible ---- */

static int publish(struct box_store_work *work, const struct box_layer_id *id, const char *name,
                   const struct box_layer_record *record, box_error **err)
{
    int lock = box_store_lock_layer(work->store, &id->diff_id, BOX_NEVER, err);
    if (lock < 0)
        return lock;
    /* Somebody else may have been as far before: theirs is in use by now, ours goes with the workplace. */
    int r = box_store_look_at_layer(work->store, name, NULL, err);
    if (r == 0)
        r = box_store_publish_layer(work, name, name, record, err);
    box_store_unlock_layer(work->store, &id->diff_id, lock);
    return r < 0 ? r : 0;
}

int box_layer_inherit(struct box_store_work *work, const struct box_layer_id *stack, size_t top,
                      box_error **err)
{
    struct stack below = {0};
    struct box_layer_record record;
    char name[BOX_LAYER_NAME], text[BOX_DIGEST_TEXT];
    _close_ int dirfd =
        openat(work->fd, box_layer_name(&stack[top], true, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = dirfd < 0 ? box_fail_sys(err, "open", name, "cannot open an unpacked layer")
                      : stack_open(work->store, stack, top, &below, err);

    if (r == 0)
        r = box_store_read_record(work, name, &record, err);
    if (r == 0)
        r = inherit(dirfd, &below, &stack[top], &record, work->store->privileged, err);
    stack_close(&below);
    if (r == 0)
        r = publish(work, &stack[top], name, &record, err);
    return r < 0 ? box_fail_wrap(err, r, "layer %s", box_digest_format(&stack[top].diff_id, text)) : 0;
}
