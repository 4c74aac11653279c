/* Layers' blobs: kept as they came, read back byte for byte, collected, verified, and those on their way here. */
#include "image/source.h"

#include "images.h"

#include "image/store_collect.h"
#include "image/zstd.h"

TestSuite(blobs, .init = store_init, .fini = store_fini);

static struct box_digest parsed(const char *text)
{
    struct box_digest digest;

    cr_assert_eq(box_digest_parse(text, &digest, NULL), 0);
    return digest;
}

static struct box_digest digest_from(const void *data, size_t length)
{
    return parsed(digest_of(data, length));
}

/* What the store has of a blob is exactly this. */
static void kept(const struct box_digest *digest, const void *data, size_t length)
{
    uint64_t size = 0;
    _cleanup_(box_source) box_source *source = box_store_blob_source(store, digest, &size, &err);
    const char *piece;
    size_t n, at = 0;

    cr_assert_not_null(source, "%s", box_error_message(err));
    cr_assert_eq(size, length);
    while (box_source_read(source, (const void **)&piece, &n, &err) == 0 && n > 0) {
        cr_assert_leq(at + n, length);
        cr_assert_eq(memcmp(piece, (const char *)data + at, n), 0);
        at += n;
    }
    cr_assert_null(err, "%s", box_error_message(err));
    cr_assert_eq(at, length);
    cr_assert_eq(box_source_read(source, (const void **)&piece, &n, &err), 0, "the end stays the end");
    cr_assert_eq(n, 0u);
    cr_assert_eq(box_store_find_blob(store, digest, &size, &err), 1);
    cr_assert_eq(size, length);
}

static void not_kept(const struct box_digest *digest)
{
    _cleanup_(box_error) box_error *e = NULL;

    cr_assert_eq(box_store_find_blob(store, digest, NULL, &e), 0);
    cr_assert_null(box_store_blob_source(store, digest, NULL, &e));
    cr_assert_eq(box_error_code(e), BOX_ENOTFOUND);
    cr_assert_not_null(strstr(box_error_remedy(e), "blobs"));
}

static struct tarball large_tar(void)
{
    static char data[300000];
    struct tarball tar = {0};

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i / 1000);
    tarball_put(&tar, &(struct tarball_member){.name = "large", .data = data, .size = sizeof(data)});
    tarball_end(&tar);
    return tar;
}

/* An image of one layer, compressed by a command ("cat": not at all); what its blob is. */
static char *put_packed(const char *dir, const char *command, size_t *length)
{
    struct tarball tar = large_tar();
    struct layout l;
    char text[256], *blob = NULL;

    put_bytes("plain", tar.data, tar.length);
    snprintf(text, sizeof(text), "%s <%s/plain >%s/packed", command, scratch, scratch);
    cr_assert_eq(system(text), 0);
    cr_assert_eq(box_file_read(scratch_fd, "packed", 1u << 20, &blob, length, NULL), 0);
    layout_begin(&l, dir);
    layout_layer_as(&l, "application/vnd.oci.image.layer.v1.tar", blob, *length, &tar);
    layout_image(&l, dir, "");
    layout_end(&l);
    tarball_free(&tar);
    return blob;
}

static void loads_and_keeps(const char *command)
{
    size_t length;
    char *blob = put_packed("a", command, &length);
    struct box_digest digest = digest_from(blob, length);

    loads("a");
    kept(&digest, blob, length);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u, "it has its lasting name");
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "a", 0, NULL, NULL, &err), 0);
    not_kept(&digest);
    cr_assert_eq(blobs_there(), 0u);
    free(blob);
}

Test(blobs, a_compressed_layer_is_kept_as_it_came)
{
    loads_and_keeps("gzip");
}

Test(blobs, a_layer_that_is_not_compressed_is_kept_and_takes_little_room)
{
    size_t length;
    char *blob = put_packed("a", "cat", &length);
    struct box_digest digest = digest_from(blob, length);
    char path[200], hex[BOX_DIGEST_TEXT];
    struct stat st;

    loads("a");
    kept(&digest, blob, length);
    if (box_zstd(NULL)) {
        snprintf(path, sizeof(path), "%s/blobs/sha256/%s.zst", root, box_digest_hex(&digest, hex));
        cr_assert_eq(stat(path, &st), 0);
        cr_assert_lt(st.st_size, (off_t)length / 10);
    }
    free(blob);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "a", 0, NULL, NULL, &err), 0);
    not_kept(&digest);
    cr_assert_eq(blobs_there(), 0u);
}

Test(blobs, what_is_kept_as_zstd_can_be_read_by_other_tools)
{
    size_t length;
    char *blob = put_packed("a", "cat", &length), command[300];

    if (!box_zstd(NULL) || system("zstd --version >/dev/null 2>&1") != 0)
        cr_skip_test("no zstd here");
    loads("a");
    snprintf(command, sizeof(command), "zstd -dc %s/blobs/sha256/*.zst | cmp - %s/plain", root, scratch);
    cr_assert_eq(system(command), 0);
    free(blob);
}

Test(blobs, an_imported_root_has_the_blob_that_its_manifest_names)
{
    struct tarball tar = large_tar();
    struct box_digest digest = digest_from(tar.data, tar.length);
    char command[300];

    put_bytes("root.tar", tar.data, tar.length);
    cr_assert_eq(box_image_import(store, path_of("root.tar"), NULL, NULL, &err), 0, "%s", box_error_message(err));
    kept(&digest, tar.data, tar.length);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    kept(&digest, tar.data, tar.length);

    /* The same, compressed where it comes from. */
    snprintf(command, sizeof(command), "gzip <%s/root.tar >%s/root.tar.gz", scratch, scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    not_kept(&digest);
    cr_assert_eq(box_store_set(store, "blobs", NULL, &err), 0);
    cr_assert_eq(box_image_import(store, path_of("root.tar.gz"), NULL, NULL, &err), 0, "%s", box_error_message(err));
    kept(&digest, tar.data, tar.length);
    tarball_free(&tar);
}

Test(blobs, a_store_may_be_set_to_drop_them)
{
    size_t length;
    char *blob = put_packed("a", "gzip", &length);
    struct box_digest digest = digest_from(blob, length);

    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0, "%s", box_error_message(err));
    loads("a");
    not_kept(&digest);
    cr_assert_eq(box_store_set(store, "blobs", "keep", &err), 0);
    loads("a"); /* the layer is there, the blob comes back */
    kept(&digest, blob, length);
    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0, "%s", box_error_message(err));
    not_kept(&digest);
    cr_assert(image_is_there("a"));
    free(blob);
}

static char found[2000];

static void note_damage(const char *what, const char *why, void *data)
{
    (void)why;
    (void)data;
    snprintf(found + strlen(found), sizeof(found) - strlen(found), "%s ", what);
}

static void damage_is_found(const char *command, const char *suffix)
{
    size_t length, n;
    char *blob = put_packed("a", command, &length);
    struct box_digest digest = digest_from(blob, length);
    char path[200], hex[BOX_DIGEST_TEXT];
    const void *data;
    int r;

    loads("a");
    snprintf(path, sizeof(path), "root/blobs/sha256/%s%s", box_digest_hex(&digest, hex), suffix);
    int fd = openat(scratch_fd, path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "X", 1, 40), 1);
    close(fd);
    box_source *source = box_store_blob_source(store, &digest, NULL, &err);
    cr_assert_not_null(source);
    while ((r = box_source_read(source, &data, &n, &err)) == 0 && n > 0)
        ;
    cr_assert_eq(r, BOX_ECORRUPT, "%s", box_error_message(err));
    cr_assert_not_null(strstr(box_error_message(err), hex));
    box_source_free(source);
    cr_assert_eq(box_store_verify(store, note_damage, NULL, NULL), BOX_ECORRUPT);
    cr_assert_not_null(strstr(found, hex), "%s", found);
    free(blob);
}

Test(blobs, a_damaged_one_is_told_in_place_of_its_end)
{
    damage_is_found("gzip", "");
}

Test(blobs, a_damaged_one_that_was_not_compressed_is_told_too)
{
    if (!box_zstd(NULL))
        cr_skip_test("no zstd here");
    damage_is_found("cat", ".zst");
}

Test(blobs, loading_again_brings_a_lost_one_back)
{
    size_t length;
    char *blob = put_packed("a", "gzip", &length);
    struct box_digest digest = digest_from(blob, length);

    loads("a");
    box_store_discard_blob(store, &digest);
    not_kept(&digest);
    loads("a");
    kept(&digest, blob, length);
    free(blob);
}

/* ---- On their way ---- */

static struct box_digest put_partial(const char *content, size_t shown)
{
    struct box_digest digest = digest_from(content, strlen(content));
    int fd = box_store_open_partial(store, &digest, &err);

    cr_assert_geq(fd, 0, "%s", box_error_message(err));
    cr_assert_eq(box_write_all(fd, content, shown), 0);
    close(fd);
    return digest;
}

static void name_partial(const struct box_digest *digest, const char *suffix, char path[300])
{
    char hex[BOX_DIGEST_TEXT];

    snprintf(path, 300, "root/blobs/partial/%s%s", box_digest_hex(digest, hex), suffix);
}

Test(blobs, a_partial_one_is_not_there_until_it_is_finished)
{
    struct box_digest digest = put_partial("whole", 3);
    struct box_store_work work = BOX_STORE_WORK_NONE;

    not_kept(&digest);
    put_partial("whole", 5);
    cr_assert_eq(box_store_work_begin(store, &work, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "blob", &digest, &err), 0);
    cr_assert_eq(box_store_finish_partial(store, &digest, &err), 0);
    kept(&digest, "whole", 5);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    kept(&digest, "whole", 5);
    cr_assert_eq(box_store_settle(store, NULL, 0, &digest, 1, &err), 0, "%s", box_error_message(err));
    kept(&digest, "whole", 5);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
    cr_assert_eq(blobs_there(), 1u);
    box_store_work_end(&work);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    not_kept(&digest);
}

Test(blobs, one_that_was_not_synced_before_the_machine_went_down_is_not_believed)
{
    struct box_digest digest = put_partial("whole", 5);
    struct box_store_work work = BOX_STORE_WORK_NONE;

    cr_assert_eq(box_store_finish_partial(store, &digest, &err), 0);
    store->boot[0] ^= 1;
    not_kept(&digest);
    cr_assert_eq(box_store_work_begin(store, &work, &err), 0);
    cr_assert_eq(box_store_work_need(&work, "blob", &digest, &err), 0);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    box_store_work_end(&work);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
}

Test(blobs, partial_ones_wait_for_the_next_pull_but_not_for_ever)
{
    struct box_digest young = put_partial("young", 3), old = put_partial("old one", 3);
    const struct timespec times[2] = {{1000000, 0}, {1000000, 0}};
    char path[300];

    name_partial(&old, "", path);
    cr_assert_eq(utimensat(scratch_fd, path, times, 0), 0);
    cr_assert_eq(box_store_collect_with(store, BOX_COLLECT_KEEP_PARTIAL, NULL, &err), 0);
    cr_assert(!is_there(path));
    name_partial(&young, "", path);
    cr_assert(is_there(path));
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    cr_assert(!is_there(path));
}

Test(blobs, one_that_somebody_is_fetching_is_left_alone)
{
    struct box_digest digest = put_partial("young", 3);
    char path[300];
    int lock = box_store_lock_blob(store, &digest, BOX_NEVER, &err);

    cr_assert_geq(lock, 0);
    name_partial(&digest, "", path);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    cr_assert(is_there(path));
    _cleanup_(box_error) box_error *e = NULL;
    cr_assert_eq(box_store_lock_blob(store, &digest, box_deadline_in_ms(1), &e), BOX_EBUSY);
    box_store_unlock_blob(store, &digest, lock);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    cr_assert_eq(entries_in(path_of("root/blobs/partial")), 0u);
}

/* ---- Settings ---- */

Test(blobs, settings_last_and_unknown_ones_are_refused)
{
    _cleanup_(box_error) box_error *e = NULL;
    box_store *other = NULL;
    char *value = NULL;

    cr_assert_eq(box_store_get(store, "blobs", &value, &err), 0);
    cr_assert_str_eq(value, "keep");
    free(value);
    put_file("root/settings.json", "{\"later\":[1]}");
    cr_assert_eq(box_store_set(store, "blobs", "drop", &err), 0, "%s", box_error_message(err));
    cr_assert_not_null(strstr(content_of("root/settings.json"), "later"), "what is not known stays");
    cr_assert_eq(box_store_open(root, runroot, 0, &other, &err), 0);
    cr_assert_eq(box_store_get(other, "blobs", &value, &err), 0);
    cr_assert_str_eq(value, "drop");
    free(value);
    box_store_free(other);
    cr_assert_eq(box_store_set(store, "blobs", NULL, &err), 0);
    cr_assert_eq(box_store_get(store, "blobs", &value, &err), 0);
    cr_assert_str_eq(value, "keep");
    free(value);
    cr_assert_eq(box_store_set(store, "blobs", "maybe", &e), BOX_EINVAL);
    cr_assert_not_null(strstr(box_error_message(e), "keep, drop"), "%s", box_error_message(e));
    box_error_free(e);
    e = NULL;
    cr_assert_eq(box_store_set(store, "blob", "keep", &e), BOX_EINVAL);
    cr_assert_not_null(strstr(box_error_remedy(e), "blobs"));
    box_error_free(e);
    e = NULL;
    put_file("root/settings.json", "{\"blobs\":");
    cr_assert_eq(box_store_get(store, "blobs", &value, &e), BOX_ECORRUPT);
    cr_assert(box_store_keeps_blobs(store), "damage means the default");
}
