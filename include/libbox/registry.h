/* Registries: pulling images into a store, pushing them out of it, and looking at what a registry has.
 *
 *     box_registry *registry = box_registry_new(&err);
 *     box_image *image = NULL;
 *     if (!registry || box_registry_load_config(registry, NULL, &err) < 0 ||
 *         box_image_pull(store, registry, "python:3.11-slim", NULL, &image, &err) < 0)
 *         …box_error_message(err)…
 *     box_image_free(image);
 *     box_registry_free(registry);
 *
 * A box_registry is a client: whom it trusts, as whom it logs in, what it may do. It speaks to any number of
 * registries and keeps connections and tokens. A new one knows no credentials and reads no file; the calls
 * below load the files that Docker's client uses.
 *
 * What a registry answers is not trusted: every manifest and blob is held against its digest, every document
 * is parsed with limits, a redirect loses the login, and no request goes out in the clear to a host that was
 * not allowed that by name.
 *
 * Needs libcurl at run time: BOX_ELIBRARY names the package where it is missing.
 *
 * Thread rules: set a box_registry up first; then any number of threads may use it at once.
 *
 * Specification: OCI distribution-spec 1.1; Docker Registry HTTP API V2 and its token authentication.
 */
#ifndef LIBBOX_REGISTRY_H
#define LIBBOX_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <libbox/error.h>
#include <libbox/image.h>
#include <libbox/store.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct box_registry box_registry;

/* ---- The client ------------------------------------------------------------------------------------------ */

/* NULL when out of memory. */
BOX_API box_registry *box_registry_new(box_error **err);
/* NULL is allowed. No operation may be in progress. */
BOX_API void box_registry_free(box_registry *registry);

/* Reads Docker's client configuration: `auths`, `credHelpers`, `credsStore`. path NULL: $DOCKER_CONFIG or
 * ~/.docker, with config.json below; that file missing is no error. Helpers ("docker-credential-NAME" in
 * PATH) are run when a login to their registry is needed. BOX_EPARSE names the field. */
BOX_API int box_registry_load_config(box_registry *registry, const char *path, box_error **err);
/* Reads DIR/HOST[:PORT]/{*.crt,*.cert,*.key} as Docker does: CAs and client certificates. NULL:
 * /etc/docker/certs.d, and ~/.config/docker/certs.d for an ordinary user. */
BOX_API int box_registry_load_certificates(box_registry *registry, const char *dir, box_error **err);

/* In the following `domain` is the host of references, "docker.io", "host:5000". Strings are copied. */

/* User and password for a registry, in place of what a configuration says. NULL for both: log in nowhere. */
BOX_API int box_registry_set_credentials(box_registry *registry, const char *domain, const char *user,
                                         const char *password, box_error **err);
/* An identity (refresh) token, of an OAuth 2 login. */
BOX_API int box_registry_set_identity_token(box_registry *registry, const char *domain, const char *token,
                                            box_error **err);
/* PEM file with the CAs that this registry is trusted by, beside the system's. */
BOX_API int box_registry_set_ca(box_registry *registry, const char *domain, const char *path, box_error **err);
/* PEM files with a client certificate and its key. */
BOX_API int box_registry_set_client_certificate(box_registry *registry, const char *domain, const char *certificate,
                                                const char *key, box_error **err);
/* Plain HTTP where HTTPS is not spoken, which is tried first. Nothing, loopback included, is allowed it without being
 * named; a token server or a storage that the registry leads to is a host of its own. */
BOX_API int box_registry_allow_http(box_registry *registry, const char *domain, box_error **err);
/* HTTPS with whatever certificate. */
BOX_API int box_registry_allow_untrusted(box_registry *registry, const char *domain, box_error **err);
/* Another place to pull this registry's images from, "https://mirror.example:5000/prefix", tried before it,
 * the first added first; has a login of its own, by its own host. Never pushed to. What stands after the host
 * comes before the path of each image: "library/python" is "prefix/library/python" there. An "http://" URL names its
 * host as one that plain HTTP is allowed to. */
BOX_API int box_registry_add_mirror(box_registry *registry, const char *domain, const char *url, box_error **err);
/* "http://proxy:3128", "socks5h://…"; `except` as no_proxy has it. Both NULL: none. Without this call,
 * https_proxy, http_proxy and no_proxy of the environment count, but not for this machine itself. */
BOX_API int box_registry_set_proxy(box_registry *registry, const char *proxy, const char *except, box_error **err);
/* How often a request is tried [5], where trying again may help (a host that never answered is not waited for), and how long it waits between, milliseconds: the first time [500], twice
 * as long each time after, at most the last [30000]; a Retry-After of the registry's goes before, up to the
 * last. */
BOX_API int box_registry_set_retries(box_registry *registry, unsigned attempts, unsigned first_ms, unsigned most_ms,
                                     box_error **err);
/* Milliseconds to connect [30000], and without a byte until a transfer counts as stalled [30000]. */
BOX_API int box_registry_set_timeouts(box_registry *registry, unsigned connect_ms, unsigned stall_ms, box_error **err);
/* Blobs that are transferred side by side in one operation [4]. */
BOX_API int box_registry_set_parallel(box_registry *registry, unsigned blobs, box_error **err);
/* Bytes of a blob that go up in one request [32 MiB], 64 KiB to 1 GiB: less where a proxy before the registry takes
 * no more. A registry that wants larger pieces gets them. */
BOX_API int box_registry_set_chunk(box_registry *registry, uint64_t bytes, box_error **err);
/* What the client calls itself ["libbox/VERSION"]. */
BOX_API int box_registry_set_user_agent(box_registry *registry, const char *name, box_error **err);

/* ---- Images ---------------------------------------------------------------------------------------------- */

/* Options of what follows; start from BOX_TRANSFER_OPTIONS_INIT. NULL in place of options is the same. */
typedef struct box_transfer_options {
    unsigned version;               /* 1 */
    const char *platform;           /* pull: "os/architecture[/variant]" out of an index; NULL: this machine's */
    bool all_platforms;             /* copy: the whole index, and not one image of it */
    const box_image_limits *limits; /* what an image may unpack to; NULL: the defaults */
    unsigned threads;               /* layers unpacked side by side; 0: one a processor */
    int timeout_ms;                 /* for the whole operation; -1: none. BOX_ETIMEOUT */
    int cancel_fd; /* an eventfd(2), pipe or the like; the operation ends with BOX_ECANCELLED when it becomes
                      readable, which it is not read for. -1: none */
    box_image_progress_fn *progress; /* as for loading; another value than 0 cancels */
    void *progress_data;
    bool late; /* pull: return when the image can be used, before it is on disk: box_store_sync(), which see, is to
                  follow. No effect where blobs are not kept, or the boot's id cannot be read */
} box_transfer_options;
#define BOX_TRANSFER_OPTIONS_INIT                         \
    {                                                     \
        1, NULL, false, NULL, 0, -1, -1, NULL, NULL, false \
    }

/* Pulls an image by name (with tag or digest) into the store, and names it so there. Layers that the store
 * has are not fetched; layers come side by side and are unpacked while they come. One process on the machine
 * fetches a blob, others wait for it. What was fetched before a failure or a kill is used by the next pull.
 * Several blobs that are not the whole image never make it visible. *image may be NULL; the caller frees it.
 *
 * Errors: those of box_image_load(); BOX_ENOTFOUND with the registry's own message; BOX_EPERMISSION when it
 * wants a login or refuses this one; BOX_EDIGEST; BOX_ETIMEOUT; BOX_ESYSTEM for a host that cannot be
 * reached. */
BOX_API int box_image_pull(box_store *store, box_registry *registry, const char *name,
                           const box_transfer_options *options, box_image **image, box_error **err);

/* Pushes an image of the store, found as by box_image_open(), to where `name` says; NULL: its own name. What
 * the registry has is not sent, and what it has in another repository is mounted from there where it lets us.
 * The manifest goes up as it is in the store, byte for byte. *digest (may be NULL) is the manifest's, to be
 * freed by the caller.
 *
 * Progress: BOX_IMAGE_STAGE_LAYER while a blob goes up, BOX_IMAGE_STAGE_KEPT for one that the registry had; layers are
 * called by their diff ids, the config, the last, by its digest.
 *
 * Errors as for pulling; BOX_ENOTFOUND also for a layer whose blob the store does not keep (store.h, `blobs`). */
BOX_API int box_image_push(box_store *store, box_registry *registry, const char *image, const char *name,
                           const box_transfer_options *options, char **digest, box_error **err);

/* From one registry to another (or within one), without a store: an image, or with all_platforms whatever `from` leads
 * to, an index with all in it or an artifact of any type, byte for byte. A blob is kept in a nameless file in $TMPDIR
 * or /var/tmp on its way. *digest as above; progress as for pushing, with blobs called by their digests. */
BOX_API int box_registry_copy(box_registry *registry, const char *from, const char *to,
                              const box_transfer_options *options, char **digest, box_error **err);

/* ---- What a registry has --------------------------------------------------------------------------------- */

/* A manifest or an index as the registry has it, byte for byte and held against its digest. */
typedef struct box_registry_document {
    char *text; /* `length` bytes and a NUL */
    size_t length;
    char *media_type;
    char *digest; /* "sha256:…" */
} box_registry_document;

/* What `name` (with tag or digest) leads to. platform NULL: the document itself, be it an index; otherwise
 * the manifest for this platform. Clear it with box_registry_document_clear(). */
BOX_API int box_registry_get_manifest(box_registry *registry, const char *name, const char *platform,
                                      box_registry_document *document, box_error **err);
/* A blob of at most `max` bytes, such as a config; `text`, `length` and `digest` of the document. */
BOX_API int box_registry_get_blob(box_registry *registry, const char *repository, const char *digest, size_t max,
                                  box_registry_document *document, box_error **err);
/* The index of what refers to a manifest, "repository@sha256:…" (signatures, attestations, SBOMs), an empty one where
 * nothing does; artifact_type NULL: all. By the referrers API, or where a registry has none, by the tag that stands in for
 * it. OCI distribution-spec 1.1, "Listing Referrers". */
BOX_API int box_registry_get_referrers(box_registry *registry, const char *name, const char *artifact_type,
                                       box_registry_document *document, box_error **err);
BOX_API void box_registry_document_clear(box_registry_document *document);

/* Tags of a repository, and repositories of a registry (where it tells), sorted; NULL-terminated. The caller
 * frees with box_strings_free(). At most 1,000,000. */
BOX_API int box_registry_tags(box_registry *registry, const char *repository, char ***tags, box_error **err);
BOX_API int box_registry_catalog(box_registry *registry, const char *domain, char ***repositories, box_error **err);
/* Deletes the manifest that `name` leads to, with all its tags. BOX_EUNSUPPORTED where the registry is set up
 * to delete nothing. */
BOX_API int box_registry_delete(box_registry *registry, const char *name, box_error **err);

/* ---- Logging in ------------------------------------------------------------------------------------------ */

/* Tries a login against the registry: BOX_EPERMISSION when it is refused, with the registry's message. Stores
 * nothing, but the client uses it from now on. *identity_token (may be NULL) is what the registry gave to be
 * kept in place of the password, or NULL. */
BOX_API int box_registry_login(box_registry *registry, const char *domain, const char *user, const char *password,
                               char **identity_token, box_error **err);
/* Keeps a login where Docker's client keeps it: through the helper that the configuration names, or else in
 * its `auths` (mode 0600, replaced as a whole, all else in the file left as it is). path as for
 * box_registry_load_config(). */
BOX_API int box_credentials_store(const char *path, const char *domain, const char *user, const char *secret,
                                  bool secret_is_token, box_error **err);
/* Takes it away: BOX_ENOTFOUND where there is none. */
BOX_API int box_credentials_erase(const char *path, const char *domain, box_error **err);

#ifdef __cplusplus
}
#endif

#endif
