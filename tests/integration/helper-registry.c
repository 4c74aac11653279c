/* The registry client at a shell, for the tests: one call of the library each. What a test needs and `box` has no verb
 * for, and what only the engine of pulls sees (a blob, by box_remote).
 *
 *     helper-registry [--http HOST] [--untrusted HOST] [--ca HOST FILE] [--cert HOST CERT KEY] [--certs DIR]
 *         [--user HOST USER PASSWORD] [--identity HOST TOKEN] [--config FILE] [--mirror HOST URL] [--proxy URL]
 *         [--tries N] [--chunk BYTES] [--stall MS] [--timeout MS] [--cancel MS] [--platform P] [--all] VERB ARGUMENT...
 */
#include <libbox/box.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "registry/remote.h"

static box_transfer_options options = BOX_TRANSFER_OPTIONS_INIT;

static int show(const box_registry_document *document)
{
    fprintf(stderr, "%s %s\n", document->media_type, document->digest);
    return fwrite(document->text, 1, document->length, stdout) == document->length ? 0 : BOX_ESYSTEM;
}

static int show_list(char **list)
{
    for (size_t i = 0; list[i]; i++)
        puts(list[i]);
    box_strings_free(list);
    return 0;
}

static int verb_manifest(box_registry *registry, char **args, box_error **err)
{
    box_registry_document document;
    int r = box_registry_get_manifest(registry, args[0], args[1], &document, err);

    if (r == 0)
        r = show(&document);
    box_registry_document_clear(&document);
    return r;
}

static int verb_get(box_registry *registry, char **args, box_error **err)
{
    box_registry_document document;
    int r = box_registry_get_blob(registry, args[0], args[1], strtoul(args[2], NULL, 10), &document, err);

    if (r == 0)
        r = show(&document);
    box_registry_document_clear(&document);
    return r;
}

static int verb_referrers(box_registry *registry, char **args, box_error **err)
{
    box_registry_document document;
    int r = box_registry_get_referrers(registry, args[0], args[1], &document, err);

    if (r == 0)
        r = show(&document);
    box_registry_document_clear(&document);
    return r;
}

static int verb_tags(box_registry *registry, char **args, box_error **err)
{
    char **list = NULL;
    int r = box_registry_tags(registry, args[0], &list, err);

    return r < 0 ? r : show_list(list);
}

static int verb_catalog(box_registry *registry, char **args, box_error **err)
{
    char **list = NULL;
    int r = box_registry_catalog(registry, args[0], &list, err);

    return r < 0 ? r : show_list(list);
}

static int verb_delete(box_registry *registry, char **args, box_error **err)
{
    return box_registry_delete(registry, args[0], err);
}

static int verb_copy(box_registry *registry, char **args, box_error **err)
{
    char *digest = NULL;
    int r = box_registry_copy(registry, args[0], args[1], &options, &digest, err);

    if (r == 0)
        puts(digest);
    free(digest);
    return r;
}

static int verb_login(box_registry *registry, char **args, box_error **err)
{
    char *token = NULL;
    int r = box_registry_login(registry, args[0], args[1], args[2], &token, err);

    if (r == 0)
        printf("identity=%s\n", token ? token : "");
    free(token);
    return r;
}

static int verb_store(box_registry *registry, char **args, box_error **err)
{
    (void)registry;
    return box_credentials_store(args[0], args[1], args[2], args[3], args[4] != NULL, err);
}

static int verb_erase(box_registry *registry, char **args, box_error **err)
{
    (void)registry;
    return box_credentials_erase(args[0], args[1], err);
}

/* blob REPOSITORY DIGEST SIZE FILE [FROM] */
static int verb_blob(box_registry *registry, char **args, box_error **err)
{
    struct box_call call;
    _http_remote_ struct box_http_remote remote = {0};
    _reference_ struct box_reference reference = {0};
    struct box_digest digest, found;
    int r = box_call_init(&call, registry, &options, err);

    if (r == 0)
        r = box_reference_read(args[0], &reference, err);
    if (r == 0)
        r = box_digest_parse(args[1], &digest, err);
    if (r == 0)
        r = box_http_remote_open(&call, &reference, &remote, err);
    if (r < 0)
        return r;
    _close_ int fd = open(args[3], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    r = remote.base.blob(&remote.base, &digest, strtoull(args[2], NULL, 10), fd, args[4] ? strtoull(args[4], NULL, 10) : 0,
                         NULL, NULL, err);
    if (r == 0)
        r = box_digest_fd(BOX_SHA256, fd, &found, NULL, err);
    return r < 0 ? r : box_digest_check(&digest, &found, "blob", err);
}

static const struct {
    const char *name;
    int (*run)(box_registry *registry, char **args, box_error **err);
} verbs[] = {{"manifest", verb_manifest}, {"get", verb_get},   {"referrers", verb_referrers}, {"tags", verb_tags},
             {"catalog", verb_catalog},   {"delete", verb_delete}, {"copy", verb_copy},       {"login", verb_login},
             {"store", verb_store},       {"erase", verb_erase},   {"blob", verb_blob}};

/* A descriptor that becomes readable after so many milliseconds. */
static int in_ms(long ms)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const struct itimerspec when = {.it_value = {ms / 1000, ms % 1000 * 1000000 + 1}};

    timerfd_settime(fd, 0, &when, NULL);
    return fd;
}

static int flag(box_registry *registry, char ***at, box_error **err)
{
    char **a = *at;
    const char *name = a[0] + 2;

#define IS(text, n) (strcmp(name, text) == 0 ? (*at += (n) + 1, true) : false)
    if (IS("http", 1))
        return box_registry_allow_http(registry, a[1], err);
    if (IS("untrusted", 1))
        return box_registry_allow_untrusted(registry, a[1], err);
    if (IS("ca", 2))
        return box_registry_set_ca(registry, a[1], a[2], err);
    if (IS("cert", 3))
        return box_registry_set_client_certificate(registry, a[1], a[2], a[3], err);
    if (IS("certs", 1))
        return box_registry_load_certificates(registry, a[1], err);
    if (IS("user", 3))
        return box_registry_set_credentials(registry, a[1], a[2], a[3], err);
    if (IS("identity", 2))
        return box_registry_set_identity_token(registry, a[1], a[2], err);
    if (IS("config", 1))
        return box_registry_load_config(registry, a[1], err);
    if (IS("mirror", 2))
        return box_registry_add_mirror(registry, a[1], a[2], err);
    if (IS("proxy", 1))
        return box_registry_set_proxy(registry, a[1], NULL, err);
    if (IS("tries", 1))
        return box_registry_set_retries(registry, (unsigned)atoi(a[1]), 1, 20, err);
    if (IS("stall", 1))
        return box_registry_set_timeouts(registry, 5000, (unsigned)atoi(a[1]), err);
    if (IS("chunk", 1))
        return box_registry_set_chunk(registry, strtoull(a[1], NULL, 10), err);
    if (IS("timeout", 1))
        options.timeout_ms = atoi(a[1]);
    else if (IS("cancel", 1))
        options.cancel_fd = in_ms(atol(a[1]));
    else if (IS("platform", 1))
        options.platform = a[1];
    else if (IS("all", 0))
        options.all_platforms = true;
    else
        return fprintf(stderr, "what is %s?\n", a[0]), BOX_EINVAL;
    return 0;
}

int main(int argc, char **argv)
{
    _cleanup_(box_error) box_error *err = NULL;
    _cleanup_(box_registry) box_registry *registry = box_registry_new(&err);
    char **at = argv + 1;
    int r = registry ? box_registry_set_retries(registry, 5, 1, 20, &err) : BOX_ENOMEM;

    (void)argc;
    while (r == 0 && *at && strncmp(*at, "--", 2) == 0)
        r = flag(registry, &at, &err);
    for (size_t i = 0; r == 0 && *at && i < BOX_ARRAY(verbs); i++)
        if (strcmp(*at, verbs[i].name) == 0) {
            r = verbs[i].run(registry, at + 1, &err);
            break;
        }
    if (r < 0)
        fprintf(stderr, "%s: %s\n", box_error_code_name(r), box_error_message(err));
    return r < 0;
}
