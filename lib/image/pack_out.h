/* Where a stream goes: to a descriptor or a function of the caller's, compressed on the way if wanted, digested
 * where needed, with the caller's deadline, way to cancel, and progress.
 *
 *     tar writer -> tee (digest of the plain stream) -> deflate -> tee (digest of the blob) -> out */
#ifndef BOX_IMAGE_PACK_OUT_H
#define BOX_IMAGE_PACK_OUT_H

#include <libbox/archive.h>
#include "base/clock.h"
#include "base/digest.h"
#include "image/deflate.h"
#include "image/tar_write.h"

/* Looks at deadline and cancelling, and tells of progress. */
struct box_watch {
    box_archive_options options;
    struct box_deadline deadline;
    uint64_t done, looked;
};
int box_watch_begin(struct box_watch *watch, const box_archive_options *options, box_error **err);
/* So many bytes more were done: looks now and then. */
int box_watch_tick(struct box_watch *watch, uint64_t bytes, box_error **err);
/* Looks now. */
int box_watch_look(struct box_watch *watch, box_error **err);

struct box_out {
    struct box_watch *watch;
    int fd; /* -1: write */
    box_archive_write_fn *write;
    void *context;
    bool pipe; /* writing may block, and may raise SIGPIPE */
    bool synced; /* set by the caller: a new file, which is synced afterwards. Writing it out begins before its end */
    uint64_t written, begun; /* since it was opened; up to here it was told so */
    char *buffer;
    size_t length;
};
int box_out_open(struct box_out *out, struct box_watch *watch, int fd, box_archive_write_fn *write, void *context,
                 box_error **err);
/* A box_tar_sink whose context is a box_out. */
int box_out_sink(const void *data, size_t length, void *context, box_error **err);
int box_out_flush(struct box_out *out, box_error **err);
void box_out_close(struct box_out *out);
#define _out_ __attribute__((cleanup(box_out_close)))

/* What passes is counted and digested. */
struct box_tee {
    box_tar_sink *sink; /* NULL: to nowhere */
    void *context;
    struct box_digester *digester;
    uint64_t count;
};
int box_tee_open(struct box_tee *tee, box_tar_sink *sink, void *context, box_error **err);
int box_tee_sink(const void *data, size_t length, void *context, box_error **err);
int box_tee_finish(struct box_tee *tee, struct box_digest *digest, box_error **err);
void box_tee_close(struct box_tee *tee);
#define _tee_ __attribute__((cleanup(box_tee_close)))

/* Runs `pack` with a sink that leads through the compression that the options want to fd or write. */
typedef int box_pack_fn(box_tar_sink *sink, void *context, void *data, box_error **err);
int box_pack_to(const box_archive_options *options, int fd, box_archive_write_fn *write, void *context,
                box_pack_fn *pack, void *data, box_error **err);

#endif
