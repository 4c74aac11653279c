/* What can be read from an image. */
#include "image/image.h"

#include <string.h>

#include "base/strings.h"
#include "image/layer_erofs.h"
#include "image/reference.h"

const char *box_image_id(const box_image *image)
{
    return image->id;
}

const char *box_image_digest(const box_image *image)
{
    return image->digest;
}

char *const *box_image_names(const box_image *image)
{
    return image->names;
}

int box_image_familiar_name(const char *name, char **text, box_error **err)
{
    _reference_ struct box_reference reference = {0};

    if (!name || !text)
        return box_fail(err, BOX_EINVAL, "box_image_familiar_name: name and text must not be NULL");
    int r = box_reference_read(name, &reference, err);
    if (r < 0)
        return r;
    *text = box_reference_familiar(&reference);
    return *text ? 0 : box_fail_nomem(err);
}

char *const *box_image_entrypoint(const box_image *image)
{
    return image->config.entrypoint;
}

char *const *box_image_cmd(const box_image *image)
{
    return image->config.cmd;
}

char *const *box_image_env(const box_image *image)
{
    return image->config.env;
}

char *const *box_image_shell(const box_image *image)
{
    return image->config.shell;
}

const char *box_image_user(const box_image *image)
{
    return image->config.user;
}

const char *box_image_workdir(const box_image *image)
{
    return image->config.workdir;
}

const char *box_image_stop_signal(const box_image *image)
{
    return image->config.stop_signal;
}

char *const *box_image_volumes(const box_image *image)
{
    return image->config.volumes;
}

char *const *box_image_exposed_ports(const box_image *image)
{
    return image->config.ports;
}

char *const *box_image_onbuild(const box_image *image)
{
    return image->config.onbuild;
}

const box_image_pair *box_image_labels(const box_image *image, size_t *count)
{
    if (count)
        *count = image->config.n_labels;
    return image->config.labels;
}

const char *box_image_label(const box_image *image, const char *key)
{
    for (size_t i = 0; i < image->config.n_labels; i++)
        if (strcmp(image->config.labels[i].key, key) == 0)
            return image->config.labels[i].value;
    return NULL;
}

const box_image_pair *box_image_annotations(const box_image *image, size_t *count)
{
    if (count)
        *count = image->n_annotations;
    return image->annotations;
}

const char *box_image_annotation(const box_image *image, const char *key)
{
    for (size_t i = 0; i < image->n_annotations; i++)
        if (strcmp(image->annotations[i].key, key) == 0)
            return image->annotations[i].value;
    return NULL;
}

const char *box_image_healthcheck(const box_image *image)
{
    return image->config.healthcheck;
}

const char *box_image_created(const box_image *image)
{
    return image->config.created;
}

int64_t box_image_created_time(const box_image *image)
{
    return image->created;
}

const char *box_image_author(const box_image *image)
{
    return image->config.author;
}

const char *box_image_os(const box_image *image)
{
    return image->config.os;
}

const char *box_image_architecture(const box_image *image)
{
    return image->config.architecture;
}

const char *box_image_variant(const box_image *image)
{
    return image->config.variant;
}

uint64_t box_image_size(const box_image *image)
{
    return image->size;
}

size_t box_image_history_count(const box_image *image)
{
    return image->config.n_history;
}

int box_image_history_get(const box_image *image, size_t index, box_image_history *step, box_error **err)
{
    if (index >= image->config.n_history || !step)
        return box_fail(err, BOX_EINVAL, "the image has %zu steps of history, not more",
                        image->config.n_history);
    const struct box_config_step *from = &image->config.history[index];
    *step =
        (box_image_history){from->created, from->created_by, from->author, from->comment, from->empty_layer};
    return 0;
}

size_t box_image_layer_count(const box_image *image)
{
    return image->config.n_diff_ids;
}

uint64_t box_image_layer_size(const box_image *image, size_t index)
{
    return index < image->config.n_diff_ids ? image->layers[index].bytes : 0;
}

const char *box_image_layer_diff_id(const box_image *image, size_t index)
{
    return index < image->config.n_diff_ids ? image->diff_ids[index] : NULL;
}

const char *box_image_config_json(const box_image *image, size_t *length)
{
    if (length)
        *length = image->config_length;
    return image->config_json;
}

const char *box_image_manifest_json(const box_image *image, size_t *length)
{
    if (length)
        *length = image->manifest_length;
    return image->manifest_json;
}

int box_image_layer_dirs(const box_image *image, char ***dirs, box_error **err)
{
    _strv_ char **made = box_strv_dup(NULL);

    if (!made)
        return box_fail_nomem(err);
    for (size_t i = image->config.n_diff_ids; i-- > 0;) {
        _free_ char *path = box_strf("%s/layers/%s/%s", image->root, image->layer_names[i],
                                     image->layers[i].image ? BOX_LAYER_IMAGE : BOX_LAYER_DIFF);
        /* A layer that is in the image twice counts where it is topmost: overlay refuses the same directory
         * twice. */
        if (!path || (!box_strv_contains(made, path) && box_strv_append(&made, path) < 0))
            return box_fail_nomem(err);
        if (image->layers[i].opaque)
            break; /* overlay has no opaque roots, so what it hides is left out */
    }
    if (!made[0] && box_strv_append_take(&made, box_strf("%s/empty", image->root)) < 0)
        return box_fail_nomem(err);
    *dirs = box_take(made);
    return 0;
}

void box_strings_free(char **strings)
{
    box_strv_free(strings);
}
