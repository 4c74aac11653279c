/* Images made by a test: layouts and archives in the scratch directory, whatever is wrong with them. */
#ifndef TEST_IMAGE_IMAGES_H
#define TEST_IMAGE_IMAGES_H

#include "../../lib/tarball.h"
#include "../base/scratch.h"

#include <libbox/image.h>

#include "base/digest.h"
#include "base/fail.h"
#include "base/file.h"
#include "image/store.h"

static box_store *store;
static box_error *err;
static char root[96], runroot[96];

static inline void store_init(void)
{
    scratch_make();
    snprintf(root, sizeof(root), "%s/root", scratch);
    snprintf(runroot, sizeof(runroot), "%s/run", scratch);
    cr_assert_eq(box_store_open(root, runroot, 0, &store, &err), 0, "%s", box_error_message(err));
}

static inline void store_fini(void)
{
    box_store_free(store);
    box_error_free(err);
    box_remove_tree(scratch_fd, "root", NULL);
    scratch_remove();
}

static inline const char *path_of(const char *name)
{
    static char paths[4][160];
    static int next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
    return path;
}

/* "sha256:…" of some bytes; static, for four at a time. */
static inline const char *digest_of(const void *data, size_t length)
{
    static char texts[8][BOX_DIGEST_TEXT];
    static int next;
    struct box_digest digest;

    cr_assert_eq(box_digest_data(BOX_SHA256, data, length, &digest, NULL), 0);
    return box_digest_format(&digest, texts[next++ % 8]);
}

static inline void put_bytes(const char *path, const void *data, size_t length)
{
    int fd = openat(scratch_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    cr_assert_geq(fd, 0, "create %s", path);
    cr_assert_eq(box_write_all(fd, data, length), 0);
    close(fd);
}

/* A layout under construction in the directory `dir` of the scratch directory. */
struct layout {
    const char *dir;
    char layers[4096]; /* descriptors */
    char diff_ids[4096];
    char manifests[4096]; /* of index.json */
    char last_manifest[BOX_DIGEST_TEXT], last_config[BOX_DIGEST_TEXT];
};

static inline void append(char *list, size_t size, const char *item)
{
    size_t n = strlen(list);

    cr_assert_lt(n + strlen(item) + 2, size);
    snprintf(list + n, size - n, "%s%s", n ? "," : "", item);
}

static inline const char *layout_blob(const struct layout *l, const void *data, size_t length)
{
    const char *digest = digest_of(data, length);
    char path[160];

    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", l->dir, digest + 7);
    put_bytes(path, data, length);
    return digest;
}

static inline void layout_begin(struct layout *l, const char *dir)
{
    char path[64];

    memset(l, 0, sizeof(*l));
    l->dir = dir;
    put_dir(dir);
    snprintf(path, sizeof(path), "%s/blobs", dir);
    put_dir(path);
    snprintf(path, sizeof(path), "%s/blobs/sha256", dir);
    put_dir(path);
    snprintf(path, sizeof(path), "%s/oci-layout", dir);
    put_file(path, "{\"imageLayoutVersion\":\"1.0.0\"}");
}

/* Adds a layer to the image in the making. blob: what is stored; tar: what it unpacks to. */
static inline void layout_layer_as(struct layout *l, const char *media_type, const void *blob, size_t length,
                                   const struct tarball *tar)
{
    char item[400];

    snprintf(item, sizeof(item), "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", media_type,
             layout_blob(l, blob, length), length);
    append(l->layers, sizeof(l->layers), item);
    snprintf(item, sizeof(item), "\"%s\"", digest_of(tar->data, tar->length));
    append(l->diff_ids, sizeof(l->diff_ids), item);
}

static inline void layout_layer(struct layout *l, const struct tarball *tar)
{
    layout_layer_as(l, "application/vnd.oci.image.layer.v1.tar", tar->data, tar->length, tar);
}

static inline void layout_manifest(struct layout *l, const char *manifest, const char *name)
{
    char item[600], annotations[200] = "";

    if (name)
        snprintf(annotations, sizeof(annotations),
                 ",\"annotations\":{\"org.opencontainers.image.ref.name\":\"%s\"}", name);
    snprintf(
        item, sizeof(item),
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu%s}",
        layout_blob(l, manifest, strlen(manifest)), strlen(manifest), annotations);
    append(l->manifests, sizeof(l->manifests), item);
    snprintf(l->last_manifest, sizeof(l->last_manifest), "%s", digest_of(manifest, strlen(manifest)));
}

/* Ends the image: config is the inside of its "config" object. */
static inline void layout_image(struct layout *l, const char *name, const char *config)
{
    static char manifest[8192], document[8192];

    snprintf(
        document, sizeof(document),
        "{\"created\":\"2024-05-06T07:08:09Z\",\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{%s},"
        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]},\"history\":[{\"created_by\":\"test\"}]}",
        config, l->diff_ids);
    snprintf(l->last_config, sizeof(l->last_config), "%s", layout_blob(l, document, strlen(document)));
    snprintf(manifest, sizeof(manifest),
             "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":"
             "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
             "\"layers\":[%s]}",
             l->last_config, strlen(document), l->layers);
    layout_manifest(l, manifest, name);
    l->layers[0] = l->diff_ids[0] = '\0';
}

static inline void layout_end(struct layout *l)
{
    static char index[8192];
    char path[64];

    snprintf(index, sizeof(index), "{\"schemaVersion\":2,\"manifests\":[%s]}", l->manifests);
    snprintf(path, sizeof(path), "%s/index.json", l->dir);
    put_file(path, index);
}

/* A layer with one file in it. */
static inline struct tarball small_tar(const char *name, const char *content)
{
    struct tarball tar = {0};

    tarball_put(&tar, &(struct tarball_member){.name = name, .data = content, .size = strlen(content)});
    tarball_end(&tar);
    return tar;
}

/* The usual: one image of two layers. */
static inline void put_image(const char *dir, const char *name, const char *config)
{
    struct tarball lower = small_tar("lower", "1"), upper = small_tar("upper", name ? name : "");
    struct layout l;

    layout_begin(&l, dir);
    layout_layer(&l, &lower);
    layout_layer(&l, &upper);
    layout_image(&l, name, config);
    layout_end(&l);
    tarball_free(&lower);
    tarball_free(&upper);
}

static inline void loads(const char *name)
{
    cr_assert_eq(box_image_load(store, path_of(name), NULL, NULL, &err), 0, "%s", box_error_message(err));
}

static inline unsigned layers_there(void)
{
    unsigned n = 0;
    DIR *d = opendir(path_of("root/layers"));

    for (struct dirent *e = readdir(d); e; e = readdir(d))
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static inline unsigned blobs_there(void)
{
    return entries_in(path_of("root/blobs/sha256"));
}

/* Loading fails so, and nothing of it is in the store. */
static inline void load_fails(const char *name, int code, const char *says)
{
    unsigned layers = layers_there(), blobs = blobs_there();
    _cleanup_(box_error) box_error *e = NULL;
    int r = box_image_load(store, path_of(name), NULL, NULL, &e);

    cr_assert_eq(r, code, "%s: %s", box_error_code_name(r), box_error_message(e));
    cr_assert_not_null(strstr(box_error_message(e), says), "%s", box_error_message(e));
    cr_assert_eq(layers_there(), layers, "a layer is left");
    cr_assert_eq(blobs_there(), blobs, "a blob is left");
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u, "a workplace is left");
}

static inline bool image_is_there(const char *name)
{
    box_image *image = NULL;
    bool there = box_image_open(store, name, &image, NULL) == 0;

    box_image_free(image);
    return there;
}

#endif
