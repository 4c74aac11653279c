/* Headers of tar entries. What fits stands in the ustar header; what does not, in an extended header before
 * it. */
#include "image/tar_header.h"

#include <stdio.h>
#include <string.h>

struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100];
    char magic[6], version[2], uname[32], gname[32], major[8], minor[8], prefix[155], unused[12];
};
_Static_assert(sizeof(struct ustar) == BOX_TAR_BLOCK, "a header is one block");

#define OCTAL7  07777777ull
#define OCTAL11 077777777777ull

static void octal(char *field, size_t size, uint64_t value)
{
    field[size - 1] = '\0';
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
}

void box_tar_pax_add(struct box_buffer *pax, const char *key, const void *value, size_t length)
{
    size_t rest = strlen(key) + length + 3; /* the space, the equals sign and the newline */
    size_t total = rest + 1;
    char digits[24];

    /* The length counts its own digits. */
    for (size_t before = 0; before != total;) {
        before = total;
        total = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", total);
    }
    box_buffer_printf(pax, "%zu %s=", total, key);
    box_buffer_append(pax, value, length);
    box_buffer_putc(pax, '\n');
}

static void pax_number(struct box_buffer *pax, const char *key, uint64_t value)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

    box_tar_pax_add(pax, key, text, (size_t)n);
}

static void pax_time(struct box_buffer *pax, struct timespec t)
{
    char text[48];
    long long seconds = t.tv_sec;
    long nanoseconds = t.tv_nsec;
    const char *sign = "";

    if (seconds < 0) {
        sign = "-";
        seconds = -seconds - (nanoseconds > 0);
        nanoseconds = nanoseconds > 0 ? 1000000000 - nanoseconds : 0;
    }
    int n = snprintf(text, sizeof(text), "%s%lld.%09ld", sign, seconds, nanoseconds);
    box_tar_pax_add(pax, "mtime", text, (size_t)n);
}

static void finish(struct ustar *u)
{
    const unsigned char *bytes = (const unsigned char *)u;
    unsigned sum = 0;

    memcpy(u->magic, "ustar", 6);
    memcpy(u->version, "00", 2);
    memset(u->checksum, ' ', sizeof(u->checksum));
    for (size_t i = 0; i < sizeof(*u); i++)
        sum += bytes[i];
    octal(u->checksum, 7, sum);
    u->checksum[7] = ' ';
}

/* Fits a path into name and prefix, cut at a slash; false when it does not. */
static bool split(struct ustar *u, const char *path)
{
    size_t n = strlen(path);

    if (n <= sizeof(u->name)) {
        memcpy(u->name, path, n);
        return true;
    }
    if (n > sizeof(u->name) + 1 + sizeof(u->prefix))
        return false;
    for (size_t at = n - sizeof(u->name) - 1; at <= sizeof(u->prefix) && at < n - 1; at++)
        if (path[at] == '/' && at > 0) {
            memcpy(u->prefix, path, at);
            memcpy(u->name, path + at + 1, n - at - 1);
            return true;
        }
    return false;
}

static void put_extended(struct box_buffer *out, const struct box_buffer *pax)
{
    static const char zeros[BOX_TAR_BLOCK];
    struct ustar u = {0};

    memcpy(u.name, "PaxHeaders", 10);
    octal(u.mode, sizeof(u.mode), 0644);
    octal(u.uid, sizeof(u.uid), 0);
    octal(u.gid, sizeof(u.gid), 0);
    octal(u.size, sizeof(u.size), pax->length);
    octal(u.mtime, sizeof(u.mtime), 0);
    u.type = 'x';
    finish(&u);
    box_buffer_append(out, &u, sizeof(u));
    box_buffer_append(out, pax->data, pax->length);
    if (pax->length % BOX_TAR_BLOCK)
        box_buffer_append(out, zeros, BOX_TAR_BLOCK - pax->length % BOX_TAR_BLOCK);
}

int box_tar_header_put(struct box_buffer *out, const struct box_tar_header *h, struct box_buffer *pax,
                       box_error **err)
{
    size_t link = h->link ? strlen(h->link) : 0;
    struct ustar u = {0};

    if (!split(&u, h->path)) {
        box_tar_pax_add(pax, "path", h->path, strlen(h->path));
        memcpy(u.name, h->path, sizeof(u.name));
    }
    if (link > sizeof(u.link))
        box_tar_pax_add(pax, "linkpath", h->link, link);
    if (link)
        memcpy(u.link, h->link, link < sizeof(u.link) ? link : sizeof(u.link));
    if (h->uid > OCTAL7)
        pax_number(pax, "uid", h->uid);
    if (h->gid > OCTAL7)
        pax_number(pax, "gid", h->gid);
    if (h->size > OCTAL11)
        pax_number(pax, "size", h->size);
    bool odd_time = h->mtime.tv_nsec != 0 || h->mtime.tv_sec < 0 || (uint64_t)h->mtime.tv_sec > OCTAL11;
    if (odd_time)
        pax_time(pax, h->mtime);
    octal(u.mode, sizeof(u.mode), h->mode & 07777);
    octal(u.uid, sizeof(u.uid), h->uid > OCTAL7 ? 0 : h->uid);
    octal(u.gid, sizeof(u.gid), h->gid > OCTAL7 ? 0 : h->gid);
    octal(u.size, sizeof(u.size), h->size > OCTAL11 ? 0 : h->size);
    octal(u.mtime, sizeof(u.mtime), h->mtime.tv_sec < 0 ? 0 : (uint64_t)h->mtime.tv_sec & OCTAL11);
    octal(u.major, sizeof(u.major), h->major & OCTAL7);
    octal(u.minor, sizeof(u.minor), h->minor & OCTAL7);
    u.type = h->type;
    finish(&u);
    if (pax->length)
        put_extended(out, pax);
    box_buffer_append(out, &u, sizeof(u));
    return box_buffer_ok(out) && box_buffer_ok(pax) ? 0 : box_fail_nomem(err);
}
