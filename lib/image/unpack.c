/* Unpacking a layer: the loop over the archive, names, limits. */
#include "image/unpack_parts.h"

#include <fcntl.h>
#include <stdlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "image/erofs_image.h"

box_image_limits box_image_limits_or_default(const box_image_limits *given)
{
    box_image_limits l = given ? *given : (box_image_limits){0};

    l.layer_bytes = l.layer_bytes ? l.layer_bytes : 64ull << 30;
    l.file_bytes = l.file_bytes ? l.file_bytes : 1ull << 40;
    l.entries = l.entries ? l.entries : 4000000;
    l.free_bytes = l.free_bytes ? l.free_bytes : 1ull << 30;
    l.ratio = l.ratio ? l.ratio : 250;
    l.path_bytes = l.path_bytes && l.path_bytes < PATH_MAX - 1 ? l.path_bytes : PATH_MAX - 1;
    l.path_depth = l.path_depth ? l.path_depth : 256;
    l.header_bytes = l.header_bytes ? l.header_bytes : 1u << 20;
    l.layers = l.layers ? l.layers : 512;
    return l;
}

/* ---- Errors ---- */

static int vfail(const struct unpack *u, struct box_fail_info *info, box_error **err, const char *fmt,
                 va_list args)
{
    char text[PATH_MAX + 256];

    vsnprintf(text, sizeof(text), fmt, args);
    if (!u->entry.path)
        return box_fail_with(err, info, "%s", text);
    info->subject = u->entry.path;
    return box_fail_with(err, info, "entry \"%.256s\": %s", info->subject, text);
}

int unpack_fail(const struct unpack *u, int code, box_error **err, const char *fmt, ...)
{
    struct box_fail_info info = {.code = code};
    va_list args;

    va_start(args, fmt);
    int r = vfail(u, &info, err, fmt, args);
    va_end(args);
    return r;
}

int unpack_fail_sys(const struct unpack *u, const char *call, box_error **err, const char *fmt, ...)
{
    struct box_fail_info info = {.errnum = errno, .call = call};
    va_list args;

    if (errno == ENAMETOOLONG)
        info.code = BOX_ELIMIT;
    va_start(args, fmt);
    int r = vfail(u, &info, err, fmt, args);
    va_end(args);
    return r;
}

int unpack_about(const struct unpack *u, int code, box_error **err)
{
    if (!err || !*err || code == BOX_ENOMEM)
        return code;
    box_error *inner = *err;
    *err = NULL;
    struct box_fail_info info = {.code = code, .subject = u->entry.path, .remedy = box_error_remedy(inner)};
    int r = box_fail_with(err, &info, "entry \"%.256s\": %s", u->entry.path, box_error_message(inner));
    box_error_free(inner);
    return r;
}

/* ---- Names ---- */

/* The name without what means nothing: slashes in front and at the end, empty components and ".". */
static int clean_name(struct unpack *u, box_error **err)
{
    const box_image_limits *limits = u->how->limits;
    const char *at = u->entry.path;
    size_t length = 0;
    unsigned depth = 0;

    if (!*at)
        return unpack_fail(u, BOX_EPARSE, err, "it has no name");
    if (strlen(at) > limits->path_bytes)
        return unpack_fail(u, BOX_ELIMIT, err, "the name is longer than %u bytes", limits->path_bytes);
    for (size_t n; *at; at += n + (at[n] == '/')) {
        n = strcspn(at, "/");
        if (n == 0 || (n == 1 && at[0] == '.'))
            continue;
        if (n == 2 && at[0] == '.' && at[1] == '.')
            return unpack_fail(u, BOX_EESCAPE, err, "the name has \"..\" in it");
        if (++depth > limits->path_depth)
            return unpack_fail(u, BOX_ELIMIT, err, "the name has more than %u components",
                               limits->path_depth);
        if (length)
            u->name[length++] = '/';
        memcpy(u->name + length, at, n);
        length += n;
    }
    u->name[length] = '\0';
    return 0;
}

/* ---- Limits ---- */

static int check_ratio(const struct unpack *u, box_error **err)
{
    const box_image_limits *limits = u->how->limits;
    uint64_t read = box_source_digest_count(u->stream);

    if (read <= limits->free_bytes || read / limits->ratio <= u->how->compressed)
        return 0;
    return unpack_fail(u, BOX_ELIMIT, err, "the layer expands to more than %u times its %llu bytes",
                       limits->ratio, (unsigned long long)u->how->compressed);
}

int unpack_tick(struct unpack *u, box_error **err)
{
    int r = check_ratio(u, err);

    return r == 0 && u->how->tick ? u->how->tick(u->how->tick_data, err) : r;
}

static int check_entry(struct unpack *u, box_error **err)
{
    if (++u->seen > u->how->limits->entries)
        return unpack_fail(u, BOX_ELIMIT, err, "the layer has more than %llu entries",
                           (unsigned long long)u->how->limits->entries);
    return unpack_tick(u, err);
}

/* What follows the archive's end is not looked at by any reader of tar, but digests are of all of it. */
static int drain(struct unpack *u, box_error **err)
{
    const void *data;
    size_t length;
    int r;

    do {
        r = box_source_read(u->stream, &data, &length, err);
        if (r == 0)
            r = unpack_tick(u, err);
    } while (r == 0 && length > 0);
    return r;
}

/* ---- The loop ---- */

typedef int put_entry(struct unpack *u, box_error **err);

static int each_entry(struct unpack *u, put_entry *put, box_error **err)
{
    int r = box_tar_open(u->stream, u->how->limits->header_bytes, &u->tar, err);

    while (r == 0 && (r = box_tar_next(u->tar, &u->entry, err)) > 0) {
        r = check_entry(u, err);
        if (r == 0)
            r = clean_name(u, err);
        if (r == 0)
            r = put(u, err);
    }
    if (r < 0 && u->entry.path && err && *err && !*box_error_subject(*err))
        r = box_fail_wrap(err, r, "after entry \"%.256s\"", u->entry.path);
    u->entry.path = NULL;
    return r < 0 ? r : drain(u, err);
}

static int unpack_all(struct unpack *u, box_error **err)
{
    int r = each_entry(u, unpack_entry, err);

    if (r == 0)
        r = unpack_flush_implicit(u, err);
    return r < 0 ? r : unpack_settle(u, NULL, err);
}

/* What the layer's directory is when the archive does not say. */
static int prepare_root(struct unpack *u, box_error **err)
{
    const struct timespec epoch = {0, 0};
    int fd = openat(u->rootfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return unpack_fail_sys(u, "openat", err, "cannot open the layer's directory");
    if (u->how->privileged && fchown(fd, 0, 0) < 0) {
        close(fd);
        return unpack_fail_sys(u, "fchown", err, "cannot set the owner of the layer's directory");
    }
    return unpack_enter(u, "", fd, 0755, epoch, err);
}

static struct unpack *unpack_new(struct box_source *stream, const struct box_unpack *how,
                                 struct box_layer_record *record, box_error **err)
{
    struct unpack *u = calloc(1, sizeof(*u));

    *record = (struct box_layer_record){0};
    if (!u) {
        box_fail_nomem(err);
        return NULL;
    }
    u->how = how;
    u->stream = stream;
    u->record = record;
    u->as_root = setfsuid((uid_t)-1) == 0 && setfsgid((gid_t)-1) == 0; /* changes nothing: setfsuid(2) */
    u->rootfd = u->parentfd = -1;
    return u;
}

static void unpack_free(struct unpack *u)
{
    unpack_forget(u);
    box_erofs_image_free(u->image);
    box_erofs_tree_free(u->tree);
    box_tar_free(u->tar);
    free(u);
}

int box_unpack(struct box_source *stream, int dirfd, const struct box_unpack *how,
               struct box_layer_record *record, box_error **err)
{
    struct unpack *u = unpack_new(stream, how, record, err);

    if (!u)
        return BOX_ENOMEM;
    u->rootfd = dirfd;
    int r = prepare_root(u, err);
    if (r == 0)
        r = unpack_all(u, err);
    unpack_free(u);
    return r;
}

int box_unpack_erofs(struct box_source *stream, int imagefd, const struct box_unpack *how,
                     struct box_layer_record *record, uint64_t *data_end, box_error **err)
{
    struct unpack *u = unpack_new(stream, how, record, err);

    if (!u)
        return BOX_ENOMEM;
    u->imagefd = imagefd;
    int r = unpack_erofs_begin(u, err);
    if (r == 0)
        r = each_entry(u, unpack_erofs_entry, err);
    if (r == 0)
        r = unpack_erofs_end(u, data_end, err);
    unpack_free(u);
    return r;
}
