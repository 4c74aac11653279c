/* What tests that kill processes at work on a store share: an image, whether the store is sound, and the kill. The
 * includer defines FILES (in a layer) and BIG (bytes of its one large file, which are random). Header only. */
#ifndef TESTS_KILLING_H
#define TESTS_KILLING_H

#include "tap.h"
#include "tarball.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libbox/box.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/digest.h"

#define LAYERS 3

static char root[256], run[256], image[256], manifest_digest[BOX_DIGEST_TEXT];

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- The image ---- */

static void write_file(const char *path, const void *data, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    if (fd < 0 || write(fd, data, length) != (ssize_t)length || close(fd) < 0) {
        diag("cannot write %s: %s", path, strerror(errno));
        exit(1);
    }
}

static void put_blob(const void *data, size_t length, char digest[BOX_DIGEST_TEXT])
{
    struct box_digest d;
    char path[512];

    if (box_digest_data(BOX_SHA256, data, length, &d, NULL) < 0)
        exit(1);
    box_digest_format(&d, digest);
    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", image, digest + 7);
    write_file(path, data, length);
}

static void put_layer(int number, char *layers, char *diff_ids, size_t size)
{
    char digest[BOX_DIGEST_TEXT], name[64];
    struct tarball t = {0};

    for (int i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "dir%d/sub%d/file%d", number, i / 10, i);
        tarball_put(&t, &(struct tarball_member){.name = name, .data = name, .size = strlen(name)});
    }
    snprintf(name, sizeof(name), "big%d", number);
    static unsigned char big[BIG];
    unsigned state = 1 + (unsigned)number;
    for (size_t i = 0; i < BIG; i++) {
        state = state * 1664525u + 1013904223u;
        big[i] = (unsigned char)(state >> 24);
    }
    tarball_put(&t, &(struct tarball_member){.name = name, .data = big, .size = BIG});
    tarball_end(&t);
    put_blob(t.data, t.length, digest);
    snprintf(layers + strlen(layers), size - strlen(layers),
             "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\",\"size\":%zu}",
             number ? "," : "", digest, t.length);
    snprintf(diff_ids + strlen(diff_ids), size - strlen(diff_ids), "%s\"%s\"", number ? "," : "", digest);
    tarball_free(&t);
}

__attribute__((unused)) static void make_image(void)
{
    static char layers[2000], diff_ids[2000], text[6000];
    char path[512], digest[BOX_DIGEST_TEXT];

    snprintf(path, sizeof(path), "%s/blobs", image);
    if (mkdir(image, 0755) < 0 || mkdir(path, 0755) < 0)
        exit(1);
    snprintf(path, sizeof(path), "%s/blobs/sha256", image);
    if (mkdir(path, 0755) < 0)
        exit(1);
    for (int i = 0; i < LAYERS; i++)
        put_layer(i, layers, diff_ids, sizeof(layers));
    int n = snprintf(
        text, sizeof(text),
        "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[%s]}}",
        diff_ids);
    put_blob(text, (size_t)n, digest);
    n = snprintf(
        text, sizeof(text),
        "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","
        "\"digest\":\"%s\",\"size\":%d},\"layers\":[%s]}",
        digest, n, layers);
    put_blob(text, (size_t)n, digest);
    memcpy(manifest_digest, digest, sizeof(digest));
    n = snprintf(
        text, sizeof(text),
        "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
        "\"digest\":\"%s\",\"size\":%d,\"annotations\":{\"org.opencontainers.image.ref.name\":\"app:1\"}}]}",
        digest, n);
    snprintf(path, sizeof(path), "%s/index.json", image);
    write_file(path, text, (size_t)n);
    snprintf(path, sizeof(path), "%s/oci-layout", image);
    write_file(path, "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
}

/* ---- What is done with it ---- */

static box_store *open_store(void)
{
    box_store *store = NULL;
    box_error *err = NULL;

    if (box_store_open(root, run, 0, &store, &err) < 0)
        diag("open: %s", box_error_message(err));
    box_error_free(err);
    return store;
}

static unsigned entries_in(const char *below)
{
    char path[512];
    unsigned n = 0;

    snprintf(path, sizeof(path), "%s/%s", root, below);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

static void tell(const char *what, const char *why, void *data)
{
    (void)data;
    diag("%s: %s", what, why);
}

/* The store is sound, nothing half-made is in it, and the image is there as a whole or not at all. */
__attribute__((unused)) static int is_sound(int *there)
{
    box_store *store = open_store();
    box_image *found = NULL;
    box_error *err = NULL;
    int good = store != NULL;

    if (good && box_store_verify(store, tell, NULL, &err) < 0)
        good = 0;
    int r = good ? box_image_open(store, IMAGE_NAME, &found, NULL) : -1;
    *there = r == 0;
    good = good && (r == 0 || r == BOX_ENOTFOUND) && entries_in("tmp") == 0;
    if (!good)
        diag("open gives %d, %u leftovers, %s", r, entries_in("tmp"),
             err ? box_error_message(err) : "no error");
    box_image_free(found);
    box_error_free(err);
    box_store_free(store);
    return good;
}

__attribute__((unused)) static int remove_image(void)
{
    box_store *store = open_store();
    int r = store ? box_image_remove(store, IMAGE_NAME, 0, NULL, NULL, NULL) : -1;

    box_store_free(store);
    return r;
}

static void pause_for(double seconds)
{
    struct timespec t = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};

    nanosleep(&t, NULL);
}

/* 1: it was killed; 0: it had ended before. */
static int kill_after(pid_t child, double seconds)
{
    int status = 0;

    pause_for(seconds);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status);
}

static void set_paths(void)
{
    const char *tmp = getenv("BOX_TMP");

    snprintf(root, sizeof(root), "%s/root", tmp ? tmp : "/tmp");
    snprintf(run, sizeof(run), "%s/run", tmp ? tmp : "/tmp");
    snprintf(image, sizeof(image), "%s/image", tmp ? tmp : "/tmp");
}

#endif
