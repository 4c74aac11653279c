/* OpenSSL's libcrypto, opened on first use. For base/digest.c. */
#ifndef BOX_BASE_LIBCRYPTO_H
#define BOX_BASE_LIBCRYPTO_H

#include <stddef.h>

/* The functions used, and the algorithms, fetched once. Types are libcrypto's own, opaque here: no header of
 * its is needed to build. */
struct box_libcrypto {
    void *(*ctx_new)(void);
    void (*ctx_free)(void *ctx);
    int (*init)(void *ctx, const void *md, void *engine);
    int (*update)(void *ctx, const void *data, size_t length);
    int (*final)(void *ctx, unsigned char *out, unsigned *length);
    const void *sha256, *sha512;
};

/* NULL when it is not installed, or not built in. Any thread. */
const struct box_libcrypto *box_libcrypto(void);

#endif
