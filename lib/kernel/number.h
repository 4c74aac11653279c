/* Numbers in texts that people write: digits only, nothing before or after, and an error when they do not
 * fit. */
#ifndef BOX_KERNEL_NUMBER_H
#define BOX_KERNEL_NUMBER_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

/* The decimal number in the n bytes at s. 0, -EINVAL or -ERANGE. */
static inline int box_number_u64(const char *s, size_t n, uint64_t *value)
{
    uint64_t v = 0;

    if (n == 0)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -EINVAL;
        uint64_t digit = (uint64_t)(s[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        v = v * 10 + digit;
    }
    *value = v;
    return 0;
}

#endif
