/* Interface files of cgroups: small, made of lines, written in one write(2). They are opened relative to a
 * directory fd, never through a link. Parsing is strict about the values that are looked at and indifferent
 * to everything else, since every kernel adds keys. */
#include "kernel/cgroup.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define READ_STEP 4096
#define READ_MAX  (64u << 20) /* cgroup.procs of a million processes is 8 MB */

int cgroup_open_at(int dirfd, const char *name, int flags)
{
    int fd;

    do
        fd = openat(dirfd, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    return fd < 0 ? -errno : fd;
}

/* Reads to the end of a file into memory that grows. */
static int read_all(int fd, char **text)
{
    _free_ char *buffer = NULL;
    size_t used = 0, size = 0;

    for (;;) {
        if (size - used < 2) {
            size = size ? size * 2 : READ_STEP;
            char *grown = size <= READ_MAX ? realloc(buffer, size) : NULL;
            if (!grown)
                return size <= READ_MAX ? -ENOMEM : -EFBIG;
            buffer = grown;
        }

        ssize_t n = read(fd, buffer + used, size - used - 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    buffer[used] = '\0';
    *text = box_take(buffer);
    return 0;
}

int cgroup_read(int dirfd, const char *file, char **text)
{
    _close_ int fd = cgroup_open_at(dirfd, file, O_RDONLY);

    return fd < 0 ? fd : read_all(fd, text);
}

int cgroup_read_small(int dirfd, const char *file, char *text, size_t size)
{
    _close_ int fd = cgroup_open_at(dirfd, file, O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return fd;
    do
        n = read(fd, text, size - 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    return (size_t)n == size - 1 ? -EFBIG : 0;
}

int cgroup_write(int dirfd, const char *file, const char *value)
{
    _close_ int fd = cgroup_open_at(dirfd, file, O_WRONLY);
    size_t length = strlen(value);
    ssize_t n;

    if (fd < 0)
        return fd;
    do
        n = write(fd, value, length);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == length ? 0 : -EIO;
}

bool cgroup_has_file(int dirfd, const char *file)
{
    return faccessat(dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Digits only: strtoull() would take signs and leading blanks. */
static const char *parse_digits(const char *s, uint64_t *value)
{
    uint64_t v = 0;

    if (*s < '0' || *s > '9')
        return NULL;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (__builtin_mul_overflow(v, UINT64_C(10), &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return NULL;
    }
    *value = v;
    return s;
}

bool cgroup_parse_u64(const char *text, uint64_t *value)
{
    uint64_t v = BOX_CGROUP_UNLIMITED;
    const char *end = strncmp(text, "max", 3) == 0 ? text + 3 : parse_digits(text, &v);

    if (!end || (strcmp(end, "") != 0 && strcmp(end, "\n") != 0))
        return false;
    *value = v;
    return true;
}

int cgroup_read_u64(int dirfd, const char *file, uint64_t *value)
{
    char text[64];
    int r = cgroup_read_small(dirfd, file, text, sizeof(text));

    if (r < 0)
        return r;
    return cgroup_parse_u64(text, value) ? 0 : -EBADMSG;
}

static char *next_token(char **cursor, const char *separators)
{
    char *start = *cursor + strspn(*cursor, separators);

    if (*start == '\0') {
        *cursor = start;
        return NULL;
    }
    char *end = start + strcspn(start, separators);
    if (*end)
        *end++ = '\0';
    *cursor = end;
    return start;
}

char *cgroup_next_line(char **cursor)
{
    return next_token(cursor, "\n");
}

char *cgroup_next_word(char **cursor)
{
    return next_token(cursor, " \t");
}

int cgroup_parse_flat(char *text, const struct cgroup_key *keys, size_t count, void *base)
{
    for (char *line; (line = cgroup_next_line(&text));) {
        const char *name = cgroup_next_word(&line);

        for (size_t i = 0; name && i < count; i++) {
            uint64_t value;

            if (strcmp(name, keys[i].name) != 0)
                continue;
            if (!cgroup_parse_u64(line, &value) ||
                (value != BOX_CGROUP_UNLIMITED && __builtin_mul_overflow(value, keys[i].scale, &value)))
                return -EBADMSG;
            memcpy((char *)base + keys[i].offset, &value, sizeof(value));
            break;
        }
    }
    return 0;
}

int cgroup_read_key(int dirfd, const char *file, const char *key, uint64_t *value)
{
    _free_ char *text = NULL;
    int r = cgroup_read(dirfd, file, &text);

    if (r < 0)
        return r;
    for (char *cursor = text, *line; (line = cgroup_next_line(&cursor));) {
        const char *name = cgroup_next_word(&line);

        if (name && strcmp(name, key) == 0)
            return cgroup_parse_u64(line, value) ? 0 : -EBADMSG;
    }
    return -ENODATA;
}

bool cgroup_parse_device(const char *text, uint64_t *major, uint64_t *minor)
{
    const char *end = parse_digits(text, major);

    if (!end || *end != ':')
        return false;
    end = parse_digits(end + 1, minor);
    return end && *end == '\0';
}

int cgroup_fail(box_error **err, const struct cgroup_dir *dir, const char *file, int negative_errno,
                const char *field, const char *what)
{
    _free_ char *call = NULL;
    int errnum = -negative_errno;

    if (errnum == ENOMEM || asprintf(&call, "%s/%s", dir->directory, file) < 0) {
        call = NULL;
        return box_fail_nomem(err);
    }
    /* A cgroup that was removed under an open fd: its files fail with ENODEV, and new ones cannot be opened.
     */
    if (errnum == ENODEV || errnum == ENOENT)
        return box_fail_with(
            err,
            &(struct box_fail_info){.code = BOX_ENOTFOUND, .errnum = errnum, .call = call, .subject = field},
            "%s: the cgroup is gone or has no such file", what);
    if (errnum == EBADMSG)
        return box_fail_with(err, &(struct box_fail_info){.code = BOX_EPARSE, .call = call, .subject = field},
                             "%s: the kernel's answer is not understood", what);
    return box_fail_with(err, &(struct box_fail_info){.errnum = errnum, .call = call, .subject = field}, "%s",
                         what);
}
