/* As much of HTTP/1.1 as the floor needs: a connection for each request, answers with a Content-Length or none, nothing
 * that is chunked, and nothing checked but the status. For a registry on this machine. */
#include "bench-image.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"

#define HEAD 8192

static int connect_to(const char *host)
{
    const char *port = strrchr(host, ':');
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)(port ? atoi(port + 1) : 80)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

/* The head of an answer, and how much of the body came with it, behind the head. The status, or -1. */
static int read_head(int fd, char head[HEAD], size_t *body, size_t *length)
{
    size_t have = 0;
    char *end = NULL;

    while (!end) {
        ssize_t n = have < HEAD - 1 ? read(fd, head + have, HEAD - 1 - have) : 0;
        if (n <= 0)
            return -1;
        have += (size_t)n;
        head[have] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    *body = (size_t)(end + 4 - head);
    *length = have - *body;
    end[2] = 0;
    return strncmp(head, "HTTP/1.", 7) == 0 ? atoi(head + 9) : -1;
}

int64_t http_get(const char *host, const char *path, char *data, size_t size, int *status)
{
    char head[HEAD];
    size_t body = 0, length = 0;
    int fd = connect_to(host);
    int n = snprintf(head, sizeof(head),
                     "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
                     "Accept: application/vnd.oci.image.manifest.v1+json, "
                     "application/vnd.docker.distribution.manifest.v2+json\r\n\r\n",
                     path, host);

    if (fd < 0)
        return -1;
    *status = box_write_all(fd, head, (size_t)n) < 0 ? -1 : read_head(fd, head, &body, &length);
    if (*status < 0 || length > size) {
        close(fd);
        return -1;
    }
    memcpy(data, head + body, length);
    ssize_t got = 1;
    while (length < size && (got = read(fd, data + length, size - length)) > 0)
        length += (size_t)got;
    close(fd);
    return got < 0 ? -1 : (int64_t)length;
}

static void take_location(char *head, char *location)
{
    for (char *line = head; location && (line = strchr(line, '\n')); ) {
        line++;
        if (strncasecmp(line, "location:", 9) != 0)
            continue;
        char *value = line + 9 + strspn(line + 9, " "), *path = strstr(value, "://");
        path = path ? strchr(path + 3, '/') : value;
        snprintf(location, 1000, "%.*s", path ? (int)strcspn(path, "\r\n") : 0, path ? path : "");
        return;
    }
}

int http_send(const char *host, const char *method, const char *path, const char *type, int body_fd, size_t length,
              char *location)
{
    char head[HEAD];
    size_t body, more;
    off_t at = 0;
    int fd = connect_to(host), status = -1;
    int n = snprintf(head, sizeof(head),
                     "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                     method, path, host, type, length);

    if (fd < 0)
        return -1;
    bool sent = box_write_all(fd, head, (size_t)n) == 0;
    while (sent && (size_t)at < length)
        sent = sendfile(fd, body_fd, &at, length - (size_t)at) > 0;
    if (sent)
        status = read_head(fd, head, &body, &more);
    if (status >= 0)
        take_location(head, location);
    close(fd);
    return status;
}
