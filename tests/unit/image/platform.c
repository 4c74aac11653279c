/* Platforms: spellings, what runs where, and the image of an index that is chosen. */
#include <criterion/criterion.h>

#include <libbox/error.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "image/manifest.h"
#include "image/platform.h"

#define HEX "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char *spelled(const char *text)
{
    static char out[BOX_PLATFORM_TEXT];
    struct box_platform p;

    return box_platform_parse(text, &p, NULL) < 0 ? "(none)" : box_platform_format(&p, out);
}

Test(platform, spellings_come_out_as_the_usual_one)
{
    static const char *const table[][2] = {
        {"linux/amd64", "linux/amd64"},   {"linux/x86_64", "linux/amd64"},    {"linux/amd64/v1", "linux/amd64"},
        {"linux/amd64/v3", "linux/amd64/v3"}, {"LINUX/AMD64", "linux/amd64"}, {"linux/arm64/v8", "linux/arm64"},
        {"linux/aarch64", "linux/arm64"}, {"linux/arm64/8", "linux/arm64"},   {"linux/arm", "linux/arm/v7"},
        {"linux/armhf", "linux/arm/v7"},  {"linux/armel", "linux/arm/v6"},    {"linux/arm/6", "linux/arm/v6"},
        {"linux/i386", "linux/386"},      {"arm64", "linux/arm64"},           {"linux/s390x", "linux/s390x"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        cr_assert_str_eq(spelled(table[i][0]), table[i][1], "%s", table[i][0]);
    cr_assert_str_eq(spelled("linux"), box_platform_host());
}

Test(platform, what_is_none_is_refused)
{
    static const char *const table[] = {"", "/", "linux/", "/amd64", "linux/amd64/", "linux/amd64/v1/x", "linux/am d64",
                                        "linux/\xc3\xa4", "linux/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        cr_assert_str_eq(spelled(table[i]), "(none)", "%s", table[i]);
    cr_assert_eq(box_platform_parse(NULL, &(struct box_platform){0}, NULL), BOX_EPARSE);
}

/* The number of the entry that is chosen, -1 for none. */
static int chosen(const char *wanted, const char *const *entries)
{
    struct box_manifest_index index;
    char text[8192] = "{\"schemaVersion\":2,\"manifests\":[";
    box_error *err = NULL;

    for (int i = 0; entries[i]; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "%s{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"size\":1,\"digest\":\"sha256:" HEX "\"%s%s}",
                 i ? "," : "", *entries[i] ? "," : "", entries[i]);
    strcat(text, "]}");
    cr_assert_eq(box_manifest_index_parse(text, strlen(text), NULL, "test", &index, &err), 0, "%s",
                 box_error_message(err));
    const struct box_descriptor *d = box_manifest_index_choose(&index, wanted);
    int number = d ? (int)(d - index.entries) : -1;
    box_manifest_index_clear(&index);
    return number;
}

#define P(os, arch)           "\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\"}"
#define PV(os, arch, variant) "\"platform\":{\"os\":\"" os "\",\"architecture\":\"" arch "\",\"variant\":\"" variant "\"}"

Test(platform, the_image_that_fits_best_is_chosen)
{
    static const char *const usual[] = {PV("linux", "arm", "v5"), P("linux", "amd64"), PV("linux", "arm", "v7"),
                                        PV("linux", "arm64", "v8"), P("linux", "386"), P("windows", "amd64"), NULL};
    static const char *const levels[] = {P("linux", "amd64"), PV("linux", "amd64", "v3"), PV("linux", "amd64", "v2"), NULL};

    cr_assert_eq(chosen("linux/amd64", usual), 1);
    cr_assert_eq(chosen("linux/arm64", usual), 3);
    cr_assert_eq(chosen("linux/arm64/v8", usual), 3);
    cr_assert_eq(chosen("linux/arm/v7", usual), 2);
    cr_assert_eq(chosen("linux/arm", usual), 2);
    cr_assert_eq(chosen("linux/arm/v6", usual), 0, "v7 does not run on v6");
    cr_assert_eq(chosen("linux/386", usual), 4);
    cr_assert_eq(chosen("windows/amd64", usual), 5);
    cr_assert_eq(chosen("linux/s390x", usual), -1);
    cr_assert_eq(chosen("linux/amd64", levels), 0);
    cr_assert_eq(chosen("linux/amd64/v2", levels), 2);
    cr_assert_eq(chosen("linux/amd64/v4", levels), 1, "the highest that it runs");
}

Test(platform, an_older_kind_of_the_processor_is_taken_where_nothing_else_is)
{
    static const char *const old[] = {PV("linux", "arm", "v6"), P("linux", "386"), NULL};
    static const char *const newer[] = {PV("linux", "amd64", "v3"), NULL};

    cr_assert_eq(chosen("linux/arm/v7", old), 0);
    cr_assert_eq(chosen("linux/arm64", old), 0);
    cr_assert_eq(chosen("linux/amd64", old), 1);
    cr_assert_eq(chosen("linux/amd64", newer), -1, "v3 does not run on any amd64");
}

Test(platform, what_is_no_image_is_passed_over)
{
    static const char *const attested[] = {
        "\"annotations\":{\"vnd.docker.reference.type\":\"attestation-manifest\"}," P("unknown", "unknown"),
        "\"artifactType\":\"application/vnd.example\"," P("linux", "amd64"), P("linux", "amd64"), NULL};
    static const char *const silent[] = {"\"artifactType\":\"application/vnd.example\"", "", NULL};
    static const char *const two[] = {"", "", NULL};

    cr_assert_eq(chosen("linux/amd64", attested), 2);
    cr_assert_eq(chosen("linux/amd64", silent), 1, "one of which nothing is said");
    cr_assert_eq(chosen("linux/amd64", two), -1);
}

Test(platform, a_docker_list_is_an_index)
{
    static const char text[] = "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.docker.distribution.manifest.list.v2+json\","
                               "\"manifests\":[{\"mediaType\":\"application/vnd.docker.distribution.manifest.v2+json\","
                               "\"size\":5,\"digest\":\"sha256:" HEX "\",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}}]}";
    struct box_manifest_index index;

    cr_assert_eq(box_manifest_index_parse(text, strlen(text), NULL, "test", &index, NULL), 0);
    cr_assert_eq(box_manifest_index_choose(&index, "linux/arm64"), &index.entries[0]);
    cr_assert_null(box_manifest_index_choose(&index, "linux/amd64"));
    box_manifest_index_clear(&index);
}

#define MANIFEST(more, config)                                                                                      \
    "{\"schemaVersion\":2," more "\"config\":{\"mediaType\":\"" config "\",\"size\":2,\"digest\":\"sha256:" HEX "\"},\"layers\":[]}"

Test(platform, a_manifest_tells_annotations_and_subject)
{
    static const char text[] = MANIFEST("\"annotations\":{\"a\":\"1\",\"b\":\"2\"},\"subject\":{\"mediaType\":\"x\",\"size\":3,\"digest\":\"sha256:" HEX "\"},",
                                        "application/vnd.oci.image.config.v1+json");
    struct box_manifest manifest;

    cr_assert_eq(box_manifest_parse(text, strlen(text), NULL, "test", 10, &manifest, NULL), 0);
    cr_assert_eq(manifest.n_annotations, 2);
    cr_assert_str_eq(manifest.annotations[1].key, "b");
    cr_assert_str_eq(manifest.annotations[1].value, "2");
    cr_assert_eq(manifest.subject.size, 3);
    cr_assert_null(manifest.artifact_type);
    box_manifest_clear(&manifest);
}

Test(platform, an_artifact_is_no_image_and_says_what_it_is)
{
    static const char text[] = MANIFEST("\"artifactType\":\"application/vnd.example.sbom\",", "application/vnd.oci.empty.v1+json");
    static const char odd[] = MANIFEST("\"annotations\":{\"a\":1},", "application/vnd.oci.image.config.v1+json");
    struct box_manifest manifest;
    box_error *err = NULL;

    cr_assert_eq(box_manifest_parse(text, strlen(text), NULL, "test", 10, &manifest, &err), BOX_EUNSUPPORTED);
    cr_assert_str_eq(box_error_subject(err), "application/vnd.example.sbom");
    box_error_free(err);
    cr_assert_eq(box_manifest_parse(odd, strlen(odd), NULL, "test", 10, &manifest, NULL), BOX_EPARSE);
}
