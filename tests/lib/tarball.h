/* A tar writer for tests, that writes what it is told: names with "..", sizes that lie, headers without end.
 * Header only.
 *
 *     struct tarball t = {0};
 *     tarball_put(&t, &(struct tarball_member){.name = "etc/passwd", .data = "root", .size = 4});
 *     tarball_put(&t, &(struct tarball_member){.name = "lib", .type = '2', .link = "usr/lib"});
 *     tarball_end(&t);
 *     … t.data, t.length …
 *     tarball_free(&t);
 */
#ifndef TESTS_TARBALL_H
#define TESTS_TARBALL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tarball {
    char *data;
    size_t length, capacity;
};

struct tarball_member {
    const char *name;
    char type;     /* 0: '0', a file */
    unsigned mode; /* 0: 0644, of a directory 0755; 01000000: really 0 */
    unsigned uid, gid;
    const void *data; /* NULL with a size: zeros */
    size_t size;
    size_t claim; /* another size than the data's for the header, when not 0 */
    const char *link;
    unsigned major, minor;
    long mtime;
    const char *pax;   /* records for an extended header before it */
    size_t pax_length; /* 0: strlen */
};

static inline void tarball_bytes(struct tarball *t, const void *data, size_t length)
{
    if (t->length + length > t->capacity) {
        t->capacity = (t->length + length) * 2 + 4096;
        t->data = realloc(t->data, t->capacity);
        if (!t->data)
            abort();
    }
    if (data)
        memcpy(t->data + t->length, data, length);
    else
        memset(t->data + t->length, 0, length);
    t->length += length;
}

static inline void tarball_pad(struct tarball *t)
{
    tarball_bytes(t, NULL, (512 - t->length % 512) % 512);
}

static inline void tarball_header(struct tarball *t, const struct tarball_member *m, const char *name,
                                  char type, size_t size)
{
    char h[512] = {0};
    unsigned sum = 0, mode = m->mode ? m->mode & 07777 : type == '5' ? 0755 : 0644;

    strncpy(h, name, 100);
    snprintf(h + 100, 8, "%07o", mode);
    snprintf(h + 108, 8, "%07o", m->uid);
    snprintf(h + 116, 8, "%07o", m->gid);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    snprintf(h + 136, 12, "%011lo", (unsigned long)m->mtime);
    memset(h + 148, ' ', 8);
    h[156] = type;
    if (m->link)
        strncpy(h + 157, m->link, 100);
    memcpy(h + 257, "ustar\00000", 8);
    snprintf(h + 329, 8, "%07o", m->major);
    snprintf(h + 337, 8, "%07o", m->minor);
    for (size_t i = 0; i < sizeof(h); i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 7, "%06o", sum);
    tarball_bytes(t, h, sizeof(h));
}

static inline void tarball_put(struct tarball *t, const struct tarball_member *m)
{
    const struct tarball_member plain = {.name = ""};

    if (m->pax) {
        size_t n = m->pax_length ? m->pax_length : strlen(m->pax);
        tarball_header(t, &plain, "PaxHeaders", 'x', n);
        tarball_bytes(t, m->pax, n);
        tarball_pad(t);
    }
    tarball_header(t, m, m->name, m->type ? m->type : '0', m->claim ? m->claim : m->size);
    tarball_bytes(t, m->data, m->size);
    tarball_pad(t);
}

/* A pax record, "length key=value\n", into out; its length. */
static inline size_t tarball_record(char *out, size_t room, const char *key, const char *value, size_t length)
{
    size_t rest = strlen(key) + length + 3, total = rest + 1;

    for (size_t before = 0; before != total;) {
        before = total;
        total = rest + (size_t)snprintf(NULL, 0, "%zu", total);
    }
    if (total + 1 > room)
        abort();
    int n = snprintf(out, room, "%zu %s=", total, key);
    memcpy(out + n, value, length);
    out[(size_t)n + length] = '\n';
    return total;
}

static inline void tarball_end(struct tarball *t)
{
    tarball_bytes(t, NULL, 1024);
}

static inline void tarball_free(struct tarball *t)
{
    free(t->data);
    memset(t, 0, sizeof(*t));
}

#endif
