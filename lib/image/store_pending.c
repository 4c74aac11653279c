/* Listing and marking what is whole but not synced: store_late.c syncs between the two. */
#include "image/store_pending.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/strings.h"

void box_pending_layers_clear(struct box_pending_layers *layers)
{
    free(layers->items);
    *layers = (struct box_pending_layers){0};
}

int box_store_pending_layers(const box_store *store, struct box_pending_layers *layers, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(store->layersfd);
    struct stat st;

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's layers");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        if (!box_layer_name_parse(e->d_name, NULL) || box_store_layer_is_marked(store, e->d_name) ||
            box_store_look_at_layer(store, e->d_name, NULL, NULL) != 1 ||
            fstatat(store->layersfd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        struct box_pending_layer *layer = box_array_add(&layers->items, &layers->n, &layers->capacity);
        if (!layer)
            return box_fail_nomem(err);
        box_text_copy(layer->name, sizeof(layer->name), e->d_name);
        layer->ino = st.st_ino;
    }
    return 0;
}

int box_store_mark_pending(const box_store *store, const struct box_pending_layers *layers, box_error **err)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < layers->n; i++)
        r = box_store_mark_layer(store, layers->items[i].name, layers->items[i].ino, err);
    return r;
}

int box_store_pending_blobs(const box_store *store, char ***names, box_error **err)
{
    _closedir_ DIR *dir = box_store_read_dir(store->partialfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's partial blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        const char *boot = strchr(e->d_name, '+');
        if (boot && strcmp(boot + 1, store->boot) == 0 && box_strv_append(names, e->d_name) < 0)
            return box_fail_nomem(err);
    }
    return 0;
}

int box_store_place_pending(const box_store *store, char **names, box_error **err)
{
    char to[BOX_STORE_HEX + sizeof(".zst")];

    for (char **name = names; name && *name; name++) {
        size_t length = strcspn(*name, "+");
        if (length >= sizeof(to))
            continue; /* no name of ours */
        snprintf(to, sizeof(to), "%.*s", (int)length, *name);
        if (renameat(store->partialfd, *name, store->blobsfd, to) < 0 && errno != ENOENT)
            return box_fail_sys(err, "rename", to, "cannot put a blob into the store");
    }
    return box_dir_sync(store->blobsfd, err);
}
