/* CRC32C: by the instruction that x86 has since SSE 4.2 and that 64-bit ARM has, else by table. The table is made
 * on the stack of the call: a library has no state of its own to keep it in, and a call is for a MiB or for one
 * block. */
#include "image/erofs_format.h"
#include "base/cpu.h"

#include <stddef.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u

uint32_t box_crc32c_table(uint32_t crc, const void *data, uint64_t length)
{
    const unsigned char *at = data;
    uint32_t table[256];

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value >> 1 ^ (value & 1 ? POLYNOMIAL : 0);
        table[i] = value;
    }
    while (length-- > 0)
        crc = crc >> 8 ^ table[(crc ^ *at++) & 255];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *data, uint64_t length)
{
    const unsigned char *at = data;
    uint64_t wide = crc, eight;

    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&eight, at, 8);
        wide = __builtin_ia32_crc32di(wide, eight);
    }
    crc = (uint32_t)wide;
    for (; length > 0; length--)
        crc = __builtin_ia32_crc32qi(crc, *at++);
    return crc;
}

static int have_instruction(void)
{
    return box_cpu_level() >= 2;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

/* +crc: the assembler is told, whatever the whole is built for. */
__attribute__((target("+crc"))) static uint32_t by_instruction(uint32_t crc, const void *data, uint64_t length)
{
    const unsigned char *at = data;
    uint64_t eight;

    for (; length >= 8; at += 8, length -= 8) {
        memcpy(&eight, at, 8);
        crc = __builtin_aarch64_crc32cx(crc, eight);
    }
    for (; length > 0; length--)
        crc = __builtin_aarch64_crc32cb(crc, *at++);
    return crc;
}

static int have_instruction(void)
{
    return (getauxval(AT_HWCAP) & (1ul << 7)) != 0; /* HWCAP_CRC32 */
}
#else
static uint32_t by_instruction(uint32_t crc, const void *data, uint64_t length)
{
    return box_crc32c_table(crc, data, length);
}

static int have_instruction(void)
{
    return 0;
}
#endif

uint32_t box_crc32c(uint32_t crc, const void *data, uint64_t length)
{
    return have_instruction() ? by_instruction(crc, data, length) : box_crc32c_table(crc, data, length);
}
