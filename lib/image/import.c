/* Importing a root file system: one layer, and a config that is made here.
 *
 * A tarball is unpacked as it is; a directory becomes a tar stream first, which gives it the digest that an
 * image of the same files has wherever it is made, and takes it through the same checks as everything else.
 */
#include "image/load.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/strings.h"
#include "image/import_changes.h"
#include "image/reference.h"
#include "image/tar_write.h"

/* ---- The layer ---- */

struct spool {
    struct load *load;
    int fd;
    uint64_t size, told;
};

static int to_spool(const void *data, size_t length, void *context, box_error **err)
{
    struct spool *spool = context;

    if (box_write_all(spool->fd, data, length) < 0)
        return box_fail_sys(err, "write", NULL, "cannot copy the tree into the store");
    spool->size += length;
    if (spool->size - spool->told < (1u << 20))
        return 0;
    spool->told = spool->size;
    return box_load_tick(spool->load, spool->size, err);
}

static int spool_directory(struct load *load, int dirfd, struct box_piece *piece, box_error **err)
{
    _file_new_ struct box_file_new file = BOX_FILE_NEW;
    struct spool spool = {.load = load};
    int r = box_file_begin(&file, load->work.fd, 0600, err);

    spool.fd = file.fd;
    if (r == 0)
        r = box_tar_write_tree(dirfd, to_spool, &spool, err);
    if (r < 0)
        return r;
    int fd = fcntl(file.fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return box_fail_sys(err, "fcntl", NULL, "cannot duplicate a descriptor");
    *piece = (struct box_piece){fd, true, 0, spool.size};
    return 0;
}

static int spool_fd(struct load *load, int fd, struct box_piece *piece, box_error **err)
{
    struct stat st;
    uint64_t size = 0;

    if (box_is_seekable(fd) && fstat(fd, &st) == 0) {
        *piece = (struct box_piece){fd, false, 0, (uint64_t)st.st_size};
        return 0;
    }
    int copy = box_spool(&load->work, fd, false, &load->limits, box_load_tick, load, &size, err);
    if (copy < 0)
        return copy;
    *piece = (struct box_piece){copy, true, 0, size};
    return 0;
}

static int layer_tick(void *data, uint64_t read, box_error **err)
{
    const box_image_progress progress = {
        .stage = BOX_IMAGE_STAGE_LAYER, .object = "", .layers = 1, .done = read};

    return box_load_tell(data, &progress, err);
}

/* ---- The config ---- */

static void now(char out[32])
{
    struct timespec t;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &t);
    gmtime_r(&t.tv_sec, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int put_platform(json_object *doc, const char *text, box_error **err)
{
    struct box_platform platform;
    int r = box_platform_parse(text ? text : box_platform_host(), &platform, err);

    if (r == 0 && strcmp(platform.os, "linux") != 0)
        r = box_fail(err, BOX_EUNSUPPORTED, "only images for linux can be made, not for %s", platform.os);
    if (r == 0)
        r = box_json_put_string(doc, "os", platform.os, err);
    if (r == 0)
        r = box_json_put_string(doc, "architecture", platform.architecture, err);
    return r == 0 && platform.variant[0] ? box_json_put_string(doc, "variant", platform.variant, err) : r;
}

static int put_config(json_object *doc, const char *const *changes, box_error **err)
{
    json_object *config = json_object_new_object();
    int r = box_json_put(doc, "config", config, err);

    for (size_t i = 0; r == 0 && changes && changes[i]; i++)
        r = box_import_change(config, changes[i], err);
    return r;
}

static int put_rootfs(json_object *doc, const struct box_digest *diff_id, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    json_object *rootfs = json_object_new_object(), *list = json_object_new_array();
    int r = box_json_put(doc, "rootfs", rootfs, err);

    if (r < 0) {
        json_object_put(list);
        return r;
    }
    r = box_json_put(rootfs, "diff_ids", list, err);
    if (r == 0)
        r = box_json_append(list, json_object_new_string(box_digest_format(diff_id, text)), err);
    return r < 0 ? r : box_json_put_string(rootfs, "type", "layers", err);
}

static int put_history(json_object *doc, const char *created, const char *message, box_error **err)
{
    json_object *list = json_object_new_array(), *step = json_object_new_object();
    int r = box_json_put(doc, "history", list, err);

    if (r < 0) {
        json_object_put(step);
        return r;
    }
    r = box_json_append(list, step, err);
    if (r == 0)
        r = box_json_put_string(step, "created", created, err);
    if (r == 0)
        r = box_json_put_string(step, "created_by", "import", err);
    return r == 0 && message ? box_json_put_string(step, "comment", message, err) : r;
}

/* What can be wrong in what the caller gave is found here, before anything is unpacked. */
static int make_config(const box_image_options *options, const struct box_digest *diff_id, char **text,
                       box_error **err)
{
    _cleanup_(json_object) json_object *doc = json_object_new_object();
    char created[32];
    int r = doc ? 0 : box_fail_nomem(err);

    now(created);
    if (r == 0)
        r = box_json_put_string(doc, "created", created, err);
    if (r == 0)
        r = put_platform(doc, options->platform, err);
    if (r == 0)
        r = put_config(doc, options->changes, err);
    if (r == 0)
        r = put_rootfs(doc, diff_id, err);
    if (r == 0)
        r = put_history(doc, created, options->message, err);
    if (r < 0)
        return r;
    const char *json =
        json_object_to_json_string_ext(doc, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    *text = json ? strdup(json) : NULL;
    return *text ? 0 : box_fail_nomem(err);
}

/* ---- Importing ---- */

static int check_options(struct load *load, box_error **err)
{
    struct box_digest none = {.algorithm = BOX_SHA256};
    _reference_ struct box_reference reference = {0};
    struct load_image *image = box_load_add_image(load, err);
    _free_ char *text = NULL;
    int r = image ? make_config(&load->options, &none, &text, err) : BOX_ENOMEM;

    if (r < 0 || !load->options.name)
        return r;
    r = box_reference_read(load->options.name, &reference, err);
    if (r == 0 && reference.digest)
        r = box_fail(err, BOX_EINVAL, "an image cannot be given a name with a digest: %s",
                     load->options.name);
    if (r == 0 && box_strv_append_take(&image->names, box_reference_full(&reference)) < 0)
        r = box_fail_nomem(err);
    return r;
}

static int make_image(struct load *load, const struct box_digest *diff_id, uint64_t size, box_error **err)
{
    struct load_image *image = &load->images[0];
    _cleanup_(json_object) json_object *layers = json_object_new_array();
    int r = layers ? make_config(&load->options, diff_id, &image->config_json, err) : box_fail_nomem(err);

    if (r < 0)
        return r;
    image->config_length = strlen(image->config_json);
    r = box_digest_data(BOX_SHA256, image->config_json, image->config_length, &image->config, err);
    if (r == 0)
        r = box_load_take_config(image, 1, err);
    if (r == 0)
        image->blobs[0] = *diff_id;
    if (r == 0)
        r = box_load_describe_layer(layers, BOX_MEDIA_OCI_LAYER, diff_id, size, err);
    return r < 0 ? r : box_load_make_manifest(image, layers, err);
}

static int import_piece(struct load *load, const struct box_piece *piece, box_image **out, box_error **err)
{
    const struct box_layer_input input = {
        .fd = piece->fd, .size = piece->size, .keep = load->keeps_blobs, .limits = &load->limits, .tick = layer_tick,
        .tick_data = load};
    _cleanup_(box_image_list) box_image_list *list = NULL;
    struct box_digest diff_id;
    uint64_t size = 0;
    int r = box_layer_make_unknown(&load->work, &input, &diff_id, &size, err);

    if (r == 0)
        r = make_image(load, &diff_id, size, err);
    if (r == 0)
        r = box_load_need_all(load, err);
    if (r == 0)
        r = box_load_commit(load, &list, err);
    if (r == 0 && out)
        *out = box_image_list_take(list, 0);
    return r;
}

static int import_open(struct load *load, int fd, box_image **image, box_error **err)
{
    _piece_ struct box_piece piece = BOX_PIECE_NONE;
    struct stat st;
    int r = check_options(load, err);

    if (r == 0 && fstat(fd, &st) < 0)
        r = box_fail_sys(err, "fstat", NULL, "cannot look at what is to be imported");
    if (r == 0)
        r = S_ISDIR(st.st_mode) ? spool_directory(load, fd, &piece, err) : spool_fd(load, fd, &piece, err);
    return r < 0 ? r : import_piece(load, &piece, image, err);
}

int box_image_import_fd(box_store *store, int fd, const box_image_options *options, box_image **image,
                        box_error **err)
{
    struct load load;
    int r = box_load_init(&load, store, options, err);

    if (r == 0)
        r = import_open(&load, fd, image, err);
    r = box_load_finish(&load, r);
    return r < 0 ? box_fail_wrap(err, r, "import") : 0;
}

int box_image_import(box_store *store, const char *path, const box_image_options *options, box_image **image,
                     box_error **err)
{
    if (!path)
        return box_fail(err, BOX_EINVAL, "box_image_import: path must not be NULL");
    _close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return box_fail_sys(err, "open", path, "import: cannot open %s", path);
    return box_image_import_fd(store, fd, options, image, err);
}
