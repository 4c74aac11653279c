/* What a container changed: its writable layer is walked, and each of its names is held against the layers below. A
 * directory that hides those below it (opaque, or in the place of something else) is compared with what was there. */
#include <libbox/archive.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/strings.h"
#include "container/root.h"

struct box_change_list {
    struct box_change *items;
    size_t n, capacity;
};

struct walk {
    struct box_change_list *list;
    char **leave_out;
    unsigned depth;
    char path[PATH_MAX]; /* without the slash in front */
};

void box_change_list_free(box_change_list *list)
{
    if (!list)
        return;
    for (size_t i = 0; i < list->n; i++)
        free((char *)list->items[i].path);
    free(list->items);
    free(list);
}
BOX_CLEANUP(box_change_list, box_change_list_free);

size_t box_change_list_count(const box_change_list *list)
{
    return list->n;
}

const box_change *box_change_list_get(const box_change_list *list, size_t index)
{
    return index < list->n ? &list->items[index] : NULL;
}

static int add(struct walk *w, enum box_change_kind kind, box_error **err)
{
    char *path = box_strf("/%s", w->path);
    struct box_change *slot = path ? box_array_add(&w->list->items, &w->list->n, &w->list->capacity) : NULL;

    if (!slot) {
        free(path);
        return box_fail_nomem(err);
    }
    *slot = (struct box_change){kind, path};
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, *(char *const *)b);
}

static bool left_out(const struct walk *w)
{
    return w->leave_out &&
           bsearch(w->path, w->leave_out, box_strv_length(w->leave_out), sizeof(*w->leave_out), by_text);
}

static int enter(struct walk *w, const char *name, box_error **err)
{
    size_t length = strlen(w->path);

    if (length + strlen(name) + 2 > sizeof(w->path))
        return box_fail(err, BOX_ELIMIT, "a path in the container is too long");
    if (length)
        w->path[length] = '/';
    box_text_copy(w->path + length + (length > 0), sizeof(w->path) - length - (length > 0), name);
    return (int)length;
}

static int compare(struct walk *w, const struct box_union_dir *upper, const struct box_union_dir *lower, bool hides,
                   box_error **err);

/* A copied-up directory that is as it was, and in which nothing is listed, has not been changed. */
static bool is_as_it_was(const struct stat *a, const struct stat *b)
{
    return S_ISDIR(a->st_mode) && S_ISDIR(b->st_mode) && a->st_mode == b->st_mode && a->st_uid == b->st_uid &&
           a->st_gid == b->st_gid && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int go_below(struct walk *w, const struct box_union_dir *upper, const struct box_union_name *at,
                    const struct box_union_dir *lower, size_t part, const struct stat *was, bool hides, box_error **err)
{
    _union_dir_ struct box_union_dir x = BOX_UNION_DIR_NONE, y = BOX_UNION_DIR_NONE;
    int r = box_union_enter(upper, at->name, at->part, &x, err);

    if (r == 1 && was && S_ISDIR(was->st_mode))
        r = box_union_enter(lower, at->name, part, &y, err);
    if (r < 0 || !x.n)
        return r < 0 ? r : 0;
    return compare(w, &x, &y, hides || box_is_opaque(x.fds[0]), err);
}

static int look(struct walk *w, const struct box_union_dir *upper, const struct box_union_name *at,
                const struct box_union_dir *lower, bool hides, box_error **err)
{
    struct stat was;
    size_t part = 0, before = w->list->n;
    int had = lower ? box_union_look(lower, at->name, &part, &was, err) : 0;

    if (had < 0 || left_out(w))
        return had < 0 ? had : 0;
    if (box_is_whiteout(&at->st))
        return had ? add(w, BOX_CHANGE_DELETED, err) : 0;
    int r = add(w, had ? BOX_CHANGE_MODIFIED : BOX_CHANGE_ADDED, err);
    if (r == 0 && S_ISDIR(at->st.st_mode))
        r = go_below(w, upper, at, lower, part, had ? &was : NULL, hides, err);
    if (r == 0 && had && w->list->n == before + 1 && is_as_it_was(&at->st, &was))
        free((char *)w->list->items[--w->list->n].path);
    return r;
}

/* Names that were below, and are hidden by a directory that does not have them. */
static int find_hidden(struct walk *w, const struct box_union_names *names, const struct box_union_dir *lower,
                       box_error **err)
{
    _union_names_ struct box_union_names was = {0};
    int r = box_union_list(lower, w->path, false, &was, err);

    for (size_t i = 0, j = 0; r == 0 && i < was.n; i++) {
        while (j < names->n && strcmp(names->items[j].name, was.items[i].name) < 0)
            j++;
        if (j < names->n && strcmp(names->items[j].name, was.items[i].name) == 0)
            continue;
        int length = enter(w, was.items[i].name, err);
        r = length < 0 ? length : add(w, BOX_CHANGE_DELETED, err);
        if (length >= 0)
            w->path[length] = '\0';
    }
    return r;
}

static int compare(struct walk *w, const struct box_union_dir *upper, const struct box_union_dir *lower, bool hides,
                   box_error **err)
{
    _union_names_ struct box_union_names names = {0};
    int r = w->depth >= BOX_PACK_DEPTH
                ? box_fail(err, BOX_ELIMIT, "the tree is more than %d directories deep", BOX_PACK_DEPTH)
                : box_union_list(upper, w->path, true, &names, err);

    w->depth++;
    for (size_t i = 0; r == 0 && i < names.n; i++) {
        int length = enter(w, names.items[i].name, err);
        r = length < 0 ? length : look(w, upper, &names.items[i], lower, hides, err);
        if (length >= 0)
            w->path[length] = '\0';
    }
    if (r == 0 && hides && lower->n)
        r = find_hidden(w, &names, lower, err);
    w->depth--;
    return r;
}

static int by_path(const void *a, const void *b)
{
    return strcmp(((const struct box_change *)a)->path, ((const struct box_change *)b)->path);
}

int box_container_changes(box_container *c, box_change_list **out, box_error **err)
{
    _container_layers_ struct container_layers layers = CONTAINER_LAYERS_NONE;
    _cleanup_(box_change_list) box_change_list *list = calloc(1, sizeof(*list));
    _union_dir_ struct box_union_dir upper = BOX_UNION_DIR_NONE, lower = BOX_UNION_DIR_NONE;
    _free_ struct walk *w = calloc(1, sizeof(*w));

    if (!list || !w)
        return box_fail_nomem(err);
    if (!out)
        return box_fail(err, BOX_EINVAL, "box_container_changes: list must not be NULL");
    w->list = list;
    int r = container_layers_open(c, &layers, err);
    if (r == 0)
        r = container_stubs(c, &layers, &w->leave_out, err);
    if (r == 0)
        r = box_union_root(&layers.upper, 1, &upper, err);
    if (r == 0)
        r = box_union_root(layers.lower.fds, layers.lower.n, &lower, err);
    if (r == 0)
        r = compare(w, &upper, &lower, false, err);
    box_strv_free(w->leave_out);
    if (r < 0)
        return box_fail_wrap(err, r, "changes");
    if (list->n)
        qsort(list->items, list->n, sizeof(*list->items), by_path);
    *out = box_take(list);
    return 0;
}
