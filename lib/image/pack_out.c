/* Outputs: small writes become large ones, and between them deadline and cancelling are looked at. A pipe whose
 * reader does not read is waited for with both; one whose reader is gone is an error and no signal. */
#include "image/pack_out.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define BUFFER     (256u << 10)
#define LOOK_EVERY (1u << 20)
#define WRITEBACK  (8u << 20)

/* ---- The watch ---- */

int box_watch_begin(struct box_watch *watch, const box_archive_options *options, box_error **err)
{
    static const box_archive_options usual = BOX_ARCHIVE_OPTIONS_INIT;

    watch->options = options ? *options : usual;
    watch->done = watch->looked = 0;
    watch->deadline = box_deadline_in_ms(watch->options.timeout_ms);
    if (watch->options.version != 1)
        return box_fail(err, BOX_EINVAL, "box_archive_options of version %u are not known", watch->options.version);
    return box_watch_look(watch, err);
}

static int check_time(const struct box_watch *watch, box_error **err)
{
    return box_deadline_passed(watch->deadline) ? box_fail(err, BOX_ETIMEOUT, "the time for it is over") : 0;
}

int box_watch_look(struct box_watch *watch, box_error **err)
{
    struct pollfd cancel = {.fd = watch->options.cancel_fd, .events = POLLIN};
    const box_image_progress progress = {.stage = BOX_IMAGE_STAGE_READ, .object = "", .done = watch->done};
    int r = check_time(watch, err);

    watch->looked = watch->done;
    if (r == 0 && watch->options.cancel_fd >= 0 && poll(&cancel, 1, 0) > 0)
        r = box_fail(err, BOX_ECANCELLED, "cancelled");
    if (r == 0 && watch->options.progress && watch->options.progress(&progress, watch->options.progress_data) != 0)
        r = box_fail(err, BOX_ECANCELLED, "cancelled");
    return r;
}

int box_watch_tick(struct box_watch *watch, uint64_t bytes, box_error **err)
{
    watch->done += bytes;
    return watch->done - watch->looked >= LOOK_EVERY ? box_watch_look(watch, err) : 0;
}

/* ---- Writing ---- */

int box_out_open(struct box_out *out, struct box_watch *watch, int fd, box_archive_write_fn *write, void *context,
                 box_error **err)
{
    struct stat st;

    *out = (struct box_out){.watch = watch, .fd = write ? -1 : fd, .write = write, .context = context};
    if (!write && fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "the descriptor that is to be written to is none");
    out->pipe = !write && !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
    out->buffer = malloc(BUFFER);
    return out->buffer ? 0 : box_fail_nomem(err);
}

void box_out_close(struct box_out *out)
{
    free(out->buffer);
    out->buffer = NULL;
}

/* Until something can be written, or the caller wants no more. */
static int wait_writable(struct box_out *out, box_error **err)
{
    struct pollfd fds[2] = {{.fd = out->fd, .events = POLLOUT},
                            {.fd = out->watch->options.cancel_fd, .events = POLLIN}};
    int n;

    do
        n = poll(fds, 2, box_deadline_left_ms(out->watch->deadline));
    while (n < 0 && errno == EINTR && !box_deadline_passed(out->watch->deadline));
    if (n < 0)
        return box_fail_sys(err, "poll", NULL, "cannot wait for the reader");
    return n == 0 || fds[1].revents ? box_watch_look(out->watch, err) : 0;
}

/* write(2) with SIGPIPE held back: one that the write raised is taken away again, one that was there stays. */
static ssize_t write_pipe(int fd, const void *data, size_t length)
{
    sigset_t broken, before, pending;
    const struct timespec now = {0};

    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &broken, &before);
    ssize_t n = write(fd, data, length);
    int saved = errno;
    if (n < 0 && saved == EPIPE && !sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&broken, NULL, &now) < 0 && errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = saved;
    return n;
}

static int to_pipe(struct box_out *out, const char *data, size_t length, box_error **err)
{
    const struct box_watch *watch = out->watch;
    /* As much as can be written without blocking once poll(2) has said so. */
    const bool waits = watch->options.cancel_fd >= 0 || !box_deadline_is_never(watch->deadline);
    const size_t piece = waits ? PIPE_BUF : length;

    while (length > 0) {
        int r = waits ? wait_writable(out, err) : 0;
        if (r < 0)
            return r;
        ssize_t n = write_pipe(out->fd, data, length < piece ? length : piece);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            if (errno == EAGAIN && (r = wait_writable(out, err)) < 0)
                return r;
            continue;
        }
        if (n < 0)
            return box_fail_sys(err, "write", NULL, "cannot write the stream");
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Writing out goes on beside the writing, so that the sync at the end has little left to wait for. Only a hint. */
static void begin_writeback(struct box_out *out, size_t length)
{
    out->written += length;
    if (!out->synced || out->written - out->begun < WRITEBACK)
        return;
    sync_file_range(out->fd, (off_t)out->begun, (off_t)(out->written - out->begun), SYNC_FILE_RANGE_WRITE);
    out->begun = out->written;
}

static int emit(struct box_out *out, const char *data, size_t length, box_error **err)
{
    int r = 0;

    if (out->write)
        r = out->write(data, length, out->context) != 0 ? box_fail(err, BOX_ECANCELLED, "cancelled") : 0;
    else if (out->pipe)
        r = to_pipe(out, data, length, err);
    else if (box_write_all(out->fd, data, length) < 0)
        r = box_fail_sys(err, "write", NULL, "cannot write the archive");
    else
        begin_writeback(out, length);
    return r < 0 ? r : box_watch_tick(out->watch, length, err);
}

int box_out_flush(struct box_out *out, box_error **err)
{
    size_t length = out->length;

    out->length = 0;
    return length ? emit(out, out->buffer, length, err) : 0;
}

int box_out_sink(const void *data, size_t length, void *context, box_error **err)
{
    struct box_out *out = context;
    int r = 0;

    if (length > BUFFER - out->length)
        r = box_out_flush(out, err);
    if (r == 0 && length >= BUFFER)
        return emit(out, data, length, err);
    if (r == 0) {
        memcpy(out->buffer + out->length, data, length);
        out->length += length;
    }
    return r;
}

/* ---- Digests ---- */

int box_tee_open(struct box_tee *tee, box_tar_sink *sink, void *context, box_error **err)
{
    *tee = (struct box_tee){.sink = sink, .context = context};
    tee->digester = box_digester_new(BOX_SHA256, err);
    return tee->digester ? 0 : err && *err ? box_error_code(*err) : BOX_ENOMEM;
}

int box_tee_sink(const void *data, size_t length, void *context, box_error **err)
{
    struct box_tee *tee = context;

    box_digester_update(tee->digester, data, length);
    tee->count += length;
    return tee->sink ? tee->sink(data, length, tee->context, err) : 0;
}

int box_tee_finish(struct box_tee *tee, struct box_digest *digest, box_error **err)
{
    return box_digester_finish(tee->digester, digest, err);
}

void box_tee_close(struct box_tee *tee)
{
    box_digester_free(tee->digester);
    tee->digester = NULL;
}

/* ---- All of it ---- */

static int through_deflate(struct box_watch *watch, struct box_out *out, box_pack_fn *pack, void *data,
                           box_error **err)
{
    const box_archive_options *o = &watch->options;
    _cleanup_(box_deflate) struct box_deflate *deflate = NULL;
    int r = box_deflate_new(o->compression, o->level, o->threads, box_out_sink, out, &deflate, err);

    if (r == 0)
        r = pack(box_deflate_sink, deflate, data, err);
    return r < 0 ? r : box_deflate_finish(deflate, err);
}

int box_pack_to(const box_archive_options *options, int fd, box_archive_write_fn *write, void *context,
                box_pack_fn *pack, void *data, box_error **err)
{
    _out_ struct box_out out = {0};
    struct box_watch watch;
    int r = box_watch_begin(&watch, options, err);

    if (r == 0)
        r = box_out_open(&out, &watch, fd, write, context, err);
    if (r == 0 && watch.options.compression == BOX_ARCHIVE_PLAIN)
        r = pack(box_out_sink, &out, data, err);
    else if (r == 0)
        r = through_deflate(&watch, &out, pack, data, err);
    return r < 0 ? r : box_out_flush(&out, err);
}
