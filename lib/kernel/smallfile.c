#include "kernel/smallfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LOAD_LIMIT ((size_t)16 << 20)

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : fd;
}

/* Reads until the end or until the buffer is full; a full buffer is told from an exact fit by the caller. */
static ssize_t read_all(int fd, char *buffer, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t n = read(fd, buffer + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        have += (size_t)n;
    }
    return (ssize_t)have;
}

ssize_t box_smallfile_read(const char *path, char *buffer, size_t size)
{
    _close_ int fd = open_file(path, O_RDONLY);

    buffer[0] = '\0';
    if (fd < 0)
        return fd;
    ssize_t n = read_all(fd, buffer, size);
    if (n < 0) {
        buffer[0] = '\0';
        return n;
    }
    if ((size_t)n == size) {
        buffer[0] = '\0';
        return -EFBIG;
    }
    buffer[n] = '\0';
    return n;
}

ssize_t box_smallfile_line(const char *path, char *buffer, size_t size)
{
    ssize_t n = box_smallfile_read(path, buffer, size);

    while (n > 0 && strchr(" \t\n", buffer[n - 1]))
        buffer[--n] = '\0';
    return n;
}

int box_smallfile_number(const char *path, long long *value)
{
    char text[32];
    ssize_t n = box_smallfile_line(path, text, sizeof(text));

    if (n < 0)
        return (int)n;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end == text || *end || errno ? -EINVAL : 0;
}

int box_smallfile_load(const char *path, char **text)
{
    _close_ int fd = open_file(path, O_RDONLY);

    if (fd < 0)
        return fd;
    _free_ char *buffer = NULL;
    size_t have = 0;
    for (size_t size = 4096; size <= LOAD_LIMIT; size *= 2) {
        char *larger = realloc(buffer, size);
        if (!larger)
            return -ENOMEM;
        buffer = larger;
        ssize_t n = read_all(fd, buffer + have, size - have);
        if (n < 0)
            return (int)n;
        have += (size_t)n;
        if (have < size) {
            buffer[have] = '\0';
            *text = box_take(buffer);
            return 0;
        }
    }
    return -EFBIG;
}

int box_smallfile_write(const char *path, const char *text)
{
    _close_ int fd = open_file(path, O_WRONLY);

    if (fd < 0)
        return fd;
    ssize_t n = write(fd, text, strlen(text));
    if (n < 0)
        return -errno;
    return (size_t)n == strlen(text) ? 0 : -EIO;
}

const char *box_smallfile_field(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *line = text; line; line = strchr(line, '\n')) {
        if (*line == '\n')
            line++;
        if (strncmp(line, key, n) == 0 && line[n] == ':') {
            const char *value = line + n + 1;
            return value + strspn(value, " \t");
        }
    }
    return NULL;
}
