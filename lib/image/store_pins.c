/* Containers that hold images: the file `image` in a container's directory. */
#include "image/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/store_late.h"

#define PIN     "image"
#define PIN_MAX 256

int box_store_pin(const box_store *store, int dirfd, const char *manifest_digest, unsigned flags, box_error **err)
{
    char line[BOX_DIGEST_TEXT + 1 + sizeof(store->boot) + 1], text[BOX_DIGEST_TEXT];
    struct box_digest digest;
    int r = box_digest_parse(manifest_digest, &digest, err);

    if (r < 0)
        return r;
    /* A pin that lasts holds an image that does. */
    if (!(flags & BOX_FILE_NO_SYNC) && store->boot[0] && (r = box_late_sync(store, err)) < 0)
        return r;
    /* With the lock held, nobody takes the image away between the look and the pin. */
    _store_unlock_ int lock = box_store_lock(store, BOX_LOCK_SHARED, err);
    if (lock < 0)
        return lock;
    _index_ struct box_index index = {0};
    r = box_index_read(store, &index, err);
    if (r < 0)
        return r;
    if (!box_index_find_manifest(&index, &digest)) {
        struct box_fail_info info = {.code = BOX_ENOTFOUND, .subject = manifest_digest};
        return box_fail_with(err, &info, "the image %s was removed meanwhile", manifest_digest);
    }
    bool lasts = !(flags & BOX_FILE_NO_SYNC);
    int n = snprintf(line, sizeof(line), "%s\n%s%s", box_digest_format(&digest, text), lasts ? "" : store->boot,
                     lasts || !store->boot[0] ? "" : "\n");
    return box_file_replace(dirfd, PIN, line, (size_t)n, 0600, flags, err);
}

int box_store_has_image(const box_store *store, const char *manifest_digest, box_error **err)
{
    struct box_digest digest;
    _index_ struct box_index index = {0};
    int r = box_digest_parse(manifest_digest, &digest, err);

    if (r == 0)
        r = box_index_read(store, &index, err);
    return r < 0 ? r : box_index_find_manifest(&index, &digest) != NULL;
}

/* Of a directory that is thrown away, where nothing is synced: a pin that is not whole is what a power cut left. */
static bool is_thrown_away(int dirfd)
{
    struct stat st;

    return fstat(dirfd, &st) == 0 && (st.st_mode & S_ISVTX);
}

/* A pin that cannot be read must not count as none: what it holds would be taken away under a container. */
static int read_pin(int dirfd, const char *container, struct box_digest *digest, box_error **err)
{
    _free_ char *text = NULL;
    box_error *why = NULL;
    int r = box_file_read(dirfd, PIN, PIN_MAX, &text, NULL, &why);

    if (r == BOX_ENOTFOUND) {
        box_error_free(why);
        return 0;
    }
    if (r == 0) {
        text[strcspn(text, "\n")] = '\0';
        r = box_digest_parse(text, digest, &why);
        if (r < 0 && is_thrown_away(dirfd)) {
            box_error_free(why);
            return 0;
        }
    }
    if (r == 0)
        return 1;
    struct box_fail_info info = {
        .code = BOX_ECORRUPT, .subject = container, .remedy = "remove the container"};
    r = box_fail_with(err, &info, "container %s does not tell which image it holds: %s", container,
                      box_error_message(why));
    box_error_free(why);
    return r;
}

bool box_store_pin_is_over(const box_store *store, const char *container)
{
    _close_ int dirfd = openat(store->containersfd, container, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    _free_ char *text = NULL;

    if (dirfd < 0 || !store->boot[0] || !is_thrown_away(dirfd) || box_file_read(dirfd, PIN, PIN_MAX, &text, NULL, NULL) < 0)
        return false;
    const char *boot = text + strcspn(text, "\n");
    boot += *boot == '\n';
    size_t length = strcspn(boot, "\n");
    return length > 0 && (length != strlen(store->boot) || strncmp(boot, store->boot, length) != 0);
}

int box_store_each_pin(const box_store *store, box_store_pin_fn *visit, void *data, box_error **err)
{
    int fd = openat(store->containersfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (!dir) {
        box_cleanup_close(&fd);
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's containers");
    }
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        struct box_digest digest;
        if (e->d_name[0] == '.' && strspn(e->d_name, ".") == strlen(e->d_name))
            continue;
        _close_ int container =
            openat(store->containersfd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (container < 0)
            continue; /* not a directory, or gone */
        int r = read_pin(container, e->d_name, &digest, err);
        if (r > 0)
            r = visit(e->d_name, &digest, data, err);
        if (r < 0)
            return r;
    }
    return 0;
}
