/* The image that is measured with: two layers, 307 MB, 8,840 files, 118 MB of gzip, as an OCI layout. It is the same
 * wherever it is made, but for the gzip at hand. */
#include "bench-image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/tarball.h"
#include "base/file.h"

#define WORDS 700

void image_die(const char *what)
{
    fprintf(stderr, "bench-image: %s: %s\n", what, strerror(errno));
    exit(1);
}

static const struct {
    unsigned files, links;
    size_t bytes;
} shape[IMAGE_LAYERS] = {{6900, 500, 115000000}, {1940, 100, 192000000}};

static uint64_t random_state = 42;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Some of it does not compress, most is made of a few hundred words: gzip leaves two fifths. */
static void fill(char *data, size_t length)
{
    static char words[WORDS][12];

    if (!words[0][0])
        for (size_t i = 0; i < WORDS; i++)
            for (size_t j = 0, n = 3 + next_random() % 8; j < n; j++)
                words[i][j] = (char)('a' + next_random() % 26);
    for (size_t at = 0; at < length;) {
        uint64_t r = next_random();
        size_t n;
        if (r % 100 < 8) {
            n = length - at < 8 ? length - at : 8;
            memcpy(data + at, &r, n);
        } else {
            const char *word = words[(r >> 8) % WORDS * ((r >> 20) % WORDS) / WORDS];
            n = strlen(word);
            n = n < length - at ? n : length - at;
            memcpy(data + at, word, n);
            if (at + n < length)
                data[at + n++] = ' ';
        }
        at += n;
    }
}

static void put_layer_files(struct tarball *tar, unsigned layer)
{
    static char data[32u << 20];
    char name[100], target[100];
    size_t left = shape[layer].bytes;

    for (unsigned i = 0; i < shape[layer].files; i++) {
        if (i % 10 == 0) {
            snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/", layer, i / 500, i / 10);
            tarball_put(tar, &(struct tarball_member){.name = name, .type = '5', .mtime = 1700000000});
        }
        /* Most are small and a few hold most of the bytes. */
        size_t rest = shape[layer].files - i, mean = left / rest;
        double u = (double)(next_random() % 1000000 + 1) / 1e6;
        size_t size = rest == 1 ? left : (size_t)((double)mean * 0.25 / (u + 0.02) * 1.2);
        size = size > sizeof(data) ? sizeof(data) : size > left ? left : size;
        left -= size;
        fill(data, size);
        snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/file%u", layer, i / 500, i / 10, i);
        tarball_put(tar, &(struct tarball_member){
                             .name = name, .mode = i % 7 ? 0644 : 0755, .data = data, .size = size, .mtime = 1700000000 + i});
        if (i < shape[layer].links) {
            snprintf(target, sizeof(target), "file%u", i);
            snprintf(name, sizeof(name), "usr/lib/part%u.%u/dir%u/link%u", layer, i / 500, i / 10, i);
            tarball_put(tar, &(struct tarball_member){.name = name, .type = '2', .link = target, .mtime = 1700000000});
        }
    }
    tarball_end(tar);
}

static void put(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || box_write_all(fd, data, length) < 0 || close(fd) < 0)
        image_die(path);
}

static void digest_text(const void *data, size_t length, char text[BOX_DIGEST_TEXT])
{
    struct box_digest digest;

    if (box_digest_data(BOX_SHA256, data, length, &digest, NULL) < 0)
        image_die("digest");
    box_digest_format(&digest, text);
}

static void put_blob(const char *dir, const void *data, size_t length, char text[BOX_DIGEST_TEXT])
{
    char path[1200];

    digest_text(data, length, text);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, text + 7);
    put(path, data, length);
}

static size_t put_layer(const char *dir, unsigned layer, char blob[BOX_DIGEST_TEXT], char diff_id[BOX_DIGEST_TEXT])
{
    struct tarball tar = {0};
    char command[1300], path[1200], *packed = NULL;
    size_t length = 0;

    put_layer_files(&tar, layer);
    digest_text(tar.data, tar.length, diff_id);
    snprintf(path, sizeof(path), "%.300s/packed", dir);
    snprintf(command, sizeof(command), "gzip -n -6 >%s", path);
    FILE *pipe = popen(command, "w");
    if (!pipe || fwrite(tar.data, 1, tar.length, pipe) != tar.length || pclose(pipe) != 0)
        image_die(command);
    tarball_free(&tar);
    if (box_file_read(AT_FDCWD, path, 1u << 30, &packed, &length, NULL) < 0)
        image_die(path);
    put_blob(dir, packed, length, blob);
    free(packed);
    unlink(path);
    return length;
}

int image_make(const char *dir)
{
    char path[1200], layers[600] = "", diff_ids[300] = "", text[2000], digest[BOX_DIGEST_TEXT], diff[BOX_DIGEST_TEXT];
    const char *below[] = {"", "/blobs", "/blobs/sha256"};

    for (size_t i = 0; i < BOX_ARRAY(below); i++) {
        snprintf(path, sizeof(path), "%.300s%s", dir, below[i]);
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            image_die(path);
    }
    for (unsigned i = 0; i < IMAGE_LAYERS; i++) {
        size_t size = put_layer(dir, i, digest, diff);
        snprintf(layers + strlen(layers), sizeof(layers) - strlen(layers),
                 "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"%s\",\"size\":%zu}",
                 i ? "," : "", digest, size);
        snprintf(diff_ids + strlen(diff_ids), sizeof(diff_ids) - strlen(diff_ids), "%s\"%s\"", i ? "," : "", diff);
    }
    int n = snprintf(text, sizeof(text),
                     "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{},"
                     "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
                     diff_ids);
    put_blob(dir, text, (size_t)n, digest);
    n = snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{"
                 "\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%d},"
                 "\"layers\":[%s]}",
                 digest, n, layers);
    put_blob(dir, text, (size_t)n, digest);
    n = snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
                 "\"digest\":\"%s\",\"size\":%d,\"annotations\":{\"org.opencontainers.image.ref.name\":\"bench\"}}]}",
                 digest, n);
    snprintf(path, sizeof(path), "%.300s/index.json", dir);
    put(path, text, (size_t)n);
    snprintf(path, sizeof(path), "%s/oci-layout", dir);
    put(path, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    return 0;
}

char *image_blob(const char *digest, char out[400])
{
    snprintf(out, 400, "%.300s/blobs/sha256/%.64s", image_settings.image, digest + 7);
    return out;
}

/* Enough of a parser for what image_make() wrote. */
static char *next_digest(char *at, const char *behind, char out[BOX_DIGEST_TEXT])
{
    at = at ? strstr(at, behind) : NULL;
    at = at ? strstr(at, "sha256:") : NULL;
    if (!at)
        image_die("the image is not as it was made");
    snprintf(out, BOX_DIGEST_TEXT, "%.71s", at);
    return at + 1;
}

void image_find(void)
{
    char path[400], *text = NULL, *at;

    snprintf(path, sizeof(path), "%.300s/index.json", image_settings.image);
    if (box_file_read(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) < 0)
        image_die(path);
    next_digest(text, "\"manifests\"", image_settings.manifest);
    free(text);
    image_blob(image_settings.manifest, path);
    if (box_file_read(AT_FDCWD, path, 1u << 20, &text, NULL, NULL) < 0)
        image_die(path);
    at = next_digest(text, "\"config\"", image_settings.config);
    for (unsigned i = 0; i < IMAGE_LAYERS; i++)
        at = next_digest(i ? at : strstr(at, "\"layers\""), "", image_settings.layers[i]);
    free(text);
}
