/* Digests: their written form, and computing them with libcrypto or with our own SHA-2. */
#include "base/digest.h"

#include <string.h>
#include <unistd.h>

#include "base/libcrypto.h"
#include "base/sha2.h"
#include "base/strings.h"

#define READ_CHUNK ((size_t)256 * 1024)
#define FEW_BYTES  (256u << 10)

struct box_digester {
    enum box_digest_algorithm algorithm;
    const struct box_libcrypto *crypto; /* NULL: our own */
    void *ctx;                          /* libcrypto's EVP_MD_CTX */
    bool failed;
    union {
        struct box_sha256 sha256;
        struct box_sha512 sha512;
    } own;
};

size_t box_digest_size(enum box_digest_algorithm algorithm)
{
    return algorithm == BOX_SHA512 ? 64 : 32;
}

const char *box_digest_algorithm_name(enum box_digest_algorithm algorithm)
{
    return algorithm == BOX_SHA512 ? "sha512" : "sha256";
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* algorithm ":" encoded, the algorithm in lower case: descriptor.md, "Digests". */
static bool names_other_algorithm(const char *text)
{
    size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+._-");

    return n > 0 && text[n] == ':' && text[n + 1];
}

int box_digest_parse(const char *text, struct box_digest *out, box_error **err)
{
    struct box_fail_info info = {.code = BOX_EPARSE, .subject = text};
    struct box_digest digest = {0};
    const char *hex = box_after_prefix(text, "sha256:");

    digest.algorithm = BOX_SHA256;
    if (!hex) {
        hex = box_after_prefix(text, "sha512:");
        digest.algorithm = BOX_SHA512;
    }
    if (!hex) {
        if (names_other_algorithm(text))
            info.code = BOX_EUNSUPPORTED;
        return box_fail_with(err, &info, "\"%.140s\" is no sha256 or sha512 digest", text);
    }
    size_t size = box_digest_size(digest.algorithm);
    if (strlen(hex) != 2 * size)
        return box_fail_with(err, &info, "the digest \"%.140s\" does not have %zu digits", text, 2 * size);
    for (size_t i = 0; i < size; i++) {
        int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return box_fail_with(err, &info, "the digest \"%.140s\" has a digit that is not 0-9 or a-f",
                                 text);
        digest.bytes[i] = (unsigned char)(high << 4 | low);
    }
    *out = digest;
    return 0;
}

static void put_hex(const struct box_digest *digest, char *out)
{
    static const char digits[] = "0123456789abcdef";
    size_t size = box_digest_size(digest->algorithm);

    for (size_t i = 0; i < size; i++) {
        out[2 * i] = digits[digest->bytes[i] >> 4];
        out[2 * i + 1] = digits[digest->bytes[i] & 15];
    }
    out[2 * size] = '\0';
}

char *box_digest_hex(const struct box_digest *digest, char out[BOX_DIGEST_TEXT])
{
    put_hex(digest, out);
    return out;
}

char *box_digest_format(const struct box_digest *digest, char out[BOX_DIGEST_TEXT])
{
    memcpy(out, box_digest_algorithm_name(digest->algorithm), 6);
    out[6] = ':';
    put_hex(digest, out + 7);
    return out;
}

bool box_digest_equal(const struct box_digest *a, const struct box_digest *b)
{
    return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, box_digest_size(a->algorithm)) == 0;
}

int box_digest_check(const struct box_digest *expected, const struct box_digest *found, const char *what,
                     box_error **err)
{
    char wanted[BOX_DIGEST_TEXT], got[BOX_DIGEST_TEXT];
    struct box_fail_info info = {.code = BOX_EDIGEST, .subject = wanted};

    if (box_digest_equal(expected, found))
        return 0;
    box_digest_format(expected, wanted);
    box_digest_format(found, got);
    return box_fail_with(err, &info, "%s: %s expected, %s found", what, wanted, got);
}

static bool is_known(enum box_digest_algorithm algorithm)
{
    return algorithm == BOX_SHA256 || algorithm == BOX_SHA512;
}

struct box_digester *box_digester_new_builtin(enum box_digest_algorithm algorithm, box_error **err)
{
    struct box_digester *d;

    if (!is_known(algorithm)) {
        box_fail(err, BOX_EINVAL, "no such digest algorithm: %d", (int)algorithm);
        return NULL;
    }
    d = calloc(1, sizeof(*d));
    if (!d) {
        box_fail_nomem(err);
        return NULL;
    }
    d->algorithm = algorithm;
    if (algorithm == BOX_SHA512)
        box_sha512_begin(&d->own.sha512);
    else
        box_sha256_begin(&d->own.sha256);
    return d;
}

struct box_digester *box_digester_new(enum box_digest_algorithm algorithm, box_error **err)
{
    struct box_digester *d = box_digester_new_builtin(algorithm, err);
    const struct box_libcrypto *crypto = d ? box_libcrypto() : NULL;

    if (!crypto)
        return d;
    d->ctx = crypto->ctx_new();
    if (!d->ctx)
        return d;
    if (crypto->init(d->ctx, algorithm == BOX_SHA512 ? crypto->sha512 : crypto->sha256, NULL) == 1) {
        d->crypto = crypto;
        return d;
    }
    crypto->ctx_free(d->ctx);
    d->ctx = NULL;
    return d;
}

void box_digester_update(struct box_digester *d, const void *data, size_t length)
{
    if (d->crypto)
        d->failed |= d->crypto->update(d->ctx, data, length) != 1;
    else if (d->algorithm == BOX_SHA512)
        box_sha512_update(&d->own.sha512, data, length);
    else
        box_sha256_update(&d->own.sha256, data, length);
}

int box_digester_finish(struct box_digester *d, struct box_digest *out, box_error **err)
{
    struct box_digest digest = {.algorithm = d->algorithm};

    if (d->crypto)
        d->failed |= d->crypto->final(d->ctx, digest.bytes, NULL) != 1;
    else if (d->algorithm == BOX_SHA512)
        box_sha512_finish(&d->own.sha512, digest.bytes);
    else
        box_sha256_finish(&d->own.sha256, digest.bytes);
    if (d->failed) {
        struct box_fail_info info = {.code = BOX_ESYSTEM, .call = "EVP_DigestUpdate"};
        return box_fail_with(err, &info, "libcrypto failed to compute a digest");
    }
    *out = digest;
    return 0;
}

void box_digester_free(struct box_digester *d)
{
    if (d && d->crypto)
        d->crypto->ctx_free(d->ctx);
    free(d);
}

int box_digest_data(enum box_digest_algorithm algorithm, const void *data, size_t length,
                    struct box_digest *out, box_error **err)
{
    /* Opening libcrypto takes milliseconds, a document microseconds. */
    _cleanup_(box_digester) struct box_digester *d =
        length <= FEW_BYTES ? box_digester_new_builtin(algorithm, err) : box_digester_new(algorithm, err);

    if (!d)
        return is_known(algorithm) ? BOX_ENOMEM : BOX_EINVAL;
    box_digester_update(d, data, length);
    return box_digester_finish(d, out, err);
}

int box_digest_fd(enum box_digest_algorithm algorithm, int fd, struct box_digest *out, uint64_t *size,
                  box_error **err)
{
    _cleanup_(box_digester) struct box_digester *d = box_digester_new(algorithm, err);
    _free_ char *chunk = malloc(READ_CHUNK);
    uint64_t total = 0;

    if (!d)
        return is_known(algorithm) ? BOX_ENOMEM : BOX_EINVAL;
    if (!chunk)
        return box_fail_nomem(err);
    for (;;) {
        ssize_t n = read(fd, chunk, READ_CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return box_fail_sys(err, "read", NULL, "read content to compute its digest");
        if (n == 0)
            break;
        box_digester_update(d, chunk, (size_t)n);
        total += (uint64_t)n;
    }
    if (size)
        *size = total;
    return box_digester_finish(d, out, err);
}
