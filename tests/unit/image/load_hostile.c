/* Loading: documents and blobs that are not what they say. Nothing of such an archive becomes visible
 * (load_fails). */
#include "images.h"

TestSuite(load_hostile, .init = store_init, .fini = store_fini);

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CONFIG   "application/vnd.oci.image.config.v1+json"
#define LAYER    "application/vnd.oci.image.layer.v1.tar"
#define INDEX    "application/vnd.oci.image.index.v1+json"

/* A layout whose manifest is this text, with an index that is right for it. */
static void put_manifest(const char *dir, const char *manifest)
{
    struct layout l;

    layout_begin(&l, dir);
    layout_manifest(&l, manifest, "app:1");
    layout_end(&l);
}

static void put_index(const char *dir, const char *index)
{
    struct layout l;
    char path[64];

    layout_begin(&l, dir);
    snprintf(path, sizeof(path), "%s/index.json", dir);
    put_file(path, index);
}

/* Replaces the content of the blob, keeping its name. */
static void spoil(const char *dir, const char *digest, const char *content, size_t length)
{
    char path[320];

    snprintf(path, sizeof(path), "%s/blobs/sha256/%s", dir, digest + 7);
    put_bytes(path, content, length);
}

static struct layout put_good(const char *dir, struct tarball *layer)
{
    struct layout l;

    *layer = small_tar("f", "content");
    layout_begin(&l, dir);
    layout_layer(&l, layer);
    layout_image(&l, "app:1", "");
    layout_end(&l);
    return l;
}

Test(load_hostile, what_is_no_archive_says_so)
{
    struct tarball tar = small_tar("etc/passwd", "x");

    put_bytes("rootfs.tar", tar.data, tar.length);
    load_fails("rootfs.tar", BOX_EPARSE, "no archive of images");
    put_file("text", "hello");
    load_fails("text", BOX_EPARSE, "archive");
    put_dir("dir");
    load_fails("dir", BOX_EPARSE, "no archive of images");
    load_fails("nothing", BOX_ENOTFOUND, "nothing");
    put_file("empty", "");
    load_fails("empty", BOX_EPARSE, "no archive of images");
    tarball_free(&tar);
}

Test(load_hostile, a_config_with_another_digest_is_refused)
{
    struct tarball layer;
    struct layout l = put_good("a", &layer);
    char content[4096];
    char *old = NULL, path[160];
    size_t length = 0;

    snprintf(path, sizeof(path), "a/blobs/sha256/%s", l.last_config + 7);
    cr_assert_eq(box_file_read(scratch_fd, path, sizeof(content), &old, &length, NULL), 0);
    memcpy(content, old, length);
    content[10] ^= 1;
    spoil("a", l.last_config, content, length);
    load_fails("a", BOX_EDIGEST, l.last_config);
    free(old);
    tarball_free(&layer);
}

Test(load_hostile, a_manifest_of_another_size_is_refused)
{
    struct tarball layer;
    struct layout l = put_good("a", &layer);

    spoil("a", l.last_manifest, "{}", 2);
    load_fails("a", BOX_EDIGEST, "has 2 bytes");
    tarball_free(&layer);
}

Test(load_hostile, a_layer_with_another_digest_or_size_is_refused)
{
    struct tarball layer, other = small_tar("f", "CONTENT"), longer = small_tar("f", "content");
    const char *digest;

    put_good("a", &layer);
    digest = digest_of(layer.data, layer.length);
    spoil("a", digest, other.data, other.length);
    load_fails("a", BOX_EDIGEST, "expected");
    tarball_end(&longer);
    spoil("a", digest, longer.data, longer.length);
    load_fails("a", BOX_EDIGEST, "bytes");
    spoil("a", digest, layer.data, layer.length);
    loads("a");
    tarball_free(&layer);
    tarball_free(&other);
    tarball_free(&longer);
}

Test(load_hostile, a_blob_that_is_missing_is_named)
{
    struct tarball layer;
    char path[160];

    put_good("a", &layer);
    const char *digest = digest_of(layer.data, layer.length);
    snprintf(path, sizeof(path), "a/blobs/sha256/%s", digest + 7);
    cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    load_fails("a", BOX_ENOTFOUND, digest + 7);
    tarball_free(&layer);
}

Test(load_hostile, a_blob_that_is_a_link_to_the_hosts_files_is_not_read)
{
    struct tarball layer;
    char path[160];

    put_good("a", &layer);
    const char *digest = digest_of(layer.data, layer.length);
    snprintf(path, sizeof(path), "a/blobs/sha256/%s", digest + 7);
    cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    put_link(path, "/etc/passwd");
    load_fails("a", BOX_ENOTFOUND, digest + 7);
    cr_assert_eq(unlinkat(scratch_fd, path, 0), 0);
    cr_assert_eq(mkfifoat(scratch_fd, path, 0600), 0);
    load_fails("a", BOX_EPARSE, "not a regular file");
    tarball_free(&layer);
}

Test(load_hostile, diff_ids_that_do_not_match_the_layers_are_refused)
{
    struct tarball one = small_tar("f", "1"), two = small_tar("f", "2");
    struct layout l;

    layout_begin(&l, "swapped");
    layout_layer_as(&l, LAYER, one.data, one.length, &two);
    layout_image(&l, "app:1", "");
    layout_end(&l);
    load_fails("swapped", BOX_EDIGEST, "diff id");

    layout_begin(&l, "more");
    layout_layer(&l, &one);
    append(l.diff_ids, sizeof(l.diff_ids),
           "\"sha256:0123456789012345678901234567890123456789012345678901234567890123\"");
    layout_image(&l, "app:1", "");
    layout_end(&l);
    load_fails("more", BOX_EPARSE, "1 layers, but its config lists 2 diff ids");

    layout_begin(&l, "fewer");
    layout_layer(&l, &one);
    layout_layer(&l, &two);
    l.diff_ids[strcspn(l.diff_ids, ",")] = '\0';
    layout_image(&l, "app:1", "");
    layout_end(&l);
    load_fails("fewer", BOX_EPARSE, "2 layers, but its config lists 1 diff ids");
    tarball_free(&one);
    tarball_free(&two);
}

Test(load_hostile, a_document_that_could_be_two_things_is_refused)
{
    static const char *const texts[] = {
        "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"config\":{},\"layers\":[],\"manifests\":[]}",
        "{\"schemaVersion\":2,\"mediaType\":\"" INDEX "\",\"config\":{},\"layers\":[]}",
        "{\"schemaVersion\":2,\"mediaType\":\"" LAYER "\",\"config\":{},\"layers\":[]}",
        "{\"schemaVersion\":2,\"manifests\":[]}",
        "{\"schemaVersion\":2,\"config\":{},\"layers\":[],\"fsLayers\":[]}",
    };
    char dir[8] = "d0";

    for (size_t i = 0; i < BOX_ARRAY(texts); i++, dir[1]++) {
        put_manifest(dir, texts[i]);
        load_fails(dir, BOX_EPARSE, "manifest sha256:");
    }
    put_index("i0", "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}");
    load_fails("i0", BOX_EPARSE, "neither clearly");
    put_index("i1", "{\"schemaVersion\":2,\"mediaType\":\"" MANIFEST "\",\"manifests\":[]}");
    load_fails("i1", BOX_EPARSE, "media type");
}

Test(load_hostile, a_manifest_that_is_none_is_refused)
{
    static const struct {
        const char *text;
        int code;
    } table[] = {
        {"", BOX_EPARSE},
        {"[]", BOX_EPARSE},
        {"{", BOX_EPARSE},
        {"null", BOX_EPARSE},
        {"{\"schemaVersion\":1,\"config\":{},\"layers\":[]}", BOX_EUNSUPPORTED},
        {"{\"schemaVersion\":2,\"layers\":[]}", BOX_EPARSE},
        {"{\"schemaVersion\":2,\"config\":[],\"layers\":[]}", BOX_EPARSE},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG
         "\",\"digest\":\"sha256:xyz\",\"size\":1},\"layers\":[]}",
         BOX_EPARSE},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG
         "\",\"digest\":\"../../etc/passwd\",\"size\":1},\"layers\":[]}",
         BOX_EUNSUPPORTED},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG
         "\",\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\",\"size\":"
         "-1},"
         "\"layers\":[]}",
         BOX_EPARSE},
        {"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.oci.empty.v1+json\","
         "\"digest\":\"sha256:0123456789012345678901234567890123456789012345678901234567890123\",\"size\":2},"
         "\"layers\":[]}",
         BOX_EUNSUPPORTED},
    };
    char dir[8] = "da";

    for (size_t i = 0; i < BOX_ARRAY(table); i++, dir[1]++) {
        put_manifest(dir, table[i].text);
        _cleanup_(box_error) box_error *e = NULL;
        int r = box_image_load(store, path_of(dir), NULL, NULL, &e);
        cr_assert(r == table[i].code || (r == BOX_EPARSE && table[i].code == BOX_EUNSUPPORTED), "%s: %s",
                  table[i].text, box_error_message(e));
    }
    cr_assert_eq(blobs_there(), 0u);
}

Test(load_hostile, a_layer_of_an_unknown_kind_is_refused)
{
    struct tarball tar = small_tar("f", "x");
    struct layout l;

    layout_begin(&l, "a");
    layout_layer_as(&l, LAYER "+gzip+encrypted", tar.data, tar.length, &tar);
    layout_image(&l, "app:1", "");
    layout_end(&l);
    load_fails("a", BOX_EUNSUPPORTED, "+encrypted");
    tarball_free(&tar);
}

/* An index cannot hold its own digest; but one may say that it does. */
Test(load_hostile, an_index_that_names_itself_ends)
{
    static const char claimed[] = "sha256:0123456789012345678901234567890123456789012345678901234567890123";
    char index[400];
    struct layout l;

    snprintf(index, sizeof(index),
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" INDEX
             "\",\"digest\":\"%s\",\"size\":%d}]}",
             claimed, 150);
    layout_begin(&l, "a");
    put_file("a/index.json", index);
    spoil("a", claimed, index, strlen(index));
    load_fails("a", BOX_EDIGEST, claimed + 7);
}

Test(load_hostile, indexes_in_indexes_have_an_end)
{
    static char text[1000];
    struct layout l;
    size_t length;

    layout_begin(&l, "deep");
    snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"manifests\":[]}");
    for (int i = 0; i < 10; i++) {
        length = strlen(text);
        const char *digest = layout_blob(&l, text, length);
        snprintf(text, sizeof(text),
                 "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" INDEX
                 "\",\"digest\":\"%s\",\"size\":%zu}]}",
                 digest, length);
    }
    put_file("deep/index.json", text);
    load_fails("deep", BOX_EPARSE, "nested");
}

Test(load_hostile, documents_have_limits)
{
    static char big[9u << 20];
    box_image_options options = BOX_IMAGE_OPTIONS_INIT;
    box_image_limits limits = {.layers = 1};
    struct layout l;

    memset(big, ' ', sizeof(big) - 1);
    layout_begin(&l, "big");
    put_file("big/index.json", big);
    load_fails("big", BOX_ELIMIT, "8 MiB");
    memset(big, '[', 200000);
    big[200000] = '\0';
    put_file("big/index.json", big);
    cr_assert_lt(box_image_load(store, path_of("big"), NULL, NULL, NULL), 0);

    put_image("a", "app:1", "");
    options.limits = &limits;
    cr_assert_eq(box_image_load(store, path_of("a"), &options, NULL, &err), BOX_ELIMIT);
    cr_assert_not_null(strstr(box_error_message(err), "of which 1 are allowed"), "%s",
                       box_error_message(err));
}

Test(load_hostile, an_image_for_another_system_is_refused)
{
    const char *config =
        "{\"os\":\"windows\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    char manifest[500];
    struct layout l;

    layout_begin(&l, "a");
    snprintf(manifest, sizeof(manifest),
             "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" CONFIG
             "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
             layout_blob(&l, config, strlen(config)), strlen(config));
    layout_manifest(&l, manifest, "app:1");
    layout_end(&l);
    load_fails("a", BOX_EUNSUPPORTED, "windows");
}

Test(load_hostile, an_index_without_this_platform_says_which_is_missing)
{
    char inner[600];
    struct layout l;

    layout_begin(&l, "a");
    snprintf(inner, sizeof(inner),
             "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"" MANIFEST
             "\",\"digest\":\"sha256:%064d\",\"size\":1,"
             "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}}]}",
             0);
    snprintf(l.manifests, sizeof(l.manifests), "{\"mediaType\":\"" INDEX "\",\"digest\":\"%s\",\"size\":%zu}",
             layout_blob(&l, inner, strlen(inner)), strlen(inner));
    layout_end(&l);
    load_fails("a", BOX_EUNSUPPORTED, "not there for linux/");
}

Test(load_hostile, names_in_a_docker_archive_stay_in_it)
{
    static const char *const manifests[] = {
        "[{\"Config\":\"../../../../etc/passwd\",\"Layers\":[]}]",
        "[{\"Config\":\"/etc/passwd\",\"Layers\":[]}]",
        "[{\"Config\":\"link\",\"Layers\":[]}]",
        "[{\"Config\":\"loop\",\"Layers\":[]}]",
        "[{\"Config\":\"c.json\",\"Layers\":[\"../../etc/passwd\"]}]",
        "[{\"Config\":\"c.json\"}]",
        "[{\"Config\":7}]",
        "[7]",
        "{}",
    };
    const char *config = "{\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:"
                         "0123456789012345678901234567890123456789012345678901234567890123\"]}}";

    for (size_t i = 0; i < BOX_ARRAY(manifests); i++) {
        struct tarball t = {0};
        tarball_put(&t, &(struct tarball_member){.name = "c.json", .data = config, .size = strlen(config)});
        tarball_put(&t, &(struct tarball_member){.name = "link", .type = '2', .link = "../../../etc/passwd"});
        tarball_put(&t, &(struct tarball_member){.name = "loop", .type = '2', .link = "loop"});
        tarball_put(&t, &(struct tarball_member){
                            .name = "manifest.json", .data = manifests[i], .size = strlen(manifests[i])});
        tarball_end(&t);
        put_bytes("d.tar", t.data, t.length);
        cr_assert_lt(box_image_load(store, path_of("d.tar"), NULL, NULL, NULL), 0, "%s", manifests[i]);
        tarball_free(&t);
    }
    cr_assert_eq(blobs_there(), 0u);
    cr_assert_eq(layers_there(), 0u);
}

Test(load_hostile, an_archive_that_is_cut_short_is_an_error)
{
    char *data = NULL, command[256];
    size_t length = 0;

    put_image("a", "app:1", "");
    snprintf(command, sizeof(command), "tar -C %s/a -cf %s/a.tar .", scratch, scratch);
    cr_assert_eq(system(command), 0);
    cr_assert_eq(box_file_read(scratch_fd, "a.tar", 10u << 20, &data, &length, NULL), 0);
    for (size_t cut = 100; cut < length - 10240; cut += length / 23) {
        put_bytes("cut.tar", data, cut);
        cr_assert_lt(box_image_load(store, path_of("cut.tar"), NULL, NULL, NULL), 0, "cut at %zu", cut);
    }
    cr_assert_eq(blobs_there(), 0u);
    cr_assert_eq(layers_there(), 0u);
    free(data);
}
