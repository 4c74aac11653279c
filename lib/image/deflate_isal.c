/* Blocks of deflate by ISA-L (igzip), opened at most once in the life of the process. isal.c reads with it. */
#include "image/deflate.h"

#include <dlfcn.h>
#include <isa-l/igzip_lib.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SONAME "libisal.so.2"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool usable;
static struct {
    void (*init)(struct isal_zstream *stream);
    int (*deflate)(struct isal_zstream *stream);
    uint32_t (*crc)(uint32_t init, const unsigned char *data, uint64_t length);
} table;

static void open_once(void)
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    void *init = library ? dlsym(library, "isal_deflate_init") : NULL;
    void *deflate = library ? dlsym(library, "isal_deflate") : NULL;
    void *crc = library ? dlsym(library, "crc32_gzip_refl") : NULL;

    memcpy(&table.init, &init, sizeof(init));
    memcpy(&table.deflate, &deflate, sizeof(deflate));
    memcpy(&table.crc, &crc, sizeof(crc));
    usable = init && deflate && crc;
}

struct isal {
    struct isal_zstream stream;
    uint8_t *buffer;
    uint32_t size;
    int level;
};

static void isal_close(void *state)
{
    struct isal *s = state;

    free(s->buffer);
    free(s);
}

static void *isal_open(int level)
{
    static const uint32_t sizes[] = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                                     ISAL_DEF_LVL3_DEFAULT};
    struct isal *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->level = level;
    s->size = sizes[level];
    s->buffer = malloc(s->size);
    if (!s->buffer) {
        free(s);
        return NULL;
    }
    return s;
}

static size_t isal_block(void *state, const uint8_t *dictionary, size_t dictionary_length, const uint8_t *in,
                         size_t length, bool last, uint8_t *out, size_t room)
{
    struct isal *s = state;

    (void)dictionary; /* gains nothing that could be measured at these levels */
    (void)dictionary_length;
    memset(s->buffer, 0, s->size); /* what an earlier block left there would decide about this one's matches */
    table.init(&s->stream);
    s->stream.level = (uint32_t)s->level;
    s->stream.level_buf = s->buffer;
    s->stream.level_buf_size = s->size;
    s->stream.next_in = (uint8_t *)in;
    s->stream.avail_in = (uint32_t)length;
    s->stream.next_out = out;
    s->stream.avail_out = (uint32_t)room;
    s->stream.end_of_stream = last;
    s->stream.flush = last ? NO_FLUSH : FULL_FLUSH;
    s->stream.gzip_flag = IGZIP_DEFLATE;
    if (table.deflate(&s->stream) != COMP_OK || s->stream.avail_in > 0 || s->stream.avail_out == 0)
        return 0;
    return room - s->stream.avail_out;
}

static uint32_t isal_crc(uint32_t before, const uint8_t *data, size_t length)
{
    return table.crc(before, data, length);
}

const struct box_block_codec *box_codec_isal(void)
{
    static const struct box_block_codec codec = {isal_open, isal_close, isal_block, isal_crc};

    return pthread_once(&once, open_once) == 0 && usable ? &codec : NULL;
}
