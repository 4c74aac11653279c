/* What the processor can do. The compiler's own builtins for this bring a constructor and mutable data along, of which
 * the library has neither. */
#ifndef BOX_BASE_CPU_H
#define BOX_BASE_CPU_H

#if defined(__x86_64__)
#include <cpuid.h>

/* The level of the x86-64 psABI, 1 to 4, as far as its instructions show: 2 has SSE4.2 (and CRC32C), 3 has AVX2, 4 has
 * AVX-512. Above 2 the kernel has to keep the registers too (xgetbv). */
static inline int box_cpu_level(void)
{
    const unsigned v2 = bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT | bit_CMPXCHG16B;
    const unsigned v3 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    const unsigned v3_7 = bit_AVX2 | bit_BMI | bit_BMI2;
    const unsigned v4_7 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    unsigned a, b = 0, c = 0, d, b7 = 0, saved = 0, high;

    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & v2) != v2)
        return 1;
    if ((c & v3) != v3 || !__get_cpuid_count(7, 0, &a, &b7, &c, &d) || (b7 & v3_7) != v3_7)
        return 2;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    if ((saved & 0x6) != 0x6)
        return 2;
    return (b7 & v4_7) == v4_7 && (saved & 0xe6) == 0xe6 ? 4 : 3;
}
#endif

#endif
