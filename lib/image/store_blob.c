/* Layers' blobs, as they came: what is pushed and saved byte for byte.
 *
 * A blob takes this way, and each step is a rename:
 *
 *     partial/HEX          bytes as they arrive; belongs to whoever holds partial/HEX.lock
 *     partial/HEX+BOOT     whole, and held against its digest; not synced, so believed until the machine goes down
 *     sha256/HEX           after a sync of the file system: for good
 *
 * A file that was copied from an archive begins in a workplace in place of the first, and one that is not
 * compressed is kept as zstd where libzstd is there, with ".zst" behind the digits: the tree that it was
 * unpacked to has the same bytes once more, so keeping it plain would double what an image takes.
 *
 * Nothing here is believed for its name alone: who reads a blob gets a stream that ends in an error when the
 * bytes are not those of the digest. */
#include "image/store_blob.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/strings.h"
#include "image/source.h"
#include "image/store_late.h"
#include "image/zstd.h"

#define ZST         ".zst"
#define LOCK        ".lock"
#define NAME_MAX_   (BOX_DIGEST_TEXT + 64)
#define PARTIAL_AGE (24 * 3600)
#define PARTIAL_MAX (8ull << 30)

/* ---- Names ---- */

enum form { KEPT, KEPT_ZSTD, WHOLE, WHOLE_ZSTD, FORMS };

/* The name of a form of a blob, below the directory that is given back. */
static int name_of(const box_store *store, const struct box_digest *digest, enum form form, char name[NAME_MAX_])
{
    char hex[BOX_DIGEST_TEXT];
    const char *suffix = form == KEPT_ZSTD || form == WHOLE_ZSTD ? ZST : "";
    bool whole = form == WHOLE || form == WHOLE_ZSTD;

    snprintf(name, NAME_MAX_, "%s%s%s%s", box_digest_hex(digest, hex), suffix, whole ? "+" : "",
             whole ? store->boot : "");
    return whole ? store->partialfd : store->blobsfd;
}

static void with_suffix(const struct box_digest *digest, const char *suffix, char name[NAME_MAX_])
{
    char hex[BOX_DIGEST_TEXT];

    snprintf(name, NAME_MAX_, "%s%s", box_digest_hex(digest, hex), suffix);
}

bool box_store_keeps_blobs(const box_store *store)
{
    char value[16];

    box_store_setting(store, "blobs", value);
    return strcmp(value, "drop") != 0;
}

/* ---- Finding and reading ---- */

/* The fd of a blob and its form; -1 with errno. Between two looks a blob may have got its lasting name, so the
 * forms are gone through in the order opposite to its way, twice. */
static int open_blob(const box_store *store, const struct box_digest *digest, enum form *form)
{
    char name[NAME_MAX_];

    errno = ENOENT;
    if (digest->algorithm != BOX_SHA256)
        return -1; /* other digests have no directory here */
    for (unsigned i = 0; i < 2 * FORMS; i++) {
        *form = (enum form)(i % FORMS);
        int dirfd = name_of(store, digest, *form, name);
        if (dirfd < 0 || ((*form == WHOLE || *form == WHOLE_ZSTD) && !store->boot[0]))
            continue;
        int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0 || errno != ENOENT)
            return fd;
    }
    errno = ENOENT;
    return -1;
}

static int size_of(int fd, enum form form, uint64_t *size, box_error **err)
{
    struct stat st;

    if (form == KEPT_ZSTD || form == WHOLE_ZSTD)
        return box_source_copy_size(fd, size, err);
    if (fstat(fd, &st) < 0)
        return box_fail_sys(err, "fstat", NULL, "cannot look at a blob");
    *size = (uint64_t)st.st_size;
    return 0;
}

int box_store_find_blob(const box_store *store, const struct box_digest *digest, uint64_t *size,
                        box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    enum form form;
    _close_ int fd = open_blob(store, digest, &form);

    if (fd < 0 && errno == ENOENT)
        return 0;
    box_digest_format(digest, text);
    if (fd < 0)
        return box_fail_sys(err, "open", text, "cannot open the blob %s", text);
    int r = size ? size_of(fd, form, size, err) : 0;
    return r < 0 ? box_fail_wrap(err, r, "blob %s", text) : 1;
}

struct blob_source {
    struct box_source base;
    struct box_source *from; /* digests what passes */
    int fd;
    bool checked;
    struct box_digest digest;
};

static int blob_read(struct box_source *base, const void **data, size_t *length, box_error **err)
{
    struct blob_source *s = (struct blob_source *)base;
    char text[BOX_DIGEST_TEXT];
    struct box_digest found;
    box_error *why = NULL;

    *length = 0;
    if (s->checked)
        return 0;
    int r = box_source_read(s->from, data, length, &why);
    if (r == 0 && *length > 0)
        return 0;
    s->checked = true;
    if (r == 0)
        r = box_source_digest_finish(s->from, &found, NULL, &why);
    if (r == 0)
        r = box_digest_check(&s->digest, &found, "blob", &why);
    *length = 0;
    if (r == 0)
        return 0;
    struct box_fail_info info = {.code = r == BOX_ENOMEM || r == BOX_ESYSTEM ? r : BOX_ECORRUPT,
                                 .subject = box_digest_format(&s->digest, text),
                                 .remedy = "load or pull the image again"};
    r = box_fail_with(err, &info, "the kept blob %s is damaged: %s", text, box_error_message(why));
    box_error_free(why);
    return r;
}

static void blob_free(struct box_source *base)
{
    struct blob_source *s = (struct blob_source *)base;

    box_source_free(s->from);
    box_cleanup_close(&s->fd);
    free(s);
}

static struct box_source *blob_open(int *fd, enum form form, uint64_t bytes, const struct box_digest *digest,
                                    box_error **err)
{
    struct box_source *from = box_source_range(*fd, 0, bytes, err);
    struct blob_source *s;

    if (from && (form == KEPT_ZSTD || form == WHOLE_ZSTD))
        from = box_source_zstd(from, err);
    if (from)
        from = box_source_digest(from, err);
    if (!from)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (!s) {
        box_source_free(from);
        box_fail_nomem(err);
        return NULL;
    }
    s->base = (struct box_source){.read = blob_read, .free = blob_free};
    s->from = from;
    s->fd = box_take_fd(fd);
    s->digest = *digest;
    return &s->base;
}

static void fail_not_kept(const char *text, box_error **err)
{
    struct box_fail_info info = {
        .code = BOX_ENOTFOUND,
        .subject = text,
        .remedy = "remove the image and pull or load it again, with the store's setting blobs at keep"};

    box_fail_with(err, &info, "the compressed layer %s is not kept in this store", text);
}

struct box_source *box_store_blob_source(const box_store *store, const struct box_digest *digest,
                                         uint64_t *size, box_error **err)
{
    char text[BOX_DIGEST_TEXT];
    enum form form;
    uint64_t own;
    struct stat st;
    _close_ int fd = open_blob(store, digest, &form);

    box_digest_format(digest, text);
    if (fd < 0 && errno == ENOENT) {
        fail_not_kept(text, err);
        return NULL;
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        box_fail_sys(err, "open", text, "cannot open the blob %s", text);
        return NULL;
    }
    int r = size_of(fd, form, size ? size : &own, err);
    if (r < 0) {
        box_fail_wrap(err, r, "blob %s", text);
        return NULL;
    }
    return blob_open(&fd, form, (uint64_t)st.st_size, digest, err);
}

/* ---- Keeping ---- */

/* Where it goes once it is whole. Who cannot tell which boot this is has it synced at once, and gives it the name that
 * lasts. */
static int keep_as(const box_store *store, const struct box_digest *digest, bool zstd, char name[NAME_MAX_], box_error **err)
{
    bool now = !store->boot[0];

    if (now && syncfs(store->blobsfd) < 0)
        return box_fail_sys(err, "syncfs", store->root, "cannot write a blob to disk");
    return name_of(store, digest, zstd ? (now ? KEPT_ZSTD : WHOLE_ZSTD) : (now ? KEPT : WHOLE), name);
}

int box_store_keep_blob(struct box_store_work *work, const char *from, const struct box_digest *digest,
                        bool zstd, box_error **err)
{
    char name[NAME_MAX_];

    if (digest->algorithm != BOX_SHA256) {
        unlinkat(work->fd, from, 0);
        return 0;
    }
    int dirfd = keep_as(work->store, digest, zstd, name, err);
    if (dirfd < 0)
        return dirfd;
    if (renameat(work->fd, from, dirfd, name) < 0)
        return box_fail_sys(err, "rename", name, "cannot keep a blob");
    return 0;
}

void box_store_discard_blob(const box_store *store, const struct box_digest *digest)
{
    char name[NAME_MAX_];

    for (enum form form = 0; form < FORMS; form++) {
        int dirfd = name_of(store, digest, form, name);
        if (dirfd >= 0)
            unlinkat(dirfd, name, 0);
    }
}

bool box_store_blobs_wait(const box_store *store, const struct box_digest *blobs, size_t n)
{
    char name[NAME_MAX_];

    for (size_t i = 0; i < n; i++)
        for (enum form form = WHOLE; form <= WHOLE_ZSTD; form++) {
            int dirfd = name_of(store, &blobs[i], form, name);
            if (faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return true;
        }
    return false;
}

/* Several operations may want the same blob: whoever comes second finds it placed. */
int box_store_place_blobs(const box_store *store, const struct box_digest *blobs, size_t n, box_error **err)
{
    char from[NAME_MAX_], to[NAME_MAX_];

    for (size_t i = 0; i < n; i++)
        for (enum form form = WHOLE; form <= WHOLE_ZSTD; form++) {
            name_of(store, &blobs[i], form, from);
            name_of(store, &blobs[i], form == WHOLE ? KEPT : KEPT_ZSTD, to);
            if (renameat(store->partialfd, from, store->blobsfd, to) < 0 && errno != ENOENT)
                return box_fail_sys(err, "rename", to, "cannot put a blob into the store");
        }
    return box_dir_sync(store->blobsfd, err);
}

static void name_of_boot(const box_store *store, const struct box_digest *digest, enum form form, const char *boot,
                         char name[2 * NAME_MAX_])
{
    char own[NAME_MAX_];

    name_of(store, digest, form, own);
    snprintf(name, 2 * NAME_MAX_, "%.*s+%s", (int)strcspn(own, "+"), own, boot);
}

int box_store_reads_right(struct box_source *source, box_error **err)
{
    box_error *why = NULL;
    const void *data;
    size_t length = 1;
    int r = 0;

    while (r == 0 && length > 0)
        r = box_source_read(source, &data, &length, &why);
    if (r != BOX_ENOMEM)
        box_error_free(why);
    else if (err)
        *err = why;
    return r == 0 ? 1 : r == BOX_ENOMEM ? r : 0;
}

/* One form: 1 when it is taken, 0, or an error. What was read back after the machine went down is on disk, so that it may
 * have its lasting name at once. */
static int take_form(const box_store *store, const struct box_digest *digest, enum form form, const char *boot,
                     box_error **err)
{
    char from[2 * NAME_MAX_], to[NAME_MAX_];
    struct stat st;

    name_of_boot(store, digest, form, boot, from);
    _close_ int fd = openat(store->partialfd, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return box_fail_sys(err, "open", from, "cannot open a blob");
    _cleanup_(box_source) struct box_source *source = blob_open(&fd, form, (uint64_t)st.st_size, digest, err);
    int r = source ? box_store_reads_right(source, err) : BOX_ENOMEM;
    if (r < 0)
        return r;
    if (r == 0) {
        unlinkat(store->partialfd, from, 0);
        return 0;
    }
    name_of(store, digest, form == WHOLE ? KEPT : KEPT_ZSTD, to);
    if (renameat(store->partialfd, from, store->blobsfd, to) < 0)
        return errno == ENOENT ? 0 : box_fail_sys(err, "rename", to, "cannot put a blob into the store");
    if (form == WHOLE_ZSTD) { /* it would be found before the one that is right */
        name_of(store, digest, KEPT, to);
        unlinkat(store->blobsfd, to, 0);
    }
    return 1;
}

int box_store_take_of_boot(const box_store *store, const struct box_digest *digest, const char *boot, box_error **err)
{
    int r = 0;

    for (enum form form = WHOLE; r == 0 && digest->algorithm == BOX_SHA256 && form <= WHOLE_ZSTD; form++)
        r = take_form(store, digest, form, boot, err);
    if (r == 1)
        box_store_drop_of_boot(store, digest, boot);
    return r < 0 ? r : 0;
}

void box_store_drop_of_boot(const box_store *store, const struct box_digest *digest, const char *boot)
{
    char name[2 * NAME_MAX_];

    for (enum form form = WHOLE; form <= WHOLE_ZSTD; form++) {
        name_of_boot(store, digest, form, boot, name);
        unlinkat(store->partialfd, name, 0);
    }
}

/* ---- Arriving ---- */

int box_store_lock_blob(const box_store *store, const struct box_digest *digest, struct box_deadline deadline,
                        box_error **err)
{
    char name[NAME_MAX_];

    with_suffix(digest, LOCK, name);
    return box_lock_take(store->partialfd, name, BOX_LOCK_EXCLUSIVE, deadline, err);
}

void box_store_unlock_blob(const box_store *store, const struct box_digest *digest, int fd)
{
    char name[NAME_MAX_];

    with_suffix(digest, LOCK, name);
    box_lock_remove(store->partialfd, name, fd);
}

int box_store_open_partial(const box_store *store, const struct box_digest *digest, box_error **err)
{
    char name[NAME_MAX_];

    with_suffix(digest, "", name);
    int fd = openat(store->partialfd, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? box_fail_sys(err, "open", name, "cannot make a file for a blob") : fd;
}

int box_store_drop_partial(const box_store *store, const struct box_digest *digest, box_error **err)
{
    char name[NAME_MAX_];

    with_suffix(digest, "", name);
    if (unlinkat(store->partialfd, name, 0) < 0 && errno != ENOENT)
        return box_fail_sys(err, "unlink", name, "cannot throw a partial blob away");
    return 0;
}

int box_store_finish_partial(const box_store *store, const struct box_digest *digest, box_error **err)
{
    char from[NAME_MAX_], to[NAME_MAX_];

    with_suffix(digest, "", from);
    if (digest->algorithm != BOX_SHA256) {
        unlinkat(store->partialfd, from, 0);
        return 0;
    }
    int dirfd = keep_as(store, digest, false, to, err);
    if (dirfd < 0)
        return dirfd;
    if (renameat(store->partialfd, from, dirfd, to) < 0)
        return box_fail_sys(err, "rename", to, "cannot keep a blob");
    return 0;
}

/* ---- Collecting ---- */

struct collection {
    const box_store *store;
    bool waiting; /* an earlier boot's blobs are yet to be recovered */
    bool (*needed)(const void *data, const char *hex);
    const void *data;
    bool all;
    box_store_freed *freed;
    uint64_t kept;
};

/* Whether it is whole, and was not synced before the machine went down. Who does not know this boot cannot tell. */
static bool is_of_before(const struct collection *c, const char *suffix)
{
    const char *boot = strchr(suffix, '+');

    return boot && c->store->boot[0] && strcmp(boot + 1, c->store->boot) != 0;
}

/* Whether a file is to go whose blob nobody needs, or which is of another boot. */
static bool is_stale(const struct collection *c, const char *suffix, const struct stat *st)
{

    if (c->all || is_of_before(c, suffix))
        return true;
    return time(NULL) - st->st_mtim.tv_sec > PARTIAL_AGE || c->kept > PARTIAL_MAX;
}

static void collect_partial(struct collection *c, const char *name, size_t digits)
{
    const char *suffix = name + digits;
    char hex[BOX_DIGEST_TEXT], lock_name[NAME_MAX_];
    struct stat st;

    snprintf(hex, sizeof(hex), "%.*s", (int)digits, name);
    snprintf(lock_name, sizeof(lock_name), "%s" LOCK, hex);
    if (fstatat(c->store->partialfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    /* What is needed stays, unless it is of an earlier boot that nobody recovers anything of. */
    bool is_lock = strcmp(suffix, LOCK) == 0; /* left by a killed process, if nobody holds it */
    if (!is_lock && c->needed(c->data, hex) && (c->waiting || !is_of_before(c, suffix)))
        return;
    int lock = box_lock_take(c->store->partialfd, lock_name, BOX_LOCK_EXCLUSIVE, box_deadline_in_ns(0), NULL);
    if (lock < 0)
        return; /* it is on its way */
    if (!is_lock && !is_stale(c, suffix, &st))
        c->kept += (uint64_t)st.st_blocks * 512;
    else if (!is_lock && unlinkat(c->store->partialfd, name, 0) == 0) {
        c->freed->blobs++;
        c->freed->bytes += (uint64_t)st.st_blocks * 512;
    }
    box_lock_remove(c->store->partialfd, lock_name, lock);
}

static bool waits_to_be_recovered(const box_store *store)
{
    _index_ struct box_index index = {0};
    char boot[40];

    return box_late_read_of_before(store, &index, boot) == 1;
}

int box_store_collect_partials(const box_store *store, bool (*needed)(const void *data, const char *hex),
                               const void *data, bool all, box_store_freed *freed, box_error **err)
{
    struct collection c = {store, waits_to_be_recovered(store), needed, data, all, freed, 0};
    _closedir_ DIR *dir = box_store_read_dir(store->partialfd);

    if (!dir)
        return box_fail_sys(err, "opendir", store->root, "cannot read the store's partial blobs");
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        size_t digits = strspn(e->d_name, "0123456789abcdef");
        if (digits == 64 || digits == 128)
            collect_partial(&c, e->d_name, digits);
    }
    return 0;
}
