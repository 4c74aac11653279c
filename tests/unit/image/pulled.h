/* A registry that is a directory, with images to be pulled from it. */
#ifndef TEST_IMAGE_PULLED_H
#define TEST_IMAGE_PULLED_H

#include "images.h"

#include "../../lib/fake_remote.h"

static struct fake_remote fake;
static char log_path[160];
static box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;

static inline void pull_init(void)
{
    store_init();
    snprintf(log_path, sizeof(log_path), "%s/log", scratch);
}

static char blob_hex[8][BOX_DIGEST_TEXT];
static unsigned n_blobs;

/* A layer with a file that does not compress, and its tar compressed by a command, or not at all. */
static inline void add_layer(struct layout *l, const char *name, size_t bytes, const char *command)
{
    struct tarball tar = {0};
    char *data = malloc(bytes), *blob = NULL, text[300];
    unsigned state = (unsigned)name[0] * 7919u + (unsigned)bytes;
    size_t length = 0;

    for (size_t i = 0; i < bytes; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (char)(state >> 24);
    }
    tarball_put(&tar, &(struct tarball_member){.name = name, .data = data, .size = bytes});
    tarball_end(&tar);
    put_bytes("plain", tar.data, tar.length);
    snprintf(text, sizeof(text), "%s <%s/plain >%s/packed", command, scratch, scratch);
    cr_assert_eq(system(text), 0);
    cr_assert_eq(box_file_read(scratch_fd, "packed", 64u << 20, &blob, &length, NULL), 0);
    layout_layer_as(l, "application/vnd.oci.image.layer.v1.tar+gzip", blob, length, &tar);
    snprintf(blob_hex[n_blobs++ % 8], BOX_DIGEST_TEXT, "%s", digest_of(blob, length) + 7);
    tarball_free(&tar);
    free(blob);
    free(data);
}

/* Two layers, and the registry that has them. */
static inline struct layout put_remote(size_t bytes, const char *command)
{
    struct layout l;

    n_blobs = 0;
    layout_begin(&l, "reg");
    add_layer(&l, "lower", bytes, command);
    add_layer(&l, "upper", bytes / 2, command);
    layout_image(&l, NULL, "\"Cmd\":[\"x\"]");
    layout_end(&l);
    fake_remote_init(&fake, path_of("reg"), l.last_manifest);
    fake.log = log_path;
    return l;
}

/* One layer, of a file in so many directories that it does not list. */
static inline void put_deep_remote(size_t depth)
{
    char name[1000], pax[1040];
    struct tarball tar = {0};
    struct layout l;

    cr_assert_lt(2 * depth + 2, sizeof(name));
    for (size_t i = 0; i < depth; i++)
        memcpy(name + 2 * i, "d/", 2);
    memcpy(name + 2 * depth, "f", 2);
    size_t length = strlen(name) + sizeof("123 path=\n") - 1;
    cr_assert(length >= 100 && length < 1000);
    snprintf(pax, sizeof(pax), "%zu path=%s\n", length, name);
    tarball_put(&tar, &(struct tarball_member){.name = "f", .data = "x", .size = 1, .pax = pax});
    tarball_end(&tar);
    layout_begin(&l, "reg");
    layout_layer(&l, &tar);
    layout_image(&l, NULL, "\"Cmd\":[\"x\"]");
    layout_end(&l);
    fake_remote_init(&fake, path_of("reg"), l.last_manifest);
    tarball_free(&tar);
}

static inline int pull_as(const char *name, box_error **e)
{
    const char *at = strrchr(name, '@'), *colon = strrchr(name, ':');

    return box_image_pull_from(store, &fake.base, name, at ? at + 1 : colon + 1, &options, NULL, e);
}

#endif
