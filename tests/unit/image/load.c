/* Loading: layouts, archives of both kinds, compressions, what is shared and what becomes visible. */
#include "images.h"

#include <pthread.h>

#include "base/strings.h"

TestSuite(load, .init = store_init, .fini = store_fini);

static char *file_in_layer(const box_image *image, size_t from_top, const char *name)
{
    char **dirs = NULL, *text = NULL, path[300];

    cr_assert_eq(box_image_layer_dirs(image, &dirs, NULL), 0);
    snprintf(path, sizeof(path), "%s/%s", dirs[from_top], name);
    cr_assert_eq(box_file_read(AT_FDCWD, path, 1000, &text, NULL, &err), 0, "%s", box_error_message(err));
    box_strings_free(dirs);
    return text;
}

Test(load, a_layout_becomes_an_image_with_its_layers_topmost_first)
{
    _cleanup_(box_error) box_error *none = NULL;
    box_image_list *list = NULL;

    put_image("a", "app:1", "\"Cmd\":[\"x\"]");
    cr_assert_eq(box_image_load(store, path_of("a"), NULL, &list, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_list_count(list), 1u);
    const box_image *image = box_image_list_get(list, 0);
    cr_assert_str_eq(box_image_names(image)[0], "docker.io/library/app:1");
    cr_assert_eq(box_image_layer_count(image), 2u);
    cr_assert_eq(box_image_size(image), 6u);
    char *upper = file_in_layer(image, 0, "upper"), *lower = file_in_layer(image, 1, "lower");
    cr_assert_str_eq(upper, "app:1");
    cr_assert_str_eq(lower, "1");
    free(upper);
    free(lower);
    box_image_list_free(list);
    cr_assert(image_is_there("app:1"));
    cr_assert_eq(box_store_verify(store, NULL, NULL, &none), 0, "%s", box_error_message(none));
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
}

/* Packs a layout into a tar beside it, with names as other tools write them. */
static void pack(const char *dir, const char *file, const char *tar_args)
{
    char command[512];

    snprintf(command, sizeof(command), "cd %s/%s && tar %s -cf %s/%s .", scratch, dir, tar_args, scratch,
             file);
    cr_assert_eq(system(command), 0);
}

Test(load, a_tar_of_a_layout_is_read_where_it_lies)
{
    put_image("a", "app:1", "");
    pack("a", "a.tar", "--format=ustar");
    pack("a", "b.tar", "--format=pax");
    pack("a", "c.tar", "--format=gnu");
    for (const char *const *name = (const char *const[]){"a.tar", "b.tar", "c.tar", NULL}; *name; name++) {
        loads(*name);
        cr_assert(image_is_there("app:1"));
        cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, &err), 0, "%s", box_error_message(err));
        cr_assert_eq(layers_there(), 0u);
    }
}

Test(load, a_compressed_tar_and_a_pipe_are_spooled)
{
    char command[256];

    put_image("a", "app:1", "");
    pack("a", "a.tar.gz", "-z");
    loads("a.tar.gz");
    cr_assert(image_is_there("app:1"));
    cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, &err), 0);

    pack("a", "a.tar", "");
    snprintf(command, sizeof(command), "cat %s", path_of("a.tar"));
    FILE *pipe = popen(command, "r");
    cr_assert_eq(box_image_load_fd(store, fileno(pipe), NULL, NULL, &err), 0, "%s", box_error_message(err));
    pclose(pipe);
    cr_assert(image_is_there("app:1"));
    cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
}

static void put_compressed(const char *dir, const char *media_type, const char *command)
{
    struct tarball tar = small_tar("f", "content");
    struct layout l;
    char text[256], *blob = NULL;
    size_t length = 0;

    put_bytes("plain", tar.data, tar.length);
    snprintf(text, sizeof(text), "%s <%s/plain >%s/packed", command, scratch, scratch);
    if (system(text) != 0)
        cr_skip_test("%s is not installed", command);
    cr_assert_eq(box_file_read(scratch_fd, "packed", 100000, &blob, &length, NULL), 0);
    layout_begin(&l, dir);
    layout_layer_as(&l, media_type, blob, length, &tar);
    layout_image(&l, dir, "");
    layout_end(&l);
    tarball_free(&tar);
    free(blob);
}

Test(load, layers_may_be_gzip)
{
    put_compressed("gz", "application/vnd.oci.image.layer.v1.tar+gzip", "gzip");
    loads("gz");
    cr_assert(image_is_there("gz"));
}

Test(load, layers_may_be_several_gzip_members)
{
    put_compressed("members", "application/vnd.oci.image.layer.v1.tar+gzip",
                   "sh -c 'dd bs=512 count=1 2>/dev/null | gzip; gzip 2>/dev/null; true'");
    loads("members");
}

Test(load, layers_may_be_zstd)
{
    put_compressed("zst", "application/vnd.oci.image.layer.v1.tar+zstd", "zstd -q -c");
    loads("zst");
    cr_assert(image_is_there("zst"));
}

Test(load, layers_may_be_xz)
{
    put_compressed("xz", "application/vnd.oci.image.layer.v1.tar", "xz -c");
    loads("xz");
}

Test(load, a_media_type_that_lies_about_the_compression_does_no_harm)
{
    put_compressed("lie", "application/vnd.docker.image.rootfs.diff.tar.gzip", "cat");
    loads("lie");
    put_compressed("lie2", "application/vnd.oci.image.layer.v1.tar", "gzip");
    loads("lie2");
}

Test(load, a_gzip_layer_that_is_cut_short_or_damaged_is_an_error)
{
    struct tarball tar = small_tar("f", "content");
    char *blob = NULL, command[200];
    struct layout l;
    size_t length = 0;

    put_bytes("plain", tar.data, tar.length);
    snprintf(command, sizeof(command), "gzip -n <%s/plain >%s/packed", scratch, scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(box_file_read(scratch_fd, "packed", 100000, &blob, &length, NULL), 0);
    layout_begin(&l, "short");
    layout_layer_as(&l, "application/vnd.oci.image.layer.v1.tar+gzip", blob, length - 20, &tar);
    layout_image(&l, "short", "");
    layout_end(&l);
    load_fails("short", BOX_EPARSE, "gzip");
    blob[length / 2] ^= 0x55;
    layout_begin(&l, "damaged");
    layout_layer_as(&l, "application/vnd.oci.image.layer.v1.tar+gzip", blob, length, &tar);
    layout_image(&l, "damaged", "");
    layout_end(&l);
    cr_assert_lt(box_image_load(store, path_of("damaged"), NULL, NULL, NULL), 0);
    cr_assert_eq(layers_there(), 0u);
    tarball_free(&tar);
    free(blob);
}

Test(load, a_layer_that_two_images_share_is_unpacked_once)
{
    struct tarball shared = small_tar("shared", "s"), own = small_tar("own", "o");
    struct layout l;

    layout_begin(&l, "two");
    layout_layer(&l, &shared);
    layout_image(&l, "one:1", "");
    layout_layer(&l, &shared);
    layout_layer(&l, &own);
    layout_image(&l, "two:1", "");
    layout_end(&l);
    loads("two");
    cr_assert_eq(layers_there(), 2u);
    cr_assert(image_is_there("one:1") && image_is_there("two:1"));
    cr_assert_eq(box_image_remove(store, "two:1", 0, NULL, NULL, &err), 0);
    cr_assert_eq(layers_there(), 1u);
    cr_assert_eq(box_image_remove(store, "one:1", 0, NULL, NULL, &err), 0);
    cr_assert_eq(layers_there(), 0u);
    cr_assert_eq(blobs_there(), 0u);
    tarball_free(&shared);
    tarball_free(&own);
}

Test(load, loading_the_same_again_changes_nothing)
{
    put_image("a", "app:1", "");
    loads("a");
    unsigned layers = layers_there(), blobs = blobs_there();
    loads("a");
    cr_assert_eq(layers_there(), layers);
    cr_assert_eq(blobs_there(), blobs);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
}

Test(load, one_bad_image_keeps_all_of_an_archive_out)
{
    struct tarball good = small_tar("f", "good"), bad = small_tar("../f", "bad");
    struct layout l;

    layout_begin(&l, "two");
    layout_layer(&l, &good);
    layout_image(&l, "good:1", "");
    layout_layer(&l, &bad);
    layout_image(&l, "bad:1", "");
    layout_end(&l);
    load_fails("two", BOX_EESCAPE, "layer sha256:");
    cr_assert(!image_is_there("good:1"));
    tarball_free(&good);
    tarball_free(&bad);
}

Test(load, a_name_can_be_given_when_the_archive_has_one_image)
{
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;

    put_image("a", NULL, "");
    options.name = "host:5000/mine:2";
    cr_assert_eq(box_image_load(store, path_of("a"), &options, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert(image_is_there("host:5000/mine:2"));
}

Test(load, an_image_without_a_name_is_found_by_its_id)
{
    box_image_list *list = NULL;
    char digits[13];

    put_image("a", NULL, "");
    cr_assert_eq(box_image_load(store, path_of("a"), NULL, &list, &err), 0, "%s", box_error_message(err));
    const box_image *image = box_image_list_get(list, 0);
    cr_assert_null(box_image_names(image)[0]);
    snprintf(digits, sizeof(digits), "%.12s", box_image_id(image) + 7);
    cr_assert(image_is_there(digits));
    cr_assert(image_is_there(box_image_id(image)));
    box_image_list_free(list);
}

Test(load, a_name_that_is_none_is_left_out)
{
    put_image("a", "not a name!", "");
    loads("a");
    cr_assert_eq(blobs_there(), 4u);
}

/* ---- Directories that a layer does not list ---- */

static struct tarball tar_of(const struct tarball_member *members, size_t n)
{
    struct tarball tar = {0};

    for (size_t i = 0; i < n; i++)
        tarball_put(&tar, &members[i]);
    tarball_end(&tar);
    return tar;
}
#define TAR(...)                                         \
    tar_of((const struct tarball_member[]){__VA_ARGS__}, \
           sizeof((const struct tarball_member[]){__VA_ARGS__}) / sizeof(struct tarball_member))

static void mode_is(const char *name, const char *path, unsigned mode, uid_t uid, time_t mtime)
{
    box_image *image = NULL;
    char **dirs = NULL, whole[400];
    struct stat st;

    cr_assert_eq(box_image_open(store, name, &image, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_layer_dirs(image, &dirs, NULL), 0);
    snprintf(whole, sizeof(whole), "%s/%s", dirs[0], path);
    cr_assert_eq(lstat(whole, &st), 0, "%s", whole);
    cr_assert_eq(st.st_mode & 07777, mode, "%s has mode %o", path, st.st_mode);
    if (geteuid() == 0)
        cr_assert_eq(st.st_uid, uid, "%s has owner %u", path, st.st_uid);
    if (mtime)
        cr_assert_eq(st.st_mtim.tv_sec, mtime, "%s has time %ld", path, (long)st.st_mtim.tv_sec);
    box_strings_free(dirs);
    box_image_free(image);
}

Test(load, a_directory_that_a_layer_does_not_list_is_as_in_the_layers_below)
{
    struct tarball lowest = TAR({.name = "tmp", .type = '5', .mode = 01777, .mtime = 11},
                                {.name = "srv", .type = '5', .mode = 02775, .uid = 7, .mtime = 22},
                                {.name = "srv/deep", .type = '5', .mode = 0700, .uid = 8, .mtime = 33},
                                {.name = "listed", .type = '5', .mode = 0700},
                                {.name = "gone", .type = '5', .mode = 0700, .uid = 9});
    struct tarball middle = TAR({.name = "srv/deep/x", .data = "x", .size = 1}, {.name = ".wh.gone"});
    struct tarball upper =
        TAR({.name = "tmp/f", .data = "x", .size = 1}, {.name = "srv/deep/.wh.x"},
            {.name = "gone/f", .data = "x", .size = 1}, {.name = "new/f", .data = "x", .size = 1},
            {.name = "listed/f", .data = "x", .size = 1},
            {.name = "listed", .type = '5', .mode = 0711, .uid = 3});
    struct layout l;

    layout_begin(&l, "a");
    layout_layer(&l, &lowest);
    layout_layer(&l, &middle);
    layout_layer(&l, &upper);
    layout_image(&l, "app:1", "");
    layout_end(&l);
    loads("a");
    mode_is("app:1", "tmp", 01777, 0, 11);
    mode_is("app:1", "srv", 02775, 7, 22);
    mode_is("app:1", "srv/deep", 0700, 8, 33);
    mode_is("app:1", "gone", 0755, 0, 0);
    mode_is("app:1", "new", 0755, 0, 0);
    mode_is("app:1", "listed", 0711, 3, 0);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(layers_there(), 3u);
    loads("a");
    cr_assert_eq(layers_there(), 3u);
    cr_assert_eq(box_store_collect(store, NULL, &err), 0);
    cr_assert_eq(layers_there(), 3u);
    cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, &err), 0);
    cr_assert_eq(layers_there(), 0u);
    tarball_free(&lowest);
    tarball_free(&middle);
    tarball_free(&upper);
}

Test(load, a_layer_that_takes_something_over_is_unpacked_for_each_stack_that_it_lies_on)
{
    struct tarball one = TAR({.name = "d", .type = '5', .mode = 0700}),
                   two = TAR({.name = "d", .type = '5', .mode = 0711}),
                   upper = TAR({.name = "d/f", .data = "x", .size = 1});
    struct layout l;

    layout_begin(&l, "a");
    layout_layer(&l, &upper);
    layout_image(&l, "alone:1", "");
    layout_end(&l);
    loads("a");
    layout_begin(&l, "b");
    layout_layer(&l, &one);
    layout_layer(&l, &upper);
    layout_image(&l, "one:1", "");
    layout_layer(&l, &two);
    layout_layer(&l, &upper);
    layout_image(&l, "two:1", "");
    layout_end(&l);
    loads("b");
    mode_is("one:1", "d", 0700, 0, 0);
    mode_is("two:1", "d", 0711, 0, 0);
    mode_is("alone:1", "d", 0755, 0, 0);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_remove(store, "alone:1", 0, NULL, NULL, &err), 0);
    mode_is("two:1", "d", 0711, 0, 0);
    cr_assert_eq(box_image_remove(store, "two:1", 0, NULL, NULL, &err), 0);
    mode_is("one:1", "d", 0700, 0, 0);
    tarball_free(&one);
    tarball_free(&two);
    tarball_free(&upper);
}

/* ---- docker save ---- */

static void put_docker(const char *file, const char *names)
{
    struct tarball one = small_tar("one", "1"), two = small_tar("two", "2"), t = {0};
    char config[1000], manifest[500];

    snprintf(config, sizeof(config),
             "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"User\":\"me\"},\"rootfs\":{\"type\":"
             "\"layers\",\"diff_ids\":[\"%s\",\"%s\",\"%s\"]}}",
             digest_of(one.data, one.length), digest_of(two.data, two.length),
             digest_of(one.data, one.length));
    snprintf(manifest, sizeof(manifest),
             "[{\"Config\":\"c.json\",\"RepoTags\":%s,\"Layers\":[\"a/layer.tar\",\"b/layer.tar\",\"c/"
             "layer.tar\"]}]",
             names);
    tarball_put(&t, &(struct tarball_member){.name = "a/", .type = '5'});
    tarball_put(&t, &(struct tarball_member){.name = "a/layer.tar", .data = one.data, .size = one.length});
    tarball_put(&t, &(struct tarball_member){.name = "b/layer.tar", .data = two.data, .size = two.length});
    /* Docker wrote a layer that comes twice as a link. */
    tarball_put(&t, &(struct tarball_member){.name = "c/layer.tar", .type = '2', .link = "../a/layer.tar"});
    tarball_put(&t, &(struct tarball_member){.name = "c.json", .data = config, .size = strlen(config)});
    tarball_put(
        &t, &(struct tarball_member){.name = "manifest.json", .data = manifest, .size = strlen(manifest)});
    tarball_end(&t);
    put_bytes(file, t.data, t.length);
    tarball_free(&one);
    tarball_free(&two);
    tarball_free(&t);
}

Test(load, what_docker_save_wrote_becomes_an_image)
{
    box_image *image = NULL;

    put_docker("d.tar", "[\"app:1\",\"other/app:2\"]");
    loads("d.tar");
    cr_assert_eq(box_image_open(store, "other/app:2", &image, &err), 0, "%s", box_error_message(err));
    cr_assert_eq(box_image_layer_count(image), 3u);
    cr_assert_str_eq(box_image_user(image), "me");
    cr_assert_eq(box_strv_length((char **)box_image_names(image)), 2u);
    char **dirs = NULL;
    cr_assert_eq(box_image_layer_dirs(image, &dirs, NULL), 0);
    cr_assert_eq(box_strv_length(dirs), 2u, "overlay refuses the same directory twice");
    box_strings_free(dirs);
    box_image_free(image);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
}

Test(load, the_same_docker_archive_always_gives_the_same_manifest)
{
    box_image *one = NULL, *two = NULL;

    put_docker("d.tar", "null");
    put_docker("e.tar", "[\"app:1\"]");
    loads("e.tar");
    cr_assert_eq(box_image_open(store, "app:1", &one, &err), 0);
    cr_assert_eq(box_image_remove(store, "app:1", 0, NULL, NULL, &err), 0);
    loads("d.tar");
    cr_assert_eq(box_image_open(store, box_image_id(one), &two, &err), 0, "%s", box_error_message(err));
    cr_assert_str_eq(box_image_digest(one), box_image_digest(two));
    box_image_free(one);
    box_image_free(two);
}

/* ---- Progress and cancelling ---- */

struct seen {
    int stages[5];
    int cancel_at; /* a stage, -1 */
};

static int watch(const box_image_progress *progress, void *data)
{
    struct seen *seen = data;

    seen->stages[progress->stage]++;
    return (int)progress->stage == seen->cancel_at;
}

Test(load, progress_tells_each_stage)
{
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    struct seen seen = {.cancel_at = -1};

    put_image("a", "app:1", "");
    options.progress = watch;
    options.progress_data = &seen;
    cr_assert_eq(box_image_load(store, path_of("a"), &options, NULL, &err), 0);
    cr_assert_gt(seen.stages[BOX_IMAGE_STAGE_LAYER], 0);
    cr_assert_eq(seen.stages[BOX_IMAGE_STAGE_FINISHED], 1);
    cr_assert_eq(box_image_load(store, path_of("a"), &options, NULL, &err), 0);
    cr_assert_eq(seen.stages[BOX_IMAGE_STAGE_KEPT], 2);
}

Test(load, cancelling_leaves_the_store_as_it_was)
{
    put_image("a", "app:1", "");
    static const int stages[] = {BOX_IMAGE_STAGE_LAYER, BOX_IMAGE_STAGE_SYNC};
    for (size_t i = 0; i < BOX_ARRAY(stages); i++) {
        box_image_options options = BOX_IMAGE_OPTIONS_INIT;
        struct seen seen = {.cancel_at = stages[i]};
        options.progress = watch;
        options.progress_data = &seen;
        cr_assert_eq(box_image_load(store, path_of("a"), &options, NULL, NULL), BOX_ECANCELLED);
        cr_assert_eq(layers_there(), 0u);
        cr_assert_eq(blobs_there(), 0u);
        cr_assert_eq(entries_in(path_of("root/tmp")), 0u);
    }
}

/* ---- Many at once ---- */

static void *load_here(void *data)
{
    box_error *e = NULL;
    int r = box_image_load(store, data, NULL, NULL, &e);

    if (r < 0)
        fprintf(stderr, "%s\n", box_error_message(e));
    box_error_free(e);
    return (void *)(intptr_t)r;
}

Test(load, many_threads_may_load_the_same_image_at_once)
{
    pthread_t threads[8];
    char path[160];

    put_image("a", "app:1", "");
    snprintf(path, sizeof(path), "%s", path_of("a"));
    for (int i = 0; i < 8; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, load_here, path), 0);
    for (int i = 0; i < 8; i++) {
        void *r = NULL;
        pthread_join(threads[i], &r);
        cr_assert_null(r);
    }
    cr_assert_eq(layers_there(), 2u);
    cr_assert_eq(box_store_verify(store, NULL, NULL, &err), 0, "%s", box_error_message(err));
}
