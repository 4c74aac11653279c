/* Measuring what is done with a whole image: pulling, pushing, saving, loading, committing, removing.
 *
 * bench-image.c has the rows, bench-image-make.c the image, bench-image-floor.c the work that cannot be left out,
 * bench-image-http.c as much of HTTP as that needs, and bench-image-rooms.c the directories that it all happens in. */
#ifndef TESTS_BENCH_IMAGE_H
#define TESTS_BENCH_IMAGE_H

#include <stdint.h>

#include "base/digest.h"
#include "bench.h"

#define IMAGE_LAYERS 2

struct image_settings {
    const char *image;    /* an OCI layout */
    const char *dir;      /* for everything that is made here */
    const char *registry; /* HOST:PORT/NAME:TAG, where the image can be pulled; NULL: there is none */
    const char *target;   /* HOST:PORT of a registry to push to */
    const char *box;      /* the program; NULL: not built */
    const char *only;     /* rows; "": all */
    unsigned runs;
    struct output out;
    /* found in the image */
    char manifest[BOX_DIGEST_TEXT], config[BOX_DIGEST_TEXT], layers[IMAGE_LAYERS][BOX_DIGEST_TEXT];
};
extern struct image_settings image_settings;

__attribute__((noreturn)) void image_die(const char *what);
int image_make(const char *dir);
/* Fills in the digests. */
void image_find(void);
/* The path of a blob in the layout. */
char *image_blob(const char *digest, char out[400]);

/* ---- Rooms ----
 * On ext4 a file that is made soon after many were deleted waits while the kernel passes over the inodes of those
 * that are gone. So nothing is deleted between two measurements: each run has a directory of its own, and what one
 * row has pulled is what the next ones push, save and, last of all, remove. */
struct image_task;
struct image_rooms {
    const char *name;         /* DIR/NAME-NUMBER */
    struct image_task *maker; /* what fills one */
    unsigned made, used;
};
struct image_task {
    struct image_rooms *rooms;
    bool makes; /* a new room in each run; otherwise in the next of those that are there, and round again */
    /* A function, in a process of its own, or a shell command, which finds ROOM, RUN (a number), IMAGE, REGISTRY,
     * TARGET, BOX, DIR, CONFIG (its digest), LAYER (the first one's blob) and OUT (a file that is not there) in its
     * environment. */
    int (*work)(const char *room, const char *run);
    const char *command;
    const char *before; /* a command that does not count */
    const char *pushes; /* a repository that must have the image at TARGET afterwards, as NAME-RUN:1 */
    long peak;          /* kB: the most memory of a run */
    double cpu;         /* seconds of processor of the best run */
};
/* For struct subject, with a task as its data. */
int64_t image_run(struct subject *s);
/* Fills rooms until there are so many. 0, or -1 with s->why. */
int image_fill(struct image_rooms *rooms, unsigned count, struct subject *s);
/* Exits, saying so, if the disk has no room for so many rooms; warns when files are slow to make. */
void image_check_disk(unsigned rooms);

/* ---- The floor ---- */
int floor_pull(const char *room, const char *run);
int floor_pull_kept(const char *room, const char *run);
int floor_pull_synced(const char *room, const char *run);
int floor_load(const char *room, const char *run);
int floor_push(const char *room, const char *run);
int floor_save(const char *room, const char *run);
int floor_save_synced(const char *room, const char *run);
int floor_remove(const char *room, const char *run);

/* ---- HTTP/1.1, plain, a connection for each request ---- */
/* The body into data; its length, or -1. `location`, of 1000 bytes, may be NULL. */
int64_t http_get(const char *host, const char *path, char *data, size_t size, int *status);
int http_send(const char *host, const char *method, const char *path, const char *type, int fd, size_t length,
              char *location);

#endif
