/* Index and manifest. */
#include "image/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/strings.h"
#include "image/platform.h"

#define ENTRIES_MAX     4096
#define ANNOTATIONS_MAX 4096

enum box_media box_media_kind(const char *media_type)
{
    static const struct {
        const char *prefix; /* a '.', '+' or the end must follow */
        enum box_media kind;
    } table[] = {
        {BOX_MEDIA_OCI_INDEX, BOX_MEDIA_INDEX},
        {BOX_MEDIA_DOCKER_INDEX, BOX_MEDIA_INDEX},
        {BOX_MEDIA_OCI_MANIFEST, BOX_MEDIA_MANIFEST},
        {BOX_MEDIA_DOCKER_MANIFEST, BOX_MEDIA_MANIFEST},
        {BOX_MEDIA_OCI_CONFIG, BOX_MEDIA_CONFIG},
        {BOX_MEDIA_DOCKER_CONFIG, BOX_MEDIA_CONFIG},
        {BOX_MEDIA_OCI_LAYER, BOX_MEDIA_LAYER},
        {"application/vnd.oci.image.layer.nondistributable.v1.tar", BOX_MEDIA_LAYER},
        {"application/vnd.docker.image.rootfs.diff.tar", BOX_MEDIA_LAYER},
        {"application/vnd.docker.image.rootfs.foreign.diff.tar", BOX_MEDIA_LAYER},
    };
    /* Docker wrote ".gzip", OCI writes "+gzip". How it is really compressed is seen in its first bytes. */
    static const char *const suffixes[] = {"", "+gzip", "+zstd", ".gzip", ".zstd"};

    for (size_t i = 0; media_type && i < BOX_ARRAY(table); i++) {
        const char *rest = box_after_prefix(media_type, table[i].prefix);
        for (size_t j = 0; rest && j < BOX_ARRAY(suffixes); j++)
            if (strcmp(rest, suffixes[j]) == 0 && (j == 0 || table[i].kind == BOX_MEDIA_LAYER))
                return table[i].kind;
    }
    return BOX_MEDIA_OTHER;
}

/* ---- Descriptors ---- */

static void descriptor_clear(struct box_descriptor *d)
{
    char *const strings[] = {d->media_type,   d->name,    d->ref_name,     d->os,
                             d->architecture, d->variant, d->artifact_type};

    for (size_t i = 0; i < BOX_ARRAY(strings); i++)
        free(strings[i]);
    *d = (struct box_descriptor){0};
}

/* A copy of an optional string member. */
static int copy_string(const struct box_json_at *at, const char *key, char **out, box_error **err)
{
    const char *text = NULL;
    int r = box_json_get_string(at, key, BOX_JSON_OPTIONAL, &text, err);

    if (r < 0 || !text)
        return r;
    *out = strdup(text);
    return *out ? 0 : box_fail_nomem(err);
}

static int read_annotations(const struct box_json_at *at, struct box_descriptor *d, box_error **err)
{
    struct box_json_at annotations, platform;
    int r = box_json_get_object(at, "annotations", BOX_JSON_OPTIONAL, &annotations, err);

    if (r == 0 && annotations.json)
        r = copy_string(&annotations, "io.containerd.image.name", &d->name, err);
    if (r == 0 && annotations.json)
        r = copy_string(&annotations, "org.opencontainers.image.ref.name", &d->ref_name, err);
    if (r == 0)
        r = copy_string(at, "artifactType", &d->artifact_type, err);
    /* BuildKit marks what it says about an image so, besides the platform unknown/unknown. */
    d->is_artifact = d->artifact_type || (annotations.json && json_object_object_get_ex(annotations.json,
                                                                                        "vnd.docker.reference.type", NULL));
    if (r == 0)
        r = box_json_get_object(at, "platform", BOX_JSON_OPTIONAL, &platform, err);
    if (r < 0 || !platform.json)
        return r;
    if ((r = copy_string(&platform, "os", &d->os, err)) < 0 ||
        (r = copy_string(&platform, "architecture", &d->architecture, err)) < 0)
        return r;
    return copy_string(&platform, "variant", &d->variant, err);
}

static int read_descriptor(const struct box_json_at *at, struct box_descriptor *d, box_error **err)
{
    const char *media_type = NULL, *digest = NULL;
    int r = box_json_as_object(at, err);

    if (r < 0 || (r = box_json_get_string(at, "mediaType", BOX_JSON_REQUIRED, &media_type, err)) < 0 ||
        (r = box_json_get_string(at, "digest", BOX_JSON_REQUIRED, &digest, err)) < 0 ||
        (r = box_json_get_u64(at, "size", BOX_JSON_REQUIRED, 0, INT64_MAX, &d->size, err)) < 0 ||
        (r = box_digest_parse(digest, &d->digest, err)) < 0)
        return r;
    if (d->digest.algorithm != BOX_SHA256)
        return box_fail(err, BOX_EUNSUPPORTED, "only sha256 digests are supported in images, not %s", digest);
    d->media_type = strdup(media_type);
    if (!d->media_type)
        return box_fail_nomem(err);
    return read_annotations(at, d, err);
}

static int read_descriptors(const struct box_json_at *at, const char *key, unsigned max,
                            struct box_descriptor **out, size_t *n_out, box_error **err)
{
    struct box_json_at list;
    size_t n = 0;
    int r = box_json_get_array(at, key, BOX_JSON_REQUIRED, &list, &n, err);

    if (r < 0)
        return r;
    if (n > max) {
        struct box_fail_info info = {.code = BOX_ELIMIT, .subject = key};
        return box_fail_with(err, &info, "there are %zu %s, of which %u are allowed", n, key, max);
    }
    *out = calloc(n ? n : 1, sizeof(**out));
    if (!*out)
        return box_fail_nomem(err);
    for (*n_out = 0; r == 0 && *n_out < n; ++*n_out) {
        struct box_json_at element = box_json_element(&list, *n_out);
        r = read_descriptor(&element, *out + *n_out, err);
    }
    return r;
}

/* ---- The frame that both documents have ---- */

static int confused(const char *why, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = "mediaType"};

    return box_fail_with(err, &info, "%s", why);
}

/* Checks that the document is of one kind only. *declared is what it says of itself, or NULL. */
static int check_frame(const struct box_json_at *root, enum box_media kind, const char *media_type,
                       const char **declared, box_error **err)
{
    static const char *const foreign_to_manifest[] = {"manifests", "fsLayers", "history"};
    static const char *const foreign_to_index[] = {"layers", "config", "fsLayers", "history"};
    const char *const *foreign = kind == BOX_MEDIA_INDEX ? foreign_to_index : foreign_to_manifest;
    size_t n = kind == BOX_MEDIA_INDEX ? BOX_ARRAY(foreign_to_index) : BOX_ARRAY(foreign_to_manifest);
    uint64_t version = 0;
    int r = box_json_as_object(root, err);

    if (r < 0 || (r = box_json_get_u64(root, "schemaVersion", BOX_JSON_REQUIRED, 0, 1000, &version, err)) < 0)
        return r;
    if (version != 2)
        return box_fail(err, BOX_EUNSUPPORTED, "manifests of schema version %u are not supported",
                        (unsigned)version);
    for (size_t i = 0; i < n; i++)
        if (json_object_object_get_ex(root->json, foreign[i], NULL))
            return confused("the document is neither clearly a manifest nor clearly an index", err);
    *declared = NULL;
    r = box_json_get_string(root, "mediaType", BOX_JSON_OPTIONAL, declared, err);
    if (r < 0)
        return r;
    if (*declared && media_type && strcmp(*declared, media_type) != 0)
        return confused("the document says another media type than its descriptor", err);
    const char *said = media_type ? media_type : *declared;
    if (said && box_media_kind(said) != kind)
        return confused("the media type is not that of such a document", err);
    return 0;
}

static json_object *parse_document(const char *text, size_t length, const char *source, box_error **err)
{
    struct box_json_limits limits = {.size = BOX_DOCUMENT_MAX, .depth = 64};

    return box_json_parse(text, length, &limits, source, err);
}

static int code_of(box_error **err)
{
    return err && *err ? box_error_code(*err) : BOX_EPARSE;
}

/* ---- Manifest ---- */

static int append_annotation(const struct box_json_at *member, void *data, box_error **err)
{
    struct box_manifest *manifest = data;
    const char *text = NULL;
    int r = box_json_as_string(member, &text, err);

    if (r < 0)
        return r;
    if (manifest->n_annotations >= ANNOTATIONS_MAX)
        return box_fail(err, BOX_ELIMIT, "there are more than %d annotations", ANNOTATIONS_MAX);
    box_image_pair *grown = realloc(manifest->annotations, (manifest->n_annotations + 1) * sizeof(*grown));
    if (!grown)
        return box_fail_nomem(err);
    manifest->annotations = grown;
    grown[manifest->n_annotations] = (box_image_pair){strdup(member->key), strdup(text)};
    manifest->n_annotations++;
    return grown[manifest->n_annotations - 1].key && grown[manifest->n_annotations - 1].value ? 0 : box_fail_nomem(err);
}

/* What a manifest says beside its image: OCI image-spec 1.1, manifest.md. */
static int read_extras(const struct box_json_at *root, struct box_manifest *manifest, box_error **err)
{
    struct box_json_at annotations, subject;
    int r = copy_string(root, "artifactType", &manifest->artifact_type, err);

    if (r == 0)
        r = box_json_get_object(root, "annotations", BOX_JSON_OPTIONAL, &annotations, err);
    if (r == 0 && annotations.json)
        r = box_json_each(&annotations, append_annotation, manifest, err);
    if (r == 0)
        r = box_json_get_object(root, "subject", BOX_JSON_OPTIONAL, &subject, err);
    return r < 0 || !subject.json ? r : read_descriptor(&subject, &manifest->subject, err);
}

static int no_image(const struct box_manifest *manifest, box_error **err)
{
    const char *type = manifest->artifact_type ? manifest->artifact_type : manifest->config.media_type;
    struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = type};

    if (manifest->artifact_type)
        return box_fail_with(err, &info, "the manifest is not that of an image, but of an artifact, %s", type);
    return box_fail_with(err, &info, "the manifest is not that of an image: its config is %s", type);
}

static int read_manifest(const struct box_json_at *root, const char *media_type, unsigned max_layers,
                         struct box_manifest *manifest, box_error **err)
{
    struct box_json_at config;
    const char *declared = NULL;
    int r = check_frame(root, BOX_MEDIA_MANIFEST, media_type, &declared, err);

    if (r < 0)
        return r;
    if (!media_type)
        media_type = declared ? declared : BOX_MEDIA_OCI_MANIFEST;
    manifest->media_type = strdup(media_type);
    if (!manifest->media_type)
        return box_fail_nomem(err);
    if ((r = box_json_get_object(root, "config", BOX_JSON_REQUIRED, &config, err)) < 0 ||
        (r = read_descriptor(&config, &manifest->config, err)) < 0)
        return r;
    if ((r = read_extras(root, manifest, err)) < 0)
        return r;
    if (box_media_kind(manifest->config.media_type) != BOX_MEDIA_CONFIG)
        return no_image(manifest, err);
    r = read_descriptors(root, "layers", max_layers, &manifest->layers, &manifest->n_layers, err);
    for (size_t i = 0; r == 0 && i < manifest->n_layers; i++)
        if (box_media_kind(manifest->layers[i].media_type) != BOX_MEDIA_LAYER) {
            struct box_fail_info info = {.code = BOX_EUNSUPPORTED, .subject = manifest->layers[i].media_type};
            r = box_fail_with(err, &info, "layer %zu has the unknown media type %s", i + 1,
                              manifest->layers[i].media_type);
        }
    return r;
}

int box_manifest_parse(const char *text, size_t length, const char *media_type, const char *source,
                       unsigned max_layers, struct box_manifest *manifest, box_error **err)
{
    *manifest = (struct box_manifest){0};
    _cleanup_(json_object) json_object *doc = parse_document(text, length, source, err);
    if (!doc)
        return code_of(err);
    struct box_json_at root = BOX_JSON_ROOT(doc);
    int r = read_manifest(&root, media_type, max_layers, manifest, err);
    if (r < 0) {
        box_manifest_clear(manifest);
        return box_fail_wrap(err, r, "manifest %s", source);
    }
    return 0;
}

void box_manifest_clear(struct box_manifest *manifest)
{
    free(manifest->media_type);
    descriptor_clear(&manifest->config);
    descriptor_clear(&manifest->subject);
    free(manifest->artifact_type);
    for (size_t i = 0; i < manifest->n_annotations; i++) {
        free((char *)manifest->annotations[i].key);
        free((char *)manifest->annotations[i].value);
    }
    free(manifest->annotations);
    for (size_t i = 0; i < manifest->n_layers; i++)
        descriptor_clear(&manifest->layers[i]);
    free(manifest->layers);
    *manifest = (struct box_manifest){0};
}

/* ---- Index ---- */

int box_manifest_index_parse(const char *text, size_t length, const char *media_type, const char *source,
                             struct box_manifest_index *index, box_error **err)
{
    *index = (struct box_manifest_index){0};
    _cleanup_(json_object) json_object *doc = parse_document(text, length, source, err);
    if (!doc)
        return code_of(err);
    struct box_json_at root = BOX_JSON_ROOT(doc);
    const char *declared = NULL;
    int r = check_frame(&root, BOX_MEDIA_INDEX, media_type, &declared, err);
    if (r == 0)
        r = read_descriptors(&root, "manifests", ENTRIES_MAX, &index->entries, &index->n_entries, err);
    if (r < 0) {
        box_manifest_index_clear(index);
        return box_fail_wrap(err, r, "index %s", source);
    }
    return 0;
}

void box_manifest_index_clear(struct box_manifest_index *index)
{
    for (size_t i = 0; i < index->n_entries; i++)
        descriptor_clear(&index->entries[i]);
    free(index->entries);
    *index = (struct box_manifest_index){0};
}

/* ---- Platforms ---- */

/* Signatures, attestations and other artifacts lie beside images in an index. */
static bool is_image(const struct box_descriptor *d)
{
    enum box_media kind = box_media_kind(d->media_type);

    return (kind == BOX_MEDIA_MANIFEST || kind == BOX_MEDIA_INDEX) && !d->is_artifact;
}

/* The usual image for this machine before one that its processor alone could run: what is made on one machine should
 * run on the next. */
static unsigned fit(const struct box_descriptor *d, const struct box_platform *wanted, const struct box_platform *best)
{
    struct box_platform has;

    if (!d->os || !d->architecture || !box_platform_set(&has, d->os, d->architecture, d->variant))
        return 0;
    unsigned how = box_platform_fit(&has, wanted);
    if (how < 100 && best && box_platform_fit(&has, best) >= 100)
        how = 50;
    return how;
}

const struct box_descriptor *box_manifest_index_choose(const struct box_manifest_index *index,
                                                       const char *platform)
{
    struct box_platform wanted, best;
    const struct box_descriptor *chosen = NULL, *only = NULL;
    unsigned chosen_fit = 0;
    size_t images = 0;

    if (box_platform_parse(platform ? platform : box_platform_host(), &wanted, NULL) < 0)
        return NULL;
    box_platform_host_best(&best);
    for (size_t i = 0; i < index->n_entries; i++) {
        const struct box_descriptor *d = &index->entries[i];
        if (!is_image(d))
            continue;
        images++;
        only = d;
        unsigned how = fit(d, &wanted, platform ? NULL : &best);
        if (how > chosen_fit) {
            chosen = d;
            chosen_fit = how;
        }
    }
    /* One image of which nothing is said: its config will tell. */
    return chosen || images != 1 || only->os ? chosen : only;
}
