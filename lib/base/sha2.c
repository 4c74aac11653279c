/* SHA-256 and SHA-512 after FIPS 180-4. The constants of the first are the upper halves of those of the
 * second: both are the first bits of the fractions of cube roots (ROUND) and square roots (START) of the
 * first primes. */
#include "base/sha2.h"

#include <string.h>

static const uint64_t ROUND[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538,
    0x59f111f1b605d019, 0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe,
    0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2, 0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235,
    0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3, 0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65,
    0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5, 0x983e5152ee66dfab,
    0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed,
    0x53380d139d95b3df, 0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b,
    0xa2bfe8a14cf10364, 0xa81a664bbc423001, 0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218,
    0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8, 0x19a4c116b8d2d0c8, 0x1e376c085141ab53,
    0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb, 0x5b9cca4f7763e373,
    0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c,
    0xd186b8c721c0c207, 0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6,
    0x113f9804bef90dae, 0x1b710b35131c471b, 0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc,
    0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a, 0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static const uint64_t START[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static uint32_t right32(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint64_t right64(uint64_t x, int n)
{
    return x >> n | x << (64 - n);
}

static uint32_t load32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint64_t load64(const unsigned char *p)
{
    return (uint64_t)load32(p) << 32 | load32(p + 4);
}

static void store64(unsigned char *p, uint64_t x)
{
    for (int i = 0; i < 8; i++)
        p[i] = (unsigned char)(x >> (56 - 8 * i));
}

/* One round. The standard moves all eight words on by a place; here the names move instead, so a caller of
 * eight rounds in a row ends with the names where they began. */
#define ROUND256(a, b, c, d, e, f, g, h, t)                                                          \
    do {                                                                                             \
        uint32_t one = h + (right32(e, 6) ^ right32(e, 11) ^ right32(e, 25)) + (g ^ (e & (f ^ g))) + \
                       (uint32_t)(ROUND[t] >> 32) + w[t];                                            \
        d += one;                                                                                    \
        h = one + (right32(a, 2) ^ right32(a, 13) ^ right32(a, 22)) + ((a & b) | (c & (a | b)));     \
    } while (0)

#define ROUND512(a, b, c, d, e, f, g, h, t)                                                                 \
    do {                                                                                                    \
        uint64_t one =                                                                                      \
            h + (right64(e, 14) ^ right64(e, 18) ^ right64(e, 41)) + (g ^ (e & (f ^ g))) + ROUND[t] + w[t]; \
        d += one;                                                                                           \
        h = one + (right64(a, 28) ^ right64(a, 34) ^ right64(a, 39)) + ((a & b) | (c & (a | b)));           \
    } while (0)

static void compress256(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int t = 0; t < 16; t++)
        w[t] = load32(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t x = w[t - 15], y = w[t - 2];
        w[t] = w[t - 16] + (right32(x, 7) ^ right32(x, 18) ^ x >> 3) + w[t - 7] +
               (right32(y, 17) ^ right32(y, 19) ^ y >> 10);
    }
    for (int t = 0; t < 64; t += 8) {
        ROUND256(a, b, c, d, e, f, g, h, t);
        ROUND256(h, a, b, c, d, e, f, g, t + 1);
        ROUND256(g, h, a, b, c, d, e, f, t + 2);
        ROUND256(f, g, h, a, b, c, d, e, t + 3);
        ROUND256(e, f, g, h, a, b, c, d, t + 4);
        ROUND256(d, e, f, g, h, a, b, c, t + 5);
        ROUND256(c, d, e, f, g, h, a, b, t + 6);
        ROUND256(b, c, d, e, f, g, h, a, t + 7);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

static void compress512(uint64_t state[8], const unsigned char *block)
{
    uint64_t w[80];
    uint64_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint64_t e = state[4], f = state[5], g = state[6], h = state[7];

    for (int t = 0; t < 16; t++)
        w[t] = load64(block + 8 * t);
    for (int t = 16; t < 80; t++) {
        uint64_t x = w[t - 15], y = w[t - 2];
        w[t] = w[t - 16] + (right64(x, 1) ^ right64(x, 8) ^ x >> 7) + w[t - 7] +
               (right64(y, 19) ^ right64(y, 61) ^ y >> 6);
    }
    for (int t = 0; t < 80; t += 8) {
        ROUND512(a, b, c, d, e, f, g, h, t);
        ROUND512(h, a, b, c, d, e, f, g, t + 1);
        ROUND512(g, h, a, b, c, d, e, f, t + 2);
        ROUND512(f, g, h, a, b, c, d, e, t + 3);
        ROUND512(e, f, g, h, a, b, c, d, t + 4);
        ROUND512(d, e, f, g, h, a, b, c, t + 5);
        ROUND512(c, d, e, f, g, h, a, b, t + 6);
        ROUND512(b, c, d, e, f, g, h, a, t + 7);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void box_sha256_begin(struct box_sha256 *sha)
{
    for (int i = 0; i < 8; i++)
        sha->state[i] = (uint32_t)(START[i] >> 32);
    sha->length = 0;
}

void box_sha512_begin(struct box_sha512 *sha)
{
    memcpy(sha->state, START, sizeof(START));
    sha->length = 0;
}

/* Takes data into the block; full blocks are compressed straight from the data. One body for both sizes. */
#define UPDATE(sha, data, length, compress)                                                                \
    do {                                                                                                   \
        const unsigned char *at = data;                                                                    \
        size_t fill = (sha)->length % sizeof((sha)->block);                                                \
        (sha)->length += length;                                                                           \
        if (fill > 0) {                                                                                    \
            size_t room = sizeof((sha)->block) - fill, take = length < room ? length : room;               \
            memcpy((sha)->block + fill, at, take);                                                         \
            at += take;                                                                                    \
            length -= take;                                                                                \
            if (take < room)                                                                               \
                return;                                                                                    \
            compress((sha)->state, (sha)->block);                                                          \
        }                                                                                                  \
        for (; length >= sizeof((sha)->block); at += sizeof((sha)->block), length -= sizeof((sha)->block)) \
            compress((sha)->state, at);                                                                    \
        if (length > 0)                                                                                    \
            memcpy((sha)->block, at, length);                                                              \
    } while (0)

void box_sha256_update(struct box_sha256 *sha, const void *data, size_t length)
{
    if (length > 0)
        UPDATE(sha, data, length, compress256);
}

void box_sha512_update(struct box_sha512 *sha, const void *data, size_t length)
{
    if (length > 0)
        UPDATE(sha, data, length, compress512);
}

/* The end of a message: a bit, zeros, and the length in bits, so that a whole block is full. Returns its
 * size. */
static size_t padding(unsigned char *pad, uint64_t length, size_t block, size_t length_field)
{
    size_t zeros = (2 * block - 1 - length_field - (size_t)(length % block)) % block;

    memset(pad, 0, 1 + zeros + length_field);
    pad[0] = 0x80;
    store64(pad + 1 + zeros + length_field - 8, length << 3);
    return 1 + zeros + length_field;
}

void box_sha256_finish(struct box_sha256 *sha, unsigned char out[32])
{
    unsigned char pad[2 * sizeof(sha->block)];

    box_sha256_update(sha, pad, padding(pad, sha->length, sizeof(sha->block), 8));
    for (int i = 0; i < 4; i++)
        store64(out + 8 * i, (uint64_t)sha->state[2 * i] << 32 | sha->state[2 * i + 1]);
}

void box_sha512_finish(struct box_sha512 *sha, unsigned char out[64])
{
    unsigned char pad[2 * sizeof(sha->block)];

    box_sha512_update(sha, pad, padding(pad, sha->length, sizeof(sha->block), 16));
    for (int i = 0; i < 8; i++)
        store64(out + 8 * i, sha->state[i]);
}
