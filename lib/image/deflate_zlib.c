/* Blocks of deflate by zlib, opened at most once in the life of the process. Its header is not needed to build: the
 * stream object is part of its binary interface, and its size is checked by deflateInit2_(). */
#include "image/deflate.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/dlnote.h"

#define SONAME "libz.so.1"

BOX_DLOPEN_NOTE(zlib, "gzip layers, where ISA-L is not installed or a higher level is asked for", "suggested", SONAME);

/* zlib.h, z_stream */
struct zstream {
    const unsigned char *next_in;
    unsigned avail_in;
    unsigned long total_in;
    unsigned char *next_out;
    unsigned avail_out;
    unsigned long total_out;
    const char *msg;
    void *state;
    void *(*zalloc)(void *, unsigned, unsigned);
    void (*zfree)(void *, void *);
    void *opaque;
    int data_type;
    unsigned long adler;
    unsigned long reserved;
};

#define Z_OK               0
#define Z_STREAM_END       1
#define Z_SYNC_FLUSH       2
#define Z_FINISH           4
#define Z_DEFLATED         8
#define Z_DEFAULT_STRATEGY 0
#define RAW_WINDOW         (-15)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;
static struct {
    int (*init)(struct zstream *, int level, int method, int window, int memory, int strategy, const char *version,
                int size);
    int (*dictionary)(struct zstream *, const unsigned char *, unsigned);
    int (*deflate)(struct zstream *, int flush);
    int (*end)(struct zstream *);
    unsigned long (*crc)(unsigned long, const unsigned char *, unsigned);
} table;

static void open_once(void)
{
    const struct {
        const char *name;
        void *slot;
    } functions[] = {
        {"deflateInit2_", &table.init}, {"deflateSetDictionary", &table.dictionary}, {"deflate", &table.deflate},
        {"deflateEnd", &table.end},     {"crc32", &table.crc},
    };
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);

    for (size_t i = 0; library && i < BOX_ARRAY(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found)
            return;
        memcpy(functions[i].slot, &found, sizeof(found));
    }
    usable = library != NULL;
}

static void *zlib_open(int level)
{
    struct zstream *s = calloc(1, sizeof(*s));

    if (s && table.init(s, level, Z_DEFLATED, RAW_WINDOW, 8, Z_DEFAULT_STRATEGY, "1.2.11", (int)sizeof(*s)) != Z_OK) {
        free(s);
        return NULL;
    }
    return s;
}

static void zlib_close(void *state)
{
    table.end(state);
    free(state);
}

static size_t zlib_block(void *state, const uint8_t *dictionary, size_t dictionary_length, const uint8_t *in,
                         size_t length, bool last, uint8_t *out, size_t room)
{
    struct zstream *s = state;

    if (dictionary_length && table.dictionary(s, dictionary, (unsigned)dictionary_length) != Z_OK)
        return 0;
    s->next_in = in;
    s->avail_in = (unsigned)length;
    s->next_out = out;
    s->avail_out = (unsigned)room;
    int r = table.deflate(s, last ? Z_FINISH : Z_SYNC_FLUSH);
    if (r != (last ? Z_STREAM_END : Z_OK) || s->avail_in > 0 || s->avail_out == 0)
        return 0;
    return room - s->avail_out;
}

static uint32_t zlib_crc(uint32_t before, const uint8_t *data, size_t length)
{
    return (uint32_t)table.crc(before, data, (unsigned)length);
}

const struct box_block_codec *box_codec_zlib(void)
{
    static const struct box_block_codec codec = {zlib_open, zlib_close, zlib_block, zlib_crc};

    return pthread_once(&once, open_once) == 0 && usable ? &codec : NULL;
}
