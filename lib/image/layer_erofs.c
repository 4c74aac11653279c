/* Layers as EROFS images: the choice between the forms. */
#include "image/layer_erofs.h"

#include <fcntl.h>
#include <unistd.h>

#include "image/erofs_image.h"
#include "kernel/mount_image.h"

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
