/* Small texts of the protocol. What comes from a registry and ends in a message is cleaned here: a message goes to
 * terminals and logs, and a registry must neither move the cursor there nor write lines of its own. */
#include "registry/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *box_base64_encode(const void *data, size_t length)
{
    const unsigned char *in = data;
    char *out = malloc((length + 2) / 3 * 4 + 1), *at = out;

    for (size_t i = 0; out && i < length; i += 3) {
        uint32_t word = (uint32_t)in[i] << 16;
        if (i + 1 < length)
            word |= (uint32_t)in[i + 1] << 8;
        if (i + 2 < length)
            word |= in[i + 2];
        *at++ = digits[word >> 18];
        *at++ = digits[word >> 12 & 63];
        *at++ = i + 1 < length ? digits[word >> 6 & 63] : '=';
        *at++ = i + 2 < length ? digits[word & 63] : '=';
    }
    if (out)
        *at = 0;
    return out;
}

int box_base64_decode(const char *text, char **data, size_t *length, box_error **err)
{
    size_t n = strlen(text), bits = 0, written = 0;
    uint32_t word = 0;

    for (int i = 0; i < 2 && n && text[n - 1] == '='; i++)
        n--;
    _free_ char *out = malloc(n / 4 * 3 + 4);
    if (!out)
        return box_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        const char *digit = text[i] ? strchr(digits, text[i]) : NULL;
        if (!digit)
            return box_fail(err, BOX_EPARSE, "not base64: character %zu", i + 1);
        word = word << 6 | (uint32_t)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[written++] = (char)(word >> bits & 255);
        }
    }
    if (bits >= 6)
        return box_fail(err, BOX_EPARSE, "not base64: it ends within a byte");
    out[written] = 0;
    *data = box_take(out);
    *length = written;
    return 0;
}

/* Length of the UTF-8 character at text; 0 for what is none. */
static size_t utf8_length(const unsigned char *text, size_t left)
{
    size_t n = *text < 0x80 ? 1 : *text >= 0xc2 && *text < 0xe0 ? 2 : *text >= 0xe0 && *text < 0xf0 ? 3 : *text >= 0xf0 && *text < 0xf5 ? 4 : 0;

    if (n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((n == 3 && *text == 0xe0 && text[1] < 0xa0) || (n == 3 && *text == 0xed && text[1] > 0x9f) ||
        (n == 4 && *text == 0xf0 && text[1] < 0x90) || (n == 4 && *text == 0xf4 && text[1] > 0x8f))
        return 0;
    return n;
}

/* C0, DEL and C1, and the marks that turn the direction of what follows. */
static bool is_control(const unsigned char *text, size_t n)
{
    if (n == 1)
        return *text < 0x20 || *text == 0x7f;
    if (n == 2)
        return *text == 0xc2 && text[1] < 0xa0;
    return n == 3 && *text == 0xe2 &&
           ((text[1] == 0x80 && (text[2] >= 0xa8 || text[2] == 0x8e || text[2] == 0x8f)) ||
            (text[1] == 0x81 && text[2] >= 0xa6 && text[2] <= 0xa9));
}

void box_text_append_clean(struct box_buffer *out, const char *text, size_t length, size_t max)
{
    const unsigned char *at = (const unsigned char *)text;

    for (size_t i = 0, kept = 0; i < length && at[i];) {
        size_t n = utf8_length(at + i, length - i);
        if (kept + (n ? n : 1) > max) {
            box_buffer_puts(out, "...");
            return;
        }
        if (n == 0)
            box_buffer_putc(out, '?');
        else if (is_control(at + i, n))
            box_buffer_putc(out, ' ');
        else
            box_buffer_append(out, at + i, n);
        kept += n ? n : 1;
        i += n ? n : 1;
    }
}

void box_text_append_escaped(struct box_buffer *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char kept[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (strchr(kept, c)) {
            box_buffer_putc(out, *text);
        } else {
            box_buffer_putc(out, '%');
            box_buffer_putc(out, hex[c >> 4]);
            box_buffer_putc(out, hex[c & 15]);
        }
    }
}

bool box_text_is_header_value(const char *text, size_t max)
{
    size_t n = 0;

    for (; text[n]; n++)
        if (n >= max || text[n] < 0x21 || text[n] > 0x7e)
            return false;
    return n > 0;
}

void box_secret_free(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}
