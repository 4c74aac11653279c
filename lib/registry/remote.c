/* Reading from the mirrors of a registry, the first added first, and then from itself.
 *
 * What a mirror cannot give, for whatever reason, the next one is asked for, and its failure is forgotten; the
 * registry's own failure is what is told. A blob that a mirror gave a part of is gone on with at the next one: all
 * of it is held against its digest in the end, by the engine. */
#include "registry/remote.h"

#include <stdlib.h>
#include <string.h>

#include "registry/text.h"

/* Whether another place is asked after this failure. */
static bool goes_on(int r)
{
    return r < 0 && r != BOX_ECANCELLED && r != BOX_ETIMEOUT && r != BOX_ENOMEM && r != BOX_ELIBRARY && r != BOX_ENOSPACE;
}

struct asking {
    struct box_http_remote *remote;
    struct box_call call;
    int (*ask)(struct asking *asking, struct box_target *target, box_error **err);
    void *data;
    bool stopped; /* by the tick: no other place is asked then */
};

static int ask_all(struct asking *asking, box_error **err)
{
    const struct box_http_remote *remote = asking->remote;
    int r = BOX_ENOTFOUND;

    for (size_t i = 0; i < remote->n_targets; i++) {
        _cleanup_(box_error) box_error *why = NULL;
        /* A copy, since several threads ask at once; `reached` of each is its own. */
        struct box_target target = remote->targets[i];
        r = asking->ask(asking, &target, &why);
        if (r >= 0 || !goes_on(r) || asking->stopped || i + 1 == remote->n_targets) {
            if (r < 0 && err)
                *err = box_take(why);
            return r;
        }
        r = box_call_check(&asking->call, err);
        if (r < 0)
            return r;
    }
    return r;
}

struct manifest_question {
    const char *reference;
    box_registry_document document;
};

static int ask_manifest(struct asking *asking, struct box_target *target, box_error **err)
{
    struct manifest_question *q = asking->data;

    return box_api_get_manifest(&asking->call, target, asking->remote->repository, q->reference, &q->document,
                                err);
}

/* The first document is what the name led to; what an index in turn leads to comes by later calls. A registry's own
 * word for the digest counts for nothing. */
static int tell_resolved(struct box_http_remote *remote, const char *reference, const box_registry_document *document,
                         box_error **err)
{
    box_image_progress_fn *progress = remote->progress;
    struct box_digest given, found;
    char text[BOX_DIGEST_TEXT];

    if (!progress)
        return 0;
    remote->progress = NULL;
    bool by_digest = box_digest_parse(reference, &given, NULL) == 0;
    int r = box_digest_data(by_digest ? given.algorithm : BOX_SHA256, document->text, document->length, &found, err);
    if (r < 0)
        return r;
    const box_image_progress report = {
        BOX_IMAGE_STAGE_RESOLVED, box_digest_format(&found, text), 0, 0, document->length, document->length};
    return progress(&report, remote->progress_data) ? box_fail(err, BOX_ECANCELLED, "cancelled") : 0;
}

static int get_manifest(struct box_remote *remote, const char *reference, char **text, size_t *length,
                        char **media_type, box_error **err)
{
    struct manifest_question q = {.reference = reference};
    struct asking asking = {(struct box_http_remote *)remote, ((struct box_http_remote *)remote)->call, ask_manifest, &q, false};
    int r = ask_all(&asking, err);

    if (r == 0)
        r = tell_resolved(asking.remote, reference, &q.document, err);
    if (r < 0) {
        box_registry_document_clear(&q.document);
        return r;
    }
    *text = box_take(q.document.text);
    *length = q.document.length;
    *media_type = box_take(q.document.media_type);
    box_registry_document_clear(&q.document);
    return 0;
}

struct blob_question {
    const struct box_digest *digest;
    uint64_t size, from;
    int fd;
    box_remote_tick *tick;
    void *data;
    struct asking *asking;
};

/* Keeps how far the blob has come, for the next place. */
static int count(void *data, uint64_t present, box_error **err)
{
    struct blob_question *q = data;

    q->from = present;
    int r = q->tick ? q->tick(q->data, present, err) : 0;
    q->asking->stopped |= r < 0;
    return r;
}

/* While nothing comes. */
static int idle(void *data, box_error **err)
{
    return count(data, ((struct blob_question *)data)->from, err);
}

static int ask_blob(struct asking *asking, struct box_target *target, box_error **err)
{
    struct blob_question *q = asking->data;

    return box_api_get_blob(&asking->call, target, asking->remote->repository, q->digest, q->size, q->fd,
                            q->from, count, q, err);
}

static int get_blob(struct box_remote *remote, const struct box_digest *digest, uint64_t size, int fd, uint64_t from,
                    box_remote_tick *tick, void *data, box_error **err)
{
    struct blob_question q = {digest, size, from, fd, tick, data, NULL};
    struct asking asking = {(struct box_http_remote *)remote, ((struct box_http_remote *)remote)->call, ask_blob, &q, false};

    q.asking = &asking;
    asking.call.idle = tick ? idle : NULL;
    asking.call.idle_data = &q;
    return ask_all(&asking, err);
}

static int add_targets(struct box_http_remote *remote, box_error **err)
{
    const struct box_host_settings *host = box_client_host(remote->call.registry, remote->domain, false);
    size_t mirrors = host ? box_strv_length(host->mirrors) : 0;
    int r = 0;

    remote->targets = calloc(mirrors + 1, sizeof(*remote->targets));
    if (!remote->targets)
        return box_fail_nomem(err);
    for (size_t i = 0; r == 0 && i < mirrors; i++) {
        r = box_target_open_mirror(&remote->call, host->mirrors[i], &remote->targets[remote->n_targets], err);
        remote->n_targets += r == 0;
    }
    if (r == 0)
        r = box_target_open(&remote->call, remote->domain, &remote->targets[remote->n_targets], err);
    remote->n_targets += r == 0;
    return r;
}

int box_http_remote_open(const struct box_call *call, const struct box_reference *reference,
                         struct box_http_remote *remote, box_error **err)
{
    *remote = (struct box_http_remote){.base = {get_manifest, get_blob, call->registry->parallel}, .call = *call};
    remote->domain = strdup(reference->domain);
    remote->repository = strdup(reference->path);
    int r = remote->domain && remote->repository ? add_targets(remote, err) : box_fail_nomem(err);
    if (r < 0)
        box_http_remote_close(remote);
    return r;
}

void box_http_remote_close(struct box_http_remote *remote)
{
    for (size_t i = 0; i < remote->n_targets; i++)
        box_target_clear(&remote->targets[i]);
    free(remote->targets);
    free(remote->domain);
    free(remote->repository);
    *remote = (struct box_http_remote){0};
}
