/* From registry to registry. Blobs pass through a nameless file, so that an upload that breaks can go on, and what is
 * sent was held against its digest before; manifests go byte for byte, those that an index names before the index. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "registry/remote.h"
#include "registry/transfer.h"

#define DEPTH_MAX     4    /* indexes in indexes */
#define DOCUMENTS_MAX 4096 /* manifests and indexes of one copy */

struct copying {
    struct box_http_remote from;
    struct box_reference from_name, to_name;
    struct box_transfer transfer;
    char *mounts[2]; /* the repository copied from, where it is on the same registry */
    unsigned documents;
};

/* ---- A blob on its way ---- */

static int open_spool(box_error **err)
{
    const char *dirs[] = {getenv("TMPDIR"), "/var/tmp", "/tmp"};

    for (size_t i = 0; i < BOX_ARRAY(dirs); i++) {
        if (!dirs[i] || dirs[i][0] != '/')
            continue;
        int fd = open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        _free_ char *name = box_strf("%s/box-copy-XXXXXX", dirs[i]);
        fd = name ? mkostemp(name, O_CLOEXEC) : -1; /* a file system that has no nameless files */
        if (fd >= 0) {
            unlink(name);
            return fd;
        }
    }
    return box_fail_sys(err, "open", "/var/tmp", "there is nowhere to keep a blob while it is copied");
}

static int open_blob(void *data, box_error **err)
{
    struct box_transfer_blob *blob = data;
    struct copying *copying = (struct copying *)((char *)blob->transfer - offsetof(struct copying, transfer));
    const struct box_link *link = blob->link;
    struct box_digest found;
    int *fd = malloc(sizeof(*fd));

    if (!fd)
        return box_fail_nomem(err);
    blob->source = fd;
    *fd = open_spool(err);
    if (*fd < 0)
        return *fd;
    int r = copying->from.base.blob(&copying->from.base, &link->digest, link->size, *fd, 0, NULL, NULL, err);
    if (r == 0)
        r = box_digest_fd(link->digest.algorithm, *fd, &found, NULL, err);
    return r < 0 ? r : box_digest_check(&link->digest, &found, "blob", err);
}

static ssize_t read_blob(void *data, uint64_t offset, void *buffer, size_t n, box_error **err)
{
    const int *fd = ((struct box_transfer_blob *)data)->source;
    ssize_t got;

    do
        got = pread(*fd, buffer, n, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? box_fail_sys(err, "pread", NULL, "cannot read the blob that is copied") : got;
}

static void close_blob(struct box_transfer_blob *blob)
{
    int *fd = blob->source;

    if (fd)
        box_cleanup_close(fd);
    free(fd);
    blob->source = NULL;
}

/* ---- Documents ---- */

static int copy_blobs(struct copying *copying, const struct box_links *links, box_error **err)
{
    _free_ struct box_transfer_blob *blobs = calloc(links->n + 1, sizeof(*blobs));
    size_t n = 0;

    if (!blobs)
        return box_fail_nomem(err);
    for (size_t i = 0; i < links->n; i++) {
        if (links->items[i].manifest)
            continue;
        blobs[n].transfer = &copying->transfer;
        blobs[n].link = &links->items[i];
        blobs[n].mounts = copying->mounts[0] ? copying->mounts : NULL;
        blobs[n].number = (unsigned)n;
        box_digest_format(&links->items[i].digest, blobs[n].object);
        n++;
    }
    copying->transfer.blobs = (unsigned)n;
    return box_transfer_blobs(&copying->transfer, blobs, n, err);
}

static int copy_document(struct copying *copying, const box_registry_document *document, const char *reference,
                         unsigned depth, box_error **err);

static int copy_child(struct copying *copying, const struct box_link *link, unsigned depth, box_error **err)
{
    box_registry_document document = {0};
    char digest[BOX_DIGEST_TEXT];

    box_digest_format(&link->digest, digest);
    int r = copying->from.base.manifest(&copying->from.base, digest, &document.text, &document.length,
                                        &document.media_type, err);
    if (r == 0 && !(document.digest = strdup(digest)))
        r = box_fail_nomem(err);
    if (r == 0)
        r = copy_document(copying, &document, digest, depth, err);
    box_registry_document_clear(&document);
    return r;
}

static int copy_document(struct copying *copying, const box_registry_document *document, const char *reference,
                         unsigned depth, box_error **err)
{
    _links_ struct box_links links = {0};
    int r = box_links_read(document->text, document->length, &links, err);

    if (r == 0 && (depth > DEPTH_MAX || ++copying->documents > DOCUMENTS_MAX))
        r = box_fail(err, BOX_ELIMIT, "an index with too many manifests, or in too many others");
    for (size_t i = 0; r == 0 && i < links.n; i++)
        if (links.items[i].manifest)
            r = copy_child(copying, &links.items[i], depth + 1, err);
    if (r == 0)
        r = copy_blobs(copying, &links, err);
    if (r == 0)
        r = box_api_put_manifest(&copying->transfer.call, &copying->transfer.target, copying->to_name.path, reference,
                                 document, err);
    return r < 0 ? box_fail_wrap(err, r, "%s", document->digest) : 0;
}

/* ---- The copy ---- */

static int open_both(struct copying *copying, const char *from, const char *to, box_error **err)
{
    int r = box_reference_read(from, &copying->from_name, err);

    if (r == 0)
        r = box_reference_read(to, &copying->to_name, err);
    if (r == 0)
        r = box_http_remote_open(&copying->transfer.call, &copying->from_name, &copying->from, err);
    if (r == 0)
        r = box_target_open(&copying->transfer.call, copying->to_name.domain, &copying->transfer.target, err);
    if (r == 0 && strcmp(copying->from_name.domain, copying->to_name.domain) == 0)
        copying->mounts[0] = copying->from_name.path;
    copying->transfer.repository = copying->to_name.path;
    return r;
}

static int copy(struct copying *copying, const char *from, const char *to, char **digest, box_error **err)
{
    const box_transfer_options *options = &copying->transfer.options;
    box_registry_document document = {0};
    const struct box_reference *name = &copying->from_name, *as = &copying->to_name;
    int r = open_both(copying, from, to, err);

    if (r == 0)
        r = box_http_remote_document(&copying->from, name, options->all_platforms ? NULL : options->platform,
                                     !options->all_platforms, &document, err);
    if (r == 0 && as->digest && strcmp(as->digest, document.digest) != 0)
        r = box_fail(err, BOX_EINVAL, "%s leads to %s, which cannot be copied to %s", from, document.digest, to);
    if (r == 0)
        r = copy_document(copying, &document, as->tag ? as->tag : document.digest, 0, err);
    if (r == 0 && digest && !(*digest = strdup(document.digest)))
        r = box_fail_nomem(err);
    box_registry_document_clear(&document);
    return r;
}

int box_registry_copy(box_registry *registry, const char *from, const char *to, const box_transfer_options *options,
                      char **digest, box_error **err)
{
    struct copying copying = {.transfer = {.open = open_blob, .read = read_blob, .close = close_blob,
                                           .mutex = PTHREAD_MUTEX_INITIALIZER}};
    int r = box_call_init(&copying.transfer.call, registry, options, err);

    if (r == 0 && (!from || !to))
        r = box_fail(err, BOX_EINVAL, "box_registry_copy: from and to must not be NULL");
    if (r == 0 && options)
        copying.transfer.options = *options;
    if (r == 0)
        r = copy(&copying, from, to, digest, err);
    box_http_remote_close(&copying.from);
    box_target_clear(&copying.transfer.target);
    box_reference_clear(&copying.from_name);
    box_reference_clear(&copying.to_name);
    pthread_mutex_destroy(&copying.transfer.mutex);
    return r < 0 ? box_fail_wrap(err, r, "copy") : 0;
}
