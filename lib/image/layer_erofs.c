/* Layers as EROFS images: the choice between the forms, and what a layer of this form needs besides unpacking. */
#include "image/layer_erofs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/strings.h"
#include "image/erofs_image.h"
#include "kernel/mount_image.h"

/* What one directory may hand on: more than any file system keeps. */
#define INHERIT_MEMORY (16u << 20)

/* ---- The choice ---- */

bool box_erofs_probe(int dirfd)
{
    _close_ int fd = openat(dirfd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct erofs_tree *tree = fd < 0 ? NULL : box_erofs_tree_new(1u << 20, NULL);
    struct erofs_image *image = tree ? box_erofs_image_new(fd, NULL) : NULL;
    uint64_t end;
    int mount = image && box_erofs_image_finish(image, tree, &end, NULL) == 0 ? box_mount_image(fd, NULL) : -1;

    box_erofs_image_free(image);
    box_erofs_tree_free(tree);
    if (mount >= 0)
        close(mount);
    return mount >= 0;
}

bool box_layer_wants_image(const struct box_store_work *work)
{
    char setting[16];

    if (!work->store->privileged)
        return false;
    box_store_setting(work->store, "layers", setting);
    return strcmp(setting, "erofs") == 0 && box_erofs_probe(work->fd);
}

/* ---- Making one ---- */

int box_layer_unpack_image(struct box_source *tar, int imagefd, const struct box_unpack *how,
                           struct box_layer_record *record, box_error **err)
{
    uint64_t data_end = 0;
    int r = box_unpack_erofs(tar, imagefd, how, record, &data_end, err);

    record->image = true;
    record->data_end = data_end;
    return r;
}

int box_layer_seal_image(int imagefd, const struct box_digest *diff_id, struct box_layer_record *record,
                         box_error **err)
{
    int r = box_erofs_set_uuid(imagefd, diff_id, err);

    return r < 0 ? r : box_erofs_digest(imagefd, record->data_end, false, &record->digest, err);
}

/* ---- Reading one ---- */

static int open_image(const box_store *store, const char *name, box_error **err)
{
    char path[BOX_LAYER_NAME + sizeof("/" BOX_LAYER_IMAGE)];

    snprintf(path, sizeof(path), "%s/" BOX_LAYER_IMAGE, name);
    int fd = openat(store->layersfd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? box_fail_sys(err, "open", path, "cannot open a layer of the store") : fd;
}

int box_layer_check_image(const box_store *store, const char *name, const struct box_layer_record *record,
                          box_error **err)
{
    struct box_digest found;
    _close_ int fd = open_image(store, name, err);

    if (fd < 0)
        return fd;
    int r = box_erofs_digest(fd, record->data_end, true, &found, err);
    return r < 0 ? r : box_digest_check(&record->digest, &found, "the layer's image", err);
}

int box_layer_open_tree(const box_store *store, const char *name, const struct box_layer_record *record,
                        box_error **err)
{
    char path[BOX_LAYER_NAME + sizeof("/" BOX_LAYER_DIFF)];

    if (record->image) {
        _close_ int image = open_image(store, name, err);
        return image < 0 ? image : box_mount_image(image, err);
    }
    snprintf(path, sizeof(path), "%s/" BOX_LAYER_DIFF, name);
    int fd = openat(store->layersfd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? box_fail_sys(err, "open", path, "cannot open a layer of the store") : fd;
}

/* ---- Inheriting ---- */

static bool is_inherited(const char *name)
{
    return box_after_prefix(name, "user.") && !box_after_prefix(name, "user.overlay.");
}

static int read_xattrs(int from, const char *path, struct erofs_tree *tree, struct erofs_inode *into, box_error **err)
{
    ssize_t size = flistxattr(from, NULL, 0);
    _free_ char *names = size > 0 ? malloc((size_t)size) : NULL;

    if (size <= 0)
        return 0;
    if (!names)
        return box_fail_nomem(err);
    size = flistxattr(from, names, (size_t)size);
    for (const char *name = names; name < names + size; name += strlen(name) + 1) {
        char value[UINT16_MAX];
        const char *rest;
        ssize_t length = is_inherited(name) ? fgetxattr(from, name, value, sizeof(value)) : 0;
        unsigned index = box_erofs_xattr_index(name, &rest);
        if (length < 0)
            return box_fail_sys(err, "fgetxattr", path, "cannot take over an attribute of \"%s\"", path);
        if (is_inherited(name) && !box_erofs_set_xattr(tree, into, index, rest, value, (size_t)length))
            return box_fail_nomem(err);
    }
    return 0;
}

int box_layer_inherit_in_image(int imagefd, uint64_t nid, int from, const char *path, box_error **err)
{
    struct stat st;

    if (fstat(from, &st) < 0)
        return box_fail_sys(err, "fstat", path, "cannot look at \"%s\" in the layers below", path);
    struct erofs_tree *tree = box_erofs_tree_new(INHERIT_MEMORY, err);
    if (!tree)
        return BOX_ENOMEM;
    struct erofs_inode *inode = box_erofs_tree_root(tree);
    int r = read_xattrs(from, path, tree, inode, err);
    const struct erofs_attributes attributes = {st.st_mode & 07777, st.st_uid, st.st_gid, st.st_mtim, inode->xattrs};
    if (r == 0)
        r = box_erofs_inherit(imagefd, nid, &attributes, err);
    box_erofs_tree_free(tree);
    return r;
}
