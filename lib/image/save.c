/* Saving images: which they are, held for as long as it takes by the lease of a workplace, so that nobody removes
 * their layers meanwhile. */
#include "image/save.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/array.h"
#include "base/strings.h"
#include "image/reference.h"

/* ---- Images ---- */

static void image_clear(struct save_image *image)
{
    for (size_t i = 0; image->layers && i < image->manifest.n_layers; i++)
        box_cleanup_close(&image->layers[i].blob.fd);
    free(image->layers);
    free(image->manifest_json);
    free(image->config_json);
    box_manifest_clear(&image->manifest);
    box_strv_free(image->names);
    box_image_free(image->image);
}

static void save_clear(struct save *save)
{
    for (size_t i = 0; i < save->n_images; i++)
        image_clear(&save->images[i]);
    free(save->images);
    box_store_work_end(&save->work);
}
#define _save_ __attribute__((cleanup(save_clear)))

/* Says in the lease what is needed. Under the lock, so that no collection comes in between. */
static int need(struct save *save, const struct box_index_entry *entry, box_error **err)
{
    struct box_image_references references = {0};
    int r = box_store_work_need(&save->work, "blob", &entry->manifest, err);

    if (r == 0)
        r = box_image_references(save->store, &entry->manifest, &references, err);
    if (r == 0)
        r = box_store_work_need(&save->work, "blob", &references.config, err);
    for (size_t i = 0; r == 0 && i < references.n_diff_ids; i++)
        r = box_store_work_need(&save->work, "layer", &references.diff_ids[i], err);
    for (size_t i = 0; r == 0 && i < references.n_blobs; i++)
        r = box_store_work_need(&save->work, "blob", &references.blobs[i], err);
    box_image_references_clear(&references);
    return r;
}

static struct save_image *find(struct save *save, const struct box_digest *manifest)
{
    for (size_t i = 0; i < save->n_images; i++)
        if (box_digest_equal(&save->images[i].image->manifest_digest, manifest))
            return &save->images[i];
    return NULL;
}

static int add_image(struct save *save, const struct box_index *index, const struct box_index_entry *entry,
                     struct save_image **out, box_error **err)
{
    int r = need(save, entry, err);
    struct save_image *image = r == 0 ? box_array_add(&save->images, &save->n_images, &save->capacity) : NULL;

    if (!image)
        return r < 0 ? r : box_fail_nomem(err);
    r = box_image_read(save->store, index, entry, &image->image, err);
    if (r < 0) {
        save->n_images--;
        return r;
    }
    *out = image;
    r = box_manifest_parse(image->image->manifest_json, image->image->manifest_length, entry->media_type,
                           image->image->digest, UINT32_MAX, &image->manifest, err);
    if (r == 0 && image->manifest.n_layers != image->image->config.n_diff_ids)
        r = box_fail(err, BOX_ECORRUPT, "the manifest and the config do not have the same layers");
    if (r < 0)
        return r;
    size_t n = image->manifest.n_layers;
    image->layers = calloc(n ? n : 1, sizeof(*image->layers));
    if (!image->layers)
        return box_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const struct box_descriptor *d = &image->manifest.layers[i];
        image->layers[i] = (struct save_layer){
            d->media_type, image->image->config.diff_ids[i], {d->digest, d->size, NULL, -1}, false};
    }
    return 0;
}

static int add_name(struct save *save, const struct box_index *index, const char *name, box_error **err)
{
    struct box_index_entry *entry = NULL;
    bool by_id = false;
    int r = box_image_resolve(index, name, &entry, &by_id, err);

    if (r < 0)
        return r;
    struct save_image *image = find(save, &entry->manifest);
    if (!image && (r = add_image(save, index, entry, &image, err)) < 0)
        return r;
    if (by_id || strchr(name, '@') || !entry->name || box_strv_contains(image->names, entry->name))
        return 0;
    return box_strv_append(&image->names, entry->name) < 0 ? box_fail_nomem(err) : 0;
}

static int find_images(struct save *save, const char *const *names, box_error **err)
{
    _index_ struct box_index index = {0};
    _store_unlock_ int lock = box_store_lock(save->store, BOX_LOCK_SHARED, err);
    int r = lock < 0 ? lock : box_index_read(save->store, &index, err);

    for (size_t i = 0; r == 0 && names[i]; i++)
        r = add_name(save, &index, names[i], err);
    return r;
}

/* ---- Saving ---- */

static int prepare(struct save *save, box_store *store, const char *const *names, const box_archive_options *options,
                   box_error **err)
{
    *save = (struct save){.work = BOX_STORE_WORK_NONE};
    if (!store || !names || !names[0])
        return box_fail(err, BOX_EINVAL, "a store and the name of an image at least are needed");
    save->store = store;
    int r = box_watch_begin(&save->watch, options, err);
    if (r == 0 && (unsigned)save->watch.options.format > BOX_ARCHIVE_OCI_DIR)
        r = box_fail(err, BOX_EINVAL, "there is no format of archives number %d", (int)save->watch.options.format);
    if (r == 0)
        r = box_store_work_begin(store, &save->work, err);
    if (r == 0)
        r = find_images(save, names, err);
    return r < 0 ? r : box_save_layers(save, err);
}

static int to_fd(struct save *save, int fd, bool synced, box_error **err)
{
    _out_ struct box_out out = {0};
    int r = box_out_open(&out, &save->watch, fd, NULL, NULL, err);

    out.synced = synced;
    if (r == 0)
        r = box_save_tar(save, box_out_sink, &out, err);
    return r < 0 ? r : box_out_flush(&out, err);
}

/* Under another name first. What is no plain file (a FIFO, /dev/stdout) is written to as it is. */
static int to_file(struct save *save, const char *path, box_error **err)
{
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    _free_ char *above = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    struct stat st;

    if (!above)
        return box_fail_nomem(err);
    if (!*name || (stat(path, &st) == 0 && S_ISDIR(st.st_mode)))
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EINVAL, .subject = path}, "%s is a directory", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        _close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return fd < 0 ? box_fail_sys(err, "open", path, "cannot open %s", path) : to_fd(save, fd, false, err);
    }
    _close_ int dirfd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0)
        return box_fail_sys(err, "open", above, "cannot open the directory of %s", path);
    int r = box_file_begin(&file, dirfd, 0600, err);
    if (r == 0)
        r = to_fd(save, file.fd, true, err);
    return r < 0 ? r : box_file_commit(&file, name, 0, err);
}

int box_image_save(box_store *store, const char *const *names, const char *path, const box_archive_options *options,
                   box_error **err)
{
    _save_ struct save save;
    int r = prepare(&save, store, names, options, err);

    if (r == 0 && (!path || !*path))
        r = box_fail(err, BOX_EINVAL, "box_image_save: the path must not be empty");
    if (r == 0)
        r = save.watch.options.format == BOX_ARCHIVE_OCI_DIR ? box_save_dir(&save, path, err)
                                                             : to_file(&save, path, err);
    return r < 0 ? box_fail_wrap(err, r, "save") : 0;
}

int box_image_save_fd(box_store *store, const char *const *names, int fd, const box_archive_options *options,
                      box_error **err)
{
    _save_ struct save save = {.work = BOX_STORE_WORK_NONE};

    if (options && options->format == BOX_ARCHIVE_OCI_DIR)
        return box_fail(err, BOX_EINVAL, "box_image_save_fd: a directory cannot be written to a descriptor");
    int r = prepare(&save, store, names, options, err);
    if (r == 0)
        r = to_fd(&save, fd, false, err);
    return r < 0 ? box_fail_wrap(err, r, "save") : 0;
}
