/* Streams: ranges, digests, reading ahead, decompression. */
#include "../base/scratch.h"

#include "base/file.h"
#include "image/libarchive.h"
#include "image/source.h"
#include "image/source_inflate.h"

static box_error *err;
static char *content; /* 5 MiB that compress somewhat */
#define SIZE (5u << 20)

static void make(void)
{
    uint32_t x = 1;

    scratch_make();
    content = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1664525u + 1013904223u;
        content[i] = (char)((x >> 24) & (i / 4096 % 2 ? 0x3f : 0x01));
    }
    int fd = openat(scratch_fd, "plain", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_eq(box_write_all(fd, content, SIZE), 0);
    close(fd);
}

static void clean(void)
{
    free(content);
    box_error_free(err);
    scratch_remove();
}

TestSuite(source, .init = make, .fini = clean);

/* Reads all of it, and holds it against the content. */
static void gives_content(struct box_source *source)
{
    const void *data;
    size_t length, at = 0;
    int r;

    while ((r = box_source_read(source, &data, &length, &err)) == 0 && length > 0) {
        cr_assert_leq(at + length, SIZE);
        cr_assert_eq(memcmp(content + at, data, length), 0, "at %zu", at);
        at += length;
    }
    cr_assert_eq(r, 0, "%s", box_error_message(err));
    cr_assert_eq(at, SIZE);
    cr_assert_eq(box_source_read(source, &data, &length, &err), 0, "the end stays the end");
    cr_assert_eq(length, 0u);
}

static int open_file(const char *name)
{
    int fd = openat(scratch_fd, name, O_RDONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    return fd;
}

static struct box_source *range_of(int fd)
{
    struct stat st;

    cr_assert_eq(fstat(fd, &st), 0);
    return box_source_range(fd, 0, (uint64_t)st.st_size, &err);
}

Test(source, a_range_is_that_part_of_the_file)
{
    _close_ int fd = open_file("plain");
    _cleanup_(box_source) struct box_source *s = box_source_range(fd, 1000, 10, &err);
    const void *data;
    size_t length;

    cr_assert_eq(box_source_read(s, &data, &length, &err), 0);
    cr_assert_eq(length, 10u);
    cr_assert_eq(memcmp(data, content + 1000, 10), 0);
    cr_assert_eq(box_source_read(s, &data, &length, &err), 0);
    cr_assert_eq(length, 0u);
}

Test(source, a_range_past_the_end_of_the_file_is_an_error)
{
    _close_ int fd = open_file("plain");
    _cleanup_(box_source) struct box_source *s = box_source_range(fd, SIZE - 5, 10, &err);
    const void *data;
    size_t length;

    cr_assert_eq(box_source_read(s, &data, &length, &err), 0);
    cr_assert_eq(box_source_read(s, &data, &length, &err), BOX_EPARSE);
    cr_assert_not_null(strstr(box_error_message(err), "5 bytes are missing"), "%s", box_error_message(err));
}

Test(source, a_digest_is_of_all_that_passed_and_of_what_was_left)
{
    _close_ int fd = open_file("plain");
    _cleanup_(box_source) struct box_source *s = box_source_digest(range_of(fd), &err);
    struct box_digest found, expected;
    const void *data;
    uint64_t size;
    size_t length;

    cr_assert_eq(box_source_read(s, &data, &length, &err), 0);
    cr_assert_eq(box_source_digest_finish(s, &found, &size, &err), 0);
    cr_assert_eq(box_digest_data(BOX_SHA256, content, SIZE, &expected, &err), 0);
    cr_assert(box_digest_equal(&found, &expected));
    cr_assert_eq(size, SIZE);
}

Test(source, reading_ahead_changes_nothing)
{
    _close_ int fd = open_file("plain");
    _cleanup_(box_source) struct box_source *s = box_source_ahead(range_of(fd), &err);

    gives_content(s);
}

Test(source, a_stream_read_ahead_may_be_left_at_any_point)
{
    _close_ int fd = open_file("plain");

    for (int pieces = 0; pieces < 6; pieces++) {
        _cleanup_(box_source) struct box_source *s = box_source_ahead(range_of(fd), &err);
        const void *data;
        size_t length;
        for (int i = 0; i < pieces; i++)
            cr_assert_eq(box_source_read(s, &data, &length, &err), 0);
    }
}

Test(source, an_error_comes_through_reading_ahead_after_what_was_good)
{
    _close_ int fd = open_file("plain");
    _cleanup_(box_source) struct box_source *s =
        box_source_ahead(box_source_range(fd, SIZE - 300000, 400000, &err), &err);
    size_t length, total = 0;
    const void *data;
    int r;

    while ((r = box_source_read(s, &data, &length, &err)) == 0 && length > 0)
        total += length;
    cr_assert_eq(r, BOX_EPARSE);
    cr_assert_eq(total, 300000u);
    cr_assert_not_null(strstr(box_error_message(err), "cut short"));
}

static bool pack(const char *command)
{
    char text[256];

    snprintf(text, sizeof(text), "%s <%s/plain >%s/packed 2>/dev/null", command, scratch, scratch);
    return system(text) == 0;
}

Test(source, each_compression_gives_the_content_back)
{
    static const char *const commands[] = {"cat",
                                           "gzip -1",
                                           "gzip -9",
                                           "zstd -q -c",
                                           "xz -0 -c",
                                           "bzip2 -1 -c",
                                           "sh -c '(dd bs=4096 count=100 2>/dev/null | gzip -1; gzip -1)'"};

    for (size_t i = 0; i < BOX_ARRAY(commands); i++) {
        if (!pack(commands[i]))
            continue;
        _close_ int fd = open_file("packed");
        _cleanup_(box_source) struct box_source *s = box_source_inflate(range_of(fd), &err);
        cr_assert_not_null(s, "%s: %s", commands[i], box_error_message(err));
        gives_content(s);
    }
}

/* gzip by ISA-L where it is installed, or by libarchive. */
static struct box_source *gunzip(int fd, uint64_t size, bool isal)
{
    struct box_source *range = box_source_range(fd, 0, size, &err);

    return isal ? box_source_inflate(range, &err) : box_source_filter(range, BOX_GZIP, &err);
}

Test(source, gzip_is_the_same_with_and_without_isal)
{
    struct stat st;

    cr_assert(pack("sh -c '(dd bs=4096 count=100 2>/dev/null | gzip -1; gzip -1)'"));
    _close_ int fd = open_file("packed");
    cr_assert_eq(fstat(fd, &st), 0);
    for (int isal = 0; isal < 2; isal++) {
        _cleanup_(box_source) struct box_source *s = gunzip(fd, (uint64_t)st.st_size, isal);
        gives_content(s);
    }
}

Test(source, gzip_cut_short_anywhere_is_an_error_with_and_without_isal)
{
    struct stat st;

    cr_assert(pack("gzip -1"));
    _close_ int fd = open_file("packed");
    cr_assert_eq(fstat(fd, &st), 0);
    for (off_t cut = 1; cut < 2 * st.st_size; cut += cut < 30 ? 1 : st.st_size / 19) {
        off_t size = cut < st.st_size ? st.st_size - cut : st.st_size - cut / 2;
        struct box_source *s = gunzip(fd, (uint64_t)size, cut < st.st_size);
        const void *data;
        size_t length = 1;
        int r = 0;
        while (s && r == 0 && length > 0)
            r = box_source_read(s, &data, &length, NULL);
        cr_assert(!s || r < 0, "%ld bytes less were not missed", (long)(st.st_size - size));
        box_source_free(s);
        box_error_free(err);
        err = NULL;
    }
}

Test(source, gzip_whose_content_was_changed_is_an_error)
{
    if (!box_isal_usable())
        cr_skip_test("only ISA-L checks the sum");
    char *packed = NULL;
    size_t size = 0;
    cr_assert(pack("gzip -1"));
    cr_assert_eq(box_file_read(scratch_fd, "packed", SIZE, &packed, &size, NULL), 0);
    packed[size - 6] ^= 1; /* in the sum itself */
    int out = openat(scratch_fd, "packed", O_WRONLY | O_CLOEXEC);
    cr_assert_eq(box_write_all(out, packed, size), 0);
    close(out);
    free(packed);
    _close_ int fd = open_file("packed");
    _cleanup_(box_source) struct box_source *s = box_source_inflate(range_of(fd), &err);
    const void *data;
    size_t length = 1;
    int r = 0;
    while (r == 0 && length > 0)
        r = box_source_read(s, &data, &length, &err);
    cr_assert_eq(r, BOX_EPARSE);
}

Test(source, what_follows_the_last_member_of_gzip_is_passed_over)
{
    cr_assert(pack("sh -c '(gzip -1; echo; echo garbage; printf \"\\037\\213\\010 more\")'"));
    _close_ int fd = open_file("packed");
    _cleanup_(box_source) struct box_source *s = box_source_inflate(range_of(fd), &err);
    gives_content(s);
}

Test(source, compressions_are_known_by_their_first_bytes)
{
    cr_assert_eq(box_compression_of("\x1f\x8b\x08", 3), BOX_GZIP);
    cr_assert_eq(box_compression_of("\x1f\x8b", 2), BOX_PLAIN);
    cr_assert_eq(box_compression_of("\x28\xb5\x2f\xfd", 4), BOX_ZSTD);
    cr_assert_eq(box_compression_of("\xfd"
                                    "7zXZ\0",
                                    6),
                 BOX_XZ);
    cr_assert_eq(box_compression_of("BZh9", 4), BOX_BZIP2);
    cr_assert_eq(box_compression_of("", 0), BOX_PLAIN);
}
