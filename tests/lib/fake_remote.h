/* A registry that is a directory: the blobs of an OCI layout, given out in pieces, with whatever faults a test
 * wants. Header only; usable from several threads and processes.
 *
 *     struct fake_remote fake;
 *     fake_remote_init(&fake, "/tmp/…/layout", digest of the manifest or index that any tag leads to);
 *     box_image_pull_from(store, &fake.base, "reg.test/app:1", "1", NULL, NULL, &err);
 */
#ifndef TESTS_FAKE_REMOTE_H
#define TESTS_FAKE_REMOTE_H

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "image/remote.h"

struct fake_remote {
    struct box_remote base;
    char dir[300];
    char tagged[BOX_DIGEST_TEXT]; /* what every tag leads to */
    const char *media_type;       /* what a manifest or an index is said to be; NULL: what it says itself */
    size_t piece;                 /* bytes between two ticks */
    unsigned delay_us;            /* before each */
    uint64_t fail_after;          /* bytes of one call, after which the connection breaks */
    uint64_t wrong_at;            /* the byte at this offset of a blob is another one */
    bool wrong_length;            /* one byte less than there should be, and it says that all is well */
    const char *only;             /* the faults are of the blob with these digits alone */
    const char *log;              /* a file that gets a line "HEX FROM" for each call */
    unsigned running, most;       /* calls at the same time */
    pthread_mutex_t mutex;
};

static inline char *fake_document(const char *dir, const char *digest, size_t *length, box_error **error)
{
    char path[400], *text = NULL;

    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, digest + strlen("sha256:"));
    return box_file_read(AT_FDCWD, path, 16u << 20, &text, length, error) == 0 ? text : NULL;
}

static inline int fake_manifest(struct box_remote *base, const char *reference, char **text, size_t *length,
                                char **media_type, box_error **error)
{
    struct fake_remote *fake = (struct fake_remote *)base;
    const char *type = fake->media_type;

    *text = fake_document(fake->dir, strchr(reference, ':') ? reference : fake->tagged, length, error);
    if (!*text)
        return BOX_ENOTFOUND;
    if (!type && strstr(*text, "\"manifests\""))
        type = "application/vnd.oci.image.index.v1+json";
    *media_type = strdup(type ? type : "application/vnd.oci.image.manifest.v1+json");
    return *media_type ? 0 : box_fail_nomem(error);
}

static inline void fake_count(struct fake_remote *fake, int by, const char *hex, uint64_t from)
{
    char line[BOX_DIGEST_TEXT + 32];
    int n = snprintf(line, sizeof(line), "%s %llu\n", hex, (unsigned long long)from);

    pthread_mutex_lock(&fake->mutex);
    fake->running += (unsigned)by;
    fake->most = fake->running > fake->most ? fake->running : fake->most;
    pthread_mutex_unlock(&fake->mutex);
    if (by < 0 || !fake->log)
        return;
    int fd = open(fake->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        abort();
    close(fd);
}

static inline int fake_give(struct fake_remote *fake, bool faulty, int from_fd, uint64_t size, int fd, uint64_t at,
                            box_remote_tick *tick, void *data, box_error **error)
{
    uint64_t given = 0;
    char *room = malloc(fake->piece);
    int r = room ? 0 : BOX_ENOMEM;

    while (r == 0 && at < size) {
        const struct timespec pause = {fake->delay_us / 1000000, fake->delay_us % 1000000 * 1000l};
        if (fake->delay_us)
            nanosleep(&pause, NULL);
        if (faulty && given >= fake->fail_after) {
            r = box_fail(error, BOX_ESYSTEM, "the connection broke");
            break;
        }
        ssize_t n = pread(from_fd, room, fake->piece, (off_t)at);
        if (n <= 0) {
            r = box_fail(error, BOX_ESYSTEM, "the connection ended");
            break;
        }
        if (faulty && at <= fake->wrong_at && fake->wrong_at < at + (uint64_t)n)
            room[fake->wrong_at - at] ^= 1;
        if (faulty && fake->wrong_length && at + (uint64_t)n >= size)
            n--;
        if (pwrite(fd, room, (size_t)n, (off_t)at) != n) {
            r = box_fail_sys(error, "pwrite", NULL, "cannot write");
            break;
        }
        at += (uint64_t)n;
        given += (uint64_t)n;
        r = tick ? tick(data, at, error) : 0;
        if (faulty && fake->wrong_length && at + 1 == size)
            break;
    }
    free(room);
    return r;
}

static inline int fake_blob(struct box_remote *base, const struct box_digest *digest, uint64_t size, int fd, uint64_t from,
                            box_remote_tick *tick, void *data, box_error **error)
{
    struct fake_remote *fake = (struct fake_remote *)base;
    char path[400], hex[BOX_DIGEST_TEXT];

    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", fake->dir, box_digest_hex(digest, hex));
    int from_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (from_fd < 0)
        return box_fail(error, BOX_ENOTFOUND, "the registry knows no such blob");
    fake_count(fake, 1, hex, from);
    int r = fake_give(fake, !fake->only || strcmp(fake->only, hex) == 0, from_fd, size, fd, from, tick, data, error);
    fake_count(fake, -1, hex, from);
    close(from_fd);
    return r;
}

static inline void fake_remote_init(struct fake_remote *fake, const char *dir, const char *tagged)
{
    memset(fake, 0, sizeof(*fake));
    fake->base = (struct box_remote){fake_manifest, fake_blob, 4};
    snprintf(fake->dir, sizeof(fake->dir), "%s", dir);
    snprintf(fake->tagged, sizeof(fake->tagged), "%s", tagged);
    fake->piece = 16384;
    fake->fail_after = fake->wrong_at = UINT64_MAX;
    pthread_mutex_init(&fake->mutex, NULL);
}

/* How many calls a log tells of, for one blob or, NULL, for all. */
static inline unsigned fake_fetches(const char *log, const char *hex)
{
    char line[BOX_DIGEST_TEXT + 32];
    unsigned n = 0;
    FILE *file = fopen(log, "re");

    while (file && fgets(line, sizeof(line), file))
        n += !hex || strncmp(line, hex, strlen(hex)) == 0;
    if (file)
        fclose(file);
    return n;
}

#endif
