/* Packing: trees, unions and differences as tar streams, compressing, and saving. */
#include <libbox/archive.h>

#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "base/buffer.h"
#include "base/strings.h"
#include "image/deflate.h"
#include "image/image.h"
#include "image/pack.h"
#include "image/pack_union.h"
#include "image/source.h"
#include "image/tar.h"
#include "kernel/mount.h"

#include "images.h" /* after the headers whose parameters are called err as well */

TestSuite(pack, .init = store_init, .fini = store_fini);

static int gather(const void *data, size_t length, void *context, box_error **e)
{
    (void)e;
    box_buffer_append(context, data, length);
    return 0;
}

static int open_dir(const char *name)
{
    int fd = openat(scratch_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    cr_assert_geq(fd, 0, "open %s", name);
    return fd;
}

/* The entries of a tar, "NAME" or "NAME -> LINK" each, separated by spaces. */
static char *entries_of(const struct box_buffer *tar)
{
    _buffer_ struct box_buffer list = {0};
    _cleanup_(box_tar) struct box_tar *reader = NULL;
    struct box_tar_entry entry;
    int fd = memfd_create("tar", MFD_CLOEXEC), r;

    cr_assert_eq(box_write_all(fd, tar->data, tar->length), 0);
    struct box_source *source = box_source_range(fd, 0, tar->length, &err);
    cr_assert_eq(box_tar_open(source, 1 << 20, &reader, &err), 0, "%s", box_error_message(err));
    while ((r = box_tar_next(reader, &entry, &err)) == 1)
        box_buffer_printf(&list, "%s%s%s%s", list.length ? " " : "", entry.path, *entry.link ? "->" : "", entry.link);
    cr_assert_eq(r, 0, "%s", box_error_message(err));
    box_source_free(source);
    close(fd);
    return box_buffer_take(&list);
}

static void put_whiteout(const char *path)
{
    cr_assert_eq(mknodat(scratch_fd, path, S_IFCHR, makedev(0, 0)), 0, "whiteout %s", path);
}

/* The marks that an overlay of ours would obey; the others are data. */
static const char *mark_name(const char *mark)
{
    static char name[64];
    snprintf(name, sizeof(name), "%s.overlay.%s", box_overlay_is_trusted() ? "trusted" : "user", mark);
    return name;
}

static void put_opaque(const char *path)
{
    if (setxattr(path_of(path), mark_name("opaque"), "y", 1, 0) < 0)
        cr_skip_test("no such attributes here");
}

/* low: a/{1,2} b/{1} f    mid: a/{3} -f    top: a/{-1} b (opaque)/{2} g */
static void put_layers(void)
{
    static const char *const dirs[] = {"low", "low/a", "low/b", "mid", "mid/a", "top", "top/a", "top/b"};

    for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        put_dir(dirs[i]);
    put_file("low/a/1", "low");
    put_file("low/a/2", "low");
    put_file("low/b/1", "low");
    put_file("low/f", "low");
    put_file("mid/a/3", "mid");
    put_file("mid/a/2", "mid");
    put_whiteout("mid/f");
    put_whiteout("top/a/1");
    put_file("top/b/2", "top");
    put_file("top/g", "top");
    put_opaque("top/b");
}

Test(pack, a_union_is_what_overlay_would_show)
{
    _layer_fds_ struct box_layer_fds layers = {0};
    _buffer_ struct box_buffer tar = {0};
    const struct box_pack how = {.tar = {.sink = gather, .context = &tar}};

    put_layers();
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("top"), (char *)path_of("mid"), (char *)path_of("low"), NULL},
                                    &layers, &err), 0);
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "", &how, &err), 0, "%s", box_error_message(err));
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "./ a/ a/2 a/3 b/ b/2 g");
}

Test(pack, a_part_of_a_union_goes_by_the_name_it_is_given)
{
    _layer_fds_ struct box_layer_fds layers = {0};
    _buffer_ struct box_buffer tar = {0}, one = {0}, dot = {0};
    struct box_pack how = {.tar = {.sink = gather, .context = &tar}, .prefix = "new"};

    put_layers();
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("top"), (char *)path_of("mid"), (char *)path_of("low"), NULL},
                                    &layers, &err), 0);
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "a", &how, &err), 0);
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "new/ new/2 new/3");
    how.tar.context = &one;
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "a/3", &how, &err), 0);
    _free_ char *single = entries_of(&one);
    cr_assert_str_eq(single, "new");
    how = (struct box_pack){.tar = {.sink = gather, .context = &dot}, .as_dot = true};
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "a", &how, &err), 0);
    _free_ char *dotted = entries_of(&dot);
    cr_assert_str_eq(dotted, "./ ./2 ./3");
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "a/1", &how, &err), BOX_ENOTFOUND);
}

Test(pack, a_writable_layer_has_whiteouts_and_opaque_marks)
{
    _buffer_ struct box_buffer tar = {0}, again = {0};
    char *const out[] = {(char *)"g", NULL};
    struct box_pack how = {.tar = {.sink = gather, .context = &tar}};

    put_layers();
    _close_ int top = open_dir("top");
    cr_assert_eq(box_pack_layer(top, &how, &err), 0, "%s", box_error_message(err));
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "./ a/ a/.wh.1 b/ b/.wh..wh..opq b/2 g");
    how.tar.context = &again;
    how.leave_out = out;
    cr_assert_eq(box_pack_layer(top, &how, &err), 0);
    _free_ char *fewer = entries_of(&again);
    cr_assert_str_eq(fewer, "./ a/ a/.wh.1 b/ b/.wh..wh..opq b/2");
    put_file("top/.wh.x", "");
    cr_assert_eq(box_pack_layer(top, &how, &err), BOX_EUNSUPPORTED);
    cr_assert_str_eq(box_error_subject(err), ".wh.x");
}

/* A container's program may set these by itself; a layer that is not its own must not vanish behind them. */
Test(pack, marks_that_overlay_does_not_obey_are_not_obeyed)
{
    _layer_fds_ struct box_layer_fds layers = {0};
    _buffer_ struct box_buffer tar = {0}, whole = {0};
    struct box_pack how = {.tar = {.sink = gather, .context = &tar}};

    if (!box_overlay_is_trusted())
        cr_skip_test("only root's overlays leave an attribute alone that is a mark elsewhere");
    put_layers();
    if (setxattr(path_of("top/a"), "user.overlay.opaque", "y", 1, 0) < 0)
        cr_skip_test("no user attributes here");
    cr_assert_eq(setxattr(path_of("top/a"), "user.overlay.redirect", "b", 1, 0), 0);
    _close_ int top = open_dir("top");
    cr_assert_eq(box_pack_layer(top, &how, &err), 0, "%s", box_error_message(err));
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "./ a/ a/.wh.1 b/ b/.wh..wh..opq b/2 g");
    how.tar.context = &whole;
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("top"), (char *)path_of("mid"), (char *)path_of("low"), NULL},
                                    &layers, &err), 0);
    cr_assert_eq(box_pack_tree(layers.fds, layers.n, "a", &how, &err), 0, "%s", box_error_message(err));
    _free_ char *rest = entries_of(&whole);
    cr_assert_str_eq(rest, "./ 2 3");
}

Test(pack, a_renamed_directory_that_a_layer_cannot_say_is_an_error)
{
    const struct box_pack how = {.tar = {.sink = gather, .context = &(struct box_buffer){0}}};

    put_dir("top");
    put_dir("top/a");
    if (setxattr(path_of("top/a"), mark_name("redirect"), "b", 1, 0) < 0)
        cr_skip_test("no such attributes here");
    _close_ int top = open_dir("top");
    cr_assert_eq(box_pack_layer(top, &how, &err), BOX_EUNSUPPORTED);
    cr_assert_str_eq(box_error_subject(err), "a");
}

Test(pack, a_difference_holds_what_changed_and_the_way_to_it)
{
    _layer_fds_ struct box_layer_fds from = {0}, to = {0};
    _buffer_ struct box_buffer tar = {0}, none = {0};
    struct box_pack how = {.tar = {.sink = gather, .context = &tar}};

    put_layers();
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("low"), NULL}, &from, &err), 0);
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("top"), (char *)path_of("mid"), (char *)path_of("low"), NULL},
                                    &to, &err), 0);
    cr_assert_eq(box_pack_diff(from.fds, from.n, to.fds, to.n, &how, &err), 0, "%s", box_error_message(err));
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "./ a/ a/.wh.1 a/2 a/3 b/ b/.wh.1 b/2 .wh.f g");
    how.tar.context = &none;
    cr_assert_eq(box_pack_diff(to.fds, to.n, to.fds, to.n, &how, &err), 0);
    _free_ char *nothing = entries_of(&none);
    cr_assert_str_eq(nothing, "");
}

Test(pack, a_difference_sees_content_behind_the_same_time_and_size)
{
    _layer_fds_ struct box_layer_fds from = {0}, to = {0};
    _buffer_ struct box_buffer tar = {0};
    const struct box_pack how = {.tar = {.sink = gather, .context = &tar}};
    const struct timespec times[2] = {{1000, 5}, {1000, 5}};
    static const char *const files[] = {"x/same", "y/same", "x/other", "y/other", "x", "y"};

    put_dir("x");
    put_dir("y");
    put_file("x/same", "abc");
    put_file("y/same", "abc");
    put_file("x/other", "abc");
    put_file("y/other", "abd");
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        cr_assert_eq(utimensat(scratch_fd, files[i], times, 0), 0);
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("x"), NULL}, &from, &err), 0);
    cr_assert_eq(box_layer_fds_open((char *const[]){(char *)path_of("y"), NULL}, &to, &err), 0);
    cr_assert_eq(box_pack_diff(from.fds, from.n, to.fds, to.n, &how, &err), 0);
    _free_ char *entries = entries_of(&tar);
    cr_assert_str_eq(entries, "./ other");
}

Test(pack, holes_are_zeros_and_take_no_reading)
{
    _buffer_ struct box_buffer tar = {0};
    struct box_pack how = {.tar = {.sink = gather, .context = &tar}};

    put_dir("sparse");
    put_file("sparse/f", "x");
    cr_assert_eq(truncate(path_of("sparse/f"), 3 << 20), 0);
    _close_ int fd = open_dir("sparse");
    cr_assert_eq(box_pack_layer(fd, &how, &err), 0);
    cr_assert_gt(tar.length, 3u << 20);
    cr_assert_lt(tar.length, (3u << 20) + 8192);
    how.tar.limit = 1 << 20;
    cr_assert_eq(box_pack_layer(fd, &how, &err), BOX_ELIMIT);
    cr_assert_str_eq(box_error_subject(err), "f");
}

/* ---- Compressing ---- */

static void deflate_all(enum box_archive_compression compression, int level, unsigned threads, const char *data, size_t length,
                        size_t piece, struct box_buffer *out)
{
    _cleanup_(box_deflate) struct box_deflate *deflate = NULL;

    cr_assert_eq(box_deflate_new(compression, level, threads, gather, out, &deflate, &err), 0, "%s", box_error_message(err));
    for (size_t at = 0; at < length; at += piece)
        cr_assert_eq(box_deflate_sink(data + at, piece < length - at ? piece : length - at, deflate, &err), 0);
    cr_assert_eq(box_deflate_finish(deflate, &err), 0, "%s", box_error_message(err));
}

static void inflates_to(const struct box_buffer *packed, const char *data, size_t length)
{
    _buffer_ struct box_buffer plain = {0};
    int fd = memfd_create("packed", MFD_CLOEXEC);
    size_t n = 1;

    cr_assert_eq(box_write_all(fd, packed->data, packed->length), 0);
    struct box_source *source = box_source_inflate(box_source_range(fd, 0, packed->length, &err), &err);
    cr_assert_not_null(source, "%s", box_error_message(err));
    while (n > 0) {
        const void *piece;
        cr_assert_eq(box_source_read(source, &piece, &n, &err), 0, "%s", box_error_message(err));
        box_buffer_append(&plain, piece, n);
    }
    cr_assert_eq(plain.length, length);
    cr_assert(length == 0 || memcmp(plain.data, data, length) == 0);
    box_source_free(source);
    close(fd);
}

Test(pack, the_same_bytes_compress_to_the_same_however_it_is_done)
{
    static const struct {
        enum box_archive_compression compression;
        int level;
    } ways[] = {{BOX_ARCHIVE_GZIP, 0}, {BOX_ARCHIVE_GZIP, 1}, {BOX_ARCHIVE_GZIP, 6}, {BOX_ARCHIVE_ZSTD, 0}};
    const size_t length = (3u << 20) + 12345;
    char *data = malloc(length);
    uint32_t x = 1;

    for (size_t i = 0; i < length; i++) { /* neither all the same nor all noise */
        x = x * 1664525 + 1013904223;
        data[i] = (char)(i & 0x1000 ? x >> 24 : (x >> 24) & 3);
    }
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        _buffer_ struct box_buffer one = {0}, many = {0};
        deflate_all(ways[i].compression, ways[i].level, 1, data, length, length, &one);
        deflate_all(ways[i].compression, ways[i].level, 5, data, length, 70001, &many);
        cr_assert_eq(one.length, many.length, "way %zu", i);
        cr_assert_eq(memcmp(one.data, many.data, one.length), 0, "way %zu", i);
        cr_assert_lt(one.length, length);
        inflates_to(&one, data, length);
    }
    free(data);
}

Test(pack, nothing_and_a_whole_block_compress_as_well)
{
    char *zeros = calloc(1, 1 << 20);

    for (int compression = BOX_ARCHIVE_GZIP; compression <= BOX_ARCHIVE_ZSTD; compression++)
        for (size_t length = 0; length <= 1 << 20; length += 512 << 10) {
            _buffer_ struct box_buffer packed = {0};
            deflate_all((enum box_archive_compression)compression, 0, 2, zeros, length, 4096, &packed);
            inflates_to(&packed, zeros, length);
        }
    free(zeros);
    struct box_deflate *none = NULL;
    cr_assert_eq(box_deflate_new(BOX_ARCHIVE_GZIP, 10, 1, gather, NULL, &none, &err), BOX_EINVAL);
}

/* ---- Saving ---- */

static int saves(const char *name, const char *file, enum box_archive_format format, bool rebuild)
{
    const char *const names[] = {name, NULL};
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;

    options.format = format;
    options.rebuild = rebuild;
    box_error_free(err);
    err = NULL;
    return box_image_save(store, names, path_of(file), &options, &err);
}

Test(pack, an_image_comes_back_with_the_same_manifest)
{
    box_image *image = NULL;
    char digest[BOX_DIGEST_TEXT];

    put_image("img", "one:1", "");
    loads("img");
    cr_assert_eq(box_image_open(store, "one:1", &image, &err), 0);
    snprintf(digest, sizeof(digest), "%s", box_image_digest(image));
    box_image_free(image);
    for (int format = BOX_ARCHIVE_DOCKER; format <= BOX_ARCHIVE_OCI_DIR; format++) {
        if (format == BOX_ARCHIVE_DOCKER_OLD)
            continue;
        char file[16];
        snprintf(file, sizeof(file), "out%d", format);
        cr_assert_eq(saves("one:1", file, (enum box_archive_format)format, false), 0, "%s", box_error_message(err));
        cr_assert_eq(box_image_remove(store, "one:1", 0, NULL, NULL, &err), 0);
        loads(file);
        cr_assert_eq(box_image_open(store, "one:1", &image, &err), 0, "%s", box_error_message(err));
        cr_assert_str_eq(box_image_digest(image), digest);
        box_image_free(image);
    }
}

Test(pack, what_is_not_kept_and_cannot_be_made_again_is_not_saved_as_something_else)
{
    box_image *image = NULL;
    char id[BOX_DIGEST_TEXT];

    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0);
    put_image("img", "one:1", ""); /* its tar is another program's */
    loads("img");
    cr_assert_eq(saves("one:1", "out", BOX_ARCHIVE_DOCKER, false), BOX_EUNSUPPORTED);
    cr_assert_not_null(strstr(box_error_stage(err), "layer sha256:"));
    cr_assert(!is_there("out"), "nothing is left of it");
    cr_assert_eq(box_image_open(store, "one:1", &image, NULL), 0);
    snprintf(id, sizeof(id), "%s", box_image_id(image));
    box_image_free(image);
    cr_assert_eq(saves("one:1", "out", BOX_ARCHIVE_DOCKER, true), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "one:1", 0, NULL, NULL, NULL), 0);
    loads("out");
    cr_assert_eq(box_image_open(store, "one:1", &image, NULL), 0);
    cr_assert_str_neq(box_image_id(image), id);
    box_image_free(image);
    cr_assert_eq(saves("one:1", "again", BOX_ARCHIVE_OCI, false), 0, "what libbox packed it packs again: %s",
                 box_error_message(err));
}

Test(pack, a_damaged_blob_gets_into_no_archive)
{
    box_image *image = NULL;
    _buffer_ struct box_buffer path = {0};
    struct stat st;

    put_image("img", "one:1", "");
    loads("img");
    cr_assert_eq(box_image_open(store, "one:1", &image, &err), 0);
    const char *digest = strstr(box_image_manifest_json(image, NULL), "\"layers\"");
    digest = digest ? strstr(digest, "sha256:") : NULL;
    cr_assert_not_null(digest);
    box_buffer_printf(&path, "%.64s", digest + strlen("sha256:"));
    box_image_free(image);
    int fd = openat(store->blobsfd, path.data, O_RDWR | O_CLOEXEC);
    if (fd < 0) { /* one that is not compressed is kept in another form */
        box_buffer_puts(&path, ".zst");
        fd = openat(store->blobsfd, path.data, O_RDWR | O_CLOEXEC);
    }
    cr_assert_geq(fd, 0, "%s", path.data);
    cr_assert_eq(fstat(fd, &st), 0);
    char byte;
    cr_assert_eq(pread(fd, &byte, 1, st.st_size / 2), 1);
    byte ^= 1;
    cr_assert_eq(pwrite(fd, &byte, 1, st.st_size / 2), 1);
    close(fd);
    for (int format = BOX_ARCHIVE_DOCKER; format <= BOX_ARCHIVE_OCI_DIR; format++) {
        cr_expect_eq(saves("one:1", "out", (enum box_archive_format)format, false), BOX_ECORRUPT, "format %d", format);
        cr_expect(format == BOX_ARCHIVE_OCI_DIR || !is_there("out"));
    }
    cr_expect(!is_there("out/index.json"));
}

static int no_more(const box_image_progress *progress, void *data)
{
    (void)progress;
    return ++*(int *)data > 1;
}

Test(pack, saving_is_cancelled_and_ends_in_time)
{
    const char *const names[] = {"one:1", NULL};
    box_archive_options options = BOX_ARCHIVE_OPTIONS_INIT;
    int ends[2], calls = 0;

    put_image("img", "one:1", "");
    loads("img");
    cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    options.timeout_ms = 50;
    cr_assert_eq(box_image_save_fd(store, names, ends[1], &options, &err), BOX_ETIMEOUT, "nobody reads");
    options.timeout_ms = -1;
    options.progress = no_more;
    options.progress_data = &calls;
    cr_assert_eq(box_image_save(store, names, path_of("out"), &options, &err), BOX_ECANCELLED);
    options.progress = NULL;
    options.cancel_fd = ends[0];
    cr_assert_eq(box_image_save(store, names, path_of("out"), &options, &err), BOX_ECANCELLED);
    cr_assert(!is_there("out"));
    close(ends[0]);
    options.cancel_fd = -1;
    cr_assert_eq(box_image_save_fd(store, names, ends[1], &options, &err), BOX_ESYSTEM, "no reader, no signal");
    close(ends[1]);
    options.version = 2;
    cr_assert_eq(box_image_save(store, names, path_of("out"), &options, &err), BOX_EINVAL);
}
