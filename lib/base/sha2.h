/* SHA-256 and SHA-512 (FIPS 180-4) of our own, for hosts without libcrypto. For base/digest.c. */
#ifndef BOX_BASE_SHA2_H
#define BOX_BASE_SHA2_H

#include <stddef.h>
#include <stdint.h>

struct box_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far; length % 64 of them wait in block */
    unsigned char block[64];
};

struct box_sha512 {
    uint64_t state[8];
    uint64_t length; /* the standard counts to 2^128 bits; nobody has that many */
    unsigned char block[128];
};

void box_sha256_begin(struct box_sha256 *sha);
void box_sha256_update(struct box_sha256 *sha, const void *data, size_t length);
void box_sha256_finish(struct box_sha256 *sha, unsigned char out[32]);

void box_sha512_begin(struct box_sha512 *sha);
void box_sha512_update(struct box_sha512 *sha, const void *data, size_t length);
void box_sha512_finish(struct box_sha512 *sha, unsigned char out[64]);

#endif
