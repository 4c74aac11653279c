/* A file that somebody is still writing, read from its beginning at the same time. */
#ifndef BOX_IMAGE_SOURCE_ARRIVING_H
#define BOX_IMAGE_SOURCE_ARRIVING_H

#include <pthread.h>

#include "image/source.h"

/* What writer and reader share. It must outlive both. */
struct box_arrival {
    int fd;        /* the file; borrowed */
    uint64_t size; /* of the whole */
    pthread_mutex_t mutex;
    pthread_cond_t more;
    /* under the mutex */
    uint64_t present; /* bytes of it that can be read */
    bool over;        /* no more will come */
    bool unwanted;    /* nobody will read any more */
    int code;         /* why it is over before its end */
    box_error *why;
};
void box_arrival_init(struct box_arrival *arrival, int fd, uint64_t size, uint64_t present);
void box_arrival_clear(struct box_arrival *arrival);

/* The writer's: so many bytes are there now; false when nobody wants more. */
bool box_arrival_advance(struct box_arrival *arrival, uint64_t present);
/* The writer's: it is over; with a code below 0 the reader fails with it once it has read what is there. Takes
 * why over. */
void box_arrival_end(struct box_arrival *arrival, int code, box_error *why);
/* The reader's, or of whoever waits for it: nothing more will be read. A read that waits fails. */
void box_arrival_abandon(struct box_arrival *arrival);

/* The whole of it, in order; a read waits for what is not there yet. wait (may be NULL) is called ten times a
 * second meanwhile: anything but 0 fails the read, with *err set. */
typedef int box_arrival_wait(void *data, box_error **err);
struct box_source *box_source_arriving(struct box_arrival *arrival, box_arrival_wait *wait, void *data, box_error **err);

#endif
