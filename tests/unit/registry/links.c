/* What a manifest of any kind refers to. */
#include <criterion/criterion.h>
#include <string.h>

#include "registry/api.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define D(type) "{\"mediaType\":\"" type "\",\"digest\":\"" A "\",\"size\":5}"

static int parse(const char *text, struct box_links *links)
{
    return box_links_read(text, strlen(text), links, NULL);
}

Test(registry_links, a_manifest_has_config_and_layers)
{
    _links_ struct box_links links = {0};

    cr_assert_eq(parse("{\"schemaVersion\":2,\"config\":" D("c") ",\"layers\":[" D("l") "," D("m") "]}", &links), 0);
    cr_assert_eq(links.n, 3);
    cr_assert_not(links.items[0].manifest);
    cr_assert_str_eq(links.items[2].media_type, "m");
    cr_assert_null(links.subject);
}

Test(registry_links, an_index_has_manifests_and_an_artifact_a_subject)
{
    _links_ struct box_links index = {0}, artifact = {0};

    cr_assert_eq(parse("{\"schemaVersion\":2,\"manifests\":[" D("x") "]}", &index), 0);
    cr_assert(index.n == 1 && index.items[0].manifest);
    cr_assert_eq(parse("{\"artifactType\":\"t\",\"blobs\":[" D("b") "],\"subject\":" D("s") "}", &artifact), 0);
    cr_assert_eq(artifact.n, 1, "a subject is not carried along");
    cr_assert_str_eq(artifact.subject, A);
    cr_assert_str_eq(artifact.artifact_type, "t");
}

Test(registry_links, a_foreign_layer_is_one_with_urls)
{
    _links_ struct box_links links = {0};

    cr_assert_eq(parse("{\"layers\":[{\"mediaType\":\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\",\"digest\":\"" A
                      "\",\"size\":5,\"urls\":[\"https://x\"]}," D("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip") "]}",
                      &links), 0);
    cr_assert(links.items[0].foreign && !links.items[1].foreign);
}

Test(registry_links, what_is_two_things_or_none_is_refused)
{
    static const char *const bad[] = {
        "{\"schemaVersion\":2,\"manifests\":[],\"layers\":[]}", "{\"config\":" D("c") ",\"manifests\":[]}",
        "{\"schemaVersion\":1}", "[]", "7", "{\"layers\":{}}", "{\"layers\":[7]}", "{\"layers\":[{\"digest\":\"sha256:x\",\"size\":1}]}",
        "{\"layers\":[{\"digest\":\"" A "\",\"size\":-1}]}", "{\"config\":[]}", "{\"subject\":{\"digest\":\"../../x\"}}", ""};

    for (size_t i = 0; i < BOX_ARRAY(bad); i++) {
        struct box_links links;
        cr_assert_lt(parse(bad[i], &links), 0, "%s was taken", bad[i]);
        cr_assert_eq(links.n, 0);
    }
}

Test(registry_links, there_is_a_most)
{
    struct box_buffer text = {0};
    struct box_links links;

    box_buffer_puts(&text, "{\"layers\":[");
    for (int i = 0; i < 4097; i++)
        box_buffer_printf(&text, "%s%s", i ? "," : "", D("l"));
    box_buffer_puts(&text, "]}");
    cr_assert_eq(box_links_read(text.data, text.length, &links, NULL), BOX_ELIMIT);
    box_buffer_free(&text);
}
